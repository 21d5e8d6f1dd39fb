"""A runner that ends in its middle, in a process of its own, on simulated hosts that outlive it.

Three processes: the test plans an order on hosts in its memory. A world forked from it keeps those hosts and
their clock, and forks the runner, which reaches them over a pipe. The runner counts what crosses its seams,
a command's send and a transaction's commit, before and after, and calls `os._exit` at one of them. The world
then takes the order up as `fleetctl run ID` would, and checks what holds at every end.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import shutil
import sqlite3
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

import pytest

from actions import ledger, order_tables
from actions.leases import Busy
from actions.orderbook import Book
from actions.orders import Phase, Placed, Step
from actions.record import verify_rows
from actions.remote.sudoers import TEXTS
from actions.runner import Runner, Tools
from actions.taking import What as Taking
from collectors import store
from collectors.errors import ConnectFailed, HostError, OutcomeUnknown, Reach
from collectors.transport import Completed, Target, Transport
from console.demo.live.kinds import LogEntry, What
from console.demo.world import SimulatedHost
from tests.unit.order_lab import OrderLab

CRASHED = 99
LOCKSMITHD = "locksmithd.service"
_VERBS = {text.command: verb for verb, text in TEXTS.items()}


@dataclass(frozen=True, slots=True)
class Failed:
    """A transport's error on its way through a pipe; exceptions of more than one value do not pass it."""

    kind: type[ConnectFailed] | type[OutcomeUnknown]
    host: str
    message: str
    reach: Reach
    output: bytes | None = None

    def made(self) -> HostError:
        if self.kind is OutcomeUnknown:
            return OutcomeUnknown(self.host, self.message, self.reach, self.output or b"")
        return ConnectFailed(self.host, self.message, self.reach)


@dataclass(slots=True)
class Watched:
    """The hosts, and who sent them what; locksmithd must never begin to run where another slot is next."""

    lab: OrderLab
    inner: Transport
    sends: Counter[str] = field(default_factory=Counter)
    """Host -> commands that change something."""
    _exposed: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._exposed = self._now_exposed()

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        self.sends[target.name] += command in _VERBS
        try:
            return await self.inner.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)
        finally:
            exposed = self._now_exposed()
            assert exposed <= self._exposed, f"locksmithd was started on {exposed - self._exposed}"
            self._exposed = exposed

    async def close(self) -> None:
        await self.inner.close()

    def _now_exposed(self) -> set[str]:
        states = [self.lab.host(name).state for name in self.lab.basis.hosts]
        return {
            state.name
            for state in states
            if (unit := state.units.get(LOCKSMITHD)) is not None
            and unit.active == "active"
            and state.next_slot is not state.running
        }


@dataclass(slots=True)
class Seams:
    """What crosses out of the runner, counted; at number `ends_at` its process ends."""

    world: Connection
    ends_at: int
    passed: int = 0

    def cross(self, what: str) -> None:
        if self.passed == self.ends_at:
            self.world.send(("ends", what))
            os._exit(CRASHED)
        self.passed += 1

    @contextmanager
    def transaction(self, conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        """In place of `store.transaction`."""
        with _transaction(conn):
            yield conn
            self.cross("before a commit")
        self.cross("after a commit")


_transaction = store.transaction


@dataclass(slots=True)
class FarHosts:
    """The runner's Transport and Clock: the world's, over a pipe. It answers one question at a time."""

    seams: Seams

    def _ask(self, *question: object) -> object:
        self.seams.world.send(question)
        return self.seams.world.recv()

    def now(self) -> datetime:
        found = self._ask("now")
        assert isinstance(found, datetime)
        return found

    def wall(self) -> datetime:
        return self.now()

    async def sleep(self, seconds: float) -> None:
        self._ask("sleep", seconds)

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        what = f"sending {_VERBS[command]} to" if command in _VERBS else "looking at"
        self.seams.cross(f"before {what} {target.name}")
        found = self._ask("run", target, command, stdin, timeout_s, limit_bytes)
        self.seams.cross(f"after {what} {target.name}")
        if isinstance(found, Completed):
            return found
        assert isinstance(found, Failed)
        raise found.made()

    async def close(self) -> None:
        """Nothing is kept open."""


@dataclass(frozen=True, slots=True)
class Crash:
    """An order that is planned and not given yet, and the hosts as they were then."""

    lab: OrderLab
    order: Placed
    steps: Sequence[Step]
    was: dict[str, SimulatedHost]
    log: list[LogEntry]
    dispatches: bool

    def told(self, host: str, *kinds: What) -> list[LogEntry]:
        return [entry for entry in self.log if entry.host == host and entry.what in kinds]


Check = Callable[[Crash], None]


def every_crash(crash: Crash, check: Check) -> list[str]:
    """End the runner at each of its crossings in turn, each in a world of its own; which they were.

    Where the order is only settled: at those before its last host is begun. After that both ways are one.
    """
    crossings: list[str] = []
    gc.freeze()  # what is collected in a fork is copied for it first
    try:
        while True:
            ended_at, trouble = _in_a_world(crash, len(crossings), check)
            assert not trouble, f"crossing {len(crossings)}, {ended_at}:\n{trouble}"
            if ended_at is None:
                return crossings
            crossings.append(ended_at)
    finally:
        gc.unfreeze()


def _in_a_world(crash: Crash, ends_at: int, check: Check) -> tuple[str | None, str]:
    """Where the runner ended, None if by itself, and what is wrong then."""
    ours, theirs = Pipe()
    pid = os.fork()
    if pid == 0:
        try:
            found: tuple[str | None, str] = _world(crash, ends_at, check), ""
        except BaseException:  # noqa: BLE001 - told in the test's own process
            found = f"of {crash.order.asked.verb}", traceback.format_exc()
        theirs.send(found)
        os._exit(0)
    theirs.close()
    with closing(ours):
        try:
            ended_at, trouble = ours.recv()
        finally:
            os.waitpid(pid, 0)
    return ended_at, trouble


def _world(crash: Crash, ends_at: int, check: Check) -> str | None:
    lab = crash.lab
    folder = lab.directory / f"crash-{ends_at}"
    folder.mkdir()
    shutil.copy(lab.database, folder)
    lab.directory = folder
    lab.transport = Watched(lab, lab.transport)
    ours, theirs = Pipe()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _runner(crash, theirs, ends_at)
    theirs.close()
    with closing(ours), asyncio.Runner() as loop:
        ended_at = _serve(lab, loop, ours)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == (0 if ended_at is None else CRASHED), f"the runner ended with {status}"
    is_begun = _is_begun(crash)
    _take_up(crash)
    check_store(crash)
    check_hosts(crash)
    check(crash)
    shutil.rmtree(folder)
    return None if is_begun and not crash.dispatches else ended_at


def _is_begun(crash: Crash) -> bool:
    """Whether every host of the order had its turn."""
    rows = crash.lab.rows(crash.order.id).values()
    return bool(rows) and all(row.phase is not Phase.PLANNED for row in rows)


def _runner(crash: Crash, world: Connection, ends_at: int) -> NoReturn:
    """The process that ends: it gives the order and carries it out."""
    seams = Seams(world, ends_at)
    hosts, patch = FarHosts(seams), pytest.MonkeyPatch()
    patch.setattr(store, "transaction", seams.transaction)
    patch.setattr("collectors.sweep.utc_now", hosts.now)
    try:
        conn = crash.lab.open()
        Book(conn).place(crash.order, crash.steps, hosts.now())
        asyncio.run(Runner(Book(conn), crash.order, Tools(hosts, crash.lab.basis, hosts)).run())
    except BaseException:  # noqa: BLE001 - told in the world's
        world.send(("broke", traceback.format_exc()))
        os._exit(1)
    os._exit(0)


def _serve(lab: OrderLab, loop: asyncio.Runner, runner: Connection) -> str | None:
    """Answer the runner until it ends; where it said that it does."""
    ended_at: str | None = None
    while True:
        try:
            kind, *values = runner.recv()
        except EOFError:
            return ended_at
        if kind == "broke":
            raise AssertionError("the runner broke:\n" + str(values[0]))
        if kind == "ends":
            (ended_at,) = values
        else:
            runner.send(_reply(lab, loop, kind, *values))


def _reply(lab: OrderLab, loop: asyncio.Runner, kind: str, *values: Any) -> object:
    """What the world answers to a question of FarHosts."""
    match kind:
        case "now":
            return lab.life.now
        case "sleep":
            return loop.run(lab.life.sleep(*values))
        case _:
            return loop.run(_answered(lab, *values))


async def _answered(
    lab: OrderLab, target: Target, command: str, stdin: bytes, timeout_s: float, limit_bytes: int
) -> Completed | Failed:
    """A command's end, or its error."""
    try:
        return await lab.transport.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)
    except ConnectFailed as error:
        return Failed(ConnectFailed, error.host, error.message, error.reach)
    except OutcomeUnknown as error:
        return Failed(OutcomeUnknown, error.host, error.message, error.reach, error.output)


def side_by_side(chance: random.Random, *runs: tuple[OrderLab, Placed]) -> list[str]:
    """`fleetctl run ID` in a process each, at once, on the hosts of the first; `ended` or `busy`."""
    pids, open_ends, said = list[int](), list[Connection](), list[str]()
    for lab, order in runs:
        ours, theirs = Pipe()
        pid = os.fork()
        if pid == 0:
            _carry_out(lab, order, theirs)
        theirs.close()
        pids.append(pid)
        open_ends.append(ours)
    with asyncio.Runner() as loop:
        while open_ends:
            asking = chance.choice([end for end in wait(open_ends) if isinstance(end, Connection)])
            try:
                kind, *values = asking.recv()
            except EOFError:
                open_ends.remove(asking)
                asking.close()
                continue
            if kind == "said":
                said += values
            else:
                asking.send(_reply(runs[0][0], loop, kind, *values))
    for pid in pids:
        os.waitpid(pid, 0)
    return said


def _carry_out(lab: OrderLab, order: Placed, world: Connection) -> NoReturn:
    hosts = FarHosts(Seams(world, ends_at=-1))
    pytest.MonkeyPatch().setattr("collectors.sweep.utc_now", hosts.now)
    try:
        asyncio.run(Runner(Book(lab.open()), order, Tools(hosts, lab.basis, hosts)).run())
        world.send(("said", "ended"))
    except Busy:
        world.send(("said", "busy"))
    except BaseException:  # noqa: BLE001 - told in the test's own process
        world.send(("said", traceback.format_exc()))
    os._exit(0)


def _take_up(crash: Crash) -> None:
    """`fleetctl run ID`, with or without --settle. One of two is as good as none where nothing was given."""
    with closing(crash.lab.open()) as conn:
        row = order_tables.one_order(conn, crash.order.id)
    if row is not None and row.ended_at is None:
        crash.lab.run(crash.order.id, dispatches=crash.dispatches)


def check_store(crash: Crash) -> None:
    """The file and the record are whole; nothing is open, every intent has its outcome, once."""
    with closing(crash.lab.open()) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        assert order_tables.at_work(conn) == []
        assert order_tables.open_orders(conn) == []
        assert conn.execute("SELECT count(*) FROM order_hosts WHERE phase = 'planned'").fetchone() == (0,)
        rows = [row for row, _ in ledger.every_row(conn)]
        verify_rows(ledger.every_row(conn))
    sent = [row for row in rows if row.event == "intent" and (row.command or "").startswith("fleetctl-")]
    intents = Counter((row.order, row.host) for row in sent)
    told = [row for row in rows if row.event == "outcome" and row.outcome not in set(Taking)]
    outcomes = Counter((row.order, row.host) for row in told)
    assert set(intents.values()) <= {1}
    assert {key: outcomes[key] for key in intents} == dict(intents)


def check_hosts(crash: Crash) -> None:
    """No host was sent to, or rebooted, twice; by none but this order; and nothing where nothing was sent."""
    lab, order = crash.lab, crash.order
    assert isinstance(lab.transport, Watched)
    followed = {item.id for item in lab.orders() if item.after == order.id}
    rows = lab.rows(order.id)
    assert rows or not crash.log, f"nothing was ordered, and yet: {crash.log}"
    for name, row in rows.items():
        after = sum(name in lab.rows(other) for other in followed)
        assert lab.transport.sends[name] <= 1 + after, f"{lab.transport.sends[name]} commands for {name}"
        asked = crash.told(name, What.REBOOT_ASKED)
        assert len(asked) <= (1 if order.asked.verb.reboots else 0), f"{name}: {asked}"
        assert not crash.told(name, What.LOCKSMITHD_REBOOTED, What.REBOOT_REFUSED)
        assert (row.phase in (Phase.NOT_SENT, Phase.SKIPPED)) == (not lab.transport.sends[name])
        if row.phase in (Phase.NOT_SENT, Phase.SKIPPED):
            done = [entry for entry in crash.log if entry.host == name and entry.what is not What.UNIT_FAILED]
            assert not done, f"{name} is {row.phase}, and yet: {done}"
            assert lab.host(name).state.conf == crash.was[name].conf
