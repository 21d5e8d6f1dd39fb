"""Pieces of a line before they are drawn: a code and a text each, so that their width is known. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from console.board import Look
from console.tone import Tone
from console.visible import cells

Spans = tuple[tuple[str, str], ...]
"""Code and text of each span, side by side."""


def code_of(look: Look, tone: Tone) -> str:
    return look.paint.tones.get(tone, "")


def width_of(spans: Spans) -> int:
    return sum(cells(text) for _, text in spans)


def drawn(spans: Spans, look: Look) -> str:
    return "".join(look.pen.code(code, text) for code, text in spans)


def joined(parts: Iterable[Spans], gap: int) -> Spans:
    """The parts that there are, with so many blanks between them."""
    spans: list[tuple[str, str]] = []
    for part in filter(None, parts):
        spans += [*([("", " " * gap)] if spans else []), *part]
    return tuple(spans)
