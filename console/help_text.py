"""What `?` shows: the keys of this place, every state in plain words, signs, bars, how to select. Pure.

Keys come from `console.keys`, states from `console.states`; both are complete by themselves.
"""

from __future__ import annotations

import re
from itertools import zip_longest

from console.board import Look
from console.foot_line import key_words
from console.keys import Action, Home, actions_of, places_of
from console.states import STATES, StateStyle
from console.tone import Tone
from console.visible import cells, wrap

TWO_COLUMNS_FROM = 150
_CODE = re.compile(r"\x1b\[[0-9;]*m")
_MARGIN = 2
_GAP = 4
_NAME = 21
_STATE = 20
_SIGN = 14

SELECTING = (
    ("web", "part of a host's name or of its state"),
    ("state:staged", "a field and its word; version:4593.* for any ending"),
    ("@edge  label.zone:a", "a group; a label. Side by side: both"),
    ("behind>=2 version<4593", "numbers and versions compare: > >= < <="),
    ("web-[01-12,20]", "these hosts by name"),
    ("~^edge-(fra|ams)", "a regular expression over the name"),
    ("state:held or not @db", "and, or, not, and ( ) around a part"),
    ("channel:unknown", "what is not known. needs:attention: neither current nor held"),
)
"""The grammar of `/` and of readers' arguments, an example and its meaning a line."""

BARS = (
    "a bar is all hosts; each part is as long as it is many",
    "a part that is not zero gets at least one cell",
    "the bad first, what is as wanted last; hatched is not known",
)


def help_lines(home: Home, look: Look, width: int) -> list[str]:
    """Everything, one column, or two where `width` has room for them."""
    if width < TWO_COLUMNS_FROM:
        room = width - 2 * _MARGIN
        return _indented([*_keys(home, look, room), *_legend(look, room)])
    room = (width - 2 * _MARGIN - _GAP) // 2
    left = [*_keys(home, look, room), *_bars(look, room)]
    right = [*_states(look, room), *_signs(look, room), *_selecting(look, room)]
    return _indented(
        [
            f"{one}{' ' * (room - _cells(one) + _GAP)}{other}"
            for one, other in zip_longest(left, right, fillvalue="")
        ]
    )


def _legend(look: Look, room: int) -> list[str]:
    return [*_states(look, room), *_signs(look, room), *_bars(look, room), *_selecting(look, room)]


def _indented(lines: list[str]) -> list[str]:
    while lines and not lines[-1].strip():
        lines.pop()
    return [" " * _MARGIN + line if line else "" for line in lines]


def _cells(line: str) -> int:
    """Width of a drawn line: all but its codes."""
    return cells(_CODE.sub("", line))


def _heading(words: str, look: Look, room: int) -> list[str]:
    rule = ("-" if look.ascii else "─") * max(room - cells(words) - 1, 0)
    return [f"{look.pen(Tone.HINT, words)} {look.pen.code(look.paint.line, rule)}"]


# Keys


def _keys(home: Home, look: Look, room: int) -> list[str]:
    column = max(cells(key_words(action, look)) for action in actions_of(*places_of(home))) + 2
    lines = []
    for place in places_of(home):
        lines += _heading(f"keys: {place.value}", look, room)
        lines += [line for action in actions_of(place) for line in _key(action, column, look, room)] + [""]
    return lines


def _key(action: Action, column: int, look: Look, room: int) -> list[str]:
    """Key, name, what it does; those without a key are typed."""
    code = look.paint.tones.get(Tone.ACCENT, "")
    key = look.pen.code(code if look.plain else f"1;{code}", key_words(action, look) if action.keys else ":")
    name = look.pen(Tone.TEXT, action.name)
    if action.argument:
        name += f" {look.pen(Tone.HINT, action.argument)}"
    return _hanging(f"{_padded(key, column)}{name}", column + _NAME, action.help, look, room)


def _hanging(head: str, indent: int, words: str, look: Look, room: int) -> list[str]:
    """`words` from column `indent` on behind `head`, further lines below them."""
    first, *more = wrap(words, room - indent)
    lines = [_padded(head, indent) + look.pen(Tone.DIM, first)]
    return lines + [" " * indent + look.pen(Tone.DIM, line) for line in more]


def _padded(drawn: str, width: int) -> str:
    return drawn + " " * (width - _cells(drawn))


# States


def _states(look: Look, room: int) -> list[str]:
    lines = _heading("states: sign, word, what it says; the gravest first", look, room)
    return lines + [line for style in STATES.values() for line in _state(style, look, room)] + [""]


def _state(style: StateStyle, look: Look, room: int) -> list[str]:
    sign = style.ascii if look.ascii else style.glyph
    return _hanging(look.pen(style.tone, f"{sign} {style.word}"), _STATE, style.meaning, look, room)


# Signs


def _signs(look: Look, room: int) -> list[str]:
    pen, marks, version = look.pen, look.pen.marks, "4593.2.5"
    runs = pen(Tone.BRIGHT, "A") + pen(Tone.ACCENT, marks.runs) + pen(Tone.TEXT, version)
    dead = pen(Tone.HINT, "B ") + pen(Tone.BAD, f"{version}{marks.dead}")
    pairs = (
        (runs, "slot A runs this"),
        (pen(Tone.MOVING, f"B{marks.next}{version}"), "slot B boots next, though A runs"),
        (pen(Tone.HINT, f"B {version}"), "the other slot, there to go back to"),
        (dead, "dead: tried, never confirmed, cannot boot"),
        (pen(Tone.CHOSEN, "*"), "marked"),
        (pen(Tone.ACCENT, ">" if look.ascii else "▌"), "the cursor"),
        (pen(Tone.BAD, marks.alert), "somebody must act"),
        (pen(Tone.WARN, marks.warn), "to know before one acts"),
    )
    lines = _heading("signs", look, room)
    return lines + [line for head, words in pairs for line in _hanging(head, _SIGN, words, look, room)] + [""]


def _bars(look: Look, room: int) -> list[str]:
    lines = _heading("bars", look, room)
    return lines + [look.pen(Tone.DIM, line) for words in BARS for line in wrap(words, room)] + [""]


# Selecting


def _selecting(look: Look, room: int) -> list[str]:
    lines = _heading("select: / here, and what fleetctl status takes", look, room)
    column = max(cells(example) for example, _ in SELECTING) + 2
    for example, words in SELECTING:
        lines += _hanging(look.pen(Tone.TEXT, example), column, words, look, room)
    return [*lines, ""]
