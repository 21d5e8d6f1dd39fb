"""The head of a rollout's board as lines: what it is, the one sentence, its limits; each host's sign. Pure.

Lines are spans as `console.ink` reads them, at most as wide as asked for. HALTED is the only loud one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from actions.rollout_model import SENT, CohortPhase, FailKind, HaltRule, HostPhase, RolloutState
from actions.rollout_requests import why_unapprovable
from console.board import Look
from console.render_rollout_limits import WIDE, failure_limit, gauges
from console.rollout_board import CohortCard, RolloutBoard, RolloutCard, Tile
from console.tone import Pen, Tone
from console.visible import cells, clock_words, count_words, hosts_words, wrap

_SGR = re.compile(r"\x1b\[[0-9;]*m")
_STATES = {
    RolloutState.DRAFT: ("·", ".", Tone.CHOSEN),
    RolloutState.APPROVED: ("·", ".", Tone.MOVING),
    RolloutState.RUNNING: ("►", ">", Tone.MOVING),
    RolloutState.PAUSED: ("■", "#", Tone.CHOSEN),
    RolloutState.HALTED: ("■", "!", Tone.BAD),
    RolloutState.ROLLING_BACK: ("«", "{", Tone.MOVING),
    RolloutState.ROLLED_BACK: ("«", "{", Tone.CALM),
    RolloutState.ROLLBACK_INCOMPLETE: ("▲", "!", Tone.WARN),
    RolloutState.COMPLETED: ("●", "o", Tone.CALM),
    RolloutState.COMPLETED_WITH_EXCEPTIONS: ("▲", "!", Tone.WARN),
    RolloutState.ABORTED: ("×", "x", Tone.CHOSEN),
}
_TILES = {
    HostPhase.PENDING: ("·", ".", "not begun", Tone.DIM),
    HostPhase.PREFLIGHT: ("·", ".", "looked at", Tone.MOVING),
    HostPhase.STAGING: ("◔", "~", "staging", Tone.MOVING),
    HostPhase.STAGED: ("◕", "^", "staged", Tone.TEXT),
    HostPhase.LEASED: ("◊", "d", "begins", Tone.MOVING),
    HostPhase.DRAINING: ("◊", "d", "draining", Tone.MOVING),
    HostPhase.REBOOT_ISSUED: ("↑", "R", "rebooting", Tone.MOVING),
    HostPhase.AWAITING_RETURN: ("↑", "R", "rebooting", Tone.MOVING),
    HostPhase.VERIFYING: ("△", "!", "unconfirmed", Tone.MOVING),
    HostPhase.SETTLING: ("◎", "@", "settles", Tone.MOVING),
    HostPhase.DONE: ("●", "o", "done", Tone.CALM),
    HostPhase.SKIPPED: ("-", "-", "skipped", Tone.DIM),
    HostPhase.FAILED: ("×", "x", "failed", Tone.BAD),
    HostPhase.MISSING: ("?", "?", "missing", Tone.BAD),
    HostPhase.UNKNOWN: ("◌", "u", "unknown", Tone.UNKNOWN),
    HostPhase.EXCEPTION: ("≈", "=", "moved by itself", Tone.WARN),
    HostPhase.ROLLED_BACK: ("«", "{", "rolled back", Tone.LATE),
}


@dataclass(frozen=True, slots=True)
class Sign:
    """How a state is shown: the three together."""

    glyph: str
    word: str
    tone: Tone
    is_loud: bool = False
    """On the ground of an alert."""


def tile_sign(tile: Tile, pen: Pen) -> Sign:
    glyph, plain, word, tone = _TILES[tile.phase]
    is_loud = tile.phase.is_failure and not tile.is_accepted
    if tile.failed is FailKind.REVERTED and tile.phase is HostPhase.FAILED:
        glyph, plain, word = "◄", "<", "reverted"
    return Sign(plain if pen.ascii else glyph, word, tone, is_loud)


def state_sign(state: RolloutState, pen: Pen) -> Sign:
    glyph, plain, tone = _STATES[state]
    word = str(state).replace("-", " ").upper()
    return Sign(plain if pen.ascii else glyph, word, tone, state is RolloutState.HALTED)


# Lines side by side


def width_of(line: str) -> int:
    """Cells of a drawn line."""
    return cells(_SGR.sub("", line))


def beside(columns: Sequence[Sequence[str]], widths: Sequence[int], gap: int) -> list[str]:
    """Columns of drawn lines, each at most as wide as its width."""
    lines = []
    for at in range(max(map(len, columns), default=0)):
        line = ""
        for column, width in zip(columns, widths, strict=True):
            text = column[at] if at < len(column) else ""
            line += text + " " * (width - width_of(text) + gap)
        lines.append(line.rstrip())
    return lines


def between(left: str, right: str, width: int) -> str:
    """Two drawn texts at both edges."""
    return left + " " * max(width - width_of(left) - width_of(right), 1) + right


def rule(title: str, look: Look, width: int) -> str:
    """A heading with a thin line to the edge."""
    words = look.pen.say(title, max(width - 2, 1))
    line = ("-" if look.ascii else "─") * max(width - cells(words) - 1, 0)
    return f"{look.pen(Tone.HINT, words)} {look.pen.code(look.paint.line, line)}"[: None if line else -1]


# The head


def head_lines(board: RolloutBoard, look: Look, width: int, height: int) -> list[str]:
    """What is read first. `height`: lines of the whole place."""
    card = board.card
    if card is None:
        return _empty(look, width)
    is_halted = card.r.state is RolloutState.HALTED
    lines = _banner(card, board.now, look, width) if is_halted else [_title(card, board.now, look, width)]
    for text, tone, most in sentences(card, board.now):
        lines += [look.pen(tone, line) for line in wrap(look.pen.say(text), width)[:most]]
    lines += _others(board, card, look, width)
    if card.r.state in (RolloutState.RUNNING, RolloutState.PAUSED, RolloutState.ROLLING_BACK):
        lines += [*([""] if height >= 30 else []), *gauges(card, board.now, look, width)]
    return [*lines, ""] if height >= 22 else lines


def _empty(look: Look, width: int) -> list[str]:
    pen = look.pen
    texts = ("`fleetctl rollout plan @GROUP --to VERSION` makes a draft, and sends nothing.",)
    told = [pen(Tone.DIM, line) for text in texts for line in wrap(pen.say(text), width)]
    return [pen(Tone.BRIGHT, pen.say("No rollout yet.", width)), "", *told]


def _title(card: RolloutCard, now: datetime, look: Look, width: int) -> str:
    pen, sign = look.pen, state_sign(card.r.state, look.pen)
    right = pen(sign.tone, f"{sign.glyph} {sign.word}")
    room = width - width_of(right) - 2
    told = card.told
    parts = [(Tone.BRIGHT, told.id), (Tone.TEXT, told.title), (Tone.TEXT, hosts_words(len(card.plan.hosts)))]
    parts += [(Tone.DIM, told.people), (Tone.DIM, f"planned {clock_words(told.at, now)}")]
    left, used = "", 0
    for tone, text in parts:
        gap = 2 if used else 0
        if room - used - gap < 4 or (tone is Tone.DIM and used + gap + cells(pen.say(text)) > room):
            break
        words = pen.say(text, max(room - used - gap, 0))
        left += " " * gap + pen(tone, words)
        used += gap + cells(words)
    return between(left, right, width)


def _banner(card: RolloutCard, now: datetime, look: Look, width: int) -> list[str]:
    """The only thing on the screen that is so loud."""
    pen, halt = look.pen, card.r.halt
    at = clock_words(halt.at if halt else card.r.since, now)
    head = f" {pen.marks.alert} HALTED {at}  {pen.say(card.id)}"
    counts = f"{_many(card.r.failed, 'failure')}, {allowed_words(card)}"
    rule_words = f"rule: {halt.rule if halt else '-'}"
    texts = (
        f"{head}  {pen.say(card.told.title)}   {counts}   {rule_words}",
        f"{head}   {counts}   {rule_words}",
        f"{head}   {counts}",
        head,
    )
    ends = ("it reboots nothing until you answer ", "it waits for you ", "")
    pairs = [(text, end) for end in ends for text in texts if cells(text) + 2 + cells(end) <= width]
    if width < WIDE:  # how many failed says more than that it waits
        pairs.sort(key=lambda pair: pair[0] == head)
    left, end = pairs[0] if pairs else (pen.say(head, width), "")
    line = left + " " * (width - cells(left) - cells(end)) + end
    side = pen.code(look.paint.alert, " " * width)
    return (
        [side, pen.code(look.paint.alert, line), side, ""]
        if width >= WIDE
        else [pen.code(look.paint.alert, line)]
    )


def allowed_words(card: RolloutCard) -> str:
    _, allowed, _ = failure_limit(card)
    return f"{allowed} allowed" if allowed else "none allowed"


def _many(number: int, word: str) -> str:
    return f"{count_words(number)} {word}{'' if number == 1 else 's'}"


def sentences(card: RolloutCard, now: datetime) -> list[tuple[str, Tone, int]]:
    """What a tired person must know, then whether anything is needed: text, tone, most lines."""
    needs, tone = needed(card, now)
    lines = [(_story(card, now), Tone.BRIGHT, 2)]
    if card.r.state is RolloutState.HALTED:
        lines.append((_rest_words(card), Tone.TEXT, 2))
    asked = [f"{item.kind} by {item.who}" for item in card.told.requests]
    if asked:
        lines.append((f"Asked for, and not answered yet: {', '.join(asked)}.", Tone.MOVING, 2))
    return [*lines, (needs, tone, 3)] if needs else lines


def _story(card: RolloutCard, now: datetime) -> str:
    r, cohort = card.r, card.cohort
    match r.state:
        case RolloutState.DRAFT:
            part = sum(item.taking_part for item in card.cohorts)
            left = len(card.plan.hosts) - part
            more = f", {count_words(left)} left out" if left else ""
            return f"A draft, nothing was sent: {hosts_words(part)} take part{more}."
        case RolloutState.APPROVED:
            return "Approved; it begins now."
        case RolloutState.PAUSED:
            return f"Paused by {r.by or '-'} at {clock_words(r.since, now)}" + (
                f": {r.why}." if r.why else "."
            )
        case RolloutState.HALTED:
            return _halt_story(card)
        case RolloutState.RUNNING if cohort is not None:
            return _cohort_story(card, cohort)
        case RolloutState.ROLLING_BACK:
            left = sum(host.has_target for host in r.hosts.values())
            return f"Going back: {hosts_words(left)} still to go back to what they ran. {r.why}."
    why = f" ({r.why})" if r.why else ""
    return f"It ended {clock_words(r.since, now)}{why}: {_counts_words(card)}."


def _halt_story(card: RolloutCard) -> str:
    """What went wrong, in a line; the evidence below has the rest."""
    r = card.r
    failed = [one for one in card.failures if one.state.counts]
    own = r.halt is not None and r.halt.rule in (HaltRule.GATE, HaltRule.BUDGET_FULL)
    if own or not failed:
        return f"{(r.halt.text if r.halt else r.why).rstrip('.')}."
    words = Counter(one.word for one in failed)
    cohorts = ", ".join(dict.fromkeys(one.cohort for one in failed))
    if len(failed) == 1:
        return f"{failed[0].host} of {cohorts}: {failed[0].word}."
    told = ", ".join(f"{count_words(number)} {word}" for word, number in words.items())
    return f"{hosts_words(len(failed))} of {cohorts}: {told}."


def _counts_words(card: RolloutCard) -> str:
    counts, total = card.r.counts, len(card.plan.hosts)
    parts = [f"{count_words(counts.get(HostPhase.DONE, 0))} of {count_words(total)} done"]
    shown = (
        HostPhase.FAILED,
        HostPhase.MISSING,
        HostPhase.UNKNOWN,
        HostPhase.EXCEPTION,
        HostPhase.ROLLED_BACK,
        HostPhase.SKIPPED,
    )
    parts += [f"{count_words(counts[phase])} {_TILES[phase][2]}" for phase in shown if counts.get(phase)]
    return ", ".join(parts)


def _cohort_story(card: RolloutCard, cohort: CohortCard) -> str:
    counts = cohort.counts
    done, settling = counts.get(HostPhase.DONE, 0), counts.get(HostPhase.SETTLING, 0)
    hurt = sum(counts.get(phase, 0) for phase in (HostPhase.FAILED, HostPhase.MISSING))
    unknown, way = counts.get(HostPhase.UNKNOWN, 0), card.at_work
    does = {
        CohortPhase.SOAKING: "soaks",
        CohortPhase.GATE: "asks its gate",
        CohortPhase.WAITING_GATE: "waits at its gate",
        CohortPhase.STAGING: "is staged",
        CohortPhase.WAITING: "begins",
    }.get(cohort.state.phase, "reboots" if card.plan.action.reboots else "changes")
    name = cohort.name[:1].upper() + cohort.name[1:]
    parts = [f"{count_words(done)} of {hosts_words(cohort.taking_part)} done"]
    parts += [
        f"{count_words(number)} {word}"
        for number, word in (
            (settling, "settle" if settling != 1 else "settles"),
            (way, "on their way" if way != 1 else "on its way"),
            (cohort.state.unstaged, "to be staged"),
            (hurt, "failed"),
            (unknown, "unknown"),
        )
        if number
    ]
    return f"{name} {does}: {', '.join(parts)}."


def _rest_words(card: RolloutCard) -> str:
    counts = card.r.counts
    target = card.plan.action.version or "the change"
    sent = sum(counts.get(phase, 0) for phase in SENT)
    waiting = sum(counts.get(p, 0) for p in (HostPhase.PENDING, HostPhase.PREFLIGHT, HostPhase.STAGING))
    done = counts.get(HostPhase.DONE, 0)
    settling = counts.get(HostPhase.SETTLING, 0)
    parts = [f"{hosts_words(done)} went through well" if done else "No host went through well"]
    for number, word in (
        (settling, "still settle" if settling != 1 else "still settles"),
        (sent, "still followed"),
        (card.at_work - sent, "called back"),
        (counts.get(HostPhase.STAGED, 0), "staged, not rebooted"),
        (waiting, "never touched"),
        (counts.get(HostPhase.UNKNOWN, 0), "not known"),
    ):
        if number:
            parts.append(f"{count_words(number)} {word}")
    armed = (
        f"{hosts_words(card.r.armed)} still armed with {target}" if card.r.armed else "no host is left armed"
    )
    return f"{', '.join(parts)}; {armed}."


def needed(card: RolloutCard, now: datetime) -> tuple[str, Tone]:
    """What a person has to do, or that there is nothing; "" where the screen below asks for it."""
    r, run = card.r, f"`fleetctl run {card.id}`"
    if card.is_left:
        return f"Nobody carries it out: {run} goes on with it.", Tone.WARN
    match r.state:
        case RolloutState.DRAFT:
            problem = why_unapprovable(card.plan)
            if problem:
                return f"It cannot be approved: {problem}.", Tone.BAD
            return f"a approves it: `fleetctl rollout start {card.id}`.", Tone.CHOSEN
        case RolloutState.PAUSED:
            return f"r goes on: `fleetctl rollout resume {card.id}`. What was sent is followed.", Tone.CHOSEN
        case RolloutState.RUNNING:
            if card.gate_waits is not None:
                return f"It waits for you: {card.gate_waits}.", Tone.WARN
            if r.stalled is not None:
                return f"Stalled since {clock_words(r.stalled.since, now)}: {r.stalled.cause}.", Tone.WARN
            end = f" All of it about {clock_words(card.ends_at, now)}." if card.ends_at else ""
            return f"Nothing needs you now.{end}", Tone.TEXT
        case RolloutState.ROLLING_BACK:
            return "Nothing needs you now.", Tone.TEXT
    return "", Tone.TEXT


def _others(board: RolloutBoard, card: RolloutCard, look: Look, width: int) -> list[str]:
    """Another one that is halted must not sink out of sight."""
    pen = look.pen
    halted = [line for line in board.rollouts if line.state is RolloutState.HALTED and line.id != card.id]
    text = f"{pen.marks.alert} HALTED too: {', '.join(pen.say(line.id) for line in halted)}; tab leads to it"
    return [pen(Tone.BAD, pen.say(text, width))] if halted else []
