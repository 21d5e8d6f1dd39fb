"""The recordings of the real updater, played again on a simulated host: the same command in the same state.

Compared are the shape of what is printed (keys, order, form of numbers, the words of the state), the words
of every message on stderr, the exit status and the slots' flags. What is not played again stands below with
its reason, and each recording is in exactly one of the two tables.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collectors.facts import Operation
from tests.unit import live_states as states
from tests.unit.live_lab import NEWEST, Lab
from tests.unit.live_states import CLIENT, ERRORS, Setup, in_operation, updated

FOLDER = Path(__file__).parents[1] / "recorded" / "update-engine"
ENTRIES: dict[str, dict[str, Any]] = {
    entry["name"]: entry
    for line in (FOLDER / "index.jsonl").read_text().splitlines()
    if (entry := json.loads(line))
}

# -- recordings ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Replay:
    setup: Setup
    commands: tuple[tuple[str, ...], ...] | None = None
    """In the place of the recorded command where that needs a shell."""
    looks: bool = False
    """How many looks there are, and what they see, is a matter of speed: only the last counts."""


SHOW = ("cgpt", "show", "/dev/sda")
REPLAYS: dict[str, Replay] = {
    "after_reset_cgpt": Replay(states.reset_after_next, (SHOW,)),
    "after_reset_reset_again": Replay(states.reset_after_next),
    "after_reset_update_noupdate": Replay(states.reset_after_next),
    "available_busctl_call": Replay(in_operation(Operation.AVAILABLE)),
    "available_busctl_reset": Replay(in_operation(Operation.AVAILABLE)),
    "available_copying_status": Replay(in_operation(Operation.AVAILABLE)),
    "available_reset_status": Replay(in_operation(Operation.AVAILABLE)),
    "available_status_core": Replay(in_operation(Operation.AVAILABLE)),
    "checking_busctl_attempt": Replay(in_operation(Operation.CHECKING)),
    "checking_busctl_json": Replay(in_operation(Operation.CHECKING)),
    "checking_check_for_update": Replay(in_operation(Operation.CHECKING)),
    "checking_status": Replay(in_operation(Operation.CHECKING)),
    "clean_hint_p_i8": Replay(
        states.reset, (("cgpt", "p", "-i8", "/dev/sda"), ("cgpt", "p", "-i3", "/dev/sda"), SHOW)
    ),
    "cut_update": Replay(states.never_checked, looks=True),
    "cycle_booted_b_cgpt_before_good": Replay(states.booted_b, (SHOW,)),
    "cycle_cgpt_quick": Replay(
        states.staged,
        tuple(("cgpt", "show", "-i", i, f"-{f}", "/dev/sda") for i in "34" for f in "lPTSA"),
    ),
    "cycle_failed_activation_cgpt": Replay(states.fell_back, (SHOW,)),
    "cycle_failed_activation_check": Replay(lambda: states.without_offer(states.fell_back())),
    "cycle_failed_activation_prefs": Replay(
        states.fell_back, (("cat", "/var/lib/update_engine/prefs/previous-version"), ("ls", "/run"))
    ),
    "cycle_rollback_prioritize": Replay(
        states.b_good, (("cgpt", "prioritize", "/dev/disk/by-partlabel/USR-A"), SHOW)
    ),
    "cycle_rolled_back_update_nobackoff": Replay(states.rolled_back, looks=True),
    "daemon_killed_during_update": Replay(states.started, looks=True),
    "daemon_killed_status_after_restart": Replay(states.killed_and_back),
    "daemon_term_status": Replay(lambda: states.restarted(states.never_checked())),
    "downloading_010_status": Replay(in_operation(Operation.DOWNLOADING, 0.01)),
    "downloading_250_busctl_json": Replay(in_operation(Operation.DOWNLOADING, 0.25)),
    "downloading_437_status": Replay(in_operation(Operation.DOWNLOADING, 0.43)),
    "downloading_500_busctl_call": Replay(in_operation(Operation.DOWNLOADING, 0.5)),
    "downloading_500_busctl_reset": Replay(in_operation(Operation.DOWNLOADING, 0.5)),
    "downloading_500_check_for_update": Replay(in_operation(Operation.DOWNLOADING, 0.5)),
    "downloading_500_reset_status": Replay(in_operation(Operation.DOWNLOADING, 0.5)),
    "downloading_500_status_core": Replay(in_operation(Operation.DOWNLOADING, 0.5)),
    "downloading_750_busctl_json": Replay(in_operation(Operation.DOWNLOADING, 0.75)),
    "downloading_900_status": Replay(in_operation(Operation.DOWNLOADING, 0.9)),
    "downloading_990_status": Replay(in_operation(Operation.DOWNLOADING, 0.97)),
    "early_cgpt_before": Replay(states.booted_b, (SHOW,)),
    "early_stage": Replay(states.never_checked, looks=True),
    "err_hash_mismatch_cgpt": Replay(lambda: updated(ERRORS["hash_mismatch"]()), (SHOW,)),
    "err_postinst_fail_cgpt": Replay(lambda: updated(ERRORS["postinst_fail"]()), (SHOW,)),
    "finalizing_busctl_attempt": Replay(in_operation(Operation.FINALIZING)),
    "finalizing_busctl_json": Replay(in_operation(Operation.FINALIZING)),
    "finalizing_check_for_update": Replay(in_operation(Operation.FINALIZING)),
    "finalizing_postinst_done_complete_event_held": Replay(in_operation(Operation.FINALIZING)),
    "finalizing_status": Replay(in_operation(Operation.FINALIZING)),
    "fu_badflag": Replay(states.serving_locally),
    "fu_noargs": Replay(states.serving_locally),
    "fu_disable_afterwards": Replay(states.serving_locally),
    "fu_download_no_network": Replay(states.no_network),
    "fu_conf_after_failed_download": Replay(states.residue),
    "fu_badsig_conf": Replay(states.ended_badly),
    "idle0_busctl_badarg": Replay(states.never_checked),
    "idle0_busctl_badpath": Replay(states.never_checked),
    "idle0_busctl_call_nobody": Replay(states.never_checked),
    "idle0_busctl_introspect_core": Replay(states.never_checked),
    "idle0_busctl_introspect_root": Replay(states.never_checked),
    "idle0_busctl_json_short_core": Replay(states.never_checked),
    "idle0_busctl_json_short_root": Replay(states.never_checked),
    "idle0_busctl_tree_core": Replay(states.never_checked),
    "idle0_busctl_tree_root": Replay(states.never_checked),
    "idle0_noflag": Replay(states.never_checked),
    "idle0_positional": Replay(states.never_checked),
    "idle0_reset_and_status": Replay(states.never_checked),
    "idle0_reset_status_nobody": Replay(states.never_checked),
    "idle0_status_2devnull": Replay(states.never_checked, ((CLIENT, "-status"),)),
    "idle0_status_core": Replay(states.never_checked),
    "idle0_status_false": Replay(states.never_checked),
    "idle0_status_root": Replay(states.never_checked),
    "idle0_version": Replay(states.never_checked),
    "lock_noetcd__h": Replay(states.never_checked),
    "lock_noetcd_frobnicate": Replay(states.never_checked),
    "lock_noetcd_help_frobnicate": Replay(states.never_checked),
    "lock_noetcd_lock": Replay(states.never_checked),
    "lock_noetcd_reboot": Replay(states.never_checked),
    "lock_noetcd_send_need_reboot": Replay(states.never_checked),
    "lock_noetcd_set_max_2": Replay(states.never_checked),
    "lock_noetcd_status_endpoint": Replay(states.never_checked),
    "needreboot_after_restart_busctl": Replay(states.staged_restarted),
    "needreboot_after_restart_update": Replay(states.staged_restarted),
    "needreboot_busctl_call": Replay(states.staged),
    "needreboot_cgpt": Replay(states.staged, (SHOW,)),
    "needreboot_check_for_update": Replay(states.staged),
    "needreboot_reset_status": Replay(states.staged),
    "needreboot_status": Replay(states.staged),
    "needreboot_update": Replay(states.staged),
    "needreboot_watch3s": Replay(states.staged),
    "noservice_busctl_call": Replay(states.no_daemon),
    "noservice_busctl_call_nobody": Replay(states.no_daemon),
    "noservice_busctl_json": Replay(states.no_daemon),
    "noservice_check_for_update": Replay(states.no_daemon),
    "noservice_reset_status": Replay(states.no_daemon),
    "noservice_status_core": Replay(states.no_daemon),
    "noservice_watch_for_updates": Replay(states.no_daemon),
    "overwrite_cgpt_available": Replay(states.overwriting_available, (SHOW,)),
    "overwrite_update_failed": Replay(states.overwriting("bit-flip"), looks=True),
    "reinstall1_reset": Replay(states.staged),
    "reinstall2_cgpt": Replay(states.reset_with_backoff, (SHOW,)),
    "reinstall2_update_backoff_deferred": Replay(states.reset_with_backoff),
    "reporting_check_for_update": Replay(lambda: states.reporting()),
    "reporting_status": Replay(lambda: states.reporting()),
    "reset_then_restart_cgpt_before": Replay(states.reset_restarted, (SHOW,)),
    "resume_update": Replay(states.killed_and_back, looks=True),
    "scheduled_check_status": Replay(states.alive_checked),
    "scheduled_ping_status": Replay(states.alive_pinged),
    "succ_before_cgpt": Replay(states.never_checked, (SHOW,)),
    "succ_update_concurrent_root": Replay(states.never_checked, looks=True),
    "succ_update_joined_while_checking": Replay(in_operation(Operation.CHECKING), looks=True),
    "timing_update": Replay(states.never_checked, looks=True),
}
for _name, _setup in ERRORS.items():
    REPLAYS[f"err_{_name}_update"] = Replay(_setup, looks=True)
    REPLAYS[f"err_{_name}_status_after"] = Replay(lambda setup=_setup: updated(setup()))  # type: ignore[misc]
WATCHES = {f"err_{name}_watch": setup for name, setup in ERRORS.items()}
LOGS = {f"err_{name}_daemon_log": setup for name, setup in ERRORS.items()}

NOT_REPLAYED = {
    "after_reset_hint_exec": "a pipe of shell arithmetic; its cgpt line is played in clean_hint_p_i8",
    "checking_watch3s": "nothing is printed in these seconds but the first line; see the err_*_watch ones",
    "finalizing_watch3s": "as checking_watch3s",
    "reporting_watch": "as checking_watch3s",
    "cut_daemon_log": "a download that is cut and goes on is not modelled",
    "cycle_booted_b_status": "three programs in one shell line, each played by itself",
    "cycle_rolled_back_status": "as cycle_booted_b_status",
    "err_event_http500_noupdate_*": "only the report of an event fails, which nothing on the host shows",
    "err_server_https_to_http_*": "TLS is not modelled: it ends as server_disabled does",
    "err_*_prefs": "a listing of a folder with modes; the values are tested in test_live_engine",
    "err_prefs_final": "the sum of a whole session; the counters are tested in test_live_engine",
    "fu_payload_conf": "a listing of folders; the file is tested in test_live_flatcar_update",
    "fu_port_busy": "needs another program on the port; two at once are tested in test_live_flatcar_update",
    "idle0_busctl_introspect_mgr_path": "introspection of a path that nobody uses",
    "idle0_busctl_introspect_xml": "introspection as XML: no console reads it",
    "idle0_cgpt_show_p3": "eleven commands in one; those that print flags are played in cycle_cgpt_quick",
    "idle0_daemon_help": "the daemon's own help",
    "idle0_dbus_send": "dbus-send is not modelled, busctl is",
    "idle0_gdbus_introspect": "gdbus is not modelled, busctl is",
    "idle0_help": "a page of glog's flags",
    "idle0_rootdev": "the laboratory's root was no disk; rootdev is tested in test_live_commands",
    "lock_d_*": "locksmithd run by hand; its states are tested in test_live_locksmith",
    "lock_etcd_*": "etcd is not modelled",
    "lock_lockother": "etcd is not modelled",
    "lock_unlockother": "etcd is not modelled",
    "lock_status_after_reboot_taken": "etcd is not modelled",
    "noboot_update": "a boot device that is not found is not modelled",
    "nobus_*": "a host without a system bus is not modelled",
    "noconf_daemon_log": "the public server out of reach; as err_server_disabled_daemon_log",
    "notarget_update": "a disk without a second slot is not modelled",
    "overwrite_partition_content": "blocks of a disk; which content a slot has is tested in test_live_engine",
    "reinstall2_prefs": "a listing; the values are tested in test_live_engine",
    "resume_daemon_log": "hundreds of operations; that it resumes is tested in test_live_engine",
    "succ_dbus_monitor": "dbus-monitor is not modelled; the same signals are in the err_*_watch ones",
    "watch_over_daemon_restart": "that a watcher goes deaf is tested in test_live_engine",
}


# -- comparing -----------------------------------------------------------------------------------

_GLOG = re.compile(r"^[IWEF]\d{8} [0-9:.]+ +\d+ [\w.]+:\d+\] ", re.M)
_LAB_ONLY = re.compile(r".*(Protective MBR|Hybrid MBR|Legacy BIOS Bootable).*\n")
"""The laboratory's disk was made by another program than an image's."""
_FORMS = (
    (re.compile(r"[0-9A-Fa-f]{8}-[0-9A-Fa-f-]{27}"), "UUID"),
    (re.compile(r"\b(?!0\.0\.0\b)\d+\.\d+\.\d+\b"), "VERSION"),
    (re.compile(r"PROGRESS=0\.0*[1-9]\d*|PROGRESS=0\.[1-9]\d*"), "PROGRESS=PART"),
    (re.compile(r"(xdssx \d+) 0\.\d+"), r"\1 PART"),
    (re.compile(r"\d\.\d{21}e-\d\d"), "PART"),
    (re.compile(r"(?<![\d.])[1-9]\d{3,}(?![\d.])"), "NUMBER"),
)


def shape(text: str) -> str:
    """A text with what differs from host to host taken out: a zero stays one."""
    text = _LAB_ONLY.sub("", text)
    text = re.sub(r"^ +\d+ +\d+ (.*)$", r"SECTORS \1", text, flags=re.M)
    for pattern, word in _FORMS:
        text = pattern.sub(word, text)
    return re.sub(r" {2,}", " ", text)


def messages(text: str) -> list[str]:
    """stderr as the words of its messages, one repeated only once."""
    found: list[str] = []
    for line in shape(_GLOG.sub("", text)).splitlines():
        line = re.sub(r"GError\(9\): .*", "GError(9)", line)
        if not found or found[-1] != line:
            found.append(line)
    return found


def last_look(text: str) -> str:
    return "\n".join(text.splitlines()[-5:])


def recorded(name: str, what: str) -> str:
    return (FOLDER / f"{name}.{what}").read_text()


UIDS = {"root": 0, "core": 500, "nobody": 65534}


def argv_of(entry: dict[str, Any]) -> tuple[str, ...]:
    text = entry["command"].replace("/var/tmp/bad.gz", "/var/tmp/flatcar_production_update.gz")
    text = re.sub(r"\b4230\.2\.\d\b", NEWEST, text)
    return tuple(shlex.split(text))


@pytest.mark.parametrize("name", REPLAYS)
def test_a_command_says_what_the_real_one_said(name: str) -> None:
    replay, entry = REPLAYS[name], ENTRIES[name]
    lab = replay.setup()
    uid = UIDS[entry["user"]]
    if name == "daemon_killed_during_update":
        replies = [killed_while_waiting(lab)]
    else:
        commands = replay.commands or (argv_of(entry),)
        replies = [lab.run(*command, uid=uid) for command in commands]
    out = "".join(reply.stdout.decode() for reply in replies)
    err = "".join(reply.stderr.decode() for reply in replies)
    wanted, wanted_err = recorded(name, "stdout"), recorded(name, "stderr")
    if replay.commands:
        wanted = without_shell(wanted)
    if replay.looks:
        out, wanted = last_look(out), last_look(wanted)
    assert shape(out) == shape(wanted)
    if "2>/dev/null" not in entry["command"]:
        assert messages(err) == messages(wanted_err)
    assert replies[-1].exit_status == entry["exit_code"]


def killed_while_waiting(lab: Lab) -> Any:
    pending = lab.start(CLIENT, "-update")
    lab.until_operation(Operation.DOWNLOADING, 0.4)
    lab.run("systemctl", "stop", "update-engine")
    lab.until(lambda: pending.is_over)
    return pending.reply


def without_shell(text: str) -> str:
    """Without what `echo`, `printf` and `ls` of the laboratory's own folders added."""
    text = re.sub(r"^(rc=\d+|p\d -\w )", "", text, flags=re.M)
    text = re.sub(r"^\n", "", text, flags=re.M)
    return re.sub(r"(blkid|dbus|reboot-required)\n", "", text)


@pytest.mark.parametrize("name", WATCHES)
def test_a_watcher_sees_the_states_that_a_real_one_saw(name: str) -> None:
    lab = WATCHES[name]()
    watcher = lab.start(CLIENT, "-watch_for_updates")
    lab.update()
    assert operations(watcher.stderr.decode()) == operations(recorded(name, "stderr"))


def operations(text: str) -> list[str]:
    """The states in order, each once."""
    found: list[str] = []
    for operation in re.findall(r"current_operation: (\S+)", text):
        if not found or found[-1] != operation:
            found.append(operation)
    return found


_TOLD = re.compile(
    r"(Updating payload state for error code: .*|Update failed\.|No update\.|Processing Done\."
    r"|Omaha Response manifest version = .*|Current group set to .*|There are no updates\. Aborting\."
    r"|Postinst command failed with code: \d+|Attempting interactive update|New update check requested)$",
    re.M,
)


@pytest.mark.parametrize("name", LOGS)
def test_the_journal_tells_what_the_real_one_told(name: str) -> None:
    lab = updated(LOGS[name]())
    ours = told("\n".join(line.text for line in lab.host.state.journal))
    began = max(index for index, line in enumerate(ours) if line.startswith("Attempting"))
    assert ours[began:] == told((FOLDER / f"{name}.txt").read_text())


def told(text: str) -> list[str]:
    """The lines that a console reads; the end of reporting is one `Processing Done.` more."""
    found = [shape(line) for line in _TOLD.findall(text)]
    return [line for index, line in enumerate(found) if line != "Processing Done." or index < len(found) - 1]


def test_every_recording_is_played_again_or_said_why_not() -> None:
    played = {*REPLAYS, *WATCHES, *LOGS}
    for name in ENTRIES:
        reasons = [pattern for pattern in NOT_REPLAYED if re.fullmatch(pattern.replace("*", ".*"), name)]
        assert (name in played) != bool(reasons), f"{name}: {reasons}"
    assert played <= set(ENTRIES)
    assert len(played) > 140
