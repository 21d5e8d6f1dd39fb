"""Known traps of Flatcar as whole orders: `trap_NN` of the host, `trap_ue_NN` of its updater."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from actions import order_tables
from actions.order_rows import HostRow
from actions.orders import Asked, Phase, Verb
from actions.remote.aftermath import AFTERMATH_COMMAND
from actions.remote.preflight import PREFLIGHT_COMMAND
from actions.remote.slot_proof import PROOF_COMMAND
from actions.remote.sudoers import TEXTS
from collectors.facts import Operation
from collectors.probe import probe_command
from console.demo.live.engine import UpdateEngine
from console.demo.live.kinds import Scope, What
from tests.unit.fault_orders import HOST, Carried, When, carry_out, check_end, laboratory, place
from tests.unit.order_lab import NEW, OrderLab

STAGE, OFFER = Asked(Verb.STAGE, version=NEW), Asked(Verb.STAGE)
CANCEL, ROLL_BACK = Asked(Verb.CANCEL), Asked(Verb.ROLL_BACK)
BOOTS = (Asked(Verb.ACTIVATE), Asked(Verb.REBOOT), ROLL_BACK)
EVERY = (
    *(STAGE, OFFER, CANCEL, *BOOTS),
    *(Asked(Verb.CHANNEL, channel="beta"), Asked(Verb.UPDATES, mode="off"), Asked(Verb.REPAIR)),
)
LOCKSMITHD = "locksmithd.service"
COMMANDS = {
    "probe": probe_command(()),
    "preflight": PREFLIGHT_COMMAND,
    "slot proof": PROOF_COMMAND,
    "aftermath": AFTERMATH_COMMAND,
    **{str(verb): text.command for verb, text in TEXTS.items()},
}


@pytest.fixture
def behind() -> Iterator[OrderLab]:
    with laboratory("behind") as lab:
        yield lab


def during(lab: OrderLab, asked: Asked, phase: Phase, act: Callable[[], object]) -> Carried:
    """Carry an order out; `act` is done at once when the host comes into this phase."""
    was, log = lab.host().state, list(lab.host().log)
    lab.life._told = log.extend
    order = place(lab, asked)

    def told(row: HostRow) -> None:
        if row.phase is phase and row.order_id == order.id:
            act()

    lab.run(order.id, told=told)
    after = tuple((item, lab.rows(item.id)[HOST]) for item in lab.orders() if item.after == order.id)
    found = Carried(order, lab.rows(order.id)[HOST], after, was, lab.host().state, tuple(log))
    check_end(lab, found)
    return found


def root(lab: OrderLab, *argv: str) -> None:
    lab.host().run(argv, uid=0)


# -- what is never run -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_trap_02_05_10_what_hangs_writes_or_names_the_wrong_disk_is_in_no_command(name: str) -> None:
    text = COMMANDS[name]
    assert "update_engine_client" not in text  # trap_02, trap_ue_03: it hangs 30 s without the service
    assert not re.search(r"cgpt (?:next|find)", text)  # trap_05, trap_ue_08 writes; trap_10 names no disk
    for call in re.findall(r"\bbusctl [^;|\n]*", text):
        assert "--timeout=" in call


def test_trap_02_ue_03_a_host_without_its_updater_is_refused_at_once(behind: OrderLab) -> None:
    root(behind, "systemctl", "stop", "update-engine.service")
    began_s = behind.life.seconds()
    assert carry_out(behind, STAGE).ended == ("refused", "engine-down")
    assert behind.life.seconds() - began_s < 10.0


@pytest.mark.parametrize("scenario", ["status_null", "unprivileged"])
def test_trap_03_ue_02_a_caller_that_is_not_allowed_gets_nothing_done(scenario: str) -> None:
    with laboratory(scenario) as lab:
        for asked in (STAGE, OFFER, CANCEL, *BOOTS):
            assert carry_out(lab, asked).row.phase is Phase.REFUSED


@pytest.mark.parametrize("asked", EVERY, ids=lambda asked: asked.verb)
def test_trap_05_ue_08_looking_takes_no_try_from_a_staged_slot(asked: Asked) -> None:
    with laboratory("staged") as lab:
        before = lab.host().state
        lab.plan(asked)
        assert (lab.host().state.a, lab.host().state.b) == (before.a, before.b)
        assert lab.host().state.conf == before.conf


# -- staging ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"http_status": 404},
        {"http_status": 503},
        {"is_unreachable": True},
        {"body": "not-xml"},
        {"body": "empty"},
    ],
    ids=str,
)
def test_trap_ue_01_a_check_that_failed_is_not_one_that_offered_nothing(
    behind: OrderLab, change: dict[str, object]
) -> None:
    for key, value in change.items():
        setattr(behind.host().server, key, value)
    found = carry_out(behind, OFFER)
    assert found.ended == ("failed", "failed")
    assert re.match(r"failed [0-9]+ \w+: ", found.row.text or "")


@pytest.mark.parametrize("payload", ["missing", "bad-hash", "wrong-size", "unsigned", "bad-signature"])
def test_trap_01_a_payload_that_failed_ends_with_exit_0_and_is_a_failure(
    behind: OrderLab, payload: str
) -> None:
    behind.host().server.payload = payload
    found = carry_out(behind, OFFER)
    assert found.ended == ("failed", "failed")
    assert found.told(What.STAGED) == []
    assert len(found.told(What.ATTEMPT_FAILED)) == 1


def test_trap_ue_04_nothing_offered_is_told_from_a_failure(behind: OrderLab) -> None:
    behind.host().server.offers.clear()
    found = carry_out(behind, OFFER)
    assert found.ended == ("done", "nothing-offered")
    assert found.told(What.CHECKED)
    assert found.told(What.ATTEMPT_BEGAN) == []


def test_trap_ue_04_05_the_moment_after_attempt_update_is_no_answer(behind: OrderLab) -> None:
    """IDLE with the last check of before: a look in that moment ends nothing."""
    host, idle = behind.host(), []

    def look() -> None:
        order = behind.orders()[-1]
        idle.append((host.state.engine.operation, behind.rows(order.id)[HOST].phase))

    found = during(behind, OFFER, Phase.SENT, look)
    assert idle[0][1] is Phase.SENT
    assert found.ended == ("done", "staged")


def test_trap_another_version_than_asked_is_cancelled_at_once(
    behind: OrderLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve = UpdateEngine.serve_locally

    def other(engine: UpdateEngine, version: str | None, scope: Scope) -> None:
        serve(engine, "4593.2.4" if version else None, scope)

    monkeypatch.setattr(UpdateEngine, "serve_locally", other)
    found = carry_out(behind, STAGE)
    assert found.ended == ("failed", "wrong-version")
    assert [(item.asked.verb, row.phase, row.code) for item, row in found.after] == [
        (Verb.CANCEL, Phase.DONE, "cancelled")
    ]
    state = behind.host().state
    assert state.running is not None
    assert state.engine.operation is Operation.IDLE
    assert state.slot(state.running).priority > state.slot(state.running.other).priority


def test_trap_06_ue_00_an_attempt_overwrites_the_way_back_and_that_is_remembered() -> None:
    with laboratory("rollback_available") as lab:
        assert lab.plan(ROLL_BACK)[1][0].phase is Phase.PLANNED
        assert carry_out(lab, STAGE, "bad-payload").ended == ("failed", "failed")
        before = lab.host().state
        assert before.running is not None
        assert before.slot(before.running.other).successful, "its flags still say that it is good"
        refused = carry_out(lab, ROLL_BACK)
        assert refused.ended == ("refused", "slot-overwritten")
        root(lab, "systemctl", "reboot")
        lab.life.advance(600.0)
        again = carry_out(lab, ROLL_BACK)
        assert again.ended == ("refused", "slot-overwritten")
        assert "the other slot" in (again.row.text or "")


@pytest.mark.parametrize("asked", [STAGE, OFFER], ids=["exact", "offer"])
def test_trap_07_ue_09_no_check_is_sent_to_a_boot_on_trial(asked: Asked) -> None:
    with laboratory("unconfirmed") as lab:
        found = carry_out(lab, asked)
        assert found.ended == ("refused", "unconfirmed")
        assert found.told(What.CHECKED) == found.told(What.CONFIRMED) == []


@pytest.mark.parametrize(
    "conf", ["REBOOT_STRATEGY=off\n", "# ours\r\nSERVER='https://u.example/v1/'\r\nGROUP=stable"]
)
@pytest.mark.parametrize("after_s", [2.0, 50.0])
def test_trap_09_update_conf_is_as_it_was_also_when_the_unit_was_killed(
    behind: OrderLab, conf: str, after_s: float
) -> None:
    host = behind.host()
    host.state = replace(host.state, conf=conf)

    def kill() -> None:
        order = behind.orders()[-1]
        behind.life.advance(after_s)
        root(behind, "systemctl", "stop", f"fleetctl-{order.id}.service")

    found = during(behind, STAGE, Phase.SENT, kill)
    is_staged = found.told(What.STAGED) == [NEW]  # update_engine goes on by itself once it was asked
    assert found.row.phase is (Phase.DONE if is_staged else Phase.FAILED)
    assert behind.host().state.conf == conf


# -- locksmithd ------------------------------------------------------------------------------------------


@pytest.fixture
def with_locksmithd(behind: OrderLab) -> OrderLab:
    """It runs, and would reboot a staged host within minutes."""
    host = behind.host()
    host.state = replace(host.state, conf="GROUP=stable\n")
    root(behind, "systemctl", "unmask", LOCKSMITHD)
    root(behind, "systemctl", "start", LOCKSMITHD)
    assert host.state.units[LOCKSMITHD].active == "active"
    return behind


def test_trap_11_locksmithd_is_held_while_staged_and_given_back_by_cancel(with_locksmithd: OrderLab) -> None:
    lab = with_locksmithd
    assert carry_out(lab, STAGE).ended == ("done", "staged")
    unit = lab.host().state.units[LOCKSMITHD]
    assert (unit.active, unit.file_state) == ("inactive", "masked-runtime")
    lab.life.advance(3600.0)
    cancelled = carry_out(lab, CANCEL)
    assert cancelled.ended == ("done", "cancelled")
    assert lab.host().state.units[LOCKSMITHD].active == "active"
    lab.life.advance(3600.0)
    assert cancelled.told(What.LOCKSMITHD_REBOOTED) == cancelled.told(What.REBOOT_ASKED) == []


def test_trap_11_a_cancel_that_fails_keeps_locksmithd_held(
    with_locksmithd: OrderLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = with_locksmithd
    assert carry_out(lab, STAGE).ended == ("done", "staged")
    stop = partial(root, lab, "systemctl", "stop", "update-engine.service")
    found = during(lab, CANCEL, Phase.INTENT, stop)
    assert found.row.phase in (Phase.NOT_SENT, Phase.FAILED)
    assert lab.host().state.units[LOCKSMITHD].active == "inactive"
    assert found.told(What.LOCKSMITHD_REBOOTED) == []


def test_trap_11_a_failed_stage_gives_locksmithd_back(with_locksmithd: OrderLab) -> None:
    with_locksmithd.host().server.payload = "bad-hash"
    assert carry_out(with_locksmithd, OFFER).ended == ("failed", "failed")
    assert with_locksmithd.host().state.units[LOCKSMITHD].active == "active"


# -- reboots ---------------------------------------------------------------------------------------------


def test_trap_ue_10_updates_are_off_before_the_reboot_of_a_roll_back() -> None:
    with laboratory("rollback_available") as lab:
        found = carry_out(lab, ROLL_BACK, "never-returns")
        assert found.ended == ("unknown", "missing")
        assert "SERVER=disabled\n" in (lab.host().state.conf or ""), "it never came back, and had it before"


@pytest.mark.parametrize("scenario", ["reset_armed", "first_boot_armed"])
@pytest.mark.parametrize("asked", BOOTS, ids=lambda asked: asked.verb)
def test_trap_an_armed_reset_is_never_rebooted_into(scenario: str, asked: Asked) -> None:
    with laboratory(scenario) as lab:
        found = carry_out(lab, asked)
        assert found.row.phase is Phase.REFUSED
        assert "wipes the host" in (found.row.text or "") or "Ignition runs again" in (found.row.text or "")


@pytest.mark.parametrize(
    ("path", "code"),
    [("/selective-os-reset", "reset-armed"), ("/boot/flatcar/first_boot", "first-boot-armed")],
)
def test_trap_a_reset_that_is_armed_after_the_look_stops_the_reboot(
    behind: OrderLab, path: str, code: str
) -> None:
    found = during(behind, BOOTS[1], Phase.INTENT, lambda: behind.host().files.write(path, b""))
    assert found.ended == ("not sent", code)
    assert found.told(What.REBOOT_ASKED) == found.told(What.WIPED) == []


@pytest.mark.parametrize("asked", EVERY, ids=lambda asked: asked.verb)
def test_trap_a_pxe_host_gets_nothing(asked: Asked) -> None:
    with laboratory("pxe") as lab:
        assert carry_out(lab, asked).row.phase is Phase.REFUSED


def test_trap_another_machine_that_answers_under_the_name_is_no_success(behind: OrderLab) -> None:
    def replaced() -> None:
        host = behind.host()
        hardware = replace(host.state.hardware, machine_id="f" * 32)
        host.state = replace(host.state, hardware=hardware)

    found = during(behind, BOOTS[1], Phase.SENT, replaced)
    assert found.ended == ("unknown", "replaced")


def test_trap_08_a_boot_that_falls_back_is_reverted_quarantined_and_its_updates_go_off() -> None:
    with laboratory("staged") as lab:
        found = carry_out(lab, BOOTS[0], "fallback")
        assert found.ended == ("failed", "reverted")
        assert len(found.told(What.FELL_BACK)) == 1
        assert '"boot_before":["' in (found.row.evidence or "")
        assert [(item.asked.mode, row.phase) for item, row in found.after] == [("off", Phase.DONE)]
        assert "SERVER=disabled\n" in (lab.host().state.conf or "")
        conn = lab.open()
        assert [(item.host, item.version) for item in order_tables.quarantined(conn)] == [(HOST, NEW)]
        conn.close()
        assert carry_out(lab, STAGE).ended == ("refused", "quarantined")


def test_trap_12_extensions_that_cannot_be_read_stop_every_reboot() -> None:
    with laboratory("extension_broken") as lab:
        assert carry_out(lab, BOOTS[1]).row.phase is Phase.REFUSED


# -- update.conf -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conf", "after"),
    [
        ("GROUP = stable\nGROUP=stable\n", "GROUP = stable\nGROUP=beta\n"),
        (
            "# ours\r\nGROUP=stable\r\nREBOOT_STRATEGY=off\r\n",
            "# ours\r\nGROUP=beta\nREBOOT_STRATEGY=off\r\n",
        ),
        (" GROUP=alpha\nGROUP=stable", " GROUP=alpha\nGROUP=beta"),
        ("GROUP=alpha\nSERVER=\nGROUP=stable\n", "SERVER=\nGROUP=beta\n"),
    ],
)
def test_trap_a_group_is_set_among_odd_lines_and_these_stay(behind: OrderLab, conf: str, after: str) -> None:
    host = behind.host()
    host.state = replace(host.state, conf=conf)
    found = carry_out(behind, EVERY[6])
    assert found.ended == ("done", "channel-set")
    assert behind.host().state.conf == after


def test_trap_04_ue_07_cancel_makes_the_running_slot_boot_next_and_takes_the_marks_away() -> None:
    with laboratory("staged_reset") as lab:
        was = lab.host().state
        assert was.running is not None
        assert carry_out(lab, CANCEL).ended == ("done", "cancelled")
        state = lab.host().state
        assert state.slot(was.running).priority > state.slot(was.running.other).priority
        assert carry_out(lab, BOOTS[1]).ended == ("done", "rebooted")
        assert lab.host().state.running is was.running


def test_trap_ue_06_what_a_restarted_updater_forgot_is_still_activated_by_its_version(
    behind: OrderLab,
) -> None:
    assert carry_out(behind, STAGE).ended == ("done", "staged")
    root(behind, "systemctl", "restart", "update-engine.service")
    behind.life.advance(60.0)
    assert behind.host().state.engine.new_version != NEW
    assert carry_out(behind, BOOTS[0], None, When.BEFORE).ended == ("done", "activated")
    assert behind.host().state.version == NEW
