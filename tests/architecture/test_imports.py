"""Quick commands stay quick: what each module may not pull in, seen in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("textual", "asyncssh", "httpx", "rich", "sqlite_utils", "ClusterShell")

QUICK = (
    "console.cli.main",
    "console.cli.status",
    "console.cli.show",
    "console.fleet_view",
    "console.render",
    "console.selection",
    "collectors.tables",
    "collectors.store",
    "collectors.inventory",
    "actions.engine",
)
PURE = ("collectors.classify", "collectors.parse.answer", "actions.situation", "console.document")


def loaded_by(module: str) -> set[str]:
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", QUICK)
def test_a_quick_command_imports_nothing_heavy(module: str) -> None:
    assert loaded_by(module) & set(HEAVY) == set()


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_brings_no_io(module: str) -> None:
    assert loaded_by(module) & {"asyncssh", "sqlite3", "textual", "httpx", "asyncio"} == set()
