"""File systems, kernels and the disk that hosts start as copies of.

A Flatcar /usr is one read-only file system in a USR partition, a dm-verity hash tree behind it, the root
hash in the slot's kernel on /boot; all else lives in ROOT. The lab splits its tree the same way.
Source of layout, ids and verity's parameters: flatcar/scripts:build_library/disk_layout.json and
flatcar/scripts:build_library/disk_util, both @ab6d76d.
"""

from __future__ import annotations

import re
import shutil
import struct
import uuid
from pathlib import Path

from tests.lab import gpt
from tests.lab.extensions import ENABLED, OWN, built_in, make_image, own_image
from tests.lab.files import fresh_dir, link, put, tree_mib
from tests.lab.releases import BORN_WITH, RELEASES_BY_VERSION, write_release_files
from tests.lab.settings import IMAGES, LAB_DIR, USR_SECTORS
from tests.lab.system import LabError, run
from tests.lab.tree import make_tree

LAYOUT: tuple[tuple[int, str, uuid.UUID, int, str | None], ...] = (
    (1, "EFI-SYSTEM", gpt.EFI_SYSTEM, 2097152, None),
    (2, "BIOS-BOOT", gpt.BIOS_BOOT, 4096, None),
    (3, "USR-A", gpt.FLATCAR_USR, USR_SECTORS, "7130c94a-213a-4e5a-8e26-6cce9662f132"),
    (4, "USR-B", gpt.FLATCAR_USR, USR_SECTORS, "e03dd35c-7c2d-4a47-b3fe-27f15780a57c"),
    (6, "OEM", gpt.LINUX_DATA, 2097152, None),
    (7, "OEM-CONFIG", gpt.FLATCAR_RESERVED, 131072, None),
    (9, "ROOT", gpt.FLATCAR_RESIZE, 3653632, None),
)
"""Number, label, type, sectors, fixed id; as Flatcar installs from 4593 on, but for the size of USR."""
ALIGN = 4096
HASH_OFFSET = 64
"""Where an amd64 kernel holds the root hash of its /usr, as 64 hexadecimal digits."""
KERNEL_BYTES = 1 << 20


def _sectors(label: str) -> int:
    return next(size for _, name, _, size, _ in LAYOUT if name == label)


def ext_image(image: Path, tree: Path, kind: str, mib: int, label: str) -> None:
    """Write a folder as an ext2 or ext4 file system."""
    part = image.with_name(image.name + ".part")
    part.unlink(missing_ok=True)
    options = ("-O", "^has_journal") if kind == "ext4" else ()
    shape = ("-t", kind, "-b", "4096", "-m", "0", *options)
    run("mke2fs", "-q", *shape, "-L", label, "-d", tree, part, f"{mib}M")
    part.rename(image)


def add_verity(image: Path) -> str:
    """Append the hash tree, superblock first, right behind the file system; the root hash."""
    size = image.stat().st_size
    done = run(
        "veritysetup", "format", "--hash=sha256", "--data-block-size=4096", "--hash-block-size=4096",
        f"--data-blocks={size // 4096}", f"--hash-offset={size}", image, image,
    )  # fmt: skip
    found = re.search(r"^Root hash:\s+([0-9a-f]{64})$", done.stdout, re.MULTILINE)
    if not found:
        raise LabError(f"veritysetup said no root hash:\n{done.stdout}")
    return found[1]


def make_usr(version: str) -> tuple[Path, Path]:
    """A release's /usr with its hash tree, and the kernel that goes with it."""
    image, kernel = IMAGES / f"usr-{version}.img", IMAGES / f"vmlinuz-{version}"
    if not kernel.exists():
        usr = make_tree() / "usr"
        release = RELEASES_BY_VERSION[version]
        write_release_files(usr, release)
        extensions = fresh_dir(usr / "share/flatcar/sysext")
        for extension in built_in(release):
            make_image(extension, extensions)
        ext_image(image, usr, "ext2", tree_mib(usr) + 16, "USR")
        root_hash = add_verity(image)
        if image.stat().st_size > USR_SECTORS * gpt.SECTOR:
            raise LabError(f"/usr of {version} does not fit its partition: set LAB_USR_MIB")
        text = f"Not a kernel: the lab's machine brings its own. Release {version}."[:HASH_OFFSET]
        content = text.encode().ljust(HASH_OFFSET, b"\0") + root_hash.encode()
        kernel.write_bytes(content.ljust(KERNEL_BYTES, b"\0"))
    return image, kernel


def make_root() -> Path:
    """All but /usr, with mount points for the rest and the extensions that are not the OS's."""
    image = IMAGES / "root.img"
    if not image.exists():
        tree, skeleton = make_tree(), fresh_dir(LAB_DIR / "rootskel")
        mounts = ("usr", "proc", "sys", "dev", "run", "tmp")
        for entry in sorted(tree.iterdir()):
            if entry.name not in mounts:
                run("cp", "-a", entry, skeleton)
        for name in mounts:
            (skeleton / name).mkdir()
        (skeleton / "tmp").chmod(0o1777)
        for extension in OWN:
            folder = skeleton / "opt/extensions" / extension.name
            folder.mkdir(parents=True)
            shutil.copy(own_image(extension), folder)
            if extension.name in ENABLED:
                target = f"/opt/extensions/{extension.name}/{extension.file}"
                link(skeleton / f"etc/extensions/{extension.name}.raw", target)
        ext_image(image, skeleton, "ext4", _sectors("ROOT") // 2048, "ROOT")
        shutil.rmtree(skeleton)
    return image


def make_oem() -> Path:
    image = IMAGES / "oem.img"
    if not image.exists():
        tree = fresh_dir(LAB_DIR / "oemskel")
        put(
            tree / "oem-release",
            'ID=lab\nVERSION_ID=1\nNAME="Lab machine"\nHOME_URL="https://example.invalid/"\n',
        )
        put(tree / "grub.cfg", 'set oem_id="lab"\n')
        (tree / "sysext").mkdir()
        ext_image(image, tree, "ext4", 64, "OEM")
        shutil.rmtree(tree)
    return image


def make_boot() -> Path:
    """/boot with the first slot's kernel; ext2, because not every kernel that runs the lab knows vfat."""
    image = IMAGES / "boot.img"
    if not image.exists():
        tree = fresh_dir(LAB_DIR / "bootskel")
        (tree / "flatcar").mkdir()
        shutil.copy(make_usr(BORN_WITH)[1], tree / "flatcar/vmlinuz-a")
        ext_image(image, tree, "ext2", _sectors("EFI-SYSTEM") // 2048, "EFI-SYSTEM")
        shutil.rmtree(tree)
    return image


def _copy_into(disk: Path, partition: gpt.Partition, image: Path) -> None:
    run(
        "dd", f"if={image}", f"of={disk}", "bs=1M", f"seek={partition.first * gpt.SECTOR}",
        "oflag=seek_bytes", "conv=notrunc,sparse", "status=none",
    )  # fmt: skip


def make_disk() -> Path:
    """The disk of a freshly installed host: USR-A filled and good, USR-B empty."""
    disk = IMAGES / "disk.img"
    if disk.exists():
        return disk
    part = disk.with_name("disk.img.part")
    part.unlink(missing_ok=True)
    partitions, start = {}, ALIGN
    for number, label, kind, sectors, guid in LAYOUT:
        ident = uuid.UUID(guid) if guid else uuid.uuid4()
        partitions[number] = gpt.Partition(number, kind, ident, start, start + sectors - 1, 0, label)
        start = -(-(start + sectors) // ALIGN) * ALIGN
    with part.open("wb") as handle:
        handle.truncate((start + ALIGN) * gpt.SECTOR)
    table = gpt.Table(str(part), uuid.uuid4(), start + ALIGN, partitions)
    partitions[1].attributes = 4  # legacy BIOS bootable
    partitions[3].set("priority", 1)
    partitions[3].set("successful", 1)
    table.write_protective_mbr()
    table.save()
    _copy_into(part, partitions[1], make_boot())
    _copy_into(part, partitions[3], make_usr(BORN_WITH)[0])
    _copy_into(part, partitions[6], make_oem())
    _copy_into(part, partitions[9], make_root())
    part.rename(disk)
    return disk


def payload_head(kernel: Path) -> bytes:
    """What stands before /usr in an update payload of the lab's: the kernel's length and the kernel."""
    content = kernel.read_bytes()
    return struct.pack(">Q", len(content)) + content
