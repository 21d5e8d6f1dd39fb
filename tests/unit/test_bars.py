"""Bars, counts and the sentence above the table: proportions, what is said, and what a cell chooses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.bars import (
    Drawing,
    Part,
    bar,
    counts,
    family_parts,
    shares,
    state_parts,
    term,
    version_parts,
)
from console.board import Board, Look, Sweeping
from console.overview import LINES, Overview, Room, overview, sentences
from console.palette import LIGHT
from console.roster import Roster
from console.rows import Alert, FleetView, HostRow
from console.selection import parse
from console.states import STATES
from console.tone import Tone
from console.visible import cells
from tests.unit.test_render import FLEET, HOSTILE, NOW, OLD, WELL, row
from tests.unit.test_table import ROWS, assert_safe

SGR = re.compile(r"\x1b\[[0-9;]*m")
COLOUR, LETTERS = Look(), Look(ascii=True, plain=True)
LOOKS = (COLOUR, LETTERS, Look(ascii=True), Look(plain=True), Look(LIGHT))
STATES_SEEN = {"reverted": 3, "unreachable": 18, "held": 86, "behind": 1498, "current": 1458}
VERSIONS = {"4593.2.4": 1207, "4593.2.5": 1391, "4459.2.4": 148, None: 18}
NOTES = {"4593.2.5": "stable head", "4459.2.4": "end of life"}


def bare(line: str) -> str:
    return SGR.sub("", line)


def told(drawing: Drawing) -> list[str]:
    return [bare(line).rstrip() for line in drawing.lines]


# Proportions


@pytest.mark.parametrize(
    ("hosts", "width", "cells_of"),
    [
        ([1, 1], 10, [5, 5]),
        ([1, 2], 9, [3, 6]),
        ([1, 3000], 20, [1, 19]),
        ([3, 18, 86, 1498, 1458], 100, [1, 1, 2, 49, 47]),
        ([0, 5], 4, [0, 4]),
        ([], 4, []),
        ([0, 0], 4, [0, 0]),
        ([1, 1, 1], 2, [1, 1, 0]),
        ([7], 0, [0]),
    ],
)
def test_parts_get_whole_cells_and_the_small_ones_one(
    hosts: list[int], width: int, cells_of: list[int]
) -> None:
    assert shares(hosts, width) == cells_of


@given(hosts=st.lists(st.integers(0, 10**6), max_size=20), width=st.integers(1, 300))
def test_a_bar_is_filled_and_no_host_is_lost(hosts: list[int], width: int) -> None:
    found = shares(hosts, width)
    filled = [count for count in hosts if count]
    assert sum(found) == (width if filled else 0)
    assert all(not share for share, count in zip(found, hosts, strict=True) if not count)
    if len(filled) <= width:
        assert all(share for share, count in zip(found, hosts, strict=True) if count)
    ordered = sorted(zip(hosts, found, strict=True))
    if len(filled) * 2 <= width:
        assert all(a[1] <= b[1] + 1 for a, b in pairwise(ordered))


# Parts


def test_versions_come_newest_first_with_what_is_to_be_said_of_them() -> None:
    parts = version_parts(VERSIONS, NOTES, COLOUR)
    assert [(part.words, part.hosts, part.note) for part in parts] == [
        ("4593.2.5", 1391, "stable head"),
        ("4593.2.4", 1207, ""),
        ("4459.2.4", 148, "end of life"),
        ("not known", 18, ""),
    ]
    assert parts[-1].tone is Tone.UNKNOWN


def test_rare_versions_are_one_part_that_selects_them_all() -> None:
    many: Mapping[str | None, int] = {f"4593.2.{number}": 20 - number for number in range(11)}
    rare = version_parts(many, {}, COLOUR)[-1]
    assert (rare.words, rare.hosts) == ("3 others", 12 + 11 + 10)
    assert rare.key == "version:4593.2.8 or version:4593.2.9 or version:4593.2.10"


def test_so_many_versions_that_no_selection_could_be_read_choose_nothing() -> None:
    many: Mapping[str | None, int] = {f"4593.{number}.0": 1 for number in range(60)}
    assert version_parts(many, {}, COLOUR)[-1].key == ""


def test_states_of_one_tone_are_a_family_and_one_alone_keeps_its_word() -> None:
    states = state_parts({**STATES_SEEN, "failed": 2, "staged": 0}, COLOUR)
    assert [part.words for part in states] == [
        "reverted",
        "failed",
        "unreachable",
        "held",
        "behind",
        "current",
    ]
    families = family_parts(states, COLOUR)
    assert [(part.words, part.hosts) for part in families] == [
        ("bad", 5), ("unreachable", 18), ("held", 86), ("behind", 1498), ("current", 1458),
    ]  # fmt: skip
    assert families[0].key == "state:reverted or state:failed"
    assert state_parts({"current": 1}, COLOUR, certain=False)[0].words == "current?"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("4593.2.5", "version:4593.2.5"),
        ("4593.2.0+nightly-1", "version:4593.2.0+nightly-1"),
        (None, "version:unknown"),
        ("a b", 'version:"a b"'),
        ('a"b', "version:'a\"b'"),
        ("a'\"b", "version:'a\\'\"b'"),
    ],
)
def test_a_value_is_quoted_where_it_must_be(value: str | None, text: str) -> None:
    assert term("version", value) == text
    assert parse(text).matches(HostRow("x", "x", "current", version=value))


@given(
    value=st.text(min_size=1, max_size=20).filter(lambda text: "*" not in text and text.lower() != "unknown")
)
def test_whatever_a_host_calls_its_version_can_be_selected(value: str) -> None:
    if value.endswith("\\") or "\\" in value:
        return  # the grammar has no way to write a backslash before a quote
    matches = parse(term("version", value)).matches
    assert matches(HostRow("x", "x", "current", version=value))
    assert not matches(HostRow("x", "x", "current", version=value + "x"))


# Drawing


def test_labels_stand_in_the_parts_that_hold_them() -> None:
    drawing = bar(state_parts(STATES_SEEN, COLOUR), 100, COLOUR)
    assert re.sub(" +", " ", told(drawing)[0]).strip() == "▒▏ ▏ behind 1,498 ▏ current 1,458"
    assert [zone.key for zone in drawing.zones] == [f"state:{code}" for code in STATES_SEEN]


def test_without_colour_a_bar_is_made_of_letters() -> None:
    (line,) = told(bar(state_parts(STATES_SEEN, LETTERS), 60, LETTERS))
    assert re.fullmatch(r"<\?Hvbehind 1,498v+ocurrent 1,458o+", line)


def test_a_cell_chooses_the_part_that_it_belongs_to() -> None:
    drawing = bar(state_parts({"failed": 1, "current": 1}, COLOUR), 10, COLOUR, line=3)
    assert [drawing.at(x, 3) for x in (0, 4, 5, 9, 10)] == [
        "state:failed", "state:failed", "state:current", "state:current", "",
    ]  # fmt: skip
    assert drawing.at(0, 2) == ""


@pytest.mark.parametrize("look", LOOKS)
def test_the_part_under_the_cursor_looks_different(look: Look) -> None:
    parts = state_parts({"failed": 1, "unreachable": 2, "current": 30}, look)
    for part in parts:
        assert bar(parts, 60, look, part.key) != bar(parts, 60, look)
        assert counts(parts, 90, look, 1, part.key) != counts(parts, 90, look, 1)


def test_counts_go_on_in_the_next_line_and_end_with_how_many_are_left() -> None:
    parts = state_parts(dict.fromkeys(STATES, 1), COLOUR)
    lines = told(counts(parts, 60, COLOUR, 2))
    assert lines[0].startswith("≠ 1 key changed   ⊗ 1 wipe armed")
    assert re.search(r"   and \d+ more$", lines[1])
    assert told(counts(parts, 400, COLOUR, 2))[0].endswith("● 1 current")


def test_the_counts_of_a_version_say_its_end_of_life_in_another_colour() -> None:
    (line,) = counts(version_parts(VERSIONS, NOTES, COLOUR), 100, COLOUR, 1).lines
    assert bare(line).startswith("4593.2.5 1,391 stable head   4593.2.4 1,207   4459.2.4 148 end of life")
    assert f"\x1b[{COLOUR.paint.tones[Tone.WARN]}m end of life" in line


# All of it


def board(rows: tuple[HostRow, ...] = FLEET, **changes: object) -> Board:
    view = FleetView("prod", NOW, rows, len(rows), taken_at=NOW, feed_date=NOW.date(), version_notes=NOTES)
    return Board(replace(view, **changes), Sweeping(True, "asking every 60 s"))  # type: ignore[arg-type]


def over(shown: Board, look: Look = COLOUR) -> Overview:
    roster = Roster()
    roster.take(shown.view.rows)
    return Overview(shown, roster.tally, look)


@pytest.mark.parametrize(("room", "width"), [(Room.LOW, 80), (Room.MIDDLE, 120), (Room.HIGH, 160)])
def test_the_height_depends_on_the_room_alone(room: Room, width: int) -> None:
    for rows in (FLEET, (WELL,), ()):
        assert len(overview(over(board(rows)), width, room).lines) == LINES[room]


def test_the_sentence_gives_way_to_an_alert_where_it_is_low() -> None:
    alert = Alert("r-58", "HALTED", "3 reverted")
    drawing = overview(over(board(alerts=(alert,))), 80, Room.LOW)
    assert len(drawing.lines) == 2
    assert "need a look" not in bare(drawing.lines[0])
    assert {zone.line for zone in drawing.zones} == {0, 1}


def test_at_eighty_columns_one_bar_and_the_families() -> None:
    many = [replace(WELL, name=f"a{number}") for number in range(2000)]
    sentence, line, families = told(overview(over(board((*FLEET, *many))), 80, Room.LOW))
    assert sentence.strip() == "8 hosts need a look. 1 host never answered."
    assert line.endswith("current  2,001")
    assert families.strip().split("   ") == [
        "× 3 bad", "◌ 3 unknown", "◆ 2 warning", "◕ 4 in motion", "■ 1 held", "and 2 more",
    ]  # fmt: skip


def test_everything_that_can_be_chosen_selects_the_hosts_that_are_counted() -> None:
    shown = over(board())
    for room in Room:
        drawing = overview(shown, 160, room)
        assert drawing.keys
        for key in drawing.keys:
            assert any(map(parse(key).matches, FLEET)), key


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((), ["The fleet has no hosts."]),
        ((WELL,), ["Nothing needs you now."]),
        (
            (replace(WELL, reach=None, taken_at=None, state="unreachable"),),
            ["No host was ever asked.", "R asks now."],
        ),
        (
            (WELL, replace(OLD, state="failed"), row("x", "unreachable", reach=None, taken_at=None)),
            ["1 host needs a look.", "1 was never asked."],
        ),
        (
            (WELL, *(row(name, "unreachable", reach=None, taken_at=None) for name in "xy")),
            ["Nothing needs you among the hosts asked so far.", "2 were never asked."],
        ),
    ],
)
def test_the_sentence_says_first_whether_anything_is_needed(
    rows: tuple[HostRow, ...], words: list[str]
) -> None:
    shown = over(board(rows))
    assert list(sentences(shown.board, shown.tally)) == words


def test_a_first_sweep_shows_how_far_it_is() -> None:
    asked = [replace(WELL, name=f"a{number}") for number in range(12)]
    silent = [row(f"b{number}", "unreachable", reach=None, taken_at=None) for number in range(20)]
    first = told(overview(over(board((*asked, *silent))), 120, Room.MIDDLE))[0]
    assert first.endswith("━━━━╸───────  asked 12 of 32")
    assert "asked" not in told(overview(over(board((*asked,))), 120, Room.MIDDLE))[0]


def test_nothing_is_asked_of_the_past() -> None:
    shown = over(replace(board((replace(WELL, reach=None, taken_at=None),)), past=NOW))
    assert list(sentences(shown.board, shown.tally)) == ["No host was ever asked."]


@given(
    rows=st.lists(ROWS, max_size=12),
    look=st.sampled_from(LOOKS),
    width=st.integers(40, 220),
    room=st.sampled_from(list(Room)),
)
def test_every_line_is_as_wide_as_asked_whatever_hosts_say(
    rows: list[HostRow], look: Look, width: int, room: Room
) -> None:
    shown = over(board(tuple(rows), version_notes={HOSTILE: HOSTILE}), look)
    drawing = overview(shown, width, room)
    for line in drawing.lines:
        assert_safe(line, width, look)
    for zone in drawing.zones:
        assert 0 <= zone.start < zone.end <= width
        assert zone.line < len(drawing.lines)


@given(
    hosts=st.lists(st.integers(1, 10**7), min_size=1, max_size=18),
    look=st.sampled_from(LOOKS),
    width=st.integers(1, 200),
    most=st.integers(1, 3),
)
def test_counts_never_run_over(hosts: list[int], look: Look, width: int, most: int) -> None:
    codes = [*STATES, "tomorrow", "later"]
    parts = [
        Part(f"state:{code}", code, count, Tone.WARN, "x") for code, count in zip(codes, hosts, strict=False)
    ]
    drawing = counts(parts, width, look, most)
    assert len(drawing.lines) <= most
    assert [line for line in drawing.lines if cells(bare(line)) != width] == []
