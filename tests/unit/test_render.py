"""The text of `status` and `collect`: every host as it is, on every terminal, and nothing that harms one."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from console.render import Change, changes_text, status_text, summary_lines
from console.rows import Alert, FleetView, HostRow, SlotCell, summarize
from console.states import STATES
from console.visible import cells

NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=timezone(timedelta(hours=2), "CEST"))
SEEN = NOW - timedelta(seconds=14)
SGR = re.compile(r"\x1b\[[0-9;]*m")
HOSTILE = "x\x1b[2J\x9b31m\r\n\u202eevil\u200b\x07"

Json = dict[str, Any]


def slot(version: str | None, priority: int = 1, tries: int = 0, **more: Any) -> SlotCell:
    return SlotCell(version, priority, tries, **{"successful": True, "dead": False, **more})


WELL = HostRow(
    "edge-fra-001",
    "10.12.0.1",
    "current",
    groups=("edge",),
    version="4593.2.5",
    running="B",
    next="B",
    slot_a=slot("4593.2.4"),
    slot_b=slot("4593.2.5", 2),
    behind=0,
    reach="ok",
    taken_at=SEEN,
    reasons=(("current", "runs the newest of stable"), ("rollback_available", "A ran before")),
)
OLD = replace(
    WELL,
    version="4593.2.4",
    running="A",
    next="A",
    slot_a=slot("4593.2.4", 2),
    slot_b=slot("4593.2.3"),
    behind=1,
)


def row(name: str, state: str, reason: str = "", **more: Any) -> HostRow:
    return replace(OLD, name=name, state=state, reasons=((state, reason),) if reason else (), **more)


SILENT: Json = {
    "slot_a": None,
    "slot_b": None,
    "running": None,
    "next": None,
    "version": None,
    "behind": None,
}
FLEET = (
    WELL,
    row("edge-021", "host_key_changed", "not the key", reach="host_key_changed", taken_at=None, **SILENT),
    row("edge-014", "reverted", "B failed to boot", slot_b=slot("4593.2.5", 3, successful=False, dead=True)),
    row("k8s-112", "failed", "staging failed: timeout, code 9", slot_b=slot(None)),
    row(
        "edge-044",
        "unreachable",
        "no answer",
        reach="timeout",
        stale=True,
        taken_at=NOW - timedelta(minutes=41),
    ),
    row(
        "edge-029",
        "incomplete",
        "sudo refused: slots not read",
        **{**SILENT, "running": "A", "version": "4593.2.4"},
    ),
    row("edge-030", "incomplete", "slots not read", **{**SILENT, "version": "4593.2.4"}),
    row(
        "edge-017", "unconfirmed", "B is not confirmed yet", running="B", next="B", slot_b=slot("4593.2.5", 2)
    ),
    row("edge-022", "staging", "downloading, 62%", progress=0.62),
    row(
        "k8s-030",
        "staged",
        "4593.2.5 is staged in B",
        next="B",
        slot_b=slot("4593.2.5", 3, 1, successful=False),
    ),
    row("k8s-031", "staged", "staged", next="B", will_reboot_by_itself=True),
    row("edge-040", "rebooting", "it is rebooting", reach="rebooting"),
    row("build-1", "behind", "1 release behind stable 4593.2.5"),
    row("db-0", "held", "ops", hold="no reboots before ops-1432"),
    row("new-1", "drift", "follows beta, wanted is stable", slot_b=slot(None, 0, successful=False)),
    row("pxe-1", "no_slots", "an image without slots", **{**SILENT, "version": "4593.2.4"}),
)


def view(rows: tuple[HostRow, ...] | list[HostRow] = FLEET, **more: Any) -> FleetView:
    known: Json = {
        "fleet_hosts": len(rows),
        "taken_at": SEEN,
        "feed_date": date(2026, 8, 19),
        "feed_age_s": 3600.0,
        "accent": "#4fd0c3",
        "version_notes": {"4593.2.5": "stable head"},
    }
    return FleetView("prod", NOW, rows, **{**known, **more})


def plain(shown: FleetView, width: int = 120, *, ascii: bool = False, full: bool = False) -> str:
    return status_text(shown, colour=False, ascii=ascii, width=width, full=full)


def line_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(name))


def test_the_head_says_who_and_when_and_the_verdict() -> None:
    text = plain(view())
    assert text.splitlines()[0] == "prod  16 hosts, 13 answered, taken 03:12 CEST, 14 s ago"
    assert "8 hosts need a look. 1 host never answered." in text
    assert "1 host not seen for 15 min or more: what is shown of it is old." in " ".join(text.split())
    assert "1 host is behind. 1 host will reboot by itself." in " ".join(text.split())


def test_one_line_a_host_with_its_slots_and_reason() -> None:
    text = plain(view(), 132)
    expected = {
        "edge-021": "≠ key changed  A not asked  B not asked           never  not the key",
        "edge-014": "◄ reverted     A►4593.2.4   B 4593.2.5×       1          B failed to boot",
        "k8s-112": "× failed       A►4593.2.4   B ?               1          staging failed: timeout, code 9",
        "edge-044": "◌ unreachable  A 4593.2.4   B 4593.2.3        1  41 min  no answer; was A►",
        "edge-029": "… incomplete   A►4593.2.4   B not read        ?          sudo refused: slots not read",
        "edge-030": "… incomplete   4593.2.4, slots not read       ?          slots not read",
        "edge-017": "△ unconfirmed  A 4593.2.4   B►4593.2.5        1          B is not confirmed yet",
        "edge-022": "◔ staging      A►4593.2.4   B writing         1          ━━━━━─── downloading, 62%",
        "k8s-030": "◕ staged       A►4593.2.4   B→4593.2.5        1          4593.2.5 is staged in B",
        "k8s-031": "◕ staged       A►4593.2.4   B→4593.2.3        1          reboots by itself; staged",
        "edge-040": "↑ rebooting    A 4593.2.4   B 4593.2.3        1          it is rebooting; was A►",
        "db-0": "■ held         A►4593.2.4   B 4593.2.3        1          no reboots before ops-1432",
        "new-1": "≈ drift        A►4593.2.4   B empty           1          follows beta, wanted is stable",
        "pxe-1": "□ no slots     4593.2.4, no slots                        an image without slots",
        "build-1": "▼ behind       A►4593.2.4   B 4593.2.3        1",
        "edge-fra-001": "● current      A 4593.2.4   B►4593.2.5",
    }
    for name, line in expected.items():
        assert line_of(text, name) == f"{name:<12}  edge   {line}", name


def test_hosts_stand_worst_first_then_by_name() -> None:
    lines = plain(view()).splitlines()
    names = [line.split()[0] for line in lines[lines.index("") :] if line.split()[:1]]
    table = names[names.index("host") + 1 : names.index("next")]
    assert table[:6] == ["edge-021", "edge-014", "k8s-112", "edge-044", "edge-029", "edge-030"]
    assert table[-3:] == ["build-1", "pxe-1", "edge-fra-001"]


def test_at_80_columns_the_reason_has_a_line_of_its_own() -> None:
    lines = plain(view(), 80).splitlines()
    at = lines.index(next(line for line in lines if line.startswith("edge-029")))
    assert lines[at + 1] == "    sudo refused: slots not read"
    well = lines.index(next(line for line in lines if line.startswith("edge-fra-001")))
    assert lines[well + 1] == "", "a healthy host is quiet"


@pytest.mark.parametrize("width", [80, 100, 120, 160])
@pytest.mark.parametrize("ascii", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, ascii: bool) -> None:
    reasons = (("failed", "why " * 90),)
    dev = slot("4593.2.0+nightly-20260801-2100")
    long = replace(
        OLD, name="n" * 80, state="staged_not_next", reasons=reasons, groups=("g" * 50,), slot_a=dev
    )
    alert = Alert("r-58", "HALTED", "4593.2.5 to edge: 3 reverted, 2 allowed. " * 4)
    for rows in (FLEET, (*FLEET, long, replace(long, name="m", stale=True)), (long,) * 70):
        lines = plain(view(rows, alerts=(alert,), selection="edge"), width, ascii=ascii).splitlines()
        commands = [line for line in lines if re.match(r"(next|    )  fleetctl \S", line)]
        assert all(cells(line) <= width for line in lines if line not in commands)
        assert all("~" not in line and "…" not in line for line in commands), "a command can be copied"
        assert ascii <= "".join(lines).isascii()


def test_colour_changes_nothing_but_colour() -> None:
    for ascii in (False, True):
        coloured = status_text(view(), colour=True, ascii=ascii, width=100)
        assert "\x1b[31m" in coloured
        assert SGR.sub("", coloured) == plain(view(), 100, ascii=ascii)
        assert "\x1b" not in plain(view(), 100, ascii=ascii)


def test_every_state_is_a_sign_and_a_word_in_both_alphabets() -> None:
    rows = [row(f"host-{index}", state, f"why {state}") for index, state in enumerate(STATES)]
    for ascii in (False, True):
        text = plain(view(rows), ascii=ascii)
        for style in STATES.values():
            sign = style.ascii if ascii else style.glyph
            assert text.count(f"{sign} {style.word}  ") >= 2, "in the counts and in the table"


def test_what_the_codes_of_reasons_hide_is_said_in_words() -> None:
    quiet = replace(WELL, name="calm", reasons=(("current", "newest"), ("never_updated", "B is empty")))
    loud = replace(
        WELL, name="drops", reasons=(("current", "newest"), ("extension_will_drop", "nvidia drops"))
    )
    text = plain(view([quiet, loud]))
    assert "B is empty" not in text
    assert line_of(text, "drops").endswith("nvidia drops")


def test_hosts_in_large_numbers_are_the_ten_worst_and_what_to_type() -> None:
    rows = [row(f"edge-{index:03}", "failed", "no space") for index in range(30)]
    rows += [replace(OLD, name=f"calm-{index:03}", state="behind", reasons=()) for index in range(40)]
    text = plain(view(rows))
    assert "30 hosts need a look, the 10 worst" in text
    assert "edge-009" in text
    assert "edge-010" not in text
    assert "  fleetctl status needs:attention   all 70 neither current nor held" in text
    assert "next  fleetctl show edge-000            everything known of the worst" in text
    chosen = view(rows, selection="it's (a or b)", fleet_hosts=3214)
    assert "fleetctl status '(it'\\''s (a or b)) needs:attention'" in plain(chosen)
    assert plain(chosen).startswith("prod  70 of 3,214 hosts, 70 answered")
    full = plain(view(rows), full=True)
    assert "calm-039" in full
    assert "the 10 worst" not in full


def test_a_large_fleet_without_trouble_lists_nobody() -> None:
    text = plain(view([replace(WELL, name=f"edge-{index:03}") for index in range(61)]))
    assert "Nothing needs you now." in text
    assert "edge-000" not in text
    assert "all 0 neither current nor held" in text


@pytest.mark.parametrize(
    ("shown", "said", "not_said"),
    [
        (view([WELL, WELL]), "Nothing needs you now.", "releases"),
        (
            view([replace(WELL, stale=True), WELL]),
            "Nothing needs you among the hosts seen lately.",
            "you now",
        ),
        (view([replace(WELL, stale=True), WELL]), "1 host not seen for 15 min or more", "you now"),
        (view([WELL], feed_date=None), "No releases are known", "old ("),
        (
            view([WELL], feed_age_s=20 * 86400.0),
            "The list of releases is 20 d old (2026-08-19)",
            "No releases",
        ),
        (view([]), "The fleet has no hosts.", "Nothing needs"),
        (view([], selection="x", fleet_hosts=5), "prod  0 of 5 hosts", "Nothing needs"),
        (view([], selection="x", fleet_hosts=5), "No host matches.", "Nothing needs"),
        (view([row("a", "unreachable", taken_at=None, reach=None)], taken_at=None), "never asked", "a look"),
        (
            view([row("a", "unreachable", taken_at=None, reach=None)], taken_at=None),
            "fleetctl collect",
            "show a",
        ),
    ],
)
def test_unknown_is_never_called_well(shown: FleetView, said: str, not_said: str) -> None:
    text = plain(shown)
    assert said in text
    assert not_said not in text


def test_current_without_proof_has_a_question_mark() -> None:
    assert "● current?" in plain(view([replace(WELL, certain=False), OLD]))


def test_a_rollout_that_waits_stands_on_top() -> None:
    alert = Alert("r-58", "HALTED", "4593.2.5 to edge: 3 reverted. It reboots nothing until answered.")
    text = plain(view(alerts=(alert,)), ascii=True)
    assert text.splitlines()[1].startswith("! HALTED  r-58 4593.2.5 to edge: 3 reverted.")
    assert "next  fleetctl rollout show r-58" in text


def test_counts_by_version_and_state() -> None:
    rows = [replace(WELL, name=f"a{index}", version=f"{4000 + index}.0.0") for index in range(12)]
    rows += [replace(WELL, name="b0", version="4009.0.0"), replace(WELL, name="b1", version=None)]
    lines = summary_lines(
        view(rows, version_notes={"4009.0.0": "end of life"}), colour=False, ascii=False, width=100
    )
    counts = [line.rstrip() for line in lines if re.match(r"(4|others|not known)", line)]
    assert re.match(r"4009\.0\.0 +end of life +2  ━", counts[0])
    assert re.match(r"others +4 versions +4  ━", counts[-2])
    assert re.match(r"not known +1  ━", counts[-1])
    assert len(counts) == 10
    assert any(re.search(r"● current +14  ━+$", line) for line in lines)


def test_the_summary_counts_rows() -> None:
    summary = summarize(FLEET)
    assert (summary.hosts, summary.answered, summary.needs_reboot) == (16, 13, 2)
    assert summary.by_state["staged"] == 2
    assert summary.by_version == {"4593.2.5": 1, "4593.2.4": 14, None: 1}
    assert summary.will_reboot_by_itself == 1
    masked = replace(OLD, reasons=(("masked", "update-engine is masked"),), extension_problems=("nvidia",))
    assert (summarize([masked, OLD]).updates_off, summarize([masked, OLD]).extension_problems) == (1, 1)


def test_hostile_text_never_reaches_the_terminal() -> None:
    cell = SlotCell(HOSTILE, 1, 0, False, True)
    bad = HostRow(
        HOSTILE,
        HOSTILE,
        HOSTILE,
        groups=(HOSTILE,),
        hold=HOSTILE,
        reasons=((HOSTILE, HOSTILE),),
        version=HOSTILE,
        running="A",
        slot_a=cell,
        slot_b=cell,
        reach="ok",
        health=HOSTILE,
        taken_at=SEEN,
    )
    rows = [
        bad,
        replace(bad, state="held"),
        replace(bad, state="no_slots", slot_a=None, slot_b=None, running=None),
    ]
    shown = view(
        rows, alerts=(Alert(HOSTILE, HOSTILE, HOSTILE),), selection=HOSTILE, version_notes={HOSTILE: HOSTILE}
    )
    shown = replace(shown, fleet=HOSTILE, accent=HOSTILE)
    changes: list[Change] = [(HOSTILE, f"/{HOSTILE}", HOSTILE, [HOSTILE, {HOSTILE: HOSTILE}])]
    for ascii in (False, True):
        for text in (
            plain(shown, ascii=ascii),
            SGR.sub("", status_text(shown, colour=True, ascii=ascii, width=80)),
            changes_text(changes, colour=False, ascii=ascii, width=80),
        ):
            assert all(line.isprintable() for line in text.split("\n"))
            assert "evil" in text


def test_what_changed_is_told_once_for_all_hosts_it_befell() -> None:
    changes: list[Change] = [(f"edge-{index}", "/os/version", "4593.2.4", "4593.2.5") for index in range(3)]
    changes += [
        ("db-1", "/flags/reset_armed", None, True),
        ("db-1", "/failed_units", ["a.service"], []),
        ("db-1", "/units/a~1b/x", 1, 2.5),
    ]
    assert changes_text(changes, colour=False, ascii=False, width=80).splitlines() == [
        "3 hosts               os.version                  4593.2.4 → 4593.2.5",
        "                      edge-0, edge-1, edge-2",
        "db-1                  failed_units                a.service → empty",
        "db-1                  flags.reset_armed           not known → yes",
        "db-1                  units.a/b.x                 1 → 2.5",
    ]
    assert changes_text([], colour=False, ascii=False, width=80) == "Nothing changed."
    assert " to 4593.2.5" in changes_text(changes, colour=False, ascii=True, width=80)


def test_status_starts_without_the_heavy_libraries() -> None:
    heavy = ("textual", "asyncssh", "httpx", "rich", "sqlite_utils", "msgspec", "ClusterShell", "asyncio")
    program = (
        "import sys, console.render, console.render_host, console.selection, console.exit_codes\n"
        "console.selection.parse('state:behind and not ~edge or version>=1.0')\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
