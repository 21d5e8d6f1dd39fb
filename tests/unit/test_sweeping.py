"""What is judged again when a sweep ends and the fleet file or feed is new: hosts it did not look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actions.collect import wishes
from actions.engine import record, rejudge
from collectors import store, tables
from collectors.fleet_file import load_fleet
from console.cli import sweeping
from tests.builders import HEALTHY, NOW, answer, feed

FEED = feed("4593.2.4", "4593.2.5")
FLEET = """[[groups]]
name = "edge"
hosts = ["a", "b", "c"]
channel = "stable"
"""


def test_only_hosts_that_were_not_just_judged_are_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def noted(conn: object, hosts: list[str], wanted: object, known: object) -> None:
        asked.append(sorted(hosts))

    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    loaded = load_fleet(file)
    conn = store.open_writer(loaded.database_path)
    clones = [answer(HEALTHY, host=host, at=NOW) for host in ("a", "b")]
    own = replace(HEALTHY, identity=replace(HEALTHY.identity, machine_id="c" * 32))
    record(conn, [*clones, answer(own, host="c", at=NOW)], wishes(loaded.fleet, {}), FEED)
    before = tables.all_hosts(conn)
    rejudge(conn, before, wishes(loaded.fleet, {}), FEED)
    assert tables.all_hosts(conn) == before, "judging what a sweep just wrote changes nothing"

    monkeypatch.setattr(sweeping, "rejudge", noted)
    sweeping.remember_extract(conn, loaded, FEED, just_judged={"a", "b"})
    sweeping.remember_extract(conn, loaded, FEED, just_judged={"a", "b"})
    file.write_text(FLEET.replace("stable", "beta"))
    sweeping.remember_extract(conn, load_fleet(file), FEED)
    assert asked == [["c"], ["a", "b", "c"]]
    conn.close()
