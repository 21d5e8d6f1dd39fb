"""What may follow a verb on the dashboard's command line, turned into options of the command. Pure.

Hosts are the marked ones, and whether it is a dry run, confirmed or waited for is the dialog's affair: only
listed options pass. Each comes out as one word `--name=value`, so that no value can be taken for an option.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from console.visible import visible

_MANY = frozenset({"--force", "--accept-drop", "--extension-payload"})
"""May be repeated."""
_FLAGS = frozenset({"--and-updates-off"})
_ORDER = ("--at-once", "--timeout", "--force", "--reason", "--actor")
_REFUSED = {
    **dict.fromkeys(("--host", "--group", "--all", "--limit"), "the hosts are those that are marked"),
    **dict.fromkeys(("--yes", "--expect-hosts", "--expect-plan"), "the dialog asks for that"),
    "--dry-run": "the dialog shows the dry run first, v in it the commands",
    "--wait": "an order goes on by itself",
    "--no-wait": "an order goes on by itself",
    "--json": "the dialog shows what it says",
    "--fleet": "this dashboard is of one fleet",
}
_VERSION = re.compile(r"\d{1,5}\.\d{1,4}\.\d{1,4}", flags=re.ASCII)
MODES = ("on", "off", "managed")
CHANNELS = ("alpha", "beta", "stable", "lts")


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a verb takes."""

    options: tuple[str, ...] = ()
    word: str = ""
    """What its one word is: `VERSION`, `CHANNEL`, `MODE`; "": none is taken."""
    is_needed: bool = False
    text: str = ""
    """The option that the rest of the line is, as it stands: a reason. Then nothing else is an option."""
    sends: bool = True
    """Hosts get something: there is a plan."""

    @property
    def is_plain(self) -> bool:
        """It changes the database only."""
        return not self.sends


GRAMMARS: dict[str, Grammar] = {
    "stage": Grammar((*_ORDER, "--to", "--payload", "--extension-payload", "--accept-drop"), "VERSION"),
    "activate": Grammar((*_ORDER, "--to")),
    "roll-back": Grammar((*_ORDER, "--to")),
    "reboot": Grammar(_ORDER),
    "cancel": Grammar((*_ORDER, "--and-updates-off")),
    "channel": Grammar(_ORDER, "CHANNEL", is_needed=True),
    "updates": Grammar(_ORDER, "MODE", is_needed=True),
    "repair": Grammar(_ORDER),
    "hold": Grammar(text="--reason", is_needed=True, sends=False),
    "unhold": Grammar(sends=False),
    "acknowledge": Grammar(sends=False),
    "pin": Grammar(word="VERSION", is_needed=True, text="--reason", sends=False),
}


class Mistake(ConfigError):
    """A line that cannot be ordered; the message is one sentence."""

    def __init__(self, message: str) -> None:
        super().__init__("command", "", message)


def arguments_of(verb: str, text: str) -> list[str]:
    """The command's own words for what was typed behind a verb. Raises Mistake."""
    grammar = GRAMMARS[verb]
    if grammar.text:
        return _with_reason(verb, grammar, text)
    try:
        words = shlex.split(text)
    except ValueError:
        raise Mistake("a quote is not closed") from None
    found = list(_options(verb, grammar, words))
    given = [value for name, value in found if not name]
    options = [f"{name}={value}" if value is not None else name for name, value in found if name]
    _check_counts(verb, grammar, given, [name for name, _ in found])
    if any(name == "--force" for name, _ in found) and not any(name == "--reason" for name, _ in found):
        raise Mistake('--force needs --reason "why it is right all the same"')
    if verb == "stage":
        return [f"--to={word}" for word in given if word is not None] + options
    return [word for word in given if word is not None] + options


def _with_reason(verb: str, grammar: Grammar, text: str) -> list[str]:
    """The rest of the line as it stands is a reason; before it, for a pin, the version."""
    words, rest = [], " ".join(text.split())
    if grammar.word:
        word, _, rest = rest.partition(" ")
        if not word:
            raise Mistake(f"{verb} needs VERSION, or none, and a reason")
        if word != "none":
            _check_word(verb, grammar, word)
        words = [word]
    if not rest and words != ["none"]:
        raise Mistake(f"{verb} needs a reason: why?")
    return [*words, *([f"{grammar.text}={rest}"] if rest else [])]


def _options(verb: str, grammar: Grammar, words: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Name and value of each option; "" and the word where it is none."""
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            _check_word(verb, grammar, word)
            yield "", word
            continue
        name, sign, value = word.partition("=")
        if name in _REFUSED:
            raise Mistake(f"{name} is not for here: {_REFUSED[name]}")
        if name not in grammar.options:
            raise Mistake(f"{verb} has no {visible(name, 40)} here{did_you_mean(name[:40], grammar.options)}")
        if name in _FLAGS:
            if sign:
                raise Mistake(f"{name} takes no value")
            yield name, None
            continue
        found = value if sign else next(rest, None)
        if not found:
            raise Mistake(f"{name} needs a value")
        yield name, found


def _check_word(verb: str, grammar: Grammar, word: str) -> None:
    shown = visible(word, 40)
    if not grammar.word:
        raise Mistake(f'{verb} takes no "{shown}": the hosts are those that are marked')
    if grammar.word == "VERSION" and not _VERSION.fullmatch(word):
        raise Mistake(
            f'"{shown}" is no version: write MAJOR.MINOR.PATCH; the hosts are those that are marked'
        )
    if grammar.word == "MODE" and word not in MODES:
        raise Mistake(f'"{shown}" is no mode: {", ".join(MODES)}')


def _check_counts(verb: str, grammar: Grammar, given: Sequence[object], names: Sequence[str]) -> None:
    if len(given) > 1 or (given and verb == "stage" and "--to" in names):
        raise Mistake(f"{verb} takes one {grammar.word}: the hosts are those that are marked")
    if grammar.is_needed and not given:
        raise Mistake(f"{verb} needs {grammar.word}")
    twice = next((name for name in names if name and name not in _MANY and names.count(name) > 1), None)
    if twice:
        raise Mistake(f"{twice} is said twice")
