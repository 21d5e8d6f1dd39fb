"""`fleetctl init`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from collectors.errors import ConfigError
from collectors.fleet_file import FILE_NAME, load_fleet, targets
from collectors.fleet_sources import SourceKind, read_source, write_fleet
from collectors.source_files import load_source
from console.cli.context import Console
from console.visible import hosts_words, visible


@click.command("init", help="Write a fleet file to review, from hosts that another file knows. Asks no host.")
@click.option(
    "--from",
    "kind",
    type=click.Choice([str(kind) for kind in SourceKind]),
    required=True,
    help="What FILE is.",
)
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option(
    "--output", default=FILE_NAME, show_default=True, metavar="FILE", help="Where to write; - for stdout."
)
@click.pass_obj
def command(console: Console, kind: str, file: str | None, output: str) -> None:
    source = load_source(SourceKind(kind), file)
    found = read_source(source)
    name = FILE_NAME if output == "-" else output
    text = write_fleet(source, found, file=name)
    if output == "-":
        click.echo(text, nl=False)
        return
    path = Path(os.path.expanduser(output))
    _write_new(path, text)
    left = len(found.left_out)
    more = f"; left out, and named in it: {left}" if left else ""
    click.echo(f"{path}: {hosts_words(len(found.hosts))} from {visible(source.label)}{more}")
    click.echo(f"review it, then: fleetctl {'' if output == FILE_NAME else f'--fleet {path} '}doctor")
    _say_what_is_left(path)


def _write_new(path: Path, text: str) -> None:
    """Raises ConfigError where the file is there already, or cannot be made."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        remedy = "give another place with --output, or move it away; init never overwrites"
        raise ConfigError(str(path), "", f"is there already; {remedy}") from error
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be written: {error.strerror}") from error


def _say_what_is_left(path: Path) -> None:
    """What keeps the new file from use, on stderr: it can only be known together with ssh_config."""
    try:
        resolved = targets(load_fleet(path))
    except ConfigError as error:
        click.echo(f"to be put right: {visible(str(error))}", err=True)
        return
    for warning in resolved.warnings:
        click.echo(f"note: {visible(warning)}", err=True)
