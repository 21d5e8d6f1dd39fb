"""Who will reboot a host by itself, and when: what locksmithd does with what it was told. Pure.

locksmithd looks at update_engine's word, never at the slots; once it plans a reboot a reset does not stop it;
an unknown strategy or half a window ends it at that moment, without a reboot.
Source: flatcar/locksmith:locksmithctl/daemon.go, systemd/locksmithd.service@5b2275e.
"""

from __future__ import annotations

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


def cluster_may_reboot(facts: HostFacts) -> bool:
    """locksmithd is masked beside a kubelet, as FLUO and kured want it, and a reboot is asked for."""
    unit, kubelet = facts.units.get(LOCKSMITHD), facts.units.get(KUBELET)
    in_cluster = unit is not None and unit.is_masked and kubelet is not None and kubelet.active == "active"
    return in_cluster and bool(facts.flags.reboot_required or facts.operation is Operation.NEED_REBOOT)


def reboots_by_itself(facts: HostFacts) -> bool | None:
    """Whether something on the host reboots it without us; None where that cannot be told."""
    if facts.flags.no_update:
        return False
    if has_begun(facts):
        return True
    if cluster_may_reboot(facts):
        return None
    match plan(facts):
        case Plan.NONE:
            return False
        case Plan.BROKEN:
            return False
        case Plan.UNKNOWN:
            return None
    if facts.operation is None:
        return None
    if facts.operation is Operation.NEED_REBOOT:
        return True
    # Staged and reset: whether locksmithd saw it before the reset is not to be seen.
    return None if is_staged(facts) else False
