"""Looks at simulated hosts without any network, and fleets stored from them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from actions.collect import wishes
from actions.engine import Recorder, instant, write
from actions.situation import Wish
from collectors import store, tables
from collectors.errors import Reach
from collectors.feed_file import file_stamp, load_feed
from collectors.fleet_file import LoadedFleet, load_fleet
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.parse.answer import parse_answer
from collectors.releases import Feed
from console.cli.sweeping import feed_path
from console.demo import answers
from console.demo.fleet import prepare
from console.demo.healthy import HostSpec
from console.demo.plan import PlannedHost, plan
from console.demo.scenarios import SELECTABLE
from console.demo.world import Access, KeyRecord, SimulatedHost
from console.fleet_view import write_extract
from console.judge import extract_of

MARK = "5f" * 16
SALT = bytes(16)
STARTED_AT = datetime(2026, 8, 14, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class StoredFleet:
    loaded: LoadedFleet
    feed: Feed
    wishes: dict[str, Wish]


def built(planned: PlannedHost, start: datetime, scenario: str | None = None) -> SimulatedHost:
    """A planned host; in another scenario than the planned one, it is still the same machine."""
    build = planned.scenario.build if scenario is None else SELECTABLE[scenario].build
    return build(HostSpec(planned.name, start, planned.flavour))


def quiet_hosts(count: int) -> list[SimulatedHost]:
    """Hosts of many kinds that all answer: current, behind, or with a release staged."""
    return [built(item, STARTED_AT) for item in plan(count, {"current": 1})]


def look_at(host: SimulatedHost, at: datetime) -> Observation:
    """What a sweep would make of one host."""
    if host.access is not Access.OPEN or host.key_record is not KeyRecord.RIGHT:
        return ProbeFailed(host.name, at, Reach.UNREACHABLE, "no answer")
    return Answer(host.name, at, parse_answer(answers.answer(host, MARK, at), MARK, salt=SALT), 0.05)


def stored_fleet(directory: Path, hosts: int) -> StoredFleet:
    """A demo's directory and its database as after one sweep: every scenario, then quiet hosts."""
    at = datetime.now(UTC) - timedelta(seconds=30)
    demo = prepare(directory, hosts, {}, at)
    loaded = load_fleet(demo.fleet_file)
    feed, wanted = load_feed(feed_path(loaded)), wishes(loaded.fleet)
    conn = store.open_writer(loaded.database_path)
    try:
        recorder = Recorder(conn, wanted, feed)
        for host in demo.hosts:
            recorder.observed(look_at(host.served.state, at))
            if recorder.queue.is_full:
                write(conn, recorder.take())
        write(conn, recorder.finish())
        with store.transaction(conn):
            tables.put_sweep(conn, instant(at), instant(at), hosts, hosts)
        write_extract(conn, extract_of(loaded.fleet, file_stamp(loaded.path), feed, feed_path(loaded)))
    finally:
        conn.close()
    return StoredFleet(loaded, feed, wanted)
