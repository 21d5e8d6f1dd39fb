"""SQL of rollouts: plan, state, hosts, events, requests, answers of gates. Every function takes a connection.

Changes are made inside the caller's transaction. A rollout's state is one document without its hosts, and a
row for each host, so that a host's change costs one row and not five thousand.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from actions.rollout_model import HostState, Rollout, RolloutState
from actions.rollout_plan import Plan
from actions.rollout_talk import Request

_encode = msgspec.json.Encoder().encode
_plan = msgspec.json.Decoder(Plan).decode
_state = msgspec.json.Decoder(Rollout).decode
_host = msgspec.json.Decoder(HostState).decode
_request = msgspec.json.Decoder(Request).decode


@dataclass(frozen=True, slots=True)
class RolloutRow:
    """A row of `rollouts` without its documents."""

    id: str
    at: str
    title: str
    """`4593.2.5 to canary, wave-1, rest`, as people call it."""
    status: str
    """A RolloutState."""
    actor: str
    """Who planned it, JSON."""
    approved_by: str | None
    """JSON of who approved it: in whose name its orders are given."""
    ended_at: str | None

    @property
    def is_open(self) -> bool:
        return RolloutState(self.status).is_open


@dataclass(frozen=True, slots=True)
class EventRow:
    n: int
    at: str
    kind: str
    about: str | None
    text: str
    cause: str


@dataclass(frozen=True, slots=True)
class RequestRow:
    n: int
    at: str
    request: Request
    actor: str
    """JSON."""
    answer: str | None
    """None: not answered yet; "": done; else why it is not allowed."""


_ROW = "id, at, title, status, actor, approved_by, ended_at"


def put_rollout(
    conn: sqlite3.Connection, plan: Plan, rollout: Rollout, *, at: str, title: str, actor: str
) -> None:
    """A new one, with all its hosts."""
    conn.execute(
        "INSERT INTO rollouts VALUES (?, ?, ?, ?, ?, NULL, ?, ?, NULL)",
        (plan.id, at, title, rollout.state, actor, _encode(plan).decode(), _bare(rollout)),
    )
    _put_hosts(conn, plan, rollout.hosts.items())


def _bare(rollout: Rollout) -> str:
    return _encode(replace(rollout, hosts={})).decode()


def _put_hosts(conn: sqlite3.Connection, plan: Plan, hosts: Iterable[tuple[str, HostState]]) -> None:
    conn.executemany(
        "INSERT OR REPLACE INTO rollout_hosts VALUES (?, ?, ?, ?, ?)",
        [
            (plan.id, name, plan.by_name[name].cohort, state.phase, _encode(state).decode())
            for name, state in hosts
        ],
    )


def save_rollout(conn: sqlite3.Connection, plan: Plan, was: Rollout, made: Rollout, at: str) -> None:
    """The next state: what differs from `was` is written."""
    ended_at = None if made.state.is_open else at
    conn.execute(
        "UPDATE rollouts SET status = ?, state = ?, ended_at = coalesce(ended_at, ?) WHERE id = ?",
        (made.state, _bare(made), ended_at, plan.id),
    )
    if made.hosts is not was.hosts:
        changed = [(name, state) for name, state in made.hosts.items() if was.hosts.get(name) is not state]
        _put_hosts(conn, plan, changed)


def put_approver(conn: sqlite3.Connection, rollout_id: str, actor: str) -> None:
    conn.execute("UPDATE rollouts SET approved_by = ? WHERE id = ?", (actor, rollout_id))


def plan_of(conn: sqlite3.Connection, rollout_id: str) -> Plan | None:
    row = conn.execute("SELECT plan FROM rollouts WHERE id = ?", (rollout_id,)).fetchone()
    return _plan(row[0]) if row else None


def state_of(conn: sqlite3.Connection, rollout_id: str) -> Rollout | None:
    """The whole state."""
    row = conn.execute("SELECT state FROM rollouts WHERE id = ?", (rollout_id,)).fetchone()
    if row is None:
        return None
    rows = conn.execute("SELECT host, state FROM rollout_hosts WHERE rollout_id = ?", (rollout_id,))
    return replace(_state(row[0]), hosts={host: _host(state) for host, state in rows})


def one_rollout(conn: sqlite3.Connection, rollout_id: str) -> RolloutRow | None:
    row = conn.execute(f"SELECT {_ROW} FROM rollouts WHERE id = ?", (rollout_id,)).fetchone()
    return RolloutRow(*row) if row else None


def newest_rollouts(conn: sqlite3.Connection, limit: int) -> list[RolloutRow]:
    """Newest first."""
    rows = conn.execute(f"SELECT {_ROW} FROM rollouts ORDER BY at DESC, id DESC LIMIT ?", (limit,))
    return [RolloutRow(*row) for row in rows]


def open_rollouts(conn: sqlite3.Connection) -> list[RolloutRow]:
    """Those that were approved and have not ended, oldest first."""
    rows = conn.execute(
        f"SELECT {_ROW} FROM rollouts WHERE ended_at IS NULL AND status != 'draft' ORDER BY at, id"
    )
    return [RolloutRow(*row) for row in rows]


def unfinished_rollouts(conn: sqlite3.Connection) -> list[RolloutRow]:
    """Those whose process has something to do, oldest first: they go on, child orders of theirs are open, or
    they are closed and have something to give back. One that only waits for a person is none."""
    rows = conn.execute(
        f"SELECT {_ROW} FROM rollouts WHERE status IN ('approved', 'running', 'rolling-back')"
        " OR json_extract(state, '$.orders') > 0 OR (ended_at IS NOT NULL AND"
        " json_array_length(state, '$.todo') + json_array_length(state, '$.later') > 0) ORDER BY at, id"
    )
    return [RolloutRow(*row) for row in rows]


# -- events ---------------------------------------------------------------------------------------


def add_event(
    conn: sqlite3.Connection, rollout_id: str, at: str, kind: str, about: str | None, text: str, cause: str
) -> None:
    conn.execute(
        "INSERT INTO rollout_events (rollout_id, at, kind, about, text, cause) VALUES (?, ?, ?, ?, ?, ?)",
        (rollout_id, at, kind, about, text, cause),
    )


def events(
    conn: sqlite3.Connection, rollout_id: str, *, after: int = 0, limit: int | None = None
) -> list[EventRow]:
    """Those behind number `after`, oldest first; with `limit` the newest so many."""
    rows = conn.execute(
        "SELECT n, at, kind, about, text, cause FROM rollout_events"
        " WHERE rollout_id = ? AND n > ? ORDER BY n DESC LIMIT ?",
        (rollout_id, after, -1 if limit is None else limit),
    )
    return [EventRow(*row) for row in rows][::-1]


# -- requests -------------------------------------------------------------------------------------


def add_request(conn: sqlite3.Connection, rollout_id: str, at: str, request: Request, actor: str) -> int:
    """Its number; whoever owns the rollout answers it."""
    cursor = conn.execute(
        "INSERT INTO rollout_requests (rollout_id, at, request, actor) VALUES (?, ?, ?, ?)",
        (rollout_id, at, _encode(request).decode(), actor),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def requests(conn: sqlite3.Connection, rollout_id: str, *, is_open: bool = True) -> list[RequestRow]:
    """Oldest first; those that are not answered, or all."""
    rows = conn.execute(
        "SELECT n, at, request, actor, answer FROM rollout_requests"
        " WHERE rollout_id = ? AND (answer IS NULL OR NOT ?) ORDER BY n",
        (rollout_id, is_open),
    )
    return [RequestRow(n, at, _request(request), actor, answer) for n, at, request, actor, answer in rows]


def one_request(conn: sqlite3.Connection, n: int) -> RequestRow | None:
    row = conn.execute(
        "SELECT n, at, request, actor, answer FROM rollout_requests WHERE n = ?", (n,)
    ).fetchone()
    return RequestRow(row[0], row[1], _request(row[2]), row[3], row[4]) if row else None


def answer_request(conn: sqlite3.Connection, n: int, answer: str) -> None:
    conn.execute("UPDATE rollout_requests SET answer = ? WHERE n = ?", (answer, n))


# -- gates ----------------------------------------------------------------------------------------


def add_gate_answer(
    conn: sqlite3.Connection,
    rollout_id: str,
    at: str,
    cohort: str,
    gate: str,
    told: Mapping[str, str],
    answer: str,
) -> None:
    """One answer of a gate: `told` has verdict, text and digest; `answer` is the raw one, JSON."""
    conn.execute(
        "INSERT INTO gate_answers (rollout_id, at, cohort, gate, verdict, text, digest, answer)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (rollout_id, at, cohort, gate, told["verdict"], told["text"], told["digest"], answer),
    )


def gate_answers(conn: sqlite3.Connection, rollout_id: str, limit: int) -> Sequence[tuple[str, ...]]:
    """The newest: at, cohort, gate, verdict, text, digest, answer; oldest first."""
    rows = conn.execute(
        "SELECT at, cohort, gate, verdict, text, digest, answer FROM gate_answers"
        " WHERE rollout_id = ? ORDER BY n DESC LIMIT ?",
        (rollout_id, limit),
    )
    return list(rows)[::-1]


# -- baselines ------------------------------------------------------------------------------------


def put_baseline(conn: sqlite3.Connection, rollout_id: str, host: str, baseline: str) -> None:
    """How a host was before it was touched, JSON of orders.Baseline; the first one stays."""
    conn.execute("INSERT OR IGNORE INTO rollout_baselines VALUES (?, ?, ?)", (rollout_id, host, baseline))


def baseline(conn: sqlite3.Connection, rollout_id: str, host: str) -> str | None:
    row = conn.execute(
        "SELECT baseline FROM rollout_baselines WHERE rollout_id = ? AND host = ?", (rollout_id, host)
    ).fetchone()
    return row[0] if row else None
