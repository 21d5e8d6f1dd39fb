"""The last line of the screen: keys of this place, where one is, or a sentence on what just happened. Pure.

What is there is in `console.keys`; nothing is listed here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from console.board import Look
from console.head_line import warning_code
from console.keys import Action, Home, actions_of, named
from console.ordering_lock import State
from console.tone import Tone
from console.visible import cells

_READ_ONLY = "read-only"
_UNLOCKED = " UNLOCKED "
_UNLOCK_FROM = 100
"""Columns from which the key that unlocks has all of its words, and stands beside a trail."""
_TRAIL_SHARE = 2
"""The trail takes at most one part in this many of the line."""


def foot_line(
    homes: Sequence[Home],
    trail: Sequence[str],
    said: str,
    look: Look,
    width: int,
    state: State = "locked",
) -> str:
    """Keys at the left; at the right the one that unlocks, and the way here (`fleet › edge-fra-014 › log`).

    Verbs are there once they can be asked for.
    """
    if said:
        return f" {look.pen(Tone.BRIGHT, look.pen.say(said, width - 2))}"
    right, right_width = _right(trail, look, width, state)
    shown, gap = _fitting(homes, look, width - right_width - 5, state)
    keys = "".join(_key(action, look) + " " * gap for action in shown)
    used = sum(_key_width(action, look) + gap for action in shown)
    return " " + keys + " " * max(width - used - right_width - 2, 0) + right + " "


def _fitting(homes: Sequence[Home], look: Look, room: int, state: State) -> tuple[list[Action], int]:
    """The actions whose keys fit, and the blanks between them: the first ones by `footer`, and always help.

    Help names all the others, so it is the last to go.
    """
    actions = [one for one in actions_of(*homes) if one.footer and (state == "open" or not one.dangerous)]
    actions.sort(key=lambda one: one.footer)
    keep = [action for action in actions if action.name == "help"]
    others = [action for action in actions if action.name != "help"]
    for gap in (3, 2):
        if _line_width(actions, gap, look) <= room:
            return actions, gap
    while others and _line_width(others + keep, 2, look) > room:
        others.pop()
    return others + keep if _line_width(others + keep, 2, look) <= room else [], 2


def _line_width(actions: Sequence[Action], gap: int, look: Look) -> int:
    return sum(_key_width(action, look) for action in actions) + gap * max(len(actions) - 1, 0)


def _key_width(action: Action, look: Look) -> int:
    return cells(key_words(action, look)) + 1 + cells(action.label)


def _key(action: Action, look: Look) -> str:
    code = look.paint.tones.get(Tone.ACCENT, "")
    bold = code if look.plain or not code else f"1;{code}"
    return f"{look.pen.code(bold, key_words(action, look))} {look.pen(Tone.DIM, action.label)}"


def key_words(action: Action, look: Look) -> str:
    """The key as it is shown; arrows by their names where there is only ASCII."""
    words = action.key_words
    return words if words.isascii() or not look.ascii else action.keys.partition(",")[0]


def _right(trail: Sequence[str], look: Look, width: int, state: State) -> tuple[str, int]:
    """What stands at the right, drawn, and how wide it is."""
    lock, lock_width = _lock(look, width, state)
    if len(trail) < 2:
        return lock, lock_width
    arrow = " > " if look.ascii else " › "
    room = max(width // _TRAIL_SHARE - len(arrow) * (len(trail) - 1), len(trail))
    steps = [look.pen.say(step, max(room // len(trail), 8), "middle") for step in trail]
    drawn = [look.pen(Tone.DIM, step) for step in steps[:-1]] + [look.pen(Tone.TEXT, steps[-1])]
    way = look.pen(Tone.HINT, arrow).join(drawn)
    words = sum(map(cells, steps)) + len(arrow) * (len(steps) - 1)
    parts, used = [way], words
    if state != "past" and width >= _UNLOCK_FROM:
        parts, used = [lock, *parts], used + lock_width + 3
    if state == "open":  # the page of a host has no other line that warns
        parts, used = [look.pen.code(warning_code(look), _UNLOCKED), *parts], used + cells(_UNLOCKED) + 3
    return "   ".join(parts), used


def _lock(look: Look, width: int, state: State) -> tuple[str, int]:
    unlock = named("unlock")
    if state == "past" or unlock is None:
        return look.pen(Tone.HINT, _READ_ONLY), cells(_READ_ONLY)
    words = "lock" if state == "open" else unlock.label if width >= _UNLOCK_FROM else "unlock"
    shown = replace(unlock, label=words)
    return _key(shown, look), _key_width(shown, look)
