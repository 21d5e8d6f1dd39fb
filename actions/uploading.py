"""Payload files on their way from the console to a host: read, summed, sent in pieces."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import BinaryIO

from actions.orders import Asked
from actions.remote.stage import PayloadFile
from actions.remote.upload import PIECE_BYTES, UPLOAD_COMMAND, upload_stdin, uploaded_length
from actions.remote.words import Unsendable
from collectors.errors import ConfigError, ConnectFailed, OutcomeUnknown
from collectors.transport import Target, Transport

PIECE_TIMEOUT_S = 180.0


@dataclass(frozen=True, slots=True)
class Payload:
    """Files of a `stage --payload`: the OS first, then its extensions."""

    paths: tuple[Path, ...]
    files: tuple[PayloadFile, ...]
    size_bytes: int


def read_payload(asked: Asked) -> Payload | None:
    """The files that an order names, with their sums; None where it names none. Raises ConfigError."""
    if asked.payload is None:
        return None
    paths = tuple(Path(text) for text in (asked.payload, *asked.extension_payloads))
    files, size_bytes = [], 0
    for path in paths:
        try:
            with path.open("rb") as file:
                files.append(PayloadFile(path.name, file_digest(file, "sha256").hexdigest()))
            size_bytes += path.stat().st_size
        except OSError as error:
            raise ConfigError(str(path), "payload", f"cannot be read: {error.strerror}") from error
    names = [item.name for item in files]
    if len(set(names)) != len(names):
        raise ConfigError(str(paths[0]), "payload", "two files have the same name")
    return Payload(paths, tuple(files), size_bytes)


async def upload(transport: Transport, target: Target, order_id: str, payload: Payload) -> str | None:
    """Bring the files onto the host. What went wrong, in words; None: they are there in their full length."""
    for path in payload.paths:
        try:
            with path.open("rb") as file:
                problem = await _send_file(transport, target, order_id, path, file)
        except OSError as error:
            problem = f"{path}: {error.strerror}"
        if problem is not None:
            return problem
    return None


async def take_away(transport: Transport, target: Target, order_id: str) -> None:
    """Remove what was brought, as far as the host can be reached; the order's own end does it too."""
    try:
        stdin = upload_stdin(order_id, None, 0)
        await transport.run(target, UPLOAD_COMMAND, stdin, timeout_s=PIECE_TIMEOUT_S, limit_bytes=4096)
    except (ConnectFailed, OutcomeUnknown):
        return


async def _send_file(
    transport: Transport, target: Target, order_id: str, path: Path, file: BinaryIO
) -> str | None:
    length = 0
    while piece := file.read(PIECE_BYTES):
        try:
            stdin = upload_stdin(order_id, path.name, length, piece)
            done = await transport.run(
                target, UPLOAD_COMMAND, stdin, timeout_s=PIECE_TIMEOUT_S, limit_bytes=4096
            )
        except (ConnectFailed, OutcomeUnknown) as error:
            return f"{path.name} could not be brought over: {error.message}"
        except Unsendable as error:
            return str(error)
        length += len(piece)
        if uploaded_length(done.stdout, order_id) != length:
            return (
                f"{path.name} could not be written on the host (exit {done.exit_status}): is /var/tmp full?"
            )
    return None
