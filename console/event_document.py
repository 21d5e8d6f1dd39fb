"""What happened to an order or a rollout, as one small JSON object for `hooks.notify_file`. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from actions.engine import instant
from actions.order_rows import HostRow
from actions.orders import Placed, asked_words
from actions.rollout_talk import Tell

SCHEMA = "fleetctl.event/1"
Json = dict[str, Any]


def order_event(fleet: str, order: Placed, event: str, at: datetime) -> Json:
    """`begun` or `ended`: the order as a whole."""
    return {
        "schema": SCHEMA,
        "fleet": fleet,
        "at": instant(at),
        "event": event,
        "order": order.id,
        "verb": str(order.asked.verb),
        "asked": asked_words(order.asked),
        "by": order.actor.said or order.actor.login,
        "host": None,
        "phase": None,
        "code": None,
        "text": None,
    }


def host_event(fleet: str, order: Placed, row: HostRow, at: datetime) -> Json:
    """A host of it came into another phase."""
    told = {"host": row.host, "phase": str(row.phase), "code": row.code, "text": row.text}
    return {**order_event(fleet, order, "host", at), "order": row.order_id, **told}


def rollout_event(fleet: str, rollout_id: str, tell: Tell, at: datetime) -> Json:
    """An event of a rollout: `kind` is rollout, cohort, host, gate, stalled or answer."""
    return {
        "schema": SCHEMA,
        "fleet": fleet,
        "at": instant(at),
        "event": "rollout",
        "rollout": rollout_id,
        "kind": str(tell.kind),
        "about": tell.about,
        "text": tell.text,
        "cause": tell.cause,
    }
