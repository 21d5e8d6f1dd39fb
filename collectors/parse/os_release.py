"""os-release, Flatcar's release file and extension-release: shell-like `KEY=VALUE` files.

Values may be bare or quoted. Lines that are no settings (prompts, banners, `...`) are skipped.
A value counts only if it is whole: a quote that is not closed on its line, or a bare value on a last
line without its newline, may be what a cut left over.
Sources: flatcar/scripts:build_library/set_lsb_release@00fa5e5 for the keys, systemd 257 os-release(5).
"""

from __future__ import annotations

import re

from collectors.errors import ParseError
from collectors.facts import ExtensionMeta, OsRelease, Release
from collectors.parse.text import clean, lines

_SETTING = re.compile(r"[ \t\ufeff]*([A-Za-z_][A-Za-z0-9_]{0,63})=(.*)")
_PIECE = re.compile(r"""'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|(?P<bare>(?:[^\s'"\\]|\\.)+)""")
_DOUBLE_ESCAPE = re.compile(r'\\(["\\$`])')
_CODENAME = re.compile(r"[0-9]\S* \(([A-Za-z][A-Za-z0-9 ._-]{0,39})\)$")
_VERSION = re.compile(r"([0-9]{1,5})\.([0-9]{1,4})\.([0-9]{1,4})(?:\+.*)?")
_LIMIT = 200


def parse_os_release(text: str) -> OsRelease:
    """The fields of os-release; an empty value is no value. Raises ParseError without ID and VERSION_ID."""
    values = _settings(text)
    if "ID" not in values and "VERSION_ID" not in values:
        raise ParseError(f"os-release: neither ID nor VERSION_ID in {clean(text)!r}")
    pretty_name = values.get("PRETTY_NAME")
    return OsRelease(
        id=values.get("ID"),
        id_like=tuple(values.get("ID_LIKE", "").split()),
        name=values.get("NAME"),
        version=values.get("VERSION"),
        version_id=values.get("VERSION_ID"),
        build_id=values.get("BUILD_ID"),
        pretty_name=pretty_name,
        codename=_codename(pretty_name) or values.get("VERSION_CODENAME"),
        board=values.get("FLATCAR_BOARD") or values.get("COREOS_BOARD"),
        sysext_level=values.get("SYSEXT_LEVEL"),
        cpe_name=values.get("CPE_NAME"),
    )


def parse_release(text: str) -> Release:
    """`/usr/share/flatcar/release`, also with CoreOS's key names. Raises ParseError if it has none."""
    values = _settings(text)
    found = {
        field: values.get(f"FLATCAR_RELEASE_{key}") or values.get(f"COREOS_RELEASE_{key}")
        for field, key in (("version", "VERSION"), ("board", "BOARD"), ("app_id", "APPID"))
    }
    if not any(found.values()):
        raise ParseError(f"release: no FLATCAR_RELEASE_ key in {clean(text)!r}")
    return Release(**found)


def parse_extension_release(text: str) -> ExtensionMeta:
    """An extension-release file; all None where it says nothing, which makes an extension fit nowhere.

    The caller holds the whole file: makers of extensions often leave out the final newline, so a bare
    last value counts here.
    """
    values = _settings(text + "\n")
    return ExtensionMeta(
        id=values.get("ID"),
        version_id=values.get("VERSION_ID"),
        sysext_level=values.get("SYSEXT_LEVEL"),
        architecture=values.get("ARCHITECTURE"),
        version=values.get("SYSEXT_VERSION_ID"),
    )


def version_key(text: str) -> tuple[int, int, int] | None:
    """What releases compare by: MAJOR.MINOR.PATCH, a `+suffix` aside; None for anything else."""
    found = _VERSION.fullmatch(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def unquote(raw: str, *, ended: bool = True) -> str | None:
    """The first shell word of `raw`, its quotes and escapes resolved; None if it is not whole.

    `ended` is False where no newline follows: then only a word that ends in a closed quote is whole.
    """
    word: list[str] = []
    at, closed = 0, False
    while at < len(raw) and not raw[at].isspace():
        piece = _PIECE.match(raw, at)
        if piece is None:
            return None
        match piece.lastgroup:
            case "single":
                word.append(piece["single"])
            case "double":
                word.append(_DOUBLE_ESCAPE.sub(r"\1", piece["double"]))
            case _:
                word.append(re.sub(r"\\(.)", r"\1", piece["bare"]))
        closed = piece.lastgroup != "bare"
        at = piece.end()
    return "".join(word) if ended or closed else None


def _settings(text: str) -> dict[str, str]:
    """Whole, non-empty values by key; the last of a key wins, and one that is not whole hides the others."""
    found: dict[str, str | None] = {}
    all_lines = lines(text)
    for number, line in enumerate(all_lines, start=1):
        setting = _SETTING.fullmatch(line)
        if setting is None:
            continue
        value = unquote(setting[2], ended=number < len(all_lines) or text.endswith("\n"))
        found[setting[1]] = clean(value, _LIMIT) if value is not None else None
    return {key: value for key, value in found.items() if value}


def _codename(pretty_name: str | None) -> str | None:
    """`(Oklo)`, `(LTS 2023)`: what the build calls its code name stands in parentheses after the version."""
    found = _CODENAME.search(pretty_name or "")
    return found[1] if found else None
