"""What stands above the table: the sentence, the bars and their counts, by how much room there is. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from console.bars import (
    Drawing,
    Part,
    Zone,
    bar,
    counts,
    family_parts,
    labelled,
    shifted,
    state_parts,
    version_parts,
)
from console.board import Board, Look
from console.render import verdict
from console.roster import Tally
from console.tone import Pen, Tone
from console.visible import cells, count_words

NEVER_ASKED = "No host was ever asked."
_GAUGE = 12


class Room(Enum):
    """How high the screen is."""

    LOW = "low"
    """One bar and the families of states; the sentence only where no alert stands above it."""
    MIDDLE = "middle"
    """Both bars and their counts."""
    HIGH = "high"
    """The same with air between them."""


LINES = {Room.LOW: 3, Room.MIDDLE: 6, Room.HIGH: 8}
"""Height by room; it does not depend on what is shown, so that the table does not jump."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What is counted, and how it is to be drawn."""

    board: Board
    tally: Tally
    look: Look
    chosen: str = ""
    """The selection under the bars' own cursor, or the one that the table shows."""


def overview(told: Overview, width: int, room: Room) -> Drawing:
    """All lines, each exactly `width` cells, and which cells choose what."""
    if room is Room.LOW:
        return _low(told, width)
    margin, inner = 14, width - 16
    versions = version_parts(told.tally.by_version, told.board.view.version_notes, told.look)
    states = _states(told)
    high = room is Room.HIGH
    blocks = [_said(told, width, 2)]
    blocks.append(shifted(_bar(told, versions, inner, 1), "  versions", margin, width, told.look))
    blocks.append(
        shifted(_counts(told, versions, inner, 1, 2, unlabelled=versions), "", margin, width, told.look)
    )
    at = 4 if high else 3
    if high:
        blocks.append(_blank(width))
    families = family_parts(states, told.look)
    blocks.append(shifted(_bar(told, families, inner, at), "  states", margin, width, told.look))
    found = _counts(told, families, inner, 2, at + 1, unlabelled=states)
    blocks.append(shifted(found, "", margin, width, told.look))
    blocks += [_blank(width)] * (LINES[room] - sum(len(block.lines) for block in blocks))
    return _stacked(blocks, width)


def _low(told: Overview, width: int) -> Drawing:
    blocks = [] if told.board.view.alerts else [_said(told, width, 1)]
    at, inner, look = len(blocks), width - 2, told.look
    families = family_parts(_states(told), look)
    blocks.append(shifted(_bar(told, families, inner, at), "", 1, width, look))
    found = _counts(told, families, inner, 1, at + 1, unlabelled=families)
    blocks.append(shifted(found, "", 1, width, look))
    return _stacked(blocks, width)


def _states(told: Overview) -> list[Part]:
    return state_parts(told.tally.by_state, told.look, certain=not told.tally.uncertain)


def _bar(told: Overview, parts: list[Part], width: int, line: int) -> Drawing:
    return bar(parts, width, told.look, told.chosen, line)


def _counts(
    told: Overview, parts: list[Part], width: int, most: int, line: int, *, unlabelled: list[Part]
) -> Drawing:
    """What the bar of `parts` does not say in itself; `unlabelled` may divide the same hosts further.

    A note is said in any case.
    """
    said = labelled(parts, width, told.look)
    left = [part for part in unlabelled if part.key not in said or part.note]
    return counts(left, width, told.look, most, told.chosen, line)


def _blank(width: int) -> Drawing:
    return Drawing((" " * width,), (), width)


def _stacked(drawings: list[Drawing], width: int) -> Drawing:
    lines = tuple([line for drawing in drawings for line in drawing.lines])
    zones: tuple[Zone, ...] = tuple([zone for drawing in drawings for zone in drawing.zones])
    return Drawing(lines, zones, width)


# The sentence


def _said(told: Overview, width: int, margin: int) -> Drawing:
    pen = told.look.pen
    right = _asked(told, pen) if width >= 60 else ""
    asked = cells(_asked(told, None)) if right else 0
    room = width - 2 * margin - (asked + 3 if asked else 0)
    first, *rest = sentences(told.board, told.tally)
    shown = pen.say(first, room)
    text, used = pen(Tone.BRIGHT, shown), cells(shown)
    for sentence in rest:  # whole ones only: half a sentence says nothing
        said = pen.say(sentence)
        if used + 1 + cells(said) > room:
            break
        text += " " + pen(Tone.DIM, said)
        used += 1 + cells(said)
    gap = width - 2 * margin - used - asked
    return Drawing((" " * margin + text + " " * gap + right + " " * margin,), (), width)


def _is_first(tally: Tally) -> bool:
    """Some hosts answered or did not, and others were never asked."""
    return 0 < tally.asked < tally.hosts


def sentences(board: Board, tally: Tally) -> Iterator[str]:
    """What a tired person must know first; hosts that nobody asked yet are no trouble by themselves."""
    if tally.hosts and not tally.asked:
        yield NEVER_ASKED
        if board.past is None:
            yield "R asks now."
        return
    standing = tally.standing
    if not _is_first(tally):
        yield from verdict(board.view, standing)
        return
    unasked = tally.hosts - tally.asked
    looks = max(standing.looks - unasked, 0)
    if looks:
        yield "1 host needs a look." if looks == 1 else f"{count_words(looks)} hosts need a look."
    else:
        yield "Nothing needs you among the hosts asked so far."
    yield f"{count_words(unasked)} {'was' if unasked == 1 else 'were'} never asked."


def _asked(told: Overview, pen: Pen | None) -> str:
    """How far the first sweep is; without a pen the bare text."""
    tally = told.tally
    if not _is_first(tally) or told.board.past is not None:
        return ""
    words = f"asked {count_words(tally.asked)} of {count_words(tally.hosts)}"
    if pen is None:
        return " " * _GAUGE + "  " + words
    filled, rest = pen.gauge(tally.asked / tally.hosts, _GAUGE)
    track = pen.code(told.look.paint.track, pen.marks.track * len(rest))
    return pen(Tone.MOVING, filled) + track + "  " + pen(Tone.TEXT, words)
