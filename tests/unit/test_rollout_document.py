"""`fleetctl.rollout/1` against its schema, and what a state means to a script."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from actions.record import Actor
from actions.rollout import begin
from actions.rollout_model import (
    CohortPhase,
    FailKind,
    Halt,
    HaltRule,
    HostPhase,
    HostState,
    Rollout,
    RolloutState,
    Stall,
)
from actions.rollout_plan import Now, Plan
from actions.rollout_tables import EventRow, RequestRow, RolloutRow
from actions.rollout_talk import Request, RequestKind
from collectors.fleet_model import Gate, GateKind
from console.rollout_document import list_document, plan_document, rollout_code, rollout_document
from console.rollout_metrics import metrics_text
from tests.builders import NOW
from tests.unit.rollout_lab import plan_of
from tests.unit.rollout_planning_lab import NIGHT, planned, stored

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "console/schemas/fleetctl.rollout.v1.json").read_text(encoding="utf-8")
)
ACTOR = Actor("jana", 1000, None, "console-1")
ROW = RolloutRow(
    "r-1", "2026-11-24T03:12:00.000Z", "4593.2.5 to canary", "running", msgspec.json.encode(ACTOR).decode(),
    None, None,
)  # fmt: skip
MOMENT = Now(NOW, NOW)
PLAN = plan_of(1, 2)


def checked(document: dict[str, Any]) -> dict[str, Any]:
    """As a reader gets it: valid, and with no key that the schema does not name."""
    told: dict[str, Any] = json.loads(json.dumps(document))
    jsonschema.validate(told, SCHEMA, format_checker=jsonschema.FormatChecker())
    strict = json.loads(
        json.dumps(SCHEMA).replace('"additionalProperties": true', '"additionalProperties": false')
    )
    jsonschema.validate(told, strict)
    return told


def rollout(state: RolloutState = RolloutState.RUNNING, **hosts: HostState) -> Rollout:
    """Of PLAN, with some hosts put by hand; names have `_` for `-`."""
    made = begin(PLAN, MOMENT)
    put = {name.replace("_", "-"): host for name, host in hosts.items()}
    counts: dict[HostPhase, int] = {}
    every = {**made.hosts, **put}
    for host in every.values():
        counts[host.phase] = counts.get(host.phase, 0) + 1
    return replace(made, state=state, hosts=every, counts=counts)


def test_a_plan_says_everything_that_the_schema_asks_for() -> None:
    gates = (Gate("ok", GateKind.PERSON, "canary"),)
    made = planned(stored("h-5", hold="ops-1432"), stored("h-6", answers=False), windows=(NIGHT,))
    made = replace(made, plan=replace(made.plan, gates=gates))
    told = checked(plan_document(made, ACTOR, at=NOW, stored=False, head=None))
    assert (told["state"], told["exit_code"], told["stored"]) == ("draft", 0, False)
    held = next(host for host in told["hosts"] if host["host"] == "h-5")
    assert (held["phase"], held["skipped"], held["waits"]) == ("skipped", "held", "ops-1432")
    assert told["estimate"]["cohorts"][0]["windows"] == ["night"]
    assert [item["code"] for item in told["warnings"]] == ["silent"]


def test_a_plan_with_a_problem_is_refused() -> None:
    told = checked(
        plan_document(planned(stored("h-5", is_asked_lately=False)), ACTOR, at=NOW, stored=False, head=None)
    )
    assert told["exit_code"] == 4
    assert told["problems"][0]["hosts"] == ["h-5"]


def test_a_halted_rollout_says_everything_that_the_schema_asks_for() -> None:
    failed = HostState(
        HostPhase.FAILED, NOW, failed=FailKind.REVERTED, code="reverted", text="came back", order_id="o-1"
    )
    halted = replace(
        rollout(RolloutState.HALTED, c0_0=failed),
        halt=Halt(HaltRule.REVERTED, "1 failure", NOW, "c0-0"),
        stalled=Stall("the window is shut", NOW),
    )
    events = [
        EventRow(1, ROW.at, "rollout", None, "halted", ""),
        EventRow(2, ROW.at, "host", "c0-0", "x", "y"),
    ]
    asked = RequestRow(1, ROW.at, Request(RequestKind.PAUSE, "jana", "tea"), ROW.actor, None)
    told = checked(
        rollout_document(
            PLAN,
            halted,
            replace(ROW, approved_by=ROW.actor),
            MOMENT,
            events=events,
            requests=[asked],
            head="1:ab",
        )
    )
    assert (told["exit_code"], told["halt"]["rule"], told["counts"]["failed"]) == (6, "reverted", 1)
    assert told["approved_by"]["login"] == "jana"
    assert told["cohorts"][0]["counts"] == {"failed": 1}


def test_the_list_is_of_the_schema_too() -> None:
    told = checked(list_document([(ROW, PLAN, rollout())], MOMENT))
    assert told["rollouts"][0]["hosts"] == 3
    assert checked(list_document([], MOMENT))["rollouts"] == []


UNKNOWN = HostState(HostPhase.UNKNOWN)


@pytest.mark.parametrize(
    ("state", "host", "code"),
    [
        (RolloutState.DRAFT, HostState(), 6),
        (RolloutState.PAUSED, HostState(), 6),
        (RolloutState.HALTED, UNKNOWN, 6),
        (RolloutState.RUNNING, HostState(), 5),
        (RolloutState.COMPLETED, HostState(HostPhase.DONE), 0),
        (RolloutState.COMPLETED_WITH_EXCEPTIONS, HostState(), 7),
        (RolloutState.ROLLED_BACK, HostState(), 7),
        (RolloutState.ROLLBACK_INCOMPLETE, UNKNOWN, 5),
        (RolloutState.ABORTED, HostState(), 7),
    ],
)
def test_what_a_state_means_to_a_script(state: RolloutState, host: HostState, code: int) -> None:
    assert rollout_code(rollout(state, c0_0=host)) == code


def test_a_gate_that_waits_for_a_person_is_6() -> None:
    made = rollout()
    waiting = replace(made.cohorts[0], phase=CohortPhase.WAITING_GATE)
    assert rollout_code(replace(made, cohorts=(waiting, made.cohorts[1]))) == 6


def test_labels_of_metrics_are_escaped_and_every_metric_is_described() -> None:
    plan: Plan = replace(PLAN, fleet='a "b"\\\n')
    text = metrics_text([(ROW, plan, rollout(c0_0=HostState(HostPhase.MISSING)))])
    assert 'fleet="a \\"b\\"\\\\\\n"' in text
    assert 'fleetctl_rollout_hosts{fleet="a \\"b\\"\\\\\\n",rollout="r-1",phase="missing"} 1\n' in text
    names = {line.split("{")[0] for line in text.splitlines() if not line.startswith("#")}
    assert names == {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert text.endswith("\n")
