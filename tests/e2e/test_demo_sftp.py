"""SFTP of the simulated hosts, over real SSH: the model's files, and nothing of this machine's."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest

from collectors.facts import DiskUse
from console.demo.fleet import DemoFleet, prepare
from console.demo.server import DemoServer
from console.demo.sftp import HostFilesServer

HOST = "edge-fra-01"
NO_OPERATIONS = {"channel", "connection", "env", "logger", "convert_attrs", "format_longname"}
"""Of asyncssh's server: these reach no file."""


@pytest.fixture
def demo(tmp_path: Path) -> DemoFleet:
    return prepare(tmp_path / "demo", 1, {"behind": 1}, datetime.now(UTC))


def login(demo: DemoFleet) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
    host = demo.served[0]
    return asyncssh.connect(
        host.address,
        host.port,
        username="core",
        client_keys=[demo.login_key.ssh_key],
        known_hosts=str(demo.directory / "known_hosts"),
        config=[],
        agent_path=None,
    )


def visit(demo: DemoFleet, work: Callable[[asyncssh.SFTPClient, DemoServer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with (
            DemoServer(demo.served, demo.login_key) as server,
            asyncio.timeout(15),
            login(demo) as conn,
            conn.start_sftp_client() as client,
        ):
            await work(client, server)

    asyncio.run(run())


def test_every_operation_is_answered_from_the_model() -> None:
    """What asyncssh would do by itself, it would do on this machine's files."""
    theirs = {
        name for name, _ in inspect.getmembers(asyncssh.SFTPServer) if not name.startswith("_")
    } - NO_OPERATIONS
    assert {"open", "scandir", "symlink", "statvfs"} <= theirs
    assert theirs - set(vars(HostFilesServer)) == set()


def test_files_go_up_and_down_whole(demo: DemoFleet, tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000

    async def work(client: asyncssh.SFTPClient, server: DemoServer) -> None:
        (tmp_path / "payload").write_bytes(content)
        await client.put(str(tmp_path / "payload"), "/var/tmp/payload")
        assert server.life.hosts[HOST].files.read("/var/tmp/payload") == content
        await client.get("/var/tmp/payload", str(tmp_path / "back"))
        assert (tmp_path / "back").read_bytes() == content
        attrs = await client.stat("/var/tmp/payload")
        assert (attrs.size, attrs.uid, attrs.type) == (len(content), 500, asyncssh.FILEXFER_TYPE_REGULAR)
        async with client.open("/var/tmp/payload", "ab") as file:
            await file.write(b"more")
        await client.truncate("/var/tmp/payload", 3)
        await client.mkdir("/var/tmp/in")
        await client.rename("/var/tmp/payload", "/var/tmp/in/a")
        assert set(await client.listdir("/var/tmp/in")) == {".", "..", "a"}
        async with client.open("in-home", "w") as text:
            await text.write("x")
        await client.posix_rename("in-home", "/var/tmp/in/a")
        assert await client.realpath("../core/.") == "/home/core"
        await client.remove("/var/tmp/in/a")
        await client.rmdir("/var/tmp/in")
        assert set(await client.listdir("/var/tmp")) == {".", ".."}

    visit(demo, work)


def test_nothing_of_this_machine_can_be_reached(demo: DemoFleet, tmp_path: Path) -> None:
    here = tmp_path / "secret"
    here.write_text("of this machine")

    async def work(client: asyncssh.SFTPClient, server: DemoServer) -> None:
        for path in (str(here), f"/var/tmp/../..{here}", f"../../{here}", f"/home/core/../../../..{here}"):
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await client.stat(path)
            with pytest.raises(asyncssh.SFTPNoSuchFile):
                await client.open(path, "rb")
            with pytest.raises((asyncssh.SFTPPermissionDenied, asyncssh.SFTPNoSuchFile)):
                await client.open(path, "wb")
            for change in (client.remove(path), client.unlink(path)):
                with pytest.raises(asyncssh.SFTPNoSuchFile):
                    await change
        for make in (client.symlink, client.link):
            with pytest.raises(asyncssh.SFTPOpUnsupported):
                await make(str(here), "/var/tmp/way-out")
        with pytest.raises(asyncssh.SFTPError):
            await client.listdir(str(tmp_path))
        with pytest.raises(asyncssh.SFTPError):
            await client.mkdir(str(tmp_path / "made"))
        assert set(await client.listdir("/home")) == {".", "..", "core"}
        async with client.open("/etc/machine-id", "r") as file:
            text = await file.read()
        assert text == f"{server.life.hosts[HOST].state.hardware.machine_id}\n"
        assert set(await client.listdir("/var/tmp")) == {".", ".."}

    visit(demo, work)
    assert here.read_text() == "of this machine"
    assert not (tmp_path / "made").exists()


def test_core_writes_only_where_it_may(demo: DemoFleet) -> None:
    async def work(client: asyncssh.SFTPClient, server: DemoServer) -> None:
        for path in ("/etc/flatcar/update.conf", "/opt/extensions/x.raw", "/usr/bin/x", "/x"):
            with pytest.raises(asyncssh.SFTPPermissionDenied):
                await client.open(path, "wb")
        for path in ("/tmp/x", "/var/tmp/x", "/home/core/x"):
            async with client.open(path, "wb") as file:
                await file.write(b"x")

    visit(demo, work)


def test_a_full_disk_breaks_a_transfer_off_and_leaves_its_part(demo: DemoFleet) -> None:
    async def work(client: asyncssh.SFTPClient, server: DemoServer) -> None:
        state = server.states[HOST]
        use = state.disks["/"]
        small = DiskUse(use.fstype, use.size_bytes, use.size_bytes - 100_000, 100_000)
        server.states[HOST] = replace(state, disks={**state.disks, "/": small})
        file = await client.open("/var/tmp/big", "wb")
        await file.write(b"x" * 60_000)
        with pytest.raises(asyncssh.SFTPFailure):
            await file.write(b"x" * 60_000)
        assert (await client.stat("/var/tmp/big")).size == 100_000
        await client.remove("/var/tmp/big")
        server.life.fault(HOST, "disk-full")
        async with client.open("/var/tmp/empty", "wb"):
            pass
        with pytest.raises(asyncssh.SFTPFailure):
            await client.mkdir("/var/tmp/folder")
        assert (await client.stat("/var/tmp/empty")).size == 0

    visit(demo, work)


def test_a_host_that_goes_down_takes_its_visitors_with_it(demo: DemoFleet) -> None:
    async def work(client: asyncssh.SFTPClient, server: DemoServer) -> None:
        async with client.open("/var/tmp/x", "wb") as file:
            await file.write(b"x")
        server.life.hosts[HOST].reset_power()
        with pytest.raises((asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection)):
            await client.stat("/var/tmp/x")
        assert server.life.hosts[HOST].files.read("/var/tmp/x") == b"x"

    visit(demo, work)


def test_faults_of_the_wire_are_the_files_too(demo: DemoFleet) -> None:
    async def work(client: asyncssh.SFTPClient, server: DemoServer) -> None:
        async with client.open("/var/tmp/x", "wb") as file:
            await file.write(b"0123456789")
        server.life.fault(HOST, "truncated")
        async with client.open("/var/tmp/x", "rb") as file:
            content: bytes | str = await file.read()
            assert content == b"01234"
        server.life.fault(HOST, "truncated", on=False)
        server.life.fault(HOST, "slow")
        before = asyncio.get_running_loop().time()
        await client.stat("/var/tmp/x")
        assert asyncio.get_running_loop().time() - before >= 0.1
        server.life.fault(HOST, "slow", on=False)
        server.life.fault(HOST, "drop")
        with pytest.raises((asyncssh.SFTPConnectionLost, asyncssh.ConnectionLost)):
            await client.stat("/var/tmp/x")

    visit(demo, work)


def test_a_host_that_hangs_never_answers(demo: DemoFleet) -> None:
    async def run() -> None:
        async with DemoServer(demo.served, demo.login_key) as server, login(demo) as conn:
            client = await conn.start_sftp_client()
            server.life.fault(HOST, "hang")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.stat("/var/tmp")
            conn.abort()
            await conn.wait_closed()

    asyncio.run(run())


def test_the_sftp_program_copies_a_file(demo: DemoFleet, tmp_path: Path) -> None:
    if shutil.which("sftp") is None:
        reason = "OpenSSH's sftp is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    (tmp_path / "up").write_text("by OpenSSH\n")
    (tmp_path / "batch").write_text(
        f"put {tmp_path}/up /var/tmp/up\nls -l /var/tmp\nget /var/tmp/up {tmp_path}/down\n"
    )
    host = demo.served[0]
    argv = ["sftp", "-F", "/dev/null", "-b", str(tmp_path / "batch"), "-P", str(host.port)]
    argv += ["-i", str(demo.directory / "demo_key"), "-o", "IdentitiesOnly=yes"]
    argv += ["-o", f"UserKnownHostsFile={demo.directory / 'known_hosts'}", f"core@{host.address}"]

    async def run() -> subprocess.CompletedProcess[str]:
        async with DemoServer(demo.served, demo.login_key):
            return await asyncio.to_thread(
                subprocess.run, argv, capture_output=True, text=True, timeout=15, stdin=subprocess.DEVNULL
            )

    done = asyncio.run(run())
    assert (done.returncode, (tmp_path / "down").read_text()) == (0, "by OpenSSH\n"), done.stderr
    assert "core     core" in done.stdout
