"""Which host belongs to which cohort, and in which order their turns come. Pure.

Each cohort takes from the hosts that none before it took, spread over the values of the plan's labels one
after another, otherwise by SHA-256 of the plan's id and the host: nobody's favourites, and the same for the
same plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256

from collectors.fleet_model import Cohort, TakeKind


def rank(plan_id: str, host: str) -> str:
    return sha256(f"{plan_id} {host}".encode()).hexdigest()


def spread(plan_id: str, hosts: Iterable[str], values: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The hosts in the order of their turns: one of each combination of `values`, then the next of each."""
    ranked = sorted(hosts, key=lambda host: rank(plan_id, host))
    heaps: dict[tuple[str, ...], list[str]] = {}
    for host in ranked:
        heaps.setdefault(values.get(host, ()), []).append(host)
    rounds = max(map(len, heaps.values()), default=0)
    return [heap[number] for number in range(rounds) for heap in heaps.values() if number < len(heap)]


def take(
    plan_id: str,
    cohorts: Sequence[Cohort],
    hosts: Collection[str],
    takes_part: Collection[str],
    matches: Mapping[str, Collection[str]],
    values: Mapping[str, tuple[str, ...]],
) -> tuple[list[list[str]], list[str]]:
    """Each cohort's hosts in the order of their turns, and those that no cohort takes.

    A number or a percentage counts hosts that take part, the percentage of all of those. Whoever takes no
    part is in the cohort whose selection names it, else in `rest`. `matches`: selection -> its hosts.
    """
    left, part = set(hosts), set(takes_part) & set(hosts)
    total, made = len(part), list[list[str]]()
    for cohort in cohorts:
        match cohort.kind:
            case TakeKind.SELECTION:
                taken = left & set(matches.get(cohort.selection or "", ()))
            case TakeKind.SHARE:
                ordered = spread(plan_id, left & part, values)
                taken = set(ordered[: cohort.share.of(total) if cohort.share else 0])
            case TakeKind.REST:
                taken = set(left)
        left -= taken
        made.append(spread(plan_id, taken, values))
    return made, sorted(left)
