"""Looks at simulated hosts around orders; orders over the transport, and what faults do to them."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from actions.orders import Guard
from actions.remote.aftermath import AFTERMATH_COMMAND, aftermath_stdin, read_aftermath
from actions.remote.channel import CHANNEL, channel_values
from actions.remote.extra import Extra, Inhibitor, parse_extra
from actions.remote.order import Order, Word, read_reply
from actions.remote.preflight import PREFLIGHT_COMMAND, preflight_stdin
from actions.remote.reboot import ACTIVATE, REBOOT, reboot_values
from actions.remote.slot_proof import PROOF_COMMAND, Proof, ProofResult, proof_stdin, read_proof
from actions.remote.stage import STAGE, stage_values
from collectors.errors import ConnectFailed, OutcomeUnknown
from collectors.facts import SlotName
from collectors.probe import probe_command, read_frame
from collectors.transport import Completed, Target
from console.demo import commands
from console.demo.fleet import Manner, begin
from console.demo.fleet_life import Clock, FleetLife
from console.demo.healthy import HostSpec
from console.demo.live.kinds import Faults, What
from console.demo.memory import MemoryTransport
from console.demo.scenarios import SELECTABLE
from tests.unit.live_lab import NEW, NEWEST, OLD
from tests.unit.test_live_orders import MARK, Ordered, with_faults

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)
HOST = "lab-1"
UNREACHED = ("silent", "auth_refused", "key_unknown", "key_changed")
UNREAD = ("truncated", "unprivileged")
_FLAGS = rb"priority=[0-9]+ tries=[0-9]+ successful=[01]"
T = TypeVar("T")


class Fleet:
    """One host of a scenario behind the transport in memory, on a clock that stands."""

    def __init__(self, scenario: str = "behind", *faults: str) -> None:
        found = SELECTABLE[scenario]
        state = found.build(HostSpec(HOST, START, found.flavour))
        self.life: FleetLife = begin([], [state], Clock(START, speed=0), Manner())
        for name in faults:
            self.life.fault(HOST, name)
        self.transport = MemoryTransport(self.life)

    def ask(self, command: str, stdin: str, timeout_s: float = 60.0) -> Completed:
        target = Target(HOST, "192.0.2.1")
        asked = self.transport.run(target, command, stdin.encode(), timeout_s=timeout_s, limit_bytes=1 << 22)
        return run(asked)

    def extra(self, order: str | None = None) -> Extra:
        done = self.ask(PREFLIGHT_COMMAND, preflight_stdin(MARK, order))
        return parse_extra(done.stdout, MARK, salt=b"x")

    def sections(self) -> dict[str, bytes]:
        done = self.ask(probe_command(), f"{MARK}\n")
        return {name: found.content for name, found in read_frame(done.stdout, MARK).sections.items()}

    def guard(self) -> Guard:
        """From the probe's own bytes."""
        seen, conf = self.sections(), self.extra().conf_digest
        a, b = (
            match[0].decode() if (match := re.search(_FLAGS, seen[name])) else "-"
            for name in ("gpt_A", "gpt_B")
        )
        operation = re.search(rb"UPDATE_STATUS_[A-Z_]+", seen["status"])
        boot_id = re.search(rb"^boot_id\t(.*)$", seen["ids"], re.MULTILINE)
        assert boot_id is not None
        return Guard(boot_id[1].decode(), a, b, operation[0].decode() if operation else "-", conf or "absent")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)


# -- preflight -------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", [name for name in SELECTABLE if name not in (*UNREACHED, *UNREAD)])
def test_every_host_that_lets_us_in_is_read_completely(scenario: str) -> None:
    fleet = Fleet(scenario)
    conf = fleet.sections()["conf"]
    extra = fleet.extra("o-aaaaaa")
    assert extra.complete
    assert extra.unread == ()
    state = fleet.life.host(HOST).state
    assert (extra.conf or b"") == conf
    digest = "absent" if extra.conf is None else hashlib.sha256(conf).hexdigest()
    assert extra.conf_digest == digest
    assert (extra.conf is None) == (state.conf is None)
    assert extra.reboot_required is state.reboot_required
    assert extra.reset_armed is state.reset_armed
    assert extra.inhibitors == ()
    assert extra.updater_running is False
    assert extra.attempt is not None
    assert extra.boot is not None
    assert extra.boot.mounted is (state.running is not None)
    assert extra.boot.first_boot_armed is (state.first_boot_armed and state.running is not None)
    assert extra.var_tmp is not None
    assert extra.var_tmp.size_bytes > extra.var_tmp.available_bytes > 0
    assert extra.unit is not None
    assert extra.unit.load == "not-found"


def test_the_attempt_of_the_boot_is_looked_through_as_a_whole() -> None:
    extra = Fleet("failed").extra()
    assert extra.attempt is not None
    assert extra.attempt.reaches_boot
    assert extra.attempt.error_code is not None
    assert extra.attempt_before is None


def test_the_boot_before_is_read_too() -> None:
    lab = Ordered()
    lab.update()
    lab.reboot()
    extra = lab.extra()
    assert extra.attempt_before is not None
    assert extra.attempt_before.offered_version == NEW
    assert not extra.attempt_before.reaches_boot
    assert extra.attempt is not None
    assert extra.attempt.reaches_boot
    assert extra.attempt.offered_version is None
    lab.reboot()
    extra = lab.extra()
    assert extra.attempt_before is not None
    assert extra.attempt_before.reaches_boot


def test_boot_is_woken_for_a_while_and_holds_a_kernel_for_each_written_slot() -> None:
    lab = Ordered()
    boot = lab.extra().boot
    assert boot is not None
    assert set(boot.kernels) == {"/boot/flatcar/vmlinuz-a"}
    assert lab.host.state.boot_mounted
    lab.wait(121)
    assert not lab.host.state.boot_mounted
    lab.update()
    boot = lab.extra().boot
    assert boot is not None
    assert len(set(boot.kernels.values())) == 2
    assert sum(boot.kernels.values()) < boot.space.size_bytes - boot.space.available_bytes + 1
    lab.host.faults = Faults(boot_full=True)
    boot = lab.extra().boot
    assert boot is not None
    assert boot.space.available_bytes == 0


def test_an_inhibitor_is_shown_as_logind_tells_it() -> None:
    extra = with_faults(inhibitor='back"up').extra()
    assert extra.inhibitors == (Inhibitor(("shutdown",), 'back"up', "busy", "block"),)
    assert extra.inhibitors[0].forbids_reboot


def test_what_cannot_be_read_is_not_made_up() -> None:
    assert not Fleet("truncated").extra().complete
    fleet = Fleet("unprivileged")
    done = fleet.ask(PREFLIGHT_COMMAND, preflight_stdin(MARK))
    assert (done.stdout, done.exit_status) == (b"", 1)
    assert Ordered().exec(PREFLIGHT_COMMAND, f"{MARK}\n".encode()).exit_status == 65
    assert Ordered().exec(PREFLIGHT_COMMAND, f"{MARK}\no-AA\n".encode()).exit_status == 65


# -- proof and aftermath ---------------------------------------------------------------------------


def proof(lab: Ordered, slot: str) -> Proof:
    done = lab.exec(PROOF_COMMAND, proof_stdin(MARK, slot).encode())
    return read_proof(done.stdout, MARK, done.exit_status)


def test_what_a_slot_holds_is_proved_not_believed() -> None:
    lab = Ordered()
    assert proof(lab, "A") == Proof(ProofResult.UNPROVED, reason="slot-runs")
    assert proof(lab, "B") == Proof(ProofResult.UNPROVED, reason="no-root-hash")
    lab.update()
    before = lab.host.now
    assert proof(lab, "B") == Proof(ProofResult.INTACT, version=NEW)
    assert (lab.host.now - before).total_seconds() == lab.host.body.machine.timing.verify
    lab.host.damage(SlotName.B)
    assert proof(lab, "B") == Proof(ProofResult.DAMAGED, reason="1146880")
    assert lab.exec(PROOF_COMMAND, f"{MARK}\nC\n".encode()).exit_status == 65
    lab.host.state = replace(lab.host.state, running=None)
    assert proof(lab, "B") == Proof(ProofResult.UNPROVED, reason="no-such-slot")


def test_a_copy_of_what_runs_is_told_from_an_update() -> None:
    lab = Ordered()
    slot = replace(lab.host.state.b, version=OLD, intact=False)
    lab.host.state = replace(lab.host.state, b=slot)
    assert proof(lab, "B") == Proof(ProofResult.SAME_AS_RUNNING)


def test_the_last_lines_of_the_boot_before_are_told_oldest_first() -> None:
    lab = Ordered()
    done = lab.exec(AFTERMATH_COMMAND, aftermath_stdin(MARK).encode())
    assert read_aftermath(done.stdout, MARK, salt=b"x").journal == ()
    lab.update()
    lab.do(CHANNEL, channel_values("beta"))
    lab.reboot()
    done = lab.exec(AFTERMATH_COMMAND, aftermath_stdin(MARK).encode())
    found = read_aftermath(done.stdout, MARK, salt=b"x")
    assert any("Update successfully applied" in line for line in found.updater)
    assert not any("update.conf is now" in line for line in found.updater)
    assert "update.conf is now" in found.journal[-1]
    assert list(found.journal) == sorted(found.journal, key=lambda line: line[:19])
    assert lab.exec(AFTERMATH_COMMAND, b"x\n").exit_status == 65


# -- over the transport, with faults ---------------------------------------------------------------


def stdin_of(fleet: Fleet, order: str = "o-aaaaaa") -> str:
    return CHANNEL.stdin(Order(order, "jo", "ops", 1800), fleet.guard(), channel_values("beta"))


def test_a_command_line_of_ours_waits_for_its_input() -> None:
    for command in (CHANNEL.command, PREFLIGHT_COMMAND, PROOF_COMMAND, AFTERMATH_COMMAND):
        assert commands.reads_stdin(command)
        steps = commands.read(command)
        assert not isinstance(steps, commands.Unread)
        assert [step.argv[0] for step in steps] == ["exec"]


def test_an_order_over_the_transport_is_the_same() -> None:
    fleet = Fleet()
    done = fleet.ask(CHANNEL.command, stdin_of(fleet))
    assert (read_reply(done.stdout, "o-aaaaaa").word, done.exit_status) == (Word.STARTED, 0)
    fleet.life.advance(1)
    unit = fleet.extra("o-aaaaaa").unit
    assert unit is not None
    assert unit.sub == "exited"
    assert b"GROUP=beta\n" in fleet.sections()["conf"]
    assert fleet.sections()["order"] == b""


@pytest.mark.parametrize("name", ["drop", "truncated", "slow"])
def test_on_a_bad_wire_the_order_is_carried_out_all_the_same(name: str) -> None:
    fleet = Fleet()
    stdin = stdin_of(fleet)
    fleet.life.fault(HOST, name)
    if name == "drop":
        with pytest.raises(OutcomeUnknown):
            fleet.ask(CHANNEL.command, stdin)
    else:
        word = read_reply(fleet.ask(CHANNEL.command, stdin).stdout, "o-aaaaaa").word
        assert word is (Word.STARTED if name == "slow" else None)
    fleet.life.fault(HOST, name, on=False)
    fleet.life.advance(1)
    assert b"GROUP=beta\n" in fleet.sections()["conf"]
    again = fleet.ask(CHANNEL.command, stdin)
    assert read_reply(again.stdout, "o-aaaaaa").word is Word.RUNNING


def test_a_command_that_hangs_has_done_nothing() -> None:
    fleet = Fleet()
    stdin = stdin_of(fleet)
    fleet.life.fault(HOST, "hang")
    with pytest.raises(OutcomeUnknown):
        fleet.ask(CHANNEL.command, stdin)
    fleet.life.fault(HOST, "hang", on=False)
    assert fleet.extra().order is None


def test_a_status_that_lied_is_found_out_on_the_host() -> None:
    fleet = Fleet("behind", "lie")
    done = fleet.ask(CHANNEL.command, stdin_of(fleet))
    reply = read_reply(done.stdout, "o-aaaaaa")
    assert (reply.word, reply.detail) == (Word.MOVED, "operation UPDATE_STATUS_IDLE")


def test_an_order_is_bound_to_the_boot_that_was_seen() -> None:
    lab = Ordered()
    seen = lab.guard()
    lab.reboot()
    reply, _ = lab.send(CHANNEL, channel_values("beta"), guard=seen)
    assert (reply.word, reply.detail) == (Word.MOVED, f"boot_id {lab.host.state.boot_id}")


@pytest.mark.parametrize(
    ("fault", "code"), [(Faults(bad_payload=True), "10"), (Faults(boot_full=True), "4")], ids=["hash", "boot"]
)
def test_what_the_updater_cannot_install_ends_the_order(fault: Faults, code: str) -> None:
    for version in (NEW, None):
        lab = Ordered()
        conf = lab.host.state.conf
        lab.host.faults = fault
        status = lab.do(STAGE, stage_values(version))
        assert status == (81 if version else 0)
        assert lab.told(What.ATTEMPT_FAILED) == [code]
        assert lab.host.state.conf == conf
        assert lab.order_file() is None


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (Faults(boot_fails=frozenset({NEW})), What.FELL_BACK),
        (Faults(never_returns=frozenset({NEW})), What.DIED),
        (Faults(breaks_after_s=60.0), What.UNIT_FAILED),
        (Faults(loses_extension=frozenset({"docker-flatcar"})), What.EXTENSION_LOST),
    ],
    ids=["fallback", "never", "break", "extension"],
)
def test_what_goes_wrong_at_the_boot_goes_wrong_after_an_order_too(fault: Faults, what: What) -> None:
    lab = Ordered()
    lab.do(STAGE, stage_values(NEW))
    lab.host.faults = fault
    assert lab.send(ACTIVATE, reboot_values("B"), "o-bbbbbb", follows="o-aaaaaa")[0].word is Word.STARTED
    lab.wait(900)
    assert lab.told(what)


def test_new_host_keys_after_an_ordered_reboot_keep_the_console_out() -> None:
    fleet = Fleet("current", "key-change")
    slot = fleet.life.host(HOST).state.running
    assert slot is not None
    order = Order("o-aaaaaa", "jo", "ops", 1800)
    done = fleet.ask(REBOOT.command, REBOOT.stdin(order, fleet.guard(), reboot_values(slot)))
    assert read_reply(done.stdout, "o-aaaaaa").word is Word.STARTED
    fleet.life.advance(600)
    with pytest.raises(ConnectFailed, match="host key changed"):
        fleet.extra()
    fleet.transport.trust(HOST)
    assert fleet.extra("o-aaaaaa").log == ()


def test_a_masked_daemon_answers_as_one_that_is_away() -> None:
    fleet = Fleet("behind", "masked")
    guard = fleet.guard()
    assert guard.operation == "-"
    done = fleet.ask(CHANNEL.command, stdin_of(fleet))
    assert read_reply(done.stdout, "o-aaaaaa").word is Word.STARTED


def test_staging_over_the_transport_goes_on_without_the_caller() -> None:
    fleet = Fleet()
    guard, order = fleet.guard(), Order("o-aaaaaa", "jo", "ops", 1800)
    done = fleet.ask(STAGE.command, STAGE.stdin(order, guard, stage_values(NEWEST)))
    assert read_reply(done.stdout, "o-aaaaaa").word is Word.STARTED
    fleet.life.advance(600)
    assert fleet.life.host(HOST).state.engine.operation == "UPDATE_STATUS_UPDATED_NEED_REBOOT"
    assert fleet.extra("o-aaaaaa").log[-1] == "update.conf as it was"
