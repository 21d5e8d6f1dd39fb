"""From one boot to the next: going down, GRUB's tries, boots that fail, and what a boot leaves behind.

Waiting times of failed boots: flatcar/bootengine:dracut/99emergency-timeout@6c2fba4 (emergency shell),
flatcar/mantle:kola/tests/misc/update.go@f43f4e9 (panic).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from collectors.facts import SlotName, Unit
from console.demo import feed
from console.demo.live import flags
from console.demo.live.flags import Content, content
from console.demo.live.kinds import Faults, Power, Scope, What
from console.demo.live.machine import ENGINE_UNIT, LOCKSMITHD_UNIT, Machine, Process
from console.demo.world import Bus, Engine, FailedUnit, SimulatedHost, SlotState, uuid_of

RUNTIME_MASK = "masked-runtime"
_GRUB_ENDS = "GRUB found no slot to boot"


class Lifecycle:
    """Power and boots of a host.

    `came_up` starts its services, told whether another version runs; `shut_down` stops what has to be.
    """

    def __init__(
        self, machine: Machine, came_up: Callable[[bool], None], shut_down: Callable[[], None]
    ) -> None:
        self._m = machine
        self._came_up = came_up
        self._shut_down = shut_down
        self._came_up_at = machine.state.booted_at
        self._units = {name: unit for name, unit in machine.state.units.items() if unit.active != "failed"}

    def ask_reboot(self, who: str, *, ignore_inhibitors: bool = False) -> str | None:
        """Ask systemd for a reboot; the words of its refusal, or None.

        From 257 on a block inhibitor holds even root back, before that it did not.
        """
        machine = self._m
        holder = machine.faults.inhibitor
        if holder and not ignore_inhibitors and machine.state.release.systemd_major >= 257:
            machine.record(What.REBOOT_REFUSED, who)
            return holder
        if machine.power is Power.ON:
            machine.record(What.REBOOT_ASKED, who)
            machine.power = Power.SHUTTING_DOWN
            self._shut_down()
            machine.after(machine.timing.shutdown, machine.boot, self.go_down)
        return None

    def go_down(self) -> None:
        """Power is gone, now: whatever ran is cut off where it stood."""
        machine = self._m
        machine.boot.end()
        machine.power = Power.OFF
        machine.start(self._boot(), machine.life, delay_s=machine.timing.off)

    def reset_power(self) -> None:
        """Somebody at the machine presses its button: a host that is dead or runs starts anew."""
        self._m.life.end()
        self._m.life = Scope()
        self._m.boot.end()
        self.go_down()

    def _boot(self) -> Process:
        machine = self._m
        machine.power = Power.BOOTING
        before, failed = machine.state.version, ""
        while True:
            slot = flags.take_try(machine) if machine.state.running else None
            if slot is None and machine.state.running:
                self._die(_GRUB_ENDS)
                return
            yield machine.timing.boot
            version = self._version_in(slot)
            if version in machine.faults.never_returns:
                self._die(f"{slot} {version} hangs at boot")
                return
            if version is not None and version not in machine.faults.boot_fails:
                break
            failed = f"{slot} {version or 'damaged'}"
            machine.record(What.BOOT_FAILED, failed)
            if slot is not None and self._is_chosen_for_ever(slot):
                self._die(f"slot {slot} does not boot, is marked successful and is chosen each time")
                return
            is_panic = machine.number("how it failed", 3) == 0
            yield machine.timing.panic if is_panic else machine.timing.emergency
        self._come_up(slot, version, updated=version != before)
        if failed or (slot is not None and self._was_passed_over(slot)):
            machine.record(What.FELL_BACK, failed or "an unconfirmed slot")

    def _version_in(self, slot: SlotName | None) -> str | None:
        """What this slot boots; None: nothing."""
        if slot is None:
            return self._m.state.version
        found = self._m.state.slot(slot)
        return found.version if content(found) in (Content.INTACT, Content.COPY) else None

    def _is_chosen_for_ever(self, slot: SlotName) -> bool:
        found = self._m.state.slot(slot)
        return found.successful and found.tries == 0

    def _was_passed_over(self, slot: SlotName) -> bool:
        """Whether the other slot stood first and was no candidate any more."""
        state = self._m.state
        return state.slot(slot.other).priority > state.slot(slot).priority

    def _die(self, why: str) -> None:
        self._m.power = Power.DEAD
        self._m.record(What.DIED, why)

    def _come_up(self, slot: SlotName | None, version: str, *, updated: bool) -> None:
        machine = self._m
        machine.boots += 1
        machine.boot = Scope(machine.life)
        machine.earlier_journal = machine.state.journal
        machine.forget_files(of_disk=False)
        machine.earlier_unit_journal = machine.unit_journal
        machine.unit_journal = {}
        if machine.faults.key_change_on_boot:
            machine.key_generation += 1
        machine.state = self._booted(slot, version)
        if machine.state.reset_armed:
            machine.state = _wiped(machine.state)
            machine.forget_files(of_disk=True)
            machine.record(What.WIPED)
        machine.power = Power.ON
        self._came_up_at = machine.now
        machine.record(What.REBOOTED, f"{slot} {version}" if slot else version)
        self._came_up(updated)
        self.plan_break()

    def _booted(self, slot: SlotName | None, version: str) -> SimulatedHost:
        """The state right after a boot, before any service of ours started."""
        machine, state = self._m, self._m.state
        if slot is not None:
            machine.set_slot(slot, replace(state.slot(slot), intact=True))
            state = machine.state
        known = {item.version: item.channel for items in feed.CHANNELS.values() for item in items}
        return replace(
            state,
            booted_at=machine.now - timedelta(seconds=min(12.0, machine.timing.boot)),
            boot_id=uuid_of(state.name, machine.seed, "boot", machine.boots),
            version=version,
            group=known.get(version, state.group),
            running=slot,
            is_first_boot=state.first_boot_armed,
            first_boot_armed=False,
            clock_stands=False,
            engine=Engine(bus=Bus.ABSENT),
            journal=(),
            coordinator=None,
            staged_marker=False,
            reboot_required=False,
            boot_mounted=False,
            units=self._units_at_boot(),
            failed=(),
        )

    def _units_at_boot(self) -> dict[str, Unit]:
        """Masks of /etc last, those of /run and transient units do not."""
        units = {}
        for name, unit in self._units.items():
            now = self._m.unit(name)
            if now.file_state == "masked":
                units[name] = Unit("masked", "inactive", "dead", "masked", "success")
            elif name in (ENGINE_UNIT, LOCKSMITHD_UNIT) or unit.load == "masked":
                file_state = "disabled" if unit.load == "masked" else unit.file_state
                units[name] = Unit("loaded", "inactive", "dead", file_state, "success")
            else:
                units[name] = unit
        return units

    def plan_break(self) -> None:
        """Let a unit fail in its moment of this boot, if that is still to come and the fault is then on."""
        machine, faults = self._m, self._m.faults
        if faults.breaks_after_s is None:
            return
        rest_s = faults.breaks_after_s - (machine.now - self._came_up_at).total_seconds()
        if rest_s >= 0:
            machine.after(rest_s, machine.boot, lambda: self._break(faults))

    def _break(self, planned: Faults) -> None:
        machine = self._m
        faults, versions = machine.faults, machine.faults.breaks_versions
        is_other = faults.breaks_after_s != planned.breaks_after_s
        if is_other or (versions is not None and machine.state.version not in versions):
            return
        machine.fail_unit(faults.breaks_unit)


def _wiped(state: SimulatedHost) -> SimulatedHost:
    """What flatcar-reset leaves: a host like a fresh one, in the slots it has."""
    kept = tuple(item for item in state.extensions if item.target.startswith(("/usr/", "/oem/")))
    return replace(
        state,
        reset_armed=False,
        first_boot_armed=False,
        is_first_boot=True,
        prefs=None,
        conf="",
        extensions=kept,
        failed=tuple[FailedUnit, ...](),
        hardware=replace(state.hardware, install_boot_id=state.boot_id),
    )


def damage(machine: Machine, name: SlotName) -> None:
    """Spoil a slot's content; its flags stay."""
    slot: SlotState = machine.state.slot(name)
    machine.set_slot(name, replace(slot, version=None, intact=False))
