"""Facts for tests: one healthy host, and what to change in it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from collectors.facts import (
    Attempt,
    Cmdline,
    Extensions,
    Flags,
    HostFacts,
    Identity,
    Operation,
    OsRelease,
    Passing,
    Prefs,
    Slot,
    SlotName,
    SlotTable,
    Unit,
    UpdateConf,
)
from collectors.observation import Answer
from collectors.releases import Feed, parse_feed

NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
A, B = SlotName.A, SlotName.B


def table(a: str, b: str) -> SlotTable:
    """Slots from `priority/tries/successful` texts."""
    return SlotTable(_slot(A, a), _slot(B, b))


def _slot(name: SlotName, text: str) -> Slot:
    priority, tries, successful = (int(word) for word in text.split("/"))
    return Slot(name, priority, tries, bool(successful))


def unit(active: str = "active", *, load: str = "loaded", result: str = "success") -> Unit:
    return Unit(load, active, "running" if active == "active" else "dead", "enabled", result)


UNITS = {
    "update-engine.service": unit(),
    "locksmithd.service": unit("inactive"),
    "systemd-sysext.service": unit(),
    "docker.service": unit(),
    "containerd.service": unit(),
}

HEALTHY = HostFacts(
    complete=True,
    privileged=True,
    identity=Identity(machine_id="a" * 32, boot_id="boot-1", install="install-1", arch="amd64"),
    os=OsRelease(
        id="flatcar",
        version="4593.2.5",
        version_id="4593.2.5",
        board="amd64-usr",
        sysext_level="1.0",
        pretty_name="Flatcar Container Linux by Kinvolk 4593.2.5 (Oklo)",
    ),
    cmdline=Cmdline(slot=A),
    running=A,
    slots=table("2/0/1", "1/0/1"),
    operation=Operation.IDLE,
    image_conf=UpdateConf(server="https://public.update.flatcar-linux.net/v1/update/", group="stable"),
    conf=UpdateConf(),
    flags=Flags(False, False, False, False, False),
    prefs=Prefs(previous_version="", next_operation=-1),
    attempt=Attempt(no_update=True),
    units=UNITS,
    system_state="running",
    failed_units=(),
    extensions=Extensions(),
    passing=Passing(uptime_s=86400.0, progress=0.0),
)


def facts(**changes: Any) -> HostFacts:
    """A healthy host but for `changes`."""
    return replace(HEALTHY, **changes)


def answer(host_facts: HostFacts, *, host: str = "node-1", at: datetime = NOW) -> Answer:
    return Answer(host, at, host_facts, 0.05)


def feed(*versions: str) -> Feed:
    """A feed of these stable releases, one a week, the last a week before NOW."""
    entries = []
    for number, version in enumerate(reversed(versions)):
        day = NOW.timestamp() - (number + 1) * 7 * 86400
        date = datetime.fromtimestamp(day, UTC).strftime("%Y-%m-%d %H:%M:%S +0000")
        entries.append(
            f'"{version}": {{"channel": "stable", "release_date": "{date}", "major_software": {{}}}}'
        )
    return parse_feed(
        ("{" + ",".join(entries) + "}").encode(), taken_at=NOW, source="test", digest="-".join(versions)
    )
