"""Who may do something alone: leases in the store, whose owners are processes.

A lease that ran out, or whose owner was a process of this machine that is gone, is free.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from datetime import timedelta
from pathlib import Path

from actions.engine import instant
from collectors import store, tables
from collectors.records import Lease
from collectors.sweep import utc_now


class Busy(Exception):
    """Another process has the lease."""

    def __init__(self, owner: str, until: str) -> None:
        super().__init__(f"{owner} has it, until {until} at least")
        self.owner = owner
        self.until = until


def owner_name(pid: int) -> str:
    """Who a process of this machine is, for a lease."""
    return f"{socket.gethostname()} pid {pid}"


def claim(conn: sqlite3.Connection, name: str, lasts_s: float) -> Lease:
    """The lease for this process, or a longer time for the one that it has. Raises Busy."""
    owner, now = owner_name(os.getpid()), utc_now()
    with store.transaction(conn):
        other = tables.lease_owner(conn, name, instant(now))
        if other is not None and other != owner and has_died(other):
            tables.end_lease_of(conn, name)
        found = tables.take_lease(conn, name, owner, instant(now), instant(now + timedelta(seconds=lasts_s)))
    if isinstance(found, Lease):
        return found
    raise Busy(*found)


def renew(conn: sqlite3.Connection, lease: Lease, lasts_s: float) -> None:
    """A longer time for a lease; also for one that ran out, as after a suspend, if nobody has it since.

    Raises tables.LeaseLost where another process has taken over.
    """
    until = utc_now() + timedelta(seconds=lasts_s)
    with store.transaction(conn):
        tables.check_lease(conn, lease)
        tables.take_lease(conn, lease.name, lease.owner, _NEVER, instant(until))


_NEVER = ""
"""Before every time: by it no lease has run out, so that the token stays."""


def living_owner(conn: sqlite3.Connection, name: str) -> str | None:
    """Who has the lease now, unless that process is known to be gone."""
    owner = tables.lease_owner(conn, name, instant(utc_now()))
    return None if owner is None or has_died(owner) else owner


def give_back(conn: sqlite3.Connection, lease: Lease) -> None:
    with store.transaction(conn):
        tables.end_lease(conn, lease)


def has_died(owner: str) -> bool:
    """Whether the owner was a process of this machine that is gone; unknown is no.

    One that has ended and is not fetched by its parent is gone too: in a container nobody may ever do that.
    """
    host, _, pid = owner.rpartition(" pid ")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return _is_fetched_by_nobody(int(pid))


def _is_fetched_by_nobody(pid: int) -> bool:
    """Whether a process is a zombie, where the system tells. Its name stands in brackets before: proc(5)."""
    try:
        _, _, after = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")
    except OSError:
        return False
    return after.split()[:1] == ["Z"]
