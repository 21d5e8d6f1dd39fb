"""The head of the screen: which fleet, which mode, how fresh it is, and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.geometry import Size
from textual.message import Message

from console.board import Board, Look
from console.head_line import Answered, count_answered, head_lines, head_zones
from console.panes.lines import Drawn
from console.rows import HostRow

RULED_FROM = 30
"""Lines of the terminal from which the head has a rule under it."""


class Head(Drawn):
    """The board down (`show`), a clicked mode up (`ModeAsked`)."""

    @dataclass
    class ModeAsked(Message):
        """A mode was clicked; `name` is one of `console.keys.MODES`."""

        name: str

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self._board: Board | None = None
        self._mode = ""
        self._unlocked = ""
        self._rows: Sequence[HostRow] | None = None
        self._answered = Answered(0, 0, 0)

    def show(self, board: Board, mode: str, unlocked: str = "") -> None:
        """`unlocked`: for how long hosts can be changed; "" while they cannot."""
        self._board, self._mode, self._unlocked = board, mode, unlocked
        if self._rows is not board.view.rows:
            self._rows, self._answered = board.view.rows, count_answered(board.view.rows)
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def _draw(self) -> None:
        if self._board is None or not self.size.width:
            return
        is_ruled = self.size.height > 1
        self.put(
            head_lines(
                self._board,
                self._answered,
                self._mode,
                self.look,
                self.size.width,
                is_ruled=is_ruled,
                unlocked=self._unlocked,
            )
        )

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return 2 if viewport.height >= RULED_FROM else 1

    def on_resize(self) -> None:
        self._draw()

    def on_click(self, event: events.Click) -> None:
        if self._board is None:
            return
        for zone in head_zones(self._board, self.look, self.size.width):
            if zone.start <= event.x < zone.end:
                self.post_message(self.ModeAsked(zone.mode))
