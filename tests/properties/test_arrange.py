"""The table's laws, for any fleet: what is selected, that nobody is lost, that ticks add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.arrange import SORTS, Heading
from console.roster import BY_ROW, BY_VALUE, Roster
from console.rows import FIELDS, HostRow
from console.selection import SelectionError, parse
from console.states import STATES, needs_attention, rank
from tests.unit.test_arrange import listing, names, told
from tests.unit.test_render import NOW, slot


def test_the_fields_that_are_answered_by_value_are_all_but_the_name() -> None:
    assert frozenset(FIELDS) == BY_VALUE | BY_ROW
    assert frozenset({"name"}) == BY_ROW


_STATES = st.sampled_from([*STATES, "tomorrow"])
_ROW = st.builds(
    HostRow,
    name=st.sampled_from([f"{kind}-{number}" for kind in ("web", "db", "Edge") for number in range(6)]),
    address=st.just("10.0.0.1"),
    state=_STATES,
    groups=st.sampled_from([(), ("edge",), ("edge", "db")]),
    labels=st.sampled_from([{}, {"site": "fra"}, {"site": "ams", "rack": "4"}]),
    reasons=st.sampled_from([(), (("degraded", "1 unit failed"),), (("drift", "follows beta"),)]),
    version=st.sampled_from([None, "4593.2.4", "4593.2.10", "nightly"]),
    channel=st.sampled_from([None, "stable", "beta"]),
    running=st.sampled_from([None, "A", "B"]),
    next=st.sampled_from([None, "A", "B"]),
    slot_a=st.sampled_from([None, slot("4593.2.4")]),
    behind=st.sampled_from([None, 0, 3, 12]),
    operation=st.sampled_from([None, "UPDATE_STATUS_IDLE"]),
    extensions=st.sampled_from([(), ("docker",)]),
    reach=st.sampled_from([None, "ok", "timeout"]),
    will_reboot_by_itself=st.sampled_from([None, True, False]),
    taken_at=st.sampled_from([None, NOW, NOW - timedelta(hours=1)]),
    certain=st.booleans(),
)
FLEETS = st.lists(_ROW, max_size=12, unique_by=lambda row: row.name)
_TERMS = st.sampled_from(
    [
        *("web", "WEB-1", "db-2", "1", "stag", "current?", "cur", "behind", "zz", "we*", "*-1", "tomorrow"),
        *(
            "state:staged",
            "state!=held",
            "state:*",
            "reason:drift",
            "group:edge",
            "@edge",
            "version>=4593.2.5",
        ),
        *(
            "version:unknown",
            "behind>2",
            "label.site:fra",
            "label.site:unknown",
            "needs:attention",
            "name:web*",
        ),
        *("channel:beta", "slot:A", "next:unknown", "operation:idle", "extension:docker", "reach:unknown"),
        *(
            "db-[0-5]",
            "'web'",
            "~b-[12]",
            "(web or db)",
            "order:unknown",
            "oem:unknown",
            "arch:x",
            "a!b",
            "state!x",
        ),
    ]
)
TEXTS = st.lists(
    st.tuples(st.sampled_from(["", "not ", "not not "]), _TERMS, st.sampled_from([" ", " and ", " or "])),
    min_size=1,
    max_size=5,
).map(lambda parts: "".join(before + word + after for before, word, after in parts).rsplit(" ", 1)[0])


@given(rows=FLEETS, text=TEXTS)
def test_the_roster_selects_what_the_selection_says(rows: list[HostRow], text: str) -> None:
    roster = Roster()
    roster.take(rows)
    try:
        matches = parse(text, [row.name for row in rows], roster.groups).matches
    except SelectionError as error:
        with pytest.raises(SelectionError, match=rf"column {error.column}\b"):
            roster.select(text)
        return
    _, flags = roster.select(text)
    assert flags == list(map(matches, rows))


_ASKED = st.fixed_dictionaries(
    {
        "attention": st.booleans(),
        "reboots": st.booleans(),
        "sort": st.sampled_from(list(SORTS)),
        "reverse": st.booleans(),
        "group": st.sampled_from([None, "group", "version", "state", "channel", "label.site"]),
        "fold": st.booleans(),
    }
)
_FILTERS = st.sampled_from(["", "web", "state:staged", "not needs:attention", "label.site:fra or db"])


@given(rows=FLEETS, asked=_ASKED, text=_FILTERS)
def test_every_host_that_passes_is_listed_once_and_no_other(
    rows: list[HostRow], asked: dict[str, Any], text: str
) -> None:
    made = listing(rows, text=text, **asked)
    test = parse(text).matches
    wanted = [
        row.name
        for row in rows
        if test(row)
        and (not asked["attention"] or needs_attention(row.state))
        and (not asked["reboots"] or row.will_reboot_by_itself)
    ]
    assert sorted(names(made)) == sorted(wanted)
    counted = sum(len(made.places(entry)) for entry in made.entries)
    assert counted == len(wanted)
    headed = [entry.hosts for entry in made.entries if isinstance(entry, Heading)]
    assert not asked["group"] or sum(headed) == len(wanted)


@given(rows=FLEETS, asked=_ASKED, text=_FILTERS, data=st.data())
def test_what_changed_tick_by_tick_is_what_a_fresh_table_shows(
    rows: list[HostRow], asked: dict[str, Any], text: str, data: st.DataObject
) -> None:
    made = listing(rows, text=text, **asked)
    for _ in range(2):
        rows = [replace(data.draw(_ROW), name=row.name) if data.draw(st.booleans()) else row for row in rows]
        made.take(rows, keep_order=True)
        assert sorted(names(made)) == sorted(names(listing(rows, text=text, **asked)))
    made.settle()
    fresh = listing(rows, text=text, **asked)
    assert told(made) == told(fresh)
    assert (made.passed, made.attention, made.reboots) == (fresh.passed, fresh.attention, fresh.reboots)
    assert made.roster.tally == fresh.roster.tally


@given(rows=FLEETS)
def test_attention_first_is_by_rank_then_by_name(rows: list[HostRow]) -> None:
    keys = [(rank(row.state), row.name) for row in listing(rows).rows()]
    assert keys == sorted(keys)
