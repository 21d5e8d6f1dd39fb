"""`channel`: write GROUP into update.conf, or take the host's own away, so that the image's counts again.

update_engine reads it at its next check; nothing is restarted. Source: flatcar/update_engine@7382641.
"""

from __future__ import annotations

from actions.orders import Verb
from actions.remote import words
from actions.remote.conf import FAST
from actions.remote.order import order_text
from actions.remote.shell import CONFIG

_FORMS = {"group": words.GROUP_OR_NONE}

_SCRIPT = (
    FAST
    + r"""
check() {
updater && refuse updater-running
}
body() {
rewrite GROUP "${I[group]}" || {
tell GROUP could not be written
drop
return 81
}
finish
}
"""
)

CHANNEL = order_text(Verb.CHANNEL, _FORMS, _SCRIPT, CONFIG)


def channel_values(group: str | None) -> dict[str, str]:
    """Values of CHANNEL; None takes the host's own GROUP away. Raises Unsendable."""
    return words.checked({"group": group or "-"}, _FORMS)
