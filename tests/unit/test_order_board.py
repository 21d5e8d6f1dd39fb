"""The board of orders: what comes first, its words, the way back; and how it is read from a store."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import order_tables
from actions.engine import encode, instant
from actions.leases import claim, give_back
from actions.order_rows import HostRow, OrderRow
from actions.orderbook import Book, give_up
from actions.orders import Asked, Force, Phase, Refusal, Step, Verb
from collectors import store
from console.order_board import (
    Inverse,
    OrderBoard,
    OrderCard,
    OrderHost,
    board_order,
    counted,
    entries,
    force_words,
    host_order,
    inverse,
    progress_words,
    reason_words,
)
from console.order_reading import KEPT_HOSTS, STARTS_S, OrderReading
from tests.unit.order_lab import ACTOR, NEW, START, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

NOW = START + timedelta(hours=1)
SHUT = Refusal("window-shut", "the window is shut; it opens later, or --force window", "", Force.WINDOW)
ARMED = Refusal("reset-armed", "the next boot wipes it; remove the mark")


def host(name: str, phase: Phase, verb: Verb = Verb.ACTIVATE, **more: object) -> OrderHost:
    return replace(OrderHost(name, phase, verb, START), **more)  # type: ignore[arg-type]


def card(verb: Verb, *hosts: OrderHost, **more: object) -> OrderCard:
    made = OrderCard("o-1", f"{verb} x", verb, "jo", START, counted(hosts), hosts=host_order(hosts))
    return replace(made, **more)  # type: ignore[arg-type]


def done(verb: Verb, name: str = "a", before: str | None = None, code: str = "done") -> OrderHost:
    return host(name, Phase.DONE, verb, code=code, before=before)


# -- order and words ----------------------------------------------------------------------------


def test_open_orders_come_first_and_the_newest_of_each() -> None:
    cards = [
        card(
            Verb.STAGE,
            id=f"o-{number}",
            at=START + timedelta(hours=number),
            ended_at=NOW if number % 2 else None,
        )
        for number in range(4)
    ]
    assert [one.id for one in board_order(cards)] == ["o-2", "o-0", "o-3", "o-1"]


@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from(Phase)),
        min_size=1,
        unique_by=lambda x: x[0],
    )
)
def test_no_host_is_lost_and_what_went_wrong_comes_first(hosts: list[tuple[str, Phase]]) -> None:
    made = card(Verb.ACTIVATE, *(host(name, phase, text=str(phase)) for name, phase in hosts))
    shown = [one for entry in entries(made) for one in entry.hosts]
    assert sorted(one.host for one in shown) == sorted(name for name, _ in hosts)
    wrong = [one.phase in (Phase.FAILED, Phase.UNKNOWN) for one in shown]
    assert wrong == sorted(wrong, reverse=True)
    assert sum(made.counts.values()) == len(hosts)
    assert progress_words(made)


def test_equal_refusals_are_told_once() -> None:
    hosts = [host(f"w{number}", Phase.REFUSED, text="shut", refusals=(SHUT,)) for number in range(3)]
    found = entries(card(Verb.ACTIVATE, *hosts, host("x", Phase.REFUSED, text="armed", refusals=(ARMED,))))
    assert [[one.host for one in entry.hosts] for entry in found] == [["w0", "w1", "w2"], ["x"]]


def test_what_followed_stands_behind_its_cause() -> None:
    followed = host("b", Phase.DONE, Verb.UPDATES, what="updates off")
    made = card(
        Verb.ACTIVATE,
        host("a", Phase.DONE),
        host("b", Phase.FAILED, code="reverted"),
        consequences=(followed,),
        reverted=1,
    )
    assert [(entry.first.host, entry.first.what) for entry in entries(made)] == [
        ("b", ""),
        ("b", "updates off"),
        ("a", ""),
    ]
    assert progress_words(made) == "1 of 2 done, 1 reverted"


# -- the way back -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "before", "mode", "argv"),
    [
        (Verb.STAGE, None, None, ("cancel", "a")),
        (Verb.ACTIVATE, None, None, ("roll-back", "a")),
        (Verb.CHANNEL, "stable", None, ("channel", "stable", "a")),
        (Verb.CANCEL, NEW, None, ("stage", NEW, "a")),
        (Verb.UPDATES, "self", "off", ("updates", "on", "a")),
        (Verb.UPDATES, "self", "managed", ("updates", "on", "a")),
        (Verb.UPDATES, "disabled", "on", ("updates", "off", "a")),
        (Verb.CHANNEL, None, None, ()),
        (Verb.CANCEL, None, None, ()),
        (Verb.UPDATES, "custom", "off", ()),
        (Verb.UPDATES, None, "off", ()),
        (Verb.UPDATES, "localhost", "on", ()),
        (Verb.ROLL_BACK, None, None, ()),
        (Verb.REBOOT, None, None, ()),
        (Verb.REPAIR, None, None, ()),
    ],
)
def test_every_verb_has_a_way_back_or_a_reason(
    verb: Verb, before: str | None, mode: str | None, argv: tuple[str, ...]
) -> None:
    back = inverse(card(verb, done(verb, before=before), host("b", Phase.FAILED, verb), mode=mode))
    assert back is not None
    assert back.argv == argv
    assert back.words.startswith("way back: " if argv else "no way back: ")
    assert back.words.endswith("on 1 host, planned and asked for anew") or not argv


@given(st.sampled_from(Verb), st.lists(st.sampled_from(Phase), max_size=6))
def test_a_way_back_names_hosts_that_are_done_only(verb: Verb, phases: list[Phase]) -> None:
    hosts = [host(f"h{n}", phase, verb, before="self") for n, phase in enumerate(phases)]
    back = inverse(card(verb, *hosts, mode="off"))
    names = {one.host for one in hosts if one.phase is Phase.DONE}
    assert (back is None) == (not names)
    if back is not None:
        assert set(back.hosts) <= names
        assert "undo" not in back.words


def test_hosts_that_came_from_elsewhere_are_left_out_and_told() -> None:
    befores = ("stable", "stable", "alpha", None)
    back = inverse(card(Verb.CHANNEL, *(done(Verb.CHANNEL, f"h{n}", was) for n, was in enumerate(befores))))
    assert back == Inverse(
        Verb.CHANNEL,
        ("stable",),
        ("h0", "h1"),
        "way back: channel stable on 2 hosts (2 others came from elsewhere), planned and asked for anew",
    )


def test_a_check_that_was_offered_nothing_has_nothing_to_cancel() -> None:
    assert inverse(card(Verb.STAGE, done(Verb.STAGE, code="nothing-offered"))) is None


# -- reading: orders that a simulated fleet carried out -----------------------------------------

Use = Callable[[OrderLab], OrderLab]


@pytest.fixture
def lab_of(tmp_path: Path, use_lab_time: Use) -> Callable[..., OrderLab]:
    return lambda *scenarios, more="": use_lab_time(OrderLab(tmp_path, scenarios, more))


def read(lab: OrderLab, reading: OrderReading | None = None) -> OrderBoard:
    with closing(store.open_reader(lab.database)) as conn:
        return (reading or OrderReading()).read(conn, lab.clock.now())


def test_the_old_channel_mode_and_version_come_from_the_hosts_history(
    lab_of: Callable[..., OrderLab],
) -> None:
    lab = lab_of("staged", "residue")
    lab.give(Asked(Verb.CHANNEL, channel="beta"))
    assert _back(lab).argv == ("channel", "stable", "lab-1", "lab-2")
    lab.give(Asked(Verb.CHANNEL, channel="alpha"))
    assert _back(lab).argv == ("channel", "beta", "lab-1", "lab-2")
    lab.give(Asked(Verb.UPDATES, mode="off"))
    assert _back(lab).argv == ("updates", "on", "lab-1"), "lab-2 asked itself: a residue"
    lab.give(Asked(Verb.CANCEL))
    assert _back(lab).argv == ("stage", NEW, "lab-1")
    lab.give(Asked(Verb.UPDATES, mode="on"))
    assert _back(lab).argv == ("updates", "off", "lab-1", "lab-2")


def _back(lab: OrderLab) -> Inverse:
    back = inverse(read(lab).orders[0])
    assert back is not None
    return back


def test_a_host_that_reverted_tells_what_it_wrote_and_what_followed(lab_of: Callable[..., OrderLab]) -> None:
    lab = lab_of("staged", "staged")
    lab.life.fault("lab-1", "fallback")
    lab.give(Asked(Verb.ACTIVATE))
    (order,) = read(lab).orders
    first = entries(order)[0].first
    assert (first.host, first.code, order.reverted) == ("lab-1", "reverted", 1)
    assert order.stopped is not None
    assert order.stopped.startswith("stopped after lab-1: ")
    assert [(one.host, one.what) for one in order.consequences] == [("lab-1", "updates off")]
    assert inverse(order) is None


def test_refusals_are_read_with_their_forces(lab_of: Callable[..., OrderLab]) -> None:
    window = '[windows.night]\ndays = ["Mon"]\nstart = "02:00"\nlength = "3h"\ntimezone = "UTC"\n'
    lab = lab_of("staged", "staged", more=window)
    lab.give(Asked(Verb.ACTIVATE))
    (order,) = read(lab).orders
    (entry,) = entries(order)
    assert [one.host for one in entry.hosts] == ["lab-1", "lab-2"]
    assert force_words(entry.first.refusals) == "can be forced: --force window --reason …"
    assert "it opens Mon" in reason_words(entry.first.refusals[0])


# -- reading: what changes and what it costs ----------------------------------------------------


@pytest.fixture
def database(tmp_path: Path) -> Iterator[tuple[sqlite3.Connection, sqlite3.Connection]]:
    """A writer's and a reader's connection."""
    path = tmp_path / "orders.db"
    with closing(store.open_writer(path)) as writer, closing(store.open_reader(path)) as reader:
        yield writer, reader


def put(
    conn: sqlite3.Connection,
    number: int,
    hosts: int,
    phase: Phase = Phase.DONE,
    after: str | None = None,
    ended: bool = True,
) -> str:
    at = instant(START + timedelta(minutes=number))
    asked = encode(Asked(Verb.STAGE, version=NEW)).decode()
    row = OrderRow(
        f"o-{number:03}", at, "stage", asked, encode(ACTOR).decode(), 1, 0, after, at if ended else None
    )
    step = encode(Step("x", phase, verb=Verb.STAGE, command="stage " * 300, deadline_s=60.0)).decode()
    names = (f"{number:03}-{place:05}" for place in range(hosts))
    rows = [
        HostRow(row.id, name, place, phase, at, step, at, "staged", "it is staged")
        for place, name in enumerate(names)
    ]
    with store.transaction(conn):
        order_tables.put_order(conn, row, rows)
    return row.id


Database = tuple[sqlite3.Connection, sqlite3.Connection]


def test_what_has_not_changed_is_the_same_object(database: Database) -> None:
    writer, conn = database
    put(writer, 1, 3)
    reading = OrderReading()
    first = reading.read(conn, NOW)
    assert reading.read(conn, NOW) is first
    later = reading.read(conn, NOW + timedelta(seconds=5))
    assert later.orders is first.orders
    assert later.now > first.now
    put(writer, 2, 1)
    after = reading.read(conn, NOW)
    assert [one.id for one in after.orders] == ["o-002", "o-001"]
    assert after.orders[1] is first.orders[0]


def test_whether_a_living_process_has_it_is_seen_without_a_change_in_the_store(database: Database) -> None:
    writer, conn = database
    order_id = put(writer, 1, 1, Phase.SENT, ended=False)
    reading = OrderReading()
    assert reading.read(conn, NOW).orders[0].is_left
    lease = claim(writer, f"order {order_id}", 0.05)
    assert reading.read(conn, NOW).orders[0].is_carried_out
    assert lease.name == f"order {order_id}"
    end = time.monotonic() + 5
    while reading.read(conn, NOW).orders[0].is_carried_out:
        assert time.monotonic() < end, "a lease that ran out is seen"
    give_back(writer, lease)


def test_an_order_just_given_is_not_called_left(database: Database) -> None:
    writer, conn = database
    put(writer, 1, 1, Phase.PLANNED, ended=False)
    given, reading = START + timedelta(minutes=1), OrderReading()
    assert reading.read(conn, given + timedelta(seconds=1)).orders[0].is_carried_out
    assert reading.read(conn, given + timedelta(seconds=STARTS_S)).orders[0].is_left


def test_what_comes_to_an_ended_order_later_is_seen(database: Database) -> None:
    writer, conn = database
    for number in range(5):
        put(writer, number, 1, Phase.UNKNOWN)
    reading = OrderReading()
    assert reading.read(conn, NOW).orders[-1].counts == {Phase.UNKNOWN: 1}
    with store.transaction(writer):
        give_up(writer, "000-00000", NOW)
    found = reading.read(conn, NOW).orders[-1]
    assert found.counts == {Phase.FAILED: 1}
    assert found.hosts[0].text.startswith("given up by a person")
    (row,) = order_tables.order_hosts(writer, "o-000")
    Book(writer).add_text(row, "left drained", NOW)
    assert reading.read(conn, NOW).orders[-1].hosts[0].text.endswith("; left drained")


def test_an_order_that_followed_stands_with_the_one_before(database: Database) -> None:
    writer, conn = database
    put(writer, 1, 1)
    put(writer, 2, 1, after="o-001")
    (order,) = OrderReading().read(conn, NOW).orders
    assert [one.host for one in order.consequences] == ["002-00000"]


def test_an_open_order_is_shown_however_old_it_is(database: Database) -> None:
    writer, conn = database
    put(writer, 0, 1, Phase.PLANNED, ended=False)
    for number in range(1, 61):
        put(writer, number, 1)
    orders = OrderReading().read(conn, NOW).orders
    assert len(orders) == 51
    assert orders[0].id == "o-000"


def test_hosts_of_large_orders_are_kept_for_the_chosen_one_only(database: Database) -> None:
    writer, conn = database
    for number in (1, 2):
        put(writer, number, KEPT_HOSTS + 1)
    reading = OrderReading()
    for _ in range(3):
        board = reading.read(conn, NOW)
    assert [one.id for one in board.orders] == ["o-002", "o-001"]
    assert [one.is_whole for one in board.orders] == [True, False]
    assert board.orders[1].counts == {Phase.DONE: KEPT_HOSTS + 1}
    chosen = reading.read(conn, NOW, "o-001")
    assert [one.is_whole for one in chosen.orders] == [False, True]
    assert len(chosen.orders[1].hosts) == KEPT_HOSTS + 1
    put(writer, 3, 1)
    assert reading.read(conn, NOW, "o-001").orders[2].is_whole


def test_reading_usual_orders_again_is_quick(database: Database) -> None:
    writer, conn = database
    for number in range(50):
        put(writer, number, 14)
    put(writer, 50, 14, Phase.SENT, ended=False)
    reading = OrderReading()
    reading.read(conn, NOW)
    spent = []
    for number in range(51, 61):
        put(writer, number, 1)
        begun = time.perf_counter()
        reading.read(conn, NOW)
        spent.append(time.perf_counter() - begun)
    assert min(spent) < 0.03, "some 4 ms on a quiet machine"


def test_another_connection_is_read_from_its_beginning(database: Database, tmp_path: Path) -> None:
    writer, conn = database
    put(writer, 1, 1)
    reading = OrderReading()
    reading.read(conn, NOW)
    other = tmp_path / "other.db"
    with closing(store.open_writer(other)) as its_writer:
        put(its_writer, 7, 1)
        with closing(store.open_reader(other)) as its_reader:
            assert [one.id for one in reading.read(its_reader, NOW).orders] == ["o-007"]


def test_times_are_aware(database: Database) -> None:
    writer, conn = database
    put(writer, 1, 1, Phase.SENT, ended=False)
    (order,) = OrderReading().read(conn, NOW).orders
    assert order.at == datetime(2026, 8, 18, 10, 21, 30, tzinfo=UTC)
    assert order.hosts[0].until == order.at + timedelta(seconds=60)
