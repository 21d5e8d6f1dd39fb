"""Lines that a pure renderer drew, as a widget: the one way by which panes put text on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from console import ink


class Drawn(Widget):
    """Draws exactly the lines that were put on it; as high as they are many where its height is `auto`."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.lines: tuple[str, ...] = ()

    def put(self, lines: Sequence[str]) -> None:
        """Lines of spans (`console.ink`); the screen is touched only where they differ from before."""
        lines = tuple(lines)
        if lines == self.lines:
            return
        resized = len(lines) != len(self.lines)
        self.lines = lines
        self.refresh(layout=resized)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines)

    def render_line(self, y: int) -> Strip:
        line = self.lines[y] if y < len(self.lines) else ""
        return ink.strip(line, self.rich_style, self.size.width)


class Lines(Drawn):
    """Lines down (`show`), nothing up."""

    DEFAULT_CSS = "Lines { height: auto; width: 1fr; }"

    def show(self, lines: Sequence[str]) -> None:
        self.put(lines)
