"""`fleetctl acknowledge`."""

from __future__ import annotations

import sqlite3

import click

from actions.engine import acknowledge
from actions.orderbook import give_up
from actions.record import Event
from console.cli.context import Console, now
from console.cli.holding import Done, actor_option, on_hosts


@click.command("acknowledge", help="Take note of a reversion, a failure or an unknown outcome.")
@click.argument("selection", nargs=-1, required=True)
@actor_option
@click.pass_obj
def command(console: Console, selection: tuple[str, ...], said: str | None) -> None:
    def note(conn: sqlite3.Connection, host: str) -> Done:
        what = ", ".join([*acknowledge(conn, host), *give_up(conn, host, now())])
        if not what:
            return Done("nothing to acknowledge", Event.ALREADY)
        return Done(f"{what} acknowledged", Event.ACKNOWLEDGED, what)

    on_hosts(console, selection, "acknowledge", said, note)
