"""May a verb run: every refusal by its code, and what can be forced; looks for the tests of its kin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from actions.orders import Asked, Force, Verb
from actions.policy import Already, decide, forced
from actions.policy_look import Look
from actions.remote.extra import Boot, Extra, HeldOrder, Inhibitor, LocksmithdHold, Space, UnitFile
from actions.remote.slot_proof import Proof, ProofResult
from actions.situation import Wish
from collectors.errors import Reach
from collectors.facts import (
    Attempt,
    Coordinator,
    CoordinatorState,
    ExtensionLink,
    ExtensionMeta,
    Extensions,
    Flags,
    HostFacts,
    Identity,
    Operation,
    OsRelease,
    SlotName,
    Unread,
    UpdateConf,
)
from collectors.fleet_model import FleetHost, SshSettings, WantedUpdates, Window
from collectors.memory import Memory, SlotMemory, Trouble
from collectors.observation import Answer, ProbeFailed
from tests.builders import HEALTHY, NOW, UNITS, facts, feed, table, unit

MIB = 1 << 20
NEW, OLD = "4593.2.6", "4593.2.4"
HOST = FleetHost(
    name="node-1",
    address="node-1",
    address_given=False,
    port=22,
    node="node-1",
    groups=(),
    labels={},
    hold=None,
    channel=None,
    updates=WantedUpdates.AS_FOUND,
    reboot_deadline_s=1200,
    confirm_deadline_s=300,
    ssh=SshSettings(),
)
KERNELS = {"/boot/flatcar/vmlinuz-a": 60 * MIB, "/boot/flatcar/vmlinuz-b": 60 * MIB}
BOOT = Boot(True, Space(1024 * MIB, 800 * MIB), KERNELS, False)
FREE = LocksmithdHold(UnitFile.ABSENT, UnitFile.ABSENT, "inactive")
EXTRA = Extra(
    complete=True,
    attempt=Attempt(no_update=True),
    boot=BOOT,
    inhibitors=(),
    updater_running=False,
    conf=None,
    conf_digest="absent",
    locksmithd=FREE,
    reboot_required=False,
    reset_armed=False,
    var_tmp=Space(10_000 * MIB, 5_000 * MIB),
)
MEMORY = Memory("a" * 32, "install-1", NOW)
STAGED = facts(
    slots=table("1/0/1", "2/1/0"),
    operation=Operation.NEED_REBOOT,
    new_version=NEW,
    flags=Flags(True, True, False, False, False),
    attempt=Attempt(offered_version=NEW, overwrote=True, staged=True),
)
RESTARTED = replace(STAGED, new_version=None)
RESET = replace(
    STAGED, operation=Operation.IDLE, new_version=None, flags=Flags(False, True, False, False, False)
)
INTACT = Proof(ProofResult.INTACT, OLD)
KUBELET = {"kubelet.service": unit()}


def seen(host_facts: HostFacts = HEALTHY, **changes: Any) -> Look:
    """A look at a host on which any verb may run, but for `changes` (of the look)."""
    journal = host_facts.attempt
    extra = replace(EXTRA, attempt=journal) if journal is not None else EXTRA
    given: dict[str, Any] = {"extra": extra, "memory": MEMORY, "feed": feed(OLD, "4593.2.5", NEW)} | changes
    return Look(HOST, Answer("node-1", NOW, host_facts, 0.05), NOW, **given)


def extra(host_facts: HostFacts = HEALTHY, **changes: Any) -> Look:
    """The same, with `changes` of what the preflight adds."""
    whole = seen(host_facts)
    assert whole.extra is not None
    return replace(whole, extra=replace(whole.extra, **changes))


def silent(reach: Reach) -> Look:
    return replace(seen(), seen=ProbeFailed("node-1", NOW, reach, "no answer"), extra=None)


def remembers(host_facts: HostFacts, version: str, source: str = "staged", **changes: Any) -> Look:
    memory = replace(MEMORY, slots={SlotName.B: SlotMemory(version, source, NOW)}, **changes)
    return seen(host_facts, memory=memory)


STAGE, OFFER = Asked(Verb.STAGE, version=NEW), Asked(Verb.STAGE)
CANCEL, ACTIVATE, REBOOT = Asked(Verb.CANCEL), Asked(Verb.ACTIVATE), Asked(Verb.REBOOT)
ROLL_BACK, CHANNEL = Asked(Verb.ROLL_BACK), Asked(Verb.CHANNEL, channel="beta")
OFF, REPAIR = Asked(Verb.UPDATES, mode="off"), Asked(Verb.REPAIR)
PAYLOAD = replace(STAGE, payload="update.gz")
LOCALHOST = UpdateConf(server="http://localhost:9090/update")
DISABLED = UpdateConf(server="disabled")
BACK = seen(proof=INTACT)
ALL = (STAGE, OFFER, CANCEL, ACTIVATE, REBOOT, ROLL_BACK, CHANNEL, OFF, REPAIR)
BOUND = Extensions(merged=("tool",), meta={"tool": ExtensionMeta(id="flatcar", version_id="4593.2.5")})
LEVEL = Extensions(merged=("tool",), meta={"tool": ExtensionMeta(id="flatcar", sysext_level="1.0")})
DANGLING = Extensions(links={"gone": ExtensionLink("/etc/extensions/gone.raw", "/opt/gone.raw", False)})
NIGHT = Window("night", (0, 1, 2, 3, 4, 5, 6), time(2, 0), 3 * 3600, "UTC")
EVENING = replace(NIGHT, name="evening", start=time(20, 0))
BLOCK = Inhibitor(("shutdown",), "backup", "runs", "block")


def old(version: str) -> HostFacts:
    return facts(os=OsRelease(id="flatcar", version=version, version_id=version, board="amd64-usr"))


def units(**changes: Any) -> dict[str, Any]:
    return {"units": UNITS | {f"{name.replace('_', '-')}.service": found for name, found in changes.items()}}


UP = units(locksmithd=unit("active"))
MASKED = units(locksmithd=unit("inactive", load="masked"), kubelet=unit())
ETC_MASK = replace(FREE, fixed=UnitFile.MASK)
STRANGER = HeldOrder("o-stranger", "eve", "laptop", "stage", "boot-1", int(NOW.timestamp()) + 600)
REVERTED = replace(MEMORY, reverted=Trouble(NOW, NEW))

CASES: list[tuple[str, Asked, Look]] = [
    ("host-key-changed", STAGE, silent(Reach.HOST_KEY_CHANGED)),
    ("host-key-unknown", STAGE, silent(Reach.HOST_KEY_UNKNOWN)),
    ("auth-refused", STAGE, silent(Reach.AUTH_FAILED)),
    ("unreachable", STAGE, silent(Reach.UNREACHABLE)),
    ("unreachable", STAGE, silent(Reach.TIMEOUT)),
    ("rebooting", STAGE, silent(Reach.REBOOTING)),
    ("rebooting", STAGE, seen(facts(system_state="stopping"))),
    ("incomplete", STAGE, silent(Reach.PROBE_INCOMPLETE)),
    ("incomplete", REBOOT, seen(facts(complete=False))),
    ("not-flatcar", STAGE, seen(facts(os=OsRelease(id="debian", version_id="12")))),
    ("unprivileged", CHANNEL, seen(facts(privileged=False))),
    ("odd-text", REBOOT, seen(facts(odd=("os",)))),
    ("section-unread", REBOOT, seen(facts(unread=(Unread("units", "timed out"),)))),
    ("status-null", STAGE, seen(facts(operation=None, unread=(Unread("status", "no", "null"),)))),
    ("status-unread", STAGE, seen(facts(operation=None, unread=(Unread("status", "odd"),)))),
    ("engine-down", STAGE, seen(facts(operation=None, **units(update_engine=unit("inactive"))))),
    ("identity-unread", REBOOT, seen(facts(identity=Identity(boot_id="boot-1")))),
    ("identity-unread", REBOOT, seen(facts(identity=Identity(machine_id="a" * 32)))),
    ("no-slots", STAGE, seen(facts(flags=Flags(no_update=True), slots=None, running=None))),
    ("slots-unread", CANCEL, seen(facts(slots=None))),
    ("running-unknown", REBOOT, seen(facts(running=None))),
    ("preflight-unread", STAGE, seen(extra=None)),
    ("preflight-unread", STAGE, extra(complete=False)),
    ("preflight-unread", STAGE, extra(conf_digest=None)),
    ("preflight-unread", REBOOT, extra(inhibitors=None)),
    ("preflight-unread", STAGE, extra(boot=None)),
    ("preflight-unread", CANCEL, extra(locksmithd=None)),
    ("preflight-unread", STAGE, extra(updater_running=None)),
    ("preflight-unread", REBOOT, extra(facts(flags=Flags(False, False, False, None)), reset_armed=None)),
    ("preflight-unread", STAGE, extra(unread=(("order", "ended with 2"),))),
    ("foreign-order", STAGE, extra(order=STRANGER)),
    ("foreign-order", CHANNEL, extra(order=HeldOrder(""))),
    ("foreign-order", REBOOT, seen(facts(foreign_order="o-stranger"), extra=None)),
    ("unknown-outcome", REBOOT, seen(unknown_outcome="o-1 activate, sent 03:00")),
    ("updater-running", STAGE, extra(updater_running=True)),
    ("updater-running", OFF, extra(updater_running=True)),
    ("updater-running", CHANNEL, extra(updater_running=True)),
    ("update-in-progress", STAGE, seen(facts(operation=Operation.CHECKING))),
    ("update-in-progress", REBOOT, seen(facts(operation=Operation.DOWNLOADING))),
    ("update-in-progress", CANCEL, seen(facts(operation=Operation.FINALIZING))),
    ("update-in-progress", REPAIR, seen(facts(operation=Operation.AVAILABLE, conf=LOCALHOST))),
    ("unconfirmed", OFFER, seen(facts(slots=table("2/0/0", "1/0/1")))),
    ("unconfirmed", REBOOT, seen(facts(slots=table("2/0/0", "1/0/1")))),
    ("unconfirmed", ROLL_BACK, seen(facts(slots=table("2/0/0", "1/0/1")), proof=INTACT)),
    ("version-odd", replace(STAGE, version="4593.2.6; rm -rf /"), seen()),
    ("version-odd", replace(STAGE, version="4593.2.6+x"), seen()),
    ("version-missing", replace(OFFER, payload="update.gz"), seen(payload_bytes=MIB)),
    ("pinned", OFFER, seen(pin="4593.2.5")),
    ("pinned", STAGE, seen(pin="4593.2.5")),
    ("quarantined", STAGE, seen(quarantine=(NEW,))),
    ("quarantined", OFFER, seen(quarantine=(NEW,))),
    ("quarantined", ACTIVATE, seen(STAGED, quarantine=(NEW,))),
    ("quarantined", ROLL_BACK, seen(proof=INTACT, quarantine=(OLD,))),
    ("reverted-before", STAGE, seen(memory=REVERTED)),
    ("reverted-before", OFFER, seen(memory=REVERTED)),
    ("staged-other", replace(STAGE, version="4593.2.7"), seen(STAGED)),
    ("staged-not-next", STAGE, seen(replace(STAGED, slots=table("2/0/1", "1/1/0")))),
    ("staged-not-next", ACTIVATE, seen(replace(STAGED, slots=table("2/0/1", "1/1/0")))),
    ("staged-reset", STAGE, seen(RESET)),
    ("next-is-other", STAGE, seen(facts(slots=table("1/0/1", "2/0/1")))),
    ("next-is-other", REBOOT, seen(STAGED)),
    ("nothing-bootable", STAGE, seen(facts(slots=table("0/0/1", "0/0/1")))),
    ("nothing-bootable", REBOOT, seen(facts(slots=table("0/0/1", "0/0/1")))),
    ("residue", STAGE, seen(facts(conf=LOCALHOST))),
    ("updates-off", OFFER, seen(facts(conf=DISABLED))),
    ("engine-masked", OFFER, seen(facts(**units(update_engine=unit("active", load="masked"))))),
    ("engine-masked", REBOOT, seen(facts(**units(update_engine=unit("active", load="masked"))))),
    (
        "engine-masked",
        ROLL_BACK,
        seen(
            facts(**units(update_engine=replace(unit(), load="masked", file_state="masked-runtime"))),
            proof=INTACT,
        ),
    ),
    ("engine-unread", REBOOT, seen(facts(units={}))),
    ("hop-needed", STAGE, seen(old("3033.3.18"))),
    ("cgroup-v1", STAGE, seen(cgroup_v1=True)),
    ("boot-full", STAGE, extra(boot=replace(BOOT, space=Space(128 * MIB, 2 * MIB)))),
    ("boot-unread", STAGE, extra(boot=replace(BOOT, mounted=False))),
    ("boot-unread", STAGE, extra(boot=replace(BOOT, kernels={}))),
    ("var-tmp-full", PAYLOAD, seen(payload_bytes=6_000 * MIB)),
    ("preflight-unread", PAYLOAD, seen()),
    ("extension-drop", STAGE, seen(facts(extensions=BOUND))),
    ("extension-drop", OFFER, seen(facts(extensions=BOUND))),
    ("extension-drop", STAGE, seen(facts(extensions=LEVEL), target_sysext_level="2.0")),
    ("foreign-owner", STAGE, extra(facts(**MASKED), locksmithd=ETC_MASK)),
    ("foreign-owner", REBOOT, extra(facts(**MASKED), locksmithd=ETC_MASK)),
    (
        "foreign-owner",
        REBOOT,
        seen(facts(**UP, coordinator=Coordinator("locksmithd", "etcd-lock", CoordinatorState.RUNNING))),
    ),
    ("would-activate-itself", STAGE, extra(facts(**UP), locksmithd=replace(FREE, fixed=UnitFile.FILE))),
    ("would-activate-itself", STAGE, seen(facts(units={"update-engine.service": unit()}))),
    ("locksmithd-in-etc", CANCEL, extra(STAGED, locksmithd=replace(FREE, fixed=UnitFile.FILE))),
    ("table-damaged", CANCEL, seen(replace(STAGED, slots=replace(table("1/0/1", "2/1/0"), damaged=True)))),
    (
        "table-damaged",
        ROLL_BACK,
        seen(facts(slots=replace(table("2/0/1", "1/0/1"), damaged=True)), proof=INTACT),
    ),
    ("nothing-staged", ACTIVATE, seen()),
    ("rollback-armed", ACTIVATE, seen(facts(slots=table("1/0/1", "2/0/1"), operation=Operation.NEED_REBOOT))),
    ("staged-version-unknown", ACTIVATE, seen(replace(RESTARTED, attempt=Attempt()))),
    ("wrong-version", replace(ACTIVATE, version="4593.2.7"), seen(STAGED)),
    ("wrong-version", replace(ROLL_BACK, version="4593.2.3"), BACK),
    ("reset-armed", REBOOT, seen(facts(flags=Flags(False, False, False, True, False)))),
    ("reset-armed", REBOOT, extra(reset_armed=True)),
    ("first-boot-armed", REBOOT, extra(boot=replace(BOOT, first_boot_armed=True))),
    ("no-older-release", ROLL_BACK, seen(facts(slots=table("1/0/1", "0/0/0")))),
    ("slot-holds-update", ROLL_BACK, seen(STAGED, proof=INTACT)),
    ("other-slot-unconfirmed", ROLL_BACK, seen(facts(slots=table("2/0/1", "1/0/0")), proof=INTACT)),
    ("slot-overwritten", ROLL_BACK, seen(memory=replace(MEMORY, attempt_at=NOW), proof=INTACT)),
    ("slot-damaged", ROLL_BACK, seen(proof=Proof(ProofResult.DAMAGED))),
    ("slot-same-as-running", ROLL_BACK, seen(proof=Proof(ProofResult.SAME_AS_RUNNING))),
    ("slot-same-as-running", ROLL_BACK, seen(proof=Proof(ProofResult.INTACT, "4593.2.5"))),
    ("slot-unproved", ROLL_BACK, seen(proof=Proof(ProofResult.UNPROVED, reason="timed-out"))),
    ("slot-unproved", ROLL_BACK, seen()),
    ("slot-unproved", ROLL_BACK, seen(proof=Proof(ProofResult.INTACT, "4593.2.4; reboot"))),
    ("inhibited", REBOOT, extra(inhibitors=(BLOCK,))),
    ("held", REBOOT, seen(wish=Wish(hold="ops-1432"))),
    ("held", ROLL_BACK, replace(BACK, wish=Wish(hold="ops-1432"))),
    ("window-shut", REBOOT, seen(windows=(EVENING,))),
    ("window-too-short", REBOOT, replace(seen(windows=(NIGHT,)), now=NOW.replace(hour=4, minute=50))),
    ("no-fallback", REBOOT, seen(facts(slots=table("1/0/1", "0/0/0")))),
    (
        "reboot-planned",
        REBOOT,
        seen(facts(**UP, coordinator=Coordinator(state=CoordinatorState.REBOOT_PLANNED))),
    ),
    ("same-machine-id", REBOOT, seen(twins=("node-2",), fleetlock=True)),
    ("degraded", REBOOT, seen(facts(failed_units=("a.service",)))),
    ("degraded", REBOOT, seen(wish=Wish(units=("db.service",)))),
    ("degraded", REBOOT, seen(facts(system_state="maintenance"))),
    ("extension-broken", REBOOT, seen(facts(extensions=DANGLING))),
    ("extension-broken", REBOOT, seen(facts(**units(systemd_sysext=unit(result="exit-code"))))),
    ("budget-used", REBOOT, seen(budget_used="node-2, node-3")),
    ("channel-unknown", replace(CHANNEL, channel=None), seen()),
    ("channel-unknown", replace(CHANNEL, channel="lts-1999"), seen()),
    ("channel-unknown", replace(CHANNEL, channel="beta\nSERVER=x"), seen()),
    ("mode-unknown", Asked(Verb.UPDATES, mode="maybe"), seen()),
    ("mode-unknown", Asked(Verb.UPDATES), seen()),
]
FORCEABLE: Mapping[str, Force] = {
    "window-shut": Force.WINDOW,
    "window-too-short": Force.WINDOW,
    "held": Force.HOLD,
    "foreign-owner": Force.FOREIGN_OWNER,
    "would-activate-itself": Force.FOREIGN_OWNER,
    "reboot-planned": Force.FOREIGN_OWNER,
    "same-machine-id": Force.FOREIGN_OWNER,
    "no-fallback": Force.NO_FALLBACK,
    "degraded": Force.DEGRADED,
    "extension-broken": Force.DEGRADED,
    "budget-used": Force.BUDGET_USED,
}


def codes(asked: Asked, look: Look) -> list[str]:
    decision = decide(asked, look)
    assert not isinstance(decision, Already), decision
    return [item.code for item in decision]


def names(case: tuple[str, Asked, Look]) -> str:
    return f"{case[1].verb}-{case[0]}"


@pytest.mark.parametrize("case", CASES, ids=names)
def test_refused_with_its_code_one_sentence_and_what_makes_it_possible(case: tuple[str, Asked, Look]) -> None:
    code, asked, look = case
    decision = decide(asked, look)
    assert isinstance(decision, tuple)
    told = next(item for item in decision if item.code == code)
    why, semicolon, remedy = told.text.partition("; ")
    assert why
    assert semicolon
    assert remedy
    assert "\n" not in told.text
    assert told.force is FORCEABLE.get(code)


@pytest.mark.parametrize("case", CASES, ids=names)
def test_a_force_sets_aside_its_own_refusal_and_no_other(case: tuple[str, Asked, Look]) -> None:
    code, asked, look = case
    every = replace(asked, forces=dict.fromkeys(Force, "ops-1"))
    decision = decide(every, look)
    left = [] if isinstance(decision, Already) else [item.code for item in decision]
    assert (code in left) is (code not in FORCEABLE)
    assert {item.code for item in forced(every, look)} <= FORCEABLE.keys()


@pytest.mark.parametrize("case", CASES, ids=names)
def test_the_gravest_comes_first(case: tuple[str, Asked, Look]) -> None:
    decision = decide(case[1], case[2])
    assert isinstance(decision, tuple)
    ranks = [item.force is not None for item in decision]
    assert ranks == sorted(ranks)
