"""The big table: only what is on the screen is drawn, so that ten hosts and fifty thousand cost the same.

`Listing` says what is in it, `console.table` how a line looks. The cursor is on a host, not on a line: when
rows move it moves with them, and the line of the screen where it stands stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from console import ink
from console.arrange import SORTS, Arrangement, Entry, Fold, Heading, Listing
from console.board import Look
from console.rows import HostRow
from console.table import (
    Layout,
    Place,
    fold_line,
    group_line,
    heading_line,
    host_line,
    layout,
    pens_of,
)


class HostsTable(ScrollView, can_focus=True):
    """Entries down (`show`), the cursor's moves (`moved`) and opened lines up."""

    COMPONENT_CLASSES = {"hosts--cursor"}  # noqa: RUF012 - as Textual declares it
    BINDINGS = [  # noqa: RUF012
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "end(-1)", show=False),
        Binding("end", "end(1)", show=False),
    ]
    ALLOW_SELECT = False
    virtual_size = Reactive(Size(0, 0), layout=False)
    """Without a layout of the whole screen for each letter of a filter: only the scroll bar changes."""

    @dataclass
    class Opened(Message):
        """The line under the cursor was clicked twice."""

    def __init__(
        self, listing: Listing, look: Look, moved: Callable[[], None], *, id: str | None = None
    ) -> None:
        """`moved` is called when the cursor is on another line, or its line is about another host.

        A message would come too late for the same repaint.
        """
        super().__init__(id=id)
        self.listing = listing
        self.moved = moved
        self.look = look
        self.now: datetime | None = None
        self.marks: frozenset[str] = frozenset()
        self.empty: Sequence[str] = ()
        """Drawn lines for a table without hosts."""
        self.cursor = -1
        """Line of the table; -1 where there is none to stand on."""
        self.is_touched = False
        """Whether a person has moved the cursor or marked a host; until then it stays on the first line."""
        self._under: Entry | None = None
        self._pens = pens_of(look)
        self._painted: dict[int, tuple[str, bool]] = {}
        """Line of the screen -> what stands there, and whether it is the cursor's."""

    # Down

    def show(self, now: datetime, marks: frozenset[str], *, is_rearranged: bool = False) -> None:
        """After the listing changed, or the time, or the marks: paint the lines that differ.

        A host that is no longer listed leaves the cursor where it is, or, rearranged by a person, at the top.
        """
        self.now, self.marks = now, marks
        self._follow(is_rearranged=is_rearranged)
        self._set_size()
        self._repaint()

    def dress(self, look: Look) -> None:
        self.look, self._pens = look, pens_of(look)
        self._painted.clear()
        self.refresh()

    @property
    def layout_now(self) -> Layout:
        roster = self.listing.roster
        return layout(max(self.width, 40), roster.longest_name, roster.longest_version)

    @property
    def width(self) -> int:
        """Cells beside the scroll bar; they are kept for it while there is nothing to scroll."""
        return max(self.size.width - 1, 0)

    @property
    def entry(self) -> Entry | None:
        """What is under the cursor."""
        entries = self.listing.entries
        return entries[self.cursor] if 0 <= self.cursor < len(entries) else None

    @property
    def host(self) -> HostRow | None:
        return self.listing.row(self.entry)

    def go_to(self, line: int, *, step: int = 1) -> None:
        """Put the cursor on a line, or on the next one in the direction of `step` that can have it."""
        line = self._standable(line, step)
        self.is_touched = True
        if line < 0 or line == self.cursor:
            return
        self._set_cursor(line)
        self._keep_in_view(line)
        self._repaint()
        self.moved()

    def go_to_place(self, place: int) -> None:
        """Put the cursor on a host, if it is listed."""
        found = self._line_of(place)
        if found >= 0:
            self.go_to(found)

    # Inside

    def _set_cursor(self, line: int) -> None:
        self.cursor = line
        self._under = self.entry

    def _standable(self, line: int, step: int) -> int:
        """The line itself, else the nearest in the direction of `step`, else the nearest the other way."""
        entries = self.listing.entries
        if not entries:
            return -1
        line = min(max(line, 0), len(entries) - 1)
        for direction in (step, -step):
            at = line
            while 0 <= at < len(entries):
                if not isinstance(entries[at], Heading):
                    return at
                at += 1 if direction > 0 else -1
        return -1

    def _follow(self, *, is_rearranged: bool) -> None:
        """Find the cursor's host where it stands now; the screen's line under it stays."""
        under, before = self._under, self.cursor
        if under is not None and self.entry == under and (self.is_touched or before == self._standable(0, 1)):
            return
        line = self._line_of(under) if under is not None and self.is_touched else -1
        if line < 0:
            line = self._standable(0 if is_rearranged or not self.is_touched else max(before, 0), 1)
        self._set_cursor(line)
        if line >= 0 and before >= 0:
            self._set_size()
            self.scroll_to(y=max(self.scroll_offset.y + line - before, 0), animate=False)
            self._keep_in_view(line)
        if self._under != under:
            self.moved()

    def _line_of(self, wanted: Entry) -> int:
        entries = self.listing.entries
        if isinstance(wanted, Fold):
            lines = [
                line for line, one in enumerate(entries) if isinstance(one, Fold) and one.key == wanted.key
            ]
            if lines:
                return lines[0]
            wanted = wanted.places[0]
        try:
            return entries.index(wanted)
        except ValueError:
            pass
        for line, one in enumerate(entries):
            if isinstance(one, Fold) and wanted in one.places:
                return line
        return -1

    def _set_size(self) -> None:
        size = Size(self.width, len(self.listing.entries))
        if size != self.virtual_size:
            self.virtual_size = size
            self.vertical_scrollbar.window_virtual_size = size.height
            self.vertical_scrollbar.refresh()

    def _keep_in_view(self, line: int) -> None:
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        above = 1 if line and isinstance(self.listing.entries[line - 1], Heading) else 0
        if line - above < top:
            self.scroll_to(y=line - above, animate=False)
        elif line >= top + height:
            self.scroll_to(y=line - height + 1, animate=False)

    def _repaint(self) -> None:
        """Only lines that differ from what was painted."""
        for y in range(self.size.height):
            if y in self._painted and self._painted[y] != self._line(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def _line(self, y: int) -> tuple[str, bool]:
        """Line `y` of the screen."""
        entries, at = self.listing.entries, y + self.scroll_offset.y
        if at >= len(entries):
            is_empty = not entries and y < len(self.empty)
            return (self.empty[y] if is_empty else ""), False
        is_cursor = at == self.cursor
        return self._text(entries[at], is_cursor=is_cursor), is_cursor

    def _text(self, entry: Entry, *, is_cursor: bool) -> str:
        rows, table = self.listing.roster.rows, self.layout_now
        if self.now is None:
            return ""
        if isinstance(entry, Heading):
            return group_line(entry, table, self._pens)
        if isinstance(entry, Fold):
            members = [rows[place] for place in entry.places]
            place = Place(is_cursor, all(row.name in self.marks for row in members))
            return fold_line(entry, members, table, self._pens, place)
        row = rows[entry]
        return host_line(row, table, self.now, self._pens, Place(is_cursor, row.name in self.marks))

    def render_line(self, y: int) -> Strip:
        text, is_cursor = self._line(y)
        self._painted[y] = (text, is_cursor)
        base: Style = self.rich_style
        if is_cursor:
            base = self.get_component_rich_style("hosts--cursor")
        return ink.strip(text, base, self.size.width)

    # Keys and mouse

    def action_move(self, step: int) -> None:
        if step < 0 and self.cursor == self._standable(0, 1):
            self.scroll_to(y=0, animate=False)  # a heading above the first host
            return
        self.go_to(self.cursor + step, step=step)

    def action_page(self, step: int) -> None:
        self.go_to(self.cursor + step * max(self.size.height - 1, 1), step=step)

    def action_end(self, step: int) -> None:
        self.go_to(len(self.listing.entries) if step > 0 else 0, step=-step)
        if step < 0:
            self.scroll_to(y=0, animate=False)

    def on_resize(self) -> None:
        self._painted.clear()
        self._set_size()
        if self.cursor >= 0:
            self._keep_in_view(self.cursor)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        line = offset.y + self.scroll_offset.y
        entries = self.listing.entries
        if line >= len(entries) or isinstance(entries[line], Heading):
            return
        self.go_to(line)
        if event.chain == 2:
            self.post_message(self.Opened())


class Headings(Widget):
    """The names of the columns; a click on one sorts by it."""

    ALLOW_SELECT = False

    @dataclass
    class SortAsked(Message):
        """By this column; by the same again the other way round."""

        column: str

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.text = ""
        self._shown: tuple[Layout, Arrangement] | None = None

    def show(self, table: Layout, asked: Arrangement) -> None:
        self._shown = (table, asked)
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self._draw()

    def _draw(self) -> None:
        if self._shown is not None:
            text = heading_line(*self._shown, pens_of(self.look))
            if text != self.text:
                self.text = text
                self.refresh()

    def render_line(self, y: int) -> Strip:
        if y:
            thin = "-" if self.look.ascii else "─"
            rule = self.look.pen.code(self.look.paint.line, thin * self.size.width)
            return ink.strip(rule, self.rich_style, self.size.width)
        return ink.strip(self.text, self.rich_style, self.size.width)

    def on_click(self, event: events.Click) -> None:
        column = self._shown[0].at(event.x) if self._shown and event.y == 0 else None
        if column is not None and column.key in SORTS:
            self.post_message(self.SortAsked(column.key))
