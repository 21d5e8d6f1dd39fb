"""Rollouts carried out on a simulated fleet in memory, in simulated time."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from actions import rollout_tables
from actions.engine import encode, instant
from actions.order_rows import HostRow
from actions.rollout import begin
from actions.rollout_book import RolloutBook
from actions.rollout_engine import Engine
from actions.rollout_model import Rollout, RolloutState
from actions.rollout_plan import ActionKind, Now, Plan, PlanCohort, PlanHost, RolloutAction
from actions.rollout_talk import Request, RequestKind, Tell
from actions.runner import Tools
from collectors import store
from tests.unit.order_lab import ACTOR, NEW, OLD, OrderLab


def plan_for(names: Sequence[str], cohorts: Sequence[tuple[PlanCohort, int]], **more: object) -> Plan:
    """A release of NEW; each cohort takes so many of the hosts, in their order."""
    hosts, at = list[PlanHost](), 0
    for number, (_, count) in enumerate(cohorts):
        hosts += [PlanHost(name, number, running_version=OLD) for name in names[at : at + count]]
        at += count
    action = RolloutAction(ActionKind.RELEASE, version=NEW)
    usual: dict[str, object] = {"budget": 2, "settle_s": 600, "snapshot": "s"}
    parts = tuple(cohort for cohort, _ in cohorts)
    return Plan("r-lab", "lab", action, tuple(hosts), parts, **{**usual, **more})  # type: ignore[arg-type]


@dataclass(slots=True)
class RolloutLab:
    """A rollout of `plan` on the hosts of `lab`."""

    lab: OrderLab
    plan: Plan
    events: list[Tell] = field(default_factory=list)
    rows: list[HostRow] = field(default_factory=list)

    def open(self) -> sqlite3.Connection:
        return self.lab.open()

    @property
    def now(self) -> Now:
        return Now(self.lab.clock.now(), self.lab.clock.wall())

    def place(self) -> None:
        """Planned and approved."""
        with closing(self.open()) as conn, store.transaction(conn):
            made = begin(self.plan, self.now)
            actor = encode(ACTOR).decode()
            rollout_tables.put_rollout(
                conn, self.plan, made, at=instant(self.now.steady), title=NEW, actor=actor
            )
        self.ask(RequestKind.APPROVE)

    def ask(self, kind: RequestKind, reason: str = "", *hosts: str) -> int:
        with closing(self.open()) as conn, store.transaction(conn):
            request = Request(kind, "jo", reason, hosts)
            actor = encode(ACTOR).decode()
            return rollout_tables.add_request(conn, self.plan.id, instant(self.now.steady), request, actor)

    def run(self, *, dispatches: bool = True, until: Callable[[RolloutBook], bool] | None = None) -> Rollout:
        """`fleetctl run ID`: until it is over, halted or waits for a person, or `until`."""
        with closing(self.open()) as conn:
            tools = Tools(self.lab.transport, self.lab.basis, self.lab.clock, told=self.rows.append)
            engine = Engine(conn, self.plan.id, tools, self.events.append)
            asyncio.run(engine.run(dispatches=dispatches, until=until or needs_a_person))
        return self.state

    @property
    def state(self) -> Rollout:
        with closing(store.open_reader(self.lab.database)) as conn:
            found = rollout_tables.state_of(conn, self.plan.id)
        assert found is not None
        return found

    def phases(self) -> Mapping[str, str]:
        return {name: str(state.phase) for name, state in self.state.hosts.items()}


def needs_a_person(book: RolloutBook) -> bool:
    return book.rollout.state in (RolloutState.HALTED, RolloutState.PAUSED) and not book.rollout.orders
