"""Debian packages: what the machine needs, and the base tree of the hosts."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tests.lab.settings import BASE, SUITE
from tests.lab.system import LabError, run, say, timed

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT = Path("/etc/apt")
_SUITES = {
    SUITE,
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "stable",
    "testing",
    "unstable",
    "oldstable",
}
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
    """Where the hosts' packages come from: LAB_MIRROR, or the Debian archive that apt here knows.

    Raises LabError where neither names one.
    """
    if wanted := os.environ.get("LAB_MIRROR"):
        return wanted
    files = [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]
    known = {path: path.read_text(errors="replace") for path in files if path.is_file()}
    if found := archive_of(known):
        return found
    raise LabError(
        f"no mirror of Debian is known: none of the .list and .sources files under {APT} names one "
        "(component main of a Debian suite); set LAB_MIRROR to the address of one"
    )


def archive_of(sources: dict[Path, str]) -> str | None:
    """The first Debian archive that apt's sources name, given as file -> text.

    Both forms of sources.list(5) are read: one line an entry (.list), and stanzas (.sources). An archive
    of somebody else's that copies Debian's suites yields to one whose path names Debian.
    """
    entries = [
        entry
        for path, text in sources.items()
        for entry in {".list": _lines, ".sources": _stanzas}.get(path.suffix, _nothing)(text)
    ]
    fit = [uri for uri, suites, parts in entries if "main" in parts and _SUITES & {*suites} and "://" in uri]
    named = [uri for uri in fit if "debian" in urlsplit(uri).path.split("/")]
    return next(iter([*named, *fit]), None)


_Entry = tuple[str, list[str], list[str]]
"""URI, suites, components."""


def _nothing(text: str) -> list[_Entry]:
    return []


def _lines(text: str) -> list[_Entry]:
    """`deb [options] URI suite component...`"""
    words = (re.sub(r"\[[^]]*\]", " ", line.partition("#")[0]).split() for line in text.splitlines())
    return [(item[1], [item[2]], item[3:]) for item in words if len(item) > 3 and item[0] == "deb"]


def _stanzas(text: str) -> list[_Entry]:
    """Stanzas of `Key: words`, apart by empty lines; a line beginning with a blank goes on with the last."""
    found: list[_Entry] = []
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n[ \t]*\n", kept):
        pairs = (line.partition(":") for line in re.sub(r"\n[ \t]+", " ", stanza).splitlines())
        fields = {key.strip().lower(): value.split() for key, colon, value in pairs if colon}
        if "deb" in fields.get("types", ()) and fields.get("enabled") != ["no"]:
            suites, parts = fields.get("suites", []), fields.get("components", [])
            found += [(uri, suites, parts) for uri in fields.get("uris", ())]
    return found


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
