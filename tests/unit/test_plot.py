"""The plot: exact widths in every look, every version visible, heights as near as cells allow."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.board import Look
from console.history import Column, History, columns, layers
from console.palette import PALETTES, PLAIN
from console.plot import (
    MAX_LAYERS,
    Cell,
    Picture,
    chart,
    chart_left,
    chart_room,
    is_lettered,
    labels,
    lay_out,
    plot_rows,
    scale_marks,
    settle,
)
from console.visible import cells

NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=timezone(timedelta(hours=2), "CEST"))
SGR = re.compile(r"\x1b\[[0-9;]*m")
LOOKS = [
    *(Look(palette) for palette in PALETTES.values()),
    Look(ascii=True),
    Look(plain=True),
    Look(ascii=True, plain=True),
]
NAMES = ["4593.2.5", "4593.2.4", "4593.2.3", "4593.2.2", "4459.2.4", "4081.3.9", "4757.1.0", "4790.0.0", None]
COUNTS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3000), max_size=9)


def plain(line: str) -> str:
    return SGR.sub("", line)


def column(counts: dict[str | None, int] | None, number: int = 0) -> Column:
    at = NOW - timedelta(hours=number)
    return Column(at - timedelta(hours=1), at, counts)


def picture_of(held: list[dict[str | None, int]], rows: int, *, lettered: bool) -> Picture:
    shown = tuple(column(counts, len(held) - 1 - number) for number, counts in enumerate(held))
    return lay_out(shown, layers(shown, min(MAX_LAYERS, rows - 1)), rows, lettered=lettered)


def heights(picture: Picture, at: int) -> dict[int, float]:
    """How high each layer stands in a column, in cells."""
    found: dict[int, float] = {}
    for row in picture.grid:
        cell = row[at]
        if cell.below is not None:
            found[cell.below] = found.get(cell.below, 0) + (1 if cell.above == cell.below else cell.lower / 8)
        if cell.above is not None and cell.above != cell.below:
            found[cell.above] = found.get(cell.above, 0) + 1 - cell.lower / 8
    return found


@given(st.lists(COUNTS, min_size=1, max_size=4), st.integers(7, 26), st.booleans())
def test_every_layer_with_a_host_is_seen_and_no_other(
    held: list[dict[str | None, int]], rows: int, lettered: bool
) -> None:
    picture = picture_of(held, rows, lettered=lettered)
    for at, shown in enumerate(picture.columns):
        present = {index for index, layer in enumerate(picture.layers) if layer.count(shown)}
        assert set(heights(picture, at)) == present
        order = [cell for row in picture.grid for cell in (row[at].above, row[at].below) if cell is not None]
        assert order == sorted(order), "from the top down, in the order of the layers"


@given(st.lists(COUNTS, min_size=1, max_size=4), st.integers(7, 26))
def test_a_layer_is_as_high_as_its_share(held: list[dict[str | None, int]], rows: int) -> None:
    """Layers thinner than a cell push the others, each by less than one."""
    picture = picture_of(held, rows, lettered=False)
    for at, shown in enumerate(picture.columns):
        found = heights(picture, at)
        thin = sum(layer.count(shown) * rows < 2 * picture.scale for layer in picture.layers)
        for index, layer in enumerate(picture.layers):
            exact = layer.count(shown) * rows / picture.scale if picture.scale else 0
            assert abs(found.get(index, 0) - exact) <= 1 + thin


def test_thick_layers_are_exact_to_an_eighth() -> None:
    picture = picture_of(
        [{"4593.2.5": 1000, "4593.2.4": 2000}, {"4593.2.5": 1300, "4593.2.4": 1700}], 12, lettered=False
    )
    assert heights(picture, 0) == {0: 4, 1: 8}
    assert heights(picture, 1) == {0: 5.25, 1: 6.75}


@given(st.lists(st.integers(0, 104), max_size=7).map(sorted), st.sampled_from([1, 8]))
def test_tops_rise_and_no_two_share_a_cell(targets: list[int], unit: int) -> None:
    tops = settle(targets, 104, unit)
    assert len(tops) == len(targets)
    for below, above in zip([0, *tops], tops, strict=False):
        assert 0 <= below < above <= 104
        assert below // unit != above // unit or below % unit == 0 or above % unit == 0
    spread = [(target // 8 + 1) * 8 for target in targets]
    if len(set(spread)) == len(spread) and 104 not in targets and 0 not in targets:
        assert tops == targets


@given(st.lists(COUNTS, min_size=2, max_size=60), st.integers(7, 20), st.sampled_from(LOOKS), st.data())
@settings(max_examples=60)
def test_every_line_is_exactly_as_wide_as_asked_for(
    held: list[dict[str | None, int]], rows: int, look: Look, data: st.DataObject
) -> None:
    picture = picture_of(held, rows, lettered=is_lettered(look))
    cursor = data.draw(st.none() | st.integers(0, len(held) - 1))
    width = len(held) + data.draw(st.integers(0, 40))
    history = History(NOW, "day", NOW - timedelta(days=9))
    lines = chart(look, history, picture, cursor, {"4459.2.4": "end of life"}, width)
    assert len(lines) == rows + 2
    assert [cells(plain(line)) for line in lines] == [width] * (rows + 2)
    if look.ascii:
        assert all(line.isascii() for line in lines)
    if look.plain:
        assert {code for line in lines for code in SGR.findall(line)} <= {"\x1b[1m", "\x1b[7m", "\x1b[0m"}
    for line in lines:
        assert re.fullmatch(r"(?:[^\x1b]|\x1b\[[0-9;]+m[^\x1b]+\x1b\[0m)*", line), "flat spans"


@pytest.mark.parametrize("width", [20, 40, 76, 116, 196])
@pytest.mark.parametrize("look", LOOKS[-4:])
def test_a_chart_fills_the_width_it_is_given(look: Look, width: int) -> None:
    hosts = {"4593.2.5": ((NOW - timedelta(days=9), 1391),), None: ((NOW - timedelta(days=9), 18),)}
    history = History(NOW, "week", NOW - timedelta(days=9), hosts)
    lettered = is_lettered(look)
    shown = columns(history, chart_room(history, width, lettered=lettered))
    picture = lay_out(shown, layers(shown, MAX_LAYERS), 8, lettered=lettered)
    lines = chart(look, history, picture, None, {}, width)
    assert {cells(plain(line)) for line in lines} == {width}
    assert ("1,391" in "".join(map(plain, lines))) is (width > 40)
    assert chart_left(picture, width) >= 0


def test_each_version_has_its_letter_and_its_count_at_the_right() -> None:
    look = Look(ascii=True, plain=True)
    picture = picture_of([{"4593.2.5": 1391, "4593.2.4": 1207, None: 18}] * 30, 10, lettered=True)
    text = [plain(line) for line in labels(look, picture, {}, 20)]
    found = [line.split() for line in text if line.strip()]
    assert found == [["?", "not", "known", "18"], ["a", "4593.2.5", "1,391"], ["b", "4593.2.4", "1,207"]]
    rows = plot_rows(look, picture, None)
    assert plain(rows[0]) == "?" * 30
    assert set(plain(rows[1])) == {"a"}
    assert set(plain(rows[-1])) == {"b"}
    assert any("4593.2.5" in row for row in rows)


def test_the_colours_are_those_of_the_theme() -> None:
    for look in LOOKS[:4]:
        picture = picture_of([{"4593.2.5": 5, "4593.2.4": 3}] * 3, 8, lettered=False)
        codes = "".join(plot_rows(look, picture, None))
        red, green, blue = (int(look.palette.versions[0][at : at + 2], 16) for at in (1, 3, 5))
        assert f"48;2;{red};{green};{blue}" in codes


def test_two_versions_in_one_cell_are_ink_and_ground() -> None:
    look = Look()
    picture = picture_of([{"4593.2.5": 9, "4593.2.4": 7}], 8, lettered=False)
    assert Cell(1, 0, 4) in [row[0] for row in picture.grid]
    newer, older = (fill.partition("48;")[2] for fill in look.paint.versions[:2])
    assert f"\x1b[38;{older};48;{newer}m▄\x1b[0m" in plot_rows(look, picture, None)


def test_not_known_is_hatched_and_not_watched_is_empty() -> None:
    shown = (*[column(None, 40 - number) for number in range(30)], column({"4593.2.5": 30, None: 1}))
    picture = lay_out(shown, layers(shown, 6), 8, lettered=False)
    rows = [plain(row) for row in plot_rows(Look(), picture, None)]
    assert rows[0] == " " * 30 + "▒"
    assert "not watched then" in "".join(rows)
    assert set("".join(row[:30] for row in rows)) <= set(" not watched then")


def test_the_cursor_is_seen_in_every_row_of_a_plain_plot() -> None:
    look = Look(plain=True)
    picture = picture_of([{"4593.2.5": 5}] * 20, 7, lettered=True)
    assert all("\x1b[7ma\x1b[0m" in row for row in plot_rows(look, picture, 3))
    assert not any("\x1b[7m" in row for row in plot_rows(look, picture, None))
    assert PLAIN.plain


def test_the_scale_names_the_top_and_round_numbers() -> None:
    picture = picture_of([{"4593.2.5": 3214}], 13, lettered=False)
    marks = scale_marks(picture)
    assert (marks[0], marks[-1]) == ("3,214", "0")
    assert [mark for mark in marks if mark] == ["3,214", "2,000", "0"] or "1,000" in marks
    assert scale_marks(picture_of([{}], 9, lettered=False)) == [""] * 9


def test_text_from_hosts_is_made_visible() -> None:
    evil = "4593\x1b[2J\u202e漢字"
    picture = picture_of([{evil: 5}] * 60, 8, lettered=False)
    history = History(NOW, "day", NOW - timedelta(days=9))
    lines = chart(Look(), history, replace(picture), 5, {}, 90)
    assert {cells(plain(line)) for line in lines} == {90}
    assert not any(sign in plain("".join(lines)) for sign in ("\x1b", "\u202e"))
