"""The mode of rollouts: what it shows, what it asks for, in every look and size."""

from __future__ import annotations

import asyncio
import time
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

from actions.rollout_talk import RequestKind
from console.board import Look
from console.panes.rollouts import RolloutsPane
from console.render_rollout_rows import Part
from console.rollout_board import RolloutBoard
from console.themes import VARIABLES, WholeCells, theme_of
from tests.unit.rollout_lab import Lab
from tests.unit.test_render_rollout import BOARDS
from tests.unit.test_rollout_board import board_of, night_plan

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
        yield RolloutsPane(self.look)

    @property
    def pane(self) -> RolloutsPane:
        return self.query_one(RolloutsPane)

    def picture(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.screen._compositor.render_strips()]

    def of(self, kind: type[M]) -> list[M]:
        return [message for message in self.asked if isinstance(message, kind)]


Play = Callable[[Stand, RolloutsPane, Pilot[None]], Awaitable[None]]
SIZES = pytest.mark.parametrize(
    "size", [(80, 24), (120, 40), (200, 60)], ids=lambda size: f"{size[0]}x{size[1]}"
)


def run(
    play: Play,
    board: RolloutBoard = BOARDS["running"],
    look: Look | None = None,
    size: tuple[int, int] = (120, 40),
) -> None:
    async def go() -> None:
        app = Stand(look or Look())
        own = (RolloutsPane.HostOpened, RolloutsPane.Answered, RolloutsPane.Said, RolloutsPane.RolloutChosen)

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


@SIZES
@pytest.mark.parametrize("name", BOARDS)
def test_picture(name: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    pictures: list[str] = []

    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        pictures.append("\n".join(app.picture()))

    run(play, BOARDS[name], size=size)
    assert pictures[0] == snapshot


@pytest.mark.parametrize("name", ["running", "halted"])
def test_the_bare_picture(name: str, snapshot: SnapshotAssertion) -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        text = "\n".join(app.picture())
        assert text.isascii()
        assert text == snapshot

    run(play, BOARDS[name], look=Look(ascii=True, plain=True), size=(80, 24))


def line_of(app: Stand, text: str) -> int:
    return next((at for at, line in enumerate(app.picture()) if text in line), 0)


def test_a_halt_is_understood_without_scrolling() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        text = "\n".join(app.picture())
        for word in ("HALTED", "edge-bbb-004", "Retry", "Accept", "Roll back", "no plain resume"):
            assert word in text, word

    run(play, BOARDS["halted"], size=(80, 21))


def test_the_cursor_walks_over_tiles_and_enter_opens_the_host() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        await pilot.press("enter", "right", "down", "left", "enter")
        card = pane.card
        assert card is not None
        (opened,) = app.of(RolloutsPane.HostOpened)
        assert opened.name == card.cohorts[1].tiles[0].host == "edge-bbb-004"
        assert "reverted" in app.picture()[-1]

    run(play)


def test_the_cursor_stays_on_its_host_when_tiles_move() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        await pilot.press("enter", "down", "right")
        before = app.picture()[-1].split()[0]
        board = BOARDS["running"]
        card = pane.card
        assert card is not None
        wave = replace(card.cohorts[1], tiles=card.cohorts[1].tiles[::-1])
        moved = replace(card, cohorts=(card.cohorts[0], wave, card.cohorts[2]))
        pane.show(replace(board, card=moved))
        await pilot.pause()
        assert app.picture()[-1].split()[0] == before

    run(play)


def test_tab_leads_to_the_list_where_enter_chooses_another() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        await pilot.press("tab", "tab")
        assert pane.part is Part.LIST
        await pilot.press("down", "enter")
        assert [one.rollout_id for one in app.of(RolloutsPane.RolloutChosen)] == ["r-59"]
        assert pane.chosen == "r-59"
        pane.show(BOARDS["running"])
        assert pane.chosen == "r-59", "it is wanted until it is read"

    run(play)


def test_e_shows_all_events_and_again_no_more() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        assert not line_of(app, "canary staging")
        await pilot.press("e")
        await pilot.pause()
        assert line_of(app, "canary staging")
        await pilot.press("e")
        await pilot.pause()
        assert not line_of(app, "canary staging")

    run(play, size=(200, 60))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("t", RequestKind.RETRY_FAILED),
        ("c", RequestKind.ACCEPT_FAILURES),
        ("b", RequestKind.ROLL_BACK),
        ("X", RequestKind.ABORT),
    ],
)
def test_each_answer_of_a_halt_has_its_key(key: str, kind: RequestKind) -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        (answered,) = app.of(RolloutsPane.Answered)
        assert answered.wish.kind is kind
        assert answered.wish.rollout_id == "r-58"

    run(play, BOARDS["halted"])


def test_what_the_state_forbids_is_said_and_not_asked_for() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        await pilot.press("r", "P", "plus", "a", "l")
        assert not app.of(RolloutsPane.Answered)
        said = [one.text for one in app.of(RolloutsPane.Said)]
        assert len(said) == 5
        assert "say how to go on" in said[0]

    run(play, BOARDS["halted"])


def test_pause_promote_approve_and_let_go() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        await pilot.press("P", "plus")
        pane.show(BOARDS["draft"])
        await pilot.press("a")
        pane.show(BOARDS["running"])
        await pilot.press("enter", "down", "l")
        kinds = [one.wish.kind for one in app.of(RolloutsPane.Answered)]
        assert kinds == [
            RequestKind.PAUSE,
            RequestKind.PROMOTE,
            RequestKind.APPROVE,
            RequestKind.RELEASE_HOST,
        ]
        assert app.of(RolloutsPane.Answered)[-1].wish.hosts == ("edge-bbb-004",)

    run(play, BOARDS["soaking"])


def test_a_click_puts_the_cursor_on_a_tile_and_two_open_it() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        row = next(at for at, line in enumerate(app.picture()) if line.startswith("  ◄ ● ↑"))
        await pilot.click(offset=(4, row))
        card = pane.card
        assert card is not None
        await pilot.click(offset=(6, row), times=2)
        await pilot.pause()
        assert [one.name for one in app.of(RolloutsPane.HostOpened)] == [card.cohorts[1].tiles[2].host]

    run(play)


def test_nothing_is_painted_where_nothing_changed() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        drawn: list[object] = []
        refresh = pane.items.refresh

        def keeping(*regions: Region) -> object:
            drawn.extend(regions)
            return refresh(*regions)

        pane.items.refresh = keeping  # type: ignore[method-assign,assignment]
        pane.show(replace(BOARDS["running"], now=BOARDS["running"].now + timedelta(milliseconds=500)))
        assert drawn == []

    run(play)


def test_five_thousand_hosts_cost_what_is_seen_of_them() -> None:
    board = board_of(Lab(night_plan(5, 95, 900, 4000)).start())

    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        drawn: list[int] = []
        draw = pane.items._draw

        def counting(place: int) -> Sequence[str]:
            drawn.append(place)
            return draw(place)

        pane.items._draw = counting
        begun = time.perf_counter()
        pane.show(replace(board, now=board.now + timedelta(seconds=1)))
        took = time.perf_counter() - begun
        await pilot.press("enter", "end", "up")
        await pilot.pause()
        assert len(set(drawn)) < 200
        assert took < 0.3, took
        assert line_of(app, "not begun")

    run(play, board, size=(80, 24))


@pytest.mark.parametrize("size", [(30, 12), (8, 4), (1, 1)])
@pytest.mark.parametrize("name", BOARDS)
def test_a_terminal_that_is_too_small_is_no_crash(name: str, size: tuple[int, int]) -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        await pilot.press("enter", "tab", "down", "pagedown", "end", "home", "e", "t", "tab", "up", "left")
        await pilot.resize_terminal(200, 40)
        await pilot.pause()
        assert pane.has_class("-side")

    run(play, BOARDS[name], size=size)


def test_another_look_is_put_on_at_once() -> None:
    async def play(app: Stand, pane: RolloutsPane, pilot: Pilot[None]) -> None:
        pane.dress(Look(ascii=True, plain=True))
        await pilot.pause()
        assert line_of(app, "< o R d")

    run(play)
