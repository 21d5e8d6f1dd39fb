"""The fleet's past as the dashboard shows it: hosts per version over time, and what changed. Pure.

A host counts with the version that it told last; one that was asked and has told none yet is "not known" (key
None); one never asked is not there. Each column of a plot stands for the state at its end.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from console.render import value_words
from console.render_diff import Step, fact_words
from console.rows import version_key
from console.visible import MONTHS, cells, clock_words, count_words, hosts_words

DAY_S = 86400.0
SPANS: Mapping[str, float] = {
    "day": DAY_S,
    "week": 7 * DAY_S,
    "month": 30 * DAY_S,
    "quarter": 90 * DAY_S,
    "all": math.inf,
}
"""How far back is shown, in seconds; in the order in which a key leads through them."""
_SPAN_WORDS = {
    "day": "the last 24 hours",
    "week": "the last 7 days",
    "month": "the last 30 days",
    "quarter": "the last 90 days",
}
_SHORTEST_S = 60.0
VERSION_PATH = "/os/version_id"

Version = str | None
Series = Mapping[Version, Sequence[tuple[datetime, int]]]


@dataclass(frozen=True, slots=True)
class History:
    """What the store tells of a span of time."""

    now: datetime
    """Aware; its time zone is the one in which times are shown."""
    span: str
    """A key of SPANS."""
    since: datetime | None
    """The oldest look that is kept; None: nothing has been seen yet."""
    series: Series = field(default_factory=dict)
    """Version -> hosts that ran it from each moment on, oldest first; the first may lie before the span."""
    moves: Mapping[str, tuple[int, datetime]] = field(default_factory=dict)
    """Version -> how many hosts moved to it in the span, and when the first of them did."""
    steps: tuple[Step, ...] = ()
    """Facts that changed in the span, oldest first."""
    steps_from: datetime | None = None
    """Older steps of the span were left out; None: they are all there."""

    @property
    def length_s(self) -> float:
        """Of the time shown. `all` grows in steps, so that the columns do not move at each look."""
        length_s = SPANS[self.span]
        if math.isfinite(length_s):
            return length_s
        return all_s((self.now - self.since).total_seconds() if self.since else 0.0)


@dataclass(frozen=True, slots=True)
class Column:
    """A piece of time: after `start`, up to `end`."""

    start: datetime
    end: datetime
    counts: Mapping[Version, int] | None
    """Hosts by version at its end, zeros left out; None: nothing had been seen by then."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What is drawn as one: a version, several small ones, or what is not known."""

    words: str
    versions: tuple[Version, ...]
    letter: str
    """Stands for it where there is no colour."""
    rank: int
    """Its place in the palette, newest first; -1: not known."""

    def count(self, column: Column) -> int:
        counts = column.counts or {}
        return sum(counts.get(version, 0) for version in self.versions)


@dataclass(frozen=True, slots=True)
class Event:
    """The same change of one fact on hosts, within a minute or what else is one moment at this scale."""

    moment: datetime
    """When the newest change of any fact in that moment was."""
    hosts: tuple[str, ...]
    fact: str
    old: str
    new: str
    is_version: bool


def all_s(watched_s: float) -> float:
    """The time that `all` shows, at least what was watched, by quarters of an octave."""
    if watched_s <= _SHORTEST_S:
        return _SHORTEST_S
    steps = math.ceil(round(4 * math.log2(watched_s / _SHORTEST_S), 6))
    return float(max(_SHORTEST_S * 2 ** (steps / 4), watched_s))


def next_span(span: str) -> str:
    names = list(SPANS)
    return names[(names.index(span) + 1) % len(names)] if span in names else names[0]


def best_span(series: Series, since: datetime | None, now: datetime) -> str:
    """The shortest in which the counts changed, `all` while that is shorter still."""
    watched_s = (now - since).total_seconds() if since else 0.0
    last = max((moments[-1][0] for moments in series.values() if moments), default=None)
    for name, length_s in SPANS.items():
        if all_s(watched_s) <= length_s:
            break
        if last is not None and (now - last).total_seconds() <= length_s:
            return name
    return "all"


def counted(
    looks: Iterable[tuple[str, str, Version, bool]], hosts: frozenset[str] | None = None
) -> dict[Version, list[tuple[str, int]]]:
    """Hosts per version after each moment at which that number changed, from looks by time.

    A look is host, time, version, and whether a version was told; one that was not says only that the host
    was asked. `hosts` leaves all others out.
    """
    running: dict[str, Version] = {}
    counts: Counter[Version] = Counter()
    series: dict[Version, list[tuple[str, int]]] = {}
    for at, together in groupby(looks, key=lambda look: look[1]):
        touched: set[Version] = set()
        for host, _, version, told in together:
            if (hosts is not None and host not in hosts) or (not told and host in running):
                continue
            if host in running:
                counts[running[host]] -= 1
                touched.add(running[host])
            running[host] = version
            counts[version] += 1
            touched.add(version)
        for version in touched:
            moments = series.setdefault(version, [])
            if counts[version] != (moments[-1][1] if moments else 0):
                moments.append((at, counts[version]))
    return {version: moments for version, moments in series.items() if moments}


def moved(
    looks: Iterable[tuple[str, str, Version, bool]], after: str, hosts: frozenset[str] | None = None
) -> dict[str, tuple[int, str]]:
    """Version -> how many hosts moved to it from another one later than `after`, and since when.

    Looks as for `counted`. Another machine under an old name did not move.
    """
    running: dict[str, Version] = {}
    found: dict[str, dict[str, str]] = {}
    for host, at, version, told in looks:
        if not told or (hosts is not None and host not in hosts):
            continue
        before = running.get(host)
        running[host] = version
        if at > after and None not in (before, version) and before != version:
            found.setdefault(version or "", {}).setdefault(host, at)
    return {version: (len(times), min(times.values())) for version, times in found.items()}


def cut(series: Series, start: datetime) -> dict[Version, tuple[tuple[datetime, int], ...]]:
    """What is needed from `start` on; versions that nobody runs in that time are left out."""
    kept = {}
    for version, moments in series.items():
        first = max(bisect_right(moments, start, key=lambda moment: moment[0]) - 1, 0)
        tail = tuple(moments[first:])
        if any(hosts for _, hosts in tail):
            kept[version] = tail
    return kept


def columns(history: History, width: int) -> tuple[Column, ...]:
    """The span in `width` pieces, the last one up to now.

    The others end at fixed moments, whatever the time is, so that the plot stands still between two of them.
    """
    step_s, zone = history.length_s / width, history.now.tzinfo
    now_s = history.now.timestamp()
    last = math.ceil(now_s / step_s) - 1
    ends = [datetime.fromtimestamp((last - width + 1 + index) * step_s, zone) for index in range(width)]
    ends.append(history.now)
    seen = {
        version: ([at for at, _ in moments], [hosts for _, hosts in moments])
        for version, moments in history.series.items()
    }
    return tuple(
        Column(start, end, _counts_at(seen, end) if history.since and history.since <= end else None)
        for start, end in pairwise(ends)
    )


def _counts_at(seen: Mapping[Version, tuple[list[datetime], list[int]]], at: datetime) -> dict[Version, int]:
    counts = {}
    for version, (times, hosts) in seen.items():
        found = bisect_right(times, at)
        if found and hosts[found - 1]:
            counts[version] = hosts[found - 1]
    return counts


def _newest_first(version: str) -> tuple[tuple[int, ...], str]:
    return version_key(version) or (), version


def layers(shown: Sequence[Column], most: int) -> tuple[Layer, ...]:
    """From the top of the plot down: not known, then versions newest first, then the rest as one.

    With more than `most` versions the small ones are put together: small at their peak and at the end.
    """
    peaks: Counter[Version] = Counter()
    last = (shown[-1].counts if shown else None) or {}
    for column in shown:
        for version, hosts in (column.counts or {}).items():
            peaks[version] = max(peaks[version], hosts)
    has_unknown = peaks.pop(None, 0) > 0
    names = [version for version in peaks if version is not None]
    large = sorted(names, key=lambda name: (-peaks[name] - 3 * last.get(name, 0), name))
    kept = set(large if len(large) <= most else large[: most - 1])
    ordered = sorted(kept, key=_newest_first, reverse=True)
    found = [Layer(name, (name,), chr(ord("a") + rank), rank) for rank, name in enumerate(ordered)]
    if rest := tuple(name for name in names if name not in kept):
        found.append(Layer(_others(len(rest)), rest, "z", len(ordered)))
    unknown = [Layer("not known", (None,), "?", -1)] if has_unknown else []
    return (*unknown, *found)


def _others(number: int) -> str:
    return f"{number} other{'' if number == 1 else 's'}"


def by_version(counts: Mapping[Version, int]) -> list[tuple[Version, int]]:
    """The largest first, what is not known last."""
    return sorted(counts.items(), key=lambda item: (item[0] is None, -item[1], item[0] or ""))


# In words


def span_words(history: History) -> str:
    """`the last 7 days`, or since when all of it is."""
    if history.span in _SPAN_WORDS:
        return _SPAN_WORDS[history.span]
    return f"all since {moment_words(history.since or history.now, history.now, history.length_s)}"


def moment_words(at: datetime, now: datetime, scale_s: float) -> str:
    """As exact as the scale of a span asks for: 14:05:20, Tue 14:05, 22 May 14:00, 22 May."""
    local = at.astimezone(now.tzinfo)
    if local.date() == now.date() and scale_s < 7200:
        return f"{local:%H:%M:%S}"
    if abs((now.date() - local.date()).days) < 7:
        return clock_words(at, now)
    clock = f" {local:%H:%M}" if scale_s < 60 * DAY_S else ""
    return f"{date_words(local, now)}{clock}"


def date_words(local: datetime, now: datetime) -> str:
    year = f" {local.year}" if local.year != now.year else ""
    return f"{local.day} {MONTHS[local.month - 1]}{year}"


def sentence(history: History) -> tuple[str, str]:
    """What a tired person must know, in two parts: the first is the one to read."""
    now = history.now
    if history.since is None:
        return "Nothing has been seen yet.", "The plot begins with the first answers."
    if not history.moves and history.span == "all":
        hosts, versions = _now_words(history)
        began = moment_words(history.since, now, history.length_s)
        rest = "no host has changed its version yet; the plot grows with each look."
        return f"{hosts} on {versions}.", f"Watched since {began}, {rest}"
    ran = sum(
        version is not None for version in cut(history.series, now - timedelta(seconds=history.length_s))
    )
    first = f"{ran} version{'' if ran == 1 else 's'} {_in_span(history)};"
    if not history.moves:
        return first, "no host changed its version."
    version, movers, since = _latest_move(history.moves)
    when = moment_words(since, now, history.length_s)
    return first, f"{hosts_words(movers)} moved to {version} {'at' if movers == 1 else 'since'} {when}."


def _in_span(history: History) -> str:
    """`in the last 7 days`, `since 22 May`."""
    return (
        f"in {words}"
        if (words := _SPAN_WORDS.get(history.span))
        else span_words(history).removeprefix("all ")
    )


def _now_words(history: History) -> tuple[str, str]:
    now = {version: moments[-1][1] for version, moments in history.series.items() if moments[-1][1]}
    known = sum(version is not None for version in now)
    versions = f"{count_words(known)} version{'' if known == 1 else 's'}"
    return hosts_words(sum(now.values())), f"{versions}, {now[None]} not known" if None in now else versions


def _latest_move(moves: Mapping[str, tuple[int, datetime]]) -> tuple[str, int, datetime]:
    """The version to which hosts began to move last, a few stragglers aside; how many did, since when."""
    most = max(hosts for hosts, _ in moves.values())
    waves = [(since, version, hosts) for version, (hosts, since) in moves.items() if hosts * 10 >= most]
    since, version, hosts = max(waves)
    return version, hosts, since


def counts_lines(counts: Mapping[Version, int], room: int) -> list[str]:
    """Hosts by version in words on at most two lines; the smallest are put together where they must be."""
    known = [(name, hosts) for name, hosts in by_version(counts) if name is not None]
    unknown = [f"{count_words(counts[None])} not known"] if None in counts else []
    if not counts:
        return ["no host had been seen"]
    for kept in range(len(known), -1, -1):
        parts = [f"{count_words(hosts)} on {name}" for name, hosts in known[:kept]]
        if rest := known[kept:]:
            parts.append(f"{count_words(sum(hosts for _, hosts in rest))} on {_others(len(rest))}")
        lines = _flowed(parts + unknown, room)
        if len(lines) <= 2:
            break
    whole = f"{hosts_words(sum(counts.values()))}: {lines[0]}"
    return [whole] if len(lines) == 1 and cells(whole) <= room else lines[:2]


def _flowed(parts: Sequence[str], room: int) -> list[str]:
    lines = [parts[0]]
    for part in parts[1:]:
        if cells(lines[-1]) + cells(part) + 3 <= room:
            lines[-1] += f", {part}"
        else:
            lines[-1] += ","
            lines.append(part)
    return lines


# What changed


def grain_s(column: Column) -> float:
    """What counts as one moment: a minute, an hour or a day, by the time that a column stands for."""
    step_s = (column.end - column.start).total_seconds()
    return 60.0 if step_s <= 3600 else 3600.0 if step_s <= 2 * DAY_S else DAY_S


def events(steps: Sequence[Step], column: Column) -> list[Event]:
    """What changed in a column, newest first; of one moment versions first, then what befell most hosts."""
    grain = grain_s(column)
    newest: dict[int, datetime] = {}
    groups: dict[tuple[int, str, str, str], list[str]] = {}
    for step in _within(steps, column):
        moment = int(step.at.timestamp() // grain)
        newest[moment] = step.at
        key = (moment, step.path, value_words(step.old), value_words(step.new))
        groups.setdefault(key, []).append(step.host)
    order = sorted(groups, key=lambda key: (-key[0], key[1] != VERSION_PATH, -len(groups[key]), key))
    return [
        Event(
            newest[key[0]],
            tuple(dict.fromkeys(groups[key])),
            fact_words(key[1]),
            key[2],
            key[3],
            key[1] == VERSION_PATH,
        )
        for key in order
    ]


def _within(steps: Sequence[Step], column: Column) -> Sequence[Step]:
    first = bisect_right(steps, column.start, key=lambda step: step.at)
    return steps[first : bisect_right(steps, column.end, key=lambda step: step.at)]


def changed(steps: Sequence[Step], shown: Sequence[Column]) -> list[int]:
    """The columns in which anything changed."""
    return [index for index, column in enumerate(shown) if _within(steps, column)]
