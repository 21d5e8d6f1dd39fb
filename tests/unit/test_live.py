"""What the dashboard is told: who asks, in any time zone; what it asks of a host that is gone."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from actions.engine import instant
from actions.watch import SWEEPER
from collectors import store, tables
from collectors.errors import ConfigError
from console.cli.context import Console
from console.live import Live

NOW = datetime(2026, 8, 20, 3, 12, tzinfo=UTC)
ZONES = [timezone(timedelta(hours=hours)) for hours in (-9, 0, 2, 13)]
FLEET = 'name = "prod"\ndatabase = "prod.db"\n[ssh]\nconfig = "none"\n[[hosts]]\nname = "edge-01"\n'


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    file = tmp_path / "fleet.toml"
    file.write_text(FLEET)
    store.open_writer(tmp_path / "prod.db").close()
    return file


def live_at(fleet_file: Path, now: datetime) -> Live:
    return Live(Console(fleet_file, "never", False), sweeps=False, clock=lambda: now)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(("left_s", "words"), [(30, "asked by console-2 pid 811"), (-30, "nobody asks")])
def test_who_asks_is_told_in_every_time_zone(
    fleet_file: Path, zone: timezone, left_s: int, words: str
) -> None:
    with closing(store.open_writer(fleet_file.with_name("prod.db"))) as conn, store.transaction(conn):
        until = instant(NOW + timedelta(seconds=left_s))
        tables.take_lease(conn, SWEEPER, "console-2 pid 811", instant(NOW - timedelta(minutes=1)), until)
    live = live_at(fleet_file, NOW.astimezone(zone))
    assert asyncio.run(live.board()).sweeping.words == words
    live.close()


def test_a_host_that_left_the_fleet_file_is_not_asked(fleet_file: Path) -> None:
    live = live_at(fleet_file, NOW)
    with pytest.raises(ConfigError, match="names no host edge-02 any more"):
        asyncio.run(live.asking.log(live.loaded, "edge-02"))
    live.close()


def test_a_wish_too_long_for_the_system_is_answered(fleet_file: Path) -> None:
    live = live_at(fleet_file, NOW)
    assert asyncio.run(live.ask(["x" * 4_000_000])) == "nobody was asked: Argument list too long"
    live.close()
