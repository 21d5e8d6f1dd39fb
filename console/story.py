"""What a host's state, its next boot and its changes say, as sentences people know. Pure.

Several facts change in one look; the look is told by its most telling event. Words may hold a host's text:
whoever draws them passes them through `Pen.say`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from collectors.classify import failure_words
from collectors.facts import Slot, SlotName, SlotTable
from collectors.slots import next_words
from console.host_page import absent_words
from console.render import value_words
from console.render_diff import Step, fact_words
from console.rows import HostRow, SlotCell
from console.states import style_of
from console.tone import Tone


class Event(NamedTuple):
    """What happened: a sign one cell wide, its tone, a few words."""

    glyph: str
    tone: Tone
    words: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at one host that found something changed."""

    at: datetime
    host: str
    events: tuple[Event, ...]
    """The most telling first; never empty."""


def event_of(steps: Step | Sequence[Step], *, ascii: bool = False) -> Event:
    """The most telling event of one step, or of all steps of one look at one host (at least one)."""
    return events_of((steps,) if isinstance(steps, Step) else steps, ascii=ascii)[0]


def events_of(
    steps: Iterable[Step], *, ascii: bool = False, before: Mapping[str, object] | None = None
) -> list[Event]:
    """Everything that one look at one host tells, the most telling first.

    A fact that follows from an event (a reboot changes the kernel's version) is not told beside it; one that
    no rule knows is told as `fact: old → new`. `before`: what earlier looks are known to have found, by path.
    """
    changed = _Changed({step.path: (step.old, step.new) for step in steps}, before or {})
    told: list[Event] = []
    explained: tuple[str, ...] = ()
    for rule in _RULES:
        for found in rule(changed):
            if found.path.startswith(explained):
                continue
            told.append(_drawn(found, ascii=ascii))
            explained += found.explains
    arrow = "to" if ascii else "→"
    sign = "." if ascii else "·"
    for path, (old, new) in changed.facts.items():
        if not path.startswith(explained):
            words = f"{fact_words(path)}: {value_words(old)} {arrow} {value_words(new)}"
            told.append(Event(sign, Tone.DIM, words))
    return told


def moments(steps: Iterable[Step], *, ascii: bool = False) -> list[Moment]:
    """Looks, newest first; at one time by host."""
    looks: dict[tuple[datetime, str], list[Step]] = {}
    for step in steps:
        looks.setdefault((step.at, step.host), []).append(step)
    told: list[Moment] = []
    known: dict[str, dict[str, object]] = {}
    for (at, host), found in sorted(looks.items()):
        before = known.setdefault(host, {})
        told.append(Moment(at, host, tuple(events_of(found, ascii=ascii, before=before))))
        before.update({step.path: step.new for step in found})
    return sorted(told, key=lambda moment: moment.at, reverse=True)


# Rules


@dataclass(frozen=True, slots=True)
class _Changed:
    """The facts of one look that changed: JSON Pointer -> old, new."""

    facts: dict[str, tuple[object, object]]
    before: Mapping[str, object]

    def __contains__(self, path: str) -> bool:
        return path in self.facts

    def old(self, path: str) -> object:
        return self.facts.get(path, (None, None))[0]

    def new(self, path: str) -> object:
        return self.facts.get(path, (None, None))[1]

    def now(self, path: str) -> object:
        """The value after this look; None where nobody told."""
        return self.facts[path][1] if path in self.facts else self.before.get(path)

    def became(self, path: str, value: object) -> bool:
        return path in self.facts and self.facts[path][1] == value

    def under(self, prefix: str) -> Iterator[tuple[str, object, object]]:
        for path, (old, new) in self.facts.items():
            if path.startswith(prefix):
                yield path, old, new


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    """The fact that tells it."""
    state: str
    """Whose sign and tone it has; "" is a plain dot."""
    words: str
    explains: tuple[str, ...]
    """Beginnings of the paths of facts that follow from it."""


def _drawn(found: _Found, *, ascii: bool) -> Event:
    if not found.state:
        return Event("." if ascii else "·", Tone.DIM, found.words)
    style = style_of(found.state)
    return Event(style.ascii if ascii else style.glyph, style.tone, found.words)


_UPDATER = (
    "/operation", "/new_version", "/new_size_bytes", "/attempt", "/prefs", "/flags/staged_marker",
    "/flags/reboot_required", "/unread",
)  # fmt: skip
_BOOT = (
    *_UPDATER, "/identity/", "/running", "/slots", "/cmdline", "/os", "/release", "/image_conf",
    "/extensions/meta", "/extensions/loops", "/extensions/candidates", "/coordinator",
    "/units/update-engine", "/units/locksmithd", "/system_state", "/complete",
)  # fmt: skip
_REACH = {
    "ok": ("current", "answers again"),
    "unreachable": ("unreachable", "could not be reached"),
    "timeout": ("unreachable", "went silent"),
    "auth_failed": ("unreachable", "refused the login"),
    "host_key_unknown": ("unreachable", "its host key was not known"),
    "host_key_changed": ("host_key_changed", "its host key changed"),
    "rebooting": ("rebooting", "was rebooting"),
    "probe_incomplete": ("incomplete", "answered in part"),
    "not_flatcar": ("not_flatcar", "answered, and is no Flatcar host"),
}


def _letter(path: str) -> str:
    """A or B of a path below /slots."""
    return path.split("/")[2].upper()


def _staged_slot(changed: _Changed) -> str | None:
    """Which slot was given its one try."""
    for path, old, new in changed.under("/slots/"):
        if path.endswith("/tries") and isinstance(new, int) and new > 0 and new != old:
            return _letter(path)
    return None


def _machine(changed: _Changed) -> Iterator[_Found]:
    for path in ("/identity/machine_id", "/identity/install"):
        if changed.old(path) and changed.new(path):
            words = "another machine" if path.endswith("machine_id") else "installed anew"
            yield _Found(path, "drift", words, (*_BOOT, "/extensions", "/units", "/conf"))


def _armed(changed: _Changed) -> Iterator[_Found]:
    for path, armed, off in (
        ("/flags/reset_armed", "a wipe was armed for the next boot", "the wipe is no longer armed"),
        ("/flags/first_boot_armed", "Ignition was armed to run again", "Ignition is no longer armed"),
    ):
        if changed.became(path, True):
            yield _Found(path, "reset_armed", armed, (path,))
        elif changed.old(path) is True:
            words = off if changed.new(path) is False else f"{off.split(' is ')[0]}: not read any more"
            yield _Found(path, "current" if changed.new(path) is False else "incomplete", words, (path,))


def _boot(changed: _Changed) -> Iterator[_Found]:
    path, version = "/identity/boot_id", changed.new("/os/version_id")
    if not (changed.old(path) and changed.new(path)):
        if version and changed.old("/os/version_id"):
            yield _Found("/os/version_id", "", f"runs {value_words(version)}", _BOOT)
        return
    slot = changed.new("/running")
    if version or slot:
        what = f"booted {value_words(version)}" if version else "booted"
        what += f" from {value_words(slot)}" if slot else ""
        confirmed = changed.became(f"/slots/{str(slot).lower()}/successful", True)
        state = "current" if confirmed else "rebooting"
        yield _Found(path, state, f"{what}, confirmed" if confirmed else what, _BOOT)
        return
    for tries, old, new in changed.under("/slots/"):
        if tries.endswith("/tries") and isinstance(old, int) and old > 0 and new == 0:
            tried = _letter(tries)
            staged = f" {value_words(changed.old('/new_version'))}" if changed.old("/new_version") else ""
            words = f"tried {tried}{staged}, back on {'A' if tried == 'B' else 'B'}"
            yield _Found(path, "reverted", words, _BOOT)
            return
    yield _Found(path, "rebooting", "rebooted", _BOOT)


def _masks(changed: _Changed) -> Iterator[_Found]:
    for path, old, new in changed.under("/units/"):
        if path.endswith("/load") and "masked" in (old, new):
            place = path.removesuffix("load")
            unit = fact_words(place.removeprefix("/units/"))
            words = f"{unit} was {'masked' if new == 'masked' else 'unmasked'}"
            more = _UPDATER if unit == "update-engine.service" else ()
            yield _Found(path, "updates_off" if new == "masked" else "current", words, (place, *more))


def _failure(changed: _Changed) -> Iterator[_Found]:
    code, path = changed.new("/attempt/error_code"), "/attempt/failed"
    if changed.became("/conf/server", "disabled") and code == 37:
        return  # the check that cannot find the server "disabled": meant so
    if changed.became(path, True):
        detail, version = changed.new("/attempt/detail"), changed.new("/attempt/offered_version")
        words = failure_words(
            code if isinstance(code, int) else None,
            detail if isinstance(detail, str) else None,
            version if isinstance(version, str) else None,
        )
        yield _Found(path, "failed", words, _UPDATER)


def _operation(changed: _Changed) -> Iterator[_Found]:
    path = "/operation"
    if path not in changed:
        return
    old, new = (str(item or "").removeprefix("UPDATE_STATUS_") for item in changed.facts[path])
    version = f" {value_words(changed.now('/new_version'))}" if changed.now("/new_version") else ""
    writing = ("UPDATE_AVAILABLE", "DOWNLOADING", "VERIFYING", "FINALIZING")
    if new == "UPDATED_NEED_REBOOT":
        slot = _staged_slot(changed)
        words = f"staged{version or ' a release'}" + (f" in {slot}" if slot else "")
        yield _Found(path, "staged", words, (*_UPDATER, "/slots"))
    elif new in writing and old not in writing:
        yield _Found(path, "staging", f"began to stage{version or ' a release'}", (*_UPDATER, "/slots"))
    elif new in writing:
        yield _Found(path, "staging", f"goes on staging: {new.replace('_', ' ').lower()}", _UPDATER)
    elif new == "REPORTING_ERROR_EVENT":
        yield _Found(path, "failed", "an update attempt failed", _UPDATER)
    elif not new:
        yield _Found(path, "incomplete", "the updater gave no answer", _UPDATER)
    elif old == "UPDATED_NEED_REBOOT":
        yield _Found(path, "staged_not_next", "the updater forgot what it had staged", _UPDATER)
    elif old in writing:
        yield _Found(path, "", "stopped staging", _UPDATER)
    else:
        words = "checked for updates" if new == "IDLE" else new.replace("_", " ").lower()
        yield _Found(path, "", f"the updater {words}" if new != "IDLE" else words, _UPDATER)


def _slots(changed: _Changed) -> Iterator[_Found]:
    if changed.became("/slots", None):
        yield _Found("/slots", "incomplete", "its slots were not read", ("/slots", "/prefs", "/attempt"))
    elif "/slots" in changed:
        yield _Found("/slots", "current", "its slots were read", ("/slots", "/prefs", "/attempt"))
    for path, _, new in changed.under("/slots/"):
        if path.endswith("/successful") and new is True:
            yield _Found(
                path, "current", f"{_letter(path)} confirmed", (path, path.replace("successful", "tries"))
            )
    ranks = {_letter(path): new for path, _, new in changed.under("/slots/") if path.endswith("/priority")}
    first = sorted(ranks, key=lambda letter: (-_number(ranks[letter]), letter))
    if len(first) == 2 and ranks[first[0]] != ranks[first[1]]:
        words = f"{first[0]} was put first for the next boot"
        yield _Found("/slots/a/priority", "rollback_armed", words, ("/slots",))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _reach(changed: _Changed) -> Iterator[_Found]:
    path = "/reach"
    if path not in changed:
        return
    state, words = _REACH.get(str(changed.new(path)), ("", f"reach: {value_words(changed.new(path))}"))
    if changed.became(path, "ok") and changed.old(path) is None:
        words = "answered for the first time"
    elif changed.became(path, "ok") and changed.old(path) == "probe_incomplete":
        words = "answers in full again"
    yield _Found(path, state, words, (path, "/complete"))


def _settings(changed: _Changed) -> Iterator[_Found]:
    server, group = "/conf/server", "/conf/group"
    if changed.became(server, "disabled"):
        yield _Found(server, "updates_off", "updates were turned off", (server, "/attempt"))
    elif server in changed:
        now = changed.new(server)
        words = f"its update server is now {value_words(now)}" if now else "its update server is the image's"
        yield _Found(server, "", words, (server,))
    if group in changed:
        words = f"its channel is set to {value_words(changed.new(group))}" if changed.new(group) else ""
        words = words or "its channel is no longer set on the host"
        yield _Found(group, "drift", words, (group, "/attempt/group"))


def _units(changed: _Changed) -> Iterator[_Found]:
    old, new = changed.facts.get("/failed_units", (None, None))
    was, now = _names(old), _names(new)
    if "/failed_units" in changed:
        told = ("/failed_units", "/system_state")
        if now - was:
            yield _Found(told[0], "degraded", f"{_listed(now - was)} failed", told)
        elif was - now and new is not None:
            yield _Found(told[0], "current", f"{_listed(was - now)} failed no longer", told)
    elif "/system_state" in changed:
        state = "current" if changed.became("/system_state", "running") else "degraded"
        words = f"its system is {value_words(changed.new('/system_state'))}"
        yield _Found("/system_state", state, words, ("/system_state",))
    for path, old, new in changed.under("/units/"):
        unit, _, fact = path.removeprefix("/units/").partition("/")
        place, unit = f"/units/{unit}/", fact_words(unit)
        if fact == "active":
            state = "current" if new == "active" else "degraded"
            words = f"{unit} is {value_words(new)}, was {value_words(old)}"
            yield _Found(path, state, words, (place,))


def _names(value: object) -> set[str]:
    return {str(item) for item in value} if isinstance(value, list | tuple) else set()


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _extensions(changed: _Changed) -> Iterator[_Found]:
    path = "/extensions/merged"
    if path not in changed:
        return
    was, now = map(_names, changed.facts[path])
    lost = f"{_listed(was - now)} no longer merged" if was - now else ""
    gained = f"{_listed(now - was)} merged" if now - was else ""
    if lost or gained:
        words = f"extensions: {lost}{', ' if lost and gained else ''}{gained}"
        yield _Found(path, "extension_problem" if lost else "current", words, ("/extensions/",))


def _rights(changed: _Changed) -> Iterator[_Found]:
    path = "/privileged"
    if path in changed:
        state, words = ("current", "with root again") if changed.new(path) else ("incomplete", "without root")
        told = (path, "/slots", "/prefs", "/attempt", "/unread", "/identity/install")
        yield _Found(path, state, f"answered {words}", told)


_Rule = Callable[[_Changed], Iterator[_Found]]
_RULES: tuple[_Rule, ...] = (
    _machine, _armed, _boot, _masks, _failure, _operation, _rights, _slots, _extensions, _units, _settings,
    _reach,
)  # fmt: skip
"""The most telling first."""


# The next boot


def next_of_row(row: HostRow) -> str:
    """The sentence of `slots.next_words` from a row: what the next boot starts, and what comes after."""
    if row.slot_a is None or row.slot_b is None:
        return f"cannot say: slots {absent_words(row.taken_at is not None)}"
    cells = {SlotName.A: row.slot_a, SlotName.B: row.slot_b}
    versions = {name: cell.version for name, cell in cells.items() if cell.version}
    codes = {code for code, _ in row.reasons}
    then = "Ignition runs again" if "first_boot_armed" in codes else ""
    then = "it wipes the host first" if "reset_armed" in codes else then
    table = SlotTable(_flags(SlotName.A, row.slot_a), _flags(SlotName.B, row.slot_b))
    return next_words(table, SlotName(row.running) if row.running else None, versions, then=then)


def _flags(name: SlotName, cell: SlotCell) -> Slot:
    return Slot(name, cell.priority, cell.tries, cell.successful)
