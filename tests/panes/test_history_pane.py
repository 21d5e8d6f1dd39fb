"""The history mode: what it shows, what it asks for, in every look and size."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone

import pytest
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from console.board import Board, Look, Sweeping
from console.history import SPANS, History
from console.panes.history import HistoryPane
from console.panes.lines import Lines
from console.render_diff import Step
from console.rows import FleetView
from console.themes import VARIABLES
from console.visible import cells

NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=timezone(timedelta(hours=2), "CEST"))
SGR = re.compile(r"\x1b\[[0-9;]*m")
BOARD = Board(FleetView("prod", NOW, [], 40), Sweeping(is_own=True, words="asking every 60 s"))
SINCE = NOW - timedelta(days=3)
MOVED = NOW - timedelta(hours=5)
HISTORY = History(
    NOW,
    "day",
    SINCE,
    {"4593.2.4": ((SINCE, 40), (MOVED, 9)), "4593.2.5": ((MOVED, 31),), None: ((SINCE, 2),)},
    {"4593.2.5": (31, MOVED)},
    (
        Step("web-40", NOW - timedelta(hours=9), "/operation", "IDLE", "CHECKING"),
        *(Step(f"web-{n:02}", MOVED, "/os/version_id", "4593.2.4", "4593.2.5") for n in range(1, 32)),
    ),
)
YOUNG = History(NOW, "all", NOW - timedelta(seconds=14), {"4593.2.5": ((NOW - timedelta(seconds=14), 40),)})


class Host(App[None]):
    CSS_PATH = "../../console/fleetctl.tcss"

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        self.asked: list[Message] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return dict(VARIABLES)

    def compose(self) -> ComposeResult:
        yield HistoryPane(self.look)

    def on_history_pane_moment_asked(self, message: HistoryPane.MomentAsked) -> None:
        self.asked.append(message)

    def on_history_pane_span_asked(self, message: HistoryPane.SpanAsked) -> None:
        self.asked.append(message)

    def on_history_pane_said(self, message: HistoryPane.Said) -> None:
        self.asked.append(message)


Play = Callable[[Host, HistoryPane, Pilot[None]], Awaitable[None]]


def run(
    play: Play, history: History = HISTORY, look: Look | None = None, size: tuple[int, int] = (120, 40)
) -> None:
    async def go() -> None:
        app = Host(look or Look())
        async with app.run_test(size=size) as pilot:
            pane = app.query_one(HistoryPane)
            pane.focus()
            pane.show(history, BOARD)
            await pilot.pause()
            await play(app, pane, pilot)

    asyncio.run(go())


def text_of(pane: HistoryPane) -> list[str]:
    return [SGR.sub("", line) for lines in pane.query(Lines) for line in lines.lines]


def listed(pane: HistoryPane) -> list[str]:
    return [SGR.sub("", line) for line in pane.query_one("#history-events", Lines).lines]


def test_the_sentence_comes_first_and_the_edge_is_now() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        text = text_of(pane)
        assert text[0] == "2 versions in the last 24 hours; 31 hosts moved to 4593.2.5 since Wed 22:12."
        assert any(
            line.startswith("now  42 hosts: 31 on 4593.2.5, 9 on 4593.2.4, 2 not known") for line in text
        )
        assert "Nothing changed." in listed(pane)
        assert any("31 hosts, web-[01-31]" in line for line in listed(pane)), "the change before"

    run(play)


def test_left_and_right_move_a_cursor_that_says_what_ran_then() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("left", "left")
        first = pane.cursor
        assert first is not None
        await pilot.press("right", "right", "right")
        assert pane.cursor is None
        await pilot.press("home")
        assert any("40 on 4593.2.4, 2 not known" in line for line in text_of(pane))
        await pilot.press("end")
        assert pane.cursor is None

    run(play)


def test_shift_and_arrows_go_from_change_to_change() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("shift+left")
        assert pane.cursor is not None
        assert pane.cursor >= MOVED
        assert re.search(r"31 hosts, web-\[01-31\] +os.version_id +4593.2.4 → 4593.2.5", listed(pane)[0])
        await pilot.press("shift+left")
        assert re.search(r"web-40 +operation +IDLE → CHECKING", listed(pane)[0])
        before = pane.cursor
        await pilot.press("shift+left")
        assert pane.cursor == before
        await pilot.press("shift+right", "shift+right")
        assert pane.cursor is None

    run(play)


def test_enter_asks_for_the_moment_under_the_cursor() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("enter", "shift+left")
        moment = pane.cursor
        await pilot.press("enter")
        moments = [message.at for message in app.asked if isinstance(message, HistoryPane.MomentAsked)]
        assert moments == [None, moment]

    run(play)


def test_where_nothing_had_been_seen_there_is_nowhere_to_go() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("home", "enter")
        (said,) = app.asked
        assert isinstance(said, HistoryPane.Said)
        assert said.text == "nothing had been seen by then"
        assert any("the first look was at 03:12:00" in line for line in text_of(pane))

    run(play, YOUNG)


@pytest.mark.parametrize(("span", "following"), [("day", "week"), ("quarter", "all"), ("all", "day")])
def test_z_asks_for_the_next_span(span: str, following: str) -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("z")
        pane.action_span("month")
        pane.action_span("year")
        await pilot.pause()
        spans = [message.span for message in app.asked if isinstance(message, HistoryPane.SpanAsked)]
        assert spans == [following, "month"]
        (said,) = (message for message in app.asked if isinstance(message, HistoryPane.Said))
        assert said.text.endswith("day, week, month, quarter, all")

    run(play, History(NOW, span, SINCE, HISTORY.series))


def test_the_cursor_keeps_its_moment_when_new_looks_arrive() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("shift+left")
        moment = pane.cursor
        later = NOW + timedelta(hours=2)
        pane.show(History(later, "day", SINCE, HISTORY.series, HISTORY.moves, HISTORY.steps), BOARD)
        assert pane.cursor == moment
        assert "31 hosts" in listed(pane)[0]

    run(play)


def test_a_moment_that_is_shown_elsewhere_is_where_the_cursor_is() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        pane.show(HISTORY, Board(BOARD.view, BOARD.sweeping, past=MOVED))
        assert pane.cursor == MOVED
        assert "31 hosts" in listed(pane)[0]

    run(play)


def test_a_long_list_scrolls_and_says_how_much_is_below() -> None:
    steps = tuple(Step("a", MOVED + timedelta(seconds=n), f"/fact/{n:03}", n, n + 1) for n in range(100))

    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("shift+left")
        room = pane.query_one("#history-events", Lines).size.height
        assert len(listed(pane)) == room
        assert listed(pane)[-1].endswith("more below")
        top = listed(pane)[0]
        await pilot.press("down", "pagedown")
        assert listed(pane)[0] != top
        await pilot.press(*["pagedown"] * 20)
        assert not listed(pane)[-1].endswith("more below")
        await pilot.press(*["pageup"] * 21)
        assert listed(pane)[0] == top

    run(play, History(NOW, "day", SINCE, HISTORY.series, {}, steps))


def test_steps_that_were_left_out_are_named() -> None:
    history = History(NOW, "day", SINCE, HISTORY.series, HISTORY.moves, HISTORY.steps, steps_from=MOVED)

    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("home")
        assert any("`fleetctl diff --since` lists them" in line for line in listed(pane))

    run(play, history)


def test_one_sweep_and_no_data_are_shown_as_such() -> None:
    async def young(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        text = text_of(pane)
        assert text[0].startswith("40 hosts on 1 version. Watched since 03:12:00, ")
        assert any("not watched then" in line for line in text)

    async def nothing(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        assert text_of(pane)[0].startswith("Nothing has been seen yet.")
        assert any("nothing has been seen yet" in line for line in text_of(pane)[1:])

    run(young, YOUNG)
    run(nothing, History(NOW, "all", None))


def test_a_click_on_the_plot_puts_the_cursor_there() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.click(HistoryPane, offset=(40, 8))
        moment = pane.cursor
        assert moment is not None
        await pilot.press("left", "right")
        assert pane.cursor == moment
        axis = next(line for line in text_of(pane) if "┴" in line)
        assert axis.index("┴") == 40 - 2, "two columns of margin"

    run(play)


LOOKS = (Look(), Look(ascii=True), Look(plain=True), Look(ascii=True, plain=True))


@pytest.mark.parametrize("look", LOOKS, ids=["colour", "ascii", "plain", "ascii plain"])
@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_nothing_is_wider_or_higher_than_the_screen(look: Look, size: tuple[int, int]) -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        for _ in range(3):
            text = text_of(pane)
            assert max(map(cells, text)) <= size[0] - 4
            assert len(text) <= size[1]
            assert len(pane.query_one("#history-plot", Lines).lines) <= size[1] - 4
            if look.ascii:
                assert all(line.isascii() for line in text)
            await pilot.press("shift+left")

    run(play, look=look, size=size)


@pytest.mark.parametrize("size", [(30, 12), (8, 4), (1, 1)])
def test_a_terminal_that_is_too_small_is_no_crash(size: tuple[int, int]) -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("left", "shift+left", "enter", "z", "down")
        await pilot.resize_terminal(100, 30)
        await pilot.pause()
        assert text_of(pane)[0].startswith("2 versions")

    run(play, size=size)


def test_another_look_is_put_on_at_once() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        assert any("▒" in line for line in text_of(pane))
        pane.dress(Look(ascii=True, plain=True))
        assert all(line.isascii() for line in text_of(pane))
        assert any(re.search(r"a+ 4593.2.5a+|aaaa", line) for line in text_of(pane))

    run(play)


def test_names_from_hosts_cannot_change_the_screen() -> None:
    evil = "4593\x1b[2J\u202e\x07"
    steps = (Step("a\x1b]0;x\x07", MOVED, "/os/\x1b[1mversion_id", "[red]x", evil),)
    history = History(NOW, "day", SINCE, {evil: ((SINCE, 4),)}, {}, steps)

    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        await pilot.press("shift+left")
        text = "\n".join(text_of(pane))
        assert not set(text) & set("\x1b\x07\u202e")
        assert "[red]x" in text

    run(play, history)


def test_every_span_has_a_picture() -> None:
    async def play(app: Host, pane: HistoryPane, pilot: Pilot[None]) -> None:
        for span in SPANS:
            pane.show(History(NOW, span, SINCE, HISTORY.series, HISTORY.moves, HISTORY.steps), BOARD)
            assert any("4593.2.5" in line for line in text_of(pane)[3:])

    run(play)
