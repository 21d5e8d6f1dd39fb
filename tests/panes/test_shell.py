"""The shell's widgets and screens, driven by keys: what they show, ask for, and send to a terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.command import CommandList
from textual.containers import VerticalScroll
from textual.filter import LineFilter
from textual.pilot import Pilot
from textual.widgets import Input, Static

from console import themes
from console.board import Board, Look, Sweeping
from console.commands import Command, known_of
from console.keys import ACTIONS, Home
from console.palette import LIGHT, PALETTES
from console.panes.alert_line import AlertLine
from console.panes.foot import Foot
from console.panes.head import Head
from console.panes.lines import Lines
from console.rows import FleetView, HostRow
from console.screens.command_line import CommandLine
from console.screens.help import HelpScreen
from console.screens.palette import MOST, FleetProvider
from console.tone import Tone

ROOT = Path(__file__).parents[2]
CODE = re.compile(r"\x1b\[([0-9;]*)m")
HOSTILE = "[bold red]evil[/] [@click=app.bell]x[/] \x1b[31m"
SHOWN = r"[bold red]evil[/] [@click=app.bell]x[/] \x1b[31m"
NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=UTC)
ROWS = [
    HostRow(f"edge-fra-{number:03}", "10.0.0.1", "current", groups=("edge",), reach="ok", taken_at=NOW)
    for number in range(40)
]
ROWS.append(replace(ROWS[0], name=HOSTILE))
VIEW = FleetView("prod", NOW, ROWS, 40, taken_at=NOW - timedelta(seconds=14))
BOARD = Board(VIEW, Sweeping(True, "asking every 60 s"))
KNOWN = known_of(ROWS, (Home.FLEET, Home.APP), NOW)
TROUBLED = replace(BOARD, trouble="the database is gone", past=NOW - timedelta(days=2))


class Shell(App[str]):
    """The shell's parts around nothing."""

    CSS_PATH = ROOT / "console/fleetctl.tcss"
    COMMANDS = {FleetProvider}  # noqa: RUF012 - as Textual declares it

    def __init__(self, look: Look = Look(), board: Board = BOARD) -> None:  # noqa: B008 - frozen
        self.look = look
        super().__init__()
        self.board = board
        self.done: list[str] = []
        for theme in themes.textual_themes():
            self.register_theme(theme)
        self.theme = "plain" if look.plain else look.palette.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return themes.VARIABLES

    def get_line_filters(self) -> Iterable[LineFilter]:  # type: ignore[override]
        return themes.PLAIN_FILTERS if self.look.plain else super().get_line_filters()

    def compose(self) -> ComposeResult:
        yield Head(self.look)
        yield AlertLine(self.look)
        yield Static("hosts", id="body")
        yield Foot(self.look)

    def on_mount(self) -> None:
        self.query_one("#body").styles.height = "1fr"
        self.query_one(Head).show(self.board, "fleet")
        self.query_one(AlertLine).show(self.board, False)
        self.query_one(Foot).show(Home.FLEET, ("fleet",))

    def on_head_mode_asked(self, message: Head.ModeAsked) -> None:
        self.done.append(message.name)

    def palette_items(self) -> Iterable[tuple[str, str, Callable[[], object]]]:
        for action in ACTIONS:
            yield action.name, action.help, partial(self.done.append, action.name)
        for row in self.board.view.rows:
            yield f"open {row.name}", HOSTILE, partial(self.done.append, f"open {row.name}")


Drive = Callable[[Shell, Pilot[str]], Coroutine[Any, Any, None]]


def run(drive: Drive, look: Look | None = None, size: tuple[int, int] = (120, 40)) -> None:
    async def main() -> None:
        app = Shell(look or Look())
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await drive(app, pilot)

    asyncio.run(main())


def screen_lines(app: App[Any]) -> list[str]:
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.size)]


def texts(lines: Iterable[str]) -> list[str]:
    return [CODE.sub("", line).rstrip() for line in lines]


async def until(pilot: Pilot[str], is_so: Callable[[], bool]) -> None:
    """Wait for a condition; the test's own time limit ends it."""
    while not is_so():
        await pilot.pause(0.01)


# Head, alarms, foot


@pytest.mark.parametrize(("size", "height"), [((80, 24), 1), ((120, 40), 2), ((200, 60), 2)])
def test_the_head_has_a_rule_where_there_is_room(size: tuple[int, int], height: int) -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        assert app.query_one(Head).size.height == height
        lines = screen_lines(app)
        assert lines[0].startswith(" prod   1 Fleet  2 Roll")
        assert lines[height] == "hosts"
        assert lines[-1].startswith(" space mark")
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert app.query_one(Head).size.height == 1
        assert screen_lines(app)[0].endswith("03:12")

    run(drive, size=size)


def test_a_clicked_mode_is_asked_for() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        await pilot.click(Head, offset=(20, 0))
        await pilot.click(Head, offset=(60, 0))
        assert app.done == ["rollouts"]

    run(drive)


def test_alarms_take_lines_only_while_there_are_any() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        alarm = app.query_one(AlertLine)
        assert not alarm.display
        alarm.show(TROUBLED, True)
        await pilot.pause()
        shown = screen_lines(app)[2:6]
        assert shown[0].startswith(" ■ the database is gone")
        assert shown[1].startswith(" ▲ the past   Tue 18 Aug 2026 03:12, 2 d ago")
        assert shown[2].startswith(" ▲ frozen since 03:12")
        assert shown[3] == "hosts"
        later = replace(TROUBLED, view=replace(VIEW, now=NOW + timedelta(minutes=5)))
        alarm.show(later, True)
        assert "frozen since 03:12" in texts(alarm.lines)[2]
        alarm.show(BOARD, False)
        await pilot.pause()
        assert screen_lines(app)[2] == "hosts"

    run(drive)


def test_the_foot_says_a_sentence_until_it_is_taken_away() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        foot = app.query_one(Foot)
        foot.say(f"copied {HOSTILE}")
        await pilot.pause()
        assert screen_lines(app)[-1] == f" copied {SHOWN}"
        foot.say("")
        foot.show(Home.HOST, ("fleet", "edge-fra-014", "log"))
        await pilot.pause()
        assert screen_lines(app)[-1].startswith(" d facts   t timeline   l log")
        assert screen_lines(app)[-1].endswith("fleet › edge-fra-014 › log")

    run(drive)


@pytest.mark.parametrize("name", PALETTES)
def test_every_theme_dresses_the_shell(name: str) -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        palette = PALETTES[name]
        app.theme = name
        for widget in (app.query_one(Head), app.query_one(AlertLine), app.query_one(Foot)):
            widget.dress(Look(palette))
        await pilot.pause()
        strips = app.screen._compositor.render_strips(app.size)
        styles = {segment.style for strip in strips for segment in strip if segment.style}
        grounds = {style.bgcolor.name for style in styles if style.bgcolor}
        assert grounds == {palette.bg, palette.surface, palette.tones[Tone.ACCENT]}

    run(drive)


# Help


LOOKS = {"dark": Look(), "light": Look(LIGHT, ascii=True), "plain": Look(plain=True, ascii=True)}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_help_scrolls_and_closes(look: Look) -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        await app.push_screen(HelpScreen(look, Home.FLEET))
        await pilot.pause()
        assert screen_lines(app)[0] == " help: fleet"
        assert screen_lines(app)[1].startswith("  keys: fleet ")
        assert screen_lines(app)[-1].startswith(" esc close")
        assert app.screen.query_one(VerticalScroll).max_scroll_y > 0
        await pilot.press("end")
        await until(pilot, lambda: any("needs:attention" in line for line in screen_lines(app)))
        await pilot.press("question_mark")
        await until(pilot, lambda: not isinstance(app.screen, HelpScreen))

    run(drive, look, (80, 24))


def test_help_needs_no_scrolling_on_a_large_terminal() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        await app.push_screen(HelpScreen(Look(), Home.FLEET))
        await pilot.pause()
        assert app.screen.query_one(VerticalScroll).max_scroll_y == 0
        text = "\n".join(screen_lines(app))
        assert "keys: everywhere" in text
        assert "select: / here" in text

    run(drive, size=(200, 60))


# The command line


async def opened(app: Shell, pilot: Pilot[str], history: list[str] | None = None) -> list[Command | None]:
    """The command line is there; the list will hold what it gives back."""
    given: list[Command | None] = []
    await app.push_screen(CommandLine(app.look, KNOWN, history), given.append)
    await pilot.pause()
    return given


def completions(app: Shell) -> list[str]:
    return [line.strip() for line in texts(app.screen.query_one("#completions", Lines).lines)]


def typed(app: Shell) -> str:
    return app.screen.query_one(Input).value


def test_a_command_is_completed_and_given_back() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        given = await opened(app, pilot)
        assert len(completions(app)) == 9
        await pilot.press("t", "tab")
        assert typed(app) == "theme "
        await pilot.press("tab")
        assert typed(app) == "theme dark"
        await pilot.press("tab")
        assert typed(app) == "theme light"
        await pilot.press("shift+tab")
        assert typed(app) == "theme dark"
        assert [line.split()[0] for line in completions(app)] == list(PALETTES)
        await pilot.press("enter")
        await until(pilot, lambda: bool(given))
        assert given[0] is not None
        assert (given[0].action.name, given[0].argument) == ("theme", "dark")

    run(drive)


def test_what_cannot_be_done_is_said_and_the_line_stays() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        given = await opened(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: given == [None])  # an empty line asks for nothing
        given = await opened(app, pilot)
        await pilot.press(*"filter state:stagd", "enter")
        await until(pilot, lambda: completions(app) == ['■ unknown state "stagd"; did you mean "staged"?'])
        assert screen_lines(app)[-1] == " :filter state:stagd"
        await pilot.press("backspace", "backspace", "tab")
        assert typed(app) == "filter state:stag"
        assert len(completions(app)) == 3
        await pilot.press("escape")
        await until(pilot, lambda: given == [None])

    run(drive, size=(80, 24))


def test_lines_typed_before_come_back() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        history = ["sort seen", "filter web"]
        given = await opened(app, pilot, history)
        await pilot.press("f", "o", "up")
        assert typed(app) == "filter web"
        await pilot.press("up", "up")
        assert typed(app) == "sort seen"
        await pilot.press("down", "down")
        assert typed(app) == "fo"
        await pilot.press("enter")
        await until(pilot, lambda: bool(given))
        assert history == ["sort seen", "filter web", "fo"]

    run(drive)


# The palette


def palette_texts(app: Shell) -> list[str]:
    shown = app.screen.query_one(CommandList)
    return [str(shown.get_option_at_index(index).prompt) for index in range(shown.option_count)]


async def searched(app: Shell, pilot: Pilot[str], text: str) -> None:
    app.action_command_palette()
    await until(pilot, lambda: bool(app.screen.query(CommandList)) and len(palette_texts(app)) == MOST)
    await pilot.press(*text)


def test_the_palette_finds_hosts_and_takes_no_name_for_markup() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        await searched(app, pilot, "evil")
        await until(pilot, lambda: len(palette_texts(app)) == 1)
        assert palette_texts(app) == [f"open {SHOWN}\n{SHOWN}"]
        await pilot.press("enter")
        await until(pilot, lambda: app.done == [f"open {HOSTILE}"])

    run(drive)


def test_letters_that_are_apart_find_an_action() -> None:
    async def drive(app: Shell, pilot: Pilot[str]) -> None:
        await searched(app, pilot, "mkrng")
        await until(pilot, lambda: [one.split("\n")[0] for one in palette_texts(app)] == ["mark range"])

    run(drive)


# What leaves to a terminal


class Once(Shell):
    """Draws everything once, opens the command line and the palette, and ends."""

    async def on_ready(self) -> None:
        await self.push_screen(CommandLine(self.look, KNOWN))
        self.call_after_refresh(self._go_on)

    def _go_on(self) -> None:
        self.pop_screen()
        self.action_command_palette()
        self.set_interval(0.02, self._end_once_drawn)

    def _end_once_drawn(self) -> None:
        if self.screen.query(CommandList) and self.screen.query_one(CommandList).option_count:
            self.call_after_refresh(self.exit)


def codes_on_a_terminal(*, plain: bool) -> set[str]:
    """Parameters of every colour or attribute code that reaches a real terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    code = f"from tests.panes.test_shell import *; Once(Look(plain={plain}), TROUBLED).run()"
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    env = env | {"NO_COLOR": "1"} if plain else {key: env[key] for key in env if key != "NO_COLOR"}
    argv = [sys.executable, "-c", code]
    process = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, env=env)
    os.close(slave)
    written = b""
    with suppress(OSError):  # how a pseudo-terminal says that its other end is closed
        while piece := os.read(master, 65536):
            written += piece
    os.close(master)
    process.wait(10)
    assert process.returncode == 0, written.decode(errors="replace")
    text = written.decode()
    assert "the database is gone" in text
    return {number for found in CODE.findall(text) for number in found.split(";")}


def test_without_colour_nothing_but_bold_underline_and_reverse_leaves() -> None:
    codes = codes_on_a_terminal(plain=True)
    assert codes <= {"", "0", "1", "4", "7"}
    assert {"1", "4", "7"} <= codes
    assert {"38", "48", "2"} <= codes_on_a_terminal(plain=False)
