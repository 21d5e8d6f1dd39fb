"""A rollout as text: how it stands, why hosts wait, what failed, what happened; and the list of all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from actions.rollout import headline, waits
from actions.rollout_model import CohortPhase, HostPhase, HostState, Rollout, RolloutState
from actions.rollout_plan import Now, Plan
from console.rollout_preview import indented, labelled, limits, names_text, title_of
from console.tone import Pen, Tone
from console.visible import clock_words, duration_words, hosts_words, pad, wrap

if TYPE_CHECKING:
    from actions.rollout_tables import EventRow, RolloutRow

EVENTS_SHOWN = 20
_TONES = {
    RolloutState.HALTED: Tone.BAD,
    RolloutState.ROLLBACK_INCOMPLETE: Tone.BAD,
    RolloutState.PAUSED: Tone.CHOSEN,
    RolloutState.ABORTED: Tone.CHOSEN,
    RolloutState.DRAFT: Tone.CHOSEN,
    RolloutState.RUNNING: Tone.MOVING,
    RolloutState.ROLLING_BACK: Tone.MOVING,
    RolloutState.COMPLETED_WITH_EXCEPTIONS: Tone.WARN,
}
_GLYPHS = {
    RolloutState.DRAFT: ("·", "."),
    RolloutState.APPROVED: ("○", "o"),
    RolloutState.RUNNING: ("►", ">"),
    RolloutState.PAUSED: ("‖", "="),
    RolloutState.HALTED: ("■", "!"),
    RolloutState.ROLLING_BACK: ("◄", "<"),
    RolloutState.ROLLED_BACK: ("◄", "<"),
    RolloutState.ROLLBACK_INCOMPLETE: ("■", "!"),
    RolloutState.COMPLETED: ("✓", "+"),
    RolloutState.COMPLETED_WITH_EXCEPTIONS: ("▲", "!"),
    RolloutState.ABORTED: ("×", "x"),
}
_COHORT_TONES = {
    CohortPhase.PASSED: Tone.CALM,
    CohortPhase.FAILED: Tone.BAD,
    CohortPhase.WAITING_GATE: Tone.WARN,
}
_HOST_TONES = {HostPhase.FAILED: Tone.BAD, HostPhase.MISSING: Tone.BAD, HostPhase.UNKNOWN: Tone.UNKNOWN}


def state_word(state: RolloutState, pen: Pen) -> str:
    """Glyph and word, as `■ HALTED`."""
    sign, plain = _GLYPHS[state]
    return pen(
        _TONES.get(state, Tone.CALM), f"{plain if pen.ascii else sign} {state.replace('-', ' ').upper()}"
    )


def needs_person(plan: Plan, r: Rollout) -> str | None:
    """What a person has to do for it to go on, with the command; None: nothing now."""
    name = plan.id
    match r.state:
        case RolloutState.DRAFT:
            return f"fleetctl rollout start {name}"
        case RolloutState.PAUSED:
            return f"fleetctl rollout resume {name}"
        case RolloutState.HALTED:
            return (
                f"answer one of three: fleetctl rollout retry-failed {name} --reason TEXT,"
                " accept-failures, or roll-back; there is no plain resume"
            )
    if r.state is RolloutState.RUNNING and r.current < len(r.cohorts):
        if r.cohorts[r.current].phase is CohortPhase.WAITING_GATE:
            return f"look at it, then fleetctl rollout promote {name} --reason TEXT"
    return None


def rollout_text(
    plan: Plan,
    r: Rollout,
    row: RolloutRow,
    events: Sequence[EventRow],
    now: Now,
    *,
    people: str,
    runner: str | None,
    colour: bool,
    ascii: bool,
    width: int,
) -> str:
    """The whole of one rollout. `people`: who planned and approved it; `runner`: who carries it out."""
    pen = Pen(colour, ascii)
    head = f"{plan.id}  {title_of(plan)}  {hosts_words(len(plan.hosts))}  {people}"
    lines = [*wrap(pen.say(head), width), state_word(r.state, pen)]
    lines += [pen(Tone.BRIGHT, line) for line in wrap(pen.say(headline(plan, r, now)), width)]
    needs = needs_person(plan, r)
    if needs is not None:
        lines += [pen(Tone.WARN, line) for line in wrap(pen.say(needs), width)]
    elif r.state.is_open and runner is None:
        text = f"nobody carries it out: fleetctl run {plan.id}"
        lines.append(pen(Tone.WARN, text))
    lines += _failures(plan, r, pen, width)
    lines.append("")
    for number in range(len(plan.cohorts)):
        lines += _cohort(plan, r, number, pen, width)
    lines += _why(plan, r, now, pen, width)
    lines += ["", *labelled("limits", [_used(plan, r), *limits(plan)], pen, width)]
    if events:
        lines += ["", pen(Tone.HINT, "events")]
        lines += [event_line(event, now.wall, pen, width) for event in reversed(events)]
    return "\n".join(lines)


def _used(plan: Plan, r: Rollout) -> str:
    armed = f", {r.armed:,} armed" if r.armed else ""
    now = f"{len(r.disturbed):,} of {plan.budget:,} disturbed now"
    return f"{now}, {r.failed:,} of {plan.tolerance:,} failures{armed}"


def _cohort(plan: Plan, r: Rollout, number: int, pen: Pen, width: int) -> Iterator[str]:
    cohort, state, own = plan.cohorts[number], r.cohorts[number], plan.by_cohort[number]
    counts: dict[HostPhase, int] = {}
    for host in own:
        phase = r.hosts[host.name].phase
        counts[phase] = counts.get(phase, 0) + 1
    told = ", ".join(f"{count:,} {phase}" for phase, count in counts.items()) or "no host"
    word = str(state.phase).replace("-", " ").upper()
    soak = f", soak {duration_words(cohort.soak_s)}" if cohort.soak_s else ""
    name = pen(Tone.BRIGHT, pad(pen.say(cohort.name, 20), 12))
    tone = _COHORT_TONES.get(state.phase, Tone.MOVING)
    yield f"{name} {pen(tone, pad(word, 12))} {hosts_words(len(own))}{soak}"
    yield from indented(told, width, 13)
    if state.promoted_by:
        yield from indented(pen.say(f"promoted by {state.promoted_by}: {state.promoted_why}"), width, 13)


def _failures(plan: Plan, r: Rollout, pen: Pen, width: int) -> list[str]:
    lines = []
    for own in plan.hosts:
        host = r.hosts[own.name]
        if not (host.phase.is_failure or host.phase in (HostPhase.UNKNOWN, HostPhase.EXCEPTION)):
            continue
        head = f"{own.name}  {failure_words(host)}"
        first, *rest = wrap(pen.say(head), max(40, width - 4))
        lines.append(f"  {pen(_HOST_TONES.get(host.phase, Tone.WARN), first)}")
        lines += [f"    {line}" for line in rest]
    return ["", pen(Tone.HINT, "failures"), *lines] if lines else []


def failure_words(host: HostState) -> str:
    """`reverted: came back on 4593.2.4 (o-abc); accepted`."""
    what = str(host.failed or host.phase)
    text = f"{what}: {host.text}" if host.text else what
    if host.order_id:
        text += f" ({host.order_id})"
    if host.is_accepted:
        text += "; accepted"
    elif host.is_released:
        text += "; released"
    return text


def _why(plan: Plan, r: Rollout, now: Now, pen: Pen, width: int) -> list[str]:
    """Why hosts wait, equal sentences once; only of one that can go on."""
    if not r.state.is_open:
        return []
    alike: dict[str, list[str]] = {}
    for own in plan.hosts:
        phase = r.hosts[own.name].phase
        if not phase.is_settled or phase is HostPhase.SKIPPED:
            alike.setdefault(waits(plan, r, own.name, now), []).append(own.name)
    lines = []
    for text, names in sorted(alike.items(), key=lambda item: -len(item[1])):
        shown = f"{pen.say(text)}: {names_text(names, pen)}"
        first, *rest = wrap(shown, max(40, width - 9))
        lines += [f"{len(names):>7,}  {first}", *(" " * 9 + line for line in rest)]
    return ["", pen(Tone.HINT, "why hosts wait"), *lines] if lines else []


def event_line(event: EventRow, now: datetime, pen: Pen, width: int) -> str:
    """One event, on as many lines as it takes."""
    at = pad(clock_words(datetime.fromisoformat(event.at), now), 10)
    about = f"{event.about} " if event.about else ""
    cause = f": {event.cause}" if event.cause else ""
    first, *rest = wrap(pen.say(f"{about}{event.text}{cause}"), max(40, width - 12))
    return "\n".join([f"{at}  {first}", *(" " * 12 + line for line in rest)])


def list_text(
    items: Iterable[tuple[RolloutRow, str]], *, now: datetime, colour: bool, ascii: bool, width: int
) -> str:
    """A line or more for each rollout, with what is told of it."""
    pen, lines = Pen(colour, ascii), list[str]()
    for row, told in items:
        state = state_word(RolloutState(row.status), pen)
        at = clock_words(datetime.fromisoformat(row.at), now)
        lines.append(
            f"{pen(Tone.BRIGHT, pen.say(row.id))}  {state}  {pen.say(row.title, max(40, width - 40))}, {at}"
        )
        lines += indented(pen.say(told), width)
    return "\n".join(lines)
