"""flatcar-update on a live host: staging one version, and the traces that the real script leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from collectors.facts import Operation
from console.demo.live.body import Body, Call
from console.demo.live.kinds import Faults, Reply, What
from tests.unit.live_lab import NEW, NEWEST, OLD, Lab, fresh
from tests.unit.live_states import CLIENT, b_good, staged

OWN = "GROUP=stable\nSERVER=https://updates.example.net/v1/update/\nREBOOT_STRATEGY=off\n"
LOCAL = "SERVER=http://localhost:9090/update"


def test_it_stages_the_wished_version_whatever_the_server_offers() -> None:
    lab = Lab(fresh(OWN))
    found = lab.run("flatcar-update", "--to-version", NEWEST)
    assert found.exit_status == 0
    assert found.stdout.decode().splitlines()[-1].startswith("Done, please make sure to reboot")
    assert b"Warning: found hardcoded GROUP=stable" in found.stderr
    assert lab.told(What.STAGED) == [NEWEST]
    assert sorted((lab.host.state.conf or "").splitlines()) == sorted(OWN.splitlines())


def test_it_goes_down_as_well_as_up() -> None:
    lab = b_good()
    assert lab.run("flatcar-update", "-V", OLD).exit_status == 0
    lab.reboot()
    assert lab.host.state.version == OLD


def test_afterwards_disabled() -> None:
    lab = Lab(fresh(OWN))
    found = lab.run("flatcar-update", "-V", NEW, "-A")
    assert b"Setting SERVER=disabled in /etc/flatcar/update.conf\n" in found.stdout
    assert "SERVER=disabled" in (lab.host.state.conf or "")
    assert "updates.example.net" not in (lab.host.state.conf or "")


def test_a_failed_download_leaves_its_own_address_and_loses_the_old_one() -> None:
    lab = Lab(fresh(OWN))
    found = lab.run("flatcar-update", "-V", "9999.9.9")
    assert found.exit_status == 22
    assert lab.host.state.conf == f"GROUP=stable\nREBOOT_STRATEGY=off\n{LOCAL}\n"
    lab.run(CLIENT, "-update")
    assert lab.told(What.ATTEMPT_FAILED) == ["37"], "such a host gets no update any more"


@pytest.mark.parametrize(
    ("fault", "status"), [(Faults(payload_missing=True), 22), (Faults(disk_full=True), 23)]
)
def test_other_failures_of_the_download(fault: Faults, status: int) -> None:
    lab = Lab(fresh(OWN), faults=fault)
    assert lab.run("flatcar-update", "-V", NEW).exit_status == status
    assert LOCAL in (lab.host.state.conf or "")


def test_a_kill_in_mid_way_leaves_the_same() -> None:
    lab = Lab(fresh(OWN))
    pending = lab.start("flatcar-update", "-V", NEW)
    lab.wait(50)
    pending.kill()
    assert pending.is_lost
    lab.wait(300)
    assert LOCAL in (lab.host.state.conf or "")


def test_a_failed_update_restores_the_server_and_names_no_cause() -> None:
    lab = Lab(fresh(OWN), faults=Faults(bad_payload=True))
    found = lab.run("flatcar-update", "-V", NEW)
    assert found.exit_status == 1
    assert found.stderr.decode().splitlines()[-1] == "Error: update failed"
    assert LOCAL not in (lab.host.state.conf or "")
    assert "updates.example.net" in (lab.host.state.conf or "")


def test_it_refuses_where_something_is_staged() -> None:
    lab = staged()
    before = lab.host.state.conf
    found = lab.run("flatcar-update", "-V", NEWEST)
    assert found.exit_status == 1
    assert b"a previously downloaded update wasn't applied yet" in found.stderr
    assert lab.host.state.conf == before


def test_two_at_once_do_not_share_a_port() -> None:
    lab = Lab()
    lab.start("flatcar-update", "-V", NEW)
    lab.until_operation(Operation.DOWNLOADING)
    found = lab.run("flatcar-update", "-V", NEW)
    assert (found.exit_status, found.stderr) == (1, b"Error: some process is using port 9090\n")


def test_it_needs_root_and_unmasks_the_daemon_for_good() -> None:
    lab = Lab()
    assert lab.run("flatcar-update", "-V", NEW, uid=500).exit_status == 1
    lab.run("systemctl", "mask", "--now", "update-engine")
    assert lab.run("sudo", "-n", "flatcar-update", "-V", NEW, uid=500).exit_status == 0
    assert not lab.host.state.units["update-engine.service"].is_masked


def test_a_mask_in_run_makes_it_give_up_before_it_changes_anything() -> None:
    lab = Lab(fresh(OWN))
    lab.run("systemctl", "mask", "--runtime", "--now", "update-engine")
    found = lab.run("flatcar-update", "-V", NEW)
    assert found.exit_status == 1
    assert b"is masked" in found.stderr
    assert lab.host.state.conf == OWN


def test_a_payload_file_has_to_be_there() -> None:
    lab = Lab()
    argv = ("flatcar-update", "-V", NEW, "-P", "/var/tmp/payload.gz")
    assert lab.run(*argv).exit_status == 1
    lab = Lab()
    lab.host.files.write("/var/tmp/payload.gz", b"payload")
    assert lab.run(*argv).exit_status == 0
    assert lab.told(What.STAGED) == [NEW]


def test_in_a_unit_of_its_own_it_outlives_its_caller_and_cleans_up_when_stopped() -> None:
    lab = Lab(fresh(OWN))

    def restore(body: Body, call: Call) -> Reply:
        lab.host.files.write("/etc/flatcar/update.conf", OWN.encode())
        return Reply()

    lab.host.body.programs["restore"] = restore
    argv = ("systemd-run", "--unit=fleetctl-7", "-p", "RemainAfterExit=yes", "-p", "ExecStopPost=restore")
    shell = ("bash", "-c", f"set -o pipefail; flatcar-update --to-version {NEW} 2>&1 | cat")
    assert lab.run(*argv, *shell).exit_status == 0
    again = lab.run(*argv, *shell)
    assert again.exit_status == 1
    assert b"was already loaded" in again.stderr
    lab.wait(10)
    assert LOCAL in (lab.host.state.conf or "")
    lab.run("systemctl", "stop", "fleetctl-7")
    assert lab.host.state.conf == OWN
    lab.wait(600)
    assert not lab.told(What.STAGED)


def test_a_unit_is_stopped_by_a_reboot_and_cut_off_by_a_power_failure() -> None:
    stop_post = ("-p", "ExecStopPost=rm /run/reboot-required")
    argv = ("systemd-run", "--unit=fleetctl-7", *stop_post, "flatcar-update", "-V", NEW)
    lab = Lab(replace(fresh(OWN), reboot_required=True))
    lab.run(*argv)
    lab.run("systemctl", "reboot")
    assert not lab.host.state.reboot_required
    lab = Lab(replace(fresh(OWN), reboot_required=True))
    lab.run(*argv)
    lab.host.reset_power()
    assert lab.host.state.reboot_required


def test_its_output_is_in_the_unit_s_journal() -> None:
    lab = Lab()
    lab.run("systemd-run", "--unit=fleetctl-8", "-p", "RemainAfterExit=yes", "flatcar-update", "-V", NEW)
    lab.wait(300)
    told = lab.run("journalctl", "-u", "fleetctl-8", "-o", "cat").stdout.decode()
    assert "Forcing update...\n" in told
    assert lab.run("systemctl", "show", "-p", "ActiveState,SubState", "fleetctl-8").stdout == (
        b"ActiveState=active\nSubState=exited\n"
    )
