"""How an order is confirmed, and how many hosts one may reboot: the same for commands and dashboard. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from actions.orders import Verb
from console.visible import hosts_words

MANY_HOSTS = 20
"""More hosts than this are not rebooted by a one-shot command, unless `--at-once` is typed."""
GROUP_HOSTS = 5
"""A whole group of more hosts than this neither."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A fleet as far as it matters here: what makes up the whole, or a whole group, of it."""

    fleet: str
    hosts: int
    groups: Sequence[tuple[str, Collection[str]]] = ()
    """Name and hosts."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person types to confirm."""

    text: str
    """"yes" for one host."""
    what: str
    """`host web-1`, `14 hosts`, `the whole group edge`, `the whole fleet prod`."""
    is_name: bool = False
    """A name is to be typed, not a number or yes."""


def wanted(hosts: Collection[str], extent: Extent) -> Wanted:
    """What confirms an order on these hosts: a whole group's name, the fleet's name, or their number."""
    names = set(hosts)
    if len(names) == 1:
        return Wanted("yes", next(iter(names)))
    if len(names) == extent.hosts:
        return Wanted(extent.fleet, "the whole fleet", is_name=True)
    group = next((name for name, members in extent.groups if names == set(members)), None)
    if group is not None:
        return Wanted(group, "the whole group", is_name=True)
    return Wanted(str(len(names)), hosts_words(len(names)))


def too_many(verb: Verb, hosts: Collection[str], extent: Extent) -> str | None:
    """Why this many hosts are not rebooted without `--at-once`; None: they may be."""
    if not verb.reboots:
        return None
    names = set(hosts)
    whole = next(
        (name for name, members in extent.groups if len(members) > GROUP_HOSTS and names.issuperset(members)),
        None,
    )
    if len(names) <= MANY_HOSTS and whole is None:
        return None
    what = f"the whole group {whole}" if whole is not None else hosts_words(len(names))
    is_group = any(name == whole and names == set(members) for name, members in extent.groups)
    goal = {Verb.ACTIVATE: "--to VERSION", Verb.ROLL_BACK: "--roll-back"}.get(verb)
    line = f": fleetctl rollout plan {f'@{whole}' if is_group else 'HOSTS'} {goal}" if goal else ""
    return f"{verb} of {what} at once wants a rollout{line}; or type --at-once N if you mean it"
