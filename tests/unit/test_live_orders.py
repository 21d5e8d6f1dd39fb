"""Orders on simulated hosts: what the channel answers, who holds the host, the unit and what kills it.

The commands are those that are sent, letter by letter, as the login user with sudo.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.orders import Guard, Verb
from actions.remote.channel import CHANNEL, channel_values
from actions.remote.extra import Extra, parse_extra
from actions.remote.order import Order, Reply, VerbText, Word, read_reply
from actions.remote.preflight import PREFLIGHT_COMMAND, preflight_stdin
from actions.remote.stage import STAGE, stage_values
from actions.remote.sudoers import TEXTS
from actions.remote.words import Exit
from console.demo.live import kinds, order_boots, order_conf, order_quick, order_stage
from console.demo.live.body import Call
from console.demo.live.kinds import Faults, Pending
from console.demo.live.order_channel import ask, forms_of
from console.demo.live.order_run import Exited, Run, conf_of
from console.demo.live.orders import SCRIPTS
from console.demo.world import SimulatedHost
from tests.unit.live_lab import NEW, Lab, fresh

MARK = "0123456789abcdef"
ORDER_FILE = "/run/fleetctl/order"
LASTS_S = 1800
IDLE, NEED_REBOOT = "UPDATE_STATUS_IDLE", "UPDATE_STATUS_UPDATED_NEED_REBOOT"


class Ordered(Lab):
    """A laboratory that takes orders as a console sends them."""

    def guard(self) -> Guard:
        state, conf = self.host.state, conf_of(self.host.body)
        a, b = (
            f"priority={slot.priority} tries={slot.tries} successful={int(slot.successful)}"
            if state.running
            else "-"
            for slot in (state.a, state.b)
        )
        digest = "absent" if conf is None else hashlib.sha256(conf).hexdigest()
        operation = str(state.engine.operation) if self.host.has_updater else "-"
        return Guard(state.boot_id, a, b, operation, digest)

    def exec(self, command: str, stdin: bytes, uid: int = 500) -> kinds.Reply:
        """A command line to its end."""
        found = self.host.run(shlex.split(command), uid=uid, stdin=stdin)
        if isinstance(found, Pending):
            self.until(lambda: found.is_over)
            assert found.reply is not None
            return found.reply
        return found

    def send(
        self,
        text: VerbText,
        values: Mapping[str, str],
        order: str = "o-aaaaaa",
        *,
        guard: Guard | None = None,
        follows: str | None = None,
    ) -> tuple[Reply, int]:
        asked = Order(order, "jo", "ops", LASTS_S, follows)
        done = self.exec(text.command, text.stdin(asked, guard or self.guard(), values).encode())
        return read_reply(done.stdout, order), done.exit_status

    def extra(self, order: str | None = None) -> Extra:
        done = self.exec(PREFLIGHT_COMMAND, preflight_stdin(MARK, order).encode())
        return parse_extra(done.stdout, MARK, salt=b"x")

    def order_file(self) -> str | None:
        found = self.host.files.read(ORDER_FILE)
        return None if found is None else found.decode()

    def log_of(self, order: str = "o-aaaaaa") -> list[str]:
        return list(self.extra(order).log)

    def ended(self, order: str = "o-aaaaaa") -> int:
        """Wait for the unit's end; its main process's status."""
        self.until(lambda: self.host.body.main_status.get(f"fleetctl-{order}.service") is not None)
        unit = self.extra(order).unit
        assert unit is not None
        assert unit.is_over
        assert unit.status is not None
        return unit.status

    def do(
        self, text: VerbText, values: Mapping[str, str], order: str = "o-aaaaaa", follows: str | None = None
    ) -> int:
        """Start it, wait for its end; the unit's status."""
        reply, status = self.send(text, values, order, follows=follows)
        assert (reply.word, status) == (Word.STARTED, Exit.STARTED), reply
        return self.ended(order)


def with_faults(**values: object) -> Ordered:
    lab = Ordered()
    lab.host.faults = replace(Faults(), **values)  # type: ignore[arg-type]
    return lab


# -- texts and simulator ---------------------------------------------------------------------------


@pytest.mark.parametrize("verb", Verb)
def test_every_code_that_a_text_refuses_with_is_known_here(verb: Verb) -> None:
    assert set(re.findall(r"\brefuse ([a-z][a-z-]*)", TEXTS[verb].text)) == SCRIPTS[verb].refuses


@pytest.mark.parametrize("verb", Verb)
def test_every_line_that_a_text_asks_for_is_asked_for_here(verb: Verb) -> None:
    text = TEXTS[verb]
    needs = re.findall(r"need (\w+) '([^']*)'", text.text)
    assert needs == list(forms_of(text).items())
    assert re.search(r"K='([^']*)'", text.text)[1].split() == list(forms_of(text))  # type: ignore[index]


def test_every_text_is_known_by_its_letters() -> None:
    known = Ordered().host.body.scripts
    assert {text.text for text in TEXTS.values()} < set(known)


def literals(text: str, word: str) -> set[str]:
    """What stands behind a shell function's name, up to the first thing that is expanded."""
    found = re.findall(rf"\b{word} ([^;&|}}]*)", text)
    return {part.split("$")[0].strip(' "') for part in found}


@pytest.mark.parametrize("verb", Verb)
def test_every_line_that_a_unit_tells_is_told_here_in_the_same_words(verb: Verb) -> None:
    said = "".join(
        inspect.getsource(module) for module in (order_boots, order_conf, order_quick, order_stage)
    )
    told = literals(TEXTS[verb].text, "tell") - {""}
    steps = literals(TEXTS[verb].text, "failed") - {"", ")"}
    assert told
    assert sorted(line for line in told if line not in said) == []
    assert [step for step in steps if f'"{step}"' not in said] == []


def parsed_here(text: VerbText, stdin: bytes) -> tuple[int, bytes]:
    lab = Lab()
    pending = Pending(kinds.Scope())
    run = Run(lab.host.body, Call(("x",), 0, stdin, pending), text.verb, frozenset())
    try:
        ask(run, text, stdin)
    except Exited as exited:
        return exited.status, pending.stdout
    return 0, pending.stdout + "".join(f"{key}={run.values[key]}\n" for key in forms_of(text)).encode()


def parsed_by_bash(text: VerbText, stdin: bytes) -> tuple[int, bytes]:
    """The text up to what it has understood: nothing is taken, compared or started."""
    functions, _, rest = text.text.rpartition("ask; take; ")
    assert rest == "guard; check; begin"
    shown = f'{functions}ask; for k in $K; do printf "%s=%s\\n" "$k" "${{I[$k]}}"; done'
    argv = ["/bin/bash", "--norc", "--noprofile", "-c", shown]
    done = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=15)
    return done.returncode, done.stdout


WHOLE = CHANNEL.stdin(Order("o-aaaaaa", "jo", "ops", 60), Ordered().guard(), channel_values("beta")).encode()
LINES = WHOLE.splitlines(keepends=True)
ODD = (
    b"", b"\n", b"end\n", b"end", b"end \n", b"=\n", b"order\n", b"order=\n", b"what=1\n", b"group=BETA\n",
    b"group=a b\n", b"group=\xff\n", b"group=a\0b\n", b"group=" + b"a" * 694 + b"\n",
    b"group=" + b"a" * 694 + b"end\n", b"group=$(id)\n", b"group=beta\r\n", b"lasts=0\n", b"lasts=60=0\n",
    b"follows=o-bbbbbb\n", b"order=o-AAAAAA\n", b"conf=absent\n", b"operation=-\n", b"a" * 800,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(LINES)), st.sampled_from(ODD), st.booleans())
def test_what_is_read_is_what_bash_reads(place: int, odd: bytes, replaces: bool) -> None:
    stdin = b"".join((*LINES[:place], odd, *LINES[place + replaces :]))
    assert parsed_here(CHANNEL, stdin) == parsed_by_bash(CHANNEL, stdin)


@pytest.mark.parametrize("verb", Verb)
@pytest.mark.parametrize("key", ["order", "boot_id", "conf", "last"])
def test_what_is_cut_is_malformed_for_every_verb_as_it_is_for_bash(verb: Verb, key: str) -> None:
    text = TEXTS[verb]
    key = list(forms_of(text))[-1] if key == "last" else key
    lines = [f"{name}=x\n" for name in forms_of(text) if name != key]
    stdin = "".join((*lines, "end\n")).encode()
    assert parsed_here(text, stdin) == parsed_by_bash(text, stdin)


# -- the channel -----------------------------------------------------------------------------------


def test_input_that_is_cut_does_nothing() -> None:
    lab = Ordered()
    whole = CHANNEL.stdin(Order("o-aaaaaa", "jo", "ops", 60), lab.guard(), channel_values("beta"))
    done = lab.exec(CHANNEL.command, whole.removesuffix("end\n").encode())
    assert (done.exit_status, done.stdout) == (Exit.MALFORMED, b"fleetctl - malformed end\n")
    done = lab.exec(CHANNEL.command, whole.replace("group=beta", "group=BETA").encode())
    assert (done.exit_status, done.stdout) == (Exit.MALFORMED, b"fleetctl o-aaaaaa malformed group\n")
    assert not lab.host.files.paths("/run/fleetctl")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("boot_id", "00000000-0000-4000-8000-000000000000"),
        ("slot_a", "priority=3 tries=0 successful=1"),
        ("slot_b", "-"),
        ("operation", NEED_REBOOT),
        ("conf_digest", "absent"),
    ],
)
def test_a_host_that_moved_is_left_as_it_is(field: str, value: str) -> None:
    lab = Ordered()
    seen = lab.guard()
    reply, status = lab.send(CHANNEL, channel_values("beta"), guard=replace(seen, **{field: value}))
    assert (reply.word, status) == (Word.MOVED, Exit.MOVED)
    assert reply.detail == f"{field.removesuffix('_digest')} {getattr(seen, field)}"
    assert lab.guard() == seen
    assert lab.order_file() is None


def test_the_order_file_says_whose_the_host_is_and_until_when_by_its_own_clock() -> None:
    lab = with_faults(clock_off_s=-3600.0)
    lab.send(STAGE, stage_values(NEW))
    until = int(lab.host.now.timestamp()) - 3600 + LASTS_S
    boot_id = lab.host.state.boot_id
    assert lab.order_file() == (
        f"order=o-aaaaaa\nactor=jo\nconsole=ops\nverb=stage\nboot_id={boot_id}\nuntil={until}\n"
    )
    held = lab.extra().order
    assert held is not None
    assert (held.order, held.verb, held.until) == ("o-aaaaaa", "stage", until)
    assert b"order=o-aaaaaa\nactor=jo\n" in lab.host.answer_probe(MARK, uid=500)


def test_another_order_keeps_the_host_until_it_is_over_and_still() -> None:
    lab = Ordered()
    lab.send(STAGE, stage_values(NEW))
    reply, status = lab.send(CHANNEL, channel_values("beta"), "o-bbbbbb")
    assert (reply.word, status) == (Word.TAKEN, Exit.TAKEN)
    assert reply.detail.startswith("order=o-aaaaaa actor=jo console=ops verb=stage boot_id=")
    assert lab.send(CHANNEL, channel_values("beta"), "o-bbbbbb", follows="o-aaaaaa")[0].word is Word.TAKEN
    assert lab.ended() == 0
    assert lab.send(CHANNEL, channel_values("beta"), "o-bbbbbb", follows="o-cccccc")[0].word is Word.TAKEN
    assert lab.send(CHANNEL, channel_values("beta"), "o-bbbbbb", follows="o-aaaaaa")[0].word is Word.STARTED
    assert lab.ended("o-bbbbbb") == 0
    assert lab.order_file() is None


def test_an_expired_order_is_replaced() -> None:
    lab = Ordered()
    lab.host.files.write(ORDER_FILE, b"order=o-dddddd\nuntil=1700000000\n")
    assert lab.send(CHANNEL, channel_values("beta"))[0].word is Word.STARTED
    lab.ended()
    lab.host.files.write(ORDER_FILE, b"order=o-dddddd\nuntil=never\n")
    assert lab.send(CHANNEL, channel_values("beta"), "o-bbbbbb")[0].word is Word.TAKEN
    lab.host.files.write(ORDER_FILE, b"scribble\n")
    reply, status = lab.send(CHANNEL, channel_values("beta"), "o-bbbbbb")
    assert (reply, status) == (Reply(Word.TAKEN, "scribble"), Exit.TAKEN)


def test_the_same_order_twice_does_its_work_once() -> None:
    lab = Ordered()
    guard = lab.guard()
    assert lab.send(CHANNEL, channel_values("beta"), guard=guard)[0].word is Word.STARTED
    assert lab.send(CHANNEL, channel_values("lts"), guard=guard) == (Reply(Word.RUNNING), Exit.STARTED)
    assert lab.ended() == 0
    assert lab.send(CHANNEL, channel_values("lts"), guard=guard) == (Reply(Word.RUNNING), Exit.STARTED)
    lab.wait(60)
    assert "GROUP=beta\n" in (lab.host.state.conf or "")


def test_without_room_in_run_nothing_starts() -> None:
    lab = with_faults(run_full=True)
    reply, status = lab.send(CHANNEL, channel_values("beta"))
    assert (reply, status) == (Reply(Word.NOT_STARTED, "file"), Exit.NOT_STARTED)


def test_a_host_that_goes_down_starts_nothing_and_is_not_held() -> None:
    lab = Ordered()
    lab.run("systemctl", "reboot")
    reply, status = lab.send(CHANNEL, channel_values("beta"))
    assert (reply.word, status) == (Word.NOT_STARTED, Exit.NOT_STARTED)
    assert "destructive" in reply.detail
    assert lab.order_file() is None


def test_without_sudo_nothing_of_ours_is_run() -> None:
    lab = with_faults(sudo_refused=True)
    done = lab.exec(CHANNEL.command, b"end\n")
    assert (done.stdout, done.exit_status) == (b"", Exit.NOT_ALLOWED)
    assert lab.exec(CHANNEL.command, b"end\n", uid=0).exit_status == Exit.MALFORMED


def test_update_conf_goes_into_the_guard_as_the_preflight_shows_it() -> None:
    state: SimulatedHost = fresh("GROUP=beta\r\nSERVER=disabled")
    lab = Ordered(state)
    extra = lab.extra()
    assert extra.conf == b"GROUP=beta\r\nSERVER=disabled"
    assert extra.conf_digest == lab.guard().conf_digest
    lab = Ordered(replace(state, conf=None))
    assert (lab.extra().conf, lab.extra().conf_digest) == (None, "absent")
    assert lab.do(CHANNEL, channel_values("beta")) == 0
    assert lab.host.state.conf == "GROUP=beta\n"


# -- the unit --------------------------------------------------------------------------------------


def test_a_unit_stays_after_a_good_end_and_goes_with_the_boot() -> None:
    lab = Ordered()
    assert lab.do(CHANNEL, channel_values("beta")) == 0
    unit = lab.extra("o-aaaaaa").unit
    assert unit is not None
    assert (unit.load, unit.active, unit.sub, unit.result) == ("loaded", "active", "exited", "success")
    assert lab.extra("o-bbbbbb").unit is not None
    assert lab.extra("o-bbbbbb").unit.load == "not-found"  # type: ignore[union-attr]
    lab.host.body.locksmithd.stop()
    lab.reboot()
    unit = lab.extra("o-aaaaaa").unit
    assert unit is not None
    assert unit.load == "not-found"
    assert lab.log_of() == []
    assert not lab.host.files.paths("/run/fleetctl")
    assert "GROUP=beta\n" in (lab.host.state.conf or "")


def test_a_unit_that_lasts_too_long_is_ended_and_undone() -> None:
    lab = Ordered()
    asked = Order("o-aaaaaa", "jo", "ops", 20)
    conf = lab.host.state.conf
    lab.exec(STAGE.command, STAGE.stdin(asked, lab.guard(), stage_values(NEW)).encode())
    lab.wait(15)
    assert "localhost" in (lab.host.state.conf or "")
    lab.wait(6)
    unit = lab.extra("o-aaaaaa").unit
    assert unit is not None
    assert (unit.active, unit.result, unit.status) == ("failed", "timeout", 15)
    assert lab.host.state.conf == conf
    assert lab.order_file() is None
    assert any(item.name == "fleetctl-o-aaaaaa.service" for item in lab.host.state.failed)
    assert lab.send(STAGE, stage_values(NEW))[0].word is Word.RUNNING


def test_what_the_unit_says_is_in_its_journal() -> None:
    lab = Ordered()
    lab.do(CHANNEL, channel_values("beta"))
    said = lab.run("journalctl", "-u", "fleetctl-o-aaaaaa", "-o", "cat").stdout.decode()
    assert said.startswith("fleetctl o-aaaaaa update.conf is now ")
    assert lab.log_of() == [f"update.conf is now {lab.guard().conf_digest}"]
