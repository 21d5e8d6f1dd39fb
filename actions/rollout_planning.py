"""A plan from what is wanted and what is stored: the hosts' parts, its problems, its length. Pure.

Nothing is asked of a host here. A problem keeps the plan from being started; a warning is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from actions.orders import Force
from actions.rollout_plan import ActionKind, Plan, PlanCohort, PlanHost, RolloutAction, SkipReason
from actions.rollout_planning_cohorts import take
from actions.rollout_planning_follow import Followed, Ran, followed, without_canaries
from actions.rollout_planning_hosts import Care, HostPreview, Note, Stored, preview_host
from actions.rollout_planning_inputs import Inputs, digest_of, inputs_of
from actions.rollout_planning_time import Durations, Estimate, estimate
from actions.rollout_requests import why_unapprovable
from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from collectors.fleet_model import GateKind, RolloutTemplate, SelfUpdate, TakeKind, Window
from collectors.parse.os_release import version_key
from collectors.releases import CHANNELS, Feed


@dataclass(frozen=True, slots=True)
class PlanWish:
    """What is to be planned."""

    action: RolloutAction
    template: RolloutTemplate
    """With what was typed for this plan laid over it."""
    windows: tuple[Window, ...] = ()
    selection: str = ""
    """As typed, for people."""
    forced: Mapping[Force, str] = field(default_factory=dict)
    quiet: bool | None = None
    follows: bool = False
    rollback_of: str | None = None
    accept_drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What plans are made from."""

    fleet: str
    hosts: tuple[Stored, ...]
    """The plan's, by name; with `follows` those behind the canaries."""
    matches: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """A cohort's selection -> its hosts."""
    feed: Feed | None = None
    durations: Durations = field(default_factory=Durations)
    canaries: tuple[Stored, ...] = ()
    """Of a plan that follows them."""
    looks: tuple[Ran, ...] = ()
    """The canaries' versions over time."""
    fleetlock: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and how it is put right."""

    code: str
    text: str
    remedy: str = ""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    plan: Plan
    problems: tuple[Problem, ...]
    """With any of these it is not started."""
    warnings: tuple[Problem, ...]
    preview: tuple[HostPreview, ...]
    """In the plan's order."""
    estimate: Estimate | None
    inputs: Inputs
    followed: Followed | None = None


def resolve_target(word: str, feed: Feed | None) -> str:
    """The exact version that `--to` means: itself, or the newest release of a channel now.

    Raises ConfigError for a word that is neither.
    """
    if version_key(word) is not None and "+" not in word and word.isascii():
        return word
    releases = feed.of_group(word) if feed is not None else None
    if releases:
        return releases[-1].version
    hint = did_you_mean(word, CHANNELS)
    raise ConfigError("--to", repr(word), f"is no version and no channel of the release feed{hint}")


def make_plan(plan_id: str, wish: PlanWish, known: Known, now: datetime) -> Planned:
    """The plan, whatever is wrong with it."""
    inputs = inputs_of(wish.template, wish.windows, known.hosts, known.matches)
    template = without_canaries(wish.template) if wish.follows else wish.template
    care = Care(wish.action, tuple(wish.forced), template.self_update, wish.quiet, wish.accept_drop)
    stored = {item.host.name: item for item in known.hosts}
    seen = {item.host.name: preview_host(item, care, known.feed, now) for item in known.hosts}
    labels = {item.host.name: dict(item.host.labels) for item in known.hosts}
    values = {name: tuple(own.get(label, "") for label in template.per_label) for name, own in labels.items()}
    part = [name for name, host in seen.items() if host.skipped is None]
    taken, left = take(plan_id, template.cohorts, seen, part, known.matches, values)
    kept = [number for number, hosts in enumerate(taken) if hosts or number == 0]
    hosts = tuple(
        _plan_host(stored[name], seen[name], place)
        for place, number in enumerate(kept)
        for name in taken[number]
    )
    plan = _plan(plan_id, wish, template, known.fleet, hosts, kept, len(part) - len(set(left) & set(part)))
    plan = replace(plan, snapshot=digest_of(inputs), made_at=now)
    names = [template.cohorts[number].name for number in kept]
    preview = tuple(replace(seen[host.name], cohort=names[host.cohort]) for host in hosts)
    guess = estimate(plan, known.durations, now) if hosts else None
    made = Planned(plan, (), (), preview, guess, inputs, _followed(wish, known, now))
    emptied = [cohort.name for number, cohort in enumerate(template.cohorts) if number not in kept]
    problems = tuple(_problems(made, wish, template, known))
    warnings = tuple(_warnings(made, wish, known, left, emptied))
    return replace(made, problems=problems, warnings=warnings)


def _plan_host(item: Stored, seen: HostPreview, cohort: int) -> PlanHost:
    host = item.host
    return PlanHost(
        host.name,
        cohort,
        dict(host.labels),
        item.machine_id,
        item.version,
        host.reboot_deadline_s,
        host.confirm_deadline_s,
        seen.skipped,
        seen.moves_itself,
        seen.quiets,
    )


def _plan(
    plan_id: str,
    wish: PlanWish,
    template: RolloutTemplate,
    fleet: str,
    hosts: tuple[PlanHost, ...],
    kept: Sequence[int],
    part: int,
) -> Plan:
    cohorts = (template.cohorts[number] for number in kept)
    return Plan(
        plan_id,
        fleet,
        wish.action,
        hosts,
        tuple(PlanCohort(cohort.name, cohort.soak_s, cohort.tolerance) for cohort in cohorts),
        template.budget.of(part),
        dict(template.per_label),
        template.settle_s,
        template.tolerance,
        wish.windows,
        template.on_halt,
        template.keep_staged,
        template.self_update,
        template.self_update_reason,
        template.source,
        template.gates,
        dict(wish.forced),
        wish.accept_drop,
        wish.selection,
        rollback_of=wish.rollback_of,
    )


def _followed(wish: PlanWish, known: Known, now: datetime) -> Followed | None:
    follow, version = wish.template.follow, wish.action.version
    if not wish.follows or follow is None or version is None:
        return None
    return followed(follow, version, known.canaries, known.looks, now)


# -- what keeps it from being started --------------------------------------------------------------------


def _problems(made: Planned, wish: PlanWish, template: RolloutTemplate, known: Known) -> Iterator[Problem]:
    plan = made.plan
    lately = {item.host.name for item in known.hosts if item.is_asked_lately}
    unasked = tuple(host.name for host in plan.hosts if host.name not in lately)
    if unasked:
        yield Problem(
            "not-asked",
            "not asked of late, so what is stored may be wrong",
            "run fleetctl collect, then plan anew",
            unasked,
        )
    yield from _canary_problems(made)
    yield from _mover_problems(made, wish)
    for gate in plan.gates:
        if gate.kind is GateKind.PROMETHEUS and gate.url is None:
            remedy = "give it in the fleet file, or with --prometheus-url"
            yield Problem(
                "gate-without-url", f"gate {gate.name} does not say which Prometheus to ask", remedy
            )
    if plan.hosts and made.estimate is None:
        remedy = "name a longer window with --windows, or shorten reboot_deadline"
        yield Problem("window-too-short", "no window has room for a reboot with its deadline", remedy)
    if made.followed is not None:
        yield from _follow_problems(made.followed, wish)
    movers = any(host.moves_itself and not host.quiets for host in plan.hosts)
    text = None if movers and plan.self_update is SelfUpdate.REFUSE else why_unapprovable(plan)
    if text is not None and plan.hosts:
        yield Problem("unapprovable", text)


def _canary_problems(made: Planned) -> Iterator[Problem]:
    plan = made.plan
    if not any(host.skipped is None for host in plan.hosts):
        yield Problem("nothing-to-do", "no host takes part", "see why each is left out, or select others")
        return
    first = plan.by_cohort[0] if plan.cohorts else ()
    if any(host.skipped is None for host in first):
        return
    if first and all(host.skipped is SkipReason.ALREADY_THERE for host in first):
        return
    name = plan.cohorts[0].name
    remedy = "name other hosts for it with --cohorts, or select its hosts too"
    yield Problem("canary-empty", f"{name}, the first cohort, has no host that takes part", remedy)


def _mover_problems(made: Planned, wish: PlanWish) -> Iterator[Problem]:
    if made.plan.self_update is SelfUpdate.ACCEPT:
        return
    loud = [host for host in made.preview if host.moves_itself and not host.quiets]
    armed = tuple(host.name for host in loud if host.is_armed)
    if armed:
        yield Problem(
            "reboots-itself",
            "may reboot into what is staged there before their turn",
            "fleetctl cancel them first, or --accept-self-update REASON",
            armed,
        )
    fetching = tuple(host.name for host in loud if not host.is_armed)
    if fetching:
        yield Problem(
            "updates-itself",
            "would update by themselves before their turn",
            "--quiet switches their updates off first and gives them back at the end, or accept it:"
            " --accept-self-update REASON",
            fetching,
        )


def _follow_problems(found: Followed, wish: PlanWish) -> Iterator[Problem]:
    channel = wish.template.follow.channel if wish.template.follow else ""
    if not found.canaries:
        yield Problem("follow-no-canaries", "no host is a canary to follow", "give the canary cohort hosts")
        return
    if found.wrong_channel:
        text = f"are canaries and do not follow {channel}"
        remedy = f"fleetctl channel {channel} on them, or take them out of the canary cohort"
        yield Problem("follow-channel", text, remedy, found.wrong_channel)
    if found.went_back:
        text = f"are canaries and went back from a release of {found.major}"
        yield Problem("follow-went-back", text, "read why before it goes on", found.went_back)
    if found.left_s > 0:
        days, whom = found.left_s / 86400, found.youngest
        text = (
            f"{found.major} has not run {found.days} days on each canary: {days:.1f} days are left on {whom}"
        )
        yield Problem("follow-too-early", text, "wait, or plan without --follow")


# -- what is told beside it ------------------------------------------------------------------------------


def _warnings(
    made: Planned, wish: PlanWish, known: Known, left: Sequence[str], emptied: Sequence[str]
) -> Iterator[Problem]:
    plan, version = made.plan, wish.action.version
    if left:
        yield Problem("in-no-cohort", "are in no cohort: the plan leaves them alone", hosts=tuple(left))
    for name in emptied:
        yield Problem("cohort-empty", f"cohort {name} has no host and is left out")
    first = plan.by_cohort[0] if plan.cohorts else ()
    if first and all(host.skipped is SkipReason.ALREADY_THERE for host in first):
        name = plan.cohorts[0].name
        yield Problem("canary-done", f"each host of {name} is there already: it is passed at once")
    feed = known.feed
    every = {item.version for releases in feed.channels.values() for item in releases} if feed else set()
    if wish.action.kind is ActionKind.RELEASE and version not in every:
        yield Problem("not-in-feed", f"{version} is not in the release feed: what comes with it is not known")
    accepted = tuple(host.name for host in plan.hosts if host.moves_itself and not host.quiets)
    if accepted and plan.self_update is SelfUpdate.ACCEPT:
        text = f"may update before their turn, outside of the canary's promise: {plan.self_update_reason}"
        yield Problem("self-update-accepted", text, hosts=accepted)
    if wish.template.cohorts[0].kind is TakeKind.REST:
        yield Problem("one-cohort", "every host is in the first cohort: nothing is tried out before")
    yield from _noted(made.preview)


def _noted(preview: Iterable[HostPreview]) -> Iterator[Problem]:
    """Notes of hosts, equal ones once."""
    alike: dict[Note, list[str]] = {}
    for host in preview:
        if host.skipped is SkipReason.ALREADY_THERE:
            continue
        for note in host.notes:
            alike.setdefault(note, []).append(host.name)
    for note, names in alike.items():
        yield Problem(note.code, note.text, hosts=tuple(names))
