"""A rollout's board as lines: as wide as asked for, nothing drawn by a host, each sign with its word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.rollout_model import CohortPhase, FailKind, HostPhase, RolloutState
from actions.rollout_talk import RequestKind
from console.board import Look
from console.keys import Home, actions_of
from console.palette import COLOUR_BLIND, LIGHT
from console.render_rollout import head_lines, needed, state_sign, tile_sign, width_of
from console.render_rollout_asks import Wish, wish
from console.render_rollout_limits import failure_limit, gauges
from console.render_rollout_rows import Part, Row, Shape, board_rows, list_line, moved, news_lines, tiles_line
from console.render_rollout_time import time_lines
from console.rollout_board import EventLine, RolloutBoard, RolloutLine, Tile
from console.tone import Pen, Tone
from tests.unit.rollout_lab import START, Lab
from tests.unit.test_rollout_board import BERLIN, board_of, card_in, halted, night_plan, soaking, wave

OTHERS = (
    RolloutLine(
        "r-57", "4593.2.4 to canary, rest", RolloutState.COMPLETED, START - timedelta(days=6),
        START - timedelta(days=5), (1676, 1676),
    ),
    RolloutLine("r-59", "channel beta to build", RolloutState.DRAFT, START - timedelta(hours=1)),
)  # fmt: skip
EMPTY = RolloutBoard((), None, START.astimezone(BERLIN))
BOARDS = {
    "running": board_of(wave(), *OTHERS),
    "soaking": board_of(soaking()),
    "halted": board_of(halted(), *OTHERS),
    "draft": board_of(Lab(night_plan(3, 12, 80))),
    "empty": EMPTY,
}
LOOKS = (
    Look(),
    Look(ascii=True),
    Look(plain=True),
    Look(ascii=True, plain=True),
    Look(LIGHT),
    Look(COLOUR_BLIND),
)
every_look = pytest.mark.parametrize(
    "look", LOOKS, ids=lambda look: f"{look.palette.name}{look.ascii}{look.plain}"
)
PEN = Pen(False, False)


def all_lines(board: RolloutBoard, look: Look, width: int, height: int = 40) -> list[str]:
    lines = head_lines(board, look, width, height)
    for is_side, is_full in ((False, False), (True, False), (False, True)):
        for row in board_rows(board, look, Shape(width, is_side, is_full)):
            lines.append(tiles_line(row.tiles, look, None) if row.tiles else row.text)
    for line in board.rollouts:
        lines.append(list_line(line, board.now, look, width, is_chosen=True, is_at=False))
    return lines


@every_look
@pytest.mark.parametrize("name", BOARDS)
def test_no_line_is_wider_than_asked_for(name: str, look: Look) -> None:
    for width in (40, 60, 76, 80, 99, 100, 109, 110, 120, 143, 196):
        for line in all_lines(BOARDS[name], look, width):
            assert width_of(line) <= width, line
            assert not look.ascii or line.isascii(), line


@given(st.text(max_size=40), st.text(max_size=60), st.integers(40, 200))
def test_no_text_from_elsewhere_draws_anything(text: str, cause: str, width: int) -> None:
    board = BOARDS["halted"]
    card = card_in(board)
    event = EventLine(1, board.now, "host", text or None, text, cause)
    told = replace(card.told, title=text, people=text, events=(event,))
    first = card.failures[0]
    worst = replace(first, state=replace(first.state, text=text), said=(cause,))
    card = replace(card, told=told, failures=(worst,))
    lines = all_lines(replace(board, card=card), Look(plain=True, ascii=True), width)
    for line in lines:
        assert width_of(line) <= width
        assert line.isascii()


def test_each_phase_has_a_sign_of_its_own_words_in_both_alphabets() -> None:
    for phase in HostPhase:
        tile = Tile("a", phase)
        sign, plain = tile_sign(tile, PEN), tile_sign(tile, Pen(False, True))
        assert len(sign.glyph) == 1
        assert plain.glyph.isascii()
        assert sign.word == plain.word
        assert sign.is_loud == phase.is_failure
    reverted = Tile("a", HostPhase.FAILED, FailKind.REVERTED)
    assert tile_sign(reverted, PEN).word == "reverted"
    assert not tile_sign(replace(reverted, is_accepted=True), PEN).is_loud
    assert tile_sign(Tile("a", HostPhase.UNKNOWN), PEN).tone is Tone.UNKNOWN


def test_only_halted_is_loud() -> None:
    assert [state for state in RolloutState if state_sign(state, PEN).is_loud] == [RolloutState.HALTED]
    alert = Look().paint.alert
    loud = [name for name, board in BOARDS.items() if alert in "".join(head_lines(board, Look(), 120, 40))]
    assert loud == ["halted"]


def test_the_sentence_says_what_is_needed() -> None:
    assert needed(card_in(BOARDS["running"]), START)[0].startswith("Nothing needs you now.")
    assert "`fleetctl rollout start r-58`" in needed(card_in(BOARDS["draft"]), START)[0]
    left = board_of(soaking(), runner=None)
    assert needed(card_in(left), left.now) == (
        "Nobody carries it out: `fleetctl run r-58` goes on with it.",
        Tone.WARN,
    )
    assert "fleetctl rollout plan" in "\n".join(head_lines(EMPTY, Look(plain=True), 120, 40))


def test_the_gauges_say_limits_in_numbers_too() -> None:
    text = "\n".join(gauges(card_in(BOARDS["running"]), BOARDS["running"].now, Look(plain=True), 120))
    assert "6 of 6" in text
    assert "1 held by failures" in text
    assert "edge-bbb-004" in text
    assert "the 2nd halts" in text
    assert "1 h 43 min left" in text


def test_the_nearer_limit_of_failures_counts() -> None:
    card = card_in(BOARDS["running"])
    assert failure_limit(card) == (1, 1, "in all")
    canary = card_in(board_of(soaking()))
    canary = replace(canary, plan=replace(canary.plan, tolerance=5))
    assert failure_limit(canary) == (0, 0, "canary")


def test_the_soak_tells_its_margin_to_the_window() -> None:
    board = BOARDS["soaking"]
    *_, words = time_lines(card_in(board), board.now, Look(plain=True), 120)
    assert words.startswith("soaks 20 min more, passes 12:57 at the earliest, 2 h 2 min before")
    late = time_lines(card_in(board), board.now + timedelta(minutes=30), Look(plain=True), 120)
    assert late[-1].startswith("the soak is over")
    assert time_lines(card_in(BOARDS["halted"]), board.now, Look(), 120) == []


def test_a_cohort_whose_turn_it_is_not_is_folded_unless_the_cursor_is_in_it() -> None:
    board = board_of(Lab(night_plan(3, 12, 900)))
    folded, whole = Shape(80), Shape(80, unfolded=2)
    rows = [sum(len(row.tiles) for row in board_rows(board, Look(), shape)) for shape in (folded, whole)]
    assert rows == [3 + 12 + 3 * 40, 915]
    assert any("and 780 more" in row.text for row in board_rows(board, Look(), folded))


def test_in_a_narrow_place_the_answers_come_before_the_evidence() -> None:
    texts = [row.text for row in board_rows(BOARDS["halted"], Look(plain=True), Shape(76))]
    wide = [row.text for row in board_rows(BOARDS["halted"], Look(plain=True), Shape(160))]
    for rows, is_first in ((texts, True), (wide, False)):
        places = [
            next(at for at, row in enumerate(rows) if word in row) for word in ("answer one", "what failed")
        ]
        assert (places[0] < places[1]) == is_first
    assert next(at for at, row in enumerate(texts) if "Roll back" in row) < 12


def test_all_events_are_shown_when_asked_for() -> None:
    card = card_in(BOARDS["running"])
    few = news_lines(card, START, Look(plain=True), Shape(80))
    full = news_lines(card, START, Look(plain=True), Shape(80, is_full=True))
    assert len(full) == len(card.told.events) + 1
    assert "plan" in "\n".join(few)


def test_the_cursor_goes_from_row_to_row() -> None:
    tiles = [Tile(f"h{at}", HostPhase.PENDING) for at in range(7)]
    board = [
        Row(Part.BOARD, tiles=tuple(tiles[:4])),
        Row(Part.BOARD, "head"),
        Row(Part.BOARD, tiles=tuple(tiles[4:])),
    ]
    assert moved(board, 0, "h1", 1, 0) == "h2"
    assert moved(board, 0, "h3", 1, 0) == "h4"
    assert moved(board, 2, "h4", -1, 0) == "h3"
    assert moved(board, 0, "h3", 0, 1) == "h6"
    assert moved(board, 2, "h6", 0, 1) is None
    assert moved(board, 0, "h0", -1, 0) is None


# -- what can be asked for --------------------------------------------------------------------------


def test_keys_are_used_once_and_dangerous_ones_have_a_verb() -> None:
    actions = actions_of(Home.ROLLOUTS)
    assert len({action.keys for action in actions}) == len(actions)
    assert not {"u", "p", "R", "question_mark", "colon", "escape"} & {action.keys for action in actions}
    assert all(action.dangerous == (action.verb is not None) for action in actions)
    assert [action.verb for action in actions if action.keys == "P"] == ["rollout pause"]


ALLOWED = {
    "running": {"pause", "abort", "roll-back", "release-host"},
    "soaking": {"pause", "abort", "roll-back", "promote"},
    "halted": {"abort", "retry-failed", "accept-failures", "roll-back", "release-host"},
    "draft": {"approve", "pause", "abort"},
}


@pytest.mark.parametrize("name", ALLOWED)
def test_only_what_the_state_allows_is_asked_for(name: str) -> None:
    card, now = card_in(BOARDS[name]), BOARDS[name].now
    host = card.failures[0].host if card.failures else None
    found = {kind: wish(card, kind, host, now) for kind in RequestKind}
    assert {str(kind) for kind, one in found.items() if isinstance(one, Wish)} == ALLOWED[name]
    assert all(one for one in found.values() if isinstance(one, str))


def test_a_roll_back_names_how_many_hosts_it_expects() -> None:
    board = BOARDS["halted"]
    found = wish(card_in(board), RequestKind.ROLL_BACK, None, board.now)
    assert found == Wish(RequestKind.ROLL_BACK, "r-58", (), 4)


def test_every_phase_of_a_cohort_can_be_drawn() -> None:
    board = BOARDS["soaking"]
    card = card_in(board)
    for phase in CohortPhase:
        cohort = replace(card.cohorts[0], state=replace(card.cohorts[0].state, phase=phase))
        shown = replace(board, card=replace(card, cohorts=(cohort, *card.cohorts[1:])))
        text = "\n".join(row.text for row in board_rows(shown, Look(plain=True), Shape(100)))
        assert str(phase).replace("-", " ").upper() in text


@pytest.mark.parametrize("state", [state for state in RolloutState if state is not RolloutState.HALTED])
def test_every_state_of_a_rollout_has_its_sentence(state: RolloutState) -> None:
    board = BOARDS["running"]
    card = card_in(board)
    shown = replace(board, card=replace(card, r=replace(card.r, state=state, why="so it is", by="jo")))
    lines = head_lines(shown, Look(plain=True), 120, 40)
    assert str(state).replace("-", " ").upper() in lines[0]
    assert len(lines[1]) > 10
