"""`fleetctl collect`."""

from __future__ import annotations

from collections.abc import Iterable

import click

from actions.collect import Swept
from actions.engine import REACH
from actions.leases import Busy
from collectors.records import Change
from collectors.tables import LeaseLost
from console.cli.attached import end_with_input
from console.cli.context import Console, now
from console.cli.picking import asked_for, selection_options
from console.cli.steps import value_of
from console.cli.sweeping import said, sweep_fleet, watch_fleet
from console.exit_codes import ExitCode
from console.render import changes_text


@click.command("collect", help="Ask every host once, store what it says, print what changed.")
@selection_options
@click.option("--watch", "watching", is_flag=True, help="Go on, once every interval of the fleet file.")
@click.option("--attached", is_flag=True, hidden=True, help="End when standard input does.")
@click.pass_obj
def command(
    console: Console,
    selection: tuple[str, ...],
    hosts: tuple[str, ...],
    groups: tuple[str, ...],
    watching: bool,
    attached: bool,
) -> int:
    if attached:
        end_with_input()
    loaded = console.load()
    if watching:
        if selection or hosts or groups:
            raise click.UsageError("--watch asks the whole fleet: leave the selection out")
        try:
            watch_fleet(console, loaded, lambda swept: _told(console, swept))
        except Busy as error:
            text = f"{error.owner} sweeps this fleet already, until {error.until} at least"
            click.echo(f"fleetctl: {text}", err=True)
            return ExitCode.REFUSED
        except LeaseLost as error:
            click.echo(f"fleetctl: {error}", err=True)
            return ExitCode.REFUSED
        return ExitCode.OK
    if selection or hosts or groups:
        names = asked_for(loaded, selection, hosts, groups)
    else:
        names = [host.name for host in loaded.fleet.hosts]
    swept = sweep_fleet(loaded, names)
    _tell(console, swept)
    return said(swept)


def _told(console: Console, swept: Swept) -> None:
    """After a pass of many: the time, then what changed."""
    click.echo(f"{now():%Y-%m-%d %H:%M:%S}Z", nl=False)
    click.echo(": ", nl=False)
    _tell(console, swept)


def _tell(console: Console, swept: Swept) -> None:
    changes = list(noteworthy(swept.changes))
    answered = swept.asked - len(swept.silent)
    click.echo(f"{answered} of {swept.asked} hosts answered, {len(changes)} facts changed")
    if changes:
        text = changes_text(changes, colour=console.colour, ascii=console.ascii, width=console.width)
        click.echo(text, color=True)


def noteworthy(changes: Iterable[Change]) -> Iterable[tuple[str, str, object, object]]:
    """Changes as host, path, old and new value; that a host was asked for the first time is none."""
    for item in changes:
        if item.path != REACH or item.old is not None:
            yield item.host, item.path, value_of(item.old), value_of(item.new)
