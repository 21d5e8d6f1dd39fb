"""How long a plan takes, what it was made from, and plans behind canaries."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any

import pytest

from actions.rollout_planning import Planned
from actions.rollout_planning_follow import Ran, follow_problem
from actions.rollout_planning_hosts import Stored
from actions.rollout_planning_inputs import changes, plan_changes
from actions.rollout_planning_time import Durations
from collectors.facts import UpdateConf
from collectors.fleet_model import (
    Follow,
    Gate,
    GateKind,
    TakeKind,
)
from tests.builders import HEALTHY, NOW, UNITS, facts, unit
from tests.unit.rollout_planning_lab import (
    CANARY,
    NEW,
    NIGHT,
    OLD,
    REST,
    TEMPLATE,
    WAVE,
    codes,
    loud,
    planned,
    share,
    stored,
)

# -- how long --------------------------------------------------------------------------------------------


def test_the_fleets_own_times_count_once_there_are_some() -> None:
    few = planned(known={"durations": Durations((100.0,), (50.0,))}).estimate
    own = planned(known={"durations": Durations((100.0,) * 5, (50.0,) * 5)}).estimate
    assert few is not None
    assert own is not None
    assert (few.is_seen, own.is_seen) == (False, True)
    assert (own.stage_s, own.turn_s) == (100.0, 50.0)
    # canary: staged, 2 turns, a day; wave-1: staged, 4 turns, 2 h; rest: staged, 2 turns
    assert own.total_s == 3 * 100 + 8 * (50 + 600) + 86400 + 7200


def test_the_first_cohort_goes_1_2_4_and_labels_limit_the_others() -> None:
    all_first = replace(
        TEMPLATE, cohorts=(replace(CANARY, kind=TakeKind.REST, selection=None),), budget=share(8)
    )
    made = planned(template=all_first, hosts=7)
    assert made.estimate is not None
    assert made.estimate.cohorts[0].at_once == 4
    labels = replace(TEMPLATE, budget=share(8), per_label={"zone": 1})
    limited = planned(template=labels, hosts=9).estimate
    assert limited is not None
    assert limited.cohorts[1].at_once < 4


def test_reboots_wait_for_their_window() -> None:
    guess = planned(windows=(NIGHT,)).estimate
    assert guess is not None
    assert guess.cohorts[0].window == ("night",)
    for told in guess.cohorts:
        begins = told.begins_at.astimezone(UTC)
        assert begins.weekday() in NIGHT.days
        assert 2 <= begins.hour < 5
    assert guess.ends_at >= NOW + timedelta(days=1)


def test_what_takes_years_is_told_as_that_and_is_no_window_too_short() -> None:
    narrow = replace(NIGHT, days=(1,), length_s=1800)
    made = planned(template=replace(TEMPLATE, settle_s=3600, budget=share(1)), windows=(narrow,), hosts=70)
    assert made.problems == ()
    assert made.estimate is not None
    assert made.estimate.is_cut
    assert len(made.estimate.cohorts) < 3


# -- the inputs ------------------------------------------------------------------------------------------


def test_the_same_inputs_have_the_same_digest_and_no_changes() -> None:
    one, two = planned(), planned()
    assert one.plan.snapshot == two.plan.snapshot
    assert changes(one.inputs, two.inputs) == []
    assert plan_changes(one.plan, two.plan) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (stored("h-5", version="4593.2.4"), "h-5: version 4593.2.4, was 4593.2.3"),
        (stored("h-5", hold="ops"), "h-5: hold ops, was none"),
        (stored("h-5", pin=NEW), "h-5: pin 4593.2.5, was none"),
        (stored("h-5", quarantine=(NEW,)), "h-5: quarantine 4593.2.5, was none"),
        (loud("h-5"), "h-5: machine id"),
        (stored("h-5", wants={"reboot_deadline_s": 60}), "h-5: reboot_deadline 60, was 1200"),
    ],
)
def test_what_changed_is_told_by_host(changed: Stored, words: str) -> None:
    before, after = planned(), planned(changed)
    assert before.plan.snapshot != after.plan.snapshot
    assert any(line.startswith(words) for line in changes(before.inputs, after.inputs))


def test_a_host_a_cohort_or_a_template_that_changed_is_told() -> None:
    before = planned()
    assert changes(before.inputs, planned(hosts=7).inputs)[0].startswith("h-8: it is no host")
    other = {"matches": {"@canary": frozenset(("h-1",))}}
    assert changes(before.inputs, planned(known=other).inputs) == ["@canary means other hosts: h-2"]
    settled = planned(template=replace(TEMPLATE, settle_s=1))
    assert changes(before.inputs, settled.inputs) == ["the fleet file's template says otherwise: settle_s"]
    assert changes(before.inputs, planned(windows=(NIGHT,)).inputs) == [
        "a window of the fleet file is another"
    ]


def test_what_the_inputs_do_not_name_is_told_by_the_plan() -> None:
    quiet = facts(
        os=replace(HEALTHY.os, version_id=OLD), units={**UNITS, "update-engine.service": unit("failed")}
    )
    was, now = planned(stored("h-5", facts=quiet)), planned(loud("h-5"))
    assert changes(was.inputs, now.inputs) == []
    assert plan_changes(was.plan, now.plan) == ["h-5: it may move by itself now"]


# -- follow ----------------------------------------------------------------------------------------------

FOLLOWS = replace(TEMPLATE, follow=Follow("beta", 14), gates=(Gate("ok", GateKind.PERSON, "canary"),))


def canary(name: str, **changed: Any) -> Stored:
    return stored(name, facts=facts(conf=UpdateConf(server="disabled", group="beta")), **changed)


def follow(*looks: Ran, **changed: Any) -> Planned:
    canaries = (canary("c-1"), canary("c-2", **changed))
    known = {"canaries": canaries, "looks": looks}
    return planned(known=known, template=FOLLOWS, follows=True)


def ran(host: str, days_ago: float, version: str | None = "4593.1.0") -> Ran:
    return Ran(host, NOW - timedelta(days=days_ago), version)


def test_a_major_that_soaked_long_enough_goes_on() -> None:
    made = follow(ran("c-1", 20), ran("c-2", 15))
    assert made.problems == ()
    assert [cohort.name for cohort in made.plan.cohorts] == ["wave-1", "rest"]
    assert made.plan.gates[0].cohort == "wave-1"
    assert "c-1" not in made.plan.by_name


def test_days_in_which_another_or_no_version_was_known_do_not_count() -> None:
    left = ran("c-2", 8, "4628.1.0")
    made = follow(ran("c-1", 20), ran("c-2", 20), left)
    assert codes(made) == {"follow-too-early"}
    assert "2.0 days are left on c-2" in made.problems[0].text
    unseen = follow(ran("c-1", 20), ran("c-2", 20), ran("c-2", 10, None), ran("c-2", 3))
    assert "1.0 days are left" in unseen.problems[0].text


def test_canaries_that_went_back_or_follow_another_channel_stop_it() -> None:
    looks = (ran("c-1", 20), ran("c-2", 20))
    assert codes(follow(*looks, quarantine=("4593.1.0",))) == {"follow-went-back"}
    wrong = planned(known={"canaries": (stored("c-1"),), "looks": looks}, template=FOLLOWS, follows=True)
    assert codes(wrong) == {"follow-channel"}
    assert codes(planned(template=FOLLOWS, follows=True)) == {"follow-no-canaries"}


def test_a_template_that_cannot_be_followed_says_why() -> None:
    assert follow_problem(FOLLOWS) is None
    assert "follow" in (follow_problem(TEMPLATE) or "")
    assert "name its hosts" in (follow_problem(replace(FOLLOWS, cohorts=(WAVE, REST))) or "")
    assert "behind" in (follow_problem(replace(FOLLOWS, cohorts=(CANARY,))) or "")
