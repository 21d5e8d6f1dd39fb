"""What a decision is made from: one fresh look at a host, and what else is known of it, as one value. Pure.

Nothing here decides. A question about the host that several checks ask is answered once, here; None is always
"not known". What is remembered of hosts that share a machine id is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from actions.remote.extra import Extra
from actions.remote.slot_proof import Proof
from actions.situation import Wish
from collectors.compat import fits
from collectors.extensions import merged_image, will_drop
from collectors.facts import Attempt, ExtensionMeta, HostFacts, Operation, SlotName
from collectors.fleet_model import FleetHost, Window
from collectors.memory import Memory
from collectors.observation import Answer, Observation
from collectors.parse.os_release import version_key
from collectors.parse.sysext_links import kind_of
from collectors.parse.update_conf import effective_server, server_kind
from collectors.releases import Feed, Release
from collectors.slots import is_staged, pair

UNWISHED = Wish()


@dataclass(frozen=True, slots=True)
class Look:
    """One host, now."""

    host: FleetHost
    seen: Observation
    now: datetime
    """By a clock that never jumps: what durations are measured by."""
    wall: datetime | None = None
    """By this machine's clock as it is set now: what windows are judged by. None: as `now`."""
    wish: Wish = UNWISHED
    extra: Extra | None = None
    memory: Memory | None = None
    feed: Feed | None = None
    windows: tuple[Window, ...] = ()
    """Those in which this order may reboot; empty: at any time."""
    pin: str | None = None
    """The wanted version."""
    quarantine: tuple[str, ...] = ()
    """Versions that this machine is not to get again."""
    twins: tuple[str, ...] = ()
    """Other hosts of the fleet with the same machine id."""
    proof: Proof | None = None
    own_orders: tuple[str, ...] = ()
    """Orders that are this console's: the one for which is decided, and those that it may follow."""
    unknown_outcome: str | None = None
    """An earlier order here whose outcome is not known, in words."""
    budget_used: str | None = None
    """Who uses up how many hosts may be disturbed at once, in words; None: there is room."""
    fleetlock: bool = False
    """The fleet file wants a FleetLock taken for a reboot."""
    before: tuple[str, ...] = ()
    """What the console does before a reboot of it, in words."""
    after: tuple[str, ...] = ()
    payload_bytes: int | None = None
    """All files of a `stage --payload` together."""
    target_sysext_level: str | None = None
    """SYSEXT_LEVEL of the version asked for, where it is known."""
    cgroup_v1: bool | None = None
    """The host mounts the old control groups."""
    health: Mapping[str, bool] = field(default_factory=dict)
    """The fleet file's own questions -> whether the answer is good; asked where a reboot is decided on."""

    @property
    def facts(self) -> HostFacts | None:
        return self.seen.facts if isinstance(self.seen, Answer) else None

    @property
    def remembered(self) -> Memory | None:
        return None if self.twins else self.memory

    @property
    def attempt(self) -> Attempt | None:
        """The newest attempt of this boot: from the whole journal where it was read, else from the probe."""
        whole = self.extra.attempt if self.extra else None
        return whole or (self.facts.attempt if self.facts else None)

    @property
    def first_boot(self) -> bool | None:
        """Only where /boot is mounted its absence says anything."""
        boot = self.extra.boot if self.extra else None
        told = boot.first_boot_armed if boot is not None and boot.mounted else None
        return _either(told, self.facts.flags.first_boot_armed if self.facts else None)

    @property
    def reset_armed(self) -> bool | None:
        told = self.extra.reset_armed if self.extra else None
        return _either(told, self.facts.flags.reset_armed if self.facts else None)

    @property
    def updater_running(self) -> bool | None:
        told = self.extra.updater_running if self.extra else None
        return _either(told, self.facts.updater_running if self.facts else None)


def _either(one: bool | None, other: bool | None) -> bool | None:
    """True where either says so, None where neither says anything."""
    if one or other:
        return True
    return None if one is None and other is None else False


def kernel_bytes(extra: Extra, slot: SlotName) -> int | None:
    """Size of a slot's kernel; hosts that came from CoreOS keep theirs in a folder of that name."""
    kernels = extra.boot.kernels if extra.boot is not None else {}
    paths = (f"/boot/{folder}/vmlinuz-{slot.lower()}" for folder in ("flatcar", "coreos"))
    return next((kernels[path] for path in paths if path in kernels), None)


def has_staged(facts: HostFacts) -> bool:
    """The other slot boots next for its one try, whatever update_engine says, or update_engine waits for a
    reboot."""
    return bool(is_staged(facts)) or facts.operation is Operation.NEED_REBOOT


def held_version(look: Look) -> str | None:
    """The release staged in the other slot: as update_engine tells, as this boot's journal tells, as is
    remembered. None where nobody knows it or it is not in the form of a version."""
    facts, attempt = look.facts, look.attempt
    if facts is None or facts.running is None:
        return None
    told = facts.new_version if facts.operation is Operation.NEED_REBOOT else None
    if told is None and attempt is not None and attempt.staged:
        told = attempt.offered_version
    if told is None and look.remembered is not None and look.remembered.attempt_at is None:
        kept = look.remembered.slots.get(facts.running.other)
        told = kept.version if kept is not None and kept.source == "staged" else None
    return told if told and is_version(told) else None


def is_version(text: str | None) -> bool:
    """Whether this may be used as a version: three numbers and nothing else. Other texts are only shown."""
    return text is not None and text.isascii() and "+" not in text and version_key(text) is not None


def is_overwritten(look: Look) -> str | None:
    """Why the other slot is not what it was when it last ran, with the evidence; None: nothing shows that."""
    facts, attempt, memory = look.facts, look.attempt, look.remembered
    if facts is None:
        return None
    if facts.operation is not None and facts.operation.overwrites_other_slot:
        return f"it is being written ({facts.operation.removeprefix('UPDATE_STATUS_')})"
    if attempt is not None and attempt.overwrote:
        what = f" with {attempt.offered_version}" if is_version(attempt.offered_version) else ""
        return f"an attempt of this boot overwrote it{what} (journal)"
    before = look.extra.attempt_before if look.extra else None
    if before is not None and before.overwrote and not before.staged:
        return "an attempt of the boot before overwrote it (journal)"
    if memory is not None and memory.attempt_at is not None:
        return f"an attempt seen {memory.attempt_at:%Y-%m-%d %H:%M} UTC overwrote it (remembered)"
    prefs = facts.prefs
    if prefs is not None and prefs.next_operation is not None and prefs.next_operation >= 0:
        return "an update into it was broken off (prefs update-state-next-operation)"
    if prefs is not None and prefs.failures:
        return "an update into it failed (prefs delta-update-failures)"
    return None


def update_mode(facts: HostFacts) -> str:
    """`self`, `disabled`, or `localhost` for what flatcar-update leaves."""
    kind = server_kind(effective_server(facts.conf, facts.image_conf))
    return kind if kind in ("disabled", "localhost") else "self"


def dropped(look: Look, version: str | None) -> tuple[str, ...]:
    """Merged extensions that `version` would not merge; None: any release that is not this one."""
    facts = look.facts
    found = facts.extensions if facts else None
    if facts is None or found is None:
        return ()
    if version is None:
        return tuple(name for name in found.merged if will_drop(found, name))
    lost = []
    for name in found.merged:
        meta, link = found.meta.get(name), found.links.get(name)
        image = merged_image(found, name) or (link.target if link else found.candidates.get(name, ""))
        if kind_of(name, image) in ("builtin", "oem", "official"):
            continue
        if meta is not None and not _survives(meta, facts, version, look.target_sysext_level):
            lost.append(name)
    return tuple(lost)


def _survives(meta: ExtensionMeta, facts: HostFacts, version: str, level: str | None) -> bool:
    """A SYSEXT_LEVEL that is not known is taken to stay as it is."""
    of = facts.os
    return bool(fits(meta, of.id, of.id_like, version, level or of.sysext_level, of.arch))


def release_of(feed: Feed | None, version: str | None) -> Release | None:
    """The feed's entry of a version."""
    key = version_key(version or "")
    every = (item for releases in feed.channels.values() for item in releases) if feed and key else ()
    return next((item for item in every if item.key == key), None)


def is_way_back(look: Look) -> bool:
    """Whether GRUB has another slot to choose if the next boot's does not come up."""
    facts = look.facts
    both = pair(facts) if facts else None
    if facts is None or both is None or facts.slots is None or facts.next_slot is None:
        return False
    return facts.slots[facts.next_slot.other].bootable
