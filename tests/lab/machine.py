"""A host as hardware: its identity, its disk as a loop device, its network, its control groups."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab import gpt
from tests.lab.settings import BRIDGE, DISK_NAMES, FIRST_LOOP, GATEWAY, HOSTS, IMAGES, KEY, PREFIX
from tests.lab.system import LabError, read_json, run, write_json

_LOOP_CTL_ADD, _LOOP_CTL_REMOVE = 0x4C80, 0x4C81
_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class HostInfo:
    """What does not change while the host exists."""

    name: str
    number: int
    hostname: str
    address: str
    port: int
    user: str
    key: str
    machine_id: str
    loop: str
    """The loop device that is its disk, as the machine names it."""
    disk: str
    """The disk's name inside the host: sda, nvme0n1, ..."""

    @property
    def folder(self) -> Path:
        return HOSTS / self.name

    @property
    def namespace(self) -> str:
        return f"{BRIDGE}-{self.name}"

    def partition(self, number: int) -> str:
        """The partition's name inside the host."""
        return f"{self.disk}{'p' if self.disk[-1].isdigit() else ''}{number}"


def host_names() -> list[str]:
    if not HOSTS.is_dir():
        return []
    found = [path.name for path in HOSTS.iterdir() if (path / "host.json").exists()]
    return sorted(found, key=lambda name: int(name.lstrip("h")))


def host_named(name: str) -> HostInfo:
    stored = read_json(HOSTS / name / "host.json", None)
    if stored is None:
        raise LabError(f"no host {name}; there are: {' '.join(host_names()) or 'none'}")
    return HostInfo(**stored)


def knobs_of(name: str) -> dict[str, str]:
    knobs: dict[str, str] = read_json(HOSTS / name / "knobs.json", {})
    return knobs


def create(number: int) -> HostInfo:
    """Prepare a new host: identity and disk. Does not start it."""
    name = f"h{number}"
    info = HostInfo(
        name=name,
        number=number,
        hostname=f"flatcar-{number:02d}",
        address=f"{PREFIX}.{10 + number}",
        port=22,
        user="core",
        key=str(KEY),
        machine_id=uuid.uuid4().hex,
        loop=f"/dev/loop{FIRST_LOOP + number}",
        disk=DISK_NAMES[(number - 1) % len(DISK_NAMES)],
    )
    info.folder.mkdir(parents=True)
    disk = info.folder / "disk.img"
    run("cp", "--sparse=always", "--reflink=auto", IMAGES / "disk.img", disk)
    table = gpt.Table.load(str(disk))
    table.disk_uuid = uuid.uuid4()
    table.save()
    write_json(info.folder / "host.json", asdict(info))
    return info


def _loop_control(request: int, number: int) -> None:
    """Make or remove a loop device; not an error if that is so already."""
    with Path("/dev/loop-control").open("rb") as control, contextlib.suppress(OSError):
        fcntl.ioctl(control, request, number)


def provide_loops(hosts: int) -> None:
    """Have enough low-numbered loop devices: hosts take those for their extensions."""
    for number in range(6 * hosts + 16):
        _loop_control(_LOOP_CTL_ADD, number)


def attach(info: HostInfo) -> None:
    """Connect disk and network; harmless if already done."""
    _loop_control(_LOOP_CTL_ADD, int(info.loop.removeprefix("/dev/loop")))
    if run("losetup", info.loop, check=False).returncode:
        run("losetup", "-P", info.loop, info.folder / "disk.img")
    if not Path(f"{info.loop}p9").exists():  # a kernel that cannot read a GPT by itself
        run("partx", "-a", info.loop)
    space, outer = info.namespace, f"{BRIDGE[:6]}{info.number}v"
    if not Path(f"/run/netns/{space}").exists():
        run("ip", "link", "del", outer, check=False)  # left behind where a network namespace died late
        run("ip", "netns", "add", space)
        # A new card under an old address would be unheard while this machine's ARP table knows the old one.
        card = ("name", "eth0", "address", f"02:fc:00:00:00:{info.number:02x}", "netns", space)
        run("ip", "link", "add", outer, "type", "veth", "peer", *card)
        run("ip", "link", "set", outer, "master", BRIDGE, "up")
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", space, "addr", "add", f"{info.address}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "eth0", "up")
        run("ip", "-n", space, "route", "add", "default", "via", GATEWAY)


def detach(info: HostInfo) -> None:
    """Undo `attach`, whatever of it was done."""
    run("ip", "netns", "del", info.namespace, check=False)
    run("partx", "-d", info.loop, check=False)
    run("losetup", "-d", info.loop, check=False)
    _loop_control(_LOOP_CTL_REMOVE, int(info.loop.removeprefix("/dev/loop")))


def set_up_bridge() -> None:
    if not Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        run("ip", "link", "set", BRIDGE, "up")


def tear_down_bridge() -> None:
    run("ip", "link", "del", BRIDGE, check=False)


def _cgroup_bases() -> list[Path]:
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return [path for path in (_CGROUPS / "unified", _CGROUPS / "systemd") if path.is_dir()]


def enter_own_cgroup(name: str) -> None:
    """Give this process, hence the host, control groups of its own, on cgroup2 and the hybrid layout.

    Without it several hosts would share one tree and kill each other's services.
    """
    for base in _cgroup_bases():
        group = base / "flatcar-lab" / name
        group.mkdir(parents=True, exist_ok=True)
        (group / "cgroup.procs").write_text(str(os.getpid()))


def end_cgroups(name: str, timeout_s: float = 10.0) -> None:
    """End what still runs of a host, as after a supervisor that was killed, and remove its groups."""
    groups = [base / "flatcar-lab" / name for base in _cgroup_bases()]
    deadline = time.monotonic() + timeout_s
    while (pids := _members(groups)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for group in groups:
        folders = [Path(folder) for folder, _, _ in os.walk(group, topdown=False)]
        for folder in (*folders, group.parent):
            with contextlib.suppress(OSError):  # not empty: another host's
                folder.rmdir()


def _members(groups: list[Path]) -> set[int]:
    pids: set[int] = set()
    for group in groups:
        for folder, _, _ in os.walk(group):
            with contextlib.suppress(OSError):
                pids.update(map(int, Path(folder, "cgroup.procs").read_text().split()))
    return pids - {0}
