"""Carries an order out: one process, by lease, host by host, each with proof. What `fleetctl run ID` runs.

For each host, when its turn comes: a fresh look, the decision once more, the same plan or none, the intent,
the command, then looks until the host shows what became of it. A runner that finds hosts in `intent` or
`sent` looks at them; it never sends to them again.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from actions import order_tables
from actions.following import (
    NEVER_AFTER_S,
    Arrival,
    arrival,
    consequence_of,
    judged,
    quarantine_of,
    settled,
    since,
)
from actions.leases import Busy, claim, give_back, renew
from actions.looking import Basis, Clock, Looker
from actions.order_rows import HostRow
from actions.order_tables import Moved
from actions.orderbook import Book, placed, step_of
from actions.orders import Outcome, Phase, Placed, Step, Verb
from actions.placing import plan_one
from actions.remote.order import read_reply
from actions.remote.sudoers import TEXTS
from actions.sending import not_sent
from actions.uploading import Payload, take_away, upload
from collectors.errors import ConnectFailed, OutcomeUnknown
from collectors.records import Lease
from collectors.tables import LeaseLost
from collectors.transport import Transport

LEASE_S = 60.0
RENEW_S = 15.0
SEND_TIMEOUT_S = 90.0
"""The text waits up to 20 s for the host's lock, and asks a few programs."""
REPLY_BYTES = 64 * 1024
POLL_S = {Verb.STAGE: 4.0, Verb.ACTIVATE: 5.0, Verb.REBOOT: 5.0, Verb.ROLL_BACK: 5.0}
QUICK_POLL_S = 1.5


class WallClock:
    """Real time that never jumps: the clock of the start, and how long it is since."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._began_s = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=time.monotonic() - self._began_s)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(slots=True)
class Tools:
    """What a runner works with."""

    transport: Transport
    basis: Basis
    clock: Clock
    payload: Payload | None = None
    told: Callable[[HostRow], None] = lambda row: None
    """Hears of every change of a host."""


class Runner:
    """One order, and what follows from it. Raises Busy where another process runs it."""

    def __init__(self, book: Book, order: Placed, tools: Tools) -> None:
        self._book = book
        self._order = order
        self._tools = tools
        self._looker = Looker(book.conn, tools.transport, tools.basis, tools.clock)
        self._turns = asyncio.Semaphore(max(1, order.at_once))
        self._stopped: str | None = None

    async def run(self, *, dispatches: bool = True) -> None:
        """To its end. Without `dispatches` only what was sent is followed, what is unknown is looked at once
        more, and the rest is skipped.

        Raises Busy before anything is done, tables.LeaseLost when another process takes over.
        """
        lease = self._book.lease = claim(self._book.conn, self._order.lease_name, LEASE_S)
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep_lease(lease))
                await self._all_hosts(dispatches=dispatches)
                await self._consequences()
                keeper.cancel()
            self._book.end(self._order, self._now())
        except BaseExceptionGroup as group:
            raise _as_one(group, self._order.id) from group
        finally:
            give_back(self._book.conn, lease)

    async def _keep_lease(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            renew(self._book.conn, lease, LEASE_S)

    async def _consequences(self) -> None:
        """Carry out what follows, also where nothing else is sent any more: a host left as it is would fetch
        again what did not come up. What another process carries out already is left to it."""
        for row in order_tables.consequences(self._book.conn, self._order.id):
            if row.ended_at is None:
                runner = Runner(Book(self._book.conn), placed(row), replace(self._tools, payload=None))
                with suppress(Busy):
                    await runner.run()

    async def _all_hosts(self, *, dispatches: bool) -> None:
        rows = order_tables.order_hosts(self._book.conn, self._order.id)
        for row in rows:
            self._stop_after(row)
        planned = [row for row in rows if row.phase is Phase.PLANNED]
        if not dispatches and planned:
            why = "the process that ran the order ended before its turn; ask again"
            self._skip(planned, why)
            planned = []
        begun = [row for row in rows if row.phase in (Phase.INTENT, Phase.SENT)]
        unknown = [] if dispatches else [row for row in rows if row.phase is Phase.UNKNOWN]
        async with asyncio.TaskGroup() as group:
            for row in (*begun, *unknown, *planned):
                group.create_task(self._in_turn(row))

    async def _in_turn(self, row: HostRow) -> None:
        async with self._turns:
            if row.phase is Phase.UNKNOWN:
                await self._settle(row)
            elif row.phase is not Phase.PLANNED:
                await self._follow(row)
            elif self._stopped is None:
                await self._carry_out(row)
            else:
                self._skip([row], self._stopped)

    def _skip(self, rows: list[HostRow], why: str) -> None:
        self._book.skip(self._order, rows, why, self._now())
        for row in rows:
            self._tell(replace(row, phase=Phase.SKIPPED, text=why))

    def _now(self) -> datetime:
        return self._tools.clock.now()

    def _tell(self, row: HostRow) -> HostRow:
        self._tools.told(row)
        return row

    # -- one host -----------------------------------------------------------------------------

    async def _carry_out(self, row: HostRow) -> None:
        """Look, decide, commit, send, follow."""
        planned = step_of(row)
        look = await self._looker.look(row.host, self._order.asked, self._order.id)
        step = plan_one(self._order, look, self._tools.payload, planned.deadline_s or None)
        if step.phase is not Phase.PLANNED:
            self._tell(self._book.turned_down(self._order, row, step, self._now()))
            return
        if planned.guard is not None and planned.command != step.command:
            outcome = Outcome(Phase.NOT_SENT, "moved", _moved_words(planned, step), at=self._now())
            self._tell(self._book.finish(self._order, row, outcome, self._now()))
            return
        try:
            row = self._tell(self._book.begin(self._order, row, step, self._now()))
        except Moved as error:
            outcome = Outcome(Phase.NOT_SENT, "order-at-work", f"{error}; wait for its end", at=self._now())
            self._tell(self._book.finish(self._order, row, outcome, self._now()))
            return
        failed = await self._send(row.host, step)
        if failed is not None:
            await self._finish(row, step, replace(failed, at=self._now()))
            return
        await self._follow(row, tried_until=self._now())

    async def _send(self, host: str, step: Step) -> Outcome | None:
        """Send the command once. An outcome where it is certain that nothing was done, else None."""
        tools, target = self._tools, self._tools.basis.targets[host]
        if tools.payload is not None:
            problem = await upload(tools.transport, target, self._order.id, tools.payload)
            if problem is not None:
                return Outcome(Phase.NOT_SENT, "upload-failed", problem)
        text = TEXTS[self._order.asked.verb]
        self._book.check()  # the intent may be long ago: files were brought, the machine slept
        try:
            done = await tools.transport.run(
                target, text.command, step.stdin.encode(), timeout_s=SEND_TIMEOUT_S, limit_bytes=REPLY_BYTES
            )
        except ConnectFailed as error:
            return Outcome(Phase.NOT_SENT, "unreachable", f"not reached: {error.message}")
        except OutcomeUnknown as error:
            return not_sent(read_reply(error.output, self._order.id), 0)
        return not_sent(read_reply(done.stdout, self._order.id), done.exit_status)

    async def _follow(self, row: HostRow, tried_until: datetime | None = None) -> None:
        """Look until the host shows what became of it. Its command may be on its way `tried_until` then,
        which is long after the intent where files are brought first."""
        step = step_of(row)
        poll_s = POLL_S.get(self._order.asked.verb, QUICK_POLL_S)
        while True:
            look = await self._looker.look(row.host, self._order.asked, self._order.id, decides=False)
            now = self._now()
            found = arrival(row, step, look, now) if row.phase is Phase.INTENT else Arrival.OPEN
            if found is Arrival.NEVER and _is_young(tried_until, now):
                found = Arrival.OPEN
            if found is Arrival.NEVER:
                text = "the command did not arrive; nothing was done"
                await self._finish(row, step, Outcome(Phase.NOT_SENT, "not-arrived", text, at=now))
                return
            if found is Arrival.ARRIVED:
                row = self._tell(self._book.sent(row, since(row), now))
            outcome = judged(row, step, look, now)
            if outcome is not None:
                await self._finish(row, step, outcome)
                return
            await self._tools.clock.sleep(poll_s)

    async def _settle(self, row: HostRow) -> None:
        """One more look at a host whose outcome is not known."""
        step = step_of(row)
        look = await self._looker.look(row.host, self._order.asked, self._order.id, decides=False)
        outcome = settled(row, step, look, self._now())
        if outcome is not None:
            await self._finish(row, step, outcome)

    async def _finish(self, row: HostRow, step: Step, outcome: Outcome) -> None:
        """Write an outcome down, with what the host tells of it and what follows from it."""
        if outcome.code == "reverted":
            told = await self._looker.aftermath(row.host)
            more = {"boot_before": list(told.journal), "updater_before": list(told.updater)}
            outcome = replace(outcome, evidence={**outcome.evidence, **more})
        if outcome.phase is Phase.NOT_SENT and self._tools.payload is not None:
            await take_away(self._tools.transport, self._tools.basis.targets[row.host], self._order.id)
        now = self._now()
        made = self._book.finish(
            self._order,
            row,
            outcome,
            now,
            quarantine=quarantine_of(self._order, step, outcome, now),
            consequence=consequence_of(self._order, step, outcome, now),
        )
        self._stop_after(made)
        self._tell(made)

    def _stop_after(self, row: HostRow) -> None:
        """No further host is begun after one that is not as ordered, whichever process saw that."""
        if self._order.stops and row.phase in (Phase.FAILED, Phase.UNKNOWN):
            self._stopped = f"stopped after {row.host}: {row.text}"


def _as_one(group: BaseExceptionGroup[BaseException], order_id: str) -> BaseException:
    """What happened to all of a group's tasks: taken over, or the store's own trouble; else the group."""
    if group.split((LeaseLost, Moved))[1] is None:
        return LeaseLost(f"another process has taken over {order_id}")
    found: BaseException = group
    if group.split(sqlite3.Error)[1] is None:
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
    return found


def _is_young(tried_until: datetime | None, now: datetime) -> bool:
    """Whether a command whose connection was cut then may still begin."""
    return tried_until is not None and (now - tried_until).total_seconds() < NEVER_AFTER_S


def _moved_words(planned: Step, now: Step) -> str:
    """Which of what the plan saw is another by now."""
    was, is_now = planned.guard, now.guard
    names = ("boot_id", "slot_a", "slot_b", "operation", "conf_digest")
    moved = [name for name in names if getattr(was, name, None) != getattr(is_now, name, None)]
    what = ", ".join(name.replace("_", " ") for name in moved) or "what is to be sent"
    return f"the host moved since the plan was made ({what}): ask again"


async def settle(conn: sqlite3.Connection, tools: Tools, hosts: Iterable[str]) -> None:
    """Look at hosts of earlier orders whose outcome is not known; those that show it now have it, with all
    that follows from it. Orders that another process carries out are left to it."""
    for order_id in {row.order_id for row in order_tables.with_unknown_end(conn, hosts)}:
        row = order_tables.one_order(conn, order_id)
        assert row is not None, "an order has its row as long as its hosts"
        with suppress(Busy):
            await Runner(Book(conn), placed(row), tools).run(dispatches=False)
