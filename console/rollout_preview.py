"""A plan of a rollout as text: what it would do to whom and when, and what is wrong with it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from actions.rollout_plan import ActionKind, Plan, RolloutAction
from actions.rollout_planning import Planned, Problem
from actions.rollout_planning_follow import Followed
from actions.rollout_planning_hosts import HostPreview
from actions.rollout_planning_time import AHEAD_DAYS, CohortTime, Estimate
from collectors.fleet_model import GateMode, OnHalt, Source
from console.folding import fold_names
from console.tone import Pen, Tone
from console.visible import DAYS, MONTHS, clock_words, duration_words, hosts_words, pad, wrap

NAMES_CELLS = 300
"""Cells of folded names in one place; the JSON has them all."""
LEAST_WIDTH = 40


def action_words(action: RolloutAction) -> str:
    """`4593.2.5`, `channel beta`, `roll-back`."""
    match action.kind:
        case ActionKind.RELEASE:
            return action.version or "a release"
        case ActionKind.CHANNEL:
            return f"channel {action.channel}"
        case ActionKind.ROLL_BACK:
            return f"roll-back to {action.version}" if action.version else "roll-back"
    return str(action.kind)


def title_of(plan: Plan) -> str:
    """`4593.2.5 to canary, wave-1, rest`."""
    return f"{action_words(plan.action)} to {', '.join(cohort.name for cohort in plan.cohorts)}"


def names_text(names: Sequence[str], pen: Pen) -> str:
    return pen.say(fold_names(tuple(names)), NAMES_CELLS)


def indented(text: str, width: int, indent: int = 4) -> list[str]:
    return [" " * indent + line for line in wrap(text, max(LEAST_WIDTH, width - indent))]


def labelled(label: str, lines: Iterable[str], pen: Pen, width: int) -> Iterator[str]:
    """A heading at the left, its sentences at the right of it."""
    first = True
    for text in lines:
        for line in wrap(pen.say(text), max(LEAST_WIDTH, width - 10)):
            yield pen(Tone.HINT, pad(label if first else "", 10)) + line
            first = False


def preview_text(
    planned: Planned, *, now: datetime, colour: bool, ascii: bool, width: int, stored: bool | None
) -> str:
    """The whole plan. Times in the zone of `now`; `stored`: there is a draft that can be started; None: what
    comes next is said elsewhere."""
    pen, plan = Pen(colour, ascii), planned.plan
    part = [host for host in planned.preview if host.skipped is None]
    left = len(planned.preview) - len(part)
    head = f"{plan.id}  {title_of(plan)}: {hosts_words(len(plan.hosts))}, {len(part):,} take part"
    lines = [pen(Tone.BRIGHT, pen.say(head + (f", {left:,} left out" if left else "")))]
    for problem in planned.problems:
        lines += ["", *_problem(problem, pen, width, Tone.BAD, "x" if pen.ascii else "✗")]
    for problem in planned.warnings:
        lines += ["", *_problem(problem, pen, width, Tone.WARN, pen.marks.warn)]
    lines += _moves(part, pen, width)
    lines += _cohorts(planned, now, pen, width)
    lines += _left_out(planned.preview, pen, width)
    lines += ["", *labelled("limits", limits(plan), pen, width)]
    if plan.gates:
        lines += labelled("gates", _gates(plan), pen, width)
    if plan.windows:
        lines += labelled("windows", _windows(plan), pen, width)
    if planned.followed is not None:
        lines += labelled("follows", [followed_words(planned.followed, pen)], pen, width)
    if planned.estimate is not None:
        lines += labelled("takes", [estimate_words(planned.estimate, now)], pen, width)
    if planned.problems or stored is not None:
        lines += ["", _next(planned, pen, stored=bool(stored))]
    return "\n".join(lines)


def _problem(problem: Problem, pen: Pen, width: int, tone: Tone, sign: str) -> Iterator[str]:
    who = f"{names_text(problem.hosts, pen)}: " if problem.hosts else ""
    count = f"{hosts_words(len(problem.hosts))}, " if len(problem.hosts) > 1 else ""
    first, *rest = wrap(f"{count}{who}{pen.say(problem.text)}", max(LEAST_WIDTH, width - 2))
    yield f"{pen(tone, sign)} {pen(tone, first)}"
    for line in rest:
        yield f"  {pen(tone, line)}"
    if problem.remedy:
        yield from indented(pen.say(problem.remedy), width)


def _moves(part: Sequence[HostPreview], pen: Pen, width: int) -> list[str]:
    """From what to what, hosts that move alike once."""
    alike: dict[tuple[tuple[str, str | None, str | None], ...], int] = {}
    for host in part:
        if host.moves:
            alike[host.moves] = alike.get(host.moves, 0) + 1
    arrow, lines = "->" if pen.ascii else "→", list[str]()
    for moves, count in sorted(alike.items(), key=lambda item: -item[1]):
        told = [
            f"{what} {was or '?'} {arrow} {then or '?'}" if was != then else f"{what} stays {then}"
            for what, was, then in moves
            if (was or then) is not None
        ]
        lines += labelled(hosts_words(count), [", ".join(told)], pen, width)
    return ["", *lines] if lines else []


def _cohorts(planned: Planned, now: datetime, pen: Pen, width: int) -> Iterator[str]:
    plan = planned.plan
    times = {item.name: item for item in planned.estimate.cohorts} if planned.estimate else {}
    for number, cohort in enumerate(plan.cohorts):
        own = [host for host in plan.by_cohort[number] if host.skipped is None]
        left = len(plan.by_cohort[number]) - len(own)
        soak = f"soak {duration_words(cohort.soak_s)}" if cohort.soak_s else "no soak"
        failures = f"{cohort.tolerance} failures" if cohort.tolerance != 1 else "1 failure"
        yield ""
        told = f"{hosts_words(len(own))}" + (f" and {left:,} left out" if left else "")
        yield f"{pen(Tone.BRIGHT, pen.say(cohort.name))}  {told}, {soak}, {failures} tolerated"
        if own:
            yield from indented(names_text([host.name for host in own], pen), width)
        if cohort.name in times and own:
            yield from indented(pen.say(_time(times[cohort.name], now, is_first=number == 0)), width)


def _time(told: CohortTime, now: datetime, *, is_first: bool) -> str:
    where = f" in window {', '.join(told.window)}" if told.window else ""
    how = f"{told.at_once:,} at a time"
    if is_first and told.at_once > 1:
        how = f"1, 2, 4, … at a time, at most {told.at_once:,}"
    begins = at_words(told.begins_at, now)
    return f"first turn about {begins}{where}, {how}; passes about {at_words(told.ends_at, now)}"


def _left_out(preview: Sequence[HostPreview], pen: Pen, width: int) -> list[str]:
    alike: dict[tuple[str, str], list[str]] = {}
    for host in preview:
        if host.skipped is not None:
            alike.setdefault((host.skipped, host.why), []).append(host.name)
    lines = list[str]()
    for (reason, why), names in alike.items():
        text = f"{reason}: {names_text(names, pen)}" + (f", {why}" if why else "")
        lines += labelled("left out" if not lines else "", [text], pen, width)
    return ["", *lines] if lines else []


def limits(plan: Plan) -> list[str]:
    """What the plan keeps to, a sentence each."""
    labels = [f"{limit} with one value of {label}" for label, limit in plan.per_label.items()]
    at_once = f"at most {hosts_words(plan.budget)} disturbed at once" + "".join(
        f", {word}" for word in labels
    )
    some = "1 failure" if plan.tolerance == 1 else f"{plan.tolerance:,} failures"
    failures = (
        f"{some} tolerated in all, the next one halts it"
        if plan.tolerance
        else ("the first failure halts it")
    )
    then = "rolls back" if plan.on_halt is OnHalt.ROLL_BACK else "holds"
    armed = ", staged hosts stay armed" if plan.keep_staged else ""
    told = [f"{at_once}; each settles {duration_words(plan.settle_s)}", f"{failures}, and it {then}{armed}"]
    quiet = sum(host.quiets and host.skipped is None for host in plan.hosts)
    if quiet:
        told.append(f"the updates of {hosts_words(quiet)} are switched off first, and given back at the end")
    if plan.source is Source.OFFER:
        told.append("staged by the update server's offer, asked right before")
    told += [f"forced {force}: {reason}" for force, reason in plan.forced.items()]
    return told


def _gates(plan: Plan) -> list[str]:
    return [
        f"{gate.name} ({gate.kind}) for {gate.cohort or 'each cohort'}"
        + (f", good for {duration_words(gate.for_s)}" if gate.for_s else "")
        + (", observed only" if gate.mode is GateMode.OBSERVE else "")
        for gate in plan.gates
    ]


def _windows(plan: Plan) -> list[str]:
    return [
        f"{window.name}: {' '.join(DAYS[day] for day in window.days)} {window.start:%H:%M}"
        f" for {duration_words(window.length_s)}, {window.timezone}"
        for window in plan.windows
    ]


def at_words(at: datetime, now: datetime) -> str:
    """As `clock_words`, with the clock's time beyond a week too: `1 Dec 02:00`."""
    local = at.astimezone(now.tzinfo)
    far = abs((local.date() - now.date()).days) >= 7
    return f"{local.day} {MONTHS[local.month - 1]} {local:%H:%M}" if far else clock_words(at, now)


def followed_words(found: Followed, pen: Pen) -> str:
    """`edge-[1-2]: 4593 ran 15 d on each, 14 are asked for`."""
    least = min(found.soaked_s.values(), default=0.0)
    who = names_text(found.canaries, pen) or "nobody"
    return f"{who}: {found.major} ran {duration_words(least)} at least on each, {found.days} d are asked for"


def estimate_words(guess: Estimate, now: datetime) -> str:
    """`about 5 h 40 min; ends Wed 04:10 if nothing waits`."""
    source = "by this fleet's own times" if guess.is_seen else "by usual times, this fleet has too few yet"
    each = f"{duration_words(guess.turn_s)} a turn"
    if guess.stage_s:
        each = f"{duration_words(guess.stage_s)} to stage, {each}"
    if guess.is_cut:
        return f"more than {AHEAD_DAYS} days with these limits and windows ({each}, {source})"
    ends = at_words(guess.ends_at, now)
    return f"about {duration_words(guess.total_s)}: ends {ends} if nothing waits ({each}, {source})"


def _next(planned: Planned, pen: Pen, *, stored: bool) -> str:
    if planned.problems:
        count = len(planned.problems)
        what = "1 problem" if count == 1 else f"{count} problems"
        return pen(Tone.BAD, f"{what}: it cannot be started")
    if not stored:
        return "dry run: the plan is not stored"
    return f"next: fleetctl rollout start {planned.plan.id}"
