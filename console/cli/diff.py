"""`fleetctl diff`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from actions.engine import instant
from collectors import store, tables
from collectors.changes import differences
from collectors.errors import ConfigError
from console.cli.context import Console, now
from console.cli.steps import steps_since
from console.exit_codes import ExitCode
from console.render_diff import pair_text, story_text
from console.when import parse_when

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet

_OWN = ("/identity/machine_id", "/identity/boot_id", "/identity/hostname", "/identity/install")
"""What differs between any two hosts."""


@click.command("diff", help="What changed in the fleet since a moment, or how two hosts differ.")
@click.argument("pair", nargs=-1, metavar="[A B]")
@click.option("--since", metavar="TIME", help="A moment: 2h, 14:30, 2026-11-24, an ISO time.")
@click.option("--check", is_flag=True, help="Exit 1 if there is any difference.")
@click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.diff/1.")
@click.pass_obj
def command(console: Console, pair: tuple[str, ...], since: str | None, check: bool, as_json: bool) -> int:
    if (since is None) == (not pair) or len(pair) not in (0, 2):
        raise click.UsageError("name two hosts, or a moment with --since")
    loaded = console.load()
    if since is not None:
        found = _since(console, loaded, parse_when(since, now(), place="--since"), as_json=as_json)
    else:
        found = _between(console, loaded, (pair[0], pair[1]), as_json=as_json)
    return ExitCode.NOT_AS_WANTED if check and found else ExitCode.OK


def _since(console: Console, loaded: LoadedFleet, when: datetime, *, as_json: bool) -> bool:
    until, names = now(), {host.name for host in loaded.fleet.hosts}
    steps = [step for step in steps_since(loaded.database_path, when, until) if step.host in names]
    if as_json:
        changes = [
            {"host": step.host, "at": instant(step.at), "path": step.path, "old": step.old, "new": step.new}
            for step in steps
        ]
        _print({"since": instant(when), "until": instant(until), "hosts": None, "changes": changes})
    else:
        text = story_text(steps, colour=console.colour, ascii=console.ascii, width=console.width)
        click.echo(text, color=True)
    return bool(steps)


def _between(console: Console, loaded: LoadedFleet, pair: tuple[str, str], *, as_json: bool) -> bool:
    first, second = _facts(loaded, pair)
    found = [item for item in differences(first, second) if item[0] not in _OWN]
    if as_json:
        changes = [{"host": None, "at": None, "path": path, "old": a, "new": b} for path, a, b in found]
        _print({"since": None, "until": None, "hosts": list(pair), "changes": changes})
    else:
        text = pair_text(pair, found, colour=console.colour, ascii=console.ascii, width=console.width)
        click.echo(text, color=True)
    return bool(found)


def _facts(loaded: LoadedFleet, pair: tuple[str, str]) -> list[Any]:
    """The two hosts' lasting facts as documents. Raises ConfigError for a host that never told any."""
    conn = store.open_reader(loaded.database_path)
    try:
        rows = [tables.one_host(conn, name) for name in pair]
    finally:
        conn.close()
    documents = []
    for name, row in zip(pair, rows, strict=True):
        if row is None or row.facts is None:
            raise ConfigError(
                loaded.path.name, name, "nothing is stored of this host; `fleetctl collect` asks it"
            )
        documents.append(json.loads(row.facts))
    return documents


def _print(document: dict[str, Any]) -> None:
    text = json.dumps({"schema": "fleetctl.diff/1", **document}, ensure_ascii=False, separators=(",", ":"))
    click.echo(text)
