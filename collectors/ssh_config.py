"""Reads ssh_config files: the ten keywords that say how to reach a host, and nothing else.

A file is read once; a lookup costs the same however many hosts it names. Nothing in it is ever run:
`Match exec` is skipped like all of `Match` but `Match all`. What is not taken is listed in `warnings`.
Source of the format: ssh_config(5) of OpenSSH 9.2.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from collectors.errors import ConfigError
from collectors.parse.text import clean

_TAKEN = frozenset(
    (
        "hostname",
        "port",
        "user",
        "identityfile",
        "identityagent",
        "certificatefile",
        "proxyjump",
        "proxycommand",
        "hostkeyalias",
        "connecttimeout",
    )
)
_ACCUMULATE = frozenset(("identityfile", "certificatefile"))
_MAX_DEPTH = 16
_MAX_FILES = 1000
_LINE = re.compile(r"([A-Za-z][A-Za-z0-9]*)(?:\s*=\s*|\s+|$)(.*)")
_PIECE = re.compile(r"\"((?:\\.|[^\"\\])*)\"|'([^']*)'|(\s+)|((?:\\.|[^\s\"'\\])+)|(.)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\"'\\ ])")
_TIME = re.compile(r"(?:[0-9]{1,9}[smhdw])*(?:[0-9]{1,9})?", re.IGNORECASE)
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


class Value(NamedTuple):
    """What one line says: `keyword` in small letters, and where it stands."""

    keyword: str
    text: str
    file: str
    line: int

    def wrong(self, message: str) -> ConfigError:
        return ConfigError(self.file, f"line {self.line}", f"{self.keyword}: {message}")


class _Hosts(NamedTuple):
    """The patterns of one Host line."""

    plain: frozenset[str]
    wild: re.Pattern[str] | None
    negated: re.Pattern[str] | None

    def match(self, name: str) -> bool:
        if self.negated and self.negated.fullmatch(name):
            return False
        return name in self.plain or bool(self.wild and self.wild.fullmatch(name))


class _Block(NamedTuple):
    """Lines that hold where all `conditions` match; more than one where a Host block includes a file."""

    conditions: tuple[_Hosts, ...]
    values: list[Value]


class SshConfig:
    """What the files say. `warnings` name each keyword that is not taken, once a file."""

    def __init__(self, blocks: Iterable[_Block] = (), warnings: tuple[str, ...] = ()) -> None:
        self.warnings = warnings
        self._blocks = list(blocks)
        self._by_name: dict[str, list[int]] = {}
        self._by_pattern: list[int] = []
        for number, block in enumerate(self._blocks):
            first = block.conditions[0] if len(block.conditions) == 1 else None
            if first is None or first.wild or first.negated:
                self._by_pattern.append(number)
                continue
            for name in first.plain:
                self._by_name.setdefault(name, []).append(number)

    def lookup(self, name: str) -> dict[str, tuple[Value, ...]]:
        """Keyword in small letters -> its values for a host; one, but for identities and certificates.

        ProxyJump and ProxyCommand compete: whichever comes first stands under "proxy".
        """
        numbers = self._by_name.get(name, []) + [
            number
            for number in self._by_pattern
            if all(condition.match(name) for condition in self._blocks[number].conditions)
        ]
        found: dict[str, tuple[Value, ...]] = {}
        for number in sorted(numbers):
            for value in self._blocks[number].values:
                slot = "proxy" if value.keyword.startswith("proxy") else value.keyword
                if slot in _ACCUMULATE:
                    found[slot] = (*found.get(slot, ()), value)
                else:
                    found.setdefault(slot, (value,))
        return found


def read_ssh_config(path: Path, *, home: Path) -> SshConfig:
    """Read `path` and what it includes; relative includes are under `home`/.ssh.

    Raises ConfigError for files that cannot be read or that others may write, for includes that do not
    end, and for lines with a taken keyword that make no sense.
    """
    reader = _Reader(home)
    reader.read(path, (), ())
    return SshConfig(reader.blocks, reader.warnings())


class _Reader:
    """Collects blocks and ignored keywords over all files, in the order in which ssh reads them."""

    def __init__(self, home: Path) -> None:
        self.blocks: list[_Block] = []
        self._home = home
        self._ignored: dict[tuple[str, str], list[int]] = {}
        self._files = 0

    def read(self, path: Path, outer: tuple[_Hosts, ...], above: tuple[Path, ...]) -> None:
        self._check(path, above)
        file = str(path)
        block: _Block | None = self._open(outer)
        for number, raw in enumerate(_text(path).split("\n"), start=1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            name, rest = match.groups() if match else ("a line without keyword", "")
            keyword = name.lower()
            if keyword in ("host", "match"):
                conditions = self._condition(keyword, rest, file, number)
                block = None if conditions is None else self._open(outer + conditions)
            elif block is None:
                continue  # under a Match that is not read
            elif keyword == "include":
                for included in self._included(rest, file, number):
                    self.read(included, block.conditions, (*above, path))
                block = self._open(block.conditions)
            elif keyword in _TAKEN:
                block.values.append(_value(keyword, rest, file, number))
            else:
                self._ignore(file, name, number)

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"{file}:{lines[0]}: {keyword} is not used by fleetctl{_also(lines[1:])}"
            for (file, keyword), lines in self._ignored.items()
        )

    def _open(self, conditions: tuple[_Hosts, ...]) -> _Block:
        block = _Block(conditions, [])
        self.blocks.append(block)
        return block

    def _check(self, path: Path, above: tuple[Path, ...]) -> None:
        self._files += 1
        if path in above:
            raise ConfigError(str(above[-1]), "Include", f"{path} includes itself")
        if len(above) >= _MAX_DEPTH or self._files > _MAX_FILES:
            raise ConfigError(str(path), "Include", "too many files, or one in the other too deeply")

    def _condition(self, keyword: str, rest: str, file: str, number: int) -> tuple[_Hosts, ...] | None:
        """What a Host or Match line asks for; None if its lines are to be skipped."""
        words = _words(rest)
        if keyword == "host":
            if not words:
                raise ConfigError(file, f"line {number}", "Host: no pattern, or a quote without its end")
            return (_hosts(words),)
        if words is not None and [word.lower() for word in words] == ["all"]:
            return ()
        self._ignore(file, "Match (and what stands under it)", number)
        return None

    def _included(self, rest: str, file: str, number: int) -> list[Path]:
        words = _words(rest)
        if not words:
            raise ConfigError(file, f"line {number}", "Include: no file, or a quote without its end")
        found: list[Path] = []
        for word in words:
            pattern = os.path.join(self._home, ".ssh", expand_home(word, self._home))
            found += [Path(name) for name in sorted(glob.glob(pattern))]
        return found

    def _ignore(self, file: str, keyword: str, number: int) -> None:
        self._ignored.setdefault((file, keyword), []).append(number)


def _also(lines: list[int]) -> str:
    if not lines:
        return ""
    shown = ", ".join(str(line) for line in lines[:5]) + (", …" if len(lines) > 5 else "")
    return f" (also line {shown})"


def _text(path: Path) -> str:
    """The file's text. Like ssh, refuses a file that somebody else could have written."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigError(str(path), "", "not a file")
            if status.st_uid not in (0, os.getuid()) or status.st_mode & stat.S_IWOTH:
                raise ConfigError(str(path), "", f"others may write it; chmod 600 {path}")
            return file.read().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from error


def _words(text: str) -> list[str] | None:
    """Words of a line: quotes may hold blanks, # begins a comment. None: a quote has no end."""
    words: list[str] = []
    is_open = False
    for double, single, blank, bare, other in _PIECE.findall(text):
        if other:
            return None
        if blank:
            is_open = False
            continue
        if bare.startswith("#") and not is_open:
            break
        piece = single or _ESCAPED.sub(r"\1", double or bare)
        if is_open:
            words[-1] += piece
        else:
            words.append(piece)
        is_open = True
    return words


def _hosts(patterns: list[str]) -> _Hosts:
    negated = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    positive = [pattern for pattern in patterns if not pattern.startswith("!")]
    wild = [pattern for pattern in positive if "*" in pattern or "?" in pattern]
    return _Hosts(frozenset(positive).difference(wild), _compiled(wild), _compiled(negated))


def _compiled(patterns: list[str]) -> re.Pattern[str] | None:
    if not patterns:
        return None
    # ssh knows no [character classes], fnmatch does.
    return re.compile("|".join(fnmatch.translate(pattern.replace("[", "[[]")) for pattern in patterns))


def _value(keyword: str, rest: str, file: str, number: int) -> Value:
    """The one value of a line with a taken keyword. Raises ConfigError if it makes no sense."""
    value = Value(keyword, rest, file, number)
    if keyword == "proxycommand":
        if not rest:
            raise value.wrong("no value")
        return value
    words = _words(rest)
    if words is None or len(words) != 1 or not words[0]:
        raise value.wrong(f'one value is needed, blanks within it in "quotes", not {clean(rest)}')
    value = value._replace(text=words[0])
    if keyword == "port" and not (re.fullmatch(r"[0-9]{1,5}", value.text) and 1 <= int(value.text) <= 65535):
        raise value.wrong(f"{clean(value.text)} is not a number from 1 to 65535")
    if keyword == "connecttimeout" and value.text != "none" and not _TIME.fullmatch(value.text):
        raise value.wrong(f"{clean(value.text)} is not a number of seconds")
    return value


def seconds(value: Value) -> float | None:
    """Seconds of ConnectTimeout: "10", "1m30s"; None for "none" and for 0, the system's own limit."""
    parts = re.findall(r"([0-9]+)([smhdw]?)", value.text.lower())
    return float(sum(int(number) * _UNIT_S[unit] for number, unit in parts)) or None


def expand_home(text: str, home: Path) -> str:
    """`~`, `~/x` under `home`; `~name` under that user's home."""
    if text == "~" or text.startswith("~/"):
        return str(home) + text[1:]
    return os.path.expanduser(text) if text.startswith("~") else text
