"""`fleetctl unhold`."""

from __future__ import annotations

import sqlite3

import click

from collectors import tables
from console.cli.context import Console
from console.cli.holding import on_hosts


@click.command("unhold", help="Take a hold back. One in the fleet file stays until it is taken out there.")
@click.argument("selection", nargs=-1, required=True)
@click.pass_obj
def command(console: Console, selection: tuple[str, ...]) -> None:
    by_file = {host.name: host.hold for host in console.load().fleet.hosts}

    def unhold(conn: sqlite3.Connection, host: str) -> str:
        was_held = tables.drop_hold(conn, host)
        if by_file.get(host):
            return f"{host}: still held by the fleet file, {by_file[host]}"
        return f"{host}: no longer held" if was_held else f"{host}: was not held"

    on_hosts(console, selection, unhold)
