"""The state of a rollout: itself, its cohorts, its hosts, and what is counted of them. Pure.

It holds its own counters and queues, so that an input costs no walk over the hosts, and survives `msgspec` to
JSON and back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from actions.orders import Verb
from actions.rollout_plan import SkipReason


class RolloutState(StrEnum):
    DRAFT = "draft"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"
    HALTED = "halted"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    ROLLBACK_INCOMPLETE = "rollback-incomplete"
    COMPLETED = "completed"
    COMPLETED_WITH_EXCEPTIONS = "completed-with-exceptions"
    ABORTED = "aborted"

    @property
    def is_open(self) -> bool:
        return self in _OPEN


_OPEN = frozenset(
    (
        RolloutState.DRAFT,
        RolloutState.APPROVED,
        RolloutState.RUNNING,
        RolloutState.PAUSED,
        RolloutState.HALTED,
        RolloutState.ROLLING_BACK,
    )
)


class CohortPhase(StrEnum):
    WAITING = "waiting"
    STAGING = "staging"
    STAGED = "staged"
    ACTIVATING = "activating"
    SOAKING = "soaking"
    GATE = "gate"
    WAITING_GATE = "waiting-gate"
    PASSED = "passed"
    FAILED = "failed"


class HostPhase(StrEnum):
    PENDING = "pending"
    PREFLIGHT = "preflight"
    """A child order that disturbs nobody is given and has not sent anything."""
    STAGING = "staging"
    STAGED = "staged"
    LEASED = "leased"
    """It has its place in the budget, and the child order of its turn."""
    DRAINING = "draining"
    REBOOT_ISSUED = "reboot-issued"
    AWAITING_RETURN = "awaiting-return"
    VERIFYING = "verifying"
    SETTLING = "settling"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    MISSING = "missing"
    UNKNOWN = "unknown"
    EXCEPTION = "exception"
    ROLLED_BACK = "rolled-back"

    @property
    def is_disturbed(self) -> bool:
        """LEASED … SETTLING."""
        return self in DISTURBED

    @property
    def is_sent(self) -> bool:
        """A reboot may have been sent, and what became of it is not known yet."""
        return self in SENT

    @property
    def is_failure(self) -> bool:
        return self is HostPhase.FAILED or self is HostPhase.MISSING

    @property
    def is_settled(self) -> bool:
        """Nothing more is to come by itself in a cohort's turn; UNKNOWN is not."""
        return self in _SETTLED


SENT = frozenset((HostPhase.REBOOT_ISSUED, HostPhase.AWAITING_RETURN, HostPhase.VERIFYING))
DISTURBED = SENT | {HostPhase.LEASED, HostPhase.DRAINING, HostPhase.SETTLING}
_SETTLED = frozenset(
    (
        HostPhase.DONE,
        HostPhase.SKIPPED,
        HostPhase.FAILED,
        HostPhase.MISSING,
        HostPhase.EXCEPTION,
        HostPhase.ROLLED_BACK,
    )
)


class FailKind(StrEnum):
    PREFLIGHT = "preflight"
    STAGE = "stage"
    WRONG_VERSION = "wrong-version"
    DRAIN = "drain"
    REVERTED = "reverted"
    UNHEALTHY = "unhealthy"
    EXTENSION_MISSING = "extension-missing"
    WRONG_GROUP = "wrong-group"


class HaltRule(StrEnum):
    """The rule that stopped a rollout: a failure's kind, or one of the rollout's own."""

    PREFLIGHT = "preflight"
    STAGE = "stage"
    WRONG_VERSION = "wrong-version"
    DRAIN = "drain"
    REVERTED = "reverted"
    UNHEALTHY = "unhealthy"
    EXTENSION_MISSING = "extension-missing"
    WRONG_GROUP = "wrong-group"
    MISSING = "missing"
    BUDGET_FULL = "budget-full"
    GATE = "gate"

    @property
    def blames_release(self) -> bool:
        """Nobody is to stay armed with what was rolled out."""
        return self in _BAD


_BAD = frozenset(
    (
        HaltRule.REVERTED,
        HaltRule.MISSING,
        HaltRule.UNHEALTHY,
        HaltRule.WRONG_VERSION,
        HaltRule.EXTENSION_MISSING,
        HaltRule.BUDGET_FULL,
        HaltRule.GATE,
    )
)


class Quiet(StrEnum):
    """What became of the updates of a host that is to be quieted before its turn."""

    NOT_ASKED = "not-asked"
    OURS = "ours"
    """We switched them off: they are to be given back."""
    FOUND_OFF = "found-off"
    BACK = "back"
    LEFT_OFF = "left-off"
    """They could not be given back."""


@dataclass(frozen=True, slots=True)
class HostState:
    phase: HostPhase = HostPhase.PENDING
    since: datetime | None = None
    """By the steady clock; None: since the plan was made."""
    verb: Verb | None = None
    """Of the child order that is open for it; None: none is."""
    order_id: str | None = None
    """The open child order's once it has told something; with none open, the last one's."""
    past_orders: tuple[str, ...] = ()
    """Those before it, the newest last; a few."""
    is_called_back: bool = False
    """Its child order must not send any more; it has not ended yet."""
    is_ours: bool = False
    """We staged it: what it holds or runs of the target is no surprise."""
    is_armed: bool = False
    """It may boot into the target by any reboot."""
    has_target: bool = False
    """A reboot of ours may have brought it to the target."""
    was_leased: bool = False
    was_done: bool = False
    is_released: bool = False
    """A person let its place in the budget go, or it was seen to be well again."""
    is_accepted: bool = False
    """Its failure does not count against the tolerance any more."""
    quiet: Quiet = Quiet.NOT_ASKED
    rollback_failed: bool = False
    phase_before: HostPhase | None = None
    """While a roll-back order is open for it: what it was before, and is again where nothing was done."""
    failed: FailKind | None = None
    skipped: SkipReason | None = None
    code: str = ""
    text: str = ""
    tries: int = 0
    """Refused for a passing reason in a row."""
    moves: int = 0
    """Found moved since its plan."""
    disarms: int = 0
    """Tries to disarm it."""
    issued_at: datetime | None = None
    boot_id: str | None = None
    """The boot in which it was first seen after its turn."""
    looked_at: datetime | None = None
    """When it was last seen to be well after its turn."""
    bad_looks: int = 0
    good_looks: int = 0
    """In a row, while its failure holds a place in the budget."""
    silent_since: datetime | None = None

    @property
    def holds_budget(self) -> bool:
        """As the budget counts it: while disturbed, and as an unreleased failure that had been leased."""
        if self.phase.is_disturbed:
            return True
        hurt = self.phase.is_failure or self.phase is HostPhase.UNKNOWN
        return hurt and self.was_leased and not self.is_released

    @property
    def is_hurt(self) -> bool:
        return self.holds_budget and not self.phase.is_disturbed

    @property
    def counts(self) -> bool:
        """Against the tolerance."""
        return self.phase.is_failure and not self.is_accepted

    @property
    def is_doubtful(self) -> bool:
        return self.bad_looks > 0 or self.silent_since is not None

    @property
    def rule(self) -> HaltRule:
        """The halting rule that its failure falls under."""
        return HaltRule(self.failed) if self.failed is not None else HaltRule.MISSING


@dataclass(frozen=True, slots=True)
class CohortState:
    phase: CohortPhase = CohortPhase.WAITING
    since: datetime | None = None
    open: int = 0
    """Hosts that are not at an end; UNKNOWN is none, so it is open."""
    unstaged: int = 0
    """Hosts not yet staged nor at an end."""
    failed: int = 0
    """Failures that count against the tolerance."""
    excepted: int = 0
    """Failures, accepted or not, and hosts that moved by themselves."""
    skipped: int = 0
    """Left out while it ran, that the plan did not leave out."""
    done: int = 0
    doubts: int = 0
    """Done hosts that were last seen ill, or not at all."""
    settled_at: datetime | None = None
    """When its last host was done; the soak counts from then."""
    round_at: datetime | None = None
    """Begin of the closing look at each done host, once the soak is over."""
    unseen: int = 0
    """Done hosts that were not seen well in the closing look."""
    promoted_by: str | None = None
    promoted_why: str | None = None
    """A person cut its soak short or answered its gate."""
    soak_cut: bool = False
    skips_accepted: bool = False


class GateVerdict(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    NO_DATA = "no-data"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class GateState:
    """One gate of the current cohort."""

    asked_at: datetime | None = None
    is_asking: bool = False
    good_since: datetime | None = None
    """Of an unbroken row of passes."""
    misses: int = 0
    """Answers in a row that told nothing."""
    verdict: GateVerdict | None = None
    digest: str | None = None
    """Of the newest answer's raw evidence."""
    is_met: bool = False
    is_waiting: bool = False
    """For a person."""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Halt:
    rule: HaltRule
    text: str
    at: datetime
    host: str | None = None
    gate: str | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """Also of another answer by a person: `what` says which."""

    what: str
    actor: str
    reason: str
    at: datetime
    digest: str
    """The plan's."""


@dataclass(frozen=True, slots=True)
class Stall:
    cause: str
    since: datetime


@dataclass(frozen=True, slots=True, order=True)
class Later:
    """A host that is tried again then, by the steady clock."""

    at: datetime
    host: str


@dataclass(frozen=True, slots=True)
class Hours:
    """A cached answer of the windows: it holds for wall clocks in [begin, end)."""

    begin: datetime
    end: datetime | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class Rollout:
    plan_id: str
    snapshot: str
    state: RolloutState
    hosts: Mapping[str, HostState]
    cohorts: tuple[CohortState, ...]
    since: datetime
    why: str = ""
    by: str = ""
    resumes_to: RolloutState | None = None
    """Where a pause came from."""
    current: int = 0
    """The cohort whose turn it is; the number of cohorts once all are passed."""
    gates: Mapping[str, GateState] = field(default_factory=dict)
    """Of the current cohort."""
    halt: Halt | None = None
    """Stays after a rollback, goes with an answer that lets the rollout go on."""
    stalled: Stall | None = None
    approvals: tuple[Approval, ...] = ()
    moved_at: datetime | None = None
    """When something last went on."""
    looks_at: datetime | None = None
    """When the hosts that settle or soak were last to be looked at."""
    round_looks_at: datetime | None = None
    failed: int = 0
    """Failures that count against the tolerance."""
    blamed: int = 0
    """Those of them that a bad release explains."""
    excepted: int = 0
    armed: int = 0
    orders: int = 0
    """Child orders open."""
    light_orders: int = 0
    """Those that disturb nobody."""
    disturbed: tuple[str, ...] = ()
    """Who holds the budget."""
    hurt: int = 0
    """Those of them that failed, or of which nobody knows."""
    domains: Mapping[str, int] = field(default_factory=dict)
    """`label=value` -> hosts of it that hold the budget; none is 0."""
    counts: Mapping[HostPhase, int] = field(default_factory=dict)
    todo: tuple[str, ...] = ()
    """To be prepared, in this order."""
    ready: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """To be given their turn, by the failure domains that they share."""
    later: tuple[Later, ...] = ()
    """To be tried again, soonest first."""
    quieting: int = 0
    """Hosts whose updates are still to be switched off before anything else."""
    hours: Hours | None = None
