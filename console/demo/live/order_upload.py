"""The upload of a payload, piece by piece, on a live host. Source of each step: `actions.remote.upload`.

A folder that a visitor made there belongs to the visitor, and is not used.
"""

from __future__ import annotations

import re

from actions.remote.stage import FILE_NAME, PAYLOAD_DIR
from actions.remote.words import Exit
from console.demo.live.body import Body, Call
from console.demo.live.host_files import HostFiles
from console.demo.live.kinds import Reply
from console.demo.live.order_run import is_order

_LIMITS = (100, 200, 20)
_NAME = re.compile(f"-|{FILE_NAME}", re.ASCII)
_LENGTH = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)


def upload(body: Body, call: Call) -> Reply:
    lines, piece = _read(call.stdin)
    if len(lines) < len(_LIMITS):
        return Reply(exit_status=int(Exit.MALFORMED))
    order, name, length = lines
    if not (is_order(order) and _NAME.fullmatch(name) and _LENGTH.fullmatch(length)):
        return Reply(exit_status=int(Exit.MALFORMED))
    files, folder = HostFiles(body.machine), PAYLOAD_DIR.format(order=order)
    if name == "-":
        remove_folder(files, folder)
        return Reply(f"fleetctl {order} length 0\n".encode())
    status, now = _append(files, folder, f"{folder}/{name}", int(length), piece)
    return Reply(b"" if status else f"fleetctl {order} length {now}\n".encode(), b"", int(status))


def remove_folder(files: HostFiles, folder: str) -> None:
    for name in files.paths(folder):
        files.remove(f"{folder}/{name}")
    files.made_folders.discard(folder)


def _read(stdin: bytes) -> tuple[list[str], bytes]:
    """What bash's `read -n` takes of the first lines, and what is behind them."""
    lines = []
    for limit in _LIMITS:
        head = stdin[:limit]
        line, newline, _ = head.partition(b"\n")
        if not newline and len(head) < limit:
            break
        lines.append(line.decode("latin-1"))
        stdin = stdin[len(line) + len(newline) :]
    return lines, stdin


def _append(files: HostFiles, folder: str, path: str, length: int, piece: bytes) -> tuple[int, int]:
    """Exit status and the file's length now; a full disk takes what there is room for."""
    room = files.room(path)
    if folder in files.made_folders or (room == 0 and not files.is_folder(folder)):
        return Exit.NOT_STARTED, 0
    found = files.kept(path).get(path)
    if not isinstance(found, bytearray):
        found = bytearray(found or b"")
        files.keep(path, found)
    if len(found) != length:
        return Exit.MOVED, len(found)
    fitting = piece if room is None else piece[:room]
    found.extend(fitting)
    files.grow(path, len(fitting))
    return (0 if len(fitting) == len(piece) else Exit.NOT_STARTED), len(found)
