"""Every theme can be read, and its tones told apart: contrasts and colour distances, computed."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest
from coloraide import Color
from rich.color import Color as TerminalColor
from rich.color import ColorSystem
from rich.style import Style

from console.palette import (
    COLOUR_BLIND,
    DARK,
    HIGH_CONTRAST,
    LIGHT,
    PALETTES,
    Palette,
    contrast,
    ink_on,
    paint,
)
from console.themes import PLAIN, VARIABLES, plain_style, textual_themes, theme_of
from console.tone import Tone

AA = 4.5
STATE_TONES = (Tone.CALM, Tone.MOVING, Tone.LATE, Tone.WARN, Tone.BAD, Tone.CHOSEN, Tone.UNKNOWN)
SIGHTS = (None, "deutan", "protan", "tritan")
"""Normal sight, and the three that lack one kind of cone."""
LEAST = {
    DARK.name: (18, 13, 11, 12),
    LIGHT.name: (15, 10, 8, 13),
    HIGH_CONTRAST.name: (17, 11, 7, 9),
    COLOUR_BLIND.name: (20, 14, 15, 14),
}
"""Smallest CIEDE2000 distance of two state tones that a theme promises, for each of `SIGHTS`, rounded."""
SHEET = (Path(__file__).parents[2] / "console/fleetctl.tcss").read_text()

themes = pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)


def seen(colour: str, sight: str | None) -> Color:
    """A colour as somebody with this sight sees it; Machado 2009 at full severity."""
    found = Color(colour)
    return found.filter(sight, 1, method="machado").clip("srgb") if sight else found


@themes
def test_every_text_can_be_read_on_page_and_panel(palette: Palette) -> None:
    poor = [
        (tone, ground)
        for tone, colour in palette.tones.items()
        for ground in (palette.bg, palette.surface)
        if contrast(colour, ground) < AA
    ]
    assert poor == []


@themes
def test_every_text_but_hints_can_be_read_on_the_cursor_row(palette: Palette) -> None:
    used = {tone: colour for tone, colour in palette.tones.items() if tone is not Tone.HINT}
    assert [tone for tone, colour in used.items() if contrast(colour, palette.raised) < AA] == []


@themes
def test_ink_can_be_read_on_every_ground(palette: Palette) -> None:
    assert contrast(palette.alert, palette.alert_ink) >= AA
    assert contrast(palette.tones[Tone.ACCENT], palette.accent_ink) >= AA
    grounds = [*palette.fills.values(), *palette.versions, palette.tones[Tone.ACCENT]]
    assert [ground for ground in grounds if contrast(ink_on(ground), ground) < AA] == []


@themes
@pytest.mark.parametrize("sight", SIGHTS, ids=str)
def test_the_state_tones_can_be_told_apart(palette: Palette, sight: str | None) -> None:
    least = min(
        seen(palette.tones[one], sight).delta_e(seen(palette.tones[other], sight), method="2000")
        for one, other in combinations(STATE_TONES, 2)
    )
    assert round(least) >= LEAST[palette.name][SIGHTS.index(sight)]
    assert sight is not None or least >= 10


@pytest.mark.parametrize("sight", SIGHTS, ids=str)
def test_the_colour_blind_theme_is_for_everybody(sight: str | None) -> None:
    for colours in (COLOUR_BLIND.tones, COLOUR_BLIND.fills):
        used = [seen(colours[tone], sight) for tone in STATE_TONES if tone in colours]
        assert min(one.delta_e(other, method="2000") for one, other in combinations(used, 2)) >= 14


@themes
def test_nothing_vanishes_where_there_are_only_sixteen_colours(palette: Palette) -> None:
    def nearest(colour: str) -> int | None:
        return TerminalColor.parse(colour).downgrade(ColorSystem.STANDARD).number

    grounds = {nearest(palette.bg), nearest(palette.surface), nearest(palette.raised)}
    assert [tone for tone, colour in palette.tones.items() if nearest(colour) in grounds] == []
    assert nearest(palette.alert) != nearest(palette.alert_ink)


def test_an_accent_is_taken_only_where_it_can_be_read() -> None:
    assert theme_of(DARK, "#ff8800").accent == "#ff8800"
    assert theme_of(DARK, "#102030").accent == DARK.tones[Tone.ACCENT]
    assert theme_of(DARK, "red; evil").accent == DARK.tones[Tone.ACCENT]
    assert "38;2;255;136;0" in paint(DARK, "#ff8800").tones[Tone.ACCENT]


def test_there_is_a_theme_for_each_palette_and_one_without_colour() -> None:
    assert [theme.name for theme in textual_themes()] == [*PALETTES, "plain"]
    assert theme_of(DARK, plain=True) is PLAIN


def test_every_theme_names_every_colour_of_the_style_sheet() -> None:
    used = set(re.findall(r"\$([a-z][a-z-]*)", SHEET))
    assert {"bg", "raised", "accent"} <= used
    for theme in textual_themes():
        known = {**theme.to_color_system().generate(), **theme.variables}
        assert used - set(known) == set()
        assert set(VARIABLES) - set(known) == set()


def test_the_style_sheet_knows_no_colour_by_number() -> None:
    assert re.search(r"#[0-9a-fA-F]{6}|rgb\(|ansi_", SHEET) is None


@pytest.mark.parametrize(
    ("style", "codes"),
    [
        ("red on blue", {"7"}),
        ("red", set()),
        ("bold italic underline dim blink strike overline #ffffff", {"1", "4"}),
        ("reverse default on default", {"7"}),
        ("bold on default", {"1"}),
    ],
)
def test_without_colour_only_bold_underline_and_reverse_leave(style: str, codes: set[str]) -> None:
    text = plain_style(Style.parse(style)).render("x", color_system=ColorSystem.TRUECOLOR)
    assert set(";".join(re.findall(r"\x1b\[([0-9;]*)m", text)).split(";")) - {"", "0"} == codes
