"""`python -m benchmarks.store`: what storing a sweep costs, and how the file grows (goal G8).

Every observation goes the product's way, `actions.engine.record` for each hundred hosts, into a file.
The hosts are simulated, each with its own machine, boot and disks; their answers are parsed beforehand.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from actions.brief import brief
from actions.situation import Wish, situation
from benchmarks.costs import median
from benchmarks.looks import STARTED_AT, look_at, record_all
from benchmarks.report import Goal, count, ended, parser, print_goals, print_heading, print_table
from collectors import store
from collectors.feed_file import load_feed
from collectors.memory import remember
from collectors.observation import Answer, Observation
from collectors.releases import Feed
from console.demo.healthy import HostSpec, checked, healthy
from console.demo.plan import PlannedHost, plan
from console.demo.scenarios import SELECTABLE
from console.demo.world import SimulatedHost

CHANGED_SHARE = 20
"""One host of so many."""
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SWEEPS = (
    "first sweep",
    "unchanged",
    "5 % asked their server again",
    "5 % staged a release",
    "5 % booted into it",
)


@dataclass(frozen=True, slots=True)
class Cost:
    """One sweep; us are CPU, per host."""

    record_us: float
    """The whole way: read what is known, remember, judge, encode, hash, compare, write, commit."""
    judge_us: float
    """Of these: what the situation and the brief take."""
    grown_bytes: int
    changed_hosts: int
    change_rows: int

    @property
    def store_us(self) -> float:
        return self.record_us - self.judge_us


def at_work(hosts: Sequence[PlannedHost]) -> list[list[Observation]]:
    """The looks of the sweeps: every host confirmed and one release behind at first."""
    some = range(0, len(hosts), CHANGED_SHARE)
    specs = [HostSpec(item.name, STARTED_AT, item.flavour) for item in hosts]
    first = [look_at(healthy(spec, back=1), STARTED_AT) for spec in specs]
    asked, staged, booted = list(first), list(first), list(first)
    for number in some:
        host, ready = healthy(specs[number], back=1), SELECTABLE["staged"].build(specs[number])
        asked[number] = look_at(checked(replace(host, started_at=STARTED_AT + HOUR)), STARTED_AT)
        staged[number] = look_at(ready, STARTED_AT)
        booted[number] = look_at(_booted(specs[number], ready), STARTED_AT)
    return [first, first, asked, staged, booted]


def _booted(spec: HostSpec, before: SimulatedHost) -> SimulatedHost:
    """The host a boot later: the newest release runs from what was the other slot."""
    host = healthy(spec, up=HOUR)
    other = before.running.other if before.running else None
    if other is host.running:
        return host
    return replace(host, running=other, a=host.b, b=host.a)


def later(seen: Observation, at: datetime) -> Observation:
    """The same answer at another time, with the uptime that goes with it."""
    if not isinstance(seen, Answer):
        return replace(seen, at=at)
    passing = seen.facts.passing
    uptime_s = (passing.uptime_s or 0.0) + (at - STARTED_AT).total_seconds()
    return replace(seen, at=at, facts=replace(seen.facts, passing=replace(passing, uptime_s=uptime_s)))


def one_sweep(conn: sqlite3.Connection, looks: Sequence[Observation], feed: Feed, path: Path) -> Cost:
    size, hosts = _size_bytes(conn, path), len(looks)
    newest = _count(conn, "SELECT coalesce(max(id), 0) FROM changes")
    started = time.process_time()
    record_all(conn, looks, {}, feed)
    record_s = time.process_time() - started
    fresh = f"FROM changes WHERE id > {newest} AND path <> '/reach'"
    return Cost(
        record_us=record_s / hosts * 1e6,
        judge_us=_judging_s(looks, feed) / hosts * 1e6,
        grown_bytes=_size_bytes(conn, path) - size,
        changed_hosts=_count(conn, f"SELECT count(DISTINCT host) {fresh}"),
        change_rows=_count(conn, f"SELECT count(*) {fresh}"),
    )


def _judging_s(looks: Sequence[Observation], feed: Feed) -> float:
    """The share of recording that is no storing: measured by itself, on the same looks."""
    answers = [(seen, remember(None, seen.facts, seen.at)) for seen in looks if isinstance(seen, Answer)]
    wish = Wish()
    started = time.process_time()
    for seen, memory in answers:
        brief(seen.facts, memory, situation(seen, memory, wish, feed, seen.at))
    return time.process_time() - started


def measured(hosts: int, rounds: int, folder: Path) -> list[list[Cost]]:
    """Costs of each of the sweeps in each round; every round has a new database."""
    feed, looks = load_feed(None), at_work(plan(hosts, {"current": hosts}))
    found: list[list[Cost]] = [[] for _ in SWEEPS]
    for number in range(rounds):
        path = folder / f"{number}.db"
        conn = store.open_writer(path)
        try:
            for index, sweep in enumerate(looks):
                timed = [later(seen, STARTED_AT + index * MINUTE) for seen in sweep]
                found[index].append(one_sweep(conn, timed, feed, path))
        finally:
            conn.close()
    return found


def show(found: Sequence[Sequence[Cost]], hosts: int) -> None:
    rows = []
    for name, costs in zip(SWEEPS, found, strict=True):
        one, fields = costs[-1], ("record_us", "judge_us", "store_us")
        times = (median(getattr(cost, field) for cost in costs) for field in fields)
        each = f"{one.grown_bytes / one.changed_hosts:.0f}" if one.changed_hosts else "-"
        counts = (f"{one.grown_bytes / hosts:.0f}", f"{one.changed_hosts}", f"{one.change_rows}", each)
        rows.append([name, *(f"{value:.0f}" for value in times), *counts])
    columns = ("record", "of it judge", "store", "bytes/host", "changed", "rows", "bytes/changed")
    print_table(["us/host", *columns], rows)


def goals(found: Sequence[Sequence[Cost]]) -> list[Goal]:
    first, unchanged, _, *changed = found
    grown = [cost.grown_bytes / cost.changed_hosts for costs in changed for cost in costs]
    return [
        Goal("G8", "first sweep, storing", median(cost.store_us for cost in first), 80, unit="us/host"),
        Goal("G8", "unchanged, storing", median(cost.store_us for cost in unchanged), 25, unit="us/host"),
        Goal("G8", "file growth per host that staged or booted", max(grown), 2048, unit="bytes"),
    ]


def benchmark(hosts: int, rounds: int) -> None:
    title = f"store of {hosts} hosts, {rounds} rounds, SQLite {sqlite3.sqlite_version}"
    print_heading(title, ("msgspec", "sqlite-utils"))
    with tempfile.TemporaryDirectory(prefix="fleetctl-bench-") as folder:
        found = measured(hosts, rounds, Path(folder))
    show(found, hosts)
    print_goals(goals(found))


def _size_bytes(conn: sqlite3.Connection, path: Path) -> int:
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def _count(conn: sqlite3.Connection, sql: str) -> int:
    return int(conn.execute(sql).fetchone()[0])


def main() -> int:
    options = parser("What storing a sweep costs, and how the file grows (goal G8).")
    options.add_argument("--hosts", type=count, default=10_000)
    options.add_argument("--rounds", type=count, default=3)
    given = options.parse_args()
    return ended(lambda: benchmark(given.hosts, given.rounds))


if __name__ == "__main__":
    sys.exit(main())
