"""States as they are shown, and exit codes as they are returned: both are interfaces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import console
from console.exit_codes import GRAVEST_FIRST, ExitCode, worst
from console.states import STATES, needs_attention, needs_look, rank, style_of, word_of
from console.tone import ASCII, UNICODE, Pen, Tone
from console.visible import cells, visible

SCHEMA = Path(console.__path__[0], "schemas", "fleetctl.status.v1.json")


def test_every_state_of_the_schema_is_shown_and_no_other() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert set(STATES) == set(schema["$defs"]["situation"]["properties"]["state"]["enum"])


@pytest.mark.parametrize("attribute", ["glyph", "word", "ascii", "meaning"])
def test_no_two_states_look_alike(attribute: str) -> None:
    values = [getattr(style, attribute) for style in STATES.values()]
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("code", list(STATES))
def test_signs_are_one_cell_and_sentences_fit(code: str) -> None:
    style = STATES[code]
    assert style.code == code
    assert (cells(style.glyph), cells(style.ascii)) == (1, 1)
    assert style.ascii.isascii()
    assert visible(style.glyph) == style.glyph
    assert cells(style.word) <= 16
    assert cells(style.meaning) <= 76
    assert style.meaning.endswith(".")


def test_attention_goes_from_bad_to_calm() -> None:
    tones = list(dict.fromkeys(style.tone for style in sorted(STATES.values(), key=lambda s: rank(s.code))))
    assert tones == [
        Tone.BAD,
        Tone.UNKNOWN,
        Tone.WARN,
        Tone.MOVING,
        Tone.CHOSEN,
        Tone.LATE,
        Tone.DIM,
        Tone.CALM,
    ]


def test_who_needs_attention_and_who_a_look() -> None:
    assert {code for code in STATES if not needs_attention(code)} == {"current", "held"}
    calm = {code for code in STATES if not needs_look(code)}
    assert calm == {
        *("rebooting", "staging", "staged", "rollback_armed"),
        *("held", "updates_off", "behind", "no_slots", "current"),
    }


def test_a_state_from_another_version_is_unknown_and_comes_first() -> None:
    style = style_of("melted\x1b[2J")
    assert (style.tone, style.word.isprintable(), cells(style.word) <= 16) == (Tone.UNKNOWN, True, True)
    assert rank("melted") < min(map(rank, STATES))
    assert needs_look("melted")
    assert needs_attention("melted")


def test_current_that_is_not_proved_says_so() -> None:
    assert word_of("current") == "current"
    assert word_of("current", certain=False) == "current?"
    assert word_of("behind", certain=False) == "behind"


def test_marks_are_one_cell_each() -> None:
    for marks in (UNICODE, ASCII):
        for name in ("runs", "next", "back", "dead", "alert", "warn", "full", "half", "track"):
            assert cells(getattr(marks, name)) == 1, name
        for name in ("heavy", "light", "dashed"):
            assert [cells(char) for char in getattr(marks, name)] == [1] * 6, name
    assert all(getattr(ASCII, name).isascii() for name in ASCII.__slots__)


def test_colour_is_off_entirely_or_closed_again() -> None:
    for tone in Tone:
        assert Pen(False, False)(tone, "text") == "text"
        drawn = Pen(True, False)(tone, "text")
        assert drawn == "text" or (drawn.startswith("\x1b[") and drawn.endswith("text\x1b[0m"))
    assert Pen(False, False, "#4fd0c3").fleet("prod") == "prod"
    assert Pen(True, False, "#4fd0c3").fleet("prod") == "\x1b[1;38;2;79;208;195mprod\x1b[0m"
    assert Pen(True, False, "\x1b[2J").fleet("prod") == "\x1b[1;36mprod\x1b[0m"


@pytest.mark.parametrize(
    ("share", "bar"), [(0.0, ""), (0.001, "╸"), (0.5, "━━"), (0.6, "━━╸"), (1.0, "━━━━"), (7.0, "━━━━")]
)
def test_a_gauge_shows_the_smallest_part(share: float, bar: str) -> None:
    assert Pen(False, False).gauge(share, 4) == (bar, " " * (4 - len(bar)))


# Exit codes


def test_exit_codes_are_a_contract() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0,
        "NOT_AS_WANTED": 1,
        "USAGE": 2,
        "NO_ANSWER": 3,
        "REFUSED": 4,
        "UNKNOWN": 5,
        "HALTED": 6,
        "FAILED": 7,
        "BUG": 70,
        "INTERRUPTED": 130,
    }
    assert all(code.meaning for code in ExitCode)


def test_the_gravest_code_stands_for_all() -> None:
    order = [70, 130, 5, 6, 7, 4, 3, 1, 0]
    assert [code for code in GRAVEST_FIRST if code is not ExitCode.USAGE] == order
    for index, code in enumerate(order):
        assert worst(reversed(order[index:])) == code
    assert worst([]) is ExitCode.OK
    with pytest.raises(ValueError, match="99"):
        worst([0, 99])
