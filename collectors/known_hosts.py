"""Which host keys are on file for a host: an index of its own over known_hosts files.

Plain names come from a dict; hashed names and patterns are tried one by one, and the finding is remembered.
Keys are decoded when a host that has them is asked for. A missing file is an empty one; one that is there and
cannot be read is an OSError; a line that cannot be read is skipped. A changed file is read again, looked at
once a second at most. Nothing is judged here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

SSH_PORT = 22
LOOK_AGAIN_S = 1.0
QUICK_HASHES = 500
"""Hashed lines up to which a look-up may run in the event loop: one costs 1.5 µs a name."""

REVOKED, AUTHORITY = "@revoked", "@cert-authority"


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key as hosts offer and files record it."""

    kind: str
    """Name of its type, as `ssh-ed25519`."""
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it: SHA256, base64 without padding."""
        digest = hashlib.sha256(self.blob).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")

    @property
    def line(self) -> str:
        """Type and key in base64: what stands behind the names in a known_hosts line."""
        return f"{self.kind} {base64.b64encode(self.blob).decode('ascii')}"

    def __str__(self) -> str:
        return f"{self.fingerprint} ({self.kind})"


@dataclass(frozen=True, slots=True)
class OnFile:
    """What the files say of one host."""

    keys: tuple[HostKey, ...] = ()
    authorities: tuple[HostKey, ...] = ()
    """Keys whose certificates for `principal` are good."""
    revoked: tuple[HostKey, ...] = ()
    principal: str = ""
    """The name that a host certificate must carry."""
    exact: bool = True
    """False: found under the name without its port, so another key is new rather than changed."""


@dataclass(frozen=True, slots=True)
class _Line:
    marker: str
    kind: str
    data: str

    def key(self) -> HostKey | None:
        """The key, or None if it is damaged, a certificate, or of another type than the line says."""
        if "-cert-" in self.kind:
            return None
        try:
            blob = base64.b64decode(self.data, validate=True)
            (size,) = struct.unpack_from(">I", blob)
        except (binascii.Error, ValueError, struct.error):
            return None
        inner = blob[4 : 4 + size]
        return HostKey(self.kind, blob) if inner == self.kind.encode() and len(blob) > 4 + size else None


@dataclass(frozen=True, slots=True)
class _Pattern:
    """Names with `*` and `?`; one match of a name behind `!` rules the whole line out."""

    wanted: re.Pattern[str]
    unwanted: re.Pattern[str] | None

    def covers(self, name: str) -> bool:
        return bool(self.wanted.fullmatch(name)) and not (self.unwanted and self.unwanted.fullmatch(name))


@dataclass(frozen=True, slots=True)
class _Index:
    plain: dict[str, list[_Line]] = field(default_factory=dict)
    hashed: list[tuple[bytes, bytes, _Line]] = field(default_factory=list)
    """Salt, HMAC-SHA1 of the name, line."""
    patterns: list[tuple[_Pattern, _Line]] = field(default_factory=list)
    found: dict[tuple[tuple[str, ...], int | None], OnFile] = field(default_factory=dict)

    def lines(self, name: str) -> Iterator[_Line]:
        yield from self.plain.get(name, ())
        encoded = name.encode()
        for salt, digest, line in self.hashed:
            if hmac.digest(salt, encoded, "sha1") == digest:
                yield line
        for pattern, line in self.patterns:
            if pattern.covers(name):
                yield line


class KnownHosts:
    """The known_hosts files of one target, in their order. May be asked from several threads."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = tuple(paths)
        self._signs: tuple[tuple[int, int, int] | None, ...] | None = None
        self._looked_at = float("-inf")
        self._index = _Index()
        self._reading = threading.Lock()

    def is_quick(self, names: Sequence[str], port: int | None) -> bool:
        """True if `lookup` neither reads a file nor tries many hashes: fit for the event loop."""
        if self._is_changed():
            return False
        return (tuple(names), port) in self._index.found or len(self._index.hashed) <= QUICK_HASHES

    def lookup(self, names: Sequence[str], port: int | None) -> OnFile:
        """What is on file for a host under any of its names, the first of which is what it is called.

        `port` None: the names are taken as they are (HostKeyAlias). With a port other than 22 the form
        `[name]:port` is looked up first, the plain name only if that form has nothing. Raises OSError.
        Source: openssh/openssh-portable:sshconnect.c@4f9757382072765c09893a630608c39de0b1a3f4.
        """
        if self._is_changed():
            self.refresh()
        index, asked = self._index, (tuple(names), port)
        found = index.found.get(asked)
        if found is None:
            found = index.found[asked] = _look_up(index, names, port)
        return found

    def refresh(self) -> None:
        """Read the files if one changed since they were read; one thread reads, others wait for it.

        Raises OSError, and reads again when asked the next time.
        """
        with self._reading:
            signs = tuple(file_sign(path) for path in self._paths)
            if signs != self._signs:
                index = _Index()
                for path in self._paths:
                    _add_file(index, path)
                self._index, self._signs = index, signs
            self._looked_at = time.monotonic()

    def _is_changed(self) -> bool:
        now = time.monotonic()
        if now - self._looked_at < LOOK_AGAIN_S:
            return False
        if self._signs is None or self._signs != tuple(file_sign(path) for path in self._paths):
            return True
        self._looked_at = now
        return False


def file_sign(path: str) -> tuple[int, int, int] | None:
    """Changes when the file does; None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def why_unreadable(path: str) -> str:
    """What the system says against reading a file, "" where it can be read or is not there."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            os.read(file, 1)
        finally:
            os.close(file)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return str(error.strerror)
    return ""


def _add_file(index: _Index, path: str) -> None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return
    for line in text.split("\n"):
        _add_line(index, line)


def _add_line(index: _Index, text: str) -> None:
    fields = text.split(None, 4)
    marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
    if len(fields) < 3 or fields[0].startswith("#") or marker not in ("", REVOKED, AUTHORITY):
        return
    names, line = fields[0].lower(), _Line(marker, fields[1], fields[2])
    if names.startswith("|"):
        hashed = _hashed(fields[0])
        if hashed is not None:
            index.hashed.append((*hashed, line))
    elif any(sign in names for sign in "*?!"):
        pattern = _pattern(names.split(","))
        if pattern is not None:
            index.patterns.append((pattern, line))
    else:
        for name in names.split(","):
            index.plain.setdefault(name, []).append(line)


def _hashed(text: str) -> tuple[bytes, bytes] | None:
    """Salt and HMAC-SHA1 from `|1|salt|hash`."""
    parts = text.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return None
    try:
        return base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError):
        return None


def _pattern(names: Sequence[str]) -> _Pattern | None:
    wanted = [name for name in names if name and not name.startswith("!")]
    unwanted = [name[1:] for name in names if name.startswith("!")]
    return _Pattern(_expression(wanted), _expression(unwanted) if unwanted else None) if wanted else None


def _expression(globs: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(re.escape(g).replace(r"\*", ".*").replace(r"\?", ".") for g in globs), re.DOTALL
    )


def _look_up(index: _Index, names: Sequence[str], port: int | None) -> OnFile:
    with_port = [n if port in (None, SSH_PORT) else f"[{n}]:{port}" for n in names]
    found = _gather(index, names, with_port)
    if found.keys or found.authorities or port in (None, SSH_PORT):
        return found
    loose = _gather(index, names, names)
    revoked = (*found.revoked, *loose.revoked)
    return OnFile(loose.keys, loose.authorities, revoked, loose.principal, exact=False)


def _gather(index: _Index, names: Sequence[str], forms: Sequence[str]) -> OnFile:
    """What is on file under `forms`, each of which belongs to the name at its place in `names`."""
    found: dict[str, list[HostKey]] = {"": [], AUTHORITY: [], REVOKED: []}
    principal = ""
    for name, form in zip(names, forms, strict=True):
        for line in index.lines(form.lower()):
            key = line.key()
            if key is None or key in found[line.marker]:
                continue
            found[line.marker].append(key)
            if line.marker == AUTHORITY:
                principal = principal or name
    principal = principal or (names[0] if names else "")
    return OnFile(tuple(found[""]), tuple(found[AUTHORITY]), tuple(found[REVOKED]), principal)
