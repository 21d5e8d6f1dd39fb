"""The dashboard: what can be asked of it. It asks hosts; what changes them is in `console.ordering_app`.

Wishes come up as messages and as the actions of `console.keys`; every worker is started here or in the shell,
so that none outlives what it works for.
"""

from __future__ import annotations

import asyncio
import inspect
import sqlite3
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on, work

from collectors.errors import ConfigError, HostError
from console.arrange import SORTS
from console.board import Look
from console.commands import Command, Known, known_of
from console.exit_codes import ExitCode
from console.history import SPANS
from console.keys import ACTIONS, Action, Home, places_of
from console.live import Live
from console.palette import PALETTES
from console.panes.fleet import FleetPane
from console.panes.head import Head
from console.panes.history import HistoryPane
from console.requests import Asks
from console.rows import HostRow
from console.running_app import RunningShell
from console.saving import save_text, save_view
from console.screens.command_line import CommandLine
from console.screens.help import HelpScreen
from console.screens.host import HostScreen
from console.screens.palette import FleetProvider
from console.visible import hosts_words, visible
from console.when import parse_when

PAGE_WAIT_S = 0.06
"""A cursor that runs over many hosts asks for the page of the last one only."""
PAGE_AGE_S = 10.0
"""How old a page may get while nothing new is known of its host: it holds ages."""
UNTOLD = (sqlite3.Error, ConfigError, HostError)
"""What goes wrong outside of the program: a sentence, not a crash."""


class FleetApp(RunningShell):
    """One fleet on one screen."""

    COMMANDS: ClassVar = {FleetProvider}

    def __init__(self, live: Live, look: Look, requests: Asks | None = None) -> None:
        super().__init__(live, look, requests)
        self._typed: list[str] = []
        self._page_of: tuple[HostRow | None, float] = (None, 0.0)
        """What was known of the host whose page was read last, and when that was."""

    # One host

    @on(FleetPane.HostChosen)
    def _host_chosen(self, message: FleetPane.HostChosen) -> None:
        if message.name is not None:
            self._read_page(message.name, PAGE_WAIT_S)

    @work(group="page", exclusive=True)
    async def _read_page(self, host: str, wait_s: float = 0.0) -> None:
        self._page_of = (self.fleet.row(host), asyncio.get_running_loop().time())
        await asyncio.sleep(wait_s)
        page = await self.live.page(host)
        if page is None or not self.is_open:
            return
        self.fleet.show_page(page)
        screen = self.host_screen
        if screen is not None and screen.host == host:
            screen.show(page)

    def show(self) -> None:
        super().show()
        screen = self.host_screen
        host = screen.host if screen is not None else self.fleet.chosen
        if host is None:
            return
        row, at = self._page_of
        if self.fleet.row(host) is not row or asyncio.get_running_loop().time() - at > PAGE_AGE_S:
            self._read_page(host)

    @on(FleetPane.HostOpened)
    async def _host_opened(self, message: FleetPane.HostOpened) -> None:
        await self.open_host(message.name)

    async def open_host(self, name: str) -> None:
        if self.host_screen is not None:
            self.action_fleet()
        await self.push_screen(HostScreen(self.look, name))
        self.show_way()
        self._read_page(name)

    @on(HostScreen.LogAsked)
    @work(group="log", exclusive=True)
    async def _log_asked(self, message: HostScreen.LogAsked) -> None:
        try:
            found: list[str] | str = await self.live.asking.log(self.live.loaded, message.host)
        except UNTOLD as error:
            found = str(error)
        screen = self.host_screen
        if screen is not None and screen.host == message.host:
            screen.show_log(found)

    @on(HostScreen.RawAsked)
    @work(group="raw", exclusive=True)
    async def _raw_asked(self, message: HostScreen.RawAsked) -> None:
        found: list[tuple[str, str]] | str
        try:
            found = list(await self.live.asking.raw(self.live.loaded, message.host))
        except UNTOLD as error:
            found = str(error)
        screen = self.host_screen
        if screen is not None and screen.host == message.host:
            screen.show_raw(found)

    @on(HostScreen.SshAsked)
    def _ssh_asked(self, message: HostScreen.SshAsked) -> None:
        """The terminal is lent to ssh; the sweeper, a process of its own, goes on."""
        try:
            argv = self.live.ssh_argv(message.host)
        except ConfigError as error:
            self.say(str(error))
            return
        with self.suspend():
            code = subprocess.call(argv)
        self.say(f"ssh {message.host} ended with {code}" if code else f"back from {message.host}")

    # Sentences and the clipboard

    @on(FleetPane.CopyAsked)
    @on(HostScreen.CopyAsked)
    def _copy_asked(self, message: FleetPane.CopyAsked | HostScreen.CopyAsked) -> None:
        self.copy_to_clipboard(message.text)
        self.say(message.words)

    @on(FleetPane.Said)
    @on(HistoryPane.Said)
    def _said(self, message: FleetPane.Said | HistoryPane.Said) -> None:
        self.say(message.text)

    # The past

    @on(HistoryPane.MomentAsked)
    def _moment_asked(self, message: HistoryPane.MomentAsked) -> None:
        if message.at is None:
            self._come_back()
        else:
            self._go_to(message.at)

    @work(group="past", exclusive=True)
    async def _go_to(self, when: datetime) -> None:
        try:
            self.past = await self.live.at(when)
            self.lock_up()
        except UNTOLD as error:
            self.say(str(error))
            return
        self.action_fleet()

    def _come_back(self) -> None:
        self.past = None
        self.live.leave_past()
        self.action_fleet()

    @on(HistoryPane.SpanAsked)
    def _span_asked(self, message: HistoryPane.SpanAsked) -> None:
        self._read_history(SPANS[message.span])

    @work(group="history", exclusive=True)
    async def _read_history(self, span_s: float | None = None) -> None:
        try:
            history = await self.live.history(span_s)
        except UNTOLD as error:
            self.say(str(error))
            return
        if self.board is not None and self.is_open:
            self.history.show(history, self.board)

    # What can be asked for everywhere (console.keys)

    @on(Head.ModeAsked)
    async def _mode_asked(self, message: Head.ModeAsked) -> None:
        await self.run_action(f"app.{message.name}")

    def action_fleet(self) -> None:
        self.enter("fleet")

    def action_history(self) -> None:
        self.enter("history")
        self._read_history()

    async def action_back(self) -> None:
        if len(self.screen_stack) > 1:
            self.pop_screen()
            self.show_way()
        elif self.mode != "fleet":
            self.action_fleet()
        elif self.fleet.filter_text:
            self.fleet.set_filter("")
        elif self.past is not None:
            self._come_back()

    def action_palette(self) -> None:
        self.action_command_palette()

    async def action_help(self) -> None:
        await self.push_screen(HelpScreen(self.look, self.home))

    def action_freeze(self) -> None:
        self.is_frozen = not self.is_frozen
        self.show()

    def action_theme(self, argument: str = "") -> None:
        names = list(PALETTES)
        name = argument or names[(names.index(self.look.palette.name) + 1) % len(names)]
        if name not in PALETTES:
            self.say(f"there is no theme {visible(name, 20)}: {', '.join(names)}")
        elif self.look.plain:
            self.say("NO_COLOR is set: there are no themes")
        else:
            self.wear(replace(self.look, palette=PALETTES[name]))
            self.say(f"theme {PALETTES[name].title}")

    def action_at(self, argument: str = "") -> None:
        if not argument:
            self._come_back()
            return
        try:
            self._go_to(parse_when(argument, self.live.clock(), place="at"))
        except ConfigError as error:
            self.say(str(error))

    def action_save(self, argument: str = "") -> None:
        board = self.shown
        if board is None or not argument:
            self.say("name a file: save hosts.csv, save hosts.json, save screen.svg")
            return
        path = Path(argument).expanduser()
        try:
            if path.suffix == ".svg":
                save_text(path, self.export_screenshot(title=f"fleetctl {board.view.fleet}"))
            else:
                save_view(path, board.view, self.fleet.shown_rows(), self.fleet.filter_text)
        except ConfigError as error:
            self.say(str(error))
            return
        self.say(f"saved {path}")

    def action_ask(self) -> None:
        self._ask(sorted(self.fleet.marks))

    @work(group="ask now", exclusive=True)
    async def _ask(self, hosts: list[str]) -> None:
        self.say(f"asking {hosts_words(len(hosts)) if hosts else 'all hosts'}")
        self.say(await self.live.ask(hosts))

    async def action_quit(self) -> None:
        self.exit(ExitCode.OK)

    # By name

    async def action_command(self) -> None:
        """Waits for the line to be there: what is typed at once must not fall through to other keys."""
        await self.open_line("")

    async def open_line(self, text: str) -> None:
        await self.push_screen(CommandLine(self.look, self._known(), self._typed, text), self._read_line)

    async def _read_line(self, found: Command | None) -> None:
        self.show_way()
        if found is not None:
            await self.perform(found)

    def _known(self) -> Known:
        rows = self.shown.view.rows if self.shown else ()
        known = known_of(rows, places_of(self.home), self.live.clock())
        return replace(known, choices={"sort": tuple(SORTS), "span": tuple(SPANS)})

    async def perform(self, command: Command) -> None:
        """Do what was asked for by name."""
        action, argument = command.action, command.argument
        if action.name == "open" and argument:
            await self.open_host(argument)
            return
        if action.dangerous and (why := self.why_not) is not None:
            self.say(why)
            return
        places = {
            Home.APP: self,
            Home.HOSTS: self,
            Home.FLEET: self.fleet,
            Home.HISTORY: self.history,
            Home.ORDERS: self.orders,
            Home.ROLLOUTS: self.rollouts,
        }
        place = self.host_screen if action.home is Home.HOST else places[action.home]
        if place is None:
            self.say(f"{action.name} is for a host: open one first")
            return
        method = getattr(place, f"action_{action.method}")
        done = method(argument) if action.argument else method()
        if inspect.isawaitable(done):
            await done

    def palette_items(self) -> Iterable[tuple[str, str, Callable[[], object]]]:
        """What ctrl+p finds: name, what it does, how it is done."""
        for action in ACTIONS:
            if action.home in places_of(self.home) and action.method != "palette":
                yield action.name, action.help, partial(self._later, action)
        for row in self.shown.view.rows if self.shown else ():
            yield (
                f"open {row.name}",
                "everything known of it",
                partial(self.call_later, self.open_host, row.name),
            )

    def _later(self, action: Action) -> None:
        """Once the palette is gone."""
        self.call_later(self.perform, Command(action, ""))
