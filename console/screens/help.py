"""`?`: keys of this place, then everywhere; every state, sign and bar in plain words; how to select."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from console.board import Look
from console.help_text import help_lines
from console.keys import Home
from console.panes.lines import Lines
from console.tone import Tone
from console.visible import cells


class HelpScreen(ModalScreen[None]):
    """Made for the place that it was asked from; esc or ? leads back there."""

    BINDINGS = [  # noqa: RUF012 - as Textual declares it
        Binding("escape,question_mark,q", "close", "close", show=False),
        Binding("j", "scroll('down')", "down", show=False),
        Binding("k", "scroll('up')", "up", show=False),
        Binding("space", "scroll('page_down')", "page down", show=False),
    ]

    def __init__(self, look: Look, home: Home) -> None:
        super().__init__()
        self.look = look
        self.home = home

    def compose(self) -> ComposeResult:
        yield Lines(classes="help--head")
        with VerticalScroll():
            yield Lines(id="help-lines")
        yield Lines(classes="help--foot")

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def _draw(self) -> None:
        look, width = self.look, self.size.width
        title = f" help: {self.home.value} "
        head = look.pen.code(look.paint.key, title)
        self.query_one(".help--head", Lines).show([head, ""] if self.size.height >= 30 else [head])
        scrolled = self.query_one(VerticalScroll)
        room = width - scrolled.styles.scrollbar_size_vertical
        self.query_one("#help-lines", Lines).show(help_lines(self.home, look, room))
        keys = (("esc", "close"), ("j k", "down, up"), ("space", "a page on"), ("home end", "first, last"))
        self.query_one(".help--foot", Lines).show([_keys_line(keys, look, width)])

    def action_close(self) -> None:
        self.dismiss(None)

    def action_scroll(self, where: str) -> None:
        view = self.query_one(VerticalScroll)
        {"down": view.action_scroll_down, "up": view.action_scroll_up, "page_down": view.action_page_down}[
            where
        ]()


def _keys_line(keys: tuple[tuple[str, str], ...], look: Look, width: int) -> str:
    """Keys of this screen alone; what does not fit is left out."""
    code = look.paint.tones.get(Tone.ACCENT, "")
    line, used = " ", 1
    for key, label in keys:
        used += cells(f"{key} {label}") + 3
        if used <= width:
            line += (
                f"{look.pen.code(code if look.plain else f'1;{code}', key)} {look.pen(Tone.DIM, label)}   "
            )
    return line
