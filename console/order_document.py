"""An order as `fleetctl.order/1` tells it. Pure. What is not known is null, times are ISO-8601 UTC."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actions.orders import Phase, Placed, Step
from console.exit_codes import ExitCode, worst

SCHEMA = "fleetctl.order/1"
DIGEST_LENGTH = 32
"""Hex digits of a plan's digest."""
Json = dict[str, Any]
UNREACHED = frozenset(
    ("host-key-changed", "host-key-unknown", "auth-refused", "incomplete", "unreachable", "rebooting")
)
"""Refusals, and reasons why nothing was sent, that say: the host did not answer."""


def order_document(
    order: Placed, hosts: Sequence[Json], *, dry_run: bool, head: str | None, code: ExitCode
) -> Json:
    """The whole of it; `hosts` are of `host_document`."""
    counts: dict[str, int] = {}
    for host in hosts:
        counts[host["phase"]] = counts.get(host["phase"], 0) + 1
    return {
        "schema": SCHEMA,
        "id": order.id,
        "verb": str(order.asked.verb),
        "dry_run": dry_run,
        "at": _instant(order.at),
        "ended_at": _instant(order.ended_at),
        "after": order.after,
        "actor": msgspec.to_builtins(order.actor),
        "asked": msgspec.to_builtins(order.asked),
        "at_once": order.at_once,
        "stops_at_first": order.stops,
        "exit_code": int(code),
        "record_head": head,
        "plan_digest": plan_digest(
            (host["host"], what_runs(host["before"], host["command"], host["after"]))
            for host in hosts
            if host["command"]
        ),
        "counts": counts,
        "hosts": list(hosts),
    }


def what_runs(before: Sequence[str], command: str, after: Sequence[str]) -> str:
    """All that is done for a host, on the console and there, as one line."""
    return " | ".join((*before, command, *after))


def plan_digest(sent: Iterable[tuple[str, str]]) -> str | None:
    """By what a plan is known again: of hosts and what would be run for them, in any order.

    The first half of SHA-256 over the sorted lines `HOST COMMAND`; None: nothing would be sent.
    """
    lines = sorted(f"{host} {command}" for host, command in sent)
    if not lines:
        return None
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGEST_LENGTH]


def host_document(
    step: Step,
    phase: Phase,
    *,
    code: str | None = None,
    text: str | None = None,
    since: str | None = None,
    sent_at: str | None = None,
    evidence: object = None,
) -> Json:
    """One host of an order."""
    return {
        "host": step.host,
        "machine_id": step.machine_id,
        "phase": str(phase),
        "since": since,
        "sent_at": sent_at,
        "code": code,
        "text": text,
        "refusals": msgspec.to_builtins(step.refusals),
        "says": list(step.says),
        "moves": [{"what": what, "from": was, "to": now} for what, was, now in step.moves],
        "guard": msgspec.to_builtins(step.guard),
        "goal": msgspec.to_builtins(step.goal),
        "before": list(step.before),
        "command": step.command,
        "after": list(step.after),
        "deadline_s": step.deadline_s or None,
        "evidence": evidence,
    }


def code_of(phase: Phase, code: str | None) -> ExitCode:
    """What one host says of the whole."""
    match phase:
        case Phase.DONE | Phase.ALREADY | Phase.PLANNED:
            return ExitCode.OK
        case Phase.FAILED:
            return ExitCode.FAILED
        case Phase.UNKNOWN | Phase.INTENT | Phase.SENT:
            return ExitCode.UNKNOWN
    return ExitCode.NO_ANSWER if code in UNREACHED else ExitCode.REFUSED


def exit_code(hosts: Iterable[tuple[Phase, str | None]], *, is_plan: bool = False) -> ExitCode:
    """The gravest of all hosts; one that was skipped says nothing that another did not say. What is planned
    and no plan any more was left by whoever was to send it."""
    return worst(
        ExitCode.UNKNOWN if phase is Phase.PLANNED and not is_plan else code_of(phase, code)
        for phase, code in hosts
        if phase is not Phase.SKIPPED
    )


def _instant(at: Any) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
