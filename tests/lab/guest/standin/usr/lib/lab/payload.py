"""Put a release into the other slot: first a copy of what runs, then the payload over it.

The lab's payload is one gzip stream: the kernel's length (8 bytes, big endian), the kernel, the partition.
Nothing here touches the boot flags until `finish`: up to there the other slot keeps them over content that
is no longer what they were set for.
"""

import gzip
import hashlib
import os
import shutil
import struct
import subprocess
import urllib.error
import urllib.request
import zlib

from errors import UpdateFailed
from flatcar import read
from glog import log

KERNEL = "/boot/flatcar/vmlinuz-"
MOUNT = "/tmp/au_postint_mount.lab"
LETTER = {"3": "a", "4": "b"}


def slots():
    """The running /usr's device and the other one."""
    running = subprocess.check_output(["rootdev", "-s", "/usr"], text=True).strip()
    return running, running[:-1] + {"3": "4", "4": "3"}[running[-1]]


def kernel_of(device):
    return KERNEL + LETTER[device[-1]]


def copy_running(running, other):
    """Partition and kernel of the running slot over the other one's."""
    try:
        with open(running, "rb") as old, open(other, "r+b") as new:
            shutil.copyfileobj(old, new, 1 << 22)
    except OSError as error:
        raise UpdateFailed(4, f"copy of {running}: {error}")
    source, target = kernel_of(running), kernel_of(other)
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        log("E", "kernel_copier_action.cc:92", f"Failed to copy kernel from {source} to {target}")
        raise UpdateFailed(1, str(error))


class Meter:
    """A file that counts and hashes what passes, and says each hundredth."""

    def __init__(self, source, size, on_progress):
        self.source, self.size, self.on_progress = source, size, on_progress
        self.digest, self.received, self.last = hashlib.sha256(), 0, -1.0

    def read(self, size=-1):
        data = self.source.read(size)
        self.digest.update(data)
        self.received += len(data)
        share = self.received / self.size
        if share - self.last >= 0.01 or self.received == self.size:
            self.last = share
            log(
                "I",
                "update_attempter.cc:446",
                f"Downloaded {self.received}/{self.size} bytes ({int(share * 100)}%)",
            )
            self.on_progress(share)
        return data


def write(plain, target):
    """The unpacked stream into kernel file and partition.

    Not forced to the disk: the machine below outlives every power cut of the lab's.
    """
    head = plain.read(8)
    if len(head) != 8:
        raise EOFError("short payload")
    left = struct.unpack(">Q", head)[0]
    with open(kernel_of(target), "wb") as kernel:
        while left:
            block = plain.read(min(left, 1 << 20))
            if not block:
                raise EOFError("short payload")
            kernel.write(block)
            left -= len(block)
    with open(target, "r+b") as disk:
        while block := plain.read(1 << 20):
            disk.write(block)


def download(url, target, size, digest, on_progress):
    """Unpack straight into the other slot; what is wrong is found while or after that."""
    log("I", "update_attempter.cc:424", "Download status: active")
    try:
        with urllib.request.urlopen(url, timeout=60) as reply:
            meter = Meter(reply, size, on_progress)
            with gzip.GzipFile(fileobj=meter) as plain:
                write(plain, target)
            while meter.read(1 << 20):
                pass
    except (zlib.error, gzip.BadGzipFile) as error:
        raise UpdateFailed(29, f"Payload damaged: {error}")
    except (OSError, EOFError) as error:
        raise UpdateFailed(9, f"Download failed: {error}")
    finally:
        log("I", "update_attempter.cc:424", "Download status: inactive")
    if meter.received != size or meter.digest.hexdigest() != digest:
        log("E", "payload_processor.cc:338", "payload_hash_data == install_plan_->payload_hash failed.")
        raise UpdateFailed(10, "Payload hash does not match")


def finish(target):
    """What the new release's postinst does: its own mount, then one try and the highest priority."""
    os.makedirs(MOUNT, exist_ok=True)
    said = []

    def call(*words):
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said.append(done.stdout)
        return done.returncode

    status = call("mount", "-o", "ro", target, MOUNT)
    if not status:
        said.append(read(f"{MOUNT}/share/flatcar/release") + "\n")
        call("umount", MOUNT)
        for command in (["repair"], ["add", "-S0", "-T1"], ["prioritize"]):
            status = status or call("cgpt", *command, target)
    slot = "USR-" + LETTER[target[-1]].upper()
    if not status:
        said.append(f"Setup {slot} ({target}) for next boot.")
    log("I", "subprocess.cc:46", "Subprocess output:\n" + "".join(said))
    if status:
        log("E", "postinstall_runner_action.cc:94", f"Postinst command failed with code: {status}")
        raise UpdateFailed(5, "postinst")
    log("I", "postinstall_runner_action.cc:104", "Postinst command succeeded")
