"""One sweep as commands run it: targets, transport, store, progress on stderr, and what it came to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from actions.collect import Swept, collect
from collectors import store
from collectors.errors import Reach
from collectors.feed_file import file_stamp, load_feed
from collectors.observation import Observation
from console.exit_codes import ExitCode
from console.fleet_view import write_extract
from console.judge import extract_of
from console.visible import visible

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet

SHOWN = 10


def feed_path(loaded: LoadedFleet) -> Path | None:
    """The feed that the fleet file names, relative to it; None for the packed one."""
    file = loaded.fleet.feeds.file
    return loaded.beside(file) if file else None


def sweep_fleet(loaded: LoadedFleet, hosts: Iterable[str]) -> Swept:
    """Ask the named hosts once and store what they say. Raises ConfigError before anything is asked."""
    from collectors.fleet_file import check_database_place, targets
    from collectors.ssh import SshTransport

    fleet, feed = loaded.fleet, load_feed(feed_path(loaded))
    resolved = targets(loaded)
    for warning in resolved.warnings:
        click.echo(f"fleetctl: {visible(warning)}", err=True)
    check_database_place(loaded.database_path)
    conn = store.open_writer(loaded.database_path)

    async def ask(names: list[str]) -> Swept:
        progress = Progress(len(names))
        async with SshTransport(keep=False, connections=fleet.connections) as transport:
            swept = await collect(
                fleet, resolved.targets, names, conn, transport, feed, on_observation=progress.seen
            )
        progress.end()
        return swept

    try:
        swept = asyncio.run(ask(list(hosts)))
        write_extract(conn, extract_of(fleet, file_stamp(loaded.path), feed, feed_path(loaded)))
        return swept
    finally:
        conn.close()


def said(swept: Swept) -> ExitCode:
    """Tell on stderr which hosts did not answer, and give the code that says so."""
    silent = swept.silent
    if not silent:
        return ExitCode.OK
    by_reach: dict[Reach, list[str]] = {}
    for host in silent:
        by_reach.setdefault(swept.reaches[host], []).append(host)
    for reach, hosts in sorted(by_reach.items()):
        more = f" and {len(hosts) - SHOWN} more" if len(hosts) > SHOWN else ""
        click.echo(f"{str(reach).replace('_', ' ')}: {', '.join(hosts[:SHOWN])}{more}", err=True)
    click.echo(f"{len(silent)} of {swept.asked} hosts did not answer", err=True)
    return ExitCode.NO_ANSWER


class Progress:
    """A live count on a terminal's stderr; nothing elsewhere."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.is_live = sys.stderr.isatty()

    def seen(self, seen: Observation) -> None:
        self.done += 1
        if self.is_live and (self.done % 10 == 0 or self.done == self.total):
            click.echo(f"\r{self.done} of {self.total} hosts asked", nl=False, err=True)

    def end(self) -> None:
        if self.is_live:
            click.echo("\r\x1b[K", nl=False, err=True)
