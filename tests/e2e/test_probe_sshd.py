"""The probe on real OpenSSH servers: noise, cuts, floods, and the whole command line over them."""

from __future__ import annotations

import asyncio
import getpass
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collectors.errors import Reach
from collectors.observation import Answer, Observation, ProbeFailed
from collectors.probe import probe_command
from collectors.ssh import SshTransport
from collectors.sweep import Ask, look
from collectors.transport import Target
from tests.e2e import sshd
from tests.e2e.demo_fleet import FLEETCTL, PLAIN

pytestmark = [pytest.mark.sshd, pytest.mark.timeout(60)]


@contextmanager
def host(directory: Path, user_key: Path, *options: str) -> Iterator[tuple[sshd.Sshd, Target]]:
    with sshd.running(directory / "sshd", user_key.with_name("authorized"), options=options) as server:
        known = directory / "known_hosts"
        known.write_text(server.known())
        target = Target(
            "node-1",
            server.address,
            server.port,
            getpass.getuser(),
            identities=(str(user_key),),
            known_hosts=(str(known),),
        )
        yield server, target


def ask(target: Target, timeout_s: float = 20.0) -> Observation:
    async def once() -> Observation:
        async with SshTransport(keep=False) as transport:
            return await look(transport, Ask(target, timeout_s), probe_command(), salt=b"salt")

    return asyncio.run(once())


def test_the_real_probe_is_answered_to_its_end_by_a_real_shell(tmp_path: Path, user_key: Path) -> None:
    with host(tmp_path, user_key) as (_, target):
        seen = ask(target)
    assert isinstance(seen, Answer)
    assert seen.facts.complete
    assert seen.facts.os.id
    assert seen.facts.identity.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


NOISY = """#!/bin/sh
echo 'Last login: never'; printf '\\033]0;title\\007'; echo "$0 B gpt_A"; echo '0123 Z 3'
eval "$SSH_ORIGINAL_COMMAND"
echo 'have a nice day'
"""
CUT = """#!/bin/bash
eval "${SSH_ORIGINAL_COMMAND#exec }" | head -c 700; kill -9 $PPID
"""
FLOOD = """#!/bin/bash
eval "${SSH_ORIGINAL_COMMAND#exec }" | head -c 700; exec yes "$(head -c 100000 /dev/zero | tr '\\0' x)"
"""
OTHER = "#!/bin/sh\necho this host runs something else\n"


def forced(directory: Path, script: str) -> str:
    path = directory / "forced"
    path.write_text(script)
    path.chmod(0o755)
    return f"ForceCommand {path}"


def test_noise_before_and_after_is_no_part_of_the_answer(tmp_path: Path, user_key: Path) -> None:
    with host(tmp_path, user_key, forced(tmp_path, NOISY)) as (_, target):
        seen = ask(target)
    assert isinstance(seen, Answer)
    assert seen.facts.complete
    assert seen.facts.odd == ()


def test_a_connection_cut_in_mid_probe_is_incomplete(tmp_path: Path, user_key: Path) -> None:
    with host(tmp_path, user_key, forced(tmp_path, CUT)) as (_, target):
        seen = ask(target)
    assert seen.reach is Reach.PROBE_INCOMPLETE


def test_a_host_that_never_stops_talking_is_cut_off_and_incomplete(tmp_path: Path, user_key: Path) -> None:
    with host(tmp_path, user_key, forced(tmp_path, FLOOD)) as (_, target):
        seen = ask(target)
    assert seen.reach is Reach.PROBE_INCOMPLETE


def test_a_host_that_answers_something_else_is_incomplete(tmp_path: Path, user_key: Path) -> None:
    with host(tmp_path, user_key, forced(tmp_path, OTHER)) as (_, target):
        seen = ask(target)
    assert isinstance(seen, ProbeFailed)
    assert seen.reach is Reach.PROBE_INCOMPLETE


def test_a_changed_key_is_never_sent_a_command(tmp_path: Path, user_key: Path) -> None:
    with host(tmp_path, user_key) as (server, target):
        other = sshd.make_key(tmp_path / "other")
        Path(target.known_hosts[0]).write_text(server.known(other))
        seen = ask(target)
        assert seen.reach is Reach.HOST_KEY_CHANGED
        assert (server.logins(), server.commands()) == (0, 0)


SSH_CONFIG = """Host *
  ForwardAgent yes
  RemoteCommand touch {marker}
  RequestTTY force
  SendEnv *
Match exec "touch {marker}"
  User nobody
Host alias
  HostName 127.0.0.1
  Port {port}
  IdentityFile {key}
"""


def test_the_command_line_takes_from_ssh_config_only_what_it_says(tmp_path: Path, user_key: Path) -> None:
    with host(tmp_path, user_key) as (server, target):
        marker = tmp_path / "marker"
        (tmp_path / "ssh_config").write_text(SSH_CONFIG.format(marker=marker, port=server.port, key=user_key))
        (tmp_path / "fleet.toml").write_text(
            f'name = "real"\n[ssh]\nuser = "{target.user}"\nagent = false\nconfig = "ssh_config"\n'
            'known_hosts = "known_hosts"\n[[hosts]]\nname = "alias"\n'
        )
        words = [*FLEETCTL, "--fleet", str(tmp_path / "fleet.toml")]
        done = subprocess.run([*words, "collect"], capture_output=True, text=True, env=PLAIN, timeout=40)
        assert done.returncode == 0, done.stderr
        assert "ssh_config:2" in done.stderr
        assert not marker.exists()
        shown = subprocess.run(
            [*words, "status", "--json"], capture_output=True, text=True, env=PLAIN, timeout=40
        )
        (found,) = json.loads(shown.stdout)["hosts"]
        assert found["reach"]["state"] == "not_flatcar"
        assert found["situation"]["state"] == "not_flatcar"
