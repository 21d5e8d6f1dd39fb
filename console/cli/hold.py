"""`fleetctl hold`."""

from __future__ import annotations

import sqlite3

import click

from actions.engine import instant
from collectors import tables
from collectors.records import Hold
from console.cli.context import Console, now
from console.cli.holding import actor, on_hosts

LONGEST_REASON = 200


@click.command("hold", help="Mark hosts that must not be rebooted. Sends nothing.")
@click.argument("selection", nargs=-1, required=True)
@click.option("--reason", required=True, help="Why; shown wherever the host is.")
@click.pass_obj
def command(console: Console, selection: tuple[str, ...], reason: str) -> None:
    text = " ".join(reason.split())[:LONGEST_REASON]
    if not text:
        raise click.UsageError("--reason is empty: say why")
    who, at = actor(), instant(now())

    def hold(conn: sqlite3.Connection, host: str) -> str:
        before = tables.holds(conn).get(host)
        if before == text:
            return f"{host}: already held, {text}"
        tables.put_hold(conn, Hold(host, text, who, at))
        return f"{host}: held, {text}"

    on_hosts(console, selection, hold)
