"""What `fleetctl logs` asks a live host: the updater's journal, and new lines as they come. Pure.

The commands are known by their text, letter by letter. Lines are those of update-engine and locksmithd in
this boot and the one before, in `journalctl -o short-iso` of a host in UTC.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from functools import cache

from collectors.updater_log import follow_command, log_command
from console.demo import tools
from console.demo.live.body import Body, Call, Program, Running
from console.demo.live.kinds import Reply
from console.demo.live.machine import ENGINE_UNIT, LOCKSMITHD_UNIT, Machine
from console.demo.world import JournalLine

UNITS = (ENGINE_UNIT, LOCKSMITHD_UNIT)
_PID = 1201
_A_WHILE_S = 3600.0


@cache
def scripts() -> Mapping[str, Program]:
    """Text of `bash -c` -> what it does; its first argument says how many lines."""
    return {_text_of(log_command): _log, _text_of(follow_command): _follow}


def _text_of(command: Callable[[int], str]) -> str:
    words = shlex.split(command(0))
    return words[words.index("-c") + 1]


def _log(body: Body, call: Call) -> Reply:
    return Reply(_last_lines(body.machine, call))


def _follow(body: Body, call: Call) -> Running:
    """Says the last lines, then each new one; ends only when it is killed."""
    pending, machine = call.pending, body.machine
    pending.is_endless = True
    pending.stdout = _last_lines(machine, call)

    def heard(unit: str, line: JournalLine) -> None:
        if unit in UNITS:
            pending.stdout += _text(machine, unit, line).encode()

    machine.listeners.append((pending.scope, heard))
    while True:
        yield _A_WHILE_S


def _last_lines(machine: Machine, call: Call) -> bytes:
    asked = call.args[0] if call.args else ""
    count = int(asked) if asked.isascii() and asked.isdigit() else 0
    found = [(ENGINE_UNIT, line) for line in (*machine.earlier_journal, *machine.state.journal)]
    for journal in (machine.earlier_unit_journal, machine.unit_journal):
        lines = journal.get(LOCKSMITHD_UNIT, [])
        found += [(LOCKSMITHD_UNIT, JournalLine(at, text)) for at, text in lines]
    found.sort(key=lambda item: item[1].at)
    return "".join(_text(machine, unit, line) for unit, line in found[max(0, len(found) - count) :]).encode()


def lines_before(machine: Machine, units: Collection[str] | None) -> list[str]:
    """What these units (None: all) wrote in the boot before, oldest first."""
    found = [(ENGINE_UNIT, line) for line in machine.earlier_journal]
    for unit, journal in machine.earlier_unit_journal.items():
        found += [(unit, JournalLine(at, text)) for at, text in journal]
    kept = sorted((item for item in found if units is None or item[0] in units), key=lambda item: item[1].at)
    return [_text(machine, unit, line) for unit, line in kept]


def _text(machine: Machine, unit: str, line: JournalLine) -> str:
    stamp = f"{line.at:%Y-%m-%dT%H:%M:%S+00:00} {machine.state.name} "
    if unit != ENGINE_UNIT:
        return f"{stamp}{unit.partition('.')[0]}[{_PID}]: {line.text}\n"
    return stamp + tools.journal_line(machine.state, line).split(" ", 2)[2]
