"""A host's state as people see it: glyph, word, tone, ASCII sign, one sentence; and which come first. Pure.

Every glyph is one cell wide and drawn by the common monospaced fonts. The three always go together, so that
nothing is lost without colour, and nothing with ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass

from console.tone import Tone
from console.visible import visible


@dataclass(frozen=True, slots=True)
class StateStyle:
    """How one state is shown."""

    code: str
    """`situation.state` of fleetctl.status/1."""
    glyph: str
    word: str
    tone: Tone
    ascii: str
    meaning: str
    """One sentence for the legend, at most 76 cells."""


_ATTENTION_FIRST = (
    StateStyle(
        "host_key_changed", "≠", "key changed", Tone.BAD, "#",
        "It shows another SSH host key than the one on record; it was not asked.",
    ),
    StateStyle(
        "reset_armed", "⊗", "wipe armed", Tone.BAD, "X",
        "The next boot wipes it, or runs Ignition again; it must not be rebooted.",
    ),
    StateStyle(
        "reverted", "◄", "reverted", Tone.BAD, "<",
        "It booted a new release, did not confirm it, and came back on the old one.",
    ),
    StateStyle(
        "failed", "×", "failed", Tone.BAD, "x",
        "Its last update attempt failed; it still runs what it ran before.",
    ),
    StateStyle(
        "unreachable", "◌", "unreachable", Tone.UNKNOWN, "?",
        "It gave no answer, or was never asked; what is shown is what was last seen.",
    ),
    StateStyle(
        "not_flatcar", "∅", "not Flatcar", Tone.UNKNOWN, "0",
        "It answered, and runs something else than Flatcar.",
    ),
    StateStyle(
        "incomplete", "…", "incomplete", Tone.UNKNOWN, ":",
        "It answered in part: what was not read is not known to be well.",
    ),
    StateStyle(
        "unconfirmed", "△", "unconfirmed", Tone.WARN, "!",
        "It booted lately and has not confirmed the boot; a reboot now falls back.",
    ),
    StateStyle(
        "staged_not_next", "◇", "staged, not next", Tone.WARN, "%",
        "A release is staged, but the next boot stays on the running slot.",
    ),
    StateStyle(
        "extension_problem", "◆", "extension", Tone.WARN, "+",
        "An extension that is set up is missing or broken.",
    ),
    StateStyle(
        "degraded", "▲", "degraded", Tone.WARN, "d",
        "A unit failed, or the system says that not all is well.",
    ),
    StateStyle(
        "drift", "≈", "drift", Tone.WARN, "=",
        "It follows another channel or update mode than the fleet file wants.",
    ),
    StateStyle(
        "rebooting", "↑", "rebooting", Tone.MOVING, "R",
        "It is on its way down or up; it should be back within minutes.",
    ),
    StateStyle(
        "staging", "◔", "staging", Tone.MOVING, "~",
        "A release is being fetched and written to the other slot.",
    ),
    StateStyle(
        "staged", "◕", "staged", Tone.MOVING, "^",
        "A release waits in the other slot, which boots next.",
    ),
    StateStyle(
        "rollback_armed", "«", "going back", Tone.MOVING, "{",
        "The next boot goes back to the release it ran before.",
    ),
    StateStyle(
        "held", "■", "held", Tone.CHOSEN, "H",
        "Somebody said that it must not be rebooted.",
    ),
    StateStyle(
        "updates_off", "⊖", "updates off", Tone.CHOSEN, "-",
        "It fetches no updates by itself, and that is not as wanted.",
    ),
    StateStyle(
        "behind", "▼", "behind", Tone.LATE, "v",
        "It is well, and its channel has newer releases.",
    ),
    StateStyle(
        "no_slots", "□", "no slots", Tone.DIM, "_",
        "It runs an image without slots and updates by booting another image.",
    ),
    StateStyle(
        "current", "●", "current", Tone.CALM, "o",
        "It runs the newest release of its channel; with ?: as far as is known.",
    ),
)  # fmt: skip

STATES = {style.code: style for style in _ATTENTION_FIRST}
"""Attention first: bad, unknown, warn, moving, chosen, late, calm; within a tone the graver first."""
_RANK = {code: rank for rank, code in enumerate(STATES)}
_LOOK = frozenset({Tone.BAD, Tone.UNKNOWN, Tone.WARN})


def style_of(code: str) -> StateStyle:
    """How `code` is shown; a state this version does not know is shown as itself, as unknown."""
    return STATES.get(code) or StateStyle(
        code,
        "◌",
        visible(code, 16, ascii_only=True),
        Tone.UNKNOWN,
        "?",
        "This version does not know the state.",
    )


def word_of(code: str, *, certain: bool = True) -> str:
    """The word shown; `current?` where the release feed cannot prove it."""
    word = style_of(code).word
    return word if certain or code != "current" else f"{word}?"


def rank(code: str) -> int:
    """Place among the states, attention first; a state not known comes first of all."""
    return _RANK.get(code, -1)


def needs_attention(code: str) -> bool:
    """Neither current nor held: what `needs:attention` selects and `--check` objects to."""
    return code not in ("current", "held")


def needs_look(code: str) -> bool:
    """Something is wrong, not known, or wants care: a person should look, not just wait or plan."""
    return style_of(code).tone in _LOOK
