"""One simulated Flatcar host: what is on its disk, what runs, and how it answers SSH.

Everything is a frozen value, so a change of state is `dataclasses.replace` and a host can be kept,
compared and put back. Nothing here moves by itself: the only thing that time does to a host is its
uptime, and not even that while `clock_stands`.
What a tool prints is not here (`console.demo.tools`, `console.demo.files`), only what it would print about.
Sources: flatcar/update_engine@7382641, flatcar/seismograph@7ac56da, flatcar/locksmith@5b2275e,
flatcar/scripts:build_library@ab6d76d.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from collectors.facts import (
    Coordinator,
    DiskUse,
    LockState,
    Operation,
    Slot,
    SlotName,
    SlotTable,
    Unit,
    next_boot,
)
from collectors.probe import Section
from console.demo.feed import DemoRelease, release

PARTUUIDS = {
    SlotName.A: "7130c94a-213a-4e5a-8e26-6cce9662f132",
    SlotName.B: "e03dd35c-7c2d-4a47-b3fe-27f15780a57c",
}
"""The same on every Flatcar host. Source: flatcar/scripts:build_library/disk_layout.json@ab6d76d."""


class Access(StrEnum):
    """How the host's SSH port answers."""

    OPEN = "open"
    SILENT = "silent"
    """Takes the connection and never says a word."""
    KEY_REFUSED = "key_refused"


class KeyRecord(StrEnum):
    """What the console's known_hosts holds for the host."""

    RIGHT = "right"
    MISSING = "missing"
    OTHER = "other"
    """A key that the host does not have."""


class Bus(StrEnum):
    """How update_engine answers on D-Bus."""

    ANSWERS = "answers"
    ABSENT = "absent"
    """The daemon does not run."""
    DENIES = "denies"
    """The bus's policy keeps this user out."""


@dataclass(frozen=True, slots=True)
class SlotState:
    """A USR partition: its flags in the GPT, and what is written in it."""

    priority: int = 0
    tries: int = 0
    successful: bool = False
    version: str | None = None
    """None: never written."""
    intact: bool = True
    """False: half-written, or a copy of the other one; the flags never say so."""


@dataclass(frozen=True, slots=True)
class Engine:
    """update_engine as its D-Bus interface shows it."""

    bus: Bus = Bus.ANSWERS
    operation: Operation = Operation.IDLE
    progress: float = 0.0
    new_version: str = "0.0.0"
    new_size_bytes: int = 0
    last_checked_at: datetime | None = None
    """None: no accepted check since the daemon started."""


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One record of update-engine.service in this boot."""

    at: datetime
    text: str
    source: str = "update_attempter.cc:306"
    level: str = "I"
    from_systemd: bool = False


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension image: what its link names, what is merged, what its metadata says."""

    name: str
    target: str
    """Where /etc/extensions/NAME.raw leads, resolved."""
    metadata: str
    """Text of its extension-release file."""
    merged_image: str | None = None
    """Backing file of the loop device; None: not merged."""
    folder: str = "/etc/extensions"

    @property
    def link(self) -> str:
        return f"{self.folder}/{self.name}.raw"


@dataclass(frozen=True, slots=True)
class FailedUnit:
    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Hardware:
    """What stays the same for a host's whole life."""

    name: str
    machine_id: str
    install_boot_id: str
    installed_at: datetime
    aleph_version: str
    """The first release on it."""
    arch: str = "amd64"
    disk: str = "sda"
    oem: str | None = None
    has_small_slots: bool = False
    """Installed before 4593: 1 GiB slots, 128 MiB /boot."""

    @property
    def board(self) -> str:
        return f"{self.arch}-usr"

    @property
    def machine(self) -> str:
        """As the shell's HOSTTYPE has it."""
        return "aarch64" if self.arch == "arm64" else "x86_64"

    def partition(self, number: int) -> str:
        """Device of a partition; names that end in a digit get a `p` before the number."""
        return f"/dev/{self.disk}{'p' if self.disk[-1].isdigit() else ''}{number}"


@dataclass(frozen=True, slots=True)
class SimulatedHost:
    """A host at one moment of its life."""

    hardware: Hardware
    started_at: datetime
    """When the simulation began; the clock of a host that stands, stands here."""
    booted_at: datetime
    boot_id: str
    version: str
    """Of the running system."""
    group: str
    """GROUP of the running image."""
    running: SlotName | None = SlotName.A
    """None: an image without slots."""
    a: SlotState = SlotState()
    b: SlotState = SlotState()
    is_first_boot: bool = False
    engine: Engine = Engine()
    prefs: Mapping[str, str] | None = None
    """update_engine's own files; None: their folder is not there."""
    journal: tuple[JournalLine, ...] = ()
    conf: str | None = ""
    """/etc/flatcar/update.conf; None: no such file."""
    coordinator: Coordinator | None = None
    lock: LockState | None = None
    """The reboot lock as its etcd has it; None: no etcd answers."""
    pods: tuple[str, ...] = ()
    """Directories of the kubelet's pods, NAMESPACE_POD_UID."""
    units: Mapping[str, Unit] = field(default_factory=dict)
    failed: tuple[FailedUnit, ...] = ()
    extensions: tuple[Extension, ...] = ()
    staged_marker: bool = False
    reboot_required: bool = False
    no_update: bool = False
    reset_armed: bool = False
    first_boot_armed: bool = False
    boot_mounted: bool = False
    """/boot is an automount: there for a while after something touched it."""
    disks: Mapping[str, DiskUse] = field(default_factory=dict)
    containers: int | None = 0
    """None: containerd has no state folder."""
    time_synced: bool = True
    has_sudo: bool = True
    is_cut_off: bool = False
    """The answer ends in the middle, and the channel closes as if all were well."""
    clock_stands: bool = False
    """A moment that passes in seconds is the point of this host: its uptime does not grow."""
    foreign_os: str | None = None
    """os-release of a distribution that is not Flatcar; with it nothing of Flatcar's is there."""
    overrides: Mapping[str, Section] = field(default_factory=dict)
    """Sections answered with these bytes, whatever the rest says."""
    access: Access = Access.OPEN
    key_record: KeyRecord = KeyRecord.RIGHT

    @property
    def name(self) -> str:
        return self.hardware.name

    @property
    def release(self) -> DemoRelease:
        return release(self.version)

    @property
    def slots(self) -> SlotTable:
        return SlotTable(self._slot(SlotName.A), self._slot(SlotName.B))

    def slot(self, name: SlotName) -> SlotState:
        return self.a if name is SlotName.A else self.b

    def _slot(self, name: SlotName) -> Slot:
        state, device = self.slot(name), self.hardware.partition(3 if name is SlotName.A else 4)
        return Slot(name, state.priority, state.tries, state.successful, PARTUUIDS[name], device)

    @property
    def next_slot(self) -> SlotName | None:
        """GRUB's choice at the next boot."""
        return next_boot(self.slots) if self.running else None

    @property
    def merged(self) -> tuple[Extension, ...]:
        return tuple(item for item in self.extensions if item.merged_image is not None)

    def has_program(self, name: str) -> bool:
        """containerd and docker come with their extensions, or in /usr before these existed."""
        if self.foreign_os is not None:
            return False
        builtin = not self.release.has_builtin_extensions
        return builtin or any(item.name == f"{name}-flatcar" for item in self.merged)

    def uptime_s(self, at: datetime) -> float:
        """Seconds since its boot, asked at `at` by the console's clock."""
        now = self.started_at if self.clock_stands else at
        return max(0.0, (now - self.booted_at).total_seconds())


def hex_of(*words: object, digits: int = 32) -> str:
    """A made-up number that is always the same for the same words."""
    text = "\0".join(str(word) for word in words)
    return hashlib.blake2b(text.encode(), digest_size=(digits + 1) // 2).hexdigest()[:digits]


def uuid_of(*words: object) -> str:
    return str(uuid.UUID(hex=hex_of(*words), version=4))
