"""From the store to a rollout's plan, made now: at first, and again when it is to be started."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from actions import order_tables
from actions.engine import instant, parsed
from actions.orders import Force, Phase, Verb
from actions.rollout_plan import RolloutAction
from actions.rollout_planning import Known, Planned, PlanWish, make_plan
from actions.rollout_planning_follow import Ran
from actions.rollout_planning_hosts import Stored
from actions.rollout_planning_inputs import Inputs
from actions.rollout_planning_terms import BUILT_IN, Names, Overrides, built_in, with_overrides
from actions.rollout_planning_time import Durations
from actions.situation import twins_by_host
from collectors import store, tables
from collectors.errors import ConfigError, Reach
from collectors.fleet_keys import did_you_mean
from collectors.fleet_model import Fleet, RolloutTemplate
from collectors.observation import Answer, ProbeFailed
from console.cli.reading import Whole, read_whole
from console.selection import parse

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet
    from console.judge import Judged

ORDERS_READ = 400
"""Newest orders whose times are looked at."""
DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Asking:
    """What was asked for, with all names as typed and the target resolved: enough to plan it again."""

    action: RolloutAction
    hosts: tuple[str, ...]
    """Frozen: the selection is not looked at again."""
    selection: str
    template: str = DEFAULT
    overrides: Overrides = field(default_factory=Overrides)
    forced: Mapping[Force, str] = field(default_factory=dict)
    quiet: bool | None = None
    follows: bool = False
    accept_drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """What is stored beside a draft."""

    asking: Asking
    inputs: Inputs


def setting_name(plan_id: str) -> str:
    return f"rollout {plan_id}"


def keep(conn: sqlite3.Connection, plan_id: str, kept: Kept) -> None:
    """Inside the caller's transaction."""
    tables.put_setting(conn, setting_name(plan_id), msgspec.json.encode(kept).decode())


def kept_of(conn: sqlite3.Connection, plan_id: str) -> Kept | None:
    """None where it was kept by a version that says it otherwise, or never."""
    text = tables.setting(conn, setting_name(plan_id))
    try:
        return msgspec.json.decode(text, type=Kept) if text else None
    except msgspec.ValidationError:
        return None


def template_of(fleet: Fleet, name: str, overrides: Overrides) -> RolloutTemplate:
    """The template with what was typed. Raises ConfigError for a name that is none."""
    found = fleet.rollouts.get(name)
    if found is None and name not in (DEFAULT, BUILT_IN):
        hint = did_you_mean(name, fleet.rollouts)
        raise ConfigError("--template", "", f"the fleet file has no [rollouts.{name}]{hint}")
    labels = {label for host in fleet.hosts for label in host.labels}
    names = Names({group.name for group in fleet.groups}, labels, set(fleet.windows))
    return with_overrides(found or built_in(), overrides, names)


def plan_now(loaded: LoadedFleet, plan_id: str, asking: Asking, now: datetime) -> Planned:
    """The plan by what is stored now; hosts that the fleet file does not name any more are left out.

    Raises ConfigError.
    """
    return plan_from(read_whole(loaded, now), plan_id, asking, now)


def plan_from(whole: Whole, plan_id: str, asking: Asking, now: datetime) -> Planned:
    """As `plan_now`, of a fleet that is read already."""
    loaded = whole.loaded
    fleet = loaded.fleet
    template = template_of(fleet, asking.template, asking.overrides)
    matches = _matches(whole, template)
    canary = matches.get(template.cohorts[0].selection or "", frozenset()) if asking.follows else frozenset()
    try:
        reader: sqlite3.Connection | None = store.open_reader(loaded.database_path)
    except store.NoDatabase:
        reader = None
    if reader is None:
        stored, durations, looks = _stored(whole, {}, {}), Durations(), tuple[Ran, ...]()
    else:
        with closing(reader) as conn:
            pins = {name: pin.version for name, pin in order_tables.pins(conn).items()}
            stored = _stored(whole, pins, _quarantine(conn))
            durations = _durations(conn)
            looks = tuple(_looks(conn, now)) if asking.follows else ()
    wanted = set(asking.hosts) - canary
    wish = PlanWish(
        asking.action,
        template,
        tuple(fleet.windows[name] for name in template.windows),
        asking.selection,
        dict(asking.forced),
        asking.quiet,
        asking.follows,
        accept_drop=asking.accept_drop,
    )
    known = Known(
        fleet.name,
        tuple(item for name, item in stored.items() if name in wanted),
        matches,
        whole.feed,
        durations,
        tuple(item for name, item in stored.items() if name in canary),
        looks,
        fleet.fleetlock is not None,
    )
    return make_plan(plan_id, wish, known, now.astimezone(UTC))


def _matches(whole: Whole, template: RolloutTemplate) -> dict[str, frozenset[str]]:
    rows = whole.view.rows
    names, groups = [row.name for row in rows], {group for row in rows for group in row.groups}
    found = {}
    for cohort in template.cohorts:
        text = cohort.selection
        if text is None:
            continue
        chosen = parse(text, names, groups)
        if chosen.loose:
            words = ", ".join(chosen.loose)
            raise ConfigError(
                "cohorts", words, "is too loose for a cohort: names, @group and field:value only"
            )
        found[text] = frozenset(row.name for row in rows if chosen.matches(row))
    return found


def _stored(
    whole: Whole, pins: Mapping[str, str], quarantine: Mapping[str, tuple[str, ...]]
) -> dict[str, Stored]:
    """By name, in the order of names."""
    ids = {item.host.name: item.record.machine_id if item.record else None for item in whole.hosts}
    twins = twins_by_host(ids)
    stale_after_s = whole.loaded.fleet.sweep.stale_after_s
    now = whole.view.now
    return {
        item.host.name: _one(item, pins, quarantine, twins.get(item.host.name, ()), now, stale_after_s)
        for item in sorted(whole.hosts, key=lambda item: item.host.name)
    }


def _one(
    item: Judged,
    pins: Mapping[str, str],
    quarantine: Mapping[str, tuple[str, ...]],
    twins: tuple[str, ...],
    now: datetime,
    stale_after_s: float,
) -> Stored:
    name, record, facts = item.host.name, item.record, item.kept.facts
    seen: Answer | ProbeFailed | None = None
    if record is not None:
        asked_at = parsed(record.asked_at)
        taken_at = parsed(record.taken_at) if record.taken_at else asked_at
        failed = ProbeFailed(name, asked_at, Reach(record.reach), record.reach_detail)
        seen = Answer(name, taken_at, facts, record.latency_s or 0.0) if facts is not None else failed
    asked_age_s = (now - parsed(record.asked_at)).total_seconds() if record else None
    return Stored(
        item.host,
        item.row.hold,
        facts,
        item.kept.memory,
        seen,
        asked_age_s is not None and asked_age_s <= stale_after_s,
        item.row.answered and not item.row.stale,
        pins.get(name),
        quarantine.get((record.machine_id if record else None) or "", ()),
        twins,
        f"{item.order.id} ({item.order.words})" if item.order else None,
    )


def _quarantine(conn: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in order_tables.quarantined(conn):
        found[item.machine_id] = (*found.get(item.machine_id, ()), item.version)
    return found


def _durations(conn: sqlite3.Connection) -> Durations:
    """How long stages and activations took that ended well, of the newest orders."""
    stage, turn = list[float](), list[float]()
    for order in order_tables.newest_orders(conn, ORDERS_READ):
        if order.verb not in (Verb.STAGE, Verb.ACTIVATE):
            continue
        for row in order_tables.order_hosts(conn, order.id):
            if row.phase is Phase.DONE and row.sent_at is not None:
                seconds = (parsed(row.since) - parsed(row.sent_at)).total_seconds()
                (stage if order.verb == Verb.STAGE else turn).append(max(0.0, seconds))
    return Durations(tuple(stage), tuple(turn))


def _looks(conn: sqlite3.Connection, now: datetime) -> Iterable[Ran]:
    for host, at, version, told in tables.version_looks(conn, instant(now)):
        yield Ran(host, parsed(at), version if told else None)
