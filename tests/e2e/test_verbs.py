"""The whole way of a release over real SSH: staged, activated, rolled back, with the hosts' own proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.demo_fleet import Demo, served

NEW = "4593.2.5"


def hosts(demo: Demo) -> dict[str, dict[str, Any]]:
    return {host["name"]: host for host in demo.status("--refresh")["hosts"]}


def record(demo: Demo) -> list[dict[str, Any]]:
    shown = demo.run("audit", "log", "--json", "--limit", "1000").stdout
    found: list[dict[str, Any]] = json.loads(shown)["record"]
    return found


def give(demo: Demo, *words: str, count: int, code: int = 0) -> dict[str, Any]:
    done = demo.run(*words, "--yes", "--expect-hosts", str(count), "--json", code=code)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(120)
def test_a_release_goes_out_and_comes_back(tmp_path: Path) -> None:
    with served(tmp_path / "demo", "--scenario", "behind=12", "--speed", "60") as demo:
        demo.run("collect")
        before = hosts(demo)
        shown = demo.run("stage", NEW, "--all", "--dry-run").stdout
        planned = dict(
            line.split(": ", 1) for line in shown.splitlines() if ": fleetctl-order-stage/1 " in line
        )
        assert set(planned) == set(before)

        staged = give(demo, "stage", NEW, "--all", count=12)
        assert staged["counts"] == {"done": 12}
        sent = {row["host"]: row["command"] for row in record(demo) if row["event"] == "intent"}
        assert sent == planned
        names = list(before)
        activated = give(demo, "activate", "--all", "--at-once", "12", count=12)
        assert activated["counts"] == {"done": 12}

        after = hosts(demo)
        for name, was in before.items():
            now = after[name]
            assert now["os"]["version_id"] == NEW != was["os"]["version_id"]
            assert now["slots"]["running"] != was["slots"]["running"]
            assert now["boot"]["confirmed"] is True
            assert now["boot"]["id"] != was["boot"]["id"]

        back = names[:3]
        assert give(demo, "roll-back", *back, "--at-once", "3", count=3)["counts"] == {"done": 3}
        assert give(demo, "channel", "beta", *names[3:5], count=2)["counts"] == {"done": 2}
        last = hosts(demo)
        for name in back:
            assert last[name]["os"]["version_id"] == before[name]["os"]["version_id"]
            assert last[name]["update"]["mode"] == "off"
            assert last[name]["boot"]["confirmed"] is True
        assert [last[name]["update"]["group"] for name in names[3:6]] == ["beta", "beta", "stable"]
        listed = json.loads(demo.run("quarantine", "list", "--json").stdout)["quarantined"]
        assert sorted((item["host"], item["version"]) for item in listed) == sorted(
            (name, NEW) for name in back
        )
        refused = json.loads(demo.run("stage", NEW, back[0], "--dry-run", "--json", code=4).stdout)
        assert "quarantined" in [item["code"] for item in refused["hosts"][0]["refusals"]]

        demo.run("audit", "verify")
        export = tmp_path / "record.jsonl"
        export.write_bytes(demo.run("audit", "export").stdout.encode())
        demo.run("audit", "verify", str(export))
        spoiled = bytearray(export.read_bytes())
        spoiled[len(spoiled) // 2] ^= 1
        export.write_bytes(spoiled)
        demo.run("audit", "verify", str(export), code=1)
