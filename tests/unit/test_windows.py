"""Windows in which reboots may be issued, on ordinary days and on those on which the clocks are moved."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

import actions.wall_clock
from actions.looking import Basis
from actions.wall_clock import WallClock
from actions.windows import Open, Opening, Shut, open_at, openings, reboot_windows
from collectors.fleet_model import Window
from collectors.inventory import parse_fleet

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


def test_so_much_time_is_left_to_the_last_moment() -> None:
    now = at("2026-11-24T04:40")
    assert Open(at("2026-11-24T05:00")).leaves(1200, now)
    assert not Open(at("2026-11-24T05:00")).leaves(1200.000001, now)
    assert not Open(at("2026-11-24T05:00")).leaves(1200, now + timedelta(microseconds=1))
    assert Open(at("2026-11-24T05:00")).leaves(0, at("2026-11-24T05:00"))


# -- the days ahead


def spans(windows: list[Window], now: str, days: int = 7) -> list[tuple[str, str]]:
    """Openings, in UTC; `-` for none."""
    found = openings(windows, at(now), days)
    return [
        (
            f"{item.begin:%m-%d %H:%M}" if item.begin else "-",
            f"{item.end:%m-%d %H:%M}" if item.end else "-",
        )
        for item in found
    ]


def test_the_openings_of_a_week_that_is_open_now_first() -> None:
    nights = window(days=(1, 2, 3))
    assert spans([nights], "2026-11-25T03:59:59") == [
        ("11-25 01:00", "11-25 04:00"),
        ("11-26 01:00", "11-26 04:00"),
        ("12-01 01:00", "12-01 04:00"),
        ("12-02 01:00", "12-02 04:00"),
    ]
    assert spans([nights], "2026-11-25T04:00")[0] == ("11-26 01:00", "11-26 04:00")
    assert spans([nights], "2026-11-25T04:00", days=1) == [("11-26 01:00", "11-26 04:00")]
    assert spans([window(days=(4,))], "2026-11-25T04:00", days=1) == []


def test_without_windows_there_is_one_opening_without_an_end() -> None:
    (found,) = openings((), at("2026-11-24T03:12"))
    assert found == Opening(None, None, ())
    assert found.has(at("2030-01-01"))
    assert found.left_s(at("2026-11-24T03:12")) is None
    assert found.fits(1e9, at("2026-11-24T03:12"))


def test_a_reboot_fits_into_what_is_left_of_it() -> None:
    (found,) = openings([window(zone="UTC")], at("2026-11-24T04:40"), days=0)
    assert found.left_s(at("2026-11-24T01:00")) == 3 * 3600
    assert found.fits(1200, at("2026-11-24T04:40"))
    assert not found.fits(1201, at("2026-11-24T04:40"))
    assert not found.has(at("2026-11-24T05:00"))


def test_which_windows_make_an_opening() -> None:
    made = [
        Window("late", EVERY_DAY, time(22), 7200, "UTC"),
        Window("early", EVERY_DAY, time(0), 3600, "UTC"),
        Window("noon", EVERY_DAY, time(12), 3600, "UTC"),
    ]
    found = openings(made, at("2026-11-24T13:00"), days=1)
    assert [item.names for item in found] == [("late", "early"), ("noon",)]
    assert (found[0].begin, found[0].end) == (at("2026-11-24T22:00"), at("2026-11-25T01:00"))


def test_windows_of_whole_days_are_one_opening_from_the_first_to_the_last() -> None:
    week = window("00:00", 24, days=(0, 1, 2, 3, 4), zone="UTC")
    for now in ("2026-11-23T00:00", "2026-11-27T23:59"):
        assert spans([week], now)[0] == ("11-23 00:00", "11-28 00:00")
    assert spans([window("00:00", 24, zone="UTC")], "2026-11-24T12:00") == [("-", "-")]


# -- days on which the clocks are moved


def test_a_week_across_the_night_that_skips_an_hour() -> None:
    assert spans([window("02:00", 3)], "2026-03-27T12:00", days=3) == [
        ("03-28 01:00", "03-28 04:00"),
        ("03-29 01:00", "03-29 04:00"),  # 02:00 is skipped: from 03:00 on, as long as ever
        ("03-30 00:00", "03-30 03:00"),
    ]


def test_a_week_across_the_night_that_has_an_hour_twice() -> None:
    assert spans([window("01:30", 3)], "2026-10-23T12:00", days=3) == [
        ("10-23 23:30", "10-24 02:30"),
        ("10-24 23:30", "10-25 02:30"),  # shuts at 03:30 by the clocks, after three hours
        ("10-26 00:30", "10-26 03:30"),
    ]


def test_whole_days_leave_the_hour_that_a_long_day_has_more() -> None:
    assert spans([window("00:00", 24)], "2026-10-24T12:00", days=3) == [
        ("-", "10-25 22:00"),
        ("10-25 23:00", "-"),
    ]


@pytest.mark.parametrize(
    ("zone", "now", "begins"),
    [
        # 02:00 is skipped with the half hour after it, and opens when 02:30 is shown.
        ("Australia/Lord_Howe", "2026-10-02T20:00", ["10-03 15:30", "10-04 15:00"]),
        # The half hour from 01:30 is there twice, and 02:00 once, after it.
        ("Australia/Lord_Howe", "2026-04-03T20:00", ["04-04 15:30", "04-05 15:30"]),
        ("Asia/Kathmandu", "2026-11-23T23:00", ["11-24 20:15", "11-25 20:15"]),
        ("Pacific/Kiritimati", "2026-11-23T15:00", ["11-24 12:00", "11-25 12:00"]),
    ],
)
def test_odd_zones(zone: str, now: str, begins: list[str]) -> None:
    found = openings([window("02:00", 2, zone=zone)], at(now), days=2)
    assert [f"{item.begin:%m-%d %H:%M}" for item in found] == begins
    assert {item.left_s(at(now)) for item in found} == {7200.0}


def test_the_days_are_those_of_the_zone_on_both_sides_of_the_date_line() -> None:
    for zone, begin in (("Pacific/Kiritimati", "11-23 12:00"), ("Pacific/Niue", "11-24 13:00")):
        assert spans([window("02:00", 1, days=(1,), zone=zone)], "2026-11-22T00:00")[0][0] == begin


def test_windows_of_two_zones_that_touch_at_midnight_are_one() -> None:
    both = [window("23:00", 1, zone="Europe/Berlin"), window("23:00", 1, zone="Europe/London")]
    assert spans(both, "2026-11-24T12:00", days=1) == [("11-24 22:00", "11-25 00:00")]


# -- which windows


FLEET = """
name = "prod"
[[groups]]
name = "edge"
hosts = ["edge-1"]
[windows.night]
start = "02:00"
length = "3h"
timezone = "UTC"
[windows.noon]
start = "12:00"
length = "1h"
timezone = "UTC"
[rollouts.default]
cohorts = [{ name = "rest", hosts = "rest" }]
"""


@pytest.mark.parametrize(("more", "expected"), [("", ["night", "noon"]), ('windows = ["noon"]', ["noon"])])
def test_those_of_the_default_rollout_count_else_all(more: str, expected: list[str]) -> None:
    fleet = parse_fleet(FLEET + more, file="fleet.toml")
    assert [item.name for item in reboot_windows(fleet)] == expected
    assert Basis(fleet, {}, None).windows == reboot_windows(fleet)


# -- the runner's clock


class _Stepped(datetime):
    """The system's clock, as somebody set it."""

    shown = at("2026-11-24T00:30")

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.shown


def test_windows_follow_the_clock_on_the_wall_and_durations_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that was wrong when the order began, and is set right in its middle, as by NTP."""
    monkeypatch.setattr(actions.wall_clock, "datetime", _Stepped)
    monkeypatch.setattr(_Stepped, "shown", at("2026-11-24T00:30"))
    clock, nights = WallClock(), [window()]
    assert open_at(nights, clock.wall()) == Shut(at("2026-11-24T01:00"))
    monkeypatch.setattr(_Stepped, "shown", at("2026-11-24T02:30"))
    assert isinstance(open_at(nights, clock.wall()), Open)
    assert (clock.now() - at("2026-11-24T00:30")).total_seconds() < 60


ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
WINDOWS = st.lists(
    st.builds(
        Window,
        name=st.just("w"),
        days=st.sets(st.integers(0, 6), min_size=1).map(lambda days: tuple(sorted(days))),
        start=st.times().map(lambda moment: moment.replace(second=0, microsecond=0, tzinfo=None)),
        length_s=st.integers(60, 90_000),
        timezone=st.sampled_from(ZONES),
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


@given(WINDOWS, MOMENTS, st.integers(1, 8), st.floats(0, 1))
def test_a_moment_is_open_if_and_only_if_it_lies_in_an_opening(
    windows: list[Window], now: datetime, days: int, share: float
) -> None:
    found = openings(windows, now, days)
    moment = now + share * timedelta(days=days)
    holding = [item for item in found if item.has(moment)]
    assert len(holding) == isinstance(open_at(windows, moment), Open)
    assert bool(holding) == any(_is_in(window, moment) for window in windows)


def _is_in(window: Window, moment: datetime) -> bool:
    """The definition itself: it began on a day of its zone, no longer ago than it is long."""
    zone = ZoneInfo(window.timezone)
    today = moment.astimezone(zone).date()
    for back in range(-1, 4):
        day = today - timedelta(days=back)
        begin = datetime.combine(day, window.start, zone).astimezone(UTC)
        if day.weekday() in window.days and 0 <= (moment - begin).total_seconds() < window.length_s:
            return True
    return False


@given(WINDOWS, MOMENTS)
def test_whether_it_is_open_agrees_with_the_openings(windows: list[Window], now: datetime) -> None:
    first = openings(windows, now, days=8)[0]
    state = open_at(windows, now)
    assert state == (Open(first.end) if first.has(now) else Shut(first.begin))


@given(WINDOWS, MOMENTS, st.integers(1, 30))
def test_openings_ascend_and_do_not_touch(windows: list[Window], now: datetime, days: int) -> None:
    found = openings(windows, now, days)
    for one, other in pairwise(found):
        assert one.end is not None
        assert other.begin is not None
        assert one.end < other.begin
    names = {window.name for window in windows}
    assert all(item.names and set(item.names) <= names for item in found)
    assert all(item.left_s(now) != 0.0 for item in found)
