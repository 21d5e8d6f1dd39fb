"""Carrying orders and rollouts out in this process, as `fleetctl run` does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import click

from collectors.errors import ConfigError
from console.visible import visible

if TYPE_CHECKING:
    import sqlite3

    from actions.order_rows import HostRow
    from actions.orders import Placed
    from actions.rollout_talk import Tell
    from collectors.fleet_file import LoadedFleet


def carry_out(loaded: LoadedFleet, conn: sqlite3.Connection, order: Placed, *, dispatches: bool) -> None:
    """To the order's end. Where its payload is gone, only what was sent is looked at.

    Raises leases.Busy and tables.LeaseLost.
    """
    from actions.orderbook import Book
    from actions.runner import Runner, Tools
    from actions.uploading import read_payload
    from actions.wall_clock import WallClock
    from collectors.ssh import SshTransport
    from console.cli.ordering import basis_of
    from console.cli.telling import telling
    from console.event_document import host_event, order_event

    try:
        payload = read_payload(order.asked)
    except ConfigError as error:
        click.echo(f"fleetctl: {visible(str(error))}; only what was sent is looked at", err=True)
        payload, dispatches = None, False
    basis = basis_of(loaded, payload)

    async def run() -> None:
        clock, fleet = WallClock(), loaded.fleet.name
        async with (
            SshTransport(keep=True, connections=loaded.fleet.connections) as transport,
            telling(loaded) as send,
        ):

            def told(row: HostRow) -> None:
                send(host_event(fleet, order, row, clock.now()))

            send(order_event(fleet, order, "begun", clock.now()))
            tools = Tools(transport, basis, clock, payload, told)
            await Runner(Book(conn), order, tools).run(dispatches=dispatches)
            send(order_event(fleet, order, "ended", clock.now()))

    _until_told(run())


def carry_rollout(
    loaded: LoadedFleet, conn: sqlite3.Connection, rollout_id: str, *, dispatches: bool
) -> None:
    """Until the rollout is over; while it waits for a person it waits with it.

    Raises leases.Busy and tables.LeaseLost.
    """
    from actions.rollout_engine import Engine
    from actions.runner import Tools
    from actions.wall_clock import WallClock
    from collectors.ssh import SshTransport
    from console.cli.ordering import basis_of
    from console.cli.telling import telling
    from console.event_document import rollout_event

    basis = basis_of(loaded, None)

    async def run() -> None:
        clock, fleet = WallClock(), loaded.fleet.name
        async with (
            SshTransport(keep=True, connections=loaded.fleet.connections) as transport,
            telling(loaded) as send,
        ):

            def told(tell: Tell) -> None:
                send(rollout_event(fleet, rollout_id, tell, clock.now()))
                about = f"{tell.about}: " if tell.about else ""
                click.echo(f"fleetctl: {rollout_id}: {visible(about + tell.text)}", err=True)

            tools = Tools(transport, basis, clock)
            await Engine(conn, rollout_id, tools, told).run(dispatches=dispatches)

    _until_told(run())


def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """To its end, or until SIGTERM or SIGINT: what is to be given back is given back first.

    Raises KeyboardInterrupt then. A handler that raised by itself could do so in the middle of anything.
    """

    async def run() -> None:
        task = asyncio.current_task()
        assert task is not None, "a coroutine that runs has its task"
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await work

    try:
        asyncio.run(run())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
