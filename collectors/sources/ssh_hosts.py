"""ssh_config text -> the hosts that it names. Pure.

Only names are taken: how to reach them stays in ssh_config, which the fleet file then points to. Patterns
name nobody. Left out are hosts that others are reached through, and those whose user is git.
Source of the format: ssh_config(5) of OpenSSH 9.2.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field

from collectors.host_names import HostTextInvalid, parse_jump
from collectors.sources.found import Finds, Found, FoundHost

_LINE = re.compile(r"\s*([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+)(\S.*?)\s*")
_WANTED = ("hostname", "port", "user")


@dataclass(slots=True)
class _Block:
    """A Host line and what stands under it; the first value of a keyword counts."""

    names: list[str]
    said: dict[str, str] = field(default_factory=dict)


def parse_ssh_hosts(text: str, *, file: str) -> Found:
    """The hosts of Host lines without patterns, in their order. Raises ConfigError if there is none."""
    finds, blocks, jumps = Finds(file), [_Block([])], set[str]()
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None or line.lstrip().startswith("#"):
            continue
        keyword, words = match[1].lower(), _words(match[2])
        if words is None:
            finds.leave_out(f"line {number}", "a quote without its end")
        elif keyword == "host":
            blocks.append(_Block([word for word in words if not re.search(r"[*?!]", word)]))
        elif keyword == "match":
            blocks.append(_Block([]))
        elif keyword == "include":
            finds.leave_out(f"Include {' '.join(words)}", "what it includes for some hosts only")
        elif keyword == "proxyjump" and words:
            jumps.update(_hops(words[0]))
        elif keyword in _WANTED and words:
            blocks[-1].said.setdefault(keyword, words[0])
    for name, said in _merged(blocks).items():
        _add(finds, name, said, jumps)
    return finds.done()


def _words(text: str) -> list[str] | None:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return None


def _hops(text: str) -> set[str]:
    try:
        return {hop.host for hop in parse_jump(text)}
    except HostTextInvalid:
        return set()


def _merged(blocks: list[_Block]) -> dict[str, dict[str, str]]:
    """Name -> what its own blocks say of it."""
    merged: dict[str, dict[str, str]] = {}
    for block in blocks:
        for name in block.names:
            said = merged.setdefault(name, {})
            for keyword, value in block.said.items():
                said.setdefault(keyword, value)
    return merged


def _add(finds: Finds, name: str, said: dict[str, str], jumps: set[str]) -> None:
    if said.get("user", "").lower() == "git":
        finds.leave_out(name, "its user is git: a place for repositories")
    elif name in jumps:
        finds.leave_out(name, "others are reached through it; add it if it is a host of the fleet too")
    else:
        port = said.get("port", "")
        where = said.get("hostname", name).replace("%h", name)
        finds.add(FoundHost(name), place=(where, int(port) if re.fullmatch("[0-9]{1,5}", port) else None))
