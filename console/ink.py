"""Lines drawn by a `Pen` -> what Textual paints.

The pure renderers draw flat spans `ESC [ code m text ESC [ 0 m`, never one in another; that is all that is
read here, so a text that passed `Pen.say` can bring no code of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.strip import Strip

_CODE = re.compile(r"\x1b\[([0-9;]*)m")


@lru_cache(maxsize=512)
def style_of_code(code: str) -> Style:
    """What `ESC [ code m` means; nothing for 0."""
    if code in ("", "0"):
        return Style.null()
    (span,) = Text.from_ansi(f"\x1b[{code}m.").spans
    return span.style if isinstance(span.style, Style) else Style.parse(span.style)


@lru_cache(maxsize=2048)
def _on(base: Style, code: str) -> Style:
    return base + style_of_code(code)


def segments(line: str, base: Style) -> Iterator[Segment]:
    """The spans of one line on the ground of `base`."""
    parts = _CODE.split(line)
    style = base
    for index, part in enumerate(parts):
        if index % 2:
            style = _on(base, part)
        elif part:
            yield Segment(part, style)


def strip(line: str, base: Style, width: int) -> Strip:
    """One painted line, exactly `width` cells."""
    return Strip(segments(line, base)).adjust_cell_length(width, base)


def painted(line: str) -> Text:
    """A line for widgets that take rich text."""
    return Text.assemble(
        *[(piece.text, piece.style or Style.null()) for piece in segments(line, Style.null())]
    )
