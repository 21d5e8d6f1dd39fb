"""The updater's log on a live host, through the commands that `fleetctl logs` sends."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest

from collectors.errors import OutcomeUnknown
from collectors.transport import Target
from collectors.updater_log import follow_command, log_command
from console.demo.fleet import begin
from console.demo.fleet_life import Clock, FleetLife
from console.demo.healthy import HostSpec
from console.demo.memory import MemoryTransport
from console.demo.scenarios import SCENARIOS

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00 lab-1 (update_engine|systemd|locksmithd)\[\d+\]: .+"
)
TARGET = Target("lab-1", "127.0.0.1")


def life_of(scenario: str) -> FleetLife:
    found = SCENARIOS[scenario]
    state = found.build(HostSpec("lab-1", START, found.flavour))
    return begin([], [state], Clock(START, speed=0))


def said(life: FleetLife, command: str, timeout_s: float = 60.0) -> list[str]:
    async def ask() -> bytes:
        try:
            done = await MemoryTransport(life).run(
                TARGET, command, b"", timeout_s=timeout_s, limit_bytes=1 << 20
            )
        except OutcomeUnknown as unknown:
            return unknown.output
        assert done.exit_status == 0
        return done.stdout

    return asyncio.run(ask()).decode().splitlines()


@pytest.mark.parametrize("scenario", ["current", "behind", "failed", "reverted_fresh", "staged"])
def test_a_scenario_s_log_is_its_journal(scenario: str) -> None:
    life = life_of(scenario)
    lines = said(life, log_command(200))
    journal = life.host("lab-1").state.journal
    assert len(lines) == len(journal) > 0
    assert all(LINE.fullmatch(line) for line in lines)
    assert all(line.endswith(it.text) for line, it in zip(lines, journal, strict=True))


def test_a_failed_update_is_told_with_its_code() -> None:
    assert any(
        "kActionCodePayloadHashMismatchError" in line for line in said(life_of("failed"), log_command(9))
    )


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_more_than_the_newest_lines_are_told(count: int) -> None:
    life = life_of("failed")
    whole = said(life, log_command(200))
    assert said(life, log_command(count)) == whole[len(whole) - count :]


def test_the_log_goes_back_over_a_boot_and_holds_locksmithd() -> None:
    life = life_of("behind")
    life.run("lab-1", ["sudo", "systemctl", "start", "locksmithd"])
    life.run("lab-1", ["update_engine_client", "-update"])
    life.advance(3600)
    life.run("lab-1", ["sudo", "systemctl", "reboot"])
    life.advance(3600)
    lines = said(life, log_command(1000))
    stamps = [line.split()[0] for line in lines]
    assert stamps == sorted(stamps)
    assert all(LINE.fullmatch(line) for line in lines)
    applied = next(i for i, line in enumerate(lines) if "Update successfully applied" in line)
    assert any("Flatcar Update Engine starting" in line for line in lines[applied:])
    assert any(" locksmithd[" in line for line in lines)


def test_following_tells_new_lines_as_they_come_and_ends_with_whoever_listens() -> None:
    life = life_of("behind")
    host = life.host("lab-1")
    began = said(life, log_command(200))
    life.run("lab-1", ["update_engine_client", "-update"])
    lines = said(life, follow_command(1), timeout_s=600.0)
    assert lines[0] != began[-1]
    assert any("Update successfully applied" in line for line in lines)
    assert len(lines) > len(set(lines)) * 0.9 > 5
    known = said(life, log_command(400))
    assert lines == known[len(known) - len(lines) :]
    before = host.state.journal
    life.advance(20_000)
    assert host.state.journal == before
    assert life.next_due() is None  # nobody is left who waits there


def test_another_script_is_not_understood() -> None:
    life = life_of("current")
    found = life.run("lab-1", ["bash", "-c", "for i in 1; do true; done", "fleetctl-logs/1", "1"])
    assert getattr(found, "exit_status", None) == 2
