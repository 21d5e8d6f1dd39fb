"""A rollout's plan: who gets what, in which order and within which limits. Pure.

Frozen once it is approved; every denominator comes from it. Two clocks: `steady` for durations, `wall` for
windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256

import msgspec

from actions.orders import Asked, Force, Verb
from collectors.fleet_model import Gate, OnHalt, SelfUpdate, Source, Window


class NotAllowed(Exception):
    """What the state forbids, in a sentence."""


@dataclass(frozen=True, slots=True)
class Now:
    steady: datetime
    """Never jumps and goes on over restarts: the one that owns the rollout keeps it."""
    wall: datetime
    """Aware UTC."""


class ActionKind(StrEnum):
    RELEASE = "release"
    CHANNEL = "channel"
    ROLL_BACK = "roll-back"
    EXTENSION = "extension"


@dataclass(frozen=True, slots=True)
class RolloutAction:
    """What is taken through the fleet."""

    kind: ActionKind
    version: str | None = None
    """The exact target; of a roll-back None: whatever the older slot is proved to hold."""
    channel: str | None = None

    @property
    def reboots(self) -> bool:
        return self.kind in (ActionKind.RELEASE, ActionKind.ROLL_BACK)


class SkipReason(StrEnum):
    ALREADY_THERE = "already-there"
    PINNED = "pinned"
    HELD = "held"
    UNREACHABLE = "unreachable-before-touch"
    INCOMPATIBLE = "incompatible-extension"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True)
class PlanHost:
    name: str
    cohort: int
    labels: Mapping[str, str] = field(default_factory=dict)
    machine_id: str | None = None
    running_version: str | None = None
    reboot_deadline_s: int = 1200
    confirm_deadline_s: int = 300
    skipped: SkipReason | None = None
    """It takes no part, and the plan says so; None: it does."""
    moves_itself: bool = False
    """It would stage or reboot by itself before its turn."""
    quiets: bool = False
    """Its updates are switched off as the plan's first step, and given back at its end."""


@dataclass(frozen=True, slots=True)
class PlanCohort:
    name: str
    soak_s: int = 3600
    tolerance: int = 0


@dataclass(frozen=True)
class Plan:
    """Who gets what, and within which limits. Without slots: its indexes are made once and kept beside it."""

    id: str
    fleet: str
    action: RolloutAction
    hosts: tuple[PlanHost, ...]
    """The denominator of all that is counted; cohorts take their hosts in this order."""
    cohorts: tuple[PlanCohort, ...]
    budget: int
    """Most hosts disturbed at once; at least 1."""
    per_label: Mapping[str, int] = field(default_factory=dict)
    settle_s: int = 600
    tolerance: int = 0
    windows: tuple[Window, ...] = ()
    on_halt: OnHalt = OnHalt.HOLD
    keep_staged: bool = False
    self_update: SelfUpdate = SelfUpdate.REFUSE
    self_update_reason: str | None = None
    source: Source = Source.EXACT
    gates: tuple[Gate, ...] = ()
    forced: Mapping[Force, str] = field(default_factory=dict)
    accept_drop: tuple[str, ...] = ()
    """Extensions that may be lost."""
    selection: str = ""
    snapshot: str = ""
    """Digest of what the plan was made from."""
    made_at: datetime | None = None
    rollback_of: str | None = None

    @property
    def staging(self) -> Asked | None:
        """What prepares a host without disturbing it; None: nothing does."""
        if self.action.kind is not ActionKind.RELEASE:
            return None
        version = self.action.version if self.source is Source.EXACT else None
        return Asked(Verb.STAGE, version=version, forces=self.forced, accept_drop=self.accept_drop)

    @property
    def turning(self) -> Asked:
        """What is done to a host in its turn, within the budget. Raises NotAllowed for an extension."""
        match self.action.kind:
            case ActionKind.RELEASE:
                return Asked(Verb.ACTIVATE, version=self.action.version, forces=self.forced)
            case ActionKind.CHANNEL:
                return Asked(Verb.CHANNEL, channel=self.action.channel, forces=self.forced)
            case ActionKind.ROLL_BACK:
                return Asked(Verb.ROLL_BACK, version=self.action.version, forces=self.forced)
        raise NotAllowed("no verb takes an extension to a host: plan a release")

    @cached_property
    def by_name(self) -> Mapping[str, PlanHost]:
        return {host.name: host for host in self.hosts}

    @cached_property
    def by_cohort(self) -> tuple[tuple[PlanHost, ...], ...]:
        """Each cohort's hosts, in the plan's order."""
        lists: list[list[PlanHost]] = [[] for _ in self.cohorts]
        for host in self.hosts:
            lists[host.cohort].append(host)
        return tuple(tuple(hosts) for hosts in lists)

    @cached_property
    def domains(self) -> Mapping[str, tuple[str, ...]]:
        """Host -> the failure domains that limit it, as `label=value`."""
        return {
            host.name: tuple(
                f"{label}={host.labels[label]}" for label in self.per_label if label in host.labels
            )
            for host in self.hosts
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that the plan says, in hex: what an approval is for."""
        return sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def gates_of(self, cohort: int) -> tuple[Gate, ...]:
        name = self.cohorts[cohort].name
        return tuple(gate for gate in self.gates if gate.cohort in (None, name))
