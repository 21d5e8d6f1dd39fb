"""Hosts with a FleetLock and a cluster around them: what was locked and drained, in their own words."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.unit.lock_servers import LockServer
from tests.unit.order_lab import OrderLab

_SCRIPT = """#!/bin/sh
dir={directory}
echo "$1 $2 begins" >> "$dir/log"
if [ -e "$dir/slow-$1" ]; then sleep 30; fi
if [ -e "$dir/fail-$1" ]; then echo "error: cannot $1 $2" >&2; exit 1; fi
echo "$1 $2 done" >> "$dir/log"
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A `kubectl` that writes down what it is asked; `fail-drain` makes that fail, `slow-drain` slow."""

    directory: Path

    def __post_init__(self) -> None:
        self.directory.mkdir()
        self.program.write_text(_SCRIPT.format(directory=self.directory))
        self.program.chmod(0o755)
        (self.directory / "log").touch()

    @property
    def program(self) -> Path:
        return self.directory / "kubectl"

    def turn(self, what: str, *, on: bool = True) -> None:
        """`fail-drain`, `fail-uncordon`, `slow-drain`."""
        path = self.directory / what
        path.touch() if on else path.unlink()

    @property
    def log(self) -> list[str]:
        return (self.directory / "log").read_text().splitlines()

    @property
    def done(self) -> list[str]:
        return [line.removesuffix(" done") for line in self.log if line.endswith(" done")]

    def drained(self) -> set[str]:
        """Nodes on which a drain was begun after which no uncordon was done."""
        found: set[str] = set()
        for line in self.log:
            verb, node, word = line.split()
            if verb == "drain":
                found.add(node)
            elif word == "done":
                found.discard(node)
        return found

    def wait_for_drain(self) -> None:
        """Blocking, until one is begun."""
        ends_at = time.monotonic() + 10.0
        while not self.log and time.monotonic() < ends_at:
            time.sleep(0.01)

    @property
    def fleet_text(self) -> str:
        return (
            f'[hooks]\nbefore_reboot = ["{self.program}", "drain", "{{node}}"]\n'
            f'after_reboot = ["{self.program}", "uncordon", "{{node}}"]\n'
        )


def lock_text(server: LockServer) -> str:
    return f'[fleetlock]\nurl = "{server.url}"\ngroup = "workers"\n'


def lab_with(
    directory: Path,
    scenarios: Sequence[str],
    use: Callable[[OrderLab], OrderLab],
    *parts: str,
) -> OrderLab:
    """A lab whose fleet file has these parts."""
    return use(OrderLab(directory, scenarios, "\n".join(parts)))
