"""What becomes of an observation: remembered, judged, compared with the last one, stored.

`Recorder.observed` is the only way from a look into the store. It works on the rows as they were when it
was made; about a hundred hosts are written together, each batch in one transaction.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import msgspec

from actions.brief import brief
from actions.situation import Situation, Wish, situation, twins_by_host
from collectors import store, tables
from collectors.changes import differences
from collectors.errors import Reach
from collectors.facts import HostFacts, Passing
from collectors.memory import Memory, remember
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.records import Change, HostRecord
from collectors.releases import Feed

BATCH = 100
BROKE_OFF = "the answer broke off before its end"

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode_facts = msgspec.json.Decoder(HostFacts).decode
_decode_memory = msgspec.json.Decoder(Memory).decode
_decode_passing = msgspec.json.Decoder(Passing).decode


def instant(at: datetime) -> str:
    """A time as the store writes it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store holds of a host, decoded."""

    facts: HostFacts | None
    memory: Memory | None


def kept(record: HostRecord) -> Kept:
    """Decode a record; the passing facts are joined with the lasting ones."""
    facts = _decode_facts(record.facts) if record.facts else None
    if facts is not None and record.passing:
        facts = replace(facts, passing=_decode_passing(record.passing))
    return Kept(facts, _decode_memory(record.memory) if record.memory else None)


@dataclass(slots=True)
class Batch:
    """Rows to be written together."""

    hosts: list[HostRecord] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    first: list[tuple[str, str, str | None, str]] = field(default_factory=list)

    @property
    def is_full(self) -> bool:
        return len(self.hosts) >= BATCH


def write(conn: sqlite3.Connection, batch: Batch) -> None:
    """All of a batch, or nothing, in one transaction."""
    with store.transaction(conn):
        for first in batch.first:
            tables.put_first_sight(conn, *first)
        tables.put_changes(conn, batch.changes)
        tables.put_hosts(conn, batch.hosts)


class Recorder:
    """Turns the observations of one sweep into rows. Itself it reads once and writes nothing."""

    def __init__(self, conn: sqlite3.Connection, wishes: Mapping[str, Wish], feed: Feed | None) -> None:
        self.wishes = wishes
        self.feed = feed
        self.known = tables.all_hosts(conn)
        self.seen: dict[str, Observation] = {}
        self.machine_ids: dict[str, str | None] = {
            name: msgspec.json.decode(record.brief).get("machine_id") for name, record in self.known.items()
        }
        self.queue = Batch()

    def observed(self, seen: Observation) -> HostRecord:
        """Judge one observation and queue its rows."""
        record = self._record(seen, ())
        self.seen[seen.host] = seen
        self.known[seen.host] = record
        self.queue.hosts.append(record)
        return record

    def take(self) -> Batch:
        """What is queued; the queue is empty afterwards."""
        batch, self.queue = self.queue, Batch()
        return batch

    def finish(self) -> Batch:
        """What is left, with the hosts that share a machine id judged again."""
        for host, others in twins_by_host(self.machine_ids).items():
            if host in self.seen:
                self.queue.hosts.append(self._record(self.seen[host], others))
        return self.take()

    def _record(self, seen: Observation, twins: tuple[str, ...]) -> HostRecord:
        before = self.known.get(seen.host)
        wish = self.wishes.get(seen.host, Wish())
        if isinstance(seen, Answer) and seen.facts.complete:
            return self._answered(seen, before, wish, twins)
        return self._not_answered(seen, before, wish)

    def _answered(
        self, seen: Answer, before: HostRecord | None, wish: Wish, twins: tuple[str, ...]
    ) -> HostRecord:
        at, facts = instant(seen.at), seen.facts
        known = kept(before).memory if before else None
        memory = remember(known, facts, seen.at)
        lasting = _encode(replace(facts, passing=Passing()))
        digest = hashlib.blake2b(lasting, digest_size=16).digest()
        self.machine_ids[seen.host] = facts.identity.machine_id
        if not twins and (before is None or before.facts_digest != digest):
            replaced = known is not None and known.since != memory.since
            self._history(seen.host, at, before, facts.identity.machine_id, lasting, replaced=replaced)
        used = None if twins else memory
        meaning = situation(seen, used, wish, self.feed, seen.at, twins=twins)
        return HostRecord(
            name=seen.host,
            asked_at=at,
            taken_at=at,
            reach=seen.reach,
            reach_detail="",
            reach_since=before.reach_since if before and before.reach == seen.reach else at,
            last_ok_at=at,
            latency_s=round(seen.latency_s, 4),
            facts=lasting.decode(),
            facts_digest=digest,
            passing=_encode(facts.passing).decode(),
            memory=_encode(memory).decode(),
            brief=_encode(brief(facts, used, meaning)).decode(),
        )

    def _history(
        self,
        host: str,
        at: str,
        before: HostRecord | None,
        machine_id: str | None,
        lasting: bytes,
        *,
        replaced: bool,
    ) -> None:
        """A first sight as one document; afterwards a row for each fact that differs."""
        known = before is not None and before.facts is not None and before.facts_digest is not None
        if replaced or not known:
            self.queue.first.append((host, at, machine_id, lasting.decode()))
        if not known or before is None or before.facts is None:
            return
        old, new = msgspec.json.decode(before.facts), msgspec.json.decode(lasting)
        changed = [("/os/version_id", old["os"]["version_id"], None)] if replaced else differences(old, new)
        self.queue.changes += [Change(host, at, path, _json(was), _json(now)) for path, was, now in changed]

    def _not_answered(self, seen: Observation, before: HostRecord | None, wish: Wish) -> HostRecord:
        """Keep what was known: a host that is silent, or breaks off, has not changed."""
        at = instant(seen.at)
        last = kept(before) if before else Kept(None, None)
        facts, partial = last.facts, False
        if isinstance(seen, Answer):
            partial = before is None or before.facts_digest is None
            facts = seen.facts if partial else last.facts
        detail = BROKE_OFF if isinstance(seen, Answer) else seen.detail
        failed = ProbeFailed(seen.host, seen.at, seen.reach, detail)
        meaning = situation(seen if partial else failed, last.memory, wish, self.feed, seen.at)
        reach = seen.reach
        return HostRecord(
            name=seen.host,
            asked_at=at,
            taken_at=at if partial else (before.taken_at if before else None),
            reach=reach,
            reach_detail=detail,
            reach_since=before.reach_since if before and before.reach == reach else at,
            last_ok_at=before.last_ok_at if before else None,
            latency_s=None,
            facts=_encode(replace(facts, passing=Passing())).decode() if facts else None,
            facts_digest=None if partial or before is None else before.facts_digest,
            passing=_encode(facts.passing).decode() if facts else None,
            memory=before.memory if before else None,
            brief=_encode(brief(facts, last.memory, meaning)).decode(),
        )


def judged(
    record: HostRecord, wish: Wish, feed: Feed | None, twins: tuple[str, ...] = ()
) -> tuple[Kept, Situation]:
    """Judge a stored host anew, as when the fleet file or the feed changed since it was seen."""
    known = kept(record)
    memory = None if twins else known.memory
    reach, taken_at = Reach(record.reach), record.taken_at
    seen: Observation
    in_part = reach is Reach.PROBE_INCOMPLETE and known.facts is not None and not known.facts.complete
    if (answered(reach) or in_part) and known.facts is not None and taken_at is not None:
        seen = Answer(record.name, parsed(taken_at), known.facts, record.latency_s or 0.0)
    else:
        seen = ProbeFailed(record.name, parsed(record.asked_at), reach, record.reach_detail)
    return known, situation(seen, memory, wish, feed, seen.at, twins=twins)


def parsed(at: str) -> datetime:
    """A time that `instant` wrote."""
    return datetime.fromisoformat(at)


def _json(value: object) -> str | None:
    return None if value is None else _encode(value).decode()


def answered(reach: Reach) -> bool:
    """Whether a host answered the probe to its end."""
    return reach in (Reach.OK, Reach.NOT_FLATCAR)
