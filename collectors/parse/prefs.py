"""update_engine's own memory, as the probe prints it: `dir TAB 1`, then one `key TAB value` per file.

No `dir` line: the daemon has never stored anything, and every field is None. A line that no newline ends
is not read: its value may go on. Unknown keys are left out.
Source: flatcar/update_engine:src/update_engine/payload_state.cc@7382641.
"""

from __future__ import annotations

from datetime import datetime

from collectors.errors import ParseError
from collectors.facts import Prefs
from collectors.parse.text import clean, instant, integer, whole_lines


def parse_prefs(text: str) -> Prefs:
    """The prefs that were read. Raises ParseError naming the key whose number is none.

    An empty version file is "" (emptied at a check); an empty number file, and a back-off of 0, are None.
    """
    values: dict[str, str] = {}
    for line in whole_lines(text):
        key, tab, value = line.partition("\t")
        if tab:
            values.setdefault(key, value)
    return Prefs(
        previous_version=_version(values, "previous-version"),
        aleph_version=_version(values, "aleph-version"),
        next_operation=_number(values, "update-state-next-operation"),
        attempt_number=_number(values, "payload-attempt-number"),
        backoff_until=_time(values, "backoff-expiry-time"),
        failures=_number(values, "delta-update-failures"),
    )


def _version(values: dict[str, str], key: str) -> str | None:
    value = values.get(key)
    return None if value is None else clean(value)


def _number(values: dict[str, str], key: str) -> int | None:
    value = values.get(key)
    if value is None or not value.strip():
        return None
    number = integer(value)
    if number is None or not -(2**63) <= number < 2**63:
        raise ParseError(f"prefs {key} is no number: {clean(value)}")
    return number


def _time(values: dict[str, str], key: str) -> datetime | None:
    seconds = _number(values, key)
    if not seconds:
        return None
    time = instant(seconds)
    if time is None:
        raise ParseError(f"prefs {key} is no time: {seconds}")
    return time
