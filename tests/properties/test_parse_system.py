"""Whatever the bytes, parsers of the system's words give facts or ParseError, and never a false fact."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collectors.errors import ParseError
from collectors.parse.boot import parse_cmdline
from collectors.parse.df import parse_df, parse_df_human
from collectors.parse.os_release import (
    parse_extension_release,
    parse_os_release,
    parse_release,
    unquote,
    version_key,
)
from collectors.parse.sysext import parse_sysext_list, parse_sysext_status
from collectors.parse.sysext_links import (
    image_version,
    kind_of,
    parse_links,
    parse_ls_extensions,
    parse_meta,
)
from collectors.parse.units import (
    parse_failed,
    parse_manager,
    parse_show,
    parse_systemctl_status,
    parse_timestamp,
    parse_version_line,
)
from collectors.parse.update_conf import parse_update_conf, server_kind
from collectors.redact import redact, visible
from tests.recorded.system.adapters import SALT, recordings


def conf(text: str) -> object:
    return parse_update_conf(text, salt=SALT)


PARSERS: dict[str, Callable[[str], object]] = {
    "df": parse_df_human,
    "df-boot": parse_df_human,
    "df-probe": parse_df,
    "ls-etc-extensions": parse_ls_extensions,
    "os-release": parse_os_release,
    "release": parse_release,
    "extension-release": parse_extension_release,
    "proc-cmdline": parse_cmdline,
    "systemctl-failed": parse_failed,
    "systemctl-show": parse_show,
    "systemctl-show-manager": parse_manager,
    "systemctl-status": parse_systemctl_status,
    "systemd-confext-status": parse_sysext_status,
    "systemd-sysext-list": parse_sysext_list,
    "systemd-sysext-status": parse_sysext_status,
    "systemd-sysext-status-json": parse_sysext_status,
    "update-conf": conf,
    "version": parse_version_line,
}

FORMS = {
    "df-probe": "Mounted on Type 1B-blocks Used Avail\n/ ext4 13958643 1503238 11811160\n/oem vfat 1 2 3\n",
    "release": "FLATCAR_RELEASE_VERSION=4593.2.5\nFLATCAR_RELEASE_BOARD=amd64-usr\n",
    "systemctl-failed": '[{"unit":"a.service","load":"loaded","active":"failed","sub":"failed"}]\n',
    "systemctl-show": "Result=success\nId=a.path\nLoadState=loaded\nActiveState=active\nSubState=waiting\n\n"
    "Id=docker.socket\nLoadState=loaded\nActiveState=active\nSubState=listening\nUnitFileState=enabled\n",
    "systemctl-show-manager": "Version=257.9\nNFailedUnits=12\nSystemState=degraded\n",
    "systemd-sysext-status": "HIERARCHY EXTENSIONS SINCE\n/opt      none       -\n"
    "/usr      docker-flatcar Mon 2026-11-23 04:55:39 UTC\n          kubernetes\n",
    "systemd-sysext-list": '[{"name":"k","type":"raw","path":"/run/extensions/k","time":1795409578545900}]\n',
    "version": "containerd github.com/containerd/containerd v1.7.21 472731909fa3\n",
}
"""What the probe gets and no recording holds."""


def kind_of_parser(kind: str) -> str:
    return "systemctl-status" if kind.startswith("systemctl-status") else kind


TEXTS = [(kind_of_parser(found.kind), found.body) for found in recordings()] + list(FORMS.items())


def leaves(value: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Every plain value in facts, by its place; empty containers and None have none."""
    if is_dataclass(value):
        for part in fields(value):
            yield from leaves(getattr(value, part.name), f"{place}.{part.name}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{place}[{key}]")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from leaves(item, f"{place}[{number}]")
    elif value is not None:
        yield place, value


def facts_or_none(parse: Callable[[Any], object], given: str | bytes) -> object | None:
    """What `parse` gives, None for a ParseError; anything else that it raises fails the test."""
    try:
        return parse(given)
    except ParseError as error:
        message = str(error)
    assert message.isprintable()
    return None


# Not update.conf: where it ends, it ends to its readers too, so that no cut can be seen in it.
@pytest.mark.parametrize(("kind", "text"), [item for item in TEXTS if item[0] != "update-conf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_cut_text_never_gives_a_false_fact(kind: str, text: str, newline: str) -> None:
    text = text.replace("\n", newline)
    whole = dict(leaves(PARSERS[kind](text)))
    step = max(1, len(text) // 400)
    for end in range(0, len(text), step):
        cut = facts_or_none(PARSERS[kind], text[:end])
        # A flag has no third value: what a cut took away cannot make it true.
        told = {place: value for place, value in leaves(cut) if value is not False}
        assert told.items() <= whole.items(), f"after {end} characters"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_text_gives_printable_facts_or_a_parse_error(data: st.DataObject) -> None:
    kind, text = data.draw(st.sampled_from(TEXTS))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 12))
        put = data.draw(
            st.text(max_size=6) | st.sampled_from(["\x1b[31m", "\0", '"', "'", "\\", "=", "\n\n", "[", "-"])
        )
        text = text[:at] + put + text[at + gone :]
    for place, value in leaves(facts_or_none(PARSERS[kind], text)):
        assert place.isprintable()
        assert not isinstance(value, str) or isinstance(value, Enum) or value.isprintable(), place
        assert not isinstance(value, datetime) or value.tzinfo is not None, place


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.sampled_from(sorted(PARSERS)))
def test_any_text_gives_facts_or_a_parse_error(text: str, kind: str) -> None:
    facts_or_none(PARSERS[kind], text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_helpers_are_total(text: str, other: str) -> None:
    assert visible(text).isprintable()
    assert parse_timestamp(text) is None
    assert kind_of(text, other) in ("builtin", "oem", "official", "independent", "other")
    image_version(text, other)
    server_kind(text)
    version_key(text)
    unquote(text)


# -- files that are written and read back -------------------------------------------------------------

WORDS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x17F, exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=12,
)
VALUES = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
NUMBERS = st.tuples(st.integers(0, 99999), st.integers(0, 9999), st.integers(0, 9999))


def quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries({"NAME": VALUES, "ID": WORDS, "PRETTY_NAME": VALUES, "SYSEXT_LEVEL": WORDS}),
    NUMBERS,
    st.booleans(),
    st.sampled_from(["\n", "\r\n"]),
    st.permutations(range(5)),
)
def test_os_release_is_read_as_it_was_written(
    values: dict[str, str], number: tuple[int, int, int], bare: bool, newline: str, order: list[int]
) -> None:
    version = ".".join(map(str, number))
    lines = [f"{key}={quoted(value)}" for key, value in values.items()]
    lines.append(f"VERSION_ID={version if bare else quoted(version)}")
    facts = parse_os_release("".join(f"{lines[at]}{newline}" for at in order))
    assert facts.version_id == version
    assert version_key(version) == number
    read = {"NAME": facts.name, "ID": facts.id, "PRETTY_NAME": facts.pretty_name}
    assert read | {"SYSEXT_LEVEL": facts.sysext_level} == values


NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=10)
PATHS = NAMES.map(lambda name: f"/etc/extensions/{name}.raw")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(PATHS, PATHS, st.booleans()), max_size=5, unique_by=lambda entry: entry[0]),
    st.lists(PATHS, max_size=3),
)
def test_links_survive_any_name(entries: list[tuple[str, str, bool]], loops: list[str]) -> None:
    parts = [f"{int(exists)} {path}" for path, _, exists in entries] + ["="]
    parts += [target for _, target, _ in entries] + ["=", *loops]
    found, merged = parse_links("".join(f"{part}\0" for part in parts).encode())
    assert {(link.path, link.target, link.exists) for link in found.values()} == {
        (visible(path), visible(target), exists) for path, target, exists in entries
    }
    assert merged == tuple(map(visible, loops))


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=80)
    | st.lists(st.sampled_from([b"=", b"1 /a", b"0 b", b"=n", b"ID=x", b"\0", b"/"])).map(b"\0".join)
)
def test_any_bytes_give_links_and_metadata_or_a_parse_error(content: bytes) -> None:
    for parse in (parse_links, parse_meta):
        found = facts_or_none(parse, content)
        assert all(not isinstance(value, str) or value.isprintable() for _, value in leaves(found))


# -- secrets ------------------------------------------------------------------------------------------

SECRETS = st.text(
    st.sampled_from("abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"), min_size=12, max_size=44
).map(lambda text: f"s7{text}")
PLACES = st.sampled_from(
    [
        "https://user:{}@host/path", "https://{}@host", "http://host/?{}", "http://host/a?b={}&c=d",
        "SERVER=https://neb/v1/update/{}", "/v1/update/x/{}", "DOWNLOAD_USER={}", "download_password: {}",
        "export DOWNLOAD_PASSWORD = \"{}\"", "DOWNLOAD_PASSWORD='a {}' # b", "Download-Password\t=\t{}",
        "DOWNLOAD_PASSWORD=x\\\n{}", "ignition.config.url={}", "ignition.config.url=\"http://a b/{}\"",
        "Authorization: Bearer {}", "authorization=Digest a=\"{}\"", "Bearer {}", "basic {}", "password={}",
        "PASSWORD: \"{}\"", "{\"db_password\":\"{}\"}", "passwd = '{} x'", "secret={}", "client-secret: {}",
        "api_key={}", "apikey: \"{}\"", "access-key={}", "token={}", "\"token\": \"{}\"", "--token {}",
        "--password={}",
        "Cookie: id={}", "eyJhbGciOiJIUzI1NiJ9.{}.{}", "gho_{}",
        "-----BEGIN EC PRIVATE KEY-----\n{}\n-----END EC PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----{}",
    ]
)  # fmt: skip
AROUND = st.text(max_size=15) | st.sampled_from(
    ["", "\n", " ", "-- ", "GROUP=beta\n", "[redacted 012345] ", 'x="y" ']
)


@settings(max_examples=400, deadline=None)
@given(SECRETS, PLACES, AROUND, AROUND)
def test_no_planted_secret_is_left(secret: str, place: str, before: str, after: str) -> None:
    text = f"{before}\n{place.replace('{}', secret)}\n{after}"
    redacted = redact(text, SALT)
    assert secret not in redacted
    assert redact(redacted, SALT) == redacted


PIECES = st.sampled_from(
    [
        "://", "u:p@", "@", "host", "/v1/update/", "?", "q=1", "#", "=", ":", " ", "\t", "\n", "\r\n",
        "\\", '"', "'", "password", "pwd", "secret", "token", "token ", "api_key", "key", "DOWNLOAD_USER",
        "ignition.config.url=",
        "Authorization", "bearer", "Basic", "cookie", "eyJhbGciOiJI.eyJzdWIi.sig", "AKIAABCDEFGHIJKLMNOP",
        "ghp_abcdefghijk0123", "[redacted 012345]", "[redacted ", "-----BEGIN PRIVATE KEY-----",
        "--token", "abc",
        "a1b2c3d4e5", ",", "}", "]", "<", "none", "x" * 45,
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=10).map("".join) | st.text(max_size=40), st.binary(max_size=80))
@example("pwdbearer=none'export >}", b"")
@example("--password\t''[redacted 012345],", b"")
def test_redacting_twice_changes_nothing(text: str, salt: bytes) -> None:
    once = redact(text, salt)
    assert redact(once, salt) == once


@settings(max_examples=8, deadline=None)
@given(st.lists(PIECES | st.text(min_size=1, max_size=3), min_size=1, max_size=4).map("".join))
def test_long_hostile_text_is_redacted_in_bounded_time(unit: str) -> None:
    """The test's own time limit is the assertion: a quadratic pattern needs minutes for this."""
    redact(unit * (256 * 1024 // len(unit)), SALT)


def test_every_kind_has_a_parser() -> None:
    assert {kind for kind, _ in TEXTS} <= set(PARSERS)
    assert all(PARSERS[kind](text) for kind, text in TEXTS if text.strip() != "No OS extensions found.")
