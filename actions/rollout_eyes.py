"""What a rollout sees beside its orders: hosts that settle and soak, and the answers of its gates."""

from __future__ import annotations

import asyncio
import sqlite3
from hashlib import sha256

import msgspec

from actions import gates, rollout_tables
from actions.engine import encode, instant
from actions.evidence_case import is_well
from actions.gate_judging import judge
from actions.gates import SeenHost
from actions.looking import Looker
from actions.orders import Baseline, Phase, Step
from actions.policy_look import Look
from actions.rollout_book import News, RolloutBook
from actions.rollout_model import HostPhase
from actions.rollout_talk import AskGate, GateTold, Seen
from actions.runner import Tools
from collectors import tables
from collectors.fleet_model import GateKind
from collectors.observation import Answer

LOOK_AGAIN_S, SOONEST_S = 15.0, 2.0
"""A second look so soon after the first tells nothing new; with a short settle time it comes sooner."""
LOOKS_AT_ONCE = 64
_baseline = msgspec.json.Decoder(Baseline).decode
_ILL = "not confirmed, or worse than before the rollout touched it"


class Eyes:
    """Of one rollout."""

    def __init__(self, book: RolloutBook, tools: Tools) -> None:
        self._book = book
        self._clock = tools.clock
        self._looker = Looker(book.conn, tools.transport, tools.basis, tools.clock)
        self._looks = asyncio.Semaphore(LOOKS_AT_ONCE)
        self._looked_at: dict[str, float] = {}
        self._salt = bytes.fromhex(tables.setting(book.conn, "salt") or "")

    async def seen(self, host: str) -> Seen:
        look = await self._look(host)
        facts = look.facts
        if facts is None:
            why = look.seen.detail if not isinstance(look.seen, Answer) else "not read"
            return Seen(host, None, why=why)
        well = is_well(self._step(host, look), look)
        return Seen(host, well, facts.os.version_id, facts.identity.boot_id, "" if well else _ILL)

    async def asked(self, wanted: AskGate) -> News:
        """A gate's answer, and its raw evidence that is written down with it."""
        book = self._book
        gate = next(gate for gate in book.plan.gates if gate.name == wanted.gate)
        states: list[SeenHost] = []
        if gate.kind in (GateKind.HEALTH, GateKind.CONTRACT):
            states = await self._host_states(gate.kind, wanted.cohort)
        answer = await gates.ask_gate(gate, salt=self._salt, host_states=states)
        judged = judge(gate, answer)
        raw = encode(answer).decode()
        digest = sha256(raw.encode()).hexdigest()
        at = instant(self._clock.now())
        told = {"verdict": str(judged.verdict), "text": judged.text, "digest": digest}

        def write(conn: sqlite3.Connection) -> None:
            rollout_tables.add_gate_answer(conn, book.id, at, wanted.cohort, gate.name, told, raw)

        return News(GateTold(gate.name, judged.verdict, digest, judged.text), write)

    async def _host_states(self, kind: GateKind, cohort: str) -> list[SeenHost]:
        """Every done host of a cohort, looked at now."""
        plan, hosts = self._book.plan, self._book.rollout.hosts
        number = next(place for place, item in enumerate(plan.cohorts) if item.name == cohort)
        counted = (HostPhase.DONE, HostPhase.EXCEPTION)
        names = [own.name for own in plan.by_cohort[number] if hosts[own.name].phase in counted]

        async def one(name: str) -> SeenHost:
            look = await self._look(name)
            if look.facts is None:
                return SeenHost(name, None, "it does not answer")
            if kind is GateKind.CONTRACT:
                return gates.contract(name, self._baseline(name), look.facts)
            well = is_well(self._step(name, look), look)
            return SeenHost(name, well, "" if well else _ILL)

        return list(await asyncio.gather(*(one(name) for name in names)))

    async def _look(self, host: str) -> Look:
        again_s = min(LOOK_AGAIN_S, max(SOONEST_S, self._book.plan.settle_s / 4))
        since_s = self._clock.now().timestamp() - self._looked_at.get(host, float("-inf"))
        if since_s < again_s:
            await self._clock.sleep(again_s - since_s)
        async with self._looks:
            look = await self._looker.look(host, self._book.plan.turning, decides=False)
        self._looked_at[host] = self._clock.now().timestamp()
        return look

    def _baseline(self, host: str) -> Baseline | None:
        """How it was before this rollout touched it; None: it never did."""
        found = rollout_tables.baseline(self._book.conn, self._book.id, host)
        return _baseline(found) if found is not None else None

    def _step(self, host: str, look: Look) -> Step:
        """What its look is compared with. Of a host that was never touched: no unit may have failed."""
        machine_id = self._book.plan.by_name[host].machine_id
        if machine_id is None and look.facts is not None:
            machine_id = look.facts.identity.machine_id
        baseline = self._baseline(host) or Baseline()
        return Step(host, Phase.PLANNED, machine_id=machine_id, baseline=baseline)
