"""The dashboard's screen: its parts, its modes and colours, and how what is known comes to be shown.

Data goes down by one call a tick (`show`). At most two redraws a second; a key paints at once.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import traceback
from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.filter import LineFilter
from textual.scrollbar import ScrollBar
from textual.widgets import ContentSwitcher, Input

from console.board import Board, Look
from console.exit_codes import ExitCode
from console.keys import MODES, Home, key_pairs
from console.live import Live
from console.ordering_lock import State
from console.panes.alert_line import AlertLine
from console.panes.fleet import FleetPane
from console.panes.foot import Foot
from console.panes.head import Head
from console.panes.history import HistoryPane
from console.panes.orders import OrdersPane
from console.panes.rollouts import RolloutsPane
from console.screens.answer import AnswerScreen
from console.screens.confirm import ConfirmScreen
from console.screens.help import HelpScreen
from console.screens.host import HostScreen
from console.themes import PLAIN_FILTERS, VARIABLES, WholeCells, theme_of

TICK_S = 0.5
"""Between two looks into the store."""
_DRESSED = (
    Head,
    AlertLine,
    FleetPane,
    HistoryPane,
    OrdersPane,
    RolloutsPane,
    Foot,
    HostScreen,
    HelpScreen,
    ConfirmScreen,
    AnswerScreen,
)
_AT_ONCE = frozenset({"command", "help", "unlock"})
"""What opens a screen that takes keys: done before the next key, however quickly it comes, is given out."""
SLOWEST_END_S = 3.0
"""How long an end that a signal asks for may take."""
SAID_S = 6.0
"""How long a sentence stands in the footer."""


class Shell(App[int]):
    """What is on the screen; what can be asked of it is `console.app`."""

    CSS_PATH = "fleetctl.tcss"
    COMMAND_PALETTE_BINDING = "ctrl+p"
    BINDINGS: ClassVar = [
        Binding(keys, method, label, show=False, priority=method in _AT_ONCE)
        for keys, method, label in key_pairs(Home.APP)
        if method != "palette"
    ]

    def __init__(self, live: Live, look: Look) -> None:
        self.live = live
        self.look = look
        self.board: Board | None = None
        self.past: Board | None = None
        self.is_frozen = False
        self._settled_hosts = -1
        self.crash: str | None = None
        """The traceback of a bug that ended the dashboard."""
        super().__init__()
        if look.ascii:
            ScrollBar.renderer = WholeCells
        self.title = live.loaded.fleet.name

    def compose(self) -> ComposeResult:
        yield Head(self.look)
        yield AlertLine(self.look)
        with ContentSwitcher(initial=MODES[0]):
            yield FleetPane(self.look, id="fleet")
            yield HistoryPane(self.look, id="history")
            yield OrdersPane(self.look, id="orders")
            yield RolloutsPane(self.look, id="rollouts")
        yield Foot(self.look)

    def on_mount(self) -> None:
        self.wear(self.look)
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self._end_by_signal)
        self.enter(MODES[0])
        self._poll()

    def _end_by_signal(self) -> None:
        """Leave, in any case: with its terminal gone Textual may wait for a write that nobody takes."""
        self.exit(ExitCode.INTERRUPTED)
        last = threading.Timer(SLOWEST_END_S, os._exit, (int(ExitCode.INTERRUPTED),))
        last.daemon = True
        last.start()

    # Data down

    @work(group="poll", exclusive=True)
    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            board = await self.live.board()
            if not self.is_open:
                return
            if not self.is_frozen:
                self.board = board
                self.show()
                await self.read_mode()
            # A fleet so large that reading it takes long is read less often
            await asyncio.sleep(max(TICK_S, 5 * (loop.time() - begun)))

    async def read_mode(self) -> None:
        """What the mode shows beside the fleet."""

    @property
    def shown(self) -> Board | None:
        """What is on the screen: the present, or a moment of the past."""
        return self.past or self.board

    def show(self) -> None:
        board = self.shown
        if board is None:
            return
        base = self.screen_stack[0]
        base.query_one(Head).show(board, self.mode, self.unlocked_words)
        base.query_one(AlertLine).show(board, self.is_frozen)
        self.fleet.show(board)
        if len(board.view.rows) != self._settled_hosts:
            # Rows stay for hours: else a search for garbage among 50,000 keeps some key waiting for 60 ms
            self._settled_hosts = len(board.view.rows)
            gc.freeze()

    @property
    def unlocked_words(self) -> str:
        """For how long hosts can be changed; "" while they cannot."""
        return ""

    @property
    def is_open(self) -> bool:
        """False once the screen is being taken down: what comes in then is for nobody."""
        return self.is_running and bool(self._screen_stack) and bool(self.screen_stack[0].query(HistoryPane))

    @property
    def fleet(self) -> FleetPane:
        return self.screen_stack[0].query_one(FleetPane)

    @property
    def history(self) -> HistoryPane:
        return self.screen_stack[0].query_one(HistoryPane)

    @property
    def mode(self) -> str:
        return self.screen_stack[0].query_one(ContentSwitcher).current or MODES[0]

    @property
    def host_screen(self) -> HostScreen | None:
        """The host that is open, if one is."""
        return next((screen for screen in self.screen_stack if isinstance(screen, HostScreen)), None)

    @property
    def home(self) -> Home:
        """The place whose keys are in force."""
        return Home.HOST if self.host_screen else Home(self.mode)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A text that is typed, and a dialog, have those keys for themselves."""
        if action in _AT_ONCE and (isinstance(self.focused, Input) or self.screen.is_modal):
            return False
        return super().check_action(action, parameters)

    # Where one is

    def enter(self, mode: str) -> None:
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.query_one(ContentSwitcher).current = mode
        self.query_one(f"#{mode}").focus()
        self.show()
        self.show_way()

    def show_way(self) -> None:
        """The footer of a mode; a host's screen tells its own."""
        self.screen_stack[0].query_one(Foot).show(Home(self.mode), (self.mode,))

    def show_lock(self, state: State) -> None:
        for screen in self.screen_stack:
            for foot in screen.query(Foot):
                foot.show_state(state)

    def say(self, text: str) -> None:
        """A sentence at the bottom, for a while."""
        self._each_foot(text)
        self._unsay()

    @work(group="say", exclusive=True)
    async def _unsay(self) -> None:
        await asyncio.sleep(SAID_S)
        self._each_foot("")

    def _each_foot(self, text: str) -> None:
        for screen in self.screen_stack:
            for foot in screen.query(Foot):
                foot.say(text)

    # Colours

    def wear(self, look: Look) -> None:
        """Everything in other colours."""
        self.look = look
        theme = theme_of(look.palette, look.accent, plain=look.plain)
        self.register_theme(theme)
        self.theme = theme.name
        for screen in self.screen_stack:
            for widget in (screen, *screen.query()):
                if isinstance(widget, _DRESSED):
                    widget.dress(look)
        self.show()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def get_line_filters(self) -> Sequence[LineFilter]:
        return PLAIN_FILTERS if self.look.plain else super().get_line_filters()

    # The end

    async def on_unmount(self) -> None:
        """Nobody may ask what is known once that is closed."""
        self.workers.cancel_all()
        await self.live.asking.close()
        await asyncio.to_thread(self.live.close)

    def _fatal_error(self) -> None:
        """A bug: the terminal is given back first, then the command line tells it."""
        self.crash = traceback.format_exc()
        self._close_messages_no_wait()
