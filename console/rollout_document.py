"""A rollout, or its plan, as `fleetctl.rollout/1` tells it. Pure.

What is not known is null, times are ISO-8601 UTC, durations seconds, versions and hosts' words as stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from actions.rollout import begin, headline, waits
from actions.rollout_model import CohortPhase, HostPhase, HostState, Rollout, RolloutState
from actions.rollout_plan import Now, Plan, PlanHost
from actions.rollout_planning import Planned, Problem
from actions.rollout_planning_hosts import HostPreview
from actions.rollout_planning_time import Estimate
from console.exit_codes import ExitCode
from console.rollout_preview import title_of
from console.when import iso

if TYPE_CHECKING:
    from actions.rollout_tables import EventRow, RequestRow, RolloutRow

SCHEMA = "fleetctl.rollout/1"
Json = dict[str, Any]


def rollout_code(r: Rollout) -> ExitCode:
    """What a rollout's state means to a script that waited for its end."""
    if needs_word(r):
        return ExitCode.HALTED
    if r.counts.get(HostPhase.UNKNOWN) or r.state.is_open:
        return ExitCode.UNKNOWN
    return ExitCode.OK if r.state is RolloutState.COMPLETED else ExitCode.FAILED


def needs_word(r: Rollout) -> bool:
    """It goes no further without somebody's word."""
    if r.state in (RolloutState.DRAFT, RolloutState.HALTED, RolloutState.PAUSED):
        return True
    is_running = r.state is RolloutState.RUNNING and r.current < len(r.cohorts)
    return is_running and r.cohorts[r.current].phase is CohortPhase.WAITING_GATE


def plan_document(planned: Planned, actor: object, *, at: datetime, stored: bool, head: str | None) -> Json:
    """A plan that was just made; with problems it is not stored."""
    now = Now(at, at)
    r = begin(planned.plan, now)
    code = ExitCode.REFUSED if planned.problems else ExitCode.OK
    notes = {host.name: host for host in planned.preview}
    told = _document(planned.plan, r, now, notes)
    return told | {
        "stored": stored,
        "at": iso(at),
        "ended_at": None,
        "actor": msgspec.to_builtins(actor),
        "approved_by": None,
        "runner": None,
        "exit_code": int(code),
        "record_head": head,
        "problems": [_problem(item) for item in planned.problems],
        "warnings": [_problem(item) for item in planned.warnings],
        "estimate": _estimate(planned.estimate),
        "events": [],
        "requests": [],
    }


def rollout_document(
    plan: Plan,
    r: Rollout,
    row: RolloutRow,
    now: Now,
    *,
    events: Sequence[EventRow] = (),
    requests: Sequence[RequestRow] = (),
    runner: str | None = None,
    head: str | None = None,
) -> Json:
    """A stored one, with these of its events and requests. `runner`: who carries it out."""
    return _document(plan, r, now, {}) | {
        "stored": True,
        "at": row.at,
        "ended_at": row.ended_at,
        "actor": _decoded(row.actor),
        "approved_by": _decoded(row.approved_by),
        "runner": runner,
        "exit_code": int(rollout_code(r)),
        "record_head": head,
        "problems": [],
        "warnings": [],
        "estimate": None,
        "events": [
            {"n": item.n, "at": item.at, "kind": item.kind, "about": item.about, "text": item.text}
            | {"cause": item.cause or None}
            for item in events
        ],
        "requests": [_request(item) for item in requests],
    }


def list_document(items: Iterable[tuple[RolloutRow, Plan, Rollout]], now: Now) -> Json:
    return {"schema": SCHEMA, "rollouts": [_brief(row, plan, r, now) for row, plan, r in items]}


def _brief(row: RolloutRow, plan: Plan, r: Rollout, now: Now) -> Json:
    return {
        "id": row.id,
        "title": row.title,
        "state": str(r.state),
        "headline": headline(plan, r, now),
        "at": row.at,
        "ended_at": row.ended_at,
        "actor": _decoded(row.actor),
        "approved_by": _decoded(row.approved_by),
        "hosts": len(plan.hosts),
        "counts": _counts(r),
        "failures": r.failed,
        "armed": r.armed,
        "stalled": r.stalled.cause if r.stalled else None,
        "waits_for_person": needs_word(r),
    }


def _decoded(text: str | None) -> object:
    return msgspec.json.decode(text) if text else None


def _counts(r: Rollout) -> dict[str, int]:
    return {str(phase): count for phase, count in r.counts.items() if count}


def _document(plan: Plan, r: Rollout, now: Now, notes: Mapping[str, HostPreview]) -> Json:
    """What a plan and its state say."""
    return {
        "schema": SCHEMA,
        "id": plan.id,
        "title": title_of(plan),
        "fleet": plan.fleet,
        "state": str(r.state),
        "headline": headline(plan, r, now),
        "why": r.why or None,
        "waits_for_person": needs_word(r),
        "action": {
            "kind": str(plan.action.kind),
            "version": plan.action.version,
            "channel": plan.action.channel,
        },
        "selection": plan.selection,
        "made_at": iso(plan.made_at),
        "snapshot": plan.snapshot,
        "plan_digest": plan.digest,
        "rollback_of": plan.rollback_of,
        "limits": _limits(plan),
        "gates": [msgspec.to_builtins(gate) for gate in plan.gates],
        "failures": r.failed,
        "armed": r.armed,
        "disturbed": list(r.disturbed),
        "halt": msgspec.to_builtins(r.halt) if r.halt else None,
        "stalled": r.stalled.cause if r.stalled else None,
        "counts": _counts(r),
        "cohorts": [_cohort(plan, r, number) for number in range(len(plan.cohorts))],
        "hosts": [_host(plan, r, own, now, notes.get(own.name)) for own in plan.hosts],
    }


def _limits(plan: Plan) -> Json:
    return {
        "budget": plan.budget,
        "per_label": dict(plan.per_label),
        "settle_s": plan.settle_s,
        "tolerance": plan.tolerance,
        "windows": [msgspec.to_builtins(window) for window in plan.windows],
        "on_halt": str(plan.on_halt),
        "keep_staged": plan.keep_staged,
        "self_update": str(plan.self_update),
        "self_update_reason": plan.self_update_reason,
        "source": str(plan.source),
        "forced": {str(force): reason for force, reason in plan.forced.items()},
        "accept_drop": list(plan.accept_drop),
    }


def _cohort(plan: Plan, r: Rollout, number: int) -> Json:
    own, state = plan.cohorts[number], r.cohorts[number]
    counts: dict[str, int] = {}
    for host in plan.by_cohort[number]:
        phase = str(r.hosts[host.name].phase)
        counts[phase] = counts.get(phase, 0) + 1
    return {
        "name": own.name,
        "phase": str(state.phase),
        "since": iso(state.since),
        "hosts": len(plan.by_cohort[number]),
        "counts": counts,
        "soak_s": own.soak_s,
        "tolerance": own.tolerance,
        "failures": state.failed,
        "settled_at": iso(state.settled_at),
        "promoted_by": state.promoted_by,
        "promoted_why": state.promoted_why,
    }


def _host(plan: Plan, r: Rollout, own: PlanHost, now: Now, seen: HostPreview | None) -> Json:
    state = r.hosts[own.name]
    why = seen.why if seen is not None and seen.skipped is not None else waits(plan, r, own.name, now)
    return {
        "host": own.name,
        "cohort": plan.cohorts[own.cohort].name,
        "machine_id": own.machine_id,
        "running_version": own.running_version,
        "labels": dict(own.labels),
        "moves_itself": own.moves_itself,
        "quiets": own.quiets,
        **_state(state),
        "waits": why,
        "moves": [{"what": what, "from": was, "to": then} for what, was, then in seen.moves]
        if seen
        else None,
        "notes": [{"code": note.code, "text": note.text} for note in seen.notes] if seen else None,
    }


def _state(state: HostState) -> Json:
    return {
        "phase": str(state.phase),
        "since": iso(state.since),
        "skipped": str(state.skipped) if state.skipped else None,
        "failed": str(state.failed) if state.failed else None,
        "code": state.code or None,
        "text": state.text or None,
        "order": state.order_id,
        "armed": state.is_armed,
        "accepted": state.is_accepted,
        "released": state.is_released,
    }


def _problem(item: Problem) -> Json:
    return {"code": item.code, "text": item.text, "remedy": item.remedy or None, "hosts": list(item.hosts)}


def _estimate(guess: Estimate | None) -> Json | None:
    if guess is None:
        return None
    return {
        "begins_at": iso(guess.begins_at),
        "ends_at": None if guess.is_cut else iso(guess.ends_at),
        "total_s": None if guess.is_cut else round(guess.total_s),
        "stage_s": round(guess.stage_s),
        "turn_s": round(guess.turn_s),
        "from_own_times": guess.is_seen,
        "cohorts": [
            {"name": item.name, "hosts": item.hosts, "at_once": item.at_once, "windows": list(item.window)}
            | {"first_turn_at": iso(item.begins_at), "ends_at": iso(item.ends_at)}
            for item in guess.cohorts
        ],
    }


def _request(item: RequestRow) -> Json:
    return {
        "n": item.n,
        "at": item.at,
        "kind": str(item.request.kind),
        "actor": item.request.actor,
        "reason": item.request.reason or None,
        "hosts": list(item.request.hosts),
        "answer": item.answer,
    }
