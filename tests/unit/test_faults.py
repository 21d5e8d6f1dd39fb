"""Faults by name: what each does to a host, to its answers, and how they are asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collectors.errors import ConfigError
from collectors.facts import Operation
from console.demo.faults import FAULTS, Wire, combined, fault, parse_faults, told
from console.demo.fleet import begin
from console.demo.fleet_life import Clock, FleetLife
from console.demo.healthy import Flavour, HostSpec
from console.demo.live.kinds import Faults, Power, What
from console.demo.plan import plan
from console.demo.scenarios import SELECTABLE
from console.demo.world import SimulatedHost

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
NAMES = {
    "drop", "hang", "slow", "lie", "truncated", "disk-full", "boot-full", "bad-payload", "fallback",
    "never-returns", "break-after", "extension-lost", "sudo-refused", "masked", "inhibitor", "key-change",
    "clock-off",
}  # fmt: skip


def built(scenario: str, flavour: Flavour | None = None) -> SimulatedHost:
    found = SELECTABLE[scenario]
    return found.build(HostSpec("lab-1", START, flavour or found.flavour))


def life_of(scenario: str = "behind", flavour: Flavour | None = None) -> FleetLife:
    """One host that acts on commands only, on a clock that stands."""
    return begin([], [built(scenario, flavour)], Clock(START, speed=0))


def update(life: FleetLife, *, reboot: bool = True) -> list[tuple[What, str]]:
    """Update and reboot it by hand; what was logged."""
    life.run("lab-1", ["update_engine_client", "-update"])
    life.advance(600)
    if reboot:
        life.run("lab-1", ["sudo", "systemctl", "reboot"])
        life.advance(3600)
    return [(entry.what, entry.detail) for entry in life.hosts["lab-1"].log]


# -- names -------------------------------------------------------------------------------------


def test_every_fault_has_a_name_and_one_place_in_which_it_acts() -> None:
    assert set(FAULTS) == NAMES
    for item in FAULTS.values():
        assert (item.wire is None) != (item.host is None)
        assert item.text
    assert {item.wire for item in FAULTS.values() if item.wire} == set(Wire)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match='did you mean "fallback"'):
        fault("falback")
    with pytest.raises(ConfigError, match="known: drop, hang"):
        fault("zzz")


def test_faults_are_read_from_the_command_line() -> None:
    found = parse_faults(["a=lie", "b=fallback@600"])
    assert [(item.host, item.fault.name, item.after_s) for item in found] == [
        ("a", "lie", 0),
        ("b", "fallback", 600),
    ]


@pytest.mark.parametrize("text", ["a", "a=", "=lie", "a=lie@", "a=lie@-1", "a=lie@1.5", "a=lie@999999999"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--fault"):
        parse_faults([text])


def test_a_fault_of_no_host_is_refused() -> None:
    with pytest.raises(ConfigError, match="no host has this name"):
        life_of().fault("lab-2", "lie")
    with pytest.raises(ConfigError, match="no host has this name"):
        life_of().plan_fault(parse_faults(["lab-2=lie@60"])[0])


# -- on the host -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("bad-payload", (What.ATTEMPT_FAILED, "10")),
        ("boot-full", (What.ATTEMPT_FAILED, "4")),
        ("fallback", (What.FELL_BACK, "4593.2.5")),
        ("never-returns", (What.DIED, "4593.2.5 hangs at boot")),
        ("inhibitor", (What.REBOOT_REFUSED, "systemctl")),
        ("break-after", (What.UNIT_FAILED, "containerd.service")),
    ],
)
def test_a_fault_shows_when_its_moment_comes_and_not_once_it_is_off(
    name: str, wanted: tuple[What, str]
) -> None:
    life = life_of()
    life.fault("lab-1", name)
    assert any(what is wanted[0] and detail.endswith(wanted[1]) for what, detail in update(life))
    healed = life_of()
    healed.fault("lab-1", name)
    healed.fault("lab-1", name, on=False)
    assert all(what is not wanted[0] for what, _ in update(healed))


def test_a_host_that_fell_back_runs_what_it_ran() -> None:
    life = life_of()
    before = life.host("lab-1").state
    life.fault("lab-1", "fallback")
    update(life)
    after = life.host("lab-1").state
    assert (after.version, after.running) == (before.version, before.running)
    assert after.boot_id != before.boot_id


def test_a_host_that_never_returns_is_dead() -> None:
    life = life_of()
    life.fault("lab-1", "never-returns")
    update(life)
    assert life.power("lab-1") is Power.DEAD


def test_an_extension_that_somebody_added_is_lost_after_the_update() -> None:
    life = life_of(flavour=Flavour(kubernetes=True))
    life.fault("lab-1", "extension-lost")
    update(life)
    merged = {item.name for item in life.host("lab-1").state.merged}
    assert "kubernetes" not in merged
    assert "containerd-flatcar" in merged


def test_a_new_boot_makes_new_keys() -> None:
    life = life_of()
    life.fault("lab-1", "key-change")
    update(life)
    assert life.host("lab-1").key_generation == 1


def test_what_shows_at_once_is_in_the_state_and_goes_again() -> None:
    life = life_of()
    host = life.host("lab-1")
    for name in ("sudo-refused", "masked", "disk-full", "clock-off"):
        life.fault("lab-1", name)
    assert not host.state.has_sudo
    assert host.state.units["update-engine.service"].file_state == "masked"
    assert host.state.disks["/"].available_bytes == 0
    assert not host.state.time_synced
    for name in ("sudo-refused", "disk-full", "clock-off"):
        life.fault("lab-1", name, on=False)
    assert host.state.has_sudo
    assert host.state.disks["/"].available_bytes > 0
    assert host.faults == Faults(daemon_masked=True)


def test_a_planned_fault_begins_in_its_moment() -> None:
    life = life_of()
    life.plan_fault(parse_faults(["lab-1=sudo-refused@600"])[0])
    life.advance(599)
    assert life.host("lab-1").state.has_sudo
    life.advance(1)
    assert not life.host("lab-1").state.has_sudo


def test_no_faults_are_none() -> None:
    assert combined([]) == Faults()


# -- in what it says ---------------------------------------------------------------------------


def test_a_lie_is_another_status_than_the_truth() -> None:
    for scenario in ("behind", "staging", "staged"):
        truth = built(scenario).engine
        lie = told(built(scenario), [Wire.LIE]).engine
        assert (lie.operation is Operation.IDLE) == (truth.operation is not Operation.IDLE)
        assert lie.new_version != truth.new_version


def test_the_other_wires_leave_the_status_true() -> None:
    host = built("staged")
    assert told(host, [Wire.DROP, Wire.HANG, Wire.SLOW]) == host
    assert told(host, [Wire.TRUNCATED]).is_cut_off


def test_hosts_of_the_story_bring_their_own_faults() -> None:
    planned = plan(12, {}, is_alive=True)
    life = begin(planned, [host.build(START) for host in planned], Clock(START, speed=0))
    wrong = {name: host.faults for name, host in life.hosts.items() if host.faults != Faults()}
    assert {host.name for host in planned if host.faults} == set(wrong)
    assert any(item.boot_fails for item in wrong.values())
