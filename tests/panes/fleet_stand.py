"""An app around nothing but the fleet pane, and a fleet to show in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot
from textual.scrollbar import ScrollBar

import console
from console.board import Board, Look, Sweeping
from console.panes.fleet import FleetPane
from console.panes.hosts_table import HostsTable
from console.rows import FleetView, HostRow
from console.themes import WholeCells, theme_of
from tests.unit.test_render import FLEET, NOW, WELL

MANY = tuple(replace(WELL, name=f"k8s-fra-w{number:03}", groups=("k8s",)) for number in range(60))
ROWS = (*FLEET, *MANY)


def board(rows: Sequence[HostRow] = ROWS, seconds: float = 0) -> Board:
    now = NOW + timedelta(seconds=seconds)
    view = FleetView("prod", now, rows, len(rows), taken_at=NOW, feed_date=NOW.date(), feed_age_s=0.0)
    return Board(view, Sweeping(True, "asking every 60 s"))


class Stand(App[None]):
    """Nothing but the pane."""

    CSS_PATH = Path(console.__path__[0], "fleetctl.tcss")

    def __init__(self, rows: Sequence[HostRow], look: Look) -> None:
        self.look = look
        super().__init__()
        theme = theme_of(look.palette, plain=look.plain)
        self.register_theme(theme)
        self.theme = theme.name
        self.rows = rows
        self.messages: list[Message] = []

    def compose(self) -> ComposeResult:
        yield FleetPane(self.look)

    def on_mount(self) -> None:
        self.pane.show(board(self.rows))
        self.pane.focus()

    @property
    def pane(self) -> FleetPane:
        return self.query_one(FleetPane)

    @property
    def table(self) -> HostsTable:
        return self.query_one(HostsTable)

    def on_fleet_pane_host_chosen(self, message: FleetPane.HostChosen) -> None:
        self.messages.append(message)

    def on_fleet_pane_host_opened(self, message: FleetPane.HostOpened) -> None:
        self.messages.append(message)

    def on_fleet_pane_copy_asked(self, message: FleetPane.CopyAsked) -> None:
        self.messages.append(message)

    def on_fleet_pane_said(self, message: FleetPane.Said) -> None:
        self.messages.append(message)

    def said(self) -> list[str]:
        return [one.text for one in self.messages if isinstance(one, FleetPane.Said)]

    def screen_lines(self) -> list[str]:
        """What is painted."""
        return [strip.text for strip in self.screen._compositor.render_strips()]

    @property
    def line(self) -> str:
        """The filter line as painted."""
        return next(
            text for text in self.screen_lines() if text.startswith((" /", " > /")) or " / " in text[:3]
        )

    def under(self) -> str | None:
        host = self.table.host
        return host.name if host else None

    def names(self) -> list[str]:
        return [one.name for one in self.pane.shown_rows()]


Act = Callable[[Stand, Pilot[None]], Awaitable[None]]


def run(
    act: Act,
    rows: Sequence[HostRow] = ROWS,
    size: tuple[int, int] = (120, 30),
    look: Look = Look(),  # noqa: B008
) -> None:
    async def walk() -> None:
        app = Stand(rows, look)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await act(app, pilot)

    with pytest.MonkeyPatch.context() as patch:
        if look.ascii:
            patch.setattr(ScrollBar, "renderer", WholeCells)
        asyncio.run(walk())
