"""`fleetctl rollout plan`: a draft from a template, from what is typed, and from what is stored."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click

from actions.orders import Force
from actions.rollout_plan import ActionKind, RolloutAction
from actions.rollout_planning_terms import Overrides, split_words
from collectors.errors import ConfigError
from collectors.fleet_model import OnHalt, Source
from console.cli.completing import complete_groups, complete_hosts
from console.cli.context import Console, now
from console.exit_codes import ExitCode
from console.when import parse_span

if TYPE_CHECKING:
    from datetime import datetime

    from actions.record import Actor
    from actions.rollout_planning import Planned
    from console.cli.reading import Whole
    from console.cli.rollout_reading import Asking


@dataclass(frozen=True, slots=True)
class Typed:
    """Which hosts, and what of it all is wanted."""

    selection: tuple[str, ...]
    hosts: tuple[str, ...]
    groups: tuple[str, ...]
    everyone: bool
    limit: int | None


_OPTIONS = (
    click.argument("selection", nargs=-1, shell_complete=complete_hosts),
    click.option("--to", metavar="VERSION|CHANNEL", help="This release, or the newest one of a channel now."),
    click.option("--channel", metavar="CHANNEL", help="Let hosts follow another channel."),
    click.option("--roll-back", "back", is_flag=True, help="Back to the other slot's older release."),
    click.option("--follow", "follows", is_flag=True, help="Behind canaries on a higher channel."),
    click.option("--template", default="default", show_default=True, help="[rollouts.NAME] to begin with."),
    click.option("--host", "hosts", multiple=True, help="A host, or a node set. May be repeated."),
    click.option("--group", "groups", multiple=True, shell_complete=complete_groups, help="May be repeated."),
    click.option("--all", "everyone", is_flag=True, help="Every host of the fleet."),
    click.option("--limit", type=click.IntRange(min=1), help="Only the first N hosts by name."),
    click.option("--cohorts", metavar="LIST", help="Like canary,10%,rest; NAME=WORD gives one a name."),
    click.option("--soak", metavar="TIMES", help="Of each cohort, like 24h,2h,0; the last holds on."),
    click.option("--budget", metavar="N|N%", help="Hosts disturbed at once."),
    click.option("--per-label", multiple=True, metavar="LABEL=N", help="And with one value of a label."),
    click.option("--settle", metavar="TIME", help="How long each host must stay healthy."),
    click.option(
        "--tolerance", type=click.IntRange(min=0), help="Failures in all; the canary keeps its own."
    ),
    click.option("--windows", metavar="LIST", help="Names of windows, or none: at any time."),
    click.option("--on-halt", type=click.Choice([word.value for word in OnHalt]), help="What a halt does."),
    click.option("--keep-staged/--disarm", "keep_staged", default=None, help="What a halt leaves staged."),
    click.option("--source", type=click.Choice([word.value for word in Source]), help="How it is staged."),
    click.option(
        "--quiet/--no-quiet",
        default=None,
        help="Switch updates off first, given back at the end. Unsaid: where the fleet file does not want"
        " hosts to update by themselves.",
    ),
    click.option("--accept-self-update", metavar="REASON", help="Hosts may update before their turn."),
    click.option(
        "--accept-drop", multiple=True, metavar="NAME", help="An extension that may be lost. May be repeated."
    ),
    click.option("--prometheus-url", metavar="URL", help="For gates that do not say which one to ask."),
    click.option(
        "--force",
        "forces",
        multiple=True,
        type=click.Choice([force.value for force in Force]),
        help="Set one refusal aside. Needs --reason.",
    ),
    click.option("--reason", help="Why it is forced; for the record."),
    click.option("--actor", "said", metavar="TEXT", help="Who you are, where an account is shared."),
    click.option("--json", "as_json", is_flag=True, help="One object, schema fleetctl.rollout/1."),
    click.option("--dry-run", is_flag=True, help="Show the plan, do not store it."),
)


@click.command("plan", help="Make a draft and show it. Sends nothing.")
@click.pass_obj
def plan(console: Console, /, **options: Any) -> ExitCode:
    from actions.actor import current_actor
    from actions.orderbook import new_id
    from console.cli.reading import read_whole
    from console.cli.rollout_reading import plan_from

    moment = now().astimezone()
    overrides, forced = overrides_of(options), _forced(options)
    whole = read_whole(console.load(), moment)
    asking = _asking(whole, options, overrides, forced)
    plan_id = f"r-{new_id(moment).partition('-')[2]}"
    planned = plan_from(whole, plan_id, asking, moment)
    actor = current_actor(said=options["said"])
    head = None
    if not planned.problems and not options["dry_run"]:
        head = _store(whole, planned, asking, actor, moment)
    return _show(console, planned, actor, moment, head, as_json=options["as_json"])


for _option in _OPTIONS:  # a command that is there already takes them in this order
    plan = _option(plan)


def _asking(whole: Whole, options: dict[str, Any], overrides: Overrides, forced: dict[Force, str]) -> Asking:
    from console.cli.rollout_reading import Asking

    action = _action(whole, options)
    names = ("selection", "hosts", "groups", "everyone", "limit")
    typed = Typed(*(options[name] for name in names))
    return Asking(
        action,
        tuple(selected(whole, typed)),
        _selection_words(typed),
        options["template"],
        overrides,
        forced,
        options["quiet"],
        options["follows"],
        tuple(options["accept_drop"]),
    )


def _action(whole: Whole, options: dict[str, Any]) -> RolloutAction:
    """What is taken to the hosts. Raises UsageError for none or several, ConfigError for a wrong word."""
    from actions.rollout_planning import resolve_target
    from actions.rollout_planning_follow import follow_problem
    from collectors.inventory_checks import channel_problem
    from console.cli.rollout_reading import template_of

    to, channel, back, follows = (options[name] for name in ("to", "channel", "back", "follows"))
    if (channel is not None) + back + (to is not None or follows) != 1:
        raise click.UsageError("say one of --to, --channel, --roll-back, --follow: what is to be rolled out")
    if channel is not None:
        problem = channel_problem(channel)
        if problem:
            raise ConfigError("--channel", "", problem)
        return RolloutAction(ActionKind.CHANNEL, channel=channel)
    if back:
        return RolloutAction(ActionKind.ROLL_BACK)
    if follows:
        template = template_of(whole.loaded.fleet, options["template"], overrides_of(options))
        problem = follow_problem(template)
        if problem:
            raise ConfigError("--follow", "", problem)
    return RolloutAction(ActionKind.RELEASE, version=resolve_target(to or "stable", whole.feed))


def selected(whole: Whole, typed: Typed) -> list[str]:
    """The hosts meant, by name. Raises ConfigError for none, or for a selection too loose."""
    from console.cli.picking import exactly

    given = bool(typed.selection or typed.hosts or typed.groups)
    if given == typed.everyone:
        both = "names hosts and says --all" if given else "names no host; name some, or say --all"
        raise ConfigError("selection", "", both)
    if typed.everyone:
        found = [host.name for host in whole.loaded.fleet.hosts]
    else:
        found = exactly(whole.view, typed.selection, typed.hosts, typed.groups)
    if not found:
        words = " ".join((*typed.selection, *typed.hosts, *typed.groups))
        raise ConfigError(whole.loaded.path.name, words, "means no host of the fleet")
    return sorted(found)[: typed.limit]


def _selection_words(typed: Typed) -> str:
    if typed.everyone:
        words = ["--all"]
    else:
        groups = [f"@{name.removeprefix('@')}" for name in typed.groups]
        words = [*typed.selection, *typed.hosts, *groups]
    return " ".join(words) + (f", the first {typed.limit}" if typed.limit is not None else "")


def overrides_of(options: dict[str, Any]) -> Overrides:
    """What was typed for this plan. Raises ConfigError that names the option."""
    windows = options["windows"]
    words = split_words(windows) if windows is not None else None
    accept = " ".join((options["accept_self_update"] or "").split())
    if options["accept_self_update"] is not None and not accept:
        raise click.UsageError("--accept-self-update is empty: say why")
    soaks = split_words(options["soak"]) if options["soak"] is not None else ()
    return Overrides(
        split_words(options["cohorts"]) if options["cohorts"] is not None else None,
        tuple(_span("--soak", word) for word in soaks),
        options["budget"],
        _per_label(options["per_label"]),
        _span("--settle", options["settle"]) if options["settle"] is not None else None,
        options["tolerance"],
        () if words == ("none",) else words,
        OnHalt(options["on_halt"]) if options["on_halt"] else None,
        options["keep_staged"],
        accept or None,
        Source(options["source"]) if options["source"] else None,
        options["prometheus_url"],
    )


def _span(option: str, word: str) -> int:
    return 0 if word in ("0", "0s") else int(parse_span(word, place=option))


def _per_label(words: tuple[str, ...]) -> tuple[tuple[str, int], ...] | None:
    found = []
    for word in words:
        label, _, number = word.partition("=")
        if not label or not (number.isascii() and number.isdigit() and len(number) < 7):
            raise ConfigError("--per-label", repr(word), "is not LABEL=N")
        found.append((label, int(number)))
    return tuple(found) or None


def _forced(options: dict[str, Any]) -> dict[Force, str]:
    text = " ".join((options["reason"] or "").split())
    if options["forces"] and not text:
        raise click.UsageError("--force needs --reason: why it is right all the same")
    return {Force(force): text for force in options["forces"]}


def _store(whole: Whole, planned: Planned, asking: Asking, actor: Actor, moment: datetime) -> str:
    """The draft with its row of the record, in one transaction; the record's head."""
    from actions import ledger, rollout_tables
    from actions.engine import encode, instant
    from actions.record import Entry, Event
    from actions.rollout import begin
    from actions.rollout_plan import Now
    from collectors import store
    from console.cli.rollout_reading import Kept, keep
    from console.rollout_preview import title_of

    drafted, title = planned.plan, title_of(planned.plan)
    at = moment.astimezone(UTC)
    told = {"plan": drafted.digest, "snapshot": drafted.snapshot, "selection": drafted.selection}
    text = f"plan {title}, {len(drafted.hosts)} hosts"
    entry = Entry(moment, actor, "rollout", Event.ASKED, order=drafted.id, text=text, evidence=told)
    with closing(store.open_writer(whole.loaded.database_path, durable=True)) as conn:
        with store.transaction(conn):
            rollout_tables.put_rollout(
                conn,
                drafted,
                begin(drafted, Now(at, at)),
                at=instant(moment),
                title=title,
                actor=encode(actor).decode(),
            )
            keep(conn, drafted.id, Kept(asking, planned.inputs))
            head = ledger.append(conn, [entry])
    return head.whole


def _show(
    console: Console, planned: Planned, actor: Actor, moment: datetime, head: str | None, *, as_json: bool
) -> ExitCode:
    from actions.record import parse_head
    from console.cli.rollout_shared import print_json
    from console.rollout_document import plan_document
    from console.rollout_preview import preview_text

    if as_json:
        document = plan_document(planned, actor, at=moment, stored=head is not None, head=head)
        print_json(console, document)
    else:
        text = preview_text(
            planned,
            now=moment,
            colour=console.colour,
            ascii=console.ascii,
            width=console.width,
            stored=head is not None,
        )
        click.echo(text, color=True)
    if head is not None:
        click.echo(f"record {parse_head(head)}", err=True)
    return ExitCode.REFUSED if planned.problems else ExitCode.OK
