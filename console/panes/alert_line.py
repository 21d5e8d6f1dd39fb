"""Full-width lines for what must be known now; nothing, not even an empty line, where all is well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from console import ink
from console.board import Board, Look
from console.head_line import Answered, alert_lines, count_answered
from console.rows import HostRow


class AlertLine(Widget):
    """The board down (`show`)."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.lines: list[str] = []
        self.display = False
        self._board: Board | None = None
        self._frozen_at: datetime | None = None
        self._rows: Sequence[HostRow] | None = None
        self._answered = Answered(0, 0, 0)

    def show(self, board: Board, frozen: bool) -> None:
        """`frozen`: the picture is kept as it is; since the clock of the first board that is shown so."""
        self._board = board
        self._frozen_at = (self._frozen_at or board.view.now) if frozen else None
        if self._rows is not board.view.rows:
            self._rows, self._answered = board.view.rows, count_answered(board.view.rows)
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def _draw(self) -> None:
        if self._board is None:
            return
        width = self.size.width or self.app.size.width
        drawn = alert_lines(self._board, self._answered, self._frozen_at, self.look, width)
        if drawn != self.lines:
            resized = len(drawn) != len(self.lines)
            self.lines = drawn
            self.display = bool(drawn)
            self.refresh(layout=resized)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        line = self.lines[y] if y < len(self.lines) else ""
        return ink.strip(line, self.rich_style, self.size.width)

    def on_resize(self) -> None:
        self._draw()
