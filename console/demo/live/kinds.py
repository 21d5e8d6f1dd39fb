"""The values that live hosts are made of and asked with; no behaviour.

Times are aware UTC, durations seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Power(StrEnum):
    """Where a host is between two boots."""

    ON = "on"
    SHUTTING_DOWN = "shutting-down"
    """Still answers, with a nologin banner for new logins."""
    OFF = "off"
    BOOTING = "booting"
    """Firmware, boot loader, initrd, and failed attempts: nobody listens."""
    DEAD = "dead"
    """Nothing but a console brings it back."""


class What(StrEnum):
    """What the simulator knows to have happened."""

    CHECKED = "checked"
    ATTEMPT_BEGAN = "attempt-began"
    """The other slot is being overwritten; detail: the offered version."""
    ATTEMPT_FAILED = "attempt-failed"
    """detail: the code."""
    STAGED = "staged"
    """detail: the version."""
    REBOOT_ASKED = "reboot-asked"
    """detail: who asked: systemctl, locksmithd."""
    REBOOT_REFUSED = "reboot-refused"
    """By an inhibitor; detail: who asked."""
    BOOT_FAILED = "boot-failed"
    """detail: slot and version."""
    REBOOTED = "rebooted"
    """detail: slot and version that came up, `B 4593.2.5`."""
    FELL_BACK = "fell-back"
    """detail: the version that did not boot."""
    CONFIRMED = "confirmed"
    """detail: slot and version."""
    DIED = "died"
    """detail: why nothing boots."""
    UNIT_FAILED = "unit-failed"
    EXTENSION_LOST = "extension-lost"
    GPT_CHANGED = "gpt-changed"
    """By cgpt, asked for by a command."""
    CONF_CHANGED = "conf-changed"
    LOCKSMITHD_REBOOTED = "locksmithd-rebooted"
    WIPED = "wiped"
    """An armed flatcar-reset ran at boot."""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the simulator's own truth."""

    at: datetime
    host: str
    what: What
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a command said, and the status a shell would show (128 + N for signal N)."""

    stdout: bytes = b""
    stderr: bytes = b""
    exit_status: int = 0


class Scope:
    """How long something lives: a boot, a daemon, a transient unit. What waits in it ends with it."""

    __slots__ = ("_is_ended", "_parent")

    def __init__(self, parent: Scope | None = None) -> None:
        self._parent = parent
        self._is_ended = False

    def end(self) -> None:
        self._is_ended = True

    @property
    def is_over(self) -> bool:
        return self._is_ended or (self._parent is not None and self._parent.is_over)


class Pending:
    """A command that still runs; events of its host end it."""

    def __init__(self, scope: Scope) -> None:
        self.reply: Reply | None = None
        self.scope = scope
        self.stdout = b""
        """So far."""
        self.stderr = b""
        self.is_endless = False
        """It writes until nobody reads any more, so it ends when whoever waits for it goes."""

    @property
    def is_lost(self) -> bool:
        """It was killed, or the host went down under it: no status will ever come."""
        return self.reply is None and self.scope.is_over

    @property
    def is_over(self) -> bool:
        return self.reply is not None or self.is_lost

    def kill(self) -> None:
        """End it at once, without any of its own cleaning up."""
        self.scope.end()


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong on a host, consulted when its moment comes."""

    bad_payload: bool = False
    """The payload's hash is not the announced one: code 10."""
    payload_missing: bool = False
    """The server has no such payload: code 9."""
    postinst_fails: bool = False
    """Code 5; flags stay over new content."""
    boot_full: bool = False
    """The kernel cannot be copied to /boot."""
    disk_full: bool = False
    """Nothing can be written to the root file system."""
    run_full: bool = False
    """Nothing can be written to /run, which is memory."""
    boot_fails: frozenset[str] = frozenset()
    """Versions that never come up: the host falls back, if it can."""
    never_returns: frozenset[str] = frozenset()
    """Versions that hang at boot until somebody pulls the plug."""
    breaks_after_s: float | None = None
    """A unit fails so long after a boot."""
    breaks_versions: frozenset[str] | None = None
    """Only these versions break; None: any."""
    breaks_unit: str = "containerd.service"
    loses_extension: frozenset[str] = frozenset()
    """Names of extensions that are not merged after an update."""
    sudo_refused: bool = False
    daemon_masked: bool = False
    inhibitor: str | None = None
    """Who blocks shutdown, as systemd-inhibit lists it."""
    reboot_refused: bool = False
    """logind does not answer a wish to reboot."""
    key_change_on_boot: bool = False
    cgroup_v1: bool = False
    """The host runs the old control groups: from 4187 on postinst refuses."""
    clock_off_s: float = 0.0
    """The host's own clock minus the true time."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long things take, in seconds.

    Timers of update_engine: flatcar/update_engine:src/update_engine/{update_attempter,
    update_check_scheduler}.cc@7382641.
    """

    mark_good: float = 45.0
    first_check: float = 420.0
    check_every: float = 2700.0
    check_fuzz: float = 300.0
    """A check comes up to this much earlier or later."""
    longest_interval: float = 4 * 3600.0
    answer: float = 0.32
    """The update server's."""
    connect_retry: float = 10.0
    copy: float = 24.0
    """The running slot over the other one."""
    download: float = 75.0
    finalize: float = 14.0
    report: float = 0.008
    shutdown: float = 8.0
    off: float = 2.0
    boot: float = 45.0
    """From power to sshd, when all is well."""
    engine_starts: float = 4.0
    """After sshd."""
    panic: float = 60.0
    emergency: float = 300.0
    """The initrd's emergency shell waits so long before it reboots."""
    engine_restarts: float = 30.0
    """systemd's RestartSec of update-engine.service."""
    verify: float = 9.0
    """veritysetup, over a whole slot."""


REAL = Timing()
LAB = Timing(answer=0.3, copy=3.5, download=7.6, finalize=2.0)
"""Loopback server, 65 MB payload, 268 MiB slots: as the recordings were made."""


@dataclass(slots=True)
class UpdateServer:
    """The update server of some hosts; change a field, and the next check sees it."""

    offers: dict[str, str] = field(default_factory=dict)
    """Server group -> version. A host is offered it where it is newer than what runs."""
    http_status: int = 200
    is_unreachable: bool = False
    body: str = "offer"
    """offer, empty, not-xml, other-xml, error-status."""
    disables_backoff: bool = True
    payload_bytes: int = 458_234_665
    payload: str = "good"
    """Or missing, bad-hash, wrong-size, unsigned, bad-signature, bad-magic, bit-flip."""
    poll_interval_s: float = 0.0
    """Counts only above the daemon's own interval."""
    allows_downgrade: bool = False
