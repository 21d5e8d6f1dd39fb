"""`updates`: switch the host's own updates on or off by the SERVER line; boots are confirmed either way."""

from __future__ import annotations

from actions.orders import Verb
from actions.remote import words
from actions.remote.conf import FAST, UPDATES
from actions.remote.order import order_text

_FORMS = {"mode": "^(on|off|managed)$", "server": words.SERVER_OR_NONE}

_SCRIPT = (
    FAST
    + r"""
check() {
updater && refuse updater-running
}
body() {
updates "${I[mode]}" "${I[server]}" || {
tell SERVER could not be written
drop
return 81
}
finish
}
"""
)

UPDATES_ORDER = order_text(Verb.UPDATES, _FORMS, _SCRIPT, UPDATES)


def updates_values(mode: str, server: str | None = None) -> dict[str, str]:
    """Values of UPDATES_ORDER; `server` is what `on` sets, None: it only takes SERVER=disabled away."""
    return words.checked({"mode": mode, "server": server or "-"}, _FORMS)
