"""How benchmarks print: the machine, aligned tables, goals and what was found, a profile's functions."""

from __future__ import annotations

import argparse
import cProfile
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.costs import BenchmarkFailed

ROOT = Path(__file__).resolve().parents[1]
_BUSY_LOAD = 2.0


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal of docs/performance.md and what this run found."""

    name: str
    what: str
    found: float
    limit: float
    is_ceiling: bool = True
    """False: at least `limit` is wanted."""
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        return self.found <= self.limit if self.is_ceiling else self.found >= self.limit


def print_heading(title: str, packages: Sequence[str] = ()) -> None:
    """The title, the moment, the machine, the versions that matter, and how busy the machine is."""
    print(f"{title}\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {os.cpu_count()} CPUs, {_processor()}")
    print(
        ", ".join([f"Python {platform.python_version()}", *(f"{name} {_version(name)}" for name in packages)])
    )
    load = os.getloadavg()[0]
    busy = "; the machine is busy, compare only what is side by side" if load > _BUSY_LOAD else ""
    print(f"load {load:.1f}{busy}\n", flush=True)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """The first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        first, *others = (
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())
    print(flush=True)


def print_goals(goals: Sequence[Goal]) -> None:
    rows = []
    for goal in goals:
        sign = "<=" if goal.is_ceiling else ">="
        verdict = "met" if goal.is_met else "MISSED"
        rows.append(
            [f"{goal.name} {goal.what}", _number(goal.found), f"{sign} {goal.limit:g} {goal.unit}", verdict]
        )
    print_table(["goal", "found", "limit", ""], rows)


def print_profile(profile: cProfile.Profile, count: int, *, whole: bool = False) -> None:
    """Functions by the time spent in themselves; `whole`: those of this project, by all that they call."""
    entries = profile.getstats()
    total = sum(entry.inlinetime for entry in entries)
    if whole:
        entries = [entry for entry in entries if str(ROOT) in _file(entry.code)]
    entries.sort(key=lambda entry: entry.totaltime if whole else entry.inlinetime, reverse=True)
    rows = [
        [
            _place(entry.code),
            f"{entry.callcount}",
            f"{entry.inlinetime / total:.1%}",
            f"{entry.totaltime / total:.1%}",
        ]
        for entry in entries[:count]
    ]
    print_table(["function", "calls", "itself", "with callees"], rows)


def parser(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(description=description, allow_abbrev=False)


def count(text: str) -> int:
    """An argument that must be a whole number from 1 on."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("needs a number of 1 or more")
    return number


def ended(benchmark: Callable[[], None]) -> int:
    """Run a benchmark; the process's exit code: 1 where its figures would mean nothing."""
    try:
        benchmark()
    except BrokenPipeError:  # the reader (head, less) has gone; keep Python from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except BenchmarkFailed as error:
        print(f"failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _file(code: object) -> str:
    path = str(getattr(code, "co_filename", ""))
    return "" if "site-packages" in path else path


def _place(code: object) -> str:
    """`module:line name` of a profile's entry; built-in functions come as text."""
    if isinstance(code, str):
        return code.strip("<>")[:70]
    path, line, name = (getattr(code, field) for field in ("co_filename", "co_firstlineno", "co_name"))
    folder, _, rest = str(path).rpartition("site-packages/")
    short = rest if folder else str(path).removeprefix(f"{ROOT}/").removeprefix(f"{sys.base_prefix}/")
    return f"{short}:{line} {name}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n")
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
