"""The few commands that a simulated host knows beside the probe, and what it says to all others."""

from __future__ import annotations

import shlex

from collectors.probe import probe_command
from console.demo import files, tools
from console.demo.world import SimulatedHost

_PROBE = probe_command()

Reply = tuple[str, str, int]
"""stdout, stderr, exit status."""


def probe_units(command: str) -> tuple[str, ...] | None:
    """The units that this command asks the probe about; None if it is not the probe, letter by letter."""
    if command == _PROBE:
        return ()
    if not command.startswith(f"{_PROBE} "):
        return None
    try:
        return tuple(shlex.split(command[len(_PROBE) :]))
    except ValueError:
        return None


def reply(host: SimulatedHost, command: str) -> Reply:
    """Run a command as the login user; a program that is not known is not installed."""
    try:
        argv = shlex.split(command)
    except ValueError:
        return "", "bash: -c: line 1: unexpected EOF while looking for matching quote\n", 2
    match argv:
        case [] | ["true"]:
            return "", "", 0
        case ["cat", "/etc/os-release" | "/usr/lib/os-release"]:
            return files.os_release(host), "", 0
        case ["update_engine_client", "-status" | "--status"] if host.foreign_os is None:
            return tools.client_status(host)
    return "", f"bash: {argv[0]}: command not found\n", 127


def motd(host: SimulatedHost) -> str:
    """What a login shell shows before its prompt. Here it is all that it does."""
    if host.foreign_os is not None:
        return "Debian GNU/Linux 12\n"
    oem = host.hardware.oem or "bare metal"
    return f"Flatcar Container Linux by Kinvolk {host.group} {host.version} for {oem} (simulated)\n"
