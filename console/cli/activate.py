"""`fleetctl activate`."""

from __future__ import annotations

import click

from actions.orders import Asked, Verb
from console.cli.context import Console
from console.cli.terms import Terms, order_options


@click.command("activate", help="Reboot into the staged slot, one host after another, with proof.")
@click.option("--to", "version", metavar="VERSION", help="Only hosts that have this one staged.")
@order_options
@click.pass_obj
def command(console: Console, version: str | None, terms: Terms) -> int:
    from console.cli.ordering import give

    return give(console, Asked(Verb.ACTIVATE, version=version), terms)
