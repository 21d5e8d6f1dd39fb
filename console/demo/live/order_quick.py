"""The verbs `cancel`, `channel`, `updates` and `repair` on a live host.

Source of each step: `actions.remote.cancel`, `actions.remote.channel`, `actions.remote.updates`,
`actions.remote.conf` and `actions.remote.repair`.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NoReturn

from actions.remote.words import Exit
from console.demo.live.host_files import REBOOT_REQUIRED
from console.demo.live.order_boots import QUIET
from console.demo.live.order_conf import (
    LOCAL,
    foreign,
    give_back,
    hold,
    masked_for_good,
    rewrite,
    updates,
)
from console.demo.live.order_run import Exited, Run, conf_of

Steps = Generator[float, None, int]
CANCEL_REFUSES = frozenset({"busy", "updater-running", "running-unknown", "locksmithd-in-etc"})
FAST_REFUSES = frozenset({"updater-running"})
REPAIR_REFUSES = frozenset({"busy", "updater-running", "running-unknown"})
RESIDUES = ("server", "staged", "marks", "locksmithd")
_IDLE, _STAGED = QUIET
_LOCAL_SERVER = re.compile(rb"^SERVER=[\"']?https?://(localhost|127[.])", re.MULTILINE)
_LOOKS = 5


def check_cancel(run: Run) -> None:
    if run.values["operation"] not in QUIET:
        run.refuse("busy")
    if run.updater():
        run.refuse("updater-running")
    if run.running() is None:
        run.refuse("running-unknown")
    if foreign(run) and not masked_for_good(run):
        run.refuse("locksmithd-in-etc")


def cancel(run: Run) -> Steps:
    values = run.values
    found = values["conf"] if values["found"] == "-" else values["found"]
    running = run.running() or _failed(run, "running-slot")
    if values["updates_off"] == "yes":
        if not updates(run, "off", "-"):
            _failed(run, "updates-off")
        found = run.digest()
        run.tell("updates off")
    if not hold(run):
        _failed(run, "hold")
    if "-" not in (values["flags_a"], values["flags_b"]):
        if not (run.set_flags("A", values["flags_a"]) and run.set_flags("B", values["flags_b"])):
            _failed(run, "flags")
        run.tell("both slots as recorded")
    else:
        if not run.first(running):
            _failed(run, "prioritize")
        run.tell(f"next boot is {running}")
    if not (yield from _reset(run)):
        _failed(run, "reset")
    run.tell("status is idle")
    if values["remove_marker"] == "yes":
        run.remove(REBOOT_REQUIRED)
        if run.has(REBOOT_REQUIRED):
            _failed(run, "marker")
        run.tell("reboot marker removed")
    give_back(run, found)
    run.drop()
    return 0


def _failed(run: Run, step: str) -> NoReturn:
    run.tell(f"{step} failed")
    run.leave()
    raise Exited(Exit.STEP_FAILED)


def _reset(run: Run) -> Generator[float, None, bool]:
    if run.operation() == _IDLE:
        return True
    if run.engine("ResetStatus") is None:
        return False
    for _ in range(_LOOKS):
        if run.operation() == _IDLE:
            return True
        yield 1.0
    return False


def after_drop(run: Run) -> int:
    run.drop()
    return 0


# -- update.conf ---------------------------------------------------------------------------------


def check_fast(run: Run) -> None:
    if run.updater():
        run.refuse("updater-running")


def channel(run: Run) -> Steps:
    yield from ()
    is_written = rewrite(run, "GROUP", run.values["group"])
    return _finish(run) if is_written else _unwritten(run, "GROUP could not be written")


def switch_updates(run: Run) -> Steps:
    yield from ()
    is_written = updates(run, run.values["mode"], run.values["server"])
    return _finish(run) if is_written else _unwritten(run, "SERVER could not be written")


def _unwritten(run: Run, words: str) -> int:
    run.tell(words)
    run.drop()
    return Exit.STEP_FAILED


def _finish(run: Run) -> int:
    run.drop()
    run.tell(f"update.conf is now {run.digest()}")
    return 0


# -- repair --------------------------------------------------------------------------------------


def check_repair(run: Run) -> None:
    if run.values["operation"] not in ("-", *QUIET):
        run.refuse("busy")
    if run.updater():
        run.refuse("updater-running")
    needs_slot = "yes" in (run.values["staged"], run.values["marks"])
    if needs_slot and run.running() is None:
        run.refuse("running-unknown")


def repair(run: Run) -> Steps:
    yield from ()
    status = 0
    steps = {"server": _server, "staged": _staged, "marks": _marks, "locksmithd": _locksmithd}
    for name in RESIDUES:
        if run.values[name] == "yes" and not steps[name](run):
            run.tell(f"{name}: failed")
            status = Exit.STEP_FAILED
    run.drop()
    return status


def _has_local_server(run: Run) -> bool:
    return _LOCAL_SERVER.search(conf_of(run.body) or b"") is not None


def _server(run: Run) -> bool:
    if not _has_local_server(run):
        run.tell("server: no residue")
        return True
    rewrite(run, "SERVER", run.values["restore_server"], LOCAL)
    return not _has_local_server(run) and run.tell("server: residue removed")


def _staged(run: Run) -> bool:
    running, coming = run.running(), run.next()
    if running is None or coming is None:
        return False
    is_confirmed = not (run.flags(coming) or "").endswith("successful=0")
    if coming == running or run.operation() != _IDLE or is_confirmed:
        run.tell("staged: no residue")
        return True
    if not (run.flags(running) or "").endswith("successful=1") or not run.first(running):
        return False
    return run.tell(f"staged: next boot is {running}")


def _marks(run: Run) -> bool:
    running, coming = run.running(), run.next()
    if running is None or coming is None:
        return False
    if coming != running or run.operation() != _STAGED:
        run.tell("marks: no residue")
        return True
    if run.engine("ResetStatus") is None:
        return False
    if run.values["remove_marker"] != "no":
        run.remove(REBOOT_REQUIRED)
    return run.tell("marks: status reset")


def _locksmithd(run: Run) -> bool:
    return give_back(run, "-")
