"""What holds for the updater's parsers whatever a host prints: facts or ParseError, and no wrong fact.

Recordings are cut, damaged and rewritten; journals are told in each of journalctl's forms; the reboot
window is compared with a search minute by minute.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.errors import ParseError
from collectors.facts import Attempt, Coordinator, UpdateStatus
from collectors.parse import locksmith, slots
from collectors.parse.journal import ERROR_CODES, backoff_time, parse_attempt, parse_journal
from collectors.parse.locksmith import RebootWindow, in_window, next_opening, parse_coordinator, parse_window
from collectors.parse.pods import parse_pods
from collectors.parse.prefs import parse_prefs
from collectors.parse.text import lines
from collectors.parse.update_engine import parse_client_output, parse_status, refusal
from collectors.probe import ROOT_TEXT
from tests.unit import test_recorded_update_engine as captured

T = TypeVar("T")
KEPT = re.compile(re.findall(r"grep -aE '([^']*)'", ROOT_TEXT)[0])
"""What the probe lets through of a journal."""


def probed(log: str) -> str:
    """update_engine's log as the probe sends it."""
    kept = [line for line in lines(log) if KEPT.search(line)]
    return "".join(
        f"{1795409370 + at}.000000 host update_engine[44]: {line}\n" for at, line in enumerate(kept)
    )


def texts(*readers: object) -> dict[str, str]:
    """Captured recordings that one of these readers reads; logs as the probe sends them."""
    found = {item.name: (item.both, captured.reader_of(item)) for item in captured.READ}
    return {
        name: probed(text) if reader is captured.daemon_log else text
        for name, (text, reader) in found.items()
        if reader in readers
    }


PASTED = {item.name: item.stdout for item in captured.recordings("updater")}
JOURNALS = texts(captured.daemon_log) | {name: text for name, text in PASTED.items() if "journal" in name}
EVERY = texts(*(reader for _, reader in captured.READERS)) | PASTED | JOURNALS

PARSERS: dict[str, Callable[[str], object]] = {
    "cgpt show": slots.parse_cgpt_show,
    "slots": lambda text: slots.parse_slots(text, text),
    "cgpt number": slots.parse_cgpt_number,
    "cgpt find": slots.parse_cgpt_find,
    "slot of device": lambda text: slots.slot_of_device(text, text),
    "status": parse_status,
    "client": parse_client_output,
    "refusal": refusal,
    "prefs": parse_prefs,
    "attempt": parse_attempt,
    "journal": parse_journal,
    "backoff": backoff_time,
    "coordinator": parse_coordinator,
    "locksmithctl status": locksmith.parse_locksmithctl_status,
    "lock": locksmith.parse_lock,
    "pods": parse_pods,
    "set-max": locksmith.parse_set_max,
    "locksmithctl": locksmith.check_locksmithctl,
    "locksmithd": locksmith.parse_locksmithd_journal,
    "window start": lambda text: parse_window(text, "1h"),
    "window length": lambda text: parse_window("04:00", text),
}


def parsed(parse: Callable[[str], T], text: str) -> T | None:
    """What it says; None for a ParseError, whose message must be fit to show."""
    try:
        return parse(text)
    except ParseError as error:
        is_fit = str(error).isprintable() and 0 < len(str(error)) <= 500
    assert is_fit
    return None


# -- any text -------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters() | st.sampled_from('0123456789=": \n\r\t{}[]-.'), max_size=300))
def test_no_text_breaks_a_parser(text: str) -> None:
    for parse in PARSERS.values():
        parsed(parse, text)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A recording with some lines gone, doubled or moved, and some characters changed."""
    rows = draw(st.sampled_from(sorted(EVERY.values()))).split("\n")
    start = draw(st.integers(0, max(0, len(rows) - 40)))
    rows = rows[start : start + 40]
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(rows) - 1)) if rows else 0
        match draw(st.sampled_from(("gone", "doubled", "moved", "changed"))):
            case "gone":
                del rows[at : at + 1]
            case "doubled":
                rows[at:at] = rows[at : at + 1]
            case "moved":
                rows.append(rows.pop(at) if rows else "")
            case "changed" if rows and rows[at]:
                column = draw(st.integers(0, len(rows[at]) - 1))
                new = draw(st.characters() | st.sampled_from("0123456789999=\"'() "))
                rows[at] = rows[at][:column] + new + rows[at][column + 1 :]
    return "\n".join(rows)


@settings(max_examples=150, deadline=None)
@given(damaged())
def test_damage_gives_facts_or_an_error(text: str) -> None:
    said = {name: parsed(parse, text) for name, parse in PARSERS.items()}
    status, slots, attempt = said["status"], said["slots"], said["attempt"]
    if isinstance(status, UpdateStatus):
        assert 0 <= status.progress <= 1
        assert (status.new_size_bytes or 1) > 0
        assert status.last_checked_at is None or status.last_checked_at.tzinfo is UTC
    if slots is not None:
        assert repr(slots).isprintable()
    assert isinstance(attempt, Attempt)
    assert not (attempt.failed and attempt.staged)
    assert not (attempt.staged and not attempt.overwrote)
    assert (attempt.error_code is None) or attempt.error_code >= 0
    assert attempt.detail is None or len(attempt.detail) <= 200


# -- cut text -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(JOURNALS))
def test_a_line_cut_says_all_or_nothing(name: str) -> None:
    whole = JOURNALS[name]
    for text in captured.cuts(whole):
        before = text[: text.rfind("\n") + 1]
        after = before + lines(whole[len(before) :] or "\n")[0] + "\n"
        earlier, later = parse_attempt(before), parse_attempt(after)
        name_cut_off = replace(later, offered_version=earlier.offered_version, group=earlier.group)
        assert parse_attempt(text) in (earlier, later, name_cut_off)
        told = locksmith.parse_locksmithd_journal(text)
        assert told in (locksmith.parse_locksmithd_journal(before), locksmith.parse_locksmithd_journal(after))


def test_small_files_cut() -> None:
    prefs = (
        "dir\t1\nprevious-version\t4230.2.3\npayload-attempt-number\t12\nbackoff-expiry-time\t1795500626\n"
    )
    full = parse_prefs(prefs)
    for at in range(len(prefs)):
        part = parse_prefs(prefs[:at])
        for field in ("previous_version", "attempt_number", "backoff_until"):
            assert getattr(part, field) in (None, getattr(full, field))
    for whole in texts(captured.coordinator).values():
        said = parse_coordinator(whole)
        for text in captured.cuts(whole):
            less = parsed(parse_coordinator, text) or Coordinator()
            for field in ("name", "strategy", "state"):
                assert getattr(less, field) in (None, getattr(said, field))


# -- forms of a journal ---------------------------------------------------------------------------------

CHECK = "omaha_request_params.cc:62] Current group set to stable"
OFFER = "omaha_request_action.cc:450] Omaha Response manifest version = 4593.2.5"
FAILED = "update_attempter.cc:619] Update failed."
NOTHING = (
    "omaha_request_action.cc:412] No update.",
    "omaha_response_handler_action.cc:33] There are no updates. Aborting.",
)
APPLIED = "update_attempter.cc:332] Update successfully applied, waiting to reboot."
START = "main.cc:92] Flatcar Update Engine starting"
BACKOFF = (
    "payload_state.cc:245] Cannot proceed with downloads as we need to backoff until 11/24/26 04:54:09 UTC"
)
WHEN = datetime(2026, 11, 23, 4, 49, 30, tzinfo=UTC)


def code(number: int) -> str:
    name = f"kActionCode{ERROR_CODES[number]}"
    return f"payload_state.cc:97] Updating payload state for error code: {number} ({name})"


def log(*messages: str, form: str = "unix") -> str:
    """A journal of these messages, a minute apart."""
    rows = []
    for at, message in enumerate(messages):
        moment = WHEN + timedelta(minutes=at)
        level = "E" if "failed" in message else "I"
        glog = f"{level}{moment:%Y%m%d %H:%M:%S.%f}    44 {message}"
        stamp = {
            "unix": f"{moment.timestamp():.6f} host ",
            "short": f"{moment:%b %d %H:%M:%S} node.example.com ",
            "iso": f"{moment:%Y-%m-%dT%H:%M:%S+0000} host ",
            "full": f"{moment:%a %Y-%m-%d %H:%M:%S UTC} host ",
            "ident": "",
        }.get(form)
        rows.append(f"{stamp}update_engine[44]: {glog}" if stamp is not None else glog)
    return "".join(f"{row}\n" for row in rows)


FAILURE = (START, CHECK, *NOTHING, CHECK, OFFER, FAILED, code(10))


def test_each_form_of_journalctl_tells_the_same() -> None:
    told = parse_attempt(log(*FAILURE))
    assert told.started_at == WHEN + timedelta(minutes=4)
    assert told.failed_at == WHEN + timedelta(minutes=6)
    assert parse_attempt(log(*FAILURE, form="iso")) == told
    without_times = replace(told, started_at=None, failed_at=None)
    for form in ("short", "full", "ident", "cat"):
        text = log(*FAILURE, form=form)
        assert parse_attempt(text) == without_times
        assert parse_attempt("".join(reversed(text.splitlines(keepends=True)))) == without_times
    old = re.sub(
        r"(?m)^[IE]2026(\d{4}) (\d\d):(\d\d):(\d\d)\S+ +44 (\S+):(\d+)\]", r"[\1/\2\3\4:INFO:\5(\6)]", text
    )
    assert parse_attempt(old) == without_times
    assert parse_attempt(re.sub(r"(?m)^.*?\] ", "", text)) == without_times


@given(st.integers(1, len(log(*FAILURE)) - 1))
def test_what_is_left_of_a_first_line_is_never_misread(start: int) -> None:
    whole = log(*FAILURE)
    told = parse_attempt(whole[start:])
    rest = parse_attempt(whole[whole.index("\n", start) + 1 :])
    with_line = parse_attempt(whole[whole.rfind("\n", 0, start) + 1 :])
    for field in Attempt.__dataclass_fields__:
        assert getattr(told, field) in (None, getattr(rest, field), getattr(with_line, field))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((), {}),
        ((START,), {}),
        ((CHECK,), {}),
        ((CHECK, OFFER), {"overwrote": True, "offered_version": "4593.2.5"}),
        ((CHECK, OFFER, APPLIED), {"overwrote": True, "staged": True}),
        ((CHECK, OFFER, APPLIED, CHECK), {"staged": True}),
        ((APPLIED,), {"overwrote": True, "staged": True}),
        ((CHECK, *NOTHING), {"no_update": True, "failed": False}),
        (
            (CHECK, OFFER, FAILED, code(10)),
            {"failed": True, "overwrote": True, "error_name": "PayloadHashMismatchError"},
        ),
        ((CHECK, OFFER, FAILED), {"failed": True, "overwrote": True, "error_code": None}),
        ((CHECK, OFFER, FAILED, code(10), CHECK), {"failed": True, "error_code": 10}),
        (
            (CHECK, OFFER, FAILED, code(10), CHECK, *NOTHING),
            {"failed": False, "overwrote": True, "error_code": None},
        ),
        ((CHECK, OFFER, FAILED, code(10), START, CHECK, OFFER, APPLIED), {"failed": False, "staged": True}),
        ((CHECK, OFFER, START, CHECK, *NOTHING), {"overwrote": True, "no_update": True}),
        ((CHECK, FAILED, code(37), *NOTHING), {"failed": False, "no_update": True, "error_code": None}),
        ((CHECK, FAILED, code(37)), {"failed": True, "overwrote": False, "offered_version": None}),
        ((CHECK, OFFER, FAILED, code(34)), {"failed": True, "overwrote": False}),
        (
            (CHECK, OFFER, NOTHING[0]),
            {"failed": True, "overwrote": False, "no_update": False, "error_code": None},
        ),
        (
            (CHECK, OFFER, BACKOFF, FAILED, code(40)),
            {
                "failed": False,
                "overwrote": False,
                "error_code": 40,
                "detail": "deferred until 2026-11-24T04:54:09Z",
            },
        ),
        (
            (CHECK, FAILED, code(36)),
            {"failed": False, "error_code": 36, "detail": "deferred", "failed_at": None},
        ),
        (
            (CHECK, "a.cc:1] Rollback detected, still running 4593.2.4 after update.", *NOTHING),
            {"fell_back": True},
        ),
        (("a.cc:1] Next update check in 1h2m3.5s",), {"next_check_s": 3723}),
        ((CHECK, FAILED, "utils.cc:600] Converting error code 2503 to kX", code(37)), {"detail": "HTTP 503"}),
        (
            (CHECK, FAILED, "utils.cc:600] Converting error code 2000 to kX", code(37)),
            {"detail": "no answer"},
        ),
        (
            (CHECK, OFFER, "a.cc:1] Failed to copy kernel from /boot/a to /boot/b", FAILED, code(4)),
            {"detail": "Failed to copy kernel from /boot/a to /boot/b", "overwrote": True},
        ),
        ((CHECK, "a.cc:1] Something else failed.", FAILED, code(1)), {"detail": "Something else failed."}),
        ((CHECK, "a.cc:1] BytesReceived called while not downloading.", FAILED, code(21)), {"detail": None}),
    ],
)
def test_what_a_boot_amounts_to(messages: tuple[str, ...], expected: dict[str, object]) -> None:
    attempt = parse_attempt(log(*messages))
    assert {name: getattr(attempt, name) for name in expected} == expected


def test_details_are_redacted_and_short() -> None:
    secret = "a.cc:1] Download of http://u:secret@host/ failed " + "x" * 300
    told = parse_attempt(log(CHECK, secret, FAILED), redact=lambda text: text.replace("secret", "***"))
    assert told.detail is not None
    assert "secret" not in told.detail
    assert len(told.detail) == 200


# -- the reboot window ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "length", "now", "seconds"),
    [
        ("00:15", "10s", "2015-05-21 00:00:00", 900),
        ("00:00", "1h", "2015-05-21 00:00:01", 0),
        ("02:33", "10h", "2015-05-21 12:33:00", 0),
        ("02:33", "10h", "2015-05-21 12:33:01", 50399),
        ("23:05", "11h", "2015-05-21 09:33:01", 0),
        ("Thu 00:15", "10s", "2015-05-21 00:00:00", 900),
        ("sAt 23:05", "11h", "2015-05-17 09:33:01", 0),
        ("Mon 9:00", "1h", "2015-05-30 23:00:00", 34 * 3600),
    ],
)
def test_windows_open_when_locksmithd_says(start: str, length: str, now: str, seconds: int) -> None:
    window, local = parse_window(start, length), datetime.fromisoformat(now)
    assert window is not None
    assert in_window(window, local) is (seconds == 0)
    if seconds:
        assert next_opening(window, local) == local + timedelta(seconds=seconds)


@settings(max_examples=60, deadline=None)
@given(
    st.none() | st.integers(0, 6),
    st.integers(0, 1439),
    st.integers(0, 86399),
    st.integers(0, 366 * 1440 * 60),
    st.booleans(),
)
def test_the_next_opening_is_the_first(
    day: int | None, minute: int, length: int, second: int, aware: bool
) -> None:
    moment = WHEN + timedelta(seconds=second)
    local = moment if aware else moment.replace(tzinfo=None)
    window = RebootWindow(day, minute, length)
    opening = next_opening(window, local)
    assert local < opening <= local + timedelta(days=7 if day is not None else 1)
    assert in_window(window, opening)
    assert (opening.hour * 60 + opening.minute, opening.second) == (minute, 0)
    assert day is None or opening.weekday() == day
    before = opening - timedelta(days=7 if day is not None else 1)
    assert in_window(window, local) is (before <= local <= before + timedelta(seconds=length))


def test_a_window_over_a_change_of_the_clocks_lasts_as_long() -> None:
    berlin, window = ZoneInfo("Europe/Berlin"), RebootWindow(None, 90, 7200)
    assert in_window(window, datetime(2026, 10, 25, 2, 29, fold=0, tzinfo=berlin))
    assert in_window(window, datetime(2026, 10, 25, 2, 29, fold=1, tzinfo=berlin))
    assert not in_window(window, datetime(2026, 10, 25, 2, 31, fold=1, tzinfo=berlin))


REFUSED = (
    "04:00|;|1h;24:00|1h;4:60|1h;4|1h;foo 4:00|1h;sat|1h;sat 14:00 x|1h;04:00|1d;04:00|24h;Thu 4:00|168h"
)
REFUSED += ";04:00|-1h;04:00|1;٤:00|1h;04:00|1h ;04:00|" + "ms" * 99 + ";04:00|" + "9" * 99 + "h"


@pytest.mark.parametrize("pair", REFUSED.split(";"))
def test_windows_that_locksmithd_refuses(pair: str) -> None:
    with pytest.raises(ParseError, match="reboot window"):
        parse_window(*pair.split("|"))


def test_lengths_of_go() -> None:
    said = "1h30m=5400 1.5h=5400 .5h=1800 90m=5400 0=0 1h1m1.9s=3661 +2h=7200 5µs=0 1000ms=1".split()
    lengths = {text: int(seconds) for text, _, seconds in (pair.partition("=") for pair in said)}
    for text, seconds in lengths.items():
        assert parse_window("04:00", text) == RebootWindow(None, 240, seconds)
    assert parse_window("", None) is None
