"""Whatever stands in a fleet file or an ssh_config: an answer or a ConfigError, never anything else."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.errors import ConfigError
from collectors.fleet_keys import KEYS_OF, KNOWN_KEYS
from collectors.fleet_model import Fleet
from collectors.host_names import MAX_HOSTS, HostTextInvalid, is_name
from collectors.inventory import expand_hosts, parse_fleet
from collectors.ssh_config import read_ssh_config

DOC = (Path(__file__).parents[2] / "docs" / "fleet-file.md").read_text(encoding="utf-8")
EXAMPLE = DOC.split("```toml\n")[1].split("```")[0]


def parse(text: str) -> Fleet | None:
    """The fleet, or None for one that is refused with a ConfigError, as it must be."""
    try:
        return parse_fleet(text, file="f.toml")
    except ConfigError:
        return None


@given(st.text())
def test_any_text_is_a_fleet_or_a_config_error(text: str) -> None:
    parse(text)


@given(st.data())
def test_a_mangled_example_is_a_fleet_or_a_config_error(
    data: st.DataObject,
) -> None:
    start = data.draw(st.integers(0, len(EXAMPLE)))
    end = data.draw(st.integers(start, min(len(EXAMPLE), start + 200)))
    piece = data.draw(st.sampled_from(["", EXAMPLE[start:end] * 2, "[[", '"', "\n[ssh]\n", "\x00", "[1-9]"]))
    parse(EXAMPLE[:start] + piece + EXAMPLE[end:])


WORDS = (
    "a b c n[1-3] @g g rest 10% 5 10s 0s night beta UTC Mon 02:00 http://x managed accept http command "
    "[2001:db8::1]:5 none {host} a:b:c a:5"
).split()
SCALARS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(WORDS),
    st.integers(),
    st.booleans().map(lambda _: 16**4000),
    st.booleans(),
    st.floats(),
    st.dates(),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=5)


def tables(form: str) -> st.SearchStrategy[dict[str, Any]]:
    """Tables of one kind, with known keys most of the time and values of the right shape often."""
    keys = st.sets(st.sampled_from([*KEYS_OF.get(form, ()), "odd key"]))
    return keys.flatmap(lambda some: st.fixed_dictionaries({key: shaped(form, key) for key in sorted(some)}))


def shaped(form: str, key: str) -> st.SearchStrategy[Any]:
    path = f"{form}.{key}" if form else key
    shapes: list[st.SearchStrategy[Any]] = [VALUES]
    if path in KEYS_OF:
        shapes.append(tables(path))
    if f"{path}[]" in KEYS_OF:
        shapes += [st.lists(tables(f"{path}[]"), max_size=3)] * 3
    if f"{path}.*" in KEYS_OF:
        names = st.sampled_from(["night", "default", "x y"])
        shapes.append(st.dictionaries(names, tables(f"{path}.*"), max_size=2))
    if key in ("labels", "per_label"):
        shapes.append(st.dictionaries(st.text(max_size=5), VALUES, max_size=2))
    return st.one_of(shapes)


def toml(value: Any) -> str:
    """One value in TOML."""
    match value:
        case dict():
            return "{" + ", ".join(f"{quote(key)} = {toml(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(toml(item) for item in value) + "]"
        case str():
            return quote(value)
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case int() if value.bit_length() > 1000:
            return hex(value)
    return str(value)


def quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@settings(max_examples=150, deadline=None)
@given(tables(""))
def test_any_structure_is_a_fleet_or_a_config_error(data: dict[str, Any]) -> None:
    parse("\n".join(f"{quote(key)} = {toml(value)}" for key, value in data.items()))


def test_the_known_keys_make_the_tables_that_the_structures_above_are_made_of() -> None:
    assert {path.rpartition(".")[0] for path in KNOWN_KEYS} == set(KEYS_OF)


NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)


@given(st.lists(st.tuples(NAMES, st.sets(NAMES, min_size=1, max_size=5)), min_size=1, max_size=5))
def test_a_fleet_holds_each_host_once_and_groups_and_hosts_agree(groups: list[tuple[str, set[str]]]) -> None:
    text = "\n".join(
        f"[[groups]]\nname = {quote(name)}\nhosts = {toml(sorted(hosts))}\n" for name, hosts in groups
    )
    fleet = parse(text)
    names = [name for name, _ in groups]
    every = {host for _, hosts in groups for host in hosts}
    if len(set(names)) < len(names) or len({host.lower() for host in every}) < len(every):
        assert fleet is None
        return
    assert fleet is not None
    assert sorted(host.name for host in fleet.hosts) == sorted(every)
    for host in fleet.hosts:
        assert list(host.groups) == [name for name, hosts in groups if host.name in hosts]
    assert {group.name: set(group.hosts) for group in fleet.groups} == dict(groups)


RANGES = st.from_regex(r"\[[0-9]{1,3}-[0-9]{1,3}\]", fullmatch=True)
PIECES = st.one_of(NAMES, st.sampled_from("[]-,0123456789/.:%@!&^* "), RANGES)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=8).map("".join))
def test_a_node_set_gives_host_names_or_is_refused(text: str) -> None:
    try:
        names = expand_hosts(text)
    except HostTextInvalid:
        return
    assert 1 <= len(names) <= MAX_HOSTS
    assert len(set(names)) == len(names)
    assert all(is_name(name) for name in names)


@given(
    st.from_regex(r"[a-z0-9.-]{0,6}", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[a-z0-9.-]{0,6}", fullmatch=True),
)
def test_a_single_range_is_expanded_as_the_library_does(
    prefix: str, first: str, last: str, suffix: str
) -> None:
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

    text = f"{prefix}[{first}-{last}]{suffix}"
    try:
        names = expand_hosts(text)
    except HostTextInvalid:
        return
    assert names == list(NodeSet(text, resolver=RESOLVER_NOGROUP))
    assert len(names) == int(last) - int(first) + 1


BOUNDS = st.lists(st.integers(0, 120), min_size=2, max_size=2).map(sorted)


@settings(deadline=None)
@given(st.lists(st.tuples(st.from_regex(r"[a-z0-9.]{1,3}", fullmatch=True), BOUNDS), min_size=1, max_size=2))
def test_a_node_set_never_stands_for_more_than_what_is_written(parts: list[tuple[str, list[int]]]) -> None:
    text = "".join(f"{word}[{first}-{last}]" for word, (first, last) in parts)
    choices = [[f"{word}{number}" for number in range(first, last + 1)] for word, (first, last) in parts]
    try:
        names = expand_hosts(text)
    except HostTextInvalid:
        return
    assert sorted(names) == sorted("".join(choice) for choice in itertools.product(*choices))


ARGUMENTS = ["a", "*", "!a", "all", "config", "*/*", '"', "'a b'", "1m", "22", "%h", "\\", "a#b #c"]
LINES = st.lists(
    st.one_of(
        st.text(max_size=30),
        st.builds(
            "{}{}{}".format,
            st.sampled_from(["Host", "Match", "Include", "User", "Port", "ProxyJump", "IdentityFile", "x"]),
            st.sampled_from([" ", "=", " = ", "\t", ""]),
            st.sampled_from(ARGUMENTS),
        ),
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], None]:
    home = tmp_path_factory.mktemp("home")
    path = home / ".ssh" / "config"
    path.parent.mkdir()

    def read(text: str) -> None:
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        path.chmod(0o600)
        try:
            config = read_ssh_config(path, home=home)
        except ConfigError:
            return
        for name in ("a", "b", "*"):
            for values in config.lookup(name).values():
                assert all(re.fullmatch("[a-z]+", value.keyword) for value in values)

    return read


@given(lines=LINES)
def test_any_lines_are_an_ssh_config_or_a_config_error(read: Callable[[str], None], lines: list[str]) -> None:
    read("\n".join(lines))
