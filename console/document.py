"""A host as `fleetctl.status/1` tells it: facts, memory and situation as one JSON object. Pure.

Every key is there; what is not known is null. Times are ISO-8601 UTC, sizes bytes, durations seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from actions.brief import extension_problems, slot_version
from actions.situation import Situation
from collectors.classify import SYSEXT, UPDATER, failed_attempt, server_of
from collectors.extensions import merged_image, staged_images, version_of, will_drop
from collectors.facts import Extensions, HostFacts, SlotName
from collectors.fleet_model import FleetHost, WantedUpdates
from collectors.memory import Memory
from collectors.parse.sysext_links import kind_of
from collectors.parse.update_conf import server_kind
from collectors.reboots import (
    CLUSTERS,
    Plan,
    locksmithd_is_up,
    owners,
    plan,
    pods_of,
    reboots_by_itself,
    strategy,
    window,
)
from collectors.records import HostRecord
from collectors.slots import fallback, is_staged, next_words

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Machine:
    """The only host of the fleet with a machine id, and how it could be reached last."""

    host: str
    reach: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What frames a host's facts: who it is in the fleet, how it was reached, the clock."""

    host: FleetHost
    hold: str | None
    """The fleet file's, else the store's."""
    record: HostRecord | None
    now: datetime
    units: tuple[str, ...] = ()
    """Units of [health], always listed."""
    as_of: str | None = None
    """Date of the feed, where it is too old to be trusted."""
    feed_stale: str | None = None
    """The sentence that says so."""
    machines: Mapping[str, Machine] = field(default_factory=dict)
    """By machine id; one that two hosts gave is not in it."""


def host_document(
    asked: Asked, facts: HostFacts | None, memory: Memory | None, meaning: Situation | None
) -> Json:
    """One element of `hosts`."""
    host, record = asked.host, asked.record
    taken_at = record.taken_at if record else None
    return {
        "name": host.name,
        "address": host.address,
        "port": host.port,
        "groups": list(host.groups),
        "labels": dict(host.labels),
        "hold": asked.hold,
        "reach": _reach(record, facts),
        "os": _os(facts),
        "boot": _boot(facts, taken_at),
        "slots": _slots(facts, memory),
        "update": _update(facts, memory, meaning, host),
        "reboot": _reboot(facts, memory, asked),
        "extensions": _extensions(facts),
        "health": _health(facts, asked.units),
        "situation": _situation(meaning, asked),
        "order": None,
        "taken_at": taken_at,
        "age_s": _age(taken_at, asked.now),
    }


def _age(at: str | None, now: datetime) -> float | None:
    return round((now - datetime.fromisoformat(at)).total_seconds(), 1) if at else None


def _reach(record: HostRecord | None, facts: HostFacts | None) -> Json:
    if record is None:
        never = {"state": None, "detail": "never asked", "since": None, "last_ok_at": None}
        return {**never, "latency_s": None, "privileged": None}
    return {
        "state": record.reach,
        "detail": record.reach_detail or None,
        "since": record.reach_since,
        "last_ok_at": record.last_ok_at,
        "latency_s": record.latency_s,
        "privileged": facts.privileged if facts else None,
    }


def _os(facts: HostFacts | None) -> Json:
    keys = ("id", "version", "version_id", "build_id", "name", "board", "sysext_level")
    more = ("oem", "machine_id", "kernel", "systemd", "containerd", "docker")
    if facts is None:
        return dict.fromkeys((*keys, "arch", *more))
    told = {key: getattr(facts.os, key) for key in keys}
    told["arch"] = facts.os.arch or facts.identity.arch
    return told | {key: getattr(facts.identity, key) for key in more}


def _boot(facts: HostFacts | None, taken_at: str | None) -> Json:
    keys = ("id", "booted_at", "uptime_s", "confirmed", "reset_armed", "first_boot_armed")
    if facts is None:
        return dict.fromkeys(keys)
    uptime_s, booted_at = facts.passing.uptime_s, None
    if uptime_s is not None and taken_at is not None:
        booted = datetime.fromisoformat(taken_at).timestamp() - uptime_s
        booted_at = datetime.fromtimestamp(round(booted), tz=datetime.fromisoformat(taken_at).tzinfo)
    running = facts.slots[facts.running] if facts.slots and facts.running else None
    return {
        "id": facts.identity.boot_id,
        "booted_at": _instant(booted_at),
        "uptime_s": uptime_s,
        "confirmed": running.successful if running else None,
        "reset_armed": facts.flags.reset_armed,
        "first_boot_armed": facts.flags.first_boot_armed,
    }


def _instant(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _slots(facts: HostFacts | None, memory: Memory | None) -> Json | None:
    if facts is None or facts.slots is None:
        return None
    versions = {name: slot_version(facts, memory, name) for name in SlotName}
    known = {name: version[0] for name, version in versions.items() if version}
    then = ""
    if facts.flags.reset_armed or facts.flags.first_boot_armed:
        then = "it wipes the host first" if facts.flags.reset_armed else "Ignition runs again"
    return {
        "running": facts.running,
        "next": facts.next_slot,
        "next_words": next_words(facts.slots, facts.running, known, then=then),
        "fallback": fallback(facts),
        **{name.lower(): _slot(facts, name, versions[name]) for name in SlotName},
    }


def _slot(facts: HostFacts, name: SlotName, version: tuple[str, str] | None) -> Json:
    assert facts.slots is not None
    slot = facts.slots[name]
    return {
        "device": slot.device,
        "partuuid": slot.partuuid,
        "priority": slot.priority,
        "tries": slot.tries,
        "successful": slot.successful,
        "version": version[0] if version else None,
        "version_source": version[1] if version else None,
    }


_UPDATE_KEYS = (
    "operation",
    "progress",
    "new_version",
    "new_size",
    "last_checked_at",
    "service",
    "mode",
    "disabled_by",
    "server",
    "group_image",
    "group_override",
    "group",
    "staged",
    "failed",
    "error",
)


def _mode(disabled_by: str | None, host: FleetHost, *, is_known: bool) -> str | None:
    """As found on the host: on, off, or off because fleetctl is to stage."""
    if not is_known:
        return None
    if disabled_by == "server" and host.updates is WantedUpdates.MANAGED:
        return "managed"
    return "off" if disabled_by else "on"


def _update(
    facts: HostFacts | None, memory: Memory | None, meaning: Situation | None, host: FleetHost
) -> Json:
    if facts is None:
        return dict.fromkeys(_UPDATE_KEYS)
    unit = facts.units.get(UPDATER)
    disabled_by = _disabled_by(facts)
    failed = failed_attempt(facts)
    remembered = memory.failed if memory else None
    error: Json | None = None
    if failed is not None:
        error = _error(
            failed.error_code, failed.error_name, failed.detail, failed.offered_version, failed.failed_at
        )
    elif remembered is not None:
        error = _error(remembered.code, remembered.name, remembered.detail, remembered.version, remembered.at)
    known_whether = facts.attempt is not None or error is not None
    values = (
        facts.operation,
        facts.passing.progress,
        facts.new_version,
        facts.new_size_bytes,
        _instant(facts.passing.last_checked_at),
        unit.load if unit and unit.is_masked else unit.active if unit else None,
        _mode(disabled_by, host, is_known=unit is not None),
        disabled_by,
        server_of(facts),
        facts.image_conf.group if facts.image_conf else None,
        facts.conf.group if facts.conf else None,
        meaning.group if meaning else None,
        is_staged(facts),
        error is not None if known_whether else None,
        error,
    )
    return dict(zip(_UPDATE_KEYS, values, strict=True))


def _error(
    code: int | None, name: str | None, text: str | None, version: str | None, at: datetime | None
) -> Json:
    return {"code": code, "name": name, "text": text, "version": version, "at": _instant(at)}


def _disabled_by(facts: HostFacts) -> str | None:
    """The strongest of what keeps updates off."""
    unit = facts.units.get(UPDATER)
    if facts.flags.no_update:
        return "no_slots"
    if unit is not None and unit.is_masked:
        return "masked"
    if unit is not None and unit.active in ("inactive", "failed"):
        return "stopped"
    return "server" if server_kind(server_of(facts)) in ("disabled", "localhost") else None


_REBOOT_KEYS = (
    *("strategy", "window_start", "window_length", "manager", "manager_state", "required_marker"),
    *("will_reboot_by_itself", "foreign_order", "owners", "pods", "lock", "lock_unread"),
)


def _reboot(facts: HostFacts | None, memory: Memory | None, asked: Asked) -> Json:
    if facts is None:
        return dict.fromkeys(_REBOOT_KEYS)
    up, unread = locksmithd_is_up(facts), facts.why_unread("lock")
    found = owners(facts)
    is_known = bool(found) or plan(facts) is not Plan.UNKNOWN
    values = (
        strategy(facts),
        *window(facts),
        _manager(facts, up=up),
        facts.coordinator.state if facts.coordinator and up else None,
        facts.flags.reboot_required,
        reboots_by_itself(facts),
        facts.foreign_order,
        list(found) if is_known else None,
        None if facts.reboot_pods is None else [pod for owner in found for pod in pods_of(facts, owner)],
        _lock(facts, memory, asked),
        unread.reason if unread else None,
    )
    return dict(zip(_REBOOT_KEYS, values, strict=True))


def _manager(facts: HostFacts, *, up: bool | None) -> str | None:
    """Who reboots the host by itself, in one word."""
    if up is None:
        return None
    if up:
        return "locksmithd"
    return "cluster" if any(owner in CLUSTERS for owner in owners(facts)) else "none"


def _lock(facts: HostFacts, memory: Memory | None, asked: Asked) -> Json | None:
    if facts.lock is None:
        return None
    holders = [_holder(machine_id, memory, asked) for machine_id in facts.lock.holders]
    return {"available": facts.lock.available, "max": facts.lock.max, "holders": holders}


def _holder(machine_id: str, memory: Memory | None, asked: Asked) -> Json:
    known, since = asked.machines.get(machine_id), memory.lock_since.get(machine_id) if memory else None
    return {
        "machine_id": machine_id,
        "host": known.host if known else None,
        "reach": known.reach if known else None,
        "since": _instant(since),
        "age_s": round((asked.now - since).total_seconds(), 1) if since else None,
    }


def _extensions(facts: HostFacts | None) -> list[Json] | None:
    extensions = facts.extensions if facts else None
    if facts is None or extensions is None:
        return None
    bad, unit = set(extension_problems(facts)), facts.units.get(SYSEXT)
    failed = unit is not None and unit.result not in (None, "", "success")
    names = sorted({*extensions.merged, *extensions.candidates, *extensions.links})
    staged = staged_images(extensions)
    return [_extension(extensions, name, staged, bad=name in bad, failed=failed) for name in names]


def _extension(extensions: Extensions, name: str, staged: dict[str, str], *, bad: bool, failed: bool) -> Json:
    link, meta = extensions.links.get(name), extensions.meta.get(name)
    merged = name in extensions.merged
    image = merged_image(extensions, name) if merged else None
    place = image or (link.target if link else extensions.candidates.get(name))
    bound = (
        meta is not None and meta.version_id is not None and meta.sysext_level is None and meta.id != "_any"
    )
    return {
        "name": name,
        "kind": kind_of(name, place or ""),
        "merged": merged,
        "image": image,
        "version": version_of(extensions, name),
        "link": link.path if link else None,
        "staged_image": staged.get(name),
        "bound_to": meta.version_id if meta and bound else None,
        "compatible": True if merged else (False if name in extensions.candidates and not failed else None),
        "drops_on_update": will_drop(extensions, name) if merged and meta else None,
        "problem": _problem(extensions, name, merged=merged, bad=bad),
    }


def _problem(extensions: Extensions, name: str, *, merged: bool, bad: bool) -> str | None:
    link = extensions.links.get(name)
    if link is not None and link.is_mask:
        return "masked"
    if link is not None and not link.exists:
        return "dangling"
    return ("broken" if merged else "not merged") if bad else None


def _health(facts: HostFacts | None, units: tuple[str, ...]) -> Json:
    if facts is None:
        keys = ("system", "failed_units", "units", "containers", "disks", "time_synced")
        return dict.fromkeys(keys)
    shown = {name: unit.active for name, unit in facts.units.items() if unit.load != "not-found"}
    wanted = {name: facts.units[name].active for name in units if name in facts.units}
    disks = {path: asdict(use) for path, use in facts.passing.disks.items()}
    return {
        "system": facts.system_state,
        "failed_units": list(facts.failed_units) if facts.failed_units is not None else None,
        "units": shown | wanted if facts.units else None,
        "containers": facts.passing.containers,
        "disks": disks or None,
        "time_synced": facts.passing.time_synced,
    }


def _situation(meaning: Situation | None, asked: Asked) -> Json:
    where = meaning.standing if meaning else None
    since = where.behind_since if where else None
    reasons = [
        {"code": item.code, "text": item.text, "evidence": item.evidence}
        for item in (meaning.reasons if meaning else ())
    ]
    if meaning is None:
        reasons = [{"code": "never_asked", "text": "never asked", "evidence": "store"}]
    if asked.feed_stale is not None and where is not None:
        reasons.append({"code": "feed_stale", "text": asked.feed_stale, "evidence": "feed"})
    return {
        "state": meaning.state if meaning else "unreachable",
        "reasons": reasons,
        "remedy": meaning.remedy if meaning else "run fleetctl collect",
        "behind_releases": where.behind if where else None,
        "behind_days": (asked.now - since).days if since else (0 if where else None),
        "newest_in_channel": where.newest if where else None,
        "cves_fixed_by_update": None,
        "eol": None,
        "as_of": asked.as_of if where else None,
    }
