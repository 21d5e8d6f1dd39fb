"""The reboot lock in etcd, from what is remembered of it to a page's words; and the scenarios of owners."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from actions.engine import judged, kept, record
from actions.history import fleet_at
from actions.situation import REMEDIES, Wish, situation
from collectors import migrations, tables
from collectors.errors import Reach
from collectors.facts import CoordinatorState, HostFacts, LockState, Unread
from collectors.inventory import parse_fleet
from collectors.memory import Memory, remember
from collectors.observation import Answer, ProbeFailed
from collectors.parse.answer import parse_answer
from collectors.probe import probe_command
from collectors.reboots import Owner, owners
from console.demo.scenes_owners import HOLDER
from console.demo.world import hex_of
from console.document import Asked as Framed
from console.document import Json, Machine, host_document
from console.host_page import reboot_tone, reboot_words
from console.judge import Basis, extract_of, judge, lock_holders
from console.judge import document as judged_document
from console.render_host import host_text
from console.tone import Tone
from tests.builders import HEALTHY, NOW, answer, facts
from tests.unit.live_lab import NEW
from tests.unit.test_demo_states import FEED, START
from tests.unit.test_live_locksmith import lab_with, state_of
from tests.unit.test_live_orders_looks import Fleet
from tests.unit.test_policy import (
    UP,
)
from tests.unit.test_reboot_owners import BOTH, ETCD, FLUO, HELD, K8S, KURED, LOCK, LOCKED, OTHER, OWN

# -- memory ------------------------------------------------------------------------------------


def held(*holders: str) -> HostFacts:
    return facts(**LOCKED | {"lock": LockState(1, 3, holders)})


def test_a_holder_is_held_since_it_was_first_seen_without_a_break() -> None:
    memory: Memory | None = None
    unread = facts(**UP, coordinator=ETCD, unread=(Unread("lock", "timed out"),))
    for minute, host in enumerate(
        [
            held(OTHER),
            held(OTHER, OWN),
            unread,
            replace(unread, unread=(), privileged=False),
            held(OTHER, OWN),
        ]
    ):
        memory = remember(memory, host, NOW + timedelta(minutes=minute))
    assert memory is not None
    assert memory.lock_since == {OTHER: NOW, OWN: NOW + timedelta(minutes=1)}
    memory = remember(memory, held(OWN), NOW + timedelta(hours=1))
    memory = remember(memory, held(OTHER), NOW + timedelta(hours=2))
    assert memory.lock_since == {OTHER: NOW + timedelta(hours=2)}
    assert remember(memory, HEALTHY, NOW + timedelta(hours=3)).lock_since == {}


def test_since_is_worked_out_again_from_the_stored_changes() -> None:
    conn = in_memory()
    story = [HEALTHY, held(OTHER), held(OTHER, OWN), held(OWN), held(OWN)]
    times = [NOW + timedelta(minutes=number) for number in range(len(story))]
    for host, at in zip(story, times, strict=True):
        record(conn, [answer(host, at=at)], {}, FEED)
    paths = {change.path for change in tables.host_changes(conn, "node-1", 100)}
    assert {"/lock", "/lock/holders"} <= paths
    for at, since in zip(times, ({}, {OTHER: 1}, {OTHER: 1, OWN: 2}, {OWN: 2}, {OWN: 2}), strict=True):
        memory = kept(fleet_at(conn, at)["node-1"]).memory
        assert memory is not None
        assert memory.lock_since == {holder: times[minute] for holder, minute in since.items()}
    row = tables.one_host(conn, "node-1")
    assert row is not None
    memory = judged(row, Wish(), FEED)[0].memory
    assert memory is not None
    assert memory.lock_since == {OWN: times[2]}


def in_memory() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrations.apply(conn)
    return conn


# -- the document and its words ----------------------------------------------------------------

TWO = parse_fleet('name = "lab"\n[[hosts]]\nname = "k8s-1"\n[[hosts]]\nname = "k8s-3"\n', file="fleet.toml")


def told(host: HostFacts, machines: dict[str, Machine] | None = None, age_s: float | None = None) -> Json:
    memory = remember(None, host, NOW - timedelta(seconds=age_s)) if age_s is not None else None
    asked = Framed(TWO.hosts[0], None, None, NOW, machines=machines or {})
    reboot: Json = host_document(asked, host, memory, None)["reboot"]
    return reboot


@pytest.mark.parametrize(
    ("changes", "manager", "owner"),
    [
        ({}, "none", []),
        (UP, "locksmithd", ["locksmithd"]),
        (LOCKED, "locksmithd", ["locksmithd-etcd"]),
        (K8S, "cluster", ["cluster"]),
        ({**K8S, "reboot_pods": (KURED,)}, "cluster", ["kured"]),
        ({**BOTH, "reboot_pods": (FLUO,)}, "locksmithd", ["locksmithd", "fluo"]),
        ({"units": {}}, None, None),
    ],
)
def test_the_manager_keeps_its_words_and_owners_are_told_beside_it(
    changes: dict[str, Any], manager: str | None, owner: list[str] | None
) -> None:
    reboot = told(facts(**changes))
    assert (reboot["manager"], reboot["owners"]) == (manager, owner)


@pytest.mark.parametrize(
    ("changes", "machines", "words"),
    [
        ({}, {}, "no reboot manager"),
        (UP, {}, "managed by locksmithd"),
        (K8S, {}, "managed by the cluster, by FLUO or kured"),
        ({**K8S, "reboot_pods": (KURED,)}, {}, "managed by kured (pod kured-x7k2p)"),
        (
            {**BOTH, "reboot_pods": (KURED,)},
            {},
            "two owners: locksmithd and kured (pod kured-x7k2p)",
        ),
        (
            LOCKED,
            {OTHER: Machine("k8s-3", "ok")},
            "managed by locksmithd, by a lock in etcd: 0 of 1 free, held by k8s-3 for 3 h 10 min",
        ),
        (
            LOCKED,
            {OTHER: Machine("k8s-3", "unreachable")},
            "managed by locksmithd, by a lock in etcd: 0 of 1 free, held by k8s-3 for 3 h 10 min"
            " (cannot be reached)",
        ),
        (
            LOCKED,
            {},
            f"managed by locksmithd, by a lock in etcd: 0 of 1 free, held by {OTHER} for 3 h 10 min"
            " (not known in this fleet)",
        ),
        (
            LOCKED | {"lock": None, "unread": (Unread("lock", "timed out"),)},
            {},
            "managed by locksmithd, by a lock in etcd: not read, timed out",
        ),
        (LOCKED | {"lock": LockState(2, 2)}, {}, "managed by locksmithd, by a lock in etcd: 2 of 2 free"),
    ],
)
def test_a_page_names_owner_lock_and_holder(
    changes: dict[str, Any], machines: dict[str, Machine], words: str
) -> None:
    assert reboot_words(told(facts(**changes), machines, 11400))[1] == words


def test_of_many_holders_three_are_named_and_two_owners_stand_out() -> None:
    many = LockState(-1, 4, tuple(f"{number:032x}" for number in range(5)))
    words = reboot_words(told(facts(**LOCKED | {"lock": many})))[1]
    assert words is not None
    assert words.endswith(" and 2 more")
    assert words.count("not known in this fleet") == 3
    assert reboot_tone(told(facts(**BOTH, reboot_pods=(KURED,)))) is Tone.BAD
    assert reboot_tone(told(facts(**UP))) is Tone.TEXT


@pytest.mark.parametrize(
    ("other_id", "host", "reach"),
    [(OTHER, "k8s-3", "timeout"), (OWN, None, None), ("c" * 32, None, None)],
    ids=["known", "twins", "stranger"],
)
def test_a_holder_is_joined_with_the_only_host_of_its_machine_id(
    other_id: str, host: str | None, reach: str | None
) -> None:
    conn, holder = in_memory(), OWN if other_id == OWN else OTHER
    locked = facts(**LOCKED | {"lock": LockState(0, 1, (holder,))})
    other = facts(identity=replace(HEALTHY.identity, machine_id=other_id))
    later = NOW + timedelta(minutes=5)
    looks = [answer(locked, host="k8s-1", at=NOW), answer(other, host="k8s-3", at=NOW)]
    record(conn, looks, {}, FEED)
    record(conn, [ProbeFailed("k8s-3", later, Reach.TIMEOUT, "silent")], {}, FEED)
    first = TWO.hosts[0]
    row = tables.one_host(conn, "k8s-1")
    assert lock_holders(row) == (holder,)
    names = tables.same_machine(conn, lock_holders(row)).get(holder, [])
    whole = Basis(tables.all_hosts(conn), {})
    alone = Basis(
        {"k8s-1": row} if row else {},
        {},
        twins=tuple(name for name in names if name != "k8s-1") if holder == OWN else (),
        others=tables.last_looks(conn, names),
    )
    for basis, fleet in ((whole, TWO), (alone, replace(TWO, hosts=(first,)))):
        hosts = judge(basis, fleet, extract_of(fleet, "", FEED, None), FEED, later)
        (found,) = judged_document(hosts[0], FEED, fleet, later, None)["reboot"]["lock"]["holders"]
        assert (found["machine_id"], found["host"], found["reach"]) == (holder, host, reach)
        if holder != OWN:  # what is remembered of twins is not used
            assert (found["since"], found["age_s"]) == (f"{NOW:%Y-%m-%dT%H:%M:%SZ}", 300.0)
        else:
            assert found["since"] is None


# -- simulated hosts ---------------------------------------------------------------------------


def asked_over_the_transport(scenario: str, at: datetime = START) -> Answer:
    done = Fleet(scenario).ask(probe_command(), "0123456789abcdef0123456789abcdef\n")
    found = parse_answer(done.stdout, "0123456789abcdef0123456789abcdef", salt=b"x")
    return Answer("lab-1", at, found, 0.1)


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("kured", (Owner.KURED,)),
        ("fluo", (Owner.FLUO,)),
        ("etcd_lock", (Owner.LOCKSMITHD_ETCD,)),
        ("two_owners", (Owner.LOCKSMITHD, Owner.KURED)),
        ("current", ()),
        ("staged_will_reboot", (Owner.LOCKSMITHD,)),
    ],
)
def test_a_scenario_has_its_owners_and_stays_in_its_state(scenario: str, expected: tuple[Owner, ...]) -> None:
    look = asked_over_the_transport(scenario)
    assert look.facts.complete
    assert owners(look.facts) == expected
    memory = remember(None, look.facts, START)
    found = situation(look, memory, Wish("stable"), FEED, START)
    assert found.state == ("staged" if scenario == "staged_will_reboot" else "current")
    assert ("two_owners" in {reason.code for reason in found.reasons}) is (scenario == "two_owners")
    asked = Framed(TWO.hosts[0], None, None, START)
    page = " ".join(
        host_text(
            host_document(asked, look.facts, memory, found), now=START, colour=False, ascii=False, width=200
        ).split()
    )
    if scenario == "etcd_lock":
        assert look.facts.lock == LockState(0, 1, (hex_of(HOLDER, "machine"),))
        assert "managed by locksmithd, by a lock in etcd: 0 of 1 free, held by " in page
    if scenario == "two_owners":
        assert f"to do {REMEDIES['two_owners']}" in page


def test_the_hostile_host_names_no_pod() -> None:
    look = asked_over_the_transport("hostile")
    assert not look.facts.reboot_pods
    assert owners(look.facts) == () or Owner.KURED not in owners(look.facts)


def test_a_live_host_takes_the_lock_for_its_reboot_and_gives_it_back() -> None:
    lab = lab_with("REBOOT_STRATEGY=etcd-lock", staged=True)
    assert state_of(lab) is CoordinatorState.REBOOT_PLANNED
    own = lab.host.state.hardware.machine_id
    lab.host.state = replace(lab.host.state, lock=LOCK)
    assert lab.run("locksmithctl", "status").stdout.decode() == HELD
    lab.wait(3600)
    assert lab.host.state.version != NEW
    lab.host.state = replace(lab.host.state, lock=LockState(1, 1))
    lab.until(lambda: lab.host.state.lock == LockState(0, 1, (own,)), 400)
    lab.wait(600)
    assert lab.host.state.version == NEW
    assert lab.host.state.lock == LockState(1, 1)
