"""An order's part on the channel of a live host: its values, who holds the host, what moved, the unit.

Source of each step: `actions.remote.order`. The commands of one channel take no time, so the lock on the
host's folder is always free.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NoReturn

from actions.remote.order import _COMMON, VerbText
from actions.remote.words import Exit
from console.demo.live.order_run import FOLDER, Exited, Run, is_order

_LONGEST_LINE = 700
_LONGEST_WHY = 300
_LONGEST_ORDER = 400
_UNTIL = re.compile(r"[1-9][0-9]{8,10}", re.ASCII)
_NOT_IN_WHY = re.compile(r"[^A-Za-z0-9=@._+?:-]")
_NOT_IN_ORDER = re.compile(r"[^A-Za-z0-9=@._+?-]")


def pieces(data: bytes, limit: int) -> Iterator[str]:
    """What bash's `read -r -n LIMIT` gives, call by call; what no newline ends and is short, it does not."""
    text = data.replace(b"\0", b"").decode("latin-1")
    at = 0
    while at < len(text):
        end = text.find("\n", at, at + limit)
        if end < 0 and len(text) - at < limit:
            return
        yield text[at : end if end >= 0 else at + limit]
        at = end + 1 if end >= 0 else at + limit


def forms_of(text: VerbText) -> Mapping[str, str]:
    """Every line that the text takes: key -> expression, in the order in which it looks at them."""
    return dict(_COMMON) | dict(text.forms)


def ask(run: Run, text: VerbText, stdin: bytes) -> None:
    """Raises Exited where a line is missing, too much or not in its form."""
    forms, is_whole = forms_of(text), False
    for line in pieces(stdin, _LONGEST_LINE):
        if line == "end":
            is_whole = True
            break
        key, sign, value = line.partition("=")
        if not sign or key not in forms:
            run.bad("line")
        run.values[key] = value
    if not is_whole:
        run.bad("end")
    for key, form in forms.items():
        if not re.fullmatch(form.removeprefix("^").removesuffix("$"), run.values.get(key, ""), re.ASCII):
            run.bad(key)
        if key == "order":
            run.order = run.values[key]


def take(run: Run) -> None:
    """Write our name on the host, or leave it to who has it. Raises Exited."""
    new, path = f"{FOLDER}/order.new", f"{FOLDER}/order"
    if run.is_loaded(run.order):
        run.reply("running")
        raise Exited(Exit.STARTED)
    now = int(run.machine.wall.timestamp())
    values = {
        "order": run.order,
        **{key: run.values[key] for key in ("actor", "console")},
        "verb": run.verb,
        "boot_id": run.values["boot_id"],
        "until": str(now + int(run.values["lasts"])),
    }
    content = "".join(f"{key}={value}\n" for key, value in values.items())
    if not run.write(new, content):
        run.reply("not-started file")
        raise Exited(Exit.NOT_STARTED)
    run.remove(new)
    holder = run.held_by("order")
    if not run.has(path) or _is_over(run, holder, now):
        before = run.read(path)
        if before is not None:
            run.write(run.path("before"), before)
        run.write(path, content)
        run.owns = True
    elif holder != run.order:
        shown = (run.read(path) or "")[:_LONGEST_ORDER]
        run.reply(f"taken {_NOT_IN_ORDER.sub(' ', shown)}")
        raise Exited(Exit.TAKEN)


def _is_over(run: Run, holder: str, now: int) -> bool:
    """Whether another order may be replaced: its time is up, or it is the one we follow; and it is still."""
    until = run.held_by("until")
    if holder == run.order or not is_order(holder) or not _UNTIL.fullmatch(until):
        return False
    return (int(until) <= now or holder == run.values["follows"]) and not run.is_busy(holder)


def guard(run: Run) -> None:
    """Raises Exited where the host is not as the plan saw it."""
    found = {
        "boot_id": run.machine.state.boot_id,
        "slot_a": run.flags("A") or "-",
        "slot_b": run.flags("B") or "-",
        "operation": run.operation() or "-",
        "conf": run.digest(),
    }
    for key, value in found.items():
        if value != run.values[key]:
            run.leave()
            run.reply(f"moved {key} {value}")
            raise Exited(Exit.MOVED)


def begin(run: Run, text: VerbText) -> None:
    """Keep the text and the values, and start the unit. Raises Exited where there is one already, or none."""
    script = run.path("sh")
    run.remove(run.path("log"))
    lines = "".join(f"{key}={run.values[key]}\n" for key in forms_of(text))
    if not (run.write(script, text.text + "\n") and run.write(run.path("in"), f"{lines}end\n")):
        _not_started(run, "file")
    shell = ("/bin/bash", "--norc", "--noprofile")
    found = run.do(
        *("systemd-run", "--quiet", f"--unit=fleetctl-{run.order}"),
        f"--description=fleetctl {run.verb} by {run.values['actor']}",
        *("-p", "RemainAfterExit=yes", "-p", f"RuntimeMaxSec={run.values['lasts']}"),
        *("-p", f"ExecStopPost={' '.join(shell)} {script} after {run.order}"),
        *(*shell, script, "body", run.order),
    )
    if found.exit_status != 0:
        if run.is_loaded(run.order):
            run.reply("running")
            raise Exited(Exit.STARTED)
        why = found.stderr.decode("utf-8", "replace").rstrip("\n")[:_LONGEST_WHY]
        _not_started(run, _NOT_IN_WHY.sub(" ", why))
    run.reply("started")


def _not_started(run: Run, why: str) -> NoReturn:
    run.leave()
    run.reply(f"not-started {why}")
    raise Exited(Exit.NOT_STARTED)
