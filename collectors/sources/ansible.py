"""Ansible's groups and variables -> hosts with what each connects with. Pure.

`ansible_ini` and `ansible_data` read the forms in which inventories are written; here groups are put
together: children within parents, a group's variables over its parents', a host's own over all.
Source: ansible/ansible:lib/ansible/inventory/data.py, lib/ansible/inventory/group.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from collectors.errors import ConfigError
from collectors.host_names import USER, is_name
from collectors.parse.text import clean
from collectors.sources.found import Finds, Found, FoundHost

EVERYBODY = ("all", "ungrouped")
SECRET = object()
"""Value of a variable that is encrypted."""
_ADDRESS = ("ansible_host", "ansible_ssh_host")
_PORT = ("ansible_port", "ansible_ssh_port")
_USER = ("ansible_user", "ansible_ssh_user")
_IDENTITY = ("ansible_ssh_private_key_file", "ansible_private_key_file")
_NOT_TAKEN = ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_pass", "ansible_password")
_SSH = ("ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh")

Variables = dict[str, object]


@dataclass(slots=True)
class Group:
    """One group as it is written: its own hosts, children and variables."""

    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    variables: Variables = field(default_factory=dict)


@dataclass(slots=True)
class Inventory:
    """Everything that an inventory says, before groups are put together."""

    groups: dict[str, Group] = field(default_factory=dict)
    hosts: dict[str, Variables] = field(default_factory=dict)
    """Each host's own variables."""

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group())

    def host(self, name: str) -> Variables:
        return self.hosts.setdefault(name, {})


def found_in(inventory: Inventory, finds: Finds, *, file: str) -> Found:
    """Raises ConfigError for groups that contain themselves, and if no host is left."""
    depths = _depths(inventory, file)
    members: dict[str, dict[str, None]] = {}
    for name in sorted(depths, key=lambda name: -depths[name]):
        group = inventory.groups[name]
        members[name] = dict(group.hosts)
        for child in group.children:
            members[name] |= members.get(child, {})
    of_host: dict[str, list[str]] = {name: [] for name in inventory.hosts}
    for name in sorted(members, key=lambda name: (depths[name], name)):
        for host in members[name]:
            of_host.setdefault(host, []).append(name)
    for host, own in inventory.hosts.items():
        said: Variables = dict(inventory.groups["all"].variables) if "all" in inventory.groups else {}
        for name in of_host[host]:
            said |= inventory.groups[name].variables
        _add(finds, host, said | own)
    shown = [name for name in inventory.groups if name not in EVERYBODY and members[name]]
    for name in (name for name in shown if not is_name(name)):
        finds.leave_out(f"group {name}", "not a group name of a fleet file")
    for host in inventory.hosts:
        finds.join(host, [name for name in shown if is_name(name) and host in members[name]])
    return finds.done()


def _depths(inventory: Inventory, file: str) -> dict[str, int]:
    """Group -> how many groups stand above it, at most. Raises ConfigError for a circle."""
    for group in list(inventory.groups.values()):
        for child in group.children:
            inventory.group(child)
    depths = dict.fromkeys(inventory.groups, 0)
    for _ in range(len(depths) + 1):
        is_settled = True
        for name, group in inventory.groups.items():
            for child in group.children:
                if depths[child] <= depths[name]:
                    depths[child] = depths[name] + 1
                    is_settled = False
        if is_settled:
            return depths
    raise ConfigError(file, "children", "groups contain themselves")


def _add(finds: Finds, host: str, said: Mapping[str, object]) -> None:
    way = said.get("ansible_connection")
    if way is not None and way not in _SSH:
        finds.leave_out(host, f"is reached by {clean(str(way), 30)}, not by SSH")
        return
    for name in _NOT_TAKEN:
        if name in said:
            finds.leave_out(name, "is not taken; say in [ssh], or in ssh_config, what is needed of it")
    address = _text(finds, host, said, _ADDRESS)
    port = _text(finds, host, said, _PORT)
    user = _text(finds, host, said, _USER)
    if port is not None and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535):
        finds.leave_out(f"port of {host}", "not a number from 1 to 65535")
        port = None
    if user is not None and not re.fullmatch(USER, user):
        finds.leave_out(f"user of {host}", "not a login name")
        user = None
    if address is None and any(name in said for name in _ADDRESS):
        finds.leave_out(host, "where it is cannot be told from its address, which is no plain text")
        return
    identity = _text(finds, host, said, _IDENTITY)
    finds.add(FoundHost(host, address, int(port) if port else None, user, identity))


def _text(finds: Finds, host: str, said: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    """The first variable of `names` that is a plain text; templates and secrets are none."""
    for name in names:
        value = said.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            text = str(value).strip()
            if text and text.isprintable() and "{{" not in text and "{%" not in text:
                return text
        if name in said:
            finds.leave_out(f"{name} of {host}", "a template, encrypted, or not a text")
    return None
