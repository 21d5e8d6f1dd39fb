"""What an outcome of a child order means for its host in a rollout. Pure.

Codes are those of the orders: refusals of the policy, what the console or the host says where nothing was
sent, and the evidence of what was.

| verb | told | code | becomes |
|---|---|---|---|
| any | refused, not sent | `called-back` `skipped` | as before the order, at once again |
| any | refused, not sent | windows, budget, locks, inhibitors (`WAIT`) | waits, tried again until it goes |
| any | refused, not sent | `moved` | PENDING for a fresh look, three times, then FAILED(preflight) |
| any | refused, not sent | what passes (`BUSY`) | waits, tried again 12 times, then FAILED(preflight) |
| any | refused, not sent | `pinned`, `held`, `quarantined` or `reverted-before`, `extension-drop` | SKIPPED |
| before any touch | refused, not sent | `unreachable` | SKIPPED(unreachable-before-touch) |
| later | refused, not sent | `unreachable` | as what passes |
| turn | not sent | `drain-failed` | FAILED(drain), with its place in the budget |
| any | refused, not sent | all others | FAILED(preflight) |
| stage | done | `staged` | STAGED |
| stage | done, failed | `nothing-offered` | FAILED(stage) |
| stage | failed | `wrong-version` | FAILED(wrong-version), and a halt |
| stage | failed | `conf-changed` | FAILED(wrong-group), armed |
| stage | failed | `activated-itself` | EXCEPTION(moved-by-itself) |
| stage | failed | all others | FAILED(stage); `not-next` `status-reset` are armed |
| stage | unknown | all | UNKNOWN, may be armed |
| turn | done | all | SETTLING |
| turn | failed | `reverted` | FAILED(reverted) |
| turn | failed | `wrong-version` `wrong-slot` | FAILED(wrong-version) |
| turn | failed | `extension-missing` | FAILED(extension-missing) |
| turn | failed | `updates-not-set`, all of `channel` | FAILED(wrong-group) |
| turn | failed | `did-not-reboot` | FAILED(drain), still armed: what runs there did not let it go down |
| turn | failed | `unconfirmed` `unhealthy` `given-up`, all others | FAILED(unhealthy) |
| turn | unknown | `missing` | MISSING |
| turn | unknown | all others | UNKNOWN |
| stage, turn | already | all | goes on where it is ours, else EXCEPTION(moved-by-itself) |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from actions.orders import Verb
from actions.rollout_model import FailKind
from actions.rollout_plan import SkipReason
from actions.rollout_talk import OrderStage

MOST_TRIES = 12
MOST_MOVES = 3
PACES_S = (30, 60, 120, 300, 600)
"""Until the next try; the last goes on."""


class Turn(Enum):
    """Where a host goes on."""

    GOOD = "good"
    ALREADY = "already"
    AGAIN = "again"
    WAIT = "wait"
    BUSY = "busy"
    MOVED = "moved"
    SKIP = "skip"
    FAIL = "fail"
    MISSING = "missing"
    UNKNOWN = "unknown"
    BY_ITSELF = "by itself"


@dataclass(frozen=True, slots=True)
class Verdict:
    turn: Turn
    failed: FailKind | None = None
    skipped: SkipReason | None = None
    armed: bool | None = None
    """Whether it may boot into the target by any reboot; None: as it was."""


AGAIN = frozenset(("called-back", "skipped"))
WAIT = frozenset(
    (
        "window-shut",
        "window-too-short",
        "budget-used",
        "lock-full",
        "lock-held",
        "lock-unreachable",
        "lock-unknown",
        "inhibited",
    )
)
BUSY = frozenset(
    (
        "auth-refused",
        "boot-unread",
        "busy",
        "engine-down",
        "engine-unread",
        "foreign-order",
        "identity-unread",
        "incomplete",
        "inhibitors-unread",
        "lock-refused",
        "malformed",
        "not-arrived",
        "not-given-back",
        "not-idle",
        "not-started",
        "order-at-work",
        "preflight-unread",
        "reboot-planned",
        "rebooting",
        "refused",
        "running-unknown",
        "slots-unread",
        "unconfirmed",
        "unknown-outcome",
        "update-in-progress",
        "updater-running",
        "upload-failed",
    )
)
SKIPS = {
    "pinned": SkipReason.PINNED,
    "held": SkipReason.HELD,
    "quarantined": SkipReason.QUARANTINED,
    "reverted-before": SkipReason.QUARANTINED,
    "extension-drop": SkipReason.INCOMPATIBLE,
}
_STAGE_FAILS = {
    "wrong-version": Verdict(Turn.FAIL, FailKind.WRONG_VERSION, armed=False),
    "conf-changed": Verdict(Turn.FAIL, FailKind.WRONG_GROUP, armed=True),
    "activated-itself": Verdict(Turn.BY_ITSELF, armed=False),
    "not-next": Verdict(Turn.FAIL, FailKind.STAGE, armed=True),
    "status-reset": Verdict(Turn.FAIL, FailKind.STAGE, armed=True),
    "given-up": Verdict(Turn.FAIL, FailKind.STAGE),
}
_TURN_FAILS = {
    "reverted": FailKind.REVERTED,
    "wrong-version": FailKind.WRONG_VERSION,
    "wrong-slot": FailKind.WRONG_VERSION,
    "extension-missing": FailKind.EXTENSION_MISSING,
    "updates-not-set": FailKind.WRONG_GROUP,
}


def verdict(verb: Verb, stage: OrderStage, code: str, *, touched: bool) -> Verdict:
    """Of a child order's end. `touched`: an earlier order of this rollout did something at the host."""
    if stage in (OrderStage.REFUSED, OrderStage.NOT_SENT):
        return _nothing_done(code, touched=touched)
    if stage is OrderStage.ALREADY:
        return Verdict(Turn.ALREADY)
    if verb is Verb.STAGE:
        return _staged(stage, code)
    if stage is OrderStage.DONE:
        return Verdict(Turn.GOOD, armed=False if verb is not Verb.UPDATES else None)
    if stage is OrderStage.UNKNOWN:
        lost = code == "missing"
        return Verdict(Turn.MISSING if lost else Turn.UNKNOWN, armed=False if lost else None)
    if not verb.reboots:
        return Verdict(Turn.FAIL, FailKind.WRONG_GROUP)
    if code == "did-not-reboot":
        return Verdict(Turn.FAIL, FailKind.DRAIN)
    return Verdict(Turn.FAIL, _TURN_FAILS.get(code, FailKind.UNHEALTHY), armed=False)


def _nothing_done(code: str, *, touched: bool) -> Verdict:
    if code in AGAIN:
        return Verdict(Turn.AGAIN)
    if code in WAIT:
        return Verdict(Turn.WAIT)
    if code == "moved":
        return Verdict(Turn.MOVED)
    if code == "unreachable":
        return Verdict(Turn.BUSY) if touched else Verdict(Turn.SKIP, skipped=SkipReason.UNREACHABLE)
    if code in BUSY:
        return Verdict(Turn.BUSY)
    if code in SKIPS:
        return Verdict(Turn.SKIP, skipped=SKIPS[code])
    return Verdict(Turn.FAIL, FailKind.DRAIN if code == "drain-failed" else FailKind.PREFLIGHT)


def _staged(stage: OrderStage, code: str) -> Verdict:
    if stage is OrderStage.DONE and code != "nothing-offered":
        return Verdict(Turn.GOOD, armed=True)
    if stage is OrderStage.UNKNOWN:
        return Verdict(Turn.UNKNOWN, armed=True)
    return _STAGE_FAILS.get(code, Verdict(Turn.FAIL, FailKind.STAGE, armed=False))
