"""locksmith: who coordinates reboots, who holds the reboot lock, and when the reboot window is open.

Sources: flatcar/locksmith:locksmithctl/{daemon,status,set_max}.go and pkg/coordinatorconf/conf.go@5b2275e;
the rule of the window: coreos/locksmith:pkg/timeutil/periodic.go@3381799.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from collectors.errors import ParseError
from collectors.facts import Coordinator, CoordinatorState, LockState
from collectors.parse.text import clean, lines, read_entries, whole_lines
from collectors.parse.update_engine import RawStatus, raw_status

_STRATEGIES = ("reboot", "etcd-lock", "off", "best-effort")
_NAMES = ("locksmithd",)


def parse_coordinator(text: str) -> Coordinator:
    """/run/update-engine/coordinator.conf: KEY=VALUE in any order, without a final newline.

    Raises ParseError for a STATE we do not know, for none of our keys at all, and for a last value that
    looks like the begin of a known one: the file was cut.
    """
    values: dict[str, str] = {}
    last = ""
    for line in lines(text):
        key, equals, value = line.partition("=")
        last = key.strip()
        if equals and last in ("NAME", "STRATEGY", "STATE"):
            values[last] = value.strip()
    if not values:
        raise ParseError(f"no coordinator in: {clean(text)}" if text.strip() else "coordinator.conf is empty")
    if not text.endswith("\n") and (cut := values.get(last)) is not None:
        known = {"STRATEGY": _STRATEGIES, "NAME": _NAMES}.get(last, ())
        if any(item != cut and item.startswith(cut) for item in known):
            raise ParseError(f"coordinator.conf is cut in {last}: {clean(cut)}")
    try:
        state = CoordinatorState(values["STATE"]) if "STATE" in values else None
    except ValueError:
        raise ParseError(f"unknown STATE in coordinator.conf: {clean(values['STATE'])}") from None
    return Coordinator(_word(values.get("NAME")), _word(values.get("STRATEGY")), state)


def _word(value: str | None) -> str | None:
    return clean(value, 64) if value else None


# -- locksmithctl ---------------------------------------------------------------------------------------

MOST_HOLDERS = 64
_COUNT = re.compile(r"(Available|Max|Old|New|Old-Max): (-?[0-9]{1,9})(?:\s.*)?")
_HOLDER = re.compile(r"([0-9A-Za-z._:-]{1,128})(?:\s.*)?")
_CTL_ERROR = re.compile(r"(?:Error [a-z ]+: .+|Must be root to .+|locksmithctl: .+|Unrecognized command: .+)")


@dataclass(frozen=True, slots=True)
class SemaphoreStatus:
    """The reboot lock of one group in etcd."""

    available: int
    """Negative where the maximum was lowered below the number of holders."""
    max: int
    holders: tuple[str, ...]
    """Machine ids."""


@dataclass(frozen=True, slots=True)
class SetMax:
    old: int
    new: int


def parse_locksmithctl_status(text: str) -> SemaphoreStatus:
    """`locksmithctl status`. Raises ParseError with its own words where it failed, or if holders are missing.

    Only the first word of a line counts; what follows the last holder is not read.
    """
    counts = _counts(text)
    if "Available" not in counts or "Max" not in counts:
        raise _ctl_error(text) or ParseError(f"no semaphore in: {clean(text)}" if text else "no semaphore")
    expected = counts["Max"] - counts["Available"]
    holders: list[str] = []
    printed = [line.strip() for line in whole_lines(text)]
    below = printed[printed.index("MACHINE ID") + 1 :] if "MACHINE ID" in printed else []
    for line in below:
        holder = _HOLDER.fullmatch(line)
        if not holder or len(holders) >= expected:
            break
        holders.append(holder[1])
    if len(holders) < expected:
        raise ParseError(f"semaphore: {len(holders)} of {expected} holders are shown")
    return SemaphoreStatus(counts["Available"], counts["Max"], tuple(holders))


def parse_lock(text: str) -> LockState:
    """The same as a fact: as many holders as are worth keeping. Raises ParseError as above."""
    found = parse_locksmithctl_status(text)
    return LockState(found.available, found.max, found.holders[:MOST_HOLDERS])


def parse_set_max(text: str) -> SetMax:
    """`locksmithctl set-max N`, in the wording of the program or of its documentation."""
    counts = _counts(text)
    old = counts.get("Old-Max", counts.get("Old"))
    new = counts.get("New", counts.get("Max"))
    if old is None or new is None:
        raise _ctl_error(text) or ParseError(f"no maximum in: {clean(text)}" if text else "no maximum")
    return SetMax(old, new)


def check_locksmithctl(text: str) -> None:
    """Raise ParseError with locksmithctl's words if it complains; `lock` and `unlock` are silent else."""
    if error := _ctl_error(text):
        raise error


def _counts(text: str) -> dict[str, int]:
    found = (_COUNT.fullmatch(line.strip()) for line in whole_lines(text))
    return {match[1]: int(match[2]) for match in found if match}


def _ctl_error(text: str) -> ParseError | None:
    found = [line.strip() for line in lines(text) if _CTL_ERROR.fullmatch(line.strip())]
    return ParseError(clean(found[-1], 200)) if found else None


# -- locksmithd's journal -------------------------------------------------------------------------------

_DAEMON_PREFIX = re.compile(r"^[0-9-]{10} [0-9:.]{8,15} [A-Z] \| \w+: ")
_STARTING = re.compile(r'locksmithd starting currentOperation="(\w+)" strategy="([^"]*)"')
_SIGNAL = re.compile(
    r'LastCheckedTime=(\S+) Progress=(\S+) CurrentOperation="?(\w+)"? NewVersion="?([^ "]*)"? NewSize=(\S+)'
)
_BLOCKED = re.compile(
    r"(?:Failed to acquire lock: |Retrying in (?P<old>[0-9hms.]+)\. Error locking: )(?P<why>.+)"
)
_RETRY = re.compile(r"(.+?)\. Retrying in ([0-9hms.]+)\.?")
_WINDOW = re.compile(r'Reboot window start is "([^"]*)" and length is "([^"]*)"')
_LOGINS = re.compile(r"Logins detected, delaying reboot for ([0-9]{1,4}) minutes?")
_TROUBLE = re.compile(r"(?:Cannot|unable|unknown|Error|Failed to set|can't|Either both|Tried to) ?.*")
_UNIT_RESULT = re.compile(r".*: Failed with result '([a-z-]+)'\.?")


@dataclass(frozen=True, slots=True)
class LocksmithFacts:
    """What locksmithd's journal tells; where a thing is told again the newest counts."""

    current_operation: str | None = None
    """As it stood when the daemon started."""
    strategy: str | None = None
    last_signal: RawStatus | None = None
    blocked_on: str | None = None
    retry_s: int | None = None
    window: tuple[str, str] | None = None
    """Start and length as configured; None without a window, or if no line tells."""
    reboot_delay_s: int | None = None
    """Someone is logged in: the reboot waits so long."""
    reboot_sent: bool = False
    unlocked_on_start: bool = False
    is_masked: bool = False
    unit_result: str | None = None
    error: str | None = None


def parse_locksmithd_journal(text: str) -> LocksmithFacts:
    """What journalctl or the daemon's stderr shows, in any form. Total: never raises."""
    facts = LocksmithFacts()
    for entry in read_entries(text):
        if entry.is_whole:
            message = _DAEMON_PREFIX.sub("", entry.message, count=1)
            facts = _told(facts, message, by_systemd=entry.ident == "systemd")
    return facts


def _told(facts: LocksmithFacts, message: str, *, by_systemd: bool) -> LocksmithFacts:
    if by_systemd:
        if "locksmithd.service is masked" in message:
            return replace(facts, is_masked=True)
        result = _UNIT_RESULT.fullmatch(message)
        return replace(facts, unit_result=result[1]) if result else facts
    if found := _STARTING.match(message):
        return replace(facts, current_operation=found[1], strategy=clean(found[2], 64))
    if found := _SIGNAL.fullmatch(message):
        return replace(facts, last_signal=_signal(found) or facts.last_signal)
    if found := _BLOCKED.fullmatch(message):
        retry = _RETRY.fullmatch(found["why"])
        why, wait = (retry[1], retry[2]) if retry else (found["why"], found["old"] or "")
        return replace(facts, blocked_on=clean(why, 200), retry_s=_length_or_none(wait))
    if found := _WINDOW.match(message):
        return replace(facts, window=(clean(found[1], 40), clean(found[2], 40)))
    if message.startswith("No configured reboot window"):
        return replace(facts, window=None)
    if found := _LOGINS.match(message):
        return replace(facts, reboot_delay_s=60 * int(found[1]))
    if message.startswith("Unlocked existing lock"):
        return replace(facts, unlocked_on_start=True)
    if message.startswith("Reboot sent."):
        return replace(facts, reboot_sent=True)
    return replace(facts, error=clean(message, 200)) if _TROUBLE.fullmatch(message) else facts


def _signal(found: re.Match[str]) -> RawStatus | None:
    try:
        return raw_status(found[1], found[2], found[3], found[4], found[5])
    except ParseError:
        return None


# -- the reboot window ----------------------------------------------------------------------------------

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME_OF_DAY = re.compile(r"([0-9]{1,2}):([0-9]{1,2})")
_PART = re.compile(r"(?:([0-9]{1,15})(?:\.([0-9]{0,15}))?|\.([0-9]{1,15}))(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"[+-]?(?:0|(?:{_PART.pattern})+)")
_UNIT_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
_UNIT_NS["h"] = 60 * _UNIT_NS["m"]
_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class RebootWindow:
    """When locksmithd may reboot the host, in the host's local time."""

    day: int | None
    """0 Monday to 6 Sunday; None: every day."""
    start_minute: int
    """After midnight."""
    length_s: int


def parse_window(start: str | None, length: str | None) -> RebootWindow | None:
    """LOCKSMITHD_REBOOT_WINDOW_START and _LENGTH as a window; None if neither is set.

    `[Ddd ]H:MM` and a Go duration, below 24 h for a daily window and 7 days for a weekly one. Raises
    ParseError for what locksmithd does not accept: it starts, and fails when a reboot is due.
    """
    start, length = start or "", length or ""
    if not start and not length:
        return None
    if not start or not length:
        raise ParseError(f"the reboot window lacks its {'length' if start else 'start'}: both or neither")
    day, minute = _parse_start(start)
    seconds = _parse_length(length)
    limit_s = _DAY_S if day is None else 7 * _DAY_S
    if not 0 <= seconds < limit_s:
        limit = "24 hours" if day is None else "7 days"
        raise ParseError(
            f"the reboot window's length must be 0 or more and less than {limit}: {clean(length)}"
        )
    return RebootWindow(day, minute, int(seconds))


def _parse_start(start: str) -> tuple[int | None, int]:
    fields = start.split()
    if len(fields) not in (1, 2):
        raise ParseError(f"the reboot window's start is not [Ddd ]HH:MM: {clean(start)}")
    if len(fields) == 2 and fields[0].lower() not in _DAYS:
        raise ParseError(f"the reboot window's day is none of Mon to Sun: {clean(fields[0])}")
    time = _TIME_OF_DAY.fullmatch(fields[-1])
    if not time or int(time[1]) > 23 or int(time[2]) > 59:
        raise ParseError(f"the reboot window's time is not 0:00 to 23:59: {clean(fields[-1])}")
    day = _DAYS.index(fields[0].lower()) if len(fields) == 2 else None
    return day, 60 * int(time[1]) + int(time[2])


def _parse_length(length: str) -> Fraction:
    """Seconds of a Go duration: `1h30m`, `1.5h`, `0`; never days."""
    if not _DURATION.fullmatch(length):
        raise ParseError(f"the reboot window's length is no duration such as 1h30m: {clean(length)}")
    nanoseconds = Fraction(0)
    for whole, part, bare_part, unit in _PART.findall(length):
        digits = part or bare_part
        nanoseconds += Fraction(int(whole + digits), 10 ** len(digits)) * _UNIT_NS[unit]
    return -nanoseconds / 10**9 if length.startswith("-") else nanoseconds / 10**9


def _length_or_none(text: str) -> int | None:
    try:
        return int(_parse_length(text))
    except ParseError:
        return None


def in_window(window: RebootWindow, local: datetime) -> bool:
    """Whether locksmithd may reboot at `local`, the host's wall clock; begin and end belong to the window.

    With a time zone on `local` the length is measured in real time across a change of the clocks.
    """
    return _elapsed_s(_last_opening(window, local), local) <= window.length_s


def next_opening(window: RebootWindow, local: datetime) -> datetime:
    """The first opening after `local`, whether the window is open now or not."""
    days = 7 if window.day is not None else 1
    return _opening(window, _last_opening(window, local), days)


def _last_opening(window: RebootWindow, local: datetime) -> datetime:
    """The newest opening at or before `local`."""
    back = (local.weekday() - window.day) % 7 if window.day is not None else 0
    opening = _opening(window, local, -back)
    if opening <= local:
        return opening
    return _opening(window, local, -back - (7 if window.day is not None else 1))


def _opening(window: RebootWindow, local: datetime, days: int) -> datetime:
    day = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0) + timedelta(days=days)
    return day.replace(hour=window.start_minute // 60, minute=window.start_minute % 60)


def _elapsed_s(earlier: datetime, later: datetime) -> float:
    if later.tzinfo is None:
        return (later - earlier).total_seconds()
    return (later.astimezone(UTC) - earlier.astimezone(UTC)).total_seconds()
