"""Rollouts as stored: read, shown, followed, and asked to do something else."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from actions import ledger, rollout_tables
from actions.leases import living_owner
from actions.rollout_model import Rollout
from actions.rollout_plan import Now, Plan
from actions.rollout_tables import RolloutRow
from collectors import store
from collectors.errors import ConfigError
from console.cli.context import Console, now
from console.exit_codes import ExitCode
from console.rollout_document import rollout_code, rollout_document
from console.rollout_text import EVENTS_SHOWN, event_line, needs_person, rollout_text
from console.tone import Pen
from console.visible import visible

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet

LOOK_EVERY_S = 0.3
TAKEN_UP_S = 20.0
"""A process that was started has the rollout by then."""


@dataclass(frozen=True, slots=True)
class Stored:
    row: RolloutRow
    plan: Plan
    rollout: Rollout


def say(text: str) -> None:
    click.echo(f"fleetctl: {visible(text)}", err=True)


def print_json(console: Console, document: Mapping[str, object]) -> None:
    click.echo(json.dumps(document, ensure_ascii=console.is_plain, separators=(",", ":")))


def read_rollout(conn: sqlite3.Connection, loaded: LoadedFleet, rollout_id: str) -> Stored:
    """Raises ConfigError where there is none of this name."""
    row = rollout_tables.one_rollout(conn, rollout_id)
    plan, rollout = rollout_tables.plan_of(conn, rollout_id), rollout_tables.state_of(conn, rollout_id)
    if row is None or plan is None or rollout is None:
        text = "is no rollout of this fleet; `fleetctl rollout list` lists them"
        raise ConfigError(loaded.path.name, visible(rollout_id), text)
    return Stored(row, plan, rollout)


def runner_of(conn: sqlite3.Connection, rollout_id: str) -> str | None:
    """Who carries it out now."""
    return living_owner(conn, f"rollout {rollout_id}")


def reader_now(at: datetime) -> Now:
    """For whoever only reads: its steady clock is the wall's. What is told of times may be off by what the
    clock of the one that carries it out was set since it began."""
    return Now(at, at)


def people_words(row: RolloutRow) -> str:
    """`by jana, approved by tom`."""
    told = f"by {_who(row.actor)}"
    return f"{told}, approved by {_who(row.approved_by)}" if row.approved_by else told


def _who(actor: str) -> str:
    from msgspec.json import decode

    from actions.record import Actor

    return decode(actor, type=Actor).words


def show_rollout(
    console: Console,
    loaded: LoadedFleet,
    rollout_id: str,
    *,
    as_json: bool = False,
    events: int = EVENTS_SHOWN,
) -> ExitCode:
    """Print how it stands, and the record's head; the exit code it comes to.

    Raises ConfigError where there is none of this name.
    """
    with closing(store.open_reader(loaded.database_path)) as conn, ledger.snapshot(conn):
        found = read_rollout(conn, loaded, rollout_id)
        told = rollout_tables.events(conn, rollout_id, limit=events)
        asked = rollout_tables.requests(conn, rollout_id, is_open=False)
        runner, head = runner_of(conn, rollout_id), ledger.head(conn)
    moment = reader_now(now().astimezone())
    if as_json:
        document = rollout_document(
            found.plan,
            found.rollout,
            found.row,
            moment,
            events=told,
            requests=asked,
            runner=runner,
            head=head.whole,
        )
        print_json(console, document)
    else:
        text = rollout_text(
            found.plan,
            found.rollout,
            found.row,
            told,
            moment,
            people=people_words(found.row),
            runner=runner,
            colour=console.colour,
            ascii=console.ascii,
            width=console.width,
        )
        click.echo(text, color=True)
    click.echo(f"record {head}", err=True)
    return rollout_code(found.rollout)


def watch_rollout(
    console: Console,
    loaded: LoadedFleet,
    rollout_id: str,
    runner: subprocess.Popen[bytes] | None,
    *,
    after: int = 0,
) -> ExitCode:
    """Print events behind number `after` as they come, until it ends, waits for a person, or nobody carries
    it out; the exit code it comes to. Raises ConfigError where there is none of this name."""
    pen, begun, seen = Pen(False, console.ascii), time.monotonic(), -1
    with closing(store.open_reader(loaded.database_path)) as conn:
        while True:
            number = store.data_version(conn)
            if number != seen:
                seen = number
                with ledger.snapshot(conn):
                    found = read_rollout(conn, loaded, rollout_id)
                    news = rollout_tables.events(conn, rollout_id, after=after)
                for event in news:
                    click.echo(event_line(event, now().astimezone(), pen, console.width))
                    after = event.n
                if not found.rollout.state.is_open:
                    return rollout_code(found.rollout)
                needs = needs_person(found.plan, found.rollout)
                if needs is not None and not rollout_tables.requests(conn, rollout_id):
                    say(f"{rollout_id} waits for a person: {needs}")
                    return rollout_code(found.rollout)
            is_young = time.monotonic() - begun < TAKEN_UP_S and runner is not None
            if not is_young and runner_of(conn, rollout_id) is None and _has_ended(runner):
                say(f"nobody carries {rollout_id} out any more; `fleetctl run {rollout_id}` takes it up")
                return ExitCode.UNKNOWN
            time.sleep(LOOK_EVERY_S)


def _has_ended(runner: subprocess.Popen[bytes] | None) -> bool:
    return runner is None or runner.poll() is not None
