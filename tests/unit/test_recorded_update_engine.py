"""Every output captured from the real updater in a laboratory, against what a person wrote that it says.

A recording is read by the reader of its command, whose view must hold all that is expected. What no text
can tell, and recordings no parser is for, are named below with the reason. The pasted recordings of
`tests/recorded/updater` are read the same way in `test_parse_updater`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collectors.errors import ParseError
from collectors.facts import SlotName, next_boot
from collectors.parse.journal import parse_journal
from collectors.parse.locksmith import (
    parse_coordinator,
    parse_locksmithctl_status,
    parse_set_max,
)
from collectors.parse.slots import CgptTable, Partition, parse_cgpt_show, parse_slots
from collectors.parse.update_engine import (
    ClientResult,
    ClientRun,
    RawStatus,
    parse_client_output,
    parse_raw_status,
)

RECORDED = Path(__file__).parents[1] / "recorded"
View = dict[str, Any]


@dataclass(frozen=True)
class Recording:
    entry: dict[str, Any]
    stdout: str
    stderr: str

    @property
    def name(self) -> str:
        return str(self.entry["file"])

    @property
    def subject(self) -> str:
        """What decides the reader: name and command of a captured recording, the kind of a pasted one."""
        name = self.entry.get("name")
        return f"{name} {self.entry['command']}" if name else str(self.entry["kind"])

    @property
    def both(self) -> str:
        return self.stderr + self.stdout


def recordings(folder: str) -> list[Recording]:
    found = []
    for line in (RECORDED / folder / "index.jsonl").read_text().splitlines():
        entry = json.loads(line)
        out = (RECORDED / folder / entry["file"]).read_bytes().decode()
        error = entry.get("stderr_file")
        err = (RECORDED / folder / error).read_bytes().decode() if error else ""
        found.append(Recording(entry, out, err))
    return found


def files_without_index(folder: str) -> set[str]:
    """Names in the folder that no entry of its index names, and the other way round."""
    entries = [recording.entry for recording in recordings(folder)]
    named = {"index.jsonl"} | {
        entry[key] for entry in entries for key in ("file", "stderr_file") if key in entry
    }
    return named ^ {path.name for path in (RECORDED / folder).iterdir()}


# -- readers: text -> what was understood, in the words of the index ------------------------------------


def status_view(raw: RawStatus) -> View:
    facts = raw.status()
    checked = int(facts.last_checked_at.timestamp()) if facts.last_checked_at else None
    return {
        "last_checked_time": checked,
        "progress": facts.progress,
        "current_op": str(facts.operation),
        "new_version": facts.new_version,
        "new_version_raw": raw.version,
        "new_size": facts.new_size_bytes or 0,
        "needs_reboot": facts.operation.name == "NEED_REBOOT",
    }


def one_status(text: str) -> View:
    return status_view(parse_raw_status(text)) | {"status": status_view(parse_raw_status(text))}


def client(text: str) -> View:
    run = parse_client_output(text)
    good = [block for block in run.blocks if not block.is_null]
    last = status_view(run.last_complete) if run.last_complete else None
    failed = run.result is ClientResult.FAILED
    events = [block.operation for block in good]
    return {
        **dict.fromkeys(("blocks", "status_blocks", "complete_blocks", "events"), len(run.blocks)),
        **dict.fromkeys(("last", "last_complete", "last_event", "status", "second_status"), last),
        "null_blocks": run.null_blocks,
        "needs_reboot": bool(last and last["needs_reboot"]),
        "ops_seen": list(dict.fromkeys(events)),
        "ops_sequence": [op for op, before in zip(events, ["", *events], strict=False) if op != before],
        "progress_max": min(max((block.progress for block in good), default=0.0), 1.0),
        "result": str(run.result) if run.result else None,
        "failed": failed,
        "maybe_no_update": failed and events == ["UPDATE_STATUS_IDLE"],
        "accepted": run.is_accepted,
        "reset": run.result is ClientResult.RESET,
        "reset_status": "succeeded" if any(ClientResult.RESET in item.message for item in run.log) else None,
        "transient_error": run.error,
        "log": [
            {"level": item.level, "file": item.file, "line": item.line, "message": item.message}
            for item in run.log
        ],
        "outcome": client_outcome(run),
        **(last or {}),
    }


def client_outcome(run: ClientRun) -> str:
    """What the run itself proves. "nothing known" stands for every failure: the client hides them."""
    match run.result:
        case ClientResult.SUCCEEDED:
            return "update-applied"
        case ClientResult.NO_BUS:
            return "bus-unreachable"
        case ClientResult.DAEMON_LOST:
            return "daemon-lost" if run.blocks else "service-absent"
    return "nothing known"


def partition_view(partition: Partition) -> View:
    return {
        "label": partition.label,
        "type": partition.type,
        "priority": partition.priority,
        "tries": partition.tries,
        "successful": partition.successful,
    }


def table(text: str) -> View:
    found: CgptTable = parse_cgpt_show(text)
    assert not found.damaged
    view: View = {"partitions": {str(item.number): partition_view(item) for item in found.partitions}}
    if len(found.partitions) == 1:
        view |= partition_view(found.partitions[0])
    view["slots"] = {
        f"USR-{name}": partition_view(item) for name in SlotName if (item := found.slot(name)) is not None
    }
    known = [slot for slot in view["slots"].values() if slot["priority"] is not None]
    if len(known) == 2:
        slots = parse_slots(text, text)
        view["next"] = view["next_boot"] = f"USR-{next_boot(slots)}"
    elif known:
        bootable = [name for name, slot in view["slots"].items() if slot["priority"] and slot["successful"]]
        view["next_boot"] = bootable[0] if bootable else None
    return view


def client_and_table(text: str) -> View:
    return client(text) | table(text)


def coordinator(text: str) -> View:
    found = parse_coordinator(text)
    return {"coordinator": {"NAME": found.name, "STRATEGY": found.strategy, "STATE": str(found.state)}}


def semaphore(text: str) -> View:
    found = parse_locksmithctl_status(text)
    return {"available": found.available, "max": found.max, "holders": list(found.holders)}


def new_maximum(text: str) -> View:
    found = parse_set_max(text)
    return {"old": found.old, "new": found.new}


OUTCOMES = {
    5: {"postinst-failed"},
    9: {"download-failed"},
    10: {"payload-hash-mismatch"},
    11: {"payload-size-mismatch", "download-failed"},
    17: {"signature-missing"},
    18: {"signature-invalid"},
    21: {"payload-corrupt"},
    37: {"check-failed", "updates-disabled"},
}
"""What the laboratory calls an attempt that ended with this code."""


def daemon_log(text: str) -> View:
    told = parse_journal(text)
    newest = told.attempts[-1]
    return {
        "error_codes": [list(pair) for pair in told.error_codes],
        "event_errorcodes_sent": [event.errorcode for event in told.events if event.errorcode is not None],
        "outcome": {"no-update"} if newest.no_update else OUTCOMES.get(newest.error_code or 0, set()),
        "next_check_in": told.said.get("next_check"),
        "failed": newest.failed,
    }


# -- which reader for which recording -------------------------------------------------------------------

Reader = Callable[[str], View]
Readers = tuple[tuple[str, Reader], ...]
"""A pattern for the begin of a recording's subject, and the reader of its stdout and stderr."""

READERS: Readers = (
    (r"\w+_daemon_log ", daemon_log),
    (r"cycle_rolled_back_status ", client_and_table),
    (r"(?!fu_|\w+prefs)[^;]* -watch_for_updates$", client),
    (r"(?!fu_|\w+prefs)\w+ update_engine_client -(?:update|check_for_update|reset_status)$", client),
    (r"\w+ update_engine_client -status\b(?!=)", client),
    (r"(?!noservice|idle0_busctl_[bc])\w+ busctl .* GetStatus$", one_status),
    (r"idle0_dbus_send ", one_status),
    (r"(?!idle0|cycle_cgpt_quick|after_reset_hint)\w+ .*cgpt show ", table),
    (r"\w+ .* locksmithd; ", coordinator),
    (
        r"lock_(?:etcd|status_after)\w* .*locksmithctl .*\bstatus$|lock_etcd_\w+ locksmithctl status$",
        semaphore,
    ),
    (r"lock_etcd_set_max\w+ |locksmithctl-set-max$", new_maximum),
    (r"locksmithctl-status$", semaphore),
    (r"cgpt-show$", table),
    (r"update_engine_client-\w+$", client),
)

NO_READER: dict[str, str] = {
    r"idle0_busctl_(?:badarg|badpath|call_nobody) |noservice_busctl\w* ": "refusals: test_parse_updater",
    r"\w+_busctl_(?:reset|attempt) ": "calls that answer nothing, or refuse: test_parse_updater",
    r"idle0_(?:busctl_introspect|busctl_tree|gdbus_introspect)\w* ": "a description of the interface",
    r"idle0_(?:daemon_help|help|version) ": "usage and version texts",
    r"idle0_(?:noflag|positional|status_false|reset_and_status) ": "no status in them: test_parse_updater",
    r"idle0_(?:cgpt_show_p3|rootdev) |cycle_cgpt_quick ": "many commands in one: parts in test_parse_updater",
    r"after_reset_hint_exec ": "a shell snippet's echo",
    r"\w*prefs(?:_final)? ": "files printed by hand, not as the probe does: test_parse_updater",
    r"overwrite_partition_content ": "a comparison of blocks",
    r"succ_dbus_monitor ": "a stream of signals, many statuses in one: test_parse_updater",
    r"fu_\w+ ": "flatcar-update's own words and update.conf",
    r"lock_etcd_raw_key ": "etcd's own value",
    r"lock_(?:etcd_(?:un)?lock\w*|lockother|unlockother) ": "silent, or a complaint: test_parse_updater",
    r"lock_noetcd\w* ": "complaints and usage: test_parse_updater",
}

NOT_TOLD: dict[str, str] = {
    "note": "for people",
    "lab_note": "for people",
    "transitions": "measured beside the text",
    "really_applied": "known to the laboratory",
    "active": "rootdev tells, not cgpt",
    "locksmithd_rc": "an exit status of the capture",
}
HIDDEN_OUTCOMES = re.compile(
    r"check-failed|updates-disabled|no-update|payload-.*|download-failed|signature-.*|postinst-failed|deferred.*"
)
"""Outcomes that the client shows as "No update available"; a status or a watch shows none at all."""


def reader_of(recording: Recording, readers: Readers = READERS) -> Reader | None:
    return next((reader for pattern, reader in readers if re.match(pattern, recording.subject)), None)


def view_of(recording: Recording, readers: Readers = READERS, change: Callable[[str], str] = str) -> View:
    reader = reader_of(recording, readers)
    assert reader is not None
    return reader(change(recording.both))


def check(expected: Any, got: Any, where: str) -> None:
    """`got` holds all of `expected`."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            check(value, got[key], f"{where}.{key}")
    elif where.endswith(".outcome") and isinstance(got, set):
        assert expected in got, where
    elif where.endswith(".outcome") and HIDDEN_OUTCOMES.fullmatch(expected):
        assert got == "nothing known", where
    elif where.endswith((".error", ".transient_error")):
        assert str(got).find(str(expected)) >= 0, where
    elif where.endswith(".result") and isinstance(got, str):
        assert str(expected).startswith(got), where
    elif where.endswith(".last_checked_time"):
        assert (expected or None) == got, where
    elif where.endswith(".new_version"):
        assert (None if expected in ("0.0.0", "0.0.0.0", "") else expected) == got, where
    elif isinstance(expected, float):
        assert math.isclose(expected, got, abs_tol=1e-9), where
    else:
        assert expected == got, where


CAPTURED = recordings("update-engine")
READ = [recording for recording in CAPTURED if reader_of(recording)]
READ_AND_PASTED = READ + [recording for recording in recordings("updater") if reader_of(recording)]


def told(expected: View, not_told: Iterable[str]) -> View:
    return {key: value for key, value in expected.items() if key not in not_told}


@pytest.mark.parametrize("recording", READ, ids=lambda item: item.name)
def test_a_capture_says_what_is_expected(recording: Recording) -> None:
    check(told(recording.entry["expected"], NOT_TOLD), view_of(recording), recording.name)


def test_carriage_returns_change_nothing() -> None:
    for recording in READ:
        assert view_of(recording, change=lambda text: text.replace("\n", "\r\n")) == view_of(recording)


def test_each_capture_has_a_reader_or_a_reason() -> None:
    for recording in CAPTURED:
        reasons = [pattern for pattern in NO_READER if re.match(pattern, recording.subject)]
        assert len(reasons) == (0 if reader_of(recording) else 1), (recording.name, reasons)
        if reasons:
            assert not told(recording.entry["expected"], {*NOT_TOLD, "outcome"}), recording.name


def test_each_reader_and_each_reason_is_needed() -> None:
    subjects = [recording.subject for recording in CAPTURED + READ_AND_PASTED]
    for pattern in [pattern for pattern, _ in READERS] + list(NO_READER):
        assert any(re.match(pattern, subject) for subject in subjects), pattern
    assert {key for recording in CAPTURED for key in recording.entry["expected"]} >= NOT_TOLD.keys()


def test_each_file_is_in_the_index() -> None:
    assert files_without_index("update-engine") == set()


def test_failures_of_the_laboratory_were_read_as_failures() -> None:
    """All outcomes but "nothing offered" end failed, and none is mistaken for success."""
    for recording in READ:
        if reader_of(recording) is daemon_log and recording.entry["expected"].get("outcome"):
            assert view_of(recording)["failed"] is (recording.entry["expected"]["outcome"] != "no-update")


# -- the same, cut --------------------------------------------------------------------------------------


def cuts(text: str) -> Iterator[str]:
    """`text` cut at every 20th byte; of a long one at some 80 places and near its end."""
    raw = text.encode()
    step = max(20, len(raw) // 80)
    for at in sorted({*range(0, len(raw), step), *range(max(0, len(raw) - 200), len(raw), 20)}):
        yield raw[:at].decode("utf-8", "replace")


def outcome(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ParseError:
        return None


CUT_ONES: dict[Reader, Callable[[str], Any]] = {one_status: parse_raw_status, new_maximum: parse_set_max}
CUT_ONES[semaphore] = parse_locksmithctl_status


def test_an_answer_cut_is_no_other_answer() -> None:
    for recording in READ_AND_PASTED:
        whole, reader = recording.both, reader_of(recording)
        if reader is client and whole.count("CURRENT_OP=") == 1:
            reader = one_status
        if parse := CUT_ONES.get(reader or client):
            assert {outcome(parse, text) for text in cuts(whole)} <= {None, parse(whole)}


def test_a_run_cut_shows_its_first_statuses() -> None:
    for recording in READ_AND_PASTED:
        if reader_of(recording) is client:
            blocks = parse_client_output(recording.both).blocks
            for text in cuts(recording.both):
                part = outcome(parse_client_output, text)
                assert part is None or part.blocks == blocks[: len(part.blocks)]


def test_a_table_cut_says_less_and_nothing_else() -> None:
    for recording in READ_AND_PASTED:
        if reader_of(recording) in (table, client_and_table):
            full = {item.number: item for item in parse_cgpt_show(recording.both).partitions}
            for text in cuts(recording.both):
                for item in (outcome(parse_cgpt_show, text) or CgptTable(())).partitions:
                    for name in ("label", "type", "uuid", "priority", "tries", "successful"):
                        assert getattr(item, name) in (None, getattr(full[item.number], name))
