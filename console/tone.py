"""Tones, marks and how a terminal draws them: ANSI colour or nothing, Unicode or ASCII. Pure.

Colour is never the only sign: each tone goes with a glyph and a word. Commands use the sixteen colours of the
terminal's own theme, for it is not known whether its ground is dark or light; only a fleet's accent is exact.
The dashboard brings a ground and colours of its own (`console.palette`).
No "dim" attribute: terminals draw it differently.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from console.visible import Cut, cells, visible


class Tone(StrEnum):
    """What a colour says."""

    BAD = "bad"
    """Went wrong."""
    UNKNOWN = "unknown"
    WARN = "warn"
    """Look before you act."""
    MOVING = "moving"
    """Under way, as planned."""
    CHOSEN = "chosen"
    """A person said so."""
    LATE = "late"
    DIM = "dim"
    CALM = "calm"
    """As wanted."""
    TEXT = "text"
    BRIGHT = "bright"
    """The one thing to read in a region."""
    HINT = "hint"
    """Headings, the other slot."""
    ACCENT = "accent"
    """The running slot."""


SIXTEEN: Mapping[Tone, str] = {
    Tone.BAD: "31",
    Tone.UNKNOWN: "1",
    Tone.WARN: "33",
    Tone.MOVING: "94",
    Tone.CHOSEN: "35",
    Tone.LATE: "",
    Tone.DIM: "",
    Tone.CALM: "",
    Tone.TEXT: "",
    Tone.BRIGHT: "1",
    Tone.HINT: "90",
    Tone.ACCENT: "36",
}
"""The colours of the terminal's own theme."""
_ACCENT = re.compile(r"#([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Marks:
    """Signs beside the states' glyphs."""

    runs: str
    next: str
    back: str
    """As `next`, from right to left."""
    dead: str
    alert: str
    warn: str
    full: str
    """A cell of a thin gauge."""
    half: str
    track: str
    heavy: str
    """Box of the running slot: corners from top left clockwise, then horizontal, vertical."""
    light: str
    dashed: str


UNICODE = Marks("►", "→", "←", "×", "■", "▲", "━", "╸", "─", "┏┓┛┗━┃", "┌┐┘└─│", "┌┐┘└╌╎")
ASCII = Marks(">", "^", "^", "x", "!", "!", "=", "-", ".", "####=#", "++++-|", ".....:")


@dataclass(frozen=True, slots=True)
class Pen:
    """Draws text in a tone. Without colour nothing but the text itself comes out."""

    colour: bool
    ascii: bool
    accent: str | None = None
    """`#rrggbb` of the fleet; anything else is ignored."""
    codes: Mapping[Tone, str] = field(default_factory=lambda: SIXTEEN)
    """Tone -> what stands between `ESC [` and `m`; a tone that is not in it is drawn as it comes."""

    @property
    def marks(self) -> Marks:
        return ASCII if self.ascii else UNICODE

    def __call__(self, tone: Tone, text: str) -> str:
        """`text` in `tone`; it must be visible already."""
        code = self.codes.get(tone, "") if self.colour and text else ""
        return f"\x1b[{code}m{text}\x1b[0m" if code else text

    def code(self, code: str, text: str) -> str:
        """`text` drawn with a code of its own, such as a part of a bar."""
        return f"\x1b[{code}m{text}\x1b[0m" if code and text else text

    def fleet(self, text: str) -> str:
        """A fleet's name in its own colour, so that production looks different."""
        if not self.colour:
            return text
        found = _ACCENT.fullmatch(self.accent or "")
        code = (
            "38;2;" + ";".join(str(int(part, 16)) for part in found.groups())
            if found
            else self.codes[Tone.ACCENT]
        )
        return f"\x1b[1;{code}m{text}\x1b[0m"

    def say(self, text: str, width: int | None = None, cut: Cut = "end") -> str:
        """A text from elsewhere, made visible."""
        if text.isascii() and text.isprintable() and (width is None or len(text) <= width):
            return text  # nearly all of them: a large table is made of these
        return visible(text, width, ascii_only=self.ascii, cut=cut)

    def gauge(self, share: float, width: int) -> tuple[str, str]:
        """A thin bar in half-cell steps: the filled part and the rest. A non-zero share is never nothing."""
        marks = self.marks
        halves = round(min(max(share, 0.0), 1.0) * width * 2)
        halves = max(halves, 1) if share > 0 else 0
        bar = marks.full * (halves // 2) + marks.half * (halves % 2)
        return bar, " " * (width - len(bar))

    def box(self, title: str, text: list[str], frame: str, tone: Tone, inner: int) -> list[str]:
        """A box around visible lines of at most `inner` - 2 cells; the first is what is to be read.

        `frame` is `marks.heavy`, `.light` or `.dashed`; the title stands in the upper line.
        """
        level, side = frame[4], self(tone, frame[5])
        top = f"{frame[0]}{level} {title} ".ljust(inner + 1, level) + frame[1]
        lines = [
            f"{side} {self(Tone.TEXT if index else Tone.BRIGHT, line)}{' ' * (inner - 1 - cells(line))}{side}"
            for index, line in enumerate(text)
        ]
        return [self(tone, top), *lines, self(tone, frame[3] + level * inner + frame[2])]
