"""The life of a simulated fleet: one clock for all its hosts, who is next, what was seen to happen.

Every host is advanced before it is read or asked, so nobody ever sees one that lags behind. With a clock that
runs, one task sleeps until the earliest event of any host; with one that stands, time passes by `advance`, or
while somebody waits, from event to event: then thousands of reboots cost seconds.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from datetime import UTC, datetime, timedelta

from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from console.demo import commands, faults
from console.demo.commands import Unread
from console.demo.faults import Changed, Fault, PlannedFault, Wire
from console.demo.live.host import LiveHost
from console.demo.live.kinds import LogEntry, Pending, Power, Reply, UpdateServer
from console.demo.plan import current_offers
from console.demo.world import SimulatedHost

CORE_UID = 500
NOLOGIN = (
    "System is going down. Unprivileged users are not permitted to log in anymore. "
    "For technical details, see pam_nologin(8)."
)
"""What pam_nologin says while a host shuts down.
Source: systemd/systemd:src/shared/reboot-util.c@428b296a599d010531c4577d55e1dea007511613."""
_LONGEST_NAP_S = 3600.0

Told = Callable[[Sequence[LogEntry]], None]
Said = Callable[[bytes, bytes], None]


class Clock:
    """The hosts' time: their start, and `speed` seconds for each of ours; speed 0: it stands."""

    def __init__(self, start: datetime, speed: float = 1.0) -> None:
        self.start = start
        self.speed = speed
        self._at = start
        self._began_s = time.monotonic()

    @property
    def is_running(self) -> bool:
        return self.speed > 0

    def now(self) -> datetime:
        if not self.is_running:
            return self._at
        return self.start + timedelta(seconds=(time.monotonic() - self._began_s) * self.speed)

    def put(self, at: datetime) -> None:
        """Set a clock that stands; it never goes back."""
        assert not self.is_running, "this clock runs by itself"
        self._at = max(self._at, at)

    def ours(self, at: datetime) -> datetime:
        """Our own time when the hosts' clock shows this."""
        return self.start + (at - self.start) / self.speed if self.is_running else at

    def nap_s(self, until: datetime | None) -> float:
        """Our seconds until the hosts' clock shows that."""
        if until is None:
            return _LONGEST_NAP_S
        return min(_LONGEST_NAP_S, max(0.0, (until - self.now()).total_seconds() / self.speed))


class HostDown(Exception):
    """The host went down, or killed the command, under whoever waited for its end."""


class FleetLife:
    """The hosts and their time. `told` hears what happened, in the order in which it was noticed."""

    def __init__(self, hosts: Iterable[LiveHost], clock: Clock, *, told: Told | None = None) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.clock = clock
        self.on_power: Callable[[str, Power], None] = lambda name, power: None
        """Called when a host is seen in another state of power, or with other host keys."""
        self._told = told
        self._seen = {name: (host.power, host.key_generation) for name, host in self.hosts.items()}
        self._faults: dict[str, dict[str, Changed]] = {}
        self._wires: dict[str, frozenset[Wire]] = {}
        self._later: list[tuple[datetime, int, Callable[[], None]]] = []
        self._queue: list[tuple[datetime, int, str]] = []
        self._count = 0
        self._waits: dict[str, set[asyncio.Future[None]]] = {}
        """Who waits for news of a host."""
        self._noted: dict[str, datetime | None] = {}
        """When each host is next due, as the queue has it."""
        self._deadlines: dict[float, int] = {}
        """Of those who wait on a clock that stands -> how many they are."""
        self._wake = asyncio.Event()
        for name in self.hosts:
            self._touched(name)

    @property
    def now(self) -> datetime:
        return self.clock.now()

    # -- one host -----------------------------------------------------------------------------

    def host(self, name: str) -> LiveHost:
        """The host as it is now."""
        host, now = self.hosts[name], self.now  # one moment: nothing that is due may pass unnoticed
        if (due := host.next_due()) is not None and due <= now:
            self._advance(host, now)
        elif host.now < now:
            host.advance(now)
        return host

    def power(self, name: str) -> Power:
        return self.host(name).power

    def run(
        self, name: str, argv: Sequence[str], *, uid: int = CORE_UID, stdin: bytes = b""
    ) -> Reply | Pending:
        """Run a program there now. Raises HostDown where the host is down."""
        host = self.host(name)
        try:
            if Wire.LIE in self.wires(name) and commands.asks_status(argv) and host.has_updater:
                out, err, status = commands.reply(faults.told(host.state, [Wire.LIE]), " ".join(argv))
                return Reply(out.encode(), err.encode(), status)
            return host.run(argv, uid=uid, stdin=stdin)
        except ConnectionError as error:
            raise HostDown(str(error)) from error
        finally:
            self._touched(name)
            self._ring(name)

    def probe(self, name: str, mark: str, units: tuple[str, ...] = ()) -> bytes:
        """What the probe prints there now, faults of the wire included that show in its words."""
        host, wires = self.host(name), self.wires(name)
        if not wires:
            return host.answer_probe(mark, uid=CORE_UID, units=units)
        truth = host.state
        host.state = faults.told(truth, wires)
        try:
            return host.answer_probe(mark, uid=CORE_UID, units=units)
        finally:
            host.state = truth

    async def execute(
        self, name: str, command: str, stdin: bytes, said: Said, *, timeout_s: float | None = None
    ) -> int:
        """Run a command line to its end; its exit status. `said` gets output as it comes.

        Raises HostDown where the end will never come, TimeoutError after `timeout_s` (of the hosts' clock if
        that stands); what runs there then runs on.
        """
        steps = commands.read(command)
        if isinstance(steps, Unread):
            said(b"", steps.complaint.encode())
            return steps.exit_status
        status, until = 0, self._until(timeout_s)
        for step in steps:
            if step.joint.lets_run(status):
                found = self.run(name, step.argv, stdin=stdin)
                status = await self._end(name, found, said, until)
        return status

    async def _end(self, name: str, found: Reply | Pending, said: Said, until: float | None) -> int:
        """Pass on what a program says until it ends; its exit status."""
        if isinstance(found, Reply):
            said(found.stdout, found.stderr)
            return found.exit_status
        out = err = 0
        try:
            while True:
                now = found.reply or Reply(found.stdout, found.stderr)
                if len(now.stdout) > out or len(now.stderr) > err:
                    said(now.stdout[out:], now.stderr[err:])
                    out, err = len(now.stdout), len(now.stderr)
                if found.reply is not None:
                    return found.reply.exit_status
                if found.is_lost:
                    raise HostDown(f"{name}: the command was killed")
                await self._news(name, found, until)
        finally:
            if found.is_endless:
                found.kill()

    # -- faults -------------------------------------------------------------------------------

    def wires(self, name: str) -> frozenset[Wire]:
        """What happens to this host's answers on their way."""
        return self._wires.get(name, frozenset())

    def fault(self, name: str, fault: Fault | str, on: bool = True) -> None:
        """Let a fault begin on a host, or end it. ConfigError for an unknown name of either."""
        found = faults.fault(fault) if isinstance(fault, str) else fault
        if name not in self.hosts:
            raise ConfigError("--fault", name, f"no host has this name{did_you_mean(name, self.hosts)}")
        host = self.host(name)
        if found.wire is not None:
            self._wires[name] = self.wires(name) | {found.wire} if on else self.wires(name) - {found.wire}
            return
        assert found.host is not None
        active = self._faults.setdefault(name, {})
        active.pop(found.name, None)
        if on:
            active[found.name] = found.host(host.state)
        host.faults = faults.combined(active.values())
        self._touched(name)

    def plan_fault(self, planned: PlannedFault) -> None:
        """Let it begin when its moment comes. ConfigError for an unknown host."""
        if planned.after_s <= 0 or planned.host not in self.hosts:
            self.fault(planned.host, planned.fault)
            return
        self._count += 1
        due = self.clock.start + timedelta(seconds=planned.after_s)
        heapq.heappush(self._later, (due, self._count, lambda: self.fault(planned.host, planned.fault)))
        self._wake.set()

    # -- time ---------------------------------------------------------------------------------

    def next_due(self) -> datetime | None:
        """When something happens next, anywhere."""
        while self._queue and self._queue[0][0] != self._noted[self._queue[0][2]]:
            heapq.heappop(self._queue)
        times = [self._later[0][0]] if self._later else []
        times += [self._queue[0][0]] if self._queue else []
        return min(times, default=None)

    def advance(self, seconds: float) -> None:
        """Let so much time pass on a clock that stands, event by event in order of time."""
        self.advance_to(self.now + timedelta(seconds=seconds))

    def advance_to(self, until: datetime) -> None:
        """Let time pass up to a moment of the hosts' clock."""
        while (due := self.next_due()) is not None and due <= until:
            self.clock.put(due)
            self._happen(due)
        self.clock.put(until)

    async def live(self) -> None:
        """Keep the hosts up with a clock that runs, until cancelled."""
        while True:
            self._wake.clear()
            self._happen(self.now)
            try:
                async with asyncio.timeout(self.clock.nap_s(self.next_due())):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def sleep(self, seconds: float) -> None:
        """Wait so long: our seconds, or the hosts' where their clock stands."""
        if self.clock.is_running:
            await asyncio.sleep(seconds)
            return
        until = self._until(seconds)
        while until is not None and self.seconds() < until:
            await self._pass(until)

    def seconds(self) -> float:
        """What timeouts are counted in: our seconds, or the hosts' where their clock stands."""
        return time.monotonic() if self.clock.is_running else (self.now - self.clock.start).total_seconds()

    def _until(self, timeout_s: float | None) -> float | None:
        return None if timeout_s is None else round(self.seconds() + timeout_s, 6)

    async def _news(self, name: str, found: Pending, until: float | None) -> None:
        """Wait until something happened on a host. Raises TimeoutError after `until`."""
        if not self.clock.is_running:
            before = self.hosts[name].next_due()
            if before is None and until is None:
                raise HostDown(f"{name}: the command will never end")
            while self.hosts[name].next_due() == before and not found.is_over:
                if until is not None and self.seconds() >= until:
                    raise TimeoutError
                await self._pass(until)
            return
        future = asyncio.get_running_loop().create_future()
        self._waits.setdefault(name, set()).add(future)
        try:
            async with asyncio.timeout(None if until is None else until - self.seconds()):
                await future
        finally:
            self._waits.get(name, set()).discard(future)

    async def _pass(self, until: float | None) -> None:
        """Go to the next event or deadline of anybody, at most to `until`, and let the others look."""
        if until is not None:
            self._deadlines[until] = self._deadlines.get(until, 0) + 1
        try:
            times = [self.clock.start + timedelta(seconds=item) for item in self._deadlines]
            if (due := self.next_due()) is not None:
                times.append(due)
            self.advance_to(min(times, default=self.now))
            await asyncio.sleep(0)
        finally:
            if until is not None:
                self._deadlines[until] -= 1
                if not self._deadlines[until]:
                    del self._deadlines[until]

    def _happen(self, until: datetime) -> None:
        """All that is due until then, in order of time."""
        while (due := self.next_due()) is not None and due <= until:
            if self._later and self._later[0][0] <= due:
                heapq.heappop(self._later)[2]()
            else:
                self._advance(self.hosts[heapq.heappop(self._queue)[2]], due)

    def _advance(self, host: LiveHost, until: datetime) -> None:
        host.advance(until)
        self._touched(host.name)
        self._ring(host.name)

    def _touched(self, name: str) -> None:
        """A host may have changed: note when it is next due, tell what it logged and where its power is."""
        host = self.hosts[name]
        due = host.next_due()
        if due != self._noted.get(name):
            self._noted[name] = due
            if due is not None:
                self._count += 1
                heapq.heappush(self._queue, (due, self._count, name))
                if self._queue[0][2] == name:
                    self._wake.set()
        if self._told is not None and host.log:
            self._told(tuple(host.log))
            host.log.clear()
        seen = host.power, host.key_generation
        if seen != self._seen[name]:
            self._seen[name] = seen
            self.on_power(name, host.power)

    def _ring(self, name: str) -> None:
        for future in self._waits.pop(name, ()):
            if not future.done():
                future.set_result(None)


def standing_still(states: Iterable[SimulatedHost]) -> FleetLife:
    """The life of hosts that act on commands only, from now on."""
    now = datetime.now(UTC)
    server = UpdateServer(current_offers())
    hosts = [LiveHost(state, server, now=now, alive=False, seed=1) for state in states]
    return FleetLife(hosts, Clock(now))


class States(MutableMapping[str, SimulatedHost]):
    """Each host as it is now, by name; a value put in is what the next command sees."""

    def __init__(self, life: FleetLife) -> None:
        self._life = life

    def __getitem__(self, name: str) -> SimulatedHost:
        return self._life.host(name).state

    def __setitem__(self, name: str, state: SimulatedHost) -> None:
        self._life.host(name).state = state

    def __delitem__(self, name: str) -> None:
        raise TypeError("a host of a served fleet cannot be taken away")

    def __iter__(self) -> Iterator[str]:
        return iter(self._life.hosts)

    def __len__(self) -> int:
        return len(self._life.hosts)
