"""A rollout in sentences: why a host waits, what keeps the whole, how it stands. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from actions.rollout_desk import Desk
from actions.rollout_gates import gate_problem
from actions.rollout_halt import hurt_hosts
from actions.rollout_model import CohortPhase, HostPhase, Rollout, RolloutState, Stall
from actions.rollout_plan import Now, Plan
from actions.rollout_talk import Said
from actions.waves import domain_problem, place_problem, soak_ends, window_problem

STALLED_AFTER_S = 1800.0

_BY_PHASE = {
    HostPhase.PREFLIGHT: "it is looked at before anything is sent",
    HostPhase.STAGING: "the release is written to its other slot",
    HostPhase.LEASED: "it has its place in the budget and is looked at once more",
    HostPhase.DRAINING: "work is moved off it",
    HostPhase.REBOOT_ISSUED: "its reboot was sent",
    HostPhase.AWAITING_RETURN: "it reboots",
    HostPhase.VERIFYING: "it is back and looked at",
    HostPhase.UNKNOWN: "what became of it is not known: look at it, then release-host",
}


def _wall(now: Now, steady: datetime) -> str:
    """An instant of the steady clock, in UTC whatever the zone of the wall clock."""
    wall = now.wall.astimezone(UTC)
    at = wall + (steady - now.steady)
    return f"{at:%H:%M} UTC" if at.date() == wall.date() else f"{at:%a %Y-%m-%d %H:%M} UTC"


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"


def _whole_waits(plan: Plan, r: Rollout) -> str | None:
    """Why nothing is dispatched at all."""
    match r.state:
        case RolloutState.RUNNING | RolloutState.ROLLING_BACK:
            return None
        case RolloutState.DRAFT:
            return f"rollout {plan.id} is not approved"
        case RolloutState.APPROVED:
            return f"rollout {plan.id} is approved and not started"
        case RolloutState.PAUSED:
            return f"paused by {r.by}" + (f": {r.why}" if r.why else "")
        case RolloutState.HALTED:
            return f"halted: {r.why}"
    return f"rollout {plan.id} is {r.state}" + (f": {r.why}" if r.why else "")


def waits(plan: Plan, r: Rollout, host: str, now: Now) -> str:
    """One sentence: why a host is not done, or what it is."""
    state, own = r.hosts[host], plan.by_name[host]
    phase = state.phase
    if phase.is_settled:
        reason = state.skipped or state.failed
        return (
            f"it is {phase}" + (f" ({reason})" if reason else "") + (f": {state.text}" if state.text else "")
        )
    if phase is HostPhase.SETTLING and state.since is not None:
        ends = state.since + timedelta(seconds=plan.settle_s)
        if state.is_doubtful:
            return f"it was seen ill, or not at all, while it settles: {state.text or 'no answer'}"
        return f"it settles until {_wall(now, ends)}"
    if state.is_called_back:
        return "it was called back; what was taken for it is given back"
    if phase in _BY_PHASE:
        return _BY_PHASE[phase] + (f": {state.text}" if state.text else "")
    whole = _whole_waits(plan, r)
    if whole is not None:
        return whole
    later = next((item for item in r.later if item.host == host), None)
    if later is not None:
        return f"{state.text or state.code}; tried again at {_wall(now, later.at)}"
    if own.cohort > r.current:
        return _cohort_waits(plan, r, own.cohort, now)
    return _turn_waits(plan, r, host, now)


def _cohort_waits(plan: Plan, r: Rollout, number: int, now: Now) -> str:
    name, before = plan.cohorts[number].name, plan.cohorts[r.current].name
    return f"its cohort {name} waits for {before}, {cohort_words(plan, r, now)}"


def cohort_words(plan: Plan, r: Rollout, now: Now) -> str:
    """What the current cohort does, after "which": `soaks until 14:20 UTC`."""
    cohort, total = r.cohorts[r.current], len(plan.by_cohort[r.current])
    problem = gate_problem(Desk(plan, r, now))
    match cohort.phase:
        case CohortPhase.WAITING:
            if r.quieting:
                return f"which begins once the updates of {_hosts(r.quieting)} are off"
            return "which has not begun"
        case CohortPhase.STAGING:
            return f"which is staged: {cohort.unstaged} of {total} are not yet"
        case CohortPhase.SOAKING if cohort.settled_at is not None:
            ends = cohort.settled_at + timedelta(seconds=soak_ends(plan, r))
            if ends > now.steady:
                return f"which soaks until {_wall(now, ends)}"
            return f"of which {_hosts(cohort.unseen or cohort.doubts)} must be seen once more after the soak"
        case CohortPhase.GATE:
            return f"whose gate is asked: {', '.join(gate.name for gate in plan.gates_of(r.current)) or '-'}"
        case CohortPhase.WAITING_GATE:
            return f"whose gate waits: {problem or 'for a person'}"
    return f"which is {cohort.phase}: {cohort.open} of {total} are open"


def _turn_waits(plan: Plan, r: Rollout, host: str, now: Now) -> str:
    own, state, cohort = plan.by_name[host], r.hosts[host], r.cohorts[r.current]
    if r.state is RolloutState.ROLLING_BACK:
        return place_problem(plan, r) or "it is left as it is: it does not run the target"
    if state.phase is HostPhase.PENDING and plan.staging is not None:
        if cohort.phase is CohortPhase.WAITING and r.quieting:
            return f"the updates of {_hosts(r.quieting)} are switched off first"
        return "it waits to be staged: 50 at once"
    if cohort.phase is CohortPhase.STAGING:
        return f"it is staged; {cohort.unstaged} of its cohort are not yet"
    window = window_problem(plan, own.reboot_deadline_s, now)
    return window or place_problem(plan, r) or domain_problem(plan, r, host) or "its turn is next"


# -- stalled -------------------------------------------------------------------------------------------


def stall_cause(plan: Plan, r: Rollout, now: Now) -> str | None:
    """What keeps a rollout that ought to go on; None: it goes on, or waits for a time that was planned."""
    if r.state not in (RolloutState.RUNNING, RolloutState.ROLLING_BACK):
        return None
    still_s = (now.steady - (r.moved_at or r.since)).total_seconds()
    planned = False
    if r.state is RolloutState.RUNNING and r.current < len(r.cohorts):
        cohort = r.cohorts[r.current]
        if cohort.phase is CohortPhase.WAITING_GATE:
            return gate_problem(Desk(plan, r, now)) or "its gate waits for a person"
        soak_s = soak_ends(plan, r)
        ends = cohort.settled_at + timedelta(seconds=soak_s) if cohort.settled_at else now.steady
        planned = cohort.phase is CohortPhase.SOAKING and ends > now.steady
        if cohort.phase is CohortPhase.SOAKING:  # after it everything is looked at once more
            still_s = min(still_s, (now.steady - ends).total_seconds())
    busy = r.orders or any(r.hosts[name].phase is HostPhase.SETTLING for name in r.disturbed)
    if not busy and not planned:
        cause = _standing_cause(plan, r, now)
        if cause is not None:
            return cause
    if planned or still_s < STALLED_AFTER_S:
        return None
    return f"nothing moved for {still_s / 60:.0f} minutes" + _who_is_open(r)


def _standing_cause(plan: Plan, r: Rollout, now: Now) -> str | None:
    """With no order open and no host settling: who or what is waited for."""
    waiting = next((names[0] for names in r.ready.values() if names), None)
    if waiting is not None:
        window = window_problem(plan, plan.by_name[waiting].reboot_deadline_s, now)
        if window is not None:
            return window
    if len(r.disturbed) >= plan.budget and hurt_hosts(r) and (waiting or r.todo):
        return f"{place_problem(plan, r)}; release-host lets a place go"
    if waiting is not None:
        problem = place_problem(plan, r) or domain_problem(plan, r, waiting)
        if problem is not None:
            return problem
    if r.later:
        host = r.later[0].host
        return f"{host}: {r.hosts[host].text}; tried again at {_wall(now, r.later[0].at)}"
    if r.counts.get(HostPhase.UNKNOWN):
        names = [name for name, host in r.hosts.items() if host.phase is HostPhase.UNKNOWN]
        return f"what became of {', '.join(names[:5])} is not known: look, then release-host"
    return None


def _who_is_open(r: Rollout) -> str:
    names = [name for name in r.disturbed if r.hosts[name].verb is not None]
    return f": waiting for {', '.join(names[:5])}" if names else ""


def note_stall(desk: Desk) -> None:
    cause, was = stall_cause(desk.plan, desk.r, desk.now), desk.r.stalled
    if cause is None:
        if was is not None:
            desk.r = replace(desk.r, stalled=None)
        return
    if was is None or was.cause != cause:
        is_new = was is None or was.cause.split(" ")[0] != cause.split(" ")[0]
        since = was.since if was is not None else desk.now.steady
        desk.r = replace(desk.r, stalled=Stall(cause, since))
        if is_new:
            desk.tell(Said.STALLED, None, "stalled", cause)


# -- the whole -----------------------------------------------------------------------------------------


def headline(plan: Plan, r: Rollout, now: Now) -> str:
    """The one sentence of a rollout."""
    total, counts = len(plan.hosts), r.counts
    done = counts.get(HostPhase.DONE, 0)
    parts = [f"{done} of {total} done"]
    shown = (
        HostPhase.SKIPPED,
        HostPhase.FAILED,
        HostPhase.MISSING,
        HostPhase.UNKNOWN,
        HostPhase.EXCEPTION,
        HostPhase.ROLLED_BACK,
    )
    parts += [f"{counts[phase]} {phase}" for phase in shown if counts.get(phase)]
    words = f"{r.state}: {', '.join(parts)}"
    if r.state is RolloutState.RUNNING and r.current < len(r.cohorts):
        name = plan.cohorts[r.current].name
        words += f"; {name} ({r.current + 1} of {len(plan.cohorts)}), {cohort_words(plan, r, now)}"
        words += f"; budget {len(r.disturbed)} of {plan.budget}"
    elif r.why:
        words += f"; {r.why}" + (f" (by {r.by})" if r.by else "")
    if r.armed and r.state not in (RolloutState.RUNNING, RolloutState.APPROVED):
        words += f"; {r.armed} still armed"
    if r.stalled is not None:
        words += f"; stalled: {r.stalled.cause}"
    return words
