"""What stands against any verb on a host: it was not reached, not wholly read, or somebody acts on it. Pure.

None of these can be forced.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from actions.orders import Force, Refusal, Verb
from actions.policy_look import Look
from actions.remote.extra import Extra, HeldOrder
from actions.situation import REMEDIES
from collectors.classify import UPDATER, findings, unreached
from collectors.facts import HostFacts, Operation
from collectors.observation import ProbeFailed
from collectors.parse.text import instant
from collectors.slots import pair

REACHES = {
    "key_changed": "host-key-changed",
    "key_unknown": "host-key-unknown",
    "auth_refused": "auth-refused",
    "rebooting": "rebooting",
    "truncated": "incomplete",
    "silent": "unreachable",
    "unreachable": "unreachable",
    "not_flatcar": "not-flatcar",
}
"""Code of a look that brought no facts, or facts of something else -> code of the refusal."""


def refusal(code: str, why: str, remedy: str, evidence: str = "", force: Force | None = None) -> Refusal:
    """`why; remedy`; where it can be forced the words say so."""
    way = f"{remedy}, or --force {force}" if force else remedy
    return Refusal(code, f"{why}; {way}", evidence, force)


def unfit(verb: Verb, look: Look) -> Iterator[Refusal]:
    """What forbids even to say whether the verb's end is reached already."""
    if isinstance(look.seen, ProbeFailed):
        yield from _unreached(look.seen)
        return
    facts = look.seen.facts
    if facts.os.id is not None and not facts.os.is_flatcar:
        yield refusal("not-flatcar", f"it runs {facts.os.id}", REMEDIES["not_flatcar"], "os-release")
        return
    yield from _rebooting(facts)
    yield from _incomplete(verb, facts)
    yield from _slots(facts)
    yield from _preflight(verb, look)
    yield from _others(look)


def _unreached(failed: ProbeFailed) -> Iterator[Refusal]:
    reason = unreached(failed)
    remedy = REMEDIES.get(reason.code, "nothing is sent until it answers")
    why = reason.text or "it did not answer"
    yield refusal(REACHES.get(reason.code, "unreachable"), why, remedy, reason.evidence)


def _rebooting(facts: HostFacts) -> Iterator[Refusal]:
    for reason in findings(facts):
        if reason.state == "rebooting":
            yield refusal("rebooting", reason.text, "wait until it is back", reason.evidence)
    if facts.system_state == "stopping":
        yield refusal("rebooting", "the host is shutting down", "wait until it is back", "systemctl")


def _incomplete(verb: Verb, facts: HostFacts) -> Iterator[Refusal]:
    """What the probe should have read and did not, in the words that `status` has for it."""
    told = False
    for reason in findings(facts):
        if reason.state == "incomplete" and reason.code != "slots_unread":
            told = True
            code = (
                "incomplete" if reason.code in ("truncated", "os_unread") else reason.code.replace("_", "-")
            )
            yield refusal(code, reason.text, REMEDIES.get(reason.code, "ask again"), reason.evidence)
    if not facts.complete and not told:
        yield refusal("incomplete", "the answer breaks off", REMEDIES["truncated"], "probe")
    missing = [
        name
        for name, value in (("machine id", facts.identity.machine_id), ("boot id", facts.identity.boot_id))
        if not value
    ]
    if missing:
        why = f"{' and '.join(missing)} not read: what comes back later could not be told from another host"
        yield refusal("identity-unread", why, "ask again", "/etc/machine-id, boot_id")
    if (
        verb not in (Verb.CHANNEL, Verb.UPDATES, Verb.REPAIR)
        and facts.operation is None
        and not facts.flags.no_update
    ):
        why = "update_engine tells no status, so nobody can say that it is not writing"
        unit = facts.units.get(UPDATER)
        remedy = REMEDIES["masked" if unit is not None and unit.is_masked else "engine_down"]
        yield refusal("engine-down", why, remedy, UPDATER)


def _slots(facts: HostFacts) -> Iterator[Refusal]:
    if facts.flags.no_update:
        why = "an image without slots (PXE or ISO): there is nothing to stage, and nothing to go back to"
        yield refusal("no-slots", why, REMEDIES["pxe"], "/usr/.noupdate")
    elif facts.slots is None:
        yield refusal("slots-unread", "the slots' flags were not read", REMEDIES["slots_unread"], "cgpt show")
    elif facts.running is None:
        why = "which slot runs is not known"
        yield refusal("running-unknown", why, "run rootdev -s /usr on the host", "rootdev -s /usr")


def _preflight(verb: Verb, look: Look) -> Iterator[Refusal]:
    extra, remedy = look.extra, "ask again; if it stays so, look at the host"
    if extra is None or not extra.complete:
        why = "the preflight was not answered" if extra is None else "the preflight's answer breaks off"
        yield refusal("preflight-unread", why, remedy, "preflight")
        return
    missing = [name for name, value in _wanted(verb, look, extra).items() if value is None]
    missing += [f"section {name}" for name, _ in extra.unread if name == "order"]
    if missing:
        yield refusal("preflight-unread", f"not read: {', '.join(missing)}", remedy, "preflight")


def _wanted(verb: Verb, look: Look, extra: Extra) -> dict[str, object]:
    """What a verb cannot go without, by its name in words."""
    wanted: dict[str, object] = {
        "update.conf's digest": extra.conf_digest,
        "whether flatcar-update runs": look.updater_running,
    }
    if verb.reboots:
        wanted |= {"first_boot on /boot": look.first_boot, "/selective-os-reset": look.reset_armed}
        wanted |= {"inhibitors": extra.inhibitors}
    if verb is Verb.STAGE:
        wanted |= {"space on /boot": extra.boot}
    if verb in (Verb.STAGE, Verb.CANCEL, Verb.REPAIR):
        wanted |= {"locksmithd's unit files": extra.locksmithd}
    if verb in (Verb.STAGE, Verb.ACTIVATE, Verb.ROLL_BACK):
        wanted |= {"update_engine's journal": look.attempt}
    return wanted


def _others(look: Look) -> Iterator[Refusal]:
    order = look.extra.order if look.extra else None
    if order is not None and order.order not in look.own_orders and not is_over(order, look.now):
        until = instant(order.until) if order.until is not None else None
        shown = f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
        whose = f"{order.actor or '?'} on {order.console or '?'}"
        why = f"order {order.order or '?'} of {whose} has the host{shown}"
        yield refusal("foreign-order", why, "wait for its end, or ask them", "/run/fleetctl/order")
    elif look.extra is None and look.facts is not None and look.facts.foreign_order:
        why = "an order of another console has the host"
        yield refusal("foreign-order", why, "wait for its end, or ask them", "/run/fleetctl/order")
    if look.unknown_outcome:
        why = f"what became of an earlier order is not known: {look.unknown_outcome}"
        yield refusal("unknown-outcome", why, "let the next look settle it, or acknowledge the host", "store")


def is_over(order: HeldOrder, now: datetime) -> bool:
    """Past its `until`, by the clock that it was written by; one that does not say has the host for good."""
    return order.until is not None and order.until <= (order.now or now.timestamp())


def at_work(look: Look) -> Iterator[Refusal]:
    """An update that is being fetched or written now, whoever asked for it."""
    facts = look.facts
    if facts is None:
        return
    if look.updater_running:
        why = "somebody's flatcar-update runs on the host"
        yield refusal("updater-running", why, "wait for its end", "pgrep flatcar-update")
    operation = facts.operation
    if operation is None or operation in (Operation.IDLE, Operation.NEED_REBOOT):
        return
    word = operation.removeprefix("UPDATE_STATUS_").replace("_", " ").lower()
    version = f" ({facts.new_version})" if facts.new_version else ""
    why = f"update_engine is at work: {word}{version}"
    yield refusal("update-in-progress", why, "wait until it is idle or has staged", operation)


def unconfirmed(facts: HostFacts, then: str) -> Iterator[Refusal]:
    """The running slot is on trial. `then` says what the verb would do to it."""
    both = pair(facts)
    if both is not None and not both[0].successful:
        name = both[0].name
        remedy = "wait for its confirmation, about a minute after its boot"
        yield refusal("unconfirmed", f"{name} is not confirmed yet: {then}", remedy, slot_words(facts))


def armed(look: Look) -> Iterator[Refusal]:
    """What makes the next reboot a loss."""
    if look.reset_armed:
        why = "the next reboot wipes the host (flatcar-reset is armed)"
        yield refusal("reset-armed", why, REMEDIES["reset_armed"], "/selective-os-reset")
    if look.first_boot:
        why = "Ignition runs again at the next boot (first_boot is armed)"
        yield refusal("first-boot-armed", why, REMEDIES["first_boot_armed"], "first_boot on /boot")


def damaged_table(facts: HostFacts) -> Iterator[Refusal]:
    if facts.slots is not None and facts.slots.damaged:
        why = "one copy of the partition table is damaged"
        remedy = "run cgpt repair on the host, or let its next boot do it"
        yield refusal("table-damaged", why, remedy, "cgpt show")


def slot_words(facts: HostFacts) -> str:
    """`A 2/0/1, B 1/0/0`: priority, tries, successful."""
    if facts.slots is None:
        return ""
    slots = (facts.slots.a, facts.slots.b)
    return ", ".join(f"{slot.name} {slot.priority}/{slot.tries}/{int(slot.successful)}" for slot in slots)
