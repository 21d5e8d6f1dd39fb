"""A simulated fleet in memory, its store, and orders given and carried out on it in simulated time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actions import order_tables
from actions.looking import Basis, Looker
from actions.order_rows import HostRow
from actions.orderbook import Book, new_id, placed
from actions.orders import Asked, Phase, Placed, Step
from actions.placing import plan_all
from actions.record import Actor
from actions.runner import Runner, Tools, settle
from collectors import store
from collectors.fleet_file import load_fleet
from collectors.releases import Feed
from collectors.transport import Target, Transport
from console.demo.fleet import Manner, begin
from console.demo.fleet_life import Clock as LifeClock
from console.demo.fleet_life import FleetLife
from console.demo.healthy import HostSpec
from console.demo.live.host import LiveHost
from console.demo.memory import MemoryTransport
from console.demo.scenarios import SELECTABLE
from tests.builders import feed

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
ACTOR = Actor("jo", 1000, None, "ops-1")
OLD, NEW = "4593.2.3", "4593.2.5"


@dataclass(slots=True)
class LabClock:
    """The hosts' clock as the runner's own."""

    life: FleetLife

    def now(self) -> datetime:
        return self.life.now

    def wall(self) -> datetime:
        return self.life.now

    async def sleep(self, seconds: float) -> None:
        await self.life.sleep(seconds)


@dataclass(slots=True)
class OrderLab:
    """Hosts lab-1, lab-2, … of these scenarios; `database` outlives connections."""

    directory: Path
    scenarios: Sequence[str]
    more: str = ""
    """More of the fleet file."""
    life: FleetLife = field(init=False)
    transport: Transport = field(init=False)
    basis: Basis = field(init=False)

    def __post_init__(self) -> None:
        names = [f"lab-{number}" for number in range(1, len(self.scenarios) + 1)]
        states = [
            SELECTABLE[scenario].build(HostSpec(name, START, SELECTABLE[scenario].flavour))
            for name, scenario in zip(names, self.scenarios, strict=True)
        ]
        self.life = begin([], states, LifeClock(START, speed=0), Manner())
        self.transport = MemoryTransport(self.life)
        path = self.directory / "fleet.toml"
        listed = ", ".join(f'"{name}"' for name in names)
        path.write_text(
            f'name = "lab"\ndatabase = "lab.db"\n{self.more}\n[[groups]]\nname = "all"\nhosts = [{listed}]\n'
        )
        fleet = load_fleet(path).fleet
        targets = {name: Target(name, "192.0.2.1") for name in names}
        self.basis = Basis(fleet, targets, lab_feed())

    @property
    def database(self) -> Path:
        return self.directory / "lab.db"

    def host(self, name: str = "lab-1") -> LiveHost:
        return self.life.host(name)

    def open(self) -> sqlite3.Connection:
        return store.open_writer(self.database)

    @property
    def clock(self) -> LabClock:
        return LabClock(self.life)

    def plan(self, asked: Asked, *hosts: str, at_once: int = 1) -> tuple[Placed, list[Step]]:
        """What a dry run would show."""
        now = self.clock.now()
        order = Placed(new_id(now), now, asked, ACTOR, at_once=at_once, stops=asked.verb.reboots)
        names = list(hosts) or list(self.basis.hosts)
        conn = self.open()
        try:

            async def planned() -> list[Step]:
                looker = Looker(conn, self.transport, self.basis, self.clock)
                await settle(conn, Tools(self.transport, self.basis, self.clock), names)
                return await plan_all(looker, order, names, payload=None, timeout_s=None, connections=8)

            return order, asyncio.run(planned())
        finally:
            conn.close()

    def place(self, asked: Asked, *hosts: str, at_once: int = 1) -> Placed:
        """An order that is confirmed and waits for its runner."""
        order, steps = self.plan(asked, *hosts, at_once=at_once)
        conn = self.open()
        try:
            Book(conn).place(order, steps, self.clock.now())
        finally:
            conn.close()
        return order

    def run(
        self, order_id: str, *, dispatches: bool = True, told: Callable[[HostRow], None] = lambda row: None
    ) -> None:
        """`fleetctl run ID`, to its end."""
        conn = self.open()
        try:
            row = order_tables.one_order(conn, order_id)
            assert row is not None
            tools = Tools(self.transport, self.basis, self.clock, told=told)
            asyncio.run(Runner(Book(conn), placed(row), tools).run(dispatches=dispatches))
        finally:
            conn.close()

    def give(self, asked: Asked, *hosts: str, at_once: int = 1) -> dict[str, HostRow]:
        """Plan, place, run: what became of each host."""
        order = self.place(asked, *hosts, at_once=at_once)
        self.run(order.id)
        return self.rows(order.id)

    def rows(self, order_id: str) -> dict[str, HostRow]:
        conn = self.open()
        try:
            return {row.host: row for row in order_tables.order_hosts(conn, order_id)}
        finally:
            conn.close()

    def orders(self) -> list[Placed]:
        """All, oldest first."""
        conn = self.open()
        try:
            return [placed(row) for row in order_tables.newest_orders(conn, 1000)][::-1]
        finally:
            conn.close()


def lab_feed() -> Feed:
    return feed(OLD, "4593.2.4", NEW)


@pytest.fixture
def use_lab_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[OrderLab], OrderLab]:
    """Looks are dated by the hosts' clock too, so that nothing mixes two times."""

    def use(lab: OrderLab) -> OrderLab:
        monkeypatch.setattr("collectors.sweep.utc_now", lambda: lab.life.now)
        return lab

    return use


def is_done(row: HostRow) -> bool:
    return row.phase is Phase.DONE
