"""Orders that do not reboot, on booted hosts: real systemd-run, masks, locks, killed units, GPT, sudo.

What they did is read from the host itself: its partition table, boot id, os-release, files, journal.
Runs after test_lab, which wants the hosts as they were first installed: here each test reinstalls its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from hashlib import sha256

import pytest

from actions.orders import Verb
from actions.remote.aftermath import AFTERMATH_COMMAND, aftermath_stdin
from actions.remote.cancel import CANCEL, cancel_values
from actions.remote.channel import CHANNEL, channel_values
from actions.remote.order import Reply, Word
from actions.remote.repair import REPAIR, Residue, repair_values
from actions.remote.roll_back import ROLL_BACK, roll_back_values
from actions.remote.slot_proof import ProofResult
from actions.remote.stage import STAGE, stage_values
from actions.remote.sudoers import TEXTS, orders_sudoers
from actions.remote.updates import UPDATES_ORDER, updates_values
from actions.remote.words import Exit
from tests.lab.client import Lab, SlotFlags
from tests.lab.console import CONF_PATH, MARK, ODD_CONF, Console, beside
from tests.lab.releases import BORN_WITH, CHANNELS

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

STABLE, BETA = CHANNELS["stable"], CHANNELS["beta"]
FRESH = {"A": SlotFlags(1, 0, 1), "B": SlotFlags(0, 0, 0)}
STAGED = {"A": SlotFlags(1, 0, 1), "B": SlotFlags(2, 1, 0)}
CANCELLED = {"A": SlotFlags(2, 0, 1), "B": SlotFlags(1, 1, 0)}


@pytest.fixture(scope="module")
def offers(lab: Lab) -> Iterator[Future[None]]:
    with beside(_takes_offers, lab) as story:
        yield story


def test_a_release_is_staged_with_locksmithd_held_and_cancelled(lab: Lab, offers: Future[None]) -> None:
    console = Console.of_fresh(lab, "h2")
    boot_id = console.boot_id
    assert console.locksmithd() == "active"
    assert console.proof("B").words == "unproved: no-root-hash"
    values = stage_values(BETA)  # not what the server offers this host
    plan = console.guard()
    for key, moved in {
        "boot_id": replace(plan, boot_id="00000000-0000-0000-0000-000000000000"),
        "slot_a": replace(plan, slot_a="priority=3 tries=0 successful=1"),
        "operation": replace(plan, operation="UPDATE_STATUS_FINALIZING"),
        "conf": replace(plan, conf_digest="absent"),
    }.items():
        refused = console.send(STAGE, values, "o-moved0", guard=moved)
        assert (refused.word, refused.detail.split()[0]) == (Word.MOVED, key)
    assert lab.run("h2", "ls /run/fleetctl/order").returncode != 0
    console.sent_and_cut(STAGE, console.stdin(STAGE, values, "o-aaaaaa"))
    again = console.send(STAGE, values, "o-aaaaaa", guard=plan)
    assert again.word in (Word.STARTED, Word.RUNNING)
    assert console.send(STAGE, values, "o-aaaaaa", guard=plan).word is Word.RUNNING
    taken = console.send(CHANNEL, channel_values("beta"), "o-bbbbbb")
    assert (taken.word, "order=o-aaaaaa actor=jo console=ops-1" in taken.detail) == (Word.TAKEN, True)

    staged = console.over("o-aaaaaa")
    assert staged.unit is not None
    assert (staged.unit.active, staged.unit.status) == ("active", 0), staged.log
    assert console.conf() == staged.conf == ODD_CONF
    assert staged.log.count(f"staging {BETA}") == 1, staged.log
    assert console.root("journalctl -b -u fleetctl-o-aaaaaa -o cat").count("Forcing update") == 1
    assert (lab.table("h2"), lab.slots("h2")) == (STAGED, STAGED)
    assert lab.operation("h2") == "UPDATED_NEED_REBOOT"
    assert (console.held(), console.locksmithd()) == ("o-aaaaaa", "inactive")
    assert console.send(STAGE, values, "o-aaaaaa").word is Word.RUNNING
    assert lab.run("h2", "ls /var/tmp/fleetctl-o-aaaaaa").returncode != 0
    assert console.proof("B").words == f"intact {BETA}"

    unsafe = console.done(CANCEL, cancel_values(found="0" * 64), "o-cccccc", "o-aaaaaa")
    assert unsafe.log[-1] == "locksmithd stays held: updates not as found", unsafe.log
    assert (lab.operation("h2"), lab.table("h2")) == ("IDLE", CANCELLED)
    assert (console.held(), console.locksmithd(), unsafe.order) == ("o-aaaaaa", "inactive", None)
    safe = console.done(CANCEL, cancel_values(), "o-dddddd")
    assert safe.log[-1] == "locksmithd given back, started", safe.log
    assert (safe.reboot_required, safe.order, console.held()) == (False, None, None)
    assert (console.locksmithd(), console.boot_id) == ("active", boot_id)


def _takes_offers(lab: Lab) -> None:
    console = Console.of_fresh(lab, "h1")
    lab.knob("h1", {"update": "none"})
    nothing = console.done(STAGE, stage_values(None), "o-aaaaaa")
    assert nothing.unit is not None
    assert (nothing.unit.status, nothing.log[-1]) == (0, "locksmithd given back, started")
    assert nothing.attempt is not None
    assert (nothing.attempt.no_update, nothing.attempt.failed) == (True, False)
    assert (nothing.order, console.held(), lab.table("h1")) == (None, None, FRESH)

    lab.knob("h1", {"update": "", "payload": "corrupt"})
    spoiled = console.done(STAGE, stage_values(None), "o-bbbbbb")
    assert spoiled.unit is not None
    assert (spoiled.unit.status, spoiled.order) == (0, None), "the client's 0 says nothing"
    assert spoiled.attempt is not None
    assert (spoiled.attempt.failed, spoiled.attempt.offered_version) == (True, STABLE)
    assert spoiled.attempt.error_code in (10, 29)
    assert (console.held(), console.locksmithd(), lab.table("h1")) == (None, "active", FRESH)
    assert console.proof("B").result is not ProofResult.INTACT

    lab.knob("h1", {"payload": "1000000"})
    assert console.send(STAGE, stage_values(None), "o-cccccc").word is Word.STARTED
    lab.wait(lambda: lab.operation("h1") == "DOWNLOADING", "the download")
    console.root("systemctl kill -s KILL fleetctl-o-cccccc")
    killed = console.over("o-cccccc")
    assert killed.unit is not None
    assert (killed.unit.active, killed.unit.result) == ("failed", "signal")
    assert (killed.order is not None, console.held(), console.locksmithd()) == (True, "o-cccccc", "inactive")
    again = console.send(STAGE, stage_values(None), "o-dddddd", follows="o-cccccc")
    assert again == Reply(Word.REFUSED, "not-idle")
    assert console.look().order == killed.order
    lab.knob("h1", {"payload": ""})
    console.root("systemctl restart update-engine")
    lab.wait(lambda: lab.operation("h1") == "IDLE", "update_engine again")
    repaired = console.done(REPAIR, repair_values([Residue.LOCKSMITHD]), "o-ffffff", "o-cccccc")
    assert repaired.log == ("locksmithd given back, started",)
    assert (console.held(), console.locksmithd()) == (None, "active")

    staged = console.done(STAGE, stage_values(None), "o-eeeeee")
    assert "ended as UPDATE_STATUS_UPDATED_NEED_REBOOT" in staged.log
    assert (lab.table("h1"), lab.operation("h1")) == (STAGED, "UPDATED_NEED_REBOOT")
    assert (console.held(), console.proof("B").words) == ("o-eeeeee", f"intact {STABLE}")
    assert console.conf() == ODD_CONF


FREEZE = "for n in {1..600}; do pkill -STOP -f [l]ab/payload-server && exit; sleep 0.05; done; exit 1"
"""The staging stands still once it serves the payload to the updater."""
LEFT_BY_POWER_CUT = b"GROUP=stable\nX=1\nSERVER=http://localhost:9090/update\n"


def test_an_ended_staging_leaves_update_conf_as_it_was(lab: Lab) -> None:
    console = Console.of_fresh(lab, "h3")
    ends = {
        "systemctl kill --kill-whom=main -s KILL fleetctl-{}": ("signal", 3600),
        "systemctl stop fleetctl-{}": ("success", 3600),
        ":": ("timeout", 4),
    }
    before = "o-none00"
    for number, (end, (result, lasts_s)) in enumerate(ends.items()):
        order = f"o-aaaaa{number}"
        values = stage_values(BETA)
        reply = console.send(STAGE, values, order, follows=before, lasts_s=lasts_s)
        assert reply.word is Word.STARTED, reply
        console.root(FREEZE)
        assert b"localhost" in console.conf()
        assert lab.run("h3", "pgrep -f '[/]flatcar-update'").returncode == 0
        console.root(end.format(order))
        seen = console.over(order)
        assert seen.unit is not None
        assert seen.unit.result == result
        assert console.conf() == ODD_CONF, end
        assert "update.conf as it was" in seen.log
        assert seen.updater_running is False
        assert lab.table("h3") == FRESH
        assert lab.run("h3", "ls -A /etc/flatcar").stdout == "update.conf\n"
        lab.wait(lambda: lab.operation("h3") == "IDLE", "update_engine's answer")
        before = order
    repaired = console.done(REPAIR, repair_values([Residue.LOCKSMITHD]), "o-bbbbbb", before)
    assert repaired.log[-1] in ("locksmithd given back, started", "locksmithd not ours")
    assert (console.held(), console.locksmithd()) == (None, "active")

    boot_id = console.boot_id
    console.write(b"GROUP=stable\nX=1\n# SERVER=commented")
    assert console.send(STAGE, stage_values(BETA), "o-cccccc").word is Word.STARTED
    console.root(FREEZE + "; sync")
    console.root(f"sync {CONF_PATH}")
    lab.power("h3", "reset")
    console.booted(boot_id)
    assert console.conf() == LEFT_BY_POWER_CUT, "what only a repair takes away"
    seen = console.done(REPAIR, repair_values([Residue.SERVER]), "o-dddddd")
    assert seen.log == ("server: residue removed",)
    assert console.conf() == b"GROUP=stable\nX=1\n"
    console.write(LEFT_BY_POWER_CUT)
    server = "https://updates.example.net/v1/update/"
    console.done(REPAIR, repair_values([Residue.SERVER], server=server), "o-eeeeee")
    assert console.conf() == LEFT_BY_POWER_CUT.replace(b"http://localhost:9090/update", server.encode())


ONLY_THE_RULE = """set -e
cat >/etc/sudoers.d/rule.off
visudo -cqf /etc/sudoers.d/rule.off
grep -v '^core' /etc/sudoers >/run/sudoers.new
find /etc/sudoers.d -type f ! -name rule.off -delete
cat /run/sudoers.new >/etc/sudoers
chmod 440 /etc/sudoers.d/*
mv /etc/sudoers.d/rule.off /etc/sudoers.d/rule
"""


def test_sudoers_lines_allow_their_verbs_and_nothing_else(lab: Lab) -> None:
    conf = b"REBOOT_STRATEGY=off\r\n  GROUP=no setting\n"
    console = Console.of_fresh(lab, "h3", conf)
    plan = console.guard()
    allowed = [Verb.STAGE, Verb.CHANNEL, Verb.UPDATES, Verb.ROLL_BACK]
    console.root(ONLY_THE_RULE, orders_sudoers("core", allowed).encode())
    for words in ("true", "bash", "/bin/bash --norc --noprofile -c id fleetctl-order-channel/1"):
        assert lab.run("h3", f"sudo -n {words}").returncode == Exit.NOT_ALLOWED
    for verb, text in TEXTS.items():
        done = lab.exchange("h3", text.command, b"order=o-cut000\n")
        assert done.returncode == (Exit.MALFORMED if verb in allowed else Exit.NOT_ALLOWED), (verb, done)
        assert (b"password is required" in done.stderr) is (verb not in allowed)
    steps = [
        (CHANNEL, channel_values("beta"), conf + b"GROUP=beta\n"),
        (CHANNEL, channel_values("lts"), conf + b"GROUP=lts\n"),
        (UPDATES_ORDER, updates_values("off"), conf + b"GROUP=lts\nSERVER=disabled\n"),
        (CHANNEL, channel_values(None), conf + b"SERVER=disabled\n"),
        (UPDATES_ORDER, updates_values("on"), conf),
    ]
    now = conf
    for number, (text, values, then) in enumerate(steps):
        order = f"o-step0{number}"
        guard = replace(plan, conf_digest=sha256(now).hexdigest())
        assert console.send(text, values, order, guard=guard).word is Word.STARTED
        seen = console.over(order)
        assert (seen.conf, console.conf(), seen.order) == (then, then, None), seen.log
        now = then
    assert lab.run("h3", f"stat -c '%a %U' {CONF_PATH}").stdout == "644 root\n"
    moved = console.send(CHANNEL, channel_values("alpha"), "o-moved0", guard=replace(plan, slot_b="-"))
    assert (moved.word, moved.detail.split()[0]) == (Word.MOVED, "slot_b")
    refused = console.send(ROLL_BACK, roll_back_values("A"), "o-rolled", guard=plan)
    assert refused == Reply(Word.REFUSED, "runs-already")
    assert console.proof("B").words == "unproved: no-root-hash"
    asked = lab.run("h3", AFTERMATH_COMMAND, stdin=aftermath_stdin(MARK))
    assert asked.stdout.startswith(f"{MARK} V 1 0\n")
    assert lab.version("h3") == BORN_WITH
    lab.reinstall("h3")


def test_an_offer_ends_as_nothing_as_failed_or_as_staged(offers: Future[None]) -> None:
    offers.result()
