"""What an offered host key means, and what is understood of lists of trusted keys."""

from __future__ import annotations

import base64
import struct

import pytest

from collectors.errors import ConfigError
from collectors.host_key_review import (
    Verdict,
    Vouched,
    authority_pattern,
    fingerprints_for,
    is_key_list,
    name_on_file,
    names_on_file,
    parse_fingerprints,
    parse_public_key,
    review,
    twins,
)
from collectors.known_hosts import HostKey, OnFile
from collectors.transport import Target


def key(seed: str, kind: str = "ssh-ed25519") -> HostKey:
    return HostKey(kind, struct.pack(">I", len(kind)) + kind.encode() + seed.encode().ljust(36, b"."))


A, B, C = key("a"), key("b"), key("c", "ssh-rsa")
HOST = Target("edge-1", "192.0.2.1", 2222)
NOTHING = OnFile()


@pytest.mark.parametrize(
    ("on_file", "vouched", "verdict", "old"),
    [
        (NOTHING, None, Verdict.NEW, ()),
        (OnFile((A,)), None, Verdict.KNOWN, ()),
        (OnFile((B,)), None, Verdict.CHANGED, (B,)),
        (OnFile((B, C)), None, Verdict.CHANGED, (B, C)),
        (OnFile((B,), exact=False), None, Verdict.NEW, ()),
        (OnFile((A,), exact=False), None, Verdict.KNOWN, ()),
        (OnFile(authorities=(A,)), None, Verdict.KNOWN, ()),
        (OnFile(authorities=(B,)), None, Verdict.NEW, ()),
        (OnFile((A,), revoked=(A,)), None, Verdict.REVOKED, ()),
        (NOTHING, Vouched(frozenset({A.fingerprint})), Verdict.VOUCHED, ()),
        (OnFile((B,)), Vouched(frozenset({A.fingerprint})), Verdict.VOUCHED, (B,)),
        (OnFile((C,)), Vouched(frozenset({A.fingerprint})), Verdict.VOUCHED, ()),
        (OnFile((A,)), Vouched(frozenset({A.fingerprint, B.fingerprint})), Verdict.KNOWN, ()),
        (NOTHING, Vouched(frozenset({B.fingerprint})), Verdict.MISMATCH, ()),
        (NOTHING, Vouched(frozenset()), Verdict.UNLISTED, ()),
        (OnFile((A,)), Vouched(frozenset()), Verdict.KNOWN, ()),
        (OnFile(revoked=(A,)), Vouched(frozenset({A.fingerprint})), Verdict.REVOKED, ()),
        (NOTHING, Vouched(frozenset({A.fingerprint}), frozenset({A.fingerprint})), Verdict.REVOKED, ()),
    ],
)
def test_verdicts(
    on_file: OnFile, vouched: Vouched | None, verdict: Verdict, old: tuple[HostKey, ...]
) -> None:
    found = review(HOST, A, on_file, vouched)
    assert (found.verdict, found.old) == (verdict, old)


def test_a_key_on_file_that_the_trusted_list_contradicts_is_a_mismatch() -> None:
    found = review(HOST, A, OnFile((A,)), Vouched(frozenset({B.fingerprint})))
    assert (found.verdict, found.wanted) == (Verdict.MISMATCH, (B.fingerprint,))


def test_names_are_those_under_which_ssh_looks() -> None:
    assert names_on_file(HOST) == ("[192.0.2.1]:2222", "[edge-1]:2222")
    assert names_on_file(Target("Edge", "EDGE.x")) == ("edge.x", "edge")
    assert name_on_file(Target("a", "b", 2222, host_key_alias="Alias")) == "alias"


def test_fingerprints_are_read_as_people_and_as_ssh_keygen_write_them() -> None:
    text = (
        f"# from the provider's console\nedge-1 {A.fingerprint}\n"
        f"256 {B.fingerprint} [192.0.2.1]:2222,Other (ED25519)\n\n{C.fingerprint} edge-2\n"
    )
    listed = parse_fingerprints(text, file="prints")
    assert listed == {
        "edge-1": {A.fingerprint},
        "[192.0.2.1]:2222": {B.fingerprint},
        "other": {B.fingerprint},
        "edge-2": {C.fingerprint},
    }
    assert fingerprints_for(HOST, listed).fingerprints == {A.fingerprint, B.fingerprint}
    assert fingerprints_for(Target("x", "y"), listed).fingerprints == frozenset()


@pytest.mark.parametrize(
    "line",
    [
        "edge-1",
        "edge-1 SHA256:short",
        f"{A.fingerprint}",
        f"edge-1 {A.fingerprint} {B.fingerprint}",
        "edge-1 MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        "",
    ],
)
def test_a_list_that_is_none_is_refused(line: str) -> None:
    assert not is_key_list(line)
    with pytest.raises(ConfigError, match="prints"):
        parse_fingerprints(line, file="prints")


def test_known_hosts_lines_are_told_from_fingerprints() -> None:
    assert is_key_list(f"# x\nedge-1 {A.line} comment\n")
    assert is_key_list(f"@revoked * {A.line}\n")
    assert not is_key_list(f"edge-1 {A.fingerprint}\n")


def test_a_public_key_file_is_read_and_nothing_else() -> None:
    assert parse_public_key(f"{A.line} ca@example\n", file="ca.pub") == A
    data = base64.b64encode(A.blob).decode()
    for text in (
        "",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n",
        f"ssh-rsa {data}",
        "ssh-ed25519 ???",
        f"{A.line}\n{B.line}",
    ):
        with pytest.raises(ConfigError, match=r"ca\.pub"):
            parse_public_key(text, file="ca.pub")


@pytest.mark.parametrize(
    ("addresses", "pattern"),
    [
        (["a.example.net", "b.example.net"], "*.example.net"),
        (["a.example.net", "b.example.org"], "a.example.net,b.example.org"),
        (["a.net", "b.net"], "a.net,b.net"),
        (["192.0.2.1", "192.0.2.2"], "192.0.2.1,192.0.2.2"),
        (["a.example.net"], "a.example.net"),
        (["a", "b"], "a,b"),
    ],
)
def test_an_authority_speaks_for_the_fleets_hosts(addresses: list[str], pattern: str) -> None:
    assert authority_pattern([Target(text, text) for text in addresses]) == pattern


def test_an_authority_for_other_ports_is_given_each_host() -> None:
    targets = [Target("a", "a.example.net", 2222), Target("b", "b.example.net", 2222)]
    assert authority_pattern(targets) == "[a.example.net]:2222,[b.example.net]:2222"


def test_machines_with_one_key_are_named() -> None:
    one, other, third = (Target(name, name) for name in ("a", "b", "c"))
    reviews = [
        review(target, offered, NOTHING, None) for target, offered in ((one, A), (other, A), (third, B))
    ]
    assert twins(reviews) == {"a": ["b"], "b": ["a"]}
