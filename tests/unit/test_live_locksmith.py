"""locksmithd on a live host: what it reboots and when, and what it says as the recorded one said it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from collectors.facts import Coordinator, CoordinatorState, Operation
from collectors.parse.locksmith import parse_coordinator
from console.demo.live.kinds import Faults, Power, What
from tests.unit.live_lab import NEW, START, Lab, fresh
from tests.unit.test_live_recordings import recorded

SERVER = "GROUP=stable\nSERVER=http://127.0.0.1:8080/v1/update/\n"
UNIT = "locksmithd.service"


def lab_with(*lines: str, alive: bool = False, staged: bool = False) -> Lab:
    """A host whose locksmithd was started with these settings."""
    lab = Lab(fresh(SERVER + "".join(f"{line}\n" for line in lines)), alive=alive)
    if staged:
        lab.update()
    lab.run("systemctl", "start", "locksmithd")
    return lab


def state_of(lab: Lab) -> CoordinatorState | None:
    found = lab.host.state.coordinator
    return found.state if found else None


def test_it_reboots_a_staged_host_at_once() -> None:
    lab = lab_with("REBOOT_STRATEGY=reboot")
    assert state_of(lab) is CoordinatorState.RUNNING
    lab.update()
    lab.until(lambda: lab.host.power is Power.SHUTTING_DOWN, 10)
    assert state_of(lab) is CoordinatorState.REBOOTING
    lab.wait(300)
    assert lab.host.state.version == NEW
    assert lab.told(What.LOCKSMITHD_REBOOTED) == [NEW]


def test_reboot_is_its_strategy_when_none_is_named() -> None:
    lab = lab_with()
    assert lab.host.state.coordinator == Coordinator("locksmithd", "reboot", CoordinatorState.RUNNING)


def test_off_ends_it_and_leaves_an_old_file_alone() -> None:
    lab = lab_with("REBOOT_STRATEGY=reboot")
    lab.host.state = replace(lab.host.state, conf=SERVER + "REBOOT_STRATEGY=off\n")
    lab.run("systemctl", "restart", "locksmithd")
    unit = lab.host.state.units[UNIT]
    assert (unit.active, unit.sub, unit.result) == ("inactive", "dead", "success")
    assert state_of(lab) is CoordinatorState.RUNNING
    lab.update()
    lab.wait(3600)
    assert lab.host.power is Power.ON


def test_it_waits_for_its_window_and_says_running_until_then() -> None:
    opens = START + timedelta(hours=5)
    lab = lab_with(
        "REBOOT_STRATEGY=reboot",
        f'LOCKSMITHD_REBOOT_WINDOW_START="{opens:%H:%M}"',
        "LOCKSMITHD_REBOOT_WINDOW_LENGTH=1h",
    )
    lab.update()
    lab.wait((opens - lab.host.now).total_seconds() - 2)
    assert (lab.host.power, state_of(lab)) == (Power.ON, CoordinatorState.RUNNING)
    told = lab.run("journalctl", "-u", "locksmithd", "-o", "cat").stdout.decode()
    assert re.search(r"^Next window begins at 2026-11-23 09:45:00 \+0000 UTC", told, re.M)
    lab.wait(600)
    assert lab.host.state.version == NEW


def test_once_it_saw_it_does_not_look_again() -> None:
    opens = START + timedelta(hours=1)
    lab = lab_with(f"REBOOT_WINDOW_START={opens:%H:%M}", "REBOOT_WINDOW_LENGTH=1h")
    lab.update()
    lab.run("update_engine_client", "-reset_status")
    lab.run("cgpt", "prioritize", "/dev/disk/by-partlabel/USR-A")
    boot = lab.host.state.boot_id
    lab.wait(2 * 3600)
    assert lab.host.state.boot_id != boot, "neither a reset nor the slots keep it back"


def test_stopping_it_keeps_it_back_and_starting_it_does_not() -> None:
    opens = START + timedelta(hours=1)
    lab = lab_with(f"REBOOT_WINDOW_START={opens:%H:%M}", "REBOOT_WINDOW_LENGTH=1h")
    lab.update()
    lab.run("systemctl", "mask", "--runtime", "--now", UNIT)
    lab.wait(3600 + 600)
    assert lab.host.power is Power.ON
    assert lab.run("systemctl", "start", UNIT).exit_status == 1
    lab.run("systemctl", "unmask", "--runtime", UNIT)
    lab.run("systemctl", "start", UNIT)
    lab.wait(5)
    assert lab.power() is Power.SHUTTING_DOWN


def test_with_a_lock_that_nobody_gives_it_waits_for_ever() -> None:
    lab = lab_with("REBOOT_STRATEGY=etcd-lock", staged=True)
    lab.wait(86400)
    assert (lab.host.power, state_of(lab)) == (Power.ON, CoordinatorState.REBOOT_PLANNED)


def test_an_inhibitor_refuses_it_too_and_it_sleeps() -> None:
    lab = lab_with("REBOOT_STRATEGY=reboot")
    lab.host.faults = Faults(inhibitor="backup")
    lab.update()
    lab.wait(3600)
    assert (lab.host.power, state_of(lab)) == (Power.ON, CoordinatorState.REBOOTING)
    assert lab.told(What.REBOOT_REFUSED) == ["locksmithd"]


def test_a_scenario_that_stands_is_not_rebooted_and_one_that_lives_is() -> None:
    staged = lab_with("REBOOT_STRATEGY=off", staged=True).host.state
    unit = replace(staged.units[UNIT], active="active", sub="running")
    armed = replace(staged, conf=SERVER, units={**staged.units, UNIT: unit})
    for is_alive, power in ((False, Power.ON), (True, Power.SHUTTING_DOWN)):
        lab = Lab(armed, alive=is_alive)
        lab.wait(5)
        assert lab.power() is power


RECORDINGS = {
    "lock_d_idle_bogus": (("REBOOT_STRATEGY=best-effort",), False),
    "lock_d_idle_nostrategy": ((), False),
    "lock_d_need_bogus": (("REBOOT_STRATEGY=best-effort",), True),
    "lock_d_need_reboot": (("REBOOT_STRATEGY=reboot",), True),
    "lock_d_need_window_half": (("REBOOT_STRATEGY=reboot", 'REBOOT_WINDOW_START="Thu 04:00"'), True),
    "lock_d_need_window_bad_len": (
        ("REBOOT_STRATEGY=reboot", 'REBOOT_WINDOW_START="04:00"', "REBOOT_WINDOW_LENGTH=1d"),
        True,
    ),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_it_says_and_writes_what_the_recorded_one_did(name: str) -> None:
    lines, is_staged = RECORDINGS[name]
    lab = lab_with(*lines, staged=is_staged)
    lab.wait(3)
    out, err = recorded(name, "stdout"), recorded(name, "stderr")
    assert lab.host.state.coordinator == parse_coordinator(out.rpartition("coordinator.conf\n")[2])
    theirs = re.findall(r"^.* \| daemon: (.*)$", err, re.M)
    ours = lab.run("journalctl", "-u", "locksmithd", "-o", "cat").stdout.decode().splitlines()
    first_words = [text.partition(":")[0] for text in theirs if "termination signal" not in text]
    assert [text.partition(":")[0] for text in ours][: len(first_words)] == first_words
    is_dead = "rc=1\n" in out
    assert lab.host.state.units[UNIT].active == ("activating" if is_dead else "active")


def test_without_update_engine_it_starts_over_and_over() -> None:
    lab = Lab(fresh(SERVER))
    lab.run("systemctl", "mask", "--now", "update-engine")
    lab.run("systemctl", "start", "locksmithd")
    assert state_of(lab) is CoordinatorState.STARTING
    assert lab.host.state.units[UNIT].sub == "auto-restart"
    lab.run("systemctl", "unmask", "update-engine")
    lab.run("systemctl", "start", "update-engine")
    assert lab.host.state.engine.operation is Operation.IDLE
    lab.wait(11)
    assert state_of(lab) is CoordinatorState.RUNNING
