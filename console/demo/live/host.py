"""One live host: a state, a clock, and commands that change them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.demo.live.kinds import REAL, Faults, LogEntry, Pending, Power, Reply, Timing, UpdateServer
from console.demo.world import SimulatedHost


class LiveHost:
    """A host that runs. Advance it to the moment first, then read it or run commands on it."""

    def __init__(
        self,
        state: SimulatedHost,
        server: UpdateServer,
        *,
        now: datetime,
        alive: bool,
        seed: int,
        timing: Timing = REAL,
        faults: Faults = Faults(),  # noqa: B008  # frozen
    ) -> None:
        self.state = state
        self.server = server
        self.now = now
        self.is_alive = alive
        self.seed = seed
        self.timing = timing
        self.faults = faults
        self.power = Power.ON
        self.log: list[LogEntry] = []
        self.key_generation = 0

    def advance(self, to: datetime) -> None:
        """Run all events that are due until `to`, in order."""
        self.now = max(self.now, to)

    def next_due(self) -> datetime | None:
        """When the next event comes; None: nothing will happen without a command."""
        return None

    def run(self, argv: Sequence[str], *, uid: int, stdin: bytes = b"") -> Reply | Pending:
        """Run a program as this user, now."""
        return Reply(b"", f"bash: {argv[0]}: command not found\n".encode(), 127)

    def answer_probe(self, mark: str, *, uid: int, units: tuple[str, ...] = ()) -> bytes:
        """What the probe prints on it now."""
        from console.demo import answers

        return answers.answer(self.state, mark, self.now, uid=uid, units=units)
