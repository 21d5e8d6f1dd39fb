"""The process that carries an order out ends anywhere; whoever takes the order up does no harm.

At each crossing (a command sent or a look taken, a commit, before it and after it) the runner's process ends
by `os._exit`; then the order goes on, or is only settled. The worlds are described in crash_lab.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from actions import order_tables
from actions.order_rows import HostRow
from actions.orders import Asked, Phase, Verb
from actions.runner import POLL_S
from console.demo.live.kinds import LogEntry
from tests.unit.crash_lab import Crash, every_crash
from tests.unit.order_lab import NEW, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]
LOOKS_EVERY_S = 60.0
NOT_ARRIVED = (Phase.NOT_SENT, "not-arrived")
LEFT_OUT = (Phase.SKIPPED, "skipped")


@dataclass(frozen=True, slots=True)
class Case:
    scenario: str
    asked: Asked
    code: str
    """Of a host that was sent to."""
    hosts: int = 1
    fault: str | None = None
    """On the first host."""


CASES: Mapping[str, Case] = {
    "stage exact": Case("behind", Asked(Verb.STAGE, version=NEW), "staged"),
    "stage offer": Case("behind", Asked(Verb.STAGE), "staged"),
    "cancel": Case("staged", Asked(Verb.CANCEL), "cancelled"),
    "activate": Case("staged", Asked(Verb.ACTIVATE), "activated"),
    "reboot": Case("behind", Asked(Verb.REBOOT), "rebooted", hosts=2),
    "roll-back": Case("rollback_available", Asked(Verb.ROLL_BACK), "rolled-back"),
    "channel": Case("behind", Asked(Verb.CHANNEL, channel="beta"), "channel-set", hosts=2),
    "updates": Case("behind", Asked(Verb.UPDATES, mode="off"), "updates-set"),
    "repair": Case("residue", Asked(Verb.REPAIR), "repaired"),
    "activate, falls back": Case("staged", Asked(Verb.ACTIVATE), "reverted", hosts=2, fault="fallback"),
}


OFTEN = ("stage exact", "activate", "activate, falls back", "reboot")
CASES_MARKED = [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
"""One of each kind always; the rest shares their code and is tried by `make slow`."""


@pytest.fixture(autouse=True)
def _looks_are_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look has crossings of its own, and three of a kind tell as much as thirty."""
    for verb in POLL_S:
        monkeypatch.setitem(POLL_S, verb, LOOKS_EVERY_S)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("dispatches", [True, False], ids=["goes on", "is settled"])
@pytest.mark.parametrize("name", CASES_MARKED)
def test_an_order_whose_runner_ends_at_any_crossing(
    tmp_path: Path, use_lab_time: Use, name: str, dispatches: bool
) -> None:
    case = CASES[name]

    def check(crash: Crash) -> None:
        rows = crash.lab.rows(crash.order.id)
        for host, row in rows.items():
            check_end(case, host, row)
            check_conf(crash, host, row.code)
        if rows and rows["lab-1"].code == "reverted":
            check_reverted(crash, rows["lab-2"])
        elif dispatches:
            assert [row.code for row in rows.values()].count("not-arrived") <= 1
            assert not [row for row in rows.values() if row.phase is Phase.SKIPPED]

    crossings = every_crash(planned(tmp_path, use_lab_time, case, dispatches=dispatches), check)
    assert crossings[:2] == ["before a commit", "after a commit"]
    assert "after looking at lab-1" in crossings
    if dispatches:
        sent = f"sending {case.asked.verb} to lab-1"
        assert {f"before {sent}", f"after {sent}"} <= set(crossings)
        assert crossings[-1] == "after a commit"


def planned(directory: Path, use: Use, case: Case, *, dispatches: bool) -> Crash:
    lab = use(OrderLab(directory, [case.scenario] * case.hosts))
    if case.fault is not None:
        lab.life.fault("lab-1", case.fault)
    log = list[LogEntry]()
    lab.life._told = log.extend
    order, steps = lab.plan(case.asked)
    assert {step.phase for step in steps} == {Phase.PLANNED}, [step.refusals for step in steps]
    was = {name: lab.host(name).state for name in lab.basis.hosts}
    return Crash(lab, order, steps, was, log, dispatches)


def check_end(case: Case, host: str, row: HostRow) -> None:
    if (row.phase, row.code) in (NOT_ARRIVED, LEFT_OUT):
        return
    if case.fault is None:
        assert (row.phase, row.code) == (Phase.DONE, case.code), row.text
    else:
        reached = (Phase.FAILED, case.code) if host == "lab-1" else (Phase.DONE, "activated")
        assert (row.phase, row.code) == reached, row.text


def check_conf(crash: Crash, host: str, code: str | None) -> None:
    """update.conf is as the verb leaves it, and else as it was."""
    was, conf = crash.was[host].conf or "", crash.lab.host(host).state.conf or ""
    match code:
        case "channel-set":
            assert conf == f"{was}GROUP=beta\n"
        case "updates-set" | "rolled-back":
            assert conf == f"{was}SERVER=disabled\n"
        case "repaired":
            assert "localhost" in was
            assert "localhost" not in conf
        case "reverted":
            assert conf in (was, f"{was}SERVER=disabled\n")
        case _:
            assert conf == was


def check_reverted(crash: Crash, second: HostRow) -> None:
    """The first host came back with its old version: no other is begun, and it does not fetch that again."""
    assert (second.phase, second.code) == LEFT_OUT
    with closing(crash.lab.open()) as conn:
        assert [item.host for item in order_tables.quarantined(conn)] == ["lab-1"]
    (after,) = (order for order in crash.lab.orders() if order.after == crash.order.id)
    (row,) = crash.lab.rows(after.id).values()
    assert (row.phase, row.code) in ((Phase.DONE, "updates-set"), NOT_ARRIVED)
    is_off = "SERVER=disabled\n" in (crash.lab.host("lab-1").state.conf or "")
    assert is_off == (row.phase is Phase.DONE)
