"""Verbs but `stage` on simulated hosts: what each does, refuses, undoes and leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from actions.remote.cancel import CANCEL, cancel_values
from actions.remote.channel import CHANNEL, channel_values
from actions.remote.extra import UnitFile
from actions.remote.order import Reply, VerbText, Word
from actions.remote.reboot import ACTIVATE, REBOOT, reboot_values
from actions.remote.repair import REPAIR, Residue, repair_values
from actions.remote.roll_back import ROLL_BACK, roll_back_values
from actions.remote.stage import STAGE, stage_values
from actions.remote.updates import UPDATES_ORDER, updates_values
from actions.remote.words import Exit
from collectors.facts import Operation
from console.demo.live.kinds import Faults, What
from console.demo.live.machine import LOCKSMITHD_UNIT
from tests.unit.live_lab import NEW, NEWEST, OLD, fresh
from tests.unit.test_live_orders import Ordered, with_faults
from tests.unit.test_live_orders_stage import masks, staged

FILE = "/etc/systemd/system/locksmithd.service"
OWN = "# ours\r\nSERVER=http://127.0.0.1:8080/v1/update/\nGROUP=stable"
"""Its last line has no end."""


def confirmed(then: Callable[[Ordered], object] | None = None) -> Ordered:
    """NEW runs in B and is confirmed, OLD in A is a good way back."""
    lab = Ordered()
    lab.update()
    lab.reboot()
    lab.wait(60)
    if then:
        then(lab)
    return lab


# -- cancel ----------------------------------------------------------------------------------------


def test_cancel_goes_back_to_the_running_slot_and_gives_locksmithd_back() -> None:
    lab = staged()
    lab.host.state = replace(lab.host.state, reboot_required=True)
    assert lab.send(CANCEL, cancel_values(), "o-bbbbbb")[0].word is Word.TAKEN
    conf = lab.extra().conf_digest
    reply, _ = lab.send(CANCEL, cancel_values(found=conf), "o-bbbbbb", follows="o-aaaaaa")
    assert reply.word is Word.STARTED
    assert lab.ended("o-bbbbbb") == 0
    assert lab.flags() == ((2, 0, 1), (1, 1, 0))
    assert lab.host.state.engine.operation is Operation.IDLE
    assert not lab.host.state.reboot_required
    assert lab.log_of("o-bbbbbb") == [
        "locksmithd held already",
        "next boot is A",
        "status is idle",
        "reboot marker removed",
        "locksmithd given back, was not running",
    ]
    assert lab.order_file() is None


def test_cancel_with_updates_off_leaves_locksmithd_held_only_where_updates_are_not_as_found() -> None:
    lab = Ordered()
    lab.run("systemctl", "start", "locksmithd")
    lab.update()
    assert lab.do(CANCEL, cancel_values(updates_off=True)) == 0
    assert "SERVER=disabled\n" in (lab.host.state.conf or "")
    assert lab.log_of()[0] == "updates off"
    lab = Ordered()
    lab.update()
    assert lab.do(CANCEL, cancel_values(found="absent")) == 0
    assert lab.log_of()[-1] == "locksmithd stays held: updates not as found"


def test_cancel_takes_a_prepared_roll_back_back_by_recorded_flags() -> None:
    lab = confirmed()
    lab.run("cgpt", "add", "-S0", "-T1", "-P3", "/dev/disk/by-partlabel/USR-A")
    flags = ("priority=1 tries=0 successful=1", "priority=2 tries=0 successful=1")
    assert lab.do(CANCEL, cancel_values(flags=flags)) == 0
    assert lab.flags() == ((1, 0, 1), (2, 0, 1))
    assert "both slots as recorded" in lab.log_of()


def test_a_step_of_cancel_that_fails_ends_it_with_locksmithd_held() -> None:
    lab = staged()
    lab.host.faults = Faults(disk_full=True)
    lab.send(CANCEL, cancel_values(updates_off=True), "o-bbbbbb", follows="o-aaaaaa")
    assert lab.ended("o-bbbbbb") == Exit.STEP_FAILED
    assert lab.log_of("o-bbbbbb") == ["updates-off failed"]
    assert masks(lab)[3] == "o-aaaaaa"
    assert lab.flags() == ((1, 0, 1), (2, 1, 0))


# -- activate, reboot, roll-back -------------------------------------------------------------------


def test_activate_boots_the_staged_slot_and_run_is_empty_afterwards() -> None:
    lab = staged()
    boot = lab.host.state.boot_id
    reply, _ = lab.send(ACTIVATE, reboot_values("B"), "o-bbbbbb", follows="o-aaaaaa")
    assert reply.word is Word.STARTED
    lab.wait(1)
    assert not lab.told(What.REBOOT_ASKED)
    lab.until(lambda: lab.host.state.boot_id != boot)
    assert lab.told(What.REBOOTED) == [f"B {NEW}"]
    assert not lab.host.files.paths("/run/fleetctl")
    assert masks(lab)[0] is UnitFile.ABSENT
    lab.wait(100)
    assert lab.flags() == ((1, 0, 1), (2, 0, 1))


def test_reboot_boots_the_running_slot_again() -> None:
    lab = confirmed()
    boot = lab.host.state.boot_id
    assert lab.send(REBOOT, reboot_values("B"))[0].word is Word.STARTED
    lab.until(lambda: lab.host.state.boot_id != boot)
    assert lab.told(What.REBOOTED) == [f"B {NEW}", f"B {NEW}"]


def test_a_reboot_that_is_refused_lets_the_host_go() -> None:
    lab = confirmed(lambda lab: setattr(lab.host, "faults", Faults(reboot_refused=True)))
    assert lab.do(REBOOT, reboot_values("B")) == Exit.STEP_FAILED
    assert lab.log_of() == ["rebooting", "reboot was refused"]
    assert lab.order_file() is None
    assert "o-aaaaaa.going" not in lab.host.files.paths("/run/fleetctl")


def test_what_changes_between_the_answer_and_the_reboot_still_stops_it() -> None:
    lab = confirmed()
    lab.send(REBOOT, reboot_values("B"))
    lab.wait(1)
    lab.host.faults = Faults(inhibitor="backup")
    assert lab.ended() == Exit.REFUSED
    assert not lab.told(What.REBOOT_REFUSED)
    assert lab.order_file() is None


def test_roll_back_switches_updates_off_and_boots_the_older_slot_for_one_try() -> None:
    lab = confirmed()
    boot = lab.host.state.boot_id
    assert lab.send(ROLL_BACK, roll_back_values("A"))[0].word is Word.STARTED
    lab.wait(2.1)
    assert lab.flags() == ((2, 1, 0), (1, 0, 1))
    assert lab.log_of() == ["updates off", "slot A has one try", "next boot is A", "rebooting"]
    lab.until(lambda: lab.host.state.boot_id != boot)
    assert lab.told(What.REBOOTED)[-1] == f"A {OLD}"
    assert "SERVER=disabled\n" in (lab.host.state.conf or "")
    lab.wait(100)
    assert lab.flags() == ((2, 0, 1), (1, 0, 1))


def test_a_damaged_older_slot_falls_back_by_itself() -> None:
    lab = confirmed(lambda lab: lab.host.damage(lab.host.state.running.other))  # type: ignore[union-attr]
    boot = lab.host.state.boot_id
    lab.send(ROLL_BACK, roll_back_values("A"))
    lab.until(lambda: lab.host.state.boot_id != boot)
    assert lab.told(What.REBOOTED)[-1] == f"B {NEW}"
    assert lab.told(What.FELL_BACK)


@pytest.mark.parametrize(
    ("faults", "step"),
    [(Faults(reboot_refused=True), "reboot"), (Faults(disk_full=True), "updates-off")],
)
def test_a_roll_back_that_fails_puts_back_what_it_changed(faults: Faults, step: str) -> None:
    lab = confirmed()
    before = lab.guard()
    lab.host.faults = faults
    status = lab.do(ROLL_BACK, roll_back_values("A"))
    assert f"{step} failed" in lab.log_of()
    assert lab.guard() == before
    assert lab.order_file() is None
    # What a full disk still holds is as it was, but the copy that would prove it finds no room.
    assert status == (Exit.NOT_UNDONE if faults.disk_full else Exit.STEP_FAILED)


SEEN: list[tuple[str, Callable[[Ordered], object]]] = [
    ("reset-armed", lambda lab: setattr(lab.host, "state", replace(lab.host.state, reset_armed=True))),
    (
        "first-boot-armed",
        lambda lab: setattr(lab.host, "state", replace(lab.host.state, first_boot_armed=True)),
    ),
    (
        "boot-unread",
        lambda lab: setattr(
            lab.host, "state", replace(lab.host.state, disks={"/": lab.host.state.disks["/"]})
        ),
    ),
    ("inhibited", lambda lab: setattr(lab.host, "faults", Faults(inhibitor="backup"))),
    ("unconfirmed", lambda lab: lab.run("cgpt", "add", "-S0", "-T1", "/dev/disk/by-partlabel/USR-B")),
    ("running-unknown", lambda lab: setattr(lab.host, "state", replace(lab.host.state, running=None))),
    ("updater-running", lambda lab: lab.host.run(("flatcar-update", "-V", NEWEST), uid=0)),
]


@pytest.mark.parametrize(("code", "then"), SEEN)
@pytest.mark.parametrize(
    ("text", "slot"), [(REBOOT, "B"), (ACTIVATE, "A"), (ROLL_BACK, "A")], ids=["reboot", "activate", "back"]
)
def test_what_forbids_a_reboot(
    text: VerbText, slot: str, code: str, then: Callable[[Ordered], object]
) -> None:
    lab = confirmed(then)
    values = roll_back_values(slot) if text is ROLL_BACK else reboot_values(slot)
    expected = "slots-unread" if text is ROLL_BACK and code == "running-unknown" else code
    before = lab.host.state.boot_id
    assert lab.send(text, values) == (Reply(Word.REFUSED, expected), Exit.REFUSED)
    assert lab.order_file() is None
    lab.wait(60)
    assert lab.host.state.boot_id == before


def test_only_the_slot_that_is_ordered_is_booted() -> None:
    lab = confirmed()
    assert lab.send(REBOOT, reboot_values("A"))[0] == Reply(Word.REFUSED, "other-slot-next")
    assert lab.send(ACTIVATE, reboot_values("B"))[0] == Reply(Word.REFUSED, "nothing-staged")
    assert lab.send(ROLL_BACK, roll_back_values("B"))[0] == Reply(Word.REFUSED, "runs-already")
    lab.run("cgpt", "prioritize", "/dev/disk/by-partlabel/USR-A")
    assert lab.send(REBOOT, reboot_values("A"))[0] == Reply(Word.REFUSED, "other-slot-next")


# -- channel, updates, repair ----------------------------------------------------------------------


def test_a_channel_is_written_or_taken_away() -> None:
    lab = Ordered(fresh(OWN))
    assert lab.do(CHANNEL, channel_values("beta")) == 0
    assert lab.host.state.conf == OWN.replace("GROUP=stable", "GROUP=beta")
    assert lab.do(CHANNEL, channel_values(None), "o-bbbbbb") == 0
    assert lab.host.state.conf == OWN.removesuffix("GROUP=stable")
    assert lab.order_file() is None


def test_updates_are_switched_by_the_server_line() -> None:
    lab = Ordered(fresh(OWN))
    assert lab.do(UPDATES_ORDER, updates_values("off"), "o-aaaaaa") == 0
    assert lab.host.state.conf == OWN.replace("http://127.0.0.1:8080/v1/update/", "disabled")
    assert lab.do(UPDATES_ORDER, updates_values("on"), "o-bbbbbb") == 0
    assert "SERVER=" not in (lab.host.state.conf or "")
    assert lab.do(UPDATES_ORDER, updates_values("on", "http://own.example.net/"), "o-cccccc") == 0
    assert (lab.host.state.conf or "").endswith("GROUP=stable\nSERVER=http://own.example.net/\n")


def test_a_full_disk_is_a_failed_step_and_changes_nothing() -> None:
    lab = with_faults(disk_full=True)
    before = lab.guard()
    assert lab.do(CHANNEL, channel_values("beta")) == Exit.STEP_FAILED
    assert lab.log_of() == ["GROUP could not be written"]
    assert lab.do(UPDATES_ORDER, updates_values("off"), "o-bbbbbb") == Exit.STEP_FAILED
    assert lab.guard() == before
    assert lab.do(STAGE, stage_values(NEW), "o-cccccc") == Exit.NOT_UNDONE
    assert "update.conf NOT restored" in lab.log_of("o-cccccc")
    assert lab.order_file() is None


def test_repair_puts_right_what_is_there_and_says_where_nothing_is() -> None:
    lab = staged()
    lab.run("update_engine_client", "-reset_status")
    lab.host.files.remove("/run/fleetctl/order")
    assert lab.do(REPAIR, repair_values(list(Residue)), "o-bbbbbb") == 0
    assert lab.log_of("o-bbbbbb") == [
        "server: residue removed",
        "staged: next boot is A",
        "marks: no residue",
        "locksmithd given back, was not running",
    ]
    assert lab.flags() == ((2, 0, 1), (1, 1, 0))
    assert lab.do(REPAIR, repair_values(list(Residue)), "o-cccccc") == 0
    assert lab.log_of("o-cccccc")[:2] == ["server: no residue", "staged: no residue"]


def test_repair_resets_a_status_that_the_next_boot_contradicts() -> None:
    lab = Ordered()
    lab.update()
    lab.run("cgpt", "prioritize", "/dev/disk/by-partlabel/USR-A")
    lab.host.state = replace(lab.host.state, reboot_required=True)
    assert lab.do(REPAIR, repair_values([Residue.MARKS], remove_marker=True)) == 0
    assert lab.log_of() == ["marks: status reset"]
    assert lab.host.state.engine.operation is Operation.IDLE
    assert not lab.host.state.reboot_required


def test_repair_that_cannot_write_says_which() -> None:
    lab = with_faults(disk_full=True)
    assert lab.do(REPAIR, repair_values([Residue.SERVER])) == Exit.STEP_FAILED
    assert lab.log_of() == ["server: failed"]


REFUSED: list[tuple[VerbText, dict[str, str], str, str]] = [
    (STAGE, stage_values(NEW), "staged", "not-idle"),
    (STAGE, stage_values(NEW), "updater", "updater-running"),
    (STAGE, stage_values(NEW), "locksmithd", "locksmithd-in-etc"),
    (CANCEL, cancel_values(), "downloading", "busy"),
    (CANCEL, cancel_values(), "updater", "updater-running"),
    (CANCEL, cancel_values(), "pxe", "running-unknown"),
    (CANCEL, cancel_values(), "locksmithd", "locksmithd-in-etc"),
    (REBOOT, reboot_values("A"), "downloading", "busy"),
    (ROLL_BACK, roll_back_values("B"), "downloading", "busy"),
    (CHANNEL, channel_values("beta"), "updater", "updater-running"),
    (UPDATES_ORDER, updates_values("off"), "updater", "updater-running"),
    (REPAIR, repair_values([]), "downloading", "busy"),
    (REPAIR, repair_values([]), "updater", "updater-running"),
    (REPAIR, repair_values([Residue.MARKS]), "pxe", "running-unknown"),
]


def seen_as(what: str) -> Ordered:
    lab = Ordered()
    match what:
        case "staged":
            lab.update()
        case "updater":
            lab.start("flatcar-update", "-V", NEWEST)
        case "locksmithd":
            lab.host.files.write(FILE, b"[Service]\n")
        case "downloading":
            lab.start("update_engine_client", "-update")
            lab.until_operation(Operation.DOWNLOADING)
        case "pxe":
            lab.host.state = replace(lab.host.state, running=None)
    return lab


@pytest.mark.parametrize(("text", "values", "what", "code"), REFUSED)
def test_what_a_verb_refuses(text: VerbText, values: dict[str, str], what: str, code: str) -> None:
    lab = seen_as(what)
    before = lab.guard()
    assert lab.send(text, values) == (Reply(Word.REFUSED, code), Exit.REFUSED)
    assert lab.guard() == before
    assert lab.order_file() is None


def test_a_locksmithd_that_others_masked_stays_theirs() -> None:
    lab = Ordered()
    lab.run("systemctl", "mask", "--now", "locksmithd")
    assert lab.do(STAGE, stage_values(NEW)) == 0
    assert lab.log_of()[0] == "locksmithd masked by others"
    assert masks(lab) == (UnitFile.ABSENT, UnitFile.MASK, "inactive", None)
    assert lab.host.state.units[LOCKSMITHD_UNIT].file_state == "masked"
