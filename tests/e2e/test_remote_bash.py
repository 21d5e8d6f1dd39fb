"""The real texts of orders under a real bash, on a made-up host: what they refuse, do, undo and leave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actions.orders import Guard
from actions.remote.cancel import CANCEL, cancel_values
from actions.remote.channel import CHANNEL, channel_values
from actions.remote.extra import UnitFile, parse_extra
from actions.remote.order import Order, VerbText, Word
from actions.remote.preflight import PREFLIGHT_ARGV, preflight_stdin
from actions.remote.reboot import ACTIVATE, REBOOT, reboot_values
from actions.remote.repair import REPAIR, Residue, repair_values
from actions.remote.roll_back import ROLL_BACK, roll_back_values
from actions.remote.stage import STAGE, stage_values
from actions.remote.words import Exit
from tests.e2e.remote_host import IDLE, MASK, NEED_REBOOT, ODD, STAGED, RemoteHost, is_unfit, state

pytestmark = pytest.mark.skipif(is_unfit(), reason="needs user namespaces and a merged /usr")


@pytest.fixture
def host(tmp_path: Path) -> RemoteHost:
    return RemoteHost.make(tmp_path / "root")


def slots(host: RemoteHost) -> tuple[str, str]:
    return host.get("gpt_A"), host.get("gpt_B")


MOVES = [
    ("boot_id", "00000000-0000-4000-8000-000000000000"),
    ("slot_a", "priority=3 tries=0 successful=1"),
    ("slot_b", "priority=1 tries=1 successful=1"),
    ("operation", NEED_REBOOT),
    ("conf_digest", "absent"),
]


@pytest.mark.parametrize(("field", "value"), MOVES)
def test_a_host_that_moved_is_refused_untouched(host: RemoteHost, field: str, value: str) -> None:
    before = host.conf_now()
    seen: Guard = replace(host.guard(), **{field: value})
    reply, status = host.send(CHANNEL, channel_values("beta"), guard=seen)
    assert (reply.word, status) == (Word.MOVED, Exit.MOVED)
    assert reply.detail.split()[0] == field.removesuffix("_digest")
    assert host.conf_now() == before
    assert not host.path("/run/fleetctl/order").exists()
    assert not any(call.startswith("systemd-run") for call in host.calls)


def test_another_consoles_order_keeps_the_host(host: RemoteHost) -> None:
    state(host, {"updater": "stage"})
    assert host.send(STAGE, stage_values("4593.2.5"))[0].word is Word.STARTED
    held = host.path("/run/fleetctl/order").read_text()
    assert "actor=Jo?Doe\nconsole=ops?1\nverb=stage\n" in held
    reply, status = host.send(CANCEL, cancel_values(), order="o-bbbbbb")
    assert (reply.word, status) == (Word.TAKEN, Exit.TAKEN)
    assert "o-aaaaaa" in reply.detail
    assert host.path("/run/fleetctl/order").read_text() == held
    assert slots(host) == ("2 0 1", "2 1 0")


def test_an_expired_order_is_replaced_and_an_own_one_followed(host: RemoteHost) -> None:
    host.send(STAGE, stage_values("4593.2.5"))
    order = host.path("/run/fleetctl/order")
    assert host.send(CANCEL, cancel_values(), order="o-bbbbbb", follows="o-cccccc")[0].word is Word.TAKEN
    state(host, {"gpt_A": "1 0 1"})
    assert (
        host.send(ACTIVATE, reboot_values("B"), order="o-bbbbbb", follows="o-aaaaaa")[0].word is Word.STARTED
    )
    assert "order=o-bbbbbb\n" in order.read_text()
    order.write_text("order=o-dddddd\nuntil=1700000000\n")
    assert host.send(ACTIVATE, reboot_values("B"), order="o-eeeeee")[0].word is Word.STARTED
    order.write_text("order=o-dddddd\nuntil=1700000000\n")
    host.set("units/fleetctl-o-dddddd.service", "running")
    assert host.send(ACTIVATE, reboot_values("B"), order="o-ffffff")[0].word is Word.TAKEN


def test_who_held_the_host_holds_it_after_one_that_did_nothing(host: RemoteHost) -> None:
    host.send(STAGE, stage_values("4593.2.5"))
    held = host.path("/run/fleetctl/order").read_text()
    state(host, STAGED)
    moved = replace(host.guard(), conf_digest="absent")
    reply, _ = host.send(ACTIVATE, reboot_values("B"), order="o-bbbbbb", follows="o-aaaaaa", guard=moved)
    assert (reply.word, host.path("/run/fleetctl/order").read_text()) == (Word.MOVED, held)
    assert host.send(REBOOT, reboot_values("B"), order="o-cccccc", follows="o-aaaaaa")[0].word is Word.REFUSED
    assert host.path("/run/fleetctl/order").read_text() == held
    state(host, {"fail": "systemctl reboot"})
    assert (
        host.send(ACTIVATE, reboot_values("B"), order="o-dddddd", follows="o-aaaaaa")[0].word is Word.STARTED
    )
    assert (host.get("status"), host.path("/run/fleetctl/order").read_text()) == ("81", held)


def test_the_same_order_twice_does_its_work_once(host: RemoteHost) -> None:
    guard = host.guard()
    assert host.send(CHANNEL, channel_values("beta"), guard=guard)[0].word is Word.STARTED
    host.conf(b"GROUP=lts\n")
    assert host.send(CHANNEL, channel_values("beta"), guard=guard) == (
        host.send(CHANNEL, channel_values("beta"), guard=guard)[0],
        Exit.STARTED,
    )
    assert host.send(CHANNEL, channel_values("beta"), guard=guard)[0].word is Word.RUNNING
    assert host.conf_now() == b"GROUP=lts\n"


@pytest.mark.parametrize("line", ["end", "group=beta\n", "order=o-aaaaaa\n"])
def test_input_that_is_cut_does_nothing(host: RemoteHost, line: str) -> None:
    whole = CHANNEL.stdin(Order("o-aaaaaa", "jo", "ops", 60), host.guard(), channel_values("beta"))
    done = host.bash(CHANNEL.text, CHANNEL.argv[-1], whole.replace(line, "", 1))
    assert done.returncode == Exit.MALFORMED
    assert b"malformed" in done.stdout
    assert not host.path("/run/fleetctl").exists()


@pytest.mark.parametrize("value", ["$(touch /x)", "BETA", "a b", ""])
def test_a_value_is_checked_on_the_host_too(host: RemoteHost, value: str) -> None:
    whole = CHANNEL.stdin(Order("o-aaaaaa", "jo", "ops", 60), host.guard(), channel_values("beta"))
    done = host.bash(CHANNEL.text, CHANNEL.argv[-1], whole.replace("group=beta", f"group={value}"))
    assert (done.returncode, done.stdout) == (Exit.MALFORMED, b"fleetctl o-aaaaaa malformed group\n")


def test_cancel_unstages_and_gives_locksmithd_back_last(host: RemoteHost) -> None:
    host.send(STAGE, stage_values("4593.2.5"))
    host.path("/run/reboot-required").touch()
    host.send(CANCEL, cancel_values(updates_off=True), order="o-bbbbbb", follows="o-aaaaaa")
    assert host.get("status") == "0"
    assert slots(host) == ("2 0 1", "1 1 0")
    assert host.get("op") == IDLE
    assert host.conf_now() == b"GROUP=stable\nSERVER=disabled\n"
    assert not host.path("/run/reboot-required").exists()
    assert not host.path(MASK).is_symlink()
    said = [line.removeprefix("fleetctl o-bbbbbb ") for line in host.told.splitlines() if "o-bbbbbb" in line]
    assert said == [
        "updates off", "locksmithd held already", "next boot is A", "status is idle", "reboot marker removed",
        "locksmithd given back, started",
    ]  # fmt: skip
    assert not host.path("/run/fleetctl/order").exists()


@pytest.mark.parametrize("fails", ["cgpt prioritize*", "busctl*ResetStatus", "systemctl mask*"])
def test_a_cancel_that_fails_keeps_locksmithd_held(host: RemoteHost, fails: str) -> None:
    host.send(STAGE, stage_values("4593.2.5"))
    if "mask" in fails:
        host.path(MASK).unlink()
    state(host, {"fail": fails})
    host.send(CANCEL, cancel_values(), order="o-bbbbbb", follows="o-aaaaaa")
    assert int(host.get("status")) == Exit.STEP_FAILED
    assert "given back" not in host.told
    assert not any(call.startswith("systemctl start") for call in host.calls)


def test_locksmithd_stays_held_where_updates_are_not_as_found(host: RemoteHost) -> None:
    host.send(STAGE, stage_values("4593.2.5"))
    host.send(CANCEL, cancel_values(found="0" * 64), order="o-bbbbbb", follows="o-aaaaaa")
    assert host.path(MASK).is_symlink()
    assert "stays held: updates not as found" in host.told
    host.send(REPAIR, repair_values([Residue.LOCKSMITHD]), order="o-cccccc")
    assert not host.path(MASK).is_symlink()


REFUSALS = [
    ("selective-os-reset", "reset-armed"),
    ("boot/flatcar/first_boot", "first-boot-armed"),
]


@pytest.mark.parametrize("verb", [ACTIVATE, ROLL_BACK])
@pytest.mark.parametrize(("file", "code"), REFUSALS)
def test_no_reboot_where_the_next_boot_wipes(host: RemoteHost, verb: VerbText, file: str, code: str) -> None:
    host.path(file).touch()
    state(host, STAGED)
    reply, status = host.send(verb, reboot_values("B"))
    assert (reply.word, reply.detail, status) == (Word.REFUSED, code, Exit.REFUSED)
    assert "systemctl reboot" not in host.calls
    assert not host.path("/run/fleetctl/order").exists()


BLOCK = (
    '{"type":"a(ssssuu)","data":[[["sleep","\\"shutdown","","delay",0,1],'
    '["idle:shutdown","a\\"b","c","block",0,1]]]}'
)
DELAY = '{"type":"a(ssssuu)","data":[[["shutdown","[\\"shutdown\\",\\"\\",\\"\\",\\"block","","delay",0,1]]]}'


@pytest.mark.parametrize(
    ("changes", "slot", "code"),
    [
        ({"inhibitors": BLOCK}, "B", "inhibited"),
        ({"inhibitors": "?"}, "B", "inhibitors-unread"),
        ({"gpt_A": "1 0 0"}, "B", "unconfirmed"),
        ({"usrdev": "sda1"}, "B", "running-unknown"),
        ({"updater_runs": "1"}, "B", "updater-running"),
        ({}, "A", "other-slot-next"),
        ({"gpt_A": "3 0 1"}, "A", "nothing-staged"),
    ],
)
def test_activate_asks_the_host_again(
    host: RemoteHost, changes: dict[str, str], slot: str, code: str
) -> None:
    state(host, STAGED | changes)
    reply, status = host.send(ACTIVATE, reboot_values(slot))
    assert (reply.word, reply.detail, status) == (Word.REFUSED, code, Exit.REFUSED)
    assert "systemctl reboot" not in host.calls


def test_activate_and_reboot_reboot_into_the_slot_expected(host: RemoteHost) -> None:
    state(host, {"inhibitors": DELAY})
    assert host.send(REBOOT, reboot_values("B"))[0].detail == "other-slot-next"
    assert host.send(REBOOT, reboot_values("A"))[0].word is Word.STARTED
    assert host.calls[-1] == "systemctl reboot"
    state(host, STAGED)
    host.send(ACTIVATE, reboot_values("B"), order="o-bbbbbb", follows="o-aaaaaa")
    assert host.calls.count("systemctl reboot") == 2
    assert "verb=activate\n" in host.path("/run/fleetctl/order").read_text()


def test_a_refused_reboot_gives_the_host_free(host: RemoteHost) -> None:
    state(host, {"fail": "systemctl reboot"})
    host.send(REBOOT, reboot_values("A"))
    assert int(host.get("status")) == Exit.STEP_FAILED
    assert not host.path("/run/fleetctl/order").exists()


def test_roll_back_switches_updates_off_and_gives_one_try(host: RemoteHost) -> None:
    host.conf(ODD)
    assert host.send(ROLL_BACK, roll_back_values("B"))[0].word is Word.STARTED
    assert slots(host) == ("1 0 1", "2 1 0")
    assert host.conf_now() == ODD.replace(b'SERVER="http://own/v1/update/"\r', b"SERVER=disabled")
    assert host.calls[-1] == "systemctl reboot"


@pytest.mark.parametrize("fails", ["cgpt add -S0*", "cgpt prioritize*", "systemctl reboot"])
def test_a_roll_back_that_fails_leaves_all_as_it_was(host: RemoteHost, fails: str) -> None:
    host.conf(ODD)
    state(host, {"gpt_A": "2 1 1", "gpt_B": "1 3 1", "fail": fails})
    host.send(ROLL_BACK, roll_back_values("B"))
    assert int(host.get("status")) == Exit.STEP_FAILED
    assert slots(host) == ("2 1 1", "1 3 1")
    assert host.conf_now() == ODD
    assert not host.path("/run/fleetctl/order").exists()


def test_a_roll_back_killed_in_between_is_undone_and_one_prepared_can_be(host: RemoteHost) -> None:
    program = host.path("/sbin-stand-ins/cgpt")
    plain = program.read_text()
    program.write_text(
        plain.replace("prioritize) ", "prioritize) kill -9 $(cut -d' ' -f4 /proc/$PPID/stat); ")
    )
    host.send(ROLL_BACK, roll_back_values("B"))
    assert host.get("status") == "137"
    assert slots(host) == ("2 0 1", "1 0 1")
    assert host.conf_now() == b"GROUP=stable\n"
    program.write_text(plain)
    before = host.guard()
    state(host, {"gpt_A": "1 0 1", "gpt_B": "2 1 0"})
    host.send(CANCEL, cancel_values(flags=(before.slot_a, before.slot_b)), order="o-bbbbbb")
    assert slots(host) == ("2 0 1", "1 0 1")


def test_repair_removes_only_what_is_a_residue(host: RemoteHost) -> None:
    host.conf(b"GROUP=beta\nSERVER=http://localhost:9090/update\n")
    state(host, {"gpt_A": "1 0 1", "gpt_B": "2 1 0"})
    host.send(REPAIR, repair_values(list(Residue)))
    assert host.conf_now() == b"GROUP=beta\n"
    assert slots(host) == ("2 0 1", "1 1 0")
    assert "server: residue removed" in host.told
    assert "staged: next boot is A" in host.told
    assert "marks: no residue" in host.told
    host.conf(b"SERVER=http://own/\n")
    state(host, {"op": NEED_REBOOT})
    host.send(REPAIR, repair_values(list(Residue), server="http://x/?a=1&b=2"), order="o-bbbbbb")
    assert host.conf_now() == b"SERVER=http://own/\n"
    assert host.get("op") == IDLE


def test_preflight_reads_the_host(host: RemoteHost) -> None:
    host.conf(ODD)
    host.path("/boot/flatcar/vmlinuz-a").write_bytes(b"x" * 1000)
    state(host, {"journal": "1795409133.000000 h systemd[1]: Started.", "inhibitors": BLOCK})
    host.send(STAGE, stage_values("4593.2.5"))
    done = host.bash(PREFLIGHT_ARGV[4], PREFLIGHT_ARGV[5], preflight_stdin("mark-0123", "o-aaaaaa"))
    assert not done.stderr
    seen = parse_extra(done.stdout, "mark-0123", salt=b"s")
    assert seen.complete
    assert (seen.conf, seen.conf_digest) == (ODD, host.guard().conf_digest)
    assert seen.boot is not None
    assert seen.boot.kernels == {"/boot/flatcar/vmlinuz-a": 1000}
    assert seen.inhibitors is not None
    assert [item.forbids_reboot for item in seen.inhibitors] == [False, True]
    assert seen.order is not None
    assert (seen.order.order, seen.order.verb) == ("o-aaaaaa", "stage")
    assert seen.locksmithd is not None
    assert (seen.locksmithd.runtime, seen.locksmithd.fixed) == (UnitFile.MASK, UnitFile.ABSENT)
    assert (seen.locksmithd.held_by, seen.updater_running) == ("o-aaaaaa", False)
    assert (seen.reboot_required, seen.reset_armed) == (False, False)
    assert seen.attempt is not None
    assert seen.attempt.reaches_boot
    assert seen.log[0] == "locksmithd held"
    assert ("before", "was not answered") not in seen.unread
