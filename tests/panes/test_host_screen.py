"""A host's own screen: its sections, what it asks for, and where one stays in them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.app import App
from textual.message import Message
from textual.pilot import Pilot

import console
from console.board import Look
from console.keys import Home, key_pairs
from console.palette import DARK
from console.panes.foot import Foot
from console.panes.lines import Lines
from console.render_panel import bare
from console.screens.host import HostScreen, Pages
from console.themes import theme_of
from tests.unit.test_render_panel import PAGE


class Stand(App[None]):
    CSS_PATH = Path(console.__path__[0], "fleetctl.tcss")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return theme_of(DARK).variables


@dataclass
class Opened:
    """The screen, open with its page, and the wishes it sent."""

    screen: HostScreen
    pilot: Pilot[None]
    wishes: list[Message]

    @property
    def lines(self) -> list[str]:
        return [bare(line).rstrip() for line in self.screen.query_one(Pages).lines]

    @property
    def head(self) -> list[str]:
        return [bare(line).rstrip() for line in self.screen.query_one("#host--head", Lines).lines]

    @property
    def top(self) -> int:
        """The first line that is seen."""
        return round(self.screen.query_one(Pages).scroll_offset.y)


def run(act: Callable[[Opened], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    async def walk() -> None:
        wishes: list[Message] = []
        kinds = (HostScreen.LogAsked, HostScreen.RawAsked, HostScreen.SshAsked, HostScreen.CopyAsked)

        def hook(message: Message) -> None:
            if isinstance(message, kinds) and message not in wishes:
                wishes.append(message)

        app = Stand()
        async with app.run_test(size=size, message_hook=hook) as pilot:
            screen = HostScreen(Look(), "edge-fra-014")
            await app.push_screen(screen)
            screen.show(PAGE)
            await pilot.pause()
            await act(Opened(screen, pilot, wishes))

    asyncio.run(walk())


def test_it_opens_with_the_facts_and_says_where_one_is() -> None:
    async def act(opened: Opened) -> None:
        assert opened.head[0] == " fleet › edge-fra-014" + " " * 48 + "◄ reverted"
        assert opened.head[1] == " d facts   t timeline   l log   x raw"
        assert "address     [2001:db8::7]:22" in opened.lines
        assert opened.screen.query_one(Foot).line.count("edge-") == 1

    run(act)


def test_every_key_of_the_registry_is_bound_and_does_something() -> None:
    for keys, method, _ in key_pairs(Home.HOST):
        assert any(binding.key == keys for binding in HostScreen.BINDINGS)  # type: ignore[union-attr]
        assert callable(getattr(HostScreen, f"action_{method}"))


def test_the_timeline_and_back_to_the_facts() -> None:
    async def act(opened: Opened) -> None:
        await opened.pilot.press("end", "t")
        assert opened.lines[0].startswith("today ──")
        assert opened.top == 0
        await opened.pilot.press("d")
        assert "address     [2001:db8::7]:22" in opened.lines

    run(act)


def test_the_log_is_asked_for_and_starts_at_its_end() -> None:
    async def act(opened: Opened) -> None:
        await opened.pilot.press("l")
        assert opened.wishes == [HostScreen.LogAsked("edge-fra-014")]
        assert opened.lines == ["asking…"]
        opened.screen.show_log([f"line {number}" for number in range(100)])
        await opened.pilot.pause()
        assert opened.lines[-1] == "line 99"
        assert opened.top == 80
        await opened.pilot.press("home")
        opened.screen.show(PAGE)
        await opened.pilot.pause()
        assert opened.top == 0
        opened.screen.show_log("the login was refused")
        assert opened.lines == ["no answer: the login was refused"]

    run(act)


def test_the_raw_answer_is_asked_for_and_says_when() -> None:
    async def act(opened: Opened) -> None:
        await opened.pilot.press("x")
        assert opened.wishes == [HostScreen.RawAsked("edge-fra-014")]
        assert opened.lines == ["asking…"]
        await opened.pilot.press("t")
        opened.screen.show_raw([("os", "ID=flatcar\x1b[2J\n")])
        assert opened.lines[0].startswith("today")
        await opened.pilot.press("x")
        assert opened.lines == ["asking…"]
        opened.screen.show_raw([("os", "ID=flatcar\x1b[2J\n")])
        assert opened.lines[0] == "asked just now, at 03:12"
        assert opened.lines[-1] == "ID=flatcar\\x1b[2J"

    run(act)


def test_it_asks_for_a_terminal_and_the_clipboard() -> None:
    async def act(opened: Opened) -> None:
        await opened.pilot.press("S", "t", "y")
        await opened.pilot.pause()
        ssh, copy = opened.wishes
        assert ssh == HostScreen.SshAsked("edge-fra-014")
        assert isinstance(copy, HostScreen.CopyAsked)
        assert copy.text.startswith("today ──")
        assert "\x1b" not in copy.text
        assert copy.words == "copied: timeline of edge-fra-014"

    run(act)


def test_it_stays_where_one_reads_and_scrolls_by_the_usual_keys() -> None:
    async def act(opened: Opened) -> None:
        await opened.pilot.press("down", "down", "pagedown")
        await opened.pilot.wait_for_animation()
        top = opened.top
        assert top > 2
        opened.screen.show(PAGE)
        await opened.pilot.pause()
        assert opened.top == top

    run(act)


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_another_look_and_another_size(size: tuple[int, int]) -> None:
    async def act(opened: Opened) -> None:
        opened.screen.dress(Look(ascii=True, plain=True))
        assert all(line.isascii() for line in opened.head + opened.lines)
        assert max(map(len, opened.lines)) <= size[0] - 5
        await opened.pilot.resize_terminal(60, 24)
        await opened.pilot.pause()
        assert max(map(len, opened.lines)) <= 55

    run(act, size)


def test_before_its_page_has_come() -> None:
    async def walk() -> None:
        app = Stand()
        async with app.run_test(size=(80, 24)) as pilot:
            screen = HostScreen(Look(), "edge-fra-014")
            screen.show(PAGE)
            await app.push_screen(screen)
            await pilot.pause()
            assert screen.query_one(Pages).lines

            empty = HostScreen(Look(), "edge-fra-015")
            await app.push_screen(empty)
            await pilot.pause()
            assert empty.query_one(Pages).lines == ()

    asyncio.run(walk())
