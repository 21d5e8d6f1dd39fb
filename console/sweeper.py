"""The dashboard's own sweeper: `fleetctl collect --watch` as a process beside it.

A process of its own keeps the keys quick, keeps its connections however often the dashboard is drawn, and is
the same sweeper by the same lease as any other. It ends with the dashboard, however that ends: its standard
input closes then.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

END_TIMEOUT_S = 5.0
LINES_KEPT = 20


def own_argv(fleet_file: Path) -> list[str]:
    """This fleetctl on the same fleet, as a process that says plain sentences; its command is to follow."""
    return [sys.executable, "-m", "console.cli", "--fleet", str(fleet_file), "--color", "never"]


class Sweeper:
    """At most one process at a time."""

    def __init__(self, fleet_file: Path) -> None:
        self._argv = [*own_argv(fleet_file), "collect", "--watch", "--attached"]
        self._process: subprocess.Popen[str] | None = None
        self._said: deque[str] = deque(maxlen=LINES_KEPT)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def last_words(self) -> str:
        """What it said last on standard error; "" if nothing."""
        return self._said[-1].removeprefix("fleetctl: ") if self._said else ""

    def start(self) -> None:
        """In a session of its own: the terminal's signals are the dashboard's alone. Raises OSError."""
        self.reap()
        self._said = deque(maxlen=LINES_KEPT)
        process = subprocess.Popen(
            self._argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._process = process
        threading.Thread(target=_listen, args=(process, self._said), name="sweeper", daemon=True).start()

    def stop(self) -> None:
        """Ask it to end, and wait: what it has seen is stored."""
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process, self._said = None, deque(maxlen=LINES_KEPT)

    def reap(self) -> None:
        if self._process is not None and not self.is_running:
            self.stop()


def _listen(process: subprocess.Popen[str], said: deque[str]) -> None:
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            if line.strip():
                said.append(line.strip())
