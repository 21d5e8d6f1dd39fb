"""Pictures of what fleetctl prints and of its dashboard, made from the demo fleet.

SVG, and PNG with rsvg-convert, pngquant and the DejaVu fonts installed.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from scenes import (  # noqa: E402 - beside this script
    FLEET_SCENES,
    HALTED_SCENES,
    HISTORY_SCENES,
    ORDER_SCENES,
    RUNNING_SCENE,
    Scene,
    drawn,
)

FONT = "DejaVu Sans Mono"
CELL_WIDTH, FONT_ADVANCE = 12.2, 1233 / 2048
"""Rich's cell in px; how wide a character of the font is for its size."""
_INK, _PALE = (200, 210, 220), (125, 139, 154)
_BAD, _WARN, _MOVING, _CHOSEN, _ACCENT = (
    (250, 106, 112),
    (251, 173, 20),
    (79, 157, 252),
    (240, 180, 244),
    (79, 208, 195),
)
THEME = TerminalTheme(
    (16, 20, 26),
    _INK,
    [(43, 54, 67), _BAD, _ACCENT, _WARN, _MOVING, _CHOSEN, _ACCENT, _INK],
    [_PALE, _BAD, (156, 196, 176), (221, 210, 161), _MOVING, _CHOSEN, _ACCENT, (244, 247, 250)],
)
"""The sixteen colours in the dashboard's dark tones."""
HISTORY_S = 75.0
SCENES = {
    "status": (["status"], 116),
    "status-80": (["status", "needs:attention"], 80),
    "show": (["show", "edge-fra-03"], 100),
}


def fleetctl(*words: str, width: int = 100) -> str:
    """What a command prints in colour."""
    argv = [sys.executable, "-m", "console.cli", *words]
    environment = {"COLUMNS": str(width), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    run = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=HERE.parent)
    return run.stdout


def picture(name: str, text: str, width: int) -> None:
    """One SVG that loads nothing from elsewhere, and its PNG."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    save(name, console.export_svg(title=f"fleetctl {name.partition('-')[0]}", theme=THEME))


def save(name: str, svg: str) -> None:
    """An SVG as Rich draws it, made to load nothing, and its PNG."""
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL).replace("Fira Code", FONT)
    # A cell is 12.2 wide: the font at 20 px is narrower, and viewers that pass over textLength would drift.
    svg = svg.replace("font-size: 20px", f"font-size: {CELL_WIDTH / FONT_ADVANCE:.3f}px")
    # Some viewers drop blanks at the ends of a text unless they are told not to.
    svg = svg.replace("<text ", '<text xml:space="preserve" ')
    path = HERE / f"{name}.svg"
    path.write_text(svg)
    png = str(path.with_suffix(".png"))
    if shutil.which("rsvg-convert"):
        subprocess.run(["rsvg-convert", "-o", png, str(path)], check=True)
        if shutil.which("pngquant"):
            subprocess.run(["pngquant", "--force", "--output", png, "64", png], check=True)


@contextmanager
def served(*options: str) -> Iterator[Path]:
    """A demo fleet, until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [sys.executable, "-m", "console.cli", "demo", "--serve", folder, *options]
        server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
        try:
            assert server.stdout is not None
            server.stdout.readline()
            yield Path(folder)
        finally:
            server.terminate()
            server.wait()


def swept(fleet_file: Path, seconds: float) -> None:
    """A fleet whose hosts live quickly, seen again and again for a while."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fleetctl("--fleet", str(fleet_file), "collect")


def orders() -> None:
    """An order that was refused, one that stopped after a host that fell back, and the next one asked for."""
    with served("--scenario", "staged=9", "--scenario", "held=2", "--speed", "60") as folder:
        fleet = ("--fleet", f"{folder}/fleet.toml", "--color", "always")
        fleetctl(*fleet, "collect")
        rows = json.loads(fleetctl(*fleet, "status", "--json"))["hosts"]
        names = [row["name"] for row in rows if row["situation"]["state"] == "staged"]
        held = [row["name"] for row in rows if row["situation"]["state"] == "held"]
        yes = ("--yes", "--expect-hosts")
        fleetctl(*fleet, "activate", *names[:3], *held, "--at-once", "3", *yes, str(3 + len(held)))
        fleetctl(*fleet, "cancel", names[3], "--yes")
        draw(folder, *ORDER_SCENES)


def rollouts() -> None:
    """One that runs, and one that halted after a host fell back."""
    quick = (
        "--cohorts",
        "3,6,rest",
        "--soak",
        "40s",
        "--settle",
        "10s",
        "--budget",
        "4",
        "--quiet",
        "--json",
    )
    for fault, scenes in ((False, (RUNNING_SCENE,)), (True, HALTED_SCENES)):
        options = ("--scenario", "behind=40", "--speed", "60")
        bad = ("--fault", "edge-lon-02=fallback", "--fault", "edge-ams-02=fallback") if fault else ()
        with served(*options, *bad) as folder:
            fleet = ("--fleet", f"{folder}/fleet.toml")
            fleetctl(*fleet, "collect")
            hosts = "group:edge or group:k8s or group:db"
            made = json.loads(fleetctl(*fleet, "rollout", "plan", hosts, "--to", "stable", *quick))
            count = str(sum(host["skipped"] is None for host in made["hosts"]))
            fleetctl(*fleet, "rollout", "start", made["id"], "--yes", "--expect-hosts", count, "--no-wait")
            wanted = "halted" if fault else "wave-1"
            end = time.monotonic() + 180
            while time.monotonic() < end and not reached(fleet, made["id"], wanted):
                time.sleep(1)
            draw(folder, *scenes)
            fleetctl(*fleet, "rollout", "abort", made["id"], "--reason", "the picture is taken")


def reached(fleet: tuple[str, str], rollout: str, wanted: str) -> bool:
    """Whether it is halted, or this cohort's hosts are rebooted."""
    shown = json.loads(fleetctl(*fleet, "rollout", "show", rollout, "--json"))
    states = {cohort["name"]: cohort["phase"] for cohort in shown["cohorts"]}
    return bool(shown["state"] == wanted or states.get(wanted) == "activating")


def draw(folder: Path, *scenes: Scene) -> None:
    for scene in scenes:
        save(scene.name, asyncio.run(drawn(folder / "fleet.toml", scene)))


def main() -> None:
    orders()
    rollouts()
    with served() as folder:
        fleet = ("--fleet", f"{folder}/fleet.toml", "--color", "always")
        fleetctl(*fleet, "collect")
        for name, (words, width) in SCENES.items():
            picture(name, fleetctl(*fleet, *words, width=width), width)
        draw(folder, *FLEET_SCENES)
    with served("--alive", "--speed", "120", "--hosts", "60") as folder:
        swept(folder / "fleet.toml", HISTORY_S)
        draw(folder, *HISTORY_SCENES)


if __name__ == "__main__":
    main()
