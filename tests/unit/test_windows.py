"""Windows in which reboots may be issued, on ordinary days and on those on which the clocks are moved."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.windows import Open, Shut, open_at
from collectors.fleet_model import Window

EVERY_DAY = tuple(range(7))


def window(
    start: str = "02:00",
    hours: float = 3,
    *,
    days: tuple[int, ...] = EVERY_DAY,
    zone: str = "Europe/Berlin",
) -> Window:
    return Window("night", days, time.fromisoformat(start), int(hours * 3600), zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_without_a_window_it_is_always_open() -> None:
    found = open_at((), at("2026-11-24T03:12"))
    assert found == Open(None)
    assert found.leaves(1e9, at("2026-11-24T03:12"))


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-24T00:59:59", Shut(at("2026-11-24T01:00"))),
        ("2026-11-24T01:00", Open(at("2026-11-24T04:00"))),
        ("2026-11-24T03:59:59", Open(at("2026-11-24T04:00"))),
        ("2026-11-24T04:00", Shut(at("2026-11-25T01:00"))),
    ],
)
def test_it_opens_at_its_wall_clock_hour_and_shuts_after_its_length(now: str, expected: Open | Shut) -> None:
    assert open_at([window()], at(now)) == expected


def test_it_opens_on_its_days_only_and_stays_open_past_midnight() -> None:
    friday = window("23:00", 4, days=(4,), zone="UTC")
    assert open_at([friday], at("2026-11-27T22:59")) == Shut(at("2026-11-27T23:00"))
    assert open_at([friday], at("2026-11-28T02:59")) == Open(at("2026-11-28T03:00"))
    assert open_at([friday], at("2026-11-28T03:00")) == Shut(at("2026-12-04T23:00"))


def test_the_day_is_that_of_the_zone() -> None:
    tuesday = window("08:00", 1, days=(1,), zone="Pacific/Auckland")
    assert open_at([tuesday], at("2026-11-23T19:30")) == Open(at("2026-11-23T20:00"))


def test_windows_that_touch_or_overlap_are_one() -> None:
    both = [window("02:00", 3, zone="UTC"), window("05:00", 2, zone="UTC")]
    assert open_at(both, at("2026-11-24T04:59")) == Open(at("2026-11-24T07:00"))
    over = [window("02:00", 3, zone="UTC"), window("01:00", 2, zone="UTC")]
    assert open_at(over, at("2026-11-24T01:30")) == Open(at("2026-11-24T05:00"))
    inside = [window("02:00", 6, zone="UTC"), window("03:00", 1, zone="UTC")]
    assert open_at(inside, at("2026-11-24T02:30")) == Open(at("2026-11-24T08:00"))


def test_the_next_of_several_is_told() -> None:
    both = [window("20:00", 1, zone="UTC"), window("06:00", 1, zone="UTC")]
    assert open_at(both, at("2026-11-24T05:00")) == Shut(at("2026-11-24T06:00"))


def test_days_that_follow_without_a_gap_have_no_end() -> None:
    assert open_at([window("00:00", 24, zone="UTC")], at("2026-11-24T12:00")) == Open(None)


def test_a_window_longer_than_a_day() -> None:
    weekend = window("18:00", 60, days=(4,), zone="UTC")
    assert open_at([weekend], at("2026-11-29T23:00")) == Open(at("2026-11-30T06:00"))


def test_a_window_without_days_never_opens() -> None:
    assert open_at([window(days=())], at("2026-11-24T03:00")) == Shut(None)


def test_the_night_the_clocks_skip_an_hour_it_is_open_as_long_as_ever() -> None:
    assert open_at([window("01:00", 3)], at("2026-03-29T00:30")) == Open(at("2026-03-29T03:00"))


def test_a_start_that_the_clocks_skip_opens_all_the_same() -> None:
    assert open_at([window("02:30", 1)], at("2026-03-29T00:00")) == Shut(at("2026-03-29T01:30"))
    assert open_at([window("02:30", 1)], at("2026-03-29T01:30")) == Open(at("2026-03-29T02:30"))


def test_a_start_that_the_clocks_show_twice_opens_once() -> None:
    assert open_at([window("02:30", 0.5)], at("2026-10-25T00:30")) == Open(at("2026-10-25T01:00"))
    assert open_at([window("02:30", 0.5)], at("2026-10-25T01:30")) == Shut(at("2026-10-26T01:30"))


def test_how_much_time_is_left() -> None:
    found = open_at([window(zone="UTC")], at("2026-11-24T04:40"))
    assert isinstance(found, Open)
    assert found.leaves(1200, at("2026-11-24T04:40"))
    assert not found.leaves(1201, at("2026-11-24T04:40"))


WINDOWS = st.lists(
    st.builds(
        Window,
        name=st.just("w"),
        days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
        start=st.times().map(lambda moment: moment.replace(second=0, microsecond=0, tzinfo=None)),
        length_s=st.integers(60, 90_000),
        timezone=st.sampled_from(("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe")),
    ),
    min_size=1,
    max_size=3,
)
MOMENTS = st.floats(0, 2 * 365 * 86400).map(lambda after_s: at("2026-01-01") + timedelta(seconds=after_s))


@given(WINDOWS, MOMENTS)
def test_at_its_end_it_is_shut_and_at_its_opening_open(windows: list[Window], now: datetime) -> None:
    found = open_at(windows, now)
    if isinstance(found, Shut):
        assert found.opens_at is not None
        assert now < found.opens_at <= now + timedelta(days=9)
        assert isinstance(open_at(windows, found.opens_at), Open)
        just_before = found.opens_at - timedelta(microseconds=1)
        assert isinstance(open_at(windows, just_before), Shut)
    elif found.until is not None:
        assert now < found.until
        assert isinstance(open_at(windows, found.until), Shut)
        assert isinstance(open_at(windows, found.until - timedelta(microseconds=1)), Open)
