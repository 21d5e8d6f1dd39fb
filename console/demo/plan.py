"""Which hosts a demo has: scenarios, names, groups, and the fleet file that describes them.

A fleet that lives has a story instead of scenarios: hosts that update, in windows and at once, and some on
which that goes wrong.

Pure: the same wish gives the same fleet. Addresses, ports and keys come from outside.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, cycle, islice

from collectors.errors import ConfigError
from collectors.facts import Coordinator, CoordinatorState, Unit
from console.demo.feed import CHANNELS, recent
from console.demo.healthy import OLD_LTS, Flavour, HostSpec, with_unit
from console.demo.scenarios import SCENARIOS, SELECTABLE
from console.demo.scene import Scenario
from console.demo.world import SimulatedHost

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
class Part:
    """A host's part in the story of a fleet that lives."""

    scenario: str
    strategy: str = "off"
    window_after_min: int | None = None
    """Its hour to reboot begins so long after the start; None: no window."""
    faults: tuple[str, ...] = ()

    def play(self, host: SimulatedHost) -> SimulatedHost:
        """The host, with the settings of its part and the locksmithd that follows from them."""
        conf = f"REBOOT_STRATEGY={self.strategy}\n"
        if self.window_after_min is not None:
            opens = host.started_at + timedelta(minutes=self.window_after_min)
            conf += f'LOCKSMITHD_REBOOT_WINDOW_START="{opens:%H:%M}"\nLOCKSMITHD_REBOOT_WINDOW_LENGTH=1h\n'
        host = replace(host, conf=conf)
        if self.strategy == "off":
            return host
        running = Unit("loaded", "active", "running", "disabled", "success")
        coordinator = Coordinator("locksmithd", self.strategy, CoordinatorState.RUNNING)
        return with_unit(replace(host, coordinator=coordinator), "locksmithd.service", running)


_STORY = (
    Part("behind", "reboot"),
    Part("behind", "reboot", 20),
    Part("current"),
    Part("behind"),
    Part("behind", "reboot", faults=("fallback",)),
    Part("behind", "reboot", 40),
    Part("behind", "reboot", faults=("bad-payload",)),
    Part("behind", "reboot", faults=("break-after",)),
)
_CHORUS = (
    Part("behind", "reboot"),
    Part("current"),
    Part("behind", "reboot", 20),
    Part("current"),
    Part("behind", "reboot", 50),
)
"""The hosts beyond the story's own."""


@dataclass(frozen=True, slots=True)
class PlannedHost:
    name: str
    group: str
    site: str
    scenario: Scenario
    flavour: Flavour
    part: Part | None = None

    def build(self, start: datetime) -> SimulatedHost:
        """The host at the demo's start (aware UTC)."""
        state = self.scenario.build(HostSpec(self.name, start, self.flavour))
        return self.part.play(state) if self.part else state

    @property
    def faults(self) -> tuple[str, ...]:
        """Names of those that it has from the start."""
        return self.part.faults if self.part else ()


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a planned host listens."""

    host: PlannedHost
    address: str
    port: int


def plan(hosts: int | None, counts: Mapping[str, int], *, is_alive: bool = False) -> tuple[PlannedHost, ...]:
    """The hosts of a demo, named.

    Without `counts`: every scenario once, in their order, as far as `hosts` reaches (None: `DEFAULT_HOSTS`),
    or the story of a fleet that lives, the same one each time.
    With them: these, then quiet hosts up to `hosts` (None: no more).
    Raises ConfigError for an impossible wish.
    """
    named = [name for name, count in counts.items() for _ in range(count)]
    wanted = hosts if hosts is not None else (len(named) or DEFAULT_HOSTS)
    if not 1 <= wanted <= MOST_HOSTS:
        raise ConfigError("demo", "--hosts", f"needs a number from 1 to {MOST_HOSTS}")
    if len(named) > wanted:
        raise ConfigError("demo", "--hosts", f"{wanted} hosts do not hold {len(named)} scenarios")
    if is_alive and not named:
        parts = tuple(islice(chain(_STORY, cycle(_CHORUS)), wanted))
        hosts_of = _named(_flavoured(part.scenario for part in parts))
        return tuple(replace(host, part=part) for host, part in zip(hosts_of, parts, strict=True))
    names = named or list(SCENARIOS)[:wanted]
    names += islice(cycle(_QUIET), wanted - len(names))
    return _named(_flavoured(names))


def current_offers() -> dict[str, str]:
    """What the update server offers to each of its groups: the newest release of the channel."""
    return {channel: recent(channel) for channel in CHANNELS}


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
