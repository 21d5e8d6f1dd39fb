"""The in-memory transport: the same bytes and failures as over SSH, on a clock that a test moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from collectors.errors import ConnectFailed, HostError, OutcomeUnknown, Reach
from collectors.probe import LIMIT_BYTES, probe_command, read_frame
from collectors.transport import Completed, Target, Transport
from console.demo import answers
from console.demo.fleet import Manner, begin
from console.demo.fleet_life import Clock, FleetLife
from console.demo.healthy import HostSpec
from console.demo.live.kinds import Power, What
from console.demo.memory import MemoryTransport
from console.demo.plan import plan
from console.demo.scenarios import SELECTABLE

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
MARK = "fedcba9876543210"
HOST = "lab-1"
T = TypeVar("T")


def life_of(*scenarios: str, alive: bool = False) -> FleetLife:
    """Hosts lab-1, lab-2, … of these scenarios, on a clock that stands."""
    states = [
        SELECTABLE[name].build(HostSpec(f"lab-{number}", START, SELECTABLE[name].flavour))
        for number, name in enumerate(scenarios or ("behind",), 1)
    ]
    return begin([], states, Clock(START, speed=0), Manner(alive=alive))


def target(name: str = HOST) -> Target:
    return Target(name, "192.0.2.1")


async def ask(
    transport: Transport, command: str, stdin: bytes = b"", *, name: str = HOST, timeout_s: float = 600.0
) -> Completed:
    return await transport.run(target(name), command, stdin, timeout_s=timeout_s, limit_bytes=LIMIT_BYTES)


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


def asked(life: FleetLife, command: str, stdin: bytes = b"", **options: Any) -> Completed:
    return run(ask(MemoryTransport(life), command, stdin, **options))


def refused(life: FleetLife, command: str = "true", **options: Any) -> HostError:
    with pytest.raises(HostError) as caught:
        asked(life, command, **options)
    return caught.value


# -- answers -----------------------------------------------------------------------------------


def test_the_probe_has_the_same_bytes_as_over_ssh() -> None:
    life = life_of("staged")
    done = asked(life, probe_command(("a.service",)), f"{MARK}\n".encode())
    state = life.host(HOST).state
    assert done.stdout == answers.answer(state, MARK, START, units=("a.service",))
    assert done.exit_status == 0
    assert read_frame(done.stdout, MARK).complete


def test_a_probe_without_its_mark_ends_with_65() -> None:
    assert asked(life_of(), probe_command(), b"no newline").exit_status == 65


@pytest.mark.parametrize(
    ("command", "stdout", "status"),
    [
        ("true && hostname", b"lab-1\n", 0),
        ("false && hostname", b"", 1),
        ("false || hostname", b"lab-1\n", 0),
        ("false; hostname", b"lab-1\n", 0),
        ("hostname | cat", b"", 127),
        ("hostname > /tmp/x", b"", 127),
        ("echo 'unclosed", b"", 2),
        ("no-such-program", b"", 127),
        ("sudo -n tee /run/x && cat /run/x", b"textt" + b"ext", 0),
    ],
)
def test_command_lines(command: str, stdout: bytes, status: int) -> None:
    done = asked(life_of(), command, b"text")
    assert (done.stdout, done.exit_status) == (stdout, status)


def test_waiting_for_a_command_lets_time_pass_to_its_end() -> None:
    life = life_of()
    done = asked(life, "update_engine_client -update")
    assert b"UPDATED_NEED_REBOOT" in done.stdout
    assert done.exit_status == 0
    assert 100 < done.latency_s < 300
    assert life.seconds() == done.latency_s


def test_two_who_wait_share_the_time() -> None:
    life = life_of("behind", "behind")
    transport = MemoryTransport(life)

    async def both() -> tuple[Completed, Completed]:
        command = "update_engine_client -update"
        first, second = await asyncio.gather(ask(transport, command), ask(transport, command, name="lab-2"))
        return first, second

    first, second = run(both())
    assert (first.exit_status, second.exit_status) == (0, 0)
    assert life.seconds() == max(first.latency_s, second.latency_s) < 300


def test_a_timeout_is_of_the_fleets_time_and_the_command_runs_on() -> None:
    life = life_of()
    error = refused(life, "update_engine_client -update", timeout_s=30.0)
    assert isinstance(error, OutcomeUnknown)
    assert error.reach is Reach.TIMEOUT
    assert b"CURRENT_OP" in error.output
    assert life.seconds() == 30
    life.advance(300)
    assert any(entry.what is What.STAGED for entry in life.hosts[HOST].log)


def test_more_than_the_limit_is_an_unknown_outcome() -> None:
    with pytest.raises(OutcomeUnknown) as caught:
        run(MemoryTransport(life_of()).run(target(), "hostname", b"", timeout_s=5.0, limit_bytes=3))
    assert (caught.value.output, caught.value.reach) == (b"lab", Reach.PROBE_INCOMPLETE)


# -- power -------------------------------------------------------------------------------------


def test_a_reboot_is_refused_then_silent_then_back_with_a_new_boot_id() -> None:
    life = life_of()
    before = life.host(HOST).state.boot_id
    assert asked(life, "sudo -n systemctl reboot").exit_status == 0
    error = refused(life)
    assert (type(error), error.reach) == (ConnectFailed, Reach.REBOOTING)
    assert "not permitted to log in" in error.message
    life.advance(9)
    error = refused(life)
    assert (type(error), error.reach) == (ConnectFailed, Reach.UNREACHABLE)
    life.advance(60)
    assert asked(life, "true").exit_status == 0
    assert life.host(HOST).state.boot_id != before


def test_a_command_that_runs_while_the_host_goes_down_has_an_unknown_outcome() -> None:
    life = life_of()
    transport = MemoryTransport(life)

    async def both() -> None:
        update = asyncio.create_task(ask(transport, "update_engine_client -update"))
        await asyncio.sleep(0)
        await ask(transport, "sudo -n systemctl reboot")
        with pytest.raises(OutcomeUnknown) as caught:
            await update
        assert caught.value.reach is Reach.UNREACHABLE

    run(both())


def test_changed_keys_are_refused_until_they_are_trusted() -> None:
    life = life_of()
    transport = MemoryTransport(life)
    life.fault(HOST, "key-change")
    run(ask(transport, "sudo -n systemctl reboot"))
    life.advance(120)
    with pytest.raises(ConnectFailed) as caught:
        run(ask(transport, "true"))
    assert caught.value.reach is Reach.HOST_KEY_CHANGED
    transport.trust(HOST)
    assert run(ask(transport, "true")).exit_status == 0


@pytest.mark.parametrize(
    ("scenario", "reach"),
    [
        ("silent", Reach.TIMEOUT),
        ("auth_refused", Reach.AUTH_FAILED),
        ("key_unknown", Reach.HOST_KEY_UNKNOWN),
        ("key_changed", Reach.HOST_KEY_CHANGED),
    ],
)
def test_scenarios_of_reach(scenario: str, reach: Reach) -> None:
    error = refused(life_of(scenario))
    assert (type(error), error.reach) == (ConnectFailed, reach)


def test_a_host_that_there_is_not_is_not_reached() -> None:
    assert refused(life_of(), name="lab-9").reach is Reach.UNREACHABLE


# -- faults of the wire ------------------------------------------------------------------------


def test_faults_of_the_wire_come_and_go() -> None:
    life = life_of()
    transport, probe = MemoryTransport(life), (probe_command(), f"{MARK}\n".encode())
    whole = run(ask(transport, *probe)).stdout
    life.fault(HOST, "drop")
    with pytest.raises(OutcomeUnknown) as dropped:
        run(ask(transport, *probe))
    assert dropped.value.reach is Reach.UNREACHABLE
    assert whole.startswith(dropped.value.output)
    life.fault(HOST, "drop", on=False)
    life.fault(HOST, "hang")
    with pytest.raises(OutcomeUnknown) as hung:
        run(ask(transport, *probe))
    assert (hung.value.reach, hung.value.output) == (Reach.TIMEOUT, b"")
    life.fault(HOST, "hang", on=False)
    life.fault(HOST, "slow")
    assert run(ask(transport, *probe)).latency_s >= 3
    life.fault(HOST, "slow", on=False)
    life.fault(HOST, "truncated")
    cut = run(ask(transport, *probe))
    assert (cut.exit_status, read_frame(cut.stdout, MARK).complete) == (0, False)
    assert run(ask(transport, "hostname")).stdout == b"lab"
    life.fault(HOST, "truncated", on=False)
    assert read_frame(run(ask(transport, *probe)).stdout, MARK).complete


def test_a_lie_is_told_by_the_probe_and_by_the_client_alike_and_changes_nothing() -> None:
    life = life_of("staged")
    truth = life.host(HOST).state
    life.fault(HOST, "lie")
    frame = read_frame(asked(life, probe_command(), f"{MARK}\n".encode()).stdout, MARK)
    assert b"UPDATE_STATUS_IDLE" in frame.sections["status"].content
    assert b"CURRENT_OP=UPDATE_STATUS_IDLE\n" in asked(life, "update_engine_client -status").stdout
    assert life.host(HOST).state == truth


# -- many --------------------------------------------------------------------------------------


def test_two_thousand_reboots_take_seconds() -> None:
    hosts, rounds = 100, 20
    planned = plan(hosts, {"current": hosts})
    life = begin(planned, [item.build(START) for item in planned], Clock(START, speed=0))
    transport, boots = (
        MemoryTransport(life),
        {name: {host.state.boot_id} for name, host in life.hosts.items()},
    )
    began = time.monotonic()

    async def all_once() -> None:
        done = await asyncio.gather(
            *(ask(transport, "sudo -n systemctl reboot", name=name) for name in boots)
        )
        assert {item.exit_status for item in done} == {0}
        await life.sleep(120)
        await asyncio.gather(
            *(ask(transport, probe_command(), f"{MARK}\n".encode(), name=name) for name in boots)
        )
        for name, seen in boots.items():
            seen.add(life.host(name).state.boot_id)

    async def all_rounds() -> None:
        for _ in range(rounds):
            await all_once()

    run(all_rounds())
    assert time.monotonic() - began < 10
    assert {len(seen) for seen in boots.values()} == {rounds + 1}
    assert {life.power(name) for name in boots} == {Power.ON}


def test_a_living_fleet_is_the_same_each_time() -> None:
    def story() -> list[tuple[object, ...]]:
        planned = plan(12, {}, is_alive=True)
        life = begin(
            planned, [item.build(START) for item in planned], Clock(START, speed=0), Manner(alive=True)
        )
        life.advance(7200)
        return [(e.at, e.host, e.what, e.detail) for host in life.hosts.values() for e in host.log]

    first = story()
    assert first == story()
    assert {What.STAGED, What.CONFIRMED, What.FELL_BACK, What.ATTEMPT_FAILED, What.UNIT_FAILED} <= {
        item[2] for item in first
    }
