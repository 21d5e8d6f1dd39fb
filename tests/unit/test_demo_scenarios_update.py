"""Each update scenario's evidence, read from the bytes that its host answers."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from console.demo.scenes_update import SCENES
from tests.unit.demo_seen import (
    BEFORE,
    NAMES,
    NEWEST,
    OLDER,
    START,
    Evidence,
    Seen,
    idle,
    look,
    without_engine,
)

evidence = Evidence()


@evidence
def current(seen: Seen) -> None:
    assert seen.version == NEWEST
    assert idle(seen)
    assert seen.running == (2, 0, 1)
    assert "No update." in seen.text("journal")
    assert seen.pairs("prefs")["previous-version"] == ""


@evidence
def never_updated(seen: Seen) -> None:
    assert seen.running == (1, 0, 1)
    assert seen.other == (0, 0, 0)
    assert 'VERSION_ID="4757.1.0"' in seen.text("os")
    assert "flatcar.first_boot=detected" in seen.text("cmdline")


@evidence
def just_updated(seen: Seen) -> None:
    assert seen.version == NEWEST
    assert seen.pairs("prefs")["previous-version"] == BEFORE
    assert seen.running[2] == 1
    assert idle(seen)
    assert 60 < float(seen.pairs("ids")["uptime"].split()[0]) < 420


@evidence
def rollback_available(seen: Seen) -> None:
    assert seen.version == "4081.3.10"
    assert seen.other == (1, 0, 1)
    assert idle(seen)
    assert seen.pairs("prefs")["update-state-next-operation"] == "-1"
    assert "manifest version" not in seen.text("journal")


@evidence
def rollback_unsafe(seen: Seen) -> None:
    assert seen.version == NEWEST
    assert seen.other == (1, 0, 1)
    assert idle(seen)
    assert seen.pairs("prefs")["update-state-next-operation"] not in ("", "-1")
    assert f"Omaha Response manifest version = {OLDER}" in seen.text("journal")
    assert "Update failed" not in seen.text("journal")


@evidence
def behind(seen: Seen) -> None:
    assert seen.version == OLDER
    assert idle(seen)


@evidence
def staging(seen: Seen) -> None:
    assert seen.status[1:4] == [0.46, "UPDATE_STATUS_DOWNLOADING", NEWEST]
    assert seen.version == BEFORE
    assert seen.running == (2, 0, 1)
    assert seen.other == (1, 0, 1)


def _need_reboot(seen: Seen, version: str = NEWEST) -> None:
    assert seen.status[2:4] == ["UPDATE_STATUS_UPDATED_NEED_REBOOT", version]
    assert seen.pairs("flags")["staged_marker"] == "1"
    assert seen.pairs("flags")["reboot_required"] == "1"
    assert seen.pairs("prefs")["previous-version"] == seen.version == BEFORE
    assert "Update successfully applied, waiting to reboot." in seen.text("journal")


@evidence
def staged(seen: Seen) -> None:
    _need_reboot(seen)
    assert seen.is_staged
    assert seen.unit("locksmithd.service")["ActiveState"] == "inactive"
    assert "REBOOT_STRATEGY=off\n" in seen.text("conf")


@evidence
def staged_reset(seen: Seen) -> None:
    assert seen.is_staged
    assert idle(seen)
    assert seen.pairs("flags")["reboot_required"] == "1"


@evidence
def staged_restarted(seen: Seen) -> None:
    _need_reboot(seen, "0.0.0")
    assert seen.is_staged
    assert seen.status[0] == seen.status[4] == 0
    assert seen.text("journal").rindex("Update Engine starting") > seen.text("journal").rindex("applied")


def _locksmithd(seen: Seen, state: str) -> None:
    _need_reboot(seen)
    assert seen.is_staged
    assert seen.unit("locksmithd.service")["ActiveState"] == "active"
    assert sorted(seen.text("coordinator").split("\n")) == [
        "NAME=locksmithd",
        f"STATE={state}",
        "STRATEGY=reboot",
    ]


@evidence
def staged_window(seen: Seen) -> None:
    _locksmithd(seen, "running")
    window = re.search(r'^LOCKSMITHD_REBOOT_WINDOW_START="(\d\d):(\d\d)"$', seen.text("conf"), re.MULTILINE)
    length = re.search(r"^LOCKSMITHD_REBOOT_WINDOW_LENGTH=(\d+)h$", seen.text("conf"), re.MULTILINE)
    assert window is not None
    assert length is not None
    opens = START.replace(hour=int(window[1]), minute=int(window[2]), second=0)
    opened_ago = (START - opens) % timedelta(days=1)
    assert opened_ago >= timedelta(hours=int(length[1]))


@evidence
def staged_will_reboot(seen: Seen) -> None:
    _locksmithd(seen, "reboot-planned")
    assert "WINDOW" not in seen.text("conf")


@evidence
def staged_not_next(seen: Seen) -> None:
    _need_reboot(seen)
    assert seen.running == (2, 0, 1)
    assert seen.other == (1, 1, 0)


@evidence
def rollback_armed(seen: Seen) -> None:
    assert seen.running == (1, 0, 1)
    assert seen.other == (2, 0, 1)
    assert idle(seen)


@evidence
def unconfirmed(seen: Seen) -> None:
    assert seen.running == (2, 0, 0)
    assert seen.other == (1, 0, 1)
    assert seen.pairs("ids")["uptime"].startswith("30.00 ")
    assert seen.pairs("prefs")["previous-version"] == BEFORE


@evidence
def reverted_fresh(seen: Seen) -> None:
    assert seen.running == (1, 0, 1)
    assert seen.other == (2, 0, 0)
    assert seen.pairs("prefs")["previous-version"] == seen.version == BEFORE
    assert idle(seen)


@evidence
def reverted_settled(seen: Seen) -> None:
    assert seen.running == (2, 0, 1)
    assert seen.other == (1, 0, 0)
    assert seen.pairs("prefs")["previous-version"] == seen.version == BEFORE
    assert idle(seen)


@evidence
def failed(seen: Seen) -> None:
    journal = seen.text("journal")
    assert f"Omaha Response manifest version = {NEWEST}" in journal
    assert journal.index("manifest version") < journal.index("Update failed.")
    assert "error code: 10 (kActionCodePayloadHashMismatchError)" in journal
    assert idle(seen)
    assert seen.other == (1, 0, 1)


@evidence
def residue(seen: Seen) -> None:
    assert "SERVER=http://localhost:9090/update\n" in seen.text("conf")
    assert seen.frame.sections["updater"].exit_status == 1
    assert seen.frame.sections["updater"].content == b""


@evidence
def updates_disabled(seen: Seen) -> None:
    assert "SERVER=disabled\n" in seen.text("conf")
    assert seen.text("journal").count("Update failed.") == 3
    assert "error code: 37 (kActionCodeOmahaErrorInHTTPResponse)" in seen.text("journal")
    assert seen.status[0] == 0
    assert any("Could not resolve host: disabled" in line.text for line in seen.host.journal)


@evidence
def masked(seen: Seen) -> None:
    assert without_engine(seen)
    assert seen.unit("update-engine.service")["LoadState"] == "masked"
    assert seen.running[2] == 1


@evidence
def engine_down(seen: Seen) -> None:
    assert without_engine(seen)
    unit = seen.unit("update-engine.service")
    assert (unit["LoadState"], unit["ActiveState"], unit["Result"]) == ("loaded", "inactive", "success")
    assert seen.running[2] == 1


@evidence
def drift(seen: Seen) -> None:
    assert "GROUP=beta\n" in seen.text("conf")
    assert "GROUP=stable\n" in seen.text("image_conf")
    assert "Current group set to beta" in seen.text("journal")


@evidence
def pxe(seen: Seen) -> None:
    assert seen.pairs("flags")["no_update"] == "1"
    for name in ("usrdev", "slotdevs", "status", "gpt_A", "gpt_B"):
        assert seen.frame.sections[name].exit_status == 1
    assert "unable to access device" in seen.text("gpt_A")
    assert seen.text("prefs") == ""


def test_every_scenario_here_has_evidence() -> None:
    assert set(evidence) == set(SCENES)


@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("name", SCENES)
def test_scenario_shows_its_evidence_at_the_first_look(name: str, host: str) -> None:
    seen = look(name, host)
    evidence[name](seen)
    assert seen.frame.complete == (name != "truncated")


@pytest.mark.parametrize("name", sorted(set(SCENES) - {"staged_window"}))
def test_evidence_is_the_same_an_hour_later(name: str) -> None:
    evidence[name](look(name, later=timedelta(hours=1)))


@pytest.mark.parametrize(
    ("name", "stays"),
    [
        ("current", True),
        ("never_updated", True),
        ("staged", False),
        ("staged_reset", False),
        ("staged_not_next", True),
        ("rollback_armed", False),
        ("unconfirmed", False),
        ("reverted_fresh", True),
        ("failed", True),
    ],
)
@pytest.mark.parametrize("host", NAMES)
def test_grubs_choice_at_the_next_boot(name: str, stays: bool, host: str) -> None:
    state = look(name, host).host
    assert (state.next_slot is state.running) == stays
    assert look("pxe", host).host.next_slot is None
