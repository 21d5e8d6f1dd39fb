"""A fleet's story told twice: by the hosts' own log, and by what fleetctl saw change; whether they agree.

Times are seconds of whichever clock the caller uses, the same one for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NEED_REBOOT = "UPDATE_STATUS_UPDATED_NEED_REBOOT"


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the hosts' own log."""

    at: float
    host: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Told:
    """One changed fact as fleetctl has it."""

    at: float
    host: str
    path: str
    old: object
    new: object


DOWN = "down"
"""From a reboot's begin to its end nobody can see what is staged."""
Line = list[tuple[float, object]]
"""A value's changes in time."""


@dataclass(frozen=True, slots=True)
class Began:
    """What a host ran when it first answered."""

    version: str
    slot: str


def value_at(line: Line, at: float) -> object:
    return next((value for since, value in reversed(line) if since <= at), None)


def _from_the_first_look(began: Began) -> dict[str, Line]:
    start = float("-inf")
    return {"version": [(start, began.version)], "slot": [(start, began.slot)], "boot": [], "staged": []}


def truth(log: Iterable[Happened], began: Began) -> dict[str, Line]:
    """Of one host: what the log says of its version, slot, boot and staged version."""
    found = _from_the_first_look(began)
    for item in log:
        if item.what == "rebooted":
            slot, version = item.detail.split()
            for fact, value in (("version", version), ("slot", slot), ("boot", len(found["boot"]) + 1)):
                found[fact].append((item.at, value))
            found["staged"].append((item.at, None))
        elif item.what == "staged":
            found["staged"].append((item.at, item.detail))
        elif item.what == "reboot-asked":
            found["staged"].append((item.at, DOWN))
    return found


def as_told(steps: Iterable[Told], began: Began) -> dict[str, Line]:
    """Of one host: the same as fleetctl tells it; what it does not tell is as it was."""
    found = _from_the_first_look(began)
    operation, version, moments = None, None, sorted({step.at for step in steps})
    for at in moments:
        for step in (item for item in steps if item.at == at):
            match step.path:
                case "/os/version_id":
                    found["version"].append((at, step.new))
                case "/running":
                    found["slot"].append((at, step.new))
                case "/identity/boot_id":
                    found["boot"].append((at, step.new))
                case "/operation":
                    operation = step.new
                case "/new_version":
                    version = step.new
        found["staged"].append((at, version if operation == NEED_REBOOT else None))
    return found


def check_lasting(
    log: list[Happened], steps: list[Told], began: Began, *, gap_s: float, end: float
) -> Counter[str]:
    """Whatever came and held for longer than `gap_s` is told before it ended; how many of each fact."""
    true, told = truth(log, began), as_told(steps, began)
    boots = [value for _, value in told["boot"]]
    checked = Counter[str]()
    for fact, line in true.items():
        ends = [at for at, _ in line[1:]] + [end]
        for (since, value), until in zip(line, ends, strict=False):
            if until - since <= gap_s or value is DOWN:
                continue
            shown = value_at(told[fact], until)
            if fact == "boot":  # ids are not in the log: each boot has one of its own
                assert shown is not None, (since, value)
                assert boots.count(shown) == 1
            else:
                assert shown == value, (fact, since, until, value, shown)
            checked[fact] += since > float("-inf")
    return checked


def check_unbroken(steps: list[Told], began: Began) -> None:
    """Each change of version and slot begins where the one before it ended."""
    for path, value in (("/os/version_id", began.version), ("/running", began.slot)):
        last: object = value
        for step in (it for it in steps if it.path == path):
            assert step.old == last, step
            last = step.new


def check_nothing_more(log: list[Happened], steps: list[Told], began: Began, *, slop_s: float) -> None:
    """No reboot, version, slot, confirmation or fallback is told that the log does not have."""
    true = truth(log, began)
    boots = 0
    for step in steps:
        until = step.at + slop_s
        if step.path == "/identity/boot_id":
            boots += 1
            assert boots <= int(str(value_at(true["boot"], until) or 0)), step
        elif step.path in ("/os/version_id", "/running"):
            line = true["version" if step.path == "/os/version_id" else "slot"]
            assert step.new in (value_at(line, until), value_at(line, step.at - slop_s)), step
        elif step.path.endswith("/successful") and step.old is False and step.new is True:
            slot = step.path.split("/")[2].upper()
            assert any(
                it.what == "confirmed" and it.detail.startswith(slot) and it.at <= until for it in log
            ), step
        elif step.path == "/attempt/fell_back" and step.new is True:
            assert any(it.what == "fell-back" and it.at <= until for it in log), step
        elif step.path == "/operation" and step.new == NEED_REBOOT:
            assert any(it.what == "staged" and it.at <= until for it in log), step


def check_confirmed_and_fallen(log: list[Happened], steps: list[Told], *, gap_s: float, end: float) -> None:
    """A confirmation and a fallback that lasted are told."""
    reboots = [it.at for it in log if it.what == "rebooted"] + [end]
    for item in log:
        until = min(at for at in reboots if at > item.at)
        if until - item.at <= gap_s:
            continue
        if item.what == "confirmed":
            slot = item.detail.split()[0].lower()
            line = [(it.at, it.new) for it in steps if it.path == f"/slots/{slot}/successful"]
            assert value_at(line, until) in (True, None), item
        if item.what == "fell-back":
            mine = [it for it in steps if item.at < it.at <= until]
            assert any(
                (it.path == "/prefs/previous_version" and it.new)
                or (it.path == "/attempt/fell_back" and it.new)
                for it in mine
            ), (item, mine)


def at_first_look(log: Iterable[Happened], start: Began, first: float) -> Began:
    """What a host ran then, that had started like this."""
    for item in log:
        if item.what == "rebooted" and item.at <= first:
            slot, version = item.detail.split()
            start = Began(version, slot)
    return start


def check_story(
    log: list[Happened],
    steps: list[Told],
    starts: Mapping[str, Began],
    *,
    gap_s: float,
    slop_s: float,
    end: float,
) -> None:
    """The whole fleet's: host by host, from each one's first answer on. `starts`: what each began with."""
    seen = {step.host: step.at for step in reversed(steps) if step.path == "/reach" and step.new == "ok"}
    assert set(seen) == set(starts), set(starts) - set(seen)
    checked = Counter[str]()
    for host, first in seen.items():
        mine = [it for it in log if it.host == host and first < it.at < end]
        told = [it for it in steps if it.host == host and (it.at > first or it.path == "/reach")]
        began = at_first_look((it for it in log if it.host == host), starts[host], first)
        checked += check_lasting(mine, told, began, gap_s=gap_s, end=end)
        check_confirmed_and_fallen(mine, told, gap_s=gap_s, end=end)
        check_nothing_more(mine, told, began, slop_s=slop_s)
        check_unbroken(told, began)
    assert all(checked[fact] >= 2 for fact in ("version", "slot", "boot")), checked
    happened = {it.what for it in log if it.at > max(seen.values())}
    assert {"staged", "rebooted", "confirmed", "fell-back", "attempt-failed"} <= happened, happened


def check_a_fallback_is_told(steps: Iterable[Told]) -> None:
    """For looks that come often enough: between a host's check after a fallback and its next reboot."""
    assert any(step.path == "/attempt/fell_back" and step.new for step in steps)
