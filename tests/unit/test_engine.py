"""From observations to rows: what is stored, what makes a change, what a silence leaves alone."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions import engine
from actions.brief import brief, packed
from actions.engine import REACH, decode_facts, instant, judged, kept, parsed, record, rejudge
from actions.situation import Situation, Wish, situation
from collectors import store, tables
from collectors.changes import differences
from collectors.errors import ConfigError, Reach
from collectors.facts import DiskUse, HostFacts, Passing
from collectors.migrations import schema
from collectors.observation import Observation, ProbeFailed
from tests.builders import HEALTHY, NOW, answer, facts, feed, table

FEED = feed("4593.2.4", "4593.2.5")


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = store.open_writer(tmp_path / "fleet.db")
    yield opened
    opened.close()


def take(conn: sqlite3.Connection, *seen: Observation) -> None:
    record(conn, seen, {host: Wish() for host in ("a", "b", "node-1")}, FEED)


def changes(conn: sqlite3.Connection, host: str = "node-1") -> list[tuple[str, str | None, str | None]]:
    """Of its facts, newest first; how it was reached is told apart."""
    found = tables.host_changes(conn, host, 100)
    return [(item.path, item.old, item.new) for item in found if item.path != REACH]


def stored(conn: sqlite3.Connection, host: str = "node-1") -> HostFacts | None:
    row = tables.one_host(conn, host)
    assert row is not None
    return kept(row).facts


def test_facts_come_back_from_the_store_as_they_were(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    assert stored(conn) == HEALTHY


def test_passing_facts_are_stored_apart_from_the_lasting_ones(conn: sqlite3.Connection) -> None:
    disks = {'}, "passing": {': DiskUse("ext4", 1, 2, 3)}
    seen = facts(passing=Passing(uptime_s=9.5, disks=disks))
    take(conn, answer(seen))
    row = tables.one_host(conn, "node-1")
    assert row is not None
    assert stored(conn) == seen
    assert row.facts is not None
    assert decode_facts(row.facts) == replace(seen, passing=Passing())


def test_a_first_sight_is_a_document_and_no_change(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    assert changes(conn) == []
    assert conn.execute("SELECT count(*) FROM first_sights").fetchone() == (1,)


def test_a_changed_fact_is_one_row_and_passing_facts_are_none(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    later = facts(slots=table("1/0/1", "2/1/0"), passing=Passing(uptime_s=99.0))
    take(conn, answer(later, at=NOW + timedelta(minutes=1)))
    assert sorted(changes(conn)) == [
        ("/slots/a/priority", "2", "1"),
        ("/slots/b/priority", "1", "2"),
        ("/slots/b/successful", "true", "false"),
        ("/slots/b/tries", "0", "1"),
    ]
    found = stored(conn)
    assert found is not None
    assert found.passing.uptime_s == 99.0


def test_an_unchanged_host_leaves_no_row_but_its_time(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    take(conn, answer(HEALTHY, at=NOW + timedelta(minutes=1)))
    assert changes(conn) == []
    row = tables.one_host(conn, "node-1")
    assert row is not None
    assert row.taken_at == "2026-11-24T03:13:00.000Z"


def test_an_older_look_never_overwrites_a_newer_one(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY, at=NOW))
    take(conn, answer(facts(system_state="degraded"), at=NOW - timedelta(minutes=1)))
    assert stored(conn) == HEALTHY


def test_how_a_host_was_reached_is_history_too(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    take(conn, ProbeFailed("node-1", NOW + timedelta(minutes=1), Reach.TIMEOUT, "silent"))
    take(conn, answer(HEALTHY, at=NOW + timedelta(minutes=2)))
    found = [(item.old, item.new) for item in tables.host_changes(conn, "node-1", 9) if item.path == REACH]
    assert found == [('"timeout"', '"ok"'), ('"ok"', '"timeout"'), (None, '"ok"')]


def test_a_silent_host_keeps_its_facts_and_says_since_when(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    for minute in (1, 2):
        at = NOW + timedelta(minutes=minute)
        take(conn, ProbeFailed("node-1", at, Reach.TIMEOUT, "nothing heard for 5 s"))
    row = tables.one_host(conn, "node-1")
    assert row is not None
    assert stored(conn) == HEALTHY
    assert (row.reach, row.taken_at) == ("timeout", "2026-11-24T03:12:00.000Z")
    assert row.reach_since == "2026-11-24T03:13:00.000Z"
    assert row.last_ok_at == "2026-11-24T03:12:00.000Z"
    assert changes(conn) == []


def test_an_answer_that_broke_off_overwrites_nothing(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    broken = HostFacts(complete=False, privileged=False, identity=HEALTHY.identity, os=HEALTHY.os)
    take(conn, answer(broken, at=NOW + timedelta(minutes=1)))
    assert stored(conn) == HEALTHY
    row = tables.one_host(conn, "node-1")
    assert row is not None
    assert row.reach == "probe_incomplete"
    assert '"state":"incomplete"' in row.brief


def test_a_first_answer_that_broke_off_is_shown_and_makes_no_history(conn: sqlite3.Connection) -> None:
    broken = HostFacts(complete=False, privileged=False, identity=HEALTHY.identity, os=HEALTHY.os)
    take(conn, answer(broken))
    assert stored(conn) == broken
    take(conn, answer(HEALTHY, at=NOW + timedelta(minutes=1)))
    assert changes(conn) == []
    assert conn.execute("SELECT count(*) FROM first_sights").fetchone() == (1,)


def test_another_machine_under_a_name_starts_anew(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY))
    other = facts(identity=replace(HEALTHY.identity, machine_id="b" * 32))
    take(conn, answer(other, at=NOW + timedelta(days=1)))
    assert changes(conn) == [("/os/version_id", '"4593.2.5"', None)]
    assert conn.execute("SELECT count(*) FROM first_sights").fetchone() == (2,)
    counts = conn.execute("SELECT version, hosts FROM versions_over_time ORDER BY at").fetchall()
    assert counts[-1] == ("4593.2.5", 1)


@pytest.mark.parametrize("at_once", [True, False])
def test_twins_lose_their_memory_when_the_second_is_seen(conn: sqlite3.Connection, at_once: bool) -> None:
    both = [answer(HEALTHY, host="a"), answer(HEALTHY, host="b")]
    for looks in [both] if at_once else [[look] for look in both]:
        take(conn, *looks)
    for host in ("a", "b"):
        row = tables.one_host(conn, host)
        assert row is not None
        assert "same_machine_id" in row.brief


def reasons(conn: sqlite3.Connection, host: str) -> dict[str, str]:
    row = tables.one_host(conn, host)
    assert row is not None
    return dict(json.loads(row.brief)["reasons"])


def test_twins_are_told_of_each_other_also_when_one_leaves_or_is_silent(conn: sqlite3.Connection) -> None:
    wanted = dict.fromkeys(("a", "b", "c", "d", "e"), Wish())

    def look(minute: int, *seen: Observation) -> None:
        record(conn, [replace(item, at=NOW + timedelta(minutes=minute)) for item in seen], wanted, FEED)

    def told(host: str) -> str:
        return reasons(conn, host).get("same_machine_id", "").partition(": ")[0]

    look(0, answer(HEALTHY, host="stranger"))
    record(conn, [answer(HEALTHY, host="gone")], {}, FEED)
    look(1, *(answer(HEALTHY, host=host) for host in ("e", "d", "c", "b")))
    assert told("b") == "the same machine id as c, d, e"
    assert told("e") == "the same machine id as b, c, d"
    look(2, answer(HEALTHY, host="a"))
    assert told("e") == "the same machine id as a, b, c"
    assert told("a") == "the same machine id as b, c, d"
    own = replace(HEALTHY, identity=replace(HEALTHY.identity, machine_id="b" * 32))
    silent = ProbeFailed("c", NOW, Reach.TIMEOUT, "silent")
    look(3, answer(own, host="b"), silent)
    assert told("b") == ""
    assert told("e") == "the same machine id as a, c, d"
    look(4, answer(own, host="b"))
    assert told("e") == "the same machine id as a, c, d"
    for host in ("a", "b", "c", "d", "e"):
        row = tables.one_host(conn, host)
        assert row is not None
        rejudge(conn, [host], wanted, FEED)
        assert tables.one_host(conn, host) == row


def test_the_work_for_twins_grows_with_their_number_and_not_with_its_square(
    conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged_hosts: list[str] = []
    statements: list[str] = []

    def counted(seen: Observation, *args: Any, **named: Any) -> Situation:
        judged_hosts.append(seen.host)
        return situation(seen, *args, **named)

    monkeypatch.setattr(engine, "situation", counted)
    conn.set_trace_callback(statements.append)
    clones = [f"n-{number:03}" for number in range(300)]
    for minute in range(2):
        for start in range(0, len(clones), 100):
            batch = clones[start : start + 100]
            looks = [answer(HEALTHY, host=host, at=NOW + timedelta(minutes=minute)) for host in batch]
            record(conn, looks, dict.fromkeys(clones, Wish()), FEED)
    assert sorted(judged_hosts) == sorted(clones * 2)
    assert len([text for text in statements if text.startswith("SELECT")]) == 6 * 2
    assert reasons(conn, "n-299")["same_machine_id"].startswith("the same machine id as n-000, n-001, n-002:")
    statements.clear()
    rejudge(conn, clones, dict.fromkeys(clones, Wish()), FEED)
    assert len([text for text in statements if text.startswith("SELECT")]) == len(clones) + 1


def test_judging_a_stored_host_anew_says_the_same(conn: sqlite3.Connection) -> None:
    hosts = {
        "current": HEALTHY,
        "behind": facts(os=replace(HEALTHY.os, version_id="4593.2.4")),
        "reverted": facts(slots=table("1/0/1", "2/0/0")),
    }
    own = {name: replace(found.identity, machine_id=name) for name, found in hosts.items()}
    take(conn, *(answer(replace(hosts[name], identity=own[name]), host=name) for name in hosts))
    for name in hosts:
        row = tables.one_host(conn, name)
        assert row is not None
        found, meaning = judged(row, Wish(), FEED)
        again = brief(found.facts, found.memory, meaning)
        assert row.brief == packed(again).decode()


def test_versions_over_time_counts_up_and_down(conn: sqlite3.Connection) -> None:
    take(conn, answer(HEALTHY, host="a"), answer(HEALTHY, host="b"))
    newer = facts(os=replace(HEALTHY.os, version_id="4593.2.6", version="4593.2.6"))
    take(conn, answer(newer, host="a", at=NOW + timedelta(hours=1)))
    rows = conn.execute("SELECT version, hosts FROM versions_over_time ORDER BY at, version").fetchall()
    assert rows == [("4593.2.5", 2), ("4593.2.5", 1), ("4593.2.6", 1)]


def test_the_database_is_private_strict_and_of_this_schema(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    store.open_writer(path).close()
    assert path.stat().st_mode & 0o777 == 0o600
    conn = store.open_reader(path)
    assert store.version(conn) == schema()
    with pytest.raises(sqlite3.OperationalError):
        conn.execute("DELETE FROM hosts")
    conn.close()


@pytest.mark.parametrize(("found", "remedy"), [(0, "fleetctl migrate"), (99, "newer")])
def test_a_reader_refuses_another_schema_and_says_what_to_do(tmp_path: Path, found: int, remedy: str) -> None:
    path = tmp_path / "x.db"
    conn = store.open_writer(path)
    conn.execute(f"PRAGMA user_version={found}")
    conn.close()
    with pytest.raises(ConfigError, match=remedy):
        store.open_reader(path)


def test_a_file_that_is_no_database_is_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_text("not a database, by far not one, and longer than a header of a hundred bytes " * 3)
    for opening in (store.open_reader, store.open_writer):
        with pytest.raises(ConfigError, match=r"x\.db"):
            opening(path)


def test_a_failed_batch_leaves_nothing_half_written(conn: sqlite3.Connection) -> None:
    bad = ProbeFailed("b", NOW, None, "what")  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        take(conn, answer(HEALTHY, host="a"), bad)
    assert tables.all_hosts(conn) == {}
    assert changes(conn, "a") == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=3), inner, max_size=3)
    ),
)


@given(st.dictionaries(st.text("ab/~", max_size=3), JSON), st.dictionaries(st.text("ab/~", max_size=3), JSON))
def test_differences_lead_from_the_old_document_to_the_new(
    old: dict[str, object], new: dict[str, object]
) -> None:
    assert list(differences(new, new)) == []
    for path, was, now in differences(old, new):
        assert was != now
        assert _at(old, path) == was
        assert _at(new, path) == now


def _at(document: object, path: str) -> object:
    for step in path.split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        document = document.get(key) if isinstance(document, dict) else None
    return document


def test_a_moment_is_stored_in_utc_whatever_zone_it_was_typed_in() -> None:
    berlin = datetime(2026, 8, 20, 5, 12, tzinfo=timezone(timedelta(hours=2)))
    assert instant(berlin) == "2026-08-20T03:12:00.000Z"
    assert parsed(instant(berlin)) == berlin
