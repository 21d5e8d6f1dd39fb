"""Whole orders on a simulated host with one fault, and what must hold at the end of any of them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from actions import ledger, order_tables
from actions.looking import Looker
from actions.order_rows import HostRow
from actions.orderbook import Book, new_id
from actions.orders import Asked, Phase, Placed, Step, Verb
from actions.placing import plan_all
from actions.record import verify_rows
from actions.runner import Tools, settle
from collectors.facts import Operation
from console.demo.faults import FAULTS, PlannedFault
from console.demo.live.kinds import LogEntry, What
from console.demo.world import SimulatedHost
from tests.unit.order_lab import ACTOR, NEW, OrderLab

HOST = "lab-1"
STAGE_DEADLINE_S = 300.0
"""`--timeout 5m`: looks that never tell anything are not repeated for an hour."""


class When(StrEnum):
    """When the fault begins."""

    BEFORE = "before"
    """Before the host is looked at for the plan."""
    SENDING = "sending"
    """Between the intent and the command."""
    AFTER = "after"
    """A second after the command was sent."""


ORDERS: Mapping[str, tuple[str, Asked]] = {
    "stage exact": ("behind", Asked(Verb.STAGE, version=NEW)),
    "stage offer": ("behind", Asked(Verb.STAGE)),
    "cancel": ("staged", Asked(Verb.CANCEL)),
    "activate": ("staged", Asked(Verb.ACTIVATE)),
    "reboot": ("behind", Asked(Verb.REBOOT)),
    "roll-back": ("rollback_available", Asked(Verb.ROLL_BACK)),
    "channel": ("behind", Asked(Verb.CHANNEL, channel="beta")),
    "updates": ("behind", Asked(Verb.UPDATES, mode="off")),
    "repair": ("residue", Asked(Verb.REPAIR)),
}
"""Verb -> the host's scenario, and what is asked."""
WRITES_CONF = ("roll-back", "channel", "updates", "repair")


@dataclass(frozen=True, slots=True)
class Carried:
    """An order that was carried out, and what there was to see of it."""

    order: Placed
    row: HostRow
    after: tuple[tuple[Placed, HostRow], ...]
    """Orders that followed from it."""
    was: SimulatedHost
    state: SimulatedHost
    log: tuple[LogEntry, ...]

    @property
    def ended(self) -> tuple[str, str | None]:
        return str(self.row.phase), self.row.code

    def told(self, what: What) -> list[str]:
        return [entry.detail for entry in self.log if entry.what is what]


@contextmanager
def laboratory(*scenarios: str, more: str = "") -> Iterator[OrderLab]:
    """Hosts in a folder of their own; looks are dated by the hosts' clock."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        lab = OrderLab(Path(folder), list(scenarios), more)
        patch.setattr("collectors.sweep.utc_now", lambda: lab.life.now)
        yield lab


def place(lab: OrderLab, asked: Asked, *hosts: str) -> Placed:
    """As OrderLab.place, with a shorter deadline for stage."""
    now, conn = lab.clock.now(), lab.open()
    order = Placed(new_id(now), now, asked, ACTOR, stops=asked.verb.reboots)
    timeout_s = STAGE_DEADLINE_S if asked.verb is Verb.STAGE else None

    async def planned() -> list[Step]:
        looker = Looker(conn, lab.transport, lab.basis, lab.clock)
        names = list(hosts) or list(lab.basis.hosts)
        await settle(conn, Tools(lab.transport, lab.basis, lab.clock), names)
        return await plan_all(looker, order, names, payload=None, timeout_s=timeout_s, connections=8)

    Book(conn).place(order, asyncio.run(planned()), lab.clock.now())
    conn.close()
    return order


def carry_out(lab: OrderLab, asked: Asked, fault: str | None = None, when: When = When.BEFORE) -> Carried:
    """Plan, place and run an order on HOST; its fault begins when it is to."""
    was, log = lab.host().state, list[LogEntry]()
    lab.life._told = log.extend
    if fault is not None and when is When.BEFORE:
        lab.life.fault(HOST, fault)
    order = place(lab, asked)

    def told(row: HostRow) -> None:
        if fault is None or row.order_id != order.id or row.phase is not Phase.INTENT:
            return
        if when is When.SENDING:
            lab.life.fault(HOST, fault)
        elif when is When.AFTER:
            lab.life.plan_fault(PlannedFault(HOST, FAULTS[fault], lab.life.seconds() + 1.0))

    if lab.rows(order.id)[HOST].phase is Phase.PLANNED:
        lab.run(order.id, told=told)
    after = tuple((item, lab.rows(item.id)[HOST]) for item in lab.orders() if item.after == order.id)
    found = Carried(order, lab.rows(order.id)[HOST], after, was, lab.host().state, tuple(log))
    check_end(lab, found)
    return found


def check_end(lab: OrderLab, found: Carried) -> None:
    """What holds at the end of every order, however it ended."""
    conn = lab.open()
    try:
        assert order_tables.at_work(conn) == []
        assert all(order.ended_at is not None for order in lab.orders())
        verify_rows(ledger.every_row(conn))
        events = [
            (row.event, row.outcome) for row, _ in ledger.every_row(conn) if row.order == found.order.id
        ]
    finally:
        conn.close()
    assert not found.row.phase.is_open
    if found.row.phase is not Phase.NOT_SENT:  # that may be found before the intent, or after
        is_sent = found.row.phase in (Phase.DONE, Phase.FAILED, Phase.UNKNOWN)
        assert (("intent", None) in events) == is_sent
    assert events[-1][1] == str(found.row.phase)
    reboots = found.told(What.REBOOT_ASKED)
    assert len(reboots) <= (1 if found.order.asked.verb.reboots else 0)
    if found.row.phase in (Phase.REFUSED, Phase.NOT_SENT, Phase.ALREADY):
        kinds = {entry.what for entry in found.log} - {What.UNIT_FAILED}
        assert not kinds, f"something was done: {kinds}"
        assert found.state.conf == found.was.conf
    assert found.row.text
    assert found.row.text.isprintable()


@cache
def carried(name: str, fault: str | None, when: When) -> Carried:
    """A cell of the table, carried out once in a process."""
    scenario, asked = ORDERS[name]
    with laboratory(scenario) as lab:
        return carry_out(lab, asked, fault, when)


def check_truth(name: str, found: Carried) -> None:
    """What is claimed to be done is so by the host's own state; nothing was written that must not be."""
    was, state = found.was, found.state
    assert was.running is not None
    text = found.row.text or ""
    if name not in WRITES_CONF and "update.conf is not as it was" not in text and not found.after:
        assert state.conf == was.conf
    if found.row.phase is not Phase.DONE:
        return
    other = state.slot(was.running.other)
    match found.order.asked.verb:
        case Verb.STAGE:
            assert (state.boot_id, state.running) == (was.boot_id, was.running)
            assert state.engine.operation is Operation.NEED_REBOOT
            assert found.told(What.STAGED) == [NEW]
            assert (other.priority, other.tries, other.successful) == (2, 1, False)
        case Verb.CANCEL:
            assert state.boot_id == was.boot_id
            assert state.engine.operation is Operation.IDLE
            assert state.slot(was.running).priority > other.priority
        case Verb.ACTIVATE | Verb.ROLL_BACK:
            assert state.boot_id != was.boot_id
            assert state.running is was.running.other
            assert other.successful
            assert len(found.told(What.REBOOTED)) == 1
            assert found.order.asked.verb is Verb.ACTIVATE or "SERVER=disabled\n" in (state.conf or "")
        case Verb.REBOOT:
            assert state.boot_id != was.boot_id
            assert (state.running, state.version) == (was.running, was.version)
        case Verb.CHANNEL:
            assert state.conf == f"{was.conf}GROUP=beta\n"
        case Verb.UPDATES:
            assert state.conf == f"{was.conf}SERVER=disabled\n"
        case Verb.REPAIR:
            assert "localhost" in (was.conf or "")
            assert "localhost" not in (state.conf or "")
