"""Evidence of the scenarios around the host, read from the bytes that it answers; and its clock."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from console.demo.scenes_host import SCENES
from console.demo.world import Access, KeyRecord
from tests.unit.demo_seen import NAMES, NEWEST, Evidence, Seen, idle, look

evidence = Evidence()


@evidence
def extension_staged(seen: Seen) -> None:
    _, targets, loops = seen.text("links").split("=\0")
    assert "/opt/extensions/kubernetes/kubernetes-v1.33.4-arm64.raw\0" in targets
    assert "/opt/extensions/kubernetes/kubernetes-v1.33.2-arm64.raw\0" in loops
    assert "kubernetes" in seen.merged


@evidence
def extension_will_drop(seen: Seen) -> None:
    metadata = seen.text("meta").split("=node-agent\0")[1].split("\0")[0]
    assert f"VERSION_ID={NEWEST}\n" in metadata
    assert "SYSEXT_LEVEL" not in metadata
    assert "ID=flatcar\n" in metadata
    assert "node-agent" in seen.merged


@evidence
def reset_armed(seen: Seen) -> None:
    assert seen.pairs("flags")["reset_armed"] == "1"
    assert seen.text("boot") == ""
    assert "/boot" not in seen.text("df")


@evidence
def first_boot_armed(seen: Seen) -> None:
    assert seen.pairs("flags")["reset_armed"] == "0"
    assert seen.text("boot") == "armed\n"
    assert "/boot " in seen.text("df")


@evidence
def extension_incompatible(seen: Seen) -> None:
    listed = {row["name"] for row in json.loads(seen.text("sysext_list"))}
    assert listed - set(seen.merged) == {"wasmtime"}
    assert "=wasmtime\0" not in seen.text("meta")


@evidence
def extension_broken(seen: Seen) -> None:
    assert seen.unit("systemd-sysext.service")["Result"] == "exit-code"
    assert seen.unit("docker.service")["LoadState"] == "not-found"
    assert seen.merged == []
    assert "docker-flatcar.raw" in seen.text("links")
    assert "docker" not in seen.frame.sections
    assert json.loads(seen.text("failed"))[0]["unit"] == "systemd-sysext.service"


@evidence
def degraded(seen: Seen) -> None:
    assert "SystemState=degraded\n" in seen.text("manager")
    assert "NFailedUnits=1\n" in seen.text("manager")
    assert len(json.loads(seen.text("failed"))) == 1


@evidence
def held(seen: Seen) -> None:
    assert idle(seen)
    assert seen.version == NEWEST
    assert SCENES["held"].hold == "no reboots before the database migration"


@evidence
def not_flatcar(seen: Seen) -> None:
    assert "ID=debian\n" in seen.text("os")
    assert seen.frame.sections["release"].exit_status == 1
    assert seen.frame.sections["gpt_A"].exit_status == 127
    assert seen.unit("update-engine.service")["LoadState"] == "not-found"


@evidence
def status_null(seen: Seen) -> None:
    assert seen.text("status") == "Call failed: Access denied\n"
    assert seen.frame.sections["status"].exit_status == 1
    assert seen.unit("update-engine.service")["ActiveState"] == "active"


@evidence
def unprivileged(seen: Seen) -> None:
    assert not seen.frame.privileged
    assert seen.frame.sections["sudo"].exit_status == 1
    assert "gpt_A" not in seen.frame.sections


@evidence
def silent(seen: Seen) -> None:
    assert seen.host.access is Access.SILENT


@evidence
def auth_refused(seen: Seen) -> None:
    assert seen.host.access is Access.KEY_REFUSED


@evidence
def key_unknown(seen: Seen) -> None:
    assert seen.host.key_record is KeyRecord.MISSING


@evidence
def key_changed(seen: Seen) -> None:
    assert seen.host.key_record is KeyRecord.OTHER


@evidence
def truncated(seen: Seen) -> None:
    assert not seen.frame.complete
    assert "slotdevs" in seen.frame.sections
    assert "units" not in seen.frame.sections
    assert "sudo" not in seen.frame.sections


def test_every_scenario_here_has_evidence() -> None:
    assert set(evidence) == set(SCENES)


@pytest.mark.parametrize("host", NAMES)
@pytest.mark.parametrize("name", SCENES)
def test_scenario_shows_its_evidence_at_the_first_look(name: str, host: str) -> None:
    seen = look(name, host)
    evidence[name](seen)
    assert seen.frame.complete == (name != "truncated")


@pytest.mark.parametrize("name", SCENES)
def test_evidence_is_the_same_an_hour_later(name: str) -> None:
    evidence[name](look(name, later=timedelta(hours=1)))


def test_hosts_run_both_slots() -> None:
    assert {look("current", name).letter for name in NAMES} == {"A", "B"}


def test_uptime_grows_with_the_clock_and_the_boot_stays() -> None:
    first, later = look("current"), look("current", later=timedelta(minutes=5))
    seconds = [float(seen.pairs("ids")["uptime"].split()[0]) for seen in (first, later)]
    assert seconds[1] - seconds[0] == pytest.approx(300)
    assert first.pairs("ids")["boot_id"] == later.pairs("ids")["boot_id"]
