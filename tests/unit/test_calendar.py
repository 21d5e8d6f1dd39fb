"""The calendar's data: who may reboot when, in which order, and who does it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.calendar import Calendar, Fit, Seen, Unknown, When, calendar_of
from collectors.facts import Coordinator, CoordinatorState, HostFacts, Operation, UpdateConf
from collectors.fleet_model import Fleet
from collectors.inventory import parse_fleet
from tests.builders import HEALTHY, NOW, UNITS, table, unit

HOSTS = ("db-1", "db-2", "edge-1", "edge-2", "edge-3", "edge-4")
HEAD = """
name = "prod"
[[groups]]
name = "db"
hosts = ["db-[1-2]"]
reboot_deadline = "40m"
[[groups]]
name = "edge"
hosts = ["edge-[1-4]"]
"""
NIGHT = """
[windows.night]
start = "04:00"
length = "30m"
timezone = "Europe/Berlin"
"""
ROLLOUT = """
[rollouts.default]
cohorts = [{ name = "canary", hosts = "edge-1" }, %s]
"""
UP = dict(UNITS) | {"locksmithd.service": unit()}
STAGED = replace(
    HEALTHY, slots=table("2/0/1", "3/1/0"), operation=Operation.NEED_REBOOT, units=UP, conf=UpdateConf()
)


def fleet_of(*parts: str) -> Fleet:
    return parse_fleet("".join((HEAD, *parts)), file="fleet.toml")


def seen(host: str, facts: HostFacts | None = HEALTHY, **changes: Any) -> Seen:
    return replace(Seen(host, facts, NOW, was_asked=True, answers=True, is_stale=False, hold=None), **changes)


def calendar(
    *parts: str,
    hosts: tuple[Seen, ...] | None = None,
    members: Mapping[str, set[str]] | None = None,
    now: datetime = NOW,
    days: int = 7,
) -> Calendar:
    shown = hosts if hosts is not None else tuple(map(seen, HOSTS))
    return calendar_of(fleet_of(*parts), shown, members or {}, now, days)


def in_window(start: str, length: str, **changes: Any) -> HostFacts:
    conf = UpdateConf(reboot_strategy="reboot", window_start=start, window_length=length)
    return replace(STAGED, conf=conf, **changes)


# -- when


def test_a_reboot_that_takes_longer_than_any_opening_fits_never() -> None:
    made = calendar(NIGHT)
    assert len(made.slots) == 8
    assert made.slots[0].is_open
    assert made.slots[0].left_s == 18 * 60
    assert made.slots[0].too_short_for == HOSTS  # 20 minutes, 18 are left
    assert made.slots[1].too_short_for == ("db-1", "db-2")
    assert made.never == ("db-1", "db-2")
    assert made.deadlines_s["db-1"] == 40 * 60


def test_a_held_host_is_named_with_its_reason_and_nowhere_else() -> None:
    made = calendar(NIGHT, hosts=(seen("db-1", hold="ops-1"), seen("edge-1")))
    assert made.held == (("db-1", "ops-1"),)
    assert made.never == ()
    assert all("db-1" not in slot.too_short_for for slot in made.slots)


def test_without_windows_everything_fits() -> None:
    made = calendar()
    assert (made.windows, made.never, len(made.slots)) == ((), (), 1)
    assert made.slots[0].is_open
    assert made.slots[0].left_s is None


def test_windows_that_the_default_rollout_does_not_name_are_not_counted() -> None:
    more = '[windows.noon]\nstart = "12:00"\nlength = "1h"\ntimezone = "UTC"\n'
    made = calendar(NIGHT, more, ROLLOUT % '{ name = "rest", hosts = "rest" }', 'windows = ["noon"]\n')
    assert [window.name for window in made.windows] == ["noon"]
    assert [window.name for window in made.unused] == ["night"]
    assert {name for slot in made.slots for name in slot.opening.names} == {"noon"}


# -- in which order


def turns(cohorts: str, members: dict[str, set[str]]) -> list[tuple[str, int, tuple[str, ...] | None]]:
    made = calendar(ROLLOUT % cohorts, members=members)
    return [(turn.cohort.name, turn.count, turn.hosts) for turn in made.turns]


def test_a_cohort_takes_only_what_none_before_it_took() -> None:
    found = turns(
        '{ name = "edges", hosts = "@edge" }, { name = "rest", hosts = "rest" }',
        {"canary": {"edge-1"}, "edges": {"edge-1", "edge-2", "edge-3", "edge-4"}},
    )
    assert found == [
        ("canary", 1, ("edge-1",)),
        ("edges", 3, ("edge-2", "edge-3", "edge-4")),
        ("rest", 2, ("db-1", "db-2")),
    ]


def test_who_is_in_a_share_is_not_known_before_a_plan_is_made_nor_what_it_leaves() -> None:
    found = turns(
        '{ name = "wave", hosts = "34%" }, { name = "rest", hosts = "rest" }', {"canary": {"edge-1"}}
    )
    assert found == [("canary", 1, ("edge-1",)), ("wave", 2, None), ("rest", 3, None)]


def test_a_share_of_all_that_is_left_is_known() -> None:
    found = turns('{ name = "wave", hosts = 50 }, { name = "rest", hosts = "rest" }', {"canary": {"edge-1"}})
    assert found[1] == ("wave", 5, ("db-1", "db-2", "edge-2", "edge-3", "edge-4"))
    assert found[2] == ("rest", 0, ())


def test_only_selected_hosts_have_a_turn() -> None:
    made = calendar(
        ROLLOUT % '{ name = "rest", hosts = "rest" }', hosts=(seen("db-2"),), members={"canary": {"edge-1"}}
    )
    assert [turn.hosts for turn in made.turns] == [(), ("db-2",)]


@given(
    st.lists(st.sampled_from(('"@edge"', '"@db"', '"50%"', "2", "1")), max_size=4),
    st.sets(st.sampled_from(HOSTS)),
)
def test_each_host_has_at_most_one_turn_and_the_counts_add_up(takes: list[str], shown: set[str]) -> None:
    cohorts = [f'{{ name = "c{number}", hosts = {take} }}' for number, take in enumerate(takes)]
    fleet = fleet_of(ROLLOUT % ", ".join([*cohorts, '{ name = "rest", hosts = "rest" }']))
    groups = {"@edge": set(HOSTS[2:]), "@db": set(HOSTS[:2])}
    members = {f"c{number}": groups.get(take.strip('"'), set()) for number, take in enumerate(takes)}
    hosts = tuple(seen(host) for host in sorted(shown))
    made = calendar_of(fleet, hosts, {"canary": {"edge-1"}} | members, NOW)
    named = [host for turn in made.turns for host in turn.hosts or ()]
    assert len(named) == len(set(named))
    assert sum(turn.count for turn in made.turns) == len(shown)
    assert all(turn.hosts is None or set(turn.hosts) <= shown for turn in made.turns)


# -- by themselves


def alone(facts: HostFacts, *parts: str, now: datetime = NOW, **changes: Any) -> Any:
    (found,) = calendar(*parts, hosts=(seen("edge-1", facts, **changes),), now=now).by_itself
    return found


def test_at_any_moment() -> None:
    assert (alone(STAGED).when, alone(STAGED).fit) == (When.ANY_TIME, Fit.INSIDE)
    assert alone(STAGED, NIGHT).fit is Fit.PARTLY  # open now, and it may as well be later
    assert alone(STAGED, NIGHT, now=NOW + timedelta(hours=1)).fit is Fit.OUTSIDE


def test_it_has_begun() -> None:
    begun = replace(STAGED, coordinator=Coordinator("locksmithd", "reboot", CoordinatorState.REBOOT_PLANNED))
    assert alone(begun).when is When.BEGUN
    assert (alone(begun).begins_at, alone(begun).ends_at) == (None, None)
    assert alone(begun, NIGHT).fit is Fit.INSIDE
    assert alone(begun, NIGHT, now=NOW + timedelta(hours=1)).fit is Fit.OUTSIDE


def test_under_the_clusters_lock() -> None:
    assert alone(replace(STAGED, conf=UpdateConf(reboot_strategy="etcd-lock"))).when is When.LOCK


@pytest.mark.parametrize(
    ("start", "length", "begin_h", "fit"),
    [
        ("04:00", "1h", 4, Fit.OUTSIDE),  # orders: 03:00 to 03:30 UTC
        ("03:00", "30m", 3, Fit.INSIDE),
        ("03:05", "10m", 3, Fit.INSIDE),
        ("02:30", "2h", 2, Fit.PARTLY),
        ("03:29", "1h", 3, Fit.PARTLY),
        ("Tue 03:15", "1m", 3, Fit.INSIDE),
    ],
)
def test_in_a_window_of_its_own(start: str, length: str, begin_h: int, fit: Fit) -> None:
    found = alone(in_window(start, length), NIGHT)
    assert (found.when, found.fit) == (When.WINDOW, fit)
    assert (found.begins_at.day, found.begins_at.hour) == (24, begin_h)


def test_the_window_that_is_open_now_is_told_else_the_next() -> None:
    assert alone(in_window("03:00", "30m")).begins_at == NOW.replace(minute=0)
    assert alone(in_window("03:00", "5m")).begins_at == NOW.replace(day=25, minute=0)
    assert alone(in_window("Mon 23:00", "6h")).ends_at == NOW.replace(hour=5, minute=0)


def test_a_hold_does_not_stop_it_and_old_facts_are_told_as_old() -> None:
    found = alone(STAGED, hold="ops-1", is_stale=True)
    assert (found.hold, found.is_stale) == ("ops-1", True)
    assert not alone(STAGED).is_stale
    assert alone(STAGED, answers=False).is_stale


def test_those_at_any_moment_come_first_then_by_time() -> None:
    hosts = (
        seen("db-1", in_window("05:00", "1h")),
        seen("db-2", in_window("04:00", "1h")),
        seen("edge-1", STAGED),
    )
    assert [item.host for item in calendar(hosts=hosts).by_itself] == ["edge-1", "db-2", "db-1"]


def test_a_host_with_nothing_staged_or_without_locksmithd_is_not_named() -> None:
    quiet = (HEALTHY, replace(HEALTHY, units=UP), replace(STAGED, units=UNITS))
    made = calendar(hosts=tuple(seen(host, facts) for host, facts in zip(HOSTS, quiet, strict=False)))
    assert (made.by_itself, made.not_known) == ((), ())


# -- not known


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"facts": None, "taken_at": None, "was_asked": False, "answers": False}, Unknown.NEVER_ASKED),
        ({"facts": None, "taken_at": None, "answers": False}, Unknown.NEVER_READ),
        ({"is_stale": True}, Unknown.STALE),
        ({"answers": False}, Unknown.SILENT),
        ({"facts": replace(HEALTHY, units={})}, Unknown.UNREAD),
        ({"facts": replace(HEALTHY, units=UP, operation=None)}, Unknown.UNREAD),
        ({"facts": replace(STAGED, operation=Operation.IDLE)}, Unknown.RESET),
        (
            {
                "facts": replace(
                    STAGED,
                    units=dict(UNITS)
                    | {"kubelet.service": unit(), "locksmithd.service": unit("inactive", load="masked")},
                )
            },
            Unknown.CLUSTER,
        ),
    ],
)
def test_why_a_host_is_not_known(changes: dict[str, Any], why: Unknown) -> None:
    made = calendar(hosts=(replace(seen("edge-1"), **changes),))
    assert [(item.host, item.why) for item in made.not_known] == [("edge-1", why)]
    assert made.by_itself == ()
