"""What is remembered of a host between looks, because the host itself forgets it.

A host does not tell which release its other slot holds, loses a staged version when its updater
restarts, and drops the trace of a failed activation at its next check. `remember` carries these over;
another machine id, or another install under the same one, starts empty.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from collectors.classify import failed_attempt
from collectors.facts import HostFacts, Operation, SlotName
from collectors.parse.os_release import version_key
from collectors.slots import Fallback, fallback, is_staged, staged_version


@dataclass(frozen=True, slots=True)
class SlotMemory:
    """The release a slot holds, and how that is known."""

    version: str
    source: str
    """running: it ran from there · staged: update_engine wrote it there."""
    at: datetime


@dataclass(frozen=True, slots=True)
class Trouble:
    """An attempt or an activation that went wrong."""

    at: datetime
    version: str | None = None
    code: int | None = None
    name: str | None = None
    detail: str | None = None
    running: str | None = None
    """The version that ran when it was seen."""
    boot_id: str | None = None
    acknowledged: bool = False
    """A person has taken note: it is told, and makes no state any more."""


@dataclass(frozen=True, slots=True)
class Memory:
    machine_id: str | None
    install: str | None
    since: datetime
    """First sight of this machine under this name."""
    boot_id: str | None = None
    running: SlotName | None = None
    version: str | None = None
    slots: dict[SlotName, SlotMemory] = field(default_factory=dict)
    attempt_at: datetime | None = None
    """The other slot was being overwritten then, and nothing complete has been seen in it since."""
    failed: Trouble | None = None
    reverted: Trouble | None = None
    updated_from: str | None = None
    updated_at: datetime | None = None
    replaces: str | None = None
    """Machine id that had this name before."""
    lock_since: dict[str, datetime] = field(default_factory=dict)
    """Who holds the reboot lock in etcd -> since when each look that could read it saw that."""


def remember(before: Memory | None, facts: HostFacts, at: datetime) -> Memory:
    """The memory after one more complete look; `before` is None at first sight."""
    memory = _same_machine(before, facts, at)
    memory = _boot(memory, facts, at)
    memory = _other_slot(memory, facts, at)
    memory = _failure(memory, facts, at)
    memory = _lock(memory, facts, at)
    return _reversion(memory, facts, at)


def _same_machine(before: Memory | None, facts: HostFacts, at: datetime) -> Memory:
    machine_id, install = facts.identity.machine_id, facts.identity.install
    if before is None:
        return Memory(machine_id, install, at)
    other_machine = machine_id is not None and before.machine_id not in (None, machine_id)
    other_install = install is not None and before.install not in (None, install)
    if other_machine or other_install:
        return Memory(machine_id, install, at, replaces=before.machine_id)
    if machine_id in (None, before.machine_id) and install in (None, before.install):
        return before
    return replace(before, machine_id=machine_id or before.machine_id, install=install or before.install)


def _boot(memory: Memory, facts: HostFacts, at: datetime) -> Memory:
    """A new boot from the other slot leaves the slot it came from intact."""
    version, running = facts.os.version_id, facts.running
    slots = dict(memory.slots)
    attempt_at = memory.attempt_at
    rebooted = memory.boot_id not in (None, facts.identity.boot_id)
    if rebooted and running is not None and memory.running not in (None, running):
        attempt_at = None
    if running is not None and version is not None:
        slots[running] = SlotMemory(version, "running", at)
    risen = rebooted and (version_key(version or "") or ()) > (version_key(memory.version or "") or ())
    return replace(
        memory,
        boot_id=facts.identity.boot_id or memory.boot_id,
        running=running or memory.running,
        version=version or memory.version,
        slots=slots,
        attempt_at=attempt_at,
        updated_from=memory.version if risen else memory.updated_from,
        updated_at=at if risen else memory.updated_at,
    )


def _other_slot(memory: Memory, facts: HostFacts, at: datetime) -> Memory:
    if facts.running is None:
        return memory
    other, slots = facts.running.other, dict(memory.slots)
    held, attempt = slots.get(other), facts.attempt
    overwritten = attempt is not None and attempt.overwrote and not attempt.staged
    if overwritten or (facts.operation is not None and facts.operation.overwrites_other_slot):
        slots.pop(other, None)
        return replace(memory, slots=slots, attempt_at=memory.attempt_at or at)
    if is_staged(facts) or facts.operation is Operation.NEED_REBOOT:
        version = staged_version(facts)
        if version:
            slots[other] = SlotMemory(version, "staged", at)
        elif held is not None and held.source != "staged":
            slots.pop(other)
        return replace(memory, slots=slots, attempt_at=None)
    return memory


def _lock(memory: Memory, facts: HostFacts, at: datetime) -> Memory:
    """etcd keeps no time of a lock's taking. A look that could not read it says nothing; one where locksmithd
    takes none forgets."""
    held, was = facts.lock.holders if facts.lock else (), memory.lock_since
    is_unread = facts.lock is None and (not facts.privileged or facts.why_unread("lock") is not None)
    if is_unread or was.keys() == set(held):
        return memory
    return replace(memory, lock_since={holder: was.get(holder, at) for holder in held})


def _failure(memory: Memory, facts: HostFacts, at: datetime) -> Memory:
    attempt, known = failed_attempt(facts), memory.failed
    if attempt is not None:
        same = (
            known is not None
            and (known.version, known.code) == (attempt.offered_version, attempt.error_code)
            and attempt.failed_at in (None, known.at)
        )
        trouble = Trouble(
            known.at if same and known else attempt.failed_at or at,
            attempt.offered_version,
            attempt.error_code,
            attempt.error_name,
            attempt.detail,
            facts.os.version_id,
            acknowledged=same and known is not None and known.acknowledged,
        )
        return replace(memory, failed=trouble)
    newest = facts.attempt
    staged = facts.operation is Operation.NEED_REBOOT or (newest is not None and newest.staged)
    checked = newest is not None and newest.no_update and known is not None and known.version is None
    risen = known is not None and _risen(known.running, facts.os.version_id)
    return replace(memory, failed=None) if staged or checked or risen else memory


def _risen(before: str | None, now: str | None) -> bool:
    """Whether a newer version runs; unknown is no."""
    old, new = version_key(before or ""), version_key(now or "")
    return old is not None and new is not None and new > old


def _reversion(memory: Memory, facts: HostFacts, at: datetime) -> Memory:
    known, trace = memory.reverted, fallback(facts)
    if trace in (Fallback.FRESH, Fallback.SETTLED) and facts.running is not None:
        return _reverted(memory, facts, at, is_fresh=trace is Fallback.FRESH)
    risen = known is not None and _risen(known.running, facts.os.version_id)
    tried_again = known is not None and known.acknowledged and is_staged(facts)
    return replace(memory, reverted=None) if risen or tried_again else memory


def _reverted(memory: Memory, facts: HostFacts, at: datetime, *, is_fresh: bool) -> Memory:
    """The slot that failed holds what was staged last; what ran there before is gone."""
    assert facts.running is not None
    known, other, slots = memory.reverted, facts.running.other, dict(memory.slots)
    held = slots.get(other)
    version = held.version if held and held.source == "staged" else None
    if version is None:
        slots.pop(other, None)
    boot_id = facts.identity.boot_id
    is_new = (
        known is None
        or (is_fresh and known.boot_id != boot_id)
        or (version is not None and version != known.version)
    )
    if is_new:
        known = Trouble(at, version, running=facts.os.version_id, boot_id=boot_id)
    return replace(memory, slots=slots, reverted=known)
