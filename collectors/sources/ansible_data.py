"""Ansible inventories as YAML, or as the JSON that an executable prints for --list. Pure.

Tags of YAML build nothing but plain values; `!vault` becomes a value that is never used.
Source of the forms: ansible/ansible:lib/ansible/plugins/inventory/yaml.py and script.py.
"""

from __future__ import annotations

import json
from typing import Any

from collectors.errors import ConfigError
from collectors.parse.text import clean
from collectors.sources.ansible import SECRET, Inventory
from collectors.sources.ansible_ini import parse_ini

MOST_NODES = 1_000_000
"""Groups and hosts looked at: YAML's aliases can make a small text a huge tree."""


def parse_yaml(text: str, *, file: str) -> Inventory:
    """Raises ConfigError for what is no YAML, and for a plugin's configuration instead of hosts."""
    import yaml  # type: ignore[import-untyped]  # 20 ms, and only this source needs it

    loader = type("Loader", (yaml.SafeLoader,), {})
    for tag in ("!vault", "!vault-encrypted", "!unsafe"):
        loader.add_constructor(tag, lambda _loader, _node: SECRET)  # type: ignore[attr-defined]
    try:
        document = yaml.load(text, Loader=loader)  # the loader is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        words = clean(str(getattr(error, "problem", None) or type(error).__name__), 100)
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(file, place, f"not YAML: {words}") from error
    if not isinstance(document, dict):
        raise ConfigError(file, "", "not an inventory: a mapping of groups is wanted")
    if "plugin" in document:
        remedy = "write its answer with `ansible-inventory --list` to a file and read that"
        raise ConfigError(file, "plugin", f"asks an inventory plugin; {remedy}")
    return _Reader(file).groups(document)


def parse_list(text: str, *, file: str) -> Inventory:
    """What `--list` prints. Raises ConfigError for anything else."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(file, "", f"not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(file, "", "not what --list prints: an object of groups is wanted")
    inventory = Inventory()
    variables = _dict(_dict(document.pop("_meta", None)).get("hostvars"))
    for name, said in document.items():
        group = inventory.group(str(name))
        entry = {"hosts": said} if isinstance(said, list) else _dict(said)
        group.variables.update(_dict(entry.get("vars")))
        hosts, children = entry.get("hosts"), entry.get("children")
        for host in hosts if isinstance(hosts, list) else ():
            group.hosts[str(host)] = None
            inventory.host(str(host)).update(_dict(variables.get(host)))
        for child in children if isinstance(children, list) else ():
            group.children[str(child)] = None
    for host, said in variables.items():
        inventory.host(host).update(_dict(said))
    return inventory


class _Reader:
    """Walks the YAML form: groups with `hosts`, `vars` and `children`, each a mapping or nothing."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._inventory = Inventory()
        self._left = MOST_NODES

    def groups(self, document: dict[Any, Any]) -> Inventory:
        waiting = [(str(name), said, str(name)) for name, said in document.items()]
        while waiting:
            name, said, place = waiting.pop(0)
            self._count()
            group = self._inventory.group(name)
            entry = self._mapping(said, place)
            group.variables.update(_named(self._mapping(entry.get("vars"), f"{place}.vars")))
            self._hosts(name, entry, place)
            for child, below in self._mapping(entry.get("children"), f"{place}.children").items():
                group.children[str(child)] = None
                waiting.append((str(child), below, f"{place}.children.{child}"))
        return self._inventory

    def _hosts(self, group: str, entry: dict[Any, Any], place: str) -> None:
        for pattern, said in self._mapping(entry.get("hosts"), f"{place}.hosts").items():
            self._count()
            variables = _named(self._mapping(said, f"{place}.hosts.{pattern}"))
            # The patterns of names are those of the INI form.
            for name, own in parse_ini(_one_word(str(pattern)), file=self._file).hosts.items():
                self._inventory.host(name).update(own | variables)
                self._inventory.group(group).hosts[name] = None

    def _mapping(self, value: object, place: str) -> dict[Any, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        raise ConfigError(self._file, clean(place), "a mapping is wanted here")

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ConfigError(self._file, "", f"more than {MOST_NODES} groups and hosts")


def _one_word(text: str) -> str:
    """`text` quoted as one word of the INI form, so that nothing in it means more than a name."""
    plain = " ".join(text.split())
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _named(variables: dict[Any, Any]) -> dict[str, object]:
    return {str(key): value for key, value in variables.items()}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
