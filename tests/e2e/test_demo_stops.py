"""`demo --serve` whose hosts cannot go on: it says so in one line and ends, instead of serving the dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from console.demo.fleet import LIFE_FILE
from tests.e2e.demo_fleet import FLEETCTL, PLAIN, served

BROKEN = """
from console.cli.main import main
from console.demo.live.{module} import {kind}

def broken(self, *args):
    raise RuntimeError("a mistake in the model")

{kind}.{name} = broken
main()
"""
"""fleetctl with a method of the simulated hosts that fails when its moment comes."""


def serve(
    directory: Path, *options: str, program: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    argv = [*(program or FLEETCTL), "demo", "--serve", str(directory), *options]
    return subprocess.run(
        argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=PLAIN, timeout=18
    )


def test_a_mistake_in_the_hosts_life_ends_the_demo_and_is_told(tmp_path: Path) -> None:
    text = BROKEN.format(module="engine", kind="UpdateEngine", name="_scheduled_check")
    done = serve(
        tmp_path / "demo", "--alive", "--speed", "10000", "--hosts", "2", program=[sys.executable, "-c", text]
    )
    assert (done.returncode, done.stdout) == (70, "ready\n")
    assert (
        done.stderr == "fleetctl: demo: the simulated hosts stopped: RuntimeError: a mistake in the model\n"
    )


def test_a_mistake_in_what_a_command_began_is_told_too(tmp_path: Path) -> None:
    """Without --alive nothing happens by itself, so the demo serves on until a command begins something."""
    text = BROKEN.format(module="engine", kind="UpdateEngine", name="_install")
    argv = [sys.executable, "-c", text, "demo", "--serve", str(tmp_path / "demo"), "--scenario", "behind=1"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=PLAIN
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            fleet = [*FLEETCTL, "--fleet", str(tmp_path / "demo/fleet.toml")]
            assert subprocess.run([*fleet, "collect"], env=PLAIN, timeout=15).returncode == 0
            assert process.poll() is None
            command = [*fleet, "ssh", "edge-fra-01", "--", "update_engine_client", "-update"]
            subprocess.run(command, env=PLAIN, timeout=15, stdin=subprocess.DEVNULL)
            _, complaint = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 70
    assert "stopped: RuntimeError: a mistake in the model" in complaint


def test_a_log_that_cannot_be_written_ends_the_demo_and_is_told(tmp_path: Path) -> None:
    with served(tmp_path, "--hosts", "1"):
        pass  # so that the directory is a demo's own
    log = tmp_path / LIFE_FILE
    log.unlink()
    log.symlink_to("/dev/full")
    done = serve(tmp_path, "--alive", "--speed", "10000", "--hosts", "2")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr
    assert str(log) in done.stderr
