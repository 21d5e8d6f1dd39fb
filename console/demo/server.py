"""The simulated hosts' SSH: a real server for each, all in one process; the only asyncssh server here.

Every host has its own address (or port) and its own host key, and lets in user `core` with one key. It runs
the probe, a few commands, and no shell. Nothing outside of this machine is listened to.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

import asyncssh

from collectors.errors import ConfigError
from console.demo import answers, commands
from console.demo.world import Access, SimulatedHost

LOGIN_USER = "core"
_NO_MARK = 65
"""The probe's own exit status where its first line does not come."""
_LONGEST_MARK = 256


@dataclass(frozen=True, slots=True)
class Key:
    """An ed25519 key pair."""

    ssh_key: asyncssh.SSHKey

    @classmethod
    def new(cls) -> Key:
        return cls(asyncssh.generate_private_key("ssh-ed25519"))

    @property
    def private_text(self) -> str:
        return self.ssh_key.export_private_key().decode("ascii")

    @property
    def public_text(self) -> str:
        """`ssh-ed25519 AAAA…`, without a comment and without a newline."""
        return " ".join(self.ssh_key.export_public_key().decode("ascii").split()[:2])


@dataclass(frozen=True, slots=True)
class ServedHost:
    """A simulated host and where it listens."""

    state: SimulatedHost
    address: str
    port: int
    key: Key


class DemoServer:
    """All hosts' SSH servers; `async with` starts and ends them.

    `states` holds each host as it is now, by name: replace an entry, and the next command sees it.
    """

    def __init__(
        self,
        hosts: Sequence[ServedHost],
        login_key: Key,
        *,
        latency_s: float = 0.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.states = {host.state.name: host.state for host in hosts}
        self.login_key = login_key
        self.latency_s = latency_s
        """How long each command takes before it answers."""
        self.clock = clock
        self._hosts = tuple(hosts)
        self._listeners: list[asyncssh.SSHAcceptor | asyncio.Server] = []
        self._open: set[asyncssh.SSHServerConnection | asyncio.Transport] = set()

    async def __aenter__(self) -> DemoServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen on every host's address.

        Raises ConfigError where an address is taken or the limit of open files is too low; then nothing
        is left listening.
        """
        allow_open_files(2 * len(self._hosts) + 256)
        options = _common_options(self.login_key)
        for host in self._hosts:
            try:
                self._listeners.append(await self._listen(host, options))
            except OSError as error:
                await self.close()
                where = f"{host.address}:{host.port}"
                raise ConfigError("demo", where, f"cannot listen there: {error.strerror or error}") from error

    async def _listen(
        self, host: ServedHost, options: asyncssh.SSHServerConnectionOptions
    ) -> asyncssh.SSHAcceptor | asyncio.Server:
        if host.state.access is Access.SILENT:
            loop = asyncio.get_running_loop()
            return await loop.create_server(lambda: _Silent(self._open), host.address, host.port)
        return await asyncssh.listen(
            host.address,
            host.port,
            options=options,
            server_host_keys=[host.key.ssh_key],
            server_factory=lambda: _Login(self, host.state.name),
        )

    async def close(self) -> None:
        """End every listener and every connection."""
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._open):
            connection.abort()
        for listener in self._listeners:
            await listener.wait_closed()
        self._listeners.clear()

    # -- what connections tell ------------------------------------------------------------------

    def came(self, connection: asyncssh.SSHServerConnection) -> None:
        self._open.add(connection)

    def went(self, connection: asyncssh.SSHServerConnection) -> None:
        self._open.discard(connection)


def _common_options(placeholder: Key) -> asyncssh.SSHServerConnectionOptions:
    """What all hosts share. No configuration file is read and nothing but commands is offered.

    asyncssh refuses options without a host key; each listener puts its own in the placeholder's place.
    """
    return asyncssh.SSHServerConnectionOptions(
        server_host_keys=[placeholder.ssh_key],
        config=[],
        encoding=None,
        compression_algs=None,
        gss_host=None,
        x509_trusted_certs=None,
        allow_scp=False,
        agent_forwarding=False,
        x11_forwarding=False,
        line_editor=False,
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
    )


def allow_open_files(needed: int) -> None:
    """Raise the soft limit of open files to `needed`; ConfigError where the hard one forbids it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        text = f"these hosts need {needed} open files and the limit is {hard}; ask for fewer hosts"
        raise ConfigError("demo", "--hosts", text)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class _Silent(asyncio.Protocol):
    """Takes a connection and never says a word."""

    def __init__(self, connections: set[asyncssh.SSHServerConnection | asyncio.Transport]) -> None:
        self._connections = connections
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.discard(self._transport)


class _Login(asyncssh.SSHServer):
    """One connection to one host: who is let in."""

    def __init__(self, server: DemoServer, name: str) -> None:
        self._server = server
        self._name = name
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.came(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._server.went(self._connection)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        is_open = self._server.states[self._name].access is Access.OPEN
        known = self._server.login_key.ssh_key.public_data
        return is_open and username == LOGIN_USER and key.public_data == known

    def session_requested(self) -> asyncssh.SSHServerSession[bytes]:
        return _Session(self._server, self._name)


class _Session(asyncssh.SSHServerSession[bytes]):
    """One command on one host."""

    def __init__(self, server: DemoServer, name: str) -> None:
        self._server = server
        self._name = name
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._command: str | None = None
        self._units: tuple[str, ...] | None = None
        """Of a probe that still waits for its mark."""
        self._input = b""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        self._units = commands.probe_units(command)
        return True

    def session_started(self) -> None:
        if self._units is not None:
            return
        host = self._server.states[self._name]
        out, err, status = (
            (commands.motd(host), "", 0) if self._command is None else commands.reply(host, self._command)
        )
        self._answer(out.encode(), status, err.encode())

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._units is None:
            return
        self._input += data
        line, newline, _ = self._input.partition(b"\n")
        if newline:
            units, self._units = self._units, None
            host = self._server.states[self._name]
            mark = line.decode("ascii", "replace")
            self._answer(answers.answer(host, mark, self._server.clock(), units=units), 0)
        elif len(self._input) > _LONGEST_MARK:
            self._without_mark()

    def eof_received(self) -> bool:
        if self._units is not None:
            self._without_mark()
        return True

    def _without_mark(self) -> None:
        self._units = None
        self._answer(b"", _NO_MARK)

    def _answer(self, out: bytes, status: int, err: bytes = b"") -> None:
        if self._server.latency_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self._server.latency_s, self._finish, out, status, err)
        else:
            self._finish(out, status, err)

    def _finish(self, out: bytes, status: int, err: bytes) -> None:
        channel = self._channel
        if channel is None or channel.is_closing():
            return
        channel.write(out)
        if err:
            channel.write_stderr(err)
        channel.exit(status)
