"""`fleetctl demo --rollout` without a terminal: a rollout to its end, and releases that halt it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from console.cli.demo import RELEASE_FAULTS
from console.demo.rollout_story import FAULTS, faulty, story_hosts
from tests.e2e.cli import Terminal, argv

HOSTS = 200
MOST_HARMED = 5
EVENT = re.compile(r"\d\d:\d\d:\d\d  \S.*")


def demo(home: Path, *options: str, code: int, hosts: int = HOSTS) -> tuple[list[str], dict[str, str]]:
    """The events, and the end state: its lines by their first word."""
    done = subprocess.run(
        argv(None, ["demo", "--rollout", "--hosts", str(hosts), *options]),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=home,
        env=Terminal(home).environ,
        timeout=420,
    )
    assert (done.returncode, done.stderr) == (code, ""), done.stdout[-2000:]
    told, _, end = done.stdout.partition("\n\n")
    words = (line.partition(" ") for line in end.splitlines())
    return told.splitlines(), {first.rstrip(":"): rest.strip() for first, _, rest in words}


@pytest.mark.timeout(430)
@pytest.mark.parametrize("hosts", [60, pytest.param(HOSTS, marks=pytest.mark.slow)])
def test_a_good_release_reaches_every_host_once(tmp_path: Path, hosts: int) -> None:
    events, end = demo(tmp_path, code=0, hosts=hosts)
    assert end["COMPLETED"] == f"{hosts} hosts on 4593.2.5, each rebooted once."
    assert end["phases"] == f"{hosts} done"
    assert end["versions"] == f"{hosts} on 4593.2.5"
    assert (end["harmed"], end["armed"]) == ("0", "0")
    assert end["reboots"] == f"{hosts} asked for, at most 1 a host, 0 after a halt"
    assert re.fullmatch(r"\d+:[0-9a-f]{16}", end["record"])
    assert all(EVENT.fullmatch(line) for line in events)
    assert sum(": done" in line for line in events) == hosts


@pytest.mark.timeout(430)
@pytest.mark.parametrize("fault", RELEASE_FAULTS)
def test_a_bad_release_halts_by_itself(tmp_path: Path, fault: str) -> None:
    _, end = demo(tmp_path, "--fault", fault, code=6)
    assert end["HALTED"].startswith("by rule ")
    assert 1 <= int(end["harmed"].partition(":")[0]) <= MOST_HARMED
    assert end["armed"] == "0"
    assert end["reboots"].endswith("asked for, at most 1 a host, 0 after a halt")


def test_a_fault_hits_three_hosts_in_ten_the_same_ones_each_time() -> None:
    hosts = story_hosts(HOSTS)
    assert tuple(FAULTS) == RELEASE_FAULTS
    hit = faulty(hosts, "revert")
    assert len(hit) == 60
    assert set(hit.values()) == {"fallback"}
    assert hit == faulty(hosts, "revert")
    assert faulty(hosts, None) == {}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--rollout", "--fault", "edge-fra-01=fallback"], "with --rollout it is one of"),
        (["--rollout", "--fault", "revert", "--fault", "vanish"], "takes one --fault"),
        (["--rollout", "--alive"], "leave --alive away"),
        (["--rollout", "--scenario", "behind=3"], "leave --scenario away"),
        (["--rollout", "--serve", "x"], "leave --serve away"),
        (["--rollout", "--speed", "5"], "leave --speed away"),
        (["--fault", "revert"], "is for --rollout"),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(
    tmp_path: Path, words: list[str], says: str
) -> None:
    done = Terminal(tmp_path).run("demo", *words, code=2)
    assert says in done.stderr
    assert done.stdout == ""
