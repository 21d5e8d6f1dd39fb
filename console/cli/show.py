"""`fleetctl show HOST`."""

from __future__ import annotations

import json
from difflib import get_close_matches

import click

from collectors.errors import ConfigError
from console.cli.context import Console, now
from console.cli.reading import read_whole
from console.cli.steps import newest_steps
from console.judge import document, stale_words
from console.render_diff import story_text
from console.render_host import host_text

TIMELINE = 12
"""Changes shown of a host."""


@click.command("show", help="Everything known of one host.")
@click.argument("host")
@click.option("--json", "as_json", is_flag=True, help="The host's object of fleetctl.status/1.")
@click.pass_obj
def command(console: Console, host: str, as_json: bool) -> None:
    at = now()
    whole = read_whole(console.load(), at)
    found = next((item for item in whole.hosts if item.host.name == host), None)
    if found is None:
        near = get_close_matches(host, [item.host.name for item in whole.hosts], n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise ConfigError(str(whole.loaded.path.name), "", f"there is no host {host!r}{hint}")
    told = document(found, whole.feed, whole.loaded.fleet, at, stale_words(whole.feed, at))
    if as_json:
        click.echo(json.dumps(told, ensure_ascii=False, separators=(",", ":")))
        return
    colour, ascii_only, width = console.colour, console.ascii, console.width
    click.echo(host_text(told, now=at, colour=colour, ascii=ascii_only, width=width), color=True)
    steps = newest_steps(whole.loaded.database_path, host, TIMELINE)
    if steps:
        story = story_text(steps, colour=colour, ascii=ascii_only, width=width)
        click.echo(f"\nhistory\n{story}", color=True)
