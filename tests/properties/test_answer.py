"""A whole answer, whatever was done to it: facts come back, and never a wrong one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.situation import STATES, Wish, situation
from collectors.facts import HostFacts
from collectors.observation import Answer
from collectors.parse.answer import parse_answer
from console.demo.answers import answer
from console.demo.healthy import HostSpec
from console.demo.scenarios import SCENARIOS
from tests.builders import NOW, feed

MARK, SALT = "5" * 32, b"salt"
START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
ASKED = [name for name, scenario in SCENARIOS.items() if scenario.state != "unreachable"]
FEED = feed("4593.2.4", "4593.2.5")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def told(name: str) -> bytes:
    scenario = SCENARIOS[name]
    return answer(scenario.build(HostSpec("node-1", START, scenario.flavour)), MARK, START)


WHOLE = {name: told(name) for name in ASKED}
READ = {name: parse_answer(output, MARK, salt=SALT) for name, output in WHOLE.items()}


def judged(facts: HostFacts) -> str:
    return situation(Answer("node-1", NOW, facts, 0.1), None, Wish(), FEED, NOW).state


def texts(document: object) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield from texts(key)
            yield from texts(value)
    elif isinstance(document, list | tuple):
        for value in document:
            yield from texts(value)


@given(st.sampled_from(ASKED), st.floats(0, 1))
def test_a_cut_answer_is_incomplete_and_invents_nothing(name: str, share: float) -> None:
    whole = WHOLE[name]
    facts = parse_answer(whole[: int(len(whole) * share * 0.999)], MARK, salt=SALT)
    assert not facts.complete
    assert judged(facts) in ("incomplete", "not_flatcar")
    full = READ[name]
    for field in ("operation", "running", "slots", "system_state", "coordinator", "conf"):
        assert getattr(facts, field) in (None, getattr(full, field))
    assert facts.os.version_id in (None, full.os.version_id)


@given(st.sampled_from(ASKED), st.data())
def test_a_garbled_answer_never_raises_and_brings_no_control_character(name: str, data: Any) -> None:
    garbled = bytearray(WHOLE[name])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(garbled) - 1))
        garbled[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=8))
    facts = parse_answer(bytes(garbled), MARK, salt=SALT)
    assert judged(facts) in STATES
    assert [text for text in texts(msgspec.to_builtins(facts)) if CONTROL.search(text)] == []


@given(st.binary(max_size=3000))
def test_noise_is_no_answer(output: bytes) -> None:
    facts = parse_answer(output, MARK, salt=SALT)
    assert not facts.complete
    assert judged(facts) == "incomplete"


@pytest.mark.parametrize("name", ASKED)
def test_line_ends_of_another_kind_change_no_fact(name: str) -> None:
    """Some tool or gateway that turns every line end into CR LF must not turn a host healthy or ill.

    update.conf is the exception: there a CR is a fact, update_engine trips over it.
    """
    crlf = WHOLE[name].replace(b"\n", b"\r\n")
    mark = re.escape(MARK.encode())
    framed = re.sub(rb"(?m)^(" + mark + rb"[^\r\n]*)\r\n", rb"\1\n", crlf)
    facts = parse_answer(framed, MARK, salt=SALT)
    full = READ[name]
    assert (facts.os, facts.operation, facts.running, facts.slots) == (
        full.os,
        full.operation,
        full.running,
        full.slots,
    )
    assert (facts.units, facts.system_state, facts.failed_units) == (
        full.units,
        full.system_state,
        full.failed_units,
    )
