"""What a person may see of a text, a number or a time. Pure.

Text from hosts is hostile: what `visible` returns holds no control, format or invisible character, has a
known width in cells and never more than asked for. Widths follow wcwidth: wide 2, combining 0, else 1.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Literal

MARKS_KEPT = 2
"""Combining marks that one character keeps; a pile of them climbs over the lines above."""
_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_INVISIBLE = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Letters, marks and symbols by their category that draw nothing: fillers, variation selectors."""
_PLAIN = str.maketrans(
    {"…": "...", "→": "->", "►": ">", "×": "x", "–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"'}
    | {"\ufffd": "?"}
)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Cut = Literal["middle", "end"]


def visible(text: str, width: int | None = None, *, ascii_only: bool = False, cut: Cut = "middle") -> str:
    """`text` as one line that is safe on any terminal, at most `width` cells wide.

    Control, format, unassigned and private characters, surrogates and odd blanks become escapes (`\\x1b`,
    `\\u202e`); with `ascii_only` all else beyond ASCII too. Names are cut in the middle, sentences at
    the end.
    """
    if not (text.isascii() and text.isprintable()):
        text = "".join(_shown(text.translate(_PLAIN) if ascii_only else text, ascii_only))
    if width is None or (text.isascii() and len(text) <= width) or cells(text) <= width:
        return text
    return _cut(text, width, "~" if ascii_only else "…", cut)


def _shown(text: str, ascii_only: bool) -> Iterator[str]:
    marks = MARKS_KEPT  # a mark at the very start has nothing to stand on
    for char in text:
        if char.isascii():
            marks = 0
            yield char if char.isprintable() else _escaped(char)
        elif (
            ascii_only or not char.isprintable() or char in _INVISIBLE or "\U000e0100" <= char <= "\U000e01ef"
        ):
            marks = 0
            yield _escaped(char)
        elif cell(char) == 0:
            marks += 1
            yield char if marks <= MARKS_KEPT else _escaped(char)
        else:
            marks = 0
            yield char


def _escaped(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


@lru_cache(maxsize=4096)
def cell(char: str) -> int:
    """Cells that one character takes."""
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def cells(text: str) -> int:
    """Width of a visible text."""
    return len(text) if text.isascii() else sum(map(cell, text))


def pad(text: str, width: int) -> str:
    """`text` with blanks up to `width` cells."""
    return text + " " * (width - cells(text))


def _cut(text: str, width: int, mark: str, where: Cut) -> str:
    if width <= 0:
        return ""
    room = width - 1
    tail_room = room // 2 if where == "middle" else 0
    head = _take(text, room - tail_room)
    tail = "".join(reversed(_take(text[::-1], tail_room)))
    while tail and cell(tail[0]) == 0:
        tail = tail[1:]
    return f"{head}{mark}{tail}"


def _take(text: str, room: int) -> str:
    used = 0
    for index, char in enumerate(text):
        used += cell(char)
        if used > room:
            return text[:index]
    return text


def wrap(text: str, width: int) -> list[str]:
    """Lines of a visible text, broken at blanks, or anywhere in a word that is wider than a line."""
    lines = [""]
    for word in text.split(" "):
        used = cells(lines[-1])
        if used and used + 1 + cells(word) <= width:
            lines[-1] += f" {word}"
            continue
        if used:
            lines.append("")
        while cells(word) > width:
            piece = _take(word, width) or word[0]
            lines[-1], word = piece, word[len(piece) :]
            lines.append("")
        lines[-1] = word
    return lines


def count_words(number: int) -> str:
    return f"{number:,}"


def hosts_words(number: int) -> str:
    return "1 host" if number == 1 else f"{number:,} hosts"


def age_words(age_s: float) -> str:
    """A coarse age, one unit: 14 s, 3 min, 2 h, 4 d. A clock that ran backwards gives 0 s."""
    age = max(int(age_s), 0)
    for unit_s, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if age >= unit_s:
            return f"{age // unit_s} {word}"
    return f"{age} s"


def duration_words(duration_s: float) -> str:
    """A length of time in two units at most: 6 min 12 s, 1 d 4 h, 35 d."""
    left = max(int(duration_s), 0)
    if left >= 10 * 86400:
        return f"{left // 86400} d"
    parts = []
    for unit_s, word in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        number, left = divmod(left, unit_s)
        if number:
            parts.append(f"{number} {word}")
        if parts and (len(parts) == 2 or unit_s == 1 or not left):
            break
    return " ".join(parts[:2]) or "0 s"


def clock_words(at: datetime, now: datetime) -> str:
    """03:12 today, Wed 02:34 within a week, 3 Jan 2026 beyond; in the time zone of `now`."""
    local = at.astimezone(now.tzinfo)
    days = abs((now.date() - local.date()).days)
    if days == 0:
        return f"{local:%H:%M}"
    if days < 7:
        return f"{DAYS[local.weekday()]} {local:%H:%M}"
    return f"{local.day} {MONTHS[local.month - 1]} {local.year}"


def size_words(size_bytes: float) -> str:
    """1023 B, 1.5 KiB, 20 GiB."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.0f} TiB" if size >= 10 else f"{size:.1f} TiB"
