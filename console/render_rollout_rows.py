"""The board of a rollout below its head, as rows: cohorts with a tile a host, why hosts wait, events, the
plan, the list of all. Pure.

Tiles are drawn only when they are looked at: five thousand of them cost what is seen of them. A cohort whose
turn it is not stands folded to a few lines, unless the cursor is in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from actions.rollout_model import CohortPhase, GateState, GateVerdict, RolloutState
from collectors.fleet_model import GateKind, GateMode
from console.board import Look
from console.render_rollout import between, rule, state_sign, tile_sign, width_of
from console.render_rollout_halt import SIDE_BY_SIDE, answer_lines, failure_lines, shared_lines
from console.render_rollout_time import time_lines
from console.rollout_board import (
    CohortCard,
    EventLine,
    RolloutBoard,
    RolloutCard,
    RolloutLine,
    Tile,
    Wait,
)
from console.rollout_preview import estimate_words, limits
from console.tone import Pen, Tone
from console.visible import cells, clock_words, count_words, duration_words, hosts_words, pad, wrap

FOLDED_LINES = 3
EVENTS_SHOWN = 8
WAITS_SHOWN = 8
_WAIT = 7
"""Cells of a count and its gap."""
_COHORTS = {
    CohortPhase.WAITING: ("·", ".", Tone.DIM),
    CohortPhase.STAGING: ("◔", "~", Tone.MOVING),
    CohortPhase.STAGED: ("◕", "^", Tone.MOVING),
    CohortPhase.ACTIVATING: ("↑", "R", Tone.MOVING),
    CohortPhase.SOAKING: ("◎", "@", Tone.MOVING),
    CohortPhase.GATE: ("…", ":", Tone.MOVING),
    CohortPhase.WAITING_GATE: ("△", "!", Tone.WARN),
    CohortPhase.PASSED: ("●", "o", Tone.CALM),
    CohortPhase.FAILED: ("×", "x", Tone.BAD),
}
_VERDICTS = {
    GateVerdict.PASS: ("passes", Tone.CALM),
    GateVerdict.FAIL: ("fails", Tone.BAD),
    GateVerdict.NO_DATA: ("has no data", Tone.WARN),
    GateVerdict.UNANSWERED: ("gave no answer", Tone.WARN),
}


class Part(StrEnum):
    """Among what the keys move."""

    BOARD = "board"
    NEWS = "news"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Row:
    """One line."""

    part: Part
    text: str = ""
    """Drawn, where there are no tiles."""
    tiles: tuple[Tile, ...] = ()
    key: str = ""
    """A rollout of the list."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What is shown how large."""

    width: int
    is_side: bool = False
    """Why hosts wait, events and the plan stand beside the board, not below it."""
    is_full: bool = False
    """All that happened, not the newest only."""
    unfolded: int | None = None
    """The cohort in which the cursor is."""


def board_rows(board: RolloutBoard, look: Look, shape: Shape) -> list[Row]:
    """All rows below the head."""
    card, rows = board.card, list[Row]()
    if card is not None:
        rows += [Row(Part.BOARD, line) for line in _before(card, board.now, look, shape.width)]
        for cohort in card.cohorts:
            rows += [*_cohort_rows(card, cohort, board.now, look, shape), Row(Part.BOARD)]
        if not shape.is_side:
            rows += [Row(Part.NEWS, line) for line in news_lines(card, board.now, look, shape)]
    if len(board.rollouts) > 1:
        rows.append(Row(Part.BOARD, rule("rollouts", look, shape.width)))
        rows += [Row(Part.LIST, key=line.id) for line in board.rollouts]
    return rows


def _before(card: RolloutCard, now: datetime, look: Look, width: int) -> list[str]:
    """What is read before the cohorts: evidence and answers of a halt, what a draft would do."""
    if card.r.state is RolloutState.DRAFT:
        return [*_draft_lines(card, now, look, width), ""]
    failed, found = failure_lines(card, now, look, width), answer_lines(card, now, look, width)
    parts = [failed, found]
    if found and width < SIDE_BY_SIDE:  # where there is little room the answers must not lie below its edge
        parts = [shared_lines(card.shared[:1], look, width), found, failed]
    return [line for part in parts if part for line in (*part, "")]


def _draft_lines(card: RolloutCard, now: datetime, look: Look, width: int) -> list[str]:
    pen, arrow = look.pen, "->" if look.ascii else "→"
    target = card.plan.action.version or card.plan.action.channel or "its older slot"
    lines = []
    for at, (version, hosts) in enumerate(card.moves[:4]):
        label = pen(Tone.HINT, pad("moves" if not at else "", 8))
        text = pen.say(f"{hosts_words(hosts)}  {version} {arrow} {target}", width - 8)
        lines.append(label + pen(Tone.TEXT, text))
    took = estimate_words(card.guess, now) if card.guess else "cannot be said: no window has room"
    for at, line in enumerate(wrap(pen.say(took), max(width - 8, 20))[:2]):
        lines.append(pen(Tone.HINT, pad("takes" if not at else "", 8)) + pen(Tone.TEXT, line))
    return lines


# Cohorts


def _cohort_rows(
    card: RolloutCard, cohort: CohortCard, now: datetime, look: Look, shape: Shape
) -> Iterator[Row]:
    yield Row(Part.BOARD, _cohort_head(card, cohort, now, look, shape.width))
    across = max(shape.width // 2, 1)
    lines = [cohort.tiles[at : at + across] for at in range(0, len(cohort.tiles), across)]
    is_open = cohort.is_current or shape.unfolded == cohort.number
    folds = not is_open and len(lines) > FOLDED_LINES + 1
    for tiles in lines[:FOLDED_LINES] if folds else lines:
        yield Row(Part.BOARD, tiles=tiles)
    if folds:
        more = count_words(len(cohort.tiles) - FOLDED_LINES * across)
        yield Row(Part.BOARD, look.pen(Tone.DIM, look.pen.say(f"and {more} more", shape.width)))
    for line in _counts(cohort, look, shape.width):
        yield Row(Part.BOARD, line)
    if cohort.is_current:
        timed = time_lines(card, now, look, min(shape.width, 120))
        for line in (*timed, *_gate_lines(card, look, shape.width)):
            yield Row(Part.BOARD, line)


def _cohort_head(card: RolloutCard, cohort: CohortCard, now: datetime, look: Look, width: int) -> str:
    pen, state = look.pen, cohort.state
    glyph, plain, tone = _COHORTS[state.phase]
    right = pen(tone, f"{plain if pen.ascii else glyph} {str(state.phase).replace('-', ' ').upper()}")
    if card.r.state is RolloutState.DRAFT:
        right = pen(Tone.TEXT, pen.say(_when(card, cohort, now), width // 2))
    elif state.since is not None:
        by = f" by {state.promoted_by}" if state.promoted_by and state.phase is CohortPhase.PASSED else ""
        right += pen(Tone.DIM, pen.say(f"  {clock_words(state.since, now)}{by}", width // 3))
    name = pen.say(cohort.name, min(24, width // 3), "middle")
    soak = f"soak {duration_words(cohort.soak_s)}" if cohort.soak_s else "no soak"
    failures = "1 failure" if cohort.tolerance == 1 else f"{cohort.tolerance} failures"
    allowed = f", {failures} allowed" if cohort.tolerance else ""
    told = f"{hosts_words(len(cohort.tiles))}, {soak}{allowed}"
    room = max(width - cells(name) - 2 - width_of(right) - 2, 0)
    return between(f"{pen(Tone.BRIGHT, name)}  {pen(Tone.DIM, pen.say(told, room))}", right, width)


def _when(card: RolloutCard, cohort: CohortCard, now: datetime) -> str:
    told = (
        next((item for item in card.guess.cohorts if item.name == cohort.name), None) if card.guess else None
    )
    if told is None or not told.hosts:
        return "nobody takes part"
    where = f" in {', '.join(told.window)}" if told.window else ""
    return f"about {clock_words(told.begins_at, now)}{where} to {clock_words(told.ends_at, now)}"


def _counts(cohort: CohortCard, look: Look, width: int) -> list[str]:
    """How many tiles are what: the legend and the counts in one."""
    pen = look.pen
    firsts: dict[tuple[str, str], Tile] = {}
    numbers: dict[tuple[str, str], int] = {}
    for tile in cohort.tiles:
        sign = tile_sign(tile, pen)
        key = (sign.glyph, sign.word)
        firsts.setdefault(key, tile)
        numbers[key] = numbers.get(key, 0) + 1
    lines, line, used = list[str](), "", 0
    for key, number in numbers.items():
        sign = tile_sign(firsts[key], pen)
        text = f"{count_words(number)} {sign.word}"
        size = cells(text) + 2
        if used and used + 3 + size > width:
            lines, line, used = [*lines, line], "", 0
        line += ("   " if used else "") + f"{pen(sign.tone, sign.glyph)} {pen(Tone.DIM, text)}"
        used += size + (3 if used else 0)
    return [*lines, line] if line else ["" if cohort.tiles else pen(Tone.DIM, "no host")]


def tiles_line(tiles: Sequence[Tile], look: Look, cursor: str | None) -> str:
    """One row of tiles, two cells each; the one under the cursor as a key."""
    pen, paint = look.pen, look.paint
    drawn = []
    for tile in tiles:
        sign = tile_sign(tile, pen)
        if tile.host == cursor:
            drawn.append(pen.code(paint.key, sign.glyph) + " ")
        elif sign.is_loud:
            drawn.append(pen.code(paint.alert, f"{sign.glyph} "))
        else:
            drawn.append(pen(sign.tone, sign.glyph) + " ")
    return "".join(drawn)


def _gate_lines(card: RolloutCard, look: Look, width: int) -> list[str]:
    pen, lines = look.pen, list[str]()
    for gate in card.plan.gates_of(card.r.current):
        state = card.r.gates.get(gate.name, GateState())
        words, tone = ("is asked after the soak", Tone.DIM)
        if gate.kind is GateKind.PERSON:
            words = "a person said so" if state.is_met else "a person is asked at the end"
        elif state.verdict is not None:
            words, tone = _VERDICTS[state.verdict]
            words += f": {state.text}" if state.text else ""
        elif state.is_asking:
            words, tone = "is asked now", Tone.MOVING
        if gate.mode is GateMode.OBSERVE:
            words += " (observed only)"
        label = pen(Tone.HINT, pad("gate" if not lines else "", 5))
        name = pen.say(gate.name, 24)
        lines.append(
            f"{label}{pen(Tone.TEXT, name)} {pen(tone, pen.say(words, max(width - 6 - cells(name), 0)))}"
        )
    return lines


# Why hosts wait, what happened, what the plan keeps to


def news_lines(card: RolloutCard, now: datetime, look: Look, shape: Shape) -> list[str]:
    """What stands beside the board, or below it."""
    width, lines = shape.width, list[str]()
    if shape.is_full:
        return _event_lines(card.told.events, now, look, width)
    if card.waits:
        is_draft = card.r.state is RolloutState.DRAFT
        lines += [rule("left out" if is_draft else "why hosts wait", look, width)]
        for wait in card.waits[:WAITS_SHOWN]:
            lines += _wait_lines(wait, look, width)
        more = sum(len(wait.hosts) for wait in card.waits[WAITS_SHOWN:])
        lines += [look.pen(Tone.DIM, f"and {count_words(more)} more"), ""] if more else [""]
    if card.told.events:
        lines += [*_event_lines(card.told.events[:EVENTS_SHOWN], now, look, width), ""]
    return [*lines, *_plan_lines(card, look, width), ""]


def _wait_lines(wait: Wait, look: Look, width: int) -> list[str]:
    pen, number = look.pen, count_words(len(wait.hosts))
    room = max(width - _WAIT, 16)
    names = ", ".join(wait.hosts[:2]) + (", …" if len(wait.hosts) > 2 else "")
    first, *rest = wrap(pen.say(wait.text), room)[:2]
    lines = [f"{pen(Tone.BRIGHT, number.rjust(_WAIT - 2))}  {pen(Tone.TEXT, first)}"]
    lines += [" " * _WAIT + pen(Tone.TEXT, line) for line in rest]
    last = rest[-1] if rest else first
    said = pen.say(f"  {names}", max(room - cells(last), 0))
    return [*lines[:-1], lines[-1] + pen(Tone.DIM, said)] if len(said) > 5 else lines


def _event_lines(events: Sequence[EventLine], now: datetime, look: Look, width: int) -> list[str]:
    pen, lines = look.pen, [rule("events", look, width)]
    for event in events:
        local = event.at.astimezone(now.tzinfo)
        at = f"{local:%H:%M:%S}" if local.date() == now.date() else clock_words(local, now)
        at = pen.say(at, 11)
        glyph, tone = _event_sign(event, pen)
        room = max(width - 15, 8)
        about = f"{event.about} " if event.about else ""
        text = pen.say(f"{about}{event.text}", room)
        cause = pen.say(f": {event.cause}" if event.cause else "", max(room - cells(text), 0))
        body = pen(Tone.TEXT, text) + pen(Tone.DIM, cause if len(cause) > 3 else "")
        lines.append(f"{pen(Tone.DIM, pad(at, 11))}  {pen(tone, glyph)} {body}")
    return lines if events else [*lines, pen(Tone.DIM, pen.say("nothing happened yet", width))]


def _event_sign(event: EventLine, pen: Pen) -> tuple[str, Tone]:
    if event.kind == "host":
        for word, found in (("failed", ("×", "x", Tone.BAD)), ("missing", ("?", "?", Tone.BAD))):
            if event.text.startswith(word):
                return found[pen.ascii], found[2]
        return ("-", Tone.DIM)
    if event.kind == "cohort" and event.text in {str(phase) for phase in CohortPhase}:
        glyph, plain, tone = _COHORTS[CohortPhase(event.text)]
        return (plain if pen.ascii else glyph), tone
    if event.kind == "rollout" and event.text in {str(state) for state in RolloutState}:
        sign = state_sign(RolloutState(event.text), pen)
        return sign.glyph, sign.tone
    if event.kind in ("stalled", "gate"):
        return pen.marks.warn, Tone.WARN if event.kind == "stalled" else Tone.DIM
    return pen.marks.next, Tone.CHOSEN


def _plan_lines(card: RolloutCard, look: Look, width: int) -> list[str]:
    pen = look.pen
    told = limits(card.plan)
    for window in card.plan.windows:
        hours = f"{window.start:%H:%M} for {duration_words(window.length_s)}, {window.timezone}"
        told.append(f"window {window.name}: {hours}")
    told += [f"gate {gate.name} for {gate.cohort or 'each cohort'}" for gate in card.plan.gates]
    lines = [rule("plan", look, width)]
    return lines + [pen(Tone.DIM, line) for text in told for line in wrap(pen.say(text), width)]


# The list


def list_line(
    line: RolloutLine, now: datetime, look: Look, width: int, *, is_chosen: bool, is_at: bool
) -> str:
    """One rollout of the list. `is_chosen`: it is the one shown; `is_at`: the keys are on it."""
    pen, sign = look.pen, state_sign(line.state, look.pen)
    mark = (">" if pen.ascii else "▌") if is_chosen else " "
    ident = pen.say(line.id, max(min(16, width // 4), 1))
    right = pen(sign.tone, f"{sign.glyph} {sign.word}")
    done = f"{count_words(line.done[0])} of {count_words(line.done[1])} done, " if line.done else ""
    told = f"{done}{clock_words(line.ended_at or line.at, now)}"
    end = pen.say(told, max(width - cells(ident) - 4 - cells(sign.word) - 6, 0))
    room = max(width - cells(ident) - width_of(right) - cells(end) - 9, 0)
    title = pad(pen.say(line.title, room), room)
    tone = Tone.BRIGHT if is_chosen else Tone.TEXT
    left = f"{pen(Tone.ACCENT if is_at else Tone.DIM, mark)} {pen(tone, ident)}  {pen(Tone.DIM, title)}"
    return between(left, f"{right}  {pen(Tone.DIM, end)}", width)


# The cursor among tiles


def moved(rows: Sequence[Row], place: int, host: str, across: int, down: int) -> str | None:
    """The host so many tiles, or rows of them, away from `host` in row `place`; None: there is none."""
    tiles = rows[place].tiles
    column = next((at for at, tile in enumerate(tiles) if tile.host == host), 0) + across
    if across and not 0 <= column < len(tiles):
        down, column = across, 0 if across > 0 else -1
    places = [at for at, row in enumerate(rows) if row.tiles]
    at = places.index(place) + down
    if not 0 <= at < len(places):
        return None
    tiles = rows[places[at]].tiles
    return tiles[min(column, len(tiles) - 1)].host
