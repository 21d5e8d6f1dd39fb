"""The damage of a bad release: our engine over three seeds, and the others' rules on small examples."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from benchmarks import damage
from benchmarks.damage import BREAK, RELEASES, REVERT, VANISH, Fleet

HOSTS, SEEDS, MOST = 200, 3, 5


@pytest.mark.timeout(60)
@pytest.mark.parametrize("release", RELEASES)
def test_ours_halts_with_a_handful_of_hosts_harmed(release: str) -> None:
    """`ours` raises where it does not halt, or a host was rebooted twice, after the halt, or left armed."""
    found = [damage.ours(HOSTS, release, seed) for seed in range(SEEDS)]
    assert all(1 <= harmed <= MOST for harmed in found), found


def fleet(hosts: int, bad: Collection[int], release: str) -> Fleet:
    """Hosts that come along by number, each ten minutes on its way."""
    return Fleet(tuple(range(hosts)), frozenset(bad), release, (10.0,) * hosts)


def test_the_same_seed_is_the_same_fleet() -> None:
    assert damage.fleet_of(50, REVERT, 7) == damage.fleet_of(50, REVERT, 7)
    assert damage.fleet_of(50, REVERT, 7) != damage.fleet_of(50, REVERT, 8)
    assert len(damage.fleet_of(50, VANISH, 1).bad) == 15
    assert len(damage.fleet_of(50, BREAK, 1).bad) == 50


def test_nebraska_sends_the_first_host_alone() -> None:
    assert damage.nebraska(fleet(20, range(20), REVERT)) == 1
    assert damage.nebraska(fleet(20, range(20), VANISH)) == 1


def test_nebraska_counts_only_what_timed_out_once_the_first_is_well() -> None:
    assert damage.nebraska(fleet(20, range(1, 20), REVERT)) == 19
    # four time out before it stops; one that timed out is not in progress any more, so three go after them
    assert damage.nebraska(fleet(20, range(1, 20), VANISH), most=4) == 7


def test_hawkbit_ends_with_the_group_that_failed() -> None:
    assert damage.hawkbit(fleet(20, (0, 4, 8, 12, 16), REVERT)) == 1
    assert damage.hawkbit(fleet(20, range(4, 20), REVERT)) == 4


def test_hawkbit_goes_on_while_enough_of_a_group_succeed() -> None:
    assert damage.hawkbit(fleet(20, (0, 4, 8, 12, 16), VANISH)) == 5
    assert damage.hawkbit(fleet(20, (0, 1, 2, 19), VANISH)) == 3


def test_ssm_stops_with_one_error_more_than_it_may_have() -> None:
    assert damage.ssm(fleet(20, range(20), REVERT), at_once=1, max_errors=2) == 3
    assert damage.ssm(fleet(20, range(20), REVERT), at_once=4, max_errors=0) == 4


def test_ssm_fills_the_places_of_those_that_ended_before_a_silent_host_times_out() -> None:
    assert damage.ssm(fleet(20, (0, 19), VANISH), at_once=2, max_errors=0) == 1
    assert damage.ssm(fleet(5, (0, 4), VANISH), at_once=2, max_errors=0) == 2


@pytest.mark.parametrize("rule", [rule for _, rule in damage.RULES], ids=[name for name, _ in damage.RULES])
def test_what_breaks_after_it_said_that_all_is_well_reaches_every_host_of_the_others(
    rule: Callable[[Fleet], int],
) -> None:
    assert rule(fleet(30, range(30), BREAK)) == 30
