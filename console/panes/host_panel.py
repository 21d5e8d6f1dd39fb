"""The host under the cursor: beside the table, below it, or as a strip, as its own size has it.

Rows and pages come down by `show`; it asks for nothing. A page of another host than the row's is not shown.
"""

from __future__ import annotations

from textual import events
from textual.strip import Strip
from textual.widget import Widget

from console import ink
from console.board import Look
from console.host_page import HostPage
from console.render_panel import panel
from console.rows import FleetView, HostRow


class HostPanel(Widget):
    """Draws one host within its own size; it never scrolls, for `enter` shows all of it."""

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.lines: tuple[str, ...] = ()
        """What is drawn."""
        self._shown: tuple[HostRow | None, FleetView, HostPage | None] | None = None

    def show(self, row: HostRow | None, view: FleetView, page: HostPage | None) -> None:
        """`page` None, or of another host: what only a page tells is left out."""
        is_of_row = page is not None and row is not None and page.name == row.name
        self._shown = (row, view, page if is_of_row else None)
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        self._draw()

    def _draw(self) -> None:
        """Paints only if a line differs from what stands there."""
        width, height = self.size
        if self._shown is None or not width or not height:
            return
        row, view, page = self._shown
        lines = tuple(panel(row, page, self.look, view.now, width, height))
        if lines != self.lines:
            self.lines = lines
            self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self.lines[y] if y < len(self.lines) else ""
        return ink.strip(line, self.rich_style, self.size.width)
