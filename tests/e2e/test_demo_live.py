"""A fleet that lives: its story as fleetctl tells it, against the hosts' own log; hosts that go down and come back."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

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
from console.demo.server import DemoServer
from tests.e2e.demo_fleet import FLEETCTL, PLAIN, Demo, served

HOSTS = 12
NEED_REBOOT = "UPDATE_STATUS_UPDATED_NEED_REBOOT"
MARK = b"fedcba9876543210\n"


# -- the story, twice told -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the hosts' own log; times are seconds of whichever clock the test uses."""

    at: float
    host: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Told:
    """One changed fact as fleetctl has it."""

    at: float
    host: str
    path: str
    old: object
    new: object


Line = list[tuple[float, object]]
"""A value's changes in time."""


def value_at(line: Line, at: float) -> object:
    return next((value for since, value in reversed(line) if since <= at), None)


def truth(log: Iterable[Happened]) -> dict[str, Line]:
    """Of one host: what the log says of its version, slot, boot and staged version."""
    found: dict[str, Line] = {"version": [], "slot": [], "boot": [], "staged": []}
    for item in log:
        if item.what == "rebooted":
            slot, version = item.detail.split()
            for fact, value in (("version", version), ("slot", slot), ("boot", len(found["boot"]) + 1)):
                found[fact].append((item.at, value))
            found["staged"].append((item.at, None))
        elif item.what == "staged":
            found["staged"].append((item.at, item.detail))
    return found


def as_told(steps: Iterable[Told]) -> dict[str, Line]:
    """Of one host: the same as fleetctl tells it."""
    found: dict[str, Line] = {"version": [], "slot": [], "boot": [], "staged": []}
    operation, version, moments = None, None, sorted({step.at for step in steps})
    for at in moments:
        for step in (item for item in steps if item.at == at):
            match step.path:
                case "/os/version_id":
                    found["version"].append((at, step.new))
                case "/running":
                    found["slot"].append((at, step.new))
                case "/identity/boot_id":
                    found["boot"].append((at, step.new))
                case "/operation":
                    operation = step.new
                case "/new_version":
                    version = step.new
        found["staged"].append((at, version if operation == NEED_REBOOT else None))
    return found


def check_lasting(log: list[Happened], steps: list[Told], *, gap_s: float, end: float) -> int:
    """Whatever held for longer than `gap_s` is told before it ended; how many facts that were."""
    true, told = truth(log), as_told(steps)
    boots = [value for _, value in told["boot"]]
    checked = 0
    for fact, line in true.items():
        for (since, value), until in zip(line, [at for at, _ in line[1:]] + [end], strict=True):
            if until - since <= gap_s:
                continue
            shown = value_at(told[fact], until)
            if fact == "boot":  # ids are not in the log: each boot has one of its own
                assert shown is not None, (since, value)
                assert boots.count(shown) == 1
            elif shown is None and fact in ("version", "slot"):
                before = {step.new for step in steps if step.path == "/os/version_id"}
                assert before <= {value}, f"{fact} {value} was never told"  # it came up as it was before
            else:
                assert shown == value, (fact, since, until, value, shown)
            checked += 1
    return checked


def check_nothing_more(log: list[Happened], steps: list[Told], *, slop_s: float) -> None:
    """No reboot, version, slot, confirmation or fallback is told that the log does not have."""
    true = truth(log)
    boots = 0
    for step in steps:
        until = step.at + slop_s
        if step.path == "/identity/boot_id":
            boots += 1
            assert boots <= int(str(value_at(true["boot"], until) or 0)), step
        elif step.path in ("/os/version_id", "/running"):
            line = true["version" if step.path == "/os/version_id" else "slot"]
            assert step.new in (value_at(line, until), value_at(line, step.at - slop_s)), step
        elif step.path.endswith("/successful") and step.old is False and step.new is True:
            slot = step.path.split("/")[2].upper()
            assert any(
                it.what == "confirmed" and it.detail.startswith(slot) and it.at <= until for it in log
            ), step
        elif step.path == "/attempt/fell_back" and step.new is True:
            assert any(it.what == "fell-back" and it.at <= until for it in log), step
        elif step.path == "/operation" and step.new == NEED_REBOOT:
            assert any(it.what == "staged" and it.at <= until for it in log), step


def check_confirmed_and_fallen(log: list[Happened], steps: list[Told], *, gap_s: float, end: float) -> None:
    """A confirmation and a fallback that lasted are told."""
    reboots = [it.at for it in log if it.what == "rebooted"] + [end]
    for item in log:
        until = min(at for at in reboots if at > item.at)
        if until - item.at <= gap_s:
            continue
        if item.what == "confirmed":
            slot = item.detail.split()[0].lower()
            line = [(it.at, it.new) for it in steps if it.path == f"/slots/{slot}/successful"]
            assert value_at(line, until) in (True, None), item
        if item.what == "fell-back":
            mine = [it for it in steps if item.at < it.at <= until]
            assert any(
                (it.path == "/prefs/previous_version" and it.new)
                or (it.path == "/attempt/fell_back" and it.new)
                for it in mine
            ), (item, mine)


def check_story(log: list[Happened], steps: list[Told], *, gap_s: float, slop_s: float, end: float) -> None:
    """The whole fleet's: host by host, from each one's first look on."""
    seen = {step.host: step.at for step in reversed(steps) if step.path == "/reach"}
    assert len(seen) == HOSTS
    checked = 0
    for host, first in seen.items():
        mine = [it for it in log if it.host == host and it.at > first]
        told = [it for it in steps if it.host == host and (it.at > first or it.path == "/reach")]
        checked += check_lasting(mine, told, gap_s=gap_s, end=end)
        check_confirmed_and_fallen(mine, told, gap_s=gap_s, end=end)
        check_nothing_more(mine, told, slop_s=slop_s)
    assert checked > HOSTS
    happened = {it.what for it in log if it.at > max(seen.values())}
    assert {"staged", "rebooted", "confirmed", "fell-back", "attempt-failed"} <= happened
    assert any(step.path == "/attempt/fell_back" and step.new for step in steps)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.timeout(120)
def test_watch_and_diff_tell_the_story_of_the_hosts_own_log(tmp_path: Path) -> None:
    """At 90 seconds in one; a pass each second. A host that does not answer is left out for up to 3 passes."""
    with served(tmp_path, "--alive", "--speed", "90", "--hosts", str(HOSTS)) as demo:
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
    check_story([it for it in log if it.at < end], steps, gap_s=6.0, slop_s=1.0, end=end)


def wait_for_story(file: Path, *, limit_s: float) -> None:
    """Until a host fell back, checked again, and all who wait for their window have had it."""
    limit = time.monotonic() + limit_s
    while time.monotonic() < limit:
        lines = [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line[-1] == "\n"]
        fell = [number for number, line in enumerate(lines) if line["what"] == "fell-back"]
        checked = {line["host"] for line in lines[fell[0] :] if line["what"] == "checked"} if fell else set()
        if fell and lines[fell[0]]["host"] in checked and len(lines) > 90:
            return
        time.sleep(0.2)
    raise AssertionError("the story did not come to its fallback")


def test_the_same_story_without_sockets(tmp_path: Path) -> None:
    """A look a minute for three hours, every host in each pass: nothing that lasted two of them is missed."""
    start = datetime.now(UTC)
    demo = prepare(tmp_path / "demo", HOSTS, {}, start, alive=True)
    states = [host.state for host in demo.served]
    life = begin([host.planned for host in demo.hosts], states, Clock(start, 0), Manner(alive=True))
    loaded = load_fleet(demo.fleet_file)
    resolved, feed = targets(loaded).targets, load_feed(demo.directory / FEED_FILE)
    steps: list[Told] = []
    conn = store.open_writer(tmp_path / "story.db")

    async def watch() -> None:
        transport = MemoryTransport(life)
        for _ in range(180):
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
    check_story(log, steps, gap_s=120.0, slop_s=0.0, end=life.seconds() - 60)


# -- power over SSH ------------------------------------------------------------------------------


Ask = Callable[[str], Awaitable[Completed]]


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
        async with asyncio.timeout(10):
            while life.host(name).state.engine.operation == "UPDATE_STATUS_IDLE":
                await asyncio.sleep(0.02)
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
        async with asyncio.timeout(10):
            while "confirmed" not in [entry.what for entry in life.hosts[name].log]:
                await asyncio.sleep(0.02)
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
        (("--alive",), "need --serve"),
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
