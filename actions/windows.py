"""When reboots may be issued: the fleet file's wall-clock windows against one instant. Pure.

A window opens on its days when the clocks of its time zone show its start, and stays open for its length in
elapsed time, whatever the clocks do meanwhile. A start that the clocks skip opens as if they had not been
moved; one that they show twice opens the first time only. Windows that touch or overlap are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collectors.fleet_model import Fleet, Window

_DAY_S = 86400
_WEEK_DAYS = 7
_ROUND_DAYS = 9
"""So far back that what began there is open without end: a week, and two days for zones and clocks."""


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


@dataclass(frozen=True, slots=True)
class Opening:
    """A time in which reboots may be issued: `begin` belongs to it, `end` does not."""

    begin: datetime | None
    """Aware UTC; None: it has been open for more than a week."""
    end: datetime | None
    """Aware UTC; None: without end, or none within a day of the days asked for."""
    names: tuple[str, ...]
    """Windows that make it, each once, the first to open first; none: there are no windows."""

    def has(self, moment: datetime) -> bool:
        return (self.begin is None or self.begin <= moment) and (self.end is None or moment < self.end)

    def left_s(self, now: datetime) -> float | None:
        """Seconds in which a reboot that is issued at `now` or later has to be over; None: no end."""
        if self.end is None:
            return None
        begin = now if self.begin is None else max(self.begin, now)
        return (self.end - begin).total_seconds()

    def fits(self, seconds: float, now: datetime) -> bool:
        """Whether a reboot that may take so long can still be issued in it."""
        left_s = self.left_s(now)
        return left_s is None or left_s >= seconds


def reboot_windows(fleet: Fleet) -> tuple[Window, ...]:
    """Windows that orders keep to: those of the default rollout, else all; none: at any time."""
    template = fleet.rollouts.get("default")
    names = template.windows if template and template.windows else tuple(fleet.windows)
    return tuple(fleet.windows[name] for name in names)


def open_at(windows: Iterable[Window], now: datetime) -> Open | Shut:
    """Whether any of the windows is open at `now` (aware); without windows it is always open."""
    for opening in openings(tuple(windows), now, _WEEK_DAYS + 1):
        if opening.has(now):
            return Open(opening.end)
        return Shut(opening.begin)
    return Shut(None)


def openings(windows: Sequence[Window], now: datetime, days: int = _WEEK_DAYS) -> list[Opening]:
    """The opening at `now` (aware), and those that begin within so many days, ascending, never touching."""
    if not windows:
        return [Opening(None, None, ())]
    first, last = now - timedelta(days=_ROUND_DAYS), now + timedelta(days=days)
    spans = sorted(span for window in windows for span in _spans(window, first, last))
    return [
        Opening(
            begin if begin > first + timedelta(days=1) else None,
            end if end <= last + timedelta(days=1) else None,
            names,
        )
        for begin, end, names in _joined(spans)
        if end > now and begin < last
    ]


def _spans(window: Window, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime, str]]:
    """Openings of one window in UTC: at least those that have a moment from `first` to a day past `last`."""
    zone = ZoneInfo(window.timezone)
    day = first.astimezone(zone).date() - timedelta(days=window.length_s // _DAY_S + 2)
    end = last.astimezone(zone).date() + timedelta(days=2)
    while day <= end:
        if day.weekday() in window.days:
            begin = datetime.combine(day, window.start, zone).astimezone(UTC)
            yield begin, begin + timedelta(seconds=window.length_s), window.name
        day += timedelta(days=1)


def _joined(
    spans: Iterable[tuple[datetime, datetime, str]],
) -> list[tuple[datetime, datetime, tuple[str, ...]]]:
    """Sorted spans, those that touch made one."""
    joined: list[tuple[datetime, datetime, tuple[str, ...]]] = []
    for begin, end, name in spans:
        if joined and begin <= joined[-1][1]:
            first, until, names = joined[-1]
            joined[-1] = (first, max(end, until), names if name in names else (*names, name))
        else:
            joined.append((begin, end, (name,)))
    return joined
