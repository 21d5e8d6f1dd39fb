"""Two consoles at work on the same hosts, on one database or on two: no host gets two orders.

Both are tasks of one loop with a process's name each; how long each of their questions takes is left to
chance, so that either gets ahead of the other anywhere. The last have real processes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from actions.leases import Busy, owner_name
from actions.looking import Looker
from actions.orderbook import new_id
from actions.orders import Asked, Phase, Placed, Step
from actions.placing import plan_all
from console.demo.live.kinds import What
from tests.unit.crash_lab import side_by_side
from tests.unit.order_lab import ACTOR, OrderLab, use_lab_time
from tests.unit.two_consoles import (
    CHANNEL,
    HERE,
    OFF,
    REBOOT,
    STAGE,
    THERE,
    both,
    carry_out,
    check_one_won,
    check_store,
    diary,
    on_its_own,
    process,
    uneven,
)

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]
SEEDS = range(12)


@pytest.fixture
def far(tmp_path: Path, use_lab_time: Use) -> OrderLab:
    """For processes that are what they are."""
    return use_lab_time(OrderLab(tmp_path, ["behind", "behind"]))


@pytest.fixture
def lab(tmp_path: Path, use_lab_time: Use, monkeypatch: pytest.MonkeyPatch) -> OrderLab:
    monkeypatch.setattr("actions.leases.owner_name", lambda pid: owner_name(process.get()))
    return use_lab_time(OrderLab(tmp_path, ["behind", "behind"]))


def together(asked: tuple[Asked, Asked]) -> str:
    return " and ".join(item.verb for item in asked)


PAIRS = [(CHANNEL, OFF), (REBOOT, REBOOT), (STAGE, OFF), (REBOOT, CHANNEL)]


@pytest.mark.parametrize("asked", PAIRS, ids=together)
@pytest.mark.parametrize("seed", SEEDS)
def test_two_orders_on_one_database(lab: OrderLab, asked: tuple[Asked, Asked], seed: int) -> None:
    orders = [lab.place(item, at_once=2) for item in asked]
    log = diary(lab)
    both((lab, orders[0]), (lab, orders[1]), hosts=uneven(lab, seed))
    check_store(lab)
    first, second = (list(lab.rows(order.id).values()) for order in orders)
    check_one_won(lab, log, first, second)


@pytest.mark.parametrize("asked", PAIRS, ids=together)
@pytest.mark.parametrize("seed", SEEDS)
def test_an_order_each_on_two_databases(lab: OrderLab, asked: tuple[Asked, Asked], seed: int) -> None:
    """Both were planned before either was begun."""
    other = on_its_own(lab)
    orders = lab.place(asked[0], at_once=2), other.place(asked[1], at_once=2)
    log = diary(lab)
    both((lab, orders[0]), (other, orders[1]), hosts=uneven(lab, seed))
    check_store(lab)
    check_store(other)
    first, second = list(lab.rows(orders[0].id).values()), list(other.rows(orders[1].id).values())
    check_one_won(lab, log, first, second)


def test_a_second_console_is_refused_by_the_order_on_the_host(lab: OrderLab) -> None:
    other, order = on_its_own(lab), lab.place(STAGE, "lab-1")
    hosts = uneven(lab, 0)

    async def looked(console: OrderLab) -> Step:
        with closing(console.open()) as conn:
            looker = Looker(conn, console.transport, console.basis, console.clock)
            now = console.clock.now()
            asked = Placed(new_id(now), now, REBOOT, ACTOR)
            (step,) = await plan_all(looker, asked, ["lab-1"], payload=None, timeout_s=None, connections=1)
            return step

    async def meanwhile() -> tuple[Step, Step]:
        async with asyncio.TaskGroup() as group:
            group.create_task(carry_out(lab, order, hosts, HERE, lambda row: None))
            while not hosts.sends:
                await lab.life.sleep(1.0)
            await lab.life.sleep(30.0)
            return await looked(other), await looked(lab)

    theirs, ours = asyncio.run(meanwhile())
    assert theirs.phase is Phase.REFUSED
    assert theirs.refusals[0].code == "foreign-order"
    assert theirs.refusals[0].force is None
    assert order.id in theirs.refusals[0].text
    assert "foreign-order" not in [item.code for item in ours.refusals]
    assert [row.code for row in lab.rows(order.id).values()] == ["staged"]


@pytest.mark.parametrize("seed", SEEDS)
def test_one_order_has_one_runner(lab: OrderLab, seed: int) -> None:
    """The other is turned away before it asks a host anything, or comes when all is over."""
    order, log, hosts = lab.place(REBOOT), diary(lab), uneven(lab, seed)
    refused = list[str]()

    async def late(pid: int) -> None:
        await lab.life.sleep(hosts.chance.uniform(0.0, 400.0))
        try:
            await carry_out(lab, order, hosts, pid, lambda row: None)
        except Busy as error:
            refused.append(error.owner)

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for pid in (HERE, THERE):
                group.create_task(late(pid))

    asyncio.run(together())
    check_store(lab)
    assert [row.code for row in lab.rows(order.id).values()] == ["rebooted", "rebooted"]
    assert hosts.sends == {"lab-1": 1, "lab-2": 1}
    assert len([entry for entry in log if entry.what is What.REBOOT_ASKED]) == 2
    assert set(refused) <= {owner_name(HERE), owner_name(THERE)}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("asked", PAIRS[:2], ids=together)
@pytest.mark.parametrize("databases", [1, 2])
def test_two_processes_with_an_order_each(
    far: OrderLab, asked: tuple[Asked, Asked], seed: int, databases: int
) -> None:
    other = far if databases == 1 else on_its_own(far)
    orders, log = (far.place(asked[0], at_once=2), other.place(asked[1], at_once=2)), diary(far)
    ends = side_by_side(random.Random(seed), (far, orders[0]), (other, orders[1]))
    assert ends == ["ended", "ended"]
    check_store(far)
    check_store(other)
    first, second = list(far.rows(orders[0].id).values()), list(other.rows(orders[1].id).values())
    check_one_won(far, log, first, second)


@pytest.mark.parametrize("seed", range(4))
def test_two_processes_with_one_order(far: OrderLab, seed: int) -> None:
    order, log = far.place(REBOOT), diary(far)
    ends = side_by_side(random.Random(seed), (far, order), (far, order))
    assert sorted(ends) == ["busy", "ended"]
    check_store(far)
    assert [row.code for row in far.rows(order.id).values()] == ["rebooted", "rebooted"]
    assert len([entry for entry in log if entry.what is What.REBOOT_ASKED]) == 2
