"""`fleetctl doctor`."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from collectors.errors import ConfigError
from console.cli.choosing import chosen_hosts
from console.cli.completing import group_option, hosts_argument
from console.cli.context import Console, now
from console.exit_codes import ExitCode, worst
from console.visible import visible

if TYPE_CHECKING:
    from collectors.doctor_findings import Finding
    from collectors.fleet_file import LoadedFleet
    from collectors.fleet_model import FleetHost
    from collectors.observation import Observation
    from collectors.transport import Target

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


@click.command("doctor", help="Check fleet file, database, keys, host keys, clock, and that hosts let us in.")
@hosts_argument
@group_option
@click.option("--local", is_flag=True, help="Only this machine: ask no host.")
@click.option("--sudoers", is_flag=True, help="Print the sudoers rules that the probe needs, nothing else.")
@click.option("--verbs", is_flag=True, help="With --sudoers: also what the verbs need that change hosts.")
@click.pass_obj
def command(
    console: Console,
    hosts: tuple[str, ...],
    groups: tuple[str, ...],
    local: bool,
    sudoers: bool,
    verbs: bool,
) -> ExitCode:
    from collectors.fleet_file import targets

    if verbs and not sudoers:
        raise click.UsageError("--verbs goes with --sudoers")
    try:
        loaded = console.load()
        chosen = chosen_hosts(loaded, hosts, groups)
        resolved = targets(loaded)
    except ConfigError as error:
        if sudoers:
            raise
        return _told(console, _wrong(error))
    picked = {host.name: resolved.targets[host.name] for host in chosen}
    if sudoers:
        _print_rules(picked, verbs=verbs)
        return ExitCode.OK
    findings = _local(loaded, picked, resolved.warnings)
    if not local:
        from collectors.doctor_findings import look_findings

        findings += look_findings(_looks(loaded, chosen, picked))
    return _told(console, findings)


def _wrong(error: ConfigError) -> list[Finding]:
    """Nothing else can be checked without a fleet file that is right."""
    from collectors.doctor_findings import Finding, Level

    mistakes = getattr(error, "mistakes", None) or (error,)
    return [Finding(Level.PROBLEM, "fleet file", str(mistake)) for mistake in mistakes]


def _print_rules(targets: Mapping[str, Target], *, verbs: bool) -> None:
    from actions.orders import Verb
    from actions.remote.sudoers import orders_sudoers
    from collectors.probe import sudoers_rule

    users = sorted({target.user for target in targets.values()} - {"root"})
    for user in users:
        click.echo(sudoers_rule(user) + (orders_sudoers(user, Verb) if verbs else ""), nl=False)
    if not users:
        click.echo("every host is logged in to as root, who needs no rule", err=True)


def _local(loaded: LoadedFleet, targets: Mapping[str, Target], warnings: Sequence[str]) -> list[Finding]:
    from collectors.doctor_checks import (
        check_clock,
        check_database,
        check_fleet_file,
        check_keys,
        check_known_hosts,
    )
    from collectors.doctor_findings import Finding, Level
    from collectors.feed_file import PACKED_AT

    return [
        check_fleet_file(loaded),
        *(Finding(Level.WARNING, "ssh_config", warning) for warning in warnings),
        *check_database(loaded),
        check_clock(now(), PACKED_AT),
        *check_keys(targets.values()),
        *check_known_hosts(targets),
    ]


def _looks(
    loaded: LoadedFleet, hosts: Sequence[FleetHost], targets: Mapping[str, Target]
) -> list[Observation]:
    """Each host asked once, as `collect` does; nothing is stored."""
    from collectors.ssh import SshTransport
    from collectors.sweep import Ask, sweep

    seen: list[Observation] = []

    async def keep(observation: Observation) -> None:
        seen.append(observation)

    async def ask() -> None:
        asks = [Ask(targets[host.name], float(host.ssh.probe_timeout_s or 30)) for host in hosts]
        at_once = min(loaded.fleet.connections, len(asks))
        async with SshTransport(keep=False, connections=loaded.fleet.connections) as transport:
            await sweep(
                transport,
                asks,
                loaded.fleet.health.units,
                keep,
                salt=secrets.token_bytes(16),
                at_once=at_once,
            )

    asyncio.run(ask())
    return seen


def _told(console: Console, findings: Sequence[Finding]) -> ExitCode:
    """A line for each finding, its remedy under it."""
    width = max(len(finding.subject) for finding in findings)
    codes = [ExitCode.OK]
    for finding in findings:
        level = str(finding.level)
        word = click.style(f"{level:<7}", fg=_COLOURS[level]) if console.colour else f"{level:<7}"
        words = visible(finding.words, ascii_only=console.ascii)
        click.echo(f"{word}  {finding.subject:<{width}}  {words}", color=True)
        if finding.remedy:
            mark = "->" if console.ascii else "→"
            click.echo(f"{'':7}  {'':{width}}  {mark} {visible(finding.remedy)}")
        if level == "problem":
            codes.append(ExitCode.NO_ANSWER if finding.is_of_hosts else ExitCode.USAGE)
    return worst(codes)
