"""A demo fleet in a process of its own, and fleetctl run on it as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLEETCTL = [sys.executable, "-m", "console.cli"]
_OTHERS = ("NO_COLOR", "FLEETCTL_FLEET", "COLUMNS", "LINES")
PLAIN = {key: value for key, value in os.environ.items() if key not in _OTHERS}


@dataclass(frozen=True, slots=True)
class Demo:
    """A running demo fleet; its directory holds the fleet file and the database."""

    directory: Path

    @property
    def scenarios(self) -> dict[str, str]:
        """Host -> scenario."""
        found: dict[str, str] = json.loads((self.directory / "scenarios.json").read_text())
        return found

    def host(self, scenario: str) -> str:
        """The first host of a scenario."""
        return next(name for name, found in self.scenarios.items() if found == scenario)

    def run(self, *words: str, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """fleetctl on this fleet; the exit code is checked unless it is None."""
        done = subprocess.run(
            [*FLEETCTL, "--fleet", str(self.directory / "fleet.toml"), *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=PLAIN | environment,
            timeout=60,
        )
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def status(self, *words: str) -> dict[str, Any]:
        """`status --json`, parsed."""
        found: dict[str, Any] = json.loads(self.run("status", "--json", *words).stdout)
        return found


def runner(name: str) -> int:
    """The process of `fleetctl run NAME`, once it is there."""
    ends_at = time.monotonic() + 15
    while time.monotonic() < ends_at:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except OSError:
                continue
            if name.encode() in words and b"run" in words:
                return int(path.parent.name)
        time.sleep(0.05)
    raise AssertionError(f"nobody carries {name} out")


@contextmanager
def served(directory: Path, *options: str) -> Iterator[Demo]:
    """Serve until the block ends; the server must end by itself on SIGTERM."""
    server = _started(directory, options)
    assert server.stdout is not None
    try:
        yield Demo(directory)
    finally:
        server.terminate()
        assert server.wait(timeout=20) == 0
        server.stdout.close()


def _started(directory: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    """Two that start at one moment may want the same port: the later one then tries again."""
    for _ in range(3):
        argv = [*FLEETCTL, "demo", "--serve", str(directory), *options]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        if server.stdout.readline() == "ready\n":
            return server
        server.stdout.close()
        assert server.wait(timeout=20) == 2
    raise AssertionError("the demo found no port")
