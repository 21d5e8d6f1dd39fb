"""Saved views: whole, safe for spreadsheets and terminals, and never over a file that is there."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.errors import ConfigError
from console.rows import FleetView, HostRow, SlotCell
from console.saving import COLUMNS, SCHEMA, safe_cell, save_text, save_view, view_csv, view_json

NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=UTC)
HOSTILE = '=HYPERLINK("http://x")\x1b[2J\r\n\u202e'
ROW = HostRow(
    "edge-fra-014",
    "10.12.0.14",
    "reverted",
    groups=("edge", "fra"),
    labels={"zone": "fra-a"},
    reasons=(("reverted", "booted 4593.2.5, did not confirm it"),),
    version="4593.2.4",
    channel="stable",
    running="A",
    next="A",
    slot_a=SlotCell("4593.2.4", 2, 0, True, False),
    slot_b=SlotCell("4593.2.5", 1, 0, False, True),
    behind=1,
    extensions=("docker",),
    reach="ok",
    taken_at=NOW - timedelta(seconds=14),
)
BARE = HostRow("db-1", "10.0.0.3", "unreachable")
VIEW = FleetView("prod", NOW, [ROW, BARE], 3214, taken_at=NOW - timedelta(seconds=14))


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_json_holds_the_rows_in_the_order_shown() -> None:
    found = json.loads(view_json(VIEW, [BARE, ROW], "state:reverted or db"))
    assert found["schema"] == SCHEMA == "fleetctl.view/1"
    assert (found["fleet"], found["fleet_hosts"], found["filter"]) == ("prod", 3214, "state:reverted or db")
    assert found["shown_at"] == "2026-08-20T03:12:14Z"
    bare, host = found["hosts"]
    assert (bare["name"], bare["version"], bare["slots"]) == ("db-1", None, {"a": None, "b": None})
    assert host["slots"]["b"]["dead"] is True
    assert host["taken_at"] == "2026-08-20T03:12:00Z"
    assert set(bare) == set(host)


def test_csv_holds_the_rows_in_the_order_shown() -> None:
    head, bare, host = table(view_csv(VIEW, [BARE, ROW]))
    assert head == list(COLUMNS)
    assert dict(zip(head, host, strict=True)) | {"note": ""} == {
        "host": "edge-fra-014",
        "group": "edge fra",
        "state": "reverted",
        "word": "reverted",
        "note": "",
        "version": "4593.2.4",
        "channel": "stable",
        "running": "A",
        "next": "A",
        "slot_a": "4593.2.4",
        "slot_b": "4593.2.5",
        "behind": "1",
        "extensions": "docker",
        "extension_problems": "",
        "health": "",
        "taken_at": "2026-08-20T03:12:00Z",
    }
    assert bare[0] == "db-1"
    assert bare[-1] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "\n=x", "＝1"])
def test_no_cell_begins_a_formula(text: str) -> None:
    assert safe_cell(text).startswith("'")


@given(st.text())
def test_a_cell_is_one_harmless_line(text: str) -> None:
    cell = safe_cell(text)
    assert cell[:1] not in set("=+-@\t\r")
    assert cell.isprintable()
    if text.isascii() and text.isprintable() and text[:1] not in set("=+-@"):
        assert cell == text


def test_a_hosts_words_act_nowhere() -> None:
    rows = [replace(ROW, hold=HOSTILE, state="held", version=HOSTILE, groups=(HOSTILE,))]
    for text in (view_json(VIEW, rows), view_csv(VIEW, rows)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    _, host = table(view_csv(VIEW, rows))
    assert [cell for cell in host if cell.startswith("=")] == []
    assert json.loads(view_json(VIEW, rows))["hosts"][0]["version"] == HOSTILE


def test_the_ending_says_what_is_written(tmp_path: Path) -> None:
    save_view(tmp_path / "a.json", VIEW, [ROW], "edge")
    save_view(tmp_path / "a.CSV", VIEW, [ROW])
    assert json.loads((tmp_path / "a.json").read_text())["filter"] == "edge"
    assert len(table((tmp_path / "a.CSV").read_text())) == 2
    with pytest.raises(ConfigError, match=r"\.json, \.csv, \.svg"):
        save_view(tmp_path / "a.txt", VIEW, [ROW])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.CSV", "a.json"]


def test_a_file_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "hosts.csv"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already; take another name"):
        save_text(path, "new")
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file or directory"):
        save_text(tmp_path / "missing/hosts.csv", "x")
    with pytest.raises(ConfigError, match="cannot be written"):
        save_text(tmp_path / "a\0b", "x")
    with pytest.raises(ConfigError, match="there already"):
        save_text(tmp_path, "x")


def test_a_write_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="cannot be written: no space left on device"):
        save_text(tmp_path / "hosts.csv", "x")
    assert list(tmp_path.iterdir()) == []
