"""`fleetctl logs` on a demo fleet, as a user runs it."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.demo_fleet import FLEETCTL, PLAIN, Demo, served


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    scenarios = [
        word
        for name in ("failed", "current", "silent", "unprivileged")
        for word in ("--scenario", f"{name}=1")
    ]
    with served(tmp_path_factory.mktemp("still"), *scenarios) as running:
        yield running


def test_a_failed_update_is_read_from_the_log(still: Demo) -> None:
    lines = still.run("logs", still.host("failed")).stdout.splitlines()
    assert any("kActionCodePayloadHashMismatchError" in line for line in lines)
    assert all(f" {still.host('failed')} " in line for line in lines)
    assert still.run("logs", "-n", "2", still.host("failed")).stdout.splitlines() == lines[-2:]


def test_the_log_needs_no_sudo(still: Demo) -> None:
    assert still.run("logs", still.host("unprivileged")).stdout


def test_a_host_that_does_not_answer_is_3(still: Demo) -> None:
    assert still.run("logs", still.host("silent"), code=3).stdout == ""


def lines_until(pipe: int, wanted: bytes, limit_s: float) -> bytes:
    """What comes until `wanted` is in it."""
    seen, limit = b"", time.monotonic() + limit_s
    while wanted not in seen:
        ready, _, _ = select.select([pipe], [], [], max(0.0, limit - time.monotonic()))
        assert ready, seen
        data = os.read(pipe, 65536)
        assert data, seen
        seen += data
    return seen


def test_following_a_living_host_streams_until_interrupted(tmp_path: Path) -> None:
    """A host that stages by itself; its journal grows under our eyes, and ends with us."""
    with served(tmp_path, "--alive", "--speed", "300", "--scenario", "behind=1") as demo:
        argv = [*FLEETCTL, "--fleet", str(demo.directory / "fleet.toml"), "logs", "-f", "-n", "1"]
        with subprocess.Popen(
            [*argv, demo.host("behind")], stdout=subprocess.PIPE, env=PLAIN | {"PYTHONUNBUFFERED": "1"}
        ) as process:
            assert process.stdout is not None
            seen = lines_until(process.stdout.fileno(), b"successfully applied", 17)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
        assert b"Omaha Response manifest version = 4593.2.5" in seen
