"""Every scenario over real SSH: states, codes, evidence, schema, tables, exit codes, hostile text."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from collectors.migrations import schema
from console.demo.hostile import PLANTED_SECRETS
from console.demo.scenarios import SCENARIOS
from console.states import STATES as WORDS
from tests.e2e.demo_fleet import Demo, served

pytestmark = pytest.mark.timeout(90)
SCHEMA = json.loads((Path(__file__).parents[2] / "console/schemas/fleetctl.status.v1.json").read_text())
NOT_ANSWERING = {"truncated", "silent", "auth_refused", "key_unknown", "key_changed"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Every scenario once, and one sweep."""
    with served(tmp_path_factory.mktemp("demo")) as running:
        running.run("collect", code=3)
        yield running


@pytest.fixture(scope="module")
def hosts(demo: Demo) -> dict[str, dict[str, Any]]:
    """Scenario -> its host in `status --json`."""
    scenarios = demo.scenarios
    return {scenarios[host["name"]]: host for host in demo.status()["hosts"]}


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_scenario_has_its_state_and_its_code(hosts: dict[str, dict[str, Any]], name: str) -> None:
    situation = hosts[name]["situation"]
    assert situation["state"] == SCENARIOS[name].state
    assert name in {reason["code"] for reason in situation["reasons"]}
    assert all(reason["text"] and reason["evidence"] for reason in situation["reasons"])


# running p/t/s, other p/t/s, next is the other slot, operation
EVIDENCE = {
    "never_updated": ("1/0/1", "0/0/0", False, "IDLE"),
    "rollback_available": ("2/0/1", "1/0/1", False, "IDLE"),
    "staging": ("2/0/1", "1/0/1", False, "DOWNLOADING"),
    "staged": ("1/0/1", "2/1/0", True, "UPDATED_NEED_REBOOT"),
    "staged_restarted": ("1/0/1", "2/1/0", True, "UPDATED_NEED_REBOOT"),
    "staged_reset": ("1/0/1", "2/1/0", True, "IDLE"),
    "staged_not_next": ("2/0/1", "1/1/0", False, "UPDATED_NEED_REBOOT"),
    "rollback_armed": ("1/0/1", "2/0/1", True, "IDLE"),
    "unconfirmed": ("2/0/0", "1/0/1", True, "IDLE"),
    "reverted_fresh": ("1/0/1", "2/0/0", False, "IDLE"),
    "reverted_settled": ("2/0/1", "1/0/0", False, "IDLE"),
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_slots_and_updater_are_the_evidence_of_the_state(hosts: dict[str, dict[str, Any]], name: str) -> None:
    slots, update = hosts[name]["slots"], hosts[name]["update"]
    running, other, moves, operation = EVIDENCE[name]
    letter = slots["running"].lower()
    flags = {
        key: f"{slots[key]['priority']}/{slots[key]['tries']}/{int(slots[key]['successful'])}" for key in "ab"
    }
    assert flags == {letter: running, {"a": "b", "b": "a"}[letter]: other}
    assert (slots["next"] != slots["running"]) is moves
    assert update["operation"] == f"UPDATE_STATUS_{operation}"


def test_what_each_special_host_tells(hosts: dict[str, dict[str, Any]]) -> None:
    assert hosts["staged"]["update"]["new_version"] == "4593.2.5"
    assert hosts["staged_restarted"]["update"]["new_version"] is None
    assert hosts["staged_will_reboot"]["reboot"]["will_reboot_by_itself"] is True
    assert hosts["staged_window"]["reboot"]["window_length"] is not None
    assert hosts["staged"]["reboot"]["will_reboot_by_itself"] is False
    assert hosts["unconfirmed"]["boot"]["confirmed"] is False
    assert hosts["reset_armed"]["boot"]["reset_armed"] is True
    assert hosts["first_boot_armed"]["boot"]["first_boot_armed"] is True
    assert hosts["failed"]["update"]["error"]["code"] == 10
    assert hosts["masked"]["update"]["disabled_by"] == "masked"
    assert hosts["engine_down"]["update"]["disabled_by"] == "stopped"
    assert hosts["updates_disabled"]["update"]["disabled_by"] == "server"
    assert hosts["drift"]["update"]["group"] == "beta"
    assert hosts["held"]["hold"]
    assert hosts["reverted_fresh"]["slots"]["fallback"] == "fresh"
    assert hosts["reverted_settled"]["slots"]["fallback"] == "settled"


def test_a_host_without_sudo_shows_everything_but_its_slots(hosts: dict[str, dict[str, Any]]) -> None:
    host = hosts["unprivileged"]
    assert (host["slots"], host["reach"]["privileged"], host["reach"]["state"]) == (None, False, "ok")
    assert host["os"]["version_id"]
    assert host["extensions"]
    assert host["update"]["operation"] == "UPDATE_STATUS_IDLE"


def test_the_json_is_what_its_schema_says(demo: Demo) -> None:
    document = demo.status()
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["summary"]["hosts"] == len(demo.scenarios) == 40
    assert set(demo.scenarios.values()) == set(SCENARIOS)
    assert sum(document["summary"]["by_state"].values()) == document["summary"]["hosts"]


def test_collect_says_who_did_not_answer_and_exits_3(demo: Demo) -> None:
    done = demo.run("collect", code=3)
    for name in NOT_ANSWERING:
        assert demo.host(name) in done.stderr
    assert f"{len(NOT_ANSWERING)} of 40 hosts did not answer" in done.stderr
    assert demo.host("unprivileged") not in done.stderr


def test_status_prints_every_state_in_words(demo: Demo) -> None:
    text = demo.run("status").stdout
    for name, scenario in SCENARIOS.items():
        assert demo.host(name) in text
        assert WORDS[str(scenario.state)].word in text
    assert "\x1b" not in text


def test_status_says_the_same_the_quick_way_and_judged_anew(demo: Demo) -> None:
    """Another feed time makes every host be judged from its facts; nothing else may change."""
    quick = demo.run("status", "--long").stdout
    feed = demo.directory / "releases.json"
    feed.touch()
    anew = demo.run("status", "--long").stdout

    def rows(text: str) -> list[str]:
        return [re.sub(r"\d+ (s|min) ago", "", line) for line in text.splitlines()]

    assert rows(quick) == rows(anew)


def test_selection_united_over_arguments_hosts_and_groups(demo: Demo) -> None:
    chosen = demo.status("state:reverted", "--host", demo.host("failed"))["hosts"]
    assert {host["situation"]["state"] for host in chosen} == {"reverted", "failed"}
    assert {host["name"] for host in demo.status("--group", "k8s")["hosts"]} == {
        host["name"] for host in demo.status("@k8s")["hosts"]
    }
    wrong = demo.run("status", "stat:reverted", code=2)
    assert "state" in wrong.stderr


def test_check_is_1_unless_every_host_is_current_or_held_and_fresh(demo: Demo) -> None:
    good = [demo.host(name) for name in ("current", "held", "never_updated")]
    demo.run("status", "--check", *good)
    demo.run("status", "--check", demo.host("behind"), code=1)
    demo.run("status", "--check", demo.host("silent"), code=1)


def test_refresh_asks_only_the_selected_hosts(demo: Demo) -> None:
    before = {host["name"]: host["taken_at"] for host in demo.status()["hosts"]}
    one = demo.host("current")
    demo.run("status", "--refresh", one)
    after = {host["name"]: host["taken_at"] for host in demo.status()["hosts"]}
    assert {name for name in before if before[name] != after[name]} == {one}
    demo.run("status", "--refresh", demo.host("silent"), code=3)


def test_show_tells_one_host_and_knows_near_names(demo: Demo) -> None:
    name = demo.host("staged")
    text = demo.run("show", name).stdout
    assert "boots next" in text
    assert json.loads(demo.run("show", name, "--json").stdout)["name"] == name
    assert f"did you mean {name}?" in demo.run("show", f"{name}0", code=2).stderr


def test_migrate_and_version_answer(demo: Demo) -> None:
    assert f"has schema {schema()}\n" in demo.run("migrate").stdout
    assert demo.run("version").stdout.startswith("fleetctl ")


def test_the_database_is_private_and_readable_by_plain_sql(demo: Demo) -> None:
    path = demo.directory / "demo.db"
    assert path.stat().st_mode & 0o777 == 0o600
    conn = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        states = dict(conn.execute("SELECT name, state FROM fleet_now").fetchall())
        versions = conn.execute("SELECT version, hosts FROM versions_over_time").fetchall()
    finally:
        conn.close()
    assert states[demo.host("reverted_fresh")] == "reverted"
    assert "4593.2.5" in {version for version, _ in versions}
    assert all(hosts > 0 for _, hosts in versions)


def test_no_color_and_ascii_lose_nothing(demo: Demo) -> None:
    coloured = demo.run("--color", "always", "status").stdout
    assert "\x1b[" in coloured
    plain = demo.run("--ascii", "status", NO_COLOR="1").stdout
    assert plain.isascii()
    for scenario in SCENARIOS.values():
        assert WORDS[str(scenario.state)].word in plain


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with served(
        tmp_path_factory.mktemp("hostile"), "--scenario", "hostile=2", "--scenario", "current=3"
    ) as running:
        running.run("collect", code=None)
        yield running


def test_hostile_text_reaches_no_terminal_and_hurts_no_other_host(hostile: Demo) -> None:
    outputs = [
        hostile.run("status", "--long").stdout,
        hostile.run("status", "--json").stdout,
        hostile.run("show", hostile.host("hostile")).stdout,
        hostile.run("collect", code=None).stderr,
    ]
    for text in outputs:
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    states = {host["name"]: host["situation"]["state"] for host in hostile.status()["hosts"]}
    for name, scenario in hostile.scenarios.items():
        assert states[name] == ("current" if scenario == "current" else "incomplete")


def test_planted_secrets_are_nowhere(hostile: Demo) -> None:
    hostile.run("show", hostile.host("hostile"))
    files = [path for path in hostile.directory.iterdir() if path.name.startswith("demo.db")]
    stored = b"".join(path.read_bytes() for path in files)
    shown = hostile.run("status", "--json").stdout + hostile.run("show", hostile.host("hostile")).stdout
    assert PLANTED_SECRETS
    for secret in PLANTED_SECRETS:
        assert secret.encode() not in stored
        assert secret not in shown
