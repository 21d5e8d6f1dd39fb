"""Cohorts in their order, and whose turn it is: canary, waves, budget, windows, soak. Pure.

One cohort at a time: a host of the next is touched only once this one is PASSED. A host gets its turn when
the budget, its failure domains, the first cohort's doubling and the windows have room for it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from actions.orders import Asked, Force, Verb
from actions.rollout_desk import Desk, wants_quiet
from actions.rollout_gates import ask_gates, gate_problem, is_passed
from actions.rollout_halt import (
    call_back_all,
    close,
    disarm,
    disarm_all,
    given,
    goes_back,
    judge_budget,
    may_have_updates_back,
    queue_back,
)
from actions.rollout_looks import begin_round
from actions.rollout_model import CohortPhase, HostPhase, Hours, Rollout, RolloutState
from actions.rollout_plan import Now, Plan, SkipReason
from actions.rollout_talk import GiveOrder
from actions.windows import Open, open_at

AT_ONCE = 50
"""Child orders at once that disturb nobody."""

_TURNS = (CohortPhase.STAGED, CohortPhase.ACTIVATING)
_STAGES = (CohortPhase.STAGING, CohortPhase.STAGED, CohortPhase.ACTIVATING)
_AFTER_TURNS = (CohortPhase.SOAKING, CohortPhase.GATE, CohortPhase.WAITING_GATE)


def go_on(desk: Desk) -> None:
    """Everything that the state allows now."""
    for name in desk.take_due():
        _due(desk, name)
    match desk.r.state:
        case RolloutState.RUNNING:
            judge_budget(desk)
            while desk.r.state is RolloutState.RUNNING and _cohort_moves(desk):
                pass
            if desk.r.state is RolloutState.RUNNING:
                _prepare(desk)
                _give_turns(desk)
        case RolloutState.ROLLING_BACK:
            _send_back(desk)
    if not desk.r.state.is_open:
        _give_updates_back(desk)


def _due(desk: Desk, name: str) -> None:
    """Its pause is over."""
    if disarm(desk, name):
        return
    if desk.r.state is RolloutState.ROLLING_BACK:
        desk.r = replace(desk.r, todo=(*desk.r.todo, name))
    elif desk.r.state.is_open:
        desk.queue(name)
    elif may_have_updates_back(desk.r, desk.host(name)):
        desk.r = replace(desk.r, todo=(*desk.r.todo, name))


# -- cohorts ---------------------------------------------------------------------------------------------


def _cohort_moves(desk: Desk) -> bool:
    """One step of the current cohort, if it can make one."""
    if desk.r.current == len(desk.r.cohorts):
        exceptions = desk.r.excepted > 0
        end = RolloutState.COMPLETED_WITH_EXCEPTIONS if exceptions else RolloutState.COMPLETED
        close(desk, end, f"{desk.r.excepted} exceptions" if exceptions else "every cohort passed")
        return False
    cohort = desk.cohort
    if cohort.phase in _AFTER_TURNS and cohort.open:
        desk.move_cohort(CohortPhase.ACTIVATING, "a host of it is open again")
        return True
    match cohort.phase:
        case CohortPhase.WAITING if not desk.r.quieting:
            begins = CohortPhase.STAGING if desk.plan.staging is not None else CohortPhase.STAGED
            desk.move_cohort(begins)
            queue_cohort(desk)
        case CohortPhase.STAGING if not cohort.unstaged:
            desk.move_cohort(CohortPhase.STAGED)
        case CohortPhase.STAGED if not cohort.open:
            desk.move_cohort(CohortPhase.ACTIVATING)
        case CohortPhase.ACTIVATING if not cohort.open:
            desk.move_cohort(CohortPhase.SOAKING)
        case CohortPhase.SOAKING if _is_soaked(desk):
            desk.move_cohort(CohortPhase.GATE)
        case CohortPhase.GATE | CohortPhase.WAITING_GATE:
            return _gate_moves(desk)
        case _:
            return False
    return True


def queue_cohort(desk: Desk) -> None:
    """The current cohort's hosts, to be prepared or to be given their turn."""
    desk.r = replace(desk.r, todo=(), ready={}, later=())
    for own in desk.plan.by_cohort[desk.r.current]:
        if desk.host(own.name).phase in (HostPhase.PENDING, HostPhase.STAGED):
            desk.queue(own.name)


def soak_ends(plan: Plan, r: Rollout) -> float:
    """Seconds that the current cohort must stay healthy after its last host was done."""
    cohort = r.cohorts[r.current]
    return 0.0 if cohort.soak_cut or cohort.settled_at is None else plan.cohorts[r.current].soak_s


def _is_soaked(desk: Desk) -> bool:
    """Its time is over, and a last look found each of its done hosts well."""
    cohort = desk.cohort
    if cohort.settled_at is not None and desk.waited_s(cohort.settled_at) < soak_ends(desk.plan, desk.r):
        return False
    if cohort.round_at is None:
        begin_round(desk)
    return not desk.cohort.unseen and not desk.cohort.doubts


def _gate_moves(desk: Desk) -> bool:
    cohort = desk.cohort
    waits = gate_problem(desk)
    wanted = CohortPhase.WAITING_GATE if waits else CohortPhase.GATE
    if cohort.phase is not wanted:
        desk.move_cohort(wanted, waits or "")
        return True
    ask_gates(desk)
    if waits or not is_passed(desk) or cohort.doubts or cohort.unseen:
        return False
    desk.move_cohort(CohortPhase.PASSED)
    desk.r = replace(desk.r, current=desk.r.current + 1, gates={}, todo=(), ready={}, later=())
    return True


# -- dispatch -----------------------------------------------------------------------------------------------


def _give(desk: Desk, name: str, asked: Asked, phase: HostPhase) -> None:
    desk.put(name, replace(given(desk.host(name), asked.verb), phase=phase))
    desk.intents.append(GiveOrder(name, asked))


def _prepare(desk: Desk) -> None:
    """Quiet and stage: many at once, for that disturbs nobody."""
    if desk.r.current == len(desk.r.cohorts):
        return
    stages = desk.cohort.phase in _STAGES
    todo, taken = desk.r.todo, 0
    while taken < len(todo) and desk.r.light_orders < AT_ONCE:
        name = todo[taken]
        host, own = desk.host(name), desk.plan.by_name[name]
        taken += 1
        if host.phase is not HostPhase.PENDING or host.verb is not None:
            continue
        if wants_quiet(own, host):
            _give(desk, name, Asked(Verb.UPDATES, mode="off"), HostPhase.PREFLIGHT)
        elif stages and desk.plan.staging is not None and own.cohort == desk.r.current:
            _give(desk, name, desk.plan.staging, HostPhase.PREFLIGHT)
    if taken:
        desk.r = replace(desk.r, todo=todo[taken:])


def _give_turns(desk: Desk) -> None:
    while desk.r.ready and desk.r.current < len(desk.r.cohorts) and desk.cohort.phase in _TURNS:
        if place_problem(desk.plan, desk.r) is not None:
            return
        name = _next_ready(desk)
        if name is None:
            return
        if desk.cohort.phase is CohortPhase.STAGED:
            desk.move_cohort(CohortPhase.ACTIVATING)
        host = replace(desk.host(name), was_leased=False, was_done=False, issued_at=None)
        desk.put(name, host)
        _give(desk, name, desk.plan.turning, HostPhase.LEASED)


def _next_ready(desk: Desk) -> str | None:
    """The first of a queue whose failure domains and window have room, taken out."""
    ready = dict(desk.r.ready)
    found = None
    for key in list(ready):
        names = ready[key]
        while names and not _is_ready(desk, names[0]):
            names = names[1:]
        if names and domain_problem(desk.plan, desk.r, names[0]) is None and _window_has_room(desk, names[0]):
            found, names = names[0], names[1:]
        if names:
            ready[key] = names
        else:
            del ready[key]
        if found is not None:
            break
    desk.r = replace(desk.r, ready=ready)
    return found


def _is_ready(desk: Desk, name: str) -> bool:
    host = desk.host(name)
    waits = HostPhase.PENDING if desk.plan.staging is None else HostPhase.STAGED
    return host.phase is waits and host.verb is None


def ramp(done: int) -> int:
    """Hosts of the first cohort at once, once `done` of it are: 1, then 2, then 4, …"""
    return int(2 ** ((done + 1).bit_length() - 1))


def place_problem(plan: Plan, r: Rollout) -> str | None:
    """Why nobody more may be disturbed now."""
    used = len(r.disturbed)
    if used >= plan.budget:
        names = ", ".join(r.disturbed[:3]) + (", …" if used > 3 else "")
        return f"budget: {used} of {plan.budget} disturbed: {names}"
    if r.current == 0:
        limit = ramp(r.cohorts[0].done)
        if used - r.hurt >= limit:
            return f"{plan.cohorts[0].name} is doubled as its hosts settle: {limit} at once now"
    return None


def domain_problem(plan: Plan, r: Rollout, name: str) -> str | None:
    for domain in plan.domains[name]:
        limit = plan.per_label[domain.split("=", 1)[0]]
        if r.domains.get(domain, 0) >= limit:
            return f"{domain}: {r.domains[domain]} of {limit} disturbed"
    return None


# -- windows ------------------------------------------------------------------------------------------------


def window_problem(plan: Plan, deadline_s: float, now: Now) -> str | None:
    """Why a reboot sent now could not be over before the window shuts; a forced window has no say."""
    if not plan.windows or not plan.action.reboots or plan.forced.get(Force.WINDOW, "").strip():
        return None
    found, names = open_at(plan.windows, now.wall), ", ".join(window.name for window in plan.windows)
    if isinstance(found, Open):
        if found.leaves(deadline_s, now.wall):
            return None
        until = f"{found.until:%H:%M} UTC" if found.until else ""
        return f"window {names} shuts {until}, and a reboot may take {deadline_s / 60:g} minutes"
    return f"window {names} is shut; " + (
        f"it opens {found.opens_at:%a %Y-%m-%d %H:%M} UTC" if found.opens_at else "it never opens"
    )


def _window_has_room(desk: Desk, name: str) -> bool:
    if not desk.plan.windows or not desk.plan.action.reboots:
        return True
    deadline_s, wall = desk.plan.by_name[name].reboot_deadline_s, desk.now.wall
    hours = desk.r.hours
    if hours is None or wall < hours.begin or (hours.end is not None and wall >= hours.end):
        hours = _hours(desk.plan, wall)
        desk.r = replace(desk.r, hours=hours)
    if not hours.is_open or hours.end is None or hours.end == hours.begin:
        return hours.is_open
    return (hours.end - wall).total_seconds() >= deadline_s


def _hours(plan: Plan, wall: datetime) -> Hours:
    if plan.forced.get(Force.WINDOW, "").strip():
        return Hours(wall, None, True)
    found = open_at(plan.windows, wall)
    if isinstance(found, Open):
        return Hours(wall, found.until or wall, True)
    return Hours(wall, found.opens_at, False)


# -- going back, and the end -----------------------------------------------------------------------------


def _send_back(desk: Desk) -> None:
    """Roll back who holds the target: those that hold the budget already first, the others as it has room."""
    todo, left, taken = desk.r.todo, list[str](), 0
    for name in todo:
        host = desk.host(name)
        taken += 1
        if not goes_back(host):
            continue
        full = len(desk.r.disturbed) >= desk.plan.budget
        if not host.holds_budget and (full or domain_problem(desk.plan, desk.r, name) is not None):
            left.append(name)
            if full:
                break
            continue
        desk.put(name, replace(host, phase_before=host.phase, issued_at=None))
        _give(desk, name, Asked(Verb.ROLL_BACK, forces=desk.plan.forced), HostPhase.LEASED)
    if taken:
        desk.r = replace(desk.r, todo=(*left, *todo[taken:]))
    if not desk.r.orders and not desk.r.todo and not desk.r.later:
        _end_rollback(desk)


def _end_rollback(desk: Desk) -> None:
    rest = [
        name
        for name, host in desk.r.hosts.items()
        if host.has_target or host.is_armed or host.phase is HostPhase.UNKNOWN
    ]
    if not rest:
        close(desk, RolloutState.ROLLED_BACK, "no host runs or holds the target by this rollout")
    else:
        names = ", ".join(rest[:5])
        close(desk, RolloutState.ROLLBACK_INCOMPLETE, f"{len(rest)} hosts are not rolled back: {names}")


def _give_updates_back(desk: Desk) -> None:
    taken = 0
    while taken < len(desk.r.todo) and desk.r.light_orders < AT_ONCE:
        name = desk.r.todo[taken]
        taken += 1
        if may_have_updates_back(desk.r, desk.host(name)):
            _give(desk, name, Asked(Verb.UPDATES, mode="on"), desk.host(name).phase)
    if taken:
        desk.r = replace(desk.r, todo=desk.r.todo[taken:])


def pause(desk: Desk, why: str, by: str) -> None:
    desk.move(RolloutState.PAUSED, why, by)
    call_back_all(desk, f"paused by {by}: {why}")


def resume(desk: Desk, state: RolloutState, why: str, by: str) -> None:
    desk.move(state, why, by)
    if state is RolloutState.ROLLING_BACK:
        disarm_all(desk)
        queue_back(desk)


def is_over(rollout: Rollout) -> bool:
    """Closed, and nothing is left that its engine has to follow or to give back."""
    rest = rollout.orders or rollout.todo or rollout.later
    return not rollout.state.is_open and not rest


def promised(plan: Plan) -> tuple[str, ...]:
    """Hosts that would move before their turn, and to which nothing is done about it."""
    return tuple(
        host.name
        for host in plan.hosts
        if host.moves_itself and not host.quiets and host.skipped is not SkipReason.ALREADY_THERE
    )
