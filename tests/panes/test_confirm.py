"""The confirmation over the whole dashboard: plan, order, and every way out."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from textual.pilot import Pilot

from actions.orders import Asked, Verb
from console.app import FleetApp
from console.ordering_lock import IDLE_S
from console.panes.foot import Foot
from tests.panes.confirm_stand import (
    Clock,
    FakeRequests,
    Json,
    dry_run,
    head,
    lab_in,
    many,
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


@pytest.fixture
def one(lab: OrderLab) -> Json:
    return dry_run(lab, Asked(Verb.ACTIVATE), "lab-1")


# The confirmation


def test_it_is_there_before_the_plan_and_esc_gives_the_plan_up(fleet_file: Path, plan: Json) -> None:
    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        requests.gate = asyncio.Event()
        await pilot.press("u", "a")
        assert "asking 1 host…" in picture(app)
        await pilot.press("ctrl+g", "1", "escape")
        await until(pilot, lambda: requests.given_up == 1)
        assert app.dialog is None
        assert requests.orders == []

    requests = FakeRequests(plan)
    walk(fleet_file, requests, act)


def test_the_number_and_the_key_give_the_order(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        requests.order_gate = asyncio.Event()
        await opened(app, pilot, "a")
        await pilot.press("ctrl+g", "4", "ctrl+g", "backspace", "3", "ctrl+g", "ctrl+g")
        await until(pilot, lambda: "placing the order…" in picture(app))
        await pilot.press("enter")
        assert app.dialog is not None
        requests.order_gate.set()
        await until(pilot, lambda: app.dialog is None)
        assert said(app) == "o-tp0u9cbiskr: activate on 3 hosts goes on by itself; 7 shows it"
        hosts = tuple(host["host"] for host in plan["hosts"] if host["phase"] == "planned")
        assert requests.orders == [("activate", hosts, (), plan["plan_digest"])]

    walk(fleet_file, requests, act)


def test_one_host_needs_the_key_alone(fleet_file: Path, one: Json) -> None:
    requests = FakeRequests(one)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "a")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.dialog is None)
        assert [order[1] for order in requests.orders] == [("lab-1",)]

    walk(fleet_file, requests, act)


def test_an_order_that_is_left_goes_on_and_is_told(fleet_file: Path, one: Json) -> None:
    requests = FakeRequests(one)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        requests.order_gate = asyncio.Event()
        await opened(app, pilot, "a")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: bool(requests.orders))
        await pilot.press("escape")
        assert app.dialog is None
        requests.order_gate.set()
        await until(pilot, lambda: said(app).startswith("o-tp0u9cbiskr: activate on 1 host"))

    walk(fleet_file, requests, act)


@pytest.mark.parametrize("problem", ["", "lab-1 moved"])
def test_an_order_that_was_left_leaves_the_next_dialog(fleet_file: Path, one: Json, problem: str) -> None:
    requests = FakeRequests(one, order_problem=problem)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        requests.order_gate = asyncio.Event()
        await opened(app, pilot, "a")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: bool(requests.orders))
        await pilot.press("escape", "a")
        await until(pilot, lambda: app.dialog is not None and app.dialog.dialog.plan is not None)
        second = app.dialog
        requests.order_gate.set()
        foot = app.screen_stack[0].query_one(Foot)
        await until(pilot, lambda: foot.said.startswith(problem or "o-tp0u9cbiskr"))
        assert app.dialog is second is not None
        assert second.dialog.problem == ""
        assert "ctrl+g does it" in picture(app)

    walk(fleet_file, requests, act)


def test_a_refused_order_is_a_sentence_in_the_dialog(fleet_file: Path, one: Json) -> None:
    requests = FakeRequests(one, order_problem="the plan is not the one that was approved: lab-1 moved")

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "a")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "approved: lab-1 moved" in picture(app))
        await pilot.press("ctrl+g")
        assert "Close" in picture(app)
        await pilot.press("enter")
        assert app.dialog is None
        assert len(requests.orders) == 1

    walk(fleet_file, requests, act)


@pytest.mark.parametrize("problem", ["the database is locked", "no plan was made: fleetctl ended with 9"])
def test_a_plan_that_fails_is_a_sentence(fleet_file: Path, problem: str) -> None:
    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "a")
        await until(pilot, lambda: problem in picture(app))
        await pilot.press("enter")
        assert app.dialog is None

    walk(fleet_file, FakeRequests(problem), act)


def test_a_document_of_another_kind_is_a_sentence(fleet_file: Path) -> None:
    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "a")
        await until(pilot, lambda: "the plan cannot be read" in picture(app))

    walk(fleet_file, FakeRequests({"schema": "fleetctl.order/1"}), act)


def test_an_open_dialog_that_is_left_alone_closes_with_a_sentence(fleet_file: Path, plan: Json) -> None:
    clock, requests = Clock(), FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "a")
        await pilot.press("3")
        clock.now += timedelta(seconds=IDLE_S)
        await until(pilot, lambda: app.dialog is None)
        assert said(app) == "locked again after 5 min without a key: nothing was ordered; u unlocks"
        assert requests.orders == []

    walk(fleet_file, requests, act, clock=clock)


def test_the_confirming_key_after_the_time_orders_nothing(fleet_file: Path, one: Json) -> None:
    clock, requests = Clock(), FakeRequests(one)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "a")
        clock.now += timedelta(seconds=IDLE_S)
        await pilot.press("ctrl+g")
        await until(pilot, lambda: app.dialog is None)
        assert requests.orders == []
        assert "nothing was ordered" in said(app)

    walk(fleet_file, requests, act, clock=clock)


def test_keys_scroll_and_none_gets_past_the_dialog(fleet_file: Path, lab: OrderLab) -> None:
    requests = FakeRequests(many(lab, 20))

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await opened(app, pilot, "a")
        assert "what cannot be undone" not in picture(app)
        first = picture(app)
        await pilot.press("end")
        await until(pilot, lambda: picture(app) != first)
        await pilot.press("home")
        await until(pilot, lambda: picture(app) == first)
        await pilot.press("tab")
        await until(pilot, lambda: picture(app) != first)
        await pilot.press("6", "colon", "slash", "question_mark", "ctrl+p", "u", "p", "space")
        assert app.dialog is app.screen
        assert app.mode == "fleet"
        assert not app.is_frozen
        assert "UNLOCKED" in head(app)

    walk(fleet_file, requests, act, size=(80, 24))


@pytest.mark.parametrize("seed", range(3))
def test_no_printable_keys_and_enters_ever_order(fleet_file: Path, plan: Json, one: Json, seed: int) -> None:
    """Whatever is hit in haste on an unlocked dashboard, with a dialog open or not."""
    rng = random.Random(seed)
    requests = FakeRequests(one if seed % 2 else plan)
    keys = [*"0123456789abcsvxyMNfgio!", "enter", "space", "enter", "tab", "down", "f2", "backspace"]

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u")
        for _ in range(6):
            await pilot.press(*rng.choices(keys, k=8))
            if rng.random() < 0.3:
                await pilot.press("escape", "escape")
        assert requests.orders == []

    walk(fleet_file, requests, act)


def test_keys_pressed_in_a_burst_are_for_the_dialog(fleet_file: Path, plan: Json) -> None:
    requests = FakeRequests(plan)

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        await pilot.press("u", "a", "6", "1", "enter")
        await pilot.pause()
        assert app.mode == "fleet"
        assert app.dialog is None
        assert requests.orders == []

    walk(fleet_file, requests, act)
