"""fleetctl on booted hosts: real systemd, sshd, sudo, D-Bus, systemd-sysext, a GPT on three kinds of disk.

Runs after test_lab, which wants the hosts as they were first installed: here each test reinstalls its own.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from collectors.probe import sudoers_rule
from tests.e2e.demo_fleet import FLEETCTL, PLAIN
from tests.lab.client import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Fleet:
    """The lab's hosts as a fleet with a database of its own."""

    folder: Path

    @classmethod
    def of(cls, lab: Lab, folder: Path) -> Fleet:
        hosts = list(lab.hosts.values())
        lines = [
            'name = "lab"',
            f'[ssh]\nuser = "core"\nagent = false\nconfig = "none"\nidentities = ["{hosts[0].key}"]',
            f'known_hosts = "{hosts[0].known_hosts}"',
            '[health]\nunits = ["containerd.service"]',
            *(f'[[hosts]]\nname = "{host.name}"\naddress = "{host.address}"' for host in hosts),
        ]
        (folder / "fleet.toml").write_text("\n".join(lines) + "\n")
        return cls(folder)

    def run(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(
            [*FLEETCTL, "--fleet", str(self.folder / "fleet.toml"), *words],
            capture_output=True,
            text=True,
            env=PLAIN,
            timeout=200,
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout or done.stderr

    def following(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on until it is ended."""
        return subprocess.Popen(
            [*FLEETCTL, "--fleet", str(self.folder / "fleet.toml"), *words],
            stdout=subprocess.PIPE,
            text=True,
            env=PLAIN,
        )

    def look(self, name: str) -> dict[str, Any]:
        """A fresh look at one host."""
        self.run("collect", "--host", name)
        found: dict[str, Any] = json.loads(self.run("show", name, "--json"))
        return found


def codes(host: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in host["situation"]["reasons"]}


def test_fresh_hosts_are_read_to_the_ground_on_every_kind_of_disk(lab: Lab, tmp_path: Path) -> None:
    for name in lab.hosts:
        lab.reinstall(name)
    fleet = Fleet.of(lab, tmp_path)
    assert "3 of 3 hosts answered" in fleet.run("collect")
    hosts = {host["name"]: host for host in json.loads(fleet.run("status", "--json"))["hosts"]}
    for name, disk in (("h1", "sda"), ("h2", "nvme0n1p"), ("h3", "vda")):
        host = hosts[name]
        assert (host["reach"]["state"], host["reach"]["privileged"]) == ("ok", True)
        assert host["os"]["version_id"] == lab.version(name)
        assert host["os"]["systemd"].startswith("257")
        assert host["boot"]["id"] == lab.boot_id(name)
        slots = host["slots"]
        assert (slots["running"], slots["next"], slots["fallback"]) == ("A", "A", "none")
        assert slots["a"]["device"] == f"/dev/{disk}3"
        assert slots["a"]["version"] == host["os"]["version_id"]
        assert (slots["b"]["priority"], slots["b"]["version"]) == (0, None)
        assert host["update"]["operation"] == "UPDATE_STATUS_IDLE"
        assert host["reboot"]["will_reboot_by_itself"] is False
        merged = {item["name"] for item in host["extensions"] if item["merged"]}
        assert {"docker-flatcar", "containerd-flatcar"} <= merged
        assert "never_updated" in codes(host)
        assert not codes(host) & {"extension_staged", "extension_incompatible", "section_unread", "odd_text"}
    text = fleet.run("status")
    assert "A►4459.2.0" in text


def test_staging_a_reboot_and_its_confirmation_are_seen_as_they_happen(lab: Lab, tmp_path: Path) -> None:
    lab.reinstall("h2")
    fleet = Fleet.of(lab, tmp_path)
    before = fleet.look("h2")
    lab.stage("h2")
    staged = fleet.look("h2")
    version = staged["update"]["new_version"]
    assert staged["situation"]["state"] == "staged"
    assert (staged["slots"]["next"], staged["slots"]["b"]["version"]) == ("B", version)
    assert staged["slots"]["next_words"] == f"B {version}, one try, else back to A"
    assert staged["reboot"]["required_marker"] is True
    lab.knob("h2", {"confirm_after": "15"})
    lab.reboot("h2")
    fresh = fleet.look("h2")
    assert fresh["boot"]["id"] != before["boot"]["id"]
    assert fresh["slots"]["running"] == "B"
    assert fresh["os"]["version_id"] == version
    assert (fresh["slots"]["a"]["version"], fresh["slots"]["a"]["version_source"]) == (
        before["os"]["version_id"],
        "remembered",
    )
    assert fresh["boot"]["confirmed"] is False
    assert fresh["situation"]["state"] == "unconfirmed"
    lab.wait(lambda: lab.slots("h2")["B"].successful == 1, "confirmation")
    confirmed = fleet.look("h2")
    assert "unconfirmed" not in codes(confirmed)
    assert {"just_updated", "rollback_available"} <= codes(confirmed)


def test_a_failed_update_and_a_flipped_extension_are_told(lab: Lab, tmp_path: Path) -> None:
    lab.reinstall("h1")
    fleet = Fleet.of(lab, tmp_path)
    lab.sysext("h1", "add", "wasmtime")
    assert "wasmtime" in {item["name"] for item in fleet.look("h1")["extensions"] if item["merged"]}
    lab.knob("h1", {"payload": "corrupt"})
    lab.run("h1", "update_engine_client -update", timeout_s=120)
    failed = fleet.look("h1")
    assert failed["update"]["operation"] == "UPDATE_STATUS_IDLE"
    assert failed["situation"]["state"] == "failed"
    assert failed["update"]["error"]["code"] is not None


ONLY_THE_RULE = """set -e
cat >/etc/sudoers.d/rule.off
grep -v '^core' /etc/sudoers >/run/sudoers.new
echo 'core ALL=(root) NOPASSWD: /bin/mv /etc/sudoers.d/rule.off /etc/sudoers.d/rule' >/run/move
find /etc/sudoers.d -type f ! -name rule.off -delete
cat /run/sudoers.new >/etc/sudoers
cp /run/move /etc/sudoers.d/move
chmod 440 /etc/sudoers.d/*
"""
"""From here on core may do nothing as root but bring the rule into force; sudo skips names with a dot."""


def test_without_sudo_all_but_the_slots_is_shown_and_one_rule_is_enough(lab: Lab, tmp_path: Path) -> None:
    lab.reinstall("h3")
    fleet = Fleet.of(lab, tmp_path)
    done = lab.run("h3", f"sudo -n bash -c {shlex.quote(ONLY_THE_RULE)}", stdin=sudoers_rule("core"))
    assert done.returncode == 0, done.stderr
    refused = fleet.look("h3")
    assert (refused["reach"]["state"], refused["reach"]["privileged"]) == ("ok", False)
    assert (refused["slots"], refused["situation"]["state"]) == (None, "incomplete")
    assert "unprivileged" in codes(refused)
    assert refused["os"]["version_id"] == "4459.2.0"
    assert refused["update"]["operation"] == "UPDATE_STATUS_IDLE"
    moved = lab.run("h3", "sudo -n /bin/mv /etc/sudoers.d/rule.off /etc/sudoers.d/rule")
    assert moved.returncode == 0, moved.stderr
    allowed = fleet.look("h3")
    assert allowed["reach"]["privileged"] is True
    assert allowed["slots"]["running"] == "A"
    assert lab.run("h3", "sudo -n true").returncode != 0
    lab.reinstall("h3")


NO_JOURNAL = """for g in $(id -nG core); do [ "$g" = core ] || gpasswd -d core "$g"; done"""
NO_SUDO = "rm /etc/sudoers.d/core; sed -i '/^core/d' /etc/sudoers"


def test_the_updaters_log_is_read_by_sudo_where_the_user_may_not_read_the_journal(
    lab: Lab, tmp_path: Path
) -> None:
    lab.reinstall("h3")
    fleet = Fleet.of(lab, tmp_path)
    assert "Update Engine starting" in fleet.run("logs", "h3")
    assert lab.run("h3", f"sudo -n bash -c {shlex.quote(NO_JOURNAL)}").returncode == 0
    assert "insufficient permissions" in lab.run("h3", "journalctl -q -u update-engine.service").stderr
    assert "Update Engine starting" in fleet.run("logs", "h3")
    assert len(fleet.run("logs", "h3", "-n", "3").splitlines()) == 3
    with fleet.following("logs", "-f", "h3") as process:
        assert process.stdout is not None
        assert any("Update Engine starting" in line for line in process.stdout)
        lab.read("h3", "update_engine_client -check_for_update")
        assert any("Omaha" in line for line in process.stdout)
        process.terminate()
    assert lab.run("h3", f"sudo -n bash -c {shlex.quote(NO_SUDO)}").returncode == 0
    told = fleet.run("logs", "h3", code=3)
    assert "core may not read the journal; on the host: usermod -aG systemd-journal core" in told
    assert "may not read the journal" in fleet.run("logs", "-f", "h3", code=3)
    lab.reinstall("h3")
