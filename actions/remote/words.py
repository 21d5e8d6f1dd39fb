"""Exit statuses of orders on a host, and the values that may enter one.

A value is checked twice by the same expression: here before anything is sent, and on the host before anything
is done, so the expressions are written in what Python's `re` and bash's `[[ =~ ]]` both read alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum


class Exit(IntEnum):
    """How an order's text ends: the first group on the SSH channel, the second as its unit's status."""

    STARTED = 0
    """The unit runs, or ran, under this order's name."""
    NOT_ALLOWED = 1
    """sudo's own refusal: nothing of ours was run."""
    MALFORMED = 65
    """What came on stdin is cut or not in its form; nothing was done."""
    NOT_STARTED = 69
    """The host could not take or start the order; nothing was done."""
    TAKEN = 75
    """Another order is on the host; nothing was done."""
    REFUSED = 77
    """The host's state forbids the verb; nothing was done. As a unit's status: the state changed after the
    start, and the verb stopped before its first step."""
    MOVED = 87
    """The host is not as the plan saw it; nothing was done."""

    STEP_FAILED = 81
    """Unit: a step failed; what can be undone was undone, the unit's lines name the step."""
    NOT_UNDONE = 82
    """Unit: a step failed, and undoing what came before it failed too."""
    BAD_PAYLOAD = 83
    """Unit: an uploaded file is missing or its checksum differs; nothing was staged."""


ORDER = "^o-[0-9a-z]{6,20}$"
PERSON = "^[A-Za-z0-9?][A-Za-z0-9?@._+-]{0,63}$"
SECONDS = "^[1-9][0-9]{0,6}$"
BOOT_ID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
FLAGS = "^priority=[0-9]{1,2} tries=[0-9]{1,2} successful=[01]$"
FLAGS_OR_NONE = "^(-|priority=[0-9]{1,2} tries=[0-9]{1,2} successful=[01])$"
OPERATION = "^(-|UPDATE_STATUS_[A-Z_]{1,40})$"
DIGEST = "^(absent|[0-9a-f]{64})$"
DIGEST_OR_NONE = "^(-|absent|[0-9a-f]{64})$"
ORDER_OR_NONE = "^(-|o-[0-9a-z]{6,20})$"
VERSION = "^[0-9]{1,5}[.][0-9]{1,4}[.][0-9]{1,4}$"
VERSION_OR_NONE = "^(-|[0-9]{1,5}[.][0-9]{1,4}[.][0-9]{1,4})$"
GROUP_OR_NONE = "^(-|[a-z0-9][a-z0-9._-]{0,63})$"
SERVER_OR_NONE = "^(-|[A-Za-z0-9][A-Za-z0-9:/._~%?&=@+,-]{0,400})$"
SLOT = "^[AB]$"
YES_NO = "^(yes|no)$"


class Unsendable(ValueError):
    """A value that may not enter an order; `key` is its name on stdin."""

    def __init__(self, key: str, value: str) -> None:
        shown = value if value.isprintable() and len(value) <= 80 else f"{value[:80]!a}…"
        super().__init__(f"{key}: {shown} is not in the form that a host accepts")
        self.key = key
        self.value = value


def checked(values: Mapping[str, str], forms: Mapping[str, str]) -> dict[str, str]:
    """`values` in the order of `forms` (key -> expression). Raises Unsendable, for a key too many too."""
    for key in [*values, *forms]:
        if key not in forms or key not in values:
            raise Unsendable(key, values.get(key, ""))
    for key, form in forms.items():
        if not re.fullmatch(form.removeprefix("^").removesuffix("$"), values[key], flags=re.ASCII):
            raise Unsendable(key, values[key])
    return {key: values[key] for key in forms}


def person(text: str) -> str:
    """An actor's or console's name in the letters an order may carry; others become `?`. For reading only."""
    found = re.sub(r"[^A-Za-z0-9@._+-]", "?", text)[:64]
    return found if re.match(r"[A-Za-z0-9?]", found) else f"?{found}"[:64]
