"""All SQL about observations, as functions of a connection. Values are JSON text, times ISO-8601 UTC."""

from __future__ import annotations

import sqlite3
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from collectors.records import Change, FirstSight, Hold, HostRecord, LastLook, Lease


class LeaseLost(Exception):
    """Somebody else has taken over what this process did alone; it must stop."""


_COLUMNS = (
    "name",
    "asked_at",
    "taken_at",
    "reach",
    "reach_detail",
    "reach_since",
    "last_ok_at",
    "latency_s",
    "machine_id",
    "facts",
    "facts_digest",
    "passing",
    "memory",
    "brief",
)
"""The fields of HostRecord, in its order: `status` reads briefs without building the class."""
_NAMES = ", ".join(_COLUMNS)
_PUT_HOST = (
    f"INSERT INTO hosts ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))}) "
    "ON CONFLICT (name) DO UPDATE SET "
    + ", ".join(f"{name}=excluded.{name}" for name in _COLUMNS if name != "name")
)

_VALUES = attrgetter(*_COLUMNS)
_LISTED = "(SELECT value FROM json_each(?))"
"""A list as one argument, since SQLite takes a limited number of them; `_list` makes it."""

# -- hosts as last seen -----------------------------------------------------------------------


def put_hosts(conn: sqlite3.Connection, records: Iterable[HostRecord]) -> None:
    conn.executemany(_PUT_HOST, map(_VALUES, records))


def put_briefs(conn: sqlite3.Connection, briefs: Iterable[tuple[str, str]]) -> None:
    """Of each host named its new brief; all else stays."""
    conn.executemany("UPDATE hosts SET brief = ?2 WHERE name = ?1", briefs)


def all_hosts(conn: sqlite3.Connection) -> dict[str, HostRecord]:
    from collectors.records import HostRecord

    rows = conn.execute(f"SELECT {_NAMES} FROM hosts")
    return {row[0]: HostRecord(*row) for row in rows}


def one_host(conn: sqlite3.Connection, name: str) -> HostRecord | None:
    from collectors.records import HostRecord

    row = conn.execute(f"SELECT {_NAMES} FROM hosts WHERE name = ?", (name,)).fetchone()
    return HostRecord(*row) if row else None


def _list(words: Iterable[str]) -> str:
    from json import dumps  # `status` asks for no list, and does without

    return dumps(list(words))


def host_names(conn: sqlite3.Connection) -> list[str]:
    """Every host that has a row."""
    return [row[0] for row in conn.execute("SELECT name FROM hosts")]


def last_looks(conn: sqlite3.Connection, names: Iterable[str]) -> dict[str, LastLook]:
    """By name; hosts without a row are left out."""
    from collectors.records import LastLook

    rows = conn.execute(
        "SELECT name, asked_at, reach, reach_since, machine_id, facts_digest, memory"
        f" FROM hosts WHERE name IN {_LISTED}",
        (_list(names),),
    )
    return {row[0]: LastLook(*row) for row in rows}


def facts_of(conn: sqlite3.Connection, name: str) -> str | None:
    """A host's lasting facts, as JSON."""
    row = conn.execute("SELECT facts FROM hosts WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def same_machine(conn: sqlite3.Connection, machine_ids: Iterable[str]) -> dict[str, list[str]]:
    """Machine id -> the hosts that gave it, by name."""
    rows = conn.execute(
        f"SELECT machine_id, name FROM hosts WHERE machine_id IN {_LISTED} ORDER BY name",
        (_list(machine_ids),),
    )
    hosts: dict[str, list[str]] = {}
    for machine_id, name in rows:
        hosts.setdefault(machine_id, []).append(name)
    return hosts


def twins(conn: sqlite3.Connection, name: str, machine_id: str | None) -> tuple[str, ...]:
    """Other hosts that gave this machine id, by name."""
    if machine_id is None:
        return ()
    rows = conn.execute(
        "SELECT name FROM hosts WHERE machine_id = ? AND name <> ? ORDER BY name", (machine_id, name)
    )
    return tuple(row[0] for row in rows)


def briefs(conn: sqlite3.Connection) -> list[tuple[str, str, str | None, str, str]]:
    """name, asked_at, taken_at, reach, brief of every host: all that the table needs."""
    return conn.execute("SELECT name, asked_at, taken_at, reach, brief FROM hosts").fetchall()


# -- history ----------------------------------------------------------------------------------


def put_first_sights(conn: sqlite3.Connection, sights: Iterable[FirstSight]) -> None:
    conn.executemany(
        "INSERT OR REPLACE INTO first_sights VALUES (?, ?, ?)",
        [(item.host, item.at, item.facts) for item in sights],
    )


def first_sights(conn: sqlite3.Connection, until: str) -> Iterator[FirstSight]:
    """Of all hosts, oldest first."""
    from collectors.records import FirstSight

    rows = conn.execute("SELECT host, at, facts FROM first_sights WHERE at <= ? ORDER BY at", (until,))
    return (FirstSight(*row) for row in rows)


def put_changes(conn: sqlite3.Connection, changes: Sequence[Change]) -> None:
    conn.executemany(
        "INSERT INTO changes (host, at, path, old, new) VALUES (?, ?, ?, ?, ?)",
        [(item.host, item.at, item.path, item.old, item.new) for item in changes],
    )


def changes_between(conn: sqlite3.Connection, after: str, until: str) -> Iterator[Change]:
    """Of all hosts, by time; `after` itself is left out."""
    from collectors.records import Change

    rows = conn.execute(
        "SELECT host, at, path, old, new FROM changes WHERE at > ? AND at <= ? ORDER BY at, id",
        (after, until),
    )
    return (Change(*row) for row in rows)


def host_changes(conn: sqlite3.Connection, host: str, limit: int) -> list[Change]:
    """The newest changes of a host, newest first."""
    from collectors.records import Change

    rows = conn.execute(
        "SELECT host, at, path, old, new FROM changes WHERE host = ? ORDER BY at DESC, id DESC LIMIT ?",
        (host, limit),
    )
    return [Change(*row) for row in rows]


def forget_history(conn: sqlite3.Connection, host: str, until: str) -> None:
    """Drop a host's history up to a moment."""
    conn.execute("DELETE FROM first_sights WHERE host = ? AND at <= ?", (host, until))
    conn.execute("DELETE FROM changes WHERE host = ? AND at <= ?", (host, until))


def put_sweep(conn: sqlite3.Connection, started_at: str, ended_at: str, asked: int, answered: int) -> None:
    conn.execute(
        "INSERT INTO sweeps (started_at, ended_at, asked, answered) VALUES (?, ?, ?, ?)",
        (started_at, ended_at, asked, answered),
    )


def last_sweep(conn: sqlite3.Connection, until: str) -> str | None:
    """When the newest sweep that ended by then did so."""
    row = conn.execute("SELECT max(ended_at) FROM sweeps WHERE ended_at <= ?", (until,)).fetchone()
    return row[0] if row else None


def forget_sweeps(conn: sqlite3.Connection, until: str) -> None:
    conn.execute("DELETE FROM sweeps WHERE ended_at <= ?", (until,))


# -- leases -----------------------------------------------------------------------------------


def take_lease(
    conn: sqlite3.Connection, name: str, owner: str, now: str, until: str
) -> Lease | tuple[str, str]:
    """The lease, if it is free, expired, or already this owner's; else who has it, and until when.

    Call inside a transaction.
    """
    from collectors.records import Lease

    row = conn.execute("SELECT owner, token, expires_at FROM leases WHERE name = ?", (name,)).fetchone()
    if row is not None and row[0] != owner and row[2] > now:
        return row[0], row[2]
    same = row is not None and row[0] == owner and row[2] > now
    token = row[1] + (0 if same else 1) if row is not None else 1
    conn.execute(
        "INSERT INTO leases VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " owner=excluded.owner, token=excluded.token, expires_at=excluded.expires_at",
        (name, owner, token, until),
    )
    return Lease(name, owner, token)


def check_lease(conn: sqlite3.Connection, lease: Lease) -> None:
    """Raises LeaseLost where another token is in force. Call inside the transaction that writes."""
    row = conn.execute("SELECT token FROM leases WHERE name = ?", (lease.name,)).fetchone()
    if row is None or row[0] != lease.token:
        raise LeaseLost(f"another process has taken over as {lease.name}")


def end_lease(conn: sqlite3.Connection, lease: Lease) -> None:
    """Give it back; the token stays, so that it can never be used again."""
    conn.execute("UPDATE leases SET expires_at = '' WHERE name = ? AND token = ?", (lease.name, lease.token))


def end_lease_of(conn: sqlite3.Connection, name: str) -> None:
    """End a lease whose owner is known to be gone."""
    conn.execute("UPDATE leases SET expires_at = '' WHERE name = ?", (name,))


def lease_owner(conn: sqlite3.Connection, name: str, now: str) -> str | None:
    """Who has a lease now."""
    row = conn.execute("SELECT owner FROM leases WHERE name = ? AND expires_at > ?", (name, now)).fetchone()
    return row[0] if row else None


# -- holds and settings -----------------------------------------------------------------------


def holds(conn: sqlite3.Connection) -> dict[str, str]:
    """Host -> why it must not be rebooted."""
    return dict(conn.execute("SELECT host, reason FROM holds").fetchall())


def put_hold(conn: sqlite3.Connection, hold: Hold) -> None:
    conn.execute(
        "INSERT OR REPLACE INTO holds (host, reason, actor, at) VALUES (?, ?, ?, ?)",
        (hold.host, hold.reason, hold.actor, hold.at),
    )


def drop_hold(conn: sqlite3.Connection, host: str) -> bool:
    """Whether there was one."""
    return conn.execute("DELETE FROM holds WHERE host = ?", (host,)).rowcount > 0


def setting(conn: sqlite3.Connection, name: str) -> str | None:
    row = conn.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def put_setting(conn: sqlite3.Connection, name: str, value: str) -> None:
    conn.execute(
        "INSERT INTO settings VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value=excluded.value",
        (name, value),
    )


# -- versions over time -----------------------------------------------------------------------


def version_looks(conn: sqlite3.Connection, until: str) -> Iterator[tuple[str, str, str | None, bool]]:
    """Host, time, version, and whether it was told: of all hosts, by time; the last of one moment holds.

    A host's first row, not told, is when it was first asked. Of one moment a first sight comes last, for the
    changes before it are of the machine before. None: not known.
    """
    rows = conn.execute(
        "SELECT host, at, version, kind > 0 FROM ("
        " SELECT host, min(at) AS at, NULL AS version, 0 AS kind, 0 AS id FROM changes"
        "  WHERE path = '/reach' GROUP BY host"
        " UNION ALL SELECT host, at, json_extract(new, '$'), 1, id FROM changes WHERE path = '/os/version_id'"
        " UNION ALL SELECT host, at, json_extract(facts, '$.os.version_id'), 2, 0 FROM first_sights"
        ") WHERE at <= ? ORDER BY at, kind, id",
        (until,),
    )
    return ((host, at, version, bool(told)) for host, at, version, told in rows)


def history_began(conn: sqlite3.Connection) -> str | None:
    """When the oldest look that is kept was; None: none is."""
    row = conn.execute("SELECT min(at) FROM changes").fetchone()
    return row[0] if row else None


def newest_changes(conn: sqlite3.Connection, after: str, until: str, limit: int) -> list[Change]:
    """The newest changes of all hosts, oldest first; `after` itself is left out."""
    from collectors.records import Change

    rows = conn.execute(
        "SELECT host, at, path, old, new FROM changes WHERE at > ? AND at <= ?"
        " ORDER BY at DESC, id DESC LIMIT ?",
        (after, until, limit),
    ).fetchall()
    return [Change(*row) for row in reversed(rows)]
