"""`fleetctl unhold`."""

from __future__ import annotations

import sqlite3

import click

from actions.record import Event
from collectors import tables
from console.cli.context import Console
from console.cli.holding import Done, actor_option, on_hosts


@click.command("unhold", help="Take a hold back. One in the fleet file stays until it is taken out there.")
@click.argument("selection", nargs=-1, required=True)
@actor_option
@click.pass_obj
def command(console: Console, selection: tuple[str, ...], said: str | None) -> None:
    by_file = {host.name: host.hold for host in console.load().fleet.hosts}

    def unhold(conn: sqlite3.Connection, host: str) -> Done:
        reason = tables.holds(conn).get(host)
        event = Event.UNHELD if tables.drop_hold(conn, host) else Event.ALREADY
        if by_file.get(host):
            return Done(f"still held by the fleet file, {by_file[host]}", event, reason)
        return Done("no longer held" if event is Event.UNHELD else "was not held", event, reason)

    on_hosts(console, selection, "unhold", said, unhold)
