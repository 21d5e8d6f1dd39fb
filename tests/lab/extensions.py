"""Extension images: two that belong to the OS, three that do not.

Built in (docker-flatcar, containerd-flatcar): inside /usr, made for that release alone, linked from
/etc/extensions of the image. The others lie in /opt/extensions; each fits by another rule.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.lab.files import fresh_dir, put
from tests.lab.releases import BORN_WITH, Release
from tests.lab.settings import IMAGES, LAB_DIR
from tests.lab.system import run

_SLEEPER = "[Service]\nExecStart=/usr/bin/sleep infinity\n"


@dataclass(frozen=True, slots=True)
class Extension:
    """What goes into one image. `metadata` is its extension-release, `answer` what its program prints."""

    name: str
    file: str
    metadata: str
    program: str
    answer: str
    units: dict[str, str]
    upholds: str
    """The unit that multi-user.target keeps up while the extension is merged."""
    erofs: bool = False


def _own(name: str, file: str, metadata: str, version: str, *, erofs: bool = False) -> Extension:
    units = {f"{name}.service": f"[Unit]\nDescription=Lab service of the {name} extension\n{_SLEEPER}"}
    answer = f"{name} {version} lab-stand-in"
    return Extension(name, file, metadata, name, answer, units, f"{name}.service", erofs)


OWN = (
    _own(
        "wasmtime",
        "wasmtime-24.0.0-x86-64.raw",
        "ID=flatcar\nSYSEXT_LEVEL=1.0\nARCHITECTURE=x86-64\n",  # fits every release of this level
        "24.0.0",
    ),
    _own(
        "tailscale",
        "tailscale-v1.82.0-x86-64.raw",
        "ID=_any\nARCHITECTURE=x86-64\n",  # fits any distribution
        "1.82.0",
        erofs=True,
    ),
    _own(
        "zfs",
        f"zfs-2.3.1-{BORN_WITH}.raw",
        f"ID=flatcar\nVERSION_ID={BORN_WITH}\n",  # one release only: not merged after an update
        "2.3.1",
    ),
)
ENABLED = ("wasmtime", "tailscale")
"""Those with a link in /etc/extensions from the start."""
BUILT_IN = ("containerd-flatcar", "docker-flatcar")


def built_in(release: Release) -> tuple[Extension, Extension]:
    """docker, started by its socket, and containerd, as Flatcar's own extensions for one release."""

    def metadata(name: str) -> str:
        return (
            f"ID='flatcar'\nVERSION_ID='{release.version}'\nARCHITECTURE='x86-64'\n"
            f"EXTENSION_RELOAD_MANAGER=1\nSYSEXT_ID='{name}'\n"
        )

    containerd = Extension(
        "containerd-flatcar",
        "containerd-flatcar.raw",
        metadata("containerd-flatcar"),
        "containerd",
        f"containerd github.com/containerd/containerd/v2 {release.containerd} lab",
        {"containerd.service": f"[Unit]\nDescription=containerd container runtime\n{_SLEEPER}"},
        "containerd.service",
    )
    docker = Extension(
        "docker-flatcar",
        "docker-flatcar.raw",
        metadata("docker-flatcar"),
        "docker",
        f"Docker version {release.docker}, build lab",
        {
            "docker.service": "[Unit]\nDescription=Docker Application Container Engine\n"
            f"Requires=containerd.service docker.socket\nAfter=containerd.service docker.socket\n{_SLEEPER}",
            "docker.socket": "[Unit]\nDescription=Docker Socket for the API\n"
            "[Socket]\nListenStream=/run/docker.sock\nSocketMode=0660\nSocketGroup=docker\n",
        },
        "docker.socket",
    )
    return containerd, docker


def kernel_knows(filesystem: str) -> bool:
    """Whether the machine can mount it, its module loaded if there is one."""

    def listed() -> bool:
        return filesystem in Path("/proc/filesystems").read_text().split()

    if not listed() and shutil.which("modprobe"):
        run("modprobe", filesystem, check=False)
    return listed()


def make_image(extension: Extension, folder: Path) -> Path:
    """The extension's image in `folder`, made if it is not there."""
    image = folder / extension.file
    if image.exists():
        return image
    folder.mkdir(parents=True, exist_ok=True)
    tree = fresh_dir(LAB_DIR / f"ext-{extension.name}")
    put(tree / f"usr/lib/extension-release.d/extension-release.{extension.name}", extension.metadata)
    put(tree / f"usr/bin/{extension.program}", f"#!/bin/sh\necho {extension.answer}\n", 0o755)
    for unit, text in extension.units.items():
        put(tree / "usr/lib/systemd/system" / unit, text)
    put(
        tree / f"usr/lib/systemd/system/multi-user.target.d/10-{extension.name}.conf",
        f"[Unit]\nUpholds={extension.upholds}\n",
    )
    if extension.erofs and kernel_knows("erofs"):
        run("mkfs.erofs", "--all-root", image, tree)
    else:
        run("mksquashfs", tree, image, "-all-root", "-noappend", "-quiet", "-no-progress")
    shutil.rmtree(tree)
    return image


def own_image(extension: Extension) -> Path:
    return make_image(extension, IMAGES / "extensions")
