"""What a later look proves of a step: done, failed, unknown, or nothing yet. Pure.

A command's exit status proves nothing; the host must show it. None means "look again": nothing is called
failed before its deadline that may still come, and nothing done that was not seen.
Rules of the host: flatcar/update_engine:src/update_engine@7382641.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from actions.evidence_case import (
    ASK_AGAIN,
    SETTLES,
    Case,
    bad_end,
    conf_words,
    engine_remedy,
    unit_is_gone,
    unit_is_over,
    unit_runs,
    unit_words,
    unread_remedy,
    worse_than,
)
from actions.orders import Baseline, Goal, Outcome, Phase, Step, Verb
from actions.policy import unstaged
from actions.policy_conf import residues
from actions.policy_host import slot_words
from actions.policy_look import Look, held_version, is_version, update_mode
from actions.remote.repair import Residue
from actions.remote.words import Exit
from actions.situation import REMEDIES
from collectors.errors import Reach
from collectors.facts import Attempt, HostFacts, Operation, Slot, SlotName
from collectors.observation import ProbeFailed
from collectors.parse.update_conf import effective_group
from collectors.parse.update_engine import ERROR_CODES, ERROR_MASK, explain
from collectors.reboots import has_begun
from collectors.slots import pair

IDLE_COUNTS_AFTER_S = 6.0
"""update_engine takes a moment to begin: an IDLE before may be that of before."""
DEFERRED = frozenset({35, 36, 40})

_LEFT = {
    Residue.SERVER: "SERVER still points at the host itself",
    Residue.STAGED: "what was staged still boots next",
    Residue.MARKS: "update_engine still waits for a reboot into what does not boot next",
    Residue.LOCKSMITHD: "locksmithd is still held",
}
_DONE_WORDS = {
    Verb.CANCEL: ("cancelled", "nothing is staged, the running slot boots next"),
    Verb.REPAIR: ("repaired", "nothing to repair is left"),
    Verb.ACTIVATE: ("activated", "runs, confirmed, as well as before"),
    Verb.REBOOT: ("rebooted", "runs again, confirmed, as well as before"),
    Verb.ROLL_BACK: ("rolled-back", "runs again, confirmed, as well as before"),
}


def judge_outcome(step: Step, sent_at: datetime, look: Look | ProbeFailed, now: datetime) -> Outcome | None:
    """What became of `step`, sent at `sent_at`, by a look taken later; None: not to be said yet."""
    case = Case(step, step.goal or Goal(), step.baseline or Baseline(), (now - sent_at).total_seconds(), now)
    seen = look if isinstance(look, ProbeFailed) else look.seen
    if isinstance(look, ProbeFailed) or isinstance(seen, ProbeFailed):
        assert isinstance(seen, ProbeFailed)
        return _silent(case, seen)
    facts = seen.facts
    if not facts.complete or facts.identity.boot_id is None:
        text = f"the host's answer is not whole, so what became of it is not known; {SETTLES}"
        return case.unknown_when_late("incomplete", text)
    if _is_replaced(case, look, facts, sent_at):
        text, shown = "another machine answers under this name", {"machine_id": facts.identity.machine_id}
        return case.ended(Phase.UNKNOWN, "replaced", f"{text}: what became of the first is not known", shown)
    if case.goal.boot_id_not is not None:
        return _booted(case, look, facts)
    if step.verb is Verb.STAGE:
        return _staged(case, look, facts)
    return _settled(case, look, facts)


def _silent(case: Case, failed: ProbeFailed) -> Outcome | None:
    """While it reboots a host refuses, hangs and shuts the door; only the deadline tells that from lost."""
    reach = failed.reach
    if reach is Reach.NOT_FLATCAR:
        return case.unknown_when_late("replaced", "what answers is no Flatcar host", reach=str(reach))
    if reach is Reach.HOST_KEY_CHANGED:
        text = f"a host with another key answers: {REMEDIES['key_changed']}"
        return case.unknown_when_late("host-key-changed", text, reach=str(reach))
    if case.goal.boot_id_not is not None:
        minutes = f"{case.step.deadline_s / 60:g} minutes"
        text = f"no answer within {minutes} of the order to reboot ({failed.detail}); look at its console"
        return case.unknown_when_late("missing", text, reach=str(reach))
    text = f"it did not answer until the deadline ({failed.detail}); {SETTLES}"
    return case.unknown_when_late("unknown", text, reach=str(reach))


def _is_replaced(case: Case, look: Look, facts: HostFacts, sent_at: datetime) -> bool:
    before, now = case.step.machine_id, facts.identity.machine_id
    if before is not None and now is not None and before != now:
        return True
    memory = look.memory
    return memory is not None and memory.replaces is not None and memory.since >= sent_at


# -- reboots ---------------------------------------------------------------------------------------------


def _booted(case: Case, look: Look, facts: HostFacts) -> Outcome | None:
    goal, was = case.goal, case.was
    if facts.identity.boot_id == goal.boot_id_not:
        return _still_up(case, look)
    if facts.running is None or facts.slots is None:
        text = f"it rebooted; which slot runs, and if confirmed, was not read: {unread_remedy(facts)}"
        return case.unknown_when_late("incomplete", text)
    version, flags = facts.os.version_id, slot_words(facts)
    shown: dict[str, object] = {"boot_id": facts.identity.boot_id, "version": version, "slots": flags}
    if facts.running != goal.running:
        is_back = facts.running == was.running
        wanted = f"{goal.running} {goal.version or ''}".rstrip()
        if is_back:
            text = f"{wanted} did not come up, it is back in {facts.running} {version}: "
            return case.failed("reverted", text + REMEDIES["reverted_fresh"], **shown)
        return case.failed("wrong-slot", f"{facts.running} {version} runs, not {wanted}", **shown)
    if goal.version is not None and version != goal.version:
        text = f"{facts.running} runs {version}, not {goal.version}"
        return case.failed("wrong-version", text, **shown)
    return _confirmed(case, look, facts, shown)


def _still_up(case: Case, look: Look) -> Outcome | None:
    """In the boot from which it was to reboot."""
    unit, extra = bad_end(look), look.extra
    if unit is None or extra is None:
        return case.failed_when_late("did-not-reboot", "it is still in the same boot at the deadline")
    who = [item.who for item in extra.inhibitors or () if item.forbids_reboot]
    if unit.status == Exit.REFUSED and who:
        text = f"it did not reboot: a shutdown is inhibited by {', '.join(who[:3])}; ask again after its end"
    else:
        text = f"it did not reboot: {unit_words(look, unit)}"
    return case.failed("did-not-reboot", text, status=unit.status, log=extra.log)


def _confirmed(case: Case, look: Look, facts: HostFacts, shown: dict[str, object]) -> Outcome | None:
    """It came back as ordered; now it must be confirmed and as well as before, by the confirm deadline."""
    both = pair(facts)
    up_s = facts.passing.uptime_s
    spent_s = case.elapsed_s - case.step.deadline_s if up_s is None else min(up_s, case.elapsed_s)
    may_wait = spent_s < case.step.confirm_s
    runs = f"{facts.running} {facts.os.version_id} runs"
    unread = list(_not_read_after_boot(case, facts))
    if unread:
        text = f"{runs}, but {', '.join(unread)} not read; {SETTLES}"
        return None if may_wait else case.ended(Phase.UNKNOWN, "incomplete", text, shown)
    if case.goal.confirmed and both is not None and not both[0].successful:
        falls = f", and its next boot is {both[1].name}" if facts.next_slot is both[1].name else ""
        text = f"{runs} and is not confirmed{falls}: look at update-engine.service, and do not reboot"
        return None if may_wait else case.failed("unconfirmed", text, **shown)
    missing = _missing_extensions(case, facts)
    if missing:
        text = f"{runs}, but not merged any more: {', '.join(missing)}; look at systemd-sysext.service"
        return None if may_wait else case.failed("extension-missing", text, **shown)
    if case.goal.server is not None and update_mode(facts) != case.goal.server:
        text = f"{runs}, but its updates are not off: it may fetch again what it left; switch them off"
        return case.failed("updates-not-set", text, **shown)
    worse = list(worse_than(case.was, facts, look))
    if worse:
        text = f"{runs}, but worse than before: {', '.join(worse)}"
        return None if may_wait else case.failed("unhealthy", text, worse=worse, **shown)
    code, words = _DONE_WORDS.get(case.step.verb or Verb.REBOOT, ("done", "as ordered"))
    return case.done(code, f"{facts.os.version_id} {words}", **shown)


def _not_read_after_boot(case: Case, facts: HostFacts) -> Iterator[str]:
    """What was not read says neither that it is lost nor that it is there."""
    if case.goal.extensions and facts.extensions is None:
        yield "its extensions were"
    if case.goal.server is not None and facts.why_unread("conf") is not None:
        yield "update.conf was"


def _missing_extensions(case: Case, facts: HostFacts) -> list[str]:
    wanted = case.goal.extensions
    if not wanted:
        return []
    merged = facts.extensions.merged if facts.extensions else ()
    return [name for name in wanted if name not in merged]


# -- staging ---------------------------------------------------------------------------------------------


def _staged(case: Case, look: Look, facts: HostFacts) -> Outcome | None:
    guard = case.step.guard
    if guard is not None and facts.identity.boot_id != guard.boot_id:
        return _rebooted_meanwhile(case, facts)
    operation, both = facts.operation, pair(facts)
    if both is None:
        text = f"whether it is staged is not known, the slots were not read: {unread_remedy(facts)}"
        return case.unknown_when_late("incomplete", text)
    if operation is Operation.NEED_REBOOT:
        if facts.next_slot is not both[1].name:
            text = f"update_engine waits for a reboot, but {both[0].name} boots next: cancel, and stage again"
            if unit_runs(look):  # it is not at its end, so neither is this
                return case.unknown_when_late("not-next", text, slots=slot_words(facts))
            return case.failed("not-next", text, slots=slot_words(facts))
        return _holds(case, look, facts, both[1].name)
    if operation is Operation.IDLE:
        return _idle(case, look, facts, both[1])
    if operation is None:
        return _without_status(case, look, facts, both[0].name)
    text = f"still at work at the deadline: {operation.removeprefix('UPDATE_STATUS_')}"
    return case.unknown_when_late("unknown", text, operation=str(operation))


def _without_status(case: Case, look: Look, facts: HostFacts, running: SlotName) -> Outcome | None:
    unit, remedy = bad_end(look), engine_remedy(facts)
    if unit is not None and facts.next_slot is running:
        text = f"{unit_words(look, unit)}; update_engine tells no status, {running} boots next: {remedy}"
        return case.failed("failed", text, status=unit.status, log=look.extra.log if look.extra else ())
    text = f"update_engine tells no status, so whether it is staged is not known: {remedy}"
    return case.unknown_when_late("unknown", text)


def _rebooted_meanwhile(case: Case, facts: HostFacts) -> Outcome:
    if facts.running is not None and facts.running != case.was.running:
        text = f"it rebooted by itself and runs {facts.running} {facts.os.version_id}"
        return case.failed("activated-itself", text, boot_id=facts.identity.boot_id)
    text = "it rebooted while the update was under way"
    return case.failed("rebooted-meanwhile", text, boot_id=facts.identity.boot_id)


def _holds(case: Case, look: Look, facts: HostFacts, other: SlotName) -> Outcome | None:
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
        if unit_is_over(look):
            return case.failed("conf-changed", text, **shown)
        return case.failed_when_late("conf-changed", text, **shown)
    return case.done("staged", f"{version} is staged in {other}, it boots next", **shown)


def _idle(case: Case, look: Look, facts: HostFacts, other: Slot) -> Outcome | None:
    """IDLE is what a failure, an answer without an update and a check not yet begun all look like."""
    if case.elapsed_s < IDLE_COUNTS_AFTER_S:
        return None
    if unit_runs(look):  # it gives locksmithd and update.conf back before it ends
        return case.unknown_when_late("unknown", f"nothing is staged at the deadline; {SETTLES}")
    attempt, is_exact = look.attempt, case.goal.staged is not None
    if facts.next_slot is other.name and not other.successful:
        text = (
            f"{other.name} boots next, but update_engine says IDLE, as after a reset of its status: cancel it"
        )
        if not unit_is_over(look):
            return case.unknown_when_late("status-reset", text, slots=slot_words(facts))
        return case.failed("status-reset", text, slots=slot_words(facts))
    is_new = attempt is not None and _is_new(case.was, attempt)
    if is_exact and unit_is_gone(look) and not is_new:
        return case.failed("failed", f"its unit was stopped on the host{conf_words(case, look)}")
    if is_exact and not unit_is_over(look) and not (is_new and attempt is not None and attempt.failed):
        return case.unknown_when_late("unknown", f"nothing is staged at the deadline; {SETTLES}")
    if attempt is not None and is_new:
        return _attempt_ended(case, look, attempt, other.name)
    unit = bad_end(look)
    if unit is not None:
        text = f"{unit_words(look, unit)}; nothing is staged{conf_words(case, look)}"
        return case.failed("failed", text, status=unit.status, log=look.extra.log if look.extra else ())
    if is_exact:
        return case.failed_when_late("failed", "flatcar-update ended, and nothing is staged")
    checked, was = facts.passing.last_checked_at, case.was.last_checked_at
    if attempt is not None and checked is not None and (was is None or checked > was):
        text = "the server was asked and offered nothing"
        return case.done("nothing-offered", text, last_checked_at=checked.isoformat())
    return case.unknown_when_late("unknown", f"no check of this attempt was seen; {SETTLES}")


def _is_new(was: Baseline, attempt: Attempt) -> bool:
    """Whether the journal tells of a check that it did not tell of before; both by the host's clock."""
    begun = attempt.started_at is not None and attempt.started_at != was.check_started_at
    ended = attempt.failed_at is not None and attempt.failed_at != was.check_failed_at
    return begun or ended


def _attempt_ended(case: Case, look: Look, attempt: Attempt, other: SlotName) -> Outcome | None:
    code = None if attempt.error_code is None else attempt.error_code & ERROR_MASK
    if code in DEFERRED:
        words = attempt.detail or "deferred"
        return case.failed("deferred", words, error_code=code)
    if attempt.failed:
        name = attempt.error_name or ERROR_CODES.get(code if code is not None else -1, "")
        number = "without a code" if code is None else f"{code} {name}".strip()
        why = attempt.detail or (explain(code) if code is not None else "no cause in the journal")
        offered = attempt.offered_version if is_version(attempt.offered_version) else None
        lost = f"; {other} is overwritten, no roll-back to what it held" if attempt.overwrote else ""
        text = f"failed {number}: {why}{lost}{conf_words(case, look)}"
        return case.failed("failed", text, error_code=code, name=name, version=offered)
    if attempt.no_update:
        if case.goal.staged is not None:
            return case.failed("nothing-offered", "update_engine was offered nothing by flatcar-update")
        return case.done("nothing-offered", "the server was asked and offered nothing")
    return case.unknown_when_late("unknown", f"the attempt began; how it ended is not known; {SETTLES}")


# -- what only writes flags and lines --------------------------------------------------------------------


def _settled(case: Case, look: Look, facts: HostFacts) -> Outcome | None:
    guard = case.step.guard
    rebooted = guard is not None and facts.identity.boot_id != guard.boot_id
    if case.step.verb in (Verb.CANCEL, Verb.REPAIR) and rebooted and facts.running != case.was.running:
        return _rebooted_meanwhile(case, facts)
    unmet, unread, unit = list(_unmet(case, look, facts)), list(_not_read(case, look, facts)), bad_end(look)
    if not unmet and not unread:
        code, words = _settled_words(case)
        return case.done(code, words, slots=slot_words(facts))
    text = f"not as ordered: {', '.join([*unmet, *unread])}"
    if unit is not None:
        log = look.extra.log if look.extra else ()
        text = f"{text}; {unit_words(look, unit)}; {ASK_AGAIN}"
        return case.failed("failed", text, status=unit.status, log=log)
    if unmet:
        return case.failed_when_late("failed", f"{text}; {ASK_AGAIN}")
    then = SETTLES if facts.privileged else REMEDIES["unprivileged"]
    return case.unknown_when_late("incomplete", f"{', '.join(unread)}; {then}")


def _settled_words(case: Case) -> tuple[str, str]:
    match case.step.verb:
        case Verb.CHANNEL:
            return "channel-set", f"it follows {case.goal.group} from its next check on"
        case Verb.UPDATES if case.goal.server == "disabled":
            return "updates-set", "its updates are off (SERVER=disabled)"
        case Verb.UPDATES:
            return "updates-set", "its updates are on"
    return _DONE_WORDS.get(case.step.verb or Verb.REPAIR, ("done", "as ordered"))


def _not_read(case: Case, look: Look, facts: HostFacts) -> Iterator[str]:
    """What a look must show and did not: it proves neither way."""
    goal = case.goal
    if (goal.group is not None or goal.server is not None) and facts.why_unread("conf") is not None:
        yield "update.conf was not read"
    if goal.next is not None and facts.next_slot is None and facts.slots is None:
        yield "which slot boots next was not read"
    if goal.operation is not None and facts.operation is None:
        yield "update_engine tells no status"
    if case.step.verb is Verb.REPAIR and (look.extra is None or not look.extra.complete):
        yield "what is left to repair was not read"


def _unmet(case: Case, look: Look, facts: HostFacts) -> Iterator[str]:
    goal, is_read = case.goal, facts.why_unread("conf") is None
    if goal.next is not None and facts.slots is not None and facts.next_slot != goal.next:
        yield f"{facts.next_slot or 'no slot'} boots next"
    if goal.operation is not None and facts.operation not in (None, goal.operation):
        yield f"update_engine says {facts.operation.removeprefix('UPDATE_STATUS_')}"
    if goal.group is not None and is_read and effective_group(facts.conf, facts.image_conf) != goal.group:
        yield f"it follows {effective_group(facts.conf, facts.image_conf) or 'no group'}"
    if goal.server is not None and is_read and update_mode(facts) != goal.server:
        if case.step.verb is not Verb.REPAIR:
            yield f"its updates are {'off' if update_mode(facts) == 'disabled' else 'not off'}"
        elif Residue.SERVER not in residues(look):
            yield f"SERVER is not what was to be written ({goal.server})"
    if case.step.verb is Verb.CANCEL:
        if has_begun(facts):
            yield "locksmithd has begun a reboot"
        elif facts.next_slot == goal.next and facts.operation == goal.operation and not unstaged(look):
            yield "a mark of the update is left"
    if case.step.verb is Verb.REPAIR:
        yield from (_LEFT[residue] for residue in residues(look))
