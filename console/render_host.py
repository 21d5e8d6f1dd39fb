"""One host as text: its slots in a line, its note, and the whole page of `show HOST`. Pure; clock is given.

The page is made from one element of `hosts` in fleetctl.status/1. What is null there is "not read" or "not
known" here, never left out. Text from the host passes `Pen.say`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from console.host_page import (
    Role,
    absent_words,
    confirmed_words,
    disk_words,
    error_words,
    extension_words,
    health_words,
    joined,
    mode_words,
    moment_words,
    off_words,
    operation_words,
    place_words,
    reach_words,
    reboot_tone,
    reboot_words,
    role_of,
    standing_words,
)
from console.rows import HostRow, SlotCell, SlotLetter, row_note
from console.states import style_of, word_of
from console.tone import Marks, Pen, Tone
from console.visible import cells, duration_words, pad, size_words, wrap

Json = dict[str, Any]

_LABEL = 12


# In a table


def slots_text(row: HostRow, pen: Pen, width: int) -> str:
    """Both slots in the signature form, each `width` cells, two blanks between: A►4593.2.4  B→4593.2.5."""
    whole = 2 * width + 2
    if row.slot_a is None and row.slot_b is None and row.running is None and row.version:
        what = "no slots" if row.state == "no_slots" else "slots not read"
        text = pen.say(f"{pen.say(row.version, 14, 'middle')}, {what}", whole)
        tone = Tone.TEXT if row.state == "no_slots" else Tone.UNKNOWN
        return pen(tone, text) + " " * (whole - cells(text))
    return f"{_slot(row, 'A', row.slot_a, pen, width)}  {_slot(row, 'B', row.slot_b, pen, width)}"


def _slot(row: HostRow, letter: SlotLetter, cell: SlotCell | None, pen: Pen, width: int) -> str:
    """One slot. What an unanswering host runs is its past, so it carries no mark."""
    marks, runs = pen.marks, row.running == letter
    version = row.version if cell is None and runs else cell.version if cell else None
    shown = pen.say(version, width - 3, "middle") if version else ""
    blanks = " " * (width - 2 - cells(shown))
    if row.state == "staging" and row.running and not runs:
        return pen(Tone.MOVING, f"{letter} writing") + " " * (width - 9)
    if cell is None and not shown:
        text = f"{letter} not read" if row.taken_at else f"{letter} not asked"
        return pen(Tone.UNKNOWN, text) + " " * (width - len(text))
    if cell is not None and not shown:
        shown = "empty" if cell.priority == 0 and not cell.successful else "?"
        blanks = blanks[len(shown) :]
    if cell is not None and cell.dead:
        return f"{letter} {pen(Tone.BAD, shown + marks.dead)}{blanks[1:]}"
    if not row.answered:
        return pen(Tone.HINT, f"{letter} {shown}") + blanks
    if runs:
        return pen(Tone.BRIGHT, letter) + pen(Tone.ACCENT, marks.runs) + shown + blanks
    if row.next == letter:
        return pen(Tone.MOVING, f"{letter}{marks.next}{shown}") + blanks
    return pen(Tone.HINT, f"{letter} {shown}") + blanks


def note_of(row: HostRow, pen: Pen) -> str:
    """The one thing to say beside a host's state; "" where the state says it all."""
    text = row_note(row)
    if row.running and not row.answered:
        text += f"{'; ' if text else ''}was {row.running}{pen.marks.runs}"
    return pen.say(text)


# The page


def host_text(document: Json, *, now: datetime, colour: bool, ascii: bool, width: int) -> str:
    """Everything known of one host. `document` fits fleetctl.status/1; times are in the zone of `now`."""
    page = _Page(Pen(colour, ascii), max(width, 60), now)
    page.head(document)
    page.frame(document)
    page.slots(document)
    page.why(document["situation"])
    page.lines.append("")
    page.facts(document)
    return "\n".join(page.lines)


def facts_lines(document: Json, *, now: datetime, pen: Pen, width: int) -> list[str]:
    """The page without what a panel draws: who and where it is, and what it said, field by field."""
    page = _Page(pen, width, now)
    page.frame(document)
    page.lines.append("")
    page.facts(document)
    return page.lines


def why_lines(situation: Json, *, now: datetime, pen: Pen, width: int) -> list[str]:
    """All reasons with their evidence, and what to do; begins with an empty line where there are any."""
    page = _Page(pen, width, now)
    page.why(situation)
    return page.lines


class _Page:
    """Lines of one page, and what is needed to write them."""

    def __init__(self, pen: Pen, width: int, now: datetime) -> None:
        self.pen = pen
        self.width = width
        self.now = now
        self.lines: list[str] = []

    def field(self, label: str, parts: Iterable[str | None], tone: Tone = Tone.TEXT) -> None:
        """A label and what is known, as one wrapped sentence. None is left out; all None is "not read"."""
        text = ", ".join(part for part in parts if part) or "not read"
        tone = Tone.UNKNOWN if text == "not read" else tone
        for index, line in enumerate(wrap(self.pen.say(text), self.width - _LABEL)):
            head = pad("" if index else label, _LABEL)
            self.lines.append(self.pen(Tone.HINT, head) + self.pen(tone, line))

    def moment(self, at: str | None, *, with_age: bool = True) -> str | None:
        return moment_words(at, self.now, with_age=with_age)

    # Who it is

    def head(self, document: Json) -> None:
        pen, situation = self.pen, document["situation"]
        style = style_of(situation["state"])
        is_certain = situation["as_of"] is None and situation["behind_releases"] is not None
        word = word_of(style.code, certain=is_certain)
        state = f"{style.ascii if pen.ascii else style.glyph} {word}"
        name = pen.say(document["name"], self.width - cells(state) - 2, "middle")
        gap = " " * (self.width - cells(name) - cells(state))
        self.lines.append(pen(Tone.BRIGHT, name) + gap + pen(style.tone, state))

    def frame(self, document: Json) -> None:
        """Where it stands in the fleet, and how it was reached."""
        labels = [f"{key}={value}" for key, value in document["labels"].items()]
        self.field("address", [place_words(document["address"], document["port"])])
        self.field("groups", [", ".join(document["groups"]) or "none", ", ".join(labels)])
        if document["hold"] is not None:
            self.field("held", [document["hold"]], Tone.CHOSEN)
        reach = document["reach"]
        words = reach_words(reach["state"])
        since = f"since {self.moment(reach['since'])}" if reach["since"] and reach["state"] != "ok" else None
        last = (
            f"last answer {self.moment(reach['last_ok_at']) or 'never'}" if reach["state"] != "ok" else None
        )
        latency = f"{reach['latency_s']:.2f} s" if reach["latency_s"] is not None else None
        sudo = "without root" if reach["privileged"] is False else None
        tone = Tone.TEXT if reach["state"] == "ok" else Tone.UNKNOWN
        detail = reach["detail"] if reach["detail"] != words else None
        self.field("reach", [words, detail, since, last, latency, sudo], tone)
        self.field("read", [self.moment(document["taken_at"]) or "never"])

    # Slots

    def slots(self, document: Json) -> None:
        """Two boxes, A left and B right, and what the next boot will start."""
        pen, slots, state = self.pen, document["slots"], document["situation"]["state"]
        self.lines.append("")
        if slots is None and state == "no_slots":
            self.field("slots", ["none: an image that updates by booting another image"])
            return
        inner = min((self.width - 9) // 2, 32) - 2
        absent = absent_words(bool(document["taken_at"]))
        boxes = [_box(letter, slots, absent, pen, inner) for letter in ("A", "B")]
        sign = pen(*_between(slots, pen))
        for index, (left, right) in enumerate(zip(*boxes, strict=True)):
            self.lines.append(f"{left}  {sign if index == 2 else ' '}  {right}".rstrip())
        words = slots["next_words"] if slots else f"cannot say: slots {absent}"
        head = f"{pen.marks.runs} next boot "
        for index, line in enumerate(wrap(pen.say(words), self.width - len(head))):
            self.lines.append(
                (pen(Tone.ACCENT, head) if not index else " " * len(head)) + pen(Tone.BRIGHT, line)
            )

    def why(self, situation: Json) -> None:
        pen = self.pen
        if not situation["reasons"]:
            return
        self.lines += ["", pen(Tone.HINT, "why")]
        for number, reason in enumerate(situation["reasons"], 1):
            evidence = f" ({reason['evidence']})" if reason["evidence"] else ""
            lines = wrap(pen.say(reason["text"] + evidence), self.width - 4)
            self.lines += [f"{'' if index else number:>2}  {line}" for index, line in enumerate(lines)]
        if situation["remedy"] is not None:
            head = pad("to do", 7)
            lines = wrap(pen.say(situation["remedy"]), self.width - 7)
            self.lines += [
                (" " * 7 if index else pen(Tone.HINT, head)) + line for index, line in enumerate(lines)
            ]

    # Facts

    def facts(self, document: Json) -> None:
        writers = (
            ("os", self.system),
            ("boot", self.boot),
            ("update", self.update),
            ("reboot", self.reboots),
            ("health", self.health),
        )
        for name, write in writers:
            if any(value is not None for value in document[name].values()):
                write(document[name])
            else:
                self.field(name, [])
        self.field("releases", standing_words(document["situation"]))
        if document["order"] is not None:
            order = document["order"]
            self.field("order", [f"{order['id']} of {order['rollout'] or 'no rollout'}, {order['phase']}"])
        self.extensions(document["extensions"])

    def system(self, os: Json) -> None:
        version = os["version"] or os["version_id"]
        named = f"{os['name'] or os['id'] or 'system not known'} {version or 'version not known'}"
        parts = [named, joined("build", os["build_id"]), os["board"] or os["arch"], joined("OEM", os["oem"])]
        self.field("os", parts)
        names = ("kernel", "systemd", "containerd", "docker")
        self.field("software", [f"{name} {os[name] or 'not known'}" for name in names])
        self.field("machine", [joined("id", os["machine_id"]), joined("sysext level", os["sysext_level"])])

    def boot(self, boot: Json) -> None:
        up = f"up {duration_words(boot['uptime_s'])}" if boot["uptime_s"] is not None else None
        confirmed = {True: "confirmed", False: "not confirmed", None: "whether it is confirmed: not read"}
        armed = [
            "a wipe is armed" if boot["reset_armed"] else None,
            "Ignition is armed to run again" if boot["first_boot_armed"] else None,
        ]
        booted = joined("booted", self.moment(boot["booted_at"], with_age=False))
        tone = Tone.BAD if any(armed) else Tone.TEXT
        self.field("boot", [booted, up, confirmed[boot["confirmed"]], *armed], tone)

    def update(self, update: Json) -> None:
        word = operation_words(update["operation"])
        share = f"{update['progress']:.0%}" if update["progress"] else None
        size = joined("size", size_words(update["new_size"])) if update["new_size"] is not None else None
        checked = joined("last check", self.moment(update["last_checked_at"]) or "not known")
        self.field("update", [word, share, joined("offers", update["new_version"]), size, checked])
        service = joined("service", update["service"] or "not read")
        self.field("", [mode_words(update["mode"]), off_words(update["disabled_by"]), service])
        group = update["group"] or "not known"
        override = f"set on the host, the image says {update['group_image'] or 'nothing'}"
        override_or_none = override if update["group_override"] else None
        self.field("channel", [group, override_or_none, joined("server", update["server"])])
        error = update["error"]
        if error is not None:
            self.field("failed", [error_words(error, self.moment(error.get("at")))], Tone.BAD)

    def reboots(self, reboot: Json) -> None:
        self.field("reboot", reboot_words(reboot), reboot_tone(reboot))

    def health(self, health: Json) -> None:
        tone = Tone.WARN if health["failed_units"] else Tone.TEXT
        self.field("health", health_words(health), tone)
        if health["units"]:
            self.field("units", [f"{name} {state}" for name, state in health["units"].items()])
        self.field("disks", [disk_words(path, use) for path, use in (health["disks"] or {}).items()])

    def extensions(self, extensions: list[Json] | None) -> None:
        if not extensions:
            self.field("extensions", [None if extensions is None else "none"])
            return
        pen = self.pen
        longest = min(24, max(self.width - 47, 8))  # beside it stand 31 cells and a state of at least 16
        names = [pen.say(item["name"], longest, "middle") for item in extensions]
        width = max(map(cells, [*names, "extension"]))
        self.lines += ["", pen(Tone.HINT, f"{pad('extension', width)}  kind         version         state")]
        for name, item in zip(names, extensions, strict=True):
            version = pen.say(item["version"] or "not known", 14, "middle")
            head = f"{pad(name, width)}  {pad(pen.say(item['kind'], 11), 11)}  {pad(version, 14)}  "
            lines = wrap(pen.say(", ".join(extension_words(item))), max(self.width - cells(head), 8))
            tone = Tone.WARN if item["problem"] or item["drops_on_update"] else Tone.TEXT
            self.lines += [
                (" " * cells(head) if index else head) + pen(tone, line) for index, line in enumerate(lines)
            ]


def _between(slots: Json | None, pen: Pen) -> tuple[Tone, str]:
    """The sign between the boxes: which way the next boot goes, or that the other slot cannot boot."""
    if slots is None or slots["running"] is None:
        return Tone.TEXT, " "
    if slots["next"] not in (None, slots["running"]):
        return Tone.MOVING, pen.marks.next if slots["next"] == "B" else pen.marks.back
    other = slots["b" if slots["running"] == "A" else "a"]
    is_dead = other["priority"] > 0 and not other["successful"] and other["tries"] == 0
    return (Tone.BAD, pen.marks.dead) if is_dead else (Tone.TEXT, " ")


def _box(letter: str, slots: Json | None, absent: str, pen: Pen, inner: int) -> list[str]:
    """Six lines of one slot's box, `inner` cells between its sides. Its line says what the slot is to do."""
    slot = slots[letter.lower()] if slots else None
    if slots is None or slot is None:
        return pen.box(letter, [absent, "", "", ""], pen.marks.dashed, Tone.HINT, inner)
    role = role_of(slot, runs=slots["running"] == letter, boots=slots["next"] == letter)
    frame, tone = frame_of(role, pen.marks)
    version = slot["version"] or "version not known"
    source = ", remembered" if slot["version_source"] == "remembered" else ""
    text = [
        pen.say(f"{version}{source}", inner - 2),
        confirmed_words(role, successful=slot["successful"]),
        f"prio {slot['priority']}   tries {slot['tries']}",
        pen.say(slot["device"] or "", inner - 2),
    ]
    return pen.box(f"{letter} {role.value}", text, frame, tone, inner)


def frame_of(role: Role, marks: Marks) -> tuple[str, Tone]:
    """The line around a slot's box, and its tone."""
    match role:
        case Role.RUNNING:
            return marks.heavy, Tone.ACCENT
        case Role.NEXT:
            return marks.light, Tone.MOVING
        case Role.DEAD:
            return marks.dashed, Tone.BAD
        case Role.EMPTY:
            return marks.dashed, Tone.HINT
    return marks.light, Tone.HINT
