"""What `bash -c TEXT` does on a live host, of the texts that fleetctl sends: orders, the looks around them.

A text is known letter by letter; its counterpart here does what it does to the host, in its order and time,
and says what it says. The texts have no version of their own here: tests hold both together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from actions.orders import Verb
from actions.remote.order import VerbText
from actions.remote.shell import _WRAP
from actions.remote.sudoers import TEXTS
from actions.remote.upload import UPLOAD_ARGV
from actions.remote.words import Exit
from console.demo.live import order_boots, order_looks, order_quick, order_stage
from console.demo.live.body import Body, Call, Program, Running
from console.demo.live.kinds import Reply
from console.demo.live.order_channel import ask, begin, guard, take
from console.demo.live.order_run import Exited, Run, is_order
from console.demo.live.order_stage import Steps
from console.demo.live.order_upload import upload
from console.demo.live.shell import start

_STARTS_S = 0.05
"""Until a unit's bash has read its text."""


@dataclass(frozen=True, slots=True)
class Script:
    """A verb's own part: what it refuses, what its unit does, what systemd runs at that one's bad end."""

    refuses: frozenset[str]
    check: Callable[[Run], None]
    body: Callable[[Run], Steps]
    after: Callable[[Run], int]


_REBOOT = Script(
    order_boots.REBOOT_REFUSES, order_boots.check_reboot, order_boots.reboot, order_boots.after_reboot
)
SCRIPTS: Mapping[Verb, Script] = {
    Verb.STAGE: Script(order_stage.REFUSES, order_stage.check, order_stage.body, order_stage.after),
    Verb.CANCEL: Script(
        order_quick.CANCEL_REFUSES, order_quick.check_cancel, order_quick.cancel, order_quick.after_drop
    ),
    Verb.ACTIVATE: _REBOOT,
    Verb.REBOOT: _REBOOT,
    Verb.ROLL_BACK: Script(
        order_boots.ROLL_BACK_REFUSES,
        order_boots.check_roll_back,
        order_boots.roll_back,
        order_boots.after_roll_back,
    ),
    Verb.CHANNEL: Script(
        order_quick.FAST_REFUSES, order_quick.check_fast, order_quick.channel, order_quick.after_drop
    ),
    Verb.UPDATES: Script(
        order_quick.FAST_REFUSES, order_quick.check_fast, order_quick.switch_updates, order_quick.after_drop
    ),
    Verb.REPAIR: Script(
        order_quick.REPAIR_REFUSES, order_quick.check_repair, order_quick.repair, order_quick.after_drop
    ),
}


@cache
def scripts() -> Mapping[str, Program]:
    """Text of `bash -c`, or of a file that bash runs -> what it does."""
    found: dict[str, Program] = {_WRAP: _as_root, UPLOAD_ARGV[4]: upload}
    found |= order_looks.scripts()
    found |= {text.text: _order(text, SCRIPTS[verb]) for verb, text in TEXTS.items()}
    return found


def _as_root(body: Body, call: Call) -> Reply | Running:
    argv = call.args if call.uid == 0 else ("sudo", "-n", *call.args)
    return start(body, Call(argv, call.uid, call.stdin, call.pending))


def _order(text: VerbText, script: Script) -> Program:
    def program(body: Body, call: Call) -> Reply | Running:
        run = Run(body, call, text.verb, script.refuses)
        match call.args:
            case ("body" | "after" as how, *order):
                return _in_unit(run, text, script, how, order[0] if order else "")
        return _on_channel(run, text, script)

    return program


def _on_channel(run: Run, text: VerbText, script: Script) -> Reply:
    status = 0
    try:
        ask(run, text, run.call.stdin)
        take(run)
        guard(run)
        script.check(run)
        begin(run, text)
    except Exited as exited:
        status = exited.status
    return _reply(run, status)


def _in_unit(run: Run, text: VerbText, script: Script, how: str, order: str) -> Reply | Running:
    kept = run.files.read(f"/run/fleetctl/{order}.in") if is_order(order) else None
    if kept is None:
        return Reply(exit_status=int(Exit.MALFORMED))
    try:
        ask(run, text, kept)
        run.owns = True
        return _reply(run, script.after(run)) if how == "after" else _process(run, script)
    except Exited as exited:
        return _reply(run, exited.status)


def _process(run: Run, script: Script) -> Running:
    yield _STARTS_S
    try:
        status = yield from script.body(run)
    except Exited as exited:
        status = exited.status
    return _reply(run, status)


def _reply(run: Run, status: int) -> Reply:
    return Reply(run.call.pending.stdout, run.call.pending.stderr, int(status))
