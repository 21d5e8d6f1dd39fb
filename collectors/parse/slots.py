"""cgpt's tables -> the two USR slots; which of them runs.

A partition is known by its label and UUID, never by its type: cgpt names the type after CoreOS still.
What a table does not say stays None. A table that is cut gives what stands before the cut.
Sources: flatcar/seismograph:src/cgpt/cgpt_show.c@7ac56da; the fixed UUIDs and partition numbers:
flatcar/scripts:build_library/disk_layout.json@ab6d76d.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from collectors.errors import ParseError
from collectors.facts import Slot, SlotName, SlotTable
from collectors.parse.text import clean, integer, lines

UUIDS = {
    SlotName.A: "7130c94a-213a-4e5a-8e26-6cce9662f132",
    SlotName.B: "e03dd35c-7c2d-4a47-b3fe-27f15780a57c",
}
"""The same on every Flatcar host."""
_NAME_OF_UUID = {uuid: name for name, uuid in UUIDS.items()}
_NAME_OF_LABEL = {"USR-A": SlotName.A, "USR-B": SlotName.B}
_NAME_OF_NUMBER = {3: SlotName.A, 4: SlotName.B}

_ENTRY = re.compile(r"[ \t]*[0-9]{1,20}[ \t]+[0-9]{1,20}[ \t]+([0-9]{1,5})[ \t]+(\S.*)")
_AREA = re.compile(r"[ \t]*[0-9]{1,20}[ \t]+[0-9]{1,20}[ \t]+(INVALID[ \t]+)?(?:Pri|Sec|[A-Z]\w* MBR)\b.*")
_LABEL = re.compile(r'Label: "(.*)"')
_DETAIL = re.compile(r"[ \t]*(Type|UUID|Attr): *(\S.*)")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_FLAGS = re.compile(r"priority=([0-9]{1,9}) +tries=([0-9]{1,9}) +successful=([0-9])(?: .*)?")
_WORD = re.compile(r"0[xX]([0-9A-Fa-f]{1,16})")
_ERROR = re.compile(r"ERROR: cgpt (\w+): (.+)")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9_.:+/-]{1,200}")
_NUMBERED = re.compile(r"/dev/(?:(?:[hsv]|xv)d[a-z]{1,3}|(?:nvme[0-9]+n|mmcblk|loop|nbd)[0-9]+p)([0-9]{1,3})")


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry of a table; None is "not printed"."""

    number: int | None = None
    label: str | None = None
    type: str | None = None
    """Alias or GUID, as printed."""
    uuid: str | None = None
    """Lower case."""
    priority: int | None = None
    tries: int | None = None
    successful: bool | None = None
    legacy_boot: bool | None = None

    @property
    def slot_name(self) -> SlotName | None:
        """USR-A or USR-B by UUID, else by label. Raises ParseError if the two contradict each other."""
        by_uuid, by_label = _NAME_OF_UUID.get(self.uuid or ""), _NAME_OF_LABEL.get(self.label or "")
        if by_uuid and by_label and by_uuid is not by_label:
            raise ParseError(f"the partition labelled USR-{by_label} has the UUID of USR-{by_uuid}")
        return by_uuid or by_label


@dataclass(frozen=True, slots=True)
class CgptTable:
    partitions: tuple[Partition, ...]
    """In the order printed, each number once."""
    damaged: bool = False
    """cgpt said that a copy of the table is invalid, or the two copies differ in a slot."""

    def numbered(self, number: int) -> Partition | None:
        return next((item for item in self.partitions if item.number == number), None)

    def slot(self, name: SlotName) -> Partition | None:
        """The partition that is this slot. Raises ParseError if two claim to be."""
        found = [item for item in self.partitions if item.slot_name is name]
        if len(found) > 1:
            raise ParseError(f"{len(found)} partitions are USR-{name}")
        return found[0] if found else None


def parse_cgpt_show(text: str) -> CgptTable:
    """`cgpt show` of a disk or of one partition; with -q, -n or -v, or one attribute line of it.

    Other lines may stand around it. Raises ParseError with cgpt's own words where it failed.
    """
    printed: list[Partition] = []
    damaged = inside = False
    all_lines = lines(text)
    for index, line in enumerate(all_lines):
        cut = index == len(all_lines) - 1 and not text.endswith("\n")
        if "GPT header/entries is invalid" in line:
            damaged = True
        elif area := _AREA.fullmatch(line):
            damaged, inside = damaged or bool(area[1]), False
        elif entry := _ENTRY.fullmatch(line):
            inside = True
            printed.append(_entry(int(entry[1]), entry[2].rstrip(), cut))
        elif detail := _DETAIL.fullmatch(line.rstrip()):
            if not inside:
                printed.append(Partition())
                inside = True
            printed[-1] = _with_detail(printed[-1], detail[1], detail[2], cut)
    partitions, differ = _merged([item for item in printed if item != Partition()])
    error = next((found for line in all_lines if (found := _ERROR.fullmatch(line.strip()))), None)
    if error and (error[1] == "show" or not partitions):
        raise ParseError(f"cgpt {error[1]}: {clean(error[2], 200)}")
    if not partitions:
        raise ParseError(f"no partition table in: {clean(text)}" if text.strip() else "no partition table")
    return CgptTable(partitions, damaged or differ)


def _entry(number: int, contents: str, cut: bool) -> Partition:
    label = _LABEL.fullmatch(contents)
    if label:
        return Partition(number, clean(label[1], 36))
    return Partition(number, type=None if cut or contents.startswith("Label:") else clean(contents))


def _with_detail(partition: Partition, key: str, value: str, cut: bool) -> Partition:
    """`partition` with one more line read. A cut line counts only if nothing can be missing in it."""
    if key == "Type":
        return partition if cut else replace(partition, type=clean(value))
    if key == "UUID":
        return replace(partition, uuid=value.lower()) if _UUID.fullmatch(value) else partition
    if flags := _FLAGS.fullmatch(value):
        return _flagged(partition, int(flags[1]), int(flags[2]), int(flags[3]))
    word = _WORD.fullmatch(value)
    if word and (not cut or len(word[1]) == 16):
        bits = int(word[1], 16)
        known = _flagged(partition, bits >> 48 & 15, bits >> 52 & 15, bits >> 56 & 1)
        return replace(known, legacy_boot=bool(bits & 4))
    if value == "Legacy BIOS Bootable":
        return replace(partition, legacy_boot=True)
    if cut:
        return partition
    raise ParseError(f"attributes of partition {partition.number or '?'} not understood: {clean(value)}")


def _flagged(partition: Partition, priority: int, tries: int, successful: int) -> Partition:
    if priority > 15 or tries > 15 or successful > 1:
        number = partition.number or "?"
        raise ParseError(f"partition {number}: impossible attributes {priority}/{tries}/{successful}")
    return replace(partition, priority=priority, tries=tries, successful=bool(successful))


def _merged(printed: list[Partition]) -> tuple[tuple[Partition, ...], bool]:
    """Each number once, the first print leading; and whether two prints of one differ.

    cgpt lists the second copy of the table too where it is not the same as the first.
    """
    merged: dict[int, Partition] = {}
    differ = False
    for order, item in enumerate(printed):
        key = item.number if item.number is not None else -1 - order
        first = merged.setdefault(key, item)
        for field in ("label", "uuid", "priority", "tries", "successful"):
            one, other = getattr(first, field), getattr(item, field)
            differ = differ or (one is not None and other is not None and one != other)
        merged[key] = Partition(
            item.number,
            first.label if first.label is not None else item.label,
            first.type if first.type is not None else item.type,
            first.uuid or item.uuid,
            first.priority if first.priority is not None else item.priority,
            first.tries if first.tries is not None else item.tries,
            first.successful if first.successful is not None else item.successful,
            first.legacy_boot if first.legacy_boot is not None else item.legacy_boot,
        )
    return tuple(merged.values()), differ


def parse_slots(
    text_a: str, text_b: str, *, device_a: str | None = None, device_b: str | None = None
) -> SlotTable:
    """Both slots from `cgpt show` of each one's device; the whole disk's table, given twice, does too.

    Priority 0-15, higher boots first; tries counts down per boot of an unconfirmed slot. Raises
    ParseError if a slot is missing, is labelled as the other one, or lacks attributes.
    """
    slot_a, damaged_a = _slot(text_a, SlotName.A, device_a)
    slot_b, damaged_b = _slot(text_b, SlotName.B, device_b)
    return SlotTable(slot_a, slot_b, damaged_a or damaged_b)


def _slot(text: str, name: SlotName, device: str | None) -> tuple[Slot, bool]:
    try:
        table = parse_cgpt_show(text)
        partition, other = table.slot(name), table.slot(name.other)
    except ParseError as error:
        raise ParseError(f"USR-{name}: {error}") from error
    if partition is None:
        raise ParseError(f"USR-{name}: its table shows USR-{name.other}" if other else f"USR-{name}: missing")
    if partition.priority is None or partition.tries is None or partition.successful is None:
        raise ParseError(f"USR-{name}: no attributes")
    slot = Slot(name, partition.priority, partition.tries, partition.successful, partition.uuid, device)
    return slot, table.damaged


def parse_cgpt_number(text: str) -> int:
    """The bare number of `cgpt show -i N -P` (-T, -S, -b, -s, -A) or `cgpt find -n -l LABEL`.

    An empty entry answers 0. Raises ParseError for anything else, a number without its newline too.
    """
    answers = [line.strip() for line in lines(text) if line.strip()]
    if error := next((found for line in answers if (found := _ERROR.fullmatch(line))), None):
        raise ParseError(f"cgpt {error[1]}: {clean(error[2], 200)}")
    if len(answers) == 1 and text.rstrip(" \t\r").endswith("\n"):
        word = _WORD.fullmatch(answers[0])
        number = int(word[1], 16) if word else integer(answers[0])
        if number is not None and number >= 0:
            return number
    raise ParseError(f"no number from cgpt: {clean(text)}")


def parse_cgpt_find(text: str) -> tuple[str, ...]:
    """Device names as `cgpt find` prints them; on NVMe they lack the `p` and exist nowhere."""
    if error := next((found for line in lines(text) if (found := _ERROR.fullmatch(line.strip()))), None):
        raise ParseError(f"cgpt {error[1]}: {clean(error[2], 200)}")
    return _devices(text)


def slot_of_device(usrdev_text: str, slotdevs_text: str) -> SlotName | None:
    """The running slot: `rootdev -s /usr` compared with `readlink -f` of USR-A's and USR-B's links.

    Where no link was resolved the partition number decides, as it does for update_engine itself
    (flatcar/update_engine:src/update_engine/omaha_response_handler_action.cc@7382641).
    None if it is neither, or not clear.
    """
    running = set(_devices(usrdev_text))
    if len(running) != 1:
        return None
    device = running.pop()
    links = _devices(slotdevs_text)
    if not links:
        numbered = _NUMBERED.fullmatch(device)
        return _NAME_OF_NUMBER.get(int(numbered[1])) if numbered else None
    if len(links) != 2 or links[0] == links[1]:
        return None
    return {links[0]: SlotName.A, links[1]: SlotName.B}.get(device)


def _devices(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in lines(text) if _DEVICE.fullmatch(line.strip()))
