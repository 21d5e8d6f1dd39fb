"""`fleetctl migrate`: only here, and where something is written anyway, is a schema changed."""

from __future__ import annotations

import click

from collectors import store
from collectors.fleet_file import check_database_place
from console.cli.context import Console


@click.command("migrate", help="Bring the database to this version's schema.")
@click.pass_obj
def command(console: Console) -> None:
    path = console.load().database_path
    check_database_place(path)
    is_new = not path.exists()
    conn = store.open_writer(path)
    try:
        found = store.version(conn)
    finally:
        conn.close()
    click.echo(f"{path}: {'made with' if is_new else 'has'} schema {found}")
