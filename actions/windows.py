"""When reboots may be issued: the fleet file's wall-clock windows against one instant. Pure.

A window opens on its days when the clocks of its time zone show its start, and stays open for its length in
elapsed time, whatever the clocks do meanwhile. A start that the clocks skip opens as if they had not been
moved; one that they show twice opens the first time only. Windows that touch or overlap are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collectors.fleet_model import Window

_DAY_S = 86400
_AHEAD_DAYS = 9
"""A window with at least one day opens within a week; one more day for the zone, one for the clocks."""


@dataclass(frozen=True, slots=True)
class Open:
    until: datetime | None
    """Aware UTC; None: without end, or none within the next days."""

    def leaves(self, seconds: float, now: datetime) -> bool:
        """Whether so much time is left."""
        return self.until is None or (self.until - now).total_seconds() >= seconds


@dataclass(frozen=True, slots=True)
class Shut:
    opens_at: datetime | None
    """Aware UTC; None where no window names a day."""


def open_at(windows: Iterable[Window], now: datetime) -> Open | Shut:
    """Whether any of the windows is open at `now` (aware); without windows it is always open."""
    given = tuple(windows)
    if not given:
        return Open(None)
    horizon = now + timedelta(days=_AHEAD_DAYS - 1)
    spans = _joined(sorted(span for window in given for span in _spans(window, now)))
    for begin, end in spans:
        if begin <= now < end:
            return Open(None if end > horizon else end)
        if begin > now:
            return Shut(begin)
    return Shut(None)


def _spans(window: Window, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Openings around `now`, in UTC."""
    zone = ZoneInfo(window.timezone)
    today = now.astimezone(zone).date()
    behind = -(-window.length_s // _DAY_S) + 1
    for number in range(-behind, _AHEAD_DAYS + 1):
        day = today + timedelta(days=number)
        if day.weekday() in window.days:
            begin = datetime.combine(day, window.start, zone).astimezone(UTC)
            yield begin, begin + timedelta(seconds=window.length_s)


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Sorted spans, those that touch made one."""
    joined: list[tuple[datetime, datetime]] = []
    for begin, end in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
