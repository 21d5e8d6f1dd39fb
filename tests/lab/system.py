"""Small helpers around processes, files and locks."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.settings import LAB_DIR, PROJECT

CompletedText = subprocess.CompletedProcess[str]


class LabError(Exception):
    """Something of the lab's own went wrong; the message is for people."""


def say(text: str) -> None:
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, check: bool = True, env: Mapping[str, str] | None = None) -> CompletedText:
    """Run a command with stdout and stderr in one text; LabError with its tail when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        env=env,
        check=False,
    )
    if check and done.returncode:
        raise LabError(f"{words[0]} failed ({done.returncode})\n{' '.join(words)}\n{done.stdout[-3000:]}")
    return done


def start_part(log: Path, *words: str, prefix: tuple[str, ...] = ()) -> int:
    """Start another part of the lab (`python -m tests.lab WORDS`) that outlives us; its process id."""
    with log.open("a") as sink:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.lab", *words],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=PROJECT,
            start_new_session=True,
        )
    # The part is stopped by its process id later, perhaps from another process: nobody waits for it here.
    process.returncode = 0
    return process.pid


@contextmanager
def timed(what: str) -> Iterator[None]:
    begin = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - begin:.1f} s")


@contextmanager
def locked() -> Iterator[None]:
    """Only one process at a time builds or changes the set of hosts."""
    LAB_DIR.mkdir(parents=True, exist_ok=True)
    with (LAB_DIR / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def read_json(path: Path, default: Any) -> Any:
    """The file's value; `default` if it is absent or half written by a crash."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return default


def write_json(path: Path, value: Any) -> None:
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
    part.replace(path)


def is_alive(pid: int | None) -> bool:
    if not pid:
        return False
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


def wait_until_dead(pid: int, timeout_s: float = 10.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
