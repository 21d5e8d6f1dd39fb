"""A fleet that lives: its story as fleetctl tells it, against the hosts' own log; hosts that go down."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from actions.collect import collect
from collectors import store
from collectors.errors import ConnectFailed, HostError, OutcomeUnknown, Reach
from collectors.feed_file import load_feed
from collectors.fleet_file import load_fleet, targets
from collectors.probe import LIMIT_BYTES, probe_command, read_frame
from collectors.ssh import SshTransport
from collectors.transport import Completed, Target
from console.demo.fleet import FEED_FILE, LIFE_FILE, Manner, begin, prepare
from console.demo.fleet_life import Clock, FleetLife
from console.demo.memory import MemoryTransport
from console.demo.plan import plan
from console.demo.server import DemoServer
from tests.e2e.demo_fleet import FLEETCTL, PLAIN, Demo, served
from tests.e2e.story import NEED_REBOOT, Began, Happened, Told, check_a_fallback_is_told, check_story

HOSTS = 12
LASTS_S = 6.0
"""Of our clock: what holds for longer has to be told."""
MARK = b"fedcba9876543210\n"


# -- the story ---------------------------------------------------------------------------------


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("speed", [pytest.param(90, marks=pytest.mark.slow), 200])
def test_watch_and_diff_tell_the_story_of_the_hosts_own_log(tmp_path: Path, speed: int) -> None:
    """A pass each second; a host that does not answer misses up to 3."""
    with served(tmp_path, "--alive", "--speed", str(speed), "--hosts", str(HOSTS)) as demo:
        file = demo.directory / "fleet.toml"
        file.write_text(file.read_text().replace("[feeds]", '[sweep]\ninterval = "1s"\n\n[feeds]'))
        words = [*FLEETCTL, "--fleet", str(file), "collect", "--watch"]
        watcher = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=PLAIN)
        try:
            wait_for_story(demo.directory / LIFE_FILE, limit_s=75)
        finally:
            watcher.send_signal(signal.SIGINT)
            watcher.wait(timeout=20)
        end = time.time()
        changes = json.loads(demo.run("diff", "--since", "1h", "--json").stdout)["changes"]
        lines = [json.loads(line) for line in (demo.directory / LIFE_FILE).read_text().splitlines()]
    log = [Happened(seconds(it["ours"]), it["host"], it["what"], it["detail"]) for it in lines]
    steps = [Told(seconds(it["at"]), it["host"], it["path"], it["old"], it["new"]) for it in changes]
    log = [it for it in log if it.at < end]
    check_story(log, steps, starts(datetime.now(UTC)), gap_s=LASTS_S, slop_s=1.0, end=end)
    if speed <= 90:  # at a faster clock the host that fell back may be down again before the next pass
        check_a_fallback_is_told(steps)


def starts(start: datetime) -> dict[str, Began]:
    """What the hosts of the story run when it begins."""
    states = [host.build(start) for host in plan(HOSTS, {}, is_alive=True)]
    return {state.name: Began(state.version, str(state.running)) for state in states}


def wait_for_story(file: Path, *, limit_s: float) -> None:
    """Until a host fell back and checked again, an attempt failed, and windows have opened."""
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        lines = [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line[-1] == "\n"]
        what = [line["what"] for line in lines]
        rebooted = {line["host"] for line in lines if line["what"] == "rebooted"}
        if "fell-back" in what and "attempt-failed" in what and len(rebooted) >= 6:
            after = lines[what.index("fell-back") :]
            if after[0]["host"] in {line["host"] for line in after if line["what"] == "checked"}:
                time.sleep(LASTS_S)  # what lasts shorter need not be told
                return
        time.sleep(0.2)
    raise AssertionError("the story did not come to its fallback")


@dataclass(frozen=True, slots=True)
class Story:
    log: list[Happened]
    steps: list[Told]
    end: float
    starts: dict[str, Began]
    demo: Demo


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same fleet without sockets: a look a minute, every host in each pass."""
    folder, start = tmp_path_factory.mktemp("story"), datetime.now(UTC)
    demo = prepare(folder / "demo", HOSTS, {}, start, alive=True)
    states = [host.state for host in demo.served]
    life = begin([host.planned for host in demo.hosts], states, Clock(start, 0), Manner(alive=True))
    loaded = load_fleet(demo.fleet_file)
    resolved, feed = targets(loaded).targets, load_feed(demo.directory / FEED_FILE)
    steps: list[Told] = []
    conn = store.open_writer(loaded.database_path)

    async def watch() -> None:
        transport = MemoryTransport(life)
        for _ in range(90):
            swept = await collect(loaded.fleet, resolved, resolved, conn, transport, feed)
            for it in swept.changes:
                old, new = (None if text is None else json.loads(text) for text in (it.old, it.new))
                steps.append(Told(life.seconds(), it.host, it.path, old, new))
            life.advance(60)

    try:
        asyncio.run(watch())
    finally:
        conn.close()
    log = [
        Happened((it.at - start).total_seconds(), it.host, it.what, it.detail)
        for host in life.hosts.values()
        for it in host.log
    ]
    return Story(log, steps, life.seconds() - 60, starts(start), Demo(demo.directory))


def test_diff_prints_what_the_passes_saw(story: Story) -> None:
    changes = json.loads(story.demo.run("diff", "--since", "1h", "--json").stdout)["changes"]
    printed = Counter(json.dumps([it["host"], it["path"], it["old"], it["new"]]) for it in changes)
    assert printed == Counter(json.dumps([it.host, it.path, it.old, it.new]) for it in story.steps)


def check(story: Story, steps: list[Told]) -> None:
    """Nothing that lasted two passes is missed, nothing is made up."""
    check_story(story.log, steps, story.starts, gap_s=120.0, slop_s=0.0, end=story.end)
    check_a_fallback_is_told(steps)


def test_the_same_story_without_sockets(story: Story) -> None:
    check(story, story.steps)


@pytest.mark.parametrize(
    "path",
    ["/identity/boot_id", "/os/version_id", "/running", "/attempt/fell_back", "/operation", "/new_version"],
)
def test_a_story_with_a_fact_left_out_is_noticed(story: Story, path: str) -> None:
    with pytest.raises(AssertionError):
        check(story, [it for it in story.steps if it.path != path])


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("/identity/boot_id", "x", "y"),
        ("/os/version_id", "4593.2.5", "4593.2.9"),
        ("/running", "A", "C"),
        ("/slots/a/successful", False, True),
    ],
)
def test_a_story_with_a_fact_made_up_is_noticed(story: Story, path: str, old: object, new: object) -> None:
    quiet = next(
        it.host for it in story.steps if it.host not in {e.host for e in story.log if e.what == "staged"}
    )
    with pytest.raises(AssertionError):
        check(story, [*story.steps, Told(story.end - 60, quiet, path, old, new)])


# -- power over SSH ------------------------------------------------------------------------------


Ask = Callable[[str], Coroutine[Any, Any, Completed]]


def visit(
    directory: Path,
    work: Callable[[Ask, FleetLife, str], Awaitable[None]],
    *,
    speed: float = 20.0,
    keep: bool = False,
    timeout_s: float = 15.0,
) -> None:
    """One host that acts on commands only, its clock fast, asked with the real transport."""
    demo = prepare(directory / "demo", 1, {"behind": 1}, datetime.now(UTC))
    place = demo.served[0]
    name = place.state.name
    target = Target(
        name,
        place.address,
        place.port,
        identities=(str(demo.directory / "demo_key"),),
        known_hosts=(str(demo.directory / "known_hosts"),),
    )

    async def run() -> None:
        life = begin([], [place.state], Clock(datetime.now(UTC), speed), Manner(speed=speed))
        async with (
            DemoServer(demo.served, demo.login_key, life=life),
            SshTransport(keep=keep) as transport,
        ):

            async def ask(command: str) -> Completed:
                stdin = MARK if command == probe_command() else b""
                return await transport.run(
                    target, command, stdin, timeout_s=timeout_s, limit_bytes=LIMIT_BYTES
                )

            await work(ask, life, name)

    asyncio.run(run())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while True:
            if holds():
                return
            await asyncio.sleep(0.02)


async def until_back(ask: Ask) -> tuple[Completed, list[HostError]]:
    """Ask for the boot id until the host answers, and how it failed until then."""
    failures: list[HostError] = []
    async with asyncio.timeout(15):
        while True:
            try:
                return await ask("cat /proc/sys/kernel/random/boot_id"), failures
            except HostError as error:
                failures.append(error)
                await asyncio.sleep(0.02)


def test_a_reboot_is_a_banner_then_a_refused_port_then_a_new_boot_on_the_same_port(tmp_path: Path) -> None:
    async def work(ask: Ask, life: FleetLife, name: str) -> None:
        before = life.host(name).state.boot_id
        assert (await ask("sudo -n systemctl reboot")).exit_status == 0
        _, failures = await until_back(ask)
        reaches = [error.reach for error in failures]
        assert set(reaches) == {Reach.REBOOTING, Reach.UNREACHABLE}
        assert reaches == sorted(reaches, key=[Reach.REBOOTING, Reach.UNREACHABLE].index)
        assert all(isinstance(error, ConnectFailed) for error in failures)
        assert "not permitted to log in" in failures[0].message
        assert life.host(name).state.boot_id != before

    visit(tmp_path, work)


def test_an_open_connection_is_cut_when_the_power_goes(tmp_path: Path) -> None:
    async def work(ask: Ask, life: FleetLife, name: str) -> None:
        update = asyncio.create_task(ask("update_engine_client -update"))
        await until(lambda: life.host(name).state.engine.operation != "UPDATE_STATUS_IDLE")
        life.run(name, ["systemctl", "reboot"], uid=0)
        with pytest.raises(OutcomeUnknown) as caught:
            await update
        assert caught.value.reach in (Reach.UNREACHABLE, Reach.REBOOTING)

    visit(tmp_path, work)


def test_what_a_command_starts_runs_to_its_end_and_the_new_slot_is_marked_good(tmp_path: Path) -> None:
    async def work(ask: Ask, life: FleetLife, name: str) -> None:
        done = await ask("update_engine_client -update && sudo -n systemctl reboot")
        assert done.exit_status == 0
        assert NEED_REBOOT.encode() in done.stdout
        await until_back(ask)
        await until(lambda: "confirmed" in [entry.what for entry in life.hosts[name].log])
        assert life.host(name).state.version == "4593.2.5"
        frame = read_frame((await ask(probe_command())).stdout, MARK.decode().strip())
        assert frame.complete

    visit(tmp_path, work, speed=100)


def test_host_keys_that_a_boot_made_are_not_taken(tmp_path: Path) -> None:
    async def work(ask: Ask, life: FleetLife, name: str) -> None:
        life.fault(name, "key-change")
        await ask("sudo -n systemctl reboot")
        async with asyncio.timeout(15):
            while True:
                try:
                    await ask("true")
                except HostError as error:
                    if error.reach is Reach.HOST_KEY_CHANGED:
                        break
                await asyncio.sleep(0.02)

    visit(tmp_path, work, speed=100)


def test_faults_of_the_wire_over_ssh(tmp_path: Path) -> None:
    async def work(ask: Ask, life: FleetLife, name: str) -> None:
        whole = (await ask(probe_command())).stdout
        life.fault(name, "drop")
        with pytest.raises(OutcomeUnknown) as dropped:
            await ask(probe_command())
        assert dropped.value.reach is Reach.UNREACHABLE
        assert 0 < len(dropped.value.output) < len(whole)
        life.fault(name, "drop", on=False)
        life.fault(name, "slow")
        assert (await ask("hostname")).latency_s >= 0.1
        life.fault(name, "slow", on=False)
        life.fault(name, "truncated")
        cut = await ask(probe_command())
        assert (cut.exit_status, read_frame(cut.stdout, MARK.decode().strip()).complete) == (0, False)
        life.fault(name, "truncated", on=False)
        life.fault(name, "lie")
        assert b"CURRENT_OP=" + NEED_REBOOT.encode() in (await ask("update_engine_client -status")).stdout
        life.fault(name, "lie", on=False)
        life.fault(name, "hang")
        with pytest.raises(OutcomeUnknown) as hung:
            await ask(probe_command())
        assert hung.value.reach is Reach.TIMEOUT

    visit(tmp_path, work, speed=1, timeout_s=5.0)


# -- the command ---------------------------------------------------------------------------------


def test_faults_are_set_from_the_command_line_and_shown_by_collect(tmp_path: Path) -> None:
    with served(
        tmp_path, "--scenario", "current=3", "--fault", "edge-fra-01=sudo-refused", "--speed", "5"
    ) as demo:
        demo.run("collect")
        reach = {host["name"]: host["reach"]["privileged"] for host in demo.status()["hosts"]}
        assert reach.pop("edge-fra-01") is False
        assert set(reach.values()) == {True}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--alive",), "need a terminal, or --serve"),
        (("--serve", "{}", "--fault", "edge-fra-01=falback"), 'did you mean "fallback"'),
        (("--serve", "{}", "--fault", "no-host=fallback"), "no host has this name"),
    ],
)
def test_wrong_wishes_are_answered_before_anything_is_served(
    tmp_path: Path, words: tuple[str, ...], complaint: str
) -> None:
    argv = [*FLEETCTL, "demo", *(word.replace("{}", str(tmp_path / "demo")) for word in words)]
    done = subprocess.run(argv, capture_output=True, text=True, env=PLAIN, timeout=30)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "ready" not in done.stdout


# -- many ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("options", [(), ("--alive", "--speed", "60")], ids=["idle", "alive"])
def test_two_thousand_hosts_live_in_one_process(tmp_path: Path, options: tuple[str, ...]) -> None:
    """Memory and processor time of the serving process, per host, printed with -s."""
    hosts, watched_s = 2000, 30.0
    with served(tmp_path, "--hosts", str(hosts), "--scenario", f"behind={hosts}", *options) as demo:
        pid = server_of(demo)
        before, began = cpu_s(pid), time.monotonic()
        time.sleep(watched_s)
        used = (cpu_s(pid) - before) / (time.monotonic() - began)
        resident_kib = memory_kib(pid)
    text = f"{' '.join(options) or 'idle'}: {resident_kib / hosts:.0f} KiB and {used / hosts * 1e6:.0f} us/s"
    print(f"\n{text} of a processor per host, {used:.0%} of one in all")  # noqa: T201 - the figures
    assert resident_kib / hosts < 300
    assert used < 0.9


def server_of(demo: Demo) -> int:
    """The process that serves this directory."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and str(demo.directory) in (folder / "cmdline").read_text(errors="replace"):
            return int(folder.name)
    raise AssertionError("nobody serves")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS")))
