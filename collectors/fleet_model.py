"""What a fleet file says, as frozen values: hosts with their effective settings, windows, rollouts.

Everything is checked and resolved against the file itself when one of these exists: a group named
somewhere is a group, a window named somewhere is a window. Paths are still as typed; durations are
seconds. None means that the file says nothing, unless a field says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from enum import StrEnum


class WantedUpdates(StrEnum):
    """Who is to start an update on a host."""

    MANAGED = "managed"
    """The host's updater is off (`SERVER=disabled`); fleetctl stages by exact version."""
    SELF = "self"
    """The updater works by itself."""
    AS_FOUND = "as-found"
    """No opinion: what the host has is right."""


class OnHalt(StrEnum):
    HOLD = "hold"
    ROLL_BACK = "roll-back"


class SelfUpdate(StrEnum):
    """What a rollout does about hosts that would stage or reboot before their turn."""

    REFUSE = "refuse"
    ACCEPT = "accept"


class Source(StrEnum):
    """How a release gets onto a host: by its exact version, or as the update server offers it."""

    EXACT = "exact"
    OFFER = "offer"


class GateKind(StrEnum):
    HEALTH = "health"
    CONTRACT = "contract"
    COMMAND = "command"
    HTTP = "http"
    PROMETHEUS = "prometheus"
    PERSON = "person"


class OnNoData(StrEnum):
    HOLD = "hold"
    FAIL = "fail"


class GateMode(StrEnum):
    ENFORCE = "enforce"
    OBSERVE = "observe"


class TakeKind(StrEnum):
    """How a cohort takes its hosts from those not yet taken."""

    SELECTION = "selection"
    SHARE = "share"
    REST = "rest"


@dataclass(frozen=True, slots=True)
class Share:
    """A number of hosts, or a percentage of a number that is known later."""

    number: int
    is_percent: bool

    def of(self, total: int) -> int:
        """Hosts out of `total`: a percentage is rounded down; at least 1, also of 0."""
        return max(1, total * self.number // 100 if self.is_percent else self.number)

    def __str__(self) -> str:
        return f"{self.number}%" if self.is_percent else str(self.number)


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How to log in, as the fleet file says it; None leaves it to ssh_config, then to the default."""

    user: str | None = None
    port: int | None = None
    identities: tuple[str, ...] | None = None
    agent: bool | str | None = None
    """False: no agent. A text: the path of its socket. True, None: the operator's own."""
    known_hosts: tuple[str, ...] | None = None
    config: str | None = None
    """Path of the ssh_config to read; "none": read none."""
    jump: str | None = None
    """`[user@]host[:port]`, several with commas; "none": go directly, whatever ssh_config says."""
    connect_timeout_s: int | None = None
    probe_timeout_s: int | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    interval_s: int = 60
    stale_after_s: int = 900
    keep_s: int = 400 * 86400


@dataclass(frozen=True, slots=True)
class FleetGroup:
    """A named set of hosts. What it says about them is resolved into each `FleetHost`."""

    name: str
    hosts: tuple[str, ...]
    """Names, in the file's order, those of `[[hosts]]` that join it last. Never empty."""
    labels: Mapping[str, str]
    channel: str | None
    updates: WantedUpdates | None


@dataclass(frozen=True, slots=True)
class FleetHost:
    """One host with its effective settings: its own, else its groups', else the file's."""

    name: str
    address: str
    """As the file says it, else the name. An IPv6 address has no brackets here."""
    address_given: bool
    """The file names the address, so ssh_config's HostName has no say."""
    port: int
    """As the file says it, else 22; `ssh.port` is None where ssh_config may still change it."""
    node: str
    """Name of the Kubernetes node, for hooks."""
    groups: tuple[str, ...]
    """In the order of the fleet file."""
    labels: Mapping[str, str]
    hold: str | None
    """Why the host must not be rebooted."""
    channel: str | None
    updates: WantedUpdates
    reboot_deadline_s: int
    confirm_deadline_s: int
    ssh: SshSettings

    @property
    def url_address(self) -> str:
        """The address as a URL wants it: IPv6 in brackets."""
        return f"[{self.address}]" if ":" in self.address else self.address


@dataclass(frozen=True, slots=True)
class Window:
    """Wall-clock hours in which reboots may be issued."""

    name: str
    days: tuple[int, ...]
    """Days on which it opens, 0 = Monday, ascending."""
    start: time
    """Naive wall-clock time in `timezone`."""
    length_s: int
    timezone: str
    """A key of the IANA time zone database that exists on this machine."""


@dataclass(frozen=True, slots=True)
class Health:
    """What is compared with a host's own baseline."""

    units: tuple[str, ...] = ()
    command: str | None = None
    """Shell text run on the host as the login user, only in plans."""
    http: tuple[str, ...] = ()
    """URLs asked from the console; may hold {host} {address} {node}."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """argv lists run on the console; may hold {host} {address} {node} {order}, not in the first word."""

    before_reboot: tuple[str, ...] = ()
    after_reboot: tuple[str, ...] = ()
    notify_file: str | None = None
    """Path of a file with the URL that gets rollout events."""


class LockId(StrEnum):
    """As what a FleetLock server knows a host."""

    MACHINE_ID = "machine-id"
    """Its machine id as it is: what fleetlockctl on Flatcar says."""
    ZINCATI = "zincati"
    """What Zincati makes of it, by which poseidon finds the Kubernetes node that it drains."""


@dataclass(frozen=True, slots=True)
class FleetLock:
    url: str
    group: str = "default"
    id: LockId = LockId.MACHINE_ID


@dataclass(frozen=True, slots=True)
class Feeds:
    """Where releases are read from."""

    url: str = "https://www.flatcar.org/releases-json"
    mirror: str | None = None
    proxy: str | None = None
    offline: bool = False
    file: str | None = None
    """Path of a releases.json or .json.xz that replaces the packed one."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """The unit of a rollout; the first one is its canary."""

    name: str
    kind: TakeKind
    selection: str | None
    """Set for SELECTION: exact names, node sets, @group, field:value."""
    share: Share | None
    """Set for SHARE: of the frozen plan."""
    soak_s: int
    tolerance: int


@dataclass(frozen=True, slots=True)
class Follow:
    """Canaries live on `channel`; a stable major goes on once it has soaked `days` there."""

    channel: str
    days: int


@dataclass(frozen=True, slots=True)
class Gate:
    """A question asked before a cohort passes."""

    name: str
    kind: GateKind
    cohort: str | None
    """None: every cohort."""
    argv: tuple[str, ...] = ()
    """For COMMAND: run on the console, no shell."""
    url: str | None = None
    query: str | None = None
    for_s: int = 0
    """How long the answer must have been good."""
    every_s: int = 60
    tries: int = 3
    """Unanswered in a row before the cohort waits for a person."""
    on_no_data: OnNoData = OnNoData.HOLD
    mode: GateMode = GateMode.ENFORCE


@dataclass(frozen=True, slots=True)
class RolloutTemplate:
    """How rollouts of this name go through the fleet."""

    name: str
    cohorts: tuple[Cohort, ...]
    budget: Share = Share(10, is_percent=True)
    per_label: Mapping[str, int] = field(default_factory=dict)
    """Label -> most hosts disturbed at once among those with one value of it."""
    settle_s: int = 600
    tolerance: int = 0
    windows: tuple[str, ...] = ()
    """Names of windows; empty: at any time."""
    on_halt: OnHalt = OnHalt.HOLD
    keep_staged: bool = False
    self_update: SelfUpdate = SelfUpdate.REFUSE
    self_update_reason: str | None = None
    source: Source = Source.EXACT
    follow: Follow | None = None
    gates: tuple[Gate, ...] = ()


@dataclass(frozen=True, slots=True)
class Fleet:
    """A whole fleet file."""

    name: str
    accent: str | None
    database: str
    """As typed, else `<name>.db`; relative to the fleet file."""
    ssh: SshSettings
    connections: int
    """SSH connections in flight."""
    sweep: Sweep
    groups: tuple[FleetGroup, ...]
    hosts: tuple[FleetHost, ...]
    """In the order in which the file names them first. Never empty."""
    windows: Mapping[str, Window]
    health: Health
    hooks: Hooks
    fleetlock: FleetLock | None
    feeds: Feeds
    rollouts: Mapping[str, RolloutTemplate]
