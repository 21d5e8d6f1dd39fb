"""Nothing that `visible` returns can harm a terminal, and it never takes more room than it was given."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from console.visible import cells, pad, visible, wrap

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"]),
        st.sampled_from("\x1b\x9b\x07\r\n\t\u202e\u200b\ufe0f東é"),
    ),
    max_size=40,
)
CUTS = st.sampled_from(["middle", "end"])
WIDTHS = st.one_of(st.none(), st.integers(0, 60))


@given(text=HOSTILE, width=WIDTHS, ascii_only=st.booleans(), cut=CUTS)
def test_the_result_is_harmless_and_fits(text: str, width: int | None, ascii_only: bool, cut: object) -> None:
    assert cut in ("middle", "end")
    shown = visible(text, width, ascii_only=ascii_only, cut="middle" if cut == "middle" else "end")
    assert shown.isprintable()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert {char for char in shown if unicodedata.category(char) == "Zs"} <= {" "}
    assert width is None or cells(shown) <= width
    assert not ascii_only or shown.isascii()
    shown.encode("ascii" if ascii_only else "utf-8")


@given(HOSTILE)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    assert visible(visible(text)) == visible(text)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_untouched(text: str) -> None:
    assert visible(text) == text


@given(HOSTILE)
def test_marks_never_pile_up(text: str) -> None:
    shown = visible(text)
    runs, run = [0], 0
    for char in shown:
        run = run + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        runs.append(run)
    assert max(runs) <= 2
    assert not shown or unicodedata.category(shown[0]) not in ("Mn", "Me")


@given(HOSTILE.map(visible), st.integers(2, 30))
def test_wrapped_lines_fit_and_keep_every_character(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert all(cells(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(HOSTILE.map(visible), st.integers(0, 80))
def test_padding_reaches_the_width(text: str, width: int) -> None:
    assert cells(pad(text, width)) == max(width, cells(text))
