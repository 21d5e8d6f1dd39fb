"""`fleetctl rollout list`, `show`, `watch` and the words to a rollout, on a store made by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actions import rollout_tables
from actions.engine import instant
from actions.rollout_model import CohortPhase, HostPhase, RolloutState
from actions.rollout_talk import RequestKind
from collectors import store
from tests.unit.rollout_planning_console import Console, console_in
from tests.unit.test_rollout_document import checked


@pytest.fixture
def console(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Console:
    return console_in(tmp_path, capsys, monkeypatch)


# -- list, show, watch -----------------------------------------------------------------------------------


def test_what_is_stored_is_shown_and_listed(console: Console) -> None:
    rollout_id = console.plan()
    shown = checked(json.loads(console("rollout", "show", rollout_id, "--json")))
    assert (shown["id"], shown["exit_code"]) == (rollout_id, 6)
    listed = checked(json.loads(console("rollout", "list", "--json")))
    assert [item["id"] for item in listed["rollouts"]] == [rollout_id]
    assert "fleetctl rollout start" in console("rollout", "show", rollout_id)
    assert "DRAFT  4593.2.5 to canary, rest" in console("rollout", "list")
    assert f'rollout="{rollout_id}",state="draft"}} 1' in console("rollout", "list", "--prometheus")
    console("rollout", "list", "--json", "--prometheus", code=2)
    console("rollout", "show", "r-none", code=2)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (RolloutState.HALTED, 6),
        (RolloutState.PAUSED, 6),
        (RolloutState.COMPLETED, 0),
        (RolloutState.RUNNING, 5),
    ],
)
def test_a_watch_ends_with_what_the_rollout_comes_to(
    console: Console, state: RolloutState, code: int
) -> None:
    rollout_id = console.plan()
    console.put(rollout_id, state=state)
    console("rollout", "watch", rollout_id, code=code)


def test_a_watch_ends_where_a_gate_waits(console: Console) -> None:
    rollout_id = console.plan()
    first, *others = console.state(rollout_id).cohorts
    waits = replace(first, phase=CohortPhase.WAITING_GATE)
    console.put(rollout_id, state=RolloutState.RUNNING, cohorts=(waits, *others))
    console.change(
        lambda conn: rollout_tables.add_event(
            conn, rollout_id, instant(datetime.now(UTC)), "gate", None, "x", ""
        )
    )
    assert console("rollout", "watch", rollout_id, code=6) == ""
    assert console("rollout", "watch", rollout_id, "--all", code=6).endswith("x\n")
    assert "promote" in console.err


# -- words to it -----------------------------------------------------------------------------------------


def test_a_draft_answers_without_a_runner(console: Console) -> None:
    rollout_id = console.plan()
    console("rollout", "pause", rollout_id, "--reason", "tea")
    assert console.state(rollout_id).state is RolloutState.PAUSED
    console("rollout", "resume", rollout_id)
    console("rollout", "promote", rollout_id, "--reason", "x", code=4)
    assert "only a running one is promoted" in console.err
    console("rollout", "abort", rollout_id, "--reason", "enough")
    console("rollout", "pause", rollout_id, code=4)
    assert "aborted" in console.err
    assert console.started == []


def test_a_rollout_that_nobody_runs_gets_a_runner_to_answer(console: Console) -> None:
    rollout_id = console.plan()
    console.put(rollout_id, state=RolloutState.RUNNING)
    console("rollout", "pause", rollout_id, "--reason", "tea", code=5)
    assert "nobody carries" in console.err
    assert console.started == [rollout_id]
    with closing(store.open_reader(console.database)) as conn:
        (row,) = rollout_tables.requests(conn, rollout_id)
    assert (row.request.kind, row.request.reason, row.answer) == (RequestKind.PAUSE, "tea", None)


@pytest.mark.parametrize("word", ["promote", "retry-failed", "accept-failures", "roll-back", "release"])
def test_what_needs_a_reason_is_not_asked_without(console: Console, word: str) -> None:
    rollout_id = console.plan()
    hosts = ("node-1",) if word == "release" else ()
    console("rollout", word, rollout_id, *hosts, code=2)
    console("rollout", word, rollout_id, *hosts, "--reason", " ", code=2)
    with closing(store.open_reader(console.database)) as conn:
        assert rollout_tables.requests(conn, rollout_id, is_open=False) == []


def test_hosts_are_named_by_node_sets(console: Console) -> None:
    rollout_id = console.plan()
    console.put(rollout_id, state=RolloutState.HALTED)
    console("rollout", "release", rollout_id, "node-[1-2]", "node-2", "--reason", "seen", code=5)
    with closing(store.open_reader(console.database)) as conn:
        (row,) = rollout_tables.requests(conn, rollout_id)
    assert (row.request.kind, row.request.hosts) == (RequestKind.RELEASE_HOST, ("node-1", "node-2"))
    console("rollout", "release", rollout_id, "node-[", "--reason", "seen", code=2)


def test_a_roll_back_wants_the_number_of_hosts_that_reboot(console: Console) -> None:
    rollout_id = console.plan()
    hosts = dict(console.state(rollout_id).hosts)
    for name in ("edge-1", "edge-2"):
        hosts[name] = replace(hosts[name], phase=HostPhase.DONE, has_target=True)
    console.put(rollout_id, state=RolloutState.HALTED, hosts=hosts)
    console("rollout", "roll-back", rollout_id, "--reason", "bad", code=2)
    assert "--expect-hosts 2" in console.err
    console("rollout", "roll-back", rollout_id, "--reason", "bad", "--yes", "--expect-hosts", "3", code=4)
    console("rollout", "roll-back", rollout_id, "--reason", "bad", "--yes", "--expect-hosts", "2", code=5)
    assert console.started == [rollout_id]


@pytest.mark.parametrize("words", [("list",), ("list", "--json"), ("show",), ("show", "--json")])
def test_quick_commands_import_nothing_heavy(console: Console, words: tuple[str, ...]) -> None:
    rollout_id = console.plan()
    arguments = [*words, rollout_id] if words[0] == "show" else list(words)
    code = (
        "import sys\nfrom console.cli.main import run\n"
        f"assert run(['--fleet', {str(console.folder / 'fleet.toml')!r}, 'rollout', *{arguments!r}]) == 0\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "console.cli.rollout" in loaded
    assert loaded & {"textual", "asyncssh", "httpx", "sqlite_utils"} == set()
