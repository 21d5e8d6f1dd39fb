"""What `[ssh]`, `[[groups]]` and `[[hosts]]` of the fleet file say, each by itself.

An entry holds only what its table says; `collectors.inventory_resolve` puts them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from collectors.fleet_model import WantedUpdates
from collectors.host_names import (
    MAX_HOSTS,
    USER,
    HostSpec,
    HostTextInvalid,
    host_specs,
    parse_jump,
    split_port,
)
from collectors.inventory_checks import Table, channel_problem, or_default, quoted

_LABEL_LENGTH = 200
_TWO_PORTS = "two ports of one address need two [[hosts]] entries with names of their own"

Settings = dict[str, Any]
"""Only what a table says, by field name of SshSettings or FleetHost."""


class GroupEntry(NamedTuple):
    """A `[[groups]]` table; `specs`: host name -> what its list says of it, and where."""

    name: str
    place: str
    specs: dict[str, tuple[HostSpec, str]]
    has_list: bool
    """The table lists something, be it right or wrong."""
    settings: Settings
    labels: dict[str, str]


class HostEntry(NamedTuple):
    """A `[[hosts]]` table; `groups` are indexes."""

    name: str
    place: str
    address: str | None
    node: str | None
    groups: tuple[int, ...]
    hold: str | None
    settings: Settings
    labels: dict[str, str]


def read_ssh(table: Table) -> Settings:
    """What a table says of how to log in."""
    said: Settings = {
        "user": table.matching("user", USER, "a login name"),
        "port": table.number("port", 1, 65535),
        "identities": _said_items(table, "identities"),
        "agent": table.data["agent"] if isinstance(table.data.get("agent"), bool) else table.text("agent"),
        "known_hosts": _said_items(table, "known_hosts", single=True),
        "config": table.text("config"),
        "jump": _jump(table),
        "connect_timeout_s": table.duration_s("connect_timeout", longest_s=3600),
        "probe_timeout_s": table.duration_s("probe_timeout", longest_s=3600),
    }
    return _only_said(said)


def _said_items(table: Table, key: str, *, single: bool = False) -> tuple[str, ...] | None:
    """A list of texts, or with `single` one text alone."""
    if key not in table:
        return None
    if single and isinstance(table.data[key], str):
        text = table.text(key)
        return None if text is None else (text,)
    return tuple(item for _, item in table.items_at(key))


def _jump(table: Table) -> str | None:
    text = table.text("jump")
    if text is None:
        return None
    try:
        parse_jump(text)
    except HostTextInvalid as error:
        table.wrong("jump", f"{quoted(text)}: {error}")
    return text


def _only_said(values: Settings) -> Settings:
    return {key: value for key, value in values.items() if value is not None}


def read_settings(table: Table) -> Settings:
    """What a `[[groups]]` or `[[hosts]]` table says of its hosts, labels aside."""
    channel = table.text("channel")
    problem = channel_problem(channel) if channel else None
    if problem:
        table.wrong("channel", problem)
    updates = table.choice("updates", WantedUpdates, WantedUpdates.AS_FOUND)
    wanted = {
        "channel": channel,
        "updates": updates if "updates" in table else None,
        "reboot_deadline_s": table.duration_s("reboot_deadline", longest_s=86400),
        "confirm_deadline_s": table.duration_s("confirm_deadline", longest_s=86400),
    }
    return _only_said(wanted) | read_ssh(table)


def read_labels(table: Table) -> dict[str, str]:
    labels: dict[str, str] = {}
    for name, value in table.free("labels").items():
        if isinstance(value, str) and 0 < len(value) <= _LABEL_LENGTH and value.isprintable():
            labels[name] = value
        else:
            place = table.free_at("labels", name)
            table.mistakes.add(place, f"{quoted(value)} is not a text of 1 to {_LABEL_LENGTH} characters")
    return labels


def read_groups(tables: Iterable[Table]) -> list[GroupEntry]:
    """The `[[groups]]` tables; at most MAX_HOSTS hosts in all their lists."""
    groups: list[GroupEntry] = []
    room = MAX_HOSTS
    for table in tables:
        table.require("name", "a name for the group")
        name = or_default(table.name("name"), "")
        if name and any(name == group.name for group in groups):
            table.wrong("name", f"duplicate group {quoted(name)}")
        specs = _read_specs(table, room)
        room -= len(specs)
        groups.append(
            GroupEntry(
                name=name,
                place=table.place,
                specs=specs,
                has_list=bool(table.data.get("hosts")),
                settings=read_settings(table),
                labels=read_labels(table),
            )
        )
    return groups


def _read_specs(table: Table, room: int) -> dict[str, tuple[HostSpec, str]]:
    specs: dict[str, tuple[HostSpec, str]] = {}
    for index, item in table.items_at("hosts"):
        try:
            found = host_specs(item)
        except HostTextInvalid as error:
            table.wrong_item("hosts", index, f"{quoted(item)}: {error}")
            continue
        if len(specs) + len(found) > room:
            table.wrong_item("hosts", index, f"more than {MAX_HOSTS} hosts in all")
            break
        place = f"{table.at('hosts')}[{index}]"
        for spec in found:
            if specs.setdefault(spec.name, (spec, place)) != (spec, place):
                table.wrong_item("hosts", index, f"duplicate host {quoted(spec.name)}; {_TWO_PORTS}")
                break
    return specs


def read_hosts(tables: Iterable[Table], groups: Sequence[GroupEntry]) -> list[HostEntry]:
    """The `[[hosts]]` tables; a name that stands twice is a mistake, and the first one counts."""
    numbers = {group.name: number for number, group in enumerate(groups) if group.name}
    entries: dict[str, HostEntry] = {}
    for table in tables:
        table.require("name", "the host's name")
        name = or_default(table.name("name"), "")
        entry = _host_entry(table, name, numbers)
        if name and name in entries:
            table.wrong("name", f"duplicate host {quoted(name)}; {entries[name].place} has it too")
        elif name:
            entries[name] = entry
    return list(entries.values())


def _host_entry(table: Table, name: str, numbers: dict[str, int]) -> HostEntry:
    settings = read_settings(table)
    address = _address(table, settings)
    if ":" in name and address is None and "address" not in table:
        _check_colons(table, name)
    return HostEntry(
        name=name,
        place=table.place,
        address=address,
        node=table.name("node"),
        groups=_joined(table, numbers),
        hold=table.text("hold"),
        settings=settings,
        labels=read_labels(table),
    )


def _check_colons(table: Table, name: str) -> None:
    try:
        if split_port(name)[1] is not None:
            table.wrong("name", f"{quoted(name)} has a port; give it in address or port")
    except HostTextInvalid as error:
        table.wrong("name", f"{quoted(name)} is no address ({error}); give one in address")


def _joined(table: Table, numbers: dict[str, int]) -> tuple[int, ...]:
    joined: list[int] = []
    for index, group in table.items_at("groups"):
        if group in numbers:
            joined.append(numbers[group])
        else:
            table.mistakes.unknown(f"{table.at('groups')}[{index}]", "group", group, numbers)
    return tuple(joined)


def _address(table: Table, settings: Settings) -> str | None:
    """The address without port and brackets; a port in it goes into `settings`."""
    text = table.text("address")
    if text is None:
        return None
    try:
        address, port = split_port(text)
    except HostTextInvalid as error:
        table.wrong("address", f"{quoted(text)}: {error}")
        return None
    if port is not None and settings.setdefault("port", port) != port:
        table.wrong("port", f"is {settings['port']}, but the address says {port}")
    return address
