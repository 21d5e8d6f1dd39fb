"""What `benchmarks.dashboard` drives in a terminal: the fleet pane, or a plain DataTable, over made-up hosts.

    python -m benchmarks.dashboard_app pane|table HOSTS

F9 changes 500 hosts twice a second, and again no more.
"""

from __future__ import annotations

import gc
import random
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable, Input

import console
from console.board import Board, Look, Sweeping
from console.panes.fleet import FleetPane
from console.rows import FleetView, HostRow, SlotCell
from console.themes import theme_of

NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
VERSIONS = ("4593.2.5", "4593.2.4", "4593.2.3", "4459.2.4")
MADE = "made in {:.4f} s"
"""Said first: the time that no screen takes."""
TICK_S = 0.5
CHANGES = 500
"""Hosts that change in one tick: 1,000 a second."""
_STATES: tuple[str, ...] = (
    *("current",) * 44,
    *("behind",) * 44,
    *("held",) * 4,
    *("staged",) * 3,
    "staging",
    "unreachable",
)
_STATES += ("degraded", "reverted", "incomplete")
_REASONS = {
    "reverted": "booted 4593.2.5 at 02:39, not confirmed",
    "degraded": "1 unit failed",
    "incomplete": "sudo refused: slots not read",
    "unreachable": "no answer",
}


def made_up(count: int) -> list[HostRow]:
    """The same hosts in every run."""
    dice = random.Random(58)
    return [_host(number, dice) for number in range(count)]


def _host(number: int, dice: random.Random) -> HostRow:
    state, site = dice.choice(_STATES), dice.choice(("fra", "ams", "lon"))
    kind = dice.choice(("edge", "k8s", "db"))
    newest = 0 if state == "current" else dice.randrange(1, 4)
    running, other = SlotCell(VERSIONS[newest], 2, 0, True, False), SlotCell(VERSIONS[3], 1, 0, True, False)
    if state == "staged":
        other = SlotCell(VERSIONS[0], 3, 1, False, False)
    text = _REASONS.get(state)
    return HostRow(
        name=f"{kind}-{site}-{number:05}",
        address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
        state=state,
        groups=(kind,),
        labels={"site": site, "rack": f"r{number % 40}"},
        hold="ops-1432" if state == "held" else None,
        reasons=((state, text),) if text else (),
        version=VERSIONS[newest],
        channel="stable",
        running="A",
        next="B" if state == "staged" else "A",
        slot_a=running,
        slot_b=other,
        behind=newest,
        progress=dice.random() if state == "staging" else None,
        extensions=("docker", "containerd"),
        reach="timeout" if state == "unreachable" else "ok",
        will_reboot_by_itself=state == "staged" and number % 9 == 0,
        taken_at=NOW - timedelta(minutes=41 if state == "unreachable" else 0),
        stale=state == "unreachable",
    )


class Bench(App[None]):
    """One widget over many hosts."""

    CSS_PATH = Path(console.__path__[0], "fleetctl.tcss")
    BINDINGS = [Binding("f9", "changes", show=False, priority=True)]  # noqa: RUF012 - as Textual declares it

    def __init__(self, kind: str, count: int) -> None:
        self.look = Look()
        super().__init__()
        theme = theme_of(self.look.palette)
        self.register_theme(theme)
        self.theme = theme.name
        self.kind = kind
        begun = time.perf_counter()
        self.rows = made_up(count)
        print(MADE.format(time.perf_counter() - begun), flush=True)
        self.ticks = 0
        self.is_changing = False
        self.dice = random.Random(58)

    def compose(self) -> ComposeResult:
        if self.kind == "pane":
            yield FleetPane(self.look)
        else:
            search = Input(compact=True)
            search.cursor_blink = False
            yield search
            yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        self.show()
        gc.freeze()  # as the dashboard does with rows that stay
        if self.kind == "pane":
            self.query_one(FleetPane).focus()
        else:
            self.query_one(DataTable).focus()
        self.set_interval(TICK_S, self.tick)

    def show(self) -> None:
        if self.kind == "table":
            self.fill("")
            return
        now = NOW + timedelta(seconds=self.ticks * TICK_S)
        view = FleetView("bench", now, self.rows, len(self.rows), taken_at=NOW, feed_date=NOW.date())
        self.query_one(FleetPane).show(Board(view, Sweeping(True, "asking every 60 s")))

    def fill(self, text: str) -> None:
        """The usual way with a DataTable: empty it, and add what is wanted."""
        table: DataTable[str] = self.query_one(DataTable)
        if not table.columns:
            for name, width in (("host", 20), ("group", 8), ("state", 14), ("slots", 24), ("behind", 6)):
                table.add_column(name, key=name, width=width)
        table.clear()
        table.add_rows(
            [_cells(row) for row in self.rows if text in row.name or text in row.state],
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        self.fill(event.value)

    def on_key(self, event: object) -> None:
        if self.kind == "table" and getattr(event, "key", "") == "slash":
            self.query_one(Input).focus()

    def action_changes(self) -> None:
        self.is_changing = not self.is_changing

    def tick(self) -> None:
        if not self.is_changing:
            return
        self.ticks += 1
        rows = list(self.rows)
        for place in self.dice.sample(range(len(rows)), min(CHANGES, len(rows))):
            row = rows[place]
            rows[place] = replace(row, behind=(row.behind or 0) % 3 + 1, taken_at=NOW)
        self.rows = rows
        if self.kind == "pane":
            self.show()


def _cells(row: HostRow) -> list[str]:
    slots = f"A {row.slot_a.version if row.slot_a else '?'}  B {row.slot_b.version if row.slot_b else '?'}"
    return [row.name, ",".join(row.groups), row.state, slots, str(row.behind)]


if __name__ == "__main__":
    Bench(sys.argv[1], int(sys.argv[2])).run()
