"""What people ask of a rollout: what is allowed when, and what each answer does. Pure.

Whatever is not allowed raises NotAllowed with a sentence. Pause and abort are taken in every open state;
after a halt there is no plain resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from actions.rollout_desk import Desk, wants_quiet
from actions.rollout_gates import answer_gates, gate_problem
from actions.rollout_halt import call_back_all, close, disarm_all, judge, start_rollback
from actions.rollout_model import (
    Approval,
    CohortPhase,
    FailKind,
    GateState,
    HaltRule,
    HostPhase,
    HostState,
    RolloutState,
)
from actions.rollout_plan import ActionKind, NotAllowed, Plan
from actions.rollout_talk import Request, RequestKind, Said
from actions.waves import pause, promised, queue_cohort, resume
from collectors.fleet_model import OnHalt, SelfUpdate

ANSWERS = "say how to go on: retry-failed, accept-failures with a reason, or roll-back"
_CLEAN = HostState()


def asked(desk: Desk, request: Request) -> None:
    """Raises NotAllowed."""
    if not desk.r.state.is_open and request.kind is not RequestKind.RELEASE_HOST:
        raise NotAllowed(f"rollout {desk.plan.id} is {desk.r.state}: it takes no {request.kind} any more")
    unknown = [name for name in request.hosts if name not in desk.plan.by_name]
    if unknown:
        raise NotAllowed(f"{', '.join(unknown[:5])}: no host of plan {desk.plan.id}")
    _ANSWERS[request.kind](desk, request)
    said = Approval(str(request.kind), request.actor, request.reason, desk.now.steady, desk.plan.digest)
    desk.r = replace(desk.r, approvals=(*desk.r.approvals, said))
    desk.tell(Said.ANSWER, None, f"{request.kind} by {request.actor}", request.reason)


def _reason(request: Request) -> str:
    if not request.reason.strip():
        raise NotAllowed(f"{request.kind} needs a reason")
    return request.reason


def why_unapprovable(plan: Plan) -> str | None:
    """What a plan says that no rollout could keep, in a sentence."""
    kind = plan.action.kind
    if kind is ActionKind.EXTENSION:
        return "no verb takes an extension to a host: plan a release"
    if kind is ActionKind.RELEASE and plan.action.version is None:
        return "a release needs its exact version"
    if kind is ActionKind.CHANNEL and plan.action.channel is None:
        return "a channel needs its name"
    if plan.budget < 1 or any(limit < 1 for limit in plan.per_label.values()):
        return "a budget of less than one host never ends"
    if not plan.hosts or any(not 0 <= host.cohort < len(plan.cohorts) for host in plan.hosts):
        return "each host needs its cohort, and there must be one"
    if plan.on_halt is OnHalt.ROLL_BACK and kind is not ActionKind.RELEASE:
        return f"on_halt = roll-back is for releases: a {kind} is undone by a plan of its own"
    movers = promised(plan)
    if movers and plan.self_update is SelfUpdate.REFUSE:
        more = f" and {len(movers) - 5} more" if len(movers) > 5 else ""
        return f"{', '.join(movers[:5])}{more} would update before their turn: updates off, or accept it"
    if movers and not (plan.self_update_reason or "").strip():
        return "accepting hosts that update by themselves needs a reason"
    return None


def _approve(desk: Desk, request: Request) -> None:
    if desk.r.state is not RolloutState.DRAFT:
        raise NotAllowed(f"rollout {desk.plan.id} is {desk.r.state}: only a draft is approved")
    problem = why_unapprovable(desk.plan)
    if problem:
        raise NotAllowed(problem)
    desk.move(RolloutState.APPROVED, request.reason, request.actor)


def _pause(desk: Desk, request: Request) -> None:
    """A halted one dispatches nothing already, and stays halted."""
    if desk.r.state is RolloutState.PAUSED:
        desk.r = replace(desk.r, why=request.reason, by=request.actor)
    elif desk.r.state is not RolloutState.HALTED:
        pause(desk, request.reason, request.actor)


def _resume(desk: Desk, request: Request) -> None:
    if desk.r.state is RolloutState.HALTED:
        raise NotAllowed(f"rollout {desk.plan.id} is halted ({desk.r.why}); {ANSWERS}")
    if desk.r.state is not RolloutState.PAUSED or desk.r.resumes_to is None:
        raise NotAllowed(f"rollout {desk.plan.id} is {desk.r.state}, not paused")
    resume(desk, desk.r.resumes_to, request.reason, request.actor)


def _abort(desk: Desk, request: Request) -> None:
    close(desk, RolloutState.ABORTED, request.reason, request.actor)
    call_back_all(desk, f"aborted by {request.actor}")
    disarm_all(desk)


def _promote(desk: Desk, request: Request) -> None:
    """Cut the soak short, or answer what waits for a person."""
    why = _reason(request)
    if desk.r.state is not RolloutState.RUNNING:
        raise NotAllowed(f"rollout {desk.plan.id} is {desk.r.state}: only a running one is promoted")
    cohort, name = desk.cohort, desk.cohort_name
    if cohort.phase is CohortPhase.SOAKING:
        cohort = replace(cohort, soak_cut=True)
    elif cohort.phase is CohortPhase.WAITING_GATE and gate_problem(desk):
        answer_gates(desk)
        cohort = replace(desk.cohort, skips_accepted=True)
    else:
        raise NotAllowed(f"{name} is {cohort.phase}: neither a soak nor an open gate is there to promote")
    desk.set_cohort(desk.r.current, replace(cohort, promoted_by=request.actor, promoted_why=why))


# -- after a halt --------------------------------------------------------------------------------------------


def _halted(desk: Desk, request: Request) -> str:
    if desk.r.state is not RolloutState.HALTED:
        raise NotAllowed(f"rollout {desk.plan.id} is {desk.r.state}, not halted")
    return _reason(request)


def _chosen(desk: Desk, request: Request) -> list[str]:
    """The failures meant: those named, else all that count."""
    failed = [name for name, host in desk.r.hosts.items() if host.counts]
    if not request.hosts:
        return failed
    wrong = [name for name in request.hosts if name not in failed]
    if wrong:
        raise NotAllowed(f"{', '.join(wrong[:5])}: no failure that counts")
    return list(request.hosts)


def _retry(desk: Desk, request: Request) -> None:
    why = _halted(desk, request)
    chosen = _chosen(desk, request)
    followed = [name for name in chosen if desk.host(name).verb is not None]
    if followed:
        raise NotAllowed(f"{', '.join(followed[:5])}: an order is still followed there; wait for its end")
    earlier = [name for name in chosen if desk.plan.by_name[name].cohort != desk.r.current]
    if earlier:
        raise NotAllowed(f"{', '.join(earlier[:5])}: of a cohort that passed; accept them")
    _must_end(desk, chosen)
    for name in chosen:
        host = desk.host(name)
        again = replace(
            _CLEAN,
            order_id=host.order_id,
            past_orders=host.past_orders,
            is_ours=host.is_ours,
            is_armed=host.is_armed,
            has_target=host.has_target,
            quiet=host.quiet,
            text=f"tried again: {why}",
        )
        desk.put(name, again)
    desk.r = replace(desk.r, gates={})
    _run_again(desk, why, request.actor)


def _accept(desk: Desk, request: Request) -> None:
    why = _halted(desk, request)
    chosen = _chosen(desk, request)
    _must_end(desk, chosen)
    for name in chosen:
        desk.put(name, replace(desk.host(name), is_accepted=True, is_released=True))
    rule, gate = (desk.r.halt.rule, desk.r.halt.gate) if desk.r.halt else (None, None)
    if rule is HaltRule.GATE and gate is not None:
        met = replace(desk.r.gates.get(gate, GateState()), is_met=True, text=f"accepted: {why}")
        desk.r = replace(desk.r, gates={**desk.r.gates, gate: met})
    _run_again(desk, why, request.actor)


def _must_end(desk: Desk, chosen: Iterable[str]) -> None:
    """Raises NotAllowed where what is left would halt it again at once."""
    rest = [name for name, host in desk.r.hosts.items() if host.counts and name not in set(chosen)]
    own = [name for name in rest if desk.plan.by_name[name].cohort == desk.r.current]
    limit = desk.plan.cohorts[min(desk.r.current, len(desk.plan.cohorts) - 1)].tolerance
    if len(rest) > desk.plan.tolerance or len(own) > limit:
        raise NotAllowed(f"{', '.join(rest[:5])} failed too, more than is tolerated: answer for them as well")


def _run_again(desk: Desk, why: str, by: str) -> None:
    desk.r = replace(desk.r, halt=None)
    desk.move(RolloutState.RUNNING, why, by)
    begins = CohortPhase.STAGING if desk.plan.staging is not None else CohortPhase.STAGED
    desk.set_cohort(desk.r.current, replace(desk.cohort, round_at=None, unseen=0, soak_cut=False))
    desk.move_cohort(CohortPhase.WAITING if desk.r.quieting else begins, why)
    queue_cohort(desk)
    if desk.r.quieting:
        loud = tuple(own.name for own in desk.plan.hosts if wants_quiet(own, desk.host(own.name)))
        desk.r = replace(desk.r, todo=loud)


def _roll_back(desk: Desk, request: Request) -> None:
    why = _reason(request)
    if desk.plan.action.kind is not ActionKind.RELEASE:
        raise NotAllowed(f"a {desk.plan.action.kind} is undone by a plan of its own")
    if desk.r.state not in (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED):
        raise NotAllowed(f"rollout {desk.plan.id} is {desk.r.state}: there is nothing to roll back")
    if desk.r.resumes_to in (RolloutState.DRAFT, RolloutState.APPROVED):
        raise NotAllowed(f"rollout {desk.plan.id} never ran: there is nothing to roll back")
    start_rollback(desk, why, request.actor)


def _release(desk: Desk, request: Request) -> None:
    """A person has looked: the host holds no place any more. What nobody knew of it is a failure then."""
    why = _reason(request)
    if not request.hosts:
        raise NotAllowed("name the hosts to release")
    for name in request.hosts:
        host = desk.host(name)
        if host.phase is HostPhase.UNKNOWN and host.verb is None:
            lost = HostPhase.MISSING if host.was_leased else HostPhase.FAILED
            kind = None if host.was_leased else FailKind.STAGE
            desk.put(name, replace(host, phase=lost, failed=kind, is_released=True, text=why))
            judge(desk, name)
        elif host.phase.is_failure:
            desk.put(name, replace(host, is_released=True))
        else:
            raise NotAllowed(f"{name} is {host.phase}: only a failed, missing or unknown host is released")


_ANSWERS: dict[RequestKind, Callable[[Desk, Request], None]] = {
    RequestKind.APPROVE: _approve,
    RequestKind.PAUSE: _pause,
    RequestKind.RESUME: _resume,
    RequestKind.PROMOTE: _promote,
    RequestKind.ABORT: _abort,
    RequestKind.RETRY_FAILED: _retry,
    RequestKind.ACCEPT_FAILURES: _accept,
    RequestKind.ROLL_BACK: _roll_back,
    RequestKind.RELEASE_HOST: _release,
}
