"""One SSH connection: which keys may be offered, which host key is taken, how the host is dialled.

A host key is taken only if it is on file; otherwise nothing is sent and no login is tried. Never used:
configuration files, agent or X11 forwarding, a terminal, environment, passwords, GSSAPI, X.509, compression.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import os
import signal
import socket
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass

import asyncssh
from asyncssh.encryption import get_default_encryption_algs

from collectors.errors import Reach
from collectors.known_hosts import HostKey, OnFile
from collectors.ssh_errors import (
    LIBRARY_FAULTS,
    failed,
    host_key_refused,
    login_failed,
    network_failed,
    place,
    tunnel_failed,
)
from collectors.ssh_keys import Offer
from collectors.transport import Target

KEEPALIVE_S, KEEPALIVES = 5, 3
PROXY_END_S = 2.0
BANNER_CHARS = 4096

_FAST_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
"""On hardware with AES they cost a quarter less than the library's first choice."""

_HOST_KEY_ALGS = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Key type to its signature algorithms, in the order in which a host is asked. SHA-1 is left out."""


class Witness(asyncssh.SSHClient):
    """Judges one host's key, offers ours, and remembers what the host showed."""

    def __init__(self, offer: Offer, on_file: OnFile) -> None:
        self.offered: HostKey | None = None
        self.authority: HostKey | None = None
        self.said = ""
        self._offer: Offer | None = offer
        self._on_file = on_file
        self._agent: asyncssh.SSHAgentClient | None = None
        self._tried: list[str] = []

    def revoked_only(
        self, _host: str, _address: str, _port: int | None
    ) -> tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]]:
        """The library's known_hosts: it trusts nothing by itself, so it asks us about each key."""
        revoked = []
        for key in self._on_file.revoked:
            with suppress(asyncssh.KeyImportError):
                revoked.append(asyncssh.import_public_key(key.line))
        return [], [], revoked

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered, self.authority = HostKey(key.get_algorithm(), key.public_data), None
        return self.believes(self._on_file)

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        self.offered, self.authority = None, HostKey(key.get_algorithm(), key.public_data)
        return self.believes(self._on_file)

    def believes(self, on_file: OnFile) -> bool:
        """True if what the host showed is on file, and not as revoked."""
        trusted = on_file.authorities if self.authority else on_file.keys
        shown = self.authority or self.offered
        return shown in trusted and shown not in on_file.revoked

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self.said = (self.said + msg[:BANNER_CHARS])[:BANNER_CHARS]

    async def public_key_auth_requested(self) -> list[asyncssh.SSHKeyPair] | None:
        """All key pairs at the first call, fresh ones: the library changes them while it tries."""
        offer, self._offer = self._offer, None
        if offer is None:
            return None
        pairs = list(asyncssh.load_keypairs(offer.keys, certlist=offer.certificates))
        self._tried = [found.path for found in offer.identities if found.key is not None]
        if offer.agent is not None:
            pairs += await self._agent_pairs(offer, {pair.key_public_data for pair in pairs})
        if offer.problems:
            self._tried.append(f"not tried: {offer.problems}")
        return pairs

    async def _agent_pairs(self, offer: Offer, done: set[bytes]) -> list[asyncssh.SSHKeyPair]:
        """The agent's keys without `done`: those named as identities first, a certificate before its key."""
        self._agent = asyncssh.SSHAgentClient(offer.agent or "")
        try:
            held = await self._agent.get_keys()
        except ValueError:
            self._tried.append(f"the agent at {offer.agent} does not answer")
            return []
        named = [found.public for found in offer.identities if found.public is not None]
        fresh = [pair for pair in held if pair.key_public_data not in done]
        fresh.sort(key=lambda pair: pair.key_public_data not in named)
        self._tried.append(f"{len(fresh)} keys of the agent" if fresh else "the agent holds no other key")
        pairs: list[asyncssh.SSHKeyPair] = []
        for pair in fresh:
            for certificate in offer.certificates:
                if certificate.key.public_data == pair.key_public_data:
                    certified = copy.copy(pair)
                    certified.set_certificate(certificate)
                    pairs.append(certified)
            pairs.append(pair)
        return pairs

    @property
    def tried(self) -> str:
        """Which keys were offered, and which could not be."""
        return f"tried {'; '.join(self._tried)}" if self._tried else "no key was asked for"

    def auth_completed(self) -> None:
        self._close_agent()

    def connection_lost(self, exc: Exception | None) -> None:
        self._close_agent()

    def _close_agent(self) -> None:
        if self._agent is not None:
            self._agent.close()
            self._agent = None


@dataclass(slots=True, eq=False)
class Link:
    """An open connection, what its host showed, and the proxy command that carries it."""

    conn: asyncssh.SSHClientConnection
    witness: Witness
    proxy: asyncio.subprocess.Process | None

    def is_good(self, on_file: OnFile) -> bool:
        """True while it is open and its host key still on file."""
        return not self.conn.is_closed() and self.witness.believes(on_file)

    async def close(self) -> None:
        self.conn.close()
        await self.conn.wait_closed()
        if self.proxy is not None:
            await _end_proxy(self.proxy)


async def log_in(
    target: Target,
    offer: Offer,
    on_file: OnFile,
    *,
    tunnel: asyncssh.SSHClientConnection | None,
    resolver: Executor,
) -> Link:
    """Connect and log in within the target's `connect_timeout_s`; raises ConnectFailed.

    `tunnel`: the open connection to the target's jump host. `resolver`: threads for name look-ups.
    """
    witness = Witness(offer, on_file)
    sock: socket.socket | None = None
    proxy: asyncio.subprocess.Process | None = None
    try:
        async with asyncio.timeout(target.connect_timeout_s):
            if target.proxy_command:
                sock, proxy = await _start_proxy(target)
            elif tunnel is None:
                sock = await _dial(target, resolver)
            conn = await _connect(target, witness, on_file, sock, tunnel)
            return Link(conn, witness, proxy)
    except BaseException as error:
        if sock is not None:
            sock.close()
        if proxy is not None:
            await _end_proxy(proxy)
        if not isinstance(error, TimeoutError):
            raise
    stage = "no answer from {}" if sock is None else "{} takes connections, but the login was not done"
    words = stage.format(place(target))
    raise failed(target, f"{words} within {target.connect_timeout_s:g} s", Reach.TIMEOUT)


async def _connect(
    target: Target,
    witness: Witness,
    on_file: OnFile,
    sock: socket.socket | None,
    tunnel: asyncssh.SSHClientConnection | None,
) -> asyncssh.SSHClientConnection:
    try:
        return await asyncssh.connect(
            target.address,
            target.port,
            sock=sock,
            tunnel=tunnel,
            config=[],
            options=_options(),
            client_factory=lambda: witness,
            username=target.user,
            known_hosts=witness.revoked_only,
            host_key_alias=on_file.principal,
            server_host_key_algs=_host_key_algs(
                tuple(key.kind for key in on_file.keys), bool(on_file.authorities)
            ),
        )
    except asyncssh.ChannelOpenError as error:
        raise tunnel_failed(target, error) from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise host_key_refused(target, error, witness.offered, witness.authority, on_file) from error
    except LIBRARY_FAULTS as error:
        raise login_failed(target, error, witness.said, witness.tried) from error


@functools.cache
def _options() -> asyncssh.SSHClientConnectionOptions:
    """What is the same for all connections. Keys come from the Witness, so none are named here."""
    ciphers = [name.decode("ascii") for name in get_default_encryption_algs()]
    fast = [name for name in _FAST_CIPHERS if name in ciphers]
    return asyncssh.SSHClientConnectionOptions(
        config=[],
        client_keys=None,
        agent_path=None,
        agent_forwarding=False,
        x11_forwarding=False,
        request_pty=False,
        env={},
        send_env=[],
        encryption_algs=[*fast, *(name for name in ciphers if name not in fast)],
        compression_algs=None,
        preferred_auth=["publickey"],
        password_auth=False,
        kbdint_auth=False,
        host_based_auth=False,
        gss_host=None,
        gss_kex=False,
        gss_auth=False,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=[],
        utf8_decode_errors="replace",
        keepalive_interval=KEEPALIVE_S,
        keepalive_count_max=KEEPALIVES,
    )


@functools.cache
def _host_key_algs(kinds: tuple[str, ...], has_authority: bool) -> list[str]:
    """The types on file first, so that a host with several keys shows the one that we know."""
    order = sorted(_HOST_KEY_ALGS, key=lambda kind: kind not in kinds)
    plain = [algorithm for kind in order for algorithm in _HOST_KEY_ALGS[kind]]
    certified = [f"{algorithm}-cert-v01@openssh.com" for algorithm in plain] if has_authority else []
    return [*certified, *plain]


async def _dial(target: Target, resolver: Executor) -> socket.socket:
    """A connected socket to the first address that answers; several get an equal share of the time."""
    loop = asyncio.get_running_loop()
    try:
        addresses = await _resolve(target, resolver)
        share_s = target.connect_timeout_s / len(addresses) if len(addresses) > 1 else None
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in addresses:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                async with asyncio.timeout(share_s):
                    await loop.sock_connect(sock, address)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
        raise failure
    except (OSError, UnicodeError) as error:
        raise network_failed(target, error) from error


async def _resolve(
    target: Target, resolver: Executor
) -> Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, tuple[object, ...]]]:
    find = functools.partial(socket.getaddrinfo, target.address, target.port, type=socket.SOCK_STREAM)
    with suppress(socket.gaierror):
        return find(flags=socket.AI_NUMERICHOST)
    return await asyncio.get_running_loop().run_in_executor(resolver, find)


async def _start_proxy(target: Target) -> tuple[socket.socket, asyncio.subprocess.Process]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    try:
        proxy = await asyncio.create_subprocess_exec(
            *target.proxy_command,
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        ours.close()
        words = f"proxy command {target.proxy_command[0]} does not start: {error}"
        raise failed(target, words, Reach.UNREACHABLE) from error
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    return ours, proxy


async def _end_proxy(proxy: asyncio.subprocess.Process) -> None:
    """Its end of the connection is closed already; ask it to go, then make it."""
    try:
        _signal_group(proxy, signal.SIGTERM)
        async with asyncio.timeout(PROXY_END_S):
            await proxy.wait()
    except TimeoutError:
        pass
    finally:
        _signal_group(proxy, signal.SIGKILL)
    await proxy.wait()


def _signal_group(proxy: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if proxy.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(proxy.pid, number)
