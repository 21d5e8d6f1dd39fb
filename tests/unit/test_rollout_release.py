"""A bad release does little harm, and a large fleet costs little: the pure machine on simulated fleets."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from types import FrameType

import pytest

from actions.rollout import advance
from actions.rollout_model import HostPhase, Rollout, RolloutState
from actions.rollout_talk import OrderStage, OrderTold
from tests.unit.rollout_lab import NO_PLAN, Fate, Fleet, Lab, plan_of

THOUSAND = plan_of(5, 20, 75, 200, 700, base=replace(NO_PLAN, budget=10))


def released(fate: str, percent: int, seed: int) -> Fleet:
    chosen = random.Random(seed)
    bad = {own.name for own in THOUSAND.hosts if chosen.random() * 100 < percent}
    fleet = Fleet(Lab(THOUSAND), lambda host: fate if host in bad else Fate.GOOD)
    fleet.run()
    return fleet


@pytest.mark.parametrize(("fate", "percent", "most"), [
    (Fate.REVERTS, 30, 2),
    (Fate.VANISHES, 30, 2),
    (Fate.BREAKS, 100, 5),
])  # fmt: skip
def test_a_bad_release_harms_few(fate: str, percent: int, most: int) -> None:
    fleets = [released(fate, percent, seed) for seed in range(10)]
    harmed = sorted(len(fleet.harmed) for fleet in fleets)
    assert harmed[len(harmed) // 2] <= most
    assert harmed[-1] <= THOUSAND.budget
    for fleet in fleets:
        assert fleet.lab.r.state is RolloutState.HALTED
        assert fleet.lab.r.armed == 0


def test_what_breaks_late_is_seen_while_the_canary_soaks() -> None:
    fleet = released(Fate.BREAKS, 100, 0)
    assert fleet.lab.r.halt is not None
    assert fleet.lab.r.halt.rule == "unhealthy"
    assert {fleet.lab.plan.by_name[name].cohort for name in fleet.booted} == {0}


def completed(*sizes: int, budget: int) -> Fleet:
    plan = plan_of(*sizes, base=replace(NO_PLAN, budget=budget, settle_s=120), soak_s=600)
    fleet = Fleet(Lab(plan), lambda host: Fate.GOOD, tick_s=30)
    fleet.run()
    return fleet


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_five_thousand_hosts_come_to_their_end() -> None:
    fleet = completed(50, 450, 4500, budget=500)
    assert fleet.lab.r.state is RolloutState.COMPLETED
    assert fleet.lab.r.counts == {HostPhase.DONE: 5000}
    assert 40_000 < fleet.lab.inputs < 200_000


def calls_of(rollout: Rollout, lab: Lab, news: OrderTold) -> int:
    """Python functions called for one input."""
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        advance(lab.plan, rollout, news, lab.now)
    finally:
        sys.setprofile(None)
    return calls


def test_an_input_costs_the_same_in_a_large_fleet() -> None:
    costs = []
    for size in (400, 4000):
        lab = Lab(plan_of(1, size, base=replace(NO_PLAN, budget=8))).start()
        lab.pass_cohort(0)
        host = next(iter(lab.open))
        lab.tell(host, OrderStage.PLANNED)
        lab.tell(host, OrderStage.ISSUED)
        order_id, asked = lab.open[host]
        news = OrderTold(host, order_id, asked.verb, OrderStage.DONE, "staged")
        assert lab.plan.digest
        costs.append(calls_of(lab.r, lab, news))
    assert costs[1] <= costs[0] * 1.2
