"""`fleetctl ssh HOST`."""

from __future__ import annotations

import os
import sys

import click

from console.cli.choosing import one_target
from console.cli.completing import host_argument
from console.cli.context import Console


@click.command(
    "ssh",
    help="A terminal on a host, or one command, through this system's ssh. Its exit code is ssh's.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@host_argument
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.pass_obj
def command(console: Console, host: str, command: tuple[str, ...]) -> None:
    from console.cli.own_ssh import argv_to

    words = command[1:] if command[:1] == ("--",) else command
    argv = argv_to(one_target(console.load(), host), words)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(argv[0], argv)
