"""A rollout over real SSH, by its commands: planned, approved, through its canaries, killed, gone on with."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo_fleet import Demo, runner, served

HOSTS = 4
NEW = "4593.2.5"
QUICK = ("--cohorts", "1,rest", "--soak", "4s", "--settle", "2s", "--budget", "3", "--quiet")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with served(tmp_path / "demo", "--scenario", f"behind={HOSTS}", "--speed", "60") as found:
        found.run("collect")
        yield found


def stable(demo: Demo) -> list[str]:
    return [host["name"] for host in demo.status()["hosts"] if host["update"]["group"] == "stable"]


def planned(demo: Demo, hosts: list[str], *more: str) -> str:
    done = demo.run("rollout", "plan", *hosts, "--to", NEW, *QUICK, *more, "--json")
    found: str = json.loads(done.stdout)["id"]
    return found


def shown(demo: Demo, rollout: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(demo.run("rollout", "show", rollout, "--json").stdout)
    return found


def until(demo: Demo, rollout: str, *states: str) -> dict[str, Any]:
    ends_at = time.monotonic() + 120
    while True:
        found = shown(demo, rollout)
        if found["state"] in states:
            return found
        assert time.monotonic() < ends_at, found["headline"]
        time.sleep(0.5)


@pytest.mark.timeout(180)
def test_one_whose_process_is_killed_is_paused_and_goes_on_by_a_word(demo: Demo) -> None:
    hosts = stable(demo)
    rollout = planned(demo, hosts)
    demo.run("rollout", "start", rollout, "--yes", "--expect-hosts", "1", code=4)
    demo.run("rollout", "start", rollout, "--yes", "--expect-hosts", str(len(hosts)), "--no-wait")
    until(demo, rollout, "running")
    time.sleep(4)
    os.kill(runner(rollout), signal.SIGKILL)
    demo.run("run", rollout, "--settle", code=6)
    assert shown(demo, rollout)["state"] == "paused"
    demo.run("rollout", "resume", rollout)
    until(demo, rollout, "completed")
    after = {host["name"]: host for host in demo.status("--refresh")["hosts"]}
    assert {after[name]["os"]["version_id"] for name in hosts} == {NEW}
    assert {after[name]["boot"]["confirmed"] for name in hosts} == {True}
    demo.run("audit", "verify")
    assert rollout in demo.run("rollout", "list").stdout
    assert "fleetctl_rollout_state" in demo.run("rollout", "list", "--prometheus").stdout


@pytest.mark.timeout(180)
def test_an_abort_leaves_nobody_armed(demo: Demo) -> None:
    hosts = stable(demo)
    rollout = planned(demo, hosts)
    demo.run("rollout", "start", rollout, "--yes", "--expect-hosts", str(len(hosts)), "--no-wait")
    until(demo, rollout, "running")
    demo.run("rollout", "abort", rollout, "--reason", "the wrong one")
    until(demo, rollout, "aborted")
    ends_at = time.monotonic() + 60
    while shown(demo, rollout)["armed"]:
        assert time.monotonic() < ends_at
        time.sleep(0.5)
    refused = demo.run("rollout", "resume", rollout, code=4)
    assert "aborted" in refused.stderr
