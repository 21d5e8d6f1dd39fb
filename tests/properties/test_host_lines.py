"""Nothing that a host says changes what draws it: no control character, no code, no line too long."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from console.board import Look
from console.host_page import HostPage, row_of
from console.render_diff import Step
from console.render_page import facts_page, head_lines, log_page, raw_page, timeline_page
from console.render_panel import panel
from console.states import STATES
from tests.unit.test_render_host import HOST, NOW, changed, leaves, never_asked
from tests.unit.test_render_panel import LOOKS, SIZES, STAGED, STEPS, cell, fits

HOSTILE = st.text(
    st.one_of(
        st.sampled_from("\x1b\x9b\x07\r\n\t\u202e\u200b\ufe0f東é[]()<>m; a"),
        st.characters(categories=["Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs", "Mn", "Lu", "Lo"]),
    ),
    max_size=60,
)
KEYS = [("d", "facts"), ("t", "timeline"), ("l", "log"), ("x", "raw")]
LOOK = st.sampled_from(LOOKS)
_CHOICES = ("running", "next")


@settings(max_examples=60, deadline=None)
@given(data=st.data(), look=LOOK, said=HOSTILE)
def test_nothing_in_a_document_or_its_steps_reaches_the_screen_as_it_is(
    data: st.DataObject, look: Look, said: str
) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from([HOST, changed(slots=None), never_asked()])))
    for path in data.draw(st.lists(st.sampled_from(list(leaves(document))), max_size=8)):
        inner: Any = document
        for key in path[:-1]:
            inner = inner[key]
        if path[-1] not in _CHOICES:
            inner[path[-1]] = said
    names = st.one_of(HOSTILE, st.sampled_from([item.path for item in STEPS]))
    values = st.one_of(HOSTILE, st.none(), st.integers(), st.lists(HOSTILE, max_size=2), st.booleans())
    steps = [Step("edge", NOW, data.draw(names), data.draw(values), data.draw(values)) for _ in range(3)]
    page = HostPage(said, document, (*STEPS, *steps), NOW)
    for width in (55, 76, 195):
        fits(facts_page(page, look, width), width, look)
        fits(timeline_page(page, look, width), width, look)
        fits(head_lines(said, page, "log", KEYS, look, width), width, look)
    for width, height in SIZES:
        fits(panel(row_of(page), page, look, NOW, width, height), width, look)


@settings(max_examples=100, deadline=None)
@given(
    said=st.lists(HOSTILE, min_size=12, max_size=12),
    look=LOOK,
    size=st.sampled_from(SIZES),
    state=st.sampled_from([*STATES, "melted"]),
    progress=st.one_of(st.none(), st.floats(0, 1)),
)
def test_nothing_in_a_row_reaches_the_screen_as_it_is(
    said: list[str], look: Look, size: tuple[int, int], state: str, progress: float | None
) -> None:
    row = replace(
        STAGED,
        name=said[0],
        address=said[1],
        state=state,
        groups=(said[2],),
        labels={said[3]: said[4]},
        hold=said[5],
        reasons=((said[6], said[7]), ("staged_window", said[8])),
        remedy=said[9],
        channel=said[10],
        arch=said[11],
        version=said[2],
        health=said[3],
        progress=progress,
        will_reboot_by_itself=len(said[0]) % 2 == 0,
        extension_problems=(said[4],),
        slot_a=cell(said[5], "15/15/1"),
        slot_b=cell(said[6] or None, "2/0/0", dead=True),
    )
    lines = panel(row, None, look, NOW, *size)
    fits(lines, size[0], look)
    assert len(lines) <= size[1]


@settings(max_examples=60, deadline=None)
@given(found=st.lists(st.tuples(HOSTILE, HOSTILE), max_size=5), look=LOOK, width=st.integers(20, 90))
def test_nothing_in_a_log_or_a_raw_answer_reaches_the_screen_as_it_is(
    found: list[tuple[str, str]], look: Look, width: int
) -> None:
    fits(raw_page(found, "03:12", look, width), width, look)
    fits(log_page([line for pair in found for line in pair], look, width), width, look)
    fits(log_page(found[0][1] if found else "", look, width), width, look)
