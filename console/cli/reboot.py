"""`fleetctl reboot`."""

from __future__ import annotations

import click

from actions.orders import Asked, Verb
from console.cli.context import Console
from console.cli.terms import Terms, order_options


@click.command("reboot", help="Reboot into the slot that runs, one host after another, with proof.")
@order_options
@click.pass_obj
def command(console: Console, terms: Terms) -> int:
    from console.cli.ordering import give

    return give(console, Asked(Verb.REBOOT), terms)
