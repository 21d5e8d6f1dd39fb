"""Which hosts of the fleet file a command means that needs no store: names, node sets, @group, --group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from collectors.host_names import HostTextInvalid, expand_hosts
from console.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping

    from collectors.fleet_file import LoadedFleet
    from collectors.fleet_model import FleetHost
    from collectors.transport import Target


def chosen_hosts(loaded: LoadedFleet, words: Iterable[str], groups: Iterable[str] = ()) -> list[FleetHost]:
    """The hosts meant, in the fleet's order; all of them where nothing was asked for.

    Raises ConfigError for a name that is none of the fleet's.
    """
    known = {host.name for host in loaded.fleet.hosts}
    by_group = {group.name: group.hosts for group in loaded.fleet.groups}
    wanted: set[str] = set()
    asked = [*words, *(f"@{group}" for group in groups)]
    for word in asked:
        if word.startswith("@"):
            if word[1:] not in by_group:
                raise _unknown(loaded, "group", word[1:], by_group)
            wanted.update(by_group[word[1:]])
            continue
        try:
            names = [word] if word in known else expand_hosts(word)
        except HostTextInvalid as error:
            raise ConfigError(loaded.path.name, visible(word), str(error)) from error
        for name in names:
            if name not in known:
                raise _unknown(loaded, "host", name, known)
            wanted.add(name)
    return [host for host in loaded.fleet.hosts if host.name in wanted or not asked]


def _unknown(loaded: LoadedFleet, what: str, name: str, known: Iterable[str]) -> ConfigError:
    hint = did_you_mean(name, known)
    return ConfigError(loaded.path.name, "", f'there is no {what} "{visible(name)}"{hint}')


def one_target(loaded: LoadedFleet, name: str) -> Target:
    """The target of one host. Raises ConfigError if there is none, or ssh_config is wrong."""
    hosts = chosen_hosts(loaded, [name])
    if len(hosts) != 1:
        raise ConfigError(loaded.path.name, visible(name), "means several hosts; name one")
    return known_targets(loaded, is_quiet=True)[hosts[0].name]


def known_targets(loaded: LoadedFleet, *, is_quiet: bool = False) -> Mapping[str, Target]:
    """All targets by host; what of ssh_config is passed over is said on stderr, unless `is_quiet`."""
    from collectors.fleet_file import targets

    resolved = targets(loaded)
    for warning in () if is_quiet else resolved.warnings:
        click.echo(f"fleetctl: {visible(warning)}", err=True)
    return resolved.targets
