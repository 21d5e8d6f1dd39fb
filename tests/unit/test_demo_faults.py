"""Faults by name on any host and at any moment: the simulator lives on, and what has to show shows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from collectors.errors import ConfigError
from collectors.probe import read_frame
from console.demo.faults import FAULTS, Wire, fault
from console.demo.fleet import Manner, begin
from console.demo.fleet_life import Clock, FleetLife, HostDown
from console.demo.healthy import HostSpec
from console.demo.live.kinds import Power, What
from console.demo.scenarios import SELECTABLE

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
MARK = "0123456789abcdef"
UNHURT = frozenset(FAULTS) - {"truncated"}
"""Faults under which a probe is whole; those of the wire are not seen here."""


def every_host(*, alive: bool) -> FleetLife:
    """One host of each scenario, named like it."""
    states = [
        item.build(HostSpec(name.replace("_", "-"), START, item.flavour)) for name, item in SELECTABLE.items()
    ]
    return begin([], states, Clock(START, speed=0), Manner(alive=alive))


def look_at_all(life: FleetLife, name: str) -> None:
    for host in life.hosts:
        if life.power(host) is Power.ON and not life.host(host).state.is_cut_off:
            frame = read_frame(life.probe(host, MARK), MARK)
            assert frame.complete or host == "truncated" or name not in UNHURT, (host, name)


@pytest.mark.parametrize("after_s", [0, 100, 1900])
@pytest.mark.parametrize("name", FAULTS)
def test_on_every_scenario_at_any_moment(name: str, after_s: int) -> None:
    life = every_host(alive=True)
    life.advance(after_s)
    for host in life.hosts:
        life.fault(host, name)
    life.advance(4000)
    look_at_all(life, name)
    for host in life.hosts:
        life.fault(host, name, on=False)
    life.advance(600)
    look_at_all(life, name)
    assert all(not life.wires(host) for host in life.hosts)
    disks = [use for item in life.hosts.values() for use in item.state.disks.values()]
    assert all(use.available_bytes > 0 for use in disks)


@pytest.mark.parametrize("wire", [item.value for item in Wire])
def test_faults_of_the_wire_never_change_a_host(wire: str) -> None:
    hurt, unhurt = every_host(alive=True), every_host(alive=True)
    for host in hurt.hosts:
        hurt.fault(host, wire)
    for life in (hurt, unhurt):
        life.advance(3000)
        look_at_all(life, wire)
    assert {name: host.state for name, host in hurt.hosts.items()} == {
        name: host.state for name, host in unhurt.hosts.items()
    }
    assert [host.log for host in hurt.hosts.values()] == [host.log for host in unhurt.hosts.values()]


def test_a_unit_breaks_so_many_minutes_after_a_boot_as_asked() -> None:
    life = every_host(alive=False)
    life.fault("behind", "break-after-20")
    life.run("behind", ["sudo", "systemctl", "reboot"])
    life.advance(20)
    with pytest.raises(HostDown):
        life.run("behind", ["true"])
    life.advance(600)
    up = life.host("behind")
    came = next(entry.at for entry in up.log if entry.what is What.REBOOTED)
    life.advance(1800)
    broke = next(entry.at for entry in up.log if entry.what is What.UNIT_FAILED)
    assert (broke - came).total_seconds() == 1200


def test_a_fault_that_comes_in_mid_boot_counts_from_that_boot_and_one_taken_back_does_not_act() -> None:
    life = every_host(alive=False)
    for host in ("behind", "current"):
        life.run(host, ["sudo", "systemctl", "reboot"])
    life.advance(120)
    for host in ("behind", "current"):
        life.fault(host, "break-after")
    life.fault("current", "break-after", on=False)
    life.advance(600)
    assert [entry.detail for entry in life.hosts["behind"].log if entry.what is What.UNIT_FAILED] == [
        "containerd.service"
    ]
    assert What.UNIT_FAILED not in [entry.what for entry in life.hosts["current"].log]


@pytest.mark.parametrize("name", ["break-after-", "break-after-0", "break-after-x", "break-after-10000"])
def test_no_number_of_minutes_is_no_fault(name: str) -> None:
    with pytest.raises(ConfigError):
        fault(name)
