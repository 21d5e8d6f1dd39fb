"""systemd-run, journalctl and systemd-inhibit on a live host.

Source: systemd/systemd:src/{run,journal,login}@009abdc; wording as of 257.
"""

from __future__ import annotations

import shlex
from collections.abc import Generator
from dataclasses import replace

from collectors.facts import Unit
from console.demo import tools
from console.demo.live.body import Body, Call, Running, Transient, failed
from console.demo.live.kinds import Pending, Power, Reply, Scope
from console.demo.live.machine import ENGINE_UNIT

AUTH = "Interactive authentication required.\n"


def full_name(name: str) -> str:
    return name if "." in name.rpartition("/")[2] else f"{name}.service"


def systemd_run(body: Body, call: Call) -> Reply | Running:
    """Run a program as a transient unit; a name that is taken is refused."""
    name, properties, waits, rest = _asked(call.args)
    if call.uid != 0:
        return failed(f"Failed to start transient service unit: {AUTH}")
    if not rest:
        return failed("Command line to execute required.\n")
    name = name or f"run-u{body.machine.number('unit', 9000)}.service"
    if name in body.machine.state.units:
        why = f"Unit {name} was already loaded or has a fragment file."
        return failed(f"Failed to start transient service unit: {why}\n")
    if body.machine.power is not Power.ON:
        why = f"Transaction for {name}/start is destructive (reboot.target has 'start' job queued)."
        return failed(f"Failed to start transient service unit: {why}\n")
    scope = Scope(body.machine.boot)
    stop_post = tuple(tuple(shlex.split(value)) for key, value in properties if key == "ExecStopPost")
    remains = ("RemainAfterExit", "yes") in properties
    body.transient[name] = Transient(scope, stop_post, remains)
    body.machine.set_unit(name, Unit("loaded", "active", "running", "transient", "success"))
    for value in (value for key, value in properties if key == "RuntimeMaxSec" and value.isdigit()):
        body.machine.after(float(value), scope, lambda: body.end_transient(name, None, timed_out=True))
    inner = Call(tuple(rest), 0, b"", Pending(scope))
    body.machine.start(_service(body, name, inner), scope)
    said = f"Running as unit: {name}; invocation ID: {body.machine.state.boot_id.replace('-', '')}\n"
    if waits:
        return _wait_for(inner, said)
    return Reply(b"", b"" if "-q" in call.args or "--quiet" in call.args else said.encode())


def _asked(args: tuple[str, ...]) -> tuple[str, list[tuple[str, str]], bool, list[str]]:
    name, properties, waits = "", [], False
    rest = list(args)
    while rest and rest[0].startswith("-"):
        word = rest.pop(0)
        if word == "--":
            break
        key, equals, value = word.partition("=")
        if key in ("--unit", "-u", "--property", "-p", "--service-type", "--description", "--setenv", "-E"):
            value = value if equals else (rest.pop(0) if rest else "")
        if key in ("--unit", "-u"):
            name = full_name(value)
        elif key in ("--property", "-p"):
            first, _, second = value.partition("=")
            properties.append((first, second))
        elif key in ("--remain-after-exit", "-r"):
            properties.append(("RemainAfterExit", "yes"))
        elif key in ("--wait", "--pipe", "-P"):
            waits = True
    return name, properties, waits, rest


def _service(body: Body, name: str, call: Call) -> Generator[float, None, None]:
    program = body.programs.get(call.argv[0].rpartition("/")[2])
    if program is None:
        reply: Reply = Reply(b"", b"", 203)
    else:
        found = program(body, call)
        reply = found if isinstance(found, Reply) else (yield from found)
    if call.pending.scope.is_over:
        return  # it has stopped itself, by a reboot
    call.pending.reply = reply
    text = (reply.stdout + reply.stderr).decode("utf-8", "replace")
    body.machine.tell(name, *text.splitlines())
    body.end_transient(name, reply.exit_status)


def _wait_for(inner: Call, said: str) -> Running:
    while inner.pending.reply is None and not inner.pending.scope.is_over:
        yield 0.5
    reply = inner.pending.reply
    if reply is None:
        return Reply(b"", said.encode(), 1)
    return Reply(reply.stdout, said.encode() + reply.stderr, reply.exit_status)


# -- journal and inhibitors ----------------------------------------------------------------------


def journalctl(body: Body, call: Call) -> Reply:
    """`journalctl -u UNIT [-b [-1]] [-o short-unix|cat]` of this boot or the one before."""
    args = call.args
    unit = next((args[i + 1] for i, word in enumerate(args[:-1]) if word in ("-u", "--unit")), "")
    unit = unit or next((word.partition("=")[2] for word in args if word.startswith("--unit=")), ENGINE_UNIT)
    is_cat = "cat" in args or "--output=cat" in args
    count = next((args[i + 1] for i, word in enumerate(args[:-1]) if word in ("-n", "--lines")), "")
    machine = body.machine
    if full_name(unit) == ENGINE_UNIT:
        shown = machine.earlier_journal if "-1" in args else machine.state.journal
        host = replace(machine.state, journal=shown)
        lines = tools.journal(host, "", limit_bytes=1 << 20).content.decode().splitlines()[1:]
        lines = [line.partition("]: ")[2] for line in lines] if is_cat else lines
    else:
        journal = machine.earlier_unit_journal if "-1" in args else machine.unit_journal
        found = journal.get(full_name(unit), [])
        name = unit.partition(".")[0]
        lines = [
            text if is_cat else f"{at.timestamp():.6f} {machine.state.name} {name}[1201]: {text}"
            for at, text in found
        ]
    if count.isdigit():
        lines = lines[-int(count) :] if int(count) else []
    return Reply("".join(f"{line}\n" for line in lines).encode())


def systemd_inhibit(body: Body, call: Call) -> Reply:
    """`systemd-inhibit --list`."""
    holder = body.machine.faults.inhibitor
    if not holder:
        return Reply(b"No inhibitors.\n")
    title = f"{'WHO':10} UID USER PID  COMM       WHAT     WHY  MODE\n"
    row = f"{holder:10} 0   root 1411 {holder:10} shutdown busy block\n"
    return Reply((title + row + "\n1 inhibitors listed.\n").encode())
