"""Brings a payload onto a host, a piece at a time, into a folder that only root reads; or takes it away.

A piece is appended where the file has exactly the length that the piece begins at, so that none is written
twice. What was written is checked by its sum before it is used: `stage`.
stdin: order, file name, length so far, a line each; then the piece. Name `-`: the folder goes.
stdout: one line, `fleetctl ORDER length N`.
"""

from __future__ import annotations

import re

from actions.remote.shell import SETTING, login_command, one_line, root_argv
from actions.remote.stage import FILE_NAME
from actions.remote.words import ORDER, Exit, checked

PIECE_BYTES = 4 * 1024 * 1024

_TEXT = rf"""
{SETTING}
IFS= read -r -t 10 -n 100 O && IFS= read -r -t 10 -n 200 N && IFS= read -r -t 10 -n 20 S ||
exit {Exit.MALFORMED:d}
[[ $O =~ {ORDER} && $N =~ ^(-|{FILE_NAME})$ && $S =~ ^(0|[1-9][0-9]{{0,11}})$ ]] || exit {Exit.MALFORMED:d}
umask 077
F=/var/tmp/fleetctl-$O
if [ "$N" = - ]; then
rm -rf -- "$F"
printf "fleetctl %s length 0\\n" "$O"
exit 0
fi
mkdir -p "$F" && [ ! -L "$F" ] && [ -O "$F" ] || exit {Exit.NOT_STARTED:d}
[ -e "$F/$N" ] || : >"$F/$N" || exit {Exit.NOT_STARTED:d}
[ "$(stat -c %s "$F/$N")" = "$S" ] || exit {Exit.MOVED:d}
cat >>"$F/$N" || exit {Exit.NOT_STARTED:d}
printf "fleetctl %s length %s\\n" "$O" "$(stat -c %s "$F/$N")"
"""

UPLOAD_ARGV = root_argv(one_line(_TEXT), "fleetctl-upload/1")
"""What sudo is asked to run. A sudoers rule allows exactly this."""
UPLOAD_COMMAND = login_command(UPLOAD_ARGV)


def upload_stdin(order_id: str, name: str | None, length: int, piece: bytes = b"") -> bytes:
    """What UPLOAD_COMMAND reads; without a name the folder goes. Raises Unsendable."""
    forms = {"order": ORDER, "name": f"^(-|{FILE_NAME})$", "length": "^(0|[1-9][0-9]{0,11})$"}
    values = checked({"order": order_id, "name": name or "-", "length": str(length)}, forms)
    return "".join(f"{value}\n" for value in values.values()).encode() + piece


def uploaded_length(output: bytes, order_id: str) -> int | None:
    """How long the file is now, by the host; None: it does not say."""
    found = re.search(
        rf"^fleetctl {re.escape(order_id)} length ([0-9]{{1,12}})$", output.decode("ascii", "replace"), re.M
    )
    return int(found[1]) if found else None
