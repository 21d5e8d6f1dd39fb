"""The simulated hosts' SSH: a real server for each, all in one process; the only asyncssh server here.

Every host has its own address (or port) and its own host key, and lets in user `core` with one key. It runs
the probe and the commands of a live host, and no shell. A host that is down is not listened for, and its
connections are cut. Nothing outside of this machine is listened to.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import asyncssh

from collectors.errors import ConfigError
from console.demo import commands
from console.demo.faults import SLOW_S, Wire
from console.demo.fleet_life import NOLOGIN, FleetLife, HostDown, States, standing_still
from console.demo.live.kinds import Power
from console.demo.world import Access, SimulatedHost

LOGIN_USER = "core"
_NO_MARK = 65
"""The probe's own exit status where its first line does not come."""
_LONGEST_MARK = 256
_LONGEST_INPUT = 64 * 1024 * 1024
_LISTEN_AGAIN_S = 0.1
_BEFORE_CUT_S = 0.05
_SLOW_STEPS = 20


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
    """All hosts' SSH servers; `async with` starts and ends them, and their life with them.

    `states` holds each host as it is now, by name: replace an entry, and the next command sees it.
    """

    def __init__(
        self,
        hosts: Sequence[ServedHost],
        login_key: Key,
        *,
        life: FleetLife | None = None,
        latency_s: float = 0.0,
    ) -> None:
        self.life = life or standing_still(host.state for host in hosts)
        self.states = States(self.life)
        self.login_key = login_key
        self.latency_s = latency_s
        """How long each command takes before it answers."""
        self.open: dict[asyncssh.SSHServerConnection | asyncio.Transport, str] = {}
        """Every connection, and the host to which it is."""
        self._hosts = {host.state.name: host for host in hosts}
        self._options: asyncssh.SSHServerConnectionOptions | None = None
        self._listeners: dict[str, asyncssh.SSHAcceptor | asyncio.Server] = {}
        self._keys = {name: (0, host.key) for name, host in self._hosts.items()}
        """Generation of a host's key, and the key."""
        self._turned: asyncio.Queue[str] = asyncio.Queue()
        """Hosts whose power or key is another than before."""
        self._tasks: list[asyncio.Task[None]] = []

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
        self._options = _common_options(self.login_key)
        for name, host in self._hosts.items():
            try:
                self._listeners[name] = await self._listen(name)
            except OSError as error:
                await self.close()
                where = f"{host.address}:{host.port}"
                raise ConfigError("demo", where, f"cannot listen there: {error.strerror or error}") from error
        self.life.on_power = lambda name, power: self._turned.put_nowait(name)
        self._tasks = [asyncio.create_task(self.life.live()), asyncio.create_task(self._follow())]

    async def _listen(self, name: str) -> asyncssh.SSHAcceptor | asyncio.Server:
        host = self._hosts[name]
        if host.state.access is Access.SILENT:
            loop = asyncio.get_running_loop()
            return await loop.create_server(lambda: _Silent(self.open, name), host.address, host.port)
        return await asyncssh.listen(
            host.address,
            host.port,
            options=self._options,
            server_host_keys=[self._key(name).ssh_key],
            server_factory=lambda: _Login(self, name),
        )

    def _key(self, name: str) -> Key:
        """The host's key as it is now; a new generation has a new one."""
        generation, key = self.life.hosts[name].key_generation, self._keys[name]
        if key[0] != generation:
            self._keys[name] = key = (generation, Key.new())
        return key[1]

    async def _follow(self) -> None:
        """Listen where a host came up, stop where one went down, one after another."""
        while True:
            name = await self._turned.get()
            listener = self._listeners.get(name)
            is_up = self.life.hosts[name].power in (Power.ON, Power.SHUTTING_DOWN)
            has_right_key = self._keys[name][0] == self.life.hosts[name].key_generation
            if listener is not None and not (is_up and has_right_key):
                listener.close()
                del self._listeners[name]
                self._cut(name)
                await listener.wait_closed()
            if is_up and name not in self._listeners:
                try:
                    self._listeners[name] = await self._listen(name)
                except OSError:  # somebody has the port for the moment
                    asyncio.get_running_loop().call_later(_LISTEN_AGAIN_S, self._turned.put_nowait, name)

    def _cut(self, name: str) -> None:
        for connection in [item for item, host in self.open.items() if host == name]:
            connection.abort()

    async def close(self) -> None:
        """End every listener and every connection."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        for listener in self._listeners.values():
            listener.close()
        for connection in tuple(self.open):
            connection.abort()
        for listener in self._listeners.values():
            await listener.wait_closed()
        self._listeners.clear()


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

    def __init__(
        self, connections: dict[asyncssh.SSHServerConnection | asyncio.Transport, str], name: str
    ) -> None:
        self._connections = connections
        self._name = name
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections[transport] = self._name

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.pop(self._transport, None)


class _Login(asyncssh.SSHServer):
    """One connection to one host: who is let in."""

    def __init__(self, server: DemoServer, name: str) -> None:
        self._server = server
        self._name = name
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.open[conn] = self._name

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._server.open.pop(self._connection, None)

    def begin_auth(self, username: str) -> bool:
        if self._connection is not None and not self._server.life.host(self._name).accepts_logins:
            self._connection.send_auth_banner(f"{NOLOGIN}\r\n")
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        host = self._server.life.host(self._name)
        is_open = host.state.access is Access.OPEN and host.accepts_logins
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
        """What the probe is asked about; None: another command."""
        self._needs_input = False
        """A probe that still waits for its mark, a program that waits for the end of its input."""
        self._input = b""
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def connection_lost(self, exc: Exception | None) -> None:
        if self._work is not None:
            self._work.cancel()  # only its waiting: what runs on the host runs on

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        self._units = commands.probe_units(command)
        self._needs_input = self._units is not None or commands.reads_stdin(command)
        return True

    def session_started(self) -> None:
        if not self._needs_input:
            self._begin()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if not self._needs_input:
            return
        self._input += data
        if self._units is None:
            self._needs_input = len(self._input) <= _LONGEST_INPUT
        elif b"\n" in data:
            self._begin()
        elif len(self._input) > _LONGEST_MARK:
            self._without_mark()

    def eof_received(self) -> bool:
        if self._needs_input and self._units is not None:
            self._without_mark()
        elif self._needs_input:
            self._begin()
        return True

    def _without_mark(self) -> None:
        self._needs_input = False
        self._end(b"", b"", _NO_MARK)

    def _begin(self) -> None:
        self._needs_input = False
        wires = self._server.life.wires(self._name)
        if self._units is not None and not wires and not self._server.latency_s:
            self._end(self._probed(self._units), b"", 0)
        elif Wire.HANG not in wires:
            self._work = asyncio.get_running_loop().create_task(self._run(wires))

    def _probed(self, units: tuple[str, ...]) -> bytes:
        mark = self._input.partition(b"\n")[0].decode("ascii", "replace")
        return self._server.life.probe(self._name, mark, units)

    async def _run(self, wires: frozenset[Wire]) -> None:
        """Do what was asked, and answer as faults of the wire let it."""
        await asyncio.sleep(self._server.latency_s)
        life, kept = self._server.life, [b"", b""]
        is_kept = bool(wires & {Wire.DROP, Wire.SLOW, Wire.TRUNCATED})

        def said(out: bytes, err: bytes) -> None:
            if is_kept:
                kept[0] += out
                kept[1] += err
            else:
                self._write(out, err)

        status = 0
        if self._units is not None:
            said(self._probed(self._units), b"")
        elif self._command is None:
            said(commands.motd(life.host(self._name).state).encode(), b"")
        else:
            try:
                status = await life.execute(self._name, self._command, self._input, said)
            except HostDown:
                if self._channel is not None and life.power(self._name) is Power.ON:
                    self._channel.exit_with_signal("KILL")
                return
        await self._deliver(kept[0], kept[1], status, wires)

    async def _deliver(self, out: bytes, err: bytes, status: int, wires: frozenset[Wire]) -> None:
        channel, cut = self._channel, len(out) // 2
        if Wire.DROP in wires and channel is not None:
            self._write(out[:cut])
            await asyncio.sleep(_BEFORE_CUT_S)  # so that what was written is on its way
            channel.get_connection().abort()
        if Wire.TRUNCATED in wires and self._units is None:
            out = out[:cut]
        if Wire.SLOW in wires:
            size = len(out) // _SLOW_STEPS + 1
            for start in range(0, len(out), size):
                await asyncio.sleep(SLOW_S / _SLOW_STEPS)
                self._write(out[start : start + size])
            out = b""
        self._end(out, err, status)

    def _write(self, out: bytes, err: bytes = b"") -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(out)
            if err:
                self._channel.write_stderr(err)

    def _end(self, out: bytes, err: bytes, status: int) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._write(out, err)
            self._channel.exit(status)
