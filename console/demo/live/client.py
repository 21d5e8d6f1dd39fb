"""update_engine_client, and busctl as far as it speaks to update_engine.

Source: flatcar/update_engine:src/update_engine/{update_engine_client,dbus_service}.cc@7382641 and its D-Bus
policy: root and core may call, nobody else; recorded from the programs.
"""

from __future__ import annotations

import json
from collections.abc import Generator

from collectors.facts import Operation
from console.demo.live.body import Body, Call, Running, failed
from console.demo.live.kinds import Reply
from console.demo.world import Bus, SimulatedHost

ALLOWED_UIDS = (0, 500)
_FLAGS = ("status", "check_for_update", "update", "reset_status", "watch_for_updates")
_HELP = ("help", "helpfull", "helpshort", "helppackage", "helpxml")
_FILE = "update_engine_client.cc"
_NO_OWNER = "GError(3): Could not get owner of name 'com.coreos.update1': no such name"
_REJECTED = 'GError(9): Rejected send message, 2 matched rules; type="method_call"'
_HINT = "(D=$(rootdev -d) P=$(rootdev -s); cgpt p -i$(($(echo ${P#$D} | sed 's/^[^0-9]*//')-1)) $D;)\n"
_TRIES = 4
_RETRY_S = 10.0
_LOOK_S = 5.0
_ABORTED = 134
_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
_NAME, _PATH, _MANAGER = "com.coreos.update1", "/com/coreos/update1", "com.coreos.update1.Manager"


def update_engine_client(body: Body, call: Call) -> Reply | Running:
    """Run the client. Of several flags the first counts in the order reset, status, check, watch."""
    wanted: set[str] = set()
    for word in call.args:
        if not word.startswith("-"):
            continue
        name, _, value = word.lstrip("-").replace("-", "_").partition("=")
        if name in _HELP:
            return Reply(b"update_engine_client: Warning: SetUsageMessage() never called\n", b"", 1)
        if name == "version":
            return Reply(b"update_engine_client\n")
        is_on = not name.startswith("no") and value.lower() not in ("false", "f", "0", "no", "n")
        name = name.removeprefix("no") if name.removeprefix("no") in _FLAGS else name
        if name not in _FLAGS:
            return failed(f"ERROR: unknown command line flag '{name}'\n")
        if is_on:
            wanted.add(name)
    if not wanted:
        return Reply(b"", _said(body, "I", 270, "Done."))
    return _run(body, call, wanted)


def _said(body: Body, level: str, line: int, text: str) -> bytes:
    at = body.machine.wall
    year = f"{at:%Y}" if body.machine.state.release.key[0] >= 4230 else ""
    return f"{level}{year}{at:%m%d %H:%M:%S.%f} {3548:5} {_FILE}:{line}] {text}\n".encode()


def _run(body: Body, call: Call, wanted: set[str]) -> Running:
    """What the flags do, once the daemon's name is found."""
    pending = call.pending
    first = "reset_status" if "reset_status" in wanted else "status" if "status" in wanted else ""
    if first == "reset_status":
        pending.stderr += _said(body, "I", 227, "Setting Update Engine status to idle ...")
    elif first == "status":
        pending.stderr += _said(body, "I", 241, "Querying Update Engine status...")
    elif wanted & {"check_for_update", "update"}:
        pending.stderr += _said(body, "I", 251, "Initiating update check and install.")
    else:
        pending.stderr += _said(body, "I", 265, "Watching for status updates.")
    if not (yield from _found(body, call)):
        return Reply(pending.stdout, pending.stderr, 1)
    if first == "reset_status":
        return _reset(body, call)
    if first == "status":
        _look(body, call)
        return Reply(pending.stdout, pending.stderr)
    if wanted & {"check_for_update", "update"}:
        if call.uid not in ALLOWED_UIDS:
            pending.stderr += _said(
                body, "F", 132, f"Check failed: rc == TRUE Error checking for update: {_REJECTED}"
            )
            return Reply(pending.stdout, pending.stderr, _ABORTED)
        body.engine.attempt_update()
        if "update" not in wanted:
            return Reply(pending.stdout, pending.stderr)
        return (yield from _wait(body, call))
    return (yield from _watch(body, call))


def _found(body: Body, call: Call) -> Generator[float, None, bool]:
    """Whether the daemon is on the bus: asked four times, ten seconds apart."""
    for number in range(1, _TRIES + 1):
        if body.engine.is_running:
            return True
        text = f"Error getting dbus proxy for {_NAME}: {_NO_OWNER}"
        call.pending.stderr += _said(body, "W", 60, text)
        if number < _TRIES:
            text = f"Retrying to get dbus proxy. Try {number + 1}/{_TRIES}"
            call.pending.stderr += _said(body, "I", 51, text)
            yield _RETRY_S
    text = f"Giving up -- unable to get dbus proxy for {_NAME}"
    call.pending.stderr += _said(body, "E", 65, text)
    return False


def _reset(body: Body, call: Call) -> Reply:
    if call.uid not in ALLOWED_UIDS or not body.engine.reset_status():
        call.pending.stderr += _said(body, "E", 229, "ResetStatus failed.")
        return Reply(b"", call.pending.stderr, 1)
    text = "ResetStatus succeeded; to undo partition table changes run:"
    call.pending.stderr += _said(body, "I", 233, text) + _HINT.encode()
    return Reply(b"", call.pending.stderr)


def _look(body: Body, call: Call) -> Operation | None:
    """Print the five lines; None where the caller is refused, which prints zeros."""
    state = body.machine.state
    if call.uid not in ALLOWED_UIDS or state.engine.bus is Bus.DENIES:
        call.pending.stderr += _said(body, "E", 148, f"Error getting status: {_REJECTED}")
        call.pending.stdout += _five_lines(state, is_refused=True)
        return None
    call.pending.stdout += _five_lines(state)
    return state.engine.operation


def _five_lines(state: SimulatedHost, *, is_refused: bool = False) -> bytes:
    engine = state.engine
    if is_refused:
        checked, progress, operation, version, size = 0, 0.0, "(null)", "(null)", 0
    else:
        checked, progress = _seconds(state), engine.progress
        operation, version, size = str(engine.operation), engine.new_version, engine.new_size_bytes
    return (
        f"LAST_CHECKED_TIME={checked}\nPROGRESS={progress:.6f}\nCURRENT_OP={operation}\n"
        f"NEW_VERSION={version}\nNEW_SIZE={size}\n"
    ).encode()


def _seconds(state: SimulatedHost) -> int:
    checked = state.engine.last_checked_at
    return int(checked.timestamp()) if checked else 0


def _wait(body: Body, call: Call) -> Running:
    """`-update`: looks every five seconds until the daemon is idle or has staged."""
    pending = call.pending
    pending.stderr += _said(body, "I", 256, "Waiting for update to complete.")
    while True:
        yield _LOOK_S
        if not body.engine.is_running and not (yield from _found(body, call)):
            return Reply(pending.stdout, pending.stderr, 1)
        operation = _look(body, call)
        if operation is Operation.IDLE:
            pending.stderr += _said(body, "I", 194, "No update available")
            return Reply(pending.stdout, pending.stderr)
        if operation is Operation.NEED_REBOOT:
            pending.stderr += _said(body, "I", 198, "Update succeeded -- reboot needed.")
            return Reply(pending.stdout, pending.stderr)


def _watch(body: Body, call: Call) -> Running:
    """Ends only by a signal; tells of no state that was there before, and nothing after a new daemon."""
    pending = call.pending

    def heard() -> None:
        if pending.is_over:
            return
        engine = body.machine.state.engine
        values = {
            "last_checked_time": _seconds(body.machine.state),
            "progress": f"{engine.progress:g}",
            "current_operation": engine.operation,
            "new_version": engine.new_version,
            "new_size": engine.new_size_bytes,
        }
        pending.stderr += _said(body, "I", 80, "Got status update:")
        for line, (key, value) in enumerate(values.items(), 81):
            pending.stderr += _said(body, "I", line, f"  {key}: {value}")

    body.engine.watchers.append(heard)
    while True:
        yield 3600.0


# -- busctl --------------------------------------------------------------------------------------


def busctl(body: Body, call: Call) -> Reply:
    """`busctl [options] call|introspect|tree com.coreos.update1 …`, and logind's inhibitors as JSON."""
    words = [word for word in call.args if not word.startswith("-")]
    is_json = any(word.startswith("--json=") or word == "-j" for word in call.args)
    if words[:2] == ["tree", _NAME]:
        return _tree(call)
    if words[:2] == ["introspect", _NAME]:
        text = f"Failed to introspect object {' '.join(words[2:3])} of service {_NAME}: Access denied\n"
        return failed(text) if call.uid != 0 else Reply(_INTERFACE.encode())
    if words[:1] != ["call"] or len(words) < 5:
        return failed(f"Unknown command verb '{' '.join(words[:1])}'.\n")
    _, name, path, interface, method, *rest = words
    if (name, path, interface, method) == (*_LOGIND, "ListInhibitors") and is_json:
        return _inhibitors(body)
    if name != _NAME or not body.engine.is_running:
        return failed(f"Call failed: The name {name} was not provided by any .service files\n")
    if call.uid not in ALLOWED_UIDS or body.machine.state.engine.bus is Bus.DENIES:
        return failed("Call failed: Access denied\n")
    signature = rest[0] if rest else ""
    known = ("GetStatus", "AttemptUpdate", "ResetStatus")
    if path != _PATH or interface != _MANAGER or method not in known or signature:
        text = f'Method "{method}" with signature "{signature}" on interface "{interface}"'
        return failed(f"Call failed: {text} doesn't exist\n")
    return _method(body, method, is_json=is_json)


def _inhibitors(body: Body) -> Reply:
    """What, who, why, mode, uid, pid of each, as logind tells it."""
    holder = body.machine.faults.inhibitor
    held = [["shutdown", holder, "busy", "block", 0, 1411]] if holder else []
    document = {"type": "a(ssssuu)", "data": [held]}
    return Reply((json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n").encode())


def _method(body: Body, method: str, *, is_json: bool) -> Reply:
    state = body.machine.state
    match method:
        case "AttemptUpdate":
            body.engine.attempt_update()
            return Reply()
        case "ResetStatus":
            if body.engine.reset_status():
                return Reply()
            return failed(
                "Call failed: Method invoked for ResetStatus returned FALSE but did not set error\n"
            )
    engine = state.engine
    operation, version = json.dumps(str(engine.operation)), json.dumps(engine.new_version)
    if is_json:
        data = f"{_seconds(state)},{engine.progress:.21e},{operation},{version},{engine.new_size_bytes}"
        return Reply(f'{{"type":"xdssx","data":[{data}]}}\n'.encode())
    text = f"xdssx {_seconds(state)} {engine.progress:g} {operation} {version} {engine.new_size_bytes}\n"
    return Reply(text.encode())


def _tree(call: Call) -> Reply:
    if call.uid != 0:
        text = f"Failed to introspect object / of service {_NAME}: Access denied\nNo objects discovered.\n"
        return Reply(text.encode(), b"", 1)
    return Reply("└─/com\n  └─/com/coreos\n    └─/com/coreos/update1\n".encode())


_INTERFACE = """NAME                                TYPE      SIGNATURE RESULT/VALUE FLAGS
com.coreos.update1.Manager          interface -         -            -
.AttemptUpdate                      method    -         -            -
.GetStatus                          method    -         xdssx        -
.ResetStatus                        method    -         -            -
.StatusUpdate                       signal    xdssx     -            -
org.freedesktop.DBus.Introspectable interface -         -            -
.Introspect                         method    -         s            -
org.freedesktop.DBus.Properties     interface -         -            -
.Get                                method    ss        v            -
.GetAll                             method    s         a{sv}        -
.Set                                method    ssv       -            -
"""
