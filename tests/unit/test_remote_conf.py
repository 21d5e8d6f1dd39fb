"""What is written into update.conf, by the real shell function: what changes, what stays."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.remote.conf import UPDATES
from actions.remote.shell import one_line

LINES = (
    b"GROUP=beta", b"GROUP=beta\r", b'GROUP="lts"', b" GROUP=x", b"GROUP = x", b"export GROUP=x", b"#GROUP=x",
    b"SERVER=disabled", b"SERVER='disabled'\r", b"SERVER=http://own/", b"SERVER=", b"MY_SERVER=1", b"",
    b"A\\b&|$`\"'", b"\xff\xfe\0", b"GROUPS=1",
)  # fmt: skip
FILES = st.tuples(st.lists(st.sampled_from(LINES), max_size=7), st.booleans()).map(
    lambda drawn: b"\n".join(drawn[0]) + (b"\n" if drawn[1] and drawn[0] else b"")
)


def write(content: bytes | None, command: str) -> bytes | None:
    """update.conf after a command of the shell functions; nothing else is left, mode and link are kept."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "real" / "update.conf"
        path.parent.mkdir()
        (folder / "link").symlink_to("real")
        if content is not None:
            path.write_bytes(content)
            path.chmod(0o640)
        text = f"export LC_ALL=C; O=o-aaaaaa; CONF={folder}/link/update.conf; {one_line(UPDATES)}; {command}"
        done = subprocess.run(["bash", "-c", text], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        assert [item.name for item in path.parent.iterdir()] == (["update.conf"] if path.exists() else [])
        if not path.exists():
            return None
        assert path.stat().st_mode & 0o777 == (0o644 if content is None else 0o640)
        return path.read_bytes()


def split(content: bytes) -> list[bytes]:
    pieces = content.split(b"\n")
    return [piece + b"\n" for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])


def others(content: bytes, key: bytes) -> list[bytes]:
    return [line for line in split(content) if not line.startswith(key + b"=")]


@settings(max_examples=60, deadline=None)
@given(FILES)
def test_a_group_is_set_once_and_every_other_byte_stays(content: bytes) -> None:
    after = write(content, "rewrite GROUP alpha")
    assert after is not None
    lines = split(after)
    assert [line.rstrip(b"\n") for line in lines if line.startswith(b"GROUP=")] == [b"GROUP=alpha"]
    kept = others(after, b"GROUP")
    before = others(content, b"GROUP")
    if not any(line.startswith(b"GROUP=") for line in split(content)) and before:
        before[-1] = before[-1].removesuffix(b"\n") + b"\n"
    assert kept == before
    assert write(after, "rewrite GROUP alpha") == after


@settings(max_examples=40, deadline=None)
@given(FILES)
def test_a_group_taken_away_leaves_the_rest(content: bytes) -> None:
    assert write(content, "rewrite GROUP -") == b"".join(others(content, b"GROUP"))


@settings(max_examples=60, deadline=None)
@given(FILES)
def test_updates_off_wins_and_on_takes_only_that_away(content: bytes) -> None:
    off = write(content, "updates off -")
    assert off is not None
    servers = [line.rstrip(b"\n") for line in split(off) if line.startswith(b"SERVER=")]
    assert servers == [b"SERVER=disabled"]
    gone = (b"SERVER=disabled", b"SERVER='disabled'\r")
    wanted = b"".join(line for line in split(content) if line.rstrip(b"\n") not in gone)
    assert write(content, "updates on -") == wanted


@pytest.mark.parametrize("server", ["http://own/v1/update/?a=1&b=2", "https://x.example:8443/v1/update/"])
@pytest.mark.parametrize("content", [b"A=1", b"SERVER=disabled", b"", None])
def test_updates_on_restores_a_server(server: str, content: bytes | None) -> None:
    after = write(content, f"updates on '{server}'")
    assert after is not None
    assert f"SERVER={server}".encode() in after.split(b"\n")


def test_a_line_without_an_end_is_replaced_without_one() -> None:
    assert write(b"A=1\nGROUP=beta", "rewrite GROUP alpha") == b"A=1\nGROUP=alpha"
    assert write(b"A=1", "rewrite GROUP alpha") == b"A=1\nGROUP=alpha\n"
    assert write(None, "rewrite GROUP alpha") == b"GROUP=alpha\n"
    assert write(None, "rewrite GROUP -") is None
