"""What a process costs: wall time and CPU of it and of all it starts, what it printed; medians over runs."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


class BenchmarkFailed(Exception):
    """A benchmark whose figures would mean nothing; the message says why."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that ended, with what it and the children that it waited for used."""

    argv: tuple[str, ...]
    wall_s: float
    cpu_s: float
    """User and system."""
    exit_status: int
    stdout: bytes
    stderr: bytes

    def checked(self) -> Ended:
        """Itself. Raises BenchmarkFailed where it did not end with 0."""
        if self.exit_status != 0:
            said = (self.stderr or self.stdout)[-500:].decode(errors="replace").strip()
            raise BenchmarkFailed(f"{self.argv[0]} {self.argv[1:2]} ended with {self.exit_status}: {said}")
        return self


def run(
    argv: Sequence[str],
    *,
    timeout_s: float,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Ended:
    """Run a program to its end, its output kept in files so that reading it costs it nothing.

    Raises BenchmarkFailed after `timeout_s`; its whole process group is killed then.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        started = time.perf_counter()
        process = subprocess.Popen(
            argv, stdin=given, stdout=out, stderr=err, env=env, cwd=cwd, start_new_session=True
        )
        timer = threading.Timer(timeout_s, _kill_group, [process.pid])
        timer.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            _kill_group(process.pid)
            process.wait()
            raise
        finally:
            timer.cancel()
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if wall_s >= timeout_s:
            raise BenchmarkFailed(f"{argv[0]} did not end within {timeout_s:g} s")
        out.seek(0)
        err.seek(0)
        cpu_s = used.ru_utime + used.ru_stime
        return Ended(tuple(argv), wall_s, cpu_s, process.returncode, out.read(), err.read())


def plain_environment() -> dict[str, str]:
    """This process's environment without Python's switches: modules are compiled once and kept so."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == "PYTHONPATH" or not name.startswith("PYTHON")
    }


def cpu_of(pid: int) -> float | None:
    """CPU seconds of a running process and of its children that ended; None where /proc does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def settled_cpu_of(pid: int, timeout_s: float = 5.0) -> float | None:
    """The same once it has stopped working: a server ends its sessions after its clients have gone."""
    ends = time.monotonic() + timeout_s
    before = cpu_of(pid)
    while time.monotonic() < ends:
        time.sleep(0.2)
        now = cpu_of(pid)
        if now == before:
            break
        before = now
    return before


def machine_busy_s() -> float | None:
    """CPU seconds that all processes of the machine have used since its start, other machines' steal among
    them; None where /proc does not tell."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    user, nice, system, _idle, _waiting, *others = (int(field) for field in fields[:8])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where /proc does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over rounds of the ratio within one round: what slows a whole round falls out."""
    return statistics.median(mine / other for mine, other in zip(ours, theirs, strict=True))


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
