"""One live host: a state, a clock, and commands that change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from collectors.facts import DiskUse, SlotName, Unit
from console.demo import answers
from console.demo.live import logs, orders, shell
from console.demo.live.body import Body
from console.demo.live.host_files import ORDER, HostFiles
from console.demo.live.kinds import (
    REAL,
    Faults,
    LogEntry,
    Pending,
    Power,
    Reply,
    Timing,
    UpdateServer,
)
from console.demo.live.lifecycle import damage
from console.demo.live.machine import ENGINE_UNIT, Machine, grown
from console.demo.live.visitor import Visitor
from console.demo.world import Bus, SimulatedHost

NO_FAULTS = Faults()


class LiveHost:
    """A host that runs. Advance it to the moment first, then read it or run commands on it.

    `alive`: it checks for updates and reboots by itself; else it keeps its state until a command changes it,
    and what a command began runs to its end. Deterministic: same arguments, same calls, same log.
    """

    def __init__(
        self,
        state: SimulatedHost,
        server: UpdateServer,
        *,
        now: datetime,
        alive: bool,
        seed: int,
        timing: Timing = REAL,
        faults: Faults = NO_FAULTS,
    ) -> None:
        # A moment that stands still, stands only as long as nothing moves.
        state = replace(state, clock_stands=state.clock_stands and not alive)
        self._machine = Machine(
            state, server, now=now, is_alive=alive, seed=seed, timing=timing, faults=NO_FAULTS
        )
        self.body = Body(self._machine)
        self.body.programs.update(shell.programs())
        self.body.scripts.update(logs.scripts())
        self.body.scripts.update(orders.scripts())
        self.files = HostFiles(self._machine)
        """What is read and written on it by path."""
        self._disks = dict(state.disks)
        """Their use when nothing is wrong with them and nobody has written anything."""
        self.body.find_running()
        self.faults = faults

    # -- what it is ---------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._machine.state.name

    @property
    def state(self) -> SimulatedHost:
        """As it is now: what `console.demo.answers` prints about."""
        return self._machine.state

    @state.setter
    def state(self, value: SimulatedHost) -> None:
        self._machine.state = value

    @property
    def now(self) -> datetime:
        return self._machine.now

    @property
    def power(self) -> Power:
        return self._machine.power

    @property
    def log(self) -> list[LogEntry]:
        """The simulator's own truth, in order."""
        return self._machine.log

    @property
    def key_generation(self) -> int:
        """Grows when the host comes back with new host keys."""
        return self._machine.key_generation

    @property
    def server(self) -> UpdateServer:
        return self._machine.server

    @property
    def faults(self) -> Faults:
        return self._machine.faults

    @faults.setter
    def faults(self, value: Faults) -> None:
        """From now on these go wrong; those that show, show at once."""
        machine = self._machine
        before, machine.faults = machine.faults, value
        if value.sudo_refused != before.sudo_refused:
            machine.state = replace(machine.state, has_sudo=not value.sudo_refused)
        if value.daemon_masked and not before.daemon_masked:
            self.body.engine.stop()
            machine.set_unit(ENGINE_UNIT, Unit("masked", "inactive", "dead", "masked", "success"))
        if before.daemon_masked and not value.daemon_masked:
            machine.set_unit(ENGINE_UNIT, Unit("loaded", "inactive", "dead", "disabled", "success"))
        for mount, is_full, was_full in (
            ("/boot", value.boot_full, before.boot_full),
            ("/", value.disk_full, before.disk_full),
        ):
            if is_full != was_full:
                self._fill(mount, is_full=is_full)
        if value.breaks_after_s != before.breaks_after_s and self.power is Power.ON:
            self.body.lifecycle.plan_break()
        if value.clock_off_s != before.clock_off_s:
            machine.state = replace(machine.state, time_synced=value.clock_off_s == 0)

    def _fill(self, mount: str, *, is_full: bool) -> None:
        """Show a file system as full, or again as it was."""
        state = self._machine.state
        use = self._disks.get(mount)
        if use is not None:
            now = grown(use, self._machine.files_bytes) if mount == "/" else use
            shown = DiskUse(use.fstype, use.size_bytes, use.size_bytes, 0) if is_full else now
            self._machine.state = replace(state, disks={**state.disks, mount: shown})

    # -- time ---------------------------------------------------------------------------------

    def advance(self, to: datetime) -> None:
        """Run all events that are due until `to`, in order; a moment that has passed is none."""
        self._machine.advance(to)

    def next_due(self) -> datetime | None:
        """When the next event comes; None: nothing will happen without a command."""
        return self._machine.next_due()

    # -- visits -------------------------------------------------------------------------------

    @property
    def accepts_logins(self) -> bool:
        """Whether sshd listens and lets in; while it shuts down, logins are refused by pam_nologin."""
        return self.power is Power.ON

    def run(self, argv: Sequence[str], *, uid: int, stdin: bytes = b"") -> Reply | Pending:
        """Run a program as this user, now. A reply, or what will hold it once events came to it.

        Raises ConnectionError where the host is down.
        """
        if self.power not in (Power.ON, Power.SHUTTING_DOWN):
            raise ConnectionError(f"{self.name} is {self.power}")
        return shell.run(self.body, argv, uid=uid, stdin=stdin)

    def answer_probe(self, mark: str, *, uid: int, units: tuple[str, ...] = ()) -> bytes:
        """What the probe prints on it now."""
        order, runs = self.files.read(ORDER), self.body.updater_runs
        return answers.answer(self.state, mark, self.now, uid=uid, units=units, order=order, updating=runs)

    def visitor(self, uid: int) -> Visitor:
        """Its files as this user handles them."""
        return Visitor(self.files, uid)

    # -- hands on the machine -----------------------------------------------------------------

    def reset_power(self) -> None:
        """Press its button: it goes down where it stands, and boots; a dead one too."""
        self.body.lifecycle.reset_power()

    def damage(self, slot: SlotName) -> None:
        """Spoil what a slot holds; its flags do not tell."""
        damage(self._machine, slot)

    def fail_unit(self, name: str) -> None:
        """A unit breaks now."""
        self._machine.fail_unit(name)

    @property
    def has_updater(self) -> bool:
        return self.state.engine.bus is not Bus.ABSENT
