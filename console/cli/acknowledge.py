"""`fleetctl acknowledge`."""

from __future__ import annotations

import sqlite3

import click

from actions.engine import acknowledge
from console.cli.context import Console
from console.cli.holding import on_hosts


@click.command("acknowledge", help="Take note of a reversion or a failure: it stays a reason.")
@click.argument("selection", nargs=-1, required=True)
@click.pass_obj
def command(console: Console, selection: tuple[str, ...]) -> None:
    def note(conn: sqlite3.Connection, host: str) -> str:
        what = acknowledge(conn, host)
        return f"{host}: {', '.join(what)} acknowledged" if what else f"{host}: nothing to acknowledge"

    on_hosts(console, selection, note)
