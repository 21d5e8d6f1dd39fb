"""One sweep of a fleet into its store: the whole way from a fleet file to rows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from actions.engine import answered, instant, record
from actions.situation import Wish
from collectors import store, tables
from collectors.errors import Reach
from collectors.fleet_model import Fleet
from collectors.observation import Observation
from collectors.records import Change, Lease
from collectors.releases import Feed
from collectors.sweep import Ask, sweep, utc_now
from collectors.transport import Target, Transport

PROBE_TIMEOUT_S = 30
BATCH = 100


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep came to."""

    asked: int
    reaches: Mapping[str, Reach]
    changes: tuple[Change, ...]

    @property
    def silent(self) -> tuple[str, ...]:
        """Hosts that did not answer the probe to its end, by name."""
        return tuple(sorted(host for host, reach in self.reaches.items() if not answered(reach)))


def wishes(fleet: Fleet, holds: Mapping[str, str]) -> dict[str, Wish]:
    """What is wanted of each host; the fleet file's hold wins over the store's."""
    units = fleet.health.units
    return {
        host.name: Wish(host.channel, host.updates, host.hold or holds.get(host.name), units)
        for host in fleet.hosts
    }


async def collect(
    fleet: Fleet,
    targets: Mapping[str, Target],
    hosts: Iterable[str],
    conn: sqlite3.Connection,
    transport: Transport,
    feed: Feed | None,
    *,
    on_observation: Callable[[Observation], None] = lambda seen: None,
    lease: Lease | None = None,
    spread_s: float = 0.0,
) -> Swept:
    """Look at the named hosts once and store what was seen; `conn` is used by one thread at a time.

    With `spread_s` the looks begin at times spread over so many seconds. What was seen is stored also when
    the sweep is interrupted; only a whole one gets its row in `sweeps`.
    """
    wanted = set(hosts)
    asks = [
        Ask(targets[host.name], host.ssh.probe_timeout_s or PROBE_TIMEOUT_S)
        for host in fleet.hosts
        if host.name in wanted
    ]
    changes: list[Change] = []
    reaches: dict[str, Reach] = {}
    queue: list[Observation] = []
    wanted_of, one_writer = wishes(fleet, tables.holds(conn)), asyncio.Lock()
    salt = bytes.fromhex(tables.setting(conn, "salt") or "")
    started, at_once = utc_now(), min(fleet.connections, len(asks))

    async def observed(seen: Observation) -> None:
        reaches[seen.host] = seen.reach
        on_observation(seen)
        queue.append(seen)
        if len(queue) >= BATCH:
            looks = queue.copy()
            queue.clear()
            async with one_writer:
                changes.extend(await asyncio.to_thread(record, conn, looks, wanted_of, feed, lease=lease))

    try:
        await sweep(
            transport, asks, fleet.health.units, observed, salt=salt, at_once=at_once, spread_s=spread_s
        )
    finally:
        changes.extend(record(conn, queue, wanted_of, feed, lease=lease))
    counted = sum(answered(reach) for reach in reaches.values())
    with store.transaction(conn):
        tables.put_sweep(conn, instant(started), instant(utc_now()), len(asks), counted)
    return Swept(len(asks), reaches, tuple(changes))
