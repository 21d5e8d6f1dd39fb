"""What `fleetctl init` takes from each kind of source, on the sample files."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from collectors.errors import ConfigError
from collectors.fleet_model import Fleet, FleetHost
from collectors.fleet_sources import SourceKind, SourceText, read_source, write_fleet
from collectors.inventory import parse_fleet
from collectors.source_files import load_source
from collectors.sources.found import Found

SAMPLES = Path(__file__).parents[1] / "recorded" / "sources"


def source(kind: SourceKind, text: str) -> SourceText:
    return SourceText(kind, text, "given")


def found(kind: SourceKind, text: str) -> Found:
    return read_source(source(kind, text))


def fleet_of(kind: SourceKind, name: str) -> tuple[Fleet, str]:
    read = load_source(kind, str(SAMPLES / name))
    text = write_fleet(read, read_source(read), file="fleet.toml")
    return parse_fleet(text, file="fleet.toml"), text


def hosts(fleet: Fleet) -> dict[str, FleetHost]:
    return {host.name: host for host in fleet.hosts}


def test_ssh_config_gives_names_and_stays_the_authority_on_the_rest() -> None:
    fleet, text = fleet_of(SourceKind.SSH_CONFIG, "ssh_config")
    assert sorted(hosts(fleet)) == ["db-1", "db-2", "edge-01", "edge-02", "edge-03"]
    assert fleet.ssh.config == str(SAMPLES / "ssh_config")
    assert not any(host.address_given or host.ssh.user or host.ssh.port for host in fleet.hosts)
    for word in (
        "bastion: others",
        "db: the same machine as db-1",
        "github.com: its user is git",
        "bad,name",
    ):
        assert f"#   {word}" in text


def test_the_usual_ssh_config_is_not_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh" / "more").mkdir(parents=True)
    (tmp_path / ".ssh" / "config").write_text(
        "Include more/*\nHost a\n Include more/x\nHost b c\n HostName %h.x\n"
    )
    (tmp_path / ".ssh" / "more" / "x").write_text("Host deep\n  HostName deep.x\n")
    read = load_source(SourceKind.SSH_CONFIG, None)
    told = read_source(read)
    assert [host.name for host in told.hosts] == ["deep", "a", "b", "c"]
    assert read.ssh_config is None
    assert [item.what for item in told.left_out] == ["Include more/x"]
    assert "ssh" not in tomllib.loads(write_fleet(read, told, file="fleet.toml"))


def test_ansible_ini_gives_groups_ranges_and_what_each_host_connects_with() -> None:
    fleet, text = fleet_of(SourceKind.ANSIBLE, "inventory.ini")
    by_name = hosts(fleet)
    assert len(by_name) == 18
    assert {group.name: len(group.hosts) for group in fleet.groups} == {
        "ungrouped": 1,
        "web": 13,
        "prod": 17,
        "db": 4,
    }
    gateway, v6 = by_name["gw.example.net"], by_name["db-v6"]
    assert (gateway.ssh.user, gateway.port) == ("ops", 2222)
    assert (v6.address, v6.port, v6.ssh.user, v6.ssh.identities) == ("2001:db8::7", 2022, "dba", None)
    assert by_name["db-b"].ssh.identities == ("~/.ssh/db",)
    assert by_name["web07.example.net"].ssh.user == "core"
    assert 'hosts = ["web[01-12].example.net", "web-extra"]' in text
    assert "#   localhost: is reached by local, not by SSH" in text
    assert "#   ansible_ssh_common_args: is not taken" in text
    assert "lookup" not in text


def test_ansible_yaml_is_read_with_vaults_left_closed() -> None:
    fleet, text = fleet_of(SourceKind.ANSIBLE, "inventory.yml")
    by_name = hosts(fleet)
    assert len(by_name) == 15
    assert (by_name["db-1"].address, by_name["db-1"].port, by_name["db-1"].ssh.user) == (
        "192.0.2.51",
        2022,
        "dba",
    )
    assert by_name["web01.example.net"].groups == ("web", "prod")
    assert "db-2: where it is cannot be told" in text
    assert "ANSIBLE_VAULT" not in text


@pytest.mark.parametrize("name", ["list.json", "list.sh"])
def test_ansible_list_comes_from_a_file_or_from_a_program(name: str) -> None:
    fleet, text = fleet_of(SourceKind.ANSIBLE, name)
    assert {host.name: (host.address, host.port, host.groups) for host in fleet.hosts} == {
        "node-1": ("198.51.100.1", 2022, ("workers", "canary")),
        "node-2": ("198.51.100.2", 2022, ("workers",)),
    }
    assert "#   win-1: is reached by winrm, not by SSH" in text


def test_a_program_that_fails_or_an_executable_that_is_none(tmp_path: Path) -> None:
    failing = tmp_path / "failing"
    failing.write_text("#!/bin/sh\necho 'no \x1b[31mtoken' >&2\nexit 3\n")
    plain = tmp_path / "plain.ini"
    plain.write_text("[web]\nweb1\n")
    for path in (failing, plain):
        path.chmod(0o755)
    with pytest.raises(ConfigError, match="ended with 3: no \ufffd"):
        load_source(SourceKind.ANSIBLE, str(failing))
    assert load_source(SourceKind.ANSIBLE, str(plain)).text == "[web]\nweb1\n"


def test_kubernetes_gives_flatcar_nodes_with_address_role_and_zone() -> None:
    fleet, text = fleet_of(SourceKind.KUBERNETES, "nodes.json")
    by_name = hosts(fleet)
    assert {group.name: len(group.hosts) for group in fleet.groups} == {"control-plane": 1, "worker": 6}
    assert (by_name["worker-01"].address, by_name["worker-01"].labels) == ("192.0.2.111", {"zone": "b"})
    assert by_name["worker-v6"].address == "2001:db8::20"
    assert (by_name["cp-1"].node, by_name["cp-1"].labels) == ("cp-1", {"zone": "a"})
    assert "#   gpu-1: runs Ubuntu 24.04.2 LTS" in text


def test_hosts_file_gives_first_names_and_no_loopback() -> None:
    fleet, text = fleet_of(SourceKind.HOSTS_FILE, "hosts")
    assert {host.name: host.address for host in fleet.hosts} == {
        "node-5.example.net": "203.0.113.5",
        "node-6.example.net": "203.0.113.6",
        "node-8": "2001:db8::8",
    }
    assert "#   localhost 127.0.0.1: this machine itself" in text
    assert "#   other-name: the same machine as node-5.example.net" in text


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        (SourceKind.SSH_CONFIG, "Host *\n User core\n", "names no host"),
        (SourceKind.ANSIBLE, "[web]\nweb[9-1]\n[x:y]\n", "only :children and :vars"),
        (SourceKind.ANSIBLE, "[web]\nweb[09:1]\n", r"line 2: \[09:1\] is not a range"),
        (SourceKind.ANSIBLE, "web[1:9999999]\n", "is not a range|more than"),
        (SourceKind.ANSIBLE, "web[1:9999][1:9999]\n", "more than 100000 hosts"),
        (SourceKind.ANSIBLE, "web 'unclosed\n", "line 1"),
        (SourceKind.ANSIBLE, "[a:children]\nb\n[b:children]\na\n", "contain themselves"),
        (SourceKind.ANSIBLE, "$ANSIBLE_VAULT;1.1;AES256\n123\n", "is encrypted"),
        (SourceKind.ANSIBLE, "plugin: aws_ec2\n", "ansible-inventory --list"),
        (SourceKind.ANSIBLE, "---\nall: [web]\n", "all: a mapping is wanted"),
        (SourceKind.ANSIBLE, "---\nall: !!python/object:os.system {}\n", "line 2: not YAML"),
        (SourceKind.ANSIBLE, "{" * 10_000, "not JSON"),
        (SourceKind.KUBERNETES, "NAME STATUS\n", "kubectl get nodes -o json"),
        (SourceKind.KUBERNETES, '{"kind": "PodList"}', "not a list of nodes"),
        (SourceKind.KUBERNETES, '{"items": [{"metadata": {"name": "n"}}]}', "a system that it does not tell"),
        (SourceKind.HOSTS_FILE, "127.0.0.1 localhost\n", "names no host"),
    ],
)
def test_what_is_not_in_its_form_is_told_with_a_remedy(kind: SourceKind, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        found(kind, text)


def test_hostile_text_of_a_source_is_never_more_than_a_comment() -> None:
    evil = 'x"]\n[hooks]\nbefore_reboot = ["sh"]\x1b[2J'
    items = [
        {"metadata": {"name": name}, "status": {"nodeInfo": {"osImage": image}, "addresses": addresses}}
        for name, image, addresses in (
            (evil, "Flatcar", [{"type": "InternalIP", "address": "192.0.2.1"}]),
            ("os", evil, []),
            ("address", "Flatcar", [{"type": "InternalIP", "address": evil}]),
            ("good", "Flatcar 1", [{"type": "InternalIP", "address": "192.0.2.2"}]),
        )
    ]
    import json

    given = source(SourceKind.KUBERNETES, json.dumps({"items": items}))
    text = write_fleet(given, read_source(given), file="fleet.toml")
    fleet = parse_fleet(text, file="fleet.toml")
    assert [host.name for host in fleet.hosts] == ["good"]
    assert fleet.hooks.before_reboot == ()
    assert "\x1b" not in text
    assert all(line.startswith("#") for line in text.splitlines() if "hooks" in line)


def test_a_directory_and_a_missing_file_are_told(tmp_path: Path) -> None:
    for typed, words in ((tmp_path, "is a directory"), (tmp_path / "none", "cannot be read")):
        with pytest.raises(ConfigError, match=words):
            load_source(SourceKind.ANSIBLE, str(typed))
    with pytest.raises(ConfigError, match="kubectl get nodes -o json"):
        load_source(SourceKind.KUBERNETES, None)


def test_ansible_yaml_may_be_written_as_json() -> None:
    text = '{"edge": {"hosts": {"edge-01": {"ansible_host": "10.0.0.1"}, "edge-02": null}}}'
    read = SourceText(SourceKind.ANSIBLE, text, "inventory.yml")
    fleet = parse_fleet(write_fleet(read, read_source(read), file="fleet.toml"), file="fleet.toml")
    assert {name: host.address for name, host in hosts(fleet).items()} == {
        "edge-01": "10.0.0.1",
        "edge-02": "edge-02",
    }
