"""What the other programs of a live host say and do: who may, which unit, which file, which slot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collectors.facts import SlotName
from collectors.parse.answer import parse_answer
from collectors.parse.slots import parse_cgpt_show
from collectors.parse.sysext import parse_sysext_list, parse_sysext_status
from console.demo.healthy import Flavour, HostSpec, healthy
from console.demo.live.kinds import Faults, What
from console.demo.live.shell import root_hash
from console.demo.world import Bus, Extension
from tests.unit.demo_seen import MARK
from tests.unit.live_lab import NEW, START, Lab, fresh
from tests.unit.live_states import CLIENT, b_good, booted_b, no_daemon, staged
from tests.unit.test_live_recordings import recorded, shape

STATUS = (
    "busctl", "--system", "call", "com.coreos.update1", "/com/coreos/update1",
    "com.coreos.update1.Manager", "GetStatus",
)  # fmt: skip


def test_others_than_root_and_core_are_refused_each_in_its_own_way() -> None:
    lab = Lab()
    found = lab.run(CLIENT, "-status", uid=1000)
    assert found.exit_status == 0
    assert found.stdout.decode().splitlines() == [
        "LAST_CHECKED_TIME=0",
        "PROGRESS=0.000000",
        "CURRENT_OP=(null)",
        "NEW_VERSION=(null)",
        "NEW_SIZE=0",
    ]
    assert b"Error getting status: GError(9): Rejected send message" in found.stderr
    assert lab.run(CLIENT, "-check_for_update", uid=1000).exit_status == 134
    assert lab.run(CLIENT, "-update", uid=1000).exit_status == 134
    assert lab.run(CLIENT, "-reset_status", uid=1000).exit_status == 1
    assert not lab.host.log
    assert lab.run(CLIENT, "-check_for_update", uid=500).exit_status == 0
    lab.wait(60)
    assert lab.told(What.STAGED) == [NEW]


def test_a_daemon_that_is_away_costs_the_client_half_a_minute_and_busctl_nothing() -> None:
    lab = no_daemon()
    before = lab.host.now
    assert lab.run(*STATUS).exit_status == 1
    assert lab.host.now == before
    assert lab.run(CLIENT, "-status").exit_status == 1
    assert (lab.host.now - before).total_seconds() == 30


@pytest.mark.parametrize(
    ("flag", "status", "words"),
    [
        ("-rollback", 1, "unknown command line flag 'rollback'"),
        ("-h", 1, "unknown command line flag 'h'"),
        ("--check-for-update", 0, "Initiating update check and install."),
        ("-nostatus", 0, "Done."),
    ],
)
def test_flags_are_gflags_own(flag: str, status: int, words: str) -> None:
    found = Lab().run(CLIENT, flag)
    assert found.exit_status == status
    assert words in found.stderr.decode()


def test_sudo_runs_as_root_or_asks_for_a_password() -> None:
    lab = Lab()
    assert lab.run("sudo", "-n", "cgpt", "show", "/dev/sda", uid=500).exit_status == 0
    assert lab.run("cgpt", "show", "/dev/sda", uid=500).exit_status == 1
    lab.host.faults = Faults(sudo_refused=True)
    found = lab.run("sudo", "-n", "true", uid=500)
    assert (found.exit_status, found.stderr) == (1, b"sudo: a password is required\n")


def test_what_is_not_there_is_not_found() -> None:
    found = Lab().run("python3", "-V")
    assert (found.exit_status, found.stderr) == (127, b"bash: python3: command not found\n")


# -- cgpt ----------------------------------------------------------------------------------------


def test_the_table_is_read_by_our_own_parser_with_the_flags_that_are_set() -> None:
    for lab in (Lab(), staged(), booted_b()):
        table = parse_cgpt_show(lab.run("cgpt", "show", "/dev/sda").stdout.decode())
        shown = [
            (item.priority, item.tries, item.successful) for item in table.partitions if item.number in (3, 4)
        ]
        assert shown == [(p, t, bool(s)) for p, t, s in lab.flags()]


@pytest.mark.parametrize(
    ("argv", "stdout", "stderr", "status"),
    [
        (("show", "-i", "3", "-A", "/dev/sda"), "0x101000000000000\n", "", 0),
        (("show", "-i", "99", "-P", "/dev/sda"), "0\n", "", 0),
        (("show", "-i", "500", "-P", "/dev/sda"), "", "ERROR: cgpt show: invalid partition number: 500\n", 1),
        (
            ("show", "/nonexistent"),
            "",
            "ERROR: cgpt show: unable to access device /nonexistent: No such file or directory\n",
            1,
        ),
        (("find", "-n", "-l", "USR-B", "/dev/sda"), "4\n", "", 0),
        (("find", "-t", "flatcar-usr"), "/dev/sda3\n/dev/sda4\n", "", 0),
        (
            ("prioritize", "-i", "6", "/dev/sda"),
            "",
            "ERROR: cgpt prioritize: partition 6 is not a Flatcar root\n",
            1,
        ),
        (("repair", "/dev/sda"), "", "", 0),
        (
            ("add", "-i", "4", "-T", "99", "/dev/sda"),
            "",
            "ERROR: cgpt add: value out of range for -T: 99\n",
            1,
        ),
    ],
)
def test_cgpt_answers_as_described(argv: tuple[str, ...], stdout: str, stderr: str, status: int) -> None:
    found = Lab().run("cgpt", *argv)
    assert (found.stdout.decode(), found.stderr.decode(), found.exit_status) == (stdout, stderr, status)


def test_add_takes_its_values_in_the_same_word_or_the_next() -> None:
    lab = Lab()
    lab.run("cgpt", "add", "-i", "4", "-S0", "-T1", "-P2", "/dev/sda")
    assert lab.flags()[1] == (2, 1, 0)
    lab.run("cgpt", "add", "-i", "4", "-S", "1", "-T", "0", "/dev/disk/by-partlabel/USR-B")
    assert lab.flags()[1] == (2, 0, 1)


def test_the_short_and_the_numeric_table_have_the_recorded_form() -> None:
    lab = Lab()
    theirs = shape(recorded("idle0_cgpt_show_p3", "stdout")).splitlines()
    for option in ("-q", "-n"):
        ours = shape(lab.run("cgpt", "show", option, "/dev/sda").stdout.decode()).splitlines()
        assert set(ours) <= set(theirs) | {" Attr: 0x0000000000000004"}


def test_next_writes() -> None:
    lab = staged()
    found = lab.run("cgpt", "next")
    assert found.stdout == b"e03dd35c-7c2d-4a47-b3fe-27f15780a57c\n"
    assert lab.flags()[1] == (2, 0, 0)
    assert lab.host.state.next_slot is SlotName.A


def test_nvme_names_are_wrong_in_find_and_right_elsewhere() -> None:
    lab = Lab(healthy(HostSpec("nvme", START, Flavour(disk="nvme0n1"))))
    assert lab.run("cgpt", "find", "-t", "flatcar-usr").stdout == b"/dev/nvme0n13\n/dev/nvme0n14\n"
    running = lab.run("rootdev", "-s", "/usr", uid=500).stdout.decode().strip()
    assert running in ("/dev/nvme0n1p3", "/dev/nvme0n1p4")
    assert lab.run("cgpt", "prioritize", running).exit_status == 0


# -- slots' proof --------------------------------------------------------------------------------


def test_verity_tells_an_intact_slot_from_a_damaged_one() -> None:
    lab = b_good()
    for name, status in ((SlotName.A, 0), (SlotName.B, 0)):
        device = f"/dev/disk/by-partlabel/USR-{name}"
        proof = root_hash(lab.host.body, name) or ""
        assert (
            lab.run("veritysetup", "verify", device, device, proof, "--hash-offset=1065345024").exit_status
            == status
        )
    proof = root_hash(lab.host.body, SlotName.A) or ""
    lab.host.damage(SlotName.A)
    found = lab.run("veritysetup", "verify", "/dev/sda3", "/dev/sda3", proof)
    assert found.exit_status == 2
    assert b"Verification failed at position" in found.stderr


def test_the_hash_in_proc_cmdline_is_the_running_slots() -> None:
    lab = b_good()
    proof = root_hash(lab.host.body, SlotName.B)
    assert f"verity.usrhash={proof}" in lab.run("cat", "/proc/cmdline").stdout.decode()


# -- systemd -------------------------------------------------------------------------------------


def test_units_are_asked_about_and_changed() -> None:
    lab = Lab()
    assert lab.run("systemctl", "is-active", "update-engine", uid=500).stdout == b"active\n"
    assert lab.run("systemctl", "is-active", "nope").exit_status == 4
    assert lab.run("systemctl", "stop", "update-engine", uid=500).exit_status == 1
    lab.run("systemctl", "stop", "update-engine")
    assert lab.run("systemctl", "is-active", "update-engine").exit_status == 3
    assert lab.host.state.engine.bus is Bus.ABSENT
    assert lab.run("systemctl", "show", "-P", "Result", "update-engine").stdout == b"exit-code\n"
    lab.run("systemctl", "start", "update-engine")
    assert lab.run("systemctl", "is-system-running").stdout == b"running\n"
    assert lab.run("systemctl", "start", "nope").exit_status == 5


def test_a_killed_daemon_is_started_again_after_half_a_minute() -> None:
    lab = Lab()
    lab.run("systemctl", "kill", "update-engine")
    lab.wait(29)
    assert not lab.host.has_updater
    lab.wait(2)
    assert lab.host.has_updater


def test_a_failed_unit_is_listed_until_it_is_reset() -> None:
    lab = Lab()
    lab.run("systemd-run", "--unit=broken", "false")
    assert lab.run("systemctl", "list-units", "--failed", "--plain", "--no-legend").stdout.startswith(
        b"broken.service"
    )
    lab.run("systemctl", "reset-failed")
    assert lab.run("systemctl", "list-units", "--failed").stdout == b""


def test_waiting_for_a_unit_gives_its_output_and_status() -> None:
    found = Lab().run("systemd-run", "--wait", "--pipe", "--unit=x", "cat", "/etc/flatcar/none")
    assert found.exit_status == 1
    assert b"No such file or directory" in found.stderr


def test_the_journal_is_of_this_boot_or_of_the_one_before() -> None:
    lab = booted_b()
    assert (
        b"Omaha Response manifest"
        not in lab.run("journalctl", "-b", "-u", "update-engine", "-o", "cat").stdout
    )
    earlier = lab.run(
        "journalctl", "-b", "-1", "-u", "update-engine.service", "-o", "short-unix"
    ).stdout.decode()
    assert f"Omaha Response manifest version = {NEW}" in earlier
    assert earlier.splitlines()[0].split()[1] == "lab"


def test_a_command_that_takes_too_long_is_ended_by_timeout() -> None:
    lab = Lab()
    found = lab.run("timeout", "2", CLIENT, "-watch_for_updates")
    assert found.exit_status == 124
    assert b"Watching for status updates." in found.stderr


# -- extensions ----------------------------------------------------------------------------------


def test_one_unreadable_image_spoils_a_refresh_and_keeps_the_old_merge() -> None:
    lab = Lab()
    before = lab.host.state.merged
    assert lab.run("systemd-sysext", "refresh").exit_status == 0
    lab.host.body.sysexts.is_broken = True
    found = lab.run("systemd-sysext", "refresh")
    assert (found.exit_status, lab.host.state.merged) == (1, before)
    lab.reboot()
    assert lab.host.state.merged == ()
    assert [unit.name for unit in lab.host.state.failed] == ["systemd-sysext.service"]


def test_a_new_image_behind_a_link_is_merged_by_a_refresh() -> None:
    state = fresh()
    new, old = "/opt/extensions/kubernetes/new.raw", "/opt/extensions/kubernetes/old.raw"
    item = Extension("kubernetes", new, "ID=_any\n", old)
    lab = Lab(replace(state, extensions=(*state.extensions, item)))
    assert lab.run("systemctl", "restart", "systemd-sysext").exit_status == 0
    assert {found.merged_image for found in lab.host.state.merged if found.name == "kubernetes"} == {new}


def test_a_link_that_is_turned_leaves_the_old_image_merged_until_a_refresh() -> None:
    state = fresh()
    old = "/opt/extensions/wasmtime/old.raw"
    lab = Lab(replace(state, extensions=(*state.extensions, Extension("wasmtime", old, "ID=_any\n", old))))
    lab.run("ln", "-sfn", "/opt/extensions/wasmtime/new.raw", "/etc/extensions/wasmtime.raw")
    assert (
        lab.run("readlink", "-f", "/etc/extensions/wasmtime.raw").stdout
        == b"/opt/extensions/wasmtime/new.raw\n"
    )
    assert [item.merged_image for item in lab.host.state.merged if item.name == "wasmtime"] == [old]
    lab.run("systemd-sysext", "refresh")
    assert [item.merged_image for item in lab.host.state.merged if item.name == "wasmtime"] != [old]


def test_both_forms_of_status_and_list_say_the_same() -> None:
    lab = Lab()
    for verb, read in (("status", parse_sysext_status), ("list", parse_sysext_list)):
        texts = [
            lab.run("systemd-sysext", verb, *form, uid=500).stdout.decode()
            for form in ((), ("--json=short",))
        ]
        plain, as_json = (str(read(text)) for text in texts)
        assert plain.count("docker-flatcar") == as_json.count("docker-flatcar") > 0
    assert lab.run("systemd-sysext", "refresh", uid=500).stderr == b"Need to be privileged.\n"


# -- files ---------------------------------------------------------------------------------------


def test_files_are_those_of_the_state() -> None:
    lab = staged()
    assert lab.run("cat", "/etc/flatcar/update.conf", uid=500).stdout.decode() == lab.host.state.conf
    assert (
        lab.run("sed", "-n", "p", "/etc/machine-id").stdout.decode().strip()
        == lab.host.state.hardware.machine_id
    )
    assert lab.run("test", "-e", "/run/reboot-required").exit_status == 0
    assert lab.run("rm", "/run/reboot-required").exit_status == 0
    assert not lab.host.state.reboot_required
    prefs = "/var/lib/update_engine/prefs/previous-version"
    assert lab.run("cat", prefs, uid=500).exit_status == 1
    assert lab.run("cat", prefs).exit_status == 0


def test_what_is_written_lasts_as_long_as_its_place() -> None:
    lab = Lab()
    lab.host.files.write("/run/fleetctl/order", b"7\n")
    lab.host.files.write("/var/tmp/payload.gz", b"x", uid=500)
    with pytest.raises(PermissionError):
        lab.host.files.write("/etc/flatcar/update.conf", b"", uid=500)
    with pytest.raises(PermissionError):
        lab.host.files.write("/usr/lib/os-release", b"")
    lab.reboot()
    assert lab.host.files.read("/run/fleetctl/order") is None
    assert lab.host.files.read("/var/tmp/payload.gz") == b"x"


def test_nothing_is_written_to_a_full_disk() -> None:
    lab = Lab()
    free = lab.host.state.disks["/"].available_bytes
    lab.host.faults = Faults(disk_full=True)
    with pytest.raises(OSError, match="No space left"):
        lab.host.files.write("/var/tmp/payload.gz", b"x")
    assert lab.host.state.disks["/"].available_bytes == 0
    lab.host.faults = Faults()
    assert lab.host.state.disks["/"].available_bytes == free


# -- the probe -----------------------------------------------------------------------------------


def test_the_probe_reads_a_live_host_at_any_moment() -> None:
    lab = Lab()
    lab.start(CLIENT, "-update")
    while not lab.told(What.STAGED):
        due = lab.host.next_due()
        assert due is not None
        lab.host.advance(due)
        facts = parse_answer(lab.host.answer_probe(MARK, uid=500), MARK, salt=b"")
        assert facts.unread == ()
        assert facts.slots == lab.host.state.slots
