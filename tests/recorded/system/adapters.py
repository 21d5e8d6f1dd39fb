"""From a recording of the system's tools to the keys that its expectation uses.

`index.jsonl` describes each recording: what was run, on what, and what a correct parser must get.
An adapter takes a recording and gives facts under those keys; it knows a kind of output, never a file.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from collectors.parse.boot import parse_cmdline
from collectors.parse.df import HumanUse, parse_df_human
from collectors.parse.os_release import parse_os_release
from collectors.parse.sysext import parse_sysext_list, parse_sysext_status
from collectors.parse.sysext_links import parse_ls_extensions
from collectors.parse.units import parse_failed, parse_systemctl_status
from collectors.parse.update_conf import parse_update_conf

FOLDER = Path(__file__).parent
SALT = b"salt of the recordings"

KINDS_LEFT_OUT = {
    "blkid": "the probe does not ask for it",
    "console-boot": "the probe does not ask for it",
    "fdisk-l": "the probe does not ask for it",
    "findmnt-usr": "the probe does not ask for it; it names the overlay while extensions are merged",
    "gdisk-l": "the probe does not ask for it",
    "hostnamectl": "the probe does not ask for it; it reads /proc and os-release",
    "lsb-release": "the probe does not ask for it; os-release says the same",
    "lsblk": "the probe does not ask for it",
    "motd": "the probe does not ask for it; a banner is no answer",
    "mount": "the probe does not ask for it",
    "noise-locale": "no tool's output; stands outside of the probe's frame",
    "noise-ssh": "no tool's output; stands outside of the probe's frame",
    "noise-sudo": "no tool's output; stands outside of the probe's frame",
    "rootdev-s-usr": "one path; read where the slots are",
    "sysupdate-conf": "the probe does not ask for it",
    "systemd-confext-refresh": "the outcome of an order is judged by the next look, not by its words",
    "systemd-sysext-merge": "the outcome of an order is judged by the next look, not by its words",
    "systemd-sysext-refresh": "the outcome of an order is judged by the next look, not by its words",
    "systemd-sysupdate-check-new": "the probe does not ask for it: it goes to the network",
    "systemd-sysupdate-list": "the probe does not ask for it: it goes to the network",
    "systemd-sysupdate-update": "the outcome of an order is judged by the next look, not by its words",
    "uname-a": "the probe does not ask for it; it reads /proc/sys/kernel",
    "updatectl-check": "no tool of Flatcar's",
    "updatectl-update": "no tool of Flatcar's",
}
"""Kinds of output around a host that have no parser here, and why."""

KEYS_LEFT_OUT = {
    (
        "proc-cmdline",
        "kernel",
    ): "the line before the command line; the probe reads /proc/sys/kernel/osrelease",
    ("proc-cmdline", "selinux"): "no fact of ours",
    ("systemctl-status-systemd-sysupdate", "configured"): "said by the unit's log, not by its status",
    ("systemctl-status-update-engine", "next_check"): "said by update_engine's log, which has its own parser",
    ("systemctl-status-update-engine", "backoff_expiry"): "said by update_engine's log, with its own parser",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded output and what is expected of it."""

    file: str
    kind: str
    text: str
    """As it was recorded, prompts included."""
    body_from_line: int
    expected: dict[str, Any]

    @property
    def body(self) -> str:
        """What the tool itself printed."""
        return "".join(self.text.splitlines(keepends=True)[self.body_from_line - 1 :])


def recordings() -> list[Recording]:
    index = (FOLDER / "index.jsonl").read_text(encoding="utf-8")
    entries = [json.loads(line) for line in index.splitlines()]
    return [
        Recording(
            entry["file"],
            entry["kind"],
            (FOLDER / entry["file"]).read_bytes().decode("utf-8"),
            entry["body_from_line"],
            entry["expected"],
        )
        for entry in entries
    ]


def _time(value: datetime | None) -> str | None:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if value else None


def _os_release(recording: Recording) -> dict[str, Any]:
    facts = parse_os_release(recording.text)
    names = ("id", "name", "version", "version_id", "build_id", "pretty_name", "codename", "board")
    got = {name: getattr(facts, name) for name in (*names, "sysext_level", "cpe_name", "arch", "is_dev")}
    return got | {"id_like": " ".join(facts.id_like) or None, "is_flatcar": facts.is_flatcar}


def _cmdline(recording: Recording) -> dict[str, Any]:
    facts = parse_cmdline(recording.text)
    return {
        "boot_image": facts.boot_image,
        "slot": f"USR-{facts.slot}" if facts.slot else None,
        "usr_partuuid": facts.usr_partuuid,
        "usrhash": facts.usrhash,
        "oem_id": facts.oem_id,
        "first_boot": facts.first_boot,
    }


def _df(recording: Recording) -> dict[str, Any]:
    # One recording has the bold marks of the page that it was copied from.
    rows = parse_df_human(recording.body.replace("**", ""))
    got: dict[str, Any] = {}
    for mount, row in rows.items():
        name = {"/": "root", "/usr": "usr", "/boot": "boot", "/oem": "oem", "/usr/share/oem": "oem"}.get(
            mount
        )
        if name:
            got |= {f"{name}_{key}": value for key, value in _df_row(mount, row).items()}
            got[f"{name}_usage_known"] = not row.is_overlay
    return got


def _df_row(mount: str, row: HumanUse) -> dict[str, Any]:
    return {
        "source": row.source,
        "filesystem": row.source,
        "size": row.size,
        "used": row.used,
        "avail": row.available,
        "use_pct": row.used_percent,
        "mount": mount,
    }


def _df_one(recording: Recording) -> dict[str, Any]:
    ((mount, row),) = parse_df_human(recording.body).items()
    return _df_row(mount, row)


def _update_conf(recording: Recording) -> dict[str, Any]:
    # A paste may be indented as a whole. In a file that would make update_engine ignore every line.
    facts = parse_update_conf(textwrap.dedent(recording.body), salt=SALT)
    names = ("server", "group", "machine_alias", "reboot_strategy", "window_start", "window_length")
    return {name: getattr(facts, name) for name in names}


def _sysext_status(recording: Recording) -> dict[str, Any]:
    status = parse_sysext_status(recording.body)
    return {
        "hierarchies": {
            path: {
                "extensions": list(merged.extensions),
                "since": _time(merged.since),
                "since_raw": merged.since_text,
            }
            for path, merged in status.hierarchies.items()
        }
    }


def _sysext_list(recording: Recording) -> dict[str, Any]:
    return {
        "extensions": [
            {
                "name": entry.name,
                "type": entry.type,
                "path": entry.path,
                "time": _time(entry.time),
                "time_raw": entry.time_text,
            }
            for entry in parse_sysext_list(recording.body)
        ]
    }


def _ls(recording: Recording) -> dict[str, Any]:
    return {"extensions": parse_ls_extensions(recording.body)}


def _status(recording: Recording) -> dict[str, Any]:
    unit = parse_systemctl_status(recording.text)[0]
    code = re.match(r"[0-9]+", unit.exit or "")
    return {
        "unit": unit.unit,
        "load": unit.load,
        "enabled": unit.file_state,
        "active": unit.active,
        "sub": unit.sub,
        "result": unit.result,
        "since": _time(unit.since),
        "since_raw": unit.since_text,
        "main_pid": unit.main_pid,
        "exit": unit.exit,
        "exit_status": int(code[0]) if code else None,
        "condition": unit.condition,
        "unmet": [name.partition("=")[2].lstrip("|!") for name in unit.unmet],
        "triggered_by": list(unit.triggered_by),
    }


def _failed(recording: Recording) -> dict[str, Any]:
    names = list(parse_failed(recording.body))
    return {"failed": names, "failed_units": names}


ADAPTERS: dict[str, Callable[[Recording], dict[str, Any]]] = {
    "df": _df,
    "df-boot": _df_one,
    "journal-kernel-cmdline": _cmdline,
    "ls-etc-extensions": _ls,
    "os-release": _os_release,
    "proc-cmdline": _cmdline,
    "systemctl-failed": _failed,
    "systemctl-list-units": _failed,
    "systemctl-status-boot-mount": _status,
    "systemctl-status-locksmithd": _status,
    "systemctl-status-systemd-sysext": _status,
    "systemctl-status-systemd-sysupdate": _status,
    "systemctl-status-update-engine": _status,
    "systemd-confext-status": _sysext_status,
    "systemd-sysext-list": _sysext_list,
    "systemd-sysext-status": _sysext_status,
    "systemd-sysext-status-json": _sysext_status,
    "update-conf": _update_conf,
}


def differences(recording: Recording) -> list[str]:
    """Where the facts of a recording are not what is expected; keys left out with a reason aside."""
    got = ADAPTERS[recording.kind](recording)
    wanted = {
        key: value for key, value in recording.expected.items() if (recording.kind, key) not in KEYS_LEFT_OUT
    }
    return _subset(wanted, got, recording.kind)


def _subset(wanted: Any, got: Any, place: str) -> list[str]:
    if isinstance(wanted, dict) and isinstance(got, dict):
        missing = [f"{place}.{key} is missing" for key in wanted if key not in got]
        both = [key for key in wanted if key in got]
        return missing + [line for key in both for line in _subset(wanted[key], got[key], f"{place}.{key}")]
    if isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        pairs = enumerate(zip(wanted, got, strict=True))
        return [line for number, (a, b) in pairs for line in _subset(a, b, f"{place}[{number}]")]
    return [] if wanted == got else [f"{place} is {got!r}, not {wanted!r}"]
