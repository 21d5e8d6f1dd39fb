"""The fleet's clock runs on while it is read: nothing that becomes due in between passes unnoticed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from console.demo.fleet import Manner, begin
from console.demo.fleet_life import Clock
from console.demo.healthy import HostSpec
from console.demo.live.kinds import LogEntry, What
from console.demo.scenarios import SCENARIOS

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)


class Hasty(Clock):
    """Shows a minute more each time it is read, as on a slow machine with a fast clock."""

    readings = 0

    def now(self) -> datetime:
        self.readings += 1
        return self.start + timedelta(minutes=self.readings)


def test_what_happens_while_a_host_is_looked_at_is_told_at_once() -> None:
    heard: list[LogEntry] = []

    def told(entries: Sequence[LogEntry]) -> None:
        heard.extend(entries)

    scenario = SCENARIOS["current"]
    state = scenario.build(HostSpec("lab-1", START, scenario.flavour))
    life = begin([], [state], Hasty(START, speed=60), Manner(alive=True), told=told)
    for _ in range(200):
        assert life.host("lab-1").log == []
    assert len([entry for entry in heard if entry.what is What.CHECKED]) > 3
