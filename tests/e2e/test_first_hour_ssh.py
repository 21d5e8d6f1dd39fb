"""`fleetctl ssh`, `logs` and `completion` on real OpenSSH servers, jump hosts included."""

from __future__ import annotations

import getpass
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from collectors.updater_log import NOT_ALLOWED, follow_command, log_command
from tests.e2e import sshd
from tests.e2e.cli import PROGRAM, Terminal

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(60)]


@pytest.fixture
def place(tmp_path: Path, user_key: Path) -> Iterator[tuple[Terminal, sshd.Sshd, sshd.Sshd]]:
    """A user, a jump host, and a host that has its key on file under its name."""
    home = tmp_path / "a home"
    home.mkdir()
    with ExitStack() as stack:
        authorized = user_key.with_name("authorized")
        jump = stack.enter_context(sshd.running(tmp_path / "jump", authorized))
        host = stack.enter_context(sshd.running(tmp_path / "host", authorized))
        known = home / "known hosts"
        known.write_text(jump.known() + host.known(name=f"[edge-1]:{host.port}"))
        (home / "fleet.toml").write_text(
            f'[ssh]\nuser = "{getpass.getuser()}"\nidentities = ["{user_key}"]\nagent = false\n'
            f'known_hosts = "known hosts"\nconfig = "none"\n'
            f'[[groups]]\nname = "edge"\nhosts = ["edge-1"]\n'
            f'[[hosts]]\nname = "edge-1"\naddress = "127.0.0.1:{host.port}"\njump = "127.0.0.1:{jump.port}"\n'
        )
        fleet = home / "fleet.toml"
        fleet.write_text(fleet.read_text().replace('jump = "', f'jump = "{getpass.getuser()}@'))
        yield Terminal(home), jump, host


Three = tuple[Terminal, sshd.Sshd, sshd.Sshd]


def test_ssh_goes_the_same_way_with_the_same_key_check(place: Three) -> None:
    user, jump, host = place
    done = user.run("ssh", "edge-1", "--", "echo", "$SSH_CONNECTION;", "exit 7", code=7)
    assert done.stdout.split()[-1] == str(host.port)
    assert (jump.logins(), host.logins()) == (1, 1)
    assert user.run("ssh", "edge-1", "printf", "%s", "-n").stdout == "-n"
    known = user.home / "known hosts"
    stranger = sshd.make_key(user.home / "stranger")
    known.write_text(jump.known() + host.known(stranger, name=f"[edge-1]:{host.port}"))
    before = known.read_text()
    refused = user.run("ssh", "edge-1", "--", "true", code=255)
    assert "HOST IDENTIFICATION HAS CHANGED" in refused.stderr
    known.write_text(jump.known(stranger) + host.known())
    assert "HOST IDENTIFICATION HAS CHANGED" in user.run("ssh", "edge-1", "--", "true", code=255).stderr
    assert known.read_text() != before
    assert host.logins() == 2
    assert 'did you mean "edge-1"' in user.run("ssh", "edg-1", code=2).stderr


def test_trust_goes_through_the_jump_host_first(place: Three) -> None:
    user, jump, host = place
    known = user.home / "known hosts"
    known.unlink()
    answers = [("type 1 to trust 1 host", "1"), ("type 1 to trust 1 host", "1")]
    shown = user.type("trust", answers=answers)
    assert shown.index("new keys, jump hosts") < shown.index("new keys, edge")
    assert known.read_text() == jump.known() + host.known()
    assert (jump.logins(), host.logins()) == (1, 0)


LOG = (
    "2026-11-24T10:00:00+0000 edge update_engine[1]: [1124/100000:INFO:main.cc(1)] Update Engine starting\n"
    "2026-11-24T10:00:01+0000 edge update_engine[1]: \x1b[2Jhttps://user:secret@update.example.net/v1/\n"
)
TOOL = """#!/bin/sh
echo "$(basename "$0") $*" >>{folder}/asked
{text}
"""


def forced(folder: Path, text: str) -> str:
    """A server's option: whatever is asked for, this script answers."""
    script = folder / "forced"
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return f"ForceCommand {script}"


def user_of(folder: Path, server: sshd.Sshd, key: Path) -> Terminal:
    (folder / "known").write_text(server.known())
    (folder / "fleet.toml").write_text(
        f'[ssh]\nuser = "{getpass.getuser()}"\nidentities = ["{key}"]\nagent = false\nknown_hosts = "known"\n'
        f'config = "none"\n[[hosts]]\nname = "edge-1"\naddress = "127.0.0.1:{server.port}"\n'
    )
    return Terminal(folder)


def test_logs_are_shown_without_secrets_and_control_characters(tmp_path: Path, user_key: Path) -> None:
    (tmp_path / "log").write_text(LOG)
    option = forced(tmp_path, f"cat {tmp_path}/log")
    with sshd.running(tmp_path / "sshd", user_key.with_name("authorized"), options=[option]) as server:
        user = user_of(tmp_path, server, user_key)
        once, followed = user.run("logs", "edge-1").stdout, user.run("logs", "-f", "edge-1").stdout
    for shown in (once, followed):
        assert shown.splitlines()[0].endswith("Update Engine starting")
        assert "\\x1b[2J" in shown
        assert "\x1b" not in shown
        assert "secret" not in shown


def test_a_journal_that_may_not_be_read_is_told_with_a_remedy(tmp_path: Path, user_key: Path) -> None:
    option = forced(tmp_path, "exit 77")
    with sshd.running(tmp_path / "sshd", user_key.with_name("authorized"), options=[option]) as server:
        user = user_of(tmp_path, server, user_key)
        for words in (("logs", "edge-1"), ("logs", "edge-1", "--follow")):
            assert "usermod -aG systemd-journal" in user.run(*words, code=3).stderr
    assert "edge-1: 127.0.0.1 port" in user.run("logs", "edge-1", code=3).stderr
    user.run("logs", "edge-1", "-f", code=3)


def on_host(folder: Path, command: str, *, journalctl: str, sudo: str) -> tuple[str, int, list[str]]:
    """What a log command prints and ends with where the host's tools are these; and what they were asked."""
    for name, text in (("journalctl", journalctl), ("sudo", sudo)):
        (folder / name).write_text(TOOL.format(folder=folder, text=text))
        (folder / name).chmod(0o755)
    (folder / "asked").write_text("")
    done = subprocess.run(
        ["sh", "-c", command.replace("PATH=", f"PATH={folder}:", 1)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.returncode, (folder / "asked").read_text().splitlines()


def test_the_journal_is_read_without_sudo_where_that_tells_something(tmp_path: Path) -> None:
    told = on_host(tmp_path, log_command(7), journalctl="echo a line", sudo="exit 1")
    units = "-u update-engine.service -u locksmithd.service"
    assert told == ("a line\n", 0, [f"journalctl -q --no-pager -o short-iso {units} -n 7"])
    out, code, asked = on_host(tmp_path, follow_command(7), journalctl="echo a line", sudo="exit 1")
    assert (out, code) == ("a line\n", 0)
    assert asked[-1].endswith("-f -n 7")


@pytest.mark.parametrize("silent", ["exit 0", "exit 1"])
def test_the_journal_is_read_by_sudo_where_the_user_is_told_nothing(tmp_path: Path, silent: str) -> None:
    for command in (log_command(7), follow_command(7)):
        out, code, asked = on_host(tmp_path, command, journalctl=silent, sudo="echo by root")
        assert (out, code) == ("by root\n", 0)
        assert asked[-1].startswith("sudo -n journalctl")
        assert on_host(tmp_path, command, journalctl=silent, sudo="exit 1")[1] == NOT_ALLOWED


def test_completion_scripts_name_the_program_and_bash_takes_theirs(tmp_path: Path) -> None:
    user = Terminal(tmp_path)
    for shell in ("bash", "zsh", "fish"):
        assert f"completion {shell} --answer" in user.run("completion", shell).stdout
    assert "bash" in user.run("completion", "tcsh", code=2).stderr


def test_bash_completes_commands_hosts_and_groups_from_the_fleet_file(tmp_path: Path) -> None:
    """The script in a real bash, with a program `fleetctl` that is this one."""
    fleet, program = tmp_path / "my.toml", tmp_path / "fleetctl"
    fleet.write_text('[[groups]]\nname = "edge"\nhosts = ["edge-[1-3]"]\n[[hosts]]\nname = "db-1"\n')
    program.write_text(f'#!/bin/sh\nexec {shlex.join(PROGRAM)} "$@"\n')
    program.chmod(0o755)
    user = Terminal(tmp_path)
    (tmp_path / "script").write_text(user.run("completion", "bash").stdout)

    def complete(line: str) -> list[str]:
        words = shlex.split(line) + ([""] if line.endswith(" ") else [])
        text = (
            f'PATH="{tmp_path}:$PATH"; . {tmp_path}/script; COMP_WORDS=({shlex.join(words)}); '
            f"COMP_CWORD={len(words) - 1}; _fleetctl_completion fleetctl; "
            "printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        environment = {**user.environ, "FLEETCTL_FLEET": str(fleet)}
        done = subprocess.run(
            ["bash", "-c", text], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout.split()

    assert complete("fleetctl ssh e") == ["edge-1", "edge-2", "edge-3"]
    assert complete("fleetctl logs -n 5 d") == ["db-1"]
    assert complete("fleetctl trust @") == ["@edge"]
    assert complete("fleetctl doctor --group ") == ["edge"]
    assert complete("fleetctl --fleet /nonexistent ssh e") == []
    assert "collect" in complete("fleetctl co")
