"""The rules of a rollout that goes well: who is given what, when, and what it says while it waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta, timezone

import pytest

from actions.orders import Asked, Force, Verb
from actions.rollout import advance, may_issue, waits
from actions.rollout_model import CohortPhase, GateVerdict, HostPhase, RolloutState
from actions.rollout_plan import ActionKind, NotAllowed, Plan, RolloutAction
from actions.rollout_talk import GateTold, LookAt, OrderStage, RequestKind
from actions.waves import ramp
from collectors.fleet_model import Gate, GateKind, GateMode, OnNoData, Window
from tests.unit.rollout_lab import NEW, NO_PLAN, START, Lab, plan_of

WIDE = replace(NO_PLAN, budget=10)
NIGHT = Window("night", tuple(range(7)), time(2, 0), 3600, "Europe/Berlin")
CHANNEL = RolloutAction(ActionKind.CHANNEL, channel="beta")


def given(lab: Lab, verb: Verb) -> list[str]:
    """Hosts with an open order of this verb, in plan order."""
    return sorted(host for host, (_, asked) in lab.open.items() if asked.verb is verb)


def gated(**more: object) -> Plan:
    gate = replace(Gate("errors", GateKind.HTTP, None, url="http://o", tries=2, every_s=60), **more)  # type: ignore[arg-type]
    return plan_of(1, 1, base=replace(WIDE, gates=(gate,)))


def at_gate(plan: Plan) -> Lab:
    lab = Lab(plan).start()
    lab.pass_cohort(0)
    return lab


def test_one_host_from_pending_to_done() -> None:
    lab = Lab(plan_of(1, base=WIDE, soak_s=600)).start()
    assert lab.open["c0-0"][1] == Asked(Verb.STAGE, version=NEW)
    phases = [lab.phase("c0-0")]
    for stage, code in (
        (OrderStage.ISSUED, ""),
        (OrderStage.DONE, "staged"),
        (OrderStage.LEASED, ""),
        (OrderStage.DRAINING, ""),
        (OrderStage.ISSUED, ""),
        (OrderStage.AWAITING, ""),
        (OrderStage.VERIFYING, ""),
        (OrderStage.DONE, "activated"),
    ):
        lab.tell("c0-0", stage, code)
        phases.append(lab.phase("c0-0"))
    lab.settle("c0-0")
    phases.append(lab.phase("c0-0"))
    words = "preflight staging leased leased draining reboot-issued awaiting-return verifying settling done"
    assert phases == words.split()
    lab.soak(0)
    assert lab.r.state is RolloutState.COMPLETED


def test_the_canary_doubles_as_its_hosts_settle() -> None:
    assert [ramp(done) for done in range(8)] == [1, 2, 2, 4, 4, 4, 4, 8]
    lab = Lab(plan_of(7, base=WIDE)).start()
    lab.stage(*given(lab, Verb.STAGE))
    sizes = []
    while turns := given(lab, Verb.ACTIVATE):
        sizes.append(len(turns))
        lab.activate(*turns)
        lab.settle(*turns)
    assert sizes == [1, 2, 4]


def test_a_later_cohort_is_not_touched_before_the_earlier_passed() -> None:
    lab = Lab(plan_of(2, 3, base=WIDE)).start()
    lab.stage("c0-0", "c0-1")
    lab.turn("c0-0")
    assert not [host for host in lab.open if host.startswith("c1")]
    assert "waits for canary" in waits(lab.plan, lab.r, "c1-0", lab.now)
    lab.turn("c0-1")
    lab.tick(3599)
    assert lab.cohort(0) is CohortPhase.SOAKING
    told = waits(lab.plan, lab.r, "c1-0", lab.now)
    assert "which soaks until" in told
    elsewhere = replace(lab.now, wall=lab.now.wall.astimezone(timezone(timedelta(hours=5, minutes=45))))
    assert waits(lab.plan, lab.r, "c1-0", elsewhere) == told, "UTC is UTC, whoever reads it"
    lab.soak(0)
    assert lab.cohort(0) is CohortPhase.PASSED
    assert given(lab, Verb.STAGE) == ["c1-0", "c1-1", "c1-2"]


def test_the_budget_is_held_until_a_host_has_settled() -> None:
    lab = Lab(plan_of(1, 3, base=replace(NO_PLAN, budget=2))).start()
    lab.pass_cohort(0)
    lab.stage("c1-0", "c1-1", "c1-2")
    assert given(lab, Verb.ACTIVATE) == ["c1-0", "c1-1"]
    lab.activate("c1-0")
    lab.tick(599)
    lab.see("c1-0")
    assert waits(lab.plan, lab.r, "c1-2", lab.now) == "budget: 2 of 2 disturbed: c1-0, c1-1"
    lab.pass_s(1)
    lab.see("c1-0")
    assert given(lab, Verb.ACTIVATE) == ["c1-1", "c1-2"]


def test_a_failure_domain_has_its_own_limit() -> None:
    lab = Lab(plan_of(1, 6, base=replace(WIDE, per_label={"zone": 1}))).start()
    lab.pass_cohort(0)
    lab.stage(*given(lab, Verb.STAGE))
    assert given(lab, Verb.ACTIVATE) == ["c1-0", "c1-1", "c1-2"]
    assert waits(lab.plan, lab.r, "c1-3", lab.now) == "zone=a: 1 of 1 disturbed"


def test_fifty_are_staged_at_once() -> None:
    lab = Lab(plan_of(60, base=WIDE)).start()
    assert len(given(lab, Verb.STAGE)) == 50
    lab.stage("c0-0")
    assert len(given(lab, Verb.STAGE)) == 50


def test_a_host_is_done_only_if_it_was_seen_well_at_the_end_of_its_time() -> None:
    lab = Lab(plan_of(1, base=WIDE)).start()
    lab.stage("c0-0")
    lab.activate("c0-0")
    lab.tick(3000)
    assert lab.phase("c0-0") is HostPhase.SETTLING
    assert "c0-0" in lab.looks
    lab.see("c0-0")
    assert lab.phase("c0-0") is HostPhase.DONE


def test_the_soak_ends_with_a_look_at_each_done_host() -> None:
    lab = Lab(plan_of(2, base=WIDE)).start()
    lab.stage("c0-0", "c0-1")
    lab.turn("c0-0", "c0-1")
    intents = lab.tick(3600)
    assert {intent.host for intent in intents if isinstance(intent, LookAt)} == {"c0-0", "c0-1"}
    lab.see("c0-0")
    assert lab.cohort(0) is CohortPhase.SOAKING
    lab.see("c0-1")
    assert lab.r.state is RolloutState.COMPLETED


# -- windows and clocks --------------------------------------------------------------------------------


def test_a_reboot_is_sent_only_with_its_deadline_left_in_the_window() -> None:
    lab = Lab(plan_of(1, base=replace(WIDE, windows=(NIGHT,)))).start()
    lab.stage("c0-0")
    assert not lab.open
    assert "night is shut; it opens Wed 2026-08-19 00:00 UTC" in waits(lab.plan, lab.r, "c0-0", lab.now)
    lab.tick()
    assert lab.r.stalled is not None
    assert "night" in lab.r.stalled.cause
    lab.wall = START.replace(day=19, hour=0, minute=41)
    lab.tick()
    assert not lab.open
    lab.wall = START.replace(day=20, hour=0, minute=39)
    lab.tick()
    assert given(lab, Verb.ACTIVATE) == ["c0-0"]
    assert lab.r.stalled is None
    assert may_issue(lab.plan, lab.r, "c0-0", lab.now) is None
    lab.wall += timedelta(minutes=2)
    assert "shuts" in str(may_issue(lab.plan, lab.r, "c0-0", lab.now))


def test_a_forced_window_has_no_say() -> None:
    base = replace(WIDE, windows=(NIGHT,), forced={Force.WINDOW: "an incident"})
    lab = Lab(plan_of(1, base=base)).start()
    lab.stage("c0-0")
    assert lab.open["c0-0"][1].forces == {Force.WINDOW: "an incident"}
    assert may_issue(lab.plan, lab.r, "c0-0", lab.now) is None


def test_a_jump_of_the_wall_clock_ends_no_settle_time() -> None:
    lab = Lab(plan_of(1, base=WIDE)).start()
    lab.stage("c0-0")
    lab.activate("c0-0")
    lab.pass_s(599)
    lab.wall += timedelta(days=2)
    lab.see("c0-0")
    assert lab.phase("c0-0") is HostPhase.SETTLING


# -- gates ---------------------------------------------------------------------------------------------


def test_a_passing_gate_lets_the_cohort_pass() -> None:
    lab = at_gate(gated())
    assert lab.cohort(0) is CohortPhase.GATE
    assert lab.asked_gates == ["errors"]
    lab.gate("errors", GateVerdict.PASS)
    assert lab.cohort(0) is CohortPhase.PASSED


def test_a_gate_must_be_good_for_its_time() -> None:
    lab = at_gate(gated(for_s=100))
    lab.gate("errors", GateVerdict.PASS)
    for _ in range(2):
        assert lab.cohort(0) is CohortPhase.GATE
        lab.tick(60)
        lab.gate("errors", GateVerdict.PASS)
    assert lab.cohort(0) is CohortPhase.PASSED


@pytest.mark.parametrize(
    ("more", "verdict"),
    [({}, GateVerdict.FAIL), ({"on_no_data": OnNoData.FAIL}, GateVerdict.NO_DATA)],
)
def test_a_failing_gate_halts(more: dict[str, object], verdict: GateVerdict) -> None:
    lab = at_gate(gated(**more))
    lab.gate("errors", verdict)
    assert lab.cohort(0) is CohortPhase.FAILED
    assert lab.r.state is RolloutState.HALTED
    assert lab.r.halt is not None
    assert (lab.r.halt.rule, lab.r.halt.evidence) == ("gate", "sha256:0")


@pytest.mark.parametrize("verdict", [GateVerdict.UNANSWERED, GateVerdict.NO_DATA])
def test_a_gate_that_tells_nothing_waits_for_a_person(verdict: GateVerdict) -> None:
    lab = at_gate(gated())
    lab.gate("errors", verdict)
    assert lab.cohort(0) is CohortPhase.GATE
    lab.tick(60)
    lab.gate("errors", verdict)
    assert lab.cohort(0) is CohortPhase.WAITING_GATE
    lab.tick()
    assert lab.r.stalled is not None
    assert "2 answers in a row told nothing" in lab.r.stalled.cause
    lab.ask(RequestKind.PROMOTE)
    assert lab.cohort(0) is CohortPhase.PASSED


def test_an_observed_gate_has_no_effect() -> None:
    lab = at_gate(gated(mode=GateMode.OBSERVE))
    lab.gate("errors", GateVerdict.FAIL)
    assert lab.cohort(0) is CohortPhase.PASSED


def test_a_persons_gate_waits_for_promote() -> None:
    lab = at_gate(gated(kind=GateKind.PERSON))
    assert lab.cohort(0) is CohortPhase.WAITING_GATE
    with pytest.raises(NotAllowed, match="reason"):
        lab.ask(RequestKind.PROMOTE, " ")
    lab.ask(RequestKind.PROMOTE)
    assert lab.cohort(0) is CohortPhase.PASSED
    assert lab.r.cohorts[0].promoted_by == "jo"


def test_promote_cuts_a_soak_short() -> None:
    lab = Lab(plan_of(1, 1, base=WIDE)).start()
    lab.stage("c0-0")
    with pytest.raises(NotAllowed, match="neither"):
        lab.ask(RequestKind.PROMOTE)
    lab.turn("c0-0")
    lab.tick(60)
    lab.ask(RequestKind.PROMOTE)
    lab.all_well()
    assert lab.cohort(0) is CohortPhase.PASSED


def test_an_answer_that_was_not_asked_for_changes_nothing() -> None:
    lab = Lab(gated()).start()
    before = lab.r
    lab.gate("errors", GateVerdict.FAIL)
    assert lab.r == before
    with pytest.raises(NotAllowed, match="no gate"):
        advance(lab.plan, lab.r, GateTold("other", GateVerdict.PASS), lab.now)
