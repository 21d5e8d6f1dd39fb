"""A calendar as JSON, `fleetctl.calendar/1`. Pure."""

from __future__ import annotations

from typing import Any

from actions.calendar import ByItself, Calendar, Slot, Turn
from collectors.fleet_model import Window
from console.visible import DAYS
from console.when import iso

Json = dict[str, Any]


def calendar_document(made: Calendar) -> Json:
    """The object that `fleetctl calendar --json` prints."""
    return {
        "schema": "fleetctl.calendar/1",
        "generated_at": iso(made.now),
        "fleet": made.fleet,
        "days": made.days,
        "hosts": list(made.hosts),
        "at_any_time": not made.windows,
        "windows": [
            *[_window(window, is_used=True) for window in made.windows],
            *[_window(window, is_used=False) for window in made.unused],
        ],
        "openings": [_slot(slot) for slot in made.slots],
        "turns": [_turn(turn) for turn in made.turns],
        "never": [{"host": host, "reboot_deadline_s": made.deadlines_s[host]} for host in made.never],
        "held": [{"host": host, "reason": reason} for host, reason in made.held],
        "by_itself": [_by_itself(item) for item in made.by_itself],
        "not_known": [
            {"host": item.host, "why": item.why, "taken_at": iso(item.taken_at)} for item in made.not_known
        ],
    }


def _window(window: Window, *, is_used: bool) -> Json:
    return {
        "name": window.name,
        "days": [DAYS[day] for day in window.days],
        "start": f"{window.start:%H:%M}",
        "length_s": window.length_s,
        "timezone": window.timezone,
        "used": is_used,
    }


def _slot(slot: Slot) -> Json:
    return {
        "begins_at": iso(slot.opening.begin),
        "ends_at": iso(slot.opening.end),
        "windows": list(slot.opening.names),
        "open": slot.is_open,
        "left_s": slot.left_s,
        "too_short_for": list(slot.too_short_for),
    }


def _turn(turn: Turn) -> Json:
    cohort = turn.cohort
    return {
        "cohort": cohort.name,
        "takes": cohort.selection or (str(cohort.share) if cohort.share else "rest"),
        "count": turn.count,
        "hosts": None if turn.hosts is None else list(turn.hosts),
    }


def _by_itself(item: ByItself) -> Json:
    return {
        "host": item.host,
        "when": item.when,
        "begins_at": iso(item.begins_at),
        "ends_at": iso(item.ends_at),
        "windows": item.fit,
        "hold": item.hold,
        "stale": item.is_stale,
        "taken_at": iso(item.taken_at),
    }
