"""What the dashboard knows: the fleet file, the store, the clock, the hosts asked one by one.

The App owns the one instance. Everything that reads runs on one thread of its own, so that a key never waits
for a disk; nothing here draws. What cannot be read turns into words (`Board.trouble`), not into an exception.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from actions.engine import instant
from actions.leases import owner_name
from actions.watch import SWEEPER
from actions.windows import Open, open_at, reboot_windows
from collectors import store, tables
from collectors.errors import ConfigError
from collectors.feed_file import file_stamp, load_feed
from console.asking import Asking
from console.board import Board, Sweeping
from console.cli.reading import feed_path, read_one, read_whole
from console.cli.steps import newest_steps
from console.fleet_view import Extract
from console.history import History
from console.host_page import HostPage
from console.judge import document, extract_of, stale_words
from console.live_rows import LiveRows, never_asked
from console.order_board import OrderBoard
from console.order_reading import OrderReading
from console.past import history_of
from console.rollout_board import RolloutBoard
from console.rollout_reading import RolloutReading
from console.rows import FleetView
from console.sweeper import Sweeper, own_argv
from console.visible import clock_words, duration_words

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet
    from collectors.releases import Feed
    from console.cli.context import Console
    from console.cli.reading import Whole

T = TypeVar("T")
STEPS = 200
"""Changes read of one host."""
RETRY_S = 30.0
"""Between two tries to become the one who sweeps."""


def local_now() -> datetime:
    """Aware, in this machine's time zone: the one in which an operator reads times."""
    return datetime.now(UTC).astimezone()


class Live:
    """Raises ConfigError where the fleet file cannot be read at the start."""

    def __init__(self, console: Console, *, sweeps: bool = True, clock: Callable[[], datetime] = local_now):
        self.console = console
        self.clock = clock
        self.loaded: LoadedFleet = console.load()
        self._feed: Feed = load_feed(feed_path(self.loaded))
        self._stamp = file_stamp(self.loaded.path)
        self._extract: Extract = extract_of(
            self.loaded.fleet, self._stamp, self._feed, feed_path(self.loaded)
        )
        self.asking = Asking()
        self._rows = LiveRows(self.loaded.database_path)
        self._orders, self._rollouts = OrderReading(), RolloutReading()
        self._thread = ThreadPoolExecutor(1, "reader")
        self._view: FleetView | None = None
        self._past: Whole | None = None
        self._file_trouble: str | None = None
        self._had_database = False
        self._sweeper = Sweeper(self.loaded.path) if sweeps else None
        self._tried_at = float("-inf")

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.stop()
        self._thread.submit(self._rows.close)
        self._thread.shutdown(wait=True)

    # The fleet

    async def board(self) -> Board:
        """The fleet as it is stored now; rows that did not change are the same objects as before."""
        return await self._read(self._board)

    def _board(self) -> Board:
        self._reload()
        now, trouble = self.clock(), self._file_trouble
        sweeping = Sweeping(False, "")
        try:
            conn = self._rows.connection()
            self._had_database = True
            self._view = self._rows.read(self._extract, now)
            owner = tables.lease_owner(conn, SWEEPER, instant(now))
            sweeping = self._sweeping(owner)
        except (ConfigError, sqlite3.Error) as error:
            if self._had_database:
                trouble = self._lost(error)
            elif not isinstance(error, store.NoDatabase):
                trouble = str(error)
            sweeping = self._sweeping(None) if trouble is None else Sweeping(False, "nobody asks", True)
        view = self._view or never_asked(self._extract, now)
        view = replace(view, now=now, feed_age_s=(now - self._feed.taken_at).total_seconds())
        return Board(view, sweeping, trouble)

    def _lost(self, error: Exception) -> str:
        """The database was there and is not: nobody may silently begin another."""
        if self._sweeper is not None and not self.loaded.database_path.exists():
            self._sweeper.stop()
            self._tried_at = float("-inf")  # it goes on as soon as the database is back
        return str(error)

    def _reload(self) -> None:
        """Take a fleet file that was changed; one that is wrong is named, and the last good one stays."""
        try:
            stamp = file_stamp(self.loaded.path)
            if stamp == self._stamp:
                return
            self._stamp = stamp
            loaded = self.console.load()
            feed = load_feed(feed_path(loaded))
        except ConfigError as error:
            self._file_trouble = f"the changed fleet file is not used: {error}"
            return
        except OSError as error:
            self._stamp = ""
            self._file_trouble = f"the fleet file cannot be read: {error.strerror}; the last one is used"
            return
        if loaded.database_path != self.loaded.database_path:
            self._rows.close()
            self._rows = LiveRows(loaded.database_path)
        self.loaded, self._feed, self._file_trouble = loaded, feed, None
        self._extract = extract_of(loaded.fleet, self._stamp, feed, feed_path(loaded))

    # Who asks

    def _sweeping(self, owner: str | None) -> Sweeping:
        """Become the sweeper where nobody is; say who is. `owner` has the lease now, None: nobody."""
        sweeper, interval_s = self._sweeper, self.loaded.fleet.sweep.interval_s
        if sweeper is None:
            return Sweeping(False, f"asked by {owner}" if owner else "nobody asks")
        pid = sweeper.pid
        if owner is not None and (pid is None or owner != owner_name(pid)):
            return Sweeping(False, f"asked by {owner}")
        now_s = self.clock().timestamp()
        if pid is None and abs(now_s - self._tried_at) > RETRY_S:
            self._tried_at = now_s
            try:
                sweeper.start()
            except OSError as error:
                return Sweeping(False, f"nobody asks: {error.strerror}", True)
        if sweeper.pid is not None:
            return Sweeping(True, f"asking every {interval_s:.0f} s")
        why = f": {sweeper.last_words}" if sweeper.last_words else ""
        return Sweeping(False, f"nobody asks{why}", True)

    async def ask(self, hosts: list[str]) -> str:
        """Ask hosts now, all where none is named, whoever sweeps; a sentence on what came of it."""
        self._tried_at = float("-inf")
        argv = [*own_argv(self.loaded.path), "collect"]
        for host in hosts:
            argv += ["--host", host]
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
            )
        except OSError as error:
            return f"nobody was asked: {error.strerror}"
        said, complained = await process.communicate()
        lines = [*said.decode("utf-8", "replace").splitlines()[:1]]
        if process.returncode not in (0, 3):
            lines = [
                line.removeprefix("fleetctl: ") for line in complained.decode("utf-8", "replace").splitlines()
            ]
        return lines[-1] if lines else "asked"

    # The past

    async def at(self, when: datetime) -> Board:
        """The fleet as it was. Raises ConfigError and sqlite3.Error."""

        def read() -> Board:
            now = self.clock()
            self._past = read_whole(self.loaded, now, at=when.astimezone(UTC))
            shown = replace(self._past.view, now=when.astimezone(now.tzinfo))
            return Board(shown, Sweeping(False, ""), past=when, clock=now)

        return await self._read(read)

    def leave_past(self) -> None:
        self._past = None

    async def history(self, span_s: float | None = None) -> History:
        """What became of the fleet over so long, None: the default. Raises ConfigError and sqlite3.Error."""
        return await self._read(lambda: history_of(self.loaded.database_path, self.clock(), span_s))

    async def orders(self, chosen: str | None) -> OrderBoard:
        """What was ordered; of the chosen order every host. Raises ConfigError and sqlite3.Error."""

        def read() -> OrderBoard:
            try:
                return self._orders.read(self._rows.connection(), self.clock(), chosen)
            except store.NoDatabase:
                return OrderBoard((), self.clock())

        return await self._read(read)

    async def rollouts(self, chosen: str | None) -> RolloutBoard:
        """Rollouts; of the chosen one everything. Raises ConfigError and sqlite3.Error."""

        def read() -> RolloutBoard:
            now = self.clock()
            groups = {host.name: host.groups for host in self.loaded.fleet.hosts}
            try:
                return self._rollouts.read(self._rows.connection(), now, chosen, groups)
            except store.NoDatabase:
                return RolloutBoard((), None, now)

        return await self._read(read)

    # One host

    async def page(self, host: str) -> HostPage | None:
        """Everything known of a host; None where the fleet file names it no more."""
        return await self._read(lambda: self._page(host))

    def _page(self, host: str) -> HostPage | None:
        now = self.clock()
        try:
            whole = self._past or read_one(self.loaded, now, host, feed=self._feed)
            found = next((item for item in whole.hosts if item.host.name == host), None)
            if found is None:
                return None
            at = whole.view.now if self._past else now
            told = document(found, whole.feed, self.loaded.fleet, at, stale_words(whole.feed, at))
            steps = newest_steps(self.loaded.database_path, host, STEPS)
        except (ConfigError, sqlite3.Error, OSError):
            return None  # the head of the screen says what is wrong with the database
        return HostPage(host, told, tuple(step for step in steps if step.at <= at), at.astimezone(now.tzinfo))

    # Reboots

    def window_words(self) -> str:
        """Whether they may be issued now, and until when; "" where the fleet file has no windows."""
        windows, now = reboot_windows(self.loaded.fleet), self.clock()
        if not windows:
            return ""
        found = open_at(windows, now.astimezone(UTC))
        turns = found.until if isinstance(found, Open) else found.opens_at
        if turns is None:
            return "open" if isinstance(found, Open) else "shut, and none opens"
        word = "open, shuts" if isinstance(found, Open) else "shut, opens"
        return f"{word} in {duration_words((turns - now).total_seconds())}, {clock_words(turns, now)}"

    def ssh_argv(self, host: str) -> list[str]:
        """Raises ConfigError."""
        from console.cli.choosing import one_target
        from console.cli.own_ssh import argv_to

        return argv_to(one_target(self.loaded, host))
