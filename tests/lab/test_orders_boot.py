"""Orders that reboot, on booted hosts: the choice of slot from the GPT, tries, confirmation, falling back.

What they did is read from the host itself: its partition table, boot id, os-release, update.conf.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

import pytest

from actions.remote.aftermath import AFTERMATH_COMMAND, aftermath_stdin, read_aftermath
from actions.remote.order import Reply, VerbText, Word
from actions.remote.reboot import ACTIVATE, REBOOT, reboot_values
from actions.remote.roll_back import ROLL_BACK, roll_back_values
from actions.remote.stage import STAGE, stage_values
from tests.lab.client import Lab, SlotFlags
from tests.lab.console import MARK, ODD_CONF, Console, beside
from tests.lab.releases import BORN_WITH, CHANNELS
from tests.lab.verbs import a_release_goes_out_and_comes_back

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

STABLE, BETA = CHANNELS["stable"], CHANNELS["beta"]
CONF = b"GROUP=stable\r\n  REBOOT_STRATEGY = reboot\nX=1\n"
KILLS_ITS_GROUP = """set -e
sed 's/^trap finish EXIT INT$/trap "finish; kill 0" EXIT INT/' /usr/bin/flatcar-update >/run/older
grep -q 'kill 0' /run/older
chmod 755 /run/older
mount --bind /run/older /usr/bin/flatcar-update
"""
"""flatcar-update as it was up to 2023. Source: flatcar/init:bin/flatcar-update@ae60c32."""


def refused(console: Console, text: VerbText, values: dict[str, str], code: str) -> None:
    """The text says so; nothing is done, and who held the host holds it."""
    held = console.look().order
    before = (console.lab.table(console.host), console.conf(), console.boot_id)
    reply = console.send(text, values, "o-refuse", follows=held.order if held else None)
    assert reply == Reply(Word.REFUSED, code)
    assert console.look().order == held
    assert (console.lab.table(console.host), console.conf(), console.boot_id) == before
    assert console.lab.run(console.host, "ls /run/fleetctl/o-refuse.sh").returncode != 0


@contextmanager
def damaged(console: Console, slot: str, offset: int, size: int = 1) -> Iterator[None]:
    """Bytes of a slot's partition with every bit flipped, as the host sees them too; then as before."""
    with console.lab.slot_device(console.host, slot).open("r+b", buffering=0) as device:

        def flip() -> None:
            device.seek(offset)
            content = device.read(size)
            device.seek(offset)
            device.write(bytes(byte ^ 0xFF for byte in content))

        flip()
        yield
        flip()


def tree_offset(console: Console, slot: str) -> int:
    """Where the hash tree begins: the file system's size."""
    return int(console.root(f"blkid -p -o value -s FSSIZE /dev/disk/by-partlabel/USR-{slot}"))


@pytest.fixture(scope="module")
def fallback(lab: Lab) -> Iterator[Future[None]]:
    with beside(_falls_back_and_reboots, lab) as story:
        yield story


@pytest.fixture(scope="module")
def typed(lab: Lab) -> Iterator[Future[None]]:
    with beside(a_release_goes_out_and_comes_back, lab) as story:
        yield story


def test_a_release_is_activated_confirmed_and_rolled_back(
    lab: Lab, fallback: Future[None], typed: Future[None]
) -> None:
    console = Console.of_fresh(lab, "h2", CONF)
    lab.knob("h2", {"confirm_after": "15"})
    console.root(KILLS_ITS_GROUP)
    staged = console.done(STAGE, stage_values(STABLE), "o-aaaaaa")
    assert staged.unit is not None
    assert (staged.unit.active, staged.unit.status, staged.unit.result) == ("active", 0, "success"), (
        staged.log
    )
    assert "flatcar-update ended with 143" in staged.log
    assert lab.table("h2") == {"A": SlotFlags(1, 0, 1), "B": SlotFlags(2, 1, 0)}
    assert console.conf() == CONF

    _refused_while_the_next_boot_must_not_come(console)
    refused(console, REBOOT, reboot_values("A"), "other-slot-next")
    before = console.boot_id
    assert console.send(ACTIVATE, reboot_values("B"), "o-bbbbbb", follows="o-aaaaaa").word is Word.STARTED
    console.booted(before)
    assert (lab.version("h2"), lab.state("h2")["slot"], lab.state("h2")["boots"]) == (STABLE, "USR-B", 2)
    assert lab.table("h2") == {"A": SlotFlags(1, 0, 1), "B": SlotFlags(2, 0, 0)}
    refused(console, REBOOT, reboot_values("B"), "unconfirmed")
    refused(console, ROLL_BACK, roll_back_values("A"), "unconfirmed")
    confirmed = {"A": SlotFlags(1, 0, 1), "B": SlotFlags(2, 0, 1)}
    lab.wait(lambda: lab.table("h2") == confirmed, "the confirmation", 25)

    _prove_the_other_slot(console, "A", BORN_WITH)
    _a_roll_back_that_cannot_reboot(console)
    off = CONF + b"SERVER=disabled\n"
    lab.knob("h2", {f"boot@{BORN_WITH}": "panic"})
    before = console.boot_id
    assert console.send(ROLL_BACK, roll_back_values("A"), "o-dddddd").word is Word.STARTED
    console.booted(before)
    assert (lab.version("h2"), lab.state("h2")["boots"], console.conf()) == (STABLE, 4, off)
    assert lab.table("h2") == {"A": SlotFlags(2, 0, 0), "B": SlotFlags(1, 0, 1)}

    lab.knob("h2", {f"boot@{BORN_WITH}": ""})
    before = console.boot_id
    assert console.send(ROLL_BACK, roll_back_values("A"), "o-eeeeee").word is Word.STARTED
    console.booted(before)
    assert (lab.version("h2"), lab.state("h2")["slot"], console.conf()) == (BORN_WITH, "USR-A", off)
    assert lab.table("h2") == {"A": SlotFlags(2, 0, 0), "B": SlotFlags(1, 0, 1)}
    confirmed = {"A": SlotFlags(2, 0, 1), "B": SlotFlags(1, 0, 1)}
    lab.wait(lambda: lab.table("h2") == confirmed, "the confirmation", 25)
    assert console.proof("B").words == f"intact {STABLE}"


def _refused_while_the_next_boot_must_not_come(console: Console) -> None:
    """With a real inhibitor of logind's, and with what makes the next boot wipe the host."""
    activate = reboot_values("B")
    inhibit = "systemd-inhibit --what=shutdown --mode=block --who='a \"b\", block' sleep 600"
    console.root(f"systemd-run --quiet --unit=busy {inhibit}")
    console.lab.wait(lambda: any(item.forbids_reboot for item in console.look().inhibitors or ()), "it")
    refused(console, ACTIVATE, activate, "inhibited")
    refused(console, ROLL_BACK, roll_back_values("B"), "inhibited")
    console.root("systemctl stop busy; systemd-run --quiet --unit=busy " + inhibit.replace("block", "delay"))
    console.lab.wait(lambda: any(item.mode == "delay" for item in console.look().inhibitors or ()), "it")
    for path, code in (
        ("/selective-os-reset", "reset-armed"),
        ("/boot/flatcar/first_boot", "first-boot-armed"),
    ):
        console.root(f"touch {path}")
        refused(console, ACTIVATE, activate, code)
        console.root(f"rm {path}")
    console.root("systemctl stop busy")


def _prove_the_other_slot(console: Console, slot: str, version: str) -> None:
    console.root("systemctl stop boot.mount")
    assert console.proof(slot).words == f"intact {version}", "also while the automount of /boot sleeps"
    tree = tree_offset(console, slot)
    with damaged(console, slot, tree // 2 + 77):
        assert console.proof(slot).words == f"damaged: {tree // 2}"
    with damaged(console, slot, tree + 4096 + 5):
        assert console.proof(slot).words.startswith("damaged: ")
    with damaged(console, slot, tree, 4096):
        assert console.proof(slot).words == "unproved: no-verity-superblock", "a plain file system"
    with damaged(console, slot, 1080, 2):
        assert console.proof(slot).words == "unproved: no-file-system"
    assert console.proof(slot).words == f"intact {version}"
    assert console.proof("B" if slot == "A" else "A").words == "unproved: slot-runs"


def _a_roll_back_that_cannot_reboot(console: Console) -> None:
    before = (console.lab.table(console.host), console.conf(), console.boot_id)
    console.root("systemctl mask --runtime reboot.target")
    seen = console.done(ROLL_BACK, roll_back_values("A"), "o-cccccc")
    assert seen.unit is not None
    assert (seen.unit.status, seen.log[-2:]) == (81, ("reboot failed", "both slots as they were"))
    assert (console.lab.table(console.host), console.conf(), console.boot_id) == before
    console.root("systemctl unmask --runtime reboot.target")


def test_a_boot_that_fails_falls_back_and_what_came_before_it_is_told(fallback: Future[None]) -> None:
    fallback.result()


def _falls_back_and_reboots(lab: Lab) -> None:
    console = Console.of_fresh(lab, "h1")
    lab.knob("h1", {f"boot@{BETA}": "panic"})
    console.done(STAGE, stage_values(BETA), "o-aaaaaa")
    before = console.boot_id
    assert console.send(ACTIVATE, reboot_values("B"), "o-bbbbbb", follows="o-aaaaaa").word is Word.STARTED
    console.booted(before)
    assert (lab.version("h1"), lab.state("h1")["slot"], lab.state("h1")["boots"]) == (BORN_WITH, "USR-A", 3)
    assert lab.table("h1") == {"A": SlotFlags(1, 0, 1), "B": SlotFlags(2, 0, 0)}
    assert console.conf() == ODD_CONF
    done = lab.exchange("h1", AFTERMATH_COMMAND, aftermath_stdin(MARK).encode())
    told = read_aftermath(done.stdout, MARK, salt=b"salt")
    assert any("fleetctl o-bbbbbb rebooting" in line for line in told.journal), told.journal
    assert any("Update successfully applied" in line for line in told.updater), told.updater

    before = console.boot_id
    assert console.send(REBOOT, reboot_values("A"), "o-reboot").word is Word.STARTED
    console.booted(before)
    assert (lab.version("h1"), lab.table("h1")["A"]) == (BORN_WITH, SlotFlags(1, 0, 1))

    before = console.boot_id
    assert console.locksmithd() == "active"
    free = stage_values(STABLE, hold_locksmithd=False)
    assert console.send(STAGE, free, "o-cccccc").word is Word.STARTED
    console.booted(before)
    assert lab.version("h1") == STABLE, "unheld, locksmithd has rebooted the host"
    assert console.conf() == ODD_CONF


def test_a_release_goes_out_and_comes_back_as_an_operator_types_it(typed: Future[None]) -> None:
    typed.result()
