"""Rollouts as text: what is said, in which order, and that nothing hostile or too wide comes out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actions.rollout_model import CohortPhase, FailKind, HostPhase, HostState, Rollout, RolloutState
from actions.rollout_tables import EventRow
from console.rollout_preview import at_words, preview_text
from console.rollout_text import failure_words, list_text, needs_person, rollout_text
from console.visible import cells
from tests.builders import NOW
from tests.unit.rollout_planning_lab import NIGHT, loud, planned, stored
from tests.unit.test_rollout_document import MOMENT, PLAN, ROW, rollout

EVENTS = [
    EventRow(1, "2026-11-24T03:00:00.000Z", "rollout", None, "running", "started"),
    EventRow(2, "2026-11-24T03:10:00.000Z", "host", "c0-0", "reboot sent", ""),
]
REVERTED = HostState(
    HostPhase.FAILED, NOW, failed=FailKind.REVERTED, text="came back on 4593.2.3", order_id="o-1"
)


def shown(
    made: Rollout, *, runner: str | None = "console-1 pid 8", ascii: bool = False, width: int = 100
) -> str:
    return rollout_text(
        PLAN, made, ROW, EVENTS, MOMENT,
        people="by jana", runner=runner, colour=False, ascii=ascii, width=width,
    )  # fmt: skip


def preview(
    *special: object, ascii: bool = False, width: int = 100, stored_too: bool | None = True, **wish: object
) -> str:
    made = planned(*special, **wish)  # type: ignore[arg-type]
    return preview_text(made, now=NOW, colour=False, ascii=ascii, width=width, stored=stored_too)


def test_a_preview_says_what_to_whom_when_and_what_next() -> None:
    text = preview(stored("h-5", hold="ops-1432"), windows=(NIGHT,))
    assert text.startswith("r-1  4593.2.5 to canary, wave-1, rest: 8 hosts, 7 take part, 1 left out")
    assert "OS 4593.2.3 → 4593.2.5" in text
    assert "h-[1-2]" in text
    assert "in window night" in text
    assert "held: h-5, ops-1432" in text
    assert "at most 1 host disturbed at once" in text
    assert text.endswith("next: fleetctl rollout start r-1")


def test_problems_come_first_and_name_hosts_and_ways_out() -> None:
    text = preview(loud("h-5"), quiet=False)
    assert text.splitlines()[2].startswith("✗ h-5: would update by themselves")
    assert "--quiet" in text
    assert text.endswith("1 problem: it cannot be started")


def test_what_comes_next_is_said_where_it_is_known() -> None:
    assert preview(stored_too=False).endswith("dry run: the plan is not stored")
    assert "next:" not in preview(stored_too=None)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_line_is_wider_than_the_terminal_and_ascii_is_ascii(width: int) -> None:
    hostile = stored("h-5", hold="\x1b[31mred\u202e and a very long reason " * 8)
    texts = [
        preview(hostile, loud("h-6"), quiet=False, windows=(NIGHT,), ascii=True, width=width),
        shown(rollout(RolloutState.HALTED, c0_0=REVERTED), ascii=True, width=width),
        list_text([(ROW, "running: 0 of 3 done")], now=NOW, colour=False, ascii=True, width=width),
    ]
    for text in texts:
        assert text.isascii()
        assert "\x1b" not in text
        assert max(map(cells, text.splitlines())) <= width


def test_a_halted_rollout_says_its_headline_first_and_the_three_answers() -> None:
    made = replace(rollout(RolloutState.HALTED, c0_0=REVERTED), why="reverted", armed=2)
    lines = shown(made).splitlines()
    assert lines[1] == "■ HALTED"
    assert lines[2].startswith("halted: 0 of 3 done, 1 failed")
    assert "retry-failed r-1 --reason TEXT, accept-failures, or roll-back" in " ".join(lines[3:6])
    assert "c0-0  reverted: came back on 4593.2.3 (o-1)" in shown(made)


def test_the_newest_event_comes_first() -> None:
    lines = shown(rollout()).splitlines()
    at = lines.index("events")
    assert lines[at + 1 :] == ["03:10       c0-0 reboot sent", "03:00       running: started"]


def test_why_hosts_wait_is_told_once_for_all_alike() -> None:
    lines = shown(replace(rollout(RolloutState.PAUSED), by="jana", why="tea")).splitlines()
    told = lines[lines.index("why hosts wait") + 1]
    assert told.startswith("      3  paused by jana: tea: c")


def test_nobody_who_carries_it_out_is_said() -> None:
    assert "nobody carries it out: fleetctl run r-1" in shown(rollout(), runner=None)
    assert "nobody" not in shown(rollout())
    assert "nobody" not in shown(rollout(RolloutState.COMPLETED), runner=None)


def test_who_is_to_do_what_is_said_with_the_command() -> None:
    assert needs_person(PLAN, rollout()) is None
    assert needs_person(PLAN, rollout(RolloutState.DRAFT)) == "fleetctl rollout start r-1"
    assert needs_person(PLAN, rollout(RolloutState.PAUSED)) == "fleetctl rollout resume r-1"
    made = rollout()
    waits = replace(made.cohorts[0], phase=CohortPhase.WAITING_GATE)
    told = needs_person(PLAN, replace(made, cohorts=(waits, made.cohorts[1])))
    assert "promote r-1" in (told or "")


def test_a_failure_says_what_was_answered_to_it() -> None:
    assert failure_words(replace(REVERTED, is_accepted=True)).endswith("; accepted")
    assert failure_words(replace(REVERTED, is_released=True)).endswith("; released")
    assert failure_words(HostState(HostPhase.MISSING)) == "missing"


def test_a_time_far_off_has_its_date_and_its_hour() -> None:
    assert at_words(NOW, NOW) == "03:12"
    assert at_words(NOW + timedelta(days=8), NOW) == "2 Dec 03:12"


def test_colour_says_nothing_that_words_do_not() -> None:
    made = planned(loud("h-5"), quiet=False)
    plain = preview_text(made, now=NOW, colour=False, ascii=False, width=100, stored=True)
    colour = preview_text(made, now=NOW, colour=True, ascii=False, width=100, stored=True)
    bare = "".join(part.partition("m")[2] if at else part for at, part in enumerate(colour.split("\x1b[")))
    assert bare == plain
