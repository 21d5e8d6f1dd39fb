"""No change of an export goes unseen, whatever is in it."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.record import (
    START,
    Actor,
    Broken,
    Entry,
    Event,
    Head,
    canonical,
    clean,
    header_line,
    row_line,
    sealed,
    verify_lines,
)

TEXTS = st.none() | st.text(max_size=12)
ACTORS = st.builds(Actor, st.text(max_size=8), st.integers(0, 2**32 - 1), TEXTS, st.text(max_size=8), TEXTS)
TIMES = st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
DATA = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
EVIDENCE = st.none() | st.dictionaries(st.text(max_size=4), DATA, max_size=3)
ENTRIES = st.builds(
    Entry, TIMES, ACTORS, st.text(max_size=8), st.sampled_from(Event), *[TEXTS] * 6, evidence=EVIDENCE
)


@st.composite
def exports(draw: st.DrawFn) -> tuple[bytes, Head]:
    head, rows = START, []
    for entry in draw(st.lists(ENTRIES, max_size=4)):
        row, document = sealed(entry, head)
        head = Head(row.n, row.hash)
        rows.append(row_line(row, document))
    return header_line(draw(st.text(max_size=8)), draw(TIMES), len(rows), head) + b"".join(rows), head


def verified(data: bytes, wanted: Head | None = None) -> Head:
    return verify_lines(BytesIO(data), wanted)


@given(exports())
def test_what_was_exported_is_whole(made: tuple[bytes, Head]) -> None:
    data, head = made
    assert verified(data, head) == head


@given(exports(), st.data(), st.integers(1, 255))
def test_one_changed_byte_is_found(made: tuple[bytes, Head], choice: st.DataObject, flip: int) -> None:
    data = bytearray(made[0])
    data[choice.draw(st.integers(0, len(data) - 1))] ^= flip
    with pytest.raises(Broken, match=r"^(line|it) "):
        verified(bytes(data))


@given(exports(), st.data())
def test_an_export_cut_anywhere_is_found(made: tuple[bytes, Head], choice: st.DataObject) -> None:
    data, head = made
    with pytest.raises(Broken):
        verified(data[: choice.draw(st.integers(0, len(data) - 1))], head)


@given(exports(), st.data())
def test_a_line_taken_out_or_doubled_is_found(made: tuple[bytes, Head], choice: st.DataObject) -> None:
    lines = list(BytesIO(made[0]))
    place = choice.draw(st.integers(0, len(lines) - 1))
    for wrong in (lines[:place] + lines[place + 1 :], [*lines[:place], lines[place], *lines[place:]]):
        with pytest.raises(Broken):
            verify_lines(wrong)


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer(data: bytes) -> None:
    with pytest.raises(Broken):
        verified(data)


@given(st.text())
def test_the_canonical_form_is_one_line_that_escapes_only_what_json_must(text: str) -> None:
    kept = clean(text)
    line = canonical({"b": 1, "a": kept}).decode()
    assert clean(line) == line.replace("\n", "")
    escapes = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
    assert line == '{"a":"' + "".join(escapes.get(char, char) for char in kept) + '","b":1}'
    assert set(line) & set(string.whitespace) <= {" "}
