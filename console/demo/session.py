"""One session on a simulated host: a command and how its answer arrives, or SFTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import asyncssh

from console.demo import commands
from console.demo.faults import SLOW_S, SLOW_STEPS, Wire
from console.demo.fleet_life import FleetLife, HostDown
from console.demo.live.kinds import Power
from console.demo.sftp import Sftp, sftp

_NO_MARK = 65
"""The probe's own exit status where its first line does not come."""
_LONGEST_MARK = 256
_LONGEST_INPUT = 64 * 1024 * 1024
_BEFORE_CUT_S = 0.05


class Session(asyncssh.SSHServerSession[bytes]):
    """One command on one host, or a visit to its files."""

    def __init__(
        self,
        life: FleetLife,
        name: str,
        *,
        latency_s: float,
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._life = life
        self._name = name
        self._latency_s = latency_s
        self._ended = ended
        """Told of the task that ran the command."""
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._command: str | None = None
        self._units: tuple[str, ...] | None = None
        """What the probe is asked about; None: another command."""
        self._needs_input = False
        """A probe that still waits for its mark, a program that waits for the end of its input."""
        self._input = b""
        self._work: asyncio.Task[None] | None = None
        self._files: Sftp | None = None
        """Who speaks SFTP here instead."""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def connection_lost(self, exc: Exception | None) -> None:
        if self._files is not None:
            self._files.connection_lost(exc)
        if self._work is not None:
            self._work.cancel()  # only its waiting: what runs on the host runs on

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        self._units = commands.probe_units(command)
        self._needs_input = self._units is not None or commands.reads_stdin(command)
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        if subsystem != "sftp" or self._channel is None:
            return False
        self._files = sftp(self._life, self._name)
        self._files.connection_made(self._channel)
        return True

    def session_started(self) -> None:
        if self._files is not None:
            self._files.session_started()
        elif not self._needs_input:
            self._begin()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if self._files is not None:
            self._files.data_received(data, datatype)
        if not self._needs_input:
            return
        self._input += data
        if self._units is None:
            self._needs_input = len(self._input) <= _LONGEST_INPUT
        elif b"\n" in data:
            self._begin()
        elif len(self._input) > _LONGEST_MARK:
            self._without_mark()

    def eof_received(self) -> bool:
        if self._files is not None:
            return bool(self._files.eof_received())
        if self._needs_input and self._units is not None:
            self._without_mark()
        elif self._needs_input:
            self._begin()
        return True

    def pause_writing(self) -> None:
        if self._files is not None:
            self._files.pause_writing()

    def resume_writing(self) -> None:
        if self._files is not None:
            self._files.resume_writing()

    def _without_mark(self) -> None:
        self._needs_input = False
        self._end(b"", b"", _NO_MARK)

    def _begin(self) -> None:
        self._needs_input = False
        wires = self._life.wires(self._name)
        if self._units is not None and not wires and not self._latency_s:
            self._end(self._probed(self._units), b"", 0)
        elif Wire.HANG not in wires:
            self._work = asyncio.get_running_loop().create_task(self._run(wires))
            self._work.add_done_callback(self._ended)

    def _probed(self, units: tuple[str, ...]) -> bytes:
        mark = self._input.partition(b"\n")[0].decode("ascii", "replace")
        return self._life.probe(self._name, mark, units)

    async def _run(self, wires: frozenset[Wire]) -> None:
        """Do what was asked, and answer as faults of the wire let it."""
        await asyncio.sleep(self._latency_s)
        life, kept = self._life, [b"", b""]
        is_kept = bool(wires & {Wire.DROP, Wire.SLOW, Wire.TRUNCATED})

        def said(out: bytes, err: bytes) -> None:
            if is_kept:
                kept[0] += out
                kept[1] += err
            else:
                self._write(out, err)

        status = 0
        if self._units is not None:
            said(self._probed(self._units), b"")
        elif self._command is None:
            said(commands.motd(life.host(self._name).state).encode(), b"")
        else:
            try:
                status = await life.execute(self._name, self._command, self._input, said)
            except HostDown:
                if self._channel is not None and life.power(self._name) is Power.ON:
                    self._channel.exit_with_signal("KILL")
                return
        await self._deliver(kept[0], kept[1], status, wires)

    async def _deliver(self, out: bytes, err: bytes, status: int, wires: frozenset[Wire]) -> None:
        channel, cut = self._channel, len(out) // 2
        if Wire.DROP in wires and channel is not None:
            self._write(out[:cut])
            await asyncio.sleep(_BEFORE_CUT_S)  # so that what was written is on its way
            channel.get_connection().abort()
        if Wire.TRUNCATED in wires and self._units is None:
            out = out[:cut]
        if Wire.SLOW in wires:
            size = len(out) // SLOW_STEPS + 1
            for start in range(0, len(out), size):
                await asyncio.sleep(SLOW_S / SLOW_STEPS)
                self._write(out[start : start + size])
            out = b""
        self._end(out, err, status)

    def _write(self, out: bytes, err: bytes = b"") -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._channel.write(out)
            if err:
                self._channel.write_stderr(err)

    def _end(self, out: bytes, err: bytes, status: int) -> None:
        if self._channel is not None and not self._channel.is_closing():
            self._write(out, err)
            self._channel.exit(status)
