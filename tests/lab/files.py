"""Write into the trees that hosts are made of."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.system import run


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file, folders included, never through a link that stands there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def overlay(tree: Path, source_dir: Path) -> None:
    """Copy a folder over a tree, as root's files."""
    run("cp", "-rPT", "--no-preserve=ownership", source_dir, tree)


def fresh_dir(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def tree_mib(tree: Path) -> int:
    return int(run("du", "-sm", tree).stdout.split()[0])
