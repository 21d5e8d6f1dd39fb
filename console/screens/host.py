"""Everything known of one host: facts, timeline, its updater's log, its raw answer.

The page comes down by `show`, log and raw answer by `show_log` and `show_raw`; it asks for both, for a
terminal on the host, and for the clipboard by messages. It is left by the app's own `back`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console import ink
from console.board import Look
from console.host_page import HostPage
from console.keys import Home, key_pairs, named
from console.panes.foot import Foot
from console.panes.lines import Lines
from console.render_page import SECTIONS, copied, facts_page, head_lines, log_page, raw_page, timeline_page
from console.visible import clock_words

_MARGIN = 2


class Pages(ScrollView):
    """Lines of any number, scrolled by the usual keys; only what is seen is painted."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: tuple[str, ...] = ()

    @property
    def room(self) -> int:
        """Cells that a line may take; one is kept for the scroll bar, whether it is there or not."""
        return max(self.container_size.width - 2 * _MARGIN - 1, 20)

    def show(self, lines: Sequence[str], *, is_new: bool, at_end: bool) -> None:
        """`is_new`: another section than before, shown from its start, or from its end."""
        lines = tuple(lines)
        stays_at_end = at_end and self.scroll_offset.y >= self.max_scroll_y
        if lines != self.lines:
            self.lines = lines
            self.virtual_size = Size(self.room + 2 * _MARGIN, len(lines))
            self.refresh()
        if is_new or stays_at_end:
            self.scroll_to(y=len(lines) if at_end else 0, animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        at = y + round(self.scroll_offset.y)
        line = self.lines[at] if at < len(self.lines) else ""
        return ink.strip(" " * _MARGIN + line if line else "", self.rich_style, self.size.width)


class HostScreen(Screen[None]):
    """One host. `host` is its name."""

    @dataclass
    class LogAsked(Message):
        host: str

    @dataclass
    class RawAsked(Message):
        host: str

    @dataclass
    class SshAsked(Message):
        host: str

    @dataclass
    class CopyAsked(Message):
        text: str
        words: str
        """What was copied, for the notification line."""

    BINDINGS = [  # noqa: RUF012 - as Textual declares it
        Binding(keys, method, label, show=False) for keys, method, label in key_pairs(Home.HOST)
    ]

    def __init__(self, look: Look, name: str) -> None:
        super().__init__()
        self.look = look
        self.host = name
        self.section = SECTIONS[0]
        self.page: HostPage | None = None
        self._log: list[str] | str | None = None
        self._raw: list[tuple[str, str]] | str | None = None
        self._raw_at = ""
        self._asking: set[str] = set()

    def compose(self) -> ComposeResult:
        yield Lines(id="host--head")
        yield Pages()
        yield Foot(self.look)

    def on_mount(self) -> None:
        self.query_one(Pages).focus()
        self.call_after_refresh(self._draw)

    def on_resize(self, event: events.Resize) -> None:
        self.call_after_refresh(self._draw)

    # Data down

    def show(self, page: HostPage) -> None:
        """What is known now; the place where one reads stays."""
        self.page = page
        self._draw_head()
        if self.section not in ("log", "raw"):  # these do not change with it, and may be long
            self._draw()

    def show_log(self, found: list[str] | str) -> None:
        """The log's lines, the newest last; or why there are none."""
        self._asking.discard("log")
        self._log = found
        self._draw(is_new=self.section == "log")

    def show_raw(self, found: list[tuple[str, str]] | str) -> None:
        """Sections by name; or why there are none."""
        self._asking.discard("raw")
        self._raw = found
        self._raw_at = clock_words(self.page.now, self.page.now) if self.page else ""
        self._draw(is_new=self.section == "raw")

    def dress(self, look: Look) -> None:
        self.look = look
        self.query_one(Foot).dress(look)
        self._draw()

    # Drawing

    def _draw_head(self) -> None:
        if not self.is_mounted or not self.size.width:
            return
        keys = [(action.key_words, name) for name in SECTIONS if (action := named(name)) is not None]
        head = head_lines(self.host, self.page, self.section, keys, self.look, self.size.width)
        self.query_one("#host--head", Lines).show(head)
        self.query_one(Foot).show(Home.HOST, ("fleet", self.host, self.section))

    def _draw(self, *, is_new: bool = False) -> None:
        if not self.is_mounted or not self.size.width:
            return
        self._draw_head()
        pages = self.query_one(Pages)
        pages.show(self._lines(pages.room), is_new=is_new, at_end=self.section == "log")

    def _lines(self, width: int) -> list[str]:
        if self.section == "log":
            return log_page(None if "log" in self._asking else self._log, self.look, width)
        if self.section == "raw":
            found = None if "raw" in self._asking else self._raw
            return raw_page(found, self._raw_at, self.look, width)
        if self.page is None:
            return []
        draw = facts_page if self.section == "facts" else timeline_page
        return draw(self.page, self.look, width)

    def _turn(self, section: str) -> None:
        is_new, self.section = section != self.section, section
        self._draw(is_new=is_new)

    # What can be asked for here (console.keys)

    def action_facts(self) -> None:
        self._turn("facts")

    def action_timeline(self) -> None:
        self._turn("timeline")

    def action_log(self) -> None:
        self._ask("log", self.LogAsked(self.host))

    def action_raw(self) -> None:
        self._ask("raw", self.RawAsked(self.host))

    def _ask(self, section: str, wish: Message) -> None:
        """Each press asks anew: whoever asks may have given up the last one for another."""
        self._asking.add(section)
        self.post_message(wish)
        self._turn(section)

    def action_ssh(self) -> None:
        self.post_message(self.SshAsked(self.host))

    def action_copy_host(self) -> None:
        text = copied(self.query_one(Pages).lines)
        self.post_message(self.CopyAsked(text, f"copied: {self.section} of {self.host}"))
