"""A preflight's answer -> Extra: facts beyond the probe's, of the moment only.

Total: whatever the bytes are, an Extra comes back; what could not be read is None and named in `unread`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeVar

import msgspec

from collectors.errors import ParseError
from collectors.facts import Attempt
from collectors.parse.journal import parse_attempt
from collectors.parse.text import clean
from collectors.probe import Frame, read_frame
from collectors.redact import redact, visible

T = TypeVar("T")


class UnitFile(StrEnum):
    """What stands under a unit's name in a folder of unit files."""

    ABSENT = "absent"
    MASK = "mask"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Space:
    size_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True)
class Boot:
    """/boot, mounted by the look where it is an automount."""

    mounted: bool
    space: Space
    kernels: dict[str, int]
    """Path -> bytes."""
    first_boot_armed: bool


@dataclass(frozen=True, slots=True)
class Inhibitor:
    what: tuple[str, ...]
    who: str
    why: str
    mode: str
    """`block`, `block-weak` or `delay`."""

    @property
    def forbids_reboot(self) -> bool:
        return "shutdown" in self.what and self.mode.startswith("block")


@dataclass(frozen=True, slots=True)
class HeldOrder:
    """/run/fleetctl/order as another order of the host's shows it; values are for reading only."""

    order: str
    actor: str = ""
    console: str = ""
    verb: str = ""
    boot_id: str = ""
    until: int | None = None
    """Seconds since the epoch, by the host's clock."""
    now: int | None = field(default=None, compare=False)
    """What that clock showed when this was read."""


@dataclass(frozen=True, slots=True)
class LocksmithdHold:
    runtime: UnitFile
    """In /run: a mask there is an order's hold, `held_by` where the note is there too."""
    fixed: UnitFile
    """In /etc: a mask there is somebody else's, often FLUO's."""
    active: str
    held_by: str | None = None


@dataclass(frozen=True, slots=True)
class OrderUnit:
    """fleetctl-ORDER.service; `load` is `not-found` where it never started in this boot."""

    load: str
    active: str
    sub: str
    result: str
    status: int | None
    """Exit status of its main process: words.Exit."""

    @property
    def is_over(self) -> bool:
        return self.sub in ("exited", "failed", "dead")


@dataclass(frozen=True, slots=True)
class Extra:
    """What preflight saw; None: not read, `unread` says why."""

    complete: bool
    attempt: Attempt | None = None
    """Of this boot, its whole journal looked through."""
    attempt_before: Attempt | None = None
    """Of the boot before; None too where the journal has none."""
    boot: Boot | None = None
    inhibitors: tuple[Inhibitor, ...] | None = None
    updater_running: bool | None = None
    order: HeldOrder | None = None
    conf: bytes | None = field(default=None, repr=False)
    """update.conf as it is: may hold secrets; None where it is absent or not read."""
    conf_digest: str | None = None
    """For the guard: SHA-256 in hex, or `absent`."""
    locksmithd: LocksmithdHold | None = None
    reboot_required: bool | None = None
    reset_armed: bool | None = None
    cgroup_v1: bool | None = None
    """The host mounts the old control groups only, or mixed."""
    var_tmp: Space | None = None
    unit: OrderUnit | None = None
    """Of the order asked about."""
    log: tuple[str, ...] = ()
    """What that order's unit told, oldest first."""
    unread: tuple[tuple[str, str], ...] = ()
    """Section, reason."""


def parse_extra(output: bytes, mark: str, *, salt: bytes) -> Extra:
    """Extra facts of a preflight's raw output; total. `salt` keys the digests that stand for secrets."""
    return _Reader(read_frame(output, mark), salt).extra()


class _Reader:
    def __init__(self, frame: Frame, salt: bytes) -> None:
        self.frame = frame
        self.salt = salt
        self.unread: list[tuple[str, str]] = []

    def read(self, section: str, parse: Callable[[str], T], *statuses: int) -> T | None:
        """A section that ended with 0 or one of `statuses`, parsed; None and a note where that fails."""
        found = self.frame.sections.get(section)
        if found is None:
            self.unread.append((section, "was not answered"))
            return None
        if found.exit_status not in (0, *statuses):
            self.unread.append((section, f"ended with {found.exit_status}"))
            return None
        try:
            return parse(redact(found.content.decode("utf-8", "replace"), self.salt))
        except ParseError as error:
            self.unread.append((section, visible(str(error), 200)))
            return None

    def status(self, section: str) -> int | None:
        found = self.frame.sections.get(section)
        return found.exit_status if found else None

    def extra(self) -> Extra:
        digest = self.digest()
        marks = self.read("marks", _pairs) or {}
        asked = "unit" in self.frame.sections
        order = None if self.status("order") == 1 else self.read("order", _held_order)
        return Extra(
            complete=self.frame.complete,
            attempt=self.read("journal", self.attempt),
            attempt_before=self.read("before", self.attempt) if self.status("before") is not None else None,
            boot=self.read("boot", _boot),
            inhibitors=self.read("inhibitors", _inhibitors),
            updater_running={0: True, 1: False}.get(self.status("updater") or 0)
            if "updater" in self.frame.sections
            else None,
            order=order,
            conf=self.frame.sections["conf"].content if digest not in (None, "absent") else None,
            conf_digest=digest,
            locksmithd=self.read("locksmithd", _locksmithd),
            reboot_required=_CLAIMS.get(marks.get("/run/reboot-required", "")),
            reset_armed=_CLAIMS.get(marks.get("/selective-os-reset", "")),
            cgroup_v1=_DENIALS.get(marks.get("/sys/fs/cgroup/cgroup.controllers", "")),
            var_tmp=self.read("var_tmp", _space),
            unit=self.read("unit", _unit) if asked else None,
            log=self.log() if asked else (),
            unread=tuple(self.unread),
        )

    def attempt(self, text: str) -> Attempt:
        head, newline, lines = text.partition("\n")
        if not newline or head not in ("whole", "part"):
            raise ParseError(f"the journal begins with {clean(head, 40)!r}")
        return replace(parse_attempt(lines), reaches_boot=head == "whole")

    def digest(self) -> str | None:
        """The guard's digest; None unless the bytes that came are what the host itself summed up."""
        found, told = self.frame.sections.get("conf"), self.frame.sections.get("conf_sum")
        if found is None or told is None:
            self.unread.append(("conf", "was not answered"))
            return None
        if found.exit_status == 1 and not found.content:
            return "absent"
        made = hashlib.sha256(found.content).hexdigest()
        if found.exit_status != 0 or told.content[:64].decode("ascii", "replace") != made:
            self.unread.append(("conf", "is not whole"))
            return None
        return made

    def log(self) -> tuple[str, ...]:
        text = self.read("log", str, 1) or ""
        return tuple(visible(line, 200) for line in text.split("\n") if line)


_CLAIMS = {"1": True, "0": False}
_DENIALS = {"1": False, "0": True}


def _pairs(text: str) -> dict[str, str]:
    lines = (line.partition("\t") for line in text.split("\n"))
    return {key: value for key, tab, value in lines if tab}


def _space(text: str) -> Space:
    found = re.fullmatch(r"([0-9]{1,9}) ([0-9]{1,18}) ([0-9]{1,18})", text.strip(), flags=re.ASCII)
    if not found:
        raise ParseError(f"no file system's size: {clean(text)}")
    block, size, free = map(int, found.groups())
    return Space(block * size, block * free)


def _boot(text: str) -> Boot:
    pairs = _pairs(text)
    sizes = {path: size for path, size in pairs.items() if path.startswith("/boot/")}
    if not all(re.fullmatch(r"[0-9]{1,15}", size, flags=re.ASCII) for size in sizes.values()):
        raise ParseError("a kernel's size is no number")
    return Boot(
        mounted=pairs.get("mount", "unmounted") != "unmounted",
        space=_space(pairs.get("space", "")),
        kernels={path: int(size) for path, size in sizes.items()},
        first_boot_armed="first_boot" in pairs,
    )


class _InhibitorReply(msgspec.Struct):
    type: str
    data: list[list[tuple[str, str, str, str, int, int]]]


def _inhibitors(text: str) -> tuple[Inhibitor, ...]:
    try:
        reply = msgspec.json.decode(text, type=_InhibitorReply)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ParseError(f"not logind's inhibitors: {clean(str(error))}") from error
    if reply.type != "a(ssssuu)" or len(reply.data) != 1:
        raise ParseError(f"not logind's inhibitors: {clean(reply.type)}")
    return tuple(
        Inhibitor(tuple(what.split(":")), visible(who, 80), visible(why, 200), visible(mode, 40))
        for what, who, why, mode, _, _ in reply.data[0]
    )


def _held_order(text: str) -> HeldOrder:
    lines = (line.partition("=") for line in text.split("\n"))
    values = {key: visible(value, 80) for key, sign, value in lines if sign}
    until, now = values.get("until", ""), values.get("now", "")
    return HeldOrder(
        order=values.get("order", ""),
        actor=values.get("actor", ""),
        console=values.get("console", ""),
        verb=values.get("verb", ""),
        boot_id=values.get("boot_id", ""),
        until=int(until) if re.fullmatch(r"[0-9]{1,11}", until, flags=re.ASCII) else None,
        now=int(now) if re.fullmatch(r"[0-9]{1,11}", now, flags=re.ASCII) else None,
    )


def _locksmithd(text: str) -> LocksmithdHold:
    pairs = _pairs(text)
    try:
        runtime, fixed = UnitFile(pairs.get("run", "")), UnitFile(pairs.get("etc", ""))
    except ValueError as error:
        raise ParseError(f"unit files: {clean(str(error))}") from error
    held_by = pairs.get("held_by")
    return LocksmithdHold(
        runtime, fixed, visible(pairs.get("active", ""), 40), visible(held_by, 40) if held_by else None
    )


def _unit(text: str) -> OrderUnit:
    lines = (line.partition("=") for line in text.split("\n"))
    values = {key: visible(value, 40) for key, sign, value in lines if sign}
    if "LoadState" not in values or "SubState" not in values:
        raise ParseError(f"not a unit's state: {clean(text)}")
    status = values.get("ExecMainStatus", "")
    return OrderUnit(
        load=values["LoadState"],
        active=values.get("ActiveState", ""),
        sub=values["SubState"],
        result=values.get("Result", ""),
        status=int(status) if re.fullmatch(r"[0-9]{1,4}", status, flags=re.ASCII) else None,
    )
