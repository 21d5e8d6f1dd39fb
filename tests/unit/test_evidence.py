"""What a later look proves of a step, in its time: done, failed, unknown, or nothing yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from actions.evidence import judge_outcome
from actions.orders import Asked, Outcome, Phase, Step, Verb
from actions.planning import plan_step
from actions.policy import decide
from actions.policy_look import Look
from actions.remote.extra import OrderUnit, UnitFile
from collectors.errors import Reach
from collectors.facts import (
    Attempt,
    Coordinator,
    CoordinatorState,
    ExtensionMeta,
    Extensions,
    Flags,
    HostFacts,
    Identity,
    Operation,
    Passing,
    SlotName,
    Unread,
    UpdateConf,
)
from collectors.memory import Memory
from collectors.observation import ProbeFailed
from tests.builders import HEALTHY, NOW, UNITS, facts, table, unit
from tests.unit.test_policy import (
    ACTIVATE,
    BACK,
    CANCEL,
    CHANNEL,
    DISABLED,
    FREE,
    LOCALHOST,
    NEW,
    OFF,
    OFFER,
    OLD,
    REBOOT,
    REPAIR,
    ROLL_BACK,
    STAGE,
    STAGED,
    UP,
    extra,
    seen,
)

Seen = Look | ProbeFailed
Ended = tuple[Phase, str] | None
SOON, LATER = 20.0, 4000.0
BEFORE, AFTER = NOW - timedelta(minutes=30), NOW + timedelta(seconds=9)
EXTENDED = Extensions(merged=("tool",), meta={"tool": ExtensionMeta(id="_any")})
WELL = facts(
    extensions=EXTENDED,
    passing=Passing(uptime_s=9000.0, containers=3, last_checked_at=BEFORE),
    attempt=Attempt(started_at=BEFORE, no_update=True),
)


FORGOTTEN = replace(STAGED, new_version=None, attempt=Attempt())
OTHER_MACHINE = Identity(machine_id="b" * 32, boot_id="boot-9")
INSTALLED_ANEW = Memory("a" * 32, "i-2", AFTER, replaces="a" * 32)
UNSTAGED = facts(slots=table("2/0/1", "1/1/0"))
PLANNED = Coordinator(state=CoordinatorState.REBOOT_PLANNED)


def step(asked: Asked, look: Look) -> Step:
    decision = decide(asked, look)
    assert decision == ()
    return plan_step(asked, look, decision)


def judged(of: Step, later: Seen, after_s: float = SOON) -> Outcome | None:
    return judge_outcome(of, NOW, later, NOW + timedelta(seconds=after_s))


def shown(outcome: Outcome | None) -> Ended:
    return (outcome.phase, outcome.code) if outcome else None


def lost(reach: Reach = Reach.UNREACHABLE) -> ProbeFailed:
    return ProbeFailed("node-1", NOW, reach, "no answer")


def with_unit(later: Look, sub: str, status: int | None) -> Look:
    assert later.extra is not None
    ran = OrderUnit("loaded", "active", sub, "success", status)
    return replace(later, extra=replace(later.extra, unit=ran, log=("ended",)))


def checked(**changes: Any) -> Attempt:
    """A check that the journal did not tell of when the step was planned."""
    return Attempt(started_at=AFTER, **changes)


def booted(slot: SlotName = SlotName.B, version: str = NEW, **changes: Any) -> HostFacts:
    """Back from a reboot, confirmed and well, but for `changes`."""
    flags = table("1/0/1", "2/0/1") if slot is SlotName.B else table("2/0/1", "1/0/0")
    back: dict[str, Any] = {
        "identity": replace(HEALTHY.identity, boot_id="boot-2"),
        "os": replace(HEALTHY.os, version=version, version_id=version),
        "running": slot,
        "slots": flags,
        "passing": Passing(uptime_s=90.0, containers=3),
    }
    return replace(WELL, **(back | changes))


OFFERED = step(OFFER, seen(WELL))
EXACT = step(STAGE, seen(WELL))
ACTIVATED = step(ACTIVATE, seen(replace(STAGED, extensions=EXTENDED, passing=WELL.passing)))
REBOOTED = step(REBOOT, seen(WELL))
ROLLED = step(ROLL_BACK, replace(BACK, seen=seen(WELL).seen))
CANCELLED = step(CANCEL, seen(STAGED))
ALL = (
    OFFERED,
    EXACT,
    ACTIVATED,
    REBOOTED,
    ROLLED,
    CANCELLED,
    step(CHANNEL, seen(WELL)),
    step(OFF, seen(WELL)),
)


# -- staging ---------------------------------------------------------------------------------------------


def idle(attempt: Attempt | None, **changes: Any) -> Look:
    return seen(replace(WELL, attempt=attempt, **changes))


@pytest.mark.parametrize(
    ("later", "after_s", "expected"),
    [
        (seen(STAGED), SOON, (Phase.DONE, "staged")),
        (seen(FORGOTTEN), SOON, (Phase.DONE, "staged")),
        (seen(replace(STAGED, slots=table("2/0/1", "1/1/0"))), SOON, (Phase.FAILED, "not-next")),
        (idle(checked(no_update=True)), 5.9, None),
        (idle(checked(no_update=True)), 6.0, (Phase.DONE, "nothing-offered")),
        (idle(WELL.attempt, passing=Passing(last_checked_at=AFTER)), SOON, (Phase.DONE, "nothing-offered")),
        (idle(WELL.attempt), SOON, None),
        (idle(WELL.attempt), LATER, (Phase.UNKNOWN, "unknown")),
        (idle(checked()), SOON, None),
        (idle(checked(failed=True, error_code=37, failed_at=AFTER)), SOON, (Phase.FAILED, "failed")),
        (idle(checked(error_code=40, detail="deferred until 2026")), SOON, (Phase.FAILED, "deferred")),
        (seen(facts(operation=Operation.DOWNLOADING)), SOON, None),
        (seen(facts(operation=Operation.REPORTING_ERROR)), SOON, None),
        (seen(facts(operation=Operation.DOWNLOADING)), LATER, (Phase.UNKNOWN, "unknown")),
        (seen(facts(operation=None)), SOON, None),
        (seen(facts(operation=None)), LATER, (Phase.UNKNOWN, "unknown")),
        (seen(facts(running=None)), LATER, (Phase.UNKNOWN, "incomplete")),
        (with_unit(idle(WELL.attempt), "failed", 81), SOON, (Phase.FAILED, "failed")),
        (seen(booted(SlotName.A, "4593.2.5")), SOON, (Phase.FAILED, "rebooted-meanwhile")),
        (seen(booted()), SOON, (Phase.FAILED, "activated-itself")),
        (lost(), SOON, None),
        (lost(), LATER, (Phase.UNKNOWN, "unknown")),
    ],
)
def test_what_becomes_of_the_servers_offer(later: Seen, after_s: float, expected: Ended) -> None:
    assert shown(judged(OFFERED, later, after_s)) == expected


@pytest.mark.parametrize(
    ("later", "after_s", "expected"),
    [
        (seen(STAGED), SOON, (Phase.DONE, "staged")),
        (seen(replace(STAGED, new_version="4593.2.7")), SOON, (Phase.FAILED, "wrong-version")),
        (seen(FORGOTTEN), SOON, None),
        (seen(FORGOTTEN), LATER, (Phase.UNKNOWN, "version-unknown")),
        (extra(STAGED, conf_digest="d" * 64), SOON, None),
        (extra(STAGED, conf_digest="d" * 64), LATER, (Phase.FAILED, "conf-changed")),
        (with_unit(extra(STAGED, conf_digest="d" * 64), "exited", 0), SOON, (Phase.FAILED, "conf-changed")),
        (seen(STAGED, extra=None), SOON, None),
        (seen(STAGED, extra=None), LATER, (Phase.UNKNOWN, "conf-unread")),
        (idle(WELL.attempt), SOON, None),
        (with_unit(idle(checked(no_update=True)), "running", None), SOON, None),
        (with_unit(idle(WELL.attempt), "failed", 81), SOON, (Phase.FAILED, "failed")),
        (with_unit(idle(WELL.attempt), "exited", 0), SOON, None),
        (with_unit(idle(WELL.attempt), "exited", 0), LATER, (Phase.FAILED, "failed")),
        (idle(checked(failed=True, error_code=10)), SOON, (Phase.FAILED, "failed")),
        (with_unit(idle(checked(no_update=True)), "failed", 81), SOON, (Phase.FAILED, "nothing-offered")),
        (idle(WELL.attempt), LATER, (Phase.UNKNOWN, "unknown")),
    ],
)
def test_what_becomes_of_an_exact_version(later: Look, after_s: float, expected: Ended) -> None:
    assert shown(judged(EXACT, later, after_s)) == expected


def test_trap_01_an_end_without_an_error_is_a_failure_where_the_journal_says_so() -> None:
    look = idle(checked(failed=True, error_code=268435466, error_name="PayloadHashMismatchError"))
    outcome = judged(OFFERED, look)
    assert outcome is not None
    assert outcome.text.startswith("failed 10 PayloadHashMismatchError: ")
    assert outcome.evidence["error_code"] == 10


def test_trap_ue_04_idle_alone_is_no_answer() -> None:
    assert judged(OFFERED, seen(WELL), 600) is None


def test_trap_ue_05_a_last_check_that_went_to_nothing_is_no_answer() -> None:
    """0 only says that the daemon started anew."""
    assert judged(OFFERED, idle(WELL.attempt, passing=Passing(last_checked_at=None))) is None


def test_trap_ue_06_a_version_that_the_updater_forgot_is_read_from_the_journal() -> None:
    outcome = judged(EXACT, seen(replace(STAGED, new_version=None)))
    assert shown(outcome) == (Phase.DONE, "staged")


def test_trap_09_staged_is_not_done_while_update_conf_points_at_the_host_itself() -> None:
    left = extra(replace(STAGED, conf=LOCALHOST), conf_digest="e" * 64)
    assert shown(judged(EXACT, with_unit(left, "failed", 82))) == (Phase.FAILED, "conf-changed")


def test_a_hostile_version_in_the_journal_is_not_repeated() -> None:
    outcome = judged(OFFERED, idle(checked(failed=True, error_code=9, offered_version="1;reboot")))
    assert outcome is not None
    assert outcome.evidence["version"] is None


# -- reboots ---------------------------------------------------------------------------------------------

UNCONFIRMED = table("1/0/1", "2/0/0")


@pytest.mark.parametrize(
    ("later", "after_s", "expected"),
    [
        (seen(booted()), SOON, (Phase.DONE, "activated")),
        (seen(booted(slots=UNCONFIRMED)), SOON, None),
        (
            seen(booted(slots=UNCONFIRMED, passing=Passing(uptime_s=301.0))),
            400.0,
            (Phase.FAILED, "unconfirmed"),
        ),
        # The clock of a container's machine: no boot is older than its order.
        (seen(booted(slots=UNCONFIRMED, passing=Passing(uptime_s=90000.0))), 299.0, None),
        (seen(booted(slots=UNCONFIRMED, passing=Passing())), 1300.0, None),
        (seen(booted(slots=UNCONFIRMED, passing=Passing())), 1501.0, (Phase.FAILED, "unconfirmed")),
        (seen(booted(SlotName.A, "4593.2.5")), SOON, (Phase.FAILED, "reverted")),
        (seen(booted(version="4593.2.7")), SOON, (Phase.FAILED, "wrong-version")),
        (seen(booted(running=None)), SOON, None),
        (seen(booted(running=None)), LATER, (Phase.UNKNOWN, "incomplete")),
        (seen(booted(complete=False)), SOON, None),
        (seen(booted(complete=False)), LATER, (Phase.UNKNOWN, "incomplete")),
        (seen(STAGED), SOON, None),
        (seen(STAGED), LATER, (Phase.FAILED, "did-not-reboot")),
        (with_unit(seen(STAGED), "failed", 77), SOON, (Phase.FAILED, "did-not-reboot")),
        (lost(Reach.REBOOTING), SOON, None),
        (lost(Reach.TIMEOUT), 1199.0, None),
        (lost(Reach.TIMEOUT), 1200.0, (Phase.UNKNOWN, "missing")),
        (lost(Reach.AUTH_FAILED), LATER, (Phase.UNKNOWN, "missing")),
        (lost(Reach.HOST_KEY_CHANGED), SOON, None),
        (lost(Reach.HOST_KEY_CHANGED), LATER, (Phase.UNKNOWN, "host-key-changed")),
        (lost(Reach.NOT_FLATCAR), LATER, (Phase.UNKNOWN, "replaced")),
        (seen(booted(identity=OTHER_MACHINE)), SOON, (Phase.UNKNOWN, "replaced")),
        (seen(booted(), memory=INSTALLED_ANEW), SOON, (Phase.UNKNOWN, "replaced")),
    ],
)
def test_what_becomes_of_an_activation(later: Seen, after_s: float, expected: Ended) -> None:
    assert shown(judged(ACTIVATED, later, after_s)) == expected


ILL: Mapping[str, tuple[str, dict[str, Any]]] = {
    "an extension": ("extension-missing", {"extensions": Extensions()}),
    "a failed unit": ("unhealthy", {"failed_units": ("db.service",)}),
    "units unread": ("unhealthy", {"failed_units": None}),
    "containerd": ("unhealthy", {"units": UNITS | {"containerd.service": unit("inactive")}}),
    "a unit gone": ("unhealthy", {"units": {}}),
}


@pytest.mark.parametrize("what", ILL)
def test_worse_than_before_is_waited_for_and_then_a_failure(what: str) -> None:
    code, changes = ILL[what]
    early = booted(passing=Passing(uptime_s=90.0, containers=3), **changes)
    late = booted(passing=Passing(uptime_s=300.0, containers=3), **changes)
    assert judged(ACTIVATED, seen(early)) is None
    assert shown(judged(ACTIVATED, seen(late), 400.0)) == (Phase.FAILED, code)


def test_containers_that_ran_must_run_again() -> None:
    assert judged(ACTIVATED, seen(booted(passing=Passing(uptime_s=90.0, containers=2)))) is None
    outcome = judged(ACTIVATED, seen(booted(passing=Passing(uptime_s=400.0))), 500.0)
    assert outcome is not None
    assert outcome.text == f"B {NEW} runs, but worse than before: no containers are seen to run, 3 did"


def test_what_was_ill_before_is_no_failure_of_the_reboot() -> None:
    assert ACTIVATED.baseline is not None
    ill = ("db.service",)
    was = replace(ACTIVATED, baseline=replace(ACTIVATED.baseline, failed_units=ill))
    assert shown(judged(was, seen(booted(failed_units=ill)))) == (Phase.DONE, "activated")


def test_a_reboot_comes_back_in_the_same_slot() -> None:
    same = booted(SlotName.A, "4593.2.5")
    assert shown(judged(REBOOTED, seen(same))) == (Phase.DONE, "rebooted")
    assert shown(judged(REBOOTED, seen(booted()))) == (Phase.FAILED, "wrong-slot")


def test_a_roll_back_runs_the_older_version_and_its_updates_are_off() -> None:
    back = booted(SlotName.B, OLD, conf=DISABLED)
    assert shown(judged(ROLLED, seen(back))) == (Phase.DONE, "rolled-back")
    assert shown(judged(ROLLED, seen(replace(back, conf=UpdateConf())))) == (Phase.FAILED, "updates-not-set")
    assert shown(judged(ROLLED, seen(booted(SlotName.A, "4593.2.5")))) == (Phase.FAILED, "reverted")


def test_trap_08_and_uptime_is_no_proof_of_a_reboot() -> None:
    young = replace(STAGED, passing=Passing(uptime_s=5.0))
    assert judged(ACTIVATED, seen(young)) is None


# -- flags and lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("later", "after_s", "expected"),
    [
        (seen(UNSTAGED), SOON, (Phase.DONE, "cancelled")),
        (seen(STAGED), SOON, None),
        (seen(STAGED), LATER, (Phase.FAILED, "failed")),
        (with_unit(seen(STAGED), "failed", 81), SOON, (Phase.FAILED, "failed")),
        (seen(replace(UNSTAGED, flags=Flags(False, True, False, False))), SOON, None),
        (seen(replace(UNSTAGED, flags=Flags(True, False, False, False))), SOON, None),
        (seen(replace(STAGED, operation=Operation.IDLE)), SOON, None),
        (seen(replace(UNSTAGED, **UP, coordinator=PLANNED)), LATER, (Phase.FAILED, "failed")),
        (seen(booted()), SOON, (Phase.FAILED, "activated-itself")),
        (lost(), LATER, (Phase.UNKNOWN, "unknown")),
    ],
)
def test_what_becomes_of_a_cancel(later: Seen, after_s: float, expected: Ended) -> None:
    assert shown(judged(CANCELLED, later, after_s)) == expected


def test_trap_04_a_reset_without_the_gpt_is_no_cancel() -> None:
    outcome = judged(
        CANCELLED, seen(replace(STAGED, operation=Operation.IDLE, flags=Flags(False, False))), LATER
    )
    assert outcome is not None
    assert outcome.text == "not as ordered: B boots next; look at the host, then ask again"


def test_cancel_with_updates_off_needs_both() -> None:
    both = step(replace(CANCEL, and_updates_off=True), seen(STAGED))
    assert judged(both, seen(UNSTAGED)) is None
    assert shown(judged(both, seen(replace(UNSTAGED, conf=DISABLED)))) == (Phase.DONE, "cancelled")


def test_a_channel_is_set_when_the_host_reads_it_so() -> None:
    ordered = step(CHANNEL, seen())
    assert judged(ordered, seen()) is None
    assert shown(judged(ordered, seen(), LATER)) == (Phase.FAILED, "failed")
    beta = facts(conf=UpdateConf(group="beta"))
    assert shown(judged(ordered, seen(beta))) == (Phase.DONE, "channel-set")
    unread = replace(beta, unread=(Unread("conf", "ended with 2"),))
    assert judged(ordered, seen(unread)) is None


def test_updates_are_set_when_the_host_reads_them_so() -> None:
    ordered = step(OFF, seen())
    assert judged(ordered, seen()) is None
    assert shown(judged(ordered, seen(facts(conf=DISABLED)))) == (Phase.DONE, "updates-set")


def test_a_repair_is_done_when_nothing_is_left() -> None:
    held = replace(FREE, runtime=UnitFile.MASK, held_by="o-gone")
    ordered = step(REPAIR, extra(facts(conf=LOCALHOST), locksmithd=held))
    assert judged(ordered, extra(facts(), locksmithd=held)) is None
    assert shown(judged(ordered, extra(facts(), locksmithd=FREE))) == (Phase.DONE, "repaired")


@pytest.mark.parametrize("of", ALL, ids=lambda of: str(of.verb))
def test_an_outcome_names_its_evidence_and_when(of: Step) -> None:
    outcome = judged(of, lost(), 100_000)
    assert outcome is not None
    assert outcome.phase is Phase.UNKNOWN
    assert outcome.evidence == {"reach": "unreachable"}
    assert isinstance(outcome.at, datetime)


def test_every_verb_has_words_for_its_end() -> None:
    assert {of.verb for of in ALL} | {Verb.REPAIR} == set(Verb)
