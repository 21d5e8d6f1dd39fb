"""The verb `stage` on a live host. Source of each step: `actions.remote.stage`."""

from __future__ import annotations

import hashlib
from collections.abc import Generator

from actions.remote.stage import PAYLOAD_DIR
from actions.remote.words import Exit
from console.demo.live.body import Call
from console.demo.live.kinds import Pending, Reply, Scope
from console.demo.live.order_conf import (
    end_line,
    foreign,
    give_back,
    hold,
    keep_conf,
    masked_for_good,
    restore_conf,
)
from console.demo.live.order_run import Run
from console.demo.live.order_upload import remove_folder
from console.demo.live.shell import start

Steps = Generator[float, None, int]
REFUSES = frozenset({"not-idle", "updater-running", "locksmithd-in-etc"})
_ENGINE = "update-engine.service"
_STAGED = "UPDATE_STATUS_UPDATED_NEED_REBOOT"
_ENDED = ("UPDATE_STATUS_IDLE", _STAGED)
_MOST_SILENCES = 30


def check(run: Run) -> None:
    if run.values["operation"] != "UPDATE_STATUS_IDLE":
        run.refuse("not-idle")
    if run.updater():
        run.refuse("updater-running")
    if run.values["hold"] != "no" and foreign(run) and not masked_for_good(run):
        run.refuse("locksmithd-in-etc")


def body(run: Run) -> Steps:
    status = 0
    if run.values["hold"] != "no" and not hold(run):
        run.tell("locksmithd could not be held")
        status = Exit.STEP_FAILED
    if status == 0:
        status = yield from (_offered(run) if run.values["version"] == "-" else _exact(run))
    return after(run) or status


def after(run: Run) -> int:
    """Undo what staging borrowed, once; 0 or NOT_UNDONE."""
    status = 0
    if run.has(run.path("over")):
        return status
    if not (restore_conf(run) and run.tell("update.conf as it was")):
        run.tell("update.conf NOT restored")
        status = Exit.NOT_UNDONE
    if not _restore_engine(run):
        status = Exit.NOT_UNDONE
    remove_folder(run.files, _folder(run))
    if run.next() == run.running() and run.operation() == "UPDATE_STATUS_IDLE":
        give_back(run, run.values["conf"])
        run.drop()
    if status == 0:
        run.write(run.path("over"), b"")
    return status


def _keep_engine(run: Run) -> bool:
    enabled, active = (
        run.do("systemctl", verb, _ENGINE).stdout.decode().strip() for verb in ("is-enabled", "is-active")
    )
    return run.write(run.path("engine"), f"{enabled} {active}\n")


def _restore_engine(run: Run) -> bool:
    kept = run.read(run.path("engine"))
    if kept is None:
        return True
    enabled, _, active = kept.strip().partition(" ")
    if enabled in ("masked", "masked-runtime"):
        option = ("--runtime",) if enabled == "masked-runtime" else ()
        if run.text("systemctl", "mask", *option, _ENGINE) is None:
            return False
        if active != "active":
            run.do("systemctl", "stop", _ENGINE)
    run.remove(run.path("engine"))
    return True


def _folder(run: Run) -> str:
    return PAYLOAD_DIR.format(order=run.order)


def _offered(run: Run) -> Steps:
    silences = 0
    if run.engine("AttemptUpdate") is None:
        return Exit.STEP_FAILED
    run.tell("update asked for")
    yield 6.0
    while silences < _MOST_SILENCES:
        operation = run.operation()
        silences = silences + 1 if operation is None else 0
        if operation in _ENDED:
            run.tell(f"ended as {operation}")
            return 0
        yield 2.0
    return Exit.STEP_FAILED


def _exact(run: Run) -> Steps:
    argv = _given(run)
    if argv is None:
        return Exit.BAD_PAYLOAD
    if not (keep_conf(run) and _keep_engine(run)):
        run.tell("update.conf could not be kept")
        return Exit.STEP_FAILED
    if not end_line(run):
        run.tell("update.conf could not be written")
        return Exit.STEP_FAILED
    run.tell(f"staging {run.values['version']}")
    inner = Call(argv, 0, b"", Pending(Scope(run.call.pending.scope)))
    found = start(run.body, inner)
    reply = found if isinstance(found, Reply) else (yield from found)
    run.call.pending.stdout += reply.stdout + reply.stderr
    run.tell(f"flatcar-update ended with {reply.exit_status}")
    is_staged = reply.exit_status == 0 or run.operation() == _STAGED
    return 0 if is_staged else Exit.STEP_FAILED


def _given(run: Run) -> tuple[str, ...] | None:
    """flatcar-update's argv; None where a file is not as it was sent."""
    argv = ["flatcar-update", "--to-version", run.values["version"]]
    for key, value in run.values.items():
        if value == "-" or not (key == "payload" or key.startswith("extension_")):
            continue
        name, _, digest = value.partition(" ")
        path = f"{_folder(run)}/{name}"
        content = run.files.kept(path).get(path)
        if content is None or hashlib.sha256(content).hexdigest() != digest:
            run.tell(f"payload {name} missing or damaged")
            return None
        argv += ["--to-payload" if key == "payload" else "--extension", path]
    return tuple(argv)
