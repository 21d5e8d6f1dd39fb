"""update_engine's journal -> the last update attempt of a boot, and whatever else its lines tell.

Lines may come from `journalctl -o short-unix` (what the probe asks for), short, short-iso, short-full or
cat, newest last or newest first, filtered or whole. A message counts only from its begin, so what a cut
leaves of a line says nothing; a line that no newline ends counts only where its end is recognisable.
Times come from the journal's clock alone: update_engine itself writes the host's local time.
Sources: flatcar/update_engine:src/update_engine/{update_attempter,omaha_request_action,payload_state,
omaha_response_handler_action,utils}.cc@7382641.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from collectors.facts import Attempt, SlotName
from collectors.parse.text import Entry, clean, integer, read_entries
from collectors.parse.update_engine import ERROR_CODES, ERROR_MASK, HTTP_BASE, explain

__all__ = ["ERROR_CODES", "JournalFacts", "OmahaEvent", "explain", "parse_attempt", "parse_journal"]

Redact = Callable[[str], str]

_HTTP_ERROR, _ROLLBACK, _EVENT_DEFERRED = 37, 44, 9
_DEFERRED = frozenset({35, 36, 40})
_BEFORE_WRITING = frozenset({2, 3, 30, 31, 34, 37}) | _DEFERRED
"""Codes of an attempt that ended before the other slot was touched."""
_ANY_TIME = frozenset({0, 1, 6, 19, _ROLLBACK})
"""Codes that do not tell how far the attempt came."""

_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = r"(?:[0-9]{1,5}[dhm])*[0-9]{1,5}(?:\.[0-9]{1,9})?s"

# Text that ends at the line's end: such a line must be whole.
_OFFER = re.compile(r"Omaha Response manifest version = (.*)")
_GROUP = re.compile(r"Current group set to (.*)")
# Text that shows its own end.
_START = re.compile(r"(?:Flatcar|CoreOS) Update Engine starting")
_BACKOFF = re.compile(r"Cannot proceed with downloads as we need to backoff until (.+ (?:UTC|GMT))")
_NO_UPDATE = re.compile(r"No update\.|There are no updates\. Aborting\.")
_APPLIED = re.compile(r"Update successfully applied")
_FAILED = re.compile(r"Update failed\.")
_CODE = re.compile(r"Updating payload state for error code: ([0-9]+) \(([^()]*)\)")
_CONVERTED = re.compile(r"Converting error code ([0-9]+) to")
_FELL_BACK = re.compile(r"Rollback detected")
_NEXT_CHECK = re.compile(rf"Next update check in ({_DURATION})$")
_WRITING = re.compile(r"InstallPlan: |Downloaded [0-9]+/[0-9]+ bytes")
_PROGRAM_FAILED = re.compile(r"Subprocess status: (?!0$)")
_EVENT = re.compile(
    r'<event eventtype="([0-9]{1,3})" eventresult="([0-9]{1,3})"'
    r'(?: errorcode="([0-9]{1,12})")?(?: previousversion="([^"]*)")?>'
)

_TELLING: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"BytesReceived called while|HTTP reported success but|Omaha request network transfer"), 0),
    (re.compile(r"prefs->GetInt64\(|Called Close\(\) |Reset not allowed"), 0),
    (re.compile(r"Failed to copy kernel|Failed to download|curl: \(|.*No space left on device"), 3),
    (re.compile(r".*Aborting the update"), 3),
    (re.compile(r"Unable to get http response code|HTTP response code: [45]"), 2),
    (re.compile(r"Postinst command failed"), 1),
)
"""How much a message tells of a failure that follows: the highest wins, among equals the last; 0 nothing."""
_NO_ANSWER = "Unable to get http response code: "


def parse_attempt(text: str, *, redact: Redact = str) -> Attempt:
    """The newest attempt of the newest boot in `text`; an empty text is a boot without one.

    `overwrote` stays once a release was accepted, whatever came later. A deferral (35, 36, 40) is no
    failure and keeps its code. `redact` is applied to `detail`. Total: never raises.
    """
    return _attempts(read_entries(text), redact)[-1]


def _attempts(entries: Iterable[Entry], redact: Redact) -> list[Attempt]:
    """What each boot's part amounts to, oldest first; at least one."""
    folds = [_Fold(redact)]
    for entry in entries:
        if entry.is_boundary:
            folds.append(_Fold(redact))
        else:
            folds[-1].read(entry)
    return [fold.attempt() for fold in folds]


class _Fold:
    """Reads the messages of one boot, oldest first."""

    def __init__(self, redact: Redact) -> None:
        self.redact = redact
        self.started_at: datetime | None = None
        self.failed_at: datetime | None = None
        self.offered: str | None = None
        self.group: str | None = None
        self.error_code: int | None = None
        self.error_name: str | None = None
        self.detail: str | None = None
        self.next_check_s: int | None = None
        self.overwrote = self.staged = self.failed = self.fell_back = self.no_update = False
        self.is_offer_open = False
        self._forget_check(None)

    def _forget_check(self, began_at: datetime | None) -> None:
        """Start to read another check. An offer left open was being written when the daemon ended."""
        self.overwrote = self.overwrote or self.is_offer_open
        self.began_at = began_at
        self.is_offer_open = self.has_failed = self.has_code = False
        self.program_failed = self.in_output = False
        self.told: str | None = None
        self.rank = 0
        self.backoff: str | None = None
        self.http: int | None = None

    def attempt(self) -> Attempt:
        return Attempt(
            started_at=self.started_at,
            offered_version=self.offered,
            overwrote=self.overwrote or self.is_offer_open,
            staged=self.staged,
            failed=self.failed,
            error_code=self.error_code,
            error_name=self.error_name,
            detail=clean(self.redact(self.detail), 200) if self.detail else None,
            failed_at=self.failed_at,
            fell_back=self.fell_back,
            group=self.group,
            next_check_s=self.next_check_s,
            no_update=self.no_update,
        )

    def read(self, entry: Entry) -> None:
        for pattern, handle in _HANDLERS:
            if found := pattern.match(entry.message):
                handle(self, entry, found)
                return
        self._weigh(entry)

    def _weigh(self, entry: Entry) -> None:
        """Keep the message if it may explain a failure that follows."""
        if entry.log:
            self.in_output = self.program_failed and entry.message == "Subprocess output:"
            self.program_failed = self.program_failed or bool(_PROGRAM_FAILED.match(entry.message))
        usual = 2 if self.in_output and not entry.log else int(bool(entry.log and entry.log.level == "ERROR"))
        rank = next((rank for pattern, rank in _TELLING if pattern.match(entry.message)), usual)
        if entry.message and rank and rank >= self.rank and not self.has_failed:
            self.rank, self.told = rank, entry.message

    def start(self, entry: Entry, found: re.Match[str]) -> None:
        self._forget_check(None)

    def begin(self, entry: Entry, found: re.Match[str]) -> None:
        """A check begins; on a staged host it is a ping, unless an outcome follows."""
        self._forget_check(entry.at)
        if entry.is_whole:
            self.group = clean(found[1], 64)
        if not self.staged:
            self.started_at = entry.at

    def offer(self, entry: Entry, found: re.Match[str]) -> None:
        self._ended(failed=self.failed, keep_error=True)
        self.is_offer_open = True
        if entry.is_whole:
            self.offered = clean(found[1], 64) or None

    def deferral(self, entry: Entry, found: re.Match[str]) -> None:
        self.is_offer_open = False
        until = backoff_time(found[1])
        self.backoff = f"{until:%Y-%m-%dT%H:%M:%SZ}" if until else None

    def nothing(self, entry: Entry, found: re.Match[str]) -> None:
        """No update. After an offer it means that the host could not prepare for it: no code is logged."""
        if self.is_offer_open:
            self._ended(failed=True)
            self.failed_at, self.detail = entry.at, self.told or explain(3)
            self.is_offer_open = False
        else:
            self._ended(failed=False)
            self.no_update = True

    def applied(self, entry: Entry, found: re.Match[str]) -> None:
        self._ended(failed=False)
        self.staged = self.overwrote = True
        self.is_offer_open = False

    def failure(self, entry: Entry, found: re.Match[str]) -> None:
        self._ended(failed=True)
        self.failed_at, self.detail, self.has_failed = entry.at, self.told, True

    def converted(self, entry: Entry, found: re.Match[str]) -> None:
        self.http = _base(found[1])

    def code(self, entry: Entry, found: re.Match[str]) -> None:
        base = _base(found[1])
        if base is not None:
            name = found[2].removeprefix("kActionCode") if found[2].startswith("kActionCode") else None
            self._outcome(base, clean(name, 64) if name else None, entry.at)

    def event(self, entry: Entry, found: re.Match[str]) -> None:
        """A report to the server: it repeats the outcome, with the HTTP status that the log leaves out."""
        base = _base(found[3]) if found[3] and int(found[1]) == 3 else None
        if base == _ROLLBACK:
            self.fell_back = True
        elif base is not None and int(found[2]) in (0, _EVENT_DEFERRED):
            if not self.has_code or (base >= HTTP_BASE and self.error_code == _HTTP_ERROR):
                self._outcome(base, None, entry.at)

    def fell(self, entry: Entry, found: re.Match[str]) -> None:
        self.fell_back = True

    def schedule(self, entry: Entry, found: re.Match[str]) -> None:
        self.next_check_s = _seconds(found[1])

    def writing(self, entry: Entry, found: re.Match[str]) -> None:
        self.overwrote = True

    def _outcome(self, base: int, name: str | None, at: datetime | None) -> None:
        """The check ended with this code."""
        if base >= HTTP_BASE:
            self.http, base = base, _HTTP_ERROR
        failed_at = self.failed_at if self.has_failed else at
        self._ended(failed=base not in _DEFERRED)
        self.failed_at = failed_at if self.failed else None
        self.error_code, self.error_name = base, name or ERROR_CODES.get(base)
        self.detail = self._detail(base)
        if base not in _BEFORE_WRITING and (self.is_offer_open or base not in _ANY_TIME):
            self.overwrote = True
        self.is_offer_open = False
        self.has_failed = self.has_code = True

    def _ended(self, *, failed: bool, keep_error: bool = False) -> None:
        self.started_at = self.began_at or self.started_at
        self.failed = failed
        self.staged = self.no_update = False
        if not keep_error:
            self.failed_at = self.error_code = self.error_name = self.detail = None

    def _detail(self, base: int) -> str | None:
        if base in _DEFERRED:
            return f"deferred until {self.backoff}" if self.backoff else "deferred"
        if base != _HTTP_ERROR:
            return self.told
        if self.http and self.http > HTTP_BASE:
            return f"HTTP {self.http - HTTP_BASE}"
        if self.told and self.told.startswith(_NO_ANSWER):
            return f"no answer: {self.told.removeprefix(_NO_ANSWER)}"
        return "no answer" if self.http else self.told


_HANDLERS: tuple[tuple[re.Pattern[str], Callable[[_Fold, Entry, re.Match[str]], None]], ...] = (
    (_START, _Fold.start),
    (_GROUP, _Fold.begin),
    (_OFFER, _Fold.offer),
    (_BACKOFF, _Fold.deferral),
    (_NO_UPDATE, _Fold.nothing),
    (_APPLIED, _Fold.applied),
    (_FAILED, _Fold.failure),
    (_CONVERTED, _Fold.converted),
    (_CODE, _Fold.code),
    (_EVENT, _Fold.event),
    (_FELL_BACK, _Fold.fell),
    (_NEXT_CHECK, _Fold.schedule),
    (_WRITING, _Fold.writing),
)


def _base(digits: str) -> int | None:
    number = integer(digits)
    return None if number is None else number & ERROR_MASK


def _seconds(duration: str) -> int:
    """Whole seconds of `1h2m3.5s`."""
    return int(sum(float(part) * _SECONDS[unit] for part, unit in re.findall(r"([0-9.]+)([dhms])", duration)))


def backoff_time(text: str) -> datetime | None:
    """`11/24/26 04:54:09 UTC` as a time; None for what cannot be read and for the epochs that mean "none"."""
    found = re.fullmatch(
        r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{2}) ([0-9]{1,2}):([0-9]{2}):([0-9]{2}) (?:UTC|GMT)", text
    )
    if not found:
        return None
    month, day, year, hour, minute, second = map(int, found.groups())
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC) if year < 70 else None
    except ValueError:
        return None


# -- the journal as a whole ------------------------------------------------------------------------------


_SAID: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern)
    for name, pattern in {
        "next_check": rf"Next update check in ({_DURATION})$",
        "payload_attempt": r"Payload Attempt Number = ([0-9]+)",
        "backoff_expiry": r"Backoff Expiry Time = (.+ (?:UTC|GMT))",
        "boot_flags": r"(Updating boot flags)",
        "download": r"Download status: (active|inactive)",
        "phase": r"ActionProcessor::ActionComplete: finished \w+, starting (\w+)",
        "http_code": r"HTTP response code: ([0-9]{3})",
        "response_bytes": r"Transfer completed \([0-9]+\), ([0-9]+) bytes",
        "url": r"InstallPlan: .*\burl: ([^ ,]+),",
        "payload_size": r"InstallPlan: .*\bpayload size: ([0-9]+),",
        "payload_hash": r"InstallPlan: .*\bpayload hash: ([^ ,]+),",
        "partition_path": r"InstallPlan: .*, partition_path: ([^ ,]+),",
        "kernel_path": r"InstallPlan: .*, kernel_path: ([^ ,]+),",
        "old_partition_path": r"InstallPlan: .*, old_partition_path: ([^ ,]+),",
        "ping": r"(Not updating b/c we already updated)",
        "interactive": r"(Attempting interactive update)",
        "started": r"(Started [Uu]pdate[- ][Ee]ngine)",
        "failed_to_start": r"(Failed to start [Uu]pdate|Failed to start update-engine)",
        "start_timed_out": r".*(Start operation timed out)",
        "exit_status": r".*Main process exited, code=exited, status=([0-9]+)",
    }.items()
}
_SOURCE = re.compile(r'<request .*\binstallsource="([^"]*)"')
_ATTRIBUTE = re.compile(r'([a-z_]+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class OmahaEvent:
    """A report to the update server."""

    type: int
    result: int
    errorcode: int | None
    """With its flag bits."""
    previousversion: str | None


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """Everything told over all boots in the text; where a thing is told again the newest counts."""

    attempts: tuple[Attempt, ...]
    """One per boot, oldest first."""
    said: dict[str, str]
    """Values under the names of _SAID; a name is absent where no line says it."""
    clocks: dict[str, str]
    """Name -> the journal's clock at that line; `start` is the daemon's last one."""
    request: dict[str, str]
    """Attributes of the app in the request to the server (version, track, oem ...), and installsource."""
    events: tuple[OmahaEvent, ...]
    error_codes: tuple[tuple[int, str], ...]
    errors: tuple[str, ...]
    """Messages of level ERROR and curl's complaints; many are harmless."""

    @property
    def target(self) -> SlotName | None:
        """The slot that the last install plan writes, by its partition's number."""
        return {"3": SlotName.A, "4": SlotName.B}.get(self.said.get("partition_path", "")[-1:])


def parse_journal(text: str, *, redact: Redact = str) -> JournalFacts:
    """All that a journal of update-engine.service tells, of any number of boots. Total: never raises."""
    entries = read_entries(text)
    facts = JournalFacts(tuple(_attempts(entries, redact)), {}, {}, {}, (), (), ())
    events: list[OmahaEvent] = []
    codes: list[tuple[int, str]] = []
    errors: list[str] = []
    for entry in entries:
        for name, pattern in _SAID.items():
            if entry.is_whole and (found := pattern.match(entry.message)):
                facts.said[name], facts.clocks[name] = found[1], entry.clock or ""
        if _START.match(entry.message):
            facts.clocks["start"] = entry.clock or ""
        elif found := _EVENT.match(entry.message):
            code = integer(found[3]) if found[3] else None
            events.append(OmahaEvent(int(found[1]), int(found[2]), code, found[4]))
        elif found := _CODE.match(entry.message):
            codes.append((_base(found[1]) or 0, clean(found[2], 64)))
        elif entry.message.startswith("<app appid="):
            facts.request.update(_ATTRIBUTE.findall(entry.message))
        elif source := _SOURCE.match(entry.message):
            facts.request["installsource"] = source[1]
        is_error = entry.message.startswith("curl: (") or (entry.log and entry.log.level == "ERROR")
        if entry.is_whole and is_error:
            errors.append(entry.message)
    return replace(facts, events=tuple(events), error_codes=tuple(codes), errors=tuple(errors))
