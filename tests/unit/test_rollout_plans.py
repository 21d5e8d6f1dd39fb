"""Plans that are no plain release, what is not approved, and hosts that take no part or move themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest

from actions.orders import Asked, Verb
from actions.rollout import advance, headline, may_issue, waits
from actions.rollout_desk import begin
from actions.rollout_model import CohortPhase, HostPhase, RolloutState
from actions.rollout_plan import ActionKind, NotAllowed, Plan, RolloutAction, SkipReason
from actions.rollout_requests import why_unapprovable
from actions.rollout_talk import GiveOrder, OrderStage, OrderTold, RequestKind, Seen, Tick
from collectors.fleet_model import OnHalt, SelfUpdate, Source, Window
from tests.unit.rollout_lab import NEW, NO_PLAN, OLD, Lab, again, plan_of

WIDE = replace(NO_PLAN, budget=10)
NIGHT = Window("night", tuple(range(7)), time(2, 0), 3600, "Europe/Berlin")
CHANNEL = RolloutAction(ActionKind.CHANNEL, channel="beta")


def test_a_channel_is_switched_without_staging_or_window() -> None:
    base = replace(WIDE, action=CHANNEL, windows=(NIGHT,))
    lab = Lab(plan_of(1, base=base)).start()
    assert lab.open["c0-0"][1] == Asked(Verb.CHANNEL, channel="beta")
    lab.tell("c0-0", OrderStage.ISSUED)
    assert lab.phase("c0-0") is HostPhase.VERIFYING
    lab.tell("c0-0", OrderStage.DONE, "channel-set")
    assert lab.phase("c0-0") is HostPhase.SETTLING


def test_the_servers_offer_is_staged_without_a_version_and_activated_by_it() -> None:
    lab = Lab(plan_of(1, base=replace(WIDE, source=Source.OFFER))).start()
    assert lab.open["c0-0"][1] == Asked(Verb.STAGE)
    lab.stage("c0-0")
    assert lab.open["c0-0"][1] == Asked(Verb.ACTIVATE, version=NEW)


@pytest.mark.parametrize(
    ("base", "word"),
    [
        (replace(WIDE, action=RolloutAction(ActionKind.EXTENSION)), "extension"),
        (replace(WIDE, action=RolloutAction(ActionKind.RELEASE)), "exact version"),
        (replace(WIDE, action=RolloutAction(ActionKind.CHANNEL)), "name"),
        (replace(WIDE, action=CHANNEL, on_halt=OnHalt.ROLL_BACK), "plan of its own"),
        (replace(WIDE, budget=0), "never ends"),
    ],
)
def test_a_plan_that_no_rollout_could_keep_is_not_approved(base: Plan, word: str) -> None:
    with pytest.raises(NotAllowed, match=word):
        Lab(plan_of(1, base=base)).start()


def moving(**more: object) -> Plan:
    plan = plan_of(1, 1, base=replace(WIDE, **more))  # type: ignore[arg-type]
    return replace(plan, hosts=(plan.hosts[0], replace(plan.hosts[1], moves_itself=True)))


def test_a_host_that_would_move_by_itself_is_refused_accepted_or_quieted() -> None:
    assert "c1-0 would update before" in str(why_unapprovable(moving()))
    assert "needs a reason" in str(why_unapprovable(moving(self_update=SelfUpdate.ACCEPT)))
    accepted = moving(self_update=SelfUpdate.ACCEPT, self_update_reason="lab hosts")
    assert why_unapprovable(accepted) is None
    plan = moving()
    quiet = replace(plan, hosts=(plan.hosts[0], replace(plan.hosts[1], quiets=True)))
    lab = Lab(quiet).start()
    assert {host: asked for host, (_, asked) in lab.open.items()} == {"c1-0": Asked(Verb.UPDATES, mode="off")}
    assert "c0-0" not in lab.open
    assert "updates of 1 host " in waits(lab.plan, lab.r, "c0-0", lab.now)
    lab.tell("c1-0", OrderStage.DONE, "updates-set")
    lab.pass_cohort(0)
    lab.pass_cohort(1)
    assert lab.r.state is RolloutState.COMPLETED
    assert lab.open["c1-0"][1] == Asked(Verb.UPDATES, mode="on")


def test_a_plan_that_changed_is_not_carried_out() -> None:
    lab = Lab(plan_of(1, base=WIDE))
    with pytest.raises(NotAllowed, match="plan anew"):
        advance(replace(lab.plan, snapshot="s-2"), lab.r, Tick(), lab.now)
    lab.start()
    with pytest.raises(NotAllowed, match="approve it anew"):
        advance(replace(lab.plan, budget=9), lab.r, Tick(), lab.now)
    with pytest.raises(NotAllowed, match="not of"):
        may_issue(replace(lab.plan, id="r-2"), lab.r, "c0-0", lab.now)


# -- hosts that take no part, or moved by themselves ---------------------------------------------------


def test_hosts_that_the_plan_leaves_out_are_skipped() -> None:
    plan = plan_of(2, base=WIDE)
    left_out = replace(plan.hosts[1], skipped=SkipReason.PINNED)
    lab = Lab(replace(plan, hosts=(plan.hosts[0], left_out))).start()
    assert lab.host("c0-1").skipped is SkipReason.PINNED
    lab.pass_cohort(0)
    assert lab.r.state is RolloutState.COMPLETED
    assert "1 of 2 done, 1 skipped" in headline(lab.plan, lab.r, lab.now)


def test_more_than_a_tenth_unreachable_waits_for_a_person() -> None:
    lab = Lab(plan_of(9, base=WIDE)).start()
    lab.tell("c0-8", OrderStage.REFUSED, "unreachable")
    assert lab.host("c0-8").skipped is SkipReason.UNREACHABLE
    lab.pass_cohort(0)
    assert lab.cohort(0) is CohortPhase.WAITING_GATE
    lab.ask(RequestKind.PROMOTE)
    assert lab.r.state is RolloutState.COMPLETED


@pytest.mark.parametrize("version", [NEW, "4600.0.0"])
def test_a_host_found_with_another_version_before_its_turn_is_an_exception(version: str) -> None:
    lab = Lab(plan_of(1, 1, base=WIDE)).start()
    lab.see("c1-0", version=version)
    assert lab.phase("c1-0") is HostPhase.EXCEPTION
    lab.pass_cohort(0)
    lab.tick()
    assert lab.r.state is RolloutState.COMPLETED_WITH_EXCEPTIONS


def test_already_is_an_exception_unless_the_plan_found_it_so() -> None:
    plan = plan_of(2, base=WIDE)
    there = replace(plan.hosts[1], running_version=NEW)
    lab = Lab(replace(plan, hosts=(plan.hosts[0], there))).start()
    lab.tell("c0-0", OrderStage.ALREADY, "already-so")
    lab.tell("c0-1", OrderStage.ALREADY, "already-so")
    assert lab.phase("c0-0") is HostPhase.EXCEPTION
    assert lab.host("c0-1").skipped is SkipReason.ALREADY_THERE


def test_a_staged_host_that_somebody_rebooted_is_an_exception() -> None:
    lab = Lab(plan_of(1, base=WIDE)).start()
    lab.stage("c0-0")
    lab.tell("c0-0", OrderStage.ALREADY, "already-so")
    assert lab.phase("c0-0") is HostPhase.EXCEPTION


# -- what comes over the wire --------------------------------------------------------------------------


def test_state_and_plan_survive_json() -> None:
    lab = Lab(plan_of(1, 1, base=WIDE)).start()
    lab.stage("c0-0")
    lab.send("c0-0")
    assert again(lab.r) == lab.r
    assert isinstance(lab.give(Tick()), tuple)
    assert begin(lab.plan, lab.now).state is RolloutState.DRAFT


def test_a_stranger_is_not_allowed() -> None:
    lab = Lab(plan_of(1, base=WIDE)).start()
    for news in (Seen("x", True), OrderTold("x", "o", Verb.STAGE, OrderStage.DONE)):
        with pytest.raises(NotAllowed, match="x: no host"):
            advance(lab.plan, lab.r, news, lab.now)


def test_an_order_is_wanted_once() -> None:
    lab = Lab(plan_of(1, base=WIDE)).start()
    again_wanted = [intent for intent in lab.tick(30) if isinstance(intent, GiveOrder)]
    assert again_wanted == []
    assert lab.host("c0-0").phase is HostPhase.PREFLIGHT
    assert OLD == lab.plan.hosts[0].running_version
