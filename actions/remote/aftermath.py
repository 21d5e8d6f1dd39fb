"""What a host wrote in the boot before this one: asked once it went back by itself. Read-only; total.

The boot that failed may have written nothing: then the boot before it answers. The lines are what the host
says, redacted, and of use to people only.
stdin: the mark.
"""

from __future__ import annotations

from dataclasses import dataclass

from actions.remote.shell import SETTING, login_command, one_line, root_argv
from actions.remote.words import checked
from collectors.probe import _FRAME, PROBE_VERSION, read_frame
from collectors.redact import redact, visible

LINES = 200
LINE_CHARACTERS = 300

_TEXT = rf"""
{SETTING}
N=0
IFS= read -r -t 10 -n 200 M || exit 65
[[ $M =~ ^[A-Za-z0-9@-]{{8,100}}$ ]] || exit 65
{_FRAME}
printf "%s V {PROBE_VERSION} %s\\n" "$M" "$UID"
B journal
timeout -k 1 20 journalctl -q -b -1 -n {LINES} -o short-iso </dev/null 2>/dev/null | tail -c 49152
E "${{PIPESTATUS[0]}}"
B updater
timeout -k 1 20 journalctl -q -b -1 -n {LINES} -o short-iso \
-u update-engine.service -u locksmithd.service </dev/null 2>/dev/null | tail -c 49152
E "${{PIPESTATUS[0]}}"
printf "%s Z %s\\n" "$M" "$N"
"""

AFTERMATH_ARGV = root_argv(one_line(_TEXT), "fleetctl-aftermath/1")
"""What sudo is asked to run. A sudoers rule allows exactly this."""
AFTERMATH_COMMAND = login_command(AFTERMATH_ARGV)


def aftermath_stdin(mark: str) -> str:
    """What AFTERMATH_COMMAND reads; `mark` is made anew for each run. Raises Unsendable."""
    return f"{checked({'mark': mark}, {'mark': '[A-Za-z0-9@-]{8,100}'})['mark']}\n"


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The last lines of the boot before, oldest first; empty where it left none."""

    journal: tuple[str, ...] = ()
    updater: tuple[str, ...] = ()


def read_aftermath(output: bytes, mark: str, *, salt: bytes) -> Aftermath:
    """The lines in a raw answer. `salt` keys the digests that stand for secrets."""
    sections = read_frame(output, mark).sections

    def lines(name: str) -> tuple[str, ...]:
        found = sections.get(name)
        text = redact(found.content.decode("utf-8", "replace"), salt) if found else ""
        return tuple(visible(line, LINE_CHARACTERS) for line in text.split("\n") if line)[-LINES:]

    return Aftermath(lines("journal"), lines("updater"))
