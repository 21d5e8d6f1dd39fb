"""Sentence and bars above the table. A part that is chosen, by click or key, filters the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console import ink
from console.bars import Drawing
from console.board import Board, Look
from console.overview import Overview, Room, overview
from console.roster import Tally


class BarsView(Widget, can_focus=True):
    """Counts down (`show`), a chosen selection up (`Chosen`)."""

    BINDINGS = [  # noqa: RUF012 - as Textual declares it
        Binding("left", "step(-1)", show=False),
        Binding("right", "step(1)", show=False),
        Binding("enter", "choose", show=False),
        Binding("down,escape", "leave", show=False),
    ]
    ALLOW_SELECT = False

    @dataclass
    class Chosen(Message):
        """A part was chosen; `key` is the selection of its hosts."""

        key: str

    @dataclass
    class Left(Message):
        """Back to the table."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.room = Room.LOW
        self.drawing = Drawing((), (), 0)
        self._told: Overview | None = None
        self._key = ""
        self._height = 0

    def show(self, board: Board, tally: Tally, active: str) -> None:
        """`active` is the selection that the table shows: its part stands out too."""
        self._told = Overview(board, tally, self.look, active)
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        if self._told is not None:
            self._told = replace(self._told, look=look)
        self._draw()

    def fit(self, room: Room) -> None:
        if room is not self.room:
            self.room = room
            self._draw()

    def _draw(self) -> None:
        if self._told is None or not self.size.width:
            return
        told = replace(self._told, chosen=self._key) if self.has_focus else self._told
        drawing = overview(told, self.size.width, self.room)
        if drawing != self.drawing:
            self.drawing = drawing
            self.refresh()
        if self._height != len(drawing.lines):
            self._height = len(drawing.lines)
            self.styles.height = self._height

    def render_line(self, y: int) -> Strip:
        line = self.drawing.lines[y] if y < len(self.drawing.lines) else ""
        return ink.strip(line, self.rich_style, self.size.width)

    def on_resize(self) -> None:
        self._draw()

    def on_focus(self) -> None:
        keys = self.drawing.keys
        if self._key not in keys:
            self._key = keys[0] if keys else ""
        self._draw()

    def on_blur(self) -> None:
        self._draw()

    def on_click(self, event: events.Click) -> None:
        key = self.drawing.at(event.x, event.y)
        if key:
            self._key = key
            self.post_message(self.Chosen(key))

    def action_step(self, step: int) -> None:
        keys = self.drawing.keys
        if keys:
            at = keys.index(self._key) + step if self._key in keys else 0
            self._key = keys[min(max(at, 0), len(keys) - 1)]
            self._draw()

    def action_choose(self) -> None:
        if self._key:
            self.post_message(self.Chosen(self._key))

    def action_leave(self) -> None:
        self.post_message(self.Left())
