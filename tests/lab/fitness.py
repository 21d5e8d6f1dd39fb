"""Can this machine run the lab? Asked before anything is installed or built."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from tests.lab.extensions import kernel_knows
from tests.lab.packages import missing_packages

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_CHROOT": 18, "CAP_SYS_ADMIN": 21, "CAP_MKNOD": 27}
"""Name -> bit. Source: capabilities(7), include/uapi/linux/capability.h."""
_FILE_SYSTEMS = ("ext2", "ext4", "squashfs", "overlay", "tmpfs", "cgroup2")


def _capability_gaps() -> list[str]:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            held = int(line.split()[1], 16)
            return [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]
    return list(_CAPABILITIES)


def unfit_reason() -> str | None:
    """Why the lab cannot run here, with a remedy where there is one; None: it can."""
    if sys.platform != "linux":
        return "the lab needs Linux"
    if platform.machine() != "x86_64":
        return f"the lab's hosts are x86-64, this machine is {platform.machine()}"
    if os.geteuid() != 0:
        return "the lab needs root: run `sudo -E .venv/bin/python -m pytest -m lab`"
    if gaps := _capability_gaps():
        return f"the lab needs {', '.join(gaps)}: run it outside of a container, or in a privileged one"
    if not Path("/dev/loop-control").exists():
        return "the lab needs loop devices: there is no /dev/loop-control"
    if unknown := [name for name in _FILE_SYSTEMS if not kernel_knows(name)]:
        return f"the kernel does not know {', '.join(unknown)}"
    missing = missing_packages()
    if missing and not shutil.which("apt-get"):
        return f"there is no apt-get to install {', '.join(missing)}"
    return None
