"""The big table as text: which columns fit, and one line for each host, heading and fold. Pure.

Every line is exactly as wide as its layout, in flat spans of a `Pen`. Host, state and slots are always there;
extensions, health, group and note give way in this order. Texts from hosts pass `Pen.say`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

from console.arrange import Arrangement, Fold, Heading
from console.board import Look
from console.folding import fold_names
from console.palette import Paint
from console.render_host import note_of, slots_text
from console.rows import HostRow
from console.states import needs_look, style_of, word_of
from console.tone import Pen, Tone
from console.visible import age_words, cells, count_words, hosts_words

HOST_MOST = 32
SLOT_LEAST, SLOT_MOST = 11, 17
_GAP = 1
_WIDE_GUTTER_FROM = 104
_NOTE_LEAST, _NOTE_ENOUGH = 17, 24
"""Reasons come before the columns that are mostly empty."""
_GAUGE = 8
_SHARE = 4
"""Cells of `62%` and a blank."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: cells `start` to `start + width`."""

    key: str
    """A column to sort by, or `note`, `slots`, `ext`, `health`."""
    start: int
    width: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns from left to right, blanks between them; the gutter before the first."""

    width: int
    columns: tuple[Column, ...]

    @property
    def gutter(self) -> int:
        return self.columns[0].start

    def column(self, key: str) -> Column | None:
        return next((column for column in self.columns if column.key == key), None)

    def at(self, x: int) -> Column | None:
        """The column that cell `x` belongs to, the blank after it too."""
        return next((one for one in self.columns if one.start <= x <= one.start + one.width), None)


@lru_cache(maxsize=64)
def layout(width: int, longest_name: int, longest_version: int) -> Layout:
    """The columns for a table of `width` cells; the longest texts of the fleet, in cells, set what is enough.

    Widths depend on nothing that a filter or a tick changes, so that columns stand still.
    """
    gutter = 3 if width >= _WIDE_GUTTER_FROM else 2
    slot = min(max(longest_version + 3, SLOT_LEAST), SLOT_MOST)
    widths = {"host": 13, "state": 17, "slots": 2 * slot + 2, "behind": 6, "seen": 6}
    while widths["slots"] > 2 * SLOT_LEAST + 2 and gutter + _taken(widths) > width:
        widths["slots"] -= 2
    room = width - gutter - _taken(widths)
    wanted = min(max(longest_name, 8), HOST_MOST)
    widths["host"], room = _grown(13, min(wanted, 16), room)
    if room + 3 >= _NOTE_LEAST + _GAP:  # beside a note the state needs no room for a share
        widths |= {"state": 14, "note": _NOTE_LEAST}
        room -= _NOTE_LEAST + _GAP - 3
    for key, needed in (("group", 8), ("health", 8), ("ext", 5)):
        spare = 0 if key == "group" else _NOTE_ENOUGH - _NOTE_LEAST
        if room >= needed + _GAP + spare:
            widths[key] = needed
            room -= needed + _GAP
    widths["host"], room = _grown(widths["host"], wanted, room)
    if "note" in widths:
        widths["note"] += room
    return Layout(width, _placed(widths, gutter, width))


def _taken(widths: dict[str, int]) -> int:
    return sum(widths.values()) + _GAP * (len(widths) - 1)


def _grown(width: int, wanted: int, room: int) -> tuple[int, int]:
    """A width as near to `wanted` as `room` allows, and the room left; room may be short."""
    grown = max(min(wanted, width + room), 1)
    return grown, room - (grown - width)


_ORDER = ("host", "group", "state", "note", "slots", "behind", "ext", "health", "seen")


def _placed(widths: dict[str, int], gutter: int, width: int) -> tuple[Column, ...]:
    columns, at = [], gutter
    for key in _ORDER:
        if key in widths:
            start = max(at, width - widths[key]) if key == "seen" else at
            columns.append(Column(key, start, widths[key]))
            at += widths[key] + _GAP
    return tuple(columns)


# Pens


@dataclass(frozen=True, slots=True)
class Pens:
    """The pen of a line by what kind of line it is."""

    usual: Pen
    raised: Pen
    """For the line of the cursor, whose ground is nearer to the hints' colour."""
    old: Pen
    """For what was not read lately: no tone is louder than a label's."""
    paint: Paint


def pens_of(look: Look) -> Pens:
    """Made once for a look, not for each line."""
    pen = look.pen
    codes = dict(pen.codes)
    dim = codes.get(Tone.DIM, "")
    quiet = dict.fromkeys((Tone.BRIGHT, Tone.ACCENT, Tone.MOVING, Tone.TEXT, Tone.LATE, Tone.CALM), dim)
    return Pens(
        usual=pen,
        raised=replace(pen, codes={**codes, Tone.HINT: dim}),
        old=replace(pen, codes={**codes, **quiet}),
        paint=look.paint,
    )


# Headings


_TITLES = {"host": "host", "group": "group", "state": "state", "note": "why", "behind": "behind"}
_TITLES |= {"ext": "ext", "health": "health", "seen": "seen"}
_TO_RIGHT = frozenset({"behind", "seen"})


def heading_line(table: Layout, asked: Arrangement, pens: Pens) -> str:
    """The names of the columns; the one sorted by stands out."""
    pen = pens.usual
    marks = pen.marks
    line, at = "", 0
    for column in table.columns:
        line += " " * (column.start - at)
        at = column.start + column.width
        title = _TITLES.get(column.key, f"slots  {marks.runs} runs  {marks.next} next")
        tone = Tone.BRIGHT if column.key == asked.sort else Tone.HINT
        line += _cell(pen, tone, title, column.width, right=column.key in _TO_RIGHT)
    return line + " " * (table.width - at)


# Lines


@dataclass(frozen=True, slots=True)
class Place:
    """What a line looks like beside what it says."""

    is_cursor: bool = False
    is_marked: bool = False


def host_line(row: HostRow, table: Layout, now: datetime, pens: Pens, place: Place) -> str:
    """One host."""
    pen = pens.old if row.stale else pens.raised if place.is_cursor else pens.usual
    line, at = _gutter(table, pens, place), table.gutter
    for column in table.columns:
        line += " " * (column.start - at)
        at = column.start + column.width
        line += _drawn(column, row, table, now, pens, pen, place)
    return line + " " * (table.width - at)


def _gutter(table: Layout, pens: Pens, place: Place) -> str:
    bar = ">" if pens.usual.ascii else "▌"
    cursor = pens.usual(Tone.ACCENT, bar) if place.is_cursor else " "
    mark = pens.usual.code(_bold(pens.usual, Tone.CHOSEN), "*") if place.is_marked else " "
    return cursor + mark + " " * (table.gutter - 2)


def _bold(pen: Pen, tone: Tone) -> str:
    code = pen.codes.get(tone, "")
    return f"1;{code}" if code else "1"


def _drawn(
    column: Column, row: HostRow, table: Layout, now: datetime, pens: Pens, pen: Pen, place: Place
) -> str:
    width = column.width
    match column.key:
        case "host":
            return _host(row, width, pens, pen, place)
        case "group":
            return _cell(pen, Tone.DIM, ",".join(row.groups), width, cut="middle")
        case "state":
            return _state(row, width, pens.usual, with_share=table.column("note") is None)
        case "note":
            return _note(row, width, pens, pen)
        case "slots":
            return slots_text(row, pen, (width - 2) // 2)
        case "behind":
            return _cell(pen, Tone.LATE, _behind(row), width, right=True)
        case "ext":
            return _extensions(row, width, pens.usual, pen)
        case "health":
            return _cell(pens.usual, Tone.WARN, row.health, width)
    seen = "never" if row.taken_at is None else _age(row, now)
    return _cell(pens.usual, Tone.UNKNOWN, seen, width, right=True)


def _age(row: HostRow, now: datetime) -> str:
    """Only where it is older than it should be."""
    if not row.stale or row.taken_at is None:
        return ""
    return age_words((now - row.taken_at).total_seconds())


def _host(row: HostRow, width: int, pens: Pens, pen: Pen, place: Place) -> str:
    name = pen.say(row.name, width, "middle")
    blanks = " " * (width - cells(name))
    if place.is_marked:
        return pens.usual.code(_bold(pens.usual, Tone.CHOSEN), name) + blanks
    if place.is_cursor:
        return pens.usual(Tone.BRIGHT, name) + blanks
    return pen(Tone.TEXT if needs_look(row.state) or not row.stale else Tone.DIM, name) + blanks


def _state(row: HostRow, width: int, pen: Pen, *, with_share: bool) -> str:
    """Glyph and word; at its end how far the writing is, where no other column says it."""
    style = style_of(row.state)
    tone = Tone.DIM if row.stale and not needs_look(row.state) else style.tone
    sign = style.ascii if pen.ascii else style.glyph
    text = f"{sign} {word_of(row.state, certain=row.certain)}"
    if with_share and row.state == "staging" and row.progress is not None:
        share = f"{_share(row.progress)} "
        return _cell(pen, tone, text, width - _SHARE - 1) + _cell(
            pen, Tone.TEXT, share, _SHARE + 1, right=True
        )
    # Calm is said by the dot; its word stays as quiet as a label
    if style.tone is Tone.CALM:
        return pen(tone, sign) + _cell(pen, Tone.DIM, text[1:], width - 1)
    return _cell(pen, tone, text, width)


def _share(progress: float) -> str:
    return f"{min(max(progress, 0.0), 1.0):.0%}"


def _note(row: HostRow, width: int, pens: Pens, pen: Pen) -> str:
    note = note_of(row, pen)
    if row.state == "staging" and row.progress is not None:
        share = f"{row.progress:.0%}"
        return _gauge(row.progress, note.removesuffix(share).removesuffix(", "), width, pens)
    is_warning = row.will_reboot_by_itself and not row.stale
    return _cell(pens.usual if is_warning else pen, Tone.WARN if is_warning else Tone.DIM, note, width)


def _gauge(progress: float, note: str, width: int, pens: Pens) -> str:
    """A thin bar, the share, and what there is to say where it fits."""
    pen, bar = pens.usual, min(width - _SHARE - 1, _GAUGE if note and width >= 30 else 12)
    filled, rest = pen.gauge(progress, bar)
    track = pen.code(pens.paint.track, pen.marks.track * len(rest))
    text = pen(Tone.MOVING, filled) + track + _cell(pen, Tone.TEXT, _share(progress), _SHARE + 1, right=True)
    left = width - bar - _SHARE - 1
    if left < _GAUGE + 2:  # less room cuts the words to nothing that can be read
        note = ""
    return text + ("  " + _cell(pen, Tone.DIM, note, left - 2) if left > 1 else " " * left)


def _behind(row: HostRow) -> str:
    """Releases; nothing where it runs the newest or where the question has no sense."""
    if row.behind is None:
        return "?" if row.answered and row.state not in ("no_slots", "not_flatcar") else ""
    return count_words(row.behind) if row.behind else ""


def _extensions(row: HostRow, width: int, loud: Pen, pen: Pen) -> str:
    count = f"{len(row.extensions):>2}" if row.extensions else "  "
    if not row.extension_problems:
        return _cell(pen, Tone.DIM, count, width)
    return pen(Tone.DIM, count) + _cell(loud, Tone.WARN, f" {len(row.extension_problems)}!", width - 2)


def _cell(
    pen: Pen, tone: Tone, text: str, width: int, *, right: bool = False, cut: Literal["middle", "end"] = "end"
) -> str:
    """`text` in exactly `width` cells."""
    if not text:
        return " " * width
    shown = pen.say(text, width, cut)
    blanks = " " * (width - cells(shown))
    return blanks + pen(tone, shown) if right else pen(tone, shown) + blanks


def group_line(heading: Heading, table: Layout, pens: Pens) -> str:
    """The line above hosts that share a value."""
    pen = pens.usual
    words = _value_words(heading, pen)
    counts = hosts_words(heading.hosts)
    looks = ""
    if heading.looks:
        looks = f"{count_words(heading.looks)} {'needs' if heading.looks == 1 else 'need'} a look"
    room = table.width - table.gutter - cells(counts) - cells(looks) - 6
    title = pen.say(words, max(room, 8), "middle")
    line = pen(Tone.BRIGHT, title) + "  " + pen(Tone.DIM, counts)
    used = table.gutter + cells(title) + 2 + cells(counts)
    if looks and used + 2 + cells(looks) < table.width:
        line += "  " + pen(Tone.WARN, looks)
        used += 2 + cells(looks)
    rule = table.width - used - 1
    thin = "-" if pen.ascii else "─"
    return " " * table.gutter + line + " " + pen.code(pens.paint.line, thin * max(rule, 0))


def _value_words(heading: Heading, pen: Pen) -> str:
    value, field = heading.value, heading.field
    if value is None:
        name = field.removeprefix("label.")
        return {
            "group": "in no group", "version": "version not known", "channel": "channel not known",
        }.get(field, f"no label {name}")  # fmt: skip
    if field == "state":
        style = style_of(value)
        return f"{style.ascii if pen.ascii else style.glyph} {style.word}"
    return f"{field.removeprefix('label.')} {value}" if field.startswith("label.") else value


def fold_line(fold: Fold, members: Sequence[HostRow], table: Layout, pens: Pens, place: Place) -> str:
    """`+ 9 alike`, their state and their names; `members` are the hosts in the fold."""
    pen = pens.raised if place.is_cursor else pens.usual
    line, at = _gutter(table, pens, place), table.gutter
    for column in table.columns:
        if column.key not in ("host", "group", "state"):
            break
        line += " " * (column.start - at)
        at = column.start + column.width
        if column.key == "host":
            tone = Tone.BRIGHT if place.is_cursor else Tone.DIM
            line += _cell(pen, tone, f"+ {count_words(len(fold.places))} alike", column.width)
        elif column.key == "group":
            groups = {member.groups for member in members}
            line += _cell(
                pen, Tone.DIM, ",".join(members[0].groups) if len(groups) == 1 else "", column.width
            )
        else:
            line += _state(members[0], column.width, pens.usual, with_share=False)
    names = fold_names(tuple([member.name for member in members]))
    return line + " " + _cell(pen, Tone.HINT, names, table.width - at - 1)


def empty_lines(hosts: int, asked: Arrangement, pen: Pen) -> list[str]:
    """What stands in place of hosts where none is listed of a fleet of `hosts`, and the way out."""
    if not hosts:
        words, ways = "The fleet has no hosts.", ["fleetctl init finds some and writes the fleet file"]
    else:
        words, every = "No host matches.", hosts_words(hosts)
        ways = [f"esc  takes the filter away: {every}"] if asked.text else []
        ways += ["!    shows more than what needs attention"] if asked.attention else []
        ways += ["w    shows more than what reboots by itself"] if asked.reboots else []
    return ["", "   " + pen(Tone.BRIGHT, words), "", *(f"   {pen(Tone.DIM, way)}" for way in ways)]
