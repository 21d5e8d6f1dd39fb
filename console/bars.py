"""Proportional bars of versions and states, the counts beside them, and the sentence above. Pure.

A part has whole cells, by the largest remainder, and at least one if it stands for a host. What a part or a
count stands for is a selection, and the line says at which cells it is, so that a click or a key chooses it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from console.board import Look
from console.rows import version_key
from console.states import rank, style_of, word_of
from console.tone import Pen, Tone
from console.visible import cells, count_words

VERSIONS_SHOWN = 8
_GAP = 3
_NAMED_MOST = 12
"""Versions or states in one selection; more make a text that nobody can read."""
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9._+/-]+")
_END_OF_LIFE = "end of life"

FAMILIES: Mapping[Tone, tuple[str, str, str]] = {
    Tone.BAD: ("×", "x", "bad"),
    Tone.UNKNOWN: ("◌", "?", "unknown"),
    Tone.WARN: ("◆", "+", "warning"),
    Tone.MOVING: ("◕", "^", "in motion"),
    Tone.CHOSEN: ("■", "H", "held or off"),
    Tone.LATE: ("▼", "v", "behind"),
    Tone.DIM: ("□", "_", "no slots"),
    Tone.CALM: ("●", "o", "current"),
}
"""Tone -> glyph, ASCII sign and word of all states in it, attention first."""


@dataclass(frozen=True, slots=True)
class Part:
    """One share of the fleet."""

    key: str
    """The selection of its hosts; "" where there is none that a person could read."""
    words: str
    """Visible already, as are the others."""
    hosts: int
    tone: Tone
    sign: str = ""
    """Glyph or letter."""
    note: str = ""
    letter: str = ""
    """What its cells are made of without colour."""
    fill: int | None = None
    """Place among the fills of versions; None: the fill of its tone."""


@dataclass(frozen=True, slots=True)
class Zone:
    """Cells `start` to `end` (not in it) of line `line`."""

    line: int
    start: int
    end: int
    key: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """Lines, and what is where."""

    lines: tuple[str, ...]
    zones: tuple[Zone, ...]
    width: int
    """Cells of each line."""

    def at(self, x: int, y: int) -> str:
        """The selection under a cell; "" for none."""
        return next((z.key for z in self.zones if z.line == y and z.start <= x < z.end), "")

    @property
    def keys(self) -> tuple[str, ...]:
        """What can be chosen, in reading order, each once."""
        return tuple(dict.fromkeys(zone.key for zone in self.zones if zone.key))


def term(field: str, value: str | None) -> str:
    """The selection of hosts with `value` in `field`; None is not known."""
    if value is None:
        return f"{field}:unknown"
    if _PLAIN_VALUE.fullmatch(value):
        return f"{field}:{value}"
    quote = "'" if '"' in value else '"'
    escaped = value.replace(quote, "\\" + quote)
    return f"{field}:{quote}{escaped}{quote}"


def _any_of(terms: Sequence[str]) -> str:
    return " or ".join(terms) if len(terms) <= _NAMED_MOST else ""


# What there is to show


def version_parts(by_version: Mapping[str | None, int], notes: Mapping[str, str], look: Look) -> list[Part]:
    """Newest first; beyond VERSIONS_SHOWN the rare ones together; what is not known last."""
    pen = look.pen
    known = [(version, hosts) for version, hosts in by_version.items() if version is not None and hosts]
    known.sort(key=lambda item: (-item[1], item[0]))
    common, rare = known[:VERSIONS_SHOWN], known[VERSIONS_SHOWN:]
    common.sort(key=lambda item: (version_key(item[0]) or (), item[0]), reverse=True)
    parts = []
    for index, (version, hosts) in enumerate(common):
        note = pen.say(notes.get(version, ""), 14)
        words, letter = pen.say(version, 16, "middle"), chr(ord("a") + index)
        sign = letter if look.plain else ""
        key = term("version", version)
        parts.append(Part(key, words, hosts, Tone.TEXT, sign, note, letter, fill=index))
    if rare:
        words = "1 other" if len(rare) == 1 else f"{len(rare)} others"
        key = _any_of([term("version", version) for version, _ in rare])
        hosts, sign = sum(hosts for _, hosts in rare), "z" if look.plain else ""
        parts.append(Part(key, words, hosts, Tone.DIM, sign, letter="z", fill=VERSIONS_SHOWN))
    if by_version.get(None):
        sign = "?" if look.plain else ""
        parts.append(Part("version:unknown", "not known", by_version[None], Tone.UNKNOWN, sign, letter="?"))
    return parts


def state_parts(by_state: Mapping[str, int], look: Look, *, certain: bool = True) -> list[Part]:
    """One for each state that a host is in, attention first. `certain`: current is known to be the newest."""
    parts = []
    for code in sorted(by_state, key=lambda code: (rank(code), code)):
        if by_state[code]:
            style = style_of(code)
            sign = style.ascii if look.ascii else style.glyph
            word = word_of(code, certain=certain)
            parts.append(
                Part(term("state", code), word, by_state[code], style.tone, sign, letter=style.ascii)
            )
    return parts


def family_parts(states: Sequence[Part], look: Look) -> list[Part]:
    """States of one tone together; one alone keeps its own word."""
    parts = []
    for tone, (glyph, sign, word) in FAMILIES.items():
        members = [part for part in states if part.tone is tone]
        if len(members) == 1:
            parts += members
        elif members:
            key, hosts = _any_of([part.key for part in members]), sum(part.hosts for part in members)
            parts.append(Part(key, word, hosts, tone, sign if look.ascii else glyph, letter=sign))
    return parts


# Bars


def shares(counts: Sequence[int], width: int) -> list[int]:
    """Cells of each count: together `width`, by the largest remainder, one at least for each that is not 0.

    Where there are more counts than cells the last ones get none.
    """
    total = sum(counts)
    if not total or width <= 0:
        return [0] * len(counts)
    exact = [count * width / total for count in counts]
    found = [max(int(share), 1) if count else 0 for share, count in zip(exact, counts, strict=True)]
    by_need = sorted(range(len(counts)), key=lambda at: exact[at] - found[at], reverse=True)
    for at in by_need[: max(width - sum(found), 0)]:
        found[at] += 1
    for _ in range(sum(found) - width):  # what the small ones were given comes from the largest
        largest = max(range(len(found)), key=lambda at: (found[at], at))
        found[largest] -= 1
    return found


def bar(parts: Sequence[Part], width: int, look: Look, chosen: str = "", line: int = 0) -> Drawing:
    """One bar, exactly `width` cells. `chosen` is the selection under the bars' own cursor."""
    text, zones, at = "", [], 0
    for part, room in zip(parts, shares([part.hosts for part in parts], width), strict=True):
        if room:
            text += _part(part, room, look, is_first=not at, is_chosen=bool(chosen) and part.key == chosen)
            zones.append(Zone(line, at, at + room, part.key))
            at += room
    return Drawing((text + " " * (width - at),), tuple(zones), width)


def label_of_part(part: Part, room: int, *, is_letters: bool = False) -> str:
    """What stands in a part of a bar: words and count, or as much of it as fits with a blank on each side."""
    number = count_words(part.hosts)
    texts = (
        [f"{part.words} {number}"] if is_letters else [f"{part.words}  {number}", f"{part.words} {number}"]
    )
    return next((text for text in texts if cells(text) + (2 if is_letters else 3) <= room), "")


def _part(part: Part, room: int, look: Look, *, is_first: bool, is_chosen: bool) -> str:
    pen, paint = look.pen, look.paint
    label = label_of_part(part, room, is_letters=paint.plain)
    if paint.plain:
        return _letters(part, label, room, pen, is_chosen=is_chosen)
    if part.tone is Tone.UNKNOWN:
        hatch = "?" if look.ascii else "▒"
        return pen.code(paint.key, hatch * room) if is_chosen else pen(Tone.UNKNOWN, hatch * room)
    code = paint.key if is_chosen else _fill(part, look)
    edge = " " if is_first or look.ascii or is_chosen else "▏"
    ground = f"{code};38;2;{';'.join(str(int(look.palette.bg[at : at + 2], 16)) for at in (1, 3, 5))}"
    body = f" {label}" + " " * (room - 2 - cells(label)) if label else " " * (room - 1)
    return pen.code(ground, edge) + pen.code(f"1;{code}" if label else code, body)


def _letters(part: Part, label: str, room: int, pen: Pen, *, is_chosen: bool) -> str:
    """A part without colour: its letter again and again, its words in bold."""
    if not label:
        return pen.code("7", part.letter * room) if is_chosen else part.letter * room
    rest = part.letter * (room - cells(label) - 1)
    return part.letter + pen.code("7" if is_chosen else "1", label) + rest


def _fill(part: Part, look: Look) -> str:
    paint = look.paint
    if part.fill is not None:
        return paint.versions[min(part.fill, len(paint.versions) - 1)]
    ground = ";".join(str(int(look.palette.raised[at : at + 2], 16)) for at in (1, 3, 5))
    return paint.fills.get(part.tone) or f"{paint.tones[Tone.TEXT]};48;2;{ground}"


def labelled(parts: Sequence[Part], width: int, look: Look) -> set[str]:
    """The selections of the parts that carry their words in the bar."""
    rooms = shares([part.hosts for part in parts], width)
    return {
        part.key
        for part, room in zip(parts, rooms, strict=True)
        if label_of_part(part, room, is_letters=look.plain) and (look.plain or part.tone is not Tone.UNKNOWN)
    }


# Counts


def counts(
    parts: Sequence[Part], width: int, look: Look, most: int, chosen: str = "", line: int = 0
) -> Drawing:
    """Each part's sign, count and words, in at most `most` lines; what has no room is said as a number."""
    rows: list[list[Part]] = [[]]
    left = list(parts)
    while left:
        more = _GAP + len(_more_words(len(left) - 1)) if len(rows) == most and len(left) > 1 else 0
        if _row_width([*rows[-1], left[0]]) + more <= width:
            rows[-1].append(left.pop(0))
        elif len(rows) < most and rows[-1]:
            rows.append([])
        else:
            break
    lines, zones = [], []
    for index, row in enumerate(rows):
        text, at = "", 0
        for part in row:
            start = at + _GAP if at else 0
            text += " " * (start - at) + _count(part, look, is_chosen=bool(chosen) and part.key == chosen)
            at = start + _count_width(part)
            zones.append(Zone(line + index, start, at, part.key))
        if left and index == len(rows) - 1:
            more_words = look.pen.say(_more_words(len(left)), max(width - at - (_GAP if at else 0), 0))
            text += " " * (_GAP if at else 0) + look.pen(Tone.HINT, more_words)
            at += (_GAP if at else 0) + cells(more_words)
        lines.append(text + " " * (width - at))
    return Drawing(tuple(lines), tuple(zones), width)


def _more_words(count: int) -> str:
    return f"and {count} more"


def _row_width(row: Sequence[Part]) -> int:
    return sum(map(_count_width, row)) + _GAP * (len(row) - 1)


def _texts(part: Part) -> tuple[str, str, str]:
    """Sign with its blank, words and count in the order in which they are read, note with its blank."""
    sign = f"{part.sign} " if part.sign else ""
    note = f" {part.note}" if part.note else ""
    return sign, count_words(part.hosts), note


def _count_width(part: Part) -> int:
    sign, number, note = _texts(part)
    return cells(sign) + len(number) + 1 + cells(part.words) + cells(note)


def _count(part: Part, look: Look, *, is_chosen: bool) -> str:
    pen = look.pen
    sign, number, note = _texts(part)
    is_state = part.fill is None and bool(part.sign) and not part.key.startswith("version:")
    if is_chosen:
        text = f"{sign}{number} {part.words}" if is_state else f"{sign}{part.words} {number}"
        return pen.code(look.paint.key, text + note)
    if is_state:
        words = Tone.DIM if part.tone in (Tone.CALM, Tone.DIM) else part.tone
        return pen(part.tone, sign) + pen(Tone.BRIGHT, number) + " " + pen(words, part.words) + note
    tone = Tone.UNKNOWN if part.tone is Tone.UNKNOWN else Tone.DIM
    alarm = Tone.WARN if part.note == _END_OF_LIFE else Tone.HINT
    return pen(Tone.HINT, sign) + pen(tone, part.words) + " " + pen(Tone.TEXT, number) + pen(alarm, note)


def shifted(drawing: Drawing, title: str, margin: int, width: int, look: Look) -> Drawing:
    """`drawing` with `margin` cells before it, in which the first line has its title; lines `width` wide."""
    head = look.pen(Tone.DIM, title) + " " * (margin - cells(title))
    lines = []
    for index, line in enumerate(drawing.lines):
        lines.append((" " * margin if index else head) + line + " " * (width - margin - drawing.width))
    zones = [Zone(z.line, z.start + margin, z.end + margin, z.key) for z in drawing.zones]
    return Drawing(tuple(lines), tuple(zones), width)
