"""What a look did not read proves nothing: neither that a step worked, nor that it did not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actions.orders import Outcome, Phase, Step
from actions.remote.extra import Inhibitor, OrderUnit
from collectors.facts import HostFacts, Operation, Passing, SlotName, Unread
from tests.builders import facts, table
from tests.unit.test_evidence import (
    ACTIVATED,
    CANCELLED,
    EXACT,
    LATER,
    OFFERED,
    REBOOTED,
    ROLLED,
    SOON,
    booted,
    judged,
    shown,
    step,
    with_unit,
)
from tests.unit.test_policy import CHANNEL, LOCALHOST, OFF, OLD, REPAIR, STAGED, extra, seen

NO_CONF = (Unread("conf", "cut", "truncated"),)
RESET = replace(STAGED, operation=Operation.IDLE)


@pytest.mark.parametrize(
    ("of", "changes"),
    [
        (ACTIVATED, {"extensions": None}),
        (ROLLED, {"slot": SlotName.B, "version": OLD, "unread": NO_CONF}),
    ],
)
def test_after_a_boot(of: Step, changes: dict[str, Any]) -> None:
    back = booted(**changes, passing=Passing(uptime_s=90.0, containers=3))
    assert judged(of, seen(back)) is None
    late = replace(back, passing=Passing(uptime_s=300.0, containers=3))
    assert shown(judged(of, seen(late), 400.0)) == (Phase.UNKNOWN, "incomplete")


@pytest.mark.parametrize(
    ("of", "later"),
    [
        (CANCELLED, facts(slots=None)),
        (CANCELLED, facts(operation=None)),
        (step(CHANNEL, seen()), facts(conf=None, unread=NO_CONF)),
        (step(OFF, seen()), facts(conf=None, unread=NO_CONF)),
    ],
)
def test_of_flags_and_lines(of: Step, later: HostFacts) -> None:
    assert judged(of, seen(later)) is None
    outcome = judged(of, seen(later), LATER)
    assert shown(outcome) == (Phase.UNKNOWN, "incomplete")
    assert outcome is not None
    assert outcome.text.endswith("the next look settles it")


def test_a_repair_is_not_done_where_the_preflight_was_not_answered() -> None:
    of = step(REPAIR, seen(facts(conf=LOCALHOST)))
    assert shown(judged(of, seen(facts()))) == (Phase.DONE, "repaired")
    assert shown(judged(of, seen(facts(), extra=None), LATER)) == (Phase.UNKNOWN, "incomplete")


def test_a_step_that_failed_has_failed_whatever_else_was_not_read() -> None:
    outcome = judged(CANCELLED, with_unit(seen(facts(operation=None)), "failed", 81))
    assert shown(outcome) == (Phase.FAILED, "failed")


# -- staging ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", [OFFERED, EXACT])
def test_a_staged_slot_under_an_idle_status_is_told_as_what_it_is(of: Step) -> None:
    assert judged(of, with_unit(seen(RESET), "running", None)) is None
    outcome = judged(of, with_unit(seen(RESET), "exited", 0))
    assert shown(outcome) == (Phase.FAILED, "status-reset")
    assert outcome is not None
    assert "B boots next" in outcome.text


def test_a_status_that_contradicts_the_slots_is_no_end_while_the_unit_runs() -> None:
    waits = facts(operation=Operation.NEED_REBOOT, slots=table("2/0/1", "1/0/1"))
    assert judged(EXACT, with_unit(seen(waits), "running", None)) is None
    assert shown(judged(EXACT, with_unit(seen(waits), "exited", 0))) == (Phase.FAILED, "not-next")


def test_an_updater_that_went_silent_ends_a_step_whose_unit_failed() -> None:
    outcome = judged(EXACT, with_unit(seen(facts(operation=None)), "failed", 81))
    assert shown(outcome) == (Phase.FAILED, "failed")
    assert outcome is not None
    assert "a step failed on the host; update_engine tells no status, A boots next" in outcome.text


# -- how a unit ended ------------------------------------------------------------------------------------


def still_up(status: int, *log: str, inhibitors: tuple[Inhibitor, ...] = ()) -> Outcome:
    unit = OrderUnit("loaded", "failed", "failed", "exit-code", status)
    outcome = judged(REBOOTED, extra(unit=unit, log=log, inhibitors=inhibitors))
    assert shown(outcome) == (Phase.FAILED, "did-not-reboot")
    assert outcome is not None
    return outcome


def test_why_a_host_did_not_reboot() -> None:
    backup = Inhibitor(("shutdown",), "backup", "runs", "block")
    told = still_up(77, inhibitors=(backup,)).text
    assert told == "it did not reboot: a shutdown is inhibited by backup; ask again after its end"
    changed = "it did not reboot: the host's state had changed by then, and nothing was done"
    assert still_up(77).text == changed
    told = still_up(82, "updates off", "update.conf NOT restored").text
    assert told.endswith("not all before it could be undone (update.conf NOT restored)")
    assert judged(REBOOTED, seen(facts()), SOON) is None
