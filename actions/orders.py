"""What can be asked of hosts, and what becomes of it on each of them: the words of the verbs. Pure.

An order is one verb on a frozen list of hosts. Each host of it goes its own way through `Phase`; what is sent
to it, and what counts as done, is in the host's `Step`, made before anything is sent and kept with the order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from actions.record import Actor


class Verb(StrEnum):
    """Verbs that send something to a host."""

    STAGE = "stage"
    CANCEL = "cancel"
    ACTIVATE = "activate"
    REBOOT = "reboot"
    ROLL_BACK = "roll-back"
    CHANNEL = "channel"
    UPDATES = "updates"
    REPAIR = "repair"

    @property
    def reboots(self) -> bool:
        return self in (Verb.ACTIVATE, Verb.REBOOT, Verb.ROLL_BACK)


class Force(StrEnum):
    """Refusals that a person may set aside by name, with a reason. Nothing else can be."""

    WINDOW = "window"
    HOLD = "hold"
    FOREIGN_OWNER = "foreign-owner"
    NO_FALLBACK = "no-fallback"
    DEGRADED = "degraded"
    BUDGET_USED = "budget-used"


class Phase(StrEnum):
    """Where a host of an order stands."""

    PLANNED = "planned"
    """Not looked at yet in this order."""
    REFUSED = "refused"
    """Policy or the host's state forbids it; nothing was sent."""
    ALREADY = "already"
    """It is so already; nothing was sent."""
    INTENT = "intent"
    """Committed to send: from here on only a look at the host tells what happened."""
    SENT = "sent"
    """The host took the order; its evidence is awaited."""
    DONE = "done"
    """The host shows it."""
    FAILED = "failed"
    """Ended, and the host shows that it did not work."""
    UNKNOWN = "unknown"
    """The deadline passed, and what happened cannot be said."""
    NOT_SENT = "not sent"
    """It never reached the host, or the host refused it unchanged."""
    SKIPPED = "skipped"
    """Left out because the order stopped before its turn."""

    @property
    def is_open(self) -> bool:
        return self in (Phase.PLANNED, Phase.INTENT, Phase.SENT)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for."""

    verb: Verb
    version: str | None = None
    """Exact version to stage; None for the server's offer."""
    payload: str | None = None
    """A payload file on the console, for `stage --payload`."""
    extension_payloads: tuple[str, ...] = ()
    channel: str | None = None
    mode: str | None = None
    """Of `updates`: on, off, managed."""
    and_updates_off: bool = False
    """Of `cancel`."""
    accept_drop: tuple[str, ...] = ()
    """Extensions that may be lost."""
    forces: Mapping[Force, str] = field(default_factory=dict)
    """Force -> the reason given."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a verb may not run on a host now; the first is the gravest."""

    code: str
    text: str
    """One sentence, and how it would become possible."""
    evidence: str = ""
    force: Force | None = None
    """The name by which it can be set aside; None: never."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What the command on the host compares again before it acts: the host as the plan saw it."""

    boot_id: str
    slot_a: str
    """`priority=1 tries=0 successful=1`, as `cgpt show` prints it."""
    slot_b: str
    operation: str
    conf_digest: str
    """SHA-256 of /etc/flatcar/update.conf in hex; `absent` where there is none."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What the host must show for the order to be done there; None asks nothing of that."""

    boot_id_not: str | None = None
    running: str | None = None
    """Slot letter."""
    version: str | None = None
    staged: str | None = None
    """Version in the other slot, which boots next."""
    next: str | None = None
    operation: str | None = None
    group: str | None = None
    server: str | None = None
    """Effective update mode: `disabled`, or `self`."""
    extensions: tuple[str, ...] | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Baseline:
    """How the host was when its step was planned: what later looks are measured by."""

    running: str | None = None
    """Slot letter."""
    version: str | None = None
    last_checked_at: datetime | None = None
    """update_engine's own word."""
    check_started_at: datetime | None = None
    """The newest check in its journal, by the host's clock; None: none in that boot."""
    check_failed_at: datetime | None = None
    failed_units: tuple[str, ...] = ()
    active_units: tuple[str, ...] = ()
    """Those of the watched units that were active."""
    containers: int = 0
    health: tuple[str, ...] = ()
    """The fleet file's own questions that were answered well."""


@dataclass(frozen=True, slots=True)
class Step:
    """One host of an order, as planned."""

    host: str
    phase: Phase
    refusals: tuple[Refusal, ...] = ()
    says: tuple[str, ...] = ()
    """What is worth knowing before it is done: what cannot be undone, what comes next by itself."""
    moves: tuple[tuple[str, str | None, str | None], ...] = ()
    """What, from, to: OS, kernel, containerd, docker; None is not known."""
    guard: Guard | None = None
    command: str | None = None
    """The exact command line on the host; the dry run prints it, the record keeps it."""
    stdin: str = ""
    """What it reads: order, guard and values, a line each."""
    before: tuple[str, ...] = ()
    """What the console does for it before the command goes out, in words, in this order."""
    after: tuple[str, ...] = ()
    """What it does once the host is well again, or was not touched."""
    goal: Goal | None = None
    deadline_s: float = 0.0
    machine_id: str | None = None
    verb: Verb | None = None
    confirm_s: float = 0.0
    """From a boot's begin, how long it may take to be confirmed and well."""
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a host's step."""

    phase: Phase
    code: str
    """`staged`, `already-so`, `nothing-offered`, `failed`, `deferred`, `wrong-version`, `reverted`, …"""
    text: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """An order, decoded."""

    id: str
    at: datetime
    asked: Asked
    actor: Actor
    at_once: int = 1
    stops: bool = False
    """The first host that is not as ordered ends it."""
    after: str | None = None
    """The order of which it is a consequence."""
    ended_at: datetime | None = None

    @property
    def lease_name(self) -> str:
        return f"order {self.id}"


def asked_words(asked: Asked) -> str:
    """`stage 4593.2.5`, `channel beta`, `updates off`; forces and their reasons behind it."""
    words = [str(asked.verb), *filter(None, (asked.version, asked.channel, asked.mode))]
    if asked.payload:
        words.append("from a payload")
    if asked.and_updates_off:
        words.append("and updates off")
    words += [f"dropping {name}" for name in asked.accept_drop]
    words += [f"forced {force} ({reason})" for force, reason in asked.forces.items()]
    return " ".join(words)
