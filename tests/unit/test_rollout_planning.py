"""A plan from what is wanted and what is stored: each rule by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from actions.orders import Force
from actions.rollout_plan import ActionKind, Plan, RolloutAction, SkipReason
from actions.rollout_planning import Planned, resolve_target
from actions.rollout_planning_hosts import Stored
from actions.rollout_planning_terms import Names, Overrides, with_overrides
from collectors.errors import ConfigError
from collectors.facts import Attempt, ExtensionMeta, Extensions, Operation
from collectors.fleet_model import (
    Gate,
    GateKind,
    OnHalt,
    SelfUpdate,
    WantedUpdates,
)
from collectors.memory import Memory, Trouble
from tests.builders import HEALTHY, NOW, UNITS, facts, table, unit
from tests.unit.rollout_planning_lab import (
    FEED,
    NEW,
    NIGHT,
    OFF,
    OLD,
    TEMPLATE,
    codes,
    fleet_host,
    loud,
    planned,
    share,
    skip_of,
    stored,
    warned,
)

# -- the whole -------------------------------------------------------------------------------------------


def test_a_plan_of_a_healthy_fleet_has_no_problem() -> None:
    made = planned()
    assert made.problems == ()
    assert [len(hosts) for hosts in made.plan.by_cohort] == [2, 4, 2]
    assert {host.name for host in made.plan.by_cohort[0]} == {"h-1", "h-2"}
    assert made.plan.budget == 1
    assert made.preview[0].moves[0] == ("OS", OLD, NEW)
    assert made.plan.made_at == NOW


def test_the_digest_is_the_same_after_it_was_stored() -> None:
    plan = planned(windows=(NIGHT,), forced={Force.HOLD: "ops-1"}).plan
    again = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    assert again == plan
    assert again.digest == plan.digest


def test_the_budget_is_of_the_hosts_that_take_part() -> None:
    template = replace(TEMPLATE, budget=share(50, percent=True))
    assert planned(template=template).plan.budget == 4
    already = [stored(f"h-{number}", version=NEW) for number in range(5, 9)]
    assert planned(*already, template=template).plan.budget == 2


# -- who takes no part -----------------------------------------------------------------------------------


def test_whoever_runs_it_is_there_already() -> None:
    assert skip_of(planned(stored("h-5", version=NEW)), "h-5") is SkipReason.ALREADY_THERE


def test_a_held_host_is_left_out_unless_it_is_forced() -> None:
    held = stored("h-5", hold="ops-1432")
    made = planned(held)
    assert skip_of(made, "h-5") is SkipReason.HELD
    assert next(host for host in made.preview if host.name == "h-5").why == "ops-1432"
    assert skip_of(planned(held, forced={Force.HOLD: "agreed"}), "h-5") is None
    channel = RolloutAction(ActionKind.CHANNEL, channel="beta")
    assert skip_of(planned(held, action=channel), "h-5") is None


@pytest.mark.parametrize(("pin", "is_out"), [("4593.2.4", True), (NEW, False), ("4593.2.9", False)])
def test_a_pin_on_the_way_holds_nobody_back(pin: str, is_out: bool) -> None:
    assert skip_of(planned(stored("h-5", pin=pin)), "h-5") == (SkipReason.PINNED if is_out else None)


def test_a_quarantined_version_is_not_planned_again() -> None:
    assert skip_of(planned(stored("h-5", quarantine=(NEW,))), "h-5") is SkipReason.QUARANTINED
    assert skip_of(planned(stored("h-5", quarantine=("4593.2.4",))), "h-5") is None
    memory = Memory("m", "i", NOW, reverted=Trouble(NOW, NEW))
    assert skip_of(planned(stored("h-5", memory=memory)), "h-5") is SkipReason.QUARANTINED


def test_an_extension_that_would_be_lost_leaves_its_host_out() -> None:
    bound = Extensions(merged=("tools",), meta={"tools": ExtensionMeta("flatcar", OLD)})
    told = facts(os=replace(HEALTHY.os, version=OLD, version_id=OLD), conf=OFF, extensions=bound)
    assert skip_of(planned(stored("h-5", facts=told)), "h-5") is SkipReason.INCOMPATIBLE


def test_a_channel_that_is_followed_already_is_left_out() -> None:
    made = planned(action=RolloutAction(ActionKind.CHANNEL, channel="stable"))
    assert {host.skipped for host in made.plan.hosts} == {SkipReason.ALREADY_THERE}
    assert codes(made) == {"nothing-to-do"}


def test_a_roll_back_past_a_pin_is_left_out() -> None:
    back = RolloutAction(ActionKind.ROLL_BACK, version="4593.2.2")
    assert skip_of(planned(stored("h-5", pin=OLD), action=back), "h-5") is SkipReason.PINNED


# -- who moves by itself ---------------------------------------------------------------------------------


def test_updates_that_are_on_go_off_first_where_nobody_wants_them_on() -> None:
    made = planned(loud("h-5"), loud("h-6", WantedUpdates.MANAGED))
    assert made.problems == ()
    assert {host.name for host in made.plan.hosts if host.quiets} == {"h-5", "h-6"}
    assert all(host.moves_itself == host.quiets for host in made.plan.hosts)


def test_a_host_that_is_to_update_itself_is_a_problem_until_somebody_says_how() -> None:
    own = loud("h-5", WantedUpdates.SELF)
    made = planned(own)
    assert codes(made) == {"updates-itself"}
    (problem,) = made.problems
    assert problem.hosts == ("h-5",)
    assert "--quiet" in problem.remedy
    assert "--accept-self-update" in problem.remedy
    assert planned(own, quiet=True).problems == ()
    accepting = replace(TEMPLATE, self_update=SelfUpdate.ACCEPT, self_update_reason="lab")
    accepted = planned(own, template=accepting)
    assert accepted.problems == ()
    assert "self-update-accepted" in warned(accepted)
    assert not accepted.plan.by_name["h-5"].quiets


def test_no_quiet_leaves_the_problem_with_everybody() -> None:
    assert codes(planned(loud("h-5"), quiet=False)) == {"updates-itself"}


@pytest.mark.parametrize("engine", [unit("inactive"), unit(load="masked")])
def test_an_updater_that_does_not_run_fetches_nothing(engine: Any) -> None:
    units = {**UNITS, "update-engine.service": engine}
    assert not planned(loud("h-5", units=units)).plan.by_name["h-5"].moves_itself


def test_what_may_reboot_into_what_is_staged_is_not_helped_by_quiet() -> None:
    armed = loud(
        "h-5",
        operation=Operation.NEED_REBOOT,
        new_version=NEW,
        slots=table("1/0/1", "2/1/0"),
        units={**UNITS, "locksmithd.service": unit()},
    )
    made = planned(armed, quiet=True)
    assert codes(made) == {"reboots-itself"}
    assert not made.plan.by_name["h-5"].quiets
    assert "staged-already" in warned(made)


def test_who_is_left_out_has_no_turn_to_be_early_for() -> None:
    own = replace(loud("h-5", WantedUpdates.SELF), hold="ops-1432")
    made = planned(own)
    assert made.problems == ()
    assert "left-out-updates" in warned(made)


# -- problems --------------------------------------------------------------------------------------------


def test_a_host_that_was_not_asked_of_late_is_named() -> None:
    made = planned(stored("h-5", is_asked_lately=False))
    assert codes(made) == {"not-asked"}
    assert made.problems[0].hosts == ("h-5",)


def test_a_silent_host_is_only_told() -> None:
    made = planned(stored("h-5", answers=False))
    assert made.problems == ()
    assert "silent" in warned(made)
    never = Stored(fleet_host("h-5"), is_asked_lately=True)
    assert "never-read" in warned(planned(never))


def test_a_canary_without_hosts_is_a_problem_and_one_that_is_there_already_is_not() -> None:
    held = [stored(name, hold="x") for name in ("h-1", "h-2")]
    assert codes(planned(*held)) == {"canary-empty"}
    there = [stored(name, version=NEW) for name in ("h-1", "h-2")]
    made = planned(*there)
    assert made.problems == ()
    assert "canary-done" in warned(made)
    nobody = {"matches": {"@canary": frozenset[str]()}}
    assert codes(planned(known=nobody)) == {"canary-empty"}


def test_a_prometheus_gate_needs_its_url() -> None:
    gated = replace(TEMPLATE, gates=(Gate("p99", GateKind.PROMETHEUS, "canary", query="up"),))
    assert codes(planned(template=gated)) == {"gate-without-url"}
    names = Names((), (), ())
    typed = with_overrides(gated, Overrides(prometheus_url="http://prom.example.net"), names)
    assert planned(template=typed).problems == ()
    assert typed.gates[0].url == "http://prom.example.net"


def test_a_window_without_room_for_a_reboot_is_a_problem() -> None:
    short = replace(NIGHT, length_s=600)
    assert codes(planned(windows=(short,))) == {"window-too-short"}
    assert planned(windows=(short,), forced={Force.WINDOW: "now"}).problems == ()


def test_what_no_rollout_could_keep_is_a_problem() -> None:
    template = replace(TEMPLATE, on_halt=OnHalt.ROLL_BACK)
    made = planned(template=template, action=RolloutAction(ActionKind.CHANNEL, channel="beta"))
    assert codes(made) == {"unapprovable"}


# -- what is told beside it --------------------------------------------------------------------------------


def notes_of(made: Planned, name: str) -> set[str]:
    return {note.code for host in made.preview if host.name == name for note in host.notes}


def test_what_is_odd_about_a_host_is_told() -> None:
    newer = stored("h-3", version="4600.2.0")
    hop = stored("h-4", version="3033.2.4")
    cgroup = stored("h-5", facts=facts(conf=OFF, attempt=Attempt(detail="cgroupv1 is in use")))
    cgroup = replace(cgroup, facts=replace(cgroup.facts or HEALTHY, os=replace(HEALTHY.os, version_id=OLD)))
    kured = facts(conf=OFF, reboot_pods=("kube-system/kured-x7k2p",))
    owned = stored("h-6", facts=replace(kured, os=replace(HEALTHY.os, version_id=OLD)))
    lts = stored("h-7", version="4081.3.6")
    beta = stored("h-8", wants={"channel": "beta"})
    made = planned(newer, hop, cgroup, owned, lts, beta)
    assert "downgrade" in notes_of(made, "h-3")
    assert "hop-needed" in notes_of(made, "h-4")
    assert "cgroup-v1" in notes_of(made, "h-5")
    assert "owner-kured" in notes_of(made, "h-6")
    assert "lts-hop" in notes_of(made, "h-7")
    assert "other-channel" in notes_of(made, "h-8")
    assert notes_of(made, "h-1") == set()


def test_an_attempt_that_failed_before_is_told_until_somebody_took_note() -> None:
    failed = Memory("m", "i", NOW, failed=Trouble(NOW, NEW, 9, "x", "no space"))
    assert "failed-before" in notes_of(planned(stored("h-5", memory=failed)), "h-5")
    noted = replace(failed, failed=Trouble(NOW, NEW, 9, "x", "no space", acknowledged=True))
    assert "failed-before" not in notes_of(planned(stored("h-5", memory=noted)), "h-5")


def test_a_version_that_the_feed_does_not_know_is_told() -> None:
    made = planned(action=RolloutAction(ActionKind.RELEASE, version="4593.2.77"))
    assert "not-in-feed" in warned(made)
    assert made.problems == ()


def test_a_channel_means_its_newest_release_now() -> None:
    assert resolve_target("stable", FEED) == NEW
    assert resolve_target("4593.2.4", FEED) == "4593.2.4"
    for word in ("stabel", "4593.2", "beta", "4593.2.5+x"):
        with pytest.raises(ConfigError, match="--to"):
            resolve_target(word, FEED)
