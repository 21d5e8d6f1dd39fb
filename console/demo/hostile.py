"""A host that lies and shouts: control characters, markup, newlines, NUL, floods, and planted secrets.

Only for tests and for looking at a console under attack; a demo has it when it is asked for by name. What
is in `PLANTED_SECRETS` must be found nowhere: no terminal, no log, no database, no export.
"""

from __future__ import annotations

import json
from dataclasses import replace

from collectors.probe import Section
from console.demo import files
from console.demo.healthy import HostSpec, healthy
from console.demo.scene import Scenario
from console.demo.world import SimulatedHost

PLANTED_SECRETS = (
    "planted-server-password",
    "planted-path-token-5f1c",
    "planted-query-token-9b77",
    "planted-download-user",
    "planted-download-password",
    "planted-ignition-signature",
    "planted-journal-password",
    "planted-journal-token",
    "eyJwbGFudGVkIjoiYmVhcmVyIHRva2VuIn0",
)
_SERVER_PW, _PATH, _QUERY, _DOWN_USER, _DOWN_PW, _SIGNATURE, _JOURNAL_PW, _JOURNAL_TOKEN, _BEARER = (
    PLANTED_SECRETS
)

CLEAR_SCREEN = "\x1b[2J\x1b[H"
TITLE = "\x1b]0;owned\x07"
LINK = "\x1b]8;;https://evil.example.net\x1b\\click\x1b]8;;\x1b\\"
MARKUP = "[bold red on white]ALL HOSTS FAILED[/]"
BIDI = "\u202eetats\u202c"
C1 = "\x9b31m"
FLOOD_BYTES = 1024 * 1024


def build(spec: HostSpec) -> SimulatedHost:
    """Half of such hosts, by name, also answer a line of 1 MiB, which is more than a probe may take."""
    host = healthy(spec)
    flood = spec.number("flood", 2) == 1
    return replace(host, overrides={**_texts(host), **_tables(), **_floods(flood)})


HOSTILE = Scenario("hostile", None, build)


def _section(text: str, exit_status: int = 0) -> Section:
    return Section(text.encode("utf-8", "surrogateescape"), exit_status)


def _texts(host: SimulatedHost) -> dict[str, Section]:
    """Files and lines: values are shown to people, so each carries something that a terminal would obey."""
    os_release = files.os_release(host).replace("Kinvolk", f"{CLEAR_SCREEN}{MARKUP}{C1}")
    conf = (
        f"SERVER=https://operator:{_SERVER_PW}@updates.example.net/v1/update/{_PATH}?token={_QUERY}\n"
        f"DOWNLOAD_USER={_DOWN_USER}\n download_password = {_DOWN_PW}\nDOWNLOAD_PASSWORD={_DOWN_PW}\n"
        f"GROUP=stable{LINK}\nREBOOT_STRATEGY=off\n"
    )
    url = f"https://config.example.net/ignition.json?sig={_SIGNATURE}"
    cmdline = files.cmdline(host).rstrip("\n") + f" ignition.config.url={url} note={TITLE}\n"
    ids = (
        f"machine_id\t{host.hardware.machine_id}\nboot_id\t{host.boot_id}\nuptime\t1e400 NaN\n"
        f"kernel\t6.12.102-flatcar{MARKUP}\nhostname\t$(reboot);{CLEAR_SCREEN}{BIDI}\narch\tx86_64\n"
    )
    at = host.booted_at
    prefix = f"E{at:%Y%m%d %H:%M:%S.%f}   925 update_attempter.cc:619]"
    stamp = f"{at.timestamp():.6f} {host.name} update_engine[925]: {prefix}"
    journal = (
        f"{stamp} Failed to download https://user:{_JOURNAL_PW}@mirror.example.net/a?token={_JOURNAL_TOKEN}\n"
        f"{stamp} Postinst command failed: Authorization: Bearer {_BEARER} {CLEAR_SCREEN}{MARKUP}\n"
        f"{stamp} Update failed.\n"
        f"{stamp} Updating payload state for error code: 5 (kActionCode{TITLE})\n"
    )
    return {
        "os": _section(os_release),
        "conf": _section(conf),
        "cmdline": _section(cmdline),
        "ids": _section(ids),
        "coordinator": _section(f"NAME=locksmithd\nSTATE=rebooting{CLEAR_SCREEN}\nSTRATEGY={MARKUP}"),
        "order": _section(f"order={MARKUP}\nactor=Bearer {_BEARER}\n{CLEAR_SCREEN}"),
        "prefs": _section(f"dir\t1\nprevious-version\t{CLEAR_SCREEN}\nupdate-state-next-operation\t-1\n"),
        "journal": _section(journal),
        "pods": _section(f"dir\nkube-system_kured-x7k2p{CLEAR_SCREEN}_{MARKUP}\n{BIDI}kured\n"),
    }


def _tables() -> dict[str, Section]:
    """JSON and NUL-divided lists: control characters hide behind JSON's own escapes here."""
    unit = f"evil{MARKUP}.service\n{CLEAR_SCREEN}second line"
    failed = [{"unit": unit, "load": "loaded", "active": "failed", "sub": "failed", "description": TITLE}]
    name = f"../../etc/passwd{TITLE}{MARKUP}"
    status = [
        {"hierarchy": "/opt", "extensions": "none", "since": None},
        {"hierarchy": "/usr", "extensions": [name, "kubernetes\x1b[5m", "a" * 300], "since": -1},
    ]
    listed = [{"name": name, "type": "raw", "path": f"/etc/extensions/{name}.raw", "time": 2**80}]
    units = "\n".join(
        f"Id={unit}\nLoadState=loaded\nActiveState=active{C1}\nSubState={MARKUP}\nResult=success\n"
        for unit in (f"update-engine.service{CLEAR_SCREEN}", "locksmithd.service")
    )
    return {
        "manager": _section(f"Version=257.9{CLEAR_SCREEN}\0\nSystemState=running{MARKUP}\nNFailedUnits=-1\n"),
        "units": _section(units),
        "failed": _section(json.dumps(failed)),
        "sysext": _section(json.dumps(status)),
        "sysext_list": _section(json.dumps(listed)),
        "links": _section(f"1 /etc/extensions/two\nlines{TITLE}.raw\0=\0/opt/x\n\0=\0/dev/\x07\0"),
        "meta": _section(f"={name}\0ID={CLEAR_SCREEN}\nVERSION_ID={MARKUP}\0=odd"),
    }


def _floods(flood: bool) -> dict[str, Section]:
    line = "A" * (FLOOD_BYTES if flood else 300)
    return {
        "df": Section(b"Mounted on Type\n0000000000000000 Z 1\n\xff\xfe/ ext4 many bytes\n", 0),
        "docker": _section(f"Docker version {CLEAR_SCREEN}{line}\n"),
    }
