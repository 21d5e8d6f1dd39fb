"""flatcar-postinst: what the new release does to the host before it may boot.

The flags change at its very end, so whatever fails before leaves the old ones over the new content.
Source: flatcar/update_engine:flatcar-postinst@7382641.
"""

from __future__ import annotations

from dataclasses import replace

from collectors.facts import SlotName
from console.demo.live import flags, words
from console.demo.live.machine import Machine
from console.demo.world import JournalLine

_CGROUP_V2_ONLY = 4187
_FAILED = 5


def postinst(machine: Machine, version: str, target: SlotName) -> int | None:
    """Run it for this version in this slot; the error code, if it fails."""
    trouble = _trouble(machine, version)
    if trouble is not None:
        machine.say(
            JournalLine(machine.wall, "Subprocess status: 1", "subprocess.cc:43"),
            JournalLine(machine.wall, "Subprocess output:", "subprocess.cc:46"),
            *(JournalLine(machine.wall, line, "subprocess.cc:46") for line in trouble.splitlines()),
            words.complaint(
                machine.wall, "Postinst command failed with code: 1", "postinstall_runner_action.cc:94"
            ),
        )
        return _FAILED
    flags.stage(machine, target)
    number = 3 if target is SlotName.A else 4
    device = machine.state.hardware.partition(number)
    machine.say(
        JournalLine(machine.wall, f"Setup USR-{target} ({device}) for next boot.", "subprocess.cc:46"),
        JournalLine(machine.wall, "Postinst command succeeded", "postinstall_runner_action.cc:104"),
    )
    machine.state = replace(machine.state, reboot_required=True)
    return None


def _trouble(machine: Machine, version: str) -> str | None:
    faults = machine.faults
    if faults.postinst_fails:
        return "Failed to download required OEM update payload"
    if faults.cgroup_v1 and int(version.partition(".")[0]) >= _CGROUP_V2_ONLY:
        return "Flatcar version 4187 or higher does not support cgroupv1 anymore. Aborting the update..."
    fetches = any(item.name.startswith(("oem-", "flatcar-")) for item in machine.state.extensions)
    if faults.disk_full and fetches:
        return (
            "curl: (23) Failure writing output to destination\nFailed to download required OEM update payload"
        )
    return None
