"""The fleet at a moment of the past, from first sights and change rows; and how much past is kept.

What a host forgets (`Memory`) is not history of its own: it follows from the facts seen one after another, so
it is worked out again in the same order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from actions.engine import REACH, answered, decode_facts, encode, instant, parsed
from collectors import tables
from collectors.errors import Reach
from collectors.memory import Memory, remember
from collectors.records import Change, FirstSight, HostRecord

Json = dict[str, Any]


@dataclass(slots=True)
class _Past:
    """One host on its way through time."""

    reach: Reach | None = None
    reach_since: str = ""
    facts: Json | None = None
    facts_at: str = ""
    memory: Memory | None = None
    pending: list[Change] = field(default_factory=list)

    def settle(self) -> None:
        """Changes of one look are one step."""
        changes, self.pending = self.pending, []
        if changes and self.facts is not None:
            for change in changes:
                _apply(self.facts, change)
            self._remember(changes[0].at)

    def begin(self, sight: FirstSight) -> None:
        self.facts = msgspec.json.decode(sight.facts)
        self._remember(sight.at)

    def take(self, change: Change) -> None:
        if change.path == REACH:
            self.reach = Reach(msgspec.json.decode(change.new or "null"))
            self.reach_since = change.at
            return
        if self.pending and self.pending[0].at != change.at:
            self.settle()
        self.pending.append(change)

    def _remember(self, at: str) -> None:
        self.facts_at = at
        self.memory = remember(self.memory, decode_facts(encode(self.facts)), parsed(at))


def fleet_at(conn: sqlite3.Connection, when: datetime) -> dict[str, HostRecord]:
    """Every host that was known then, as a record whose brief is empty: it is to be judged."""
    until = instant(when)
    swept = tables.last_sweep(conn, until)
    return {
        name: _record(conn, name, past, swept)
        for name, past in _replayed(conn, until).items()
        if past.reach is not None
    }


def _replayed(conn: sqlite3.Connection, until: str) -> dict[str, _Past]:
    hosts: dict[str, _Past] = {}
    for step in _steps(conn, until):
        past = hosts.setdefault(step.host, _Past())
        if isinstance(step, FirstSight):
            past.settle()
            past.begin(step)
        else:
            past.take(step)
    for past in hosts.values():
        past.settle()
    return hosts


def _steps(conn: sqlite3.Connection, until: str) -> Iterator[FirstSight | Change]:
    """First sights and changes by time; of one moment the changes first: they are of the machine before."""
    changes = tables.changes_between(conn, "", until)
    waiting = next(changes, None)
    for sight in tables.first_sights(conn, until):
        while waiting is not None and waiting.at <= sight.at:
            yield waiting
            waiting = next(changes, None)
        yield sight
    if waiting is not None:
        yield waiting
    yield from changes


def _apply(document: Json, change: Change) -> None:
    """Set one leaf; an object that is missing on the way is made, a value that becomes null stays as null."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in change.path.split("/")[1:]]
    place: Any = document
    for step in steps[:-1]:
        if not isinstance(place.get(step), dict):
            place[step] = {}
        place = place[step]
    if change.new is None and _is_entry(change.path):
        place.pop(steps[-1], None)
    else:
        place[steps[-1]] = msgspec.json.decode(change.new) if change.new is not None else None


_MAPPINGS = ("/units/", "/extensions/candidates/", "/extensions/links/", "/extensions/meta/")


def _is_entry(path: str) -> bool:
    """Whether a path names an entry of a mapping, which is gone when its value is."""
    return any(path.startswith(start) and "/" not in path[len(start) :] for start in _MAPPINGS)


def _record(conn: sqlite3.Connection, name: str, past: _Past, swept: str | None) -> HostRecord:
    assert past.reach is not None
    is_there = answered(past.reach)
    seen_at = swept if is_there else tables.last_sweep(conn, past.reach_since)
    taken_at = max(past.facts_at, seen_at or "") if past.facts is not None else None
    machine_id = past.facts["identity"]["machine_id"] if past.facts else None
    return HostRecord(
        name=name,
        asked_at=max(past.reach_since, swept or ""),
        taken_at=taken_at,
        reach=past.reach,
        reach_detail="" if is_there else str(past.reach).replace("_", " "),
        reach_since=past.reach_since,
        last_ok_at=taken_at,
        latency_s=None,
        machine_id=machine_id,
        facts=encode(past.facts).decode() if past.facts is not None else None,
        facts_digest=b"" if past.facts is not None else None,
        passing=None,
        memory=encode(past.memory).decode() if past.memory is not None else None,
        brief="",
    )


def forget_before(conn: sqlite3.Connection, cutoff: datetime) -> int:
    """Fold everything older than `cutoff` into one first sight a host; how many hosts had older history.

    What the fleet was at any later moment stays the same. Call inside a transaction.
    """
    until = instant(cutoff)
    folded = _replayed(conn, until)
    for name, past in folded.items():
        tables.forget_history(conn, name, until)
        if past.facts is not None:
            tables.put_first_sights(conn, [FirstSight(name, until, encode(past.facts).decode())])
        if past.reach is not None:
            tables.put_changes(conn, [Change(name, until, REACH, None, encode(past.reach).decode())])
    tables.forget_sweeps(conn, until)
    return len(folded)
