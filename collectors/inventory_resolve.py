"""Each host's effective settings, from what the fleet file's tables say.

A host's own entry wins over its groups, these over `[ssh]`. Two groups of one host must not disagree
unless its own entry decides. Hosts of the same groups share their settings: most are resolved once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from collectors.fleet_model import FleetHost, SshSettings, WantedUpdates
from collectors.inventory_checks import Mistakes, quoted
from collectors.inventory_hosts import GroupEntry, HostEntry, Settings

DEFAULT_PORT = 22
_REBOOT_DEADLINE_S = 20 * 60
_CONFIRM_DEADLINE_S = 5 * 60


class _Joint(NamedTuple):
    """What a set of groups says together with `[ssh]`; clashes: key -> the two groups that disagree."""

    names: tuple[str, ...]
    settings: Settings
    labels: dict[str, str]
    clashes: dict[str, tuple[int, int]]
    ssh: SshSettings


_NO_ENTRY = HostEntry("", "", None, None, (), None, {}, {})


class HostResolver:
    """Gives each host its effective settings; notes clashes of groups and duplicate addresses."""

    def __init__(self, mistakes: Mistakes, defaults: Settings, groups: Sequence[GroupEntry]) -> None:
        self._mistakes = mistakes
        self._defaults = defaults
        self._groups = groups
        self._joints: dict[tuple[int, ...], _Joint] = {}
        self._noted: set[tuple[str, int, int]] = set()

    def resolve(self, entries: Sequence[HostEntry]) -> tuple[FleetHost, ...]:
        """All hosts, in the order in which groups, then entries, name them first."""
        member_of: dict[str, list[int]] = {}
        for number, group in enumerate(self._groups):
            for name in group.specs:
                member_of.setdefault(name, []).append(number)
        by_name = {entry.name: entry for entry in entries}
        for entry in entries:
            listed = member_of.get(entry.name, [])
            member_of[entry.name] = sorted({*listed, *entry.groups})
        hosts = tuple(
            self._host(name, tuple(numbers), by_name.get(name, _NO_ENTRY))
            for name, numbers in member_of.items()
        )
        self._note_duplicates(hosts, by_name)
        return hosts

    def _host(self, name: str, numbers: tuple[int, ...], entry: HostEntry) -> FleetHost:
        joint = self._joint(numbers)
        listed = self._listed(name, numbers, entry)
        own = listed | entry.settings
        if joint.clashes:
            self._note_clashes(name, joint, own, entry.labels)
        settings = joint.settings | own if own else joint.settings
        ssh = ssh_of(settings) if own else joint.ssh
        return FleetHost(
            name=name,
            address=entry.address or name,
            address_given=entry.address is not None or ":" in name,
            port=ssh.port or DEFAULT_PORT,
            node=entry.node or name,
            groups=joint.names,
            labels=joint.labels | entry.labels if entry.labels else joint.labels,
            hold=entry.hold,
            channel=settings.get("channel"),
            updates=settings.get("updates", WantedUpdates.AS_FOUND),
            reboot_deadline_s=settings.get("reboot_deadline_s", _REBOOT_DEADLINE_S),
            confirm_deadline_s=settings.get("confirm_deadline_s", _CONFIRM_DEADLINE_S),
            ssh=ssh,
        )

    def _listed(self, name: str, numbers: tuple[int, ...], entry: HostEntry) -> Settings:
        """The port that stands beside the host's name in its groups' lists."""
        listed: Settings = {}
        for number in numbers:
            spec, place = self._groups[number].specs.get(name, (None, ""))
            if spec is None or spec.port is None:
                continue
            if listed.setdefault("port", spec.port) != spec.port and "port" not in entry.settings:
                self._mistakes.add(place, f"host {quoted(name)} has port {listed['port']} in another group")
        return listed

    def _joint(self, numbers: tuple[int, ...]) -> _Joint:
        joint = self._joints.get(numbers)
        if joint is None:
            joint = self._joints[numbers] = self._join(numbers)
        return joint

    def _join(self, numbers: tuple[int, ...]) -> _Joint:
        said: dict[str, tuple[int, Any]] = {}
        clashes: dict[str, tuple[int, int]] = {}
        for number in numbers:
            group = self._groups[number]
            for key, value in (group.settings | _as_settings(group.labels)).items():
                first, other = said.setdefault(key, (number, value))
                if other != value:
                    clashes.setdefault(key, (first, number))
        values = {key: value for key, (_, value) in said.items()}
        settings = self._defaults | {key: value for key, value in values.items() if "." not in key}
        labels = {
            key.removeprefix("labels."): value for key, value in values.items() if key.startswith("labels.")
        }
        names = tuple(self._groups[number].name for number in numbers)
        return _Joint(names, settings, labels, clashes, ssh_of(settings))

    def _note_clashes(self, host: str, joint: _Joint, own: Settings, labels: dict[str, str]) -> None:
        decided = own | _as_settings(labels)
        for key, (first, second) in joint.clashes.items():
            if key in decided or (key, first, second) in self._noted:
                continue
            self._noted.add((key, first, second))
            one, other = self._groups[first], self._groups[second]
            self._mistakes.add(
                f"{other.place}.{key.removesuffix('_s')}",
                f"host {quoted(host)} is in {quoted(one.name)} too, which says otherwise; "
                "say in a [[hosts]] entry what holds for it",
            )

    def _note_duplicates(self, hosts: tuple[FleetHost, ...], by_name: dict[str, HostEntry]) -> None:
        seen: dict[tuple[str, int, str | None], str] = {}
        for host in hosts:
            # Behind different jump hosts the same private address is another machine.
            key = (_canonical(host.address), host.port, host.ssh.jump)
            other = seen.setdefault(key, host.name)
            if other != host.name:
                self._mistakes.add(
                    self._place(host.name, by_name),
                    f"duplicate address: {quoted(host.name)} and {quoted(other)} are both "
                    f"{host.url_address}:{host.port}",
                )

    def _place(self, name: str, by_name: dict[str, HostEntry]) -> str:
        if name in by_name:
            return f"{by_name[name].place}.address"
        return next(group.specs[name][1] for group in self._groups if name in group.specs)


def _as_settings(labels: dict[str, str]) -> Settings:
    return {f"labels.{name}": value for name, value in labels.items()}


def _canonical(address: str) -> str:
    if ":" not in address:
        return address.lower()
    from ipaddress import IPv6Address  # only fleets with IPv6 pay for it

    try:
        return IPv6Address(address).compressed
    except ValueError:  # its mistake is noted where the name was read
        return address


def ssh_of(settings: Settings) -> SshSettings:
    return SshSettings(**{key: settings[key] for key in SshSettings.__slots__ if key in settings})
