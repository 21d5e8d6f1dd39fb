"""Hosts changed from the dashboard, as a person would: unlocked, marked, confirmed, watched, reopened."""

from __future__ import annotations

import json
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.demo_fleet import FLEETCTL, Demo, served
from tests.e2e.screen import Screen, on_screen

HOSTS = 14
MORE = ("--scenario", "current=2", "--speed", "60")


def dashboard(demo: Demo) -> list[str]:
    return [*FLEETCTL, "--fleet", str(demo.directory / "fleet.toml")]


def add_window(demo: Demo) -> None:
    """It is open now, and for two hours more."""
    begin = datetime.now(UTC) - timedelta(hours=1)
    fleet = demo.directory / "fleet.toml"
    fleet.write_text(
        f'{fleet.read_text()}\n[windows.night]\ndays = ["Mon","Tue","Wed","Thu","Fri","Sat","Sun"]\n'
        f'start = "{begin:%H:%M}"\nlength = "3h"\ntimezone = "UTC"\n'
    )


def outcomes(demo: Demo, order: str) -> dict[str, str]:
    told = json.loads(demo.run("run", order, "--json", code=None).stdout)
    return {host["host"]: host["code"] for host in told["hosts"]}


def newest_order(demo: Demo) -> str:
    return demo.run("run").stdout.split()[2]


def unlock_and_mark(screen: Screen, selection: str) -> None:
    """All hosts of a selection; the filter is taken away again, the marks stay."""
    screen.press("u")
    screen.until("UNLOCKED")
    screen.press("/")
    screen.type(selection)
    screen.press("Enter")
    screen.until(f"{HOSTS} of {HOSTS + 2}")
    screen.press("M")
    screen.until(f"{HOSTS} marked")
    screen.press("Escape")
    screen.until("every host")


def stage(screen: Screen, demo: Demo) -> None:
    """Refused without the typed count, then confirmed and watched."""
    screen.until("read-only")
    screen.press("s")
    screen.until("u unlock", gone=("STAGE",))
    unlock_and_mark(screen, "state:behind")
    screen.press("s")
    screen.until(f"{HOSTS} marked hosts", f"of {HOSTS}", "Cancel")
    screen.press("C-g")
    screen.type("13")
    screen.press("C-g")
    screen.until(f"locked until {HOSTS} is typed")
    screen.press("Enter")
    screen.until("UNLOCKED", gone=("STAGE",))
    assert demo.run("run").stdout == "", "nothing was ordered"

    screen.press("s")
    screen.until(f"of {HOSTS}")
    screen.type(str(HOSTS))
    screen.press("C-g")
    screen.until(f"stage on {HOSTS} hosts goes on by itself; 7 shows it")
    screen.press("7")
    screen.until(f"all {HOSTS} done")


@pytest.mark.timeout(180)
def test_fourteen_hosts_are_staged_and_activated_from_the_screen(tmp_path: Path) -> None:
    with served(tmp_path / "demo", "--scenario", f"behind={HOSTS}", *MORE) as demo:
        demo.run("collect")
        bad = sorted(name for name, scenario in demo.scenarios.items() if scenario == "behind")[3]
        add_window(demo)
        with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
            stage(screen, demo)

    with served(
        tmp_path / "again", "--scenario", f"staged={HOSTS}", *MORE, "--fault", f"{bad}=fallback"
    ) as demo:
        demo.run("collect")
        add_window(demo)
        (tmp_path / "first").mkdir()
        with on_screen(tmp_path / "first", dashboard(demo), width=160, height=45) as screen:
            screen.until("read-only")
            unlock_and_mark(screen, "state:staged")
            screen.type(":activate --at-once 4")
            screen.press("Enter")
            screen.until(f"of {HOSTS}", "window", "open")
            screen.type(str(HOSTS))
            screen.press("C-g")
            screen.until(f"activate on {HOSTS} hosts goes on by itself")
            os.kill(screen.pid, signal.SIGKILL)
            assert screen.exit_code in (
                -signal.SIGKILL,
                128 + signal.SIGKILL,
            )  # told by tmux, or by the kernel
        order = newest_order(demo)
        (tmp_path / "second").mkdir()
        with on_screen(tmp_path / "second", dashboard(demo), width=80, height=24) as screen:
            screen.until("u unlock")
            screen.press("7")
            screen.until("did not come up", f"stopped after {bad}")
            screen.press("C-q")
            assert screen.exit_code == 0
        codes = outcomes(demo, order)
        assert codes[bad] == "reverted"
        assert set(codes.values()) <= {"reverted", "activated", "skipped"}
        assert len(codes) == HOSTS
