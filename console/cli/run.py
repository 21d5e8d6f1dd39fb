"""`fleetctl run`: the only process that carries orders and rollouts out."""

from __future__ import annotations

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
    from collectors.fleet_file import LoadedFleet

LISTED = 20


@click.command("run", help="Carry an order or a rollout out, or follow it. Alone: list orders.")
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
    from console.cli.carrying import carry_out
    from console.cli.following import follow, show_order

    loaded = console.load()
    if order_id is None:
        return _list(loaded)
    if order_id.startswith("r-"):
        return _rollout(console, loaded, order_id, settle=settle)
    with closing(store.open_writer(loaded.database_path, durable=True)) as conn:
        row = one_order(conn, order_id)
        if row is None:
            text = "is no order of this fleet; `fleetctl run` lists them"
            raise ConfigError(loaded.path.name, order_id, text)
        if row.ended_at is None or settle:
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                carry_out(loaded, conn, placed(row), dispatches=not settle)
            except Busy as error:
                click.echo(f"fleetctl: {error.owner} carries it out", err=True)
                follow(console, loaded, order_id, None)
            except LeaseLost as error:
                click.echo(f"fleetctl: {error}", err=True)
                return ExitCode.UNKNOWN
    return show_order(console, loaded, order_id, as_json=as_json)


def _rollout(console: Console, loaded: LoadedFleet, rollout_id: str, *, settle: bool) -> int:
    """Carry a rollout out, or say who does; its exit code."""
    from actions.leases import Busy
    from actions.rollout_tables import one_rollout, unfinished_rollouts
    from collectors import store
    from collectors.tables import LeaseLost
    from console.cli.carrying import carry_rollout
    from console.cli.rollout_shared import show_rollout

    with closing(store.open_writer(loaded.database_path, durable=True)) as conn:
        row = one_rollout(conn, rollout_id)
        if row is None:
            text = "is no rollout of this fleet; `fleetctl rollout list` lists them"
            raise ConfigError(loaded.path.name, rollout_id, text)
        if row.status == "draft":
            click.echo(
                f"fleetctl: {rollout_id} is not approved: fleetctl rollout start {rollout_id}", err=True
            )
            return ExitCode.REFUSED
        if row.is_open or row in unfinished_rollouts(conn):
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                carry_rollout(loaded, conn, rollout_id, dispatches=not settle)
            except Busy as error:
                click.echo(f"fleetctl: {error.owner} carries it out", err=True)
            except LeaseLost as error:
                click.echo(f"fleetctl: {error}", err=True)
                return ExitCode.UNKNOWN
    return show_rollout(console, loaded, rollout_id)


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
