"""The fleet's rows, and what is worked out once for them all: places, counts, whom a text selects. Pure.

From tick to tick a row that did not change is the same object, so a tick costs what changed and a key nothing
that was known before. What a text selects is what `console.selection` says, found without asking every row.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from console.render import Standing, is_old
from console.rows import FIELDS, HostRow
from console.selection import Selection, Test, parse
from console.states import needs_look, word_of

Flags = list[bool]
"""One for each row, in the order of the fleet."""

_SUGGESTED_FROM = 5_000
"""In a larger fleet no name is proposed for a mistyped one: that would take longer than a key may."""
_WORDS_KEPT = 16


@dataclass(frozen=True, slots=True)
class Change:
    """What one `Roster.take` brought."""

    is_new: bool
    """Other hosts, or in another order: nothing that was known by place holds any longer."""
    changed: tuple[tuple[int, HostRow], ...] = ()
    """Places, and the rows that stood there."""


@dataclass(slots=True)
class Tally:
    """Counts over the whole fleet; kept up to date by what changes."""

    by_state: Counter[str] = field(default_factory=Counter)
    by_version: Counter[str | None] = field(default_factory=Counter)
    """None: not known."""
    old: int = 0
    never: int = 0
    asked: int = 0
    """Of which one try at least has ended."""
    by_itself: int = 0
    uncertain: int = 0
    """Of which nobody can say that they run the newest."""

    def count(self, rows: Sequence[HostRow], sign: int = 1) -> None:
        """Add `rows`, or take them away again with -1."""
        add = Counter.update if sign > 0 else Counter.subtract
        add(self.by_state, [row.state for row in rows])
        add(self.by_version, [row.version for row in rows])
        self.old += sign * sum(map(is_old, rows))
        self.never += sign * sum([row.taken_at is None for row in rows])
        self.asked += sign * sum([row.reach is not None for row in rows])
        self.by_itself += sign * sum([row.will_reboot_by_itself is True for row in rows])
        self.uncertain += sign * sum([not row.certain for row in rows])

    def forget_none(self) -> None:
        """Drop what no host is any more."""
        self.by_state, self.by_version = +self.by_state, +self.by_version

    @property
    def hosts(self) -> int:
        return self.by_state.total()

    @property
    def standing(self) -> Standing:
        looks = sum(count for code, count in self.by_state.items() if needs_look(code))
        return Standing(
            self.hosts, looks, self.old, self.never, self.by_state.get("behind", 0), self.by_itself
        )


class _Names(dict[str, int]):
    """Places by name, as the parser takes them: found at once, listed only while they are few."""

    def __iter__(self) -> Iterator[str]:
        return super().__iter__() if len(self) <= _SUGGESTED_FROM else iter(())


class Roster:
    """The rows of one fleet, by place."""

    def __init__(self) -> None:
        self.rows: list[HostRow] = []
        self.places: dict[str, int] = _Names()
        self.tally = Tally()
        self.longest_name = 0
        self.longest_version = 0
        """Characters; never shrinks while the fleet is the same, so that columns stand still."""
        self._lower: list[str] = []
        self._words: dict[str, Flags] = {}
        self._groups: frozenset[str] | None = None

    def take(self, rows: Sequence[HostRow]) -> Change:
        """The fleet as it is now."""
        old = self.rows
        if len(rows) != len(old):
            return self._renew(rows)
        changed = [place for place, (row, was) in enumerate(zip(rows, old, strict=True)) if row is not was]
        if any(rows[place].name != old[place].name for place in changed):
            return self._renew(rows)
        if changed:
            self.rows = list(rows)
            self._words.clear()
            self._groups = None
            self.tally.count([old[place] for place in changed], -1)
            fresh = [rows[place] for place in changed]
            self.tally.count(fresh)
            self.tally.forget_none()
            self.longest_version = max(self.longest_version, _longest_version(fresh))
        return Change(False, tuple([(place, old[place]) for place in changed]))

    def _renew(self, rows: Sequence[HostRow]) -> Change:
        self.rows = list(rows)
        names = [row.name for row in rows]
        self.places = _Names(zip(names, range(len(names)), strict=True))
        self.tally = Tally()
        self.tally.count(self.rows)
        self.longest_name = max(map(len, names), default=0)
        self.longest_version = _longest_version(self.rows)
        self._lower = [name.lower() for name in names]
        self._words.clear()
        self._groups = None
        return Change(True)

    # Whom a text selects

    def row(self, name: str) -> HostRow | None:
        place = self.places.get(name)
        return None if place is None else self.rows[place]

    def select(self, text: str) -> tuple[Selection, Flags | None]:
        """What `text` means here, and which rows it is; None for every row. Raises SelectionError."""
        selection = self._parse(text)
        if selection.is_all:
            return selection, None
        parts = _parts(text)
        if parts is None:
            return selection, list(map(selection.matches, self.rows))
        flags = list(self._all_of(parts[0]))  # the caller's own: it may bring it up to date
        for words in parts[1:]:
            flags = list(map(operator.or_, flags, self._all_of(words)))
        return selection, flags

    def _parse(self, text: str) -> Selection:
        return parse(text, self.places, self.groups if "@" in text or "group" in text.lower() else None)

    @property
    def groups(self) -> frozenset[str]:
        if self._groups is None:
            self._groups = frozenset().union(*{row.groups for row in self.rows})
        return self._groups

    def _all_of(self, words: Sequence[tuple[bool, str]]) -> Flags:
        flags: Flags | None = None
        for is_wanted, word in words:
            found = self._flags(word) if is_wanted else list(map(operator.not_, self._flags(word)))
            flags = found if flags is None else list(map(operator.and_, flags, found))
        return flags or []

    def _flags(self, word: str) -> Flags:
        """Of one term; those used last are kept, for a text grows letter by letter."""
        flags = self._words.pop(word, None)
        if flags is None:
            flags = self._found(word)
        while len(self._words) >= _WORDS_KEPT:
            self._words.pop(next(iter(self._words)))
        self._words[word] = flags
        return flags

    def _found(self, word: str) -> Flags:
        test = self._parse(word).matches
        read = None if word in self.places else _reader(word)
        if read is not None:
            return _by_value(test, read, self.rows)
        if word in self.places or set(word) & set("@[]:=<>*?"):
            return list(map(test, self.rows))
        wanted = word.lower()
        states = {code for code in self.tally.by_state if any(wanted in text for text in _state_words(code))}
        if not states:
            return [wanted in name for name in self._lower]
        return [
            wanted in name or row.state in states for name, row in zip(self._lower, self.rows, strict=True)
        ]


def _longest_version(rows: Sequence[HostRow]) -> int:
    versions = {row.version for row in rows}
    versions |= {cell.version for cell in map(_SLOT_A, rows) if cell is not None}
    versions |= {cell.version for cell in map(_SLOT_B, rows) if cell is not None}
    return max((len(version) for version in versions if version), default=0)


_SLOT_A, _SLOT_B = attrgetter("slot_a"), attrgetter("slot_b")


def _state_words(code: str) -> tuple[str, str]:
    """Lower-case; whether the state is certain changes nothing but a question mark at the end."""
    return code.lower(), word_of(code).lower()


_SIGN = re.compile(r"([A-Za-z]+)(?:\.([^:=<>!\s]+))?(?::?(?:!=|>=|<=|=|>|<)|:)")
_READ: dict[str, Callable[[HostRow], Hashable]] = {
    "group": attrgetter("groups"),
    "state": lambda row: row.state if row.certain else (row.state,),
    "reason": attrgetter("reasons"),
    "version": attrgetter("version"),
    "channel": attrgetter("channel"),
    "slot": attrgetter("running"),
    "next": attrgetter("next"),
    "behind": attrgetter("behind"),
    "operation": attrgetter("operation"),
    "extension": attrgetter("extensions"),
    "oem": attrgetter("oem"),
    "arch": attrgetter("arch"),
    "reach": attrgetter("reach"),
    "order": attrgetter("order"),
    "needs": attrgetter("state"),
}
"""Field -> all that a term about it reads of a row: rows with the same value get the same answer."""
BY_VALUE = frozenset(_READ)
BY_ROW = frozenset(FIELDS) - BY_VALUE
"""Fields that differ from row to row, so that nothing is saved."""


def _reader(word: str) -> Callable[[HostRow], Hashable] | None:
    """What a term reads of a row, where many rows share it."""
    if word[0] == "@":
        return _READ["group"]
    found = _SIGN.match(word)
    if found is None:
        return None
    if found[1].lower() == "label" and found[2]:
        key = found[2]
        return lambda row: row.labels.get(key)
    return _READ.get(found[1].lower())


def _by_value(test: Test, read: Callable[[HostRow], Hashable], rows: Sequence[HostRow]) -> Flags:
    """`test` of every row, asked once for each value."""
    values = list(map(read, rows))
    answers = {value: test(row) for value, row in dict(zip(values, rows, strict=True)).items()}
    return [answers[value] for value in values]


def _parts(text: str) -> list[list[tuple[bool, str]]] | None:
    """A text without parentheses, quotes and regular expressions, as alternatives of terms that all must fit.

    A term goes with whether it is wanted. None for any other text.
    """
    if set(text) & set("()\"'~"):
        return None
    parts: list[list[tuple[bool, str]]] = [[]]
    is_wanted = True
    for word in text.split():
        match word.lower():
            case "or":
                parts.append([])
            case "and":
                pass
            case "not":
                is_wanted = not is_wanted
            case _:
                parts[-1].append((is_wanted, word))
                is_wanted = True
    return parts
