"""Lines of the big table: columns by width, what each cell says, and that nothing breaks the grid."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.arrange import Arrangement, Fold, Heading
from console.board import Look
from console.palette import COLOUR_BLIND, HIGH_CONTRAST, LIGHT
from console.rows import HostRow
from console.states import STATES
from console.table import (
    Layout,
    Place,
    empty_lines,
    fold_line,
    group_line,
    heading_line,
    host_line,
    layout,
    pens_of,
)
from console.tone import Tone
from console.visible import cells
from tests.unit.test_render import HOSTILE, NOW, OLD, WELL, row, slot

SGR = re.compile(r"\x1b\[[0-9;]*m")
PALE = Look()
LETTERS = Look(ascii=True, plain=True)
LOOKS = (
    PALE,
    LETTERS,
    Look(ascii=True),
    Look(plain=True),
    Look(LIGHT),
    Look(HIGH_CONTRAST),
    Look(COLOUR_BLIND),
)
WIDTHS = (40, 60, 79, 80, 99, 100, 107, 119, 147, 199)


def bare(line: str) -> str:
    return SGR.sub("", line)


def line_of(
    host: HostRow, width: int = 119, look: Look = PALE, table: Layout | None = None, **place: bool
) -> str:
    return host_line(host, table or layout(width, 12, 8), NOW, pens_of(look), Place(**place))


def cell_of(host: HostRow, key: str, width: int = 199, look: Look = PALE) -> str:
    table = layout(width, 12, 8)
    column = table.column(key)
    assert column is not None
    return bare(line_of(host, look=look, table=table))[column.start : column.start + column.width].strip()


# Columns


@pytest.mark.parametrize(
    ("width", "keys"),
    [
        (79, "host state slots behind seen"),
        (99, "host group state note slots behind seen"),
        (107, "host group state note slots behind seen"),
        (119, "host group state note slots behind ext health seen"),
        (199, "host group state note slots behind ext health seen"),
    ],
)
def test_columns_give_way_when_it_is_narrow(width: int, keys: str) -> None:
    table = layout(width, 12, 8)
    assert [column.key for column in table.columns] == keys.split()
    assert table.columns[-1].start + table.columns[-1].width == width


def test_the_host_grows_first_then_the_note() -> None:
    widths = [layout(width, 30, 8) for width in (99, 119, 147, 199)]
    hosts = [table.column("host") for table in widths]
    assert [column.width for column in hosts if column] == sorted(column.width for column in hosts if column)
    assert hosts[-1] is not None
    assert hosts[-1].width == 30
    note, short = layout(199, 12, 8).column("note"), layout(147, 12, 8).column("note")
    assert note is not None
    assert short is not None
    assert note.width > short.width


def test_long_versions_widen_the_slots_as_far_as_there_is_room() -> None:
    wide, narrow = layout(199, 12, 12).column("slots"), layout(79, 12, 40).column("slots")
    assert wide is not None
    assert narrow is not None
    assert wide.width == 2 * 15 + 2
    assert 24 <= narrow.width < 36


@given(
    width=st.integers(min_value=40, max_value=300),
    name=st.integers(min_value=0, max_value=300),
    version=st.integers(min_value=0, max_value=300),
)
def test_columns_never_overlap_and_fit_from_eighty_columns_on(width: int, name: int, version: int) -> None:
    table = layout(width, name, version)
    ends = 0
    for column in table.columns:
        assert column.start >= ends
        assert column.width > 0
        ends = column.start + column.width
    assert {"host", "state", "slots"} <= {column.key for column in table.columns}
    assert ends <= width or width < 79


def test_a_cell_belongs_to_the_column_above_it() -> None:
    table = layout(119, 12, 8)
    found = {(column.key if column else "") for column in map(table.at, range(119))}
    assert found == {"", *(column.key for column in table.columns)}
    state = table.column("state")
    assert state is not None
    assert table.at(state.start) == state
    assert table.at(0) is None


def test_headings_name_the_columns_and_the_one_sorted_by_stands_out() -> None:
    line = heading_line(layout(119, 12, 8), Arrangement(sort="behind"), pens_of(PALE))
    assert bare(line).split() == "host group state why slots ► runs → next behind ext health seen".split()
    bright = PALE.paint.tones
    assert f"\x1b[{bright[Tone.BRIGHT]}mbehind" in line
    assert ">" in bare(heading_line(layout(79, 12, 8), Arrangement(), pens_of(LETTERS)))


# Cells


@pytest.mark.parametrize(
    ("host", "key", "words"),
    [
        (WELL, "state", "● current"),
        (replace(WELL, certain=False), "state", "● current?"),
        (row("x", "staged_not_next"), "state", "◇ staged, not…"),
        (row("x", "tomorrow"), "state", "◌ tomorrow"),
        (WELL, "behind", ""),
        (OLD, "behind", "1"),
        (replace(OLD, behind=None), "behind", "?"),
        (replace(OLD, behind=None, reach="timeout"), "behind", ""),
        (WELL, "seen", ""),
        (replace(OLD, stale=True, taken_at=NOW - timedelta(hours=3)), "seen", "3 h"),
        (replace(OLD, taken_at=None), "seen", "never"),
        (replace(OLD, extensions=("a", "b")), "ext", "2"),
        (replace(OLD, extensions=("a",), extension_problems=("b",)), "ext", "1 1!"),
        (replace(OLD, health="1 failed"), "health", "1 failed"),
        (row("x", "held", hold="ops-1432"), "note", "ops-1432"),
        (row("x", "staged", "staged", will_reboot_by_itself=True), "note", "reboots by itself; staged"),
        (WELL, "slots", "A 4593.2.4   B►4593.2.5"),
        (replace(WELL, reach="timeout"), "slots", "A 4593.2.4   B 4593.2.5"),
    ],
)
def test_a_cell_says_only_what_differs_from_well(host: HostRow, key: str, words: str) -> None:
    assert cell_of(host, key) == words


STAGING = row("x", "staging", progress=0.62)


def test_writing_shows_a_gauge_and_a_share_or_the_share_where_there_is_no_room() -> None:
    assert cell_of(STAGING, "note") == "━━━━━━━╸────  62%"
    assert cell_of(STAGING, "note", look=LETTERS) == "=======-....  62%"
    assert bare(line_of(STAGING, 79))[15:31].strip() == "◔ staging    62%"
    assert cell_of(replace(STAGING, reasons=(("staging", "downloading, 62%"),)), "note").endswith(
        "downloading"
    )


def test_the_gutter_shows_cursor_and_mark_without_colour_too() -> None:
    assert bare(line_of(OLD, is_cursor=True))[:3] == "▌  "
    assert bare(line_of(OLD, is_marked=True))[:3] == " * "
    assert bare(line_of(OLD, 79, LETTERS, is_cursor=True, is_marked=True))[:2] == ">*"
    assert "1" in SGR.findall(line_of(OLD, look=Look(plain=True), is_marked=True))[0]


def test_what_is_old_is_quiet_but_never_what_is_wrong() -> None:
    tones = PALE.paint.tones
    stale = line_of(replace(OLD, stale=True))
    assert f"\x1b[{tones[Tone.ACCENT]}m" not in stale
    assert f"\x1b[{tones[Tone.ACCENT]}m" in line_of(OLD)
    reverted = line_of(replace(row("x", "reverted"), stale=True))
    assert f"\x1b[{tones[Tone.BAD]}m◄ reverted" in reverted


def test_hints_are_not_drawn_in_the_line_of_the_cursor() -> None:
    hint = f"\x1b[{PALE.paint.tones[Tone.HINT]}m"
    assert hint in line_of(OLD)
    assert hint not in line_of(OLD, is_cursor=True)


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        (Heading("group", "edge", 41, 0), "edge  41 hosts ─"),
        (Heading("group", None, 1, 1), "in no group  1 host  1 needs a look ─"),
        (Heading("state", "reverted", 3, 3), "◄ reverted  3 hosts  3 need a look ─"),
        (Heading("version", None, 3, 0), "version not known  3 hosts ─"),
        (Heading("label.site", "fra", 2, 0), "site fra  2 hosts ─"),
        (Heading("label.site", None, 2, 0), "no label site  2 hosts ─"),
    ],
)
def test_headings_between_hosts_say_value_and_counts(heading: Heading, words: str) -> None:
    assert bare(group_line(heading, layout(119, 12, 8), pens_of(PALE))).strip().startswith(words)


def test_a_fold_says_how_many_are_alike_and_who() -> None:
    members = [row(f"edge-fra-{number:03}", "current") for number in range(3, 12)]
    fold = Fold("k", 0, tuple(range(9)))
    line = bare(fold_line(fold, members, layout(119, 12, 8), pens_of(PALE), Place()))
    assert line.split() == ["+", "9", "alike", "edge", "●", "current", "edge-fra-[003-011]"]
    mixed = [replace(members[0], groups=("k8s",)), *members[1:]]
    assert " edge " not in bare(fold_line(fold, mixed, layout(119, 12, 8), pens_of(PALE), Place()))


@pytest.mark.parametrize(
    ("hosts", "asked", "words"),
    [
        (0, Arrangement(text="x"), ["The fleet has no hosts.", "fleetctl init"]),
        (3214, Arrangement(text="x"), ["No host matches.", "esc", "3,214 hosts"]),
        (5, Arrangement(attention=True, reboots=True), ["No host matches.", "!", "w"]),
    ],
)
def test_an_empty_table_says_why_and_the_way_out(hosts: int, asked: Arrangement, words: list[str]) -> None:
    text = "\n".join(map(bare, empty_lines(hosts, asked, PALE.pen)))
    assert [word for word in words if word not in text] == []


# The grid holds whatever rows contain

_TEXT = st.one_of(
    st.text(max_size=40), st.sampled_from([HOSTILE, "日本語" * 9, "e\u0301\u0301\u0301", "\ud800"])
)
_CELL = st.one_of(
    st.none(),
    st.builds(
        slot,
        st.one_of(st.none(), _TEXT),
        priority=st.integers(0, 15),
        dead=st.booleans(),
        successful=st.booleans(),
    ),
)
ROWS = st.builds(
    HostRow,
    name=_TEXT,
    address=_TEXT,
    state=st.one_of(st.sampled_from(list(STATES)), _TEXT),
    groups=st.lists(_TEXT, max_size=3).map(tuple),
    hold=st.one_of(st.none(), _TEXT),
    reasons=st.lists(st.tuples(st.sampled_from(["drift", "staged_window"]), _TEXT), max_size=2).map(tuple),
    version=st.one_of(st.none(), _TEXT),
    channel=st.one_of(st.none(), _TEXT),
    running=st.sampled_from([None, "A", "B"]),
    next=st.sampled_from([None, "A", "B"]),
    slot_a=_CELL,
    slot_b=_CELL,
    behind=st.one_of(st.none(), st.integers(0, 10**9)),
    progress=st.one_of(st.none(), st.floats(-1, 2)),
    extensions=st.lists(_TEXT, max_size=3).map(tuple),
    extension_problems=st.lists(_TEXT, max_size=3).map(tuple),
    reach=st.sampled_from([None, "ok", "timeout", "not_flatcar"]),
    health=_TEXT,
    will_reboot_by_itself=st.sampled_from([None, True, False]),
    taken_at=st.sampled_from([None, NOW, NOW + timedelta(days=2), NOW - timedelta(days=9999)]),
    stale=st.booleans(),
    certain=st.booleans(),
)


def assert_safe(line: str, width: int, look: Look) -> None:
    text = bare(line)
    assert cells(text) == width
    assert text.isprintable()
    assert text.isascii() or not look.ascii


@given(host=ROWS, look=st.sampled_from(LOOKS), is_cursor=st.booleans(), is_marked=st.booleans())
def test_every_line_is_as_wide_as_the_table(
    host: HostRow, look: Look, is_cursor: bool, is_marked: bool
) -> None:
    for width in WIDTHS:
        table = layout(width, 20, 10)
        if table.columns[-1].start + table.columns[-1].width <= width:
            line = host_line(host, table, NOW, pens_of(look), Place(is_cursor, is_marked))
            assert_safe(line, width, look)


_VALUES: Any = st.one_of(st.none(), _TEXT)


@given(
    host=ROWS,
    field=st.sampled_from(["group", "state", "label.\x1bx"]),
    value=_VALUES,
    look=st.sampled_from(LOOKS),
)
def test_lines_between_hosts_are_as_wide_as_the_table(
    host: HostRow, field: str, value: str | None, look: Look
) -> None:
    members = [host, replace(host, name="x-1"), replace(host, name="x-2")]
    for width in (79, 119, 199):
        table, pens = layout(width, 20, 10), pens_of(look)
        assert_safe(group_line(Heading(field, value, 3214, 6), table, pens), width, look)
        assert_safe(fold_line(Fold("k", 0, (1, 2, 3)), members, table, pens, Place()), width, look)
        assert_safe(heading_line(table, Arrangement(), pens), width, look)
