"""The page of `show HOST`, and the JSON schema that it shares its facts with."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import console
from collectors.errors import Reach
from console.render_host import host_text
from console.visible import cells

NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=timezone(timedelta(hours=2), "CEST"))
SGR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "x\x1b[2J\x9b31m\r\n\u202eevil\u200b\x07"
SCHEMA = json.loads(Path(console.__path__[0], "schemas", "fleetctl.status.v1.json").read_text("utf-8"))

Json = dict[str, Any]


def flags(device: str, priority: int, version: str, source: str, *, successful: bool) -> Json:
    told = {"device": device, "partuuid": "7130c94a", "version": version, "version_source": source}
    return {**told, "priority": priority, "tries": 0, "successful": successful}


HOST: Json = {
    "name": "edge-fra-014",
    "address": "2001:db8::7",
    "port": 22,
    "groups": ["edge"],
    "labels": {"zone": "a"},
    "hold": "ops-1432",
    "reach": {
        "state": "ok",
        "detail": None,
        "since": "2026-08-01T00:00:00Z",
        "last_ok_at": "2026-08-20T01:12:00Z",
        "latency_s": 0.213,
        "privileged": True,
    },
    "os": {
        "id": "flatcar",
        "version": "4593.2.4",
        "version_id": "4593.2.4",
        "build_id": "2026-08-01-1200",
        "name": "Flatcar Container Linux by Kinvolk",
        "board": "amd64-usr",
        "arch": "amd64",
        "sysext_level": "1.0",
        "oem": "qemu",
        "machine_id": "8a7b",
        "kernel": "6.12.48-flatcar",
        "systemd": "257",
        "containerd": "2.0.5",
        "docker": None,
    },
    "boot": {
        "id": "b1",
        "booted_at": "2026-08-20T00:45:00Z",
        "uptime_s": 1640.0,
        "confirmed": True,
        "reset_armed": False,
        "first_boot_armed": None,
    },
    "slots": {
        "running": "A",
        "next": "A",
        "next_words": "A 4593.2.4, B has no tries left",
        "fallback": "fresh",
        "a": flags("/dev/sda3", 2, "4593.2.4", "running", successful=True),
        "b": flags("/dev/sda4", 3, "4593.2.5", "remembered", successful=False),
    },
    "update": {
        "operation": "UPDATE_STATUS_IDLE",
        "progress": 0.0,
        "new_version": None,
        "new_size": 400000000,
        "last_checked_at": "2026-08-20T01:00:00Z",
        "service": "active",
        "mode": "off",
        "disabled_by": "server",
        "server": "disabled",
        "group_image": "stable",
        "group_override": "beta",
        "group": "beta",
        "staged": False,
        "failed": True,
        "error": {
            "code": 9,
            "name": "DownloadTransferError",
            "text": None,
            "version": "4593.2.5",
            "at": None,
        },
    },
    "reboot": {
        "strategy": "reboot",
        "window_start": "Thu 04:00",
        "window_length": "1h",
        "manager": "locksmithd",
        "manager_state": "running",
        "required_marker": True,
        "will_reboot_by_itself": True,
        "foreign_order": None,
        "owners": ["locksmithd"],
        **dict.fromkeys(("pods", "lock", "lock_unread")),
    },
    "extensions": [
        {
            "name": "nvidia",
            "kind": "independent",
            "merged": False,
            "image": None,
            "version": None,
            "link": "/etc/extensions/nvidia.raw",
            "staged_image": "/opt/extensions/nvidia-550.raw",
            "bound_to": "4593.2.3",
            "compatible": False,
            "drops_on_update": True,
            "problem": "not merged",
        }
    ],
    "health": {
        "system": "degraded",
        "failed_units": ["a.service"],
        "units": {"kubelet.service": "active"},
        "containers": 12,
        "disks": {
            "/": {"fstype": "ext4", "size_bytes": 2**35, "used_bytes": 2**34, "available_bytes": 2**34}
        },
        "time_synced": False,
    },
    "situation": {
        "state": "reverted",
        "reasons": [
            {
                "code": "reverted_fresh",
                "text": "B failed to boot, A came back",
                "evidence": "A 2/0/1, B 3/0/0",
            },
            {"code": "held", "text": "ops-1432", "evidence": None},
        ],
        "remedy": "read the previous boot's journal",
        "behind_releases": 2,
        "behind_days": 42,
        "newest_in_channel": "4593.2.6",
        "cves_fixed_by_update": 1474,
        "eol": True,
        "as_of": None,
    },
    "order": {"id": "o-1", "rollout": None, "cohort": None, "phase": "VERIFYING", "since": None},
    "taken_at": "2026-08-20T01:12:00Z",
    "age_s": 14.0,
}


def changed(**sections: Any) -> Json:
    """HOST with other values: a dict changes keys of a section, anything else replaces it."""
    document = copy.deepcopy(HOST)
    for name, value in sections.items():
        document[name] = {**document[name], **value} if isinstance(value, dict) else value
    return document


def never_asked() -> Json:
    document = changed(slots=None, extensions=None, taken_at=None, age_s=None, order=None, hold=None)
    for name in ("reach", "os", "boot", "update", "reboot", "health"):
        document[name] = dict.fromkeys(document[name])
    unknown = dict.fromkeys(
        (
            "remedy",
            "behind_releases",
            "behind_days",
            "newest_in_channel",
            "cves_fixed_by_update",
            "eol",
            "as_of",
        )
    )
    reasons = [{"code": "never_asked", "text": "never asked", "evidence": None}]
    document["situation"] = {"state": "unreachable", "reasons": reasons, **unknown}
    return document


def page(document: Json, width: int = 80, *, ascii: bool = False) -> str:
    return host_text(document, now=NOW, colour=False, ascii=ascii, width=width)


def test_the_page_of_a_host_that_fell_back() -> None:
    text = page(HOST)
    for line in (
        "edge-fra-014                                                          ◄ reverted",
        "address     [2001:db8::7]:22",
        "groups      edge, zone=a",
        "held        ops-1432",
        "read        03:12, 14 s ago",
        "┏━ A running ━━━━━━━━━━━━━━━━━━┓     ┌╌ B will not boot ╌╌╌╌╌╌╌╌╌╌╌╌┐",
        "┃ 4593.2.4                     ┃     ╎ 4593.2.5, remembered         ╎",
        "┃ confirmed                    ┃  ×  ╎ never confirmed              ╎",
        "┃ prio 2   tries 0             ┃     ╎ prio 3   tries 0             ╎",
        "► next boot A 4593.2.4, B has no tries left",
        " 1  B failed to boot, A came back (A 2/0/1, B 3/0/0)",
        " 2  ops-1432",
        "to do  read the previous boot's journal",
        "software    kernel 6.12.48-flatcar, systemd 257, containerd 2.0.5, docker not",
        "boot        booted 02:45, up 27 min 20 s, confirmed",
        "failed      DownloadTransferError (code 9), 4593.2.5",
        "order       o-1 of no rollout, VERIFYING",
    ):
        assert line in text.splitlines(), line
    words = " ".join(text.split())
    for sentence in (
        "updates off, the server line is set so that none are fetched, service active",
        "beta, set on the host, the image says stable, server disabled",
        "will reboot by itself, managed by locksmithd, running, strategy reboot, window Thu 04:00 for 1h",
        "2 behind, for 42 d, newest 4593.2.6, 1,474 CVEs fixed by the update, end of life",
        "system degraded, failed a.service, 12 containers, time not synchronised",
        "/ 50% of 32 GiB used",
        "not merged, not compatible with this OS, bound to 4593.2.3, will not survive the next update",
    ):
        assert sentence in words, sentence


def test_the_page_of_a_host_never_asked_says_so_everywhere() -> None:
    text = page(never_asked())
    assert "┌╌ A ╌╌╌" in text
    assert "╎ not asked" in text
    assert "► next boot cannot say: slots not asked" in text
    assert "reach       never asked, last answer never" in text
    for name in ("os", "boot", "update", "reboot", "health", "extensions"):
        assert f"{name:<12}not read" in text
    assert "releases    how far behind: not known" in text
    assert "None" not in text


A_FLAGS, B_FLAGS = HOST["slots"]["a"], HOST["slots"]["b"]


@pytest.mark.parametrize(
    ("slots", "top", "middle"),
    [
        (
            {"next": "B", "b": {**B_FLAGS, "tries": 1}},
            "┏━ A running ━━━━━━━━━━━━━━━━━━┓     ┌─ B boots next ───────────────┐",
            "┃ confirmed                    ┃  →  │ not tried yet                │",
        ),
        (
            {"running": "B", "next": "A"},
            "┌─ A boots next ───────────────┐     ┏━ B running ━━━━━━━━━━━━━━━━━━┓",
            "│ confirmed                    │  ←  ┃ not confirmed yet            ┃",
        ),
        (
            {"b": {**B_FLAGS, "priority": 1, "successful": True}},
            "┏━ A running ━━━━━━━━━━━━━━━━━━┓     ┌─ B other ────────────────────┐",
            "┃ confirmed                    ┃     │ confirmed                    │",
        ),
        (
            {"b": {**B_FLAGS, "priority": 0, "version": None}},
            "┏━ A running ━━━━━━━━━━━━━━━━━━┓     ┌╌ B empty ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐",
            "┃ confirmed                    ┃     ╎ never confirmed              ╎",
        ),
        (
            {"running": None, "next": None},
            "┌─ A other ────────────────────┐     ┌╌ B will not boot ╌╌╌╌╌╌╌╌╌╌╌╌┐",
            "│ confirmed                    │     ╎ never confirmed              ╎",
        ),
    ],
)
def test_the_line_around_a_slot_says_what_it_will_do(slots: Json, top: str, middle: str) -> None:
    lines = page(changed(slots=slots)).splitlines()
    assert top in lines
    assert lines[lines.index(top) + 2] == middle


def test_a_host_without_slots_has_no_boxes() -> None:
    text = page(changed(slots=None, situation={"state": "no_slots"}))
    assert "slots       none: an image that updates by booting another image" in text
    assert "┌" not in text


def test_current_on_the_page_needs_a_fresh_list_of_releases() -> None:
    assert "● current?" in page(changed(situation={"state": "current", "as_of": "2026-07-01T00:00:00Z"}))
    assert "● current?" in page(changed(situation={"state": "current", "behind_releases": None}))
    assert "● current?" not in page(changed(situation={"state": "current", "behind_releases": 0}))


@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize("ascii", [False, True])
def test_the_page_fits_in_both_alphabets(width: int, ascii: bool) -> None:
    for document in (HOST, never_asked(), changed(name="n" * 200)):
        text = page(document, width, ascii=ascii)
        assert max(map(cells, text.splitlines())) <= width
        assert ascii <= text.isascii()
        coloured = host_text(document, now=NOW, colour=True, ascii=ascii, width=width)
        assert SGR.sub("", coloured) == text
        assert "\x1b" in coloured


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Paths of all texts in a JSON value."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from leaves(item, (*path, key))


@pytest.mark.parametrize("path", list(leaves(HOST)), ids=lambda path: ".".join(map(str, path)))
def test_no_text_of_a_host_reaches_the_terminal_as_it_is(path: tuple[str | int, ...]) -> None:
    document = copy.deepcopy(HOST)
    inner: Any = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = HOSTILE
    assert all(line.isprintable() for line in page(document).split("\n"))


# The schema

STATUS: Json = {
    "schema": "fleetctl.status/1",
    "generated_at": "2026-08-20T01:12:14Z",
    "fleet": "prod",
    "taken_at": None,
    "feed": {"date": "2026-08-19T00:00:00Z", "age_s": 3600.0, "source": "packed"},
    "summary": {
        "hosts": 2,
        "answered": 1,
        "by_state": {"reverted": 1, "unreachable": 1},
        "by_version": {"4593.2.4": 1, "unknown": 1},
        "by_channel": {"beta": 1, "unknown": 1},
        "needs_reboot": 0,
        "will_reboot_by_itself": 1,
        "updates_off": 1,
        "extension_problems": 1,
    },
    "hosts": [HOST, never_asked()],
}
VALIDATOR = Draft202012Validator(SCHEMA)


def test_the_schema_is_sound_and_fits() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(STATUS)
    VALIDATOR.validate({**STATUS, "feed": None, "later": 1})


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every key of every object that has fixed keys."""
    free = ("labels", "units", "disks", "by_state", "by_version", "by_channel")
    if isinstance(value, dict):
        for key, item in value.items():
            if not path or path[-1] not in free:
                yield path, key
            yield from objects(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from objects(item, (*path, index))


def test_a_missing_key_breaks_the_contract() -> None:
    for path, key in objects({**STATUS, "hosts": [HOST]}):
        document = copy.deepcopy(STATUS)
        inner: Any = document
        for step in path:
            inner = inner[step]
        del inner[key]
        assert not VALIDATOR.is_valid(document), (*path, key)


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ("situation", {"state": "melted"}),
        ("reach", {"state": "gone"}),
        ("slots", {"running": "C"}),
        ("slots", {"fallback": None}),
        ("update", {"operation": "IDLE"}),
        ("update", {"disabled_by": "me"}),
        ("port", "22"),
        ("labels", {"zone": 3}),
    ],
)
def test_a_value_outside_of_the_contract_is_refused(section: str, wrong: Any) -> None:
    assert not VALIDATOR.is_valid({**STATUS, "hosts": [changed(**{section: wrong})]})


def test_the_schema_and_the_probe_know_the_same_reaches() -> None:
    told = SCHEMA["$defs"]["reach"]["properties"]["state"]["enum"]
    assert set(told) == {*Reach, None}
