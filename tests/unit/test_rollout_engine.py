"""The rollout engine on simulated hosts: whole rollouts, halts, answers, a process that ends in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from actions import rollout_tables
from actions.leases import claim, give_back
from actions.orders import Phase, Placed, Verb
from actions.rollout_book import News, RolloutBook, Wanted
from actions.rollout_model import HostPhase, RolloutState
from actions.rollout_plan import PlanCohort
from actions.rollout_talk import Request, RequestKind
from console.demo.live.kinds import What
from tests.unit.around_lab import Cluster, lab_with
from tests.unit.engine_lab import RolloutLab, plan_for
from tests.unit.order_lab import NEW, OLD, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

Use = Callable[[OrderLab], OrderLab]


def lab_of(directory: Path, use: Use, hosts: int, **more: object) -> RolloutLab:
    lab = use(OrderLab(directory, ["behind"] * hosts))
    cohorts = [(PlanCohort("canary", soak_s=1800), 2), (PlanCohort("rest", soak_s=0), hosts - 2)]
    return RolloutLab(lab, plan_for(list(lab.basis.hosts), cohorts, **more))


def test_a_release_goes_through_its_cohorts(tmp_path: Path, use_lab_time: Use) -> None:
    one = lab_of(tmp_path, use_lab_time, 6)
    one.place()
    made = one.run()
    assert made.state is RolloutState.COMPLETED, [event.text for event in one.events]
    assert set(one.phases().values()) == {"done"}
    assert {one.lab.host(name).state.version for name in one.lab.basis.hosts} == {NEW}
    boots = [entry for name in one.lab.basis.hosts for entry in one.lab.host(name).log]
    asked = [entry.host for entry in boots if entry.what is What.REBOOT_ASKED]
    assert sorted(asked) == sorted(one.lab.basis.hosts)


def test_a_canary_that_reverts_halts_it(tmp_path: Path, use_lab_time: Use) -> None:
    one = lab_of(tmp_path, use_lab_time, 6)
    for name in one.lab.basis.hosts:
        one.lab.life.fault(name, "fallback")
    one.place()
    made = one.run()
    assert made.state is RolloutState.HALTED
    assert made.halt is not None
    assert made.halt.rule == "reverted"
    assert made.armed == 0
    assert [state.phase for state in made.hosts.values()].count(HostPhase.FAILED) == 1


def test_hosts_that_vanish_or_break_later_halt_it_too(tmp_path: Path, use_lab_time: Use) -> None:
    for fault, rule in (("never-returns", "missing"), ("break-after-20", "unhealthy")):
        directory = tmp_path / fault
        directory.mkdir()
        one = lab_of(directory, use_lab_time, 6)
        for name in one.lab.basis.hosts:
            one.lab.life.fault(name, fault)
        one.place()
        made = one.run()
        assert made.state is RolloutState.HALTED, (fault, made.state)
        assert made.halt is not None
        assert made.halt.rule == rule
        assert made.armed == 0
        rebooted = [name for name in one.lab.basis.hosts if reboots(one, name)]
        assert len(rebooted) <= 2


def reboots(one: RolloutLab, name: str) -> int:
    """How often a reboot was asked for on a host."""
    return sum(entry.what is What.REBOOT_ASKED for entry in one.lab.host(name).log)


def test_a_pause_takes_effect_before_the_next_dispatch(tmp_path: Path, use_lab_time: Use) -> None:
    one = lab_of(tmp_path, use_lab_time, 6)
    one.place()
    one.run(until=lambda book: book.rollout.counts.get(HostPhase.DONE, 0) >= 1)
    before = sum(reboots(one, name) for name in one.lab.basis.hosts)
    one.ask(RequestKind.PAUSE, "lunch")
    made = one.run()
    assert made.state is RolloutState.PAUSED
    assert sum(reboots(one, name) for name in one.lab.basis.hosts) == before
    one.ask(RequestKind.RESUME)
    assert one.run().state is RolloutState.COMPLETED


def test_an_abort_disarms_what_is_staged(tmp_path: Path, use_lab_time: Use) -> None:
    one = lab_of(tmp_path, use_lab_time, 6)
    one.place()
    one.run(until=lambda book: book.rollout.armed >= 1)
    one.ask(RequestKind.ABORT, "wrong release")
    made = one.run()
    assert made.state is RolloutState.ABORTED
    assert made.armed == 0
    for name in one.lab.basis.hosts:
        state = one.lab.host(name).state
        assert state.next_slot is state.running


def test_halted_goes_on_by_an_answer_only(tmp_path: Path, use_lab_time: Use) -> None:
    one = lab_of(tmp_path, use_lab_time, 4)
    one.lab.life.fault("lab-1", "fallback")
    one.place()
    assert one.run().state is RolloutState.HALTED
    number = one.ask(RequestKind.RESUME)
    assert one.run().state is RolloutState.HALTED
    with closing(one.open()) as conn:
        row = rollout_tables.one_request(conn, number)
    assert row is not None
    assert row.answer is not None
    assert "retry-failed, accept-failures with a reason, or roll-back" in row.answer
    one.ask(RequestKind.ACCEPT_FAILURES, "lab-1 has a bad disk", "lab-1")
    made = one.run()
    assert made.state is RolloutState.COMPLETED_WITH_EXCEPTIONS, [event.text for event in one.events][-8:]


def test_rolled_back_to_where_it_came_from(tmp_path: Path, use_lab_time: Use) -> None:
    one = lab_of(tmp_path, use_lab_time, 5)
    one.lab.life.fault("lab-2", "fallback")
    one.place()
    assert one.run().state is RolloutState.HALTED
    one.ask(RequestKind.ROLL_BACK, "bad release")
    made = one.run()
    assert made.state is RolloutState.ROLLED_BACK, [event.text for event in one.events][-8:]
    assert {one.lab.host(name).state.version for name in one.lab.basis.hosts} == {OLD}


def test_a_process_that_took_over_only_follows_what_was_sent(tmp_path: Path, use_lab_time: Use) -> None:
    one = lab_of(tmp_path, use_lab_time, 6)
    one.place()
    one.run(until=lambda book: book.rollout.counts.get(HostPhase.DONE, 0) >= 1)
    made = one.run(dispatches=False)
    assert made.state is RolloutState.PAUSED
    assert "fleetctl run r-lab" in made.why


def test_hosts_that_stay_away_hold_no_process_up(tmp_path: Path, use_lab_time: Use) -> None:
    """They are looked at for ever; whoever only settles, or waits for a person, goes on."""
    one = lab_of(tmp_path, use_lab_time, 6, budget=4, tolerance=3)
    for name in one.lab.basis.hosts:
        one.lab.life.fault(name, "never-returns")
    one.place()
    assert one.run().state is RolloutState.HALTED
    one.ask(RequestKind.ACCEPT_FAILURES, "they are being replaced")
    made = one.run()
    assert made.counts.get(HostPhase.MISSING, 0) >= 2
    made = one.run(dispatches=False)
    assert made.state in (RolloutState.HALTED, RolloutState.PAUSED)


def test_an_order_called_back_before_it_begins_sends_nothing_and_ends(
    tmp_path: Path, use_lab_time: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch may both give an order and call it back: a host is done, and another one halts it."""
    one = lab_of(tmp_path, use_lab_time, 4)
    one.place()
    take, paused = RolloutBook.take, list[str]()

    def taken(self: RolloutBook, news: Sequence[News]) -> list[Wanted]:
        wanted = take(self, news)
        if not paused and any(isinstance(w, Placed) and w.asked.verb is Verb.ACTIVATE for w in wanted):
            paused.append("at once")
            wanted += take(self, [News(Request(RequestKind.PAUSE, "jo", "in the same batch"))])
        return wanted

    monkeypatch.setattr(RolloutBook, "take", taken)
    made = one.run()
    assert (made.state, made.orders) == (RolloutState.PAUSED, 0)
    assert sum(reboots(one, name) for name in one.lab.basis.hosts) == 0
    one.ask(RequestKind.RESUME)
    assert one.run().state is RolloutState.COMPLETED


def test_a_failure_is_heard_of_at_once(tmp_path: Path, use_lab_time: Use) -> None:
    """Not only once its lock is given back, which waits until the host is well again."""
    cluster = Cluster(tmp_path / "cluster")
    lab = lab_with(tmp_path, ["behind"] * 4, use_lab_time, cluster.fleet_text)
    lab.life.fault("lab-1", "fallback")
    one = RolloutLab(lab, plan_for(list(lab.basis.hosts), [(PlanCohort("canary", soak_s=600), 4)], budget=4))
    one.place()
    made = one.run()
    assert made.halt is not None
    failed = next(row for row in one.rows if row.host == "lab-1" and row.phase is Phase.FAILED)
    late_s = (made.halt.at - datetime.fromisoformat(failed.since)).total_seconds()
    assert 0 <= late_s <= 5
    assert not cluster.drained()


def test_one_that_was_aborted_and_whose_process_ended_is_not_finished(
    tmp_path: Path, use_lab_time: Use
) -> None:
    """What it still has to disarm is found by whoever looks for rollouts without a process."""
    one = lab_of(tmp_path, use_lab_time, 4)
    one.place()
    one.run(until=lambda book: book.rollout.armed >= 1)
    one.ask(RequestKind.ABORT, "wrong release")
    with closing(one.open()) as conn:
        lease = claim(conn, f"rollout {one.plan.id}", 60.0)
        RolloutBook(conn, one.plan.id, lease, one.lab.clock).take([])
        give_back(conn, lease)
        assert [row.status for row in rollout_tables.unfinished_rollouts(conn)] == ["aborted"]
    assert one.run(dispatches=False).armed == 0
    with closing(one.open()) as conn:
        assert rollout_tables.unfinished_rollouts(conn) == []
