"""The board of orders as lines: the list of orders, one order's head, its hosts with their reasons. Pure.

Lines are spans as `console.ink` reads them, at most as wide as asked for. A host whose step went well takes
one line; what needs a person is told to its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from actions.orders import Phase, Verb
from console.board import Look
from console.folding import fold_names
from console.order_board import (
    REVERTED,
    Entry,
    Inverse,
    OrderBoard,
    OrderCard,
    OrderHost,
    entries,
    force_words,
    inverse,
    progress,
    reason_words,
    sentence,
    title,
)
from console.tone import Pen, Tone
from console.visible import age_words, cells, clock_words, hosts_words, pad, wrap

EMPTY = (
    "Unlock (u), mark hosts (space), then s stage, a activate, b roll back, c channel.",
    "What was asked for stands here, with every host's reason.",
)
_TEXT_LINES = 8
"""Of one reason; nobody reads more, and the record has all of it."""
_FOLDED = 200
"""Hosts that are folded into a node set; of more, the first is named."""
_GAUGE = 10
_WORD = 11
_AGE = 6
_NAME_MOST = 28
_SGR = re.compile(r"\x1b\[[0-9;]*m")

_PHASES = {
    Phase.PLANNED: ("·", ".", "waits", Tone.DIM),
    Phase.REFUSED: ("▲", "!", "refused", Tone.WARN),
    Phase.ALREADY: ("●", "o", "so already", Tone.CALM),
    Phase.INTENT: ("◔", "~", "sending", Tone.MOVING),
    Phase.SENT: ("◔", "~", "sent", Tone.MOVING),
    Phase.DONE: ("●", "o", "done", Tone.CALM),
    Phase.FAILED: ("×", "x", "failed", Tone.BAD),
    Phase.UNKNOWN: ("◌", "?", "unknown", Tone.UNKNOWN),
    Phase.NOT_SENT: ("▲", "!", "not sent", Tone.WARN),
    Phase.SKIPPED: ("-", "-", "skipped", Tone.LATE),
}
_AWAITED = {
    Verb.STAGE: "it stages; looked at until",
    Verb.ACTIVATE: "awaited back until",
    Verb.REBOOT: "awaited back until",
    Verb.ROLL_BACK: "awaited back until",
}
_NARROW = 100
"""Cells below which notes stand under a host's name, not under its reason."""


@dataclass(frozen=True, slots=True)
class Sign:
    """How a phase is shown."""

    glyph: str
    word: str
    tone: Tone


def host_sign(one: OrderHost, pen: Pen) -> Sign:
    if one.code == REVERTED and one.phase is Phase.FAILED:
        return Sign("<" if pen.ascii else "◄", REVERTED, Tone.BAD)
    if one.phase is Phase.SENT and one.verb.reboots:
        return Sign("R" if pen.ascii else "↑", "rebooting", Tone.MOVING)
    glyph, plain, word, tone = _PHASES[one.phase]
    return Sign(plain if pen.ascii else glyph, word, tone)


def card_sign(card: OrderCard, pen: Pen) -> Sign:
    """The gravest of what is known of it; while it is carried out, that."""
    if card.is_left:
        return Sign("!" if pen.ascii else "△", "left", Tone.WARN)
    if card.is_open:
        return Sign("~" if pen.ascii else "◔", "under way", Tone.MOVING)
    if card.reverted:
        return Sign("<" if pen.ascii else "◄", REVERTED, Tone.BAD)
    grave = (Phase.FAILED, Phase.UNKNOWN, Phase.REFUSED, Phase.NOT_SENT, Phase.SKIPPED)
    phase = next((phase for phase in grave if card.counts.get(phase)), Phase.DONE)
    glyph, plain, word, tone = _PHASES[phase]
    return Sign(plain if pen.ascii else glyph, word, tone)


# The sentence and the list of orders


def sentence_lines(board: OrderBoard, look: Look, width: int) -> list[str]:
    """What is to be known, on as many lines as it takes; where there is no order, how one is given."""
    pen = look.pen
    first, rest = (pen.say(part) for part in sentence(board))
    if not board.orders:
        lines = [pen(Tone.BRIGHT, pen.say(first, width)), ""]
        return lines + [pen(Tone.DIM, line) for text in EMPTY for line in wrap(pen.say(text), width)]
    is_trouble = any(
        card.is_left or (card.is_open and (card.counts.keys() & {Phase.FAILED, Phase.UNKNOWN}))
        for card in board.orders
    )
    tone = Tone.WARN if is_trouble else Tone.TEXT
    if rest and cells(first) + 1 + cells(rest) <= width:
        return [f"{pen(Tone.BRIGHT, first)} {pen(tone, rest)}"]
    lines = [pen(Tone.BRIGHT, line) for line in wrap(first, width)[:2]]
    return lines + [pen(tone, line) for line in wrap(rest, width)[:2] if rest]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands."""

    is_cursor: bool = False
    is_active: bool = False
    """The keys move this cursor; else another one beside it."""


def card_lines(card: OrderCard, board: OrderBoard, look: Look, width: int, place: Place) -> list[str]:
    """One order on a line, or on two where the list is narrow and stands beside the hosts."""
    return (
        _two_lines(card, board, look, width, place)
        if width < 70
        else [_one_line(card, board, look, width, place)]
    )


def _one_line(card: OrderCard, board: OrderBoard, look: Look, width: int, place: Place) -> str:
    pen = look.pen
    longest, latest = _columns(board)
    asked_room = max(min(width // 3, longest), 12)
    when = clock_words(card.at, board.now).rjust(latest)
    head = f"{_gutter(pen, place)}{_asked(card, pen, asked_room, place)}"
    gauge = _GAUGE if width >= _NARROW else _GAUGE // 2
    room = width - 4 - asked_room - 2 - gauge - 2 - latest - 2
    words = _progress(card, pen, max(room, 1))
    drawn = _gauge(card, look, gauge) if card.is_open else " " * gauge
    return f"{head}  {drawn}  {words}  {pen(Tone.DIM, when)}"


def _columns(board: OrderBoard) -> tuple[int, int]:
    """Cells of the longest words and of the longest time."""
    asked = max((cells(card.asked) for card in board.orders), default=0)
    return asked, max((cells(clock_words(card.at, board.now)) for card in board.orders), default=0)


def _two_lines(card: OrderCard, board: OrderBoard, look: Look, width: int, place: Place) -> list[str]:
    pen = look.pen
    when = clock_words(card.at, board.now)
    room = max(width - 4 - cells(when) - 1, 4)
    first = f"{_gutter(pen, place)}{_asked(card, pen, room, place)} {pen(Tone.DIM, when)}"
    gauge = _gauge(card, look, 8) + "  " if card.is_open else ""
    left = max(width - 4 - (10 if gauge else 0), 1)
    return [first, f"{_gutter(pen, place)}  {gauge}{_progress(card, pen, left)}"]


def _asked(card: OrderCard, pen: Pen, room: int, place: Place) -> str:
    sign = card_sign(card, pen)
    words = pad(pen.say(card.asked, room), room)
    is_bright = card.is_open or place.is_cursor
    return f"{pen(sign.tone, sign.glyph)} {pen(Tone.BRIGHT if is_bright else Tone.TEXT, words)}"


def _gutter(pen: Pen, place: Place) -> str:
    if not place.is_cursor:
        return "  "
    mark = ">" if pen.ascii else "▌"
    return pen(Tone.ACCENT if place.is_active else Tone.DIM, mark) + " "


def _gauge(card: OrderCard, look: Look, width: int) -> str:
    """How many are as ordered, of all."""
    pen = look.pen
    filled, rest = pen.gauge(card.settled / card.total if card.total else 0.0, width)
    tone = Tone.MOVING if card.is_open else Tone.DIM
    return pen(tone, filled) + pen.code(look.paint.track, pen.marks.track * len(rest))


def _progress(card: OrderCard, pen: Pen, room: int) -> str:
    """Padded to `room`; parts that do not fit are left out from the end, and a sign says so."""
    drawn, used = "", 0
    parts = progress(card)
    for number, (phase, words) in enumerate(parts):
        text = f", {words}" if number else words
        more = 0 if number == len(parts) - 1 else 2
        if used + cells(text) + more > room:
            mark = pen.say("…", max(room - used, 0))
            return drawn + pen(Tone.DIM, mark) + " " * (room - used - cells(mark))
        tone = _PHASES[phase][3] if phase not in (Phase.DONE, Phase.ALREADY) else Tone.TEXT
        drawn += (", " if number else "") + pen(tone, words)
        used += cells(text)
    return drawn + " " * (room - used)


# One order


def about_lines(
    card: OrderCard, back: Inverse | None, board: OrderBoard, look: Look, width: int
) -> list[str]:
    """What the chosen order is, who gave it, whether it goes on, and the way back."""
    pen = look.pen
    name = pen.say(title(card), max(width - cells(card.id) - 4, 8))
    rule = ("-" if look.ascii else "─") * max(width - cells(name) - cells(card.id) - 2, 0)
    head = f"{pen(Tone.BRIGHT, name)} {pen.code(look.paint.line, rule)} {pen(Tone.HINT, pen.say(card.id))}"
    lines = [head]
    lines += [pen(Tone.DIM, line) for line in wrap(pen.say(_story(card, board)), width)[:2]]
    if card.is_left:
        text = f"nobody carries it out: `fleetctl run {card.id}` goes on with it"
        lines += [pen(Tone.WARN, line) for line in wrap(pen.say(text), width)[:2]]
    if card.stopped:
        lines += [pen(Tone.WARN, line) for line in wrap(pen.say(card.stopped), width)[:3]]
    return lines + _back_lines(back, look, width)


def _story(card: OrderCard, board: OrderBoard) -> str:
    words = [f"by {card.who}", f"given {clock_words(card.at, board.now)}"]
    if card.ended_at is not None:
        words.append(f"ended {clock_words(card.ended_at, board.now)}")
    elif card.is_carried_out:
        words.append("under way")
    if card.total > 1 and card.verb.reboots:
        words.append("one host after another" if card.at_once == 1 else f"{card.at_once} hosts at a time")
    if card.stops and card.total > 1:
        words.append("the first that is not as ordered ends it")
    return ", ".join(words)


def _back_lines(back: Inverse | None, look: Look, width: int) -> list[str]:
    if back is None:
        return []
    pen = look.pen
    first, *more = wrap(pen.say(back.words), max(width - 5, 8))[:3]
    if back.verb is None:
        return [pen(Tone.DIM, line) for line in (first, *more)]
    return [f"{pen(Tone.TEXT, first)}  {pen(Tone.ACCENT, 'i')}", *(pen(Tone.TEXT, line) for line in more)]


# Its hosts


def name_room(found: Sequence[Entry], width: int) -> int:
    """Cells for names, so that they stand in one column."""
    longest = max((cells(entry.first.what or entry.first.host) for entry in found), default=0)
    longest += 2 * any(entry.first.what for entry in found)
    return max(min(longest, _NAME_MOST, width // 4), 8)


@dataclass(frozen=True, slots=True)
class _Room:
    """Cells for a reason beside a host's name, and for notes below it."""

    beside: int
    below: int

    @classmethod
    def of(cls, width: int, name: int) -> _Room:
        beside = max(width - (4 + name + 2 + _WORD + 2 + _AGE + 2), 16)
        return cls(beside, beside if width >= _NARROW else max(width - 4, 16))


@dataclass(frozen=True, slots=True)
class _Text:
    tone: Tone
    text: str
    is_note: bool = False


def entry_height(entry: Entry, board: OrderBoard, look: Look, width: int, name: int) -> int:
    """Lines that `entry_lines` gives, without drawing them; the same whatever the time is."""
    texts = _texts(entry, board, look.pen, _Room.of(width, name))
    return len(texts) + (not texts or texts[0].is_note)


def entry_lines(
    entry: Entry, board: OrderBoard, look: Look, width: int, name: int, place: Place
) -> list[str]:
    """A host, or alike ones: sign, name, what it is at, since when, why; what follows is set in below."""
    pen, room = look.pen, _Room.of(width, name)
    gutter, head = _gutter(pen, place), _head(entry, board, pen, name, place)
    texts = list(_texts(entry, board, pen, room))
    lines = [head]
    if texts and not texts[0].is_note:
        lines = [f"{head}  {pen(texts[0].tone, texts[0].text)}"]
        del texts[0]
    for item in texts:
        indent = " " * max(width - 2 - (room.below if item.is_note else room.beside), 2)
        lines.append(f"{gutter}{indent}{pen(item.tone, item.text)}")
    return lines


def _head(entry: Entry, board: OrderBoard, pen: Pen, name: int, place: Place) -> str:
    one, sign = entry.first, host_sign(entry.first, pen)
    names = one.host if len(entry.hosts) == 1 else hosts_words(len(entry.hosts))
    if one.what:
        names = f"{'+' if pen.ascii else '└'} {one.what}"
    label = pad(pen.say(names, name, "middle"), name)
    age = f"{age_words((board.now - one.since).total_seconds()):>{_AGE}}"
    return (
        f"{_gutter(pen, place)}{pen(sign.tone, sign.glyph)} "
        f"{pen(Tone.BRIGHT if place.is_cursor else Tone.TEXT, label)}  "
        f"{pen(sign.tone, pad(sign.word, _WORD))}  {pen(Tone.DIM, age)}"
    )


def _texts(entry: Entry, board: OrderBoard, pen: Pen, room: _Room) -> tuple[_Text, ...]:
    """Lines beside and below a host's name. What needs no person takes one line at most."""
    one = entry.first
    match one.phase:
        case Phase.DONE | Phase.PLANNED:
            lines = [_Text(Tone.DIM, pen.say(one.text, room.beside))] if one.text else []
        case Phase.ALREADY | Phase.SKIPPED:
            lines = [_Text(Tone.DIM, pen.say(one.text, room.beside))]
        case Phase.INTENT:
            lines = [_Text(Tone.DIM, pen.say("the command is on its way", room.beside))]
        case Phase.SENT:
            lines = [_Text(Tone.DIM, pen.say(_awaited(one, board), room.beside))]
        case Phase.REFUSED:
            lines = _reasons([reason_words(item) for item in one.refusals] or [one.text], pen, room)
            force = pen.say(force_words(one.refusals))
            lines += [_Text(Tone.LATE, line, True) for line in _wrapped(force, room.below) if force]
        case _:
            lines = _reasons([one.text], pen, room)
            lines += [_Text(Tone.DIM, pen.say(f"it wrote: {line}", room.below), True) for line in one.said]
    if len(entry.hosts) > 1:
        names = _names(tuple(item.host for item in entry.hosts), pen, room.beside)
        lines.insert(0, _Text(Tone.TEXT, names))
    return tuple(lines)


def _reasons(texts: Sequence[str], pen: Pen, room: _Room) -> list[_Text]:
    """Beside the name, or, where they do not fit there and there is more room below, below it."""
    said = [pen.say(text) for text in texts]
    is_note = room.below > room.beside and (len(said) > 1 or cells(said[0]) > room.beside)
    width = room.below if is_note else room.beside
    return [_Text(Tone.TEXT, line, is_note) for text in said for line in _wrapped(text, width)]


def _awaited(one: OrderHost, board: OrderBoard) -> str:
    if one.until is None or one.until < board.now:
        return "what it shows is awaited"
    until = f"{one.until.astimezone(board.now.tzinfo):%H:%M}"
    return f"{_AWAITED.get(one.verb, 'what it shows is awaited until')} {until}"


@lru_cache(maxsize=16384)
def _wrapped(text: str, room: int) -> tuple[str, ...]:
    return tuple(wrap(text, room)[:_TEXT_LINES])


def _names(hosts: tuple[str, ...], pen: Pen, room: int) -> str:
    if len(hosts) > _FOLDED:
        return pen.say(f"{hosts[0]} first", room)
    return pen.say(_folded(hosts), room)


@lru_cache(maxsize=256)
def _folded(hosts: tuple[str, ...]) -> str:
    return fold_names(hosts)


# As text


def order_copy(card: OrderCard, board: OrderBoard, look: Look, width: int = 100) -> str:
    """All that is shown of one order, without colours and cursor."""
    found = entries(card)
    name = name_room(found, width)
    lines = about_lines(card, inverse(card), board, look, width)
    for entry in found:
        lines += entry_lines(entry, board, look, width, name, Place())
    return "\n".join(_SGR.sub("", line).rstrip() for line in lines)
