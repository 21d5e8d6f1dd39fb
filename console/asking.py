"""One host asked at once, for a person who looks at it: its raw answer, its updater's log."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from collectors.errors import ConfigError, HostError, OutcomeUnknown, Reach
from collectors.probe import LIMIT_BYTES, probe_command
from collectors.raw import Sections, raw_sections
from collectors.redact import redact
from collectors.updater_log import LIMIT_BYTES as LOG_LIMIT_BYTES
from collectors.updater_log import NOT_ALLOWED, log_command

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet
    from collectors.ssh import SshTransport
    from collectors.transport import Target

TIMEOUT_S = 60.0
LOG_LINES = 300


class Asking:
    """Keeps its connections, so that the second look at a host is quick. Used on one event loop."""

    def __init__(self) -> None:
        self._transport: SshTransport | None = None
        self._targets: Mapping[str, Target] = {}
        self._of: LoadedFleet | None = None
        self._salt = secrets.token_bytes(16)

    async def close(self) -> None:
        if self._transport is not None:
            await self._transport.close()
            self._transport = None

    async def raw(self, loaded: LoadedFleet, host: str) -> Sections:
        """The probe's answer as it came; redacted. Raises ConfigError and HostError."""
        mark = secrets.token_hex(16)
        transport, target = self._way(loaded, host)
        command = probe_command(loaded.fleet.health.units)
        try:
            done = await transport.run(
                target, command, mark.encode() + b"\n", timeout_s=TIMEOUT_S, limit_bytes=LIMIT_BYTES
            )
            output = done.stdout
        except OutcomeUnknown as error:
            if not error.output:
                raise
            output = error.output
        return raw_sections(output, mark, self._salt)

    async def log(self, loaded: LoadedFleet, host: str) -> list[str]:
        """The newest lines of update-engine and locksmithd; redacted. Raises ConfigError and HostError."""
        transport, target = self._way(loaded, host)
        done = await transport.run(
            target, log_command(LOG_LINES), b"", timeout_s=TIMEOUT_S, limit_bytes=LOG_LIMIT_BYTES
        )
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        if done.exit_status == NOT_ALLOWED:
            raise HostError(
                host, "its log may not be read: fleetctl doctor --sudoers prints the rule", Reach.OK
            )
        if done.exit_status and not lines:
            raise HostError(host, f"journalctl ended with {done.exit_status}", Reach.OK)
        return redact("\n".join(lines), self._salt).split("\n") if lines else []

    def _way(self, loaded: LoadedFleet, host: str) -> tuple[SshTransport, Target]:
        from collectors.fleet_file import targets
        from collectors.ssh import SshTransport

        if self._of is not loaded:
            self._targets, self._of = targets(loaded).targets, loaded
        if self._transport is None:
            self._transport = SshTransport(keep=True, connections=loaded.fleet.connections)
        if host not in self._targets:
            raise ConfigError(loaded.path.name, "", f"names no host {host} any more")
        return self._transport, self._targets[host]
