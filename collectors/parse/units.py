"""What systemctl says: units, the manager, what failed, and the version lines of tools.

States of units are open sets that grow with systemd, so they stay the words they are.
Sources: systemd 252 to 262, src/systemctl/{systemctl-show,systemctl-list-units}.c; containerd 1.6 to 2.0
and docker 20 to 28 for their version lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TypeVar

import msgspec

from collectors.errors import ParseError
from collectors.facts import Unit
from collectors.parse.text import clean, integer, lines, whole_lines

Row = TypeVar("Row", bound=msgspec.Struct)

_SYSTEM_STATES = frozenset(
    {"initializing", "starting", "running", "degraded", "maintenance", "stopping", "offline", "unknown"}
)
_NUMBER = re.compile(r"v?([0-9]{1,6}(?:\.[0-9]{1,6}){0,3}(?:[~-]?rc[0-9]{1,3})?)")
_TIMESTAMP = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?"
    r" ([A-Za-z]{1,6}|[+-][0-9]{2}(?:[0-9]{2})?)"
)
_GLYPHS = ("●", "○", "×", "↻", "*", "x")  # the last two where the terminal has no UTF-8
_SUFFIXES = "service|socket|target|mount|automount|timer|path|slice|scope|swap|device"
_UNIT_NAME = re.compile(rf"[^\s/]{{1,255}}\.(?:{_SUFFIXES})")
_LEGEND = re.compile(r"^[0-9]{1,6} (?:loaded )?units? listed|^LOAD +=")
_LABEL = re.compile(r" *(?P<label>[A-Z][A-Za-z -]{1,20}): +(?P<text>.*)")
_LOADED = re.compile(r"(?P<load>[a-z-]+)(?: \([^;()]*; (?P<state>[a-z-]+)[;)])?")
_ACTIVE = re.compile(
    r"(?P<active>[a-z-]+)(?: \((?!Result)(?P<sub>[^()]*)\))?(?: \(Result: (?P<result>[^()]*)\))?"
    r"(?: since (?P<since>[^;]*)(?:;.*)?)?"
)
_MAIN_PID = re.compile(r"(?P<pid>[0-9]{1,9})(?: \([^()]*(?:status|signal)=(?P<exit>[0-9A-Z_/]+)[^()]*\))?")
_UNMET = " was not met"
_VERSION_LINES = (
    re.compile(r"systemd [0-9]{1,4} \(([^()\s]{1,60})\)"),
    re.compile(r"Docker version ([^,\s]{1,60}),"),
    re.compile(r"containerd [^\s]{1,200} ([^\s]{1,60})(?=\s)"),
)


@dataclass(frozen=True, slots=True)
class Manager:
    """The service manager's words for itself."""

    systemd: str | None = None
    """Its version's number, such as 257.9, without a packager's suffix."""
    system_state: str | None = None
    failed_count: int | None = None


@dataclass(frozen=True, slots=True)
class UnitStatus:
    """One unit's block of `systemctl status`."""

    unit: str
    load: str | None = None
    file_state: str | None = None
    active: str | None = None
    sub: str | None = None
    """As systemd prints it; equal to `active` where it leaves the word out."""
    result: str | None = None
    since: datetime | None = None
    """None also where the zone is only an abbreviation; see `since_text`."""
    since_text: str | None = None
    main_pid: int | None = None
    exit: str | None = None
    """Of the main process, such as 1/FAILURE."""
    condition: str | None = None
    """The verb of `start condition ...`: failed or unmet."""
    unmet: tuple[str, ...] = ()
    """The conditions named as not met, such as `ConditionPathExists=!/usr/.noupdate`."""
    triggered_by: tuple[str, ...] = ()
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Label -> its lines, for all else."""
    journal: tuple[str, ...] = ()
    """The log lines below."""


def parse_show(text: str) -> dict[str, Unit]:
    """Units of `systemctl show -p Id,LoadState,ActiveState,SubState,...`, by Id.

    A record without Id or one of the three states is skipped. Raises ParseError if no line is a property.
    """
    units = {}
    anything = False
    for record in _records(text):
        anything = True
        name, load, active, sub = (record.get(key) for key in ("Id", "LoadState", "ActiveState", "SubState"))
        if name and load and active and sub:
            units[name] = Unit(
                load, active, sub, record.get("UnitFileState") or None, record.get("Result") or None
            )
    if not anything:
        raise ParseError(f"systemctl show: no property in {clean(text)!r}")
    return units


def parse_manager(text: str) -> Manager:
    """`systemctl show -p Version -p SystemState -p NFailedUnits`. Raises ParseError without any."""
    found: dict[str, str] = {}
    for record in _records(text):
        found |= record
    state, failed = found.get("SystemState") or None, found.get("NFailedUnits")
    if state is not None and state not in _SYSTEM_STATES:
        raise ParseError(f"systemctl show: unknown SystemState {state!r}")
    count = None if failed is None else integer(failed)
    if failed is not None and (count is None or count < 0):
        raise ParseError(f"systemctl show: NFailedUnits is {failed!r}")
    version = _NUMBER.match(found.get("Version", ""))
    if state is None and count is None and version is None:
        raise ParseError(f"systemctl show: no property of the manager in {clean(text)!r}")
    return Manager(version[1] if version else None, state, count)


class _Listed(msgspec.Struct):
    unit: str
    active: str


def parse_failed(text: str) -> tuple[str, ...]:
    """Names of failed units from `systemctl list-units`: JSON, or its table with or without glyphs, legend.

    Raises ParseError on anything else; nothing at all is no answer (an empty list is `[]` or a legend).
    """
    if text.lstrip().startswith("["):
        listed = json_rows(text, _Listed, "systemctl list-units")
        names = [item.unit for item in listed if item.active == "failed"]
    else:
        names = list(_failed_rows(text))
    return tuple(clean(name, 255) for name in names)


def parse_systemctl_status(text: str) -> tuple[UnitStatus, ...]:
    """The blocks of `systemctl status UNIT...`, in order. Raises ParseError if there is none."""
    blocks = []
    block: list[str] = []
    for line in whole_lines(text):
        if _is_title(line):
            blocks.append(block := [line])
        elif block:
            block.append(line)
    blocks = [block for block in blocks if any(line.lstrip().startswith("Loaded:") for line in block[:3])]
    if not blocks:
        raise ParseError(f"systemctl status: no unit in {clean(text)!r}")
    return tuple(_status(block) for block in blocks)


def parse_version_line(text: str) -> str:
    """The version in what `containerd --version`, `docker --version` or `systemctl --version` print."""
    for line in text.splitlines(keepends=True):
        for pattern in _VERSION_LINES:
            found = pattern.match(line)
            number = _NUMBER.match(found[1]) if found else None
            if number:
                return number[1]
    raise ParseError(f"no version in {clean(text)!r}")


def parse_timestamp(text: str) -> datetime | None:
    """A time as systemd prints it (`Mon 2026-11-23 04:55:39 UTC`), in UTC.

    None where it is none, or its zone is an abbreviation other than UTC: these name no offset.
    """
    found = _TIMESTAMP.fullmatch(text.strip())
    if found is None:
        return None
    zone = found[2]
    if zone in ("UTC", "GMT"):
        offset = timedelta()
    elif zone[0] in "+-":
        minutes = int(zone[1:3]) * 60 + int(zone[3:] or 0)
        offset = timedelta(minutes=-minutes if zone[0] == "-" else minutes)
    else:
        return None
    try:
        return datetime.fromisoformat(found[1]).replace(tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):  # a 31st of February, an offset of 30 hours, the year 1
        return None


def json_rows(text: str, row: type[Row], tool: str) -> list[Row]:
    """The JSON array in `text` as `row` structs, without unknown keys. Raises ParseError with the reason."""
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"), type=list[row])  # type: ignore[valid-type]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ParseError(f"{tool}: {clean(str(error))} in {clean(text)!r}") from None


def _records(text: str) -> Iterator[dict[str, str]]:
    """Blank-separated records of `KEY=VALUE` lines; a last line that its newline did not end is left out."""
    record: dict[str, str] = {}
    for line in (*whole_lines(text), ""):
        key, equals, value = line.partition("=")
        if equals and key.isalnum():
            record[key] = clean(value, 255)
        elif not line.strip() and record:
            yield record
            record = {}


def _failed_rows(text: str) -> Iterator[str]:
    """Names of the rows of `list-units` whose ACTIVE is failed."""
    known = False
    for line in lines(text):
        words = _without_glyph(line).split(maxsplit=4)
        if words[:4] == ["UNIT", "LOAD", "ACTIVE", "SUB"] or _LEGEND.search(line):
            known = True
        elif len(words) >= 4 and _UNIT_NAME.fullmatch(words[0]):
            known = True
            if words[2] == "failed":
                yield words[0]
    if not known:
        raise ParseError(f"systemctl list-units: neither a unit nor a legend in {clean(text)!r}")


def _is_title(line: str) -> bool:
    """Whether `line` opens a block: a glyph, or none, and a unit's name at column 0."""
    if line.startswith(" "):
        return False
    return bool(_UNIT_NAME.fullmatch(_without_glyph(line.partition(" - ")[0])))


def _without_glyph(text: str) -> str:
    """`text` without blanks around it and without the glyph of a state and its blank before it."""
    bare = text.strip()
    return bare[1:].lstrip() if bare[:1] in _GLYPHS and bare[1:2] == " " else bare


def _status(block: list[str]) -> UnitStatus:
    end = next((number for number, line in enumerate(block) if not line.strip()), len(block))
    fields = _labelled(block[1:end])
    load = _LOADED.match(_only(fields, "Loaded"))
    active = _ACTIVE.fullmatch(_only(fields, "Active"))
    main = _MAIN_PID.match(_only(fields, "Main PID"))
    condition = fields.get("Condition", ())
    since = active["since"] if active else None
    return UnitStatus(
        unit=clean(_without_glyph(block[0].partition(" - ")[0]), 255),
        load=load["load"] if load else None,
        file_state=load["state"] if load else None,
        active=active["active"] if active else None,
        sub=(active["sub"] or active["active"]) if active else None,
        result=active["result"] if active else None,
        since=parse_timestamp(since) if since else None,
        since_text=since,
        main_pid=int(main["pid"]) if main else None,
        exit=main["exit"] if main else None,
        condition=next((word for word in ("failed", "unmet") if word in "".join(condition[:1])), None),
        unmet=tuple(_strip_tree(line)[: -len(_UNMET)] for line in condition[1:] if line.endswith(_UNMET)),
        triggered_by=tuple(_without_glyph(line) for line in fields.get("TriggeredBy", ())),
        fields=fields,
        journal=tuple(clean(line, 500) for line in block[end:] if line.strip()),
    )


def _labelled(block: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Label -> its lines, stripped; a line without a label belongs to the one above."""
    fields: dict[str, tuple[str, ...]] = {}
    label = ""
    for line in block:
        found = _LABEL.match(line)
        if found:
            label = found["label"]
        fields[label] = (*fields.get(label, ()), clean(found["text"] if found else line, 500))
    return fields


def _only(fields: dict[str, tuple[str, ...]], label: str) -> str:
    return fields.get(label, ("",))[0]


def _strip_tree(line: str) -> str:
    return line.lstrip(" │├└─|`-")
