"""Who acts, as far as this process can know: the account, where its login came from, this machine."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping

from actions.record import Actor


def current_actor(environ: Mapping[str, str] = os.environ, *, said: str | None = None) -> Actor:
    """Whoever runs this process; `said` is who it is in their own words.

    The login follows from the uid, for USER and LOGNAME are whatever one likes. SSH_CONNECTION is the
    server's word, but the account may set it too: docs/record.md.
    """
    uid = os.getuid()
    source = environ.get("SSH_CONNECTION", "").partition(" ")[0]
    return Actor(_login(uid), uid, source or None, os.uname().nodename, said or None)


def _login(uid: int) -> str:
    """The account's name; accounts without one exist in containers."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
