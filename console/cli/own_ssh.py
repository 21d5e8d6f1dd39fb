"""The system's ssh, led to a host of the fleet as fleetctl itself would go there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from collectors.errors import ConfigError
from collectors.host_key_ask import HostKeys
from collectors.host_key_review import names_on_file
from collectors.ssh_argv import ssh_argv
from collectors.transport import Target


def argv_to(target: Target, command: Iterable[str] = ()) -> list[str]:
    """Program (absolute) and arguments. Raises ConfigError where there is no ssh."""
    program = shutil.which("ssh")
    if program is None:
        raise ConfigError("ssh", "", "is not installed here; `fleetctl logs` and `show` do without")
    return [program, *ssh_argv(target, _alias, command)[1:]]


def _alias(target: Target) -> str | None:
    """ssh looks for a key under the address; we find it under the host's name in the fleet file too."""
    if target.host_key_alias is not None:
        return target.host_key_alias
    files = HostKeys()
    by_address, *other = names_on_file(target)
    for name in (by_address, *other):
        found = files.on_file(target, names=(name,))
        if found.keys or found.authorities:
            return None if name == by_address else name
    return None
