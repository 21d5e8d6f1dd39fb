"""The confirmation as a value and as lines: what is said, what must be typed, and the one way to an order."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actions.orders import Asked, Force, Verb
from console.board import Look
from console.confirm_text import body_lines, dialog_width, foot_lines, title_line
from console.ordering_lock import IDLE_S, Lock
from console.ordering_plan import Answer, Dialog, pressed, read_plan, refused
from console.ordering_rules import Extent, too_many, wanted
from console.visible import cells
from tests.panes.confirm_stand import Json, dialog_of, dry_run, lab_in, many, renamed, row, subject
from tests.unit.order_lab import NEW, OLD, OrderLab, use_lab_time

__all__ = ["use_lab_time"]

CODE = re.compile(r"\x1b\[([0-9;]*)m")
LOOKS = (Look(), Look(ascii=True), Look(plain=True), Look(plain=True, ascii=True))
ACTIVATE, STAGE = Asked(Verb.ACTIVATE), Asked(Verb.STAGE, version=NEW)
NOW = datetime(2026, 8, 20, 3, 12, tzinfo=UTC)


def plain(line: str) -> str:
    return CODE.sub("", line)


def body(dialog: Dialog, width: int = 108, look: Look = LOOKS[0]) -> str:
    return "\n".join(plain(line).rstrip() for line in body_lines(dialog, look, width - 5))


def joined(dialog: Dialog, width: int = 108) -> str:
    """The body with its lines joined, as one reads it."""
    return re.sub(r"\s+", " ", body(dialog, width))


def foot(dialog: Dialog, width: int = 108) -> str:
    return "\n".join(plain(line) for line in foot_lines(dialog, LOOKS[0], width))


@pytest.fixture
def lab(tmp_path: Path, use_lab_time: Callable[[OrderLab], OrderLab]) -> OrderLab:
    """Two that may be activated, one that is held, one with nothing staged."""
    lab = use_lab_time(lab_in(tmp_path, "staged", "staged", "held", "degraded"))
    return lab


@pytest.fixture
def mixed(lab: OrderLab) -> Json:
    return dry_run(lab, ACTIVATE)


# What must be typed


EXTENT = Extent("prod", 6, (("edge", ("a", "b")), ("db", ("c",))))


@pytest.mark.parametrize(
    ("hosts", "text", "is_name"),
    [("a", "yes", False), ("ac", "2", False), ("ab", "edge", True), ("c", "yes", False),
     ("abc", "3", False), ("abcdef", "prod", True)],
)  # fmt: skip
def test_number_group_or_fleet_is_typed(hosts: str, text: str, is_name: bool) -> None:
    found = wanted(list(hosts), EXTENT)
    assert (found.text, found.is_name) == (text, is_name)


def test_many_hosts_and_whole_groups_are_not_rebooted_at_once() -> None:
    names = [f"h{number}" for number in range(30)]
    extent = Extent("prod", 100, (("six", names[:6]), ("five", names[6:11])))
    assert too_many(Verb.ACTIVATE, names[:5], extent) is None
    assert "the whole group six" in (too_many(Verb.ACTIVATE, names[:6], extent) or "")
    assert too_many(Verb.REBOOT, names[6:26], extent) is None
    assert "21 hosts" in (too_many(Verb.ROLL_BACK, names[6:27], extent) or "")
    assert too_many(Verb.STAGE, names, extent) is None


# What it says


def test_it_says_from_where_to_where_and_how(mixed: Json) -> None:
    text = body(dialog_of(mixed))
    assert f"Reboot 2 hosts from 4593.2.4 into {NEW}" in text
    assert "Each boots the staged slot once, and falls back by itself if that boot is not confirmed." in text
    assert "one after another; stops at the first host that is not as ordered" in text
    assert "2 reboots; 4593.2.4 stays in the other slot" in text
    assert "lab-1" in text
    assert "fleetctl-order-activate/1" in text


def test_refused_hosts_say_why_how_it_would_be_possible_and_the_force(mixed: Json) -> None:
    text = joined(dialog_of(mixed))
    assert "2 of the 4 hosts left out" in text
    (degraded,) = (host for host in mixed["hosts"] if host["host"] == "lab-4")
    for refusal in degraded["refusals"]:
        assert refusal["text"] in text
    assert "--force degraded" in text
    assert ":activate --force" in text


def test_a_forced_refusal_is_a_warning(lab: OrderLab) -> None:
    asked = Asked(Verb.REBOOT, forces={Force.DEGRADED: "ops-7"})
    text = joined(dialog_of(dry_run(lab, asked, "lab-4")))
    assert "forced forced degraded (ops-7)" in text


def test_what_is_so_already_is_told_apart(lab: OrderLab) -> None:
    document = dry_run(lab, Asked(Verb.CHANNEL, channel="stable"), "lab-1", "lab-2")
    dialog = dialog_of(document, arguments=("stable",))
    assert dialog.wanted is None
    assert "2 hosts so already: lab-[1-2]" in body(dialog)
    assert "Nothing to do for channel" in body(dialog)


@pytest.mark.parametrize("width", [80, 108])
def test_equal_hosts_are_folded_and_none_is_lost(lab: OrderLab, width: int) -> None:
    text = body(dialog_of(many(lab, 14)), width)
    assert "k8s-fra-w008" in text
    assert "5 more alike: k8s-fra-w[009-013]" in text
    assert "k8s-fra-w009 " not in text


def test_hosts_that_differ_are_not_folded_into_one(lab: OrderLab) -> None:
    document = many(lab, 14)
    rows = [
        row(host["host"], version=OLD if number else "1.0.0") for number, host in enumerate(document["hosts"])
    ]
    rows[0] = replace(rows[0], slot_a=replace(rows[0].slot_a, version="1.0.0"))  # type: ignore[type-var]
    text = body(dialog_of(document, rows))
    assert "1.0.0" in text
    assert "9 more alike: " in text


def test_marks_that_the_filter_hides_are_said(mixed: Json) -> None:
    text = body(dialog_of(mixed, are_marked=True, hidden=3, filter="label.site:fra"))
    assert "3 of the 4 are outside your filter label.site:fra; all are listed here" in text
    assert "outside" not in body(dialog_of(mixed, are_marked=True))


def test_earlier_failures_on_the_same_version_and_halts_are_said(mixed: Json) -> None:
    bad = row("edge-9", state="reverted", reasons=(("reverted", f"from {NEW}"),))
    other = row("edge-8", state="reverted", reasons=(("reverted", "from 4757.1.0"),))
    halts = (f"r-58 HALTED: {NEW} to edge", "r-59 HALTED: 4757.1.0 to db")
    text = body(dialog_of(mixed, [row("lab-1"), bad, other], halts=halts))
    assert f"1 host reverted on {NEW}: edge-9" in text
    assert f"r-58 HALTED: {NEW} to edge" in text
    assert "edge-8" not in text
    assert "r-59" not in text


def test_the_window_and_what_cannot_be_undone(lab: OrderLab) -> None:
    text = joined(dialog_of(dry_run(lab, STAGE, "lab-4"), window="open, shuts in 1 h 48 min, 05:00"))
    assert "window open, shuts in 1 h 48 min, 05:00" in text
    document = renamed(dry_run(lab, STAGE, "lab-4"), {"lab-4": "web-1"})
    for said in document["hosts"][0]["says"]:
        assert said in joined(dialog_of(document))


def test_full_commands_are_the_plans_own(mixed: Json) -> None:
    dialog, _ = pressed(dialog_of(mixed), "v", "v")
    text = joined(dialog)
    for host in mixed["hosts"]:
        if host["command"]:
            assert host["command"] in text
    assert body(pressed(dialog, "v", "v")[0]) == body(dialog_of(mixed))


def test_before_the_plan_it_says_whom_it_asks(mixed: Json) -> None:
    dialog = Dialog(subject(mixed))
    assert "asking 4 hosts…" in body(dialog)
    assert "esc" in foot(dialog)
    assert dialog.wanted is None


def test_a_problem_is_all_there_is(mixed: Json) -> None:
    assert "the database is locked" in body(refused(Dialog(subject(mixed)), "the database is locked"))
    late = refused(dialog_of(mixed), "the plan is not the one")
    assert "■ the plan is not the one" in body(late)
    assert "Close" in foot(late)
    assert "ctrl+g" not in foot(late)


def test_the_button_says_what_happens_and_when_it_can(mixed: Json) -> None:
    dialog = dialog_of(mixed)
    assert "Reboot 2 " in foot(dialog)
    assert "locked until 2 is typed" in foot(dialog)
    ready, _ = pressed(dialog, "2", "2")
    assert "ctrl+g does it; enter only cancels" in foot(ready)
    assert "v full commands" in foot(dialog)


def test_where_a_name_is_typed_every_letter_is_for_it(lab: OrderLab) -> None:
    document = dry_run(lab, ACTIVATE, "lab-1", "lab-2")
    dialog = dialog_of(document, extent=Extent("prod", 9, (("vienna", ("lab-1", "lab-2")),)))
    for letter in "vienna":
        dialog, _ = pressed(dialog, letter, letter)
    assert dialog.typed == "vienna"
    assert dialog.is_ready
    assert "f2 full commands" in foot(dialog)
    assert pressed(dialog, "f2", None)[0].is_full


def test_too_many_cannot_be_confirmed_unless_at_once_was_typed(lab: OrderLab) -> None:
    document = many(lab, 21)
    assert "type --at-once N" in joined(dialog_of(document))
    assert dialog_of(document).wanted is None
    assert dialog_of(document, arguments=("--at-once=3",)).wanted is not None


def test_a_document_that_is_no_plan_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="the plan cannot be read"):
        read_plan({"schema": "fleetctl.order/1", "hosts": []})


# Keys


ANY_KEY = st.one_of(
    st.characters(min_codepoint=32, max_codepoint=0x2FF).map(lambda one: (one, one)),
    st.sampled_from(
        [("enter", "\r"), ("space", " "), ("backspace", "\x08"), ("ctrl+u", "\x15"), ("f2", None)]
    ),
)
CONFIRM = ("ctrl+g", "\x07")


def walked(dialog: Dialog, keys: list[tuple[str, str | None]]) -> tuple[Dialog, list[Answer]]:
    answers = []
    for key, character in keys:
        dialog, answer = pressed(dialog, key, character)
        answers.append(answer)
        if answer is not Answer.NOTHING:
            break
    return dialog, answers


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(keys=st.lists(ANY_KEY, max_size=12))
def test_no_keys_without_the_confirming_one_order_anything(
    mixed: Json, keys: list[tuple[str, str | None]]
) -> None:
    for dialog in (dialog_of(mixed), dialog_of(renamed(mixed, {"lab-1": "lab-1"}))):
        assert Answer.ORDER not in walked(dialog, keys)[1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(keys=st.lists(st.one_of(ANY_KEY, st.just(CONFIRM)), max_size=12))
def test_only_the_typed_number_makes_way_for_an_order(
    mixed: Json, keys: list[tuple[str, str | None]]
) -> None:
    dialog, answers = walked(dialog_of(mixed), keys)
    assert (Answer.ORDER in answers) == dialog.is_placing
    if dialog.is_placing:
        assert dialog.typed == "2"


def test_enter_leaves_even_with_all_typed(mixed: Json) -> None:
    _, answers = walked(dialog_of(mixed), [("2", "2"), ("enter", "\r")])
    assert answers[-1] is Answer.LEAVE


def test_one_host_needs_no_number_and_digits_do_nothing(mixed: Json) -> None:
    dialog = dialog_of(renamed(mixed, {"lab-1": "lab-1"}))
    assert dialog.is_ready
    assert pressed(dialog, "1", "1")[0] == dialog
    assert "Type" not in foot(dialog)
    assert pressed(dialog, *CONFIRM)[1] is Answer.ORDER


def test_an_order_is_given_once(mixed: Json) -> None:
    dialog, _ = walked(dialog_of(mixed), [("2", "2"), CONFIRM])
    assert pressed(dialog, *CONFIRM) == (dialog, Answer.NOTHING)
    assert pressed(dialog, "enter", "\r") == (dialog, Answer.NOTHING)
    assert pressed(dialog, "escape", None)[1] is Answer.LEAVE
    assert "placing the order" in foot(dialog)


def test_nothing_can_be_confirmed_without_a_host_or_a_plan(mixed: Json, lab: OrderLab) -> None:
    refusals = dialog_of(dry_run(lab, ACTIVATE, "lab-3", "lab-4"))
    for dialog in (Dialog(subject(mixed)), refusals, refused(dialog_of(mixed), "gone")):
        assert walked(dialog, [("2", "2"), CONFIRM]) == (dialog, [Answer.NOTHING, Answer.NOTHING])


# Whatever comes


@pytest.mark.parametrize("look", LOOKS, ids=("unicode", "ascii", "plain", "plain-ascii"))
@pytest.mark.parametrize("screen", [80, 120, 200])
def test_no_line_is_too_long(mixed: Json, look: Look, screen: int) -> None:
    hostile = "x\x1b[2J\u202eevil\x07" * 20
    hosts = [host | {"says": [hostile], "before": [hostile]} for host in mixed["hosts"]]
    width = dialog_width(screen)
    rows = [row(host["host"], version=hostile) for host in hosts]
    first = dialog_of(mixed | {"hosts": hosts}, rows, filter=hostile, hidden=2, halts=(hostile + NEW,))
    for dialog in (
        first,
        replace(first, is_full=True, typed="9" * 60),
        refused(first, hostile),
        Dialog(first.subject),
        replace(first, subject=replace(first.subject, extent=Extent(hostile, 4))),
    ):
        lines = [
            title_line(dialog, look, width),
            *body_lines(dialog, look, width - 5),
            *foot_lines(replace(dialog, typed=dialog.typed[:6]), look, width),
        ]
        assert max(cells(plain(line)) for line in lines) <= width
        assert all(plain(line).isprintable() for line in lines)
        assert not look.ascii or all(plain(line).isascii() for line in lines)
        if look.plain:
            codes = {code for line in lines for found in CODE.findall(line) for code in found.split(";")}
            assert codes <= {"", "0", "1", "4", "7"}


# The lock


def test_it_begins_locked_and_locks_itself() -> None:
    lock = Lock()
    assert not lock.is_open(NOW)
    assert lock.touched(NOW) == lock
    lock = lock.unlocked(NOW)
    assert lock.is_open(NOW + timedelta(seconds=IDLE_S - 1))
    assert not lock.is_open(NOW + timedelta(seconds=IDLE_S))
    assert not lock.is_open(NOW - timedelta(seconds=1)), "a clock that was set back"
    later = lock.touched(NOW + timedelta(seconds=200))
    assert later.is_open(NOW + timedelta(seconds=400))
    assert not lock.touched(NOW + timedelta(seconds=301)).is_open(NOW + timedelta(seconds=302))
    assert not later.locked().is_open(NOW)


@pytest.mark.parametrize(
    ("after_s", "words"), [(0, "5 min"), (59, "5 min"), (61, "4 min"), (241, "under 1 min"), (300, "")]
)
def test_what_is_left_is_coarse(after_s: int, words: str) -> None:
    assert Lock().unlocked(NOW).left_words(NOW + timedelta(seconds=after_s)) == words
