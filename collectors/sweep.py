"""Ask many hosts at once: one probe each, one observation each, whatever happens to the others."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from collectors.errors import ConnectFailed, OutcomeUnknown, Reach
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.parse.answer import parse_answer
from collectors.probe import LIMIT_BYTES, probe_command
from collectors.transport import Target, Transport

OnObservation = Callable[[Observation], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One host to ask, and how long the whole exchange may take."""

    target: Target
    timeout_s: float = 30.0


def utc_now() -> datetime:
    return datetime.now(UTC)


async def look(
    transport: Transport, ask: Ask, command: str, *, salt: bytes, now: Callable[[], datetime] | None = None
) -> Observation:
    """One probe of one host; what goes wrong is in the observation, never raised.

    `now`: the clock that dates it, aware UTC; this machine's own without.
    """
    now = now or utc_now
    mark = secrets.token_hex(16)
    host, begun = ask.target.name, asyncio.get_running_loop().time()
    try:
        done = await transport.run(
            ask.target, command, mark.encode() + b"\n", timeout_s=ask.timeout_s, limit_bytes=LIMIT_BYTES
        )
        output, latency_s = done.stdout, done.latency_s
    except ConnectFailed as error:
        return ProbeFailed(host, now(), error.reach, error.message)
    except OutcomeUnknown as error:
        if mark.encode() not in error.output:
            return ProbeFailed(host, now(), error.reach, error.message)
        output, latency_s = error.output, asyncio.get_running_loop().time() - begun
    if mark.encode() not in output:
        return ProbeFailed(host, now(), Reach.PROBE_INCOMPLETE, "answered, but not the probe")
    try:
        facts = parse_answer(output, mark, salt=salt)
    except (ValueError, ArithmeticError, LookupError, RecursionError) as error:
        # Parsers raise nothing but ParseError, and that stays inside. Should one do so all the same, the
        # host is not read, and the sweep goes on.
        return ProbeFailed(host, now(), Reach.PROBE_INCOMPLETE, f"not understood: {type(error).__name__}")
    return Answer(host, now(), facts, latency_s)


async def sweep(
    transport: Transport,
    asks: Iterable[Ask],
    units: tuple[str, ...],
    on_observation: OnObservation,
    *,
    salt: bytes,
    at_once: int,
    spread_s: float = 0.0,
) -> None:
    """Look at every host, at most `at_once` at a time, and hand over each observation as it comes.

    `spread_s`: the looks begin in random order at even distances over so many seconds.
    """
    command, waiting = probe_command(units), list(asks)
    step_s = spread_s / len(waiting) if waiting else 0.0
    if step_s:
        secrets.SystemRandom().shuffle(waiting)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    queue = enumerate(waiting)

    async def worker() -> None:
        for place, ask in queue:
            await asyncio.sleep(max(0.0, begun + place * step_s - loop.time()))
            await on_observation(await look(transport, ask, command, salt=salt))

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
