"""Facts -> state and reasons: the table of states, precedence, memory, wishes, releases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actions.situation import STATES, Situation, Wish, situation, twins_by_host
from collectors.errors import Reach
from collectors.facts import (
    Attempt,
    Coordinator,
    CoordinatorState,
    ExtensionLink,
    ExtensionMeta,
    Extensions,
    Flags,
    HostFacts,
    Operation,
    OsRelease,
    Passing,
    Prefs,
    SlotName,
    Unread,
    UpdateConf,
)
from collectors.fleet_model import WantedUpdates
from collectors.memory import Memory, remember
from collectors.observation import ProbeFailed
from collectors.reboots import reboots_by_itself
from tests.builders import HEALTHY, NOW, UNITS, answer, facts, feed, table, unit

FEED = feed("4593.2.4", "4593.2.5")
SELF = Wish(updates=WantedUpdates.SELF)
STAGED: dict[str, Any] = {
    "slots": table("1/0/1", "2/1/0"),
    "operation": Operation.NEED_REBOOT,
    "new_version": "4593.2.6",
    "flags": replace(HEALTHY.flags, staged_marker=True),
    "prefs": Prefs(previous_version="4593.2.5"),
}
LOCKSMITHD = UNITS | {"locksmithd.service": unit()}


def judge(host: HostFacts, wish: Wish = SELF, memory: Memory | None = None) -> Situation:
    return situation(answer(host), memory, wish, FEED, NOW)


def codes(meaning: Situation) -> set[str]:
    return {reason.code for reason in meaning.reasons}


BY_CODE: list[tuple[str, str, dict[str, Any]]] = [
    ("current", "current", {}),
    ("never_updated", "current", {"slots": table("1/0/1", "0/0/0")}),
    ("rollback_available", "current", {}),
    (
        "rollback_unsafe",
        "current",
        {"attempt": Attempt(offered_version="4593.2.6", overwrote=True)},
    ),
    ("just_updated", "current", {"prefs": Prefs(previous_version="4593.2.4", next_operation=-1)}),
    ("behind", "behind", {"os": replace(HEALTHY.os, version_id="4593.2.4")}),
    ("staging", "staging", {"operation": Operation.DOWNLOADING, "passing": Passing(progress=0.4)}),
    ("staged", "staged", STAGED),
    ("staged_reset", "staged", STAGED | {"operation": Operation.IDLE, "flags": HEALTHY.flags}),
    ("staged_restarted", "staged", STAGED | {"new_version": None}),
    ("staged_will_reboot", "staged", STAGED | {"units": LOCKSMITHD}),
    (
        "staged_window",
        "staged",
        STAGED | {"units": LOCKSMITHD, "conf": UpdateConf(window_start="Thu 04:00", window_length="1h")},
    ),
    ("staged_not_next", "staged_not_next", STAGED | {"slots": table("2/0/1", "1/1/0")}),
    ("rollback_armed", "rollback_armed", {"slots": table("1/0/1", "2/0/1")}),
    ("unconfirmed", "unconfirmed", {"slots": table("2/0/0", "1/0/1")}),
    ("reverted_fresh", "reverted", {"slots": table("1/0/1", "2/0/0")}),
    (
        "reverted_settled",
        "reverted",
        {"slots": table("2/0/1", "1/0/0"), "prefs": Prefs(previous_version="4593.2.5")},
    ),
    ("failed", "failed", {"attempt": Attempt(failed=True, error_code=10, offered_version="4593.2.6")}),
    ("reset_armed", "reset_armed", {"flags": replace(HEALTHY.flags, reset_armed=True)}),
    ("first_boot_armed", "reset_armed", {"flags": replace(HEALTHY.flags, first_boot_armed=True)}),
    (
        "residue",
        "updates_off",
        {"conf": UpdateConf(server="http://localhost:9090/update"), "updater_running": False},
    ),
    ("updates_disabled", "updates_off", {"conf": UpdateConf(server="disabled")}),
    (
        "masked",
        "updates_off",
        {
            "units": UNITS | {"update-engine.service": unit("inactive", load="masked")},
            "operation": None,
            "unread": (Unread("status", "not provided", "not_provided"),),
        },
    ),
    (
        "engine_down",
        "updates_off",
        {
            "units": UNITS | {"update-engine.service": unit("inactive")},
            "operation": None,
            "unread": (Unread("status", "not provided", "not_provided"),),
        },
    ),
    ("drift", "drift", {"conf": UpdateConf(group="beta")}),
    (
        "extension_incompatible",
        "extension_problem",
        {"extensions": Extensions(candidates={"wasm": "/etc/extensions/wasm.raw"})},
    ),
    (
        "extension_broken",
        "extension_problem",
        {"units": UNITS | {"systemd-sysext.service": unit("failed", result="exit-code")}},
    ),
    (
        "extension_staged",
        "current",
        {
            "extensions": Extensions(
                merged=("k3s",),
                candidates={"k3s": "/etc/extensions/k3s.raw"},
                links={
                    "k3s": ExtensionLink("/etc/extensions/k3s.raw", "/opt/extensions/k3s/k3s-2.raw", True)
                },
                loops=("/opt/extensions/k3s/k3s-1.raw",),
            )
        },
    ),
    (
        "extension_will_drop",
        "current",
        {
            "extensions": Extensions(
                merged=("mine",),
                candidates={"mine": "/etc/extensions/mine.raw"},
                meta={"mine": ExtensionMeta(id="flatcar", version_id="4593.2.5")},
            )
        },
    ),
    ("degraded", "degraded", {"system_state": "degraded", "failed_units": ("x.service",)}),
    ("pxe", "no_slots", {"flags": replace(HEALTHY.flags, no_update=True), "slots": None, "running": None}),
    ("not_flatcar", "not_flatcar", {"os": OsRelease(id="debian", version_id="12")}),
    ("truncated", "incomplete", {"complete": False}),
    ("unprivileged", "incomplete", {"privileged": False, "slots": None, "prefs": None, "attempt": None}),
    (
        "status_null",
        "incomplete",
        {"operation": None, "unread": (Unread("status", "null status", "null"),)},
    ),
    ("odd_text", "incomplete", {"odd": ("os",)}),
    ("section_unread", "incomplete", {"unread": (Unread("failed", "timed out"),)}),
    ("slots_unread", "incomplete", {"running": None}),
]


@pytest.mark.parametrize(("code", "state", "changes"), BY_CODE, ids=[code for code, _, _ in BY_CODE])
def test_evidence_gives_its_state_and_its_code(code: str, state: str, changes: dict[str, Any]) -> None:
    meaning = judge(facts(**changes), Wish("stable", WantedUpdates.SELF))
    assert (meaning.state, code in codes(meaning)) == (state, True)
    assert meaning.reasons[0].state == state


@pytest.mark.parametrize(
    ("reach", "code", "state"),
    [
        (Reach.HOST_KEY_CHANGED, "key_changed", "host_key_changed"),
        (Reach.HOST_KEY_UNKNOWN, "key_unknown", "unreachable"),
        (Reach.AUTH_FAILED, "auth_refused", "unreachable"),
        (Reach.TIMEOUT, "silent", "unreachable"),
        (Reach.UNREACHABLE, "unreachable", "unreachable"),
        (Reach.REBOOTING, "rebooting", "rebooting"),
        (Reach.PROBE_INCOMPLETE, "truncated", "incomplete"),
    ],
)
def test_a_host_that_was_not_reached_says_why(reach: Reach, code: str, state: str) -> None:
    meaning = situation(ProbeFailed("node-1", NOW, reach, "why"), None, Wish(hold="not now"), FEED, NOW)
    assert meaning.state == state
    assert meaning.reasons[0].code == code
    assert "held" in codes(meaning)


def test_the_graver_state_comes_first_and_the_others_stay_reasons() -> None:
    host = facts(
        slots=table("2/0/0", "1/0/1"),
        failed_units=("x.service",),
        system_state="degraded",
        os=replace(HEALTHY.os, version_id="4593.2.4"),
    )
    meaning = judge(host, Wish("beta", WantedUpdates.SELF, "ops-1"))
    assert meaning.state == "unconfirmed"
    assert [reason.state for reason in meaning.reasons if reason.state] == [
        state for state in STATES if state in {"unconfirmed", "degraded", "drift", "held", "behind"}
    ]


def test_nothing_unread_is_ever_current() -> None:
    """Take any one thing away from a healthy host and the word is no longer `current`."""
    gone: list[dict[str, Any]] = [
        {"complete": False},
        {"privileged": False},
        {"running": None},
        {"os": replace(HEALTHY.os, version_id=None)},
        *(
            {"unread": (Unread(name, "timed out"),)}
            for name in ("units", "failed", "manager", "sysext", "links", "prefs", "journal", "gpt_A")
        ),
        {"operation": None, "unread": (Unread("status", "timed out", "timeout"),)},
    ]
    assert {judge(facts(**changes)).state for changes in gone} == {"incomplete"}


def test_updates_off_is_a_state_only_where_the_host_should_update_itself() -> None:
    off = facts(conf=UpdateConf(server="disabled"))
    assert judge(off, Wish(updates=WantedUpdates.MANAGED)).state == "current"
    assert judge(off, Wish()).state == "current"
    on = judge(facts(), Wish(updates=WantedUpdates.MANAGED))
    assert (on.state, "updates_not_managed" in codes(on)) == ("drift", True)


def test_a_check_that_fails_because_updates_are_off_is_no_failure() -> None:
    attempt = Attempt(failed=True, error_code=37, error_name="OmahaErrorInHTTPResponse")
    off = judge(facts(conf=UpdateConf(server="disabled"), attempt=attempt), Wish())
    assert "failed" not in codes(off)
    on = judge(facts(attempt=attempt))
    assert on.state == "failed"
    assert on.reasons[0].text.startswith("the last check failed")


def test_locksmithd_that_planned_a_reboot_reboots_after_a_reset_too() -> None:
    host = facts(
        **STAGED | {"operation": Operation.IDLE},
        units=LOCKSMITHD,
        coordinator=Coordinator("locksmithd", "reboot", CoordinatorState.REBOOT_PLANNED),
    )
    assert reboots_by_itself(host) is True
    stopped = facts(**STAGED, coordinator=host.coordinator)
    assert reboots_by_itself(stopped) is False
    assert "rebooting" not in codes(judge(stopped))


def test_without_a_feed_for_it_a_version_is_not_certainly_current() -> None:
    meaning = situation(answer(facts()), None, SELF, None, NOW)
    assert (meaning.state, meaning.certain) == ("current", False)
    assert "standing_unknown" in codes(meaning)


def test_a_custom_group_is_measured_by_the_versions_own_channel() -> None:
    host = facts(conf=UpdateConf(group="736e3428-d095-1184"), os=replace(HEALTHY.os, version_id="4593.2.4"))
    meaning = judge(host)
    assert meaning.state == "behind"
    assert "by its version number" in meaning.reasons[0].text


def test_a_reversion_stays_until_another_version_runs() -> None:
    fell = facts(slots=table("1/0/1", "2/0/0"))
    memory = remember(None, fell, NOW)
    settled = facts(slots=table("2/0/1", "1/0/0"))
    memory = remember(memory, settled, NOW + timedelta(hours=1))
    assert judge(settled, memory=memory).state == "reverted"
    newer = facts(os=replace(HEALTHY.os, version_id="4593.2.6"))
    assert judge(newer, memory=remember(memory, newer, NOW + timedelta(days=1))).state == "current"


def test_a_failure_stays_when_the_journal_forgets_it() -> None:
    memory = remember(
        None, facts(attempt=Attempt(failed=True, error_code=10, offered_version="4593.2.6")), NOW
    )
    rebooted = facts(identity=replace(HEALTHY.identity, boot_id="boot-2"), attempt=Attempt())
    memory = remember(memory, rebooted, NOW + timedelta(hours=1))
    assert judge(rebooted, memory=memory).state == "failed"
    staged = facts(**STAGED)
    assert "failed" not in codes(judge(staged, memory=remember(memory, staged, NOW + timedelta(hours=2))))


def test_an_overwritten_way_back_is_remembered_over_a_reboot_of_the_same_slot() -> None:
    memory = remember(None, facts(operation=Operation.AVAILABLE), NOW)
    rebooted = facts(identity=replace(HEALTHY.identity, boot_id="boot-2"))
    memory = remember(memory, rebooted, NOW + timedelta(hours=1))
    found = codes(judge(rebooted, memory=memory))
    assert "rollback_unsafe" in found
    assert "rollback_available" not in found


def test_the_slot_left_by_a_reboot_is_a_way_back_with_its_version() -> None:
    memory = remember(None, facts(), NOW)
    memory = remember(memory, facts(**STAGED), NOW + timedelta(hours=1))
    updated = facts(
        identity=replace(HEALTHY.identity, boot_id="boot-2"),
        os=replace(HEALTHY.os, version_id="4593.2.6"),
        running=SlotName.B,
        slots=table("1/0/1", "2/0/1"),
    )
    memory = remember(memory, updated, NOW + timedelta(hours=2))
    assert memory.slots[SlotName.A].version == "4593.2.5"
    assert memory.updated_from == "4593.2.5"
    meaning = situation(answer(updated), memory, SELF, FEED, NOW + timedelta(hours=2))
    assert {"just_updated", "rollback_available"} <= codes(meaning)


def test_a_staged_version_survives_the_restart_of_the_updater() -> None:
    memory = remember(None, facts(**STAGED), NOW)
    memory = remember(memory, facts(**STAGED | {"new_version": None}), NOW + timedelta(minutes=5))
    assert memory.slots[SlotName.B].version == "4593.2.6"


@pytest.mark.parametrize("change", [{"machine_id": "b" * 32}, {"install": "install-2"}])
def test_another_machine_under_the_name_starts_empty(change: dict[str, str]) -> None:
    memory = remember(None, facts(attempt=Attempt(failed=True, error_code=10)), NOW)
    other = facts(identity=replace(HEALTHY.identity, **change))
    memory = remember(memory, other, NOW + timedelta(days=1))
    assert memory.failed is None
    assert "replaced" in codes(judge(other, memory=memory))


def test_twins_are_found_and_said() -> None:
    assert twins_by_host({"a": "x", "b": "x", "c": "y", "d": None}) == {"a": ("b",), "b": ("a",)}
    meaning = situation(answer(facts()), None, SELF, FEED, NOW, twins=("node-2",))
    assert "same_machine_id" in codes(meaning)


def test_flags_default_to_not_read() -> None:
    assert Flags().reset_armed is None
