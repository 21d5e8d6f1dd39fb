"""Runs one hook of the fleet file on the console: an argv list, no shell, bounded in time and output.

A hook has a session of its own, so it never reads the console's keys, and its whole process group is ended
when it takes too long or its order is cancelled. What it prints is hostile as a host's answer is: redacted,
cleaned, the first and the last of it kept. A program that it leaves in the background holds nothing up.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from collectors.fleet_model import FleetHost
from collectors.parse.text import clean
from collectors.redact import redact

HOOK_TIMEOUT_S = 600.0
GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""
LINGER_S = 1.0
"""How long output is waited for once the hook itself has ended."""
KEPT_BYTES = 16 * 1024
_RAW_BYTES = 64 * 1024  # of each end: what is kept is redacted with what stands around it
_POLL_S = 0.05
_SENTENCE = 200
_PROC = Path("/proc")
_PLACEHOLDER = re.compile(r"\{(host|address|node|order)\}")
_ESCAPE = re.compile(
    r"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,1024}(?:\x07|\x1b\\)|[ -/]?[0-~])"
)


class HookWord(StrEnum):
    ENDED = "ended"
    KILLED = "killed"
    """By a signal that was not ours."""
    TIMED_OUT = "timed-out"
    NOT_STARTED = "not-started"


@dataclass(frozen=True, slots=True)
class HookEnd:
    """How a hook ended."""

    word: HookWord
    status: int | None
    """ENDED: the exit status; KILLED: the signal's number; else None."""
    output: str
    """What it printed to standard output and error, at most KEPT_BYTES and a line on what was left out."""
    seconds: float
    text: str
    """One sentence with the last line of the output."""

    @property
    def is_good(self) -> bool:
        return self.word is HookWord.ENDED and self.status == 0


def hook_argv(words: Sequence[str], host: FleetHost, order_id: str) -> tuple[str, ...]:
    """A hook's argv for this host: placeholders filled within each word but the first, never twice."""
    values = {"host": host.name, "address": host.address, "node": host.node, "order": order_id}
    filled = (_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in words[1:])
    return (*words[:1], *filled)


async def run_hook(
    argv: Sequence[str],
    *,
    timeout_s: float,
    salt: bytes,
    started: Callable[[int], None],
    grace_s: float = GRACE_S,
    linger_s: float = LINGER_S,
) -> HookEnd:
    """Run a hook to its end, in the console's own environment; `started` hears of its pid at once.

    Cancelled, or where `started` raises: its process group is ended before the error goes on; cancelled
    again meanwhile: killed at once.
    """
    begun = asyncio.get_running_loop().time()
    printed = _Printed()
    is_late = False
    reader, write_fd = await _pipe(printed)
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_fd,
                stderr=write_fd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return HookEnd(HookWord.NOT_STARTED, None, "", 0.0, _not_started(argv, error))
        finally:
            os.close(write_fd)
        try:
            started(process.pid)
            is_late = not await _ends_within(process, timeout_s)
        finally:
            if process.returncode is None:
                await _end_group(process.pid, grace_s)
        is_left = not await _ends_within(process, grace_s)
        await printed.until_closed(linger_s)
    finally:
        reader.close()
    seconds = asyncio.get_running_loop().time() - begun
    output, last = await asyncio.to_thread(_kept, printed, salt)
    return _end(argv, None if is_late or is_left else process.returncode, output, last, seconds, timeout_s)


async def _ends_within(process: asyncio.subprocess.Process, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        return process.returncode is not None
    return True


def _end(
    argv: Sequence[str], code: int | None, output: str, last: str, seconds: float, timeout_s: float
) -> HookEnd:
    """`code` as asyncio gives it, negative for a signal; None: it took too long."""
    name = _name(argv)
    if code is None:
        word, status = HookWord.TIMED_OUT, None
        said = f"{name} took longer than {timeout_s:g} s and was ended"
    elif code < 0:
        word, status = HookWord.KILLED, -code
        said = f"{name} was killed by {_signal_name(-code)}"
    else:
        word, status = HookWord.ENDED, code
        said = f"{name} ended with {code}"
    return HookEnd(word, status, output, seconds, clean(f"{said}: {last}" if last else said, _SENTENCE))


def _not_started(argv: Sequence[str], error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            why = "there is no such program"
        case PermissionError():
            why = "it may not be run"
        case OSError(strerror=str(words)):
            why = words
        case _:
            why = str(error)
    return clean(f"{_name(argv)} was not started: {why}", _SENTENCE)


def _name(argv: Sequence[str]) -> str:
    return clean(os.path.basename(argv[0]) or argv[0], 40) if argv else "a hook without words"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# -- output -----------------------------------------------------------------------------------


class _Printed(asyncio.Protocol):
    """The first and the last of what comes through a pipe, which is always read, so it never fills up."""

    def __init__(self) -> None:
        self.first = bytearray()
        self.last = bytearray()
        self.size_bytes = 0
        self._closed = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.size_bytes += len(data)
        room = max(_RAW_BYTES - len(self.first), 0)
        self.first += data[:room]
        self.last += data[room:]
        del self.last[:-_RAW_BYTES]

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()

    async def until_closed(self, most_s: float) -> None:
        try:
            async with asyncio.timeout(most_s):
                await self._closed.wait()
        except TimeoutError:
            return  # a program in the background has it open


async def _pipe(printed: _Printed) -> tuple[asyncio.ReadTransport, int]:
    """asyncio's own pipes are no use here: with them a process has not ended until they are closed."""
    read_fd, write_fd = os.pipe()
    try:
        reader, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: printed, os.fdopen(read_fd, "rb", 0)
        )
    except BaseException:
        os.close(write_fd)
        raise
    return reader, write_fd


def _kept(printed: _Printed, salt: bytes) -> tuple[str, str]:
    """What is kept of the output, and its last line that says something."""
    raw = bytes(printed.first + printed.last)
    text = redact(_printable(raw.decode("utf-8", "replace")), salt).rstrip()
    last = text.rpartition("\n")[2].strip()
    whole = text.encode()
    if len(whole) <= KEPT_BYTES and printed.size_bytes == len(raw):
        return text, last
    half = KEPT_BYTES // 2
    left_out = max(printed.size_bytes - KEPT_BYTES, len(whole) - KEPT_BYTES)
    ends = (part.decode("utf-8", "ignore") for part in (whole[:half], whole[half:][-half:]))
    return f"\n[… {left_out} bytes left out …]\n".join(ends), last


def _printable(text: str) -> str:
    """Lines without a terminal's escape sequences; what else does not print becomes U+FFFD."""
    plain = _ESCAPE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    if plain.isprintable():
        return plain
    return "".join(
        char if char in "\n\t" or unicodedata.category(char)[0] != "C" else "\ufffd" for char in plain
    )


# -- processes --------------------------------------------------------------------------------


def process_mark(pid: int) -> str | None:
    """What tells this very process from any other that gets its pid later; None: it is gone.

    Pid, start time, boot. On systems without /proc the pid alone, which `end_left` does not act on.
    """
    if not (_PROC / "self").exists():
        return str(pid)
    found = _stat(str(pid))
    if found is None:
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{pid}:{found.start}:{boot}"


async def end_left(mark: str, *, grace_s: float = GRACE_S) -> bool:
    """End the process group of a hook that a dead console left running; whether there was one.

    Nothing is done unless the pid of `mark` still is that very process, and leads a group of its own.
    """
    number, colon, _ = mark.partition(":")
    if not colon or not number.isdecimal() or process_mark(int(number)) != mark:
        return False
    found = _stat(number)
    if found is None or found.group != int(number) or not _is_alive(found.group):
        return False
    await _end_group(found.group, grace_s)
    return True


async def _end_group(group: int, grace_s: float) -> None:
    """SIGTERM, and SIGKILL to what is left after `grace_s`; cancelled meanwhile: SIGKILL at once."""
    try:
        _signal(group, signal.SIGTERM)
        await _gone_within(group, grace_s)
    finally:
        if _is_alive(group):
            _signal(group, signal.SIGKILL)
    await _gone_within(group, grace_s)


async def _gone_within(group: int, seconds: float) -> None:
    for _ in range(1 + round(seconds / _POLL_S)):
        if not _is_alive(group):
            return
        await asyncio.sleep(_POLL_S)


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # gone, or another user's: sudo's child
        return


def _is_alive(group: int) -> bool:
    """Whether a process of the group runs; one that has ended and that nobody fetches does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    if not (_PROC / "self").exists():
        return True
    members = (_stat(name) for name in os.listdir(_PROC) if name.isdecimal())
    return any(member.group == group and member.state not in "ZX" for member in members if member)


@dataclass(frozen=True, slots=True)
class _Stat:
    state: str
    group: int
    start: int
    """In clock ticks since the machine's boot."""


def _stat(pid: str) -> _Stat | None:
    """Fields 3, 5 and 22 of proc(5)'s stat; the name in field 2 may hold anything. None: it is gone."""
    try:
        _, _, after = (_PROC / pid / "stat").read_text("latin-1").rpartition(")")
    except OSError:
        return None
    fields = after.split()
    return _Stat(fields[0], int(fields[2]), int(fields[19])) if len(fields) > 19 else None
