"""SQL of what was taken for hosts around a reboot. Changes are made inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from json import dumps

from actions.order_tables import Moved
from actions.taking import Hold, Taken, What

_COLUMNS = "host, what, order_id, state, since, machine_id, mark, text"


def add_taking(conn: sqlite3.Connection, taken: Taken) -> None:
    """Raises order_tables.Moved where the host has one of this kind already."""
    values = (taken.host, taken.what, taken.order_id, taken.state, taken.since)
    try:
        conn.execute(
            "INSERT INTO takings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, taken.machine_id, taken.mark, taken.text),
        )
    except sqlite3.IntegrityError as error:
        raise Moved(f"another order prepares a reboot of {taken.host}") from error


def change_taking(conn: sqlite3.Connection, taken: Taken) -> None:
    conn.execute(
        "UPDATE takings SET state = ?, since = ?, mark = ?, text = ? WHERE host = ? AND what = ?",
        (taken.state, taken.since, taken.mark, taken.text, taken.host, taken.what),
    )


def drop_taking(conn: sqlite3.Connection, host: str, what: What) -> None:
    conn.execute("DELETE FROM takings WHERE host = ? AND what = ?", (host, what))


def free_takings(conn: sqlite3.Connection, host: str) -> list[What]:
    """A person has looked at the host: what was kept for it may be given back. Which that is."""
    found = [taken.what for taken in takings(conn, [host]) if taken.state is Hold.KEPT]
    conn.execute("UPDATE takings SET state = 'free' WHERE host = ? AND state = 'kept'", (host,))
    return found


def takings(conn: sqlite3.Connection, hosts: Iterable[str] | None = None) -> list[Taken]:
    """Of these hosts, None: of all; in the order in which they are given back."""
    listed = dumps(list(hosts)) if hosts is not None else None
    rows = conn.execute(
        f"SELECT {_COLUMNS} FROM takings"
        " WHERE ?1 IS NULL OR host IN (SELECT value FROM json_each(?1)) ORDER BY host, what",
        (listed,),
    )
    return [Taken(host, What(what), order, Hold(state), *rest) for host, what, order, state, *rest in rows]


def kept_words(conn: sqlite3.Connection) -> dict[str, str]:
    """Host -> what is still taken for it after its order, and why."""
    rows = conn.execute(
        "SELECT host, group_concat(what, ' and '), min(order_id), min(text) FROM"
        " (SELECT * FROM takings WHERE state IN ('kept', 'free') ORDER BY host, what) GROUP BY host"
    )
    return {
        host: f"{what} stays after {order}: {text or 'not given back'}" for host, what, order, text in rows
    }
