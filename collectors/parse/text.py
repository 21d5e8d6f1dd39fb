"""What every parser needs of a tool's output: lines, log and journal lines, safe numbers, words to quote.

Total functions: none of them raises on any text. Text from hosts is hostile, so digits are ASCII only,
numbers are bounded, and what goes into a message is one printable line of limited length.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_QUOTED = 4096  # no more of a text is looked at for a quotation from it
_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z, the last that datetime can say

_GLOG = re.compile(
    r"(?P<level>[IWEF])(?P<date>[0-9]{8}|[0-9]{4}) (?P<time>[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}) +"
    r"[0-9]{1,10} (?P<file>[A-Za-z0-9_.+-]{1,80}):(?P<line>[0-9]{1,6})\] ?(?P<message>.*)"
)
_CHROMIUM = re.compile(
    r"\[(?:[0-9]{1,10}:){0,2}(?P<date>[0-9]{4})/(?P<time>[0-9]{6}):"
    r"(?P<level>INFO|WARNING|ERROR|FATAL|VERBOSE[0-9]*):"
    r"(?P<file>[A-Za-z0-9_.+-]{1,80})\((?P<line>[0-9]{1,6})\)\] ?(?P<message>.*)"
)
_LEVELS = {"I": "INFO", "W": "WARNING", "E": "ERROR", "F": "FATAL"}


def lines(text: str) -> list[str]:
    """The lines of `text`, split at newlines only, each without one trailing carriage return.

    A final newline ends the last line and opens none; "" has no lines.
    """
    pieces = text.split("\n")
    if pieces[-1] == "":
        pieces.pop()
    return [piece.removesuffix("\r") for piece in pieces]


def whole_lines(text: str) -> list[str]:
    """The lines of `text` that a newline ends: what a cut left of the last one is not among them."""
    return lines(text[: text.rfind("\n") + 1])


def clean(text: str, limit: int = 80) -> str:
    """`text` as one printable line of at most `limit` characters, to be quoted in a message or stored.

    White space becomes single blanks, control and format characters (bidirectional marks too) U+FFFD.
    """
    words = " ".join(text[:_QUOTED].split())
    shown = words
    if not words.isprintable():
        shown = "".join("\ufffd" if unicodedata.category(char)[0] == "C" else char for char in words)
    return shown if len(shown) <= limit else shown[: max(limit - 1, 0)] + "…"


def integer(text: str) -> int | None:
    """The integer that `text` is, blanks around it aside; None if it is none or has over 19 digits."""
    stripped = text.strip(" \t\r\n")
    return int(stripped) if _INTEGER.fullmatch(stripped) else None


def instant(seconds: float) -> datetime | None:
    """The aware UTC time `seconds` after the epoch; None outside of the years 1970 to 9999."""
    return datetime.fromtimestamp(seconds, UTC) if 0 <= seconds <= _LAST_SECOND else None


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of update_engine's or its client's log."""

    level: str
    """INFO, WARNING, ERROR or FATAL."""
    clock: str
    """Date and time as written, in the host's own zone; comparable with others of the same form."""
    file: str
    line: int
    message: str
    """Without the blanks around it."""


def log_line(text: str) -> LogLine | None:
    """`text` as a log line, None if it has no such prefix.

    Two forms: glog's `E20261123 04:54:09.557541    44 file.cc:619] message` (its date without the year
    before glog 0.6), and the `[0123/220706:INFO:file.cc(245)] message` of 2016 and before.
    """
    found = _GLOG.fullmatch(text) or _CHROMIUM.fullmatch(text)
    if not found:
        return None
    level = _LEVELS.get(found["level"], found["level"])
    return LogLine(
        level, f"{found['date']} {found['time']}", found["file"], int(found["line"]), found["message"].strip()
    )


_STAMP = (
    r"(?:(?P<unix>[0-9]{10})\.(?P<micro>[0-9]{6})"
    r"|(?P<iso>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]{6})?[+-][0-9]{2}:?[0-9]{2})"
    r"|(?P<short>(?:[A-Z][a-z]{2} )?(?:[A-Z][a-z]{2} [ 0-9][0-9]|[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r" [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{6})?(?: [A-Z]{2,5})?)"
    r"|\[ *[0-9]+\.[0-9]{6}\]) "
)
_PREFIX = re.compile(
    rf"(?:{_STAMP}(?:\S{{0,255}} )?)?(?P<ident>[A-Za-z0-9_.@:-]{{1,80}})\[[0-9]{{1,10}}\]: ?"
)
_BOUNDARY = re.compile(r"-- (?:Reboot|Boot [0-9a-f]{32}) --")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal."""

    at: datetime | None
    """From the journal's clock; None where its form does not tell the time zone."""
    clock: str | None
    """The journal's clock as printed."""
    ident: str | None
    """Who wrote it; None without a journal prefix."""
    log: LogLine | None
    """update_engine's own prefix, if it has one."""
    message: str
    is_whole: bool
    """A newline ended it."""
    is_boundary: bool = False
    """journalctl's line between two boots."""


def read_entries(text: str) -> list[Entry]:
    """The lines of a journal, oldest first. A first line that lacks the others' prefix is a cut one."""
    printed = lines(text)
    entries = [
        _entry(line, is_whole=index < len(printed) - 1 or text.endswith("\n"))
        for index, line in enumerate(printed)
    ]
    if len(entries) > 1 and _is_bare(entries[0]) and not all(map(_is_bare, entries)):
        del entries[0]
    return entries[::-1] if _is_newest_first(entries) else entries


def _entry(line: str, *, is_whole: bool) -> Entry:
    found = _PREFIX.match(line)
    rest = line[found.end() :] if found else line
    log = log_line(rest.strip())
    message = log.message if log else rest.strip()
    if not found:
        return Entry(None, None, None, log, message, is_whole, bool(_BOUNDARY.fullmatch(line.strip())))
    clock = found["unix"] or found["iso"] or found["short"]
    return Entry(_time(found), clock, found["ident"], log, message, is_whole)


def _time(found: re.Match[str]) -> datetime | None:
    if found["unix"]:
        second = instant(int(found["unix"]))
        return second.replace(microsecond=int(found["micro"])) if second else None
    try:
        return datetime.fromisoformat(found["iso"]).astimezone(UTC) if found["iso"] else None
    except (ValueError, OverflowError):
        return None


def _is_bare(entry: Entry) -> bool:
    return entry.ident is None and entry.log is None and not entry.is_boundary


def _is_newest_first(entries: list[Entry]) -> bool:
    """Whether clocks run backwards in more places than forwards: one step back is a clock set right."""
    times = [entry.at for entry in entries if entry.at]
    clocks = [entry.log.clock for entry in entries if entry.log]
    back = sum(earlier > later for earlier, later in pairwise(times))
    forth = sum(earlier < later for earlier, later in pairwise(times))
    if not back and not forth:
        back = sum(earlier > later for earlier, later in pairwise(clocks))
        forth = sum(earlier < later for earlier, later in pairwise(clocks))
    return back > forth
