"""Moments as people type them: a time, a date, or how long ago. Pure; the clock is an argument."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from collectors.errors import ConfigError

_AGO = re.compile(r"([0-9]{1,6})(s|min|m|h|d|w)(?: ?ago)?", flags=re.ASCII)
_SPAN = re.compile(r"([0-9]{1,6})(s|m|min|h|d)", flags=re.ASCII)
_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})", flags=re.ASCII)
FORMS = "2h, 3d ago, 14:30, yesterday, 2026-11-24, 2026-11-24 03:12 or 2026-11-24T03:12:00Z"


def iso(at: datetime | None) -> str | None:
    """A moment as JSON has it: UTC, whole seconds, `2026-11-24T03:12:00Z`; None stays None."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if at else None


def parse_when(text: str, now: datetime, *, place: str) -> datetime:
    """A moment in the past, aware; times without a zone are in that of `now`.

    Raises ConfigError that names `place` (the option) and the forms there are.
    """
    found = _moment(" ".join(text.split()), now)
    if found is None:
        raise ConfigError(place, repr(text), f"is no moment; write {FORMS}")
    if found > now:
        raise ConfigError(place, repr(text), "lies in the future")
    return found


def parse_span(text: str, *, place: str) -> float:
    """How long, in seconds: `90s`, `20m`, `2h`. Raises ConfigError that names `place` (the option)."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise ConfigError(place, repr(text), "is no time span; write 90s, 20m or 2h")
    return float(int(found[1]) * _UNITS[found[2]])


def _moment(text: str, now: datetime) -> datetime | None:
    if text in ("now", "yesterday"):
        return now - timedelta(days=text == "yesterday")
    if ago := _AGO.fullmatch(text):
        return now - timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    if clock := _CLOCK.fullmatch(text):
        return _last(int(clock[1]), int(clock[2]), now)
    try:
        if len(text) == len("2026-11-24"):
            return datetime.combine(date.fromisoformat(text), time(), now.tzinfo)
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)


def _last(hour: int, minute: int, now: datetime) -> datetime | None:
    """The last time when a clock showed this."""
    if hour > 23 or minute > 59:
        return None
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)
