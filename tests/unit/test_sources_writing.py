"""The fleet file that `init` writes: always a fleet file, with exactly the hosts that were found."""

from __future__ import annotations

import string
import tomllib

from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.errors import ConfigError
from collectors.fleet_sources import SourceKind, SourceText, read_source, write_fleet
from collectors.host_names import host_specs
from collectors.inventory import parse_fleet
from collectors.sources.found import Finds, FoundHost
from collectors.sources.writing import fleet_text, fold, toml_list, toml_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
NAMES = st.from_regex(r"[a-z][a-z0-9]{0,3}(-?[0-9]{1,3}){0,2}(\.x[0-9]?)?", fullmatch=True)
ADDRESSES = st.ip_addresses().map(str).filter(lambda text: not text.startswith(":"))
HOSTS = st.builds(
    FoundHost,
    name=NAMES,
    address=st.none() | ADDRESSES,
    port=st.none() | st.integers(1, 65535),
    user=st.sampled_from([None, "core", "ops"]),
    identity=st.none() | TEXTS.filter(lambda text: text.isprintable() and text.strip() == text != ""),
    labels=st.dictionaries(
        st.text(string.ascii_letters + "._-:", min_size=1, max_size=5).filter(lambda text: text[0].isalpha()),
        st.text(string.printable[:95], min_size=1, max_size=9),
        max_size=2,
    ),
    groups=st.lists(st.sampled_from(["web", "db", "all", "ungrouped"]), max_size=3, unique=True).map(tuple),
)


@given(TEXTS)
def test_a_toml_text_is_read_back_as_it_was(text: str) -> None:
    written = f"key = {toml_text(text)}"
    assert tomllib.loads(written)["key"] == text
    assert written.isprintable()


@given(st.lists(TEXTS, max_size=30))
def test_a_toml_list_is_read_back_as_it_was(texts: list[str]) -> None:
    assert tomllib.loads(f"key = {toml_list(texts)}")["key"] == texts


@given(st.lists(NAMES | ADDRESSES, unique=True, max_size=30))
@settings(deadline=None)
def test_folded_names_stand_for_exactly_the_same_hosts(names: list[str]) -> None:
    assert sorted(spec.name for item in fold(names) for spec in host_specs(item)) == sorted(names)


@given(st.lists(HOSTS, min_size=1, max_size=12))
@settings(deadline=None)
def test_what_is_written_says_of_each_host_what_was_found(hosts: list[FoundHost]) -> None:
    finds = Finds("given")
    for host in hosts:
        finds.add(host)
    found = finds.done()
    fleet = parse_fleet(fleet_text(found, head=["x"], ssh={"user": '"core"'}), file="fleet.toml")
    written = {host.name: host for host in fleet.hosts}
    assert sorted(written) == sorted(host.name for host in found.hosts)
    for host in found.hosts:
        told = written[host.name]
        assert told.address == (host.address or host.name)
        assert told.ssh.port == host.port
        assert told.ssh.user == (host.user or "core")
        assert told.ssh.identities == (None if host.identity is None else (host.identity,))
        assert dict(told.labels) == dict(host.labels)
        assert set(host.groups) <= set(told.groups)


@given(
    st.sampled_from(SourceKind),
    st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")),
)
@settings(deadline=None)
def test_any_text_becomes_a_fleet_file_or_a_clear_mistake(kind: SourceKind, text: str) -> None:
    source = SourceText(kind, text, "given")
    try:
        written = write_fleet(source, read_source(source), file="fleet.toml")
    except ConfigError:
        return
    assert parse_fleet(written, file="fleet.toml").hosts


def test_ten_thousand_nodes_are_folded_into_a_few_lines() -> None:
    names = [f"node-{number:05}.example.net" for number in range(10_000)]
    assert fold(names) == ["node-[00000-09999].example.net"]
