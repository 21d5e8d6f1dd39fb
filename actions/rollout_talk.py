"""What is told to a rollout, and what it wants done: its inputs and its intents. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from actions.orders import Asked, Verb
from actions.rollout_model import GateVerdict


class OrderStage(StrEnum):
    """How far a child order is."""

    PLANNED = "planned"
    LEASED = "leased"
    DRAINING = "draining"
    ISSUED = "issued"
    """The intent is committed: from here on it may have been sent."""
    AWAITING = "awaiting"
    VERIFYING = "verifying"
    DONE = "done"
    ALREADY = "already"
    REFUSED = "refused"
    NOT_SENT = "not-sent"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_end(self) -> bool:
        return self in _ENDS


_ENDS = frozenset(
    (
        OrderStage.DONE,
        OrderStage.ALREADY,
        OrderStage.REFUSED,
        OrderStage.NOT_SENT,
        OrderStage.FAILED,
        OrderStage.UNKNOWN,
    )
)


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


@dataclass(frozen=True, slots=True)
class OrderTold:
    """A child order on one host."""

    host: str
    order_id: str
    verb: Verb
    stage: OrderStage
    code: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A look at a host outside its child orders."""

    host: str
    well: bool | None
    """Confirmed and not worse than its own baseline; None: it did not say."""
    version: str | None = None
    boot_id: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class GateTold:
    gate: str
    verdict: GateVerdict
    digest: str = ""
    text: str = ""


class RequestKind(StrEnum):
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"
    RETRY_FAILED = "retry-failed"
    ACCEPT_FAILURES = "accept-failures"
    ROLL_BACK = "roll-back"
    RELEASE_HOST = "release-host"


@dataclass(frozen=True, slots=True)
class Request:
    kind: RequestKind
    actor: str
    reason: str = ""
    hosts: tuple[str, ...] = ()


Input = Tick | OrderTold | Seen | GateTold | Request


@dataclass(frozen=True, slots=True)
class GiveOrder:
    host: str
    asked: Asked


@dataclass(frozen=True, slots=True)
class CallBack:
    """The host's child order must not send any more; its lock and drain are given back, then it ends as
    NOT_SENT. Nothing comes of it where it has issued: then it is followed."""

    host: str
    why: str


@dataclass(frozen=True, slots=True)
class Disarm:
    """A child order `cancel` for the host; told as any other."""

    host: str
    asked: Asked


@dataclass(frozen=True, slots=True)
class AskGate:
    gate: str
    cohort: str


@dataclass(frozen=True, slots=True)
class LookAt:
    host: str


class Said(StrEnum):
    """Kinds of events."""

    ROLLOUT = "rollout"
    COHORT = "cohort"
    HOST = "host"
    GATE = "gate"
    STALLED = "stalled"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Tell:
    """An event for the record and for people."""

    kind: Said
    about: str | None
    """A host's or a cohort's name; None: the rollout itself."""
    text: str
    cause: str = ""


Intent = GiveOrder | CallBack | Disarm | AskGate | LookAt | Tell
