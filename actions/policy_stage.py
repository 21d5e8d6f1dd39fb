"""What stands against staging a release, and against cancelling one. Pure.

Rules of the host: flatcar/update_engine:flatcar-postinst, src/update_engine@7382641; flatcar-update of
flatcar/init@3298243; locksmithd of flatcar/locksmith@5b2275e.
"""

from __future__ import annotations

from collections.abc import Iterator

from actions.orders import Asked, Force, Refusal
from actions.policy_host import at_work, damaged_table, refusal, slot_words, unconfirmed
from actions.policy_look import Look, dropped, has_staged, held_version, is_version, kernel_bytes, update_mode
from actions.remote.extra import UnitFile
from actions.situation import REMEDIES
from collectors.classify import UPDATER
from collectors.facts import HostFacts, Operation
from collectors.parse.os_release import version_key
from collectors.reboots import (
    CLUSTERS,
    LOCKSMITHD,
    PODS_SEEN,
    Owner,
    Plan,
    owner_words,
    owners,
    plan,
)
from collectors.slots import pair

NO_CGROUP_V1_FROM = (4187, 0, 0)
"""The first release whose postinst refuses hosts on cgroup v1."""
HOP_MAJOR = 3510
"""Releases with an ext2 /usr are older, those behind it need btrfs: the way goes through it."""
KERNEL_GROWTH = 1.1
"""A next kernel may be so much larger than the running one."""
PAYLOAD_MARGIN_BYTES = 64 * 1024 * 1024


def against_stage(asked: Asked, look: Look) -> Iterator[Refusal]:
    facts = look.facts
    if facts is None:
        return
    yield from _target(asked, look)
    yield from at_work(look)
    yield from unconfirmed(facts, "a check would confirm it at once, and its trial be over")
    yield from _other_slot(asked, look, facts)
    yield from _updater(asked, facts)
    yield from _hop(asked, facts)
    yield from _cgroup(asked, look)
    yield from _space(asked, look)
    yield from _extensions(asked, look)
    yield from held_by_others(look)


def _target(asked: Asked, look: Look) -> Iterator[Refusal]:
    """Whether this host is to have this version at all."""
    version = asked.version
    if version is None and (asked.payload or asked.extension_payloads):
        yield refusal(
            "version-missing", "a payload needs its version", "name it: stage VERSION --payload FILE"
        )
        return
    if version is not None and not is_version(version):
        yield refusal("version-odd", f"{version[:40]!a} is no version", "write MAJOR.MINOR.PATCH")
        return
    yield from kept_away(version, look)
    if look.pin is None:
        return
    if version is None:
        why = f"it is pinned to {look.pin}, and what the server offers is not known before"
        yield refusal("pinned", why, f"stage {look.pin} by its version, or unpin it", "store")
    elif not _is_on_the_way(look.facts, version, look.pin):
        yield refusal("pinned", f"it is pinned to {look.pin}", f"stage {look.pin}, or unpin it", "store")


def _is_on_the_way(facts: HostFacts | None, version: str, pin: str) -> bool:
    """The pinned version itself, or one between what runs and it."""
    goal, step = version_key(pin), version_key(version)
    now = version_key(facts.os.version_id or "") if facts else None
    return step == goal or (goal is not None and step is not None and now is not None and now < step < goal)


def kept_away(version: str | None, look: Look) -> Iterator[Refusal]:
    """A version that this machine is not to have again; None: whatever the server offers."""
    bad = look.quarantine if version is None else tuple(item for item in look.quarantine if item == version)
    if bad:
        what = ", ".join(bad[:3])
        why = f"{what} is quarantined on this host" + ("" if version else ": the server may offer it again")
        remedy = "release the quarantine" + ("" if version else ", or stage another version by its number")
        yield refusal("quarantined", why, remedy, "store")
    memory = look.remembered
    back = memory.reverted if memory else None
    if back is None or back.acknowledged or back.version is None or back.version in bad:
        return
    if version in (None, back.version):
        why = f"it went back from {back.version} ({back.at:%Y-%m-%d %H:%M} UTC)"
        yield refusal(
            "reverted-before", why, "read that boot's journal, then acknowledge the host", "remembered"
        )


def _other_slot(asked: Asked, look: Look, facts: HostFacts) -> Iterator[Refusal]:
    """An update is written over the other slot: nothing that is meant to be booted may lie there."""
    both = pair(facts)
    if both is None:
        return
    other, is_next = both[1].name, facts.next_slot is both[1].name
    if facts.operation is Operation.NEED_REBOOT:
        version = held_version(look)
        what = version or "a release whose version is not known"
        if not is_next:
            why = f"update_engine waits for a reboot into {what}, and the next boot stays on {both[0].name}"
            yield refusal("staged-not-next", why, "cancel it first", slot_words(facts))
        elif asked.version is None or version != asked.version:
            why = f"{what} is staged in {other}; a second update is not begun before a reboot"
            yield refusal("staged-other", why, "activate it, or cancel it first", str(facts.operation))
    elif is_next and has_staged(facts):
        why = f"the status was reset, but {other} boots next: an update would be written over what boots next"
        yield refusal("staged-reset", why, "cancel it first, or activate it", slot_words(facts))
    elif is_next and both[0].successful:  # else it is the way back of the boot on trial, told already
        why = f"{other} boots next: an update would be written over it"
        yield refusal("next-is-other", why, "make the running slot boot next: cancel", slot_words(facts))
    elif facts.next_slot is None:
        why = "neither slot is bootable by its flags"
        yield refusal("nothing-bootable", why, "repair the partition table on the host", slot_words(facts))


def _updater(asked: Asked, facts: HostFacts) -> Iterator[Refusal]:
    mode, unit = update_mode(facts), facts.units.get(UPDATER)
    if mode == "localhost":
        why = "SERVER points at the host itself, as a broken off flatcar-update leaves it"
        yield refusal("residue", why, "repair it first", "update.conf")
    if asked.version is not None:
        return
    if mode == "disabled":
        why = "its updates are off (SERVER), so the server is not asked"
        yield refusal("updates-off", why, "stage by version, or updates on", "update.conf")
    if unit is not None and unit.is_masked:
        yield refusal("engine-masked", "update-engine is masked", REMEDIES["masked"], UPDATER)


def _hop(asked: Asked, facts: HostFacts) -> Iterator[Refusal]:
    now, goal = version_key(facts.os.version_id or ""), version_key(asked.version or "")
    if now is None or goal is None or now[0] >= HOP_MAJOR or goal[0] <= HOP_MAJOR:
        return
    why = f"from {facts.os.version_id} (ext2 /usr) the way to {asked.version} goes through {HOP_MAJOR}"
    yield refusal("hop-needed", why, f"stage a {HOP_MAJOR} release and activate it first", "os-release")


def _cgroup(asked: Asked, look: Look) -> Iterator[Refusal]:
    extra, goal = look.extra, version_key(asked.version or "")
    attempts = (look.attempt, extra.attempt_before if extra else None)
    said = any("cgroupv1" in (item.detail or "") for item in attempts if item)
    if not said and not look.cgroup_v1:
        return
    if goal is not None and goal < NO_CGROUP_V1_FROM:
        return
    if goal is None and not said:
        return  # what the server will offer is not known: its own postinst refuses, and changes no flag
    why = f"the host runs on cgroup v1, and releases from {NO_CGROUP_V1_FROM[0]} on refuse that"
    remedy = "take systemd.unified_cgroup_hierarchy=0 from its kernel command line and reboot it"
    yield refusal("cgroup-v1", why, remedy, "update-engine journal" if said else "/sys/fs/cgroup")


def _space(asked: Asked, look: Look) -> Iterator[Refusal]:
    extra, facts = look.extra, look.facts
    if extra is None or facts is None or facts.running is None:
        return
    own, boot = kernel_bytes(extra, facts.running), extra.boot
    if boot is not None and (not boot.mounted or own is None):
        why = "the kernels on /boot were not found" if boot.mounted else "/boot is not mounted"
        yield refusal("boot-unread", f"{why}: an update writes the next one there", "look at /boot", "/boot")
    elif boot is not None and own is not None:
        room = boot.space.available_bytes + (kernel_bytes(extra, facts.running.other) or 0)
        if room < own * KERNEL_GROWTH:
            why = f"/boot has {_mib(room)} for the next kernel, the running one has {_mib(own)}"
            yield refusal("boot-full", why, "free space on /boot", "df /boot")
    if not asked.payload:
        return
    free = extra.var_tmp.available_bytes if extra.var_tmp else None
    size = look.payload_bytes
    if free is None or size is None:
        why = "the payload's size, or the space in /var/tmp, is not known"
        yield refusal("preflight-unread", why, "check the file and ask again", "df /var/tmp")
    elif free < size + PAYLOAD_MARGIN_BYTES:
        why = f"/var/tmp has {_mib(free)}, the payload needs {_mib(size + PAYLOAD_MARGIN_BYTES)}"
        yield refusal("var-tmp-full", why, "free space in /var/tmp", "df /var/tmp")


def _mib(size_bytes: float) -> str:
    return f"{size_bytes / 1048576:.0f} MiB"


def _extensions(asked: Asked, look: Look) -> Iterator[Refusal]:
    lost = [name for name in dropped(look, asked.version) if name not in asked.accept_drop]
    if lost:
        what = ", ".join(lost)
        why = f"{what} is bound to this OS and will not be merged after the update"
        names = " ".join(f"--accept-drop {name}" for name in lost)
        yield refusal("extension-drop", why, f"install one that fits, or {names}", "extension-release")


def held_by_others(look: Look) -> Iterator[Refusal]:
    """Whoever would reboot a staged host behind our back and cannot be held."""
    facts, force = look.facts, Force.FOREIGN_OWNER
    if facts is None:
        return
    for owner in owners_of(look):
        if owner in CLUSTERS:
            yield refusal(
                "foreign-owner", owned_by(facts, owner), "let it do the update", seen_by(owner), force
            )
    what = plan(facts)
    if what is Plan.UNKNOWN:
        why = "whether locksmithd would reboot the staged host is not known"
        yield refusal("would-activate-itself", why, "ask again", LOCKSMITHD, force)
    elif what in (Plan.ANY_TIME, Plan.WINDOW) and is_unholdable(look):
        why = "locksmithd reboots a staged host by itself, and its unit in /etc keeps it from being held"
        remedy = "set REBOOT_STRATEGY=off and restart locksmithd"
        yield refusal("would-activate-itself", why, remedy, LOCKSMITHD, force)


def is_unholdable(look: Look) -> bool:
    """A unit file in /etc goes before the mask in /run that holds locksmithd."""
    hold = look.extra.locksmithd if look.extra else None
    return hold is not None and hold.fixed is UnitFile.FILE


def owners_of(look: Look) -> tuple[Owner, ...]:
    """FLUO and kured want locksmithd masked for good; a mask in /run alone is ours and no sign of them."""
    facts, hold = look.facts, look.extra.locksmithd if look.extra else None
    is_ours = hold is not None and hold.fixed is not UnitFile.MASK
    found = owners(facts) if facts is not None else ()
    return tuple(owner for owner in found if owner is not Owner.CLUSTER or not is_ours)


def owned_by(facts: HostFacts, owner: Owner) -> str:
    """`kured reboots this host (pod kured-x7k2p runs here)`."""
    if owner is Owner.CLUSTER:
        return "locksmithd is masked beside a kubelet: FLUO or kured owns the reboots here"
    name, _, pod = owner_words(facts, owner).partition(" ")
    return f"{name} reboots this host {pod}".rstrip()


def seen_by(owner: Owner) -> str:
    """The evidence for an owner."""
    return PODS_SEEN if owner in (Owner.KURED, Owner.FLUO) else LOCKSMITHD


def holds_locksmithd(look: Look) -> bool:
    """Whether staging is to hold locksmithd: it runs and is not told to keep off, and it can be held."""
    facts = look.facts
    return facts is not None and plan(facts) is not Plan.NONE and not is_unholdable(look)


def against_cancel(look: Look) -> Iterator[Refusal]:
    facts = look.facts
    if facts is None:
        return
    yield from at_work(look)
    yield from unconfirmed(facts, "what is next is its way back")
    yield from damaged_table(facts)
    if is_unholdable(look):
        why = "locksmithd's unit lies in /etc, so it cannot be held: it might reboot all the same"
        yield refusal("locksmithd-in-etc", why, "take that file away, or mask it", LOCKSMITHD)
