"""The chain: what a row hashes to, and the sentence for each way in which a record is not whole."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

import pytest

from actions.record import (
    SCHEMA,
    START,
    ZEROS,
    Actor,
    Broken,
    Entry,
    Event,
    Head,
    Row,
    canonical,
    clean,
    hash_of,
    header_line,
    parse_head,
    row_line,
    sealed,
    verify_lines,
    verify_rows,
)

AT = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
ACTOR = Actor("core", 500, "192.0.2.7", "bastion", "Jo")
ENTRIES = (
    Entry(AT, ACTOR, "hold", Event.HELD, host="a", text="ops-1"),
    Entry(AT, ACTOR, "stage", Event.INTENT, host="a", order="o-1", command="sudo -n stage 1\nthen look"),
    Entry(AT, ACTOR, "stage", Event.OUTCOME, host="a", order="o-1", outcome="done", evidence={"slot": "B"}),
    Entry(AT, ACTOR, "unhold", Event.UNHELD, host="a"),
    Entry(AT, ACTOR, "acknowledge", Event.ALREADY, host="ü"),
)


def chained(*entries: Entry) -> list[tuple[Row, str | None]]:
    head, rows = START, []
    for entry in entries:
        row, document = sealed(entry, head)
        head = Head(row.n, row.hash)
        rows.append((row, document))
    return rows


ROWS = chained(*ENTRIES)
HEAD = Head(5, ROWS[-1][0].hash)


def export(*, evidence: bool = False) -> list[bytes]:
    rows = [row_line(row, document if evidence else None) for row, document in ROWS]
    return [header_line("prod", AT, len(ROWS), HEAD), *rows]


def changed(line: bytes, **values: Any) -> bytes:
    """A line with other values, its hash made anew: what a forger would write."""
    document = json.loads(line) | values
    return canonical(document | {"hash": hash_of(document)}) + b"\n"


def test_a_hash_is_sha256_of_the_canonical_json_of_everything_else() -> None:
    row = ROWS[0][0]
    text = (
        '{"actor":{"console":"bastion","login":"core","said":"Jo","ssh_from":"192.0.2.7","uid":500},'
        '"at":"2026-11-24T03:12:00.000Z","code":null,"command":null,"event":"held","evidence":null,"host":"a",'
        f'"n":1,"order":null,"outcome":null,"prev":"{"0" * 64}","text":"ops-1","verb":"hold"}}'
    )
    assert row.hash == sha256(text.encode()).hexdigest()


def test_a_row_holds_the_hash_of_the_one_before_and_the_digest_of_its_evidence() -> None:
    assert [row.prev for row, _ in ROWS] == [ZEROS, *(row.hash for row, _ in ROWS[:-1])]
    row, document = ROWS[2]
    assert document == '{"slot":"B"}'
    assert row.evidence == sha256(document.encode()).hexdigest()


def test_times_are_utc_whatever_zone_they_come_in() -> None:
    there = AT.astimezone(timezone(timedelta(hours=5)))
    assert sealed(replace(ENTRIES[0], at=there), START) == ROWS[0]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("plain ü 漢", "plain ü 漢"),
        ("two\nlines\tand", "two\nlines\tand"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil", "\\u202eevil"),
        ("not utf-8 \udcff", "not utf-8 \\udcff"),
    ],
)
def test_a_text_is_kept_so_that_any_terminal_may_show_it(text: str, kept: str) -> None:
    assert clean(text) == kept
    who = Actor(text, 0, text, text, text)
    entry = Entry(AT, who, text, Event.ASKED, text, text, text, text, text, text)
    row, _ = sealed(entry, START)
    assert row.actor == Actor(kept, 0, kept, kept, kept)
    fields = (row.verb, row.host, row.order, row.command, row.outcome, row.code, row.text)
    assert set(fields) == {kept}


def test_a_whole_record_verifies_with_every_head_it_ever_had() -> None:
    for row, _ in (None, None), *ROWS:
        head = Head(row.n, row.hash) if row else START
        for wanted in (head, parse_head(str(head)), parse_head(head.whole)):
            assert verify_rows(ROWS, wanted) == HEAD
            assert verify_lines(export(), wanted) == HEAD
    assert verify_lines(export(evidence=True)) == HEAD


def test_an_empty_record_is_whole() -> None:
    assert verify_rows([]) == START
    assert verify_lines([header_line("prod", AT, 0, START)]) == START


@pytest.mark.parametrize(
    "text", ["", "5", "5:", ":" + "a" * 16, "5:" + "a" * 15, "5:" + "g" * 16, "٥:" + "a" * 16]
)
def test_what_is_no_head_is_said_so(text: str) -> None:
    with pytest.raises(ValueError, match="is no head: N:HASH"):
        parse_head(text)


def test_a_head_is_taken_as_it_was_printed() -> None:
    assert parse_head(f"record {HEAD}\n") == Head(5, HEAD.hash[:16])
    assert parse_head(HEAD.whole.upper()) == HEAD


HEADER, ONE, TWO, THREE, FOUR, FIVE = export()
EVIDENCE = export(evidence=True)[3]
BAD: list[tuple[list[bytes], str]] = [
    ([], "it is empty; an export begins with a header"),
    ([ONE, TWO], f"line 1: is no header of {SCHEMA}"),
    ([HEADER.replace(b"prod", b"test"), ONE], "line 1: the header's hash does not match its content"),
    ([HEADER, ONE, TWO.replace(b"core", b"root")], "line 3, row 2: its hash does not match its content"),
    (
        [HEADER, ONE, changed(TWO, verb="reboot"), THREE, FOUR, FIVE],
        "line 4, row 3: its prev does not match the hash of row 2",
    ),
    ([HEADER, ONE, THREE, FOUR, FIVE], "line 3, row 2: row 3 stands here, row 2 is missing"),
    ([HEADER, ONE, FIVE], "line 3, row 2: row 5 stands here, rows 2 to 4 are missing"),
    ([HEADER, ONE, TWO, TWO], "line 4, row 3: says it is row 2 where row 3 belongs"),
    ([HEADER, changed(ONE, n=None)], "line 2, row 1: says it is row None where row 1 belongs"),
    ([HEADER, ONE, TWO], "it ends with row 2, its header says 5 rows"),
    ([HEADER, ONE, TWO[:-1]], "line 3, row 2: the line breaks off"),
    ([HEADER, ONE, b" " + TWO], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b"[]\n"], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b"[" * 100_000 + b"\n"], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b'{"n":1.0}\n'], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b'{"n":NaN}\n'], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b'{"n":' + b"9" * 5000 + b"}\n"], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b'{"n":"\\ud800"}\n'], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b'{"n":"\xff"}\n'], "line 3, row 2: is no JSON object in canonical form"),
    ([HEADER, ONE, b"{}\n"], "line 3, row 2: its hash does not match its content"),
    (
        [changed(HEADER, head=f"5:{'a' * 64}"), ONE, TWO, THREE, FOUR, FIVE],
        f"line 1: the header's head is not that of the last row, {HEAD}",
    ),
    (
        [HEADER, ONE, TWO, EVIDENCE.replace(b"slot", b"slut"), FOUR, FIVE],
        "line 4, row 3: its evidence does not match its digest",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "sentence"), BAD)
def test_what_is_not_whole_is_told_in_one_sentence_with_its_place(lines: list[bytes], sentence: str) -> None:
    with pytest.raises(Broken) as caught:
        verify_lines(lines)
    assert str(caught.value) == sentence


def test_a_tail_cut_off_with_a_new_header_is_found_by_a_head_noted_before() -> None:
    shorter = [header_line("prod", AT, 4, Head(4, ROWS[3][0].hash)), ONE, TWO, THREE, FOUR]
    assert verify_lines(shorter).n == 4
    with pytest.raises(Broken, match=f"it ends with row 4, before head {HEAD}: rows were cut off"):
        verify_lines(shorter, HEAD)


def test_a_record_written_anew_is_found_by_a_head_noted_before() -> None:
    forged = chained(replace(ENTRIES[0], text="ops-2"), *ENTRIES[1:])
    assert verify_rows(forged).n == 5
    own = forged[-1][0].hash[:16]
    with pytest.raises(Broken, match=f"row 5: is not the row of head {HEAD}; its own is 5:{own}"):
        verify_rows(forged, HEAD)
    with pytest.raises(Broken, match="row 0: is not the row of head"):
        verify_rows(ROWS, Head(0, "1" * 64))


def test_evidence_that_is_gone_or_another_is_found() -> None:
    for document, sentence in ((None, "row 3: its evidence is gone"), ("{}", "row 3: its evidence does not")):
        with pytest.raises(Broken, match=sentence):
            verify_rows([*ROWS[:2], (ROWS[2][0], document), *ROWS[3:]])


def test_keys_that_a_later_version_adds_are_hashed_like_all_others() -> None:
    head = json.loads(changed(ONE, ticket="ops-1"))["hash"]
    lines = [header_line("prod", AT, 1, Head(1, head)), changed(ONE, ticket="ops-1")]
    assert verify_lines(lines) == Head(1, head)
    with pytest.raises(Broken, match="its hash does not match"):
        verify_lines([lines[0], lines[1].replace(b"ticket", b"tickot")])


def test_an_actor_in_words() -> None:
    assert ACTOR.words == "Jo as core from 192.0.2.7"
    assert Actor("core", 500, None, "bastion").words == "core"
