"""Command lines as a simulated host's login shell reads them, and what it tells without being asked twice.

The shell knows words, quotes, `;`, `&&` and `||`; no pipes, redirections, variables or globs. What a program
does is the live host's matter.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from actions.remote.shell import _WRAP
from collectors.probe import probe_command
from console.demo import files, tools
from console.demo.world import SimulatedHost

_PROBE = probe_command()
_WORD = r"""(?:[^\s;&|<>()'"\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+"""
_TOKEN = re.compile(rf"(?P<word>{_WORD})|(?P<joint>&&|\|\||;|\n)|(?P<other>[|&<>()]+)", re.DOTALL)
_BLANK = re.compile(r"[ \t\r]+")
NO_SUCH_SYNTAX = "bash: {} is not understood here: only words, ';', '&&' and '||' are\n"
_UNCLOSED = "bash: -c: line 1: unexpected EOF while looking for matching quote\n"
_READS_STDIN = ("tee", "dd")

Reply = tuple[str, str, int]
"""stdout, stderr, exit status."""


class Joint(StrEnum):
    """When a step runs, by the status of the one before it."""

    ALWAYS = ";"
    IF_GOOD = "&&"
    IF_BAD = "||"

    def lets_run(self, status: int) -> bool:
        return self is Joint.ALWAYS or (status == 0) == (self is Joint.IF_GOOD)


@dataclass(frozen=True, slots=True)
class Step:
    """One program of a command line."""

    joint: Joint
    argv: tuple[str, ...]

    @property
    def reads_stdin(self) -> bool:
        """Whether it waits for the end of its input."""
        if _WRAP in self.argv:
            return True
        programs = [word for word in self.argv if not word.startswith("-")]
        programs = programs[1:] if programs[:1] == ["sudo"] else programs
        return programs == ["cat"] or (bool(programs) and programs[0] in _READS_STDIN)


@dataclass(frozen=True, slots=True)
class Unread:
    """A command line that this shell does not understand: what it complains, its exit status."""

    complaint: str
    exit_status: int


@lru_cache(maxsize=64)
def read(command: str) -> tuple[Step, ...] | Unread:
    """The programs of a command line, in order."""
    steps: list[Step] = []
    joint, words, at = Joint.ALWAYS, list[str](), 0
    while at < len(command):
        if blank := _BLANK.match(command, at):
            at = blank.end()
            continue
        found = _TOKEN.match(command, at)
        if found is None:
            return Unread(_UNCLOSED, 2)
        at = found.end()
        if found["other"]:
            return Unread(NO_SUCH_SYNTAX.format(found["other"]), 127)
        if found["word"]:
            words += shlex.split(found["word"])
            continue
        if words:
            steps.append(Step(joint, tuple(words)))
        elif found["joint"] != "\n":
            return Unread(f"bash: -c: line 1: syntax error near unexpected token `{found['joint']}'\n", 2)
        joint, words = Joint.ALWAYS if found["joint"] == "\n" else Joint(found["joint"]), []
    return (*steps, Step(joint, tuple(words))) if words else tuple(steps)


def reads_stdin(command: str) -> bool:
    """Whether a program of this command line waits for the end of its input."""
    steps = read(command)
    return not isinstance(steps, Unread) and any(step.reads_stdin for step in steps)


def probe_units(command: str) -> tuple[str, ...] | None:
    """The units that this command asks the probe about; None if it is not the probe, letter by letter."""
    if command == _PROBE:
        return ()
    if not command.startswith(f"{_PROBE} "):
        return None
    try:
        return tuple(shlex.split(command[len(_PROBE) :]))
    except ValueError:
        return None


def asks_status(argv: Sequence[str]) -> bool:
    """Whether this is how a visitor reads the updater's status."""
    return tuple(argv) in (("update_engine_client", "-status"), ("update_engine_client", "--status"))


def reply(host: SimulatedHost, command: str) -> Reply:
    """What a host that does not move answers to the login user: what is needed to show a status."""
    try:
        argv = shlex.split(command)
    except ValueError:
        return "", _UNCLOSED, 2
    match argv:
        case [] | ["true"]:
            return "", "", 0
        case ["cat", "/etc/os-release" | "/usr/lib/os-release"]:
            return files.os_release(host), "", 0
        case _ if asks_status(argv) and host.foreign_os is None:
            return tools.client_status(host)
    return "", f"bash: {argv[0]}: command not found\n", 127


def motd(host: SimulatedHost) -> str:
    """What a login shell shows before its prompt. Here it is all that it does."""
    if host.foreign_os is not None:
        return "Debian GNU/Linux 12\n"
    oem = host.hardware.oem or "bare metal"
    return f"Flatcar Container Linux by Kinvolk {host.group} {host.version} for {oem} (simulated)\n"
