"""The real text of `stage` under a real bash, on a made-up host: what the updater sees, leaves and loses."""

from __future__ import annotations

from pathlib import Path

import pytest

from actions.remote.cancel import CANCEL, cancel_values
from actions.remote.order import Word
from actions.remote.stage import STAGE, PayloadFile, stage_values
from actions.remote.words import Exit
from tests.e2e.remote_host import IDLE, MASK, NEED_REBOOT, ODD, STAGED, RemoteHost, is_unfit, state

pytestmark = pytest.mark.skipif(is_unfit(), reason="needs user namespaces and a merged /usr")


@pytest.fixture
def host(tmp_path: Path) -> RemoteHost:
    return RemoteHost.make(tmp_path / "root")


@pytest.mark.parametrize("how", ["stage", "fail", "kill"])
@pytest.mark.parametrize("content", [ODD, b"", None, b"SERVER=disabled\nA=1\n"])
def test_staging_leaves_update_conf_byte_for_byte(host: RemoteHost, how: str, content: bytes | None) -> None:
    host.conf(content)
    if content is not None:
        host.path("/etc/flatcar/update.conf").chmod(0o640)
    state(host, {"updater": how})
    reply, _ = host.send(STAGE, stage_values("4593.2.5"))
    assert reply.word is Word.STARTED
    assert "flatcar-update --to-version 4593.2.5" in host.calls
    assert host.conf_now() == content
    if content is not None:
        assert host.path("/etc/flatcar/update.conf").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in host.path("/etc/flatcar").iterdir()] == (
        [] if content is None else ["update.conf"]
    )
    staged = how == "stage"
    assert int(host.get("status")) == {"stage": 0, "fail": Exit.STEP_FAILED, "kill": 137}[how]
    assert host.path(MASK).is_symlink() is staged
    assert host.path("/state/units/locksmithd.service").exists() is not staged
    assert host.path("/run/fleetctl/order").exists() is staged
    assert sorted(path.suffix for path in host.path("/run/fleetctl").glob("o-*")) == [
        ".in", ".log", ".over", ".sh",
    ]  # fmt: skip


def test_the_updater_finds_its_server_where_the_last_line_has_no_end(host: RemoteHost) -> None:
    host.conf(b"GROUP=stable\r\n# no end")
    host.send(STAGE, stage_values("4593.2.5"))
    assert host.path("/state/conf_used").read_bytes() == (
        b"GROUP=stable\r\n# no end\nSERVER=http://localhost:9090/update\n"
    )
    assert host.conf_now() == b"GROUP=stable\r\n# no end"


@pytest.mark.parametrize(("ends", "status"), [(NEED_REBOOT, 0), (IDLE, Exit.STEP_FAILED)])
def test_an_updater_that_kills_its_group_is_judged_by_what_is_staged(
    host: RemoteHost, ends: str, status: int
) -> None:
    state(host, {"updater": "kill-group", "after_attempt": ends})
    host.send(STAGE, stage_values("4593.2.5"))
    assert int(host.get("status")) == status
    assert "flatcar-update ended with 143" in host.told


def test_a_link_in_place_of_update_conf_stays_one(host: RemoteHost) -> None:
    host.path("/etc/kept").write_bytes(ODD)
    host.conf(None)
    host.path("/etc/flatcar/update.conf").symlink_to("../kept")
    state(host, {"updater": "kill"})
    host.send(STAGE, stage_values("4593.2.5"))
    assert host.path("/etc/flatcar/update.conf").readlink() == Path("../kept")
    assert host.path("/etc/kept").read_bytes() == ODD


def test_a_masked_updater_is_masked_again(host: RemoteHost) -> None:
    mask = host.path("/etc/systemd/system/update-engine.service")
    mask.symlink_to("/dev/null")
    host.send(STAGE, stage_values("4593.2.5"))
    assert mask.is_symlink()


def test_a_locksmithd_masked_by_others_is_left_alone(host: RemoteHost) -> None:
    mask = host.path("/etc/systemd/system/locksmithd.service")
    mask.symlink_to("/dev/null")
    host.path("/state/units/locksmithd.service").unlink()
    assert host.send(STAGE, stage_values("4593.2.5"))[0].word is Word.STARTED
    state(host, STAGED)
    assert host.send(CANCEL, cancel_values(), order="o-bbbbbb", follows="o-aaaaaa")[0].word is Word.STARTED
    assert mask.is_symlink()
    assert not [call for call in host.calls if "mask" in call and "locksmithd" in call]
    assert not any(call.startswith("systemctl start") for call in host.calls)


def test_a_locksmithd_unit_of_the_hosts_own_cannot_be_held(host: RemoteHost) -> None:
    host.path("/etc/systemd/system/locksmithd.service").write_text("[Service]\n")
    reply, status = host.send(STAGE, stage_values("4593.2.5"))
    assert (reply.word, reply.detail, status) == (Word.REFUSED, "locksmithd-in-etc", Exit.REFUSED)
    assert host.send(STAGE, stage_values("4593.2.5", hold_locksmithd=False))[0].word is Word.STARTED


@pytest.mark.parametrize(("ends", "held"), [(IDLE, False), (NEED_REBOOT, True)])
def test_the_servers_offer_is_waited_for(host: RemoteHost, ends: str, held: bool) -> None:
    state(host, {"after_attempt": ends} | ({"gpt_B": "1 0 1"} if ends == IDLE else {}))
    if held:
        program = host.path("/sbin-stand-ins/busctl")
        text = program.read_text().replace(
            "cat /state/after_attempt", "echo 3 1 0 >/state/gpt_B; cat /state/after_attempt"
        )
        program.write_text(text)
    assert host.send(STAGE, stage_values(None))[0].word is Word.STARTED
    assert f"ended as {ends}" in host.told
    assert host.path(MASK).is_symlink() is held
    assert host.path("/state/units/locksmithd.service").exists() is not held


def test_an_uploaded_payload_is_compared_used_and_removed(host: RemoteHost) -> None:
    folder = host.path("/var/tmp/fleetctl-o-aaaaaa")
    folder.mkdir()
    (folder / "update.gz").write_bytes(b"payload")
    good = PayloadFile("update.gz", "239f59ed55e737c77147cf55ad0c1b030b6d7ee748a7426952f9b852d5a935e5")
    host.send(STAGE, stage_values("4593.2.5", payload=good))
    assert (
        "flatcar-update --to-version 4593.2.5 --to-payload /var/tmp/fleetctl-o-aaaaaa/update.gz" in host.calls
    )
    assert not folder.exists()
    state(host, {"gpt_B": "1 0 1", "op": IDLE})
    bad = PayloadFile("update.gz", "0" * 64)
    host.path("/var/tmp/fleetctl-o-bbbbbb").mkdir()
    host.send(STAGE, stage_values("4593.2.5", payload=bad), order="o-bbbbbb", follows="o-aaaaaa")
    assert int(host.get("status")) == Exit.BAD_PAYLOAD
    assert not host.path("/var/tmp/fleetctl-o-bbbbbb").exists()
