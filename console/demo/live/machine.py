"""What all parts of a live host share: its state, its clock with the events to come, its log.

A process is a generator that yields how many seconds it waits; it lives in a `Scope` and is dropped, where
it stands, when that ends. Chance is a function of the seed and of how often it was asked.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from collectors.facts import DiskUse, SlotName, Unit
from console.demo.live.kinds import Faults, LogEntry, Power, Scope, Timing, UpdateServer, What
from console.demo.tools import NOT_FOUND
from console.demo.world import FailedUnit, JournalLine, SimulatedHost, SlotState, hex_of

Process = Generator[float, None, None]
Heard = Callable[[str, JournalLine], None]
"""A unit, and a line of its journal."""
ENGINE_UNIT = "update-engine.service"
LOCKSMITHD_UNIT = "locksmithd.service"
SYSEXT_UNIT = "systemd-sysext.service"
_JOURNAL_LINES = 400
"""Kept of a unit in one boot; more are asked for by nobody."""
_DESCRIPTIONS = {
    ENGINE_UNIT: "Update Engine",
    LOCKSMITHD_UNIT: "Cluster reboot manager",
    SYSEXT_UNIT: "Merge System Extension Images into /usr/ and /opt/",
    "containerd.service": "containerd container runtime",
    "docker.service": "Docker Application Container Engine",
    "kubelet.service": "kubelet: The Kubernetes Node Agent",
}


def is_in_memory(path: str) -> bool:
    """Whether this path is of a file system that a boot empties."""
    return path.startswith(("/run/", "/tmp/"))


def grown(use: DiskUse, size_bytes: int) -> DiskUse:
    """A file system's use with so much more in it."""
    used, available = use.used_bytes + size_bytes, use.available_bytes - size_bytes
    return DiskUse(use.fstype, use.size_bytes, used, available)


class Machine:
    """The state of one host and the events that will change it."""

    def __init__(
        self,
        state: SimulatedHost,
        server: UpdateServer,
        *,
        now: datetime,
        is_alive: bool,
        seed: int,
        timing: Timing,
        faults: Faults,
    ) -> None:
        self.state = state
        self.server = server
        self.now = now
        self.is_alive = is_alive
        self.seed = seed
        self.timing = timing
        self.faults = faults
        self.power = Power.ON
        self.log: list[LogEntry] = []
        self.life = Scope()
        self.boot = Scope(self.life)
        """Ends when the host goes down."""
        self.boots = 0
        self.key_generation = 0
        self.run_files: dict[str, bytes | bytearray] = {}
        """Other files under /run and /tmp; gone with the boot."""
        self.disk_files: dict[str, bytes | bytearray] = {}
        """Other files that last."""
        self.folders: set[str] = set()
        """Made by visitors."""
        self.files_bytes = 0
        """What `disk_files` take up of /."""
        self.unit_journal: dict[str, list[tuple[datetime, str]]] = {}
        """Of units beside update_engine, in this boot."""
        self.earlier_journal: tuple[JournalLine, ...] = ()
        """update_engine's, of the boot before."""
        self.earlier_unit_journal: dict[str, list[tuple[datetime, str]]] = {}
        """Of units beside update_engine, in the boot before."""
        self.listeners: list[tuple[Scope, Heard]] = []
        """Who hears each new line of a journal, and for how long."""
        self._events: list[tuple[datetime, int, Scope, Callable[[], None]]] = []
        self._count = 0
        self._chances = 0

    # -- time ---------------------------------------------------------------------------------

    @property
    def wall(self) -> datetime:
        """The host's own clock, which a fault may have put wrong."""
        return self.now + timedelta(seconds=self.faults.clock_off_s)

    def after(self, seconds: float, scope: Scope, action: Callable[[], None]) -> None:
        """Do something so much later, if its scope still lives then."""
        self._count += 1
        due = self.now + timedelta(seconds=max(0.0, seconds))
        heapq.heappush(self._events, (due, self._count, scope, action))

    def start(self, process: Generator[float, None, object], scope: Scope, *, delay_s: float = 0.0) -> None:
        """Run a process: at once up to its first wait, or all of it later."""

        def step() -> None:
            wait = next(process, None)
            if wait is not None and not scope.is_over:
                self.after(wait, scope, step)

        if delay_s:
            self.after(delay_s, scope, step)
        else:
            step()

    def next_due(self) -> datetime | None:
        """When the next event comes."""
        while self._events and self._events[0][2].is_over:
            heapq.heappop(self._events)
        return self._events[0][0] if self._events else None

    def advance(self, to: datetime) -> None:
        """Run what is due until `to`, in order of time."""
        while (due := self.next_due()) is not None and due <= to:
            _, _, _, action = heapq.heappop(self._events)
            self.now = max(self.now, due)
            action()
        self.now = max(self.now, to)

    def number(self, what: str, below: int) -> int:
        """A made-up number from 0; another one each time."""
        self._chances += 1
        return int(hex_of(self.seed, self.state.name, what, self._chances, digits=12), 16) % below

    def around(self, seconds: float, fuzz: float) -> float:
        """Seconds, up to `fuzz` more or less."""
        return seconds - fuzz + self.number("around", int(2 * fuzz) + 1)

    # -- state --------------------------------------------------------------------------------

    def record(self, what: What, detail: str = "") -> None:
        self.log.append(LogEntry(self.now, self.state.name, what, detail))

    def say(self, *lines: JournalLine) -> None:
        """Lines of update_engine's journal."""
        self.state = replace(self.state, journal=(self.state.journal + lines)[-_JOURNAL_LINES:])
        self._let_hear(ENGINE_UNIT, lines)

    def tell(self, unit: str, *texts: str) -> None:
        """Lines of another unit's journal."""
        found = self.unit_journal.setdefault(unit, [])
        found += [(self.wall, text) for text in texts]
        del found[:-_JOURNAL_LINES]
        self._let_hear(unit, [JournalLine(self.wall, text) for text in texts])

    def _let_hear(self, unit: str, lines: Iterable[JournalLine]) -> None:
        self.listeners = [(scope, heard) for scope, heard in self.listeners if not scope.is_over]
        for line in lines if self.listeners else ():
            for _, heard in self.listeners:
                heard(unit, line)

    def use_disk(self, size_bytes: int) -> None:
        """Files of / grew by so much; negative: they shrank."""
        self.files_bytes += size_bytes
        use = self.state.disks.get("/")
        if use is not None and not self.faults.disk_full:
            self.state = replace(self.state, disks={**self.state.disks, "/": grown(use, size_bytes)})

    def forget_files(self, *, of_disk: bool) -> None:
        """A boot empties /run and /tmp; a reset empties the disk too."""
        self.run_files.clear()
        self.folders = set() if of_disk else {name for name in self.folders if not is_in_memory(name)}
        if of_disk:
            self.use_disk(-self.files_bytes)
            self.disk_files.clear()

    def set_slot(self, name: SlotName, slot: SlotState) -> None:
        self.state = replace(self.state, a=slot) if name is SlotName.A else replace(self.state, b=slot)

    def unit(self, name: str) -> Unit:
        return self.state.units.get(name, NOT_FOUND)

    def set_unit(self, name: str, unit: Unit | None) -> None:
        """Change a unit, forget it (None), and keep the list of failed ones true."""
        units = {key: value for key, value in self.state.units.items() if key != name}
        failed = tuple(item for item in self.state.failed if item.name != name)
        if unit is not None:
            units[name] = unit
            if unit.active == "failed":
                failed += (FailedUnit(name, _DESCRIPTIONS.get(name, name)),)
        self.state = replace(self.state, units=units, failed=failed)

    def fail_unit(self, name: str, result: str = "exit-code") -> None:
        found = self.unit(name)
        file_state = found.file_state or "disabled"
        self.set_unit(name, Unit("loaded", "failed", "failed", file_state, result))
        self.record(What.UNIT_FAILED, name)

    def set_prefs(self, **values: object) -> None:
        """Some of update_engine's files, `_` in a name for its `-`."""
        changed = {key.replace("_", "-"): str(value) for key, value in values.items()}
        self.state = replace(self.state, prefs={**(self.state.prefs or {}), **changed})

    def pref(self, name: str) -> str:
        return (self.state.prefs or {}).get(name, "")

    def count_pref(self, name: str) -> int:
        text = self.pref(name)
        return int(text) if text.lstrip("-").isdigit() else 0

    def setting(self, key: str, default: str = "") -> str:
        """A key of update.conf as update_engine reads it: the last at column 0, matching quotes off."""
        value = default
        for line in (self.state.conf or "").split("\n"):
            name, equals, text = line.partition("=")
            if equals and name == key:
                value = text
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        return value[1:-1] if quoted else value
