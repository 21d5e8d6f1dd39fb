"""Looks at simulated hosts without any network, and fleets stored from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from actions.collect import BATCH, wishes
from actions.engine import instant, record
from actions.situation import Wish
from collectors import store, tables
from collectors.errors import Reach
from collectors.feed_file import load_feed
from collectors.fleet_file import LoadedFleet, load_fleet
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.parse.answer import parse_answer
from collectors.releases import Feed
from console.cli.reading import feed_path
from console.cli.sweeping import remember_extract
from console.demo import answers
from console.demo.fleet import prepare
from console.demo.healthy import HostSpec
from console.demo.plan import plan
from console.demo.world import Access, KeyRecord, SimulatedHost

MARK = "5f" * 16
SALT = bytes(16)
STARTED_AT = datetime(2026, 8, 14, 12, tzinfo=UTC)


def quiet_hosts(count: int) -> list[SimulatedHost]:
    """Hosts of many kinds that all answer: current, behind, or with a release staged."""
    planned = plan(count, {"current": 1})
    return [item.scenario.build(HostSpec(item.name, STARTED_AT, item.flavour)) for item in planned]


def look_at(host: SimulatedHost, at: datetime) -> Observation:
    """What a sweep would make of one host."""
    if host.access is not Access.OPEN or host.key_record is not KeyRecord.RIGHT:
        return ProbeFailed(host.name, at, Reach.UNREACHABLE, "no answer")
    return Answer(host.name, at, parse_answer(answers.answer(host, MARK, at), MARK, salt=SALT), 0.05)


def record_all(
    conn: sqlite3.Connection, looks: Sequence[Observation], wishes: Mapping[str, Wish], feed: Feed
) -> None:
    """Store looks as a sweep does, a batch in a transaction."""
    for start in range(0, len(looks), BATCH):
        record(conn, looks[start : start + BATCH], wishes, feed)


def stored_fleet(directory: Path, hosts: int) -> LoadedFleet:
    """A demo's directory and its database as after one sweep: every scenario, then quiet hosts."""
    at = datetime.now(UTC) - timedelta(seconds=30)
    demo = prepare(directory, hosts, {}, at)
    loaded = load_fleet(demo.fleet_file)
    feed = load_feed(feed_path(loaded))
    conn = store.open_writer(loaded.database_path)
    try:
        looks = [look_at(host.served.state, at) for host in demo.hosts]
        record_all(conn, looks, wishes(loaded.fleet, {}), feed)
        with store.transaction(conn):
            tables.put_sweep(conn, instant(at), instant(at), hosts, hosts)
        remember_extract(conn, loaded, feed)
    finally:
        conn.close()
    return loaded
