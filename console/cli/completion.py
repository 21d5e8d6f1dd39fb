"""`fleetctl completion`: the scripts are click's, and ask this very command what fits.

So no other command has to look whether a shell is asking.
"""

from __future__ import annotations

import re

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

PROGRAM, VARIABLE = "fleetctl", "_FLEETCTL_COMPLETE"


class _Bash(BashComplete):
    """Without asking which bash there is: the script may be for another machine."""

    @staticmethod
    def _check_version() -> None:
        pass


_SHELLS: dict[str, type[ShellComplete]] = {"bash": _Bash, "zsh": ZshComplete, "fish": FishComplete}
_CALL = re.compile(rf"({VARIABLE}=[a-z]+_complete .*?(?:\$1|{PROGRAM}))\)")
"""Where a script of click's calls the program, without arguments."""


def script(ctx: click.Context, shell: str) -> str:
    """What a start file of the shell evaluates."""
    source = _SHELLS[shell](ctx.find_root().command, {}, PROGRAM, VARIABLE).source()
    text, count = _CALL.subn(rf"\1 completion {shell} --answer)", source)
    assert count == 1, "click's script calls the program in another way"
    return text


@click.command("completion", help="Print the script that completes commands, hosts and groups in a shell.")
@click.argument("shell", type=click.Choice(list(_SHELLS)))
@click.option(
    "--answer", is_flag=True, hidden=True, help="Answer the script: the words are in the environment."
)
@click.pass_context
def command(ctx: click.Context, shell: str, answer: bool) -> None:
    if answer:
        click.echo(_SHELLS[shell](ctx.find_root().command, {}, PROGRAM, VARIABLE).complete())
    else:
        click.echo(script(ctx, shell))
