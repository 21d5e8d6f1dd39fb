"""The board of rollouts, read again and again from the store: what has not changed stays the same object.

Used by one thread at a time. Of one rollout, the chosen one, everything is read, and only when the store has
changed; of the others the list's line. An ended one is counted once, one at a read, so that no read is long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from actions import order_tables, rollout_tables
from actions.engine import parsed
from actions.leases import living_owner
from actions.orders import Phase, Verb
from actions.record import Actor
from actions.rollout_model import HostPhase, Rollout, RolloutState
from actions.rollout_plan import Plan
from actions.rollout_planning_time import Durations
from actions.rollout_tables import RolloutRow
from collectors import store
from console.order_reading import said_lines
from console.rollout_board import (
    EventLine,
    RolloutBoard,
    RolloutCard,
    RolloutLine,
    Told,
    Waiting,
    card_of,
    list_order,
)

NEWEST = 20
EVENTS_KEPT = 300
EVIDENCE_READ = 12
"""Failed hosts whose own words are read."""
ORDERS_READ = 60
"""Newest orders whose times are looked at."""
WORDS_S = 20.0
"""So long what is said of windows and waiting may stand without a word in the store."""
_actor = msgspec.json.Decoder(Actor).decode


@dataclass(slots=True)
class _Known:
    """The chosen rollout, as it was read."""

    row: RolloutRow
    plan: Plan
    r: Rollout
    events: tuple[EventLine, ...]
    durations: Durations


class RolloutReading:
    """The newest rollouts, and all that are open, however old."""

    def __init__(self) -> None:
        self._conn: sqlite3.Connection | None = None
        self._version: int | None = None
        self._rows: dict[str, RolloutRow] = {}
        self._lines: dict[str, RolloutLine] = {}
        self._done: dict[str, tuple[int, int]] = {}
        """Of ended rollouts, which do not change any more."""
        self._known: _Known | None = None
        self._said: dict[str, tuple[str, ...]] = {}
        """By order."""
        self._made_at: datetime | None = None
        self._card: RolloutCard | None = None
        self._board: RolloutBoard | None = None

    def read(
        self,
        conn: sqlite3.Connection,
        now: datetime,
        chosen: str | None = None,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> RolloutBoard:
        """The list, and the chosen rollout whole; None, or one that is gone: the first of the list.

        `now` is aware, in the zone in which times are shown; `groups` are each host's. Where nothing changed
        `card` is the same object as before. Raises sqlite3.Error.
        """
        version = store.data_version(conn)
        is_new = version != self._version or conn is not self._conn
        if is_new:
            self._list(conn)
        is_counted = self._count_one(conn)
        lines = list_order(self._lines.values())
        if self._board is not None and lines == self._board.rollouts and not is_counted:
            lines = self._board.rollouts
        wanted = chosen if chosen in self._lines else (lines[0].id if lines else None)
        self._choose(conn, wanted, now, groups or {}, is_new=is_new)
        self._conn, self._version = conn, version
        board = RolloutBoard(lines, self._card, now)
        self._board = board
        return board

    # -- the list -----------------------------------------------------------------------------

    def _list(self, conn: sqlite3.Connection) -> None:
        rows = (*rollout_tables.newest_rollouts(conn, NEWEST), *rollout_tables.open_rollouts(conn))
        self._rows = {row.id: row for row in rows}
        self._done = {name: done for name, done in self._done.items() if name in self._rows}
        self._lines = {name: self._line(row) for name, row in self._rows.items()}

    def _line(self, row: RolloutRow) -> RolloutLine:
        ended_at = parsed(row.ended_at) if row.ended_at else None
        state = RolloutState(row.status)
        return RolloutLine(row.id, row.title, state, parsed(row.at), ended_at, self._done.get(row.id))

    def _count_one(self, conn: sqlite3.Connection) -> bool:
        """Count the hosts of one ended rollout; whether there was one left."""
        for name, row in self._rows.items():
            if not row.is_open and name not in self._done:
                state = rollout_tables.state_of(conn, name)
                if state is not None:
                    self._done[name] = (state.counts.get(HostPhase.DONE, 0), len(state.hosts))
                    self._lines[name] = self._line(row)
                    return True
        return False

    # -- the chosen one -----------------------------------------------------------------------

    def _choose(
        self,
        conn: sqlite3.Connection,
        name: str | None,
        now: datetime,
        groups: Mapping[str, Sequence[str]],
        *,
        is_new: bool,
    ) -> None:
        if name is None:
            self._known = self._card = None
            return
        is_other = self._known is None or self._known.row.id != name
        known = self._known
        if is_new or is_other or known is None:
            known = self._whole(conn, name)
        runner = living_owner(conn, f"rollout {name}")
        if known is None:
            self._known = self._card = None
            return
        same = self._card is not None and not is_other and self._card.told.runner == runner
        is_old = self._made_at is None or not timedelta() <= now - self._made_at < timedelta(seconds=WORDS_S)
        if same and known is self._known and not is_old and not is_new:
            return
        told = self._told(conn, known, runner, groups)
        if (
            same
            and known is self._known
            and not is_old
            and self._card is not None
            and told == self._card.told
        ):
            return
        self._known, self._made_at = known, now
        self._card = card_of(told, known.plan, known.r, now)

    def _whole(self, conn: sqlite3.Connection, name: str) -> _Known | None:
        """As it is now; the same object as before where that is as it was."""
        was = self._known if self._known is not None and self._known.row.id == name else None
        row, r = rollout_tables.one_rollout(conn, name), rollout_tables.state_of(conn, name)
        plan = was.plan if was is not None else rollout_tables.plan_of(conn, name)
        if row is None or r is None or plan is None:
            return None
        events = self._events(conn, name, was.events if was is not None else ())
        if was is not None and was.row == row and was.events is events and was.r == r:
            return was
        durations = was.durations if was is not None else _durations(conn)
        return _Known(row, plan, r, events, durations)

    def _events(
        self, conn: sqlite3.Connection, name: str, known: tuple[EventLine, ...]
    ) -> tuple[EventLine, ...]:
        after = known[0].n if known else 0
        rows = rollout_tables.events(conn, name, after=after, limit=EVENTS_KEPT)
        if not rows:
            return known
        found = [
            EventLine(row.n, parsed(row.at), row.kind, row.about, row.text, row.cause) for row in rows[::-1]
        ]
        return tuple((*found, *known)[:EVENTS_KEPT])

    def _told(
        self,
        conn: sqlite3.Connection,
        known: _Known,
        runner: str | None,
        groups: Mapping[str, Sequence[str]],
    ) -> Told:
        row = known.row
        failed = [
            (name, host)
            for name, host in known.r.hosts.items()
            if host.phase.is_failure and host.order_id is not None
        ]
        said = {
            name: self._words(conn, host.order_id, name)
            for name, host in failed[:EVIDENCE_READ]
            if host.order_id is not None
        }
        asked = rollout_tables.requests(conn, row.id)
        return Told(
            id=row.id,
            title=row.title,
            people=_people(row),
            at=parsed(row.at),
            runner=runner,
            events=known.events,
            requests=tuple(Waiting(item.request.kind, item.request.actor, parsed(item.at)) for item in asked),
            said={name: lines for name, lines in said.items() if lines},
            groups=groups,
            durations=known.durations,
        )

    def _words(self, conn: sqlite3.Connection, order_id: str, host: str) -> tuple[str, ...]:
        """The last lines that a host wrote before it was lost, as its child order keeps them."""
        if order_id not in self._said:
            row = order_tables.one_order_host(conn, order_id, host)
            if row is None or row.evidence is None:
                return ()  # perhaps it comes yet
            self._said[order_id] = said_lines(row.evidence)
        return self._said[order_id]


def _people(row: RolloutRow) -> str:
    planned = _actor(row.actor).words
    return (
        f"by {planned}, approved by {_actor(row.approved_by).words}" if row.approved_by else f"by {planned}"
    )


def _durations(conn: sqlite3.Connection) -> Durations:
    """How long stages and activations took that ended well, of the newest orders."""
    stage: list[float] = []
    turn: list[float] = []
    for order in order_tables.newest_orders(conn, ORDERS_READ):
        if order.verb in (Verb.STAGE, Verb.ACTIVATE):
            (stage if order.verb == Verb.STAGE else turn).extend(_took(conn, order.id))
    return Durations(tuple(stage), tuple(turn))


def _took(conn: sqlite3.Connection, order_id: str) -> Iterable[float]:
    for row in order_tables.order_hosts(conn, order_id):
        if row.phase is Phase.DONE and row.sent_at is not None:
            yield max(0.0, (parsed(row.since) - parsed(row.sent_at)).total_seconds())
