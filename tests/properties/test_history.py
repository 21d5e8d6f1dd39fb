"""The past as it is told is the past as it was stored; forgetting what is old changes nothing later."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from actions.engine import decode_facts, kept, record
from actions.history import fleet_at, forget_before
from collectors import migrations, store, tables
from collectors.errors import Reach
from collectors.facts import (
    Attempt,
    ExtensionLink,
    Extensions,
    HostFacts,
    LockState,
    Operation,
    Passing,
    SlotName,
    Unread,
)
from collectors.observation import Observation, ProbeFailed
from tests.builders import HEALTHY, NOW, UNITS, answer, facts, feed, table, unit

FEED = feed("4593.2.4", "4593.2.5")
LINK = ExtensionLink("/etc/extensions/a~b.raw", "/opt/extensions/a~b-1.raw", True)
LOOKS: list[HostFacts | Reach] = [
    HEALTHY,
    facts(slots=table("1/0/1", "2/1/0"), operation=Operation.NEED_REBOOT, new_version="4593.2.6"),
    facts(slots=table("1/0/1", "2/0/0")),
    facts(attempt=Attempt(failed=True, error_code=10, offered_version="4593.2.6")),
    facts(running=SlotName.B, identity=replace(HEALTHY.identity, boot_id="boot-2")),
    facts(extensions=Extensions(merged=("a~b",), candidates={"a~b": "/x/y"}, links={"a~b": LINK})),
    facts(extensions=None, slots=None, privileged=False),
    facts(units={"x/y.service": unit("failed")}),
    facts(units=UNITS | {"z.service": unit()}),
    facts(lock=LockState(1, 2, ("b" * 32,))),
    facts(lock=LockState(0, 2, ("b" * 32, "c" * 32))),
    facts(unread=(Unread("lock", "timed out"),)),
    facts(identity=replace(HEALTHY.identity, machine_id="b" * 32)),
    Reach.TIMEOUT,
    Reach.HOST_KEY_CHANGED,
]
STORIES = st.lists(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(LOOKS)), min_size=1, max_size=12)


def told(conn: sqlite3.Connection, story: list[tuple[str, HostFacts | Reach]]) -> list[datetime]:
    """Store the story, a look a minute; the times."""
    times = [NOW + timedelta(minutes=number) for number in range(len(story))]
    for (host, seen), at in zip(story, times, strict=True):
        look: Observation = (
            ProbeFailed(host, at, seen, "why") if isinstance(seen, Reach) else answer(seen, host=host, at=at)
        )
        record(conn, [look], {}, FEED)
    return times


def in_memory() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrations.apply(conn)
    return conn


def lasting(conn: sqlite3.Connection, when: datetime) -> dict[str, tuple[str, HostFacts | None]]:
    return {
        name: (row.reach, decode_facts(row.facts) if row.facts else None)
        for name, row in fleet_at(conn, when).items()
    }


@given(STORIES)
def test_each_moment_is_told_as_it_was(story: list[tuple[str, HostFacts | Reach]]) -> None:
    conn = in_memory()
    times = told(conn, story)
    seen: dict[str, tuple[str, HostFacts | None]] = {}
    for (host, look), at in zip(story, times, strict=True):
        if isinstance(look, Reach):
            seen[host] = (look, seen.get(host, ("", None))[1])
        else:
            seen[host] = ("ok", replace(look, passing=Passing()))
        assert lasting(conn, at) == seen
    assert fleet_at(conn, NOW - timedelta(minutes=1)) == {}


@given(STORIES)
def test_the_memory_worked_out_anew_is_the_one_that_was_kept(
    story: list[tuple[str, HostFacts | Reach]],
) -> None:
    conn = in_memory()
    times = told(conn, story)
    for name, past in fleet_at(conn, times[-1]).items():
        row = tables.one_host(conn, name)
        assert row is not None
        now, then = kept(row).memory, kept(past).memory
        if now is None or then is None:
            assert now is then
            continue
        assert (now.reverted is None, now.failed is None) == (then.reverted is None, then.failed is None)
        assert now.lock_since == then.lock_since
        assert {slot: held.version for slot, held in now.slots.items()} == {
            slot: held.version for slot, held in then.slots.items()
        }


@given(STORIES, st.integers(0, 12))
def test_forgetting_what_is_old_changes_nothing_later(
    story: list[tuple[str, HostFacts | Reach]], minute: int
) -> None:
    conn = in_memory()
    times = told(conn, story)
    cutoff = NOW + timedelta(minutes=minute, seconds=-30)
    later = [at for at in times if at >= cutoff]
    before = [lasting(conn, at) for at in later]
    with store.transaction(conn):
        forget_before(conn, cutoff)
    assert [lasting(conn, at) for at in later] == before
    assert fleet_at(conn, cutoff - timedelta(minutes=1)) == {}
    with store.transaction(conn):
        forget_before(conn, cutoff)
    assert [lasting(conn, at) for at in later] == before
