"""`fleetctl show HOST`."""

from __future__ import annotations

import json
from difflib import get_close_matches

import click

from collectors.errors import ConfigError
from console.cli.context import Console, now
from console.cli.reading import read_one
from console.cli.steps import newest_orders, newest_steps
from console.judge import document, stale_words
from console.order_text import orders_text
from console.render_diff import story_text
from console.render_host import host_text
from console.when import iso

ORDERS = 6
"""Orders shown of a host."""
TIMELINE = 12
"""Changes shown of a host."""


@click.command("show", help="Everything known of one host.")
@click.argument("host")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.host/1.")
@click.pass_obj
def command(console: Console, host: str, as_json: bool) -> None:
    at = now()
    loaded = console.load()
    names = [item.name for item in loaded.fleet.hosts]
    if host not in names:
        near = get_close_matches(host, names, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise ConfigError(loaded.path.name, "", f"there is no host {host!r}{hint}")
    whole = read_one(loaded, at, host)
    (found,) = whole.hosts
    told = document(found, whole.feed, whole.loaded.fleet, at, stale_words(whole.feed, at))
    if as_json:
        orders = [
            {"id": item.id, "at": iso(item.at), "asked": item.what, "phase": item.phase}
            | {"code": item.code, "text": item.text}
            for item in newest_orders(whole.loaded.database_path, host, ORDERS)
        ]
        document_of_host = {"schema": "fleetctl.host/1", **told, "orders": orders}
        click.echo(json.dumps(document_of_host, ensure_ascii=console.is_plain, separators=(",", ":")))
        return
    colour, ascii_only, width = console.colour, console.ascii, console.width
    click.echo(host_text(told, now=at, colour=colour, ascii=ascii_only, width=width), color=True)
    orders_of_host = newest_orders(whole.loaded.database_path, host, ORDERS)
    if orders_of_host:
        listed = orders_text(orders_of_host, colour=colour, ascii=ascii_only, width=width)
        click.echo(f"\norders\n{listed}", color=True)
    steps = newest_steps(whole.loaded.database_path, host, TIMELINE)
    if steps:
        story = story_text(steps, colour=colour, ascii=ascii_only, width=width)
        click.echo(f"\nhistory\n{story}", color=True)
