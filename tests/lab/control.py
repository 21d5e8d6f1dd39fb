"""Start, stop and change hosts: what both the command line and the fixture do."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tests.lab import build, machine
from tests.lab.machine import HostInfo, host_named, host_names
from tests.lab.releases import CHANNELS, RELEASES_BY_VERSION
from tests.lab.settings import (
    CHANNELS_FILE,
    EVENTS_FILE,
    GATEWAY,
    HOSTS,
    KNOWN_HOSTS,
    LAB_DIR,
    MAX_HOSTS,
    SERVER_FILE,
    SERVER_PORT,
)
from tests.lab.system import (
    CompletedText,
    LabError,
    is_alive,
    locked,
    read_json,
    say,
    start_part,
    timed,
    wait_until_dead,
    write_json,
)

_KNOB_KEYS = re.compile(r"update|payload|confirm_after|boot(@[0-9.]+)?")
POWER_WISHES = ("on", "off", "reset")
_KEYS = threading.Lock()
"""Tests may work on several hosts at once."""


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float) -> None:
    """Look again and again; LabError that says what did not come."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.1)


# --- all hosts


def up(count: int) -> None:
    """Build what is missing, start hosts h1..hN, wait until each has booted."""
    if not 0 < count <= MAX_HOSTS:
        raise LabError(f"1 to {MAX_HOSTS} hosts, not {count}")
    begin = time.monotonic()
    with locked():
        build.build_all()
        machine.set_up_bridge()
        machine.provide_loops(count)
        if not CHANNELS_FILE.exists():
            write_json(CHANNELS_FILE, CHANNELS)
        _start_server()
        with timed(f"disks of {count} hosts"):
            for number in range(1, count + 1):
                if f"h{number}" not in host_names():
                    machine.create(number)
                start(f"h{number}")
        wait_booted([host_named(name) for name in host_names()])
    say(f"{count} hosts are up after {time.monotonic() - begin:.1f} s")


def down() -> None:
    """Stop and remove all hosts and the server; what was built stays."""
    with locked():
        names = host_names()
        pids = [_supervisor(name) for name in names]
        _terminate(pid for pid in (*pids, read_json(SERVER_FILE, None)) if pid)
        for name in names:
            _clear(host_named(name))
        machine.tear_down_bridge()
        shutil.rmtree(HOSTS, ignore_errors=True)
        for path in (SERVER_FILE, EVENTS_FILE, CHANNELS_FILE, KNOWN_HOSTS):
            path.unlink(missing_ok=True)


def states() -> list[dict[str, Any]]:
    """A row per host: what `list --json` prints."""
    rows = []
    for name in host_names():
        info, state = host_named(name), read_json(HOSTS / name / "state.json", {})
        row: dict[str, Any] = {key: getattr(info, key) for key in ("name", "address", "port", "user", "key")}
        row |= {"known_hosts": str(KNOWN_HOSTS), "hostname": info.hostname, "disk": info.disk}
        row |= {key: state.get(key) for key in ("state", "slot", "version", "boots", "note")}
        rows.append(row)
    return rows


def _start_server() -> None:
    if is_alive(read_json(SERVER_FILE, None)):
        return
    write_json(SERVER_FILE, start_part(LAB_DIR / "server.log", "_server"))

    def listens() -> bool:
        with socket.socket() as link:
            link.settimeout(1)
            return link.connect_ex((GATEWAY, SERVER_PORT)) == 0

    wait_for(listens, f"the update server (see {LAB_DIR / 'server.log'})", 15)


# --- one host


def start(name: str) -> None:
    """Start a host's supervisor in a mount namespace and a session of its own."""
    info = host_named(name)
    if is_alive(_supervisor(name)):
        return
    machine.attach(info)
    unshare = ("unshare", "--mount", "--propagation", "private")
    pid = start_part(info.folder / "supervisor.log", "_host", name, prefix=unshare)
    write_json(info.folder / "supervisor.json", pid)  # unshare becomes the supervisor: the same id


def stop(name: str) -> None:
    pid = _supervisor(name)
    _terminate([pid] if pid else [])
    _clear(host_named(name))


def reinstall(name: str) -> HostInfo:
    """A host as new under the old name and address: another machine id, host key and disk."""
    with locked():
        number = host_named(name).number
        stop(name)
        shutil.rmtree(HOSTS / name)
        info = machine.create(number)
        start(name)
        wait_booted([info])
    return info


def power(name: str, wish: str) -> None:
    """The power switch: no clean shutdown."""
    if wish not in POWER_WISHES:
        raise LabError(f"power knows {', '.join(POWER_WISHES)}, not {wish!r}")
    pid = _supervisor(name)
    if pid is None or not is_alive(pid):
        raise LabError(f"{name} has no supervisor")
    (host_named(name).folder / "power").write_text(wish)
    os.kill(pid, signal.SIGUSR1)


def set_knobs(name: str, settings: dict[str, str]) -> dict[str, str]:
    """Change what goes wrong; an empty value clears. All knobs that are set then."""
    info = host_named(name)
    for key in settings:
        if not _KNOB_KEYS.fullmatch(key):
            raise LabError(f"no knob {key!r}; there are update, payload, confirm_after, boot, boot@VERSION")
    knobs = {key: value for key, value in {**machine.knobs_of(name), **settings}.items() if value}
    write_json(info.folder / "knobs.json", knobs)
    return knobs


def set_channel(channel: str, version: str) -> None:
    """What the update server offers on a channel from now on."""
    if version not in RELEASES_BY_VERSION:
        raise LabError(f"no release {version}; there are {', '.join(RELEASES_BY_VERSION)}")
    write_json(CHANNELS_FILE, {**read_json(CHANNELS_FILE, CHANNELS), channel: version})


def sysext_command(what: str, extension: str) -> str:
    """What to run on a host to switch an extension on or off at once."""
    link = f"/etc/extensions/{extension}.raw"
    change = f"ln -sfn /opt/extensions/{extension}/*.raw {link}" if what == "add" else f"rm -f {link}"
    return f"sudo sh -c '{change}' && sudo systemctl restart systemd-sysext"


def ssh_command(info: HostInfo) -> list[str]:
    """argv of a login; the host key must be the one that `up` saw."""
    options = {
        "IdentitiesOnly": "yes",
        "BatchMode": "yes",
        "ConnectTimeout": "15",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(KNOWN_HOSTS),
        "GlobalKnownHostsFile": "none",
        "LogLevel": "ERROR",
    }
    words = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return ["ssh", "-F", "none", "-i", info.key, *words, "-p", str(info.port), f"{info.user}@{info.address}"]


def ssh(info: HostInfo, command: str, *, stdin: str = "", timeout_s: float = 30.0) -> CompletedText:
    """Run a command on a host. Raises subprocess.TimeoutExpired; ssh's own failures are status 255."""
    return subprocess.run(
        [*ssh_command(info), command],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=timeout_s,
        check=False,
    )


def ssh_bytes(
    info: HostInfo, command: str, *, stdin: bytes, timeout_s: float = 30.0
) -> subprocess.CompletedProcess[bytes]:
    """As `ssh`, byte for byte: nothing of what came is decoded, and no line end is changed."""
    argv = [*ssh_command(info), command]
    return subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout_s, check=False)


def _supervisor(name: str) -> int | None:
    pid: int | None = read_json(HOSTS / name / "supervisor.json", None)
    return pid


def _terminate(pids: Iterable[int]) -> None:
    """End processes that the lab started, by their ids, all at once."""
    mine = [pid for pid in pids if is_alive(pid)]
    for pid in mine:
        os.kill(pid, signal.SIGTERM)
    for pid in mine:
        if not wait_until_dead(pid):
            os.kill(pid, signal.SIGKILL)
            wait_until_dead(pid)


def _clear(info: HostInfo) -> None:
    machine.end_cgroups(info.name)
    machine.detach(info)
    _forget_keys({info.address})


def _greets(info: HostInfo) -> bool:
    try:
        with socket.create_connection((info.address, info.port), 1.0) as link:
            return link.recv(4) == b"SSH-"
    except OSError:
        return False


def _has_booted(info: HostInfo) -> bool:
    """Whether systemd has nothing left to start; also when a unit failed."""
    done = ssh(info, "systemctl is-system-running --wait", timeout_s=60)
    return done.stdout.strip() in ("running", "degraded")


def wait_booted(infos: list[HostInfo]) -> None:
    wait_s = 60.0 + 5 * len(infos)
    for info in infos:
        wait_for(partial(_greets, info), f"SSH of {info.name}", wait_s)
    _learn_keys(infos)
    for info in infos:
        wait_for(partial(_has_booted, info), f"the boot of {info.name}", wait_s)


def _forget_keys(addresses: set[str]) -> None:
    if KNOWN_HOSTS.exists():
        _change_keys(addresses, [])


def _learn_keys(infos: list[HostInfo]) -> None:
    """Fetch the hosts' keys over the lab's own bridge."""
    addresses = {info.address for info in infos}
    found = subprocess.run(
        ["ssh-keyscan", "-T", "10", "-t", "ed25519", *sorted(addresses)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    ).stdout.splitlines(keepends=True)
    keys = [line for line in found if line.split(" ")[0] in addresses]
    if len(keys) != len(addresses):
        raise LabError(f"host keys of only {len(keys)} of {len(addresses)} hosts")
    _change_keys(addresses, keys)


def _change_keys(addresses: set[str], keys: list[str]) -> None:
    """Put these lines in the place of those of the addresses; the others' are never missing meanwhile."""
    with _KEYS:
        old = KNOWN_HOSTS.read_text().splitlines(keepends=True) if KNOWN_HOSTS.exists() else []
        part = KNOWN_HOSTS.with_name("known_hosts.part")
        part.write_text("".join([line for line in old if line.split(" ")[0] not in addresses] + keys))
        part.replace(KNOWN_HOSTS)


def clean() -> None:
    """Down, and nothing is left."""
    down()
    shutil.rmtree(LAB_DIR)


def events() -> str:
    """What the hosts told the update server, a JSON object per line."""
    return EVENTS_FILE.read_text() if EVENTS_FILE.exists() else ""
