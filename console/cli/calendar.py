"""`fleetctl calendar`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import click

from actions.calendar import Calendar, Seen, calendar_of
from collectors.fleet_model import RolloutTemplate
from console.calendar_document import calendar_document
from console.cli.context import Console, now
from console.cli.picking import pick, selection_options
from console.cli.reading import Whole, read_whole
from console.exit_codes import ExitCode
from console.render_calendar import calendar_text
from console.rows import HostRow
from console.selection import parse

LONGEST_DAYS = 60


@click.command("calendar", help="Who may reboot when, in which order, and who does it by itself.")
@selection_options
@click.option("--days", type=click.IntRange(1, LONGEST_DAYS), default=7, show_default=True, help="How far.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.calendar/1.")
@click.pass_obj
def command(
    console: Console,
    selection: tuple[str, ...],
    hosts: tuple[str, ...],
    groups: tuple[str, ...],
    days: int,
    as_json: bool,
) -> int:
    whole = read_whole(console.load(), now())
    picked = pick(whole.view, selection, hosts, groups)
    made = made_calendar(whole, {row.name for row in picked.rows}, days)
    if as_json:
        document = calendar_document(made)
        click.echo(json.dumps(document, ensure_ascii=console.is_plain, separators=(",", ":")))
    else:
        text = calendar_text(
            made, local=_local, colour=console.colour, ascii=console.ascii, width=console.width
        )
        click.echo(text, color=True)
    return ExitCode.OK


def made_calendar(whole: Whole, names: set[str], days: int) -> Calendar:
    """The calendar of some of the fleet's hosts."""
    seen = [
        Seen(
            host=item.host.name,
            facts=item.kept.facts,
            taken_at=item.row.taken_at,
            was_asked=item.record is not None,
            answers=item.row.answered,
            is_stale=item.row.stale,
            hold=item.row.hold,
        )
        for item in sorted(whole.hosts, key=lambda item: item.host.name)
        if item.host.name in names
    ]
    fleet = whole.loaded.fleet
    members = _members(fleet.rollouts.get("default"), whole.view.rows)
    return calendar_of(fleet, seen, members, whole.view.now, days)


def _members(template: RolloutTemplate | None, rows: Sequence[HostRow]) -> dict[str, set[str]]:
    """The hosts that each cohort's selection names, whether a cohort before it takes them or not."""
    if template is None:
        return {}
    hosts = [row.name for row in rows]
    groups = {group for row in rows for group in row.groups}
    chosen = {
        cohort.name: parse(cohort.selection, hosts, groups)
        for cohort in template.cohorts
        if cohort.selection is not None
    }
    return {name: {row.name for row in rows if found.matches(row)} for name, found in chosen.items()}


def _local(moment: datetime) -> datetime:
    """As this console's clock shows it, also beyond a change of the clocks."""
    return moment.astimezone()
