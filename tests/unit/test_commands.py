"""The command line: what is done, what is refused and with which words, and how a line goes on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.errors import ConfigError
from console.commands import MOST, Command, CommandError, Known, complete, known_of, parse
from console.keys import ACTIONS, Action, Home, named, places_of
from console.ordering_words import GRAMMARS, arguments_of
from console.palette import PALETTES
from console.rows import HostRow

NOW = datetime(2026, 8, 20, 3, 12, tzinfo=UTC)
ROWS = [
    HostRow(
        "edge-fra-014", "10.0.0.1", "staged", groups=("edge",), labels={"zone": "fra a"}, version="4593.2.4"
    ),
    HostRow(
        "edge-fra-011", "10.0.0.2", "current", groups=("edge",), labels={"zone": "fra-b"}, version="4593.2.5"
    ),
    HostRow("db-1", "10.0.0.3", "held", groups=("db",), channel="stable"),
]
FLEET = known_of(ROWS, places_of(Home.FLEET), NOW)
ARGUMENTS = {"MODE": " off", "VERSION": " 4593.2.5 waits"}
HISTORY = known_of(ROWS, (Home.HISTORY, Home.APP), NOW)


def asked(line: str, known: Known = FLEET) -> tuple[str, str]:
    command = parse(line, known)
    return command.action.name, command.argument


def refused(line: str, known: Known = FLEET) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(line, known)
    return caught.value.message


def words(line: str, known: Known = FLEET) -> list[str]:
    return [one.word for one in complete(line, known)]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_action_can_be_asked_for_by_its_name(action: object) -> None:
    for found in (one for one in ACTIONS if one is action):
        known = Known(homes=(found.home, Home.APP))
        argument = ARGUMENTS.get(found.argument, " x.csv")
        line = found.name + (argument if found.argument and not found.argument.startswith("[") else "")
        assert parse(f":{line}", known).action is found


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("q", ("quit", "")),
        (":quit ", ("quit", "")),
        ("fi web", ("filter", "web")),
        ("FILTER state:staged", ("filter", "state:staged")),
        ('filter label.zone:"fra  a"', ("filter", 'label.zone:"fra  a"')),
        ("mark", ("mark", "")),
        ("mark  range", ("mark range", "")),
        ("mark r", ("mark range", "")),
        ("theme", ("theme", "")),
        ("theme li", ("theme", "light")),
        ("group label.zone", ("group", "label.zone")),
        ("group none", ("group", "none")),
        ("sort beh", ("sort", "behind")),
        ("open db", ("open", "db-1")),
        ("at 2h", ("at", "2h")),
        ("save my hosts.csv", ("save", "my hosts.csv")),
    ],
)
def test_lines_that_are_understood(line: str, wanted: tuple[str, str]) -> None:
    assert asked(line) == wanted


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "a command is missing; ? lists them"),
        ("thme light", 'no command "thme" here; did you mean "theme"?'),
        ("mar", '"mar" could be mark, mark range, mark all, mark none'),
        ("help me", "help takes nothing after it"),
        ("save", "save needs FILE"),
        ("theme lihgt", 'unknown theme "lihgt"; did you mean "light"?'),
        ("sort colour", 'unknown sort "colour"; known: attention, behind, group, host, seen, state, version'),
        ("open egde-fra-014", 'unknown host "egde-fra-014"; did you mean "edge-fra-014"?'),
        ("open edge", '"edge" could be edge-fra-014, edge-fra-011'),
        ("filter state:stagd", 'unknown state "stagd"; did you mean "staged"?'),
        ("filter @egde", 'unknown group "egde"; did you mean "edge"?'),
        ("at 2027-01-01", "lies in the future"),
    ],
)
def test_lines_that_are_refused(line: str, message: str) -> None:
    assert refused(line) == message


def test_an_action_of_another_place_is_refused_there() -> None:
    assert asked("earlier", HISTORY) == ("earlier", "")
    assert refused("earlier", FLEET).startswith('no command "earlier" here')
    assert refused("mark", HISTORY).startswith('no command "mark" here')


def test_what_was_typed_cannot_act_on_the_terminal() -> None:
    assert "\x1b" not in refused("\x1b[2Jx")
    assert "\x1b" not in refused("open \x1b[2Jx")


def test_names_of_actions_complete() -> None:
    assert words("") == [action.name for action in FLEET.actions]
    assert words(":ma") == ["mark", "mark range", "mark all", "mark none"]
    assert [one.line for one in complete("th", FLEET)] == ["theme "]
    assert [one.line for one in complete("qu", FLEET)] == ["quit"]
    assert complete("th", FLEET)[0].help == "other colours"


def test_arguments_complete() -> None:
    assert words("theme ") == list(PALETTES)
    assert words("theme hi") == ["high-contrast"]
    assert words("open ed") == ["edge-fra-014", "edge-fra-011"]
    assert words("open 011") == ["edge-fra-011"]
    assert "label.zone" in words("group ")
    assert words("at y") == ["yesterday"]
    assert words("save ") == ["hosts.csv", "hosts.json", "screen.svg"]
    assert words("span ", HISTORY) == ["day", "week", "month", "quarter", "all"]
    assert words("sort st") == ["state"]
    assert words("help ") == []


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("st", ["state:"]),
        ("label", ["label.zone:"]),
        ("@e", ["@edge"]),
        ("state:stagi", ["state:staging"]),
        ("version:", ["version:4593.2.4", "version:4593.2.5"]),
        ("group:d", ["group:db"]),
        ("label.zone:", ['label.zone:"fra a"', "label.zone:fra-b"]),
        ('label.zone:"fra a', ['label.zone:"fra a"']),
        ("edge-fra-01", ["edge-fra-014", "edge-fra-011"]),
        ("needs:", ["needs:attention"]),
    ],
)
def test_a_filter_completes_its_last_term(typed: str, wanted: list[str]) -> None:
    assert words(f"filter {typed}") == wanted
    after = complete(f"filter not (web or {typed}", FLEET)
    assert [one.line for one in after] == [f"filter not (web or {word}" for word in wanted]


def test_a_large_fleet_offers_no_endless_list() -> None:
    known = Known(homes=(Home.FLEET,), hosts=[f"host-{number}" for number in range(50_000)])
    assert len(complete("open host", known)) == MOST
    assert refused("open hots-7", known).startswith('unknown host "hots-7"; did you mean "host-7')


@given(st.text())
def test_whatever_is_typed_is_a_command_or_a_refusal(line: str) -> None:
    try:
        command = parse(line, FLEET)
    except ConfigError:
        return
    assert isinstance(command, Command)
    assert command.action in FLEET.actions


@given(st.sampled_from(["", "filter ", "open ", "theme ", "group ", "at "]), st.text())
def test_whatever_is_typed_can_be_completed(head: str, typed: str) -> None:
    for one in complete(head + typed, FLEET):
        assert one.word


@given(st.sampled_from([action.name for action in FLEET.actions if not action.argument]))
def test_a_completed_name_is_a_command(name: str) -> None:
    (first, *_) = [one for one in complete(name, FLEET) if one.word == name]
    assert parse(first.line, FLEET).action is named(name)


def test_errors_are_of_the_tree() -> None:
    with pytest.raises(CommandError) as caught:
        parse("nonsense", FLEET)
    assert str(caught.value).startswith("command: ")


# Verbs


VERB_LINES = [
    ("stage", []),
    ("stage 4593.2.5", ["--to=4593.2.5"]),
    (
        "stage --to 4593.2.5 --accept-drop a --accept-drop=b",
        ["--to=4593.2.5", "--accept-drop=a", "--accept-drop=b"],
    ),
    (
        "activate --at-once 3 --force window --reason 'ops 7'",
        ["--at-once=3", "--force=window", "--reason=ops 7"],
    ),
    ("roll-back --to 4593.2.3", ["--to=4593.2.3"]),
    ("roll back --timeout 5m", ["--timeout=5m"]),
    ("cancel --and-updates-off", ["--and-updates-off"]),
    ("channel beta", ["beta"]),
    ("updates off", ["off"]),
    ("repair --reason --yes", ["--reason=--yes"]),
    ("hold ops-7 --yes  'x", ["--reason=ops-7 --yes 'x"]),
    ("unhold", []),
    ("pin 4593.2.5 for the vendor", ["4593.2.5", "--reason=for the vendor"]),
    ("pin none", ["none"]),
]


@pytest.mark.parametrize(("line", "arguments"), VERB_LINES)
def test_a_verb_becomes_options_of_its_command(line: str, arguments: list[str]) -> None:
    command = parse(line, FLEET)
    assert command.action.verb is not None
    assert arguments_of(command.action.verb, command.argument) == arguments


MARKED = "the hosts are those that are marked"
VERB_MISTAKES = [
    ("stage --yes", "--yes is not for here: the dialog asks for that"),
    ("activate --host=web-1", f"--host is not for here: {MARKED}"),
    ("activate --group edge", f"--group is not for here: {MARKED}"),
    ("reboot --all", f"--all is not for here: {MARKED}"),
    (
        "reboot --dry-run",
        "--dry-run is not for here: the dialog shows the dry run first, v in it the commands",
    ),
    ("reboot --no-wait", "--no-wait is not for here: an order goes on by itself"),
    ("reboot --fleet x", "--fleet is not for here: this dashboard is of one fleet"),
    ("reboot --to 1.2.3", 'reboot has no --to here; did you mean "--actor"?'),
    ("activate --at-onc 3", 'activate has no --at-onc here; did you mean "--at-once"?'),
    ("activate web-1", f'activate takes no "web-1": {MARKED}'),
    ("stage web-1", f'"web-1" is no version: write MAJOR.MINOR.PATCH; {MARKED}'),
    ("stage 4593.2.5 4593.2.4", f"stage takes one VERSION: {MARKED}"),
    ("stage 4593.2.5 --to 4593.2.4", f"stage takes one VERSION: {MARKED}"),
    ("channel", "channel needs CHANNEL"),
    ("updates maybe", '"maybe" is no mode: on, off, managed'),
    ("activate --force window", '--force needs --reason "why it is right all the same"'),
    ("activate --at-once", "--at-once needs a value"),
    ("activate --at-once 2 --at-once 3", "--at-once is said twice"),
    ("activate --reason 'x", "a quote is not closed"),
    ("cancel --and-updates-off=yes", "--and-updates-off takes no value"),
    ("unhold --yes", "unhold takes nothing after it"),
    ("hold", "hold needs REASON"),
    ("pin 4593.2.5", "pin needs a reason: why?"),
    ("pin web-1 why", f'"web-1" is no version: write MAJOR.MINOR.PATCH; {MARKED}'),
    ("unhold web-1", "unhold takes nothing after it"),
]


@pytest.mark.parametrize(("line", "message"), VERB_MISTAKES)
def test_what_a_verb_does_not_take_is_said(line: str, message: str) -> None:
    assert refused(line) == message


@given(st.sampled_from([action for action in ACTIONS if action.verb in GRAMMARS]), st.text(max_size=60))
def test_no_text_brings_an_option_that_is_not_listed(action: Action, text: str) -> None:
    found, message = [], ""
    try:
        found = arguments_of(action.verb or "", text)
    except ConfigError as error:
        message = error.message
    assert message.isprintable()
    grammar = GRAMMARS[action.verb or ""]
    allowed = {*grammar.options, grammar.text} - {""}
    for word in found:
        assert not word.startswith("-") or word.partition("=")[0] in allowed


def test_verbs_are_not_asked_for_in_the_history() -> None:
    assert refused("stage", HISTORY).startswith('no command "stage" here')


def test_a_verb_line_goes_on_with_its_words_and_options() -> None:
    assert words("channel ") == ["alpha", "beta", "stable", "lts"]
    assert words("updates m") == ["managed"]
    assert words("stage 4") == ["4593.2.4", "4593.2.5"]
    assert words("stage 4593.2.5 --f") == ["--force"]
    assert complete("activate --at-once 3 --rea", FLEET)[0].line == "activate --at-once 3 --reason"
    assert words("hold o") == []
