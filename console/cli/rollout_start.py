"""`fleetctl rollout start`: the plan made again from what is stored now, confirmed, approved, carried out."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click

from console.cli.context import Console, now
from console.cli.rollout_looks import id_argument
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    from actions.rollout_plan import Plan
    from collectors.fleet_file import LoadedFleet

CHANGES_TOLD = 12


def can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


@click.command("start", help="Approve a draft and have it carried out, if nothing it stands on has changed.")
@id_argument
@click.option("--yes", is_flag=True, help="Do not ask; without a terminal see --expect-hosts.")
@click.option("--expect-hosts", type=click.IntRange(min=0), help="With --yes: how many hosts take part.")
@click.option("--wait/--no-wait", default=True, help="Tell events until it ends or waits for a person.")
@click.option("--reason", help="Why it is approved; for the record.")
@click.option("--actor", "said", metavar="TEXT", help="Who you are, where an account is shared.")
@click.pass_obj
def start(
    console: Console,
    rollout_id: str,
    yes: bool,
    expect_hosts: int | None,
    wait: bool,
    reason: str | None,
    said: str | None,
) -> ExitCode:
    from actions.rollout_talk import RequestKind
    from console.cli.following import start_runner
    from console.cli.rollout_asking import ask_rollout
    from console.cli.rollout_shared import say, watch_rollout

    if expect_hosts is not None and not yes:
        raise click.UsageError("--expect-hosts goes with --yes")
    loaded = console.load()
    refused = _refused(console, loaded, rollout_id, yes=yes, expect_hosts=expect_hosts)
    if refused is not None:
        return refused
    text = " ".join((reason or "").split())
    code, runner = ask_rollout(loaded, rollout_id, RequestKind.APPROVE, reason=text, said=said)
    if code is not ExitCode.OK:
        return code
    if runner is None:
        runner = start_runner(loaded.path, loaded.database_path, rollout_id)
    if not wait:
        say(f"{rollout_id} goes on by itself; see fleetctl rollout watch {rollout_id}")
        return ExitCode.OK
    try:
        return watch_rollout(console, loaded, rollout_id, runner)
    except KeyboardInterrupt:
        say(f"nobody waits any more; {rollout_id} goes on by itself: fleetctl rollout watch {rollout_id}")
        return ExitCode.INTERRUPTED


def _refused(
    console: Console, loaded: LoadedFleet, rollout_id: str, *, yes: bool, expect_hosts: int | None
) -> ExitCode | None:
    """Why it is not started, said; None: it may be, and was confirmed."""
    from actions.rollout_model import RolloutState
    from actions.rollout_planning_inputs import changes, plan_changes
    from collectors import store
    from console.cli.rollout_reading import kept_of, plan_now
    from console.cli.rollout_shared import read_rollout, say
    from console.rollout_preview import preview_text

    with closing(store.open_reader(loaded.database_path)) as conn:
        found, kept = read_rollout(conn, loaded, rollout_id), kept_of(conn, rollout_id)
    if found.rollout.state is not RolloutState.DRAFT:
        say(f"rollout {rollout_id} is {found.rollout.state}: only a draft is started")
        return ExitCode.REFUSED
    if kept is None:
        say(f"what {rollout_id} was made from is not stored: plan anew")
        return ExitCode.REFUSED
    moment = now().astimezone()
    planned = plan_now(loaded, rollout_id, kept.asking, moment)
    told = changes(kept.inputs, planned.inputs) or plan_changes(found.plan, planned.plan)
    if told:
        _say_changes(rollout_id, told)
        return ExitCode.REFUSED
    text = preview_text(
        planned, now=moment, colour=console.colour, ascii=console.ascii, width=console.width, stored=None
    )
    click.echo(text, color=True, err=True)
    if planned.problems:
        say(f"{rollout_id} is not started: put that right, then plan anew")
        return ExitCode.REFUSED
    return _unconfirmed(loaded, found.plan, yes=yes, expect_hosts=expect_hosts)


def _say_changes(rollout_id: str, told: list[str]) -> None:
    from console.cli.rollout_shared import say

    say(f"{rollout_id} is not started: what it was made from has changed since; plan anew")
    for line in told[:CHANGES_TOLD]:
        say(line)
    if len(told) > CHANGES_TOLD:
        say(f"and {len(told) - CHANGES_TOLD} more differences")


def _unconfirmed(loaded: LoadedFleet, plan: Plan, *, yes: bool, expect_hosts: int | None) -> ExitCode | None:
    """By --yes, else by what a person types; None: confirmed."""
    from console.cli.ordering import extent_of
    from console.cli.rollout_shared import say
    from console.ordering_rules import wanted
    from console.rollout_preview import action_words
    from console.visible import hosts_words

    part = [host.name for host in plan.hosts if host.skipped is None]
    count = len(part)
    if expect_hosts is not None and expect_hosts != count:
        say(f"{hosts_words(count)} it is, not {expect_hosts}: it is not started")
        return ExitCode.REFUSED
    if yes and (count == 1 or expect_hosts is not None or can_ask()):
        return None
    if not can_ask():
        expected = f" --expect-hosts {count}" if count > 1 else ""
        say(f"there is no terminal to ask at: say --yes{expected} if you mean it; it is not started")
        return ExitCode.USAGE
    typed = wanted(part, extent_of(loaded))
    question = f"type {typed.text} to take {action_words(plan.action)} to {typed.what}"
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    if answer.strip() == typed.text:
        return None
    say("not confirmed: it is not started")
    return ExitCode.REFUSED
