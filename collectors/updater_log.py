"""The commands that read a host's updater log. Pure.

The journal is read as the login user where that user may (members of systemd-journal), else by one
`sudo -n`. The texts are fixed; only the number of lines differs, as an argument.
"""

from __future__ import annotations

import shlex

MOST_LINES = 10_000
LIMIT_BYTES = 8 * 1024 * 1024
NOT_ALLOWED = 77
"""Exit status of both commands where the journal may not be read."""

_JOURNAL = "journalctl -q --no-pager -o short-iso -u update-engine.service -u locksmithd.service"
_SETTING = "export LC_ALL=C TZ=UTC SYSTEMD_COLORS=0 SYSTEMD_PAGER=cat"
# journalctl without the right shows what little it may, and ends with 0: so its silence is not believed.
_TEXT = (
    f'{_SETTING}; o=$({_JOURNAL} -n "$1" 2>/dev/null </dev/null); '
    f'if [ -n "$o" ]; then printf "%s\\n" "$o"; exit 0; fi; '
    f'sudo -n {_JOURNAL} -n "$1" 2>/dev/null </dev/null || exit {NOT_ALLOWED}'
)
_FOLLOWING_TEXT = (
    f"{_SETTING}; o=$({_JOURNAL} -n 1 2>/dev/null </dev/null); "
    f'if [ -n "$o" ]; then exec {_JOURNAL} -f -n "$1"; fi; '
    f"sudo -n {_JOURNAL} -n 1 >/dev/null 2>&1 </dev/null || exit {NOT_ALLOWED}; "
    f'exec sudo -n {_JOURNAL} -f -n "$1"'
)


def log_command(lines: int) -> str:
    """The newest `lines` lines of update-engine and locksmithd."""
    return _command(_TEXT, lines)


def follow_command(lines: int) -> str:
    """The same, and whatever comes after, until the connection ends."""
    return _command(_FOLLOWING_TEXT, lines)


def _command(text: str, lines: int) -> str:
    argv = (
        "/usr/bin/env",
        "-i",
        "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
        "/bin/bash",
        "--norc",
        "--noprofile",
        "-c",
        text,
        "fleetctl-logs/1",
        str(max(0, min(lines, MOST_LINES))),
    )
    return "exec " + shlex.join(argv)
