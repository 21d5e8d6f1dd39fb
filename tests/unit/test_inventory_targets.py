"""Fleet file and ssh_config together: which value ends up in a host's Target."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.errors import ConfigError
from collectors.fleet_file import load_fleet
from collectors.fleet_file import targets as targets_of
from collectors.inventory import parse_fleet
from collectors.targets import Operator, ResolvedTargets, resolve_targets
from collectors.transport import Target


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def resolve(home: Path, fleet: str, config: str = "", **environ: str) -> ResolvedTargets:
    path = home / ".ssh" / "config"
    path.write_text(config, encoding="utf-8")
    path.chmod(0o600)
    file = home / "fleets" / "f.toml"
    return resolve_targets(parse_fleet(fleet, file=str(file)), file, Operator(home, "me", environ))


def one(home: Path, fleet: str, config: str = "", **environ: str) -> Target:
    return resolve(home, fleet, config, **environ).targets["a"]


A = '[[hosts]]\nname = "a"\n'


def test_without_ssh_config_and_settings_a_host_is_core_at_port_22(home: Path) -> None:
    target = one(home, A)
    assert (target.name, target.address, target.port, target.user) == ("a", "a", 22, "core")
    assert (target.identities, target.certificates, target.agent) == ((), (), None)
    assert target.known_hosts[0] == f"{home}/.ssh/known_hosts"
    assert (target.jump, target.proxy_command, target.host_key_alias) == (None, (), None)
    assert target.connect_timeout_s == 10.0


def test_ssh_config_fills_what_the_fleet_file_leaves_open(home: Path) -> None:
    config = """
    Host a
      HostName %h.example.net
      Port 2222
      User ops
      IdentityFile ~/.ssh/%n-%h-%p-%r-%u-%%
      IdentityFile %d/second
      CertificateFile /certs/${REGION}
      IdentityAgent ~/agent.sock
      HostKeyAlias alias
      ConnectTimeout 3
    """
    target = one(home, A, config, REGION="eu", SSH_AUTH_SOCK="/other")
    assert (target.address, target.port, target.user) == ("a.example.net", 2222, "ops")
    assert target.identities == (f"{home}/.ssh/a-a.example.net-2222-ops-me-%", f"{home}/second")
    assert target.certificates == ("/certs/eu",)
    assert target.agent == f"{home}/agent.sock"
    assert (target.host_key_alias, target.connect_timeout_s) == ("alias", 3.0)


def test_the_fleet_file_wins_over_ssh_config(home: Path) -> None:
    config = "Host *\n  HostName b\n  Port 1\n  User x\n  IdentityFile y\n  ConnectTimeout 3\n  ProxyJump z\n"
    fleet = """
    [ssh]
    user = "core"
    port = 22
    identities = ["~/k", "keys/k", "/k"]
    agent = false
    known_hosts = ["hosts", "/hosts"]
    jump = "none"
    connect_timeout = "9s"
    [[hosts]]
    name = "a"
    address = "10.0.0.1"
    """
    resolved = resolve(home, fleet, config, SSH_AUTH_SOCK="/agent")
    assert resolved.targets["a"] == Target(
        name="a",
        address="10.0.0.1",
        port=22,
        user="core",
        identities=(f"{home}/k", f"{home}/fleets/keys/k", "/k"),
        known_hosts=(f"{home}/fleets/hosts", "/hosts"),
        connect_timeout_s=9.0,
    )
    assert sum("does not exist" in warning for warning in resolved.warnings) == 3


def test_forwarding_ttys_and_commands_change_nothing(home: Path) -> None:
    plain = one(home, A, "Host *\n  User u\n")
    config = "Host *\n  ForwardAgent yes\n  RemoteCommand reboot\n  RequestTTY force\n  User u\n"
    assert one(home, A, config) == plain


@pytest.mark.parametrize(
    ("config", "fleet", "expected"),
    [
        ("", "", "/env"),
        ("", "agent = true", "/env"),
        ("", "agent = false", None),
        ("", 'agent = "/mine"', "/mine"),
        ("IdentityAgent none", "", None),
        ("IdentityAgent SSH_AUTH_SOCK", "", "/env"),
        ("IdentityAgent $OTHER", "", "/other"),
        ("IdentityAgent $UNSET", "", None),
        ("IdentityAgent ${OTHER}/x", "", "/other/x"),
        ("IdentityAgent ${UNSET}/x", "", None),
        ("IdentityAgent none", 'agent = "~/s"', "~/s"),
    ],
)
def test_which_agent_is_asked(home: Path, config: str, fleet: str, expected: str | None) -> None:
    target = one(home, f"{A}{fleet}\n", config, SSH_AUTH_SOCK="/env", OTHER="/other")
    assert target.agent == (expected.replace("~", str(home)) if expected else None)


def test_keys_and_certificates_are_found_as_ssh_finds_them(home: Path) -> None:
    for name in ("id_ed25519", "id_rsa", "id_ed25519-cert.pub"):
        (home / ".ssh" / name).touch()
    target = one(home, A)
    assert target.identities == (f"{home}/.ssh/id_rsa", f"{home}/.ssh/id_ed25519")
    assert target.certificates == (f"{home}/.ssh/id_ed25519-cert.pub",)
    assert one(home, A, "IdentityFile none").identities == ()
    assert one(home, f"{A}identities = []\n").identities == ()


def test_a_proxy_command_is_an_argument_list(home: Path) -> None:
    command = "ProxyCommand exec ~/bin/connect -x 'a b' \"%h\" %p --as=%r@%n\n"
    resolved = resolve(home, f'{A}address = "10.0.0.1"\n', command)
    target = resolved.targets["a"]
    expected = (f"{home}/bin/connect", "-x", "a b", "10.0.0.1", "22", "--as=core@a")
    assert target.proxy_command == expected
    assert resolved.warnings == ()


@pytest.mark.parametrize("shell", ["nc %h %p | tee log", "nc %h %p 2>/dev/null", "nc $HOST %p", "a && b"])
def test_a_proxy_command_for_a_shell_is_warned_of(home: Path, shell: str) -> None:
    (warning,) = resolve(home, A, f"Host a\n  ProxyCommand {shell}\n").warnings
    assert "config:2: proxycommand is run without a shell" in warning


@pytest.mark.parametrize("command", ["nc '%h", "exec", "nc %C"])
def test_a_proxy_command_that_cannot_be_run_is_refused(home: Path, command: str) -> None:
    with pytest.raises(ConfigError, match="line 1"):
        resolve(home, A, f"ProxyCommand {command}\n")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("HostName a:22", "has a port"),
        ("HostName -oProxyCommand=x", "not a host name"),
        ("HostName a:b:c", "not an IPv6 address"),
        ("User -x", "not a login name"),
        ("ProxyJump -x", "not a host name"),
    ],
)
def test_values_that_cannot_be_used_are_refused_with_their_line(home: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        resolve(home, A, f"\n{line}\n")
    assert caught.value.place == "line 2"


@pytest.mark.parametrize("address", ["::1", "fe80::1%eth0", "2001:db8::1", "db.example.net"])
def test_ssh_config_may_say_any_address(home: Path, address: str) -> None:
    config = f"HostName {address.replace('%', '%%')}\n"
    assert one(home, A, config).address == address
    if ":" in address:
        assert one(home, A, config.replace(" ", " [").replace("\n", "]\n")).address == address


def test_an_unknown_token_leaves_the_value_out_with_a_warning(home: Path) -> None:
    resolved = resolve(home, A, "IdentityFile ~/.ssh/%C\nIdentityFile ~/k\n")
    assert resolved.targets["a"].identities == (f"{home}/k",)
    (warning,) = resolved.warnings
    assert "config:1: identityfile is not used: %C" in warning


def test_a_jump_host_is_resolved_through_ssh_config(home: Path) -> None:
    config = "Host gate\n  HostName gate.example.net\n  User ops\n  IdentityFile ~/gate\n"
    fleet = f'[ssh]\nuser = "core"\nidentities = ["~/k"]\njump = "gate:2222"\nconnect_timeout = "4s"\n{A}'
    jump = one(home, fleet, config).jump
    assert jump is not None
    assert (jump.name, jump.address, jump.port, jump.user) == ("gate", "gate.example.net", 2222, "ops")
    assert (jump.identities, jump.connect_timeout_s, jump.jump) == ((f"{home}/gate",), 4.0, None)


def test_a_jump_host_without_ssh_config_is_entered_by_the_operator(home: Path) -> None:
    jump = one(home, f'[ssh]\nidentities = ["~/k"]\njump = "gate"\n{A}').jump
    assert jump is not None
    assert (jump.user, jump.port, jump.identities) == ("me", 22, (f"{home}/k",))


def test_a_jump_host_of_the_fleet_has_its_own_settings(home: Path) -> None:
    fleet = """
    [ssh]
    jump = "gate"
    [[hosts]]
    name = "gate"
    address = "192.0.2.1"
    user = "ops"
    port = 2222
    jump = "none"
    [[hosts]]
    name = "a"
    [[hosts]]
    name = "b"
    jump = "other@gate:23"
    """
    resolved = resolve(home, fleet).targets
    assert resolved["a"].jump == resolved["gate"]
    behind = resolved["b"].jump
    assert behind is not None
    assert (behind.address, behind.user, behind.port) == ("192.0.2.1", "other", 23)


def test_a_chain_is_passed_in_its_order(home: Path) -> None:
    config = "Host first\n  ProxyJump zeroth\nHost second\n  ProxyJump elsewhere\n  ProxyCommand nc\n"
    target = one(home, f'{A}jump = "first,u@second:5"\n', config)
    names = []
    hop = target.jump
    while hop is not None:
        names.append((hop.name, hop.user, hop.port, hop.proxy_command))
        hop = hop.jump
    assert names == [("second", "u", 5, ()), ("first", "me", 22, ()), ("zeroth", "me", 22, ())]


def test_hosts_share_the_target_of_their_jump_host(home: Path) -> None:
    resolved = resolve(home, '[ssh]\njump = "x,y"\n[[groups]]\nname = "g"\nhosts = ["n[1-50]"]\n').targets
    assert len({id(target.jump) for target in resolved.values()}) == 1


@pytest.mark.parametrize(
    ("fleet", "config"),
    [
        (f'{A}jump = "a"\n', ""),
        (A, "Host *\n  ProxyJump gate\n"),
        (f'{A}jump = "b"\n[[hosts]]\nname = "b"\njump = "c"\n[[hosts]]\nname = "c"\njump = "a"\n', ""),
        (f'[ssh]\njump = "gate"\n{A}[[hosts]]\nname = "gate"\n', ""),
        (f'{A}jump = "x"\n', "Host x\n  ProxyJump y\nHost y\n  ProxyJump x\n"),
    ],
)
def test_jumps_in_a_circle_are_refused_with_the_remedy(home: Path, fleet: str, config: str) -> None:
    with pytest.raises(ConfigError, match='is a circle; say jump = "none"'):
        resolve(home, fleet, config)


def test_no_jump_is_stronger_than_ssh_config(home: Path) -> None:
    target = one(home, f'{A}jump = "none"\n', "ProxyCommand nc %h %p\n")
    assert (target.jump, target.proxy_command) == (None, ())


def test_two_names_for_one_machine_are_refused(home: Path) -> None:
    fleet = f'{A}[[hosts]]\nname = "b"\n'
    with pytest.raises(ConfigError, match="same machine as a"):
        resolve(home, fleet, "Host *\n  HostName one.example.net\n")
    through = "Host *\n  HostName one\n  ProxyCommand ssh gate nc %n 22\n"
    assert len(resolve(home, fleet, through).targets) == 2


def test_another_or_no_ssh_config_may_be_named(home: Path) -> None:
    other = home / "fleets" / "ssh"
    other.parent.mkdir()
    other.write_text("User other\n", encoding="utf-8")
    other.chmod(0o600)
    assert one(home, f'{A}config = "ssh"\n', "User usual\n").user == "other"
    assert one(home, f'{A}config = "none"\n', "User usual\n").user == "core"
    assert one(home, f'{A}config = "~/.ssh/config"\n', "User usual\n").user == "usual"
    with pytest.raises(ConfigError, match="does not exist"):
        one(home, f'{A}config = "nowhere"\n')


def test_targets_of_a_loaded_fleet_use_the_environment_given(home: Path) -> None:
    file = home / "fleet.toml"
    file.write_text(f'[ssh]\nidentities = ["~/k"]\n{A}', encoding="utf-8")
    resolved = targets_of(load_fleet(file), environ={"HOME": str(home), "SSH_AUTH_SOCK": "/s"})
    target = resolved.targets["a"]
    assert (target.identities, target.agent) == ((f"{home}/k",), "/s")
    assert resolved.warnings == (f"{file}: identities: {home}/k does not exist",)


def test_a_named_file_with_host_keys_that_cannot_be_read_is_an_error_and_a_missing_one_is_not(
    home: Path,
) -> None:
    named = f'[ssh]\nknown_hosts = ["none", "hosts"]\n{A}'
    assert one(home, named).known_hosts == (f"{home}/fleets/none", f"{home}/fleets/hosts")
    (home / "fleets" / "hosts").mkdir(parents=True)
    with pytest.raises(ConfigError) as caught:
        one(home, named)
    assert str(caught.value) == (
        f"{home}/fleets/f.toml: known_hosts: {home}/fleets/hosts cannot be read: Is a directory; "
        "let yourself read it, or name another file"
    )
    (home / ".ssh" / "known_hosts").mkdir()
    assert any("the host keys in it are passed over" in words for words in resolve(home, A).warnings)
