"""What becomes of observations: remembered, judged, compared with the last ones, stored.

`record` is the only way from looks into the store. It reads the rows as they are, inside the transaction that
writes them, so that two processes may look at one fleet at the same time and lose nothing.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec

from actions.brief import brief, packed
from actions.situation import Situation, Wish, others_of, situation
from actions.twins import Twins, is_whole
from collectors import store, tables
from collectors.changes import differences
from collectors.errors import Reach
from collectors.facts import HostFacts, Passing
from collectors.memory import Memory, Trouble, remember
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.records import Change, FirstSight, HostRecord, LastLook, Lease
from collectors.releases import Feed

BROKE_OFF = "the answer broke off before its end"
REACH = "/reach"
"""Path of the change rows that tell how a host could be reached; it is no fact of the host's."""

encode = msgspec.json.Encoder(order="deterministic").encode
decode_facts = msgspec.json.Decoder(HostFacts).decode
_decode_memory = msgspec.json.Decoder(Memory).decode
_decode_passing = msgspec.json.Decoder(Passing).decode


def instant(at: datetime) -> str:
    """A time as the store writes it: texts that compare as the moments do, whatever zone a person typed."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parsed(at: str) -> datetime:
    """A time that `instant` wrote."""
    return datetime.fromisoformat(at)


def answered(reach: Reach) -> bool:
    """Whether a host answered the probe to its end."""
    return reach in (Reach.OK, Reach.NOT_FLATCAR)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store holds of a host, decoded."""

    facts: HostFacts | None
    memory: Memory | None


def kept(record: HostRecord) -> Kept:
    """Decode a record; the passing facts are joined with the lasting ones."""
    facts = decode_facts(record.facts) if record.facts else None
    if facts is not None and record.passing:
        facts = replace(facts, passing=_decode_passing(record.passing))
    return Kept(facts, _decode_memory(record.memory) if record.memory else None)


def record(
    conn: sqlite3.Connection,
    looks: Iterable[Observation],
    wishes: Mapping[str, Wish],
    feed: Feed | None,
    *,
    lease: Lease | None = None,
) -> list[Change]:
    """Store looks, about a hundred at a time, in one transaction; what changed is the answer.

    A look older than the one stored is dropped. Raises tables.LeaseLost where `lease` is not held any more.
    """
    with store.transaction(conn):
        if lease is not None:
            tables.check_lease(conn, lease)
        recorder = _Recorder(conn, wishes, feed)
        recorder.take(list(looks))
    return recorder.changes


def rejudge(
    conn: sqlite3.Connection, hosts: Iterable[str], wishes: Mapping[str, Wish], feed: Feed | None
) -> None:
    """Judge stored hosts anew inside the caller's transaction, after something beside their facts changed."""
    groups: dict[str, list[str]] = {}
    briefs = []
    for name in hosts:
        row = tables.one_host(conn, name)
        if row is None:
            continue
        machine_id = row.machine_id or ""
        if machine_id not in groups:
            stored = tables.same_machine(conn, [machine_id]).get(machine_id, [])
            groups[machine_id] = [other for other in stored if other in wishes]
        twins = others_of(groups[machine_id], name)
        known, meaning = judged(row, wishes.get(name, Wish()), feed, twins)
        short = packed(brief(known.facts, None if twins else known.memory, meaning))
        briefs.append((name, short.decode()))
    tables.put_briefs(conn, briefs)


def acknowledge(conn: sqlite3.Connection, host: str) -> list[str]:
    """Take note of a host's remembered troubles, inside the caller's transaction; what they were.

    The caller judges the host anew.
    """
    row = tables.one_host(conn, host)
    memory = kept(row).memory if row else None
    if row is None or memory is None:
        return []
    reverted, failed = _noted(memory.reverted), _noted(memory.failed)
    anew = replace(memory, reverted=reverted, failed=failed)
    tables.put_hosts(conn, [replace(row, memory=encode(anew).decode())])
    pairs = (("reverted", memory.reverted, reverted), ("failed", memory.failed, failed))
    return [name for name, was, now in pairs if was != now]


def _noted(trouble: Trouble | None) -> Trouble | None:
    return replace(trouble, acknowledged=True) if trouble else None


def judged(
    record: HostRecord, wish: Wish, feed: Feed | None, twins: tuple[str, ...] = ()
) -> tuple[Kept, Situation]:
    """Judge a stored host as it was seen, with today's wish and feed."""
    known = kept(record)
    memory = None if twins else known.memory
    reach, taken_at = Reach(record.reach), record.taken_at
    seen: Observation
    in_part = reach is Reach.PROBE_INCOMPLETE and known.facts is not None and not known.facts.complete
    if (answered(reach) or in_part) and known.facts is not None and taken_at is not None:
        seen = Answer(record.name, parsed(taken_at), known.facts, record.latency_s or 0.0)
    else:
        seen = ProbeFailed(record.name, parsed(record.asked_at), reach, record.reach_detail)
    return known, situation(seen, memory, wish, feed, seen.at, twins=twins, last=known.facts)


class _Recorder:
    """One batch: hosts are read together, judged one by one, and written at its end."""

    def __init__(self, conn: sqlite3.Connection, wishes: Mapping[str, Wish], feed: Feed | None) -> None:
        self.conn = conn
        self.wishes = wishes
        self.feed = feed
        self.changes: list[Change] = []
        self._rows: list[HostRecord] = []
        self._first: list[FirstSight] = []

    def take(self, looks: Sequence[Observation]) -> None:
        """Store what was seen, and judge again the hosts whose twins are others now."""
        before = tables.last_looks(self.conn, {seen.host for seen in looks})
        fresh = [(seen, at) for seen in looks if not _is_older(at := instant(seen.at), before.get(seen.host))]
        twins = Twins(self.conn, [seen for seen, _ in fresh], before, self.wishes)
        for seen, at in fresh:
            self._take(seen, at, before.get(seen.host), twins.of(seen.host))
        tables.put_first_sights(self.conn, self._first)
        tables.put_changes(self.conn, self.changes)
        tables.put_hosts(self.conn, self._rows)
        rejudge(self.conn, twins.changed(), self.wishes, self.feed)

    def _take(self, seen: Observation, at: str, before: LastLook | None, twins: tuple[str, ...]) -> None:
        if is_whole(seen):
            row = self._answered(seen, at, before, twins)
        else:
            row = self._not_answered(seen, at, twins)
        if before is None or before.reach != row.reach:
            was = _json(before.reach) if before else None
            self.changes.append(Change(seen.host, at, REACH, was, _json(row.reach)))
        self._rows.append(row)

    def _brief(
        self,
        look: Observation,
        facts: HostFacts | None,
        memory: Memory | None,
        twins: tuple[str, ...],
    ) -> str:
        used, wish = None if twins else memory, self.wishes.get(look.host, Wish())
        meaning = situation(look, used, wish, self.feed, look.at, twins=twins, last=facts)
        return packed(brief(facts, used, meaning)).decode()

    def _answered(self, seen: Answer, at: str, before: LastLook | None, twins: tuple[str, ...]) -> HostRecord:
        facts = seen.facts
        known = _decode_memory(before.memory) if before and before.memory else None
        memory = remember(known, facts, seen.at)
        lasting, passing = _split(facts)
        digest = hashlib.blake2b(lasting, digest_size=16).digest()
        if before is None or before.facts_digest != digest:
            replaced = known is not None and known.since != memory.since
            self._history(seen.host, at, before, lasting, replaced=replaced)
        return HostRecord(
            name=seen.host,
            asked_at=at,
            taken_at=at,
            reach=seen.reach,
            reach_detail="",
            reach_since=before.reach_since if before and before.reach == seen.reach else at,
            last_ok_at=at,
            latency_s=round(seen.latency_s, 4),
            machine_id=facts.identity.machine_id,
            facts=lasting.decode(),
            facts_digest=digest,
            passing=passing.decode(),
            memory=encode(memory).decode(),
            brief=self._brief(seen, facts, memory, twins),
        )

    def _history(
        self, host: str, at: str, before: LastLook | None, lasting: bytes, *, replaced: bool
    ) -> None:
        """A first sight as one document; afterwards a row for each fact that differs."""
        is_known = before is not None and before.facts_digest is not None
        stored = tables.facts_of(self.conn, host) if is_known else None
        if replaced or stored is None:
            self._first.append(FirstSight(host, at, lasting.decode()))
        if stored is None:
            return
        old, new = msgspec.json.decode(stored), msgspec.json.decode(lasting)
        changed = [("/os/version_id", old["os"]["version_id"], None)] if replaced else differences(old, new)
        self.changes += [Change(host, at, path, _json(was), _json(now)) for path, was, now in changed]

    def _not_answered(self, seen: Observation, at: str, twins: tuple[str, ...]) -> HostRecord:
        """Keep what was known: a host that is silent, or breaks off, has not changed."""
        before = tables.one_host(self.conn, seen.host)
        last = kept(before) if before else Kept(None, None)
        facts, partial = last.facts, False
        if isinstance(seen, Answer):
            partial = before is None or before.facts_digest is None
            facts = seen.facts if partial else last.facts
        detail = BROKE_OFF if isinstance(seen, Answer) else seen.detail
        failed = ProbeFailed(seen.host, seen.at, seen.reach, detail)
        look = seen if partial else failed
        return HostRecord(
            name=seen.host,
            asked_at=at,
            taken_at=at if partial else (before.taken_at if before else None),
            reach=seen.reach,
            reach_detail=detail,
            reach_since=before.reach_since if before and before.reach == seen.reach else at,
            last_ok_at=before.last_ok_at if before else None,
            latency_s=None,
            machine_id=before.machine_id if before else None,
            facts=encode(replace(facts, passing=Passing())).decode() if facts else None,
            facts_digest=None if partial or before is None else before.facts_digest,
            passing=encode(facts.passing).decode() if facts else None,
            memory=before.memory if before else None,
            brief=self._brief(look, facts, last.memory, twins),
        )


def _is_older(at: str, before: LastLook | None) -> bool:
    return before is not None and before.asked_at > at


def _split(facts: HostFacts) -> tuple[bytes, bytes]:
    """Facts without the passing ones, and these, as JSON.

    Encoded once: `passing` is the last field, so what stands for it ends the text.
    """
    whole, passing = encode(facts), encode(facts.passing)
    return whole[: -len(passing) - 1] + _NONE_PASSING, passing


_NONE_PASSING = encode(Passing()) + b"}"


def _json(value: object) -> str | None:
    return None if value is None else encode(value).decode()
