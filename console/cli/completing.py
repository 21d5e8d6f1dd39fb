"""HOST arguments and --group options that a shell can complete from the fleet file.

Completion never fails: where there is no fleet file, or a wrong one, nothing is offered.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from collectors.errors import ConfigError
from console.cli.context import Console

if TYPE_CHECKING:
    from collectors.fleet_model import Fleet

F = TypeVar("F", bound=Callable[..., Any])
MOST = 500
"""Names offered at once; more helps nobody to choose."""


def _fleet(ctx: click.Context) -> Fleet | None:
    typed = ctx.find_root().params.get("fleet_file")
    try:
        return Console(Path(typed) if typed else None, "never", True).load().fleet
    except ConfigError:
        return None


def complete_hosts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of hosts, and `@group`s where several hosts may be named."""
    fleet = _fleet(ctx)
    if fleet is None:
        return []
    words = [host.name for host in fleet.hosts]
    if param.nargs != 1 or getattr(param, "multiple", False):
        words += [f"@{group.name}" for group in fleet.groups]
    return [CompletionItem(word) for word in words if word.startswith(incomplete)][:MOST]


def complete_groups(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    fleet = _fleet(ctx)
    names = [group.name for group in fleet.groups] if fleet is not None else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)][:MOST]


def host_argument(function: F) -> F:
    """One HOST, as the parameter `host`."""
    return click.argument("host", shell_complete=complete_hosts)(function)


def hosts_argument(function: F) -> F:
    """Any number of hosts, node sets and @groups, as the parameter `hosts`."""
    return click.argument("hosts", nargs=-1, metavar="[HOST]...", shell_complete=complete_hosts)(function)


def group_option(function: F) -> F:
    """--group, any number of times, as the parameter `groups`."""
    return click.option(
        "--group",
        "groups",
        multiple=True,
        metavar="GROUP",
        help="A group of the fleet file. May be repeated.",
        shell_complete=complete_groups,
    )(function)
