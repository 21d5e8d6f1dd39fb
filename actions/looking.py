"""A look at one host for an order: probe, preflight and slot proof over one connection, stored and joined.

What it finds permits or proves; what was stored before only adds what the host itself forgets.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from actions import order_tables
from actions.collect import PROBE_TIMEOUT_S, stored_wishes
from actions.engine import kept, record
from actions.health import ask_health
from actions.orders import Asked, Phase, Verb
from actions.policy_look import UNWISHED, Look
from actions.remote.aftermath import AFTERMATH_COMMAND, Aftermath, aftermath_stdin, read_aftermath
from actions.remote.extra import Extra, parse_extra
from actions.remote.preflight import PREFLIGHT_COMMAND, preflight_stdin
from actions.remote.slot_proof import (
    PROOF_COMMAND,
    VERIFY_TIMEOUT_S,
    Proof,
    ProofResult,
    proof_stdin,
    read_proof,
)
from actions.remote.words import Unsendable
from actions.taking import words_around
from actions.windows import reboot_windows
from collectors import tables
from collectors.errors import ConnectFailed, OutcomeUnknown
from collectors.fleet_model import Fleet, FleetHost, Window
from collectors.observation import Answer, Observation
from collectors.probe import LIMIT_BYTES, probe_command
from collectors.releases import Feed
from collectors.sweep import Ask, look
from collectors.transport import Completed, Target, Transport

PREFLIGHT_TIMEOUT_S = 60.0
ORDERS_REMEMBERED = 50
"""A host's own orders that may still stand in its /run."""


class Clock(Protocol):
    """The times by which orders are judged. Both are aware UTC."""

    def now(self) -> datetime:
        """It never jumps: durations are measured by it."""
        ...

    def wall(self) -> datetime:
        """As this machine's clock is set: windows are judged by it."""
        ...

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Basis:
    """What orders are made with beside the hosts themselves."""

    fleet: Fleet
    targets: Mapping[str, Target]
    feed: Feed | None
    payload_bytes: int | None = None
    """All files of a `stage --payload` together."""
    own_windows: tuple[Window, ...] | None = None
    """Those of a rollout's plan, in place of the fleet file's."""
    hosts: Mapping[str, FleetHost] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hosts", {host.name: host for host in self.fleet.hosts})

    @property
    def windows(self) -> tuple[Window, ...]:
        """In which hosts may be rebooted; none: at any time."""
        return reboot_windows(self.fleet) if self.own_windows is None else self.own_windows


class Looker:
    """Looks at hosts and stores what it sees."""

    def __init__(self, conn: sqlite3.Connection, transport: Transport, basis: Basis, clock: Clock) -> None:
        self._conn = conn
        self._transport = transport
        self._basis = basis
        self._clock = clock
        self._salt = bytes.fromhex(tables.setting(conn, "salt") or "")
        self._command = probe_command(basis.fleet.health.units)

    async def look(
        self, host: str, asked: Asked, order_id: str | None = None, *, decides: bool = True
    ) -> Look:
        """The host as it is now, with everything that a decision about `asked` needs; not `decides`: with
        what proves an outcome, so without the slot proof, which takes its time."""
        target = self._basis.targets[host]
        timeout_s = self._basis.hosts[host].ssh.probe_timeout_s or PROBE_TIMEOUT_S
        ask, wall = Ask(target, timeout_s), self._clock.wall
        seen = await look(self._transport, ask, self._command, salt=self._salt, now=wall)
        extra = await self._preflight(target, order_id) if isinstance(seen, Answer) else None
        proof = None
        if (
            decides
            and asked.verb is Verb.ROLL_BACK
            and isinstance(seen, Answer)
            and seen.facts.running is not None
        ):
            proof = await self._proof(target, seen.facts.running.other)
        health: dict[str, bool] = {}
        if asked.verb.reboots and isinstance(seen, Answer):
            wanted = self._basis.fleet.health
            health = await ask_health(self._transport, target, self._basis.hosts[host], wanted)
        return replace(self._joined(host, asked, order_id, seen, extra), proof=proof, health=health)

    async def aftermath(self, host: str) -> Aftermath:
        """What the host wrote in the boot before; nothing where it does not say."""
        mark = secrets.token_hex(16)
        done = await self._ask(
            self._basis.targets[host], AFTERMATH_COMMAND, aftermath_stdin(mark), PREFLIGHT_TIMEOUT_S
        )
        return read_aftermath(done.stdout, mark, salt=self._salt) if done else Aftermath()

    async def _preflight(self, target: Target, order_id: str | None) -> Extra | None:
        mark = secrets.token_hex(16)
        stdin = preflight_stdin(mark, order_id)
        done = await self._ask(target, PREFLIGHT_COMMAND, stdin, PREFLIGHT_TIMEOUT_S)
        return parse_extra(done.stdout, mark, salt=self._salt) if done else None

    async def _proof(self, target: Target, slot: str) -> Proof:
        mark = secrets.token_hex(16)
        done = await self._ask(target, PROOF_COMMAND, proof_stdin(mark, slot), VERIFY_TIMEOUT_S + 30.0)
        if done is None:
            return Proof(ProofResult.UNPROVED, reason="not answered")
        return read_proof(done.stdout, mark, done.exit_status)

    async def _ask(self, target: Target, command: str, stdin: str, timeout_s: float) -> Completed | None:
        """A read-only question; None where it was not answered to its end."""
        try:
            return await self._transport.run(
                target, command, stdin.encode(), timeout_s=timeout_s, limit_bytes=LIMIT_BYTES
            )
        except (ConnectFailed, OutcomeUnknown, Unsendable):
            return None

    def _joined(
        self,
        host: str,
        asked: Asked,
        order_id: str | None,
        seen: Observation,
        extra: Extra | None,
    ) -> Look:
        conn, basis, now = self._conn, self._basis, self._clock.now()
        before, after = words_around(basis.fleet.hooks, basis.fleet.fleetlock, basis.hosts[host])
        wanted = stored_wishes(conn, basis.fleet, [basis.hosts[host]])
        record(conn, [seen], wanted, basis.feed)
        row = tables.one_host(conn, host)
        machine_id = row.machine_id if row else None
        twins = tuple(name for name in tables.twins(conn, host, machine_id) if name in basis.hosts)
        pin = order_tables.pins(conn).get(host)
        own = order_tables.orders_of(conn, host, ORDERS_REMEMBERED)
        unknown = [
            f"{order.verb} of {order.at[:16]}Z ({order.id})"
            for order, state in own
            if state.phase is Phase.UNKNOWN and order.id != order_id
        ]
        return Look(
            host=basis.hosts[host],
            seen=seen,
            now=now,
            wall=self._clock.wall(),
            wish=wanted.get(host, UNWISHED),
            extra=extra,
            memory=kept(row).memory if row else None,
            feed=basis.feed,
            windows=basis.windows if asked.verb.reboots else (),
            pin=pin.version if pin else None,
            quarantine=self._quarantine(machine_id),
            twins=twins,
            own_orders=tuple(order.id for order, _ in own) + ((order_id,) if order_id else ()),
            unknown_outcome=", ".join(unknown) or None,
            budget_used=self._disturbed(host, order_id) if asked.verb.reboots else None,
            fleetlock=basis.fleet.fleetlock is not None,
            before=before,
            after=after,
            payload_bytes=basis.payload_bytes,
            cgroup_v1=extra.cgroup_v1 if extra else None,
        )

    def _quarantine(self, machine_id: str | None) -> tuple[str, ...]:
        found = order_tables.quarantined(self._conn, machine_id) if machine_id is not None else []
        return tuple(item.version for item in found)

    def _disturbed(self, host: str, order_id: str | None) -> str | None:
        """Hosts that others reboot now: one-shot orders do not add to them, and a rollout counts its own."""
        own = order_tables.one_order(self._conn, order_id) if order_id is not None else None
        family = own.after if own is not None else None
        others = set()
        for row in order_tables.at_work(self._conn):
            order = order_tables.one_order(self._conn, row.order_id)
            is_kin = order is not None and family is not None and order.after == family
            if order is None or row.host == host or row.order_id == order_id or is_kin:
                continue
            if Verb(order.verb).reboots:
                others.add(f"{row.host} ({row.order_id})")
        return ", ".join(sorted(others)[:3]) or None
