"""The store's rows, read again and again: what has not changed stays the same object, so that it need not be
drawn again. Used by one thread at a time."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from actions import order_tables
from actions.order_tables import CurrentOrder
from collectors import store, tables
from collectors.errors import ConfigError
from console.fleet_view import Extract, host_row, is_feed_old, uncertain, view_of, with_order
from console.rows import FleetView, HostRow

AGES_EVERY = timedelta(seconds=5)
"""How late a row that grew old is told, where nothing else changed."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """A row, and all that it was made from."""

    look: tuple[str | None, str | None, str, str | None, CurrentOrder | None]
    """taken_at, reach, brief, hold, order."""
    row: HostRow


class LiveRows:
    """One database, read as it grows."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self._conn: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._kept: dict[str, _Kept] = {}
        self._extract: Extract | None = None
        self._was_old = False
        self._was_there = False
        self._last: tuple[int, datetime, FleetView] | None = None

    def close(self) -> None:
        if self._conn is not None:
            self._conn.close()
        self._conn = self._file = self._last = None

    def connection(self) -> sqlite3.Connection:
        """The database that is there now: a file that was put in the place of another is opened anew.

        Raises NoDatabase before there is one, ConfigError where it is gone or cannot be read.
        """
        try:
            stat = self.database.stat()
        except OSError as error:
            self.close()
            if not isinstance(error, FileNotFoundError):
                raise ConfigError(self.database.name, "", f"cannot be read: {error.strerror}") from error
            if not self._was_there:
                raise store.NoDatabase(self.database) from error
            words = "is gone; put it back: until then nothing is stored"
            raise ConfigError(self.database.name, "", words) from error
        if self._conn is None or self._file != (stat.st_dev, stat.st_ino):
            self.close()
            self._conn = store.open_reader(self.database)
            self._file, self._was_there = (stat.st_dev, stat.st_ino), True
        return self._conn

    def read(self, extract: Extract, now: datetime) -> FleetView:
        """The fleet as stored. Raises ConfigError and sqlite3.Error."""
        conn = self.connection()
        is_old = is_feed_old(extract, now)
        if extract != self._extract or is_old != self._was_old:
            self._last = None
            self._kept.clear()  # another fleet file, another feed: every row may mean something else
            self._extract, self._was_old = extract, is_old
        version = store.data_version(conn)
        if self._last is not None:
            before, at, view = self._last
            if version == before and at <= now < at + AGES_EVERY:
                return replace(view, now=now)
        found = {
            name: (asked, taken, reach, brief) for name, asked, taken, reach, brief in tables.briefs(conn)
        }
        holds, orders = tables.holds(conn), order_tables.current_orders(conn)
        rows = []
        for host in extract.hosts:
            name = host[0]
            _, taken, reach, brief = found.get(name, ("", None, None, ""))
            look = (taken, reach, brief, host[5] or holds.get(name), orders.get(name))
            kept = self._kept.get(name)
            if kept is None or kept.look != look:
                kept = self._kept[name] = _Kept(look, _made(host, look, extract, now, is_old))
            elif kept.row.stale != _is_stale(kept.row, extract, now):
                kept = self._kept[name] = _Kept(look, replace(kept.row, stale=not kept.row.stale))
            rows.append(kept.row)
        newest = max((asked for asked, *_ in found.values()), default=None)
        view = view_of(extract, rows, newest, now)
        self._last = version, now, view
        return view


def never_asked(extract: Extract, now: datetime) -> FleetView:
    """The fleet of which nothing is stored."""
    rows = [host_row(host, None, (None, None), extract, now) for host in extract.hosts]
    return view_of(extract, rows, None, now)


def _is_stale(row: HostRow, extract: Extract, now: datetime) -> bool:
    if row.taken_at is None:
        return row.stale
    return (now - row.taken_at).total_seconds() > extract.stale_after_s


def _made(
    host: list[Any],
    look: tuple[str | None, str | None, str, str | None, CurrentOrder | None],
    extract: Extract,
    now: datetime,
    is_old: bool,
) -> HostRow:
    taken, reach, brief, hold, order = look
    held = [*host[:5], hold]
    row = host_row(held, json.loads(brief) if brief else None, (taken, reach), extract, now)
    row = with_order(row, order)
    return uncertain(row) if is_old else row
