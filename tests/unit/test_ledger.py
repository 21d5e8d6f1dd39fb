"""The record in the database: only ever longer, in its own transaction, in databases of every age."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from actions import ledger
from actions.actor import current_actor
from actions.record import START, ZEROS, Actor, Broken, Entry, Event, Head, verify_rows
from collectors import migrations, store, tables
from collectors.errors import ConfigError
from tests.builders import NOW

RECORDED = Path(__file__).parents[1] / "recorded" / "databases"
ACTOR = Actor("core", 500, "192.0.2.7", "bastion")
HELD = Entry(NOW, ACTOR, "hold", Event.HELD, host="a", text="ops-1")
LATER = NOW + timedelta(minutes=1)
SENT = Entry(LATER, ACTOR, "stage", Event.INTENT, host="b", order="o-1", command="x", evidence={"a": 1})


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = store.open_writer(tmp_path / "fleet.db", durable=True)
    yield opened
    opened.close()


def recorded(conn: sqlite3.Connection, *entries: Entry) -> Head:
    with store.transaction(conn):
        return ledger.append(conn, entries)


def test_rows_come_back_as_they_were_recorded(conn: sqlite3.Connection) -> None:
    assert ledger.head(conn) == START
    head = recorded(conn, HELD, SENT)
    (first, none), (second, document) = ledger.every_row(conn)
    assert (first.n, first.actor, first.event, first.text, first.prev) == (1, ACTOR, "held", "ops-1", ZEROS)
    assert (second.order, second.command, second.prev) == ("o-1", "x", first.hash)
    assert (none, document) == (None, '{"a":1}')
    assert head == ledger.head(conn) == Head(2, second.hash)
    assert verify_rows(ledger.every_row(conn), head) == head
    assert ledger.count(conn) == 2


def test_nothing_to_record_leaves_the_head(conn: sqlite3.Connection) -> None:
    head = recorded(conn, HELD)
    assert recorded(conn) == head


def test_a_row_is_gone_with_the_transaction_that_failed(conn: sqlite3.Connection) -> None:
    head = recorded(conn, HELD)
    with pytest.raises(TypeError):
        recorded(conn, SENT, replace(SENT, evidence={"a": object()}))
    assert ledger.head(conn) == head
    with pytest.raises(AssertionError, match="in the transaction"):
        ledger.append(conn, [SENT])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET text = 'other' WHERE n = 1",
        "DELETE FROM record WHERE n = 2",
        "DELETE FROM record",
        "INSERT OR REPLACE INTO record SELECT * FROM record WHERE n = 2",
        "INSERT INTO record SELECT 9, at, login, uid, ssh_from, console, said, host, verb, order_id, event,"
        " command, outcome, code, text, evidence, prev, hash FROM record WHERE n = 2",
        "INSERT INTO record SELECT 3, at, login, uid, ssh_from, console, said, host, verb, order_id, event,"
        " command, outcome, code, text, evidence, prev, hash FROM record WHERE n = 2",
        "UPDATE evidence SET document = '{}'",
        "DELETE FROM evidence",
        "INSERT OR REPLACE INTO evidence SELECT digest, '{}' FROM evidence",
    ],
)
def test_the_database_refuses_all_but_the_next_row(conn: sqlite3.Connection, statement: str) -> None:
    head = recorded(conn, HELD, SENT)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute(statement)
    assert verify_rows(ledger.every_row(conn), head) == head


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE record SET text = 'ops-2' WHERE n = 1", "row 1: its hash does not match its content"),
        ("UPDATE record SET uid = 0 WHERE n = 2", "row 2: its hash does not match its content"),
        ("DELETE FROM record WHERE n = 1", "row 2: row 2 stands here, row 1 is missing"),
        ("DELETE FROM record WHERE n = 2", "it ends with row 1, before head 2:"),
        ("DELETE FROM evidence", "row 2: its evidence is gone"),
        ("UPDATE evidence SET document = '{}'", "row 2: its evidence does not match its digest"),
    ],
)
def test_whoever_takes_the_triggers_away_is_found(
    conn: sqlite3.Connection, statement: str, sentence: str
) -> None:
    head = recorded(conn, HELD, SENT)
    triggers = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    conn.execute("PRAGMA foreign_keys=OFF")
    for (name,) in triggers:
        conn.execute(f"DROP TRIGGER {name}")
    conn.execute(statement)
    with pytest.raises(Broken, match=sentence):
        verify_rows(ledger.every_row(conn), head)


def test_the_newest_rows_of_what_was_asked_for(conn: sqlite3.Connection) -> None:
    recorded(conn, HELD, SENT, replace(HELD, host="c"), replace(SENT, order="o-2"))

    def numbers(limit: int = 9, **choice: object) -> list[int]:
        return [row.n for row in ledger.newest(conn, limit, **choice)]  # type: ignore[arg-type]

    assert numbers() == [1, 2, 3, 4]
    assert numbers(2) == [3, 4]
    assert numbers(hosts=["a", "c"]) == [1, 3]
    assert numbers(orders=["o-1"]) == [2]
    assert numbers(orders=["o-1"], hosts=["a"]) == []
    assert numbers(since="2026-11-24T03:12:30.000Z") == [2, 4]
    assert numbers(hosts=["' OR 1 --"]) == []


def test_a_snapshot_does_not_see_what_others_append(conn: sqlite3.Connection, tmp_path: Path) -> None:
    head = recorded(conn, HELD)
    reader = store.open_reader(tmp_path / "fleet.db")
    with ledger.snapshot(reader):
        assert ledger.head(reader) == head
        recorded(conn, SENT)
        assert verify_rows(ledger.every_row(reader), head) == head
        assert ledger.count(reader) == 1
    assert ledger.count(reader) == 2
    reader.close()


def test_two_that_append_at_once_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"

    def write(_: int) -> None:
        opened = store.open_writer(path)
        for _ in range(20):
            recorded(opened, HELD)
        opened.close()

    with ThreadPoolExecutor(4) as pool:  # also: four at once make and migrate one new file
        list(pool.map(write, range(4)))
    reader = store.open_reader(path)
    assert verify_rows(ledger.every_row(reader)).n == 80
    reader.close()


def test_a_durable_writer_flushes_each_commit(conn: sqlite3.Connection, tmp_path: Path) -> None:
    assert conn.execute("PRAGMA synchronous").fetchone() == (2,)
    other = store.open_writer(tmp_path / "other.db")
    assert other.execute("PRAGMA synchronous").fetchone() == (1,)
    other.close()


def test_the_schema_is_the_number_of_steps_of_all_layers() -> None:
    from actions.migrations import orders
    from collectors.migrations import observations

    assert migrations.schema() == len(orders.steps) + len(observations.steps)
    assert migrations.layer("actions") is orders


@pytest.mark.parametrize("name", sorted(path.name for path in RECORDED.glob("*.db")))
def test_a_database_of_an_older_schema_is_migrated_and_keeps_what_it_had(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    shutil.copy(RECORDED / name, path)
    with pytest.raises(ConfigError, match="fleetctl migrate"):
        store.open_reader(path)
    writer = store.open_writer(path)
    assert store.version(writer) == migrations.schema()
    assert tables.holds(writer) == {"node-1": "ops-1432"}
    assert sorted(tables.all_hosts(writer)) == ["node-1", "node-2"]
    assert recorded(writer, HELD) == ledger.head(writer)
    assert store.migrate(writer) == []
    writer.close()
    store.open_reader(path).close()


def test_a_step_that_fails_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fleet.db"
    shutil.copy(RECORDED / "schema-1.db", path)

    def fails(db: object) -> None:
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setitem(migrations._LAYERS, "late", migrations.Layer("late", [fails]))
    with pytest.raises(ConfigError, match="disk full"):
        store.open_writer(path)
    conn = sqlite3.connect(path)
    assert store.version(conn) == 1
    assert conn.execute("SELECT name FROM sqlite_schema WHERE name = 'record'").fetchall() == []
    conn.close()


def test_who_acts_is_the_account_and_not_what_the_environment_calls_it() -> None:
    environ = {"USER": "mallory", "LOGNAME": "mallory", "SSH_CONNECTION": "2001:db8::7 50022 192.0.2.1 22"}
    who = current_actor(environ, said="Jo")
    assert who.login != "mallory"
    assert (who.ssh_from, who.said) == ("2001:db8::7", "Jo")
    alone = current_actor({})
    assert (alone.ssh_from, alone.said) == (None, None)
