"""The SQLite file: one writer, read-only readers, the schema's version. Knows no table.

Rows and times are plain: ISO-8601 UTC text, JSON as text, so that sqlite3 or Datasette reads it too.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from collectors.errors import ConfigError
from collectors.migrations import apply, schema

_MAGIC = b"SQLite format 3\x00"
BUSY_TIMEOUT_MS = 10_000


class NoDatabase(ConfigError):
    """Nothing was ever stored, or the first process that stores is just making the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), "", "there is no database yet; `fleetctl collect` makes it")


def open_reader(path: Path) -> sqlite3.Connection:
    """A read-only connection. Raises NoDatabase, and ConfigError for one of another schema."""
    if not path.exists():
        raise NoDatabase(path)
    try:
        conn = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.DatabaseError as error:
        raise ConfigError(str(path), "", f"cannot be read as a database: {error}") from error
    try:
        conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        if version(conn) == 0 and not conn.execute("PRAGMA schema_version").fetchone()[0]:
            raise NoDatabase(path)
        _check(conn, path)
    except sqlite3.DatabaseError as error:
        conn.close()
        raise ConfigError(str(path), "", f"cannot be read as a database: {error}") from error
    except ConfigError:
        conn.close()
        raise
    return conn


def open_writer(path: Path, *, durable: bool = False) -> sqlite3.Connection:
    """The writing connection, the file made (mode 0600) and migrated where needed.

    `durable`: what was committed outlives a power cut, at the price of a flush for each commit.
    Raises ConfigError where the file cannot be written, or belongs to a newer program.
    """
    try:
        if path.exists() and path.stat().st_size and not _begins(path):
            raise ConfigError(str(path), "database", "is there and is no SQLite database; name another file")
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(path, 0o600)
        conn = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        conn.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        _keep_log_ahead(conn)
        conn.execute("PRAGMA foreign_keys=ON")
        conn.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        if version(conn) < schema():
            migrate(conn)
        _check(conn, path)
    except OSError as error:
        raise ConfigError(str(path), "database", f"cannot be written: {error.strerror}") from error
    except sqlite3.DatabaseError as error:
        raise ConfigError(str(path), "database", f"cannot be written: {error}") from error
    return conn


def _keep_log_ahead(conn: sqlite3.Connection) -> None:
    """WAL. SQLite does not wait for its lock here where another process makes the same file just now."""
    ends_at = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            conn.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > ends_at:
                raise
        time.sleep(0.01)


def _begins(path: Path) -> bool:
    """Whether a file begins as a database does."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def migrate(conn: sqlite3.Connection) -> list[str]:
    """Apply every pending step of all layers, or none; the names of those applied."""
    with transaction(conn):
        # Another process may have done it, or more, while this one waited for the lock.
        return apply(conn) if version(conn) < schema() else []


def version(conn: sqlite3.Connection) -> int:
    return int(conn.execute("PRAGMA user_version").fetchone()[0])


def data_version(conn: sqlite3.Connection) -> int:
    """Another number after each commit of anybody else's."""
    return int(conn.execute("PRAGMA data_version").fetchone()[0])


@contextmanager
def transaction(conn: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Everything inside, or nothing."""
    conn.execute("BEGIN IMMEDIATE")
    try:
        yield conn
    except BaseException:
        if conn.in_transaction:  # on a full disk SQLite has ended it by itself, and its error is the cause
            conn.execute("ROLLBACK")
        raise
    conn.execute("COMMIT")


def _check(conn: sqlite3.Connection, path: Path) -> None:
    found = version(conn)
    if found > schema():
        raise ConfigError(str(path), "", f"has schema {found}, newer than this fleetctl's {schema()}")
    if found < schema():
        raise ConfigError(
            str(path), "", f"has schema {found}; run `fleetctl migrate` to bring it to {schema()}"
        )


def _quoted(path: Path) -> str:
    """A path in an SQLite URI: only these three characters mean something there."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
