"""What the tools of a simulated host print, and the status they end with.

Shapes are those of the programs themselves: flatcar/seismograph:src/cgpt/cgpt_show.c@7ac56da,
flatcar/update_engine:src/update_engine/{dbus_service,update_attempter}.cc@7382641 through busctl, systemctl
and systemd-sysext of systemd 252 to 262, GNU df and readlink.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache

from collectors.facts import SlotName, Unit
from collectors.probe import Section
from console.demo.world import PARTUUIDS, Bus, JournalLine, SimulatedHost

_PARTLABEL = "/dev/disk/by-partlabel/USR-"
_ABSENT = Section(b"", 1)
NOT_FOUND = Unit("not-found", "inactive", "dead", "", "success")
_LIST_GIVES_TARGETS_FROM = 260
"""systemd-sysext list names the link in 257 and its target in 262; "nothing merged" has another form too."""


def text(content: str, exit_status: int = 0) -> Section:
    return Section(content.encode(), exit_status)


def no_program(name: str) -> Section:
    """What `timeout` says about a program that is not there, where its stderr is kept."""
    return text(f"timeout: failed to run command '{name}': No such file or directory\n", 127)


# -- slots -------------------------------------------------------------------------------------


def cgpt_show(host: SimulatedHost, name: SlotName) -> Section:
    """`cgpt show /dev/disk/by-partlabel/USR-A`: the title line and that one entry."""
    if host.foreign_os is not None:
        return no_program("cgpt")
    if host.running is None:
        device = f"{_PARTLABEL}{name}"
        return text(f"ERROR: cgpt show: unable to access device {device}: No such file or directory\n", 1)
    state, number = host.slot(name), 3 if name is SlotName.A else 4
    size = 2097152 if host.hardware.has_small_slots else 4194304
    start = (270336 if host.hardware.has_small_slots else 2105344) + (number - 3) * size
    flags = f"priority={state.priority} tries={state.tries} successful={int(state.successful)}"
    pad = " " * 34
    return text(
        f"{'start':>12}{'size':>12}{'part':>8}  contents\n"
        f'{start:12}{size:12}{number:8}  Label: "USR-{name}"\n'
        f"{pad}Type: Alias for coreos-rootfs\n"
        f"{pad}UUID: {PARTUUIDS[name].upper()}\n"
        f"{pad}Attr: {flags}\n"
    )


def rootdev_usr(host: SimulatedHost) -> Section:
    if host.foreign_os is not None:
        return Section(b"", 127)
    if host.running is None:
        return _ABSENT
    return text(host.hardware.partition(3 if host.running is SlotName.A else 4) + "\n")


def slot_devices(host: SimulatedHost) -> Section:
    if host.running is None or host.foreign_os is not None:
        return _ABSENT
    return text(f"{host.hardware.partition(3)}\n{host.hardware.partition(4)}\n")


# -- reboots -----------------------------------------------------------------------------------

ENDPOINTS = "http://127.0.0.1:2379,http://127.0.0.1:4001"
"""Where locksmith looks for etcd unless it is told another place."""


def no_etcd(endpoints: str = ENDPOINTS) -> str:
    return f"Error initializing etcd client: no etcd endpoints available, tried: {endpoints}\n"


def lock_status(host: SimulatedHost) -> Section:
    """`locksmithctl status`, its stderr in it. Source: flatcar/locksmith:locksmithctl/status.go@5b2275e."""
    if host.lock is None:
        return text(no_etcd(), 1)
    holders = "\nMACHINE ID\n" + "".join(f"{holder}\n" for holder in host.lock.holders)
    counts = f"Available: {host.lock.available}\nMax: {host.lock.max}\n"
    return text(counts + (holders if host.lock.holders else ""))


def pods(host: SimulatedHost) -> Section:
    """Pods with the names that the probe looks for; nothing where no kubelet ever ran."""
    if "kubelet.service" not in host.units:
        return text("")
    words = ("kured", "flatcar-linux-update")
    named = [name for name in sorted(host.pods) if any(word in name.split("_")[1] for word in words)]
    return text("\n".join(["dir", *named[:20]]) + "\n")


# -- update_engine -----------------------------------------------------------------------------


def busctl_status(host: SimulatedHost) -> Section:
    """`busctl --json=short call … GetStatus`, its stderr in it."""
    engine = host.engine
    match engine.bus:
        case Bus.ABSENT:
            return text(
                "Call failed: The name com.coreos.update1 was not provided by any .service files\n", 1
            )
        case Bus.DENIES:
            return text("Call failed: Access denied\n", 1)
    checked = int(engine.last_checked_at.timestamp()) if engine.last_checked_at else 0
    progress = f"{engine.progress:.21e}"
    rest = f'"{engine.operation}",{json.dumps(engine.new_version)},{engine.new_size_bytes}'
    return text(f'{{"type":"xdssx","data":[{checked},{progress},{rest}]}}\n')


def client_status(host: SimulatedHost) -> tuple[str, str, int]:
    """`update_engine_client -status`: stdout, stderr, exit status (0 for the user it refuses, too)."""
    engine = host.engine
    if engine.bus is Bus.ABSENT:
        return "", "Giving up -- unable to get dbus proxy for com.coreos.update1\n", 1
    denied = engine.bus is Bus.DENIES
    checked = int(engine.last_checked_at.timestamp()) if engine.last_checked_at and not denied else 0
    lines = (
        f"LAST_CHECKED_TIME={checked}",
        f"PROGRESS={0 if denied else engine.progress:.6f}",
        f"CURRENT_OP={'(null)' if denied else engine.operation}",
        f"NEW_VERSION={'(null)' if denied else engine.new_version}",
        f"NEW_SIZE={0 if denied else engine.new_size_bytes}",
    )
    complaint = "Error getting status: GError(9): Rejected send message\n" if denied else ""
    return "\n".join(lines) + "\n", complaint, 0


def prefs(host: SimulatedHost) -> Section:
    if host.prefs is None:
        return text("")
    return text("dir\t1\n" + "".join(f"{key}\t{value}\n" for key, value in host.prefs.items()))


def journal(host: SimulatedHost, wanted: str, limit_bytes: int = 4096) -> Section:
    """What the probe makes of update_engine's journal of this boot: whether that was all of it, whether it
    holds an offer; then the lines with one of the words in `wanted` (divided by |), of these the last bytes.
    """
    has_year = _has_year(host)
    has_offer = any("Omaha Response manifest version" in line.text for line in host.journal)
    kept = _kept(host.name, has_year, host.journal, wanted)[-limit_bytes:]
    return Section(f"whole {int(has_offer)}\n".encode() + kept, 0)


def journal_line(host: SimulatedHost, line: JournalLine) -> str:
    """One record as `-o short-unix` shows it, newline included."""
    return _journal_line(host.name, _has_year(host), line)


def _has_year(host: SimulatedHost) -> bool:
    return host.release.key[0] >= 4230


@lru_cache(maxsize=4096)
def _kept(name: str, has_year: bool, journal: tuple[JournalLine, ...], wanted: str) -> bytes:
    """The lines that grep keeps. Remembered: they are the dearest part of an answer and seldom change."""
    words = tuple(wanted.split("|"))
    lines = (_journal_line(name, has_year, line) for line in journal)
    return "".join(line for line in lines if any(word in line for word in words)).encode()


def _journal_line(name: str, has_year: bool, line: JournalLine) -> str:
    stamp = f"{line.at.timestamp():.6f} {name} "
    if line.from_systemd:
        return f"{stamp}systemd[1]: {line.text}\n"
    year = f"{line.at:%Y}" if has_year else ""
    prefix = f"{line.level}{year}{line.at:%m%d %H:%M:%S.%f} {_PID:5} {line.source}] "
    return f"{stamp}update_engine[{_PID}]: {prefix}{line.text}\n"


_PID = 925


# -- systemd -----------------------------------------------------------------------------------


def manager(host: SimulatedHost) -> Section:
    state = "degraded" if host.failed else "running"
    version = "252.39-1~deb12u1" if host.foreign_os else host.release.systemd
    return text(f"Version={version}\nNFailedUnits={len(host.failed)}\nSystemState={state}\n")


def systemctl_show(host: SimulatedHost, names: tuple[str, ...]) -> Section:
    """One record for each name, a unit that is not there too; an empty line between them."""
    return text("\n".join(_record(name, host.units.get(name, NOT_FOUND)) for name in names))


def _record(name: str, unit: Unit) -> str:
    return (
        f"Result={unit.result or ''}\nId={name}\nLoadState={unit.load}\nActiveState={unit.active}\n"
        f"SubState={unit.sub}\nUnitFileState={unit.file_state or ''}\n"
    )


def failed_units(host: SimulatedHost) -> Section:
    rows = [
        {
            "unit": unit.name,
            "load": "loaded",
            "active": "failed",
            "sub": "failed",
            "description": unit.description,
        }
        for unit in host.failed
    ]
    return text(_compact(rows))


def sysext_status(host: SimulatedHost) -> Section:
    none: object = [] if host.release.systemd_major >= _LIST_GIVES_TARGETS_FROM else "none"
    names = sorted(item.name for item in host.merged)
    since = _microseconds(host.booted_at) if names else None
    return text(
        _compact(
            [
                {"hierarchy": "/opt", "extensions": none, "since": None},
                {"hierarchy": "/usr", "extensions": names or none, "since": since},
            ]
        )
    )


def sysext_list(host: SimulatedHost) -> Section:
    """Every image that would be considered: one that is not merged stands there without a mark."""
    gives_targets = host.release.systemd_major >= _LIST_GIVES_TARGETS_FROM
    rows = [
        {
            "name": item.name,
            "type": "raw",
            "path": item.target if gives_targets else item.link,
            "time": _microseconds(host.hardware.installed_at),
        }
        for item in sorted(host.extensions, key=lambda item: item.name)
    ]
    return text(_compact(rows))


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)


def links(host: SimulatedHost) -> Section:
    """Links with a word whether they lead somewhere, `=`, their targets, `=`, the images merged now."""
    found = sorted(host.extensions, key=lambda item: item.link)
    entries = [f"1 {item.link}" for item in found]
    targets = [item.target for item in found]
    # The kernel names a file as seen from its own file system, and systemd-sysext mounts /usr privately.
    loops = [image.removeprefix("/usr") for item in found if (image := item.merged_image)]
    return text("".join(f"{part}\0" for part in (*entries, "=", *targets, "=", *loops)))


def metadata(host: SimulatedHost) -> Section:
    """extension-release files: seen in /usr while their extension is merged."""
    found = sorted(host.merged, key=lambda item: item.name)
    return text("".join(f"={item.name}\0{item.metadata}\0" for item in found))


# -- disks and versions ------------------------------------------------------------------------


def df(host: SimulatedHost) -> Section:
    """`df -B1 --output=target,fstype,size,used,avail`: two columns to the left, three to the right."""
    mounts = [name for name in host.disks if name != "/boot" or host.boot_mounted]
    rows = [("Mounted on", "Type", "1B-blocks", "Used", "Avail")]
    for mount in mounts:
        use = host.disks[mount]
        rows.append((mount, use.fstype, str(use.size_bytes), str(use.used_bytes), str(use.available_bytes)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = []
    for row in rows:
        cells = [cell.ljust(widths[i]) if i < 2 else cell.rjust(widths[i]) for i, cell in enumerate(row)]
        lines.append(" ".join(cells) + "\n")
    return text("".join(lines))


def containerd_version(host: SimulatedHost) -> Section:
    version = host.release.containerd
    path = "github.com/containerd/containerd" + ("/v2" if version.startswith("2.") else "")
    return text(f"containerd {path} {version} fcd43222d6b07379a4be9786bda52438f0dd16a1\n")


def docker_version(host: SimulatedHost) -> Section:
    return text(f"Docker version {host.release.docker}, build b8034c0ed7\n")
