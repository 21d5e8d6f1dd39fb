"""A host as the table, the filter and the bars need it, and the fleet they show. Pure.

None means "not read" or "not known", never a default. Rows are made from stored columns; nothing here
reads, judges or formats. Texts may come from hosts: what shows them goes through `console.visible`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from collectors.errors import Reach
from console.states import STATES, word_of

SlotLetter = Literal["A", "B"]

FEED_STALE_AFTER_S = 14 * 86400.0
"""A feed older than this proves nothing about what is newest."""
_ANSWERED = frozenset({"ok", "not_flatcar"})
_UPDATES_OFF = frozenset({"updates_disabled", "masked", "engine_down", "residue"})
_NUMBER = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
_VERSION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9}){0,3})(?:[+-].*)?")


@dataclass(frozen=True, slots=True)
class SlotCell:
    """One slot, as the signature `A►4593.2.4  B→4593.2.5` and the drawing need it."""

    version: str | None
    priority: int
    tries: int
    successful: bool
    dead: bool
    """Tried and never confirmed: it cannot boot."""


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host in brief."""

    name: str
    address: str
    state: str
    """`situation.state` of fleetctl.status/1."""
    port: int = 22
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    hold: str | None = None
    reasons: tuple[tuple[str, str], ...] = ()
    """Code and text; the state's own first."""
    remedy: str | None = None
    version: str | None = None
    channel: str | None = None
    """The group that its updater sends."""
    running: SlotLetter | None = None
    next: SlotLetter | None = None
    slot_a: SlotCell | None = None
    slot_b: SlotCell | None = None
    behind: int | None = None
    """Releases; 0 is the newest of its channel."""
    operation: str | None = None
    progress: float | None = None
    """0 to 1."""
    extensions: tuple[str, ...] | None = None
    """Names merged; None: not read."""
    extension_problems: tuple[str, ...] = ()
    oem: str | None = None
    arch: str | None = None
    reach: str | None = None
    """`reach.state` of the last try; None: never asked."""
    health: str = ""
    """"" where nothing is wrong."""
    order: str | None = None
    """Verb and phase of the order on it, such as `stage sent`; None: no order."""
    will_reboot_by_itself: bool | None = None
    taken_at: datetime | None = None
    """When what is shown was read; None: never."""
    stale: bool = False
    """Read longer ago than the fleet file's `stale_after`."""
    certain: bool = True
    """False: the release feed cannot prove that it is current."""

    @property
    def answered(self) -> bool:
        """Whether the last try got a whole answer."""
        return self.reach in _ANSWERED

    @property
    def needs_reboot(self) -> bool:
        """The next boot is the other slot, and not because the running one is unconfirmed."""
        moves = self.running is not None and self.next is not None and self.running != self.next
        cell = self.slot_a if self.running == "A" else self.slot_b
        return moves and cell is not None and cell.successful

    @property
    def updates_off(self) -> bool:
        """It fetches no updates by itself, wanted or not."""
        return self.state == "updates_off" or any(code in _UPDATES_OFF for code, _ in self.reasons)


@dataclass(frozen=True, slots=True)
class Alert:
    """A rollout that waits for a person."""

    rollout: str
    word: str
    """HALTED, WAITING …"""
    text: str
    """Why, and what it does until it is answered."""


@dataclass(frozen=True, slots=True)
class Summary:
    """`summary` of fleetctl.status/1: counts over the rows shown; the key None counts what is not known."""

    hosts: int
    answered: int
    by_state: Mapping[str, int]
    by_version: Mapping[str | None, int]
    by_channel: Mapping[str | None, int]
    needs_reboot: int
    will_reboot_by_itself: int
    updates_off: int
    extension_problems: int
    """Hosts with at least one."""


@dataclass(frozen=True, slots=True)
class FleetView:
    """What one screen of text or widgets shows: the rows selected, and what holds for the fleet."""

    fleet: str
    now: datetime
    """Aware; its time zone is the one in which times are shown."""
    rows: Sequence[HostRow]
    fleet_hosts: int
    """Hosts in the fleet file, selected or not."""
    taken_at: datetime | None = None
    """End of the last sweep."""
    accent: str | None = None
    feed_date: date | None = None
    """None: no releases are known."""
    feed_age_s: float | None = None
    stale_after_s: float = 900.0
    selection: str = ""
    """As typed; "" is every host."""
    alerts: tuple[Alert, ...] = ()
    version_notes: Mapping[str, str] = field(default_factory=dict)
    """Version -> what it is: `stable head`, `end of life`."""


def summarize(rows: Sequence[HostRow]) -> Summary:
    return Summary(
        hosts=len(rows),
        answered=sum(row.answered and not row.stale for row in rows),
        by_state=Counter([row.state for row in rows]),
        by_version=Counter([row.version for row in rows]),
        by_channel=Counter([row.channel for row in rows]),
        needs_reboot=sum(row.needs_reboot for row in rows),
        will_reboot_by_itself=sum(row.will_reboot_by_itself is True for row in rows),
        updates_off=sum(row.updates_off for row in rows),
        extension_problems=sum(bool(row.extension_problems) for row in rows),
    )


def version_key(text: str) -> tuple[int, ...] | None:
    """What versions compare by: their numbers, four of them; None if `text` begins with no version.

    A build that is no release (`4593.2.0+nightly-…`) compares as the release it is named after.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        return None
    numbers = [int(part) for part in found[1].split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def number_key(text: str) -> tuple[float, ...] | None:
    """What numbers compare by; None if `text` is none."""
    return (float(text),) if _NUMBER.fullmatch(text) else None


_QUIET = frozenset({"current", "just_updated", "rollback_available", "never_updated", "behind"})
"""Reasons that say nothing beside the state and its numbers."""


def row_note(row: HostRow) -> str:
    """The one thing to say beside the state; "" where the state says it all. May hold a host's text."""
    if row.state == "held" and row.hold:
        return row.hold
    by_itself = [text for code, text in row.reasons if code in ("staged_will_reboot", "staged_window")]
    if row.will_reboot_by_itself and by_itself:
        return by_itself[0]
    loud = [text for code, text in row.reasons if code not in _QUIET]
    text = loud[0] if loud else ""
    if row.will_reboot_by_itself:
        return f"reboots by itself; {text}" if text else "reboots by itself"
    if not text and row.state == "staging" and row.progress is not None:
        return f"{row.progress:.0%}"
    return text or row.health


# What can be selected by

Read = Callable[[HostRow], Iterable[str]]
"""What a row says in a field, in words."""


def state_words(row: HostRow) -> tuple[str, ...]:
    """The state's code and the word shown."""
    return row.state, word_of(row.state, certain=row.certain)


def _operation(row: HostRow) -> tuple[str, ...]:
    """Update_engine's word, and the same without its prefix."""
    return (row.operation, row.operation.removeprefix("UPDATE_STATUS_")) if row.operation else ()


def label_of(key: str) -> Read:
    return lambda row: (row.labels[key],) if key in row.labels else ()


def _optional(value: str | None) -> tuple[str, ...]:
    return () if value is None else (value,)


FIELDS: dict[str, Read] = {
    "name": lambda row: (row.name,),
    "group": lambda row: row.groups,
    "state": state_words,
    "reason": lambda row: (part for reason in row.reasons for part in reason),
    "version": lambda row: _optional(row.version),
    "channel": lambda row: _optional(row.channel),
    "slot": lambda row: _optional(row.running),
    "next": lambda row: _optional(row.next),
    "behind": lambda row: () if row.behind is None else (str(row.behind),),
    "operation": _operation,
    "extension": lambda row: row.extensions or (),
    "oem": lambda row: _optional(row.oem),
    "arch": lambda row: _optional(row.arch),
    "reach": lambda row: _optional(row.reach),
    "order": lambda row: _optional(row.order),
    "needs": lambda row: (),
}
"""Field -> what a row says in it; nothing where it is not known. `label.KEY` is one more."""

CHOICES: dict[str, tuple[str, ...]] = {
    "state": (*STATES, *(style.word for style in STATES.values()), "current?"),
    "slot": ("A", "B", "unknown"),
    "next": ("A", "B", "unknown"),
    "reach": (*Reach, "unknown"),
    "needs": ("attention",),
}
"""Fields with a fixed set of words: another word is a slip, not an empty selection."""


def like(pattern: str) -> Callable[[str], bool]:
    """Whole text against a lower-case pattern, `*` for any text; linear, however many there are."""
    first, *rest = pattern.split("*")
    if not rest:
        return lambda text: text.lower() == first
    *middle, last = rest

    def fits(text: str) -> bool:
        text = text.lower()
        at, end = len(first), len(text) - len(last)
        if not text.startswith(first) or end < at or not text.endswith(last):
            return False
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return fits
