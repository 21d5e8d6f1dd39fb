"""An order on its way: the process that carries it out, and whoever waits for its end."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actions import ledger, order_tables, rollout_tables, taking_tables
from actions.engine import instant
from actions.leases import living_owner
from actions.orderbook import placed, step_of
from actions.taking import Hold
from collectors import store
from collectors.errors import ConfigError
from collectors.sweep import utc_now
from console.cli.context import Console
from console.exit_codes import ExitCode
from console.order_document import exit_code, host_document, order_document
from console.order_text import HostLine, host_line, result_text
from console.sweeper import own_argv
from console.tone import Pen
from console.visible import visible

if TYPE_CHECKING:
    import sqlite3

    from actions.order_rows import HostRow
    from collectors.fleet_file import LoadedFleet

LOOK_EVERY_S = 0.3
TAKEN_UP_S = 20.0
"""A process that was started has the order by then."""
AGAIN_S = 3600.0
"""After so long it is tried anew to give back a lock or a drain of a host of which nothing is new."""


def take_up(loaded: LoadedFleet, conn: sqlite3.Connection, changed: Iterable[str] = ()) -> list[str]:
    """Have orders looked at whose process is gone, or whose outcome is unknown on a host of `changed`, or
    that still have a lock or a drain on one of those.

    Nothing is sent for them again, but for what must follow from an outcome. Their names are the answer.
    """
    now = utc_now()
    young, long_ago = (instant(now - timedelta(seconds=span)) for span in (TAKEN_UP_S, AGAIN_S))
    left = [
        row.id
        for row in order_tables.open_orders(conn)
        if row.after is None and row.at < young and living_owner(conn, placed(row).lease_name) is None
    ]
    names = list(changed)
    unknown = (row.order_id for row in order_tables.with_unknown_end(conn, names))
    still_taken = (
        taken.order_id
        for taken in taking_tables.takings(conn)
        if taken.state is Hold.FREE
        or (taken.state is Hold.KEPT and (taken.host in names or taken.since < long_ago))
    )
    rollouts = (
        row.id
        for row in rollout_tables.unfinished_rollouts(conn)
        if living_owner(conn, f"rollout {row.id}") is None
    )
    found = list(dict.fromkeys((*left, *unknown, *still_taken, *rollouts)))
    for order_id in found:
        start_runner(loaded.path, loaded.database_path, order_id, "--settle")
    return found


def start_runner(fleet_file: Path, database: Path, order_id: str, *options: str) -> subprocess.Popen[bytes]:
    """`fleetctl run ID`, in a session of its own: no terminal's end reaches it.

    What it says goes to a file beside the database.
    """
    log = os.open(f"{database}.run.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            [*own_argv(fleet_file), "run", order_id, *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)


def follow(
    console: Console, loaded: LoadedFleet, order_id: str, runner: subprocess.Popen[bytes] | None
) -> None:
    """Tell on stderr what becomes of each host, until the order has ended or nobody carries it out."""
    pen, told = Pen(False, console.ascii), dict[tuple[str, str], str]()
    with closing(store.open_reader(loaded.database_path)) as conn:
        seen, begun = -1, time.monotonic()
        while True:
            number = store.data_version(conn)
            if number != seen:
                seen = number
                for row in _news(conn, order_id, told):
                    line = HostLine(row.host, row.phase, _says(row))
                    click.echo(host_line(line, pen, console.width, name_width=20), err=True)
            order = order_tables.one_order(conn, order_id)
            if order is None or order.ended_at is not None:
                return
            is_ours = runner is not None and runner.poll() is None
            is_young = runner is None and time.monotonic() - begun < TAKEN_UP_S
            if not is_ours and not is_young and living_owner(conn, placed(order).lease_name) is None:
                text = f"nobody carries {order_id} out any more; `fleetctl run {order_id}` takes it up"
                click.echo(f"fleetctl: {visible(text)}", err=True)
                return
            time.sleep(LOOK_EVERY_S)


def _news(conn: sqlite3.Connection, order_id: str, told: dict[tuple[str, str], str]) -> list[HostRow]:
    """Hosts of the order and of what follows from it that are in another phase than was told."""
    rows = order_tables.order_hosts(conn, order_id)
    for after in order_tables.consequences(conn, order_id):
        rows += order_tables.order_hosts(conn, after.id)
    news = [row for row in rows if told.get((row.order_id, row.host), row.phase) != row.phase]
    told.update({(row.order_id, row.host): row.phase for row in rows})
    return news


def _says(row: HostRow) -> str:
    if row.text is not None:
        return row.text
    return "the command goes out" if row.phase == "intent" else "on its way, the host is looked at"


def show_order(
    console: Console, loaded: LoadedFleet, order_id: str, *, as_json: bool, code: ExitCode | None = None
) -> ExitCode:
    """Print what became of an order, and the record's head; the exit code it comes to.

    Raises ConfigError where there is none of this name.
    """
    with closing(store.open_reader(loaded.database_path)) as conn, ledger.snapshot(conn):
        row = order_tables.one_order(conn, order_id)
        if row is None:
            raise ConfigError(
                loaded.path.name, order_id, "is no order of this fleet; `fleetctl run` lists them"
            )
        order, head = placed(row), ledger.head(conn)
        orders = [order_id, *(after.id for after in order_tables.consequences(conn, order_id))]
        rows = [item for name in orders for item in order_tables.order_hosts(conn, name)]
    own = [item for item in rows if item.order_id == order_id]
    found = exit_code((item.phase, item.code) for item in own) if code is None else code
    if as_json:
        hosts = [_host_json(item) for item in own]
        document = order_document(order, hosts, dry_run=False, head=head.whole, code=found)
        click.echo(json.dumps(document, ensure_ascii=console.is_plain, separators=(",", ":")))
    else:
        lines = [
            HostLine(item.host, item.phase, _ended(item, order_id), item.order_id == order_id)
            for item in rows
        ]
        text = result_text(order, lines, colour=console.colour, ascii=console.ascii, width=console.width)
        click.echo(text, color=True)
    click.echo(f"record {head}", err=True)
    return found


def _ended(row: HostRow, order_id: str) -> str:
    text = row.text or ""
    return text if row.order_id == order_id else f"{row.order_id}: {text}"


def _host_json(row: HostRow) -> dict[str, object]:
    evidence = json.loads(row.evidence) if row.evidence else None
    return host_document(
        step_of(row),
        row.phase,
        code=row.code,
        text=row.text,
        since=row.since,
        sent_at=row.sent_at,
        evidence=evidence,
    )
