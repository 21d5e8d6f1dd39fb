"""The contestants of a sweep: fleetctl, clush, xargs with ssh. Same targets, key, probe and fan-out.

Each knows its command line and how many of its answers are whole: a host's closing line counts its sections.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.costs import BenchmarkFailed, Ended, run
from benchmarks.farms import FANOUT, Farm
from collectors import store, tables
from collectors.fleet_file import load_fleet
from collectors.probe import probe_command, read_frame
from collectors.transport import Target

MARK = "c1" * 16
TIMEOUT_S = 600
_LINE = re.compile(rb"^" + MARK.encode() + rb" ([VBERZ]) ?([^\n]*)$", flags=re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass over all hosts."""

    ended: Ended
    whole: int
    """Answers that came to their end with all their sections."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where the contestants meet: the farm, and a directory for their files."""

    farm: Farm
    work: Path
    targets: list[Target]

    @property
    def addresses(self) -> str:
        return "".join(f"{target.address}\n" for target in self.targets)

    @property
    def environment(self) -> Mapping[str, str]:
        """Without the user's own settings, agent and colours."""
        home = str(self.work)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        return {**kept, "HOME": home, "XDG_CONFIG_HOME": home, "CLUSTERSHELL_CFGDIR": home, "NO_COLOR": "1"}

    @property
    def ssh_options(self) -> list[str]:
        """For the ssh program; the same trust and key as fleetctl's."""
        one = self.targets[0]
        options = {
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": one.known_hosts[0],
            "GlobalKnownHostsFile": "/dev/null",
            "UpdateHostKeys": "no",
            "LogLevel": "ERROR",
            "ConnectTimeout": "20",
        }
        words = ["-F", "/dev/null", "-i", one.identities[0], "-p", str(one.port), "-l", one.user]
        return words + [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


class Fleetctl:
    """The whole command: it parses, judges and stores what it is told."""

    def __init__(self, field: Field, *, fresh: bool) -> None:
        self.name = "fleetctl, new database" if fresh else "fleetctl, known hosts"
        self._field, self._fresh = field, fresh
        self._database = load_fleet(field.farm.fleet_file).database_path
        script = Path(sys.executable).with_name("fleetctl")
        self._argv = [str(script)] if script.exists() else [sys.executable, "-m", "console.cli"]

    def sweep(self) -> Sweep:
        if self._fresh:
            for ending in ("", "-wal", "-shm"):
                Path(f"{self._database}{ending}").unlink(missing_ok=True)
        before = self._sweeps()
        argv = [*self._argv, "--fleet", str(self._field.farm.fleet_file), "collect"]
        done = run(argv, timeout_s=TIMEOUT_S, env=self._field.environment)
        if self._sweeps() != before + 1:
            done.checked()
            raise BenchmarkFailed("fleetctl collect recorded no sweep")
        return Sweep(done, self._whole())

    def _sweeps(self) -> int:
        if not self._database.exists():
            return 0
        conn = store.open_reader(self._database)
        try:
            return int(conn.execute("SELECT count(*) FROM sweeps").fetchone()[0])
        finally:
            conn.close()

    def _whole(self) -> int:
        """Hosts whose answer of the last sweep was complete; an incomplete one leaves the older time."""
        conn = store.open_reader(self._database)
        try:
            started = conn.execute("SELECT max(started_at) FROM sweeps").fetchone()[0]
            records = tables.all_hosts(conn).values()
        finally:
            conn.close()
        return sum(
            record.facts_digest is not None and (record.taken_at or "") >= started for record in records
        )


class Clush:
    """ClusterShell's, which starts the ssh program for each host and hands its own stdin to all."""

    name = "clush"

    def __init__(self, field: Field) -> None:
        self._field, self._hosts = field, field.work / "hosts"
        self._hosts.write_text(field.addresses)
        self._argv = [str(Path(sys.executable).with_name("clush")), "-N", "-f", str(FANOUT)]
        self._argv += ["-o", shlex.join(field.ssh_options), "--hostfile", str(self._hosts), probe_command()]

    def sweep(self) -> Sweep:
        stdin = f"{MARK}\n".encode()
        done = run(self._argv, timeout_s=TIMEOUT_S, stdin=stdin, env=self._field.environment)
        return Sweep(done, whole_of_mixed(done.stdout))


class Xargs:
    """xargs with ssh; a shell gives each ssh its stdin and its own file, then becomes it."""

    name = "xargs ssh"

    def __init__(self, field: Field) -> None:
        self._field, self._out = field, field.work / "answers"
        mark = field.work / "mark"
        mark.write_text(f"{MARK}\n")
        script = f'exec ssh {shlex.join(field.ssh_options)} "$0" "$1" <"$2" >"$3/$0"'
        words = [script, "HOSTX", probe_command(), str(mark), str(self._out)]
        self._argv = ["xargs", "-P", str(FANOUT), "-I", "HOSTX", "sh", "-c", *words]

    def sweep(self) -> Sweep:
        with suppress(FileNotFoundError):
            shutil.rmtree(self._out)
        self._out.mkdir()
        stdin = self._field.addresses.encode()
        done = run(self._argv, timeout_s=TIMEOUT_S, stdin=stdin, env=self._field.environment)
        answers = [path.read_bytes() for path in self._out.iterdir()]
        return Sweep(done, sum(read_frame(answer, MARK).complete for answer in answers))


Contestant = Fleetctl | Clush | Xargs


def contestants(field: Field, *, skip: Sequence[str] = ()) -> list[Contestant]:
    """In the order in which they take turns. Raises BenchmarkFailed where a program is not installed."""
    for program in ("ssh", "xargs"):
        if shutil.which(program) is None:
            raise BenchmarkFailed(f"there is no {program} on this machine")
    everyone: list[Contestant] = [
        Fleetctl(field, fresh=True),
        Fleetctl(field, fresh=False),
        Clush(field),
        Xargs(field),
    ]
    return [one for one in everyone if one.name.split()[0] not in skip]


def whole_of_mixed(output: bytes) -> int:
    """How many hosts' closing lines came in an output where the lines of all hosts are mixed.

    Nothing counts unless sections opened, sections closed and the closing lines' sums agree.
    """
    opened = closed = told = openings = endings = 0
    for kind, rest in _LINE.findall(output):
        opened += kind == b"B"
        closed += kind == b"E"
        openings += kind == b"V"
        endings += kind == b"Z"
        if kind in b"ZR" and rest.isdigit():
            told += int(rest)
    return endings if opened == closed == told and openings == endings else 0
