"""The panel draws what it is given, in the form that its size asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

import console
from console.board import Look
from console.host_page import HostPage
from console.palette import DARK, PALETTES
from console.panes.host_panel import HostPanel
from console.render_panel import bare
from console.rows import FleetView
from console.themes import theme_of
from tests.unit.test_render_host import NOW
from tests.unit.test_render_panel import PAGE, STAGED

VIEW = FleetView("prod", NOW, (STAGED,), 1)


class Stand(App[None]):
    """Nothing but the panel, as large as the terminal."""

    CSS_PATH = Path(console.__path__[0], "fleetctl.tcss")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme_of(DARK).variables

    def compose(self) -> ComposeResult:
        yield HostPanel(Look())


def run(size: tuple[int, int], act: Callable[[HostPanel, Pilot[None]], Awaitable[None]]) -> None:
    async def walk() -> None:
        app = Stand()
        async with app.run_test(size=size) as pilot:
            await act(app.query_one(HostPanel), pilot)

    asyncio.run(walk())


def drawn(panel: HostPanel) -> list[str]:
    return [bare(line).rstrip() for line in panel.lines]


@pytest.mark.parametrize(
    ("size", "at", "words"),
    [
        ((52, 33), 1, "   edge-fra-014                           ◕ staged"),
        ((120, 12), 0, "  edge-fra-014   edge   fra/a   stable   amd64"),
        ((80, 4), 1, " A►4593.2.4   B→4593.2.5    next boot B 4593.2.5, one try, else back to A"),
    ],
)
def test_the_form_is_that_of_its_size(size: tuple[int, int], at: int, words: str) -> None:
    async def act(panel: HostPanel, pilot: Pilot[None]) -> None:
        panel.show(STAGED, VIEW, PAGE)
        assert drawn(panel)[at].startswith(words)
        assert len(panel.lines) <= size[1]

    run(size, act)


def test_a_page_of_another_host_is_not_shown() -> None:
    async def act(panel: HostPanel, pilot: Pilot[None]) -> None:
        panel.show(STAGED, VIEW, None)
        without = panel.lines
        panel.show(STAGED, VIEW, HostPage("edge-fra-099", PAGE.document, PAGE.steps, NOW))
        assert panel.lines == without
        panel.show(STAGED, VIEW, PAGE)
        assert panel.lines[: len(without)] == without
        assert any("timeline" in line for line in drawn(panel))

    run((52, 33), act)


def test_it_paints_only_what_differs() -> None:
    async def act(panel: HostPanel, pilot: Pilot[None]) -> None:
        panel.show(STAGED, VIEW, PAGE)
        before = panel.lines
        panel.show(STAGED, VIEW, PAGE)
        assert panel.lines is before
        panel.show(replace(STAGED, name="edge-fra-015"), VIEW, PAGE)
        assert "edge-fra-015" in drawn(panel)[1]
        panel.show(None, VIEW, None)
        assert drawn(panel) == ["", "   no host chosen"]

    run((52, 33), act)


def test_another_look_and_another_size_draw_it_anew() -> None:
    async def act(panel: HostPanel, pilot: Pilot[None]) -> None:
        panel.show(STAGED, VIEW, None)
        panel.dress(Look(PALETTES["light"], ascii=True))
        assert all(line.isascii() for line in drawn(panel))
        assert "#= A running" in drawn(panel)[6]
        await pilot.resize_terminal(80, 4)
        assert len(panel.lines) == 4

    run((52, 33), act)
