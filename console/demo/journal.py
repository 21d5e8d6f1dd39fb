"""What update_engine writes to its journal at each step of its life, in its own words.

Each function gives the lines of one step, the first at `at`.
Source: flatcar/update_engine:src/update_engine/{main,omaha_request_action,update_attempter,payload_state,
update_check_scheduler}.cc@7382641.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from console.demo.world import JournalLine

Lines = tuple[JournalLine, ...]
FIRST_CHECK_AFTER = timedelta(minutes=7)
CHECK_EVERY = timedelta(minutes=45)


def _next_check(at: datetime, after: timedelta) -> JournalLine:
    due = after + timedelta(seconds=at.second * 7 % 290)
    minutes, seconds = divmod(int(due.total_seconds()), 60)
    return JournalLine(at, f"Next update check in {minutes}m{seconds}s", "update_check_scheduler.cc:74")


def started(at: datetime) -> Lines:
    """The daemon came up; its first check is some minutes away."""
    return (
        JournalLine(at, "Starting update-engine.service - Update Engine...", from_systemd=True),
        JournalLine(at, "Flatcar Update Engine starting", "main.cc:92"),
        _next_check(at, FIRST_CHECK_AFTER),
    )


def nothing_offered(at: datetime, group: str) -> Lines:
    """A check that ended with no update."""
    answered = at + timedelta(milliseconds=412)
    return (
        JournalLine(at, f"Current group set to {group}", "omaha_request_params.cc:62"),
        JournalLine(answered, "No update.", "omaha_request_action.cc:412"),
        JournalLine(
            answered, "There are no updates. Aborting.", "omaha_response_handler_action.cc:33"
        ),
        JournalLine(answered, "No update.", "update_attempter.cc:342"),
        _next_check(answered, CHECK_EVERY),
    )  # fmt: skip


def offered(at: datetime, group: str, version: str) -> Lines:
    """A check that was offered a release: from here on the other slot is being overwritten."""
    answered = at + timedelta(milliseconds=530)
    return (
        JournalLine(at, f"Current group set to {group}", "omaha_request_params.cc:62"),
        JournalLine(answered, f"Omaha Response manifest version = {version}", "omaha_request_action.cc:450"),
    )


def applied(at: datetime) -> Lines:
    return (
        JournalLine(at, "Update successfully applied, waiting to reboot.", "update_attempter.cc:332"),
        _next_check(at, CHECK_EVERY),
    )


def failed(at: datetime, code: int, name: str, *before: str) -> Lines:
    """An attempt that failed; `before` is what the daemon complained of until then."""
    return (
        *(JournalLine(at, text, "payload_processor.cc:338", "E") for text in before),
        JournalLine(at, "Update failed.", "update_attempter.cc:619", "E"),
        JournalLine(
            at, f"Updating payload state for error code: {code} (kActionCode{name})", "payload_state.cc:97"
        ),
        _next_check(at, CHECK_EVERY),
    )


def unanswered(at: datetime, group: str, complaint: str) -> Lines:
    """A check whose server could not be reached."""
    gave_up = at + timedelta(seconds=30)
    return (
        JournalLine(at, f"Current group set to {group}", "omaha_request_params.cc:62"),
        JournalLine(
            gave_up, f"Unable to get http response code: {complaint}", "libcurl_http_fetcher.cc:266", "E"
        ),
        *failed(gave_up, 37, "OmahaErrorInHTTPResponse"),
    )
