"""A demo's plan and its directory."""

from __future__ import annotations

import json
import resource
import socket
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collectors.errors import ConfigError
from console.demo import fleet as demo_fleet
from console.demo.fleet import DemoFleet, free_places, prepare
from console.demo.plan import DEFAULT_HOSTS, MOST_HOSTS, plan
from console.demo.scenarios import SCENARIOS
from console.demo.server import allow_open_files

START = datetime(2026, 8, 18, 10, 20, 30, tzinfo=UTC)


def fleet_file(demo: DemoFleet) -> dict[str, Any]:
    return tomllib.loads(demo.fleet_file.read_text())


# -- plan --------------------------------------------------------------------------------------


def test_default_demo_has_every_scenario_once() -> None:
    hosts = plan(None, {})
    assert len(hosts) == DEFAULT_HOSTS
    assert [host.scenario.name for host in hosts] == list(SCENARIOS)


def test_small_demo_has_the_first_scenarios() -> None:
    assert [host.scenario.name for host in plan(3, {})] == list(SCENARIOS)[:3]


def test_hosts_beyond_the_scenarios_are_a_quiet_mix() -> None:
    more = Counter(host.scenario.name for host in plan(440, {})[len(SCENARIOS) :])
    assert set(more) == {"current", "behind", "staged"}
    assert more["current"] > more["behind"] > more["staged"] > 0


def test_large_demo_has_all_channels_architectures_and_disks() -> None:
    flavours = [host.flavour for host in plan(400, {})]
    assert {flavour.channel for flavour in flavours} == {"stable", "beta", "lts", "lts-2023"}
    assert {flavour.arch for flavour in flavours} == {"amd64", "arm64"}
    assert {flavour.disk for flavour in flavours} == {"sda", "nvme0n1", "vda"}


def test_small_demo_mixes_channels_and_architectures_too() -> None:
    flavours = [host.flavour for host in plan(None, {})]
    assert {flavour.channel for flavour in flavours} == {"stable", "beta", "lts"}
    assert {flavour.arch for flavour in flavours} == {"amd64", "arm64"}


def test_counted_scenarios_come_alone_or_with_quiet_hosts() -> None:
    counts = {"failed": 2, "hostile": 1}
    assert [host.scenario.name for host in plan(None, counts)] == ["failed", "failed", "hostile"]
    assert Counter(host.scenario.name for host in plan(13, counts)) == {
        "failed": 2, "hostile": 1, "current": 7, "behind": 2, "staged": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hosts", "counts", "message"),
    [
        (0, {}, f"needs a number from 1 to {MOST_HOSTS}"),
        (MOST_HOSTS + 1, {}, "needs a number from 1"),
        (None, {"behind": MOST_HOSTS + 1}, "needs a number from 1"),
        (2, {"behind": 3}, "2 hosts do not hold 3 scenarios"),
    ],
)
def test_impossible_wishes_are_refused(hosts: int | None, counts: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(hosts, counts)


def test_names_are_unique_and_fit_their_groups() -> None:
    hosts = plan(2000, {})
    assert len({host.name for host in hosts}) == 2000
    for host in hosts:
        assert host.name.startswith(f"{host.group}-{host.site}-")
    names = {host.name for host in hosts}
    assert {"edge-fra-01", "k8s-fra-w01", "db-ams-2"} <= names


def test_every_planned_host_can_be_built() -> None:
    from console.demo.healthy import HostSpec

    hosts = [item.scenario.build(HostSpec(item.name, START, item.flavour)) for item in plan(300, {})]
    assert len({host.hardware.machine_id for host in hosts}) == 300
    assert len({host.boot_id for host in hosts}) == 300


# -- directory ---------------------------------------------------------------------------------


@pytest.fixture
def demo(tmp_path: Path) -> DemoFleet:
    return prepare(tmp_path / "demo", None, {}, START)


def test_fleet_file_names_its_own_files_and_reads_no_others(demo: DemoFleet) -> None:
    found = tomllib.loads(demo.fleet_file.read_text())
    assert found["name"] == "demo"
    assert found["database"] == "demo.db"
    ssh = found["ssh"]
    assert (ssh["user"], ssh["agent"], ssh["config"]) == ("core", False, "none")
    assert (demo.directory / ssh["identities"][0]).exists()
    assert (demo.directory / ssh["known_hosts"]).exists()
    assert found["feeds"] == {"offline": True, "file": "releases.json"}
    assert "4593.2.5" in json.loads((demo.directory / "releases.json").read_text())


def test_fleet_file_has_each_host_once_in_one_group(demo: DemoFleet) -> None:
    found = fleet_file(demo)
    names = [str(host["name"]) for host in found["hosts"]]
    grouped = [name for group in found["groups"] for name in group["hosts"]]
    assert len(set(names)) == len(names) == DEFAULT_HOSTS
    assert sorted(grouped) == sorted(names)
    assert {str(group["updates"]) for group in found["groups"]} == {"self"}
    wanted = {str(group["name"]): str(group["channel"]) for group in found["groups"]}
    assert wanted == {"edge": "stable", "k8s": "stable", "db": "stable", "canary": "beta", "vault": "lts"}


def test_only_the_held_host_has_a_hold(demo: DemoFleet) -> None:
    held = {str(host["name"]) for host in fleet_file(demo)["hosts"] if "hold" in host}
    assert {demo.scenarios[name] for name in held} == {"held"}


def test_secret_is_private_and_the_rest_is_readable(demo: DemoFleet) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in demo.directory.iterdir()}
    assert modes.pop("demo_key") == 0o600
    assert set(modes) == {"fleet.toml", "known_hosts", "releases.json", "scenarios.json"}
    assert demo.directory.stat().st_mode & 0o777 == 0o700
    assert "BEGIN OPENSSH PRIVATE KEY" in (demo.directory / "demo_key").read_text()


def test_scenarios_file_tells_which_host_is_what(demo: DemoFleet) -> None:
    found = json.loads((demo.directory / "scenarios.json").read_text())
    assert found == demo.scenarios
    assert sorted(found.values()) == sorted(SCENARIOS)


def test_known_hosts_has_the_right_key_no_key_or_another(demo: DemoFleet) -> None:
    lines = (demo.directory / "known_hosts").read_text().splitlines()
    known = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines}
    for host in demo.hosts:
        recorded = known.get(f"[{host.served.address}]:{host.served.port}")
        match host.planned.scenario.name:
            case "key_unknown":
                assert recorded is None
            case "key_changed":
                assert recorded not in (None, host.served.key.public_text)
            case _:
                assert recorded == host.served.key.public_text


def test_host_keys_are_all_different(demo: DemoFleet) -> None:
    keys = {host.served.key.public_text for host in demo.hosts} | {demo.login_key.public_text}
    assert len(keys) == DEFAULT_HOSTS + 1


def test_own_directory_is_rewritten_and_the_database_stays(demo: DemoFleet) -> None:
    (demo.directory / "demo.db").write_text("kept")
    again = prepare(demo.directory, 3, {}, START)
    assert len(fleet_file(again)["hosts"]) == 3
    assert (demo.directory / "demo.db").read_text() == "kept"
    assert not list(demo.directory.glob(".*"))


@pytest.mark.parametrize("name", ["fleet.toml", "known_hosts", "demo_key", "releases.json"])
def test_somebody_elses_file_is_never_touched(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(ConfigError, match="is not a demo's own") as caught:
        prepare(tmp_path, 3, {}, START)
    assert caught.value.file == str(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine\n"


def test_other_files_in_the_directory_are_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine\n")
    prepare(tmp_path, 3, {}, START)
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


def test_link_in_a_files_place_is_replaced_not_followed(demo: DemoFleet, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    (demo.directory / "known_hosts").unlink()
    (demo.directory / "known_hosts").symlink_to(victim)
    prepare(demo.directory, 3, {}, START)
    assert victim.read_text() == "mine\n"
    assert not (demo.directory / "known_hosts").is_symlink()


def test_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        prepare(tmp_path / "file", 3, {}, START)


# -- places ------------------------------------------------------------------------------------


def test_a_taken_port_is_passed_over() -> None:
    first = free_places(2)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(first[1])
        other.listen()
        second = free_places(2)
    assert first[0][0] == second[0][0]
    assert second[0][1] != first[0][1]


def test_one_loopback_address_gives_each_host_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_fleet, "_free_port", lambda address: None)
    places = free_places(20)
    assert {address for address, _ in places} == {"127.0.0.1"}
    assert len({port for _, port in places}) == 20


def test_ports_of_their_own_stand_in_the_fleet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_fleet, "_free_port", lambda address: None)
    demo = prepare(tmp_path, 3, {}, START)
    found = tomllib.loads(demo.fleet_file.read_text())
    ports = [host.get("port", found["ssh"]["port"]) for host in found["hosts"]]
    assert ports == [host.port for host in demo.served]


def test_open_files_are_allowed_up_to_the_hard_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda what: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda what, limit: limits.append(limit))
    allow_open_files(1000)
    allow_open_files(4096)
    assert limits == [(4096, 4096)]
    with pytest.raises(ConfigError, match="need 4097 open files and the limit is 4096"):
        allow_open_files(4097)
