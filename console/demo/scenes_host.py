"""Scenarios of the host around its updates: extensions, health, identity, and how it can be reached."""

from __future__ import annotations

from dataclasses import replace

from collectors.facts import DiskUse, Unit
from collectors.probe import Section
from console.demo import files, healthy
from console.demo.healthy import Flavour, HostSpec, with_extension
from console.demo.scene import Scenario, scene
from console.demo.tools import NOT_FOUND
from console.demo.world import Access, Bus, Engine, Extension, FailedUnit, KeyRecord, SimulatedHost

SCENES: dict[str, Scenario] = {}
_K8S = Flavour(kubernetes=True)
DEBIAN = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"""


@scene(SCENES, "current", Flavour(arch="arm64", disk="nvme0n1", oem="ami"))
def extension_staged(spec: HostSpec) -> SimulatedHost:
    """The link leads to another image than the one that is merged."""
    host = healthy.healthy(spec)
    return with_extension(host, healthy.bakery("kubernetes", "v1.33.4", spec.flavour.arch, merged="v1.33.2"))


@scene(SCENES, "current")
def extension_will_drop(spec: HostSpec) -> SimulatedHost:
    """A site's own image is bound to this OS version: the next one will not merge it."""
    host = healthy.healthy(spec)
    image = f"/opt/extensions/node-agent/node-agent-{host.version}.raw"
    metadata = files.custom_metadata(host.version, spec.flavour.arch)
    return with_extension(host, Extension("node-agent", image, metadata, image))


@scene(SCENES, "extension_problem", _K8S)
def extension_incompatible(spec: HostSpec) -> SimulatedHost:
    """An image for the other architecture is there, listed and not merged."""
    host = healthy.healthy(spec)
    image = healthy.bakery_image("wasmtime", "v24.0.0", "arm64")
    return with_extension(host, Extension("wasmtime", image, files.any_metadata("arm64")))


@scene(SCENES, "extension_problem", _K8S)
def extension_broken(spec: HostSpec) -> SimulatedHost:
    """One image cannot be read: the whole merge failed at boot, docker and containerd are missing."""
    host = healthy.healthy(spec)
    merged_none = tuple(replace(item, merged_image=None) for item in host.extensions)
    gone = ("docker.service", "docker.socket", "containerd.service", "kubelet.service")
    units = {**host.units, **dict.fromkeys(gone, NOT_FOUND)}
    units["systemd-sysext.service"] = Unit("loaded", "failed", "failed", "disabled", "exit-code")
    broken = FailedUnit("systemd-sysext.service", "Merge System Extension Images into /usr/ and /opt/")
    return replace(host, extensions=merged_none, units=units, failed=(broken,), containers=None)


@scene(SCENES, "degraded", Flavour(channel="beta", disk="vda", oem="qemu"))
def degraded(spec: HostSpec) -> SimulatedHost:
    unit = FailedUnit("backup-volumes.service", "Back up the volumes")
    return replace(healthy.healthy(spec), failed=(unit,))


@scene(SCENES, "held", hold="no reboots before the database migration")
def held(spec: HostSpec) -> SimulatedHost:
    return healthy.healthy(spec)


@scene(SCENES, "reset_armed")
def reset_armed(spec: HostSpec) -> SimulatedHost:
    """flatcar-reset was called; what it left on /boot is not seen while /boot is not mounted."""
    host = replace(healthy.healthy(spec), reset_armed=True, first_boot_armed=True, boot_mounted=False)
    return host


@scene(SCENES, "reset_armed")
def first_boot_armed(spec: HostSpec) -> SimulatedHost:
    return replace(healthy.healthy(spec), first_boot_armed=True, boot_mounted=True)


@scene(SCENES, "not_flatcar")
def not_flatcar(spec: HostSpec) -> SimulatedHost:
    """A Debian host got the address: systemd is there, nothing of Flatcar's."""
    host = healthy.healthy(spec)
    known = {
        "docker.service": Unit("loaded", "active", "running", "enabled", "success"),
        "docker.socket": Unit("loaded", "active", "running", "enabled", "success"),
        "containerd.service": Unit("loaded", "active", "running", "enabled", "success"),
        "systemd-sysext.service": Unit("loaded", "inactive", "dead", "disabled", "success"),
    }
    overrides = {
        "cmdline": Section(b"BOOT_IMAGE=/boot/vmlinuz-6.1.0-37-amd64 root=UUID=8f2c ro quiet\n", 0),
        "df": _df_without_oem(host.disks["/"]),
        "journal": Section(b"", 0),
    }
    return replace(
        host,
        foreign_os=DEBIAN,
        running=None,
        units=known,
        extensions=(),
        conf=None,
        prefs=None,
        engine=Engine(bus=Bus.ABSENT),
        journal=(),
        boot_mounted=False,
        overrides=overrides,
    )


def _df_without_oem(root: DiskUse) -> Section:
    """df ends with 1 where one of the asked paths is not there."""
    row = f"/          ext4 {root.size_bytes} {root.used_bytes} {root.available_bytes}\n"
    return Section(b"Mounted on Type 1B-blocks Used Avail\n" + row.encode(), 1)


@scene(SCENES, "incomplete")
def truncated(spec: HostSpec) -> SimulatedHost:
    return replace(healthy.healthy(spec), is_cut_off=True)


@scene(SCENES, "incomplete")
def status_null(spec: HostSpec) -> SimulatedHost:
    """The login user may not ask update_engine."""
    return replace(healthy.healthy(spec), engine=Engine(bus=Bus.DENIES))


@scene(SCENES, "incomplete")
def unprivileged(spec: HostSpec) -> SimulatedHost:
    return replace(healthy.healthy(spec), has_sudo=False)


@scene(SCENES, "unreachable")
def silent(spec: HostSpec) -> SimulatedHost:
    return replace(healthy.healthy(spec), access=Access.SILENT)


@scene(SCENES, "unreachable")
def auth_refused(spec: HostSpec) -> SimulatedHost:
    return replace(healthy.healthy(spec), access=Access.KEY_REFUSED)


@scene(SCENES, "unreachable")
def key_unknown(spec: HostSpec) -> SimulatedHost:
    return replace(healthy.healthy(spec), key_record=KeyRecord.MISSING)


@scene(SCENES, "host_key_changed")
def key_changed(spec: HostSpec) -> SimulatedHost:
    return replace(healthy.healthy(spec), key_record=KeyRecord.OTHER)
