"""One look at one host: an answer with facts, or why there are none. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from collectors.errors import Reach
from collectors.facts import HostFacts


@dataclass(frozen=True, slots=True)
class Answer:
    """An observation that has facts."""

    host: str
    at: datetime
    facts: HostFacts
    latency_s: float

    @property
    def reach(self) -> Reach:
        if not self.facts.complete:
            return Reach.PROBE_INCOMPLETE
        other = self.facts.os.id is not None and not self.facts.os.is_flatcar
        return Reach.NOT_FLATCAR if other else Reach.OK


@dataclass(frozen=True, slots=True)
class ProbeFailed:
    """An observation without facts: the host was not reached, or said nothing usable."""

    host: str
    at: datetime
    reach: Reach
    detail: str


Observation = Answer | ProbeFailed
