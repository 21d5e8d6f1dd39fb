"""The checker of a fleet's story: what is not told, told too late or made up, it notices."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from tests.e2e.story import (
    Began,
    Happened,
    Told,
    at_first_look,
    check_confirmed_and_fallen,
    check_lasting,
    check_nothing_more,
    check_unbroken,
)

BEGAN = Began("1.0", "A")
LOG = [
    Happened(100, "h", "staged", "2.0"),
    Happened(200, "h", "reboot-asked", "locksmithd"),
    Happened(260, "h", "rebooted", "B 2.0"),
    Happened(305, "h", "confirmed", "B 2.0"),
]
NEED = "UPDATE_STATUS_UPDATED_NEED_REBOOT"
STEPS = [
    Told(110, "h", "/new_version", None, "2.0"),
    Told(110, "h", "/operation", "UPDATE_STATUS_IDLE", NEED),
    Told(270, "h", "/identity/boot_id", "x", "y"),
    Told(270, "h", "/os/version_id", "1.0", "2.0"),
    Told(270, "h", "/running", "A", "B"),
    Told(270, "h", "/operation", NEED, "UPDATE_STATUS_IDLE"),
    Told(310, "h", "/slots/b/successful", False, True),
]
FALLEN = [
    Happened(260, "h", "rebooted", "A 1.0"),
    Happened(260, "h", "fell-back", "B 2.0"),
]
FALLEN_STEPS = [
    Told(270, "h", "/identity/boot_id", "x", "y"),
    Told(270, "h", "/attempt/fell_back", False, True),
]


def check(log: list[Happened], steps: list[Told], gap_s: float = 30.0) -> Counter[str]:
    check_confirmed_and_fallen(log, steps, gap_s=gap_s, end=900)
    check_nothing_more(log, steps, BEGAN, slop_s=0.0)
    check_unbroken(steps, BEGAN)
    return check_lasting(log, steps, BEGAN, gap_s=gap_s, end=900)


def test_a_story_told_well_is_good() -> None:
    assert +check(LOG, STEPS) == {"version": 1, "slot": 1, "boot": 1, "staged": 2}
    assert +check(FALLEN, FALLEN_STEPS) == {"version": 1, "slot": 1, "boot": 1, "staged": 1}


@pytest.mark.parametrize(
    "path", ["/new_version", "/operation", "/identity/boot_id", "/os/version_id", "/running"]
)
def test_each_fact_left_out_is_noticed(path: str) -> None:
    with pytest.raises(AssertionError):
        check(LOG, [step for step in STEPS if step.path != path])


@pytest.mark.parametrize("path", ["/identity/boot_id", "/attempt/fell_back"])
def test_a_fallback_left_out_is_noticed(path: str) -> None:
    with pytest.raises(AssertionError):
        check(FALLEN, [step for step in FALLEN_STEPS if step.path != path])


@pytest.mark.parametrize("path", ["/os/version_id", "/running", "/slots/b/successful"])
def test_what_is_told_before_it_happened_is_noticed(path: str) -> None:
    early = [replace(step, at=90) if step.path == path else step for step in STEPS]
    with pytest.raises(AssertionError):
        check(LOG, early)


def test_what_is_told_when_it_was_over_is_noticed() -> None:
    later = [*LOG, Happened(700, "h", "rebooted", "A 1.0"), Happened(700, "h", "fell-back", "B 2.0")]
    late = [replace(step, at=800) if step.path == "/os/version_id" else step for step in STEPS]
    with pytest.raises(AssertionError):
        check(later, late)


@pytest.mark.parametrize(
    "more",
    [
        Told(500, "h", "/os/version_id", "2.0", "3.0"),
        Told(500, "h", "/running", "B", "A"),
        Told(500, "h", "/identity/boot_id", "y", "z"),
        Told(500, "h", "/attempt/fell_back", False, True),
        Told(500, "h", "/slots/a/successful", False, True),
    ],
)
def test_what_never_happened_is_noticed(more: Told) -> None:
    with pytest.raises(AssertionError):
        check(LOG, [*STEPS, more])


def test_a_change_that_does_not_begin_where_the_last_ended_is_noticed() -> None:
    odd = [replace(step, old="0.9") if step.path == "/os/version_id" else step for step in STEPS]
    with pytest.raises(AssertionError):
        check(LOG, odd)


def test_what_lasted_too_short_to_be_seen_need_not_be_told() -> None:
    log = [Happened(100, "h", "staged", "2.0"), Happened(110, "h", "reboot-asked", "locksmithd")]
    assert +check(log, []) == Counter()


def test_what_happened_before_the_first_look_is_where_the_story_begins() -> None:
    assert at_first_look(LOG, BEGAN, 259) == BEGAN
    assert at_first_look(LOG, BEGAN, 260) == Began("2.0", "B")
