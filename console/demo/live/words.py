"""Lines of update_engine's journal, in its own words.

Texts and places: flatcar/update_engine:src/update_engine/*.cc@7382641, as recorded from the program.
"""

from __future__ import annotations

from datetime import datetime

from console.demo.world import JournalLine

CODES = {
    4: "FilesystemCopierError",
    5: "PostinstallRunnerError",
    9: "DownloadTransferError",
    10: "PayloadHashMismatchError",
    11: "PayloadSizeMismatchError",
    17: "SignedDeltaPayloadExpectedError",
    18: "DownloadPayloadPubKeyVerificationError",
    21: "DownloadInvalidMetadataMagicString",
    29: "DownloadOperationHashMismatch",
    30: "OmahaRequestEmptyResponseError",
    31: "OmahaRequestXMLParseError",
    34: "OmahaResponseInvalid",
    37: "OmahaErrorInHTTPResponse",
    40: "OmahaUpdateDeferredForBackoff",
}
Lines = tuple[JournalLine, ...]


def starting(at: datetime) -> Lines:
    return (
        JournalLine(at, "Starting update-engine.service - Update Engine...", from_systemd=True),
        JournalLine(at, "Flatcar Update Engine starting", "main.cc:92"),
    )


def next_check(at: datetime, seconds: float) -> JournalLine:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
    return JournalLine(at, f"Next update check in {text}", "update_check_scheduler.cc:74")


def asked(at: datetime, *, interactive: bool) -> Lines:
    how = "interactive" if interactive else "periodic"
    return (
        JournalLine(at, f"Attempting {how} update", "dbus_service.cc:57"),
        JournalLine(at, "New update check requested", "update_attempter.cc:279"),
    )


def skipped(at: datetime, operation: str) -> JournalLine:
    text = f"Skipping update check because current status is {operation}"
    return JournalLine(at, text, "update_attempter.cc:430")


def pinging(at: datetime) -> JournalLine:
    text = "Not updating b/c we already updated and we're waiting for reboot, we'll ping Omaha instead"
    return JournalLine(at, text, "update_attempter.cc:150")


def group(at: datetime, name: str) -> JournalLine:
    return JournalLine(at, f"Current group set to {name}", "omaha_request_params.cc:62")


def reverted(at: datetime, version: str) -> JournalLine:
    text = f"Rollback detected, still running {version} after update."
    return JournalLine(at, text, "update_attempter.cc:211", "E")


def no_contact(at: datetime, complaint: str, retry: int | None) -> Lines:
    trouble = f"Unable to get http response code: {complaint}"
    lines = (JournalLine(at, trouble, "libcurl_http_fetcher.cc:266", "E"),)
    if retry is None:
        return lines
    return (*lines, JournalLine(at, f"No HTTP response, retry {retry}", "libcurl_http_fetcher.cc:283"))


def http_error(at: datetime, status: int) -> JournalLine:
    text = f"Transfer resulted in an error ({status}), 0 bytes downloaded"
    return JournalLine(at, text, "libcurl_http_fetcher.cc:297")


def nothing(at: datetime) -> Lines:
    return (
        JournalLine(at, "No update.", "omaha_request_action.cc:412"),
        JournalLine(at, "There are no updates. Aborting.", "omaha_response_handler_action.cc:33"),
        JournalLine(at, "Processing Done.", "update_attempter.cc:306"),
        JournalLine(at, "No update.", "update_attempter.cc:342"),
    )


def offered(at: datetime, version: str) -> JournalLine:
    text = f"Omaha Response manifest version = {version}"
    return JournalLine(at, text, "omaha_request_action.cc:450")


def plan(at: datetime, size_bytes: int, *, resumes: bool) -> JournalLine:
    kind = "resume" if resumes else "new_update"
    return JournalLine(at, f"InstallPlan: , {kind}, payload size: {size_bytes}", "install_plan.cc:53")


def downloaded(at: datetime, done: int, size_bytes: int) -> JournalLine:
    text = f"Downloaded {done}/{size_bytes} bytes ({100 * done // max(1, size_bytes)}%)"
    return JournalLine(at, text, "update_attempter.cc:446")


def backing_off(at: datetime, until: datetime) -> JournalLine:
    text = f"Cannot proceed with downloads as we need to backoff until {until:%m/%d/%y %H:%M:%S} UTC"
    return JournalLine(at, text, "payload_state.cc:216")


def applied(at: datetime) -> JournalLine:
    text = "Update successfully applied, waiting to reboot."
    return JournalLine(at, text, "update_attempter.cc:332")


def failed(at: datetime, code: int) -> Lines:
    text = f"Updating payload state for error code: {code} (kActionCode{CODES[code]})"
    return (
        JournalLine(at, "Processing Done.", "update_attempter.cc:306"),
        JournalLine(at, "Update failed.", "update_attempter.cc:619", "E"),
        JournalLine(at, text, "payload_state.cc:97"),
    )


def complaint(at: datetime, text: str, source: str = "payload_processor.cc:338") -> JournalLine:
    return JournalLine(at, text, source, "E")


def backs_off_after(at: datetime, status: int) -> JournalLine:
    text = f"Exponential backoff due to HTTP response code ({status})"
    return JournalLine(at, text, "update_check_scheduler.cc:116", "W")
