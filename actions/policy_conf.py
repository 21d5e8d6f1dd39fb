"""What stands against writing update.conf, and what on a host wants repair. Pure.

Source for groups: flatcar/flatcar-website:content/docs/latest/setup/releases@2075ef3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from actions.orders import Asked, Refusal
from actions.policy_host import at_work, damaged_table, is_over, refusal, unconfirmed
from actions.policy_look import Look, has_staged, update_mode
from actions.remote.repair import Residue
from collectors.facts import Operation
from collectors.parse.update_conf import effective_server, server_kind
from collectors.releases import CHANNELS
from collectors.slots import pair

MODES = ("on", "off", "managed")
_GROUP = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", flags=re.ASCII)


def against_channel(asked: Asked, look: Look) -> Iterator[Refusal]:
    facts, channel = look.facts, asked.channel
    if facts is None:
        return
    if channel is None or not _GROUP.fullmatch(channel):
        why = "no channel was named" if not channel else f"{channel[:40]!a} is no channel's name"
        yield refusal("channel-unknown", why, f"name one of {', '.join(CHANNELS)}, lts-YEAR")
    elif not is_known_channel(channel, look):
        kind = server_kind(effective_server(facts.conf, facts.image_conf))
        if kind != "custom":
            why = f"{channel} is no channel of the public server"
            yield refusal("channel-unknown", why, f"name one of {', '.join(CHANNELS)}, lts-YEAR", "releases")
    yield from _flatcar_update(look)


def is_known_channel(channel: str, look: Look) -> bool:
    """A public channel, or a stream of LTS that has releases; an own server may know others."""
    releases = look.feed.of_group(channel) if look.feed else None
    return bool(releases) or channel in CHANNELS


def against_updates(asked: Asked, look: Look) -> Iterator[Refusal]:
    if asked.mode not in MODES:
        why = "no mode was named" if not asked.mode else f"{asked.mode[:40]!a} is no mode of updates"
        yield refusal("mode-unknown", why, f"write one of {', '.join(MODES)}")
    yield from _flatcar_update(look)


def _flatcar_update(look: Look) -> Iterator[Refusal]:
    """It puts update.conf back as it found it, so what is written meanwhile is lost."""
    if look.updater_running:
        why = "somebody's flatcar-update runs and will put update.conf back as it was"
        yield refusal("updater-running", why, "wait for its end", "pgrep flatcar-update")


def against_repair(look: Look) -> Iterator[Refusal]:
    facts = look.facts
    if facts is None:
        return
    yield from at_work(look)
    found = residues(look)
    if Residue.STAGED in found:
        yield from unconfirmed(facts, "what is next is its way back")
        yield from damaged_table(facts)


def residues(look: Look) -> tuple[Residue, ...]:
    """What interrupted programs left behind, in the order in which it is put right."""
    facts = look.facts
    if facts is None or facts.flags.no_update:
        return ()
    found = []
    if update_mode(facts) == "localhost":
        found.append(Residue.SERVER)
    both = pair(facts)
    is_next = both is not None and facts.next_slot is both[1].name
    idle, waiting = facts.operation is Operation.IDLE, facts.operation is Operation.NEED_REBOOT
    if idle and is_next and has_staged(facts):
        found.append(Residue.STAGED)
    if waiting and both is not None and facts.next_slot is both[0].name:
        found.append(Residue.MARKS)
    if _is_left_held(look) and (found or (idle and not is_next)):
        found.append(Residue.LOCKSMITHD)
    return tuple(found)


def _is_left_held(look: Look) -> bool:
    """An order of ours holds locksmithd, and it is over."""
    extra = look.extra
    if extra is None or extra.locksmithd is None or extra.locksmithd.held_by is None:
        return False
    return extra.order is None or is_over(extra.order, look.now)
