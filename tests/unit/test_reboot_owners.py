"""Who reboots a host: read from it, told, and never fought. From the probe's own bash to a page's words."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.orders import Asked, Force, Verb
from actions.policy import Already, decide
from actions.policy_look import Look
from actions.situation import REMEDIES, Wish, situation
from collectors.errors import ParseError
from collectors.facts import Coordinator, CoordinatorState, Flags, HostFacts, LockState, Operation
from collectors.memory import remember
from collectors.parse.locksmith import parse_lock
from collectors.parse.pods import parse_pods
from collectors.probe import ROOT_ARGV, ROOT_TEXT, read_frame
from collectors.reboots import Owner, cluster_may_reboot, owners, pods_of, reboots_by_itself
from tests.builders import NOW, answer, facts, feed, unit
from tests.properties.test_parse_updater import parsed
from tests.unit.test_policy import (
    ACTIVATE,
    ETC_MASK,
    MASKED,
    REBOOT,
    ROLL_BACK,
    STAGE,
    UP,
    extra,
    seen,
    units,
)

KURED, FLUO = "kube-system/kured-x7k2p", "reboot-coordinator/flatcar-linux-update-agent-4zq9d"
UID = "0f4c9c1e-7c2b-4a0e-9d5e-6f3a2b1c0d9e"
PODS = f"dir\nkube-system_kured-x7k2p_{UID}\nops_flatcar-linux-update-operator-6d5f-ab1cd_{'0a' * 16}\n"
OWN, OTHER = "a" * 32, "b" * 32
HELD = f"Available: 0\nMax: 1\n\nMACHINE ID\n{OTHER}\n"
LOCK = LockState(0, 1, (OTHER,))
K8S = units(locksmithd=unit("inactive", load="masked"), kubelet=unit())
BOTH = units(locksmithd=unit("active"), kubelet=unit())
ETCD = Coordinator("locksmithd", "etcd-lock", CoordinatorState.RUNNING)
LOCKED: dict[str, Any] = {**UP, "coordinator": ETCD, "lock": LOCK}
DUE = Flags(True, True, False, False, False)


# -- parsers -----------------------------------------------------------------------------------


def test_pods_are_told_by_namespace_and_name() -> None:
    assert parse_pods(PODS) == (KURED, "ops/flatcar-linux-update-operator-6d5f-ab1cd")
    assert parse_pods("dir\n") == ()
    assert parse_pods("") is None
    assert parse_pods("dir\n" + "".join(f"a_kured-{number:05}_{UID}\n" for number in range(40))) == tuple(
        f"a/kured-{number:05}" for number in range(20)
    )


@pytest.mark.parametrize(
    "text",
    [
        f"kube-system_kured-x7k2p_{UID}\n",
        "dir\nkured\n",
        f"dir\nkube-system_kured-x7k2p\x1b[2J_{UID}\n",
        f"dir\nKube_kured-x7k2p_{UID}\n",
        f"dir\nkube-system_../kured_{UID}\n",
        f"dir\na_kured-x7k2p_b_{UID}\n",
        f"dir\na_{'k' * 254}_{UID}\n",
        "dir\na_kured-x7k2p_0f4c\n",
    ],
)
def test_what_is_no_pods_directory_is_refused(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_pods(text)
    assert str(caught.value).isprintable()


def test_a_lock_keeps_as_many_holders_as_are_worth_it() -> None:
    assert parse_lock(HELD) == LOCK
    assert parse_lock("Available: 2\nMax: 2\n") == LockState(2, 2)
    many = "".join(f"{number:032x}\n" for number in range(100))
    assert len(parse_lock(f"Available: 0\nMax: 100\n\nMACHINE ID\n{many}").holders) == 64
    with pytest.raises(ParseError, match="no etcd endpoints available"):
        parse_lock(
            "Error initializing etcd client: no etcd endpoints available, tried: http://127.0.0.1:2379\n"
        )


@given(st.sampled_from((PODS, HELD)), st.data())
def test_a_damaged_text_gives_clean_names_or_a_parse_error(whole: str, data: st.DataObject) -> None:
    text = list(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at] = data.draw(st.sampled_from(("", "\n", "\x1b", "_", "-", "9", "\u202e", "\ud800", "A")))
    for parse in (parse_pods, parse_lock):
        found = parsed(parse, "".join(text))
        names = found.holders if isinstance(found, LockState) else found or ()
        assert all(name.isascii() and name.isprintable() and len(name) <= 600 for name in names)


# -- the probe's own bash ----------------------------------------------------------------------

needs_bash = pytest.mark.skipif(
    shutil.which("/bin/bash") is None or shutil.which("timeout") is None,
    reason="runs the probe's own text, which needs bash and timeout",
)


@contextmanager
def daemon(folder: Path, environment: dict[str, str]) -> Iterator[None]:
    """A process with locksmithd's environment, and tools in `folder` that name it and answer for etcd."""
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as process:
        tools = {
            "systemctl": f"echo {process.pid}",
            "locksmithctl": f'echo asked "$*" >>{folder}/asked; env | grep ^LOCKSMITHCTL >>{folder}/asked\n'
            f"printf 'Available: 0\\nMax: 1\\n\\nMACHINE ID\\n{OTHER}\\n'",
        }
        for name, text in tools.items():
            (folder / name).write_text(f"#!/bin/bash\n{text}\n")
            (folder / name).chmod(0o755)
        try:
            yield
        finally:
            process.kill()


def root_part(folder: Path) -> dict[str, str]:
    """The root part, with `folder` for the directories it looks into: section -> content."""
    text = ROOT_TEXT
    for path in ("/var/log/pods", "/run/update-engine/coordinator.conf", "/etc/flatcar/update.conf"):
        assert path in text
        text = text.replace(path, str(folder / path.rpartition("/")[2]))
    argv = [*ROOT_ARGV[:-2], text, ROOT_ARGV[-1]]
    mark = "0123456789abcdef"
    search = {"PATH": f"{folder}:{os.environ['PATH']}"}
    done = subprocess.run(argv, input=f"{mark}\n".encode(), capture_output=True, check=True, env=search)
    sections = read_frame(f"{mark} V 1 0\n".encode() + done.stdout, mark).sections
    return {name: found.content.decode() for name, found in sections.items()}


@needs_bash
def test_bash_names_only_the_pods_that_reboot(tmp_path: Path) -> None:
    assert root_part(tmp_path)["pods"] == ""
    pods = tmp_path / "pods"
    pods.mkdir()
    assert root_part(tmp_path)["pods"] == "dir\n"
    for name in (f"kured_web-1_{UID}", f"a_kured-x7k2p_{UID}", f"a_x\nkured_{UID}", "kured", "*_*_*"):
        (pods / name).mkdir()
    assert root_part(tmp_path)["pods"] == f"dir\na_kured-x7k2p_{UID}\na_x\nkured_{UID}\n"
    for number in range(30):
        (pods / f"b_flatcar-linux-update-agent-{number:05}_{UID}").mkdir()
    assert root_part(tmp_path)["pods"].count(f"_{UID}\n") == 20


@needs_bash
def test_bash_asks_for_the_lock_with_the_running_daemons_settings(tmp_path: Path) -> None:
    (tmp_path / "coordinator.conf").write_text("NAME=locksmithd\nSTRATEGY=etcd-lock\nSTATE=running")
    settings = {"REBOOT_STRATEGY": "etcd-lock", "LOCKSMITHD_GROUP": "a b *", "LOCKSMITHD_ETCD_PASSWORD": "s3"}
    with daemon(tmp_path, {**settings, "LOCKSMITHD_X": "1", "HOME": "/"}):
        sections = root_part(tmp_path)
    assert sections["lock"] == HELD
    told = (tmp_path / "asked").read_text().splitlines()
    assert told[0] == "asked status"
    assert sorted(told[1:]) == ["LOCKSMITHCTL_ETCD_PASSWORD=s3", "LOCKSMITHCTL_GROUP=a b *"]
    assert "s3" not in "".join(sections.values())


@needs_bash
@pytest.mark.parametrize(
    ("told", "strategy"), [("reboot", "etcd-lock"), ("etcd-lock", "reboot"), ("etcd-lock", "off")]
)
def test_bash_asks_no_etcd_unless_the_daemon_that_runs_does(tmp_path: Path, told: str, strategy: str) -> None:
    """Not where no file speaks of a lock, nor where the daemon was started with another strategy."""
    (tmp_path / "update.conf").write_text(f"REBOOT_STRATEGY={told}\n")
    with daemon(tmp_path, {"REBOOT_STRATEGY": strategy}):
        assert "lock" not in root_part(tmp_path)
    assert not (tmp_path / "asked").exists()


# -- owners ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        (UP, (Owner.LOCKSMITHD,)),
        (LOCKED, (Owner.LOCKSMITHD_ETCD,)),
        (K8S, (Owner.CLUSTER,)),
        ({**K8S, "reboot_pods": ()}, (Owner.CLUSTER,)),
        ({**K8S, "reboot_pods": (KURED,)}, (Owner.KURED,)),
        ({**K8S, "reboot_pods": (FLUO,)}, (Owner.FLUO,)),
        ({"reboot_pods": (KURED,)}, (Owner.KURED,)),
        ({**K8S, "reboot_pods": ("ops/prod-kured-x7k2p",)}, (Owner.KURED,)),
        ({**K8S, "reboot_pods": ("ops/kured-alert-silencer-x7k2p",)}, (Owner.CLUSTER,)),
        ({**K8S, "reboot_pods": (FLUO, KURED)}, (Owner.KURED, Owner.FLUO)),
        ({**BOTH, "reboot_pods": (KURED,)}, (Owner.LOCKSMITHD, Owner.KURED)),
        ({**units(kubelet=unit("inactive")), "reboot_pods": (KURED,)}, ()),
        ({**units(kubelet=unit("inactive", load="not-found")), "reboot_pods": (KURED,)}, (Owner.KURED,)),
    ],
)
def test_owners_of_a_host(changes: dict[str, Any], expected: tuple[Owner, ...]) -> None:
    assert owners(facts(**changes)) == expected


def test_nobody_is_known_to_reboot_what_was_not_read() -> None:
    assert owners(facts(units={}, reboot_pods=None)) == ()
    assert pods_of(facts(reboot_pods=(KURED,)), Owner.LOCKSMITHD) == ()


def test_kured_may_reboot_a_host_that_asks_for_it_and_locksmithd_beside_it_will() -> None:
    idle = facts(**K8S, reboot_pods=(KURED,))
    assert not cluster_may_reboot(idle)
    assert reboots_by_itself(idle) is False
    due = replace(idle, operation=Operation.NEED_REBOOT, flags=DUE)
    assert cluster_may_reboot(due)
    assert reboots_by_itself(due) is None
    assert reboots_by_itself(replace(due, **BOTH)) is True


# -- policy ------------------------------------------------------------------------------------


def refusals(asked: Asked, look: Look) -> dict[str, str]:
    found = decide(asked, look)
    assert not isinstance(found, Already)
    return {item.code: item.text for item in found}


@pytest.mark.parametrize(
    ("changes", "code", "why", "remedy"),
    [
        (
            {**K8S, "reboot_pods": (KURED,)},
            "foreign-owner",
            "kured reboots this host (pod kured-x7k2p runs here)",
            "ask it: create /run/reboot-required on the host",
        ),
        (
            {**K8S, "reboot_pods": (FLUO,)},
            "foreign-owner",
            "FLUO reboots this host (pod flatcar-linux-update-agent-4zq9d runs here)",
            "ask it: annotate the node flatcar-linux-update.v1.flatcar-linux.net/reboot-needed=true"
            " (reboot-paused=true holds it)",
        ),
        (
            MASKED,
            "foreign-owner",
            "locksmithd is masked beside a kubelet: FLUO or kured owns the reboots here",
            "let it do the reboot",
        ),
        (
            {**UP, "coordinator": ETCD},
            "foreign-owner",
            "locksmithd reboots it under a lock that the cluster shares (etcd-lock)",
            "let it do the reboot, or run locksmithctl reboot on it, which takes the lock first",
        ),
        (
            LOCKED,
            "foreign-owner",
            "locksmithd reboots it under a lock that the cluster shares (etcd-lock), and no place of 1"
            f" is free: held by {OTHER}",
            "let it do the reboot, or run locksmithctl reboot on it, which takes the lock first",
        ),
        (
            {**BOTH, "reboot_pods": (KURED,)},
            "two-owners",
            "more than one reboots this host: locksmithd and kured (pod kured-x7k2p runs here)",
            REMEDIES["two_owners"],
        ),
        (
            {**LOCKED, **BOTH, "reboot_pods": (FLUO,)},
            "two-owners",
            "more than one reboots this host: locksmithd and FLUO"
            " (pod flatcar-linux-update-agent-4zq9d runs here)",
            REMEDIES["two_owners"],
        ),
    ],
)
def test_a_reboot_is_refused_with_its_owner_and_how_to_ask_it(
    changes: dict[str, Any], code: str, why: str, remedy: str
) -> None:
    look = extra(facts(**changes), locksmithd=ETC_MASK)
    assert refusals(REBOOT, look) == {code: f"{why}; {remedy}, or --force foreign-owner"}
    forced = replace(REBOOT, forces={Force.FOREIGN_OWNER: "the owner is broken"})
    assert decide(forced, look) == ()


def test_every_verb_that_reboots_is_refused_where_two_do() -> None:
    look = seen(facts(**BOTH, reboot_pods=(KURED,)))
    assert all("two-owners" in refusals(asked, look) for asked in (REBOOT, ACTIVATE, ROLL_BACK))
    assert "two-owners" not in refusals(STAGE, look)


def test_staging_is_kureds_to_reboot_too_and_our_own_hold_is_no_sign_of_a_cluster() -> None:
    kured = seen(facts(**K8S, reboot_pods=(KURED,)))
    assert refusals(STAGE, kured)["foreign-owner"].startswith("kured reboots this host (pod kured-x7k2p ")
    assert decide(STAGE, seen(facts(**K8S, reboot_pods=()))) == ()
    assert decide(Asked(Verb.UPDATES, mode="off"), kured) == ()


def test_a_full_lock_names_three_of_its_holders_and_this_host_as_itself() -> None:
    lock = LockState(0, 5, (OWN, *(f"{number:032x}" for number in range(4))))
    text = refusals(REBOOT, seen(facts(**LOCKED | {"lock": lock})))["foreign-owner"]
    assert f"held by this host, {0:032x}, {1:032x} and 2 more;" in text
    free = refusals(REBOOT, seen(facts(**LOCKED | {"lock": LockState(1, 1)})))["foreign-owner"]
    assert "held" not in free


# -- what it means -----------------------------------------------------------------------------


def test_two_owners_are_a_reason_and_an_alarm_and_make_no_state() -> None:
    found = judged_now(facts(**BOTH, reboot_pods=(KURED,)))
    assert found.state == "current"
    told = next(reason for reason in found.reasons if reason.code == "two_owners")
    assert told.text == "more than one reboots this host: locksmithd and kured (pod kured-x7k2p runs here)"
    assert told.state is None
    assert found.remedy == REMEDIES["two_owners"]
    one = judged_now(facts(**K8S, reboot_pods=(KURED,)))
    assert (one.state, one.remedy) == ("current", None)
    assert "two_owners" not in {reason.code for reason in one.reasons}


def judged_now(host: HostFacts) -> Any:
    memory = remember(None, host, NOW)
    return situation(answer(host), memory, Wish(), feed("4593.2.4", "4593.2.5"), NOW)


def test_a_staged_host_tells_who_may_reboot_it() -> None:
    staged = facts(**K8S, reboot_pods=(KURED,), operation=Operation.NEED_REBOOT, flags=DUE)
    texts = {reason.code: reason.text for reason in judged_now(staged).reasons}
    assert texts["cluster_may_reboot"] == "kured (pod kured-x7k2p runs here) may reboot it"
    texts = {reason.code: reason.text for reason in judged_now(replace(staged, reboot_pods=())).reasons}
    assert texts["cluster_may_reboot"].startswith("locksmithd is masked beside a kubelet: FLUO or kured")
