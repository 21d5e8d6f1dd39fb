"""Flatcar-like hosts by hand, as root: `python -m tests.lab COMMAND`.

    up [N]                     build what is missing, start hosts h1..hN (default 3)
    list [--json]              address, port, user, key and state of each host
    ssh HOST [COMMAND...]      log in, or run a command
    knob HOST KEY=VALUE...     make something go wrong (see below); KEY= clears
    sysext HOST add|del NAME   switch an extension on or off: wasmtime, tailscale,
                               zfs (made for the first release only)
    channel NAME=VERSION       what the update server offers on a channel
    power HOST on|off|reset    the power switch (no clean shutdown)
    reinstall HOST             the host as new: another machine id, host key and disk
    events                     what the hosts told the update server
    down                       stop all hosts and remove them
    build                      only build
    clean                      down, and delete LAB_DIR

Knobs: update=none|error   payload=corrupt|missing|BYTES_PER_SECOND
       boot=panic|hang|slow:SECONDS   boot@VERSION=panic|hang|slow:SECONDS
       confirm_after=SECONDS: when a boot is marked good (45; from the next boot on)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.lab import build, control, omaha
from tests.lab.machine import host_named
from tests.lab.supervisor import Supervisor
from tests.lab.system import LabError, locked


def show(*, as_json: bool) -> None:
    rows = control.states()
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        note = f" ({row['note']})" if row["note"] else ""
        print(
            f"{row['name']:<5}{row['address']:<14}{row['port']:<4}{row['user']:<6}{row['key']}  "
            f"{row['state']} {row['slot']} {row['version']}{note}"
        )


def log_in(name: str, command: list[str]) -> int:
    return subprocess.run([*control.ssh_command(host_named(name)), *command], check=False).returncode


def main(words: list[str]) -> int:
    match words:
        case ["up"]:
            control.up(3)
            show(as_json=False)
        case ["up", count] if count.isdigit():
            control.up(int(count))
            show(as_json=False)
        case ["list"] | ["list", "--json"]:
            show(as_json=len(words) == 2)
        case ["ssh", name, *command]:
            return log_in(name, command)
        case ["knob", name, *settings] if all("=" in setting for setting in settings):
            pairs = (setting.partition("=") for setting in settings)
            print(json.dumps(control.set_knobs(name, {key: value for key, _, value in pairs})))
        case ["sysext", name, ("add" | "del") as what, extension]:
            return log_in(name, [control.sysext_command(what, extension)])
        case ["channel", setting] if "=" in setting:
            channel, _, version = setting.partition("=")
            control.set_channel(channel, version)
        case ["power", name, wish]:
            control.power(name, wish)
        case ["reinstall", name]:
            control.reinstall(name)
        case ["events"]:
            print(control.events(), end="")
        case ["down"]:
            control.down()
        case ["build"]:
            with locked():
                build.build_all()
        case ["clean"]:
            control.clean()
        case ["_server"]:
            omaha.serve()
        case ["_host", name]:
            Supervisor(name).run()
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("lab: must be root")
    try:
        sys.exit(main(sys.argv[1:]))
    except LabError as error:
        sys.exit(f"lab: {error}")
