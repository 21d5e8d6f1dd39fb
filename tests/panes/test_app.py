"""The whole dashboard: what changes in the store is on the screen, whether or not a key is pressed."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from actions.collect import wishes
from actions.engine import record
from collectors import store
from collectors.feed_file import load_feed
from console.app import FleetApp
from console.board import Look
from console.cli.context import Console
from console.cli.reading import feed_path
from console.demo.plan import plan
from tests.panes.still import NOW, picture, seen, still_fleet, until, walk

CHANGED = "db-fra-6"
"""The host whose key changed: the first of all, so that the cursor stands on it."""


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    return still_fleet(tmp_path)


def answers_again(fleet_file: Path) -> None:
    """One more look at the host, which answers now."""
    loaded = Console(fleet_file, "always", False).load()
    (host,) = (host for host in plan(None, {}) if host.name == CHANGED)
    look = seen(host, NOW + timedelta(seconds=10), "current")
    with closing(store.open_writer(loaded.database_path)) as conn:
        record(conn, [look], wishes(loaded.fleet, {}), load_feed(feed_path(loaded)))


@pytest.mark.parametrize("keys", [(), ("enter",)], ids=["panel", "host screen"])
def test_what_befalls_the_host_under_a_still_cursor_is_told(fleet_file: Path, keys: tuple[str, ...]) -> None:
    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("down", "up", *keys)  # whoever touched the table stays on the host
        await until(pilot, lambda: "10:32  ≠  its host key changed" in picture(app))
        answers_again(fleet_file)
        await until(pilot, lambda: "answers again" in picture(app))

    walk(fleet_file, (160, 45), Look(), act)
