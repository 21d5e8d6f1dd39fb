"""What stops a rollout, what happens to its hosts then, and how it goes on or back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actions.orders import Asked, Verb
from actions.rollout import headline, is_over, may_issue, waits
from actions.rollout_model import CohortPhase, FailKind, HaltRule, HostPhase, RolloutState
from actions.rollout_plan import NotAllowed, Plan
from actions.rollout_talk import CallBack, Disarm, OrderStage, OrderTold, RequestKind
from collectors.fleet_model import OnHalt
from tests.unit.rollout_lab import NEW, NO_PLAN, OLD, Lab, plan_of

WIDE = replace(NO_PLAN, budget=10)
FIRST = "c1-0"


def in_wave(size: int = 4, *, base: Plan = WIDE) -> Lab:
    """A canary passed, and the wave's hosts staged: as many as the budget has have an activate order."""
    lab = Lab(plan_of(1, size, base=base, tolerances=(0,))).start()
    lab.pass_cohort(0)
    lab.stage(*(f"c1-{place}" for place in range(size)))
    return lab


def lost(lab: Lab, host: str) -> None:
    lab.send(host)
    lab.tell(host, OrderStage.UNKNOWN, "missing")


def failed(lab: Lab, host: str, code: str = "reverted") -> None:
    lab.send(host)
    lab.tell(host, OrderStage.FAILED, code, "it went back")


def call_all_back(lab: Lab) -> None:
    for host in sorted(lab.called_back):
        lab.tell(host, OrderStage.NOT_SENT, "called-back")


def test_more_failures_than_tolerated_halt() -> None:
    lab = in_wave(base=replace(WIDE, tolerance=1))
    failed(lab, "c1-0")
    assert lab.stands() is RolloutState.RUNNING
    failed(lab, "c1-1")
    assert lab.stands() is RolloutState.HALTED
    assert lab.cohort(1) is CohortPhase.FAILED
    assert lab.r.halt is not None
    assert lab.r.halt.rule is HaltRule.REVERTED
    assert "2 failed in wave-1 (1 tolerated)" in lab.r.why


def test_the_canary_tolerates_none_of_its_own() -> None:
    lab = Lab(plan_of(1, 1, base=replace(WIDE, tolerance=3), tolerances=(0,))).start()
    lab.tell("c0-0", OrderStage.FAILED, "failed")
    assert lab.r.halt is not None
    assert lab.r.halt.rule is HaltRule.STAGE


def test_another_version_staged_halts_at_once() -> None:
    lab = Lab(plan_of(1, base=replace(WIDE, tolerance=5), tolerances=(5,))).start()
    lab.tell("c0-0", OrderStage.FAILED, "wrong-version")
    assert lab.host("c0-0").failed is FailKind.WRONG_VERSION
    assert lab.stands() is RolloutState.HALTED


def test_a_halt_calls_back_disarms_and_follows() -> None:
    lab = in_wave(4, base=replace(NO_PLAN, budget=3))
    lab.send("c1-1")
    lab.send("c1-0")
    order = lab.open["c1-2"][0]
    intents = lab.tell("c1-0", OrderStage.FAILED, "unhealthy")
    assert [intent.host for intent in intents if isinstance(intent, CallBack)] == ["c1-2"]
    disarmed = [intent for intent in intents if isinstance(intent, Disarm)]
    assert disarmed == [Disarm("c1-3", Asked(Verb.CANCEL, and_updates_off=True))]
    assert "was called back" in str(may_issue(lab.plan, lab.r, "c1-2", lab.now))
    assert "still armed" in headline(lab.plan, lab.r, lab.now)
    lab.tell("c1-2", OrderStage.NOT_SENT, "called-back")
    assert lab.open["c1-2"][1].verb is Verb.CANCEL
    assert lab.open["c1-2"][0] != order
    lab.tell("c1-1", OrderStage.DONE, "activated")
    lab.settle("c1-1")
    assert lab.phase("c1-1") is HostPhase.DONE
    for host in ("c1-2", "c1-3"):
        lab.tell(host, OrderStage.DONE, "cancelled")
        assert lab.phase(host) is HostPhase.PENDING
    assert lab.r.armed == 0


def test_keep_staged_and_a_harmless_failure_leave_hosts_armed() -> None:
    kept = in_wave(2, base=replace(NO_PLAN, keep_staged=True))
    failed(kept, FIRST)
    harmless = in_wave(2, base=NO_PLAN)
    harmless.tell(FIRST, OrderStage.NOT_SENT, "drain-failed")
    for lab in (kept, harmless):
        assert lab.stands() is RolloutState.HALTED
        assert not lab.open
        assert lab.r.armed >= 1


def test_a_disarming_that_fails_is_tried_again_and_then_told() -> None:
    lab = in_wave(2, base=NO_PLAN)
    failed(lab, FIRST)
    for _ in range(5):
        lab.tell("c1-1", OrderStage.REFUSED, "unreachable")
        lab.tick(601)
    assert not lab.open
    assert "1 still armed" in headline(lab.plan, lab.r, lab.now)
    assert any(said.text == "still armed" for said in lab.said)


def test_a_command_that_went_out_before_the_call_back_is_followed() -> None:
    lab = in_wave(2)
    order_id, asked = lab.open["c1-1"]
    failed(lab, FIRST)
    assert "c1-1" in lab.called_back
    lab.give(OrderTold("c1-1", order_id, asked.verb, OrderStage.ISSUED))
    assert lab.phase("c1-1") is HostPhase.REBOOT_ISSUED


def test_failures_that_fill_the_budget_halt() -> None:
    lab = in_wave(4, base=replace(NO_PLAN, budget=2, tolerance=3))
    lost(lab, "c1-0")
    assert lab.stands() is RolloutState.RUNNING
    lost(lab, "c1-1")
    assert lab.r.halt is not None
    assert lab.r.halt.rule is HaltRule.BUDGET_FULL


def test_a_failure_slows_the_rollout_until_it_is_released_or_well_again() -> None:
    lab = in_wave(5, base=replace(NO_PLAN, budget=2, tolerance=3))
    lost(lab, "c1-0")
    assert sorted(lab.open) == ["c1-1"]
    lab.ask(RequestKind.RELEASE_HOST, "went to look", "c1-0")
    assert sorted(lab.open) == ["c1-1", "c1-2"]
    failed(lab, "c1-1", "unhealthy")
    lab.see("c1-1")
    assert sorted(lab.open) == ["c1-2"]
    lab.see("c1-1")
    assert sorted(lab.open) == ["c1-2", "c1-3"]
    with pytest.raises(NotAllowed, match="only a failed"):
        lab.ask(RequestKind.RELEASE_HOST, "why not", "c1-4")


def test_a_failure_before_its_turn_disturbs_nobody() -> None:
    lab = in_wave(3, base=replace(NO_PLAN, budget=1, tolerance=1))
    lab.tell(FIRST, OrderStage.REFUSED, "nothing-staged")
    assert lab.host(FIRST).failed is FailKind.PREFLIGHT
    assert lab.r.disturbed == ("c1-1",)


def test_no_word_by_the_deadline_is_missing() -> None:
    lab = in_wave(1)
    lab.send(FIRST)
    lab.tick(1200 + 300 + 119)
    assert lab.phase(FIRST) is HostPhase.AWAITING_RETURN
    lab.tick(1)
    assert lab.phase(FIRST) is HostPhase.MISSING
    assert lab.stands() is RolloutState.HALTED
    lab.tell(FIRST, OrderStage.DONE, "activated")
    assert lab.phase(FIRST) is HostPhase.MISSING
    assert lab.host(FIRST).is_released


def test_unknown_blocks_until_somebody_knows() -> None:
    lab = in_wave(1, base=replace(WIDE, tolerance=1))
    lab.send(FIRST)
    order_id, asked = lab.open[FIRST]
    lab.tell(FIRST, OrderStage.UNKNOWN, "incomplete")
    lab.tick(90_000)
    assert lab.cohort(1) is CohortPhase.ACTIVATING
    assert lab.r.stalled is not None
    assert "c1-0 is not known" in lab.r.stalled.cause
    lab.give(OrderTold(FIRST, order_id, asked.verb, OrderStage.DONE, "activated"))
    assert lab.phase(FIRST) is HostPhase.SETTLING


def test_a_released_unknown_is_a_failure() -> None:
    lab = in_wave(1)
    lab.send(FIRST)
    lab.tell(FIRST, OrderStage.UNKNOWN, "incomplete")
    lab.ask(RequestKind.RELEASE_HOST, "its disk is dead", FIRST)
    assert lab.phase(FIRST) is HostPhase.MISSING
    assert lab.stands() is RolloutState.HALTED


@pytest.mark.parametrize(
    ("version", "boot", "well", "looks"),
    [(OLD, "b-1", True, 1), (NEW, "b-2", True, 1), (NEW, "b-1", False, 2)],
)
def test_a_done_host_that_falls_ill_before_its_cohort_passed_is_a_failure(
    version: str, boot: str, well: bool, looks: int
) -> None:
    lab = Lab(plan_of(1, 1, base=WIDE)).start()
    lab.stage("c0-0")
    lab.turn("c0-0")
    for _ in range(looks):
        assert lab.phase("c0-0") is HostPhase.DONE
        lab.see("c0-0", well, version, boot)
    assert lab.host("c0-0").failed is FailKind.UNHEALTHY
    assert lab.stands() is RolloutState.HALTED


def test_a_done_host_that_is_silent_too_long_is_missing() -> None:
    lab = Lab(plan_of(1, 1, base=WIDE)).start()
    lab.stage("c0-0")
    lab.turn("c0-0")
    lab.see("c0-0", None)
    lab.tick(1199)
    lab.see("c0-0", None)
    assert lab.phase("c0-0") is HostPhase.DONE
    lab.tick(1)
    lab.see("c0-0", None)
    assert lab.phase("c0-0") is HostPhase.MISSING


# -- pause, abort ------------------------------------------------------------------------------------------


def test_pause_calls_back_and_resume_goes_on() -> None:
    lab = in_wave(3)
    lab.send("c1-0")
    intents = lab.ask(RequestKind.PAUSE, "a change freeze")
    assert [intent.host for intent in intents if isinstance(intent, CallBack)] == ["c1-1", "c1-2"]
    call_all_back(lab)
    assert lab.phase("c1-1") is HostPhase.STAGED
    assert not lab.host("c1-1").holds_budget
    assert waits(lab.plan, lab.r, "c1-1", lab.now) == "paused by jo: a change freeze"
    lab.tell("c1-0", OrderStage.DONE, "activated")
    assert sorted(lab.open) == []
    lab.ask(RequestKind.RESUME)
    assert sorted(lab.open) == ["c1-1", "c1-2"]


def test_a_staging_that_is_called_back_begins_again() -> None:
    lab = Lab(plan_of(1, base=WIDE)).start()
    lab.ask(RequestKind.PAUSE)
    call_all_back(lab)
    assert lab.phase("c0-0") is HostPhase.PENDING
    lab.ask(RequestKind.RESUME)
    assert lab.open["c0-0"][1].verb is Verb.STAGE


@pytest.mark.parametrize("halted", [False, True])
def test_abort_takes_everything_back(halted: bool) -> None:
    lab = in_wave(3, base=replace(NO_PLAN, budget=1))
    if halted:
        lab.tell(FIRST, OrderStage.NOT_SENT, "drain-failed")
    lab.ask(RequestKind.ABORT)
    assert lab.stands() is RolloutState.ABORTED
    assert not is_over(lab.r)
    call_all_back(lab)
    for host in sorted(lab.open):
        assert lab.open[host][1] == Asked(Verb.CANCEL)
        lab.tell(host, OrderStage.DONE, "cancelled")
    assert lab.r.armed == 0
    assert is_over(lab.r)
    with pytest.raises(NotAllowed, match="aborted"):
        lab.ask(RequestKind.PAUSE)


# -- going on after a halt ---------------------------------------------------------------------------------


def test_a_halt_takes_no_plain_resume_and_no_answer_without_a_reason() -> None:
    lab = in_wave(1)
    failed(lab, FIRST)
    lab.ask(RequestKind.PAUSE)
    assert lab.stands() is RolloutState.HALTED
    with pytest.raises(NotAllowed, match="retry-failed, accept-failures with a reason, or roll-back"):
        lab.ask(RequestKind.RESUME)
    for kind in (RequestKind.RETRY_FAILED, RequestKind.ACCEPT_FAILURES, RequestKind.ROLL_BACK):
        with pytest.raises(NotAllowed, match="reason"):
            lab.ask(kind, "")


def test_retry_begins_again_with_the_failed_and_the_disarmed() -> None:
    lab = in_wave(2, base=NO_PLAN)
    failed(lab, FIRST, "unhealthy")
    lab.tell("c1-1", OrderStage.DONE, "cancelled")
    lab.ask(RequestKind.RETRY_FAILED, "the probe was wrong")
    assert lab.stands() is RolloutState.RUNNING
    assert lab.r.halt is None
    assert lab.r.failed == 0
    lab.tell("c1-0", OrderStage.ALREADY, "already-so")
    lab.stage("c1-1")
    lab.tell("c1-0", OrderStage.ALREADY, "already-so")
    assert lab.phase("c1-0") is HostPhase.SETTLING
    lab.settle("c1-0")
    lab.turn("c1-1")
    lab.soak(1)
    assert lab.stands() is RolloutState.COMPLETED


def test_accepted_failures_count_no_more_but_stay_exceptions() -> None:
    lab = in_wave(2, base=NO_PLAN)
    failed(lab, FIRST)
    lab.tell("c1-1", OrderStage.DONE, "cancelled")
    lab.ask(RequestKind.ACCEPT_FAILURES, "a broken disk")
    lab.stage("c1-1")
    lab.turn("c1-1")
    lab.soak(1)
    assert lab.stands() is RolloutState.COMPLETED_WITH_EXCEPTIONS
    assert lab.phase(FIRST) is HostPhase.FAILED


def test_the_answer_must_cover_what_would_halt_again() -> None:
    lab = in_wave(2)
    lab.send("c1-1")
    failed(lab, FIRST)
    lab.tell("c1-1", OrderStage.FAILED, "reverted")
    with pytest.raises(NotAllowed, match="c1-1 failed too"):
        lab.ask(RequestKind.ACCEPT_FAILURES, "one of them", FIRST)


# -- going back ----------------------------------------------------------------------------------------------


def test_a_rollback_takes_back_who_runs_the_target_within_the_budget() -> None:
    lab = in_wave(2, base=NO_PLAN)
    failed(lab, FIRST, "unhealthy")
    lab.tell("c1-1", OrderStage.DONE, "cancelled")
    lab.ask(RequestKind.ROLL_BACK, "kubelet is broken")
    assert {host: asked.verb for host, (_, asked) in lab.open.items()} == {FIRST: Verb.ROLL_BACK}
    assert may_issue(lab.plan, lab.r, FIRST, lab.now) is None
    lab.send(FIRST)
    lab.tell(FIRST, OrderStage.DONE, "rolled-back")
    assert lab.phase(FIRST) is HostPhase.ROLLED_BACK
    assert list(lab.open) == ["c0-0"]
    lab.send("c0-0")
    lab.tell("c0-0", OrderStage.DONE, "rolled-back")
    assert lab.stands() is RolloutState.ROLLED_BACK
    assert lab.phase("c1-1") is HostPhase.PENDING


def test_a_host_that_cannot_go_back_leaves_it_incomplete() -> None:
    lab = in_wave(1, base=replace(WIDE, on_halt=OnHalt.ROLL_BACK))
    failed(lab, FIRST)
    assert lab.stands() is RolloutState.ROLLING_BACK
    assert list(lab.open) == ["c0-0"]
    lab.tell("c0-0", OrderStage.REFUSED, "slot-unproved", "the other slot is not proved")
    assert lab.stands() is RolloutState.ROLLBACK_INCOMPLETE
    assert "c0-0" in lab.r.why


def test_nothing_is_rolled_back_that_never_ran() -> None:
    lab = Lab(plan_of(1, base=WIDE))
    lab.ask(RequestKind.APPROVE)
    with pytest.raises(NotAllowed, match="nothing to roll back"):
        lab.ask(RequestKind.ROLL_BACK)


def test_silence_is_told() -> None:
    plan = plan_of(1, 1, base=WIDE)
    late = replace(plan.hosts[1], reboot_deadline_s=7200)
    slow = Lab(replace(plan, hosts=(plan.hosts[0], late))).start()
    slow.pass_cohort(0)
    slow.stage(FIRST)
    slow.send(FIRST)
    slow.tick(1799)
    assert slow.r.stalled is None
    slow.tick(1)
    assert slow.r.stalled is not None
    assert "nothing moved for 30 minutes: waiting for c1-0" in slow.r.stalled.cause
