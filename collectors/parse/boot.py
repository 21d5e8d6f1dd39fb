"""The kernel command line: the slot that was booted and what boot was told.

Sources: flatcar/scripts:build_library/grub.cfg@ab6d76d for the keys, Linux 6.12 lib/cmdline.c (next_arg)
for quotes.
"""

from __future__ import annotations

import re

from collectors.errors import ParseError
from collectors.facts import Cmdline, SlotName
from collectors.parse.slots import UUIDS
from collectors.parse.text import clean, lines

_SLOT_OF_PARTUUID = {uuid: name for name, uuid in UUIDS.items()}
_MARKER = re.compile(r"(?:^|[ \]])(?:Kernel c|C)ommand line: ")
_ARGUMENT = re.compile(r'(?:[^\s"]|"[^"]*+"?)++')
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{64}(?:[0-9a-f]{64})?")
_OEM_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_KEYS = frozenset(
    {
        "BOOT_IMAGE",
        "root",
        "console",
        "usr",
        "mount.usr",
        "verity.usr",
        "verity.usrhash",
        "usrhash",
        "rootflags",
    }
    | {f"{os}.{key}" for os in ("flatcar", "coreos") for key in ("first_boot", "oem.id")}
)
_USR_KEYS = ("verity.usr", "mount.usr", "usr")
_PARTUUID_FORMS = ("PARTUUID=", "/dev/disk/by-partuuid/")
_PARTLABEL_FORMS = ("PARTLABEL=", "/dev/disk/by-partlabel/")
_FALSE = ("0", "no", "false", "off")


def parse_cmdline(text: str) -> Cmdline:
    """What `/proc/cmdline` says, also quoted by dmesg or the journal; the last of a key wins.

    /usr is named by verity.usr, else mount.usr, else usr: by PARTUUID or PARTLABEL, never by LABEL, which
    an update copies. The last word counts only if a newline ended it, or if its shape shows it whole.
    Raises ParseError if there is no argument at all.
    """
    values = _arguments(text)
    slot, partuuid = _usr(values)
    usrhash = _first(values, "verity.usrhash", "usrhash").lower()
    oem_id = _first(values, "flatcar.oem.id", "coreos.oem.id")
    return Cmdline(
        slot=slot,
        usr_partuuid=partuuid,
        usrhash=usrhash if _HASH.fullmatch(usrhash) else None,
        boot_image=clean(_first(values, "BOOT_IMAGE"), 200) or None,
        oem_id=oem_id if _OEM_ID.fullmatch(oem_id) else None,
        first_boot=any(
            key in values and values[key].lower() not in _FALSE
            for key in ("flatcar.first_boot", "coreos.first_boot")
        ),
    )


def _arguments(text: str) -> dict[str, str]:
    line, ended = _command_line(text)
    words = [word.replace('"', "") for word in _ARGUMENT.findall(line)]
    if words and not (ended or line[-1:].isspace()) and not _is_whole(words[-1]):
        words.pop()
    pairs = [word.partition("=") for word in words]
    if not any(equals for _, equals, _ in pairs):
        raise ParseError(f"kernel command line: no argument in {clean(text)!r}")
    return {key: value for key, _, value in pairs}


def _command_line(text: str) -> tuple[str, bool]:
    """The text after a marker, else the first line with a known key; and whether a newline ended it."""
    all_lines = lines(text)
    if not all_lines:
        raise ParseError("kernel command line: nothing")
    last = len(all_lines) - 1
    for number, line in enumerate(all_lines):
        marker = _MARKER.search(line)
        if marker:
            return line[marker.end() :], number < last or text.endswith("\n")
    for number, line in enumerate(all_lines):
        if any(word.partition("=")[0].lstrip('"') in _KEYS for word in line.split()):
            return line, number < last or text.endswith("\n")
    return all_lines[-1], text.endswith("\n")


def _is_whole(word: str) -> bool:
    """Whether a last word without its end can be trusted: a UUID and a hash have a length of their own."""
    value = word.rpartition("=")[2].lower()
    return bool(_UUID.fullmatch(value) or _HASH.fullmatch(value))


def _usr(values: dict[str, str]) -> tuple[SlotName | None, str | None]:
    for key in _USR_KEYS:
        place = values.get(key, "")
        for form in _PARTUUID_FORMS:
            uuid = place.removeprefix(form).lower()
            if place.startswith(form) and _UUID.fullmatch(uuid):
                return _SLOT_OF_PARTUUID.get(uuid), uuid
        for form in _PARTLABEL_FORMS:
            if place in (f"{form}USR-A", f"{form}USR-B"):
                return SlotName(place[-1]), None
    return None, None


def _first(values: dict[str, str], *keys: str) -> str:
    return next((values[key] for key in keys if values.get(key)), "")
