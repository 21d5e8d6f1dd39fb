"""The dashboard's sweeper is a process that ends with the dashboard, however that ends."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from console.sweeper import Sweeper
from tests.e2e.demo_fleet import Demo, served

WAIT_S = 15.0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> object:
    with served(tmp_path_factory.mktemp("fleet"), "--scenario", "current=2") as running:
        yield running


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def has_lease(demo: Demo, sweeper: Sweeper) -> bool:
    with closing(sqlite3.connect(demo.directory / "demo.db")) as conn:
        found = conn.execute("SELECT owner FROM leases WHERE expires_at > ''").fetchone()
    return found is not None and found[0].endswith(f" pid {sweeper.pid}")


def answered(demo: Demo) -> int:
    found = demo.status()["summary"]["answered"]
    assert isinstance(found, int)
    return found


def test_it_sweeps_until_it_is_stopped(demo: Demo) -> None:
    sweeper = Sweeper(demo.directory / "fleet.toml")
    sweeper.start()
    pid = sweeper.pid
    assert pid is not None
    until(lambda: answered(demo) == 2)
    sweeper.stop()
    assert not is_alive(pid)
    assert sweeper.pid is None


def test_a_second_one_says_who_sweeps(demo: Demo) -> None:
    first, second = (Sweeper(demo.directory / "fleet.toml") for _ in range(2))
    first.start()
    until(lambda: has_lease(demo, first))
    second.start()
    until(lambda: not second.is_running and bool(second.last_words))
    assert f"pid {first.pid} sweeps this fleet already" in second.last_words
    second.stop()
    first.stop()


@pytest.mark.parametrize("born_deaf", [False, True], ids=["", "in the background of a script"])
def test_it_ends_when_its_owner_is_killed(demo: Demo, born_deaf: bool) -> None:
    text = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" if born_deaf else ""
    text += (
        "import sys, time; from pathlib import Path; from console.sweeper import Sweeper\n"
        "sweeper = Sweeper(Path(sys.argv[1])); sweeper.start()\n"
        "print(sweeper.pid, flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", text, str(demo.directory / "fleet.toml")]
    owner = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert is_alive(pid)
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    until(lambda: not is_alive(pid))


def test_a_fleet_file_that_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("name = 1\n")
    sweeper = Sweeper(tmp_path / "fleet.toml")
    sweeper.start()
    until(lambda: not sweeper.is_running and bool(sweeper.last_words))
    assert "fleet.toml" in sweeper.last_words
    sweeper.stop()
