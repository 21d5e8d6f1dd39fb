"""The two slots of a host as boxes, and what the next boot will start. Pure.

The line around a box says what the slot is to do: heavy runs, light boots next or may, dashed does not. What
a host that does not answer ran is its past: light lines, no colour.
"""

from __future__ import annotations

from collections.abc import Sequence

from console.board import Look
from console.host_page import Role, absent_words, confirmed_words
from console.render_host import frame_of
from console.rows import HostRow, SlotCell
from console.story import next_of_row
from console.tone import Pen, Tone
from console.visible import cells, wrap


def box_lines(row: HostRow, look: Look, width: int) -> list[str]:
    """Two boxes, A left and B right, with the way of the next boot between them; none without slots."""
    pen = look.pen
    if row.state == "no_slots" and row.slot_a is None:
        return [pen(Tone.HINT, pen.say("no slots: to update it boots another image", width))]
    inner = min((width - 6) // 2, 32) - 2
    a, b = _box(row, "A", row.slot_a, look, inner), _box(row, "B", row.slot_b, look, inner)
    sign = _way(row, pen)
    return [
        f"{left}  {sign if at == 2 else ' '}   {right}"
        for at, (left, right) in enumerate(zip(a, b, strict=True))
    ]


def _way(row: HostRow, pen: Pen) -> str:
    """The sign between the boxes."""
    if not row.answered or row.running is None:
        return " "
    if row.next not in (None, row.running):
        return pen(Tone.MOVING, pen.marks.next if row.next == "B" else pen.marks.back)
    other = row.slot_b if row.running == "A" else row.slot_a
    return pen(Tone.BAD, pen.marks.dead) if other is not None and other.dead else " "


def _box(row: HostRow, letter: str, cell: SlotCell | None, look: Look, inner: int) -> list[str]:
    """Five lines. What a host that does not answer runs is its past: no heavy line, no colour."""
    pen = look.pen
    empty = [(Tone.TEXT, ""), (Tone.TEXT, "")]
    if cell is None and row.running == letter and row.version and row.answered:
        known = [(Tone.BRIGHT, pen.say(row.version, inner - 2, "middle")), (Tone.UNKNOWN, "flags not read")]
        return _framed(letter, "running", [*known, empty[0]], pen.marks.heavy, Tone.ACCENT, pen, inner)
    if cell is None:
        absent = (Tone.UNKNOWN, absent_words(row.taken_at is not None))
        return _framed(letter, "", [absent, *empty], pen.marks.dashed, Tone.HINT, pen, inner)
    if row.state == "staging" and row.running and row.running != letter:
        text = _written(row, pen, inner)
        return _framed(letter, "writing", text, pen.marks.dashed, Tone.MOVING, pen, inner)
    role = _role(row, letter, cell)
    (frame, tone), title = frame_of(role, pen.marks), role.value
    if not row.answered:
        title = {Role.RUNNING: "ran", Role.NEXT: "to boot next"}.get(role, title)
        frame, tone = (pen.marks.dashed if role is Role.DEAD else pen.marks.light), Tone.HINT
    return _framed(letter, title, _held(row, cell, role, pen, inner), frame, tone, pen, inner)


def _held(row: HostRow, cell: SlotCell, role: Role, pen: Pen, inner: int) -> list[tuple[Tone, str]]:
    """Version, whether it was confirmed, flags."""
    version = cell.version or ("nothing" if role is Role.EMPTY else "not known")
    said = "" if role is Role.EMPTY else confirmed_words(role, successful=cell.successful)
    flags = f"prio {cell.priority}   tries {cell.tries}"
    if cells(flags) > inner - 2:
        flags = f"prio {cell.priority} tries {cell.tries}"
    bright = Tone.BRIGHT if row.answered and role in (Role.RUNNING, Role.NEXT) else Tone.TEXT
    good = {Role.DEAD: Tone.BAD, Role.RUNNING: Tone.WARN}.get(role, Tone.DIM) if row.answered else Tone.DIM
    return [
        (bright, pen.say(version, inner - 2, "middle")),
        (Tone.CALM if cell.successful else good, said),
        (Tone.DIM, pen.say(flags, inner - 2)),
    ]


def _written(row: HostRow, pen: Pen, inner: int) -> list[tuple[Tone, str]]:
    """In the box of a slot that is being written: its flags are of what it held before."""
    if not row.progress:
        return [(Tone.BRIGHT, "being written"), (Tone.TEXT, ""), (Tone.TEXT, "")]
    filled, _ = pen.gauge(row.progress, inner - 2)
    return [(Tone.BRIGHT, "being written"), (Tone.MOVING, filled), (Tone.DIM, f"{row.progress:.0%}")]


def _role(row: HostRow, letter: str, cell: SlotCell) -> Role:
    if row.running == letter:
        return Role.RUNNING
    if row.next == letter:
        return Role.NEXT
    if cell.dead:
        return Role.DEAD
    if cell.priority > 0:
        return Role.OTHER
    return Role.DEAD if cell.version else Role.EMPTY


def _framed(
    letter: str, title: str, text: Sequence[tuple[Tone, str]], frame: str, tone: Tone, pen: Pen, inner: int
) -> list[str]:
    """A box of `inner` cells between its sides; the letter in its upper line is the brightest."""
    level, side = frame[4], pen(tone, frame[5])
    title = pen.say(title, max(inner - 5, 0))
    rest = f" {title} " if title else " "
    rest += level * (inner - 3 - len(rest)) + frame[1]
    top = pen(tone, f"{frame[0]}{level} ") + pen(Tone.BRIGHT, letter) + pen(tone, rest)
    body = [f"{side} {pen(ink, line)}{' ' * (inner - 1 - cells(line))}{side}" for ink, line in text]
    return [top, *body, pen(tone, frame[3] + level * inner + frame[2])]


def next_lines(row: HostRow, look: Look, width: int) -> list[str]:
    """What the next boot will start, what it runs first, and where it goes if that fails."""
    pen = look.pen
    if row.state == "no_slots" and row.slot_a is None:
        return []
    label = "next boot " if row.answered or row.slot_a is None else "when last seen "
    danger = any(code in ("reset_armed", "first_boot_armed") for code, _ in row.reasons)
    tone = Tone.BAD if danger else Tone.TEXT
    first, *others = wrap(f"{label}{pen.say(next_of_row(row))}", width - 2)
    told = first[len(label) :]
    end = min((at for at in (told.find(","), told.find(";")) if at >= 0), default=len(told))
    what = pen(Tone.BRIGHT, told[:end]) + pen(tone, told[end:])
    head = pen(Tone.ACCENT, f"{pen.marks.runs} ") + pen(Tone.DIM, label) + what
    return [head, *("  " + pen(tone, line) for line in others)]
