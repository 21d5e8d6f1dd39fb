"""What the dashboard shows at one moment, as one frozen object. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.palette import DARK, PLAIN, Paint, Palette, paint
from console.rows import FleetView
from console.tone import Pen


@dataclass(frozen=True, slots=True)
class Sweeping:
    """Who asks the fleet, in words for the head of the screen."""

    is_own: bool
    """This dashboard's own sweeper runs."""
    words: str
    """`asking every 60 s`, `asked by console-2 pid 811`, `nobody asks: …`."""
    is_trouble: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """The fleet as it is shown."""

    view: FleetView
    sweeping: Sweeping
    trouble: str | None = None
    """Why what is shown may be old: the database is gone, locked or broken. None: nothing is wrong."""
    past: datetime | None = None
    """A moment of the past is shown, not the present; `view.now` is that moment then."""
    clock: datetime | None = None
    """The present, where the past is shown."""


@dataclass(frozen=True, slots=True)
class Look:
    """How everything is drawn: colours, glyphs. One for all widgets."""

    palette: Palette = DARK
    accent: str | None = None
    ascii: bool = False
    plain: bool = False
    """NO_COLOR: bold, reverse and underline only."""

    @property
    def pen(self) -> Pen:
        return Pen(True, self.ascii, self.accent, self.paint.tones)

    @property
    def paint(self) -> Paint:
        return PLAIN if self.plain else paint(self.palette, self.accent)
