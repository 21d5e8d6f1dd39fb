"""What changed over time, and how two hosts differ, as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.render import value_words
from console.tone import Pen, Tone
from console.visible import cells, pad

NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One fact of one host that changed at a moment; values as decoded from JSON, None for not known."""

    host: str
    at: datetime
    path: str
    old: object
    new: object


def fact_words(path: str) -> str:
    """A JSON Pointer as people read it."""
    return path.strip("/").replace("/", ".").replace("~1", "/").replace("~0", "~")


def story_text(steps: Iterable[Step], *, colour: bool, ascii: bool, width: int) -> str:
    """Changes in the order in which they were seen; what befell several hosts in one minute once."""
    pen, groups = Pen(colour, ascii), _together(steps)
    if not groups:
        return "Nothing changed."
    days = {at.date() for at, *_ in groups}
    lines = []
    for (at, fact, old, new), hosts in groups.items():
        clock = f"{at:%Y-%m-%d %H:%M}" if len(days) > 1 else f"{at:%H:%M}"
        who, what = pad(pen.say(_who(hosts), 22, "middle"), 22), pad(pen.say(fact, 24, "middle"), 24)
        head = f"{clock}  {who}  {what}  "
        lines.append(head + pen.say(f"{old} {'to' if ascii else '→'} {new}", max(20, width - cells(head))))
    return "\n".join(lines)


def _together(steps: Iterable[Step]) -> dict[tuple[datetime, str, str, str], list[str]]:
    groups: dict[tuple[datetime, str, str, str], list[str]] = {}
    for step in steps:
        minute = step.at.replace(second=0, microsecond=0)
        key = (minute, fact_words(step.path), value_words(step.old), value_words(step.new))
        groups.setdefault(key, []).append(step.host)
    return groups


def _who(hosts: Sequence[str]) -> str:
    return hosts[0] if len(hosts) == 1 else f"{len(hosts)} hosts, {hosts[0]} first"


def pair_text(
    names: tuple[str, str],
    differences: Iterable[tuple[str, object, object]],
    *,
    colour: bool,
    ascii: bool,
    width: int,
) -> str:
    """Two hosts side by side, only where they differ."""
    pen = Pen(colour, ascii)
    column = max(20, (width - 30) // 2)
    rows = [
        (
            pen.say(fact_words(path), 26, "middle"),
            pen.say(value_words(a), column),
            pen.say(value_words(b), column),
        )
        for path, a, b in differences
    ]
    if not rows:
        return f"{names[0]} and {names[1]} do not differ."
    head = ("", pen(Tone.HINT, pen.say(names[0], column)), pen(Tone.HINT, pen.say(names[1], column)))
    return "\n".join(f"{pad(fact, 26)}  {pad(a, column)}  {b}".rstrip() for fact, a, b in (head, *rows))
