"""A rollout in the store: its state, and what follows from each input, in one transaction.

What was wanted is written before it is done: child orders stand in the store, with their rows of the record,
in the same transaction as the state that wants them. So a process that ends between two of its steps leaves
nothing that the next one could not see.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from actions import ledger, rollout_tables
from actions.engine import encode, instant
from actions.looking import Clock
from actions.orderbook import Book, new_id, put_order
from actions.orders import Asked, Phase, Placed, Step, asked_words
from actions.record import Actor, Entry, Event
from actions.rollout import advance, may_issue
from actions.rollout_model import Rollout, RolloutState
from actions.rollout_plan import NotAllowed, Now, Plan
from actions.rollout_talk import (
    AskGate,
    CallBack,
    Disarm,
    GiveOrder,
    Input,
    LookAt,
    OrderStage,
    OrderTold,
    RequestKind,
    Said,
    Tell,
)
from collectors.records import Lease

Wanted = Placed | CallBack | AskGate | LookAt
"""What is to be done: child orders as they were placed, and the rest as the state machine said it."""
_actor = msgspec.json.Decoder(Actor).decode
_STOPS = (RequestKind.PAUSE, RequestKind.ABORT)
_RECORDED = (Said.ROLLOUT, Said.COHORT, Said.ANSWER, Said.GATE, Said.STALLED)


@dataclass(frozen=True, slots=True)
class News:
    """An input, and what is written down with it."""

    told: Input
    write: Callable[[sqlite3.Connection], None] = lambda conn: None


class RolloutBook:
    """The one that owns a rollout, by its lease. `told` hears of every event once it is committed."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        rollout_id: str,
        lease: Lease,
        clock: Clock,
        told: Callable[[Tell], None] = lambda tell: None,
    ) -> None:
        self.book = Book(conn, lease)
        self.conn = conn
        self.id = rollout_id
        self._clock = clock
        self._told = told
        plan, state = rollout_tables.plan_of(conn, rollout_id), rollout_tables.state_of(conn, rollout_id)
        assert plan is not None and state is not None, "a rollout has both as long as its row"  # noqa: PT018
        self.plan: Plan = plan
        self.rollout: Rollout = state

    def now(self) -> Now:
        return Now(self._clock.now(), self._clock.wall())

    @property
    def actor(self) -> Actor:
        """In whose name its orders are given."""
        row = rollout_tables.one_rollout(self.conn, self.id)
        assert row is not None, "a rollout's row stays"
        return _actor(row.approved_by or row.actor)

    def take(self, news: Sequence[News]) -> list[Wanted]:
        """Go on by the requests that wait, before anything is dispatched, and by these inputs; what is to be
        done now.

        Raises tables.LeaseLost where another process has taken over.
        """
        said: list[Tell] = []
        with self.book.transaction():
            made, wanted = self.rollout, list[Wanted]()
            for row in rollout_tables.requests(self.conn, self.id):
                try:
                    made = self._go_on(made, row.request, wanted, said)
                except NotAllowed as error:
                    rollout_tables.answer_request(self.conn, row.n, str(error))
                    continue
                if row.request.kind is RequestKind.APPROVE:
                    rollout_tables.put_approver(self.conn, self.id, row.actor)
                rollout_tables.answer_request(self.conn, row.n, "")
            for item in news:
                item.write(self.conn)
                made = self._go_on(made, item.told, wanted, said)
            if made != self.rollout:
                rollout_tables.save_rollout(self.conn, self.plan, self.rollout, made, self._at())
        self.rollout = made
        for tell in said:
            self._told(tell)
        return wanted

    def _go_on(self, made: Rollout, told: Input, wanted: list[Wanted], said: list[Tell]) -> Rollout:
        """One input, and the placing of the orders that it leads to."""
        inputs: deque[Input] = deque([told])
        while inputs:
            made, intents = advance(self.plan, made, inputs.popleft(), self.now())
            for intent in intents:
                match intent:
                    case GiveOrder() | Disarm():
                        order = self._place(intent.host, intent.asked)
                        wanted.append(order)
                        inputs.append(OrderTold(intent.host, order.id, intent.asked.verb, OrderStage.PLANNED))
                    case Tell():
                        said.append(intent)
                        self._write(intent)
                    case _:
                        wanted.append(intent)
        return made

    def _place(self, host: str, asked: Asked) -> Placed:
        now = self._clock.now()
        order = Placed(new_id(now), now, asked, self.actor, after=self.id)
        machine_id = self.plan.by_name[host].machine_id
        put_order(self.conn, order, [Step(host, Phase.PLANNED, machine_id=machine_id, verb=asked.verb)], now)
        text = f"{asked_words(asked)} on {host}, by rollout {self.id}"
        entry = Entry(now, order.actor, asked.verb, Event.ASKED, host=host, order=order.id, text=text)
        ledger.append(self.conn, [entry])
        return order

    def _write(self, tell: Tell) -> None:
        at = self._at()
        rollout_tables.add_event(self.conn, self.id, at, tell.kind, tell.about, tell.text, tell.cause)
        if tell.kind in _RECORDED:
            about = f"{tell.about}: " if tell.about else ""
            cause = f" ({tell.cause})" if tell.cause else ""
            text = f"{about}{tell.text}{cause}"
            entry = Entry(self._clock.now(), self.actor, "rollout", Event.ROLLOUT, order=self.id, text=text)
            ledger.append(self.conn, [entry])

    def _at(self) -> str:
        return instant(self._clock.now())

    # -- child orders -------------------------------------------------------------------------

    def why_not(self, host: str, asked: Asked) -> tuple[str, str] | None:
        """Why a child order must not be sent now: code and sentence; asked in its intent's own transaction.

        A pause or an abort that is asked for counts from the moment it stands in the store.
        """
        state = self.rollout.hosts[host]
        if state.is_called_back:
            return "called-back", f"the rollout called it back: {self.rollout.why or self.rollout.state}"
        is_ours = asked.verb.reboots
        if is_ours and any(row.request.kind in _STOPS for row in rollout_tables.requests(self.conn, self.id)):
            return "called-back", "a pause or an abort of its rollout is asked for"
        why = may_issue(self.plan, self.rollout, host, self.now()) if is_ours else None
        if why is None:
            return None
        if self.rollout.state is not RolloutState.RUNNING:
            return "called-back", why
        return "window-shut" if "window" in why else "budget-used", why

    def keep_baseline(self, host: str, step: Step) -> None:
        if step.baseline is not None:
            with self.book.transaction():
                rollout_tables.put_baseline(self.conn, self.id, host, encode(step.baseline).decode())
