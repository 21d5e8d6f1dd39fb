"""The process that carries an order out ends anywhere; whoever takes the order up does no harm.

At each crossing (a command sent or a look taken, a commit, before it and after it) the runner's process ends
by `os._exit`; then the order goes on, or is only settled. The worlds are described in crash_lab.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from actions.orders import Asked, Phase, Verb
from console.demo.live.kinds import LogEntry, What
from tests.unit.crash_lab import Crash, check_hosts, check_store, every_crash
from tests.unit.order_lab import NEW, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]


@dataclass(frozen=True, slots=True)
class Case:
    scenario: str
    asked: Asked
    code: str
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


@pytest.mark.parametrize("dispatches", [True, False], ids=["goes on", "is settled"])
@pytest.mark.parametrize("name", CASES)
def test_an_order_whose_runner_ends_at_any_crossing(
    tmp_path: Path, use_lab_time: Use, monkeypatch: pytest.MonkeyPatch, name: str, dispatches: bool
) -> None:
    case = CASES[name]
    crash = planned(tmp_path, use_lab_time, case, dispatches=dispatches)

    def check(crash: Crash, ended_at: str) -> None:
        check_store(crash)
        check_hosts(crash)

    found = every_crash(crash, check)
    print(name, len(found))
