"""The board of orders, read again and again from the store: what has not changed stays the same object.

Used by one thread at a time. An order that has ended is read once and then now and then: rarely something is
added to it. Open ones are read whenever the store has changed. Hosts of large orders are kept for the chosen
one only; of the others their counts.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from actions import order_tables
from actions.engine import parsed
from actions.leases import living_owner
from actions.order_rows import HostRow, OrderRow
from actions.orderbook import placed, step_of
from actions.orders import Phase, Placed, Verb, asked_words
from collectors import store, tables
from collectors.parse.text import log_line
from collectors.parse.update_conf import server_kind
from console.order_board import (
    NOTHING_OFFERED,
    REVERTED,
    OrderBoard,
    OrderCard,
    OrderHost,
    board_order,
    counted,
    host_order,
)

NEWEST = 50
KEPT_HOSTS = 2000
"""Hosts of an order that are kept though another one is looked at."""
ROWS_A_READ = 2000
"""Rows of ended orders read at once; the rest waits for the next read."""
LOOKED_BACK = 500
"""Hosts of an order for which the way back is looked up."""
CHANGES = 200
"""Newest changes of a host among which that is looked for."""
SAID_LINES = 5
_JOURNAL_LINE = re.compile(
    r"(?P<at>[0-9-]{10}T[0-9:]{8}[+-][0-9:]{4,5}) \S+ (?P<ident>[^\s\[:]+)(?:\[[0-9]+\])?: (?P<text>.*)"
)
"""`journalctl -o short-iso`; the kernel's lines have no process number."""
STARTS_S = 10.0
"""How long after it was given the process that carries an order out may take to begin."""
_BACK_PATHS = {Verb.CHANNEL: "/conf/group", Verb.UPDATES: "/conf/server", Verb.CANCEL: "/new_version"}


@dataclass(frozen=True, slots=True)
class _Known:
    """An order as it was read."""

    row: OrderRow
    order: Placed
    card: OrderCard


class OrderReading:
    """The newest orders, and all that are open, however old: what was left must not sink out of sight."""

    def __init__(self) -> None:
        self._conn: sqlite3.Connection | None = None
        self._version: int | None = None
        self._known: dict[str, _Known] = {}
        self._hosts: dict[tuple[str, str], tuple[HostRow, OrderHost]] = {}
        self._rows: list[OrderRow] = []
        self._stale: list[str] = []
        """Ended orders to be read again, newest first."""
        self._looked_back: set[tuple[str, str, str]] = set()
        """Order, host, since: the way back was looked up, whether it was found or not."""
        self._board: OrderBoard | None = None
        self._now = datetime.min.replace(tzinfo=UTC)

    def read(self, conn: sqlite3.Connection, now: datetime, chosen: str | None = None) -> OrderBoard:
        """The newest orders and all open ones; `now` is aware, in the zone in which times are shown.

        Where nothing but the time changed `orders` is the same tuple as before. `chosen`: the order whose
        hosts are wanted in any case; None: the first one. Raises sqlite3.Error.
        """
        self._now = now
        version = store.data_version(conn)
        is_new = version != self._version or conn is not self._conn
        if is_new:
            self._list(conn)
            self._conn, self._version = conn, version
        changed = self._refresh(conn, is_new=is_new)
        changed |= self._choose(conn, chosen)
        if changed or self._board is None:
            cards = board_order(item.card for item in self._known.values() if not self._is_shown_below(item))
            if self._board is None or cards != self._board.orders:
                self._board = OrderBoard(cards, now)
        if self._board.now != now:
            self._board = replace(self._board, now=now)
        return self._board

    def _list(self, conn: sqlite3.Connection) -> None:
        """Which orders there are."""
        newest = order_tables.newest_orders(conn, NEWEST)
        rows = {row.id: row for row in (*newest, *order_tables.open_orders(conn))}
        self._rows = sorted(rows.values(), key=lambda row: (row.at, row.id), reverse=True)
        for gone in self._known.keys() - rows.keys():
            del self._known[gone]
        self._hosts = {key: kept for key, kept in self._hosts.items() if key[0] in rows}
        self._looked_back = {key for key in self._looked_back if key[0] in rows}
        ended = [row.id for row in self._rows if row.ended_at is not None]
        self._stale = list(dict.fromkeys(name for name in (*self._stale, *ended) if name in set(ended)))

    def _is_shown_below(self, item: _Known) -> bool:
        """With the order that it followed from, not by itself."""
        return item.order.after is not None and item.order.after in self._known

    def _refresh(self, conn: sqlite3.Connection, *, is_new: bool) -> bool:
        changed, spent = False, 0
        for row in self._rows:
            known = self._known.get(row.id)
            is_open = row.ended_at is None
            if is_open and not is_new and known is not None:
                changed |= self._carried(conn, known)
            elif is_open or (known is not None and known.row != row):
                changed |= self._read_one(conn, row)
        by_id = {row.id: row for row in self._rows}
        while self._stale and spent < ROWS_A_READ:
            row = by_id[self._stale.pop(0)]
            changed |= self._read_one(conn, row)
            spent += max(self._known[row.id].card.total, 1)
        return changed

    def _carried(self, conn: sqlite3.Connection, known: _Known) -> bool:
        """Whether a process has it can change without a word in the store."""
        has = self._is_carried_out(conn, known.order)
        if has == known.card.is_carried_out:
            return False
        self._known[known.row.id] = replace(known, card=replace(known.card, is_carried_out=has))
        return True

    def _is_carried_out(self, conn: sqlite3.Connection, order: Placed) -> bool:
        if 0 <= (self._now - order.at).total_seconds() < STARTS_S:
            return True
        return living_owner(conn, order.lease_name) is not None

    def _choose(self, conn: sqlite3.Connection, chosen: str | None) -> bool:
        """Read the hosts of the order that is looked at; let go of those of other large ones."""
        if chosen not in self._known:
            first = board_order(item.card for item in self._known.values())
            chosen = first[0].id if first else None
        changed = False
        for order_id, known in self._known.items():
            if order_id == chosen:
                changed |= not known.card.is_whole and self._read_one(conn, known.row, is_chosen=True)
                changed |= self._look_back(conn, order_id)
            elif known.card.is_whole and known.card.total > KEPT_HOSTS:
                self._known[order_id] = replace(known, card=replace(known.card, hosts=(), is_whole=False))
                self._hosts = {key: kept for key, kept in self._hosts.items() if key[0] != order_id}
                changed = True
        return changed

    # -- one order ----------------------------------------------------------------------------

    def _read_one(self, conn: sqlite3.Connection, row: OrderRow, *, is_chosen: bool = False) -> bool:
        known = self._known.get(row.id)
        order = known.order if known is not None and known.row == row else placed(row)
        rows = order_tables.order_hosts(conn, row.id)
        was_whole = known is None or known.card.is_whole
        if not was_whole and not is_chosen and len(rows) > KEPT_HOSTS:
            card = self._counted(conn, order, rows)
        else:
            card = self._card(conn, order, [self._host(one, order) for one in rows])
        if known is not None and known.row == row and known.card == card:
            return False
        self._known[row.id] = _Known(row, order, card)
        return True

    def _counted(self, conn: sqlite3.Connection, order: Placed, rows: Sequence[HostRow]) -> OrderCard:
        counts = Counter(row.phase for row in rows)
        card = self._card(conn, order, [])
        reverted = sum(row.code == REVERTED for row in rows)
        stopped = next((row.text for row in rows if _is_stopped(row.phase, row.text)), None)
        return replace(card, counts=dict(counts), is_whole=False, reverted=reverted, stopped=stopped)

    def _card(self, conn: sqlite3.Connection, order: Placed, hosts: list[OrderHost]) -> OrderCard:
        return OrderCard(
            id=order.id,
            asked=asked_words(order.asked),
            verb=order.asked.verb,
            who=order.actor.words,
            at=order.at,
            counts=counted(hosts),
            ended_at=order.ended_at,
            is_carried_out=order.ended_at is None and self._is_carried_out(conn, order),
            hosts=host_order(hosts),
            reverted=sum(one.code == REVERTED for one in hosts),
            at_once=order.at_once,
            stops=order.stops,
            mode=order.asked.mode,
            stopped=next((one.text for one in hosts if _is_stopped(one.phase, one.text)), None),
            consequences=self._consequences(conn, order) if hosts else (),
        )

    def _consequences(self, conn: sqlite3.Connection, order: Placed) -> tuple[OrderHost, ...]:
        followed = [placed(row) for row in order_tables.consequences(conn, order.id)]
        return tuple(
            replace(self._host(row, after), what=asked_words(after.asked))
            for after in followed
            for row in order_tables.order_hosts(conn, after.id)
        )

    def _host(self, row: HostRow, order: Placed) -> OrderHost:
        key = (row.order_id, row.host)
        kept = self._hosts.get(key)
        if kept is not None and kept[0] == row:
            return kept[1]
        one = _told(row, order)
        self._hosts[key] = (row, one)
        return one

    # -- where the hosts were before ------------------------------------------------------------

    def _look_back(self, conn: sqlite3.Connection, order_id: str) -> bool:
        """Find out where hosts of this order were before it; once for each."""
        known = self._known[order_id]
        path = _BACK_PATHS.get(known.card.verb)
        done = [one for one in known.card.hosts if one.phase is Phase.DONE and one.before is None]
        if path is None or not done:
            return False
        found = {}
        for one in done[:LOOKED_BACK]:
            row, kept = self._hosts[(order_id, one.host)]
            looked = (order_id, row.host, row.since)
            if looked in self._looked_back:
                continue
            self._looked_back.add(looked)
            before = _before(conn, row, known.card.verb, path)
            if before is not None:
                found[one.host] = before
                self._hosts[(order_id, one.host)] = (row, replace(kept, before=before))
        if not found:
            return False
        hosts = [replace(one, before=found.get(one.host, one.before)) for one in known.card.hosts]
        self._known[order_id] = replace(known, card=replace(known.card, hosts=tuple(hosts)))
        return True


def _is_stopped(phase: Phase, text: str | None) -> bool:
    return phase is Phase.SKIPPED and (text or "").startswith("stopped after ")


def _told(row: HostRow, order: Placed) -> OrderHost:
    until = None
    if row.phase is Phase.SENT and row.sent_at is not None:
        until = parsed(row.sent_at) + timedelta(seconds=step_of(row).deadline_s)
    return OrderHost(
        host=row.host,
        phase=row.phase,
        verb=order.asked.verb,
        since=parsed(row.since),
        code=row.code,
        text=row.text or "",
        refusals=step_of(row).refusals if row.phase is Phase.REFUSED else (),
        said=said_lines(row.evidence) if row.code == REVERTED else (),
        until=until,
    )


def said_lines(evidence: str | None) -> tuple[str, ...]:
    """What a host wrote last in the boot that failed, oldest first: its updater's last lines, then those of
    all units, each once. Without the host's name and what stands twice in a line."""
    told: Any = json.loads(evidence) if evidence else {}
    lines: list[str] = []
    for name in ("updater_before", "boot_before"):
        found = told.get(name) if isinstance(told, dict) else None
        if isinstance(found, list):
            lines += [_journal_words(str(line)) for line in found[-SAID_LINES:]]
    return tuple(dict.fromkeys(reversed(lines)))[::-1]


def _journal_words(line: str) -> str:
    """`02:14:07 UTC kernel: Kernel panic`; a line of another form as it is."""
    found = _JOURNAL_LINE.fullmatch(line)
    if not found:
        return line
    try:
        at = datetime.fromisoformat(found["at"]).astimezone(UTC)
    except (ValueError, OverflowError):
        return line
    log = log_line(found["text"])
    return f"{at:%H:%M:%S} UTC {found['ident']}: {log.message if log else found['text']}"


def _before(conn: sqlite3.Connection, row: HostRow, verb: Verb, path: str) -> str | None:
    """What a fact was before this host's step changed it, by the host's history; None: not to be said."""
    if row.code == NOTHING_OFFERED or row.sent_at is None:
        return None
    begin, end = min(row.sent_at, row.since), row.since
    for change in tables.host_changes(conn, row.host, CHANGES):
        if change.path == path and begin <= change.at <= end:
            old = json.loads(change.old) if change.old else None
            match verb:
                case Verb.CHANNEL:
                    return _text(old) or _image_group(conn, row.host)
                case Verb.UPDATES:
                    kind = server_kind(_text(old))
                    return {"unset": "self", "default": "self", "public": "self"}.get(kind, kind)
            return _text(old)
    return None


def _image_group(conn: sqlite3.Connection, host: str) -> str | None:
    """The group of the image itself, which a host follows where its update.conf names none."""
    facts: Any = json.loads(tables.facts_of(conn, host) or "{}")
    return _text((facts.get("image_conf") or {}).get("group"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
