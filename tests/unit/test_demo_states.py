"""The demo through the product's own reading: each scenario is shown in its state, no secret gets in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime

import pytest

from actions.situation import Situation, Wish, situation
from collectors.errors import Reach
from collectors.facts import HostFacts, Unit
from collectors.fleet_model import WantedUpdates
from collectors.inventory import parse_fleet
from collectors.memory import remember
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.parse.answer import parse_answer
from collectors.probe import LIMIT_BYTES
from collectors.releases import parse_feed
from console.demo.answers import answer
from console.demo.feed import releases_json
from console.demo.healthy import HostSpec
from console.demo.hostile import PLANTED_SECRETS
from console.demo.plan import Reached, fleet_text, plan
from console.demo.scenarios import SCENARIOS, SELECTABLE

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
MARK = "0123456789abcdef"
FEED = parse_feed(json.dumps(releases_json(START)).encode(), taken_at=START, source="demo", digest="")
UNREACHED = {
    "silent": Reach.TIMEOUT,
    "auth_refused": Reach.AUTH_FAILED,
    "key_unknown": Reach.HOST_KEY_UNKNOWN,
    "key_changed": Reach.HOST_KEY_CHANGED,
}
"""Scenarios that end before a command is sent."""


def facts_of(name: str, host: str = "edge-fra-01") -> HostFacts:
    scenario = SELECTABLE[name]
    state = scenario.build(HostSpec(host, START, scenario.flavour))
    return parse_answer(answer(state, MARK, START)[:LIMIT_BYTES], MARK, salt=b"test")


def texts(value: object, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text in facts, keys too, with the place where it is; as it is, for repr hides what it escapes."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, bytes):
        yield place, value.decode("latin-1")
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name), f"{place}/{field.name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(key, f"{place}/{key}/key")
            yield from texts(item, f"{place}/{key}")
    elif isinstance(value, (tuple, list, set, frozenset)):
        for number, item in enumerate(value):
            yield from texts(item, f"{place}/{number}")


def shown(name: str, host: str) -> Situation:
    """What the console makes of its first look at a host."""
    scenario = SCENARIOS[name]
    wish = Wish(channel=scenario.flavour.group, updates=WantedUpdates.SELF, hold=scenario.hold)
    seen: Observation
    if name in UNREACHED:
        seen, memory = ProbeFailed(host, START, UNREACHED[name], "not reached"), None
    else:
        facts = facts_of(name, host)
        seen, memory = Answer(host, START, facts, 0.1), remember(None, facts, START)
    return situation(seen, memory=memory, wish=wish, feed=FEED, now=START)


@pytest.mark.parametrize("host", ["edge-fra-01", "db-lon-2"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_is_shown_in_its_state_with_its_code(name: str, host: str) -> None:
    found = shown(name, host)
    assert found.state == SCENARIOS[name].state
    assert name in {reason.code for reason in found.reasons}


def test_fleet_file_is_one_that_the_product_reads() -> None:
    planned = plan(60, {})
    reached = [
        Reached(host, f"127.20.0.{number}", 2222 + number % 2) for number, host in enumerate(planned, 1)
    ]
    text = fleet_text(reached, key_file="demo_key", known_hosts="known_hosts", feed_file="releases.json")
    fleet = parse_fleet(text, file="fleet.toml")
    assert {host.name for host in fleet.hosts} == {host.name for host in planned}


@pytest.mark.parametrize("host", ["edge-fra-01", "edge-fra-02", "db-lon-2", "db-ams-1"])
def test_no_planted_secret_and_no_control_character_gets_into_the_facts(host: str) -> None:
    facts = facts_of("hostile", host)
    found = dict(texts(facts))
    assert len(found) > 50
    for text in found.values():
        assert [secret for secret in PLANTED_SECRETS if secret in text] == []
    # another console's order is kept line by line, as it stands on the host
    lines = {**found, "/foreign_order": found.get("/foreign_order", "").replace("\n", " ")}
    assert {place: text for place, text in lines.items() if re.search(r"[\x00-\x1f\x7f-\x9f]", text)} == {}


def test_the_walk_through_facts_reaches_every_kind_of_text() -> None:
    unit = Unit("\x9b", "active", "running", "enabled", "success")
    facts = replace(facts_of("current"), odd=("\x1b",), foreign_order="\x07", units={"\x00": unit})
    assert {"\x1b", "\x07", "\x00", "\x9b"} <= set(dict(texts(facts)).values())
