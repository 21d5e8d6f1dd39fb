"""The process that carries an order out ends anywhere; no host is left locked or drained."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from actions import taking_tables
from actions.orders import Asked, Phase, Verb
from actions.runner import POLL_S
from collectors import store
from console.demo.live.kinds import LogEntry
from tests.unit.around_lab import Cluster, lab_with, lock_text
from tests.unit.crash_lab import Crash, every_crash
from tests.unit.lock_servers import airlock
from tests.unit.order_lab import OrderLab, use_lab_time

__all__ = ["use_lab_time"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("dispatches", "fault"),
    [pytest.param(True, None, marks=pytest.mark.slow), (False, None), (True, "fallback")],
    ids=["goes on", "is settled", "falls back"],
)
def test_lock_and_drain_of_an_order_whose_runner_ends_at_any_crossing(
    tmp_path: Path,
    use_lab_time: Callable[[OrderLab], OrderLab],
    monkeypatch: pytest.MonkeyPatch,
    dispatches: bool,
    fault: str | None,
) -> None:
    monkeypatch.setitem(POLL_S, Verb.ACTIVATE, 60.0)
    cluster = Cluster(tmp_path / "cluster")
    with airlock() as server:
        parts = (lock_text(server), cluster.fleet_text)
        lab = lab_with(tmp_path, ["staged"], use_lab_time, *parts)
        if fault is not None:
            lab.life.fault("lab-1", fault)
        log = list[LogEntry]()
        lab.life._told = log.extend
        order, steps = lab.plan(Asked(Verb.ACTIVATE))
        was = {name: lab.host(name).state for name in lab.basis.hosts}

        def check(crash: Crash) -> None:
            with closing(store.open_reader(crash.lab.database)) as conn:
                assert not taking_tables.takings(conn)
            assert not server.holders("workers")
            assert not cluster.drained(), cluster.log[-4:]
            for row in crash.lab.rows(order.id).values():
                ends = {"activated", "reverted", "skipped", "not-arrived"}
                assert row.code in ends, (row.phase, row.code, row.text)
                assert row.phase is not Phase.UNKNOWN

        crossings = every_crash(Crash(lab, order, steps, was, log, dispatches), check)
    assert len(crossings) > 20
