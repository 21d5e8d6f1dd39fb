"""A host in brief: what the table, the bars and the filter need of one look, ready made.

It is stored beside the facts, so that `fleetctl status` reads a thousand hosts without reading, parsing or
judging anything again. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter

import msgspec

from actions.situation import Situation
from collectors.extensions import dangling, lost
from collectors.facts import HostFacts, Slot, SlotName
from collectors.memory import Memory
from collectors.reboots import reboots_by_itself
from collectors.slots import staged_version


@dataclass(frozen=True, slots=True)
class SlotBrief:
    version: str | None
    priority: int
    tries: int
    successful: bool
    dead: bool
    """Tried and never confirmed, or not bootable though it once held a release."""


@dataclass(frozen=True, slots=True)
class Brief:
    state: str
    reasons: tuple[tuple[str, str], ...]
    """Code, text."""
    remedy: str | None = None
    certain: bool = True
    version: str | None = None
    channel: str | None = None
    """The server group."""
    running: SlotName | None = None
    next: SlotName | None = None
    a: SlotBrief | None = None
    b: SlotBrief | None = None
    behind: int | None = None
    behind_since: datetime | None = None
    newest: str | None = None
    operation: str | None = None
    progress: float | None = None
    extensions: tuple[str, ...] | None = None
    """Merged; None: not read."""
    extension_problems: tuple[str, ...] = ()
    health: str = ""
    oem: str | None = None
    arch: str | None = None
    will_reboot: bool | None = None


def brief(facts: HostFacts | None, memory: Memory | None, meaning: Situation) -> Brief:
    """The brief of a host; `facts` None where none were ever read."""
    reasons = tuple((reason.code, reason.text) for reason in meaning.reasons)
    if facts is None:
        return Brief(meaning.state, reasons, meaning.remedy, meaning.certain)
    where = meaning.standing
    extensions = facts.extensions
    return Brief(
        state=meaning.state,
        reasons=reasons,
        remedy=meaning.remedy,
        certain=meaning.certain,
        version=facts.os.version_id if facts.os.is_flatcar else None,
        channel=meaning.group,
        running=facts.running,
        next=facts.next_slot,
        a=_slot(facts, memory, SlotName.A),
        b=_slot(facts, memory, SlotName.B),
        behind=where.behind if where else None,
        behind_since=where.behind_since if where else None,
        newest=where.newest if where else None,
        operation=str(facts.operation) if facts.operation else None,
        progress=facts.passing.progress,
        extensions=extensions.merged if extensions else None,
        extension_problems=extension_problems(facts),
        health=_health(facts),
        oem=facts.identity.oem,
        arch=facts.os.arch or facts.identity.arch,
        will_reboot=reboots_by_itself(facts),
    )


def packed(short: Brief) -> bytes:
    """As JSON, without what is not known or empty: half as long, and read a thousand at a time.

    That no extension is merged is told, for nothing there means that it was not read.
    """
    told = zip(_NAMES, _values(short), strict=True)
    kept = {name: value for name, value in told if value is not None and value != "" and value != ()}
    return _encode(kept | ({"extensions": ()} if short.extensions == () else {}))


_NAMES = tuple(item.name for item in fields(Brief))
_values = attrgetter(*_NAMES)
_encode = msgspec.json.Encoder().encode


def slot_version(facts: HostFacts, memory: Memory | None, name: SlotName) -> tuple[str, str] | None:
    """The release in a slot and how it is known: running, staged (told now), or remembered."""
    if name is facts.running:
        return (facts.os.version_id, "running") if facts.os.version_id else None
    told = staged_version(facts)
    if told is not None and facts.slots is not None and not facts.slots[name].successful:
        return told, "update_engine"
    known = memory.slots.get(name) if memory else None
    return (known.version, "remembered") if known else None


def _slot(facts: HostFacts, memory: Memory | None, name: SlotName) -> SlotBrief | None:
    if facts.slots is None:
        return None
    slot, known = facts.slots[name], slot_version(facts, memory, name)
    return SlotBrief(
        known[0] if known else None, slot.priority, slot.tries, slot.successful, _dead(facts, slot)
    )


def _dead(facts: HostFacts, slot: Slot) -> bool:
    return slot.priority > 0 and not slot.bootable and slot.name is not facts.running


def extension_problems(facts: HostFacts) -> tuple[str, ...]:
    """Names of the extensions that are not merged though they should be."""
    extensions = facts.extensions
    if extensions is None:
        return ()
    missing = {*extensions.candidates} - {*extensions.merged}
    return tuple(sorted(missing | {*lost(facts, extensions)} | {*dangling(extensions)}))


def _health(facts: HostFacts) -> str:
    failed = len(facts.failed_units or ())
    if failed:
        return f"{failed} failed"
    state = facts.system_state
    return state if state not in (None, "running") else ""
