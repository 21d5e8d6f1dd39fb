"""Entry point: which command, and what its errors mean as exit codes.

Commands are imported when they are called, so that a quick one does not pay for the slow ones.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import click

from collectors.errors import ConfigError
from console.cli.context import Console
from console.exit_codes import ExitCode
from console.visible import visible

COMMANDS = {
    "init": "write a fleet file from what you have: ssh_config, Ansible, Kubernetes, a hosts file",
    "doctor": "check fleet file, keys, database and hosts, with a remedy for each",
    "trust": "review and record host keys",
    "collect": "ask every host once and store what it says",
    "status": "the fleet as stored",
    "show": "everything known of one host",
    "logs": "a host's updater log",
    "ssh": "a terminal on a host, with the fleet's user, key, jump and host key",
    "diff": "what changed since a moment, or how two hosts differ",
    "calendar": "who may reboot when, in which order, and who does it by itself",
    "stage": "write a release to the other slot",
    "cancel": "unstage: the running slot boots next again",
    "activate": "reboot into the staged slot, with proof",
    "reboot": "reboot into the slot that runs, with proof",
    "roll-back": "back to the other slot's older release, proved intact",
    "channel": "let hosts follow another channel",
    "updates": "switch the hosts' own updates on or off",
    "repair": "put right what interrupted programs leave behind",
    "rollout": "take a release through the fleet in cohorts, with proof",
    "run": "carry an order out, or follow it; alone: list orders",
    "hold": "mark hosts that must not be rebooted",
    "unhold": "take a hold back",
    "pin": "want a version of hosts",
    "quarantine": "versions that a machine is not to get again",
    "acknowledge": "take note of a reversion or a failure",
    "audit": "what was asked and done: read, verify and export the record",
    "demo": "a simulated fleet on this machine, over real SSH",
    "completion": "the script that completes fleetctl in your shell",
    "migrate": "bring the database to this version's schema",
    "version": "versions of fleetctl and of what it stands on",
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"console.cli.{cmd_name.replace('-', '_')}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            ctx.fail(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option("--fleet", "fleet_file", type=click.Path(path_type=Path), help="The fleet file.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colours.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Only ASCII characters.")
@click.pass_context
def root(ctx: click.Context, fleet_file: Path | None, color: str, ascii_only: bool) -> int:
    """Operations console for fleets of Flatcar Container Linux hosts, over plain SSH.

    Without a command, on a terminal: the dashboard.
    """
    ctx.obj = Console(fleet_file, color, ascii_only)
    if ctx.invoked_subcommand is None:
        from console.cli.dashboard import has_terminal, open_dashboard

        if has_terminal():
            return open_dashboard(ctx.obj)
        click.echo(ctx.get_help())
    return 0


def main() -> None:
    """Run, and end the process with a code of console.exit_codes."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with a closed one
            setattr(sys, name, open(os.devnull, "w"))
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        # The reader (head, less) has gone, or the disk is full: keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """One command line; its exit code."""
    try:
        with root.make_context("fleetctl", list(arguments)) as context:
            result = root.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except ConfigError as error:
        _say(error)
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what was seen until then is stored", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.OK
    except OSError as error:
        return _failed(f"{error.filename or 'output'}: {error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - the last handler: whatever comes here is a bug and is told as one
        if type(error).__module__ == "sqlite3":
            text = (
                "is another fleetctl writing, is the disk full? `sqlite3 FILE 'PRAGMA integrity_check'` tells"
            )
            return _failed(f"the database: {error}; {text}")
        import traceback

        for line in traceback.format_exc().splitlines():
            click.echo(visible(line), err=True)
        click.echo("fleetctl: this is a bug; nothing more was done", err=True)
        return ExitCode.BUG
    return int(result) if isinstance(result, int) else ExitCode.OK


def _failed(text: str) -> int:
    click.echo(f"fleetctl: {visible(text)}", err=True)
    return ExitCode.USAGE


def _say(error: ConfigError) -> None:
    mistakes = getattr(error, "mistakes", None) or (error,)
    for mistake in mistakes:
        click.echo(f"fleetctl: {visible(str(mistake))}", err=True)
