"""SQL of what was asked and done. Every function takes a connection and knows no other table.

The record is append-only: rows come by `append`, in the transaction that does what they tell.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from actions.record import START, Actor, Entry, Head, Row, sealed

_COLUMNS = (
    "n, at, login, uid, ssh_from, console, said, host, verb, order_id, event, command, outcome, code, text, "
    "record.evidence, prev, hash"
)


def head(conn: sqlite3.Connection) -> Head:
    """The last row's number and hash."""
    row = conn.execute("SELECT n, hash FROM record ORDER BY n DESC LIMIT 1").fetchone()
    return Head(*row) if row else START


def append(conn: sqlite3.Connection, entries: Iterable[Entry]) -> Head:
    """Add rows inside the caller's transaction, in order; the new head.

    For what a power cut must not undo, the connection is one of `store.open_writer(path, durable=True)`.
    """
    assert conn.in_transaction, "a row is recorded in the transaction that does what it tells"
    last = head(conn)
    for entry in entries:
        row, document = sealed(entry, last)
        if document is not None:
            conn.execute("INSERT OR IGNORE INTO evidence VALUES (?, ?)", (row.evidence, document))
        conn.execute(f"INSERT INTO record VALUES ({_MARKS})", _values(row))
        last = Head(row.n, row.hash)
    return last


_MARKS = ", ".join("?" * len(_COLUMNS.split(", ")))


def _values(row: Row) -> tuple[object, ...]:
    who = row.actor
    actor = (who.login, who.uid, who.ssh_from, who.console, who.said)
    what = (row.host, row.verb, row.order, row.event, row.command, row.outcome, row.code, row.text)
    return (row.n, row.at, *actor, *what, row.evidence, row.prev, row.hash)


def _row(values: Sequence[object]) -> Row:
    n, at, *rest = values
    return Row(n, at, Actor(*rest[:5]), *rest[5:])  # type: ignore[arg-type]


@contextmanager
def snapshot(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything read inside is of one moment, whatever others write meanwhile."""
    conn.execute("BEGIN")
    try:
        yield conn
    finally:
        if conn.in_transaction:  # SQLite ends it by itself where the file cannot be read
            conn.execute("ROLLBACK")


def count(conn: sqlite3.Connection) -> int:
    """How many rows there are; the head's number, unless somebody took some out."""
    return int(conn.execute("SELECT count(*) FROM record").fetchone()[0])


def every_row(conn: sqlite3.Connection) -> Iterator[tuple[Row, str | None]]:
    """All rows in order, each with its evidence, read as they are asked for."""
    sql = "SELECT {}, document FROM record LEFT JOIN evidence ON evidence.digest = record.evidence ORDER BY n"
    for *values, document in conn.execute(sql.format(_COLUMNS)):
        yield _row(values), document


def newest(
    conn: sqlite3.Connection,
    limit: int,
    *,
    hosts: Sequence[str] = (),
    orders: Sequence[str] = (),
    since: str | None = None,
) -> list[Row]:
    """The last rows of any of these hosts and orders, from a time on, newest last; an empty choice is all."""
    terms, values = ["1"], list[object]()
    for column, wanted in (("host", hosts), ("order_id", orders)):
        if wanted:
            terms.append(f"{column} IN ({', '.join('?' * len(wanted))})")
            values += wanted
    if since is not None:
        terms.append("at >= ?")
        values.append(since)
    sql = f"SELECT {_COLUMNS} FROM record WHERE {' AND '.join(terms)} ORDER BY n DESC LIMIT ?"
    return [_row(row) for row in conn.execute(sql, (*values, limit))][::-1]
