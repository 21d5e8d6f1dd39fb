"""The known_hosts index: names, ports, hashes, patterns, markers, damage, change. Sample keys are made up."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import os
import struct
import threading
from concurrent import futures
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import known_hosts
from collectors.errors import ConfigError, ConnectFailed, Reach
from collectors.host_key_ask import HostKeys
from collectors.known_hosts import HostKey, KnownHosts, OnFile
from collectors.ssh import SshTransport
from collectors.transport import Target


def key(seed: str, kind: str = "ssh-ed25519") -> HostKey:
    raw = hashlib.sha256(seed.encode()).digest()
    return HostKey(kind, struct.pack(">I", len(kind)) + kind.encode() + struct.pack(">I", len(raw)) + raw)


A, B, C = key("a"), key("b"), key("c", "ecdsa-sha2-nistp256")


def hashed(name: str) -> str:
    salt = hashlib.sha1(name.encode(), usedforsecurity=False).digest()
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def look(path: Path, text: str, names: str, port: int | None = 22) -> OnFile:
    path.write_text(text)
    return KnownHosts([str(path)]).lookup(names.split(), port)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known_hosts"


@pytest.mark.parametrize(
    ("line", "names", "port", "is_found"),
    [
        ("db-1", "db-1", 22, True),
        ("DB-1.Example.Net", "db-1.example.NET", 22, True),
        ("other,db-1", "db-1", 22, True),
        ("db-1", "10.0.0.1 db-1", 22, True),
        ("10.0.0.1", "10.0.0.1 db-1", 22, True),
        ("db-1", "db-2", 22, False),
        ("[db-1]:2222", "db-1", 2222, True),
        ("[db-1]:2222", "db-1", 22, False),
        ("[db-1]:2222", "db-1", 2223, False),
        ("[2001:db8::7]:2222", "2001:db8::7", 2222, True),
        ("2001:db8::7", "2001:db8::7", 22, True),
        ("alias", "alias", None, True),
        ("[alias]:2222", "alias", None, False),
        (hashed("db-1"), "db-1", 22, True),
        (hashed("db-1"), "db-2", 22, False),
        (hashed("[db-1]:2222"), "db-1", 2222, True),
        ("*.example.net", "db-1.example.net", 22, True),
        ("*.example.net", "example.net", 22, False),
        ("db-?", "db-1", 22, True),
        ("db-?", "db-10", 22, False),
        ("db.1*", "dbx1", 22, False),
        ("*.net,!bad.net", "good.net", 22, True),
        ("*.net,!bad.net", "bad.net", 22, False),
        ("!bad.net", "good.net", 22, False),
        ("[*.net]:2222", "a.net", 2222, True),
    ],
)
def test_a_name_is_found_in_each_of_its_forms(
    path: Path, line: str, names: str, port: int | None, is_found: bool
) -> None:
    found = look(path, f"{line} {A.line} comment\n", names, port)
    assert found.keys == ((A,) if is_found else ())
    assert found.exact or not found.keys


def test_a_name_without_port_serves_any_port_but_does_not_speak_for_it(path: Path) -> None:
    text = f"db-1 {A.line}\n[db-1]:2222 {B.line}\n"
    assert look(path, text, "db-1", 2222).keys == (B,)
    other = look(path, text, "db-1", 2223)
    assert other.keys == (A,)
    assert not other.exact


def test_all_keys_of_all_names_and_files_are_found_once_each(tmp_path: Path) -> None:
    first, second = tmp_path / "one", tmp_path / "two"
    first.write_text(f"db-1 {A.line}\ndb-1 {C.line}\n")
    second.write_text(f"10.0.0.1 {B.line}\ndb-1 {A.line}\n")
    files = KnownHosts([str(first), str(tmp_path / "missing"), str(second)])
    assert files.lookup(["db-1", "10.0.0.1"], 22).keys == (A, C, B)


def test_authorities_and_revoked_keys_stand_apart(path: Path) -> None:
    text = f"@cert-authority *.net {A.line}\n@revoked * {B.line}\ndb.net {C.line}\n"
    found = look(path, text, "10.0.0.1 db.net")
    assert (found.keys, found.authorities, found.revoked) == ((C,), (A,), (B,))
    assert found.principal == "db.net"


def test_revoked_without_port_counts_for_every_port(path: Path) -> None:
    assert look(path, f"@revoked db-1 {A.line}\n", "db-1", 2222).revoked == (A,)


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "# db-1 ssh-ed25519 AAAA",
        "db-1",
        "db-1 ssh-ed25519",
        "db-1 ssh-ed25519 AAAA",
        "db-1 ssh-ed25519 %%%",
        f"db-1 ssh-rsa {A.line.split()[1]}",
        "db-1 1024 35 1234567890",
        f"db-1 {key('c', 'ssh-ed25519-cert-v01@openssh.com').line}",
        f"@unknown db-1 {B.line}",
        f"|2|AAAA|AAAA {B.line}",
        f"|1|AAAA {B.line}",
        f"|1|*|! {B.line}",
        "\x00\ufffd\x1b[2J",
    ],
)
def test_a_damaged_line_is_skipped_and_the_others_count(path: Path, damaged: str) -> None:
    assert look(path, f"{damaged}\ndb-1 {A.line}\n", "db-1").keys == (A,)


def test_no_file_is_an_empty_file(path: Path) -> None:
    assert KnownHosts([str(path)]).lookup(["db-1"], 22) == OnFile(principal="db-1")
    (path.parent / "a file").write_text("")
    assert KnownHosts([str(path.parent / "a file" / "below")]).lookup(["db-1"], 22).keys == ()


def test_a_changed_file_is_read_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(f"db-1 {A.line}\n")
    files = KnownHosts([str(path)])
    assert files.lookup(["db-1"], 22).keys == (A,)
    path.write_text(f"db-1 {A.line}\ndb-1 {B.line}\n")
    assert files.lookup(["db-1"], 22).keys == (A,), "it is looked at once a second at most"
    monkeypatch.setattr(known_hosts, "LOOK_AGAIN_S", 0.0)
    assert not files.is_quick(["db-1"], 22)
    assert files.lookup(["db-1"], 22).keys == (A, B)
    os.remove(path)
    files.refresh()
    assert files.lookup(["db-1"], 22).keys == ()


def test_threads_that_ask_at_once_wait_for_the_one_that_reads(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text(f"db-1 {A.line}\n")
    files, is_reading, may_go_on = KnownHosts([str(path)]), threading.Event(), threading.Event()
    read, reads = known_hosts._add_file, []

    def slowly(index: known_hosts._Index, file: str) -> None:
        reads.append(file)
        is_reading.set()
        may_go_on.wait(10)
        read(index, file)

    monkeypatch.setattr(known_hosts, "_add_file", slowly)
    with futures.ThreadPoolExecutor(4) as pool:
        first = pool.submit(files.lookup, ["db-1"], 22)
        assert is_reading.wait(10)
        others = [pool.submit(files.lookup, ["db-1"], 22) for _ in range(3)]
        assert not futures.wait(others, timeout=0.1).done
        may_go_on.set()
        assert [asked.result().keys for asked in (first, *others)] == [(A,)] * 4
    assert len(reads) == 1


def test_many_hashes_are_not_tried_in_the_event_loop(path: Path) -> None:
    line = f"{hashed('db-1')} {A.line}\n"
    path.write_text(line * (known_hosts.QUICK_HASHES + 1))
    files = KnownHosts([str(path)])
    files.refresh()
    assert not files.is_quick(["db-1"], 22)
    assert files.lookup(["db-1"], 22).keys == (A,)
    assert files.is_quick(["db-1"], 22), "what was found once is remembered"


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints() -> None:
    """A public key and `ssh-keygen -l`'s word for it, from OpenSSH 9.2."""
    data = "AAAAC3NzaC1lZDI1NTE5AAAAIHJlY29yZGVkIGtleSBmb3IgYSB0ZXN0IG9mIGEgZnBy"
    shown = HostKey("ssh-ed25519", base64.b64decode(data))
    assert str(shown) == "SHA256:DfznvvCDcYvYw5lrTLFOKP7am5JFt8BnlWcV6ElhGbU (ssh-ed25519)"
    assert shown.line == f"ssh-ed25519 {data}"


@given(st.text(), st.sampled_from([22, 2222, None]))
def test_any_text_is_read_and_hides_no_line_after_it(
    tmp_path_factory: pytest.TempPathFactory, text: str, port: int | None
) -> None:
    path = tmp_path_factory.mktemp("any") / "known_hosts"
    path.write_text(f"{text}\ndb-1 {A.line}\n", encoding="utf-8", errors="replace", newline="\n")
    assert A in KnownHosts([str(path)]).lookup(["db-1"], port).keys


@given(
    st.text("ab.-*?", min_size=1, max_size=8),
    st.text("ab.-", min_size=1, max_size=8),
)
def test_a_pattern_covers_what_a_plain_walk_says(glob: str, name: str) -> None:
    def covers(pattern: str, rest: str) -> bool:
        if not pattern:
            return not rest
        if pattern[0] == "*":
            return covers(pattern[1:], rest) or (bool(rest) and covers(pattern, rest[1:]))
        return bool(rest) and pattern[0] in ("?", rest[0]) and covers(pattern[1:], rest[1:])

    pattern = known_hosts._pattern([glob])
    assert pattern is not None
    assert pattern.covers(name) == covers(glob, name)


def test_a_file_that_cannot_be_read_is_no_empty_one_and_is_tried_again(path: Path) -> None:
    path.mkdir()
    files = KnownHosts([str(path)])
    assert known_hosts.why_unreadable(str(path)) == "Is a directory"
    for _ in range(2):
        with pytest.raises(OSError, match="Is a directory") as caught:
            files.lookup(["db-1"], 22)
        assert caught.value.filename == str(path)
    path.rmdir()
    assert known_hosts.why_unreadable(str(path)) == ""
    path.write_text(f"db-1 {A.line}\n")
    assert files.lookup(["db-1"], 22).keys == (A,)


def test_a_host_whose_file_cannot_be_read_is_not_talked_to_and_says_why(path: Path) -> None:
    path.mkdir()
    target = Target("db-1", "192.0.2.1", known_hosts=(str(path),))

    async def run() -> None:
        async with SshTransport(keep=False) as transport:
            await transport.run(target, "true", b"", timeout_s=10, limit_bytes=1)

    with pytest.raises(ConnectFailed, match="known_hosts cannot be read: Is a directory") as caught:
        asyncio.run(run())
    assert caught.value.reach is Reach.HOST_KEY_UNKNOWN
    with pytest.raises(ConfigError, match="known_hosts: cannot be read: Is a directory"):
        HostKeys().on_file(target)
