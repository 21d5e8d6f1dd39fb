"""Pictures of the confirmation over the dashboard, and of a dashboard that is unlocked, reviewed by eye."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from actions.orders import Asked, Verb
from console.app import FleetApp
from console.board import Look
from console.cli.context import Console
from console.live import Live
from tests.panes.confirm_stand import FakeRequests, Json, dry_run, lab_in, many, renamed
from tests.panes.still import NOW, picture, still_fleet, until
from tests.unit.order_lab import OrderLab, use_lab_time

__all__ = ["use_lab_time"]

SIZES = ((80, 24), (120, 40), (200, 60))
NAMES = {"lab-1": "edge-ams-01", "lab-2": "edge-fra-03", "lab-3": "k8s-fra-w01", "lab-4": "vault-fra-01"}
LONG_NUMBER = re.compile(r"[0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
size_of = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture(scope="module")
def fleet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return still_fleet(tmp_path_factory.mktemp("still"))


@pytest.fixture
def plans(tmp_path: Path, use_lab_time: Callable[[OrderLab], OrderLab]) -> dict[str, Json]:
    lab = use_lab_time(lab_in(tmp_path, "staged", "staged", "held", "degraded"))
    whole = renamed(dry_run(lab, Asked(Verb.ACTIVATE)), NAMES)
    stage = dry_run(lab, Asked(Verb.STAGE, version="4593.2.5"), "lab-4")
    return {
        "mixed": whole,
        "refused": whole | {"hosts": whole["hosts"][2:]},
        "one": renamed(stage, NAMES),
        "many": many(lab, 14),
    }


def shown(fleet_file: Path, plan: Json, size: tuple[int, int], look: Look, keys: tuple[str, ...]) -> str:
    async def run() -> str:
        live = Live(Console(fleet_file, "always", False), sweeps=False, clock=lambda: NOW)
        app = FleetApp(live, look, FakeRequests(plan))
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: app.board is not None and app.fleet.chosen is not None)
            await pilot.press("u")
            names = [host["host"] for host in plan["hosts"]]
            await app.ask_verb(plan["verb"], names, [])
            await until(pilot, lambda: app.dialog is not None and app.dialog.dialog.plan is not None)
            await pilot.press(*keys)
            last: list[str] = []

            def is_still() -> bool:
                last.append(picture(app))
                return len(last) > 25 and len(set(last[-25:])) == 1

            await until(pilot, is_still)
            return LONG_NUMBER.sub(lambda found: "0" * len(found[0]), picture(app))

    return asyncio.run(run())


@size_of
@pytest.mark.parametrize("name", ["mixed", "refused", "one", "many"])
def test_picture(
    name: str, size: tuple[int, int], fleet_file: Path, plans: dict[str, Json], snapshot: SnapshotAssertion
) -> None:
    text = shown(fleet_file, plans[name], size, Look(), ())
    lines = text.splitlines()
    assert (len(lines), max(map(len, lines)) <= size[0]) == (size[1], True)
    assert text == snapshot


@pytest.mark.parametrize("keys", [(), ("2",), ("v",), ("2", "ctrl+g")], ids=["", "typed", "full", "placed"])
def test_bare_picture(
    keys: tuple[str, ...], fleet_file: Path, plans: dict[str, Json], snapshot: SnapshotAssertion
) -> None:
    text = shown(fleet_file, plans["mixed"], (80, 24), Look(ascii=True, plain=True), keys)
    assert text.isascii()
    assert text == snapshot


@size_of
def test_unlocked_picture(
    size: tuple[int, int], fleet_file: Path, plans: dict[str, Json], snapshot: SnapshotAssertion
) -> None:
    lines = shown(fleet_file, plans["one"], size, Look(), ("escape",)).splitlines()
    assert "UNLOCKED 5 min" in lines[0]
    assert "\n".join([*lines[:2], lines[-1]]) == snapshot
