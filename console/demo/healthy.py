"""A healthy simulated host, from which every scenario departs.

It runs a release of its channel, was updated before and confirmed, asks its update server every three
quarters of an hour and is offered nothing. It never reboots by itself: REBOOT_STRATEGY is off.
Made-up ids and counts are functions of the host's name, so a host is the same each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from collectors.facts import DiskUse, Operation, SlotName, Unit
from console.demo import feed, files, journal
from console.demo.world import Extension, Hardware, SimulatedHost, SlotState, hex_of, uuid_of

PAYLOAD_BYTES = 458_234_665
OLD_LTS = "lts-2023"
"""Not a channel of its own: the stream before the current one, which follows lts."""
_ACTIVE = Unit("loaded", "active", "running", "disabled", "success")
_IDLE = Unit("loaded", "inactive", "dead", "disabled", "success")
_MIB = 1024 * 1024
_EXTENSION_ARCH = {"amd64": "x86-64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Flavour:
    """What a host is, beside the scenario it is in."""

    channel: str = "stable"
    arch: str = "amd64"
    disk: str = "sda"
    oem: str | None = None
    kubernetes: bool = False

    @property
    def group(self) -> str:
        """GROUP of its image."""
        return "lts" if self.channel == OLD_LTS else self.channel


@dataclass(frozen=True, slots=True)
class HostSpec:
    """Which host to build: its name, when the simulation starts, what it is."""

    name: str
    start: datetime
    flavour: Flavour = Flavour()

    def number(self, what: str, below: int) -> int:
        """A made-up number from 0, the same for the same host and `what`."""
        return int(hex_of(self.name, what, digits=12), 16) % below


def version_of(flavour: Flavour, back: int = 0) -> str:
    """The newest release of its channel, or the one `back` before."""
    if flavour.channel == OLD_LTS:
        releases = [item.version for item in feed.CHANNELS["lts"] if item.key[0] == 3510]
        return releases[-1 - back]
    return feed.recent(flavour.channel, back)


def healthy(spec: HostSpec, *, back: int = 0, up: timedelta | None = None) -> SimulatedHost:
    """A host that runs the newest release of its channel (`back`: an earlier one), confirmed and idle."""
    flavour, start = spec.flavour, spec.start
    version, earlier = version_of(flavour, back), version_of(flavour, back + 1)
    age_days = feed.release(version).age_days
    up = up or timedelta(
        hours=16 * age_days + spec.number("up", 6 * age_days), seconds=spec.number("s", 3600)
    )
    booted_at = start - up
    hardware = _hardware(spec)
    running = (SlotName.A, SlotName.B)[spec.number("slot", 2)]
    host = SimulatedHost(
        hardware=hardware,
        started_at=start,
        booted_at=booted_at,
        boot_id=uuid_of(spec.name, "boot", start),
        version=version,
        group=flavour.group,
        running=running,
        prefs=_prefs(hardware.aleph_version),
        conf="REBOOT_STRATEGY=off\n",
        units=units(kubernetes=flavour.kubernetes),
        extensions=_extensions(spec, version),
        disks=_disks(spec, hardware),
        containers=4 + spec.number("containers", 40),
        boot_mounted=spec.number("boot", 4) == 0,
    )
    host = with_slots(host, (2, 0, 1), (1, 0, 1), other_version=earlier)
    return checked(host)


def checked(host: SimulatedHost, checks: int = 3) -> SimulatedHost:
    """The host after its last checks, which offered nothing; none if it has not been up long enough."""
    began = host.booted_at + timedelta(seconds=8)
    last = host.started_at - timedelta(seconds=200 + int(hex_of(host.name, "check", digits=3), 16) % 2000)
    group = effective_group(host)
    times = [last - journal.CHECK_EVERY * number for number in reversed(range(checks))]
    times = [at for at in times if at > began + journal.FIRST_CHECK_AFTER]
    lines = journal.started(began)
    for at in times:
        lines += journal.nothing_offered(at, group)
    engine = replace(host.engine, last_checked_at=times[-1] if times else None)
    return replace(host, journal=lines, engine=engine)


def effective_group(host: SimulatedHost) -> str:
    """GROUP as update_engine reads it: the last one in /etc, else the image's."""
    lines = [line.partition("=") for line in (host.conf or "").split("\n")]
    return [host.group, *(value for key, _, value in lines if key == "GROUP")][-1]


def with_slots(
    host: SimulatedHost,
    running: tuple[int, int, int],
    other: tuple[int, int, int],
    *,
    other_version: str | None,
    other_intact: bool = True,
) -> SimulatedHost:
    """The host with these priority, tries and successful in its slots."""
    mine = SlotState(running[0], running[1], bool(running[2]), host.version)
    spare = SlotState(other[0], other[1], bool(other[2]), other_version, other_intact)
    if host.running is SlotName.B:
        return replace(host, a=spare, b=mine)
    return replace(host, a=mine, b=spare)


def with_prefs(host: SimulatedHost, **values: str) -> SimulatedHost:
    """The host with these of update_engine's files, `_` in a name for its `-`."""
    changed = {key.replace("_", "-"): value for key, value in values.items()}
    return replace(host, prefs={**(host.prefs or {}), **changed})


def with_unit(host: SimulatedHost, name: str, unit: Unit) -> SimulatedHost:
    return replace(host, units={**host.units, name: unit})


def with_extension(host: SimulatedHost, extension: Extension) -> SimulatedHost:
    return replace(host, extensions=(*host.extensions, extension))


def with_engine(host: SimulatedHost, operation: Operation, version: str) -> SimulatedHost:
    """The host with its updater in `operation` on the way to `version`."""
    engine = replace(host.engine, operation=operation, new_version=version, new_size_bytes=PAYLOAD_BYTES)
    return replace(host, engine=engine)


def units(*, kubernetes: bool = False) -> dict[str, Unit]:
    """A healthy host's units: docker starts when its socket is used, locksmithd ended since it is off."""
    known = {
        "update-engine.service": _ACTIVE,
        "locksmithd.service": _IDLE,
        "systemd-sysext.service": replace(_ACTIVE, sub="exited"),
        "docker.service": _IDLE,
        "docker.socket": replace(_ACTIVE, sub="listening", file_state="enabled"),
        "containerd.service": _ACTIVE,
    }
    return known | ({"kubelet.service": replace(_ACTIVE, file_state="enabled")} if kubernetes else {})


def _hardware(spec: HostSpec) -> Hardware:
    flavour = spec.flavour
    known = [
        item for item in feed.CHANNELS[flavour.group] if flavour.channel != OLD_LTS or item.key[0] == 3510
    ]
    first = known[spec.number("aleph", 2)]
    return Hardware(
        name=spec.name,
        machine_id=hex_of(spec.name, "machine"),
        install_boot_id=uuid_of(spec.name, "install"),
        installed_at=first.published_at(spec.start) + timedelta(days=1 + spec.number("age", 12)),
        aleph_version=first.version,
        arch=flavour.arch,
        disk=flavour.disk,
        oem=flavour.oem,
        has_small_slots=first.key[0] < 4593,
    )


def _prefs(aleph: str) -> dict[str, str]:
    return {
        "previous-version": "",
        "aleph-version": aleph,
        "update-state-next-operation": "-1",
        "payload-attempt-number": "0",
        "backoff-expiry-time": "0",
        "delta-update-failures": "0",
    }


def _extensions(spec: HostSpec, version: str) -> tuple[Extension, ...]:
    flavour, release = spec.flavour, feed.release(version)
    found = []
    if release.has_builtin_extensions:
        for name, own in (("containerd", release.containerd), ("docker", release.docker)):
            image = f"/usr/share/flatcar/sysext/{name}-flatcar.raw"
            meta = files.bound_metadata(version, flavour.arch, f"{name}-flatcar", own_version=own)
            found.append(Extension(f"{name}-flatcar", image, meta, image))
        if flavour.oem:
            image = f"/oem/sysext/oem-{flavour.oem}-{version}.raw"
            meta = files.bound_metadata(version, flavour.arch, f"oem-{flavour.oem}")
            found.append(Extension(f"oem-{flavour.oem}", image, meta, image))
    if flavour.kubernetes:
        found.append(bakery("kubernetes", "v1.33.2", flavour.arch))
    return tuple(found)


def bakery(name: str, version: str, arch: str, *, merged: str | None = None) -> Extension:
    """An extension of the bakery; `merged`: another version of it is merged than its link names."""
    image = bakery_image(name, version, arch)
    meta = files.level_metadata(arch) if name == "kubernetes" else files.any_metadata(arch)
    return Extension(name, image, meta, bakery_image(name, merged or version, arch))


def bakery_image(name: str, version: str, arch: str) -> str:
    return f"/opt/extensions/{name}/{name}-{version}-{_EXTENSION_ARCH[arch]}.raw"


def _disks(spec: HostSpec, hardware: Hardware) -> dict[str, DiskUse]:
    small = hardware.has_small_slots
    sizes = {
        "/": ("ext4", (20 + 10 * spec.number("disk", 20)) * 1024 * _MIB, 12 + spec.number("used", 55)),
        "/oem": ("btrfs", (128 if small else 1024) * _MIB, 4 + spec.number("oem", 20)),
        "/boot": ("vfat", (127 if small else 1022) * _MIB, 58 if small else 12),
    }
    return {
        mount: DiskUse(fstype, size, size * percent // 100, size - size * percent // 100 - size // 50)
        for mount, (fstype, size, percent) in sizes.items()
    }
