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
    facts: str | None
    facts_digest: bytes | None
    passing: str | None
    memory: str | None
    brief: str


@dataclass(frozen=True, slots=True)
class Change:
    """One fact of one host that changed: JSON Pointer, old and new value as JSON (None: was absent)."""

    host: str
    at: str
    path: str
    old: str | None
    new: str | None
