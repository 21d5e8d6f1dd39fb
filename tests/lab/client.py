"""What tests hold of the lab: its hosts, a shell on each, the switches that make things go wrong."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.transport import Target
from tests.lab import control, gpt
from tests.lab.machine import HostInfo, host_named, host_names
from tests.lab.settings import KNOWN_HOSTS, LAB_DIR
from tests.lab.system import CompletedText, LabError

_SLOT = re.compile(r'Label: "USR-([AB])".*?priority=(\d+) tries=(\d+) successful=(\d)', re.DOTALL)


@dataclass(frozen=True, slots=True)
class LabHost:
    """One host as a client sees it."""

    name: str
    hostname: str
    address: str
    port: int
    user: str
    key: Path
    """Private key, without a passphrase."""
    known_hosts: Path
    """Holds the host's key; rewritten by `reinstall`."""
    disk: str
    """sda, nvme0n1 or vda."""
    number: int

    @classmethod
    def of(cls, info: HostInfo) -> LabHost:
        return cls(
            info.name, info.hostname, info.address, info.port, info.user,
            Path(info.key), KNOWN_HOSTS, info.disk, info.number,
        )  # fmt: skip

    def target(self) -> Target:
        """How to log in, for a Transport."""
        return Target(
            name=self.name,
            address=self.address,
            port=self.port,
            user=self.user,
            identities=(str(self.key),),
            known_hosts=(str(self.known_hosts),),
        )


@dataclass(frozen=True, slots=True)
class SlotFlags:
    priority: int
    tries: int
    successful: int


class Lab:
    """The running lab. Hosts are named h1, h2, h3; methods take a name or a LabHost."""

    def __init__(self) -> None:
        self.folder = LAB_DIR
        self.hosts = {name: LabHost.of(host_named(name)) for name in host_names()}

    # --- talk to a host

    def run(
        self, host: str | LabHost, command: str, *, stdin: str = "", timeout_s: float = 30.0
    ) -> CompletedText:
        """Run a command over OpenSSH as core; 255 is ssh's own failure.

        Raises subprocess.TimeoutExpired.
        """
        return control.ssh(host_named(_name(host)), command, stdin=stdin, timeout_s=timeout_s)

    def exchange(
        self, host: str | LabHost, command: str, stdin: bytes, *, timeout_s: float = 30.0
    ) -> subprocess.CompletedProcess[bytes]:
        """As `run`, byte for byte. Raises subprocess.TimeoutExpired."""
        return control.ssh_bytes(host_named(_name(host)), command, stdin=stdin, timeout_s=timeout_s)

    def read(self, host: str | LabHost, command: str) -> str:
        """The command's stdout without blanks around it. Raises LabError unless it ends with 0."""
        done = self.run(host, command)
        if done.returncode:
            raise LabError(f"{_name(host)}: {command!r} ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def boot_id(self, host: str | LabHost) -> str | None:
        """None while the host does not answer."""
        try:
            done = self.run(host, "cat /proc/sys/kernel/random/boot_id", timeout_s=6)
        except subprocess.TimeoutExpired:
            return None
        return done.stdout.strip() or None

    def operation(self, host: str | LabHost) -> str:
        """CURRENT_OP without UPDATE_STATUS_."""
        status = self.read(host, "update_engine_client -status 2>/dev/null")
        return status.partition("CURRENT_OP=UPDATE_STATUS_")[2].split("\n")[0]

    def slots(self, host: str | LabHost) -> dict[str, SlotFlags]:
        """Boot flags of A and B, as cgpt shows them."""
        text = self.read(host, "sudo cgpt show $(rootdev -s -d /usr)")
        return {found[1]: SlotFlags(*map(int, found.groups()[1:])) for found in _SLOT.finditer(text)}

    def table(self, host: str | LabHost) -> dict[str, SlotFlags]:
        """Boot flags of A and B in the disk's partition table itself, read without the host."""
        found = gpt.Table.load(host_named(_name(host)).loop).usr()
        fields = ("priority", "tries", "successful")
        return {part.label[-1]: SlotFlags(*(part.get(field) for field in fields)) for part in found}

    def slot_device(self, host: str | LabHost, slot: str) -> Path:
        """The slot's partition as this machine names it: what the host sees too."""
        return Path(f"{host_named(_name(host)).loop}p{3 if slot == 'A' else 4}")

    def version(self, host: str | LabHost) -> str:
        return self.read(host, ". /usr/lib/os-release && echo $VERSION_ID")

    def state(self, host: str | LabHost) -> dict[str, Any]:
        """What the host's supervisor says: state, slot, version, boots, note."""
        return next(row for row in control.states() if row["name"] == _name(host))

    # --- longer acts

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = 60.0) -> float:
        """Look until it holds; the seconds it took. Raises LabError that says `what` did not come."""
        begin = time.monotonic()
        control.wait_for(condition, what, timeout_s)
        return time.monotonic() - begin

    def stage(self, host: str | LabHost) -> str:
        """Have the update engine do what the server offers; its operation at the end."""
        self.read(host, "update_engine_client -check_for_update")
        ends = ("IDLE", "UPDATED_NEED_REBOOT")
        self.wait(lambda: self.operation(host) in ends, f"the end of {_name(host)}'s update")
        return self.operation(host)

    def reboot(self, host: str | LabHost, timeout_s: float = 60.0) -> str:
        """Reboot cleanly, wait for the next boot to be complete; its boot id."""
        before = self.boot_id(host)
        self.run(host, "sudo systemctl reboot")  # its status is lost with the connection
        return self.wait_booted(host, other_than=before, timeout_s=timeout_s)

    def wait_booted(self, host: str | LabHost, *, other_than: str | None, timeout_s: float = 60.0) -> str:
        """Wait for a boot with another id to be complete; its id."""
        seen: str | None = None

        def is_new() -> bool:
            nonlocal seen
            seen = self.boot_id(host)
            return seen is not None and seen != other_than

        self.wait(is_new, f"another boot of {_name(host)}", timeout_s)
        control.wait_booted([host_named(_name(host))])
        return str(seen)

    def reinstall(self, host: str | LabHost) -> LabHost:
        """A fresh host under the same name and address: other machine id, host key, disk; no knobs."""
        fresh = LabHost.of(control.reinstall(_name(host)))
        self.hosts[fresh.name] = fresh
        return fresh

    # --- make things different

    def knob(self, host: str | LabHost, settings: dict[str, str]) -> None:
        """Set knobs by name (`python -m tests.lab` lists them); an empty value clears."""
        control.set_knobs(_name(host), settings)

    def power(self, host: str | LabHost, wish: str) -> None:
        """The power switch: on, off, reset."""
        control.power(_name(host), wish)

    def channel(self, channel: str, version: str) -> None:
        """What the update server offers on a channel, to all hosts, until the lab goes down."""
        control.set_channel(channel, version)

    def sysext(self, host: str | LabHost, what: str, extension: str) -> None:
        """`add` or `del` an extension (wasmtime, tailscale, zfs) and merge anew."""
        self.read(host, control.sysext_command(what, extension))

    def events(self) -> list[dict[str, Any]]:
        """What hosts told the update server, oldest first."""
        return [json.loads(line) for line in control.events().splitlines()]


def _name(host: str | LabHost) -> str:
    return host if isinstance(host, str) else host.name
