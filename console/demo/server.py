"""The simulated hosts' SSH: a real server for each, all in one process.

Every host has its own address (or port) and its own host key, and lets in user `core` with one key. It runs
the probe and the commands of a live host, hands out its files, and has no shell. A host that is down is not
listened for, and its connections are cut. Nothing outside of this machine is listened to.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType

import asyncssh

from collectors.errors import ConfigError
from console.demo.fleet_life import NOLOGIN, FleetLife, States, standing_still
from console.demo.live.kinds import Power
from console.demo.session import Session
from console.demo.world import Access, SimulatedHost

LOGIN_USER = "core"
_LISTEN_AGAIN_S = 0.1


class HostsStopped(Exception):
    """What lets the hosts live and answer ended by a mistake of its own; the cause says which."""


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
        self._mistake: BaseException | None = None
        """Of a task that was to run on."""
        self._is_mistaken = asyncio.Event()

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
        for task in self._tasks:
            task.add_done_callback(self.heed)

    def heed(self, task: asyncio.Task[None]) -> None:
        """A task of the server's own, or of a session, has ended: a mistake in it is remembered."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self.stop(error)

    def stop(self, error: BaseException) -> None:
        """Let `until_mistaken` end, and `close` complain; the first mistake counts."""
        self._mistake = self._mistake or error
        self._is_mistaken.set()

    async def until_mistaken(self) -> None:
        """Wait until the hosts do not live any more, by a mistake; `close` raises it as HostsStopped."""
        await self._is_mistaken.wait()

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
        """End every listener and every connection. Raises HostsStopped where a task had made a mistake."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for listener in self._listeners.values():
            listener.close()
        for connection in tuple(self.open):
            connection.abort()
        for listener in self._listeners.values():
            await listener.wait_closed()
        self._listeners.clear()
        if self._mistake is not None:
            what = f"{type(self._mistake).__name__}: {self._mistake}"
            raise HostsStopped(f"the simulated hosts stopped: {what}") from self._mistake


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
        server = self._server
        return Session(server.life, self._name, latency_s=server.latency_s, ended=server.heed)
