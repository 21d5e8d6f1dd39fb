"""The selection grammar: what each form selects, how the forms bind, and what is said of mistakes."""

from __future__ import annotations

import pytest

from collectors.errors import ConfigError
from console.rows import HostRow
from console.selection import MAX_CHARACTERS, MAX_DEPTH, SelectionError, parse, parse_arguments

ROWS = (
    HostRow(
        "edge-01",
        "10.0.0.1",
        "behind",
        groups=("edge", "canary"),
        labels={"zone": "a", "rack": "3", "topology.kubernetes.io/zone": "fra 1"},
        reasons=(("behind", "1 release behind stable 4593.2.5"),),
        version="4593.2.4",
        channel="stable",
        running="A",
        next="B",
        behind=1,
        operation="UPDATE_STATUS_IDLE",
        extensions=("docker-flatcar", "wasmtime"),
        oem="qemu",
        arch="amd64",
        reach="ok",
        order="SETTLING",
    ),
    HostRow(
        "edge-02",
        "10.0.0.2",
        "current",
        groups=("edge",),
        labels={"zone": "b", "rack": "12"},
        version="4593.10.0",
        channel="beta",
        running="B",
        next="B",
        behind=0,
        reach="ok",
        certain=False,
    ),
    HostRow(
        "db-1",
        "10.0.3.1",
        "host_key_changed",
        reasons=(("key_changed", "not the key in known_hosts"), ("held", "ops-1432")),
        reach="host_key_changed",
    ),
    HostRow("edge-011", "10.0.0.3", "held", groups=("edge",), hold="ops-1432", version="4081.3.10"),
)
NAMES = tuple(row.name for row in ROWS)
GROUPS = ("edge", "canary", "db")


def chosen(text: str) -> list[str]:
    selection = parse(text, NAMES, GROUPS)
    return [row.name for row in ROWS if selection.matches(row)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", NAMES),
        ("  ", NAMES),
        ("edge", ("edge-01", "edge-02", "edge-011")),
        ("EDGE", ("edge-01", "edge-02", "edge-011")),
        ("edge-01", ("edge-01",)),  # an exact name, and no part of edge-011
        ("ge-01", ("edge-01", "edge-011")),
        ("key changed", ("db-1",)),
        ('"key changed"', ("db-1",)),
        ("'key changed'", ("db-1",)),
        ("current?", ("edge-02",)),
        ("edge-*1", ("edge-01", "edge-011")),
        ("~^edge-0[12]$", ("edge-01", "edge-02")),
        ("~^(edge|db)-0?1$", ("edge-01", "db-1")),
        ("(~^(edge|db)-0?1$)", ("edge-01", "db-1")),
        (r"~-\d{3}$", ("edge-011",)),
        ('~"1$"', ("edge-01", "db-1", "edge-011")),
        ("~[(]", ()),
        ("@canary", ("edge-01",)),
        ("@db", ()),
        ("edge-[01-02]", ("edge-01", "edge-02")),
        ("edge-[01,011]", ("edge-01", "edge-011")),
        ("name:edge-01", ("edge-01",)),
        ("NAME:EDGE-01", ("edge-01",)),
        ("name=edge-0*", ("edge-01", "edge-02", "edge-011")),
        ("group:canary", ("edge-01",)),
        ("group:unknown", ("db-1",)),
        ("label.zone:a", ("edge-01",)),
        ("label.zone:unknown", ("db-1", "edge-011")),
        ('label.topology.kubernetes.io/zone:"fra 1"', ("edge-01",)),
        ("label.rack>=3", ("edge-01", "edge-02")),
        ("label.rack>3", ("edge-02",)),
        ("state:behind", ("edge-01",)),
        ("state:host_key_changed", ("db-1",)),
        ('state:"key changed"', ("db-1",)),
        ("state:host*", ("db-1",)),
        ("reason:key_changed", ("db-1",)),
        ("reason:known_hosts", ("db-1",)),
        ("reason:known", ()),  # whole words
        ("reason:*known*", ("db-1",)),
        ('reason:"release behind"', ("edge-01",)),
        ("version:4593.2.4", ("edge-01",)),
        ("version:4593.*", ("edge-01", "edge-02")),
        ("version:4593", ()),
        ("version>=4593.2.4", ("edge-01", "edge-02")),
        ("version>4593.2.4", ("edge-02",)),
        ("version<4593.2.4", ("edge-011",)),
        ("version<=4593.2.4", ("edge-01", "edge-011")),
        ("version:>4593.2.4", ("edge-02",)),
        ("version<4081.3.9", ()),
        ("version<4081.4", ("edge-011",)),
        ("version!=4593.2.4", ("edge-02", "db-1", "edge-011")),
        ("version:unknown", ("db-1",)),
        ("channel:stable", ("edge-01",)),
        ("slot:a", ("edge-01",)),
        ("slot:unknown", ("db-1", "edge-011")),
        ("next:B", ("edge-01", "edge-02")),
        ("behind:0", ("edge-02",)),
        ("behind>0", ("edge-01",)),
        ("behind<99", ("edge-01", "edge-02")),
        ("operation:idle", ("edge-01",)),
        ("operation:UPDATE_STATUS_IDLE", ("edge-01",)),
        ("extension:wasmtime", ("edge-01",)),
        ("extension:docker*", ("edge-01",)),
        ("oem:qemu", ("edge-01",)),
        ("arch:amd64", ("edge-01",)),
        ("reach:ok", ("edge-01", "edge-02")),
        ("reach:unknown", ("edge-011",)),
        ("order:settling", ("edge-01",)),
        ("order:*", ("edge-01",)),
        ("needs:attention", ("edge-01", "db-1")),
        ("not needs:attention", ("edge-02", "edge-011")),
    ],
)
def test_what_a_term_selects(text: str, names: tuple[str, ...]) -> None:
    assert chosen(text) == list(names)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("edge not @canary", ("edge-02", "edge-011")),
        ("edge and not @canary", ("edge-02", "edge-011")),
        ("EDGE AND NOT @canary", ("edge-02", "edge-011")),
        ("db-1 or edge and @canary", ("edge-01", "db-1")),
        ("(db-1 or edge) and @canary", ("edge-01",)),
        ("@canary edge or db-1", ("edge-01", "db-1")),
        ("not edge or @canary", ("edge-01", "db-1")),
        ("not (edge or @canary)", ("db-1",)),
        ("not(edge)", ("db-1",)),
        ("not not edge-01", ("edge-01",)),
        ("not not not edge", ("db-1",)),
        ("(((edge-01)))", ("edge-01",)),
        ('"and"', ()),
        ("edge-01 edge-02", ()),
        ("edge-01 or edge-02", ("edge-01", "edge-02")),
    ],
)
def test_not_binds_closest_and_or_loosest(text: str, names: tuple[str, ...]) -> None:
    assert chosen(text) == list(names)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("verison:4593.2.4", 1, 'unknown field "verison"; did you mean "version"?'),
        ("edge and lable.zone:a", 10, 'unknown field "lable"; did you mean "label"?'),
        ("state.x:behind", 1, "state takes no key"),
        ("state:behnd", 1, 'unknown state "behnd"; did you mean "behind"?'),
        ("slot:c", 1, 'unknown slot "c"; known: A, B, unknown'),
        ("needs:help", 1, 'unknown needs "help"; known: attention'),
        ("reach:okay", 1, 'did you mean "ok"?'),
        ("edge and @canry", 10, 'unknown group "canry"; did you mean "canary"?'),
        ("group:canry", 1, 'unknown group "canry"; did you mean "canary"?'),
        ("edge-[01-03]", 1, 'unknown host "edge-03"'),
        ("edge-[01", 1, "not a host name"),
        ("edge-[01-02],db", 1, ", has no place outside of brackets"),
        ("@", 1, "@ needs the name of a group"),
        ("label:a", 1, "label needs its key"),
        ("version:", 9, "version: needs a value"),
        ("version>=new", 1, ">= needs a version like 4593.2.4"),
        ("behind>many", 1, "> needs a number"),
        ("label.rack>x", 1, "> needs a number"),
        ("name>a", 1, "> compares versions and numbers"),
        ("~(", 1, "not a regular expression"),
        ("~a{99999999999999999999}", 1, "not a regular expression"),
        ("(edge", 1, "never closed"),
        ("edge)", 5, "closes nothing"),
        ("()", 2, 'something is missing before ")"'),
        ("edge or", 8, "something is missing at the end"),
        ("and edge", 1, 'something is missing before "and"'),
        ("edge or and db", 9, 'something is missing before "and"'),
        ("not", 4, "something is missing at the end"),
        ('edge "db', 6, "quote is never closed"),
        ('reason:"a', 8, "quote is never closed"),
        ("(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1), MAX_DEPTH + 1, "inside each other"),
        ("a" * (MAX_CHARACTERS + 1), 1, "longer than"),
        ("stat\x1b[2J:x", 1, "not a host name"),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, column: int, said: str) -> None:
    with pytest.raises(SelectionError) as caught:
        parse(text, NAMES, GROUPS)
    assert (caught.value.column, caught.value.text) == (column, text)
    assert said in str(caught.value)
    assert str(caught.value).startswith(f"selection: column {column}: ")
    assert isinstance(caught.value, ConfigError)


def test_depth_and_chains_that_are_allowed() -> None:
    assert chosen("(" * MAX_DEPTH + "db-1" + ")" * MAX_DEPTH) == ["db-1"]
    assert chosen("not " * 2000 + "db-1") == ["db-1"]
    assert chosen(" or ".join(["db-1"] * 1200)) == ["db-1"]


def test_many_stars_cost_nothing() -> None:
    row = HostRow("a" * 253, "h", "current")
    assert not parse("name:" + "*a" * 100 + "*b").matches(row)
    assert parse("name:" + "*a" * 100 + "*").matches(row)


def test_without_a_fleet_names_are_not_checked() -> None:
    assert parse("@anything").matches(ROWS[0]) is False
    assert parse("edge-[01-99]").matches(ROWS[0]) is True
    assert parse("edge-01").matches(ROWS[3]) is True, "bare text: there is no list of exact names"


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("edge-01", ()),
        ("edge-[01-02] or @canary or state:behind", ()),
        ("edge", ("edge",)),
        ("~edge", ("~edge",)),
        ("not @canary", ("not",)),
        ("version<4593.2.4", ("version<4593.2.4",)),
        ("version!=4593.2.4", ("version!=4593.2.4",)),
    ],
)
def test_terms_too_loose_for_a_verb_are_told(text: str, loose: tuple[str, ...]) -> None:
    assert parse(text, NAMES, GROUPS).loose == loose


@pytest.mark.parametrize(
    ("arguments", "exact", "in_groups", "names", "text"),
    [
        ([], [], [], NAMES, ""),
        ([""], [], [], NAMES, ""),
        (["edge-01", "db-1"], [], [], ("edge-01", "db-1"), "edge-01 or db-1"),
        (["state:behind", "and", "@canary"], [], [], ("edge-01",), "state:behind and @canary"),
        (["not", "edge"], [], [], ("db-1",), "not edge"),
        (["(edge", "or", "db-1)", "@canary"], [], [], ("edge-01",), "(edge or db-1) @canary"),
        (["edge @canary", "db-1"], [], [], ("edge-01", "db-1"), "(edge @canary) or db-1"),
        (["db-1"], ["edge-[01-02]"], ["canary"], ("edge-01", "edge-02", "db-1"), None),
        ([], ["edge-01"], [], ("edge-01",), "edge-01"),
        ([], [], ["@canary"], ("edge-01",), "@canary"),
    ],
)
def test_arguments_and_options_are_united(
    arguments: list[str], exact: list[str], in_groups: list[str], names: tuple[str, ...], text: str | None
) -> None:
    selection = parse_arguments(arguments, NAMES, GROUPS, exact=exact, in_groups=in_groups)
    assert [row.name for row in ROWS if selection.matches(row)] == list(names)
    assert text is None or selection.text == text
    assert selection.is_all == (names == NAMES)
    again = parse(selection.text, NAMES, GROUPS)
    assert [row.name for row in ROWS if again.matches(row)] == list(names), "the text says the same"


@pytest.mark.parametrize(
    ("exact", "in_groups", "said"),
    [
        (["edge-03"], [], 'unknown host "edge-03"'),
        (["edge"], [], 'unknown host "edge"'),
        (["state:behind"], [], "unknown host"),
        ([""], [], "not a host name"),
        ([], ["canry"], 'did you mean "canary"?'),
        ([], ["a b"], 'unknown group "a b"'),
    ],
)
def test_options_take_exact_names_only(exact: list[str], in_groups: list[str], said: str) -> None:
    with pytest.raises(SelectionError) as caught:
        parse_arguments([], NAMES, GROUPS, exact=exact, in_groups=in_groups)
    assert said in str(caught.value)


def test_a_mistake_in_one_argument_tells_its_own_text() -> None:
    with pytest.raises(SelectionError) as caught:
        parse_arguments(["edge-01", "edge or"], NAMES, GROUPS)
    assert (caught.value.text, caught.value.column) == ("edge or", 8)
