"""One host as text: its slots in a line, its note, and the whole page of `show HOST`. Pure; clock is given.

The page is made from one element of `hosts` in fleetctl.status/1. What is null there is "not read" or "not
known" here, never left out. Text from the host passes `Pen.say`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from console.rows import HostRow, SlotCell, SlotLetter, row_note
from console.states import style_of, word_of
from console.tone import Pen, Tone
from console.visible import age_words, cells, clock_words, count_words, duration_words, pad, size_words, wrap

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
    page.slots(document)
    page.why(document["situation"])
    page.lines.append("")
    facts = (
        ("os", page.system),
        ("boot", page.boot),
        ("update", page.update),
        ("reboot", page.reboots),
        ("health", page.health),
    )
    for name, write in facts:
        if any(value is not None for value in document[name].values()):
            write(document[name])
        else:
            page.field(name, [])
    page.field("releases", _standing(document["situation"]))
    if document["order"] is not None:
        order = document["order"]
        page.field("order", [f"{order['id']} of {order['rollout'] or 'no rollout'}, {order['phase']}"])
    page.extensions(document["extensions"])
    return "\n".join(page.lines)


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
        """`03:12, 14 s ago` of an ISO time."""
        if at is None:
            return None
        try:
            when = datetime.fromisoformat(at)
            age = f", {age_words((self.now - when).total_seconds())} ago" if with_age else ""
            return clock_words(when, self.now) + age
        except (ValueError, TypeError):  # no time, or one without a zone: shown as it is
            return at

    def head(self, document: Json) -> None:
        pen, situation = self.pen, document["situation"]
        style = style_of(situation["state"])
        is_certain = situation["as_of"] is None and situation["behind_releases"] is not None
        word = word_of(style.code, certain=is_certain)
        state = f"{style.ascii if pen.ascii else style.glyph} {word}"
        name = pen.say(document["name"], self.width - cells(state) - 2, "middle")
        gap = " " * (self.width - cells(name) - cells(state))
        self.lines.append(pen(Tone.BRIGHT, name) + gap + pen(style.tone, state))
        address = document["address"]
        place = f"[{address}]" if ":" in address else address
        labels = [f"{key}={value}" for key, value in document["labels"].items()]
        self.field("address", [f"{place}:{document['port']}"])
        self.field("groups", [", ".join(document["groups"]) or "none", ", ".join(labels)])
        if document["hold"] is not None:
            self.field("held", [document["hold"]], Tone.CHOSEN)
        reach = document["reach"]
        words = _REACH.get(reach["state"], reach["state"])
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
        absent = "not read" if document["taken_at"] else "not asked"
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

    def system(self, os: Json) -> None:
        version = os["version"] or os["version_id"]
        named = f"{os['name'] or os['id'] or 'system not known'} {version or 'version not known'}"
        self.field(
            "os", [named, _with("build", os["build_id"]), os["board"] or os["arch"], _with("OEM", os["oem"])]
        )
        names = ("kernel", "systemd", "containerd", "docker")
        self.field("software", [f"{name} {os[name] or 'not known'}" for name in names])
        self.field("machine", [_with("id", os["machine_id"]), _with("sysext level", os["sysext_level"])])

    def boot(self, boot: Json) -> None:
        up = f"up {duration_words(boot['uptime_s'])}" if boot["uptime_s"] is not None else None
        confirmed = {True: "confirmed", False: "not confirmed", None: "whether it is confirmed: not read"}
        armed = [
            "a wipe is armed" if boot["reset_armed"] else None,
            "Ignition is armed to run again" if boot["first_boot_armed"] else None,
        ]
        booted = _with("booted", self.moment(boot["booted_at"], with_age=False))
        tone = Tone.BAD if any(armed) else Tone.TEXT
        self.field("boot", [booted, up, confirmed[boot["confirmed"]], *armed], tone)

    def update(self, update: Json) -> None:
        operation = update["operation"]
        word = operation.removeprefix("UPDATE_STATUS_").replace("_", " ").lower() if operation else "not read"
        share = f"{update['progress']:.0%}" if update["progress"] else None
        size = _with("size", size_words(update["new_size"])) if update["new_size"] is not None else None
        checked = _with("last check", self.moment(update["last_checked_at"]) or "not known")
        self.field("update", [word, share, _with("offers", update["new_version"]), size, checked])
        mode = f"updates {update['mode']}" if update["mode"] else "whether updates are on: not known"
        off = _OFF.get(update["disabled_by"], update["disabled_by"])
        self.field("", [mode, off, _with("service", update["service"] or "not read")])
        group = update["group"] or "not known"
        override = f"set on the host, the image says {update['group_image'] or 'nothing'}"
        override_or_none = override if update["group_override"] else None
        self.field("channel", [group, override_or_none, _with("server", update["server"])])
        error = update["error"]
        if error is not None:
            self.field("failed", [_error_words(error, self.moment(error.get("at")))], Tone.BAD)

    def reboots(self, reboot: Json) -> None:
        itself = {True: "will reboot by itself", False: "none by itself now", None: "by itself: not known"}
        manager = reboot["manager"]
        window = f"window {reboot['window_start']} for {reboot['window_length']}, the host's time"
        parts = [
            itself[reboot["will_reboot_by_itself"]],
            "no reboot manager" if manager == "none" else _with("managed by", manager or "not known"),
            reboot["manager_state"],
            _with("strategy", reboot["strategy"]),
            window if reboot["window_start"] else None,
            "a reboot is asked for" if reboot["required_marker"] else None,
            _with("another console's order", reboot["foreign_order"]),
        ]
        self.field("reboot", parts, Tone.WARN if reboot["will_reboot_by_itself"] else Tone.TEXT)

    def health(self, health: Json) -> None:
        failed = health["failed_units"]
        words = "failed units not read" if failed is None else _with("failed", ", ".join(failed))
        containers = health["containers"]
        running = "containers not known" if containers is None else f"{count_words(containers)} containers"
        time = {True: "time synchronised", False: "time not synchronised", None: "time sync not known"}
        parts = [_with("system", health["system"] or "not read"), words, running, time[health["time_synced"]]]
        self.field("health", parts, Tone.WARN if failed else Tone.TEXT)
        if health["units"]:
            self.field("units", [f"{name} {state}" for name, state in health["units"].items()])
        self.field("disks", [_disk_words(path, use) for path, use in (health["disks"] or {}).items()])

    def extensions(self, extensions: list[Json] | None) -> None:
        if not extensions:
            self.field("extensions", [None if extensions is None else "none"])
            return
        pen = self.pen
        names = [pen.say(item["name"], 24, "middle") for item in extensions]
        width = max(map(cells, [*names, "extension"]))
        self.lines += ["", pen(Tone.HINT, f"{pad('extension', width)}  kind         version         state")]
        for name, item in zip(names, extensions, strict=True):
            version = pen.say(item["version"] or "not known", 14, "middle")
            head = f"{pad(name, width)}  {pad(pen.say(item['kind'], 11), 11)}  {pad(version, 14)}  "
            lines = wrap(pen.say(", ".join(_extension_words(item))), max(self.width - cells(head), 16))
            tone = Tone.WARN if item["problem"] or item["drops_on_update"] else Tone.TEXT
            self.lines += [
                (" " * cells(head) if index else head) + pen(tone, line) for index, line in enumerate(lines)
            ]


_REACH = {
    None: "never asked",
    "ok": "answers",
    "unreachable": "cannot be reached",
    "timeout": "silent",
    "auth_failed": "refuses the login",
    "host_key_unknown": "its host key is not known",
    "host_key_changed": "its host key changed",
    "rebooting": "rebooting",
    "probe_incomplete": "answers in part",
    "not_flatcar": "answers, and is no Flatcar host",
}
_OFF = {
    "server": "the server line is set so that none are fetched",
    "masked": "the updater is masked",
    "stopped": "the updater does not run",
    "no_slots": "the image has no slots",
}


def _with(word: str, value: str | None) -> str | None:
    return f"{word} {value}" if value else None


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
    runs, boots = slots["running"] == letter, slots["next"] == letter
    bootable = slot["priority"] > 0 and (slot["successful"] or slot["tries"] > 0)
    if runs:
        title, frame, tone = "running", pen.marks.heavy, Tone.ACCENT
    elif boots:
        title, frame, tone = "boots next", pen.marks.light, Tone.MOVING
    elif bootable:
        title, frame, tone = "other", pen.marks.light, Tone.HINT
    elif slot["priority"] == 0 and not slot["version"]:
        title, frame, tone = "empty", pen.marks.dashed, Tone.HINT
    else:
        title, frame, tone = "will not boot", pen.marks.dashed, Tone.BAD
    version = slot["version"] or "version not known"
    source = ", remembered" if slot["version_source"] == "remembered" else ""
    text = [
        pen.say(f"{version}{source}", inner - 2),
        _confirmed_words(slot, runs=runs, bootable=bootable),
        f"prio {slot['priority']}   tries {slot['tries']}",
        pen.say(slot["device"] or "", inner - 2),
    ]
    return pen.box(f"{letter} {title}", text, frame, tone, inner)


def _confirmed_words(slot: Json, *, runs: bool, bootable: bool) -> str:
    if slot["successful"]:
        return "confirmed"
    if runs:
        return "not confirmed yet"
    return "not tried yet" if bootable else "never confirmed"


def _error_words(error: Json, at: str | None) -> str:
    named = error.get("text") or error.get("name") or "no cause in the journal"
    code = f" (code {error['code']})" if error.get("code") is not None else ""
    return ", ".join(part for part in (f"{named}{code}", error.get("version"), at) if part)


def _standing(situation: Json) -> list[str | None]:
    releases, days, cves = (
        situation["behind_releases"],
        situation["behind_days"],
        situation["cves_fixed_by_update"],
    )
    if releases is None:
        behind = "how far behind: not known"
    elif releases == 0:
        behind = "none newer in its channel"
    else:
        behind = f"{releases} behind" + (f", for {days} d" if days is not None else "")
    return [
        behind,
        _with("newest", situation["newest_in_channel"]),
        f"{count_words(cves)} CVEs fixed by the update" if cves is not None else None,
        "end of life" if situation["eol"] else None,
        _with("as of", situation["as_of"]),
    ]


def _disk_words(path: str, use: Json) -> str:
    size, used = use.get("size_bytes"), use.get("used_bytes")
    if not size or used is None:
        return f"{path} not known"
    return f"{path} {used / size:.0%} of {size_words(size)} used"


def _extension_words(item: Json) -> list[str]:
    merged = {True: "merged", False: "not merged", None: "whether merged: not known"}
    staged = item["staged_image"]
    words = [
        merged[item["merged"]],
        item["problem"] if item["problem"] != merged[item["merged"]] else None,
        "not compatible with this OS" if item["compatible"] is False else None,
        _with("bound to", item["bound_to"]),
        "will not survive the next update" if item["drops_on_update"] else None,
        f"{staged.rpartition('/')[2]} staged" if staged else None,
    ]
    return [word for word in words if word]
