"""`fleetctl` without a command, on a terminal: the dashboard. No command of its own."""

from __future__ import annotations

import os
import sys

import click

from console.cli.context import Console
from console.exit_codes import ExitCode
from console.visible import visible


def has_terminal() -> bool:
    """Keys can come in, and pictures go out."""
    streams = (sys.stdin, sys.stdout, sys.stderr)  # Textual draws on the last one
    return all(stream.isatty() for stream in streams) and os.environ.get("TERM", "dumb") != "dumb"


def open_dashboard(console: Console) -> int:
    """Until it is left; the exit code. Raises ConfigError where the fleet file cannot be read."""
    from console.board import Look
    from console.live import Live

    live = Live(console)  # first: what is wrong with the fleet file is said on the terminal as it is
    is_plain = not console.colour
    os.environ.pop("NO_COLOR", None)  # Textual would make greys of colours, of an empty NO_COLOR too
    from console.app import FleetApp

    look = Look(accent=live.loaded.fleet.accent, ascii=console.ascii, plain=is_plain)
    app = FleetApp(live, look)
    code = app.run()
    if app.crash is not None:
        for line in app.crash.splitlines():
            click.echo(visible(line), err=True)
        click.echo("fleetctl: this is a bug; orders go on by themselves: fleetctl run", err=True)
        return ExitCode.BUG
    return ExitCode.OK if code is None else code
