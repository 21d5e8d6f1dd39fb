"""The sections of a host's own screen, as lines."""

from __future__ import annotations

from dataclasses import replace

from console.board import Look
from console.render_page import facts_page, head_lines, log_page, raw_page, timeline_page
from tests.unit.test_render_panel import PAGE, text


def test_the_timeline_is_under_its_days() -> None:
    assert text(timeline_page(PAGE, Look(), 40)) == [
        "today ──────────────────────────────────",
        "02:42  ◄  tried B 4593.2.5, back on A",
        "       ●  answers again",
        "02:32  ◌  went silent",
        "02:12  ◕  staged 4593.2.5 in B",
        "01:42  ◔  began to stage 4593.2.5",
        "",
        "Tuesday 21 Jul ─────────────────────────",
        "03:12  ↑  booted 4593.2.4 from A",
        "",
        "12 changed facts since 21 Jul 2026",
    ]
    nothing = timeline_page(replace(PAGE, steps=()), Look(), 40)
    assert text(nothing) == ["nothing has changed since it was first see…"[:39] + "…"]


def test_facts_are_the_page_of_show_below_or_beside_the_drawing() -> None:
    narrow = text(facts_page(PAGE, Look(), 76))
    assert narrow.index("why") < narrow.index("address     [2001:db8::7]:22")
    assert " 1  B failed to boot, A came back (A 2/0/1, B 3/0/0)" in narrow
    assert "reach       answers, 0.21 s" in narrow
    wide = text(facts_page(PAGE, Look(), 195))
    assert wide[0].endswith("address     [2001:db8::7]:22")
    assert any(line.startswith("02:42") for line in wide)
    assert len(wide) < len(narrow)


def test_the_head_names_the_way_and_the_sections() -> None:
    keys = [("d", "facts"), ("t", "timeline"), ("l", "log"), ("x", "raw")]
    lines = text(head_lines("edge-fra-014", PAGE, "timeline", keys, Look(), 60))
    assert lines == [
        " fleet › edge-fra-014" + " " * 28 + "◄ reverted",
        " d facts   t timeline   l log   x raw",
        "─" * 11 + "━" * 10 + "─" * 39,
    ]
    assert "\x1b[1;4m" in head_lines("edge", None, "log", keys, Look(plain=True), 60)[1]


def test_a_log_is_cut_at_its_old_end_and_says_why_there_is_none() -> None:
    lines = text(log_page([f"line {number}" for number in range(5003)], Look(), 40))
    assert (lines[0], lines[1], lines[-1]) == ("3 older lines are not shown", "line 3", "line 5002")
    assert text(log_page(["a" * 50, "  b"], Look(), 40)) == ["a" * 38, "  " + "a" * 12, "  b"]
    assert text(log_page(None, Look(), 40)) == ["asking…"]
    assert text(log_page([], Look(), 40)) == ["the log is empty"]
    assert text(log_page("the login was refused", Look(), 20)) == ["no answer: the login", "was refused"]


def test_a_raw_answer_stands_under_its_sections() -> None:
    found = [("flags", "a\t0\n\nb\x1b[2J"), ("status", "")]
    assert text(raw_page(found, "03:12", Look(), 30)) == [
        "asked just now, at 03:12",
        "",
        "flags ────────────────────────",
        "a       0",
        "",
        "b\\x1b[2J",
        "",
        "status ───────────────────────",
        "nothing",
    ]
