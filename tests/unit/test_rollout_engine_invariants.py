"""The invariants of a rollout on the real engine: hosts with random faults, random answers to halts.

The pure machine is tried with thousands of random engines in tests/properties; here it is the one that will
be used, and the hosts' own logs say what was done to them.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from actions import ledger, order_tables, rollout_tables
from actions.record import verify_rows
from actions.rollout_book import RolloutBook
from actions.rollout_model import CohortPhase, HostPhase, Rollout, RolloutState
from actions.rollout_plan import Plan, PlanCohort
from actions.rollout_talk import RequestKind
from console.demo.live.kinds import LogEntry, What
from tests.unit.crash_lab import Watched
from tests.unit.engine_lab import RolloutLab, needs_a_person, plan_for
from tests.unit.order_lab import OrderLab, use_lab_time

__all__ = ["use_lab_time"]

HOSTS, CANARIES, BUDGET = 12, 3, 3
FAULTS = (None, None, None, None, "fallback", "never-returns", "break-after-20", "inhibitor", "disk-full")
ANSWERS = (
    RequestKind.RETRY_FAILED,
    RequestKind.ACCEPT_FAILURES,
    RequestKind.ROLL_BACK,
    RequestKind.ABORT,
)
BEYOND_STAGED = frozenset(HostPhase) - {
    HostPhase.PENDING,
    HostPhase.PREFLIGHT,
    HostPhase.STAGING,
    HostPhase.STAGED,
    HostPhase.SKIPPED,
    HostPhase.FAILED,
    HostPhase.UNKNOWN,
    HostPhase.EXCEPTION,
}


def check_state(plan: Plan, made: Rollout) -> None:
    """What holds in every state that is ever stored."""
    at_work = [name for name, state in made.hosts.items() if state.phase.is_disturbed]
    assert len(at_work) <= BUDGET, "inv_01"
    for name, state in made.hosts.items():
        number = plan.by_name[name].cohort
        if state.phase in BEYOND_STAGED and made.state is RolloutState.RUNNING:
            before = made.cohorts[:number]
            assert all(cohort.phase is CohortPhase.PASSED for cohort in before), f"inv_02 {name}"
    for number, cohort in enumerate(made.cohorts):
        if cohort.phase is CohortPhase.PASSED:
            own = [made.hosts[host.name] for host in plan.by_cohort[number]]
            assert not [state for state in own if state.phase is HostPhase.UNKNOWN], "inv_03, inv_07"
    assert set(made.hosts) == set(plan.by_name), "inv_04"


def stands(book: RolloutBook) -> bool:
    """It waits for a person, or for a host that will not let itself be rebooted: that stall is said."""
    return needs_a_person(book) or book.rollout.stalled is not None


@pytest.mark.timeout(90)
@pytest.mark.parametrize("seed", range(6))
def test_random_faults_and_answers(
    tmp_path: Path,
    use_lab_time: Callable[[OrderLab], OrderLab],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    chance = random.Random(seed)
    lab = use_lab_time(OrderLab(tmp_path, ["behind"] * HOSTS))
    log = list[LogEntry]()
    lab.life._told = log.extend
    for name in lab.basis.hosts:
        if (fault := chance.choice(FAULTS)) is not None:
            lab.life.fault(name, fault)
    cohorts = [(PlanCohort("canary", soak_s=1800), CANARIES), (PlanCohort("rest", soak_s=0, tolerance=2), 9)]
    one = RolloutLab(lab, plan_for(list(lab.basis.hosts), cohorts, budget=BUDGET, tolerance=2))
    lab.transport = Watched(lab, lab.transport)  # inv_14: it asserts that locksmithd is never let loose
    save = rollout_tables.save_rollout

    def checked(conn: sqlite3.Connection, plan: Plan, was: Rollout, made: Rollout, at: str) -> None:
        check_state(plan, made)
        save(conn, plan, was, made, at)

    monkeypatch.setattr(rollout_tables, "save_rollout", checked)
    one.place()
    answers = 0
    for _ in range(5):
        made = one.run(until=stands)
        if not made.state.is_open:
            break
        if made.state is not RolloutState.HALTED:
            assert made.stalled is not None, made.state
            one.ask(RequestKind.ABORT, made.stalled.cause)
            continue
        assert made.halt is not None
        halted_at = made.halt.at
        late = [entry for entry in log if entry.what is What.REBOOT_ASKED and entry.at > halted_at]
        assert answers or not late, f"inv_05: {late}"
        if made.halt.rule.blames_release:
            assert made.armed == 0, f"inv_21: {made.armed} armed"
        one.ask(RequestKind.RESUME)
        assert one.run().state is RolloutState.HALTED, "inv_16"
        one.ask(ANSWERS[chance.randrange(len(ANSWERS))] if answers < 3 else RequestKind.ABORT, "by dice")
        answers += 1
    made = one.run()
    assert not made.state.is_open, made.why
    check_hosts(one, log, answers)


def check_hosts(one: RolloutLab, log: list[LogEntry], answers: int) -> None:
    """By the hosts' own logs, and by the record."""
    with closing(one.open()) as conn:
        assert order_tables.at_work(conn) == []
        orders = {row.id: row for row in order_tables.newest_orders(conn, 10_000)}
        sent = [
            row
            for order_id, order in orders.items()
            if order.verb in ("activate", "roll-back")
            for row in order_tables.order_hosts(conn, order_id)
            if row.sent_at is not None
        ]
        verify_rows(ledger.every_row(conn))
    for name in one.lab.basis.hosts:
        asked = [entry for entry in log if entry.host == name and entry.what is What.REBOOT_ASKED]
        orders_of = [row for row in sent if row.host == name]
        assert len(asked) <= len(orders_of), f"inv_12: {name} {len(asked)} reboots, {len(orders_of)} orders"
        assert len(orders_of) <= 1 + answers, f"{name} was rebooted for one step more than once"
