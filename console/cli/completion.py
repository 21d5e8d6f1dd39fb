"""`fleetctl completion`."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

PROGRAM, VARIABLE = "fleetctl", "_FLEETCTL_COMPLETE"
"""The variable is click's: it makes it of the program's name."""


class _Bash(BashComplete):
    """Without asking which bash there is: the script may be for another machine."""

    @staticmethod
    def _check_version() -> None:
        pass


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}


@click.command("completion", help="Print the script that completes commands, hosts and groups in a shell.")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    source = _SHELLS[shell](ctx.find_root().command, {}, PROGRAM, VARIABLE).source()
    click.echo(source)
