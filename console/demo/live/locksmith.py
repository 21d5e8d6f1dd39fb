"""locksmithd: what reboots a staged host, in its window; and the little of locksmithctl beside it.

The lock in etcd is the host's own copy of it: no other host moves it, this one takes and returns its place.
Once it saw NEED_REBOOT it does not look again: only stopping it, or a boot, ends what it set out to do.
Source: flatcar/locksmith:{locksmithctl,pkg/coordinatorconf}@5b2275e.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from collectors.errors import ParseError
from collectors.facts import Coordinator, CoordinatorState, LockState, Operation, Unit
from collectors.parse.locksmith import RebootWindow, in_window, next_opening, parse_window
from console.demo.live.kinds import Power, Reply, Scope, What
from console.demo.live.machine import LOCKSMITHD_UNIT, Machine, Process
from console.demo.tools import ENDPOINTS, lock_status, no_etcd
from console.demo.world import Bus, SimulatedHost

_RESTART_S = 10.0
_KNOWN = ("reboot", "etcd-lock", "off")
_ABSENT = "The name com.coreos.update1 was not provided by any .service files"
_SUBCOMMANDS = ("status", "lock", "unlock", "set-max", "reboot")
_FLAGS = {
    "debug": "Print out debug information to stderr.",
    "endpoint value": "etcd endpoint for locksmith. Specify multiple times to use multiple endpoints.",
    "etcd-cafile string": "etcd CA file authentication",
    "etcd-certfile string": "etcd cert file authentication",
    "etcd-keyfile string": "etcd key file authentication",
    "etcd-password string": "password for secure etcd communication",
    "etcd-username string": "username for secure etcd communication",
    "group string": "locksmith group",
    "version": "Print the version and exit.",
}
_USAGE = "Usage of locksmithctl:\n" + "".join(f"  -{flag}\n    \t{text}\n" for flag, text in _FLAGS.items())


class Locksmithd:
    """The daemon; `reboot` is what it asks logind for, and says whether that was granted."""

    def __init__(self, machine: Machine, reboot: Callable[[str], str | None]) -> None:
        self._m = machine
        self._reboot = reboot
        self._scope = Scope(machine.boot)
        self._strategy = ""
        self._window: tuple[str, str] = ("", "")
        self._has_seen = False

    @property
    def is_running(self) -> bool:
        return self._m.unit(LOCKSMITHD_UNIT).active == "active"

    def find_running(self) -> None:
        """Take over a daemon that ran before the simulation; it goes on by itself only where hosts do."""
        self._read_conf()
        if self.is_running and self._m.is_alive:
            self.need_reboot() if self._m.state.engine.operation is Operation.NEED_REBOOT else None

    def start(self) -> None:
        """The service starts: reads its settings, and looks at once whether a reboot is due."""
        machine = self._m
        self.stop()
        self._read_conf()
        if self._strategy == "off":
            machine.tell(LOCKSMITHD_UNIT, 'Reboot strategy is "off" - locksmithd is exiting.')
            return
        self._scope = Scope(machine.boot)
        self._coordinate(CoordinatorState.STARTING)
        if machine.state.engine.bus is Bus.ABSENT:
            self._die(f"Cannot get update engine status: {_ABSENT}")
            return
        file_state = machine.unit(LOCKSMITHD_UNIT).file_state or "disabled"
        machine.set_unit(LOCKSMITHD_UNIT, Unit("loaded", "active", "running", file_state, "success"))
        operation = machine.state.engine.operation
        machine.tell(
            LOCKSMITHD_UNIT,
            f'locksmithd starting currentOperation="{operation}" strategy="{self._strategy}"',
        )
        self._coordinate(CoordinatorState.RUNNING)
        self._return_lock()
        if operation is Operation.NEED_REBOOT:
            self.need_reboot()

    def stop(self) -> None:
        """The service stops; coordinator.conf stays as it is."""
        machine = self._m
        self._scope.end()
        self._has_seen = False
        found = machine.unit(LOCKSMITHD_UNIT)
        machine.set_unit(LOCKSMITHD_UNIT, replace(found, active="inactive", sub="dead", result="success"))

    def need_reboot(self) -> None:
        """update_engine's signal."""
        if not self.is_running or self._has_seen:
            return
        self._has_seen = True
        if self._scope.is_over:
            self._scope = Scope(self._m.boot)
        self._m.start(self._to_reboot(), self._scope)

    def _to_reboot(self) -> Process:
        machine = self._m
        try:
            window = parse_window(*self._window)
        except ParseError as error:
            self._die(f"unable to check reboot window period: {error}")
            return
        if window is None:
            machine.tell(LOCKSMITHD_UNIT, "No configured reboot window")
        else:
            yield from self._wait_for(window)
        self._coordinate(CoordinatorState.REBOOT_PLANNED)
        if self._strategy not in _KNOWN:
            self._die(f"unknown strategy: {self._strategy}")
            return
        wait = 10.0
        while self._strategy == "etcd-lock" and (trouble := self._take_lock()):
            machine.tell(LOCKSMITHD_UNIT, f"Failed to acquire lock: {trouble}. Retrying in {int(wait)}s.")
            yield wait
            wait = min(2 * wait, 300.0)
        yield 1.0
        self._coordinate(CoordinatorState.REBOOTING)
        machine.tell(LOCKSMITHD_UNIT, "Reboot sent. Going to sleep.")
        was_on = machine.power is Power.ON
        if self._reboot("locksmithd") is None and was_on:
            machine.record(What.LOCKSMITHD_REBOOTED, machine.state.engine.new_version)

    def _take_lock(self) -> str | None:
        """Take a place of the lock, or say what stands against it; a place that it has already will do."""
        state = self._m.state
        lock, own = state.lock, state.hardware.machine_id
        if lock is None:
            return f"no etcd endpoints available, tried: {ENDPOINTS}"
        if own in lock.holders:
            return None
        if lock.available <= 0:
            return "semaphore is at 0"
        holders = tuple(sorted((*lock.holders, own)))
        self._m.state = replace(state, lock=LockState(lock.available - 1, lock.max, holders))
        return None

    def _return_lock(self) -> None:
        """What the boot before took, a daemon gives back when it starts."""
        state = self._m.state
        lock, own = state.lock, state.hardware.machine_id
        if self._strategy == "etcd-lock" and lock is not None and own in lock.holders:
            holders = tuple(holder for holder in lock.holders if holder != own)
            self._m.state = replace(state, lock=LockState(lock.available + 1, lock.max, holders))
            self._m.tell(LOCKSMITHD_UNIT, "Unlocked existing lock for this machine")

    def _wait_for(self, window: RebootWindow) -> Process:
        machine = self._m
        while not in_window(window, machine.wall):
            opens = next_opening(window, machine.wall)
            wait = (opens - machine.wall).total_seconds()
            minutes, seconds = divmod(int(wait), 60)
            machine.tell(
                LOCKSMITHD_UNIT,
                f"Next window begins at {opens:%Y-%m-%d %H:%M:%S %z %Z}",
                f"Waiting for {minutes // 60}h{minutes % 60}m{seconds}s to reboot.",
            )
            yield max(wait, 1.0)

    def _read_conf(self) -> None:
        found = {}
        for line in (self._m.state.conf or "").splitlines():
            name, equals, value = line.strip().partition("=")
            if equals and not name.startswith("#"):
                found[name.removeprefix("LOCKSMITHD_")] = value.strip().strip("\"'")
        self._strategy = found.get("REBOOT_STRATEGY") or "reboot"
        self._window = (found.get("REBOOT_WINDOW_START", ""), found.get("REBOOT_WINDOW_LENGTH", ""))

    def _coordinate(self, state: CoordinatorState) -> None:
        machine = self._m
        machine.state = replace(machine.state, coordinator=Coordinator("locksmithd", self._strategy, state))

    def _die(self, text: str) -> None:
        """Exit 1; systemd starts it again ten seconds later."""
        machine = self._m
        machine.tell(LOCKSMITHD_UNIT, text)
        self._scope.end()
        self._has_seen = False
        file_state = machine.unit(LOCKSMITHD_UNIT).file_state or "disabled"
        waiting = Unit("loaded", "activating", "auto-restart", file_state, "exit-code")
        machine.set_unit(LOCKSMITHD_UNIT, waiting)
        self._scope = Scope(machine.boot)
        machine.after(_RESTART_S, self._scope, self.start)


def locksmithctl(host: SimulatedHost, argv: tuple[str, ...], uid: int) -> Reply:
    """`status` where the host has an etcd; all else as without one."""
    endpoints, rest = ENDPOINTS, list(argv)
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0).lstrip("-")
        if flag in ("h", "help"):
            return Reply(b"", _USAGE.encode())
        if flag in ("endpoint", "group") and rest:
            value = rest.pop(0)
            endpoints = value if flag == "endpoint" else endpoints
    if rest[:1] == ["help"] and rest[1:] and rest[1] not in _SUBCOMMANDS:
        return Reply(f"Unrecognized command: {rest[1]}\n".encode(), b"", 1)
    if not rest or rest[0] == "help":
        return Reply(_USAGE.encode())
    if rest[0] == "send-need-reboot":
        return Reply()
    if rest[0] not in _SUBCOMMANDS:
        text = f"locksmithctl: unknown subcommand: \"{rest[0]}\"\nRun 'locksmithctl help' for usage.\n"
        return Reply(text.encode(), b"", 2)
    if rest[0] == "reboot" and uid != 0:
        return Reply(b"", b"Must be root to initiate reboot.\n", 1)
    if rest[0] == "status" and host.lock is not None and endpoints == ENDPOINTS:
        return Reply(lock_status(host).content)
    return Reply(b"", no_etcd(endpoints).encode(), 1)
