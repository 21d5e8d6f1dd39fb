"""`fleetctl run`: the only process that carries orders out."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import click

from collectors.errors import ConfigError
from console.cli.context import Console
from console.exit_codes import ExitCode
from console.visible import visible

if TYPE_CHECKING:
    import sqlite3

    from actions.orders import Placed
    from collectors.fleet_file import LoadedFleet

LISTED = 20


@click.command("run", help="Carry an order out, or follow it where that is done already. Alone: list orders.")
@click.argument("order_id", required=False, metavar="ID")
@click.option("--settle", is_flag=True, help="Only look at what was sent; what was not is left out.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.order/1.")
@click.pass_obj
def command(console: Console, order_id: str | None, settle: bool, as_json: bool) -> int:
    from actions.leases import Busy
    from actions.order_tables import one_order
    from actions.orderbook import placed
    from collectors import store
    from collectors.tables import LeaseLost
    from console.cli.following import follow, show_order

    loaded = console.load()
    if order_id is None:
        return _list(loaded)
    with closing(store.open_writer(loaded.database_path, durable=True)) as conn:
        row = one_order(conn, order_id)
        if row is None:
            text = "is no order of this fleet; `fleetctl run` lists them"
            raise ConfigError(loaded.path.name, order_id, text)
        if row.ended_at is None or settle:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                _carry_out(loaded, conn, placed(row), dispatches=not settle)
            except Busy as error:
                click.echo(f"fleetctl: {error.owner} carries it out", err=True)
                follow(console, loaded, order_id, None)
            except LeaseLost as error:
                click.echo(f"fleetctl: {error}", err=True)
                return ExitCode.UNKNOWN
    return show_order(console, loaded, order_id, as_json=as_json)


def _carry_out(loaded: LoadedFleet, conn: sqlite3.Connection, order: Placed, *, dispatches: bool) -> None:
    """To the order's end. Where its payload is gone, only what was sent is looked at."""
    from actions.orderbook import Book
    from actions.runner import Runner, Tools, WallClock
    from actions.uploading import read_payload
    from collectors.ssh import SshTransport
    from console.cli.ordering import basis_of

    try:
        payload = read_payload(order.asked)
    except ConfigError as error:
        click.echo(f"fleetctl: {visible(str(error))}; only what was sent is looked at", err=True)
        payload, dispatches = None, False
    basis = basis_of(loaded, payload)

    async def run() -> None:
        async with SshTransport(keep=True, connections=loaded.fleet.connections) as transport:
            tools = Tools(transport, basis, WallClock(), payload)
            await Runner(Book(conn), order, tools).run(dispatches=dispatches)

    asyncio.run(run())


def _list(loaded: LoadedFleet) -> ExitCode:
    """The newest orders, newest first."""
    from actions import order_tables
    from actions.orderbook import placed
    from actions.orders import asked_words
    from collectors import store

    try:
        conn = store.open_reader(loaded.database_path)
    except store.NoDatabase:
        return ExitCode.OK
    with closing(conn):
        for row in order_tables.newest_orders(conn, LISTED):
            order = placed(row)
            counts = Counter(item.phase for item in order_tables.order_hosts(conn, row.id))
            told = ", ".join(f"{count} {phase}" for phase, count in counts.items())
            state = "ended" if order.ended_at else "open"
            what = f"{asked_words(order.asked)}: {told}"
            click.echo(visible(f"{order.at:%Y-%m-%d %H:%M}Z  {order.id}  {state:5}  {what}"))
    return ExitCode.OK
