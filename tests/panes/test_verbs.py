"""Verbs in the whole dashboard: locked and unlocked, which hosts are meant, and what is asked for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from actions.orders import Asked, Verb
from console.app import FleetApp
from console.keys import ACTIONS, Home
from console.ordering_lock import IDLE_S, PAST, READ_ONLY
from console.screens.command_line import CommandLine
from tests.panes.confirm_stand import (
    Clock,
    FakeRequests,
    Json,
    dry_run,
    head,
    lab_in,
    opened,
    said,
    walk,
)
from tests.panes.still import picture, still_fleet, until
from tests.unit.order_lab import OrderLab, use_lab_time

__all__ = ["use_lab_time"]


@pytest.fixture(scope="module")
def fleet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return still_fleet(tmp_path_factory.mktemp("still"))


@pytest.fixture
def lab(tmp_path: Path, use_lab_time: Callable[[OrderLab], OrderLab]) -> OrderLab:
    return use_lab_time(lab_in(tmp_path, "staged", "staged", "staged", "held"))


@pytest.fixture
def plan(lab: OrderLab) -> Json:
    """Three hosts that may be activated, and one that may not."""
    return dry_run(lab, Asked(Verb.ACTIVATE))


# Locked


def test_locked_no_key_of_a_verb_does_anything(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        assert "read-only" in head(app)
        await pilot.press("s", "a", "b", "c", "ctrl+g", "enter")
        assert app.dialog is None
        assert not isinstance(app.screen, CommandLine)
        assert requests.plans == []
        await pilot.press("escape")
        assert "u unlock to change" in picture(app)
        assert "s stage  a activate" not in picture(app)

    walk(fleet_file, requests, act)


@pytest.mark.parametrize(
    "name", [action.name for action in ACTIONS if action.dangerous and action.home is Home.HOSTS]
)
def test_asked_for_by_name_a_locked_verb_says_so(fleet_file: Path, plan: Json, name: str) -> None:
    requests = FakeRequests(plan)
    argument = {"channel": " beta", "updates": " off", "hold": " ops-7", "pin": " 4593.2.5 ops-7"}.get(
        name, ""
    )

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("colon", *(f"{name}{argument}"), "enter")
        await until(pilot, lambda: said(app) == READ_ONLY)
        palette = {words: done for words, _, done in app.palette_items()}
        app.say("")
        palette[name]()
        await until(pilot, lambda: said(app) == READ_ONLY)
        await app.ask_verb("activate", ["db-fra-1"], [])
        assert app.dialog is None
        assert requests.plans == requests.plain == []

    walk(fleet_file, requests, act)


# Unlocked


def test_u_unlocks_and_locks_and_says_so(fleet_file: Path, plan: Json) -> None:
    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u")
        assert "UNLOCKED 5 min" in head(app)
        assert "s stage  a activate" in picture(app)
        await pilot.press("u")
        assert "UNLOCKED" not in head(app)
        assert "s stage  a activate" not in picture(app)

    walk(fleet_file, FakeRequests(plan), act)


def test_it_locks_itself_when_nobody_presses_a_key(fleet_file: Path, plan: Json) -> None:
    clock = Clock()

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u")
        clock.now += timedelta(seconds=IDLE_S - 30)
        await until(pilot, lambda: "UNLOCKED under 1 min" in head(app))
        await pilot.press("down")
        await until(pilot, lambda: "UNLOCKED 5 min" in head(app))
        clock.now += timedelta(seconds=IDLE_S)
        await until(pilot, lambda: said(app).startswith("locked again after 5 min"))
        assert "read-only" in head(app)
        await pilot.press("a")
        assert app.dialog is None

    walk(fleet_file, FakeRequests(plan), act, clock=clock)


def test_a_key_after_the_time_unlocks_nothing(fleet_file: Path, plan: Json) -> None:
    clock = Clock()

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u")
        clock.now += timedelta(seconds=IDLE_S)
        await pilot.press("a")
        assert app.dialog is None
        assert "UNLOCKED" not in head(app)

    walk(fleet_file, FakeRequests(plan), act, clock=clock)


def test_in_the_past_nothing_is_unlocked_and_going_there_locks(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "colon", *"at 5m ago", "enter")
        await until(pilot, lambda: app.past is not None)
        assert "UNLOCKED" not in head(app)
        await pilot.press("u", "a")
        assert said(app) == PAST
        assert app.dialog is None
        await app.ask_verb("activate", ["db-fra-1"], [])
        assert (app.dialog, requests.plans) == (None, [])
        await pilot.press("escape")
        await until(pilot, lambda: app.past is None)
        assert "read-only" in head(app)

    walk(fleet_file, requests, act)


def test_letters_of_a_filter_are_no_verbs(fleet_file: Path, plan: Json) -> None:
    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "slash", *"sabcu")
        assert app.fleet.query_one(Input).value == "sabcu"
        assert app.dialog is None
        assert "UNLOCKED" in head(app)

    walk(fleet_file, FakeRequests(plan), act)


# Which hosts, and what is asked for


def test_marks_else_the_host_under_the_cursor_else_the_open_host(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        under = app.fleet.chosen
        await opened(app, pilot, "a")
        await pilot.press("escape", "space", "down", "space")
        marks = tuple(sorted(app.fleet.marks))
        await pilot.press("down", "s")
        await until(pilot, lambda: len(requests.plans) == 2)
        await pilot.press("escape", "enter")
        await until(pilot, lambda: app.host_screen is not None)
        host = app.host_screen.host if app.host_screen else ""
        await pilot.press("b")
        await until(pilot, lambda: len(requests.plans) == 3)
        assert requests.plans == [
            ("activate", (under,), ()),
            ("stage", marks, ()),
            ("roll-back", (host,), ()),
        ]
        assert len(marks) == 2
        assert host not in marks

    walk(fleet_file, requests, act)


def test_a_typed_verb_passes_its_options(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "colon", *'activate --at-once 3 --force window --reason "ops 7"', "enter")
        await until(pilot, lambda: bool(requests.plans))
        assert requests.plans[0][2] == ("--at-once=3", "--force=window", "--reason=ops 7")
        await pilot.press("escape", "colon", *"stage 4593.2.5", "enter")
        await until(pilot, lambda: len(requests.plans) == 2)
        assert requests.plans[1][2] == ("--to=4593.2.5",)
        await pilot.press("escape", "colon", *"stage --yes", "enter")
        await until(pilot, lambda: "--yes is not for here" in picture(app))
        assert len(requests.plans) == 2

    walk(fleet_file, requests, act)


def test_what_a_verb_needs_is_asked_for_on_the_line(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "c", *"beta", "enter")
        await until(pilot, lambda: bool(requests.plans))
        assert requests.plans[0][::2] == ("channel", ("beta",))

    walk(fleet_file, requests, act)


def test_what_sends_nothing_is_done_at_once(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "colon", *"hold ops-7 --all", "enter")
        await until(pilot, lambda: said(app).endswith("held, ops-7"))
        assert requests.plain == [("hold", (app.fleet.chosen,), ("--reason=ops-7 --all",))]
        await pilot.press("colon", *"unhold", "enter")
        await until(pilot, lambda: len(requests.plain) == 2)
        assert requests.plans == []

    walk(fleet_file, requests, act)
