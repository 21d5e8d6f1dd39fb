"""Steps that bring a database to the present schema; never edited after a release.

Each layer that keeps tables has a set of steps, known here from the moment its package is imported: a lower
layer may not import a higher one. The schema's number is how many steps there are in all sets.
sqlite_utils is imported only where a step is applied, for to count them must stay cheap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from sqlite_utils import Database

Step = Callable[["Database"], None]


@dataclass(frozen=True, slots=True)
class Layer:
    """The steps of one layer, in order; `@layer_name()` over a function adds one."""

    name: str
    steps: list[Step] = field(default_factory=list)

    def __call__(self) -> Callable[[Step], Step]:
        def add(step: Step) -> Step:
            self.steps.append(step)
            return step

        return add


_LAYERS: dict[str, Layer] = {}


def layer(name: str) -> Layer:
    """The set of this name, which is part of the schema from now on."""
    return _LAYERS.setdefault(name, Layer(name))


def schema() -> int:
    """How many steps there are: what a database of this program has in user_version."""
    return sum(len(one.steps) for one in _LAYERS.values())


def apply(conn: sqlite3.Connection) -> list[str]:
    """Apply what is pending, layer by layer; the names of the steps applied.

    Each step and its record are one transaction, or part of the caller's.
    """
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    db, applied = Database(conn), []
    for one in _LAYERS.values():
        steps = Migrations(one.name)
        for step in one.steps:
            steps()(step)
        applied += [step.name for step in steps.pending(db)]
        steps.apply(db)
    conn.execute(f"PRAGMA user_version={schema()}")
    return applied


observations = layer("collectors")


@observations()
def m001_hosts(db: Database) -> None:
    """Hosts as last seen, what changed when, and what is remembered."""
    tables = (_SETTINGS, _HOSTS, _BY_MACHINE, _FIRST_SIGHTS, _CHANGES, _CHANGES_BY_TIME, _SWEEPS)
    for statement in (*tables, _LEASES, _HOLDS, _NOW, _VERSIONS):
        db.conn.execute(statement)
    db.conn.execute("INSERT INTO settings VALUES ('salt', lower(hex(randomblob(16))))")
    db.conn.execute("PRAGMA user_version=1")


_SETTINGS = "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT"

_HOSTS = """CREATE TABLE hosts (
    name TEXT PRIMARY KEY,
    asked_at TEXT NOT NULL,      -- last look, answered or not
    taken_at TEXT,               -- of the facts below
    reach TEXT NOT NULL,
    reach_detail TEXT NOT NULL,
    reach_since TEXT NOT NULL,   -- since when it is so
    last_ok_at TEXT,
    latency_s REAL,
    machine_id TEXT,
    brief TEXT NOT NULL,         -- what it means, as the table's row, JSON; before the large columns
    facts TEXT,                  -- lasting facts, JSON
    facts_digest BLOB,           -- null: facts of an answer that broke off
    passing TEXT,                -- facts of the moment, JSON
    memory TEXT                  -- what the host itself forgets, JSON
) STRICT"""

_BY_MACHINE = "CREATE INDEX hosts_machine_id ON hosts (machine_id)"

_LEASES = """CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    token INTEGER NOT NULL,      -- grows with each owner; writers name it in their transaction
    expires_at TEXT NOT NULL
) STRICT"""

_HOLDS = """CREATE TABLE holds (
    host TEXT PRIMARY KEY,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT"""

_FIRST_SIGHTS = """CREATE TABLE first_sights (
    host TEXT NOT NULL,
    at TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (host, at)
) STRICT, WITHOUT ROWID"""

_CHANGES = """CREATE TABLE changes (
    id INTEGER PRIMARY KEY,
    host TEXT NOT NULL,
    at TEXT NOT NULL,
    path TEXT NOT NULL,          -- JSON Pointer into the facts
    old TEXT,                    -- JSON; null: was not there
    new TEXT
) STRICT"""

_CHANGES_BY_TIME = "CREATE INDEX changes_host_at ON changes (host, at)"

_SWEEPS = """CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY,
    started_at TEXT NOT NULL,
    ended_at TEXT NOT NULL,
    asked INTEGER NOT NULL,
    answered INTEGER NOT NULL
) STRICT"""

_NOW = """CREATE VIEW fleet_now AS SELECT
    name, asked_at, taken_at, reach,
    json_extract(brief, '$.state') AS state,
    json_extract(brief, '$.reasons[0][1]') AS reason,
    json_extract(brief, '$.version') AS version,
    json_extract(brief, '$.channel') AS channel,
    json_extract(brief, '$.running') AS running_slot,
    json_extract(brief, '$.next') AS next_slot,
    json_extract(brief, '$.a.version') AS a_version,
    json_extract(brief, '$.b.version') AS b_version,
    json_extract(brief, '$.behind') AS behind,
    json_extract(brief, '$.operation') AS operation,
    json_extract(brief, '$.health') AS health,
    json_extract(brief, '$.will_reboot') AS will_reboot_by_itself
FROM hosts"""

_VERSIONS = """CREATE VIEW versions_over_time AS
WITH steps(at, version, delta) AS (
    SELECT at, json_extract(facts, '$.os.version_id'), 1 FROM first_sights
    UNION ALL SELECT at, json_extract(new, '$'), 1 FROM changes WHERE path = '/os/version_id'
    UNION ALL SELECT at, json_extract(old, '$'), -1 FROM changes WHERE path = '/os/version_id'
)
SELECT DISTINCT at, version, sum(delta) OVER (PARTITION BY version ORDER BY at) AS hosts
FROM steps WHERE version IS NOT NULL"""
