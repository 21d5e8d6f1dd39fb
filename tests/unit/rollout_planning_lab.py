"""Stored hosts and plans of them, for tests."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from typing import Any

from actions.rollout_plan import ActionKind, RolloutAction, SkipReason
from actions.rollout_planning import Known, Planned, PlanWish, make_plan
from actions.rollout_planning_hosts import Stored
from collectors.facts import Identity, UpdateConf
from collectors.fleet_model import (
    Cohort,
    FleetHost,
    RolloutTemplate,
    Share,
    SshSettings,
    TakeKind,
    WantedUpdates,
    Window,
)
from tests.builders import HEALTHY, NOW, answer, facts, feed

OLD, NEW = "4593.2.3", "4593.2.5"
FEED = feed("4593.2.3", "4593.2.4", NEW)
OFF = UpdateConf(server="disabled")
TO_NEW = RolloutAction(ActionKind.RELEASE, version=NEW)
NIGHT = Window("night", (1, 2, 3), time(2, 0), 3 * 3600, "UTC")


def share(number: int, *, percent: bool = False) -> Share:
    return Share(number, is_percent=percent)


CANARY = Cohort("canary", TakeKind.SELECTION, "@canary", None, 86400, 0)
WAVE = Cohort("wave-1", TakeKind.SHARE, None, share(50, percent=True), 7200, 1)
REST = Cohort("rest", TakeKind.REST, None, None, 0, 1)
TEMPLATE = RolloutTemplate("default", (CANARY, WAVE, REST), tolerance=1)


def fleet_host(name: str, **changed: Any) -> FleetHost:
    labels = {"zone": "abc"[int(name[-1]) % 3]}
    host = FleetHost(
        name, name, False, 22, name, (), labels, None, None, WantedUpdates.AS_FOUND, 1200, 300, SshSettings()
    )
    return replace(host, **changed)


def stored(name: str, *, version: str = OLD, wants: Any = None, **changed: Any) -> Stored:
    """A healthy host whose updates are off, asked just now; `facts` replaces what it told."""
    told = changed.pop("facts", None) or facts(
        identity=Identity(machine_id=name.ljust(32, "0"), boot_id="b", install="i", arch="amd64"),
        os=replace(HEALTHY.os, version=version, version_id=version),
        conf=OFF,
    )
    made = Stored(
        fleet_host(name, **(wants or {})),
        facts=told,
        seen=answer(told, host=name),
        is_asked_lately=True,
        answers=True,
    )
    return replace(made, **changed)


def named(*special: Stored, hosts: int = 8) -> tuple[Stored, ...]:
    """h-1 to h-N, those given in place of their namesakes."""
    known = {f"h-{number}": stored(f"h-{number}") for number in range(1, hosts + 1)}
    return tuple((known | {item.host.name: item for item in special}).values())


def planned(*special: Stored, hosts: int = 8, known: dict[str, Any] | None = None, **wish: Any) -> Planned:
    template = wish.pop("template", TEMPLATE)
    made = PlanWish(wish.pop("action", TO_NEW), template, **wish)
    matches = {"@canary": frozenset(("h-1", "h-2"))}
    what: dict[str, Any] = {"matches": matches, "feed": FEED, **(known or {})}
    return make_plan("r-1", made, Known("prod", named(*special, hosts=hosts), **what), NOW)


def codes(made: Planned) -> set[str]:
    return {item.code for item in made.problems}


def warned(made: Planned) -> set[str]:
    return {item.code for item in made.warnings}


def skip_of(made: Planned, name: str) -> SkipReason | None:
    return made.plan.by_name[name].skipped


def loud(name: str, wants: WantedUpdates = WantedUpdates.AS_FOUND, **more: Any) -> Stored:
    told = facts(os=replace(HEALTHY.os, version=OLD, version_id=OLD), **more)
    return stored(name, facts=told, wants={"updates": wants})
