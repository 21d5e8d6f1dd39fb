"""SFTP of the simulated hosts: the files of the model through asyncssh, and none of this machine's.

asyncssh's own server works on the local file system. Every one of its operations is answered here from the
host's model or refused, and should one be added there, its way to a local path is closed (`map_path`).
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from typing import cast

import asyncssh
from asyncssh.channel import SSHChannel
from asyncssh.stream import SSHServerStreamSession

from console.demo.faults import SLOW_S, SLOW_STEPS, Wire
from console.demo.fleet_life import CORE_UID, FleetLife
from console.demo.live.kinds import Power
from console.demo.live.visitor import Entry, OpenFile, Visitor

Sftp = SSHServerStreamSession[bytes]
_VERSION = 3
_BLOCK = 4096


def sftp(life: FleetLife, name: str) -> Sftp:
    """The session that speaks SFTP for one host."""
    return SSHServerStreamSession(None, lambda channel: HostFilesServer(channel, life, name), _VERSION)


class HostFilesServer(asyncssh.SFTPServer):
    """One visit of user core to one host's files."""

    def __init__(self, channel: SSHChannel[bytes], life: FleetLife, name: str) -> None:
        super().__init__(cast("asyncssh.SSHServerChannel[bytes]", channel))
        self._life = life
        self._name = name

    async def _host(self) -> Visitor:
        """The host's files as they are now, after what faults of the wire make of the way to them."""
        wires = self._life.wires(self._name)
        if Wire.DROP in wires:
            self.connection.abort()
        if wires & {Wire.DROP, Wire.HANG}:
            await self.connection.wait_closed()
            raise asyncssh.SFTPConnectionLost(f"{self._name}: the connection is gone")
        if Wire.SLOW in wires:
            await asyncio.sleep(SLOW_S / SLOW_STEPS)
        host = self._life.host(self._name)
        if host.power not in (Power.ON, Power.SHUTTING_DOWN):
            raise asyncssh.SFTPConnectionLost(f"{self._name} is {host.power}")
        return host.visitor(CORE_UID)

    # -- no way out ---------------------------------------------------------------------------

    def map_path(self, path: bytes) -> bytes:
        raise asyncssh.SFTPPermissionDenied("a simulated host has no files on this machine")

    def reverse_map_path(self, path: bytes) -> bytes:
        raise asyncssh.SFTPPermissionDenied("a simulated host has no files on this machine")

    def format_user(self, uid: int | None) -> str:
        return _name_of(uid)

    def format_group(self, gid: int | None) -> str:
        return _name_of(gid)

    # -- files --------------------------------------------------------------------------------

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> object:
        visitor = await self._host()
        return visitor.open(
            _text(path),
            writes=bool(pflags & (asyncssh.FXF_WRITE | asyncssh.FXF_APPEND)),
            creates=bool(pflags & asyncssh.FXF_CREAT),
            truncates=bool(pflags & asyncssh.FXF_TRUNC),
            appends=bool(pflags & asyncssh.FXF_APPEND),
            only_new=bool(pflags & asyncssh.FXF_EXCL),
        )

    async def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> object:
        raise asyncssh.SFTPOpUnsupported("version 3 is spoken here")

    async def close(self, file_obj: object) -> None:
        """What was written is there already."""

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        await self._host()
        file, end = _opened(file_obj), offset + size
        if Wire.TRUNCATED in self._life.wires(self._name):
            end = min(end, file.size_bytes // 2)
        return file.read(offset, max(0, end - offset))

    async def write(self, file_obj: object, offset: int, data: bytes) -> int:
        await self._host()
        _opened(file_obj).write(offset, data)
        return len(data)

    async def remove(self, path: bytes) -> None:
        (await self._host()).remove(_text(path))

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        (await self._host()).rename(_text(oldpath), _text(newpath))

    async def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        (await self._host()).rename(_text(oldpath), _text(newpath), replaces=True)

    async def fsync(self, file_obj: object) -> None:
        await self._host()

    # -- what is known of them ----------------------------------------------------------------

    async def stat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return _attrs((await self._host()).stat(_text(path)))

    async def lstat(self, path: bytes) -> asyncssh.SFTPAttrs:
        return await self.stat(path)

    async def fstat(self, file_obj: object) -> asyncssh.SFTPAttrs:
        await self._host()
        return asyncssh.SFTPAttrs(size=_opened(file_obj).size_bytes, permissions=stat.S_IFREG | 0o644)

    async def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        """Sizes count; modes, owners and times are not kept."""
        visitor = await self._host()
        if attrs.size is not None:
            visitor.open(_text(path), writes=True).truncate(attrs.size)
        else:
            visitor.stat(_text(path))

    async def lsetstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        await self.setstat(path, attrs)

    async def fsetstat(self, file_obj: object, attrs: asyncssh.SFTPAttrs) -> None:
        await self._host()
        if attrs.size is not None:
            _opened(file_obj).truncate(attrs.size)

    async def realpath(self, path: bytes) -> bytes:
        return (await self._host()).whole(_text(path)).encode()

    async def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        await self._host()
        use = self._life.host(self._name).state.disks.get("/")
        size, free = (use.size_bytes, use.available_bytes) if use else (0, 0)
        return asyncssh.SFTPVFSAttrs(
            bsize=_BLOCK, frsize=_BLOCK, blocks=size // _BLOCK, bfree=free // _BLOCK, bavail=free // _BLOCK
        )

    async def fstatvfs(self, file_obj: object) -> asyncssh.SFTPVFSAttrs:
        return await self.statvfs(_opened(file_obj).path.encode())

    # -- folders ------------------------------------------------------------------------------

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        visitor, folder = await self._host(), _text(path)
        for name in (".", "..", *visitor.names(folder)):
            yield asyncssh.SFTPName(name.encode(), attrs=_attrs(visitor.stat(f"{folder}/{name}")))

    async def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        (await self._host()).make_folder(_text(path))

    async def rmdir(self, path: bytes) -> None:
        (await self._host()).remove_folder(_text(path))

    # -- links and locks: there are none ------------------------------------------------------

    async def readlink(self, path: bytes) -> bytes:
        (await self._host()).stat(_text(path))
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    async def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("no links are made here")

    async def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("no links are made here")

    async def lock(self, file_obj: object, offset: int, length: int, flags: int) -> None:
        raise asyncssh.SFTPOpUnsupported("no locks are given here")

    async def unlock(self, file_obj: object, offset: int, length: int) -> None:
        raise asyncssh.SFTPOpUnsupported("no locks are given here")

    async def exit(self) -> None:
        """Nothing is kept open."""


def _opened(file_obj: object) -> OpenFile:
    assert isinstance(file_obj, OpenFile)
    return file_obj


def _text(path: bytes) -> str:
    """A path as the host knows it. OSError where it is no text."""
    try:
        return path.decode("utf-8")
    except UnicodeDecodeError:
        raise OSError(errno.EILSEQ, os.strerror(errno.EILSEQ)) from None


def _attrs(entry: Entry) -> asyncssh.SFTPAttrs:
    kind = stat.S_IFDIR if entry.is_folder else stat.S_IFREG
    return asyncssh.SFTPAttrs(
        size=entry.size_bytes,
        uid=entry.uid,
        gid=entry.uid,
        permissions=kind | entry.mode,
        atime=entry.changed_s,
        mtime=entry.changed_s,
    )


def _name_of(number: int | None) -> str:
    return {0: "root", CORE_UID: "core", None: ""}.get(number, str(number))
