"""A fleet as text: verdict, counts, the hosts that matter, what to type next. Pure: the view has the clock.

Plain padded lines, made for 80 columns and more. Nothing is said by colour alone, nothing is
lost with ASCII. Text from hosts passes `Pen.say`; a healthy host is quiet, an unknown one never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from console.render_host import note_of, slots_text
from console.rows import FEED_STALE_AFTER_S, FleetView, HostRow, Summary, summarize, version_key
from console.states import needs_attention, needs_look, rank, style_of, word_of
from console.tone import Pen, Tone
from console.visible import age_words, cells, clock_words, count_words, hosts_words, pad, wrap

ALL_LISTED = 60
"""A selection of more hosts shows only the worst, unless all are asked for."""
WORST = 10
NARROWEST = 80
VERSIONS_SHOWN = 8
_NOTE_LEAST = 48
"""In a narrower column reasons are not cut: they go onto lines of their own."""


def status_text(view: FleetView, *, colour: bool, ascii: bool, width: int, full: bool = False) -> str:
    """What `fleetctl status` prints, without the last newline. `full`: list every host, however many."""
    pen, width = Pen(colour, ascii, view.accent), max(width, NARROWEST)
    rows = sorted(view.rows, key=lambda row: (rank(row.state), row.name))
    lines = _summary(view, pen, width)
    is_listed = full or len(rows) <= ALL_LISTED
    looks = [row for row in rows if needs_look(row.state)]
    shown = rows if is_listed else looks[:WORST]
    if shown:
        lines.append("")
        if len(shown) < len(rows):
            title = f", the {len(shown)} worst" if len(shown) < len(looks) else ""
            lines.append(pen(Tone.BRIGHT, _looks_words(len(looks))) + title)
        lines += host_lines(shown, view, pen, width)
    lines += _next(view, pen, width, looks, is_listed)
    return "\n".join(lines)


# Verdict and counts


def summary_lines(view: FleetView, *, colour: bool, ascii: bool, width: int) -> list[str]:
    """Fleet, verdict, hosts by version and by state: the head of `fleetctl status`."""
    return _summary(view, Pen(colour, ascii, view.accent), max(width, NARROWEST))


def _summary(view: FleetView, pen: Pen, width: int) -> list[str]:
    summary = summarize(view.rows)
    name = pen.say(view.fleet, 32, "middle")
    first, *rest = wrap(f"{name}  {_fleet_words(view, summary, pen)}", width)
    lines = [pen.fleet(name) + first.removeprefix(name), *rest]
    for alert in view.alerts:
        head = f"{pen.marks.alert} {pen.say(alert.word, 20)}"
        text = wrap(pen.say(f"{alert.rollout} {alert.text}"), width - cells(head) - 2)
        lines.append(f"{pen(Tone.BAD, head)}  {text[0]}")
        lines += [" " * (cells(head) + 2) + line for line in text[1:]]
    first, *rest = verdict(view, standing_of(view.rows))
    text = wrap(" ".join((first, *rest)), width)
    lines += [pen(Tone.BRIGHT, first) + text[0].removeprefix(first), *text[1:]]
    if len(view.rows) > 1:
        lines += ["", *_counts(view, summary, pen, width)]
    return lines


def _fleet_words(view: FleetView, summary: Summary, pen: Pen) -> str:
    number = count_words(summary.hosts)
    if view.selection:
        number += f" of {count_words(view.fleet_hosts)}"
    unit = "host" if (view.fleet_hosts if view.selection else summary.hosts) == 1 else "hosts"
    words = f"{number} {unit}, {count_words(summary.answered)} answered"
    if view.taken_at is None:
        return f"{words}, never asked"
    age = age_words((view.now - view.taken_at).total_seconds())
    zone = pen.say(view.now.tzname() or "", 8)
    return f"{words}, taken {clock_words(view.taken_at, view.now)} {zone}".rstrip() + f", {age} ago"


def _looks_words(count: int) -> str:
    return "1 host needs a look" if count == 1 else f"{count_words(count)} hosts need a look"


@dataclass(frozen=True, slots=True)
class Standing:
    """The counts of hosts that a verdict rests on."""

    hosts: int
    looks: int
    """Need a look."""
    old: int
    """Not seen lately, or never."""
    never: int
    """Never answered."""
    behind: int
    by_itself: int
    """Will reboot by themselves."""


def standing_of(rows: Sequence[HostRow]) -> Standing:
    return Standing(
        hosts=len(rows),
        looks=sum(needs_look(row.state) for row in rows),
        old=sum(map(is_old, rows)),
        never=sum(row.taken_at is None for row in rows),
        behind=sum(row.state == "behind" for row in rows),
        by_itself=sum(row.will_reboot_by_itself is True for row in rows),
    )


def verdict(view: FleetView, counted: Standing) -> Iterator[str]:
    """What a tired person must know, in whole sentences; unknown is never called well."""
    if not counted.hosts:
        yield "No host matches." if view.selection else "The fleet has no hosts."
        return
    if view.taken_at is None and counted.old == counted.hosts:
        yield "Nothing is known yet: no host was ever asked."
        return
    if counted.looks:
        yield f"{_looks_words(counted.looks)}."
    elif counted.old:
        yield "Nothing needs you among the hosts seen lately."
    else:
        yield "Nothing needs you now."
    if counted.never:
        yield f"{hosts_words(counted.never)} never answered."
    if counted.old > counted.never:
        age, count = age_words(view.stale_after_s), counted.old - counted.never
        them = "it" if count == 1 else "them"
        yield f"{hosts_words(count)} not seen for {age} or more: what is shown of {them} is old."
    if count := counted.behind:
        yield f"{hosts_words(count)} {'is' if count == 1 else 'are'} behind."
    if count := counted.by_itself:
        yield f"{hosts_words(count)} will reboot by {'itself' if count == 1 else 'themselves'}."
    yield from _feed_words(view)


def is_old(row: HostRow) -> bool:
    """What is shown of it was not read lately, or never."""
    return row.stale or row.taken_at is None


def _feed_words(view: FleetView) -> Iterator[str]:
    if view.feed_date is None:
        yield "No releases are known: how far behind a host is cannot be said."
    elif view.feed_age_s is not None and view.feed_age_s > FEED_STALE_AFTER_S:
        age = age_words(view.feed_age_s)
        yield f"The list of releases is {age} old ({view.feed_date}): current is not certain."


@dataclass(frozen=True, slots=True)
class _Count:
    """One line of the counts."""

    text: str
    note: str
    hosts: int
    tone: Tone
    note_tone: Tone = Tone.HINT


def _counts(view: FleetView, summary: Summary, pen: Pen, width: int) -> list[str]:
    """Hosts by version and by state, side by side, each with its number and a thin bar."""
    versions, states = _versions(view, summary, pen), _states(summary, pen)
    gap = 2 if width < 100 else 4
    note = max(cells(item.note) for item in versions)
    names = [max(cells(item.text) for item in items) for items in (versions, states)]
    names = [max(names[0], len("version")), max(names[1], len("state"))]
    fixed = names[0] + (note + 2 if note else 0) + names[1] + 2 * (2 + 6 + 2) + gap
    bar = min(max((width - fixed) // 2, 4), 28)
    left = [_count_line(item, names[0], note, bar, summary.hosts, pen) for item in versions]
    right = [_count_line(item, names[1], 0, bar, summary.hosts, pen) for item in states]
    head = pad("version", names[0] + (note + 2 if note else 0)) + "   hosts" + " " * (bar + 2 + gap)
    lines = [pen(Tone.HINT, head + pad("state", names[1]) + "   hosts")]
    blank = " " * (names[0] + (note + 2 if note else 0) + 8 + 2 + bar)
    for one, other in zip_longest(left, right, fillvalue=""):
        lines.append(((one or blank) + " " * gap + other).rstrip())
    return lines


def _count_line(item: _Count, name: int, note: int, bar: int, hosts: int, pen: Pen) -> str:
    filled, rest = pen.gauge(item.hosts / hosts, bar)
    text = pen(item.tone, item.text) + " " * (name - cells(item.text))
    if note:
        text += "  " + pen(item.note_tone, item.note) + " " * (note - cells(item.note))
    return f"{text}  {count_words(item.hosts):>6}  {pen(item.tone, filled)}{rest}"


def _versions(view: FleetView, summary: Summary, pen: Pen) -> list[_Count]:
    """Newest first; beyond VERSIONS_SHOWN the rare ones together; what is not known last."""
    known = [(version, hosts) for version, hosts in summary.by_version.items() if version is not None]
    known.sort(key=lambda item: (-item[1], item[0]))
    common, rare = known[:VERSIONS_SHOWN], known[VERSIONS_SHOWN:]
    common.sort(key=lambda item: (version_key(item[0]) or (), item[0]), reverse=True)
    items = []
    for version, hosts in common:
        note = pen.say(view.version_notes.get(version, ""), 14)
        tone = Tone.WARN if note == "end of life" else Tone.HINT
        items.append(_Count(pen.say(version, 16, "middle"), note, hosts, Tone.TEXT, tone))
    if rare:
        words = "1 version" if len(rare) == 1 else f"{len(rare)} versions"
        items.append(_Count("others", words, sum(hosts for _, hosts in rare), Tone.TEXT))
    if None in summary.by_version:
        items.append(_Count("not known", "", summary.by_version[None], Tone.UNKNOWN))
    return items


def _states(summary: Summary, pen: Pen) -> list[_Count]:
    items = []
    for code in sorted(summary.by_state, key=lambda code: (rank(code), code)):
        style = style_of(code)
        glyph = style.ascii if pen.ascii else style.glyph
        items.append(_Count(f"{glyph} {style.word}", "", summary.by_state[code], style.tone))
    return items


# The table


@dataclass(frozen=True, slots=True)
class _Layout:
    """Widths in cells; 0: no such column."""

    host: int
    group: int
    state: int
    slot: int
    seen: int
    note: int
    """0: the reason goes onto a line of its own."""


def host_lines(rows: Sequence[HostRow], view: FleetView, pen: Pen, width: int) -> list[str]:
    """Headings, then one line a host, or two where the terminal is too narrow for the reasons beside them."""
    notes = [note_of(row, pen) for row in rows]
    layout = _layout(rows, max(map(cells, notes)), pen, width)
    lines = [pen(Tone.HINT, _headings(layout, pen))]
    for row, note in zip(rows, notes, strict=True):
        line = _row_line(row, view, layout, pen)
        if note and layout.note:
            line += "  " + _noted(row, note, pen, layout.note)
        lines.append(line.rstrip())
        if note and not layout.note:
            lines.append("    " + _noted(row, note, pen, width - 4))
    return lines


def _layout(rows: Sequence[HostRow], longest_note: int, pen: Pen, width: int) -> _Layout:
    """The group gives way to the reasons; where even then they would be cut badly they get their own line."""
    seen = 6 if any(map(is_old, rows)) else 0
    words = {(row.state, row.certain) for row in rows}
    state = 2 + max(len(word_of(code, certain=certain)) for code, certain in words)
    versions = {cell.version or "" for row in rows for cell in (row.slot_a, row.slot_b) if cell}
    versions.update(row.version or "" for row in rows)
    fixed = 2 + state + 2 + 2 + 2 + len("behind") + (seen + 2 if seen else 0)
    slot = min(max(map(len, versions)) + 3, 17, (width - fixed - 8) // 2)
    slot = max(slot, len("A not asked"))
    fixed += 2 * slot
    host = min(max(max(cells(pen.say(row.name)) for row in rows), 4), 32, max(width - fixed, 8))
    group = min(max(max(cells(_groups(row, pen)) for row in rows), 5), 12)
    room = width - fixed - host - 2
    needed = min(max(longest_note, 3), _NOTE_LEAST)
    if room - group - 2 >= needed:
        return _Layout(host, group, state, slot, seen, room - group - 2)
    if room >= needed:
        return _Layout(host, 0, state, slot, seen, room)
    return _Layout(host, group if room >= group else 0, state, slot, seen, 0)


def _noted(row: HostRow, note: str, pen: Pen, width: int) -> str:
    """The note in at most `width` cells, after a gauge of what is written where a release is fetched."""
    if row.state != "staging" or row.progress is None:
        return note if cells(note) <= width else pen.say(note, width)
    filled, rest = pen.gauge(row.progress, 8)
    gauge = pen(Tone.MOVING, filled) + pen(Tone.HINT, pen.marks.track * len(rest))
    return f"{gauge} {pen.say(note, width - 9)}"


def _groups(row: HostRow, pen: Pen) -> str:
    return pen.say(",".join(row.groups), 12, "middle")


def _headings(layout: _Layout, pen: Pen) -> str:
    marks = pen.marks
    head = pad("host", layout.host)
    if layout.group:
        head += "  " + pad("group", layout.group)
    head += "  " + pad("state", layout.state)
    head += "  " + pad(f"slots  {marks.runs} runs {marks.next} next", 2 * layout.slot + 2) + "  behind"
    if layout.seen:
        head += "    seen"
    return head + ("  why" if layout.note else "")


def _row_line(row: HostRow, view: FleetView, layout: _Layout, pen: Pen) -> str:
    style = style_of(row.state)
    name = pen.say(row.name, layout.host, "middle")
    line = pen(Tone.BRIGHT if needs_look(row.state) else Tone.TEXT, name) + " " * (layout.host - cells(name))
    if layout.group:
        line += "  " + pad(_groups(row, pen), layout.group)
    sign = style.ascii if pen.ascii else style.glyph
    word = word_of(row.state, certain=row.certain)
    line += f"  {pen(style.tone, f'{sign} {word}')}" + " " * (layout.state - 2 - len(word))
    line += "  " + slots_text(row, pen, layout.slot)
    line += f"  {_behind(row):>6}"
    if layout.seen:
        line += f"  {_seen(row, view):>6}"
    return line


def _behind(row: HostRow) -> str:
    """Releases; nothing where it is the newest or where the question has no sense."""
    if row.behind is None:
        return "?" if row.answered and row.state not in ("no_slots", "not_flatcar") else ""
    return count_words(row.behind) if row.behind else ""


def _seen(row: HostRow, view: FleetView) -> str:
    if row.taken_at is None:
        return "never"
    return age_words((view.now - row.taken_at).total_seconds()) if row.stale else ""


# What next, and what changed


def _next(view: FleetView, pen: Pen, width: int, looks: list[HostRow], is_listed: bool) -> list[str]:
    """Commands to type, each with what it gives."""
    pairs = [
        (f"fleetctl rollout show {alert.rollout}", "evidence, and the answers it waits for")
        for alert in view.alerts
    ]
    if view.rows and all(row.taken_at is None for row in view.rows):
        pairs.append(("fleetctl collect", "asks every host"))
    elif looks and len(view.rows) > 1:
        pairs.append((f"fleetctl show {looks[0].name}", "everything known of the worst"))
    if not is_listed:
        count = sum(needs_attention(row.state) for row in view.rows)
        chosen = f"({view.selection}) needs:attention" if view.selection else "needs:attention"
        # Our own quoting: the shell's quote is all that a selection has to hide
        typed = "'" + chosen.replace("'", "'\\''") + "'" if view.selection else chosen
        pairs.append((f"fleetctl status {typed}", f"all {count_words(count)} neither current nor held"))
    if not pairs:
        return []
    commands = [pen.say(command) for command, _ in pairs]
    column = max(cells(command) for command in commands)
    lines = [""]
    for index, (command, (_, words)) in enumerate(zip(commands, pairs, strict=True)):
        head = f"{'' if index else 'next':<6}{command}"  # never cut: it is there to be copied
        if 6 + column + 3 + cells(words) <= width:
            lines.append(pad(head, 6 + column) + f"   {words}")
        else:
            lines += [head, f"        {words}"]
    return lines


Change = tuple[str, str, object, object]
"""Host, JSON Pointer of the fact, old and new value; None is not known."""


def changes_text(changes: Iterable[Change], *, colour: bool, ascii: bool, width: int) -> str:
    """What changed since the last sweep: what befell several hosts once, with their names; then by host."""
    pen, width = Pen(colour, ascii), max(width, NARROWEST)
    hosts: dict[tuple[str, str, str], list[str]] = {}
    for host, path, old, new in changes:
        fact = path.strip("/").replace("/", ".").replace("~1", "/").replace("~0", "~")
        hosts.setdefault((fact, value_words(old), value_words(new)), []).append(host)
    if not hosts:
        return "Nothing changed."
    lines = []
    for (fact, old, new), names in sorted(
        hosts.items(), key=lambda item: (-len(item[1]), item[1][0], item[0])
    ):
        who = names[0] if len(names) == 1 else hosts_words(len(names))
        head = f"{pad(pen.say(who, 20, 'middle'), 20)}  {pad(pen.say(fact, 26, 'middle'), 26)}  "
        lines.append(head + pen.say(f"{old} {'to' if ascii else '→'} {new}", width - cells(head)))
        if len(names) > 1:
            lines.append(pen(Tone.HINT, " " * 22 + pen.say(", ".join(sorted(names)), width - 22)))
    return "\n".join(lines)


def value_words(value: object) -> str:
    match value:
        case None | "" | [] | {}:
            return "not known" if value is None else "empty"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(value_words, value))
        case dict():
            return ", ".join(f"{key} {value_words(item)}" for key, item in value.items())
    return str(value)
