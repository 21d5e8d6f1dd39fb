"""The verbs `activate`, `reboot` and `roll-back` on a live host.

Source of each step: `actions.remote.reboot` and `actions.remote.roll_back`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NoReturn

from actions.remote.words import Exit
from console.demo.live.host_files import FIRST_BOOT, RESET
from console.demo.live.order_conf import keep_conf, restore_conf, updates
from console.demo.live.order_run import SLOT, Exited, Run

Steps = Generator[float, None, int]
_MAY_REBOOT = frozenset(
    {
        *("running-unknown", "unconfirmed", "reset-armed", "boot-unread", "first-boot-armed"),
        *("updater-running", "inhibited", "inhibitors-unread"),
    }
)
REBOOT_REFUSES = _MAY_REBOOT | {"busy", "other-slot-next", "nothing-staged"}
ROLL_BACK_REFUSES = _MAY_REBOOT | {"busy", "slots-unread", "runs-already"}
QUIET = ("UPDATE_STATUS_IDLE", "UPDATE_STATUS_UPDATED_NEED_REBOOT")
_BEFORE_S = 2.0
_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_WORD = r'"([^"\\]|\\.)*"'
_BLOCKS = re.compile(rf'\["([a-z-]+:)*shutdown(:[a-z-]+)*",{_WORD},{_WORD},"block')


def _may_reboot(run: Run) -> str:
    """The running slot."""
    running = run.running()
    if running is None:
        run.refuse("running-unknown")
    if not (run.flags(running) or "").endswith("successful=1"):
        run.refuse("unconfirmed")
    if run.has(RESET):
        run.refuse("reset-armed")
    if not run.body.has_boot:
        run.refuse("boot-unread")
    run.body.touch_boot()
    if run.has(FIRST_BOOT):
        run.refuse("first-boot-armed")
    if run.updater():
        run.refuse("updater-running")
    held = run.text("busctl", "--system", "--timeout=5", "--json=short", "call", *_LOGIND, "ListInhibitors")
    if held is None or '"a(ssssuu)"' not in held:
        run.refuse("inhibitors-unread")
    if _BLOCKS.search(held):
        run.refuse("inhibited")
    return running


def _go(run: Run) -> bool:
    run.write(run.path("going"), b"")
    run.tell("rebooting")
    if run.text("systemctl", "reboot") is not None:
        return True
    run.remove(run.path("going"))
    return False


def check_reboot(run: Run) -> None:
    if run.values["operation"] not in QUIET:
        run.refuse("busy")
    running, slot = _may_reboot(run), run.values["slot"]
    if run.next() != slot:
        run.refuse("other-slot-next")
    if run.verb == "activate" and running == slot:
        run.refuse("nothing-staged")
    if run.verb != "activate" and running != slot:
        run.refuse("other-slot-next")


def reboot(run: Run) -> Steps:
    yield _BEFORE_S
    check_reboot(run)
    if _go(run):
        return 0
    run.tell("reboot was refused")
    run.leave()
    return Exit.STEP_FAILED


def after_reboot(run: Run) -> int:
    if not run.has(run.path("going")):
        run.leave()
    return 0


# -- roll-back -----------------------------------------------------------------------------------


def check_roll_back(run: Run) -> None:
    if run.values["operation"] not in QUIET:
        run.refuse("busy")
    if "-" in (run.values["slot_a"], run.values["slot_b"]):
        run.refuse("slots-unread")
    if _may_reboot(run) == run.values["slot"]:
        run.refuse("runs-already")


def roll_back(run: Run) -> Steps:
    yield _BEFORE_S
    check_roll_back(run)
    slot = run.values["slot"]
    if not keep_conf(run):
        _failed(run, "keep")
    if not updates(run, "off", "-"):
        _failed(run, "updates-off")
    run.tell("updates off")
    if not run.write(run.path("flags"), b""):
        _failed(run, "note")
    if run.text("cgpt", "add", "-S0", "-T1", f"{SLOT}{slot}") is None:
        _failed(run, "one-try")
    if not (run.flags(slot) or "").endswith(" tries=1 successful=0"):
        _failed(run, "one-try")
    run.tell(f"slot {slot} has one try")
    if not run.first(slot):
        _failed(run, "prioritize")
    run.tell(f"next boot is {slot}")
    if not _go(run):
        _failed(run, "reboot")
    return 0


def after_roll_back(run: Run) -> int:
    return 0 if run.has(run.path("going")) else _put_back(run)


def _failed(run: Run, step: str) -> NoReturn:
    run.tell(f"{step} failed")
    raise Exited(_put_back(run) or Exit.STEP_FAILED)


def _put_back(run: Run) -> int:
    status = 0
    if run.has(run.path("flags")):
        if all(run.set_flags(slot, run.values[f"slot_{slot.lower()}"]) for slot in "AB"):
            run.remove(run.path("flags"))
            run.tell("both slots as they were")
        else:
            run.tell("flags NOT restored")
            status = Exit.NOT_UNDONE
    if not restore_conf(run):
        run.tell("update.conf NOT restored")
        status = Exit.NOT_UNDONE
    run.leave()
    return status
