"""Disk use, from df.

Source: GNU coreutils 9.1 to 9.7, src/df.c.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from collectors.errors import ParseError
from collectors.facts import DiskUse
from collectors.parse.text import clean, integer, whole_lines

_SIZE = r"(?:[0-9]{1,19}(?:\.[0-9]{1,3})?[KMGTPEZYRQ]?i?B?|-)"
_HUMAN = re.compile(
    rf"(?<! ) ++(?P<size>{_SIZE}) ++(?P<used>{_SIZE}) ++(?P<available>-?{_SIZE})"
    r" ++(?P<percent>[0-9]{1,3}%|-) ++(?P<target>/.*)"
)
_OVERLAYS = frozenset({"sysext", "confext", "overlay"})


@dataclass(frozen=True, slots=True)
class HumanUse:
    """A row of `df -h`; sizes as it gives them, such as 127M."""

    source: str
    size: str
    used: str
    available: str
    used_percent: int | None
    """None where df has no number."""

    @property
    def is_overlay(self) -> bool:
        """Its numbers are those of the overlay's own storage, not of what lies under it."""
        return self.source in _OVERLAYS


def parse_df(text: str) -> dict[str, DiskUse]:
    """Mount point -> use, from `df -B1 --output=target,fstype,size,used,avail`.

    Rows without numbers, and a last row that its newline did not end, are left out. Raises ParseError if
    the heading is not that of this call, or a row is none.
    """
    rows = whole_lines(text)
    if not rows or not re.fullmatch(r"Mounted on +Type +1B-blocks +Used +Avail *", rows[0]):
        raise ParseError(f"df: unknown heading in {clean(text)!r}")
    found = {}
    for row in rows[1:]:
        words = row.rsplit(maxsplit=4)
        if not words:
            continue
        if len(words) != 5 or not words[0].startswith("/"):
            raise ParseError(f"df: unknown row {clean(row)!r}")
        target, fstype, *sizes = words
        if "-" in sizes:
            continue
        size, used, available = (integer(word) for word in sizes)
        if size is None or used is None or available is None or min(size, used) < 0:
            raise ParseError(f"df: unknown row {clean(row)!r}")
        found[clean(target, 255)] = DiskUse(clean(fstype), size, used, available)
    return found


def parse_df_human(text: str) -> dict[str, HumanUse]:
    """Mount point -> use, from the table of `df -h`, with or without a Type column.

    Raises ParseError if there is no table; lines before it and lines that are no rows are skipped.
    """
    found: dict[str, HumanUse] = {}
    table = with_type = False
    for line in whole_lines(text):
        heading = line.split()
        if heading[:1] == ["Filesystem"] and heading[-2:] == ["Mounted", "on"]:
            table, with_type = True, heading[1] == "Type"
            continue
        row = _HUMAN.search(line) if table else None
        source = line[: row.start()].strip() if row else ""
        if row is None or not source:
            continue
        if with_type:
            source = source.rpartition(" ")[0].rstrip() or source
        percent = integer(row["percent"].removesuffix("%"))
        found[clean(row["target"], 255)] = HumanUse(
            clean(source, 255), row["size"], row["used"], row["available"], percent
        )
    if not table:
        raise ParseError(f"df: no table in {clean(text)!r}")
    return found
