"""systemctl for the units that a live host models.

Source: systemd/systemd:src/systemctl@009abdc; wording as of 257.
"""

from __future__ import annotations

from dataclasses import replace

from collectors.facts import Unit
from console.demo import tools
from console.demo.live.body import Body, Call, Running, failed
from console.demo.live.kinds import Power, Reply, What
from console.demo.live.lifecycle import RUNTIME_MASK
from console.demo.live.machine import ENGINE_UNIT, LOCKSMITHD_UNIT, SYSEXT_UNIT
from console.demo.live.transient import AUTH, full_name
from console.demo.tools import NOT_FOUND

_READ_VERBS = (
    "is-active",
    "is-enabled",
    "is-failed",
    "is-system-running",
    "show",
    "list-units",
    "status",
    "cat",
)
_SHOWN = ("Id", "LoadState", "ActiveState", "SubState", "UnitFileState", "Result")


def systemctl(body: Body, call: Call) -> Reply | Running:
    """Run systemctl; only what changes something needs root."""
    options = {word.split("=")[0]: word for word in call.args if word.startswith("-")}
    words = _without_values(call.args)
    verb, names = (words[0], tuple(full_name(word) for word in words[1:])) if words else ("list-units", ())
    if verb in _READ_VERBS:
        return _read(body, call, verb, names)
    if call.uid != 0:
        what = "Call to Reboot" if verb == "reboot" else f"{verb.capitalize()} {' '.join(names)}"
        return failed(f"{what} failed: {AUTH}")
    match verb:
        case "daemon-reload":
            return Reply()
        case "reset-failed":
            for item in body.machine.state.failed:
                if not names or item.name in names:
                    found = body.machine.unit(item.name)
                    body.machine.set_unit(
                        item.name, replace(found, active="inactive", sub="dead", result="success")
                    )
            return Reply()
        case "reboot":
            return _reboot(body, options)
        case "mask":
            return _mask(body, names, runtime="--runtime" in options, now="--now" in options)
        case "unmask":
            return _unmask(body, names, runtime="--runtime" in options)
        case "start" | "stop" | "restart" | "try-restart" | "kill" | "enable" | "disable":
            return _each(body, verb, names)
    return failed(f"Unknown command verb '{verb}'.\n")


def _without_values(args: tuple[str, ...]) -> list[str]:
    words, rest = [], list(args)
    while rest:
        word = rest.pop(0)
        if word in ("-p", "-n", "-o", "-P"):
            rest = rest[1:]
        elif not word.startswith("-"):
            words.append(word)
    return words


# -- reading -------------------------------------------------------------------------------------


def _read(body: Body, call: Call, verb: str, names: tuple[str, ...]) -> Reply:
    machine = body.machine
    units = [machine.unit(name) for name in names]
    match verb:
        case "is-active":
            text = "".join(f"{unit.active}\n" for unit in units)
            missing = 4 if all(unit.load == "not-found" for unit in units) else 3
            return Reply(text.encode(), b"", 0 if any(unit.active == "active" for unit in units) else missing)
        case "is-failed":
            text = "".join(f"{unit.active}\n" for unit in units)
            return Reply(text.encode(), b"", 0 if any(unit.active == "failed" for unit in units) else 1)
        case "is-enabled":
            text = "".join(f"{unit.file_state or 'not-found'}\n" for unit in units)
            is_on = any(unit.file_state in ("enabled", "static") for unit in units)
            return Reply(text.encode(), b"", 0 if is_on else 1)
        case "is-system-running":
            state = _system_state(body)
            return Reply(f"{state}\n".encode(), b"", 0 if state == "running" else 1)
        case "list-units":
            if "--output=json" in call.args:
                return Reply(tools.failed_units(machine.state).content)
            rows = (f"{item.name} loaded failed failed {item.description}\n" for item in machine.state.failed)
            return Reply("".join(rows).encode())
        case "show":
            return _show(body, call, names)
    text = "".join(f"{name}: {unit.active} ({unit.sub})\n" for name, unit in zip(names, units, strict=True))
    return Reply(text.encode(), b"", 0 if any(unit.active == "active" for unit in units) else 3)


def _system_state(body: Body) -> str:
    machine = body.machine
    if machine.power is Power.SHUTTING_DOWN:
        return "stopping"
    return "degraded" if machine.state.failed else "running"


def _show(body: Body, call: Call, names: tuple[str, ...]) -> Reply:
    wanted: list[str] = []
    rest = list(call.args)
    is_bare = "--value" in rest
    while rest:
        word = rest.pop(0)
        if word in ("-p", "-P") and rest:
            is_bare = is_bare or word == "-P"
            wanted += rest.pop(0).split(",")
        elif word.startswith(("--property=", "-p")) and len(word) > 2:
            wanted += word.removeprefix("--property=").removeprefix("-p").split(",")
    if not names:
        values = {
            "Version": body.machine.state.release.systemd,
            "NFailedUnits": str(len(body.machine.state.failed)),
            "SystemState": _system_state(body),
        }
        return Reply(_properties(values, wanted, is_bare=is_bare).encode())
    records = []
    for name in names:
        unit = body.machine.unit(name)
        values = dict(zip(_SHOWN, (name, unit.load, unit.active, unit.sub), strict=False))
        values |= {"UnitFileState": unit.file_state or "", "Result": unit.result or ""}
        values["ExecMainStatus"] = str(body.main_status.get(name, 0))
        records.append(_properties(values, wanted, is_bare=is_bare))
    return Reply("\n".join(records).encode())


def _properties(values: dict[str, str], wanted: list[str], *, is_bare: bool) -> str:
    shown = {key: value for key, value in values.items() if not wanted or key in wanted}
    return "".join(f"{value}\n" if is_bare else f"{key}={value}\n" for key, value in shown.items())


# -- changing ------------------------------------------------------------------------------------


def _reboot(body: Body, options: dict[str, str]) -> Reply:
    if body.machine.faults.reboot_refused:
        body.machine.record(What.REBOOT_REFUSED, "systemctl")
        return failed("Call to Reboot failed: Connection timed out\n")
    is_bold = bool({"-i", "-f", "--force", "--ignore-inhibitors"} & set(options))
    is_bold = is_bold or options.get("--check-inhibitors") == "--check-inhibitors=no"
    holder = body.lifecycle.ask_reboot("systemctl", ignore_inhibitors=is_bold)
    if holder is None:
        return Reply()
    return failed(
        f'Operation inhibited by "{holder}" (PID 1411 "{holder}", user root), reason is "busy".\n'
        "Please retry operation after closing inhibitors and logging out other users.\n"
        "'systemd-inhibit' can be used to list active inhibitors.\n"
        "Alternatively, ignore inhibitors and users with 'systemctl reboot -i'.\n"
    )


def _mask(body: Body, names: tuple[str, ...], *, runtime: bool, now: bool) -> Reply:
    folder = "/run" if runtime else "/etc"
    said = ""
    for name in names:
        found = body.machine.unit(name)
        masked = replace(found, load="masked", file_state=RUNTIME_MASK if runtime else "masked")
        body.machine.set_unit(name, masked)
        said += f"Created symlink '{folder}/systemd/system/{name}' → '/dev/null'.\n"
        if now:
            _stop(body, name)
    return Reply(b"", said.encode())


def _unmask(body: Body, names: tuple[str, ...], *, runtime: bool) -> Reply:
    """With --runtime only a mask of /run goes, without only one of /etc, as their folders are."""
    said = ""
    for name in names:
        found = body.machine.unit(name)
        if found.file_state == (RUNTIME_MASK if runtime else "masked"):
            body.machine.set_unit(name, replace(found, load="loaded", file_state="disabled"))
            folder = "/run" if runtime else "/etc"
            said += f"Removed '{folder}/systemd/system/{name}'.\n"
    return Reply(b"", said.encode())


def _each(body: Body, verb: str, names: tuple[str, ...]) -> Reply:
    said, status = "", 0
    for name in names:
        unit = body.machine.unit(name)
        if verb in ("enable", "disable"):
            body.machine.set_unit(name, replace(unit, file_state=f"{verb}d"))
            continue
        if unit == NOT_FOUND:
            said += f"Failed to {verb} {name}: Unit {name} not found.\n"
            status = 5
            continue
        if verb in ("start", "restart") and unit.is_masked:
            said += f"Failed to {verb} {name}: Unit {name} is masked.\n"
            status = 1
            continue
        if verb == "kill" and name == ENGINE_UNIT and body.engine.is_running:
            body.engine.crash()
        elif verb in ("stop", "restart", "try-restart", "kill"):
            _stop(body, name)
        if verb in ("start", "restart") or (verb == "try-restart" and unit.active == "active"):
            _start(body, name)
    return Reply(b"", said.encode(), status)


def _start(body: Body, name: str) -> None:
    machine = body.machine
    if machine.unit(name).active == "active" and name != SYSEXT_UNIT:
        return
    if name == ENGINE_UNIT:
        if not machine.state.no_update:
            body.engine.start()
    elif name == LOCKSMITHD_UNIT:
        body.locksmithd.start()
    elif name == SYSEXT_UNIT:
        if body.sysexts.refresh().exit_status:
            machine.fail_unit(name)
        else:
            machine.set_unit(name, Unit("loaded", "active", "exited", "disabled", "success"))
    else:
        found = machine.unit(name)
        machine.set_unit(
            name, replace(found, load="loaded", active="active", sub="running", result="success")
        )


def _stop(body: Body, name: str) -> None:
    machine = body.machine
    found = machine.unit(name)
    if name in body.transient:
        body.end_transient(name, None)
        return
    if name == ENGINE_UNIT and body.engine.is_running:
        body.engine.stop()
    if name == LOCKSMITHD_UNIT:
        body.locksmithd.stop()
    if found.active in ("active", "activating", "failed") and name != LOCKSMITHD_UNIT:
        # update_engine ends with 1 on SIGTERM, which systemd calls a failure; nothing else does here.
        result = "exit-code" if name == ENGINE_UNIT and found.active == "active" else "success"
        active = "failed" if result == "exit-code" else "inactive"
        machine.set_unit(
            name, replace(found, active=active, sub="failed" if active == "failed" else "dead", result=result)
        )
