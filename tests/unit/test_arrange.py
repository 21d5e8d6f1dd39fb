"""Whom the table lists and in which order, against what the plain definitions say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from collectors.errors import ConfigError
from console.arrange import (
    SORTS,
    Arrangement,
    Fold,
    Heading,
    Listing,
    group_field,
    marked_hidden,
    order_words,
    sort_column,
)
from console.folding import fold_names
from console.rows import HostRow
from console.selection import SelectionError
from tests.unit.test_render import NOW, OLD, slot

ROWS = tuple(
    replace(
        OLD,
        name=name,
        state=state,
        groups=groups,
        labels={"site": site} if site else {},
        version=version,
        behind=behind,
        will_reboot_by_itself=by_itself,
        taken_at=NOW - timedelta(minutes=minutes) if minutes is not None else None,
    )
    for name, state, groups, site, version, behind, by_itself, minutes in (
        ("web-2", "current", ("web",), "fra", "4593.2.5", 0, None, 1),
        ("web-1", "staged", ("web", "edge"), "ams", "4593.2.4", 1, True, 2),
        ("db-1", "reverted", ("db",), "fra", "4459.2.4", 12, None, 3),
        ("db-2", "held", ("db",), None, "4593.2.10", 2, None, 40),
        ("lone", "unreachable", (), "fra", None, None, None, None),
    )
)


def listing(rows: Sequence[HostRow] = ROWS, **changes: Any) -> Listing:
    made = Listing()
    made.take(rows)
    made.arrange(**changes)
    return made


def names(made: Listing) -> list[str]:
    return [row.name for row in made.rows()]


def told(made: Listing) -> list[str]:
    """Every line in words."""
    lines = []
    for entry in made.entries:
        match entry:
            case Heading():
                lines.append(f"{entry.value}: {entry.hosts}, {entry.looks} look")
            case Fold():
                lines.append(f"+{len(entry.places)}")
            case _:
                lines.append(made.roster.rows[entry].name)
    return lines


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("attention", "db-1 lone web-1 db-2 web-2"),
        ("host", "db-1 db-2 lone web-1 web-2"),
        ("group", "db-1 db-2 web-2 web-1 lone"),
        ("state", "web-2 db-2 db-1 web-1 lone"),
        ("version", "db-2 web-2 web-1 db-1 lone"),
        ("behind", "db-1 db-2 web-1 web-2 lone"),
        ("seen", "lone db-2 db-1 web-1 web-2"),
    ],
)
def test_rows_are_sorted_by_each_column(column: str, order: str) -> None:
    assert names(listing(sort=column)) == order.split()


def test_every_column_can_be_sorted_the_other_way_round() -> None:
    assert names(listing(sort="host", reverse=True)) == "web-2 web-1 lone db-2 db-1".split()
    for column in SORTS:
        keys = [SORTS[column](row) for row in listing(sort=column).rows()]
        turned = [SORTS[column](row) for row in listing(sort=column, reverse=True).rows()]
        assert turned == sorted(keys, reverse=True)


@pytest.mark.parametrize(
    ("changes", "order"),
    [
        ({"text": "web"}, "web-1 web-2"),
        ({"text": "state:staged or db-1"}, "db-1 web-1"),
        ({"text": "label.site:fra not db"}, "lone web-2"),
        ({"attention": True}, "db-1 lone web-1"),
        ({"reboots": True}, "web-1"),
        ({"text": "db", "attention": True}, "db-1"),
        ({"text": "db", "reboots": True}, ""),
    ],
)
def test_filter_and_toggles_leave_those_rows(changes: dict[str, Any], order: str) -> None:
    assert names(listing(**changes)) == order.split()


def test_the_toggles_count_what_they_would_leave_of_what_the_text_lets_through() -> None:
    made = listing(text="web or lone")
    assert (made.passed, made.attention, made.reboots) == (3, 2, 1)
    made.arrange(attention=True)
    assert (made.passed, made.attention, len(made.hosts)) == (3, 2, 2)


def test_a_text_that_cannot_be_read_changes_nothing() -> None:
    made = listing(text="web")
    before = (made.arrangement, list(made.entries))
    with pytest.raises(SelectionError, match="column 1"):
        made.arrange(text="state:nonsense", attention=True)
    assert (made.arrangement, list(made.entries)) == before


@pytest.mark.parametrize(
    ("field", "lines"),
    [
        ("group", ["db: 2, 1 look", "web: 1, 0 look", "web, edge: 1, 0 look", "None: 1, 1 look"]),
        ("state", ["reverted: 1, 1 look", "unreachable: 1, 1 look", "staged: 1, 0 look"]),
        ("version", ["4593.2.10: 1, 0 look", "4593.2.5: 1, 0 look", "4593.2.4: 1, 0 look"]),
        ("label.site", ["ams: 1, 0 look", "fra: 3, 2 look", "None: 1, 0 look"]),
    ],
)
def test_headings_say_value_hosts_and_how_many_need_a_look(field: str, lines: list[str]) -> None:
    made = listing(group=field)
    headings = [line for line in told(made) if "look" in line]
    assert headings[: len(lines)] == lines
    assert sorted(names(made)) == sorted(row.name for row in ROWS)


ALIKE = tuple(replace(OLD, name=f"edge-{number:02}", state="current") for number in range(5))
TWINS = tuple(replace(ROWS[0], name=f"k8s-{number}") for number in range(2))


def test_equal_hosts_fold_into_one_line_and_the_odd_ones_come_first() -> None:
    made = listing([*ALIKE, *TWINS, ROWS[2]], fold=True)
    assert told(made) == ["db-1", "k8s-0", "k8s-1", "edge-00", "+4"]
    assert names(made) == ["db-1", "k8s-0", "k8s-1", *(row.name for row in ALIKE)]


def test_a_fold_opens_by_itself() -> None:
    made = listing([*ALIKE, *TWINS], fold=True)
    fold = made.entries[-1]
    assert isinstance(fold, Fold)
    made.arrange(opened=frozenset({fold.key}))
    assert told(made) == ["k8s-0", "k8s-1", *(row.name for row in ALIKE)]


def test_hosts_that_run_the_same_from_the_other_slot_are_equal_and_others_are_not() -> None:
    turned = replace(ALIKE[0], running="B", next="B", slot_a=ALIKE[0].slot_b, slot_b=ALIKE[0].slot_a)
    many = [replace(turned, name=f"b-{number}") for number in range(3)]
    assert told(listing([*ALIKE, *many], fold=True)) == ["b-0", "+7"]
    odd = replace(ALIKE[0], name="odd", extensions=("docker",))
    dead = replace(ALIKE[0], name="dead", slot_b=slot("4593.2.3", successful=False, dead=True))
    assert told(listing([*ALIKE, odd, dead], fold=True)) == ["dead", "odd", "edge-00", "+4"]


def test_folds_stay_below_their_heading() -> None:
    other = [replace(row, name=f"x{row.name}", groups=("other",)) for row in ALIKE]
    lines = told(listing([*ALIKE, *other], fold=True, group="group"))
    assert lines == ["edge: 5, 0 look", "edge-00", "+4", "other: 5, 0 look", "xedge-00", "+4"]


def test_rows_that_change_stay_where_they_are_until_they_are_sorted() -> None:
    made = listing()
    failed = replace(ROWS[0], state="failed")
    made.take([failed, *ROWS[1:]], keep_order=True)
    assert names(made) == "db-1 lone web-1 db-2 web-2".split()
    assert len(made.waiting) == 1
    assert made.attention == 4
    made.settle()
    assert names(made) == "db-1 web-2 lone web-1 db-2".split()
    assert made.waiting == set()


def test_a_row_that_changes_back_need_not_move() -> None:
    made = listing()
    made.take([replace(ROWS[0], state="failed"), *ROWS[1:]], keep_order=True)
    made.take(ROWS, keep_order=True)
    assert made.waiting == set()


def test_a_row_that_no_longer_passes_the_filter_leaves_at_once() -> None:
    made = listing(text="state:staged")
    assert names(made) == ["web-1"]
    made.take([ROWS[0], replace(ROWS[1], state="current"), *ROWS[2:]], keep_order=True)
    assert names(made) == []
    assert made.passed == 0


def test_a_filter_stays_in_force_when_the_host_that_it_names_is_gone() -> None:
    made = listing(text="web-[1-2]")
    made.take(ROWS[2:], keep_order=True)
    assert names(made) == []
    assert made.arrangement.text == "web-[1-2]"


def test_marks_that_filter_and_toggles_hide_are_counted() -> None:
    made = listing(text="web")
    assert marked_hidden(made, {"web-1", "db-1", "lone", "gone"}) == 2
    made.arrange(text="", attention=True)
    assert marked_hidden(made, {"web-1", "web-2"}) == 1


@pytest.mark.parametrize(
    ("text", "field"),
    [("group", "group"), (" Version ", "version"), ("none", None), ("", None), ("label.site", "label.site")],
)
def test_headings_are_asked_for_by_name(text: str, field: str | None) -> None:
    assert group_field(text) == field


@pytest.mark.parametrize(
    ("ask", "text", "words"),
    [
        (group_field, "verzion", 'did you mean "version"'),
        (group_field, "label", "label.KEY"),
        (sort_column, "behnd", 'did you mean "behind"'),
        (sort_column, "x\x1b[2J", r"x\\x1b\[2j"),
    ],
)
def test_a_mistyped_field_or_column_is_said(ask: Any, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ask(text)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Arrangement(), "attention first"),
        (Arrangement(sort="seen", reverse=True), "by seen, reversed"),
        (Arrangement(group="label.site", fold=True), "in label.site, attention first, folded"),
    ],
)
def test_the_order_is_said_in_words(asked: Arrangement, words: str) -> None:
    assert order_words(asked) == words


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (["edge-fra-003", "edge-fra-004", "edge-fra-005"], "edge-fra-[003-005]"),
        (["a", "b"], "a,b"),
        (["odd[1", "x"], "odd[1,x"),
        ([f"n-{number}" for number in range(600)], "n-[0-499],…"),
        ([f"k8s-n{number:03}" for number in range(300)], "k8s-n[000-299]"),
    ],
)
def test_names_fold_into_a_node_set(hosts: list[str], words: str) -> None:
    assert fold_names(tuple(hosts)) == words


def test_names_with_many_numbers_are_few_enough_to_fold_quickly() -> None:
    hosts = [f"r{number % 7}-s{number % 11}-n{number}" for number in range(300)]
    assert fold_names(tuple(hosts)).endswith(",…")
