"""The fleet's past out of the store, for the dashboard. Reads; widgets get the answer, not this module."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from pathlib import Path

from actions.engine import instant, parsed
from collectors import store, tables
from collectors.records import Change
from console.fleet_view import read_extract
from console.history import SPANS, History, Series, all_s, best_span, counted, cut, moved
from console.render_diff import Step

STEPS_KEPT = 20_000
"""Changes that are read of a span, the newest; the counts are of all."""
_MARGIN = 1.1
"""How much more is read than a span: the columns of a plot may begin one of them earlier."""


def history_of(
    database: Path, now: datetime, span_s: float | None = None, limit: int = STEPS_KEPT
) -> History:
    """The past of the fleet's hosts over the last `span_s` seconds; infinity is all of it.

    None takes the shortest span in which something happened. Hosts are those of the fleet file as it was
    last read; one that has been renamed or taken out counts nowhere, as in the table of a past moment.
    Without a database the history is empty. Raises ConfigError where there is one that cannot be read.
    """
    try:
        conn = store.open_reader(database)
    except store.NoDatabase:
        return History(now, span_named(span_s) or "all", None)
    try:
        until = instant(now)
        extract = read_extract(conn)
        hosts = frozenset(host[0] for host in extract.hosts) if extract else None
        began = tables.history_began(conn)
        since = parsed(began) if began is not None and began <= until else None
        looks = list(tables.version_looks(conn, until))
        series = _dated(counted(looks, hosts))
        span = span_named(span_s) or best_span(series, since, now)
        length_s = _length_s(span, since, now)
        start = now - timedelta(seconds=_MARGIN * length_s)
        changes = tables.newest_changes(conn, instant(start), until, limit + 1)
    finally:
        conn.close()
    kept = changes[-limit:] if limit else []
    began_at = instant(now - timedelta(seconds=length_s))
    return History(
        now=now,
        span=span,
        since=since,
        series=cut(series, start),
        moves={
            version: (number, parsed(at)) for version, (number, at) in moved(looks, began_at, hosts).items()
        },
        steps=tuple(_step(item) for item in kept if hosts is None or item.host in hosts),
        steps_from=parsed(kept[0].at if kept else until) if len(changes) > limit else None,
    )


def span_named(span_s: float | None) -> str | None:
    """The shortest span of the dashboard that holds so much; None for None."""
    if span_s is None:
        return None
    return next(name for name, length_s in SPANS.items() if length_s >= span_s)


def _length_s(span: str, since: datetime | None, now: datetime) -> float:
    length_s = SPANS[span]
    if math.isfinite(length_s):
        return length_s
    return all_s((now - since).total_seconds() if since else 0.0)


def _dated(series: dict[str | None, list[tuple[str, int]]]) -> Series:
    return {version: [(parsed(at), hosts) for at, hosts in moments] for version, moments in series.items()}


def _step(item: Change) -> Step:
    return Step(item.host, parsed(item.at), item.path, _value(item.old), _value(item.new))


def _value(text: str | None) -> object:
    return json.loads(text) if text is not None else None
