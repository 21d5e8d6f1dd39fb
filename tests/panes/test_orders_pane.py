"""The mode of orders: what it shows, what it asks for, in every look and size."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot
from textual.scrollbar import ScrollBar

from actions.orders import Phase, Verb
from console.board import Look
from console.order_board import OrderBoard, host_order
from console.panes.orders import OrdersPane
from console.themes import VARIABLES, WholeCells, theme_of
from console.visible import cells
from tests.unit.test_render_orders import (
    BACK,
    BOARDS,
    HELD,
    LOOKS,
    NOW,
    REFUSED,
    RUNNING,
    SGR,
    STAGED,
    STOPPED,
    ago,
    refused,
    running,
)
from tests.unit.test_render_orders import host_at as host
from tests.unit.test_render_orders import order_of as card

M = TypeVar("M", bound=Message)


class Stand(App[None]):
    """Nothing but the pane."""

    CSS_PATH = "../../console/fleetctl.tcss"

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        theme = theme_of(look.palette, look.accent, plain=look.plain)
        self.register_theme(theme)
        self.theme = theme.name
        self.asked: list[Message] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(VARIABLES)

    def compose(self) -> ComposeResult:
        yield OrdersPane(self.look)

    @property
    def pane(self) -> OrdersPane:
        return self.query_one(OrdersPane)

    def picture(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.asked if isinstance(message, kind)]


Play = Callable[[Stand, OrdersPane, Pilot[None]], Awaitable[None]]


def run(
    play: Play, board: OrderBoard = RUNNING, look: Look | None = None, size: tuple[int, int] = (120, 40)
) -> None:
    async def go() -> None:
        app = Stand(look or Look())
        own = (
            OrdersPane.HostOpened,
            OrdersPane.InverseAsked,
            OrdersPane.CopyAsked,
            OrdersPane.Said,
            OrdersPane.OrderChosen,
        )

        def keep(message: Message) -> None:
            if isinstance(message, own) and all(message is not one for one in app.asked):
                app.asked.append(message)

        async with app.run_test(size=size, message_hook=keep) as pilot:
            app.pane.focus()
            app.pane.show(board)
            await pilot.pause()
            await pilot.pause()
            await play(app, app.pane, pilot)

    with pytest.MonkeyPatch.context() as patch:
        if look is not None and look.ascii:
            patch.setattr(ScrollBar, "renderer", WholeCells)
        asyncio.run(go())


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", BOARDS)
def test_picture(name: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    pictures: list[str] = []

    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        pictures.append("\n".join(app.picture()))

    run(play, BOARDS[name], size=size)
    assert pictures[0] == snapshot


def test_the_bare_picture(snapshot: SnapshotAssertion) -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("tab")
        text = "\n".join(app.picture())
        assert text.isascii()
        assert text == snapshot

    run(play, look=Look(ascii=True, plain=True), size=(80, 24))


def line_of(app: Stand, words: str) -> int:
    return next(number for number, line in enumerate(app.picture()) if words in line)


def test_the_cursor_goes_through_orders_and_says_which_hosts_are_wanted() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("down", "end", "up", "home", "home")
        chosen = [one.order_id for one in app.of(OrdersPane.OrderChosen)]
        assert chosen == [STAGED.id, STOPPED.id, STAGED.id, RUNNING.orders[0].id]
        await pilot.press("pagedown")
        assert pane.chosen is STOPPED
        assert any("stopped after web-02" in line for line in app.picture())

    run(play)


def test_enter_leads_to_the_hosts_and_then_opens_one() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("enter")
        assert pane.is_on_hosts
        assert not app.of(OrdersPane.HostOpened)
        await pilot.press("enter", "down", "down", "enter", "tab")
        assert not pane.is_on_hosts
        names = [one.name for one in app.of(OrdersPane.HostOpened)]
        assert names == ["edge-03", "edge-20"], "what followed from a host lies between"

    run(play)


def test_i_asks_for_the_way_back_of_what_is_done_only() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("i", "down", "i")
        first, second = (one.inverse for one in app.of(OrdersPane.InverseAsked))
        assert first.argv == ("roll-back", *(f"edge-{number:02}" for number in range(4, 13)))
        assert second.argv[:2] == ("cancel", "edge-03")
        assert not any("undo" in line for line in app.picture())

    run(play)


def test_where_there_is_no_way_back_it_is_said_why() -> None:
    rebooted = card("o-1", "reboot", Verb.REBOOT, 9, [host("a", Phase.DONE, 5, Verb.REBOOT)], ended_at=ago(5))

    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("i", "down", "i")
        said = [one.text for one in app.of(OrdersPane.Said)]
        assert said == [
            "no way back: a reboot is over once it is done",
            "nothing is done here yet, so there is no way back to ask for",
        ]

    run(play, OrderBoard((rebooted, REFUSED), NOW))


def test_y_copies_what_is_shown_whole_and_without_colours() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("y")
        (copied,) = app.of(OrdersPane.CopyAsked)
        assert copied.words == "copied the order o-tjyne6v9zax"
        assert "\x1b" not in copied.text
        assert {f"edge-{number:02}" for number in range(3, 13)} <= set(copied.text.split())

    run(play, size=(80, 24))


def test_the_cursor_stays_on_its_order_and_its_host_when_others_come() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("down")
        pane.show(OrderBoard((REFUSED, *RUNNING.orders), NOW))
        assert pane.chosen is STAGED
        await pilot.press("up", "tab", "down", "down", "down")
        worse = running(8)
        broken = host("edge-01", Phase.FAILED, 0, code="failed", text="worse than before")
        worse = replace(worse, hosts=host_order((*worse.hosts, broken)))
        await pilot.press("enter")
        pane.show(OrderBoard((worse, STAGED), NOW))
        await pilot.press("enter")
        names = [one.name for one in app.of(OrdersPane.HostOpened)]
        assert names == ["edge-21", "edge-21"]

    run(play)


def test_until_somebody_moves_it_the_cursor_is_on_the_newest_order() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        newer = replace(running(1), id="o-newer", at=NOW)
        pane.show(OrderBoard((newer, *RUNNING.orders), NOW))
        assert pane.chosen is newer

    run(play)


def test_an_age_alone_repaints_its_lines_and_no_others() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        drawn: list[object] = []
        refresh = pane.hosts.refresh

        def keeping(*regions: Region) -> object:
            drawn.extend(regions)
            return refresh(*regions)

        pane.hosts.refresh = keeping  # type: ignore[method-assign,assignment]
        pane.show(OrderBoard(RUNNING.orders, NOW + timedelta(seconds=1)))
        assert len(drawn) == 1, "6 s became 7 s"
        await pilot.pause()
        drawn.clear()
        pane.show(OrderBoard(RUNNING.orders, NOW + timedelta(seconds=1)))
        assert drawn == []

    run(play)


MANY = card(
    "o-many",
    "stage 4593.2.5",
    Verb.STAGE,
    4,
    [
        host(
            f"host-{number:04}", (Phase.DONE, Phase.SENT, Phase.FAILED)[number % 3], 1, Verb.STAGE, text=BACK
        )
        for number in range(5000)
    ],
    is_carried_out=True,
)


def test_five_thousand_hosts_cost_what_is_seen_of_them() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        drawn: list[int] = []
        draw = pane.hosts._draw

        def counting(place: int) -> Sequence[str]:
            drawn.append(place)
            return draw(place)

        pane.hosts._draw = counting
        pane.show(OrderBoard((MANY,), NOW + timedelta(seconds=60)))
        await pilot.press("tab", "end", "pageup", "up")
        await pilot.pause()
        assert len(set(drawn)) < 300
        assert line_of(app, "host-49")

    run(play, OrderBoard((MANY,), NOW))


@pytest.mark.parametrize("look", LOOKS, ids=["colour", "ascii", "plain", "ascii plain"])
@pytest.mark.parametrize("size", [(80, 24), (139, 30), (140, 30), (200, 60)])
@pytest.mark.parametrize("name", ["running", "refused"])
def test_nothing_is_cut_at_the_edge_of_the_screen(name: str, look: Look, size: tuple[int, int]) -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        board = BOARDS[name]
        assert pane.has_class("-side") == (size[0] >= 140)
        for place in range(len(board.orders)):
            assert all(cells(SGR.sub("", line)) <= pane.orders.width for line in pane._card_lines(place))
        for place, entry in enumerate(pane._entries):
            lines = pane._entry_lines(place)
            assert all(cells(SGR.sub("", line)) <= pane.hosts.width for line in lines), entry
            assert len(lines) == pane._entry_heights(pane.hosts.width)[place]
        if look.ascii:
            assert all(line.isascii() for line in app.picture())

    run(play, BOARDS[name], look=look, size=size)


@pytest.mark.parametrize("size", [(30, 12), (8, 4), (1, 1)])
def test_a_terminal_that_is_too_small_is_no_crash(size: tuple[int, int]) -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("tab", "down", "end", "i", "y", "enter")
        await pilot.resize_terminal(200, 40)
        await pilot.pause()
        await pilot.pause()
        assert pane.has_class("-side")
        assert app.picture()[0].startswith("  1 order is under way")

    run(play, size=size)


def test_another_look_is_put_on_at_once() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        pane.dress(Look(ascii=True, plain=True))
        await pilot.pause()
        assert line_of(app, "> ~ activate")
        assert line_of(app, "< edge-03")

    run(play)


def test_a_click_puts_the_cursor_there_and_two_open_the_host() -> None:
    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.click(offset=(20, line_of(app, "stage 4593.2.5")))
        assert pane.chosen is STAGED
        await pilot.click(offset=(20, line_of(app, "◔ activate 4593.2.5")))
        await pilot.pause()
        await pilot.click(offset=(20, line_of(app, "edge-20")), times=2)
        assert [one.name for one in app.of(OrdersPane.HostOpened)] == ["edge-20"]

    run(play)


def test_texts_from_hosts_cannot_change_the_screen() -> None:
    evil = "a\x1b]0;x\x07\u202e[red]b"
    bad = host(evil, Phase.FAILED, 1, code="reverted", text=evil, said=(evil,))
    board = OrderBoard(
        (card("o-1", evil, Verb.STAGE, 1, [bad, refused(evil, replace(HELD, text=evil))]),), NOW
    )

    async def play(app: Stand, pane: OrdersPane, pilot: Pilot[None]) -> None:
        await pilot.press("y")
        (copied,) = app.of(OrdersPane.CopyAsked)
        text = "\n".join((*app.picture(), copied.text))
        assert not set(text) & set("\x1b\x07\u202e")
        assert "[red]b" in text

    run(play, board)
