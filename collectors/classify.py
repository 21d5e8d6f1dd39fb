"""What was seen, from one look's facts alone: reasons with codes, evidence and the state each stands for.

Pure; knows nothing of the fleet file, of orders or of earlier looks: `actions.situation` adds those. Only
what was read speaks: a fact that is missing gives a reason of its own and never a healthy word.
Evidence for each code: flatcar/update_engine@7382641, flatcar/locksmith@5b2275e, systemd.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from collectors.errors import Reach
from collectors.extensions import dangling, lost, staged_images, will_drop
from collectors.facts import (
    Attempt,
    CoordinatorState,
    HostFacts,
    Operation,
    Slot,
    SlotName,
)
from collectors.observation import ProbeFailed
from collectors.parse.update_conf import server_kind
from collectors.parse.update_engine import explain
from collectors.reboots import (
    PODS_SEEN,
    Plan,
    cluster_may_reboot,
    has_begun,
    locksmithd_is_up,
    named_clusters,
    owner_words,
    owners,
    plan,
    reboots_by_itself,
    window,
)
from collectors.slots import Fallback, fallback, is_rollback_armed, is_staged, pair, staged_version

UPDATER, SYSEXT = "update-engine.service", "systemd-sysext.service"
ESSENTIAL = {
    "units": "services",
    "manager": "system state",
    "failed": "failed units",
    "sysext": "merged extensions",
    "sysext_list": "extensions",
    "links": "extension links",
    "prefs": "update_engine's prefs",
    "journal": "update_engine's journal",
    "conf": "update.conf",
    "coordinator": "locksmithd's state",
}
"""Without these a host is not called healthy; os-release, slots and status have reasons of their own."""
STARTING = frozenset({"starting", "initializing"})
SLOW_AFTER_S = 600.0
"""Seconds of uptime after which a boot that is not finished, or not confirmed, is late."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that holds for a host, in words; `state` is what it makes of the host, if anything."""

    code: str
    text: str
    evidence: str = ""
    state: str | None = None


def unreached(failed: ProbeFailed) -> Reason:
    """The one reason of a host that gave no facts."""
    match failed.reach:
        case Reach.HOST_KEY_CHANGED:
            return Reason("key_changed", failed.detail, "known_hosts", "host_key_changed")
        case Reach.HOST_KEY_UNKNOWN:
            return Reason("key_unknown", failed.detail, "known_hosts", "unreachable")
        case Reach.AUTH_FAILED:
            return Reason("auth_refused", failed.detail, "ssh", "unreachable")
        case Reach.REBOOTING:
            return Reason("rebooting", failed.detail, "ssh", "rebooting")
        case Reach.TIMEOUT:
            return Reason("silent", failed.detail, "ssh", "unreachable")
        case Reach.PROBE_INCOMPLETE:
            return Reason("truncated", failed.detail, "probe", "incomplete")
    return Reason("unreachable", failed.detail, "ssh", "unreachable")


def findings(facts: HostFacts) -> tuple[Reason, ...]:
    """Everything that one look's facts say by themselves; the most telling first within each topic."""
    if facts.os.id is not None and not facts.os.is_flatcar:
        name = facts.os.pretty_name or facts.os.id
        return (Reason("not_flatcar", f"runs {name}, not Flatcar", "os-release", "not_flatcar"),)
    parts = (_readable, _boot, _slots, _update, _owners, _updater, _extensions, _health)
    return tuple(reason for part in parts for reason in part(facts))


def _readable(facts: HostFacts) -> Iterator[Reason]:
    if not facts.complete:
        yield Reason("truncated", "the answer broke off before its end", "probe frame", "incomplete")
        return
    if facts.os.version_id is None:
        yield Reason("os_unread", "os-release was not readable", "os-release", "incomplete")
    if facts.odd:
        where = ", ".join(facts.odd[:4])
        yield Reason("odd_text", f"control characters or over-long lines in: {where}", where, "incomplete")
    if facts.flags.no_update:
        return
    for missing in facts.unread:
        if missing.section in ESSENTIAL:
            text = f"{ESSENTIAL[missing.section]} not read: {missing.reason}"
            yield Reason("section_unread", text, missing.section, "incomplete")
    if not facts.privileged:
        yield Reason(
            "unprivileged", "sudo refused: slots, prefs and journal not read", "sudo -n", "incomplete"
        )
    elif (unread := facts.why_unread("gpt_A")) is not None:
        yield Reason("slots_unread", f"slots not read: {unread.reason}", "cgpt show", "incomplete")
    elif facts.running is None:
        yield Reason("slots_unread", "which slot runs is not known", "rootdev -s /usr", "incomplete")
    yield from _status_unread(facts)


def _status_unread(facts: HostFacts) -> Iterator[Reason]:
    unread = facts.why_unread("status")
    if facts.operation is not None or unread is None:
        return
    if unread.kind in ("null", "denied"):
        text = "update_engine refused to tell its status to this user"
        yield Reason("status_null", text, unread.reason, "incomplete")
    elif not _engine_is_down(facts):
        yield Reason("status_unread", f"update status not read: {unread.reason}", "busctl", "incomplete")


def _engine_is_down(facts: HostFacts) -> bool:
    unit = facts.units.get(UPDATER)
    return unit is not None and unit.active not in ("active", "activating", "reloading")


def _boot(facts: HostFacts) -> Iterator[Reason]:
    yield from armed(facts)
    state = facts.coordinator.state if facts.coordinator else None
    if state is CoordinatorState.REBOOTING and locksmithd_is_up(facts):
        yield Reason("rebooting", "locksmithd is rebooting it", "coordinator.conf", "rebooting")
    if facts.flags.no_update:
        text = "an image without slots (PXE or ISO): it updates by booting another image"
        yield Reason("pxe", text, "/usr/.noupdate", "no_slots")


def armed(facts: HostFacts) -> Iterator[Reason]:
    """What makes the next reboot a loss."""
    if facts.flags.reset_armed:
        text = "the next reboot wipes the host (flatcar-reset is armed)"
        yield Reason("reset_armed", text, "/selective-os-reset", "reset_armed")
    if facts.flags.first_boot_armed:
        text = "Ignition runs again at the next boot (first_boot is armed)"
        yield Reason("first_boot_armed", text, "/boot/flatcar/first_boot", "reset_armed")


def _slots(facts: HostFacts) -> Iterator[Reason]:
    both = pair(facts)
    if both is None or facts.slots is None:
        return
    running, other = both
    flags = f"{running.name} {_flags(facts, running.name)}, {other.name} {_flags(facts, other.name)}"
    if not running.successful:
        yield Reason("unconfirmed", _unconfirmed(facts, running), flags, "unconfirmed")
    fell = fallback(facts)
    if fell is Fallback.FRESH:
        text = f"{other.name} failed to boot, {running.name} came back"
        yield Reason("reverted_fresh", text, flags, "reverted")
    elif fell is Fallback.SETTLED:
        text = f"{other.name} was tried and never confirmed; {running.name} runs again"
        yield Reason("reverted_settled", text, flags, "reverted")
    elif fell is Fallback.UNKNOWN:
        yield Reason("never_confirmed", f"{other.name} was never confirmed and cannot boot", flags)
    if facts.slots.damaged:
        text = "one copy of the partition table is damaged; the next boot repairs it"
        yield Reason("table_damaged", text, "cgpt show")
    if other.priority == 0 and not other.successful:
        yield Reason("never_updated", f"{other.name} is empty or unusable: no way back", flags)
    if running.successful and other.successful:
        yield _way_back(facts, other, flags)


def _unconfirmed(facts: HostFacts, running: Slot) -> str:
    up_s = facts.passing.uptime_s
    up = f", up {up_s:.0f} s" if up_s is not None and up_s < SLOW_AFTER_S else ""
    late = ", long after its boot" if up_s is not None and up_s >= SLOW_AFTER_S else ""
    chosen = facts.next_slot
    then = "would find nothing to start" if chosen is None else "would fall back"
    if chosen is running.name:
        then = "would try it once more"
    return f"{running.name} is not confirmed{late or ' yet'}{up}: a reboot now {then}"


def _way_back(facts: HostFacts, other: Slot, flags: str) -> Reason:
    """Whether the other slot is a way back. Flags alone never prove it: an attempt overwrites it first."""
    attempt, prefs, operation = facts.attempt, facts.prefs, facts.operation
    is_next = is_rollback_armed(facts)
    is_written = operation is not None and operation.overwrites_other_slot
    in_progress = prefs is not None and prefs.next_operation is not None and prefs.next_operation >= 0
    has_failed = prefs is not None and bool(prefs.failures)
    if is_written or in_progress or has_failed or (attempt is not None and attempt.overwrote):
        text = f"{other.name} says confirmed, but an update attempt has overwritten it"
        if is_next:
            text = f"{other.name} boots next, but an update attempt has overwritten it: it may not come up"
        return Reason("rollback_unsafe", text, "journal, prefs", "rollback_armed" if is_next else None)
    if operation is Operation.IDLE and prefs is not None and attempt is not None and attempt.reaches_boot:
        return Reason("rollback_available", f"{other.name} ran before and is confirmed", flags)
    text = f"{other.name} is confirmed; that no attempt has overwritten it since cannot be shown"
    return Reason("rollback_unproved", text, flags)


def _flags(facts: HostFacts, name: SlotName) -> str:
    assert facts.slots is not None
    slot = facts.slots[name]
    return f"{slot.priority}/{slot.tries}/{int(slot.successful)}"


def _update(facts: HostFacts) -> Iterator[Reason]:
    operation = facts.operation
    version = facts.new_version or staged_version(facts) or "a release whose version is not known"
    if operation is Operation.CHECKING:
        yield Reason("staging", "asking the update server", str(operation), "staging")
    elif operation is not None and (operation.overwrites_other_slot):
        share = f", {facts.passing.progress:.0%}" if facts.passing.progress else ""
        word = str(operation).removeprefix("UPDATE_STATUS_").replace("_", " ").lower()
        yield Reason("staging", f"{word}{share}: {version}", str(operation), "staging")
    staged = is_staged(facts)
    if operation is Operation.NEED_REBOOT or (staged and operation in (Operation.IDLE, None)):
        yield from _staged(facts, staged, version)
    if is_rollback_armed(facts):
        text = f"the next boot goes back to {facts.next_slot}, which was confirmed before"
        yield Reason("rollback_armed", text, "cgpt show", "rollback_armed")
    yield from _failure(facts)


def _staged(facts: HostFacts, staged: bool | None, version: str) -> Iterator[Reason]:
    slot, operation = facts.next_slot, facts.operation
    state = "staged" if staged is not False else "staged_not_next"
    if operation is Operation.IDLE:
        text = f"the status was reset, but the next boot is still {slot}, which was staged"
        yield Reason("staged_reset", text, "IDLE, no marker", "staged")
        yield Reason("staged", f"{slot} boots next", "cgpt show", "staged")
    elif operation is None:
        yield Reason("staged", f"{slot} was staged, it boots next", "cgpt show", "staged")
    elif staged:
        yield Reason("staged", f"{version} is staged in {slot}, it boots next", "cgpt show", "staged")
    elif staged is None:
        yield Reason("staged", f"{version} is staged; slots not read", str(operation), "staged")
    else:
        text = f"{version} was staged, but the next boot stays on the running slot"
        yield Reason("staged_not_next", text, "cgpt show", "staged_not_next")
    if operation is Operation.NEED_REBOOT and facts.new_version is None:
        text = "the updater restarted after staging and no longer tells the version"
        yield Reason("staged_restarted", text, "NEED_REBOOT 0.0.0")
    yield from _by_itself(facts, state)


def _by_itself(facts: HostFacts, state: str) -> Iterator[Reason]:
    """Who will reboot a staged host, if anybody."""
    if cluster_may_reboot(facts):
        named = named_clusters(facts)
        text = f"{named or 'locksmithd is masked beside a kubelet: FLUO or kured'} may reboot it"
        yield Reason("cluster_may_reboot", text, PODS_SEEN if named else "locksmithd.service masked")
    if plan(facts) is Plan.BROKEN:
        text = "locksmithd's strategy or window is wrong: it ends instead of rebooting"
        yield Reason("locksmithd_broken", text, "update.conf")
    will = reboots_by_itself(facts)
    if will is None and plan(facts) in (Plan.ANY_TIME, Plan.WINDOW):
        text = "locksmithd runs and may reboot it all the same"
        yield Reason("may_reboot", text, "locksmithd.service active")
    if not will:
        return
    if plan(facts) is Plan.WINDOW and not has_begun(facts):
        start, length = window(facts)
        text = f"locksmithd reboots it by itself in its window ({start}, {length}, the host's time)"
        yield Reason("staged_window", text, "coordinator.conf", state)
    else:
        text = "locksmithd reboots it by itself, at any moment"
        yield Reason("staged_will_reboot", text, "locksmithd.service active", state)


def _owners(facts: HostFacts) -> Iterator[Reason]:
    """Two that reboot one host know nothing of each other's locks and windows."""
    found = owners(facts)
    if len(found) > 1:
        named = " and ".join(owner_words(facts, owner) for owner in found)
        text = f"more than one reboots this host: {named}"
        yield Reason("two_owners", text, PODS_SEEN)


def _failure(facts: HostFacts) -> Iterator[Reason]:
    if facts.operation is Operation.REPORTING_ERROR:
        yield Reason("failed", "the last attempt failed, the error is being reported", "status", "failed")
    attempt = failed_attempt(facts)
    if attempt is not None:
        text = failure_words(attempt.error_code, attempt.detail, attempt.offered_version)
        yield Reason("failed", text, "update-engine journal", "failed")


def failed_attempt(facts: HostFacts) -> Attempt | None:
    """The newest attempt, if it failed. A check that fails because SERVER is off is no failure."""
    attempt = facts.attempt
    if attempt is None or not attempt.failed:
        return None
    meant = server_kind(server_of(facts)) in ("disabled", "localhost") and attempt.error_code == 37
    return None if meant else attempt


def failure_words(code: int | None, detail: str | None, version: str | None) -> str:
    """One sentence about a failed attempt."""
    checking = version is None and code in (30, 31, 34, 37)
    what = f"staging {version} failed" if version else "the last update attempt failed"
    what = "the last check failed" if checking else what
    why = detail or (explain(code) if code is not None else "no cause in the journal")
    return f"{what}: {why}" + (f" (code {code})" if code is not None else "")


def server_of(facts: HostFacts) -> str | None:
    """SERVER as update_engine looks it up: /etc first, then the image's."""
    for conf in (facts.conf, facts.image_conf):
        if conf is not None and conf.server is not None:
            return conf.server
    return None


def _updater(facts: HostFacts) -> Iterator[Reason]:
    if facts.flags.no_update:
        return
    unit = facts.units.get(UPDATER)
    if unit is not None and unit.is_masked:
        text = "update-engine is masked: no updates, and no new boot will be confirmed"
        yield Reason("masked", text, UPDATER, "updates_off")
    elif _engine_is_down(facts) and facts.operation is None:
        text = f"update-engine is {unit.active if unit else 'down'}: no boot will be confirmed"
        yield Reason("engine_down", text, UPDATER, "updates_off")
    match server_kind(server_of(facts)):
        case "localhost" if facts.updater_running:
            yield Reason("staging", "flatcar-update is running", "pgrep", "staging")
        case "localhost":
            known = "" if facts.updater_running is False else "; whether flatcar-update runs is not known"
            text = f"SERVER points at the host itself, as flatcar-update leaves it: it gets no updates{known}"
            yield Reason("residue", text, "update.conf", "updates_off")
        case "disabled":
            yield Reason("updates_disabled", "SERVER is set so that no update is fetched", "update.conf")
    if facts.conf and facts.conf.odd_lines:
        text = f"update.conf has lines that update_engine reads otherwise: {facts.conf.odd_lines[0]}"
        broken = any("\\r" in (value or "") for value in (facts.conf.server, facts.conf.group))
        yield Reason("conf_odd", text, "update.conf", "updates_off" if broken else None)
    if facts.foreign_order:
        yield Reason("foreign_order", "another console has an order here", "/run/fleetctl/order")


def _extensions(facts: HostFacts) -> Iterator[Reason]:
    unit, extensions = facts.units.get(SYSEXT), facts.extensions
    if unit is not None and unit.result not in (None, "", "success"):
        text = f"systemd-sysext failed ({unit.result}): extensions may be missing"
        yield Reason("extension_broken", text, SYSEXT, "extension_problem")
    if extensions is None:
        return
    for name in lost(facts, extensions):
        text = f"{name} is set up, but its service does not exist"
        yield Reason("extension_broken", text, "docker, containerd", "extension_problem")
    for name in dangling(extensions):
        text = f"{name} is set up, but its image is not there"
        yield Reason("extension_broken", text, "/etc/extensions", "extension_problem")
    for name in sorted(set(extensions.candidates) - set(extensions.merged)):
        text = f"{name} is listed but not merged: made for another OS, or added since the last refresh"
        yield Reason("extension_incompatible", text, "systemd-sysext", "extension_problem")
    for name, image in sorted(staged_images(extensions).items()):
        text = f"{name}: {image.rpartition('/')[2]} is staged, a refresh or reboot merges it"
        yield Reason("extension_staged", text, "/etc/extensions")
    for name in extensions.merged:
        if will_drop(extensions, name):
            text = f"{name} is bound to this OS version and will not be merged after the next update"
            yield Reason("extension_will_drop", text, "extension-release")


def _health(facts: HostFacts) -> Iterator[Reason]:
    failed = facts.failed_units or ()
    if failed:
        shown = ", ".join(failed[:3]) + (f" and {len(failed) - 3} more" if len(failed) > 3 else "")
        count = "1 unit" if len(failed) == 1 else f"{len(failed)} units"
        yield Reason("degraded", f"{count} failed: {shown}", "systemctl --failed", "degraded")
        return
    state, up_s = facts.system_state, facts.passing.uptime_s
    is_slow = state in STARTING and up_s is not None and up_s >= SLOW_AFTER_S
    if is_slow or state not in (None, "running", *STARTING):
        late = " still, long after its boot" if is_slow else ""
        yield Reason("degraded", f"the system is {state}{late}", "systemctl", "degraded")
