"""The demo over real SSH: with OpenSSH's `ssh`, and with asyncssh as a client."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from collectors.errors import ConfigError
from collectors.probe import probe_command, read_frame
from console.demo.fleet import DemoFleet, DemoHost, prepare, serve
from console.demo.server import DemoServer, Key

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
MARK = "fedcba9876543210"
PROBE = probe_command()
needs_ssh = pytest.mark.skipif(shutil.which("ssh") is None, reason="needs OpenSSH's ssh")


@pytest.fixture
def demo(tmp_path: Path) -> DemoFleet:
    return prepare(tmp_path / "demo", None, {}, START)


def served(
    demo: DemoFleet, visit: Callable[[DemoServer], Awaitable[None]], *, latency_s: float = 0.0
) -> None:
    async def run() -> None:
        async with DemoServer(demo.served, demo.login_key, latency_s=latency_s) as server:
            await visit(server)

    asyncio.run(run())


def host_of(demo: DemoFleet, scenario: str) -> DemoHost:
    return next(host for host in demo.hosts if host.planned.scenario.name == scenario)


async def ssh(
    demo: DemoFleet, scenario: str, command: str, text: str = "", *, user: str = "core"
) -> tuple[int, bytes, str]:
    """Exit status, stdout and stderr of the `ssh` program."""
    host = host_of(demo, scenario).served
    options = {
        "IdentityFile": demo.directory / "demo_key",
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": demo.directory / "known_hosts",
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "2",
        "Port": host.port,
    }
    argv = ["ssh", "-F", "/dev/null", "-T"]
    argv += [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    process = await asyncio.create_subprocess_exec(
        *argv,
        f"{user}@{host.address}",
        *([command] if command else []),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(text.encode())
    assert process.returncode is not None
    return process.returncode, out, err.decode()


def login(
    demo: DemoFleet, host: DemoHost, *, username: str = "core", key: Key | None = None
) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    return asyncssh.connect(
        host.served.address,
        host.served.port,
        username=username,
        client_keys=[(key or demo.login_key).ssh_key],
        known_hosts=str(demo.directory / "known_hosts"),
        config=[],
        agent_path=None,
    )


async def probe(demo: DemoFleet, scenario: str, units: tuple[str, ...] = ()) -> asyncssh.SSHCompletedProcess:
    async with login(demo, host_of(demo, scenario)) as conn:
        return await conn.run(probe_command(units), input=f"{MARK}\n".encode(), encoding=None)


# -- OpenSSH -----------------------------------------------------------------------------------


@needs_ssh
def test_ssh_runs_the_real_probe_on_two_hosts(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        for scenario in ("staged", "reverted_fresh"):
            status, out, err = await ssh(demo, scenario, PROBE, f"{MARK}\n")
            frame = read_frame(out, MARK)
            assert (status, err) == (0, "")
            assert (frame.complete, frame.privileged, frame.uid) == (True, True, 500)
            name = host_of(demo, scenario).planned.name
            assert f"hostname\t{name}\n".encode() in frame.sections["ids"].content

    served(demo, visit)


@needs_ssh
def test_ssh_runs_other_commands_and_gets_their_status(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        assert await ssh(demo, "current", "true") == (0, b"", "")
        status, out, _ = await ssh(demo, "current", "cat /etc/os-release")
        assert (status, b"VERSION_ID=4593.2.5\n" in out) == (0, True)
        assert await ssh(demo, "current", "reboot") == (127, b"", "bash: reboot: command not found\n")

    served(demo, visit)


@needs_ssh
def test_a_login_without_a_command_says_one_line_and_ends(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        status, out, _ = await ssh(demo, "current", "")
        assert status == 0
        assert out.startswith(b"Flatcar Container Linux by Kinvolk stable 4593.2.5")
        assert out.count(b"\n") == 1

    served(demo, visit)


@needs_ssh
@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [
        ("auth_refused", "Permission denied (publickey)"),
        ("key_unknown", "host key is known for"),
        ("key_changed", "REMOTE HOST IDENTIFICATION HAS CHANGED"),
        ("silent", "timed out"),
    ],
)
def test_ssh_is_kept_out_as_the_scenario_says(demo: DemoFleet, scenario: str, complaint: str) -> None:
    async def visit(server: DemoServer) -> None:
        status, out, err = await ssh(demo, scenario, "true")
        assert (status, out) == (255, b"")
        assert complaint in err

    served(demo, visit)


# -- asyncssh ----------------------------------------------------------------------------------


def test_probe_answers_the_units_it_was_asked_about(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        done = await probe(demo, "current", ("my unit.service",))
        assert done.exit_status == 0
        assert isinstance(done.stdout, bytes)
        assert b"Id=my unit.service\n" in read_frame(done.stdout, MARK).sections["units"].content

    served(demo, visit)


def test_one_connection_answers_many_probes(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        async with login(demo, host_of(demo, "current")) as conn:
            for mark in ("a" * 16, "b" * 16, "c" * 16):
                done = await conn.run(PROBE, input=f"{mark}\n".encode(), encoding=None)
                assert isinstance(done.stdout, bytes)
                assert read_frame(done.stdout, mark).complete

    served(demo, visit)


def test_a_changed_state_is_what_the_next_probe_sees(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        name = host_of(demo, "current").planned.name
        server.states[name] = replace(server.states[name], reset_armed=True)
        done = await probe(demo, "current")
        assert isinstance(done.stdout, bytes)
        assert b"reset_armed\t1\n" in read_frame(done.stdout, MARK).sections["flags"].content

    served(demo, visit)


def test_cut_off_answer_ends_like_a_good_one(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        done = await probe(demo, "truncated")
        assert isinstance(done.stdout, bytes)
        frame = read_frame(done.stdout, MARK)
        assert (done.exit_status, frame.complete) == (0, False)
        assert "flags" in frame.sections

    served(demo, visit)


@pytest.mark.parametrize("sent", [b"no newline", b"x" * 300, None])
def test_probe_without_its_mark_ends_with_65(demo: DemoFleet, sent: bytes | None) -> None:
    async def visit(server: DemoServer) -> None:
        async with login(demo, host_of(demo, "current")) as conn:
            stdin = asyncssh.DEVNULL if sent is None else asyncssh.PIPE
            done = await conn.run(PROBE, input=sent, stdin=stdin, encoding=None)
            assert (done.exit_status, done.stdout) == (65, b"")

    served(demo, visit)


@pytest.mark.parametrize("username", ["root", "admin"])
def test_only_core_is_let_in(demo: DemoFleet, username: str) -> None:
    async def visit(server: DemoServer) -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            async with login(demo, host_of(demo, "current"), username=username):
                pass

    served(demo, visit)


def test_another_key_is_not_let_in(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        with pytest.raises(asyncssh.PermissionDenied):
            async with login(demo, host_of(demo, "current"), key=Key.new()):
                pass

    served(demo, visit)


def test_silent_host_takes_the_connection_and_says_nothing(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        host = host_of(demo, "silent").served
        reader, writer = await asyncio.open_connection(host.address, host.port)
        writer.write(b"SSH-2.0-test\r\n")
        await writer.drain()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        writer.close()

    served(demo, visit)


def test_latency_delays_each_answer(demo: DemoFleet) -> None:
    async def visit(server: DemoServer) -> None:
        async with login(demo, host_of(demo, "current")) as conn:
            began = time.monotonic()
            done = await conn.run("true")
            assert done.exit_status == 0
            assert time.monotonic() - began >= 0.2

    served(demo, visit, latency_s=0.2)


def test_every_open_host_answers_at_once(demo: DemoFleet) -> None:
    closed = {"silent", "auth_refused", "key_unknown", "key_changed"}
    names = [name for name in demo.scenarios.values() if name not in closed]

    async def visit(server: DemoServer) -> None:
        answers = await asyncio.gather(*(probe(demo, name) for name in names))
        assert {done.exit_status for done in answers} == {0}

    served(demo, visit)


# -- life --------------------------------------------------------------------------------------


def test_hundreds_of_hosts_start_soon(tmp_path: Path) -> None:
    began = time.monotonic()
    demo = prepare(tmp_path, 300, {}, START)

    async def visit(server: DemoServer) -> None:
        assert time.monotonic() - began < 10
        async with login(demo, demo.hosts[-1]) as conn:
            assert (await conn.run("true")).exit_status == 0

    served(demo, visit)


def test_serving_says_when_it_is_ready_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def run() -> None:
        ready = asyncio.Event()
        task = asyncio.create_task(serve(tmp_path, 3, {}, ready=ready.set))
        await ready.wait()
        address, port = await _first_place(tmp_path)
        reader, writer = await asyncio.open_connection(address, port)
        assert (await reader.readline()).startswith(b"SSH-2.0-")
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()
        while await reader.read(4096):
            pass  # what was on its way; then the end of an open connection
        writer.close()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection(address, port)

    asyncio.run(run())


async def _first_place(directory: Path) -> tuple[str, int]:
    line = await asyncio.to_thread((directory / "known_hosts").read_text)
    address, port = line.split(" ")[0].removeprefix("[").split("]:")
    return address, int(port)


def test_a_taken_port_is_an_answer_and_leaves_nothing_listening(tmp_path: Path) -> None:
    demo = prepare(tmp_path, 3, {}, START)

    async def run() -> None:
        blocker = await asyncio.start_server(
            lambda r, w: w.close(), demo.served[2].address, demo.served[2].port
        )
        with pytest.raises(
            ConfigError, match=f"{demo.served[2].address}:{demo.served[2].port}: cannot listen"
        ):
            await DemoServer(demo.served, demo.login_key).start()
        blocker.close()
        await blocker.wait_closed()
        async with DemoServer(demo.served, demo.login_key):
            pass

    asyncio.run(run())
