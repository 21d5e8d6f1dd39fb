"""The clock of this machine, for those who carry something out."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Goes on while the machine is suspended, where the system has such a clock."""


class WallClock:
    """Real time: from the clock of the start on it never jumps; beside it the clock as it is set."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._began_s = time.clock_gettime(_STEADY)

    def now(self) -> datetime:
        return self._start + timedelta(seconds=time.clock_gettime(_STEADY) - self._began_s)

    def wall(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
