"""Rollouts as Prometheus text, for node_exporter's textfile collector or a scraper of files. Pure.

Format: prometheus/docs:content/docs/instrumenting/exposition_formats.md. Label values are escaped; rollouts
that ended are in it too, for as long as they are among the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from actions.rollout_model import HostPhase, Rollout, RolloutState
from actions.rollout_plan import Plan
from console.rollout_document import needs_word

if TYPE_CHECKING:
    from actions.rollout_tables import RolloutRow

_HELP = {
    "fleetctl_rollout_state": "1 for the state that a rollout is in.",
    "fleetctl_rollout_hosts": "Hosts of a rollout by phase.",
    "fleetctl_rollout_failures": "Failures that count against the tolerance.",
    "fleetctl_rollout_tolerance": "Failures that are tolerated in all.",
    "fleetctl_rollout_disturbed": "Hosts that hold a place of the budget.",
    "fleetctl_rollout_budget": "Hosts that may be disturbed at once.",
    "fleetctl_rollout_armed": "Hosts that may boot into the target by any reboot.",
    "fleetctl_rollout_stalled": "1 where something keeps a rollout that ought to go on.",
    "fleetctl_rollout_waits_for_person": "1 where it goes no further without somebody's word.",
}
Sample = tuple[str, dict[str, str], int]


def metrics_text(items: Iterable[tuple[RolloutRow, Plan, Rollout]]) -> str:
    """All samples, by metric, each with its HELP and TYPE; ends in a newline."""
    by_name: dict[str, list[str]] = {name: [] for name in _HELP}
    for row, plan, r in items:
        for name, labels, value in _samples(row, plan, r):
            by_name[name].append(f"{name}{{{_labels(labels)}}} {value}")
    lines = []
    for name, text in _HELP.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge", *by_name[name]]
    return "\n".join(lines) + "\n"


def _samples(row: RolloutRow, plan: Plan, r: Rollout) -> Iterator[Sample]:
    own = {"fleet": plan.fleet, "rollout": row.id}
    for state in RolloutState:
        yield "fleetctl_rollout_state", {**own, "state": str(state)}, int(state is r.state)
    for phase in HostPhase:
        yield "fleetctl_rollout_hosts", {**own, "phase": str(phase)}, r.counts.get(phase, 0)
    yield "fleetctl_rollout_failures", own, r.failed
    yield "fleetctl_rollout_tolerance", own, plan.tolerance
    yield "fleetctl_rollout_disturbed", own, len(r.disturbed)
    yield "fleetctl_rollout_budget", own, plan.budget
    yield "fleetctl_rollout_armed", own, r.armed
    yield "fleetctl_rollout_stalled", own, int(r.stalled is not None)
    yield "fleetctl_rollout_waits_for_person", own, int(needs_word(r))


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
