"""Where a rollout's next state is made: hosts are put, and every counter follows by itself. Pure.

`Desk.put` is the only way to change a host. What a host contributes to the counters is told by one function,
so that they can be counted anew at any time (`counted`) and must then be equal.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from actions.orders import Verb
from actions.rollout_codes import PACES_S
from actions.rollout_model import (
    CohortPhase,
    CohortState,
    HostPhase,
    HostState,
    Later,
    Quiet,
    Rollout,
    RolloutState,
)
from actions.rollout_plan import Now, Plan, PlanHost, SkipReason
from actions.rollout_talk import Intent, Said, Tell

LIGHT = frozenset((Verb.STAGE, Verb.UPDATES, Verb.CANCEL))
"""Child orders that disturb nobody."""
_UNSTAGED = frozenset((HostPhase.PENDING, HostPhase.PREFLIGHT, HostPhase.STAGING))


class Share(NamedTuple):
    """What one host contributes, to its cohort first, then to the rollout."""

    open: int
    unstaged: int
    failed: int
    excepted: int
    skipped: int
    done: int
    doubts: int
    unseen: int
    blamed: int
    armed: int
    orders: int
    light: int
    quieting: int
    hurt: int


def share(plan: Plan, name: str, host: HostState, round_at: datetime | None) -> Share:
    own, phase = plan.by_name[name], host.phase
    is_done = phase is HostPhase.DONE
    left_out = phase is HostPhase.SKIPPED and own.skipped is None
    return Share(
        open=not phase.is_settled,
        unstaged=phase in _UNSTAGED,
        failed=host.counts,
        excepted=phase.is_failure or phase is HostPhase.EXCEPTION,
        skipped=left_out and host.skipped is not SkipReason.ALREADY_THERE,
        done=is_done,
        doubts=is_done and host.is_doubtful,
        unseen=is_done
        and round_at is not None
        and (host.looked_at is None or host.looked_at < round_at or host.is_doubtful),
        blamed=host.counts and host.rule.blames_release,
        armed=host.is_armed,
        orders=host.verb is not None,
        light=host.verb in LIGHT,
        quieting=wants_quiet(own, host),
        hurt=host.is_hurt,
    )


def wants_quiet(own: PlanHost, host: HostState) -> bool:
    """Its updates are still to be switched off, before anything else."""
    waits = phase_waits(host.phase)
    return own.quiets and host.quiet is Quiet.NOT_ASKED and waits


def phase_waits(phase: HostPhase) -> bool:
    return phase is HostPhase.PENDING or phase is HostPhase.PREFLIGHT


class Desk:
    """One input's work: the rollout as it becomes, and what is wanted of others."""

    def __init__(self, plan: Plan, rollout: Rollout, now: Now) -> None:
        self.plan = plan
        self.r = rollout
        self.now = now
        self.intents: list[Intent] = []
        self._own: dict[str, HostState] | None = None

    # -- hosts ----------------------------------------------------------------------------------

    def host(self, name: str) -> HostState:
        return self.r.hosts[name]

    def put(self, name: str, new: HostState) -> None:
        """Change a host; its `since` follows its phase."""
        old = self.r.hosts[name]
        if new == old:
            return
        moved = new.phase is not old.phase
        if moved:
            new = replace(new, since=self.now.steady)
        if self._own is None:
            self._own = dict(self.r.hosts)
            self.r = replace(self.r, hosts=self._own)
        self._own[name] = new
        self._count(name, old, new, moved=moved)

    def _count(self, name: str, old: HostState, new: HostState, *, moved: bool) -> None:
        number = self.plan.by_name[name].cohort
        cohort, r = self.r.cohorts[number], self.r
        was, is_now = (share(self.plan, name, host, cohort.round_at) for host in (old, new))
        if was != is_now:
            self.set_cohort(number, _changed(cohort, was, is_now))
            r = replace(
                self.r,
                failed=r.failed + is_now.failed - was.failed,
                blamed=r.blamed + is_now.blamed - was.blamed,
                excepted=r.excepted + is_now.excepted - was.excepted,
                armed=r.armed + is_now.armed - was.armed,
                orders=r.orders + is_now.orders - was.orders,
                light_orders=r.light_orders + is_now.light - was.light,
                quieting=r.quieting + is_now.quieting - was.quieting,
                hurt=r.hurt + is_now.hurt - was.hurt,
            )
        if moved:
            counts = dict(r.counts)
            counts[old.phase] -= 1
            counts[new.phase] = counts.get(new.phase, 0) + 1
            counts = {phase: count for phase, count in counts.items() if count}
            r = replace(r, counts=counts, moved_at=self.now.steady)
        if old.holds_budget is not new.holds_budget:
            r = _with_place(self.plan, r, name, holds=new.holds_budget)
        self.r = r

    def set_cohort(self, number: int, cohort: CohortState) -> None:
        cohorts = self.r.cohorts
        self.r = replace(self.r, cohorts=(*cohorts[:number], cohort, *cohorts[number + 1 :]))

    # -- cohorts and the rollout --------------------------------------------------------------------

    @property
    def cohort(self) -> CohortState:
        """The current one."""
        return self.r.cohorts[self.r.current]

    @property
    def cohort_name(self) -> str:
        return self.plan.cohorts[self.r.current].name

    def move_cohort(self, phase: CohortPhase, why: str = "") -> None:
        self.set_cohort(self.r.current, replace(self.cohort, phase=phase, since=self.now.steady))
        self.r = replace(self.r, moved_at=self.now.steady)
        self.tell(Said.COHORT, self.cohort_name, str(phase), why)

    def move(self, state: RolloutState, why: str, by: str = "") -> None:
        was = self.r.state
        self.r = replace(
            self.r,
            state=state,
            why=why,
            by=by,
            since=self.now.steady,
            moved_at=self.now.steady,
            stalled=None,
            resumes_to=was if state is RolloutState.PAUSED else None,
        )
        self.tell(Said.ROLLOUT, None, str(state), why)

    def tell(self, kind: Said, about: str | None, text: str, cause: str = "") -> None:
        self.intents.append(Tell(kind, about, text, cause))

    # -- queues -----------------------------------------------------------------------------------

    def queue(self, name: str) -> None:
        """It waits for what comes next for it on its way; hosts of other cohorts wait for theirs."""
        host, own = self.host(name), self.plan.by_name[name]
        if host.verb is not None:
            return
        if self.r.state is RolloutState.ROLLING_BACK or not self.r.state.is_open:
            return
        if wants_quiet(own, host):
            self.r = replace(self.r, todo=(*self.r.todo, name))
        elif own.cohort != self.r.current or self.cohort.phase is CohortPhase.WAITING:
            return
        elif host.phase is HostPhase.PENDING and self.plan.staging is not None:
            self.r = replace(self.r, todo=(*self.r.todo, name))
        elif host.phase in (HostPhase.PENDING, HostPhase.STAGED):
            key = " ".join(self.plan.domains[name])
            self.r = replace(self.r, ready={**self.r.ready, key: (*self.r.ready.get(key, ()), name)})

    def again_later(self, name: str, tries: int) -> None:
        """Queue it after a pause that grows with `tries`, at least 1."""
        pace_s = PACES_S[min(tries, len(PACES_S)) - 1]
        later = list(self.r.later)
        insort(later, Later(self.now.steady + timedelta(seconds=pace_s), name))
        self.r = replace(self.r, later=tuple(later))

    def take_due(self) -> list[str]:
        """Those whose pause is over, taken out."""
        due = 0
        while due < len(self.r.later) and self.r.later[due].at <= self.now.steady:
            due += 1
        names = [item.host for item in self.r.later[:due]]
        if due:
            self.r = replace(self.r, later=self.r.later[due:])
        return names

    def waited_s(self, since: datetime | None) -> float:
        """By the steady clock; endless for what never was."""
        return (self.now.steady - since).total_seconds() if since is not None else float("inf")


def _changed(cohort: CohortState, was: Share, is_now: Share) -> CohortState:
    return replace(
        cohort,
        open=cohort.open + is_now.open - was.open,
        unstaged=cohort.unstaged + is_now.unstaged - was.unstaged,
        failed=cohort.failed + is_now.failed - was.failed,
        excepted=cohort.excepted + is_now.excepted - was.excepted,
        skipped=cohort.skipped + is_now.skipped - was.skipped,
        done=cohort.done + is_now.done - was.done,
        doubts=cohort.doubts + is_now.doubts - was.doubts,
        unseen=cohort.unseen + is_now.unseen - was.unseen,
    )


def _with_place(plan: Plan, r: Rollout, name: str, *, holds: bool) -> Rollout:
    domains = dict(r.domains)
    for domain in plan.domains[name]:
        domains[domain] = domains.get(domain, 0) + (1 if holds else -1)
        if not domains[domain]:
            del domains[domain]
    others = (*r.disturbed, name) if holds else tuple(other for other in r.disturbed if other != name)
    return replace(r, disturbed=others, domains=domains)


# -- beginnings, and counting anew -----------------------------------------------------------------------


def begin(plan: Plan, now: Now) -> Rollout:
    """A plan's rollout, in DRAFT."""
    hosts = {
        host.name: HostState(HostPhase.SKIPPED, skipped=host.skipped) if host.skipped else HostState()
        for host in plan.hosts
    }
    rollout = Rollout(
        plan_id=plan.id,
        snapshot=plan.snapshot,
        state=RolloutState.DRAFT,
        hosts=hosts,
        cohorts=tuple(CohortState() for _ in plan.cohorts),
        since=now.steady,
    )
    return counted(plan, rollout)


def counted(plan: Plan, r: Rollout) -> Rollout:
    """The same with every counter counted anew from its hosts; the order of `disturbed` is kept."""
    total = [Share(*[0] * len(Share._fields)) for _ in plan.cohorts]
    counts: dict[HostPhase, int] = {}
    domains: dict[str, int] = {}
    holders = []
    for name, host in r.hosts.items():
        number = plan.by_name[name].cohort
        own = share(plan, name, host, r.cohorts[number].round_at)
        total[number] = Share(*(one + other for one, other in zip(total[number], own, strict=True)))
        counts[host.phase] = counts.get(host.phase, 0) + 1
        if host.holds_budget:
            holders.append(name)
            for domain in plan.domains[name]:
                domains[domain] = domains.get(domain, 0) + 1
    zero = Share(*[0] * len(Share._fields))
    cohorts = tuple(
        _changed(_emptied(cohort), zero, found) for cohort, found in zip(r.cohorts, total, strict=True)
    )
    kept = [name for name in r.disturbed if name in set(holders)]
    return replace(
        r,
        cohorts=cohorts,
        failed=sum(found.failed for found in total),
        blamed=sum(found.blamed for found in total),
        excepted=sum(found.excepted for found in total),
        armed=sum(found.armed for found in total),
        orders=sum(found.orders for found in total),
        light_orders=sum(found.light for found in total),
        quieting=sum(found.quieting for found in total),
        hurt=sum(found.hurt for found in total),
        disturbed=(*kept, *(name for name in holders if name not in set(kept))),
        domains=domains,
        counts=counts,
    )


def _emptied(cohort: CohortState) -> CohortState:
    return replace(cohort, open=0, unstaged=0, failed=0, excepted=0, skipped=0, done=0, doubts=0, unseen=0)
