"""Writes known_hosts files: adds a key, puts a new one in place of an old one, moves nothing else.

A write is whole or not at all: a file beside it is renamed over it, with its mode and owner. Writers of
fleetctl wait for each other; what ssh appends meanwhile is noticed, and the change made anew. Blocking.
"""

from __future__ import annotations

import base64
import fcntl
import hmac
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from collectors.errors import ConfigError
from collectors.known_hosts import AUTHORITY, HostKey, file_sign

TRIES = 20
_SALT_BYTES = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A key to record. `names`: all names the host has on file, the first of which is written."""

    names: tuple[str, ...]
    key: HostKey
    old: tuple[HostKey, ...] = ()
    """Keys of the same host whose lines give way."""


class _Moved(Exception):
    """Somebody else wrote the file in between."""


def write_keys(path: str, entries: Sequence[Entry]) -> None:
    """Record all `entries`, or none. A missing file is made with mode 0600, its directory with 0700.

    Raises ConfigError where the file cannot be written, or has an old key in a line of patterns, which
    speaks for other hosts too.
    """
    _change(path, lambda text: with_keys(text, entries, file=path))


def write_authority(path: str, pattern: str, key: HostKey) -> bool:
    """Add one @cert-authority line; False if the very line is there. Raises ConfigError."""
    line = f"{AUTHORITY} {pattern} {key.line}"
    is_new = True

    def with_authority(text: str) -> str:
        nonlocal is_new
        is_new = all(found.split(None, 4)[:4] != line.split() for found in text.split("\n"))
        return _appended(text, [line]) if is_new else text

    _change(path, with_authority)
    return is_new


def with_keys(text: str, entries: Sequence[Entry], *, file: str) -> str:
    """`text` with all entries in it. New lines are hashed if every host line of the file is."""
    lines = text.split("\n")
    hosts = [line for line in lines if _fields(line) is not None]
    is_hashed = bool(hosts) and all(line.startswith("|1|") for line in hosts)
    added: list[str] = []
    for entry in entries:
        new = f"{_hashed(entry.names[0]) if is_hashed else entry.names[0]} {entry.key.line}"
        places = [number for number, line in enumerate(lines) if _has_old(line, entry)]
        for number in places:
            lines[number] = _without(lines[number], entry, f"{file} line {number + 1}")
        gone = [number for number in places if not lines[number]]
        if gone:
            lines[gone[0]] = new
        else:
            added.append(new)
        lines = [line for number, line in enumerate(lines) if number not in gone[1:]]
    return _appended("\n".join(lines), added) if added else "\n".join(lines)


def _fields(line: str) -> tuple[str, str, str] | None:
    """Names, type and data of a line without marker; None for any other."""
    words = line.split(None, 3)
    if len(words) < 3 or words[0][0] in "#@":
        return None
    return words[0], words[1], words[2]


def _has_old(line: str, entry: Entry) -> bool:
    fields = _fields(line)
    if fields is None or f"{fields[1]} {fields[2]}" not in {key.line for key in entry.old}:
        return False
    return any(_names(fields[0], name) for name in entry.names)


def _names(field: str, name: str) -> bool:
    """Whether the first field of a line stands for `name`; patterns do for any, to be on the safe side."""
    if field.startswith("|1|"):
        parts = field.split("|")
        with suppress(ValueError):
            salt, digest = (
                base64.b64decode(parts[2], validate=True),
                base64.b64decode(parts[3], validate=True),
            )
            return hmac.digest(salt, name.encode(), "sha1") == digest
        return False
    return name in field.lower().split(",") or any(sign in field for sign in "*?")


def _without(line: str, entry: Entry, place: str) -> str:
    """The line without the host's names; "" if it has no other."""
    field = (_fields(line) or ("",))[0]
    if field.startswith("|1|"):
        return ""
    if any(sign in field for sign in "*?!"):
        raise ConfigError(
            place,
            "",
            f"has the old key of {entry.names[0]} under a pattern, for other hosts too: edit it by hand",
        )
    rest = [name for name in field.split(",") if name.lower() not in entry.names]
    return line.replace(field, ",".join(rest), 1) if rest else ""


def _hashed(name: str) -> str:
    """As HashKnownHosts writes a name. Source: openssh/openssh-portable:hostfile.c (host_hash)."""
    salt = secrets.token_bytes(_SALT_BYTES)
    digest = hmac.digest(salt, name.encode(), sha1)
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def _appended(text: str, lines: Sequence[str]) -> str:
    start = text if not text or text.endswith("\n") else f"{text}\n"
    return start + "".join(f"{line}\n" for line in lines)


def _change(typed: str, change: Callable[[str], str]) -> None:
    path = Path(os.path.realpath(typed))  # a link stays a link
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path.parent):
            for _ in range(TRIES):
                with suppress(_Moved):
                    _change_once(path, change)
                    return
    except OSError as error:
        raise ConfigError(typed, "", f"cannot be written: {error.strerror}") from error
    raise ConfigError(typed, "", "is written by somebody else all the time; try again")


def _change_once(path: Path, change: Callable[[str], str]) -> None:
    sign = file_sign(str(path))
    # Bytes that are no UTF-8 come back as they were.
    text = path.read_bytes().decode("utf-8", "surrogateescape") if sign is not None else ""
    changed = change(text)
    if changed == text:
        return
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(changed.encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
            if sign is not None:
                _copy_owner(path, file.fileno())
        if file_sign(str(path)) != sign:
            raise _Moved
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _copy_owner(path: Path, descriptor: int) -> None:
    found = os.stat(path)
    os.fchmod(descriptor, found.st_mode & 0o7777)
    mine = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (mine.st_uid, mine.st_gid):
        os.fchown(descriptor, found.st_uid, found.st_gid)


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """One writer of fleetctl at a time in a directory; the lock is the directory's and leaves no file."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
