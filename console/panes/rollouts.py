"""The mode of rollouts: one rollout's board, the list of all, and what can be asked of the one shown.

A board down (`show`), wishes up (`RolloutChosen`, `HostOpened`, `Answered`, `Said`). The cursor is on a host,
or on a rollout of the list, not on a line: when rows move it moves with them. Nothing here changes anything:
whoever takes `Answered` asks for a reason and gives it on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.events import Click
from textual.message import Message

from actions.rollout import headline, waits
from actions.rollout_plan import Now
from actions.rollout_talk import RequestKind
from console.board import Look
from console.keys import Home, key_pairs
from console.panes.lines import Lines
from console.panes.orders import Items
from console.render_rollout import head_lines, tile_sign
from console.render_rollout_asks import Wish, wish
from console.render_rollout_rows import Part, Row, Shape, board_rows, list_line, moved, news_lines, tiles_line
from console.render_rollout_time import local_words
from console.rollout_board import RolloutBoard, RolloutCard, Tile
from console.tone import Tone
from console.visible import cells

SIDE_FROM = 140
"""Cells from which why hosts wait, and the events, stand beside the board."""
SIDE_CELLS = 54


class Board(Items):
    """Rows, of which a click also says the column."""

    @dataclass
    class Touched(Message):
        place: int
        x: int
        is_double: bool

    def on_click(self, event: Click) -> None:
        event.prevent_default()
        offset = event.get_content_offset(self)
        if offset is not None:
            self.post_message(self.Touched(offset.y + self.scroll_offset.y, offset.x, event.chain == 2))


class RolloutsPane(Vertical, can_focus=True):
    """One rollout, and the list of all."""

    BINDINGS = [  # noqa: RUF012 - Textual's form
        *[Binding(keys, method, label, show=False) for keys, method, label in key_pairs(Home.ROLLOUTS)],
        Binding("up,k", "move(0,-1)", show=False),
        Binding("down,j", "move(0,1)", show=False),
        Binding("left,h", "move(-1,0)", show=False),
        Binding("right", "move(1,0)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "to_edge(-1)", show=False),
        Binding("end", "to_edge(1)", show=False),
    ]

    @dataclass
    class RolloutChosen(Message):
        """Another rollout is to be shown: it is wanted whole."""

        rollout_id: str

    @dataclass
    class HostOpened(Message):
        name: str

    @dataclass
    class Answered(Message):
        """A wish of a person that the rollout's owner has to hear."""

        wish: Wish

    @dataclass
    class Said(Message):
        text: str

    def __init__(self, look: Look, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.look = look
        self.board: RolloutBoard | None = None
        self.part = Part.BOARD
        self.is_full = False
        """All events are shown."""
        self._host: str | None = None
        """The one under the cursor of tiles."""
        self._line: str | None = None
        """The rollout under the cursor of the list; None: the one shown."""
        self._asked: str | None = None
        """The rollout that a person chose, until it is shown."""
        self._top = 0
        """The row under the cursor where there is no host: of the news."""
        self._rows: list[Row] = []

    def compose(self) -> ComposeResult:
        yield Lines(id="rollouts-head")
        with Container(id="rollouts-body"):
            yield Board(self._row_lines, id="rollouts-board")
            with VerticalScroll(id="rollouts-side", can_focus=False):
                yield Lines(id="rollouts-news")
        yield Lines(id="rollouts-under")

    @property
    def items(self) -> Board:
        return self.query_one("#rollouts-board", Board)

    @property
    def card(self) -> RolloutCard | None:
        return self.board.card if self.board else None

    @property
    def chosen(self) -> str | None:
        """The rollout that is wanted whole: what the one that reads is to be given."""
        return self._asked or (self.card.id if self.card else None)

    # Down

    @property
    def headline(self) -> str:
        """Of the rollout that is shown."""
        board = self.board
        if board is None or board.card is None:
            return ""
        return headline(board.card.plan, board.card.r, Now(board.now, board.now))

    def show(self, board: RolloutBoard) -> None:
        was = self.card
        self.board = board
        if board.card is not None and board.card.id == self._asked:
            self._asked = None
        if was is None or board.card is None or was.id != board.card.id:
            self._host, self._top = None, 0
            self.items.scroll_to(y=0, animate=False)
        self._draw()

    def dress(self, look: Look) -> None:
        self.look = look
        self.items.forget()
        self._draw()

    def on_resize(self) -> None:
        self.set_class(self.outer_size.width >= SIDE_FROM, "-side")
        self.call_after_refresh(self._draw)

    # Drawing

    def _draw(self, *, by_person: bool = False) -> None:
        board = self.board
        if board is None or not self.is_mounted or self.size.width < 1:
            return
        width, height = self.size.width, self.size.height
        self.query_one("#rollouts-head", Lines).show(head_lines(board, self.look, width, height))
        is_side = self.has_class("-side") and board.card is not None
        self.query_one("#rollouts-side").display = is_side
        if is_side and board.card is not None:
            news = news_lines(board.card, board.now, self.look, Shape(SIDE_CELLS - 3, is_full=self.is_full))
            self.query_one("#rollouts-news", Lines).show(news)
        unfolded = board.card.plan.by_name[self._host].cohort if board.card and self._host else None
        if self.part is not Part.BOARD:
            unfolded = None
        shape = Shape(max(self.items.width, 1), is_side, self.is_full, unfolded)
        self._rows = board_rows(board, self.look, shape)
        at = self._at
        self.items.is_lit = self.part is Part.LIST
        self.items.show([1] * len(self._rows), at, by_person=by_person)
        self.query_one("#rollouts-under", Lines).show(self._under(width))

    def _row_lines(self, place: int) -> Sequence[str]:
        if self.board is None or place >= len(self._rows):
            return ()
        row, width = self._rows[place], self.items.width
        if row.tiles:
            cursor = self._host if self.part is Part.BOARD else None
            return (tiles_line(row.tiles, self.look, cursor),)
        if row.part is Part.LIST:
            line = next((one for one in self.board.rollouts if one.id == row.key), None)
            if line is None:
                return ()
            is_chosen = self.card is not None and row.key == self.card.id
            is_at = self.part is Part.LIST and place == self._at
            return (list_line(line, self.board.now, self.look, width, is_chosen=is_chosen, is_at=is_at),)
        return (row.text,)

    def _under(self, width: int) -> list[str]:
        """The host under the cursor, in one line."""
        card, tile, pen = self.card, self._tile, self.look.pen
        if card is None or self.board is None or tile is None or self.part is not Part.BOARD:
            return [""] if card is not None else []
        utc = self.board.now.astimezone(UTC)
        sign = tile_sign(tile, pen)
        why = local_words(waits(card.plan, card.r, tile.host, Now(utc, utc)), self.board.now)
        why = why.removeprefix("it is done: ")
        name = pen.say(tile.host, max(width // 3, 1), "middle")
        word = f"{sign.glyph} {sign.word}" + (", armed" if tile.is_armed else "")
        room = width - cells(name) - cells(word) - 4
        told = pen.say(why, max(room, 0))
        return [f"{pen(Tone.BRIGHT, name)}  {pen(sign.tone, word)}  {pen(Tone.TEXT, told)}"]

    # The cursor

    @property
    def _tile(self) -> Tile | None:
        if self.card is None or self._host is None:
            return None
        cohort = self.card.cohorts[self.card.plan.by_name[self._host].cohort]
        return next((tile for tile in cohort.tiles if tile.host == self._host), None)

    @property
    def _at(self) -> int:
        """The row under the cursor; -1: none."""
        match self.part:
            case Part.BOARD:
                return self._place_of(self._host)
            case Part.LIST:
                wanted = self._line or (self.card.id if self.card else None)
                found = (
                    at for at, row in enumerate(self._rows) if row.part is Part.LIST and row.key == wanted
                )
                return next(found, -1)
        return -1

    def _place_of(self, host: str | None) -> int:
        if host is None:
            return -1
        places = enumerate(self._rows)
        return next((at for at, row in places if any(tile.host == host for tile in row.tiles)), -1)

    def _tile_rows(self) -> list[int]:
        return [at for at, row in enumerate(self._rows) if row.tiles]

    def action_move(self, across: int, down: int) -> None:
        match self.part:
            case Part.NEWS:
                self._scroll(down)
            case Part.LIST:
                self._go_in_list(down)
            case Part.BOARD:
                self._go_in_tiles(across, down)
        self._draw(by_person=True)

    def _go_in_list(self, by: int) -> None:
        names = [row.key for row in self._rows if row.part is Part.LIST]
        if names:
            wanted = self._line or (self.card.id if self.card else names[0])
            at = names.index(wanted) if wanted in names else 0
            self._line = names[min(max(at + by, 0), len(names) - 1)]

    def _go_in_tiles(self, across: int, down: int) -> None:
        rows = self._tile_rows()
        if not rows:
            self._scroll(down)
            return
        place = self._place_of(self._host)
        if place < 0:
            self._host = self._rows[rows[0]].tiles[0].host
            return
        found = moved(self._rows, place, self._host or "", across, down)
        if found is None:
            self._scroll(down)
        else:
            self._host = found

    def _scroll(self, by: int) -> None:
        """What has no cursor is moved under the eyes."""
        side = self.query_one("#rollouts-side", VerticalScroll)
        target = side if self.part is Part.NEWS and side.display else self.items
        target.scroll_to(y=max(target.scroll_offset.y + by, 0), animate=False)

    def action_page(self, by: int) -> None:
        if self.part is Part.LIST:
            self._go_in_list(by * 8)
            self._draw(by_person=True)
        else:
            self._scroll(by * max(self.items.size.height - 2, 1))
            self.items.repaint()

    def action_to_edge(self, way: int) -> None:
        match self.part:
            case Part.LIST:
                self._go_in_list(way * (1 << 30))
            case Part.NEWS:
                self._scroll(way * (1 << 20))
            case Part.BOARD:
                rows = self._tile_rows()
                if rows:
                    tiles = self._rows[rows[0 if way < 0 else -1]].tiles
                    self._host = tiles[0 if way < 0 else -1].host
        self._draw(by_person=True)

    def on_board_touched(self, message: Board.Touched) -> None:
        message.stop()
        if message.place >= len(self._rows):
            return
        row = self._rows[message.place]
        if row.tiles and message.x // 2 < len(row.tiles):
            self.part, self._host = Part.BOARD, row.tiles[message.x // 2].host
        elif row.part is Part.LIST:
            self.part, self._line = Part.LIST, row.key
        else:
            return
        self._draw(by_person=True)
        if message.is_double or row.part is Part.LIST:
            self.action_open_tile()

    # What can be asked for

    def action_next_part(self) -> None:
        """Round: hosts, news, the list where there are several."""
        parts = [Part.BOARD, Part.NEWS] if self.card else [Part.BOARD]
        if any(row.part is Part.LIST for row in self._rows):
            parts.append(Part.LIST)
        at = parts.index(self.part) if self.part in parts else 0
        self.part = parts[(at + 1) % len(parts)]
        self._line = None
        if self.part is Part.BOARD and self._host is None:
            self._go_in_tiles(0, 0)
        self._draw(by_person=True)
        if self.part is Part.NEWS:
            self._show_news()

    def _show_news(self) -> None:
        first = next((at for at, row in enumerate(self._rows) if row.part is Part.NEWS), None)
        if first is not None:
            self.items.scroll_to(y=first, animate=False)

    def action_events(self) -> None:
        self.is_full = not self.is_full
        self.part = Part.NEWS if self.is_full else Part.BOARD
        self._draw(by_person=True)
        if self.is_full:
            self._show_news()

    def action_open_tile(self) -> None:
        """The rollout under the cursor of the list; else the host under that of the tiles."""
        if self.part is Part.LIST and 0 <= self._at < len(self._rows):
            self._asked, self.part = self._rows[self._at].key, Part.BOARD
            self._line = None
            if self.card is None or self._asked != self.card.id:
                self.post_message(self.RolloutChosen(self._asked))
            else:
                self._asked = None
            self._draw(by_person=True)
        elif self._host is not None and self.part is Part.BOARD:
            self.post_message(self.HostOpened(self._host))
        elif self.part is Part.BOARD:
            self._go_in_tiles(0, 0)
            self._draw(by_person=True)

    def _ask(self, kind: RequestKind) -> None:
        if self.card is None or self.board is None:
            return
        found = wish(self.card, kind, self._host, self.board.now)
        self.post_message(self.Said(found) if isinstance(found, str) else self.Answered(found))

    def action_retry_failed(self) -> None:
        self._ask(RequestKind.RETRY_FAILED)

    def action_accept_failures(self) -> None:
        self._ask(RequestKind.ACCEPT_FAILURES)

    def action_go_back(self) -> None:
        self._ask(RequestKind.ROLL_BACK)

    def action_approve(self) -> None:
        self._ask(RequestKind.APPROVE)

    def action_pause(self) -> None:
        self._ask(RequestKind.PAUSE)

    def action_resume(self) -> None:
        self._ask(RequestKind.RESUME)

    def action_promote(self) -> None:
        self._ask(RequestKind.PROMOTE)

    def action_abort(self) -> None:
        self._ask(RequestKind.ABORT)

    def action_let_go(self) -> None:
        self._ask(RequestKind.RELEASE_HOST)
