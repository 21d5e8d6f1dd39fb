"""How reading commands get at the store: the quick way, and the whole way with everything judged anew."""

from __future__ import annotations

import gc
import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from actions import order_tables
from actions.taking_tables import kept_words
from collectors import store, tables
from collectors.errors import ConfigError
from collectors.feed_file import feed_digest, file_stamp, load_feed
from console.cli.context import Console
from console.fleet_view import quick_view, read_extract
from console.rows import FleetView

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet
    from collectors.releases import Feed
    from console.judge import Basis, Judged


@dataclass(frozen=True, slots=True)
class Whole:
    """A fleet read to the ground: every host's facts, judged with today's fleet file and feed."""

    loaded: LoadedFleet
    feed: Feed
    hosts: list[Judged]
    view: FleetView


def read_view(console: Console, now: datetime) -> FleetView:
    """The fleet as stored, the quick way where it holds.

    Raises ConfigError where fleet file, feed or database cannot be read.
    """
    return _quick(console, now) or read_whole(console.load(), now).view


def _quick(console: Console, now: datetime) -> FleetView | None:
    """None where the fleet file, the feed or the database's schema asks for the whole way."""
    from collectors.fleet_file import database_in

    path = console.fleet_path()
    stamp = file_stamp(path)
    database = database_in(path, path.read_bytes())
    if database is None:
        return None
    try:
        conn = store.open_reader(database)
    except ConfigError:
        return None  # the whole way says what is wrong, after the fleet file's own mistakes
    try:
        extract = read_extract(conn)
        if extract is None or extract.stamp != stamp:
            return None
        file = Path(extract.feed_file) if extract.feed_file else None
        gc.disable()  # thousands of new rows and no garbage: looking for some takes a tenth of the time
        return quick_view(conn, extract, now) if feed_digest(file) == extract.feed_digest else None
    finally:
        gc.enable()
        conn.close()


def read_one(loaded: LoadedFleet, now: datetime, host: str, feed: Feed | None = None) -> Whole:
    """As `read_whole`, of one host of the fleet; the others are not in it. `feed`: one that is loaded."""
    from console.judge import Basis, extract_of, judge, judged_view, lock_holders

    file = feed_path(loaded)
    feed = feed or load_feed(file)
    only = replace(loaded.fleet, hosts=tuple(item for item in loaded.fleet.hosts if item.name == host))
    extract, basis = extract_of(only, file_stamp(loaded.path), feed, file), Basis({}, {})
    conn = _reader(loaded)
    if conn is not None:
        try:
            row = tables.one_host(conn, host)
            known = {item.name for item in loaded.fleet.hosts}
            twins = tables.twins(conn, host, row.machine_id) if row else ()
            same = tables.same_machine(conn, lock_holders(row))
            holders = [name for names in same.values() for name in names]
            basis = Basis(
                {host: row} if row else {},
                tables.holds(conn),
                order_tables.current_orders(conn),
                order_tables.newest_ids(conn),
                tuple(name for name in twins if name in known),
                tables.last_looks(conn, [name for name in holders if name in known]),
                kept_words(conn),
            )
        finally:
            conn.close()
    hosts = judge(basis, only, extract, feed, now)
    return Whole(loaded, feed, hosts, judged_view(hosts, extract, now))


def read_whole(loaded: LoadedFleet, now: datetime, *, at: datetime | None = None) -> Whole:
    """Everything, judged anew. Before the first sweep every host is `never asked`.

    With `at`: as it was then, with the releases that there were, and today's fleet file.
    """
    from actions.history import fleet_at
    from collectors.releases import feed_as_of
    from console.judge import Basis, extract_of, judge, judged_view

    file = feed_path(loaded)
    feed = load_feed(file) if at is None else feed_as_of(load_feed(file), at)
    extract, when = extract_of(loaded.fleet, file_stamp(loaded.path), feed, file), at or now
    conn = _reader(loaded)
    if conn is None:
        basis = Basis({}, {})
    else:
        try:
            basis = _basis(conn) if at is None else Basis(fleet_at(conn, at), {})
        finally:
            conn.close()
    hosts = judge(basis, loaded.fleet, extract, feed, when)
    return Whole(loaded, feed, hosts, judged_view(hosts, extract, when))


def _basis(conn: sqlite3.Connection) -> Basis:
    from console.judge import Basis

    orders, own = order_tables.current_orders(conn), order_tables.newest_ids(conn)
    return Basis(tables.all_hosts(conn), tables.holds(conn), orders, own, kept=kept_words(conn))


def _reader(loaded: LoadedFleet) -> sqlite3.Connection | None:
    """None before anything was stored. Raises ConfigError where it cannot be read."""
    try:
        return store.open_reader(loaded.database_path)
    except store.NoDatabase:
        return None


def feed_path(loaded: LoadedFleet) -> Path | None:
    """The feed that the fleet file names, relative to it; None for the packed one."""
    file = loaded.fleet.feeds.file
    return loaded.beside(file) if file else None
