"""What evidence is judged with: a step and its time, how its unit ended, words for what is unread. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from actions.orders import Baseline, Goal, Outcome, Phase, Step
from actions.policy_look import Look
from actions.remote.extra import OrderUnit
from actions.remote.words import Exit
from actions.situation import REMEDIES
from collectors.classify import UPDATER
from collectors.facts import HostFacts
from collectors.slots import pair

SETTLES = "the next look settles it"
ASK_AGAIN = "look at the host, then ask again"
_COMPLAINT = re.compile(r"failed|NOT|could not|missing or damaged|was refused|ended with [1-9]")
"""In a line that an order's unit tells."""
_UNIT_WORDS: dict[int, str] = {
    Exit.STEP_FAILED: "a step failed on the host",
    Exit.NOT_UNDONE: "a step failed on the host, and not all before it could be undone",
    Exit.BAD_PAYLOAD: "the payload on the host is missing or damaged",
    Exit.REFUSED: "the host's state had changed by then, and nothing was done",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A step as it is judged now."""

    step: Step
    goal: Goal
    was: Baseline
    elapsed_s: float
    now: datetime

    @property
    def is_late(self) -> bool:
        return self.elapsed_s >= self.step.deadline_s

    def ended(self, phase: Phase, code: str, text: str, evidence: Mapping[str, object]) -> Outcome:
        return Outcome(phase, code, text, evidence, self.now)

    def failed(self, code: str, text: str, **evidence: object) -> Outcome:
        return self.ended(Phase.FAILED, code, text, evidence)

    def done(self, code: str, text: str, **evidence: object) -> Outcome:
        return self.ended(Phase.DONE, code, text, evidence)

    def unknown_when_late(self, code: str, text: str, **evidence: object) -> Outcome | None:
        return self.ended(Phase.UNKNOWN, code, text, evidence) if self.is_late else None

    def failed_when_late(self, code: str, text: str, **evidence: object) -> Outcome | None:
        return self.failed(code, text, **evidence) if self.is_late else None


def unit_is_over(look: Look) -> bool:
    unit = look.extra.unit if look.extra else None
    return unit is not None and unit.load == "loaded" and unit.is_over


def unit_is_gone(look: Look) -> bool:
    """Somebody stopped it: one that ends by itself stays loaded until the boot."""
    unit = look.extra.unit if look.extra else None
    return unit is not None and unit.load == "not-found"


def unit_runs(look: Look) -> bool:
    unit = look.extra.unit if look.extra else None
    return unit is not None and unit.load == "loaded" and not unit.is_over


def bad_end(look: Look) -> OrderUnit | None:
    """The order's unit, if it is over and says that not all went well."""
    unit = look.extra.unit if look.extra else None
    return unit if unit is not None and unit_is_over(look) and unit.status not in (0, None) else None


def unit_words(look: Look, unit: OrderUnit) -> str:
    """How it ended, and what it complained of itself."""
    what = _UNIT_WORDS.get(unit.status or 0, f"its unit ended with {unit.status}")
    log = look.extra.log if look.extra else ()
    told = list(dict.fromkeys(line for line in log if _COMPLAINT.search(line)))
    return f"{what} ({', '.join(told[-3:])})" if told else what


def unread_remedy(facts: HostFacts) -> str:
    return REMEDIES["slots_unread" if facts.privileged else "unprivileged"]


def engine_remedy(facts: HostFacts) -> str:
    unit = facts.units.get(UPDATER)
    return REMEDIES["masked" if unit is not None and unit.is_masked else "engine_down"]


def conf_words(case: Case, look: Look) -> str:
    """Whether an update.conf that was borrowed is as it was."""
    digest = look.extra.conf_digest if look.extra else None
    guard = case.step.guard
    if guard is None or digest in (None, guard.conf_digest):
        return ""
    return "; update.conf is not as it was before: look at its SERVER, then repair"


def is_well(step: Step, look: Look) -> bool:
    """Whether a host that was rebooted is confirmed and not worse than before, whichever slot it runs."""
    facts, was = look.facts, step.baseline
    both = pair(facts) if facts is not None else None
    if facts is None or both is None or was is None or step.machine_id != facts.identity.machine_id:
        return False
    return bool(both[0].successful) and not list(worse_than(was, facts, look))


def worse_than(was: Baseline, facts: HostFacts, look: Look) -> Iterator[str]:
    """What is not as well as it was; what was not read is not well."""
    if facts.failed_units is None:
        yield "failed units not read"
    yield from (f"{name} failed" for name in facts.failed_units or () if name not in was.failed_units)
    for name in was.active_units:
        unit = facts.units.get(name)
        if unit is None or unit.active != "active":
            yield f"{name} is {unit.active if unit else 'not there'}"
    if (running := facts.passing.containers or 0) < was.containers:
        yield f"{running or 'no'} containers are seen to run, {was.containers} did"
    yield from (f"no good answer to {question}" for question in was.health if not look.health.get(question))
