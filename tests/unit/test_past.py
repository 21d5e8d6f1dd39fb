"""The past out of the store: as a replay of what was recorded tells it, and as the view tells it."""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.engine import instant, record
from actions.history import forget_before
from collectors import migrations, store, tables
from collectors.errors import ConfigError, Reach
from collectors.facts import HostFacts
from collectors.observation import Observation, ProbeFailed
from console.fleet_view import Extract, write_extract
from console.history import SPANS, columns, counted
from console.past import history_of, span_named
from tests.builders import HEALTHY, NOW, answer, facts, feed

FEED = feed("4593.2.4", "4593.2.5")
VERSIONS = ["4593.2.3", "4593.2.4", "4593.2.5", None]
PARTIAL = HostFacts(complete=False, privileged=False, identity=HEALTHY.identity, os=HEALTHY.os)
Kind = tuple[str, str | None, str]
KINDS: list[Kind] = [
    *((machine, version, "whole") for machine in "ab" for version in VERSIONS),
    ("a", None, "silent"),
    ("a", None, "broken"),
]
STORIES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(KINDS), st.integers(0, 2)), min_size=1, max_size=14
)


def running(version: str | None, machine: str = "a") -> HostFacts:
    identity = replace(HEALTHY.identity, machine_id=machine * 32)
    return facts(os=replace(HEALTHY.os, version_id=version, version=version), identity=identity)


def look(host: str, kind: Kind, at: datetime) -> Observation:
    machine, version, how = kind
    if how == "silent":
        return ProbeFailed(host, at, Reach.TIMEOUT, "why")
    return answer(PARTIAL if how == "broken" else running(version, machine), host=host, at=at)


def told(conn: sqlite3.Connection, story: list[tuple[str, Kind, int]]) -> list[tuple[datetime, str, Kind]]:
    """Store a story; looks at several hosts may be of one moment, two at one host never are."""
    at, moments, here = NOW, [], set[str]()
    for host, kind, minutes in story:
        here = set() if minutes or host in here else here
        at += timedelta(minutes=minutes if here or minutes else 1)
        here.add(host)
        record(conn, [look(host, kind, at)], {}, FEED)
        moments.append((at, host, kind))
    return moments


def replayed(moments: list[tuple[datetime, str, Kind]], until: datetime) -> dict[str | None, int]:
    """Every host's last whole answer, counted; a host that gave none is not known."""
    versions: dict[str, str | None] = {}
    for at, host, (_, version, how) in moments:
        if at <= until:
            versions[host] = version if how == "whole" else versions.get(host)
    return dict(Counter(versions.values()))


def counts_at(rows: list[tuple[str, str | None, int]], until: datetime) -> dict[str | None, int]:
    last = {version: hosts for at, version, hosts in rows if at <= instant(until)}
    return {version: hosts for version, hosts in last.items() if hosts}


def in_memory() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrations.apply(conn)
    return conn


def series_of(conn: sqlite3.Connection) -> list[tuple[str, str | None, int]]:
    """Time, version, hosts, by time."""
    found = counted(tables.version_looks(conn, "9"))
    rows = [(at, version, hosts) for version, moments in found.items() for at, hosts in moments]
    return sorted(rows, key=lambda row: row[0])


@given(STORIES)
@settings(max_examples=60)
def test_the_counts_are_those_of_a_replay(story: list[tuple[str, Kind, int]]) -> None:
    """Also where another machine takes a name, and where it runs the same version."""
    conn = in_memory()
    moments = told(conn, story)
    rows = series_of(conn)
    for at, *_ in moments:
        assert counts_at(rows, at) == replayed(moments, at)


@given(STORIES)
@settings(max_examples=60)
def test_the_view_tells_the_same_of_versions_that_are_known(story: list[tuple[str, Kind, int]]) -> None:
    """A look a minute: of one host, no two fall into one moment."""
    conn = in_memory()
    moments = told(conn, [(host, kind, 1) for host, kind, _ in story])
    rows = conn.execute("SELECT at, version, hosts FROM versions_over_time ORDER BY at").fetchall()
    for at, *_ in moments:
        known = {version: hosts for version, hosts in replayed(moments, at).items() if version is not None}
        assert counts_at(rows, at) == known


@given(STORIES, st.integers(0, 14))
@settings(max_examples=60)
def test_forgetting_what_is_old_changes_no_later_count(
    story: list[tuple[str, Kind, int]], minute: int
) -> None:
    conn = in_memory()
    moments = told(conn, [(host, kind, 1) for host, kind, _ in story])
    cutoff = NOW + timedelta(minutes=minute, seconds=30)
    with store.transaction(conn):
        forget_before(conn, cutoff)
    rows = series_of(conn)
    view = conn.execute("SELECT at, version, hosts FROM versions_over_time ORDER BY at").fetchall()
    for at in (cutoff, *(at for at, *_ in moments if at > cutoff)):
        then = replayed(moments, at)
        assert counts_at(rows, at) == then
        assert counts_at(view, at) == {version: hosts for version, hosts in then.items() if version}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Three hosts on one version, asked at NOW; two move an hour later, one never answers."""
    path = tmp_path / "fleet.db"
    conn = store.open_writer(path)
    first = [answer(running("4593.2.4", name), host=name, at=NOW) for name in "abc"]
    record(conn, [*first, ProbeFailed("d", NOW, Reach.TIMEOUT, "why")], {}, FEED)
    later = NOW + timedelta(hours=1)
    record(conn, [answer(running("4593.2.5", name), host=name, at=later) for name in "ab"], {}, FEED)
    conn.close()
    return path


def limit_fleet(path: Path, names: str) -> None:
    hosts: list[list[Any]] = [[name, name, 22, [], {}, None] for name in names]
    conn = store.open_writer(path)
    with store.transaction(conn):
        write_extract(conn, Extract("", "", "", None, "fleet", None, 900.0, {}, hosts))
    conn.close()


def test_a_history_is_read_whole(database: Path) -> None:
    zone = timezone(timedelta(hours=2), "CEST")
    now = (NOW + timedelta(hours=2)).astimezone(zone)
    history = history_of(database, now)
    assert (history.span, history.since, history.steps_from) == ("all", NOW, None)
    shown = columns(history, 24)
    assert shown[0].counts in (None, {"4593.2.4": 3, None: 1})
    assert shown[-1].counts == {"4593.2.4": 1, "4593.2.5": 2, None: 1}
    assert shown[-1].end.tzinfo is zone
    steps = [(step.host, step.old, step.new) for step in history.steps if step.path == "/os/version_id"]
    assert steps == [("a", "4593.2.4", "4593.2.5"), ("b", "4593.2.4", "4593.2.5")]
    assert history.moves == {"4593.2.5": (2, NOW + timedelta(hours=1))}


def test_a_span_keeps_the_counts_from_before_it_and_not_the_steps(database: Path) -> None:
    history = history_of(database, NOW + timedelta(days=30), SPANS["day"])
    assert history.span == "day"
    assert history.steps == ()
    assert columns(history, 10)[0].counts == {"4593.2.4": 1, "4593.2.5": 2, None: 1}


def test_what_is_later_than_the_moment_asked_for_is_not_told(database: Path) -> None:
    history = history_of(database, NOW + timedelta(minutes=30), math.inf)
    assert columns(history, 10)[-1].counts == {"4593.2.4": 3, None: 1}
    assert history.moves == {}
    assert history_of(database, NOW - timedelta(days=1)).since is None


def test_a_host_that_left_the_fleet_file_counts_nowhere(database: Path) -> None:
    limit_fleet(database, "ac")
    history = history_of(database, NOW + timedelta(hours=2))
    assert columns(history, 10)[-1].counts == {"4593.2.4": 1, "4593.2.5": 1}
    assert {step.host for step in history.steps} == {"a", "c"}


def test_another_machine_under_a_name_has_not_moved(database: Path) -> None:
    conn = store.open_writer(database)
    later = NOW + timedelta(hours=1, minutes=30)
    record(conn, [answer(running("4593.2.5", "x"), host="c", at=later)], {}, FEED)
    conn.close()
    history = history_of(database, NOW + timedelta(hours=2))
    assert columns(history, 10)[-1].counts == {"4593.2.5": 3, None: 1}
    assert history.moves == {"4593.2.5": (2, NOW + timedelta(hours=1))}


def test_a_limit_keeps_the_newest_steps_and_says_from_when_on(database: Path) -> None:
    now = NOW + timedelta(hours=2)
    everything = history_of(database, now).steps
    some = history_of(database, now, limit=2)
    assert some.steps == everything[-2:]
    assert some.steps_from == NOW + timedelta(hours=1)
    assert (some.series, some.moves) == (history_of(database, now).series, {"4593.2.5": (2, some.steps_from)})
    assert history_of(database, now, limit=0).steps_from == now


def test_without_a_database_the_history_is_empty(tmp_path: Path) -> None:
    history = history_of(tmp_path / "none.db", NOW)
    assert (history.since, history.series, history.steps) == (None, {}, ())
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"SQLite format 3\x00" + b"x" * 900)
    with pytest.raises(ConfigError, match="cannot be read"):
        history_of(broken, NOW)


@pytest.mark.parametrize(
    ("span_s", "name"), [(None, None), (1.0, "day"), (86400.0, "day"), (86401.0, "week"), (math.inf, "all")]
)
def test_spans_by_their_length(span_s: float | None, name: str | None) -> None:
    assert span_named(span_s) == name
