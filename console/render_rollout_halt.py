"""A halted rollout: what failed, what that has in common, three ways to go on and what each does. Pure.

None of the three is chosen beforehand, and none is a plain resume. Each says what it reboots, how long it
takes, what is risked, what is typed for it, and what cannot be undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from actions.rollout_model import FailKind, HaltRule, HostPhase, RolloutState
from actions.rollout_plan import ActionKind
from actions.rollout_talk import RequestKind
from console.board import Look
from console.render_rollout import beside, rule
from console.render_rollout_time import countdown, ends_at, rounds, turn_s
from console.rollout_board import Failure, RolloutCard, Shared
from console.tone import Pen, Tone
from console.visible import cells, clock_words, count_words, hosts_words, pad, wrap

SIDE_BY_SIDE = 110
_SHOWN = 6
"""Failures that are told one by one."""
_LABEL = 13
_GAP = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """One way to go on."""

    kind: RequestKind
    key: str
    title: str
    does: str
    reboots: str
    takes: str
    risk: str
    command: str
    cannot_undo: str
    note: str
    tone: Tone
    hosts: tuple[str, ...] = ()
    """It is for these; none: for the whole rollout."""
    refused: str | None = None
    """Why it cannot be given now."""


def answers(card: RolloutCard, now: datetime) -> tuple[Answer, ...]:
    """The three, in the order of how much they change; none of a rollout that is not halted."""
    if card.r.state is not RolloutState.HALTED:
        return ()
    return _retry(card), _accept(card, now), _roll_back(card)


def _counted(card: RolloutCard) -> tuple[str, ...]:
    return tuple(one.host for one in card.failures if one.state.counts)


def _these(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"the {count_words(len(names))}"


def _about(seconds: float) -> str:
    return f"about {countdown(max(seconds // 60 * 60, 60))}"


def _retry(card: RolloutCard) -> Answer:
    names, plan, r = _counted(card), card.plan, card.r
    followed = [name for name in names if r.hosts[name].verb is not None]
    earlier = [name for name in names if plan.by_name[name].cohort != r.current]
    refused = None
    if followed:
        refused = f"an order is still followed on {', '.join(followed[:3])}: wait for its end"
    elif earlier:
        refused = f"{', '.join(earlier[:3])}: of a cohort that passed; accept them"
    stage_s = card.durations.stage_s if plan.staging is not None else 0.0
    each = rounds(plan, r, min(r.current, len(plan.cohorts) - 1), names)
    risk = f"{len(names)} of {len(names)} failed before" if names else "the gate may fail again"
    reverted = [name for name in names if r.hosts[name].failed is FailKind.REVERTED]
    note = "For a cause that was outside, and is gone."
    if reverted:
        release = f"`fleetctl quarantine release` lets go of {_target(card)}"
        risk = f"{len(names)} of {len(names)} failed; skipped while quarantined"
        note = f"A reverted host is left out unless {release} first."
    return Answer(
        RequestKind.RETRY_FAILED,
        "t",
        f"Retry {_these(names)}" if names else "Ask the gate again",
        f"{'Stage again, reboot' if stage_s else 'Try again'}; the next failure over the limit halts again.",
        hosts_words(len(names)) if plan.action.reboots else "none",
        _about(stage_s + each * turn_s(plan, card.durations)),
        risk,
        f"fleetctl rollout retry-failed {card.id} --reason …",
        _reboots(card, len(names)),
        note,
        Tone.MOVING,
        names,
        refused,
    )


def _target(card: RolloutCard) -> str:
    return card.plan.action.version or "it"


def _reboots(card: RolloutCard, number: int) -> str:
    if not (number and card.plan.action.reboots):
        return "nothing"
    return "1 reboot" if number == 1 else f"{count_words(number)} reboots"


def _has_turn_to_come(phase: HostPhase) -> bool:
    """Not what settles or was sent, that has had its reboot, nor what is not known, that gets none."""
    had = phase.is_sent or phase in (HostPhase.SETTLING, HostPhase.UNKNOWN)
    return not (phase.is_settled or had)


def _accept(card: RolloutCard, now: datetime) -> Answer:
    names, r = _counted(card), card.r
    left = [tile.host for cohort in card.cohorts for tile in cohort.tiles if _has_turn_to_come(tile.phase)]
    own = [name for name in left if card.plan.by_name[name].cohort == r.current]
    through = ends_at(card.plan, replace(r, state=RolloutState.RUNNING), card.durations, now)
    cohort = card.cohort
    name = cohort.name if cohort is not None else "it"
    is_gate = r.halt is not None and r.halt.rule is HaltRule.GATE
    title = f"Accept {_these(names)} as failure{'s' if len(names) != 1 else ''}"
    if is_gate and not names:
        title = f"Take gate {r.halt.gate if r.halt else '-'} as passed"
    rest = len(left) - len(own)
    on = f"goes on with {hosts_words(len(own))}" if own else "goes on to its soak"
    reboots = hosts_words(len(own) or rest) if left and card.plan.action.reboots else "none"
    if own and rest and card.plan.action.reboots:
        reboots += f", then {count_words(rest)} more"
    risk = "the others may fail as these did"
    for one in card.shared[:1]:
        if one.to_come:
            risk = f"{count_words(len(one.to_come))} of those to come have {one.what} too"
    return Answer(
        RequestKind.ACCEPT_FAILURES,
        "c",
        title,
        f"{'They stay' if len(names) != 1 else 'It stays'} as {'they are' if len(names) != 1 else 'it is'}; "
        f"{name} {on}.",
        reboots,
        f"to about {clock_words(through, now)}" if through else "cannot be said",
        risk,
        f"fleetctl rollout accept-failures {card.id} --reason …",
        _reboots(card, len(left)),
        "It ends with exceptions; the reason goes into the record.",
        Tone.WARN,
        names,
    )


def _roll_back(card: RolloutCard) -> Answer:
    plan, r = card.plan, card.r
    names = [name for name, host in r.hosts.items() if host.has_target]
    is_release = plan.action.kind is ActionKind.RELEASE
    each = -(-len(names) // plan.budget)
    staged = f" {hosts_words(r.armed)} that hold it are unstaged." if r.armed else ""
    return Answer(
        RequestKind.ROLL_BACK,
        "b",
        "Roll back",
        f"{hosts_words(len(names))} that got {_target(card)} return to what they ran.{staged}",
        f"{hosts_words(len(names))}, {count_words(min(plan.budget, len(names)))} at a time"
        if names
        else "none",
        _about(each * card.durations.turn_s) if names else "no time",
        "their work stops once more",
        f"fleetctl rollout roll-back {card.id} --reason …",
        f"{_reboots(card, len(names))}; updates off",
        "The older slot is proved intact first. Data and /etc are not rolled back.",
        Tone.BAD,
        (),
        None if is_release else f"a {plan.action.kind} is undone by a plan of its own",
    )


# Drawn


def answer_lines(card: RolloutCard, now: datetime, look: Look, width: int) -> list[str]:
    found = answers(card, now)
    if not found:
        return []
    head = rule("answer one of three, there is no plain resume", look, width)
    if width < SIDE_BY_SIDE:
        return [head, *(line for one in found for line in _short(one, look, width))]
    room = (width - 2 * _GAP) // 3
    return [head, "", *_cards(found, look, room)]


def _key(answer: Answer, look: Look) -> str:
    """A box in the tone of what it does."""
    code = look.paint.fills.get(answer.tone, look.paint.key)
    return look.pen.code(code, f" {answer.key} ")


def _short(answer: Answer, look: Look, width: int) -> list[str]:
    """Three lines: what it is, what it does and risks, what is typed."""
    pen, room = look.pen, width - 4
    title = pen.say(answer.title, room)
    if answer.refused is not None:
        text = pen.say(f"not now: {answer.refused}", room)
        return [f"{_key(answer, look)} {pen(Tone.BRIGHT, title)}", f"    {pen(Tone.WARN, text)}"]
    told, left = f"reboots {answer.reboots}", room - cells(title) - 3
    takes = cells(told) + 2 + cells(answer.takes) <= left
    told = pen.say(f"{told}, {answer.takes}" if takes else told, max(left, 0))
    risk = f"risk: {answer.risk}   cannot undo: {answer.cannot_undo}"
    command = answer.command if takes else f"{answer.command}   takes {answer.takes}"
    return [
        f"{_key(answer, look)} {pen(Tone.BRIGHT, title)}   {pen(Tone.TEXT, told)}",
        f"    {pen(Tone.DIM, pen.say(risk, room))}",
        f"    {pen(Tone.DIM, pen.say(command, room))}",
    ]


def _cards(found: Sequence[Answer], look: Look, width: int) -> list[str]:
    """Side by side, equally large: the same thing of each in the same line."""
    pen, inner = look.pen, width - 2
    columns: list[list[str]] = [[] for _ in found]
    for at in range(4 + len(_facts(found[0]))):
        blocks = [_block(one, at, look, width, inner) for one in found]
        tall = max(map(len, blocks))
        for column, block in zip(columns, blocks, strict=True):
            column += [*block, *[pen(Tone.TEXT, "")] * (tall - len(block))]
    return beside(columns, [width] * len(found), _GAP)


def _facts(answer: Answer) -> tuple[tuple[str, str], ...]:
    return (
        ("reboots", answer.reboots),
        ("takes", answer.takes),
        ("risk", answer.risk),
        ("cannot undo", answer.cannot_undo),
    )


def _block(answer: Answer, at: int, look: Look, width: int, inner: int) -> list[str]:
    """One of its parts, from the top down; one that cannot be given says why instead of all below."""
    pen, facts = look.pen, _facts(answer)
    if at == 0:
        title = pen(Tone.BRIGHT, pen.say(answer.title, inner - 4))
        return [pen(answer.tone, pen.marks.full * width), f"{_key(answer, look)} {title}", ""]
    if answer.refused is not None:
        return _wrapped(f"Not now: {answer.refused}.", Tone.WARN, pen, inner, 4) if at == 1 else []
    if at == 1:
        return [*_wrapped(answer.does, Tone.TEXT, pen, inner, 4), ""]
    if at < 2 + len(facts):
        label, text = facts[at - 2]
        first, *rest = wrap(pen.say(text), max(inner - _LABEL, 8))[:3]
        tone = Tone.BRIGHT if label == "reboots" else Tone.TEXT
        head = pen(Tone.DIM, pad(label, _LABEL)) + pen(tone, first)
        return [head, *(" " * _LABEL + pen(tone, line) for line in rest)]
    if at == 2 + len(facts):
        return ["", *_wrapped(answer.command, Tone.TEXT, pen, inner, 3)]
    return _wrapped(answer.note, Tone.DIM, pen, inner, 4)


def _wrapped(text: str, tone: Tone, pen: Pen, width: int, most: int) -> list[str]:
    return [pen(tone, line) for line in wrap(pen.say(text), width)[:most]]


def failure_lines(card: RolloutCard, now: datetime, look: Look, width: int) -> list[str]:
    """Each failed host with its evidence, then what they have in common."""
    if not card.failures:
        return []
    shown = card.failures[:_SHOWN]
    name = min(max(cells(look.pen.say(one.host)) for one in shown), 24, width // 4)
    lines = [rule("what failed", look, width)]
    for one in shown:
        lines += _failure(one, now, look, width, name)
    if len(card.failures) > _SHOWN:
        lines.append(look.pen(Tone.DIM, f"and {count_words(len(card.failures) - _SHOWN)} more"))
    return lines + shared_lines(card.shared, look, width)


def _failure(one: Failure, now: datetime, look: Look, width: int, name: int) -> list[str]:
    pen, state = look.pen, one.state
    facts = [one.cohort]
    if state.issued_at is not None:
        facts.append(f"reboot sent {clock_words(state.issued_at, now)}")
    if one.away_s is not None:
        facts.append(f"{countdown(one.away_s)} until it was known")
    if state.is_accepted:
        facts.append("accepted")
    elif state.is_released:
        facts.append("holds no place")
    host = pad(pen.say(one.host, name, "middle"), name)
    tone = Tone.BAD if state.phase.is_failure else Tone.UNKNOWN
    room = max(width - name - 2, 8)
    word = pen.say(one.word, room)
    first = pen.say(f", {', '.join(facts)}", max(room - cells(word), 0))
    lines = [f"{pen(Tone.BRIGHT, host)}  {pen(tone, word)}{pen(Tone.DIM, first)}"]
    indent = " " * (name + 2)
    if state.text:
        lines += [indent + pen(Tone.TEXT, line) for line in wrap(pen.say(state.text), room)[:2]]
    return lines + [indent + pen(Tone.DIM, pen.say(f"it wrote: {line}", room)) for line in one.said[-2:]]


def shared_lines(shared: Sequence[Shared], look: Look, width: int) -> list[str]:
    """`in common   model=r340: 3 of 3 against 0 of 70; 4 more are to come`."""
    pen, lines = look.pen, list[str]()
    for at, one in enumerate(shared[:2] if shared[0].failed == 1 else shared) if shared else ():
        against = f"{one.failed} of {one.failed} failed against {count_words(one.well)} of"
        text = f"{one.what}: {against} {count_words(one.well + one.well_without)} that went well"
        more = f"; {count_words(len(one.to_come))} to come"
        text += more if one.to_come and cells(text) + cells(more) <= width - 11 else ""
        label = pen(Tone.HINT, pad("in common" if not at else "", 11))
        tone = Tone.WARN if not one.well and one.failed > 1 else Tone.TEXT
        lines.append(label + pen(tone, pen.say(text, max(width - 11, 8))))
    if shared and shared[0].failed == 1:
        text = pen.say("with one failure this may be chance", max(width - 11, 8))
        lines.append(" " * 11 + pen(Tone.DIM, text))
    return lines
