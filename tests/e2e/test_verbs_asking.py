"""How a verb is asked for: what it needs to be told, what it answers, and what it leaves to a person."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cli import Terminal
from tests.e2e.demo_fleet import Demo, served

NEW = "4593.2.5"
SCENARIOS = ("behind=9", "held=1", "silent=1", "key_changed=1", "pxe=1")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    words = [word for scenario in SCENARIOS for word in ("--scenario", scenario)]
    with served(tmp_path_factory.mktemp("verbs") / "demo", *words, "--speed", "60") as found:
        found.run("collect", code=3)
        yield found


def behind(demo: Demo) -> list[str]:
    return [name for name, scenario in demo.scenarios.items() if scenario == "behind"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("stage", NEW), 2, "names no host; name some, or say --all"),
        (("stage", NEW, "--all", "--group", "edge"), 2, "names hosts and says --all"),
        (("stage", NEW, "edg"), 2, "too loose"),
        (("stage", NEW, "no-such[1-2]"), 2, "unknown host"),
        (("stage", NEW, "--to", NEW, "--all"), 2, "named twice"),
        (("stage", NEW, "--all"), 2, "no terminal to ask at: say --yes --expect-hosts 13"),
        (("stage", NEW, "--all", "--yes"), 2, "say --yes --expect-hosts 13"),
        (("stage", NEW, "--all", "--yes", "--expect-hosts", "12"), 4, "13 hosts it is, not 12"),
        (("stage", NEW, "--all", "--expect-hosts", "13"), 2, "goes with --yes"),
        (("activate", "--all", "--force", "hold"), 2, "--force needs --reason"),
        (("activate", "--all", "--force", "everything", "--reason", "x"), 2, "is not one of"),
        (("reboot", "--all", "--timeout", "soon"), 2, "no time span"),
        (("updates", "maybe", "--all"), 2, "is not one of"),
        (("stage", NEW, "--payload", "/no/such", "--all"), 2, "does not exist"),
        (("run", "o-nothing1"), 2, "no order of this fleet"),
    ],
)
def test_what_is_not_clear_sends_nothing(demo: Demo, words: tuple[str, ...], code: int, told: str) -> None:
    done = demo.run(*words, code=code)
    assert told in done.stderr + done.stdout
    assert demo.run("run").stdout == ""


def test_many_hosts_are_not_rebooted_by_one_command(demo: Demo) -> None:
    done = demo.run("reboot", "--all", "--yes", "--expect-hosts", "13", code=4)
    assert "type --at-once N if you mean it" in done.stderr


@pytest.mark.parametrize(
    ("scenario", "code", "refused"),
    [
        ("held", 4, "held"),
        ("silent", 3, "unreachable"),
        ("key_changed", 3, "host-key-changed"),
        ("pxe", 4, "no-slots"),
    ],
)
def test_a_host_says_why_not(demo: Demo, scenario: str, code: int, refused: str) -> None:
    done = demo.run("reboot", demo.host(scenario), "--dry-run", "--json", code=code)
    (host,) = json.loads(done.stdout)["hosts"]
    assert refused in [item["code"] for item in host["refusals"]]


def test_a_person_types_what_it_is_about(demo: Demo, tmp_path: Path) -> None:
    person, fleet = Terminal(tmp_path), demo.directory / "fleet.toml"
    one, two, *_ = behind(demo)
    words = ("stage", NEW, one, two)
    shown = person.type(*words, answers=[("type 2 to stage", "3")], fleet=fleet, code=4)
    assert "not confirmed: nothing was sent" in shown
    shown = person.type(*words, answers=[("type 2 to stage", "2")], fleet=fleet, code=0)
    assert "2 done" in shown
    shown = person.type("cancel", one, answers=[("type yes to cancel", "yes")], fleet=fleet, code=0)
    assert "1 done" in shown


def test_an_order_goes_on_by_itself(demo: Demo) -> None:
    host = behind(demo)[2]
    order = demo.run("stage", NEW, host, "--yes", "--no-wait").stdout.strip()
    listed = demo.run("run").stdout
    assert order in listed
    done = demo.run("run", order, "--json")
    (told,) = json.loads(done.stdout)["hosts"]
    assert (told["host"], told["code"]) == (host, "staged")
    assert order in demo.run("show", host).stdout


def test_the_order_at_work_is_in_the_status(demo: Demo) -> None:
    host = behind(demo)[3]
    demo.run("stage", NEW, host, "--yes")
    order = demo.run("activate", host, "--yes", "--no-wait").stdout.strip()
    seen: list[dict[str, str] | None] = []
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(seen):
        (row,) = demo.status("--host", host)["hosts"]
        seen.append(row["order"])
    assert [found["id"] for found in seen if found] == [order]
    demo.run("run", order)
    (row,) = demo.status("--host", host)["hosts"]
    assert row["order"] is None


def test_pinned_and_quarantined_hosts_are_left_alone(demo: Demo) -> None:
    host = behind(demo)[4]
    demo.run("pin", "4593.2.4", host, "--reason", "ops-7")
    refused = json.loads(demo.run("stage", NEW, host, "--dry-run", "--json", code=4).stdout)
    assert [item["code"] for item in refused["hosts"][0]["refusals"]] == ["pinned"]
    demo.run("pin", "none", host)
    demo.run("stage", NEW, host, "--dry-run")
    assert "was not in quarantine" in demo.run("quarantine", "release", NEW, host).stdout
