"""The sections of a host's own screen as lines: facts, timeline, log, raw answer. Pure.

Lines are flat spans (`console.ink`), at most as wide as asked; everything a host said passes `Pen.say`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

from console.board import Look
from console.host_page import HostPage, moment_words, row_of, what_words
from console.render_host import facts_lines, why_lines
from console.render_panel import bare, beside, heading, time_items
from console.render_slots import box_lines, next_lines
from console.states import style_of, word_of
from console.story import Event, Moment, moments
from console.tone import Pen, Tone
from console.visible import MONTHS, cells, count_words, pad, wrap

SECTIONS = ("facts", "timeline", "log", "raw")
"""Their names are the actions of `console.keys` that show them."""
LOG_MOST = 5000
"""Newest lines of a log that are drawn."""
_LINE_MOST = 4000
"""Cells of one line of raw text; a host that sends more in one line is cut."""
_WIDE, _COLUMN = 150, 94
_BOXES = 64
_NEWEST = 24
"""Changes beside the facts, where there is room; all are in their own section."""
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


# The head


def head_lines(
    name: str, page: HostPage | None, section: str, keys: Sequence[tuple[str, str]], look: Look, width: int
) -> list[str]:
    """The way here and the state; the sections, with their keys; a rule that is heavy under the one shown.

    `keys` are key and name of each section.
    """
    pen = look.pen
    state, tone = "", Tone.HINT
    if page is not None:
        row = row_of(page)
        style = style_of(row.state)
        state = f"{style.ascii if pen.ascii else style.glyph} {word_of(row.state, certain=row.certain)}"
        tone = style.tone
    way = f" fleet {'>' if look.ascii else '›'} "
    name = pen.say(name, max(width - len(way) - cells(state) - 3, 0), "middle")
    gap = " " * max(width - len(way) - cells(name) - cells(state) - 1, 0)
    first = pen(Tone.DIM, way) + pen(Tone.BRIGHT, name) + gap + pen(tone, state)
    return [first, *_tabs(section, keys, look, width)]


def _tabs(section: str, keys: Sequence[tuple[str, str]], look: Look, width: int) -> list[str]:
    thin, heavy = ("-", "=") if look.ascii else ("─", "━")
    tabs, rule = " ", look.pen.code(look.paint.line, thin)
    used = 1
    for key, name in keys:
        is_shown = name == section
        code = look.paint.tones.get(Tone.BRIGHT if is_shown else Tone.DIM, "")
        if is_shown and look.plain:
            code = f"{code};4" if code else "4"
        words = cells(key) + 1 + len(name)
        tabs += f"{look.pen(Tone.ACCENT, key)} {look.pen.code(code, name)}   "
        line = (
            look.pen(Tone.ACCENT, heavy * words) if is_shown else look.pen.code(look.paint.line, thin * words)
        )
        rule += line + look.pen.code(look.paint.line, thin * 3)
        used += words + 3
    if used > width:
        return [look.pen.say(bare(tabs), width), look.pen.code(look.paint.line, thin * width)]
    return [tabs, rule + look.pen.code(look.paint.line, thin * (width - used))]


# Facts


def facts_page(page: HostPage, look: Look, width: int) -> list[str]:
    """The drawing and the reasons, then every fact; side by side where there is room."""
    pen, row, told = look.pen, row_of(page), page.document
    is_wide = width >= _WIDE
    column = min((width - 4) // 2 if is_wide else width, _COLUMN if is_wide else 2 * _COLUMN)
    left = [pen(Tone.TEXT, line) for line in wrap(pen.say(what_words(row)), column)]
    left += ["", *box_lines(row, look, min(column, _BOXES)), *next_lines(row, look, column)]
    left += why_lines(told["situation"], now=page.now, pen=pen, width=column)
    facts = facts_lines(told, now=page.now, pen=pen, width=column)
    if is_wide:
        newest = [line for item in time_items(page, look, column)[:_NEWEST] for line in item]
        left += ["", heading("timeline", look, column), *newest]
        return beside([(left, column), (facts, column)], 4)
    return [*left, "", heading("facts", look, column), *facts]


# Timeline


def timeline_page(page: HostPage, look: Look, width: int) -> list[str]:
    """Every change told, under its day, the newest first."""
    pen = look.pen
    found = moments(page.steps, ascii=look.ascii)
    if not found:
        return [pen(Tone.DIM, pen.say("nothing has changed since it was first seen", width))]
    lines: list[str] = []
    day = ""
    for moment in found:
        if (words := day_words(moment.at, page.now)) != day:
            lines += [*([""] if lines else []), heading(words, look, width)]
            day = words
        lines += _told(moment, page.now.tzinfo, pen, width)
    oldest = moment_words(found[-1].at.isoformat(), page.now, with_age=False)
    count = count_words(len(page.steps))
    return [*lines, "", pen(Tone.HINT, pen.say(f"{count} changed facts since {oldest}", width))]


def day_words(at: datetime, now: datetime) -> str:
    """today, yesterday, Monday 17 Aug; with the year where it is not this one."""
    day = at.astimezone(now.tzinfo).date()
    ago = (now.date() - day).days
    if ago in (0, 1):
        return "yesterday" if ago else "today"
    words = f"{_DAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]}"
    return words if day.year == now.year else f"{words} {day.year}"


def _told(moment: Moment, zone: tzinfo | None, pen: Pen, width: int) -> list[str]:
    """The most telling event with its time; below it, dimmer, what else was found then."""
    lines = []
    for index, event in enumerate(moment.events):
        clock = "" if index else f"{moment.at.astimezone(zone):%H:%M}"
        lines += _event(event, clock, pen, width, tone=Tone.DIM if index else Tone.TEXT)
    return lines


def _event(event: Event, clock: str, pen: Pen, width: int, *, tone: Tone) -> list[str]:
    head = pen(Tone.HINT, pad(clock, 5)) + "  " + pen(event.tone, event.glyph) + "  "
    lines = wrap(pen.say(event.words), max(width - 10, 8))
    return [(" " * 10 if index else head) + pen(tone, line) for index, line in enumerate(lines)]


# Log and raw


def log_page(found: Sequence[str] | str | None, look: Look, width: int) -> list[str]:
    """The updater's log, the newest at the bottom; None: asked, no answer yet; a text: why there is none."""
    pen = look.pen
    if found is None:
        return [pen(Tone.DIM, "asking" + ("..." if look.ascii else "…"))]
    if isinstance(found, str):
        return _refused(found, pen, width)
    lines = [line for text in found[-LOG_MOST:] for line in _folded(text, pen, width)]
    if len(found) > LOG_MOST:
        lines.insert(0, pen(Tone.HINT, f"{count_words(len(found) - LOG_MOST)} older lines are not shown"))
    return lines or [pen(Tone.DIM, "the log is empty")]


def raw_page(found: Sequence[tuple[str, str]] | str | None, asked: str, look: Look, width: int) -> list[str]:
    """What a host answered, section by section; `asked` is when, in words."""
    pen = look.pen
    if found is None or isinstance(found, str):
        return log_page(found, look, width)
    lines = [pen(Tone.DIM, pen.say(f"asked just now{f', at {asked}' if asked else ''}", width))]
    for name, text in found:
        lines += ["", heading(pen.say(name, width - 4, "middle"), look, width)]
        lines += [line for part in _parts(text) for line in _folded(part, pen, width)]
        if not text.strip():
            lines.append(pen(Tone.HINT, "nothing"))
    return lines


def _parts(text: str) -> Iterable[str]:
    """Lines as the host ended them: only a line feed ends one, all else is shown."""
    return text.rstrip("\n").split("\n") if text.strip() else ()


def _folded(text: str, pen: Pen, width: int) -> list[str]:
    """A line of somebody else's text; one that fits keeps its blanks."""
    line = pen.say(text.rstrip().expandtabs(8), _LINE_MOST)
    if cells(line) <= width:
        return [line]
    first, *others = wrap(line, width - 2)
    return [first, *(f"  {other}" for other in others)]


def _refused(why: str, pen: Pen, width: int) -> list[str]:
    return [pen(Tone.UNKNOWN, line) for line in wrap(pen.say(f"no answer: {why}"), width)]


def copied(lines: Iterable[str]) -> str:
    """Drawn lines as plain text."""
    return "\n".join(bare(line).rstrip() for line in lines)
