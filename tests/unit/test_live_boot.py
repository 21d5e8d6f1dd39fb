"""From boot to boot: GRUB's choice and its tries, fallbacks, hosts that never come back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collectors.facts import SlotName
from console.demo.live.kinds import Faults, Pending, Power, What
from console.demo.tools import NOT_FOUND
from console.demo.world import Extension
from tests.unit.live_lab import NEW, OLD, Lab, fresh
from tests.unit.live_states import b_good, staged


def test_a_reboot_goes_through_all_its_stages() -> None:
    lab = staged()
    boot = lab.host.state.boot_id
    lab.run("systemctl", "reboot")
    seen = [lab.host.power]
    while lab.host.power is not Power.ON:
        due = lab.host.next_due()
        assert due is not None
        lab.host.advance(due)
        if seen[-1] is not lab.host.power:
            seen.append(lab.host.power)
    assert seen == [Power.SHUTTING_DOWN, Power.OFF, Power.BOOTING, Power.ON]
    state = lab.host.state
    assert state.boot_id != boot
    assert (state.running, state.version) == (SlotName.B, NEW)
    assert not state.staged_marker
    assert not state.reboot_required
    assert state.uptime_s(lab.host.now) < 15
    assert lab.told(What.REBOOTED) == [f"B {NEW}"]


def test_nobody_is_let_in_while_it_is_down_and_what_ran_is_lost() -> None:
    lab = staged()
    watcher = lab.start("update_engine_client", "-watch_for_updates")
    lab.run("systemctl", "reboot")
    assert not lab.host.accepts_logins
    lab.until(lambda: lab.host.power is Power.BOOTING)
    assert watcher.is_lost
    with pytest.raises(ConnectionError):
        lab.host.run(("true",), uid=0)


@pytest.mark.parametrize("seed", range(6))
def test_a_release_that_does_not_boot_costs_its_one_try(seed: int) -> None:
    lab = Lab(seed=seed, faults=Faults(boot_fails=frozenset({NEW})))
    lab.update()
    began = lab.host.now
    lab.reboot()
    took_s = (lab.host.now - began).total_seconds()
    assert lab.told(What.BOOT_FAILED) == [f"B {NEW}"]
    assert lab.told(What.FELL_BACK) == [f"B {NEW}"]
    assert lab.host.state.version == OLD
    assert lab.flags() == ((1, 0, 1), (2, 0, 0))
    assert 60 < took_s < 600, "a panic waits one minute, the emergency shell five"
    lab.wait(60)
    assert lab.flags() == ((2, 0, 1), (1, 0, 0))


def test_a_damaged_slot_that_is_marked_successful_is_chosen_for_ever() -> None:
    lab = b_good()
    lab.host.damage(SlotName.A)
    lab.run("cgpt", "prioritize", "/dev/disk/by-partlabel/USR-A")
    lab.run("systemctl", "reboot")
    lab.wait(86400)
    assert lab.power() is Power.DEAD
    assert lab.told(What.DIED)
    lab.host.reset_power()
    lab.wait(86400)
    assert lab.power() is Power.DEAD, "no reset helps, only a console"


def test_the_same_slot_with_one_try_falls_back_by_itself() -> None:
    lab = b_good()
    lab.host.damage(SlotName.A)
    lab.run("cgpt", "add", "-i", "3", "-S0", "-T1", "/dev/sda")
    lab.run("cgpt", "prioritize", "/dev/disk/by-partlabel/USR-A")
    lab.reboot()
    assert (lab.host.state.running, lab.host.state.version) == (SlotName.B, NEW)
    assert lab.told(What.FELL_BACK) == ["A damaged"]


def test_without_any_bootable_slot_grub_waits_for_a_person() -> None:
    lab = Lab()
    lab.run("cgpt", "add", "-i", "3", "-S0", "-T0", "/dev/sda")
    lab.run("systemctl", "reboot")
    lab.wait(600)
    assert lab.power() is Power.DEAD


def test_a_host_that_hangs_comes_back_when_its_button_is_pressed() -> None:
    lab = Lab(faults=Faults(never_returns=frozenset({NEW})))
    lab.update()
    lab.run("systemctl", "reboot")
    lab.wait(86400)
    assert lab.power() is Power.DEAD
    lab.host.reset_power()
    lab.wait(600)
    assert lab.power() is Power.ON
    assert lab.host.state.version == OLD


def test_power_that_fails_in_a_download_leaves_the_running_slot_first() -> None:
    lab = b_good()
    lab.server.offers["stable"] = "4593.2.5"
    lab.start("update_engine_client", "-update")
    lab.wait(6)
    lab.host.reset_power()
    lab.until(lambda: lab.host.has_updater)
    assert lab.host.state.version == NEW
    assert not lab.host.state.a.intact


def test_a_unit_fails_some_time_after_a_boot_of_the_bad_version() -> None:
    lab = Lab(faults=Faults(breaks_after_s=1800, breaks_versions=frozenset({NEW})))
    lab.update()
    lab.reboot()
    lab.wait(1700)
    assert not lab.host.state.failed
    lab.wait(200)
    assert [unit.name for unit in lab.host.state.failed] == ["containerd.service"]
    assert lab.run("systemctl", "is-system-running").stdout == b"degraded\n"


def test_an_extension_bound_to_the_old_version_is_dropped_by_the_new_one() -> None:
    state = fresh()
    image = "/opt/extensions/agent/agent.raw"
    bound = Extension("agent", image, f"ID=flatcar\nVERSION_ID={OLD}\n", image)
    free = Extension("wasmtime", image, "ID=_any\n", image)
    lab = Lab(replace(state, extensions=(*state.extensions, bound, free)))
    lab.update()
    lab.reboot()
    merged = {item.name for item in lab.host.state.merged}
    assert "agent" not in merged
    assert {"wasmtime", "docker-flatcar", "containerd-flatcar"} <= merged
    assert lab.told(What.EXTENSION_LOST) == ["agent"]


def test_a_lost_extension_takes_its_units_with_it() -> None:
    lab = Lab(faults=Faults(loses_extension=frozenset({"docker-flatcar"})))
    lab.update()
    lab.reboot()
    assert lab.host.state.units["docker.service"] == NOT_FOUND
    assert lab.told(What.EXTENSION_LOST) == ["docker-flatcar"]


def test_an_inhibitor_holds_even_root_back_from_257_on() -> None:
    lab = Lab(faults=Faults(inhibitor="backup"))
    found = lab.run("systemctl", "reboot")
    assert found.exit_status == 1
    assert b'inhibited by "backup"' in found.stderr
    assert lab.power() is Power.ON
    assert b"backup" in lab.run("systemd-inhibit", "--list").stdout
    assert lab.run("systemctl", "reboot", "--check-inhibitors=no").exit_status == 0
    assert lab.power() is Power.SHUTTING_DOWN


def test_what_a_command_began_runs_to_its_end_and_then_nothing_more() -> None:
    lab = staged()
    lab.reboot()
    lab.wait(60)
    assert lab.told(What.CONFIRMED) == [f"B {NEW}"]
    assert lab.host.next_due() is None


def test_a_masked_daemon_and_a_wrong_clock_show_at_once() -> None:
    lab = Lab(faults=Faults(daemon_masked=True, clock_off_s=-7200))
    assert lab.host.state.units["update-engine.service"].is_masked
    assert not lab.host.has_updater
    assert not lab.host.state.time_synced
    lab.reboot_for(900)
    assert not lab.host.has_updater
    lab.host.faults = Faults()
    lab.run("systemctl", "start", "update-engine")
    assert lab.host.has_updater
    assert lab.host.state.time_synced


def test_host_keys_change_only_at_a_boot() -> None:
    lab = Lab(faults=Faults(key_change_on_boot=True))
    assert lab.host.key_generation == 0
    lab.reboot()
    assert lab.host.key_generation == 1


def test_an_armed_reset_wipes_the_host_at_its_next_boot() -> None:
    lab = Lab(replace(fresh(), reset_armed=True, first_boot_armed=True))
    lab.reboot()
    assert lab.told(What.WIPED) == [""]
    assert lab.host.state.conf == ""
    assert not lab.host.state.reset_armed
    assert lab.host.state.is_first_boot


def test_a_mask_in_run_ends_with_the_boot_and_one_in_etc_does_not() -> None:
    lab = Lab()
    lab.run("systemctl", "mask", "--runtime", "--now", "locksmithd.service")
    lab.run("systemctl", "mask", "docker.service")
    assert lab.host.state.units["locksmithd.service"].is_masked
    lab.reboot()
    assert not lab.host.state.units["locksmithd.service"].is_masked
    assert lab.host.state.units["docker.service"].is_masked


def test_a_command_that_waits_is_lost_with_the_host() -> None:
    lab = Lab()
    found = lab.host.run(("update_engine_client", "-update"), uid=0)
    assert isinstance(found, Pending)
    lab.host.reset_power()
    assert found.is_lost
    assert found.is_over
