"""`fleetctl roll-back`."""

from __future__ import annotations

import click

from actions.orders import Asked, Verb
from console.cli.context import Console
from console.cli.terms import Terms, order_options


@click.command("roll-back", help="Back to the other slot's older release, proved intact; updates go off.")
@click.option("--to", "version", metavar="VERSION", help="Only hosts whose other slot holds this one.")
@order_options
@click.pass_obj
def command(console: Console, version: str | None, terms: Terms) -> int:
    from console.cli.ordering import give

    return give(console, Asked(Verb.ROLL_BACK, version=version), terms)
