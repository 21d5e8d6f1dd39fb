"""Rules of the classifier that one mistake would turn into a wrong word: reboots, ways back, memory."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from actions.situation import Wish, situation
from collectors.errors import Reach
from collectors.facts import (
    Attempt,
    ExtensionLink,
    Extensions,
    Operation,
    Passing,
    Prefs,
    SlotName,
    Unread,
    UpdateConf,
)
from collectors.memory import remember
from collectors.observation import ProbeFailed
from collectors.reboots import reboots_by_itself
from tests.builders import HEALTHY, NOW, UNITS, facts, table, unit
from tests.unit.test_situation import FEED, LOCKSMITHD, SELF, STAGED, codes, judge


@pytest.mark.parametrize(
    ("expected", "changes"),
    [
        (False, {}),
        (None, {"operation": None, "units": LOCKSMITHD}),
        (None, {"units": {}}),
        (True, STAGED | {"units": LOCKSMITHD, "slots": None}),
        (True, STAGED | {"units": LOCKSMITHD, "slots": table("2/0/1", "1/1/0")}),
        (None, STAGED | {"units": LOCKSMITHD, "operation": Operation.IDLE, "flags": HEALTHY.flags}),
        (False, STAGED | {"units": LOCKSMITHD, "conf": UpdateConf(window_start="Thu 04:00")}),
        (False, STAGED | {"units": LOCKSMITHD, "conf": UpdateConf(reboot_strategy="best-effort")}),
        (
            None,
            STAGED
            | {
                "units": UNITS
                | {
                    "locksmithd.service": unit("inactive", load="masked"),
                    "kubelet.service": unit(),
                }
            },
        ),
    ],
)
def test_who_reboots_a_host_by_itself(expected: bool | None, changes: dict[str, Any]) -> None:
    assert reboots_by_itself(facts(**changes)) is expected


OVERWROTE = Attempt(offered_version="4593.2.6", overwrote=True, failed=True, error_code=10)


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("rollback_unsafe", {"attempt": OVERWROTE}),
        ("rollback_unsafe", {"prefs": Prefs(next_operation=-1, failures=2)}),
        ("rollback_unsafe", {"prefs": Prefs(next_operation=0)}),
        ("rollback_unsafe", {"operation": Operation.AVAILABLE}),
        ("rollback_unproved", {"attempt": Attempt(reaches_boot=False)}),
        ("rollback_unproved", {"operation": Operation.CHECKING}),
        ("rollback_unproved", {"prefs": None}),
        ("rollback_available", {}),
    ],
)
def test_a_way_back_is_claimed_only_where_nothing_touched_it(code: str, changes: dict[str, Any]) -> None:
    found = codes(judge(facts(**changes)))
    assert {item for item in found if item.startswith("rollback")} == {code}


def test_going_back_to_an_overwritten_slot_is_warned_of() -> None:
    meaning = judge(facts(slots=table("1/0/1", "2/0/1"), attempt=OVERWROTE))
    assert meaning.state == "rollback_armed"
    assert meaning.reasons[0].code == "rollback_unsafe"
    assert meaning.remedy is not None
    assert meaning.remedy.startswith("do not reboot")


@pytest.mark.parametrize("slots", ["2/0/1", "2/1/0"])
def test_a_masked_updater_hides_not_what_boots_next(slots: str) -> None:
    host = facts(
        slots=table("1/0/1", slots),
        operation=None,
        unread=(Unread("status", "not provided", "not_provided"),),
        units=UNITS | {"update-engine.service": unit("inactive", load="masked")},
    )
    assert judge(host).state == ("rollback_armed" if slots.endswith("1") else "staged")


def test_a_staged_marker_means_that_no_boot_failed_yet() -> None:
    host = facts(**STAGED | {"slots": table("1/0/1", "2/0/0")})
    assert judge(host).state == "staged_not_next"


@pytest.mark.parametrize(
    ("version", "group"),
    [("4757.1.0", "stable"), ("4593.2.99", "stable"), ("4799.0.0", "stable")],
)
def test_what_is_no_release_of_its_channel_is_not_certainly_current(version: str, group: str) -> None:
    host = facts(os=replace(HEALTHY.os, version_id=version), conf=UpdateConf(group=group))
    meaning = judge(host)
    assert (meaning.state, meaning.certain) == ("current", False)
    assert "ahead" in codes(meaning)


@pytest.mark.parametrize(
    "changes",
    [
        {"conf": UpdateConf(server="http://localhost:8080/x")},
        {"conf": UpdateConf(server="http://127.0.0.1:9090/update"), "updater_running": None},
        {"conf": UpdateConf(server="https://example.net/v1/update/\\r", odd_lines=("SERVER=\\r",))},
    ],
)
def test_a_server_that_cannot_be_reached_is_never_current(changes: dict[str, Any]) -> None:
    assert judge(facts(**changes)).state == "updates_off"


def test_a_dangling_link_is_a_problem() -> None:
    link = ExtensionLink("/etc/extensions/k3s.raw", "/opt/extensions/k3s/k3s-1.raw", False)
    assert judge(facts(extensions=Extensions(links={"k3s": link}))).state == "extension_problem"
    mask = ExtensionLink("/etc/extensions/docker-flatcar.raw", "/dev/null", True)
    assert judge(facts(extensions=Extensions(links={"docker-flatcar": mask}))).state == "current"


def test_a_boot_that_never_ends_is_degraded() -> None:
    early, late = Passing(uptime_s=60.0), Passing(uptime_s=3 * 86400.0)
    assert judge(facts(system_state="starting", passing=early)).state == "current"
    assert judge(facts(system_state="starting", passing=late)).state == "degraded"


def test_a_wanted_unit_that_is_not_there_is_no_healthy_host() -> None:
    assert judge(facts(), Wish(units=("chronyd.service",))).state == "degraded"


def test_several_extensions_are_all_named() -> None:
    many = Extensions(candidates={"a": "/x/a.raw", "b": "/x/b.raw"})
    texts = [reason.text for reason in judge(facts(extensions=many)).reasons]
    assert [text[0] for text in texts if "not merged" in text] == ["a", "b"]


def test_a_silent_host_keeps_its_grave_reasons_as_last_seen() -> None:
    last = facts(flags=replace(HEALTHY.flags, reset_armed=True), slots=table("1/0/1", "2/0/0"))
    memory = remember(None, last, NOW)
    failed = ProbeFailed("node-1", NOW, Reach.TIMEOUT, "silent")
    meaning = situation(failed, memory, SELF, FEED, NOW, last=last)
    assert meaning.state == "unreachable"
    assert {"silent", "reset_armed", "reverted_settled"} <= codes(meaning)
    assert meaning.group == "stable"


def test_memory_is_not_lost_by_one_look_without_a_version_or_by_going_back() -> None:
    memory = remember(None, facts(attempt=Attempt(failed=True, error_code=10)), NOW)
    for version in (None, "4593.2.4"):
        host = facts(os=replace(HEALTHY.os, version_id=version), attempt=Attempt())
        assert remember(memory, host, NOW + timedelta(hours=1)).failed is not None


def test_the_other_slots_version_is_what_was_staged_or_not_known() -> None:
    ran_b = facts(
        running=SlotName.B, os=replace(HEALTHY.os, version_id="4593.2.3"), slots=table("1/0/1", "2/0/1")
    )
    memory = remember(None, ran_b, NOW)
    on_a = facts(identity=replace(HEALTHY.identity, boot_id="boot-2"))
    memory = remember(memory, on_a, NOW + timedelta(hours=1))
    assert memory.slots[SlotName.B].version == "4593.2.3"
    unnamed = facts(**STAGED | {"new_version": None}, identity=on_a.identity)
    assert SlotName.B not in remember(memory, unnamed, NOW + timedelta(hours=2)).slots
    fell = facts(slots=table("1/0/1", "2/0/0"), identity=replace(HEALTHY.identity, boot_id="boot-3"))
    fallen = remember(memory, fell, NOW + timedelta(hours=2))
    assert fallen.reverted is not None
    assert fallen.reverted.version is None
