"""Read and change a GUID partition table, with Flatcar's boot attributes.

Three numbers in the attribute field of USR partitions: priority (bits 48-51), tries left (52-55) and
successful (56). Used on the lab's machine (to lay out disks and to play the bootloader) and copied into
the hosts (for the stand-in cgpt): nothing but the standard library.
Source: grub-2.12-add-gpt-partition-scheme.patch in flatcar/scripts@ab6d76d.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SECTOR = 512
ENTRIES = 128
HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
ENTRY = struct.Struct("<16s16sQQQ72s")

FLATCAR_USR = uuid.UUID("5dfbf5f4-2848-4bac-aa5e-0d9a20b745a6")
FLATCAR_RESIZE = uuid.UUID("3884dd41-8582-4404-b9a8-e9b84f2df50e")
FLATCAR_RESERVED = uuid.UUID("c95dc21a-df0e-4340-8d7b-26cbfa9a03e0")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
LINUX_DATA = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

FIELDS = {"priority": (48, 4), "tries": (52, 4), "successful": (56, 1)}
"""Name -> first bit and width in the attribute field."""


@dataclass
class Partition:
    number: int
    type: uuid.UUID
    uuid: uuid.UUID
    first: int
    last: int
    attributes: int
    label: str

    @property
    def size(self) -> int:
        """In sectors."""
        return self.last - self.first + 1

    def get(self, field: str) -> int:
        offset, width = FIELDS[field]
        return (self.attributes >> offset) & ((1 << width) - 1)

    def set(self, field: str, value: int) -> None:
        offset, width = FIELDS[field]
        mask = ((1 << width) - 1) << offset
        self.attributes = (self.attributes & ~mask) | ((value << offset) & mask)

    def pack(self) -> bytes:
        label = self.label.encode("utf-16-le")[:72].ljust(72, b"\0")
        return ENTRY.pack(
            self.type.bytes_le, self.uuid.bytes_le, self.first, self.last, self.attributes, label
        )


def _read_copy(disk: BinaryIO, sector: int) -> tuple[uuid.UUID, bytes] | None:
    """The disk's id and the entries of the copy whose header is at `sector`, if both are intact."""
    disk.seek(sector * SECTOR)
    raw = disk.read(SECTOR)
    if len(raw) < HEADER.size:
        return None
    fields = HEADER.unpack_from(raw)
    size = fields[2]
    if fields[0] != b"EFI PART" or not HEADER.size <= size <= SECTOR or fields[12] != ENTRY.size:
        return None
    blank = raw[:16] + bytes(4) + raw[20:size]
    if zlib.crc32(blank) != fields[3]:
        return None
    disk.seek(fields[10] * SECTOR)
    entries = disk.read(fields[11] * fields[12])
    if zlib.crc32(entries) != fields[13]:
        return None
    return uuid.UUID(bytes_le=fields[9]), entries


def _unpack(entries: bytes) -> dict[int, Partition]:
    partitions = {}
    for index in range(len(entries) // ENTRY.size):
        kind, guid, first, last, attributes, label = ENTRY.unpack_from(entries, index * ENTRY.size)
        if kind != bytes(16):
            number = index + 1
            text = label.decode("utf-16-le", "replace").split("\0")[0]
            partitions[number] = Partition(
                number, uuid.UUID(bytes_le=kind), uuid.UUID(bytes_le=guid), first, last, attributes, text
            )
    return partitions


class Table:
    """A whole table in memory; `save` writes both copies."""

    def __init__(
        self, path: str, disk_uuid: uuid.UUID, sectors: int, partitions: dict[int, Partition]
    ) -> None:
        self.path = path
        self.disk_uuid = disk_uuid
        self.sectors = sectors
        self.partitions = partitions

    @classmethod
    def load(cls, path: str) -> Table:
        """Read the primary copy, or the backup if that is damaged; ValueError if both are."""
        with Path(path).open("rb") as disk:
            sectors = disk.seek(0, 2) // SECTOR
            found = _read_copy(disk, 1) or _read_copy(disk, max(sectors - 1, 0))
        if found is None:
            raise ValueError(f"{path}: no usable GPT")
        return cls(path, found[0], sectors, _unpack(found[1]))

    def _header(self, own: int, other: int, table: int, crc: int) -> bytes:
        def build(check: int) -> bytes:
            return HEADER.pack(
                b"EFI PART", b"\0\0\1\0", HEADER.size, check, 0, own, other, 34, self.sectors - 34,
                self.disk_uuid.bytes_le, table, ENTRIES, ENTRY.size, crc,
            )  # fmt: skip

        return build(zlib.crc32(build(0))).ljust(SECTOR, b"\0")

    def save(self) -> None:
        entries = b"".join(
            self.partitions[number].pack() if number in self.partitions else bytes(ENTRY.size)
            for number in range(1, ENTRIES + 1)
        )
        crc = zlib.crc32(entries)
        last = self.sectors - 1
        with Path(self.path).open("r+b") as disk:
            disk.seek((last - 32) * SECTOR)  # the backup first: one good copy at any time
            disk.write(entries + self._header(last, 1, last - 32, crc))
            disk.flush()
            disk.seek(SECTOR)
            disk.write(self._header(1, last, 2, crc) + entries)
            disk.flush()

    def write_protective_mbr(self) -> None:
        size = min(self.sectors - 1, 0xFFFFFFFF)
        entry = struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, size)
        with Path(self.path).open("r+b") as disk:
            disk.seek(446)
            disk.write(entry + bytes(48) + b"\x55\xaa")

    def usr(self) -> list[Partition]:
        """The USR partitions by number."""
        return [part for _, part in sorted(self.partitions.items()) if part.type == FLATCAR_USR]

    def prioritize(self, number: int | None = None, highest: int | None = None) -> None:
        """Renumber the priorities without gaps, `number` first when given.

        Partitions of equal priority stay equal; priority 0 is never raised, but for the chosen one's.
        Source: flatcar/seismograph:src/cgpt/cgpt_prioritize.c@7ac56da.
        """
        groups: dict[int, list[Partition]] = {}
        for part in self.usr():
            key = 99 if part.number == number else part.get("priority")
            groups.setdefault(key, []).append(part)
        order = [groups[key] for key in sorted(groups, reverse=True) if key > 0]
        value = highest or min(len(order), 15)
        for group in order:
            for part in group:
                part.set("priority", value)
            value = max(value - 1, 1)

    def boot_next(self) -> Partition | None:
        """Choose what to boot and use up one try, as the bootloader does.

        The highest priority wins among partitions that are successful or have tries left; on a tie the
        lower number; 0 never.
        """
        best = None
        for part in self.usr():
            usable = part.get("tries") or part.get("successful")
            if usable and part.get("priority") > (best.get("priority") if best else 0):
                best = part
        if best is not None and best.get("tries"):
            best.set("tries", best.get("tries") - 1)
            self.save()
        return best
