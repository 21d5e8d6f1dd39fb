"""Frozen facts of one host, as one probe saw them.

None always means "not read" or "not known"; `HostFacts.unread` says why. Nothing here is a default.
What changes all the time without meaning anything (`Passing`) is kept apart from what is worth a
history: the split in this module is the only list of passing facts.
Times are aware UTC, sizes bytes, durations seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class SlotName(StrEnum):
    A = "A"
    B = "B"

    @property
    def other(self) -> SlotName:
        return SlotName.B if self is SlotName.A else SlotName.A


class Operation(StrEnum):
    """CURRENT_OP's words. Source: flatcar/update_engine:src/update_engine/update_attempter.cc@7382641."""

    IDLE = "UPDATE_STATUS_IDLE"
    CHECKING = "UPDATE_STATUS_CHECKING_FOR_UPDATE"
    AVAILABLE = "UPDATE_STATUS_UPDATE_AVAILABLE"
    DOWNLOADING = "UPDATE_STATUS_DOWNLOADING"
    VERIFYING = "UPDATE_STATUS_VERIFYING"
    FINALIZING = "UPDATE_STATUS_FINALIZING"
    NEED_REBOOT = "UPDATE_STATUS_UPDATED_NEED_REBOOT"
    REPORTING_ERROR = "UPDATE_STATUS_REPORTING_ERROR_EVENT"

    @property
    def overwrites_other_slot(self) -> bool:
        """From UPDATE_AVAILABLE on, the other slot is being written, whatever its flags say."""
        return self in (Operation.AVAILABLE, Operation.DOWNLOADING, Operation.VERIFYING, Operation.FINALIZING)


@dataclass(frozen=True, slots=True)
class OsRelease:
    """Fields of os-release; `version_id` compares, `version` is shown."""

    id: str | None = None
    id_like: tuple[str, ...] = ()
    name: str | None = None
    version: str | None = None
    version_id: str | None = None
    build_id: str | None = None
    pretty_name: str | None = None
    codename: str | None = None
    board: str | None = None
    sysext_level: str | None = None
    cpe_name: str | None = None

    @property
    def is_flatcar(self) -> bool:
        return self.id == "flatcar"

    @property
    def is_dev(self) -> bool:
        """A build that is no release: its VERSION carries more than VERSION_ID."""
        return bool(self.version and self.version_id and self.version != self.version_id)

    @property
    def arch(self) -> str | None:
        """amd64 or arm64, from the board."""
        return self.board.removesuffix("-usr") if self.board else None


@dataclass(frozen=True, slots=True)
class Release:
    """`/usr/share/flatcar/release`."""

    version: str | None = None
    board: str | None = None
    app_id: str | None = None


@dataclass(frozen=True, slots=True)
class Cmdline:
    """What the kernel was started with."""

    slot: SlotName | None = None
    usr_partuuid: str | None = None
    """Lower case."""
    usrhash: str | None = None
    boot_image: str | None = None
    oem_id: str | None = None
    first_boot: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    machine_id: str | None = None
    boot_id: str | None = None
    install: str | None = None
    """Ignition's provisioning boot id: another install under the same machine id differs here."""
    hostname: str | None = None
    arch: str | None = None
    """amd64 or arm64, from the shell."""
    oem: str | None = None
    kernel: str | None = None
    systemd: str | None = None
    containerd: str | None = None
    docker: str | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """One USR partition's place in the boot order."""

    name: SlotName
    priority: int
    """0-15; higher boots first, 0 never."""
    tries: int
    """0-15; counts down at each boot of an unconfirmed slot."""
    successful: bool
    partuuid: str | None = None
    """Lower case."""
    device: str | None = None

    @property
    def bootable(self) -> bool:
        return self.priority > 0 and (self.successful or self.tries > 0)


@dataclass(frozen=True, slots=True)
class SlotTable:
    a: Slot
    b: Slot
    damaged: bool = False
    """cgpt warned that one of the table's copies is invalid."""

    def __getitem__(self, name: SlotName) -> Slot:
        return self.a if name is SlotName.A else self.b


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    """What update_engine answers; zeros and 0.0.0 are its words for "not known" and are None here."""

    operation: Operation
    progress: float
    """0 to 1, clamped; moves only while DOWNLOADING."""
    new_version: str | None = None
    new_size_bytes: int | None = None
    last_checked_at: datetime | None = None
    """Last accepted check since the daemon's start; None is "none since then", not "never"."""


@dataclass(frozen=True, slots=True)
class UpdateConf:
    """One update.conf as update_engine itself reads it."""

    server: str | None = None
    """Redacted; the digest in it tells two servers apart. "" is set and empty."""
    group: str | None = None
    machine_alias: str | None = None
    reboot_strategy: str | None = None
    window_start: str | None = None
    window_length: str | None = None
    odd_lines: tuple[str, ...] = ()
    """Lines that look like settings and that update_engine ignores or reads otherwise than meant."""


@dataclass(frozen=True, slots=True)
class Prefs:
    """update_engine's own memory, root only. "" is a file that exists and is empty."""

    previous_version: str | None = None
    """Set to the running version when a release is staged; emptied at the first check after a boot."""
    aleph_version: str | None = None
    next_operation: int | None = None
    """-1: no update in progress."""
    attempt_number: int | None = None
    backoff_until: datetime | None = None
    failures: int | None = None


@dataclass(frozen=True, slots=True)
class Flags:
    """Files whose existence is the fact."""

    staged_marker: bool | None = None
    """/run/update_engine_autoupdate_completed: staged in this boot and not reset."""
    reboot_required: bool | None = None
    """/run/reboot-required"""
    no_update: bool | None = None
    """/usr/.noupdate: an image without slots (PXE, ISO)."""
    reset_armed: bool | None = None
    """/selective-os-reset: the next boot wipes the host."""
    first_boot_armed: bool | None = None
    """first_boot on /boot: Ignition runs again at the next boot. None where /boot is not mounted."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last update attempt of this boot, from update_engine's journal."""

    started_at: datetime | None = None
    offered_version: str | None = None
    """The server's offer in the last attempt that had one."""
    overwrote: bool = False
    """A release was accepted in this boot: the other slot has been written since."""
    staged: bool = False
    failed: bool = False
    """The newest attempt ended as failed; a later good one clears it."""
    error_code: int | None = None
    """Base code, without the flag bits above 0x0FFFFFFF."""
    error_name: str | None = None
    """Without the prefix kActionCode."""
    detail: str | None = None
    """The most telling line before the failure, redacted, <= 200 characters."""
    failed_at: datetime | None = None
    fell_back: bool = False
    """`Rollback detected` was logged."""
    group: str | None = None
    next_check_s: int | None = None
    no_update: bool = False
    """The newest check ended with nothing offered."""
    reaches_boot: bool = True
    """The journal was looked through from the boot on; False: an earlier attempt may have gone unseen."""


class CoordinatorState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    REBOOT_PLANNED = "reboot-planned"
    REBOOTING = "rebooting"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Coordinator:
    """/run/update-engine/coordinator.conf, written by locksmithd."""

    name: str | None = None
    strategy: str | None = None
    state: CoordinatorState | None = None


@dataclass(frozen=True, slots=True)
class LockState:
    """The lock in etcd (parse.locksmith.SemaphoreStatus); asked only where locksmithd runs with etcd-lock."""

    available: int
    max: int
    holders: tuple[str, ...] = ()
    """Machine ids, or what a person locked it with; the first 64."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit's words for itself."""

    load: str
    active: str
    sub: str
    file_state: str | None = None
    result: str | None = None

    @property
    def is_masked(self) -> bool:
        return self.load == "masked"


@dataclass(frozen=True, slots=True)
class ExtensionMeta:
    """extension-release of one merged extension."""

    id: str | None = None
    version_id: str | None = None
    sysext_level: str | None = None
    architecture: str | None = None
    version: str | None = None
    """SYSEXT_VERSION_ID: the extension's own version, where its maker wrote one."""


@dataclass(frozen=True, slots=True)
class ExtensionLink:
    """An entry of /etc/extensions, /run/extensions or /var/lib/extensions."""

    path: str
    target: str
    """Resolved; equal to `path` for a file or directory that is no link."""
    exists: bool

    @property
    def is_mask(self) -> bool:
        return self.target == "/dev/null"


@dataclass(frozen=True, slots=True)
class Extensions:
    merged: tuple[str, ...] = ()
    """Names merged into /usr or /opt."""
    candidates: dict[str, str] = field(default_factory=dict)
    """Name -> path of what systemd-sysext would consider; says nothing about being merged."""
    links: dict[str, ExtensionLink] = field(default_factory=dict)
    loops: tuple[str, ...] = ()
    """Backing files of loop devices: the images merged now."""
    meta: dict[str, ExtensionMeta] = field(default_factory=dict)
    enabled: tuple[str, ...] = ()
    """Names in /etc/flatcar/enabled-sysext.conf."""


@dataclass(frozen=True, slots=True)
class DiskUse:
    fstype: str
    size_bytes: int
    used_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A section that was not read, and why."""

    section: str
    reason: str
    kind: str = ""
    """Of a status that update_engine refused: parse.update_engine.StatusUnavailable.kind."""


@dataclass(frozen=True, slots=True)
class Passing:
    """Facts of the moment: only the last value is kept, they make no history."""

    uptime_s: float | None = None
    progress: float | None = None
    last_checked_at: datetime | None = None
    next_check_s: int | None = None
    containers: int | None = None
    """Running containers as containerd has them (a pod's sandbox counts)."""
    disks: dict[str, DiskUse] = field(default_factory=dict)
    """Mount point -> use."""
    time_synced: bool | None = None
    attempt_number: int | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Everything one probe read. `passing` is left out of the history, all else is in it."""

    complete: bool
    """The closing mark came: nothing was cut off."""
    privileged: bool
    """The root sections were answered."""
    identity: Identity
    os: OsRelease
    release: Release | None = None
    cmdline: Cmdline | None = None
    running: SlotName | None = None
    slots: SlotTable | None = None
    operation: Operation | None = None
    new_version: str | None = None
    new_size_bytes: int | None = None
    image_conf: UpdateConf | None = None
    conf: UpdateConf | None = None
    flags: Flags = Flags()
    prefs: Prefs | None = None
    attempt: Attempt | None = None
    coordinator: Coordinator | None = None
    lock: LockState | None = None
    reboot_pods: tuple[str, ...] | None = None
    """`namespace/pod` here with kured's or FLUO's names; None: not read, or no kubelet keeps such a list."""
    units: dict[str, Unit] = field(default_factory=dict)
    system_state: str | None = None
    failed_units: tuple[str, ...] | None = None
    extensions: Extensions | None = None
    foreign_order: str | None = None
    """Another console's order on the host, as it stands in /run/fleetctl/order."""
    updater_running: bool | None = None
    """flatcar-update runs now; asked only where SERVER points at the host itself."""
    unread: tuple[Unread, ...] = ()
    odd: tuple[str, ...] = ()
    """Sections in which control characters or broken UTF-8 were replaced, or over-long lines cut."""
    passing: Passing = Passing()

    @property
    def next_slot(self) -> SlotName | None:
        """Which slot GRUB will choose; None if none, or not known."""
        return next_boot(self.slots) if self.slots else None

    def why_unread(self, section: str) -> Unread | None:
        return next((item for item in self.unread if item.section == section), None)


def next_boot(slots: SlotTable) -> SlotName | None:
    """GRUB's choice: the highest priority among the bootable, the lower partition on a tie.

    Source: flatcar/scripts:sdk_container/src/third_party/coreos-overlay/sys-boot/grub/files/
    grub-2.12-add-gpt-partition-scheme.patch@ab6d76d.
    """
    bootable = [slot for slot in (slots.a, slots.b) if slot.bootable]
    return max(bootable, key=lambda slot: slot.priority).name if bootable else None
