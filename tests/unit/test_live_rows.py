"""The store as the dashboard reads it: what did not change is the same object; what is lost is said."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors import store, tables
from collectors.errors import ConfigError
from collectors.records import Hold, HostRecord
from console.fleet_view import Extract
from console.live_rows import LiveRows, never_asked

NOW = datetime(2026, 8, 20, 3, 12, tzinfo=UTC)
NAMES = ("edge-01", "edge-02", "edge-03")


def extract(*names: str, feed_taken_at: datetime = NOW) -> Extract:
    hosts: list[list[Any]] = [[name, "192.0.2.1", 22, ["edge"], {}, None] for name in names or NAMES]
    return Extract("stamp", "digest", feed_taken_at.isoformat(), None, "prod", None, 900.0, {}, hosts)


def host(name: str, *, state: str = "current", at: datetime = NOW) -> HostRecord:
    brief = {"state": state, "reasons": [[state, state]], "certain": True, "version": "4593.2.5"}
    moment = at.isoformat()
    return HostRecord(
        name, moment, moment, "ok", "", moment, moment, 0.1, None, None, None, None, None, json.dumps(brief)
    )


@pytest.fixture
def writer(tmp_path: Path) -> sqlite3.Connection:
    conn = store.open_writer(tmp_path / "fleet.db")
    tables.put_hosts(conn, [host(name) for name in NAMES])
    return conn


def rows_of(tmp_path: Path) -> LiveRows:
    return LiveRows(tmp_path / "fleet.db")


def test_a_second_read_gives_the_same_rows(writer: sqlite3.Connection, tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    first, second = rows.read(extract(), NOW).rows, rows.read(extract(), NOW).rows
    assert [row.name for row in first] == list(NAMES)
    assert all(one is other for one, other in zip(first, second, strict=True))
    rows.close()


def test_a_host_that_was_seen_anew_is_the_only_new_row(writer: sqlite3.Connection, tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    before = rows.read(extract(), NOW).rows
    tables.put_hosts(writer, [host("edge-02", state="staged", at=NOW + timedelta(seconds=9))])
    after = rows.read(extract(), NOW + timedelta(seconds=10)).rows
    assert after[1].state == "staged"
    assert after[0] is before[0]
    assert after[2] is before[2]
    rows.close()


def test_a_hold_is_seen_at_once(writer: sqlite3.Connection, tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    assert rows.read(extract(), NOW).rows[0].hold is None
    tables.put_hold(writer, Hold("edge-01", "ops-1432", "jana", NOW.isoformat()))
    assert rows.read(extract(), NOW).rows[0].hold == "ops-1432"
    tables.drop_hold(writer, "edge-01")
    assert rows.read(extract(), NOW).rows[0].hold is None
    rows.close()


def test_rows_grow_old_by_themselves(writer: sqlite3.Connection, tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    assert not any(row.stale for row in rows.read(extract(), NOW + timedelta(minutes=15)).rows)
    later = rows.read(extract(), NOW + timedelta(minutes=15, seconds=6)).rows
    assert all(row.stale for row in later)
    assert rows.read(extract(), NOW).rows[0] == replace(later[0], stale=False)
    rows.close()


def test_with_an_old_feed_current_is_not_certain(writer: sqlite3.Connection, tmp_path: Path) -> None:
    rows, old = rows_of(tmp_path), extract(feed_taken_at=NOW - timedelta(days=15))
    first = rows.read(old, NOW).rows
    assert not any(row.certain for row in first)
    assert all(one is other for one, other in zip(first, rows.read(old, NOW).rows, strict=True))
    assert all(row.certain for row in rows.read(extract(), NOW).rows)
    rows.close()


def test_a_host_new_in_the_fleet_file_was_never_asked(writer: sqlite3.Connection, tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    view = rows.read(extract(*NAMES, "edge-04"), NOW)
    assert (view.rows[3].state, view.rows[3].reasons[0][0]) == ("unreachable", "never_asked")
    assert view.rows[3] == never_asked(extract("edge-04"), NOW).rows[0]
    rows.close()


def test_a_database_put_in_the_place_of_another_is_read(writer: sqlite3.Connection, tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    rows.read(extract(), NOW)
    writer.close()
    for file in tmp_path.glob("fleet.db*"):
        file.unlink()
    with pytest.raises(ConfigError, match="is gone"):
        rows.read(extract(), NOW)
    other = store.open_writer(tmp_path / "fleet.db")
    tables.put_hosts(other, [host("edge-01", state="behind")])
    assert [row.state for row in rows.read(extract(), NOW).rows] == ["behind", "unreachable", "unreachable"]
    rows.close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "fleet.db").write_text("a shopping list, long enough to be looked at twice\n" * 100)
    with pytest.raises(ConfigError, match=r"fleet\.db"):
        rows_of(tmp_path).read(extract(), NOW)
