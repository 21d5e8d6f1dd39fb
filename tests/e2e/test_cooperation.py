"""Others have a say in a reboot: each host tells why not, and nothing is left locked or drained."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo_fleet import Demo, runner, served
from tests.unit.around_lab import Cluster, lock_text
from tests.unit.lock_servers import LockServer, airlock

SCENARIOS = ("staged=6", "held=1", "kured=1")


@pytest.fixture
def server() -> Iterator[LockServer]:
    """One dialect over SSH; both are tried on whole orders in tests/unit/test_around.py."""
    with airlock() as found:
        yield found


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path / "cluster")


@pytest.fixture
def demo(tmp_path: Path, server: LockServer, cluster: Cluster) -> Iterator[Demo]:
    words = [word for scenario in SCENARIOS for word in ("--scenario", scenario)]
    with served(tmp_path / "demo", *words, "--speed", "60") as found:
        fleet = found.directory / "fleet.toml"
        fleet.write_text(f"{fleet.read_text()}\n{cluster.fleet_text}\n{lock_text(server)}\n")
        found.run("collect")
        yield found


def add(demo: Demo, text: str) -> None:
    fleet = demo.directory / "fleet.toml"
    fleet.write_text(f"{fleet.read_text()}\n{text}\n")


def told(demo: Demo, *words: str, code: int) -> dict[str, Any]:
    hosts = [word for word in words[1:] if not word.startswith("-")]
    done = demo.run(*words, "--yes", "--expect-hosts", str(len(hosts)), "--json", code=code)
    return {host["host"]: host for host in json.loads(done.stdout)["hosts"]}


def staged(demo: Demo) -> list[str]:
    return [name for name, scenario in demo.scenarios.items() if scenario == "staged"]


def nothing_is_left(server: LockServer, cluster: Cluster, *others: str) -> None:
    """By the parties' own words."""
    assert server.holders("workers") == others
    assert not cluster.drained()


@pytest.mark.timeout(120)
def test_each_says_its_reason_and_leaves_nothing(demo: Demo, server: LockServer, cluster: Cluster) -> None:
    first, second, third, *_ = staged(demo)
    server.hold("workers", "f" * 32)
    row = told(demo, "activate", first, code=4)[first]
    assert (row["code"], row["text"].split(":")[0]) == ("lock-full", "FleetLock group workers is full")
    nothing_is_left(server, cluster, "f" * 32)
    server.release("workers", "f" * 32)

    held, owned = demo.host("held"), demo.host("kured")
    refused = told(demo, "reboot", held, owned, code=4)
    assert refused[held]["text"].startswith("not to be rebooted: ")
    assert refused[owned]["text"].startswith("kured reboots this host")

    cluster.turn("fail-drain")
    row = told(demo, "activate", first, code=4)[first]
    assert row["code"] == "drain-failed"
    assert row["text"] == f"not drained: kubectl ended with 1: error: cannot drain {first}"
    cluster.turn("fail-drain", on=False)
    nothing_is_left(server, cluster)

    rows = told(demo, "activate", first, second, third, "--at-once=3", code=0)
    assert {row["code"] for row in rows.values()} == {"activated"}
    nothing_is_left(server, cluster)
    assert cluster.done.count(f"drain {first}") == 1

    shut = datetime.now(UTC) + timedelta(hours=12)
    add(demo, f'[windows.night]\ndays = ["Mon","Tue","Wed","Thu","Fri","Sat","Sun"]\n'
              f'start = "{shut:%H:%M}"\nlength = "1h"\ntimezone = "UTC"')  # fmt: skip
    row = told(demo, "reboot", first, code=4)[first]
    assert row["code"] == "window-shut"
    assert row["text"].startswith("the window (night) is shut; it opens ")
    nothing_is_left(server, cluster)


@pytest.mark.timeout(120)
def test_a_runner_that_is_killed_while_it_drains(demo: Demo, server: LockServer, cluster: Cluster) -> None:
    first = staged(demo)[0]
    cluster.turn("slow-drain")
    order = demo.run("activate", first, "--yes", "--no-wait").stdout.strip()
    cluster.wait_for_drain()
    assert server.holders("workers")
    os.kill(runner(order), signal.SIGKILL)
    cluster.turn("slow-drain", on=False)
    demo.run("run", order, "--settle", code=None)
    nothing_is_left(server, cluster)
    assert f"drain {first}" not in cluster.done, "what the dead one left running was ended"


@pytest.mark.timeout(120)
def test_a_runner_that_is_asked_to_end_while_it_drains(
    demo: Demo, server: LockServer, cluster: Cluster
) -> None:
    first = staged(demo)[0]
    cluster.turn("slow-drain")
    order = demo.run("activate", first, "--yes", "--no-wait").stdout.strip()
    cluster.wait_for_drain()
    os.kill(runner(order), signal.SIGTERM)
    ends_at = time.monotonic() + 20
    while server.holders("workers") and time.monotonic() < ends_at:
        time.sleep(0.05)
    nothing_is_left(server, cluster)
