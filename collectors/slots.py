"""What the two slots' flags mean together: staged, fallen back, next boot in words.

Rules: flatcar/update_engine:systemd and flatcar-postinst, flatcar-setgoodroot@7382641; flags measured with
flatcar/seismograph:src/cgpt@7ac56da.
"""

from __future__ import annotations

from enum import StrEnum

from collectors.facts import HostFacts, Operation, Slot, SlotName, SlotTable, next_boot


class Fallback(StrEnum):
    """Whether the last activation failed and GRUB went back: `slots.fallback` of fleetctl.status/1."""

    NONE = "none"
    FRESH = "fresh"
    SETTLED = "settled"
    UNKNOWN = "unknown"


def pair(facts: HostFacts) -> tuple[Slot, Slot] | None:
    """The running slot, then the other; None where either is not known."""
    if facts.slots is None or facts.running is None:
        return None
    return facts.slots[facts.running], facts.slots[facts.running.other]


def is_staged(facts: HostFacts) -> bool | None:
    """The next boot is the other slot, for its one try; None where the slots are not known."""
    both = pair(facts)
    if both is None:
        return None
    other = both[1]
    chosen = next_boot(facts.slots) if facts.slots else None
    return chosen is other.name and other.tries >= 1 and not other.successful


def staged_version(facts: HostFacts) -> str | None:
    """The release that was staged in this boot, as the updater tells it, or as its journal did before it
    restarted; None where neither says so."""
    told = facts.new_version if facts.operation is Operation.NEED_REBOOT else None
    attempt = facts.attempt
    return told or (attempt.offered_version if attempt is not None and attempt.staged else None)


def is_rollback_armed(facts: HostFacts) -> bool:
    """The next boot is the other slot, which was good before, and no update put it there.

    While the running slot is not confirmed that is only its way back.
    """
    both = pair(facts)
    if both is None or facts.operation not in (Operation.IDLE, None) or not both[0].successful:
        return False
    return facts.next_slot is both[1].name and both[1].successful and both[1].tries == 0


def fallback(facts: HostFacts) -> Fallback:
    """The trace of an activation that failed.

    Fresh: the other slot still ranks first with no try left, which lasts until this boot is marked good.
    Settled: it ranks below, never confirmed, and update_engine noted that the version it left still runs.
    """
    both = pair(facts)
    if both is None:
        return Fallback.UNKNOWN
    running, other = both
    if facts.flags.staged_marker:
        return Fallback.NONE  # staged in this boot: the other slot has not been booted since
    if other.tries or other.successful or other.priority == 0 or not running.successful:
        return Fallback.NONE
    if other.priority > running.priority:
        return Fallback.FRESH
    before = facts.prefs.previous_version if facts.prefs else None
    noted = bool(before) and before == facts.os.version_id
    logged = facts.attempt is not None and facts.attempt.fell_back
    if (noted and not facts.flags.staged_marker) or logged:
        return Fallback.SETTLED
    return Fallback.UNKNOWN


def next_words(
    table: SlotTable | None, running: SlotName | None, versions: dict[SlotName, str], *, then: str = ""
) -> str:
    """One sentence: what the next boot will start, how often it may try, and what comes after; `then` is
    what else that boot does."""
    if table is None:
        return "cannot say: slots not read"
    chosen = next_boot(table)
    if chosen is None:
        return "nothing: neither slot is bootable, GRUB stops at its prompt"
    slot, spare = table[chosen], table[chosen.other]
    words = f"{chosen} {versions.get(chosen, '')}".strip()
    if chosen is not running and not slot.successful:
        words += ", one try" if slot.tries == 1 else f", {slot.tries} tries"
        words += f", else back to {spare.name}" if spare.bootable else ", and no other slot to go back to"
    elif chosen is not running and running is not None:
        words += ", confirmed before"
    elif running is not None:
        words += " again" if spare.bootable else f" again, {spare.name} is not bootable"
    if chosen is running and not spare.bootable and spare.priority > slot.priority:
        words = f"{chosen} {versions.get(chosen, '')}".strip() + f", {spare.name} has no tries left"
    return f"{words}; {then}" if then else words
