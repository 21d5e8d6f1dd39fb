"""A rollout against everything: an engine with random outcomes, silent hosts, requests, restarts and clocks.

Each `inv_NN` asserts the invariant of that number after every step. The machine's own counters are not
believed: what is checked is counted anew from its hosts, or from what the played engine itself did.
More examples: HYPOTHESIS_PROFILE=long.
"""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from actions.orders import Verb
from actions.rollout import advance, headline, is_over, may_issue, waits
from actions.rollout_desk import counted
from actions.rollout_halt import MOST_DISARMS
from actions.rollout_looks import LATE_S
from actions.rollout_model import (
    DISTURBED,
    CohortPhase,
    GateVerdict,
    HostPhase,
    HostState,
    Quiet,
    Rollout,
    RolloutState,
)
from actions.rollout_plan import NotAllowed
from actions.rollout_talk import GiveOrder, Input, Intent, Request, RequestKind, Tick
from actions.rollout_words import STALLED_AFTER_S
from actions.windows import Open, open_at
from tests.unit.rollout_player import FORWARD, Player, changed


class Machine(Player):
    """The invariants; `issued` is the player's own account of reboots sent and not proved undone."""

    def check_step(self, news: Input, intents: tuple[Intent, ...]) -> None:
        self.inv_01_no_dispatch_beyond_the_budget()
        self.inv_02_orders_in_cohort_order(intents)
        self.inv_03_what_has_passed()
        self.inv_19_settled_by_the_steady_clock()
        for intent in intents:
            if isinstance(intent, GiveOrder):
                self.inv_14_nothing_is_given_while_it_stands(intent)
                self.inv_09_only_a_retry_begins_again(intent)
        if isinstance(news, Tick):
            self.inv_06_no_reboot_is_late()
            self.never_silent()

    def check_issue(self, host: str, verb: Verb) -> None:
        self.inv_05_only_while_it_runs(host, verb)
        self.inv_08_within_its_window(host, verb)
        self.inv_12_once_for_one_step(host)

    def check_denied(self, kind: RequestKind, state: RolloutState) -> None:
        self.inv_14_pause_and_abort_are_always_taken(kind, state)

    # -- invariants at a step ---------------------------------------------------------------------------

    def inv_01_no_dispatch_beyond_the_budget(self) -> None:
        """A failure after DONE may come on top; a dispatch never does."""
        r, plan = self.lab.r, self.lab.plan
        holders = [name for name, host in r.hosts.items() if holds(host)]
        new = [
            name
            for name in holders
            if r.hosts[name].phase is HostPhase.LEASED and not holds(self.before.hosts[name])
        ]
        assert not new or len(holders) <= plan.budget
        for name in new:
            for domain in plan.domains[name]:
                inside = [other for other in holders if domain in plan.domains[other]]
                assert len(inside) <= plan.per_label["zone"]

    def inv_02_orders_in_cohort_order(self, intents: tuple[Intent, ...]) -> None:
        r, plan = self.lab.r, self.lab.plan
        for intent in intents:
            if isinstance(intent, GiveOrder) and intent.asked.verb in (Verb.STAGE, *FORWARD):
                number = plan.by_name[intent.host].cohort
                assert all(cohort.phase is CohortPhase.PASSED for cohort in r.cohorts[:number])

    def inv_03_what_has_passed(self) -> None:
        r, plan, was = self.lab.r, self.lab.plan, self.before
        for number, (cohort, before) in enumerate(zip(r.cohorts, was.cohorts, strict=True)):
            if cohort.phase is not CohortPhase.PASSED or before.phase is CohortPhase.PASSED:
                continue
            hosts = [r.hosts[own.name] for own in plan.by_cohort[number]]
            assert all(host.phase.is_settled for host in hosts)
            assert sum(host.counts for host in hosts) <= plan.cohorts[number].tolerance
            done = [self.done_at[own.name] for own in plan.by_cohort[number] if own.name in self.done_at]
            if done and not cohort.soak_cut:
                assert self.lab.steady - max(done) >= timedelta(seconds=plan.cohorts[number].soak_s)
            gate = self.passes.get("errors")
            assert not plan.gates or cohort.promoted_by or self.answered or gate is GateVerdict.PASS
            self.passes = {}
        if r.state in (RolloutState.COMPLETED, RolloutState.COMPLETED_WITH_EXCEPTIONS):
            bad = any(host.phase.is_failure or host.phase is HostPhase.EXCEPTION for host in r.hosts.values())
            assert bad is (r.state is RolloutState.COMPLETED_WITH_EXCEPTIONS)

    def inv_05_only_while_it_runs(self, host: str, verb: Verb) -> None:
        r, plan = self.lab.r, self.lab.plan
        back = r.state is RolloutState.ROLLING_BACK
        assert (r.state is RolloutState.RUNNING) or (back and verb is Verb.ROLL_BACK)
        assert back or sum(item.counts for item in r.hosts.values()) <= plan.tolerance

    def inv_08_within_its_window(self, host: str, verb: Verb) -> None:
        plan, wall = self.lab.plan, self.lab.wall
        if plan.windows and verb.reboots and self.lab.r.state is RolloutState.RUNNING:
            found = open_at(plan.windows, wall)
            assert isinstance(found, Open)
            assert found.leaves(plan.by_name[host].reboot_deadline_s, wall)

    def inv_12_once_for_one_step(self, host: str) -> None:
        if self.lab.r.state is RolloutState.RUNNING:
            assert host not in self.issued
            self.issued.add(host)

    def inv_06_no_reboot_is_late(self) -> None:
        for name, host in self.lab.r.hosts.items():
            own = self.lab.plan.by_name[name]
            if host.phase.is_sent and host.issued_at is not None:
                limit_s = own.reboot_deadline_s + own.confirm_deadline_s + LATE_S
                assert (self.lab.steady - host.issued_at).total_seconds() < limit_s

    def inv_09_only_a_retry_begins_again(self, intent: GiveOrder) -> None:
        """Whether the version is in quarantine is the order's own question; none is given by itself."""
        before = self.before.hosts[intent.host]
        if intent.asked.verb in (Verb.STAGE, *FORWARD) and before.phase.is_failure:
            assert self.before.state is RolloutState.HALTED

    def inv_14_nothing_is_given_while_it_stands(self, intent: GiveOrder) -> None:
        state, verb = self.lab.r.state, intent.asked.verb
        if state not in (RolloutState.RUNNING, RolloutState.ROLLING_BACK):
            assert verb is Verb.UPDATES
            assert intent.asked.mode == "on"
            assert not state.is_open

    def inv_14_pause_and_abort_are_always_taken(self, kind: RequestKind, state: RolloutState) -> None:
        assert not (kind in (RequestKind.PAUSE, RequestKind.ABORT) and state.is_open)

    def inv_19_settled_by_the_steady_clock(self) -> None:
        for name in changed(self.before, self.lab.r):
            host, was = self.lab.host(name), self.before.hosts[name]
            if host.phase is HostPhase.SETTLING and was.phase is not HostPhase.SETTLING:
                self.settling_at[name] = self.lab.steady
            if host.phase is HostPhase.DONE and was.phase is not HostPhase.DONE:
                settled = self.lab.steady - self.settling_at[name]
                assert settled >= timedelta(seconds=self.lab.plan.settle_s)
                self.done_at[name] = self.lab.steady

    def never_silent(self) -> None:
        r = self.lab.r
        if r.state is RolloutState.RUNNING and r.moved_at is not None and r.current < len(r.cohorts):
            still_s = (self.lab.steady - r.moved_at).total_seconds()
            if still_s >= STALLED_AFTER_S and r.cohorts[r.current].phase is not CohortPhase.SOAKING:
                assert r.stalled is not None
                assert r.stalled.cause.strip()

    # -- invariants at any time ---------------------------------------------------------------------------

    @invariant()
    def inv_01_never_more_at_work_than_the_budget(self) -> None:
        r, plan = self.lab.r, self.lab.plan
        at_work = [name for name, host in r.hosts.items() if host.phase.is_disturbed]
        assert len(at_work) <= plan.budget
        early = [name for name, host in r.hosts.items() if holds(host) and not host.was_done]
        assert len(early) <= plan.budget or r.state is RolloutState.ROLLING_BACK
        for domain in {domain for name in at_work for domain in plan.domains[name]}:
            inside = [name for name in at_work if domain in plan.domains[name]]
            assert len(inside) <= plan.per_label["zone"]

    @invariant()
    def inv_02_nobody_is_ahead(self) -> None:
        r, plan = self.lab.r, self.lab.plan
        for name, host in r.hosts.items():
            if host.phase.is_disturbed:
                earlier = r.cohorts[: plan.by_name[name].cohort]
                assert all(cohort.phase is CohortPhase.PASSED for cohort in earlier)

    @invariant()
    def inv_04_the_plan_is_the_denominator(self) -> None:
        r, plan = self.lab.r, self.lab.plan
        assert counted(plan, r) == r
        assert sum(r.counts.values()) == len(plan.hosts) == len(r.hosts)
        assert f"of {len(plan.hosts)} done" in headline(plan, r, self.lab.now)
        assert all(waits(plan, r, name, self.lab.now).strip() for name in r.hosts)

    @invariant()
    def inv_05_more_failures_than_tolerated_stand_still(self) -> None:
        r, plan = self.lab.r, self.lab.plan
        if r.state is RolloutState.RUNNING:
            assert sum(host.counts for host in r.hosts.values()) <= plan.tolerance
            for number, cohort in enumerate(plan.cohorts):
                failed = sum(r.hosts[own.name].counts for own in plan.by_cohort[number])
                assert failed <= cohort.tolerance

    @invariant()
    def inv_07_unknown_blocks(self) -> None:
        r, plan = self.lab.r, self.lab.plan
        if r.halt is None and r.state in (RolloutState.RUNNING, RolloutState.COMPLETED):
            for name, host in r.hosts.items():
                if host.phase is HostPhase.UNKNOWN:
                    assert r.cohorts[plan.by_name[name].cohort].phase is not CohortPhase.PASSED

    @invariant()
    def inv_14_what_stands_is_called_back(self) -> None:
        r = self.lab.r
        if r.state in (RolloutState.RUNNING, RolloutState.ROLLING_BACK):
            return
        for name, (_, asked) in self.lab.open.items():
            host = r.hosts[name]
            gives = asked.verb is Verb.UPDATES and host.quiet is Quiet.OURS
            before = host.phase in (HostPhase.PREFLIGHT, HostPhase.LEASED, HostPhase.DRAINING)
            if before and not gives and asked.verb is not Verb.CANCEL:
                assert host.is_called_back
                if asked.verb in FORWARD:
                    assert may_issue(self.lab.plan, r, name, self.lab.now)

    @invariant()
    def inv_16_a_halt_takes_no_plain_resume(self) -> None:
        if self.lab.r.state is RolloutState.HALTED:
            with pytest.raises(NotAllowed, match="retry-failed"):
                advance(self.lab.plan, self.lab.r, Request(RequestKind.RESUME, "jo", "please"), self.lab.now)

    @invariant()
    def inv_20_another_plan_is_not_carried_out(self) -> None:
        other = replace(self.lab.plan, snapshot="s-2")
        with pytest.raises(NotAllowed, match="approve"):
            advance(other, self.lab.r, Tick(), self.lab.now)

    @invariant()
    def inv_21_nobody_stays_armed_with_a_bad_release(self) -> None:
        r = self.lab.r
        if r.state is not RolloutState.HALTED or r.halt is None or self.lab.plan.keep_staged:
            return
        if not r.halt.rule.blames_release:
            return
        later = {item.host for item in r.later}
        for name, host in r.hosts.items():
            if host.is_armed:
                assert host.verb is not None or name in later or host.disarms >= MOST_DISARMS
        assert not r.armed or f"{r.armed} still armed" in headline(self.lab.plan, r, self.lab.now)

    def teardown(self) -> None:
        """14: after an abort everything ends, and what was borrowed is given back."""
        if not hasattr(self, "lab"):
            return
        if self.lab.r.state.is_open:
            self.lab.ask(RequestKind.ABORT)
        for _ in range(400):
            if is_over(self.lab.r):
                break
            self.every_order_goes_well()
            self.time_passes(700)
        assert is_over(self.lab.r)
        assert not self.lab.open
        r = self.lab.r
        assert all(not host.is_armed or host.disarms or was_kept(r, host) for host in r.hosts.values())


def holds(host: HostState) -> bool:
    """A place in the budget, by the words of the rule."""
    if host.phase in DISTURBED:
        return True
    hurt = host.phase in (HostPhase.FAILED, HostPhase.MISSING, HostPhase.UNKNOWN)
    return hurt and host.was_leased and not host.is_released


def was_kept(r: Rollout, host: HostState) -> bool:
    """After its end a rollout that was not aborted has armed hosts only where it says so."""
    return r.state is not RolloutState.ABORTED or host.phase.is_sent


IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"

TestMachine = pytest.mark.timeout(0 if IS_LONG else 60)(Machine.TestCase)
TestMachine.settings = settings(
    max_examples=3000 if IS_LONG else 250,
    stateful_step_count=80 if IS_LONG else 60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
