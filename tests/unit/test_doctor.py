"""What doctor finds on this machine, and what it makes of the answers of hosts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors import store
from collectors.doctor_checks import (
    check_clock,
    check_database,
    check_fleet_file,
    check_keys,
    check_known_hosts,
)
from collectors.doctor_findings import Finding, Level, look_findings
from collectors.errors import Reach
from collectors.facts import HostFacts, Identity, OsRelease, Passing
from collectors.fleet_file import LoadedFleet, load_fleet
from collectors.migrations import schema
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.probe import sudoers_rule
from collectors.transport import Target

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEYGEN = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")


def loaded(folder: Path) -> LoadedFleet:
    path = folder / "fleet.toml"
    path.write_text('[[groups]]\nname = "edge"\nhosts = ["edge-[1-3]"]\n')
    path.chmod(0o644)
    return load_fleet(path)


def words(findings: Sequence[Finding]) -> list[tuple[Level, str]]:
    return [(finding.level, finding.words) for finding in findings]


def test_a_fleet_file_that_others_may_write_is_a_warning(tmp_path: Path) -> None:
    fleet = loaded(tmp_path)
    assert check_fleet_file(fleet) == Finding(Level.OK, "fleet file", "fleet.toml: 3 hosts, 1 groups")
    fleet.path.chmod(0o664)
    found = check_fleet_file(fleet)
    assert (found.level, found.remedy) == (Level.WARNING, f"chmod go-w {fleet.path}")


def test_a_database_is_looked_at_from_its_place_to_its_pages(tmp_path: Path) -> None:
    fleet = loaded(tmp_path)
    assert words(check_database(fleet)) == [(Level.OK, "fleet.db: none yet, `fleetctl collect` makes it")]
    store.open_writer(fleet.database_path).close()
    sound = (Level.OK, f"fleet.db: schema {schema()}, sound")
    assert words(check_database(fleet)) == [sound]
    fleet.database_path.chmod(0o644)
    assert words(check_database(fleet)) == [sound, (Level.WARNING, "others may read it")]
    fleet.database_path.write_bytes(b"no database at all" * 100)
    (found,) = check_database(fleet)
    assert found.level is Level.PROBLEM
    assert "cannot be read as a database" in found.words


def test_a_damaged_page_is_found(tmp_path: Path) -> None:
    fleet = loaded(tmp_path)
    conn = store.open_writer(fleet.database_path)
    conn.execute("PRAGMA journal_mode=DELETE")
    conn.close()
    data = bytearray(fleet.database_path.read_bytes())
    data[4096 + 8 : 4096 + 200] = b"\xff" * 192
    fleet.database_path.write_bytes(data)
    (found,) = check_database(fleet)
    assert (found.level, "damaged" in found.words or "cannot be read" in found.words) == (Level.PROBLEM, True)


def test_a_clock_before_the_release_feed_is_wrong() -> None:
    assert check_clock(NOW, NOW).level is Level.OK
    assert check_clock(datetime(1970, 1, 1, tzinfo=UTC), NOW).level is Level.PROBLEM


@KEYGEN
def test_keys_are_told_by_what_is_wrong_and_for_whom(tmp_path: Path) -> None:
    for name, phrase in (("good", ""), ("locked", "secret")):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", phrase, "-f", str(tmp_path / name)]
        subprocess.run(argv, check=True, capture_output=True)
    good, locked, none = (str(tmp_path / name) for name in ("good", "locked", "none"))
    (tmp_path / "good").chmod(0o640)
    targets = [
        Target("a", "a", identities=(good,)),
        Target("b-1", "b-1", identities=(locked,)),
        Target("b-2", "b-2", identities=(locked,)),
        Target("c", "c", identities=(none,), agent=str(tmp_path / "no-agent")),
    ]
    found = check_keys(targets)
    assert (Level.PROBLEM, "1 of 4 hosts have a key to be logged in to with") in words(found)
    told = {finding.words: finding.remedy for finding in found}
    assert any("locked is encrypted" in text and "(for b-[1-2])" in text for text in told)
    assert any("no such file" in text and "(for c)" in text for text in told)
    assert told[f"{good}: others may read it"] == f"chmod 600 {good}"
    assert any("no-agent does not answer" in text for text in told)


@KEYGEN
@pytest.mark.skipif(shutil.which("ssh-agent") is None, reason="OpenSSH's agent is not installed")
def test_an_encrypted_key_that_the_agent_holds_is_well(tmp_path: Path) -> None:
    key, socket = tmp_path / "key", tmp_path / "agent"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE)
    try:
        assert agent.stdout is not None
        assert b"SSH_AUTH_SOCK" in agent.stdout.readline()
        environment = {"SSH_AUTH_SOCK": str(socket), "PATH": "/usr/bin:/bin"}
        target = Target("a", "a", identities=(str(key),), agent=str(socket))
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(key)], check=True, capture_output=True
        )
        empty = check_keys([target])
        assert (Level.WARNING, f"{socket} holds no key") in words(empty)
        assert (Level.PROBLEM, "0 of 1 hosts have a key to be logged in to with") in words(empty)
        plain = tmp_path / "plain"
        shutil.copy(key, plain)
        plain.chmod(0o600)
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "secret", "-N", "", "-f", str(plain)],
            check=True,
            capture_output=True,
        )
        subprocess.run(["ssh-add", "-q", str(plain)], check=True, env=environment, capture_output=True)
        assert {finding.level for finding in check_keys([target])} == {Level.OK}
    finally:
        agent.terminate()
        agent.wait()
        assert agent.stdout is not None
        agent.stdout.close()


def test_hosts_and_jump_hosts_without_a_key_on_file_are_named(tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    blob = "AAAAC3NzaC1lZDI1NTE5AAAAIFIfzKclFCCMVnw62mntGQFDv8h2wkDpGhjjzMxvKF8w"
    known.write_text(f"a ssh-ed25519 {blob}\n@cert-authority *.example.net ssh-ed25519 {blob}\n")
    files = (str(known),)
    jump = Target("jump", "jump", known_hosts=files)
    targets = {
        "a": Target("a", "a", known_hosts=files),
        "b": Target("b", "b.example.net", known_hosts=files, jump=jump),
        "c": Target("c", "c", known_hosts=files),
    }
    (found,) = check_known_hosts(targets)
    assert found.words == "no key on file for 2 of 4 hosts: c, jump"
    assert (found.level, found.is_of_hosts) == (Level.PROBLEM, True)
    (whole,) = check_known_hosts({"a": targets["a"]})
    assert whole.level is Level.OK


def answer(
    host: str, *, privileged: bool = True, synced: bool | None = True, system: str = "flatcar"
) -> Answer:
    facts = HostFacts(
        complete=True,
        privileged=privileged,
        identity=Identity(),
        os=OsRelease(id=system),
        passing=Passing(time_synced=synced),
    )
    return Answer(host, NOW, facts, 0.1)


def test_what_hosts_answer_is_summed_up_with_a_remedy_for_each_kind() -> None:
    seen: list[Observation] = [
        answer("edge-1"),
        answer("edge-2", privileged=False),
        answer("edge-3", synced=False),
        answer("other", system="debian"),
        ProbeFailed("db-1", NOW, Reach.AUTH_FAILED, "does not let core in"),
        ProbeFailed("db-2", NOW, Reach.AUTH_FAILED, "does not let core in"),
    ]
    found = look_findings(seen)
    assert words(found) == [
        (Level.WARNING, "4 of 6 answered the probe to its end"),
        (Level.PROBLEM, "not let in: db-[1-2] (db-1: does not let core in)"),
        (Level.WARNING, "not Flatcar: other"),
        (Level.WARNING, "no sudo for the probe, so no slots: edge-2"),
        (Level.WARNING, "not set by the network: edge-3"),
    ]
    assert all(finding.remedy for finding in found[1:])
    assert all(finding.is_of_hosts for finding in found if finding.level is Level.PROBLEM)


def test_all_well_is_three_lines() -> None:
    found = look_findings([answer("edge-1"), answer("edge-2", synced=None)])
    assert {finding.level for finding in found} == {Level.OK}
    assert [finding.subject for finding in found] == ["hosts", "sudo", "hosts' clocks"]


def test_the_rule_is_one_line_for_one_user() -> None:
    rule = sudoers_rule("ops")
    assert rule.count("\n") == 1
    assert rule.startswith("ops ALL=(root) NOPASSWD: /bin/bash")
