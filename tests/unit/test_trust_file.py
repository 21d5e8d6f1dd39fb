"""known_hosts files are changed where they must be and nowhere else."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.errors import ConfigError
from collectors.host_key_file import Entry, with_keys, write_authority, write_keys
from collectors.known_hosts import AUTHORITY, HostKey, KnownHosts


def key(seed: int | str, kind: str = "ssh-ed25519") -> HostKey:
    body = struct.pack(">I", 32) + str(seed).encode().ljust(32, b".")
    return HostKey(kind, struct.pack(">I", len(kind)) + kind.encode() + body)


OLD, NEW, OTHER = key("old"), key("new"), key("other")


def on_file(path: Path, name: str) -> tuple[HostKey, ...]:
    return KnownHosts([str(path)]).lookup([name], None).keys


def test_a_missing_file_is_made_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "ssh" / "known_hosts"
    write_keys(str(path), [Entry(("edge-1",), NEW)])
    assert path.read_text() == f"edge-1 {NEW.line}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["known_hosts"]


def test_keys_are_added_at_the_end_and_all_else_stays_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    before = f"# m\xfcller\n\nedge-9 {OTHER.line} a  comment\t\n@revoked * {OLD.line}\nbroken".encode(
        "latin-1"
    )
    path.write_bytes(before)
    path.chmod(0o644)
    write_keys(str(path), [Entry(("edge-1",), NEW), Entry(("[edge-2]:2222",), NEW)])
    added = f"\nedge-1 {NEW.line}\n[edge-2]:2222 {NEW.line}\n".encode()
    assert path.read_bytes() == before + added
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("")
    link.symlink_to(real)
    write_keys(str(link), [Entry(("edge-1",), NEW)])
    assert link.is_symlink()
    assert on_file(real, "edge-1") == (NEW,)


def test_a_changed_key_takes_the_place_of_the_old_one_and_moves_no_other_line() -> None:
    rsa = key("old", "ssh-rsa")
    text = f"# a\nedge-2 {OLD.line}\nedge-1 {OLD.line} note\n# b\nedge-1 {rsa.line}\nedge-3 {OTHER.line}\n"
    changed = with_keys(text, [Entry(("edge-1", "192.0.2.1"), NEW, (OLD, rsa))], file="known_hosts")
    assert changed == f"# a\nedge-2 {OLD.line}\nedge-1 {NEW.line}\n# b\nedge-3 {OTHER.line}\n"


def test_a_line_of_several_hosts_keeps_the_others() -> None:
    text = f"edge-1,edge-2,192.0.2.1 {OLD.line} note\n"
    changed = with_keys(text, [Entry(("192.0.2.1", "edge-1"), NEW, (OLD,))], file="known_hosts")
    assert changed == f"edge-2 {OLD.line} note\n192.0.2.1 {NEW.line}\n"


def test_an_old_key_under_a_pattern_is_left_for_a_person(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    text = f"*.example.net {OLD.line}\n"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"line 1.*edit it by hand"):
        write_keys(str(path), [Entry(("a.example.net",), NEW, (OLD,))])
    assert path.read_text() == text
    assert os.listdir(tmp_path) == ["known_hosts"]


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")
def test_a_hashed_file_stays_hashed_and_ssh_keygen_finds_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"edge-1 {OLD.line}\nedge-2 {OTHER.line}\n")
    subprocess.run(["ssh-keygen", "-H", "-f", str(path)], check=True, capture_output=True)
    write_keys(str(path), [Entry(("edge-1",), NEW, (OLD,)), Entry(("[edge-3]:2222",), NEW)])
    assert all(line.startswith("|1|") for line in path.read_text().splitlines())
    for name, wanted in (("edge-1", NEW), ("edge-2", OTHER), ("[edge-3]:2222", NEW)):
        assert on_file(path, name) == (wanted,)
        argv = ["ssh-keygen", "-F", name, "-f", str(path)]
        told = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
        assert wanted.line in told


def test_an_authority_is_added_once(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"edge-1 {OLD.line}\n")
    assert write_authority(str(path), "*.example.net", NEW)
    assert not write_authority(str(path), "*.example.net", NEW)
    assert path.read_text() == f"edge-1 {OLD.line}\n{AUTHORITY} *.example.net {NEW.line}\n"
    assert KnownHosts([str(path)]).lookup(["a.example.net"], None).authorities == (NEW,)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "known_hosts"
    threads = [
        threading.Thread(target=write_keys, args=(str(path), [Entry((f"edge-{number}",), key(number))]))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [on_file(path, f"edge-{number}") for number in range(20)] == [
        (key(number),) for number in range(20)
    ]
    assert len(path.read_text().splitlines()) == 20


def test_what_ssh_appends_in_between_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "known_hosts"
    path.write_text(f"edge-1 {OLD.line}\n")
    waiting = [f"edge-2 {OTHER.line}\n"]
    fsync = os.fsync

    def append_before(descriptor: int) -> None:
        if waiting:
            with path.open("a") as file:
                file.write(waiting.pop())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", append_before)
    write_keys(str(path), [Entry(("edge-3",), NEW)])
    assert [on_file(path, f"edge-{number}") for number in (1, 2, 3)] == [(OLD,), (OTHER,), (NEW,)]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_keys(str(tmp_path / "file" / "known_hosts"), [Entry(("edge-1",), NEW)])


NAMES = st.sampled_from(["a", "b", "[a]:22222", "192.0.2.1"])
KEYS = st.integers(0, 4).map(key)
LINES = st.one_of(
    st.text("abc #@|,*\t", max_size=20),
    st.tuples(st.lists(NAMES, min_size=1, max_size=3).map(",".join), KEYS).map(
        lambda x: f"{x[0]} {x[1].line}"
    ),
)


@given(st.lists(LINES, max_size=8), NAMES, KEYS)
@settings(deadline=None)
def test_after_a_change_the_host_has_the_new_key_and_others_what_they_had(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], name: str, new: HostKey
) -> None:
    path = tmp_path_factory.mktemp("known") / "known_hosts"
    path.write_text("\n".join(lines))
    everyone = {other: on_file(path, other) for other in ("a", "b", "[a]:22222", "192.0.2.1")}
    write_keys(str(path), [Entry((name,), new, tuple(old for old in everyone[name] if old != new))])
    assert set(on_file(path, name)) == {new}
    for other, keys in everyone.items():
        if other != name:
            assert set(on_file(path, other)) == set(keys)
