"""`kill -9` of the process that carries an order out, over real SSH: twenty times, at moments left to chance.

Lanes run side by side. Each gives orders on hosts of its own and kills whoever carries them out, until it has
killed enough; then the last order goes on to its end. What holds after that is read from the hosts' own log,
the record and the store.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, cycle
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo_fleet import FLEETCTL, PLAIN, Demo, served

SEED = 20260818
KILLS = 4
"""Of each lane."""
LATEST_S = 3.5
"""After its begin a process is killed by then, mostly long before: some orders take no longer."""
TAKEN_UP_S = 15.0
NEW = "4593.2.5"
REBOOTS = ("activate", "reboot", "roll-back")
ALONGSIDE = ("--force", "budget-used", "--reason", "lanes side by side")
ON, OFF = ("updates", "on"), ("updates", "off")
RESTART = ("reboot", *ALONGSIDE)


@dataclass(frozen=True, slots=True)
class Lane:
    """Orders on the hosts of a scenario: the first once, the others in turn, as often as it takes."""

    scenario: str
    first: tuple[str, ...]
    then: tuple[tuple[str, ...], ...]


LANES = (
    Lane("behind", ("stage", NEW), (OFF, ON)),
    Lane("staged", ("activate", *ALONGSIDE), (RESTART, OFF, ON)),
    Lane("current", RESTART, (RESTART,)),
    Lane("rollback_available", ("roll-back", *ALONGSIDE), (RESTART, ON, OFF)),
    Lane("just_updated", ("channel", "beta"), (("channel", "stable"), ("channel", "beta"))),
)


def reader(demo: Demo) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(f"file:{demo.directory / 'demo.db'}?mode=ro", uri=True))


def has_ended(demo: Demo, order: str) -> bool:
    with reader(demo) as conn:
        return bool(
            conn.execute("SELECT ended_at IS NOT NULL FROM orders WHERE id = ?", (order,)).fetchone()[0]
        )


def carrier(demo: Demo, order: str) -> int | None:
    """The process that has taken the order up; None where it has ended before anybody was seen."""
    until = time.monotonic() + TAKEN_UP_S
    while time.monotonic() < until:
        with reader(demo) as conn:
            sql = "SELECT owner FROM leases WHERE name = ? AND expires_at > ''"
            row = conn.execute(sql, (f"order {order}",)).fetchone()
        if row is not None:
            return int(row[0].rpartition(" pid ")[2])
        if has_ended(demo, order):
            return None
        time.sleep(0.02)
    raise AssertionError(f"nobody has taken {order} up")


def give(demo: Demo, words: tuple[str, ...], hosts: list[str]) -> str:
    """An order that its own process carries out, detached."""
    confirmed = ("--yes", "--expect-hosts", str(len(hosts)), "--no-wait", "--json")
    document = json.loads(demo.run(*words, *hosts, *confirmed, code=None).stdout)
    return str(document["id"])


def kills(demo: Demo, order: str, chance: random.Random) -> Iterator[bool]:
    """Kill who carries an order out, again and again until it has ended; whether that came in time."""
    pid = carrier(demo, order)
    if pid is not None:
        time.sleep(LATEST_S * chance.random() ** 2)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            yield False
        else:
            yield True
    while not has_ended(demo, order):
        argv = [*FLEETCTL, "--fleet", str(demo.directory / "fleet.toml"), "run", order]
        with open(demo.directory / f"{order}.log", "ab") as log:
            process = subprocess.Popen(argv, env=PLAIN, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            process.wait(0.3 + LATEST_S * chance.random() ** 2)
        except subprocess.TimeoutExpired:
            process.kill()
        yield process.wait() == -signal.SIGKILL


def run_lane(demo: Demo, lane: Lane, chance: random.Random) -> list[str]:
    """Its orders, all ended."""
    hosts = [name for name, scenario in demo.scenarios.items() if scenario == lane.scenario]
    orders, killed = list[str](), 0
    for words in chain((lane.first,), cycle(lane.then)):
        orders.append(order := give(demo, words, hosts))
        for landed in kills(demo, order, chance):
            killed += landed
            if killed == KILLS:
                break
        if killed == KILLS:
            break
    while not has_ended(demo, orders[-1]):
        demo.run("run", orders[-1], code=None)
    return orders


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def check(demo: Demo, orders: list[str]) -> None:
    with reader(demo) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert conn.execute("SELECT * FROM orders WHERE ended_at IS NULL").fetchall() == []
        sql = "SELECT * FROM order_hosts WHERE phase IN ('planned', 'intent', 'sent', 'unknown')"
        assert conn.execute(sql).fetchall() == []
        assert {row[0] for row in conn.execute("SELECT id FROM orders WHERE after IS NULL")} == set(orders)
    demo.run("audit", "verify")
    record = json.loads(demo.run("audit", "log", "--json", "--limit", "10000").stdout)["record"]
    intents = Counter((row["order"], row["host"]) for row in record if row["event"] == "intent")
    ends = {(row["order"], row["host"]): row for row in record if row["event"] == "outcome"}
    assert set(intents.values()) == {1}
    assert intents.keys() <= ends.keys()
    bad = {
        key: row for key, row in ends.items() if (row["outcome"], row["code"]) != ("not sent", "not-arrived")
    }
    assert {row["outcome"] for row in bad.values()} == {"done"}, bad

    told = lines((demo.directory / "life.jsonl").read_text())
    happened = Counter((line["host"], line["what"]) for line in told)
    due = Counter(row["host"] for row in bad.values() if row["verb"] in REBOOTS)
    for host in demo.scenarios:
        assert happened[host, "reboot-asked"] == happened[host, "rebooted"] == due[host], host
    assert not {what for _, what in happened} & {"locksmithd-rebooted", "reboot-refused", "fell-back"}
    for shown in demo.status("--refresh")["hosts"]:
        assert shown["order"] is None
        assert shown["boot"]["confirmed"]


@pytest.mark.timeout(110)
def test_twenty_times_the_process_that_carries_an_order_out_is_killed(tmp_path: Path) -> None:
    counts = chain.from_iterable(("--scenario", f"{lane.scenario}=2") for lane in LANES)
    with served(tmp_path / "demo", *counts, "--speed", "60") as demo:
        demo.run("collect")
        with ThreadPoolExecutor(len(LANES)) as pool:
            runs = [
                pool.submit(run_lane, demo, lane, random.Random(SEED + number))
                for number, lane in enumerate(LANES)
            ]
            orders = [order for run in runs for order in run.result()]
        check(demo, orders)
