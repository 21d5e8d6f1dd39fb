"""Who will reboot a host by itself, and when: locksmithd by what it was told, kured and FLUO by name. Pure.

locksmithd looks at update_engine's word, never at the slots; once it plans a reboot a reset does not stop it;
an unknown strategy or half a window ends it at that moment, without a reboot.
Sources: flatcar/locksmith:locksmithctl/daemon.go, systemd/locksmithd.service@5b2275e; names of pods:
kubereboot/kured:kured-ds.yaml@4beddb5, flatcar/flatcar-linux-update-operator:examples/deploy@ff6cd6b.
"""

from __future__ import annotations

import re
from enum import StrEnum

from collectors.errors import ParseError
from collectors.facts import CoordinatorState, HostFacts, Operation, UpdateConf
from collectors.parse.locksmith import parse_window
from collectors.slots import is_staged

LOCKSMITHD, KUBELET = "locksmithd.service", "kubelet.service"
_UP = ("active", "activating", "reloading")
_STRATEGIES = (None, "", "reboot", "etcd-lock")


class Plan(StrEnum):
    """What locksmithd does once a release is staged."""

    NONE = "none"
    """Not running, or told to keep off."""
    ANY_TIME = "any time"
    WINDOW = "window"
    BROKEN = "broken"
    """Its settings are wrong: it ends instead of rebooting."""
    UNKNOWN = "unknown"


class Owner(StrEnum):
    """Who reboots a host without us."""

    LOCKSMITHD = "locksmithd"
    LOCKSMITHD_ETCD = "locksmithd-etcd"
    """Under a lock in etcd that it shares with other hosts."""
    KURED = "kured"
    FLUO = "fluo"
    CLUSTER = "cluster"
    """locksmithd is masked beside a kubelet, as kured and FLUO want it, and neither of them is seen."""


CLUSTERS = (Owner.KURED, Owner.FLUO, Owner.CLUSTER)
PODS_SEEN = "/var/log/pods"
"""The evidence for kured and FLUO."""
NAMES = {
    Owner.LOCKSMITHD: "locksmithd",
    Owner.LOCKSMITHD_ETCD: "locksmithd",
    Owner.KURED: "kured",
    Owner.FLUO: "FLUO",
    Owner.CLUSTER: "FLUO or kured",
}
_PODS = {
    Owner.KURED: re.compile(r"(?:[a-z0-9.-]+-)?kured-[a-z0-9]{5}"),
    Owner.FLUO: re.compile(r"(?:[a-z0-9.-]+-)?flatcar-linux-update-(?:agent|operator)-[a-z0-9-]+"),
}
"""A daemon set's pods end in five letters and digits; what only works for kured has more of a name."""


def locksmithd_is_up(facts: HostFacts) -> bool | None:
    unit = facts.units.get(LOCKSMITHD)
    return unit.active in _UP if unit is not None else None


def strategy(facts: HostFacts) -> str | None:
    """Of the running daemon, else as configured: it reads its files only when it starts."""
    coordinator = facts.coordinator.strategy if facts.coordinator and locksmithd_is_up(facts) else None
    return coordinator or _setting(facts, "reboot_strategy")


def window(facts: HostFacts) -> tuple[str | None, str | None]:
    """Start and length as configured, each from /etc, else from the image."""
    return _setting(facts, "window_start"), _setting(facts, "window_length")


def _setting(facts: HostFacts, key: str) -> str | None:
    confs: tuple[UpdateConf | None, ...] = (facts.conf, facts.image_conf)
    return next((value for conf in confs if conf and (value := getattr(conf, key)) is not None), None)


def plan(facts: HostFacts) -> Plan:
    up = locksmithd_is_up(facts)
    if up is None:
        return Plan.UNKNOWN
    if not up or strategy(facts) == "off":
        return Plan.NONE
    start, length = window(facts)
    if strategy(facts) not in _STRATEGIES or (start is None) != (length is None):
        return Plan.BROKEN
    try:
        return Plan.WINDOW if parse_window(start, length) is not None else Plan.ANY_TIME
    except ParseError:
        return Plan.BROKEN


def has_begun(facts: HostFacts) -> bool:
    """A reboot is planned or under way; the file outlives the daemon, so the unit must be up."""
    state = facts.coordinator.state if facts.coordinator and locksmithd_is_up(facts) else None
    return state in (CoordinatorState.REBOOT_PLANNED, CoordinatorState.REBOOTING)


def owners(facts: HostFacts) -> tuple[Owner, ...]:
    """All who are known to reboot the host when a reboot is due, locksmithd first; two are one too many."""
    found: list[Owner] = []
    if has_begun(facts) or plan(facts) in (Plan.ANY_TIME, Plan.WINDOW):
        found.append(Owner.LOCKSMITHD_ETCD if strategy(facts) == "etcd-lock" else Owner.LOCKSMITHD)
    found += [owner for owner in _PODS if pods_of(facts, owner)]
    if found:
        return tuple(found)
    unit, kubelet = facts.units.get(LOCKSMITHD), facts.units.get(KUBELET)
    is_left = unit is not None and unit.is_masked and kubelet is not None and kubelet.active == "active"
    return (Owner.CLUSTER,) if is_left else ()


def pods_of(facts: HostFacts, owner: Owner) -> tuple[str, ...]:
    """An owner's pods on this node, `namespace/pod`. A kubelet that is down leaves what was there to lie; a
    host without its unit may run it inside of another one, as k3s does."""
    kubelet, name = facts.units.get(KUBELET), _PODS.get(owner)
    is_down = kubelet is not None and kubelet.load != "not-found" and kubelet.active not in _UP
    if name is None or is_down:
        return ()
    return tuple(pod for pod in facts.reboot_pods or () if name.fullmatch(pod.rpartition("/")[2]))


def owner_words(facts: HostFacts, owner: Owner) -> str:
    """`kured (pod kured-x7k2p runs here)`."""
    pods = [pod.rpartition("/")[2] for pod in pods_of(facts, owner)]
    shown = f" (pod {pods[0]} runs here)" if pods else ""
    return f"{NAMES[owner]}{shown}"


def named_clusters(facts: HostFacts) -> str:
    """kured and FLUO in words, as far as they are seen; "" where neither is."""
    found = [owner for owner in owners(facts) if owner in _PODS]
    return " and ".join(owner_words(facts, owner) for owner in found)


def cluster_may_reboot(facts: HostFacts) -> bool:
    """kured or FLUO owns the reboots, and one is asked for."""
    is_due = bool(facts.flags.reboot_required or facts.operation is Operation.NEED_REBOOT)
    return is_due and any(owner in CLUSTERS for owner in owners(facts))


def reboots_by_itself(facts: HostFacts) -> bool | None:
    """Whether something on the host reboots it without us; None where that cannot be told."""
    if facts.flags.no_update:
        return False
    if has_begun(facts):
        return True
    match plan(facts):
        case Plan.NONE | Plan.BROKEN:
            return None if cluster_may_reboot(facts) else False
        case Plan.UNKNOWN:
            return None
    if facts.operation is None:
        return None
    if facts.operation is Operation.NEED_REBOOT:
        return True
    # Staged and reset: whether locksmithd saw it before the reset is not to be seen.
    return None if is_staged(facts) else False
