"""Real OpenSSH servers on loopback for tests, and a network before them that can fail.

A server runs as whoever runs the tests and lets only that user in. Everything lies in the directory given.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

START_S = 10.0
PLACES = ("/usr/sbin/sshd", "/usr/local/sbin/sshd", "/opt/homebrew/sbin/sshd")


def find_sshd() -> str | None:
    """Absolute path of sshd, as it must be called by; None if there is none."""
    found = shutil.which("sshd")
    return found or next((path for path in PLACES if os.access(path, os.X_OK)), None)


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A key pair, `path` and `path`.pub."""
    size = ["-b", "2048"] if kind == "rsa" else []
    keygen("-q", "-t", kind, *size, "-N", passphrase, "-C", "test", "-f", str(path))
    return path


def sign(authority: Path, key: Path, *options: str) -> Path:
    """A certificate of `authority` over `key`; returns its path."""
    keygen("-q", "-s", str(authority), "-I", "test", *options, f"{key}.pub")
    return key.with_name(f"{key.name}-cert.pub")


def keygen(*arguments: str) -> None:
    subprocess.run(["ssh-keygen", *arguments], check=True, capture_output=True)


def public(key: Path) -> str:
    """Type and base64 of a public key, without its comment."""
    return " ".join(Path(f"{key}.pub").read_text().split()[:2])


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass(slots=True)
class Sshd:
    """A running server."""

    port: int
    host_keys: tuple[Path, ...]
    log_file: Path
    address: str = "127.0.0.1"

    def known(self, key: Path | None = None, name: str | None = None) -> str:
        """A known_hosts line for one of its keys, the first unless given."""
        return f"{name or f'[{self.address}]:{self.port}'} {public(key or self.host_keys[0])}\n"

    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def connections(self) -> int:
        return self.log().count("Connection from")

    def logins(self) -> int:
        return self.log().count("Accepted publickey")

    def commands(self) -> int:
        return self.log().count("Starting session: command")


@contextlib.contextmanager
def running(
    directory: Path,
    authorized: Path,
    *,
    kinds: Sequence[str] = ("ed25519",),
    options: Sequence[str] = (),
    address: str = "127.0.0.1",
) -> Iterator[Sshd]:
    """A server with host keys of `kinds` (made if missing); `options` come before, so they win over, ours."""
    binary = find_sshd()
    assert binary is not None
    directory.mkdir(exist_ok=True)
    keys = tuple(directory / f"host_{kind}" for kind in kinds)
    for kind, key in zip(kinds, keys, strict=True):
        if not key.exists():
            make_key(key, kind)
    port = free_port(address)
    config = directory / "sshd_config"
    config.write_text("\n".join([*options, *_settings(address, port, keys, authorized)]) + "\n")
    _allow_bad_guests(binary, config)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [binary, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _wait_for(process, log)
        yield Sshd(port, keys, log, address)
    finally:
        process.terminate()
        process.wait(START_S)


def _settings(address: str, port: int, keys: Sequence[Path], authorized: Path) -> list[str]:
    return [
        f"ListenAddress {f'[{address}]' if ':' in address else address}",
        f"Port {port}",
        *(f"HostKey {key}" for key in keys),
        f"AuthorizedKeysFile {authorized}",
        f"AllowUsers {getpass.getuser()}",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "StrictModes no",
        "UsePAM no",
        "PidFile none",
        "LogLevel VERBOSE",
        "MaxStartups 300:30:400",
        "PrintMotd no",
        "UseDNS no",
        "SetEnv SHLVL=2",  # so that bash reads no start-up file of the user who runs the tests
    ]


def _allow_bad_guests(binary: str, config: Path) -> None:
    """Newer servers shut out an address that failed to log in; older ones do not know the setting."""
    plain = config.read_text()
    config.write_text(f"PerSourcePenalties no\n{plain}")
    if subprocess.run([binary, "-t", "-f", str(config)], capture_output=True, check=False).returncode != 0:
        config.write_text(plain)


def _wait_for(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while "Server listening on" not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"sshd did not start: {log.read_text(errors='replace')}")
        time.sleep(0.01)


class Relay:
    """A network between client and server that counts, cuts and falls silent when told."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.open_now = self.open_most = self.accepted = 0
        self.cut_after_bytes: int | None = None
        """Bytes from the server after which a connection is cut."""
        self._server_port = port
        self._writers: list[asyncio.StreamWriter] = []
        self._silent: set[asyncio.StreamWriter] = set()
        self._none_open = asyncio.Event()
        self._none_open.set()

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()
        await self._none_open.wait()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def fall_silent(self) -> None:
        """Carry nothing more on the connections that are open; new ones are as before."""
        self._silent = set(self._writers)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._writers += [writer, far_writer]
        self.accepted += 1
        self.open_now += 1
        self._none_open.clear()
        self.open_most = max(self.open_most, self.open_now)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pipe(reader, far_writer, None))
                group.create_task(self._pipe(far_reader, writer, self.cut_after_bytes))
        finally:
            self.open_now -= 1
            if not self.open_now:
                self._none_open.set()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit_bytes: int | None
    ) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                carried += len(data)
                if limit_bytes is not None and carried > limit_bytes:
                    self.cut()
                if writer not in self._silent:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()
