"""A host's panel, its own screen's sections and its story, as lines."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from actions.brief import brief, packed
from collectors.inventory import parse_fleet
from collectors.memory import remember
from collectors.records import HostRecord
from collectors.slots import next_words
from console.board import Look
from console.demo.scenarios import SCENARIOS
from console.document import Asked, host_document
from console.fleet_view import Extract, host_row
from console.host_page import HostPage, row_of, what_words
from console.palette import PALETTES
from console.render_diff import Step
from console.render_panel import Form, bare, form_of, panel
from console.rows import HostRow, SlotCell
from console.states import STATES, word_of
from console.story import next_of_row
from console.tone import Tone
from console.visible import cells
from tests.unit.test_demo_states import START, UNREACHED, facts_of, shown
from tests.unit.test_render_host import HOST, NOW, changed

LOOKS = (
    Look(),
    Look(PALETTES["light"], "#4fd0c3"),
    Look(ascii=True),
    Look(plain=True),
    Look(ascii=True, plain=True),
)
SIZES = ((52, 33), (52, 20), (120, 12), (100, 12), (80, 4), (60, 9), (200, 12))
SPAN = re.compile(r"\x1b\[[0-9;]*m([^\x1b]*)\x1b\[0m")


def cell(version: str | None, flags: str, *, dead: bool = False) -> SlotCell:
    priority, tries, successful = (int(part) for part in flags.split("/"))
    return SlotCell(version, priority, tries, bool(successful), dead)


STAGED = HostRow(
    "edge-fra-014",
    "10.12.0.14",
    "staged",
    groups=("edge",),
    labels={"site": "fra", "rack": "a"},
    reasons=(
        ("staged", "4593.2.5 is staged in B, it boots next"),
        ("behind", "1 release behind stable 4593.2.5"),
    ),
    version="4593.2.4",
    channel="stable",
    running="A",
    next="B",
    slot_a=cell("4593.2.4", "1/0/1"),
    slot_b=cell("4593.2.5", "2/1/0"),
    behind=1,
    reach="ok",
    arch="amd64",
    taken_at=NOW - timedelta(seconds=14),
)
REVERTED = replace(
    STAGED,
    state="reverted",
    next="A",
    slot_b=cell("4593.2.5", "2/0/0", dead=True),
    reasons=(("reverted_fresh", "B failed to boot, A came back"), *(("x", f"reason {n}") for n in range(9))),
    remedy="read the previous boot's journal before this version is tried again",
)
NEVER = HostRow(
    "edge-fra-015", "10.0.0.15", "unreachable", reasons=(("never_asked", "never asked"),), remedy="collect"
)
UNREAD = replace(STAGED, state="incomplete", running="A", next=None, slot_a=None, slot_b=None)
PXE = replace(UNREAD, state="no_slots", running=None)
SILENT = replace(STAGED, state="unreachable", reach="timeout", stale=True, taken_at=NOW - timedelta(hours=3))
WIPE = replace(STAGED, state="reset_armed", reasons=(("reset_armed", "the next reboot wipes the host"),))


def step(path: str, old: object, new: object, minutes: int = 0) -> Step:
    return Step("edge-fra-014", NOW - timedelta(minutes=minutes), path, old, new)


STEPS = (
    step("/os/version_id", "4593.2.3", "4593.2.4", 60 * 24 * 30),
    step("/identity/boot_id", "a", "b", 60 * 24 * 30),
    step("/running", "B", "A", 60 * 24 * 30),
    step("/operation", "UPDATE_STATUS_IDLE", "UPDATE_STATUS_DOWNLOADING", 90),
    step("/new_version", None, "4593.2.5", 90),
    step("/operation", "UPDATE_STATUS_DOWNLOADING", "UPDATE_STATUS_UPDATED_NEED_REBOOT", 60),
    step("/slots/b/tries", 0, 1, 60),
    step("/reach", "ok", "timeout", 40),
    step("/reach", "timeout", "ok", 30),
    step("/identity/boot_id", "b", "c", 30),
    step("/slots/b/tries", 1, 0, 30),
    step("/new_version", "4593.2.5", None, 30),
)
PAGE = HostPage("edge-fra-014", HOST, STEPS, NOW)


def fits(lines: list[str], width: int, look: Look) -> None:
    """Every line is flat spans of visible text, no wider than asked."""
    for line in lines:
        shown = SPAN.sub(r"\1", line)
        assert shown.isprintable(), line
        assert cells(shown) <= width, (cells(shown), shown)
        assert not look.ascii or shown.isascii(), shown


def text(lines: list[str]) -> list[str]:
    return [bare(line).rstrip() for line in lines]


def side(row: HostRow, page: HostPage | None = None, height: int = 33) -> list[str]:
    return text(panel(row, page, Look(), NOW, 52, height))


# The panel


def test_the_form_follows_from_the_size() -> None:
    assert [form_of(*size) for size in ((52, 33), (120, 12), (80, 4), (60, 9))] == [
        Form.SIDE,
        Form.BELOW,
        Form.STRIP,
        Form.SIDE,
    ]


def test_beside_the_table_a_staged_host() -> None:
    assert side(STAGED)[:19] == [
        "",
        "   edge-fra-014                           ◕ staged",
        "   10.12.0.14   edge   fra/a   stable   amd64",
        "",
        "   4593.2.5 in B waits for the next boot.",
        "",
        "   ┏━ A running ━━━━━━┓      ┌─ B boots next ───┐",
        "   ┃ 4593.2.4         ┃      │ 4593.2.5         │",
        "   ┃ confirmed        ┃  →   │ not tried yet    │",
        "   ┃ prio 1   tries 0 ┃      │ prio 2   tries 1 │",
        "   ┗━━━━━━━━━━━━━━━━━━┛      └──────────────────┘",
        "   ► next boot B 4593.2.5, one try, else back to A",
        "",
        "   why ───────────────────────────────────────────",
        "   1  4593.2.5 is staged in B, it boots next",
        "   2  1 release behind stable 4593.2.5",
        "",
        "   you can ───────────────────────────────────────",
        "   enter all of it; then l log, S terminal",
    ]


@pytest.mark.parametrize("row", [STAGED, REVERTED, SILENT, PXE, WIPE], ids=lambda row: row.state)
@pytest.mark.parametrize("size", [(52, 33), (52, 22), (120, 12), (100, 12)])
def test_nothing_moves_when_the_page_arrives(row: HostRow, size: tuple[int, int]) -> None:
    before, after = (text(panel(row, page, Look(), NOW, *size)) for page in (None, PAGE))
    assert len(after) >= len(before)
    for early, late in zip(before, after, strict=False):
        assert late.startswith(early)


def test_a_page_adds_facts_and_the_timeline() -> None:
    lines = side(STAGED, PAGE, 60)
    told = " ".join(" ".join(lines).split())
    for words in (
        "updater idle, last check 03:00",
        "failed DownloadTransferError (code 9), 4593.2.5",
        "reboots will reboot by itself, managed by locksmithd, running",
        "ext 0 merged, nvidia not merged, not compatible with this OS",
        "health system degraded, failed a.service, 12 containers",
    ):
        assert words in told
    assert lines[-6:] == [
        "   timeline ──────────────────────────────────────",
        "   02:42   ◄  tried B 4593.2.5, back on A  + 1",
        "   02:32   ◌  went silent",
        "   02:12   ◕  staged 4593.2.5 in B",
        "   01:42   ◔  began to stage 4593.2.5",
        "   21 Jul  ↑  booted 4593.2.4 from A",
    ]


def test_what_is_too_long_says_how_much_is_missing() -> None:
    lines = side(REVERTED, PAGE, 30)
    assert "   + 7 more, enter shows all" in lines
    assert len(lines) <= 30
    assert any(re.fullmatch(r" +\+ \d more, enter shows all", line) for line in lines[-1:])


def test_below_the_table_in_columns() -> None:
    assert text(panel(REVERTED, PAGE, Look(), NOW, 120, 12))[:4] == [
        "  edge-fra-014   edge   fra/a   stable   amd64" + " " * 62 + "◄ reverted",
        "  It booted B 4593.2.5, never confirmed it, and came back on A 4593.2.4.",
        "  ┏━ A running ━━━━━━┓      ┌╌ B will not boot ┐    "
        "why ─────────────────────────   timeline ─────────────────────────",
        "  ┃ 4593.2.4         ┃      ╎ 4593.2.5         ╎    "
        "1  B failed to boot, A came     02:42  ◄ tried B 4593.2.5, back o…",
    ]


def test_a_strip_of_four_lines() -> None:
    assert text(panel(STAGED, None, Look(), NOW, 80, 4)) == [
        " edge-fra-014   edge   fra/a   stable   amd64                          ◕ staged",
        " A►4593.2.4   B→4593.2.5    next boot B 4593.2.5, one try, else back to A",
        " ◕ 4593.2.5 is staged in B, it boots next  + 1 more",
        " behind by 1 release, read 14 s ago                             enter all of it",
    ]
    by_itself = replace(
        STAGED,
        will_reboot_by_itself=True,
        reasons=(("staged_will_reboot", "locksmithd reboots it by itself"),),
    )
    assert text(panel(by_itself, None, Look(), NOW, 80, 4))[2] == " ▲ locksmithd reboots it by itself"
    assert text(panel(None, None, Look(), NOW, 80, 4)) == [" no host chosen"]


@pytest.mark.parametrize(
    ("row", "top", "second", "sign", "boot"),
    [
        (
            NEVER,
            "┌╌ A ╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐      ┌╌ B ╌╌",
            "╎ not asked ",
            " ",
            "next boot cannot say: slots not asked",
        ),
        (
            UNREAD,
            "┏━ A running ━━━━━━┓      ┌╌ B ╌╌╌╌╌╌╌╌╌╌╌╌╌╌┐",
            "┃ 4593.2.4         ┃      ╎ not read ",
            " ",
            "next boot cannot say: slots not read",
        ),
        (
            REVERTED,
            "┏━ A running ━━━━━━┓      ┌╌ B will not boot ┐",
            "┃ 4593.2.4 ",
            "×",
            "next boot A 4593.2.4, B has",
        ),
        (
            SILENT,
            "┌─ A ran ──────────┐      ┌─ B to boot next ─┐",
            "│ 4593.2.4 ",
            " ",
            "when last seen B 4593.2.5, one",
        ),
        (
            WIPE,
            "┏━ A running ━━━━━━┓      ┌─ B boots next ───┐",
            "┃ 4593.2.4 ",
            "→",
            "next boot B 4593.2.5, one try",
        ),
        (
            replace(STAGED, state="staging", progress=0.5),
            "┏━ A running ━━━━━━┓      ┌╌ B writing ╌╌╌╌╌╌┐",
            "┃ 4593.2.4         ┃      ╎ being written    ╎",
            "→",
            "next boot B 4593.2.5",
        ),
        (
            replace(STAGED, running="B", next="A", slot_b=cell("4593.2.5", "1/0/1")),
            "┌─ A boots next ───┐      ┏━ B running ━━━━━━┓",
            "│ 4593.2.4 ",
            "←",
            "next boot A 4593.2.4, confirmed before",
        ),
        (
            replace(STAGED, next="A", slot_b=cell(None, "0/0/0")),
            "┏━ A running ━━━━━━┓      ┌╌ B empty ╌╌╌╌╌╌╌╌┐",
            "┃ 4593.2.4         ┃      ╎ nothing",
            " ",
            "next boot A 4593.2.4 again, B is not bootable",
        ),
    ],
)
def test_the_boxes_say_what_each_slot_will_do(
    row: HostRow, top: str, second: str, sign: str, boot: str
) -> None:
    lines = side(row)
    at = next(index for index, line in enumerate(lines) if line.startswith(f"   {top}"))
    assert lines[at + 1].startswith(f"   {second}")
    assert lines[at + 2][25] == sign
    assert lines[at + 5].startswith(f"   ► {boot}")


def test_a_host_without_slots_has_no_boxes() -> None:
    lines = side(PXE)
    assert "   no slots: to update it boots another image" in lines
    assert not any("┌" in line or "next boot" in line for line in lines)


def test_an_armed_wipe_is_in_the_sentence_and_in_red() -> None:
    lines = panel(WIPE, None, Look(), NOW, 52, 33)
    assert "   The next boot wipes it: do not reboot." in text(lines)
    pen = Look().pen
    assert f"     {pen(Tone.BAD, 'A; it wipes the host first')}" in lines, text(lines)


def test_what_is_old_says_how_old() -> None:
    assert side(SILENT)[1].endswith("◌ unreachable, seen 3 h ago")
    assert side(replace(STAGED, stale=True))[1].endswith("◕ staged, seen 14 s ago")
    assert side(replace(STAGED, state="current", certain=False))[1].endswith("● current?")


@pytest.mark.parametrize("state", STATES)
def test_every_state_has_a_sentence_and_fits_everywhere(state: str) -> None:
    for row in (replace(STAGED, state=state), replace(NEVER, state=state), replace(UNREAD, state=state)):
        assert what_words(row).strip()
        assert "None" not in what_words(row)
        for width, height in SIZES:
            for look in LOOKS:
                lines = panel(row, PAGE, look, NOW, width, height)
                fits(lines, width, look)
                assert len(lines) <= height
                assert word_of(state, certain=row.certain) in " ".join(text(lines)[:2])


# One wording for the next boot


def seen(name: str) -> tuple[HostRow, dict[str, Any]]:
    """A scenario's host as a row and as a document, as the store's two ways make them."""
    fleet = parse_fleet('name = "demo"\n[[hosts]]\nname = "edge-fra-01"\n', file="fleet.toml")
    meaning = shown(name, "edge-fra-01")
    facts = None if name in UNREACHED else facts_of(name, "edge-fra-01")
    memory = remember(None, facts, START) if facts else None
    at, reach = START.isoformat(), str(UNREACHED.get(name, "ok"))
    record = HostRecord(
        "edge-fra-01", at, at if facts else None, reach, "", at, None, None, None, None, None, None, None, ""
    )
    document = host_document(Asked(fleet.hosts[0], None, record, START), facts, memory, meaning)
    extract = Extract("", "", "", None, "demo", None, 900.0, {}, [])
    plain = ["edge-fra-01", "edge-fra-01", 22, [], {}, None]
    short = json.loads(packed(brief(facts, memory, meaning)))
    return host_row(plain, short, (record.taken_at, reach), extract, START), document


@pytest.mark.parametrize("name", SCENARIOS)
def test_row_and_document_tell_the_next_boot_in_the_same_words(name: str) -> None:
    row, document = seen(name)
    if document["slots"] is not None:
        assert next_of_row(row) == document["slots"]["next_words"]
    elif row.taken_at is not None:
        assert next_of_row(row) == next_words(None, None, {})
    else:
        assert next_of_row(row) == "cannot say: slots not asked"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_page_makes_the_row_that_the_table_has(name: str) -> None:
    row, document = seen(name)
    made = row_of(HostPage("edge-fra-01", document, (), START))
    told = ["state", "reasons", "remedy", "version", "reach", "next", "slot_a", "slot_b"]
    if document["slots"] is not None:
        told.append("running")  # without slots, a document does not name the one that runs
    for field in told:
        assert getattr(made, field) == getattr(row, field), field
    assert what_words(made) == what_words(row)
    assert (made.taken_at, made.will_reboot_by_itself) == (row.taken_at, row.will_reboot_by_itself)


def test_a_moment_that_is_none_is_shown_as_it_is() -> None:
    page = replace(PAGE, document=changed(taken_at="yesterday", update={"last_checked_at": "soon"}))
    assert row_of(page).taken_at is None
    assert "last check soon" in " ".join(text(panel(STAGED, page, Look(), NOW, 52, 60)))
    naive = replace(PAGE, document=changed(taken_at=datetime(2026, 8, 20).isoformat()))  # noqa: DTZ001
    assert row_of(naive).taken_at is None
