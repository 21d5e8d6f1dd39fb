"""Orders as text: the plan before anything is sent, and what became of each host. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from actions.orders import Phase, Placed, Step, asked_words
from console.tone import Pen, Tone
from console.visible import cells, hosts_words, pad, wrap

NAMES_LISTED = 400
"""Cells of names of equal hosts; nobody reads more, and the JSON has them all."""
_GLYPHS = {
    Phase.PLANNED: ("○", "o", Tone.MOVING),
    Phase.REFUSED: ("✗", "x", Tone.WARN),
    Phase.ALREADY: ("✓", "=", Tone.CALM),
    Phase.INTENT: ("◔", "o", Tone.MOVING),
    Phase.SENT: ("◔", "o", Tone.MOVING),
    Phase.DONE: ("✓", "+", Tone.CALM),
    Phase.FAILED: ("✗", "X", Tone.BAD),
    Phase.UNKNOWN: ("?", "?", Tone.UNKNOWN),
    Phase.NOT_SENT: ("✗", "x", Tone.WARN),
    Phase.SKIPPED: ("–", "-", Tone.LATE),
}


@dataclass(frozen=True, slots=True)
class HostLine:
    """One host of an order, as it is told."""

    host: str
    phase: Phase
    text: str
    is_own: bool = True
    """Of the order itself; else of what followed from it."""


@dataclass(frozen=True, slots=True)
class HostOrder:
    """One of a host's orders, as its page tells it."""

    id: str
    at: datetime
    what: str
    phase: Phase
    code: str | None
    text: str | None


def orders_text(orders: Sequence[HostOrder], *, colour: bool, ascii: bool, width: int) -> str:
    """A host's orders, a line each or more."""
    pen, lines = Pen(colour, ascii), []
    for order in orders:
        head = f"{order.at:%Y-%m-%d %H:%M}  {glyph(order.phase, pen)} "
        text = f"{order.what}: {order.phase}" + (f", {order.text}" if order.text else "")
        first, *rest = wrap(pen.say(f"{text} ({order.id})"), max(24, width - 20))
        lines += [head + first, *(" " * 20 + line for line in rest)]
    return "\n".join(lines)


def plan_text(order: Placed, steps: Sequence[Step], *, colour: bool, ascii: bool, width: int) -> str:
    """What would be sent to whom and why not to others; equal hosts once."""
    pen = Pen(colour, ascii)
    goes = [step for step in steps if step.phase is Phase.PLANNED]
    lines = [pen(Tone.BRIGHT, pen.say(f"{asked_words(order.asked)}: {_counted(steps)}"))]
    if goes and order.asked.verb.reboots:
        lines.append(f"{_turns(order.at_once, len(goes))}; the first host that is not as ordered ends it")
    groups: dict[tuple[object, ...], list[Step]] = {}
    for step in steps:
        groups.setdefault(_likeness(step), []).append(step)
    for alike in groups.values():
        lines += ["", *_group(alike, pen, width)]
    return "\n".join(lines)


def _counted(steps: Sequence[Step]) -> str:
    counts = {phase: sum(step.phase is phase for step in steps) for phase in Phase}
    words = {
        Phase.PLANNED: "would be changed",
        Phase.REFUSED: "refused",
        Phase.ALREADY: "so already",
    }
    told = [f"{counts[phase]:,} {word}" for phase, word in words.items() if counts[phase]]
    return f"{hosts_words(len(steps))}, {', '.join(told)}"


def _turns(at_once: int, hosts: int) -> str:
    if hosts == 1:
        return "one host"
    return "one host after another" if at_once == 1 else f"{at_once} hosts at a time"


def _likeness(step: Step) -> tuple[object, ...]:
    """Hosts whose plan reads the same."""
    around = (len(step.before), len(step.after))
    refusals = tuple((item.code, item.text) for item in step.refusals)
    return (step.phase, step.says, step.moves, around, refusals)


def _group(alike: Sequence[Step], pen: Pen, width: int) -> Iterator[str]:
    first = alike[0]
    names = pen.say(", ".join(step.host for step in alike), NAMES_LISTED)
    head = f"{glyph(first.phase, pen)} "
    count = f"{len(alike)}  " if len(alike) > 1 else ""
    for number, line in enumerate(wrap(count + names, max(20, width - 2))):
        yield head + pen(Tone.BRIGHT, line) if number == 0 else f"  {line}"
    arrow = "->" if pen.ascii else "→"
    moves = [
        f"{what} {was or '?'} {arrow} {now or '?'}" if was != now else f"{what} stays {now}"
        for what, was, now in first.moves
        if (was or now) is not None
    ]
    if moves:
        yield from _indented(pen.say(", ".join(moves)), pen, width, Tone.TEXT)
    if first.before or first.after:
        like = "" if len(alike) == 1 else ", and so for each"
        around = ", ".join((*first.before, str(first.verb), *first.after))
        yield from _indented(pen.say(f"in this order: {around}{like}"), pen, width, Tone.TEXT)
    for said in first.says:
        yield from _indented(pen.say(said), pen, width, Tone.TEXT)
    for item in first.refusals:
        yield from _indented(pen.say(f"{item.code}: {item.text}"), pen, width, Tone.WARN)


def _indented(text: str, pen: Pen, width: int, tone: Tone) -> Iterator[str]:
    for line in wrap(text, max(20, width - 4)):
        yield f"    {pen(tone, line)}"


def commands_text(order: Placed, steps: Iterable[Step], text: str, *, ascii: bool) -> str:
    """What is sent, word for word: a line for each host, then the text that all of them run as root."""
    pen = Pen(False, ascii)
    goes = [step for step in steps if step.command]
    if not goes:
        return ""
    lines = ["", "sent to each host:"]
    for step in goes:
        lines += [f"{pen.say(step.host)}: {pen.say(said)} (on this console)" for said in step.before]
        lines.append(f"{pen.say(step.host)}: {pen.say(step.command or '')}")
        lines += [f"{pen.say(step.host)}: {pen.say(said)} (on this console)" for said in step.after]
    name = (goes[0].command or "").partition(" ")[0]
    lines += ["", f"{name}, run as root by bash with these values on its stdin, is:", text]
    return "\n".join(lines)


def glyph(phase: Phase, pen: Pen) -> str:
    """A host's sign."""
    sign, plain, tone = _GLYPHS[phase]
    return pen(tone, plain if pen.ascii else sign)


def host_line(line: HostLine, pen: Pen, width: int, *, name_width: int = 0) -> str:
    """One host and what became of it, on as many lines as it takes."""
    name = pad(pen.say(line.host, 40, "middle"), min(name_width, 40))
    word = pad(str(line.phase), 8)
    indent = 2 + cells(name) + 2 + 8 + 2
    first, *rest = wrap(pen.say(line.text), max(24, width - indent))
    _, _, tone = _GLYPHS[line.phase]
    lines = [f"{glyph(line.phase, pen)} {name}  {pen(tone, word)}  {first}".rstrip()]
    return "\n".join([*lines, *(" " * indent + more for more in rest)])


def result_text(order: Placed, hosts: Sequence[HostLine], *, colour: bool, ascii: bool, width: int) -> str:
    """What became of every host of an order."""
    pen = Pen(colour, ascii)
    counts: dict[Phase, int] = {}
    for item in hosts:
        if not item.is_own:
            continue
        counts[item.phase] = counts.get(item.phase, 0) + 1
    told = ", ".join(f"{count:,} {phase}" for phase, count in counts.items())
    name_width = max((cells(pen.say(item.host, 40, "middle")) for item in hosts), default=0)
    lines = [host_line(item, pen, width, name_width=name_width) for item in hosts]
    return "\n".join([*lines, pen(Tone.BRIGHT, pen.say(f"{order.id}  {asked_words(order.asked)}: {told}"))])
