"""The lab proves itself: what other tests rely on is as on a Flatcar host.

The hosts live through the whole session: tests that only look come first. A test that needs a host as new
calls `lab.reinstall`.
"""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.lab.client import Lab, SlotFlags

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

NAMES = ("h1", "h2", "h3")
GET_STATUS = (
    "busctl --system --auto-start=no --json=short call com.coreos.update1 /com/coreos/update1"
    " com.coreos.update1.Manager GetStatus"
)


def test_three_hosts_answer_as_core_with_sudo(lab: Lab) -> None:
    assert tuple(lab.hosts) == NAMES
    for name in NAMES:
        assert lab.read(name, "id -un; sudo -n id -un") == "core\nroot"
        assert lab.read(name, "cat /etc/machine-id") != lab.read(name, "cat /proc/sys/kernel/random/boot_id")
    assert len({lab.read(name, "cat /etc/machine-id") for name in NAMES}) == 3
    assert len({lab.boot_id(name) for name in NAMES}) == 3


def test_a_target_names_the_host_its_key_and_known_host(lab: Lab) -> None:
    target = lab.hosts["h2"].target()
    assert (target.name, target.user, target.port) == ("h2", "core", 22)
    with socket.create_connection((target.address, target.port), 5) as link:
        assert link.recv(4) == b"SSH-"
    with open(target.known_hosts[0]) as known:
        assert sum(line.startswith(f"{target.address} ") for line in known) == 1
    assert target.identities == (str(lab.hosts["h2"].key),)


@pytest.mark.parametrize(("name", "disk"), [("h1", "sda"), ("h2", "nvme0n1p"), ("h3", "vda")])
def test_slots_are_partitions_of_the_hosts_own_disk(lab: Lab, name: str, disk: str) -> None:
    links = "/dev/disk/by-partlabel/USR-A /dev/disk/by-partlabel/USR-B"
    assert lab.read(name, f"rootdev -s /usr; readlink -f {links}").split() == [
        f"/dev/{disk}3",
        f"/dev/{disk}3",
        f"/dev/{disk}4",
    ]
    shown = lab.read(name, "sudo cgpt show /dev/disk/by-partlabel/USR-A")
    assert 'Label: "USR-A"' in shown
    assert "UUID: 7130C94A-213A-4E5A-8E26-6CCE9662F132" in shown
    assert "USR-B" not in shown
    assert lab.slots(name) == {"A": SlotFlags(1, 0, 1), "B": SlotFlags(0, 0, 0)}


def test_identity_files(lab: Lab) -> None:
    release = lab.read("h1", "cat /usr/lib/os-release /usr/share/flatcar/release")
    assert "ID=flatcar\n" in release
    assert "VERSION_ID=4459.2.0\n" in release
    assert "FLATCAR_RELEASE_VERSION=4459.2.0\n" in release
    assert "GROUP=stable" in lab.read("h1", "cat /usr/share/flatcar/update.conf")
    assert lab.read("h1", "stat -c '%a %U' /etc/flatcar/update.conf") == "644 root"
    assert "provisioningBootID" in json.loads(lab.read("h1", "sudo cat /etc/.ignition-result.json"))
    assert lab.run("h1", "type python3 perl apt-get mksquashfs").stdout == ""


def test_update_engine_answers_core_and_hides_its_prefs(lab: Lab) -> None:
    answer = json.loads(lab.read("h1", GET_STATUS))
    assert answer == {"type": "xdssx", "data": [0, 0.0, "UPDATE_STATUS_IDLE", "0.0.0", 0]}
    assert lab.run("h1", "ls /var/lib/update_engine/prefs").returncode != 0
    assert lab.read("h1", "sudo cat /var/lib/update_engine/prefs/aleph-version") == "4459.2.0"
    journal = lab.read("h1", "journalctl -q -b -u update-engine.service -o short-unix")
    assert re.search(
        r"^\d+\.\d+ flatcar-01 update_engine\[\d+\]: I\d{8} .* Flatcar Update Engine starting$", journal, re.M
    )


def test_systemd_answers_as_json(lab: Lab) -> None:
    shown = lab.read("h3", "systemctl show -p Version -p SystemState -p NFailedUnits")
    assert set(shown.splitlines()) >= {"SystemState=running", "NFailedUnits=0"}
    assert "Version=257" in shown
    assert json.loads(lab.read("h3", "systemctl list-units --state=failed --output=json")) == []


def test_extensions_are_merged_from_files_of_this_host_alone(lab: Lab) -> None:
    hierarchies = json.loads(lab.read("h1", "systemd-sysext status --json=short"))
    merged = next(row["extensions"] for row in hierarchies if row["hierarchy"] == "/usr")
    assert merged == ["containerd-flatcar", "docker-flatcar", "tailscale", "wasmtime"]
    listed = json.loads(lab.read("h1", "systemd-sysext list --json=short"))
    assert {row["name"]: row["path"] for row in listed} == {
        name: f"/etc/extensions/{name}.raw" for name in merged
    }
    assert lab.read("h1", "docker --version; wasmtime") == (
        "Docker version 28.0.4, build lab\nwasmtime 24.0.0 lab-stand-in"
    )
    files = lab.read("h1", "cat /sys/block/loop*/loop/backing_file").splitlines()
    for name in ("tailscale", "wasmtime"):
        target = lab.read("h1", f"readlink -f /etc/extensions/{name}.raw")
        assert files.count(target) == 1, files
    assert len(files) == len(merged) + 1, "and the disk itself"


def test_locksmithd_writes_its_state(lab: Lab) -> None:
    assert lab.read("h3", "systemctl is-active locksmithd || true") == "inactive"
    lab.read("h3", "sudo sed -i s/off/reboot/ /etc/flatcar/update.conf && sudo systemctl restart locksmithd")
    coordinator = "cat /run/update-engine/coordinator.conf 2>/dev/null || true"
    lab.wait(lambda: "STATE=running" in lab.read("h3", coordinator), "a coordinator.conf", 20)
    assert set(lab.read("h3", coordinator).splitlines()) == {
        "NAME=locksmithd",
        "STRATEGY=reboot",
        "STATE=running",
    }
    lab.read("h3", "sudo sed -i s/reboot/off/ /etc/flatcar/update.conf && sudo systemctl restart locksmithd")


def test_a_reboot_takes_the_staged_slot_and_the_engine_confirms_it(lab: Lab) -> None:
    before = lab.boot_id("h1")
    lab.knob("h1", {"confirm_after": "5"})
    assert lab.stage("h1") == "UPDATED_NEED_REBOOT"
    assert lab.slots("h1") == {"A": SlotFlags(1, 0, 1), "B": SlotFlags(2, 1, 0)}
    assert lab.run("h1", "ls /run/reboot-required /run/update_engine_autoupdate_completed").returncode == 0
    assert lab.reboot("h1") != before
    assert (lab.version("h1"), lab.state("h1")["slot"]) == ("4459.2.1", "USR-B")
    assert "containerd/v2 2.0.7" in lab.read("h1", "containerd --version")
    lab.wait(lambda: lab.slots("h1")["B"] == SlotFlags(2, 0, 1), "the confirmation", 20)
    assert lab.slots("h1")["A"] == SlotFlags(1, 0, 1)


def test_the_slots_kernel_proves_its_content(lab: Lab) -> None:
    verify = (
        "dev=/dev/disk/by-partlabel/USR-A; n=$(sudo blkid -p -o value -s FSSIZE $dev);"
        " sudo veritysetup verify $dev $dev {hash} --hash-offset=$n"
    )
    root_hash = lab.read("h2", "dd if=/boot/flatcar/vmlinuz-a bs=1 skip=64 count=64 status=none")
    assert f"verity.usrhash={root_hash}" in lab.read("h2", "cat /proc/cmdline")
    assert lab.run("h2", verify.format(hash=root_hash)).returncode == 0
    assert lab.run("h2", verify.format(hash="0" * 64)).returncode != 0


def test_a_release_that_panics_falls_back(lab: Lab) -> None:
    before = lab.boot_id("h2")
    lab.knob("h2", {"boot@4459.2.1": "panic"})
    assert lab.stage("h2") == "UPDATED_NEED_REBOOT"
    assert lab.reboot("h2") != before
    assert lab.version("h2") == "4459.2.0"
    assert lab.slots("h2") == {"A": SlotFlags(1, 0, 1), "B": SlotFlags(2, 0, 0)}
    assert lab.stage("h2") == "UPDATED_NEED_REBOOT"
    journal = lab.read("h2", "journalctl -b -u update-engine -o cat")
    assert "Rollback detected, still running 4459.2.0 after update." in journal


def test_a_damaged_payload_fails_and_leaves_the_flags(lab: Lab) -> None:
    lab.knob("h3", {"payload": "corrupt"})
    flags = lab.slots("h3")
    assert lab.stage("h3") == "IDLE"
    assert lab.slots("h3") == flags
    assert re.search(
        r"Updating payload state for error code: (10|29) \(kActionCode\w+\)",
        lab.read("h3", "journalctl -b -u update-engine -o cat"),
    )
    lab.knob("h3", {"payload": ""})
