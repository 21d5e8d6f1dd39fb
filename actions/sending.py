"""What is sent to a host for its step, and what the channel's answer means for it. Pure.

The text is the verb's own, the same on all hosts; everything that differs is in its stdin. In words a command
is the text's name and digest with those values, without the order's own number: the dry run prints it, the
record keeps it, and the two are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from actions.orders import Asked, Outcome, Phase, Step, Verb
from actions.planning import repaired_mode
from actions.policy import awaits_extension
from actions.policy_conf import residues
from actions.policy_look import Look
from actions.policy_stage import holds_locksmithd
from actions.remote import words
from actions.remote.cancel import cancel_values
from actions.remote.channel import channel_values
from actions.remote.order import Order, Reply, VerbText, Word
from actions.remote.reboot import reboot_values
from actions.remote.repair import repair_values
from actions.remote.roll_back import roll_back_values
from actions.remote.stage import PayloadFile, stage_values
from actions.remote.sudoers import TEXTS
from actions.remote.updates import updates_values

LASTS_LONGER_S = 300
"""A host stays an order's own so much longer than its evidence is awaited."""


@dataclass(frozen=True, slots=True)
class Sender:
    """In whose name a command is sent."""

    order_id: str
    actor: str
    console: str
    payload: PayloadFile | None = None
    extensions: tuple[PayloadFile, ...] = ()


def with_command(step: Step, asked: Asked, look: Look, sender: Sender) -> Step:
    """The step with its command; unchanged where nothing is to be sent. Raises words.Unsendable."""
    if step.phase is not Phase.PLANNED or step.guard is None:
        return step
    text = TEXTS[asked.verb]
    held = look.extra.order if look.extra else None
    follows = held.order if held is not None and held.order in look.own_orders else None
    lasts_s = int(step.deadline_s + step.confirm_s) + LASTS_LONGER_S
    order = Order(sender.order_id, sender.actor, sender.console, lasts_s, follows)
    stdin = text.stdin(order, step.guard, values_of(asked, look, step, sender))
    return replace(step, command=in_words(text, stdin), stdin=stdin)


def values_of(asked: Asked, look: Look, step: Step, sender: Sender) -> Mapping[str, str]:
    """The verb's own values on this host. Raises words.Unsendable."""
    slot = (step.goal.running if step.goal else None) or "-"
    match asked.verb:
        case Verb.STAGE:
            return stage_values(
                asked.version,
                hold_locksmithd=holds_locksmithd(look),
                payload=sender.payload,
                extensions=sender.extensions,
            )
        case Verb.CANCEL:
            return cancel_values(updates_off=asked.and_updates_off, remove_marker=_marker_goes(look))
        case Verb.ACTIVATE | Verb.REBOOT:
            return reboot_values(slot)
        case Verb.ROLL_BACK:
            return roll_back_values(slot)
        case Verb.CHANNEL:
            return channel_values(asked.channel)
        case Verb.UPDATES:
            return updates_values(asked.mode or "")
    server = "disabled" if repaired_mode(look) == "disabled" else None
    return repair_values(residues(look), server=server, remove_marker=_marker_goes(look))


def _marker_goes(look: Look) -> bool:
    return look.facts is None or not awaits_extension(look.facts)


def in_words(text: VerbText, stdin: str) -> str:
    """A command as people and the record have it."""
    lines = [
        line for line in stdin.splitlines() if not line.startswith(("order=", "follows=")) and "=" in line
    ]
    values = " ".join(f"{key}={_quoted(value)}" for key, _, value in (line.partition("=") for line in lines))
    return f"{text.argv[-1]} sha256:{sha256(text.argv[-2].encode()).hexdigest()[:16]} {values}"


def _quoted(value: str) -> str:
    return f"'{value}'" if " " in value else value


_REFUSED = {
    "not-idle": "update_engine is not idle",
    "busy": "update_engine is at work",
    "updater-running": "somebody's flatcar-update runs",
    "running-unknown": "which slot runs is not known",
    "locksmithd-in-etc": "locksmithd's unit lies in /etc and cannot be held",
    "unconfirmed": "the running slot is not confirmed",
    "reset-armed": "the next reboot would wipe it",
    "first-boot-armed": "Ignition would run again at the next boot",
    "boot-unread": "/boot cannot be looked into",
    "inhibited": "a shutdown is inhibited",
    "inhibitors-unread": "logind does not tell its inhibitors",
    "other-slot-next": "another slot boots next than was planned",
    "nothing-staged": "nothing is staged",
    "slots-unread": "the slots' flags are not known",
    "runs-already": "that slot runs already",
}
"""What the text on the host refuses by itself, by its word."""


_MOVED = {
    "boot_id": "it has rebooted",
    "conf": "update.conf is another",
    "slot_a": "slot A's flags are now",
    "slot_b": "slot B's flags are now",
    "operation": "update_engine's status is now",
}


def _moved_words(detail: str) -> str:
    """What the host says has moved; `-` stands for what it cannot read any more."""
    key, _, found = detail.partition(" ")
    what = _MOVED.get(key, f"{key} is now")
    if key in ("boot_id", "conf"):
        return what
    return f"{what} {found.removeprefix('UPDATE_STATUS_') if found not in ('', '-') else 'not to be read'}"


def not_sent(reply: Reply, exit_status: int) -> Outcome | None:
    """The outcome where the channel's answer says that nothing was done; None where it does not say so."""
    if reply.word is None:
        if exit_status == words.Exit.NOT_ALLOWED:
            why = "sudo does not allow this order; fleetctl doctor --sudoers --verbs prints the rule"
            return Outcome(Phase.NOT_SENT, "sudo-refused", why)
        return None
    if not reply.nothing_done:
        return None
    match reply.word:
        case Word.MOVED:
            text = f"the host moved since the plan was made: {_moved_words(reply.detail)}; ask again"
            return Outcome(Phase.NOT_SENT, "moved", text)
        case Word.TAKEN:
            return Outcome(Phase.NOT_SENT, "foreign-order", f"another order has the host: {reply.detail}")
        case Word.REFUSED:
            why = _REFUSED.get(reply.detail, reply.detail or "it does not say why")
            return Outcome(
                Phase.NOT_SENT,
                reply.detail if reply.detail in _REFUSED else "refused",
                f"the host refused, nothing was done: {why}; ask again once that is over",
            )
        case Word.MALFORMED:
            return Outcome(
                Phase.NOT_SENT, "malformed", f"what was sent did not arrive whole ({reply.detail})"
            )
    return Outcome(Phase.NOT_SENT, "not-started", f"the host could not start it: {reply.detail}")
