"""How a command ends, and what becomes of connections: `collectors.ssh` against real OpenSSH servers."""

from __future__ import annotations

import asyncio
import getpass
import os
import resource
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collectors import ssh
from collectors.errors import ConnectFailed, HostError, OutcomeUnknown, Reach
from collectors.ssh import SshTransport
from collectors.transport import Completed, Target, Transport
from tests.e2e import sshd
from tests.e2e.sshd import Relay, Sshd

pytestmark = pytest.mark.sshd


@pytest.fixture
def target(server: Sshd, user_key: Path, tmp_path: Path) -> Target:
    return aim(server, user_key, tmp_path)


def aim(server: Sshd, key: Path, directory: Path) -> Target:
    """The host is known as `db-1`, so that it stays known behind a relay's port."""
    file = directory / "known_hosts"
    file.write_text(server.known(name="db-1"))
    return Target("db-1", "127.0.0.1", server.port, getpass.getuser(), (str(key),), known_hosts=(str(file),))


def using(
    work: Callable[[Transport], Awaitable[None]], *, keep: bool = False, connections: int = 256
) -> None:
    async def run() -> None:
        async with SshTransport(keep=keep, connections=connections) as transport:
            await work(transport)

    asyncio.run(run())


def ask(
    target: Target, command: str, stdin: bytes = b"", *, timeout_s: float = 10, limit_bytes: int = 65536
) -> Completed:
    async def run() -> Completed:
        async with SshTransport(keep=False) as transport:
            return await transport.run(target, command, stdin, timeout_s=timeout_s, limit_bytes=limit_bytes)

    return asyncio.run(run())


async def echo(transport: Transport, target: Target, word: str = "seen") -> None:
    done = await transport.run(target, f"echo {word}", b"", timeout_s=10, limit_bytes=100)
    assert (done.stdout, done.exit_status) == (f"{word}\n".encode(), 0)


def unknown(target: Target, command: str, reach: Reach, **limits: float) -> OutcomeUnknown:
    with pytest.raises(OutcomeUnknown) as caught:
        ask(
            target,
            command,
            timeout_s=limits.get("timeout_s", 10),
            limit_bytes=int(limits.get("limit_bytes", 65536)),
        )
    assert caught.value.reach is reach, caught.value.message
    assert caught.value.message.isprintable()
    return caught.value


# -- ends -------------------------------------------------------------------------------------------------


def test_output_status_and_input_pass_byte_by_byte(target: Target) -> None:
    done = ask(target, r"printf 'a\0b\377'; echo lost >&2; cat; exit 7", bytes(range(256)))
    assert done.stdout == b"a\0b\xff" + bytes(range(256))
    assert done.exit_status == 7
    assert 0 < done.latency_s < 10


@pytest.mark.parametrize(
    ("command", "status"),
    [("true", 0), ("exit 255", 255), ("kill -TERM $$", -1), ("kill -KILL $$", -1), ("exec 0<&- 1<&-", 0)],
)
def test_every_end_has_its_status(target: Target, command: str, status: int) -> None:
    assert ask(target, command, b"not read").exit_status == status


def test_a_large_input_arrives_whole(target: Target) -> None:
    assert ask(target, "wc -c", bytes(5_000_000)).stdout.strip() == b"5000000"


def test_a_large_output_arrives_whole_up_to_the_limit(target: Target) -> None:
    assert ask(target, "head -c 1000000 /dev/zero", limit_bytes=1_000_000).stdout == bytes(1_000_000)


def test_nothing_of_ours_reaches_the_session(target: Target) -> None:
    seen = ask(target, "tty; env").stdout.decode()
    assert "not a tty" in seen
    assert all(name not in seen for name in ("LANG=", "LC_", "DISPLAY=", "SSH_AUTH_SOCK=", "TERM="))


def test_noise_of_a_login_file_is_part_of_the_output(tmp_path: Path, user_key: Path) -> None:
    noise = r"""ForceCommand printf '\033[1mhello\n'; eval "$SSH_ORIGINAL_COMMAND" """
    with sshd.running(tmp_path, user_key.with_name("authorized"), options=[noise]) as server:
        assert ask(aim(server, user_key, tmp_path), "echo seen").stdout == b"\x1b[1mhello\nseen\n"


@pytest.mark.parametrize("command", ["yes", "yes >&2", "yes & exec yes >&2"])
def test_a_host_that_never_stops_talking_is_cut_off(target: Target, command: str) -> None:
    error = unknown(target, command, Reach.PROBE_INCOMPLETE, limit_bytes=1000)
    assert error.output in (b"y\n" * 500, b"")
    assert "more output" in error.message


def test_a_talker_does_not_hold_up_the_others(target: Target) -> None:
    async def work(transport: Transport) -> None:
        async def talk() -> None:
            with pytest.raises(OutcomeUnknown):
                await transport.run(target, "exec yes", b"", timeout_s=10, limit_bytes=20_000_000)

        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            for number in range(5):
                await echo(transport, replace(target, connect_timeout_s=9 - number))

    using(work)


def test_a_session_that_is_killed_has_an_unknown_end(target: Target) -> None:
    error = unknown(target, "printf started; kill -9 $PPID; sleep 9", Reach.UNREACHABLE)
    assert error.output in (b"started", b"")
    assert "connection was cut" in error.message


def test_a_command_that_takes_too_long_has_an_unknown_end(target: Target) -> None:
    error = unknown(target, "printf started; exec sleep 9", Reach.TIMEOUT, timeout_s=1)
    assert error.output == b"started"
    assert "within 1 s" in error.message


def test_a_connection_cut_in_mid_output_has_an_unknown_end(target: Target) -> None:
    async def work(transport: Transport) -> None:
        async with Relay(target.port) as relay:
            relay.cut_after_bytes = 60_000
            aimed, command = replace(target, port=relay.port), "head -c 200000 /dev/zero; exec sleep 9"
            with pytest.raises(OutcomeUnknown) as caught:
                await transport.run(aimed, command, b"", timeout_s=10, limit_bytes=10**6)
            assert caught.value.reach is Reach.UNREACHABLE
            assert 0 < len(caught.value.output) < 60_000

    using(work)


@pytest.mark.parametrize("bytes_until_cut", [0, 30, 1500])
def test_a_connection_cut_before_login_is_no_unknown_end(
    server: Sshd, target: Target, bytes_until_cut: int
) -> None:
    before = server.commands()

    async def work(transport: Transport) -> None:
        async with Relay(target.port) as relay:
            relay.cut_after_bytes = bytes_until_cut
            with pytest.raises(ConnectFailed) as caught:
                await echo(transport, replace(target, port=relay.port))
            assert caught.value.reach is Reach.UNREACHABLE

    using(work)
    assert server.commands() == before


def test_a_cancelled_run_stays_cancelled_and_leaves_nothing_open(target: Target) -> None:
    async def work(transport: Transport) -> None:
        async with Relay(target.port) as relay:
            aimed = replace(target, port=relay.port)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.7):
                    await transport.run(aimed, "exec sleep 9", b"", timeout_s=10, limit_bytes=9)
            assert relay.accepted == 1
            await echo(transport, aimed)
            assert relay.accepted == 2
            await transport.close()

    using(work, keep=True)


# -- connections ------------------------------------------------------------------------------------------


def test_connections_are_kept_or_not_as_asked(server: Sshd, target: Target) -> None:
    async def work(transport: Transport) -> None:
        for word in ("one", "two", "three"):
            await echo(transport, target, word)

    before = server.connections()
    using(work, keep=True)
    assert server.connections() - before == 1
    using(work, keep=False)
    assert server.connections() - before == 4


def test_a_kept_connection_that_the_host_dropped_is_replaced(server: Sshd, target: Target) -> None:
    async def work(transport: Transport) -> None:
        done = await transport.run(target, "echo $PPID", b"", timeout_s=10, limit_bytes=100)
        os.kill(int(done.stdout), signal.SIGKILL)
        await echo(transport, target)

    before = server.connections()
    using(work, keep=True)
    assert server.connections() - before == 2


def test_a_kept_connection_that_fell_silent_is_replaced_before_anything_is_sent(target: Target) -> None:
    async def work(transport: Transport) -> None:
        async with Relay(target.port) as relay:
            aimed = replace(target, port=relay.port, connect_timeout_s=1)
            await echo(transport, aimed)
            relay.fall_silent()
            await echo(transport, aimed)
            assert relay.accepted == 2
            await transport.close()

    using(work, keep=True)


def test_a_host_that_allows_one_session_serves_runs_one_after_another(tmp_path: Path, user_key: Path) -> None:
    with sshd.running(tmp_path, user_key.with_name("authorized"), options=["MaxSessions 1"]) as server:
        target = aim(server, user_key, tmp_path)

        async def work(transport: Transport) -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(8):
                    group.create_task(echo(transport, target, str(number)))

        using(work, keep=True)
        assert server.commands() == 8


def test_a_host_that_allows_no_session_was_sent_nothing(tmp_path: Path, user_key: Path) -> None:
    with sshd.running(tmp_path, user_key.with_name("authorized"), options=["MaxSessions 0"]) as server:
        with pytest.raises(ConnectFailed, match="refuses a session") as caught:
            ask(aim(server, user_key, tmp_path), "echo seen")
        assert caught.value.reach is Reach.UNREACHABLE
        assert server.commands() == 0


def test_no_more_runs_are_at_work_than_asked(target: Target) -> None:
    async def work(transport: Transport) -> None:
        async with Relay(target.port) as relay:
            async with asyncio.TaskGroup() as group:
                for number in range(6):
                    aimed = replace(target, port=relay.port, connect_timeout_s=9 - number)
                    group.create_task(echo(transport, aimed))
            assert relay.accepted == 6
            assert relay.open_most <= 2

    using(work, connections=2)


def test_the_longest_idle_connection_gives_way_where_files_are_few(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "_raise_file_limit", lambda: ssh.RESERVED_FILES + 4)

    async def work(transport: Transport) -> None:
        async with Relay(target.port) as relay:
            hosts = [replace(target, port=relay.port, connect_timeout_s=9 - number) for number in range(4)]
            for host in (*hosts, *hosts[2:]):
                await echo(transport, host)
            assert relay.accepted == 4, "the last two were still open"
            await echo(transport, hosts[0])
            assert relay.accepted == 5
            await transport.close()

    using(work, keep=True)


def test_waiting_for_a_turn_is_not_part_of_the_time_allowed(target: Target) -> None:
    async def work(transport: Transport) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(4):
                aimed = replace(target, connect_timeout_s=9 - number)
                group.create_task(transport.run(aimed, "exec sleep 0.5", b"", timeout_s=1.5, limit_bytes=9))

    using(work, connections=1)


def test_a_failing_host_does_not_stop_the_others(server: Sshd, target: Target) -> None:
    async def work(transport: Transport) -> None:
        gone = replace(target, port=sshd.free_port())
        answers = await asyncio.gather(
            *(
                transport.run(aimed, "echo seen", b"", timeout_s=10, limit_bytes=9)
                for aimed in (gone, target)
            ),
            return_exceptions=True,
        )
        assert isinstance(answers[0], HostError)
        assert isinstance(answers[1], Completed)

    using(work)


def test_the_limit_of_open_files_is_raised() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        SshTransport(keep=True)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] in (hard, ssh.ENOUGH_FILES, ssh.MACOS_OPEN_MAX)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
