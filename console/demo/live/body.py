"""A host's parts together, and what a program on it is: a function of them and of its call.

A program that takes time is a generator of waits which returns its reply; what it has said so far is in its
call's `pending`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

from collectors.facts import Unit
from console.demo.live.engine import UpdateEngine
from console.demo.live.kinds import Pending, Reply, Scope, What
from console.demo.live.lifecycle import Lifecycle
from console.demo.live.locksmith import Locksmithd
from console.demo.live.machine import ENGINE_UNIT, LOCKSMITHD_UNIT, Machine
from console.demo.live.sysext import Sysexts

Running = Generator[float, None, Reply]
_BOOT_STAYS_S = 120.0
"""Idle time of /boot's automount. Source: systemd/systemd:src/gpt-auto-generator@009abdc."""
_SIGTERM = 15


@dataclass(frozen=True, slots=True)
class Call:
    """One program being run."""

    argv: tuple[str, ...]
    uid: int
    stdin: bytes
    pending: Pending

    @property
    def args(self) -> tuple[str, ...]:
        return self.argv[1:]


class Body:
    """A host's parts; a boot starts its services."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.lifecycle = Lifecycle(machine, self._came_up, self._shut_down)
        self.locksmithd = Locksmithd(machine, self.lifecycle.ask_reboot)
        self.engine = UpdateEngine(machine, self.locksmithd.need_reboot)
        self.sysexts = Sysexts(machine)
        self.transient: dict[str, Transient] = {}
        self.programs: dict[str, Program] = {}
        """By name, without a folder; more may be put in."""
        self.scripts: dict[str, Program] = {}
        """What `bash -c TEXT` does, by its text, letter by letter; its arguments begin with $1."""
        self.main_status: dict[str, int] = {}
        """ExecMainStatus of transient units whose main process has ended."""
        self.updaters: list[Scope] = []
        """Of each flatcar-update that was run."""

    @property
    def updater_runs(self) -> bool:
        """Whether a flatcar-update runs now."""
        self.updaters = [scope for scope in self.updaters if not scope.is_over]
        return bool(self.updaters)

    @property
    def has_boot(self) -> bool:
        """Whether it boots from a disk of its own, with GRUB's files in /boot."""
        state = self.machine.state
        return state.running is not None and state.foreign_os is None and "/boot" in state.disks

    def touch_boot(self) -> None:
        """Wake the automount of /boot; after a while without visitors it is unmounted again."""
        machine = self.machine
        if self.has_boot and not machine.state.boot_mounted:
            machine.state = replace(machine.state, boot_mounted=True)
            machine.after(_BOOT_STAYS_S, machine.boot, self._leave_boot)

    def _leave_boot(self) -> None:
        self.machine.state = replace(self.machine.state, boot_mounted=False)

    def find_running(self) -> None:
        self.engine.find_running()
        self.locksmithd.find_running()

    def end_transient(self, name: str, status: int | None, *, timed_out: bool = False) -> None:
        """A transient unit's end, its ExecStopPost included; status None: its processes were stopped.

        One that ended well and remains is still there, as exited, without that; stopped later, it ends then.
        """
        machine, unit = self.machine, self.transient[name]
        unit.scope.end()
        if status == 0 and unit.remains:
            self.main_status[name] = 0
            machine.set_unit(name, Unit("loaded", "active", "exited", "transient", "success"))
            return
        del self.transient[name]
        for argv in unit.stop_post:
            self._stop_post(name, argv)
        if not status and not timed_out:
            self.main_status.pop(name, None)
            machine.set_unit(name, None)
            return
        self.main_status[name] = status or _SIGTERM
        result = "timeout" if timed_out else "exit-code"
        machine.set_unit(name, Unit("loaded", "failed", "failed", "transient", result))
        machine.record(What.UNIT_FAILED, name)

    def _stop_post(self, name: str, argv: tuple[str, ...]) -> None:
        machine, pending = self.machine, Pending(self.machine.boot)
        program = self.programs.get(argv[0].rpartition("/")[2])
        found = program(self, Call(argv, 0, b"", pending)) if program else None
        if isinstance(found, Reply):
            said = (found.stdout + found.stderr).decode("utf-8", "replace")
            machine.tell(name, *said.splitlines())
        elif found is not None:
            machine.start(found, machine.boot)

    def _shut_down(self) -> None:
        """systemd stops what is active; what is killed by a lost power supply is not stopped."""
        for name in list(self.transient):
            self.end_transient(name, None)

    def _came_up(self, updated: bool) -> None:
        machine = self.machine
        self.transient.clear()
        self.main_status.clear()
        self.sysexts.boot(updated=updated)
        machine.after(machine.timing.engine_starts, machine.boot, self._start_services)

    def _start_services(self) -> None:
        machine = self.machine
        if machine.state.no_update or machine.state.foreign_os is not None:
            return
        if not machine.unit(ENGINE_UNIT).is_masked:
            self.engine.start()
        if not machine.unit(LOCKSMITHD_UNIT).is_masked:
            self.locksmithd.start()


Program = Callable[[Body, Call], "Reply | Running"]


@dataclass(slots=True)
class Transient:
    """A unit made by systemd-run."""

    scope: Scope
    stop_post: tuple[tuple[str, ...], ...] = ()
    remains: bool = False
    journal: list[str] = field(default_factory=list)


def failed(text: str, status: int = 1) -> Reply:
    """A program that complains on stderr."""
    return Reply(b"", text.encode(), status)
