"""`fleetctl logs HOST`."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from typing import TYPE_CHECKING

import click

from collectors.errors import HostError
from collectors.redact import redact
from collectors.updater_log import LIMIT_BYTES, MOST_LINES, NOT_ALLOWED, follow_command, log_command
from console.cli.choosing import one_target
from console.cli.completing import host_argument
from console.cli.context import Console
from console.exit_codes import ExitCode
from console.visible import visible

if TYPE_CHECKING:
    from collectors.transport import Completed, Target

TIMEOUT_S = 60.0
LINE_BYTES = 32 * 1024
SSH_FAILED = 255


@click.command("logs", help="The updater's log of one host: update-engine and locksmithd.")
@host_argument
@click.option("-n", "--lines", type=click.IntRange(0, MOST_LINES), default=200, show_default=True)
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines, until interrupted.")
@click.pass_obj
def command(console: Console, host: str, lines: int, follow: bool) -> ExitCode:
    target = one_target(console.load(), host)
    salt = secrets.token_bytes(16)
    if follow:
        return _follow(console, target, lines, salt)
    try:
        done = asyncio.run(_ask(target, lines))
    except HostError as error:
        click.echo(f"fleetctl: {target.name}: {visible(error.message)}", err=True)
        return ExitCode.NO_ANSWER
    text = done.stdout.decode("utf-8", "replace")
    for line in text.splitlines():
        _show(console, line, salt)
    return _ended(target, done.exit_status, has_lines=bool(text.strip()))


async def _ask(target: Target, lines: int) -> Completed:
    from collectors.ssh import SshTransport

    async with SshTransport(keep=False) as transport:
        return await transport.run(
            target, log_command(lines), b"", timeout_s=TIMEOUT_S, limit_bytes=LIMIT_BYTES
        )


def _show(console: Console, line: str, salt: bytes) -> None:
    click.echo(visible(redact(line, salt), ascii_only=console.ascii))


def _ended(target: Target, status: int, *, has_lines: bool) -> ExitCode:
    if status == NOT_ALLOWED:
        remedy = f"on the host: usermod -aG systemd-journal {target.user}"
        click.echo(f"fleetctl: {target.name}: {target.user} may not read the journal; {remedy}", err=True)
        return ExitCode.NO_ANSWER
    if status != 0:
        click.echo(f"fleetctl: {target.name}: the log ended with status {status}", err=True)
        return ExitCode.NO_ANSWER
    if not has_lines:
        click.echo(f"fleetctl: {target.name}: its journal has no line of the updater", err=True)
    return ExitCode.OK


def _follow(console: Console, target: Target, lines: int, salt: bytes) -> ExitCode:
    """Through the system's ssh, which keeps a connection open for as long as wanted."""
    from console.cli.own_ssh import argv_to

    argv = argv_to(target, [follow_command(lines)])
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            while line := process.stdout.readline(LINE_BYTES):
                _show(console, line.decode("utf-8", "replace").rstrip("\r\n"), salt)
        except BaseException:
            process.terminate()
            raise
    status = process.returncode
    if status == SSH_FAILED:
        return ExitCode.NO_ANSWER
    return _ended(target, status, has_lines=True)
