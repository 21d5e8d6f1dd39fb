"""Which hosts a demo has: scenarios, names, groups, and the fleet file that describes them.

Pure: the same wish gives the same fleet. Addresses, ports and keys come from outside.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice

from collectors.errors import ConfigError
from console.demo.healthy import OLD_LTS, Flavour
from console.demo.scenarios import SCENARIOS, SELECTABLE
from console.demo.scene import Scenario

DEFAULT_HOSTS = 40
MOST_HOSTS = 20_000
HEADER = "# Written by `fleetctl demo`; rewritten at each of its starts.\n"
"""First line of a demo's fleet file: what has it may be overwritten."""
_SITES = ("fra", "ams", "lon")
_QUIET = (
    "current",
    "current",
    "behind",
    "current",
    "current",
    "staged",
    "current",
    "current",
    "behind",
    "current",
)
"""How the hosts beyond the scenarios are spread."""
_VARIETY = (
    Flavour(),
    Flavour(disk="nvme0n1"),
    Flavour(kubernetes=True),
    Flavour(arch="arm64", disk="nvme0n1", oem="ami"),
    Flavour(disk="vda", oem="qemu"),
    Flavour(kubernetes=True, disk="nvme0n1"),
    Flavour(channel="beta", disk="vda", oem="qemu"),
    Flavour(channel="lts"),
    Flavour(kubernetes=True, arch="arm64", disk="nvme0n1"),
)
_OLD = Flavour(channel=OLD_LTS)
_ROLES = {
    "edge": "stable",
    "k8s": "stable",
    "db": "stable",
    "canary": "beta",
    "vault": "lts",
}
"""Group -> channel that the fleet file wants."""


@dataclass(frozen=True, slots=True)
class PlannedHost:
    name: str
    group: str
    site: str
    scenario: Scenario
    flavour: Flavour


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a planned host listens."""

    host: PlannedHost
    address: str
    port: int


def plan(hosts: int | None, counts: Mapping[str, int]) -> tuple[PlannedHost, ...]:
    """The hosts of a demo, named.

    Without `counts`: every scenario once, in their order, as far as `hosts` reaches (None: `DEFAULT_HOSTS`).
    With them: these, then quiet hosts up to `hosts` (None: no more).
    Raises ConfigError for an impossible wish.
    """
    named = [name for name, count in counts.items() for _ in range(count)]
    wanted = hosts if hosts is not None else (len(named) or DEFAULT_HOSTS)
    if not 1 <= wanted <= MOST_HOSTS:
        raise ConfigError("demo", "--hosts", f"needs a number from 1 to {MOST_HOSTS}")
    if len(named) > wanted:
        raise ConfigError("demo", "--hosts", f"{wanted} hosts do not hold {len(named)} scenarios")
    names = named or list(SCENARIOS)[:wanted]
    names += islice(cycle(_QUIET), wanted - len(names))
    return _named(_flavoured(names))


def _flavoured(names: Iterable[str]) -> Iterable[tuple[Scenario, Flavour]]:
    seen: Counter[str] = Counter()
    variety = cycle(_VARIETY)
    for name in names:
        scenario = SELECTABLE[name]
        seen[name] += 1
        if seen[name] == 1 or name not in _QUIET:
            yield scenario, scenario.flavour
        else:
            is_old = name == "behind" and seen[name] % 5 == 0
            yield scenario, _OLD if is_old else next(variety)


def _named(items: Iterable[tuple[Scenario, Flavour]]) -> tuple[PlannedHost, ...]:
    numbers: Counter[str] = Counter()
    plain = cycle(("edge", "edge", "db"))
    hosts = []
    for index, (scenario, flavour) in enumerate(items):
        group, site = _group(flavour) or next(plain), _SITES[index % len(_SITES)]
        numbers[f"{group}-{site}"] += 1
        number = numbers[f"{group}-{site}"]
        last = {"db": str(number), "k8s": f"w{number:02}"}.get(group, f"{number:02}")
        hosts.append(PlannedHost(f"{group}-{site}-{last}", group, site, scenario, flavour))
    return tuple(hosts)


def _group(flavour: Flavour) -> str | None:
    by_channel = {"beta": "canary", "lts": "vault"}
    return by_channel.get(flavour.group, "k8s" if flavour.kubernetes else None)


def fleet_text(reached: Iterable[Reached], *, key_file: str, known_hosts: str, feed_file: str) -> str:
    """The demo's fleet file (TOML). File names are relative to it."""
    hosts = list(reached)
    ports = Counter(item.port for item in hosts)
    port = ports.most_common(1)[0][0]
    groups = sorted({item.host.group for item in hosts})
    blocks = [
        HEADER + 'name = "demo"\ndatabase = "demo.db"\n',
        f'[ssh]\nuser = "core"\nport = {port}\nidentities = [{_quoted(key_file)}]\nagent = false\n'
        f"known_hosts = {_quoted(known_hosts)}\n"
        'config = "none"\nconnect_timeout = "5s"\nprobe_timeout = "15s"\nconnections = 64\n',
        f"[feeds]\noffline = true\nfile = {_quoted(feed_file)}\n",
    ]
    for group in groups:
        members = ", ".join(_quoted(item.host.name) for item in hosts if item.host.group == group)
        blocks.append(
            f'[[groups]]\nname = "{group}"\nhosts = [{members}]\nchannel = "{_ROLES[group]}"\n'
            f'updates = "self"\nlabels = {{ role = "{group}" }}\n'
        )
    return "\n".join(blocks + [_host_block(item, port) for item in hosts])


def _host_block(item: Reached, common_port: int) -> str:
    host = item.host
    lines = [f"[[hosts]]\nname = {_quoted(host.name)}\naddress = {_quoted(item.address)}"]
    if item.port != common_port:
        lines.append(f"port = {item.port}")
    lines.append(f'labels = {{ site = "{host.site}" }}')
    if host.scenario.hold:
        lines.append(f"hold = {_quoted(host.scenario.hold)}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are among TOML's."""
    return json.dumps(text)
