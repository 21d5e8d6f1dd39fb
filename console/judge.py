"""Every host of the fleet judged from its stored facts, with today's fleet file and feed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from actions.brief import brief, packed
from actions.collect import wishes
from actions.engine import Kept, judged, kept
from actions.order_tables import CurrentOrder
from actions.situation import Situation, is_own_order, twins_by_host
from collectors.fleet_model import Fleet, FleetHost
from collectors.records import HostRecord, LastLook
from collectors.releases import Feed
from console.document import Asked, Machine, host_document
from console.fleet_view import Extract, fleet_view, host_row, with_order
from console.rows import FEED_STALE_AFTER_S, FleetView, HostRow, Summary, summarize
from console.when import iso

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Judged:
    """One host of the fleet file with all that the store has of it; None where it was never asked."""

    host: FleetHost
    record: HostRecord | None
    kept: Kept
    meaning: Situation | None
    row: HostRow
    order: CurrentOrder | None = None
    is_own_order: bool = False
    """What stands in the host's /run is an order of this console."""
    machines: Mapping[str, Machine] = field(default_factory=dict)
    """Who is who by machine id, as far as the fleet's hosts were read."""


def extract_of(fleet: Fleet, stamp: str, feed: Feed, feed_file: Path | None) -> Extract:
    heads = {releases[-1].version: name for name, releases in feed.channels.items() if name != "edge"}
    hosts = [
        [host.name, host.address, host.port, list(host.groups), dict(host.labels), host.hold]
        for host in fleet.hosts
    ]
    return Extract(
        stamp=stamp,
        feed_digest=feed.digest,
        feed_taken_at=feed.taken_at.isoformat(),
        feed_file=str(feed_file.absolute()) if feed_file else None,
        name=fleet.name,
        accent=fleet.accent,
        stale_after_s=fleet.sweep.stale_after_s,
        heads=heads,
        hosts=hosts,
    )


@dataclass(frozen=True, slots=True)
class Basis:
    """What is judged: records by host, and the store's holds."""

    records: Mapping[str, HostRecord]
    holds: Mapping[str, str]
    orders: Mapping[str, CurrentOrder] = field(default_factory=dict)
    """Host -> the order that is at work on it, or about to be."""
    own_orders: frozenset[str] = frozenset()
    """Orders of this console."""
    twins: tuple[str, ...] = ()
    """Of the only host, where one alone is judged."""
    others: Mapping[str, LastLook] = field(default_factory=dict)
    """Hosts of the fleet beside `records`, of which no more than these words is needed."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """Host -> what was taken for it around a reboot and is not given back."""


def judge(basis: Basis, fleet: Fleet, extract: Extract, feed: Feed, now: datetime) -> list[Judged]:
    """All hosts, in the fleet file's order."""
    records, reboots = basis.records, {name: item.id for name, item in basis.orders.items() if item.reboots}
    wanted = wishes(fleet, basis.holds, reboots, basis.own_orders, basis.kept)
    twins = twins_by_host({name: row.machine_id for name, row in records.items() if name in wanted})
    in_fleet = {name: row for name, row in records.items() if name in wanted and not basis.twins}
    machines = machines_of({**basis.others, **in_fleet})
    judged_hosts = []
    for host, plain in zip(fleet.hosts, extract.hosts, strict=True):
        record, others = records.get(host.name), twins.get(host.name, basis.twins)
        order = basis.orders.get(host.name)
        if record is None:
            row = with_order(host_row(plain, None, (None, None), extract, now), order)
            judged_hosts.append(Judged(host, None, Kept(None, None), None, row, order))
            continue
        known, meaning = judged(record, wanted[host.name], feed, others)
        memory = None if others else known.memory
        short = msgspec.json.decode(packed(brief(known.facts, memory, meaning)))
        held = [*plain[:5], wanted[host.name].hold]
        row = with_order(host_row(held, short, (record.taken_at, record.reach), extract, now), order)
        is_own = known.facts is not None and is_own_order(known.facts.foreign_order, basis.own_orders)
        used = Kept(known.facts, memory)
        judged_hosts.append(Judged(host, record, used, meaning, row, order, is_own, machines))
    return judged_hosts


def machines_of(looks: Mapping[str, HostRecord | LastLook]) -> dict[str, Machine]:
    """Machine id -> its host; an id that two hosts gave says nothing and is left out."""
    hosts: dict[str, list[Machine]] = {}
    for name, row in looks.items():
        if row.machine_id:
            hosts.setdefault(row.machine_id, []).append(Machine(name, row.reach))
    return {machine_id: found[0] for machine_id, found in hosts.items() if len(found) == 1}


def lock_holders(record: HostRecord | None) -> tuple[str, ...]:
    """Machine ids that a host told as holders of its reboot lock: whose names its document asks for."""
    facts = kept(record).facts if record else None
    return facts.lock.holders if facts and facts.lock else ()


def judged_view(hosts: list[Judged], extract: Extract, now: datetime) -> FleetView:
    newest = max((item.record.asked_at for item in hosts if item.record), default=None)
    return fleet_view(extract, [item.row for item in hosts], newest, now)


def status_document(hosts: list[Judged], view: FleetView, feed: Feed, fleet: Fleet) -> Json:
    """The whole of fleetctl.status/1 for the hosts given."""
    stale = stale_words(feed, view.now)
    return {
        "schema": "fleetctl.status/1",
        "generated_at": iso(view.now),
        "fleet": view.fleet,
        "taken_at": iso(view.taken_at),
        "feed": {
            "date": iso(feed.taken_at),
            "age_s": round((view.now - feed.taken_at).total_seconds(), 1),
            "source": feed.source,
        },
        "summary": _summary(summarize([item.row for item in hosts])),
        "hosts": [document(item, feed, fleet, view.now, stale) for item in hosts],
    }


def document(item: Judged, feed: Feed, fleet: Fleet, now: datetime, stale: str | None) -> Json:
    as_of = iso(feed.taken_at) if stale else None
    units, machines = fleet.health.units, item.machines
    asked = Asked(item.host, item.row.hold, item.record, now, units, as_of, stale, machines)
    told = host_document(asked, item.kept.facts, item.kept.memory, item.meaning)
    if item.is_own_order:
        told["reboot"]["foreign_order"] = None
    return told | {"order": order_document(item.order)}


def order_document(order: CurrentOrder | None) -> Json | None:
    """An order that is at work on a host, as its document tells it; null where there is none."""
    if order is None:
        return None
    return {"id": order.id, "rollout": None, "cohort": None, "phase": order.words, "since": order.since}


def stale_words(feed: Feed, now: datetime) -> str | None:
    """What to say of a feed that is too old to prove anything; None where it is fresh."""
    age_s = (now - feed.taken_at).total_seconds()
    if age_s <= FEED_STALE_AFTER_S:
        return None
    return f"the release feed is {age_s / 86400:.0f} days old: newer releases are not known"


def _summary(summary: Summary) -> Json:
    return {
        "hosts": summary.hosts,
        "answered": summary.answered,
        "by_state": dict(summary.by_state),
        "by_version": {version or "unknown": count for version, count in summary.by_version.items()},
        "by_channel": {channel or "unknown": count for channel, count in summary.by_channel.items()},
        "needs_reboot": summary.needs_reboot,
        "will_reboot_by_itself": summary.will_reboot_by_itself,
        "updates_off": summary.updates_off,
        "extension_problems": summary.extension_problems,
    }
