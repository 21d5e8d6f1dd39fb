"""The record as a chain: what a row says, how it is hashed, whether rows are whole. Pure.

A row's hash is the SHA-256 of its canonical JSON, and that holds the hash of the row before. The canonical
form is that of RFC 8785 (keys sorted, no blanks, UTF-8, nothing escaped that need not be), without fractions.
docs/record.md states the rules for whoever writes a verifier.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any

import msgspec

SCHEMA = "fleetctl.record/1"
SHORT = 16
"""Hex digits of a hash that people copy; `--head` takes from so many to all 64."""
ZEROS = "0" * 64
"""What stands for the hash before the first row."""
_HEAD = re.compile(r"(?:record )?([0-9]{1,15}):([0-9a-f]{16,64})", flags=re.ASCII)
_KEEPS = frozenset("\n\t")


class Event(StrEnum):
    """What a row tells; new ones may come."""

    ASKED = "asked"
    REFUSED = "refused"
    """By policy or by the host's state; nothing was sent."""
    ALREADY = "already"
    """It was so already; nothing was done."""
    INTENT = "intent"
    """The command is about to be sent."""
    OUTCOME = "outcome"
    """What became of what was sent."""
    HELD = "held"
    UNHELD = "unheld"
    ACKNOWLEDGED = "acknowledged"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    RELEASED = "released"
    ROLLOUT = "rollout"
    """A rollout went into another state, or was answered."""


class Broken(Exception):
    """A record that is not whole: one sentence that names the place."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last row of a record: kept elsewhere, it tells later whether the rows up to it changed."""

    n: int
    hash: str

    def __str__(self) -> str:
        return f"{self.n}:{self.hash[:SHORT]}"

    @property
    def whole(self) -> str:
        return f"{self.n}:{self.hash}"


START = Head(0, ZEROS)
"""The head of a record without rows."""


def parse_head(text: str) -> Head:
    """What `N:HASH` says, as printed by every verb; the hash may be cut. Raises ValueError."""
    found = _HEAD.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no head: N:HASH with 16 to 64 hex digits, as each verb prints it")
    return Head(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acted."""

    login: str
    uid: int
    ssh_from: str | None
    """Address that the login came from; None: not over SSH."""
    console: str
    """Name of the machine that fleetctl ran on."""
    said: str | None = None
    """Who it was in their own words, where an account is shared."""

    @property
    def words(self) -> str:
        who = f"{self.said} as {self.login}" if self.said else self.login
        return f"{who} from {self.ssh_from}" if self.ssh_from else who


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded. Texts may be anything; what does not print becomes an escape."""

    at: datetime
    actor: Actor
    verb: str
    event: Event
    host: str | None = None
    order: str | None = None
    command: str | None = None
    """As it is sent to the host."""
    outcome: str | None = None
    code: str | None = None
    text: str | None = None
    evidence: Mapping[str, object] | None = None
    """What was seen, redacted already; kept beside the row, which has its digest."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row as stored; `evidence` is the digest of a document, if it has one."""

    n: int
    at: str
    actor: Actor
    host: str | None
    verb: str
    order: str | None
    event: str
    command: str | None
    outcome: str | None
    code: str | None
    text: str | None
    evidence: str | None
    prev: str
    hash: str

    def as_json(self) -> dict[str, Any]:
        """The row as JSON has it."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def sealed(entry: Entry, before: Head) -> tuple[Row, str | None]:
    """The row that follows `before`, and its evidence as the document to keep."""
    document = None if entry.evidence is None else evidence_text(entry.evidence)
    who = entry.actor
    row = Row(
        n=before.n + 1,
        at=_instant(entry.at),
        actor=Actor(clean(who.login), who.uid, _clean(who.ssh_from), clean(who.console), _clean(who.said)),
        host=_clean(entry.host),
        verb=clean(entry.verb),
        order=_clean(entry.order),
        event=str(entry.event),
        command=_clean(entry.command),
        outcome=_clean(entry.outcome),
        code=_clean(entry.code),
        text=_clean(entry.text),
        evidence=None if document is None else digest(document.encode()),
        prev=before.hash,
        hash="",
    )
    return replace(row, hash=hash_of(row.as_json())), document


def clean(text: str) -> str:
    r"""`text` that any terminal may show: what does not print, but for line ends and tabs, as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in _KEEPS else char.encode("unicode_escape").decode()
        for char in text
    )


def _clean(text: str | None) -> str | None:
    return None if text is None else clean(text)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def evidence_text(evidence: Mapping[str, object]) -> str:
    """Evidence as the text that is kept and digested: JSON in ASCII, keys sorted.

    Raises TypeError for what is no data, ValueError for a number that JSON has not.
    """
    return json.dumps(msgspec.to_builtins(evidence), sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(document: Mapping[str, Any]) -> bytes:
    """The one form of a document. Raises ValueError for text that is no Unicode."""
    return _encode(document).encode()


_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=repr).encode


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def hash_of(document: Mapping[str, Any]) -> str:
    """The hash of a row or of an export's header: over all but `hash`, and `document`, which has its own."""
    hashed = {key: value for key, value in document.items() if key not in ("hash", "document")}
    return digest(canonical(hashed))


def header_line(fleet: str, exported_at: datetime, rows: int, head: Head) -> bytes:
    """The first line of an export."""
    header: dict[str, Any] = {
        "schema": SCHEMA,
        "fleet": clean(fleet),
        "exported_at": _instant(exported_at),
        "rows": rows,
        "head": head.whole,
    }
    return canonical(header | {"hash": hash_of(header)}) + b"\n"


def row_line(row: Row, document: str | None = None) -> bytes:
    """A row as a line of an export, with its evidence where that is given."""
    return canonical(row.as_json() | ({} if document is None else {"document": document})) + b"\n"


class Chain:
    """Takes rows in order and raises Broken at the first that does not belong there."""

    def __init__(self, wanted: Head | None = None) -> None:
        self.head = START
        self._wanted = wanted

    def take(self, row: Mapping[str, Any], place: str) -> None:
        """The next row as JSON has it; `place` is what a person finds it by."""
        if row.get("hash") != hash_of(row):
            raise Broken(f"{place}: its hash does not match its content")
        last, n = self.head.n, row.get("n")
        if type(n) is not int or n <= last:
            raise Broken(f"{place}: says it is row {n} where row {last + 1} belongs")
        if n > last + 1:
            gap = f"row {last + 1} is" if n == last + 2 else f"rows {last + 1} to {n - 1} are"
            raise Broken(f"{place}: row {n} stands here, {gap} missing")
        if row.get("prev") != self.head.hash:
            raise Broken(f"{place}: its prev does not match the hash of row {last}")
        if "document" in row and digest(str(row["document"]).encode()) != row.get("evidence"):
            raise Broken(f"{place}: its evidence does not match its digest")
        self.head = Head(n, str(row["hash"]))
        self._compare(self.head)

    def end(self) -> Head:
        """The head, once all rows were taken."""
        self._compare(START)
        if self._wanted and self._wanted.n > self.head.n:
            raise Broken(f"it ends with row {self.head.n}, before head {self._wanted}: rows were cut off")
        return self.head

    def _compare(self, head: Head) -> None:
        wanted = self._wanted
        if wanted and wanted.n == head.n and not head.hash.startswith(wanted.hash):
            raise Broken(f"row {wanted.n}: is not the row of head {wanted}; its own is {head}")


def verify_rows(rows: Iterable[tuple[Row, str | None]], wanted: Head | None = None) -> Head:
    """The head of stored rows, each with its evidence. Raises Broken."""
    chain = Chain(wanted)
    for row, document in rows:
        place = f"row {row.n}"
        if row.evidence is not None and document is None:
            raise Broken(f"{place}: its evidence is gone")
        chain.take(row.as_json() | ({} if document is None else {"document": document}), place)
    return chain.end()


def verify_lines(lines: Iterable[bytes], wanted: Head | None = None) -> Head:
    """The head of an export, given line by line, ends included. Raises Broken, whatever the bytes are."""
    chain, header = Chain(wanted), None
    for number, line in enumerate(lines, 1):
        if header is None:
            header = _header(line)
            continue
        place = f"line {number}, row {chain.head.n + 1}"
        chain.take(_parsed(line, place), place)
    if header is None:
        raise Broken("it is empty; an export begins with a header")
    rows, head = header.get("rows"), chain.head
    if rows != head.n:
        raise Broken(f"it ends with row {head.n}, its header says {rows} rows")
    if header.get("head") != head.whole:
        raise Broken(f"line 1: the header's head is not that of the last row, {head}")
    return chain.end()


def _header(line: bytes) -> dict[str, Any]:
    header = _parsed(line, "line 1")
    if header.get("schema") != SCHEMA:
        raise Broken(f"line 1: is no header of {SCHEMA}")
    if header.get("hash") != hash_of(header):
        raise Broken("line 1: the header's hash does not match its content")
    return header


def _parsed(line: bytes, place: str) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise Broken(f"{place}: the line breaks off")
    try:
        found = json.loads(line.decode(), parse_float=_refuse, parse_constant=_refuse)
        if isinstance(found, dict) and canonical(found) + b"\n" == line:
            return found
    except (ValueError, RecursionError):
        pass
    raise Broken(f"{place}: is no JSON object in canonical form")


def _refuse(text: str) -> None:
    raise ValueError(text)
