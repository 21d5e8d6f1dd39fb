"""Two consoles side by side on the same simulated hosts, each with a process's name, and what holds then."""

from __future__ import annotations

import asyncio
import copy
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from contextvars import ContextVar
from dataclasses import dataclass, field

from actions import ledger, order_tables
from actions.order_rows import HostRow
from actions.orderbook import Book, placed
from actions.orders import Asked, Phase, Placed, Verb
from actions.record import verify_rows
from actions.remote.sudoers import TEXTS
from actions.runner import Runner, Tools
from collectors.transport import Completed, Target, Transport
from console.demo.live.kinds import LogEntry, What
from console.demo.memory import MemoryTransport
from tests.unit.order_lab import NEW, OrderLab

HERE, THERE = os.getpid(), os.getppid()
"""Two processes that live as long as a test."""
SENDS = {text.command for text in TEXTS.values()}
CHANNEL, OFF = Asked(Verb.CHANNEL, channel="beta"), Asked(Verb.UPDATES, mode="off")
REBOOT, STAGE = Asked(Verb.REBOOT), Asked(Verb.STAGE, version=NEW)

process: ContextVar[int] = ContextVar("process", default=HERE)


def on_its_own(lab: OrderLab) -> OrderLab:
    """A console with a database of its own, on the same hosts."""
    other = copy.copy(lab)
    other.directory = lab.directory / "other"
    other.directory.mkdir()
    return other


@dataclass(slots=True)
class Uneven:
    """The hosts, to whom every way takes as long as chance will have it."""

    inner: MemoryTransport
    chance: random.Random
    sends: Counter[str] = field(default_factory=Counter)

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        await self._dawdle()
        self.sends[target.name] += command in SENDS
        done = await self.inner.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)
        await self._dawdle()
        return done

    async def _dawdle(self) -> None:
        await self.inner.life.sleep(self.chance.choice((0.0, 0.5, self.chance.uniform(0.0, 20.0))))

    async def close(self) -> None:
        await self.inner.close()


@dataclass(slots=True)
class AtWork:
    """Hears of every change in one database, and that no host has two orders at work there."""

    orders: dict[str, set[str]] = field(default_factory=dict)

    def hear(self, row: HostRow) -> None:
        now = self.orders.setdefault(row.host, set())
        now.discard(row.order_id)
        if row.phase in (Phase.INTENT, Phase.SENT):
            now.add(row.order_id)
        assert len(now) <= 1, f"{row.host} has {now}"


async def carry_out(
    lab: OrderLab, order: Placed, hosts: Transport, pid: int, told: Callable[[HostRow], None]
) -> None:
    """`fleetctl run ID` in the process of this number."""
    process.set(pid)
    with closing(lab.open()) as conn:
        row = order_tables.one_order(conn, order.id)
        assert row is not None
        await Runner(Book(conn), placed(row), Tools(hosts, lab.basis, lab.clock, told=told)).run()


def both(*runs: tuple[OrderLab, Placed], hosts: Uneven) -> None:
    """Carry two orders out side by side, to their ends."""
    heard = [AtWork(), AtWork()] if runs[0][0] is not runs[1][0] else [AtWork()] * 2

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for (lab, order), pid, ears in zip(runs, (HERE, THERE), heard, strict=True):
                group.create_task(carry_out(lab, order, hosts, pid, ears.hear))

    asyncio.run(together())


def uneven(lab: OrderLab, seed: int) -> Uneven:
    assert isinstance(lab.transport, MemoryTransport)
    return Uneven(lab.transport, random.Random(seed))


def diary(lab: OrderLab) -> list[LogEntry]:
    log = list[LogEntry]()
    lab.life._told = log.extend
    return log


def check_store(lab: OrderLab) -> None:
    with closing(lab.open()) as conn:
        assert order_tables.at_work(conn) == []
        assert order_tables.open_orders(conn) == []
        verify_rows(ledger.every_row(conn))


def check_one_won(lab: OrderLab, log: list[LogEntry], first: list[HostRow], second: list[HostRow]) -> None:
    """Of each host one of the two is done, and the host itself knows of no other."""
    changes = (What.REBOOT_ASKED, What.CONF_CHANGED, What.STAGED)
    happened = Counter(
        entry.host for entry in log if entry.what in changes and entry.detail != "flatcar-update"
    )
    for row, other in zip(first, second, strict=True):
        done, not_done = sorted((row, other), key=lambda item: item.phase is not Phase.DONE)
        assert done.phase is Phase.DONE, (row.text, other.text)
        assert not_done.phase in (Phase.NOT_SENT, Phase.REFUSED, Phase.SKIPPED), not_done.text
        assert happened[row.host] == 1, [entry for entry in log if entry.host == row.host]
