"""Make everything that hosts are made of, once, below LAB_DIR; again when its sources change.

base/       a small Debian tree; kept until the package list changes
tree/       the base with Flatcar's files and the stand-ins
images/     usr-VERSION.img, vmlinuz-VERSION, root.img, boot.img, oem.img, disk.img, extensions
releases/   update payloads per version
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import shutil
from pathlib import Path

from tests.lab import settings
from tests.lab.images import make_disk, make_usr, payload_head
from tests.lab.packages import BASE_PACKAGES, install_machine_packages
from tests.lab.releases import BORN_WITH, RELEASES_BY_VERSION
from tests.lab.settings import BASE, GUEST, HERE, HOSTS, IMAGES, KEY, LAB_DIR, RELEASES, TREE
from tests.lab.system import LabError, read_json, run, say, timed, write_json

PACKAGE = "flatcar_production_update.gz"
_BUILDERS = (
    "build.py", "extensions.py", "files.py", "gpt.py", "images.py", "packages.py", "releases.py", "tree.py"
)  # fmt: skip


def _digest(parts: list[bytes]) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def wanted_stamp() -> dict[str, str]:
    """What the base and all else depend on; a difference means to build anew."""
    files = [HERE / name for name in _BUILDERS] + [p for p in GUEST.rglob("*") if p.is_file()]
    numbers = f"{settings.SERVER} {settings.USR_SECTORS}"
    base = _digest([settings.SUITE.encode(), *(name.encode() for name in BASE_PACKAGES)])
    own = [str(p.relative_to(HERE)).encode() + b"\0" + p.read_bytes() for p in sorted(files)]
    return {"base": base, "images": _digest([base.encode(), numbers.encode(), *own])}


def drop_stale() -> None:
    """Remove what was built from other sources. Raises LabError while hosts stand on it."""
    wanted, seen = wanted_stamp(), read_json(LAB_DIR / "stamp.json", {})
    stale: list[Path] = []
    if seen.get("images") != wanted["images"]:
        stale = [TREE, IMAGES, RELEASES]
    if seen.get("base") != wanted["base"]:
        stale.append(BASE)
    if stale and HOSTS.is_dir() and any(HOSTS.iterdir()):
        raise LabError("the lab's sources changed since its hosts were started: take it down first")
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    write_json(LAB_DIR / "stamp.json", wanted)


def make_payload(version: str) -> Path:
    """What the update server hands out: kernel and /usr in one compressed stream, and what to say of it."""
    folder = RELEASES / version
    payload = folder / PACKAGE
    if payload.exists():
        return payload
    folder.mkdir(parents=True, exist_ok=True)
    image, kernel = make_usr(version)
    part = folder / "payload.part"
    with timed(f"payload {version}"), gzip.open(part, "wb", compresslevel=1) as sink:
        sink.write(payload_head(kernel))
        with image.open("rb") as source:
            shutil.copyfileobj(source, sink, 1 << 20)
    data = part.read_bytes()
    sha1 = base64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()
    info = {"size": len(data), "sha1": sha1, "sha256": hashlib.sha256(data).hexdigest()}
    write_json(folder / "info.json", info)
    part.rename(payload)
    return payload


def build_all() -> None:
    """All that `up` needs; seconds when it is there."""
    LAB_DIR.mkdir(parents=True, exist_ok=True)
    install_machine_packages()
    if not KEY.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "flatcar-lab", "-f", KEY)
        shutil.rmtree(TREE, ignore_errors=True)
        shutil.rmtree(IMAGES, ignore_errors=True)
    drop_stale()
    IMAGES.mkdir(exist_ok=True)
    if (IMAGES / "disk.img").exists():
        say("images are as the sources want them")
    with timed("images"):
        make_disk()
    for version in RELEASES_BY_VERSION:
        if version != BORN_WITH:
            make_payload(version)
