"""Which hosts a text selects: the grammar of readers' arguments and of the dashboard's filter. Pure.

    bare text   part of a host's name or of its state     ~regex       over the name
    field:value  field!=value  field>=value (> < <=)      @group       edge-[01-05]
    and or not ( ), blanks mean and; `not` binds closest, `or` loosest; quotes keep blanks together

A value is a whole word whatever its case, `*` stands for any text, `unknown` for what is not known. The exact
name of a known host means that host only. Everything wrong raises SelectionError and nothing else.
"""

from __future__ import annotations

import operator
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from collectors.errors import ConfigError
from console.rows import CHOICES, FIELDS, HostRow, Read, label_of, like, number_key, state_words, version_key
from console.states import needs_attention
from console.visible import visible

MAX_CHARACTERS = 10_000
MAX_DEPTH = 50

Test = Callable[[HostRow], bool]
Key = tuple[float, ...]
Names = Collection[str]


class SelectionError(ConfigError):
    """A selection that cannot be read. `column` counts from 1 in `text`, the argument as typed."""

    def __init__(self, text: str, column: int, message: str) -> None:
        super().__init__("selection", f"column {column}", message)
        self.text = text
        self.column = column


@dataclass(frozen=True, slots=True)
class _Known:
    """Names of the fleet file; None where they are not checked."""

    hosts: Names | None
    groups: Names | None


@dataclass(frozen=True, slots=True)
class Selection:
    """A text that was read."""

    text: str
    """As typed, made one; "" is every host."""
    matches: Test
    loose: tuple[str, ...] = ()
    """Terms too loose for a verb: bare text, regular expressions, comparisons, `not`."""

    @property
    def is_all(self) -> bool:
        return not self.text


def parse(text: str, hosts: Names | None = None, groups: Names | None = None) -> Selection:
    """The selection that `text` is; blank text selects every host. Raises SelectionError.

    `hosts` and `groups` are the fleet's: given, every name is checked against them.
    """
    return _parse(text, _Known(hosts, groups))


def _parse(text: str, known: _Known) -> Selection:
    if len(text) > MAX_CHARACTERS:
        raise SelectionError(text, 1, f"longer than {MAX_CHARACTERS} characters")
    parser = _Parser(text, known)
    return Selection(text.strip(), parser.whole(), tuple(parser.loose))


def parse_arguments(
    arguments: Sequence[str],
    hosts: Names | None = None,
    groups: Names | None = None,
    *,
    exact: Sequence[str] = (),
    in_groups: Sequence[str] = (),
) -> Selection:
    """A command's arguments, its `--host` (`exact`) and `--group` (`in_groups`) options, united.

    Each argument is a selection; but where one is `and`, `or`, `not` or half of a pair of parentheses, the
    shell took one selection apart, and they are joined with blanks again. Raises SelectionError.
    """
    known = _Known(None if hosts is None else frozenset(hosts), groups)
    texts = [" ".join(arguments)] if any(map(_is_fragment, arguments)) else list(arguments)
    parts = [_parse(text, known) for text in texts]
    parts += [Selection(text, _named(_expanded(text, text, 1), known, text, 1)) for text in exact]
    names = [text.removeprefix("@") for text in in_groups]
    parts += [Selection(f"@{name}", _in_group(name, known, name, 1)) for name in names]
    parts = [part for part in parts if not part.is_all]
    if len(parts) <= 1:
        return parts[0] if parts else _parse("", known)
    text = " or ".join(f"({part.text})" if " " in part.text else part.text for part in parts)
    loose = tuple(term for part in parts for term in part.loose)
    return Selection(text, _any([part.matches for part in parts]), loose)


def _is_fragment(argument: str) -> bool:
    return argument.lower() in _JOINING or argument.count("(") != argument.count(")")


# Words of a text


_JOINING = ("and", "or", "not")
_QUOTES = "\"'"
_OPENERS = ":=<>@~"
_FIELD = re.compile(r"([A-Za-z]+)(?:\.([^:=<>!\s]+))?(:?(?:!=|>=|<=|=|>|<)|:)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Word:
    """A term, a parenthesis or a joining word, and where it stands."""

    text: str
    column: int

    @property
    def kind(self) -> str:
        """`(`, `)`, `and`, `or`, `not`, or "" for a term."""
        return self.text.lower() if self.text.lower() in ("(", ")", *_JOINING) else ""


def _words(text: str) -> list[_Word]:
    words, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        end = at + 1 if text[at] in "()" else _term_end(text, at)
        words.append(_Word(text[at:end], at + 1))
        at = end
    return words


def _term_end(text: str, start: int) -> int:
    """Where the term from `start` ends: at a blank or parenthesis, save in quotes and regular expressions."""
    at = start
    while at < len(text) and not text[at].isspace():
        if text[at] in _QUOTES and (at == start or text[at - 1] in _OPENERS):
            return _quote_end(text, at)
        if text[at] == "~" and at == start and text[at + 1 : at + 2] not in ('"', "'"):
            return _regex_end(text, at + 1)
        if text[at] in "()":
            break
        at += 1
    return at


def _quote_end(text: str, start: int) -> int:
    at = start + 1
    while at < len(text) and text[at] != text[start]:
        at += 2 if text[at : at + 2] == "\\" + text[start] else 1
    if at >= len(text):
        raise SelectionError(text, start + 1, "this quote is never closed")
    return at + 1


def _regex_end(text: str, start: int) -> int:
    """A regular expression goes on to a blank, or to a closing parenthesis that it did not open."""
    at, depth, in_class = start, 0, False
    while at < len(text) and not text[at].isspace():
        char = text[at]
        if char == "\\":
            at += 1
        elif in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                break
        at += 1
    return min(at, len(text))


def _unquoted(text: str) -> str:
    if text[:1] and text[0] in _QUOTES:
        return text[1:-1].replace("\\" + text[0], text[0])
    return text


# Expressions


class _Parser:
    """Recursive descent over the words of one text."""

    def __init__(self, text: str, known: _Known) -> None:
        self.text = text
        self.known = known
        self.loose: list[str] = []
        self._words = _words(text)
        self._at = 0
        self._depth = 0

    def whole(self) -> Test:
        if not self._words:
            return lambda row: True
        test = self._or()
        if self._kind() == ")":
            raise self._wrong(self._words[self._at].column, "this parenthesis closes nothing")
        return test

    def _kind(self) -> str | None:
        """Kind of the word to come; None at the end."""
        return self._words[self._at].kind if self._at < len(self._words) else None

    def _wrong(self, column: int, message: str) -> SelectionError:
        return SelectionError(self.text, column, message)

    def _or(self) -> Test:
        tests = [self._and()]
        while self._kind() == "or":
            self._at += 1
            tests.append(self._and())
        return _any(tests)

    def _and(self) -> Test:
        tests = [self._not()]
        while self._kind() not in (None, ")", "or"):
            if self._kind() == "and":
                self._at += 1
            tests.append(self._not())
        return tests[0] if len(tests) == 1 else lambda row: all(test(row) for test in tests)

    def _not(self) -> Test:
        negated = False
        while self._kind() == "not":
            negated = not negated
            self.loose.append("not")
            self._at += 1
        test = self._atom()
        return (lambda row: not test(row)) if negated else test

    def _atom(self) -> Test:
        kind = self._kind()
        if kind is None:
            raise self._wrong(len(self.text) + 1, "something is missing at the end")
        word = self._words[self._at]
        if kind in (")", *_JOINING):
            raise self._wrong(word.column, f'something is missing before "{word.text}"')
        self._at += 1
        return self._inside(word) if kind == "(" else self._term(word)

    def _inside(self, opening: _Word) -> Test:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(opening.column, f"more than {MAX_DEPTH} parentheses inside each other")
        test = self._or()
        if self._kind() != ")":
            raise self._wrong(opening.column, "this parenthesis is never closed")
        self._at += 1
        self._depth -= 1
        return test

    def _term(self, word: _Word) -> Test:
        text = word.text
        if self.known.hosts is not None and text in self.known.hosts:
            return _named([text], self.known, self.text, word.column)
        if text[0] == "~":
            self.loose.append(text)
            return _regex(_unquoted(text[1:]), self.text, word.column)
        if text[0] == "@":
            return _in_group(_unquoted(text[1:]), self.known, self.text, word.column)
        found = _FIELD.fullmatch(text) if text[0] not in _QUOTES else None
        if found is not None:
            return self._field(word, found[1].lower(), found[2], found[3], found[4])
        if text[0] not in _QUOTES and ("[" in text or "]" in text):
            return _named(_expanded(text, self.text, word.column), self.known, self.text, word.column)
        self.loose.append(text)
        return _bare(_unquoted(text))

    def _field(self, word: _Word, field: str, key: str | None, sign: str, typed: str) -> Test:
        sign = sign.removeprefix(":") or ":"
        value = _unquoted(typed)
        if not typed:
            raise self._wrong(word.column + len(word.text), f"{field}{sign} needs a value")
        if field == "label":
            if not key:
                raise self._wrong(word.column, "label needs its key, as in label.zone:a")
        elif key and field in FIELDS:
            raise self._wrong(word.column, f"{field} takes no key, only label does")
        elif field not in FIELDS:
            raise self._wrong(word.column, _unknown("field", field, [*FIELDS, "label"]))
        read = label_of(key) if key else FIELDS[field]
        problem = self._value_problem(field, value) if sign in (":", "=", "!=") else None
        if problem:
            raise self._wrong(word.column, problem)
        if sign in (":", "="):
            return _equal(field, read, value)
        self.loose.append(word.text)
        if sign == "!=":
            test = _equal(field, read, value)
            return lambda row: not test(row)
        return self._compare(word, field, read, sign, value)

    def _value_problem(self, field: str, value: str) -> str | None:
        known = CHOICES.get(field)
        if field == "group" and self.known.groups is not None:
            known = (*self.known.groups, "unknown")
        if known is None or "*" in value or value.lower() in {word.lower() for word in known}:
            return None
        return _unknown(field, value, known)

    def _compare(self, word: _Word, field: str, read: Read, sign: str, value: str) -> Test:
        if field not in ("version", "behind", "label"):
            raise self._wrong(
                word.column, f"{sign} compares versions and numbers (version, behind, label.KEY), not {field}"
            )
        to_key = version_key if field == "version" else number_key
        wanted = to_key(value)
        if wanted is None:
            like = "a version like 4593.2.4" if field == "version" else "a number"
            raise self._wrong(word.column, f"{sign} needs {like}")
        return _ordered(read, to_key, sign, wanted)


def _any(tests: list[Test]) -> Test:
    return tests[0] if len(tests) == 1 else lambda row: any(test(row) for test in tests)


def _bare(text: str) -> Test:
    """Part of the name or of the state; with `*` the whole of either."""
    wanted = text.lower()
    if "*" in wanted:
        fits = like(wanted)
        return lambda row: fits(row.name) or any(map(fits, state_words(row)))
    return lambda row: wanted in row.name.lower() or any(wanted in word.lower() for word in state_words(row))


def _regex(pattern: str, text: str, column: int) -> Test:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of patterns whose meaning may change
            search = re.compile(pattern, re.IGNORECASE).search
    except (re.error, OverflowError, RecursionError) as error:
        raise SelectionError(text, column, f"not a regular expression: {visible(str(error))}") from error
    return lambda row: search(row.name) is not None


def _expanded(text: str, whole: str, column: int) -> list[str]:
    from collectors.host_names import HostTextInvalid, expand_hosts  # few selections hold a node set

    try:
        return expand_hosts(text)
    except HostTextInvalid as error:
        raise SelectionError(whole, column, str(error)) from error


def _named(names: list[str], known: _Known, text: str, column: int) -> Test:
    strange = [name for name in names if known.hosts is not None and name not in known.hosts]
    if strange:
        raise SelectionError(text, column, _unknown("host", strange[0], known.hosts or ()))
    wanted = frozenset(names)
    return lambda row: row.name in wanted


def _in_group(name: str, known: _Known, text: str, column: int) -> Test:
    if not name:
        raise SelectionError(text, column, "@ needs the name of a group")
    if known.groups is not None and name not in known.groups:
        raise SelectionError(text, column, _unknown("group", name, known.groups))
    return lambda row: name in row.groups


def _equal(field: str, read: Read, value: str) -> Test:
    if field == "needs":
        return lambda row: needs_attention(row.state)
    wanted = value.lower()
    fits: Callable[[str], object] = like(wanted)
    if field == "reason" and "*" not in wanted:
        fits = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)", re.IGNORECASE).search
    if wanted == "unknown":
        return lambda row: not any(True for _ in read(row)) or any(map(fits, read(row)))
    return lambda row: any(map(fits, read(row)))


def _ordered(read: Read, to_key: Callable[[str], Key | None], sign: str, wanted: Key) -> Test:
    """Rows whose value is known and compares; what is not known is neither more nor less."""
    compare = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}[sign]
    return lambda row: any(key is not None and compare(key, wanted) for key in map(to_key, read(row)))


def _unknown(what: str, word: str, known: Iterable[str]) -> str:
    from collectors.fleet_keys import did_you_mean  # only where something is wrong

    return f'unknown {what} "{visible(word, 60)}"{did_you_mean(word, known)}'
