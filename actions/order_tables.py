"""SQL of orders, their hosts, pins and quarantine. Every function takes a connection.

Values are JSON text, times ISO-8601 UTC. Changes are made inside the caller's transaction, together with
their rows of the record. What `status` has no need of is imported where it is used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from json import dumps
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from actions.order_rows import HostRow, OrderRow, Pin, Quarantined
    from actions.orders import Phase


OPEN = ("intent", "sent")
REBOOTS = ("activate", "reboot", "roll-back")
_LISTED = "(SELECT value FROM json_each(?))"


class CurrentOrder(NamedTuple):
    """What an order that has not ended is about to do, or does, on a host."""

    id: str
    verb: str
    phase: str
    since: str

    @property
    def words(self) -> str:
        return f"{self.verb} {self.phase}"

    @property
    def reboots(self) -> bool:
        """It reboots the host now."""
        return self.verb in REBOOTS and self.phase in OPEN


class Moved(Exception):
    """Somebody else has taken this host of the order further, or has the host in another order."""


_ORDER = "id, at, verb, asked, actor, at_once, stops, after, ended_at"
_HOST = "order_id, host, place, phase, since, step, sent_at, code, text, evidence"

# -- orders -----------------------------------------------------------------------------------


def put_order(conn: sqlite3.Connection, order: OrderRow, hosts: Iterable[HostRow]) -> None:
    """A new order with all its hosts."""
    values = (order.id, order.at, order.verb, order.asked, order.actor)
    conn.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, order.at_once, order.stops, order.after, order.ended_at),
    )
    conn.executemany(
        "INSERT INTO order_hosts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(*_key(row), row.place, row.phase, row.since, row.step, row.sent_at, *_end(row)) for row in hosts],
    )


def _key(row: HostRow) -> tuple[str, str]:
    return row.order_id, row.host


def _end(row: HostRow) -> tuple[str | None, str | None, str | None]:
    return row.code, row.text, row.evidence


def _order_row(values: Sequence[object]) -> OrderRow:
    from actions.order_rows import OrderRow

    return OrderRow(*values)  # type: ignore[arg-type]


def one_order(conn: sqlite3.Connection, order_id: str) -> OrderRow | None:
    row = conn.execute(f"SELECT {_ORDER} FROM orders WHERE id = ?", (order_id,)).fetchone()
    return _order_row(row) if row else None


def open_orders(conn: sqlite3.Connection) -> list[OrderRow]:
    """Orders that have not ended, oldest first."""
    rows = conn.execute(f"SELECT {_ORDER} FROM orders WHERE ended_at IS NULL ORDER BY at, id")
    return [_order_row(row) for row in rows]


def newest_orders(conn: sqlite3.Connection, limit: int) -> list[OrderRow]:
    """The last orders, newest first."""
    rows = conn.execute(f"SELECT {_ORDER} FROM orders ORDER BY at DESC, id DESC LIMIT ?", (limit,))
    return [_order_row(row) for row in rows]


def newest_ids(conn: sqlite3.Connection, limit: int = 1000) -> frozenset[str]:
    """Names of the last orders, far more than can still stand in a host's /run."""
    rows = conn.execute("SELECT id FROM orders ORDER BY at DESC LIMIT ?", (limit,))
    return frozenset(row[0] for row in rows)


def consequences(conn: sqlite3.Connection, order_id: str) -> list[OrderRow]:
    """Orders that followed from this one."""
    rows = conn.execute(f"SELECT {_ORDER} FROM orders WHERE after = ? ORDER BY at, id", (order_id,))
    return [_order_row(row) for row in rows]


def end_order(conn: sqlite3.Connection, order_id: str, at: str) -> None:
    conn.execute("UPDATE orders SET ended_at = ? WHERE id = ? AND ended_at IS NULL", (at, order_id))


# -- their hosts ------------------------------------------------------------------------------


def _host_row(values: Sequence[object]) -> HostRow:
    from actions.order_rows import HostRow
    from actions.orders import Phase

    order_id, host, place, phase, *rest = values
    return HostRow(order_id, host, place, Phase(str(phase)), *rest)  # type: ignore[arg-type]


def order_hosts(conn: sqlite3.Connection, order_id: str) -> list[HostRow]:
    """By turn."""
    rows = conn.execute(f"SELECT {_HOST} FROM order_hosts WHERE order_id = ? ORDER BY place", (order_id,))
    return [_host_row(row) for row in rows]


def one_order_host(conn: sqlite3.Connection, order_id: str, host: str) -> HostRow | None:
    row = conn.execute(
        f"SELECT {_HOST} FROM order_hosts WHERE order_id = ? AND host = ?", (order_id, host)
    ).fetchone()
    return _host_row(row) if row else None


def go_on(conn: sqlite3.Connection, row: HostRow, *, seen: Phase) -> None:
    """Put a host of an order into the phase and with the values of `row`.

    Raises Moved where it is not in phase `seen` any more, or another order is at work on the host.
    """
    try:
        done = conn.execute(
            "UPDATE order_hosts SET phase = ?, since = ?, step = ?, sent_at = ?, code = ?, text = ?,"
            " evidence = ? WHERE order_id = ? AND host = ? AND phase = ?",
            (row.phase, row.since, row.step, row.sent_at, *_end(row), *_key(row), seen),
        )
    except sqlite3.IntegrityError as error:
        raise Moved(f"another order is at work on {row.host}") from error
    if done.rowcount != 1:
        raise Moved(f"{row.host} of {row.order_id} is not {seen} any more")


def at_work(conn: sqlite3.Connection) -> list[HostRow]:
    """Hosts to which something was sent, or is about to be, and of which the end is not seen."""
    rows = conn.execute(f"SELECT {_HOST} FROM order_hosts WHERE phase IN ('intent', 'sent') ORDER BY since")
    return [_host_row(row) for row in rows]


def with_unknown_end(conn: sqlite3.Connection, hosts: Iterable[str]) -> list[HostRow]:
    """Of these hosts what was sent to them and whose outcome is not known."""
    rows = conn.execute(
        f"SELECT {_HOST} FROM order_hosts WHERE phase = 'unknown' AND host IN {_LISTED}",
        (dumps(list(hosts)),),
    )
    return [_host_row(row) for row in rows]


def orders_of(conn: sqlite3.Connection, host: str, limit: int) -> list[tuple[OrderRow, HostRow]]:
    """A host's orders, newest first."""
    rows = conn.execute(
        f"SELECT {', '.join(f'orders.{name}' for name in _ORDER.split(', '))},"
        f" {', '.join(f'order_hosts.{name}' for name in _HOST.split(', '))}"
        " FROM order_hosts JOIN orders ON orders.id = order_hosts.order_id"
        " WHERE host = ? ORDER BY orders.at DESC, orders.id DESC LIMIT ?",
        (host, limit),
    )
    width = len(_ORDER.split(", "))
    return [(_order_row(row[:width]), _host_row(row[width:])) for row in rows]


def current_orders(conn: sqlite3.Connection) -> dict[str, CurrentOrder]:
    """Host -> the order that has not ended and is not done with it."""
    rows = conn.execute(
        "SELECT host, orders.id, verb, phase, since FROM order_hosts JOIN orders ON orders.id = order_id"
        " WHERE ended_at IS NULL AND phase IN ('planned', 'intent', 'sent') ORDER BY phase = 'planned' DESC"
    )
    return {host: CurrentOrder(*order) for host, *order in rows}


def rebooting(conn: sqlite3.Connection) -> dict[str, str]:
    """Host -> the order that reboots it now."""
    return dict(
        conn.execute(
            "SELECT host, order_id FROM order_hosts JOIN orders ON orders.id = order_id"
            " WHERE phase IN ('intent', 'sent') AND verb IN ('activate', 'reboot', 'roll-back')"
        ).fetchall()
    )


# -- pins and quarantine ----------------------------------------------------------------------


def pins(conn: sqlite3.Connection) -> dict[str, Pin]:
    """By host."""
    from actions.order_rows import Pin

    rows = conn.execute("SELECT host, version, reason, actor, at FROM pins")
    return {row[0]: Pin(*row) for row in rows}


def put_pin(conn: sqlite3.Connection, pin: Pin) -> None:
    conn.execute(
        "INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?, ?)",
        (pin.host, pin.version, pin.reason, pin.actor, pin.at),
    )


def drop_pin(conn: sqlite3.Connection, host: str) -> bool:
    """Whether there was one."""
    return conn.execute("DELETE FROM pins WHERE host = ?", (host,)).rowcount > 0


def quarantined(conn: sqlite3.Connection, machine_id: str | None = None) -> list[Quarantined]:
    """Everything in quarantine, or one machine's, oldest first."""
    from actions.order_rows import Quarantined

    rows = conn.execute(
        "SELECT machine_id, version, host, reason, order_id, at FROM quarantine"
        " WHERE ?1 IS NULL OR machine_id = ?1 ORDER BY at, host",
        (machine_id,),
    )
    return [Quarantined(*row) for row in rows]


def put_quarantine(conn: sqlite3.Connection, item: Quarantined) -> None:
    """The first reason stays."""
    conn.execute(
        "INSERT OR IGNORE INTO quarantine VALUES (?, ?, ?, ?, ?, ?)",
        (item.machine_id, item.version, item.host, item.reason, item.order_id, item.at),
    )


def drop_quarantine(conn: sqlite3.Connection, machine_id: str, version: str) -> bool:
    """Whether there was one."""
    sql = "DELETE FROM quarantine WHERE machine_id = ? AND version = ?"
    return conn.execute(sql, (machine_id, version)).rowcount > 0
