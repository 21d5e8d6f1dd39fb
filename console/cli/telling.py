"""Events of an order to whom the fleet file names; what goes wrong there is said and stops nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from collectors.errors import ConfigError
from console.visible import visible

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet

Send = Callable[[Mapping[str, object]], None]


@asynccontextmanager
async def telling(loaded: LoadedFleet) -> AsyncIterator[Send]:
    """What sends an event; it does nothing where the fleet file names nobody, or wrongly."""
    from actions.notify import Notifier, read_notify_url

    typed = loaded.fleet.hooks.notify_file
    try:
        found = read_notify_url(typed, loaded.path) if typed is not None else None
    except ConfigError as error:
        _say(f"{error}; nobody is notified")
        found = None
    if found is None:
        yield lambda event: None
        return
    if found.warning is not None:
        _say(found.warning)
    async with Notifier(found.url, _say) as notifier:
        yield notifier.send


def _say(text: str) -> None:
    click.echo(f"fleetctl: {visible(text)}", err=True)
