"""The GPT's boot flags and what they lead to: cgpt's way of ordering slots, GRUB's way of choosing one.

Sources: flatcar/seismograph:src/cgpt/cgpt_prioritize.c@7ac56da; for GRUB flatcar/scripts:sdk_container/src/
third_party/coreos-overlay/sys-boot/grub/files/grub-2.12-add-gpt-partition-scheme.patch@ab6d76d.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from collectors.facts import SlotName
from console.demo.live.machine import Machine
from console.demo.world import SlotState

HIGHEST = 15


class Content(StrEnum):
    """What a slot really holds, which its flags do not tell."""

    EMPTY = "empty"
    INTACT = "intact"
    COPY = "copy"
    """A whole copy of what ran when an update began."""
    MIXTURE = "mixture"


def content(slot: SlotState) -> Content:
    """`intact` false and a version: a copy of that version; without one: of nothing whole."""
    if slot.intact:
        return Content.EMPTY if slot.version is None else Content.INTACT
    return Content.MIXTURE if slot.version is None else Content.COPY


def prioritize(machine: Machine, name: SlotName) -> None:
    """`cgpt prioritize`: this slot first, the others behind it in their order; priority 0 stays 0."""
    first, other = machine.state.slot(name), machine.state.slot(name.other)
    rest = 1 if other.priority > 0 else 0
    machine.set_slot(name, replace(first, priority=1 + rest))
    machine.set_slot(name.other, replace(other, priority=rest))


def add(
    machine: Machine,
    name: SlotName,
    *,
    successful: bool | None = None,
    tries: int | None = None,
    priority: int | None = None,
) -> None:
    """`cgpt add`: the given flags, the others as they are."""
    slot = machine.state.slot(name)
    machine.set_slot(
        name,
        replace(
            slot,
            successful=slot.successful if successful is None else successful,
            tries=slot.tries if tries is None else tries,
            priority=slot.priority if priority is None else priority,
        ),
    )


def take_try(machine: Machine) -> SlotName | None:
    """GRUB's choice, as the running machine's `next_slot` is it; one of its tries is used up."""
    chosen = machine.state.next_slot
    if chosen is not None:
        slot = machine.state.slot(chosen)
        machine.set_slot(chosen, replace(slot, tries=max(0, slot.tries - 1)))
    return chosen


def mark_good(machine: Machine, running: SlotName) -> None:
    """What flatcar-setgoodroot does: successful, no tries, first."""
    add(machine, running, successful=True, tries=0)
    prioritize(machine, running)


def stage(machine: Machine, target: SlotName) -> None:
    """What flatcar-postinst does at its very end: one try, first."""
    add(machine, target, successful=False, tries=1)
    prioritize(machine, target)
