"""Hosts that were found -> text of a fleet file for a person to review. Pure.

Settings that all hosts share stand in [ssh], those that a group shares in the group, the rest with the host.
Names are folded into node sets where these give exactly the same names back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from collectors.host_names import HostTextInvalid, expand_hosts
from collectors.parse.text import clean
from collectors.sources.found import Found, FoundHost

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_COMMENT_WIDTH = 160
LEFT_OUT_SHOWN = 200


def toml_text(text: str) -> str:
    """`text` as a TOML basic string. Raises ValueError for half of a surrogate pair, which TOML cannot hold.

    Source: TOML 1.0.0, "String".
    """
    text.encode()
    return '"' + "".join(_character(char) for char in text) + '"'


def _character(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def toml_list(texts: Iterable[str]) -> str:
    """One line while it is short, else one line a text."""
    items = [toml_text(text) for text in texts]
    line = f"[{', '.join(items)}]"
    return line if len(line) <= 100 else "[\n" + "".join(f"  {item},\n" for item in items) + "]"


def fold(names: Sequence[str]) -> list[str]:
    """The shortest list items of a fleet file that stand for exactly these names."""
    plain = [name for name in names if ":" not in name]
    items = [f"[{name}]" for name in names if ":" in name]
    if not plain:
        return items
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet  # 20 ms that only this pays

    left = dict.fromkeys(plain)
    for piece in re.findall(
        r"(?:[^,\[]|\[[^\]]*\])+", str(NodeSet.fromlist(plain, resolver=RESOLVER_NOGROUP))
    ):
        try:
            folded = expand_hosts(piece)
        except HostTextInvalid:
            continue
        if all(name in left for name in folded):
            items.append(piece)
            for name in folded:
                del left[name]
    return [*items, *left]


def fleet_text(found: Found, *, head: Iterable[str], ssh: dict[str, str]) -> str:
    """A fleet file; `head` are sentences for its first comment, `ssh` keys of [ssh] with their TOML.

    What all hosts of the source share wins over `ssh`.
    """
    plan = _Plan(found.hosts, ssh)
    lines = [f"# {clean(sentence, _COMMENT_WIDTH)}" for sentence in head]
    lines += _left_out(found)
    lines += ["", "[ssh]", *_pairs(ssh | plan.shared)] if ssh or plan.shared else []
    for name, members in plan.groups.items():
        hosts = toml_list(fold([host.name for host in members]))
        lines += ["", "[[groups]]", f"name = {toml_text(name)}", f"hosts = {hosts}"]
        lines += _pairs(plan.of_group[name])
    for host in found.hosts:
        lines += _host(host, plan.of_host(host))
    return "\n".join(lines) + "\n"


def _left_out(found: Found) -> list[str]:
    if not found.left_out:
        return ["# Nothing was left out."]
    shown = [f"#   {item.what}: {item.why}" for item in found.left_out[:LEFT_OUT_SHOWN]]
    more = len(found.left_out) - LEFT_OUT_SHOWN
    return ["# Left out:", *shown, *([f"#   and {more} more"] if more > 0 else [])]


def _said(host: FoundHost) -> dict[str, str]:
    """A host's settings as TOML; each label is one, under `labels.NAME`."""
    said = {f"labels.{_key(name)}": toml_text(value) for name, value in host.labels.items()}
    if host.user is not None:
        said["user"] = toml_text(host.user)
    if host.port is not None:
        said["port"] = str(host.port)
    if host.identity is not None:
        said["identities"] = toml_list([host.identity])
    return said


class _Plan:
    """Which setting stands where."""

    def __init__(self, hosts: Sequence[FoundHost], defaults: dict[str, str]) -> None:
        self._said = {host.name: _said(host) for host in hosts}
        everywhere = _common(list(self._said.values()))
        self.shared = {key: value for key, value in everywhere.items() if not key.startswith("labels.")}
        self._general = defaults | self.shared
        self._rest = "ungrouped" if any(host.groups for host in hosts) else "all"
        self.groups: dict[str, list[FoundHost]] = {}
        for host in hosts:
            for name in self._groups_of(host):
                self.groups.setdefault(name, []).append(host)
        self.of_group = {
            name: _without(_common([self._said[host.name] for host in members]), self._general)
            for name, members in self.groups.items()
        }

    def of_host(self, host: FoundHost) -> dict[str, str]:
        """What neither [ssh] nor a group of the host says already."""
        said = _without(self._said[host.name], self._general)
        for name in self._groups_of(host):
            said = _without(said, self.of_group[name])
        return said

    def _groups_of(self, host: FoundHost) -> tuple[str, ...]:
        return host.groups or (self._rest,)


def _without(said: dict[str, str], elsewhere: dict[str, str]) -> dict[str, str]:
    """What `elsewhere` does not say in the same way."""
    return {key: value for key, value in said.items() if elsewhere.get(key) != value}


def _common(sets: Sequence[dict[str, str]]) -> dict[str, str]:
    return {key: value for key, value in sets[0].items() if all(one.get(key) == value for one in sets)}


def _host(host: FoundHost, own: dict[str, str]) -> list[str]:
    """The [[hosts]] table of a host that has something of its own."""
    pairs = own
    if host.address is not None and host.address != host.name:
        bracketed = f"[{host.address}]" if ":" in host.address else host.address
        pairs = {"address": toml_text(bracketed)} | own
    return ["", "[[hosts]]", f"name = {toml_text(host.name)}", *_pairs(pairs)] if pairs else []


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml_text(name)


def _pairs(pairs: dict[str, str]) -> list[str]:
    return [f"{key} = {value}" for key, value in pairs.items()]
