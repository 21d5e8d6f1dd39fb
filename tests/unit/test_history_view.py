"""Counts over time, columns, layers and words of the history mode."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.history import (
    SPANS,
    Column,
    History,
    Series,
    all_s,
    best_span,
    by_version,
    changed,
    columns,
    counted,
    counts_lines,
    cut,
    events,
    grain_s,
    layers,
    moment_words,
    moved,
    next_span,
    sentence,
    span_words,
)
from console.render_diff import Step

NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=timezone(timedelta(hours=2), "CEST"))
VERSIONS = ["4593.2.5", "4593.2.4", "4757.1.0", "nightly", None]
Look = tuple[str, datetime, str | None, bool]


def ago(**how_long: float) -> datetime:
    return NOW - timedelta(**how_long)


@st.composite
def stories(draw: st.DrawFn, most_s: int = 100_000) -> list[Look]:
    """Looks by time; several may be of one moment, and of one host in one moment."""
    found: list[Look] = []
    seconds = sorted(draw(st.lists(st.integers(1, most_s), max_size=25)), reverse=True)
    for second in seconds:
        host, version = draw(st.sampled_from("abcd")), draw(st.sampled_from(VERSIONS))
        told = version is not None or draw(st.booleans())
        found.append((host, ago(seconds=second), version, told))
    return found


def replayed(looks: list[Look], at: datetime) -> Counter[str | None]:
    """The obvious way: every host's last word, counted."""
    running: dict[str, str | None] = {}
    for host, when, version, told in looks:
        if when <= at and (told or host not in running):
            running[host] = version
    return Counter(running.values())


def history(looks: list[Look], span: str = "all", steps: tuple[Step, ...] = ()) -> History:
    since = looks[0][1] if looks else None
    whole = History(NOW, span, since, counts(looks))
    after = (NOW - timedelta(seconds=whole.length_s)).astimezone(UTC).isoformat()
    moves = {
        version: (hosts, datetime.fromisoformat(at))
        for version, (hosts, at) in moved(as_stored(looks), after).items()
    }
    return replace(whole, moves=moves, steps=steps)


def as_stored(looks: list[Look]) -> list[tuple[str, str, str | None, bool]]:
    return [(host, at.astimezone(UTC).isoformat(), version, told) for host, at, version, told in looks]


def counts(looks: list[Look]) -> dict[str | None, tuple[tuple[datetime, int], ...]]:
    return {
        version: tuple((datetime.fromisoformat(at), hosts) for at, hosts in moments)
        for version, moments in counted(as_stored(looks)).items()
    }


def move(host: str, at: datetime, new: object, old: object = "4593.2.4") -> Step:
    return Step(host, at, "/os/version_id", old, new)


@given(stories(), st.integers(0, 100_000))
def test_the_counts_at_any_moment_are_those_of_a_replay(looks: list[Look], second: int) -> None:
    at, found = ago(seconds=second), {}
    for version, moments in counts(looks).items():
        before = [hosts for when, hosts in moments if when <= at]
        if before and before[-1]:
            found[version] = before[-1]
    assert found == dict(replayed(looks, at))


@given(stories(), st.sampled_from(list(SPANS)), st.integers(1, 220))
def test_every_column_holds_the_counts_at_its_end(looks: list[Look], span: str, width: int) -> None:
    shown = columns(history(looks, span), width)
    assert len(shown) == width
    assert shown[-1].end == NOW
    for column, after in pairwise(shown):
        assert column.end == after.start
    for column in shown:
        if looks and column.end >= looks[0][1]:
            assert column.counts == dict(replayed(looks, column.end))
        else:
            assert column.counts is None


@given(stories(), st.integers(0, 100_000))
def test_what_is_cut_off_is_not_missed_later(looks: list[Look], second: int) -> None:
    start, whole = ago(seconds=second), history(looks, "day")
    part = History(NOW, "day", whole.since, cut(whole.series, start))
    for one, other in zip(columns(whole, 40), columns(part, 40), strict=True):
        if one.end >= start:
            assert one.counts == other.counts


@given(stories(), st.integers(1, 6))
def test_layers_hold_every_host_once(looks: list[Look], most: int) -> None:
    shown = columns(history(looks), 30)
    found = layers(shown, most)
    assert len([layer for layer in found if layer.rank >= 0]) <= most
    assert len({layer.letter for layer in found}) == len(found)
    for column in shown:
        total = sum((column.counts or {}).values())
        assert sum(layer.count(column) for layer in found) == total


def test_hosts_outside_the_fleet_count_nowhere() -> None:
    looks = [
        ("old-name", "1", "4593.2.4", True),
        ("web", "1", "4593.2.4", True),
        ("web", "2", "4593.2.5", True),
    ]
    assert counted(looks, frozenset({"web"})) == {"4593.2.4": [("1", 1), ("2", 0)], "4593.2.5": [("2", 1)]}


def test_the_newest_is_on_top_and_small_ones_are_put_together() -> None:
    held = Column(ago(hours=1), NOW, {"4593.2.5": 9, "4593.2.10": 5, "4459.2.4": 1, "4081.3.9": 1, None: 2})
    assert [layer.words for layer in layers([held], 6)] == [
        "not known", "4593.2.10", "4593.2.5", "4459.2.4", "4081.3.9",
    ]  # fmt: skip
    few = layers([held], 3)
    assert [(layer.words, layer.letter) for layer in few] == [
        ("not known", "?"), ("4593.2.10", "a"), ("4593.2.5", "b"), ("2 others", "z"),
    ]  # fmt: skip
    assert few[-1].count(held) == 2
    assert by_version(held.counts or {})[-1] == (None, 2)


def test_what_is_large_today_is_never_among_the_others() -> None:
    before = Column(ago(hours=2), ago(hours=1), {"4593.2.3": 50, "4593.2.2": 40, "4593.2.1": 30})
    now = Column(ago(hours=1), NOW, {"4593.2.3": 20, "4593.2.5": 30})
    assert [layer.words for layer in layers([before, now], 3)] == ["4593.2.5", "4593.2.3", "2 others"]


@given(st.dictionaries(st.sampled_from(VERSIONS), st.integers(1, 9999)), st.integers(34, 90))
def test_the_counts_in_words_add_up(counts: dict[str | None, int], room: int) -> None:
    lines = counts_lines(counts, room)
    assert len(lines) <= 2
    assert all(len(line) <= room for line in lines)
    text = " ".join(lines).rpartition(": ")[2].replace(",", "")
    numbers = [int(number) for number in re.findall(r"(\d+) (?:on|not)", text)]
    assert sum(numbers) == sum(counts.values())


def test_the_smallest_counts_are_put_together() -> None:
    counts = {"4593.2.5": 1391, "4593.2.4": 1207, "4593.2.3": 20, "4593.2.2": 10, None: 18}
    assert counts_lines(counts, 85) == [
        "1,391 on 4593.2.5, 1,207 on 4593.2.4, 20 on 4593.2.3, 10 on 4593.2.2, 18 not known"
    ]
    assert counts_lines(counts, 40) == [
        "1,391 on 4593.2.5, 1,207 on 4593.2.4,",
        "30 on 2 others, 18 not known",
    ]
    assert counts_lines({"4593.2.5": 3}, 40) == ["3 hosts: 3 on 4593.2.5"]


def test_columns_stand_still_while_time_goes_on() -> None:
    looks: list[Look] = [("a", ago(days=3), "4593.2.5", True)]
    before, week = history(looks, "week"), SPANS["week"]
    later = History(NOW + timedelta(seconds=5), "week", before.since, before.series)
    ends = [column.end for column in columns(before, 80)[:-1]]
    assert (NOW.timestamp() % (week / 80)) + 5 < week / 80
    assert [column.end for column in columns(later, 80)[:-1]] == ends


@pytest.mark.parametrize(("watched_s", "shown_s"), [(0, 60), (60, 60), (61, 71.35), (1200, 1357.6)])
def test_all_grows_in_steps(watched_s: float, shown_s: float) -> None:
    assert all_s(watched_s) == pytest.approx(shown_s, abs=0.1)


@given(st.floats(0, 4e7))
def test_all_holds_what_was_watched_and_little_more(watched_s: float) -> None:
    assert watched_s <= all_s(watched_s) <= max(600.0, watched_s * 1.2)


def test_the_span_to_begin_with_is_the_shortest_with_something_in_it() -> None:
    series: Series = {"4593.2.5": [(ago(days=80), 5), (ago(days=3), 6)]}
    assert best_span(series, ago(days=80), NOW) == "week"
    assert best_span(series, ago(days=3), NOW) == "all"
    assert best_span({}, None, NOW) == "all"
    assert best_span({"4593.2.5": [(ago(days=399), 5)]}, ago(days=399), NOW) == "all"


def test_spans_go_round() -> None:
    names = list(SPANS)
    assert [next_span(name) for name in names] == [*names[1:], names[0]]


def test_the_sentence_says_what_moved_last() -> None:
    looks: list[Look] = [(f"w{number}", ago(days=80), "4593.2.3", True) for number in range(40)]
    looks += [(f"w{number}", ago(days=60, seconds=-number), "4593.2.4", True) for number in range(40)]
    looks += [(f"w{number}", ago(days=2, seconds=-number), "4593.2.5", True) for number in range(31)]
    looks += [("w39", ago(days=1), "4790.0.0", True)]
    found = history(looks, "quarter")
    first, rest = sentence(found)
    assert first == "4 versions in the last 90 days;"
    assert rest == "31 hosts moved to 4593.2.5 since Tue 03:12."
    assert sentence(history(looks[:-1], "day"))[1] == "no host changed its version."


def test_a_machine_that_was_replaced_did_not_move() -> None:
    at = ago(hours=1)
    looks: list[Look] = [
        ("a", ago(hours=2), "4593.2.4", True),
        ("a", at, None, True),
        ("a", at, "4593.2.5", True),
    ]
    assert sentence(history(looks, "day"))[1] == "no host changed its version."


@given(stories(), st.integers(0, 100_000))
def test_who_moved_is_who_told_one_version_after_another(looks: list[Look], second: int) -> None:
    after, found, last = ago(seconds=second), set(), dict[str, str | None]()
    for host, at, version, told in looks:
        if told:
            if at > after and last.get(host) and version and last[host] != version:
                found.add((version, host))
            last[host] = version
    told_counts = moved(as_stored(looks), after.astimezone(UTC).isoformat())
    assert {version: hosts for version, (hosts, _) in told_counts.items()} == Counter(
        version for version, _ in found
    )


def test_one_sweep_says_since_when_it_watches_and_that_the_plot_grows() -> None:
    looks: list[Look] = [("a", ago(seconds=14), "4593.2.5", True), ("b", ago(seconds=13), None, False)]
    first, rest = sentence(history(looks))
    assert first == "2 hosts on 1 version, 1 not known."
    assert rest.startswith("Watched since 03:12:00, ")
    assert "the plot grows" in rest
    assert sentence(History(NOW, "all", None))[0] == "Nothing has been seen yet."


def test_moments_are_as_exact_as_the_scale() -> None:
    assert moment_words(ago(minutes=2), NOW, 600) == "03:10:14"
    assert moment_words(ago(minutes=2), NOW, SPANS["day"]) == "03:10"
    assert moment_words(ago(days=2), NOW, SPANS["week"]) == "Tue 03:12"
    assert moment_words(ago(days=20), NOW, SPANS["month"]) == "31 Jul 03:12"
    assert moment_words(ago(days=20), NOW, SPANS["quarter"]) == "31 Jul"
    assert moment_words(ago(days=300), NOW, SPANS["quarter"]) == "24 Oct 2025"
    assert span_words(History(NOW, "all", ago(days=2))) == "all since Tue 03:12"


def test_equal_changes_of_a_moment_are_one_event() -> None:
    column = Column(ago(minutes=30), NOW, {})
    at = ago(minutes=5)
    steps = (
        move("z", ago(minutes=40), "4593.2.5"),
        Step("a", ago(minutes=6, seconds=20), "/identity/boot_id", "x", "y"),
        Step("c", at, "/operation", None, []),
        move("a", at, "4593.2.5"),
        move("b", at + timedelta(seconds=3), "4593.2.5"),
    )
    found = events(steps, column)
    assert [(event.hosts, event.fact, event.old, event.new) for event in found] == [
        (("a", "b"), "os.version_id", "4593.2.4", "4593.2.5"),
        (("c",), "operation", "not known", "empty"),
        (("a",), "identity.boot_id", "x", "y"),
    ]
    assert [event.is_version for event in found] == [True, False, False]
    assert found[0].moment == found[1].moment == at + timedelta(seconds=3)
    earlier = Column(ago(minutes=60), ago(minutes=30), {})
    assert changed(steps, [earlier, Column(NOW, NOW, {}), column]) == [0, 2]


@pytest.mark.parametrize(("step_s", "grain"), [(60, 60), (3600, 60), (3601, 3600), (86400 * 3, 86400)])
def test_what_counts_as_one_moment_follows_the_scale(step_s: float, grain: float) -> None:
    assert grain_s(Column(ago(seconds=step_s), NOW, {})) == grain


@given(stories())
def test_no_change_is_lost_or_told_twice(looks: list[Look]) -> None:
    steps = tuple(
        Step(host, at, f"/{host}/{number}", None, version)
        for number, (host, at, version, _) in enumerate(looks)
    )
    shown = columns(history(looks, steps=steps), 20)
    inside = [step for step in steps if step.at > shown[0].start]
    assert sum(len(event.hosts) for column in shown for event in events(steps, column)) == len(inside)
