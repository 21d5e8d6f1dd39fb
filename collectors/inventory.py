"""Fleet file text -> Fleet: hosts, groups, and what is wanted of them.

`parse_fleet` reads no file and knows no clock; it finds all mistakes of a file in one pass and answers
with them or with a Fleet, never with half of one.
"""

from __future__ import annotations

import re
import tomllib

from collectors.errors import ConfigError
from collectors.fleet_keys import FLEET_NAME, KNOWN_KEYS, database_of, name_of
from collectors.fleet_model import Fleet, FleetGroup, FleetHost
from collectors.host_names import HostTextInvalid, expand_hosts
from collectors.inventory_checks import FleetFileInvalid, Mistakes, Table, channel_problem, or_default, quoted
from collectors.inventory_hosts import GroupEntry, read_groups, read_hosts, read_ssh
from collectors.inventory_parts import (
    read_feeds,
    read_fleetlock,
    read_health,
    read_hooks,
    read_sweep,
    read_windows,
)
from collectors.inventory_resolve import HostResolver, ssh_of
from collectors.inventory_rollouts import Known, read_rollouts

__all__ = [
    "KNOWN_KEYS",
    "FleetFileInvalid",
    "HostTextInvalid",
    "channel_problem",
    "expand_hosts",
    "parse_fleet",
]

_ACCENT = r"#[0-9a-fA-F]{6}"
_TOML_PLACE = r"(.*) \(at (?:line ([0-9]+), column ([0-9]+)|(end of document))\)"
_MAX_CONNECTIONS = 10_000


def parse_fleet(text: str, *, file: str) -> Fleet:
    """The fleet that `text` describes; `file` is its name, for messages and for a fleet without one.

    Raises FleetFileInvalid with every mistake, or ConfigError for text that is not TOML.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: bad TOML, or a number of 5,000 digits
        raise _toml_error(file, error) from error
    mistakes = Mistakes(file)
    fleet = _read(Table(mistakes, data), file)
    mistakes.raise_any()
    return fleet


def _toml_error(file: str, error: Exception) -> ConfigError:
    if isinstance(error, RecursionError):
        return ConfigError(file, "", "not a fleet file: nested too deeply")
    match = re.fullmatch(_TOML_PLACE, str(error), re.DOTALL)
    if match is None:
        return ConfigError(file, "", f"not TOML: {error}")
    place = match[4] or f"line {match[2]}, column {match[3]}"
    return ConfigError(file, place, f"not TOML: {match[1]}")


def _read(top: Table, file: str) -> Fleet:
    name = top.matching("name", FLEET_NAME, "a name: letters, digits and . _ -, at most 63")
    name = name or name_of(file)
    ssh = top.table("ssh")
    defaults = read_ssh(ssh)
    entries = read_groups(top.tables("groups"))
    hosts = HostResolver(top.mistakes, defaults, entries).resolve(read_hosts(top.tables("hosts"), entries))
    groups = _groups(top.mistakes, entries, hosts)
    if not top.data.get("groups") and not top.data.get("hosts"):
        top.mistakes.add("groups", "the file names no host; add a [[groups]] table with hosts = [...]")
    windows = read_windows(top.named_tables("windows"))
    known = Known(
        hosts={host.name for host in hosts},
        groups=[group.name for group in groups],
        labels={label for host in hosts for label in host.labels},
        windows=windows,
    )
    return Fleet(
        name=name,
        accent=top.matching("accent", _ACCENT, 'a colour like "#4fd0c3"'),
        database=or_default(top.text("database"), database_of(name)),
        ssh=ssh_of(defaults),
        connections=or_default(ssh.number("connections", 1, _MAX_CONNECTIONS), 256),
        sweep=read_sweep(top.table("sweep")),
        groups=groups,
        hosts=hosts,
        windows=windows,
        health=read_health(top.table("health")),
        hooks=read_hooks(top.table("hooks")),
        fleetlock=read_fleetlock(top),
        feeds=read_feeds(top.table("feeds")),
        rollouts=read_rollouts(top.named_tables("rollouts"), known),
    )


def _groups(
    mistakes: Mistakes, entries: list[GroupEntry], hosts: tuple[FleetHost, ...]
) -> tuple[FleetGroup, ...]:
    """The groups with all their members; one without any is a mistake."""
    members = {entry.name: dict.fromkeys(entry.specs) for entry in entries}
    for host in hosts:
        for name in host.groups:
            members[name].setdefault(host.name)
    for entry in entries:
        if not members[entry.name] and not entry.has_list:
            mistakes.add(f"{entry.place}.hosts", f"group {quoted(entry.name)} has no hosts")
    return tuple(
        FleetGroup(
            name=entry.name,
            hosts=tuple(members[entry.name]),
            labels=entry.labels,
            channel=entry.settings.get("channel"),
            updates=entry.settings.get("updates"),
        )
        for entry in entries
    )
