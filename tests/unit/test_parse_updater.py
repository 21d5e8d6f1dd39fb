"""The updater's parsers on pasted recordings, and on forms that no recording has."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from collectors.errors import ParseError
from collectors.facts import (
    Coordinator,
    CoordinatorState,
    Operation,
    Prefs,
    SlotName,
    UpdateStatus,
    next_boot,
)
from collectors.parse.journal import ERROR_CODES, OmahaEvent, backoff_time, explain, parse_journal
from collectors.parse.locksmith import parse_coordinator, parse_locksmithd_journal
from collectors.parse.prefs import parse_prefs
from collectors.parse.slots import (
    UUIDS,
    parse_cgpt_find,
    parse_cgpt_number,
    parse_cgpt_show,
    parse_slots,
    slot_of_device,
)
from collectors.parse.text import integer
from collectors.parse.update_engine import (
    ERROR_MASK,
    ClientResult,
    StatusUnavailable,
    parse_client_output,
    parse_status,
    refusal,
)
from tests.unit import test_recorded_update_engine as captured
from tests.unit.test_recorded_update_engine import NOT_TOLD, RECORDED, Readers, Recording, View

A, B = SlotName.A, SlotName.B
CAPTURED = RECORDED / "update-engine"

# -- pasted recordings ----------------------------------------------------------------------------------


def complaint(text: str) -> View:
    with pytest.raises(ParseError) as caught:
        parse_cgpt_show(text)
    return {"ok": False, "error": str(caught.value).partition(": ")[2]}


def semaphore_then_reboot(text: str) -> View:
    daemon = parse_locksmithd_journal(text)
    return {"status": captured.semaphore(text), "reboot_started": daemon.reboot_sent, "error": daemon.error}


def locksmithd(text: str) -> View:
    said = parse_locksmithd_journal(text)
    signal = captured.status_view(said.last_signal) if said.last_signal else None
    return asdict(said) | {"masked": said.is_masked, "result": said.unit_result, "last_signal": signal}


def journal(text: str) -> View:
    facts = parse_journal(text)
    newest, said = facts.attempts[-1], facts.said
    curl = [item for item in facts.errors if item.startswith("curl: (")]
    staged = any(attempt.staged for attempt in facts.attempts) or "ping" in said
    code, name = facts.error_codes[-1] if facts.error_codes else (None, None)
    return facts.request | {
        "staged": staged,
        "needs_reboot": staged,
        "pinging_only": "ping" in said,
        "failed": newest.failed or bool(curl),
        "error_code": code,
        "error_name": name,
        "error": facts.errors[-1] if facts.errors else None,
        "repeats": len(curl),
        "group": newest.group,
        "started": "start" in facts.clocks,
        "service_started": "started" in said,
        "service_failed_to_start": "failed_to_start" in said,
        "service_exit_is_normal_shutdown": "exit_status" in said and "failed_to_start" not in said,
        "reason": "timeout" if "start_timed_out" in said else None,
        "boots": len(facts.attempts),
        "restarted_at": facts.clocks.get("start", "").replace("Oct ", "10-").replace(" ", "T"),
        "interactive": "interactive" in said,
        "boot_flags": "updating" if "boot_flags" in said else None,
        "boot_flags_updated_at_raw": facts.clocks.get("boot_flags"),
        "next_check": said.get("next_check"),
        "next_check_in": said.get("next_check"),
        "next_check_s": newest.next_check_s or facts.attempts[0].next_check_s,
        "backoff_expiry": backoff_time(said.get("backoff_expiry", "")),
        "payload_attempt": integer(said.get("payload_attempt", "")),
        "phase": said.get("phase"),
        "download_status": said.get("download"),
        "http_code": integer(said.get("http_code", "")),
        "bytes": integer(said.get("response_bytes", "")),
        "install_plan": said | {"payload_size": integer(said.get("payload_size", ""))},
        "target_slot": f"USR-{facts.target}",
        "app_version": facts.request.get("version"),
        "oem_version": facts.request.get("oemversion"),
        "aleph_version": facts.request.get("alephversion"),
        "install_source": facts.request.get("installsource"),
        "event": event_view(facts.events[-1]) if facts.events else None,
    }


def event_view(event: OmahaEvent) -> View:
    return {
        "type": event.type,
        "result": event.result,
        "errorcode": event.errorcode,
        "errorcode_base": (event.errorcode or 0) & ERROR_MASK,
        "previousversion": event.previousversion,
    }


PASTED_READERS: Readers = (
    (r"journal-update-engine$|systemctl-status-update-engine$", journal),
    (r"journal-locksmithd$", locksmithd),
    (r"cgpt-prioritize$", complaint),
    (r"locksmithctl-reboot$", semaphore_then_reboot),
    *captured.READERS,
)
PASTED_NOT_TOLD: dict[str, str] = NOT_TOLD | {
    "device": "an argument of the command",
    "devices": "arguments inside cgpt's complaint",
    "truncated_lines": "a pager's cut looks like the end of a message",
    "host": "the script's own words",
    "version": "the script's own words",
    "first_status": "two of five values joined on one line: no status",
    "holder_is_self": "needs the machine id",
}
UNIT_KEYS = {"unit", "load", "enabled", "active", "result", "since_raw", "main_pid", "exit_status"}
"""Of `systemctl status`, which is read here for the journal below it only."""
PASTED = captured.recordings("updater")


def pasted_expectation(recording: Recording) -> View:
    is_unit, is_lock = (recording.subject.startswith(kind) for kind in ("systemctl", "locksmithctl"))
    keys = {*PASTED_NOT_TOLD} | (UNIT_KEYS if is_unit else set()) | ({"group"} if is_lock else set())
    return captured.told(recording.entry["expected"], keys)


@pytest.mark.parametrize("recording", PASTED, ids=lambda item: item.name)
def test_a_paste_says_what_is_expected(recording: Recording) -> None:
    assert captured.reader_of(recording, PASTED_READERS), "each kind has a reader"
    view = captured.view_of(recording, PASTED_READERS)
    captured.check(pasted_expectation(recording), view, recording.name)
    assert captured.view_of(recording, PASTED_READERS, lambda text: text.replace("\n", "\r\n")) == view
    if recording.entry["body_from_line"] == 2:
        assert captured.view_of(recording, PASTED_READERS, lambda text: text.partition("\n")[2]) == view


def test_each_paste_is_in_the_index() -> None:
    assert captured.files_without_index("updater") == set()


# -- slots ----------------------------------------------------------------------------------------------


def entry(label: str, attributes: str, uuid: str = "", number: int = 3) -> str:
    indent = " " * 34
    text = f'{40960:12}{550000:12}{number:8}  Label: "{label}"\n{indent}Type: Alias for flatcar-rootfs\n'
    return text + (f"{indent}UUID: {uuid}\n" if uuid else "") + f"{indent}Attr: {attributes}\n"


SLOT_A = entry("USR-A", "priority=1 tries=0 successful=1", UUIDS[A].upper())
SLOT_B = entry("USR-B", "priority=2 tries=1 successful=0", UUIDS[B].upper(), 4)


def test_slots_from_one_table_of_each() -> None:
    found = parse_slots("motd\n" + SLOT_A, SLOT_B, device_a="/dev/vda3", device_b="/dev/vda4")
    assert (found.a.priority, found.a.tries, found.a.successful, found.a.partuuid) == (1, 0, True, UUIDS[A])
    assert (found.b.priority, found.b.tries, found.b.successful, found.b.device) == (2, 1, False, "/dev/vda4")
    assert next_boot(found) is B
    assert not found.damaged


def test_raw_words_say_the_same_as_names() -> None:
    text_a = entry("USR-A", "0x0101000000000000", UUIDS[A])
    text_b = entry("USR-B", "0x12000000000000", UUIDS[B], 4)
    assert parse_slots(text_a, text_b) == parse_slots(SLOT_A, SLOT_B)
    assert parse_cgpt_show(entry("EFI-SYSTEM", "0x0000000000000004")).partitions[0].legacy_boot


@pytest.mark.parametrize(
    ("text_a", "text_b", "message"),
    [
        (SLOT_B, SLOT_B, "USR-A: its table shows USR-B"),
        (SLOT_A, "", "USR-B: no partition table"),
        (
            SLOT_A,
            "sh: cgpt: command not found\n",
            "USR-B: no partition table in: sh: cgpt: command not found",
        ),
        (SLOT_A, entry("ROOT", "0x0", "9" * 8 + "-9999-9999-9999-" + "9" * 12, 9), "USR-B: missing"),
        (SLOT_A, SLOT_B[: SLOT_B.index("Attr")], "USR-B: no attributes"),
        (SLOT_A, SLOT_B.replace("USR-B", "USR-A"), "labelled USR-A has the UUID of USR-B"),
        (SLOT_A, SLOT_B + SLOT_B.replace("   4  ", "   5  "), "2 partitions are USR-B"),
        (SLOT_A, SLOT_B.replace("tries=1", "tries=16"), "impossible attributes 2/16/0"),
        (SLOT_A, SLOT_B.replace("priority=2", "priority=two"), "attributes of partition 4 not understood"),
        ("ERROR: cgpt show: Can't open /dev/vda: Permission denied\n", SLOT_B, "Can't open /dev/vda"),
    ],
)
def test_slots_that_cannot_be_known(text_a: str, text_b: str, message: str) -> None:
    with pytest.raises(ParseError, match=re.escape(message)):
        parse_slots(text_a, text_b)


def test_damage_is_said_or_seen() -> None:
    warning = "\nWARNING: one of the GPT header/entries is invalid, please run 'cgpt repair'\n"
    assert parse_slots(warning + SLOT_A, SLOT_B).damaged
    header = "           1           1 INVALID  Pri GPT header\n"
    assert parse_cgpt_show(header + SLOT_A).damaged
    second_copy = SLOT_A.replace("priority=1", "priority=3")
    both = parse_cgpt_show(SLOT_A + "     1474527          32          Sec GPT table\n" + second_copy)
    assert both.damaged
    assert [item.priority for item in both.partitions] == [1]


def test_many_commands_in_one_capture() -> None:
    """Quick, numeric and usage forms one after the other agree with each other."""
    found = parse_cgpt_show((CAPTURED / "idle0_cgpt_show_p3.stdout").read_text())
    assert not found.damaged
    slot_a, other = found.slot(A), found.numbered(6)
    assert slot_a is not None
    assert (slot_a.type, slot_a.priority, slot_a.legacy_boot) == ("Alias for coreos-rootfs", 1, False)
    assert other is not None
    assert (other.label, other.type) == ("OEM", "Alias for linux-data")


def test_numbers_and_names_of_cgpt() -> None:
    numbers = {"2\n": 2, "0x101000000000000\n": 0x0101 << 48, "\r\n4\r\n": 4, "0\n": 0}
    assert {text: parse_cgpt_number(text) for text in numbers} == numbers
    assert parse_cgpt_find("/dev/nvme0n13\n/dev/nvme0n14\n") == ("/dev/nvme0n13", "/dev/nvme0n14")
    for text in (
        "1",
        "",
        "one\n",
        "1\n2\n",
        "-1\n",
        "٣\n",
        "ERROR: cgpt show: invalid partition number: 5\n",
    ):
        with pytest.raises(ParseError):
            parse_cgpt_number(text)


@pytest.mark.parametrize(
    ("running", "links", "slot"),
    [
        ("/dev/vda3\n", "/dev/vda3\n/dev/vda4\n", A),
        ("/dev/nvme0n1p4\r\n", "/dev/nvme0n1p3\r\n/dev/nvme0n1p4\r\n", B),
        ("/dev/mmcblk0p4\n", "", B),
        ("/dev/loop0p3\n", "", A),
        ("/dev/xvda9\n", "", None),
        ("/dev/dm-0\n", "/dev/sda3\n/dev/sda4\n", None),
        ("/dev/sda3\n", "/dev/sda3\n", None),
        ("/dev/sda3\n", "/dev/sda3\n/dev/sda3\n", None),
        ("/dev/sda3\n", "/dev/disk/by-partlabel/USR-A\n/dev/disk/by-partlabel/USR-B\n", None),
        ("rootdev: Cannot stat(/usr): No such file\n", "/dev/sda3\n/dev/sda4\n", None),
        ("", "", None),
    ],
)
def test_the_running_slot(running: str, links: str, slot: SlotName | None) -> None:
    assert slot_of_device(running, links) is slot


# -- status ---------------------------------------------------------------------------------------------

FIVE = "LAST_CHECKED_TIME=1795409370\nPROGRESS=0.492357\nCURRENT_OP=UPDATE_STATUS_DOWNLOADING\n"
FIVE += "NEW_VERSION=4230.2.4\nNEW_SIZE=65255599\n"
DATA = '[1795409370, 4.92357e-01, "UPDATE_STATUS_DOWNLOADING", "4230.2.4", 65255599]'


@pytest.mark.parametrize(
    "text",
    [
        FIVE,
        "".join(reversed(FIVE.splitlines(keepends=True))),
        f"{FIVE}I0620 17:44:57.179913 1611093 update_engine_client.cc:241] Querying Update Engine ...\n",
        f'{{"type":"xdssx","data":{DATA}}}',
        f'Last login: today\n{{\n  "type": "xdssx",\n  "data": {DATA}\n}}\n',
        'xdssx 1795409370 0.492357 "UPDATE_STATUS_DOWNLOADING" "4230.2.4" 65255599\n',
        "(int64 1795409370, 0.492357, 'UPDATE_STATUS_DOWNLOADING', '4230.2.4', int64 65255599)\n",
    ],
)
def test_a_status_in_each_of_its_forms(text: str) -> None:
    found = parse_status(text)
    assert (found.operation, found.progress) == (Operation.DOWNLOADING, 0.492357)
    assert (found.new_version, found.new_size_bytes) == ("4230.2.4", 65255599)
    assert found.last_checked_at == datetime(2026, 11, 23, 4, 49, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ((CAPTURED / "noservice_busctl_json.stderr").read_text(), "not_provided"),
        ((CAPTURED / "noservice_status_core.stderr").read_text(), "not_provided"),
        ((CAPTURED / "idle0_busctl_call_nobody.stderr").read_text(), "denied"),
        ((CAPTURED / "idle0_busctl_badpath.stderr").read_text(), "other"),
        ((CAPTURED / "downloading_500_busctl_reset.stderr").read_text(), "reset_refused"),
        ((CAPTURED / "nobus_update.stderr").read_text(), "no_bus"),
        ("Failed to connect to bus: No such file or directory\n", "no_bus"),
        ("Call failed: Connection timed out\n", "timeout"),
        (FIVE.replace("UPDATE_STATUS_DOWNLOADING", "(null)"), "null"),
        (FIVE.replace("CURRENT_OP=UPDATE_STATUS_DOWNLOADING\n", ""), "null"),
    ],
)
def test_a_refused_status_says_why(text: str, kind: str) -> None:
    with pytest.raises(StatusUnavailable) as caught:
        parse_status(text)
    assert caught.value.kind == kind
    assert (kind == "null") == ("null status" in str(caught.value))


def test_a_null_status_with_its_reason() -> None:
    text = "I20261123 04:48:18.300000 86 update_engine_client.cc:145] "
    text += "Error getting status: GError(9): Rejected send message, 1 matched rules\n"
    text += FIVE.replace("UPDATE_STATUS_DOWNLOADING", "(null)")
    with pytest.raises(StatusUnavailable, match=r"null status: .*Rejected send message") as caught:
        parse_status(text)
    assert caught.value.kind == "denied"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("UPDATE_STATUS_DOWNLOADING", "unknown", "unknown operation of update_engine: unknown"),
        ("0.492357", "nan", "PROGRESS is no number"),
        ("0.492357", "1e999", "PROGRESS is no number"),
        ("1795409370", "9" * 19, "LAST_CHECKED_TIME is no time"),
        ("1795409370", "1٣", "LAST_CHECKED_TIME is no number"),
        ("65255599", "-1", "NEW_SIZE is no size"),
        ("65255599\n", "65255599", "the status is cut: NEW_SIZE missing"),
    ],
)
def test_a_status_that_is_none(old: str, new: str, message: str) -> None:
    with pytest.raises(ParseError, match=re.escape(message)):
        parse_status(FIVE.replace(old, new))


def test_words_for_not_known_become_none() -> None:
    found = parse_status('xdssx 0 1.081 "UPDATE_STATUS_UPDATED_NEED_REBOOT" "0.0.0" 0\n')
    assert found == UpdateStatus(Operation.NEED_REBOOT, progress=1.0)


def test_ends_of_runs() -> None:
    ends = {"idle0_noflag": ClientResult.NOTHING_DONE, "idle0_reset_status_nobody": ClientResult.RESET_FAILED}
    for name, result in ends.items():
        assert parse_client_output((CAPTURED / f"{name}.stderr").read_text()).result is result
    fatal = "F20261123 04:48:18.300000    86 update_engine_client.cc:165] Check failed: rc == TRUE (0 vs. 1) "
    refused = parse_client_output(f"{fatal}Error checking for update: GError(9): Rejected send message\n")
    assert refused.result is ClientResult.ABORTED
    assert not refused.is_accepted
    assert refusal("all is well\n") is None


# -- small files ----------------------------------------------------------------------------------------


def test_prefs_as_the_probe_prints_them() -> None:
    text = "dir\t1\nprevious-version\t\naleph-version\t4230.2.3\nupdate-state-next-operation\t-1\n"
    text += "payload-attempt-number\t2\nbackoff-expiry-time\t1795500626\nodd\telse\ndelta-update-failures\t1"
    until = datetime(2026, 11, 24, 6, 10, 26, tzinfo=UTC)
    assert parse_prefs(text) == Prefs("", "4230.2.3", -1, 2, until, None), "the last line may be cut"
    assert parse_prefs("") == Prefs()
    assert parse_prefs("dir\t1\nbackoff-expiry-time\t0\npayload-attempt-number\t\n") == Prefs()
    for line in (
        "payload-attempt-number\tx\n",
        f"backoff-expiry-time\t{'9' * 18}\n",
        "delta-update-failures\t٣\n",
    ):
        with pytest.raises(ParseError, match=line.split("\t")[0]):
            parse_prefs(line)


def test_coordinators() -> None:
    running = Coordinator("locksmithd", "etcd-lock", CoordinatorState.RUNNING)
    assert parse_coordinator("STRATEGY=etcd-lock\r\nNEW=1\r\nSTATE=running\r\nNAME=locksmithd") == running
    assert parse_coordinator("NAME=other") == Coordinator(name="other")
    for text in ("", "hello\n", "STATE=off\n", "STATE=reboot", "NAME=lock", "STATE=running\nSTRATEGY=etcd"):
        with pytest.raises(ParseError):
            parse_coordinator(text)


def test_each_code_is_explained() -> None:
    for number in [*ERROR_CODES, 2000, 2503, 268435466, 77]:
        assert 0 < len(explain(number)) <= 60
    assert explain(268435466) == explain(10) == "the payload's hash is not the announced one"
    assert explain(2503) == "the update server answered HTTP 503"
