"""What a host's facts mean for this fleet: seen + remembered + wanted + released + now -> one state and why.

The order of STATES is the contract: the first that holds is the host's state, all that hold are reasons.
Pure; the clock is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from collectors.classify import Reason, armed, failure_words, findings, unreached
from collectors.facts import HostFacts
from collectors.fleet_model import WantedUpdates
from collectors.memory import Memory
from collectors.observation import Answer, Observation
from collectors.parse.update_conf import effective_group
from collectors.releases import Feed, Standing, standing
from collectors.slots import pair

STATES = (
    "host_key_changed",
    "unreachable",
    "rebooting",
    "not_flatcar",
    "incomplete",
    "reset_armed",
    "unconfirmed",
    "staging",
    "staged",
    "staged_not_next",
    "rollback_armed",
    "reverted",
    "failed",
    "no_slots",
    "extension_problem",
    "degraded",
    "updates_off",
    "drift",
    "held",
    "behind",
    "current",
)
_RANK = {state: rank for rank, state in enumerate(STATES)}
ROLLBACK_CLAIMS = ("rollback_available", "rollback_unproved")
JUST_UPDATED_FOR = timedelta(hours=1)
TWINS_TOLD = 3
"""Hosts with the same machine id that a reason names: a cloned image may have given it to a thousand."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the fleet file wants of a host."""

    channel: str | None = None
    updates: WantedUpdates = WantedUpdates.AS_FOUND
    hold: str | None = None
    units: tuple[str, ...] = ()
    """Units that must be active, from [health]."""
    reboot: str | None = None
    """The order of ours that reboots it now: its silence is expected."""
    own_orders: Container[str] = frozenset()
    """Orders of this console: what one of them left in the host's /run is no other's."""
    kept: str | None = None
    """What was taken for it around a reboot and is not given back, in words."""


@dataclass(frozen=True, slots=True)
class Situation:
    state: str
    reasons: tuple[Reason, ...]
    """The state's own first; among the rest the graver first. A code may come more than once."""
    remedy: str | None
    group: str | None
    """Server group that update_engine sends."""
    standing: Standing | None

    @property
    def certain(self) -> bool:
        """False where the word `current` is not proved: nothing to measure the version against."""
        where = self.standing
        return self.state != "current" or (where is not None and (where.is_release or where.behind > 0))


def situation(
    seen: Observation,
    memory: Memory | None,
    wish: Wish,
    feed: Feed | None,
    now: datetime,
    *,
    twins: tuple[str, ...] = (),
    last: HostFacts | None = None,
) -> Situation:
    """The meaning of one look. `twins`: other hosts of the fleet that gave the same machine id; `last`: the
    facts known before, for a look that brought none."""
    if not isinstance(seen, Answer):
        return _unseen(unreached(seen), memory, wish, feed, last)
    facts = seen.facts
    group = effective_group(facts.conf, facts.image_conf)
    reasons = [_as_wished(reason, wish) for reason in findings(facts)] + _hold(wish)
    if is_own_order(facts.foreign_order, wish.own_orders):
        reasons = [reason for reason in reasons if reason.code != "foreign_order"]
    if facts.os.id is not None and not facts.os.is_flatcar:
        return _settle(reasons, None, None)
    where = standing(feed, facts.os.version_id, group) if feed and facts.os.version_id else None
    reasons += _wanted(facts, wish, group, {reason.code for reason in reasons})
    if memory is not None:
        if memory.attempt_at is not None:
            reasons = [reason for reason in reasons if reason.code not in ROLLBACK_CLAIMS]
        reasons += _remembered(reasons, memory)
        reasons = [_noted(reason, memory) for reason in reasons]
    reasons += _just_updated(memory, now, facts)
    reasons += _standing(facts, where, group)
    if twins:
        told = ", ".join(twins[:TWINS_TOLD])
        text = f"the same machine id as {told}: what is remembered of either is not used"
        reasons.append(Reason("same_machine_id", text, "/etc/machine-id"))
    return _settle(reasons, group, where)


def is_own_order(text: str | None, own: Container[str]) -> bool:
    """Whether what stands in a host's /run/fleetctl/order is an order of this console."""
    found = _ORDER.search(text or "")
    return found is not None and found[1] in own


_ORDER = re.compile(r"^order=(o-[0-9a-z]{6,20})$", flags=re.ASCII | re.MULTILINE)


def _unseen(
    why: Reason, memory: Memory | None, wish: Wish, feed: Feed | None, last: HostFacts | None
) -> Situation:
    """A host that did not answer is what it last was, as far as that is grave; none of it makes the state."""
    if wish.reboot is not None and why.code in ("silent", "unreachable"):
        why = Reason("rebooting", f"{wish.reboot} reboots it: {why.text}", "orders", "rebooting")
    reasons = [why, *_hold(wish)]
    known = [*armed(last)] if last else []
    known += _remembered([], memory) if memory else []
    reasons += [replace(reason, text=f"when last seen: {reason.text}", state=None) for reason in known]
    group = effective_group(last.conf, last.image_conf) if last else None
    version = last.os.version_id if last and last.os.is_flatcar else None
    return _settle(reasons, group, standing(feed, version, group) if feed and version else None)


def _settle(reasons: list[Reason], group: str | None, where: Standing | None) -> Situation:
    once = {(reason.code, reason.text): reason for reason in reversed(reasons)}
    unique = list(reversed(once.values()))
    unique.sort(key=lambda reason: _RANK.get(reason.state or "", len(STATES)))
    state = unique[0].state if unique and unique[0].state else "incomplete"
    own = (reason.code for reason in unique if reason.state == state)
    remedy = next((REMEDIES[code] for code in own if code in REMEDIES), None)
    codes = {reason.code for reason in unique}
    for alarm in ("left_taken", "two_owners"):  # beside a state that asks for nothing
        if remedy is None and alarm in codes:
            remedy = REMEDIES[alarm]
    return Situation(state, tuple(unique), remedy, group, where)


def _hold(wish: Wish) -> list[Reason]:
    held = [Reason("held", wish.hold, "fleet file", "held")] if wish.hold else []
    return [*held, Reason("left_taken", wish.kept, "orders")] if wish.kept else held


def _as_wished(reason: Reason, wish: Wish) -> Reason:
    """Updates that are off make a state only where the fleet file wants the host to update by itself."""
    if reason.code == "updates_disabled" and wish.updates is WantedUpdates.SELF:
        return replace(reason, text="updates are off on the host, wanted on", state="updates_off")
    return reason


def _wanted(facts: HostFacts, wish: Wish, group: str | None, codes: set[str]) -> list[Reason]:
    """Differences between the host and what the fleet file wants of it."""
    reasons = []
    if wish.channel and group is not None and wish.channel != group:
        text = f"follows {group or 'an empty group'}, the fleet file wants {wish.channel}"
        reasons.append(Reason("drift", text, "update.conf", "drift"))
    if (
        wish.updates is WantedUpdates.MANAGED
        and facts.operation is not None
        and "updates_disabled" not in codes
    ):
        text = "the host updates by itself, the fleet file wants updates managed"
        reasons.append(Reason("updates_not_managed", text, "update.conf", "drift"))
    down = [name for name in wish.units if facts.units and not _is_active(facts, name)]
    if down:
        text = f"not active, or not there: {', '.join(down[:3])}"
        reasons.append(Reason("unit_down", text, "[health] units", "degraded"))
    return reasons


def _is_active(facts: HostFacts, name: str) -> bool:
    return name in facts.units and facts.units[name].active == "active"


def _remembered(seen: list[Reason], memory: Memory) -> list[Reason]:
    """What the host itself no longer says: a reversion, a failure, an overwritten way back."""
    reasons = []
    states = {reason.state for reason in seen}
    if memory.reverted is not None and "reverted" not in states:
        what = f" from {memory.reverted.version}" if memory.reverted.version else ""
        text = f"went back{what}, seen {memory.reverted.at:%Y-%m-%d %H:%M} UTC"
        reasons.append(Reason("reverted_settled", text, "remembered", "reverted"))
    if memory.failed is not None and "failed" not in states:
        known = memory.failed
        text = failure_words(known.code, known.detail, known.version)
        reasons.append(Reason("failed", f"{text}, {known.at:%Y-%m-%d %H:%M} UTC", "remembered", "failed"))
    if memory.attempt_at is not None and "staging" not in states:
        text = f"the other slot was overwritten by an attempt seen {memory.attempt_at:%Y-%m-%d %H:%M} UTC"
        reasons.append(Reason("rollback_unsafe", text, "remembered"))
    if memory.replaces is not None:
        what = (
            "it was installed anew"
            if memory.replaces == memory.machine_id
            else "another machine had this name"
        )
        reasons.append(Reason("replaced", f"{what} before {memory.since:%Y-%m-%d %H:%M} UTC", "machine id"))
    return reasons


def _noted(reason: Reason, memory: Memory) -> Reason:
    """What a person has acknowledged is told and makes no state."""
    known = {"failed": memory.failed, "reverted": memory.reverted}.get(reason.state or "")
    if known is None or not known.acknowledged:
        return reason
    return replace(reason, text=f"{reason.text}; acknowledged", state=None)


def _just_updated(memory: Memory | None, now: datetime, facts: HostFacts) -> list[Reason]:
    """The updater keeps the version it left until its first check after the boot; we for an hour."""
    both = pair(facts)
    if both is not None and not both[0].successful:
        return []
    before = facts.prefs.previous_version if facts.prefs else None
    both_known = before and facts.os.version_id and not facts.flags.staged_marker
    if both_known and before != facts.os.version_id:
        return [Reason("just_updated", f"came from {before} in this boot", "prefs previous-version")]
    if memory and memory.updated_at and now - memory.updated_at < JUST_UPDATED_FOR:
        return [Reason("just_updated", f"came from {memory.updated_from}", "remembered")]
    return []


def _standing(facts: HostFacts, where: Standing | None, group: str | None) -> list[Reason]:
    if where is None:
        text = "how far behind it is cannot be told: no feed for its group or version"
        return [Reason("standing_unknown", text, "releases", "current")]
    by_number = "" if where.channel == ("stable" if group is None else group) else ", by its version number"
    if where.behind == 0 and not where.is_release:
        text = (
            f"runs no release of {where.channel}{by_number}; it will not move until {where.newest} is passed"
        )
        return [Reason("ahead", text, "releases", "current")]
    if where.behind == 0:
        text = f"runs the newest of {where.channel}{by_number}"
        return [Reason("current", text, "releases", "current")]
    count = "1 release" if where.behind == 1 else f"{where.behind} releases"
    text = f"{count} behind {where.channel} {where.newest}{by_number}"
    return [Reason("behind", text, "releases", "behind")]


def twins_by_host(machine_ids: Mapping[str, str | None]) -> dict[str, tuple[str, ...]]:
    """Host -> the other hosts that gave the same machine id, the first three by name; hosts without a twin
    are left out."""
    by_id: dict[str, list[str]] = {}
    for host in sorted(machine_ids):
        machine_id = machine_ids[host]
        if machine_id:
            by_id.setdefault(machine_id, []).append(host)
    return {host: others_of(hosts, host) for hosts in by_id.values() if len(hosts) > 1 for host in hosts}


def others_of(hosts: Sequence[str], host: str) -> tuple[str, ...]:
    """The first of `hosts`, in their order, that are not `host`: as many as a reason names."""
    return tuple(other for other in hosts[: TWINS_TOLD + 1] if other != host)[:TWINS_TOLD]


REMEDIES = {
    "key_changed": "compare the fingerprint at the host's console; change known_hosts only if it fits",
    "key_unknown": "add the host's key to known_hosts after comparing its fingerprint",
    "auth_refused": "check the user, the key and the agent; the host's authorized_keys must hold the key",
    "silent": "look at the host's console and network; nothing is sent until it answers",
    "unreachable": "check address, port and network; nothing is sent until it answers",
    "rebooting": "wait: a failed boot and the way back can take ten minutes",
    "not_flatcar": "take it out of the fleet file, or check its address",
    "truncated": "ask again; if it stays so, look at the host's load and disk",
    "odd_text": "read the named files on the host: somebody put control characters into them",
    "os_unread": "look at /usr/lib/os-release on the host",
    "section_unread": "ask again; if it stays so, run the named tool on the host",
    "slots_unread": "run cgpt show on the host as root",
    "status_null": "log in as core or root: only they may ask update_engine",
    "status_unread": "look at update-engine.service on the host",
    "unprivileged": "allow the login user the probe's sudo command",
    "reset_armed": "flatcar-reset --stop on the host cancels it; do not reboot before",
    "first_boot_armed": "remove first_boot from /boot/flatcar if it is not meant; do not reboot before",
    "unconfirmed": "wait a minute; if it stays so, look at update-engine.service, and do not reboot",
    "staged_reset": "make the running slot boot next again, or reboot to activate it; stop locksmithd first",
    "staged_will_reboot": "stop and mask locksmithd for this boot to keep it from rebooting",
    "staged_not_next": "reset the update status; the next check stages it again",
    "rollback_unsafe": "do not reboot: make the running slot boot next again",
    "rollback_armed": "reboot to go back, or make the running slot boot next again",
    "reverted_fresh": "read the previous boot's journal before this version is tried again",
    "reverted_settled": "read the journal of the failed boot before this version is tried again",
    "failed": "read update-engine's journal for the cause",
    "conf_odd": "write SERVER and GROUP anew, without the characters that update_engine trips over",
    "pxe": "boot it from a newer image",
    "extension_broken": "read the journal of systemd-sysext.service",
    "extension_incompatible": "install an image made for this OS, or refresh the extensions",
    "degraded": "look at the failed units on the host",
    "unit_down": "look at the named units on the host",
    "residue": "set SERVER in /etc/flatcar/update.conf to what it was",
    "masked": "unmask update-engine.service: without it no new boot is confirmed",
    "engine_down": "start update-engine.service: without it no new boot is confirmed",
    "updates_disabled": "remove SERVER=disabled from /etc/flatcar/update.conf",
    "drift": "set GROUP in /etc/flatcar/update.conf, or change the fleet file",
    "left_taken": "look at the host; when it is well they are given back, or by acknowledge",
    "two_owners": "leave one: mask locksmithd.service on the host, or keep kured and FLUO off this node",
    "updates_not_managed": "set SERVER=disabled in /etc/flatcar/update.conf, or change the fleet file",
    "behind": "stage the newest release of its channel",
}
"""What to do about a reason, in words."""
