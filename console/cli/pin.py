"""`fleetctl pin`."""

from __future__ import annotations

import sqlite3

import click

from actions import order_tables
from actions.actor import current_actor
from actions.engine import instant
from actions.order_rows import Pin
from actions.record import Event
from console.cli.context import Console, now
from console.cli.hold import LONGEST_REASON
from console.cli.holding import Done, actor_option, on_hosts
from console.cli.stage import is_version_word


@click.command("pin", help="Want this VERSION of hosts: no order stages another past it. Sends nothing.")
@click.argument("version")
@click.argument("selection", nargs=-1, required=True)
@click.option("--reason", help="Why; shown wherever an order is refused for it.")
@actor_option
@click.pass_obj
def command(
    console: Console, version: str, selection: tuple[str, ...], reason: str | None, said: str | None
) -> None:
    """VERSION `none` takes the pin away."""
    if version != "none" and not is_version_word(version):
        raise click.UsageError(f"{version!r} is no version: write MAJOR.MINOR.PATCH, or none to unpin")
    text = " ".join((reason or "").split())[:LONGEST_REASON]
    if version != "none" and not text:
        raise click.UsageError("--reason is missing: say why")
    who, at = current_actor(said=said).words, instant(now())

    def pin(conn: sqlite3.Connection, host: str) -> Done:
        before = order_tables.pins(conn).get(host)
        if version == "none":
            was_there = order_tables.drop_pin(conn, host)
            event = Event.UNPINNED if was_there else Event.ALREADY
            return Done("no longer pinned" if was_there else "was not pinned", event)
        if before is not None and (before.version, before.reason) == (version, text):
            return Done(f"already pinned to {version}, {text}", Event.ALREADY, text)
        order_tables.put_pin(conn, Pin(host, version, text, who, at))
        return Done(f"pinned to {version}, {text}", Event.PINNED, f"{version}: {text}")

    on_hosts(console, selection, "pin", said, pin)
