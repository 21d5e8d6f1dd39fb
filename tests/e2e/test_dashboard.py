"""The dashboard on a terminal, driven by keys as a person would: on the demo fleet, over real SSH."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.demo_fleet import FLEETCTL, Demo, served
from tests.e2e.screen import Screen, on_screen, until_gone

COUNTS = ("current=3", "staged=4", "behind=2", "failed=1", "hostile=1", "silent=1", "key_changed=1")
THEMES = ("dark", "light", "high contrast", "colour-blind safe")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    options = [word for count in COUNTS for word in ("--scenario", count)]
    with served(tmp_path_factory.mktemp("fleet"), *options) as running:
        running.run("collect", code=3)  # the silent host does not answer
        yield running


def dashboard(demo: Demo, *options: str) -> list[str]:
    return [*FLEETCTL, "--fleet", str(demo.directory / "fleet.toml"), *options]


def rows_of(text: str, word: str) -> list[str]:
    """Lines of the table that hold a state's word beside the slots."""
    return [line for line in text.splitlines() if re.search(rf"{word}.* A[ ►→]", line)]


def until_rows(screen: Screen, word: str, count: int) -> None:
    """The first sweep may still be coming in."""
    ends_at = time.monotonic() + 15
    while len(rows_of(screen.text, word)) != count:
        assert time.monotonic() < ends_at, screen.text
        time.sleep(0.1)


@pytest.mark.timeout(60)
def test_a_night_at_the_screen(demo: Demo, tmp_path: Path) -> None:
    with on_screen(tmp_path, dashboard(demo), width=160, height=45) as screen:
        screen.until("1 Fleet", "read-only", "staged")
        until_rows(screen, "staged", 4)

        screen.press("/")
        screen.type("state:staged")
        screen.until("4 of 13")
        screen.press("Enter")
        text = screen.until("4 of 13", gone=["× failed  "])
        assert len(rows_of(text, "◕ staged")) == 4
        assert rows_of(text, "current") == []

        screen.press("Space")
        screen.press("Down")
        screen.press("Space")
        text = screen.until("2 marked")
        assert len([line for line in text.splitlines() if line.lstrip("▌ ").startswith("*")]) == 2

        screen.press("Escape")
        screen.until("2 marked", gone=["4 of 13"])

        screen.press("Enter")
        screen.until("fleet ›", "facts", "timeline")
        screen.press("t")
        screen.until("› timeline")
        screen.press("Escape")
        screen.until("1 Fleet", gone=["› timeline"])

        screen.press("?")
        text = screen.until("reverted")
        assert "It booted a new release" in text
        screen.press("Escape")
        screen.until("1 Fleet", "2 marked")

        for theme in (*THEMES[1:], THEMES[0]):
            screen.press(":")
            screen.type("theme")
            screen.press("Enter")
            screen.until(f"theme {theme}")

        screen.press("C-q")
        assert screen.exit_code == 0


def test_one_step_back_in_time_says_so(demo: Demo, tmp_path: Path) -> None:
    with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
        screen.until("1 Fleet", "staged")
        screen.press("6")
        screen.until("hosts per version")
        screen.press("1")
        screen.press(":")
        screen.type("at 1s ago")
        screen.press("Enter")
        screen.until("esc comes back")
        screen.press("Escape")
        screen.until("1 Fleet", gone=["esc comes back"])


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
def test_the_last_line_holds_the_keys_at_every_size(
    demo: Demo, tmp_path: Path, size: tuple[int, int]
) -> None:
    width, height = size
    with on_screen(tmp_path, dashboard(demo), width=width, height=height) as screen:
        screen.until("Fleet", "staged", "help")
        lines = screen.text.splitlines()
        assert len(lines) == height
        assert "mark" in lines[-1]
        assert max(map(len, lines)) <= width


def test_raw_and_log_are_asked_of_the_host(demo: Demo, tmp_path: Path) -> None:
    with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
        screen.until("1 Fleet", "staged")
        screen.press(":")
        screen.type(f"open {demo.host('staged')}")
        screen.press("Enter")
        screen.until("› facts")
        screen.press("x")
        screen.until("NAME=", "Flatcar")
        screen.press("l")
        screen.until("update_engine[", "Update successfully")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_the_store_is_whole(demo: Demo, tmp_path: Path, number: signal.Signals) -> None:
    with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
        screen.until("1 Fleet", "asking every")
        sweeper = _sweeper(demo)
        os.kill(screen.pid, number)
        assert screen.exit_code == 130
    _assert_over_and_whole(demo, sweeper)


def test_a_closed_terminal_ends_it_and_its_sweeper(demo: Demo, tmp_path: Path) -> None:
    with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
        screen.until("1 Fleet", "asking every")
        sweeper = _sweeper(demo)
        pid = screen.pid
    until_gone(pid)
    _assert_over_and_whole(demo, sweeper)


def test_killed_outright_it_takes_its_sweeper_along(demo: Demo, tmp_path: Path) -> None:
    with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
        screen.until("1 Fleet", "asking every")
        sweeper = _sweeper(demo)
        os.kill(screen.pid, signal.SIGKILL)
    _assert_over_and_whole(demo, sweeper)


def _sweeper(demo: Demo) -> int:
    """The dashboard's own sweeper, once it has the lease."""
    deadline = time.monotonic() + 15
    with closing(sqlite3.connect(demo.directory / "demo.db")) as conn:
        while True:
            found = conn.execute("SELECT owner FROM leases WHERE expires_at > ''").fetchone()
            pid = int(found[0].rpartition(" pid ")[2]) if found else 0
            if pid and Path(f"/proc/{pid}").exists():
                return pid
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _assert_over_and_whole(demo: Demo, sweeper: int) -> None:
    until_gone(sweeper)
    with closing(sqlite3.connect(demo.directory / "demo.db")) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_database_lost_and_back_is_said_and_never_a_traceback(tmp_path: Path) -> None:
    with served(tmp_path / "fleet", "--scenario", "current=3") as demo:
        demo.run("collect")
        with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
            screen.until("3 of 3 answered", "● current")
            _sweeper(demo)
            for file in demo.directory.glob("demo.db*"):
                file.rename(file.with_name(file.name.replace("demo.db", "away.db")))
            screen.until("demo.db", "is gone", "nobody asks", "● current")
            for file in demo.directory.glob("away.db*"):
                file.rename(file.with_name(file.name.replace("away.db", "demo.db")))
            screen.until("3 of 3 answered", "asking every", gone=["is gone"])


def test_a_fleet_that_falls_silent_is_seen_to(tmp_path: Path) -> None:
    with served(tmp_path / "fleet", "--scenario", "current=10") as demo:
        demo.run("collect")
        screen_of = on_screen(tmp_path, dashboard(demo), width=120, height=40)
        screen = screen_of.__enter__()
        screen.until("10 of 10 answered")
    try:  # the hosts are gone now
        screen.press("R")
        text = screen.until("0 of 10 answered", "unreachable")
        assert "Traceback" not in text
    finally:
        screen_of.__exit__(None, None, None)


def test_no_colour_means_none(demo: Demo, tmp_path: Path) -> None:
    argv = dashboard(demo, "--ascii")
    with on_screen(tmp_path, argv, width=80, height=24, NO_COLOR="1") as screen:
        screen.until("Fleet", "staged")
        text = screen.colours
        assert text.isascii()
        codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", text) for code in codes.split(";")}
        assert codes <= {"", "0", "1", "4", "7", "39", "49"}  # plain, bold, underlined, reversed


def test_nothing_that_a_host_says_reaches_the_terminal(demo: Demo, tmp_path: Path) -> None:
    """Every byte that goes to the terminal, with the hostile host open: only what Textual itself sends."""
    log = tmp_path / "bytes"
    with on_screen(tmp_path, dashboard(demo), width=120, height=40) as screen:
        screen.tmux("pipe-pane", f"cat >{log}")
        screen.until("1 Fleet", "staged")
        screen.press(":")
        screen.type(f"open {demo.host('hostile')}")
        screen.press("Enter")
        for key, shown in (("d", "› facts"), ("t", "› timeline"), ("x", "NAME="), ("l", "› log")):
            screen.press(key)
            screen.until(shown)
        screen.press("C-q")
        assert screen.exit_code == 0
    sent = log.read_bytes()
    left = re.sub(
        rb"\x1b(\[[0-9;?<>=]*\$?[A-Za-z]|[78=>]|\(B|P=[12]s\x1b\\|\](?:2|22);[^\x00-\x1f\x7f]*\x07)",
        b"",
        sent,
    )
    assert b"\x1b[2J\x1b[H" not in sent  # what the host says first wherever it can
    odd = [left[max(0, at.start() - 20) : at.end() + 20] for at in re.finditer(rb"[\x07\x1b]", left)]
    assert odd == []
    assert set(re.findall(rb"[\x00-\x1f\x7f]|\xc2[\x80-\x9f]", left)) <= {b"\r", b"\n"}
