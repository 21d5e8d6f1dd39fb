"""The calendar as an operator and a script see it: text, JSON, the command."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

import console
import console.cli.calendar
from actions.calendar import Calendar, Fit, Seen, Unknown, When
from collectors.facts import Coordinator, CoordinatorState
from console.calendar_document import calendar_document
from console.cli.main import run
from console.render_calendar import calendar_text
from console.visible import cells
from tests.builders import HEALTHY, NOW
from tests.unit.test_calendar import HEAD, HOSTS, NIGHT, ROLLOUT, STAGED, calendar, in_window, seen

Json = dict[str, Any]
SCHEMA = json.loads(Path(console.__path__[0], "schemas", "fleetctl.calendar.v1.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
SHUT = NOW + timedelta(hours=1)
REST = ROLLOUT % '{ name = "wave-1", hosts = "20%" }, { name = "rest", hosts = "rest" }'
MEMBERS = {"canary": {"edge-1"}}
BEGUN = replace(STAGED, coordinator=Coordinator("locksmithd", "reboot", CoordinatorState.REBOOTING))
MIXED = (
    seen("db-1"),
    seen("db-2", hold="no reboots before the migration, ops-1432"),
    seen("edge-1", BEGUN),
    seen("edge-2", in_window("12:00", "2h")),
    seen("edge-3", is_stale=True, taken_at=NOW - timedelta(hours=3)),
    seen("edge-4", None, taken_at=None, was_asked=False, answers=False),
)


def in_zone(zone: str) -> Callable[[datetime], datetime]:
    return lambda moment: moment.astimezone(ZoneInfo(zone))


def text(made: Calendar, *, zone: str = "UTC", width: int = 80, ascii: bool = False) -> str:
    return calendar_text(made, local=in_zone(zone), colour=False, ascii=ascii, width=width)


def test_a_whole_page() -> None:
    made = calendar(NIGHT, REST, hosts=MIXED, members=MEMBERS, now=SHUT, days=2)
    assert text(made).splitlines() == [
        "prod  6 hosts, Tue 24 Nov 04:12 UTC",
        "Shut now, opens in 22 h 48 min. Then night, Wed 25 Nov 04:00 Europe/Berlin.",
        "▲ 2 hosts will reboot by themselves, outside of every window: edge-[1-2]",
        "▲ 1 host's reboot fits into no opening of these 2 days.",
        "▲ Of 2 hosts it is not known whether they reboot by themselves.",
        "",
        "orders may reboot hosts, Europe/Berlin time (this console's: UTC)",
        "  Wed 25 Nov 04:00 to 04:30  (03:00 to 03:30)  30 min  night",
        "  Thu 26 Nov 04:00 to 04:30  (03:00 to 03:30)  30 min  night",
        "",
        "in which order: as rollouts.default, each cohort after the one before",
        "  1  canary  edge-1  1 host: edge-1",
        "  2  wave-1  20%     1 host, chosen by the plan",
        "  3  rest    rest    4 hosts, chosen by the plan",
        "    A single order goes by name.",
        "",
        "no reboot by an order in these 2 days",
        "  db-1  may take 40 min (reboot_deadline), the longest opening leaves 30 min",
        "",
        "held: no order reboots them",
        "  db-2  no reboots before the migration, ops-1432",
        "",
        "reboot by themselves",
        "  edge-1  has begun to reboot, at any moment; outside of every window",
        "  edge-2",
        "    in locksmithd's own window, Tue 24 Nov 12:00 to 14:00 UTC, if the host's",
        "    clock is set to UTC; outside of every window",
        "",
        "not known: whether they reboot by themselves",
        "  edge-3  not seen for 4 h",
        "  edge-4  never asked",
        "",
        "next  fleetctl collect   asks every host",
    ]


def test_open_now_says_until_when_a_reboot_may_be_issued() -> None:
    lines = text(calendar(NIGHT, now=NOW.replace(minute=4), hosts=(seen("edge-1"),))).splitlines()
    assert lines[1] == "Open now, shuts in 26 min. A reboot may still be issued for 6 min."
    assert "30 min  night; open now" in lines[4]
    noon = '[windows.noon]\nstart = "12:00"\nlength = "1h"\ntimezone = "UTC"\n'
    several = text(calendar(NIGHT, noon, now=NOW.replace(minute=4)), width=120).splitlines()
    assert several[1].endswith("issued for 6 min, where reboot_deadline is the shortest.")
    late = text(calendar(NIGHT, now=NOW.replace(minute=10, second=1), hosts=(seen("edge-1"),))).splitlines()
    assert late[1] == "Open now, shuts in 19 min 59 s. Too late for a reboot: it may take 20 min"
    assert "    too late for edge-1: needs 20 min" in late


def test_hosts_with_too_little_time_in_one_opening_are_named_below_it() -> None:
    noon = '[windows.noon]\nstart = "12:00"\nlength = "1h"\ntimezone = "UTC"\n'
    lines = text(calendar(NIGHT, noon, now=SHUT, days=1), width=120).splitlines()
    at = next(
        number for number, line in enumerate(lines) if "Wed 25 Nov 04:00" in line and "Then" not in line
    )
    assert lines[at + 1] == "    too short for 2 hosts: db-[1-2]: needs 40 min"


def test_without_windows_and_without_a_rollout() -> None:
    lines = text(calendar()).splitlines()
    assert lines[1] == "Orders may reboot hosts at any time: the fleet file has no windows."
    assert lines[3:] == ["in which order: by name", "    6 hosts: db-[1-2], edge-[1-4]"]
    assert "window" not in "".join(text(calendar(hosts=(seen("edge-1", STAGED),))).splitlines()[2:])


def test_no_opening_in_these_days() -> None:
    friday = NIGHT.replace("[windows.night]", '[windows.night]\ndays = ["Sun"]')
    lines = text(calendar(friday, days=1)).splitlines()
    assert lines[1] == "Shut now. No window opens in the next day."
    assert not any("orders may reboot" in line or "no reboot by" in line for line in lines)


def test_a_console_in_the_windows_own_zone_shows_one_time() -> None:
    lines = text(calendar(NIGHT, now=SHUT), zone="Europe/Berlin").splitlines()
    assert lines[0].endswith("Tue 24 Nov 05:12 CET")
    assert "orders may reboot hosts, Europe/Berlin time" in lines
    assert any(line == "  Thu 26 Nov 04:00 to 04:30  30 min  night" for line in lines)


def test_windows_of_several_zones_name_theirs_and_another_day_is_said() -> None:
    other = '[windows.tokyo]\nstart = "03:00"\nlength = "1h"\ntimezone = "Asia/Tokyo"\n'
    shown = text(calendar(NIGHT, other, now=SHUT, days=1), width=160)
    assert "Wed 25 Nov 03:00 to 04:00 Asia/Tokyo     (Tue 24 Nov 18:00 to 19:00)  1 h " in shown
    assert "Wed 25 Nov 04:00 to 04:30 Europe/Berlin  (03:00 to 03:30)             30 min" in shown


def test_times_too_long_for_the_terminal_stand_below_each_other() -> None:
    other = NIGHT.replace("night", "south").replace("Europe/Berlin", "America/Argentina/Buenos_Aires")
    lines = text(calendar(NIGHT, other, now=SHUT, days=1)).splitlines()
    at = lines.index("  Wed 25 Nov 04:00 to 04:30 Europe/Berlin")
    assert lines[at + 1] == "    (03:00 to 03:30)  30 min  night"


def test_a_night_on_which_the_clocks_are_moved_says_so() -> None:
    night = NIGHT.replace("04:00", "01:00").replace("30m", "3h")
    shown = text(calendar(night, now=datetime.fromisoformat("2026-03-28T12:00:00+00:00"), days=2), width=120)
    line = next(line for line in shown.splitlines() if line.startswith("  Sun 29 Mar"))
    assert line.split("  ")[1:3] == ["Sun 29 Mar 01:00 to 05:00", "(00:00 to 03:00)"]
    assert line.endswith("  3 h  night; the clocks are moved in it")


def test_a_start_that_the_clocks_skip_is_said_to_be_skipped() -> None:
    night, now = NIGHT.replace("04:00", "02:00"), datetime.fromisoformat("2026-03-28T12:00:00+00:00")
    lines = text(calendar(night, now=now, days=2), zone="Europe/Berlin").splitlines()
    assert "  Sun 29 Mar 03:00 to 03:30  30 min  night; the clocks skip its start" in lines
    assert "  Mon 30 Mar 02:00 to 02:30  30 min  night" in lines


def test_a_hold_does_not_stop_a_host_and_that_is_said() -> None:
    shown = text(calendar(hosts=(seen("edge-1", STAGED, hold="ops-1"),)))
    assert "at any moment, by locksmithd; the hold does not stop it" in shown


def test_a_selection_is_counted_and_an_empty_one_is_said() -> None:
    assert text(calendar(hosts=(seen("edge-1"),))).startswith("prod  1 of 6 hosts, ")
    assert text(calendar(hosts=())).splitlines()[1] == "No host matches."


@given(
    st.text(min_size=1),
    st.integers(80, 200),
    st.booleans(),
    st.sampled_from(("UTC", "Asia/Kathmandu", "America/New_York")),
)
def test_no_line_is_wider_than_asked_whatever_a_hold_says(
    reason: str, width: int, ascii: bool, zone: str
) -> None:
    hosts = (seen("db-1", hold=reason), *MIXED[1:])
    made = calendar(NIGHT, REST, hosts=hosts, members=MEMBERS, now=SHUT)
    lines = text(made, zone=zone, width=width, ascii=ascii).split("\n")
    assert max(map(cells, lines)) <= width
    assert all(line.isprintable() for line in lines)
    assert not ascii or all(line.isascii() for line in lines)


def test_colour_adds_nothing_but_colour() -> None:
    import re

    made = calendar(NIGHT, REST, hosts=MIXED, members=MEMBERS, now=SHUT)
    drawn = calendar_text(made, local=in_zone("UTC"), colour=True, ascii=False, width=80)
    assert drawn != text(made)
    assert re.sub(r"\x1b\[[0-9;]*m", "", drawn) == text(made)


# -- JSON


def document(made: Calendar) -> Json:
    found: Json = json.loads(json.dumps(calendar_document(made)))
    VALIDATOR.validate(found)
    return found


def test_the_schema_is_one_that_knows_all_words_and_wants_every_key() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["when"]["enum"] == [str(word) for word in When]
    assert SCHEMA["$defs"]["fit"]["enum"] == [str(word) for word in Fit]
    assert SCHEMA["$defs"]["unknown"]["enum"] == [str(word) for word in Unknown]
    objects = [SCHEMA, *[item["items"] for item in SCHEMA["properties"].values() if "items" in item]]
    assert len(objects) == 8
    assert [item for item in objects if set(item["required"]) != set(item["properties"])] == []


def test_the_same_as_json() -> None:
    told = document(calendar(NIGHT, REST, hosts=MIXED, members=MEMBERS, now=SHUT, days=1))
    assert told["hosts"] == list(HOSTS)
    assert told["openings"] == [
        {
            "begins_at": "2026-11-25T03:00:00Z",
            "ends_at": "2026-11-25T03:30:00Z",
            "windows": ["night"],
            "open": False,
            "left_s": 1800.0,
            "too_short_for": ["db-1"],
        }
    ]
    assert [(turn["takes"], turn["hosts"]) for turn in told["turns"]] == [
        ("edge-1", ["edge-1"]),
        ("20%", None),
        ("rest", None),
    ]
    assert told["never"] == [{"host": "db-1", "reboot_deadline_s": 2400}]
    assert [(item["host"], item["when"], item["windows"]) for item in told["by_itself"]] == [
        ("edge-1", "begun", "outside"),
        ("edge-2", "window", "outside"),
    ]
    assert [(item["host"], item["why"]) for item in told["not_known"]] == [
        ("edge-3", "stale"),
        ("edge-4", "never-asked"),
    ]


@pytest.mark.parametrize("parts", [(), (NIGHT,), (REST,), (NIGHT, REST)])
def test_each_kind_of_fleet_is_as_the_schema_says(parts: tuple[str, ...]) -> None:
    assert document(calendar(*parts, hosts=MIXED))["at_any_time"] is (NIGHT not in parts)
    document(calendar(*parts, hosts=(Seen("edge-1", HEALTHY, NOW, True, True, False, None),)))


# -- the command


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(console.cli.calendar, "now", lambda: SHUT)
    monkeypatch.setenv("COLUMNS", "100")
    path = tmp_path / "fleet.toml"
    path.write_text(HEAD + NIGHT + ROLLOUT % '{ name = "edges", hosts = "@edge" }')
    return str(path)


def test_before_anything_was_asked_it_tells_the_windows(
    fleet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--fleet", fleet, "calendar", "--days", "1"]) == 0
    shown = capsys.readouterr().out
    assert "Shut now, opens in 22 h 48 min." in shown
    assert "  2  edges   @edge   3 hosts: edge-[2-4]" in shown
    assert "never asked" in shown


def test_a_selection_and_json(fleet: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--fleet", fleet, "calendar", "--json", "--group", "db", "--host", "edge-1"]) == 0
    told = json.loads(capsys.readouterr().out)
    VALIDATOR.validate(told)
    assert told["hosts"] == ["db-1", "db-2", "edge-1"]
    assert [(turn["cohort"], turn["hosts"]) for turn in told["turns"]] == [
        ("canary", ["edge-1"]),
        ("edges", []),
    ]


@pytest.mark.parametrize("words", [("--days", "0"), ("--days", "61"), ("--group", "nonesuch"), ("(",)])
def test_what_is_asked_wrongly_is_refused(
    fleet: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--fleet", fleet, "calendar", *words]) == 2
    assert capsys.readouterr().out == ""


def test_it_imports_nothing_that_asks_hosts_or_writes() -> None:
    code = "import sys, console.cli.calendar; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"asyncssh", "httpx", "textual", "sqlite_utils", "rich", "ClusterShell"}
    assert set(done.stdout.split()) & heavy == set()
