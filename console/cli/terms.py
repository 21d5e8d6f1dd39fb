"""Options that every verb has, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, TypeVar, cast

import click

from actions.orders import Force
from console.cli.completing import complete_groups, complete_hosts
from console.when import parse_span

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Terms:
    """Options that every verb has."""

    selection: tuple[str, ...]
    hosts: tuple[str, ...]
    groups: tuple[str, ...]
    everyone: bool
    limit: int | None
    dry_run: bool
    yes: bool
    expect_hosts: int | None
    expect_plan: str | None
    at_once: int | None
    wait: bool
    timeout_s: float | None
    forces: dict[Force, str]
    said: str | None
    as_json: bool


def order_options(function: F) -> F:
    """All of them, given to the command as one `terms`."""

    @wraps(function)
    def with_terms(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, terms=_terms(options), **options)

    forces = click.Choice([force.value for force in Force])
    for option in reversed(
        (
            click.argument("selection", nargs=-1, shell_complete=complete_hosts),
            click.option("--host", "hosts", multiple=True, help="A host, or a node set. May be repeated."),
            click.option(
                "--group",
                "groups",
                multiple=True,
                shell_complete=complete_groups,
                help="A group of the fleet file. May be repeated.",
            ),
            click.option("--all", "everyone", is_flag=True, help="Every host of the fleet."),
            click.option("--limit", type=click.IntRange(min=1), help="Only the first N hosts by name."),
            click.option(
                "--dry-run", is_flag=True, help="Show the plan and the exact commands, send nothing."
            ),
            click.option("--yes", is_flag=True, help="Do not ask; without a terminal see --expect-hosts."),
            click.option("--expect-hosts", type=click.IntRange(min=0), help="With --yes: how many hosts."),
            click.option(
                "--expect-plan",
                metavar="DIGEST",
                help="Only if the plan is still the one of a dry run, which tells its digest.",
            ),
            click.option("--at-once", type=click.IntRange(1, 1000), help="Hosts at work at the same time."),
            click.option("--wait/--no-wait", default=True, help="Wait for the end of the order."),
            click.option("--timeout", "timeout", metavar="TIME", help="Per host, instead of the verb's own."),
            click.option(
                "--force", "forces", multiple=True, type=forces, help="Set one refusal aside. Needs --reason."
            ),
            click.option("--reason", help="Why it is forced; for the record."),
            click.option("--actor", "said", metavar="TEXT", help="Who you are, where an account is shared."),
            click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.order/1."),
        )
    ):
        with_terms = option(with_terms)
    return cast(F, with_terms)


def _terms(options: dict[str, Any]) -> Terms:
    """Take the shared options out of `options`."""
    names = ("selection", "hosts", "groups", "everyone", "limit", "dry_run", "yes", "expect_hosts")
    taken = {
        name: options.pop(name) for name in (*names, "expect_plan", "at_once", "wait", "said", "as_json")
    }
    timeout, forces, reason = options.pop("timeout"), options.pop("forces"), options.pop("reason")
    text = " ".join((reason or "").split())
    if forces and not text:
        raise click.UsageError("--force needs --reason: why it is right all the same")
    if taken["expect_hosts"] is not None and not taken["yes"]:
        raise click.UsageError("--expect-hosts goes with --yes")
    timeout_s = parse_span(timeout, place="--timeout") if timeout is not None else None
    return Terms(**taken, timeout_s=timeout_s, forces={Force(force): text for force in forces})


def split_word(terms: Terms, is_word: Callable[[str], bool]) -> tuple[str | None, Terms]:
    """The selection's first word where it is the verb's own, such as a version, and the terms without it."""
    first = terms.selection[0] if terms.selection else None
    if first is None or not is_word(first):
        return None, terms
    return first, replace(terms, selection=terms.selection[1:])
