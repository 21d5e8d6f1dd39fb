"""Which hosts are equal to a person, and the names of many in few words. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Sequence
from functools import lru_cache

from collectors.host_names import is_name
from console.rows import HostRow, SlotCell

_NAMES_MOST = 500
_NAMES_MOST_HARD = 24
"""Names in which several numbers differ take the node-set library about a millisecond each."""
_DIGITS = re.compile("[0-9]+")


def signature(row: HostRow) -> Hashable:
    """Equal for hosts that a person need not look at one by one. A and B may have changed places."""
    running, other = (row.slot_b, row.slot_a) if row.running == "B" else (row.slot_a, row.slot_b)
    return (
        row.state, row.certain, row.stale, row.answered, row.version, row.channel, row.running is None,
        row.next is None or row.next == row.running, _slot(running), _slot(other), row.extensions,
        row.extension_problems, row.behind, row.health, row.will_reboot_by_itself, row.order,
        row.hold, tuple([code for code, _ in row.reasons]) if row.reasons else (),
    )  # fmt: skip


def _slot(cell: SlotCell | None) -> tuple[str | None, bool] | None:
    return None if cell is None else (cell.version, cell.dead)


@lru_cache(maxsize=256)
def fold_names(names: tuple[str, ...]) -> str:
    """Names as one node set, `edge-fra-[003-011]`; of very many the first only, which an ellipsis says."""
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException  # only folds pay for it

    first = names[:_NAMES_MOST]
    if _is_hard(first):
        first = first[:_NAMES_MOST_HARD]
    more = ",…" if len(first) < len(names) else ""
    if all(map(is_name, first)):
        try:
            return str(NodeSet.fromlist(first, resolver=RESOLVER_NOGROUP)) + more
        except NodeSetException:  # a name that means more to it than a name
            pass
    return ",".join(first) + more


def _is_hard(names: Sequence[str]) -> bool:
    """Whether more than one number differs among names that are the same but for their numbers."""
    seen: defaultdict[str, list[set[str]]] = defaultdict(list)
    for name in names:
        numbers = _DIGITS.findall(name)
        found = seen[_DIGITS.sub("0", name)]
        found += [set() for _ in numbers[len(found) :]]
        for values, number in zip(found, numbers, strict=True):
            values.add(number)
    return any(sum(len(values) > 1 for values in found) > 1 for found in seen.values())
