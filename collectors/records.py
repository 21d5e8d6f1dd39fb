"""Rows of the store as values. JSON is text, times are ISO-8601 UTC text. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostRecord:
    """A row of `hosts`; columns as in migrations."""

    name: str
    asked_at: str
    taken_at: str | None
    reach: str
    reach_detail: str
    reach_since: str
    last_ok_at: str | None
    latency_s: float | None
    machine_id: str | None
    facts: str | None
    facts_digest: bytes | None
    passing: str | None
    memory: str | None
    brief: str


@dataclass(frozen=True, slots=True)
class LastLook:
    """Of a row of `hosts` what every new look is compared with: all but the large columns."""

    name: str
    asked_at: str
    reach: str
    reach_since: str
    machine_id: str | None
    facts_digest: bytes | None
    memory: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One fact of one host that changed: JSON Pointer, old and new value as JSON (None: was absent)."""

    host: str
    at: str
    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class FirstSight:
    """All facts of a machine when it was first seen under a name, or as far back as history is kept."""

    host: str
    at: str
    facts: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do something alone; `token` grows with each new owner and fences off the old ones."""

    name: str
    owner: str
    token: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A host that must not be rebooted, by a command; the fleet file's own hold is not stored."""

    host: str
    reason: str
    actor: str
    at: str
