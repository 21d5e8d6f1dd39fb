"""Orders on booted hosts: real systemd-run, units that outlive the channel, masks, locks, GPT, sudo.

Runs after test_lab, which wants the hosts as they were first installed: here each test reinstalls its own.
"""

from __future__ import annotations

import shlex
from hashlib import sha256

import pytest

from actions.orders import Guard, Verb
from actions.remote.cancel import CANCEL, cancel_values
from actions.remote.channel import CHANNEL, channel_values
from actions.remote.extra import Extra, UnitFile, parse_extra
from actions.remote.order import Order, Reply, VerbText, Word, read_reply
from actions.remote.preflight import PREFLIGHT_COMMAND, preflight_stdin
from actions.remote.reboot import ACTIVATE, reboot_values
from actions.remote.repair import REPAIR, Residue, repair_values
from actions.remote.roll_back import ROLL_BACK, roll_back_values
from actions.remote.stage import STAGE, stage_values
from actions.remote.sudoers import orders_sudoers
from actions.remote.updates import UPDATES_ORDER, updates_values
from tests.lab.client import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

CONF = "GROUP=stable\nREBOOT_STRATEGY=reboot\n# no newline at the end\r"


def look(lab: Lab, host: str, order: str | None = None) -> Extra:
    done = lab.run(host, PREFLIGHT_COMMAND, stdin=preflight_stdin("mark-0123", order))
    seen = parse_extra(done.stdout.encode(), "mark-0123", salt=b"salt")
    assert seen.complete, (done.stdout, done.stderr)
    return seen


def guard(lab: Lab, host: str) -> Guard:
    flags = {
        name: f"priority={slot.priority} tries={slot.tries} successful={slot.successful}"
        for name, slot in lab.slots(host).items()
    }
    digest = look(lab, host).conf_digest
    assert digest
    operation = f"UPDATE_STATUS_{lab.operation(host)}"
    return Guard(lab.boot_id(host) or "", flags["A"], flags["B"], operation, digest)


def send(
    lab: Lab, host: str, text: VerbText, values: dict[str, str], order: str, follows: str | None = None
) -> Reply:
    asked = Order(order, "jo", "ops-1", 300, follows)
    done = lab.run(host, text.command, stdin=text.stdin(asked, guard(lab, host), values))
    return read_reply(done.stdout.encode(), order)


def over(lab: Lab, host: str, order: str) -> Extra:
    """The look at which the order's unit has ended."""
    seen = [look(lab, host, order)]

    def ended() -> bool:
        seen.append(look(lab, host, order))
        return seen[-1].unit is not None and seen[-1].unit.is_over

    lab.wait(ended, f"the end of {order}")
    return seen[-1]


def write_conf(lab: Lab, host: str, text: str = CONF) -> None:
    command = "cat >/etc/flatcar/update.conf; systemctl restart locksmithd"
    assert lab.run(host, f"sudo sh -c {shlex.quote(command)}", stdin=text).returncode == 0


def test_a_release_is_staged_cancelled_staged_and_activated(lab: Lab) -> None:
    host = "h2"
    lab.reinstall(host)
    write_conf(lab, host)
    assert lab.read(host, "systemctl is-active locksmithd") == "active"
    offered = _next_release(lab)
    assert send(lab, host, STAGE, stage_values(offered), "o-aaaaaa").word is Word.STARTED
    assert send(lab, host, STAGE, stage_values(offered), "o-aaaaaa").word is Word.RUNNING
    taken = send(lab, host, CHANNEL, channel_values("beta"), "o-bbbbbb")
    assert (taken.word, "order=o-aaaaaa" in taken.detail) == (Word.TAKEN, True)
    staged = over(lab, host, "o-aaaaaa")
    assert staged.unit is not None
    assert (staged.unit.active, staged.unit.status) == ("active", 0), staged.log
    assert staged.conf == CONF.encode()
    assert staged.locksmithd is not None
    assert (staged.locksmithd.runtime, staged.locksmithd.held_by) == (UnitFile.MASK, "o-aaaaaa")
    assert lab.operation(host) == "UPDATED_NEED_REBOOT"

    assert send(lab, host, CANCEL, cancel_values(), "o-cccccc", "o-aaaaaa").word is Word.STARTED
    cancelled = over(lab, host, "o-cccccc")
    assert cancelled.log[-1] == "locksmithd given back, started", cancelled.log
    assert lab.read(host, "systemctl is-active locksmithd") == "active"
    assert (lab.operation(host), cancelled.reboot_required, cancelled.order) == ("IDLE", False, None)
    assert lab.slots(host)["A"].priority > lab.slots(host)["B"].priority

    assert send(lab, host, STAGE, stage_values(offered), "o-dddddd").word is Word.STARTED
    over(lab, host, "o-dddddd")
    before = lab.boot_id(host)
    inhibited = "systemd-run --quiet --unit=busy systemd-inhibit --what=shutdown --mode=block sleep 600"
    lab.read(host, f"sudo {inhibited}")
    lab.wait(lambda: any(item.forbids_reboot for item in look(lab, host).inhibitors or ()), "the inhibitor")
    refused = send(lab, host, ACTIVATE, reboot_values("B"), "o-eeeeee", "o-dddddd")
    assert refused == Reply(Word.REFUSED, "inhibited")
    lab.read(host, "sudo systemctl stop busy")
    assert send(lab, host, ACTIVATE, reboot_values("B"), "o-ffffff").word is Word.STARTED
    lab.wait_booted(host, other_than=before)
    assert lab.version(host) == offered
    assert look(lab, host).locksmithd == parse_hold("absent", look(lab, host))


def parse_hold(runtime: str, seen: Extra) -> object:
    """The hold as seen, with this unit file in /run."""
    assert seen.locksmithd is not None
    assert seen.locksmithd.runtime is UnitFile(runtime)
    return seen.locksmithd


def _next_release(lab: Lab) -> str:
    from tests.lab.releases import RELEASES_BY_VERSION

    return next(version for version in RELEASES_BY_VERSION if version != "4459.2.0")


def test_a_killed_staging_is_undone_and_repaired(lab: Lab) -> None:
    host = "h1"
    lab.reinstall(host)
    write_conf(lab, host)
    lab.knob(host, {"payload": "200000"})
    assert send(lab, host, STAGE, stage_values(_next_release(lab)), "o-aaaaaa").word is Word.STARTED
    lab.wait(lambda: lab.operation(host) == "DOWNLOADING", "the download")
    assert "localhost" in lab.read(host, "cat /etc/flatcar/update.conf")
    assert look(lab, host).updater_running is True
    lab.read(host, "sudo systemctl kill --kill-who=main -s KILL fleetctl-o-aaaaaa")
    seen = over(lab, host, "o-aaaaaa")
    assert seen.unit is not None
    assert (seen.unit.active, seen.unit.result) == ("failed", "signal")
    assert seen.conf == CONF.encode()
    assert seen.updater_running is False
    assert "locksmithd stays held: operation" in seen.log
    lab.knob(host, {"payload": ""})
    lab.read(host, "sudo systemctl restart update-engine")
    lab.wait(lambda: lab.operation(host) == "IDLE", "update_engine again")
    repair = repair_values([Residue.LOCKSMITHD])
    assert send(lab, host, REPAIR, repair, "o-bbbbbb", "o-aaaaaa").word is Word.STARTED
    assert over(lab, host, "o-bbbbbb").log == ("locksmithd given back, started",)
    assert lab.read(host, "systemctl is-active locksmithd") == "active"


ONLY_THE_RULE = """set -e
cat >/etc/sudoers.d/rule.off
grep -v '^core' /etc/sudoers >/run/sudoers.new
find /etc/sudoers.d -type f ! -name rule.off -delete
cat /run/sudoers.new >/etc/sudoers
chmod 440 /etc/sudoers.d/*
mv /etc/sudoers.d/rule.off /etc/sudoers.d/rule
"""


def test_a_sudoers_line_allows_its_verb_and_nothing_else(lab: Lab) -> None:
    host = "h3"
    lab.reinstall(host)
    write_conf(lab, host, "REBOOT_STRATEGY=off\n")
    plan = guard(lab, host)
    rules = orders_sudoers("core", [Verb.CHANNEL, Verb.UPDATES, Verb.ROLL_BACK])
    done = lab.run(host, f"sudo -n bash -c {shlex.quote(ONLY_THE_RULE)}", stdin=rules)
    assert done.returncode == 0, done.stderr
    assert lab.run(host, "sudo -n true").returncode != 0

    def ask(text: VerbText, values: dict[str, str], order: str, conf: str) -> Reply:
        seen = Guard(
            plan.boot_id, plan.slot_a, plan.slot_b, plan.operation, sha256(conf.encode()).hexdigest()
        )
        stdin = text.stdin(Order(order, "jo", "ops-1", 60), seen, values)
        return read_reply(lab.run(host, text.command, stdin=stdin).stdout.encode(), order)

    texts = ["REBOOT_STRATEGY=off\n"]
    steps = [
        (CHANNEL, channel_values("beta"), "REBOOT_STRATEGY=off\nGROUP=beta\n"),
        (UPDATES_ORDER, updates_values("off"), "REBOOT_STRATEGY=off\nGROUP=beta\nSERVER=disabled\n"),
        (UPDATES_ORDER, updates_values("on"), "REBOOT_STRATEGY=off\nGROUP=beta\n"),
    ]
    for number, (text, values, after) in enumerate(steps):
        order = f"o-step0{number}"
        assert ask(text, values, order, texts[-1]).word is Word.STARTED
        seen = over(lab, host, order)
        assert (seen.conf, seen.order) == (after.encode(), None), seen.log
        texts.append(after)
    moved = ask(CHANNEL, channel_values("alpha"), "o-moved0", texts[0])
    assert (moved.word, moved.detail.split()[0]) == (Word.MOVED, "conf")
    assert ask(REPAIR, repair_values([Residue.MARKS]), "o-repair", texts[-1]) == Reply(None)
    refused = ask(ROLL_BACK, roll_back_values("A"), "o-rolled", texts[-1])
    assert refused == Reply(Word.REFUSED, "runs-already")
    lab.reinstall(host)
