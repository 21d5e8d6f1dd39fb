"""`fleetctl cancel`."""

from __future__ import annotations

import click

from actions.orders import Asked, Verb
from console.cli.context import Console
from console.cli.terms import Terms, order_options


@click.command("cancel", help="Unstage: the running slot boots next again.")
@click.option("--and-updates-off", is_flag=True, help="So that the next check does not stage it again.")
@order_options
@click.pass_obj
def command(console: Console, and_updates_off: bool, terms: Terms) -> int:
    from console.cli.ordering import give

    return give(console, Asked(Verb.CANCEL, and_updates_off=and_updates_off), terms)
