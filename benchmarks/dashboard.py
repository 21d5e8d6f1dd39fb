"""`python -m benchmarks.dashboard`: the fleet pane in a real terminal beside a plain DataTable (goal G10).

From a key to the last byte that it paints. A key paints at once, so what comes after a pause is another's.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.costs import BenchmarkFailed, median
from benchmarks.report import Goal, count, ended, parser, print_goals, print_heading, print_table

SIZE = (45, 160)
"""Lines and columns."""
PATIENCE_S = 120.0
FIRST_HOST = {"pane": b"booted 4593", "table": b"-00000"}
"""Painted as soon as a host is: in the pane the worst one's note, in the table the first one's name."""
DOWN, PAGE_DOWN, END, HOME = b"\x1b[B", b"\x1b[6~", b"\x1b[F", b"\x1b[H"
ESCAPE, BACKSPACE, F9, CTRL_U = b"\x1b", b"\x7f", b"\x1b[20~", b"\x15"
TYPED = ("fra-004", "staged", "state:staged", "label.site:fra", "edge state:behind", "not k8s")
TYPED_IN_TABLE = ("fra-0",)
GOAL_MS, GOAL_FIRST, GOAL_LOAD = 50.0, 1.3, 5.0
WATCHED_S = 6.0
STARTS = 5
_MADE = re.compile(rb"made in ([0-9.]+) s")


@dataclass(slots=True)
class Found:
    """What one program over one number of hosts cost; milliseconds from key to paint."""

    kind: str
    hosts: int
    first_s: float = 0.0
    resident_mib: float = 0.0
    keys: dict[str, list[float]] = field(default_factory=dict)
    load: float = 0.0
    """Percent of a CPU with 1,000 changes a second, less what it takes without."""


class Terminal:
    """A program in a terminal of its own."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.begun = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", TEXTUAL_ANIMATIONS="none")
            os.execv(argv[0], list(argv))
        lines, columns = SIZE
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, needle: bytes) -> float:
        """Seconds from the start until `needle` is painted, without those in which the hosts are made up."""
        seen, made_s = b"", 0.0
        while time.perf_counter() - self.begun < PATIENCE_S:
            seen = seen[-64:] + self._read(0.2)
            if made := _MADE.search(seen):
                made_s = float(made[1])
            if needle in seen:
                return time.perf_counter() - self.begun - made_s
        raise BenchmarkFailed("nothing was painted")

    def press(self, key: bytes, *, gap_s: float = 0.08, patience_s: float = 2.0) -> float | None:
        """Milliseconds until the last byte that the key painted; None if it painted nothing."""
        begun = time.perf_counter()
        os.write(self.fd, key)
        last = None
        while self._read(gap_s if last else patience_s):
            last = time.perf_counter()
        return (last - begun) * 1e3 if last else None

    def settle(self, gap_s: float = 0.6) -> None:
        begun = time.perf_counter()
        while self._read(gap_s):
            if time.perf_counter() - begun > PATIENCE_S:
                raise BenchmarkFailed("it paints without an end")

    def watch(self, duration_s: float) -> float:
        """Percent of a CPU while time passes."""
        begun, before = time.perf_counter(), self.cpu_s()
        while time.perf_counter() - begun < duration_s:
            self._read(0.1)
        return (self.cpu_s() - before) / (time.perf_counter() - begun) * 100

    def cpu_s(self) -> float:
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def stop(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)

    def _read(self, wait_s: float) -> bytes:
        """What is painted; empty if nothing came for `wait_s`."""
        if not select.select([self.fd], [], [], wait_s)[0]:
            return b""
        try:
            return os.read(self.fd, 1 << 16)
        except OSError as error:  # the terminal is gone with its program
            raise BenchmarkFailed("the program ended") from error


def started(kind: str, hosts: int) -> Terminal:
    return Terminal([sys.executable, "-m", "benchmarks.dashboard_app", kind, str(hosts)])


def first_paint_s(kind: str, hosts: int) -> float:
    """Of one start that is stopped as soon as a host is painted."""
    terminal = started(kind, hosts)
    try:
        return terminal.until(FIRST_HOST[kind])
    finally:
        terminal.stop()


def measure(kind: str, hosts: int, repeats: int) -> Found:
    firsts = [first_paint_s(kind, hosts) for _ in range(STARTS - 1)]
    terminal = started(kind, hosts)
    try:
        firsts.append(terminal.until(FIRST_HOST[kind]))
        found = Found(kind, hosts, first_s=median(firsts))
        terminal.settle()
        found.resident_mib = terminal.resident_mib()
        press_keys(terminal, found, repeats)
        if kind == "pane":
            idle = terminal.watch(WATCHED_S / 2)
            terminal.press(F9)
            found.load = terminal.watch(WATCHED_S) - idle
        return found
    finally:
        terminal.stop()


def press_keys(terminal: Terminal, found: Found, repeats: int) -> None:
    def pressed(name: str, keys: Sequence[bytes]) -> None:
        times = [terminal.press(key, patience_s=1.0 if found.kind == "pane" else 20.0) for key in keys]
        found.keys.setdefault(name, []).extend(ms for ms in times if ms is not None)

    pressed("move", [DOWN] * repeats)
    pressed("page", [PAGE_DOWN] * (repeats // 2))
    if found.kind == "pane":
        pressed("move", [END, HOME] * 4)
        pressed("sort", [b"o"] * 14)
        pressed("only", [b"!", b"!", b"w", b"w"] * 2)
        pressed("fold", [b"f", b"f"] * 2)
        pressed("mark all", [b"M", b"N"] * 2)
        for text in TYPED:
            terminal.press(b"/")
            pressed("letter", [bytes([code]) for code in text.encode()])
            pressed("letter", [BACKSPACE] * 3)
            terminal.press(ESCAPE, gap_s=0.3)
        return
    for text in TYPED_IN_TABLE:
        terminal.press(b"/")
        pressed("letter", [bytes([code]) for code in text.encode()])


def p95(times: Sequence[float]) -> float:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))] if ordered else float("nan")


def row_of(found: Found) -> list[str]:
    names = ("move", "page", "letter", "sort", "only", "fold", "mark all")
    keys = [
        f"{median(times):.0f}/{p95(times):.0f}" if (times := found.keys.get(name)) else "" for name in names
    ]
    load = f"{found.load:.1f} %" if found.kind == "pane" else ""
    name = f"{'fleet pane' if found.kind == 'pane' else 'DataTable'}, {found.hosts:,} hosts"
    return [name, f"{found.first_s * 1e3:.0f}", *keys, load, f"{found.resident_mib:.0f}"]


def goals(pane: Sequence[Found]) -> list[Goal]:
    """G10 for every number of hosts beyond the first."""
    first, *larger = pane
    found = []
    for one in larger:
        for name, what in (("move", "moving"), ("page", "paging"), ("letter", "a filter letter")):
            words = f"{one.hosts:,} hosts, {what}: p95 key to paint"
            found.append(Goal("G10", words, p95(one.keys[name]), GOAL_MS, unit="ms"))
        ratio = one.first_s / first.first_s
        found.append(
            Goal("G10", f"{one.hosts:,} hosts: first paint / that of {first.hosts:,}", ratio, GOAL_FIRST)
        )
        found.append(
            Goal("G10", f"{one.hosts:,} hosts: 1,000 changes a second", one.load, GOAL_LOAD, unit="% CPU")
        )
    return found


def benchmark(sizes: Sequence[int], repeats: int, *, with_table: bool) -> None:
    print_heading("dashboard: key to paint in a terminal", ("textual", "rich"))
    found = []
    for hosts in sizes:
        found.append(measure("pane", hosts, repeats))
        if with_table:
            found.append(measure("table", hosts, repeats))
    print("milliseconds, median/p95; first paint with the start of Python and Textual\n")
    header = ["", "first", "move", "page", "letter", "sort", "only", "fold", "mark", "1,000/s", "MiB"]
    print_table(header, [row_of(one) for one in found])
    print_goals(goals([one for one in found if one.kind == "pane"]))


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--hosts", type=count, nargs="+", default=[1_000, 10_000, 50_000])
    options.add_argument("--repeats", type=count, default=40, help="presses of each moving key")
    options.add_argument("--alone", action="store_true", help="without the DataTable")
    asked = options.parse_args()
    return ended(lambda: benchmark(asked.hosts, asked.repeats, with_table=not asked.alone))


if __name__ == "__main__":
    sys.exit(main())
