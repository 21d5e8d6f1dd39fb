"""The simulated fleet behind the same seam as SSH, without a socket: for tests with thousands of reboots.

The probe's bytes are those of the SSH server, and a host that is down, shuts down, or does not let in fails
with the same errors. Each run is a login of its own. Where the fleet's clock stands, waiting for a command
lets the fleet's time pass, and timeouts are of that time.
"""

from __future__ import annotations

from typing import NoReturn

from collectors.errors import ConnectFailed, OutcomeUnknown, Reach
from collectors.transport import Completed, Target
from console.demo import commands
from console.demo.faults import SLOW_S, Wire
from console.demo.fleet_life import NOLOGIN, FleetLife, HostDown
from console.demo.live.kinds import Power
from console.demo.world import Access, KeyRecord

_KILLED = -1
_NO_MARK = 65
_NO_HOST = "no simulated host has this name"


class MemoryTransport:
    """Implements `collectors.transport.Transport` over a FleetLife; targets are found by their name."""

    def __init__(self, life: FleetLife) -> None:
        self.life = life
        self.runs = 0
        """How many commands reached a host."""
        self._trusted = {name: host.key_generation for name, host in life.hosts.items()}

    async def run(
        self, target: Target, command: str, stdin: bytes, *, timeout_s: float, limit_bytes: int
    ) -> Completed:
        """Run `command` on the host; see `Transport.run` for the three outcomes."""
        await self._log_in(target, timeout_s)
        self.runs += 1
        name, began = target.name, self.life.seconds()
        wires = self.life.wires(name)
        if Wire.HANG in wires:
            await self.life.sleep(timeout_s)
            _unknown(target, f"no end of the command within {timeout_s:g} s", Reach.TIMEOUT)
        out, status = await self._answer(target, command, stdin, timeout_s)
        out = _on_its_way(target, command, out, wires)
        if Wire.SLOW in wires:
            await self.life.sleep(min(SLOW_S, timeout_s))
            if timeout_s <= SLOW_S:
                _unknown(target, f"no end of the command within {timeout_s:g} s", Reach.TIMEOUT, out[:1])
        if len(out) > limit_bytes:
            text = "more output than the limit allows"
            _unknown(target, text, Reach.PROBE_INCOMPLETE, out[:limit_bytes])
        return Completed(out, status, self.life.seconds() - began)

    async def close(self) -> None:
        """Nothing is kept open."""

    def trust(self, name: str) -> None:
        """Take the host's present key as the right one, as a person would who has compared it."""
        self._trusted[name] = self.life.host(name).key_generation

    async def _log_in(self, target: Target, timeout_s: float) -> None:
        """Raises ConnectFailed where the host does not let us in."""
        if target.name not in self.life.hosts:
            _refused(target, _NO_HOST, Reach.UNREACHABLE)
        host = self.life.host(target.name)
        state, place = host.state, target.address
        if state.access is Access.SILENT:
            await self.life.sleep(min(target.connect_timeout_s, timeout_s))
            _refused(target, f"no answer from {place}", Reach.TIMEOUT)
        if host.power not in (Power.ON, Power.SHUTTING_DOWN):
            text = f"{place} refused the connection: is sshd running, is the port right?"
            _refused(target, text, Reach.UNREACHABLE)
        if state.key_record is KeyRecord.MISSING:
            _refused(target, "host key not known", Reach.HOST_KEY_UNKNOWN)
        if state.key_record is KeyRecord.OTHER or host.key_generation != self._trusted[target.name]:
            _refused(target, "host key changed", Reach.HOST_KEY_CHANGED)
        if not host.accepts_logins:
            _refused(target, f"{place} says: {NOLOGIN}", Reach.REBOOTING)
        if state.access is Access.KEY_REFUSED:
            _refused(target, f"{place} does not let {target.user} in", Reach.AUTH_FAILED)

    async def _answer(
        self, target: Target, command: str, stdin: bytes, timeout_s: float
    ) -> tuple[bytes, int]:
        """What the host says to a command, and its exit status."""
        units = commands.probe_units(command)
        if units is not None:
            mark, newline, _ = stdin.partition(b"\n")
            if not newline:
                return b"", _NO_MARK
            return self.life.probe(target.name, mark.decode("ascii", "replace"), units), 0
        said = bytearray()
        try:
            status = await self.life.execute(
                target.name, command, stdin, lambda out, err: said.extend(out), timeout_s=timeout_s
            )
        except TimeoutError:
            text = f"no end of the command within {timeout_s:g} s"
            _unknown(target, text, Reach.TIMEOUT, bytes(said))
        except HostDown:
            if self.life.power(target.name) is Power.ON:
                return bytes(said), _KILLED
            _unknown(target, "the connection was cut", Reach.UNREACHABLE, bytes(said))
        return bytes(said), status


def _on_its_way(target: Target, command: str, out: bytes, wires: frozenset[Wire]) -> bytes:
    """What arrives of an answer. Raises OutcomeUnknown where the connection is cut in its middle."""
    half = out[: len(out) // 2]
    if Wire.DROP in wires:
        _unknown(target, "the connection was cut", Reach.UNREACHABLE, half)
    is_probe = commands.probe_units(command) is not None  # cut off where it hurts by the host itself
    return half if Wire.TRUNCATED in wires and not is_probe else out


def _refused(target: Target, text: str, reach: Reach) -> NoReturn:
    raise ConnectFailed(target.name, text, reach)


def _unknown(target: Target, text: str, reach: Reach, output: bytes = b"") -> NoReturn:
    raise OutcomeUnknown(target.name, f"{target.address}: {text}", reach, output)
