"""The big table in its pane: it stands still while rows change, draws little, sorts, groups and folds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.pilot import Pilot
from textual.strip import Strip

from console.arrange import Entry
from console.panes.bars_view import BarsView
from console.panes.fleet import FleetPane
from console.panes.hosts_table import HostsTable
from tests.panes.fleet_stand import ROWS, Stand, board, run
from tests.unit.test_render import WELL


def test_the_cursor_stays_on_its_host_and_the_order_stands_still() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down", "down")
        before, line = app.names(), app.table.cursor - app.table.scroll_offset.y
        host = app.under()
        failed = [replace(one, state="failed") if one.name.startswith("k8s-fra-w05") else one for one in ROWS]
        app.pane.show(board(failed, 1))
        await pilot.pause()
        assert (app.names(), app.under()) == (before, host)
        assert "10 would move, r sorts" in app.line
        await pilot.press("r")
        assert app.names() != before
        assert app.under() == host
        assert app.table.cursor - app.table.scroll_offset.y in (line, app.table.cursor)
        assert "would move" not in app.line

    run(act, size=(160, 30))


def test_rows_sort_by_themselves_while_the_cursor_is_elsewhere() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        app.query_one(BarsView).focus()
        app.pane.show(board([*ROWS[:-1], replace(ROWS[-1], state="reset_armed")], 1))
        assert app.names()[1] == ROWS[-1].name

    run(act)


def test_the_line_under_the_cursor_stays_where_it_is_when_rows_above_leave() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        app.pane.set_filter("k8s-fra")
        await pilot.press("end")
        line = app.table.cursor - app.table.scroll_offset.y
        app.pane.show(board([one for one in ROWS if one.name not in ("k8s-fra-w003", "k8s-fra-w004")], 1))
        await pilot.pause()
        assert app.under() == "k8s-fra-w059"
        assert app.table.cursor - app.table.scroll_offset.y == line

    run(act)


def test_only_visible_rows_that_changed_are_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        painted: list[int] = []
        render = HostsTable.render_line

        def counted(table: HostsTable, y: int) -> Strip:
            painted.append(y)
            return render(table, y)

        monkeypatch.setattr(HostsTable, "render_line", counted)
        changed = list(ROWS)
        changed[1] = replace(changed[1], behind=7)  # the first one shown
        changed[-1] = replace(changed[-1], behind=7)  # far below
        app.pane.show(board(changed, 1))
        await pilot.pause()
        assert set(painted) == {0}

    run(act)


def test_nothing_is_painted_if_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        painted: list[int] = []
        monkeypatch.setattr(HostsTable, "refresh", lambda *args, **more: painted.append(1))
        monkeypatch.setattr(BarsView, "refresh", lambda *args, **more: painted.append(2))
        app.pane.show(board(list(ROWS), 1))
        assert painted == []

    run(act)


def test_a_large_fleet_draws_what_is_on_the_screen_only(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [replace(WELL, name=f"n-{number:05}") for number in range(20_000)]
    drawn: list[Entry] = []
    text = HostsTable._text

    def counted(table: HostsTable, entry: Entry, *, is_cursor: bool) -> str:
        drawn.append(entry)
        return text(table, entry, is_cursor=is_cursor)

    monkeypatch.setattr(HostsTable, "_text", counted)

    async def act(app: Stand, pilot: Pilot[None]) -> None:
        drawn.clear()
        await pilot.press("end")
        assert app.under() == "n-19999"
        assert 0 < len(set(map(str, drawn))) <= 2 * app.table.size.height

    run(act, rows)


# Order, headings, folds


def test_sorting_goes_round_the_columns_or_to_the_one_named() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("o")
        assert app.names() == sorted(app.names())
        app.pane.action_sort("behind")
        assert app.pane.shown_rows()[0].behind == 1
        app.pane.action_sort("nonsense")
        await pilot.pause()
        assert "is no column" in app.said()[0]

    run(act)


def test_headings_stand_between_hosts_and_the_cursor_passes_them() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("g")
        assert any("edge  16 hosts" in text for text in app.screen_lines())
        await pilot.press("home")
        assert app.table.cursor == 1
        for _ in range(len(ROWS)):
            await pilot.press("down")
        assert app.under() == "k8s-fra-w059"
        app.pane.action_group("label.site")
        assert app.pane.listing.arrangement.group == "label.site"
        app.pane.action_group("labels")
        await pilot.pause()
        assert "is no field" in app.said()[0]
        await pilot.press("g")
        assert app.pane.listing.arrangement.group is None

    run(act)


def test_a_fold_is_marked_as_one_and_enter_opens_it() -> None:
    async def act(app: Stand, pilot: Pilot[None]) -> None:
        await pilot.press("f", "end")
        assert any("+ 60 alike" in text and "k8s-fra-w[000-059]" in text for text in app.screen_lines())
        await pilot.press("space")
        assert len(app.pane.marks) == 60
        await pilot.press("enter")
        assert app.under() == "k8s-fra-w000"
        assert not any("alike" in text for text in app.screen_lines())
        await pilot.press("enter")
        assert app.messages[-1] == FleetPane.HostOpened("k8s-fra-w000")

    run(act)
