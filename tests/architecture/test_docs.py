"""The docs name what exists: commands, options, exit codes, states, codes, scenarios, JSON keys."""

from __future__ import annotations

import json
import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from actions.situation import REMEDIES, STATES
from console.cli.main import COMMANDS, root
from console.demo.scenarios import SELECTABLE
from console.exit_codes import ExitCode
from console.rows import FIELDS

ROOT = Path(__file__).parents[2]
DOCS = {path.name: path.read_text() for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]}
ALL = "\n".join(DOCS.values())
CODES = re.compile(r'Reason\(\s*"([a-z_]+)"')


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented_and_says_what_it_does(name: str) -> None:
    command = import_module(f"console.cli.{name}").command
    assert isinstance(command, click.Command)
    assert command.help
    assert re.search(rf"`?fleetctl {name}\b|`{name}`", ALL)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented(name: str) -> None:
    command = import_module(f"console.cli.{name}").command
    shown = [item for item in command.params if not getattr(item, "hidden", False)]
    options = [word for item in shown for word in item.opts if word.startswith("--")]
    assert [option for option in options if option not in ALL] == []


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
    told = DOCS["status.md"].partition("\n## JSON\n")[2].partition("\n## ")[0]
    assert [key for key in keys if not re.search(f'[`"]{key}[`"]', told)] == []


def test_readme_names_no_command_that_does_not_exist() -> None:
    named = set(re.findall(r"^fleetctl ([a-z-]+)", DOCS["README.md"], flags=re.MULTILINE))
    assert named
    assert named <= set(root.list_commands(click.Context(root)))


def test_every_link_between_documents_leads_somewhere() -> None:
    for name, text in DOCS.items():
        folder = ROOT if (ROOT / name).exists() else ROOT / "docs"
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (folder / target).exists(), f"{name}: {target}"
