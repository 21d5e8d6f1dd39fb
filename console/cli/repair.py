"""`fleetctl repair`."""

from __future__ import annotations

import click

from actions.orders import Asked, Verb
from console.cli.context import Console
from console.cli.terms import Terms, order_options


@click.command("repair", help="Put right what interrupted programs are known to leave behind.")
@order_options
@click.pass_obj
def command(console: Console, terms: Terms) -> int:
    from console.cli.ordering import give

    return give(console, Asked(Verb.REPAIR), terms)
