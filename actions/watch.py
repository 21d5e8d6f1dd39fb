"""Sweep after sweep: one sweeper by lease, looks spread over the interval, failing hosts asked less often."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from actions.collect import Swept, collect
from actions.engine import answered, instant, parsed
from actions.history import forget_before
from actions.leases import claim, give_back
from collectors import store, tables
from collectors.fleet_model import Fleet
from collectors.records import Lease
from collectors.releases import Feed
from collectors.sweep import utc_now
from collectors.transport import Target, Transport

SWEEPER = "sweeper"
SHORTEST_LEASE_S = 60
LONGEST_WAIT = 16
"""Passes between two looks at a host that keeps failing."""
SPREAD = 0.8
"""Part of the interval over which looks begin; the rest is for the slow ones."""
FORGET_EVERY = timedelta(days=1)


@dataclass(slots=True)
class Lanes:
    """Which hosts a pass asks. A host that failed k times in a row is left out for 2^k - 1 passes, at most
    LONGEST_WAIT; one that answers is asked in every pass. Pure."""

    failures: dict[str, int] = field(default_factory=dict)
    skips: dict[str, int] = field(default_factory=dict)

    def due(self, hosts: Iterable[str]) -> list[str]:
        """The hosts of the next pass; counts the ones that are left out."""
        asked = []
        for host in hosts:
            left = self.skips.get(host, 0)
            if left:
                self.skips[host] = left - 1
            else:
                asked.append(host)
        return asked

    def seen(self, host: str, *, is_well: bool) -> None:
        if is_well:
            self.failures.pop(host, None)
            self.skips.pop(host, None)
            return
        self.failures[host] = self.failures.get(host, 0) + 1
        self.skips[host] = min(2 ** self.failures[host] - 1, LONGEST_WAIT)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a pass works with; may be another one in each pass."""

    fleet: Fleet
    targets: Mapping[str, Target]
    feed: Feed


def take_over(conn: sqlite3.Connection, interval_s: float) -> Lease:
    """The sweeper's lease, for three intervals. Raises Busy where a living process has it."""
    return claim(conn, SWEEPER, max(SHORTEST_LEASE_S, 3 * interval_s))


async def watch(
    conn: sqlite3.Connection,
    transport: Transport,
    current: Callable[[], Setup],
    *,
    on_pass: Callable[[Swept], None],
    passes: int | None = None,
) -> None:
    """Sweep until cancelled, or for so many passes. `current` gives each pass its setup.

    Raises Busy before anything is asked, tables.LeaseLost when somebody took over in the meantime.
    """
    lanes, number = Lanes(), 0
    loop = asyncio.get_running_loop()
    lease = take_over(conn, current().fleet.sweep.interval_s)
    try:
        while passes is None or number < passes:
            begun, setup = loop.time(), current()
            interval_s = setup.fleet.sweep.interval_s
            lease = take_over(conn, interval_s)
            hosts = lanes.due(host.name for host in setup.fleet.hosts)
            swept = await collect(
                setup.fleet,
                setup.targets,
                hosts,
                conn,
                transport,
                setup.feed,
                lease=lease,
                spread_s=interval_s * SPREAD if number else 0.0,
            )
            for host, reach in swept.reaches.items():
                lanes.seen(host, is_well=answered(reach))
            await asyncio.to_thread(forget_old, conn, setup.fleet)
            on_pass(swept)
            number += 1
            if passes is None or number < passes:
                await asyncio.sleep(max(0.0, begun + interval_s - loop.time()))
    finally:
        give_back(conn, lease)


def forget_old(conn: sqlite3.Connection, fleet: Fleet, now: datetime | None = None) -> None:
    """Once a day, drop history older than the fleet file's `keep`."""
    at = now or utc_now()
    last = tables.setting(conn, "forgotten_at")
    if last is not None and at - parsed(last) < FORGET_EVERY:
        return
    with store.transaction(conn):
        forget_before(conn, at - timedelta(seconds=fleet.sweep.keep_s))
        tables.put_setting(conn, "forgotten_at", instant(at))
