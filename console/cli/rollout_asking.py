"""What a person wants of a rollout: written down, and answered by whoever carries it out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from actions import ledger, rollout_tables
from actions.actor import current_actor
from actions.engine import encode, instant
from actions.record import Actor, Entry, Event
from actions.rollout_talk import Request, RequestKind
from collectors import store
from console.cli.context import now
from console.cli.rollout_shared import Stored, read_rollout, reader_now, runner_of, say
from console.exit_codes import ExitCode

if TYPE_CHECKING:
    import sqlite3
    import subprocess

    from collectors.fleet_file import LoadedFleet

ANSWERED_S = 15.0
"""So long an answer is waited for."""
LOOK_EVERY_S = 0.1
DRAFT_LEASE_S = 30.0


def ask_rollout(
    loaded: LoadedFleet,
    rollout_id: str,
    kind: RequestKind,
    *,
    reason: str = "",
    hosts: Sequence[str] = (),
    said: str | None = None,
) -> tuple[ExitCode, subprocess.Popen[bytes] | None]:
    """Ask, and wait for the answer; the exit code, and the process that was started for it, if one was.

    Raises ConfigError where there is none of this name.
    """
    from console.cli.following import start_runner

    actor = current_actor(said=said)
    with closing(store.open_writer(loaded.database_path, durable=True)) as conn:
        found = read_rollout(conn, loaded, rollout_id)
        refused = _why_closed(found, kind)
        if refused is not None:
            say(refused)
            return ExitCode.REFUSED, None
        request = Request(kind, actor.words, reason, tuple(hosts))
        n = _write(conn, rollout_id, request, actor)
        started = None
        if found.row.approved_by is None:
            _answer_draft(conn, rollout_id)
        elif runner_of(conn, rollout_id) is None:
            say(f"nobody carries {rollout_id} out; fleetctl run {rollout_id} is started to answer")
            started = start_runner(loaded.path, loaded.database_path, rollout_id)
        return _told(conn, loaded, rollout_id, n), started


def _why_closed(found: Stored, kind: RequestKind) -> str | None:
    if found.rollout.state.is_open:
        return None
    return f"rollout {found.plan.id} is {found.rollout.state}: it takes no {kind} any more"


def _write(conn: sqlite3.Connection, rollout_id: str, request: Request, actor: Actor) -> int:
    """The request with its row of the record; its number."""
    at = now()
    hosts = f" {', '.join(request.hosts)}" if request.hosts else ""
    reason = f": {request.reason}" if request.reason else ""
    text = f"{request.kind}{hosts}{reason}"
    with store.transaction(conn):
        n = rollout_tables.add_request(conn, rollout_id, instant(at), request, encode(actor).decode())
        ledger.append(conn, [Entry(at, actor, "rollout", Event.ASKED, order=rollout_id, text=text)])
    return n


def _answer_draft(conn: sqlite3.Connection, rollout_id: str) -> None:
    """Nobody carries out what was never approved, so whoever asks answers: nothing is sent by it."""
    from actions.leases import Busy, claim, give_back
    from actions.rollout_book import RolloutBook
    from actions.wall_clock import WallClock

    try:
        lease = claim(conn, f"rollout {rollout_id}", DRAFT_LEASE_S)
    except Busy:
        return  # another one answers it
    try:
        RolloutBook(conn, rollout_id, lease, WallClock()).take([])
    finally:
        give_back(conn, lease)


def _told(conn: sqlite3.Connection, loaded: LoadedFleet, rollout_id: str, n: int) -> ExitCode:
    """Wait for the answer, and say it."""
    from actions.rollout import headline

    deadline = time.monotonic() + ANSWERED_S
    while True:
        row = rollout_tables.one_request(conn, n)
        if row is not None and row.answer is not None:
            if row.answer:
                say(row.answer)
                return ExitCode.REFUSED
            found = read_rollout(conn, loaded, rollout_id)
            say(f"{rollout_id} {headline(found.plan, found.rollout, reader_now(now()))}")
            return ExitCode.OK
        if time.monotonic() > deadline:
            say(f"{rollout_id} has not answered within {ANSWERED_S:.0f} s; what was asked for stands")
            return ExitCode.UNKNOWN
        time.sleep(LOOK_EVERY_S)
