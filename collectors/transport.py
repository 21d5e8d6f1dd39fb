"""The seam between fleetctl and a host: a target, a command with its input, and how it ended.

`collectors.ssh` is the real one; the simulated fleet has one in memory. Three outcomes only:
never sent (`ConnectFailed`), ended (`Completed`), unknown (`OutcomeUnknown`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Target:
    """Where a host is and how to log in. All values are resolved: nothing is looked up later."""

    name: str
    address: str
    port: int = 22
    user: str = "core"
    identities: tuple[str, ...] = ()
    """Absolute paths of private keys, tried in this order."""
    certificates: tuple[str, ...] = ()
    """Absolute paths of SSH certificates, each for the identity of the same stem."""
    agent: str | None = None
    """Path of the agent's socket; None: no agent is asked."""
    known_hosts: tuple[str, ...] = ()
    """Absolute paths of known_hosts files; strict always."""
    host_key_alias: str | None = None
    """Name under which the host key is looked up, instead of address and port."""
    jump: Target | None = None
    """Through which other host to go; itself a full target."""
    proxy_command: tuple[str, ...] = ()
    """argv whose stdin and stdout are the connection; run without a shell."""
    connect_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Completed:
    """A command that ended: its output (bounded), its exit status (-1: killed by a signal)."""

    stdout: bytes
    exit_status: int
    latency_s: float
    """Seconds from the request to its end, without connecting."""


class Transport(Protocol):
    """Asks hosts. Keeps connections between calls where it can."""

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        """Run `command` on the target, at most `timeout_s` for the whole exchange, connecting included.

        More than `limit_bytes` of output raises OutcomeUnknown with the output so far and closes the
        channel. Raises ConnectFailed when nothing was sent, OutcomeUnknown when the end was not seen.
        """
        ...

    async def close(self) -> None:
        """Close every kept connection."""
        ...
