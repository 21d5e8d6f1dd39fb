"""The first hour from each kind of source: `init --from` it, then `doctor`, `trust --from`, `collect`.

The walk is on real OpenSSH servers at two addresses; the sample files name hosts that nobody has.
"""

from __future__ import annotations

import getpass
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import sshd
from tests.e2e.cli import Terminal

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(60)]
SAMPLES = Path(__file__).parents[1] / "recorded" / "sources"
ADDRESSES = {"edge-1": "127.0.0.1", "edge-2": "127.0.0.2"}
FAR = {"edge-1": "192.0.2.1", "edge-2": "192.0.2.2"}
RELAY = """import os, socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def pump(read, write):
    while data := read(65536):
        write(data)
    os._exit(0)
threading.Thread(target=pump, args=(lambda size: os.read(0, size), there.sendall)).start()
pump(there.recv, lambda data: os.write(1, data))
"""
"""Standard input and output to an address and port, as a proxy command does."""


@dataclass(frozen=True, slots=True)
class Place:
    """Two servers, and a newcomer who has a key and no known_hosts."""

    user: Terminal
    servers: dict[str, sshd.Sshd]
    key: Path

    def write_ssh_config(self, say: Callable[[sshd.Sshd], str]) -> None:
        """What a source leaves to ssh_config: the key, and what `say` tells of each host."""
        lines = [f"Host {name}\n  {say(server)}\n" for name, server in self.servers.items()]
        lines.append(f"Host *\n  User {getpass.getuser()}\n  IdentityFile {self.key}\n")
        path = self.user.home / ".ssh" / "config"
        path.parent.mkdir(mode=0o700)
        path.write_text("\n".join(lines))
        path.chmod(0o600)

    def listed(self, named: dict[str, str], *, as_fingerprints: bool) -> str:
        """The keys as somebody trusted might hand them over; `named`: other names than address and port."""
        text = "".join(server.known(name=named.get(name)) for name, server in self.servers.items())
        path = self.user.home / "theirs"
        path.write_text(text)
        if as_fingerprints:
            argv = ["ssh-keygen", "-lf", str(path)]
            text = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
            path.write_text(text)
        return path.name


@pytest.fixture
def place(tmp_path: Path, user_key: Path) -> Iterator[Place]:
    home = tmp_path / "home"
    home.mkdir()
    with ExitStack() as stack:
        authorized = user_key.with_name("authorized")
        servers = {
            name: stack.enter_context(sshd.running(tmp_path / name, authorized, address=address))
            for name, address in ADDRESSES.items()
        }
        yield Place(Terminal(home), servers, user_key)


def ssh_config(place: Place) -> tuple[str, ...]:
    place.write_ssh_config(lambda server: f"HostName {server.address}\n  Port {server.port}")
    return ()


def ansible_said(place: Place, name: str) -> dict[str, str | int]:
    return {
        "ansible_host": place.servers[name].address,
        "ansible_port": place.servers[name].port,
        "ansible_user": getpass.getuser(),
        "ansible_ssh_private_key_file": str(place.key),
    }


def ansible_ini(place: Place) -> tuple[str, ...]:
    lines = [
        " ".join([name, *(f"{key}={value}" for key, value in ansible_said(place, name).items())])
        for name in ADDRESSES
    ]
    (place.user.home / "inventory.ini").write_text("\n".join(["[edge]", *lines]) + "\n")
    return ("inventory.ini",)


def ansible_yaml(place: Place) -> tuple[str, ...]:
    lines = ["all:", "  children:", "    edge:", "      hosts:"]
    for name in ADDRESSES:
        lines.append(f"        {name}:")
        lines += [f"          {key}: {value}" for key, value in ansible_said(place, name).items()]
    (place.user.home / "inventory.yml").write_text("\n".join(lines) + "\n")
    return ("inventory.yml",)


def ansible_program(place: Place) -> tuple[str, ...]:
    hostvars = {name: ansible_said(place, name) for name in ADDRESSES}
    listed = json.dumps({"_meta": {"hostvars": hostvars}, "edge": {"hosts": list(ADDRESSES)}})
    path = place.user.home / "list"
    path.write_text(f"#!/bin/sh\n[ \"$1\" = --list ] || exit 64\ncat <<'EOF'\n{listed}\nEOF\n")
    path.chmod(0o755)
    return ("list",)


def kubernetes(place: Place) -> tuple[str, ...]:
    place.write_ssh_config(lambda server: f"Port {server.port}")
    nodes = [
        {
            "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}},
            "status": {
                "addresses": [{"type": "InternalIP", "address": address}],
                "nodeInfo": {"osImage": "Flatcar Container Linux by Kinvolk 4459.2.0 (Oklo)"},
            },
        }
        for name, address in ADDRESSES.items()
    ]
    (place.user.home / "nodes.json").write_text(json.dumps({"kind": "List", "items": nodes}))
    return ("nodes.json",)


def hosts_file(place: Place) -> tuple[str, ...]:
    """Its addresses are nobody's, since those of this machine are left out: ssh_config tells the way."""
    relay = place.user.home / "relay.py"
    relay.write_text(RELAY)
    place.write_ssh_config(
        lambda server: f"ProxyCommand {sys.executable} {relay} {server.address} {server.port}"
    )
    lines = [f"{address}\t{name}\n" for name, address in FAR.items()]
    text = "".join(["127.0.0.1\tlocalhost\n", *lines])
    (place.user.home / "machines").write_text(text)
    return ("machines",)


Written = Callable[[Place], tuple[str, ...]]


@pytest.mark.parametrize(
    ("kind", "written", "as_fingerprints"),
    [
        ("ssh-config", ssh_config, True),
        ("ansible", ansible_ini, False),
        ("ansible", ansible_yaml, True),
        ("ansible", ansible_program, False),
        ("kubernetes", kubernetes, True),
        ("hosts-file", hosts_file, False),
    ],
)
def test_from_a_source_to_hosts_that_answer(
    place: Place, kind: str, written: Written, as_fingerprints: bool
) -> None:
    user = place.user
    assert "fleet.toml: 2 hosts from " in user.run("init", "--from", kind, *written(place)).stdout
    file = user.home / "fleet.toml"
    file.write_text(file.read_text().replace('user = "core"', f'user = "{getpass.getuser()}"'))
    doctor = user.run("doctor", code=3).stdout
    assert "no key on file for 2 of 2 hosts: edge-[1-2]" in doctor

    early = user.run("collect", code=3).stderr
    assert early.count("known_hosts does not exist; `fleetctl trust` makes it") == 1
    assert "host key unknown: edge-1, edge-2" in early
    hosts = json.loads(user.run("status", "--json").stdout)["hosts"]
    assert {host["situation"]["reasons"][0]["code"] for host in hosts} == {"key_unknown"}

    named = FAR if kind == "hosts-file" else {}
    trusted = user.run("trust", "--from", place.listed(named, as_fingerprints=as_fingerprints))
    assert trusted.stdout.endswith("2 of 2 hosts trusted, 2 of them now\n")
    assert trusted.stderr == ""
    assert sum(server.logins() for server in place.servers.values()) == 0
    assert "2 of 2 answered the probe to its end" in user.run("doctor").stdout
    collected = user.run("collect")
    assert "2 of 2 hosts answered" in collected.stdout
    assert collected.stderr == ""


@pytest.mark.parametrize(
    ("kind", "sample", "count"),
    [
        ("ssh-config", "ssh_config", 5),
        ("ansible", "inventory.ini", 18),
        ("ansible", "inventory.yml", 15),
        ("ansible", "list.sh", 2),
        ("kubernetes", "nodes.json", 7),
        ("hosts-file", "hosts", 3),
    ],
)
def test_the_fleet_file_of_each_sample_is_right_as_it_stands(
    tmp_path: Path, kind: str, sample: str, count: int
) -> None:
    user = Terminal(tmp_path)
    told = user.run("init", "--from", kind, str(SAMPLES / sample))
    assert f"fleet.toml: {count} hosts from " in told.stdout
    assert "to be put right" not in told.stderr
    doctor = user.run("doctor", "--local", code=None).stdout
    assert f"ok       fleet file   fleet.toml: {count} hosts" in doctor.replace("file  fl", "file   fl")
    assert "no key on file for " in doctor


def test_changed_keys_are_asked_for_one_by_one_with_the_old_and_the_new(place: Place) -> None:
    user = place.user
    user.run("init", "--from", "ansible", *ansible_ini(place))
    known = user.home / ".ssh" / "known_hosts"
    known.parent.mkdir(mode=0o700, exist_ok=True)
    olds = {name: sshd.make_key(user.home / f"old_{name}") for name in ADDRESSES}
    known.write_text("".join(server.known(olds[name]) for name, server in place.servers.items()))
    before = known.read_text()
    answers = [("type edge-1 to trust", "edge-1"), ("type edge-2 to trust", "edge-1")]
    shown = user.type("trust", answers=answers, code=4)
    for name, server in place.servers.items():
        asked = shown.index(f"host key changed: {name}")
        was, new = (shown.index(print_of(key), asked) for key in (olds[name], server.host_keys[0]))
        assert asked < was < new < shown.index(f"type {name} to trust", asked)
    edge_1, edge_2 = place.servers.values()
    assert known.read_text() == edge_1.known() + edge_2.known(olds["edge-2"])
    assert known.read_text() != before
    user.type("trust", answers=[("type edge-2 to trust", "edge-2")])
    assert known.read_text() == edge_1.known() + edge_2.known()
    assert "2 of 2 hosts answered" in user.run("collect").stdout


def print_of(key: Path) -> str:
    argv = ["ssh-keygen", "-lf", f"{key}.pub"]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]


def test_a_known_hosts_file_that_cannot_be_read_is_named_with_its_key(place: Place) -> None:
    user = place.user
    user.run("init", "--from", "ansible", *ansible_ini(place))
    file = user.home / "fleet.toml"
    file.write_text(file.read_text().replace("[ssh]\n", '[ssh]\nknown_hosts = "keys"\n'))
    assert "keys does not exist; `fleetctl trust` makes it" in user.run("collect", code=3).stderr
    (user.home / "keys").mkdir()
    for words in (("collect",), ("trust",), ("logs", "edge-1")):
        told = user.run(*words, code=2).stderr
        assert f"{file}: known_hosts: {user.home}/keys cannot be read: Is a directory; " in told
    assert "problem  fleet file" in user.run("doctor", code=2).stdout
