"""How many hosts a bad release harms before a rollout stops by itself: our engine, and others' rules.

The others are models of what their documentation or source says, not measurements of them. In all of them a
host is harmed if it rebooted into the bad release and is not well on it; nobody watches. Releases: 30 % of
the hosts vanish at the reboot, 30 % fall back and say so, or all come up well and break 30 minutes later.
"""

from __future__ import annotations

import heapq
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from actions.actor import current_actor
from actions.rollout_model import RolloutState
from actions.rollout_plan import ActionKind, Plan, PlanCohort, PlanHost, RolloutAction
from actions.rollout_planning_cohorts import spread
from benchmarks.costs import BenchmarkFailed
from benchmarks.report import count, ended, parser, print_heading, print_table
from collectors import store
from console.demo import rollout_story as story
from console.demo.feed import recent

VANISH, REVERT, BREAK = "30 % vanish", "30 % revert", "all break 30 min after boot"
RELEASES = (VANISH, REVERT, BREAK)
SHARE = 0.3
FAULTS = {VANISH: "never-returns", REVERT: "fallback", BREAK: "break-after-30"}
COHORTS = (5, 20, 75, 200)
"""The last takes the rest."""
BUDGET = 10
UPDATE_MIN = (10.0, 14.0)
"""From an order to its outcome, well or reverted: staged, rebooted, reported."""
SILENT_MIN = 60.0
"""After so long the others take an update that says nothing for failed."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Hosts by number, in the order in which they come along."""

    order: tuple[int, ...]
    bad: frozenset[int]
    release: str
    minutes: tuple[float, ...]
    """Host -> from the order to its outcome."""

    def reports(self, host: int) -> bool:
        """That it is bad is told by the host; one that vanished is only silent, one that breaks said yes."""
        return self.release == REVERT and host in self.bad

    def is_silent(self, host: int) -> bool:
        return self.release == VANISH and host in self.bad


def fleet_of(hosts: int, release: str, seed: int) -> Fleet:
    """The same hosts for the same seed, whoever updates them."""
    chance = random.Random(seed)
    bad = range(hosts) if release == BREAK else chance.sample(range(hosts), round(SHARE * hosts))
    order = chance.sample(range(hosts), hosts)
    minutes = tuple(chance.uniform(*UPDATE_MIN) for _ in range(hosts))
    return Fleet(tuple(order), frozenset(bad), release, minutes)


# -- others' rules -------------------------------------------------------------------------------


def nebraska(fleet: Fleet, *, most: int = 10, period_min: float = 60.0) -> int:
    """Safe mode: one host alone until its update has ended, then at most `most` grants in a period and as
    many in progress; as many that timed out switch updates off, as does a failure of the first alone.

    A host asks each minute. Source: flatcar/nebraska:backend/pkg/api/updates.go@02fcbcd
    (enforceRolloutPolicy), events.go (a failure with one attempt).
    """
    granted: list[tuple[float, int]] = []
    waiting, attempted, now = list(reversed(fleet.order)), 0, 0.0
    open_updates: list[tuple[float, int]] = []
    while waiting:
        over = [item for item in open_updates if _outcome_at(fleet, item) <= now]
        open_updates = [item for item in open_updates if _outcome_at(fleet, item) > now]
        attempted += len(over)
        if attempted == 1 and any(fleet.reports(host) for _, host in over):
            break
        limit = most if attempted else 1
        silent = sum(now - at > SILENT_MIN for at, _ in open_updates)
        lately = sum(now - at < period_min for at, _ in granted[-most:])
        if lately < limit and len(open_updates) - silent < limit:
            if silent >= limit:
                break
            host = waiting.pop()
            granted.append((now, host))
            open_updates.append((now, host))
        now += 1.0
    return sum(host in fleet.bad for _, host in granted)


def _outcome_at(fleet: Fleet, update: tuple[float, int]) -> float:
    """When the server hears how it ended; never of a host that is silent."""
    at, host = update
    return float("inf") if fleet.is_silent(host) else at + fleet.minutes[host]


def hawkbit(fleet: Fleet, *, groups: int = 5, success: float = 0.5, error: float = 0.1) -> int:
    """Groups one after another, each at once: `success` of a group starts the next one, a failed share above
    `error` ends the rollout. A silent target is neither.

    Both shares are the creator's choice. Source: eclipse-hawkbit/hawkbit:docs/content/concepts/
    rollout-management.md@20447de.
    """
    size, harmed = -(-len(fleet.order) // groups), 0
    for begin in range(0, len(fleet.order), size):
        group = fleet.order[begin : begin + size]
        harmed += sum(host in fleet.bad for host in group)
        failed = sum(fleet.reports(host) for host in group)
        good = sum(not fleet.reports(host) and not fleet.is_silent(host) for host in group)
        if failed > error * len(group) or good < success * len(group):
            break
    return harmed


def ssm(fleet: Fleet, *, at_once: int = 50, max_errors: int = 10) -> int:
    """Run Command: `at_once` invocations, the next as one ends; with more than `max_errors` failed none are
    sent any more, and those on their way go on. A silent host fails at its timeout.

    Source: AWS Systems Manager user guide, "Control automations at scale", "Run commands at scale".
    """
    ends: list[tuple[float, int]] = []
    waiting, sent, errors, now = list(reversed(fleet.order)), list[int](), 0, 0.0
    while waiting and errors <= max_errors:
        while waiting and len(ends) < at_once:
            host = waiting.pop()
            sent.append(host)
            lasts = SILENT_MIN if fleet.is_silent(host) else fleet.minutes[host]
            heapq.heappush(ends, (now + lasts, host))
        now, host = heapq.heappop(ends)
        errors += fleet.reports(host) or fleet.is_silent(host)
    return sum(host in fleet.bad for host in sent)


RULES: Sequence[tuple[str, Callable[[Fleet], int]]] = (
    ("Nebraska safe mode, 10 an hour", nebraska),
    ("hawkBit, 5 groups", hawkbit),
    ("SSM, 50 at once, max-errors 10", ssm),
)


# -- our engine ----------------------------------------------------------------------------------


def ours(hosts: int, release: str, seed: int) -> int:
    """Hosts harmed by the real engine over a fleet in memory; told by the hosts' own log.

    Raises BenchmarkFailed where it does not halt, or the hosts deny what a halt promises.
    """
    planned = story.story_hosts(hosts)
    bad = fleet_of(hosts, release, seed).bad
    faults = {host.name: FAULTS[release] for number, host in enumerate(planned) if number in bad}
    with tempfile.TemporaryDirectory(prefix="fleetctl-damage-") as folder:
        own = story.ready(Path(folder), planned, faults, pace_s=0.0)
        made = bare_plan(own, f"r-damage-{seed}")
        with closing(store.open_writer(own.loaded.database_path)) as conn:
            story.approve(conn, made, current_actor(), own.now)
            ending = story.carry(own, conn, made, lambda at, tell: None)
    if ending.broken or ending.rollout.state is not RolloutState.HALTED:
        why = "; ".join(ending.broken) or f"it is {ending.rollout.state}"
        raise BenchmarkFailed(f"{release}, seed {seed}: {why}")
    return len(ending.harmed)


def bare_plan(own: story.Story, plan_id: str) -> Plan:
    """By hand: canary 5, then 20, 75, 200, the rest; hosts that do not update by themselves."""
    names = spread(plan_id, own.names, {})
    ends = [sum(COHORTS[: number + 1]) for number in range(len(COHORTS))]
    hosts = tuple(
        PlanHost(name, sum(place >= end for end in ends), running_version=own.life.host(name).state.version)
        for place, name in enumerate(names)
    )
    words = ("canary", "wave-1", "wave-2", "wave-3", "rest")[: hosts[-1].cohort + 1]
    cohorts = tuple(PlanCohort(word, soak_s=story.SOAK_S) for word in words)
    action = RolloutAction(ActionKind.RELEASE, version=recent("stable"))
    return Plan(plan_id, "demo", action, hosts, cohorts, BUDGET, settle_s=story.SETTLE_S, snapshot="by hand")


def measured(hosts: int, seeds: int, processes: int) -> dict[str, list[int]]:
    """Release -> hosts harmed by ours, a run for each seed."""
    with ProcessPoolExecutor(processes) as pool:
        runs = {
            release: [pool.submit(ours, hosts, release, seed) for seed in range(seeds)]
            for release in RELEASES
        }
        return {release: [run.result() for run in own] for release, own in runs.items()}


def modelled(hosts: int, seeds: int, rule: Callable[[Fleet], int]) -> dict[str, list[int]]:
    return {release: [rule(fleet_of(hosts, release, seed)) for seed in range(seeds)] for release in RELEASES}


def benchmark(hosts: int, seeds: int) -> None:
    processes = os.cpu_count() or 1
    print_heading(f"Hosts harmed by a bad release: {hosts:,} hosts, {seeds} seeds, median (most)")
    rows = [[name, *_cells(modelled(hosts, seeds, rule).values())] for name, rule in RULES]
    begun = time.monotonic()
    found = measured(hosts, seeds, processes)
    took_s = time.monotonic() - begun
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    name = f"fleetctl, canary 5, then {'/'.join(map(str, COHORTS[1:]))}/rest, budget {BUDGET}"
    print_table(["rule", *RELEASES], [*rows, [name, *_cells(found.values())]])
    cpu_s, runs = used.ru_utime + used.ru_stime, seeds * len(RELEASES)
    print(f"{runs} rollouts in {took_s:.0f} s on {processes} processes, {cpu_s / runs:.1f} s CPU each")


def _cells(found: Iterable[list[int]]) -> list[str]:
    return [f"{median(harmed):.0f} ({max(harmed)})" for harmed in found]


def main() -> int:
    options = parser("How many hosts a bad release harms before a rollout stops by itself.")
    options.add_argument("--hosts", type=count, default=1000)
    options.add_argument("--seeds", type=count, default=40)
    given = options.parse_args()
    return ended(lambda: benchmark(given.hosts, given.seeds))


if __name__ == "__main__":
    sys.exit(main())
