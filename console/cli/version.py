"""`fleetctl version`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from collectors.migrations import schema
from collectors.probe import PROBE_VERSION

_PARTS = ("asyncssh", "textual", "sqlite-utils", "httpx")


@click.command("version", help="Versions of fleetctl and of what it stands on.")
def command() -> None:
    click.echo(f"fleetctl {_of('fleetctl-flatcar')}")
    click.echo(f"probe {PROBE_VERSION}, schema {schema()}, Python {platform.python_version()}")
    click.echo(", ".join(f"{part} {_of(part)}" for part in _PARTS))


def _of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
