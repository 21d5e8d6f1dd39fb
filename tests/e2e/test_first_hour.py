"""A newcomer's first hour, on real OpenSSH servers: from an ssh_config to a fleet that is asked."""

from __future__ import annotations

import getpass
import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import sshd
from tests.e2e.cli import Terminal

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(60)]
NAMES = ("edge-1", "edge-2")


@dataclass(frozen=True, slots=True)
class Place:
    """Two hosts, and a newcomer whose ssh_config names them."""

    user: Terminal
    servers: dict[str, sshd.Sshd]

    @property
    def known_hosts(self) -> Path:
        return self.user.home / ".ssh" / "known_hosts"

    def fingerprint(self, name: str) -> str:
        """As ssh-keygen prints it."""
        argv = ["ssh-keygen", "-lf", f"{self.servers[name].host_keys[0]}.pub"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]

    def trust_old_key(self, name: str) -> str:
        """On file is another key than the host's, as after it was installed anew. The line."""
        line = self.servers[name].known(sshd.make_key(self.user.home / f"old_{name}"))
        with self.known_hosts.open("a") as file:
            file.write(line)
        return line

    def logins(self) -> int:
        return sum(server.logins() for server in self.servers.values())


def ssh_config(home: Path, servers: dict[str, sshd.Sshd], key: Path) -> None:
    blocks = [
        f"Host {name}\n  HostName {server.address}\n  Port {server.port}\n"
        for name, server in servers.items()
    ]
    every = f"Host *\n  User {getpass.getuser()}\n  IdentityFile {key}\n"
    path = home / ".ssh" / "config"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("\n".join([*blocks, "Host git.example.net\n  User git\n", every]))
    path.chmod(0o600)


@pytest.fixture
def newcomer(tmp_path: Path, user_key: Path) -> Iterator[Place]:
    home = tmp_path / "home"
    home.mkdir()
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(sshd.running(tmp_path / name, user_key.with_name("authorized")))
            for name in NAMES
        }
        ssh_config(home, servers, user_key)
        yield Place(Terminal(home), servers)


@pytest.fixture
def fleet(newcomer: Place) -> Place:
    """The same, with the fleet file written."""
    newcomer.user.run("init", "--from", "ssh-config")
    return newcomer


def test_the_first_hour(newcomer: Place) -> None:
    user = newcomer.user
    told = user.run("init", "--from", "ssh-config").stdout
    assert "fleet.toml: 2 hosts from " in told
    assert "fleetctl doctor" in told
    assert "git.example.net: its user is git" in (user.home / "fleet.toml").read_text()
    again = user.run("init", "--from", "ssh-config", code=2).stderr
    assert "never overwrites" in again

    doctor = user.run("doctor", code=3).stdout
    assert "problem  known_hosts  no key on file for 2 of 2 hosts: edge-[1-2]" in doctor
    assert "`fleetctl trust`" in doctor
    assert newcomer.logins() == 0

    lines = [f"{name} {newcomer.fingerprint(name)}\n" for name in NAMES]
    (user.home / "prints").write_text("".join(lines))
    trusted = user.run("trust", "--from", "prints").stdout
    assert trusted.endswith("2 of 2 hosts trusted, 2 of them now\n")
    assert newcomer.logins() == 0

    doctor = user.run("doctor").stdout
    assert "ok       known_hosts  a key on file for all 2 hosts" in doctor
    assert "ok       hosts        2 of 2 answered the probe to its end" in doctor
    assert "problem" not in doctor

    assert "2 of 2 hosts answered" in user.run("collect").stdout
    status = json.loads(user.run("status", "--json").stdout)
    assert {host["name"] for host in status["hosts"]} == set(NAMES)
    assert all(host["os"]["id"] for host in status["hosts"])
    assert user.run("trust").stdout == "2 of 2 hosts trusted, 0 of them now\n"


def test_doctor_prints_the_rules_and_nothing_else(fleet: Place) -> None:
    text = (fleet.user.home / "fleet.toml").read_text()
    (fleet.user.home / "fleet.toml").write_text(f'{text}\n[[hosts]]\nname = "edge-1"\nuser = "ops"\n')
    rules = fleet.user.run("doctor", "--sudoers").stdout.splitlines()
    assert rules
    assert rules[-1].startswith("ops ALL=(root) NOPASSWD: /bin/bash --norc")
    assert all(" ALL=(root) NOPASSWD: " in line for line in rules)


def test_doctor_says_what_is_wrong_with_each_thing(fleet: Place) -> None:
    user = fleet.user
    (user.home / "fleet.toml").write_text('[ssh]\nusr = "x"\n[[groups]]\nname = "g"\nhosts = []\n')
    wrong = user.run("doctor", code=2).stdout
    assert "problem  fleet file" in wrong
    assert 'did you mean "user"' in wrong
    (user.home / "fleet.toml").write_text(
        '[ssh]\nagent = "/nonexistent"\nidentities = ["none"]\n'
        '[[groups]]\nname = "g"\nhosts = ["edge-1"]\n[[hosts]]\nname = "edge-1"\n'
    )
    (user.home / "fleet.db").write_text("not a database")
    told = user.run("doctor", "--local", code=2).stdout
    for words in ("/nonexistent does not answer", "0 of 1 hosts have a key", "cannot be read as a database"):
        assert words in told
    assert "hosts' clocks" not in told


def test_a_known_hosts_list_decides_by_itself(fleet: Place) -> None:
    one, other = (fleet.servers[name] for name in NAMES)
    stranger = sshd.make_key(fleet.user.home / "stranger")
    (fleet.user.home / "list").write_text(one.known() + other.known(stranger))
    done = fleet.user.run("trust", "--from", "list", code=4)
    assert "edge-1: trusted (by list" in done.stdout
    assert f"edge-2: shows {fleet.fingerprint('edge-2')}" in done.stderr
    assert fleet.known_hosts.read_text() == one.known()
    (fleet.user.home / "list").write_text(one.known())
    assert "edge-2: is not in list" in fleet.user.run("trust", "--from", "list", code=4).stderr


def test_new_keys_are_taken_by_the_count_typed_at_a_terminal(fleet: Place) -> None:
    question = ("type 2 to trust 2 hosts", "3")
    shown = fleet.user.type("trust", answers=[question], code=4)
    assert "new keys, all" in shown
    assert all(fleet.fingerprint(name) in shown for name in NAMES)
    assert not fleet.known_hosts.exists()
    fleet.user.type("trust", answers=[("type 2 to trust 2 hosts", "2")])
    assert fleet.known_hosts.read_text() == "".join(fleet.servers[name].known() for name in NAMES)
    assert fleet.logins() == 0


def test_without_a_terminal_new_keys_want_yes_and_the_right_number(fleet: Place) -> None:
    run = fleet.user.run
    told = run("trust", code=2).stderr
    assert "--yes --expect-hosts 2" in told
    assert "--expect-hosts N" in run("trust", "--yes", code=2).stderr
    assert "new hosts are 2, not 1" in run("trust", "--yes", "--expect-hosts", "1", code=4).stderr
    assert not fleet.known_hosts.exists()
    run("trust", "--yes", "--expect-hosts", "2")
    run("trust", "edge-1", "--yes", "--expect-hosts", "1")
    assert len(fleet.known_hosts.read_text().splitlines()) == 2


def test_a_changed_key_wants_the_hosts_name_typed(fleet: Place) -> None:
    user = fleet.user
    fleet.known_hosts.write_text(f"# mine\n{fleet.servers['edge-2'].known()}")
    old = fleet.trust_old_key("edge-1")
    before = fleet.known_hosts.read_text()
    assert "host key changed" in user.run("trust", code=2).stderr
    assert "host key changed" in user.run("trust", "--yes", "--expect-hosts", "1", code=4).stderr
    shown = user.type("trust", answers=[("type edge-1 to trust", "yes")], code=4)
    assert fleet.fingerprint("edge-1") in shown
    assert fleet.known_hosts.read_text() == before
    assert "host key changed: edge-1" in user.run("doctor", "edge-1", code=3).stdout
    user.type("trust", answers=[("type edge-1 to trust", "edge-1")])
    assert fleet.known_hosts.read_text() == before.replace(old, fleet.servers["edge-1"].known())
    assert "2 of 2 hosts answered" in user.run("collect").stdout


def test_a_changed_key_that_the_list_has_needs_no_question(fleet: Place) -> None:
    old = fleet.trust_old_key("edge-1")
    (fleet.user.home / "list").write_text(fleet.servers["edge-1"].known())
    told = fleet.user.run("trust", "edge-1", "--from", "list").stdout
    assert "in place of SHA256:" in told
    assert old not in fleet.known_hosts.read_text()


def test_a_host_that_is_silent_makes_it_three(fleet: Place) -> None:
    text = (fleet.user.home / "fleet.toml").read_text()
    more = f'\n[[hosts]]\nname = "gone"\naddress = "127.0.0.1"\nport = {sshd.free_port()}\n'
    (fleet.user.home / "fleet.toml").write_text(text + more)
    done = fleet.user.run("trust", "--yes", "--expect-hosts", "2", code=3)
    assert "gone: 127.0.0.1 port" in done.stderr
    assert done.stdout.endswith("2 of 3 hosts trusted, 2 of them now\n")


def test_an_authority_speaks_for_hosts_with_certificates(tmp_path: Path, user_key: Path) -> None:
    authority = sshd.make_key(tmp_path / "ca")
    home, place = tmp_path / "home", tmp_path / "edge-1"
    home.mkdir()
    place.mkdir()
    certificate = sshd.sign(authority, sshd.make_key(place / "host_ed25519"), "-h", "-n", "127.0.0.1")
    options = (f"HostCertificate {certificate}",)
    with sshd.running(place, user_key.with_name("authorized"), options=options) as server:
        ssh_config(home, {"edge-1": server}, user_key)
        user = Terminal(home)
        user.run("init", "--from", "ssh-config")
        ca = ("trust", "--cert-authority", f"{authority}.pub")
        assert "no terminal" in user.run(*ca, code=2).stderr
        user.run(*ca, "--yes", "--expect-hosts", "1")
        line = f"@cert-authority [127.0.0.1]:{server.port} {sshd.public(authority)}\n"
        assert (home / ".ssh" / "known_hosts").read_text() == line
        assert user.run("trust").stdout == "1 of 1 host trusted, 0 of them now\n"
        assert "1 of 1 hosts answered" in user.run("collect").stdout
        assert user.run("ssh", "edge-1", "--", "echo", "here").stdout == "here\n"
