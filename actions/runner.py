"""Carries an order out: one process, by lease, host by host, each with proof. What `fleetctl run ID` runs.

For each host, when its turn comes: a fresh look, the decision once more, the same plan or none, the intent,
the command, then looks until the host shows what became of it. A runner that finds hosts in `intent` or
`sent` looks at them; it never sends to them again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from actions import order_tables, taking_tables
from actions.around import Around
from actions.evidence_case import is_well
from actions.following import (
    NEVER_AFTER_S,
    Arrival,
    arrival,
    consequence_of,
    has_rebooted,
    judged,
    quarantine_of,
    settled,
    since,
)
from actions.leases import Busy, claim, give_back, renew
from actions.looking import Basis, Clock, Looker
from actions.order_rows import HostRow
from actions.order_tables import Moved
from actions.orderbook import Book, NotPermitted, Permit, placed, step_of
from actions.orders import Outcome, Phase, Placed, Step, Verb
from actions.placing import plan_one
from actions.remote.order import read_reply
from actions.remote.sudoers import TEXTS
from actions.sending import not_sent
from actions.taking import Hold
from actions.uploading import Payload, take_away, upload
from collectors.errors import ConnectFailed, OutcomeUnknown
from collectors.records import Lease
from collectors.tables import LeaseLost
from collectors.transport import Transport

LEFT = "the process that ran the order ended before its turn; ask again"
LEASE_S = 60.0
RENEW_S = 15.0
SEND_TIMEOUT_S = 90.0
"""The text waits up to 20 s for the host's lock, and asks a few programs."""
REPLY_BYTES = 64 * 1024
POLL_S = {Verb.STAGE: 4.0, Verb.ACTIVATE: 5.0, Verb.REBOOT: 5.0, Verb.ROLL_BACK: 5.0}
QUICK_POLL_S = 1.5


class Going(Enum):
    """How far a host is between two phases."""

    DRAINING = "draining"
    BOOTED = "booted"
    """It is seen in another boot."""


@dataclass(slots=True)
class Tools:
    """What a runner works with."""

    transport: Transport
    basis: Basis
    clock: Clock
    payload: Payload | None = None
    told: Callable[[HostRow], None] = lambda row: None
    """Hears of every change of a host."""
    went: Callable[[HostRow, Going], None] = lambda row, going: None
    """Hears of what is no change of its phase."""
    permit: Permit | None = None
    """Why a command must not be sent now, asked in its intent's own transaction."""


class Runner:
    """One order, and what follows from it. Raises Busy where another process runs it."""

    def __init__(self, book: Book, order: Placed, tools: Tools) -> None:
        self._book = book
        self._order = order
        self._tools = tools
        self._looker = Looker(book.conn, tools.transport, tools.basis, tools.clock)
        self._around = Around(book, order, tools.basis, tools.clock)
        self._turns = asyncio.Semaphore(max(1, order.at_once))
        self._stopped: str | None = None

    async def run(self, *, dispatches: bool = True, why: str = LEFT) -> None:
        """To its end. Without `dispatches` only what was sent is followed, what is unknown is looked at once
        more, and the rest is skipped, for this reason; what was taken for it is given back.

        Raises Busy before anything is done, tables.LeaseLost when another process takes over.
        """
        lease = self._book.lease = claim(self._book.conn, self._order.lease_name, LEASE_S)
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(self._keep_lease(lease))
                await self._all_hosts(dispatches=dispatches, why=why)
                await self._consequences()
                await self._give_back_rest(waits=dispatches)
                keeper.cancel()
            self._book.end(self._order, self._now())
        except BaseExceptionGroup as group:
            raise as_one(group, self._order.id) from group
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

    async def _all_hosts(self, *, dispatches: bool, why: str) -> None:
        rows = order_tables.order_hosts(self._book.conn, self._order.id)
        for row in rows:
            self._stop_after(row)
        planned = [row for row in rows if row.phase is Phase.PLANNED]
        if not dispatches and planned:
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
        """Look, decide, prepare, look once more, commit, send, follow."""
        step = await self._fresh_step(row)
        if step is None:
            return
        if self._around.is_wanted:
            step = await self._prepared(row, step)
            if step is None:
                return
        try:
            made = self._book.begin(self._order, row, step, self._now(), permit=self._tools.permit)
        except Moved as error:
            await self._finish(row, step, self._taken_by_another(error))
            return
        except NotPermitted as error:
            await self._finish(row, step, Outcome(Phase.NOT_SENT, error.code, error.text, at=self._now()))
            return
        row = self._tell(made)
        failed = await self._send(row.host, step)
        if failed is not None:
            await self._finish(row, step, replace(failed, at=self._now()))
            return
        await self._follow(row, tried_until=self._now())

    async def _fresh_step(self, row: HostRow) -> Step | None:
        """The step by a look of now; None, and written down why, where it is not to be sent."""
        planned = step_of(row)
        look = await self._looker.look(row.host, self._order.asked, self._order.id)
        step = plan_one(self._order, look, self._tools.payload, planned.deadline_s or None)
        if step.phase is not Phase.PLANNED:
            self._tell(self._book.turned_down(self._order, row, step, self._now()))
            return None
        if planned.guard is not None and planned.command != step.command:
            outcome = Outcome(Phase.NOT_SENT, "moved", _moved_words(planned, step), at=self._now())
            self._tell(self._book.finish(self._order, row, outcome, self._now()))
            return None
        return step

    async def _prepared(self, row: HostRow, step: Step) -> Step | None:
        """Lock and drain, then look again: that may have taken long. None where it comes to nothing, and all
        is given back."""
        fresh: Step | None = None
        self._tools.went(row, Going.DRAINING)
        try:
            problem = await self._around.take(row.host, step)
            if problem is not None:
                self._tell(self._book.finish(self._order, row, problem, self._now()))
                return None
            fresh = await self._fresh_step(row)
        except Moved as error:
            outcome = self._taken_by_another(error)
            self._tell(self._book.finish(self._order, row, outcome, self._now()))
            return None
        except asyncio.CancelledError:
            await _to_its_end(self._around.give_back(row.host))
            raise
        if fresh is None:
            await self._let_go(row.host)
        return fresh

    def _taken_by_another(self, error: Moved) -> Outcome:
        return Outcome(Phase.NOT_SENT, "order-at-work", f"{error}; wait for its end", at=self._now())

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
        step, is_back = step_of(row), False
        poll_s = POLL_S.get(self._order.asked.verb, QUICK_POLL_S)
        while True:
            look = await self._looker.look(row.host, self._order.asked, self._order.id, decides=False)
            now = self._now()
            if not is_back and has_rebooted(step, look):
                is_back = True
                self._tools.went(row, Going.BOOTED)
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
        if outcome.phase in (Phase.DONE, Phase.NOT_SENT):
            await self._let_go(row.host)

    async def _let_go(self, host: str) -> None:
        """Give back what was taken for a host that is well, or was not touched."""
        left = await self._around.give_back(host)
        if left is None:
            return
        self._stopped = self._stopped or f"stopped after {host}: {left}"
        row = next(
            row for row in order_tables.order_hosts(self._book.conn, self._order.id) if row.host == host
        )
        self._tell(self._book.add_text(row, left, self._now()))

    async def _give_back_rest(self, *, waits: bool) -> None:
        """Of hosts that failed or whose outcome is not known: once they are well, or a person has let go. Of
        hosts that were not touched: at once. What stays says why; the next look at the host tries again."""
        own = [taken for taken in taking_tables.takings(self._book.conn) if taken.order_id == self._order.id]
        free = {taken.host for taken in own if taken.state is Hold.FREE}
        rows = {row.host: row for row in order_tables.order_hosts(self._book.conn, self._order.id)}
        async with asyncio.TaskGroup() as group:
            for host in {taken.host for taken in own}:
                is_ill = rows[host].phase in (Phase.FAILED, Phase.UNKNOWN) and host not in free
                group.create_task(self._rest_of(rows[host], is_ill=is_ill, waits=waits))

    async def _rest_of(self, row: HostRow, *, is_ill: bool, waits: bool) -> None:
        if not is_ill or await self._comes_well(row, waits=waits and row.phase is Phase.FAILED):
            await self._let_go(row.host)
        else:
            self._around.keep(row.host, f"it is not seen to be well after {self._order.id}")

    async def _comes_well(self, row: HostRow, *, waits: bool) -> bool:
        """Whether the host is confirmed and as well as before, now or within the time a boot may take."""
        step, begun = step_of(row), self._now()
        while True:
            look = await self._looker.look(row.host, self._order.asked, self._order.id, decides=False)
            if is_well(step, look):
                return True
            if not waits or (self._now() - begun).total_seconds() >= step.confirm_s:
                return False
            await self._tools.clock.sleep(POLL_S.get(self._order.asked.verb, QUICK_POLL_S))

    def _stop_after(self, row: HostRow) -> None:
        """No further host is begun after one that is not as ordered, whichever process saw that."""
        if self._order.stops and row.phase in (Phase.FAILED, Phase.UNKNOWN):
            self._stopped = f"stopped after {row.host}: {row.text}"


async def _to_its_end(work: Coroutine[None, None, object]) -> None:
    """However often this process is told meanwhile to end."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()


def as_one(group: BaseExceptionGroup[BaseException], order_id: str) -> BaseException:
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
    """Look at hosts of earlier orders whose outcome is not known, or for which something is still taken.

    Those that show it now have it, with all that follows from it. Orders that another process carries out
    are left to it.
    """
    names = list(hosts)
    unknown = {row.order_id for row in order_tables.with_unknown_end(conn, names)}
    for order_id in sorted(unknown | {taken.order_id for taken in taking_tables.takings(conn, names)}):
        row = order_tables.one_order(conn, order_id)
        assert row is not None, "an order has its row as long as its hosts"
        with suppress(Busy):
            await Runner(Book(conn), placed(row), tools).run(dispatches=False)
