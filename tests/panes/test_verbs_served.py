"""The dashboard's requests on hosts of a demo: what was planned is ordered, what moved meanwhile is not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from console.requests import RequestFailed, Requests
from tests.e2e.demo_fleet import Demo, served

NEW = "4593.2.5"


def ended(demo: Demo, order_id: str) -> dict[str, object]:
    """The order once it has ended; `run` waits for it."""
    found: dict[str, object] = json.loads(demo.run("run", order_id, "--json").stdout)
    return found


@pytest.mark.timeout(60)
def test_a_plan_is_ordered_as_it_was_shown_or_not_at_all(tmp_path: Path) -> None:
    with served(tmp_path / "demo", "--scenario", "behind=3", "--speed", "120") as demo:
        demo.run("collect")
        hosts = sorted(demo.scenarios)
        requests = Requests(demo.directory / "fleet.toml")

        plan = asyncio.run(requests.plan("stage", hosts, [f"--to={NEW}"]))
        assert plan["counts"] == {"planned": 3}
        order = asyncio.run(requests.order("stage", hosts, [f"--to={NEW}"], plan["plan_digest"]))
        assert order["plan_digest"] == plan["plan_digest"]
        assert ended(demo, order["id"])["counts"] == {"done": 3}

        two = hosts[:2]
        plan = asyncio.run(requests.plan("activate", two, []))
        demo.run("activate", two[0], "--yes")
        orders = demo.run("run").stdout
        moved = f"the plan is not the one that was approved: {two[0]} moved; look at it again"
        with pytest.raises(RequestFailed, match=moved):
            asyncio.run(requests.order("activate", two, [], plan["plan_digest"]))
        assert demo.run("run").stdout == orders, "nothing was ordered"

        assert (
            asyncio.run(requests.run_plain("hold", two, ["--reason=--all"])) == "hold: 2 hosts, held, --all"
        )
        plan = asyncio.run(requests.plan("reboot", two, []))
        assert plan["counts"] == {"refused": 2}
        with pytest.raises(RequestFailed, match=r"^no host|means no host|unknown host"):
            asyncio.run(requests.plan("reboot", ["nobody"], []))
