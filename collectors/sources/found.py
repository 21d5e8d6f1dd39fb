"""What a foreign inventory holds for a fleet file: hosts to take, and what is left out and why. Pure.

Every text here comes from somebody's file and is checked before it becomes a host: names and addresses have
the fleet file's forms, no two hosts share a name or a place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from collectors.errors import ConfigError
from collectors.host_names import MAX_HOSTS, NAME_FORM, HostTextInvalid, is_name, split_port
from collectors.parse.text import clean


@dataclass(frozen=True, slots=True)
class FoundHost:
    """One host; None leaves it to ssh_config and the defaults."""

    name: str
    address: str | None = None
    """Without brackets."""
    port: int | None = None
    user: str | None = None
    identity: str | None = None
    """Path of a private key as the source has it: one printable line."""
    labels: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not taken. Both are one printable line."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """A whole source, in its own order. Never without a host."""

    hosts: tuple[FoundHost, ...]
    left_out: tuple[LeftOut, ...]


class Finds:
    """Gathers hosts one by one and turns away what cannot be one."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._hosts: dict[str, FoundHost] = {}
        self._places: dict[tuple[str, int | None], str] = {}
        self._left_out: dict[LeftOut, None] = {}

    def leave_out(self, what: str, why: str) -> None:
        self._left_out.setdefault(LeftOut(clean(what), why))

    def add(self, host: FoundHost, *, place: tuple[str, int | None] | None = None) -> None:
        """Take `host`, or leave it out with the reason.

        `place`: where it is reached, where the source knows more than address and port say.
        """
        if not is_name(host.name):
            self.leave_out(host.name, f"not a host name: {NAME_FORM}")
            return
        if host.name in self._hosts:
            self.leave_out(host.name, "stands there twice; the first is taken")
            return
        if host.address is not None:
            try:
                split_port(f"[{host.address}]" if ":" in host.address else host.address)
            except HostTextInvalid as error:
                self.leave_out(host.name, f"address {clean(host.address)}: {error}")
                return
        where = place or (host.address or host.name, host.port)
        other = self._places.setdefault((where[0].lower(), where[1]), host.name)
        if other != host.name:
            self.leave_out(host.name, f"the same machine as {other}")
            return
        self._hosts[host.name] = host

    def join(self, name: str, groups: Iterable[str]) -> None:
        """Put a host that was taken into `groups`; of one that was not, nothing happens."""
        if name in self._hosts:
            self._hosts[name] = replace(self._hosts[name], groups=tuple(dict.fromkeys(groups)))

    def done(self) -> Found:
        """Raises ConfigError where nothing was found, or more than a fleet may have."""
        if len(self._hosts) > MAX_HOSTS:
            raise ConfigError(self._file, "", f"names more than {MAX_HOSTS} hosts")
        if not self._hosts:
            reasons = "; ".join(f"{item.what}: {item.why}" for item in list(self._left_out)[:3])
            raise ConfigError(
                self._file, "", "names no host that can be taken" + (f" ({reasons})" * bool(reasons))
            )
        return Found(tuple(self._hosts.values()), tuple(self._left_out))
