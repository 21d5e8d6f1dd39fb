"""A host's parts together, and what a program on it is: a function of them and of its call.

A program that takes time is a generator of waits which returns its reply; what it has said so far is in its
call's `pending`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from collectors.facts import Unit
from console.demo.live.engine import UpdateEngine
from console.demo.live.kinds import Pending, Reply, Scope, What
from console.demo.live.lifecycle import Lifecycle
from console.demo.live.locksmith import Locksmithd
from console.demo.live.machine import ENGINE_UNIT, LOCKSMITHD_UNIT, Machine
from console.demo.live.sysext import Sysexts

Running = Generator[float, None, Reply]


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

    def find_running(self) -> None:
        self.engine.find_running()
        self.locksmithd.find_running()

    def end_transient(self, name: str, status: int | None) -> None:
        """A transient unit's end, its ExecStopPost included; status None: it was stopped."""
        machine, unit = self.machine, self.transient[name]
        if status is None:
            unit.scope.end()
        for argv in unit.stop_post:
            program = self.programs.get(argv[0].rpartition("/")[2])
            found = program(self, Call(argv, 0, b"", Pending(machine.boot))) if program else None
            if found is not None and not isinstance(found, Reply):
                machine.start(found, machine.boot)
        if status == 0 and unit.remains:
            machine.set_unit(name, Unit("loaded", "active", "exited", "transient", "success"))
            return
        del self.transient[name]
        if status:
            machine.set_unit(name, Unit("loaded", "failed", "failed", "transient", "exit-code"))
            machine.record(What.UNIT_FAILED, name)
        else:
            machine.set_unit(name, None)

    def _shut_down(self) -> None:
        """systemd stops what runs; what is killed by a lost power supply is not stopped."""
        for name in [name for name, unit in self.transient.items() if not unit.scope.is_over]:
            if self.machine.unit(name).sub == "running":
                self.end_transient(name, None)

    def _came_up(self, updated: bool) -> None:
        machine = self.machine
        self.transient.clear()
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
