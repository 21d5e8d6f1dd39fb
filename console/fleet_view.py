"""From the store to what is shown: rows for tables and filters, documents for JSON and `show`.

The quick way reads ready-made briefs and a cached extract of the fleet file. Where the fleet file or the
feed differs from what the last sweep judged with, every host is judged anew from its stored facts.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from actions import order_tables
from actions.order_tables import CurrentOrder
from collectors import tables
from console.rows import FEED_STALE_AFTER_S, FleetView, HostRow, SlotCell

FLEET_SETTING = "fleet"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Extract:
    """What the table needs of a fleet file, kept in the database beside the stamp of the file."""

    stamp: str
    """Of the fleet file, as it was."""
    feed_digest: str
    feed_taken_at: str
    feed_file: str | None
    name: str
    accent: str | None
    stale_after_s: float
    heads: dict[str, str]
    """Newest release -> its channel."""
    hosts: list[list[Any]]
    """name, address, port, groups, labels, hold; in the fleet file's order."""


def read_extract(conn: sqlite3.Connection) -> Extract | None:
    text = tables.setting(conn, FLEET_SETTING)
    if text is None:
        return None
    try:
        return Extract(**json.loads(text))
    except (TypeError, ValueError):
        return None  # written by another version: judge anew


def write_extract(conn: sqlite3.Connection, extract: Extract) -> None:
    """Inside the caller's transaction."""
    values = {name: getattr(extract, name) for name in Extract.__dataclass_fields__}
    tables.put_setting(conn, FLEET_SETTING, json.dumps(values, separators=(",", ":")))


def quick_view(conn: sqlite3.Connection, extract: Extract, now: datetime) -> FleetView:
    """The fleet as the last sweep judged it."""
    found = tables.briefs(conn)
    read = json.loads(
        f"[{','.join(row[4] for row in found)}]"
    )  # at once: a third of the time of each by itself
    known = {row[0]: (row[2], row[3], brief) for row, brief in zip(found, read, strict=True)}
    newest = max((row[1] for row in found), default=None)
    rows, holds, orders = [], tables.holds(conn), order_tables.current_orders(conn)
    for host in extract.hosts:
        taken_at, reach, brief = known.get(host[0], (None, None, None))
        if host[5] is None and host[0] in holds:
            host[5] = holds[host[0]]
        row = host_row(host, brief, (taken_at, reach), extract, now)
        rows.append(with_order(row, orders.get(host[0])))
    return fleet_view(extract, rows, newest, now)


def fleet_view(extract: Extract, rows: list[HostRow], newest: str | None, now: datetime) -> FleetView:
    if is_feed_old(extract, now):
        rows = [uncertain(row) for row in rows]
    return view_of(extract, rows, newest, now)


def is_feed_old(extract: Extract, now: datetime) -> bool:
    """Too old, or not there, to prove that a version is the newest."""
    age_s = _feed_age_s(extract, now)
    return age_s is None or age_s > FEED_STALE_AFTER_S


def _feed_age_s(extract: Extract, now: datetime) -> float | None:
    if not extract.feed_taken_at:
        return None
    return (now - datetime.fromisoformat(extract.feed_taken_at)).total_seconds()


def view_of(extract: Extract, rows: list[HostRow], newest: str | None, now: datetime) -> FleetView:
    """The view of rows that say already what is certain."""
    return FleetView(
        fleet=extract.name,
        now=now,
        rows=rows,
        fleet_hosts=len(extract.hosts),
        taken_at=datetime.fromisoformat(newest) if newest else None,
        accent=extract.accent,
        feed_date=date.fromisoformat(extract.feed_taken_at[:10]) if extract.feed_taken_at else None,
        feed_age_s=_feed_age_s(extract, now),
        stale_after_s=extract.stale_after_s,
        version_notes={version: f"{channel} head" for version, channel in extract.heads.items()},
    )


def with_order(row: HostRow, order: CurrentOrder | None) -> HostRow:
    """The row of a host on which an order is at work, or about to be."""
    return row if order is None else replace(row, order=order.words)


def uncertain(row: HostRow) -> HostRow:
    """With an old feed nobody can say that a version is the newest."""
    return replace(row, certain=False) if row.state == "current" else row


def host_row(
    host: list[Any], brief: Json | None, look: tuple[str | None, str | None], extract: Extract, now: datetime
) -> HostRow:
    """One row of `extract.hosts`; `look` is taken_at and reach, `brief` None for a host never asked."""
    name, address, port, groups, labels, hold = host
    taken_at, reach = look
    if brief is None:
        reasons = (("never_asked", "never asked"),)
        return HostRow(
            name, address, "unreachable", port, tuple(groups), labels, hold, reasons, "run fleetctl collect"
        )
    taken = datetime.fromisoformat(taken_at) if taken_at else None
    tell = brief.get
    return HostRow(
        name=name,
        address=address,
        state=brief["state"],
        port=port,
        groups=tuple(groups),
        labels=labels,
        hold=hold,
        reasons=tuple([(code, text) for code, text in brief["reasons"]]),
        remedy=tell("remedy"),
        version=tell("version"),
        channel=tell("channel"),
        running=tell("running"),
        next=tell("next"),
        slot_a=_cell(tell("a")),
        slot_b=_cell(tell("b")),
        behind=tell("behind"),
        operation=tell("operation"),
        progress=tell("progress"),
        extensions=tuple(brief["extensions"]) if "extensions" in brief else None,
        extension_problems=tuple(tell("extension_problems", ())),
        oem=tell("oem"),
        arch=tell("arch"),
        reach=reach,
        health=tell("health", ""),
        will_reboot_by_itself=tell("will_reboot"),
        taken_at=taken,
        stale=taken is None or (now - taken).total_seconds() > extract.stale_after_s,
        certain=brief["certain"],
    )


def _cell(slot: Json | None) -> SlotCell | None:
    return SlotCell(**slot) if slot else None
