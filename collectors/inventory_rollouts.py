"""`[rollouts.NAME]` of the fleet file: cohorts, budgets, gates.

Names are resolved against the hosts, groups, labels and windows of the same file. Whether a `field:value`
of a cohort finds a host is known only when a plan is made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import NamedTuple

from collectors.fleet_keys import did_you_mean
from collectors.fleet_model import (
    Cohort,
    Follow,
    Gate,
    GateKind,
    GateMode,
    OnHalt,
    OnNoData,
    RolloutTemplate,
    SelfUpdate,
    Share,
    Source,
    TakeKind,
    Window,
)
from collectors.host_names import HostTextInvalid, expand_hosts
from collectors.inventory_checks import Table, channel_problem, or_default, quoted

_SOAK_S = 3600
_MOST = 100_000
_OPERATORS = frozenset(("and", "or", "not"))
_KIND_KEYS = {
    "argv": (GateKind.COMMAND,),
    "url": (GateKind.HTTP, GateKind.PROMETHEUS),
    "query": (GateKind.PROMETHEUS,),
}


class Known(NamedTuple):
    """The names that a template may use."""

    hosts: Collection[str]
    groups: Collection[str]
    labels: Collection[str]
    windows: Mapping[str, Window]


def read_rollouts(tables: dict[str, Table], known: Known) -> dict[str, RolloutTemplate]:
    return {name: _template(name, table, known) for name, table in tables.items()}


def _template(name: str, table: Table, known: Known) -> RolloutTemplate:
    usual = RolloutTemplate(name=name, cohorts=())
    tolerance = or_default(table.number("tolerance", 0, _MOST), usual.tolerance)
    cohorts = _cohorts(table, known, tolerance)
    return RolloutTemplate(
        name=name,
        cohorts=cohorts,
        budget=or_default(table.share("budget"), usual.budget),
        per_label=_per_label(table, known),
        settle_s=or_default(table.duration_s("settle", zero=True), usual.settle_s),
        tolerance=tolerance,
        windows=table.items("windows", lambda word: _unknown("window", word, known.windows)),
        on_halt=table.choice("on_halt", OnHalt, usual.on_halt),
        keep_staged=table.flag("keep_staged", usual.keep_staged),
        self_update=_self_update(table),
        self_update_reason=table.text("self_update_reason"),
        source=table.choice("source", Source, usual.source),
        follow=_follow(table),
        gates=_gates(table, [cohort.name for cohort in cohorts]),
    )


def _unknown(what: str, word: str, known: Collection[str]) -> str | None:
    return None if word in known else f"unknown {what} {quoted(word)}{did_you_mean(word, known)}"


def _per_label(table: Table, known: Known) -> dict[str, int]:
    limits: dict[str, int] = {}
    for label, limit in table.free("per_label").items():
        place = table.free_at("per_label", label)
        if label not in known.labels:
            table.mistakes.unknown(place, "label", label, known.labels)
        elif not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= _MOST:
            table.mistakes.add(place, f"{quoted(limit)} is not a number of hosts, at least 1")
        else:
            limits[label] = limit
    return limits


def _self_update(table: Table) -> SelfUpdate:
    choice = table.choice("self_update", SelfUpdate, SelfUpdate.REFUSE)
    if choice is SelfUpdate.ACCEPT:
        table.require(
            "self_update_reason", 'self_update = "accept" takes hosts out of the canary promise; say why'
        )
    elif "self_update_reason" in table:
        table.wrong("self_update_reason", 'only with self_update = "accept"')
    return choice


def _follow(table: Table) -> Follow | None:
    if "follow" not in table:
        return None
    follow = table.table("follow")
    follow.require("channel", 'the channel of the canaries, like "beta"')
    follow.require("days", "days a major must have soaked there")
    channel, days = follow.text("channel"), follow.number("days", 1, 3650)
    problem = channel_problem(channel) if channel else None
    if problem:
        follow.wrong("channel", problem)
    return Follow(channel=or_default(channel, ""), days=or_default(days, 1))


# Cohorts


def _cohorts(table: Table, known: Known, tolerance: int) -> tuple[Cohort, ...]:
    tables = table.tables("cohorts")
    if table.data.get("cohorts") in (None, []):
        table.wrong("cohorts", "a rollout needs at least one cohort")
    cohorts: list[Cohort] = []
    for index, item in enumerate(tables):
        is_last = index == len(tables) - 1
        cohort = _cohort(item, known, is_last=is_last, tolerance=tolerance if index else 0)
        if any(cohort.name == other.name for other in cohorts):
            item.wrong("name", f"duplicate cohort {quoted(cohort.name)}")
        if cohort.kind is TakeKind.REST and not is_last:
            item.wrong("hosts", "rest leaves nothing for the cohorts after it")
        cohorts.append(cohort)
    return tuple(cohorts)


def _cohort(table: Table, known: Known, *, is_last: bool, tolerance: int) -> Cohort:
    table.require("name", "a name for the cohort")
    table.require("hosts", 'like "@canary", 5, "10%" or "rest"')
    soak_s = table.duration_s("soak", zero=True)
    kind, selection, share = _take(table, known)
    return Cohort(
        name=or_default(table.name("name"), ""),
        kind=kind,
        selection=selection,
        share=share,
        soak_s=or_default(soak_s, 0 if is_last else _SOAK_S),
        tolerance=or_default(table.number("tolerance", 0, _MOST), tolerance),
    )


def _take(table: Table, known: Known) -> tuple[TakeKind, str | None, Share | None]:
    value = table.data.get("hosts", "rest")
    if value == "rest":
        return TakeKind.REST, None, None
    if not isinstance(value, str) or re.fullmatch(r"[0-9]+%?", value):
        return TakeKind.SHARE, None, table.share("hosts")
    selection = table.text("hosts")
    if selection:
        for problem in _selection_problems(selection, known):
            table.wrong("hosts", problem)
    return TakeKind.SELECTION, selection, None


def _selection_problems(text: str, known: Known) -> list[str]:
    """What is wrong with a selection of verbs' kind: exact names, node sets, @group, field:value."""
    problems = [_term_problem(term, known) for term in re.split(r"[\s()]+", text) if term]
    return [problem for problem in problems if problem]


def _term_problem(term: str, known: Known) -> str | None:
    if term in _OPERATORS or term in known.hosts:
        return None
    if term.startswith("@"):
        return _unknown("group", term[1:], known.groups)
    if term.startswith("group:"):
        return _unknown("group", term.removeprefix("group:"), known.groups)
    if term.startswith("~"):
        return f"{quoted(term)}: a cohort takes names, node sets, @group and field:value, no patterns"
    if ":" in term:
        return None
    try:
        names = expand_hosts(term)
    except HostTextInvalid as error:
        return f"{quoted(term)}: {error}"
    return next((_unknown("host", name, known.hosts) for name in names if name not in known.hosts), None)


# Gates


def _gates(table: Table, cohorts: list[str]) -> tuple[Gate, ...]:
    gates: list[Gate] = []
    for item in table.tables("gates"):
        gate = _gate(item)
        if any(gate.name == other.name for other in gates):
            item.wrong("name", f"duplicate gate {quoted(gate.name)}")
        if gate.cohort is not None and gate.cohort not in cohorts:
            item.mistakes.unknown(item.at("cohort"), "cohort", gate.cohort, cohorts)
        gates.append(gate)
    return tuple(gates)


def _gate(table: Table) -> Gate:
    usual = Gate(name="", kind=GateKind.PERSON, cohort=None)
    table.require("name", "a name for the gate")
    table.require("kind", "one of " + ", ".join(GateKind))
    kind = table.choice("kind", GateKind, usual.kind)
    if "kind" in table:
        _check_kind(table, kind)
    return Gate(
        name=or_default(table.name("name"), ""),
        kind=kind,
        cohort=table.text("cohort"),
        argv=table.argv("argv", ()),
        url=table.url("url"),
        query=table.text("query"),
        for_s=or_default(table.duration_s("for", zero=True), usual.for_s),
        every_s=or_default(table.duration_s("every"), usual.every_s),
        tries=or_default(table.number("tries", 1, 1000), usual.tries),
        on_no_data=table.choice("on_no_data", OnNoData, usual.on_no_data),
        mode=table.choice("mode", GateMode, usual.mode),
    )


def _check_kind(table: Table, kind: GateKind) -> None:
    for key, kinds in _KIND_KEYS.items():
        if kind is GateKind.PROMETHEUS and key == "url":
            continue  # a plan asks for it; a template may leave it to the plan
        if kind in kinds:
            table.require(key, f"a gate of kind {kind} needs it")
        elif key in table:
            table.wrong(key, f"a gate of kind {kind} has none; it is for {' and '.join(kinds)}")
