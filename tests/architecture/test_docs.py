"""The docs name what exists: commands, options, exit codes, states, codes, scenarios, verbs, JSON keys."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest

from actions.around import LOCK_CODES
from actions.evidence import _DONE_WORDS
from actions.orders import Force, Phase, Verb
from actions.policy_host import REACHES
from actions.remote.slot_proof import ProofResult
from actions.remote.words import Exit
from actions.situation import REMEDIES, STATES
from console.cli.main import COMMANDS, root
from console.demo.scenarios import SELECTABLE
from console.exit_codes import ExitCode
from console.rows import FIELDS

ROOT = Path(__file__).parents[2]
DOCS = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
ALL = "\n".join(DOCS.values())
CODES = re.compile(r'Reason\(\s*"([a-z_]+)"')


def command_of(name: str) -> click.Command:
    command = import_module(f"console.cli.{name.replace('-', '_')}").command
    assert isinstance(command, click.Command)
    return command


def options_of(command: click.Command) -> Iterator[str]:
    """Long options of a command and of those below it."""
    if isinstance(command, click.Group):
        for below in command.commands.values():
            yield from options_of(below)
    shown = [item for item in command.params if not getattr(item, "hidden", False)]
    for item in shown:
        yield from (word for word in (*item.opts, *item.secondary_opts) if word.startswith("--"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_says_what_it_does(name: str) -> None:
    assert command_of(name).help
    assert re.search(rf"`?fleetctl {name}\b|`{name}`", ALL)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented(name: str) -> None:
    assert [option for option in options_of(command_of(name)) if option not in ALL] == []


def test_every_exit_code_is_documented() -> None:
    for code in ExitCode:
        assert re.search(rf"^\| {int(code)} \|", DOCS["status.md"], flags=re.MULTILINE)


def test_every_state_and_reason_code_is_documented() -> None:
    sources = [*ROOT.glob("actions/*.py"), *ROOT.glob("collectors/*.py"), *ROOT.glob("console/*.py")]
    codes = {code for path in sources for code in CODES.findall(path.read_text())}
    assert len(codes) > 30
    assert [word for word in (*STATES, *codes, *REMEDIES) if f"`{word}`" not in DOCS["status.md"]] == []


def test_every_scenario_is_documented() -> None:
    assert [name for name in SELECTABLE if f"`{name}`" not in DOCS["demo.md"]] == []


def test_every_field_of_a_selection_is_documented() -> None:
    assert [name for name in FIELDS if f"`{name}`" not in DOCS["status.md"]] == []


def test_every_top_level_json_key_is_documented() -> None:
    schema = json.loads((ROOT / "console/schemas/fleetctl.status.v1.json").read_text())
    keys = set(schema["properties"]) | set(schema["$defs"]["host"]["properties"])
    told = section("status.md", "JSON")
    assert [key for key in keys if not re.search(f'[`"]{key}[`"]', told)] == []


def section(name: str, title: str) -> str:
    return DOCS[name].partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def told_codes(title: str, column: int = 0) -> set[str]:
    """What stands in backquotes in a column of the tables of a section of verbs.md."""
    rows = [line.split(" | ") for line in section("verbs.md", title).splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row[column])}


def words_of(node: ast.expr) -> Iterator[str]:
    """The words that an expression may be; none where only the run can tell."""
    match node:
        case ast.Constant(value=str(word)):
            yield word
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*words_of(body), *words_of(orelse))
        case ast.BoolOp(values=values):
            yield from (word for value in values for word in words_of(value))
        case ast.JoinedStr(values=[ast.Constant(value=str(head)), _]) if head == "slot-":
            yield from (head + result for result in ProofResult if result is not ProofResult.INTACT)


def calls(pattern: str, *names: str) -> Iterator[ast.Call]:
    for path in ROOT.glob(pattern):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if name in names:
                    yield node


def refusal_codes() -> set[str]:
    found = [*calls("actions/policy*.py", "refusal", "Refusal"), *calls("actions/placing.py", "Refusal")]
    codes = {word for call in found for word in words_of(call.args[0])} | set(REACHES.values())
    unread = {
        word
        for call in calls("collectors/classify.py", "Reason")
        if "incomplete" in [word for item in call.args for word in words_of(item)]
        for word in words_of(call.args[0])
    }
    return codes | {word.replace("_", "-") for word in unread - {"truncated", "os_unread"}}


def outcome_codes() -> set[str]:
    ends = calls("actions/evidence*.py", "failed", "done", "failed_when_late", "unknown_when_late")
    codes = {word for call in ends for word in words_of(call.args[0])}
    second = [*calls("actions/*.py", "Outcome"), *calls("actions/evidence*.py", "ended")]
    codes |= {word for call in second for word in words_of(call.args[1])}
    rows = calls("actions/orderbook.py", "replace")
    keys = [key for call in rows for key in call.keywords if key.arg == "code"]
    codes |= {word for key in keys for word in words_of(key.value)}
    for name in ("evidence", "rollout_book"):
        for node in ast.walk(ast.parse((ROOT / f"actions/{name}.py").read_text())):
            if isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
                codes |= set(words_of(node.value.elts[0]))
    around = calls("actions/around.py", "_not_sent")
    codes |= {word for call in around for word in words_of(call.args[0])} | set(LOCK_CODES.values())
    texts = "".join(path.read_text() for path in ROOT.glob("actions/remote/*.py"))
    codes |= {code for code, _ in _DONE_WORDS.values()} | {"already-so"}
    return codes | set(re.findall(r"\brefuse ([a-z-]+)", texts))


def test_every_refusal_of_a_verb_is_documented_and_no_other() -> None:
    codes = refusal_codes()
    assert len(codes) > 60
    assert told_codes("Refusals") == codes


def test_every_outcome_of_an_order_is_documented_and_no_other() -> None:
    codes = outcome_codes()
    assert len(codes) > 50
    assert told_codes("Outcomes") | told_codes("Outcomes", 2) >= codes
    assert told_codes("Outcomes") <= codes


def test_every_force_is_documented_beside_what_it_sets_aside() -> None:
    assert told_codes("Refusals", 3) == set(Force)


def test_every_verb_phase_and_exit_status_is_documented() -> None:
    assert [verb for verb in Verb if f"\n| `{verb}" not in DOCS["verbs.md"]] == []
    assert told_codes("What may become of a host") == set(Phase)
    for status in Exit:
        assert f"\n| {int(status)} | `{status.name}` | " in section("verbs.md", "On the host")


def test_readme_names_no_command_that_does_not_exist() -> None:
    named = set(re.findall(r"^fleetctl ([a-z-]+)", DOCS["README.md"], flags=re.MULTILINE))
    assert named
    assert named <= set(root.list_commands(click.Context(root)))


def test_every_link_between_documents_leads_somewhere() -> None:
    for name, text in DOCS.items():
        folder = ROOT if (ROOT / name).exists() else ROOT / "docs"
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (folder / target).exists(), f"{name}: {target}"
