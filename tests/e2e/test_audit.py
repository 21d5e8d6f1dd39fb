"""The record as an operator and an auditor meet it: heads, export, verification elsewhere, a signature."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from actions import ledger
from actions.record import Actor, Entry, Event
from collectors import store
from tests.builders import NOW
from tests.e2e.cli import Terminal

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "console/schemas/fleetctl.record.v1.json").read_text())
VALID = jsonschema.Draft202012Validator(SCHEMA)
HEAD = re.compile(r"^record (\d+:[0-9a-f]{16})$", flags=re.MULTILINE)
FLEET = 'name = "prod"\n[[groups]]\nname = "edge"\nhosts = ["edge-[1-3]"]\n'


@pytest.fixture
def user(tmp_path: Path) -> Terminal:
    """A user in a directory with a fleet and its database."""
    (tmp_path / "fleet.toml").write_text(FLEET)
    user = Terminal(tmp_path, {"SSH_CONNECTION": "192.0.2.7 50022 192.0.2.1 22"})
    user.run("migrate")
    return user


def head_of(done: subprocess.CompletedProcess[str]) -> str:
    """The head that a verb printed on stderr."""
    (found,) = HEAD.findall(done.stderr)
    assert isinstance(found, str)
    return found


def rows(user: Terminal, *words: str) -> list[dict[str, Any]]:
    document = json.loads(user.run("audit", "log", "--json", *words).stdout)
    VALID.validate(document)
    found: list[dict[str, Any]] = document["record"]
    return found


def held(user: Terminal, *words: str) -> subprocess.CompletedProcess[str]:
    return user.run("hold", "edge-1", "edge-2", "--reason", "ops-1", *words)


def test_holds_and_acknowledgements_are_recorded_with_who_and_why(user: Terminal) -> None:
    first = head_of(held(user))
    again = head_of(user.run("hold", "edge-1", "--reason", "ops-1", "--actor", "Jo"))
    user.run("unhold", "@edge", "--actor", "Jo")
    last = head_of(user.run("acknowledge", "edge-3"))
    assert (first[:2], again[:2], last[:2]) == ("2:", "3:", "7:")
    found = rows(user)
    assert [(row["host"], row["verb"], row["event"], row["text"]) for row in found] == [
        ("edge-1", "hold", "held", "ops-1"),
        ("edge-2", "hold", "held", "ops-1"),
        ("edge-1", "hold", "already", "ops-1"),
        ("edge-1", "unhold", "unheld", "ops-1"),
        ("edge-2", "unhold", "unheld", "ops-1"),
        ("edge-3", "unhold", "already", None),
        ("edge-3", "acknowledge", "already", None),
    ]
    assert [row["actor"]["said"] for row in found] == [None, None, "Jo", "Jo", "Jo", "Jo", None]
    assert {row["actor"]["ssh_from"] for row in found} == {"192.0.2.7"}
    assert rows(user, "--host", "edge-2", "--limit", "1") == [found[4]]
    assert rows(user, "--order", "none") == []
    for head in (first, again, last):
        assert f"head {head} is in it" in user.run("audit", "verify", "--head", head).stdout


def test_the_log_is_a_line_a_row_newest_last_whatever_is_in_it(user: Terminal) -> None:
    assert user.run("audit", "log").stdout == "Nothing is recorded.\n"
    user.run("hold", "edge-1", "--reason", "\x1b]0;evil\x07 and \u202etxt", "--actor", "Jo\x1b[2J")
    held(user)
    done = user.run("audit", "log", "--since", "1h")
    lines = done.stdout.splitlines()
    assert all(len(line) <= 100 for line in lines)
    assert done.stderr == ""
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert all(line.isprintable() for line in lines)
    assert lines[0].endswith("held                  \\x1b]0;evil\\x07 and \\u…")
    exported = user.run("audit", "export").stdout
    assert all(line.isprintable() for line in exported.splitlines())


def test_a_verb_that_is_refused_records_nothing_and_changes_nothing(user: Terminal) -> None:
    held(user)
    done = user.run("hold", "edge-9", "--reason", "x", code=2)
    assert HEAD.search(done.stderr) is None
    assert len(rows(user)) == 2


def test_an_export_is_verified_without_the_database(user: Terminal) -> None:
    early = head_of(held(user))
    done = user.run("audit", "export")
    assert head_of(done) == early
    header, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    for document in (header, *lines):
        VALID.validate(document)
    assert (header["fleet"], header["rows"], header["head"][:18]) == ("prod", 2, early)
    away = Terminal(user.home / "away")
    away.home.mkdir()
    (away.home / "record.jsonl").write_text(done.stdout)
    assert away.run("audit", "verify", "record.jsonl", "--head", early).stdout.startswith(
        "the record is whole"
    )
    assert "2 rows" in away.run("audit", "verify", "-", stdin=done.stdout).stdout
    wrong = done.stdout.replace("edge-2", "edge-3")
    told = away.run("audit", "verify", "-", stdin=wrong, code=1)
    assert told.stdout == "the record is not whole: line 3, row 2: its hash does not match its content\n"
    assert told.stderr == ""
    for damaged in ("", "\0" * 99, done.stdout[:-9], done.stdout[:700]):
        assert "not whole: " in away.run("audit", "verify", "-", stdin=damaged, code=1).stdout


def test_a_cut_tail_is_found_by_a_head_that_was_noted(user: Terminal) -> None:
    held(user)
    conn, copy = sqlite3.connect(user.home / "prod.db"), sqlite3.connect(user.home / "before.db")
    conn.backup(copy)
    for opened in (conn, copy):
        opened.close()
    late = head_of(user.run("unhold", "edge-1"))
    assert user.run("audit", "verify", "before.db").stdout.startswith("the record is whole: 2 rows")
    told = user.run("audit", "verify", "before.db", "--head", late, code=1).stdout
    assert told == f"the record is not whole: it ends with row 2, before head {late}: rows were cut off\n"


def test_a_database_changed_by_hand_is_found(user: Terminal) -> None:
    held(user)
    conn = sqlite3.connect(user.home / "prod.db")
    conn.execute("DROP TRIGGER record_stays")
    conn.execute("UPDATE record SET login = 'somebody' WHERE n = 1")
    conn.commit()
    conn.close()
    told = user.run("audit", "verify", code=1).stdout
    assert told == "the record is not whole: row 1: its hash does not match its content\n"
    exported = user.run("audit", "export").stdout
    assert "line 2, row 1: " in user.run("audit", "verify", "-", stdin=exported, code=1).stdout


def test_a_database_page_that_cannot_be_read_is_an_answer(user: Terminal) -> None:
    conn = store.open_writer(user.home / "prod.db")
    with store.transaction(conn):
        middle = ledger.append(conn, [_sent()] * 100)
        ledger.append(conn, [_sent()] * 100)
    conn.execute("PRAGMA journal_mode=DELETE")
    conn.close()
    path = user.home / "prod.db"
    data = bytearray(path.read_bytes())
    start = data.index(middle.hash.encode()) // 4096 * 4096
    data[start : start + 4096] = b"\xff" * 4096
    path.write_bytes(data)
    done = user.run("audit", "verify", code=1)
    assert "the database cannot be read to its end: " in done.stdout
    assert done.stderr == ""


def _sent() -> Entry:
    who = Actor("core", 500, None, "bastion")
    return Entry(
        NOW, who, "stage", Event.INTENT, host="edge-1", order="o-1", command="x", evidence={"slot": "B"}
    )


def test_evidence_is_exported_where_asked_for(user: Terminal) -> None:
    conn = store.open_writer(user.home / "prod.db")
    with store.transaction(conn):
        ledger.append(conn, [_sent()])
    conn.close()
    (row,) = [json.loads(line) for line in user.run("audit", "export").stdout.splitlines()[1:]]
    assert "document" not in row
    exported = user.run("audit", "export", "--evidence").stdout
    assert json.loads(exported.splitlines()[1])["document"] == '{"slot":"B"}'
    assert "whole: 1 row," in user.run("audit", "verify", "-", stdin=exported).stdout
    wrong = exported.replace('slot\\":\\"B', 'slot\\":\\"A')
    assert "evidence does not match" in user.run("audit", "verify", "-", stdin=wrong, code=1).stdout


def test_ssh_keygen_accepts_the_signature_of_an_export(user: Terminal) -> None:
    held(user)
    home = user.home
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / "key"], check=True)
    done = user.run("audit", "export", "--sign", "key", "--signature", "record.sig")
    assert head_of(done)[:2] == "2:"
    (home / "allowed").write_text(f"jo@example.net {(home / 'key.pub').read_text()}")
    check = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", "jo@example.net", "-n", "fleetctl.record"]
    check += ["-s", "record.sig"]

    def accepted(text: str) -> bool:
        return subprocess.run(check, input=text.encode(), cwd=home, capture_output=True).returncode == 0

    assert accepted(done.stdout)
    assert not accepted(done.stdout.replace("ops-1", "ops-2"))


def test_an_export_that_cannot_be_signed_says_so(user: Terminal) -> None:
    held(user)
    done = user.run("audit", "export", "--sign", "no-key", "--signature", "record.sig", code=2)
    assert "no-key: --sign: was not used to sign: " in done.stderr
    assert not (user.home / "record.sig").exists()
    assert "2 rows" in user.run("audit", "verify", "-", stdin=done.stdout).stdout
    assert "go together" in user.run("audit", "export", "--sign", "key", code=2).stderr


def test_a_head_that_is_none_is_a_mistake_of_usage(user: Terminal) -> None:
    assert "N:HASH" in user.run("audit", "verify", "--head", "12", code=2).stderr
    assert "no-such-file" in user.run("audit", "verify", "no-such-file", code=2).stderr


def test_the_verifier_in_the_docs_agrees(user: Terminal) -> None:
    head = held(user)
    exported = user.run("audit", "export", "--evidence").stdout
    (program,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "record.md").read_text(), flags=re.DOTALL
    )
    assert len([line for line in program.splitlines() if line.strip()]) <= 20

    def told(text: str) -> tuple[int, str]:
        argv = [sys.executable, "-c", program]
        done = subprocess.run(argv, input=text, capture_output=True, text=True)
        return done.returncode, done.stdout

    code, text = told(exported)
    assert (code, text[:18]) == (0, head_of(head))
    assert told(exported.replace("edge-2", "edge-3"))[0] == 1


def test_audit_is_a_quick_command() -> None:
    code = "import sys, console.cli.audit, actions.actor; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & {"textual", "asyncssh", "httpx", "rich", "sqlite_utils"} == set()
