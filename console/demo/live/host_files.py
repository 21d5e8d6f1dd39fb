"""The files of a live host that its tools and its visitors read and write.

Most are views of its state; any other path is kept as it was written, under /run and /tmp until the next
boot. What is kept elsewhere takes room on /.
"""

from __future__ import annotations

import errno
import os
from dataclasses import replace

from console.demo import files
from console.demo.live.kinds import What
from console.demo.live.machine import Machine, is_in_memory

CONF = "/etc/flatcar/update.conf"
PREFS = "/var/lib/update_engine/prefs/"
MARKER = "/run/update_engine_autoupdate_completed"
REBOOT_REQUIRED = "/run/reboot-required"
COORDINATOR = "/run/update-engine/coordinator.conf"
RESET = "/selective-os-reset"
FIRST_BOOT = "/boot/flatcar/first_boot"
NO_UPDATE = "/usr/.noupdate"
ORDER = "/run/fleetctl/order"
"""Who holds the host."""
FLAGS = (MARKER, REBOOT_REQUIRED, RESET, FIRST_BOOT, NO_UPDATE)
OF_EVERYBODY = ("/tmp/", "/var/tmp/", "/home/core/")
"""Below these the login user may write."""
FOLDERS = frozenset(
    "/ /boot /etc /etc/extensions /etc/flatcar /home /home/core /opt /proc /run /tmp /usr /var /var/lib "
    "/var/tmp".split()
)
_ROOT_ONLY = (PREFS, "/boot/")
_READ_ONLY = ("/usr/", "/proc/", "/sys/")
_ALWAYS = ("/etc/os-release", "/etc/machine-id", "/usr/share/flatcar/release")


class HostFiles:
    """Files by absolute path."""

    def __init__(self, machine: Machine) -> None:
        self._m = machine

    def read(self, path: str, uid: int = 0) -> bytes | None:
        """A file's bytes; None: not there. PermissionError where this user may not look."""
        if uid != 0 and path.startswith(_ROOT_ONLY):
            raise PermissionError(path)
        text = self._view(path)
        if text is not None:
            return text.encode()
        found = self.kept(path).get(path)
        return None if found is None else bytes(found)

    def kept(self, path: str) -> dict[str, bytes | bytearray]:
        """Where this path is kept if it is no view: all files of its file system."""
        return self._m.run_files if is_in_memory(path) else self._m.disk_files

    def room(self, path: str) -> int | None:
        """Bytes that can still be written there; None: no end to them."""
        if self._m.faults.run_full and path.startswith("/run/"):
            return 0
        if is_in_memory(path):
            return None
        if self._m.faults.disk_full:
            return 0
        use = self._m.state.disks.get("/")
        return None if use is None else use.available_bytes

    def keep(self, path: str, content: bytes | bytearray) -> None:
        """Put a file that is no view in its place, as it is. OSError where there is no room for it."""
        files, room = self.kept(path), self.room(path)
        more = len(content) - len(files.get(path, b""))
        if room is not None and more > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        files[path] = content
        self.grow(path, more)

    def grow(self, path: str, size_bytes: int) -> None:
        """A file that is kept there grew by so much."""
        if size_bytes and not is_in_memory(path):
            self._m.use_disk(size_bytes)

    def drop(self, path: str) -> None:
        """Forget a file that is no view, if it is there."""
        found = self.kept(path).pop(path, None)
        if found is not None:
            self.grow(path, -len(found))

    @property
    def made_folders(self) -> set[str]:
        """Those that visitors made; theirs to change."""
        return self._m.folders

    def is_folder(self, path: str) -> bool:
        return path in FOLDERS or path in self._m.folders or bool(self.paths(path))

    @property
    def booted_s(self) -> int:
        """Unix time of the boot: what this host's files are dated with."""
        return int(self._m.state.booted_at.timestamp())

    def _view(self, path: str) -> str | None:
        state = self._m.state
        if path in FLAGS:
            return "" if self._flags()[path] else None
        if path.startswith(PREFS):
            return (state.prefs or {}).get(path.removeprefix(PREFS))
        if state.foreign_os is not None and path not in ("/etc/os-release", "/etc/machine-id"):
            return None
        up_s = state.uptime_s(self._m.now)
        match path:
            case "/etc/flatcar/update.conf":
                return state.conf
            case "/etc/os-release" | "/usr/lib/os-release" | "/usr/share/flatcar/os-release":
                return files.os_release(state)
            case "/usr/share/flatcar/release":
                return files.flatcar_release(state)
            case "/usr/share/flatcar/update.conf":
                return files.image_conf(state)
            case "/proc/cmdline":
                return files.cmdline(state)
            case "/proc/sys/kernel/random/boot_id":
                return f"{state.boot_id}\n"
            case "/proc/uptime":
                return f"{up_s:.2f} {up_s * 1.9:.2f}\n"
            case "/etc/machine-id":
                return f"{state.hardware.machine_id}\n"
            case "/run/update-engine/coordinator.conf":
                return files.coordinator(state)
        return None

    def write(self, path: str, content: bytes, uid: int = 0) -> None:
        """Replace a file. PermissionError, or OSError where the disk is full."""
        if path.startswith(_READ_ONLY) or (uid != 0 and not path.startswith(OF_EVERYBODY)):
            raise PermissionError(path)
        if self.room(path) == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if path == CONF:
            self._set_conf(content.decode("utf-8", "replace"))
        elif path in FLAGS:
            self._set_flag(path, is_there=True)
        else:
            self.keep(path, content)

    def remove(self, path: str, uid: int = 0) -> bool:
        """Whether it was there. PermissionError where this user may not."""
        machine = self._m
        if uid != 0 and not path.startswith(OF_EVERYBODY):
            raise PermissionError(path)
        was_there = self.read(path) is not None
        if path == CONF:
            self._set_conf(None)
        elif path in FLAGS:
            self._set_flag(path, is_there=False)
        elif path.startswith(PREFS) and machine.state.prefs is not None:
            name = path.removeprefix(PREFS)
            kept = {key: value for key, value in machine.state.prefs.items() if key != name}
            machine.state = replace(machine.state, prefs=kept)
        self.drop(path)
        return was_there

    def paths(self, folder: str) -> list[str]:
        """Names of what was written under a folder, or stands there for update_engine."""
        prefix = folder.rstrip("/") + "/"
        found = {*self._m.run_files, *self._m.disk_files, *FLAGS, CONF, COORDINATOR, *_ALWAYS}
        if prefix == PREFS:
            found |= {PREFS + name for name in self._m.state.prefs or {}}
        there = {path for path in found if path.startswith(prefix) and self.read(path) is not None}
        return sorted({path.removeprefix(prefix).partition("/")[0] for path in there})

    def _set_conf(self, text: str | None) -> None:
        if text != self._m.state.conf:
            self._m.state = replace(self._m.state, conf=text)
            self._m.record(What.CONF_CHANGED)

    def _flags(self) -> dict[str, bool]:
        state = self._m.state
        return {
            MARKER: state.staged_marker,
            REBOOT_REQUIRED: state.reboot_required,
            RESET: state.reset_armed,
            FIRST_BOOT: state.first_boot_armed,
            NO_UPDATE: state.no_update,
        }

    def _set_flag(self, path: str, *, is_there: bool) -> None:
        machine, state = self._m, self._m.state
        match path:
            case "/run/update_engine_autoupdate_completed":
                machine.state = replace(state, staged_marker=is_there)
            case "/run/reboot-required":
                machine.state = replace(state, reboot_required=is_there)
            case "/selective-os-reset":
                machine.state = replace(state, reset_armed=is_there)
            case "/boot/flatcar/first_boot":
                machine.state = replace(state, first_boot_armed=is_there)
