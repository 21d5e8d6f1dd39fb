"""flatcar-update: staging one exact version, with the traces that the real script leaves.

It puts its own address into update.conf before it downloads and has no cleaning up on its way out, so a
failed download or a kill leaves that address there and the old SERVER lost; it unmasks the daemon for good.
Source: flatcar/init:bin/flatcar-update@3298243.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from collectors.facts import Operation
from console.demo import feed
from console.demo.live.body import Body, Call, Running, failed
from console.demo.live.client import update_engine_client
from console.demo.live.kinds import Pending, Reply, Scope, What
from console.demo.live.lifecycle import RUNTIME_MASK
from console.demo.live.machine import ENGINE_UNIT

_OURS = "http://localhost:9090/update"
_HOST = "update.release.flatcar-linux.net"
_LONG = {
    "--to-version": "V",
    "--to-payload": "P",
    "--extension": "E",
    "--oem-payloads": "O",
    "--listen-port-1": "L",
    "--listen-port-2": "M",
    "--force-dev-key": "D",
    "--force-flatcar-key": "F",
    "--disable-afterwards": "A",
    "--help": "h",
}
_WITH_VALUE = frozenset("VPEOLM")
_STAGED = (
    "Error: a previously downloaded update wasn't applied yet, "
    "you can discard it with 'update_engine_client -reset_status'\n"
)
_DONE = (
    "Done, please make sure to reboot either manually or through your reboot manager "
    "(check locksmithd/FLUO)\n"
)
_HARDCODED = "in /etc/flatcar/update.conf - make sure it fits the release channel you want to follow"
_RETRIED_S = 60.0
_DOWNLOAD_S = 40.0


@dataclass(frozen=True, slots=True)
class Wish:
    version: str = ""
    payload: str = ""
    disable: bool = False


def flatcar_update(body: Body, call: Call) -> Reply | Running:
    """Run the script; its output comes as it goes."""
    wish = _wish(call.args)
    if isinstance(wish, Reply):
        return wish
    if not wish.version:
        return failed("Error: must specify --to-version\n")
    if call.uid != 0:
        return failed("Need to be root: sudo flatcar-update\n")
    if body.engine.local_offer is not None:
        return failed("Error: some process is using port 9090\n")
    return _as_process(body, call, wish)


def _as_process(body: Body, call: Call, wish: Wish) -> Running:
    """Seen by pgrep as long as it runs."""
    scope = Scope(call.pending.scope)
    body.updaters.append(scope)
    reply = yield from _run(body, call, wish)
    scope.end()
    return reply


def _wish(args: tuple[str, ...]) -> Wish | Reply:
    wish, rest = Wish(), list(args)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        letter = _LONG.get(name, name[1:2] if word.startswith("-") and not word.startswith("--") else "")
        if letter not in _LONG.values() or not letter:
            return failed(f"flatcar-update: unrecognized option '{word}'\n")
        if letter == "h":
            return Reply(b"Usage: flatcar-update --to-version VERSION [--to-payload FILENAME]\n", b"", 1)
        if letter in _WITH_VALUE and not equals:
            value = word[2:] if not word.startswith("--") and len(word) > 2 else rest.pop(0) if rest else ""
            if not value:
                return failed(f"flatcar-update: option '{name}' requires an argument\n")
        if letter == "V":
            wish = replace(wish, version=value)
        elif letter == "P":
            wish = replace(wish, payload=value)
        elif letter == "A":
            wish = replace(wish, disable=True)
    return wish


def _run(body: Body, call: Call, wish: Wish) -> Running:
    machine, pending = body.machine, call.pending
    group = next((line for line in (machine.state.conf or "").splitlines() if line.startswith("GROUP=")), "")
    if group:
        text = f"Warning: found hardcoded {group} {_HARDCODED}\n"
        pending.stderr += text.encode()
    if trouble := _unmask(body):
        return _end(pending, 1, trouble)
    if body.engine.operation is Operation.NEED_REBOOT:
        return _end(pending, 1, _STAGED)
    previous = [line for line in (machine.state.conf or "").splitlines() if line.startswith("SERVER=")]
    _set_server(body, [f"SERVER={_OURS}"])
    if not wish.payload:
        code = yield from _download(body, pending, wish.version)
        if code:
            return _end(pending, code)
    elif wish.payload not in machine.disk_files:
        return _end(pending, 1, f"{wish.payload}: No such file or directory\n")
    pending.stdout += b"Forcing update...\n"
    body.engine.serve_locally(wish.version, pending.scope)
    is_staged = yield from _force(body, call)
    body.engine.serve_locally(None, pending.scope)
    if wish.disable:
        pending.stdout += b"Setting SERVER=disabled in /etc/flatcar/update.conf\n"
        previous = ["SERVER=disabled"]
    _set_server(body, previous)
    if not is_staged:
        return _end(pending, 1, "Error: update failed\n")
    if not wish.payload:
        pending.stdout += b"Removing payload /var/tmp/update_payload\n"
    pending.stdout += _DONE.encode()
    return _end(pending, 0)


def _end(pending: Pending, status: int, complaint: str = "") -> Reply:
    pending.stderr += complaint.encode()
    return Reply(pending.stdout, pending.stderr, status)


def _unmask(body: Body) -> str:
    """`systemctl unmask` and `start`: a mask of /etc is gone afterwards, one of /run makes it give up."""
    machine = body.machine
    found = machine.unit(ENGINE_UNIT)
    if found.file_state == RUNTIME_MASK:
        return f"Failed to start {ENGINE_UNIT}: Unit {ENGINE_UNIT} is masked.\n"
    if found.is_masked:
        machine.set_unit(ENGINE_UNIT, replace(found, load="loaded", file_state="disabled"))
    if not body.engine.is_running:
        body.engine.start()
    return ""


def _set_server(body: Body, lines: list[str]) -> None:
    """Every line that holds `SERVER=` goes, whatever its key; the new ones stand last."""
    machine = body.machine
    kept = [line for line in (machine.state.conf or "").splitlines() if "SERVER=" not in line]
    text = "".join(f"{line}\n" for line in (*kept, *lines))
    if text != machine.state.conf:
        machine.state = replace(machine.state, conf=text)
        machine.record(What.CONF_CHANGED, "flatcar-update")


def _download(body: Body, pending: Pending, version: str) -> Generator[float, None, int]:
    """curl's status."""
    machine = body.machine
    pending.stdout += b"Downloading update payloads...\n"
    if machine.server.is_unreachable:
        for _ in range(25):
            pending.stderr += f"curl: (6) Could not resolve host: {_HOST}\n".encode()
            yield _RETRIED_S / 25
        return 6
    if machine.faults.payload_missing or not is_release(version):
        pending.stderr += b"curl: (22) The requested URL returned error: 404\n"
        yield 1.0
        return 22
    if machine.faults.disk_full:
        pending.stderr += b"curl: (23) Failure writing output to destination\n"
        yield 5.0
        return 23
    yield _DOWNLOAD_S
    return 0


def is_release(version: str) -> bool:
    return any(item.version == version for items in feed.CHANNELS.values() for item in items)


def _force(body: Body, call: Call) -> Generator[float, None, bool]:
    """`update_engine_client -update`, its words thrown away; then what the status says."""
    inner = Call(("update_engine_client", "-update"), 0, b"", Pending(Scope(call.pending.scope)))
    reply = update_engine_client(body, inner)
    if not isinstance(reply, Reply):
        reply = yield from reply
    return reply.exit_status == 0 and body.engine.operation is Operation.NEED_REBOOT
