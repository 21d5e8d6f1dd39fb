"""Looks at hosts beside their child orders: who settles, who falls ill, who moved by itself. Pure.

A host is done once its settle time is over and it was seen well near its end. A done host that is seen ill
twice in a row, in another boot or with another version is a failure until its cohort is passed; one that does
not answer for the time a reboot may take is missing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from actions.rollout_desk import Desk
from actions.rollout_halt import fail, lose
from actions.rollout_model import CohortPhase, FailKind, HostPhase, HostState, RolloutState
from actions.rollout_orders import moved_by_itself
from actions.rollout_plan import ActionKind, SkipReason
from actions.rollout_talk import LookAt, Said, Seen

SETTLE_LOOK_S, SOONEST_LOOK_S = 60.0, 5.0
"""Between two looks at hosts that settle; of a short settle time twice in it."""
SOAK_LOOK_S = 300.0
FRESH_S = 150.0
"""A look so much older than the end of a settle time still counts for it."""
LATE_S = 120.0
"""Past its deadlines a host's own order has so much longer to say what became of it."""
GOOD_LOOKS = 2
BAD_LOOKS = 2

_IDLE = (HostPhase.PENDING, HostPhase.STAGED)
_LOOKS_IN = (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.HALTED, RolloutState.ROLLING_BACK)


def seen(desk: Desk, look: Seen) -> None:
    host, own = desk.host(look.host), desk.plan.by_name[look.host]
    is_current = own.cohort == desk.r.current
    if host.phase is HostPhase.SETTLING or (host.phase is HostPhase.DONE and is_current):
        _after_its_turn(desk, look, host)
    elif host.phase in _IDLE and host.verb is None and not host.has_target:
        _before_its_turn(desk, look, host)
    elif host.holds_budget and not host.phase.is_disturbed and host.phase is not HostPhase.UNKNOWN:
        _recovers(desk, look, host)


def _before_its_turn(desk: Desk, look: Seen, host: HostState) -> None:
    own, kind, target = desk.plan.by_name[look.host], desk.plan.action.kind, desk.plan.action.version
    was = own.running_version
    if look.version is None or was is None or kind is ActionKind.CHANNEL or look.version == was:
        if target is not None and was == target == look.version and kind is ActionKind.RELEASE:
            desk.put(look.host, replace(host, phase=HostPhase.SKIPPED, skipped=SkipReason.ALREADY_THERE))
        return
    text = f"it runs {look.version}, before its turn; the plan found {was}"
    moved_by_itself(desk, look.host, replace(host, is_armed=False), text)


def _after_its_turn(desk: Desk, look: Seen, host: HostState) -> None:
    name, target = look.host, desk.plan.action.version
    if target is not None and look.version not in (None, target):
        desk.put(name, replace(host, has_target=False))
        fail(desk, name, FailKind.UNHEALTHY, f"it runs {look.version} by now, not {target}")
    elif host.boot_id is not None and look.boot_id not in (None, host.boot_id):
        fail(desk, name, FailKind.UNHEALTHY, "it has rebooted once more by itself")
    elif look.well is None:
        _silent(desk, look, host)
    elif look.well:
        boot = host.boot_id or look.boot_id
        well = replace(host, boot_id=boot, looked_at=desk.now.steady, bad_looks=0, silent_since=None)
        desk.put(name, well)
        _settles(desk, name)
    elif host.bad_looks + 1 >= BAD_LOOKS:
        fail(desk, name, FailKind.UNHEALTHY, look.why or "it is not as well as before")
    else:
        boot = host.boot_id or look.boot_id
        ill = replace(host, boot_id=boot, bad_looks=host.bad_looks + 1, silent_since=None, text=look.why)
        desk.put(name, ill)
        desk.intents.append(LookAt(name))


def _silent(desk: Desk, look: Seen, host: HostState) -> None:
    since = host.silent_since or desk.now.steady
    deadline_s = desk.plan.by_name[look.host].reboot_deadline_s
    if (desk.now.steady - since).total_seconds() >= deadline_s:
        lose(desk, look.host, f"silent for {deadline_s / 60:g} minutes after its turn: {look.why}")
    else:
        desk.put(look.host, replace(host, silent_since=since, text=look.why))


def _recovers(desk: Desk, look: Seen, host: HostState) -> None:
    """A failure that is well again holds nobody up any more; it stays a failure."""
    good = host.good_looks + 1 if look.well else 0
    desk.put(look.host, replace(host, good_looks=good, is_released=good >= GOOD_LOOKS))
    if good >= GOOD_LOOKS:
        desk.tell(Said.HOST, look.host, "well again: its place in the budget is free", host.text)


def _settles(desk: Desk, name: str) -> None:
    """Done, if its settle time is over and it was seen well near its end."""
    host = desk.host(name)
    if host.phase is not HostPhase.SETTLING or host.is_doubtful or host.since is None:
        return
    end = host.since + timedelta(seconds=desk.plan.settle_s)
    fresh = host.looked_at is not None and host.looked_at >= end - timedelta(seconds=FRESH_S)
    if desk.now.steady < end or not fresh:
        return
    desk.put(name, replace(host, phase=HostPhase.DONE, was_done=True))
    number = desk.plan.by_name[name].cohort
    desk.set_cohort(number, replace(desk.r.cohorts[number], settled_at=desk.now.steady))
    desk.tell(Said.HOST, name, "done", host.text)


def pass_time(desk: Desk) -> None:
    """Deadlines, settle times, and the looks that are due."""
    for name in desk.r.disturbed:
        host, own = desk.host(name), desk.plan.by_name[name]
        limit_s = own.reboot_deadline_s + own.confirm_deadline_s + LATE_S
        if host.phase.is_sent and desk.waited_s(host.issued_at) >= limit_s:
            back = host.phase_before is not None
            desk.put(name, replace(host, rollback_failed=host.rollback_failed or back))
            lose(desk, name, f"not verified {limit_s / 60:g} minutes after its reboot was sent")
        else:
            _settles(desk, name)
    if desk.r.state in _LOOKS_IN:
        _ask_looks(desk)


def _ask_looks(desk: Desk) -> None:
    now = desk.now.steady
    if desk.waited_s(desk.r.looks_at) >= min(SETTLE_LOOK_S, max(SOONEST_LOOK_S, desk.plan.settle_s / 2)):
        desk.r = replace(desk.r, looks_at=now)
        for name in desk.r.disturbed:
            host = desk.host(name)
            hurt = host.phase.is_failure and host.verb is None
            if host.phase is HostPhase.SETTLING or hurt:
                desk.intents.append(LookAt(name))
        _look_round(desk, only_open=True)
    if desk.waited_s(desk.r.round_looks_at) >= SOAK_LOOK_S:
        desk.r = replace(desk.r, round_looks_at=now)
        _look_round(desk, only_open=False)


def _look_round(desk: Desk, *, only_open: bool) -> None:
    """At the done hosts of the current cohort; `only_open`: at those that hold its pass up."""
    if desk.r.current >= len(desk.r.cohorts):
        return
    cohort = desk.cohort
    if cohort.phase is CohortPhase.PASSED or not cohort.done:
        return
    if only_open and not cohort.doubts and not cohort.unseen:
        return
    for own in desk.plan.by_cohort[desk.r.current]:
        host = desk.host(own.name)
        if host.phase is HostPhase.DONE and (not only_open or _holds_up(desk, host)):
            desk.intents.append(LookAt(own.name))


def _holds_up(desk: Desk, host: HostState) -> bool:
    begun = desk.cohort.round_at
    unseen = begun is not None and (host.looked_at is None or host.looked_at < begun)
    return host.is_doubtful or unseen


def begin_round(desk: Desk) -> None:
    """The closing look at each done host, before the cohort's gate."""
    desk.set_cohort(desk.r.current, replace(desk.cohort, round_at=desk.now.steady, unseen=desk.cohort.done))
    seen_now = 0
    for own in desk.plan.by_cohort[desk.r.current]:
        host = desk.host(own.name)
        if host.phase is HostPhase.DONE:
            if _holds_up(desk, host):
                desk.intents.append(LookAt(own.name))
            else:
                seen_now += 1
    desk.set_cohort(desk.r.current, replace(desk.cohort, unseen=desk.cohort.done - seen_now))
