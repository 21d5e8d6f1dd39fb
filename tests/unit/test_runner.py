"""Orders carried out on simulated hosts: each end is seen at the host itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actions import ledger, order_tables
from actions.orders import Asked, Phase, Verb
from actions.record import verify_rows
from collectors.facts import SlotName
from tests.unit.order_lab import NEW, OLD, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]
STAGE = Asked(Verb.STAGE, version=NEW)
ACTIVATE, ROLL_BACK = Asked(Verb.ACTIVATE), Asked(Verb.ROLL_BACK)


@pytest.fixture
def lab(tmp_path: Path, use_lab_time: Use) -> OrderLab:
    return use_lab_time(OrderLab(tmp_path, ["behind", "behind"]))


def flags(
    lab: OrderLab, name: str = "lab-1"
) -> tuple[SlotName, tuple[int, int, bool], tuple[int, int, bool]]:
    state = lab.host(name).state
    assert state.running is not None
    running, other = state.slot(state.running), state.slot(state.running.other)
    return (
        state.running,
        (running.priority, running.tries, running.successful),
        (other.priority, other.tries, other.successful),
    )


def test_stage_activate_roll_back(lab: OrderLab) -> None:
    boot, (slot, _, _) = lab.host().state.boot_id, flags(lab)
    assert [row.code for row in lab.give(STAGE).values()] == ["staged", "staged"]
    assert flags(lab)[2] == (2, 1, False)
    assert lab.host().state.boot_id == boot

    assert [row.code for row in lab.give(ACTIVATE).values()] == ["activated", "activated"]
    assert lab.host().state.boot_id != boot
    assert flags(lab)[0] is slot.other
    assert flags(lab)[1][2] is True
    assert lab.host().state.version == NEW

    done = lab.give(ROLL_BACK, "lab-1")["lab-1"]
    assert (done.phase, done.code) == (Phase.DONE, "rolled-back")
    assert lab.host().state.version == OLD
    assert "SERVER=disabled" in (lab.host().state.conf or "")
    conn = lab.open()
    assert [(item.host, item.version) for item in order_tables.quarantined(conn)] == [("lab-1", NEW)]
    verify_rows(ledger.every_row(conn))
    conn.close()


def test_asked_again_it_is_so_already_and_nothing_is_sent(lab: OrderLab) -> None:
    lab.give(STAGE, "lab-1")
    again = lab.place(STAGE, "lab-1")
    row = lab.rows(again.id)["lab-1"]
    assert (row.phase, row.code) == (Phase.ALREADY, "already-so")


def test_the_dry_run_shows_what_is_sent(lab: OrderLab) -> None:
    _, shown = lab.plan(STAGE, "lab-1")
    lab.give(STAGE, "lab-1")
    conn = lab.open()
    sent = [row.command for row, _ in ledger.every_row(conn) if row.event == "intent"]
    conn.close()
    assert sent == [shown[0].command]


def test_a_host_that_moved_since_its_plan_is_left_alone(lab: OrderLab) -> None:
    order = lab.place(STAGE, "lab-1")
    lab.host().run(("systemctl", "reboot"), uid=0)
    lab.life.advance(300)
    lab.run(order.id)
    row = lab.rows(order.id)["lab-1"]
    assert (row.phase, row.code) == (Phase.NOT_SENT, "moved")
    assert "boot id" in (row.text or "")


def test_a_host_given_up_for_lost_is_settled_with_all_that_follows(lab: OrderLab) -> None:
    lab.give(STAGE, "lab-1")
    lab.life.fault("lab-1", "never-returns")
    lost = lab.give(ACTIVATE, "lab-1")["lab-1"]
    assert (lost.phase, lost.code) == (Phase.UNKNOWN, "missing")
    refused = lab.plan(Asked(Verb.UPDATES, mode="off"), "lab-2")[1][0]
    assert refused.phase is Phase.PLANNED, "another host is not concerned"

    lab.life.fault("lab-1", "fallback")
    lab.host().reset_power()
    lab.life.advance(600)
    lab.plan(STAGE, "lab-1")
    settled = lab.rows(lost.order_id)["lab-1"]
    assert (settled.phase, settled.code) == (Phase.FAILED, "reverted")
    conn = lab.open()
    assert [(item.host, item.version) for item in order_tables.quarantined(conn)] == [("lab-1", NEW)]
    (after,) = order_tables.consequences(conn, lost.order_id)
    conn.close()
    assert [(row.phase, row.code) for row in lab.rows(after.id).values()] == [(Phase.DONE, "updates-set")]
    assert "SERVER=disabled" in (lab.host().state.conf or "")
