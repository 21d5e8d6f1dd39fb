"""A live host's files as a user handles them over SFTP: what may be done where, and what fails how. Pure.

Every refusal is an OSError with the number that the host's own system would give. There are no links to make
and none to follow, so a path is what it says: `..` is taken out of it, and nothing leads out of the host.
"""

from __future__ import annotations

import errno
import os
import posixpath
from dataclasses import dataclass
from typing import NoReturn

from console.demo.live.host_files import FOLDERS, OF_EVERYBODY, HostFiles

HOME = "/home/core"
_STICKY = ("/tmp", "/var/tmp")
_LONGEST_PATH = 4096


@dataclass(frozen=True, slots=True)
class Entry:
    """What stat tells."""

    is_folder: bool
    size_bytes: int
    mode: int
    """Permission bits only."""
    uid: int
    changed_s: int
    """Unix time."""


class OpenFile:
    """A file that is open; it stays readable when its name is gone."""

    def __init__(
        self, visitor: Visitor, path: str, content: bytes | bytearray, *, writes: bool, appends: bool
    ) -> None:
        self._visitor = visitor
        self._content = content
        self._writes = writes
        self._appends = appends
        self.path = path

    @property
    def size_bytes(self) -> int:
        return len(self._content)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """At most so much from there; empty at the end."""
        return bytes(self._content[offset : offset + size_bytes])

    def seek(self, offset: int, whence: int) -> int:
        """Where data (SEEK_DATA) or a hole (SEEK_HOLE) comes next; there is one hole, at the end."""
        if offset >= len(self._content):
            _refuse(errno.ENXIO, self.path)
        return offset if whence == os.SEEK_DATA else len(self._content)

    def write(self, offset: int, data: bytes) -> None:
        """Write as much as there is room for. OSError (ENOSPC) where that was not all."""
        if not self._writes or not isinstance(self._content, bytearray):
            _refuse(errno.EBADF, self.path)
        offset = len(self._content) if self._appends else offset
        written = data[: max(0, self._fitting(offset + len(data)) - offset)]
        before = len(self._content)
        if written:
            self._content.extend(b"\0" * (offset - before))
            self._content[offset : offset + len(written)] = written
            self._grew(len(self._content) - before)
        if len(written) < len(data):
            _refuse(errno.ENOSPC, self.path)

    def truncate(self, size_bytes: int) -> None:
        """Cut it off, or fill it up with zeros."""
        if not self._writes or not isinstance(self._content, bytearray):
            _refuse(errno.EBADF, self.path)
        before = len(self._content)
        if self._fitting(size_bytes) < size_bytes:
            _refuse(errno.ENOSPC, self.path)
        if size_bytes < before:
            del self._content[size_bytes:]
        else:
            self._content.extend(b"\0" * (size_bytes - before))
        self._grew(len(self._content) - before)

    def _fitting(self, end: int) -> int:
        """How far it can reach, at most to `end`."""
        room = self._visitor.files.room(self.path)
        return end if room is None else min(end, len(self._content) + room)

    def _grew(self, size_bytes: int) -> None:
        """A file without a name counts no more."""
        if self._visitor.files.kept(self.path).get(self.path) is self._content:
            self._visitor.files.grow(self.path, size_bytes)


class Visitor:
    """One user on one host's files. Paths are absolute, or from the user's home."""

    def __init__(self, files: HostFiles, uid: int) -> None:
        self.files = files
        self._uid = uid

    def whole(self, path: str) -> str:
        """The path with nothing relative left in it."""
        found = posixpath.normpath(posixpath.join(HOME, path))
        if "\0" in path or len(found) > _LONGEST_PATH:
            _refuse(errno.EINVAL, path[:80])
        return "/" + found.lstrip("/")

    def stat(self, path: str) -> Entry:
        path = self.whole(path)
        if self.files.is_folder(path):
            mode = 0o1777 if path in _STICKY else 0o755
            owner = self._uid if path == HOME or path in self.files.made_folders else 0
            return Entry(True, 4096, mode, owner, self.files.booted_s)
        is_mine = path.startswith(OF_EVERYBODY)
        size = len(self._read(path))
        return Entry(False, size, 0o644, self._uid if is_mine else 0, self.files.booted_s)

    def names(self, path: str) -> list[str]:
        """What is in a folder."""
        path = self.whole(path)
        if not self.files.is_folder(path):
            _refuse(errno.ENOENT if self.files.read(path) is None else errno.ENOTDIR, path)
        if not self._may_look(path + "/"):
            _refuse(errno.EACCES, path)
        prefix = path.rstrip("/") + "/"
        folders = {item for item in (*FOLDERS, *self.files.made_folders) if item.startswith(prefix)}
        inner = {item.removeprefix(prefix).partition("/")[0] for item in folders} - {""}
        return sorted(inner | set(self.files.paths(path)))

    def open(
        self,
        path: str,
        *,
        writes: bool = False,
        creates: bool = False,
        truncates: bool = False,
        appends: bool = False,
        only_new: bool = False,
    ) -> OpenFile:
        path = self.whole(path)
        if self.files.is_folder(path):
            _refuse(errno.EISDIR, path)
        if not writes:
            return OpenFile(self, path, self._read(path), writes=False, appends=False)
        self._check_place(path)
        kept = self.files.kept(path)
        found = kept.get(path)
        if found is None and not creates:
            _refuse(errno.ENOENT, path)
        if found is not None and creates and only_new:
            _refuse(errno.EEXIST, path)
        content = bytearray() if found is None or truncates else bytearray(found)
        if isinstance(found, bytearray) and not truncates:
            content = found  # others who have it open see what is written
        self.files.keep(path, content)
        return OpenFile(self, path, content, writes=True, appends=appends)

    def remove(self, path: str) -> None:
        path = self.whole(path)
        if self.files.is_folder(path):
            _refuse(errno.EISDIR, path)
        self._read(path)
        self._check_place(path)
        self.files.drop(path)

    def make_folder(self, path: str) -> None:
        path = self.whole(path)
        if self.files.is_folder(path) or self.files.read(path) is not None:
            _refuse(errno.EEXIST, path)
        self._check_place(path)
        if self.files.room(path) == 0:
            _refuse(errno.ENOSPC, path)
        self.files.made_folders.add(path)

    def remove_folder(self, path: str) -> None:
        path = self.whole(path)
        if not self.files.is_folder(path):
            _refuse(errno.ENOENT if self.files.read(path) is None else errno.ENOTDIR, path)
        self._check_place(path)
        if self.names(path):
            _refuse(errno.ENOTEMPTY, path)
        self.files.made_folders.discard(path)

    def rename(self, old: str, new: str, *, replaces: bool = False) -> None:
        """Give a file another name. `replaces`: also one that is taken. Folders are not moved (EXDEV)."""
        old, new = self.whole(old), self.whole(new)
        if self.files.is_folder(old) or self.files.is_folder(new):
            _refuse(errno.EXDEV if self.files.is_folder(old) else errno.EISDIR, old)
        self._read(old)
        self._check_place(old)
        self._check_place(new)
        if old == new:
            return
        if self.files.read(new) is not None and not replaces:
            _refuse(errno.EEXIST, new)
        files = self.files.kept(old)
        if files is not self.files.kept(new):
            _refuse(errno.EXDEV, new)
        self.files.drop(new)
        files[new] = files.pop(old)

    def _check_place(self, path: str) -> None:
        """Raises OSError where this user may not make or change a file."""
        if self._uid != 0 and not path.startswith(OF_EVERYBODY):
            _refuse(errno.EACCES, path)
        folder = posixpath.dirname(path)
        if not self.files.is_folder(folder):
            _refuse(errno.ENOENT if self.files.read(folder) is None else errno.ENOTDIR, path)

    def _may_look(self, path: str) -> bool:
        try:
            self.files.read(path, self._uid)
        except PermissionError:
            return False
        return True

    def _read(self, path: str) -> bytes | bytearray:
        """A file as it is. OSError where it is not, or not for this user."""
        if not self._may_look(path):
            _refuse(errno.EACCES, path)
        found = self.files.kept(path).get(path)
        content = self.files.read(path, self._uid) if found is None else found
        if content is None:
            _refuse(errno.ENOENT, path)
        return content


def _refuse(number: int, path: str) -> NoReturn:
    raise OSError(number, os.strerror(number), path)
