"""Every key of the fleet file with its meaning: the one table that the parser and the docs are held to.

A key path has `[]` for each table of an array and `*` for a name that the operator chooses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

FLEET_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"

_SSH = {
    "user": "login name on the host",
    "port": "port of its SSH server",
    "identities": "private keys, tried in this order",
    "agent": "false: ask no agent; a path: this agent's socket",
    "known_hosts": "files with the host keys that are accepted",
    "config": 'the ssh_config to read; "none" for none',
    "jump": 'hosts to go through, [user@]host[:port] with commas; "none" to go directly',
    "connect_timeout": "longest wait for a connection",
    "probe_timeout": "longest wait for a probe's answer",
}

_WANTED = {
    "labels": "free names with a text each",
    "channel": "wanted channel or server group; a difference is drift",
    "updates": "who starts updates: managed, self or as-found",
    "reboot_deadline": "longest time from the reboot to the host's return",
    "confirm_deadline": "longest time from the return to the confirmed boot",
}


def _under(prefix: str, keys: dict[str, str]) -> dict[str, str]:
    return {prefix + key: meaning for key, meaning in keys.items()}


KNOWN_KEYS: dict[str, str] = {
    "name": "the fleet's name, shown everywhere",
    "accent": "colour of this fleet, #rrggbb",
    "database": "path of the database, beside this file unless absolute",
    "ssh": "how to log in, unless a group or a host says otherwise",
    **_under("ssh.", _SSH),
    "ssh.connections": "SSH connections in flight",
    "sweep": "how often hosts are looked at",
    **_under(
        "sweep.",
        {
            "interval": "time between two looks at a host",
            "stale_after": "age from which facts count as unknown",
            "keep": "how long history is kept",
        },
    ),
    "groups": "named sets of hosts",
    "groups[].name": "the group's name",
    "groups[].hosts": "node sets, one a list item",
    **_under("groups[].", _WANTED | _SSH),
    "hosts": "single hosts with more detail",
    **_under(
        "hosts[].",
        {
            "name": "the host's name",
            "address": "where it is reached, if not under its name",
            "node": "name of its Kubernetes node, if not its name",
            "groups": "groups it belongs to, beside those that list it",
            "hold": "why it must not be rebooted",
        }
        | _WANTED
        | _SSH,
    ),
    "windows": "hours in which hosts may reboot",
    "windows.*": "one window",
    **_under(
        "windows.*.",
        {
            "days": "days on which it opens, Mon to Sun; all if left out",
            "start": "local time at which it opens, HH:MM",
            "length": "how long it stays open, at most a day",
            "timezone": "IANA time zone of the start",
        },
    ),
    "health": "what must not get worse through an update",
    **_under(
        "health.",
        {
            "units": "systemd units that must stay active",
            "command": "shell text run on the host, as the login user, in plans only",
            "http": "URLs asked from the console",
        },
    ),
    "hooks": "programs run on the console around a reboot",
    **_under(
        "hooks.",
        {
            "before_reboot": "argv run before each reboot",
            "after_reboot": "argv run after each reboot, and after a before_reboot that failed",
            "notify_file": "file with the URL that gets each rollout event",
        },
    ),
    "fleetlock": "a FleetLock server whose lock is taken before each reboot",
    "fleetlock.url": "its base URL",
    "fleetlock.group": "its group",
    "feeds": "where releases are read from",
    **_under(
        "feeds.",
        {
            "url": "base URL of the release feed",
            "mirror": "base URL of a mirror of the download servers",
            "proxy": "HTTP proxy for feeds and downloads",
            "offline": "true: ask nothing, use what is stored or packed",
            "file": "a releases.json or .json.xz read instead of the packed one",
        },
    ),
    "rollouts": "templates of rollouts",
    "rollouts.*": "one template",
    **_under(
        "rollouts.*.",
        {
            "cohorts": "the hosts in their order; the first cohort is the canary",
            "cohorts[].name": "the cohort's name",
            "cohorts[].hosts": "a selection, a number, a percentage, or rest",
            "cohorts[].soak": "how long it must stay healthy before the next",
            "cohorts[].tolerance": "failures it may have",
            "budget": "hosts disturbed at once, a number or a percentage of the plan",
            "per_label": "for a label: hosts disturbed at once that share a value of it",
            "settle": "how long each host must stay healthy",
            "tolerance": "failures the rollout may have in all",
            "windows": "windows in which it reboots hosts",
            "on_halt": "hold or roll-back",
            "keep_staged": "true: a halt does not disarm staged hosts",
            "self_update": "refuse or accept hosts that update by themselves",
            "self_update_reason": "why they are accepted",
            "source": "exact or offer: how a release gets onto a host",
            "follow": "canaries on a higher channel",
            "follow.channel": "the channel they are on",
            "follow.days": "days a major must have soaked there",
            "gates": "questions asked before a cohort passes",
            "gates[].name": "the gate's name",
            "gates[].kind": "health, contract, command, http, prometheus or person",
            "gates[].cohort": "the cohort it is asked for; all if left out",
            "gates[].argv": "for command: the program and its arguments",
            "gates[].url": "for http and prometheus: whom to ask",
            "gates[].query": "for prometheus: the query",
            "gates[].for": "how long the answer must have been good",
            "gates[].every": "time between two questions",
            "gates[].tries": "questions unanswered in a row before it waits",
            "gates[].on_no_data": "hold or fail, when the answer has no data",
            "gates[].mode": "enforce or observe",
        },
    ),
}


def _by_table() -> dict[str, tuple[str, ...]]:
    children: dict[str, list[str]] = {}
    for path in KNOWN_KEYS:
        table, _, key = path.rpartition(".")
        children.setdefault(table, []).append(key)
    return {table: tuple(keys) for table, keys in children.items()}


KEYS_OF = _by_table()
"""Key path of a table ("" for the whole file) -> the keys that it may have."""


def name_of(file: str) -> str:
    """Name of a fleet whose file says none: the file's own, if it can be one."""
    stem = PurePath(file).stem
    return stem if re.fullmatch(FLEET_NAME, stem) else "fleet"


def database_of(name: str) -> str:
    """Path of the database of a fleet whose file says none, beside the file."""
    return f"{name}.db"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for the nearest of `known`, else what is known if that is short, else ""."""
    from difflib import get_close_matches  # costs a millisecond that a right file need not pay

    words = sorted(known)
    longer = [known for known in words if len(word) > 2 and known.startswith(word)]
    near = longer if len(longer) == 1 else get_close_matches(word[:100], words, n=1)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(words)}" if 0 < len(words) <= 12 else ""
