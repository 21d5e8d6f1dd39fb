"""The registry of actions: nothing twice, nothing without words, every entry in the manual."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import pytest

from console.keys import ACTIONS, MODES, Action, Home, actions_of, key_pairs, named, places_of
from console.ordering_words import GRAMMARS

MANUAL = (Path(__file__).parents[2] / "docs/dashboard.md").read_text()
PLACES = tuple(home for home in Home if home not in (Home.APP, Home.HOSTS))
VERBS = [action for action in ACTIONS if action.verb and not action.verb.startswith("rollout ")]
ANSWERS = [action for action in ACTIONS if action.verb and action.verb.startswith("rollout ")]
every = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)


def keys_of(action: Action) -> set[str]:
    return set(filter(None, action.keys.split(",")))


def test_names_and_methods_are_used_once() -> None:
    for names in ([action.name for action in ACTIONS], [action.method for action in ACTIONS]):
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("home", PLACES)
def test_a_key_does_one_thing_in_a_place(home: Home) -> None:
    actions = actions_of(*places_of(home))
    twice = [
        (one.name, other.name) for one, other in combinations(actions, 2) if keys_of(one) & keys_of(other)
    ]
    assert twice == []


@pytest.mark.parametrize("home", PLACES)
def test_places_in_the_footer_are_used_once(home: Home) -> None:
    places = [action.footer for action in actions_of(*places_of(home)) if action.footer]
    assert len(set(places)) == len(places)


@every
def test_an_action_is_complete(action: Action) -> None:
    assert action.method.isidentifier()
    assert action.label
    assert action.help
    assert not action.help.endswith(".")
    assert not action.footer or action.keys
    assert re.fullmatch(r"(\[[A-Z]+\]|[A-Z]+)?", action.argument)


def test_verbs_are_where_hosts_are_and_nowhere_else() -> None:
    assert {action.home for action in VERBS} == {Home.HOSTS}
    assert {action.home for action in ANSWERS} == {Home.ROLLOUTS}
    assert {action.keys for action in VERBS if action.keys} == {"s", "a", "b", "c"}
    assert Home.HOSTS in places_of(Home.FLEET)
    assert Home.HOSTS in places_of(Home.HOST)
    assert Home.HOSTS not in places_of(Home.HISTORY)
    assert places_of(Home.APP) == (Home.APP,)


def test_every_verb_has_its_words_and_every_word_its_verb() -> None:
    assert {action.verb for action in VERBS} == set(GRAMMARS)
    for action in VERBS:
        grammar = GRAMMARS[action.verb or ""]
        assert grammar.is_needed == bool(action.argument and not action.argument.startswith("["))


@every
def test_only_a_verb_is_dangerous(action: Action) -> None:
    assert action.dangerous == (action.verb is not None)


def test_modes_are_actions_with_a_number() -> None:
    assert [mode for mode in MODES if not (found := named(mode)) or not found.keys.isdigit()] == []


def test_key_pairs_leave_out_what_has_no_key() -> None:
    pairs = key_pairs(Home.APP)
    assert ("question_mark", "help", "help") in pairs
    assert not any(method == "theme" for _, method, _ in pairs)


@every
def test_the_manual_names_every_action_and_its_key(action: Action) -> None:
    key = re.escape(f"`{action.key_words or ':'}`")
    named_so = re.escape(f"`{f'{action.name} {action.argument}'.rstrip()}`")
    assert re.search(rf"^\| {key} \| {named_so} \|", MANUAL, flags=re.MULTILINE)
