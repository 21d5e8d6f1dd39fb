"""Which hosts a reading command means: arguments, --host and --group, united."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from collectors.errors import ConfigError
from console.rows import FleetView, HostRow

if TYPE_CHECKING:
    from collectors.fleet_file import LoadedFleet

SHOWN = 10
F = TypeVar("F", bound=Callable[..., Any])


def selection_options(function: F) -> F:
    """The arguments and options that every reading command has."""
    options = (
        click.argument("selection", nargs=-1),
        click.option("--host", "hosts", multiple=True, help="A host, or a node set. May be repeated."),
        click.option("--group", "groups", multiple=True, help="A group of the fleet file. May be repeated."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@dataclass(frozen=True, slots=True)
class Picked:
    """The rows that are meant, in the view's order, and the selection as it was understood."""

    rows: list[HostRow]
    text: str


def pick(view: FleetView, selection: Sequence[str], hosts: Sequence[str], groups: Sequence[str]) -> Picked:
    """All rows where nothing was asked for. Raises ConfigError for a name or a word that is none."""
    if not (selection or hosts or groups):
        return Picked(list(view.rows), "")
    from console.selection import parse_arguments

    names = [row.name for row in view.rows]
    known = sorted({group for row in view.rows for group in row.groups})
    chosen = parse_arguments(selection, names, known, exact=hosts, in_groups=groups)
    return Picked([row for row in view.rows if chosen.matches(row)], chosen.text)


def exactly(
    view: FleetView, selection: Sequence[str], hosts: Sequence[str] = (), groups: Sequence[str] = ()
) -> list[str]:
    """The hosts that a verb means: exact names, node sets, @group and field:value only.

    Raises ConfigError for anything looser, with what it would have matched.
    """
    from console.selection import parse_arguments

    names = [row.name for row in view.rows]
    known = sorted({group for row in view.rows for group in row.groups})
    chosen = parse_arguments(selection, names, known, exact=hosts, in_groups=groups)
    found = [row.name for row in view.rows if chosen.matches(row)]
    if chosen.loose:
        shown = ", ".join(found[:SHOWN]) + (f" and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
        raise ConfigError(
            "selection",
            ", ".join(chosen.loose),
            f"is too loose for a command that writes; name the hosts (it matches {shown or 'none'})",
        )
    return found


def asked_for(
    loaded: LoadedFleet, selection: Sequence[str], hosts: Sequence[str], groups: Sequence[str]
) -> list[str]:
    """Names of the hosts to ask, of all where nothing was selected.

    An older database is brought up to date first, as every writer does. Raises ConfigError for none.
    """
    from collectors import store
    from console.cli.context import now
    from console.cli.reading import read_whole

    if loaded.database_path.exists():
        store.open_writer(loaded.database_path).close()
    picked = pick(read_whole(loaded, now()).view, selection, hosts, groups)
    if not picked.rows:
        raise ConfigError("selection", picked.text, "means no host of the fleet; nobody was asked")
    return [row.name for row in picked.rows]
