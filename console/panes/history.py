"""The mode that looks back: versions over time, what changed at the cursor, the way to a moment.

History down (`show`), wishes up (`MomentAsked`, `SpanAsked`, `Said`). The cursor is a moment: it stays there
while the plot moves on, and at the right edge it follows the present.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message

from collectors.sources.writing import fold
from console.board import Board, Look
from console.history import (
    SPANS,
    Column,
    Event,
    History,
    changed,
    columns,
    counts_lines,
    events,
    layers,
    moment_words,
    next_span,
    sentence,
    span_words,
)
from console.keys import Home, key_pairs
from console.panes.lines import Lines
from console.plot import MAX_LAYERS, Picture, chart, chart_left, chart_room, is_lettered, lay_out
from console.tone import Tone
from console.visible import cells, count_words, pad

_MOST_ROWS = 26
_FOLDED = 200
"""Hosts of one change that are folded into a node set; of more, the first is named."""


class HistoryPane(Vertical, can_focus=True):
    """Hosts per version over time with a cursor, and below it what changed there."""

    BINDINGS = [  # noqa: RUF012 - Textual's form
        *[Binding(keys, method, label, show=False) for keys, method, label in key_pairs(Home.HISTORY)],
        Binding("up", "scroll_list(-1)", show=False),
        Binding("down", "scroll_list(1)", show=False),
        Binding("pageup", "page_list(-1)", show=False),
        Binding("pagedown", "page_list(1)", show=False),
        Binding("home", "to_edge(0)", show=False),
        Binding("end", "to_edge(-1)", show=False),
    ]

    @dataclass
    class MomentAsked(Message):
        """The fleet as it was then; None is now."""

        at: datetime | None

    @dataclass
    class SpanAsked(Message):
        """Another span of time, a key of `console.history.SPANS`."""

        span: str

    @dataclass
    class Said(Message):
        """A sentence for the person."""

        text: str

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.history: History | None = None
        self.board: Board | None = None
        self.cursor: datetime | None = None
        """None: at the right edge, now."""
        self._sentence = ("", "")
        self._first = 0
        self._plot_row = 0
        self._laid_out: tuple[History | None, int, int, bool] = (None, 0, 0, False)
        self._picture: Picture | None = None
        self._changed: list[int] = []
        self._rows: list[str | Event] = []

    def compose(self) -> ComposeResult:
        yield Lines(id="history-plot")
        yield Lines(id="history-events")

    def show(self, history: History, board: Board) -> None:
        if self.board is not None and board.past != self.board.past and board.past is not None:
            self.cursor = board.past
        self.history, self.board = history, board
        self._sentence = sentence(history)
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    # Drawing

    def _draw(self) -> None:
        history, (width, height) = self.history, self.size
        if history is None or width < 1 or not self.is_mounted:
            return
        look = self.look
        head = sentence_lines(look, self._sentence, width)
        if height >= 22:
            head.append("")
        self._plot_row = len(head) + 1
        rows = min(max((height - 7) // 2, 5), _MOST_ROWS)
        picture = self._lay_out(history, width, rows)
        at = self._index(picture.columns)
        notes = dict(self.board.view.version_notes) if self.board else {}
        lines = [
            *head,
            heading(look, f"hosts per version, {span_words(history)}", width),
            *chart(look, history, picture, at, notes, width),
            *cursor_lines(look, history, picture.columns[at], width),
            *([""] if height >= 22 else []),
        ]
        title, self._rows = listing(look, history, picture.columns, at, self._changed, width)
        lines.append(heading(look, title, width))
        self.query_one("#history-plot", Lines).show(lines)
        self._draw_list(history, max(height - len(lines), 1))

    def _draw_list(self, history: History, room: int) -> None:
        self._first = max(min(self._first, len(self._rows) - room), 0)
        left = len(self._rows) - self._first
        rows = self._rows[self._first : self._first + (room if left <= room else room - 1)]
        lines = listed(self.look, history, rows, self.size.width)
        if left > room:
            words = f"{count_words(left - room + 1)} more below"
            lines.append(self.look.pen(Tone.HINT, self.look.pen.say(words, self.size.width)))
        self.query_one("#history-events", Lines).show(lines)

    def _lay_out(self, history: History, width: int, rows: int) -> Picture:
        lettered = is_lettered(self.look)
        before, key = self._laid_out, (history, width, rows, lettered)
        if self._picture is None or before[0] is not history or before[1:] != key[1:]:
            most = min(MAX_LAYERS, rows // 2 + 1 if lettered else rows - 1)
            shown = columns(history, chart_room(history, width, lettered=lettered))
            self._picture = lay_out(shown, layers(shown, most), rows, lettered=lettered)
            self._changed, self._laid_out = changed(history.steps, shown), key
        return self._picture

    def _index(self, shown: Sequence[Column]) -> int:
        """The column of the cursor."""
        if self.cursor is None:
            return len(shown) - 1
        return min(bisect_left([column.end for column in shown], self.cursor), len(shown) - 1)

    # The cursor

    def _put_cursor(self, index: int) -> None:
        if self._picture is None:
            return
        shown = self._picture.columns
        index = min(max(index, 0), len(shown) - 1)
        self.cursor = shown[index].end if index < len(shown) - 1 else None
        self._first = 0
        self._draw()

    def _step(self, by: int) -> None:
        if self._picture is not None:
            self._put_cursor(self._index(self._picture.columns) + by)

    def _jump(self, by: int) -> None:
        """To the next column in which anything changed."""
        if self._picture is None:
            return
        at = self._index(self._picture.columns)
        ahead = [index for index in self._changed if (index > at if by > 0 else index < at)]
        if ahead:
            self._put_cursor(ahead[0] if by > 0 else ahead[-1])
        else:
            self._put_cursor(len(self._picture.columns) - 1 if by > 0 else at)

    def action_earlier(self) -> None:
        self._step(-1)

    def action_later(self) -> None:
        self._step(1)

    def action_change_before(self) -> None:
        self._jump(-1)

    def action_change_after(self) -> None:
        self._jump(1)

    def action_to_edge(self, index: int) -> None:
        if self._picture is not None:
            self._put_cursor(index % len(self._picture.columns))

    def action_go_there(self) -> None:
        if self._picture is None:
            return
        shown = self._picture.columns
        column = shown[self._index(shown)]
        if column.counts is None:
            self.post_message(self.Said("nothing had been seen by then"))
            return
        self.post_message(self.MomentAsked(None if column is shown[-1] else column.end))

    def action_span(self, argument: str = "") -> None:
        """Another span: the one named, else the next."""
        if self.history is None:
            return
        span = argument.strip() or next_span(self.history.span)
        if span in SPANS:
            self.post_message(self.SpanAsked(span))
        else:
            self.post_message(self.Said(f"no such span of time; there are {', '.join(SPANS)}"))

    def on_click(self, event: Click) -> None:
        """A click on the plot puts the cursor there."""
        history, picture = self.history, self._picture
        if history is None or picture is None:
            return
        x, y = event.screen_offset - self.content_region.offset
        left = chart_left(picture, self.size.width)
        if 0 <= y - self._plot_row <= len(picture.grid) and 0 <= x - left < len(picture.columns):
            self._put_cursor(x - left)

    # The list of what changed

    def action_scroll_list(self, by: int) -> None:
        self._first = max(self._first + by, 0)
        self._draw()

    def action_page_list(self, by: int) -> None:
        self.action_scroll_list(by * max(self.query_one("#history-events", Lines).size.height - 1, 1))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_scroll_list(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_scroll_list(-3)


# Lines


def heading(look: Look, text: str, width: int) -> str:
    text = look.pen.say(text, width)
    rule = ("-" if look.ascii else "─") * max(width - cells(text) - 1, 0)
    return look.pen(Tone.HINT, text) + " " * (cells(text) < width) + look.pen.code(look.paint.line, rule)


def sentence_lines(look: Look, said: tuple[str, str], width: int) -> list[str]:
    """The sentence, on two lines where one is too short for it."""
    first, rest = (look.pen.say(part) for part in said)
    if cells(first) + 1 + cells(rest) <= width:
        return [f"{look.pen(Tone.BRIGHT, first)} {look.pen(Tone.TEXT, rest)}"]
    return [
        look.pen(Tone.BRIGHT, look.pen.say(first, width)),
        look.pen(Tone.TEXT, look.pen.say(rest, width)),
    ]


def cursor_lines(look: Look, history: History, column: Column, width: int) -> list[str]:
    """The moment under the cursor and the counts there, in words, on one or two lines."""
    pen, is_now = look.pen, column.end >= history.now
    when = "now" if is_now else moment_words(column.end, history.now, history.length_s)
    if column.counts is None:
        words = pen.say(_unseen(history), max(width - cells(when) - 2, 1))
        return [f"{pen(Tone.ACCENT, when)}  {pen(Tone.UNKNOWN, words)}"]
    room = max(width - cells(when) - 2, 10)
    said = {None if name is None else pen.say(name): hosts for name, hosts in column.counts.items()}
    first, *more = counts_lines(said, room)
    return [
        f"{pen(Tone.ACCENT, when)}  {pen(Tone.TEXT, pen.say(first, room))}",
        *(" " * (cells(when) + 2) + pen(Tone.TEXT, pen.say(line, room)) for line in more),
    ]


def _unseen(history: History) -> str:
    if history.since is None:
        return "nothing has been seen yet"
    first = moment_words(history.since, history.now, history.length_s)
    return f"nothing had been seen by then; the first look was at {first}"


def listing(
    look: Look, history: History, shown: Sequence[Column], at: int, changes: Sequence[int], width: int
) -> tuple[str, list[str | Event]]:
    """Heading and rows of what changed at the cursor, or, where nothing did, of the change before."""
    column, pen = shown[at], look.pen
    before = next((index for index in reversed(changes) if index < at), None)
    after = next((index for index in changes if index > at), None)
    rows: list[str | Event] = []
    if at in changes:
        rows += events(history.steps, column)
    else:
        rows.append(pen(Tone.DIM, "Nothing changed." if column.counts is not None else "Nothing was seen."))
        if before is not None:
            rows.append(heading(look, f"the change before, {_time_of(history, shown[before])}", width))
            rows += events(history.steps, shown[before])
    if history.steps_from is not None and column.start < history.steps_from:
        limit = moment_words(history.steps_from, history.now, history.length_s)
        text = f"Changes before {limit} are not listed here; `fleetctl diff --since` lists them."
        rows.append(pen(Tone.HINT, pen.say(text, width)))
    hints = [
        f"{word} {_time_of(history, shown[index])}"
        for word, index in (("before:", before), ("after:", after))
        if index is not None
    ]
    if hints:
        rows.append(pen(Tone.HINT, pen.say("   ".join(hints), width)))
    return f"what changed, {_time_of(history, column)}", rows


def _time_of(history: History, column: Column) -> str:
    start = moment_words(column.start, history.now, history.length_s)
    if column.end >= history.now:
        return f"since {start}"
    end = moment_words(column.end, history.now, history.length_s)
    return start if start == end else f"{start} to {end}"


def listed(look: Look, history: History, rows: Sequence[str | Event], width: int) -> list[str]:
    """A line a row: when, on which hosts, which fact, from what to what; a moment is told once."""
    lines, told = [], ""
    for row in rows:
        if isinstance(row, str):
            lines.append(row)
            told = ""
            continue
        when = moment_words(row.moment, history.now, history.length_s)
        lines.append(_event_line(look, row, "" if when == told else when, len(when), width))
        told = when
    return lines


def _event_line(look: Look, event: Event, when: str, when_room: int, width: int) -> str:
    pen = look.pen
    who_room, fact_room = min(max(width // 3, 14), 52), min(max(width // 5, 10), 30)
    rest = max(width - when_room - who_room - fact_room - 6, 8)
    who = pad(who_words(look, event.hosts, who_room), who_room)
    fact = pad(pen.say(event.fact, fact_room, "middle"), fact_room)
    new = pen.say(event.new, rest)
    old = pen.say(f"{event.old} {'to' if look.ascii else pen.marks.next} ", max(rest - cells(new), 0))
    spans = (
        pen(Tone.DIM, f"{when:<{when_room}}  "),
        pen(Tone.TEXT, f"{who}  "),
        pen(Tone.DIM, f"{fact}  {old}"),
        pen(Tone.BRIGHT if event.is_version else Tone.TEXT, new),
    )
    return "".join(spans)


def who_words(look: Look, hosts: Sequence[str], width: int) -> str:
    """The host, or how many and which: a node set while it fits."""
    if len(hosts) == 1:
        return look.pen.say(hosts[0], width, "middle")
    number = f"{count_words(len(hosts))} hosts"
    if len(hosts) <= _FOLDED:
        names = look.pen.say(_folded(tuple(hosts)))
        if cells(number) + 2 + cells(names) <= width:
            return f"{number}, {names}"
    room = width - cells(number) - len(",  first")
    name = look.pen.say(hosts[0], room, "middle") if room > 3 else ""
    return f"{number}, {name} first" if name else look.pen.say(number, width)


@lru_cache(maxsize=1024)
def _folded(hosts: tuple[str, ...]) -> str:
    return ",".join(fold(hosts))
