"""`fleetctl updates`."""

from __future__ import annotations

import click

from actions.orders import Asked, Verb
from actions.policy_conf import MODES
from console.cli.context import Console
from console.cli.terms import Terms, order_options


@click.command("updates", help="Switch the hosts' own updates on or off; managed is off, fleetctl stages.")
@click.argument("mode", type=click.Choice(MODES))
@order_options
@click.pass_obj
def command(console: Console, mode: str, terms: Terms) -> int:
    from console.cli.ordering import give

    return give(console, Asked(Verb.UPDATES, mode=mode), terms)
