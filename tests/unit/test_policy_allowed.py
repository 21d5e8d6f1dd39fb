"""May a verb run: what is allowed, what is already so, and what stands in no order's way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from actions.orders import Asked, Force, Verb
from actions.policy import Already, decide, judged
from actions.policy_look import Look
from actions.remote.extra import UnitFile
from actions.situation import Wish
from collectors.errors import Reach
from collectors.facts import Attempt, Flags, Prefs, UpdateConf
from collectors.memory import Trouble
from tests.builders import NOW, facts, table
from tests.unit.test_policy import (
    ACTIVATE,
    ALL,
    BACK,
    BLOCK,
    BOOT,
    BOUND,
    CANCEL,
    CHANNEL,
    DISABLED,
    FREE,
    INTACT,
    LEVEL,
    LOCALHOST,
    MIB,
    NEW,
    NIGHT,
    OFF,
    OFFER,
    OLD,
    PAYLOAD,
    REBOOT,
    REPAIR,
    RESET,
    RESTARTED,
    REVERTED,
    ROLL_BACK,
    STAGE,
    STAGED,
    STRANGER,
    UP,
    codes,
    extra,
    old,
    remembers,
    seen,
    silent,
)


@pytest.mark.parametrize(
    ("asked", "look"),
    [
        (STAGE, seen()),
        (OFFER, seen()),
        (PAYLOAD, seen(payload_bytes=700 * MIB)),
        (STAGE, seen(pin=NEW)),
        (replace(STAGE, version="3510.3.6"), seen(old("3033.3.18"), pin="4081.3.1")),
        (STAGE, seen(facts(conf=DISABLED))),
        (STAGE, seen(facts(**UP))),
        (STAGE, seen(memory=replace(REVERTED, reverted=Trouble(NOW, NEW, acknowledged=True)))),
        (STAGE, seen(facts(extensions=LEVEL))),
        (replace(STAGE, accept_drop=("tool",)), seen(facts(extensions=BOUND))),
        (replace(STAGE, version="4152.2.3"), seen(cgroup_v1=True)),
        (CANCEL, seen(STAGED)),
        (CANCEL, seen(RESET)),
        (ACTIVATE, seen(STAGED)),
        (replace(ACTIVATE, version=NEW), seen(STAGED)),
        (ACTIVATE, seen(RESET)),
        (ACTIVATE, seen(RESTARTED)),
        (ACTIVATE, remembers(replace(RESTARTED, attempt=Attempt()), NEW)),
        (ACTIVATE, extra(STAGED, locksmithd=replace(FREE, runtime=UnitFile.MASK, held_by="o-mine"))),
        (REBOOT, seen()),
        (REBOOT, seen(windows=(NIGHT,))),
        (ROLL_BACK, BACK),
        (replace(ROLL_BACK, version=OLD), BACK),
        (ROLL_BACK, seen(facts(failed_units=("a.service",)), proof=INTACT)),
        (CHANNEL, seen()),
        (
            replace(CHANNEL, channel="edge-canary"),
            seen(facts(conf=UpdateConf(server="https://own.example/v1"))),
        ),
        (OFF, seen()),
        (REPAIR, seen(facts(conf=LOCALHOST))),
        (REPAIR, seen(replace(STAGED, slots=table("2/0/1", "1/1/0")))),
        (REPAIR, seen(RESET)),
        (REPAIR, extra(locksmithd=replace(FREE, runtime=UnitFile.MASK, held_by="o-gone"))),
    ],
)
def test_allowed_where_nothing_stands_against_it(asked: Asked, look: Look) -> None:
    assert decide(asked, look) == ()


@pytest.mark.parametrize(
    ("asked", "look"),
    [
        (STAGE, seen(STAGED)),
        (OFFER, seen(STAGED)),
        (STAGE, seen(RESTARTED)),
        (replace(STAGE, version="4593.2.5"), seen()),
        (CANCEL, seen()),
        (replace(ACTIVATE, version="4593.2.5"), seen(wish=Wish(hold="ops-1"))),
        (replace(ROLL_BACK, version="4593.2.5"), seen()),
        (replace(CHANNEL, channel="stable"), seen()),
        (Asked(Verb.UPDATES, mode="on"), seen()),
        (OFF, seen(facts(conf=DISABLED))),
        (Asked(Verb.UPDATES, mode="managed"), seen(facts(conf=DISABLED))),
        (REPAIR, seen()),
    ],
)
def test_asked_again_where_it_holds_it_is_already_so(asked: Asked, look: Look) -> None:
    decision = decide(asked, look)
    assert isinstance(decision, Already)
    assert decision.text.startswith("already so: ")


@pytest.mark.parametrize("asked", ALL)
def test_what_is_not_known_is_never_already_so(asked: Asked) -> None:
    for look in (silent(Reach.TIMEOUT), seen(extra=None), seen(facts(complete=False)), extra(order=STRANGER)):
        assert not isinstance(decide(asked, look), Already)


@pytest.mark.parametrize("asked", ALL)
def test_all_that_hold_are_listed(asked: Asked) -> None:
    look = replace(extra(order=STRANGER), unknown_outcome="o-1", wish=Wish(hold="ops-1"))
    assert {"foreign-order", "unknown-outcome"} <= set(codes(asked, look))


def test_a_force_without_a_reason_is_none() -> None:
    held = seen(wish=Wish(hold="ops-1432"))
    assert codes(replace(REBOOT, forces={Force.HOLD: "  "}), held) == ["held"]
    assert codes(replace(REBOOT, forces={Force.WINDOW: "ops-1"}), held) == ["held"]
    assert decide(replace(REBOOT, forces={Force.HOLD: "ops-1"}), held) == ()


def test_what_was_forced_stays_known() -> None:
    asked = replace(REBOOT, forces={Force.HOLD: "ops-1"})
    found = judged(asked, seen(wish=Wish(hold="ops-1432")))
    assert isinstance(found, tuple)
    assert [item.code for item in found] == ["held"]


def test_an_order_of_this_console_or_one_that_is_over_stops_nobody() -> None:
    mine = replace(extra(order=STRANGER), own_orders=("o-stranger",))
    assert decide(STAGE, mine) == ()
    gone = replace(STRANGER, until=int((NOW - timedelta(seconds=1)).timestamp()))
    assert decide(STAGE, extra(order=gone)) == ()


def test_a_delay_inhibitor_and_one_of_sleep_stop_no_reboot() -> None:
    other = (replace(BLOCK, mode="delay"), replace(BLOCK, what=("sleep",)))
    assert decide(REBOOT, extra(inhibitors=other)) == ()


def test_a_boot_that_is_not_mounted_says_nothing_of_first_boot() -> None:
    unknown = facts(flags=Flags(False, False, False, False, None))
    assert codes(REBOOT, extra(unknown, boot=replace(BOOT, mounted=False))) == ["preflight-unread"]


def test_an_empty_prefs_folder_is_no_trace_of_an_attempt() -> None:
    assert decide(ROLL_BACK, seen(facts(prefs=Prefs()), proof=INTACT)) == ()
