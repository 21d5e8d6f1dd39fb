"""Whatever is done to a live host, in whatever order: what always holds of it."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collectors.facts import SlotName
from console.demo.live.flags import Content, content
from console.demo.live.kinds import Faults, Power, What
from tests.unit.live_lab import NEW, NEWEST, OLD, Lab

CLIENT = "update_engine_client"
HARMLESS: tuple[tuple[str, ...], ...] = (
    (CLIENT, "-check_for_update"),
    (CLIENT, "-update"),
    (CLIENT, "-reset_status"),
    ("flatcar-update", "-V", NEW),
    ("flatcar-update", "-V", NEWEST, "-A"),
    ("systemctl", "restart", "update-engine"),
    ("systemctl", "kill", "update-engine"),
    ("systemctl", "stop", "update-engine"),
    ("systemctl", "start", "update-engine"),
    ("systemctl", "mask", "--runtime", "--now", "locksmithd"),
    ("systemctl", "unmask", "--runtime", "locksmithd"),
    ("systemctl", "restart", "locksmithd"),
    ("systemctl", "restart", "systemd-sysext"),
    ("systemctl", "reboot"),
    ("rm", "-f", "/run/reboot-required"),
)
"""Nothing here changes a flag or a slot by hand."""
DARING: tuple[tuple[str, ...], ...] = (
    ("cgpt", "next"),
    ("cgpt", "prioritize", "-i", "3", "/dev/sda"),
    ("cgpt", "prioritize", "-i", "4", "/dev/sda"),
    ("cgpt", "add", "-i", "3", "-S0", "-T15", "/dev/sda"),
    ("cgpt", "add", "-i", "4", "-S1", "-P15", "/dev/sda"),
    ("damage", "A"),
    ("damage", "B"),
)
POWER = ("power",)
waits = st.integers(0, 400).map(lambda seconds: ("wait", str(seconds)))
faults = st.builds(
    Faults,
    bad_payload=st.booleans(),
    payload_missing=st.booleans(),
    postinst_fails=st.booleans(),
    boot_full=st.booleans(),
    boot_fails=st.sampled_from([frozenset[str](), frozenset({NEWEST}), frozenset({NEW, NEWEST})]),
    loses_extension=st.sampled_from([frozenset[str](), frozenset({"docker-flatcar"})]),
    clock_off_s=st.sampled_from([0.0, -90000.0, 90000.0]),
)
offers = st.sampled_from([{}, {"stable": NEW}, {"stable": NEWEST}])
harmless = st.lists(st.sampled_from([*HARMLESS, POWER]) | waits, max_size=14)
anything = st.lists(st.sampled_from([*HARMLESS, *DARING, POWER]) | waits, max_size=14)
quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def lab_with(alive: bool, seed: int, fault: Faults, offer: dict[str, str]) -> Lab:
    lab = Lab(alive=alive, seed=seed, faults=fault)
    lab.server.offers = dict(offer)
    return lab


def do(lab: Lab, step: tuple[str, ...]) -> None:
    match step:
        case ("wait", seconds):
            lab.wait(float(seconds))
        case ("power",):
            lab.host.reset_power()
        case ("damage", name):
            lab.host.damage(SlotName(name))
        case _ if lab.host.power in (Power.ON, Power.SHUTTING_DOWN):
            lab.host.run(step, uid=0)


def check(lab: Lab) -> None:
    """What holds at every moment."""
    state, log = lab.host.state, lab.host.log
    for flags in lab.flags():
        assert all(0 <= number <= 15 for number in flags)
    assert 0 <= state.engine.progress <= 1
    assert [entry.at for entry in log] == sorted(entry.at for entry in log)
    boots = lab.told(What.REBOOTED)
    if boots and lab.host.power is Power.ON:
        assert boots[-1] == f"{state.running} {state.version}"
    told = [entry for entry in log if entry.what in (What.ATTEMPT_BEGAN, What.STAGED, What.REBOOTED)]
    if state.staged_marker:
        assert told[-1].what is What.STAGED
    if state.engine.operation.overwrites_other_slot and state.running is not None:
        assert told[-1].what is What.ATTEMPT_BEGAN


@quick
@given(st.booleans(), st.integers(0, 99), faults, offers, anything)
def test_flags_progress_and_log_stay_true(
    alive: bool, seed: int, fault: Faults, offer: dict[str, str], steps: list[tuple[str, ...]]
) -> None:
    lab = lab_with(alive, seed, fault, offer)
    for step in steps:
        do(lab, step)
        check(lab)


@quick
@given(st.booleans(), st.integers(0, 99), faults, offers, harmless)
def test_a_host_with_a_good_slot_that_nobody_damages_always_comes_back(
    alive: bool, seed: int, fault: Faults, offer: dict[str, str], steps: list[tuple[str, ...]]
) -> None:
    lab = lab_with(alive, seed, fault, offer)
    for step in steps:
        do(lab, step)
        assert lab.host.power is not Power.DEAD
    lab.server.offers.clear()
    lab.wait(1800)
    lab.wait(1800)
    assert lab.host.power is Power.ON
    state = lab.host.state
    assert state.version in (OLD, NEW, NEWEST)
    assert state.version not in fault.boot_fails
    assert state.running is not None
    assert content(state.slot(state.running)) is Content.INTACT


@quick
@given(st.booleans(), st.integers(0, 99), faults, offers, anything)
def test_the_same_seed_and_the_same_commands_make_the_same_log(
    alive: bool, seed: int, fault: Faults, offer: dict[str, str], steps: list[tuple[str, ...]]
) -> None:
    labs = [lab_with(alive, seed, fault, offer) for _ in range(2)]
    for lab in labs:
        for step in steps:
            do(lab, step)
    assert labs[0].host.log == labs[1].host.log
    assert labs[0].host.state == labs[1].host.state


@quick
@given(st.integers(0, 99), faults, offers, st.lists(st.integers(1, 3000), min_size=1, max_size=12))
def test_it_does_not_matter_how_often_one_looks(
    seed: int, fault: Faults, offer: dict[str, str], looks: list[int]
) -> None:
    seldom, often = (lab_with(True, seed, fault, offer) for _ in range(2))
    for lab in (seldom, often):
        lab.host.run(("systemctl", "start", "locksmithd"), uid=0)
    for seconds in looks:
        often.wait(seconds)
    seldom.host.advance(seldom.host.now + timedelta(seconds=sum(looks)))
    assert seldom.host.log == often.host.log
    assert seldom.host.state == often.host.state


@quick
@given(st.integers(0, 99), offers)
def test_each_release_that_boots_is_confirmed_and_each_staged_one_was_attempted(
    seed: int, offer: dict[str, str]
) -> None:
    lab = lab_with(True, seed, Faults(), offer)
    lab.host.files.write("/etc/flatcar/update.conf", b"GROUP=stable\n")
    lab.host.run(("systemctl", "start", "locksmithd"), uid=0)
    lab.wait(3 * 3600)
    kinds = [entry.what for entry in lab.host.log if entry.what is not What.CHECKED]
    expected = [What.CONF_CHANGED]
    if offer:
        expected += [
            What.ATTEMPT_BEGAN,
            What.STAGED,
            What.REBOOT_ASKED,
            What.LOCKSMITHD_REBOOTED,
            What.REBOOTED,
            What.CONFIRMED,
        ]
    assert kinds == expected
    assert lab.host.state.version == offer.get("stable", OLD)
