"""What orders are made of: constant texts, checked values, one line a value, sudoers lines, answers."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actions.orders import Guard, Verb
from actions.remote.aftermath import AFTERMATH_ARGV, aftermath_stdin, read_aftermath
from actions.remote.cancel import cancel_values
from actions.remote.channel import CHANNEL, channel_values
from actions.remote.extra import Extra, parse_extra
from actions.remote.order import Order, Reply, VerbText, Word, read_reply
from actions.remote.preflight import PREFLIGHT_ARGV, PREFLIGHT_COMMAND, preflight_stdin
from actions.remote.reboot import reboot_values
from actions.remote.repair import Residue, repair_values
from actions.remote.shell import one_line, root_argv, sudoers_line
from actions.remote.slot_proof import PROOF_ARGV, PROOF_COMMAND, Proof, ProofResult, proof_stdin, read_proof
from actions.remote.stage import MOST_EXTENSIONS, STAGE, PayloadFile, stage_values
from actions.remote.sudoers import TEXTS, orders_sudoers
from actions.remote.updates import updates_values
from actions.remote.words import Exit, Unsendable, checked, person

BOOT = "01234567-89ab-4cde-8f01-23456789abcd"
GUARD = Guard(
    BOOT, "priority=2 tries=0 successful=1", "priority=1 tries=0 successful=1", "UPDATE_STATUS_IDLE", "absent"
)
ORDER = Order("o-abc123", "jo", "ops-1", 1800)
ARGVS = [*(item.argv for item in TEXTS.values()), PREFLIGHT_ARGV, PROOF_ARGV, AFTERMATH_ARGV]


def test_every_verb_has_its_text() -> None:
    assert set(TEXTS) == set(Verb)
    assert len({item.argv for item in TEXTS.values()}) == len(Verb)
    assert TEXTS[Verb.STAGE].argv[5] == "fleetctl-order-stage/1"


@pytest.mark.parametrize("argv", ARGVS, ids=lambda argv: argv[5])
def test_a_text_is_one_line_of_valid_shell(argv: tuple[str, ...]) -> None:
    assert "\n" not in argv[4]
    assert argv[4].isascii()
    assert "/flatcar-update" not in argv[4]
    done = subprocess.run(["bash", "-n", "-c", argv[4]], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_command_line_never_changes_and_carries_no_value() -> None:
    for command, argv in [
        *((item.command, item.argv) for item in TEXTS.values()),
        (PROOF_COMMAND, PROOF_ARGV),
    ]:
        assert shlex.split(command)[-6:] == list(argv)
        assert "sudo -n" in command
    assert shlex.split(PREFLIGHT_COMMAND)[:2] == ["exec", "/usr/bin/env"]


def test_stdin_is_the_order_the_guard_the_values_a_line_each() -> None:
    assert CHANNEL.stdin(ORDER, GUARD, channel_values("beta")) == (
        "order=o-abc123\nactor=jo\nconsole=ops-1\nlasts=1800\nfollows=-\n"
        f"boot_id={BOOT}\nslot_a=priority=2 tries=0 successful=1\nslot_b=priority=1 tries=0 successful=1\n"
        "operation=UPDATE_STATUS_IDLE\nconf=absent\ngroup=beta\nend\n"
    )


def values_of(verb: Verb) -> dict[str, str]:
    match verb:
        case Verb.STAGE:
            return stage_values("4593.2.5")
        case Verb.CANCEL:
            return cancel_values()
        case Verb.CHANNEL:
            return channel_values(None)
        case Verb.UPDATES:
            return updates_values("off")
        case Verb.REPAIR:
            return repair_values([Residue.MARKS])
    return reboot_values("B")


@pytest.mark.parametrize("text", TEXTS.values(), ids=lambda text: text.verb)
@given(actor=st.text(max_size=80), console=st.text(max_size=80))
def test_no_name_of_a_person_breaks_a_line(text: VerbText, actor: str, console: str) -> None:
    order = Order("o-abc123", actor, console, 60)
    lines = text.stdin(order, GUARD, values_of(text.verb)).split("\n")
    assert len(lines) == 12 + len(text.forms)
    assert lines[-2:] == ["end", ""]
    assert all(line.isascii() and line.isprintable() for line in lines)


@given(st.text(max_size=30))
def test_what_a_person_is_called_is_always_sendable(name: str) -> None:
    assert 1 <= len(person(name)) <= 64


BAD = [
    lambda: stage_values("4593.2"),
    lambda: stage_values("4593.2.5\n"),
    lambda: stage_values("٤593.2.5"),
    lambda: stage_values(None, payload=PayloadFile("x.gz", "0" * 64)),
    lambda: stage_values("1.2.3", payload=PayloadFile("../x.gz", "0" * 64)),
    lambda: stage_values("1.2.3", payload=PayloadFile("x.gz", "0" * 63)),
    lambda: stage_values("1.2.3", extensions=[PayloadFile("oem-a.gz", "0" * 64)]),
    lambda: stage_values(
        "1.2.3", payload=PayloadFile("x.gz", "0" * 64), extensions=[PayloadFile("other.gz", "0" * 64)]
    ),
    lambda: stage_values(
        "1.2.3",
        payload=PayloadFile("x.gz", "0" * 64),
        extensions=[PayloadFile("oem-a.gz", "0" * 64)] * (MOST_EXTENSIONS + 1),
    ),
    lambda: channel_values("Beta"),
    lambda: channel_values("a" * 65),
    lambda: updates_values("maybe"),
    lambda: updates_values("on", "http://x/ y"),
    lambda: updates_values("on", "http://x/'"),
    lambda: reboot_values("C"),
    lambda: cancel_values(flags=("priority=1", "-")),
    lambda: proof_stdin("mark-0123", "AB"),
    lambda: preflight_stdin("short"),
    lambda: aftermath_stdin("mark 0123"),
    lambda: preflight_stdin("mark-0123", "o-x;y"),
    lambda: checked({"a": "1"}, {"b": "1"}),
]


@pytest.mark.parametrize("make", BAD)
def test_a_value_out_of_form_is_never_sent(make: object) -> None:
    assert callable(make)
    with pytest.raises(Unsendable, match="not in the form"):
        make()


@pytest.mark.parametrize(
    ("order", "key"),
    [
        (Order("o-ABC", "jo", "ops", 60), "order"),
        (Order("o-abc123", "jo", "ops", 0), "lasts"),
        (Order("o-abc123", "jo", "ops", 60, "x"), "follows"),
    ],
)
def test_an_order_out_of_form_is_never_sent(order: Order, key: str) -> None:
    with pytest.raises(Unsendable) as caught:
        STAGE.stdin(order, GUARD, stage_values("4593.2.5"))
    assert caught.value.key == key


@pytest.mark.parametrize("exit_status", Exit)
def test_exit_statuses_are_documented_and_shells_own(exit_status: Exit) -> None:
    assert 0 <= exit_status < 124


def test_sudoers_allow_the_verbs_asked_for_and_what_they_look_at() -> None:
    lines = orders_sudoers("core", [Verb.CHANNEL]).splitlines()
    assert [line.split()[-1] for line in lines] == ["fleetctl-order-channel/1", "fleetctl-preflight/1"]
    assert all(
        line.startswith("core ALL=(root) NOPASSWD: /bin/bash --norc --noprofile -c ") for line in lines
    )
    assert len(orders_sudoers("core", Verb).splitlines()) == len(Verb) + 4
    assert orders_sudoers("core", []) == ""


def test_no_blanks_stand_side_by_side_in_sudoers_which_takes_them_for_one() -> None:
    assert sudoers_line("core", ("/bin/x", "a   b", "c")) == "core ALL=(root) NOPASSWD: /bin/x a \\ \\ b c\n"
    assert "  " not in orders_sudoers("core", Verb)


def test_lines_are_joined_as_shell_reads_them() -> None:
    text = "if a; then\nb\nelse\nc &&\nd\nfi\ncase x in\ny|z)\ne\n;;\n*) f ;;\nesac\ng() {\nh \\\ni\n}\n"
    assert one_line(text) == (
        "if a; then b; else c && d; fi; case x in y|z) e; ;; *) f ;; esac; g() { h i; }"
    )
    assert root_argv("x", "n/1") == ("/bin/bash", "--norc", "--noprofile", "-c", "x", "n/1")


REPLIES = [
    (b"banner\nfleetctl o-abc123 started\n", Reply(Word.STARTED)),
    (b"fleetctl o-abc123 moved slot_a priority=1 tries=0 successful=1\nbye\n",
     Reply(Word.MOVED, "slot_a priority=1 tries=0 successful=1")),
    (b"fleetctl - malformed end\n", Reply(Word.MALFORMED, "end")),
    (b"fleetctl o-zzzzzz started\n", Reply(None)),
    (b"fleetctl o-abc123 started\nfleetctl o-abc123 taken x\n", Reply(None)),
    (b"fleetctl o-abc123 done\n", Reply(None)),
    (b"", Reply(None)),
]  # fmt: skip


@pytest.mark.parametrize(("stdout", "reply"), REPLIES)
def test_the_answer_is_found_among_noise(stdout: bytes, reply: Reply) -> None:
    assert read_reply(stdout, "o-abc123") == reply
    assert reply.nothing_done is (reply.word in (Word.MOVED, Word.MALFORMED))


@given(st.binary(max_size=300))
def test_any_answer_is_read(noise: bytes) -> None:
    assert read_reply(noise, "o-abc123").word is None or noise
    assert read_proof(noise, "mark-0123").result is ProofResult.UNPROVED
    assert read_aftermath(noise, "mark-0123", salt=b"s").journal == ()
    assert not parse_extra(noise, "mark-0123", salt=b"s").complete


SECTIONS = {
    "journal": b"whole\n1795409133.000000 h update_engine[1]: "
    b"I20261123 04:45:31.322314  3 x.cc:1] Update failed.\n",
    "boot": b"mount\tvfat\nspace\t4096 1000 500\n/boot/flatcar/vmlinuz-a\t123\nfirst_boot\t1",
    "inhibitors": b'{"type":"a(ssssuu)","data":[[["shutdown","\x1b[31mx","why","block",0,1]]]}',
    "locksmithd": b"run\tmask\netc\tabsent\nheld_by\to-abc123\nactive\tinactive",
    "marks": b"/run/reboot-required\t1\n/selective-os-reset\t0",
    "var_tmp": b"4096 10 5",
    "unit": b"LoadState=loaded\nActiveState=failed\nSubState=failed\nResult=exit-code\nExecMainStatus=81",
    "log": b"locksmithd held\nstaging 1.2.3",
}


def framed(sections: dict[str, bytes], mark: str = "mark-0123") -> bytes:
    body = b"".join(
        b"%s B %s\n%s\n%s E 0\n" % (mark.encode(), name.encode(), content, mark.encode())
        for name, content in sections.items()
    )
    return b"mark-0123 V 1 0\n" + body + b"mark-0123 Z %d\n" % len(sections)


def test_extra_facts_are_read_and_what_is_missing_is_named() -> None:
    seen = parse_extra(framed(SECTIONS), "mark-0123", salt=b"s")
    assert seen.complete
    assert seen.boot is not None
    assert (seen.boot.first_boot_armed, seen.boot.space.available_bytes) == (True, 2048000)
    assert seen.unit is not None
    assert (seen.unit.is_over, seen.unit.status) == (True, Exit.STEP_FAILED)
    assert seen.attempt is not None
    assert seen.attempt.failed
    assert (seen.reboot_required, seen.reset_armed) == (True, False)
    assert seen.log == ("locksmithd held", "staging 1.2.3")
    assert dict(seen.unread) == {
        "conf": "was not answered",
        "order": "was not answered",
        "inhibitors": dict(seen.unread)["inhibitors"],
    }
    assert (seen.updater_running, seen.conf_digest, seen.order) == (None, None, None)


@pytest.mark.parametrize("section", [name for name in SECTIONS if name not in ("log", "marks")])
def test_a_section_out_of_form_is_not_read(section: str) -> None:
    seen = parse_extra(framed(SECTIONS | {section: b"?"}), "mark-0123", salt=b"s")
    assert section in dict(seen.unread)
    field = {"journal": "attempt"}.get(section, section)
    assert getattr(seen, field) is None


def test_the_boot_before_is_read_line_by_line_without_its_secrets() -> None:
    seen = read_aftermath(
        framed(
            {"journal": b"2026-11-24T03:00:00+0000 h kernel: \x1b[31mpanic\n\nSERVER=http://u:hunter2@x/"}
        ),
        "mark-0123",
        salt=b"s",
    )
    assert seen.journal[0] == "2026-11-24T03:00:00+0000 h kernel: \\x1b[31mpanic"
    assert "hunter2" not in seen.journal[1]
    assert seen.updater == ()


def test_secrets_of_update_conf_are_not_in_the_repr() -> None:
    assert "hunter2" not in repr(Extra(complete=True, conf=b"DOWNLOAD_PASSWORD=hunter2"))


def test_a_proof_says_itself_in_words() -> None:
    assert Proof(ProofResult.INTACT, "1.2.3").words == "intact 1.2.3"
    assert Proof(ProofResult.UNPROVED, reason="no answer").words == "unproved: no answer"
