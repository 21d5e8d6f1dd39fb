"""`fleetctl rollout plan` and `start` on a store made by hand; no host is asked anything."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from actions import ledger
from actions.order_rows import Pin
from actions.order_tables import put_pin
from actions.rollout_model import RolloutState
from actions.rollout_talk import RequestKind
from collectors import store, tables
from collectors.records import Hold
from tests.unit.rollout_planning_console import FLEET, Console, console_in
from tests.unit.test_rollout_document import checked


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Console:
    return console_in(tmp_path, capsys, monkeypatch)


# -- plan ------------------------------------------------------------------------------------------------


def test_a_plan_is_a_draft_with_its_row_of_the_record(console: Console) -> None:
    told = checked(json.loads(console("rollout", "plan", "--all", "--to", "stable", "--json")))
    assert told["state"] == "draft"
    assert told["action"] == {"kind": "release", "version": "4593.2.5", "channel": None}
    assert [item["hosts"] for item in told["cohorts"]] == [2, 6]
    assert told["selection"] == "--all"
    with closing(store.open_reader(console.database)) as conn:
        (row,) = ledger.newest(conn, 5, orders=[told["id"]])
        assert (row.verb, row.event) == ("rollout", "asked")
        assert told["record_head"] == ledger.head(conn).whole
    assert console.started == []


def test_a_dry_run_stores_nothing(console: Console) -> None:
    text = console("rollout", "plan", "@canary", "--to", "stable", "--cohorts", "1,rest", "--dry-run")
    assert "dry run: the plan is not stored" in text
    assert console("rollout", "list") == "no rollout has been planned\n"


def test_options_are_laid_over_the_template(console: Console) -> None:
    words = (
        *("--cohorts", "@canary,2,rest", "--soak", "2h,30m,0", "--budget", "50%", "--windows", "night"),
        *("--per-label", "zone=1", "--settle", "1m", "--tolerance", "3", "--on-halt", "roll-back"),
        *("--keep-staged", "--source", "offer", "--force", "hold", "--reason", "ops-1"),
    )
    told = json.loads(console("rollout", "plan", "--all", "--to", "4593.2.5", "--json", *words))
    limits = told["limits"]
    assert (limits["budget"], limits["per_label"], limits["settle_s"]) == (4, {"zone": 1}, 60)
    assert (limits["tolerance"], limits["on_halt"], limits["keep_staged"]) == (3, "roll-back", True)
    assert (limits["source"], limits["forced"]) == ("offer", {"hold": "ops-1"})
    assert [window["name"] for window in limits["windows"]] == ["night"]
    assert [cohort["soak_s"] for cohort in told["cohorts"]] == [7200, 1800, 0]


@pytest.mark.parametrize(
    "words",
    [
        ("--all",),
        ("--all", "--to", "stable", "--channel", "beta"),
        ("--to", "stable"),
        ("--all", "node-1", "--to", "stable"),
        ("--all", "--to", "stabel"),
        ("--all", "--channel", "bata"),
        ("--all", "--to", "stable", "--template", "gatde"),
        ("--all", "--to", "stable", "--cohorts", "node,rest"),
        ("--all", "--to", "stable", "--force", "hold"),
        ("--all", "--follow"),
        ("node", "--to", "stable"),
        ("--all", "--to", "stable", "--soak", "soon"),
    ],
)
def test_what_cannot_be_planned_is_2_and_stores_nothing(console: Console, words: tuple[str, ...]) -> None:
    console("rollout", "plan", *words, code=2)
    assert console("rollout", "list") == "no rollout has been planned\n"


def test_a_problem_is_4_and_stores_nothing(console: Console) -> None:
    text = console("rollout", "plan", "--all", "--to", "stable", "--template", "gated", code=4)
    assert "gate up does not say which Prometheus to ask" in text
    assert console("rollout", "list") == "no rollout has been planned\n"
    words = ("--template", "gated", "--prometheus-url", "http://prom.example.net")
    assert console.plan(*words).startswith("r-")


def test_channels_and_roll_backs_are_planned_too(console: Console) -> None:
    channel = json.loads(console("rollout", "plan", "--all", "--channel", "beta", "--json"))
    assert (channel["title"], channel["action"]["channel"]) == ("channel beta to canary, rest", "beta")
    back = json.loads(console("rollout", "plan", "--all", "--roll-back", "--json"))
    assert back["action"] == {"kind": "roll-back", "version": None, "channel": None}


# -- start -----------------------------------------------------------------------------------------------


def test_a_start_approves_and_starts_its_runner(console: Console) -> None:
    rollout_id = console.plan()
    console("rollout", "start", rollout_id, "--yes", "--expect-hosts", "8", "--no-wait", "--actor", "jana")
    assert console.started == [rollout_id]
    state = console.state(rollout_id)
    assert state.state is RolloutState.APPROVED
    assert state.approvals[0].what == RequestKind.APPROVE
    assert state.approvals[0].actor.startswith("jana as ")
    assert "approved by jana as" in console("rollout", "show", rollout_id)


def test_a_start_needs_its_number_where_nobody_can_be_asked(console: Console) -> None:
    rollout_id = console.plan()
    console("rollout", "start", rollout_id, "--yes", code=2)
    assert "--expect-hosts 8" in console.err
    console("rollout", "start", rollout_id, "--yes", "--expect-hosts", "7", code=4)
    console("rollout", "start", rollout_id, "--expect-hosts", "8", code=2)
    assert console.state(rollout_id).state is RolloutState.DRAFT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda conn: put_pin(conn, Pin("node-3", "4593.2.3", "x", "jana", "2026")),
            "node-3: pin 4593.2.3, was none",
        ),
        (
            lambda conn: tables.put_hold(conn, Hold("node-4", "ops", "jana", "2026")),
            "node-4: hold ops, was none",
        ),
    ],
)
def test_a_start_is_refused_where_its_inputs_changed(console: Console, change: Any, words: str) -> None:
    rollout_id = console.plan()
    console.change(change)
    console("rollout", "start", rollout_id, "--yes", "--expect-hosts", "8", code=4)
    assert words in console.err
    assert console.state(rollout_id).state is RolloutState.DRAFT
    assert console.started == []


def test_a_start_is_refused_where_the_template_or_the_hosts_changed(console: Console) -> None:
    rollout_id, file = console.plan(), console.folder / "fleet.toml"
    file.write_text(FLEET.replace("budget = 2", "budget = 3"))
    console("rollout", "start", rollout_id, "--yes", "--expect-hosts", "8", code=4)
    assert "template says otherwise: budget" in console.err
    file.write_text(FLEET.replace("node-[1-6]", "node-[1-5]"))
    console("rollout", "start", rollout_id, "--yes", "--expect-hosts", "8", code=4)
    assert "node-6: it is no host of the fleet any more" in console.err


def test_a_start_long_after_the_last_look_is_refused(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout_id = console.plan()
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr("console.cli.rollout_start.now", lambda: later)
    console("rollout", "start", rollout_id, "--yes", "--expect-hosts", "8", code=4)
    assert "not asked of late" in console.err


def test_only_a_draft_is_started(console: Console) -> None:
    rollout_id = console.plan()
    console.put(rollout_id, state=RolloutState.RUNNING)
    console("rollout", "start", rollout_id, "--yes", "--expect-hosts", "8", code=4)
    console("rollout", "start", "r-none", code=2)
