"""Rollouts as the dashboard's board shows them: the list, and of the chosen one all that is known. Pure.

Made where nobody waits for it, drawn again and again: what takes a walk over the hosts is counted here, once
for each state. What needs a person comes first: halted before running, failed hosts before well ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from actions.rollout import waits
from actions.rollout_desk import Desk
from actions.rollout_gates import gate_problem
from actions.rollout_model import (
    CohortPhase,
    CohortState,
    FailKind,
    HostPhase,
    HostState,
    Rollout,
    RolloutState,
)
from actions.rollout_plan import Now, Plan
from actions.rollout_planning_time import Durations, Estimate, estimate
from actions.rollout_talk import RequestKind
from console.render_rollout_time import ends_at, local_words, seen_durations

_STATES = (
    RolloutState.HALTED,
    RolloutState.PAUSED,
    RolloutState.ROLLING_BACK,
    RolloutState.RUNNING,
    RolloutState.APPROVED,
    RolloutState.DRAFT,
)
_RANK = {state: rank for rank, state in enumerate(_STATES)}
_PHASES = (
    HostPhase.FAILED,
    HostPhase.MISSING,
    HostPhase.UNKNOWN,
    HostPhase.EXCEPTION,
    HostPhase.DONE,
    HostPhase.SETTLING,
    HostPhase.VERIFYING,
    HostPhase.AWAITING_RETURN,
    HostPhase.REBOOT_ISSUED,
    HostPhase.DRAINING,
    HostPhase.LEASED,
    HostPhase.STAGED,
    HostPhase.STAGING,
    HostPhase.PREFLIGHT,
    HostPhase.PENDING,
    HostPhase.ROLLED_BACK,
    HostPhase.SKIPPED,
)
"""As tiles stand in a cohort: what went wrong, then the way back to what has not begun."""
_PHASE_RANK = {phase: rank for rank, phase in enumerate(_PHASES)}
AT_WORK = (
    HostPhase.LEASED,
    HostPhase.DRAINING,
    HostPhase.REBOOT_ISSUED,
    HostPhase.AWAITING_RETURN,
    HostPhase.VERIFYING,
)
WELL = (HostPhase.DONE, HostPhase.SETTLING)
_BEFORE_TURN = (FailKind.PREFLIGHT, FailKind.STAGE, FailKind.WRONG_GROUP)
SHARED_SHOWN = 4


@dataclass(frozen=True, slots=True)
class RolloutLine:
    """One rollout of the list."""

    id: str
    title: str
    state: RolloutState
    at: datetime
    ended_at: datetime | None = None
    done: tuple[int, int] | None = None
    """Hosts done, of all; None: not counted yet."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One host."""

    host: str
    phase: HostPhase
    failed: FailKind | None = None
    is_accepted: bool = False
    is_armed: bool = False


@dataclass(frozen=True, slots=True)
class CohortCard:
    number: int
    name: str
    state: CohortState
    tiles: tuple[Tile, ...]
    """What went wrong first."""
    counts: Mapping[HostPhase, int]
    """In the tiles' order, zeros left out."""
    soak_s: int
    tolerance: int
    is_current: bool

    @property
    def taking_part(self) -> int:
        return len(self.tiles) - self.counts.get(HostPhase.SKIPPED, 0)


@dataclass(frozen=True, slots=True)
class Wait:
    """Hosts that are not done for the same reason."""

    hosts: tuple[str, ...]
    phase: HostPhase
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    host: str
    cohort: str
    state: HostState
    said: tuple[str, ...] = ()
    """The last lines that the host itself wrote in the boot that failed."""

    @property
    def word(self) -> str:
        return str(self.state.failed or self.state.phase)

    @property
    def away_s(self) -> float | None:
        """From its reboot to what was found; None: it was not rebooted."""
        begun, ended = self.state.issued_at, self.state.since
        return (ended - begun).total_seconds() if begun and ended else None


@dataclass(frozen=True, slots=True)
class Shared:
    """What all failed hosts have in common, and how others that have it fared."""

    what: str
    """`model=r340`, `from 4593.2.4`, `group edge`."""
    failed: int
    well: int
    """Hosts that have it too and went through well."""
    well_without: int
    """Hosts that do not have it and went through well."""
    to_come: tuple[str, ...]
    """Hosts of the plan that have it and are still to have their turn."""


@dataclass(frozen=True, slots=True)
class EventLine:
    n: int
    at: datetime
    kind: str
    """A `rollout_talk.Said`."""
    about: str | None
    text: str
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A wish that nobody has answered yet."""

    kind: RequestKind
    who: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """What stands in the store of one rollout, beside its plan and its state."""

    id: str
    title: str
    people: str
    """`by jana, approved by tom`."""
    at: datetime
    runner: str | None = None
    """Who carries it out; None: nobody."""
    events: tuple[EventLine, ...] = ()
    """Newest first."""
    requests: tuple[Waiting, ...] = ()
    said: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Host -> its groups."""
    durations: Durations = field(default_factory=Durations)
    """Of the fleet's earlier orders."""


@dataclass(frozen=True, slots=True)
class RolloutCard:
    """One rollout, whole."""

    told: Told
    plan: Plan
    r: Rollout
    cohorts: tuple[CohortCard, ...]
    waits: tuple[Wait, ...]
    """Nearest to their end first."""
    failures: tuple[Failure, ...]
    shared: tuple[Shared, ...]
    moves: tuple[tuple[str, int], ...]
    """Version that runs -> hosts that leave it, most first."""
    gate_waits: str | None
    """For what its gate waits for a person."""
    durations: Durations
    """As seen in this rollout, else in the fleet's earlier orders."""
    ends_at: datetime | None
    """About, if nothing waits; None: not to be said."""
    guess: Estimate | None
    """Of a draft."""

    @property
    def id(self) -> str:
        return self.told.id

    @property
    def cohort(self) -> CohortCard | None:
        """The current one."""
        return self.cohorts[self.r.current] if self.r.current < len(self.cohorts) else None

    @property
    def at_work(self) -> int:
        return sum(self.r.counts.get(phase, 0) for phase in AT_WORK)

    @property
    def is_left(self) -> bool:
        """Something is to be done, and no process does it."""
        busy = self.r.state in (RolloutState.APPROVED, RolloutState.RUNNING, RolloutState.ROLLING_BACK)
        return self.told.runner is None and (busy or self.r.orders > 0)


@dataclass(frozen=True, slots=True)
class RolloutBoard:
    """All that is shown."""

    rollouts: tuple[RolloutLine, ...]
    """Open ones first."""
    card: RolloutCard | None
    """The chosen one."""
    now: datetime
    """Aware; its time zone is the one in which times are shown."""


def list_order(lines: Iterable[RolloutLine]) -> tuple[RolloutLine, ...]:
    """Open ones first, among them what needs a person; then the newest first."""
    newest = sorted(lines, key=lambda line: (line.at, line.id), reverse=True)
    return tuple(sorted(newest, key=lambda line: _RANK.get(line.state, len(_RANK))))


def card_of(told: Told, plan: Plan, r: Rollout, now: datetime) -> RolloutCard:
    """The board of one rollout; `now` is aware, in the zone in which times are shown.

    Its steady clock is taken to be the wall's: of whoever only reads they are the same.
    """
    moment = Now(now.astimezone(UTC), now.astimezone(UTC))
    durations = seen_durations(plan, r, told.events, told.durations)
    current = r.cohorts[r.current].phase if r.current < len(r.cohorts) else None
    is_asking = r.state is RolloutState.RUNNING and current is CohortPhase.WAITING_GATE
    leaving = Counter(own.running_version or "not known" for own in plan.hosts if own.skipped is None)
    return RolloutCard(
        told=told,
        plan=plan,
        r=r,
        cohorts=tuple(_cohort(plan, r, number) for number in range(len(plan.cohorts))),
        waits=tuple(_waits(plan, r, moment, now)),
        failures=tuple(_failures(plan, r, told.said)),
        shared=shared_by(plan, r, told.groups),
        moves=tuple(leaving.most_common()),
        gate_waits=gate_problem(Desk(plan, r, moment)) if is_asking else None,
        durations=durations,
        ends_at=ends_at(plan, r, durations, now),
        guess=estimate(plan, durations, now) if r.state is RolloutState.DRAFT else None,
    )


def _cohort(plan: Plan, r: Rollout, number: int) -> CohortCard:
    own, state = plan.cohorts[number], r.cohorts[number]
    tiles = []
    for host in plan.by_cohort[number]:
        one = r.hosts[host.name]
        tiles.append(Tile(host.name, one.phase, one.failed, one.is_accepted, one.is_armed))
    tiles.sort(key=lambda tile: (_PHASE_RANK[tile.phase], tile.is_accepted))
    counts = Counter(tile.phase for tile in tiles)
    is_current = number == r.current and r.state.is_open and r.state is not RolloutState.DRAFT
    return CohortCard(number, own.name, state, tuple(tiles), counts, own.soak_s, own.tolerance, is_current)


# Why hosts wait


def _waits(plan: Plan, r: Rollout, moment: Now, now: datetime) -> Iterator[Wait]:
    """Each host that is not done, and those left out; hosts with the same sentence together."""
    later = {item.host: item.at for item in r.later}
    alike: dict[tuple[object, ...], list[str]] = {}
    for own in plan.hosts:
        key = _alike(plan, r, own.name, r.hosts[own.name], later)
        if key is not None:
            alike.setdefault(key, []).append(own.name)
    told: dict[tuple[HostPhase, str], list[str]] = {}
    for names in alike.values():
        phase = r.hosts[names[0]].phase
        text = local_words(_sentence(plan, r, names, moment), now)
        told.setdefault((phase, text), []).extend(names)
    ranked = sorted(told.items(), key=lambda item: (_PHASE_RANK[item[0][0]], -len(item[1])))
    for (phase, text), hosts in ranked:
        yield Wait(tuple(hosts), phase, text)


def _alike(
    plan: Plan, r: Rollout, name: str, host: HostState, later: Mapping[str, datetime]
) -> tuple[object, ...] | None:
    """Equal for hosts of which `waits` says the same; None where there is nothing to say."""
    if host.phase is HostPhase.SKIPPED:
        return (host.phase, host.skipped, host.text)
    if host.phase.is_settled or not r.state.is_open or r.state is RolloutState.DRAFT:
        return None
    if host.phase is HostPhase.SETTLING and not host.is_doubtful:
        return (host.phase,)
    own = plan.by_name[name]
    cohort = own.cohort if own.cohort > r.current else -1
    called = (host.is_called_back, host.is_doubtful, host.text, host.code, later.get(name))
    return (host.phase, *called, cohort, own.reboot_deadline_s, plan.domains[name])


def _sentence(plan: Plan, r: Rollout, names: Sequence[str], moment: Now) -> str:
    first = r.hosts[names[0]]
    if first.phase is HostPhase.SETTLING and not first.is_doubtful:
        last = max(names, key=lambda name: r.hosts[name].since or moment.steady)
        text = waits(plan, r, last, moment)
        return text if len(names) == 1 else text.replace("it settles until", "they settle, the last until")
    text = waits(plan, r, names[0], moment)
    return "the rollout is halted: it waits for your answer" if text == f"halted: {r.why}" else text


# Failures, and what they have in common


def _failures(plan: Plan, r: Rollout, said: Mapping[str, tuple[str, ...]]) -> Iterator[Failure]:
    """Those that count first, then what nobody knows and what moved by itself."""
    shown = (HostPhase.FAILED, HostPhase.MISSING, HostPhase.UNKNOWN, HostPhase.EXCEPTION)
    names = [own.name for own in plan.hosts if r.hosts[own.name].phase in shown]
    names.sort(key=lambda name: (not r.hosts[name].counts, shown.index(r.hosts[name].phase)))
    for name in names:
        cohort = plan.cohorts[plan.by_name[name].cohort].name
        yield Failure(name, cohort, r.hosts[name], said.get(name, ()))


def shared_by(plan: Plan, r: Rollout, groups: Mapping[str, Sequence[str]]) -> tuple[Shared, ...]:
    """What every counted failure has and most of the hosts that went through well do not, rarest first."""
    failed = [name for name, host in r.hosts.items() if host.counts]
    if not failed:
        return ()
    traits = [_traits(plan, name, groups) for name in failed]
    common = traits[0].intersection(*traits[1:])
    early = all(r.hosts[name].failed in _BEFORE_TURN for name in failed)
    passed = (*WELL, *AT_WORK, HostPhase.STAGED) if early else WELL
    well, to_come = Counter[str](), dict[str, list[str]]()
    total = 0
    for name, host in r.hosts.items():
        is_well = host.phase in passed
        total += is_well
        if is_well or not (host.phase.is_settled or host.phase is HostPhase.UNKNOWN):
            for trait in common & _traits(plan, name, groups):
                if is_well:
                    well[trait] += 1
                else:
                    to_come.setdefault(trait, []).append(name)
    found = [
        Shared(trait, len(failed), well[trait], total - well[trait], tuple(to_come.get(trait, ())))
        for trait in common
    ]
    telling = [one for one in found if one.well_without > one.well]
    return tuple(sorted(telling, key=lambda one: (one.well, one.what))[:SHARED_SHOWN])


def _traits(plan: Plan, name: str, groups: Mapping[str, Sequence[str]]) -> frozenset[str]:
    own = plan.by_name[name]
    told = [f"{label}={value}" for label, value in own.labels.items()]
    told += [f"group {group}" for group in groups.get(name, ())]
    return frozenset((*told, f"from {own.running_version}") if own.running_version else told)
