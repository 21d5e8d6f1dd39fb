"""One host's firmware, GRUB and initrd, again and again, in a process of its own.

It picks the USR partition from the GPT (using up a try), mounts ROOT and USR and lets systemd-nspawn run
the host's own systemd. When the host reboots, nspawn ends with code 133 and the loop starts over: a reboot
goes through the choice of partition again. SIGTERM ends it, SIGUSR1 reads the file `power`.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import uuid
from pathlib import Path

from tests.lab import gpt
from tests.lab.images import HASH_OFFSET
from tests.lab.machine import HostInfo, enter_own_cgroup, host_named, knobs_of
from tests.lab.settings import FIRMWARE_S
from tests.lab.system import LabError, read_json, run, write_json

_REBOOT = 133
"""How systemd-nspawn --keep-unit reports that the host rebooted."""
_SHARED_NODES = (
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "console",
    "loop-control",
    "fuse",
    "autofs",
)
_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}


def make_private_dev(info: HostInfo) -> None:
    """A /dev for this process and its children, with the disk under its name.

    Mount tables show the name a device was mounted by, and hosts should see /dev/sda3, not /dev/loop1001p3.
    """
    dev = info.folder / "dev"
    dev.mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "lab-dev", dev)
    loop = info.loop.removeprefix("/dev/")
    nodes = {name: name for name in _SHARED_NODES} | {info.disk: loop}
    nodes |= {info.partition(number): f"{loop}p{number}" for number in (1, 2, 3, 4, 6, 7, 9)}
    for name, source in nodes.items():
        try:
            seen = Path("/dev", source).stat()
        except FileNotFoundError:
            continue
        os.mknod(dev / name, seen.st_mode, seen.st_rdev)
        (dev / name).chmod(seen.st_mode & 0o777)
    for name in ("pts", "shm"):
        (dev / name).mkdir()
        run("mount", "--bind", f"/dev/{name}", dev / name)
    for name, target in _LINKS.items():
        (dev / name).symlink_to(target)
    run("mount", "--rbind", dev, "/dev")


def kernel_root_hash(boot_device: str, slot: str) -> str | None:
    """The root hash in a slot's kernel file, read past any mount; None: there is no such kernel."""
    run("blockdev", "--flushbufs", boot_device)  # the host wrote through its mount, not through the device
    path = f"/flatcar/vmlinuz-{slot[-1].lower()}"
    done = subprocess.run(["debugfs", "-R", f"cat {path}", boot_device], capture_output=True, check=False)
    found = re.fullmatch(rb"[0-9a-f]{64}", done.stdout[HASH_OFFSET : HASH_OFFSET + 64])
    return found[0].decode() if found else None


class Supervisor:
    def __init__(self, name: str) -> None:
        self.info = host_named(name)
        self.folder = self.info.folder
        self.root = self.folder / "rootfs"
        self.process: subprocess.Popen[bytes] | None = None
        self.boots = 0
        self.wish = ""
        """What the power switch asked for and nobody did yet: on, off, reset, end."""

    def run(self) -> None:
        signal.signal(signal.SIGUSR1, self._on_power)
        signal.signal(signal.SIGTERM, self._on_term)
        write_json(self.folder / "supervisor.json", os.getpid())
        enter_own_cgroup(self.info.name)
        make_private_dev(self.info)
        self.root.mkdir(exist_ok=True)
        action = "reboot"
        while action != "end":
            action = self._take_wish() if self.wish else self._boot()
            while action == "off":
                if read_json(self.folder / "state.json", {}).get("state") != "stuck":
                    self._say("off")
                action = self._wait_for_power()
        self._say("ended")

    # --- asked from outside

    def _on_power(self, *_: object) -> None:
        self.wish = (self.folder / "power").read_text().strip()
        if self.wish in ("off", "reset"):
            self._cut_power()

    def _on_term(self, *_: object) -> None:
        self.wish = "end"
        self._cut_power()

    def _cut_power(self) -> None:
        """Kill the host's first process: everything in it dies at once."""
        if self.process is None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        for pid in children.read_text().split() if children.exists() else []:
            if "systemd" in Path(f"/proc/{pid}/comm").read_text():
                os.kill(int(pid), signal.SIGKILL)
                return
        self.process.kill()

    def _take_wish(self) -> str:
        wish, self.wish = self.wish, ""
        return {"reset": "reboot", "on": "reboot"}.get(wish, wish)

    def _wait_for_power(self) -> str:
        while not self.wish:
            time.sleep(0.1)
        return self._take_wish()

    def _say(self, state: str, **more: object) -> None:
        old = read_json(self.folder / "state.json", {})
        if state in ("booting", "running"):
            old.pop("note", None)
        new = {**old, "state": state, "boots": self.boots, "since": time.time(), **more}
        write_json(self.folder / "state.json", new)

    # --- one boot

    def _boot(self) -> str:
        """Boot once; what to do next: reboot, off or end."""
        self.boots += 1
        chosen = gpt.Table.load(f"/dev/{self.info.disk}").boot_next()
        if chosen is None:
            self._say("stuck", note="no bootable USR partition")
            return "off"
        slot = chosen.label
        self._say("booting", slot=slot)
        root_hash = kernel_root_hash(f"/dev/{self.info.partition(1)}", slot)
        try:
            if root_hash is None:
                raise LabError("no kernel")
            self._mount(chosen)
            version = self._version_of_usr()
        except (LabError, OSError) as error:
            print(f"boot {self.boots}: {slot}: {error}", flush=True)
            self._unmount()
            self._say("booting", note=f"{slot} does not boot: no kernel or no file system")
            time.sleep(1)
            return "reboot"
        try:
            return self._run_release(chosen, version, root_hash)
        finally:
            self._unmount()

    def _run_release(self, chosen: gpt.Partition, version: str, root_hash: str) -> str:
        self._say("booting", slot=chosen.label, version=version)
        time.sleep(FIRMWARE_S)
        knobs = knobs_of(self.info.name)
        trouble = knobs.get(f"boot@{version}", knobs.get("boot", ""))
        if trouble == "panic":
            self._say("booting", note=f"{version} panicked")
            time.sleep(1)
            return "reboot"
        if trouble == "hang":
            self._say("hung", note=f"{version} hangs while booting")
            return self._wait_for_power()
        if trouble.startswith("slow:"):
            time.sleep(float(trouble[5:]))
        if self.wish:
            return self._take_wish()
        first = self._personalise()
        self._leave_words(chosen, root_hash, first_boot=first, confirm_after=knobs.get("confirm_after"))
        code = self._run_init(chosen.label, version)
        if self.wish:
            return self._take_wish()
        return "reboot" if code == _REBOOT else "off"

    def _mount(self, usr: gpt.Partition) -> None:
        run("mount", f"/dev/{self.info.partition(9)}", self.root)
        run("mount", "-o", "ro", f"/dev/{self.info.partition(usr.number)}", self.root / "usr")
        run("mount", f"/dev/{self.info.partition(6)}", self.root / "oem")

    def _unmount(self) -> None:
        for part in ("oem", "usr", ""):
            run("umount", "-l", self.root / part, check=False)

    def _version_of_usr(self) -> str:
        text = (self.root / "usr/lib/os-release").read_text()
        found = re.search(r"^VERSION_ID=(.+)$", text, re.MULTILINE)
        return found[1] if found else ""

    def _personalise(self) -> bool:
        """What Ignition would write on the first boot; whether this is the first."""
        etc = self.root / "etc"
        if (etc / "machine-id").read_text().strip():
            return False
        (etc / "machine-id").write_text(self.info.machine_id + "\n")
        (etc / "hostname").write_text(self.info.hostname + "\n")
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.info.hostname}\n")
        (etc / "flatcar/update.conf").write_text("REBOOT_STRATEGY=off\n")
        result = {"provisioningBootID": str(uuid.uuid4()), "userConfigProvided": True}
        (etc / ".ignition-result.json").write_text(json.dumps(result))
        return True

    def _leave_words(
        self, usr: gpt.Partition, root_hash: str, *, first_boot: bool, confirm_after: str | None
    ) -> None:
        """What a bootloader would pass on, and knobs of the stand-ins; read by the host's lab units."""
        words = self.root / "var/lib/lab"
        words.mkdir(parents=True, exist_ok=True)
        detected = "flatcar.first_boot=detected " if first_boot else ""
        (words / "cmdline").write_text(
            f"rootflags=rw mount.usrflags=ro BOOT_IMAGE=/flatcar/vmlinuz-{usr.label[-1].lower()} "
            f"mount.usr=/dev/mapper/usr verity.usr=PARTUUID={usr.uuid} rootflags=rw mount.usrflags=ro "
            f"consoleblank=0 root=LABEL=ROOT console=ttyS0,115200n8 {detected}flatcar.oem.id=lab "
            f"verity.usrhash={root_hash}\n"
        )
        (words / "engine.env").write_text(f"LAB_SET_GOOD_AFTER={confirm_after}\n" if confirm_after else "")

    def _run_init(self, slot: str, version: str) -> int:
        """Run the host's own init until it ends, or we do: private namespaces, as a container runtime has."""
        command = [
            "setpriv", "--pdeathsig", "KILL",
            "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot",
            f"--directory={self.root}", f"--hostname={self.info.hostname}", f"--machine={self.info.name}",
            f"--network-namespace-path=/run/netns/{self.info.namespace}", "--console=read-only",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--bind=/dev/loop-control",
        ]  # fmt: skip
        if Path("/dev/autofs").exists():
            command.append("--bind=/dev/autofs")
        command += ["--", "systemd.log_target=journal-or-kmsg"]
        with (self.folder / "console.log").open("a") as console:
            console.write(f"\n--- boot {self.boots}: {slot} {version}\n")
            console.flush()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
            self._say("running", slot=slot, version=version, pid=self.process.pid)
            if self.wish:  # asked for while there was no process to kill
                self._cut_power()
            code = self.process.wait()
        self.process = None
        return code
