"""`fleetctl` on a fleet of eight that was seen just now, in a store made by hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actions import rollout_tables
from actions.collect import stored_wishes
from actions.engine import instant, record
from actions.rollout_model import Rollout
from collectors import store
from collectors.facts import Identity, UpdateConf
from collectors.feed_file import load_feed
from collectors.fleet_file import load_fleet
from console.cli.main import run
from tests.builders import HEALTHY, answer, facts

FLEET = """name = "prod"
database = "prod.db"
[ssh]
config = "none"
[[groups]]
name = "canary"
hosts = ["edge-[1-2]"]
labels = { zone = "a" }
[[groups]]
name = "work"
hosts = ["node-[1-6]"]
labels = { zone = "b" }
[windows.night]
start = "02:00"
length = "3h"
timezone = "Europe/Berlin"
[rollouts.default]
cohorts = [{ name = "canary", hosts = "@canary", soak = "1h" }, { name = "rest", hosts = "rest" }]
budget = 2
tolerance = 1
[rollouts.gated]
cohorts = [{ name = "all", hosts = "rest" }]
gates = [{ name = "up", kind = "prometheus", query = "up" }]
"""


@dataclass
class Console:
    """A fleet of eight, seen just now, and fleetctl on it."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    started: list[str] = field(default_factory=list)
    """Rollouts whose runner would have been started."""

    @property
    def database(self) -> Path:
        return self.folder / "prod.db"

    def __call__(self, *words: str, code: int = 0) -> str:
        """What a command says on stdout."""
        found = run(["--fleet", str(self.folder / "fleet.toml"), *words])
        self.out, self.err = self.capsys.readouterr()
        assert found == code, self.out + self.err
        return self.out

    def change(self, work: Callable[[Any], object]) -> None:
        with closing(store.open_writer(self.database)) as conn, store.transaction(conn):
            work(conn)

    def plan(self, *words: str) -> str:
        """A draft's name."""
        told = json.loads(self("rollout", "plan", "--all", "--to", "4593.2.5", "--json", *words))
        assert told["stored"]
        return str(told["id"])

    def state(self, rollout_id: str) -> Rollout:
        with closing(store.open_reader(self.database)) as conn:
            found = rollout_tables.state_of(conn, rollout_id)
        assert found is not None
        return found

    def put(self, rollout_id: str, **changed: Any) -> None:
        """A rollout in another state, as its runner would have left it."""

        def save(conn: Any) -> None:
            plan, was = rollout_tables.plan_of(conn, rollout_id), rollout_tables.state_of(conn, rollout_id)
            assert plan is not None
            assert was is not None
            rollout_tables.put_approver(conn, rollout_id, rollout_tables.newest_rollouts(conn, 1)[0].actor)
            rollout_tables.save_rollout(conn, plan, was, replace(was, **changed), instant(datetime.now(UTC)))

        self.change(save)


def console_in(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Console:
    (tmp_path / "fleet.toml").write_text(FLEET)
    loaded = load_fleet(tmp_path / "fleet.toml")
    with closing(store.open_writer(loaded.database_path)) as conn:
        looks = []
        for number, host in enumerate(loaded.fleet.hosts):
            told = facts(
                identity=Identity(machine_id=f"{number:032x}", boot_id="b", install="i", arch="amd64"),
                os=replace(HEALTHY.os, version="4593.2.3", version_id="4593.2.3"),
                conf=UpdateConf(server="disabled"),
            )
            looks.append(answer(told, host=host.name, at=datetime.now(UTC)))
        record(conn, looks, stored_wishes(conn, loaded.fleet), load_feed(None))
    made = Console(tmp_path, capsys)

    def start_runner(fleet_file: Path, database: Path, rollout_id: str, *options: str) -> object:
        made.started.append(rollout_id)
        ended = subprocess.Popen(["true"])
        ended.wait()
        return ended

    monkeypatch.setattr("console.cli.following.start_runner", start_runner)
    monkeypatch.setattr("console.cli.rollout_asking.ANSWERED_S", 0.3)
    monkeypatch.setattr("console.cli.rollout_shared.TAKEN_UP_S", 0.0)
    return made
