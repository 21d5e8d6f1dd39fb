"""`fleetctl rollout`: plan it, start it, look at it, tell it how to go on."""

from __future__ import annotations

import click

from console.cli.rollout_looks import list_, show, watch
from console.cli.rollout_plan import plan
from console.cli.rollout_start import start
from console.cli.rollout_words import WORDS


@click.group("rollout", help="Take a release, a channel or a roll-back through the fleet in cohorts.")
def command() -> None:
    """`fleetctl run ID` carries it out; all of these only write what is wanted and read what is so."""


for below in (plan, start, list_, show, watch, *WORDS):
    command.add_command(below)
