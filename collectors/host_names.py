"""Host names in text: node sets, addresses with ports, and the hosts to jump through.

`expand_hosts` is the only place that expands a node set. The node-set library can ask for groups and
run programs for them, so texts are checked here first and nothing but names and ranges reaches it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_HOSTS = 100_000

NAME_FORM = "letters, digits and . _ : -, beginning with a letter or digit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]*")
USER = r"[A-Za-z0-9_][A-Za-z0-9._-]*\$?"
_RANGES = r"\[([^\[\]]*)\]"
_RANGE = r"([0-9]{1,18})(?:-([0-9]{1,18})(?:/([0-9]{1,18}))?)?"
_ONE_RANGE = r"(|[^\[]*[^\[0-9])\[([0-9]+)-([0-9]+)\](|[^\[0-9][^\[]*)"
_PORT = r"[0-9]{1,5}"
_FOREIGN = r"[^A-Za-z0-9._:-]"


class HostTextInvalid(ValueError):
    """A text that should name hosts does not; the message says why and quotes nothing unprintable."""


class HostSpec(NamedTuple):
    """A host in a list: `address` and `port` are None unless the text has them."""

    name: str
    address: str | None = None
    port: int | None = None


class Hop(NamedTuple):
    """One host to go through, as typed."""

    host: str
    user: str | None = None
    port: int | None = None


def is_name(text: str) -> bool:
    """May `text` name a host (or stand for {host} {address} {node})?"""
    return _NAME.fullmatch(text) is not None


def expand_hosts(text: str) -> list[str]:
    """The names of one node set (`edge-[01-05,09].example.net`), or the one name that `text` is.

    In the node set's own order, without repeats. Raises HostTextInvalid for anything else, for group
    and set operators, and for more than MAX_HOSTS names, these before any is made.
    """
    if "[" not in text and "]" not in text:
        if not is_name(text):
            raise HostTextInvalid(_why_no_name(text))
        return [text]
    outside = re.sub(_RANGES, "", text)
    foreign = re.search(_FOREIGN, outside)
    if foreign:
        raise HostTextInvalid(_why_no_name(outside))
    if _count(text) > MAX_HOSTS:
        raise HostTextInvalid(f"more than {MAX_HOSTS} hosts in one node set")
    names = _one_range(text) or _expand(text)
    for name in names:
        if not is_name(name):
            raise HostTextInvalid(f'"{name[:80]}" is not a host name: {NAME_FORM}')
    return names


def _why_no_name(text: str) -> str:
    operator = re.search(r"[,!&^@*?]", text)
    if operator:
        return (
            f"{operator[0]} has no place outside of brackets: write one node set for each item of a list, "
            "and name groups in keys that take groups"
        )
    return f"not a host name: {NAME_FORM}"


def _count(text: str) -> int:
    """How many names the ranges of `text` stand for, at most.

    Raises HostTextInvalid for a range that is none, and for one that the library would take for more:
    to ClusterShell 1.10 `n7[8-11]` is n78 to n711, 634 names.
    """
    count = 1
    for match in re.finditer(_RANGES, text):
        items = match[1].split(",")
        count *= sum(_length(item) for item in items)
        widths = {len(bound) for item in items for bound in item.partition("/")[0].split("-")}
        if text[: match.start()][-1:].isdigit() and len(widths) > 1:
            raise HostTextInvalid("digits before a range of several widths: write them into the range")
    return count


def _length(text: str) -> int:
    match = re.fullmatch(_RANGE, text)
    if match is None:
        raise HostTextInvalid("a range is written [1-9], [01-09], [1,3,5-7] or [0-8/2]")
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if step == 0 or last < first:
        raise HostTextInvalid("a range goes up, in steps of at least 1")
    return (last - first) // step + 1


def _one_range(text: str) -> list[str]:
    """The names of `prefix[first-last]suffix`; none if `text` is more than that.

    Spares the commonest fleet files the import of the node-set library, 20 ms of every command.
    """
    match = re.fullmatch(_ONE_RANGE, text)
    if match is None:
        return []
    prefix, first, last, suffix = match.groups()
    padded = last.startswith("0") or (first.startswith("0") and first != "0")
    if padded and len(first) != len(last):
        return []  # a mistake, which the library words
    width = len(first)
    return [f"{prefix}{number:0{width}}{suffix}" for number in range(int(first), int(last) + 1)]


def _expand(text: str) -> list[str]:
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

    try:
        return list(NodeSet(text, resolver=RESOLVER_NOGROUP))
    except NodeSetException as error:
        raise HostTextInvalid(f"not a node set: {error}") from error


def host_specs(text: str) -> list[HostSpec]:
    """The hosts of one list item: a node set, `host`, `host:port`, `[v6]` or `[v6]:port`.

    A port is no part of the name; the name of `[v6]` is the address. Raises HostTextInvalid.
    """
    if text.startswith("[") and ":" in text.partition("]")[0]:
        address, port = split_port(text)
        return [HostSpec(address, address, port)]
    return [_spec(name) for name in expand_hosts(text)]


def _spec(name: str) -> HostSpec:
    if ":" not in name:
        return HostSpec(name)
    address, port = split_port(name)
    return HostSpec(address, address if ":" in address else None, port)


def split_port(text: str) -> tuple[str, int | None]:
    """Address and port of `host`, `host:port`, `v6`, `[v6]` or `[v6]:port`; v6 comes without brackets.

    Raises HostTextInvalid if the address is none of {address}'s form or the port is out of range.
    """
    if text.startswith("["):
        address, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise HostTextInvalid("an IPv6 address is written [2001:db8::7] or [2001:db8::7]:22")
        return _v6(address), port_number(rest[1:]) if rest else None
    if text.count(":") > 1:
        return _v6(text), None
    host, colon, port = text.partition(":")
    if not is_name(host):
        raise HostTextInvalid(_why_no_name(host))
    return host, port_number(port) if colon else None


def _v6(address: str) -> str:
    from ipaddress import AddressValueError, IPv6Address  # costs more than all the rest of a plain file

    try:
        IPv6Address(address)
    except AddressValueError as error:
        raise HostTextInvalid("not an IPv6 address") from error
    if not is_name(address):
        raise HostTextInvalid("write an address that begins with :: as 0::, and none with a zone")
    return address


def port_number(text: str) -> int:
    """1 to 65535. Raises HostTextInvalid."""
    if re.fullmatch(_PORT, text) and 1 <= int(text) <= 65535:
        return int(text)
    raise HostTextInvalid("a port is a number from 1 to 65535")


def parse_jump(text: str) -> tuple[Hop, ...]:
    """The hosts of `[user@]host[:port]`, several with commas, in the order in which they are passed.

    `ssh://` may stand before each. "none" (in any case) is (). Raises HostTextInvalid.
    """
    if text.lower() == "none":
        return ()
    return tuple(_hop(item.strip()) for item in text.split(","))


def _hop(text: str) -> Hop:
    user, at, place = text.removeprefix("ssh://").removesuffix("/").rpartition("@")
    if at and not re.fullmatch(USER, user):
        raise HostTextInvalid("a jump host is written [user@]host[:port]")
    host, port = split_port(place)
    return Hop(host, user if at else None, port)
