"""Reads what `fleetctl init` takes hosts from: files, standard input, an inventory that is a program.

Nothing is written. A program is started only where Ansible would: a file that may be executed and looks like
one. Blocking.
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys
from pathlib import Path

from collectors.errors import ConfigError
from collectors.fleet_sources import SourceKind, SourceText
from collectors.parse.text import clean

MAX_BYTES = 16 * 1024 * 1024
LIST_TIMEOUT_S = 60.0
MOST_INCLUDES = 200
_USUAL = {SourceKind.SSH_CONFIG: "~/.ssh/config", SourceKind.HOSTS_FILE: "/etc/hosts"}
_ASKED = {
    SourceKind.ANSIBLE: "name the inventory, or pipe `ansible-inventory --list` into it with -",
    SourceKind.KUBERNETES: "pipe it in: `kubectl get nodes -o json | fleetctl init --from kubernetes -`",
}
_INCLUDE = re.compile(r"\s*include(?:\s*=\s*|\s+)(\S.*?)\s*", re.IGNORECASE)
_NARROWS = re.compile(r"\s*(?:host|match)(?:\s*=\s*|\s+)(\S.*?)\s*", re.IGNORECASE)
_EVERY = ("*", "all")


def load_source(kind: SourceKind, typed: str | None) -> SourceText:
    """The source that was typed, `-` for standard input, or the usual place of its kind.

    Raises ConfigError where there is none, or it cannot be read.
    """
    if typed == "-":
        return SourceText(
            kind, _decoded(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"), "standard input"
        )
    if typed is None and kind not in _USUAL:
        raise ConfigError(f"--from {kind}", "", f"needs a file: {_ASKED[kind]}")
    path = Path(os.path.expanduser(typed or _USUAL[kind]))
    if path.is_dir():
        remedy = _ASKED.get(kind, "name the file in it")
        raise ConfigError(str(path), "", f"is a directory; {remedy}")
    if kind is SourceKind.ANSIBLE and _is_program(path):
        return SourceText(kind, _listed(path), f"{path} --list")
    text = _read(path)
    if kind is not SourceKind.SSH_CONFIG:
        return SourceText(kind, text, str(path))
    is_usual = os.path.abspath(path) == os.path.expanduser(_USUAL[kind])
    return SourceText(
        kind, _with_includes(text, [MOST_INCLUDES]), str(path), None if is_usual else os.path.abspath(path)
    )


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _decoded(file.read(MAX_BYTES + 1), str(path))
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from error


def _decoded(content: bytes, label: str) -> str:
    if len(content) > MAX_BYTES:
        raise ConfigError(label, "", f"larger than {MAX_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(label, f"line {line}", "not UTF-8 text") from error


def _is_program(path: Path) -> bool:
    """Executable and begins like a program; an inventory on some file systems is executable by accident."""
    if not os.access(path, os.X_OK):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        return False
    return start[:2] == b"#!" or start in (b"\x7fELF", b"\xcf\xfa\xed\xfe")


def _listed(path: Path) -> str:
    """What the program prints for --list; it runs without a shell and with nothing on its stdin."""
    label, argv = f"{path} --list", [os.path.abspath(path), "--list"]
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIST_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(label, "", f"did not end within {LIST_TIMEOUT_S:g} s") from error
    except OSError as error:
        raise ConfigError(label, "", f"does not start: {error.strerror}") from error
    if done.returncode != 0:
        said = clean(done.stderr.decode("utf-8", "replace"), 160)
        raise ConfigError(label, "", f"ended with {done.returncode}" + (f": {said}" if said else ""))
    return _decoded(done.stdout, label)


def _with_includes(text: str, left: list[int]) -> str:
    """The text with files in place of the Include lines that hold for every host; `left` counts down."""
    lines: list[str] = []
    is_wide = True
    for line in text.split("\n"):
        narrows, include = _NARROWS.fullmatch(line), _INCLUDE.fullmatch(line)
        if narrows:
            is_wide = narrows[1].strip() in _EVERY
        if include and is_wide:
            for path in _included(include[1]):
                left[0] -= 1
                if left[0] >= 0:
                    lines += [_with_includes(_read(path), left), "Match all"]
        else:
            lines.append(line)
    return "\n".join(lines)


def _included(text: str) -> list[Path]:
    """Relative ones lie in ~/.ssh, as for ssh."""
    home = os.path.expanduser("~/.ssh")
    words = [os.path.join(home, os.path.expanduser(word.strip('"'))) for word in text.split()]
    return [Path(name) for word in words for name in sorted(glob.glob(word)) if os.path.isfile(name)]
