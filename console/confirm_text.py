"""The confirmation of an order as lines: title, what would be done to whom and why not to others, foot. Pure.

Title and foot stand still, the body scrolls. Lines are flat spans (`console.ink`); texts from hosts pass
`Pen.say`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from actions.orders import Phase
from console.board import Look
from console.head_line import warning_code
from console.ordering_plan import CONFIRM_KEY, Dialog, PlannedHost
from console.ordering_sentences import button, each, headline, lines, names_words
from console.render_host import slots_text
from console.rows import HostRow
from console.spans import Spans, code_of, drawn, width_of
from console.tone import Tone
from console.visible import cells, hosts_words, pad, visible, wrap

WIDEST = 108
MARGIN = 2
"""Blanks at both sides."""
ROWS_MOST = 9
"""Hosts that have a line of their own before equal ones are folded."""
COMMANDS_MOST = 200
"""Hosts whose commands are shown word for word."""
_COMMAND_FROM = 96
_HOST_MOST = 20
_SLOT_LEAST, _SLOT_MOST = 11, 14
_CONFIRMED = 9
_LABEL = 12
_FIELD_LEAST = 5


def dialog_width(screen: int) -> int:
    """All of a small screen, and enough of a large one."""
    return screen if screen < WIDEST + 8 else WIDEST


# Title


def title_line(dialog: Dialog, look: Look, width: int) -> str:
    """Verb, how many hosts, which fleet: amber from edge to edge."""
    pen, subject = look.pen, dialog.subject
    warn = look.paint.fills.get(Tone.WARN, "7")
    verb = f"{' ' * MARGIN}{str(subject.verb).replace('-', ' ').upper()}"
    what = hosts_words(len(subject.hosts))
    if subject.are_marked:
        what = what.replace(" host", " marked host")
    if len(subject.hosts) == 1:
        what = pen.say(subject.hosts[0], 40, "middle")
    right = f"fleet {pen.say(subject.extent.fleet, 24, 'middle')}"
    left = pen.say(f"   {what}", max(width - cells(verb) - cells(right) - MARGIN - 1, 0))
    gap = " " * max(width - cells(verb) - cells(left) - cells(right) - MARGIN, 0)
    rest = visible(f"{left}{gap}{right}{' ' * MARGIN}", width - cells(verb), ascii_only=look.ascii, cut="end")
    return pen.code(warning_code(look), verb) + pen.code(warn, rest)


# Body


def body_lines(dialog: Dialog, look: Look, room: int) -> list[str]:
    """`room` cells a line at most."""
    if dialog.problem and dialog.plan is None:
        return ["", *_wrapped(dialog.problem, look, room, Tone.BRIGHT)]
    if dialog.plan is None:
        return ["", *_asking(dialog, look, room)]
    found = ["", *_wrapped(headline(dialog), look, room, Tone.BRIGHT)]
    found += _wrapped(each(dialog), look, room, Tone.DIM)
    left = len(dialog.plan.of(Phase.REFUSED))
    if left and dialog.goes:
        text = f"{left:,} of the {hosts_words(len(dialog.plan.hosts))} left out; why stands below."
        found += _wrapped(text, look, room, Tone.WARN)
    for problem in filter(None, (dialog.problem, dialog.many)):
        mark = look.pen.marks.alert
        found += ["", *_wrapped(f"{mark} {problem}", look, room, Tone.BAD)]
    if dialog.goes:
        found += ["", *_table(dialog, look, room)]
    limits = list(_labelled(dialog, look, room))
    if limits:
        found += ["", *limits]
    found += _left_out(dialog, look, room)
    if dialog.is_full:
        found += _commands(dialog, look, room)
    return found


def _asking(dialog: Dialog, look: Look, room: int) -> Iterator[str]:
    hosts = dialog.subject.hosts
    dots = "..." if look.ascii else "…"
    yield look.pen(Tone.BRIGHT, f"asking {hosts_words(len(hosts))}{dots}")
    yield from _wrapped("Nothing is sent but questions.", look, room, Tone.DIM)
    yield ""
    yield from _wrapped(names_words(hosts), look, room, Tone.TEXT)


def _wrapped(text: str, look: Look, room: int, tone: Tone, indent: int = 0) -> list[str]:
    """Lines of at most `room` cells with their indent; nothing of ""."""
    if not text:
        return []
    return [" " * indent + look.pen(tone, line) for line in wrap(look.pen.say(text), max(room - indent, 20))]


# The table


def _table(dialog: Dialog, look: Look, room: int) -> Iterator[str]:
    pen, rows = look.pen, dialog.rows
    widths = _widths(dialog, look, room)
    runs, following = pen.marks.runs, pen.marks.next
    titles = ("host", f"slots  {runs} runs  {following} next", "confirmed", "what will run, in this order")
    yield pen(Tone.HINT, "  ".join(pad(title, width) for title, width in zip(titles, widths, strict=False)))
    yield look.pen.code(look.paint.line, ("-" if look.ascii else "─") * room)
    groups: dict[tuple[object, ...], list[PlannedHost]] = {}
    for host in dialog.goes:
        groups.setdefault(_likeness(host, rows.get(host.host)), []).append(host)
    most = max(ROWS_MOST // len(groups), 1) if len(dialog.goes) > ROWS_MOST else ROWS_MOST
    for alike in groups.values():
        shown, rest = (alike, []) if len(alike) <= most + 1 else (alike[:most], alike[most:])
        for host in shown:
            yield _row(host, rows.get(host.host), look, widths)
        if rest:
            names = names_words(host.host for host in rest)
            head = f"{len(rest):,} more alike: "
            first, *more = wrap(pen.say(head + names), room)
            yield pen(Tone.DIM, first[: len(head)]) + pen(Tone.TEXT, first[len(head) :])
            yield from (pen(Tone.TEXT, line) for line in more)
    if len(widths) < 4:
        yield from _in_order(dialog, look, room)


def _widths(dialog: Dialog, look: Look, room: int) -> list[int]:
    """Of the columns; the last one, what will run, only where there is room for it."""
    pen = look.pen
    longest = max(cells(pen.say(host.host)) for host in dialog.goes)
    slots = [slot for host in dialog.goes if (row := dialog.rows.get(host.host)) for slot in _slots(row)]
    slot = max((cells(pen.say(version)) + 3 for version in slots), default=_SLOT_LEAST)
    slot = min(max(slot, _SLOT_LEAST), _SLOT_MOST)
    widths = [min(max(longest, 8), _HOST_MOST), 2 * slot + 2, _CONFIRMED]
    if room >= _COMMAND_FROM:
        widths.append(room - sum(widths) - 6)
    return widths


def _slots(row: HostRow) -> Iterable[str]:
    return (slot.version for slot in (row.slot_a, row.slot_b) if slot is not None and slot.version)


def _likeness(host: PlannedHost, row: HostRow | None) -> tuple[object, ...]:
    """Hosts whose line reads the same, whichever slot it is that runs."""
    around = (len(host.before), host.command_name, len(host.after))
    if row is None:
        return around
    cells_of = (row.slot_b, row.slot_a) if row.running == "B" else (row.slot_a, row.slot_b)
    versions = tuple((cell.version, cell.dead) if cell else None for cell in cells_of)
    return (*around, _confirmed(row), row.running is None, row.next == row.running, versions, row.answered)


def _row(host: PlannedHost, row: HostRow | None, look: Look, widths: Sequence[int]) -> str:
    pen = look.pen
    name = pad(pen.say(host.host, widths[0], "middle"), widths[0])
    slots = slots_text(row, pen, (widths[1] - 2) // 2) if row else " " * widths[1]
    parts = [pen(Tone.BRIGHT, name), slots, pen(Tone.TEXT, pad(_confirmed(row), widths[2]))]
    if len(widths) > 3:
        parts.append(_what_runs(host, look, widths[3]))
    return "  ".join(parts)


def _confirmed(row: HostRow | None) -> str:
    cell = None if row is None else row.slot_b if row.running == "B" else row.slot_a
    if row is None or row.running is None or cell is None:
        return "?"
    return "yes" if cell.successful else "no"


def _what_runs(host: PlannedHost, look: Look, width: int) -> str:
    """What goes to the host stands out from what the console does around it."""
    pen, dim, text = look.pen, code_of(look, Tone.DIM), code_of(look, Tone.TEXT)
    spans: Spans = (
        *((dim, f"{pen.say(said)}, ") for said in host.before),
        (text, pen.say(host.command_name)),
        *((dim, f", {pen.say(said)}") for said in host.after),
    )
    if width_of(spans) <= width:
        return drawn(spans, look)
    return pen(
        Tone.TEXT, visible("".join(said for _, said in spans), width, ascii_only=look.ascii, cut="end")
    )


def _in_order(dialog: Dialog, look: Look, room: int) -> Iterator[str]:
    """What will run, below a table that has no room for it: once for all that get the same."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for host in dialog.goes:
        words = (*host.before, host.command_name, *host.after)
        alike = tuple(word.replace(host.host, "HOST") for word in words)
        groups.setdefault(alike, []).append(host.host)
    for words, names in groups.items():
        whom = "each: " if len(groups) == 1 and len(names) > 1 else f"{names_words(names)}: "
        yield from _wrapped(f"{whom}{', '.join(words)}", look, room, Tone.DIM)


# Who is left out


def _left_out(dialog: Dialog, look: Look, room: int) -> Iterator[str]:
    plan = dialog.plan
    if plan is None:
        return
    refused, already = plan.of(Phase.REFUSED), plan.of(Phase.ALREADY)
    if refused:
        yield ""
        yield look.pen(Tone.WARN, f"{hosts_words(len(refused))} left out")
        groups: dict[tuple[tuple[str, str], ...], list[PlannedHost]] = {}
        for host in refused:
            groups.setdefault(tuple((item.code, item.text) for item in host.refusals), []).append(host)
        for alike in groups.values():
            yield from _refused(alike, look, room)
        forces = dict.fromkeys(str(item.force) for host in refused for item in host.refusals if item.force)
        if forces:
            verb = str(dialog.subject.verb).replace("-", " ")
            words = " ".join(f"--force {force}" for force in forces)
            text = f'to set it aside:  :{verb} {words} --reason "why it is right all the same"'
            yield from _wrapped(text, look, room, Tone.DIM, 2)
    if already:
        groups_of: dict[tuple[str, ...], list[str]] = {}
        for host in already:
            groups_of.setdefault(host.says, []).append(host.host)
        yield ""
        for says, names in groups_of.items():
            text = f"{hosts_words(len(names))} so already: {names_words(names)}; {'; '.join(says)}"
            yield from _wrapped(text.removesuffix("; "), look, room, Tone.DIM)


def _refused(alike: Sequence[PlannedHost], look: Look, room: int) -> Iterator[str]:
    names = names_words(host.host for host in alike)
    sign = "x" if look.ascii else "×"
    first, *more = wrap(look.pen.say(names), max(room - 2, 20))
    yield f"{look.pen(Tone.WARN, sign)} {look.pen(Tone.BRIGHT, first)}"
    yield from (f"  {look.pen(Tone.BRIGHT, line)}" for line in more)
    for item in alike[0].refusals:
        force = f"--force {item.force}" if item.force else ""
        text = item.text if not force or force in item.text else f"{item.text}, or {force}"
        yield from _wrapped(text, look, room, Tone.TEXT, 2)


# What limits it, what is odd


def _labelled(dialog: Dialog, look: Look, room: int) -> Iterator[str]:
    last = ""
    for line in lines(dialog):
        label = "" if line.label == last else line.label
        last = line.label
        for number, text in enumerate(wrap(look.pen.say(line.text), max(room - _LABEL, 20))):
            head = look.pen(Tone.HINT, label) if number == 0 and label else ""
            width = cells(label) if head else 0
            yield f"{head}{' ' * (_LABEL - width)}{look.pen(line.tone, text)}"


def _commands(dialog: Dialog, look: Look, room: int) -> Iterator[str]:
    """Word for word, in the order of the turns."""
    yield ""
    yield look.pen(Tone.HINT, "the commands, word for word; values go to the text's stdin, a line each")
    for host in dialog.goes[:COMMANDS_MOST]:
        yield look.pen(Tone.BRIGHT, look.pen.say(host.host))
        for said in host.before:
            yield from _wrapped(f"{said} (on this console)", look, room, Tone.DIM, 2)
        yield from _wrapped(host.command or "", look, room, Tone.TEXT, 2)
        for said in host.after:
            yield from _wrapped(f"{said} (on this console)", look, room, Tone.DIM, 2)
    more = len(dialog.goes) - COMMANDS_MOST
    if more > 0:
        text = f"and {hosts_words(more)} more: fleetctl {dialog.subject.verb} with --dry-run prints them all"
        yield from _wrapped(text, look, room, Tone.TEXT)


# Foot


def foot_lines(dialog: Dialog, look: Look, width: int, hidden: int = 0) -> list[str]:
    """A rule, what is to be typed, the two ways out, and how they are taken.

    `hidden` lines of the body are not on the screen before it is scrolled.
    """
    room = width - 2 * MARGIN
    rule = look.pen.code(look.paint.line, ("-" if look.ascii else "─") * room)
    margin = " " * MARGIN
    fields = [_field(dialog, look, "the number of hosts"), _field(dialog, look, "their number")]
    dim = code_of(look, Tone.DIM)
    hints: list[Spans] = [((dim, hint),) if hint else () for hint in _hints(dialog, look)]
    found = _side_by_side(fields, [_buttons(dialog, look)], room, look)
    found += _side_by_side([_keys(dialog, look, hidden)], hints, room, look)
    return [margin + line for line in (rule, *found)]


def _side_by_side(lefts: Sequence[Spans], rights: Sequence[Spans], room: int, look: Look) -> list[str]:
    """The first left and right of each, longest first, that fit on a line; else the last ones on two."""
    for left in lefts:
        for right in rights:
            used = width_of(left) + width_of(right)
            if used + 3 <= room:
                return [drawn(left, look) + " " * (room - used) + drawn(right, look)]
    return [drawn(part, look) for part in (lefts[-1], rights[-1]) if part]


def _field(dialog: Dialog, look: Look, number: str) -> Spans:
    dim, text = code_of(look, Tone.DIM), code_of(look, Tone.TEXT)
    if dialog.is_placing:
        return ((text, "placing the order..." if look.ascii else "placing the order…"),)
    wanted = dialog.wanted
    if wanted is None or not dialog.wants_typing:
        return ()
    pen = look.pen
    ground = "4" if look.plain else f"1;38;2;{_rgb(look, bright=True)};48;2;{_rgb(look)}"
    typed, cursor = pen.say(dialog.typed), "_" if look.ascii else "▏"
    blanks = " " * max(max(_FIELD_LEAST, cells(wanted.text) + 1) - cells(typed), 0)
    field = ((ground, f" {typed}"), (ground, cursor), (ground, blanks))
    if wanted.is_name:
        asked = f"Type {pen.say(wanted.text, 30, 'middle')}: {pen.say(wanted.what, 40)} "
        return ((text, asked), *field)
    return ((text, f"Type {number} "), *field, (dim, f" of {wanted.text}"))


def _rgb(look: Look, *, bright: bool = False) -> str:
    colour = look.palette.tones[Tone.BRIGHT] if bright else look.palette.raised
    return ";".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))


def _buttons(dialog: Dialog, look: Look) -> Spans:
    """Cancel is first and has the focus; the other one is grey until it can be pressed."""
    dim, mark = code_of(look, Tone.DIM), look.pen.marks.runs
    if dialog.is_placing:
        return ((look.paint.key, f" {mark} Close "), (dim, " esc"))
    if dialog.wanted is None:
        if dialog.plan is None and not dialog.problem:
            return ((look.paint.key, f" {mark} Cancel "), (dim, " esc"))
        return ((look.paint.key, f" {mark} Close "), (dim, " esc"))
    if dialog.is_ready:
        code = warning_code(look)
    else:
        code = code_of(look, Tone.DIM) + ("" if look.plain else f";48;2;{_rgb(look)}")
    return (
        (look.paint.key, f" {mark}  Cancel   "),
        (dim, " esc   "),
        (code, f"  {button(dialog)}  "),
        (dim, f" {CONFIRM_KEY}"),
    )


def _hints(dialog: Dialog, look: Look) -> tuple[str, ...]:
    """How things stand, the longest first."""
    if dialog.is_placing:
        return ("it goes on by itself, whatever is closed",)
    wanted = dialog.wanted
    if wanted is None:
        return ("" if dialog.plan is None and not dialog.problem else "nothing was sent",)
    if dialog.is_ready:
        return f"{CONFIRM_KEY} does it; enter only cancels", "enter only cancels"
    locked = f"locked until {look.pen.say(wanted.text, 20, 'middle')} is typed"
    return f"{locked}; enter only cancels", locked


def _keys(dialog: Dialog, look: Look, hidden: int) -> Spans:
    if dialog.plan is None or dialog.is_placing:
        return ()
    accent = look.paint.tones.get(Tone.ACCENT, "")
    key = accent if look.plain or not accent else f"1;{accent}"
    dim = code_of(look, Tone.DIM)
    spans: list[tuple[str, str]] = []
    if hidden > 0:
        lines_words = "1 more line" if hidden == 1 else f"{hidden:,} more lines"
        spans += [(key, "tab"), (code_of(look, Tone.TEXT), f" {lines_words}"), (dim, "   ")]
    if dialog.goes:
        words = "hides commands" if dialog.is_full else "full commands"
        spans += [(key, dialog.full_key), (dim, f" {words}")]
    return tuple(spans)
