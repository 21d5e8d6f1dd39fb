"""Full-width lines for what must be known now; nothing, not even an empty line, where all is well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.board import Board, Look
from console.head_line import Answered, alert_lines, count_answered
from console.panes.lines import Drawn
from console.rows import HostRow


class AlertLine(Drawn):
    """The board down (`show`)."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
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
        lines = alert_lines(self._board, self._answered, self._frozen_at, self.look, width)
        self.display = bool(lines)
        self.put(lines)

    def on_resize(self) -> None:
        self._draw()
