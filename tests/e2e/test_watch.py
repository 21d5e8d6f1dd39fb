"""`collect --watch`: pass after pass, one sweeper, killed at any moment without harm; the past as stored."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.demo_fleet import FLEETCTL, PLAIN, Demo, served

HOSTS = 30


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Hosts that all answer, swept every second."""
    with served(
        tmp_path_factory.mktemp("watch"), "--scenario", f"current={HOSTS - 2}", "--scenario", "behind=2"
    ) as run:
        fleet_file = run.directory / "fleet.toml"
        fleet_file.write_text(
            fleet_file.read_text().replace("[feeds]", '[sweep]\ninterval = "1s"\n\n[feeds]')
        )
        yield run


@contextmanager
def watching(demo: Demo) -> Iterator[subprocess.Popen[str]]:
    words = [*FLEETCTL, "--fleet", str(demo.directory / "fleet.toml"), "collect", "--watch"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_pass(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def read(path: Path, sql: str) -> list[tuple[object, ...]]:
    conn = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return conn.execute(sql).fetchall()
    finally:
        conn.close()


def check_whole(path: Path) -> None:
    """The file is sound, and the newest whole sweep left a row of each of its hosts."""
    assert read(path, "PRAGMA integrity_check") == [("ok",)]
    newest = read(path, "SELECT started_at, asked FROM sweeps ORDER BY id DESC LIMIT 1")
    if newest:
        started_at, asked = newest[0]
        found = read(path, f"SELECT count(*) FROM hosts WHERE asked_at >= '{started_at}'")
        assert found == [(asked,)]


def killed(demo: Demo, times: int, seed: int) -> None:
    chance = random.Random(seed)
    database = demo.directory / "demo.db"
    for _ in range(times):
        with watching(demo) as process:
            if chance.random() < 0.5:
                first_pass(process)
            time.sleep(chance.uniform(0.0, 1.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
        if database.exists() and database.stat().st_size:
            check_whole(database)


@pytest.mark.timeout(60)
def test_passes_follow_each_other_and_end_when_interrupted(demo: Demo) -> None:
    with watching(demo) as process:
        for _ in range(3):
            assert f"of {HOSTS} hosts answered" in first_pass(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    check_whole(demo.directory / "demo.db")


@pytest.mark.timeout(60)
def test_one_process_sweeps_and_another_says_who(demo: Demo) -> None:
    with watching(demo) as process:
        first_pass(process)
        refused = demo.run("collect", "--watch", code=4)
        assert f"pid {process.pid} sweeps" in refused.stderr
        demo.run("collect")
    with watching(demo) as heir:
        assert "hosts answered" in first_pass(heir)


@pytest.mark.timeout(60)
def test_a_changed_fleet_file_is_taken_and_a_wrong_one_is_not(demo: Demo) -> None:
    fleet_file = demo.directory / "fleet.toml"
    good = fleet_file.read_text()
    host = demo.host("behind")
    with watching(demo) as process:
        first_pass(process)
        fleet_file.write_text(good.replace(f'name = "{host}"', f'name = "{host}"\nhold = "not now"'))
        first_pass(process)
        first_pass(process)
        shown = demo.status(host)["hosts"][0]
        assert (shown["situation"]["state"], shown["hold"]) == ("held", "not now")
        fleet_file.write_text(good + "nonsense = 1\n")
        first_pass(process)
        first_pass(process)
        assert process.poll() is None
        fleet_file.write_text(good)


@pytest.mark.timeout(120)
def test_killed_at_random_moments_it_leaves_whole_sweeps(demo: Demo) -> None:
    killed(demo, 6, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_fifty_times_it_leaves_whole_sweeps(demo: Demo) -> None:
    killed(demo, 50, seed=2)


@pytest.mark.timeout(60)
def test_the_past_is_what_was_stored(demo: Demo) -> None:
    demo.run("collect")
    then = demo.status()["taken_at"]
    host = demo.host("behind")
    time.sleep(1.1)
    demo.run("hold", host, "--reason", "ops-1")
    assert demo.status(host)["hosts"][0]["situation"]["state"] == "held"
    past = json.loads(demo.run("status", "--json", "--at", then, host).stdout)["hosts"][0]
    assert past["situation"]["state"] == "behind"
    before = json.loads(demo.run("status", "--json", "--at", "2001-01-01").stdout)
    assert before["summary"]["by_state"] == {"unreachable": HOSTS}
    demo.run("unhold", host)
    assert demo.status(host)["hosts"][0]["situation"]["state"] == "behind"
    told = json.loads(demo.run("diff", "--since", "1h", "--json").stdout)
    assert told["schema"] == "fleetctl.diff/1"
    assert {"path": "/reach", "new": "ok"}.items() <= told["changes"][0].items()
    demo.run("diff", host, demo.host("current"), "--check", code=1)
    demo.run("diff", host, host, "--check")


def test_acknowledge_and_hold_take_exact_names_only(demo: Demo) -> None:
    demo.run("collect")
    assert "too loose" in demo.run("hold", "edge", "--reason", "x", code=2).stderr
    assert "nothing to acknowledge" in demo.run("acknowledge", demo.host("behind")).stdout
    assert "no moment" in demo.run("status", "--at", "soon", code=2).stderr
    assert "future" in demo.run("status", "--at", "2999-01-01", code=2).stderr
