"""One host as a page knows it, and the words for its parts that every view of it shares. Pure.

`document` is one element of `hosts` in fleetctl.status/1. The words here may hold a host's text: whoever
draws them passes them through `Pen.say`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from console.rows import HostRow, SlotCell, SlotLetter
from console.states import style_of
from console.tone import Tone
from console.visible import age_words, clock_words, count_words, duration_words, size_words

if TYPE_CHECKING:
    from console.render_diff import Step  # it draws with the modules that draw with this one

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HostPage:
    """Everything known of one host at a moment."""

    name: str
    document: Json
    steps: tuple[Step, ...]
    """Its newest changes, oldest first."""
    now: datetime
    """Aware; its time zone is the one in which times are shown."""


# Slots


class Role(Enum):
    """What a slot is to do; the line around its box says it."""

    RUNNING = "running"
    NEXT = "boots next"
    OTHER = "other"
    EMPTY = "empty"
    DEAD = "will not boot"
    """Tried and never confirmed, or never to be booted though it holds a release."""


def role_of(slot: Json, *, runs: bool, boots: bool) -> Role:
    """`slot` is `slots.a` or `slots.b` of the document."""
    if runs:
        return Role.RUNNING
    if boots:
        return Role.NEXT
    if slot["priority"] > 0 and (slot["successful"] or slot["tries"] > 0):
        return Role.OTHER
    return Role.EMPTY if slot["priority"] == 0 and not slot["version"] else Role.DEAD


def confirmed_words(role: Role, *, successful: bool) -> str:
    if successful:
        return "confirmed"
    if role is Role.RUNNING:
        return "not confirmed yet"
    return "not tried yet" if role in (Role.NEXT, Role.OTHER) else "never confirmed"


def absent_words(is_asked: bool) -> str:
    """Why there are no slots to show."""
    return "not read" if is_asked else "not asked"


def place_words(address: str, port: int) -> str:
    """Where a host is asked: `10.0.0.7:22`, `[2001:db8::7]:22`."""
    return f"{f'[{address}]' if ':' in address else address}:{port}"


# Parts


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


def joined(word: str, value: str | None) -> str | None:
    return f"{word} {value}" if value else None


def moment_words(at: str | None, now: datetime, *, with_age: bool = True) -> str | None:
    """`03:12, 14 s ago` of an ISO time."""
    if at is None:
        return None
    try:
        when = datetime.fromisoformat(at)
        age = f", {age_words((now - when).total_seconds())} ago" if with_age else ""
        return clock_words(when, now) + age
    except (ValueError, TypeError, OverflowError):  # no time, or one without a zone: shown as it is
        return at


def reach_words(state: str | None) -> str:
    return _REACH.get(state) or str(state)


def off_words(disabled_by: str | None) -> str | None:
    """Why no updates are fetched."""
    return _OFF.get(disabled_by or "", disabled_by)


def operation_words(operation: str | None) -> str:
    if not operation:
        return "not read"
    return operation.removeprefix("UPDATE_STATUS_").replace("_", " ").lower()


def mode_words(mode: str | None) -> str:
    return f"updates {mode}" if mode else "whether updates are on: not known"


def error_words(error: Json, at: str | None) -> str:
    """The updater's last error; `at` is its time in words."""
    named = error.get("text") or error.get("name") or "no cause in the journal"
    code = f" (code {error['code']})" if error.get("code") is not None else ""
    return ", ".join(part for part in (f"{named}{code}", error.get("version"), at) if part)


_HOLDERS = 3
"""Of a lock, in words."""
_OWNERS = {
    "locksmithd": "locksmithd",
    "locksmithd-etcd": "locksmithd",
    "kured": "kured",
    "fluo": "FLUO",
    "cluster": "the cluster, by FLUO or kured",
}


def owner_words(reboot: Json) -> str:
    """Who reboots it, by which pods that is seen, and the lock where there is one."""
    owners = reboot["owners"]
    if not owners:
        manager = reboot["manager"]
        return "no reboot manager" if manager == "none" else f"managed by {manager or 'not known'}"
    names = " and ".join(_OWNERS.get(owner, owner) for owner in owners)
    pods = ", ".join(pod.rpartition("/")[2] for pod in reboot["pods"] or ())
    pods = f" (pod {pods})" if pods and {"kured", "fluo"} & set(owners) else ""
    two = "two owners: " if len(owners) > 1 else "managed by "
    return f"{two}{names}{pods}{_lock_words(reboot) if 'locksmithd-etcd' in owners else ''}"


def _lock_words(reboot: Json) -> str:
    """`, by a lock in etcd: 0 of 1 free, held by k8s-3 for 3 h 10 min`."""
    lock = reboot["lock"]
    if lock is None:
        why = f", {reboot['lock_unread']}" if reboot["lock_unread"] else ""
        return f", by a lock in etcd: not read{why}"
    held = [_holder_words(holder) for holder in lock["holders"][:_HOLDERS]]
    more = len(lock["holders"]) - len(held)
    by = f", held by {', '.join(held)}" if held else ""
    more_words = f" and {more} more" if more else ""
    return f", by a lock in etcd: {lock['available']} of {lock['max']} free{by}{more_words}"


def _holder_words(holder: Json) -> str:
    """`k8s-3 for 3 h 10 min`; a holder that does not answer, or is not known, may keep all others back."""
    age = f" for {duration_words(holder['age_s'])}" if holder["age_s"] is not None else ""
    if holder["host"] is None:
        return f"{holder['machine_id']}{age} (not known in this fleet)"
    away = "" if holder["reach"] == "ok" else f" ({reach_words(holder['reach'])})"
    return f"{holder['host']}{age}{away}"


def reboot_words(reboot: Json) -> list[str | None]:
    """Whether it reboots by itself, who would do it, and when."""
    itself = {True: "will reboot by itself", False: "none by itself now", None: "by itself: not known"}
    window = f"window {reboot['window_start']} for {reboot['window_length']}, the host's time"
    return [
        itself[reboot["will_reboot_by_itself"]],
        owner_words(reboot),
        reboot["manager_state"],
        joined("strategy", reboot["strategy"]),
        window if reboot["window_start"] else None,
        "a reboot is asked for" if reboot["required_marker"] else None,
        joined("another console's order", reboot["foreign_order"]),
    ]


def reboot_tone(reboot: Json) -> Tone:
    if len(reboot["owners"] or ()) > 1:
        return Tone.BAD
    return Tone.WARN if reboot["will_reboot_by_itself"] else Tone.TEXT


def health_words(health: Json) -> list[str | None]:
    failed, containers = health["failed_units"], health["containers"]
    words = "failed units not read" if failed is None else joined("failed", ", ".join(failed))
    running = "containers not known" if containers is None else f"{count_words(containers)} containers"
    time = {True: "time synchronised", False: "time not synchronised", None: "time sync not known"}
    return [joined("system", health["system"] or "not read"), words, running, time[health["time_synced"]]]


def standing_words(situation: Json) -> list[str | None]:
    """How far behind it is."""
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
        joined("newest", situation["newest_in_channel"]),
        f"{count_words(cves)} CVEs fixed by the update" if cves is not None else None,
        "end of life" if situation["eol"] else None,
        joined("as of", situation["as_of"]),
    ]


def disk_words(path: str, use: Json) -> str:
    size, used = use.get("size_bytes"), use.get("used_bytes")
    if not size or used is None:
        return f"{path} not known"
    return f"{path} {used / size:.0%} of {size_words(size)} used"


def extension_words(item: Json) -> list[str]:
    merged = {True: "merged", False: "not merged", None: "whether merged: not known"}
    staged = item["staged_image"]
    words = [
        merged[item["merged"]],
        item["problem"] if item["problem"] != merged[item["merged"]] else None,
        "not compatible with this OS" if item["compatible"] is False else None,
        joined("bound to", item["bound_to"]),
        "will not survive the next update" if item["drops_on_update"] else None,
        f"{staged.rpartition('/')[2]} staged" if staged else None,
    ]
    return [word for word in words if word]


# What is the matter


def what_words(row: HostRow) -> str:
    """One sentence of what is the matter with a host, from its row alone; more in its reasons."""
    other = {"A": "B", "B": "A"}.get(row.running or "", "")
    runs = f"{row.running} {row.version}" if row.running and row.version else row.version or row.running or ""
    held = {"A": row.slot_a, "B": row.slot_b}.get(other)
    there = f"{other} {held.version}" if held and held.version else other
    words = _what(row, runs, there)
    return words or style_of(row.state).meaning


def _what(row: HostRow, runs: str, there: str) -> str:
    """The sentence with the host's own numbers; "" where they are not known."""
    in_other = " in ".join(reversed(there.split(" ", 1)))
    first = row.reasons[0][0] if row.reasons else ""
    match row.state:
        case "unreachable" if row.taken_at is None:
            return "It was never asked." if row.reach is None else "It has never answered."
        case "unreachable":
            return "It gives no answer; what is shown is what was last seen."
        case "reverted" if there and runs:
            return f"It booted {there}, never confirmed it, and came back on {runs}."
        case "unconfirmed" if runs:
            back = f"; a reboot now goes back to {there}" if row.next != row.running and there else ""
            return f"It booted {runs} and has not confirmed it{back}."
        case "failed" if runs:
            return f"Its last update attempt failed; it still runs {runs}."
        case "staging" if there:
            share = f", {row.progress:.0%} fetched" if row.progress else ""
            return f"A release is being written to {there[:1]}{share}. It runs {runs}."
        case "staged" if there:
            by_itself = " and it reboots by itself" if row.will_reboot_by_itself else ""
            return f"{in_other} waits for the next boot{by_itself}."
        case "staged_not_next" if runs:
            return f"A release was staged, but {runs} boots next."
        case "rollback_armed" if there:
            return f"The next boot goes back to {there}."
        case "reset_armed":
            what = "runs Ignition again" if first == "first_boot_armed" else "wipes it"
            return f"The next boot {what}: do not reboot."
        case "extension_problem" if row.extension_problems:
            return f"Set up and not merged, or broken: {', '.join(row.extension_problems)}."
        case "held" if row.hold:
            return f"It must not be rebooted: {row.hold}"
        case "behind" if row.behind:
            newer = "1 newer release" if row.behind == 1 else f"{row.behind} newer releases"
            where = f"{row.channel} has" if row.channel else "its channel has"
            return f"It runs {row.version or runs}; {where} {newer}."
        case "current" if row.version:
            known = "the newest of its channel" if row.certain else "the newest as far as is known"
            return f"It runs {row.version}, {known}."
    return ""


# A page as a row


def row_of(page: HostPage) -> HostRow:
    """What the table would show of it, as far as its page and panel need it."""
    told, slots, situation = page.document, page.document["slots"], page.document["situation"]
    running: SlotLetter | None = slots["running"] if slots else None
    problems = [item["name"] for item in told["extensions"] or () if item["problem"]]
    failed = len(told["health"]["failed_units"] or ())
    return HostRow(
        name=told["name"],
        address=told["address"],
        state=situation["state"],
        port=told["port"],
        groups=tuple(told["groups"]),
        labels=told["labels"],
        hold=told["hold"],
        reasons=tuple((item["code"], item["text"]) for item in situation["reasons"]),
        remedy=situation["remedy"],
        version=told["os"]["version_id"] if told["os"]["id"] == "flatcar" else None,
        channel=told["update"]["group"],
        running=running,
        next=slots["next"] if slots else None,
        slot_a=_cell(slots["a"], runs=running == "A") if slots else None,
        slot_b=_cell(slots["b"], runs=running == "B") if slots else None,
        behind=situation["behind_releases"],
        operation=told["update"]["operation"],
        progress=told["update"]["progress"],
        extension_problems=tuple(problems),
        arch=told["os"]["arch"],
        reach=told["reach"]["state"],
        health=f"{failed} failed" if failed else "",
        will_reboot_by_itself=told["reboot"]["will_reboot_by_itself"],
        taken_at=_instant(told["taken_at"]),
        certain=situation["as_of"] is None and situation["behind_releases"] is not None,
    )


def _instant(at: str | None) -> datetime | None:
    try:
        when = datetime.fromisoformat(at) if at else None
    except ValueError:
        return None
    return when if when is not None and when.tzinfo else None


def _cell(slot: Json, *, runs: bool) -> SlotCell:
    is_bootable = slot["priority"] > 0 and (slot["successful"] or slot["tries"] > 0)
    is_dead = slot["priority"] > 0 and not is_bootable and not runs
    return SlotCell(slot["version"], slot["priority"], slot["tries"], slot["successful"], is_dead)
