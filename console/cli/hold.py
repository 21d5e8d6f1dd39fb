"""`fleetctl hold`."""

from __future__ import annotations

import sqlite3

import click

from actions.actor import current_actor
from actions.engine import instant
from actions.record import Event
from collectors import tables
from collectors.records import Hold
from console.cli.context import Console, now
from console.cli.holding import Done, actor_option, on_hosts

LONGEST_REASON = 200


@click.command("hold", help="Mark hosts that must not be rebooted. Sends nothing.")
@click.argument("selection", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; shown wherever the host is.")
@actor_option
@click.pass_obj
def command(console: Console, selection: tuple[str, ...], reason: str, said: str | None) -> None:
    text = " ".join(reason.split())[:LONGEST_REASON]
    if not text:
        raise click.UsageError("--reason is empty: say why")
    who, at = current_actor(said=said).words, instant(now())

    def hold(conn: sqlite3.Connection, host: str) -> Done:
        if tables.holds(conn).get(host) == text:
            return Done(f"already held, {text}", Event.ALREADY, text)
        tables.put_hold(conn, Hold(host, text, who, at))
        return Done(f"held, {text}", Event.HELD, text)

    on_hosts(console, selection, "hold", said, hold)
