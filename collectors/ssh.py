"""The real transport: commands over SSH, many hosts at once, connections kept where asked.

With its helpers `ssh_login`, `ssh_keys`, `ssh_errors` the only client of asyncssh. Runs on one target follow
one another; at most `connections` runs are at work, and `JUMP_PLACES` through one jump host. Waiting for
a turn is not part of `timeout_s`. A command is sent once: a kept connection that proves dead before the
command was sent is replaced, afterwards the outcome is unknown. A cancelled run cancels nothing on the host.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import NoReturn, Self
from weakref import WeakValueDictionary

import asyncssh

from collectors.errors import ConnectFailed, HostError, OutcomeUnknown, Reach
from collectors.known_hosts import KnownHosts, OnFile
from collectors.ssh_errors import LIBRARY_FAULTS, cleaned, failed, is_going_down, place
from collectors.ssh_keys import Keyring
from collectors.ssh_login import KEEPALIVE_S, Link, log_in
from collectors.transport import Completed, Target

IDLE_KEEPALIVE_S = 30
"""Between runs: 5,000 idle connections then cost 170 messages a second instead of 1,000."""
JUMP_PLACES = 64
"""Channels through one jump host: its sshd has a file for each, of 1024 by default."""
JUMP_FAILURE_S = 5.0
"""How long a failed jump host is taken as failed, so that hosts behind it do not wait one after another."""
WINDOW_BYTES = 128 * 1024
"""What a host may send ahead of our reading; bounds the memory that one host can fill."""
STDERR_BYTES = 1 << 20
RESERVED_FILES = 64
ENOUGH_FILES = 65536
"""Programs that we start inherit the limit, and some close every number below it."""
MACOS_OPEN_MAX = 10240
RESOLVER_THREADS = 32


class _Session(asyncssh.SSHClientSession[bytes]):
    """One command: sends its input, collects its output up to a limit, drops its error output."""

    def __init__(self, stdin: bytes, limit_bytes: int) -> None:
        self.is_sent = False
        """True from the moment in which the request may be on its way to the host."""
        self.is_flooded = False
        self.lost: Exception | None = None
        self.ended = asyncio.Event()
        self.opening: asyncio.Timeout | None = None
        self._stdin = stdin
        self._limit_bytes = limit_bytes
        self._output = bytearray()
        self._stderr_bytes = 0
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan
        self.is_sent = True
        if self.opening is not None:
            self.opening.reschedule(None)

    def session_started(self) -> None:
        if self._channel is not None:
            with suppress(BrokenPipeError):  # a short command may have ended by now
                self._channel.write(self._stdin)
                self._channel.write_eof()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self.is_flooded:
            return
        if datatype is not None:
            self._stderr_bytes += len(data)
            self.is_flooded = self._stderr_bytes > STDERR_BYTES
        else:
            room_bytes = self._limit_bytes - len(self._output)
            self._output += data[:room_bytes]
            self.is_flooded = len(data) > room_bytes
        if self.is_flooded:
            self.ended.set()
            if self._channel is not None:
                self._channel.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = exc
        self.ended.set()

    @property
    def output(self) -> bytes:
        return bytes(self._output)

    @property
    def exit_status(self) -> int | None:
        return self._channel.get_exit_status() if self._channel is not None else None


class _Room:
    """Connections that share a limit. The idle ones wait here; the one idle longest gives way."""

    def __init__(self, places: int, turns: AbstractAsyncContextManager[object]) -> None:
        self.turns = turns
        self.idle: dict[Target, Link] = {}
        self._places = places
        self._busy = 0

    async def enter(self, target: Target) -> None:
        """Take a place for one run: that of the target's own idle connection, if it has one."""
        self._busy += 1
        while self._busy + len(self.idle) - (target in self.idle) > self._places:
            oldest = next((host for host in self.idle if host != target), None)
            if oldest is None:
                break
            await self.idle.pop(oldest).close()

    def leave(self) -> None:
        self._busy -= 1

    async def close(self) -> None:
        while self.idle:
            await self.idle.popitem()[1].close()


@dataclass(slots=True, eq=False)
class _Jump:
    """A jump host: its one connection, and the room for what goes through it."""

    room: _Room
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    link: Link | None = None
    failure: str = ""
    failed_at: float = float("-inf")


class SshTransport:
    """Implements `collectors.transport.Transport`; also an async context manager that closes itself.

    `keep`: connections stay open between runs, for processes that live long. `connections`: runs at work
    at the same time; lowered where the system allows fewer open files (their limit is raised first).
    """

    def __init__(self, *, keep: bool, connections: int = 256) -> None:
        files = _raise_file_limit() - RESERVED_FILES
        at_work = max(1, min(connections, files // 2))  # an agent or a proxy takes a second file
        self._keep = keep
        self._turns = asyncio.Semaphore(at_work)
        self._direct = _Room(max(1, files - at_work), nullcontext())
        self._jumps: dict[Target, _Jump] = {}
        self._in_order: WeakValueDictionary[Target, asyncio.Lock] = WeakValueDictionary()
        self._known_hosts: dict[tuple[str, ...], KnownHosts] = {}
        self._keyring = Keyring()
        self._resolver = ThreadPoolExecutor(RESOLVER_THREADS, thread_name_prefix="resolve")
        asyncssh.set_log_level(logging.CRITICAL + 1)  # its log repeats what hosts say

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every kept connection. Runs through a jump host must have ended."""
        self._keep = False
        for jump in self._jumps.values():
            await jump.room.close()
        await self._direct.close()
        for jump in self._jumps.values():
            if jump.link is not None:
                await jump.link.close()
                jump.link = None
        self._resolver.shutdown(wait=False)

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        """Run `command` on the target; see `Transport.run` for the three outcomes."""
        room = self._room(target.jump)
        in_order = self._in_order.setdefault(target, asyncio.Lock())
        async with in_order, room.turns, self._turns:
            session = _Session(stdin, limit_bytes)
            try:
                await room.enter(target)
                async with asyncio.timeout(timeout_s):
                    return await self._exchange(target, room, command, session)
            except TimeoutError:
                what = "no end of the command" if session.is_sent else "not reached"
                _give_up(target, session, f"{what} within {timeout_s:g} s", Reach.TIMEOUT)
            finally:
                room.leave()

    async def _exchange(self, target: Target, room: _Room, command: str, session: _Session) -> Completed:
        on_file = await self._on_file(target)
        link = room.idle.pop(target, None)
        if link is not None and not link.is_good(on_file):
            await link.close()
            link = None
        if link is not None:
            link.conn.set_keepalive(KEEPALIVE_S)
            opening_s = target.connect_timeout_s
            with suppress(ConnectFailed):
                return await self._ask(target, room, link, command, session, opening_s=opening_s)
            if session.is_sent:
                raise failed(target, f"{place(target)} refuses to run commands", Reach.UNREACHABLE)
        link = await self._open(target, on_file)
        return await self._ask(target, room, link, command, session, opening_s=None)

    async def _ask(
        self,
        target: Target,
        room: _Room,
        link: Link,
        command: str,
        session: _Session,
        *,
        opening_s: float | None,
    ) -> Completed:
        """One command on an open connection, which is kept only if all went well.

        `opening_s` bounds the wait for a session: a connection that was kept may be dead without a sign.
        """
        is_well = False
        started = time.monotonic()
        try:
            async with asyncio.timeout(opening_s) as session.opening:
                await link.conn.create_session(
                    lambda: session, command, encoding=None, request_pty=False, window=WINDOW_BYTES
                )
            await session.ended.wait()
            status = _ended(target, session)
            is_well = True
            return Completed(session.output, status, time.monotonic() - started)
        except asyncssh.ChannelOpenError as error:
            if session.is_sent and session.ended.is_set():
                _give_up(target, session, "the connection was cut", Reach.UNREACHABLE)
            what = "to run commands" if session.is_sent else f"a session: {cleaned(error.reason, 80)}"
            raise failed(target, f"{place(target)} refuses {what}", Reach.UNREACHABLE) from error
        except TimeoutError:
            _give_up(target, session, "no answer to the request for a session", Reach.TIMEOUT)
        except LIBRARY_FAULTS as error:
            _give_up(target, session, f"the connection was cut: {error}", Reach.UNREACHABLE)
        finally:
            if is_well and self._keep:
                link.conn.set_keepalive(IDLE_KEEPALIVE_S)
                room.idle[target] = link
            else:
                await link.close()

    async def _open(self, target: Target, on_file: OnFile) -> Link:
        offer = await self._keyring.offer(target)
        tunnel = None if target.jump is None else await self._way_through(target, target.jump)
        return await log_in(target, offer, on_file, tunnel=tunnel, resolver=self._resolver)

    async def _way_through(self, target: Target, host: Target) -> asyncssh.SSHClientConnection:
        """The connection to a jump host, opened by the first that needs it. Its failure is the target's."""
        jump, on_file = self._jump(host), await self._on_file(host)
        async with jump.opening:
            if jump.link is not None and not jump.link.is_good(on_file):
                await jump.link.close()
                jump.link = None
            if jump.link is None:
                if time.monotonic() - jump.failed_at < JUMP_FAILURE_S:
                    raise failed(target, f"jump host {host.name}: {jump.failure}", Reach.UNREACHABLE)
                try:
                    jump.link = await self._open(host, on_file)
                except ConnectFailed as error:
                    jump.failure, jump.failed_at = error.message, time.monotonic()
                    words = f"jump host {host.name}: {error.message}"
                    raise failed(target, words, Reach.UNREACHABLE) from error
            return jump.link.conn

    async def _on_file(self, target: Target) -> OnFile:
        files = self._known_hosts.get(target.known_hosts)
        if files is None:
            files = self._known_hosts[target.known_hosts] = KnownHosts(target.known_hosts)
        if target.host_key_alias is not None:
            names, port = [target.host_key_alias], None
        else:
            names, port = list(dict.fromkeys((target.address, target.name))), target.port
        try:
            if files.is_quick(names, port):
                return files.lookup(names, port)
            return await asyncio.to_thread(files.lookup, names, port)
        except OSError as error:
            words = f"{error.filename} cannot be read: {error.strerror}"
            raise failed(target, words, Reach.HOST_KEY_UNKNOWN) from error

    def _jump(self, host: Target) -> _Jump:
        if host not in self._jumps:
            self._jumps[host] = _Jump(_Room(JUMP_PLACES, asyncio.Semaphore(JUMP_PLACES)))
        return self._jumps[host]

    def _room(self, jump: Target | None) -> _Room:
        return self._direct if jump is None else self._jump(jump).room


def _ended(target: Target, session: _Session) -> int:
    """The exit status of a command that ended in order; raises OutcomeUnknown otherwise."""
    status = session.exit_status
    if session.is_flooded:
        _give_up(target, session, "more output than the limit allows", Reach.PROBE_INCOMPLETE)
    if session.lost is not None:
        _give_up(target, session, f"the connection was cut: {session.lost}", Reach.UNREACHABLE)
    if status is None:
        _give_up(target, session, "the host closed the session without an exit status", Reach.UNREACHABLE)
    return status


def _give_up(target: Target, session: _Session, reason: str, reach: Reach) -> NoReturn:
    """Nothing more can be learned: not sent, or sent and the outcome unknown."""
    if is_going_down(reason):
        reach = Reach.REBOOTING
    error: HostError
    if session.is_sent:
        error = OutcomeUnknown(target.name, cleaned(f"{place(target)}: {reason}"), reach, session.output)
    else:
        error = failed(target, f"{place(target)}: {reason}", reach)
    raise error


def _raise_file_limit() -> int:
    """Raise the limit of open files as far as is useful and allowed; returns how many may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ENOUGH_FILES
    most = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    for wanted in (most, MACOS_OPEN_MAX):
        if soft < wanted <= most:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return wanted
    return soft
