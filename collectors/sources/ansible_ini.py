"""Ansible inventory in INI form -> groups and variables. Pure.

Source of the form: ansible/ansible:lib/ansible/plugins/inventory/ini.py and lib/ansible/inventory/host_list
ranges, as the documentation "How to build your inventory" tells them.
"""

from __future__ import annotations

import re
import shlex
import string
from itertools import islice, product

from collectors.errors import ConfigError
from collectors.host_names import MAX_HOSTS, HostTextInvalid, split_port
from collectors.parse.text import clean
from collectors.sources.ansible import Inventory, Variables

_SECTION = re.compile(r"\[([^:\[\]\s]+)(?::(\w+))?\]\s*(?:[#;].*)?")
_RANGE = re.compile(r"\[([^\[\]:]+):([^\[\]:]+)(?::([0-9]+))?\]")


def parse_ini(text: str, *, file: str) -> Inventory:
    """Hosts before any section belong to `ungrouped`. Raises ConfigError naming the line."""
    inventory = Inventory()
    name, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.split("\n"), start=1):
        line, place = raw.strip(), f"line {number}"
        if not line or line[0] in "#;":
            continue
        if line.startswith("[") and (section := _SECTION.fullmatch(line)):
            name, kind = section[1], section[2] or "hosts"
            if kind not in ("hosts", "children", "vars"):
                raise ConfigError(
                    file, place, f"[{clean(name)}:{clean(kind)}]: only :children and :vars are known"
                )
            inventory.group(name)
        elif kind == "vars":
            key, value = _variable(line, file, place)
            inventory.group(name).variables[key] = value
        elif kind == "children":
            child = _words(line, file, place)[0]
            inventory.group(name).children[child] = None
        else:
            _hosts(inventory, name, _words(line, file, place), file, place)
    return inventory


def _words(line: str, file: str, place: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise ConfigError(file, place, f"not a line of an inventory: {error}") from error
    if not words:
        raise ConfigError(file, place, "no name")
    return words


def _variable(line: str, file: str, place: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if not equals:
        raise ConfigError(file, place, f"{clean(line, 40)} is not key = value")
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return key.strip(), value


def _hosts(inventory: Inventory, group: str, words: list[str], file: str, place: str) -> None:
    variables: Variables = {}
    for word in words[1:]:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(file, place, f"{clean(word, 40)} is not key=value")
        variables[key] = value
    pattern, port = _port(words[0])
    if port:
        variables.setdefault("ansible_port", port)
    names = _expanded(pattern, file, place)
    if len(inventory.hosts) + len(names) > MAX_HOSTS:
        raise ConfigError(file, place, f"more than {MAX_HOSTS} hosts")
    for name in names:
        inventory.host(name).update(variables)
        inventory.group(group).hosts[name] = None


def _port(pattern: str) -> tuple[str, str]:
    """A host pattern and the port behind it, or ""."""
    try:
        address, port = split_port(pattern)
    except HostTextInvalid:
        outside = _RANGE.sub("", pattern)
        head, colon, tail = outside.partition(":")
        if colon and tail.isascii() and tail.isdigit() and ":" not in head and pattern.endswith(f":{tail}"):
            return pattern.removesuffix(f":{tail}"), tail
        return pattern, ""
    return (address, str(port)) if port else (address, "")


def _expanded(pattern: str, file: str, place: str) -> list[str]:
    """The names of a pattern with [01:50], [1:9:2] or [a:f], ends included."""
    parts, end = list[list[str]](), 0
    for match in _RANGE.finditer(pattern):
        parts += [[pattern[end : match.start()]], _range(match, file, place)]
        end = match.end()
    parts.append([pattern[end:]])
    names = ["".join(words) for words in islice(product(*parts), MAX_HOSTS + 1)]
    if len(names) > MAX_HOSTS:
        raise ConfigError(file, place, f"more than {MAX_HOSTS} hosts in one pattern")
    return names


def _range(match: re.Match[str], file: str, place: str) -> list[str]:
    first, last, step = match[1], match[2], int(match[3] or 1)
    letters = string.ascii_letters
    if step and re.fullmatch("[0-9]{1,9}", first) and re.fullmatch("[0-9]{1,9}", last):
        width = len(first) if first.startswith("0") else 0
        if (not width or len(first) == len(last)) and int(last) - int(first) <= MAX_HOSTS:
            return [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    elif step and len(first) == len(last) == 1 and first in letters and last in letters:
        return list(letters[letters.index(first) : letters.index(last) + 1 : step])
    raise ConfigError(file, place, f"{clean(match[0], 40)} is not a range like [01:50] or [a:f]")
