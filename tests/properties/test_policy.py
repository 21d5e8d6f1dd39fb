"""Whatever a host says: a decision comes back, and what is allowed is never what must not be."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.evidence import judge_outcome
from actions.orders import Asked, Force, Phase, Refusal, Verb
from actions.planning import plan_step
from actions.policy import Already, Decision, decide, forced
from actions.policy_look import Look, has_staged, held_version, is_version
from actions.remote.extra import Boot, Extra, HeldOrder, Inhibitor, LocksmithdHold, OrderUnit, Space, UnitFile
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
    Passing,
    Prefs,
    Slot,
    SlotName,
    SlotTable,
    Unit,
    Unread,
    UpdateConf,
)
from collectors.memory import Memory, SlotMemory, Trouble
from collectors.observation import Answer, ProbeFailed
from collectors.slots import pair
from tests.builders import HEALTHY, NOW, feed
from tests.unit.test_policy import EXTRA, FORCEABLE, HOST, INTACT, KERNELS, NIGHT, RESET, STAGED

FLAG = st.none() | st.booleans()
NEAR = st.integers(-4000, 4000).map(lambda seconds: NOW + timedelta(seconds=seconds))
TEXT = st.text(max_size=12)
VERSION = st.sampled_from(("4593.2.4", "4593.2.5", "4593.2.6", "3510.3.6", "3033.3.18", "9999999.1.1")) | TEXT
MAYBE_VERSION = st.none() | VERSION


def slot(name: SlotName) -> st.SearchStrategy[Slot]:
    return st.builds(Slot, st.just(name), st.integers(0, 2), st.integers(0, 1), st.booleans())


ATTEMPTS = st.builds(
    Attempt,
    started_at=st.none() | NEAR,
    offered_version=MAYBE_VERSION,
    overwrote=st.booleans(),
    staged=st.booleans(),
    failed=st.booleans(),
    error_code=st.none() | st.integers(0, 1 << 31),
    detail=st.none() | TEXT,
    no_update=st.booleans(),
    reaches_boot=st.booleans(),
)
CONFS = st.builds(
    UpdateConf,
    server=st.none()
    | st.sampled_from(("disabled", "", "http://localhost:9090/update", "https://own.example/v1/update/"))
    | TEXT,
    group=st.none() | st.sampled_from(("stable", "beta", "")) | TEXT,
    reboot_strategy=st.none() | st.sampled_from(("off", "etcd-lock", "odd")),
)
UNIT = st.builds(
    Unit,
    st.sampled_from(("loaded", "masked", "not-found")),
    st.sampled_from(("active", "inactive", "failed")),
    st.just("running"),
    st.sampled_from(("enabled", "disabled", "masked", None)),
    st.sampled_from(("success", "exit-code", None)),
)
UNIT_NAMES = ("update-engine", "locksmithd", "kubelet", "systemd-sysext", "containerd", "docker")
NAMES = st.sampled_from(("tool", "docker-flatcar", "oem-qemu")) | TEXT
EXTENSIONS = st.builds(
    Extensions,
    merged=st.lists(NAMES, max_size=3, unique=True).map(tuple),
    candidates=st.dictionaries(NAMES, TEXT, max_size=2),
    links=st.dictionaries(NAMES, st.builds(ExtensionLink, TEXT, TEXT, st.booleans()), max_size=2),
    meta=st.dictionaries(
        NAMES,
        st.builds(
            ExtensionMeta, st.none() | st.sampled_from(("flatcar", "_any")), MAYBE_VERSION, FLAG.map(str)
        ),
        max_size=3,
    ),
)
WILD = st.builds(
    HostFacts,
    complete=st.booleans(),
    privileged=st.booleans(),
    identity=st.builds(Identity, st.none() | TEXT, st.none() | st.sampled_from(("boot-1", "boot-2"))),
    os=st.builds(OsRelease, id=st.sampled_from((None, "flatcar", "debian")), version_id=MAYBE_VERSION),
    running=st.none() | st.sampled_from(SlotName),
    slots=st.none() | st.builds(SlotTable, slot(SlotName.A), slot(SlotName.B), st.booleans()),
    operation=st.none() | st.sampled_from(Operation),
    new_version=MAYBE_VERSION,
    image_conf=st.none() | CONFS,
    conf=st.none() | CONFS,
    flags=st.builds(Flags, FLAG, FLAG, FLAG, FLAG, FLAG),
    prefs=st.none()
    | st.builds(Prefs, next_operation=st.none() | st.integers(-1, 2), failures=st.integers(0, 1)),
    attempt=st.none() | ATTEMPTS,
    coordinator=st.none()
    | st.builds(Coordinator, st.none(), st.just("etcd-lock"), st.none() | st.sampled_from(CoordinatorState)),
    units=st.dictionaries(st.sampled_from(UNIT_NAMES).map(lambda name: f"{name}.service"), UNIT),
    system_state=st.sampled_from((None, "running", "degraded", "starting", "stopping")),
    failed_units=st.none() | st.lists(TEXT, max_size=2).map(tuple),
    extensions=st.none() | EXTENSIONS,
    foreign_order=st.none() | TEXT,
    updater_running=FLAG,
    unread=st.lists(st.builds(Unread, st.sampled_from(("conf", "status", "units")), TEXT), max_size=2).map(
        tuple
    ),
    odd=st.lists(TEXT, max_size=1).map(tuple),
    passing=st.builds(
        Passing,
        uptime_s=st.none() | st.floats(0, 1e5),
        last_checked_at=st.none() | NEAR,
        containers=st.none() | st.integers(0, 3),
    ),
)


@st.composite
def nearly_well(draw: st.DrawFn) -> HostFacts:
    """A healthy host with a few facts of a wild one: those get past the first checks."""
    wild = draw(WILD)
    kept = draw(st.sets(st.sampled_from(HostFacts.__slots__), max_size=4))
    return replace(HEALTHY, **{name: getattr(wild, name) for name in kept})


FACTS = nearly_well() | WILD
ORDERS = st.builds(HeldOrder, TEXT, TEXT, TEXT, until=st.none() | st.integers(0, 10**11 - 1))
UNIT_FILES = st.sampled_from(UnitFile)
WILD_EXTRA = st.builds(
    Extra,
    complete=st.booleans(),
    attempt=st.none() | ATTEMPTS,
    attempt_before=st.none() | ATTEMPTS,
    boot=st.none()
    | st.builds(
        Boot,
        st.booleans(),
        st.builds(Space, st.just(1 << 30), st.integers(0, 1 << 30)),
        st.sampled_from((KERNELS, {}, {"/boot/coreos/vmlinuz-a": 1})),
        st.booleans(),
    ),
    inhibitors=st.none()
    | st.lists(
        st.builds(Inhibitor, st.just(("shutdown",)), TEXT, TEXT, st.sampled_from(("block", "delay")))
    ).map(tuple),
    updater_running=FLAG,
    order=st.none() | ORDERS,
    conf_digest=st.none() | st.sampled_from(("absent", "d" * 64)),
    locksmithd=st.none() | st.builds(LocksmithdHold, UNIT_FILES, UNIT_FILES, TEXT, st.none() | TEXT),
    reset_armed=FLAG,
    var_tmp=st.none() | st.builds(Space, st.just(1 << 30), st.integers(0, 1 << 30)),
    unit=st.none()
    | st.builds(
        OrderUnit,
        st.just("loaded"),
        TEXT,
        st.sampled_from(("running", "exited", "failed")),
        TEXT,
        st.sampled_from((None, 0, 81)),
    ),
)


@st.composite
def nearly_read(draw: st.DrawFn) -> Extra:
    wild = draw(WILD_EXTRA)
    kept = draw(st.sets(st.sampled_from(Extra.__slots__), max_size=2))
    return replace(EXTRA, **{name: getattr(wild, name) for name in kept})


TROUBLES = st.none() | st.builds(Trouble, NEAR, MAYBE_VERSION, acknowledged=st.booleans())
MEMORIES = st.builds(
    Memory,
    st.none() | st.just("a" * 32),
    st.none(),
    NEAR,
    slots=st.dictionaries(
        st.sampled_from(SlotName),
        st.builds(SlotMemory, VERSION, st.sampled_from(("running", "staged")), NEAR),
    ),
    attempt_at=st.none() | NEAR,
    reverted=TROUBLES,
    replaces=st.none() | TEXT,
)
WILD_LOOKS = st.builds(
    Look,
    host=st.just(HOST),
    seen=st.builds(Answer, st.just("node-1"), st.just(NOW), FACTS, st.just(0.1))
    | st.builds(ProbeFailed, st.just("node-1"), st.just(NOW), st.sampled_from(Reach), TEXT),
    now=NEAR,
    wish=st.builds(Wish, hold=st.none() | TEXT, units=st.sampled_from(((), ("db.service",)))),
    extra=nearly_read() | st.none() | WILD_EXTRA,
    memory=st.none() | MEMORIES,
    feed=st.none() | st.just(feed("4593.2.4", "4593.2.5", "4593.2.6")),
    windows=st.sampled_from(((), (NIGHT,))),
    pin=st.none() | VERSION,
    quarantine=st.lists(VERSION, max_size=1).map(tuple),
    twins=st.sampled_from(((), ("node-2",))),
    proof=st.none() | st.builds(Proof, st.sampled_from(ProofResult), MAYBE_VERSION),
    unknown_outcome=st.none() | st.just("o-1"),
    budget_used=st.none() | TEXT,
    fleetlock=st.booleans(),
    payload_bytes=st.none() | st.integers(0, 1 << 31),
    target_sysext_level=st.none() | TEXT,
    cgroup_v1=FLAG,
)


SOUND = (HEALTHY, STAGED, RESET)


def sound(host: HostFacts) -> Look:
    """A look on which something may be done."""
    proof = INTACT if host.operation is Operation.IDLE else None
    read = replace(EXTRA, attempt=host.attempt)
    return Look(HOST, Answer("node-1", NOW, host, 0.1), NOW, extra=read, proof=proof)


@st.composite
def nearly_sound(draw: st.DrawFn) -> Look:
    """The same with a little of a wild one: it shows where the border lies."""
    wild, facts = draw(WILD_LOOKS), draw(WILD)
    spoilt = draw(st.sets(st.sampled_from(HostFacts.__slots__), max_size=2))
    host = replace(draw(st.sampled_from(SOUND)), **{name: getattr(facts, name) for name in spoilt})
    others = [name for name in Look.__slots__ if name not in ("host", "seen", "now")]
    kept = draw(st.sets(st.sampled_from(others), max_size=1))
    return replace(sound(host), **{name: getattr(wild, name) for name in kept})


LOOKS = nearly_sound() | WILD_LOOKS
ASKED = st.builds(
    Asked,
    verb=st.sampled_from(Verb),
    version=MAYBE_VERSION,
    payload=st.none() | st.just("update.gz"),
    channel=st.none() | st.sampled_from(("beta", "stable", "lts-2024")) | TEXT,
    mode=st.none() | st.sampled_from(("on", "off", "managed")) | TEXT,
    and_updates_off=st.booleans(),
    accept_drop=st.lists(NAMES, max_size=2).map(tuple),
    forces=st.dictionaries(st.sampled_from(Force), TEXT),
)
EVERY_FORCE = dict.fromkeys(Force, "ops-1")


def listed(decision: Decision) -> tuple[Refusal, ...]:
    return () if isinstance(decision, Already) else decision


@given(ASKED, LOOKS)
def test_a_decision_and_a_step_come_back_from_whatever_was_seen(asked: Asked, look: Look) -> None:
    decision = decide(asked, look)
    step = plan_step(asked, look, decision)
    assert step.command is None
    if decision == ():
        assert step.phase is Phase.PLANNED
        assert step.guard is not None
        assert step.goal is not None
        assert step.baseline is not None
        assert step.deadline_s > 0
    else:
        assert step.phase in (Phase.REFUSED, Phase.ALREADY)
        assert step.guard is None
        assert step.goal is None


@given(ASKED, LOOKS)
def test_only_what_may_be_forced_is_ever_forced(asked: Asked, look: Look) -> None:
    every = replace(asked, forces=EVERY_FORCE)
    assert all(item.force is None for item in listed(decide(every, look)))
    assert all(FORCEABLE[item.code] is item.force for item in forced(every, look))
    without = {item.code for item in listed(decide(replace(asked, forces={}), look))}
    assert {item.code for item in listed(decide(asked, look))} <= without


def check_common(look: Look, facts: HostFacts) -> None:
    """Never forceable, whatever the verb."""
    assert facts.complete
    assert facts.privileged
    assert facts.os.is_flatcar
    assert facts.running is not None
    assert facts.slots is not None
    assert look.unknown_outcome is None
    assert look.extra is not None
    assert look.extra.complete
    assert not look.updater_running
    order = look.extra.order
    assert order is None or (order.until is not None and order.until <= look.now.timestamp())


@settings(max_examples=250)
@given(st.sampled_from((Verb.ACTIVATE, Verb.REBOOT, Verb.ROLL_BACK)), MAYBE_VERSION, LOOKS)
def test_no_reboot_is_allowed_that_would_lose_the_host(verb: Verb, version: str | None, look: Look) -> None:
    asked = Asked(verb, version=version, forces=EVERY_FORCE)
    decision = decide(asked, look)
    if decision != ():
        return
    facts = look.facts
    assert facts is not None
    check_common(look, facts)
    both = pair(facts)
    assert both is not None
    assert both[0].successful
    assert look.reset_armed is False
    assert look.first_boot is False
    assert facts.operation in (Operation.IDLE, Operation.NEED_REBOOT)
    if verb is Verb.ROLL_BACK:
        assert look.proof is not None
        assert look.proof.result is ProofResult.INTACT
        assert look.proof.version not in (None, facts.os.version_id)
        assert both[1].successful
        assert not has_staged(facts)
    else:
        assert facts.next_slot is (both[1].name if verb is Verb.ACTIVATE else both[0].name)
    if verb is Verb.ACTIVATE:
        staged = held_version(look)
        assert is_version(staged)
        assert staged not in look.quarantine
        assert version in (None, staged)


@settings(max_examples=250)
@given(MAYBE_VERSION, LOOKS)
def test_no_staging_is_allowed_that_harms_what_runs_or_boots_next(version: str | None, look: Look) -> None:
    if decide(Asked(Verb.STAGE, version=version, forces=EVERY_FORCE), look) != ():
        return
    facts = look.facts
    assert facts is not None
    check_common(look, facts)
    both = pair(facts)
    assert both is not None
    assert both[0].successful
    assert facts.operation is Operation.IDLE
    assert facts.next_slot is both[0].name
    assert version is None or is_version(version)
    assert version not in look.quarantine
    assert not (version is None and look.quarantine)


@given(st.sampled_from(Verb), nearly_well(), LOOKS, st.floats(0, 5000))
def test_nothing_is_called_done_that_the_host_does_not_show(
    verb: Verb, before: HostFacts, later: Look, after_s: float
) -> None:
    asked = Asked(verb, version=None, channel="beta", mode="off", forces=EVERY_FORCE)
    first = Look(HOST, Answer("node-1", NOW, before, 0.1), NOW, extra=EXTRA)
    step = plan_step(asked, first, decide(asked, first))
    if step.goal is None:
        return
    outcome = judge_outcome(step, NOW, later, NOW + timedelta(seconds=after_s))
    if outcome is None:
        assert after_s < step.deadline_s + step.confirm_s + 600
        return
    assert outcome.phase in (Phase.DONE, Phase.FAILED, Phase.UNKNOWN)
    facts = later.facts
    if outcome.phase is not Phase.DONE:
        return
    assert facts is not None
    assert facts.complete
    if verb.reboots:
        both = pair(facts)
        assert facts.identity.boot_id != step.goal.boot_id_not
        assert (facts.running, facts.os.version_id) == (
            step.goal.running,
            step.goal.version or facts.os.version_id,
        )
        assert both is not None
        assert both[0].successful
    elif outcome.code == "staged":
        assert facts.operation is Operation.NEED_REBOOT
        assert facts.next_slot is not facts.running


@pytest.mark.parametrize("verb", Verb)
def test_the_sound_looks_are_those_on_which_something_may_be_done(verb: Verb) -> None:
    """The laws above say something only if they start from hosts that are well."""
    asked = Asked(verb, version="4593.2.6" if verb is Verb.STAGE else None, channel="beta", mode="off")
    assert () in [decide(asked, sound(base)) for base in SOUND]
