"""What a simulated host answers to the probe: the same sections, frame and bytes as a real one.

The order of the sections is the order of the probe's text; a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from collectors.facts import SlotName
from collectors.probe import PROBE_VERSION, ROOT_TEXT, UNITS, Section
from console.demo import files, tools
from console.demo.world import SimulatedHost

CORE_UID = 500
_FILE_LIMIT = 65536
_ASKED_OF_JOURNAL = re.search(r"grep -aE '([^']*)'", ROOT_TEXT)
JOURNAL_WORDS = _ASKED_OF_JOURNAL[1] if _ASKED_OF_JOURNAL else ""
"""What the probe filters update_engine's journal for, taken from its own text."""

Named = tuple[str, Section]


def answer(
    host: SimulatedHost,
    mark: str,
    at: datetime,
    *,
    uid: int = CORE_UID,
    units: tuple[str, ...] = (),
    order: bytes | None = None,
    updating: bool = False,
) -> bytes:
    """The probe's whole output on this host.

    `units` are the probe's own arguments, `order` is the order file's content, `updating` says whether a
    flatcar-update runs. Where the host is cut off, its last byte is inside of a section.
    """
    found = {"order": Section(b"", 1) if order is None else Section(order, 0)}
    found |= {"updater": tools.text("3417\n")} if updating else {}
    sections = ((name, found.get(name, section)) for name, section in _sections(host, at, units))
    main = [_overridden(host, item) for item in sections]
    root = [_overridden(host, item) for item in _root_sections(host)]
    parts = [f"{mark} V {PROBE_VERSION} {uid}\n".encode()]
    parts += [_framed(mark, item) for item in main]
    has_root = host.has_sudo or uid == 0
    if has_root:
        parts += [_framed(mark, item) for item in root]
        parts.append(f"{mark} R {len(root)}\n".encode())
    parts.append(_framed(mark, ("sudo", Section(b"", 0 if has_root else 1))))
    parts.append(f"{mark} Z {len(main) + 1}\n".encode())
    whole = b"".join(parts)
    return whole[: _middle_of(whole, mark, "units")] if host.is_cut_off else whole


def _overridden(host: SimulatedHost, item: Named) -> Named:
    return item[0], host.overrides.get(item[0], item[1])


def _framed(mark: str, item: Named) -> bytes:
    name, section = item
    head, tail = f"{mark} B {name}\n", f"\n{mark} E {section.exit_status}\n"
    return head.encode() + section.content + tail.encode()


def _middle_of(whole: bytes, mark: str, section: str) -> int:
    start = whole.index(f"{mark} B {section}\n".encode())
    end = whole.index(f"{mark} E ".encode(), start)
    return (start + end) // 2


def _file(content: str | None) -> Section:
    """A file as the shell reads it: up to the first NUL, the first 64 KiB."""
    if content is None:
        return Section(b"", 1)
    return Section(content.partition("\0")[0].encode()[:_FILE_LIMIT], 0)


def _sections(host: SimulatedHost, at: datetime, units: tuple[str, ...]) -> Iterator[Named]:
    is_flatcar = host.foreign_os is None
    yield "os", _file(files.os_release(host))
    yield "release", _file(files.flatcar_release(host) if is_flatcar else None)
    yield "image_conf", _file(files.image_conf(host) if is_flatcar else None)
    yield "conf", _file(host.conf)
    if host.conf and ("localhost:909" in host.conf or "127.0.0.1:909" in host.conf):
        yield "updater", Section(b"", 1)
    yield "oem", _file(files.oem_release(host))
    yield "cmdline", _file(files.cmdline(host))
    yield "ids", _ids(host, at)
    yield "flags", _flags(host)
    yield "usrdev", tools.rootdev_usr(host)
    yield "slotdevs", tools.slot_devices(host)
    yield "status", tools.busctl_status(host)
    yield "coordinator", _file(files.coordinator(host))
    yield "manager", tools.manager(host)
    yield "units", tools.systemctl_show(host, UNITS + units)
    yield "failed", tools.failed_units(host)
    yield "sysext", tools.sysext_status(host)
    yield "sysext_list", tools.sysext_list(host)
    yield "links", tools.links(host)
    yield "meta", tools.metadata(host)
    yield "enabled", _file(None)
    yield "df", tools.df(host)
    if host.has_program("containerd"):
        yield "containerd", tools.containerd_version(host)
    if host.has_program("docker"):
        yield "docker", tools.docker_version(host)
    yield "order", _file(None)


def _root_sections(host: SimulatedHost) -> Iterator[Named]:
    for name in SlotName:
        yield f"gpt_{name}", tools.cgpt_show(host, name)
    yield "prefs", tools.prefs(host)
    yield "journal", tools.journal(host, JOURNAL_WORDS)
    boot = "armed\n" if host.first_boot_armed else "clear\n"
    yield "boot", tools.text(boot if host.boot_mounted else "")
    yield "containers", tools.text("" if host.containers is None else f"{host.containers}\n")
    yield "install", tools.text(files.ignition_result(host) if host.foreign_os is None else "")
    yield "pods", tools.pods(host)
    daemon = host.units.get("locksmithd.service")
    is_up = daemon is not None and daemon.active == "active"
    if is_up and host.coordinator is not None and host.coordinator.strategy == "etcd-lock":
        yield "lock", tools.lock_status(host)


def _ids(host: SimulatedHost, at: datetime) -> Section:
    uptime_s = host.uptime_s(at)
    pairs = {
        "machine_id": host.hardware.machine_id,
        "boot_id": host.boot_id,
        "uptime": f"{uptime_s:.2f} {uptime_s * 1.9:.2f}",
        "kernel": f"{host.release.kernel}-flatcar",
        "hostname": host.name,
        "arch": host.hardware.machine,
        "time_synced": str(int(host.time_synced)),
    }
    return tools.text("".join(f"{key}\t{value}\n" for key, value in pairs.items()))


def _flags(host: SimulatedHost) -> Section:
    pairs = {
        "staged_marker": host.staged_marker,
        "reboot_required": host.reboot_required,
        "no_update": host.no_update,
        "reset_armed": host.reset_armed,
    }
    return tools.text("".join(f"{key}\t{int(value)}\n" for key, value in pairs.items()))
