"""Rows of orders, pins and quarantine as values. JSON is text, times are ISO-8601 UTC text. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from actions.orders import Phase


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A row of `orders`; columns as in migrations."""

    id: str
    at: str
    verb: str
    asked: str
    actor: str
    at_once: int
    stops: int
    after: str | None = None
    ended_at: str | None = None


@dataclass(frozen=True, slots=True)
class HostRow:
    """A row of `order_hosts`."""

    order_id: str
    host: str
    place: int
    phase: Phase
    since: str
    step: str
    sent_at: str | None = None
    code: str | None = None
    text: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A version that a machine is not to get again."""

    machine_id: str
    version: str
    host: str
    reason: str
    order_id: str | None
    at: str


@dataclass(frozen=True, slots=True)
class Pin:
    """The version that is wanted of a host, by a command."""

    host: str
    version: str
    reason: str
    actor: str
    at: str
