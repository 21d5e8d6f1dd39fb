"""Typed reads of one TOML table; a value that is wrong becomes a mistake with its key path.

Patterns are texts, compiled at their first use: no run needs them all, and every command starts here.
Nothing here raises for a wrong value: the read answers None (or an empty tuple) and `Mistakes` has
one entry more, so that one pass over a file finds all that is wrong with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TypeGuard, TypeVar

from collectors.errors import ConfigError
from collectors.fleet_keys import KEYS_OF, did_you_mean
from collectors.fleet_model import Share
from collectors.host_names import NAME_FORM, is_name
from collectors.parse.text import clean

_BARE_KEY = r"[A-Za-z0-9_-]+"
_DURATION = r"([0-9]{1,9})([smhd])"
_SHARE = r"([0-9]{1,9})(%?)"
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 10 * 366 * 86400
CHANNELS = ("alpha", "beta", "stable", "lts", "edge")
_LTS_YEAR = r"lts-20[0-9]{2}"
_SERVER_GROUP = r"[A-Za-z0-9._-]{1,100}"
_OWN_GROUP = r"[0-9.A-Z-]"
_PLACEHOLDER = r"\{([A-Za-z_]+)\}"

T = TypeVar("T")
Word = TypeVar("Word", bound=StrEnum)


class FleetFileInvalid(ConfigError):
    """A fleet file with one mistake or more, in the order in which they were found."""

    def __init__(self, mistakes: tuple[ConfigError, ...]) -> None:
        first = mistakes[0]
        super().__init__(first.file, first.place, first.message)
        self.args = ("\n".join(str(mistake) for mistake in mistakes),)
        self.mistakes = mistakes


class Mistakes:
    """What was found wrong with one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[ConfigError] = []

    def add(self, place: str, message: str) -> None:
        self._found.append(ConfigError(self.file, place, message))

    def unknown(self, place: str, what: str, word: str, known: Iterable[str]) -> None:
        """`what` is the noun for `word`, which should have been one of `known`."""
        self.add(place, f"unknown {what} {quoted(word)}{did_you_mean(word, known)}")

    def raise_any(self) -> None:
        """Raises FleetFileInvalid if anything was found."""
        if self._found:
            raise FleetFileInvalid(tuple(self._found))


def quoted(value: object) -> str:
    """A value from the file, fit for one line of a message."""
    match value:
        case str():
            return f'"{clean(value)}"'
        case bool():
            return "true" if value else "false"
        case dict():
            return "a table"
        case list():
            return "a list"
        case int() if value.bit_length() > 64:
            return "a huge number"  # Python refuses to write out thousands of digits
    return clean(str(value))


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


class Table:
    """One table of the file. `place` is its key path, `form` its path in `KNOWN_KEYS`.

    Unknown keys are mistakes as soon as it is made. Reads take a key of KNOWN_KEYS.
    """

    def __init__(self, mistakes: Mistakes, data: dict[str, object], place: str = "", form: str = "") -> None:
        self.mistakes = mistakes
        self.data = data
        self.place = place
        self.form = form
        for key in data:
            if key not in KEYS_OF[form]:
                mistakes.unknown(self.at(key), "key", key, KEYS_OF[form])

    def at(self, key: str) -> str:
        """Key path of `key` in this table."""
        shown = key if re.fullmatch(_BARE_KEY, key) else quoted(key)
        return f"{self.place}.{shown}" if self.place else shown

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def wrong(self, key: str, message: str) -> None:
        self.mistakes.add(self.at(key), message)

    def require(self, key: str, why: str) -> None:
        if key not in self.data:
            self.wrong(key, f"missing: {why}")

    # One value

    def text(self, key: str) -> str | None:
        """A line of text: not empty, no control characters."""
        value = self.data.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong(key, f"{quoted(value)} is not a text in quotes")
        elif _is_line(value):
            return value
        else:
            self.wrong(key, "must be one line of text, not empty, without control characters")
        return None

    def name(self, key: str) -> str | None:
        text = self.text(key)
        if text is None or is_name(text):
            return text
        self.wrong(key, f"{quoted(text)} is not a name: {NAME_FORM}")
        return None

    def matching(self, key: str, pattern: str, form: str) -> str | None:
        text = self.text(key)
        if text is None or re.fullmatch(pattern, text):
            return text
        self.wrong(key, f"{quoted(text)} is not {form}")
        return None

    def flag(self, key: str, default: bool) -> bool:
        value = self.data.get(key, default)
        if isinstance(value, bool):
            return value
        self.wrong(key, f"{quoted(value)} is neither true nor false")
        return default

    def number(self, key: str, low: int, high: int) -> int | None:
        value = self.data.get(key)
        if value is None:
            return None
        if _is_int(value) and low <= value <= high:
            return value
        self.wrong(key, f"{quoted(value)} is not a whole number from {low} to {high}")
        return None

    def duration_s(self, key: str, *, zero: bool = False, longest_s: int = _LONGEST_S) -> int | None:
        """Seconds of a text like "10s", "15m", "24h", "400d"; `zero`: "0s" makes sense here."""
        value = self.data.get(key)
        if value is None:
            return None
        match = re.fullmatch(_DURATION, value) if isinstance(value, str) else None
        if match is None:
            self.wrong(key, f'{quoted(value)} is not a duration like "10s", "15m", "24h" or "400d"')
            return None
        duration_s = int(match[1]) * _UNIT_S[match[2]]
        if duration_s == 0 and not zero:
            self.wrong(key, "must be longer than 0")
        elif duration_s > longest_s:
            self.wrong(key, f"{quoted(value)} is too long: at most {longest_s // 86400}d")
        else:
            return duration_s
        return None

    def share(self, key: str) -> Share | None:
        """A whole number or "N%", at least 1 (1%), at most 100%."""
        value = self.data.get(key)
        if value is None:
            return None
        text = quoted(value) if _is_int(value) else value
        match = re.fullmatch(_SHARE, text) if isinstance(text, str) else None
        if match is None:
            self.wrong(key, f'{quoted(value)} is neither a number of hosts nor a percentage like "10%"')
            return None
        share = Share(int(match[1]), is_percent=bool(match[2]))
        if 1 <= share.number <= (100 if share.is_percent else share.number):
            return share
        self.wrong(key, f"{quoted(value)} is out of range: at least 1, at most 100%")
        return None

    def choice(self, key: str, words: type[Word], default: Word) -> Word:
        text = self.text(key)
        if text is None:
            return default
        try:
            return words(text)
        except ValueError:
            self.mistakes.unknown(self.at(key), "word", text, [word.value for word in words])
            return default

    def url(self, key: str) -> str | None:
        text = self.text(key)
        if text is not None and not is_http_url(text):
            self.wrong(key, f"{quoted(text)} is not an http:// or https:// URL")
            return None
        return text

    # Several values

    def items_at(self, key: str) -> list[tuple[int, str]]:
        """The lines of text in a list, each with its index."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, f'{quoted(value)} is not a list of texts, like ["a", "b"]')
            return []
        good: list[tuple[int, str]] = []
        for index, item in enumerate(value):
            if isinstance(item, str) and _is_line(item):
                good.append((index, item))
            else:
                self.wrong_item(key, index, f"{quoted(item)} is not a line of text in quotes")
        return good

    def items(self, key: str, check: Callable[[str], str | None]) -> tuple[str, ...]:
        """The texts of a list; `check` says what is wrong with one of them, or None."""
        good: list[str] = []
        for index, item in self.items_at(key):
            problem = check(item)
            if problem is None:
                good.append(item)
            else:
                self.wrong_item(key, index, problem)
        return tuple(good)

    def wrong_item(self, key: str, index: int, message: str) -> None:
        self.mistakes.add(f"{self.at(key)}[{index}]", message)

    def argv(self, key: str, placeholders: Iterable[str]) -> tuple[str, ...]:
        """Program and arguments; the program itself holds no placeholder."""
        words = self.items(key, lambda word: unknown_placeholder(word, placeholders))
        if self.data.get(key) == []:
            self.wrong(key, "must name a program")
        elif words and re.search(_PLACEHOLDER, words[0]):
            self.wrong_item(key, 0, "the program must be written out, without { }")
        return words

    def free(self, key: str) -> dict[str, object]:
        """A table whose keys the operator chooses, each a name."""
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            self.wrong(key, f"{quoted(value)} is not a table, like {{ a = … }}")
            return {}
        for name in value:
            if not is_name(name):
                self.wrong(key, f"{quoted(name)} is not a name: {NAME_FORM}")
        return {name: item for name, item in value.items() if is_name(name)}

    def free_at(self, key: str, name: str) -> str:
        """Key path of one entry of `free(key)`."""
        return f"{self.at(key)}.{name if re.fullmatch(_BARE_KEY, name) else quoted(name)}"

    def table(self, key: str) -> Table:
        """The table under `key`; an empty one if there is none."""
        found = self._table(self.data.get(key, {}), self.at(key), self._form(key))
        return found if found is not None else Table(self.mistakes, {}, self.at(key), self._form(key))

    def tables(self, key: str) -> list[Table]:
        """The array of tables under `key`."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.wrong(key, f"{quoted(value)} is not an array of tables")
            return []
        form = f"{self._form(key)}[]"
        found = [self._table(item, f"{self.at(key)}[{index}]", form) for index, item in enumerate(value)]
        return [table for table in found if table is not None]

    def named_tables(self, key: str) -> dict[str, Table]:
        """The tables under `key.NAME`, by name."""
        form = f"{self._form(key)}.*"
        found = {
            name: self._table(item, self.free_at(key, name), form) for name, item in self.free(key).items()
        }
        return {name: table for name, table in found.items() if table is not None}

    def _form(self, key: str) -> str:
        return f"{self.form}.{key}" if self.form else key

    def _table(self, value: object, place: str, form: str) -> Table | None:
        if isinstance(value, dict):
            return Table(self.mistakes, value, place, form)
        self.mistakes.add(place, f"{quoted(value)} is not a table")
        return None


def or_default(value: T | None, default: T) -> T:
    """`value`, where nothing was said or a mistake was noted: `default`."""
    return default if value is None else value


def is_http_url(text: str) -> bool:
    from urllib.parse import urlsplit  # 2 ms of start-up that a file without URLs does not pay

    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text


def unknown_placeholder(text: str, known: Iterable[str]) -> str | None:
    """What to say of a {word} in `text` that is none of `known`; None if there is none."""
    for match in re.finditer(_PLACEHOLDER, text):
        if match[1] not in known:
            return f"unknown placeholder {match[0]}{did_you_mean(match[1], known)}"
    return None


def _is_line(text: str) -> bool:
    return bool(text.strip()) and text.isprintable()


def channel_problem(text: str) -> str | None:
    """What is wrong with a wanted channel or server group; None if it may be one.

    Channels are CHANNELS and lts-YYYY. Any other word is a group on the operator's own update server,
    unless it is a slip: near a channel and without a digit, dash, dot or capital, or one in capitals.
    """
    if text in CHANNELS or re.fullmatch(_LTS_YEAR, text):
        return None
    if not re.fullmatch(_SERVER_GROUP, text):
        return f"{quoted(text)} is not a channel or server group: letters, digits and . _ -"
    is_own = re.search(_OWN_GROUP, text) and text.lower() not in CHANNELS
    slip = "" if is_own else did_you_mean(text.lower(), CHANNELS)
    return f"unknown channel {quoted(text)}{slip}" if "did you mean" in slip else None
