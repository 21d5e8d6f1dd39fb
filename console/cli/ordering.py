"""What all verbs share: which hosts, a plan from a fresh look, its confirmation, the order, and its end.

The order is carried out by `fleetctl run ID` in a session of its own; whoever waits here only reads.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from actions.orders import Asked, Phase, Placed, Step, Verb, asked_words
from collectors.errors import ConfigError
from console.cli.context import Console
from console.cli.terms import Terms
from console.exit_codes import ExitCode
from console.folding import fold_names
from console.ordering_rules import Extent, too_many, wanted
from console.visible import hosts_words, visible

if TYPE_CHECKING:
    from actions.looking import Basis
    from actions.uploading import Payload
    from collectors.fleet_file import LoadedFleet

AT_ONCE = 16
"""Hosts at work at the same time where nothing is rebooted."""


def give(console: Console, asked: Asked, terms: Terms) -> int:
    """From a verb to its end: plan, confirm, order, wait. The exit code."""
    from actions.actor import current_actor
    from actions.orderbook import new_id
    from actions.uploading import read_payload
    from collectors.sweep import utc_now

    asked = replace(asked, forces=terms.forces)
    loaded = console.load()
    payload = read_payload(asked)
    hosts = selected(loaded, terms)
    at_once = terms.at_once or (1 if asked.verb.reboots else AT_ONCE)
    many = _too_many(loaded, asked, hosts, terms)
    if many:
        _say(many)
        return ExitCode.REFUSED
    unconfirmed = _why_unconfirmed(hosts, terms)
    if unconfirmed is not None:
        code, text = unconfirmed
        _say(text)
        return code
    now = utc_now()
    actor = current_actor(said=terms.said)
    order = Placed(new_id(now), now, asked, actor, at_once=at_once, stops=asked.verb.reboots)
    steps = _planned(loaded, order, hosts, payload, terms)
    return _go_on(console, loaded, order, steps, terms)


def selected(loaded: LoadedFleet, terms: Terms) -> list[str]:
    """The hosts meant, by name. Raises ConfigError for none, or for a selection too loose for a verb."""
    from console.cli.context import now
    from console.cli.picking import exactly
    from console.cli.reading import read_whole

    given = bool(terms.selection or terms.hosts or terms.groups)
    if given == terms.everyone:
        both = "names hosts and says --all" if given else "names no host; name some, or say --all"
        raise ConfigError("selection", "", both)
    if terms.everyone:
        found = [host.name for host in loaded.fleet.hosts]
    else:
        view = read_whole(loaded, now()).view
        found = exactly(view, terms.selection, terms.hosts, terms.groups)
    if not found:
        raise ConfigError(loaded.path.name, " ".join(terms.selection), "means no host of the fleet")
    return sorted(found)[: terms.limit]


def extent_of(loaded: LoadedFleet) -> Extent:
    """What is the whole, and a whole group, of a fleet."""
    fleet = loaded.fleet
    return Extent(fleet.name, len(fleet.hosts), tuple((group.name, group.hosts) for group in fleet.groups))


def _too_many(loaded: LoadedFleet, asked: Asked, hosts: Sequence[str], terms: Terms) -> str | None:
    """Why this many hosts are not rebooted by a one-shot command; None: they may be."""
    if terms.at_once is not None or terms.dry_run:
        return None
    return too_many(asked.verb, hosts, extent_of(loaded))


def _planned(
    loaded: LoadedFleet, order: Placed, hosts: Sequence[str], payload: Payload | None, terms: Terms
) -> list[Step]:
    """Ask every host, and plan its step. Stores what the hosts say, sends nothing."""
    from actions.looking import Looker
    from actions.placing import plan_all
    from actions.runner import Tools, settle
    from actions.wall_clock import WallClock
    from collectors import store
    from collectors.ssh import SshTransport
    from console.cli.following import take_up
    from console.cli.sweeping import Progress

    basis, clock = basis_of(loaded, payload), WallClock()
    with closing(store.open_writer(loaded.database_path, durable=True)) as conn:
        for name in take_up(loaded, conn) if not terms.dry_run else ():
            _say(f"{name} was left by its process: its hosts are looked at")

        async def plan() -> list[Step]:
            progress = Progress(len(hosts))
            async with SshTransport(keep=True, connections=loaded.fleet.connections) as transport:
                looker = Looker(conn, transport, basis, clock)
                if not terms.dry_run:
                    await settle(conn, Tools(transport, basis, clock), hosts)
                steps = await plan_all(
                    looker,
                    order,
                    hosts,
                    payload=payload,
                    timeout_s=terms.timeout_s,
                    connections=loaded.fleet.connections,
                    seen=lambda step: progress.one_more(),
                )
            progress.end()
            return steps

        return asyncio.run(plan())


def basis_of(loaded: LoadedFleet, payload: Payload | None) -> Basis:
    """What orders on this fleet are made with. Raises ConfigError."""
    from actions.looking import Basis
    from collectors.fleet_file import check_database_place
    from console.cli.sweeping import setup_of

    setup = setup_of(loaded)
    check_database_place(loaded.database_path)
    return Basis(setup.fleet, setup.targets, setup.feed, payload.size_bytes if payload else None)


def _go_on(console: Console, loaded: LoadedFleet, order: Placed, steps: list[Step], terms: Terms) -> int:
    """Show the plan; give the order where it is confirmed."""
    from console.order_document import exit_code, host_document, order_document, plan_digest, what_runs
    from console.order_text import commands_text, plan_text

    code = exit_code(((step.phase, _code(step)) for step in steps), is_plan=True)
    goes = [step for step in steps if step.phase is Phase.PLANNED]
    if terms.dry_run and terms.as_json:
        hosts = [host_document(step, step.phase, code=_code(step)) for step in steps]
        _print_json(console, order_document(order, hosts, dry_run=True, head=None, code=code))
        return code
    digest = plan_digest(
        (step.host, what_runs(step.before, step.command, step.after)) for step in goes if step.command
    )
    if not terms.dry_run and terms.expect_plan not in (None, digest):
        _say(_moved(steps))
        return ExitCode.REFUSED
    shown = plan_text(order, steps, colour=console.colour, ascii=console.ascii, width=console.width)
    click.echo(shown, color=True, err=not terms.dry_run)
    if terms.dry_run:
        click.echo(commands_text(order, steps, _verb_text(order.asked.verb), ascii=console.ascii))
        if digest is not None:
            click.echo(f"\nplan {digest}")
        return code
    if goes and not _is_confirmed(loaded, order, goes, terms):
        return ExitCode.REFUSED
    return _give(console, loaded, order, steps, terms)


def _moved(steps: Sequence[Step]) -> str:
    """Why a plan is not the one that was approved; the hosts are known where they are not in it any more."""
    out = tuple(step.host for step in steps if step.phase is not Phase.PLANNED)
    who = fold_names(out) if out else "at least one host"
    return f"the plan is not the one that was approved: {who} moved; look at it again. Nothing was sent"


def _code(step: Step) -> str | None:
    return step.refusals[0].code if step.refusals else ("already-so" if step.phase is Phase.ALREADY else None)


def _verb_text(verb: Verb) -> str:
    from actions.remote.sudoers import TEXTS

    return TEXTS[verb].text


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _why_unconfirmed(hosts: Sequence[str], terms: Terms) -> tuple[ExitCode, str] | None:
    """Why this order could not be confirmed, whatever its plan is: known before any host is asked.

    Without a terminal more hosts than one need their number beside --yes.
    """
    count = len(hosts)
    if terms.dry_run:
        return None
    if terms.expect_hosts is not None and terms.expect_hosts != count:
        text = f"{hosts_words(count)} it is, not {terms.expect_hosts}: nothing was sent"
        return ExitCode.REFUSED, text
    if _can_ask() or (terms.yes and (count == 1 or terms.expect_hosts is not None)):
        return None
    expected = f" --expect-hosts {count}" if count > 1 else ""
    return (
        ExitCode.USAGE,
        f"there is no terminal to ask at: say --yes{expected} if you mean it; nothing was sent",
    )


def _is_confirmed(loaded: LoadedFleet, order: Placed, goes: Sequence[Step], terms: Terms) -> bool:
    """By --yes, else by what a person types."""
    if terms.yes:
        return True
    wanted, question = _question(loaded, order, goes)
    answer: str = click.prompt(question, default="", show_default=False, err=True)
    if answer.strip() == wanted:
        return True
    _say("not confirmed: nothing was sent")
    return False


def _question(loaded: LoadedFleet, order: Placed, goes: Sequence[Step]) -> tuple[str, str]:
    """What is to be typed, and the question."""
    typed = wanted([step.host for step in goes], extent_of(loaded))
    return typed.text, f"type {typed.text} to {asked_words(order.asked)} on {typed.what}"


def _say(text: str) -> None:
    click.echo(f"fleetctl: {visible(text)}", err=True)


def _give(console: Console, loaded: LoadedFleet, order: Placed, steps: list[Step], terms: Terms) -> int:
    """Write the order down and have it carried out."""
    from actions.orderbook import Book
    from collectors import store
    from collectors.sweep import utc_now
    from console.cli.following import follow, show_order, start_runner

    with closing(store.open_writer(loaded.database_path, durable=True)) as conn:
        Book(conn).place(order, steps, utc_now())
    if all(step.phase is not Phase.PLANNED for step in steps):
        return show_order(console, loaded, order.id, as_json=terms.as_json)
    runner = start_runner(loaded.path, loaded.database_path, order.id)
    if not terms.wait:
        if terms.as_json:
            return show_order(console, loaded, order.id, as_json=True, code=ExitCode.OK)
        click.echo(order.id)
        _say(f"{order.id} goes on by itself; its end: fleetctl run {order.id}")
        return ExitCode.OK
    try:
        follow(console, loaded, order.id, runner)
    except KeyboardInterrupt:
        _say(f"nobody waits any more; {order.id} goes on by itself, its end: fleetctl run {order.id}")
        return ExitCode.INTERRUPTED
    return show_order(console, loaded, order.id, as_json=terms.as_json)


def _print_json(console: Console, document: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(document, ensure_ascii=console.is_plain, separators=(",", ":")))
