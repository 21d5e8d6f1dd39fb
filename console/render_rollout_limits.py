"""The limits of a rollout as gauges: hosts disturbed at once, failures, the window. Pure.

Beside one another where there is room, else a line each. What can be counted has a box each.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from actions.windows import Opening
from console.board import Look
from console.render_rollout_time import countdown, window_now
from console.rollout_board import RolloutCard
from console.tone import Tone
from console.visible import cells, clock_words, count_words, pad

WIDE = 100
"""Cells from which the three stand side by side."""
_GAP = 4
_BOXES = 6
"""Failures beyond which boxes are no help."""
_LABEL, _BAR = 10, 18
_EIGHTHS = " ▏▎▍▌▋▊▉"
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True, slots=True)
class _Gauge:
    title: str
    value: str
    bar: str
    """Drawn."""
    below: tuple[str, ...]
    is_late: bool = False


def failure_limit(card: RolloutCard) -> tuple[int, int, str]:
    """The nearer limit of failures: how many count, how many are allowed, of what."""
    whole = (card.r.failed, card.plan.tolerance, "in all")
    cohort = card.cohort
    if cohort is None or not card.r.state.is_open:
        return whole
    own = (cohort.state.failed, cohort.tolerance, cohort.name)
    return own if own[1] - own[0] < whole[1] - whole[0] else whole


def gauges(card: RolloutCard, now: datetime, look: Look, width: int) -> list[str]:
    """Three lines, at most `width` cells wide."""
    pen = look.pen
    if width < WIDE:
        found = _all(card, now, look, _BAR)
        room = width - _LABEL - _BAR - 2
        lines = []
        for one in found:
            value, rest = pen.say(one.value, max(room, 0)), ""
            for text in map(pen.say, one.below):
                if cells(value) + cells(rest) + 2 + cells(text) <= room:
                    rest += f"  {text}"
            head = pen(Tone.DIM, pad(one.title.split(" ")[0], _LABEL)) + one.bar
            lines.append(f"{head}  {pen(_tone(one), value)}{pen(Tone.DIM, rest)}")
        return lines
    room = (width - 2 * _GAP) // 3
    tops, bars, belows = [], [], []
    for one in _all(card, now, look, room):
        value = pen.say(one.value, room)
        title = pen.say(one.title, max(room - cells(value) - 1, 0))
        tops.append(pen(Tone.DIM, pad(title, room - cells(value))) + pen(_tone(one), value))
        bars.append(one.bar)
        below = ""
        for text in one.below:
            more = f"{below}   {pen.say(text)}" if below else pen.say(text, room)
            below = more if cells(more) <= room else below
        belows.append(pen(Tone.DIM, pad(below, room)))
    return [(" " * _GAP).join(line).rstrip() for line in (tops, bars, belows)]


def _tone(one: _Gauge) -> Tone:
    return Tone.WARN if one.is_late else Tone.BRIGHT


def _all(card: RolloutCard, now: datetime, look: Look, width: int) -> tuple[_Gauge, ...]:
    return (_budget(card, look, width), _failures(card, look, width), _window(card, now, look, width))


def thick(share: float, width: int, look: Look, tone: Tone) -> str:
    """A full bar in steps of an eighth of a cell; a share that is not zero is never nothing."""
    pen, paint, share = look.pen, look.paint, min(max(share, 0.0), 1.0)
    if look.ascii or look.plain:
        full = max(round(share * width), 1 if share > 0 else 0)
        return pen(tone, "=" * full) + "." * (width - full)
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    full, part = divmod(eighths, 8)
    ground = paint.track.replace("38;", "48;", 1)
    body = "█" * full + (_EIGHTHS[part] if part else "")
    ink = paint.fills[tone].partition("48;")[2] if tone in paint.fills else ""
    code = f"38;{ink};{ground}" if ink else f"{paint.tones[tone]};{ground}"
    return pen.code(code, body) + pen.code(ground, " " * (width - len(body)))


def _budget(card: RolloutCard, look: Look, width: int) -> _Gauge:
    r, plan = card.r, card.plan
    used = len(r.disturbed)
    below = []
    if r.hurt:
        below.append(f"{count_words(r.hurt)} held by failures")
    nearest = sorted(r.domains.items(), key=lambda item: (-item[1], item[0]))
    for domain, count in nearest[:3]:
        below.append(f"{domain} {count} of {plan.per_label[domain.partition('=')[0]]}")
    if not nearest:
        below += [f"{limit} a {label}" for label, limit in plan.per_label.items()]
    if r.armed:
        below.append(f"{count_words(r.armed)} armed")
    value = f"{count_words(used)} of {count_words(plan.budget)}"
    bar = thick(used / plan.budget, width, look, Tone.WARN if r.hurt else Tone.MOVING)
    return _Gauge("disturbed at once", value, bar, tuple(below), is_late=bool(r.hurt))


def _failures(card: RolloutCard, look: Look, width: int) -> _Gauge:
    failed, allowed, scope = failure_limit(card)
    names = [one.host for one in card.failures if one.state.counts]
    if scope != "in all":
        names = [one.host for one in card.failures if one.state.counts and one.cohort == scope]
    below = [f"in all {card.r.failed} of {card.plan.tolerance}"]
    if card.cohort is not None:
        own = card.cohort
        below.insert(0, f"{own.name} {own.state.failed} of {own.tolerance}")
    bar = (
        _boxes(names, allowed + 1, look, width)
        if allowed + 1 <= min(_BOXES, max(width // 8, 1))
        else thick(failed / (allowed + 1), width, look, Tone.WARN)
    )
    return _Gauge("failures", f"{failed} of {allowed} allowed", bar, tuple(below), is_late=failed > 0)


def _boxes(names: list[str], number: int, look: Look, width: int) -> str:
    """One box for each failure; the last one halts."""
    pen, paint = look.pen, look.paint
    room = (width - (number - 1)) // number
    bare = look.ascii or look.plain
    drawn = []
    for at in range(number):
        own = room if at < number - 1 else width - (room + 1) * (number - 1)
        inner = max(own - 2, 0)
        if at < len(names):
            text = pen.say(names[at], inner, "middle")
        elif at == number - 1:
            nth = f"{number}{_ENDINGS.get(number, 'th')}"
            texts = (f"the {nth} halts", f"{nth} halts", "halts")
            text = next((text for text in texts if len(text) <= inner), "")
        else:
            text = ""
        if bare:
            drawn.append(f"[{pad(text, inner)}]")
        elif at < len(names):
            drawn.append(pen.code(paint.fills[Tone.WARN], f" {pad(text, inner)} "))
        else:
            ground = paint.track.replace("38;", "48;", 1)
            drawn.append(pen.code(f"{paint.tones[Tone.TEXT]};{ground}", f" {pad(text, inner)} "))
    return " ".join(drawn)


def _window(card: RolloutCard, now: datetime, look: Look, width: int) -> _Gauge:
    opening = window_now(card, now)
    if opening is None:
        return _Gauge("window", "never opens", thick(0, width, look, Tone.CHOSEN), ())
    if not opening.names:
        words = "none: reboots at any time" if card.plan.action.reboots else "none is needed"
        return _Gauge("window", words, thick(0, width, look, Tone.CHOSEN), ())
    title = f"window {', '.join(opening.names)}"
    if not opening.has(now):
        assert opening.begin is not None, "what has no begin is open"
        bar = thick(0, width, look, Tone.CHOSEN)
        wait = countdown((opening.begin - now).total_seconds())
        return _Gauge(title, f"shut, opens {clock_words(opening.begin, now)}", bar, (f"in {wait}",))
    return _open_window(title, opening, now, look, width)


def _open_window(title: str, opening: Opening, now: datetime, look: Look, width: int) -> _Gauge:
    left_s = opening.left_s(now)
    if left_s is None or opening.end is None:
        return _Gauge(title, "open", thick(0, width, look, Tone.CHOSEN), ())
    begin = opening.begin or now
    share = (now - begin).total_seconds() / max((opening.end - begin).total_seconds(), 1)
    below = f"open {clock_words(begin, now)} to {clock_words(opening.end, now)}"
    bar = thick(share, width, look, Tone.CHOSEN)
    return _Gauge(title, f"{countdown(left_s)} left", bar, (below,), is_late=left_s < 900)
