"""What systemd-sysext and systemd-confext say: what is merged, and what they would consider.

JSON and text of systemd 252 to 262. An unmerged hierarchy's extensions are the string "none" in older
JSON, an empty array in newer, and `none` or `-` in the tables.
Source: systemd 252, 257 and 262, src/sysext/sysext.c, and run in throw-away roots.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from collectors.errors import ParseError
from collectors.parse.text import clean, instant, lines, whole_lines
from collectors.parse.units import json_rows, parse_timestamp
from collectors.redact import visible

_IMAGE_TYPES = frozenset({"directory", "subvolume", "raw", "block", "mstack"})
_NONE_FOUND = re.compile(r"No (?:[A-Za-z]+ )?extensions found\.")
_NO_TIME = ("-", "n/a")
_WEEKDAYS = frozenset({"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"})


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One merged or unmerged tree."""

    extensions: tuple[str, ...] = ()
    since: datetime | None = None
    """None where nothing is merged, and where a table gives the zone as an abbreviation other than UTC."""
    since_text: str | None = None
    """The table's own words; None from JSON."""


@dataclass(frozen=True, slots=True)
class SysextStatus:
    hierarchies: dict[str, Hierarchy] = field(default_factory=dict)
    """Path -> what is merged there; a hierarchy that the host does not have is not among them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that would be considered; it may be incompatible, and need not be merged."""

    name: str
    type: str
    path: str
    """The link up to systemd 257, its target in 262."""
    time: datetime | None = None
    time_text: str | None = None


class _HierarchyRow(msgspec.Struct):
    hierarchy: str
    extensions: list[str] | str
    since: int | None = None


class _CandidateRow(msgspec.Struct):
    name: str
    type: str
    path: str
    time: int | None = None


def _microseconds(value: int | None) -> datetime | None:
    """Microseconds since the epoch; None where there are none, or too many for a time."""
    return instant(value / 1e6) if value is not None and 0 <= value < 10**18 else None


def parse_sysext_status(text: str) -> SysextStatus:
    """`systemd-sysext status`, also confext's: JSON (times in microseconds) or the table."""
    if text.lstrip().startswith("[") and not _header(text, "HIERARCHY"):
        rows = json_rows(text, _HierarchyRow, "systemd-sysext status")
        return SysextStatus({_path(row.hierarchy): _hierarchy(row) for row in rows})
    return SysextStatus(_status_table(text))


def parse_sysext_list(text: str) -> tuple[Candidate, ...]:
    """`systemd-sysext list`, also confext's: JSON, the table, or its sentence that there is none."""
    if text.lstrip().startswith("[") and not _header(text, "NAME"):
        rows = json_rows(text, _CandidateRow, "systemd-sysext list")
        return tuple(_candidate(row.name, row.type, row.path, _microseconds(row.time)) for row in rows)
    if any(_NONE_FOUND.fullmatch(line.strip()) for line in lines(text)):
        return ()
    return tuple(_list_table(text))


def _hierarchy(row: _HierarchyRow) -> Hierarchy:
    if isinstance(row.extensions, str):
        if row.extensions not in ("none", "-", ""):
            raise ParseError(f"systemd-sysext status: extensions are {clean(row.extensions)!r}")
        return Hierarchy()
    since = _microseconds(row.since)
    return Hierarchy(tuple(visible(name, 255) for name in row.extensions), since)


def _candidate(
    name: str, kind: str, path: str, time: datetime | None, time_text: str | None = None
) -> Candidate:
    if kind not in _IMAGE_TYPES:
        raise ParseError(f"systemd-sysext list: {clean(name)}: unknown type {clean(kind)!r}")
    return Candidate(visible(name, 255), kind, visible(path), time, time_text)


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ParseError(f"systemd-sysext status: hierarchy {clean(text)!r} is no path")
    return visible(text)


def _header(text: str, first: str) -> bool:
    return any(line.split()[:1] == [first] for line in lines(text))


def _rows(text: str, first: str) -> Iterator[str]:
    """The whole lines below the header line that begins with `first`."""
    found = False
    for line in whole_lines(text):
        if found:
            yield line.rstrip()
        elif line.split()[:1] == [first]:
            found = True
    if not found:
        raise ParseError(f"systemd-sysext: no line {first} ... in {clean(text)!r}")


def _status_table(text: str) -> dict[str, Hierarchy]:
    """One row for each extension; only the first of a hierarchy names it and the time."""
    found: dict[str, Hierarchy] = {}
    path = ""
    for line in _rows(text, "HIERARCHY"):
        if line.startswith("/"):
            rest, since = _split_time(line)
            path, _, name = rest.partition(" ")
            path = visible(path)
            if since is None:
                raise ParseError(f"systemd-sysext status: no time in {clean(line)!r}")
            name = name.strip()
            names: tuple[str, ...] = () if name in ("none", "-", "") else (visible(name, 255),)
            since_text = None if since in _NO_TIME else visible(since)
            found[path] = Hierarchy(names, parse_timestamp(since), since_text)
        elif line.startswith(" ") and line.strip() and path:
            merged = found[path]
            names = (*merged.extensions, visible(line.strip(), 255))
            found[path] = Hierarchy(names, merged.since, merged.since_text)
        else:  # a prompt, a blank line: the table is over
            break
    if not found:
        raise ParseError(f"systemd-sysext status: no hierarchy in {clean(text)!r}")
    return found


def _list_table(text: str) -> Iterator[Candidate]:
    for line in _rows(text, "NAME"):
        rest, time = _split_time(line)
        head, slash, path = rest.partition(" /")
        words = head.rsplit(maxsplit=1)
        if time is None or not slash or len(words) != 2:
            break
        time_text = None if time in _NO_TIME else visible(time)
        yield _candidate(words[0], words[1], f"/{path.strip()}", parse_timestamp(time), time_text)


def _split_time(line: str) -> tuple[str, str | None]:
    """A row without its last cell, and that cell: a time, or a word for none; None if it is neither."""
    rest, _, last = line.rpartition(" ")
    if last in _NO_TIME:
        return rest.rstrip(), last
    words = line.rsplit(maxsplit=4)
    if len(words) == 5 and words[1] in _WEEKDAYS:
        return words[0], " ".join(words[1:])
    return line, None
