"""Steps for the tables of what was asked and done; never edited after a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from collectors.migrations import layer

if TYPE_CHECKING:
    from sqlite_utils import Database

orders = layer("actions")


@orders()
def m001_record(db: Database) -> None:
    """The record, the evidence beside it, and what keeps both from being changed in passing."""
    for statement in (_EVIDENCE, _RECORD, _BY_HOST, _BY_ORDER, *_ONLY_APPEND):
        db.conn.execute(statement)


_EVIDENCE = """CREATE TABLE evidence (
    digest TEXT PRIMARY KEY,     -- SHA-256 of the document's UTF-8, hex
    document TEXT NOT NULL       -- JSON, redacted
) STRICT, WITHOUT ROWID"""

_RECORD = """CREATE TABLE record (
    n INTEGER PRIMARY KEY,       -- 1, 2, 3 without a gap
    at TEXT NOT NULL,
    login TEXT NOT NULL,         -- who: these five are `actor` in the JSON
    uid INTEGER NOT NULL,
    ssh_from TEXT,               -- where the login came from
    console TEXT NOT NULL,       -- the machine that fleetctl ran on
    said TEXT,                   -- who it was in their own words
    host TEXT,                   -- null: the whole fleet
    verb TEXT NOT NULL,
    order_id TEXT,               -- `order` in the JSON
    event TEXT NOT NULL,
    command TEXT,                -- as it was sent
    outcome TEXT,
    code TEXT,                   -- why, as a stable word
    text TEXT,                   -- why, in a sentence
    evidence TEXT REFERENCES evidence (digest),
    prev TEXT NOT NULL,          -- hash of the row before; 64 zeros in the first
    hash TEXT NOT NULL           -- SHA-256 of the canonical JSON of all columns but this
) STRICT"""

_BY_HOST = "CREATE INDEX record_host ON record (host) WHERE host IS NOT NULL"
_BY_ORDER = "CREATE INDEX record_order ON record (order_id) WHERE order_id IS NOT NULL"

_ONLY_APPEND = (
    """CREATE TRIGGER record_follows BEFORE INSERT ON record
    WHEN NEW.n IS NOT coalesce((SELECT max(n) FROM record), 0) + 1
      OR NEW.prev IS NOT coalesce((SELECT hash FROM record ORDER BY n DESC LIMIT 1), printf('%064d', 0))
    BEGIN SELECT raise(ABORT, 'the record is append-only: a row follows the last one'); END""",
    """CREATE TRIGGER record_stays BEFORE UPDATE ON record
    BEGIN SELECT raise(ABORT, 'the record is append-only'); END""",
    """CREATE TRIGGER record_is_kept BEFORE DELETE ON record
    BEGIN SELECT raise(ABORT, 'the record is append-only'); END""",
    """CREATE TRIGGER evidence_follows BEFORE INSERT ON evidence
    WHEN EXISTS (SELECT 1 FROM evidence WHERE digest = NEW.digest AND document IS NOT NEW.document)
    BEGIN SELECT raise(ABORT, 'evidence is append-only'); END""",
    """CREATE TRIGGER evidence_stays BEFORE UPDATE ON evidence
    BEGIN SELECT raise(ABORT, 'evidence is append-only'); END""",
    """CREATE TRIGGER evidence_is_kept BEFORE DELETE ON evidence
    BEGIN SELECT raise(ABORT, 'evidence is append-only'); END""",
)
"""The first also stops INSERT OR REPLACE, which deletes a row without asking the trigger for deletions."""


@orders()
def m002_orders(db: Database) -> None:
    """Orders, their hosts, and what is wanted of hosts beside the fleet file."""
    for statement in (_ORDERS, _ORDER_HOSTS, _OPEN_HOSTS, _HOST_ORDERS, _PINS, _QUARANTINE, _ORDERS_VIEW):
        db.conn.execute(statement)


_ORDERS = """CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,            -- when it was confirmed
    verb TEXT NOT NULL,
    asked TEXT NOT NULL,         -- what was asked for, JSON
    actor TEXT NOT NULL,         -- who asked, JSON
    at_once INTEGER NOT NULL,    -- hosts at work at the same time
    stops INTEGER NOT NULL,      -- 1: the first host that is not as ordered ends it
    after TEXT,                  -- the order of which it is a consequence
    ended_at TEXT                -- null: open
) STRICT"""

_ORDER_HOSTS = """CREATE TABLE order_hosts (
    order_id TEXT NOT NULL REFERENCES orders (id),
    host TEXT NOT NULL,
    place INTEGER NOT NULL,      -- whose turn is when
    phase TEXT NOT NULL,
    since TEXT NOT NULL,
    step TEXT NOT NULL,          -- what is sent, and what must be seen, JSON
    sent_at TEXT,                -- since when its evidence is awaited
    code TEXT,                   -- of its outcome
    text TEXT,
    evidence TEXT,               -- what was seen, JSON
    PRIMARY KEY (order_id, host)
) STRICT, WITHOUT ROWID"""

_OPEN_HOSTS = """CREATE UNIQUE INDEX order_hosts_at_work ON order_hosts (host)
WHERE phase IN ('intent', 'sent')"""
"""No host has two orders at work, whoever runs them."""

_HOST_ORDERS = "CREATE INDEX order_hosts_of_host ON order_hosts (host, since)"

_PINS = """CREATE TABLE pins (
    host TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT"""

_QUARANTINE = """CREATE TABLE quarantine (
    machine_id TEXT NOT NULL,    -- of the machine, whatever its name
    version TEXT NOT NULL,       -- that it is not to get again
    host TEXT NOT NULL,          -- its name then
    reason TEXT NOT NULL,
    order_id TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (machine_id, version)
) STRICT, WITHOUT ROWID"""

_ORDERS_VIEW = """CREATE VIEW orders_of_hosts AS SELECT
    order_hosts.host, orders.at, orders.verb, orders.id AS order_id, phase, since, code, text,
    json_extract(asked, '$.version') AS version, json_extract(actor, '$.login') AS login
FROM order_hosts JOIN orders ON orders.id = order_hosts.order_id"""


@orders()
def m003_takings(db: Database) -> None:
    """What was taken for hosts around a reboot, and is not given back yet."""
    db.conn.execute(_TAKINGS)


_TAKINGS = """CREATE TABLE takings (
    host TEXT NOT NULL,
    what TEXT NOT NULL,          -- lock: a FleetLock; drain: hooks.before_reboot was run
    order_id TEXT NOT NULL REFERENCES orders (id),
    state TEXT NOT NULL,         -- asked, held, kept, free
    since TEXT NOT NULL,
    machine_id TEXT,             -- by which FleetLock knows the host
    mark TEXT,                   -- the hook's process
    text TEXT,                   -- why it is kept
    PRIMARY KEY (host, what)
) STRICT, WITHOUT ROWID"""


@orders()
def m004_rollouts(db: Database) -> None:
    """Rollouts: plan, state, hosts, events, requests, answers of gates."""
    for statement in (_ROLLOUTS, _ROLLOUT_HOSTS, *_ROLLOUT_LOGS, _EVENTS_STAY, _BASELINES, *_BY_TIME):
        db.conn.execute(statement)


_ROLLOUTS = """CREATE TABLE rollouts (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,            -- when it was planned
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    actor TEXT NOT NULL,         -- who planned it, JSON
    approved_by TEXT,            -- in whose name its orders are given, JSON
    plan TEXT NOT NULL,          -- JSON; frozen
    state TEXT NOT NULL,         -- JSON, without its hosts
    ended_at TEXT                -- null: open
) STRICT"""

_ROLLOUT_HOSTS = """CREATE TABLE rollout_hosts (
    rollout_id TEXT NOT NULL REFERENCES rollouts (id),
    host TEXT NOT NULL,
    cohort INTEGER NOT NULL,
    phase TEXT NOT NULL,
    state TEXT NOT NULL,         -- JSON
    PRIMARY KEY (rollout_id, host)
) STRICT, WITHOUT ROWID"""

_ROLLOUT_LOGS = (
    """CREATE TABLE rollout_events (
    n INTEGER PRIMARY KEY,
    rollout_id TEXT NOT NULL REFERENCES rollouts (id),
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    about TEXT,                  -- a host's or a cohort's name; null: the rollout itself
    text TEXT NOT NULL,
    cause TEXT NOT NULL
) STRICT""",
    "CREATE INDEX events_of_rollout ON rollout_events (rollout_id, n)",
    """CREATE TABLE rollout_requests (
    n INTEGER PRIMARY KEY,
    rollout_id TEXT NOT NULL REFERENCES rollouts (id),
    at TEXT NOT NULL,
    request TEXT NOT NULL,       -- JSON
    actor TEXT NOT NULL,         -- JSON
    answer TEXT                  -- null: not answered; empty: done; else why it is not allowed
) STRICT""",
    """CREATE TABLE gate_answers (
    n INTEGER PRIMARY KEY,
    rollout_id TEXT NOT NULL REFERENCES rollouts (id),
    at TEXT NOT NULL,
    cohort TEXT NOT NULL,
    gate TEXT NOT NULL,
    verdict TEXT NOT NULL,
    text TEXT NOT NULL,
    digest TEXT NOT NULL,        -- SHA-256 of the answer's UTF-8, hex
    answer TEXT NOT NULL         -- as it was given, JSON, redacted: the verdict follows from it alone
) STRICT""",
    "CREATE INDEX answers_of_rollout ON gate_answers (rollout_id, n)",
)

_BY_TIME = (
    "CREATE INDEX orders_by_time ON orders (at, id)",
    "CREATE INDEX orders_after ON orders (after) WHERE after IS NOT NULL",
    "CREATE INDEX open_orders ON orders (at, id) WHERE ended_at IS NULL",
)
"""A rollout makes two orders a host: what is asked often of thousands of them."""

_EVENTS_STAY = """CREATE TRIGGER rollout_events_stay BEFORE UPDATE ON rollout_events
    BEGIN SELECT raise(ABORT, 'events of a rollout are append-only'); END"""

_BASELINES = """CREATE TABLE rollout_baselines (
    rollout_id TEXT NOT NULL REFERENCES rollouts (id),
    host TEXT NOT NULL,
    baseline TEXT NOT NULL,      -- how it was before it was touched, JSON
    PRIMARY KEY (rollout_id, host)
) STRICT, WITHOUT ROWID"""
