"""All SQL about observations, as functions of a connection. Values are JSON text, times ISO-8601 UTC."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from collectors.records import Change, HostRecord

_COLUMNS = tuple(HostRecord.__dataclass_fields__)
_PUT_HOST = (
    f"INSERT INTO hosts ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
    "ON CONFLICT (name) DO UPDATE SET "
    + ", ".join(f"{name}=excluded.{name}" for name in _COLUMNS if name != "name")
)


def put_hosts(conn: sqlite3.Connection, records: Iterable[HostRecord]) -> None:
    conn.executemany(_PUT_HOST, [tuple(getattr(item, name) for name in _COLUMNS) for item in records])


def all_hosts(conn: sqlite3.Connection) -> dict[str, HostRecord]:
    rows = conn.execute(f"SELECT {', '.join(_COLUMNS)} FROM hosts")
    return {row[0]: HostRecord(*row) for row in rows}


def one_host(conn: sqlite3.Connection, name: str) -> HostRecord | None:
    row = conn.execute(f"SELECT {', '.join(_COLUMNS)} FROM hosts WHERE name = ?", (name,)).fetchone()
    return HostRecord(*row) if row else None


def briefs(conn: sqlite3.Connection) -> list[tuple[str, str, str | None, str, str]]:
    """name, asked_at, taken_at, reach, brief of every host: all that the table needs."""
    return conn.execute("SELECT name, asked_at, taken_at, reach, brief FROM hosts").fetchall()


def put_first_sight(conn: sqlite3.Connection, host: str, at: str, machine_id: str | None, facts: str) -> None:
    conn.execute("INSERT OR REPLACE INTO first_sights VALUES (?, ?, ?, ?)", (host, at, machine_id, facts))


def put_changes(conn: sqlite3.Connection, changes: Sequence[Change]) -> None:
    conn.executemany(
        "INSERT INTO changes (host, at, path, old, new) VALUES (?, ?, ?, ?, ?)",
        [(item.host, item.at, item.path, item.old, item.new) for item in changes],
    )


def host_changes(conn: sqlite3.Connection, host: str, limit: int) -> list[Change]:
    """The newest changes of a host, newest first."""
    rows = conn.execute(
        "SELECT host, at, path, old, new FROM changes WHERE host = ? ORDER BY id DESC LIMIT ?", (host, limit)
    )
    return [Change(*row) for row in rows]


def put_sweep(conn: sqlite3.Connection, started_at: str, ended_at: str, asked: int, answered: int) -> None:
    conn.execute(
        "INSERT INTO sweeps (started_at, ended_at, asked, answered) VALUES (?, ?, ?, ?)",
        (started_at, ended_at, asked, answered),
    )


def setting(conn: sqlite3.Connection, name: str) -> str | None:
    row = conn.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def put_setting(conn: sqlite3.Connection, name: str, value: str) -> None:
    conn.execute(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value",
        (name, value),
    )
