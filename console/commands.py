"""The command line: what a typed line asks for, and how it could go on. Pure.

A line is an action's name (or a beginning of it that only one has) and its argument: `theme light`,
`filter state:staged`, `open edge-fra-014`. What is wrong is refused with the nearest that is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from console import selection
from console.arrange import GROUPINGS, SORTS
from console.history import SPANS
from console.keys import Action, Home, actions_of
from console.ordering_words import CHANNELS, GRAMMARS, MODES, arguments_of
from console.palette import PALETTES
from console.rows import CHOICES, FIELDS, HostRow
from console.states import STATES
from console.visible import count_words, visible
from console.when import parse_when

ALIASES = {"q": "quit", "roll-back": "roll back"}
MOST = 200
"""Completions that are looked for; more help nobody."""
_NEAR_MOST = 2000
_CHOICES = {"theme": tuple(PALETTES), "sort": tuple(SORTS), "span": tuple(SPANS)}
_TYPED = {"open": "[HOST]"}
"""What may follow a name only on the command line: the key is about the cursor."""
_MOMENTS = ("2h", "1d", "7d", "yesterday", "14:30", "2026-11-24", "2026-11-24 03:12")
_SAVES = ("hosts.csv", "hosts.json", "screen.svg")


class CommandError(ConfigError):
    """A line that cannot be done; the message is one sentence."""

    def __init__(self, message: str) -> None:
        super().__init__("command", "", message)


@dataclass(frozen=True, slots=True)
class Command:
    """A line that was read."""

    action: Action
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What a line may name; what is empty is neither offered nor checked."""

    homes: tuple[Home, ...] = (Home.APP,)
    hosts: Sequence[str] = ()
    groups: Sequence[str] = ()
    labels: Sequence[str] = ()
    """Keys of labels."""
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What fields of a selection hold: `version`, `label.zone` -> words."""
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Arguments of actions by their name, where they are not the usual ones; others are refused."""
    now: datetime | None = None
    """The clock for `at`; without it moments are not checked."""

    @property
    def actions(self) -> tuple[Action, ...]:
        return actions_of(*self.homes)

    def choices_of(self, action: str) -> tuple[str, ...]:
        """What may follow the name of an action; nothing: anything may."""
        if action in self.choices:
            return tuple(self.choices[action])
        if action == "group":
            return (*GROUPINGS, *(f"label.{key}" for key in self.labels), "none")
        return _CHOICES.get(action, ())


@dataclass(frozen=True, slots=True)
class Completion:
    """One way for a line to go on."""

    line: str
    """The whole line then."""
    word: str
    """What is added or replaced, as a list shows it."""
    help: str = ""


def known_of(rows: Sequence[HostRow], homes: tuple[Home, ...], now: datetime) -> Known:
    """What a fleet's rows give to name."""
    labels = sorted({key for row in rows for key in row.labels})
    values = {name: _values(FIELDS[name](row) for row in rows) for name in _READ}
    for key in labels:
        values[f"label.{key}"] = _values((row.labels[key],) for row in rows if key in row.labels)
    return Known(
        homes=homes,
        hosts=[row.name for row in rows],
        groups=sorted({group for row in rows for group in row.groups}),
        labels=labels,
        values=values,
        now=now,
    )


_READ = ("version", "channel", "behind", "extension", "oem", "arch", "order")


def _values(found: Iterable[Iterable[str]]) -> list[str]:
    return sorted({word for words in found for word in words})[:MOST]


# Reading a line


def parse(line: str, known: Known) -> Command:
    """What `line` asks for, with or without its colon. Raises CommandError or SelectionError."""
    text = line.strip().removeprefix(":").strip()
    if not text:
        raise CommandError("a command is missing; ? lists them")
    action, rest = _action(text, known)
    return Command(action, _argument(action, rest.strip(), known))


def _action(text: str, known: Known) -> tuple[Action, str]:
    """The action that a line begins with, and what follows; two words before one, names before beginnings."""
    words = text.lower().split()
    by_name = {action.name: action for action in known.actions}
    for count in (2, 1):
        typed = " ".join(words[:count])
        if len(words) < count:
            continue
        name = typed if typed in by_name else ALIASES.get(typed, "")
        found = [by_name[name]] if name in by_name else _beginning_with(typed, known)
        if len(found) == 1:
            return found[0], _after(text, count)
        if found and count == 1:
            raise CommandError(f'"{_shown(typed)}" could be {", ".join(action.name for action in found)}')
    raise CommandError(f'no command "{_shown(words[0])}" here{did_you_mean(words[0][:100], by_name)}')


def _beginning_with(typed: str, known: Known) -> list[Action]:
    return [action for action in known.actions if action.name.startswith(typed)]


def _after(text: str, words: int) -> str:
    """What follows the first words; its own blanks are kept."""
    return (text.split(None, words) + [""] * (words + 1))[words]


def argument_of(action: Action) -> str:
    """What may follow its name, as help shows it; in brackets where it need not."""
    return action.argument or _TYPED.get(action.name, "")


def _argument(action: Action, text: str, known: Known) -> str:
    if not argument_of(action):
        if text:
            raise CommandError(f"{action.name} takes nothing after it")
        return ""
    if not text:
        if not argument_of(action).startswith("["):
            raise CommandError(f"{action.name} needs {action.argument}")
        return ""
    if action.verb is not None:
        arguments_of(action.verb, text)
        return text
    if action.name == "filter":
        selection.parse(text, known.hosts or None, known.groups or None)
    elif action.name == "at" and known.now is not None:
        parse_when(text, known.now, place="at")
    elif action.name == "open":
        return _chosen("host", text, known.hosts)
    return _chosen(action.name, text, known.choices_of(action.name))


def _chosen(what: str, text: str, choices: Sequence[str]) -> str:
    """The one of `choices` that is meant: itself, or the only one that begins so."""
    if not choices or text in choices:
        return text
    found = [word for word in choices if word.lower().startswith(text.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {count_words(len(found) - 5)} more" if len(found) > 5 else ""
        raise CommandError(f'"{_shown(text)}" could be {", ".join(found[:5])}{more}')
    near = [word for word in choices if word[:2].lower() == text[:2].lower()][:_NEAR_MOST]
    raise CommandError(
        f'unknown {what} "{_shown(text)}"{did_you_mean(text[:100], near or choices[:_NEAR_MOST])}'
    )


def _shown(text: str) -> str:
    return visible(text, 40)


# How a line could go on


def complete(line: str, known: Known) -> list[Completion]:
    """Ways to go on from the end of `line`, in the order of the registry or of the alphabet."""
    text = line.lstrip().removeprefix(":").lstrip()
    found = _named_so_far(text, known)
    if found is None:
        return [
            Completion(action.name + (" " if argument_of(action) else ""), action.name, action.help)
            for action in known.actions
            if action.name.startswith(text.lower())
        ]
    action, argument = found
    head = f"{action.name} "
    if action.name == "filter":
        start = _last_term(argument)
        words = _terms(argument[start:], known)
        return [Completion(head + argument[:start] + word, word, help) for word, help in words][:MOST]
    if action.verb is not None:
        start = _last_term(argument)
        words_of_verb = _of_verb(action, argument[:start].strip(), argument[start:], known)
        return [Completion(head + argument[:start] + word, word, "") for word in words_of_verb]
    return [Completion(head + word, word, "") for word in _arguments(action, argument, known)]


def _named_so_far(text: str, known: Known) -> tuple[Action, str] | None:
    """The action and the beginning of its argument, once a blank says that the name is complete."""
    for action in sorted(known.actions, key=lambda one: -len(one.name)):
        if argument_of(action) and text.lower().startswith(f"{action.name} "):
            return action, text[len(action.name) + 1 :].lstrip()
    return None


def _arguments(action: Action, typed: str, known: Known) -> list[str]:
    words: Sequence[str] = known.choices_of(action.name)
    if action.name == "open":
        words = known.hosts
    elif action.name == "at":
        words = _MOMENTS
    elif action.name == "save":
        words = _SAVES
    return _beginning(typed, words)


def _of_verb(action: Action, before: str, typed: str, known: Known) -> list[str]:
    """A verb's own word, where it is the first, and its options; of a reason nobody knows the words."""
    grammar = GRAMMARS[action.verb or ""]
    if grammar.word and not before and not typed.startswith("-"):
        own = {"CHANNEL": CHANNELS, "MODE": MODES}.get(grammar.word, known.values.get("version", ()))
        return _beginning(typed, own)
    return [] if grammar.text else _beginning(typed, grammar.options)


def _beginning(typed: str, words: Sequence[str]) -> list[str]:
    """The words that begin so; where none does, those that hold it."""
    wanted = typed.lower()
    found = [word for word in words if word.lower().startswith(wanted)]
    return (found or [word for word in words if wanted in word.lower()])[:MOST]


def _last_term(text: str) -> int:
    """Where the term under the cursor begins: after the last blank or parenthesis that is in no quotes."""
    start, quote = 0, ""
    for index, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in " ()":
            start = index + 1
    return start


def _terms(typed: str, known: Known) -> list[tuple[str, str]]:
    """What a term of a selection could become, each with what it is."""
    if typed.startswith("@"):
        return [(f"@{name}", "group") for name in _beginning(typed[1:], known.groups)]
    name, sign, value = typed.partition(":")
    if sign:
        words = _beginning(value.strip("\"'"), _values_of(name.lower(), known))
        return [(f"{name}:{_quoted(word)}", _meaning(name, word)) for word in words]
    fields = [*FIELDS, *(f"label.{key}" for key in known.labels)]
    terms = [(f"{field}:", "field") for field in fields if field.startswith(typed.lower())]
    return terms + ([(name, "host") for name in _beginning(typed, known.hosts)] if typed else [])


def _values_of(name: str, known: Known) -> Sequence[str]:
    if name == "group":
        return known.groups
    if name == "state":
        return tuple(STATES)
    return CHOICES.get(name) or known.values.get(name, ())


def _meaning(name: str, word: str) -> str:
    style = STATES.get(word) if name == "state" else None
    return style.meaning if style else ""


def _quoted(word: str) -> str:
    """As a selection takes it: in quotes where blanks or signs would end it."""
    if not any(char in word for char in " ()\"'"):
        return word
    return '"' + word.replace('"', '\\"') + '"'
