"""A whole rollout on simulated hosts in memory, in time that passes as fast as it can be reckoned.

Hosts behind the newest release, a fleet file, a database, a plan with canaries and waves, its approval, and
the engine of `fleetctl run` until the rollout is over or waits for a person. What became of the hosts is
told from their own log, never from the store.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from actions import ledger, rollout_tables
from actions.engine import encode, instant
from actions.looking import Basis, Looker
from actions.orders import Asked, Verb
from actions.record import Actor
from actions.rollout import begin as begin_rollout
from actions.rollout_engine import Engine
from actions.rollout_model import Rollout, RolloutState
from actions.rollout_plan import ActionKind, Now, Plan, RolloutAction
from actions.rollout_planning_cohorts import take
from actions.rollout_talk import Request, RequestKind, Tell
from actions.runner import Tools
from collectors import store
from collectors.errors import ConfigError
from collectors.feed_file import load_feed
from collectors.fleet_file import LoadedFleet, load_fleet
from collectors.fleet_model import Cohort, Share, TakeKind
from collectors.transport import Target
from console.cli.reading import feed_path
from console.cli.rollout_reading import Asking, plan_now
from console.demo.feed import recent, releases_json
from console.demo.fleet import FEED_FILE, FLEET_FILE, KEY_FILE, KNOWN_HOSTS, begin
from console.demo.fleet_life import Clock, FleetLife
from console.demo.live.kinds import LogEntry, Power, What
from console.demo.memory import MemoryTransport
from console.demo.plan import PlannedHost, Reached, fleet_text, plan
from console.exit_codes import ExitCode
from console.rollout_document import rollout_code
from console.rollout_preview import title_of
from console.rollout_text import needs_person
from console.visible import duration_words, hosts_words

if TYPE_CHECKING:
    import sqlite3

    from actions.rollout_book import RolloutBook

START = datetime(2026, 8, 18, 8, 0, 0, tzinfo=UTC)
PLAN_ID = "r-demo"
REASON = "the demo's own"
CANARIES = 5
_COHORTS = (("canary", CANARIES), ("wave-1", 20), ("wave-2", 75), ("wave-3", 200), ("rest", '"rest"'))
BUDGET = 10
PER_SITE = 5
"""Of the budget, at most so many at one site."""
SETTLE_S = 600
SOAK_S = 3600
FAULTS = {"revert": "fallback", "vanish": "never-returns", "break-after-30m": "break-after-30"}
"""What may be wrong with the release, as people say it -> the hosts' fault."""
DEADLINE_S = 3600
"""To come back from a reboot, where hosts are sped up: three times the usual, for looks are not."""
SHARE = 0.3
"""Of the hosts that it is wrong on."""
BAD_CANARIES = 2
SEED = 1
PACE_S = 30.0
"""Nobody here waits for less: looks come less often than over SSH, and a rollout costs a third."""
STUCK_S = 86400.0
AFTERWARDS_S = 3600.0
"""So long after the end the hosts are judged: what breaks late has broken by then."""
_CHANNEL = "stable"
_ACTOR = Actor("demo", 1000, None, "demo")


@dataclass(slots=True)
class StoryClock:
    """The hosts' clock as the console's own."""

    life: FleetLife
    pace_s: float = PACE_S

    def now(self) -> datetime:
        return self.life.now

    def wall(self) -> datetime:
        return self.life.now

    async def sleep(self, seconds: float) -> None:
        await self.life.sleep(max(seconds, self.pace_s))


@dataclass(slots=True)
class Story:
    """A fleet that stands ready, with all that a console needs of it."""

    loaded: LoadedFleet
    life: FleetLife
    basis: Basis
    clock: StoryClock
    transport: MemoryTransport
    log: list[LogEntry]
    """What really happened to the hosts."""

    @property
    def now(self) -> Now:
        return Now(self.clock.now(), self.clock.wall())

    @property
    def names(self) -> list[str]:
        return list(self.basis.hosts)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a rollout ended: as the store says, and as the hosts do."""

    plan: Plan
    rollout: Rollout
    head: str
    """Of the record."""
    versions: Mapping[str, int]
    """Release -> hosts that run it; `none` for those that are down."""
    harmed: tuple[str, ...]
    """Rebooted for the release, and not well on it an hour after the end."""
    armed: tuple[str, ...]
    """Up, and their next boot is another slot than the one that runs."""
    reboots: Mapping[str, int]
    """Host -> how often it was told to reboot; hosts that never were are not in it."""
    late: tuple[str, ...]
    """Told to reboot after the rollout had halted."""
    took_s: float
    """Of the hosts' time, from its start."""

    @property
    def code(self) -> ExitCode:
        """That of a rollout; NOT_AS_WANTED where the hosts say something else than it promises."""
        return ExitCode.NOT_AS_WANTED if self.broken else rollout_code(self.rollout)

    @property
    def broken(self) -> tuple[str, ...]:
        """What a rollout promises, and the hosts deny."""
        wrong = {
            "were rebooted more than once": [name for name, count in self.reboots.items() if count > 1],
            "were rebooted after it had halted": self.late,
            "are left armed": self.armed,
        }
        if self.rollout.state is RolloutState.COMPLETED:
            wrong["were never rebooted"] = [
                host.name for host in self.plan.hosts if host.name not in self.reboots
            ]
            wrong["are not well"] = self.harmed
        return tuple(f"{_named(names)} {what}" for what, names in wrong.items() if names)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


# -- the fleet -----------------------------------------------------------------------------------


def story_hosts(count: int) -> tuple[PlannedHost, ...]:
    """Hosts that are behind and take stable releases, named as in any demo."""
    return _stable(serving(count))[:count]


def serving(count: int) -> tuple[PlannedHost, ...]:
    """A demo's hosts, all behind, of which at least `count` take stable releases: the fewest there are."""
    enough = count
    while len(_stable(found := plan(enough, {"behind": enough}))) < count:
        enough += max(1, (count - len(_stable(found))) // 2)
    return found


def _stable(hosts: Iterable[PlannedHost]) -> tuple[PlannedHost, ...]:
    return tuple(host for host in hosts if host.flavour.group == _CHANNEL)


def template_text(*, settle_s: int = SETTLE_S, soak_s: int = SOAK_S) -> str:
    """`[rollouts.default]` of the story's fleet file (TOML)."""
    cohorts = "".join(
        f'  {{ name = "{name}", hosts = {hosts}, soak = "{soak_s}s" }},\n' for name, hosts in _COHORTS
    )
    return (
        f"[rollouts.default]\ncohorts = [\n{cohorts}]\nbudget = {BUDGET}\n"
        f'per_label = {{ site = {PER_SITE} }}\nsettle = "{settle_s}s"\n'
    )


def hasten(fleet_file: Path, speed: int) -> None:
    """Add the story's template to the fleet file of served hosts, with times shorter by `speed`."""
    own = f'reboot_deadline = "{DEADLINE_S // speed}s"\n'
    text = fleet_file.read_text().replace('updates = "self"\n', f'updates = "self"\n{own}')
    template = template_text(settle_s=SETTLE_S // speed, soak_s=SOAK_S // speed)
    fleet_file.write_text(f"{text}\n{template}")


def faulty(hosts: Sequence[PlannedHost], fault: str | None) -> dict[str, str]:
    """Host -> the fault of its own, on so many of them as a bad release hits: the same ones each time, at
    least two canaries (where there are two) among them."""
    if fault is None:
        return {}
    names, sites = [host.name for host in hosts], {host.name: (host.site,) for host in hosts}
    canary = Cohort("canary", TakeKind.SHARE, None, Share(CANARIES, is_percent=False), SOAK_S, 0)
    (canaries,), _ = take(PLAN_ID, [canary], names, names, {}, sites)
    chance = random.Random(SEED)
    chosen = chance.sample(sorted(canaries), min(BAD_CANARIES, len(canaries)))
    others = [name for name in names if name not in chosen]
    chosen += chance.sample(others, max(0, round(SHARE * len(names)) - len(chosen)))
    return dict.fromkeys(chosen, FAULTS[fault])


def ready(
    directory: Path, hosts: Sequence[PlannedHost], faults: Mapping[str, str], *, pace_s: float = PACE_S
) -> Story:
    """The fleet in memory, with fleet file and feed in `directory`. Raises ConfigError."""
    reached = [
        Reached(host, f"198.18.{number // 250}.{number % 250 + 1}", 22) for number, host in enumerate(hosts)
    ]
    text = fleet_text(reached, key_file=KEY_FILE, known_hosts=KNOWN_HOSTS, feed_file=FEED_FILE)
    path = directory / FLEET_FILE
    try:
        path.write_text(f"{text}\n{template_text()}")
        (directory / FEED_FILE).write_text(json.dumps(releases_json(START)))
    except OSError as error:
        raise ConfigError(str(directory), "", f"cannot be written: {error.strerror or error}") from error
    log: list[LogEntry] = []
    states = [host.build(START) for host in hosts]
    life = begin(hosts, states, Clock(START, speed=0), told=log.extend)
    for name, fault in faults.items():
        life.fault(name, fault)
    loaded = load_fleet(path)
    targets = {item.host.name: Target(item.host.name, item.address) for item in reached}
    basis = Basis(loaded.fleet, targets, load_feed(feed_path(loaded)))
    return Story(loaded, life, basis, StoryClock(life, pace_s), MemoryTransport(life), log)


# -- the rollout ---------------------------------------------------------------------------------


def play(story: Story, told: Callable[[datetime, Tell], None]) -> Ending:
    """Look at all hosts, plan, approve, carry out; `told` hears of each event at its simulated time.

    Raises ConfigError where the plan has a problem.
    """
    with closing(store.open_writer(story.loaded.database_path)) as conn:
        asyncio.run(_look_at_all(story, conn))
        made = story_plan(story.loaded, story.names, story.clock.now())
        approve(conn, made, _ACTOR, story.now)
        return carry(story, conn, made, told)


def story_plan(loaded: LoadedFleet, names: Sequence[str], now: datetime) -> Plan:
    """The newest release to these hosts, by the fleet file's template and what is stored.

    Hosts that would update by themselves are quieted first. Raises ConfigError where it has a problem.
    """
    action = RolloutAction(ActionKind.RELEASE, version=recent(_CHANNEL))
    asking = Asking(action, tuple(names), "", quiet=True)
    found = plan_now(loaded, PLAN_ID, asking, now)
    for problem in found.problems:
        hosts = f"{_named(problem.hosts)}: " if problem.hosts else ""
        raise ConfigError("demo", "--rollout", f"{hosts}{problem.text}")
    return found.plan


async def _look_at_all(story: Story, conn: sqlite3.Connection) -> None:
    looker = Looker(conn, story.transport, story.basis, story.clock)
    for name in story.names:
        await looker.look(name, Asked(Verb.STAGE), decides=False)


def draft(conn: sqlite3.Connection, made: Plan, actor: Actor, now: Now) -> None:
    """Store the plan's rollout, which nobody has approved."""
    by, at = encode(actor).decode(), instant(now.steady)
    with store.transaction(conn):
        rollout = begin_rollout(made, now)
        rollout_tables.put_rollout(conn, made, rollout, at=at, title=title_of(made), actor=by)


def approve(conn: sqlite3.Connection, made: Plan, actor: Actor, now: Now) -> None:
    """Store the rollout, and ask for what its engine takes up first."""
    draft(conn, made, actor, now)
    asked = Request(RequestKind.APPROVE, actor.words, REASON)
    with store.transaction(conn):
        rollout_tables.add_request(conn, made.id, instant(now.steady), asked, encode(actor).decode())


def carry(
    story: Story, conn: sqlite3.Connection, made: Plan, told: Callable[[datetime, Tell], None]
) -> Ending:
    """As `fleetctl run` does, until it is over or waits for a person, and what is true then."""

    tools = Tools(story.transport, story.basis, story.clock)
    engine = Engine(conn, made.id, tools, lambda tell: told(story.clock.now(), tell))
    asyncio.run(_until_it_waits(engine, story.clock))
    return _ending(story, made, engine.book.rollout, str(ledger.head(conn)))


async def _until_it_waits(engine: Engine, clock: StoryClock) -> None:
    """The engine goes on while a person is waited for; it is ended then, as SIGTERM ends `fleetctl run`."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(engine.run())
        while not work.done():
            await clock.sleep(PACE_S)
            if not work.done() and _waits(engine.book, clock.now()):
                work.cancel()


def _waits(book: RolloutBook, now: datetime) -> bool:
    """For a person, with nothing on its way; or nothing has moved for so long that nothing ever will."""
    r = book.rollout
    if (now - (r.moved_at or r.since)).total_seconds() >= STUCK_S:
        return True
    is_quiet = not r.orders and not any(phase.is_disturbed for phase in r.counts)
    return is_quiet and needs_person(book.plan, r) is not None


# -- what is true --------------------------------------------------------------------------------


def _ending(story: Story, made: Plan, rollout: Rollout, head: str) -> Ending:
    took_s = (story.clock.now() - START).total_seconds()
    live = [story.life.host(host.name) for host in made.hosts]
    armed = tuple(
        host.name
        for host in live
        if host.power is Power.ON and host.state.next_slot is not host.state.running
    )
    story.life.advance(AFTERWARDS_S)
    asked = [entry for entry in story.log if entry.what is What.REBOOT_ASKED]
    halt = rollout.halt
    return Ending(
        made,
        rollout,
        head,
        Counter(host.state.version if host.power is Power.ON else "none" for host in live),
        tuple(harmed(story, made.action.version)),
        armed,
        Counter(entry.host for entry in asked),
        tuple(entry.host for entry in asked if halt is not None and entry.at > halt.at),
        took_s,
    )


def harmed(story: Story, version: str | None) -> Iterable[str]:
    """Hosts that were told to reboot, and are now not up, not on this version, or have a failed unit."""
    asked = {entry.host for entry in story.log if entry.what is What.REBOOT_ASKED}
    broke = {entry.host for entry in story.log if entry.what is What.UNIT_FAILED}
    for name in sorted(asked):
        host = story.life.host(name)
        if host.power is not Power.ON or host.state.version != version or name in broke:
            yield name


def ending_lines(ending: Ending) -> list[str]:
    """The verdict in a sentence, then how the fleet stands."""
    phases = Counter(str(host.phase) for host in ending.rollout.hosts.values())
    most = max(ending.reboots.values(), default=0)
    once = (
        f"{sum(ending.reboots.values()):,} asked for, at most {most} a host, {len(ending.late)} after a halt"
    )
    rows = [
        ("phases", ", ".join(f"{count:,} {phase}" for phase, count in phases.most_common())),
        ("versions", ", ".join(f"{count:,} on {name}" for name, count in sorted(ending.versions.items()))),
        ("harmed", f"{len(ending.harmed):,}{_listed(ending.harmed)}"),
        ("armed", f"{len(ending.armed):,}{_listed(ending.armed)}"),
        ("reboots", once),
        ("took", f"{duration_words(ending.took_s)} of the hosts' time"),
        ("record", ending.head),
    ]
    return [_verdict(ending), *(f"{name:9} {text}" for name, text in rows)]


def _listed(names: Sequence[str]) -> str:
    return f": {_named(names)}" if names else ""


def _verdict(ending: Ending) -> str:
    r, count = ending.rollout, hosts_words(len(ending.plan.hosts))
    word = str(r.state).replace("-", " ").upper()
    if r.state is RolloutState.COMPLETED:
        return f"{word}: {count} on {ending.plan.action.version}, each rebooted once."
    if r.halt is not None:
        asked = len(ending.reboots)
        return f"{word} by rule {r.halt.rule} after {asked:,} of {count}: {r.halt.text}."
    return f"{word}: {needs_person(ending.plan, r) or r.why or 'it is over'}."
