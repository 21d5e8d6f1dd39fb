"""The state machine of a rollout: plan, state, one input and time in; the next state and what is wanted out.
Pure.

The engine gives each wanted child order, and tells what becomes of it as `OrderTold`; it ticks every few
seconds, for time passes in a `Tick` only. `may_issue` is asked inside the transaction that commits the intent
of a reboot, on the state as it is stored then: what it forbids ends as NOT_SENT with a code of what waits.
"""

from __future__ import annotations

from dataclasses import replace

from actions.rollout_desk import Desk, begin
from actions.rollout_gates import gate_told
from actions.rollout_looks import pass_time, seen
from actions.rollout_model import CohortPhase, HostPhase, HostState, Rollout, RolloutState
from actions.rollout_orders import told
from actions.rollout_plan import NotAllowed, Now, Plan
from actions.rollout_requests import asked
from actions.rollout_talk import GateTold, Input, Intent, OrderTold, Request, RequestKind, Seen, Tick
from actions.rollout_words import headline, note_stall, waits
from actions.waves import go_on, is_over, window_problem

__all__ = ["advance", "begin", "headline", "is_over", "may_issue", "waits"]

_LEASED = (HostPhase.LEASED, HostPhase.DRAINING)


def advance(plan: Plan, rollout: Rollout, news: Input, now: Now) -> tuple[Rollout, tuple[Intent, ...]]:
    """The next state and what is wanted, in this order.

    Raises NotAllowed for what the state forbids, and for another plan than the one that was approved.
    """
    _check_plan(plan, rollout)
    desk = Desk(plan, rollout, now)
    match news:
        case Tick():
            _tick(desk)
        case OrderTold():
            _check_host(plan, news.host)
            told(desk, news)
        case Seen():
            _check_host(plan, news.host)
            seen(desk, news)
        case GateTold():
            gate_told(desk, news)
        case Request():
            asked(desk, news)
    go_on(desk)
    if isinstance(news, Tick):
        note_stall(desk)
    return desk.r, tuple(desk.intents)


def _tick(desk: Desk) -> None:
    if desk.r.state is RolloutState.APPROVED:
        desk.r = replace(desk.r, todo=tuple(host.name for host in desk.plan.hosts if host.quiets))
        desk.move(RolloutState.RUNNING, "started")
    pass_time(desk)


def _check_plan(plan: Plan, rollout: Rollout) -> None:
    if plan.id != rollout.plan_id:
        raise NotAllowed(f"rollout of plan {rollout.plan_id}, not of {plan.id}")
    if rollout.state is RolloutState.DRAFT:
        if plan.snapshot != rollout.snapshot:
            raise NotAllowed(f"plan {plan.id} was made from other facts than its rollout: plan anew")
        return
    approved = next((item.digest for item in rollout.approvals if item.what == RequestKind.APPROVE), None)
    if approved is not None and approved != plan.digest:
        raise NotAllowed(f"plan {plan.id} is not as it was approved: approve it anew")


def _check_host(plan: Plan, name: str) -> None:
    if name not in plan.by_name:
        raise NotAllowed(f"{name}: no host of plan {plan.id}")


def may_issue(plan: Plan, rollout: Rollout, host: str, now: Now) -> str | None:
    """Why the reboot of a host must not be sent now; None: it may. Raises NotAllowed as `advance` does."""
    _check_plan(plan, rollout)
    _check_host(plan, host)
    state = rollout.hosts[host]
    if state.is_called_back:
        return f"{host} was called back: the rollout is {rollout.state}"
    if state.verb is None or state.phase not in _LEASED:
        return f"{host} is {state.phase}: no reboot of it is due"
    if rollout.state is RolloutState.ROLLING_BACK:
        return _crowded(plan, rollout, host) if state.phase_before else f"{host} is not rolled back"
    if rollout.state is not RolloutState.RUNNING:
        return f"rollout {plan.id} is {rollout.state}" + (f": {rollout.why}" if rollout.why else "")
    return (
        _not_its_turn(plan, rollout, host, state)
        or window_problem(plan, plan.by_name[host].reboot_deadline_s, now)
        or _crowded(plan, rollout, host)
    )


def _not_its_turn(plan: Plan, rollout: Rollout, host: str, state: HostState) -> str | None:
    number = plan.by_name[host].cohort
    name = plan.cohorts[number].name
    if state.phase_before is not None or state.verb is not plan.turning.verb:
        return f"{host}: {state.verb} is not what the plan does"
    if any(cohort.phase is not CohortPhase.PASSED for cohort in rollout.cohorts[:number]):
        return f"{host}: its cohort {name} waits for those before it"
    if rollout.cohorts[number].phase is not CohortPhase.ACTIVATING:
        return f"{host}: its cohort {name} is {rollout.cohorts[number].phase}"
    return None


def _crowded(plan: Plan, rollout: Rollout, host: str) -> str | None:
    """It holds its own place; failures since then may have taken more than there are."""
    if len(rollout.disturbed) > plan.budget:
        return f"budget: {len(rollout.disturbed)} of {plan.budget} disturbed"
    for domain in plan.domains[host]:
        limit = plan.per_label[domain.split("=", 1)[0]]
        if rollout.domains.get(domain, 0) > limit:
            return f"{domain}: {rollout.domains[domain]} of {limit} disturbed"
    return None
