"""The fleet pane, driven by keys and mouse: which rows it shows, what it says, what it asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.scrollbar import ScrollBar
from textual.widgets import Input

from console.board import Look
from console.host_page import HostPage
from console.palette import LIGHT
from console.panes.bars_view import BarsView
from console.panes.fleet import FleetPane
from console.panes.hosts_table import Headings, HostsTable
from console.themes import WholeCells
from console.visible import cells
from tests.panes.fleet_stand import ROWS, Stand, board, run
from tests.unit.test_bars import bare
from tests.unit.test_render import HOSTILE, NOW, OLD, row


def test_the_worst_host_comes_first_and_the_cursor_is_on_it() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        assert app.names()[:3] == ["edge-021", "edge-014", "k8s-112"]
        assert app.under() == "edge-021"
        assert app.messages == [FleetPane.HostChosen("edge-021")]
        await pilot.press("down", "end")
        assert app.messages[1:] == [FleetPane.HostChosen("edge-014"), FleetPane.HostChosen("k8s-fra-w059")]

    run(act)


# Filter


def test_a_filter_is_typed_in_its_line_with_a_live_count() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"k8s-fra-w01")
        assert app.names() == [f"k8s-fra-w01{digit}" for digit in range(10)]
        assert "10 of 76" in app.line
        await pilot.press("enter")
        assert app.focused is app.table
        assert app.pane.filter_text == "k8s-fra-w01"
        assert "/ k8s-fra-w01" in app.line

    run(act)


def test_the_filter_selects_by_state() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"state:staged", "enter")
        assert app.names() == ["k8s-030", "k8s-031"]
        assert app.under() == "k8s-030"

    run(act)


def test_a_wrong_filter_says_where_and_keeps_the_last_good_rows() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("slash", *"k8s (")
        assert app.pane.filter_text == "k8s"
        assert len(app.names()) == len([one for one in ROWS if "k8s" in one.name])
        assert "column 6: something is missing at the end" in app.line
        await pilot.press("escape")
        assert app.pane.filter_text == ""
        assert len(app.names()) == len(ROWS)
        assert app.focused is app.table

    run(act, size=(160, 30))


def test_a_filter_from_elsewhere_is_applied_or_said() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        app.pane.action_filter("state:held")
        assert app.names() == ["db-0"]
        app.pane.set_filter("state:hold")
        await pilot.pause()
        assert app.names() == ["db-0"]
        assert app.said() == ['column 1: unknown state "hold"; did you mean "held"?']

    run(act)


def test_the_toggles_narrow_and_show_their_counts() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        assert "! 14 need attention" in app.line
        await pilot.press("exclamation_mark")
        assert len(app.names()) == 14
        assert "14 of 76" in app.line
        await pilot.press("exclamation_mark", "w")
        assert app.names() == ["k8s-031"]
        assert "w 1 reboots" in app.line

    run(act, size=(200, 30))


def test_a_table_without_hosts_says_why() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        app.pane.set_filter("nobody")
        await pilot.pause()
        text = "\n".join(app.screen_lines())
        assert "No host matches." in text
        assert app.under() is None
        assert app.messages[-1] == FleetPane.HostChosen(None)
        await pilot.press("down", "space", "enter", "v", "f", "end")
        app.pane.show(board((), 1))
        await pilot.pause()
        assert "The fleet has no hosts." in "\n".join(app.screen_lines())

    run(act)


def test_a_fleet_that_nobody_asked_says_so_and_what_to_press() -> None:
    silent = [row(f"n-{number}", "unreachable", reach=None, taken_at=None) for number in range(9)]

    async def act(app: Stand, pilot: Pilot[None]) -> None:
        assert "No host was ever asked. R asks now." in "\n".join(app.screen_lines())

    for size in ((80, 22), (120, 38), (160, 42)):
        run(act, silent, size)


# Marks


def test_marks_survive_filters_sorting_and_updates() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("space", "down", "space")
        assert app.pane.marks == {"edge-021", "edge-014"}
        app.pane.set_filter("state:reverted")
        await pilot.press("o")
        app.pane.show(board([replace(one, behind=9) for one in ROWS], 1))
        await pilot.pause()
        assert app.pane.marks == {"edge-021", "edge-014"}
        assert "2 marked, 1 hidden by the filter" in app.line
        await pilot.press("space", "N")
        assert app.pane.marks == set()

    run(act, size=(160, 42))


def test_a_range_follows_the_cursor_until_it_is_ended() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        first = app.names()[:5]
        await pilot.press("space", "down", "down", "v", "down", "down")
        assert app.pane.marks == {first[0], *first[2:5]}
        await pilot.press("up")
        assert app.pane.marks == {first[0], *first[2:4]}
        assert "range" in app.line
        await pilot.press("v", "down")
        assert app.pane.marks == {first[0], *first[2:4]}
        assert "range" not in app.line

    run(act)


def test_esc_ends_a_range_and_nothing_else() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        app.pane.set_filter("k8s")
        await pilot.press("v", "down", "escape", "down")
        assert len(app.pane.marks) == 2
        assert app.pane.filter_text == "k8s"

    run(act)


def test_all_that_the_filter_lets_through_can_be_marked() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("space")
        app.pane.set_filter("k8s-fra-w00")
        await pilot.press("M")
        assert app.pane.marks == {"edge-021", *(f"k8s-fra-w00{digit}" for digit in range(10))}

    run(act)


def test_marks_of_hosts_that_left_the_fleet_vanish_and_that_is_said() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("space", "down", "space")
        app.pane.show(board(ROWS[2:], 1))
        await pilot.pause()
        assert app.pane.marks == {"edge-014"}
        assert app.said() == ["1 host no longer in the fleet: its mark is gone"]

    run(act)


def test_what_is_copied_are_the_marked_names_or_the_one_under_the_cursor() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("y", "space", "down", "space", "y")
        copied = [one for one in app.messages if isinstance(one, FleetPane.CopyAsked)]
        assert copied[0] == FleetPane.CopyAsked("edge-021", "edge-021 copied")
        assert copied[1] == FleetPane.CopyAsked("edge-021\nedge-014", "2 names copied")

    run(act)


# Bars, mouse


def test_a_part_of_a_bar_filters_and_the_same_again_takes_it_away() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        bars = app.query_one(BarsView)
        zone = next(one for one in bars.drawing.zones if one.key == "state:held")
        await pilot.click(BarsView, offset=(zone.start, zone.line))
        assert app.names() == ["db-0"]
        await pilot.click(BarsView, offset=(zone.start, zone.line))
        assert len(app.names()) == len(ROWS)

    run(act, size=(160, 42))


def test_parts_are_chosen_by_keys_too() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        bars = app.query_one(BarsView)
        await pilot.press("shift+tab")
        assert bars.has_focus
        await pilot.press("right", "right", "left", "enter")
        assert app.pane.filter_text == bars.drawing.keys[1]
        assert app.names()
        await pilot.press("down")
        assert app.table.has_focus

    run(act, size=(160, 42))


def test_the_mouse_moves_opens_sorts_and_scrolls() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.click(HostsTable, offset=(5, 2))
        assert app.under() == app.names()[2]
        await pilot.click(HostsTable, offset=(5, 3), times=2)
        assert FleetPane.HostOpened(app.names()[3]) in app.messages
        await pilot.click(Headings, offset=(4, 0))
        assert app.pane.listing.arrangement.sort == "host"
        await pilot.click(Headings, offset=(4, 0))
        assert app.names() == sorted(app.names(), reverse=True)
        app.table.scroll_to(y=5, animate=False)
        await pilot.pause()
        await pilot.click(HostsTable, offset=(5, 0))
        assert app.under() == app.names()[5]

    run(act)


# Sizes and looks

SIZES = ((80, 22), (100, 30), (120, 37), (160, 42), (200, 57))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "look", [Look(), Look(ascii=True, plain=True), Look(LIGHT)], ids=["dark", "plain", "light"]
)
def test_every_size_shows_sentence_bars_filter_hosts_and_the_host_under_the_cursor(
    size: tuple[int, int], look: Look
) -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("space", "down")
        lines = app.screen_lines()
        text = "\n".join(lines)
        assert "8 hosts need a look." in lines[0]
        assert "current" in text
        assert "1 marked" in app.line
        assert "seen" in next(line for line in lines if line.split()[:1] == ["host"])
        assert text.count("edge-014") >= 2  # the table, the panel
        assert app.table.size.height >= (10 if size[1] < 30 else 12)
        assert {cells(line) for line in lines} == {size[0]}
        assert not look.ascii or bare(text).isascii()
        at_right = app.pane.panel.region.x > 0
        assert at_right == (size[0] >= 140)

    run(act, size=size, look=look)


def test_the_panel_shows_the_page_of_its_host_and_can_be_put_away() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        assert app.pane.panel.display
        await pilot.press("i")
        height = app.table.size.height
        await pilot.press("i")
        await pilot.pause()
        assert app.table.size.height < height
        shown: list[HostPage | None] = []
        app.pane.panel.show = lambda row, view, page: shown.append(page)  # type: ignore[method-assign]
        page = HostPage("edge-021", {}, (), NOW)
        app.pane.show_page(page)
        assert shown == [page]

    run(act)


def test_another_look_is_put_on_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScrollBar, "renderer", WholeCells)

    async def act(app: Stand, pilot: Pilot[None]) -> None:
        app.pane.dress(Look(ascii=True))
        await pilot.pause()
        assert "\n".join(app.screen_lines()).isascii()

    run(act, size=(160, 42))


def test_nothing_that_a_host_says_reaches_the_terminal_as_more_than_text() -> None:
    evil = replace(
        OLD,
        name=HOSTILE,
        state="drift",
        version="[bold red]4593[/]",
        groups=("[@click=app.bell]x[/]",),
        health=HOSTILE,
        reasons=(("drift", HOSTILE),),
    )

    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("g", "f", "slash", *"state:drift", "enter")
        lines = app.screen_lines()
        assert [line for line in lines if not line.isprintable()] == []
        assert any("[bold re…4593[/]" in line for line in lines)
        assert any("[@click=app.bell]x[/]" in line for line in lines)

    run(act, [evil, *ROWS], size=(160, 42))


def test_the_input_opens_with_the_filter_that_is_there() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        app.pane.set_filter("k8s")
        await pilot.press("slash", *"-fra")
        assert app.query_one(Input).value == "k8s-fra"
        await pilot.press("enter", "slash", "backspace", "enter")
        assert app.pane.filter_text == "k8s-fr"

    run(act)
