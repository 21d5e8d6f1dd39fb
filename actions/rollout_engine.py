"""Carries a rollout out: one process, by lease. What `fleetctl run ID` runs for one.

The state machine decides (actions.rollout); here its child orders are carried out side by side, hosts are
looked at and gates asked, and what they tell is fed back. Nothing is remembered here that is not in the
store: a process that takes over looks at what stands there, and never sends again what may have been sent.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from actions import order_tables
from actions.leases import Busy, claim, give_back, renew
from actions.looking import Basis
from actions.order_rows import HostRow
from actions.orderbook import Book, placed, step_of
from actions.orders import Phase, Placed, Verb
from actions.rollout import is_over
from actions.rollout_book import News, RolloutBook, Wanted
from actions.rollout_eyes import Eyes
from actions.rollout_model import HostPhase, RolloutState
from actions.rollout_plan import ActionKind
from actions.rollout_talk import (
    AskGate,
    CallBack,
    LookAt,
    OrderStage,
    OrderTold,
    Request,
    RequestKind,
    Tell,
    Tick,
)
from actions.runner import LEASE_S, RENEW_S, Going, Runner, Tools, as_one

TICK_S = 2.0
SETTLE_EVERY_S = 60.0
"""Between two looks at hosts whose order's outcome nobody knows."""
_ENDS = {
    Phase.DONE: OrderStage.DONE,
    Phase.ALREADY: OrderStage.ALREADY,
    Phase.REFUSED: OrderStage.REFUSED,
    Phase.NOT_SENT: OrderStage.NOT_SENT,
    Phase.SKIPPED: OrderStage.NOT_SENT,
    Phase.FAILED: OrderStage.FAILED,
    Phase.UNKNOWN: OrderStage.UNKNOWN,
}
_ON_THE_WAY = {Phase.INTENT: OrderStage.ISSUED, Phase.SENT: OrderStage.AWAITING}
_GOING = {Going.DRAINING: OrderStage.DRAINING, Going.BOOTED: OrderStage.VERIFYING}


@dataclass(slots=True)
class Child:
    """A child order that is carried out now."""

    order: Placed
    host: str
    task: asyncio.Task[None] | None = None
    has_begun: bool = False
    has_issued: bool = False
    is_called_back: bool = False
    is_told: bool = False
    """Its end was told already; what follows from that on the host may still be under way."""


class Engine:
    """One rollout, to its end. Raises Busy where another process runs it."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        rollout_id: str,
        tools: Tools,
        told: Callable[[Tell], None] = lambda tell: None,
    ) -> None:
        self.conn = conn
        self.id = rollout_id
        self._tools = tools
        self._told = told
        self._inbox: list[News] = []
        self._children: dict[str, Child] = {}
        self._looking: set[str] = set()
        self._settled_at: dict[str, float] = {}
        self._settles: set[str] = set()
        """Hosts whose unknown outcome is looked at once more; that never ends, and holds nothing up."""

    @property
    def book(self) -> RolloutBook:
        return self._book

    async def run(
        self, *, dispatches: bool = True, until: Callable[[RolloutBook], bool] | None = None
    ) -> None:
        """Until it is over, or `until` says so once nothing is on its way. Without `dispatches` it is paused,
        and what was sent is followed.

        Raises Busy before anything is done, tables.LeaseLost when another process takes over.
        """
        lease = claim(self.conn, f"rollout {self.id}", LEASE_S)
        try:
            self._book = RolloutBook(self.conn, self.id, lease, self._tools.clock, self._told)
            basis = replace(self._tools.basis, own_windows=self._book.plan.windows)
            self._tools = replace(self._tools, basis=basis)
            self._eyes = Eyes(self._book, self._tools)
            async with asyncio.TaskGroup() as group:
                self._group = group
                keeper = group.create_task(self._keep_lease())
                if not dispatches:
                    self._pause()
                self._reconcile()
                await self._loop(until, dispatches=dispatches)
                keeper.cancel()
        except BaseExceptionGroup as group_error:
            raise as_one(group_error, self.id) from group_error
        finally:
            give_back(self.conn, lease)

    async def _keep_lease(self) -> None:
        lease = self._book.book.lease
        assert lease is not None, "an engine has its lease as long as it runs"
        while True:
            await asyncio.sleep(RENEW_S)
            renew(self.conn, lease, LEASE_S)

    async def _loop(self, until: Callable[[RolloutBook], bool] | None, *, dispatches: bool) -> None:
        while True:
            news, self._inbox = [*self._inbox, News(Tick())], []
            for wanted in self._book.take(news):
                self._do(wanted)
            self._settle_unknown()
            is_quiet = not self._children and not self._inbox
            if is_over(self._book.rollout) and is_quiet:
                return
            if is_quiet and (not dispatches or (until is not None and until(self._book))):
                return
            await self._tools.clock.sleep(TICK_S)

    def _pause(self) -> None:
        if self._book.rollout.state in (
            RolloutState.RUNNING,
            RolloutState.APPROVED,
            RolloutState.ROLLING_BACK,
        ):
            why = f"its process ended; `fleetctl run {self.id}` and resume go on"
            self._inbox.append(News(Request(RequestKind.PAUSE, "fleetctl", why)))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._group.create_task(work)

    def _do(self, wanted: Wanted) -> None:
        match wanted:
            case Placed():
                (row,) = order_tables.order_hosts(self.conn, wanted.id)
                self._carry(wanted, row.host)
            case CallBack():
                self._call_back(wanted)
            case LookAt():
                if wanted.host not in self._looking:
                    self._looking.add(wanted.host)
                    self._start(self._look_at(wanted.host))
            case AskGate():
                self._start(self._ask(wanted))

    async def _look_at(self, host: str) -> None:
        try:
            self._inbox.append(News(await self._eyes.seen(host)))
        finally:
            self._looking.discard(host)

    async def _ask(self, wanted: AskGate) -> None:
        news = await self._eyes.asked(wanted)
        number, cohorts = self._book.rollout.current, self._book.plan.cohorts
        if number < len(cohorts) and cohorts[number].name == wanted.cohort:  # else nobody asks any more
            self._inbox.append(news)

    # -- child orders -------------------------------------------------------------------------

    def _reconcile(self) -> None:
        """Child orders that were left open are gone on with; ends that were not told are told."""
        for row in order_tables.consequences(self.conn, self.id):
            order = placed(row)
            for item in order_tables.order_hosts(self.conn, order.id):
                if item.host not in self._book.plan.by_name:
                    continue
                if order.ended_at is None:
                    self._carry(order, item.host)
                elif self._book.rollout.hosts[item.host].order_id == order.id:
                    self._tell_end(order, item)

    def _carry(self, order: Placed, host: str) -> None:
        child = self._children[order.id] = Child(order, host)
        child.task = self._start(self._carry_out(child))

    async def _carry_out(self, child: Child) -> None:
        child.has_begun = True
        try:
            await self._run(child)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not child.is_called_back or task is None:
                raise
            task.uncancel()
            await self._run(child)
        finally:
            self._children.pop(child.order.id, None)
        (row,) = order_tables.order_hosts(self.conn, child.order.id)
        if not child.is_told:
            self._tell_end(child.order, row)

    async def _run(self, child: Child) -> None:
        """To the order's end. One that was called back sends nothing; what was taken for it is given back."""
        order = child.order
        tools = replace(
            self._tools,
            basis=self._basis_of(order),
            told=lambda row: self._child_told(child, row),
            went=lambda row, going: self._tell_stage(order, row.host, _GOING[going]),
            permit=lambda name: self._book.why_not(name, order.asked),
        )
        try:
            runner = Runner(Book(self.conn), order, tools)
            await runner.run(dispatches=not child.is_called_back, why="the rollout called it back")
        except Busy:
            await self._watch(order)

    def _basis_of(self, order: Placed) -> Basis:
        """The way back from a bad release waits for no window."""
        kind, basis = self._book.plan.action.kind, self._tools.basis
        is_way_back = order.asked.verb is Verb.ROLL_BACK and kind is not ActionKind.ROLL_BACK
        return replace(basis, own_windows=()) if is_way_back else basis

    async def _watch(self, order: Placed) -> None:
        """Another process follows it to its end."""
        while True:
            row = order_tables.one_order(self.conn, order.id)
            if row is None or row.ended_at is not None:
                return
            await self._tools.clock.sleep(TICK_S)

    def _child_told(self, child: Child, row: HostRow) -> None:
        self._tools.told(row)
        if row.order_id != child.order.id:
            return
        if row.phase in (Phase.FAILED, Phase.UNKNOWN) and not child.is_told:
            # At once: what the runner still does at this host must not let others be rebooted meanwhile
            child.is_told = True
            self._tell_end(child.order, row)
        stage = _ON_THE_WAY.get(row.phase)
        if stage is None:
            return
        child.has_issued = True
        if stage is OrderStage.ISSUED:
            self._book.keep_baseline(row.host, step_of(row))
        self._tell_stage(child.order, row.host, stage)

    def _tell_stage(self, order: Placed, host: str, stage: OrderStage) -> None:
        self._inbox.append(News(OrderTold(host, order.id, order.asked.verb, stage)))

    def _tell_end(self, order: Placed, row: HostRow) -> None:
        stage = _ENDS.get(row.phase)
        if stage is None:
            return
        code, text = row.code or "", row.text or ""
        other = self._other_version(order, row)
        if other is not None:
            stage, code = OrderStage.FAILED, "wrong-version"
            text = f"the server offered {other}, not {self._book.plan.action.version}"
        self._inbox.append(News(OrderTold(row.host, order.id, order.asked.verb, stage, code, text)))

    def _other_version(self, order: Placed, row: HostRow) -> str | None:
        """What was staged instead, where the server was asked for what it offers."""
        if order.asked.verb is not Verb.STAGE or order.asked.version is not None or row.code != "staged":
            return None
        found = msgspec.json.decode(row.evidence or "{}").get("version")
        return str(found) if found is not None and found != self._book.plan.action.version else None

    def _call_back(self, wanted: CallBack) -> None:
        """End the host's child order, if it has not issued: at its begin, or where it stands."""
        for child in self._children.values():
            if child.host == wanted.host and not child.has_issued:
                child.is_called_back = True
                if child.has_begun and child.task is not None:
                    child.task.cancel()

    def _settle_unknown(self) -> None:
        """Look once more at hosts whose order's outcome nobody knows."""
        now_s = self._tools.clock.now().timestamp()
        counts = self._book.rollout.counts
        if not counts.get(HostPhase.UNKNOWN) and not counts.get(HostPhase.MISSING):
            return
        for name, state in self._book.rollout.hosts.items():
            is_open = state.phase in (HostPhase.UNKNOWN, HostPhase.MISSING) and state.verb is None
            if not is_open or state.order_id in (None, *self._children) or name in self._settles:
                continue
            if now_s - self._settled_at.get(name, float("-inf")) < SETTLE_EVERY_S:
                continue
            self._settled_at[name] = now_s
            row = order_tables.one_order(self.conn, state.order_id or "")
            if row is not None and row.ended_at is not None:
                self._settles.add(name)
                self._start(self._settle(placed(row), name))

    async def _settle(self, order: Placed, host: str) -> None:
        try:
            await Runner(Book(self.conn), order, replace(self._tools, told=self._tools.told)).run(
                dispatches=False
            )
        except Busy:
            return
        finally:
            self._settles.discard(host)
        (row,) = order_tables.order_hosts(self.conn, order.id)
        if row.phase is not Phase.UNKNOWN:
            self._tell_end(order, row)
