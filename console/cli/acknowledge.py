"""`fleetctl acknowledge`."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import click

from actions.engine import acknowledge
from actions.orderbook import give_up
from actions.record import Event
from actions.taking_tables import free_takings
from collectors import store
from console.cli.context import Console, now
from console.cli.following import take_up
from console.cli.holding import Done, actor_option, on_hosts


@click.command("acknowledge", help="Take note of a reversion, a failure or an unknown outcome.")
@click.argument("selection", nargs=-1, required=True)
@actor_option
@click.pass_obj
def command(console: Console, selection: tuple[str, ...], said: str | None) -> None:
    free: list[str] = []

    def note(conn: sqlite3.Connection, host: str) -> Done:
        freed = [f"the {what} kept for it" for what in free_takings(conn, host)]
        free.extend(freed)
        what = ", ".join([*acknowledge(conn, host), *give_up(conn, host, now()), *freed])
        if not what:
            return Done("nothing to acknowledge", Event.ALREADY)
        return Done(f"{what} acknowledged", Event.ACKNOWLEDGED, what)

    on_hosts(console, selection, "acknowledge", said, note)
    if not free:
        return
    loaded = console.load()
    with closing(store.open_writer(loaded.database_path)) as conn:
        for name in take_up(loaded, conn):
            click.echo(f"fleetctl: what {name} still has is given back", err=True)
