"""Hosts per version over time, drawn with terminal cells. Pure.

Layers stand on one another, newest on top, in steps of an eighth of a cell. A layer that holds any host is at
least one step high (a hatched one, "not known", a whole cell), so a thin one pushes its neighbours by less
than a cell; the counts in words are exact. Without colour a layer is its letter, in whole cells.
Each line is exactly as wide as asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import NamedTuple

from console.board import Look
from console.history import DAY_S, Column, History, Layer, date_words
from console.tone import Tone
from console.visible import cells, clock_words, count_words, pad

_BLOCKS = " ▁▂▃▄▅▆▇"
_GROUND = re.compile(r"48;(2;[0-9]+;[0-9]+;[0-9]+)")
MAX_LAYERS = 6
NAME_CELLS = 20
_UNSEEN = "not watched then"
_LABEL_GAP = 2
_LEAST_COLUMNS = 24


class Cell(NamedTuple):
    """One cell: `lower` eighths of the layer `below`, the rest `above`; None is nothing."""

    below: int | None
    above: int | None
    lower: int = 8


_EMPTY = Cell(None, None)
Grid = tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A plot laid out: what stands in which cell, before anything is coloured."""

    columns: tuple[Column, ...]
    layers: tuple[Layer, ...]
    """From the top down."""
    scale: int
    """Hosts that the whole height stands for."""
    grid: Grid
    """Rows from the top down."""


def is_lettered(look: Look) -> bool:
    """Whether layers are drawn as letters."""
    return look.ascii or look.plain


def lay_out(columns: tuple[Column, ...], layers: tuple[Layer, ...], rows: int, *, lettered: bool) -> Picture:
    """Cells of the columns; `rows` must be more than the layers are."""
    unit = 1 if lettered else 8
    totals = [sum(column.counts.values()) for column in columns if column.counts]
    scale = max(totals, default=0)
    upright = [_column(column, layers, scale, rows, unit) for column in columns]
    grid = tuple(tuple(stack[row] for stack in upright) for row in range(rows - 1, -1, -1))
    return Picture(columns, layers, scale, grid)


def _column(column: Column, layers: Sequence[Layer], scale: int, rows: int, unit: int) -> list[Cell]:
    """The cells of one column from the bottom up."""
    if not column.counts or not scale:
        return [_EMPTY] * rows
    known = [(index, layer.count(column)) for index, layer in enumerate(layers) if layer.rank >= 0]
    standing = [(index, hosts) for index, hosts in reversed(known) if hosts]
    unknown = next((index for index, layer in enumerate(layers) if layer.rank < 0), None)
    hidden = layers[unknown].count(column) if unknown is not None else 0
    targets, total = [], 0
    for _, hosts in standing:
        total += hosts
        targets.append(round(total * rows * unit / scale))
    limit, hatched = rows * unit, 0
    if hidden:
        needed = len(standing) if unit == 1 else -(-len(standing) // 2)
        top = min(max(round(total * rows / scale), needed), rows - 1)
        hatched = min(max(round(hidden * rows / scale), 1), rows - top)
        limit = top * unit
        targets[-1:] = [limit] if targets else []
    tops = settle(targets, limit, unit)
    pieces = [(top, index) for top, (index, _) in zip(tops, standing, strict=True)]
    if unknown is not None and hidden:
        pieces.append((limit + hatched * unit, unknown))
    return [_cell(pieces, row, unit) for row in range(rows)]


def settle(targets: Sequence[int], limit: int, unit: int) -> list[int]:
    """Tops of layers near `targets`, each above the one before, the last at most `limit`.

    No two lie inside the same cell of `unit` steps: a terminal cell holds two colours.
    """
    tops: list[int] = []
    for target in targets:
        before = tops[-1] if tops else 0
        top = max(target, before + 1)
        if _share_a_cell(before, top, unit):
            edge, floor = -(-top // unit) * unit, before // unit * unit
            if before - floor <= edge - top and floor > (tops[-2] if len(tops) > 1 else 0):
                tops[-1] = floor
            else:
                top = edge
        tops.append(top)
    above = limit
    for index in range(len(tops) - 1, -1, -1):
        is_last = index == len(tops) - 1
        top = min(tops[index], above if is_last else above - 1)
        if not is_last and _share_a_cell(top, above, unit):
            top = top // unit * unit
        tops[index] = above = top
    return tops


def _share_a_cell(one: int, other: int, unit: int) -> bool:
    return one // unit == other // unit and one % unit != 0 and other % unit != 0


def _cell(pieces: Sequence[tuple[int, int]], row: int, unit: int) -> Cell:
    """What lies between two heights; `pieces` are tops and layers from the bottom up."""
    floor, ceiling = row * unit, (row + 1) * unit
    below, lower = None, 0
    for top, index in pieces:
        if top <= floor:
            continue
        if top >= ceiling:
            return Cell(index, index) if below is None else Cell(below, index, lower)
        below, lower = index, top - floor
    return _EMPTY if below is None else Cell(below, None, lower)


# Colours and letters


@dataclass(frozen=True, slots=True)
class _Brush:
    """How cells look; a drawn cell is its character and its code."""

    look: Look
    layers: tuple[Layer, ...]
    fills: tuple[str, ...]

    def cell(self, cell: Cell, *, at_cursor: bool) -> tuple[str, str]:
        paint = self.look.paint
        accent = paint.tones[Tone.ACCENT]
        if cell.below is None:
            return ("|" if self.look.ascii else "│", accent) if at_cursor else (" ", "")
        if is_lettered(self.look):
            return self.letter(cell.below), self._reversed() if at_cursor else self.fill(cell.below)
        if self.layers[cell.below].rank < 0:
            return "▒", accent if at_cursor else self.fill(cell.below)
        ground = _ground(self.fill(cell.below))
        if cell.above == cell.below:
            return ("│", f"{accent};{ground}") if at_cursor else (" ", self.fill(cell.below))
        ink = _GROUND.sub(r"38;\1", ground)
        over = f";{_ground(self.fill(cell.above))}" if cell.above is not None else ""
        return _BLOCKS[cell.lower], ink + over

    def letter(self, index: int) -> str:
        layer = self.layers[index]
        return "▒" if layer.rank < 0 and not self.look.ascii else layer.letter

    def fill(self, index: int) -> str:
        layer = self.layers[index]
        if layer.rank < 0:
            return self.look.paint.tones.get(Tone.HINT, "")  # a whole row of the brightest would shout
        return self.fills[min(layer.rank, len(self.fills) - 1)] if self.fills else ""

    def label(self, index: int) -> str:
        """Of a name inside its layer: the ink of the fill, bold."""
        return f"1;{fill}" if (fill := self.fill(index)) else "1"

    def _reversed(self) -> str:
        return "7" if self.look.plain else self.look.paint.key


def _ground(code: str) -> str:
    found = _GROUND.search(code)
    return found[0] if found else ""


def plot_rows(look: Look, picture: Picture, cursor: int | None) -> list[str]:
    """The cells alone: a line a row, as wide as there are columns."""
    brush = _Brush(look, picture.layers, look.paint.versions)
    kinds = {cell: brush.cell(cell, at_cursor=False) for cell in {*chain(*picture.grid)}}
    drawn = [[kinds[cell] for cell in row] for row in picture.grid]
    if cursor is not None:
        for line, row in zip(drawn, picture.grid, strict=True):
            line[cursor] = brush.cell(row[cursor], at_cursor=True)
    runs = _runs(picture.grid)
    for index, layer in enumerate(picture.layers):
        words = look.pen.say(layer.words, NAME_CELLS, "middle")
        if layer.rank >= 0 and cells(words) == len(words):
            _write(drawn, runs.get(index, []), words, brush.label(index), cursor)
    unseen = [run for run in runs.get(None, []) if picture.columns[run.end - 1].counts is None]
    _write(drawn, unseen, _UNSEEN, look.paint.tones.get(Tone.HINT, ""), cursor)
    return [_spans(look, row) for row in drawn]


def _spans(look: Look, row: Iterable[tuple[str, str]]) -> str:
    return "".join(
        look.pen.code(code, "".join(char for char, _ in run))
        for code, run in groupby(row, key=lambda drawn: drawn[1])
    )


class _Run(NamedTuple):
    """Where a row is nothing but one layer."""

    length: int
    nearness: int
    """To the middle row; larger is nearer."""
    row: int
    start: int

    @property
    def end(self) -> int:
        return self.start + self.length


def _runs(grid: Grid) -> dict[int | None, list[_Run]]:
    """By layer; of empty cells under None."""
    found: dict[int | None, list[_Run]] = {}
    for row, line in enumerate(grid):
        at, nearness = 0, -abs(2 * row + 1 - len(grid))
        for cell, same in groupby(line):
            length = len(list(same))
            if cell.below == cell.above:
                found.setdefault(cell.below, []).append(_Run(length, nearness, row, at))
            at += length
    return found


def _write(
    drawn: list[list[tuple[str, str]]], runs: Sequence[_Run], words: str, code: str, cursor: int | None
) -> None:
    """A name in the widest place, where that is wide enough; never under the cursor."""
    run = max(runs, default=None)
    if run is None or run.length < len(words) + 4:
        return
    first = run.start + (run.length - len(words)) // 2
    if cursor is not None and first - 1 <= cursor <= first + len(words):
        first = cursor + 2 if cursor + 2 + len(words) <= run.end else cursor - 1 - len(words)
    if first >= run.start:
        drawn[run.row][first : first + len(words)] = [(char, code) for char in words]


# What stands around the cells


def chart(
    look: Look, history: History, picture: Picture, cursor: int | None, notes: Mapping[str, str], width: int
) -> list[str]:
    """The plot with its scale, its names and its dates; every line is `width` cells wide.

    `notes` tell what a version is (`end of life`). What does not fit beside the columns is left out.
    """
    inner, marks = len(picture.columns), scale_marks(picture)
    left = chart_left(picture, width)
    right = width - inner - left
    names = labels(look, picture, notes, right) if right > _LABEL_GAP else [" " * right] * len(picture.grid)
    rows = plot_rows(look, picture, cursor)
    lines = [
        look.pen(Tone.HINT, f"{mark} ".rjust(left) if len(mark) < left else " " * left) + row + name
        for mark, row, name in zip(marks, rows, names, strict=True)
    ]
    return lines + [" " * left + line + " " * right for line in axis(look, history, picture, cursor)]


def chart_room(history: History, width: int, *, lettered: bool) -> int:
    """Columns that a plot has in `width` cells, beside its scale and names."""
    last = {version: moments[-1][1] for version, moments in history.series.items() if moments[-1][1]}
    names = max((min(cells(version or "not known"), NAME_CELLS) for version in last), default=0)
    digits = len(count_words(max(last.values(), default=0)))
    left = _scale_width(sum(max(hosts for _, hosts in moments) for moments in history.series.values()))
    right = _LABEL_GAP + (2 if lettered else 0) + max(names, len("12 others")) + 2 + digits
    for taken in (left + right, left):
        if width - taken >= _LEAST_COLUMNS:
            return width - taken
    return max(width, 1)


def chart_left(picture: Picture, width: int) -> int:
    """Cells of the scale, left of the columns."""
    return min(_scale_width(picture.scale), width - len(picture.columns))


def _scale_width(scale: int) -> int:
    return len(count_words(scale)) + 1


def labels(look: Look, picture: Picture, notes: Mapping[str, str], width: int) -> list[str]:
    """Beside each layer its name and count at the last column; lines of exactly `width`."""
    rows, last = len(picture.grid), picture.columns[-1]
    shown: list[tuple[int, int]] = []
    for index, layer in enumerate(picture.layers):
        if layer.count(last):
            own = [row for row in range(rows) if index in picture.grid[row][-1][:2]]
            shown.append((own[len(own) // 2] if own else rows - 1, index))
    places = settle([row + 1 for row, _ in shown], rows, 1)
    digits = max((len(count_words(picture.layers[index].count(last))) for _, index in shown), default=0)
    lines = [" " * width] * rows
    for place, (_, index) in zip(places, shown, strict=True):
        lines[place - 1] = _label(look, picture, index, notes, width, digits)
    return lines


def _label(
    look: Look, picture: Picture, index: int, notes: Mapping[str, str], width: int, digits: int
) -> str:
    layer, note = picture.layers[index], notes.get(picture.layers[index].words, "")
    sign = f"{_Brush(look, picture.layers, ()).letter(index)} " if is_lettered(look) else ""
    room = max(width - _LABEL_GAP - len(sign) - digits - 2, 1)
    number = count_words(layer.count(picture.columns[-1]))
    name = pad(look.pen.say(layer.words, min(room, NAME_CELLS), "middle"), room)
    text = look.pen.say(f"{sign}{name}  {number:>{digits}}", width - _LABEL_GAP)
    return " " * _LABEL_GAP + look.pen(_label_tone(picture, layer, note), pad(text, width - _LABEL_GAP))


def _label_tone(picture: Picture, layer: Layer, note: str) -> Tone:
    if layer.rank < 0:
        return Tone.UNKNOWN
    if "end of life" in note:
        return Tone.WARN
    last = picture.columns[-1]
    largest = max(item.count(last) for item in picture.layers if item.rank >= 0)
    return Tone.BRIGHT if layer.count(last) == largest else Tone.DIM


def scale_marks(picture: Picture) -> list[str]:
    """Hosts that the upper edge of each row stands for, where that is a round number; the top is exact."""
    rows, scale = len(picture.grid), picture.scale
    marks = [""] * rows
    if not scale:
        return marks
    step = _round_step(scale / 3.5)
    for hosts in range(step, scale, step):
        row = rows - round(hosts * rows / scale)
        if 2 <= row <= rows - 3:
            marks[row] = count_words(hosts)
    marks[0], marks[-1] = count_words(scale), "0"
    return marks


def _round_step(least: float) -> int:
    step = 1
    while True:
        for factor in (1, 2, 5):
            if step * factor >= least:
                return step * factor
        step *= 10


def axis(look: Look, history: History, picture: Picture, cursor: int | None) -> list[str]:
    """The line of time under the plot and its dates, each as wide as the plot."""
    width, paint = len(picture.columns), look.paint
    level, tick = ("-", "^") if look.ascii else ("─", "┴")
    parts = [(level, paint.line)] * width
    if cursor is not None:
        parts[cursor] = (tick, paint.tones[Tone.ACCENT])
    return [_spans(look, parts), look.pen(Tone.HINT, _dates(history, picture.columns))]


def _dates(history: History, columns: Sequence[Column]) -> str:
    """Some moments below their columns; the last is now."""
    width = len(columns)
    text = "now"[:width].rjust(width)
    count = max(min(width // 22, 6), 1)
    for number in range(count):
        at = number * width // count
        words = _axis_words(history, columns[at])
        if at + len(words) + 2 <= width - 3:
            text = text[:at] + words + text[at + len(words) :]
    return text


def _axis_words(history: History, column: Column) -> str:
    local, length_s = column.end.astimezone(history.now.tzinfo), history.length_s
    if length_s < 7200:
        return f"{local:%H:%M:%S}" if length_s <= 1800 else f"{local:%H:%M}"
    if length_s <= 8 * DAY_S and abs((history.now.date() - local.date()).days) < 7:
        return clock_words(column.end, history.now)
    return date_words(local, history.now)
