"""What becomes of orders, in the store: each change with its row of the record, in one transaction.

Nothing is sent before its intent stands here, and nothing is forgotten after: whoever finds a host of an
order in `intent` or `sent` knows that a command may have reached it. With a lease, every change is refused
once another process has taken over.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import msgspec

from actions import ledger, order_tables
from actions.engine import encode, instant, parsed
from actions.order_rows import HostRow, OrderRow, Quarantined
from actions.orders import Asked, Outcome, Phase, Placed, Refusal, Step, asked_words
from actions.record import Actor, Entry, Event, Head
from collectors import store, tables
from collectors.records import Lease

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_step = msgspec.json.Decoder(Step).decode
_asked = msgspec.json.Decoder(Asked).decode
_actor = msgspec.json.Decoder(Actor).decode


def placed(row: OrderRow) -> Placed:
    """A row decoded."""
    return Placed(
        id=row.id,
        at=parsed(row.at),
        asked=_asked(row.asked),
        actor=_actor(row.actor),
        at_once=row.at_once,
        stops=bool(row.stops),
        after=row.after,
        ended_at=parsed(row.ended_at) if row.ended_at else None,
    )


def step_of(row: HostRow) -> Step:
    return _step(row.step)


def new_id(now: datetime) -> str:
    """An order's name: it sorts by time, and no two consoles make the same."""
    number, digits = int(now.timestamp()), ""
    while number:
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return f"o-{digits}{''.join(secrets.choice(_DIGITS) for _ in range(5))}"


Permit = Callable[[str], tuple[str, str] | None]
"""Host -> code and sentence of why nothing may be sent to it now; None: it may."""


class NotPermitted(Exception):
    """Whoever gave the order does not want it sent any more."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class Book:
    """The one way of orders into the store."""

    def __init__(self, conn: sqlite3.Connection, lease: Lease | None = None) -> None:
        self.conn = conn
        self.lease = lease

    def place(self, order: Placed, steps: Sequence[Step], now: datetime) -> Head:
        """A confirmed order with all its hosts; one with nothing to send has ended. The record's head."""
        with self.transaction():
            put_order(self.conn, order, steps, now)
            entries = [
                Entry(
                    now, order.actor, order.asked.verb, Event.ASKED, order=order.id, text=_said(order, steps)
                )
            ]
            entries += [_told(order, step, now) for step in steps if step.phase is not Phase.PLANNED]
            return ledger.append(self.conn, entries)

    def begin(
        self, order: Placed, row: HostRow, step: Step, now: datetime, *, permit: Permit | None = None
    ) -> HostRow:
        """Committed to send: from here on only a look at the host tells what happened.

        Raises order_tables.Moved where another order is at work on the host, NotPermitted where `permit` says
        so.
        """
        made = replace(row, phase=Phase.INTENT, since=instant(now), step=encode(step).decode())
        evidence = {"guard": msgspec.to_builtins(step.guard), "goal": msgspec.to_builtins(step.goal)}
        entry = Entry(
            now,
            order.actor,
            order.asked.verb,
            Event.INTENT,
            host=row.host,
            order=order.id,
            command=step.command,
            evidence=evidence,
        )
        with self.transaction():
            problem = permit(row.host) if permit is not None else None
            if problem is not None:
                raise NotPermitted(*problem)
            order_tables.go_on(self.conn, made, seen=row.phase)
            ledger.append(self.conn, [entry])
        return made

    def sent(self, row: HostRow, at: datetime, now: datetime) -> HostRow:
        """The host has it: its evidence is awaited, from `at` on."""
        made = replace(row, phase=Phase.SENT, since=instant(now), sent_at=instant(at))
        with self.transaction():
            order_tables.go_on(self.conn, made, seen=row.phase)
        return made

    def turned_down(self, order: Placed, row: HostRow, step: Step, now: datetime) -> HostRow:
        """A fresh look refuses it, or shows it done already; nothing was sent."""
        code, text = _why(step)
        made = replace(
            row,
            phase=step.phase,
            since=instant(now),
            step=encode(step).decode(),
            code=code,
            text=text,
        )
        with self.transaction():
            order_tables.go_on(self.conn, made, seen=row.phase)
            ledger.append(self.conn, [_told(order, step, now)])
        return made

    def finish(
        self,
        order: Placed,
        row: HostRow,
        outcome: Outcome,
        now: datetime,
        *,
        quarantine: Quarantined | None = None,
        consequence: tuple[Placed, Step] | None = None,
    ) -> HostRow:
        """The end of a host's step, with what follows from it."""
        made = replace(
            row,
            phase=outcome.phase,
            since=instant(now),
            code=outcome.code,
            text=outcome.text,
            evidence=encode(outcome.evidence).decode(),
        )
        entry = Entry(
            now,
            order.actor,
            order.asked.verb,
            Event.OUTCOME,
            host=row.host,
            order=order.id,
            outcome=str(outcome.phase),
            code=outcome.code,
            text=outcome.text,
            evidence=outcome.evidence or None,
        )
        with self.transaction():
            order_tables.go_on(self.conn, made, seen=row.phase)
            ledger.append(self.conn, [entry])
            if quarantine is not None:
                order_tables.put_quarantine(self.conn, quarantine)
            if consequence is not None:
                after, step = consequence
                put_order(self.conn, after, [step], now)
                said = _said(after, [step])
                asked = Entry(now, after.actor, after.asked.verb, Event.ASKED, order=after.id, text=said)
                ledger.append(self.conn, [asked])
        return made

    def skip(self, order: Placed, rows: Iterable[HostRow], why: str, now: datetime) -> None:
        """Hosts whose turn does not come."""
        with self.transaction():
            for row in rows:
                made = replace(row, phase=Phase.SKIPPED, since=instant(now), code="skipped", text=why)
                order_tables.go_on(self.conn, made, seen=row.phase)

    def end(self, order: Placed, now: datetime) -> Head:
        """No host of it is open any more. The record's head."""
        with self.transaction():
            order_tables.end_order(self.conn, order.id, instant(now))
            return ledger.head(self.conn)

    def add_text(self, row: HostRow, text: str, now: datetime) -> HostRow:
        """More to say of a host whose step has ended."""
        made = replace(row, text=f"{row.text}; {text}" if row.text else text, since=instant(now))
        with self.transaction():
            order_tables.go_on(self.conn, made, seen=row.phase)
        return made

    def note(
        self, entries: Sequence[Entry], change: Callable[[sqlite3.Connection], None] = lambda conn: None
    ) -> None:
        """Rows of the record, and the change that they tell."""
        with self.transaction():
            change(self.conn)
            ledger.append(self.conn, entries)

    def check(self) -> None:
        """Raises tables.LeaseLost where another process has taken over."""
        if self.lease is not None:
            tables.check_lease(self.conn, self.lease)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Raises tables.LeaseLost where another process has taken over."""
        with store.transaction(self.conn):
            self.check()
            yield


def give_up(conn: sqlite3.Connection, host: str, now: datetime) -> list[str]:
    """Take outcomes of this host that nobody knows as failed, inside the caller's transaction; which they
    were. A person has looked, and orders on the host are possible again."""
    rows = order_tables.with_unknown_end(conn, [host])
    for row in rows:
        text = f"given up by a person; before: {row.text}"
        made = replace(row, phase=Phase.FAILED, since=instant(now), code="given-up", text=text)
        order_tables.go_on(conn, made, seen=row.phase)
    return [f"the unknown outcome of {row.order_id}" for row in rows]


def put_order(conn: sqlite3.Connection, order: Placed, steps: Sequence[Step], now: datetime) -> None:
    """An order's rows, inside the caller's transaction."""
    is_over = all(step.phase is not Phase.PLANNED for step in steps)
    at = instant(now)
    row = OrderRow(
        id=order.id,
        at=at,
        verb=order.asked.verb,
        asked=encode(order.asked).decode(),
        actor=encode(order.actor).decode(),
        at_once=order.at_once,
        stops=int(order.stops),
        after=order.after,
        ended_at=at if is_over else None,
    )
    hosts = []
    for place, step in enumerate(steps):
        code, text = _why(step)
        hosts.append(
            HostRow(order.id, step.host, place, step.phase, at, encode(step).decode(), code=code, text=text)
        )
    order_tables.put_order(conn, row, hosts)


def _said(order: Placed, steps: Sequence[Step]) -> str:
    """What was asked, in a sentence."""
    what = asked_words(order.asked)
    hosts = steps[0].host if len(steps) == 1 else f"{len(steps)} hosts"
    return f"{what} on {hosts}" + (f", after {order.after}" if order.after else "")


def _why(step: Step) -> tuple[str | None, str | None]:
    """Code and sentence of a step to which nothing is sent."""
    if step.phase is Phase.REFUSED:
        first = step.refusals[0] if step.refusals else Refusal("refused", "it may not run")
        return first.code, "; ".join(item.text for item in step.refusals) or first.text
    if step.phase is Phase.ALREADY:
        return "already-so", step.says[0] if step.says else "already so"
    return None, None


def _told(order: Placed, step: Step, now: datetime) -> Entry:
    """The record's row of a host to which nothing is sent."""
    code, text = _why(step)
    event = Event.ALREADY if step.phase is Phase.ALREADY else Event.REFUSED
    evidence = {"refusals": msgspec.to_builtins(step.refusals)} if step.refusals else None
    return Entry(
        now,
        order.actor,
        order.asked.verb,
        event,
        host=step.host,
        order=order.id,
        outcome=str(step.phase),
        code=code,
        text=text,
        evidence=evidence,
    )
