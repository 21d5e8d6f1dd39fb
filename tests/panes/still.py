"""The dashboard over a fleet that stands still: every scenario of the demo, one clock, no network.

Hosts answer the real probe; what they say goes the whole way through parsers, store and judge.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from textual.pilot import Pilot

from actions.collect import wishes
from actions.engine import instant, record
from collectors import store, tables
from collectors.errors import Reach
from collectors.feed_file import load_feed
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.parse.answer import parse_answer
from console.app import FleetApp
from console.board import Look
from console.cli.context import Console
from console.cli.reading import feed_path
from console.cli.sweeping import remember_extract
from console.demo.answers import answer
from console.demo.feed import releases_json
from console.demo.plan import PlannedHost, Reached, fleet_text, plan
from console.live import Live

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
NOW = START + timedelta(minutes=12)
MARK = "0123456789abcdef"
SALT = b"still"
UNANSWERED = {
    "silent": ProbeFailed("", NOW, Reach.TIMEOUT, "no answer within 15 s"),
    "auth_refused": ProbeFailed("", NOW, Reach.AUTH_FAILED, "does not let core in"),
    "key_unknown": ProbeFailed("", NOW, Reach.HOST_KEY_UNKNOWN, "its host key is not known"),
    "key_changed": ProbeFailed("", NOW, Reach.HOST_KEY_CHANGED, "host key changed"),
}


def seen(planned: PlannedHost, at: datetime, scenario: str | None = None) -> Observation:
    """What a look at one host brings."""
    missed = UNANSWERED.get(scenario or planned.scenario.name)
    if missed is not None:
        return ProbeFailed(planned.name, at, missed.reach, missed.detail)
    host = planned.build(START)
    return Answer(planned.name, at, parse_answer(answer(host, MARK, at), MARK, salt=SALT), 0.02)


def still_fleet(directory: Path) -> Path:
    """A fleet file whose database holds three sweeps; in the first no host had anything staged yet."""
    planned = plan(None, {})
    reached = [Reached(host, f"192.0.2.{number}", 22) for number, host in enumerate(planned, 1)]
    text = fleet_text(reached, key_file="key", known_hosts="known_hosts", feed_file="releases.json")
    file, feed_file = directory / "fleet.toml", directory / "releases.json"
    file.write_text(text)
    (directory / "known_hosts").touch()
    feed_file.write_text(json.dumps(releases_json(START)))
    os.utime(feed_file, (START.timestamp(), START.timestamp()))
    loaded = Console(file, "always", False).load()
    feed = load_feed(feed_path(loaded))
    with closing(store.open_writer(loaded.database_path)) as conn:
        for minute, calm in ((0, True), (6, False), (12, False)):
            at = START + timedelta(minutes=minute)
            looks = [
                seen(_calm(host) if calm else host, at, host.scenario.name if minute == 12 else "current")
                for host in planned
            ]
            record(conn, looks, wishes(loaded.fleet, {}), feed)
            answered = sum(isinstance(look, Answer) for look in looks)
            with store.transaction(conn):
                tables.put_sweep(conn, instant(at), instant(at), len(looks), answered)
        remember_extract(conn, loaded, feed)
    return file


def _calm(host: PlannedHost) -> PlannedHost:
    """The same machine before anything befell it."""
    (quiet,) = plan(None, {"behind": 1})
    return PlannedHost(host.name, host.group, host.site, quiet.scenario, host.flavour)


def walk(
    fleet_file: Path,
    size: tuple[int, int],
    look: Look,
    act: Callable[[FleetApp, Pilot[int]], Awaitable[None]],
) -> None:
    """Open the dashboard, let `act` use it, leave it."""

    async def run() -> None:
        live = Live(
            Console(fleet_file, "always", False), sweeps=False, clock=lambda: NOW + timedelta(seconds=14)
        )
        app = FleetApp(live, look)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.board is not None)
            await act(app, pilot)

    asyncio.run(run())


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    for _ in range(500):
        await pilot.pause(0.01)
        if holds():
            return
    raise AssertionError("has not come")


def picture(app: FleetApp) -> str:
    """The screen as text."""
    lines = ["".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()]
    return "\n".join(line.rstrip() for line in lines)
