"""What a look says of a host to which an order was sent, and what follows from its outcome. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from hashlib import sha256

from actions.evidence import judge_outcome
from actions.order_rows import HostRow, Quarantined
from actions.orders import Asked, Outcome, Phase, Placed, Step, Verb
from actions.policy_look import Look, is_version
from collectors.observation import Answer

NEVER_AFTER_S = 30.0
"""A command on a connection that was cut has begun by then, or never will."""
STUCK_AFTER_S = 120.0
"""An order that took the host and started nothing by then was killed in between."""
LOST_AFTER_S = 900.0
"""Past every deadline of a step: whatever its looks say, its outcome is unknown then."""


class Arrival(Enum):
    """Whether a command reached a host of which only the intent is known."""

    ARRIVED = "arrived"
    NEVER = "never"
    OPEN = "open"


def since(row: HostRow) -> datetime:
    """Since when the evidence of a host is awaited: its intent, where nothing tells that it arrived."""
    return datetime.fromisoformat(row.sent_at or row.since)


def arrival(row: HostRow, step: Step, look: Look, now: datetime) -> Arrival:
    """By what the host shows: the order's unit, or its file, or another boot."""
    extra, elapsed_s = look.extra, (now - since(row)).total_seconds()
    if extra is None or not extra.complete or extra.unit is None:
        return Arrival.OPEN
    if extra.unit.load == "loaded" or has_rebooted(step, look):
        return Arrival.ARRIVED
    is_held = extra.order is not None and extra.order.order == row.order_id
    return Arrival.NEVER if elapsed_s >= (STUCK_AFTER_S if is_held else NEVER_AFTER_S) else Arrival.OPEN


def has_rebooted(step: Step, look: Look) -> bool:
    boot = look.seen.facts.identity.boot_id if isinstance(look.seen, Answer) else None
    return boot is not None and step.guard is not None and boot != step.guard.boot_id


def judged(row: HostRow, step: Step, look: Look, now: datetime) -> Outcome | None:
    """What became of the step; None: look again. Every step ends: what is never told is unknown."""
    begun = since(row)
    late_s = (now - begun).total_seconds() - step.deadline_s
    if row.phase is Phase.INTENT and late_s < 0 and not has_rebooted(step, look):
        return None
    outcome = judge_outcome(step, begun, look, now)
    if outcome is None and late_s > step.confirm_s + LOST_AFTER_S:
        return Outcome(Phase.UNKNOWN, "unknown", "its looks never told what became of it", at=now)
    return outcome


def settled(row: HostRow, step: Step, look: Look, now: datetime) -> Outcome | None:
    """What a later look proves of a step whose outcome was not known; None: it is still not known."""
    outcome = judge_outcome(step, since(row), look, now)
    return None if outcome is None or outcome.phase is Phase.UNKNOWN else outcome


def quarantine_of(order: Placed, step: Step, outcome: Outcome, now: datetime) -> Quarantined | None:
    """The version that the machine is not to get again: it did not come up, or was rolled back from."""
    version, reason = None, ""
    if outcome.code == "reverted" and step.verb is Verb.ACTIVATE:
        version, reason = (step.goal.version if step.goal else None), "it did not come up"
    elif outcome.code == "rolled-back":
        version, reason = (step.baseline.version if step.baseline else None), "it was rolled back from it"
    if version is None or not is_version(version) or step.machine_id is None:
        return None
    at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Quarantined(step.machine_id, version, step.host, reason, order.id, at)


def consequence_of(order: Placed, step: Step, outcome: Outcome, now: datetime) -> tuple[Placed, Step] | None:
    """What must be done at the host because of this outcome, as an order of its own with its own intent.

    Another version than asked for is cancelled at once. A host that went back gets its updates switched off,
    or its next check fetches again what did not come up.
    """
    match order.asked.verb, outcome.code:
        case Verb.STAGE, "wrong-version":
            asked = Asked(Verb.CANCEL)
        case Verb.ACTIVATE, "reverted":
            asked = Asked(Verb.UPDATES, mode="off")
        case _:
            return None
    digest = int.from_bytes(sha256(f"{order.id} {step.host} {asked.verb}".encode()).digest()[:9], "big")
    name = f"o-{_base36(digest)}"
    after = Placed(name, now, asked, order.actor, after=order.id)
    return after, Step(step.host, Phase.PLANNED, machine_id=step.machine_id, verb=asked.verb)


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits.rjust(6, "0")
