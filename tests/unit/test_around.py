"""A reboot with a lock and a drain around it: given back on every way out, and only what is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from actions import ledger, order_tables, taking_tables
from actions.collect import stored_wishes
from actions.orderbook import Book, placed
from actions.orders import Asked, Phase, Verb
from actions.record import Event
from actions.runner import Runner, Tools, settle
from actions.taking import Hold, Taken, What
from collectors import store
from tests.unit.around_lab import Cluster, lab_with, lock_text
from tests.unit.lock_servers import LockServer, airlock, poseidon
from tests.unit.order_lab import NEW, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]
ACTIVATE = Asked(Verb.ACTIVATE)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "cluster")


@pytest.fixture(params=[airlock, poseidon])
def server(request: pytest.FixtureRequest) -> Iterator[LockServer]:
    with request.param() as found:
        yield found


def takings(lab: OrderLab) -> list[Taken]:
    with closing(store.open_reader(lab.database)) as conn:
        return taking_tables.takings(conn)


def machine_id(lab: OrderLab, host: str = "lab-1") -> str:
    return lab.host(host).state.hardware.machine_id


def test_locked_drained_rebooted_undrained_unlocked(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged", "staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    rows = lab.give(ACTIVATE)
    assert [row.code for row in rows.values()] == ["activated", "activated"]
    assert cluster.done == ["drain lab-1", "uncordon lab-1", "drain lab-2", "uncordon lab-2"]
    ids = [machine_id(lab, host) for host in ("lab-1", "lab-2")]
    asked = [(entry.path.rpartition("/")[2], entry.id, entry.status) for entry in server.log]
    assert asked == [
        ("pre-reboot", ids[0], 200),
        ("steady-state", ids[0], 200),
        ("pre-reboot", ids[1], 200),
        ("steady-state", ids[1], 200),
    ]
    assert not takings(lab)
    with closing(store.open_reader(lab.database)) as conn:
        told = [
            (row.event, row.code or (row.command or "").split()[0])
            for row, _ in ledger.every_row(conn)
            if row.host == "lab-1"
        ]
    script = str(cluster.program)
    assert told == [
        (Event.INTENT, "FleetLock"),
        (Event.OUTCOME, "locked"),
        (Event.INTENT, script),
        (Event.OUTCOME, "drained"),
        (Event.INTENT, "fleetctl-order-activate/1"),
        (Event.OUTCOME, "activated"),
        (Event.INTENT, script),
        (Event.OUTCOME, "undrained"),
        (Event.INTENT, "FleetLock"),
        (Event.OUTCOME, "unlocked"),
    ]


def test_the_plan_says_what_is_done_around(tmp_path: Path, cluster: Cluster, use_lab_time: Use) -> None:
    with airlock() as server:
        lab = lab_with(tmp_path, ["staged"], use_lab_time, lock_text(server), cluster.fleet_text)
        _, steps = lab.plan(ACTIVATE)
    assert steps[0].before == ("lock FleetLock group workers", f"{cluster.program} drain lab-1")
    assert steps[0].after == (f"{cluster.program} uncordon lab-1", "unlock FleetLock group workers")
    assert not server.log
    assert not cluster.log


def test_a_verb_that_reboots_nothing_takes_nothing(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["behind"], use_lab_time, lock_text(server), cluster.fleet_text)
    assert lab.give(Asked(Verb.STAGE, version=NEW))["lab-1"].code == "staged"
    assert not server.log
    assert not cluster.log


def test_a_full_lock_is_a_reason(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    server.hold("workers", "f" * 32)
    row = lab.give(ACTIVATE)["lab-1"]
    assert (row.phase, row.code) == (Phase.NOT_SENT, "lock-full")
    assert row.text is not None
    assert row.text.startswith("FleetLock group workers is full")
    assert server.holders("workers") == ("f" * 32,)
    assert not cluster.log
    assert not takings(lab)


def test_hosts_of_one_order_wait_for_each_other(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged"] * 3, use_lab_time, lock_text(server), cluster.fleet_text)
    order = lab.place(ACTIVATE, at_once=3)
    lab.run(order.id)
    assert {row.code for row in lab.rows(order.id).values()} == {"activated"}
    assert not server.holders("workers")
    assert not cluster.drained()
    done = cluster.done
    assert all(done[n].split()[1] == done[n + 1].split()[1] for n in (0, 2, 4)), "never two at once"


def test_a_drain_that_fails_is_undone(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    cluster.turn("fail-drain")
    boot_id = lab.host().state.boot_id
    row = lab.give(ACTIVATE)["lab-1"]
    assert (row.phase, row.code) == (Phase.NOT_SENT, "drain-failed")
    assert row.text == "not drained: kubectl ended with 1: error: cannot drain lab-1"
    assert cluster.done == ["uncordon lab-1"]
    assert not server.holders("workers")
    assert not takings(lab)
    assert lab.host().state.boot_id == boot_id


def test_what_cannot_be_undone_is_said_stops_the_order_and_is_tried_again(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged", "staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    cluster.turn("fail-uncordon")
    rows = lab.give(ACTIVATE)
    assert rows["lab-1"].code == "activated"
    assert rows["lab-1"].text is not None
    assert "left drained: kubectl ended with 1: error: cannot uncordon lab-1" in rows["lab-1"].text
    assert rows["lab-1"].text.endswith("its FleetLock stays")
    assert rows["lab-2"].phase is Phase.SKIPPED
    assert {taken.state for taken in takings(lab)} == {Hold.KEPT, Hold.HELD}
    cluster.turn("fail-uncordon", on=False)
    settle_all(lab)
    assert not takings(lab)
    assert not cluster.drained()
    assert not server.holders("workers")


def settle_all(lab: OrderLab) -> None:
    """What the next verb, or `collect --watch`, does with earlier orders."""
    with closing(lab.open()) as conn:
        tools = Tools(lab.transport, lab.basis, lab.clock)
        asyncio.run(settle(conn, tools, list(lab.basis.hosts)))


def test_a_host_that_is_cancelled_while_it_is_drained_is_not_rebooted(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    order = lab.place(ACTIVATE)

    run_with_change(lab, order.id, lambda: lab.life.fault("lab-1", "inhibitor"))
    row = lab.rows(order.id)["lab-1"]
    assert row.phase in (Phase.REFUSED, Phase.NOT_SENT)
    assert not server.holders("workers")
    assert not cluster.drained()
    assert not takings(lab)


def run_with_change(lab: OrderLab, order_id: str, change: Callable[[], object]) -> None:
    """Run an order; `change` happens to the host once it is drained."""
    from actions import around

    real = around.Around.take

    async def take(self: around.Around, host: str, step: object) -> object:
        found = await real(self, host, step)  # type: ignore[arg-type]
        change()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(around.Around, "take", take)
        lab.run(order_id)


def test_one_that_reverts_is_given_back_once_it_is_well(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged", "staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    lab.life.fault("lab-1", "fallback")
    rows = lab.give(ACTIVATE)
    assert rows["lab-1"].code == "reverted"
    assert rows["lab-2"].phase is Phase.SKIPPED
    assert cluster.done == ["drain lab-1", "uncordon lab-1"]
    assert not server.holders("workers")
    assert not takings(lab)


def test_one_that_vanishes_keeps_its_lock_until_a_person_has_looked(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged", "staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    lab.life.fault("lab-1", "never-returns")
    rows = lab.give(ACTIVATE)
    assert rows["lab-1"].phase in (Phase.FAILED, Phase.UNKNOWN)
    assert server.holders("workers") == (machine_id(lab),)
    assert {(taken.what, taken.state) for taken in takings(lab)} == {
        (What.DRAIN, Hold.KEPT),
        (What.LOCK, Hold.KEPT),
    }
    settle_all(lab)
    assert server.holders("workers") == (machine_id(lab),), "it is still not well"
    with closing(lab.open()) as conn, store.transaction(conn):
        assert set(taking_tables.free_takings(conn, "lab-1")) == {What.DRAIN, What.LOCK}
    settle_all(lab)
    assert not server.holders("workers")
    assert not cluster.drained()
    assert not takings(lab)


def test_a_lock_that_somebody_else_holds_for_the_machine_is_left_alone(
    tmp_path: Path, cluster: Cluster, use_lab_time: Use
) -> None:
    with poseidon() as server:
        lab = lab_with(tmp_path, ["staged"], use_lab_time, lock_text(server), cluster.fleet_text)
        server.hold("workers", machine_id(lab))
        row = lab.give(ACTIVATE)["lab-1"]
        assert (row.phase, row.code) == (Phase.NOT_SENT, "lock-held")
        assert server.holders("workers") == (machine_id(lab),)
        assert not cluster.log


def test_a_runner_that_is_ended_while_it_drains_undoes_it(
    tmp_path: Path, cluster: Cluster, server: LockServer, use_lab_time: Use
) -> None:
    lab = lab_with(tmp_path, ["staged"], use_lab_time, lock_text(server), cluster.fleet_text)
    order = lab.place(ACTIVATE)
    cluster.turn("slow-drain")

    async def run_and_end() -> None:
        with closing(lab.open()) as conn:
            row = order_tables.one_order(conn, order.id)
            assert row is not None
            task = asyncio.create_task(
                Runner(Book(conn), placed(row), Tools(lab.transport, lab.basis, lab.clock)).run()
            )
            await asyncio.to_thread(cluster.wait_for_drain)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run_and_end())
    assert cluster.done == ["uncordon lab-1"]
    assert not server.holders("workers")
    assert not takings(lab)
    assert lab.rows(order.id)["lab-1"].phase is Phase.PLANNED


def test_status_says_what_is_left_taken(tmp_path: Path, cluster: Cluster, use_lab_time: Use) -> None:
    with airlock() as server:
        lab = lab_with(tmp_path, ["staged"], use_lab_time, lock_text(server), cluster.fleet_text)
        cluster.turn("fail-uncordon")
        lab.give(ACTIVATE)
        settle_all(lab)
        with closing(store.open_reader(lab.database)) as conn:
            words = taking_tables.kept_words(conn)["lab-1"]
            look = stored_wishes(conn, lab.basis.fleet)["lab-1"]
    assert words.startswith("drain and lock stays after o-") or words.startswith("drain stays after o-")
    assert "cannot uncordon lab-1" in words
    assert look.kept == words
