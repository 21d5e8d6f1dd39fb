"""Which hosts a table lists, and in which order: filter, toggles, sorting, headings, folds. Pure.

Entries are places in the roster's rows, so that a row which changes needs no new list. The order stands still
until it is settled: a host may change without moving away from under the cursor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from console.folding import signature
from console.roster import Change, Flags, Roster
from console.rows import HostRow, version_key
from console.selection import Selection
from console.states import needs_attention, needs_look, rank, word_of
from console.visible import visible

FOLDED_LEAST = 3
"""Fewer equal hosts take no more lines unfolded."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What a person asked the table for."""

    text: str = ""
    """Selection; "" is every host."""
    attention: bool = False
    """Only what is neither current nor held."""
    reboots: bool = False
    """Only what will reboot by itself."""
    sort: str = "attention"
    reverse: bool = False
    group: str | None = None
    """A field of GROUPINGS or `label.KEY`."""
    fold: bool = False
    opened: frozenset[Hashable] = frozenset()
    """Keys of folds that were opened."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A line above the hosts that share a value."""

    field: str
    value: str | None
    """None: not known, or none."""
    hosts: int
    looks: int
    """Of which need a look."""


@dataclass(frozen=True, slots=True)
class Fold:
    """The hosts equal to the one in the line above."""

    key: Hashable
    first: int
    """Place of the one above."""
    places: tuple[int, ...]


Entry = int | Heading | Fold
"""One line of the table: a host's place, or what stands between hosts."""

GROUPINGS = ("group", "version", "state", "channel")
_LAST = ("\U0010ffff",)
_NEVER = datetime.min.replace(tzinfo=UTC)


@lru_cache(maxsize=1024)
def _newest_first(version: str | None) -> tuple[bool, tuple[int, ...], str]:
    """What is not known comes last, and before it what is no version."""
    numbers = version_key(version) if version is not None else None
    return version is None, tuple([-number for number in numbers or ()]) or (1,), version or ""


SORTS: dict[str, Callable[[HostRow], Any]] = {
    "attention": lambda row: rank(row.state),
    "host": lambda row: 0,
    "group": lambda row: row.groups or _LAST,
    "state": lambda row: word_of(row.state),
    "version": lambda row: _newest_first(row.version),
    "behind": lambda row: 1 if row.behind is None else -row.behind,
    "seen": lambda row: row.taken_at or _NEVER,
}
"""Column -> what goes before the name: attention, the newest, the most behind, the longest unseen first."""


def group_field(text: str) -> str | None:
    """The field that a person named for headings; None for none. Raises ConfigError."""
    field = text.strip()
    name, dot, key = field.partition(".")
    if field.lower() in ("", "none"):
        return None
    if name.lower() == "label" and dot and key:
        return f"label.{key}"
    if field.lower() in GROUPINGS:
        return field.lower()
    known = (*GROUPINGS, "label.KEY", "none")
    raise ConfigError("group", f'"{visible(field, 40)}"', f"is no field{did_you_mean(field, known)}")


def sort_column(text: str) -> str:
    """The column that a person named. Raises ConfigError."""
    column = text.strip().lower()
    if column not in SORTS:
        words = f"is no column{did_you_mean(column, SORTS)}"
        raise ConfigError("sort", f'"{visible(column, 40)}"', words)
    return column


def order_words(asked: Arrangement) -> str:
    """How the table is ordered, in words."""
    words = "attention first" if asked.sort == "attention" else f"by {asked.sort}"
    parts = [f"in {asked.group}"] if asked.group is not None else []
    parts.append(words + (", reversed" if asked.reverse else ""))
    return ", ".join([*parts, *(["folded"] if asked.fold else [])])


class Listing:
    """One table's content. `entries` is what it shows from top to bottom, `hosts` the same without folds."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.arrangement = Arrangement()
        self.entries: Sequence[Entry] = []
        self.hosts: list[int] = []
        self.passed = 0
        """Hosts that the text lets through, whatever the toggles say."""
        self.attention = 0
        """Of these, what the toggle would leave."""
        self.reboots = 0
        self.waiting: set[int] = set()
        """Places of hosts that would move if the order were settled."""
        self._selection = Selection("", lambda row: True)
        self._flags: Flags | None = None
        self._needs: Flags = []
        self._boots: Flags = []
        self._by_name: list[int] = []
        self._keys: list[Any] = []
        self._order: list[int] = []

    def take(self, rows: Sequence[HostRow], *, keep_order: bool = False) -> Change:
        """The fleet as it is now. With `keep_order`, hosts that are there already do not move."""
        change = self.roster.take(rows)
        if change.is_new:
            self._start()
        elif (change.changed and self._adjust(change)) or (not keep_order and self.waiting):
            if not keep_order:
                self._sort()
            self._lay_out()
        elif change.changed:
            self._count()
        return change

    def arrange(self, **changes: Any) -> None:
        """Change the arrangement; what a person changes is settled too. Raises SelectionError, unchanged."""
        arrangement = replace(self.arrangement, **changes)
        if arrangement.text != self.arrangement.text:
            selection, flags = self.roster.select(arrangement.text)
            self._selection, self._flags = selection, flags
        is_sorted = (arrangement.sort, arrangement.reverse) == (
            self.arrangement.sort,
            self.arrangement.reverse,
        )
        self.arrangement = arrangement
        if not is_sorted or self.waiting:
            self._sort()
        self._lay_out()

    def settle(self) -> None:
        """Sort what has come to stand out of order."""
        self._sort()
        self._lay_out()

    def is_listed(self, place: int) -> bool:
        """Whether a host passes filter and toggles."""
        asked = self.arrangement
        return (
            (self._flags is None or self._flags[place])
            and (not asked.attention or self._needs[place])
            and (not asked.reboots or self._boots[place])
        )

    def rows(self) -> list[HostRow]:
        """The hosts listed, in order, those in folds too."""
        return [self.roster.rows[place] for place in self.hosts]

    def row(self, entry: Entry | None) -> HostRow | None:
        """The host that a line is about; of a fold the first in it."""
        match entry:
            case int():
                return self.roster.rows[entry]
            case Fold():
                return self.roster.rows[entry.places[0]]
        return None

    def places(self, entry: Entry | None) -> tuple[int, ...]:
        """All hosts that a line stands for."""
        match entry:
            case int():
                return (entry,)
            case Fold():
                return entry.places
        return ()

    # Inside

    def _start(self) -> None:
        rows = self.roster.rows
        names = [row.name for row in rows]
        self._by_name = sorted(range(len(rows)), key=names.__getitem__)
        needing = set(filter(needs_attention, self.roster.tally.by_state))
        self._needs = [row.state in needing for row in rows]
        self._boots = [row.will_reboot_by_itself is True for row in rows]
        if self.arrangement.text:
            self._flags = self._selected()
        self._sort()
        self._lay_out()

    def _selected(self) -> Flags | None:
        """A text that was good stays good, whatever hosts are there: names that are gone match nothing."""
        try:
            self._selection, flags = self.roster.select(self.arrangement.text)
        except ConfigError:
            return list(map(self._selection.matches, self.roster.rows))
        return flags

    def _sort(self) -> None:
        asked = self.arrangement
        self._keys = list(map(SORTS[asked.sort], self.roster.rows))
        if asked.sort == "host":
            self._order = self._by_name[:: -1 if asked.reverse else 1]
        else:
            self._order = sorted(self._by_name, key=self._keys.__getitem__, reverse=asked.reverse)
        self.waiting.clear()

    def _adjust(self, change: Change) -> bool:
        """Bring up to date what is known by place; whether other lines are to be shown."""
        key, asked = SORTS[self.arrangement.sort], self.arrangement
        is_other = asked.group is not None or asked.fold
        for place, _ in change.changed:
            row = self.roster.rows[place]
            was_listed = self.is_listed(place)
            if self._flags is not None:
                self._flags[place] = self._selection.matches(row)
            self._needs[place] = needs_attention(row.state)
            self._boots[place] = row.will_reboot_by_itself is True
            is_other |= self.is_listed(place) != was_listed
            if key(row) != self._keys[place]:
                self.waiting.add(place)
            else:
                self.waiting.discard(place)
        return is_other

    def _lay_out(self) -> None:
        asked, flags, places = self.arrangement, self._flags, self._order
        if flags is not None:
            places = [place for place in places if flags[place]]
        self._count(places)
        for is_asked, wanted in ((asked.attention, self._needs), (asked.reboots, self._boots)):
            if is_asked:
                places = [place for place in places if wanted[place]]
        if asked.group is None and not asked.fold:
            self.entries = self.hosts = places
            return
        self.entries = list(self._lines(places))
        self.hosts = hosts = []
        for entry in self.entries:
            if isinstance(entry, int):
                hosts.append(entry)
            else:
                hosts += self.places(entry)

    def _count(self, passed: Sequence[int] | None = None) -> None:
        if self._flags is None:
            self.passed, self.attention, self.reboots = len(self._needs), sum(self._needs), sum(self._boots)
            return
        if passed is None:
            passed = [place for place, flag in enumerate(self._flags) if flag]
        self.passed = len(passed)
        self.attention = sum([self._needs[place] for place in passed])
        self.reboots = sum([self._boots[place] for place in passed])

    def _lines(self, places: Sequence[int]) -> Iterator[Entry]:
        asked = self.arrangement
        if asked.group is None:
            yield from self._folded(None, places)
            return
        rows, codes = self.roster.rows, set(filter(needs_look, self.roster.tally.by_state))
        for value, members in self._grouped(asked.group, places):
            looks = sum([rows[place].state in codes for place in members])
            heading = Heading(asked.group, value, len(members), looks)
            yield heading
            if asked.fold:
                yield from self._folded(value, members)
            else:
                yield from members

    def _grouped(self, field: str, places: Sequence[int]) -> list[tuple[str | None, list[int]]]:
        found: defaultdict[str | None, list[int]] = defaultdict(list)
        value, rows = _value_of(field), self.roster.rows
        for place in places:
            found[value(rows[place])].append(place)
        return sorted(found.items(), key=lambda item: _heading_key(field, item[0]))

    def _folded(self, under: str | None, places: Sequence[int]) -> Iterator[Entry]:
        """The odd ones first: kinds of hosts by how few they are."""
        kinds: defaultdict[Hashable, list[int]] = defaultdict(list)
        rows, opened = self.roster.rows, self.arrangement.opened
        for place in places:
            kinds[signature(rows[place])].append(place)
        for kind, members in sorted(kinds.items(), key=lambda item: len(item[1])):
            key = (under, kind)
            if len(members) < FOLDED_LEAST or key in opened:
                yield from members
            else:
                yield members[0]
                yield Fold(key, members[0], tuple(members[1:]))


def _value_of(field: str) -> Callable[[HostRow], str | None]:
    match field:
        case "group":
            return lambda row: (row.groups[0] if len(row.groups) == 1 else ", ".join(row.groups)) or None
        case "version" | "state" | "channel":
            return attrgetter(field)
    key = field.partition(".")[2]
    return lambda row: row.labels.get(key)


def _heading_key(field: str, value: str | None) -> tuple[bool, Any]:
    if value is None:
        return True, ()
    if field == "version":
        return False, _newest_first(value)
    return False, (rank(value), value) if field == "state" else value


def marked_hidden(listing: Listing, marks: Iterable[str]) -> int:
    """Marked hosts that filter and toggles hide."""
    places = listing.roster.places
    return sum(not listing.is_listed(places[name]) for name in marks if name in places)
