"""What tests against real OpenSSH servers share: a user's key, and a server that lets it in."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import sshd

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Tests that were started in the background of a script: programs that they interrupt must hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key; beside it `authorized` with its public one. Skips without sshd, fails so in CI."""
    if sshd.find_sshd() is None or shutil.which("ssh-keygen") is None:
        reason = "OpenSSH's sshd and ssh-keygen are not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    directory = tmp_path_factory.mktemp("user")
    key = sshd.make_key(directory / "id_ed25519")
    (directory / "authorized").write_text(f"{sshd.public(key)}\n")
    return key


@pytest.fixture(scope="session")
def server(user_key: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Sshd]:
    """A plain server for all tests that need nothing special of it."""
    with sshd.running(tmp_path_factory.mktemp("sshd"), user_key.with_name("authorized")) as running:
        yield running
