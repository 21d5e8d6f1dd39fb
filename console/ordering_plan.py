"""The confirmation of an order as a value: its plan, what was typed, and what a key does. Pure.

Only one way leads to an order: a plan that sends something, the number or name typed where several hosts are
meant, and ctrl+g. Enter always leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import msgspec

from actions.orders import Phase, Refusal, Verb
from console.ordering_rules import Extent, Wanted, too_many, wanted
from console.rows import HostRow

CONFIRM_KEY = "ctrl+g"
FULL_KEY = "v"
FULL_KEY_BESIDE_NAMES = "f2"
"""Where a name is typed `v` may be a letter of it."""
TYPED_MOST = 80


@dataclass(frozen=True, slots=True)
class PlannedHost:
    """A host of a plan, as fleetctl.order/1 tells it."""

    host: str
    phase: Phase
    refusals: tuple[Refusal, ...] = ()
    says: tuple[str, ...] = ()
    moves: tuple[Mapping[str, str | None], ...] = ()
    """`what`, `from`, `to`."""
    before: tuple[str, ...] = ()
    command: str | None = None
    after: tuple[str, ...] = ()
    deadline_s: float | None = None

    @property
    def os(self) -> tuple[str | None, str | None]:
        """Version from and to."""
        found = next((move for move in self.moves if move["what"] == "OS"), None)
        return (found["from"], found["to"]) if found else (None, None)

    @property
    def command_name(self) -> str:
        return (self.command or "").partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Plan:
    """A dry run."""

    verb: Verb
    at_once: int
    stops_at_first: bool
    plan_digest: str | None
    hosts: tuple[PlannedHost, ...]

    def of(self, phase: Phase) -> tuple[PlannedHost, ...]:
        return tuple(host for host in self.hosts if host.phase is phase)

    @property
    def goes(self) -> tuple[PlannedHost, ...]:
        """Those that would get the order."""
        return self.of(Phase.PLANNED)


def read_plan(document: Mapping[str, Any]) -> Plan:
    """Raises ValueError where it is no plan of fleetctl.order/1."""
    try:
        return msgspec.convert(document, Plan)
    except msgspec.ValidationError as error:
        raise ValueError(f"the plan cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked for, and where from."""

    verb: Verb
    hosts: tuple[str, ...]
    arguments: tuple[str, ...]
    """Options of the command."""
    extent: Extent
    are_marked: bool = False
    hidden: int = 0
    """Of the hosts: not among those that the filter lets through."""
    filter: str = ""
    window: str = ""
    """Whether reboots may be issued now, in words; "" where it is not asked."""
    halts: tuple[str, ...] = ()
    """Rollouts that wait for a person, a sentence each."""

    @property
    def has_at_once(self) -> bool:
        return any(word.startswith("--at-once") for word in self.arguments)


@dataclass(frozen=True, slots=True)
class Dialog:
    """One confirmation, from the question to its end."""

    subject: Subject
    plan: Plan | None = None
    rows: Mapping[str, HostRow] = field(default_factory=dict)
    """What is known of all hosts of the fleet."""
    typed: str = ""
    is_full: bool = False
    """The commands are shown word for word."""
    is_placing: bool = False
    problem: str = ""
    """Why there is no plan, or no order."""

    @property
    def goes(self) -> tuple[PlannedHost, ...]:
        return self.plan.goes if self.plan else ()

    @property
    def wanted(self) -> Wanted | None:
        """What must be typed; None: nothing can be confirmed."""
        if self.problem or not self.goes or self.many:
            return None
        return wanted([host.host for host in self.goes], self.subject.extent)

    @property
    def many(self) -> str | None:
        """Why so many hosts are not rebooted at once."""
        if self.subject.has_at_once:
            return None
        return too_many(self.subject.verb, [host.host for host in self.goes], self.subject.extent)

    @property
    def wants_typing(self) -> bool:
        return self.wanted is not None and len(self.goes) > 1

    @property
    def is_ready(self) -> bool:
        """The confirming key gives the order."""
        wanted = self.wanted
        if wanted is None or self.is_placing or self.plan is None or self.plan.plan_digest is None:
            return False
        return len(self.goes) == 1 or self.typed == wanted.text

    @property
    def full_key(self) -> str:
        wanted = self.wanted
        return FULL_KEY_BESIDE_NAMES if wanted is not None and wanted.is_name else FULL_KEY


class Answer(Enum):
    """What a key comes to beside a changed dialog."""

    NOTHING = "nothing"
    LEAVE = "leave"
    ORDER = "order"


def pressed(dialog: Dialog, key: str, character: str | None) -> tuple[Dialog, Answer]:
    """What a key does; `character` is what it writes, if anything. Keys that scroll are not among them."""
    if key == "escape" or (key == "enter" and not dialog.is_placing):
        return dialog, Answer.LEAVE
    if dialog.is_placing:
        return dialog, Answer.NOTHING
    if key == CONFIRM_KEY:
        if dialog.is_ready:
            return replace(dialog, is_placing=True), Answer.ORDER
        return dialog, Answer.NOTHING
    if key in (dialog.full_key, FULL_KEY_BESIDE_NAMES):
        return replace(dialog, is_full=not dialog.is_full), Answer.NOTHING
    return _typed(dialog, key, character), Answer.NOTHING


def _typed(dialog: Dialog, key: str, character: str | None) -> Dialog:
    wanted = dialog.wanted
    if wanted is None or not dialog.wants_typing:
        return dialog
    if key == "backspace":
        return replace(dialog, typed=dialog.typed[:-1])
    if key == "ctrl+u":
        return replace(dialog, typed="")
    if character is None or len(character) != 1 or not character.isprintable():
        return dialog
    if not wanted.is_name and not (character.isascii() and character.isdigit()):
        return dialog
    return replace(dialog, typed=(dialog.typed + character)[:TYPED_MOST])


def planned(dialog: Dialog, plan: Plan, rows: Mapping[str, HostRow]) -> Dialog:
    """The plan has come."""
    return replace(dialog, plan=plan, rows=rows)


def refused(dialog: Dialog, problem: str) -> Dialog:
    """There is no plan, or no order, for this reason."""
    return replace(dialog, problem=problem, is_placing=False)


def targets(dialog: Dialog) -> Sequence[str]:
    """Versions that the order leads to."""
    found = (host.os[1] for host in dialog.goes)
    return list(dict.fromkeys(version for version in found if version))
