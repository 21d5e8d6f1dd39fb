"""Head, alarms, footer and help as lines: what is said, in which width, and that nothing is ever too long."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.board import Board, Look, Sweeping
from console.foot_line import foot_line
from console.head_line import Answered, alert_lines, count_answered, head_lines, head_zones, zone_words
from console.help_text import SELECTING, help_lines
from console.keys import MODES, Home, actions_of, places_of
from console.ordering_lock import State
from console.rows import Alert, FleetView, HostRow
from console.selection import parse
from console.states import STATES
from console.visible import cells

CODE = re.compile(r"\x1b\[([0-9;]*)m")
NOW = datetime(2026, 8, 20, 3, 12, 14, tzinfo=ZoneInfo("Europe/Berlin"))
HOSTILE = "x\x1b[2J\x9b31m\r\n\u202eevil\x07"
ROW = HostRow("edge-fra-001", "10.12.0.1", "current", reach="ok", taken_at=NOW)
SILENT = replace(ROW, name="edge-fra-044", state="unreachable", reach="timeout")
VIEW = FleetView("prod", NOW, [ROW] * 3, 3, taken_at=NOW - timedelta(seconds=14))
BOARD = Board(VIEW, Sweeping(True, "asking every 60 s"))
MOST = Answered(3214, 3196, 18)
LOOKS = (Look(), Look(ascii=True), Look(plain=True), Look(plain=True, ascii=True))


def plain(line: str) -> str:
    return CODE.sub("", line)


def head(width: int, board: Board = BOARD, answered: Answered = MOST, *, ruled: bool = True) -> list[str]:
    return [
        plain(line).rstrip()
        for line in head_lines(board, answered, "fleet", Look(plain=True), width, is_ruled=ruled)
    ]


def alarms(board: Board = BOARD, answered: Answered = MOST, width: int = 120) -> list[str]:
    return [plain(line).rstrip() for line in alert_lines(board, answered, None, LOOKS[0], width)]


def foot(
    width: int,
    home: Home = Home.FLEET,
    trail: tuple[str, ...] = (),
    said: str = "",
    state: State = "locked",
) -> str:
    return plain(foot_line(places_of(home), trail, said, Look(plain=True), width, state)).rstrip()


# The head


def test_the_head_says_fleet_modes_freshness_and_clock() -> None:
    line, rule = head(160)
    assert line.startswith(" prod   1 Fleet  2 Rollouts  6 History ")
    wanted = "3,196 of 3,214 answered   14 s ago   asking every 60 s   read-only   Thu 03:12 Berlin"
    assert line.endswith(wanted)
    assert len(line) == 159
    assert rule == "─" * 8 + "━" * 7 + "─" * 145


@pytest.mark.parametrize(
    ("width", "right"),
    [
        (140, "3,196 of 3,214 answered   14 s ago   asking every 60 s   read-only   Thu 03:12 Berlin"),
        (126, "3,196 of 3,214 answered   14 s ago   asking every 60 s   read-only   03:12"),
        (80, "3,196/3,214  14 s  read-only  03:12"),
        (68, "3,196/3,214  14 s  03:12"),
        (52, "03:12"),
    ],
)
def test_what_does_not_fit_is_said_shorter(width: int, right: str) -> None:
    (line,) = head(width, ruled=False)
    assert line.endswith(f"  {right}")
    assert len(line) == width - 1


def test_a_fleet_never_asked_says_so() -> None:
    line, _ = head(160, replace(BOARD, view=replace(VIEW, taken_at=None)), Answered(3, 0, 0))
    assert "0 of 3 answered   never asked" in line


def test_the_mode_is_underlined_where_there_is_no_rule_or_no_colour() -> None:
    def underlined(look: Look, *, ruled: bool) -> bool:
        line = head_lines(BOARD, MOST, "history", look, 80, is_ruled=ruled)[0]
        return bool(re.search(r"\x1b\[4;[0-9;]*mHist", line))

    assert underlined(Look(), ruled=False)
    assert not underlined(Look(), ruled=True)
    assert underlined(Look(plain=True), ruled=True)


def test_a_click_finds_the_mode_under_it() -> None:
    (line,) = head(80, ruled=False)
    found = {zone.mode: line[zone.start : zone.end] for zone in head_zones(BOARD, Look(), 80)}
    assert found == {"fleet": "1 Fleet", "rollouts": "2 Roll", "history": "6 Hist", "orders": "7 Ord"}
    assert tuple(found) == MODES


def test_missing_answers_raise_the_tone() -> None:
    def code(fresh: int) -> str:
        line = head_lines(BOARD, Answered(100, fresh, 0), "fleet", Look(), 160, is_ruled=True)[0]
        found = re.search(rf"\x1b\[([0-9;]*)m{fresh}\x1b", line)
        assert found is not None
        return found[1]

    assert len({code(95), code(80), code(40)}) == 3
    assert code(99) == code(91)


def test_answers_are_counted_fresh_and_silent() -> None:
    never = replace(ROW, reach=None, taken_at=None)
    assert count_answered([ROW, replace(ROW, stale=True), SILENT, never]) == Answered(4, 1, 1)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        (ZoneInfo("America/New_York"), "New York"),
        (ZoneInfo("UTC"), "UTC"),
        (UTC, "UTC"),
        (timezone(timedelta(hours=2), "CEST"), "CEST"),
    ],
)
def test_the_clock_names_its_zone(zone: ZoneInfo, words: str) -> None:
    assert zone_words(NOW.astimezone(zone)) == words


def test_unlocked_is_said_in_every_width_and_warns_along_the_whole_rule() -> None:
    def shown(width: int, board: Board = BOARD) -> list[str]:
        return head_lines(board, MOST, "fleet", Look(), width, is_ruled=True, unlocked="5 min")

    for width in range(60, 200):
        line = plain(shown(width)[0])
        assert " UNLOCKED 5 min " in line
        assert "read-only" not in line
        assert cells(line) <= width
    assert " UNLOCKED 5 min " in plain(shown(100, replace(BOARD, view=replace(VIEW, rows=())))[0])
    rule = shown(120)[1]
    assert set(CODE.findall(rule)) == {"0", "38;2;251;173;20"}
    assert plain(rule) == "─" * 8 + "━" * 7 + "─" * 105


def test_unlocked_without_colour_is_reversed() -> None:
    line = head_lines(BOARD, MOST, "fleet", Look(plain=True), 80, is_ruled=False, unlocked="under 1 min")[0]
    assert "\x1b[1;7m UNLOCKED under 1 min \x1b[0m" in line


# Alarms


def test_nothing_is_said_where_all_is_well() -> None:
    assert alarms() == []


def test_each_trouble_has_its_line_the_gravest_first() -> None:
    board = replace(
        BOARD,
        view=replace(VIEW, alerts=(Alert("r-58", "HALTED", "3 reverted, 2 allowed"),)),
        trouble="the database is locked",
        sweeping=Sweeping(False, "nobody asks: no fleet file", is_trouble=True),
    )
    first, second, third, fourth = alarms(board, Answered(10, 1, 9))
    assert first == " ■ HALTED   r-58   3 reverted, 2 allowed"
    assert second.startswith(" ■ the database is locked  ")
    assert second.endswith("what is shown is from 03:12")
    assert third.startswith(" ■ 9 of 10 hosts gave no answer  ")
    assert fourth == " ■ nobody asks: no fleet file"


def test_narrow_alarms_keep_their_end() -> None:
    (line,) = alarms(replace(BOARD, trouble="the database " * 9), width=60)
    assert line.endswith("…   from 03:12")
    assert len(line) <= 60


def test_more_than_two_alerts_are_counted() -> None:
    alerts = tuple(Alert(f"r-{number}", "WAITING", "for an answer " * 9) for number in range(5))
    first, second = alarms(replace(BOARD, view=replace(VIEW, alerts=alerts)), width=80)
    assert first.startswith(" ■ WAITING   r-0")
    assert second.endswith("…   and 3 more")


def test_half_a_fleet_silent_is_an_alarm_a_few_hosts_are_not() -> None:
    assert alarms(answered=Answered(100, 51, 49)) == []
    assert len(alarms(answered=Answered(100, 50, 50))) == 1
    assert alarms(answered=Answered(2, 0, 2)) == []
    assert len(alarms(replace(BOARD, past=NOW), Answered(100, 0, 100))) == 1


def test_the_past_is_named_in_full() -> None:
    line = alarms(replace(BOARD, past=NOW - timedelta(days=2, hours=1)))[0]
    assert line.startswith(" ▲ the past   Tue 18 Aug 2026 02:12, 2 d ago  ")
    assert line.endswith("esc comes back")
    assert alarms(replace(BOARD, past=NOW))[0].startswith(" ▲ the past   Thu 20 Aug 2026 03:12  ")


def test_a_frozen_picture_says_since_when() -> None:
    (line,) = alert_lines(BOARD, MOST, NOW, Look(plain=True, ascii=True), 80)
    assert plain(line).startswith(" ! frozen since 03:12  ")
    assert plain(line).rstrip().endswith("p goes on")


def test_alerts_are_reversed_and_warnings_bold_without_colour() -> None:
    board = replace(BOARD, trouble="gone", past=NOW)
    codes = [CODE.findall(line)[0] for line in alert_lines(board, MOST, None, Look(plain=True), 80)]
    assert codes == ["7", "1"]


# The foot


def test_the_foot_names_the_keys_of_the_place_in_their_order() -> None:
    assert foot(140).startswith(
        " space mark   enter open   f fold   ! attention   w reboots   / filter   g group"
    )
    assert foot(140).endswith("u unlock to change")
    assert foot(140, Home.HISTORY).startswith(
        " ← earlier   → later   enter go there   z span   : command   ? help"
    )


@pytest.mark.parametrize("state", ["locked", "open", "past"])
@pytest.mark.parametrize("width", range(24, 160, 4))
def test_no_word_of_the_foot_is_cut_and_help_stays(width: int, state: State) -> None:
    line = foot(width, state=state)
    actions = actions_of(*places_of(Home.FLEET))
    wanted = [f"{one.key_words} {one.label}" for one in actions if one.footer]
    unlock = {"locked": ["u unlock to change", "u unlock"], "open": ["u lock"], "past": ["read-only"]}[state]
    for words in re.split(r" {2,}", line.strip()):
        assert words in [*wanted, *unlock]
    assert len(line) < width
    assert "? help" in line


def test_verbs_are_in_the_foot_once_they_can_be_asked_for() -> None:
    verbs = "s stage   a activate   b roll back   c channel"
    assert verbs in foot(160, state="open")
    assert foot(160, state="open").endswith("u lock")
    for state in ("locked", "past"):
        assert not {"stage", "activate"} & set(foot(160, state=state).split())
    assert foot(160, state="past").endswith("read-only")
    assert foot(160, Home.HISTORY, state="open").count("stage") == 0
    assert foot(80, state="open").startswith(" space mark  s stage  a activate")
    line = foot(160, Home.HOST, ("fleet", "edge-fra-014", "facts"), state="open")
    assert verbs.replace("   ", "  ") in line.replace("   ", "  ")
    assert line.endswith(" UNLOCKED    u lock   fleet › edge-fra-014 › facts")
    narrow = foot(80, Home.HOST, ("fleet", "edge-fra-014", "facts"), state="open")
    assert " UNLOCKED    fleet › " in narrow


def test_the_way_here_stands_at_the_end() -> None:
    assert foot(120, Home.HOST, ("fleet", "edge-fra-014", "log")).endswith("  fleet › edge-fra-014 › log")
    assert "fleet > x" in plain(foot_line((Home.HOST,), ("fleet", "x"), "", Look(ascii=True), 80))


def test_a_sentence_takes_the_place_of_the_keys() -> None:
    assert foot(80, said="saved hosts.csv") == " saved hosts.csv"
    assert "\x1b" not in foot(80, said=HOSTILE)


def test_arrows_have_names_in_ascii() -> None:
    assert "left earlier" in plain(foot_line((Home.HISTORY,), (), "", Look(ascii=True), 80))


# Help


@pytest.mark.parametrize("home", Home)
def test_help_names_every_action_and_every_state(home: Home) -> None:
    text = "\n".join(map(plain, help_lines(home, Look(), 120)))
    assert [one.name for one in actions_of(*places_of(home)) if one.name not in text] == []
    assert [style.word for style in STATES.values() if f"{style.glyph} {style.word}" not in text] == []
    for words in ("A►", "B→", "×", "a part that is not zero gets at least one cell", "needs:attention"):
        assert words in text


def test_keys_of_the_place_come_first() -> None:
    text = "\n".join(map(plain, help_lines(Home.HOST, Look(), 80)))
    assert text.index("keys: host") < text.index("keys: everywhere") < text.index("states:")


def test_wide_help_fits_a_screen_of_60_lines() -> None:
    assert len(help_lines(Home.FLEET, Look(), 199)) <= 57
    assert plain(help_lines(Home.FLEET, Look(), 199)[0]).count("states:") == 1


def test_the_examples_of_selections_are_selections() -> None:
    assert len(SELECTING) == 8
    for example, _ in SELECTING:
        assert not parse(example).is_all


# Whatever comes


@given(st.sampled_from(LOOKS), st.integers(60, 220), st.text(max_size=80), st.booleans())
def test_no_line_is_too_long_and_none_brings_codes(look: Look, width: int, text: str, is_ruled: bool) -> None:
    view = replace(VIEW, fleet=text, alerts=(Alert("r-58", "HALTED", text),))
    board = replace(BOARD, view=view, trouble=text, sweeping=Sweeping(False, text, is_trouble=True), past=NOW)
    lines = [
        *head_lines(board, MOST, "fleet", look, width, is_ruled=is_ruled),
        *alert_lines(board, MOST, NOW, look, width),
    ]
    assert all(cells(plain(line)) <= width for line in lines)
    lines = [
        foot_line((Home.HOST, Home.APP), ("fleet", text, text), said, look, width) for said in ("", text)
    ]
    assert all(cells(plain(line)) <= width for line in lines)
    assert all(plain(line).isprintable() for line in lines)


@pytest.mark.parametrize("look", LOOKS, ids=("unicode", "ascii", "plain", "plain-ascii"))
@pytest.mark.parametrize("width", [80, 120, 200])
def test_help_keeps_to_its_width_and_its_letters(look: Look, width: int) -> None:
    lines = list(map(plain, help_lines(Home.HISTORY, look, width)))
    assert max(map(cells, lines)) <= width
    assert not look.ascii or all(map(str.isascii, lines))
