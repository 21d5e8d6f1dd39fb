"""`fleetctl collect`."""

from __future__ import annotations

import json

import click

from console.cli.context import Console, now
from console.cli.picking import pick, selection_options
from console.cli.reading import read_whole
from console.cli.sweeping import said, sweep_fleet
from console.render import changes_text


@click.command("collect", help="Ask every host once, store what it says, print what changed.")
@selection_options
@click.pass_obj
def command(
    console: Console, selection: tuple[str, ...], hosts: tuple[str, ...], groups: tuple[str, ...]
) -> int:
    loaded = console.load()
    if selection or hosts or groups:
        picked = pick(read_whole(loaded, now()).view, selection, hosts, groups)
        names = [row.name for row in picked.rows]
    else:
        names = [host.name for host in loaded.fleet.hosts]
    swept = sweep_fleet(loaded, names)
    changes = [(item.host, item.path, decoded(item.old), decoded(item.new)) for item in swept.changes]
    if changes:
        text = changes_text(changes, colour=console.colour, ascii=console.ascii, width=console.width)
        click.echo(text, color=True)
    answered = swept.asked - len(swept.silent)
    click.echo(f"{answered} of {swept.asked} hosts answered, {len(changes)} facts changed")
    return said(swept)


def decoded(value: str | None) -> object:
    return json.loads(value) if value is not None else None
