"""The colours of each theme, and what a tone looks like in them as terminal codes. Pure.

A theme is complete in itself: every text that is drawn keeps a contrast of 4.5 (WCAG AA) to the grounds it
stands on, and the seven tones of states can be told apart, in the colour-blind theme by everybody. Tests
compute both. `plain` is for NO_COLOR: bold, reverse and underline only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from console.tone import Tone

_HEX = re.compile(r"#[0-9A-Fa-f]{6}")


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """One theme; colours as `#rrggbb`."""

    name: str
    title: str
    dark: bool
    bg: str
    surface: str
    """Panel, footer."""
    raised: str
    """Row of the cursor, input."""
    line: str
    track: str
    """Empty part of a gauge; never text."""
    tones: Mapping[Tone, str]
    alert: str
    alert_ink: str
    accent_ink: str
    fills: Mapping[Tone, str]
    """Of bars; nothing else."""
    versions: tuple[str, ...]
    """Fills of versions, newest first."""


_TONES = (
    Tone.HINT, Tone.DIM, Tone.TEXT, Tone.BRIGHT, Tone.ACCENT, Tone.CALM, Tone.MOVING, Tone.LATE, Tone.WARN,
    Tone.BAD, Tone.CHOSEN, Tone.UNKNOWN,
)  # fmt: skip
_FILLS = (Tone.CALM, Tone.LATE, Tone.MOVING, Tone.WARN, Tone.BAD, Tone.CHOSEN)


def _colours(text: str) -> tuple[str, ...]:
    return tuple(f"#{word}" for word in text.split())


def _palette(
    name: str, title: str, grounds: str, tones: str, alert: str, fills: str, versions: str
) -> Palette:
    bg, surface, raised, line, track = _colours(grounds)
    ground, ink, accent_ink = _colours(alert)
    return Palette(
        name=name,
        title=title,
        dark=_luminance(bg) < 0.5,
        bg=bg,
        surface=surface,
        raised=raised,
        line=line,
        track=track,
        tones=dict(zip(_TONES, _colours(tones), strict=True)),
        alert=ground,
        alert_ink=ink,
        accent_ink=accent_ink,
        fills=dict(zip(_FILLS, _colours(fills), strict=True)),
        versions=_colours(versions),
    )


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 contrast ratio of two colours, 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_DARK_VERSIONS = "2a7a74 235f60 3a4f63 2c3f50 25333f 202a33"

DARK = _palette(
    "dark",
    "dark",
    "10141a 171d25 222d3a 34414f 2b3643",
    "7d8b9a 95a3b1 c8d2dc f4f7fa 4fd0c3 9cc4b0 4f9dfc ddd2a1 fbad14 fa6a70 f0b4f4 f2f5f7",
    "b3261e ffffff 08221f",
    "23453a 57503a 2f7fe0 e0a134 ec5a52 c088cc",
    _DARK_VERSIONS,
)
LIGHT = _palette(
    "light",
    "light",
    "fbfaf7 f1efe9 dfe5ea cbc7bc e0ddd4",
    "616a73 55606b 28313b 06090d 006f66 1f5a48 0f66b8 6a6040 8a5a00 860b1d 4c1d8f 1f2730",
    "b3261e ffffff ffffff",
    "8fc3a4 d9c795 6aa8ec efb04a e0635c d3a6de",
    "5fb3ab 86c6bf a6d5cf bfe0dc d2eae7 dfefed",
)
HIGH_CONTRAST = _palette(
    "high-contrast",
    "high contrast",
    "000000 000000 0f2740 8c9aa8 3a3a3a",
    "b8c2cc c4ced8 ffffff ffffff 5ff0e0 a8e6c8 7cbcff f0e6b4 ffbf1f ff9696 ffc4ff ffffff",
    "ff6a61 000000 000000",
    "0f5c33 5e5326 3f97ff ffbf1f ff5a50 e3a4f0",
    "1f7f77 1a625e 3f5870 31465a 283746 202b37",
)
COLOUR_BLIND = _palette(
    "colour-blind",
    "colour-blind safe",
    "10141a 171d25 222d3a 34414f 2b3643",
    "7d8b9a 95a3b1 c8d2dc f4f7fa 4fd0c3 9eadb2 4b9aed b4b17e fbee24 f7690d f2c2fe ffffff",
    "ee6607 0b0e12 08221f",
    "2f3e5b 544b2e 217ef8 f4e432 ee6607 f4acd8",
    _DARK_VERSIONS,
)

PALETTES = {palette.name: palette for palette in (DARK, LIGHT, HIGH_CONTRAST, COLOUR_BLIND)}
"""By the name that `:theme` takes; the first is the one a fleet opens with."""


@dataclass(frozen=True, slots=True)
class Paint:
    """Terminal codes (what stands between `ESC [` and `m`) of everything that is drawn; "" for none."""

    tones: Mapping[Tone, str]
    fills: Mapping[Tone, str]
    """A part of a bar: its ground and the ink of the label on it."""
    versions: tuple[str, ...]
    track: str
    line: str
    alert: str
    key: str
    """The fleet's name and a focused button: ink on accent."""
    plain: bool = False
    """No colour at all: bars are made of letters."""


PLAIN = Paint(
    tones={Tone.BRIGHT: "1", Tone.UNKNOWN: "1", Tone.ACCENT: "1"},
    fills={},
    versions=(),
    track="",
    line="",
    alert="7",
    key="7",
    plain=True,
)


@lru_cache(maxsize=16)
def paint(palette: Palette, accent: str | None = None) -> Paint:
    """The codes of a theme, in a fleet's own accent where that is a colour that can be read on it."""
    tones = dict(palette.tones)
    if accent is not None and _HEX.fullmatch(accent) and contrast(accent, palette.bg) >= 4.5:
        tones[Tone.ACCENT] = accent
    codes = {tone: f"38;2;{_numbers(colour)}" for tone, colour in tones.items()}
    codes[Tone.BRIGHT] = f"1;{codes[Tone.BRIGHT]}"
    return Paint(
        tones=codes,
        fills={tone: _ground(colour) for tone, colour in palette.fills.items()},
        versions=tuple(map(_ground, palette.versions)),
        track=f"38;2;{_numbers(palette.track)}",
        line=f"38;2;{_numbers(palette.line)}",
        alert=f"1;38;2;{_numbers(palette.alert_ink)};48;2;{_numbers(palette.alert)}",
        key=f"1;38;2;{_numbers(ink_on(tones[Tone.ACCENT]))};48;2;{_numbers(tones[Tone.ACCENT])}",
    )


def _ground(colour: str) -> str:
    return f"38;2;{_numbers(ink_on(colour))};48;2;{_numbers(colour)}"


def _numbers(colour: str) -> str:
    return ";".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def ink_on(ground: str) -> str:
    """White or black, whichever can be read better."""
    return max("#ffffff", "#000000", key=lambda ink: contrast(ink, ground))
