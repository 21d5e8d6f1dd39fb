"""update_engine's status in every form it is printed in, and what its client's runs say.

`parse_status` gives facts or ParseError; a refusal (no daemon, not allowed, `(null)`) is the subclass
StatusUnavailable and says which. `parse_client_output` reads a whole `-update`, `-watch_for_updates`,
`-check_for_update`, `-reset_status` or `-status` run, stdout and stderr in any mixture.
The client's exit status and its "No update available" say nothing about success: only the last status does.
A status whose end may be missing is an error: line forms need their newline, JSON its closing brace.
Sources: flatcar/update_engine:src/update_engine/{update_engine_client.cc,action_processor.h}@7382641;
busctl of systemd 252.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from collectors.errors import ParseError
from collectors.facts import Operation, UpdateStatus
from collectors.parse.text import LogLine, clean, instant, integer, lines, log_line, whole_lines

Kind = Literal["not_provided", "denied", "no_bus", "timeout", "null", "reset_refused", "other"]

_NO_VERSION = frozenset({"", "0.0.0", "0.0.0.0", "(null)"})
_FLOAT = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,60})?(?:[eE][+-]?[0-9]{1,4})?")
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_BUSCTL = re.compile(rf"xdssx (\S+) (\S+) {_QUOTED} {_QUOTED} (\S+)")
_DBUS_SEND = re.compile(
    rf"^ {{0,9}}int64 (\S+)\n {{0,9}}double (\S+)\n {{0,9}}string {_QUOTED}\n {{0,9}}string {_QUOTED}\n"
    r" {0,9}int64 (\S+)\n",
    flags=re.MULTILINE,
)
_GDBUS = re.compile(
    r"\((?:int64 )?(\S+), (\S+), '((?:[^'\\]|\\.)*)', '((?:[^'\\]|\\.)*)', (?:int64 )?([0-9-]+),?\)"
)
_OBJECT = re.compile(r"\{[^{}]*\}")
_KEYS = ("LAST_CHECKED_TIME", "PROGRESS", "CURRENT_OP", "NEW_VERSION", "NEW_SIZE")
_STATUS_LINE = re.compile(r"[ \t]*(LAST_CHECKED_TIME|PROGRESS|CURRENT_OP|NEW_SIZE)=(\S*)[ \t]*")
_VERSION_LINE = re.compile(r"[ \t]*(NEW_VERSION)=(.*)")
_WATCH_LINE = re.compile(r"(last_checked_time|progress|current_operation|new_version|new_size): *(.*)")
_WATCH_KEYS = dict(
    zip(("last_checked_time", "progress", "current_operation", "new_version", "new_size"), _KEYS, strict=True)
)

_REFUSALS: tuple[tuple[str, Kind], ...] = (
    (
        r"Failed to (?:connect to (?:system )?bus|get bus|set bus address)|Failed to connect to socket",
        "no_bus",
    ),
    (r"returned FALSE but did not set error|ResetStatus failed", "reset_refused"),
    (r"Access denied|Rejected send message|AccessDenied|Permission denied|not permitted", "denied"),
    (r"was not provided by any|unable to get dbus proxy|Could not get owner of name", "not_provided"),
    (r"ServiceUnknown|NameHasNoOwner|does not have an owner|[Nn]ame \S+ does not exist", "not_provided"),
    (r"[Nn]ame is not activatable|Could not activate remote peer", "not_provided"),
    (r"[Tt]imed out|[Tt]imeout was reached|Did not receive a reply|NoReply", "timeout"),
)
_COMPLAINT = re.compile(r"(?:Call failed|Failed to [a-z ]+|Error getting status|Error \S+|Error): .+")


class StatusUnavailable(ParseError):
    """update_engine gave no status, and `kind` says why; the message has the tool's own words."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class RawStatus:
    """The five values as they came: zeros, 0.0.0 and `(null)` are still in them."""

    last_checked: int
    """Seconds since the epoch, 0 to the year 9999."""
    progress: float
    """Can exceed 1; finite."""
    operation: str
    version: str
    size_bytes: int

    @property
    def is_null(self) -> bool:
        """The client had no answer and printed its own empty variables."""
        return self.operation in ("", "(null)")

    def status(self) -> UpdateStatus:
        """As facts. Raises ParseError for an operation we do not know, StatusUnavailable for none."""
        if self.is_null:
            raise StatusUnavailable("null", "null status: update_engine's client got no answer")
        try:
            operation = Operation(self.operation)
        except ValueError:
            raise ParseError(f"unknown operation of update_engine: {clean(self.operation)}") from None
        return UpdateStatus(
            operation,
            min(max(self.progress, 0.0), 1.0),
            None if self.version in _NO_VERSION else self.version,
            self.size_bytes or None,
            instant(self.last_checked) if self.last_checked else None,
        )


class _Reply(msgspec.Struct):
    type: Literal["xdssx"]
    data: tuple[int, float, str, str, int]


def parse_status(text: str) -> UpdateStatus:
    """The status in `text`: busctl's JSON or text, the client's five lines, dbus-send, gdbus.

    0, 0.0.0 and 0.0.0.0 become None, progress is clamped to 0..1. Where several are printed the last one
    counts. Raises StatusUnavailable or ParseError.
    """
    return parse_raw_status(text).status()


def parse_raw_status(text: str) -> RawStatus:
    """Like `parse_status`, with the values as they came."""
    blocks, rest = _client_blocks(text)
    if rest:
        missing = [key for key in _KEYS if key not in rest]
        if missing == ["CURRENT_OP"]:
            raise StatusUnavailable("null", "null status: CURRENT_OP is missing")
        raise ParseError(f"the status is cut: {', '.join(missing)} missing")
    found = blocks or list(_bus_replies(text))
    if found and not found[-1].is_null:
        return found[-1]
    complaint = refusal(text)
    if found and complaint:
        raise StatusUnavailable(complaint.kind, f"null status: {complaint}")
    if found:
        return found[-1]
    raise complaint or ParseError(f"no status of update_engine in: {clean(text)}" if text else "no status")


def refusal(text: str) -> StatusUnavailable | None:
    """What busctl or the client complains about in `text`, if it does: its last complaint."""
    found: StatusUnavailable | None = None
    for line in lines(text):
        log = log_line(line)
        message = log.message if log else line.strip()
        if not message:
            continue
        kind = next((kind for pattern, kind in _REFUSALS if re.search(pattern, message)), None)
        known_form = log is not None or _COMPLAINT.match(message)
        if known_form and (kind or (log is None and message.startswith(("Call failed", "Failed to")))):
            found = StatusUnavailable(kind or "other", clean(message, 200))
    return found


def _bus_replies(text: str) -> Iterator[RawStatus]:
    """Statuses in the forms of the D-Bus tools."""
    unified = "\n".join(whole_lines(text)) + "\n"
    for found in _OBJECT.finditer(text):
        if '"xdssx"' in found[0]:
            yield _json_reply(found[0])
    for line in unified.split("\n"):
        if reply := _BUSCTL.fullmatch(line) or _GDBUS.fullmatch(line):
            yield raw_status(*reply.groups())
    for reply in _DBUS_SEND.finditer(unified):
        yield raw_status(*reply.groups())


def _json_reply(document: str) -> RawStatus:
    try:
        reply = msgspec.json.decode(document.encode("utf-8", "replace"), type=_Reply)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ParseError(f"busctl's JSON is not a status: {clean(str(error))}") from error
    checked, progress, operation, version, size = reply.data
    return _checked(checked, progress, operation, version, size)


def raw_status(checked: str, progress: str, operation: str, version: str, size: str) -> RawStatus:
    number = float(progress) if _FLOAT.fullmatch(progress) else math.nan
    whole, length = integer(checked), integer(size)
    if whole is None:
        raise ParseError(f"LAST_CHECKED_TIME is no number: {clean(checked)}")
    if length is None:
        raise ParseError(f"NEW_SIZE is no number: {clean(size)}")
    return _checked(whole, number, operation, version, length)


def _checked(checked: int, progress: float, operation: str, version: str, size: int) -> RawStatus:
    if not math.isfinite(progress):
        raise ParseError("PROGRESS is no number")
    if not 0 <= size < 2**63:
        raise ParseError("NEW_SIZE is no size")
    if instant(checked) is None:
        raise ParseError("LAST_CHECKED_TIME is no time")
    return RawStatus(checked, progress, operation, clean(version, 64), size)


# -- runs of update_engine_client ---------------------------------------------------------------------


class ClientResult(StrEnum):
    """How a run of the client ended, in its own words. Only SUCCEEDED says what it seems to say."""

    NO_UPDATE = "No update available"
    """Printed for almost every failure too: ask the status and the journal."""
    FAILED = "Update failed."
    """In 2016 and before: means no more than NO_UPDATE."""
    SUCCEEDED = "Update succeeded -- reboot needed."
    RESET = "ResetStatus succeeded"
    RESET_FAILED = "ResetStatus failed."
    DAEMON_LOST = "Giving up -- unable to get dbus proxy"
    NO_BUS = "Failed to get bus"
    ABORTED = "Check failed"
    """A call was refused; the client dies by SIGABRT."""
    NOTHING_DONE = "Done."
    """No flag was given: a mistyped one looks like this, with exit status 0."""


@dataclass(frozen=True, slots=True)
class ClientRun:
    blocks: tuple[RawStatus, ...]
    """Every status with all five values, in order; null ones too."""
    null_blocks: int
    """Polls that got no answer; the next one may be fine."""
    is_cut: bool
    """The output ends within a status."""
    result: ClientResult | None
    """None while the run goes on, or for runs that end without a word."""
    error: str | None
    """The last complaint, one line."""
    log: tuple[LogLine, ...]

    @property
    def last_complete(self) -> RawStatus | None:
        return next((block for block in reversed(self.blocks) if not block.is_null), None)

    @property
    def is_accepted(self) -> bool:
        """A check was asked for and not refused."""
        asked = any(item.message.startswith("Initiating update check and install") for item in self.log)
        return asked and self.result not in (
            ClientResult.ABORTED,
            ClientResult.DAEMON_LOST,
            ClientResult.NO_BUS,
        )


def parse_client_output(text: str) -> ClientRun:
    """A run of update_engine_client. Raises ParseError if it says nothing at all, or a value is none."""
    blocks, rest = _client_blocks(text)
    logged = tuple(item for line in whole_lines(text) if (item := log_line(line)))
    results = [result for item in logged for result in ClientResult if item.message.startswith(result)]
    complaint = refusal(text)
    if not blocks and not rest and not logged and complaint is None:
        raise ParseError(f"not update_engine_client's output: {clean(text)}" if text else "no output")
    return ClientRun(
        blocks=tuple(blocks),
        null_blocks=sum(block.is_null for block in blocks),
        is_cut=bool(rest),
        result=results[-1] if results else None,
        error=str(complaint) if complaint else None,
        log=logged,
    )


def _client_blocks(text: str) -> tuple[list[RawStatus], dict[str, str]]:
    """Complete statuses, and the values of the one that the output ends in.

    A lone status may have its lines in any order; among several each begins with LAST_CHECKED_TIME, so
    that the end of one never joins the begin of the next.
    """
    pairs = [pair for line in whole_lines(text) if (pair := _status_pair(line))]
    is_lone = len({key for key, _ in pairs}) == len(pairs)
    blocks: list[RawStatus] = []
    values: dict[str, str] = {}
    for key, value in pairs:
        if key in values or (key == _KEYS[0] and not is_lone):
            values = {}
        values[key] = value
        if len(values) == len(_KEYS):
            blocks.append(raw_status(*(values[name] for name in _KEYS)))
            values = {}
    return blocks, values


def _status_pair(line: str) -> tuple[str, str] | None:
    if log := log_line(line):
        found = _WATCH_LINE.fullmatch(log.message)
        return (_WATCH_KEYS[found[1]], found[2].strip()) if found else None
    found = _STATUS_LINE.fullmatch(line) or _VERSION_LINE.fullmatch(line)
    return (found[1], found[2].strip()) if found else None


# -- error codes -------------------------------------------------------------------------------------------

ERROR_MASK = 0x0FFFFFFF
"""The bits above say: resumed, development image, own server."""
HTTP_BASE = 2000
"""Codes from here on are an HTTP status of the update server, 2000 no answer at all; all of them are 37."""

_CODES: dict[int, tuple[str, str]] = {
    0: ("Success", "no error"),
    1: ("Error", "an error without a name"),
    2: ("OmahaRequestError", "asking the update server failed"),
    3: ("OmahaResponseHandlerError", "the server's offer could not be prepared"),
    4: ("FilesystemCopierError", "copying or checking the /usr partition failed"),
    5: ("PostinstallRunnerError", "the new release's post-install step failed"),
    6: ("SetBootableFlagError", "the new slot could not be made bootable"),
    7: ("InstallDeviceOpenError", "the other slot's device could not be opened"),
    8: ("KernelDeviceOpenError", "the kernel's place could not be opened"),
    9: ("DownloadTransferError", "the payload could not be downloaded"),
    10: ("PayloadHashMismatchError", "the payload's hash is not the announced one"),
    11: ("PayloadSizeMismatchError", "the payload's size is not the announced one"),
    12: ("DownloadPayloadVerificationError", "the payload could not be verified"),
    13: ("DownloadNewPartitionInfoError", "the payload does not describe the new partition"),
    14: ("DownloadWriteError", "writing to the other slot failed"),
    15: ("NewRootfsVerificationError", "the written partition is not as announced"),
    16: ("NewKernelVerificationError", "the written kernel is not as announced"),
    17: ("SignedDeltaPayloadExpectedError", "the payload has no signature"),
    18: ("DownloadPayloadPubKeyVerificationError", "the payload is signed with another key"),
    19: ("PostinstallBootedFromFirmwareB", "the host was booted from its spare firmware"),
    20: ("DownloadStateInitializationError", "the download could not be resumed"),
    21: ("DownloadInvalidMetadataMagicString", "what was downloaded is no payload"),
    22: ("DownloadSignatureMissingInManifest", "the payload's manifest has no signature"),
    23: ("DownloadManifestParseError", "the payload's manifest is not readable"),
    24: ("DownloadMetadataSignatureError", "the metadata's signature is not readable"),
    25: ("DownloadMetadataSignatureVerificationError", "the metadata's signature could not be checked"),
    26: ("DownloadMetadataSignatureMismatch", "the metadata's signature is wrong"),
    27: ("DownloadOperationHashVerificationError", "a piece's hash could not be checked"),
    28: ("DownloadOperationExecutionError", "a piece of the payload could not be applied"),
    29: ("DownloadOperationHashMismatch", "a piece of the payload is damaged"),
    30: ("OmahaRequestEmptyResponseError", "the update server's answer was empty"),
    31: ("OmahaRequestXMLParseError", "the update server's answer is not XML"),
    32: ("DownloadInvalidMetadataSize", "the metadata's size is wrong"),
    33: ("DownloadInvalidMetadataSignature", "the metadata's signature is not valid"),
    34: ("OmahaResponseInvalid", "the update server's answer makes no sense"),
    35: ("OmahaUpdateIgnoredPerPolicy", "a policy ignores the update"),
    36: ("OmahaUpdateDeferredPerPolicy", "a policy defers the update"),
    37: ("OmahaErrorInHTTPResponse", "the update server answered with an error, or not"),
    38: ("DownloadOperationHashMissingError", "a piece of the payload has no hash"),
    39: ("DownloadMetadataSignatureMissingError", "the metadata has no signature"),
    40: ("OmahaUpdateDeferredForBackoff", "put off after earlier failed downloads"),
    41: ("PostinstallPowerwashError", "the reset of the host could not be prepared"),
    42: ("NewPCRPolicyVerificationError", "the new release's PCR policy is not valid"),
    43: ("NewPCRPolicyHTTPError", "the PCR policy could not be sent to its server"),
    44: ("RollbackError", "the new release did not boot: still on the old one"),
}
ERROR_CODES: dict[int, str] = {code: name for code, (name, _) in _CODES.items()}
"""Base code -> name without `kActionCode`."""


def explain(code: int) -> str:
    """One plain phrase of at most 60 characters; `code` may carry flag bits or an HTTP status."""
    base = code & ERROR_MASK
    if base > HTTP_BASE:
        return f"the update server answered HTTP {base - HTTP_BASE}"
    if base == HTTP_BASE:
        return "the update server did not answer"
    return _CODES[base][1] if base in _CODES else f"update_engine's error {base}"
