"""One sweep of a fleet into its store: the whole way from a fleet file to rows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Container, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

from actions import order_tables
from actions.engine import answered, instant, record
from actions.situation import Wish
from actions.taking_tables import kept_words
from collectors import store, tables
from collectors.errors import Reach
from collectors.fleet_model import Fleet, FleetHost
from collectors.observation import Observation
from collectors.records import Change, Lease
from collectors.releases import Feed
from collectors.sweep import Ask, sweep, utc_now
from collectors.transport import Target, Transport

PROBE_TIMEOUT_S = 30
BATCH = 100
LONGEST_UNSTORED_S = 0.5
"""A look waits no longer than this for others to be stored with: whoever watches sees hosts come in."""


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


class Writer:
    """Stores looks in the order in which they came, a batch at a time, on a thread of its own.

    What was handed over is stored also when the sweep is interrupted: leaving the block waits for it.
    """

    def __init__(self, store_looks: Callable[[list[Observation]], list[Change]]) -> None:
        self.changes: list[Change] = []
        self._store = store_looks
        self._queue: list[Observation] = []
        self._thread = ThreadPoolExecutor(1, "store")
        self._written: list[Future[list[Change]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self._submit()
        self._thread.shutdown(wait=True)
        for batch in self._written:
            self.changes += batch.result()

    async def take(self, seen: Observation) -> None:
        """Queue one look; the one that fills a batch waits until it is stored."""
        self._queue.append(seen)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LONGEST_UNSTORED_S, self._submit)
        if len(self._queue) >= BATCH:
            await asyncio.shield(asyncio.wrap_future(self._submit()))

    def _submit(self) -> Future[list[Change]]:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        looks, self._queue = self._queue, []
        self._written.append(self._thread.submit(self._store, looks))
        return self._written[-1]


def wishes(
    fleet: Fleet,
    holds: Mapping[str, str],
    reboots: Mapping[str, str] = MappingProxyType({}),
    own_orders: Container[str] = frozenset(),
    kept: Mapping[str, str] = MappingProxyType({}),
    hosts: Iterable[FleetHost] | None = None,
) -> dict[str, Wish]:
    """What is wanted of each host; the fleet file's hold wins over the store's. `reboots`: host -> order;
    `kept`: host -> what was taken for it and is not given back."""
    units, rebooted = fleet.health.units, reboots.get
    return {
        host.name: Wish(
            host.channel,
            host.updates,
            host.hold or holds.get(host.name),
            units,
            rebooted(host.name),
            own_orders,
            kept.get(host.name),
        )
        for host in (fleet.hosts if hosts is None else hosts)
    }


def stored_wishes(
    conn: sqlite3.Connection, fleet: Fleet, hosts: Iterable[FleetHost] | None = None
) -> dict[str, Wish]:
    """The same, with the holds and orders that the store has; of these hosts, None: of all."""
    reboots, own = order_tables.rebooting(conn), order_tables.newest_ids(conn)
    return wishes(fleet, tables.holds(conn), reboots, own, kept_words(conn), hosts)


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
    reaches: dict[str, Reach] = {}
    wanted_of = stored_wishes(conn, fleet)
    salt = bytes.fromhex(tables.setting(conn, "salt") or "")
    started, at_once = utc_now(), min(fleet.connections, len(asks))

    def store_looks(looks: list[Observation]) -> list[Change]:
        return record(conn, looks, wanted_of, feed, lease=lease)

    with Writer(store_looks) as writer:

        async def observed(seen: Observation) -> None:
            reaches[seen.host] = seen.reach
            on_observation(seen)
            await writer.take(seen)

        units = fleet.health.units
        await sweep(transport, asks, units, observed, salt=salt, at_once=at_once, spread_s=spread_s)
    counted = sum(answered(reach) for reach in reaches.values())
    with store.transaction(conn):
        tables.put_sweep(conn, instant(started), instant(utc_now()), len(asks), counted)
    return Swept(len(asks), reaches, tuple(writer.changes))
