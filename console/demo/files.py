"""Texts of the files that a simulated host has, in the forms of the release it runs.

Sources: flatcar/scripts:build_library/{set_lsb_release,build_image_util.sh,grub.cfg}@ab6d76d for the OS's own
files, flatcar/locksmith:lock,locksmithctl@5b2275e for coordinator.conf, systemd's os-release and
extension-release formats.
"""

from __future__ import annotations

import json
from datetime import timedelta

from console.demo.feed import DemoRelease
from console.demo.world import PARTUUIDS, SimulatedHost, hex_of, uuid_of

APP_ID = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}"
PUBLIC_SERVER = "https://public.update.flatcar-linux.net/v1/update/"
_NAME = "Flatcar Container Linux by Kinvolk"
_EXTENSION_ARCH = {"amd64": "x86-64", "arm64": "arm64"}


def os_release(host: SimulatedHost) -> str:
    """/usr/lib/os-release: up to 4593 hardly quoted and with a code name, from 4694 on all quoted without."""
    if host.foreign_os is not None:
        return host.foreign_os
    version, is_new = host.version, host.release.quotes_os_release
    plain = {
        "ID": "flatcar",
        "ID_LIKE": "coreos",
        "VERSION": version,
        "VERSION_ID": version,
        "BUILD_ID": build_id(host),
        "SYSEXT_LEVEL": "1.0",
    }
    quoted = {
        "PRETTY_NAME": f"{_NAME} {version}" + ("" if is_new else f" ({_codename(host.release)})"),
        "ANSI_COLOR": "38;5;75",
        "HOME_URL": "https://flatcar.org/",
        "BUG_REPORT_URL": "https://issues.flatcar.org",
        **({"SUPPORT_URL": "https://www.flatcar.org/support"} if is_new else {}),
        "FLATCAR_BOARD": host.hardware.board,
        "CPE_NAME": f"cpe:2.3:o:flatcar-linux:flatcar_linux:{version}:*:*:*:*:*:*:*",
    }
    mark = '"' if is_new else ""
    lines = [f'NAME="{_NAME}"']
    lines += [f"{key}={mark}{value}{mark}" for key, value in plain.items()]
    lines += [f'{key}="{value}"' for key, value in quoted.items()]
    return "\n".join(lines) + "\n"


def _codename(item: DemoRelease) -> str:
    years = {3510: "LTS 2023", 4081: "LTS 2024"}
    return years.get(item.key[0], "Oklo")


def build_id(host: SimulatedHost) -> str:
    """When an official build was made: a day before its publication."""
    built_at = host.release.published_at(host.started_at) - timedelta(days=1)
    return f"{built_at:%Y-%m-%d-%H%M}"


def flatcar_release(host: SimulatedHost) -> str:
    return (
        f"FLATCAR_RELEASE_VERSION={host.version}\n"
        f"FLATCAR_RELEASE_BOARD={host.hardware.board}\n"
        f"FLATCAR_RELEASE_APPID={APP_ID}\n"
    )


def image_conf(host: SimulatedHost) -> str:
    return f"SERVER={PUBLIC_SERVER}\nGROUP={host.group}\n"


def oem_release(host: SimulatedHost) -> str | None:
    oem = host.hardware.oem
    if oem is None:
        return None
    return (
        f"ID={oem}\nVERSION_ID={host.version}\nNAME={json.dumps(oem.upper())}\n"
        'HOME_URL="https://flatcar.org/"\nBUG_REPORT_URL="https://issues.flatcar.org"\n'
    )


def cmdline(host: SimulatedHost) -> str:
    """/proc/cmdline as GRUB hands it over: slot, root hash of /usr, OEM."""
    arm = host.hardware.arch == "arm64"
    console = "console=ttyAMA0,115200n8 acpi=force" if arm else "console=ttyS0,115200n8 console=tty0"
    oem = f" flatcar.oem.id={host.hardware.oem}" if host.hardware.oem else ""
    first = " flatcar.first_boot=detected" if host.is_first_boot else ""
    if host.running is None:
        return f"initrd=flatcar_production_pxe_image.cpio.gz flatcar.first_boot=1 {console}{oem}\n"
    letter = host.running.lower()
    return (
        f"rootflags=rw mount.usrflags=ro BOOT_IMAGE=/flatcar/vmlinuz-{letter} mount.usr=/dev/mapper/usr "
        f"verity.usr=PARTUUID={PARTUUIDS[host.running]} rootflags=rw mount.usrflags=ro consoleblank=0 "
        f"root=LABEL=ROOT {console}{first}{oem} verity.usrhash={usr_hash(host)}\n"
    )


def usr_hash(host: SimulatedHost) -> str:
    """dm-verity root hash of the running /usr: one per release and board."""
    return hex_of("usr", host.version, host.hardware.board, digits=64)


def coordinator(host: SimulatedHost) -> str | None:
    """coordinator.conf: its lines stand in any order, and the last has no newline."""
    found = host.coordinator
    if found is None:
        return None
    lines = [f"NAME={found.name}", f"STRATEGY={found.strategy}", f"STATE={found.state}"]
    turn = int(hex_of(host.name, "coordinator", digits=2), 16) % 3
    return "\n".join(lines[turn:] + lines[:turn])


def ignition_result(host: SimulatedHost) -> str:
    report = {
        "provisioningBootID": host.hardware.install_boot_id,
        "provisioningDate": f"{host.hardware.installed_at:%Y-%m-%dT%H:%M:%SZ}",
        "userConfigProvided": True,
    }
    return json.dumps(report, indent=2) + "\n"


def bound_metadata(version: str, arch: str, name: str, *, own_version: str | None = None) -> str:
    """extension-release of an image made for one OS version: built in, OEM and official ones."""
    own = f"SYSEXT_VERSION_ID='{own_version}'\n" if own_version else ""
    return (
        f"ID='flatcar'\nVERSION_ID='{version}'\nARCHITECTURE='{_EXTENSION_ARCH[arch]}'\n"
        f"EXTENSION_RELOAD_MANAGER=1\nSYSEXT_ID='{uuid_of('sysext', name)}'\n{own}"
    )


def level_metadata(arch: str) -> str:
    """extension-release of an image that fits every release of one SYSEXT_LEVEL."""
    return f"ID=flatcar\nSYSEXT_LEVEL=1.0\nARCHITECTURE={_EXTENSION_ARCH[arch]}\nEXTENSION_RELOAD_MANAGER=1\n"


def any_metadata(arch: str) -> str:
    """extension-release of an image that fits every OS.

    Source: flatcar/sysext-bakery:lib/generate.sh@80959c1.
    """
    return f"ID=_any\nARCHITECTURE={_EXTENSION_ARCH[arch]}\nEXTENSION_RELOAD_MANAGER=1\n"


def custom_metadata(version: str, arch: str) -> str:
    """extension-release that a site wrote itself, bound to one OS version."""
    return f"ID=flatcar\nVERSION_ID={version}\nARCHITECTURE={_EXTENSION_ARCH[arch]}\n"
