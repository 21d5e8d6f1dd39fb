"""Who may reboot when, and in which order: windows, the default rollout's cohorts, what hosts do alone. Pure.

What is told of hosts rests on what was stored of them. It permits nothing: an order looks at its host first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from actions.windows import Opening, openings, reboot_windows
from collectors.facts import HostFacts
from collectors.fleet_model import Cohort, Fleet, TakeKind, Window
from collectors.parse.locksmith import in_window, next_opening, parse_window
from collectors.reboots import (
    Plan,
    cluster_may_reboot,
    has_begun,
    locksmithd_is_up,
    plan,
    reboots_by_itself,
    strategy,
)
from collectors.reboots import window as locksmith_window


class When(StrEnum):
    """When a host reboots by itself."""

    BEGUN = "begun"
    """It has begun to."""
    ANY_TIME = "any-time"
    LOCK = "cluster-lock"
    """As soon as it gets the lock that its cluster shares."""
    WINDOW = "window"
    """In locksmithd's own window."""


class Fit(StrEnum):
    """How that lies to the openings in which orders may reboot hosts."""

    INSIDE = "inside"
    PARTLY = "partly"
    OUTSIDE = "outside"


class Unknown(StrEnum):
    """Why nothing sure is told of a host."""

    NEVER_ASKED = "never-asked"
    NEVER_READ = "never-read"
    """It was asked, and never told what is on it."""
    STALE = "stale"
    SILENT = "silent"
    """It gave no whole answer when last asked; what it told before is fresh still."""
    CLUSTER = "cluster"
    """FLUO or kured may reboot it."""
    UNREAD = "unread"
    """What would tell was not read."""
    RESET = "reset"
    """Staged and reset: locksmithd may have seen it before."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is stored of one host."""

    host: str
    facts: HostFacts | None
    taken_at: datetime | None
    """When the facts were read; None: never."""
    was_asked: bool
    answers: bool
    """It gave a whole answer when last asked."""
    is_stale: bool
    hold: str | None
    """From the fleet file or the store."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A cohort of the default rollout."""

    cohort: Cohort
    hosts: tuple[str, ...] | None
    """Held ones among them; None: only the plan chooses them."""
    count: int


@dataclass(frozen=True, slots=True)
class Slot:
    """An opening, and who has no time in it."""

    opening: Opening
    is_open: bool
    left_s: float | None
    """Seconds from its begin, or from now, to its end; None: no end."""
    too_short_for: tuple[str, ...]
    """Hosts that are not held, and whose reboot may take longer."""


@dataclass(frozen=True, slots=True)
class ByItself:
    """A host that reboots without us."""

    host: str
    when: When
    begins_at: datetime | None
    """With WINDOW: aware UTC, if the host's clock shows UTC. None: at any moment."""
    ends_at: datetime | None
    fit: Fit
    hold: str | None
    is_stale: bool
    """What it told is old; it may have rebooted since."""
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class NotKnown:
    host: str
    why: Unknown
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class Calendar:
    fleet: str
    now: datetime
    days: int
    hosts: tuple[str, ...]
    """Those that were selected."""
    fleet_hosts: int
    windows: tuple[Window, ...]
    """That orders keep to; none: they may reboot hosts at any time."""
    unused: tuple[Window, ...]
    """The fleet file's others."""
    slots: tuple[Slot, ...]
    turns: tuple[Turn, ...]
    """None where there is no default rollout."""
    deadlines_s: Mapping[str, int]
    """How long a reboot may take: `reboot_deadline`, by host."""
    never: tuple[str, ...]
    """Hosts, not held, whose reboot fits into no opening of these days."""
    held: tuple[tuple[str, str], ...]
    by_itself: tuple[ByItself, ...]
    not_known: tuple[NotKnown, ...]


def calendar_of(
    fleet: Fleet,
    seen: Sequence[Seen],
    members: Mapping[str, Collection[str]],
    now: datetime,
    days: int = 7,
) -> Calendar:
    """The days from `now` (aware) on, for the hosts of `seen`, which are of the fleet.

    `members`: the hosts of the fleet that each cohort's own selection names, by the cohort's name.
    """
    windows = reboot_windows(fleet)
    found = openings(windows, now, days)
    names = tuple(item.host for item in seen)
    known = {host.name: host.reboot_deadline_s for host in fleet.hosts}
    deadlines_s = {name: known[name] for name in names}
    free = {item.host: deadlines_s[item.host] for item in seen if item.hold is None}
    slots = tuple(_slot(opening, free, now) for opening in found)
    fitting = {host for slot in slots for host in free.keys() - set(slot.too_short_for)}
    template = fleet.rollouts.get("default")
    return Calendar(
        fleet=fleet.name,
        now=now,
        days=days,
        hosts=names,
        fleet_hosts=len(fleet.hosts),
        windows=windows,
        unused=tuple(window for window in fleet.windows.values() if window not in windows),
        slots=slots,
        turns=tuple(_turns(template.cohorts, names, members)) if template else (),
        deadlines_s=deadlines_s,
        never=tuple(host for host in free if host not in fitting),
        held=tuple((item.host, item.hold) for item in seen if item.hold is not None),
        by_itself=tuple(_by_themselves(seen, windows, now)),
        not_known=tuple(_not_known(seen)),
    )


def _slot(opening: Opening, free: Mapping[str, int], now: datetime) -> Slot:
    short = tuple(host for host, need_s in free.items() if not opening.fits(need_s, now))
    return Slot(opening, opening.has(now), opening.left_s(now), short)


def _turns(
    cohorts: Sequence[Cohort], names: Sequence[str], members: Mapping[str, Collection[str]]
) -> Iterator[Turn]:
    """Each cohort takes from those that none before it took. Who is in a share, the plan chooses."""
    taken: set[str] = set()
    left, is_blurred = len(names), False
    for cohort in cohorts:
        hosts: tuple[str, ...] | None = tuple(name for name in names if left and name not in taken)
        if cohort.kind is TakeKind.SELECTION:
            named = members.get(cohort.name, ())
            hosts = tuple(name for name in hosts or () if name in named)
            took = min(len(hosts), left)
            taken.update(hosts)
        elif cohort.share is not None:
            took = min(cohort.share.of(len(names)), left)
            hosts = hosts if took == left and not is_blurred else None
            is_blurred = is_blurred or 0 < took < left
        else:
            hosts, took = None if is_blurred and left else hosts, left
        left -= took
        yield Turn(cohort, hosts, took)


# Hosts that reboot without us


def _by_themselves(seen: Sequence[Seen], windows: Sequence[Window], now: datetime) -> Iterator[ByItself]:
    """Those at any moment first, then by time."""
    found = [
        _alone(item, item.facts, windows, now)
        for item in seen
        if item.facts is not None and reboots_by_itself(item.facts)
    ]
    yield from sorted(found, key=lambda item: (item.begins_at or now, item.host))


def _alone(item: Seen, facts: HostFacts, windows: Sequence[Window], now: datetime) -> ByItself:
    when, begins_at, ends_at = _moment(facts, now)
    fit = _fit(windows, now, begins_at, now if when is When.BEGUN else ends_at)
    return ByItself(
        item.host, when, begins_at, ends_at, fit, item.hold, item.is_stale or not item.answers, item.taken_at
    )


def _moment(facts: HostFacts, now: datetime) -> tuple[When, datetime | None, datetime | None]:
    """locksmithd's next chance. The host's time zone is not read: Flatcar's own is UTC."""
    if has_begun(facts):
        return When.BEGUN, None, None
    if plan(facts) is not Plan.WINDOW:
        return When.LOCK if strategy(facts) == "etcd-lock" else When.ANY_TIME, None, None
    window = parse_window(*locksmith_window(facts))
    assert window is not None, "a plan with a window has one"
    local = now.astimezone(UTC)
    begins_at = next_opening(window, local)
    if in_window(window, local):
        begins_at -= timedelta(days=7 if window.day is not None else 1)
    return When.WINDOW, begins_at, begins_at + timedelta(seconds=window.length_s)


def _fit(
    windows: Sequence[Window], now: datetime, begins_at: datetime | None, ends_at: datetime | None
) -> Fit:
    """Of a moment that is not known: how it lies if it is now, and whether the opening will end."""
    begin = max(begins_at or now, now)
    last = max(ends_at or now, begin)
    for opening in openings(windows, begin):
        if opening.has(begin):
            stays = opening.end is None or (ends_at is not None and last <= opening.end)
            return Fit.INSIDE if stays else Fit.PARTLY
        if opening.begin is not None and opening.begin <= last and ends_at is not None:
            return Fit.PARTLY
    return Fit.OUTSIDE


def _not_known(seen: Sequence[Seen]) -> Iterator[NotKnown]:
    for item in seen:
        why = _why_not_known(item)
        if why is not None:
            yield NotKnown(item.host, why, item.taken_at)


def _why_not_known(item: Seen) -> Unknown | None:
    facts = item.facts
    if not item.was_asked:
        return Unknown.NEVER_ASKED
    if facts is None:
        return Unknown.NEVER_READ
    if item.is_stale:
        return Unknown.STALE
    if not item.answers:
        return Unknown.SILENT
    if reboots_by_itself(facts) is not None:
        return None
    if cluster_may_reboot(facts):
        return Unknown.CLUSTER
    is_read = locksmithd_is_up(facts) is not None and facts.operation is not None
    return Unknown.RESET if is_read else Unknown.UNREAD
