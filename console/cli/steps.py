"""Change rows of the store as steps that can be shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

from actions import order_tables
from actions.engine import instant, parsed
from actions.orderbook import placed
from actions.orders import asked_words
from collectors import store, tables
from collectors.records import Change
from console.order_text import HostOrder
from console.render_diff import Step


def steps_since(database: Path, when: datetime, until: datetime) -> Iterator[Step]:
    """Of all hosts, by time. Raises ConfigError where there is no database."""
    conn = store.open_reader(database)
    try:
        yield from map(_step, tables.changes_between(conn, instant(when), instant(until)))
    finally:
        conn.close()


def newest_steps(database: Path, host: str, limit: int) -> list[Step]:
    """The newest changes of one host, oldest first; none where there is no database yet."""
    try:
        conn = store.open_reader(database)
    except store.NoDatabase:
        return []
    try:
        return [_step(item) for item in reversed(tables.host_changes(conn, host, limit))]
    finally:
        conn.close()


def newest_orders(database: Path, host: str, limit: int) -> list[HostOrder]:
    """A host's newest orders, oldest first; none where there is no database yet."""
    try:
        conn = store.open_reader(database)
    except store.NoDatabase:
        return []
    with closing(conn):
        found = order_tables.orders_of(conn, host, limit)
    return [
        HostOrder(order.id, parsed(order.at), asked_words(placed(order).asked), row.phase, row.code, row.text)
        for order, row in reversed(found)
    ]


def value_of(text: str | None) -> object:
    return json.loads(text) if text is not None else None


def _step(item: Change) -> Step:
    return Step(item.host, parsed(item.at), item.path, value_of(item.old), value_of(item.new))
