"""Real plans of simulated hosts, requests that answer with them, and a dashboard that asks these."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from actions.orders import Asked, Verb
from console.app import FleetApp
from console.board import Look
from console.cli.context import Console
from console.live import Live
from console.order_document import exit_code, host_document, order_document
from console.ordering_plan import Dialog, Subject, planned, read_plan
from console.ordering_rules import Extent
from console.panes.foot import Foot
from console.panes.head import Head
from console.requests import RequestFailed
from console.rows import HostRow, SlotCell
from tests.panes.still import NOW, until
from tests.unit.order_lab import NEW, OLD, OrderLab

Json = dict[str, Any]
SEEN = datetime(2026, 8, 18, 10, 20, tzinfo=UTC)


def dry_run(lab: OrderLab, asked: Asked, *hosts: str, at_once: int = 1) -> Json:
    """What `fleetctl VERB … --dry-run --json` prints."""
    order, steps = lab.plan(asked, *hosts, at_once=at_once)
    code = exit_code(((step.phase, None) for step in steps), is_plan=True)
    told = [host_document(step, step.phase) for step in steps]
    found: Json = json.loads(json.dumps(order_document(order, told, dry_run=True, head=None, code=code)))
    return found


def renamed(document: Json, names: Mapping[str, str]) -> Json:
    """The same plan for hosts of other names."""
    hosts = [host | {"host": names[host["host"]]} for host in document["hosts"] if host["host"] in names]
    return document | {"hosts": hosts}


def row(name: str, running: str = "A", **changes: Any) -> HostRow:
    """A host with NEW staged beside OLD."""
    was, now = SlotCell(OLD, 1, 0, True, False), SlotCell(NEW, 2, 1, False, False)
    slots = (was, now) if running == "A" else (now, was)
    values: dict[str, Any] = {
        "state": "staged", "version": OLD, "running": running, "next": "B" if running == "A" else "A",
        "slot_a": slots[0],
        "slot_b": slots[1], "reach": "ok", "taken_at": SEEN,
    }  # fmt: skip
    return HostRow(name, "192.0.2.1", **(values | changes))


def subject(document: Json, **changes: Any) -> Subject:
    hosts = tuple(host["host"] for host in document["hosts"])
    values: dict[str, Any] = {
        "verb": Verb(document["verb"]), "hosts": hosts, "arguments": (),
        "extent": Extent("prod", 3214, (("edge", ("edge-1", "edge-2")),)),
    }  # fmt: skip
    return Subject(**(values | changes))


def dialog_of(document: Json, rows: Sequence[HostRow] = (), **changes: Any) -> Dialog:
    """The confirmation of a plan."""
    rows = rows or [row(host["host"]) for host in document["hosts"]]
    by_name = {one.name: one for one in rows}
    return planned(Dialog(subject(document, **changes)), read_plan(document), by_name)


def many(lab: OrderLab, count: int) -> Json:
    """A plan that activates so many hosts, all like the lab's first."""
    document = dry_run(lab, Asked(Verb.ACTIVATE), "lab-1")
    (one,) = document["hosts"]
    return document | {"hosts": [one | {"host": f"k8s-fra-w{number:03}"} for number in range(count)]}


@dataclass(slots=True)
class FakeRequests:
    """Answers with what is given; what was asked for is kept."""

    document: Json | str
    """A plan, or why there is none."""
    order_problem: str = ""
    gate: asyncio.Event | None = None
    """Plans wait for it."""
    order_gate: asyncio.Event | None = None
    plans: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    orders: list[tuple[str, tuple[str, ...], tuple[str, ...], str]] = field(default_factory=list)
    plain: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = field(default_factory=list)
    told: list[tuple[str, ...]] = field(default_factory=list)
    """What rollouts were told."""
    given_up: int = 0
    """Plans that nobody waited for any more."""

    async def plan(self, verb: str, hosts: Sequence[str], arguments: Sequence[str]) -> Json:
        self.plans.append((str(verb), tuple(hosts), tuple(arguments)))
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.given_up += 1
                raise
        if isinstance(self.document, str):
            raise RequestFailed(self.document)
        return self.document

    async def order(self, verb: str, hosts: Sequence[str], arguments: Sequence[str], digest: str) -> Json:
        self.orders.append((str(verb), tuple(hosts), tuple(arguments), digest))
        if self.order_gate is not None:
            await self.order_gate.wait()
        if self.order_problem:
            raise RequestFailed(self.order_problem)
        return {"id": "o-tp0u9cbiskr"}

    async def tell_rollout(self, words: Sequence[str]) -> str:
        self.told.append(tuple(words))
        return "done"

    async def run_plain(self, verb: str, hosts: Sequence[str], arguments: Sequence[str]) -> str:
        self.plain.append((str(verb), tuple(hosts), tuple(arguments)))
        return f"{hosts[0]}: held, ops-7"


def lab_in(directory: Path, *scenarios: str) -> OrderLab:
    return OrderLab(directory, scenarios)


# The dashboard


Act = Callable[[FleetApp, Pilot[int]], Awaitable[None]]


class Clock:
    """The app's, moved by hand."""

    def __init__(self) -> None:
        self.now = NOW + timedelta(seconds=14)

    def __call__(self) -> datetime:
        return self.now


def walk(
    fleet_file: Path,
    requests: FakeRequests,
    act: Act,
    *,
    clock: Clock | None = None,
    size: tuple[int, int] = (120, 40),
) -> None:
    async def run() -> None:
        live = Live(Console(fleet_file, "always", False), sweeps=False, clock=clock or Clock())
        app = FleetApp(live, Look(), requests)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.board is not None and app.fleet.chosen is not None)
            await act(app, pilot)

    asyncio.run(run())


def head(app: FleetApp) -> str:
    return app.screen_stack[0].query_one(Head).lines[0]


def said(app: FleetApp) -> str:
    return app.screen.query_one(Foot).said


async def opened(app: FleetApp, pilot: Pilot[int], *keys: str) -> None:
    """Unlocked, and the confirmation of what these keys ask for has its plan."""
    await pilot.press("u", *keys)
    await until(pilot, lambda: app.dialog is not None and app.dialog.dialog.plan is not None)
