"""`fleetctl status`."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import click

from console.cli.context import Console, now
from console.cli.picking import asked_for, pick, selection_options
from console.cli.reading import read_view, read_whole
from console.exit_codes import ExitCode, worst
from console.render import status_text
from console.rows import FEED_STALE_AFTER_S, FleetView


@click.command("status", help="The fleet as stored: versions, states, slots, and why.")
@selection_options
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.status/1.")
@click.option("--refresh", is_flag=True, help="Ask the hosts first.")
@click.option("--check", is_flag=True, help="Exit 1 unless every host is current or held, freshly seen.")
@click.option("--at", metavar="TIME", help="As it was then: 2h, 14:30, 2026-11-24, an ISO time.")
@click.option("--long", "-l", "full", is_flag=True, help="Every host, also of a large fleet.")
@click.pass_obj
def command(
    console: Console,
    selection: tuple[str, ...],
    hosts: tuple[str, ...],
    groups: tuple[str, ...],
    as_json: bool,
    refresh: bool,
    check: bool,
    at: str | None,
    full: bool,
) -> int:
    if at is not None and refresh:
        raise click.UsageError("--at and --refresh exclude each other: the past cannot be asked")
    codes, when = [ExitCode.OK], _moment(at)
    if refresh:
        codes.append(_refresh(console, selection, hosts, groups))
    if as_json:
        view = _print_json(console, selection, hosts, groups, when)
    else:
        view = read_view(console, now()) if when is None else read_whole(console.load(), now(), at=when).view
        picked = pick(view, selection, hosts, groups)
        if when is not None:
            click.echo(f"as it was at {when:%Y-%m-%d %H:%M:%S %Z}")
        view = replace(view, rows=picked.rows, selection=picked.text)
        every = full or bool(picked.text)
        text = status_text(view, colour=console.colour, ascii=console.ascii, width=console.width, full=every)
        click.echo(text, color=True)
    if check and not is_as_wanted(view):
        codes.append(ExitCode.NOT_AS_WANTED)
    return worst(codes)


def _moment(at: str | None) -> datetime | None:
    if at is None:
        return None
    from console.when import parse_when

    return parse_when(at, now(), place="--at")


def is_as_wanted(view: FleetView) -> bool:
    """Whether every host is current or held, with fresh facts, a fresh feed and no drift."""
    is_fresh = view.feed_age_s is not None and -60 < view.feed_age_s <= FEED_STALE_AFTER_S
    return (
        is_fresh
        and bool(view.rows)
        and all(
            row.state in ("current", "held")
            and row.certain
            and not row.stale
            and row.taken_at is not None
            and not any(code in ("drift", "updates_not_managed") for code, _ in row.reasons)
            for row in view.rows
        )
    )


def _refresh(
    console: Console, selection: tuple[str, ...], hosts: tuple[str, ...], groups: tuple[str, ...]
) -> ExitCode:
    from console.cli.sweeping import said, sweep_fleet

    loaded = console.load()
    return said(sweep_fleet(loaded, asked_for(loaded, selection, hosts, groups)))


def _print_json(
    console: Console,
    selection: tuple[str, ...],
    hosts: tuple[str, ...],
    groups: tuple[str, ...],
    when: datetime | None,
) -> FleetView:
    from console.judge import status_document

    whole = read_whole(console.load(), now(), at=when)
    picked = pick(whole.view, selection, hosts, groups)
    names = {row.name for row in picked.rows}
    chosen = [item for item in whole.hosts if item.host.name in names]
    document = status_document(chosen, whole.view, whole.feed, whole.loaded.fleet)
    click.echo(json.dumps(document, ensure_ascii=console.is_plain, separators=(",", ":")))
    return replace(whole.view, rows=picked.rows)
