"""The tree that all hosts start from: the base with Flatcar's files, users, services and the stand-ins.

Its /usr says no version yet: `releases.write_release_files` adds that for each image.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.extensions import BUILT_IN
from tests.lab.files import link, overlay, put
from tests.lab.packages import make_base
from tests.lab.settings import GUEST, HERE, KEY, SERVER, TREE
from tests.lab.system import run

_JUNK = (
    "usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/bash-completion",
    "usr/share/zsh", "usr/share/perl", "usr/share/perl5", "usr/lib/x86_64-linux-gnu/perl-base",
    "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/apt", "usr/lib/dpkg", "var/cache/apt", "var/lib/apt",
    "usr/lib/python3.13/test", "usr/lib/python3.13/pydoc_data",
)  # fmt: skip
_ABSENT = ("perl*", "apt*", "dpkg*", "python*", "py3*", "sqv")
"""Programs in /usr/bin that no Flatcar host has; the interpreter itself moves to /usr/lib/lab."""
_MASKED = (
    "console-getty.service", "systemd-firstboot.service", "e2scrub_reap.service", "ssh.service",
    "systemd-machine-id-commit.service", "e2scrub_all.timer", "fstrim.timer", "apt-daily.timer",
    "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "systemd-pcrlock-file-system.service",
    "systemd-remount-fs.service", "rsync.service",
)  # fmt: skip
_WANTED = {
    "multi-user.target": ("update-engine.service", "locksmithd.service"),
    "sockets.target": ("sshd.socket",),
    "local-fs.target": ("boot.automount",),
    "sysinit.target": (
        "lab-devices.service",
        "lab-loops.service",
        "systemd-sysext.service",
        "ensure-sysext.service",
    ),
}


def make_tree() -> Path:
    if not TREE.is_dir():
        part = TREE.with_name("tree.part")
        shutil.rmtree(part, ignore_errors=True)
        run("cp", "-a", make_base(), part)
        _slim(part)
        _add_programs(part)
        _add_folders(part)
        _add_people(part)
        _add_services(part)
        part.rename(TREE)
    return TREE


def _slim(tree: Path) -> None:
    for junk in _JUNK:
        shutil.rmtree(tree / junk, ignore_errors=True)
    python = (tree / "usr/bin/python3").resolve()
    (tree / "usr/lib/lab").mkdir()
    python.rename(tree / "usr/lib/lab/python3")
    for pattern in _ABSENT:
        for program in (tree / "usr/bin").glob(pattern):
            program.unlink()


def _add_programs(tree: Path) -> None:
    overlay(tree, GUEST / "common")
    overlay(tree, GUEST / "standin")
    shutil.copy(HERE / "gpt.py", tree / "usr/lib/lab/gpt.py")
    put(tree / "usr/lib/lab/release-server", f"{SERVER}/payload\n")
    for folder in (
        "standin/usr/bin",
        "standin/usr/sbin",
        "standin/usr/lib/locksmith",
        "standin/usr/lib/lab",
        "common/usr/lib/lab",
    ):
        for program in (GUEST / folder).iterdir():
            if program.is_file() and program.suffix != ".py":
                (tree / folder.partition("/")[2] / program.name).chmod(0o755)


def _add_folders(tree: Path) -> None:
    usr, etc = tree / "usr", tree / "etc"
    link(usr / "share/coreos", "flatcar")
    link(usr / "share/oem", "../../oem")
    link(usr / "share/flatcar/os-release", "../../lib/os-release")
    link(etc / "os-release", "../usr/lib/os-release")
    link(etc / "lsb-release", "../usr/share/flatcar/lsb-release")
    link(etc / "coreos", "flatcar")
    put(etc / "flatcar/update.conf", "")
    put(etc / "machine-id", "")
    put(etc / "fstab", "")
    # No resolver runs here: without this, each look-up of a name takes ten seconds to fail.
    put(etc / "nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    put(etc / "locale.conf", "")
    for name in ("oem", "boot", "opt/extensions", "var/log/journal"):
        (tree / name).mkdir(parents=True, exist_ok=True)
    for name in BUILT_IN:
        link(etc / f"extensions/{name}.raw", f"/usr/share/flatcar/sysext/{name}.raw")


def _add_people(tree: Path) -> None:
    etc, home = tree / "etc", tree / "home/core"
    run("chroot", tree, "groupadd", "--gid", "500", "core")
    run("chroot", tree, "groupadd", "--gid", "233", "docker")
    run("chroot", tree, "groupadd", "--system", "wheel")
    run(
        "chroot", tree, "useradd", "--uid", "500", "--gid", "500", "--shell", "/bin/bash", "--create-home",
        "--groups", "wheel,sudo,docker,systemd-journal", "--home-dir", "/home/core", "core",
    )  # fmt: skip
    put(etc / "sudoers.d/core", "core ALL=(ALL) NOPASSWD: ALL\n", 0o440)
    put(
        etc / "ssh/sshd_config.d/lab.conf",
        "HostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nUseDNS no\nPermitRootLogin no\n"
        "ClientAliveInterval 180\nSetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n",
    )
    for stale in (etc / "ssh").glob("ssh_host_*"):
        stale.unlink()
    put(home / ".ssh/authorized_keys", KEY.with_suffix(".pub").read_text(), 0o600)
    (home / ".ssh").chmod(0o700)
    run("chown", "-R", "500:500", home)


def _add_services(tree: Path) -> None:
    """What Flatcar starts, and nothing that a container has no use for."""
    units = tree / "etc/systemd/system"
    for target, wanted in _WANTED.items():
        for unit in wanted:
            link(units / f"{target}.wants" / unit, f"/usr/lib/systemd/system/{unit}")
    for unit in _MASKED:
        link(units / unit, "/dev/null")
    link(units / "default.target", "/usr/lib/systemd/system/multi-user.target")
