"""What a plan does with one host, by what is stored of it: left out, looked at with care, made quiet. Pure.

Stored facts select and preview; they never permit. What a fresh look refuses is refused whatever was said
here, and what stands here as a note may have passed until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from actions.orders import Asked, Force, Refusal, Verb
from actions.planning import moves
from actions.policy_conf import against_channel
from actions.policy_look import Look, has_staged, held_version, is_overwritten, update_mode
from actions.policy_stage import against_stage
from actions.rollout_plan import ActionKind, RolloutAction, SkipReason
from collectors.classify import UPDATER, failed_attempt, failure_words
from collectors.errors import Reach
from collectors.facts import HostFacts, Operation, SlotTable
from collectors.fleet_model import FleetHost, SelfUpdate, WantedUpdates
from collectors.memory import Memory
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.parse.os_release import version_key
from collectors.parse.update_conf import effective_group
from collectors.reboots import Owner, owner_words, owners, reboots_by_itself
from collectors.releases import Feed, channel_of_version

_SKIPS = {
    "pinned": SkipReason.PINNED,
    "quarantined": SkipReason.QUARANTINED,
    "reverted-before": SkipReason.QUARANTINED,
    "extension-drop": SkipReason.INCOMPATIBLE,
}
"""Refusals that leave a host out, as the rollout itself takes them."""
_PASSING = frozenset(("foreign-owner", "would-activate-itself"))
"""Told in words of the plan's own."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A host of the plan, and what is stored of it."""

    host: FleetHost
    hold: str | None = None
    """The fleet file's, else the store's."""
    facts: HostFacts | None = None
    memory: Memory | None = None
    seen: Observation | None = None
    """None: never asked."""
    is_asked_lately: bool = False
    """It was asked within the fleet file's `stale_after`."""
    answers: bool = False
    """It gave a whole answer when last asked, and that is not too long ago."""
    pin: str | None = None
    quarantine: tuple[str, ...] = ()
    twins: tuple[str, ...] = ()
    order: str | None = None
    """An order that is at work on it, or about to be, in words."""

    @property
    def machine_id(self) -> str | None:
        return self.facts.identity.machine_id if self.facts else None

    @property
    def version(self) -> str | None:
        return self.facts.os.version_id if self.facts else None


@dataclass(frozen=True, slots=True)
class Note:
    """What is odd about a host of a plan; it forbids nothing."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Care:
    """What the plan wants of all hosts, as far as one host's part follows from it."""

    action: RolloutAction
    forced: tuple[Force, ...] = ()
    self_update: SelfUpdate = SelfUpdate.REFUSE
    quiet: bool | None = None
    """Switch updates off before anything else: on every host, on none; None: where the fleet file does not
    say that the host updates by itself."""
    accept_drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HostPreview:
    """What becomes of one host, as far as stored facts tell."""

    name: str
    running_version: str | None
    cohort: str = ""
    skipped: SkipReason | None = None
    why: str = ""
    """Of the skip, in a sentence."""
    moves: tuple[tuple[str, str | None, str | None], ...] = ()
    """What, from, to."""
    moves_itself: bool = False
    is_armed: bool = False
    """Something is staged on it that whatever runs on it may boot into."""
    quiets: bool = False
    notes: tuple[Note, ...] = ()


def preview_host(stored: Stored, care: Care, feed: Feed | None, now: datetime) -> HostPreview:
    """One host's part. Its cohort is not known yet."""
    look = _look(stored, feed, now)
    notes = list(_notes(stored, look, care))
    skipped, why = _skip(stored, look, care)
    if skipped is not None:
        if skipped is not SkipReason.ALREADY_THERE and _fetches(stored.facts):
            notes.append(Note("left-out-updates", "updates by itself, and the plan leaves it alone"))
        return HostPreview(stored.host.name, stored.version, skipped=skipped, why=why, notes=tuple(notes))
    fetches, is_armed = _moves(stored, care)
    return HostPreview(
        stored.host.name,
        stored.version,
        moves=moves(look, stored.facts, care.action.version) if stored.facts else (),
        moves_itself=fetches or is_armed,
        is_armed=is_armed,
        quiets=fetches and not is_armed and _is_quieted(stored, care),
        notes=tuple(notes),
    )


def _look(stored: Stored, feed: Feed | None, now: datetime) -> Look:
    name = stored.host.name
    seen = stored.seen
    if stored.facts is not None and not isinstance(seen, Answer):
        seen = Answer(name, now, stored.facts, 0.0)
    if seen is None:
        seen = ProbeFailed(name, now, Reach.UNREACHABLE, "never asked")
    return Look(
        stored.host,
        seen,
        now,
        memory=stored.memory,
        feed=feed,
        pin=stored.pin,
        quarantine=stored.quarantine,
        twins=stored.twins,
    )


# -- who takes no part ---------------------------------------------------------------------------------


def _skip(stored: Stored, look: Look, care: Care) -> tuple[SkipReason | None, str]:
    action, facts = care.action, stored.facts
    if facts is not None and (text := _already(facts, action)):
        return SkipReason.ALREADY_THERE, text
    if action.reboots and stored.hold is not None and Force.HOLD not in care.forced:
        return SkipReason.HELD, stored.hold
    if action.kind is ActionKind.RELEASE:
        for item in _refusals(look, care):
            if item.code in _SKIPS:
                return _SKIPS[item.code], item.text
    if action.kind is ActionKind.ROLL_BACK and action.version and stored.pin not in (None, action.version):
        return SkipReason.PINNED, f"it is pinned to {stored.pin}"
    return None, ""


def _already(facts: HostFacts, action: RolloutAction) -> str:
    if action.kind is ActionKind.CHANNEL:
        group = effective_group(facts.conf, facts.image_conf)
        return f"it follows {group}" if group is not None and group == action.channel else ""
    runs = action.version is not None and facts.os.version_id == action.version
    return f"it runs {action.version}" if runs and not has_staged(facts) else ""


def _refusals(look: Look, care: Care) -> tuple[Refusal, ...]:
    action = care.action
    match action.kind:
        case ActionKind.RELEASE:
            stage = Asked(Verb.STAGE, version=action.version, accept_drop=care.accept_drop)
            return tuple(against_stage(stage, look))
        case ActionKind.CHANNEL:
            return tuple(against_channel(Asked(Verb.CHANNEL, channel=action.channel), look))
    return ()


# -- who moves by itself -------------------------------------------------------------------------------


def _fetches(facts: HostFacts | None) -> bool:
    """Its updater would stage what its server offers."""
    if facts is None or facts.flags.no_update or update_mode(facts) != "self":
        return False
    unit = facts.units.get(UPDATER)
    return unit is None or not (unit.is_masked or unit.active in ("inactive", "failed"))


def _moves(stored: Stored, care: Care) -> tuple[bool, bool]:
    """Whether it would stage, and whether it may reboot into what is staged, before its turn."""
    facts = stored.facts
    if care.action.kind is not ActionKind.RELEASE or facts is None:
        return False, False
    return _fetches(facts), has_staged(facts) and reboots_by_itself(facts) is not False


def _is_quieted(stored: Stored, care: Care) -> bool:
    if care.self_update is SelfUpdate.ACCEPT:
        return False
    return stored.host.updates is not WantedUpdates.SELF if care.quiet is None else care.quiet


# -- what is worth knowing -------------------------------------------------------------------------------


def _notes(stored: Stored, look: Look, care: Care) -> Iterator[Note]:
    facts = stored.facts
    if stored.order is not None:
        yield Note("order-open", f"{stored.order} is at work on it")
    if facts is None:
        yield Note("never-read", "never told what is on it: left out unless it answers in its turn")
        return
    if not stored.answers:
        yield Note("silent", "gave no whole answer when last asked: left out unless it does in its turn")
    if stored.twins:
        yield Note("same-machine-id", f"has the machine id of {', '.join(stored.twins)}: no memory is used")
    if facts.os.id is not None and not facts.os.is_flatcar:
        yield Note("not-flatcar", f"runs {facts.os.name or facts.os.id}, which is not Flatcar")
        return
    if facts.flags.no_update:
        yield Note("no-slots", "runs an image without slots: nothing can be staged")
    if care.action.reboots:
        for owner in (item for item in owners(facts) if item is not Owner.LOCKSMITHD):  # we hold that one
            yield Note(f"owner-{owner}", f"{owner_words(facts, owner)} may reboot it too")
    for item in _refusals(look, care):
        if item.code not in _SKIPS and item.code not in _PASSING:
            yield Note(item.code, f"would be refused as it was seen: {item.text}")
    if care.action.kind is ActionKind.RELEASE:
        yield from _failed_before(stored, facts)
    yield from _version_notes(stored, look, facts, care)


def _failed_before(stored: Stored, facts: HostFacts) -> Iterator[Note]:
    """Its last attempt to stage something went wrong, and nobody took note."""
    seen, memory = failed_attempt(facts), stored.memory
    known = memory.failed if memory is not None and not stored.twins else None
    if known is not None and not known.acknowledged:
        words = failure_words(known.code, known.detail, known.version)
    elif seen is not None and known is None:
        words = failure_words(seen.error_code, seen.detail, seen.offered_version)
    else:
        return
    yield Note("failed-before", f"its last attempt failed: {words}")


def _version_notes(stored: Stored, look: Look, facts: HostFacts, care: Care) -> Iterator[Note]:
    version, running = care.action.version, facts.os.version_id
    if care.action.kind is ActionKind.ROLL_BACK:
        overwritten = is_overwritten(look)
        if overwritten:
            yield Note("rollback-unsafe", f"its other slot is not what it ran before: {overwritten}")
        return
    goal, now = version_key(version or ""), version_key(running or "")
    if version is None or goal is None or now is None:
        return
    if goal < now:
        yield Note("downgrade", f"{version} is older than {running}; /etc, /var and data stay as they are")
    was_lts, is_lts = now[1] == 3, goal[1] == 3
    if (was_lts or is_lts) and now[0] != goal[0]:
        yield Note("lts-hop", f"from {running} to {version} leaves or enters an LTS stream")
    if has_staged(facts) and facts.operation is Operation.NEED_REBOOT and held_version(look) == version:
        yield Note("staged-already", f"{version} is staged on it already, not by this plan")
    group, channel = effective_group(facts.conf, facts.image_conf), channel_of_version(version)
    wanted = stored.host.channel or group
    if channel is not None and wanted is not None and wanted.partition("-")[0] not in (channel, ""):
        yield Note("other-channel", f"{version} is of {channel}, it follows {wanted}")


def slot_words(slots: SlotTable | None) -> str:
    """Both slots' flags, as far as they decide what boots."""
    if slots is None:
        return "not read"
    pair = (slots.a, slots.b)
    return ", ".join(f"{slot.name} {slot.priority}/{slot.tries}/{int(slot.successful)}" for slot in pair)
