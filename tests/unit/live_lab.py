"""A live host in the state of the laboratory in which the recordings were made, and time to pass on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from collectors.facts import Operation, SlotName
from console.demo.healthy import HostSpec, healthy, with_slots
from console.demo.live.host import NO_FAULTS, LiveHost
from console.demo.live.kinds import LAB, Faults, Pending, Power, Reply, Timing, UpdateServer, What
from console.demo.world import SimulatedHost

START = datetime(2026, 11, 23, 4, 45, tzinfo=UTC)
OLD, NEW, NEWEST = "4593.2.3", "4593.2.4", "4593.2.5"
CONF = "GROUP=stable\nSERVER=http://127.0.0.1:8080/v1/update/\nREBOOT_STRATEGY=off\n"


def fresh(conf: str = CONF) -> SimulatedHost:
    """OLD in slot A, slot B never written, booted a minute ago and never checked."""
    spec = HostSpec("lab", START)
    host = healthy(spec, back=2, up=timedelta(minutes=1))
    host = replace(
        host,
        running=SlotName.A,
        conf=conf,
        prefs=None,
        journal=(),
        hardware=replace(host.hardware, aleph_version=OLD),
    )
    return with_slots(host, (1, 0, 1), (0, 0, 0), other_version=None)


class Lab:
    """The host, its server, and a way to wait for things."""

    def __init__(
        self,
        state: SimulatedHost | None = None,
        *,
        alive: bool = False,
        seed: int = 1,
        timing: Timing = LAB,
        faults: Faults = NO_FAULTS,
    ) -> None:
        self.server = UpdateServer({"stable": NEW}, payload_bytes=65255599)
        self.host = LiveHost(
            state or fresh(), self.server, now=START, alive=alive, seed=seed, timing=timing, faults=faults
        )

    def wait(self, seconds: float) -> None:
        self.host.advance(self.host.now + timedelta(seconds=seconds))

    def until(self, holds: Callable[[], bool], limit_s: float = 7200.0) -> None:
        """Go from event to event until something holds."""
        limit = self.host.now + timedelta(seconds=limit_s)
        while not holds():
            due = self.host.next_due()
            assert due is not None, "nothing more will happen"
            assert due <= limit, f"not within {limit_s} s"
            self.host.advance(due)

    def until_operation(self, operation: Operation, progress: float = 0.0) -> None:
        def holds() -> bool:
            engine = self.host.state.engine
            return engine.operation is operation and engine.progress >= progress

        self.until(holds)

    def start(self, *argv: str, uid: int = 0) -> Pending:
        found = self.host.run(argv, uid=uid)
        assert isinstance(found, Pending)
        return found

    def run(self, *argv: str, uid: int = 0) -> Reply:
        """Run it to its end."""
        found = self.host.run(argv, uid=uid)
        if isinstance(found, Pending):
            self.until(lambda: found.is_over)
            assert found.reply is not None, "it was killed"
            return found.reply
        return found

    def update(self) -> Reply:
        return self.run("update_engine_client", "-update")

    def reboot(self) -> None:
        """And wait until a service of the new boot runs, or the host is lost."""
        boot = self.host.state.boot_id
        assert self.run("systemctl", "reboot").exit_status == 0
        self.until(lambda: self.host.state.boot_id != boot and self.host.has_updater)

    def reboot_for(self, seconds: float) -> None:
        """And give it so long, whatever comes up."""
        assert self.run("systemctl", "reboot").exit_status == 0
        self.wait(seconds)

    def power(self) -> Power:
        return self.host.power

    def told(self, what: What) -> list[str]:
        """Details of the log's entries of one kind."""
        return [entry.detail for entry in self.host.log if entry.what is what]

    def flags(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Priority, tries, successful of A and B."""
        state = self.host.state
        a, b = state.a, state.b
        return (a.priority, a.tries, int(a.successful)), (b.priority, b.tries, int(b.successful))
