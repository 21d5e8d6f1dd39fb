"""Asks hosts which key they have, and logs in nowhere.

Each host is met with a list of trusted keys that no host can have, so the connection ends as soon as it has
shown its own: nothing is authenticated, nothing is sent. Jump hosts are logged in to as always, and must be
trusted before. Types of keys on file are asked for first, as a login would. That the host holds the private
key is not proved here: the next login proves it.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from collectors.errors import ConfigError, ConnectFailed, HostError, Reach
from collectors.known_hosts import AUTHORITY, HostKey, KnownHosts, OnFile
from collectors.ssh import SshTransport
from collectors.ssh_errors import HostKeyRefused
from collectors.transport import Target

ASK_TIMEOUT_S = 60.0
_NOBODY = "/dev/null"
"""Stands for an agent, without which the transport would not set out; it is never asked."""


class HostKeys:
    """Look-ups in the known_hosts files of many targets; each set of files is read once."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, ...], KnownHosts] = {}

    def on_file(
        self, target: Target, files: tuple[str, ...] | None = None, *, names: tuple[str, ...] = ()
    ) -> OnFile:
        """What `files` (default: the target's own) say of the target; of `names` as they are, if given.

        Raises ConfigError for a file that is there and cannot be read.
        """
        paths = target.known_hosts if files is None else files
        known = self._files.setdefault(paths, KnownHosts(paths))
        asked: list[str] = list(names)
        port: int | None = None
        if not names and target.host_key_alias is not None:
            asked = [target.host_key_alias]
        elif not names:
            asked, port = list(dict.fromkeys((target.address, target.name))), target.port
        try:
            return known.lookup(asked, port)
        except OSError as error:
            raise ConfigError(str(error.filename), "", f"cannot be read: {error.strerror}") from error


async def ask_keys(
    targets: Iterable[Target],
    kinds: Mapping[str, tuple[str, ...]],
    certified: frozenset[str],
    *,
    connections: int,
    on_answer: Callable[[str], None] = lambda host: None,
) -> dict[str, HostKey | HostError]:
    """Host -> the key that it offers, or why it offered none.

    `kinds`: host -> types of keys to ask for first. `certified`: hosts asked for a certificate first; of
    these the key is its authority's, if they have one.
    """
    found: dict[str, HostKey | HostError] = {}
    waiting = list(targets)
    queue = iter(waiting)
    with tempfile.TemporaryDirectory(prefix="fleetctl-") as folder:
        files = {
            target.name: _impossible(Path(folder), kinds.get(target.name, ()), target.name in certified)
            for target in waiting
        }
        async with SshTransport(keep=False, connections=connections) as transport:

            async def worker() -> None:
                for target in queue:
                    found[target.name] = await _ask(transport, target, files[target.name])
                    on_answer(target.name)

            async with asyncio.TaskGroup() as group:
                for _ in range(min(connections, len(waiting))):
                    group.create_task(worker())
    return found


async def _ask(transport: SshTransport, target: Target, file: str) -> HostKey | HostError:
    stranger = replace(target, known_hosts=(file,), identities=(), certificates=(), agent=_NOBODY)
    try:
        await transport.run(stranger, "exit", b"", timeout_s=ASK_TIMEOUT_S, limit_bytes=1)
    except HostKeyRefused as error:
        if error.host == target.name and error.offered is not None:
            return error.offered
        return error
    except HostError as error:
        return error
    return ConnectFailed(target.name, "showed no key of its own", Reach.UNREACHABLE)


def _impossible(folder: Path, kinds: tuple[str, ...], certified: bool) -> str:
    """A known_hosts file with keys that are none, of the given types, for every name."""
    lines = [f"* {_no_key(kind).line}\n" for kind in kinds]
    if certified:
        lines.append(f"{AUTHORITY} * {_no_key('ssh-ed25519').line}\n")
    text = "".join(lines)
    path = folder / hashlib.sha256(text.encode()).hexdigest()
    if not path.exists():
        path.write_text(text)
    return str(path)


def _no_key(kind: str) -> HostKey:
    return HostKey(kind, struct.pack(">I", len(kind)) + kind.encode() + b"\0")
