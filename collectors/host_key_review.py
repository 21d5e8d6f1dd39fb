"""What the key that a host offers means, beside what is on file and what a trusted list says. Pure.

Nothing is asked and nothing is written here. A revoked key is never accepted, whoever says so.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from collectors.errors import ConfigError
from collectors.known_hosts import HostKey, OnFile
from collectors.parse.text import clean
from collectors.transport import Target

_FINGERPRINT = re.compile(r"SHA256:([A-Za-z0-9+/]{43})=?")
_MD5 = re.compile(r"(?:MD5:)?(?:[0-9a-f]{2}:){15}[0-9a-f]{2}", re.IGNORECASE)
_KEY_LINE = re.compile(r"(?:@\S+\s+)?\S+\s+[a-z][A-Za-z0-9@.-]*\s+AAAA[A-Za-z0-9+/=]+(?:\s.*)?")


class Verdict(StrEnum):
    KNOWN = "known"
    """On file already, or certified by an authority that is."""
    NEW = "new"
    """No key is on file; a person has to compare."""
    CHANGED = "changed"
    """Another key is on file; a person has to confirm this very host."""
    VOUCHED = "vouched"
    """The trusted list has this very key."""
    MISMATCH = "mismatch"
    """The trusted list has another key for the host."""
    UNLISTED = "unlisted"
    """The trusted list does not name the host."""
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a trusted list says of one host: fingerprints as `SHA256:…`, and those that it revokes."""

    fingerprints: frozenset[str]
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Review:
    """One host's offered key, and what it means."""

    target: Target
    offered: HostKey
    verdict: Verdict
    old: tuple[HostKey, ...] = ()
    """What is on file for the host's own names and gives way to the offered key."""
    wanted: tuple[str, ...] = ()
    """For MISMATCH: the fingerprints of the trusted list."""


def review(target: Target, offered: HostKey, on_file: OnFile, vouched: Vouched | None) -> Review:
    """`vouched` None: there is no trusted list, a person decides.

    A list wins over what is on file, but says nothing about keys of other types: those stay.
    """
    old = tuple(key for key in on_file.keys if key != offered) if on_file.exact else ()
    if offered in on_file.revoked or (vouched and offered.fingerprint in vouched.revoked):
        return Review(target, offered, Verdict.REVOKED, old)
    wanted = tuple(sorted(vouched.fingerprints)) if vouched is not None else ()
    is_against = bool(wanted) and offered.fingerprint not in wanted
    if offered in on_file.authorities or (offered in on_file.keys and not is_against):
        return Review(target, offered, Verdict.KNOWN)
    if vouched is None:
        return Review(target, offered, Verdict.CHANGED if old else Verdict.NEW, old)
    if is_against:
        return Review(target, offered, Verdict.MISMATCH, old, wanted)
    if not wanted:
        return Review(target, offered, Verdict.UNLISTED, old)
    same_type = tuple(key for key in old if key.kind == offered.kind)
    return Review(target, offered, Verdict.VOUCHED, same_type)


def name_on_file(target: Target) -> str:
    """The name under which a target's key is recorded, as ssh itself would look it up.

    Source: openssh/openssh-portable:sshconnect.c@4f9757382072765c09893a630608c39de0b1a3f4
    (get_hostfile_hostname_ipaddr).
    """
    if target.host_key_alias is not None:
        return target.host_key_alias.lower()
    return _with_port(target.address, target.port)


def names_on_file(target: Target) -> tuple[str, ...]:
    """All names under which the target's key counts as on file; the first is `name_on_file`."""
    if target.host_key_alias is not None:
        return (name_on_file(target),)
    return tuple(dict.fromkeys((name_on_file(target), _with_port(target.name, target.port))))


def _with_port(name: str, port: int) -> str:
    return name.lower() if port == 22 else f"[{name.lower()}]:{port}"


def is_key_list(text: str) -> bool:
    """Whether a list of trusted keys holds known_hosts lines, rather than fingerprints."""
    return any(_KEY_LINE.fullmatch(line.strip()) for line in text.split("\n"))


def parse_fingerprints(text: str, *, file: str) -> dict[str, frozenset[str]]:
    """Host -> fingerprints, from lines `HOST SHA256:…`, or as `ssh-keygen -lf known_hosts` prints them.

    Hosts are in small letters, several with commas. Raises ConfigError for a line that is neither.
    """
    found: dict[str, set[str]] = {}
    for number, raw in enumerate(text.split("\n"), start=1):
        words = raw.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].isdigit():  # ssh-keygen: bits, fingerprint, names, (TYPE)
            words = [word for word in words[1:] if not re.fullmatch(r"\([A-Z0-9-]+\)", word)]
        prints = [word for word in words if _FINGERPRINT.fullmatch(word)]
        names = [word for word in words if word not in prints]
        if len(prints) != 1 or not names or any(_MD5.fullmatch(name) for name in names):
            raise ConfigError(file, f"line {number}", f"{clean(raw, 60)} is not HOST SHA256:…")
        for name in names[0].lower().split(","):
            found.setdefault(name, set()).add(prints[0].rstrip("="))
    if not found:
        raise ConfigError(file, "", "holds neither known_hosts lines nor fingerprints (HOST SHA256:…)")
    return {name: frozenset(prints) for name, prints in found.items()}


def fingerprints_for(target: Target, listed: dict[str, frozenset[str]]) -> Vouched:
    """What a list of fingerprints says of a target, under its name, its address, or these with the port."""
    names = (*names_on_file(target), target.name.lower(), target.address.lower())
    return Vouched(frozenset(print_ for name in names for print_ in listed.get(name, ())))


def parse_public_key(text: str, *, file: str) -> HostKey:
    """The key of a `.pub` file. Raises ConfigError for anything else, a certificate included."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    words = lines[0].split(None, 2) if len(lines) == 1 else []
    if len(words) < 2 or "-cert-" in words[0]:
        raise ConfigError(file, "", "not one public key; name the authority's .pub file")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError(file, "", "not a public key: its second word is not base64") from error
    size = int.from_bytes(blob[:4], "big")
    if blob[4 : 4 + size] != words[0].encode() or len(blob) <= 4 + size:
        raise ConfigError(file, "", f"not a public key of the type {clean(words[0], 30)} that it says")
    return HostKey(words[0], blob)


def authority_pattern(targets: Sequence[Target]) -> str:
    """The names that an authority is to speak for: `*.domain` if all share one and port 22, else all of them.

    A domain has two labels at least, so that nobody speaks for a whole top-level domain.
    """
    names = sorted({name_on_file(target) for target in targets})
    domains = {name.partition(".")[2] for name in names}
    domain = next(iter(domains))
    is_address = any(":" in name or "[" in name or re.fullmatch(r"[0-9.]+", name) for name in names)
    if len(domains) == 1 and "." in domain and len(names) > 1 and not is_address:
        return f"*.{domain}"
    return ",".join(names)


def twins(reviews: Iterable[Review]) -> dict[str, list[str]]:
    """Host -> others that offer the very same key: machines cloned with their keys."""
    by_key: dict[HostKey, list[str]] = {}
    for item in reviews:
        by_key.setdefault(item.offered, []).append(item.target.name)
    return {
        name: [other for other in names if other != name]
        for names in by_key.values()
        if len(names) > 1
        for name in names
    }
