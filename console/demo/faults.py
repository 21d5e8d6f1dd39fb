"""What can go wrong with a simulated host, by name: on the wire, or in the host itself. Pure.

A fault of the host changes what its parts do when their moment comes (`console.demo.live.kinds.Faults`); a
fault of the wire changes only how an answer arrives, the host stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from collectors.errors import ConfigError
from collectors.facts import Operation
from collectors.fleet_keys import did_you_mean
from console.demo.feed import CHANNELS, recent
from console.demo.healthy import PAYLOAD_BYTES
from console.demo.live.kinds import Faults
from console.demo.world import SimulatedHost

BREAKS_AFTER_S = 300.0
CLOCK_OFF_S = -3600.0
SLOW_S = 3.0
"""Over which a slow answer trickles in, by the clock of whoever asks."""
SLOW_STEPS = 20
"""In so many pieces."""
_IN_EXTENSION_FOLDERS = ("/opt/", "/etc/", "/var/", "/home/")
_LONGEST_DELAY_S = 10_000_000
_BREAK_AFTER = re.compile(r"break-after-([1-9][0-9]{0,3})")


class Wire(StrEnum):
    """What happens to answers on their way."""

    DROP = "drop"
    HANG = "hang"
    SLOW = "slow"
    LIE = "lie"
    TRUNCATED = "truncated"


Changed = Mapping[str, object]
"""Fields of Faults."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault by name; exactly one of `wire` and `host` says what it does."""

    name: str
    text: str
    wire: Wire | None = None
    host: Callable[[SimulatedHost], Changed] | None = None
    """What it changes in a host that is like this when the fault begins."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault of one host, and when it begins."""

    host: str
    fault: Fault
    after_s: float = 0.0
    """Seconds of the host's clock since the demo's start."""


def _always(**values: object) -> Callable[[SimulatedHost], Changed]:
    return lambda host: values


def _other_versions(host: SimulatedHost) -> frozenset[str]:
    """Every release but the one that runs now."""
    known = {item.version for releases in CHANNELS.values() for item in releases}
    return frozenset(known - {host.version})


def _own_extensions(host: SimulatedHost) -> Changed:
    """Those that somebody added; else all that there are."""
    added = [item.name for item in host.extensions if item.target.startswith(_IN_EXTENSION_FOLDERS)]
    return {"loses_extension": frozenset(added or [item.name for item in host.extensions])}


FAULTS: dict[str, Fault] = {
    item.name: item
    for item in (
        Fault("drop", "the connection is cut in the middle of an answer", Wire.DROP),
        Fault("hang", "commands are taken and never answered", Wire.HANG),
        Fault("slow", "answers trickle in", Wire.SLOW),
        Fault("lie", "the updater's status is not the true one", Wire.LIE),
        Fault("truncated", "answers end in the middle, as if all were well", Wire.TRUNCATED),
        Fault("disk-full", "nothing can be written to /", None, _always(disk_full=True)),
        Fault("boot-full", "no kernel can be copied to /boot", None, _always(boot_full=True)),
        Fault("bad-payload", "a payload's hash is not the announced one", None, _always(bad_payload=True)),
        Fault(
            "fallback",
            "no other release than the running one comes up: the host falls back",
            None,
            lambda host: {"boot_fails": _other_versions(host)},
        ),
        Fault(
            "never-returns",
            "any other release than the running one hangs at boot",
            None,
            lambda host: {"never_returns": _other_versions(host)},
        ),
        Fault(
            "break-after",
            f"a unit fails {BREAKS_AFTER_S / 60:.0f} minutes after each boot",
            None,
            _always(breaks_after_s=BREAKS_AFTER_S),
        ),
        Fault("extension-lost", "extensions are not merged after an update", None, _own_extensions),
        Fault("sudo-refused", "sudo asks for a password", None, _always(sudo_refused=True)),
        Fault("masked", "update-engine.service is masked", None, _always(daemon_masked=True)),
        Fault("inhibitor", "somebody blocks shutdown", None, _always(inhibitor="backup")),
        Fault("key-change", "each boot makes new host keys", None, _always(key_change_on_boot=True)),
        Fault("clock-off", "the host's clock is an hour slow", None, _always(clock_off_s=CLOCK_OFF_S)),
    )
}


def fault(name: str) -> Fault:
    """The fault of this name; `break-after-20` breaks after 20 minutes. ConfigError for an unknown one."""
    if (minutes := _BREAK_AFTER.fullmatch(name)) is not None:
        after_s = 60.0 * int(minutes[1])
        text = f"a unit fails {minutes[1]} minutes after each boot"
        return Fault(name, text, None, _always(breaks_after_s=after_s))
    if name not in FAULTS:
        near = did_you_mean(name, FAULTS) or f"; known: {', '.join(FAULTS)}"
        raise ConfigError("--fault", name, f"unknown fault{near}")
    return FAULTS[name]


def parse_faults(texts: Iterable[str]) -> tuple[PlannedFault, ...]:
    """Faults as `HOST=NAME` or `HOST=NAME@SECONDS`; ConfigError for what is none."""
    found = []
    for text in texts:
        host, equals, rest = text.partition("=")
        name, at, seconds = rest.partition("@")
        if not host or not equals or not name:
            raise ConfigError("--fault", text, "needs HOST=NAME, like edge-fra-01=fallback")
        is_number = seconds.isascii() and seconds.isdigit() and int(seconds[:9]) < _LONGEST_DELAY_S
        if at and not (is_number and len(seconds) < 9):
            raise ConfigError("--fault", text, "needs whole seconds after @, like edge-fra-01=fallback@600")
        found.append(PlannedFault(host, fault(name), float(seconds) if at else 0.0))
    return tuple(found)


def combined(changes: Iterable[Changed]) -> Faults:
    """The host's faults that these come to; the last one wins where two speak of one thing."""
    values: dict[str, object] = {}
    for change in changes:
        values |= change
    return replace(Faults(), **values)  # type: ignore[arg-type]


def told(state: SimulatedHost, wires: Iterable[Wire]) -> SimulatedHost:
    """The host as its answers show it under these faults of the wire."""
    for wire in wires:
        if wire is Wire.LIE:
            state = _lying(state)
        elif wire is Wire.TRUNCATED:
            state = replace(state, is_cut_off=True)
    return state


def _lying(state: SimulatedHost) -> SimulatedHost:
    """An idle updater claims to have staged the newest release; any other claims to be idle."""
    engine = state.engine
    if engine.operation is Operation.IDLE:
        channel = state.group if state.group in CHANNELS else "stable"
        claimed = replace(
            engine,
            operation=Operation.NEED_REBOOT,
            new_version=recent(channel),
            new_size_bytes=PAYLOAD_BYTES,
        )
    else:
        claimed = replace(
            engine, operation=Operation.IDLE, progress=0.0, new_version="0.0.0", new_size_bytes=0
        )
    return replace(state, engine=claimed)
