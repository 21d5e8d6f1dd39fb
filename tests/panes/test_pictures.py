"""Pictures of the whole dashboard, reviewed by eye: three sizes, bare and in colour, at one moment."""

from __future__ import annotations

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from console.app import FleetApp
from console.board import Look
from tests.panes.still import picture, still_fleet, until, walk

SIZES = ((80, 24), (120, 40), (200, 60))
PLACES = {
    "fleet": (),
    "folded": ("f",),
    "grouped": ("g",),
    "attention": ("exclamation_mark",),
    "reverted host": ("down", "down", "down"),
    "help": ("question_mark",),
    "command": ("colon", "t", "h"),
    "history": ("6",),
}


@pytest.fixture(scope="module")
def fleet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return still_fleet(tmp_path_factory.mktemp("still"))


def shown(fleet_file: Path, size: tuple[int, int], look: Look, keys: tuple[str, ...]) -> str:
    pictures: list[str] = []

    async def act(app: FleetApp, pilot: Pilot[int]) -> None:
        for key in keys:
            await pilot.press(key)
        await _until_still(app, pilot)
        pictures.append(picture(app))

    walk(fleet_file, size, look, act)
    return pictures[0]


async def _until_still(app: FleetApp, pilot: Pilot[int]) -> None:
    """Until the page of the host under the cursor is there, and nothing moves any more."""
    last: list[str] = []

    def is_still() -> bool:
        last.append(picture(app))
        return len(last) > 25 and len(set(last[-25:])) == 1

    await until(pilot, is_still)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("place", PLACES)
def test_picture(place: str, size: tuple[int, int], fleet_file: Path, snapshot: SnapshotAssertion) -> None:
    text = shown(fleet_file, size, Look(), PLACES[place])
    lines = text.splitlines()
    assert (len(lines), max(map(len, lines)) <= size[0]) == (size[1], True)
    assert text == snapshot


@pytest.mark.parametrize("place", ["fleet", "help", "history"])
def test_bare_picture(place: str, fleet_file: Path, snapshot: SnapshotAssertion) -> None:
    text = shown(fleet_file, (80, 24), Look(ascii=True, plain=True), PLACES[place])
    assert text.isascii()
    assert text == snapshot
