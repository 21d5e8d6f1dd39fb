"""Scenarios of updating: from up to date over staged to fallen back, failed and switched off.

Flags are those that flatcar-postinst, GRUB and flatcar-setgoodroot leave; prefs, marker and journal those of
update_engine@7382641. R is the running slot, O the other one; flags are priority/tries/successful.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from collectors.facts import Coordinator, CoordinatorState, Operation, Unit
from console.demo import healthy, journal
from console.demo.healthy import Flavour, HostSpec, with_engine, with_prefs, with_slots, with_unit
from console.demo.scene import Scenario, scene
from console.demo.world import Bus, Engine, SimulatedHost, SlotState

SCENES: dict[str, Scenario] = {}
LOCALHOST_SERVER = "http://localhost:9090/update"
"""What flatcar-update sets for its own use. Source: flatcar/init:bin/flatcar-update@3298243."""
_UP = Unit("loaded", "active", "running", "disabled", "success")
_BETA = Flavour(channel="beta", oem="qemu", disk="vda")
_LTS = Flavour(channel="lts")
_ARM = Flavour(arch="arm64", disk="nvme0n1", oem="ami")


@scene(SCENES, "current")
def current(spec: HostSpec) -> SimulatedHost:
    return healthy.healthy(spec)


@scene(SCENES, "current", _BETA)
def never_updated(spec: HostSpec) -> SimulatedHost:
    """O is empty, as after the installation."""
    version = healthy.version_of(spec.flavour)
    host = healthy.healthy(spec, up=timedelta(days=2, minutes=17))
    hardware = replace(
        host.hardware, aleph_version=version, installed_at=host.booted_at, has_small_slots=False
    )
    host = replace(host, hardware=hardware, is_first_boot=True, prefs={"aleph-version": version})
    return with_slots(host, (1, 0, 1), (0, 0, 0), other_version=None)


@scene(SCENES, "current")
def just_updated(spec: HostSpec) -> SimulatedHost:
    """Up for minutes: the version it left still stands in prefs, which the first check empties."""
    host = healthy.healthy(spec, up=timedelta(minutes=4))
    host = with_prefs(host, previous_version=healthy.version_of(spec.flavour, 1))
    return replace(host, clock_stands=True)


@scene(SCENES, "current", _LTS)
def rollback_available(spec: HostSpec) -> SimulatedHost:
    """O ran before, is confirmed, and nothing has touched it in this boot."""
    return healthy.healthy(spec)


@scene(SCENES, "current", _ARM)
def rollback_unsafe(spec: HostSpec) -> SimulatedHost:
    """O's flags look as good as ever; a downgrade to another release began in this boot and was cut off."""
    host = healthy.healthy(spec)
    at = spec.start - timedelta(hours=7)
    begun = journal.offered(at, host.group, healthy.version_of(spec.flavour, 2))
    again = journal.started(at + timedelta(minutes=3))
    seen = (
        tuple(line for line in host.journal if line.at < at),
        tuple(line for line in host.journal if line.at > at),
    )
    host = replace(host, journal=seen[0] + begun + again + seen[1])
    host = with_prefs(host, update_state_next_operation="57", payload_attempt_number="1")
    return with_slots(host, (2, 0, 1), (1, 0, 1), other_version=None, other_intact=False)


@scene(SCENES, "behind")
def behind(spec: HostSpec) -> SimulatedHost:
    """Not yet offered the newest release; an LTS host may be a stream behind."""
    return healthy.healthy(spec, back=0 if spec.flavour.channel == healthy.OLD_LTS else 2)


def _offered(spec: HostSpec, minutes: int) -> SimulatedHost:
    """One release behind, and offered the newest some minutes ago."""
    host = healthy.healthy(spec, back=1)
    at = spec.start - timedelta(minutes=minutes)
    early = tuple(line for line in host.journal if line.at < at)
    found = journal.offered(at, host.group, healthy.version_of(spec.flavour))
    return replace(host, journal=early + found, engine=Engine(last_checked_at=at))


@scene(SCENES, "staging")
def staging(spec: HostSpec) -> SimulatedHost:
    host = with_engine(_offered(spec, 3), Operation.DOWNLOADING, healthy.version_of(spec.flavour))
    host = replace(host, engine=replace(host.engine, progress=0.46))
    host = with_prefs(host, update_state_next_operation="842")
    return with_slots(host, (2, 0, 1), (1, 0, 1), other_version=None, other_intact=False)


def _staged(spec: HostSpec) -> SimulatedHost:
    """R 1/0/1, O 2/1/0: O boots next, once."""
    host, version = _offered(spec, 42), healthy.version_of(spec.flavour)
    host = with_engine(host, Operation.NEED_REBOOT, version)
    host = with_prefs(host, previous_version=host.version)
    lines = host.journal + journal.applied(spec.start - timedelta(minutes=38))
    host = replace(host, journal=lines, staged_marker=True, reboot_required=True)
    return with_slots(host, (1, 0, 1), (2, 1, 0), other_version=version)


@scene(SCENES, "staged", Flavour(kubernetes=True))
def staged(spec: HostSpec) -> SimulatedHost:
    return _staged(spec)


@scene(SCENES, "staged")
def staged_reset(spec: HostSpec) -> SimulatedHost:
    """`-reset_status` was called: the status is idle and the marker gone, the slots still boot O."""
    host = _staged(spec)
    engine = Engine(last_checked_at=host.engine.last_checked_at)
    return replace(host, engine=engine, staged_marker=False)


@scene(SCENES, "staged", Flavour(disk="nvme0n1"))
def staged_restarted(spec: HostSpec) -> SimulatedHost:
    """The daemon restarted after staging: it knows that, and no longer what."""
    host = _staged(spec)
    lines = host.journal + journal.started(spec.start - timedelta(minutes=20))
    return replace(host, journal=lines, engine=Engine(operation=Operation.NEED_REBOOT))


def _with_locksmithd(host: SimulatedHost, conf: str, state: CoordinatorState) -> SimulatedHost:
    host = with_unit(host, "locksmithd.service", _UP)
    return replace(host, conf=conf, coordinator=Coordinator("locksmithd", "reboot", state))


@scene(SCENES, "staged")
def staged_window(spec: HostSpec) -> SimulatedHost:
    """locksmithd reboots it in its window, which opens nine hours after the start."""
    opens = spec.start + timedelta(hours=9)
    conf = (
        "REBOOT_STRATEGY=reboot\n"
        f'LOCKSMITHD_REBOOT_WINDOW_START="{opens:%H:%M}"\nLOCKSMITHD_REBOOT_WINDOW_LENGTH=2h\n'
    )
    return _with_locksmithd(_staged(spec), conf, CoordinatorState.RUNNING)


@scene(SCENES, "staged")
def staged_will_reboot(spec: HostSpec) -> SimulatedHost:
    """locksmithd reboots it as soon as nobody is logged in."""
    return _with_locksmithd(_staged(spec), "REBOOT_STRATEGY=reboot\n", CoordinatorState.REBOOT_PLANNED)


@scene(SCENES, "staged_not_next")
def staged_not_next(spec: HostSpec) -> SimulatedHost:
    """Somebody put R first again with `cgpt prioritize`: a reboot stays on it."""
    host = _staged(spec)
    return with_slots(host, (2, 0, 1), (1, 1, 0), other_version=healthy.version_of(spec.flavour))


@scene(SCENES, "rollback_armed")
def rollback_armed(spec: HostSpec) -> SimulatedHost:
    """Somebody put O first, which ran before."""
    host = healthy.healthy(spec)
    return with_slots(host, (1, 0, 1), (2, 0, 1), other_version=healthy.version_of(spec.flavour, 1))


@scene(SCENES, "unconfirmed")
def unconfirmed(spec: HostSpec) -> SimulatedHost:
    """The first half minute in a new release: its one try is used, and nobody called it good yet."""
    earlier = healthy.version_of(spec.flavour, 1)
    host = healthy.healthy(spec, up=timedelta(seconds=30))
    host = with_prefs(host, previous_version=earlier)
    host = with_slots(host, (2, 0, 0), (1, 0, 1), other_version=earlier)
    return replace(host, clock_stands=True)


def _reverted(spec: HostSpec, up: timedelta) -> SimulatedHost:
    """The newest release did not boot: the version it was to replace runs and still stands in prefs."""
    host = healthy.healthy(spec, back=1, up=up)
    return replace(with_prefs(host, previous_version=host.version), clock_stands=True)


@scene(SCENES, "reverted")
def reverted_fresh(spec: HostSpec) -> SimulatedHost:
    host = _reverted(spec, timedelta(seconds=25))
    return with_slots(host, (1, 0, 1), (2, 0, 0), other_version=healthy.version_of(spec.flavour))


@scene(SCENES, "reverted", Flavour(kubernetes=True))
def reverted_settled(spec: HostSpec) -> SimulatedHost:
    """The old version was called good again; the first check, which forgets the trace, is still to come."""
    host = _reverted(spec, timedelta(minutes=3))
    return with_slots(host, (2, 0, 1), (1, 0, 0), other_version=healthy.version_of(spec.flavour))


@scene(SCENES, "failed")
def failed(spec: HostSpec) -> SimulatedHost:
    """The payload was not what the server had announced; the flags say nothing of it."""
    host = _offered(spec, 17)
    lines = journal.failed(
        spec.start - timedelta(minutes=12),
        10,
        "PayloadHashMismatchError",
        "payload_hash_data == install_plan_->payload_hash failed.",
    )
    host = replace(host, journal=host.journal + lines)
    host = with_prefs(host, payload_attempt_number="1", delta_update_failures="1")
    return with_slots(host, (2, 0, 1), (1, 0, 1), other_version=None, other_intact=False)


def _cut_off(spec: HostSpec, server: str, complaint: str) -> SimulatedHost:
    """SERVER leads nowhere: each check fails, and none was accepted since the daemon started."""
    host = healthy.healthy(spec)
    lines = journal.started(host.booted_at + timedelta(seconds=8))
    for number in (3, 2, 1):
        at = spec.start - journal.CHECK_EVERY * number + timedelta(minutes=20)
        lines += journal.unanswered(at, host.group, complaint)
    return replace(host, journal=lines, engine=Engine(), conf=f"REBOOT_STRATEGY=off\nSERVER={server}\n")


@scene(SCENES, "updates_off")
def residue(spec: HostSpec) -> SimulatedHost:
    """A flatcar-update that was killed left its own address behind; no update will ever come."""
    complaint = "Failed to connect to localhost port 9090 after 0 ms: Could not connect to server"
    return _cut_off(spec, LOCALHOST_SERVER, complaint)


@scene(SCENES, "updates_off")
def updates_disabled(spec: HostSpec) -> SimulatedHost:
    return _cut_off(spec, "disabled", "Could not resolve host: disabled")


def _without_engine(spec: HostSpec, unit: Unit) -> SimulatedHost:
    """The daemon has not run in this boot; its slot was confirmed in an earlier one."""
    host = with_unit(healthy.healthy(spec), "update-engine.service", unit)
    return replace(host, engine=Engine(bus=Bus.ABSENT), journal=())


@scene(SCENES, "updates_off")
def masked(spec: HostSpec) -> SimulatedHost:
    return _without_engine(spec, Unit("masked", "inactive", "dead", "masked", "success"))


@scene(SCENES, "updates_off")
def engine_down(spec: HostSpec) -> SimulatedHost:
    return _without_engine(spec, Unit("loaded", "inactive", "dead", "disabled", "success"))


@scene(SCENES, "drift")
def drift(spec: HostSpec) -> SimulatedHost:
    """GROUP says beta, the fleet file wants stable; beta has offered nothing yet."""
    host = replace(healthy.healthy(spec), conf="GROUP=beta\nREBOOT_STRATEGY=off\n")
    return healthy.checked(host)


@scene(SCENES, "no_slots", Flavour(disk="vda"))
def pxe(spec: HostSpec) -> SimulatedHost:
    """Booted from the network: no partitions, no updater."""
    host = _without_engine(spec, Unit("loaded", "inactive", "dead", "disabled", "success"))
    return replace(
        host, running=None, no_update=True, prefs=None, a=SlotState(), b=SlotState(), boot_mounted=False
    )
