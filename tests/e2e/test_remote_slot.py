"""The slot proof on verity images made here, read by the real veritysetup: intact, and each way not to be."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from actions.remote.slot_proof import PROOF_ARGV, Proof, ProofResult, proof_stdin, read_proof
from tests.e2e.remote_host import RemoteHost, is_unfit

MARK = "mark-0123"
SIZE = 4 * 1024 * 1024

pytestmark = [
    pytest.mark.skipif(is_unfit(), reason="needs user namespaces and a merged /usr"),
    pytest.mark.skipif(
        "CI" not in os.environ and not Path("/usr/sbin/veritysetup").exists(), reason="needs cryptsetup-bin"
    ),
]


def made(folder: Path, kind: str = "ext2") -> tuple[Path, str]:
    """A file system of random bytes with its superblock, and its verity tree behind it; the root hash."""
    data = bytearray(os.urandom(SIZE))
    if kind == "ext2":
        data[1024:2048] = bytes(1024)
        struct.pack_into("<I", data, 1028, SIZE // 4096)
        struct.pack_into("<I", data, 1048, 2)
        struct.pack_into("<H", data, 1080, 0xEF53)
    elif kind == "btrfs":
        data[65600:65608] = b"_BHRfS_M"
        struct.pack_into("<Q", data, 65648, SIZE)
    image = folder / f"{kind}.img"
    image.write_bytes(bytes(data))
    done = subprocess.run(
        ["/usr/sbin/veritysetup", "format", image, image, f"--hash-offset={SIZE}", "--hash=sha256"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (root_hash,) = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("Root hash")]
    return image, root_hash


@pytest.fixture
def host(tmp_path: Path) -> RemoteHost:
    host = RemoteHost.make(tmp_path / "root")
    host.set("os-release", 'NAME="Flatcar"\nID=flatcar\nVERSION_ID=4459.2.0')
    return host


def put(host: RemoteHost, image: Path, root_hash: str, *, running: str = "0" * 64, at: int = 64) -> None:
    shutil.copy(image, host.path("/dev/vda4"))
    for letter, text in (("a", running), ("b", root_hash)):
        host.path(f"/boot/flatcar/vmlinuz-{letter}").write_bytes(bytes(at) + text.encode() + bytes(100))


def prove(host: RemoteHost, slot: str = "B", text: str = PROOF_ARGV[4]) -> Proof:
    done = host.bash(text, PROOF_ARGV[5], proof_stdin(MARK, slot))
    assert not done.stderr, done.stderr
    return read_proof(done.stdout, MARK, done.returncode)


@pytest.mark.parametrize("kind", ["ext2", "btrfs"])
def test_an_intact_slot_is_proved_with_its_version(host: RemoteHost, tmp_path: Path, kind: str) -> None:
    put(host, *made(tmp_path, kind))
    assert prove(host) == Proof(ProofResult.INTACT, version="4459.2.0")
    mounted = [call for call in host.calls if call.startswith("mount")]
    options = "ro,rescue=nologreplay" if kind == "btrfs" else "ro"
    assert mounted == [f"mount -t {kind} -o {options} /dev/vda4 /mnt"]


def test_one_flipped_byte_is_damage(host: RemoteHost, tmp_path: Path) -> None:
    image, root_hash = made(tmp_path)
    put(host, image, root_hash)
    with host.path("/dev/vda4").open("r+b") as file:
        file.seek(1146880)
        byte = file.read(1)
        file.seek(1146880)
        file.write(bytes([byte[0] ^ 1]))
    assert prove(host) == Proof(ProofResult.DAMAGED, reason="1146880")


def test_another_root_hash_is_damage_and_the_running_one_a_copy(host: RemoteHost, tmp_path: Path) -> None:
    image, root_hash = made(tmp_path)
    put(host, image, "1" * 64)
    assert prove(host).result is ProofResult.DAMAGED
    put(host, image, root_hash, running=root_hash)
    assert prove(host) == Proof(ProofResult.SAME_AS_RUNNING)


def test_nothing_unexpected_is_ever_intact(host: RemoteHost, tmp_path: Path) -> None:
    image, root_hash = made(tmp_path)
    put(host, image, root_hash)
    slot = host.path("/dev/vda4")

    def patched(offset: int, value: bytes) -> Proof:
        shutil.copy(image, slot)
        with slot.open("r+b") as file:
            file.seek(offset)
            file.write(value)
        return prove(host)

    assert patched(SIZE, b"x") == Proof(ProofResult.UNPROVED, reason="no-verity-superblock")
    assert patched(1028, struct.pack("<I", 512)).reason == "no-verity-superblock"
    assert patched(1080, b"\0\0").reason == "no-file-system"
    assert patched(SIZE + 72, struct.pack("<Q", 8)).reason == "verity-covers-other-size"
    assert patched(SIZE + 32, b"sha1\0\0\0").reason == "verity-algorithm"
    assert patched(SIZE + 64, struct.pack("<I", 512)).reason == "verity-block-size"
    shutil.copy(image, slot)
    assert prove(host, "A").reason == "slot-runs"
    host.set("fail", "mount*")
    assert prove(host).reason == "not-mountable"
    host.set("fail", "")
    host.set("os-release", "ID=debian\nVERSION_ID=12")
    assert prove(host).reason == "not-flatcar"
    host.set("os-release", "ID=flatcar\nVERSION_ID=4459.2.0+dev")
    assert prove(host).reason == "no-version"
    host.path("/sbin-stand-ins/veritysetup").write_text("#!/bin/bash\necho Verification went wrong; exit 2\n")
    assert prove(host) == Proof(ProofResult.UNPROVED, reason="veritysetup-2")
    host.path("/sbin-stand-ins/veritysetup").write_text("#!/bin/bash\nexit 4\n")
    assert prove(host).reason == "veritysetup-4"
    host.path("/boot/flatcar/vmlinuz-b").unlink()
    assert prove(host).reason == "no-root-hash"


def test_arm64_keeps_the_root_hash_elsewhere(host: RemoteHost, tmp_path: Path) -> None:
    image, root_hash = made(tmp_path)
    put(host, image, root_hash, at=512)
    assert prove(host).reason == "no-root-hash"
    assert prove(host, text=f"HOSTTYPE=aarch64; {private()}") == Proof(ProofResult.INTACT, version="4459.2.0")
    assert prove(host, text=f"HOSTTYPE=riscv64; {private()}").reason == "architecture"


def private() -> str:
    """The text as it is from its private namespace on, the tests' own being one already."""
    return PROOF_ARGV[4].partition('"$0" private; }; ')[2]


@pytest.mark.parametrize(
    ("output", "status", "reason"),
    [
        (b"", 0, "no answer"),
        (b"mark-0123 proof intact 4459.2.0\n", 1, "ended with 1"),
        (b"mark-0123 proof intact 4459.2.0\nmark-0123 proof damaged\n", 0, "more than one answer"),
        (b"mark-0123 proof intact 4459\n", 0, "not understood: intact 4459"),
        (b"other proof intact 4459.2.0\n", 0, "no answer"),
    ],
)
def test_an_answer_out_of_form_proves_nothing(output: bytes, status: int, reason: str) -> None:
    assert read_proof(output, MARK, status) == Proof(ProofResult.UNPROVED, reason=reason)
