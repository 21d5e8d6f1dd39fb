"""What `hold`, `unhold` and `acknowledge` share: which hosts, and the store opened to write a little."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from actions.collect import wishes
from actions.engine import rejudge
from collectors import store, tables
from collectors.errors import ConfigError
from collectors.feed_file import load_feed
from console.cli.context import Console, now
from console.cli.picking import exactly
from console.cli.reading import feed_path, read_whole
from console.visible import visible

if TYPE_CHECKING:
    import sqlite3

    from collectors.fleet_file import LoadedFleet

Change = Callable[["sqlite3.Connection", str], str]
"""Does one host's part inside the transaction, and says what it did."""


def actor() -> str:
    """Who acts: login, and where the login came from."""
    source = (os.environ.get("SSH_CONNECTION") or "").partition(" ")[0]
    return getpass.getuser() + (f" from {source}" if source else "")


def on_hosts(console: Console, selection: tuple[str, ...], change: Change) -> None:
    """Do `change` on every host meant, all or none, and judge those hosts anew.

    Raises ConfigError where the selection names none, or something else than hosts.
    """
    loaded: LoadedFleet = console.load()
    hosts = exactly(read_whole(loaded, now()).view, selection)
    if not hosts:
        raise ConfigError(loaded.path.name, " ".join(selection), "means no host of the fleet")
    feed = load_feed(feed_path(loaded))
    conn = store.open_writer(loaded.database_path)
    try:
        with store.transaction(conn):
            said = [change(conn, host) for host in hosts]
            rejudge(conn, hosts, wishes(loaded.fleet, tables.holds(conn)), feed)
    finally:
        conn.close()
    for line in said:
        click.echo(visible(line))
