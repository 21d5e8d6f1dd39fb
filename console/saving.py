"""The hosts shown as a file: JSON for programs, CSV for spreadsheets. Pure, save the functions that write.

`fleetctl.view/1` is one object: `fleet`, `shown_at`, `taken_at`, `filter`, `fleet_hosts`, `hosts`. Times are
ISO-8601 UTC; what is not known is null in JSON and empty in CSV; `health` is empty where nothing wrong was
seen. Hosts come in the order shown.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from collectors.errors import ConfigError
from console.rows import FleetView, HostRow, row_note
from console.states import word_of
from console.visible import visible
from console.when import iso

SCHEMA = "fleetctl.view/1"
KINDS = (".json", ".csv", ".svg")
COLUMNS = (
    "host", "group", "state", "word", "note", "version", "channel", "running", "next", "slot_a", "slot_b",
    "behind", "extensions", "extension_problems", "health", "taken_at",
)  # fmt: skip
_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet may take for the beginning of a formula."""

Json = dict[str, Any]


def view_json(view: FleetView, rows: Sequence[HostRow], filter_text: str = "") -> str:
    """`rows` as `fleetctl.view/1`; `filter_text` as it was typed. ASCII only, so that no host's text acts."""
    document = {
        "schema": SCHEMA,
        "fleet": view.fleet,
        "shown_at": iso(view.now),
        "taken_at": iso(view.taken_at),
        "filter": filter_text or view.selection,
        "fleet_hosts": view.fleet_hosts,
        "hosts": [_host(row) for row in rows],
    }
    return json.dumps(document, indent=2) + "\n"


def _host(row: HostRow) -> Json:
    return {
        "name": row.name,
        "address": row.address,
        "port": row.port,
        "groups": list(row.groups),
        "labels": dict(row.labels),
        "state": row.state,
        "word": word_of(row.state, certain=row.certain),
        "note": row_note(row) or None,
        "reasons": [{"code": code, "text": text} for code, text in row.reasons],
        "hold": row.hold,
        "version": row.version,
        "channel": row.channel,
        "running": row.running,
        "next": row.next,
        "slots": {
            "a": asdict(row.slot_a) if row.slot_a else None,
            "b": asdict(row.slot_b) if row.slot_b else None,
        },
        "behind": row.behind,
        "extensions": None if row.extensions is None else list(row.extensions),
        "extension_problems": list(row.extension_problems),
        "health": row.health if row.taken_at else None,
        "reach": row.reach,
        "will_reboot_by_itself": row.will_reboot_by_itself,
        "taken_at": iso(row.taken_at),
        "stale": row.stale,
    }


def view_csv(view: FleetView, rows: Sequence[HostRow]) -> str:
    """`rows` under `COLUMNS`; no cell can be taken for a formula, none holds a control character."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([[safe_cell(cell) for cell in _cells(row)] for row in rows])
    return text.getvalue()


def _cells(row: HostRow) -> list[str]:
    return [
        row.name,
        " ".join(row.groups),
        row.state,
        word_of(row.state, certain=row.certain),
        row_note(row),
        row.version or "",
        row.channel or "",
        row.running or "",
        row.next or "",
        (row.slot_a.version or "") if row.slot_a else "",
        (row.slot_b.version or "") if row.slot_b else "",
        "" if row.behind is None else str(row.behind),
        " ".join(row.extensions or ()),
        " ".join(row.extension_problems),
        row.health,
        iso(row.taken_at) or "",
    ]


def safe_cell(text: str) -> str:
    """A text that spreadsheets take as a text: what looks like a formula gets an apostrophe before it."""
    guard = "'" if text[:1] in _FORMULA and text else ""
    return guard + visible(text)


# Writing


def save_view(path: Path, view: FleetView, rows: Sequence[HostRow], filter_text: str = "") -> None:
    """Writes the rows to a new file, as its ending says. Raises ConfigError."""
    kind = path.suffix.lower()
    if kind == ".json":
        save_text(path, view_json(view, rows, filter_text))
    elif kind == ".csv":
        save_text(path, view_csv(view, rows))
    else:
        raise ConfigError(str(path), "", f"its ending says what is written: {', '.join(KINDS)}")


def save_text(path: Path, text: str) -> None:
    """Writes a new file, whole or not at all; one that is there already stays. Raises ConfigError."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(path, "x", encoding="utf-8"):  # taken: whoever writes at the same time is refused
            pass
    except FileExistsError as error:
        raise ConfigError(str(path), "", "is there already; take another name") from error
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), "", _reason(error)) from error
    try:
        with open(draft, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError as error:
        for leftover in (draft, path):
            with suppress(OSError):
                leftover.unlink()
        raise ConfigError(str(path), "", _reason(error)) from error


def _reason(error: OSError | ValueError) -> str:
    """Plain words: `no such file or directory`."""
    strerror = error.strerror if isinstance(error, OSError) else None
    return f"cannot be written: {(strerror or str(error)).lower()}"
