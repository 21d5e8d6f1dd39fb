"""The three answers of a halted rollout: what they say they reboot is what they would."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actions.rollout import advance
from actions.rollout_plan import ActionKind, NotAllowed, RolloutAction
from actions.rollout_talk import Request
from console.render_rollout import sentences
from console.render_rollout_halt import answers
from console.rollout_board import card_of
from tests.unit.test_rollout_board import BERLIN, board_of, card_in, halted, wave


def test_the_three_answers_say_what_they_reboot() -> None:
    lab = halted()
    board = board_of(lab)
    retry, accept, back = answers(card_in(board), board.now)
    not_sent = [name for name, host in lab.r.hosts.items() if host.issued_at is None]
    in_wave = [own.name for own in lab.plan.by_cohort[1] if own.name in not_sent]
    assert (len(in_wave), len(not_sent) - len(in_wave)) == (10, 80), "one of twelve failed, one settles"
    assert (retry.reboots, accept.reboots) == ("1 host", "10 hosts, then 80 more")
    assert accept.cannot_undo == "90 reboots"
    assert "wave-1 goes on with 10 hosts" in accept.does
    assert back.reboots == "4 hosts, 4 at a time"
    assert back.cannot_undo.startswith("4 reboots")
    for answer in (retry, accept, back):
        assert answer.command == f"fleetctl rollout {answer.kind} r-58 --reason …"
        assert answer.takes
        assert answer.risk
    assert answers(card_in(board_of(wave())), board.now) == ()


def test_answers_of_a_rollout_that_reboots_nothing_speak_of_no_reboot() -> None:
    lab = halted()
    channel = RolloutAction(ActionKind.CHANNEL, channel="beta")
    board = board_of(lab)
    card = card_of(card_in(board).told, replace(lab.plan, action=channel), lab.r, board.now)
    retry, accept, _ = answers(card, board.now)
    assert [(one.reboots, one.cannot_undo) for one in (retry, accept)] == [("none", "nothing")] * 2


def test_a_host_that_still_settles_is_not_told_as_one_that_went_through_well() -> None:
    board = board_of(halted())
    words = " ".join(text for text, _, _ in sentences(card_in(board), board.now))
    assert "3 hosts went through well, 1 still settles" in words


def test_an_answer_is_refused_where_the_rollout_would_refuse_it() -> None:
    lab = halted()
    for answer in answers(card_in(board_of(lab)), lab.wall.astimezone(BERLIN)):
        assert answer.refused is None
        advance(lab.plan, lab.r, Request(answer.kind, "jo", "why", answer.hosts), lab.now)
    (failed,) = (name for name, host in lab.r.hosts.items() if host.counts)
    followed = replace(lab.r.hosts[failed], verb=lab.plan.turning.verb)
    lab.r = replace(lab.r, hosts={**lab.r.hosts, failed: followed})
    retry = answers(card_in(board_of(lab)), lab.wall.astimezone(BERLIN))[0]
    with pytest.raises(NotAllowed):
        advance(lab.plan, lab.r, Request(retry.kind, "jo", "why", retry.hosts), lab.now)
    assert retry.refused == f"an order is still followed on {failed}: wait for its end"
