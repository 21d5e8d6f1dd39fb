"""What the console takes for a host around a reboot: a FleetLock, and a drained host. Pure.

Both are taken before the reboot and given back once the host is well again, or was not touched. What stands
in the store as taken may really be taken; whoever finds it there gives it back, or says why it stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from collectors.fleet_model import FleetHost, FleetLock, Hooks


class What(StrEnum):
    """In the order in which they are given back."""

    DRAIN = "drain"
    """`hooks.before_reboot` was run for it."""
    LOCK = "lock"
    """A FleetLock under its machine id."""


class Hold(StrEnum):
    """How it stands with what was taken."""

    ASKED = "asked"
    """About to be taken; it may be ours."""
    HELD = "held"
    KEPT = "kept"
    """It stays on purpose, or could not be given back; the text says why."""
    FREE = "free"
    """A person has looked: it is given back whatever the host shows."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A row of `takings`; a host has at most one of each."""

    host: str
    what: What
    order_id: str
    state: Hold
    since: str
    machine_id: str | None = None
    """By which FleetLock knows the host."""
    mark: str | None = None
    """The process of a hook that runs, or ran; a dead console may have left it."""
    text: str | None = None


def takes(hooks: Hooks, lock: FleetLock | None) -> bool:
    """Whether the fleet file wants anything done around a reboot."""
    return lock is not None or bool(hooks.before_reboot or hooks.after_reboot)


def filled(words: tuple[str, ...], host: FleetHost) -> str:
    """A hook's argv in words; the order's name is left out, as in commands."""
    values = {"{host}": host.name, "{address}": host.address, "{node}": host.node}
    line = " ".join(words)
    for key, value in values.items():
        line = line.replace(key, value)
    return line


def words_around(
    hooks: Hooks, lock: FleetLock | None, host: FleetHost
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What is done before a host's reboot and after it, in words, in the order in which it is done."""
    locked = (f"lock FleetLock group {lock.group}",) if lock else ()
    unlocked = (f"unlock FleetLock group {lock.group}",) if lock else ()
    drained = (filled(hooks.before_reboot, host),) if hooks.before_reboot else ()
    undrained = (filled(hooks.after_reboot, host),) if hooks.after_reboot else ()
    return (*locked, *drained), (*undrained, *unlocked)
