"""Debian packages: what the machine needs, and the base tree of the hosts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.lab.settings import BASE, SUITE
from tests.lab.system import LabError, run, say, timed

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MACHINE = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "mksquashfs": "squashfs-tools",
    "mkfs.erofs": "erofs-utils",
    "mke2fs": "e2fsprogs",
    "debugfs": "e2fsprogs",
    "veritysetup": "cryptsetup-bin",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "ssh-keyscan": "openssh-client",
    "losetup": "util-linux",
    "partx": "util-linux",
    KEYRING: "debian-archive-keyring",
}
"""Program (or file) -> the package that brings it."""

BASE_PACKAGES = (
    "systemd", "systemd-sysv", "systemd-container", "dbus", "dbus-bin", "openssh-server", "sudo",
    "iproute2", "python3-minimal", "python3-jeepney", "kmod", "e2fsprogs", "util-linux", "curl", "procps",
    "less", "jq", "gawk", "bzip2", "rsync", "cryptsetup-bin",
)  # fmt: skip
_SLIM = ("doc", "man", "locale", "info", "lintian", "bash-completion", "zsh")


def missing_packages() -> list[str]:
    """Packages whose program is not at hand on this machine."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return sorted(
        {
            package
            for program, package in _MACHINE.items()
            if not (Path(program).exists() if program.startswith("/") else shutil.which(program, path=path))
        }
    )


def install_machine_packages() -> None:
    missing = missing_packages()
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    apt_get = ("apt-get", "-o", "DPkg::Lock::Timeout=300", "-q")
    updated = run(*apt_get, "update", check=False, env=env)
    done = run(*apt_get, "install", "-y", "--no-install-recommends", *missing, check=False, env=env)
    if done.returncode:
        raise LabError(f"apt-get could not install {' '.join(missing)}\n{updated.stdout}\n{done.stdout}")


def mirror() -> str:
    """Where the hosts' packages come from: LAB_MIRROR, or the Debian archive that apt here knows."""
    if wanted := os.environ.get("LAB_MIRROR"):
        return wanted
    targets = run(
        "apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(COMPONENT) $(LABEL)", check=False
    )
    for line in targets.stdout.splitlines():
        words = line.split()
        if words[1:] == ["Debian", "main", "Debian"]:
            return words[0]
    return "http://deb.debian.org/debian"


def make_base() -> Path:
    """A small Debian tree, made once; nothing in it is the lab's own."""
    if not BASE.is_dir():
        part = BASE.with_name("base.part")
        shutil.rmtree(part, ignore_errors=True)
        with timed("base tree"):
            run(
                "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--keyring={KEYRING}",
                '--aptopt=Acquire::Languages "none"', f"--include={','.join(BASE_PACKAGES)}",
                *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _SLIM),
                SUITE, part, mirror(),
            )  # fmt: skip
        part.rename(BASE)
    return BASE
