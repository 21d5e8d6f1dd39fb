"""update_engine on a live host: its states and timers, what it leaves in slots, prefs and journal."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from collectors.facts import Operation, SlotName
from console.demo.live.flags import Content, content
from console.demo.live.kinds import Faults, What
from tests.unit.live_lab import NEW, NEWEST, OLD, Lab, fresh
from tests.unit.live_states import (
    ERRORS,
    b_good,
    booted_b,
    fell_back,
    killed_and_back,
    reset,
    staged,
    updated,
)


def test_an_update_goes_through_all_states_in_order() -> None:
    lab = Lab()
    watcher = lab.start("update_engine_client", "-watch_for_updates")
    lab.update()
    found = [
        line.rpartition("_STATUS_")[2] for line in watcher.stderr.decode().splitlines() if "operation" in line
    ]
    order = ["CHECKING_FOR_UPDATE", "UPDATE_AVAILABLE", "DOWNLOADING", "FINALIZING", "UPDATED_NEED_REBOOT"]
    assert list(dict.fromkeys(found)) == order


def test_progress_moves_only_while_downloading() -> None:
    lab = Lab()
    lab.start("update_engine_client", "-update")
    seen: set[Operation] = set()
    while lab.host.state.engine.operation is not Operation.NEED_REBOOT:
        engine = lab.host.state.engine
        assert 0 <= engine.progress <= 1
        if engine.progress:
            assert engine.operation is Operation.DOWNLOADING
        seen.add(engine.operation)
        due = lab.host.next_due()
        assert due is not None
        lab.host.advance(due)
    assert Operation.DOWNLOADING in seen


def test_staging_changes_the_flags_at_its_very_end() -> None:
    lab = Lab()
    lab.start("update_engine_client", "-update")
    for operation in (Operation.AVAILABLE, Operation.DOWNLOADING, Operation.FINALIZING):
        lab.until_operation(operation)
        assert lab.flags() == ((1, 0, 1), (0, 0, 0))
    lab.until_operation(Operation.NEED_REBOOT)
    assert lab.flags() == ((1, 0, 1), (2, 1, 0))
    state = lab.host.state
    assert state.staged_marker
    assert state.reboot_required
    assert (state.prefs or {})["previous-version"] == OLD
    assert lab.told(What.STAGED) == [NEW]


def test_the_way_back_is_gone_from_the_first_moment_on_and_its_flags_say_nothing() -> None:
    lab = b_good()
    assert content(lab.host.state.a) is Content.INTACT
    lab.server.offers["stable"] = NEWEST
    lab.start("update_engine_client", "-update")
    lab.until_operation(Operation.AVAILABLE)
    assert content(lab.host.state.a) is Content.MIXTURE
    lab.until_operation(Operation.DOWNLOADING)
    lab.run("systemctl", "stop", "update-engine")
    assert lab.host.state.a.successful
    assert content(lab.host.state.a) is Content.MIXTURE


def test_a_copy_of_the_running_slot_stands_before_the_download() -> None:
    lab = ERRORS["payload_404"]()
    lab.update()
    assert content(lab.host.state.b) is Content.COPY
    assert lab.host.state.b.version == OLD


def test_a_failing_postinst_leaves_the_new_release_under_the_old_flags() -> None:
    lab = updated(ERRORS["postinst_fail"]())
    assert lab.host.state.b.version == NEW
    assert content(lab.host.state.b) is Content.INTACT
    assert lab.flags() == ((1, 0, 1), (0, 0, 0))
    assert (lab.host.state.prefs or {})["delta-update-failures"] == "1"
    assert not lab.host.state.reboot_required


def test_old_control_groups_and_a_full_boot_partition_stop_an_update() -> None:
    lab = Lab(faults=Faults(cgroup_v1=True))
    lab.update()
    assert lab.told(What.ATTEMPT_FAILED) == ["5"]
    assert any("does not support cgroupv1" in line.text for line in lab.host.state.journal)
    lab = Lab(faults=Faults(boot_full=True))
    lab.update()
    assert lab.told(What.ATTEMPT_FAILED) == ["4"]
    assert any(
        "Failed to copy kernel from /boot/flatcar/vmlinuz-a" in line.text for line in lab.host.state.journal
    )
    assert lab.host.state.disks["/boot"].available_bytes == 0


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("http404", 37),
        ("http503", 37),
        ("hash_mismatch", 10),
        ("truncated", 11),
        ("badsig", 18),
        ("unsigned", 17),
    ],
)
def test_a_failure_is_idle_again_and_only_the_journal_knows(name: str, code: int) -> None:
    lab = updated(ERRORS[name]())
    engine = lab.host.state.engine
    assert engine.operation is Operation.IDLE
    assert (engine.new_version, engine.new_size_bytes) == ("0.0.0", 0)
    assert any(f"error code: {code} (" in line.text for line in lab.host.state.journal)


@pytest.mark.parametrize(
    ("body", "code"), [("empty", 30), ("not-xml", 31), ("other-xml", 34), ("error-status", 34)]
)
def test_an_answer_that_is_none_has_its_own_code(body: str, code: int) -> None:
    lab = Lab()
    lab.server.body = body
    lab.update()
    assert lab.told(What.ATTEMPT_FAILED) == [str(code)]
    assert lab.host.state.engine.last_checked_at is None


def test_the_time_of_the_last_check_counts_only_accepted_answers() -> None:
    lab = updated(ERRORS["http404"]())
    assert lab.host.state.engine.last_checked_at is None
    lab = updated(ERRORS["noupdate"]())
    assert lab.host.state.engine.last_checked_at is not None
    lab.run("systemctl", "restart", "update-engine")
    assert lab.host.state.engine.last_checked_at is None


def test_a_restarted_daemon_knows_that_it_staged_and_no_longer_what() -> None:
    lab = staged()
    lab.run("systemctl", "restart", "update-engine")
    engine = lab.host.state.engine
    assert engine.operation is Operation.NEED_REBOOT
    assert (engine.new_version, engine.new_size_bytes, engine.last_checked_at) == ("0.0.0", 0, None)
    lab.wait(100)
    assert lab.flags() == ((1, 0, 1), (2, 1, 0)), "mark-good is skipped while an update is staged"


def test_a_reset_does_not_unstage_and_a_restart_after_it_does() -> None:
    lab = reset()
    assert lab.flags() == ((1, 0, 1), (2, 1, 0))
    assert lab.host.state.reboot_required
    assert not lab.host.state.staged_marker
    lab.run("systemctl", "restart", "update-engine")
    lab.wait(44)
    assert lab.flags() == ((1, 0, 1), (2, 1, 0))
    lab.wait(2)
    assert lab.flags() == ((2, 0, 1), (1, 1, 0))


def test_a_new_boot_is_called_good_after_45_seconds() -> None:
    lab = booted_b()
    assert lab.flags() == ((1, 0, 1), (2, 0, 0))
    lab.wait(44.9)
    assert not lab.host.state.b.successful
    lab.wait(0.2)
    assert lab.flags() == ((1, 0, 1), (2, 0, 1))
    assert lab.told(What.CONFIRMED) == [f"B {NEW}"]


def test_a_check_calls_a_new_boot_good_at_once() -> None:
    lab = booted_b()
    lab.run("update_engine_client", "-check_for_update")
    assert lab.flags() == ((1, 0, 1), (2, 0, 1))


def test_without_its_daemon_a_boot_is_never_called_good() -> None:
    lab = staged()
    lab.run("systemctl", "mask", "update-engine")
    lab.run("systemctl", "reboot")
    lab.wait(3600)
    assert lab.flags() == ((1, 0, 1), (2, 0, 0))
    lab.run("systemctl", "reboot")
    lab.wait(600)
    assert lab.host.state.running is SlotName.A, "the next boot falls back"
    assert lab.told(What.FELL_BACK)


def test_a_revert_is_told_once_and_its_trace_is_then_gone() -> None:
    lab = fell_back()
    lab.server.offers.clear()
    assert (lab.host.state.prefs or {})["previous-version"] == OLD
    assert lab.flags() == ((1, 0, 1), (2, 0, 0))
    for _ in range(2):
        lab.update()
    lines = [line.text for line in lab.host.state.journal if "Rollback detected" in line.text]
    assert lines == [f"Rollback detected, still running {OLD} after update."]
    assert (lab.host.state.prefs or {})["previous-version"] == ""
    assert lab.flags() == ((2, 0, 1), (1, 0, 0))


def test_a_killed_download_goes_on_where_it_was() -> None:
    lab = killed_and_back()
    lab.start("update_engine_client", "-update")
    lab.until_operation(Operation.DOWNLOADING)
    assert lab.host.state.engine.progress >= 0.4
    lab.until_operation(Operation.NEED_REBOOT)
    assert any(", resume," in line.text for line in lab.host.state.journal)


def test_backoff_defers_the_same_payload_for_about_a_day() -> None:
    lab = Lab()
    lab.server.disables_backoff = False
    lab.update()
    expiry = int((lab.host.state.prefs or {})["backoff-expiry-time"])
    wait = expiry - lab.host.now.timestamp()
    assert 17 * 3600 <= wait <= 31 * 3600
    lab.run("update_engine_client", "-reset_status")
    lab.update()
    assert lab.told(What.ATTEMPT_FAILED) == ["40"]
    lab.wait(wait)
    lab.update()
    assert lab.told(What.STAGED) == [NEW, NEW]


def test_an_alive_host_checks_by_itself_within_the_timers() -> None:
    lab = Lab(alive=True)
    lab.server.offers.clear()
    lab.run("systemctl", "restart", "update-engine")
    began = lab.host.now
    lab.wait(6 * 3600)
    times = [entry.at for entry in lab.host.log if entry.what is What.CHECKED]
    assert timedelta(minutes=2) <= times[0] - began <= timedelta(minutes=12, seconds=1)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert all(timedelta(minutes=40) <= gap <= timedelta(minutes=50, seconds=2) for gap in gaps)
    assert len(gaps) >= 6


def test_a_busy_server_is_asked_less_often() -> None:
    lab = Lab(alive=True)
    lab.server.http_status = 503
    lab.wait(24 * 3600)
    times = [entry.at for entry in lab.host.log if entry.what is What.ATTEMPT_FAILED]
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    assert gaps[0] > 5000
    assert 4 * 3600 - 301 <= max(gaps) <= 4 * 3600 + 302


def test_a_host_that_is_not_alive_does_nothing_by_itself() -> None:
    lab = Lab()
    assert lab.host.next_due() is None
    lab.wait(86400)
    assert not lab.host.log


def test_a_staged_host_pings_and_takes_no_newer_release() -> None:
    lab = Lab(alive=True)
    lab.update()
    lab.server.offers["stable"] = NEWEST
    lab.wait(4 * 3600)
    assert lab.told(What.STAGED) == [NEW]
    assert any("we'll ping Omaha instead" in line.text for line in lab.host.state.journal)


def test_a_watcher_hears_nothing_of_a_new_daemon() -> None:
    lab = Lab()
    watcher = lab.start("update_engine_client", "-watch_for_updates")
    lab.run("systemctl", "restart", "update-engine")
    lab.update()
    assert b"Got status update" not in watcher.stderr


def test_the_group_is_read_at_each_check() -> None:
    lab = Lab(fresh("GROUP=stable\n"))
    lab.server.offers = {"beta": "4757.1.0"}
    lab.update()
    assert lab.told(What.CHECKED) == ["nothing"]
    lab.host.state = replace(lab.host.state, conf="GROUP=beta\n")
    lab.update()
    assert lab.told(What.STAGED) == ["4757.1.0"]


def test_no_server_offers_the_way_down() -> None:
    lab = Lab()
    lab.server.offers["stable"] = "4459.2.4"
    lab.update()
    assert lab.told(What.CHECKED) == ["nothing"]
