"""Failures, and what stops because of them: tolerance, halts, calling back, disarming, going back. Pure."""

from __future__ import annotations

from dataclasses import replace

from actions.orders import Asked, Verb
from actions.rollout_desk import Desk
from actions.rollout_model import (
    CohortPhase,
    FailKind,
    Halt,
    HaltRule,
    HostPhase,
    HostState,
    Quiet,
    Rollout,
    RolloutState,
)
from actions.rollout_plan import ActionKind, Plan
from actions.rollout_talk import CallBack, Disarm, Said
from collectors.fleet_model import OnHalt

MOST_DISARMS = 5
PAST_ORDERS = 8
"""Child orders of a host of which a late message is known to be of the past."""

_HALTABLE = (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED)
_GOES_BACK = (HostPhase.DONE, HostPhase.SETTLING, HostPhase.FAILED, HostPhase.MISSING, HostPhase.UNKNOWN)
_NOT_ISSUED = (HostPhase.PREFLIGHT, HostPhase.LEASED, HostPhase.DRAINING)


def fail(desk: Desk, name: str, kind: FailKind, text: str) -> None:
    """A host's failure, and what it stops."""
    host = replace(desk.host(name), phase=HostPhase.FAILED, failed=kind, text=text, good_looks=0)
    desk.put(name, host)
    desk.tell(Said.HOST, name, f"failed: {kind}", text)
    judge(desk, name)


def lose(desk: Desk, name: str, text: str) -> None:
    """No return by its deadline."""
    host = replace(desk.host(name), phase=HostPhase.MISSING, failed=None, text=text, good_looks=0)
    desk.put(name, replace(host, silent_since=None, bad_looks=0))
    desk.tell(Said.HOST, name, "missing", text)
    judge(desk, name)


def judge(desk: Desk, name: str) -> None:
    """Whether failures are more than is tolerated, after that of `name`."""
    r, plan, host = desk.r, desk.plan, desk.host(name)
    elsewhere = r.state is RolloutState.PAUSED and r.resumes_to is not RolloutState.RUNNING
    if r.state not in _HALTABLE or elsewhere or not host.counts:
        return
    number = plan.by_name[name].cohort
    cohort, limit = r.cohorts[number], plan.cohorts[number].tolerance
    if r.state is RolloutState.HALTED:
        if host.rule.blames_release and not (r.halt and r.halt.rule.blames_release):
            halt(desk, host.rule, f"{name}: {host.text}", host=name)
        return
    if cohort.failed > limit or r.failed > plan.tolerance or host.rule is HaltRule.WRONG_VERSION:
        guilty = name if host.rule.blames_release or not r.blamed else _blamed(r, name)
        text = f"{guilty}: {desk.host(guilty).text}"
        count = f"{cohort.failed} failed in {plan.cohorts[number].name} ({limit} tolerated)"
        whole = f"{r.failed} in all ({plan.tolerance} tolerated)"
        halt(desk, desk.host(guilty).rule, f"{text}; {count}, {whole}", host=guilty)


def _blamed(r: Rollout, name: str) -> str:
    """A counted failure that a bad release explains."""
    found = (other for other, host in r.hosts.items() if host.counts and host.rule.blames_release)
    return next(found, name)


def judge_budget(desk: Desk) -> None:
    """Whether failures within tolerance fill the budget."""
    r = desk.r
    if r.state is not RolloutState.RUNNING or r.hurt < desk.plan.budget:
        return
    hurt = hurt_hosts(r)
    if any(r.hosts[name].phase.is_failure for name in hurt):
        names = ", ".join(hurt[:5])
        halt(desk, HaltRule.BUDGET_FULL, f"failures fill the budget of {desk.plan.budget}: {names}")


def hurt_hosts(r: Rollout) -> list[str]:
    """Failures that hold a place in the budget."""
    return [name for name in r.disturbed if not r.hosts[name].phase.is_disturbed]


def halt(
    desk: Desk,
    rule: HaltRule,
    text: str,
    *,
    host: str | None = None,
    gate: str | None = None,
    evidence: str | None = None,
) -> None:
    """Stop by a rule. What was sent is followed, the rest is called back."""
    found = Halt(rule, text, desk.now.steady, host, gate, evidence)
    desk.r = replace(desk.r, halt=found)
    desk.move(RolloutState.HALTED, f"{rule}: {text}")
    if desk.r.current < len(desk.r.cohorts) and desk.cohort.phase is not CohortPhase.FAILED:
        desk.move_cohort(CohortPhase.FAILED, f"{rule}: {text}")
    call_back_all(desk, f"halted: {rule}")
    disarm_all(desk)
    if desk.plan.on_halt is OnHalt.ROLL_BACK and desk.plan.action.kind is ActionKind.RELEASE:
        start_rollback(desk, "the plan rolls back when it halts", "plan")


def call_back_all(desk: Desk, why: str) -> None:
    """Child orders that have sent nothing, but those that disarm."""
    if not desk.r.orders:
        return
    for name, host in list(desk.r.hosts.items()):
        open_order = host.verb is not None and host.verb is not Verb.CANCEL
        if open_order and host.phase in _NOT_ISSUED and not host.is_called_back:
            desk.put(name, replace(host, is_called_back=True))
            desk.intents.append(CallBack(name, why))


# -- disarming ---------------------------------------------------------------------------------------------


def is_to_be_disarmed(plan: Plan, r: Rollout, host: HostState) -> bool:
    """Whether a host that could boot into the target must not be left so."""
    if not host.is_armed or host.disarms >= MOST_DISARMS or host.phase.is_sent:
        return False
    match r.state:
        case RolloutState.HALTED:
            return r.halt is not None and r.halt.rule.blames_release and not plan.keep_staged
        case RolloutState.ABORTED | RolloutState.ROLLING_BACK:
            return True
    return False


def disarm_all(desk: Desk) -> None:
    if desk.r.armed:
        for name in list(desk.r.hosts):
            disarm(desk, name)


def disarm(desk: Desk, name: str) -> bool:
    """Take what is staged off a host, if it must be; whether an order for it was given."""
    host = desk.host(name)
    if host.verb is not None or not is_to_be_disarmed(desk.plan, desk.r, host):
        return False
    desk.put(name, given(host, Verb.CANCEL))
    blamed = desk.r.halt is not None and desk.r.halt.rule.blames_release
    off = blamed or desk.r.state is RolloutState.ROLLING_BACK
    desk.intents.append(Disarm(name, Asked(Verb.CANCEL, and_updates_off=off)))
    return True


def given(host: HostState, verb: Verb) -> HostState:
    """A host for which a child order is given now."""
    past = host.past_orders if host.order_id is None else (*host.past_orders, host.order_id)[-PAST_ORDERS:]
    return replace(host, verb=verb, order_id=None, past_orders=past, is_called_back=False, code="", text="")


# -- rolling back --------------------------------------------------------------------------------------------


def start_rollback(desk: Desk, why: str, by: str) -> None:
    """Every host that our orders brought to the target goes back; nobody stays armed with it."""
    desk.r = replace(desk.r, todo=(), ready={}, later=())
    desk.move(RolloutState.ROLLING_BACK, why, by)
    call_back_all(desk, "rolling back")
    disarm_all(desk)
    queue_back(desk)


def queue_back(desk: Desk) -> None:
    """All that go back, those first that hold the budget already."""
    paused = {item.host for item in desk.r.later}
    wanted = [name for name, host in desk.r.hosts.items() if goes_back(host) and name not in paused]
    first = set(desk.r.disturbed)
    wanted.sort(key=lambda name: name not in first)
    desk.r = replace(desk.r, todo=tuple(wanted))


def goes_back(host: HostState) -> bool:
    """Whether a roll-back order is to be given for it now."""
    return host.has_target and host.verb is None and host.phase in _GOES_BACK and not host.rollback_failed


def close(desk: Desk, state: RolloutState, why: str, by: str = "") -> None:
    """An end. What was borrowed from hosts is given back, as far as that is safe."""
    bad = desk.r.halt is not None and desk.r.halt.rule.blames_release
    quiet = [name for name, host in desk.r.hosts.items() if host.quiet is Quiet.OURS]
    desk.r = replace(desk.r, todo=(), ready={}, later=())
    desk.move(state, why, by)
    if quiet and bad:
        text = f"the updates of {len(quiet)} hosts stay off: they would fetch it again"
        desk.tell(Said.ROLLOUT, None, text, ", ".join(quiet[:5]))
    elif quiet:
        desk.r = replace(desk.r, todo=tuple(quiet))


def may_have_updates_back(r: Rollout, host: HostState) -> bool:
    """A host that is not well, or not disarmed, would fetch or boot what it must not."""
    bad = r.halt is not None and r.halt.rule.blames_release
    well = not (host.phase.is_failure or host.phase is HostPhase.UNKNOWN)
    return host.quiet is Quiet.OURS and host.verb is None and well and not host.is_armed and not bad
