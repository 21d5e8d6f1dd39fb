"""`fleetctl rollout list`, `show` and `watch`: they read the store and nothing else."""

from __future__ import annotations

from contextlib import closing

import click

from console.cli.context import Console, now
from console.exit_codes import ExitCode

LISTED = 20


def id_argument(function: click.decorators.FC) -> click.decorators.FC:
    return click.argument("rollout_id", metavar="ID")(function)


@click.command("list", help="The newest rollouts, newest first.")
@click.option("--limit", type=click.IntRange(1, 1000), default=LISTED, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.rollout/1.")
@click.option("--prometheus", is_flag=True, help="Metrics fleetctl_rollout_*, as Prometheus text.")
@click.pass_obj
def list_(console: Console, limit: int, as_json: bool, prometheus: bool) -> ExitCode:
    from actions import ledger, rollout_tables
    from actions.rollout import headline
    from collectors import store
    from console.cli.rollout_shared import print_json, read_rollout, reader_now
    from console.rollout_document import list_document
    from console.rollout_metrics import metrics_text
    from console.rollout_text import list_text

    if as_json and prometheus:
        raise click.UsageError("--json and --prometheus exclude each other")
    loaded, moment, found = console.load(), reader_now(now().astimezone()), []
    try:
        conn = store.open_reader(loaded.database_path)
    except store.NoDatabase:
        pass
    else:
        with closing(conn), ledger.snapshot(conn):
            rows = rollout_tables.newest_rollouts(conn, limit)
            found = [read_rollout(conn, loaded, row.id) for row in rows]
    if as_json:
        print_json(console, list_document([(item.row, item.plan, item.rollout) for item in found], moment))
    elif prometheus:
        click.echo(metrics_text([(item.row, item.plan, item.rollout) for item in found]), nl=False)
    elif not found:
        click.echo("no rollout has been planned")
    else:
        told = [(item.row, headline(item.plan, item.rollout, moment)) for item in found]
        text = list_text(
            told, now=moment.wall, colour=console.colour, ascii=console.ascii, width=console.width
        )
        click.echo(text, color=True)
    return ExitCode.OK


@click.command("show", help="How a rollout stands: limits, cohorts, why hosts wait, failures, events.")
@id_argument
@click.option("--events", type=click.IntRange(0, 100_000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.rollout/1.")
@click.pass_obj
def show(console: Console, rollout_id: str, events: int, as_json: bool) -> ExitCode:
    from console.cli.rollout_shared import show_rollout

    show_rollout(console, console.load(), rollout_id, as_json=as_json, events=events)
    return ExitCode.OK


@click.command("watch", help="Events as they come, until it ends or waits for a person. Changes nothing.")
@id_argument
@click.option("--all", "everything", is_flag=True, help="Also what happened before.")
@click.pass_obj
def watch(console: Console, rollout_id: str, everything: bool) -> ExitCode:
    from actions import rollout_tables
    from collectors import store
    from console.cli.rollout_shared import read_rollout, say, watch_rollout

    loaded = console.load()
    with closing(store.open_reader(loaded.database_path)) as conn:
        read_rollout(conn, loaded, rollout_id)
        last = rollout_tables.events(conn, rollout_id, limit=1)
    after = last[-1].n if last and not everything else 0
    try:
        return watch_rollout(console, loaded, rollout_id, None, after=after)
    except KeyboardInterrupt:
        say(f"nobody watches any more; {rollout_id} goes on by itself")
        return ExitCode.INTERRUPTED
