"""Who is let in, which host is believed, and by which way: `collectors.ssh` against real OpenSSH servers."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collectors import known_hosts, ssh_keys
from collectors.errors import ConnectFailed, Reach
from collectors.ssh import SshTransport
from collectors.ssh_errors import HostKeyRefused
from collectors.transport import Target
from tests.e2e import sshd
from tests.e2e.sshd import Sshd, public

pytestmark = pytest.mark.sshd

DIALLER = """
import os, socket, sys, threading
far = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        far.sendall(data)
    far.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := far.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def target(server: Sshd, user_key: Path, tmp_path: Path) -> Target:
    return aim(server, user_key, tmp_path, server.known())


def aim(server: Sshd, key: Path, directory: Path, known: str) -> Target:
    file = directory / "known_hosts"
    file.write_text(known)
    return Target(
        "db-1", server.address, server.port, getpass.getuser(), (str(key),), known_hosts=(str(file),)
    )


def ask(target: Target, command: str = "echo seen") -> bytes:
    async def run() -> bytes:
        async with SshTransport(keep=False) as transport:
            done = await transport.run(target, command, b"", timeout_s=10, limit_bytes=4096)
            assert done.exit_status == 0
            return done.stdout

    return asyncio.run(run())


def refused(target: Target, reach: Reach, *words: str) -> ConnectFailed:
    """The target is not reached, for the reason given; nothing was run there."""
    with pytest.raises(ConnectFailed) as caught:
        ask(target)
    assert caught.value.reach is reach, caught.value.message
    assert caught.value.host == "db-1"
    assert caught.value.message.isprintable()
    assert len(caught.value.message) <= 200
    for word in words:
        assert word in caught.value.message
    return caught.value


# -- our keys ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_key_of_each_type_logs_in(kind: str, tmp_path: Path, user_key: Path) -> None:
    key = sshd.make_key(tmp_path / "id", kind)
    (tmp_path / "authorized").write_text(f"{public(key)}\n")
    with sshd.running(tmp_path / "sshd", tmp_path / "authorized") as server:
        assert ask(aim(server, key, tmp_path, server.known())) == b"seen\n"


def test_a_key_that_the_host_does_not_know(server: Sshd, target: Target, tmp_path: Path) -> None:
    stranger = str(sshd.make_key(tmp_path / "stranger"))
    before = server.commands()
    refused(replace(target, identities=(stranger,)), Reach.AUTH_FAILED, "does not let", stranger)
    assert server.commands() == before


def test_a_missing_key_is_skipped_and_named_if_nothing_is_left(target: Target, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    assert ask(replace(target, identities=(missing, *target.identities))) == b"seen\n"
    refused(replace(target, identities=(missing,)), Reach.AUTH_FAILED, f"{missing}: no such file")
    refused(replace(target, identities=()), Reach.AUTH_FAILED, "`identities`", "ssh-agent")


def test_an_encrypted_key_says_how_to_use_it(target: Target, tmp_path: Path) -> None:
    secret = str(sshd.make_key(tmp_path / "secret", passphrase="hidden"))
    refused(replace(target, identities=(secret,)), Reach.AUTH_FAILED, f"ssh-add {secret}"[:30])
    assert ask(replace(target, identities=(secret, *target.identities))) == b"seen\n"


def test_a_key_that_came_later_is_found_by_the_same_process(
    target: Target, user_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh_keys, "LOOK_AGAIN_S", 0.0)
    late = tmp_path / "late"

    async def run() -> bytes:
        async with SshTransport(keep=True) as transport:
            aimed = replace(target, identities=(str(late),))
            with pytest.raises(ConnectFailed):
                await transport.run(aimed, "echo seen", b"", timeout_s=10, limit_bytes=100)
            await asyncio.to_thread(shutil.copy, user_key, late)
            return (await transport.run(aimed, "echo seen", b"", timeout_s=10, limit_bytes=100)).stdout

    assert asyncio.run(run()) == b"seen\n"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """The socket of an ssh-agent of our own."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield str(path)
    process.terminate()
    process.communicate(timeout=5)


def add_to(agent: str, key: Path) -> None:
    environment = {"SSH_AUTH_SOCK": agent, "PATH": "/usr/bin:/bin:/usr/local/bin"}
    subprocess.run(["ssh-add", "-q", key], env=environment, check=True, capture_output=True)


def test_the_agent_logs_in_without_and_beside_files(
    agent: str, target: Target, user_key: Path, tmp_path: Path
) -> None:
    alone = replace(target, identities=(), agent=agent)
    refused(alone, Reach.AUTH_FAILED, "agent holds no other key")
    for number in range(6):  # as many as a server takes before it hangs up
        add_to(agent, sshd.make_key(tmp_path / f"other{number}"))
    add_to(agent, user_key)
    refused(alone, Reach.AUTH_FAILED, "7 keys of the agent")
    named = tmp_path / "only_public"
    named.write_text(f"{public(user_key)}\n")
    assert ask(replace(alone, identities=(str(named),))) == b"seen\n"
    refused(replace(alone, agent=str(tmp_path / "nobody")), Reach.AUTH_FAILED, "does not answer")


def test_user_and_host_certificates(tmp_path: Path, user_key: Path) -> None:
    authority = sshd.make_key(tmp_path / "authority")
    host_key = sshd.make_key(tmp_path / "host_ed25519")
    sshd.sign(authority, host_key, "-h", "-n", "127.0.0.1,db-1.example.net")
    key = sshd.make_key(tmp_path / "id")
    certificate = sshd.sign(authority, key, "-n", getpass.getuser())
    elsewhere = certificate.rename(tmp_path / "certificate.pub")
    options = [f"HostCertificate {host_key}-cert.pub", f"TrustedUserCAKeys {authority}.pub"]
    with sshd.running(tmp_path, tmp_path / "nobody", options=options) as server:
        trusted = f"@cert-authority * {public(authority)}\n"
        target = aim(server, key, tmp_path, trusted)
        refused(target, Reach.AUTH_FAILED)
        certified = replace(target, certificates=(str(elsewhere),))
        assert ask(certified) == b"seen\n"
        assert ask(replace(certified, host_key_alias="db-1.example.net")) == b"seen\n"
        named = f"@cert-authority db-1.example.net {public(authority)}\n"
        assert (
            ask(
                replace(
                    aim(server, key, tmp_path, named),
                    name="db-1.example.net",
                    certificates=certified.certificates,
                )
            )
            == b"seen\n"
        )
        aim(server, key, tmp_path, trusted)
        refused(replace(certified, host_key_alias="db-2.example.net"), Reach.HOST_KEY_UNKNOWN, "certificate")
        aim(server, key, tmp_path, f"@cert-authority * {public(user_key)}\n")
        refused(certified, Reach.HOST_KEY_CHANGED, "authority")
        elsewhere.rename(certificate)
        assert ask(aim(server, key, tmp_path, trusted)) == b"seen\n", "a certificate beside its key is used"


# -- the host's keys --------------------------------------------------------------------------------------


def test_an_unknown_host_is_told_nothing(
    server: Sshd, target: Target, user_key: Path, tmp_path: Path
) -> None:
    before = server.log()
    error = refused(
        aim(server, user_key, tmp_path, ""), Reach.HOST_KEY_UNKNOWN, "host key not known: SHA256:"
    )
    assert isinstance(error, HostKeyRefused)
    assert error.offered is not None
    assert error.offered.line == public(server.host_keys[0])
    shown = subprocess.check_output(["ssh-keygen", "-lf", f"{server.host_keys[0]}.pub"], text=True)
    assert shown.split()[1] in error.message
    said_since = server.log().removeprefix(before)
    assert "Host key is not trusted" in said_since
    assert all(sign not in said_since for sign in ("publickey", "Failed", "Starting session"))


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_a_changed_host_is_told_nothing_and_both_keys_are_shown(
    server: Sshd, user_key: Path, tmp_path: Path, kind: str
) -> None:
    before, old_key = server.log(), sshd.make_key(tmp_path / "old", kind)
    old = f"[127.0.0.1]:{server.port} {public(old_key)}\n"
    error = refused(aim(server, user_key, tmp_path, old), Reach.HOST_KEY_CHANGED)
    assert isinstance(error, HostKeyRefused)
    assert error.message.count("SHA256:") == 2
    assert [key.line for key in error.on_file.keys] == [public(old_key)]
    said_since = server.log().removeprefix(before)
    assert all(sign not in said_since for sign in ("publickey", "Failed", "Starting session"))


def test_a_revoked_key_is_no_key(server: Sshd, user_key: Path, tmp_path: Path) -> None:
    revoked = f"{server.known()}@revoked * {public(server.host_keys[0])}\n"
    refused(aim(server, user_key, tmp_path, revoked), Reach.HOST_KEY_CHANGED, "revoked")


def test_the_key_of_another_port_makes_a_host_unknown_rather_than_changed(
    server: Sshd, user_key: Path, tmp_path: Path
) -> None:
    refused(aim(server, user_key, tmp_path, f"127.0.0.1 {public(user_key)}\n"), Reach.HOST_KEY_UNKNOWN)


def test_a_host_is_known_by_hash_alias_and_fleet_name(
    server: Sshd, target: Target, user_key: Path, tmp_path: Path
) -> None:
    file = tmp_path / "known_hosts"
    sshd.keygen("-H", "-f", str(file))
    assert "127.0.0.1" not in file.read_text()
    assert ask(target) == b"seen\n"
    by_alias = aim(server, user_key, tmp_path, server.known(name="the-database"))
    assert ask(replace(by_alias, host_key_alias="the-database")) == b"seen\n"
    refused(by_alias, Reach.HOST_KEY_UNKNOWN)
    assert ask(aim(server, user_key, tmp_path, server.known(name="db-1"))) == b"seen\n"


def test_a_host_with_several_keys_shows_the_one_that_is_known(user_key: Path, tmp_path: Path) -> None:
    kinds = ("rsa", "ecdsa", "ed25519")
    with sshd.running(tmp_path / "sshd", user_key.with_name("authorized"), kinds=kinds) as server:
        for key in server.host_keys:
            assert ask(aim(server, user_key, tmp_path, server.known(key))) == b"seen\n"


def test_what_trust_records_is_seen_and_what_it_removes_closes_the_kept_connection(
    server: Sshd, user_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_hosts, "LOOK_AGAIN_S", 0.0)
    target, file = aim(server, user_key, tmp_path, ""), tmp_path / "known_hosts"

    async def run() -> list[Reach]:
        seen = []
        async with SshTransport(keep=True) as transport:
            for known in ("", server.known(), f"{server.known()}@revoked * {public(server.host_keys[0])}\n"):
                await asyncio.to_thread(file.write_text, known)
                try:
                    await transport.run(target, "true", b"", timeout_s=10, limit_bytes=100)
                    seen.append(Reach.OK)
                except ConnectFailed as error:
                    seen.append(error.reach)
        return seen

    assert asyncio.run(run()) == [Reach.HOST_KEY_UNKNOWN, Reach.OK, Reach.HOST_KEY_CHANGED]


# -- the way there ----------------------------------------------------------------------------------------


def test_five_hosts_share_one_connection_to_their_jump_host(
    server: Sshd, target: Target, user_key: Path, tmp_path: Path
) -> None:
    with sshd.running(tmp_path / "jump", user_key.with_name("authorized")) as bastion:
        Path(target.known_hosts[0]).write_text(server.known() + bastion.known())
        jump = replace(target, name="bastion", port=bastion.port)
        behind = [replace(target, name=f"db-{number}", jump=jump) for number in range(5)]

        async def run() -> list[bytes]:
            async with SshTransport(keep=True) as transport:

                async def one(host: Target) -> bytes:
                    command = f"echo {host.name}"
                    return (await transport.run(host, command, b"", timeout_s=10, limit_bytes=100)).stdout

                first = await asyncio.gather(*(one(host) for host in behind))
                return first + await asyncio.gather(*(one(host) for host in behind))

        before = server.connections()
        assert asyncio.run(run()) == [f"db-{number}\n".encode() for number in range(5)] * 2
        assert bastion.connections() == 1
        assert bastion.commands() == 0
        assert server.connections() - before == 5


def test_a_jump_host_that_fails_is_named(
    server: Sshd, target: Target, user_key: Path, tmp_path: Path
) -> None:
    jump = replace(target, name="bastion")
    nowhere = replace(target, jump=jump, port=sshd.free_port())
    refused(nowhere, Reach.UNREACHABLE, "jump host bastion gives no way", "refused")
    gone = replace(target, jump=replace(jump, port=sshd.free_port()))
    refused(gone, Reach.UNREACHABLE, "jump host bastion", "refused the connection")
    stranger = str(sshd.make_key(tmp_path / "stranger"))
    refused(replace(target, jump=replace(jump, identities=(stranger,))), Reach.UNREACHABLE, "let")
    options = ["AllowTcpForwarding no"]
    with sshd.running(tmp_path / "jump", user_key.with_name("authorized"), options=options) as bastion:
        Path(target.known_hosts[0]).write_text(server.known() + bastion.known())
        closed = replace(target, jump=replace(jump, port=bastion.port))
        refused(closed, Reach.UNREACHABLE, "jump host bastion gives no way", "AllowTcpForwarding")


def test_a_proxy_command_is_run_without_a_shell(server: Sshd, target: Target, tmp_path: Path) -> None:
    script, marker = tmp_path / "dial.py", tmp_path / "marker"
    script.write_text(DIALLER)
    argv = (
        sys.executable,
        str(script),
        "127.0.0.1",
        str(server.port),
        f"; touch {marker}",
        f"$(touch {marker})",
    )
    assert ask(replace(target, proxy_command=argv)) == b"seen\n"
    assert not marker.exists()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("/nowhere/dial",), "does not start"),
        (("false",), "through false"),
        (("sleep", "60"), "through sleep"),
    ],
)
def test_a_proxy_command_that_fails_is_named(target: Target, argv: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConnectFailed) as caught:
        ask(replace(target, proxy_command=argv, connect_timeout_s=0.5))
    assert words in caught.value.message


def test_ipv6(user_key: Path, tmp_path: Path) -> None:
    try:
        sshd.free_port("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with sshd.running(tmp_path / "sshd", user_key.with_name("authorized"), address="::1") as server:
        assert ask(aim(server, user_key, tmp_path, server.known())) == b"seen\n"


def test_nobody_listens(target: Target) -> None:
    refused(replace(target, port=sshd.free_port()), Reach.UNREACHABLE, "refused the connection")


@pytest.mark.parametrize("address", ["no such name", "a..b", "-"])
def test_a_name_that_does_not_resolve(target: Target, address: str) -> None:
    refused(replace(target, address=address), Reach.UNREACHABLE, "does not resolve")


def test_a_host_that_takes_connections_and_says_nothing(target: Target) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        aimed = replace(target, port=mute.getsockname()[1], connect_timeout_s=0.3)
        refused(aimed, Reach.TIMEOUT, "takes connections", "within 0.3 s")


def test_banners_do_not_harm_and_tell_of_a_reboot(tmp_path: Path, user_key: Path, target: Target) -> None:
    banner = tmp_path / "banner"
    banner.write_bytes(b"\x1b[2J\x1b]0;owned\x07 hello \xff\xfe\n" * 200)
    nobody, options = tmp_path / "nobody", [f"Banner {banner}"]
    with sshd.running(tmp_path / "one", user_key.with_name("authorized"), options=options) as server:
        assert ask(aim(server, user_key, tmp_path, server.known())) == b"seen\n"
    with sshd.running(tmp_path / "two", nobody, options=options) as server:
        refused(aim(server, user_key, tmp_path, server.known()), Reach.AUTH_FAILED)
        banner.write_text(
            "\x1b[1mSystem is going down. Unprivileged users are not permitted to log in anymore.\n"
        )
        error = refused(aim(server, user_key, tmp_path, server.known()), Reach.REBOOTING)
        assert "says: [1mSystem is going down." in error.message
