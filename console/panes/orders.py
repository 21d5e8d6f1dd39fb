"""The mode of orders: what is under way, where each host stands and why, the way back.

A board down (`show`), wishes up (`HostOpened`, `InverseAsked`, `CopyAsked`, `Said`, `OrderChosen`).
The cursor is on an order and on a host, not on a line: when rows move it moves with them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import Reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from console import ink
from console.board import Look
from console.keys import Home, key_pairs
from console.order_board import Entry, Inverse, OrderBoard, OrderCard, entries, inverse
from console.panes.lines import Lines
from console.render_orders import (
    Place,
    about_lines,
    card_lines,
    entry_height,
    entry_lines,
    name_room,
    order_copy,
    sentence_lines,
)

SIDE_FROM = 140
"""Cells from which the list stands beside the hosts."""
LIST_ROWS = 6


class Items(ScrollView, can_focus=False):
    """Items of one or more lines each, drawn where they can be seen only."""

    COMPONENT_CLASSES = {"orders--cursor"}  # noqa: RUF012 - as Textual declares it
    ALLOW_SELECT = False
    virtual_size = Reactive(Size(0, 0), layout=False)

    @dataclass
    class Pressed(Message):
        """An item was clicked."""

        items: Items
        place: int
        is_double: bool

    def __init__(self, draw: Callable[[int], Sequence[str]], *, id: str | None = None) -> None:
        """`draw` gives the lines of an item."""
        super().__init__(id=id)
        self._draw = draw
        self._ends: list[int] = []
        """Behind the last line of each item."""
        self.cursor = -1
        self.is_lit = True
        """Whether the cursor's item stands on a raised ground."""
        self._painted: dict[int, tuple[str, bool]] = {}

    @property
    def width(self) -> int:
        """Cells beside the scroll bar; they are kept for it while there is nothing to scroll."""
        return max(self.size.width - 1, 0)

    def show(self, heights: Sequence[int], cursor: int, *, by_person: bool = False) -> None:
        """After the items changed, or what they say: paint the lines that differ.

        Unless a person moved the cursor its item stays where it is on the screen.
        """
        before = self._begin(self.cursor)
        at = 0
        self._ends = [at := at + height for height in heights]
        is_other, self.cursor = cursor != self.cursor, cursor
        size = Size(self.width, at)
        if size != self.virtual_size:
            self.virtual_size = size
            self.vertical_scrollbar.window_virtual_size = at
            self.vertical_scrollbar.refresh()
        moved = self._begin(cursor) - before
        if moved and not by_person and self.scroll_offset.y:
            self.scroll_to(y=max(self.scroll_offset.y + moved, 0), animate=False)
        if is_other:
            self.keep_in_view()
        self.repaint()

    def keep_in_view(self) -> None:
        if not 0 <= self.cursor < len(self._ends):
            return
        first, end = self._begin(self.cursor), self._ends[self.cursor]
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        if first < top or end - first >= height:
            self.scroll_to(y=first, animate=False)
        elif end > top + height:
            self.scroll_to(y=end - height, animate=False)

    def repaint(self) -> None:
        for y in range(self.size.height):
            if y in self._painted and self._painted[y] != self._line(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def forget(self) -> None:
        """Everything in other colours, or in another width."""
        self._painted.clear()
        self.refresh()

    def page(self) -> int:
        """Items that about fill the height."""
        top = self.scroll_offset.y
        first, last = self._at(top), self._at(top + max(self.size.height - 1, 1))
        return max(last - first, 1)

    def _begin(self, item: int) -> int:
        return self._ends[item - 1] if 0 < item <= len(self._ends) else 0

    def _at(self, line: int) -> int:
        return min(bisect_right(self._ends, line), max(len(self._ends) - 1, 0))

    def _line(self, y: int) -> tuple[str, bool]:
        line = y + self.scroll_offset.y
        if not self._ends or line >= self._ends[-1]:
            return "", False
        item = self._at(line)
        lines, within = self._draw(item), line - self._begin(item)
        return (lines[within] if within < len(lines) else ""), item == self.cursor and self.is_lit

    def render_line(self, y: int) -> Strip:
        text, is_cursor = self._line(y)
        self._painted[y] = (text, is_cursor)
        base = self.get_component_rich_style("orders--cursor") if is_cursor else self.rich_style
        return ink.strip(text, base, self.size.width)

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or not self._ends or offset.y + self.scroll_offset.y >= self._ends[-1]:
            return
        place = self._at(offset.y + self.scroll_offset.y)
        self.post_message(self.Pressed(self, place, event.chain == 2))


class OrdersPane(Vertical, can_focus=True):
    """Orders, and the chosen one's hosts."""

    BINDINGS = [  # noqa: RUF012 - Textual's form
        *[Binding(keys, method, label, show=False) for keys, method, label in key_pairs(Home.ORDERS)],
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "to_edge(-1)", show=False),
        Binding("end", "to_edge(1)", show=False),
    ]

    @dataclass
    class HostOpened(Message):
        name: str

    @dataclass
    class InverseAsked(Message):
        inverse: Inverse

    @dataclass
    class CopyAsked(Message):
        text: str
        words: str

    @dataclass
    class Said(Message):
        text: str

    @dataclass
    class OrderChosen(Message):
        """The cursor is on another order: its hosts are wanted whole."""

        order_id: str

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.board: OrderBoard | None = None
        self.is_on_hosts = False
        """Whether keys move among the hosts."""
        self._order: str | None = None
        """The order that a person went to; None: the first."""
        self._host: str | None = None
        self._card: OrderCard | None = None
        self._entries: tuple[Entry, ...] = ()
        self._inverse: Inverse | None = None
        self._places: dict[str, int] = {}
        self._heights: tuple[tuple[Entry, ...], int, Look, list[int]] | None = None
        self._name_room = 8

    def compose(self) -> ComposeResult:
        yield Lines(id="orders-head")
        with Container(id="orders-body"):
            yield Items(self._card_lines, id="orders-list")
            with Vertical(id="orders-one"):
                yield Lines(id="orders-about")
                yield Items(self._entry_lines, id="orders-hosts")

    @property
    def orders(self) -> Items:
        return self.query_one("#orders-list", Items)

    @property
    def hosts(self) -> Items:
        return self.query_one("#orders-hosts", Items)

    @property
    def chosen(self) -> OrderCard | None:
        """The order under the cursor."""
        return self._card

    # Down

    def show(self, board: OrderBoard) -> None:
        self.board = board
        self._take_card()
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        for items in (self.orders, self.hosts):
            items.forget()
        self._draw()

    def on_resize(self) -> None:
        self.set_class(self.outer_size.width >= SIDE_FROM, "-side")
        self.call_after_refresh(self._draw)

    def _take_card(self) -> None:
        """The chosen order as it is now; what hangs on it is made anew only where it changed."""
        cards = self.board.orders if self.board else ()
        card = next((card for card in cards if card.id == self._order), cards[0] if cards else None)
        if card is self._card:
            return
        if card is None or self._card is None or card.id != self._card.id:
            self._host = None
        self._card = card
        self._entries = entries(card) if card else ()
        self._places = {
            f"{one.host} {one.what}": place
            for place, entry in enumerate(self._entries)
            for one in entry.hosts
        }
        self._inverse = inverse(card) if card else None

    @property
    def _at_order(self) -> int:
        cards = self.board.orders if self.board else ()
        return next((place for place, card in enumerate(cards) if card is self._card), -1)

    @property
    def _at_host(self) -> int:
        return self._places.get(self._host or "", 0 if self._entries else -1)

    # Drawing

    def _draw(self, *, by_person: bool = False) -> None:
        board, card = self.board, self._card
        if board is None or not self.is_mounted or self.size.width < 1:
            return
        room = self.size.width
        head = sentence_lines(board, self.look, room)
        self.query_one("#orders-head", Lines).show([*head, *([""] if self.size.height >= 22 else [])])
        orders, hosts = self.orders, self.hosts
        hosts.is_lit = self.is_on_hosts
        is_side = self.has_class("-side")
        orders.styles.height = "1fr" if is_side else min(len(board.orders), LIST_ROWS)
        orders.display = bool(board.orders)
        tall = len(self._card_lines(0)) if board.orders else 1
        orders.show([tall] * len(board.orders), self._at_order, by_person=by_person)
        about = self.query_one("#orders-about", Lines)
        if card is None:
            about.show(())
            hosts.show((), -1)
            return
        lines = about_lines(card, self._inverse, board, self.look, max(about.size.width - 1, 20))
        about.show([*([] if is_side else [""]), *lines, *([""] if self.size.height >= 30 else [])])
        hosts.show(self._entry_heights(hosts.width), self._at_host, by_person=by_person)

    def _entry_heights(self, width: int) -> list[int]:
        """Made anew where hosts or the width changed only: ages change no height."""
        found, made = self._entries, self._heights
        if made is not None and made[0] is found and made[1] == width and made[2] is self.look:
            return made[3]
        self._name_room = name_room(found, width)
        board, name = self.board, self._name_room
        heights = [entry_height(entry, board, self.look, width, name) for entry in found] if board else []
        self._heights = (found, width, self.look, heights)
        return heights

    def _card_lines(self, place: int) -> Sequence[str]:
        board = self.board
        if board is None or place >= len(board.orders):
            return ()
        card = board.orders[place]
        at = Place(card is self._card, not self.is_on_hosts)
        return card_lines(card, board, self.look, self.orders.width, at)

    def _entry_lines(self, place: int) -> Sequence[str]:
        if self.board is None or place >= len(self._entries):
            return ()
        at = Place(place == self._at_host and self.is_on_hosts, self.is_on_hosts)
        entry, width = self._entries[place], self.hosts.width
        return entry_lines(entry, self.board, self.look, width, self._name_room, at)

    # The cursor

    def _go(self, place: int) -> None:
        """To an order, or to a host of the chosen one."""
        cards = self.board.orders if self.board else ()
        if self.is_on_hosts:
            if self._entries:
                self._host = self._entries[min(max(place, 0), len(self._entries) - 1)].key
        elif cards:
            card = cards[min(max(place, 0), len(cards) - 1)]
            self._order = card.id
            if card is not self._card:
                self._take_card()
                self.post_message(self.OrderChosen(card.id))
        self._draw(by_person=True)

    @property
    def _here(self) -> int:
        return self._at_host if self.is_on_hosts else self._at_order

    def action_move(self, by: int) -> None:
        self._go(self._here + by)

    def action_page(self, by: int) -> None:
        self._go(self._here + by * (self.hosts if self.is_on_hosts else self.orders).page())

    def action_to_edge(self, way: int) -> None:
        self._go(0 if way < 0 else 1 << 30)

    def on_items_pressed(self, message: Items.Pressed) -> None:
        message.stop()
        self.is_on_hosts = message.items is self.hosts
        self._go(message.place)
        if message.is_double and self.is_on_hosts:
            self.action_order_host()

    # What can be asked for

    def action_other_side(self) -> None:
        self.is_on_hosts = not self.is_on_hosts and bool(self._entries)
        self._order = self._card.id if self._card else None
        self._draw(by_person=True)

    def action_order_host(self) -> None:
        """From the orders to the hosts; there, the host under the cursor."""
        if not self._entries:
            return
        if self.is_on_hosts:
            self.post_message(self.HostOpened(self._entries[self._at_host].first.host))
        else:
            self.action_other_side()

    def action_inverse(self) -> None:
        if self._card is None:
            return
        if self._inverse is None:
            self.post_message(self.Said("nothing is done here yet, so there is no way back to ask for"))
        elif self._inverse.verb is None:
            self.post_message(self.Said(self._inverse.words))
        else:
            self.post_message(self.InverseAsked(self._inverse))

    def action_copy_order(self) -> None:
        if self._card is not None and self.board is not None:
            text = order_copy(self._card, self.board, self.look)
            self.post_message(self.CopyAsked(text, f"copied the order {self._card.id}"))
