"""`fleetctl trust`."""

from __future__ import annotations

from pathlib import Path

import click

from console.cli.choosing import chosen_hosts, known_targets
from console.cli.completing import group_option, hosts_argument
from console.cli.context import Console
from console.exit_codes import ExitCode


@click.command("trust", help="Review the keys that hosts show, and record them. Logs in nowhere.")
@hosts_argument
@group_option
@click.option(
    "--from",
    "list_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Keys you trust already: a known_hosts file, or lines HOST SHA256:… The file alone decides then.",
)
@click.option(
    "--cert-authority",
    "authority",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The .pub of an authority that signs the hosts' keys; one line for all of them.",
)
@click.option("--yes", is_flag=True, help="Take new keys without asking; changed ones never.")
@click.option("--expect-hosts", type=click.IntRange(min=0), metavar="N", help="With --yes: how many hosts.")
@click.pass_obj
def command(
    console: Console,
    hosts: tuple[str, ...],
    groups: tuple[str, ...],
    list_file: Path | None,
    authority: Path | None,
    yes: bool,
    expect_hosts: int | None,
) -> ExitCode:
    from console.cli.trusting import Consent, trust_authority, trust_hosts  # they bring the SSH library

    if list_file is not None and authority is not None:
        raise click.UsageError("--from and --cert-authority exclude each other")
    if yes and expect_hosts is None:
        raise click.UsageError("--yes needs --expect-hosts N: how many hosts you mean to trust")
    if expect_hosts is not None and not yes:
        raise click.UsageError("--expect-hosts goes with --yes")
    loaded = console.load()
    known = known_targets(loaded)
    chosen = {host.name: host for host in chosen_hosts(loaded, hosts, groups)}
    targets = [known[name] for name in chosen]
    consent = Consent(expect_hosts)
    if authority is not None:
        return trust_authority(targets, authority, consent)
    group_of = {name: host.groups[0] if host.groups else "" for name, host in chosen.items()}
    return trust_hosts(targets, group_of, list_file, consent, connections=loaded.fleet.connections)
