"""Whether hosts may be changed from the dashboard: not until it is unlocked, and not for long. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Literal

IDLE_S = 300.0
"""Without a key for so long it locks itself."""
State = Literal["locked", "open", "past"]
"""As the screen shows it; in the past nothing can be unlocked."""
READ_ONLY = "read-only: u unlocks"
PAST = "the past is shown: esc comes back"


@dataclass(frozen=True, slots=True)
class Lock:
    """Locked at the start. A clock that ran backwards locks it too: how long ago is then not known."""

    touched_at: datetime | None = None
    """When the last key was pressed; None: locked."""

    def is_open(self, now: datetime) -> bool:
        if self.touched_at is None:
            return False
        return timedelta(0) <= now - self.touched_at < timedelta(seconds=IDLE_S)

    def unlocked(self, now: datetime) -> Lock:
        return Lock(now)

    def locked(self) -> Lock:
        return Lock()

    def touched(self, now: datetime) -> Lock:
        """A key was pressed. What has locked itself meanwhile stays locked."""
        return replace(self, touched_at=now) if self.is_open(now) else Lock()

    def left_words(self, now: datetime) -> str:
        """Until it locks itself, coarse: `5 min`, `under 1 min`; "" where it is locked."""
        if self.touched_at is None or not self.is_open(now):
            return ""
        left_s = IDLE_S - (now - self.touched_at).total_seconds()
        return f"{ceil(left_s / 60)} min" if left_s >= 60 else "under 1 min"
