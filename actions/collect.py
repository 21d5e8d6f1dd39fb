"""One sweep of a fleet into its store: the whole way from a fleet file to rows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from actions.engine import Recorder, answered, instant, write
from actions.situation import Wish
from collectors import store, tables
from collectors.errors import Reach
from collectors.fleet_model import Fleet
from collectors.observation import Observation
from collectors.records import Change
from collectors.releases import Feed
from collectors.sweep import Ask, sweep, utc_now
from collectors.transport import Target, Transport

PROBE_TIMEOUT_S = 30


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


def wishes(fleet: Fleet) -> dict[str, Wish]:
    """What the fleet file wants of each host."""
    units = fleet.health.units
    return {host.name: Wish(host.channel, host.updates, host.hold, units) for host in fleet.hosts}


async def collect(
    fleet: Fleet,
    targets: Mapping[str, Target],
    hosts: Iterable[str],
    conn: sqlite3.Connection,
    transport: Transport,
    feed: Feed | None,
    *,
    on_observation: Callable[[Observation], None] = lambda seen: None,
) -> Swept:
    """Look at the named hosts once and store what was seen; `conn` is used by one thread at a time."""
    wanted = set(hosts)
    asks = [
        Ask(targets[host.name], host.ssh.probe_timeout_s or PROBE_TIMEOUT_S)
        for host in fleet.hosts
        if host.name in wanted
    ]
    changes: list[Change] = []
    recorder, one_writer = Recorder(conn, wishes(fleet), feed), asyncio.Lock()
    salt = bytes.fromhex(tables.setting(conn, "salt") or "")
    started, at_once = utc_now(), min(fleet.connections, len(asks))

    async def observed(seen: Observation) -> None:
        recorder.observed(seen)
        on_observation(seen)
        if recorder.queue.is_full:
            batch = recorder.take()
            changes.extend(batch.changes)
            async with one_writer:
                await asyncio.to_thread(write, conn, batch)

    try:
        await sweep(transport, asks, fleet.health.units, observed, salt=salt, at_once=at_once)
    finally:
        rest = recorder.finish()
        changes.extend(rest.changes)
        write(conn, rest)
    reaches = {host: seen.reach for host, seen in recorder.seen.items()}
    counted = sum(answered(reach) for reach in reaches.values())
    with store.transaction(conn):
        tables.put_sweep(conn, instant(started), instant(utc_now()), len(asks), counted)
    return Swept(len(asks), reaches, tuple(changes))
