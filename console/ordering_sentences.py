"""What a confirmation says beside its table: from where to where, how, what limits it, what is odd. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from actions.orders import Verb
from console.folding import fold_names
from console.ordering_plan import Dialog, PlannedHost, targets
from console.rows import HostRow
from console.tone import Tone
from console.visible import duration_words, hosts_words

_BUTTONS = {
    Verb.STAGE: "Stage",
    Verb.CANCEL: "Unstage",
    Verb.ACTIVATE: "Reboot",
    Verb.REBOOT: "Reboot",
    Verb.ROLL_BACK: "Roll back",
    Verb.CHANNEL: "Switch",
    Verb.UPDATES: "Switch",
    Verb.REPAIR: "Repair",
}
_NO_UNDO = ("overwritten", "no roll-back", "is lost", "quarantined", "is replaced", "not merged any more")
"""Parts of the plan's sentences on what cannot be undone."""
_NAMED_MOST = 3
_COMMA = re.compile(r",(?![^\[\]]*\])")
"""Between names, not between the numbers of one."""


@dataclass(frozen=True, slots=True)
class Line:
    """A labelled sentence."""

    label: str
    text: str
    tone: Tone = Tone.TEXT


def names_words(names: Iterable[str]) -> str:
    """Names as node sets, with blanks between them at which a line may be broken."""
    return _COMMA.sub(", ", fold_names(tuple(names)))


def button(dialog: Dialog) -> str:
    """What the confirming key does: `Reboot 14`."""
    return f"{_BUTTONS[dialog.subject.verb]} {len(dialog.goes):,}"


def headline(dialog: Dialog) -> str:
    """From where to where, or whom it would be about."""
    verb, hosts = dialog.subject.verb, dialog.goes
    if not hosts:
        return f"Nothing to do for {verb.replace('-', ' ')}: no host may get it now"
    count, was, now = hosts_words(len(hosts)), _versions(hosts, 0), _versions(hosts, 1)
    match verb:
        case Verb.STAGE:
            what = now or "what its server offers"
            return f"Write {what} to the other slot of {count}{f', running {was}' if was else ''}"
        case Verb.ACTIVATE:
            return f"Reboot {count} from {was or '?'} into {now or 'what is staged'}"
        case Verb.REBOOT:
            return f"Reboot {count} into the slot that runs"
        case Verb.ROLL_BACK:
            return f"Take {count} back from {was or '?'} to {now or 'the older release'}"
        case Verb.CANCEL:
            return f"Unstage {count}: the running slot boots next again"
        case Verb.CHANNEL:
            return f"Let {count} follow {_word(dialog)}"
        case Verb.UPDATES:
            return f"Switch the own updates of {count}: {_word(dialog)}"
    return f"Put right on {count} what interrupted programs left behind"


def _word(dialog: Dialog) -> str:
    return next((word for word in dialog.subject.arguments if not word.startswith("-")), "")


def _versions(hosts: Sequence[PlannedHost], side: int) -> str:
    found = list(dict.fromkeys(host.os[side] for host in hosts if host.os[side]))
    if len(found) > 2:
        return f"{len(found)} versions"
    return " or ".join(version for version in found if version)


def each(dialog: Dialog) -> str:
    """What every host goes through; "" where nothing is to be done."""
    if not dialog.goes:
        return ""
    drained = "is drained, " if any("drain" in " ".join(host.before) for host in dialog.goes) else ""
    match dialog.subject.verb:
        case Verb.STAGE:
            return "Each downloads and writes it while it works on. Nothing reboots: that is for activate."
        case Verb.ACTIVATE:
            return (
                f"Each {drained}boots the staged slot once, and falls back by itself"
                " if that boot is not confirmed."
            )
        case Verb.REBOOT:
            return f"Each {drained}boots the same slot and version again, and is looked at until it is well."
        case Verb.ROLL_BACK:
            return (
                f"Each {drained}boots the older slot once, proved intact, and falls back by itself"
                " if that boot is not confirmed."
            )
        case Verb.CANCEL:
            return "Nothing reboots; the mark of the update is taken away."
        case Verb.CHANNEL | Verb.UPDATES:
            return "One line of update.conf is written; nothing reboots."
    return "Only what is found is put right; nothing reboots."


def lines(dialog: Dialog) -> Iterator[Line]:
    """What limits it, what is odd, what cannot be undone."""
    if dialog.plan is not None and dialog.goes:
        yield from _order(dialog)
    if dialog.subject.window:
        yield Line("window", dialog.subject.window)
    yield from _hidden(dialog)
    yield from _look_again(dialog)
    if dialog.goes:
        yield from _said(dialog)
        yield from _undo(dialog)


def _order(dialog: Dialog) -> Iterator[Line]:
    plan, count = dialog.plan, len(dialog.goes)
    if plan is None:
        return
    if count > 1:
        if dialog.subject.verb.reboots:
            turns = "one after another" if plan.at_once == 1 else f"{plan.at_once} at a time"
            yield Line(
                "disturbed", f"{min(plan.at_once, count)} of {count} at a time, in the end all of them"
            )
        else:
            turns = f"{min(plan.at_once, count)} at a time"
        stops = "stops at the first host that is not as ordered" if plan.stops_at_first else "each for itself"
        yield Line("order", f"{turns}; {stops}")
    longest = max((host.deadline_s or 0.0 for host in dialog.goes), default=0.0)
    if longest:
        yield Line("time", f"a host that does not show it within {duration_words(longest)} is not as ordered")


def _hidden(dialog: Dialog) -> Iterator[Line]:
    subject = dialog.subject
    if not subject.hidden:
        return
    count = len(subject.hosts)
    where = f" {subject.filter}" if subject.filter else ""
    what = "is" if subject.hidden == 1 else "are"
    text = f"{subject.hidden:,} of the {count:,} {what} outside your filter{where}; all are listed here"
    yield Line("hidden", text, Tone.WARN)


def _look_again(dialog: Dialog) -> Iterator[Line]:
    """Hosts of the whole fleet on which what this leads to went wrong."""
    found = targets(dialog)
    for version in found:
        bad = {
            "reverted": [name for name, row in dialog.rows.items() if _went_back(row, version)],
            "failed": [name for name, row in dialog.rows.items() if _failed(row, version)],
        }
        for word, names in bad.items():
            if names:
                own = len(set(names) & {host.host for host in dialog.goes})
                also = f"; {own} of them in this order" if own else ""
                text = f"{hosts_words(len(names))} {word} on {version}: {names_words(names)}{also}"
                yield Line("look again", text, Tone.WARN)
    for halt in dialog.subject.halts:
        if any(version in halt for version in found):
            yield Line("look again", halt, Tone.WARN)


def _went_back(row: HostRow, version: str) -> bool:
    slots = (row.slot_a, row.slot_b)
    return row.state == "reverted" and (
        any(slot is not None and slot.dead and slot.version == version for slot in slots)
        or any(version in text for _, text in row.reasons)
    )


def _failed(row: HostRow, version: str) -> bool:
    return row.state == "failed" and any(version in text for _, text in row.reasons)


def _said(dialog: Dialog) -> Iterator[Line]:
    """The plan's own sentences, each once, with the hosts that it is about where it is not about all."""
    whom: dict[str, list[str]] = {}
    for host in dialog.goes:
        for text in host.says:
            whom.setdefault(text, []).append(host.host)
    found = [_one_said(text, names, len(dialog.goes)) for text, names in whom.items()]
    order = ("forced", "window", "to know", "no undo")
    yield from sorted(found, key=lambda line: order.index(line.label))


def _one_said(text: str, names: Sequence[str], all_hosts: int) -> Line:
    if text.startswith("forced "):
        label, tone = "forced", Tone.WARN
    elif any(part in text for part in _NO_UNDO):
        label, tone = "no undo", Tone.TEXT
    elif "window" in text:
        label, tone = "window", Tone.WARN
    else:
        label, tone = "to know", Tone.TEXT
    if len(names) == all_hosts:
        return Line(label, text, tone)
    shown = names_words(names) if len(names) <= _NAMED_MOST else hosts_words(len(names))
    return Line(label, f"{shown}: {text}", tone)


def _undo(dialog: Dialog) -> Iterator[Line]:
    """What follows from the verb itself."""
    count, was = len(dialog.goes), _versions(dialog.goes, 0)
    reboots = "1 reboot" if count == 1 else f"{count:,} reboots"
    match dialog.subject.verb:
        case Verb.ACTIVATE:
            yield Line("no undo", f"{reboots}; {was or 'what runs'} stays in the other slot for roll back")
        case Verb.REBOOT:
            yield Line("no undo", reboots)
        case Verb.ROLL_BACK:
            yield Line("no undo", f"{reboots}; {was or 'what runs'} is not fetched again by itself")
