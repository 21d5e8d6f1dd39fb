"""A calendar as text: may I reboot now, when next, in which order, and who does it unasked. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from actions.calendar import ByItself, Calendar, Fit, NotKnown, Slot, Turn, Unknown, When
from collectors.fleet_model import Cohort
from console.folding import fold_names
from console.tone import Pen, Tone
from console.visible import (
    DAYS,
    MONTHS,
    age_words,
    cells,
    count_words,
    duration_words,
    hosts_words,
    pad,
    wrap,
)

Local = Callable[[datetime], datetime]
"""An aware moment as the console's own clock shows it."""

NAMES_LISTED = 240
"""Cells of names in one place; the JSON has them all."""
NARROWEST = 80
_NOTES_LEAST = 20
"""Cells for the names of an opening's windows beside the times."""
_BETWEEN_NAMES = re.compile(r",(?![^\[]*\])")

_WHY = {
    Unknown.NEVER_ASKED: "never asked",
    Unknown.NEVER_READ: "never read: no answer so far told what is on it",
    Unknown.SILENT: "gave no whole answer when last asked",
    Unknown.CLUSTER: "wants a reboot, and its cluster (FLUO, kured) may give it",
    Unknown.UNREAD: "whether locksmithd will reboot it was not read",
    Unknown.RESET: "staged and reset: whether locksmithd saw it before is not to be seen",
}
_FIT = {
    Fit.INSIDE: "inside the windows",
    Fit.PARTLY: "may be outside of the windows",
    Fit.OUTSIDE: "outside of every window",
}
_WHEN = {
    When.BEGUN: "has begun to reboot, at any moment",
    When.ANY_TIME: "at any moment, by locksmithd",
    When.LOCK: "when it gets its cluster's lock (etcd-lock), at any moment",
}


def calendar_text(made: Calendar, *, local: Local, colour: bool, ascii: bool, width: int) -> str:
    """What `fleetctl calendar` prints, without the last newline."""
    page = _Page(made, local, Pen(colour, ascii), max(width, NARROWEST))
    return "\n".join(page.lines())


class _Page:
    """One calendar on its way to lines."""

    def __init__(self, made: Calendar, local: Local, pen: Pen, width: int) -> None:
        self._made = made
        self._local = local
        self._pen = pen
        self._width = width
        self._zones = {window.name: ZoneInfo(window.timezone) for window in made.windows}
        self._starts = {window.name: window.start for window in made.windows}

    def lines(self) -> Iterator[str]:
        yield from self._head()
        if self._made.windows and self._made.slots:
            yield from self._openings()
        if self._made.hosts:
            yield from self._order()
        yield from self._never()
        yield from self._held()
        yield from self._by_itself()
        yield from self._not_known()
        yield from self._next()

    # What is so now

    def _head(self) -> Iterator[str]:
        made, pen, now = self._made, self._pen, self._local(self._made.now)
        number = count_words(len(made.hosts))
        if len(made.hosts) != made.fleet_hosts:
            number += f" of {count_words(made.fleet_hosts)}"
        unit = "host" if made.fleet_hosts == 1 else "hosts"
        name = pen.say(made.fleet, 32, "middle")
        yield f"{pen.fleet(name)}  {number} {unit}, {_day(now)} {now:%H:%M} {pen.say(now.tzname() or '', 8)}"
        first, rest = self._verdict()
        text = wrap(pen.say(f"{first} {rest}".strip()), self._width)
        yield pen(Tone.BRIGHT, first) + text[0].removeprefix(first)
        yield from text[1:]
        yield from self._alone_warnings()
        if made.never and made.slots:
            what = "fits into" if len(made.never) == 1 else "fit into"
            whose = (
                "1 host's reboot" if len(made.never) == 1 else f"reboots of {hosts_words(len(made.never))}"
            )
            yield from self._warning(f"{whose} {what} no opening of these {made.days} days.")
        if made.not_known:
            they = "it reboots by itself" if len(made.not_known) == 1 else "they reboot by themselves"
            yield from self._warning(f"Of {hosts_words(len(made.not_known))} it is not known whether {they}.")

    def _alone_warnings(self) -> Iterator[str]:
        """Who reboots unasked, and not when orders would."""
        for fit, where in ((Fit.OUTSIDE, _FIT[Fit.OUTSIDE]), (Fit.PARTLY, "perhaps outside of the windows")):
            hosts = [item.host for item in self._made.by_itself if item.fit is fit]
            them = "itself" if len(hosts) == 1 else "themselves"
            if hosts:
                words = f"{hosts_words(len(hosts))} will reboot by {them}, {where}: {self._names(hosts)}"
                yield from self._warning(words)

    def _verdict(self) -> tuple[str, str]:
        """What holds now, and what follows."""
        made = self._made
        if not made.hosts:
            return "No host matches.", ""
        if not made.windows:
            return "Orders may reboot hosts at any time: the fleet file has no windows.", ""
        if not made.slots:
            return "Shut now.", f"No window opens in the next {_days(made.days)}."
        slot = made.slots[0]
        if not slot.is_open:
            begin, zone = slot.opening.begin or made.now, self._zone(slot)
            wait = duration_words((begin - made.now).total_seconds())
            then = f"{', '.join(slot.opening.names)}, {_clock(begin.astimezone(zone))} {zone.key}"
            return f"Shut now, opens in {wait}.", f"Then {then}."
        if slot.left_s is None:
            return "Open now, without end in these days.", ""
        return f"Open now, shuts in {duration_words(slot.left_s)}.", self._last_chance(slot)

    def _last_chance(self, slot: Slot) -> str:
        """Until when a reboot may still be issued."""
        made = self._made
        out = {*made.never, *(host for host, _ in made.held)}
        needs = sorted({need_s for host, need_s in made.deadlines_s.items() if host not in out})
        left_s = slot.left_s or 0.0
        if not needs:
            return ""
        if needs[0] > left_s:
            return f"Too late for a reboot: it may take {duration_words(needs[0])} (reboot_deadline)."
        words = f"A reboot may still be issued for {duration_words(left_s - needs[0])}"
        return f"{words}, where reboot_deadline is the shortest." if len(needs) > 1 else f"{words}."

    def _warning(self, text: str) -> Iterator[str]:
        mark = f"{self._pen.marks.warn} "
        for number, line in enumerate(wrap(self._pen.say(text), self._width - 2)):
            yield f"  {line}" if number else self._pen(Tone.WARN, mark + line)

    # When

    def _zone(self, slot: Slot) -> ZoneInfo:
        return self._zones[slot.opening.names[0]]

    def _openings(self) -> Iterator[str]:
        made = self._made
        zones = {self._zone(slot).key for slot in made.slots}
        rows = [self._opening(slot, with_zone=len(zones) > 1) for slot in made.slots]
        has_own = any(row[1] for row in rows)
        title = "orders may reboot hosts"
        if len(zones) == 1:
            title += f", {min(zones)} time"
        if has_own:
            title += f" (this console's: {self._local(made.now).tzname() or 'local'})"
        yield from self._title(title)
        widths = [max(cells(row[column]) for row in rows) for column in range(3)]
        for slot, row in zip(made.slots, rows, strict=True):
            yield from self._row(row, widths, Tone.BRIGHT if slot.is_open else Tone.TEXT)
            yield from self._too_short(slot)
        if made.unused:
            names = ", ".join(window.name for window in made.unused)
            it = "it is" if len(made.unused) == 1 else "they are"
            yield from self._indented(f"Not counted: {names}; {it} not in rollouts.default.")

    def _row(self, row: tuple[str, str, str, str], widths: list[int], tone: Tone) -> Iterator[str]:
        """Its columns side by side; where they have no room the first, and the others below it."""
        indent = 2 + sum(width + 2 for width in widths if width)
        if indent + _NOTES_LEAST > self._width:
            yield f"  {self._pen(tone, row[0])}"
            yield from self._indented("  ".join(filter(None, row[1:])), tone)
            return
        columns = [pad(text, width) for text, width in zip(row[:3], widths, strict=True) if width]
        head = "  " + "  ".join(columns) + "  "
        for number, line in enumerate(wrap(self._pen.say(row[3]), self._width - indent)):
            yield (" " * indent if number else head) + self._pen(tone, line)

    def _opening(self, slot: Slot, *, with_zone: bool) -> tuple[str, str, str, str]:
        """When in the window's zone, when on this console where that differs, how long, and which."""
        zone, found = self._zone(slot), slot.opening
        begin = found.begin.astimezone(zone) if found.begin else None
        end = found.end.astimezone(zone) if found.end else None
        when = _span(begin, end) + (f" {zone.key}" if with_zone else "")
        own = self._own(begin, end)
        length = (
            duration_words((found.end - found.begin).total_seconds()) if found.begin and found.end else "long"
        )
        notes = [", ".join(found.names)]
        if slot.is_open:
            notes.append("open now")
        if begin and begin.time() != self._starts[found.names[0]]:
            notes.append("the clocks skip its start")
        elif begin and end and begin.utcoffset() != end.utcoffset():
            notes.append("the clocks are moved in it")
        return when, own, length, "; ".join(notes)

    def _own(self, begin: datetime | None, end: datetime | None) -> str:
        """The same on this console's clock; nothing where that shows what the zone's does."""
        edges = [edge for edge in (begin, end) if edge is not None]
        if all(self._local(edge).utcoffset() == edge.utcoffset() for edge in edges):
            return ""
        mine = [self._local(edge) if edge else None for edge in (begin, end)]
        is_same_day = begin is not None and self._local(begin).date() == begin.date()
        return f"({_span(mine[0], mine[1], with_day=not is_same_day)})"

    def _too_short(self, slot: Slot) -> Iterator[str]:
        """Who has no time in this opening but in another."""
        made = self._made
        never = set(made.never)
        short = [host for host in slot.too_short_for if host not in never]
        if short:
            needs = sorted({made.deadlines_s[host] for host in short})
            least = duration_words(needs[0]) + ("" if len(needs) == 1 else " or more")
            what = "too late" if slot.is_open else "too short"
            yield from self._indented(f"{what} for {self._named(short)}: needs {least}", Tone.WARN)

    # In which order

    def _order(self) -> Iterator[str]:
        made = self._made
        if not made.turns:
            yield from self._title("in which order: by name")
            yield from self._indented(self._named(self._free(made.hosts)))
            return
        yield from self._title("in which order: as rollouts.default, each cohort after the one before")
        takes = [_takes(turn.cohort) for turn in made.turns]
        name = max(cells(turn.cohort.name) for turn in made.turns)
        what = min(max(map(cells, takes)), 24)
        for number, (turn, taken) in enumerate(zip(made.turns, takes, strict=True), 1):
            head = f"  {number}  {pad(turn.cohort.name, name)}  {pad(self._pen.say(taken, what), what)}  "
            first, *rest = wrap(self._turn(turn), max(20, self._width - cells(head)))
            yield head + first
            yield from (" " * cells(head) + line for line in rest)
        yield from self._indented("A single order goes by name.")

    def _turn(self, turn: Turn) -> str:
        if not turn.count:
            return "no host"
        if turn.hosts is None:
            return f"{hosts_words(turn.count)}, chosen by the plan"
        free = self._free(turn.hosts)
        held = len(turn.hosts) - len(free)
        more = f", {count_words(held)} held" if held else ""
        return f"{hosts_words(turn.count)}{more}: {self._names(free)}" if free else f"{held} held"

    def _free(self, hosts: Iterable[str]) -> list[str]:
        held = {host for host, _ in self._made.held}
        return [host for host in hosts if host not in held]

    # Who not, and who by itself

    def _never(self) -> Iterator[str]:
        made = self._made
        if not (made.never and made.slots):
            return
        yield from self._title(f"no reboot by an order in these {_days(made.days)}")
        longest = max((slot.left_s or 0.0 for slot in made.slots), default=None)
        has = (
            "no window opens" if longest is None else f"the longest opening leaves {duration_words(longest)}"
        )
        groups = _alike(made.never, lambda host: made.deadlines_s[host])
        for need_s, hosts in groups:
            yield from self._group(hosts, f"may take {duration_words(need_s)} (reboot_deadline), {has}")

    def _held(self) -> Iterator[str]:
        if self._made.held:
            yield from self._title("held: no order reboots them")
            for reason, items in _alike(self._made.held, lambda item: item[1]):
                yield from self._group([host for host, _ in items], reason)

    def _by_itself(self) -> Iterator[str]:
        if self._made.by_itself:
            yield from self._title("reboot by themselves")
            for text, items in _alike(self._made.by_itself, self._alone):
                tone = Tone.TEXT if items[0].fit is Fit.INSIDE else Tone.WARN
                yield from self._group([item.host for item in items], text, tone)

    def _alone(self, item: ByItself) -> str:
        words = _WHEN.get(item.when, "")
        if item.when is When.WINDOW and item.begins_at and item.ends_at:
            span = _span(self._local(item.begins_at), self._local(item.ends_at))
            zone = self._local(item.begins_at).tzname() or ""
            words = f"in locksmithd's own window, {span} {zone}, if the host's clock is set to UTC"
        words += f"; {_FIT[item.fit]}" if self._made.windows else ""
        if item.hold is not None:
            words += "; the hold does not stop it"
        if item.is_stale and item.taken_at is not None:
            words += f"; as of {age_words((self._made.now - item.taken_at).total_seconds())} ago"
        return words

    def _not_known(self) -> Iterator[str]:
        if self._made.not_known:
            yield from self._title("not known: whether they reboot by themselves")
            for text, items in _alike(self._made.not_known, self._why):
                yield from self._group([item.host for item in items], text, Tone.UNKNOWN)

    def _why(self, item: NotKnown) -> str:
        if item.why is Unknown.STALE and item.taken_at is not None:
            return f"not seen for {age_words((self._made.now - item.taken_at).total_seconds())}"
        return _WHY[item.why]

    def _next(self) -> Iterator[str]:
        old = [item for item in self._made.not_known if item.why in (Unknown.NEVER_ASKED, Unknown.STALE)]
        if old:
            yield ""
            yield "next  fleetctl collect   asks every host"

    # Text

    def _title(self, text: str) -> Iterator[str]:
        yield ""
        for number, line in enumerate(wrap(self._pen.say(text), self._width - 2)):
            yield self._pen(Tone.HINT, f"  {line}" if number else line)

    def _group(self, hosts: Sequence[str], text: str, tone: Tone = Tone.TEXT) -> Iterator[str]:
        """Hosts of which the same is told, and what; in one line where that has room."""
        names, said = self._named(hosts), self._pen.say(text)
        if 4 + cells(names) + cells(said) <= self._width:
            yield f"  {self._pen(Tone.BRIGHT, names)}  {self._pen(tone, said)}"
            return
        yield from self._indented(self._named(hosts), Tone.BRIGHT, 2)
        yield from self._indented(text, tone)

    def _indented(self, text: str, tone: Tone = Tone.TEXT, indent: int = 4) -> Iterator[str]:
        for line in wrap(self._pen.say(text), self._width - indent):
            yield " " * indent + self._pen(tone, line)

    def _named(self, hosts: Sequence[str]) -> str:
        return hosts[0] if len(hosts) == 1 else f"{hosts_words(len(hosts))}: {self._names(hosts)}"

    def _names(self, hosts: Sequence[str]) -> str:
        """Folded, with blanks where a line may break."""
        return self._pen.say(_BETWEEN_NAMES.sub(", ", fold_names(tuple(hosts))), NAMES_LISTED)


T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


def _alike(items: Iterable[T], key: Callable[[T], K]) -> list[tuple[K, list[T]]]:
    """Items of which the same is told, in the order of their first."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.items())


def _days(days: int) -> str:
    return "day" if days == 1 else f"{days} days"


def _takes(cohort: Cohort) -> str:
    return cohort.selection or (str(cohort.share) if cohort.share else "rest")


def _day(at: datetime) -> str:
    return f"{DAYS[at.weekday()]} {at.day} {MONTHS[at.month - 1]}"


def _clock(at: datetime) -> str:
    return f"{_day(at)} {at:%H:%M}"


def _span(begin: datetime | None, end: datetime | None, *, with_day: bool = True) -> str:
    """Both on clocks of one place; the day of the end only where it is another."""
    first = "open since long" if begin is None else _clock(begin) if with_day else f"{begin:%H:%M}"
    if end is None:
        return f"{first}, without end"
    is_same_day = begin is not None and begin.date() == end.date()
    return f"{first} to {end:%H:%M}" if is_same_day else f"{first} to {_clock(end)}"
