"""Staging on simulated hosts: what it holds, leaves and puts back, also when it is killed; uploads."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from actions.remote.extra import UnitFile
from actions.remote.order import Reply, Word
from actions.remote.repair import REPAIR, Residue, repair_values
from actions.remote.stage import STAGE, PayloadFile, stage_values
from actions.remote.upload import UPLOAD_COMMAND, upload_stdin, uploaded_length
from actions.remote.words import Exit
from collectors.facts import Operation, Unit
from console.demo.live.kinds import Faults, What
from tests.unit.live_lab import NEW, fresh
from tests.unit.test_live_orders import IDLE, NEED_REBOOT, Ordered

FILE = "/etc/systemd/system/locksmithd.service"
OWN = "# ours\r\nSERVER=http://127.0.0.1:8080/v1/update/\nGROUP=stable"
"""Its last line has no end."""


def staged(conf: str | None = None) -> Ordered:
    """By an order: locksmithd is held, and the host is o-aaaaaa's."""
    lab = Ordered(fresh(conf) if conf else None)
    lab.run("systemctl", "start", "locksmithd")
    assert lab.do(STAGE, stage_values(NEW)) == 0
    return lab


def masks(lab: Ordered) -> tuple[UnitFile, UnitFile, str, str | None]:
    found = lab.extra().locksmithd
    assert found is not None
    return found.runtime, found.fixed, found.active, found.held_by


# -- stage -----------------------------------------------------------------------------------------


def test_staging_holds_locksmithd_and_leaves_update_conf_byte_for_byte() -> None:
    lab = staged(OWN)
    assert lab.host.state.conf == OWN
    assert lab.told(What.STAGED) == [NEW]
    assert lab.flags() == ((1, 0, 1), (2, 1, 0))
    assert masks(lab) == (UnitFile.MASK, UnitFile.ABSENT, "inactive", "o-aaaaaa")
    assert lab.log_of() == [
        "locksmithd held",
        f"staging {NEW}",
        "flatcar-update ended with 0",
        "update.conf as it was",
    ]
    assert "order=o-aaaaaa\n" in (lab.order_file() or "")


def test_while_it_stages_the_host_says_so() -> None:
    lab = Ordered()
    lab.send(STAGE, stage_values(NEW))
    lab.wait(1)
    extra = lab.extra("o-aaaaaa")
    assert extra.updater_running is True
    assert extra.unit is not None
    assert (extra.unit.active, extra.unit.sub, extra.unit.status) == ("active", "running", 0)
    assert b" B updater\n3417\n" in lab.host.answer_probe("0123456789abcdef", uid=500)
    lab.ended()
    assert lab.extra().updater_running is False


@pytest.mark.parametrize("conf", [OWN, "", None, "SERVER=disabled\n"])
@pytest.mark.parametrize("how", ["stop", "reboot"])
def test_a_kill_half_way_puts_update_conf_back(conf: str | None, how: str) -> None:
    lab = Ordered(replace(fresh(), conf=conf))
    lab.send(STAGE, stage_values(NEW))
    lab.wait(10)
    assert "localhost" in (lab.host.state.conf or "")
    lab.run("systemctl", *(("stop", "fleetctl-o-aaaaaa") if how == "stop" else ("reboot",)))
    assert lab.host.state.conf == conf
    assert lab.order_file() is None
    assert masks(lab) == (UnitFile.ABSENT, UnitFile.ABSENT, "inactive", None)
    assert lab.log_of()[-2:] == ["update.conf as it was", "locksmithd given back, was not running"]
    lab.wait(600)
    assert not lab.told(What.STAGED)


def test_a_power_failure_half_way_leaves_the_residue_and_nothing_in_run() -> None:
    lab = Ordered(fresh(OWN))
    lab.send(STAGE, stage_values(NEW))
    lab.wait(10)
    lab.host.reset_power()
    lab.until(lambda: lab.host.accepts_logins)
    assert "SERVER=http://localhost:9090/update\n" in (lab.host.state.conf or "")
    assert not lab.host.files.paths("/run/fleetctl")
    assert masks(lab)[0] is UnitFile.ABSENT
    lab.wait(60)
    values = repair_values([Residue.SERVER], server="http://own.example.net/v1/update/")
    assert lab.do(REPAIR, values, "o-bbbbbb") == 0
    assert "SERVER=http://own.example.net/v1/update/\n" in (lab.host.state.conf or "")


def test_a_kill_while_the_updater_downloads_keeps_locksmithd_held() -> None:
    lab = Ordered()
    lab.send(STAGE, stage_values(NEW))
    lab.until_operation(Operation.DOWNLOADING, 0.3)
    lab.run("systemctl", "stop", "fleetctl-o-aaaaaa")
    assert masks(lab)[3] == "o-aaaaaa"
    assert lab.log_of()[-1] == "update.conf as it was"
    lab.until_operation(Operation.IDLE)
    assert lab.told(What.ATTEMPT_FAILED) == ["9"]
    assert not lab.told(What.STAGED)
    assert lab.send(REPAIR, repair_values([Residue.LOCKSMITHD]), "o-bbbbbb")[0].word is Word.TAKEN
    assert lab.do(REPAIR, repair_values([Residue.LOCKSMITHD]), "o-bbbbbb", "o-aaaaaa") == 0
    assert masks(lab)[3] is None


def test_a_download_that_fails_ends_with_a_step_and_gives_all_back() -> None:
    lab = Ordered(fresh(OWN))
    lab.host.faults = Faults(payload_missing=True)
    assert lab.do(STAGE, stage_values(NEW)) == Exit.STEP_FAILED
    assert lab.host.state.conf == OWN
    assert lab.log_of()[2] == "flatcar-update ended with 22"
    assert lab.order_file() is None
    assert masks(lab)[0] is UnitFile.ABSENT


def test_what_the_server_offers_is_staged_and_locksmithd_does_not_reboot() -> None:
    lab = Ordered(fresh("REBOOT_STRATEGY=reboot\n"), alive=True)
    lab.run("systemctl", "start", "locksmithd")
    assert lab.do(STAGE, stage_values(None)) == 0
    assert lab.log_of() == [
        "locksmithd held",
        "update asked for",
        f"ended as {NEED_REBOOT}",
        "update.conf as it was",
    ]
    lab.wait(3600)
    assert not lab.told(What.REBOOTED)


def test_nothing_offered_gives_locksmithd_back() -> None:
    lab = Ordered(fresh("REBOOT_STRATEGY=reboot\n"))
    lab.server.offers.clear()
    lab.run("systemctl", "start", "locksmithd")
    assert lab.do(STAGE, stage_values(None)) == 0
    assert lab.log_of()[-3:] == [
        f"ended as {IDLE}", "update.conf as it was", "locksmithd given back, started",
    ]  # fmt: skip
    assert masks(lab) == (UnitFile.ABSENT, UnitFile.ABSENT, "active", None)


def test_an_updater_that_is_away_is_given_up_on() -> None:
    lab = Ordered()
    lab.send(STAGE, stage_values(None))
    lab.wait(1)
    lab.run("systemctl", "stop", "update-engine")
    assert lab.ended() == Exit.STEP_FAILED
    lab = Ordered()
    lab.run("systemctl", "mask", "--now", "update-engine")
    assert lab.send(STAGE, stage_values(None)) == (Reply(Word.REFUSED, "not-idle"), Exit.REFUSED)


def test_a_mask_of_the_updater_is_there_again_afterwards() -> None:
    lab = Ordered()
    lab.host.state = replace(
        lab.host.state,
        units={
            **lab.host.state.units,
            "update-engine.service": Unit("masked", "active", "running", "masked", "success"),
        },
    )
    lab.send(STAGE, stage_values(NEW))
    lab.wait(10)
    assert lab.host.state.units["update-engine.service"].file_state == "disabled"
    lab.run("systemctl", "stop", "fleetctl-o-aaaaaa")
    unit = lab.host.state.units["update-engine.service"]
    assert (unit.file_state, unit.active) == ("masked", "active")


def uploaded(lab: Ordered, name: str, content: bytes) -> PayloadFile:
    done = lab.exec(UPLOAD_COMMAND, upload_stdin("o-aaaaaa", name, 0, content[:5]))
    assert uploaded_length(done.stdout, "o-aaaaaa") == 5
    done = lab.exec(UPLOAD_COMMAND, upload_stdin("o-aaaaaa", name, 5, content[5:]))
    assert uploaded_length(done.stdout, "o-aaaaaa") == len(content)
    return PayloadFile(name, hashlib.sha256(content).hexdigest())


def test_an_uploaded_payload_is_checked_used_and_taken_away() -> None:
    lab = Ordered()
    payload = uploaded(lab, "flatcar_production_update.gz", b"a whole payload")
    extension = uploaded(lab, "oem-qemu.gz", b"an extension")
    assert lab.do(STAGE, stage_values(NEW, payload=payload, extensions=[extension])) == 0
    assert lab.told(What.STAGED) == [NEW]
    assert not lab.host.files.paths("/var/tmp/fleetctl-o-aaaaaa")
    lab = Ordered()
    uploaded(lab, payload.name, b"another payload")
    assert lab.do(STAGE, stage_values(NEW, payload=payload)) == Exit.BAD_PAYLOAD
    assert lab.log_of()[1] == f"payload {payload.name} missing or damaged"
    assert not lab.host.files.paths("/var/tmp/fleetctl-o-aaaaaa")
    assert Ordered().do(STAGE, stage_values(NEW, payload=payload)) == Exit.BAD_PAYLOAD


def test_a_piece_is_appended_only_where_it_fits_and_taken_away_on_demand() -> None:
    lab = Ordered()
    uploaded(lab, "p.gz", b"0123456789")
    again = lab.exec(UPLOAD_COMMAND, upload_stdin("o-aaaaaa", "p.gz", 5, b"56789"))
    assert (again.stdout, again.exit_status) == (b"", Exit.MOVED)
    lab.host.faults = Faults(disk_full=True)
    for name, length in (("p.gz", 10), ("q.gz", 0)):
        more = lab.exec(UPLOAD_COMMAND, upload_stdin("o-aaaaaa", name, length, b"more"))
        assert (more.stdout, more.exit_status) == (b"", Exit.NOT_STARTED)
    assert lab.exec(UPLOAD_COMMAND, b"o-aaaaaa\n../x\n0\n").exit_status == Exit.MALFORMED
    assert lab.exec(UPLOAD_COMMAND, b"o-aaaaaa\nx\n").exit_status == Exit.MALFORMED
    gone = lab.exec(UPLOAD_COMMAND, upload_stdin("o-aaaaaa", None, 0))
    assert gone.stdout == b"fleetctl o-aaaaaa length 0\n"
    assert not lab.host.files.paths("/var/tmp/fleetctl-o-aaaaaa")
