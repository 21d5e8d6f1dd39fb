"""Cohorts of a plan, and what is typed for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.rollout_planning_cohorts import take
from actions.rollout_planning_terms import Names, Overrides, built_in, split_words, with_overrides
from collectors.errors import ConfigError
from collectors.fleet_model import (
    Cohort,
    Gate,
    GateKind,
    RolloutTemplate,
    Share,
    TakeKind,
)
from tests.unit.rollout_planning_lab import (
    CANARY,
    REST,
    TEMPLATE,
    share,
)

# -- cohorts -----------------------------------------------------------------------------------------------

NAMES = st.sets(st.from_regex(r"[a-z]{1,4}-[0-9]{1,2}", fullmatch=True), min_size=1, max_size=40)
SHARES = st.builds(Share, st.integers(1, 100), is_percent=st.booleans())


@st.composite
def takings(
    draw: st.DrawFn,
) -> tuple[list[Cohort], set[str], set[str], frozenset[str], dict[str, tuple[str]]]:
    hosts = draw(NAMES)
    part = {name for name in sorted(hosts) if draw(st.booleans())}
    first = frozenset(name for name in sorted(hosts) if draw(st.booleans()))
    cohorts = [CANARY]
    for number, size in enumerate(draw(st.lists(SHARES, max_size=4))):
        cohorts.append(Cohort(f"wave-{number}", TakeKind.SHARE, None, size, 0, 0))
    if draw(st.booleans()):
        cohorts.append(REST)
    return cohorts, hosts, part, first, {name: (draw(st.sampled_from("abc")),) for name in sorted(hosts)}


@given(takings())
def test_every_host_is_in_one_cohort_or_in_none(given: Any) -> None:
    cohorts, hosts, part, first, zones = given
    made, left = take("r-1", cohorts, hosts, part, {"@canary": first}, zones)
    assert Counter(name for own in made for name in own) + Counter(left) == Counter(hosts)
    assert set(made[0]) == first & hosts
    assert not left or cohorts[-1].kind is not TakeKind.REST
    assert (made, left) == take("r-1", cohorts, sorted(hosts), part, {"@canary": first}, zones)


@given(takings())
def test_a_share_is_of_those_that_take_part_rounded_down_and_at_least_one(given: Any) -> None:
    cohorts, hosts, part, first, zones = given
    made, _ = take("r-1", cohorts, hosts, part, {"@canary": first}, zones)
    free = part - first
    for cohort, own in zip(cohorts[1:], made[1:], strict=True):
        if cohort.share is not None:
            size = cohort.share.number
            wanted = max(1, len(part) * size // 100) if cohort.share.is_percent else size
            assert len(own) == min(wanted, len(free))
            assert set(own) <= free
            free -= set(own)


@given(takings())
def test_each_value_has_its_turn_before_one_has_it_twice_more(given: Any) -> None:
    cohorts, hosts, part, first, zones = given
    made, _ = take("r-1", cohorts, hosts, part, {"@canary": first}, zones)
    for own in made:
        whole = Counter(zones[name] for name in own)
        for end in range(1, len(own) + 1):
            seen = Counter(zones[name] for name in own[:end])
            most = max(seen.values())
            assert all(seen[zone] >= min(most - 1, whole[zone]) for zone in whole)


def test_another_plan_has_other_canaries() -> None:
    hosts = {f"h-{number}" for number in range(50)}
    one = Cohort("canary", TakeKind.SHARE, None, share(5), 0, 0)
    chosen = {tuple(take(f"r-{number}", [one], hosts, hosts, {}, {})[0][0]) for number in range(5)}
    assert len(chosen) == 5


# -- what is typed ---------------------------------------------------------------------------------------

KNOWN = Names(("edge", "db"), ("zone",), ("night",))


def typed(**overrides: Any) -> RolloutTemplate:
    return with_overrides(TEMPLATE, Overrides(**overrides), KNOWN)


def test_cohorts_are_typed_as_words() -> None:
    made = typed(cohorts=("canary", "edge", "two=3", "10%", "label.zone:a", "rest"))
    assert [cohort.name for cohort in made.cohorts] == ["canary", "edge", "two", "wave-3", "wave-4", "rest"]
    assert made.cohorts[0] == CANARY
    assert made.cohorts[1].selection == "@edge"
    assert made.cohorts[2].share == share(3)
    assert made.cohorts[4].selection == "label.zone:a"
    assert [cohort.soak_s for cohort in made.cohorts] == [86400, 3600, 3600, 3600, 3600, 0]


def test_soaks_and_tolerance_are_laid_over_the_cohorts() -> None:
    made = typed(soak_s=(60, 30), tolerance=7)
    assert [cohort.soak_s for cohort in made.cohorts] == [60, 30, 30]
    assert [cohort.tolerance for cohort in made.cohorts] == [0, 7, 7]
    assert made.tolerance == 7


@pytest.mark.parametrize(
    ("overrides", "place"),
    [
        ({"cohorts": ("rest", "5")}, "--cohorts"),
        ({"cohorts": ("@none", "rest")}, "--cohorts"),
        ({"cohorts": ("edge", "edge")}, "--cohorts"),
        ({"cohorts": ()}, "--cohorts"),
        ({"cohorts": ("0", "rest")}, "--cohorts"),
        ({"soak_s": (1, 2, 3, 4)}, "--soak"),
        ({"budget": "200%"}, "--budget"),
        ({"budget": "many"}, "--budget"),
        ({"windows": ("nihgt",)}, "--windows"),
        ({"per_label": (("zoen", 1),)}, "--per-label"),
        ({"per_label": (("zone", 0),)}, "--per-label"),
    ],
)
def test_what_cannot_be_meant_names_its_option(overrides: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigError) as raised:
        typed(**overrides)
    assert raised.value.file == place


def test_a_gate_of_a_cohort_that_is_gone_is_said() -> None:
    gated = replace(TEMPLATE, gates=(Gate("ok", GateKind.PERSON, "canary"),))
    with pytest.raises(ConfigError, match="gate ok"):
        with_overrides(gated, Overrides(cohorts=("5", "rest")[1:]), KNOWN)


def test_commas_in_brackets_belong_to_a_node_set() -> None:
    assert split_words("a-[1,3],10%, rest ,") == ("a-[1,3]", "10%", "rest")
    assert [cohort.name for cohort in built_in().cohorts] == ["canary", "wave-1", "rest"]
