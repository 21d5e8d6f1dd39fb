"""A terminal with a person at it: fleetctl in tmux, driven by keys, read as text."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

WAIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Screen:
    """One tmux server with one pane."""

    socket: Path

    def tmux(self, *words: str) -> str:
        argv = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout

    def press(self, *keys: str) -> None:
        """Keys by tmux's names: `Down`, `Enter`, `C-p`, `/`."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    @property
    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    @property
    def colours(self) -> str:
        """The same with the codes of its colours."""
        return self.tmux("capture-pane", "-p", "-e")

    def until(self, *wanted: str, gone: Sequence[str] = ()) -> str:
        """The screen, once all of `wanted` is on it and nothing of `gone`."""
        deadline = time.monotonic() + WAIT_S
        while True:
            text = self.text
            if all(word in text for word in wanted) and not any(word in text for word in gone):
                return text
            assert time.monotonic() < deadline, f"waited for {wanted}, not {list(gone)}:\n{text}"
            time.sleep(0.05)

    def resize(self, width: int, height: int) -> None:
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    @property
    def pid(self) -> int:
        """Of the program in the pane."""
        return int(self.tmux("display-message", "-p", "#{pane_pid}"))

    def _unreaped_status(self) -> int:
        """Wait status of a process that has ended and still has its entry: the last field of its stat."""
        return int(Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[-1])

    @property
    def exit_code(self) -> int:
        """Once the program has ended; 128 and its number where a signal ended it, as shells count."""
        deadline = time.monotonic() + WAIT_S
        while True:
            dead, status, number = (
                self.tmux("display-message", "-p", "#{pane_dead},#{pane_dead_status},#{pane_dead_signal}")
                .strip()
                .split(",")
            )
            if dead == "1" and (status or number):
                return int(status) if status else 128 + int(number)
            if dead == "1":  # ended, and tmux has not been told yet with which status: the kernel knows
                return os.waitstatus_to_exitcode(self._unreaped_status())
            assert time.monotonic() < deadline, f"has not ended:\n{self.text}"
            time.sleep(0.05)


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + 15
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def on_screen(
    directory: Path, argv: Sequence[str], *, width: int = 120, height: int = 40, **environment: str
) -> Iterator[Screen]:
    """`argv` in a terminal of that size, until the block ends. Skips without tmux, fails so in CI."""
    if shutil.which("tmux") is None:
        reason = "tmux is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    screen = Screen(directory / "tmux")
    settings = {"COLORTERM": "truecolor", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"} | environment
    words = [
        "env",
        "-u",
        "COLUMNS",
        "-u",
        "LINES",
        *(f"{name}={value}" for name, value in settings.items()),
        *argv,
    ]
    size = ["-x", str(width), "-y", str(height)]
    screen.tmux("new-session", "-d", *size, "sleep 60")
    try:
        screen.tmux("set-option", "-g", "remain-on-exit", "on")
        screen.tmux("set-option", "-g", "status", "off")
        screen.tmux("set-option", "-g", "default-terminal", "tmux-256color")
        screen.tmux("respawn-pane", "-k", f"exec {shlex.join(words)}")
        screen.resize(width, height)
        yield screen
    finally:
        pid = screen.pid
        screen.tmux("kill-server")
        until_gone(pid)
