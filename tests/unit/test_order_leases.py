"""A lease lost, kept, or left by a process that is gone; a command whose way was cut."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from actions.following import NEVER_AFTER_S
from actions.leases import Busy, claim, give_back, has_died, living_owner, owner_name, renew
from actions.order_rows import HostRow
from actions.orderbook import Book
from actions.orders import Phase, Placed
from actions.runner import LEASE_S, Runner, Tools
from collectors import store, tables
from collectors.errors import OutcomeUnknown, Reach
from collectors.records import Lease
from collectors.tables import LeaseLost
from collectors.transport import Completed, Target
from console.demo.live.kinds import What
from console.demo.memory import MemoryTransport
from tests.unit.order_lab import OrderLab, use_lab_time
from tests.unit.two_consoles import (
    HERE,
    OFF,
    REBOOT,
    SENDS,
    THERE,
    Uneven,
    carry_out,
    check_store,
    diary,
    process,
    uneven,
)

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]


@pytest.fixture
def lab(tmp_path: Path, use_lab_time: Use, monkeypatch: pytest.MonkeyPatch) -> OrderLab:
    monkeypatch.setattr("actions.leases.owner_name", lambda pid: owner_name(process.get()))
    return use_lab_time(OrderLab(tmp_path, ["behind", "behind"]))


@dataclass(slots=True)
class Stalled:
    """The hosts, for a process that stands still before its question number `at`, until it may go on."""

    inner: MemoryTransport
    at: int
    asked: int = 0
    sends: int = 0
    stands: asyncio.Event = field(default_factory=asyncio.Event)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        if self.asked == self.at:
            self.stands.set()
            await self.may_go_on.wait()
        self.asked += 1
        self.sends += command in SENDS
        return await self.inner.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)

    async def close(self) -> None:
        await self.inner.close()


def written(lab: OrderLab) -> list[object]:
    """All that orders have in the store."""
    with closing(lab.open()) as conn:
        tables_of_orders = ("orders", "order_hosts", "record", "leases", "quarantine")
        return [conn.execute(f"SELECT * FROM {name}").fetchall() for name in tables_of_orders]


def lapse(lab: OrderLab, order: Placed) -> None:
    """The order's lease runs out, as while its process is suspended."""
    with closing(lab.open()) as conn:
        conn.execute("UPDATE leases SET expires_at = '2026' WHERE name = ?", (order.lease_name,))


@pytest.mark.parametrize("at", range(9))
def test_a_runner_that_lost_its_lease_writes_nothing_more(lab: OrderLab, at: int) -> None:
    """It stood still anywhere; the other took over and went to the end; then the first goes on."""
    order, log = lab.place(REBOOT), diary(lab)
    assert isinstance(lab.transport, MemoryTransport)
    hosts, others = Stalled(lab.transport, at), Uneven(lab.transport, random.Random(at))

    async def first() -> None:
        with pytest.raises(LeaseLost, match=order.id):
            await carry_out(lab, order, hosts, HERE, lambda row: None)

    async def story() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(first())
            await hosts.stands.wait()
            with pytest.raises(Busy, match=f"pid {HERE} "):
                await carry_out(lab, order, others, THERE, lambda row: None)
            lapse(lab, order)
            await carry_out(lab, order, others, THERE, lambda row: None)
            ended.append(written(lab))
            hosts.may_go_on.set()

    ended = list[list[object]]()
    asyncio.run(story())
    assert written(lab) == ended[0]
    check_store(lab)
    reboots = Counter(entry.host for entry in log if entry.what is What.REBOOT_ASKED)
    assert max(reboots.values()) == 1


def test_nothing_is_sent_once_the_lease_is_lost(lab: OrderLab) -> None:
    """Between the intent and the command: files may be brought, or the machine sleeps."""
    order, hosts = lab.place(OFF), uneven(lab, 0)

    def steal(row: HostRow) -> None:
        if row.phase is Phase.INTENT:
            with closing(lab.open()) as conn:
                conn.execute("UPDATE leases SET owner = 'elsewhere pid 1', token = token + 1")

    with pytest.raises(LeaseLost, match=order.id):
        asyncio.run(carry_out(lab, order, hosts, HERE, steal))
    assert hosts.sends.total() == 0
    assert {row.phase for row in lab.rows(order.id).values()} == {Phase.INTENT, Phase.PLANNED}


def _claimed_there(conn: sqlite3.Connection, name: str) -> Lease:
    process.set(THERE)
    return claim(conn, name, LEASE_S)


def test_a_lease_that_ran_out_is_kept_where_nobody_took_it(lab: OrderLab) -> None:
    """A machine that slept goes on with its order."""
    order = lab.place(OFF)
    with closing(lab.open()) as conn:
        lease = claim(conn, order.lease_name, LEASE_S)
        lapse(lab, order)
        assert living_owner(conn, order.lease_name) is None
        renew(conn, lease, LEASE_S)
        with store.transaction(conn):
            tables.check_lease(conn, lease)
        assert living_owner(conn, order.lease_name) == lease.owner

        lapse(lab, order)
        other = copy_context().run(_claimed_there, conn, order.lease_name)
        with pytest.raises(LeaseLost):
            renew(conn, lease, LEASE_S)
        give_back(conn, lease)
        assert living_owner(conn, order.lease_name) == other.owner == f"{socket.gethostname()} pid {THERE}"


def test_without_room_in_the_store_nothing_is_sent(lab: OrderLab) -> None:
    """No intent, no command; the store's error is told as itself. With room again the order goes on."""
    order, hosts = lab.place(OFF), uneven(lab, 0)
    with closing(lab.open()) as conn:
        conn.execute(f"PRAGMA max_page_count = {conn.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(sqlite3.OperationalError):
            asyncio.run(Runner(Book(conn), order, Tools(hosts, lab.basis, lab.clock)).run())
    assert hosts.sends.total() == 0
    lab.run(order.id)
    assert {row.code for row in lab.rows(order.id).values()} == {"updates-set"}


def test_a_process_that_nobody_has_fetched_is_gone_too() -> None:
    assert not has_died(owner_name(HERE))
    assert not has_died("elsewhere pid 999999999")
    assert has_died(owner_name(999999999))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    try:
        assert has_died(owner_name(pid))
    finally:
        os.waitpid(pid, 0)


class Late:
    """The hosts, to whom a command comes after its connection was cut."""

    def __init__(self, lab: OrderLab) -> None:
        assert isinstance(lab.transport, MemoryTransport)
        self.lab, self.inner = lab, lab.transport
        self.tasks = list[asyncio.Task[Completed]]()

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        if command not in SENDS:
            return await self.inner.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)

        async def arrive() -> Completed:
            await self.lab.life.sleep(NEVER_AFTER_S / 2)
            return await self.inner.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)

        await self.lab.life.sleep(timeout_s)
        self.tasks.append(asyncio.create_task(arrive()))
        raise OutcomeUnknown(target.name, "no end of the command", Reach.TIMEOUT)

    async def close(self) -> None:
        await self.inner.close()


def test_a_command_that_comes_late_is_not_given_up(lab: OrderLab) -> None:
    """Its time is counted from when it was tried, not from the intent."""
    order, hosts = lab.place(OFF, "lab-1"), Late(lab)
    asyncio.run(carry_out(lab, order, hosts, HERE, lambda row: None))
    assert [row.code for row in lab.rows(order.id).values()] == ["updates-set"]
    assert len(hosts.tasks) == 1
