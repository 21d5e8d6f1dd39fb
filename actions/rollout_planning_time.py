"""How long a rollout will take if nothing waits: this fleet's own times, its limits and windows. Pure.

It is a guess and says what it stands on. Gates are taken to pass at once, hosts to succeed at the first try.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from actions.orders import Force
from actions.rollout_plan import Plan, PlanHost
from actions.waves import AT_ONCE, ramp
from actions.windows import Opening, openings
from collectors.fleet_model import Window

STAGE_S = 420.0
"""A download of half a GiB and a slot written, where this fleet has not staged anything yet."""
TURN_S = 240.0
"""Drain, reboot, return and confirmation, likewise."""
CHANNEL_S = 15.0
QUIET_S = 10.0
FEWEST = 3
"""Times seen from which on the fleet's own median counts."""
AHEAD_DAYS = 400


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds that steps took on this fleet, as far as they ended well."""

    stage: tuple[float, ...] = ()
    turn: tuple[float, ...] = ()
    """From the reboot that was sent to its proof."""

    @property
    def stage_s(self) -> float:
        return median(self.stage) if len(self.stage) >= FEWEST else STAGE_S

    @property
    def turn_s(self) -> float:
        return median(self.turn) if len(self.turn) >= FEWEST else TURN_S

    @property
    def are_seen(self) -> bool:
        return len(self.stage) >= FEWEST and len(self.turn) >= FEWEST


@dataclass(frozen=True, slots=True)
class CohortTime:
    name: str
    hosts: int
    """Those that take part."""
    begins_at: datetime
    """When its first host has its turn, by the wall clock."""
    window: tuple[str, ...]
    """Windows in which that is."""
    ends_at: datetime
    """With its soak."""
    at_once: int
    """Most hosts in their turn at the same time."""


@dataclass(frozen=True, slots=True)
class Estimate:
    begins_at: datetime
    ends_at: datetime
    cohorts: tuple[CohortTime, ...]
    stage_s: float
    turn_s: float
    is_seen: bool
    """From this fleet's own times; else usual ones."""
    is_cut: bool = False
    """It takes longer than AHEAD_DAYS: cohorts that do not end by then are left out."""

    @property
    def total_s(self) -> float:
        return (self.ends_at - self.begins_at).total_seconds()


def estimate(plan: Plan, durations: Durations, now: datetime) -> Estimate | None:
    """From `now` (aware) to the last soak; None where no window has room for a host's reboot."""
    walk = _Walk(plan, durations, now)
    if not walk.has_room():
        return None
    cohorts = list[CohortTime]()
    for number in range(len(plan.cohorts)):
        told = walk.cohort(number)
        if told is None:
            break
        cohorts.append(told)
    is_cut = len(cohorts) < len(plan.cohorts)
    turn_s = durations.turn_s if plan.action.reboots else CHANNEL_S
    return Estimate(now, walk.at, tuple(cohorts), durations.stage_s, turn_s, durations.are_seen, is_cut)


class _Walk:
    """The plan, gone through round by round."""

    def __init__(self, plan: Plan, durations: Durations, now: datetime) -> None:
        self.plan = plan
        self.at = now
        self._stage_s = durations.stage_s if plan.staging is not None else 0.0
        self._turn_s = durations.turn_s if plan.action.reboots else CHANNEL_S
        self._openings = openings(windows_that_count(plan), now, AHEAD_DAYS)
        self._place = 0
        quiet = sum(host.quiets and host.skipped is None for host in plan.hosts)
        self._pass(_rounds(quiet, AT_ONCE) * QUIET_S)

    def has_room(self) -> bool:
        """Whether each host that takes part could be rebooted in some window."""
        reboots = self.plan.action.reboots
        needs = {host.reboot_deadline_s for host in self.plan.hosts if host.skipped is None and reboots}
        openings_left = [opening.left_s(self.at) for opening in self._openings]
        longest = max((AHEAD_DAYS * 86400.0 if left is None else left for left in openings_left), default=0.0)
        return max(needs, default=0) <= longest

    def _pass(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def cohort(self, number: int) -> CohortTime | None:
        own = self.plan.cohorts[number]
        hosts = [host for host in self.plan.by_cohort[number] if host.skipped is None]
        if not hosts:
            return CohortTime(own.name, 0, self.at, (), self.at, 0)
        self._pass(_rounds(len(hosts), AT_ONCE) * self._stage_s)
        deadline_s = max(host.reboot_deadline_s for host in hosts)
        first: tuple[datetime, Opening] | None = None
        widths = _widths(self.plan, hosts, is_first=number == 0)
        for _ in widths:
            opening = self._next_opening(deadline_s)
            if opening is None:
                return None
            first = first or (self.at, opening)
            self._pass(self._turn_s + self.plan.settle_s)
        self._pass(own.soak_s)
        assert first is not None
        begins_at, opening = first
        return CohortTime(own.name, len(hosts), begins_at, opening.names, self.at, max(widths))

    def _next_opening(self, deadline_s: float) -> Opening | None:
        """The opening in which the next reboot may be issued; the walk is in it then."""
        needs_s = deadline_s if self.plan.action.reboots else 0.0
        while self._place < len(self._openings):
            opening = self._openings[self._place]
            at = self.at if opening.begin is None else max(self.at, opening.begin)
            if opening.fits(needs_s, at):
                self.at = at
                return opening
            self._place += 1
        return None


def _rounds(hosts: int, at_once: int) -> int:
    return -(-hosts // at_once)


def _widths(plan: Plan, hosts: Sequence[PlanHost], *, is_first: bool) -> list[int]:
    """How many hosts have their turn at the same time, round by round."""
    widths, done = list[int](), 0
    while done < len(hosts):
        limit = min(plan.budget, ramp(done)) if is_first else plan.budget
        widths.append(min(limit, len(hosts) - done))
        done += widths[-1]
    counts = Counter(domain for host in hosts for domain in plan.domains[host.name])
    tightest = max(
        (_rounds(count, plan.per_label[domain.partition("=")[0]]) for domain, count in counts.items()),
        default=0,
    )
    if tightest > len(widths):  # a label's limit holds before the budget does
        return [_rounds(len(hosts), tightest)] * tightest
    return widths


def windows_that_count(plan: Plan) -> tuple[Window, ...]:
    """Those that its reboots wait for."""
    is_free = not plan.action.reboots or bool(plan.forced.get(Force.WINDOW, "").strip())
    return () if is_free else plan.windows
