"""The host under the cursor as lines: beside the table, below it, or as a strip of four. Pure.

What a row tells comes first and stays where it is; what only a page tells (`HostPage`) fills the room below
it, so nothing moves when the page arrives. Every list is cut to its room and says how much is missing. Lines
are flat spans (`console.ink`), at most as wide as asked; text from hosts passes `Pen.say`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum

from console.board import Look
from console.host_page import (
    HostPage,
    Json,
    error_words,
    extension_words,
    health_words,
    joined,
    moment_words,
    operation_words,
    reboot_tone,
    reboot_words,
    what_words,
)
from console.render_host import slots_text
from console.render_slots import box_lines, next_lines
from console.rows import HostRow, row_note
from console.states import needs_look, style_of, word_of
from console.story import Moment, moments, next_of_row
from console.tone import Pen, Tone
from console.visible import age_words, cells, clock_words, pad, wrap

SIDE_WIDTH, STRIP_HEIGHT = 90, 6
_THREE_COLUMNS = 110
_BOXES = 47
"""The next boot of a usual version in one line."""
_GAP = 3
_CODE = re.compile(r"\x1b\[[0-9;]*m")

Item = list[str]
"""The drawn lines of one entry of a list."""


class Form(Enum):
    SIDE = "beside the table"
    BELOW = "below it"
    STRIP = "four lines"


def form_of(width: int, height: int) -> Form:
    if height <= STRIP_HEIGHT:
        return Form.STRIP
    return Form.BELOW if width >= SIDE_WIDTH else Form.SIDE


def panel(
    row: HostRow | None, page: HostPage | None, look: Look, now: datetime, width: int, height: int
) -> list[str]:
    """At most `height` lines for a panel of this size, margins included; `page` None: not read yet."""
    form = form_of(width, height)
    left, right, top = {Form.SIDE: (3, 2, 1), Form.BELOW: (2, 2, 0), Form.STRIP: (1, 1, 0)}[form]
    room, rows = width - left - right, height - top
    if row is None:
        lines = [look.pen(Tone.HINT, look.pen.say("no host chosen", room))]
    elif form is Form.STRIP:
        lines = strip_lines(row, look, now, room)
    elif form is Form.BELOW:
        lines = below_lines(row, page, look, now, room, rows)
    else:
        lines = side_lines(row, page, look, now, room, rows)
    return [""] * top + [" " * left + line for line in lines[:rows]]


# The three forms


def side_lines(
    row: HostRow, page: HostPage | None, look: Look, now: datetime, width: int, height: int
) -> list[str]:
    """Who, what, slots, why, you can; then its facts and its timeline."""
    pen = look.pen
    lines = [*head_lines(row, look, now, width), ""]
    lines += _sentence(row, pen, width, 3)
    lines += ["", *box_lines(row, look, width), *next_lines(row, look, width)]
    can = _section("you can", can_items(row, pen, width), look, width, 7)
    room = max(4, (height - len(lines) - len(can)) // 2)
    lines += [*_section("why", why_items(row, pen, width), look, width, room), *can]
    if page is not None:
        lines += _facts(page, pen, width, height - len(lines))
        lines += _section("timeline", time_items(page, look, width), look, width, height - len(lines))
    return lines[:height]


def _facts(page: HostPage, pen: Pen, width: int, room: int) -> list[str]:
    """In full where the timeline keeps eight lines, a line each where it keeps four, else not at all."""
    for most, kept in ((2, 8), (1, 4)):
        lines = [line for item in fact_items(page, pen, width, most) for line in item]
        if lines and len(lines) + 1 + kept <= room:
            return ["", *lines]
    return []


def below_lines(
    row: HostRow, page: HostPage | None, look: Look, now: datetime, width: int, height: int
) -> list[str]:
    """Slots at the left, why and what to do beside them, the timeline at the right where there is room."""
    pen, rows = look.pen, height - 2
    lines = [head_line(row, look, now, width), *(_sentence(row, pen, width, 1))]
    rest = width - _BOXES - _GAP
    is_wide = width >= _THREE_COLUMNS
    middle = (rest - _GAP) * 6 // 13 if is_wide else rest
    can = _section("you can", can_items(row, pen, middle, is_short=True), look, middle, 6)[1:]
    why = _section("why", why_items(row, pen, middle), look, middle, max(rows - len(can) + 1, 4))[1:]
    columns = [
        ([*box_lines(row, look, _BOXES), *next_lines(row, look, _BOXES)], _BOXES),
        ([*why, *can], middle),
    ]
    if page is not None:
        right, room = (
            (rest - _GAP - middle, rows + 1) if is_wide else (middle, rows + 1 - len(why) - len(can))
        )
        told = _section("timeline", time_items(page, look, right), look, right, room)[1:]
        if is_wide:
            columns.append((told, right))
        else:
            columns[1][0].extend(told)
    return [*lines, *beside(columns, _GAP)][:height]


def strip_lines(row: HostRow, look: Look, now: datetime, width: int) -> list[str]:
    """Who and what state; the slots and the next boot; why; how far behind, or what to do."""
    pen, style = look.pen, style_of(row.state)
    who = head_line(row, look, now, width)
    slots = slots_text(row, pen, 11)
    room = width - 24 - 3 - 10
    label = "last seen " if row.slot_a is not None and not row.answered else "next boot "
    words = "" if row.state == "no_slots" else next_of_row(row)
    boots = pen(Tone.DIM, label) + pen(Tone.TEXT, pen.say(words, room)) if words else ""
    note = row_note(row)
    others = len(row.reasons) - 1
    more = f"  + {others} more" if note and others > 0 else ""
    sign = style.ascii if pen.ascii else style.glyph
    if row.will_reboot_by_itself:
        sign = pen.marks.warn
    tone = Tone.WARN if row.will_reboot_by_itself else style.tone
    why = (
        pen(tone, f"{sign} ")
        + pen(Tone.TEXT, pen.say(note or what_words(row), width - 2 - len(more)))
        + pen(Tone.HINT, more)
    )
    told = row.remedy if row.remedy and needs_look(row.state) else _short_standing(row, now)
    enter = "all of it"
    told = pen.say(told, width - len(enter) - 9)
    gap = " " * (width - cells(told) - len(enter) - 6)
    last = pen(Tone.DIM, told) + gap + _key("enter", pen) + pen(Tone.DIM, f" {enter}")
    return [who, f"{slots}   {boots}", why, last]


def _short_standing(row: HostRow, now: datetime) -> str:
    """How far behind, where the state does not say it; what is not well; when it was read."""
    if row.behind is None:
        behind = "how far behind is not known"
    elif row.behind == 0:
        behind = "the newest of its channel" if row.state != "current" else ""
    else:
        behind = f"behind by {row.behind} release{'s' if row.behind != 1 else ''}"
    age_s = (now - row.taken_at).total_seconds() if row.taken_at else None
    read = f"read {age_words(age_s)} ago" if age_s is not None else "never read"
    return ", ".join(part for part in (behind, row.health, read) if part)


# Parts


def head_lines(row: HostRow, look: Look, now: datetime, width: int) -> list[str]:
    """Name and state; then address, groups, labels, channel, architecture."""
    pen, (name, state) = look.pen, _who(row, look, now, width)
    gap = " " * (width - cells(name) - cells(state))
    first = pen(Tone.BRIGHT, name) + gap + pen(style_of(row.state).tone, state)
    return [
        first,
        pen(Tone.DIM, pen.say(f"{pen.say(row.address, 24, 'middle')}   {_place(row, pen)}", width)),
    ]


def head_line(row: HostRow, look: Look, now: datetime, width: int) -> str:
    """The same in one line, without the address."""
    pen, (name, state) = look.pen, _who(row, look, now, width)
    room = width - cells(name) - cells(state)
    place = pen.say(_place(row, pen), room - 6) if room > 12 else ""
    gap = " " * (room - cells(place) - 3 * bool(place))
    shown = "   " + pen(Tone.DIM, place) if place else ""
    return pen(Tone.BRIGHT, name) + shown + gap + pen(style_of(row.state).tone, state)


def _who(row: HostRow, look: Look, now: datetime, width: int) -> tuple[str, str]:
    """Name and state, as long as both fit in a line; with the age where it is old."""
    pen, style = look.pen, style_of(row.state)
    state = f"{style.ascii if pen.ascii else style.glyph} {word_of(row.state, certain=row.certain)}"
    if row.taken_at is not None and (row.stale or not row.answered):
        state += f", seen {age_words((now - row.taken_at).total_seconds())} ago"
    state = pen.say(state, width)
    return pen.say(row.name, max(width - cells(state) - 2, 0), "middle"), state


def _place(row: HostRow, pen: Pen) -> str:
    parts = (*row.groups, "/".join(row.labels.values()), row.channel, row.arch)
    return "   ".join(pen.say(part, 24, "middle") for part in parts if part)


def _sentence(row: HostRow, pen: Pen, width: int, most: int) -> list[str]:
    lines = wrap(pen.say(what_words(row)), width)
    if len(lines) > most:
        lines[most - 1 :] = [pen.say(" ".join(lines[most - 1 :]), width)]
    return [pen(Tone.TEXT, line) for line in lines]


def why_items(row: HostRow, pen: Pen, width: int) -> list[Item]:
    """Numbered reasons, the cause first."""
    items = []
    for number, (_, text) in enumerate(row.reasons, 1):
        lines = wrap(pen.say(text), width - 3)
        items.append([pen(Tone.HINT, f"{'' if at else number:<3}") + line for at, line in enumerate(lines)])
    return items


def can_items(row: HostRow, pen: Pen, width: int, *, is_short: bool = False) -> list[Item]:
    """The remedy, then the key that leads on."""
    items = [wrap(pen.say(row.remedy), width)] if row.remedy else []
    parts = (
        [("enter", "all of it")]
        if is_short
        else [("enter", "all of it; then"), ("l", "log,"), ("S", "terminal")]
    )
    return [*items, [" ".join(f"{_key(key, pen)} {pen(Tone.DIM, words)}" for key, words in parts)]]


def _key(key: str, pen: Pen) -> str:
    return pen(Tone.ACCENT, key)


def fact_items(page: HostPage, pen: Pen, width: int, most: int) -> list[Item]:
    """Updater, reboots, extensions, health: a field each, of `most` lines; what was not read is not there."""
    told = page.document
    update, reboot, health = told["update"], told["reboot"], told["health"]
    items: list[Item] = []
    if update["service"] or update["operation"]:
        checked = joined("last check", moment_words(update["last_checked_at"], page.now, with_age=False))
        parts = [operation_words(update["operation"]), joined("offers", update["new_version"]), checked]
        items.append(_field("updater", parts, Tone.TEXT, pen, width, most))
    is_told = any(reason["code"] == "failed" for reason in told["situation"]["reasons"])
    if update["error"] is not None and not is_told:
        at = moment_words(update["error"].get("at"), page.now, with_age=False)
        items.append(_field("failed", [error_words(update["error"], at)], Tone.BAD, pen, width, most))
    if reboot["manager"] is not None:
        items.append(_field("reboots", reboot_words(reboot), reboot_tone(reboot), pen, width, most))
    if told["extensions"] is not None:
        items.append(_field("ext", *_extensions(told["extensions"]), pen, width, most))
    if health["system"] is not None:
        is_well = health["system"] == "running" and health["failed_units"] == []
        items.append(
            _field("health", health_words(health), Tone.TEXT if is_well else Tone.WARN, pen, width, most)
        )
    return items


def _extensions(extensions: Sequence[Json]) -> tuple[list[str | None], Tone]:
    odd = [item for item in extensions if item["problem"] or item["drops_on_update"]]
    merged = sum(item["merged"] is True for item in extensions)
    told = [f"{item['name']} {', '.join(extension_words(item))}" for item in odd]
    return [f"{merged} merged" if extensions else "none", *told], Tone.WARN if odd else Tone.TEXT


def _field(label: str, parts: Iterable[str | None], tone: Tone, pen: Pen, width: int, most: int) -> Item:
    lines = wrap(pen.say(", ".join(part for part in parts if part)), width - 9)
    if len(lines) > most:
        lines[most - 1 :] = [pen.say(" ".join(lines[most - 1 :]), width - 9)]
    return [pen(Tone.HINT, pad("" if at else label, 9)) + pen(tone, line) for at, line in enumerate(lines)]


def time_items(page: HostPage, look: Look, width: int) -> list[Item]:
    """What changed on it, newest first, a line each."""
    found = moments(page.steps, ascii=look.ascii)
    if not found:
        return [[look.pen(Tone.DIM, look.pen.say("nothing has changed since it was first seen", width))]]
    clocks = [short_clock(moment.at, page.now) for moment in found]
    return [
        [_moment(moment, clock, max(map(len, clocks)), look.pen, width)]
        for moment, clock in zip(found, clocks, strict=True)
    ]


def short_clock(at: datetime, now: datetime) -> str:
    """As `clock_words`, without the year where it is this one."""
    return clock_words(at, now).removesuffix(f" {now.year}")


def _moment(moment: Moment, clock: str, clock_width: int, pen: Pen, width: int) -> str:
    event, others = moment.events[0], len(moment.events) - 1
    more = f"  + {others}" if others and width >= 40 else ""
    gap = "  " if width >= 40 else " "
    words = pen.say(event.words, max(width - clock_width - 2 * len(gap) - 1 - len(more), 0))
    when = pen(Tone.HINT, pad(clock, clock_width))
    return f"{when}{gap}{pen(event.tone, event.glyph)}{gap}{words}{pen(Tone.HINT, more)}"


# Putting together


def heading(words: str, look: Look, width: int) -> str:
    rule = ("-" if look.ascii else "─") * max(width - cells(words) - 1, 0)
    return f"{look.pen(Tone.HINT, words)} {look.pen.code(look.paint.line, rule)}"


def _section(title: str, items: list[Item], look: Look, width: int, room: int) -> list[str]:
    """An empty line, the heading, and what fits; nothing where that would be nothing."""
    if not items or room < 3:
        return []
    return ["", heading(title, look, width), *_cut(items, look.pen, width, room - 2)]


def _cut(items: list[Item], pen: Pen, width: int, room: int) -> list[str]:
    """Whole entries while they fit; then a line that says how many more there are."""
    if sum(map(len, items)) <= room:
        return [line for item in items for line in item]
    lines: list[str] = []
    shown = 0
    for item in items:
        if len(lines) + len(item) > room - 1:
            break
        lines += item
        shown += 1
    if not shown:
        return [*items[0][: room - 1], pen(Tone.HINT, pen.say("cut here, enter shows all", width))]
    return [*lines, pen(Tone.HINT, pen.say(f"+ {len(items) - shown} more, enter shows all", width))]


def beside(columns: Sequence[tuple[Sequence[str], int]], gap: int) -> list[str]:
    """Columns of drawn lines side by side; each line is padded to its column's width."""
    height = max(len(lines) for lines, _ in columns)
    drawn = []
    for at in range(height):
        parts = [_padded(lines[at] if at < len(lines) else "", width) for lines, width in columns]
        drawn.append((" " * gap).join(parts).rstrip(" "))
    return drawn


def _padded(line: str, width: int) -> str:
    return line + " " * max(width - cells(bare(line)), 0)


def bare(line: str) -> str:
    """The text of a drawn line."""
    return _CODE.sub("", line)
