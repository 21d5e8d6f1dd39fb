"""`fleetctl quarantine`: versions that machines are not to get again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import click

from actions import order_tables
from actions.record import Event
from collectors import store, tables
from console.cli.context import Console
from console.cli.holding import Done, actor_option, on_hosts
from console.visible import visible


@click.group("quarantine", help="Versions that a machine is not to get again: it went back from them.")
def command() -> None:
    """Verbs refuse to stage or activate them there until they are released."""


@command.command("list", help="What is in quarantine, where and why.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.quarantine/1.")
@click.pass_obj
def list_(console: Console, as_json: bool) -> None:
    loaded = console.load()
    try:
        conn = store.open_reader(loaded.database_path)
    except store.NoDatabase:
        found = []
    else:
        with closing(conn):
            found = order_tables.quarantined(conn)
    if as_json:
        rows = [
            {
                "host": item.host,
                "machine_id": item.machine_id,
                "version": item.version,
                "reason": item.reason,
                "order": item.order_id,
                "at": item.at,
            }
            for item in found
        ]
        document = {"schema": "fleetctl.quarantine/1", "quarantined": rows}
        click.echo(json.dumps(document, ensure_ascii=console.is_plain, separators=(",", ":")))
        return
    for item in found:
        order = f", {item.order_id}" if item.order_id else ""
        click.echo(
            visible(f"{item.host}  {item.version}  {item.at[:16].replace('T', ' ')}Z  {item.reason}{order}")
        )
    if not found:
        click.echo("nothing is in quarantine")


@command.command("release", help="Let hosts have a VERSION again. Sends nothing.")
@click.argument("version")
@click.argument("selection", nargs=-1, required=True)
@actor_option
@click.pass_obj
def release(console: Console, version: str, selection: tuple[str, ...], said: str | None) -> None:
    def let_go(conn: sqlite3.Connection, host: str) -> Done:
        row = tables.one_host(conn, host)
        machine_id = row.machine_id if row else None
        if machine_id is not None and order_tables.drop_quarantine(conn, machine_id, version):
            return Done(f"{version} is released", Event.RELEASED, version)
        return Done(f"{version} was not in quarantine", Event.ALREADY, version)

    on_hosts(console, selection, "quarantine release", said, let_go)
