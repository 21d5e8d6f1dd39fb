"""Parts of the fleet file that stand by themselves: sweep, windows, health, hooks, FleetLock, feeds.

Each function reads one table and answers with what is right in it; mistakes go to the table's list.
"""

from __future__ import annotations

import re
from datetime import time

from collectors.fleet_keys import did_you_mean
from collectors.fleet_model import Feeds, FleetLock, Health, Hooks, LockId, Sweep, Window
from collectors.inventory_checks import Table, is_http_url, or_default, quoted, unknown_placeholder

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOST_PLACEHOLDERS = ("host", "address", "node")
HOOK_PLACEHOLDERS = (*HOST_PLACEHOLDERS, "order")
_CLOCK = r"([01][0-9]|2[0-3]):([0-5][0-9])"
_ZONE = r"[A-Za-z0-9+_-]+(/[A-Za-z0-9+_-]+)*"
_UNIT = r"[A-Za-z0-9:_.\\@-]+\.[a-z]+"
_LOCK_GROUP = r"[a-zA-Z0-9.-]+"


def read_sweep(table: Table) -> Sweep:
    usual = Sweep()
    sweep = Sweep(
        interval_s=or_default(table.duration_s("interval"), usual.interval_s),
        stale_after_s=or_default(table.duration_s("stale_after"), usual.stale_after_s),
        keep_s=or_default(table.duration_s("keep"), usual.keep_s),
    )
    if sweep.stale_after_s <= sweep.interval_s:
        table.wrong("stale_after", "must be longer than interval, or all facts are always stale")
    return sweep


def read_windows(tables: dict[str, Table]) -> dict[str, Window]:
    """Windows by name, those with mistakes too: their names still resolve."""
    return {name: _window(name, table) for name, table in tables.items()}


def _window(name: str, table: Table) -> Window:
    table.require("start", 'local time, like "02:00"')
    table.require("length", 'how long it stays open, like "3h"')
    table.require("timezone", 'IANA time zone, like "Europe/Berlin"')
    start = table.matching("start", _CLOCK, 'a time of day like "02:00"')
    return Window(
        name=name,
        days=_days(table),
        start=time(int(start[:2]), int(start[3:])) if start else time(0),
        length_s=or_default(table.duration_s("length", longest_s=86400), 0),
        timezone=or_default(_timezone(table), "UTC"),
    )


def _days(table: Table) -> tuple[int, ...]:
    if "days" not in table:
        return tuple(range(7))
    if table.data["days"] == []:
        table.wrong("days", "names no day; leave it out for all days")
    words = table.items("days", lambda day: None if day in DAYS else _unknown_day(day))
    if len(set(words)) < len(words):
        table.wrong("days", "names a day twice")
    return tuple(sorted({DAYS.index(word) for word in words}))


def _unknown_day(word: str) -> str:
    return f"unknown day {quoted(word)}{did_you_mean(word, DAYS)}"


def _timezone(table: Table) -> str | None:
    key = table.text("timezone")
    if key is None:
        return None
    from zoneinfo import ZoneInfo, available_timezones  # only files with windows pay for it

    try:
        if re.fullmatch(_ZONE, key):
            ZoneInfo(key)
            return key
    except (KeyError, ValueError, OSError):  # OSError: a folder of zones, like "Europe"
        pass
    table.mistakes.unknown(table.at("timezone"), "time zone", key, available_timezones())
    return None


def read_health(table: Table) -> Health:
    return Health(
        units=table.items("units", _unit_problem),
        command=table.text("command"),
        http=table.items("http", _host_url_problem),
    )


def _unit_problem(unit: str) -> str | None:
    if len(unit) < 256 and re.fullmatch(_UNIT, unit):
        return None
    return f"{quoted(unit)} is not the name of a systemd unit, like containerd.service"


def _host_url_problem(url: str) -> str | None:
    unknown = unknown_placeholder(url, HOST_PLACEHOLDERS)
    if unknown:
        return unknown
    filled = url
    for word in HOST_PLACEHOLDERS:
        filled = filled.replace(f"{{{word}}}", "a")
    return None if is_http_url(filled) else f"{quoted(url)} is not an http:// or https:// URL"


def read_hooks(table: Table) -> Hooks:
    return Hooks(
        before_reboot=table.argv("before_reboot", HOOK_PLACEHOLDERS),
        after_reboot=table.argv("after_reboot", HOOK_PLACEHOLDERS),
        notify_file=table.text("notify_file"),
    )


def read_fleetlock(top: Table) -> FleetLock | None:
    if "fleetlock" not in top:
        return None
    table = top.table("fleetlock")
    table.require("url", "the server's base URL")
    group = table.matching("group", _LOCK_GROUP, "a FleetLock group: letters, digits, dots and dashes")
    kind = table.choice("id", LockId, LockId.MACHINE_ID)
    return FleetLock(url=or_default(table.url("url"), ""), group=or_default(group, "default"), id=kind)


def read_feeds(table: Table) -> Feeds:
    return Feeds(
        url=or_default(table.url("url"), Feeds().url),
        mirror=table.url("mirror"),
        proxy=table.url("proxy"),
        offline=table.flag("offline", False),
        file=table.text("file"),
    )
