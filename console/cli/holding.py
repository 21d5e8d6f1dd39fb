"""What `hold`, `unhold` and `acknowledge` share: which hosts, and the store opened to write a little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from actions import ledger
from actions.actor import current_actor
from actions.collect import stored_wishes
from actions.engine import rejudge
from actions.record import Entry, Event
from collectors import store
from collectors.errors import ConfigError
from collectors.feed_file import load_feed
from console.cli.context import Console, now
from console.cli.picking import exactly
from console.cli.reading import feed_path, read_whole
from console.visible import visible

if TYPE_CHECKING:
    import sqlite3

    from collectors.fleet_file import LoadedFleet

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one host's part."""

    says: str
    event: Event
    text: str | None = None
    """For the record: the reason, or what it was about."""


Change = Callable[["sqlite3.Connection", str], Done]
"""Does one host's part inside the transaction."""


def actor_option(function: F) -> F:
    """--actor, as the parameter `said`."""
    help_text = "Who you are, where an account is shared; for the record."
    return click.option("--actor", "said", metavar="TEXT", help=help_text)(function)


def on_hosts(
    console: Console, selection: tuple[str, ...], verb: str, said: str | None, change: Change
) -> None:
    """Do `change` on every host meant, all or none, record it, and judge those hosts anew.

    Raises ConfigError where the selection names none, or something else than hosts.
    """
    loaded: LoadedFleet = console.load()
    hosts = exactly(read_whole(loaded, now()).view, selection)
    if not hosts:
        raise ConfigError(loaded.path.name, " ".join(selection), "means no host of the fleet")
    feed, actor, at = load_feed(feed_path(loaded)), current_actor(said=said), now()
    conn = store.open_writer(loaded.database_path, durable=True)
    try:
        with store.transaction(conn):
            done = {host: change(conn, host) for host in hosts}
            entries = [
                Entry(at, actor, verb, one.event, host=host, text=one.text) for host, one in done.items()
            ]
            head = ledger.append(conn, entries)
            rejudge(conn, hosts, stored_wishes(conn, loaded.fleet), feed)
    finally:
        conn.close()
    for host, one in done.items():
        click.echo(visible(f"{host}: {one.says}"))
    click.echo(f"record {head}", err=True)
