"""One sweep as commands run it: targets, transport, store, progress on stderr, and what it came to."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from actions.collect import Swept, collect, stored_wishes
from actions.engine import rejudge
from actions.watch import Setup, forget_old, watch
from collectors import store, tables
from collectors.errors import ConfigError, Reach
from collectors.feed_file import file_stamp, load_feed
from collectors.observation import Observation
from collectors.releases import Feed
from console.cli.context import Console
from console.cli.following import take_up
from console.cli.reading import feed_path
from console.exit_codes import ExitCode
from console.fleet_view import read_extract, write_extract
from console.judge import extract_of
from console.visible import visible

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet

SHOWN = 10


@contextmanager
def prepared(loaded: LoadedFleet) -> Iterator[tuple[Setup, sqlite3.Connection]]:
    """Everything a sweep needs, checked before anything is asked; the extract is renewed at the end.

    Raises ConfigError.
    """
    from collectors.fleet_file import check_database_place

    setup = setup_of(loaded)
    check_database_place(loaded.database_path)
    conn = store.open_writer(loaded.database_path)
    try:
        yield setup, conn
    finally:
        conn.close()


def setup_of(loaded: LoadedFleet) -> Setup:
    """Targets and feed of a fleet file. What of ssh_config is passed over is said on stderr, and which file
    with host keys is named and missing."""
    from collectors.fleet_file import targets

    resolved = targets(loaded)
    named = dict.fromkeys(target.known_hosts for target in resolved.targets.values())
    missing = {
        path: f"{path} does not exist" + ("; `fleetctl trust` makes it" if path == files[0] else "")
        for files in named
        for path in files
        if not os.path.exists(path)
    }
    for warning in (*resolved.warnings, *missing.values()):
        click.echo(f"fleetctl: {visible(warning)}", err=True)
    return Setup(loaded.fleet, resolved.targets, load_feed(feed_path(loaded)))


def remember_extract(
    conn: sqlite3.Connection, loaded: LoadedFleet, feed: Feed, *, just_judged: Container[str] = ()
) -> None:
    """Keep what `status` needs of the fleet file beside the rows that were judged with it.

    Rows that were judged with another fleet file or feed are judged anew first; `just_judged` names hosts
    whose rows were written with these two, so that judging them again would change nothing.
    """
    extract = extract_of(loaded.fleet, file_stamp(loaded.path), feed, feed_path(loaded))
    before = read_extract(conn)
    with store.transaction(conn):
        if before is None or (before.stamp, before.feed_digest) != (extract.stamp, extract.feed_digest):
            wanted = stored_wishes(conn, loaded.fleet)
            others = [name for name in tables.host_names(conn) if name not in just_judged]
            rejudge(conn, others, wanted, feed)
        write_extract(conn, extract)


def sweep_fleet(loaded: LoadedFleet, hosts: Iterable[str]) -> Swept:
    """Ask the named hosts once and store what they say. Raises ConfigError before anything is asked."""
    from collectors.ssh import SshTransport

    names = list(hosts)
    with prepared(loaded) as (setup, conn):

        async def ask() -> Swept:
            progress = Progress(len(names))
            async with SshTransport(keep=False, connections=setup.fleet.connections) as transport:
                swept = await collect(
                    setup.fleet,
                    setup.targets,
                    names,
                    conn,
                    transport,
                    setup.feed,
                    on_observation=progress.seen,
                )
            progress.end()
            return swept

        swept = asyncio.run(ask())
        forget_old(conn, setup.fleet)
        remember_extract(conn, loaded, setup.feed, just_judged=swept.reaches)
        return swept


def watch_fleet(console: Console, loaded: LoadedFleet, on_pass: Callable[[Swept], None]) -> None:
    """Sweep until interrupted. A fleet file that is changed meanwhile is taken at the next pass; one that is
    wrong is named on stderr, and the last good one stays in force.

    Raises Busy, tables.LeaseLost, and ConfigError before anything is asked.
    """
    from collectors.ssh import SshTransport

    with prepared(loaded) as (setup, conn):
        latest, stamp = setup, file_stamp(loaded.path)

        def current() -> Setup:
            nonlocal latest, stamp
            found = file_stamp(loaded.path)
            if found != stamp:
                stamp = found
                try:
                    anew = console.load()
                    latest = setup_of(anew)
                    remember_extract(conn, anew, latest.feed)
                except ConfigError as error:
                    click.echo(
                        f"fleetctl: the changed fleet file is not used: {visible(str(error))}", err=True
                    )
            return latest

        def passed(swept: Swept) -> None:
            try:
                take_up(loaded, conn, {change.host for change in swept.changes})
            except OSError as error:  # a log that cannot be written ends no sweeper
                text = f"orders left open are not taken up: {error.filename}: {error.strerror}"
                click.echo(f"fleetctl: {visible(text)}", err=True)
            on_pass(swept)

        async def run() -> None:
            async with SshTransport(keep=True, connections=setup.fleet.connections) as transport:
                await watch(conn, transport, current, on_pass=passed)

        remember_extract(conn, loaded, setup.feed)
        asyncio.run(run())


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
    hint = f"; why: fleetctl show {silent[0]}"
    click.echo(f"{len(silent)} of {swept.asked} hosts did not answer{hint}", err=True)
    return ExitCode.NO_ANSWER


class Progress:
    """A live count on a terminal's stderr; nothing elsewhere."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.is_live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def seen(self, seen: Observation) -> None:
        self.one_more()

    def one_more(self) -> None:
        self.done += 1
        if self.is_live and (self.done % 10 == 0 or self.done == self.total):
            click.echo(f"\r{self.done} of {self.total} hosts asked", nl=False, err=True)

    def end(self) -> None:
        if self.is_live:
            click.echo("\r\x1b[K", nl=False, err=True)
