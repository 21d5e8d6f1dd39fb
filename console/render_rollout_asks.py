"""What can be asked of a rollout: the keys, and whether the state allows it, in a sentence if not. Pure.

The rollout's owner decides; what is said here only spares a person the dialog.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from actions.rollout_model import CohortPhase, HostPhase, RolloutState
from actions.rollout_requests import ANSWERS, why_unapprovable
from actions.rollout_talk import RequestKind
from console.render_rollout_halt import answers
from console.rollout_board import RolloutCard


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants of a rollout."""

    kind: RequestKind
    rollout_id: str
    hosts: tuple[str, ...] = ()
    """It is for these; none: for the whole rollout."""
    expected: int = 0
    """Hosts that `--expect-hosts` has to name; 0 where the command does not ask."""


def wish(card: RolloutCard, kind: RequestKind, host: str | None, now: datetime) -> Wish | str:
    """What is to be asked for, or why it cannot be. `host`: the one under the cursor."""
    r = card.r
    problem = None
    match kind:
        case RequestKind.RETRY_FAILED | RequestKind.ACCEPT_FAILURES | RequestKind.ROLL_BACK:
            return _answer(card, kind, now)
        case RequestKind.RELEASE_HOST:
            return _release(card, host)
        case RequestKind.APPROVE:
            problem = (
                why_unapprovable(card.plan) if r.state is RolloutState.DRAFT else "only a draft is approved"
            )
            part = sum(cohort.taking_part for cohort in card.cohorts)
            return _wish_or(problem, card, kind, expected=part)
        case RequestKind.PAUSE if r.state in (RolloutState.PAUSED, RolloutState.HALTED):
            problem = "nothing is dispatched already"
        case RequestKind.RESUME if r.state is RolloutState.HALTED:
            problem = ANSWERS
        case RequestKind.RESUME if r.state is not RolloutState.PAUSED:
            problem = "it is not paused"
        case RequestKind.PROMOTE:
            problem = _no_promotion(card)
    return _wish_or(problem, card, kind)


def _wish_or(
    problem: str | None, card: RolloutCard, kind: RequestKind, hosts: tuple[str, ...] = (), expected: int = 0
) -> Wish | str:
    state = card.r.state
    if not state.is_open and kind is not RequestKind.RELEASE_HOST:
        return f"{card.id} is {state}: it takes no {kind} any more"
    return f"{card.id} is {state}: {problem}" if problem else Wish(kind, card.id, hosts, expected)


def _answer(card: RolloutCard, kind: RequestKind, now: datetime) -> Wish | str:
    found = next((one for one in answers(card, now) if one.kind is kind), None)
    back = sum(host.has_target for host in card.r.hosts.values())
    if found is not None:
        expected = back if kind is RequestKind.ROLL_BACK else 0
        return _wish_or(found.refused, card, kind, found.hosts, expected)
    if kind is RequestKind.ROLL_BACK and card.r.state in (RolloutState.RUNNING, RolloutState.PAUSED):
        return _wish_or(None, card, kind, expected=back)
    return _wish_or("this is an answer to a halt", card, kind)


def _release(card: RolloutCard, host: str | None) -> Wish | str:
    state = card.r.hosts.get(host or "")
    if host is None or state is None:
        return "put the cursor on a failed host first: tab, arrows"
    if not (state.phase.is_failure or state.phase is HostPhase.UNKNOWN):
        return f"{host} is {state.phase}: only a failed, missing or unknown host is let go"
    return _wish_or(None, card, RequestKind.RELEASE_HOST, (host,))


def _no_promotion(card: RolloutCard) -> str | None:
    cohort = card.cohort
    if card.r.state is not RolloutState.RUNNING or cohort is None:
        return "only a running one is promoted"
    phase = cohort.state.phase
    if phase is CohortPhase.SOAKING or (phase is CohortPhase.WAITING_GATE and card.gate_waits):
        return None
    return f"{cohort.name} is {phase}: neither a soak nor an open gate is there to promote"
