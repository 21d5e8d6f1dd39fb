"""The plan of one host: what moves from where to where, what to know before, what must be seen after. Pure.

A step is made from the same look as the decision and holds all that a later look is judged by, so that it can
be judged after a crash, by another process. Command lines are made elsewhere: `command` stays None here.
"""

from __future__ import annotations

from collections.abc import Iterator

from actions.orders import Asked, Baseline, Force, Goal, Guard, Phase, Refusal, Step, Verb
from actions.policy import Already, Decision, awaits_extension, forced
from actions.policy_boot import window_refusals
from actions.policy_conf import is_known_channel, residues
from actions.policy_look import (
    Look,
    dropped,
    held_version,
    is_overwritten,
    release_of,
    update_mode,
)
from actions.policy_stage import holds_locksmithd
from actions.remote.repair import Residue
from collectors.extensions import merged_image
from collectors.facts import HostFacts, Operation, Slot, SlotName
from collectors.fleet_model import WantedUpdates
from collectors.parse.os_release import version_key
from collectors.parse.sysext_links import kind_of
from collectors.parse.update_conf import effective_server, server_kind
from collectors.releases import standing
from collectors.slots import pair

STAGE_DEADLINE_S = 3600.0
"""A 2 GiB slot is copied and a release downloaded, 20 breaks of 20 s in it."""
QUICK_DEADLINE_S = 120.0
"""For what only writes flags or a line."""
BUILT_IN_FROM = (3794, 0, 0)
"""The first releases whose containerd and docker are extensions."""


def plan_step(asked: Asked, look: Look, decision: Decision) -> Step:
    """The host's step. Refused or already so: nothing but that; else guard, goal and deadline are there."""
    facts = look.facts
    machine_id = facts.identity.machine_id if facts else None
    if isinstance(decision, Already):
        said = (decision.text,)
        return Step(look.host.name, Phase.ALREADY, says=said, machine_id=machine_id, verb=asked.verb)
    if decision or facts is None:
        return Step(look.host.name, Phase.REFUSED, refusals=decision, machine_id=machine_id, verb=asked.verb)
    version = target(asked, look, facts)
    return Step(
        host=look.host.name,
        phase=Phase.PLANNED,
        says=tuple(_says(asked, look, facts, version)),
        moves=moves(look, facts, version),
        guard=guard(look, facts),
        before=look.before if asked.verb.reboots else (),
        after=look.after if asked.verb.reboots else (),
        goal=_goal(asked, look, facts, version),
        deadline_s=_deadline_s(asked, look),
        machine_id=machine_id,
        verb=asked.verb,
        confirm_s=float(look.host.confirm_deadline_s) if asked.verb.reboots else 0.0,
        baseline=baseline(look, facts),
    )


def target(asked: Asked, look: Look, facts: HostFacts) -> str | None:
    """The version that the step leads to; None where it moves none, or nobody knows it before."""
    match asked.verb:
        case Verb.STAGE:
            return asked.version
        case Verb.ACTIVATE:
            return held_version(look)
        case Verb.ROLL_BACK:
            return look.proof.version if look.proof else None
        case Verb.REBOOT:
            return facts.os.version_id
    return None


def moves(
    look: Look, facts: HostFacts, version: str | None
) -> tuple[tuple[str, str | None, str | None], ...]:
    """What, from, to; nothing where no version changes."""
    if version is None or version == facts.os.version_id:
        return ()
    goal, own = release_of(look.feed, version), facts.identity
    kernel = own.kernel.removesuffix("-flatcar") if own.kernel else None
    return (
        ("OS", facts.os.version_id, version),
        ("kernel", kernel, goal.kernel if goal else None),
        ("containerd", own.containerd, goal.containerd if goal else None),
        ("docker", own.docker, goal.docker if goal else None),
    )


def guard(look: Look, facts: HostFacts) -> Guard:
    """The host as this look saw it, in the words that the command on the host compares."""
    slots = facts.slots
    return Guard(
        boot_id=facts.identity.boot_id or "-",
        slot_a=flag_words(slots.a) if slots else "-",
        slot_b=flag_words(slots.b) if slots else "-",
        operation=str(facts.operation) if facts.operation else "-",
        conf_digest=(look.extra.conf_digest if look.extra else None) or "-",
    )


def flag_words(slot: Slot) -> str:
    """As `cgpt show` prints them."""
    return f"priority={slot.priority} tries={slot.tries} successful={int(slot.successful)}"


def baseline(look: Look, facts: HostFacts) -> Baseline:
    """The host's own state before, which later looks are compared with."""
    attempt = look.attempt
    watched = ("containerd.service", "kubelet.service", *look.wish.units)
    return Baseline(
        running=facts.running,
        version=facts.os.version_id,
        last_checked_at=facts.passing.last_checked_at,
        check_started_at=attempt.started_at if attempt else None,
        check_failed_at=attempt.failed_at if attempt else None,
        failed_units=facts.failed_units or (),
        active_units=tuple(
            name
            for name in dict.fromkeys(watched)
            if name in facts.units and facts.units[name].active == "active"
        ),
        containers=facts.passing.containers or 0,
        health=tuple(question for question, is_good in look.health.items() if is_good),
    )


def _deadline_s(asked: Asked, look: Look) -> float:
    if asked.verb.reboots:
        return float(look.host.reboot_deadline_s)
    return STAGE_DEADLINE_S if asked.verb is Verb.STAGE else QUICK_DEADLINE_S


def _goal(asked: Asked, look: Look, facts: HostFacts, version: str | None) -> Goal:
    running = facts.running
    other = running.other if running else None
    match asked.verb:
        case Verb.STAGE:
            return Goal(staged=version, next=other, operation=Operation.NEED_REBOOT)
        case Verb.CANCEL:
            server = "disabled" if asked.and_updates_off else None
            return Goal(next=running, operation=Operation.IDLE, server=server)
        case Verb.CHANNEL:
            return Goal(group=asked.channel)
        case Verb.UPDATES:
            return Goal(server="self" if asked.mode == "on" else "disabled")
        case Verb.REPAIR:
            return _repaired(look, facts)
    lands_in = running if asked.verb is Verb.REBOOT else other
    return Goal(
        boot_id_not=facts.identity.boot_id,
        running=lands_in,
        version=version,
        server="disabled" if asked.verb is Verb.ROLL_BACK else None,
        extensions=kept_extensions(look, facts, version),
        confirmed=True,
    )


def _repaired(look: Look, facts: HostFacts) -> Goal:
    found = residues(look)
    moves_next = Residue.STAGED in found or Residue.MARKS in found
    return Goal(
        next=facts.running if moves_next else None,
        operation=Operation.IDLE if moves_next else None,
        server=repaired_mode(look) if Residue.SERVER in found else None,
    )


def repaired_mode(look: Look) -> str:
    """What a SERVER that points at the host itself becomes: the old value is lost, so the fleet file's word
    counts. `disabled` or `self`."""
    return "disabled" if look.wish.updates is WantedUpdates.MANAGED else "self"


def kept_extensions(look: Look, facts: HostFacts, version: str | None) -> tuple[str, ...] | None:
    """Merged extensions that are to be merged after the boot too; None where they were not read."""
    found = facts.extensions
    if found is None:
        return None
    lost = () if version == facts.os.version_id else dropped(look, version)
    has_built_in = version is None or (version_key(version) or BUILT_IN_FROM) >= BUILT_IN_FROM
    kept = []
    for name in found.merged:
        link = found.links.get(name)
        image = merged_image(found, name) or (link.target if link else found.candidates.get(name, ""))
        if name not in lost and (has_built_in or kind_of(name, image) != "builtin"):
            kept.append(name)
    return tuple(kept)


# -- what is worth knowing before ------------------------------------------------------------------------


def _says(asked: Asked, look: Look, facts: HostFacts, version: str | None) -> Iterator[str]:
    yield from (_forced_words(asked, item) for item in forced(asked, look))
    both = pair(facts)
    if both is not None:
        match asked.verb:
            case Verb.STAGE:
                yield from _says_of_stage(asked, look, facts, version, both[1].name)
            case Verb.CANCEL:
                yield from _says_of_cancel(asked, look, facts, both)
            case Verb.ACTIVATE | Verb.REBOOT | Verb.ROLL_BACK:
                yield from _says_of_boot(asked, look, facts, version, both)
    match asked.verb:
        case Verb.CHANNEL:
            yield from _says_of_channel(asked, look, facts)
        case Verb.UPDATES:
            yield from _says_of_updates(asked, look, facts)
        case Verb.REPAIR:
            yield from _says_of_repair(look)
    if look.twins:
        yield f"{', '.join(look.twins)} has the same machine id: what is remembered of either is not used"


def _forced_words(asked: Asked, item: Refusal) -> str:
    force: Force = item.force or Force.WINDOW
    return f"forced {force} ({asked.forces.get(force, '')}): {item.text.partition(';')[0]}"


def _says_of_stage(
    asked: Asked, look: Look, facts: HostFacts, version: str | None, other: SlotName
) -> Iterator[str]:
    both = pair(facts)
    if both is not None and both[1].successful:
        yield f"{other} is overwritten at once, even if it fails then: no roll-back to what it holds"
    if version is None:
        yield "which version the server offers is not known before; it may offer none"
    elif release_of(look.feed, version) is None:
        yield f"{version} is not in the release feed"
    if _older(version, facts.os.version_id):
        yield f"{version} is older than {facts.os.version_id}: /etc, /var and all data stay as they are"
    lost = dropped(look, version)
    if lost:
        yield f"not merged any more after the update: {', '.join(lost)}"
    if holds_locksmithd(look):
        yield "locksmithd is masked until the next boot, so that it does not reboot the staged host by itself"
    if asked.version is not None and update_mode(facts) == "self":
        yield "its own updates stay on: after a cancel the next check may stage another version"
    if look.reset_armed or look.first_boot:
        yield "a reset or Ignition is armed: the staged host cannot be activated before that is called off"


def _says_of_cancel(asked: Asked, look: Look, facts: HostFacts, both: tuple[Slot, Slot]) -> Iterator[str]:
    running, other = both
    version = held_version(look)
    if other.successful:
        yield f"{other.name} stays confirmed; {running.name} boots next again"
    else:
        what = version or "a release whose version is not known"
        yield f"{other.name} now holds {what} unconfirmed, no roll-back until the next completed update"
    if not asked.and_updates_off and update_mode(facts) == "self":
        yield "will be staged again at the next check unless --and-updates-off"
    if facts.flags.reboot_required and awaits_extension(facts):
        yield "/run/reboot-required stays: an extension's new image waits for a reboot too"


def _says_of_boot(
    asked: Asked, look: Look, facts: HostFacts, version: str | None, both: tuple[Slot, Slot]
) -> Iterator[str]:
    running, other = both
    match asked.verb:
        case Verb.ACTIVATE:
            way_back = f", else back to {running.name} {facts.os.version_id or ''}".rstrip()
            yield f"{other.name} {version} boots next, one try{way_back}"
            lost = dropped(look, version)
            if lost:
                yield f"not merged any more after the boot: {', '.join(lost)}"
        case Verb.ROLL_BACK:
            yield f"{other.name} {version} boots next, one try, else back to {running.name}"
            yield f"its updates go off, so that it does not fetch {facts.os.version_id} again"
            yield f"{facts.os.version_id} is quarantined on this host"
            yield "/etc, /var and all data stay as they are"
        case _:
            overwritten = is_overwritten(look)
            if overwritten and other.bootable:
                yield f"{other.name} is bootable by its flags only: {overwritten}"
    if awaits_extension(facts):
        yield "an extension's new image is merged by this boot"
    for question, is_good in look.health.items():
        yield f"health, asked again after: {question}" if is_good else f"not well before already: {question}"
    yield from (f"{item.text.partition(';')[0]} now" for item in window_refusals(look))


def _says_of_channel(asked: Asked, look: Look, facts: HostFacts) -> Iterator[str]:
    channel, version = asked.channel or "", facts.os.version_id
    where = standing(look.feed, version, channel) if look.feed and version else None
    if not is_known_channel(channel, look):
        yield f"{channel} is a group of the host's own server; whether it exists there is not known"
    elif where is not None and where.behind == 0 and not where.is_release:
        yield f"will not move until {channel} > {version}"
    if channel == "lts":
        yield "lts follows the newest LTS stream and changes its major version with it; lts-YEAR stays"
    if facts.operation is Operation.NEED_REBOOT:
        yield "what is staged stays staged: the channel counts after the reboot, or after a cancel"
    if update_mode(facts) == "disabled":
        yield "its updates are off: the channel counts once they are on"
    if facts.conf is not None and facts.conf.odd_lines:
        yield "update.conf has lines that update_engine reads otherwise than meant; they stay"


def _says_of_updates(asked: Asked, look: Look, facts: HostFacts) -> Iterator[str]:
    unit = facts.units.get("update-engine.service")
    if asked.mode == "on":
        yield "its updater asks the server again at its next check, and stages what it is offered"
        if unit is not None and unit.is_masked:
            yield "update-engine is masked all the same: unmask it, or nothing is fetched"
        if look.quarantine:
            bad = ", ".join(look.quarantine)
            yield f"in quarantine here, and fetched again if the server offers it: {bad}"
        return
    server = effective_server(facts.conf, facts.image_conf)
    if facts.conf is not None and facts.conf.server is not None and server_kind(server) == "custom":
        yield f"its own server {server} is replaced: note it for when updates go on again"
    if facts.operation is Operation.NEED_REBOOT:
        yield "what is staged stays staged: cancel it too if it is not to boot"


def _says_of_repair(look: Look) -> Iterator[str]:
    for residue in residues(look):
        match residue:
            case Residue.SERVER:
                what = "SERVER=disabled" if repaired_mode(look) == "disabled" else "the image's"
                yield f"SERVER, which points at the host itself, becomes {what}; what it was before is lost"
            case Residue.STAGED:
                yield "the running slot boots next again; what was staged stays unconfirmed in the other"
            case Residue.MARKS:
                yield "update_engine's status is reset; the next boot stays on the running slot"
            case Residue.LOCKSMITHD:
                yield "locksmithd, held by an order that is over, is given back"


def _older(version: str | None, running: str | None) -> bool:
    goal, now = version_key(version or ""), version_key(running or "")
    return goal is not None and now is not None and goal < now
