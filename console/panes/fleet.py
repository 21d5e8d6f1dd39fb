"""The fleet: sentence and bars, the filter line, the big table, the panel of the host under the cursor.

A board down (`show`), wishes up: a host chosen, a host opened, a text to copy, a sentence to say. What is
marked, filtered, sorted, grouped and folded is this pane's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widgets import Input

from collectors.errors import ConfigError
from console.arrange import (
    GROUPINGS,
    SORTS,
    Fold,
    Listing,
    group_field,
    marked_hidden,
    order_words,
    sort_column,
)
from console.board import Board, Look
from console.host_page import HostPage
from console.keys import Home, key_pairs
from console.overview import Room
from console.panes.bars_view import BarsView
from console.panes.filter_line import FilterLine, FilterState
from console.panes.host_panel import HostPanel
from console.panes.hosts_table import Headings, HostsTable
from console.rows import HostRow
from console.table import empty_lines
from console.visible import count_words, hosts_words, visible

SIDE_FROM, STRIP_BELOW = 140, 100
"""Columns from which the panel stands beside the table, and below which it is a strip."""
PANEL_LINES, PANEL_LINES_FROM = 12, 34
"""Lines of the panel below the table, and of the pane from which there is room for them."""
HIGH_FROM, MIDDLE_FROM = 40, 26


class FleetPane(Vertical):
    """Everything about the fleet at once."""

    BINDINGS = [  # noqa: RUF012 - as Textual declares it
        *(
            Binding(keys, method, label, show=False, priority=method == "filter")
            for keys, method, label in key_pairs(Home.FLEET)
        ),
        Binding("escape", "end_range", show=False),
    ]

    @dataclass
    class HostChosen(Message):
        """The cursor is on this host, or on none."""

        name: str | None

    @dataclass
    class HostOpened(Message):
        """Everything about this host is asked for."""

        name: str

    @dataclass
    class CopyAsked(Message):
        """`text` belongs on the clipboard; `words` say what it is."""

        text: str
        words: str

    @dataclass
    class Said(Message):
        """A sentence for the person."""

        text: str

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.board: Board | None = None
        self.marks: frozenset[str] = frozenset()
        self.listing = Listing()
        self._page: HostPage | None = None
        self.chosen: str | None = None
        """The host under the cursor."""
        self._range: tuple[int, frozenset[str]] | None = None
        """The place where a range began, and the marks before."""
        self._wants_panel = True
        self.bars = BarsView(look)
        self.line = FilterLine(look, self._typed)
        self.headings = Headings(look)
        self.table = HostsTable(self.listing, look, self._moved)
        self.panel = HostPanel(look)
        self.set_class(look.ascii, "-ascii")

    def compose(self) -> ComposeResult:
        yield self.bars
        with Container(id="fleet-body"):
            with Vertical(id="fleet-list"):
                yield self.line
                yield self.headings
                yield self.table
            yield self.panel

    def focus(self, scroll_visible: bool = True) -> Self:
        self.table.focus(scroll_visible)
        return self

    # Data down

    def show(self, board: Board) -> None:
        """What is known now. Rows that did not change are the same objects as before."""
        self.board = board
        keeps_order = bool(self.listing.roster.rows) and self.table.has_focus and self.table.is_touched
        if self.listing.take(board.view.rows, keep_order=keeps_order).is_new:
            self._drop_lost_marks()
        self._redraw()

    def show_page(self, page: HostPage) -> None:
        self._page = page
        self._show_panel()

    def dress(self, look: Look) -> None:
        self.look = look
        self.set_class(look.ascii, "-ascii")
        for widget in (self.bars, self.line, self.headings, self.table, self.panel):
            widget.dress(look)
        self._redraw()

    def shown_rows(self) -> list[HostRow]:
        """The hosts that filter and toggles let through, in order, those in folds too."""
        return self.listing.rows()

    def row(self, name: str) -> HostRow | None:
        """What is known of a host of the fleet, listed or not."""
        return self.listing.roster.row(name)

    @property
    def filter_text(self) -> str:
        return self.listing.arrangement.text

    def set_filter(self, text: str) -> None:
        """Show what `text` selects; of a text that cannot be read it is said why, and nothing changes."""
        try:
            self.listing.arrange(text=text.strip())
        except ConfigError as error:
            self.post_message(self.Said(_problem(error)))
            return
        self._redraw(is_rearranged=True)

    # Drawing

    def _redraw(self, *, is_rearranged: bool = False) -> None:
        board, listing = self.board, self.listing
        if board is None:
            return
        self.bars.show(board, listing.roster.tally, listing.arrangement.text)
        self.table.empty = empty_lines(len(board.view.rows), listing.arrangement, self.look.pen)
        self.table.show(board.view.now, self.marks, is_rearranged=is_rearranged)
        self.headings.show(self.table.layout_now, listing.arrangement)
        self._show_line()
        self._tell_host()
        self._show_panel()

    def _show_line(self, error: str = "") -> None:
        listing, asked = self.listing, self.listing.arrangement
        self.line.show(
            FilterState(
                text=asked.text,
                listed=len(listing.hosts),
                hosts=len(listing.roster.rows),
                marked=len(self.marks),
                hidden=marked_hidden(listing, self.marks),
                waiting=len(listing.waiting),
                attention=listing.attention,
                reboots=listing.reboots,
                only_attention=asked.attention,
                only_reboots=asked.reboots,
                order=order_words(asked),
                is_range=self._range is not None,
                error=error,
            )
        )

    def _show_panel(self) -> None:
        if self.board is not None and self.panel.display:
            self.panel.show(self.table.host, self.board.view, self._page)

    def _tell_host(self) -> None:
        host = self.table.host
        name = host.name if host is not None else None
        if name != self.chosen:
            self.chosen = name
            self.post_message(self.HostChosen(name))

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        is_side = width >= SIDE_FROM
        is_tall = width >= STRIP_BELOW and height >= PANEL_LINES_FROM
        self.set_class(is_side, "-side")
        self.set_class(not is_side and is_tall, "-below")
        self.set_class(not is_side and not is_tall, "-strip")
        room = Room.HIGH if height >= HIGH_FROM else Room.MIDDLE if height >= MIDDLE_FROM else Room.LOW
        self.set_class(room is Room.HIGH, "-high")
        self.bars.fit(room if width >= STRIP_BELOW else Room.LOW)
        self.panel.display = self._wants_panel
        self.call_after_refresh(self._redraw)

    # What its parts say

    def _moved(self) -> None:
        if self._range is not None:
            self._mark_range()
        self._tell_host()
        self._show_panel()

    @on(HostsTable.Opened)
    def _opened(self) -> None:
        self.action_open()

    @on(Headings.SortAsked)
    def _sort_asked(self, message: Headings.SortAsked) -> None:
        asked = self.listing.arrangement
        if asked.sort == message.column:
            self._arrange(reverse=not asked.reverse)
        else:
            self._arrange(sort=message.column, reverse=False)

    @on(BarsView.Chosen)
    def _part_chosen(self, message: BarsView.Chosen) -> None:
        self.set_filter("" if message.key == self.filter_text else message.key)

    @on(BarsView.Left)
    @on(FilterLine.Kept)
    def _back_to_table(self) -> None:
        self.line.close()
        self.table.focus()
        self._show_line()

    @on(FilterLine.Left)
    def _filter_left(self) -> None:
        self.set_filter("")
        self._back_to_table()

    def _typed(self, text: str) -> None:
        """The last text that could be read stays in force while another is being typed."""
        try:
            self.listing.arrange(text=text.strip())
        except ConfigError as error:
            self._show_line(_problem(error))
            return
        self._redraw(is_rearranged=True)

    # Marks

    def _mark(self, marks: Iterable[str]) -> None:
        self.marks, self.table.is_touched = frozenset(marks), True
        if self.board is not None:
            self.table.show(self.board.view.now, self.marks)
        self._show_line()

    def _names(self, places: Iterable[int]) -> set[str]:
        rows = self.listing.roster.rows
        return {rows[place].name for place in places}

    def _drop_lost_marks(self) -> None:
        self._range = None
        lost = self.marks - self.listing.roster.places.keys()
        if lost:
            self.marks -= lost
            what = f"{hosts_words(len(lost))} no longer in the fleet"
            self.post_message(
                self.Said(f"{what}: {'its mark is' if len(lost) == 1 else 'their marks are'} gone")
            )

    def _mark_range(self) -> None:
        assert self._range is not None
        begin, before = self._range
        entries = self.listing.entries
        ends = sorted((entries.index(begin) if begin in entries else self.table.cursor, self.table.cursor))
        between = [place for entry in entries[ends[0] : ends[1] + 1] for place in self.listing.places(entry)]
        self._mark(before | self._names(between))

    def action_mark(self) -> None:
        names = self._names(self.listing.places(self.table.entry))
        self._mark(self.marks - names if names <= self.marks else self.marks | names)

    def action_mark_range(self) -> None:
        if self._range is not None:
            self.action_end_range()
            return
        places = self.listing.places(self.table.entry)
        if places:
            self._range = (places[0], self.marks)
            self._mark_range()

    def action_end_range(self) -> None:
        self._range = None
        self._show_line()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Esc is ours only while a range is being marked; a text that is typed has the filter's key."""
        if action == "filter":
            return not (
                isinstance(self.app.focused, Input)
                or self.screen.is_modal
                or self.app.screen is not self.screen
            )
        return self._range is not None if action == "end_range" else True

    def action_mark_all(self) -> None:
        self._mark(self.marks | self._names(self.listing.hosts))

    def action_mark_none(self) -> None:
        self._range = None
        self._mark(())

    # What can be asked for (console.keys)

    def _arrange(self, **changes: Any) -> None:
        self.listing.arrange(**changes)
        self._redraw(is_rearranged=True)

    def action_filter(self, argument: str = "") -> None:
        if argument:
            self.set_filter(argument)
        else:
            self.line.open()

    def action_attention(self) -> None:
        self._arrange(attention=not self.listing.arrangement.attention)

    def action_reboots(self) -> None:
        self._arrange(reboots=not self.listing.arrangement.reboots)

    def action_fold(self) -> None:
        self._arrange(fold=not self.listing.arrangement.fold, opened=frozenset())

    def action_group(self, argument: str = "") -> None:
        """By the field named, or by the next one; the last is none."""
        if argument:
            try:
                self._arrange(group=group_field(argument))
            except ConfigError as error:
                self.post_message(self.Said(_problem(error)))
            return
        fields = (None, *GROUPINGS)
        now = self.listing.arrangement.group
        self._arrange(group=fields[(fields.index(now) + 1) % len(fields)] if now in fields else None)

    def action_sort(self, argument: str = "") -> None:
        columns = list(SORTS)
        try:
            column = sort_column(argument) if argument else ""
        except ConfigError as error:
            self.post_message(self.Said(_problem(error)))
            return
        now = columns.index(self.listing.arrangement.sort)
        self._arrange(sort=column or columns[(now + 1) % len(columns)], reverse=False)

    def action_settle(self) -> None:
        self.listing.settle()
        self._redraw()

    def action_open(self) -> None:
        entry = self.table.entry
        if isinstance(entry, Fold):
            self._arrange(opened=self.listing.arrangement.opened | {entry.key})
            self.table.go_to_place(entry.places[0])
        elif (host := self.table.host) is not None:
            self.post_message(self.HostOpened(host.name))

    def action_panel(self) -> None:
        self._wants_panel = not self._wants_panel
        self.panel.display = self._wants_panel
        self.call_after_refresh(self._redraw)

    def action_copy(self) -> None:
        places = self.listing.roster.places
        marked = sorted(self.marks, key=lambda name: places[name])
        host = self.table.host
        if marked:
            words = f"{count_words(len(marked))} {'name' if len(marked) == 1 else 'names'} copied"
            self.post_message(self.CopyAsked("\n".join(marked), words))
        elif host is not None:
            self.post_message(self.CopyAsked(host.name, f"{visible(host.name, 40)} copied"))


def _problem(error: ConfigError) -> str:
    """`column 7: unknown field …`."""
    return str(error).removeprefix("selection: ")
