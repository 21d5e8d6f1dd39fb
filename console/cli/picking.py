"""Which hosts a reading command means: arguments, --host and --group, united."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from console.rows import FleetView, HostRow

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


def pick(
    view: FleetView, selection: Sequence[str], hosts: Sequence[str], groups: Sequence[str]
) -> list[HostRow]:
    """The rows that are meant, in the view's order; all where nothing was asked for."""
    if not (selection or hosts or groups):
        return list(view.rows)
    from console.selection import parse_arguments

    names = [row.name for row in view.rows]
    known = sorted({group for row in view.rows for group in row.groups})
    words = [*selection, *hosts, *(f"@{group}" for group in groups)]
    chosen = parse_arguments(words, names, known)
    return [row for row in view.rows if chosen.matches(row)]


def typed(selection: Sequence[str], hosts: Sequence[str], groups: Sequence[str]) -> str:
    return " ".join([*selection, *hosts, *(f"@{group}" for group in groups)])
