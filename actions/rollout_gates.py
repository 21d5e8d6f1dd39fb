"""The gate of a cohort: what is asked, what the answers mean, who is waited for. Pure.

A failing answer of an enforced gate halts. One that cannot be asked, or tells nothing, is no failure: so many
in a row wait for a person. Nothing inconclusive ever promotes; an observed gate is recorded without effect.
"""

from __future__ import annotations

from dataclasses import replace

from actions.rollout_desk import Desk
from actions.rollout_halt import halt
from actions.rollout_model import CohortPhase, CohortState, GateState, GateVerdict, HaltRule, RolloutState
from actions.rollout_plan import NotAllowed, Plan
from actions.rollout_talk import AskGate, GateTold, Said
from collectors.fleet_model import Gate, GateKind, GateMode, OnNoData

SKIPPED_PERCENT = 10
"""More of a cohort left out while it ran, and its gate waits for a person."""
UNASKED_S = 300.0
"""A question without an answer so long is asked again."""

_ASKED_IN = (CohortPhase.GATE, CohortPhase.WAITING_GATE)


def skips_too_many(plan: Plan, number: int, cohort: CohortState) -> bool:
    total = len(plan.by_cohort[number])
    return not cohort.skips_accepted and cohort.skipped * 100 > total * SKIPPED_PERCENT


def gate_told(desk: Desk, news: GateTold) -> None:
    """Raises NotAllowed for a gate that the plan does not have."""
    gate = next((gate for gate in desk.plan.gates if gate.name == news.gate), None)
    if gate is None:
        raise NotAllowed(f"the plan has no gate {news.gate}")
    state = desk.r.gates.get(gate.name)
    if state is None or not state.is_asking:
        return
    answered = replace(
        state, is_asking=False, verdict=news.verdict, digest=news.digest or None, text=news.text
    )
    desk.tell(Said.GATE, gate.name, str(news.verdict), news.text)
    _weigh(desk, gate, answered)


def _weigh(desk: Desk, gate: Gate, state: GateState) -> None:
    verdict, observed = state.verdict, gate.mode is GateMode.OBSERVE
    if observed:
        _keep(desk, gate, replace(state, is_met=True))
        return
    if verdict is GateVerdict.PASS:
        since = state.good_since or desk.now.steady
        met = (desk.now.steady - since).total_seconds() >= gate.for_s
        _keep(desk, gate, replace(state, good_since=since, misses=0, is_met=state.is_met or met))
        return
    no_data = verdict is GateVerdict.NO_DATA and gate.on_no_data is OnNoData.FAIL
    state = replace(state, good_since=None)
    if verdict is GateVerdict.FAIL or no_data:
        _keep(desk, gate, replace(state, is_met=False))
        if desk.r.state is RolloutState.RUNNING and desk.cohort.phase in _ASKED_IN:
            text = f"gate {gate.name} of {desk.cohort_name}: {verdict} {state.text}".rstrip()
            halt(desk, HaltRule.GATE, text, gate=gate.name, evidence=state.digest)
        return
    misses = state.misses + 1
    _keep(desk, gate, replace(state, misses=misses, is_waiting=state.is_waiting or misses >= gate.tries))


def _keep(desk: Desk, gate: Gate, state: GateState) -> None:
    desk.r = replace(desk.r, gates={**desk.r.gates, gate.name: state})


def ask_gates(desk: Desk) -> None:
    """The questions that are due. A passed one is not asked again; one failed while paused is."""
    for gate in desk.plan.gates_of(desk.r.current):
        state = desk.r.gates.get(gate.name, GateState())
        if gate.kind is GateKind.PERSON or state.is_met:
            continue
        wait_s = UNASKED_S if state.is_asking else gate.every_s
        if desk.waited_s(state.asked_at) >= wait_s:
            _keep(desk, gate, replace(state, asked_at=desk.now.steady, is_asking=True))
            desk.intents.append(AskGate(gate.name, desk.cohort_name))


def gate_problem(desk: Desk) -> str | None:
    """For what a person is waited, in a sentence; None: for nobody."""
    cohort, plan = desk.cohort, desk.plan
    if skips_too_many(plan, desk.r.current, cohort):
        total = len(plan.by_cohort[desk.r.current])
        return f"{cohort.skipped} of {total} hosts of {desk.cohort_name} were skipped: promote it, or abort"
    for gate in plan.gates_of(desk.r.current):
        state = desk.r.gates.get(gate.name, GateState())
        if state.is_met or gate.mode is GateMode.OBSERVE:
            continue
        if gate.kind is GateKind.PERSON:
            return f"gate {gate.name} of {desk.cohort_name} waits for a person: promote it, or abort"
        if state.is_waiting:
            why = f"{state.misses} answers in a row told nothing ({state.verdict})"
            return f"gate {gate.name} of {desk.cohort_name} waits for a person: {why}"
    return None


def is_passed(desk: Desk) -> bool:
    return all(
        desk.r.gates.get(gate.name, GateState()).is_met
        for gate in desk.plan.gates_of(desk.r.current)
        if not (gate.mode is GateMode.OBSERVE and gate.kind is GateKind.PERSON)
    )


def answer_gates(desk: Desk) -> None:
    """A person answers what waits for one."""
    for gate in desk.plan.gates_of(desk.r.current):
        state = desk.r.gates.get(gate.name, GateState())
        if gate.kind is GateKind.PERSON or state.is_waiting:
            _keep(desk, gate, replace(state, is_met=True, is_waiting=False, is_asking=False))
