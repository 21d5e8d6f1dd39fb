"""A rollout whose process is killed again and again: nobody is touched twice, and it comes to the same end.

A process that is killed does nothing more: from that moment on each write, each command and each wait of it
ends, whatever its own handlers would have liked to do. The next one finds the store and the hosts.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from actions import ledger, order_tables
from actions.record import verify_rows
from actions.rollout_engine import Engine
from actions.rollout_model import RolloutState
from actions.rollout_plan import PlanCohort
from actions.rollout_talk import RequestKind
from actions.runner import Tools
from collectors import store
from collectors.transport import Completed, Target, Transport
from console.demo.live.kinds import What
from tests.unit.around_lab import Cluster, lab_with, lock_text
from tests.unit.engine_lab import RolloutLab, needs_a_person, plan_for
from tests.unit.lock_servers import airlock
from tests.unit.order_lab import NEW, LabClock, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

CROSSINGS = 140
"""About so many has the first host's way to its end."""
Use = Callable[[OrderLab], OrderLab]


class Killed(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class Life:
    """Of one process: it is killed at its crossing number `ends_at`."""

    ends_at: int
    passed: int = 0
    is_dead: bool = False

    def cross(self) -> None:
        if self.is_dead or self.passed == self.ends_at:
            self.is_dead = True
            raise Killed
        self.passed += 1


@dataclass(slots=True)
class Killable:
    """Transport and clock of a process that may be killed before and after each use."""

    life: Life
    inner: Transport
    clock: LabClock
    sent: Counter[str] = field(default_factory=Counter)

    def now(self) -> datetime:
        return self.clock.now()

    def wall(self) -> datetime:
        return self.clock.wall()

    async def sleep(self, seconds: float) -> None:
        if self.life.is_dead:
            raise Killed
        await self.clock.sleep(seconds)

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        self.life.cross()
        done = await self.inner.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)
        self.life.cross()
        return done

    async def close(self) -> None:
        await self.inner.close()


_transaction = store.transaction


def run_and_kill(one: RolloutLab, life: Life, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether it came to an end by itself."""

    @contextmanager
    def transaction(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        with _transaction(conn):
            yield conn
            life.cross()
        life.cross()

    monkeypatch.setattr(store, "transaction", transaction)
    tools = Killable(life, one.lab.transport, one.lab.clock)
    with closing(one.open()) as conn:
        engine = Engine(conn, one.plan.id, Tools(tools, one.lab.basis, tools))
        try:
            asyncio.run(engine.run(until=needs_a_person))
        except BaseException:
            if not life.is_dead:
                raise
            if conn.in_transaction:
                conn.rollback()
        finally:
            monkeypatch.setattr(store, "transaction", _transaction)
    return not life.is_dead


def carried_out(
    tmp_path: Path, use: Use, monkeypatch: pytest.MonkeyPatch, *, hosts: int, kills: int, seed: int
) -> None:
    lab = use(OrderLab(tmp_path, ["behind"] * hosts))
    cohorts = [(PlanCohort("canary", soak_s=600), 3), (PlanCohort("rest", soak_s=0), hosts - 3)]
    one = RolloutLab(lab, plan_for(list(lab.basis.hosts), cohorts, budget=5, settle_s=300))
    one.place()
    chance, killed, is_over = random.Random(seed), 0, False
    while not is_over:
        left = kills - killed
        life = Life(chance.randrange(1, 2 * 40 * hosts // kills) if left > 0 else 10**9)
        is_over = run_and_kill(one, life, monkeypatch)
        killed += not is_over
    assert one.state.state is RolloutState.COMPLETED, one.state.why
    assert killed >= kills // 2
    for name in lab.basis.hosts:
        asked = [entry for entry in lab.host(name).log if entry.what is What.REBOOT_ASKED]
        assert len(asked) == 1, (name, asked)
        assert lab.host(name).state.version == NEW
    with closing(one.open()) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert order_tables.at_work(conn) == []
        assert order_tables.open_orders(conn) == []
        verify_rows(ledger.every_row(conn))


@pytest.mark.timeout(120)
def test_killed_at_twenty_moments(tmp_path: Path, use_lab_time: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    carried_out(tmp_path, use_lab_time, monkeypatch, hosts=12, kills=20, seed=1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("at", [0.35, 0.5, 0.65, 0.8])
def test_killed_in_a_turn_it_leaves_nothing_locked_or_drained(
    tmp_path: Path, use_lab_time: Use, monkeypatch: pytest.MonkeyPatch, at: float
) -> None:
    """Whoever only settles it undoes what was prepared, and follows what was sent."""
    cluster = Cluster(tmp_path / "cluster")
    with airlock() as server:
        lab = lab_with(tmp_path, ["behind"] * 2, use_lab_time, lock_text(server), cluster.fleet_text)
        cohorts = [(PlanCohort("canary", soak_s=60), 1), (PlanCohort("rest", soak_s=0), 1)]
        one = RolloutLab(lab, plan_for(list(lab.basis.hosts), cohorts, budget=1, settle_s=60))
        one.place()
        run_and_kill(one, Life(int(at * CROSSINGS)), monkeypatch)
        one.run(dispatches=False)
        assert not server.holders("workers")
        assert not cluster.drained()
        with closing(one.open()) as conn:
            assert order_tables.open_orders(conn) == []
        one.ask(RequestKind.RESUME)
        assert one.run().state is RolloutState.COMPLETED
        assert not server.holders("workers")
        assert not cluster.drained()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_fifty_moments_of_fifty_hosts(
    tmp_path: Path, use_lab_time: Use, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Four times fifty: two hundred moments in all."""
    carried_out(tmp_path, use_lab_time, monkeypatch, hosts=50, kills=50, seed=seed)
