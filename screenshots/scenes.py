"""The dashboard's scenes: a size, a look, and the keys that lead there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.pilot import Pilot

from console.app import FleetApp
from console.board import Look
from console.cli.context import Console
from console.live import Live
from console.palette import COLOUR_BLIND, DARK, HIGH_CONTRAST, LIGHT, Palette

SETTLED_S = 0.7
"""After the last key: the page of a host is there by then."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture."""

    name: str
    width: int
    height: int
    keys: tuple[str, ...] = ()
    palette: Palette = DARK
    bare: bool = False
    """ASCII and without colour."""
    waits_s: float = SETTLED_S
    """After the last key, for what other processes tell."""


DOWN = ("down",)
FLEET_SCENES = (
    Scene("fleet", 160, 45, DOWN * 4),
    Scene("fleet-80", 80, 24, DOWN * 4),
    Scene("fleet-120", 120, 40, DOWN * 4),
    Scene("fleet-light", 160, 45, DOWN * 4, LIGHT),
    Scene("fleet-high-contrast", 160, 45, DOWN * 4, HIGH_CONTRAST),
    Scene("fleet-colour-blind", 160, 45, DOWN * 4, COLOUR_BLIND),
    Scene("fleet-80-bare", 80, 24, DOWN * 4, bare=True),
    Scene("fleet-folded", 120, 40, ("f", *DOWN * 30)),
    Scene("filter", 120, 40, ("slash", *"state:staged", "enter", "space", "down", "space")),
    Scene("host", 160, 45, (*DOWN * 3, "enter")),
    Scene("help", 120, 40, ("question_mark",)),
)
STAGED = ("u", "slash", *"state:staged or state:held", "enter", "M", "escape")
ORDER_SCENES = (
    Scene("confirm", 160, 45, (*STAGED, "a"), waits_s=8.0),
    Scene("confirm-80", 80, 24, (*STAGED, "a"), waits_s=8.0),
    Scene("orders", 160, 45, ("7", "down"), waits_s=2.0),
    Scene("orders-80", 80, 24, ("7", "down"), waits_s=2.0),
)
RUNNING_SCENE = Scene("rollout", 160, 45, ("2",), waits_s=2.0)
HALTED_SCENES = (
    Scene("rollout-halted", 160, 45, ("u", "2"), waits_s=2.0),
    Scene("rollout-halted-80", 80, 24, ("u", "2"), waits_s=2.0),
)
HISTORY_SCENES = (Scene("history", 160, 45, ("6", *("left",) * 6)), Scene("history-80", 80, 24, ("6",)))


async def drawn(fleet_file: Path, scene: Scene) -> str:
    """The screen as SVG."""
    live = Live(Console(fleet_file, "always", False), sweeps=True)
    look = Look(scene.palette, live.loaded.fleet.accent, ascii=scene.bare, plain=scene.bare)
    app = FleetApp(live, look)
    async with app.run_test(size=(scene.width, scene.height)) as pilot:
        await _settle(pilot)
        for key in scene.keys:
            await pilot.press(key)
        await pilot.pause(scene.waits_s)
        return app.export_screenshot(title=f"fleetctl {live.loaded.fleet.name}")


async def _settle(pilot: Pilot[int]) -> None:
    await pilot.pause(SETTLED_S)
