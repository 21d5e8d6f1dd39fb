"""Hosts that gave the same machine id, worked out once for a batch of looks.

What is remembered of such hosts is not used, and each is told of the others. The work grows with the batch
and with the hosts that share an id in it, not with their product.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Container, Iterable, Mapping
from typing import TypeGuard

from actions.situation import others_of
from collectors import tables
from collectors.observation import Answer, Observation
from collectors.records import LastLook


def is_whole(seen: Observation) -> TypeGuard[Answer]:
    """Whether a look brought an answer to its end: what broke off has changed nothing."""
    return isinstance(seen, Answer) and seen.facts.complete


class Twins:
    """Who shares a machine id with whom, before and after a batch; of stored hosts those of the fleet."""

    def __init__(
        self,
        conn: sqlite3.Connection,
        looks: Iterable[Observation],
        before: Mapping[str, LastLook],
        fleet: Container[str],
    ) -> None:
        self._now: dict[str, str] = {}
        for seen in looks:
            last = before.get(seen.host)
            machine_id = seen.facts.identity.machine_id if is_whole(seen) else last and last.machine_id
            self._now[seen.host] = machine_id or ""
        ids = {*self._now.values()} | {before[host].machine_id or "" for host in self._now if host in before}
        self._were = {
            machine_id: [host for host in hosts if host in fleet or host in self._now]
            for machine_id, hosts in tables.same_machine(conn, ids - {""}).items()
        }
        groups = {
            machine_id: [host for host in hosts if host not in self._now]
            for machine_id, hosts in self._were.items()
        }
        for host, machine_id in self._now.items():
            if machine_id:
                groups.setdefault(machine_id, []).append(host)
        self._are = {machine_id: sorted(hosts) for machine_id, hosts in groups.items()}

    def of(self, host: str) -> tuple[str, ...]:
        """The first other hosts with the machine id of one in the batch."""
        hosts = self._are.get(self._now[host], ())
        return others_of(hosts, host) if len(hosts) > 1 else ()

    def changed(self) -> list[str]:
        """Stored hosts outside of the batch that are to be told of other twins than before, by name."""
        return sorted(
            host
            for machine_id, hosts in self._were.items()
            for host in hosts
            if host not in self._now and others_of(hosts, host) != others_of(self._are[machine_id], host)
        )
