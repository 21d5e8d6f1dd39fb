"""Outcome codes of child orders, and what each makes of its host in a rollout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from actions.orders import Verb
from actions.rollout_codes import BUSY, MOST_TRIES, SKIPS, WAIT, Turn, verdict
from actions.rollout_model import FailKind, HostPhase
from actions.rollout_plan import SkipReason
from actions.rollout_talk import OrderStage
from tests.unit.rollout_lab import NO_PLAN, Lab, plan_of

LOOSE = replace(NO_PLAN, budget=10, tolerance=5)
HOST = "c0-0"


def staging() -> Lab:
    return Lab(plan_of(1, base=LOOSE)).start()


def turning() -> Lab:
    lab = staging()
    lab.stage(HOST)
    return lab


@pytest.mark.parametrize(
    ("code", "failed"),
    [
        ("reverted", FailKind.REVERTED),
        ("wrong-version", FailKind.WRONG_VERSION),
        ("wrong-slot", FailKind.WRONG_VERSION),
        ("extension-missing", FailKind.EXTENSION_MISSING),
        ("updates-not-set", FailKind.WRONG_GROUP),
        ("did-not-reboot", FailKind.DRAIN),
        ("unconfirmed", FailKind.UNHEALTHY),
        ("unhealthy", FailKind.UNHEALTHY),
        ("given-up", FailKind.UNHEALTHY),
        ("a code of tomorrow", FailKind.UNHEALTHY),
    ],
)
def test_failures_of_a_turn(code: str, failed: FailKind) -> None:
    lab = turning()
    lab.send(HOST)
    lab.tell(HOST, OrderStage.FAILED, code)
    assert lab.host(HOST).failed is failed
    assert lab.host(HOST).holds_budget
    assert lab.host(HOST).is_armed is (code == "did-not-reboot")


@pytest.mark.parametrize(
    ("code", "failed", "armed"),
    [
        ("wrong-version", FailKind.WRONG_VERSION, False),
        ("conf-changed", FailKind.WRONG_GROUP, True),
        ("not-next", FailKind.STAGE, True),
        ("status-reset", FailKind.STAGE, True),
        ("deferred", FailKind.STAGE, False),
        ("rebooted-meanwhile", FailKind.STAGE, False),
        ("nothing-offered", FailKind.STAGE, False),
    ],
)
def test_failures_of_staging(code: str, failed: FailKind, armed: bool) -> None:
    found = verdict(Verb.STAGE, OrderStage.FAILED, code, touched=False)
    assert (found.turn, found.failed, found.armed) == (Turn.FAIL, failed, armed)
    lab = staging()
    lab.tell(HOST, OrderStage.FAILED, code)
    assert lab.host(HOST).failed is failed
    assert not lab.host(HOST).holds_budget


def test_an_offer_of_nothing_is_no_staging() -> None:
    lab = staging()
    lab.tell(HOST, OrderStage.DONE, "nothing-offered")
    assert lab.host(HOST).failed is FailKind.STAGE


def test_a_host_that_rebooted_into_it_while_staged_moved_by_itself() -> None:
    lab = staging()
    lab.tell(HOST, OrderStage.FAILED, "activated-itself")
    assert lab.phase(HOST) is HostPhase.EXCEPTION


@pytest.mark.parametrize(("code", "reason"), SKIPS.items())
@pytest.mark.parametrize("begun", [staging, turning])
def test_what_skips_a_host(code: str, reason: SkipReason, begun: Callable[[], Lab]) -> None:
    lab = begun()
    lab.tell(HOST, OrderStage.REFUSED, code)
    assert lab.host(HOST).skipped is reason


@pytest.mark.parametrize("code", sorted(WAIT))
def test_what_is_waited_for_without_end(code: str) -> None:
    lab = turning()
    for _ in range(MOST_TRIES + 5):
        lab.tell(HOST, OrderStage.REFUSED, code, "not now")
        assert lab.phase(HOST) is HostPhase.STAGED
        assert not lab.host(HOST).holds_budget
        lab.tick(59)
        assert not lab.open
        lab.tick(1)
    assert HOST in lab.open


@pytest.mark.parametrize("code", sorted((*BUSY, "unreachable")))
def test_what_is_waited_for_a_while(code: str) -> None:
    lab = turning()
    for _ in range(MOST_TRIES):
        lab.tell(HOST, OrderStage.NOT_SENT, code, "not now")
        assert lab.phase(HOST) is HostPhase.STAGED
        lab.tick(600)
    lab.tell(HOST, OrderStage.NOT_SENT, code, "not now")
    assert lab.host(HOST).failed is FailKind.PREFLIGHT
    assert "13 tries" in lab.host(HOST).text


def test_a_host_that_moved_gets_three_fresh_looks() -> None:
    lab = turning()
    for _ in range(3):
        lab.tell(HOST, OrderStage.NOT_SENT, "moved")
        assert lab.open[HOST][1].verb is Verb.STAGE
        lab.tell(HOST, OrderStage.ALREADY, "already-so")
        assert lab.open[HOST][1].verb is Verb.ACTIVATE
    lab.tell(HOST, OrderStage.NOT_SENT, "moved")
    assert lab.host(HOST).failed is FailKind.PREFLIGHT


def test_a_drain_that_failed_holds_the_budget() -> None:
    lab = turning()
    lab.tell(HOST, OrderStage.NOT_SENT, "drain-failed")
    assert lab.host(HOST).failed is FailKind.DRAIN
    assert lab.host(HOST).holds_budget


@pytest.mark.parametrize(
    ("verb", "code", "phase"),
    [
        (Verb.STAGE, "unknown", HostPhase.UNKNOWN),
        (Verb.ACTIVATE, "incomplete", HostPhase.UNKNOWN),
        (Verb.ACTIVATE, "replaced", HostPhase.UNKNOWN),
        (Verb.ACTIVATE, "missing", HostPhase.MISSING),
    ],
)
def test_what_nobody_knows(verb: Verb, code: str, phase: HostPhase) -> None:
    lab = staging() if verb is Verb.STAGE else turning()
    if verb is Verb.ACTIVATE:
        lab.send(HOST)
    lab.tell(HOST, OrderStage.UNKNOWN, code)
    assert lab.phase(HOST) is phase
    assert lab.host(HOST).is_armed is (phase is HostPhase.UNKNOWN)
