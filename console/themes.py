"""A palette as Textual's theme: what the style sheet and Textual's own widgets draw with.

The names are the palettes'. `PLAIN` is the theme for NO_COLOR; with it goes `PlainFilter`, through which
every line leaves: bold, underline and reverse, nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.scrollbar import ScrollBarRender
from textual.theme import Theme

from console.palette import DARK, PALETTES, Palette, ink_on, paint
from console.tone import Tone

_DEFAULT = "ansi_default"


def theme_of(palette: Palette, accent: str | None = None, *, plain: bool = False) -> Theme:
    """The theme of a palette, in a fleet's own accent where that can be read on it; or the plain one."""
    if plain:
        return PLAIN
    tones = dict(palette.tones)
    tones[Tone.ACCENT] = _colour(paint(palette, accent).tones[Tone.ACCENT])
    return Theme(
        name=palette.name,
        primary=tones[Tone.ACCENT],
        secondary=tones[Tone.MOVING],
        warning=tones[Tone.WARN],
        error=tones[Tone.BAD],
        success=tones[Tone.CALM],
        accent=tones[Tone.ACCENT],
        foreground=tones[Tone.TEXT],
        background=palette.bg,
        surface=palette.surface,
        panel=palette.surface,
        dark=palette.dark,
        variables=_variables(palette, tones),
    )


def _colour(code: str) -> str:
    """`#rrggbb` of the code `38;2;r;g;b`."""
    return "#" + "".join(f"{int(part):02x}" for part in code.split(";")[2:])


def _variables(palette: Palette, tones: dict[Tone, str]) -> dict[str, str]:
    """The dashboard's own names, then Textual's where its own mixing would leave the palette."""
    dim, hint, accent = tones[Tone.DIM], tones[Tone.HINT], tones[Tone.ACCENT]
    ink = ink_on(accent)
    own = {tone.value: colour for tone, colour in tones.items()}
    own |= {
        "bg": palette.bg,
        "raised": palette.raised,
        "line": palette.line,
        "track": palette.track,
        "alert": palette.alert,
        "alert-ink": palette.alert_ink,
        "accent-ink": ink,
        "cursor-style": "none",
    }
    return own | {
        "text-muted": dim,
        "text-disabled": hint,
        "foreground-muted": dim,
        "foreground-disabled": hint,
        "border": palette.line,
        "border-blurred": palette.line,
        "block-cursor-foreground": tones[Tone.BRIGHT],
        "block-cursor-background": palette.raised,
        "block-cursor-text-style": "none",
        "block-cursor-blurred-foreground": tones[Tone.BRIGHT],
        "block-cursor-blurred-background": palette.raised,
        "block-cursor-blurred-text-style": "none",
        "block-hover-background": palette.raised,
        "input-cursor-background": accent,
        "input-cursor-foreground": ink,
        "input-cursor-text-style": "none",
        "input-selection-background": palette.line,
        "input-selection-foreground": tones[Tone.BRIGHT],
        "screen-selection-background": palette.line,
        "screen-selection-foreground": tones[Tone.BRIGHT],
        "scrollbar": palette.line,
        "scrollbar-hover": hint,
        "scrollbar-active": accent,
        "scrollbar-background": palette.bg,
        "scrollbar-background-hover": palette.bg,
        "scrollbar-background-active": palette.bg,
        "scrollbar-corner-color": palette.bg,
    }


def _plain() -> Theme:
    """The terminal's own two colours; a ground that is named is drawn reversed by `PlainFilter`."""
    names = [
        name
        for name in _variables(DARK, dict(DARK.tones))
        if not name.endswith("-style") and "cursor-background" not in name
    ]
    reversed_grounds = ("scrollbar", "scrollbar-hover", "scrollbar-active", "input-selection-background")
    return Theme(
        name="plain",
        ansi=True,
        primary=_DEFAULT,
        background=_DEFAULT,
        foreground=_DEFAULT,
        surface=_DEFAULT,
        panel=_DEFAULT,
        boost=_DEFAULT,
        variables={
            **dict.fromkeys(names, _DEFAULT),
            **dict.fromkeys(reversed_grounds, "ansi_white"),
            "screen-selection-background": "ansi_white",
            **dict.fromkeys(("ansi-background", "ansi-foreground", "surface", "panel"), _DEFAULT),
            "block-cursor-background": "ansi_white",
            "block-cursor-blurred-background": "ansi_white",
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-text-style": "bold",
            "input-cursor-background": "ansi_white",
            "input-cursor-text-style": "none",
            "cursor-style": "reverse",
        },
    )


PLAIN = _plain()


def textual_themes(accent: str | None = None) -> list[Theme]:
    """One for each palette, and the one without colour."""
    return [*(theme_of(palette, accent) for palette in PALETTES.values()), PLAIN]


VARIABLES = theme_of(DARK).variables
"""Every name that the style sheet may use, for `App.get_theme_variable_defaults`."""


# Without colour


class PlainFilter(LineFilter):
    """Takes all colour away: what leaves is bold, underline and reverse.

    Textual's own filters for NO_COLOR turn colours into greys, or into codes for the default colours.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(text, None if style is None else plain_style(style), control)
            for text, style, control in segments
        ]


@lru_cache(maxsize=2048)
def plain_style(style: Style) -> Style:
    """`style` without colour; a ground of its own becomes reverse, so that a cursor is still seen."""
    has_ground = style.bgcolor is not None and not style.bgcolor.is_default
    return style.without_color + Style(
        reverse=bool(style.reverse or has_ground),
        dim=False,
        italic=False,
        blink=False,
        blink2=False,
        strike=False,
        overline=False,
    )


PLAIN_FILTERS: Sequence[LineFilter] = (PlainFilter(),)
"""What `App.get_line_filters` returns without colour."""


class WholeCells(ScrollBarRender):
    """Scroll bars of whole cells: nothing that ASCII lacks, and nothing that moves by an eighth."""

    VERTICAL_BARS = [" "]  # noqa: RUF012 - Textual's own class attributes
    HORIZONTAL_BARS = [" "]  # noqa: RUF012
