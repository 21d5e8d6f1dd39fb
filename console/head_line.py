"""The head of the screen and the lines that alarm: fleet, modes, freshness, who asks, the clock. Pure.

Lines are flat spans (`console.ink`). What does not fit is said shorter, then left out: the clock goes last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from console.board import Board, Look
from console.keys import MODES, named
from console.rows import HostRow
from console.spans import Spans, code_of, drawn, joined, width_of
from console.tone import Tone
from console.visible import DAYS, MONTHS, age_words, cells, clock_words, count_words, visible

WIDE_FROM = 100
"""Columns from which modes are written out."""
LOST_LEAST = 3
"""Silent hosts from which half a fleet is an alarm."""
_FLEET_MOST = 24
_ALERTS_MOST = 2


@dataclass(frozen=True, slots=True)
class Answered:
    """How many of the hosts shown answered, counted once for many redraws."""

    hosts: int
    fresh: int
    """Answered, and not too long ago."""
    silent: int
    """Asked, and the last try got no whole answer."""


def count_answered(rows: Sequence[HostRow]) -> Answered:
    return Answered(
        hosts=len(rows),
        fresh=sum([row.answered and not row.stale for row in rows]),
        silent=sum([row.reach is not None and not row.answered for row in rows]),
    )


@dataclass(frozen=True, slots=True)
class Zone:
    """Columns `start` to `end` (not in it) of the first line that a click turns into a mode."""

    mode: str
    start: int
    end: int


# The head


def head_lines(
    board: Board,
    answered: Answered,
    mode: str,
    look: Look,
    width: int,
    *,
    is_ruled: bool,
    unlocked: str = "",
) -> list[str]:
    """One line, and a rule under it that is heavy under the mode; without it the mode is underlined.

    `unlocked` says for how long hosts can be changed, "" while they cannot: then the rule warns too.
    """
    left = _left(board, mode, look, width, is_underlined=look.plain or not is_ruled)
    used = width_of(left)
    room = width - used - 3
    right = next((part for part in _rights(board, answered, look, unlocked) if width_of(part) <= room), ())
    gap = " " * max(width - used - width_of(right) - 1, 0)
    line = drawn(left, look) + (gap + drawn(right, look) + " " if right else "")
    if not is_ruled:
        return [line]
    return [line, _rule(head_zones(board, look, width), mode, look, width, warns=bool(unlocked))]


def head_zones(board: Board, look: Look, width: int) -> tuple[Zone, ...]:
    zones, at = [], cells(_fleet(board, look)) + 1
    for name, words in _modes(width):
        zones.append(Zone(name, at + 1, at + 1 + len(words)))
        at += len(words) + 2
    return tuple(zones)


def _modes(width: int) -> list[tuple[str, str]]:
    """Name, and key with label."""
    actions = [action for action in map(named, MODES) if action]
    labels = [action.label if width >= WIDE_FROM else action.short or action.label for action in actions]
    return [
        (action.name, f"{action.key_words} {label.capitalize()}")
        for action, label in zip(actions, labels, strict=True)
    ]


def _fleet(board: Board, look: Look) -> str:
    return f" {look.pen.say(board.view.fleet, _FLEET_MOST, 'middle')} "


def _left(board: Board, mode: str, look: Look, width: int, *, is_underlined: bool) -> Spans:
    paint = look.paint
    spans = [(paint.key, _fleet(board, look)), ("", " ")]
    for name, words in _modes(width):
        key, _, label = words.partition(" ")
        is_active = name == mode
        tone = Tone.BRIGHT if is_active else Tone.DIM
        code = paint.tones.get(tone, "")
        if is_active and is_underlined:
            code = f"4;{code}" if code else "4"
        number = paint.tones.get(Tone.ACCENT if is_active else Tone.HINT, "")
        spans += [("", " "), (number, key), ("", " "), (code, label), ("", " ")]
    return tuple(spans)


def _rule(zones: Sequence[Zone], mode: str, look: Look, width: int, *, warns: bool) -> str:
    thin, heavy = ("-", "=") if look.ascii else ("─", "━")
    warn = code_of(look, Tone.WARN)
    line, under = (warn, warn) if warns else (look.paint.line, code_of(look, Tone.ACCENT))
    zone = next((zone for zone in zones if zone.mode == mode and zone.end <= width), None)
    if zone is None:
        return look.pen.code(line, thin * width)
    return "".join(
        (
            look.pen.code(line, thin * zone.start),
            look.pen.code(under, heavy * (zone.end - zone.start)),
            look.pen.code(line, thin * (width - zone.end)),
        )
    )


def warning_code(look: Look) -> str:
    """Of words that stand on amber; reversed without colour."""
    return f"1;{look.paint.fills.get(Tone.WARN, '7')}"


def _rights(board: Board, answered: Answered, look: Look, unlocked: str) -> list[Spans]:
    """From the fullest to the shortest; that hosts can be changed is always said."""
    view = board.view
    clock, hour = _clock(board, look, is_full=True), _clock(board, look, is_full=False)
    if unlocked:
        only: Spans = ((warning_code(look), f" UNLOCKED {unlocked} "),)
    else:
        only = ((code_of(look, Tone.DIM), "read-only"),)
    if not view.rows:
        return [joined([only, clock], 3), only] if unlocked else [clock, hour]
    words = look.pen.say(board.sweeping.words, 40)
    asks = ((code_of(look, Tone.DIM), words),) if words else ()
    full = [_counts(answered, look, is_full=True), _age(board, look, is_full=True)]
    short = [_counts(answered, look, is_full=False), _age(board, look, is_full=False)]
    found = [
        joined([*full, asks, only, clock], 3),
        joined([*full, asks, only, hour], 3),
        joined([*full, only, clock], 3),
        joined([*short, asks, only, hour], 2),
        *([] if unlocked else [joined([*short, asks, hour], 2)]),
        joined([*short, only, hour], 2),
    ]
    if unlocked:
        return [*found, joined([short[1], only, hour], 2), joined([only, hour], 2), only]
    return [*found, joined([*short, hour], 2), joined([short[1], hour], 2), hour]


def _counts(answered: Answered, look: Look, *, is_full: bool) -> Spans:
    """Green is not needed: all is well is plain text, a tenth missing a warning, half of it bad."""
    missing = answered.hosts - answered.fresh
    tone = Tone.TEXT
    if missing * 2 >= answered.hosts:
        tone = Tone.BAD
    elif missing * 10 >= answered.hosts:
        tone = Tone.WARN
    count, of = count_words(answered.fresh), count_words(answered.hosts)
    if not is_full:
        return ((code_of(look, tone), count), (code_of(look, Tone.DIM), f"/{of}"))
    return ((code_of(look, tone), count), (code_of(look, Tone.DIM), f" of {of} answered"))


def _age(board: Board, look: Look, *, is_full: bool) -> Spans:
    view = board.view
    if view.taken_at is None:
        return ((code_of(look, Tone.UNKNOWN), "never asked"),)
    age_s = (view.now - view.taken_at).total_seconds()
    tone = Tone.WARN if age_s > view.stale_after_s else Tone.DIM
    return ((code_of(look, tone), age_words(age_s) + (" ago" if is_full else "")),)


def _clock(board: Board, look: Look, *, is_full: bool) -> Spans:
    """Of what is shown: in the past not the time of day it is."""
    now = board.view.now
    hour = (code_of(look, Tone.WARN if board.past else Tone.BRIGHT), f"{now:%H:%M}")
    if not is_full:
        return (hour,)
    dim = code_of(look, Tone.DIM)
    return ((dim, f"{DAYS[now.weekday()]} "), hour, (dim, f" {look.pen.say(zone_words(now), 16)}"))


def zone_words(now: datetime) -> str:
    """The place of a named zone (Berlin), else its short name (CEST, UTC)."""
    key = getattr(now.tzinfo, "key", None)
    if isinstance(key, str) and "/" in key:
        return key.rpartition("/")[2].replace("_", " ")
    return now.tzname() or ""


# Lines that alarm


def alert_lines(
    board: Board, answered: Answered, frozen_at: datetime | None, look: Look, width: int
) -> list[str]:
    """One line each for what must be known, the gravest first; none where all is well."""
    view = board.view
    lines = _rollouts(board, look, width)
    if board.trouble:
        at = clock_words(view.taken_at, view.now) if view.taken_at else ""
        rights = (f"what is shown is from {at}", f"from {at}") if at else ()
        lines.append(_bar(look, width, board.trouble, *rights))
    if not board.past and answered.silent >= LOST_LEAST and answered.silent * 2 >= answered.hosts:
        text = f"{count_words(answered.silent)} of {count_words(answered.hosts)} hosts gave no answer"
        lines.append(_bar(look, width, text, "look at this machine's own network first", ""))
    if board.sweeping.is_trouble:
        lines.append(_bar(look, width, board.sweeping.words))
    if board.past:
        lines.append(
            _bar(
                look,
                width,
                _past_words(board.past, board.clock or view.now),
                "esc comes back",
                is_alert=False,
            )
        )
    if frozen_at:
        text = f"frozen since {clock_words(frozen_at, view.now)}"
        lines.append(_bar(look, width, text, "p goes on", is_alert=False))
    return lines


def _past_words(past: datetime, now: datetime) -> str:
    """The moment in full, for it is not today's; how long ago where the clock still tells it."""
    local = past.astimezone(now.tzinfo)
    words = f"the past   {DAYS[local.weekday()]} {local.day} {MONTHS[local.month - 1]} {local:%Y %H:%M}"
    age_s = (now - past).total_seconds()
    return f"{words}, {age_words(age_s)} ago" if age_s >= 60 else words


def _rollouts(board: Board, look: Look, width: int) -> list[str]:
    alerts = board.view.alerts
    more = len(alerts) - _ALERTS_MOST
    shown = [f"{alert.word}   {alert.rollout}   {alert.text}" for alert in alerts[:_ALERTS_MOST]]
    lines = [_bar(look, width, text) for text in shown[:-1]]
    return lines + [_bar(look, width, text, f"and {more} more" if more > 0 else "") for text in shown[-1:]]


def _bar(look: Look, width: int, text: str, *rights: str, is_alert: bool = True) -> str:
    """A whole line; at its end the first of `rights` that fits, else the last one, and the text is cut."""
    paint, marks = look.paint, look.pen.marks
    code = paint.alert
    if not is_alert:
        ground = paint.fills.get(Tone.WARN, "")
        code = f"1;{ground}" if ground else "1"
    left = f" {marks.alert if is_alert else marks.warn} {look.pen.say(text)}"
    fitting = [right for right in rights if cells(left) + cells(right) + 4 <= width]
    right = fitting[0] if fitting else (rights[-1] if rights else "")
    left = visible(left, width - (cells(right) + 4 if right else 1), ascii_only=look.ascii, cut="end")
    return look.pen.code(code, left + " " * (width - cells(left) - cells(right) - 1) + right + " ")
