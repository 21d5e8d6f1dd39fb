"""What a simulated host answers, read as an operator would: by grep.

On purpose not the product's parser, so that both cannot be wrong together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from collectors.probe import Frame, read_frame
from console.demo.answers import answer
from console.demo.healthy import HostSpec
from console.demo.scenarios import SELECTABLE
from console.demo.world import SimulatedHost

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
MARK = "0123456789abcdef"
NEWEST, BEFORE, OLDER = "4593.2.5", "4593.2.4", "4593.2.3"
NAMES = ("edge-fra-01", "edge-fra-02", "edge-fra-03", "db-lon-2")
"""Hosts that run slot A, and one that runs B."""


@dataclass(frozen=True)
class Seen:
    """What a host answered, as an operator would grep it."""

    host: SimulatedHost
    frame: Frame

    def text(self, section: str) -> str:
        return self.frame.sections[section].content.decode()

    def flags(self, slot: str) -> tuple[int, ...]:
        line = re.search(r"priority=(\d+) tries=(\d+) successful=(\d)", self.text(f"gpt_{slot}"))
        assert line is not None
        return tuple(int(number) for number in line.groups())

    @property
    def letter(self) -> str:
        return "AB"[self.text("slotdevs").split().index(self.text("usrdev").strip())]

    @property
    def running(self) -> tuple[int, ...]:
        return self.flags(self.letter)

    @property
    def other(self) -> tuple[int, ...]:
        return self.flags("BA"["AB".index(self.letter)])

    @property
    def status(self) -> list[object]:
        data = json.loads(self.text("status"))["data"]
        assert isinstance(data, list)
        return data

    def pairs(self, section: str) -> dict[str, str]:
        return dict(line.split("\t") for line in self.text(section).splitlines() if "\t" in line)

    @property
    def version(self) -> str:
        line = re.search(r'^VERSION_ID="?([0-9.]+)', self.text("os"), flags=re.MULTILINE)
        assert line is not None
        return line[1]

    def unit(self, name: str) -> dict[str, str]:
        records = (block.splitlines() for block in self.text("units").split("\n\n"))
        parsed = (dict(line.split("=", 1) for line in record) for record in records)
        return next(record for record in parsed if record["Id"] == name)

    @property
    def merged(self) -> list[str]:
        usr = next(row for row in json.loads(self.text("sysext")) if row["hierarchy"] == "/usr")
        return [] if usr["extensions"] == "none" else list(usr["extensions"])

    @property
    def is_staged(self) -> bool:
        return self.running == (1, 0, 1) and self.other == (2, 1, 0)


def look(name: str, host: str = NAMES[0], later: timedelta = timedelta()) -> Seen:
    scenario = SELECTABLE[name]
    state = scenario.build(HostSpec(host, START, scenario.flavour))
    return Seen(state, read_frame(answer(state, MARK, START + later), MARK))


Check = Callable[[Seen], None]


def idle(seen: Seen) -> bool:
    return seen.status[2] == "UPDATE_STATUS_IDLE" and seen.pairs("flags")["staged_marker"] == "0"


def without_engine(seen: Seen) -> bool:
    status = seen.frame.sections["status"]
    complaint = b"Call failed: The name com.coreos.update1 was not provided by any .service files\n"
    return status.exit_status == 1 and status.content == complaint


class Evidence(dict[str, Check]):
    """Checks by scenario: each is a function of the scenario's name."""

    def __call__(self, check: Check) -> Check:
        self[check.__name__] = check
        return check
