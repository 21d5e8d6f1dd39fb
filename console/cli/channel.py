"""`fleetctl channel`."""

from __future__ import annotations

import click

from actions.orders import Asked, Verb
from console.cli.context import Console
from console.cli.terms import Terms, order_options


@click.command("channel", help="Let hosts follow a channel: alpha, beta, stable, lts, lts-YEAR.")
@click.argument("channel")
@order_options
@click.pass_obj
def command(console: Console, channel: str, terms: Terms) -> int:
    from console.cli.ordering import give

    return give(console, Asked(Verb.CHANNEL, channel=channel), terms)
