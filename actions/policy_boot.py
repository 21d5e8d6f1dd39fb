"""What stands against rebooting a host: into what is staged, into what runs, or back. Pure.

Rules of the host: GRUB's choice by flatcar/scripts:sdk_container/src/third_party/coreos-overlay/sys-boot/grub
@ab6d76d; confirmation by flatcar/update_engine:flatcar-setgoodroot@7382641; inhibitors by systemd 257's NEWS.
"""

from __future__ import annotations

from collections.abc import Iterator

from actions.orders import Asked, Force, Refusal, Verb
from actions.policy_host import armed, at_work, damaged_table, refusal, slot_words, unconfirmed
from actions.policy_look import Look, has_staged, held_version, is_overwritten, is_version, is_way_back
from actions.policy_stage import kept_away, owned_by, owners_of, seen_by
from actions.remote.slot_proof import ProofResult
from actions.situation import REMEDIES
from actions.windows import Open, open_at
from collectors.classify import SYSEXT, UPDATER
from collectors.extensions import dangling, lost
from collectors.facts import HostFacts
from collectors.reboots import CLUSTERS, PODS_SEEN, Owner, has_begun, owner_words, plan, strategy
from collectors.reboots import Plan as Locksmith
from collectors.slots import pair

FLUO_PREFIX = "flatcar-linux-update.v1.flatcar-linux.net/"
"""Of FLUO's annotations on a node. Source: flatcar/flatcar-linux-update-operator:pkg/constants@7115ed0."""


def against_boot(asked: Asked, look: Look) -> Iterator[Refusal]:
    """For activate, reboot and roll-back: what is common, then what is each one's own."""
    facts = look.facts
    if facts is None:
        return
    yield from armed(look)
    yield from unconfirmed(facts, "a reboot would fall back")
    yield from at_work(look)
    match asked.verb:
        case Verb.ACTIVATE:
            yield from _activate(asked, look, facts)
        case Verb.REBOOT:
            yield from _reboot(facts)
        case _:
            yield from _roll_back(asked, look, facts)
    yield from _engine(facts)
    yield from _inhibited(look)
    yield from permission(asked.verb, look)


def _activate(asked: Asked, look: Look, facts: HostFacts) -> Iterator[Refusal]:
    both = pair(facts)
    if both is None:
        return
    other = both[1]
    if not has_staged(facts) and facts.next_slot is not other.name:
        yield refusal("nothing-staged", "nothing is staged", "stage a release first", slot_words(facts))
        return
    if facts.next_slot is not other.name:
        why = f"what is staged does not boot next: {both[0].name} does"
        yield refusal("staged-not-next", why, "cancel it and stage again", slot_words(facts))
        return
    if other.successful:
        why = f"{other.name} boots next, confirmed before: that is a way back, not an update"
        yield refusal("rollback-armed", why, "roll-back, or cancel", slot_words(facts))
        return
    version = held_version(look)
    if version is None:
        why = f"which version is staged in {other.name} is not known"
        yield refusal("staged-version-unknown", why, "cancel it and stage by version", "status, journal")
        return
    if asked.version is not None and asked.version != version:
        why = f"{version} is staged, not {_shown(asked.version)}"
        yield refusal("wrong-version", why, "cancel it and stage the right one", "status, journal")
    yield from kept_away(version, look)


def _shown(version: str) -> str:
    return version if is_version(version) else f"{version[:40]!a}"


def _reboot(facts: HostFacts) -> Iterator[Refusal]:
    both = pair(facts)
    chosen = facts.next_slot
    if both is not None and not both[0].successful and chosen is not None:
        return  # on trial: what is next is its way back, and told already
    if both is not None and chosen is not both[0].name:
        why = f"{chosen} boots next, not {both[0].name}, which runs" if chosen else "neither slot is bootable"
        remedy = (
            "cancel what is staged, or activate it" if chosen else "repair the partition table on the host"
        )
        yield refusal("next-is-other" if chosen else "nothing-bootable", why, remedy, slot_words(facts))


def _roll_back(asked: Asked, look: Look, facts: HostFacts) -> Iterator[Refusal]:
    both = pair(facts)
    if both is None:
        return
    other, flags = both[1], slot_words(facts)
    if other.priority == 0 and not other.successful and not other.tries:
        why = f"{other.name} holds nothing: the host was never updated"
        yield refusal("no-older-release", why, "stage the older version instead", flags)
        return
    if has_staged(facts):
        why = f"{other.name} holds the staged {held_version(look) or 'release'}; what was there is gone"
        yield refusal("slot-holds-update", why, "cancel it, then stage the older version", flags)
        return
    if not other.successful:
        why = f"{other.name} was never confirmed: it is no release that ran well here"
        yield refusal("other-slot-unconfirmed", why, "stage the older version instead", flags)
    yield from damaged_table(facts)
    yield from _proof(asked, look, facts)


def _proof(asked: Asked, look: Look, facts: HostFacts) -> Iterator[Refusal]:
    """Flags alone prove nothing: an attempt overwrites the slot and leaves them as they are."""
    remedy = "stage the older version instead"
    overwritten = is_overwritten(look)
    if overwritten is not None:
        yield refusal(
            "slot-overwritten", f"the other slot is no way back: {overwritten}", remedy, overwritten
        )
    proof = look.proof
    version = proof.version if proof is not None and proof.result is ProofResult.INTACT else None
    if proof is not None and proof.result in (ProofResult.DAMAGED, ProofResult.SAME_AS_RUNNING):
        what = "is damaged" if proof.result is ProofResult.DAMAGED else "holds the release that runs"
        yield refusal(f"slot-{proof.result}", f"the other slot {what}", remedy, "slot proof")
    elif proof is None or version is None or not is_version(version):
        words = f" ({proof.words})" if proof else ""
        why = f"that the other slot is intact, and what it holds, is not proved{words}"
        yield refusal("slot-unproved", why, f"ask again, or {remedy}", "slot proof")
    elif version == facts.os.version_id:
        yield refusal(
            "slot-same-as-running", f"the other slot holds {version}, which runs", remedy, "slot proof"
        )
    elif asked.version is not None and asked.version != version:
        why = f"the other slot holds {version}, not {_shown(asked.version)}"
        yield refusal("wrong-version", why, f"roll back to {version}, or {remedy}", "slot proof")
    else:
        yield from kept_away(version, look)


def _engine(facts: HostFacts) -> Iterator[Refusal]:
    """Without the updater no new boot is confirmed, and the one after it falls back.

    That it is `disabled` says nothing: the image itself starts it, by a link in /usr.
    """
    unit = facts.units.get(UPDATER)
    if unit is None:
        yield refusal("engine-unread", "whether update-engine will run is not known", "ask again", UPDATER)
    elif unit.is_masked:
        why = "update-engine is masked: the new boot would never be confirmed"
        yield refusal("engine-masked", why, REMEDIES["masked"], UPDATER)


def _inhibited(look: Look) -> Iterator[Refusal]:
    told = look.extra.inhibitors if look.extra else None
    who = [item.who for item in told or () if item.forbids_reboot]
    if who:
        more = f" and {len(who) - 3} more" if len(who) > 3 else ""
        why = f"a shutdown is inhibited by {', '.join(who[:3])}{more}"
        yield refusal("inhibited", why, "wait for its end, or end it on the host", "logind")


def permission(verb: Verb, look: Look) -> Iterator[Refusal]:
    """What forbids a reboot though the host could: all of it can be forced."""
    facts = look.facts
    if look.wish.hold:
        yield refusal(
            "held",
            f"not to be rebooted: {look.wish.hold}",
            "unhold the host",
            "fleet file, store",
            Force.HOLD,
        )
    yield from _owners(look)
    yield from window_refusals(look)
    if facts is not None and verb is not Verb.ROLL_BACK:
        if facts.slots is not None and not is_way_back(look):
            why = "no other slot is bootable: a boot that fails has no way back"
            yield refusal("no-fallback", why, "stage and activate once", slot_words(facts), Force.NO_FALLBACK)
        yield from _degraded(look, facts)
    if look.budget_used:
        why = f"enough hosts are disturbed: {look.budget_used}"
        remedy = "wait until one is done"
        yield refusal("budget-used", why, remedy, "orders", Force.BUDGET_USED)


_ASK = {
    Owner.KURED: "ask it: create /run/reboot-required on the host",
    Owner.FLUO: f"ask it: annotate the node {FLUO_PREFIX}reboot-needed=true (reboot-paused=true holds it)",
    Owner.CLUSTER: "let it do the reboot",
}
"""How a reboot is asked of its owner, who drains the node first."""


def _full(facts: HostFacts) -> str:
    """Who keeps the lock from being given, as far as it was read."""
    lock = facts.lock
    if lock is None or lock.available > 0 or not lock.holders:
        return ""
    own = facts.identity.machine_id
    who = ["this host" if holder == own else holder for holder in lock.holders]
    more = f" and {len(who) - 3} more" if len(who) > 3 else ""
    return f", and no place of {lock.max} is free: held by {', '.join(who[:3])}{more}"


def _owners(look: Look) -> Iterator[Refusal]:
    facts, force = look.facts, Force.FOREIGN_OWNER
    if facts is None:
        return
    found = owners_of(look)
    if len(found) > 1:
        named = " and ".join(owner_words(facts, owner) for owner in found)
        why = f"more than one reboots this host: {named}"
        yield refusal("two-owners", why, REMEDIES["two_owners"], PODS_SEEN, force)
    elif found and found[0] in CLUSTERS:
        yield refusal("foreign-owner", owned_by(facts, found[0]), _ASK[found[0]], seen_by(found[0]), force)
    if has_begun(facts):
        why = "locksmithd has begun to reboot it"
        yield refusal("reboot-planned", why, "wait for that reboot", "coordinator.conf", force)
    elif len(found) < 2 and strategy(facts) == "etcd-lock" and plan(facts) is not Locksmith.NONE:
        why = f"locksmithd reboots it under a lock that the cluster shares (etcd-lock){_full(facts)}"
        remedy = "let it do the reboot, or run locksmithctl reboot on it, which takes the lock first"
        yield refusal("foreign-owner", why, remedy, "coordinator.conf", force)
    if look.twins and look.fleetlock:
        why = f"{', '.join(look.twins)} has the same machine id, by which FleetLock knows it"
        remedy = "give one of them a machine id of its own"
        yield refusal("same-machine-id", why, remedy, "/etc/machine-id", force)


def window_refusals(look: Look) -> Iterator[Refusal]:
    """Whether a reboot issued now would be over before the window shuts: by the clock on the wall, which may
    have been set right since the order began."""
    now = look.wall or look.now
    need_s = look.host.reboot_deadline_s
    found = open_at(look.windows, now)
    names = ", ".join(window.name for window in look.windows)
    if not isinstance(found, Open):
        when = f"it opens {found.opens_at:%a %Y-%m-%d %H:%M} UTC" if found.opens_at else "it never opens"
        yield refusal("window-shut", f"the window ({names}) is shut", when, "fleet file", Force.WINDOW)
    elif not found.leaves(need_s, now):
        until = f"{found.until:%H:%M} UTC" if found.until else ""
        why = f"the window ({names}) shuts at {until}, and a reboot may take {need_s / 60:g} minutes"
        yield refusal("window-too-short", why, "wait for the next one", "fleet file", Force.WINDOW)


def _degraded(look: Look, facts: HostFacts) -> Iterator[Refusal]:
    """An ill host: after the reboot nobody could tell what the reboot did to it."""
    found = facts.extensions
    unit = facts.units.get(SYSEXT)
    broken = [*(dangling(found) if found else ()), *(lost(facts, found) if found else ())]
    if unit is not None and unit.result not in (None, "", "success"):
        broken.append(f"{SYSEXT} ({unit.result})")
    if broken:
        why = f"extensions are broken ({', '.join(broken[:3])}): a boot may merge none of them"
        yield refusal("extension-broken", why, REMEDIES["extension_broken"], SYSEXT, Force.DEGRADED)
    down = [name for name in look.wish.units if not _is_active(facts, name)]
    ill = [*(facts.failed_units or ()), *down]
    if not ill and facts.system_state not in (None, "running"):
        ill = [f"the system is {facts.system_state}"]
    if ill:
        why = f"it is not well: {', '.join(ill[:3])}"
        yield refusal("degraded", why, REMEDIES["degraded"], "systemctl", Force.DEGRADED)


def _is_active(facts: HostFacts, name: str) -> bool:
    return name in facts.units and facts.units[name].active == "active"
