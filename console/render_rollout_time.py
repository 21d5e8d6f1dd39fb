"""Times of a rollout: how long its steps take, when it is through, and the line of its soak. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING

from actions.rollout_model import CohortPhase, HostPhase, Rollout, RolloutState
from actions.rollout_plan import Plan
from actions.rollout_planning_time import CHANNEL_S, FEWEST, Durations, windows_that_count
from actions.waves import AT_ONCE, ramp, soak_ends
from actions.windows import Opening, openings
from console.board import Look
from console.tone import Pen, Tone
from console.visible import cells, clock_words, duration_words, pad, wrap

if TYPE_CHECKING:
    from console.rollout_board import EventLine, RolloutCard

AHEAD_DAYS = 60
"""So far ahead the end is looked for."""
NARROW_S = 900
"""A soak that ends so shortly before the window shuts leaves no time for what comes next."""
LEAST_LINE = 60
_LABEL = 5
_UTC = re.compile(r"(?:[A-Z][a-z]{2} (\d{4}-\d\d-\d\d) )?(?<![\d:])(\d\d):(\d\d) UTC\b", re.ASCII)


def seen_durations(plan: Plan, r: Rollout, events: Sequence[EventLine], fleet: Durations) -> Durations:
    """Turns by the hosts that are through, staging by the cohorts' events, newest first; where this rollout
    tells none, the `fleet`'s earlier ones."""
    turns = []
    for host in r.hosts.values():
        if host.phase in (HostPhase.DONE, HostPhase.SETTLING) and host.issued_at and host.since:
            settled_s = plan.settle_s if host.phase is HostPhase.DONE else 0
            turns.append(max((host.since - host.issued_at).total_seconds() - settled_s, 0.0))
    stages, begun = [], dict[str, datetime]()
    for event in reversed(events):
        if event.kind == "cohort" and event.about is not None:
            if event.text == "staging":
                begun[event.about] = event.at
            elif event.text == "staged" and event.about in begun:
                stages.append((event.at - begun[event.about]).total_seconds())
    # A time seen in this rollout says more than many of elsewhere: told often enough to be believed.
    return Durations(
        tuple(stages * FEWEST) if stages else fleet.stage, tuple(turns * FEWEST) if turns else fleet.turn
    )


def turn_s(plan: Plan, durations: Durations) -> float:
    """Seconds that a host holds its place, from its turn until it has settled."""
    return (durations.turn_s if plan.action.reboots else CHANNEL_S) + plan.settle_s


def ends_at(plan: Plan, r: Rollout, durations: Durations, now: datetime) -> datetime | None:
    """When its last cohort has soaked, if every host succeeds and no gate waits; None where it does not run,
    or no window of the next weeks has room."""
    if r.state is not RolloutState.RUNNING or r.current >= len(plan.cohorts):
        return None
    at: datetime | None = now
    for number in range(r.current, len(plan.cohorts)):
        at, is_open = _through(plan, r, durations, number, at, now)
        if at is None:
            return None
        at += timedelta(seconds=_soak_left(plan, r, number, now, is_open=is_open))
    return at


def _through(
    plan: Plan, r: Rollout, durations: Durations, number: int, begin: datetime | None, now: datetime
) -> tuple[datetime | None, bool]:
    """When a cohort's last host is done if its first begins at `begin`, None: no window has room; and
    whether any host of it is open."""
    names = [own.name for own in plan.by_cohort[number] if not r.hosts[own.name].phase.is_settled]
    if begin is None or not names:
        return begin, False
    unstaged = r.cohorts[number].unstaged if plan.staging is not None else 0
    at = begin + timedelta(seconds=-(-unstaged // AT_ONCE) * durations.stage_s)
    deadline_s = max(plan.by_name[name].reboot_deadline_s for name in names)
    needs_s = float(deadline_s) if plan.action.reboots else 0.0
    times = openings(windows_that_count(plan), at, AHEAD_DAYS)
    for _ in range(rounds(plan, r, number, names)):
        while times and not times[0].fits(needs_s, at):
            del times[0]
        if not times:
            return None, True
        at = max(at, times[0].begin or at) + timedelta(seconds=turn_s(plan, durations))
    return at, True


def _soak_left(plan: Plan, r: Rollout, number: int, now: datetime, *, is_open: bool) -> float:
    state = r.cohorts[number]
    if number > r.current or is_open or state.settled_at is None:
        return plan.cohorts[number].soak_s
    return max(soak_ends(plan, r) - (now - state.settled_at).total_seconds(), 0.0)


def rounds(plan: Plan, r: Rollout, number: int, names: Sequence[str]) -> int:
    """How many times as many hosts as may be disturbed together have their turn."""
    found, left, done = 0, len(names), r.cohorts[number].done
    room = max(plan.budget - r.hurt, 1)
    while left > 0:
        width = min(room, ramp(done)) if number == 0 else room
        found, left, done = found + 1, left - width, done + width
    counts = Counter(domain for name in names for domain in plan.domains[name])
    tightest = [-(-count // plan.per_label[domain.partition("=")[0]]) for domain, count in counts.items()]
    return max(found, *tightest) if tightest else found


def window_now(card: RolloutCard, now: datetime) -> Opening | None:
    """The opening that is open, or the next one; without end where nothing limits reboots. None: never."""
    return next(iter(openings(windows_that_count(card.plan), now, AHEAD_DAYS)), None)


# The line


def time_lines(card: RolloutCard, now: datetime, look: Look, width: int) -> list[str]:
    """How the current cohort's soak lies in time: begin, now, the earliest pass, where the window shuts. The
    last line says it in words; a narrow place has these only."""
    cohort = card.cohort
    timed = (CohortPhase.ACTIVATING, CohortPhase.SOAKING)
    if cohort is None or card.r.state is not RolloutState.RUNNING or cohort.state.phase not in timed:
        return []
    begun = cohort.state.settled_at or cohort.state.since or now
    last = now
    if cohort.state.phase is CohortPhase.ACTIVATING:
        begun = cohort.state.since or now
        found, _ = _through(card.plan, card.r, card.durations, cohort.number, now, now)
        if found is None:
            return [look.pen(Tone.WARN, look.pen.say("no window of the next weeks has room for it", width))]
        last = found
    elif cohort.state.settled_at is not None:
        last = cohort.state.settled_at
    is_cut = cohort.state.soak_cut
    passes = max(last + timedelta(seconds=0 if is_cut else cohort.soak_s), now)
    opening = window_now(card, now)
    shuts = opening.end if opening and opening.has(now) else None
    words = _words(card, last, passes, shuts, now, look, width)
    if width < LEAST_LINE or not timedelta() < passes - begun < timedelta(days=1, seconds=cohort.soak_s):
        return words
    span = _Span(begun, max(last, now), passes, shuts, f"soak {duration_words(cohort.soak_s)}")
    return [*_line(span, now, look, width), *words]


@dataclass(frozen=True, slots=True)
class _Span:
    begun: datetime
    last: datetime
    """When its last host is done, at best."""
    passes: datetime
    shuts: datetime | None
    label: str


def _words(
    card: RolloutCard,
    last: datetime,
    passes: datetime,
    shuts: datetime | None,
    now: datetime,
    look: Look,
    width: int,
) -> list[str]:
    pen, left_s = look.pen, (passes - now).total_seconds()
    cohort = card.cohort
    assert cohort is not None, "there are words of a cohort only"  # as time_lines says
    exact = cohort.state.phase is CohortPhase.SOAKING
    if exact and left_s <= 0:
        text = "the soak is over; its hosts are looked at once more"
    elif exact:
        text = f"soaks {countdown(left_s)} more, passes {clock_words(passes, now)} at the earliest"
    else:
        through = f"its last host is done about {clock_words(last, now)}"
        text = f"{through}; soaked, it passes about {clock_words(passes, now)} at the earliest"
    tone = Tone.TEXT
    if shuts is not None:
        margin_s = (shuts - passes).total_seconds()
        side = "before" if margin_s >= 0 else "after"
        text += f", {countdown(abs(margin_s))} {side} the window shuts"
        tone = Tone.WARN if margin_s < NARROW_S else Tone.TEXT
    return [pen(tone, line) for line in wrap(pen.say(text), width)[:2]]


def local_words(text: str, now: datetime) -> str:
    """A sentence with its UTC times as the clock of `now` shows them. Part of it may be a person's or a
    host's own words: what only looks like a time stays as it is."""

    def local(found: re.Match[str]) -> str:
        day = found[1] or f"{now.astimezone(UTC):%Y-%m-%d}"
        try:
            at = datetime.fromisoformat(f"{day}T{found[2]}:{found[3]}:00+00:00").astimezone(now.tzinfo)
        except (ValueError, OverflowError):
            return found[0]
        time, day = f"{at:%H:%M}", clock_words(at, now) if found[1] else ""
        return day if day.endswith(time) else f"{day} {time}".lstrip()

    return _UTC.sub(local, text)


def countdown(seconds: float) -> str:
    """Minutes; seconds under two minutes only, so that nothing ticks that nobody waits for."""
    return duration_words(seconds if seconds < 120 else seconds // 60 * 60)


def _line(span: _Span, now: datetime, look: Look, width: int) -> list[str]:
    pen, room = look.pen, width - _LABEL
    length = (span.passes - span.begun).total_seconds()
    is_near = span.shuts is not None and (span.shuts - span.begun).total_seconds() < 2.5 * max(
        length, (now - span.begun).total_seconds()
    )
    end = max(filter(None, (span.passes, now, span.shuts if is_near else None)))
    whole_s = max((end - span.begun).total_seconds(), 1.0)

    def place(at: datetime) -> int:
        return min(max(round((at - span.begun).total_seconds() / whole_s * (room - 1)), 0), room - 1)

    at_now, at_last, at_pass = place(now), place(span.last), place(span.passes)
    past, ahead, line, mark, done = "=.-|o" if look.ascii else "━╌─┃●"
    codes: list[tuple[Tone, str]] = [(Tone.DIM, " ")] * room
    for at in range(at_pass):
        codes[at] = (
            (Tone.MOVING, past)
            if at < at_now
            else (Tone.HINT, ahead)
            if at < at_last
            else (Tone.MOVING, line)
        )
    begin = max(at_now, at_last) + 2
    label = f" {span.label} "
    middle = begin + (at_pass - begin - len(label)) // 2
    if at_pass - begin > len(label) + 4:
        codes[middle : middle + len(label)] = [(Tone.MOVING, char) for char in label]
    codes[at_pass] = (Tone.CALM, done)
    if is_near and span.shuts is not None:
        codes[place(span.shuts)] = (Tone.CHOSEN, mark)
    codes[at_now] = (Tone.BRIGHT, mark)
    drawn = "".join(
        pen(tone, "".join(char for _, char in run)) for tone, run in groupby(codes, lambda one: one[0])
    )
    labels = [
        (at_now, f"now {now:%H:%M}", Tone.BRIGHT),
        (at_pass, f"passes {clock_words(span.passes, now)}", Tone.CALM),
    ]
    if at_now > 14:
        labels.insert(0, (0, clock_words(span.begun, now), Tone.HINT))
    if is_near and span.shuts is not None:
        labels.append((place(span.shuts), f"{clock_words(span.shuts, now)} shut", Tone.CHOSEN))
    return [pen(Tone.DIM, pad("time", _LABEL)) + drawn, " " * _LABEL + _labels(labels, pen, room)]


def _labels(labels: list[tuple[int, str, Tone]], pen: Pen, room: int) -> str:
    """Each under its place, moved aside where two would touch."""
    labels.sort(key=lambda one: one[0])
    starts, end = [], room
    for at, text, _ in reversed(labels):  # from the right, so that the last one ends with the line
        start = min(at - cells(text) // 2, end - cells(text))
        starts.append(start)
        end = start - 2
    drawn, used = "", 0
    for (_, text, tone), start in zip(labels, reversed(starts), strict=True):
        start = max(start, used + 2 if used else 0)
        if start + cells(text) > room:
            break
        drawn += " " * (start - used) + pen(tone, text)
        used = start + cells(text)
    return drawn
