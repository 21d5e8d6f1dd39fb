"""What is typed for one plan, laid over a template: cohorts, soaks, limits. Pure.

`Overrides` is kept with the plan, so that its inputs can be made again when it is started.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from collectors.errors import ConfigError
from collectors.fleet_keys import did_you_mean
from collectors.fleet_model import (
    Cohort,
    GateKind,
    OnHalt,
    RolloutTemplate,
    SelfUpdate,
    Share,
    Source,
    TakeKind,
)

BUILT_IN = "built-in"
SOAK_S = 3600
_SHARE = re.compile(r"([0-9]{1,6})(%?)", flags=re.ASCII)
_NAMED = re.compile(r"([A-Za-z][A-Za-z0-9_-]{0,39})=(.+)", flags=re.ASCII | re.DOTALL)
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Overrides:
    """What one plan wants otherwise than its template; None leaves it as it is."""

    cohorts: tuple[str, ...] | None = None
    """A word each: a cohort of the template, a group, a selection, N, N%, rest; NAME=WORD names it."""
    soak_s: tuple[int, ...] = ()
    """For the cohorts in their order; the last one holds for those after it too."""
    budget: str | None = None
    per_label: tuple[tuple[str, int], ...] | None = None
    settle_s: int | None = None
    tolerance: int | None = None
    windows: tuple[str, ...] | None = None
    on_halt: OnHalt | None = None
    keep_staged: bool | None = None
    accept_self_update: str | None = None
    """Why hosts that update by themselves are accepted."""
    source: Source | None = None
    prometheus_url: str | None = None
    """For the gates of that kind whose template leaves it open."""


@dataclass(frozen=True, slots=True)
class Names:
    """The fleet file's names that may be typed."""

    groups: Collection[str]
    labels: Collection[str]
    windows: Collection[str]


def built_in() -> RolloutTemplate:
    """For a fleet file without `[rollouts.default]`: one host, then a tenth, then the rest."""
    cohorts = (
        Cohort("canary", TakeKind.SHARE, None, Share(1, is_percent=False), SOAK_S, 0),
        Cohort("wave-1", TakeKind.SHARE, None, Share(10, is_percent=True), SOAK_S, 0),
        Cohort("rest", TakeKind.REST, None, None, 0, 0),
    )
    return RolloutTemplate(BUILT_IN, cohorts)


def with_overrides(template: RolloutTemplate, typed: Overrides, names: Names) -> RolloutTemplate:
    """The template as this plan wants it. Raises ConfigError that names the option."""
    made = _cohorts(template, typed, names)
    gates = made.gates
    if typed.prometheus_url is not None:
        url = typed.prometheus_url
        gates = tuple(
            replace(gate, url=url) if gate.kind is GateKind.PROMETHEUS and gate.url is None else gate
            for gate in gates
        )
    for word in typed.windows or ():
        _check("--windows", "window", word, names.windows)
    for label, limit in typed.per_label or ():
        _check("--per-label", "label", label, names.labels)
        if limit < 1:
            raise ConfigError("--per-label", f"{label}={limit}", "is less than one host")
    accept = typed.accept_self_update
    return replace(
        made,
        budget=_share("--budget", typed.budget) if typed.budget is not None else made.budget,
        per_label=dict(typed.per_label) if typed.per_label is not None else made.per_label,
        settle_s=made.settle_s if typed.settle_s is None else typed.settle_s,
        windows=made.windows if typed.windows is None else typed.windows,
        on_halt=typed.on_halt or made.on_halt,
        keep_staged=made.keep_staged if typed.keep_staged is None else typed.keep_staged,
        self_update=SelfUpdate.ACCEPT if accept else made.self_update,
        self_update_reason=accept or made.self_update_reason,
        source=typed.source or made.source,
        gates=gates,
    )


def _check(option: str, what: str, word: str, known: Collection[str]) -> None:
    if word not in known:
        text = f'the fleet file has no {what} "{word}"{did_you_mean(word, known)}'
        raise ConfigError(option, "", text)


def _share(option: str, word: str) -> Share:
    found = _SHARE.fullmatch(word)
    if found is None or not 1 <= int(found[1]) <= (100 if found[2] else _MOST):
        raise ConfigError(option, word, "is no number of hosts and no percentage: write 5 or 10%")
    return Share(int(found[1]), is_percent=bool(found[2]))


def _cohorts(template: RolloutTemplate, typed: Overrides, names: Names) -> RolloutTemplate:
    tolerance = template.tolerance if typed.tolerance is None else typed.tolerance
    if typed.cohorts is None:
        cohorts = template.cohorts
    else:
        words = typed.cohorts
        cohorts = tuple(
            _cohort(template, word, number, len(words), tolerance, names) for number, word in enumerate(words)
        )
        _check_order(cohorts)
        known = {cohort.name for cohort in cohorts}
        lost = [gate.name for gate in template.gates if gate.cohort is not None and gate.cohort not in known]
        if lost:
            text = f"gate {lost[0]} of the template is for a cohort that is not in the plan"
            raise ConfigError("--cohorts", ",".join(words), text)
    if typed.tolerance is not None:
        cohorts = (cohorts[0], *(replace(cohort, tolerance=tolerance) for cohort in cohorts[1:]))
    soaks = typed.soak_s
    if soaks:
        if len(soaks) > len(cohorts):
            raise ConfigError("--soak", "", f"{len(soaks)} times for {len(cohorts)} cohorts")
        cohorts = tuple(
            replace(cohort, soak_s=soaks[min(number, len(soaks) - 1)])
            for number, cohort in enumerate(cohorts)
        )
    return replace(template, cohorts=cohorts, tolerance=tolerance)


def _cohort(
    template: RolloutTemplate, word: str, number: int, count: int, tolerance: int, names: Names
) -> Cohort:
    named = _NAMED.fullmatch(word)
    name, what = (named[1], named[2]) if named else (None, word)
    same = next((cohort for cohort in template.cohorts if cohort.name == what), None)
    if same is not None:
        return replace(same, name=name or same.name)
    usual = "rest" if what == "rest" else "canary" if number == 0 else f"wave-{number}"
    soak_s = 0 if number == count - 1 else SOAK_S
    limit = tolerance if number else 0
    if what == "rest":
        return Cohort(name or usual, TakeKind.REST, None, None, soak_s, limit)
    if _SHARE.fullmatch(what):
        share = _share("--cohorts", what)
        return Cohort(name or usual, TakeKind.SHARE, None, share, soak_s, limit)
    group = what.removeprefix("@")
    if group in names.groups:
        return Cohort(name or group, TakeKind.SELECTION, f"@{group}", None, soak_s, limit)
    if what.startswith("@"):
        _check("--cohorts", "group", group, names.groups)
    return Cohort(name or usual, TakeKind.SELECTION, what, None, soak_s, limit)


def _check_order(cohorts: tuple[Cohort, ...]) -> None:
    if not cohorts:
        raise ConfigError("--cohorts", "", "a rollout needs at least one cohort")
    for number, cohort in enumerate(cohorts):
        if any(cohort.name == other.name for other in cohorts[:number]):
            text = f'two cohorts are called "{cohort.name}": name one, like edge={cohort.name}'
            raise ConfigError("--cohorts", "", text)
        if cohort.kind is TakeKind.REST and number < len(cohorts) - 1:
            raise ConfigError("--cohorts", "", "rest leaves nothing for the cohorts after it")


def split_words(text: str) -> tuple[str, ...]:
    """Words between commas; those inside of brackets belong to a node set."""
    words, depth, begin = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "[(") - (char in "])")
        if char == "," and depth <= 0:
            words.append(text[begin:at])
            begin = at + 1
    words.append(text[begin:])
    return tuple(word.strip() for word in words if word.strip())
