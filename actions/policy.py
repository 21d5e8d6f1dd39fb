"""May this verb run on this host now, and if not, why. Pure: one look in, refusals out; nothing is sent here.

`decide` is the only judge, in the dry run and before a command goes out: what it refuses is not sent. The
gravest refusal comes first and all that hold are listed. A refusal that names its force is set aside where
that force was given with a reason; no other ever is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from actions.orders import Asked, Refusal, Verb
from actions.policy_boot import against_boot
from actions.policy_conf import against_channel, against_repair, against_updates, residues
from actions.policy_host import refusal, unfit
from actions.policy_look import Look, has_staged, held_version, is_version, update_mode
from actions.policy_stage import against_cancel, against_stage
from collectors.extensions import staged_images
from collectors.facts import HostFacts, Operation
from collectors.parse.update_conf import effective_group
from collectors.slots import pair


@dataclass(frozen=True, slots=True)
class Already:
    """It is so already: nothing is to be sent."""

    text: str
    evidence: str = ""


Decision = tuple[Refusal, ...] | Already
"""No refusals: it may run."""


def decide(asked: Asked, look: Look) -> Decision:
    """Whether `asked` may run on this host as it was seen just now."""
    found = judged(asked, look)
    if isinstance(found, Already):
        return found
    return tuple(item for item in found if not is_forced(asked, item))


def judged(asked: Asked, look: Look) -> Decision:
    """As `decide`, with what was forced still in it: the record keeps that."""
    grave = list(unfit(asked.verb, look))
    if not grave:
        already = _already(asked, look)
        if already is not None:
            return already
    every = [*grave, *_own(asked, look)]
    once = {(item.code, item.text): item for item in reversed(every)}
    unique = list(reversed(once.values()))
    return tuple(sorted(unique, key=lambda item: item.force is not None))


def forced(asked: Asked, look: Look) -> tuple[Refusal, ...]:
    """What holds against it and was set aside by name."""
    found = judged(asked, look)
    return () if isinstance(found, Already) else tuple(item for item in found if is_forced(asked, item))


def is_forced(asked: Asked, item: Refusal) -> bool:
    return item.force is not None and bool(asked.forces.get(item.force, "").strip())


def _own(asked: Asked, look: Look) -> Iterator[Refusal]:
    match asked.verb:
        case Verb.STAGE:
            yield from against_stage(asked, look)
        case Verb.CANCEL:
            yield from against_cancel(look)
        case Verb.ACTIVATE | Verb.REBOOT | Verb.ROLL_BACK:
            yield from against_boot(asked, look)
        case Verb.CHANNEL:
            yield from against_channel(asked, look)
        case Verb.UPDATES:
            yield from against_updates(asked, look)
        case Verb.REPAIR:
            yield from against_repair(look)
        case _:
            yield refusal("verb-unknown", f"{asked.verb} is not known here", "use a newer fleetctl")


def _already(asked: Asked, look: Look) -> Already | None:
    """Whether the host shows what was asked for. A reboot is asked for each time anew."""
    facts = look.facts
    if facts is None:
        return None
    match asked.verb:
        case Verb.STAGE:
            return _is_staged(asked, look, facts)
        case Verb.ACTIVATE | Verb.ROLL_BACK:
            return _runs(asked, facts)
        case Verb.CANCEL:
            return _is_cancelled(asked, look, facts)
        case Verb.CHANNEL:
            group = effective_group(facts.conf, facts.image_conf)
            follows = group is not None and group == asked.channel
            return Already(f"already so: it follows {group}", "update.conf") if follows else None
        case Verb.UPDATES:
            mode = update_mode(facts)
            wanted = {"on": "self", "off": "disabled", "managed": "disabled"}.get(asked.mode or "")
            words = "off (SERVER=disabled)" if mode == "disabled" else "on"
            return Already(f"already so: its updates are {words}", "update.conf") if mode == wanted else None
        case Verb.REPAIR:
            return None if residues(look) else Already("already so: nothing to repair is known")
    return None


def _is_staged(asked: Asked, look: Look, facts: HostFacts) -> Already | None:
    both, version = pair(facts), held_version(look)
    if both is None:
        return None
    waits = facts.operation is Operation.NEED_REBOOT and facts.next_slot is both[1].name
    if waits and (asked.version is None or asked.version == version):
        what = version or "a release whose version is not known"
        return Already(f"already so: {what} is staged in {both[1].name}, it boots next", "status, cgpt show")
    if asked.version is not None and not has_staged(facts):
        return _runs(asked, facts)
    return None


def _runs(asked: Asked, facts: HostFacts) -> Already | None:
    both = pair(facts)
    if both is None or asked.version is None or not is_version(asked.version):
        return None
    stays = both[0].successful and facts.next_slot is both[0].name
    is_idle = facts.operation is Operation.IDLE
    if stays and is_idle and facts.os.version_id == asked.version:
        return Already(
            f"already so: {asked.version} runs in {both[0].name}, confirmed", "os-release, cgpt show"
        )
    return None


def _is_cancelled(asked: Asked, look: Look, facts: HostFacts) -> Already | None:
    both = pair(facts)
    if both is None or not unstaged(look):
        return None
    if asked.and_updates_off and update_mode(facts) != "disabled":
        return None
    return Already(f"already so: {both[0].name} boots next, nothing is staged", "status, cgpt show")


def unstaged(look: Look) -> bool:
    """Nothing on the host speaks of an update to boot into."""
    facts = look.facts
    both = pair(facts) if facts else None
    if facts is None or both is None:
        return False
    pending = facts.flags.reboot_required and not awaits_extension(facts)
    is_idle = facts.operation is Operation.IDLE
    return facts.next_slot is both[0].name and is_idle and not facts.flags.staged_marker and not pending


def awaits_extension(facts: HostFacts) -> bool:
    """An extension's new image waits for a reboot too, so /run/reboot-required may be its own."""
    return bool(facts.extensions and staged_images(facts.extensions))
