"""Selections: no text crashes the parser, and expressions mean what logic says."""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from console.rows import HostRow, like, version_key
from console.selection import SelectionError, parse, parse_arguments
from console.states import STATES

ROWS = [
    HostRow(f"host-{index:02}", "h", state, groups=("odd",) if index % 2 else (), behind=index)
    for index, state in enumerate(STATES)
]
NAMES = [row.name for row in ROWS]

_PIECES = st.sampled_from(
    [
        *("and", "or", "not", "(", ")", "@odd", "@", "~", "~a(b", "state:", "state:behind", "behind>=2", '"'),
        *("'", "host-[00-03]", "host-[", "]", "label.a:b", "label.", ":", "=", "!", ">", "*", "\\", " "),
        *("host-00", "needs:attention", "reason:*", "name!=x", "{9999999999}", "[[", "(?", "version<"),
        *("\x1b", "\u202e"),
    ]
)
_TEXTS = st.one_of(st.text(max_size=40), st.lists(_PIECES, max_size=12).map("".join))
_SPACED = st.lists(_PIECES, max_size=14).map(" ".join)


@given(text=st.one_of(_TEXTS, _SPACED), checked=st.booleans())
def test_a_text_is_a_selection_or_a_mistake_with_a_place(text: str, checked: bool) -> None:
    mistake, selection = None, parse("")
    try:
        selection = parse(text, NAMES, ["odd"]) if checked else parse(text)
    except SelectionError as error:
        mistake = error
    if mistake is not None:
        assert 1 <= mistake.column <= len(text) + 1
        assert str(mistake).isprintable(), "what is wrong can be shown on any terminal"
    else:
        assert all(selection.matches(row) in (True, False) for row in ROWS)
        assert selection.is_all == (not text.strip())


@given(st.lists(_TEXTS, max_size=4), st.lists(_TEXTS, max_size=2), st.lists(_TEXTS, max_size=2))
def test_arguments_are_a_selection_or_a_mistake(
    arguments: list[str], exact: list[str], in_groups: list[str]
) -> None:
    try:
        selection = parse_arguments(arguments, NAMES, ["odd"], exact=exact, in_groups=in_groups)
    except SelectionError:
        return
    assert all(selection.matches(row) in (True, False) for row in ROWS)


Meaning = tuple[str, Callable[[HostRow], bool]]


def _term(state: str) -> Meaning:
    return f"state:{state}", lambda row: row.state == state


def _more(number: int) -> Meaning:
    return f"behind>={number}", lambda row: (row.behind or 0) >= number


def _negated(inner: Meaning) -> Meaning:
    return f"not ({inner[0]})", lambda row: not inner[1](row)


def _joined(word: str, left: Meaning, right: Meaning) -> Meaning:
    if word == "or":
        return f"({left[0]}) or ({right[0]})", lambda row: left[1](row) or right[1](row)
    return f"({left[0]}) {word} ({right[0]})", lambda row: left[1](row) and right[1](row)


_EXPRESSIONS = st.recursive(
    st.one_of(
        st.sampled_from(list(STATES)).map(_term),
        st.integers(0, 30).map(_more),
        st.just(("@odd", lambda row: "odd" in row.groups)),
        st.just(("host-[03-07]", lambda row: "host-03" <= row.name <= "host-07")),
    ),
    lambda inner: st.one_of(
        inner.map(_negated),
        st.builds(_joined, st.sampled_from(["and", "or", ""]), inner, inner),
    ),
    max_leaves=12,
)


@given(_EXPRESSIONS)
def test_an_expression_means_what_logic_says(expression: Meaning) -> None:
    text, meant = expression
    selection = parse(text, NAMES, ["odd"])
    assert [selection.matches(row) for row in ROWS] == [meant(row) for row in ROWS]


@given(st.lists(_EXPRESSIONS, min_size=1, max_size=4))
def test_arguments_select_what_any_of_them_selects(expressions: list[Meaning]) -> None:
    selection = parse_arguments([text for text, _ in expressions], NAMES, ["odd"])
    for row in ROWS:
        assert selection.matches(row) == any(meant(row) for _, meant in expressions)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_a_star_stands_for_any_text(pattern: str, text: str) -> None:
    expected = re.fullmatch(pattern.replace("*", ".*"), text) is not None
    assert like(pattern)(text) == expected


_NUMBERS = st.lists(st.integers(0, 99999), min_size=1, max_size=4)


@given(_NUMBERS, _NUMBERS)
def test_versions_compare_by_their_numbers(one: list[int], other: list[int]) -> None:
    keys = [version_key(".".join(map(str, numbers))) for numbers in (one, other)]
    padded = [tuple(numbers + [0] * (4 - len(numbers))) for numbers in (one, other)]
    assert keys == padded
