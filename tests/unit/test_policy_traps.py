"""Known traps of Flatcar that concern a decision: `trap_NN` of the host, `trap_ue_NN` of its updater."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actions.orders import Asked, Force, Verb
from actions.planning import plan_step
from actions.policy import Already, decide
from actions.policy_look import Look, held_version
from actions.policy_stage import holds_locksmithd
from actions.remote.extra import UnitFile
from collectors.facts import (
    Attempt,
    Coordinator,
    CoordinatorState,
    ExtensionMeta,
    Extensions,
    Flags,
    Operation,
    Prefs,
    SlotName,
    Unread,
    UpdateConf,
)
from tests.builders import NOW, facts, table, unit
from tests.unit.test_policy import (
    ACTIVATE,
    BACK,
    CANCEL,
    ETC_MASK,
    FREE,
    INTACT,
    LOCALHOST,
    MASKED,
    MEMORY,
    NEW,
    OFFER,
    REBOOT,
    REPAIR,
    RESET,
    RESTARTED,
    ROLL_BACK,
    STAGE,
    STAGED,
    UP,
    codes,
    extra,
    old,
    remembers,
    seen,
    units,
)


def says(asked: Asked, look: Look) -> str:
    return "\n".join(plan_step(asked, look, decide(asked, look)).says)


def test_trap_03_a_status_that_is_null_permits_nothing() -> None:
    look = seen(facts(operation=None, unread=(Unread("status", "(null)", "null"),)))
    assert "status-null" in codes(STAGE, look)
    assert "status-null" in codes(REBOOT, look)


def test_trap_04_a_reset_status_over_a_staged_slot_is_staged_all_the_same() -> None:
    look = seen(RESET)
    assert codes(STAGE, look) == ["staged-reset"]
    assert codes(REBOOT, look) == ["next-is-other"]
    assert decide(CANCEL, look) == ()
    assert decide(REPAIR, look) == ()


@pytest.mark.parametrize(
    "look",
    [
        replace(BACK, memory=replace(MEMORY, attempt_at=NOW)),
        seen(facts(attempt=Attempt(offered_version=NEW, overwrote=True, failed=True)), proof=INTACT),
        replace(extra(attempt_before=Attempt(overwrote=True, failed=True)), proof=INTACT),
        seen(facts(prefs=Prefs(next_operation=3)), proof=INTACT),
        seen(facts(prefs=Prefs(next_operation=-1, failures=2)), proof=INTACT),
        seen(facts(operation=Operation.DOWNLOADING), proof=INTACT),
    ],
    ids=["remembered", "journal", "boot before", "broken off", "failed late", "now"],
)
def test_trap_06_an_attempt_overwrites_the_other_slot_and_leaves_its_flags(look: Look) -> None:
    assert look.facts is not None
    assert look.facts.slots is not None
    assert look.facts.slots.b.successful
    assert "slot-overwritten" in codes(ROLL_BACK, look)
    assert "slot-overwritten" in codes(replace(ROLL_BACK, forces=dict.fromkeys(Force, "ops-1")), look)


def test_trap_06_an_attempt_that_staged_and_was_booted_does_not_spoil_what_it_came_from() -> None:
    look = extra(attempt_before=Attempt(offered_version="4593.2.5", overwrote=True, staged=True))
    assert decide(ROLL_BACK, replace(look, proof=INTACT)) == ()


def test_trap_06_a_journal_that_was_cut_needs_the_proof() -> None:
    cut = facts(attempt=Attempt(reaches_boot=False))
    assert codes(ROLL_BACK, seen(cut)) == ["slot-unproved"]
    assert decide(ROLL_BACK, seen(cut, proof=INTACT)) == ()


def test_trap_06_staging_says_that_the_way_back_is_lost_at_once() -> None:
    assert "B is overwritten at once" in says(STAGE, seen())


def test_trap_07_no_check_on_an_unconfirmed_boot() -> None:
    look = seen(facts(slots=table("2/0/0", "1/0/1")))
    assert codes(OFFER, look) == ["unconfirmed"]
    assert codes(STAGE, look) == ["unconfirmed"]


def test_trap_08_no_reboot_of_an_unconfirmed_slot_by_no_force() -> None:
    look = seen(facts(slots=table("2/0/0", "1/0/1")))
    assert "unconfirmed" in codes(replace(REBOOT, forces=dict.fromkeys(Force, "ops-1")), look)


def test_trap_09_a_localhost_server_is_residue_and_no_update_of_ours_is_built_on_it() -> None:
    assert codes(OFFER, seen(facts(conf=LOCALHOST))) == ["residue"]
    assert codes(STAGE, seen(facts(conf=LOCALHOST))) == ["residue"]
    step = plan_step(REPAIR, seen(facts(conf=LOCALHOST)), ())
    assert step.goal is not None
    assert step.goal.server == "self"


def test_trap_09_while_somebodys_flatcar_update_runs_it_is_no_residue_to_repair() -> None:
    look = extra(facts(conf=LOCALHOST), updater_running=True)
    assert codes(REPAIR, look) == ["updater-running"]


def test_trap_11_locksmithd_is_held_before_it_can_reboot_a_staged_host() -> None:
    look = seen(facts(**UP))
    assert holds_locksmithd(look)
    assert "locksmithd is masked until the next boot" in says(STAGE, look)
    off = facts(**UP, coordinator=Coordinator("locksmithd", "off", CoordinatorState.RUNNING))
    assert not holds_locksmithd(seen(off))
    assert not holds_locksmithd(seen())


def test_trap_11_a_locksmithd_that_cannot_be_held_stops_staging_unless_that_is_said() -> None:
    look = extra(facts(**UP), locksmithd=replace(FREE, fixed=UnitFile.FILE))
    assert codes(STAGE, look) == ["would-activate-itself"]
    asked = replace(STAGE, forces={Force.FOREIGN_OWNER: "lab host"})
    assert decide(asked, look) == ()
    assert "forced foreign-owner (lab host)" in says(asked, look)


def test_trap_12_extensions_that_a_boot_would_not_merge_stop_a_reboot() -> None:
    broken = facts(**units(systemd_sysext=unit(result="exit-code")))
    assert codes(REBOOT, seen(broken)) == ["extension-broken"]


def test_trap_ue_00_the_staged_release_took_the_place_of_what_could_be_gone_back_to() -> None:
    assert codes(ROLL_BACK, seen(STAGED, proof=INTACT)) == ["slot-holds-update"]


def test_trap_ue_06_a_restarted_updater_forgets_the_version_and_the_journal_or_the_store_knows_it() -> None:
    forgotten = replace(RESTARTED, attempt=Attempt())
    assert held_version(seen(RESTARTED)) == NEW
    assert held_version(remembers(forgotten, NEW)) == NEW
    assert codes(ACTIVATE, seen(forgotten)) == ["staged-version-unknown"]


def test_trap_ue_06_what_is_remembered_counts_only_if_it_was_staged_and_not_overwritten_since() -> None:
    forgotten = replace(RESTARTED, attempt=Attempt())
    assert held_version(remembers(forgotten, NEW, "running")) is None
    assert held_version(remembers(forgotten, NEW, attempt_at=NOW)) is None
    assert held_version(replace(remembers(forgotten, NEW), twins=("node-2",))) is None


def test_trap_ue_07_cancel_says_what_it_costs_and_what_comes_back() -> None:
    told = says(CANCEL, seen(STAGED))
    assert f"B now holds {NEW} unconfirmed, no roll-back until the next completed update" in told
    assert "will be staged again at the next check unless --and-updates-off" in told
    off = replace(CANCEL, and_updates_off=True)
    assert "will be staged again" not in says(off, seen(STAGED))


def test_trap_ue_10_a_roll_back_does_not_stick_so_updates_go_off_with_it() -> None:
    step = plan_step(ROLL_BACK, BACK, ())
    assert step.goal is not None
    assert step.goal.server == "disabled"
    assert any("its updates go off" in line for line in step.says)


def test_trap_disabled_updates_stop_the_offer_and_not_an_exact_version() -> None:
    look = seen(facts(conf=UpdateConf(server="disabled")))
    assert codes(OFFER, look) == ["updates-off"]
    assert decide(STAGE, look) == ()


def test_trap_another_version_is_staged() -> None:
    look = seen(STAGED)
    assert codes(replace(STAGE, version="4593.2.7"), look) == ["staged-other"]
    assert codes(replace(ACTIVATE, version="4593.2.7"), look) == ["wrong-version"]
    assert isinstance(decide(STAGE, look), Already)


def test_trap_a_pxe_image_has_nothing_to_act_on() -> None:
    look = seen(facts(flags=Flags(no_update=True), slots=None, running=None, operation=None))
    for asked in (STAGE, OFFER, CANCEL, ACTIVATE, REBOOT, ROLL_BACK, REPAIR):
        assert codes(asked, look)[0] == "no-slots"


def test_trap_a_masked_updater_confirms_no_boot() -> None:
    masked = facts(**units(update_engine=unit("active", load="masked")))
    assert codes(REBOOT, seen(masked)) == ["engine-masked"]
    assert codes(ROLL_BACK, seen(masked, proof=INTACT)) == ["engine-masked"]
    assert decide(STAGE, seen(masked)) == ()


def test_trap_an_extension_bound_to_a_version_or_a_level_drops_unless_accepted_by_name() -> None:
    meta = {
        "by-version": ExtensionMeta(id="flatcar", version_id="4593.2.5"),
        "by-level": ExtensionMeta(id="flatcar", sysext_level="1.0"),
        "anywhere": ExtensionMeta(id="_any"),
        "flatcar-zfs": ExtensionMeta(id="flatcar", version_id="4593.2.5"),
    }
    look = seen(facts(extensions=Extensions(merged=tuple(meta), meta=meta)), target_sysext_level="2.0")
    decision = decide(STAGE, look)
    assert isinstance(decision, tuple)
    (told,) = decision
    assert told.code == "extension-drop"
    assert told.text.startswith("by-version, by-level is bound")
    one = replace(STAGE, accept_drop=("by-version",))
    assert codes(one, look) == ["extension-drop"]
    assert decide(replace(STAGE, accept_drop=("by-version", "by-level")), look) == ()


def test_trap_from_ext2_the_way_goes_through_3510() -> None:
    assert codes(STAGE, seen(old("2983.2.1"))) == ["hop-needed"]
    assert decide(replace(STAGE, version="3510.3.6"), seen(old("2983.2.1"))) == ()
    assert decide(STAGE, seen(old("3510.3.6"))) == ()


def test_trap_cgroup_v1_is_known_too_from_what_the_last_postinst_said() -> None:
    words = "Flatcar version 4187 or higher does not support cgroupv1 anymore. Aborting the update..."
    look = seen(facts(attempt=Attempt(failed=True, error_code=5, detail=words)))
    assert codes(STAGE, look) == ["cgroup-v1"]
    assert codes(OFFER, look) == ["cgroup-v1"]


def test_trap_fluo_and_kured_own_the_reboots_and_our_own_mask_is_no_sign_of_them() -> None:
    masked = facts(**MASKED)
    assert codes(REBOOT, extra(masked, locksmithd=ETC_MASK)) == ["foreign-owner"]
    assert decide(REBOOT, extra(masked, locksmithd=replace(FREE, runtime=UnitFile.MASK))) == ()


def test_trap_two_hosts_with_one_machine_id_lose_memory_and_fleetlock_and_are_told() -> None:
    look = seen(twins=("node-2",), memory=replace(MEMORY, attempt_at=NOW))
    assert look.remembered is None
    assert decide(REBOOT, look) == ()
    assert "node-2 has the same machine id" in says(REBOOT, look)
    assert codes(REBOOT, replace(look, fleetlock=True)) == ["same-machine-id"]


@pytest.mark.parametrize(
    "version", ["4593.2.6; reboot", "4593.2.6\n", "$(id)", "1.2", "", "٤٥٩٣.٢.٦", "4593.2.6+x", "999999.0.0"]
)
def test_trap_a_hostile_version_is_shown_and_never_used(version: str) -> None:
    look = seen(replace(STAGED, new_version=version or None, attempt=Attempt()))
    assert held_version(look) is None
    assert codes(ACTIVATE, look) == ["staged-version-unknown"]
    if version:
        assert codes(replace(STAGE, version=version), seen()) == ["version-odd"]


def test_trap_a_plain_reboot_beside_an_overwritten_slot_is_safe_and_says_so() -> None:
    look = seen(facts(attempt=Attempt(overwrote=True, failed=True)))
    assert decide(REBOOT, look) == ()
    assert "B is bootable by its flags only" in says(REBOOT, look)


def test_trap_a_channel_below_what_runs_does_not_move() -> None:
    look = seen(old("4757.1.0"))
    asked = Asked(Verb.CHANNEL, channel="lts")
    assert decide(asked, look) == ()
    back = seen(replace(old("4757.1.0"), conf=UpdateConf(group="beta")))
    assert "will not move until stable > 4757.1.0" in says(Asked(Verb.CHANNEL, channel="stable"), back)


def test_trap_the_slot_that_runs_is_told_by_the_host_and_not_by_priority() -> None:
    look = seen(facts(running=SlotName.B, slots=table("2/0/1", "1/0/1")))
    assert codes(REBOOT, look) == ["next-is-other"]
