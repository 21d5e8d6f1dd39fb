"""Extensions as they lie on a host: links, the images that are merged, metadata, and what names tell.

Sections `links` and `meta` of the probe end every part by NUL, because file names may hold anything else.
Names and paths come out printable: bytes that are no text, and characters that do not print, as escapes.
Sources: flatcar/scripts:build_library@ab6d76d and flatcar/sysext-bakery@80959c1 for places and names.
"""

from __future__ import annotations

import re
from typing import Literal

from collectors.errors import ParseError
from collectors.facts import ExtensionLink, ExtensionMeta
from collectors.parse.os_release import parse_extension_release
from collectors.parse.text import clean, whole_lines
from collectors.redact import visible

ExtensionKind = Literal["builtin", "oem", "official", "independent", "other"]

_BUILTIN = ("containerd-flatcar", "docker-flatcar")
_PLACES: tuple[tuple[str, ExtensionKind], ...] = (
    ("/usr/share/flatcar/sysext/", "builtin"),
    ("/oem/sysext/", "oem"),
    ("/usr/share/oem/sysext/", "oem"),
    ("/etc/flatcar/oem-sysext/", "oem"),
    ("/etc/flatcar/sysext/", "official"),
    ("/opt/extensions/", "independent"),
)
_META_LIMIT = 4096  # characters that the probe reads of a file: a longer one is cut there
_ARCH_SUFFIX = re.compile(r"[-_.](?:x86[-_]64|amd64|arm64|aarch64)$")
_VERSION_AFTER_NAME = re.compile(r"[-_](v?[0-9].*)")
_VERSION_AT_END = re.compile(r"[-_](v?[0-9]{1,9}(?:\.[0-9]{1,9}){1,3}(?:[+~.-][A-Za-z0-9.+~]{1,40})?)$")
_LISTED = re.compile(
    r"[bcdlps-][rwxsStT-]{9}[.+@]? +[0-9]+ +\S+ +\S+ +[0-9][0-9.,]*[KMGT]? +"
    r"(?:[A-Z][a-z]{2} +[0-9]{1,2} +(?:[0-9]{2}:[0-9]{2}|[0-9]{4})"
    r"|[0-9]{4}-[0-9-]{5} [0-9:.]+(?: [+-][0-9]{4})?)"
    r" (?P<entry>.+)"
)


def parse_links(content: bytes) -> tuple[dict[str, ExtensionLink], tuple[str, ...]]:
    """Entries of the extension folders by name, and the backing files of loop devices.

    Form: `E PATH` for each entry (E is 1 if what it leads to exists), `=`, one resolved path for each
    entry in the same order, `=`, one path for each loop device; each ended by NUL. The first folder of
    the search order wins a name, as it does for systemd. Raises ParseError if a part is missing.
    """
    parts = _parts(content, "links")
    first = _index(parts, 0)
    second = _index(parts, first + 1)
    entries, targets, loops = parts[:first], parts[first + 1 : second], parts[second + 1 :]
    if len(entries) != len(targets):
        raise ParseError(f"links: {len(entries)} entries and {len(targets)} resolved paths")
    links: dict[str, ExtensionLink] = {}
    for entry, target in zip(entries, targets, strict=True):
        exists, blank, path = entry.partition(" ")
        if exists not in ("0", "1") or not blank or not path.startswith("/") or not target.startswith("/"):
            raise ParseError(f"links: entry {clean(entry)!r} resolved to {clean(target)!r}")
        links.setdefault(_name(path), ExtensionLink(visible(path), visible(target), exists == "1"))
    return links, tuple(visible(loop) for loop in loops)


def parse_meta(content: bytes) -> dict[str, ExtensionMeta]:
    """extension-release by extension: `=NAME` and the start of the file's text, each ended by NUL.

    Raises ParseError where they do not alternate.
    """
    parts = _parts(content, "meta")
    names, texts = parts[::2], parts[1::2]
    if len(names) != len(texts) or any(not name.startswith("=") for name in names):
        raise ParseError(f"meta: {len(parts)} parts, names and texts do not alternate")
    return {
        visible(name[1:], 255): parse_extension_release(
            text if len(text) < _META_LIMIT else text[: text.rfind("\n") + 1]
        )
        for name, text in zip(names, texts, strict=True)
    }


def parse_ls_extensions(text: str) -> dict[str, str | None]:
    """Name -> link target as written, None for what is no link, from `ls -l` of an extension folder.

    Raises ParseError if no line is an entry or a total.
    """
    found: dict[str, str | None] = {}
    known = False
    for line in whole_lines(text):
        known = known or bool(re.fullmatch(r"total [0-9.,]+[KMGT]?", line.strip()))
        entry = _LISTED.fullmatch(line.strip())
        if entry is None:
            continue
        known = True
        path, arrow, target = entry["entry"].partition(" -> ")
        if path.rstrip("/") not in (".", ".."):
            found[_name(path.rstrip("/"))] = visible(target) if arrow else None
    if not known:
        raise ParseError(f"ls: no entry in {clean(text)!r}")
    return found


def kind_of(name: str, image_path: str) -> ExtensionKind:
    """Who made the extension: by where its image lies, else by its name. "" is a place not known."""
    for folder, kind in _PLACES:
        if image_path.startswith(folder):
            return kind
    if name in _BUILTIN:
        return "builtin"
    if name.startswith("oem-"):
        return "oem"
    return "official" if name.startswith("flatcar-") else "other"


def image_version(name: str, image_path: str) -> str | None:
    """The version in an image's file name, as it stands there: `v1.32.2`, `4593.2.5`; None if it has none."""
    stem = _ARCH_SUFFIX.sub("", _name(image_path))
    name = _ARCH_SUFFIX.sub("", name)
    if stem.startswith(name) and (after := _VERSION_AFTER_NAME.fullmatch(stem[len(name) :])):
        return after[1]
    at_end = _VERSION_AT_END.search(stem[-80:])
    return at_end[1] if at_end else None


def _parts(content: bytes, section: str) -> list[str]:
    """The NUL-ended parts of a section; what follows the last NUL is a part that was cut."""
    if content and not content.endswith(b"\0"):
        raise ParseError(f"{section}: cut off after {len(content)} bytes")
    return [part.decode("utf-8", "backslashreplace") for part in content.split(b"\0")[:-1]]


def _index(parts: list[str], start: int) -> int:
    try:
        return parts.index("=", start)
    except ValueError:
        raise ParseError("links: cut off, a separator is missing") from None


def _name(path: str) -> str:
    """File name without `.raw`, and without the `.v` of a folder of versions."""
    return visible(path.rpartition("/")[2].removesuffix(".v").removesuffix(".raw"), 255)
