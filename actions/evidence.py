"""What a later look proves of a step: done, failed, unknown, or nothing yet. Pure.

A command's exit status proves nothing; the host must show it. None means "look again": nothing is called
failed before its deadline that may still come, and nothing done that was not seen.
Rules of the host: flatcar/update_engine:src/update_engine@7382641.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from actions.orders import Baseline, Goal, Outcome, Phase, Step, Verb
from actions.policy import unstaged
from actions.policy_conf import residues
from actions.policy_host import slot_words
from actions.policy_look import Look, held_version, is_version, update_mode
from collectors.errors import Reach
from collectors.facts import Attempt, HostFacts, Operation, SlotName
from collectors.observation import ProbeFailed
from collectors.parse.update_conf import effective_group
from collectors.parse.update_engine import ERROR_CODES, ERROR_MASK, explain
from collectors.reboots import has_begun
from collectors.slots import pair

IDLE_COUNTS_AFTER_S = 6.0
"""update_engine takes a moment to begin: an IDLE before may be that of before."""
DEFERRED = frozenset({35, 36, 40})

_DONE_WORDS = {
    Verb.CANCEL: ("cancelled", "nothing is staged, the running slot boots next"),
    Verb.CHANNEL: ("channel-set", "update.conf says so"),
    Verb.UPDATES: ("updates-set", "update.conf says so"),
    Verb.REPAIR: ("repaired", "nothing to repair is left"),
    Verb.ACTIVATE: ("activated", "runs, confirmed, as well as before"),
    Verb.REBOOT: ("rebooted", "runs again, confirmed, as well as before"),
    Verb.ROLL_BACK: ("rolled-back", "runs again, confirmed, as well as before"),
}


def judge_outcome(step: Step, sent_at: datetime, look: Look | ProbeFailed, now: datetime) -> Outcome | None:
    """What became of `step`, sent at `sent_at`, by a look taken later; None: not to be said yet."""
    case = _Case(step, step.goal or Goal(), step.baseline or Baseline(), (now - sent_at).total_seconds(), now)
    seen = look if isinstance(look, ProbeFailed) else look.seen
    if isinstance(look, ProbeFailed) or isinstance(seen, ProbeFailed):
        assert isinstance(seen, ProbeFailed)
        return _silent(case, seen)
    facts = seen.facts
    if not facts.complete or facts.identity.boot_id is None:
        return case.unknown_when_late("incomplete", "the host's answer is not whole")
    if _is_replaced(case, look, facts, sent_at):
        text = "another machine answers under this name: what became of the first is not known"
        return case.ended(Phase.UNKNOWN, "replaced", text, {"machine_id": facts.identity.machine_id})
    if case.goal.boot_id_not is not None:
        return _booted(case, look, facts)
    if step.verb is Verb.STAGE:
        return _staged(case, look, facts)
    return _settled(case, look, facts)


@dataclass(frozen=True, slots=True)
class _Case:
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


def _silent(case: _Case, failed: ProbeFailed) -> Outcome | None:
    """While it reboots a host refuses, hangs and shuts the door; only the deadline tells that from lost."""
    reach = failed.reach
    if reach is Reach.NOT_FLATCAR:
        return case.unknown_when_late("replaced", "what answers is no Flatcar host", reach=str(reach))
    if reach is Reach.HOST_KEY_CHANGED:
        text = "a host with another key answers: compare its fingerprint at the console"
        return case.unknown_when_late("host-key-changed", text, reach=str(reach))
    if case.goal.boot_id_not is not None:
        text = f"no return within {case.step.deadline_s / 60:g} minutes of the reboot: {failed.detail}"
        return case.unknown_when_late("missing", text, reach=str(reach))
    text = f"it did not answer until the deadline: {failed.detail}"
    return case.unknown_when_late("unknown", text, reach=str(reach))


def _is_replaced(case: _Case, look: Look, facts: HostFacts, sent_at: datetime) -> bool:
    before, now = case.step.machine_id, facts.identity.machine_id
    if before is not None and now is not None and before != now:
        return True
    memory = look.memory
    return memory is not None and memory.replaces is not None and memory.since >= sent_at


# -- reboots ---------------------------------------------------------------------------------------------


def _booted(case: _Case, look: Look, facts: HostFacts) -> Outcome | None:
    goal, was = case.goal, case.was
    if facts.identity.boot_id == goal.boot_id_not:
        unit = look.extra.unit if look.extra else None
        if unit is not None and unit.is_over and unit.status not in (0, None):
            text = f"the host refused to reboot (its unit ended with {unit.status})"
            return case.failed("did-not-reboot", text, log=look.extra.log if look.extra else ())
        return case.failed_when_late("did-not-reboot", "it is still in the same boot at the deadline")
    if facts.running is None or facts.slots is None:
        return case.unknown_when_late("incomplete", "it rebooted; which slot runs is not known")
    version, flags = facts.os.version_id, slot_words(facts)
    shown: dict[str, object] = {"boot_id": facts.identity.boot_id, "version": version, "slots": flags}
    if facts.running != goal.running:
        is_back = facts.running == was.running
        code = "reverted" if is_back else "wrong-slot"
        what = f"{goal.running} did not come up: " if is_back else ""
        text = f"{what}{facts.running} {version} runs, not {goal.running} {goal.version or ''}".rstrip()
        return case.failed(code, text, **shown)
    if goal.version is not None and version != goal.version:
        text = f"{facts.running} runs {version}, not {goal.version}"
        return case.failed("wrong-version", text, **shown)
    return _confirmed(case, look, facts, shown)


def _confirmed(case: _Case, look: Look, facts: HostFacts, shown: dict[str, object]) -> Outcome | None:
    """It came back as ordered; now it must be confirmed and as well as before, by the confirm deadline."""
    both = pair(facts)
    up_s = facts.passing.uptime_s
    spent_s = case.elapsed_s - case.step.deadline_s if up_s is None else up_s
    may_wait = spent_s < case.step.confirm_s
    if case.goal.confirmed and both is not None and not both[0].successful:
        text = f"{facts.running} {facts.os.version_id} runs and is not confirmed"
        return None if may_wait else case.failed("unconfirmed", text, **shown)
    missing = _missing_extensions(case, facts)
    if missing:
        text = f"not merged any more: {', '.join(missing)}"
        return None if may_wait else case.failed("extension-missing", text, **shown)
    if case.goal.server is not None and update_mode(facts) != case.goal.server:
        text = f"its updates are not {case.goal.server}: it may fetch again what it left"
        return case.failed("updates-not-set", text, **shown)
    worse = list(_worse(case.was, facts))
    if worse:
        text = f"worse than before: {', '.join(worse)}"
        return None if may_wait else case.failed("unhealthy", text, worse=worse, **shown)
    code, words = _DONE_WORDS.get(case.step.verb or Verb.REBOOT, ("done", "as ordered"))
    return case.done(code, f"{facts.os.version_id} {words}", **shown)


def _missing_extensions(case: _Case, facts: HostFacts) -> list[str]:
    wanted = case.goal.extensions
    if not wanted:
        return []
    merged = facts.extensions.merged if facts.extensions else ()
    return [name for name in wanted if name not in merged]


def _worse(was: Baseline, facts: HostFacts) -> Iterator[str]:
    """What is not as well as it was; what was not read is not well."""
    if facts.failed_units is None:
        yield "failed units not read"
    yield from (f"{name} failed" for name in facts.failed_units or () if name not in was.failed_units)
    for name in was.active_units:
        unit = facts.units.get(name)
        if unit is None or unit.active != "active":
            yield f"{name} is {unit.active if unit else 'not there'}"
    running = facts.passing.containers or 0
    if running < was.containers:
        yield f"{running} containers run, {was.containers} did"


# -- staging ---------------------------------------------------------------------------------------------


def _staged(case: _Case, look: Look, facts: HostFacts) -> Outcome | None:
    guard = case.step.guard
    if guard is not None and facts.identity.boot_id != guard.boot_id:
        return _rebooted_meanwhile(case, facts)
    operation, both = facts.operation, pair(facts)
    if both is None:
        return case.unknown_when_late("incomplete", "the slots are not known")
    if operation is Operation.NEED_REBOOT:
        if facts.next_slot is not both[1].name:
            text = f"update_engine waits for a reboot, but {both[0].name} boots next"
            return case.failed("not-next", text, slots=slot_words(facts))
        return _holds(case, look, facts, both[1].name)
    if operation is Operation.IDLE:
        return _idle(case, look, facts)
    if operation is None:
        return case.unknown_when_late("unknown", "update_engine tells no status")
    text = f"still at work at the deadline: {operation.removeprefix('UPDATE_STATUS_')}"
    return case.unknown_when_late("unknown", text, operation=str(operation))


def _rebooted_meanwhile(case: _Case, facts: HostFacts) -> Outcome:
    version = facts.os.version_id
    if facts.running is not None and facts.running != case.was.running:
        text = f"it rebooted by itself and runs {facts.running} {version}"
        return case.failed("activated-itself", text, boot_id=facts.identity.boot_id)
    text = "it rebooted while the update was under way"
    return case.failed("rebooted-meanwhile", text, boot_id=facts.identity.boot_id)


def _holds(case: _Case, look: Look, facts: HostFacts, other: SlotName) -> Outcome | None:
    """Something is staged and boots next: is it what was ordered, and was update.conf put back?"""
    version, wanted = held_version(look), case.goal.staged
    shown: dict[str, object] = {"version": version, "slots": slot_words(facts)}
    if wanted is None:
        what = version or "a release whose version is not known"
        return case.done("staged", f"{what} is staged in {other}, it boots next", **shown)
    if version is None:
        text = f"something is staged in {other}, and nobody tells its version"
        return case.unknown_when_late("version-unknown", text, **shown)
    if version != wanted:
        text = f"{version} is staged in {other}, not {wanted}: cancel it"
        return case.failed("wrong-version", text, **shown)
    digest = look.extra.conf_digest if look.extra else None
    expected = case.step.guard.conf_digest if case.step.guard else None
    if digest is None:
        text = f"{version} is staged; whether update.conf is as before was not read"
        return case.unknown_when_late("conf-unread", text, **shown)
    if digest != expected:
        text = f"{version} is staged, but update.conf is not as it was before: look at its SERVER"
        if _unit_is_over(look):
            return case.failed("conf-changed", text, **shown)
        return case.failed_when_late("conf-changed", text, **shown)
    return case.done("staged", f"{version} is staged in {other}, it boots next", **shown)


def _unit_is_over(look: Look) -> bool:
    unit = look.extra.unit if look.extra else None
    return unit is not None and unit.load == "loaded" and unit.is_over


def _idle(case: _Case, look: Look, facts: HostFacts) -> Outcome | None:
    """IDLE is what a failure, an answer without an update and a check not yet begun all look like."""
    if case.elapsed_s < IDLE_COUNTS_AFTER_S:
        return None
    attempt = look.attempt
    is_new = attempt is not None and _is_new(case.was, attempt)
    is_exact = case.goal.staged is not None
    if is_exact and not _unit_is_over(look) and not (is_new and attempt is not None and attempt.failed):
        # flatcar-update fetches the release itself before it asks update_engine: IDLE says nothing yet
        return case.unknown_when_late("unknown", "nothing is staged at the deadline", operation="IDLE")
    if attempt is not None and is_new:
        return _attempt_ended(case, attempt, is_exact=is_exact)
    unit = look.extra.unit if look.extra else None
    if unit is not None and _unit_is_over(look) and unit.status not in (0, None):
        text = f"its unit ended with {unit.status}, and nothing is staged"
        return case.failed("failed", text, status=unit.status, log=look.extra.log if look.extra else ())
    if is_exact:
        return case.failed_when_late("failed", "flatcar-update ended, and nothing is staged")
    checked = facts.passing.last_checked_at
    was = case.was.last_checked_at
    if attempt is not None and checked is not None and (was is None or checked > was):
        text = "the server was asked and offered nothing"
        return case.done("nothing-offered", text, last_checked_at=checked.isoformat())
    return case.unknown_when_late("unknown", "no check of this attempt was seen", operation="IDLE")


def _is_new(was: Baseline, attempt: Attempt) -> bool:
    """Whether the journal tells of a check that it did not tell of before; both by the host's clock."""
    begun = attempt.started_at is not None and attempt.started_at != was.check_started_at
    ended = attempt.failed_at is not None and attempt.failed_at != was.check_failed_at
    return begun or ended


def _attempt_ended(case: _Case, attempt: Attempt, *, is_exact: bool) -> Outcome | None:
    code = None if attempt.error_code is None else attempt.error_code & ERROR_MASK
    if code in DEFERRED:
        words = attempt.detail or "deferred"
        return case.failed("deferred", words, error_code=code)
    if attempt.failed:
        name = attempt.error_name or ERROR_CODES.get(code if code is not None else -1, "")
        number = "without a code" if code is None else f"{code} {name}".strip()
        why = attempt.detail or (explain(code) if code is not None else "no cause in the journal")
        offered = attempt.offered_version if is_version(attempt.offered_version) else None
        return case.failed("failed", f"failed {number}: {why}", error_code=code, name=name, version=offered)
    if attempt.no_update:
        text = "the server was asked and offered nothing"
        if is_exact:
            return case.failed("nothing-offered", "update_engine was offered nothing by flatcar-update")
        return case.done("nothing-offered", text)
    return case.unknown_when_late("unknown", "the attempt began; how it ended is not known")


# -- what only writes flags and lines --------------------------------------------------------------------


def _settled(case: _Case, look: Look, facts: HostFacts) -> Outcome | None:
    guard = case.step.guard
    rebooted = guard is not None and facts.identity.boot_id != guard.boot_id
    if case.step.verb in (Verb.CANCEL, Verb.REPAIR) and rebooted and facts.running != case.was.running:
        return _rebooted_meanwhile(case, facts)
    unmet = list(_unmet(case, look, facts))
    if not unmet:
        code, words = _DONE_WORDS.get(case.step.verb or Verb.REPAIR, ("done", "as ordered"))
        return case.done(code, words, slots=slot_words(facts))
    text = f"not as ordered: {', '.join(unmet)}"
    unit = look.extra.unit if look.extra else None
    if unit is not None and _unit_is_over(look) and unit.status not in (0, None):
        log = look.extra.log if look.extra else ()
        return case.failed("failed", f"{text} (its unit ended with {unit.status})", log=log)
    return case.failed_when_late("failed", text)


def _unmet(case: _Case, look: Look, facts: HostFacts) -> Iterator[str]:
    goal = case.goal
    if (goal.group is not None or goal.server is not None) and facts.why_unread("conf") is not None:
        yield "update.conf was not read"
    if goal.next is not None and facts.next_slot != goal.next:
        yield f"{facts.next_slot or 'no slot'} boots next"
    if goal.operation is not None and facts.operation != goal.operation:
        yield f"the status is {facts.operation or 'not known'}"
    if goal.group is not None and effective_group(facts.conf, facts.image_conf) != goal.group:
        yield f"it follows {effective_group(facts.conf, facts.image_conf) or 'no group'}"
    if goal.server is not None and update_mode(facts) != goal.server:
        yield f"its updates are {update_mode(facts)}"
    if case.step.verb is Verb.CANCEL:
        if has_begun(facts):
            yield "locksmithd has begun a reboot"
        elif facts.next_slot == goal.next and facts.operation == goal.operation and not unstaged(look):
            yield "a mark of the update is left"
    if case.step.verb is Verb.REPAIR:
        yield from (f"{residue} is left" for residue in residues(look))
