"""fleetctl run as a user would, also at a terminal where a person types."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.demo_fleet import PLAIN

PROGRAM = [sys.executable, "-m", "console.cli"]
TYPING_S = 20.0


def argv(fleet: Path | None, words: Sequence[str]) -> list[str]:
    """The command line."""
    return [*PROGRAM, *([] if fleet is None else ["--fleet", str(fleet)]), *words]


@dataclass(frozen=True, slots=True)
class Terminal:
    """A user with a directory, a home and an environment of their own."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        kept = {key: value for key, value in PLAIN.items() if key != "SSH_AUTH_SOCK"}
        path = os.pathsep.join(filter(None, (str(Path(__file__).parents[2]), kept.get("PYTHONPATH"))))
        return kept | {"HOME": str(self.home), "PYTHONPATH": path} | self.environment

    def run(
        self, *words: str, fleet: Path | None = None, code: int | None = 0, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """fleetctl without a terminal; the exit code is checked unless it is None."""
        done = subprocess.run(
            argv(fleet, words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            cwd=self.home,
            env=self.environ,
            timeout=60,
        )
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def type(
        self, *words: str, answers: Sequence[tuple[str, str]], fleet: Path | None = None, code: int = 0
    ) -> str:
        """fleetctl at a terminal: each answer is typed once its question is on the screen. What was shown."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            argv(fleet, words),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.home,
            env=self.environ,
            close_fds=True,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            shown = ""
            for question, answer in answers:
                start = len(shown)
                shown = _until(ours, shown, question, start)
                os.write(ours, f"{answer}\n".encode())
            shown = _until(ours, shown, None, 0)
            assert process.wait(TYPING_S) == code, (process.returncode, shown)
            return shown
        finally:
            process.kill()
            process.wait()
            os.close(ours)


def _until(terminal: int, shown: str, wanted: str | None, start: int) -> str:
    """Read until `wanted` is shown after `start`; None: until the program's end."""
    deadline = time.monotonic() + TYPING_S
    while wanted is None or wanted not in shown[start:]:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{wanted!r} was not shown: {shown}"
        data = b""
        with contextlib.suppress(OSError):  # Linux: the other side is closed
            data = os.read(terminal, 4096)
        if not data:
            assert wanted is None, f"ended before {wanted!r}: {shown}"
            return shown
        shown += data.decode("utf-8", "replace")
    return shown
