"""Plans that follow canaries on a higher channel: has a major soaked on them long enough. Pure.

The canary cohort lives on its channel and takes no part in the plan. A stable release may go on once its
major ran for the days asked for on each canary, summed over what the store saw; time in which the version
was not known does not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from actions.rollout_planning_hosts import Stored
from collectors.fleet_model import Follow, RolloutTemplate, TakeKind
from collectors.parse.os_release import version_key
from collectors.parse.update_conf import effective_group


@dataclass(frozen=True, slots=True)
class Ran:
    """From then on a host ran this version; None: it is not known."""

    host: str
    at: datetime
    version: str | None


@dataclass(frozen=True, slots=True)
class Followed:
    """What the canaries say of a version."""

    major: int
    days: int
    canaries: tuple[str, ...]
    soaked_s: Mapping[str, float]
    """Host -> how long it ran the major."""
    wrong_channel: tuple[str, ...]
    went_back: tuple[str, ...]
    """Canaries that went back from a release of the major, or have one in quarantine."""

    @property
    def left_s(self) -> float:
        """How long the youngest canary has still to run it; 0: all have."""
        least = min(self.soaked_s.values(), default=0.0)
        return max(0.0, self.days * 86400.0 - least)

    @property
    def youngest(self) -> str | None:
        return min(self.soaked_s, key=lambda host: self.soaked_s[host], default=None)


def follow_problem(template: RolloutTemplate) -> str | None:
    """Why a template cannot be followed; None: it can."""
    if template.follow is None:
        return f"template {template.name} has no follow = {{ channel = ..., days = ... }}"
    if template.cohorts[0].kind is not TakeKind.SELECTION:
        return f"cohort {template.cohorts[0].name} must name its hosts, for they live on another channel"
    if len(template.cohorts) < 2:
        return "there is no cohort behind the canaries"
    return None


def without_canaries(template: RolloutTemplate) -> RolloutTemplate:
    """The cohorts behind the canaries; gates that were asked of those are asked of the first one."""
    gone, first, *rest = template.cohorts
    gates = tuple(
        replace(gate, cohort=first.name) if gate.cohort == gone.name else gate for gate in template.gates
    )
    return replace(template, cohorts=(replace(first, tolerance=0), *rest), gates=gates)


def soaked_s(looks: Iterable[Ran], hosts: Iterable[str], major: int, now: datetime) -> dict[str, float]:
    """Host -> seconds in which it was seen to run the major. `looks` by time."""
    total = dict.fromkeys(hosts, 0.0)
    since: dict[str, datetime | None] = dict.fromkeys(total)
    for look in looks:
        if look.host not in total:
            continue
        began = since[look.host]
        if began is not None:
            total[look.host] += (look.at - began).total_seconds()
        key = version_key(look.version or "")
        since[look.host] = look.at if key is not None and key[0] == major else None
    for host, began in since.items():
        if began is not None:
            total[host] += max(timedelta(), now - began).total_seconds()
    return total


def followed(
    follow: Follow, version: str, canaries: Sequence[Stored], looks: Iterable[Ran], now: datetime
) -> Followed:
    """What is known of a version's major on the canaries."""
    key = version_key(version)
    major = key[0] if key is not None else 0
    names = tuple(stored.host.name for stored in canaries)
    return Followed(
        major,
        follow.days,
        names,
        soaked_s(looks, names, major, now),
        tuple(stored.host.name for stored in canaries if not _follows(stored, follow.channel)),
        tuple(stored.host.name for stored in canaries if _went_back(stored, major)),
    )


def _follows(stored: Stored, channel: str) -> bool:
    facts = stored.facts
    return facts is not None and effective_group(facts.conf, facts.image_conf) == channel


def _went_back(stored: Stored, major: int) -> bool:
    bad = list(stored.quarantine)
    if stored.memory is not None and stored.memory.reverted is not None:
        back = stored.memory.reverted
        bad += [back.version] if back.version and not back.acknowledged else []
    keys = [version_key(version) for version in bad]
    return any(key is not None and key[0] == major for key in keys)
